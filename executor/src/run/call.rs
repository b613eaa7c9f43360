//! Mutations: intent, call, outcome, and what to do when the outcome is unknown.
//!
//! Invariants: nothing is sent before its intent is journalled; what may have happened is never sent again unless the
//! probe proves that it did not, or the plan says that sending it twice does no harm; a call that took effect without
//! meeting its expectation is a failure that counts as applied.

use std::sync::Arc;

use belay_schemas::condition;
use belay_schemas::journal::{CallOutcome, Event, FailureKind};
use belay_schemas::plan::{Call, Probe};
use serde_json::Value;

use super::guard;
use super::late::{Resolved, Scope};
use super::listener::What;
use super::port::{Nap, Stop, Task, call_error};
use super::read::{ask, holds, name};
use super::state::{Chunk, Effect, NodeState};
use crate::cloud::ErrorKind;

/// How often, in a row, a probe must not see an effect before the call counts as not sent: AWS's reads may lag behind.
const PROOFS: u32 = 3;

/// What became of a doubtful call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Settled {
    Applied(Arc<Value>),
    NotApplied,
    /// It cannot be found out, for this reason.
    Open(String),
}

/// Carries out a node whose action is a mutation, going on from what is known of it.
pub(super) async fn run(task: &Task, known: &NodeState, call: &Call, expect: Option<&str>) -> Result<(), Stop> {
    let items = super::worker::items(task, known).await?;
    let lists: Vec<Option<Value>> = match (&items, &task.node().each) {
        (Some(items), Some(each)) => {
            items.chunks(each.chunk.max(1) as usize).map(|part| Some(Value::Array(part.to_vec()))).collect()
        }
        _ => vec![None],
    };
    let mut guarded = false;
    for (at, list) in lists.iter().enumerate() {
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let scope = Scope { chunk: number, each: list.as_ref(), ..task.scope() };
        let chunk = known.chunks.get(at).cloned().unwrap_or_default();
        let mut one = One { task, scope, number, call, attempts: chunk.attempts, doubtful: chunk.doubtful };
        let answer = match one.take_up(&chunk).await? {
            Some(answer) => answer,
            None => {
                if !guarded {
                    // What another chunk has done already may be what its guards look at.
                    let begun =
                        chunk.attempts > 0 && known.chunks.iter().all(|c| !matches!(c.effect, Effect::Applied(_)));
                    match begun {
                        true => guard::before_another_try(task, &scope, task.deadline()).await?,
                        false => guard::before_action(task, &scope, task.deadline()).await?,
                    }
                    guarded = true;
                }
                one.until_done().await?
            }
        };
        if let Some(expect) = expect
            && !holds(expect, &Default::default(), &answer)?
        {
            return Err(Stop::fail(
                FailureKind::Expect,
                format!("{} took effect, but `{expect}` does not hold for its answer {answer}", name(call)),
            ));
        }
    }
    Ok(())
}

/// One chunk of a mutation.
struct One<'a> {
    task: &'a Task,
    scope: Scope<'a>,
    number: u32,
    call: &'a Call,
    attempts: u32,
    doubtful: bool,
}

impl One<'_> {
    /// Settles what an earlier session left; an answer if the chunk took effect.
    async fn take_up(&mut self, chunk: &Chunk) -> Result<Option<Arc<Value>>, Stop> {
        match &chunk.effect {
            Effect::Applied(answer) => Ok(Some(Arc::clone(answer))),
            Effect::None => Ok(None),
            Effect::Open | Effect::Unknown => {
                self.doubtful = true;
                self.settle("the run was interrupted before its outcome was known").await
            }
        }
    }

    /// Sends the call until it has taken effect or will not.
    async fn until_done(&mut self) -> Result<Arc<Value>, Stop> {
        let (task, deadline) = (self.task, self.task.deadline());
        let resolved = match self.scope.call(self.call)? {
            Resolved::Call(call) => Arc::new(call.into_owned()),
            Resolved::Nothing => return Err(Stop::fail(FailureKind::Value, "a mutation refers to a poll")),
        };
        let mut failures = 0;
        loop {
            task.turn(&resolved.service, &resolved.operation, Nap::Light).await?;
            self.attempts += 1;
            task.emit(Event::Intent {
                node: task.node().id.clone(),
                chunk: self.number,
                attempt: self.attempts,
                call: Arc::clone(&resolved),
            })
            .await?;
            let answer = task.send(&resolved.service, &resolved.operation, &resolved.input).await;
            let error = match answer {
                Ok(answer) => match task.cloud.settle().await {
                    Ok(()) => {
                        let answer = Arc::new(answer);
                        self.emit(CallOutcome::Applied { answer: Arc::clone(&answer) }).await?;
                        return Ok(answer);
                    }
                    Err(error) => crate::cloud::CloudError { kind: ErrorKind::Unknown, ..error },
                },
                Err(error) => error,
            };
            let said = call_error(&error);
            match error.kind {
                ErrorKind::Rejected | ErrorKind::NotFound => {
                    self.emit(CallOutcome::Rejected { error: said }).await?;
                    if let Some(answer) = self.there_already(error.kind).await? {
                        return Ok(answer);
                    }
                    return Err(Stop::fail(FailureKind::Rejected, format!("{}: {error}", name(&resolved))));
                }
                ErrorKind::Transient => self.emit(CallOutcome::Transient { error: said }).await?,
                ErrorKind::Environment => self.emit(CallOutcome::Unreachable { error: said }).await?,
                ErrorKind::Unknown => {
                    self.doubtful = true;
                    self.emit(CallOutcome::Unknown { error: said }).await?;
                    if let Some(answer) = self.settle(&error.to_string()).await? {
                        return Ok(answer);
                    }
                }
            }
            failures += 1;
            let again = task.backoff(failures);
            if again > deadline {
                let (kind, words) = match error.kind {
                    ErrorKind::Environment => (FailureKind::Unreachable, "cannot be reached"),
                    _ => (FailureKind::Timeout, "did not succeed within the node's time"),
                };
                return Err(Stop::fail(kind, format!("{} {words}: {error}", name(&resolved))));
            }
            task.note(What::Retrying { operation: name(&resolved), reason: error.to_string(), at: again });
            task.sleep(again, Nap::Light).await?;
        }
    }

    async fn emit(&self, outcome: CallOutcome) -> Result<(), Stop> {
        emit_outcome(self.task, self.number, self.attempts, outcome).await
    }

    /// Finds out whether a doubtful call took effect: an answer, or `None` when it may be sent (again).
    async fn settle(&self, doubt: &str) -> Result<Option<Arc<Value>>, Stop> {
        match settle(self.task, &self.scope).await? {
            Settled::Applied(answer) => {
                self.emit(CallOutcome::ProvenApplied { answer: Arc::clone(&answer) }).await?;
                Ok(Some(answer))
            }
            Settled::NotApplied => {
                self.emit(CallOutcome::ProvenNotApplied {}).await?;
                Ok(None)
            }
            Settled::Open(_) if self.task.graph.repeatable[self.task.ix] => Ok(None),
            Settled::Open(why) => Err(Stop::fail(
                FailureKind::Unknown,
                format!("{} may or may not have taken effect ({doubt}), and {why}", name(self.call)),
            )),
        }
    }

    /// What AWS refuses may be there already, by an attempt of ours that was thought lost; and what is to go may be
    /// gone. The probe knows.
    async fn there_already(&self, kind: ErrorKind) -> Result<Option<Arc<Value>>, Stop> {
        let Some(probe) = &self.task.node().probe else { return Ok(None) };
        if !self.doubtful && kind != ErrorKind::NotFound {
            return Ok(None);
        }
        match look(self.task, &self.scope, probe, self.task.deadline()).await {
            Ok(Some(answer)) => {
                self.emit(CallOutcome::ProvenApplied { answer: Arc::clone(&answer) }).await?;
                Ok(Some(answer))
            }
            Err(Stop::Halt(halt)) => Err(halt.into()),
            // The refusal is the better reason then.
            Ok(None) | Err(Stop::Failed(_)) => Ok(None),
        }
    }
}

pub(super) async fn emit_outcome(task: &Task, chunk: u32, attempt: u32, outcome: CallOutcome) -> Result<(), Stop> {
    Ok(task.emit(Event::Outcome { node: task.node().id.clone(), chunk, attempt, outcome }).await?)
}

/// Finds out by the node's probe whether a doubtful call took effect.
pub(super) async fn settle(task: &Task, scope: &Scope<'_>) -> Result<Settled, Stop> {
    let Some(probe) = &task.node().probe else {
        return Ok(Settled::Open("the plan has no probe for it".to_owned()));
    };
    let deadline = task.deadline();
    for seen in 1..=PROOFS {
        match look(task, scope, probe, deadline).await {
            Ok(Some(answer)) => return Ok(Settled::Applied(answer)),
            Ok(None) if seen < PROOFS => task.sleep(task.now() + 1000 * u64::from(seen), Nap::Deep).await?,
            Ok(None) => {}
            Err(Stop::Failed(failure)) if failure.kind != FailureKind::Unreachable => {
                return Ok(Settled::Open(format!("its probe does not tell: {}", failure.reason)));
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(Settled::NotApplied)
}

/// Looks once: the call's own answer if it took effect.
async fn look(task: &Task, scope: &Scope<'_>, probe: &Probe, deadline: u64) -> Result<Option<Arc<Value>>, Stop> {
    let found = ask(task, scope, &probe.read, deadline, Nap::Deep).await?;
    let bind = scope.bind(&probe.bind)?;
    if holds(&probe.applied, &bind, &found)? {
        Ok(Some(Arc::new(condition::evaluate(&probe.answer, &bind, &found)?)))
    } else {
        Ok(None)
    }
}

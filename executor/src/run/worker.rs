//! One worker: carries out one node, or looks at one way back, or at one node's start guards.
//!
//! Invariant: a worker ends with exactly one closing event, or with none when the run stops where it is.

use std::sync::Arc;

use belay_schemas::journal::{CallOutcome, Event, Failure, FailureKind, GuardFailure};
use belay_schemas::plan::{Action, Call};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::batch::Answer;
use super::call::{self, Settled};
use super::guard;
use super::late::Scope;
use super::port::{Nap, Stop, Task};
use super::read::{self, ask, holds};
use super::state::{Effect, Halt, NodeState};
use super::wait::{self, Standing};
use crate::shared::Shared;

/// What a worker came back with.
#[derive(Debug)]
pub(super) enum Ended {
    /// A node's closing event.
    Node(Option<Event>),
    /// A forward node's case was looked at, or could not be.
    Decided(usize, Option<Event>),
    /// A node's start guards were looked at.
    Checked(Result<(u32, Vec<GuardFailure>), Stop>),
    /// Joint reads were made; these are the answers.
    Batch(Vec<(oneshot::Sender<Answer>, Answer)>),
}

/// Carries out a node.
pub(super) async fn node(task: Task, known: Shared<NodeState>) -> Ended {
    let id = task.node().id.clone();
    closed(id, carry_out(&task, &known).await)
}

/// Goes on with a node that waits and slept.
pub(super) async fn go_on(task: Task, standing: Standing, woken: oneshot::Receiver<Result<(), Halt>>) -> Ended {
    let id = task.node().id.clone();
    let waited = match &task.node().action {
        Action::Wait { wait } => wait::go_on(&task, &task.scope(), wait, standing, woken).await,
        _ => Err(Stop::fail(FailureKind::Value, "it is no wait that could be gone on with")),
    };
    closed(id, waited)
}

fn closed(id: String, result: Result<Value, Stop>) -> Ended {
    Ended::Node(match result {
        Ok(answer) => Some(Event::Done { node: id, answer: Arc::new(answer) }),
        Err(Stop::Failed(failure)) => Some(Event::Failed { node: id, failure }),
        Err(Stop::Halt(Halt::Turned)) => Some(Event::Abandoned { node: id }),
        Err(Stop::Halt(Halt::Stopped)) => None,
    })
}

async fn carry_out(task: &Task, known: &NodeState) -> Result<Value, Stop> {
    let node = task.node();
    if known.tries > 1 {
        task.sleep(task.backoff(3), Nap::Light).await?;
    }
    match &node.action {
        Action::Call { call, expect } => {
            call::run(task, known, call, expect.as_deref()).await?;
            Ok(Value::Null)
        }
        Action::Read { read: wanted, expect } => look(task, known, wanted, expect.as_deref()).await,
        Action::Http { .. } => match (task.graph.effect(task.ix), task.graph.request(task.ix)) {
            (Some(call), _) => {
                call::run(task, known, call, None).await?;
                Ok(Value::Null)
            }
            (None, Some(get)) => look(task, known, get, None).await,
            (None, None) => Err(Stop::fail(FailureKind::Value, "there is no request to make")),
        },
        Action::Wait { wait: wanted } => {
            guard::before_action(task, &task.scope(), task.deadline()).await?;
            let Some(items) = items(task, known).await? else {
                return wait::run(task, &task.scope(), wanted, known.wait.as_ref()).await;
            };
            let mut list = Vec::new();
            for (chunk, part) in parts(task, &items) {
                let scope = Scope { chunk, each: Some(&part), ..task.scope() };
                let answer = wait::run(task, &scope, wanted, None).await?;
                list.push(json!({"items": part, "answer": answer}));
            }
            Ok(Value::Array(list))
        }
        Action::Delay { delay } => {
            task.sleep(task.now() + delay.saturating_mul(1000), Nap::Light).await?;
            Ok(Value::Null)
        }
        Action::Gate { .. } | Action::Commit { .. } => Ok(Value::Null),
        Action::Exec { .. } => Err(Stop::fail(
            FailureKind::Value,
            format!("actions of the kind `{}` are not supported", node.action.kind()),
        )),
    }
}

/// Makes a node's reads: one, or one for each chunk.
async fn look(task: &Task, known: &NodeState, wanted: &Call, expect: Option<&str>) -> Result<Value, Stop> {
    guard::before_action(task, &task.scope(), task.deadline()).await?;
    let Some(items) = items(task, known).await? else {
        return read::node(task, &task.scope(), wanted, expect, task.deadline()).await;
    };
    let mut list = Vec::new();
    for (chunk, part) in parts(task, &items) {
        let scope = Scope { chunk, each: Some(&part), ..task.scope() };
        let answer = read::node(task, &scope, wanted, expect, task.deadline()).await?;
        list.push(json!({"items": part, "answer": answer}));
    }
    Ok(Value::Array(list))
}

fn parts(task: &Task, items: &[Value]) -> Vec<(u32, Value)> {
    let size = task.node().each.as_ref().map_or(1, |each| each.chunk.max(1)) as usize;
    (0..).zip(items.chunks(size).map(|part| Value::Array(part.to_vec()))).collect()
}

/// The list that a node with `each` works through, journalled before the first call.
pub(super) async fn items(task: &Task, known: &NodeState) -> Result<Option<Arc<Vec<Value>>>, Stop> {
    let Some(each) = &task.node().each else { return Ok(None) };
    if let Some(items) = &known.items {
        return Ok(Some(Arc::clone(items)));
    }
    let Value::Array(items) = task.scope().document(&each.over)? else {
        return Err(Stop::fail(FailureKind::Value, "what it is to be repeated over is not a list"));
    };
    if items.len() > each.max as usize {
        let reason = format!("there are {} items, the plan allows {}", items.len(), each.max);
        return Err(Stop::fail(FailureKind::Value, reason));
    }
    let items = Arc::new(items);
    task.emit(Event::List { node: task.node().id.clone(), items: Arc::clone(&items) }).await?;
    Ok(Some(items))
}

/// Looks at a node's start guards.
pub(super) async fn check(task: Task) -> Ended {
    Ended::Checked(guard::at_start(&task).await)
}

/// Settles what is doubtful about a forward node, and looks at one of its ways back.
pub(super) async fn decide(task: Task, known: Shared<NodeState>, case: usize) -> Ended {
    let id = task.node().id.clone();
    let event = match try_decide(&task, &known, case).await {
        Ok(Some((taken, why))) => {
            Some(Event::Case { node: id, case: u32::try_from(case).unwrap_or(u32::MAX), taken, why })
        }
        Ok(None) | Err(Stop::Halt(_)) => None,
        Err(Stop::Failed(failure)) => Some(Event::Failed { node: id, failure }),
    };
    Ended::Decided(task.ix, event)
}

/// That a condition does not hold, in its own words if it has any.
fn not_so(when: &belay_schemas::plan::When) -> String {
    match &when.summary {
        Some(summary) => format!("it is not so that {summary}"),
        None => format!("`{}` is false", when.is),
    }
}

async fn try_decide(task: &Task, known: &NodeState, case: usize) -> Result<Option<(bool, Option<String>)>, Stop> {
    if known.doubtful() && !resolve_doubt(task, known).await? {
        return Ok(None);
    }
    let Some(wanted) = task.node().undo.get(case) else { return Ok(Some((false, None))) };
    let Some(when) = &wanted.when else { return Ok(Some((true, None))) };
    let scope = task.scope();
    let outcome = async {
        let found = ask(task, &scope, &when.read, task.deadline(), Nap::Light).await?;
        Ok(holds(&when.is, &scope.bind(&when.bind)?, &found)?)
    };
    match outcome.await {
        Ok(taken) => Ok(Some((taken, (!taken).then(|| not_so(when))))),
        Err(Stop::Failed(Failure { kind, reason, .. })) if kind != FailureKind::Unreachable => {
            Ok(Some((false, Some(reason))))
        }
        Err(stop) => Err(stop),
    }
}

/// Probes doubtful chunks; whether anything is left that happened or may have happened.
async fn resolve_doubt(task: &Task, known: &NodeState) -> Result<bool, Stop> {
    let size = task.node().each.as_ref().map_or(1, |each| each.chunk.max(1)) as usize;
    let mut left = false;
    for (at, chunk) in known.chunks.iter().enumerate() {
        if !matches!(chunk.effect, Effect::Open | Effect::Unknown) {
            left |= chunk.effect != Effect::None;
            continue;
        }
        let part = known.items.as_ref().and_then(|items| items.chunks(size).nth(at)).map(|p| Value::Array(p.to_vec()));
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let scope = Scope { chunk: number, each: part.as_ref(), ..task.scope() };
        let outcome = match call::settle(task, &scope).await? {
            Settled::Applied(answer) => CallOutcome::ProvenApplied { answer },
            Settled::NotApplied => CallOutcome::ProvenNotApplied {},
            Settled::Open(_) => {
                left = true;
                continue;
            }
        };
        left |= matches!(outcome, CallOutcome::ProvenApplied { .. });
        call::emit_outcome(task, number, chunk.attempts, outcome).await?;
    }
    Ok(left)
}

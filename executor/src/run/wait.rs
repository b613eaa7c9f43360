//! Waits: polls until something holds, and says why when it does not come.
//!
//! Invariants: failure conditions are looked at before the goal, and count once two looks in a row find the same one,
//! because AWS's reads may lag behind what was just changed; only time in which an executor ran counts; a goal that
//! has to hold for a while is watched without a break, so a resumed wait begins that while anew.

use std::collections::BTreeMap;

use belay_schemas::condition::{self, ConditionError, Document};
use belay_schemas::journal::{Checkpoint, Event, Failure, FailureKind, Finding};
use belay_schemas::plan::{Evidence, Wait};
use serde_json::Value;
use tokio::sync::oneshot;

use super::late::{Resolved, Scope};
use super::listener::What;
use super::port::{Nap, Stop, Task};
use super::read::{name, read};
use super::state::Halt;
use crate::cloud::ErrorKind;

/// At least so often, in milliseconds, the clocks of a wait are journalled.
const CHECKPOINT: u64 = 30_000;
/// What a poll itself may take, in milliseconds. When more time than that and the pause before it has passed, the
/// machine was asleep and nobody waited.
const AWAKE: u64 = 30_000;
/// Lines of one piece of evidence at most.
const LINES: usize = 20;

/// Where a wait stands between two looks.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    clocks: Checkpoint,
    /// When it looked last, wrote its clocks down last, and is to look next.
    at: u64,
    written: u64,
    planned: u64,
    holding: bool,
    unreachable_for: u64,
    suspected: Option<usize>,
    last: Option<(Option<u64>, Value, Verdict)>,
}

impl Standing {
    fn new(known: Option<&Checkpoint>, now: u64) -> Self {
        let clocks = Checkpoint { held: 0, ..known.cloned().unwrap_or_default() };
        Self {
            clocks,
            at: now,
            written: now,
            planned: now,
            holding: false,
            unreachable_for: 0,
            suspected: None,
            last: None,
        }
    }
}

/// Waits; the answer is the list of the last poll's answers.
pub(super) async fn run(
    task: &Task,
    scope: &Scope<'_>,
    wait: &Wait,
    known: Option<&Checkpoint>,
) -> Result<Value, Stop> {
    let whole = scope.each.is_none();
    look(task, scope, wait, Standing::new(known, task.now()), whole).await
}

/// Goes on with a wait that slept; `woken` tells when it is to look again.
pub(super) async fn go_on(
    task: &Task,
    scope: &Scope<'_>,
    wait: &Wait,
    standing: Standing,
    woken: oneshot::Receiver<Result<(), Halt>>,
) -> Result<Value, Stop> {
    woken.await.unwrap_or(Err(Halt::Stopped))?;
    look(task, scope, wait, standing, true).await
}

async fn look(task: &Task, scope: &Scope<'_>, wait: &Wait, standing: Standing, whole: bool) -> Result<Value, Stop> {
    let bind = scope.bind(&wait.bind)?;
    let Standing {
        mut clocks,
        mut at,
        mut written,
        mut planned,
        mut holding,
        mut unreachable_for,
        mut suspected,
        mut last,
    } = standing;
    // What kept the last poll from telling anything.
    let mut trouble: Option<String>;
    loop {
        let mark = task.cloud.same_while(&task.node().id);
        let seen = match last.take() {
            Some((Some(before), answers, verdict)) if Some(before) == mark => {
                turns(task, wait).await?;
                last = Some((mark, Value::Null, verdict));
                Poll::Same(answers)
            }
            other => {
                last = other;
                poll(task, scope, wait).await?
            }
        };
        let passed = task.now().saturating_sub(at).min(planned.saturating_sub(at) + AWAKE);
        at = task.now();
        clocks.elapsed += passed;
        clocks.since_progress += passed;
        let mut news = false;
        match seen {
            Poll::Refused(reason) => return Err(failed(task, scope, wait, reason).await),
            Poll::Silent { reason, unreachable } => {
                // Nobody watched, so it is not known to have held.
                (holding, clocks.held) = (false, 0);
                if unreachable {
                    // What cannot be looked at may well go on: its clocks stand still, and in the end the run pauses.
                    unreachable_for += passed;
                    clocks.elapsed -= passed;
                    clocks.since_progress = clocks.since_progress.saturating_sub(passed);
                    if unreachable_for >= task.node().timeout.saturating_mul(1000) {
                        return Err(Stop::fail(FailureKind::Unreachable, reason));
                    }
                } else {
                    unreachable_for = 0;
                }
                trouble = Some(reason);
            }
            Poll::Answers(answers) | Poll::Same(answers) => {
                unreachable_for = 0;
                // Most looks find what the one before found.
                let verdict = match last.take() {
                    Some((before, known, verdict)) if known == answers || (before.is_some() && before == mark) => {
                        verdict
                    }
                    _ => Verdict::of(wait, &bind, &Document::of(&answers, &task.graph.wanted[task.ix]))?,
                };
                let failing = verdict.failing;
                trouble = verdict.trouble.clone();
                if let Some(fail) = failing.and_then(|number| wait.fail.get(number))
                    && suspected == failing
                {
                    return Err(failed(task, scope, wait, fail.reason.clone()).await);
                }
                suspected = failing;
                if let Some(progress) = &verdict.progress
                    && *progress != clocks.progress
                {
                    clocks.progress.clone_from(progress);
                    clocks.since_progress = 0;
                    news = true;
                }
                if verdict.reached {
                    clocks.held += if holding { passed } else { 0 };
                    holding = true;
                    clocks.since_progress = 0;
                    if clocks.held >= wait.hold.saturating_mul(1000) {
                        return Ok(answers);
                    }
                } else {
                    (holding, clocks.held) = (false, 0);
                }
                last = Some((mark, answers, verdict));
            }
        }
        task.note(What::Polled { clocks: clocks.clone(), holding });
        give_up(task, scope, wait, &clocks, trouble.as_deref()).await?;
        if news || at.saturating_sub(written) >= CHECKPOINT {
            written = at;
            task.emit(Event::Poll { node: task.node().id.clone(), wait: clocks.clone() }).await?;
        }
        let mut next = task.next_look(at, wait.interval.max(1).saturating_mul(1000));
        if holding {
            next = next.min(at + wait.hold.saturating_mul(1000).saturating_sub(clocks.held).max(1));
        }
        planned = next;
        let standing = (whole && task.keeps).then(|| {
            let (clocks, last) = (clocks.clone(), last.clone());
            Box::new(Standing { clocks, at, written, planned, holding, unreachable_for, suspected, last })
        });
        task.rest(next, Nap::Light, standing).await?;
    }
}

/// What a wait's expressions say of what a look found: the same for the same.
#[derive(Debug, Clone)]
struct Verdict {
    /// The failure condition that holds.
    failing: Option<usize>,
    progress: Option<Value>,
    /// The goal holds, and nothing fails.
    reached: bool,
    /// What could not be evaluated.
    trouble: Option<String>,
}

impl Verdict {
    fn of(wait: &Wait, bind: &BTreeMap<String, Value>, document: &Document) -> Result<Self, Stop> {
        let (mut failing, mut trouble) = (None, None);
        for (number, fail) in wait.fail.iter().enumerate() {
            if lenient(condition::holds_in(&fail.when, bind, document), &mut trouble)? == Some(true) {
                failing = Some(number);
                break;
            }
        }
        let progress = match &wait.progress {
            Some(progress) => lenient(condition::evaluate_in(progress, bind, document), &mut trouble)?,
            None => None,
        };
        let reached =
            failing.is_none() && lenient(condition::holds_in(&wait.until, bind, document), &mut trouble)? == Some(true);
        Ok(Self { failing, progress, reached, trouble })
    }
}

async fn give_up(
    task: &Task,
    scope: &Scope<'_>,
    wait: &Wait,
    clocks: &Checkpoint,
    trouble: Option<&str>,
) -> Result<(), Stop> {
    let reason = if clocks.elapsed >= wait.overall.saturating_mul(1000) {
        format!("not within {} s", wait.overall)
    } else if clocks.since_progress >= wait.no_progress.saturating_mul(1000) {
        format!("no progress for {} s", wait.no_progress)
    } else {
        return Ok(());
    };
    let mut reason = format!("{reason}: {}", task.node().summary);
    if !clocks.progress.is_null() {
        reason.push_str(&format!("; last progress: {}", clocks.progress));
    }
    if let Some(trouble) = trouble {
        reason.push_str(&format!("; {trouble}"));
    }
    Err(failed(task, scope, wait, reason).await)
}

/// A condition that cannot be evaluated (over what is not there yet) does not hold; one that is not JMESPath is a
/// failure of the plan.
fn lenient<T>(result: Result<T, ConditionError>, trouble: &mut Option<String>) -> Result<Option<T>, Stop> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (ConditionError::Absent { .. } | ConditionError::Evaluation { .. })) => {
            *trouble = Some(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

enum Poll {
    /// The list of all answers.
    Answers(Value),
    /// The same, which were not asked for because they are known to be as they were.
    Same(Value),
    /// Nothing was learnt this time.
    Silent {
        reason: String,
        unreachable: bool,
    },
    Refused(String),
}

/// Takes the turns of a look's reads, whose rate counts even where nothing has to be asked.
async fn turns(task: &Task, wait: &Wait) -> Result<(), Stop> {
    for call in &wait.reads {
        task.turn(&call.service, &call.operation, Nap::Light).await?;
    }
    Ok(())
}

async fn poll(task: &Task, scope: &Scope<'_>, wait: &Wait) -> Result<Poll, Stop> {
    let mut answers = Vec::with_capacity(wait.reads.len());
    for call in &wait.reads {
        let Resolved::Call(call) = (Scope { polls: &answers, ..*scope }).call(call)? else {
            answers.push(Value::Null);
            continue;
        };
        match task.call(&call.service, &call.operation, &call.input, Nap::Light).await? {
            Ok(answer) => answers.push(answer),
            Err(error) => match error.kind {
                ErrorKind::NotFound => answers.push(Value::Null),
                ErrorKind::Rejected => return Ok(Poll::Refused(format!("{}: {error}", name(&call)))),
                ErrorKind::Transient | ErrorKind::Unknown | ErrorKind::Environment => {
                    let reason = format!("{}: {error}", name(&call));
                    return Ok(Poll::Silent { reason, unreachable: error.kind == ErrorKind::Environment });
                }
            },
        }
    }
    Ok(Poll::Answers(Value::Array(answers)))
}

/// The failure of a wait, with what can be found out about it.
async fn failed(task: &Task, scope: &Scope<'_>, wait: &Wait, reason: String) -> Stop {
    let mut failure = Failure::new(FailureKind::Wait, reason);
    for evidence in &wait.evidence {
        match gather(task, scope, evidence).await {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => failure.evidence.push(Finding { title: evidence.title.clone(), lines }),
            Err(Stop::Halt(halt)) => return halt.into(),
            Err(Stop::Failed(why)) => {
                let lines = vec![format!("could not be read: {}", why.reason)];
                failure.evidence.push(Finding { title: evidence.title.clone(), lines });
            }
        }
    }
    Stop::Failed(failure)
}

async fn gather(task: &Task, scope: &Scope<'_>, evidence: &Evidence) -> Result<Vec<String>, Stop> {
    // The reason matters, but not so much that the way back waits long for it.
    let deadline = task.now() + 10_000;
    let mut answers: Vec<Value> = Vec::with_capacity(evidence.reads.len());
    for wanted in &evidence.reads {
        let call = match (Scope { polls: &answers, ..*scope }).call(wanted)? {
            Resolved::Call(call) => call,
            Resolved::Nothing => {
                answers.push(Value::Null);
                continue;
            }
        };
        let answer = read(task, &call, deadline, Nap::Deep).await.map_err(|no_answer| no_answer.stop(&call))?;
        answers.push(answer);
    }
    let bind: BTreeMap<String, Value> = scope.bind(&evidence.bind)?;
    let lines = match condition::evaluate(&evidence.lines, &bind, &Value::Array(answers)) {
        Ok(lines) => lines,
        // Expressions over what was not found have nothing to say.
        Err(ConditionError::Absent { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let text = |line: Value| match line {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(match lines {
        Value::Array(list) => list.into_iter().filter(|l| !l.is_null()).map(text).take(LINES).collect(),
        Value::Null => Vec::new(),
        other => vec![text(other)],
    })
}

//! Waits: polls until something holds, and says why when it does not come.
//!
//! Invariants: failure conditions are looked at before the goal, and count once two looks in a row find the same one,
//! because AWS's reads may lag behind what was just changed; only time in which an executor ran counts; a goal that
//! has to hold for a while is watched without a break, so a resumed wait begins that while anew.

use std::collections::BTreeMap;

use belay_schemas::condition::{self, ConditionError};
use belay_schemas::journal::{Checkpoint, Event, Failure, FailureKind, Finding};
use belay_schemas::plan::{Call, Evidence, Wait};
use serde_json::Value;

use super::late::{Resolved, Scope};
use super::listener::What;
use super::port::{Nap, Stop, Task};
use super::read::{name, read};
use crate::cloud::ErrorKind;

/// At least so often, in milliseconds, the clocks of a wait are journalled.
const CHECKPOINT: u64 = 30_000;
/// What a poll itself may take, in milliseconds. When more time than that and the pause before it has passed, the
/// machine was asleep and nobody waited.
const AWAKE: u64 = 30_000;
/// Lines of one piece of evidence at most.
const LINES: usize = 20;

/// Waits; the answer is the list of the last poll's answers.
pub(super) async fn run(
    task: &Task,
    scope: &Scope<'_>,
    wait: &Wait,
    known: Option<&Checkpoint>,
) -> Result<Value, Stop> {
    let bind = scope.bind(&wait.bind)?;
    let mut clocks = known.cloned().unwrap_or_default();
    clocks.held = 0;
    let (mut at, mut written) = (task.now(), task.now());
    let mut planned = at;
    let mut holding = false;
    // What kept the last poll from telling anything.
    let mut trouble: Option<String>;
    let mut unreachable_for = 0;
    let mut suspected = None;
    loop {
        let seen = poll(task, scope, wait).await?;
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
            Poll::Answers(answers) => {
                trouble = None;
                unreachable_for = 0;
                let document = Value::Array(answers);
                let mut failing = None;
                for (number, fail) in wait.fail.iter().enumerate() {
                    if lenient(condition::holds(&fail.when, &bind, &document), &mut trouble)? == Some(true) {
                        failing = Some(number);
                        break;
                    }
                }
                if let Some(fail) = failing.and_then(|number| wait.fail.get(number))
                    && suspected == failing
                {
                    return Err(failed(task, scope, wait, fail.reason.clone()).await);
                }
                suspected = failing;
                if let Some(progress) = &wait.progress
                    && let Some(value) = lenient(condition::evaluate(progress, &bind, &document), &mut trouble)?
                    && value != clocks.progress
                {
                    clocks.progress = value;
                    clocks.since_progress = 0;
                    news = true;
                }
                if suspected.is_none()
                    && lenient(condition::holds(&wait.until, &bind, &document), &mut trouble)? == Some(true)
                {
                    clocks.held += if holding { passed } else { 0 };
                    holding = true;
                    clocks.since_progress = 0;
                    if clocks.held >= wait.hold.saturating_mul(1000) {
                        return Ok(document);
                    }
                } else {
                    (holding, clocks.held) = (false, 0);
                }
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
        task.sleep(next, Nap::Light).await?;
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
    Answers(Vec<Value>),
    /// Nothing was learnt this time.
    Silent {
        reason: String,
        unreachable: bool,
    },
    Refused(String),
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
    Ok(Poll::Answers(answers))
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
        let call: Call = match (Scope { polls: &answers, ..*scope }).call(wanted)? {
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

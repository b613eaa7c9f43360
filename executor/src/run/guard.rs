//! Guards: does what a node relies on still hold?
//!
//! Invariant: a guard that cannot be compared does not hold.

use belay_schemas::condition::{self, Wanted};
use belay_schemas::journal::{Failure, FailureKind, GuardFailure};
use belay_schemas::plan::{Guard, Moment};
use serde_json::Value;

use super::late::Scope;
use super::port::{Nap, Stop, Task};
use super::read::{ask, name};

/// Looks at one guard.
pub(super) async fn check(
    task: &Task,
    scope: &Scope<'_>,
    guard: &Guard,
    wanted: &Wanted,
    deadline: u64,
) -> Result<Vec<GuardFailure>, Stop> {
    let failure = |field: &str, expected: Value, found: Value, error: Option<String>| GuardFailure {
        node: task.node().id.clone(),
        read: name(&guard.read),
        field: field.to_owned(),
        expected,
        found,
        error,
    };
    let answer = match ask(task, scope, &guard.read, deadline, Nap::Light).await {
        Ok(answer) => answer,
        Err(Stop::Failed(Failure { kind: FailureKind::Rejected | FailureKind::Value, reason, .. })) => {
            return Ok(vec![failure("", Value::Null, Value::Null, Some(reason))]);
        }
        Err(stop) => return Err(stop),
    };
    let bind = scope.bind(&guard.bind)?;
    let answer = condition::Document::of(&answer, wanted);
    let mut failures = Vec::new();
    for (field, expected) in &guard.holds {
        let expected = scope.document(expected)?;
        match condition::evaluate_in(field, &bind, &answer) {
            Ok(found) if same(&found, &expected) => {}
            Ok(found) => failures.push(failure(field, expected, found, None)),
            Err(condition::ConditionError::Absent { .. }) => {
                failures.push(failure(field, expected, Value::Null, None));
            }
            Err(error) => failures.push(failure(field, expected, Value::Null, Some(error.to_string()))),
        }
    }
    Ok(failures)
}

/// A node's guards, with what they look at.
fn guards(task: &Task) -> impl Iterator<Item = (&Guard, &Wanted)> {
    task.node().guards.iter().zip(&task.graph.guarded[task.ix])
}

/// The guards that stand for the start of the run.
pub(super) async fn at_start(task: &Task) -> Result<(u32, Vec<GuardFailure>), Stop> {
    let (deadline, scope) = (task.deadline(), task.scope());
    let (mut count, mut failures) = (0, Vec::new());
    for (guard, wanted) in guards(task).filter(|(guard, _)| guard.at == Some(Moment::Start)) {
        count += 1;
        failures.extend(check(task, &scope, guard, wanted, deadline).await?);
    }
    Ok((count, failures))
}

/// The guards that are looked at just before the action.
pub(super) async fn before_action(task: &Task, scope: &Scope<'_>, deadline: u64) -> Result<(), Stop> {
    hold(task, scope, deadline, false).await
}

/// The same for an action that an earlier session was about to begin: nobody knows how long ago, so what had to hold at
/// the start has to hold again, unless this run has changed it since.
pub(super) async fn before_another_try(task: &Task, scope: &Scope<'_>, deadline: u64) -> Result<(), Stop> {
    let start = !task.graph.start_guards_moved(task.ix, |_| true);
    hold(task, scope, deadline, start).await
}

async fn hold(task: &Task, scope: &Scope<'_>, deadline: u64, start: bool) -> Result<(), Stop> {
    let mut failures = Vec::new();
    for (guard, wanted) in guards(task).filter(|(guard, _)| guard.after.is_some() || start) {
        failures.extend(check(task, scope, guard, wanted, deadline).await?);
    }
    if failures.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
    Err(Stop::fail(FailureKind::Guard, words.join("; ")))
}

/// Equality of JSON values in which 3 and 3.0 are the same number, because JMESPath counts in floating point.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

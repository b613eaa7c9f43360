//! Reads: repeated until they answer or the node's time is over.
//!
//! Invariant: a read that says "not found" answers `null`; a read that is refused otherwise is not repeated.

use std::collections::BTreeMap;

use belay_schemas::condition::{self, ConditionError};
use belay_schemas::journal::FailureKind;
use belay_schemas::plan::Call;
use serde_json::Value;

use super::late::{Resolved, Scope};
use super::listener::What;
use super::port::{Nap, Stop, Task};
use super::state::Halt;
use crate::cloud::{CloudError, ErrorKind};

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoAnswer {
    /// Refused.
    Refused(CloudError),
    /// Not answered in time.
    Late(CloudError),
    /// Not reachable from here.
    Unreachable(CloudError),
    /// The run turned or stopped.
    Halt(Halt),
}

impl From<Halt> for NoAnswer {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl NoAnswer {
    /// As the end of a node's work; `what` was read.
    pub fn stop(self, what: &Call) -> Stop {
        let what = name(what);
        match self {
            Self::Refused(error) if is_access(&error.code) => {
                Stop::fail(FailureKind::Unreachable, format!("{what}: {error}"))
            }
            Self::Refused(error) => Stop::fail(FailureKind::Rejected, format!("{what}: {error}")),
            Self::Late(error) => Stop::fail(FailureKind::Timeout, format!("{what} was not answered in time: {error}")),
            Self::Unreachable(error) => Stop::fail(FailureKind::Unreachable, format!("{what}: {error}")),
            Self::Halt(halt) => Stop::Halt(halt),
        }
    }
}

/// `ecs DescribeServices`.
pub(super) fn name(call: &Call) -> String {
    format!("{} {}", call.service, call.operation)
}

/// Whether an error code says that these credentials may not do this: a matter of the environment, not of the plan.
pub(super) fn is_access(code: &str) -> bool {
    code.contains("AccessDenied")
        || code.contains("ExpiredToken")
        || matches!(
            code,
            "UnauthorizedOperation"
                | "AuthFailure"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "OptInRequired"
        )
}

/// Makes a read, again and again until `deadline`.
pub(super) async fn read(task: &Task, call: &Call, deadline: u64, nap: Nap) -> Result<Value, NoAnswer> {
    let mut failures = 0;
    loop {
        let error = match task.call(&call.service, &call.operation, &call.input, nap).await? {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        match error.kind {
            ErrorKind::NotFound => return Ok(Value::Null),
            ErrorKind::Rejected => return Err(NoAnswer::Refused(error)),
            ErrorKind::Transient | ErrorKind::Unknown | ErrorKind::Environment => {}
        }
        failures += 1;
        let again = task.try_again(failures);
        if again > deadline {
            return Err(match error.kind {
                ErrorKind::Environment => NoAnswer::Unreachable(error),
                _ => NoAnswer::Late(error),
            });
        }
        task.note(What::Retrying { operation: name(call), reason: error.to_string(), at: again });
        task.sleep(again, nap).await?;
    }
}

/// Resolves and makes a read of a node's action, guard, probe or case.
pub(super) async fn ask(task: &Task, scope: &Scope<'_>, call: &Call, deadline: u64, nap: Nap) -> Result<Value, Stop> {
    match scope.call(call)? {
        Resolved::Nothing => Ok(Value::Null),
        Resolved::Call(resolved) => {
            read(task, &resolved, deadline, nap).await.map_err(|no_answer| no_answer.stop(&resolved))
        }
    }
}

/// Whether a condition holds. What is not there fulfils no condition, even one that asks for its length.
pub(super) fn holds(
    expression: &str,
    bind: &BTreeMap<String, Value>,
    document: &Value,
) -> Result<bool, ConditionError> {
    match condition::holds(expression, bind, document) {
        Err(ConditionError::Absent { .. }) => Ok(false),
        other => other,
    }
}

/// A node whose action is a read; the answer is kept for references.
pub(super) async fn node(
    task: &Task,
    scope: &Scope<'_>,
    call: &Call,
    expect: Option<&str>,
    deadline: u64,
) -> Result<Value, Stop> {
    let answer = ask(task, scope, call, deadline, Nap::Light).await?;
    match expect {
        None if answer.is_null() => {
            Err(Stop::fail(FailureKind::Rejected, format!("{}: what it names does not exist", name(call))))
        }
        Some(expect) if !holds(expect, &BTreeMap::new(), &answer)? => {
            Err(Stop::fail(FailureKind::Expect, format!("{}: `{expect}` does not hold", name(call))))
        }
        _ => Ok(answer),
    }
}

//! The seam between running a plan and what it runs against: AWS or a simulated AWS.
//!
//! Invariants: JSON in and out as AWS writes it; an implementation answers each call once and never re-sends a mutation
//! by itself; every error says whether something may have happened.

use async_trait::async_trait;
use serde_json::Value;

/// Calls in flight at a time, of an observation or a run. The ECS read buckets hold 50 to 100 and refill with 20 a second; a
/// look-up takes some 50 ms, so this uses up a full bucket quickly, and keeps up with the refill afterwards. More of them
/// only wait for each other.
pub(crate) const IN_FLIGHT: usize = 8;

/// Whether a failed call may have changed something, which decides what the executor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// AWS refused the call: nothing happened, and sending it again will not help.
    Rejected,
    /// AWS refused the call because what it names does not exist: a kind of rejection.
    NotFound,
    /// Nothing happened, and the same call may succeed later (throttling, contention).
    Transient,
    /// The call may or may not have taken effect (lost answer, time-out, 5xx).
    Unknown,
    /// The call cannot be made from here at all (credentials, network, endpoint): nothing happened.
    Environment,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CloudError {
    /// What the failure means for the call.
    pub kind: ErrorKind,
    /// AWS's error code, such as `ServiceNotFoundException`.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl CloudError {
    /// An error of that kind.
    pub fn new(kind: ErrorKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into() }
    }
}

/// Something that answers AWS API calls.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Makes one call: the AWS CLI's service name, the operation as the API spells it, the input as the API takes it.
    /// Two services are not AWS's: those of [`crate::http`].
    ///
    /// # Errors
    /// See [`ErrorKind`].
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError>;

    /// Makes one call on behalf of a node of a plan. Whoever wraps a cloud and has to tell calls apart (a rehearsal, a
    /// trace) learns here whose it is; whoever answers calls does not need to know.
    ///
    /// # Errors
    /// As [`Cloud::call`].
    async fn call_for(&self, node: &str, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let _ = node;
        self.call(service, operation, input).await
    }

    /// The digest (`sha256:…`) that an image has in its registry now.
    ///
    /// # Errors
    /// `NotFound` when the registry has no such image.
    async fn image_digest(&self, image: &str) -> Result<String, CloudError>;

    /// Makes sure that everything answered so far outlives this process; AWS always does.
    ///
    /// # Errors
    /// When it could not be written.
    async fn settle(&self) -> Result<(), CloudError> {
        Ok(())
    }

    /// A number for as long as which stays the same every read of a node would be answered as it was, if that is known: then
    /// nothing has to be asked. Only a target that is all in this process can know.
    fn same_while(&self, node: &str) -> Option<u64> {
        let _ = node;
        None
    }

    /// Whether reads that are wanted at the same moment should be made as one call where the API takes a list. Worth it
    /// where requests are counted and far away; a target that watches single calls wants them single.
    fn joins_reads(&self) -> bool {
        false
    }
}

/// The time that waits are measured in: wall time against AWS, virtual time against a simulated AWS.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> u64;

    /// Returns when [`Clock::now`] has reached `at` (milliseconds). A virtual clock jumps there.
    async fn wait_until(&self, at: u64);

    /// Whether time passes only when waited for, so that no call may be in flight while it is moved.
    fn is_virtual(&self) -> bool;
}

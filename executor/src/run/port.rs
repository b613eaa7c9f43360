//! How workers speak to the task that owns the run's state.
//!
//! Invariants: a worker never touches the state; an emitted event is applied and journalled before `emit` returns; a
//! worker that sleeps is known to sleep, so that a virtual clock moves only when nothing is in flight.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use belay_schemas::journal::{CallError, Event, Failure, FailureKind};
use belay_schemas::plan::Node;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::batch::{Asked, is_joint};
use super::graph::Graph;
use super::late::{Answers, ResolveError, Scope};
use super::listener::What;
use super::state::Halt;
use super::wait::Standing;
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind, IN_FLIGHT};

/// Whether a sleep ends early when the run turns back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nap {
    /// It does: nothing is in flight.
    Light,
    /// It does not: a call is being settled. Only a stop ends it.
    Deep,
}

/// What a worker asks of the owner.
pub(super) enum Message {
    Emit {
        event: Event,
        reply: oneshot::Sender<Result<(), Halt>>,
    },
    Sleep {
        until: u64,
        nap: Nap,
        node: usize,
        standing: Option<Box<Standing>>,
        reply: oneshot::Sender<Result<(), Halt>>,
    },
    Permit {
        service: String,
        operation: String,
        reply: oneshot::Sender<u64>,
    },
    Throttled {
        service: String,
        operation: String,
    },
    Note {
        node: usize,
        what: What,
    },
    Read(Asked),
}

/// Why a worker stops before its node is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    Failed(Failure),
    Halt(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<ResolveError> for Stop {
    fn from(error: ResolveError) -> Self {
        Self::fail(FailureKind::Value, error.to_string())
    }
}

impl From<belay_schemas::condition::ConditionError> for Stop {
    fn from(error: belay_schemas::condition::ConditionError) -> Self {
        Self::fail(FailureKind::Value, error.to_string())
    }
}

impl Stop {
    pub fn fail(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self::Failed(Failure::new(kind, reason))
    }
}

/// What one worker has at hand.
#[derive(Clone)]
pub(super) struct Task {
    pub owner: mpsc::UnboundedSender<Message>,
    pub cloud: Arc<dyn Cloud>,
    pub clock: Arc<dyn Clock>,
    pub graph: Arc<Graph>,
    pub run: Arc<str>,
    pub ix: usize,
    /// Somebody keeps moments of this run.
    pub keeps: bool,
    /// Calls of this run.
    pub calls: Arc<Calls>,
    /// Answers of the nodes that this one refers to.
    pub answers: Arc<Answers>,
}

impl Task {
    pub fn node(&self) -> &Node {
        self.graph.node(self.ix)
    }

    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// When this node's time is over if it began now.
    pub fn deadline(&self) -> u64 {
        self.now() + self.node().timeout.saturating_mul(1000)
    }

    pub fn scope(&self) -> Scope<'_> {
        Scope { run: &self.run, node: &self.node().id, chunk: 0, answers: &self.answers, polls: &[], each: None }
    }

    /// Hands an event to the owner; it is in the journal when this returns.
    pub async fn emit(&self, event: Event) -> Result<(), Halt> {
        let (reply, answer) = oneshot::channel();
        self.owner.send(Message::Emit { event, reply }).map_err(|_| Halt::Stopped)?;
        answer.await.unwrap_or(Err(Halt::Stopped))
    }

    /// Sleeps until a time on the run's clock.
    pub async fn sleep(&self, until: u64, nap: Nap) -> Result<(), Halt> {
        self.rest(until, nap, None).await
    }

    /// Sleeps, and says from where it could be gone on.
    pub async fn rest(&self, until: u64, nap: Nap, standing: Option<Box<Standing>>) -> Result<(), Halt> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Sleep { until, nap, node: self.ix, standing, reply };
        self.owner.send(message).map_err(|_| Halt::Stopped)?;
        answer.await.unwrap_or(Err(Halt::Stopped))
    }

    /// Tells whoever watches.
    pub fn note(&self, what: What) {
        // Nobody watching any more is no reason to stop.
        let _ = self.owner.send(Message::Note { node: self.ix, what });
    }

    /// Makes a read at its turn, together with others where that can be.
    pub async fn call(
        &self,
        service: &str,
        operation: &str,
        input: &Value,
        nap: Nap,
    ) -> Result<Result<Value, CloudError>, Halt> {
        if self.cloud.joins_reads() && is_joint(service, operation, input) {
            let (reply, answer) = oneshot::channel();
            let (service, operation) = (service.to_owned(), operation.to_owned());
            let asked = Asked { node: self.ix, service, operation, input: input.clone(), reply };
            self.owner.send(Message::Read(asked)).map_err(|_| Halt::Stopped)?;
            return answer.await.unwrap_or(Err(Halt::Stopped));
        }
        self.turn(service, operation, nap).await?;
        Ok(self.send(service, operation, input).await)
    }

    /// Waits until the request rate allows a call.
    pub async fn turn(&self, service: &str, operation: &str, nap: Nap) -> Result<(), Halt> {
        let (reply, answer) = oneshot::channel();
        let (service, operation) = (service.to_owned(), operation.to_owned());
        self.owner.send(Message::Permit { service, operation, reply }).map_err(|_| Halt::Stopped)?;
        let at = answer.await.map_err(|_| Halt::Stopped)?;
        if at > self.now() { self.sleep(at, nap).await } else { Ok(()) }
    }

    /// Makes one call now.
    pub async fn send(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let answer = {
            let _calling = Calling::begin(&self.calls);
            match self.calls.permits.acquire().await {
                Ok(_permit) => self.cloud.call_for(&self.node().id, service, operation, input).await,
                Err(closed) => Err(CloudError::new(ErrorKind::Environment, "Closed", closed.to_string())),
            }
        };
        if let Err(error) = &answer
            && super::throttle::is_throttle(&error.code)
        {
            let (service, operation) = (service.to_owned(), operation.to_owned());
            let _ = self.owner.send(Message::Throttled { service, operation });
        }
        answer
    }

    /// When to look again after a pause. Where reads are joined, all waits look at the same moments.
    pub fn next_look(&self, at: u64, pause: u64) -> u64 {
        if self.cloud.joins_reads() { (at + pause / 2).next_multiple_of(pause.max(1)) } else { at + pause }
    }

    /// When to make a failed read again. Where reads are joined, those that failed together are joined again.
    pub fn try_again(&self, failures: u32) -> u64 {
        let at = self.backoff(failures);
        if self.cloud.joins_reads() { at.next_multiple_of(1000) } else { at }
    }

    /// When to try again after the `failures`-th failure in a row: 1, 2, 4, … 20 seconds, of which up to half is cut
    /// off by a hash of run, node and count, so that many nodes do not come back at once and a rerun takes as long.
    pub fn backoff(&self, failures: u32) -> u64 {
        let full = 1000 * (1u64 << failures.saturating_sub(1).min(5)).min(20);
        let hash = Sha256::digest(format!("{}\n{}\n{failures}", self.run, self.node().id).as_bytes());
        let cut = u64::from(u16::from_be_bytes([hash[0], hash[1]])) * (full / 2) / 65_535;
        self.now() + full - cut
    }
}

/// The calls of a run: so many at a time, the others queue.
#[derive(Debug)]
pub(super) struct Calls {
    permits: Semaphore,
    count: AtomicUsize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { permits: Semaphore::new(IN_FLIGHT), count: AtomicUsize::new(0) }
    }
}

impl Calls {
    /// How many are in flight or queue.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Counts a call, also one that is given up.
struct Calling<'a>(&'a AtomicUsize);

impl<'a> Calling<'a> {
    fn begin(calls: &'a Calls) -> Self {
        calls.count.fetch_add(1, Ordering::SeqCst);
        Self(&calls.count)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Collects the answers that a node refers to.
pub(super) fn answers_for(state: &super::state::State, ix: usize) -> Answers {
    let graph = &state.graph;
    let mut answers = HashMap::new();
    for &from in &graph.references[ix] {
        if let Some(answer) = state.answer(from) {
            answers.insert(graph.node(from).id.clone(), answer);
        }
    }
    answers
}

pub(super) fn call_error(error: &CloudError) -> CallError {
    CallError { code: error.code.clone(), message: error.message.clone() }
}

//! Faults for rehearsals and tests: a cloud around a cloud, which misbehaves at chosen calls.
//!
//! Invariants: a fault fires at most once and records that it did; without a matching fault a call passes unchanged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::errors::{rejected, throttled};
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind};
use crate::http::changes;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The call is refused with that error and changes nothing.
    Fail(CloudError),
    /// The call is refused for being one too many.
    Throttle,
    /// The call takes effect, but its answer never arrives.
    LoseAnswer,
    /// The call never arrives, which the caller cannot know.
    LoseRequest,
    /// The caller dies before the call: neither this call nor a later one gets an answer or an effect.
    KillBefore,
    /// The caller dies after the call took effect.
    KillAfter,
}

/// Which call it goes wrong at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The n-th mutating call, from 1.
    Mutation(u64),
    /// The n-th call of an operation, from 1.
    Operation(String, u64),
    /// The n-th call of an operation whose input, as text, contains these words.
    Matching(String, String, u64),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// Where.
    pub at: At,
}

/// A fault that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// Which one, by position in the script.
    pub fault: usize,
    /// The service that was called.
    pub service: String,
    /// The operation that was called.
    pub operation: String,
    /// Its input.
    pub input: Value,
}

#[derive(Debug)]
struct Pending {
    fault: Fault,
    /// Matching calls so far.
    seen: u64,
    fired: bool,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<Pending>,
    fired: Vec<Fired>,
    killed: bool,
}

/// A cloud that misbehaves as its script says.
pub struct Faulty<C> {
    inner: C,
    state: Mutex<State>,
    /// Told when the caller is to die, so that whoever drives it can drop it.
    death: Arc<tokio::sync::Notify>,
}

/// The error code of every call after a kill, for callers that are not dropped.
pub const KILLED: &str = "Killed";

impl<C> Faulty<C> {
    /// Misbehaves as scripted.
    pub fn new(inner: C, script: Vec<Fault>) -> Self {
        let pending = script.into_iter().map(|fault| Pending { fault, seen: 0, fired: false }).collect();
        let state = Mutex::new(State { pending, ..State::default() });
        Self { inner, state, death: Arc::new(tokio::sync::Notify::new()) }
    }

    /// What is inside.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// The faults that fired, in order.
    pub fn fired(&self) -> Vec<Fired> {
        self.lock().fired.clone()
    }

    /// Whether every fault of the script fired.
    pub fn all_fired(&self) -> bool {
        self.lock().pending.iter().all(|pending| pending.fired)
    }

    /// Whether the caller was killed.
    pub fn is_killed(&self) -> bool {
        self.lock().killed
    }

    /// Returns when the caller is killed. `select!` on this and the caller, and drop the caller.
    pub async fn death(&self) {
        let told = self.death.notified();
        if !self.is_killed() {
            told.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, service: &str, operation: &str, input: &Value) -> Option<Kind> {
        let mutating = changes(service, operation);
        let mut state = self.lock();
        let State { pending, fired, killed } = &mut *state;
        if *killed {
            return Some(Kind::KillBefore);
        }
        let mut chosen = None;
        for (index, one) in pending.iter_mut().enumerate().filter(|(_, one)| !one.fired) {
            let (matches, number) = match &one.fault.at {
                At::Mutation(number) => (mutating, *number),
                At::Operation(name, number) => (name == operation, *number),
                At::Matching(name, words, number) => {
                    (name == operation && input.to_string().contains(words.as_str()), *number)
                }
            };
            one.seen += u64::from(matches);
            if matches && one.seen == number && chosen.is_none() {
                one.fired = true;
                chosen = Some((index, one.fault.kind.clone()));
            }
        }
        let (index, kind) = chosen?;
        fired.push(Fired {
            fault: index,
            service: service.to_owned(),
            operation: operation.to_owned(),
            input: input.clone(),
        });
        *killed = matches!(kind, Kind::KillBefore | Kind::KillAfter);
        Some(kind)
    }
}

/// A rejection for scripts that need just any.
#[must_use]
pub fn access_denied() -> CloudError {
    rejected("AccessDeniedException", "User is not authorized to perform this action (a scripted fault)")
}

fn lost() -> CloudError {
    CloudError::new(ErrorKind::Unknown, "ConnectionReset", "The connection was closed before an answer arrived")
}

fn killed() -> CloudError {
    CloudError::new(ErrorKind::Unknown, KILLED, "The caller was killed")
}

#[async_trait]
impl<C: Cloud> Cloud for Faulty<C> {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        match self.next(service, operation, input) {
            None => self.inner.call(service, operation, input).await,
            Some(Kind::Fail(error)) => Err(error),
            Some(Kind::Throttle) => Err(throttled(service)),
            Some(Kind::LoseRequest) => Err(lost()),
            Some(Kind::LoseAnswer) => {
                // A refusal is lost like any other answer.
                let _ = self.inner.call(service, operation, input).await;
                Err(lost())
            }
            Some(Kind::KillBefore) => {
                self.death.notify_waiters();
                Err(killed())
            }
            Some(Kind::KillAfter) => {
                let _ = self.inner.call(service, operation, input).await;
                self.death.notify_waiters();
                Err(killed())
            }
        }
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.inner.image_digest(image).await
    }

    async fn settle(&self) -> Result<(), CloudError> {
        self.inner.settle().await
    }
}

#[async_trait]
impl<C: Clock> Clock for Faulty<C> {
    fn now(&self) -> u64 {
        self.inner.now()
    }

    async fn wait_until(&self, at: u64) {
        self.inner.wait_until(at).await;
    }

    fn is_virtual(&self) -> bool {
        self.inner.is_virtual()
    }
}

//! The stage of one run: a simulated AWS and its clock, both of which misbehave as the script says.
//!
//! Invariants: a fault happens at its node only, and it is recorded that it did; after a kill nothing is answered and
//! nothing is written; time passes from one thing that happens to the next, so that no moment of low capacity is missed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use belay_schemas::journal::Event;
use belay_schemas::plan::{Action, Phase, Plan};
use belay_schemas::rehearsal::{Fault, FaultAt};
use serde_json::Value;
use tokio::sync::Notify;

use super::capacity::{Components, Levels};
use super::trouble::Trouble;
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind};
use crate::run::{Listener, Moment, RunEvent, What};
use crate::simulator::{SimulatedCloud, World};

/// How often what passes by itself comes in a row.
const PASSING: u32 = 2;

/// A fault that waits for its node, or has begun.
#[derive(Debug, Clone)]
struct Cue {
    at: FaultAt,
    /// Only mutations of the node count, not what it reads besides.
    mutation: bool,
    back: bool,
    fired: bool,
    /// What it did has shown in the run.
    bitten: bool,
    /// A session later nothing of it is left.
    over: bool,
    count: u32,
    trouble: Trouble,
}

/// Faults of one run at most.
pub(super) const FAULTS: usize = 3;

/// How a run is staged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mode {
    /// What happens is written down.
    pub traced: bool,
    /// Trouble with a wait shows it the past instead of striking tasks, by fault.
    pub frozen: [bool; FAULTS],
}

/// The least that was healthy.
#[derive(Debug, Clone, Default)]
pub(super) struct Lowest {
    pub levels: Levels,
    /// The component whose loss was the fault itself.
    pub excused: Vec<bool>,
}

struct Inner {
    cues: Vec<Cue>,
    killed: bool,
    lowest: Lowest,
    visited: Vec<bool>,
    held: Vec<bool>,
    /// What was told, if somebody wants to know.
    trace: Option<Vec<(u64, String)>>,
    records: u64,
    /// What the world looked like when capacity was looked at last.
    sampled: Option<u64>,
}

/// A stage at a moment at which nothing is in progress.
#[derive(Clone)]
pub(super) struct Kept {
    world: World,
    cues: Vec<Cue>,
    lowest: Lowest,
    visited: Vec<bool>,
    held: Vec<bool>,
    records: u64,
    look: u64,
}

impl Kept {
    /// Before anything.
    pub fn beginning(components: &Components, steps: usize, world: World) -> Self {
        let lowest = Lowest { levels: components.levels(&world), excused: vec![false; components.names.len()] };
        let (visited, held) = (vec![false; steps], vec![false; steps]);
        Self { world, cues: Vec::new(), lowest, visited, held, records: 0, look: 0 }
    }

    /// Whether a step, by position, was begun before.
    pub fn visited(&self, ix: usize) -> bool {
        self.visited[ix]
    }

    /// How many faults are staged.
    pub fn staged(&self) -> usize {
        self.cues.len()
    }
}

/// The stage.
pub(super) struct Stage {
    pub cloud: SimulatedCloud,
    components: Arc<Components>,
    /// Position of each node's id in the plan.
    ids: Arc<Vec<String>>,
    inner: Mutex<Inner>,
    death: Notify,
}

impl Stage {
    /// A stage for a script that begins with what was kept.
    pub fn new(
        plan: &Plan,
        ids: &Arc<Vec<String>>,
        components: &Arc<Components>,
        kept: Kept,
        script: &[FaultAt],
        mode: Mode,
    ) -> Self {
        let Kept { world, mut cues, lowest, visited, held, records, look } = kept;
        let begun = cues.len();
        cues.extend(script.iter().zip(mode.frozen).skip(begun).map(|(at, frozen)| Cue::new(plan, at, frozen)));
        let trace = mode.traced.then(Vec::new);
        let inner = Inner { cues, killed: false, lowest, visited, held, trace, records, sampled: None };
        Self {
            cloud: SimulatedCloud::again(world, look),
            components: Arc::clone(components),
            ids: Arc::clone(ids),
            inner: Mutex::new(inner),
            death: Notify::new(),
        }
    }

    /// What of it has to be kept so that a run can be gone on with.
    pub fn keep(&self) -> Kept {
        let inner = self.lock();
        Kept {
            world: self.cloud.world(),
            cues: inner.cues.clone(),
            lowest: inner.lowest.clone(),
            visited: inner.visited.clone(),
            held: inner.held.clone(),
            records: inner.records,
            look: self.cloud.look_number(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the executor is killed.
    pub async fn death(&self) {
        let told = self.death.notified();
        if !self.lock().killed {
            told.await;
        }
    }

    /// Whether the executor was killed; a new one begins alive, and what fired is over.
    pub fn next_session(&self) -> bool {
        let mut inner = self.lock();
        for cue in inner.cues.iter_mut().filter(|cue| cue.fired && !cue.over) {
            cue.over = true;
            self.cloud.with_world(|world| cue.trouble.lift(world));
        }
        std::mem::take(&mut inner.killed)
    }

    /// Of each fault, whether it happened and whether it showed.
    pub fn fired(&self) -> Vec<(bool, bool)> {
        self.lock().cues.iter().map(|cue| (cue.fired, cue.fired && cue.bitten)).collect()
    }

    /// Whether a fault that happened is one that a way back may get stuck on.
    pub fn may_be_stuck(&self) -> bool {
        let inner = self.lock();
        inner.cues.iter().any(|cue| {
            cue.fired && cue.back && matches!(cue.at.fault, Fault::Rejected | Fault::NeverReady | Fault::FailsInHold)
        })
    }

    /// Nodes that were begun and had anything to do, by position.
    pub fn visited(&self) -> Vec<bool> {
        self.lock().visited.clone()
    }

    /// How many nodes were begun.
    pub fn begun(&self) -> usize {
        self.lock().visited.iter().filter(|visited| **visited).count()
    }

    /// Waits whose goal held and had to last.
    pub fn held(&self) -> Vec<bool> {
        self.lock().held.clone()
    }

    /// The least that was healthy.
    pub fn lowest(&self) -> Lowest {
        self.lock().lowest.clone()
    }

    /// Records that were journalled.
    pub fn records(&self) -> u64 {
        self.lock().records
    }

    /// What was told.
    pub fn trace(&self) -> Vec<(u64, String)> {
        self.lock().trace.clone().unwrap_or_default()
    }

    /// Notes something in the trace.
    pub fn note(&self, what: impl FnOnce() -> String) {
        let now = self.cloud.now();
        if let Some(trace) = &mut self.lock().trace {
            trace.push((now, what()));
        }
    }

    fn sample(&self) {
        let look = self.cloud.look_number();
        if self.lock().sampled.replace(look) == Some(look) {
            return;
        }
        let levels = self.cloud.look(|world| self.components.levels(world));
        let mut inner = self.lock();
        let Lowest { levels: least, excused } = &mut inner.lowest;
        for (at, level) in levels.iter().enumerate() {
            if !excused[at] {
                least[at] = least[at].min(*level);
            }
        }
    }

    pub fn kill(&self) {
        self.lock().killed = true;
        self.note(|| "the executor is killed".to_owned());
        self.death.notify_waiters();
    }

    /// What becomes of a call.
    fn play(&self, node: &str, service: &str, operation: &str, input: &Value) -> Play {
        let mut inner = self.lock();
        if inner.killed {
            return Play::Dead;
        }
        let Some(cue) = inner.cues.iter_mut().find(|cue| cue.at.node == node && !cue.over) else { return Play::On };
        let mutating = || crate::http::changes(service, operation);
        if cue.mutation && !mutating() {
            return Play::On;
        }
        cue.count += 1;
        let count = cue.count;
        let passing = count <= PASSING;
        let play = match cue.at.fault {
            Fault::Rejected => Play::Fail(refused()),
            Fault::Throttled if passing => Play::Fail(too_fast(service)),
            Fault::ServerError if passing => Play::Fail(broken()),
            Fault::AnswerLost if count == 1 => Play::Lose,
            Fault::RequestLost if count == 1 => Play::Fail(lost()),
            Fault::KilledAfterCall if count == 1 => Play::Last,
            Fault::NeverReady | Fault::FailsInHold => {
                let never = cue.at.fault == Fault::NeverReady;
                if !cue.trouble.has_begun() {
                    self.cloud.with_world(|world| cue.trouble.begin(world, operation, input, never));
                }
                cue.fired |= never;
                let seen = cue.trouble.shown(never);
                return seen.map_or(Play::On, Play::Frozen);
            }
            _ => Play::On,
        };
        if !matches!(play, Play::On) {
            (cue.fired, cue.bitten) = (true, true);
        }
        play
    }

    /// Whether something is journalled, and whether the executor lives on after it.
    pub fn journalled(&self, event: Option<&Event>) -> (bool, bool) {
        let mut inner = self.lock();
        if inner.killed {
            return (false, false);
        }
        inner.records += 1;
        let mut fate = (true, true);
        let Some(event) = event else { return fate };
        for cue in inner.cues.iter_mut().filter(|cue| !cue.fired && !cue.over) {
            fate = match cue.at.fault {
                Fault::KilledBeforeIntent if cue.opens(event) => (false, false),
                Fault::KilledAfterIntent if cue.opens(event) => (true, false),
                Fault::KilledAfterOutcome if cue.closes(event) => (true, false),
                _ => continue,
            };
            (cue.fired, cue.bitten) = (true, true);
            break;
        }
        fate
    }

    fn told(&self, event: &RunEvent) {
        let at = event.node.as_ref().and_then(|node| self.ids.binary_search(node).ok());
        let mut inner = self.lock();
        if let Some(at) = at {
            match event.what {
                What::Started => inner.visited[at] = true,
                // Nothing is there that it could do anything to.
                What::Listed { items: 0, .. } => inner.visited[at] = false,
                _ => {}
            }
            inner.held[at] |= matches!(event.what, What::Polled { holding: true, .. });
        }
        if let Some(trace) = &mut inner.trace
            && let Some(words) = super::trace::words(event)
        {
            trace.push((event.at, words));
        }
        let turned = matches!(event.what, What::Entered { phase: belay_schemas::journal::RunPhase::Undo });
        let Inner { cues, lowest, .. } = &mut *inner;
        for cue in cues.iter_mut().filter(|cue| !cue.over) {
            let own = event.node.as_ref() == Some(&cue.at.node);
            if turned && cue.fired {
                self.cloud.with_world(|world| cue.trouble.turned(world));
            }
            match event.what {
                What::Polled { holding: true, .. } if own && cue.at.fault == Fault::FailsInHold && !cue.fired => {
                    cue.fired = true;
                    for key in self.cloud.with_world(|world| cue.trouble.strike(world)) {
                        if let Some(component) = self.components.of_service(&key) {
                            lowest.excused[component] = true;
                        }
                    }
                }
                What::Failed { .. } | What::Abandoned if own && cue.fired => cue.bitten = true,
                _ => {}
            }
        }
    }
}

/// What becomes of a call.
enum Play {
    On,
    Fail(CloudError),
    /// It takes effect, unanswered.
    Lose,
    /// It takes effect, and the caller dies.
    Last,
    /// The caller is dead.
    Dead,
    /// It is answered as if nothing had happened since.
    Frozen(Arc<SimulatedCloud>),
}

impl Cue {
    fn new(plan: &Plan, at: &FaultAt, frozen: bool) -> Self {
        let node = plan.node(&at.node);
        let mutation = node.is_some_and(|node| node.action.mutation().is_some());
        let back = node.is_some_and(|node| node.phase == Phase::Undo);
        Self {
            mutation,
            back,
            fired: false,
            bitten: false,
            over: false,
            count: 0,
            trouble: Trouble::new(node.is_some_and(|node| matches!(node.action, Action::Wait { .. })), back, frozen),
            at: at.clone(),
        }
    }

    /// Whether a record announces the step.
    fn opens(&self, event: &Event) -> bool {
        let announces =
            if self.mutation { matches!(event, Event::Intent { .. }) } else { matches!(event, Event::Start { .. }) };
        announces && event.node() == Some(&self.at.node)
    }

    /// Whether a record closes the step.
    fn closes(&self, event: &Event) -> bool {
        let ends = match event {
            Event::Outcome { .. } => self.mutation,
            Event::Done { .. } | Event::Failed { .. } => !self.mutation,
            _ => false,
        };
        ends && event.node() == Some(&self.at.node)
    }
}

fn refused() -> CloudError {
    CloudError::new(ErrorKind::Rejected, "InvalidParameterException", "The request is refused (rehearsed fault)")
}

fn too_fast(service: &str) -> CloudError {
    let code = if service == "ecs" { "ThrottlingException" } else { "Throttling" };
    CloudError::new(ErrorKind::Transient, code, "Rate exceeded (rehearsed fault)")
}

fn broken() -> CloudError {
    CloudError::new(ErrorKind::Unknown, "InternalFailure", "HTTP 500 (rehearsed fault)")
}

fn lost() -> CloudError {
    CloudError::new(ErrorKind::Unknown, "ConnectionReset", "The connection was closed before an answer arrived")
}

#[async_trait]
impl Cloud for Stage {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        self.call_for("", service, operation, input).await
    }

    async fn call_for(&self, node: &str, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let answer = match self.play(node, service, operation, input) {
            Play::On => self.cloud.call(service, operation, input).await,
            Play::Fail(error) => return Err(error),
            Play::Frozen(past) => return past.call(service, operation, input).await,
            Play::Lose => {
                // A refusal is lost like any other answer.
                let _ = self.cloud.call(service, operation, input).await;
                Err(lost())
            }
            Play::Last => {
                let _ = self.cloud.call(service, operation, input).await;
                self.kill();
                std::future::pending().await
            }
            Play::Dead => std::future::pending().await,
        };
        self.sample();
        answer
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.cloud.image_digest(image).await
    }

    fn same_while(&self, node: &str) -> Option<u64> {
        let inner = self.lock();
        let staged = inner.killed || inner.cues.iter().any(|cue| cue.at.node == node && !cue.over);
        if staged { None } else { self.cloud.generation() }
    }
}

#[async_trait]
impl Clock for Stage {
    fn now(&self) -> u64 {
        self.cloud.now()
    }

    async fn wait_until(&self, at: u64) {
        while let Some(next) = self.cloud.look(World::next_event).map(|next| next.millis()).filter(|next| *next < at) {
            self.cloud.wait_until(next.max(self.cloud.now() + 1)).await;
            self.sample();
        }
        self.cloud.wait_until(at).await;
        self.sample();
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

/// Keeps a moment.
pub(super) type Keep<'a> = dyn Fn(&dyn Fn() -> Moment) + Send + Sync + 'a;

/// The stage as the run's listener.
pub(super) struct Watcher<'a> {
    pub stage: &'a Stage,
    /// Moments are kept for others to go on from.
    pub keep: Option<&'a Keep<'a>>,
}

impl Listener for Watcher<'_> {
    fn event(&self, event: &RunEvent) {
        self.stage.told(event);
    }

    fn keeps(&self) -> bool {
        self.keep.is_some()
    }

    fn rests(&self, moment: &dyn Fn() -> Moment) {
        if let Some(keep) = self.keep {
            keep(moment);
        }
    }
}

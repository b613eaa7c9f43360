//! What a run has done so far: the one transition function.
//!
//! Invariants: a live run and a resumed run both go through [`State::apply`], so there is one recovery path; an event
//! that cannot follow what came before is refused with a typed error and changes nothing that matters; this module
//! does no I/O and knows no clock.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use belay_schemas::journal::{
    CallOutcome, Checkpoint, Ending, Event, Failure, FailureKind, GuardFailure, OnFailure, PauseReason,
};
use belay_schemas::plan::{Action, Call, Phase};
use serde_json::{Value, json};

use super::graph::Graph;
use super::undo::Undo;
use crate::shared::Shared;

/// An event that cannot happen now: a damaged journal or a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}`{} cannot follow what the run has done so far: {why}", node.as_ref().map(|n| format!(" of {n}")).unwrap_or_default())]
pub struct Illegal {
    /// The kind of event.
    pub event: &'static str,
    /// Its node.
    pub node: Option<String>,
    /// Why it is impossible.
    pub why: String,
}

/// Where a run stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Guards and preflight reads.
    Checking,
    /// Forward.
    Deploy,
    /// No new forward steps; what is in flight comes to rest, and then this happens.
    Settling(Turn),
    /// After the commit point.
    Finalize,
    /// Backward.
    Undo,
    /// Over.
    Ended(Ending),
}

/// What follows when everything has come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Compensations.
    Back,
    /// A pause.
    Pause(PauseReason),
}

/// Why a worker must not begin anything new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The run turned back or pauses: what is in flight is settled, nothing else is begun.
    Turned,
    /// The run stops where it is.
    Stopped,
}

/// How far one node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// Not begun, or to be begun again.
    #[default]
    Pending,
    /// In progress.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
}

/// One chunk of a mutation: without `each` there is one, number 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    /// How often it was sent.
    pub attempts: u32,
    /// The call as it was sent last.
    pub call: Option<Arc<Call>>,
    /// What is known of it.
    pub effect: Effect,
    /// Whether an earlier attempt had an unknown outcome.
    pub doubtful: bool,
    /// Whether it was sent again without proof that the attempt before did not happen, because that does no harm.
    pub unproven: bool,
}

/// What is known of a mutation's effect.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Effect {
    /// Never sent, or proven not to have happened.
    #[default]
    None,
    /// Sent; no outcome yet.
    Open,
    /// Sent; the outcome is unknown.
    Unknown,
    /// It happened.
    Applied(Arc<Value>),
}

/// What is known of one node.
#[derive(Debug, Clone, Default)]
pub struct NodeState {
    /// How far it is.
    pub progress: Progress,
    /// Its mutations.
    pub chunks: Vec<Chunk>,
    /// The list of `each`.
    pub items: Option<Arc<Vec<Value>>>,
    /// The answer of a read or wait.
    pub answer: Option<Arc<Value>>,
    /// Where its wait stood.
    pub wait: Option<Checkpoint>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether its gate was approved.
    pub approved: bool,
    /// How often it was begun in its phase since the last session began.
    pub tries: u32,
    /// When it was begun first and left last (milliseconds).
    pub span: Option<(u64, u64)>,
}

impl NodeState {
    /// Whether a mutation of it happened or may have happened.
    pub fn happened(&self) -> bool {
        self.chunks.iter().any(|chunk| chunk.effect != Effect::None)
    }

    /// Whether it is not known of some mutation of it if it happened.
    pub fn doubtful(&self) -> bool {
        self.chunks.iter().any(|chunk| matches!(chunk.effect, Effect::Open | Effect::Unknown))
    }
}

/// What a run has done so far.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) graph: Arc<Graph>,
    pub(super) on_failure: OnFailure,
    pub(super) stage: Stage,
    pub(super) checked: bool,
    pub(super) stale: Vec<GuardFailure>,
    pub(super) unreachable: Option<String>,
    /// Each shared with the moments that were kept and the workers that know it.
    pub(super) nodes: Vec<Shared<NodeState>>,
    pub(super) waiting: Vec<usize>,
    /// Forward nodes that can begin, the longest way first, by phase.
    pub(super) ready: [BTreeSet<(Reverse<u32>, usize)>; 3],
    /// Forward nodes that are not done yet, by phase.
    pub(super) remaining: [usize; 3],
    pub(super) running: usize,
    pub(super) failed: Vec<usize>,
    pub(super) undo: Vec<Option<Undo>>,
    pub(super) undo_open: BTreeSet<usize>,
    /// The session must end because something could not be reached while going back.
    pub(super) pausing: bool,
    pub(super) paused: Option<(PauseReason, Vec<String>)>,
    pub(super) interrupts: u32,
    /// A person asked for the way back, so that arriving there is what was wanted.
    pub(super) requested: bool,
    pub(super) resumed: bool,
    pub(super) at: u64,
}

pub(super) fn slot(phase: Phase) -> Option<usize> {
    match phase {
        Phase::Preflight => Some(0),
        Phase::Deploy => Some(1),
        Phase::Finalize => Some(2),
        Phase::Undo => None,
    }
}

impl State {
    /// A run that has done nothing yet.
    pub fn new(graph: Arc<Graph>, on_failure: OnFailure) -> Self {
        let n = graph.len();
        let mut state = Self {
            graph,
            on_failure,
            stage: Stage::Checking,
            checked: false,
            stale: Vec::new(),
            unreachable: None,
            nodes: vec![Shared::default(); n],
            waiting: Vec::new(),
            ready: Default::default(),
            remaining: [0; 3],
            running: 0,
            failed: Vec::new(),
            undo: vec![None; n],
            undo_open: BTreeSet::new(),
            pausing: false,
            paused: None,
            interrupts: 0,
            requested: false,
            resumed: false,
            at: 0,
        };
        state.line_up();
        state
    }

    /// Works out anew what waits for what, from what is done.
    pub(super) fn line_up(&mut self) {
        let graph = Arc::clone(&self.graph);
        self.ready = Default::default();
        self.remaining = [0; 3];
        self.waiting = vec![0; graph.len()];
        for ix in 0..graph.len() {
            let Some(slot) = slot(graph.node(ix).phase) else { continue };
            if self.nodes[ix].progress == Progress::Done {
                continue;
            }
            self.remaining[slot] += 1;
            self.waiting[ix] =
                graph.before[ix].iter().filter(|&&from| self.nodes[from].progress != Progress::Done).count();
            if self.waiting[ix] == 0 && self.nodes[ix].progress == Progress::Pending {
                self.ready[slot].insert((Reverse(graph.height[ix]), ix));
            }
        }
    }

    /// Applies an event that happened at a time (milliseconds).
    ///
    /// # Errors
    /// When it cannot follow what came before.
    pub fn apply(&mut self, at: u64, event: &Event) -> Result<(), Illegal> {
        self.at = at;
        let illegal =
            |why: &str| Illegal { event: event.kind(), node: event.node().map(str::to_owned), why: why.to_owned() };
        let known = match event.node() {
            Some(id) => Some(self.graph.find(id).ok_or_else(|| illegal("the plan has no such node"))?),
            None => None,
        };
        if let (Stage::Ended(_), false) = (self.stage, matches!(event, Event::Session { .. })) {
            return Err(illegal("the run has ended"));
        }
        let ix = known.unwrap_or(usize::MAX);
        match event {
            Event::Session { mode, .. } => self.session(*mode),
            Event::Checked { failures, unreachable, .. } => {
                if !matches!(self.stage, Stage::Checking | Stage::Deploy | Stage::Settling(_)) {
                    return Err(illegal("nothing is checked at this point"));
                }
                self.checked(failures, unreachable.as_ref().map(ToString::to_string));
            }
            Event::Enter { phase } => self.enter(*phase).map_err(illegal)?,
            Event::Start { .. } => self.start(ix).map_err(illegal)?,
            Event::List { items, .. } => {
                self.must_run(ix).map_err(illegal)?;
                if self.nodes[ix].items.is_some() {
                    return Err(illegal("its list is known already"));
                }
                self.nodes[ix].items = Some(Arc::clone(items));
            }
            Event::Intent { chunk, attempt, call, .. } => {
                self.intent(ix, *chunk, *attempt, call).map_err(illegal)?;
            }
            Event::Outcome { chunk, attempt, outcome, .. } => {
                self.outcome(ix, *chunk, *attempt, outcome).map_err(illegal)?;
            }
            Event::Poll { wait, .. } => {
                self.must_run(ix).map_err(illegal)?;
                self.nodes[ix].wait = Some(wait.clone());
            }
            Event::Done { answer, .. } => self.done(ix, answer).map_err(illegal)?,
            Event::Failed { failure, .. } => self.fail(ix, failure).map_err(illegal)?,
            Event::Abandoned { .. } => {
                self.must_run(ix).map_err(illegal)?;
                self.leave(ix, Progress::Pending);
                self.queue(ix);
            }
            Event::Case { case, taken, why, .. } => {
                self.case(ix, *case as usize, *taken, why.as_deref()).map_err(illegal)?;
            }
            Event::Approved { .. } => {
                if !matches!(self.graph.node(ix).action, Action::Gate { .. }) {
                    return Err(illegal("it is not a gate"));
                }
                self.nodes[ix].approved = true;
            }
            Event::Interrupted { times } => self.interrupted(*times),
            Event::Paused { reason, nodes } => {
                if self.running > 0 && *reason != PauseReason::Interrupt {
                    return Err(illegal("steps are still in progress"));
                }
                self.paused = Some((*reason, nodes.clone()));
            }
            Event::End { outcome } => self.end(*outcome).map_err(illegal)?,
        }
        Ok(())
    }

    fn start(&mut self, ix: usize) -> Result<(), &'static str> {
        let phase = self.graph.node(ix).phase;
        if self.nodes[ix].progress != Progress::Pending {
            return Err("it is not waiting to begin");
        }
        match (self.stage, slot(phase)) {
            (Stage::Undo, None) => {
                if !self.undo_ready(ix) {
                    return Err("it is not this compensation's turn");
                }
            }
            (Stage::Checking, Some(0)) | (Stage::Deploy, Some(1)) | (Stage::Finalize, Some(2)) => {
                let slot = slot(phase).unwrap_or_default();
                if !self.ready[slot].remove(&(Reverse(self.graph.height[ix]), ix)) {
                    return Err("what comes before it is not done");
                }
            }
            _ => return Err("its phase is not now"),
        }
        let node = &mut *self.nodes[ix];
        node.progress = Progress::Running;
        node.failure = None;
        node.tries += 1;
        node.span = Some((node.span.map_or(self.at, |(from, _)| from), self.at));
        self.running += 1;
        Ok(())
    }

    /// Whether a node may still send something new.
    pub(super) fn may_send(&self, ix: usize) -> bool {
        self.nodes[ix].progress == Progress::Running && self.halting().is_none()
    }

    /// Why workers must not begin anything new, if they must not.
    pub(super) fn halting(&self) -> Option<Halt> {
        match self.stage {
            _ if self.interrupts >= 2 => Some(Halt::Stopped),
            Stage::Settling(_) => Some(Halt::Turned),
            _ if self.pausing => Some(Halt::Turned),
            _ => None,
        }
    }

    fn must_run(&self, ix: usize) -> Result<(), &'static str> {
        if self.nodes[ix].progress == Progress::Running { Ok(()) } else { Err("it is not in progress") }
    }

    fn intent(&mut self, ix: usize, chunk: u32, attempt: u32, call: &Arc<Call>) -> Result<(), &'static str> {
        self.must_run(ix)?;
        if !self.may_send(ix) {
            return Err("the run has turned back");
        }
        if self.graph.effect(ix).is_none() {
            return Err("it changes nothing");
        }
        let harmless = self.graph.repeatable[ix];
        let chunks = &mut self.nodes[ix].chunks;
        match chunk as usize {
            at if at == chunks.len() => chunks.push(Chunk::default()),
            at if at > chunks.len() => return Err("an earlier chunk was not sent"),
            _ => {}
        }
        let chunk = &mut chunks[chunk as usize];
        let doubt = matches!(chunk.effect, Effect::Open | Effect::Unknown);
        if matches!(chunk.effect, Effect::Applied(_)) || (doubt && !harmless) {
            return Err("an earlier attempt happened or may have happened");
        }
        if attempt != chunk.attempts + 1 {
            return Err("attempts are not numbered one by one");
        }
        chunk.attempts = attempt;
        chunk.call = Some(Arc::clone(call));
        chunk.effect = Effect::Open;
        chunk.doubtful |= doubt;
        chunk.unproven |= doubt;
        Ok(())
    }

    fn outcome(&mut self, ix: usize, chunk: u32, attempt: u32, outcome: &CallOutcome) -> Result<(), &'static str> {
        // On the way back a doubtful call is settled when its node's turn comes, without being begun again.
        let settling = self.stage == Stage::Undo && self.undo[ix].is_some();
        if self.nodes[ix].progress != Progress::Running && !settling {
            return Err("it is not in progress");
        }
        let chunk = self.nodes[ix].chunks.get_mut(chunk as usize).ok_or("this chunk was not sent")?;
        if attempt != chunk.attempts {
            return Err("another attempt is in flight");
        }
        let answered = !matches!(outcome, CallOutcome::ProvenApplied { .. } | CallOutcome::ProvenNotApplied {});
        match (&chunk.effect, answered) {
            (Effect::Open, _) | (Effect::Unknown, false) => {}
            // A probe may show that what AWS refused is there all the same, by an earlier attempt of ours.
            (Effect::None, false) if chunk.attempts > 0 => {}
            _ => return Err("no outcome is awaited"),
        }
        chunk.effect = match outcome {
            CallOutcome::Applied { answer } | CallOutcome::ProvenApplied { answer } => {
                Effect::Applied(Arc::clone(answer))
            }
            CallOutcome::Unknown { .. } => {
                chunk.doubtful = true;
                Effect::Unknown
            }
            CallOutcome::Rejected { .. } | CallOutcome::Transient { .. } | CallOutcome::Unreachable { .. }
                if chunk.unproven =>
            {
                Effect::Unknown
            }
            CallOutcome::Rejected { .. }
            | CallOutcome::Transient { .. }
            | CallOutcome::Unreachable { .. }
            | CallOutcome::ProvenNotApplied {} => Effect::None,
        };
        chunk.unproven &= matches!(chunk.effect, Effect::Open | Effect::Unknown);
        if settling {
            self.undo_settled(ix);
        }
        Ok(())
    }

    fn done(&mut self, ix: usize, answer: &Arc<Value>) -> Result<(), &'static str> {
        self.must_run(ix)?;
        let graph = Arc::clone(&self.graph);
        let node = graph.node(ix);
        if graph.effect(ix).is_some() {
            if self.nodes[ix].doubtful() || self.nodes[ix].chunks.iter().any(|c| c.effect == Effect::None) {
                return Err("not all of it happened");
            }
            if node.each.is_none() && self.nodes[ix].chunks.is_empty() {
                return Err("nothing was sent");
            }
        } else {
            self.nodes[ix].answer = Some(Arc::clone(answer));
        }
        self.leave(ix, Progress::Done);
        match slot(node.phase) {
            None => self.undo_done(ix),
            Some(slot_of) => {
                self.remaining[slot_of] -= 1;
                for &to in &graph.behind[ix] {
                    self.waiting[to] = self.waiting[to].saturating_sub(1);
                    self.queue(to);
                }
            }
        }
        Ok(())
    }

    fn queue(&mut self, ix: usize) {
        if let Some(slot) = slot(self.graph.node(ix).phase)
            && self.waiting[ix] == 0
            && self.nodes[ix].progress == Progress::Pending
        {
            self.ready[slot].insert((Reverse(self.graph.height[ix]), ix));
        }
    }

    fn leave(&mut self, ix: usize, progress: Progress) {
        let node = &mut *self.nodes[ix];
        node.progress = progress;
        node.span = Some((node.span.map_or(self.at, |(from, _)| from), self.at));
        self.running = self.running.saturating_sub(1);
    }

    fn fail(&mut self, ix: usize, failure: &Failure) -> Result<(), &'static str> {
        if self.stage == Stage::Undo && self.undo[ix].is_some() {
            // The forward node's cases could not be looked at.
            self.pausing = true;
            self.unreachable = Some(failure.reason.clone());
            return Ok(());
        }
        self.must_run(ix)?;
        self.leave(ix, Progress::Failed);
        self.nodes[ix].failure = Some(failure.clone());
        let unreachable = failure.kind == FailureKind::Unreachable;
        if unreachable {
            self.unreachable = Some(failure.reason.clone());
        }
        let again = |node: &NodeState, action: &Action| {
            !unreachable
                && node.tries < 2
                && matches!(action, Action::Call { .. } | Action::Read { .. } | Action::Http { .. })
        };
        match self.stage {
            Stage::Undo if unreachable => {
                self.nodes[ix].progress = Progress::Pending;
                self.pausing = true;
            }
            Stage::Undo => self.undo_failed(ix, &failure.reason),
            Stage::Finalize if again(&self.nodes[ix], &self.graph.node(ix).action) => {
                self.nodes[ix].progress = Progress::Pending;
                self.queue(ix);
            }
            Stage::Deploy | Stage::Settling(_) if unreachable => {
                self.failed.push(ix);
                if self.stage == Stage::Deploy {
                    self.stage = Stage::Settling(Turn::Pause(PauseReason::Environment));
                }
            }
            Stage::Deploy | Stage::Settling(_) => {
                self.failed.push(ix);
                self.turn();
            }
            Stage::Checking | Stage::Finalize | Stage::Ended(_) => self.failed.push(ix),
        }
        Ok(())
    }

    /// Whether any mutation was sent that happened or may have happened.
    pub fn mutated(&self) -> bool {
        self.nodes.iter().any(|node| node.happened())
    }

    /// Where the run stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What is known of a node.
    pub fn node(&self, ix: usize) -> &NodeState {
        &self.nodes[ix]
    }

    /// The same, to be kept beside the state.
    pub(super) fn known(&self, ix: usize) -> Shared<NodeState> {
        self.nodes[ix].clone()
    }

    /// A node's answer, as late values see it.
    ///
    /// A mutation's is AWS's answer; a read's too. A wait's is the list of the last poll's answers. A mutation or read
    /// with `each` has a list of `{"items": […], "answer": …}`, one for each chunk that happened or may have happened
    /// (`answer` is null then).
    pub fn answer(&self, ix: usize) -> Option<Arc<Value>> {
        let (node, state) = (self.graph.node(ix), &self.nodes[ix]);
        if self.graph.effect(ix).is_none() {
            return state.answer.clone();
        }
        let Some(each) = &node.each else {
            return match &state.chunks.first()?.effect {
                Effect::Applied(answer) => Some(Arc::clone(answer)),
                _ => None,
            };
        };
        let items = state.items.as_ref()?;
        let parts = items.chunks(each.chunk.max(1) as usize).zip(&state.chunks);
        let list = parts.filter_map(|(items, chunk)| match &chunk.effect {
            Effect::None => None,
            Effect::Applied(answer) => Some(json!({"items": items, "answer": **answer})),
            Effect::Open | Effect::Unknown => Some(json!({"items": items, "answer": null})),
        });
        Some(Arc::new(Value::Array(list.collect())))
    }
}

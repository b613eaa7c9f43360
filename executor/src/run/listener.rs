//! What those who watch a run are told.
//!
//! Invariant: watching changes nothing; every journalled event is told, and what is only worth showing (polls, retries)
//! besides.

use std::sync::Arc;

use belay_schemas::journal::{
    CallOutcome, Checkpoint, Ending, Event, Failure, GuardFailure, PauseReason, RunPhase, SessionMode,
};
use belay_schemas::plan::{Call, Phase};
use serde::Serialize;
use serde_json::Value;

use super::graph::Graph;
use super::moment::Moment;
use super::state::State;

/// Somebody who watches a run.
pub trait Listener: Send + Sync {
    /// Something happened. Must return soon: the run waits.
    fn event(&self, event: &RunEvent);

    /// Whether it wants to hear of moments at which nothing is in progress.
    fn keeps(&self) -> bool {
        false
    }

    /// Nothing is in progress but waits that sleep; `keep` keeps the moment, to go on from it again.
    fn rests(&self, _keep: &dyn Fn() -> Moment) {}
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn event(&self, _event: &RunEvent) {}
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// Milliseconds since the Unix epoch, on the run's clock.
    pub at: u64,
    /// The node, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The node's component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The node's phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Milliseconds since the node was begun first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum What {
    /// An executor took the run up.
    Session {
        /// For what.
        mode: SessionMode,
    },
    /// Start guards were looked at.
    Checked {
        /// How many.
        guards: u32,
        /// Those that do not hold.
        failures: Vec<GuardFailure>,
    },
    /// The run moved on.
    Entered {
        /// Where to.
        phase: RunPhase,
    },
    /// A node's work began.
    Started,
    /// The list of a node with `each` is known.
    Listed {
        /// How many items.
        items: usize,
    },
    /// A mutation is sent, with its late values put in.
    Sending {
        /// The chunk.
        chunk: u32,
        /// The attempt.
        attempt: u32,
        /// The call.
        call: Arc<Call>,
    },
    /// What became of it.
    Answered {
        /// The chunk.
        chunk: u32,
        /// The outcome.
        outcome: CallOutcome,
    },
    /// A call will be made again.
    Retrying {
        /// `ecs UpdateService`.
        operation: String,
        /// Why.
        reason: String,
        /// When, in milliseconds on the run's clock.
        at: u64,
    },
    /// A wait looked once more.
    Polled {
        /// Its clocks.
        clocks: Checkpoint,
        /// Whether its goal holds and is being watched.
        holding: bool,
    },
    /// A node is done.
    Done {
        /// The answer of a read or wait.
        #[serde(skip_serializing_if = "Value::is_null")]
        answer: Arc<Value>,
    },
    /// A node failed.
    Failed {
        /// How and why.
        failure: Failure,
    },
    /// A node was left because the run turned back.
    Abandoned,
    /// A way back was looked at.
    Case {
        /// Its index.
        case: u32,
        /// Whether it is taken.
        taken: bool,
        /// Why it is not.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A gate was approved.
    Approved,
    /// A person interrupted the run.
    Interrupted {
        /// How often by now.
        times: u32,
    },
    /// The run stopped, resumably.
    Paused {
        /// Why.
        reason: PauseReason,
        /// Gates or failed nodes.
        nodes: Vec<String>,
    },
    /// The run came to its end.
    Ended {
        /// Which.
        outcome: Ending,
    },
}

impl RunEvent {
    pub(super) fn of(state: &State, at: u64, event: Event) -> Self {
        let ix = event.node().and_then(|id| state.graph.find(id));
        let what = match event {
            Event::Session { mode, .. } => What::Session { mode },
            Event::Checked { guards, failures, .. } => What::Checked { guards, failures },
            Event::Enter { phase } => What::Entered { phase },
            Event::Start { .. } => What::Started,
            Event::List { items, .. } => What::Listed { items: items.len() },
            Event::Intent { chunk, attempt, call, .. } => What::Sending { chunk, attempt, call },
            Event::Outcome { chunk, outcome, .. } => What::Answered { chunk, outcome },
            Event::Poll { wait, .. } => What::Polled { holding: wait.held > 0, clocks: wait },
            Event::Done { answer, .. } => What::Done { answer },
            Event::Failed { failure, .. } => What::Failed { failure },
            Event::Abandoned { .. } => What::Abandoned,
            Event::Case { case, taken, why, .. } => What::Case { case, taken, why },
            Event::Approved { .. } => What::Approved,
            Event::Interrupted { times } => What::Interrupted { times },
            Event::Paused { reason, nodes } => What::Paused { reason, nodes },
            Event::End { outcome } => What::Ended { outcome },
        };
        Self::about(&state.graph, state, ix, at, what)
    }

    pub(super) fn about(graph: &Graph, state: &State, ix: Option<usize>, at: u64, what: What) -> Self {
        let node = ix.map(|ix| graph.node(ix));
        Self {
            at,
            node: node.map(|node| node.id.clone()),
            component: node.and_then(|node| node.component.clone()),
            phase: node.map(|node| node.phase),
            elapsed: ix.and_then(|ix| state.node(ix).span).map(|(from, _)| at.saturating_sub(from)),
            what,
        }
    }
}

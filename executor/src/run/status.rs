//! How a run stands, for people and programs.

use belay_schemas::journal::{Approver, Failure, GuardFailure, Header, RunPhase};
use belay_schemas::plan::Phase;
use serde::Serialize;

use super::driver::phase_of;
use super::outcome::Outcome;
use super::state::{Progress, Stage, State};
use super::undo::UndoEnd;

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// The run's id; empty when a plan without steps began none.
    pub run: String,
    /// The plan's digest.
    pub plan: String,
    /// The plan's project.
    pub project: String,
    /// Account that the run works in.
    pub account: String,
    /// Region that the run works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The simulated world, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Milliseconds since the Unix epoch, on the run's clock.
    pub started_at: u64,
    /// Whose approvals let it begin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Approver>,
    /// When the last thing happened, on the same clock.
    pub last_at: u64,
    /// Where it is, or was last.
    pub phase: RunPhase,
    /// How it came out; absent while it runs, or when its executor died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Guards that did not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<GuardFailure>,
    /// Why the target could not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// Gates that wait for approval, or nodes whose failure the run pauses on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// Forward nodes that could not be undone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<StuckNode>,
    /// All nodes, in the plan's order.
    pub nodes: Vec<NodeStatus>,
}

/// A forward node that could not be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StuckNode {
    /// The node.
    pub node: String,
    /// What it did.
    pub summary: String,
    /// Why it is not undone.
    pub reason: String,
    /// What a person must do.
    pub todo: String,
}

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its id.
    pub node: String,
    /// Its component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub summary: String,
    /// How far it is.
    pub state: NodeWord,
    /// Milliseconds between its beginning and its end, or the last thing that happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How far a node is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeWord {
    /// Not begun.
    Pending,
    /// In progress, or left in progress.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// It may or may not have taken effect.
    Unknown,
    /// Undone.
    Undone,
    /// Could not be undone.
    Stuck,
    /// Stays by consent although the run went back.
    Kept,
}

impl RunStatus {
    pub(super) fn of(header: &Header, state: &State) -> Self {
        let outcome = match (state.stage, &state.paused) {
            (Stage::Ended(ending), _) => Some(Outcome::of(ending, state.requested)),
            (_, Some((reason, _))) => Some(Outcome::Paused { reason: *reason }),
            _ => None,
        };
        let nodes = (0..state.graph.len()).map(|ix| node_status(state, ix)).collect();
        Self {
            run: header.run.clone(),
            plan: header.plan.clone(),
            project: header.project.clone(),
            account: header.account.clone(),
            region: header.region.clone(),
            world: header.world.clone(),
            started_at: header.started_at,
            approved_by: header.approved_by.clone(),
            last_at: state.at.max(header.started_at),
            phase: phase_of(state),
            outcome,
            stale: stale(state),
            unreachable: state.unreachable.clone(),
            waiting_for: state.paused.as_ref().map(|(_, nodes)| nodes.clone()).unwrap_or_default(),
            stuck: (0..state.graph.len()).filter_map(|ix| stuck(state, ix)).collect(),
            nodes,
        }
    }

    /// The first failures, in the plan's order.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.nodes.iter().filter_map(|node| Some((node.node.as_str(), node.failure.as_ref()?)))
    }
}

/// Guards and preflight reads that do not hold.
pub(super) fn stale(state: &State) -> Vec<GuardFailure> {
    let mut all = state.stale.clone();
    for (ix, known) in state.nodes.iter().enumerate() {
        let node = state.graph.node(ix);
        if let (Phase::Preflight, Some(failure)) = (node.phase, &known.failure) {
            all.push(GuardFailure {
                node: node.id.clone(),
                read: node.summary.clone(),
                field: String::new(),
                expected: serde_json::Value::Null,
                found: serde_json::Value::Null,
                error: Some(failure.reason.clone()),
            });
        }
    }
    all
}

fn node_status(state: &State, ix: usize) -> NodeStatus {
    let (node, known) = (state.graph.node(ix), state.node(ix));
    let word = match (&state.undo[ix].as_ref().and_then(|undo| undo.end.clone()), known.progress) {
        (Some(UndoEnd::Undone | UndoEnd::NotNeeded), _) => NodeWord::Undone,
        (Some(UndoEnd::Kept), _) => NodeWord::Kept,
        (Some(UndoEnd::Stuck(_)), _) => NodeWord::Stuck,
        (None, Progress::Running) => NodeWord::Running,
        (None, Progress::Pending | Progress::Failed) if known.doubtful() => NodeWord::Unknown,
        (None, Progress::Pending) => NodeWord::Pending,
        (None, Progress::Done) => NodeWord::Done,
        (None, Progress::Failed) => NodeWord::Failed,
    };
    let until = if known.progress == Progress::Running { state.at } else { known.span.map_or(0, |(_, to)| to) };
    NodeStatus {
        node: node.id.clone(),
        component: node.component.clone(),
        phase: node.phase,
        summary: node.summary.clone(),
        state: word,
        elapsed: known.span.map(|(from, _)| until.saturating_sub(from)),
        failure: known.failure.clone(),
    }
}

fn stuck(state: &State, ix: usize) -> Option<StuckNode> {
    let undo = state.undo[ix].as_ref()?;
    let Some(UndoEnd::Stuck(reason)) = &undo.end else { return None };
    let node = state.graph.node(ix);
    let sent = state.node(ix).chunks.iter().rev().find_map(|chunk| chunk.call.as_ref());
    let what = sent.map_or_else(String::new, |call| format!(" ({} {})", call.service, call.operation));
    Some(StuckNode {
        node: node.id.clone(),
        summary: node.summary.clone(),
        reason: reason.clone(),
        todo: format!(
            "Look at what `{}`{what} left behind and put it right by hand, or remove the cause and run `belay resume`: it tries the way back again.",
            node.summary
        ),
    })
}

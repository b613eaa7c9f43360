//! The journal: what a run did, one JSON document a line.
//!
//! The first line is the [`Header`], each further line a [`Record`]. A mutation's intent is on disk before its call is
//! made, its outcome follows. Replaying a journal through the executor's one transition function gives the run's state.
//!
//! Invariants: records are numbered from 1 without gaps; `sum` chains each line to all lines before it; a newline ends
//! a record, so what follows the last newline was never written whole. Nothing in a journal needs the plan's source:
//! node ids, resolved calls and answers are written out. What may be large is shared by all who know of it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{Call, Target};

/// The word in [`Header::kind`] by which a journal is known.
pub const KIND: &str = "belay-journal";

/// The first line of a journal: what the run is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// Always `belay-journal`.
    pub kind: String,
    /// The run's id: what `{"$run": "id"}` stands for.
    pub run: String,
    /// Digest of the plan that the run is bound to.
    pub plan: String,
    /// Version of the program that started the run.
    pub belay: String,
    /// The plan's project.
    pub project: String,
    /// The plan's target.
    pub target: Target,
    /// Account of the credentials that started the run.
    pub account: String,
    /// Region that the run works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The simulated world that the run works on; absent on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Milliseconds since the Unix epoch, on the run's clock.
    pub started_at: u64,
    /// What a failure leads to.
    pub on_failure: OnFailure,
    /// Nodes in progress at the same time, at most.
    pub concurrency: u32,
    /// Whose signed approvals let the run begin; empty when none were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Approver>,
    /// Checksum over this line; empty until it is written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sum: String,
}

/// Whose approval let a run begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approver {
    /// The signer, as the file of allowed signers names them.
    pub signer: String,
    /// Fingerprint of the key that signed.
    pub key: String,
    /// Until when the approval was valid, as RFC 3339.
    pub expires: String,
}

/// What a failure before the commit point leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Compensate everything that was done.
    #[default]
    Rollback,
    /// Stop where it is; `resume` tries again, `rollback` goes back.
    Pause,
}

/// One line after the header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1, 2, 3, …
    pub seq: u64,
    /// Milliseconds since the Unix epoch, on the run's clock.
    pub at: u64,
    /// What happened.
    pub event: Event,
    /// Checksum over this line and everything before it.
    pub sum: String,
}

/// Any line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "only the schema is made from it; no journal is held as a list of these")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// Every other one.
    Record(Record),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Event {
    /// An executor took the run up.
    Session {
        /// For what.
        mode: SessionMode,
        /// Version of that executor.
        belay: String,
    },
    /// The guards that stand for the start were looked at.
    Checked {
        /// How many.
        guards: u32,
        /// Those that do not hold.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<GuardFailure>,
        /// Why they could not all be looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unreachable: Option<CallError>,
    },
    /// The run moved on. `finalize` is the commit point: from there on nothing is undone any more.
    Enter {
        /// Where to.
        phase: RunPhase,
    },
    /// A node's work began, or began again.
    Start {
        /// The node.
        node: String,
    },
    /// The list that a node with `each` works through.
    List {
        /// The node.
        node: String,
        /// All items, in order.
        items: Arc<Vec<Value>>,
    },
    /// A mutation is about to be sent. On disk before it is.
    Intent {
        /// The node.
        node: String,
        /// Which chunk of the list; 0 without `each`.
        chunk: u32,
        /// 1 for the first time this chunk is sent.
        attempt: u32,
        /// The call with every late value put in.
        call: Arc<Call>,
    },
    /// What became of an intent.
    Outcome {
        /// The node.
        node: String,
        /// The chunk.
        chunk: u32,
        /// The attempt.
        attempt: u32,
        /// What became of it.
        outcome: CallOutcome,
    },
    /// Where a wait stands.
    Poll {
        /// The node.
        node: String,
        /// Its clocks.
        wait: Checkpoint,
    },
    /// A node is done.
    Done {
        /// The node.
        node: String,
        /// Its answer, unless its outcomes hold it already.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        answer: Arc<Value>,
    },
    /// A node failed.
    Failed {
        /// The node.
        node: String,
        /// How and why.
        failure: Failure,
    },
    /// A node was left before it was done, because the run turned back or stopped.
    Abandoned {
        /// The node.
        node: String,
    },
    /// One of a node's ways back was looked at.
    Case {
        /// The forward node.
        node: String,
        /// Index of the case.
        case: u32,
        /// Whether it is taken.
        taken: bool,
        /// Why it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A person approved a gate.
    Approved {
        /// The gate.
        node: String,
    },
    /// A person interrupted the run.
    Interrupted {
        /// 1: turn back; 2: stop where it is.
        times: u32,
    },
    /// The run stopped at a point from which it can be resumed.
    Paused {
        /// Why.
        reason: PauseReason,
        /// Gates that wait for approval, or nodes that failed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<String>,
    },
    /// The run came to an end.
    End {
        /// Which.
        outcome: Ending,
    },
}

/// What a session was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionMode {
    /// A new run.
    Apply,
    /// Go on, trying again what failed.
    Resume,
    /// Go back.
    Rollback,
}

/// The parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunPhase {
    /// Guards and preflight reads, before anything changes.
    Checking,
    /// Forward, up to the commit point.
    Deploy,
    /// After the commit point.
    Finalize,
    /// Backward.
    Undo,
}

/// How a run ended. `finalize-incomplete` and `stuck` can be resumed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// In the target state.
    Done,
    /// In the initial state again.
    RolledBack,
    /// In neither; a person has to act.
    Stuck,
    /// Nothing was changed: the plan's assumptions do not hold.
    Stale,
    /// Nothing was changed: the target could not be reached.
    Environment,
    /// In the target state, but not everything old is gone.
    FinalizeIncomplete,
}

/// Why a run stopped where it can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PauseReason {
    /// A gate waits for approval.
    Gate,
    /// A node failed, and the run was asked to pause then.
    Failure,
    /// The target cannot be reached from here.
    Environment,
    /// A person stopped it.
    Interrupt,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CallOutcome {
    /// It took effect.
    Applied {
        /// AWS's answer.
        answer: Arc<Value>,
    },
    /// AWS refused it for good: nothing happened.
    Rejected {
        /// AWS's words.
        error: CallError,
    },
    /// AWS refused it for now: nothing happened.
    Transient {
        /// AWS's words.
        error: CallError,
    },
    /// It could not be made from here: nothing happened.
    Unreachable {
        /// Why.
        error: CallError,
    },
    /// It may have taken effect.
    Unknown {
        /// What was seen instead of an answer.
        error: CallError,
    },
    /// After an unknown outcome, the probe showed that it took effect.
    ProvenApplied {
        /// The answer as the probe rebuilt it.
        answer: Arc<Value>,
    },
    /// After an unknown outcome, the probe showed that it did not take effect.
    ProvenNotApplied {},
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallError {
    /// AWS's error code.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// The clocks of a wait, in milliseconds. Only time in which an executor ran counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Since the wait began.
    pub elapsed: u64,
    /// Since the progress value changed last.
    pub since_progress: u64,
    /// For how long the condition has been true without a break.
    pub held: u64,
    /// The progress value.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub progress: Value,
}

/// How and why a node failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// Why, for people.
    pub reason: String,
    /// What AWS said that explains it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Finding>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// AWS refused the call.
    Rejected,
    /// The call took effect, but its answer is not what the plan expects.
    Expect,
    /// Something else than the plan expects was found just before the action.
    Guard,
    /// A wait gave up, or what it waited for failed.
    Wait,
    /// The node's time ran out.
    Timeout,
    /// Whether the call took effect could not be found out.
    Unknown,
    /// A late value could not be put in, or an expression not be evaluated.
    Value,
    /// A local command failed.
    Exec,
    /// The target cannot be reached from here.
    Unreachable,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What kind of evidence: `service events`, `stopped tasks`.
    pub title: String,
    /// What it says.
    pub lines: Vec<String>,
}

/// A guard that does not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardFailure {
    /// The node that is guarded.
    pub node: String,
    /// What was read: `ecs DescribeServices`.
    pub read: String,
    /// The field that moved, as JMESPath.
    pub field: String,
    /// What the plan relies on.
    pub expected: Value,
    /// What was found.
    pub found: Value,
    /// Why it could not be compared, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl std::fmt::Display for GuardFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { node, read, field, expected, found, error } = self;
        match error {
            Some(error) => write!(f, "{node}: {read}: {error}"),
            None => write!(f, "{node}: {read}: `{field}` is {found}, the plan relies on {expected}"),
        }
    }
}

impl Event {
    /// The node that this is about.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Start { node }
            | Self::List { node, .. }
            | Self::Intent { node, .. }
            | Self::Outcome { node, .. }
            | Self::Poll { node, .. }
            | Self::Done { node, .. }
            | Self::Failed { node, .. }
            | Self::Abandoned { node }
            | Self::Case { node, .. }
            | Self::Approved { node } => Some(node),
            Self::Session { .. }
            | Self::Checked { .. }
            | Self::Enter { .. }
            | Self::Interrupted { .. }
            | Self::Paused { .. }
            | Self::End { .. } => None,
        }
    }

    /// The word for this kind of event, as it stands in the JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Session { .. } => "session",
            Self::Checked { .. } => "checked",
            Self::Enter { .. } => "enter",
            Self::Start { .. } => "start",
            Self::List { .. } => "list",
            Self::Intent { .. } => "intent",
            Self::Outcome { .. } => "outcome",
            Self::Poll { .. } => "poll",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Abandoned { .. } => "abandoned",
            Self::Case { .. } => "case",
            Self::Approved { .. } => "approved",
            Self::Interrupted { .. } => "interrupted",
            Self::Paused { .. } => "paused",
            Self::End { .. } => "end",
        }
    }
}

impl Failure {
    /// A failure without evidence.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), evidence: Vec::new() }
    }
}

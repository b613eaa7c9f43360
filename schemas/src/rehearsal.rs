//! What rehearsing a plan showed: every step of it failing in every way, on a simulated AWS.
//!
//! Invariants: nothing here depends on when or on how many processors it was made; lists are in a fixed order. The
//! executor writes it (`belay rehearse --format json`), programs read it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What rehearsing a plan showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rehearsal {
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// The plan's project.
    pub project: String,
    /// The plan's digest.
    pub plan: String,
    /// Runs in all.
    pub runs: u64,
    /// What pairs of faults were drawn with.
    pub seed: u32,
    /// Whether every run ended as it must.
    pub holds: bool,
    /// The components of each part of the plan, where it falls into parts that share nothing: what passes, and what goes
    /// wrong on the way back of something in the same part, was tried with that part alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Vec<String>>,
    /// How the plan runs when nothing goes wrong.
    pub undisturbed: Undisturbed,
    /// How long it will take.
    pub prediction: Prediction,
    /// The runs, counted by what went wrong.
    pub faults: Vec<Tally>,
    /// Pairs of faults, the second one on the way back.
    pub pairs: Pairs,
    /// Runs before which somebody else deployed to a service that the plan changes: they must be refused as stale.
    pub strangers: u64,
    /// Healthy capacity of each component that the plan touches or must keep up.
    pub components: BTreeMap<String, Capacity>,
    /// The moments that a reader should know of, most telling first.
    pub worst: Vec<Worst>,
    /// Steps that no run came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unvisited: Vec<String>,
    /// What a rehearsal of this plan cannot know.
    pub unknown: Vec<String>,
    /// Runs that did not end as they must, each kind once, with its shortest trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// AWS refuses the call, whenever it is made in this session.
    Rejected,
    /// AWS refuses the call twice because calls come too fast, and then takes it.
    Throttled,
    /// AWS answers twice with an internal error, and then takes the call.
    ServerError,
    /// The call takes effect, but its answer never arrives.
    AnswerLost,
    /// The call never arrives, which the caller cannot know.
    RequestLost,
    /// What a wait waits for never comes.
    NeverReady,
    /// It comes, and goes again while it is being watched.
    FailsInHold,
    /// The executor dies before the step's intent (of a read or a wait: its start) is written.
    KilledBeforeIntent,
    /// It dies when the intent (or start) is on disk and nothing was sent.
    KilledAfterIntent,
    /// It dies when the call was answered and the outcome not written.
    KilledAfterCall,
    /// It dies when the outcome (or end) is on disk.
    KilledAfterOutcome,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Rejected,
        Self::Throttled,
        Self::ServerError,
        Self::AnswerLost,
        Self::RequestLost,
        Self::NeverReady,
        Self::FailsInHold,
        Self::KilledBeforeIntent,
        Self::KilledAfterIntent,
        Self::KilledAfterCall,
        Self::KilledAfterOutcome,
    ];

    /// The fault in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Throttled => "throttled, then accepted",
            Self::ServerError => "5xx, then accepted",
            Self::AnswerLost => "answer lost after it took effect",
            Self::RequestLost => "answer lost before it took effect",
            Self::NeverReady => "never becomes ready",
            Self::FailsInHold => "ready, then fails within the hold",
            Self::KilledBeforeIntent => "killed before the intent",
            Self::KilledAfterIntent => "killed after the intent",
            Self::KilledAfterCall => "killed after the call",
            Self::KilledAfterOutcome => "killed after the outcome",
        }
    }
}

/// A fault at a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultAt {
    /// What goes wrong.
    pub fault: Fault,
    /// Where.
    pub node: String,
}

impl std::fmt::Display for FaultAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.node, self.fault.words())
    }
}

/// Where a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// In the target state.
    Target,
    /// In the initial state.
    Initial,
    /// In neither.
    Neither,
}

/// How the plan runs when nothing goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undisturbed {
    /// Where it ends.
    pub end: End,
    /// Seconds of simulated time.
    pub seconds: u64,
    /// Why it does not end in the target state, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it could not be taken back by hand afterwards, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// How long a run will take, worked out from the plan alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Seconds from the first call to the end.
    pub seconds: u64,
    /// The steps that decide how long it takes, in order.
    pub path: Vec<PathStep>,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// A step of the critical path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathStep {
    /// The node.
    pub node: String,
    /// Seconds that it takes.
    pub seconds: u64,
    /// What takes that long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// The runs of one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tally {
    /// The fault.
    pub fault: Fault,
    /// Runs with it at a forward step.
    pub forward: u64,
    /// Runs with it at a compensation.
    pub back: u64,
    /// Of all these, those that ended in the target state.
    pub target: u64,
    /// Those that ended in the initial state.
    pub initial: u64,
    /// Those that were stuck first, said so, and were led to an end by `resume` once the fault was gone.
    pub stuck: u64,
    /// Those in which the fault had no effect: what was waited for was there already.
    pub harmless: u64,
}

/// Pairs of faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Pairs that there are, beyond those that were tried anyway.
    pub possible: u64,
    /// Those that were drawn and tried.
    pub tried: u64,
    /// Those of them that were stuck first, said so, and were resumed.
    pub stuck: u64,
}

/// Healthy capacity of a component over all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// Healthy tasks or instances before the run.
    pub start: u64,
    /// What must stay healthy at every moment.
    pub floor: u64,
    /// The least that was healthy at any moment, leaving aside faults that are themselves the loss of what was healthy.
    pub least: u64,
    /// In which run that was; absent when it never fell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_in: Option<String>,
}

/// A moment that a reader should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Worst {
    /// What was worst.
    pub what: String,
    /// In which run.
    pub run: String,
}

/// A run that did not end as it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// What is wrong.
    pub what: String,
    /// Runs that are wrong in this way.
    pub runs: u64,
    /// The faults of the run that shows it with the fewest steps.
    pub faults: Vec<FaultAt>,
    /// What happened in it.
    pub trace: Vec<TraceLine>,
}

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceLine {
    /// Seconds of simulated time since the run began.
    pub at: u64,
    /// What happened.
    pub what: String,
}

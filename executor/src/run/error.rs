//! Why a run could not be begun, taken up or gone on with.

use super::graph::GraphError;
use super::state::Illegal;
use crate::cloud::CloudError;
use crate::journal::JournalError;
use crate::lock::LockError;

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan cannot be run.
    #[error("the plan cannot be run: {0}")]
    Plan(#[from] GraphError),
    /// The plan breaks rules that hold for all plans.
    #[error(transparent)]
    Rules(belay_schemas::checker::LoadError),
    /// The plan is of another format.
    #[error("the plan has format {0}; this version of belay runs format {supported}", supported = belay_schemas::FORMAT)]
    Format(u32),
    /// The plan was changed after it was compiled.
    #[error("the plan's digest is {said}, its content has {found}: it was changed after it was compiled")]
    Digest {
        /// What stands in the plan.
        said: String,
        /// What its content gives.
        found: String,
    },
    /// The credentials belong to another account.
    #[error("the plan is for account {plan}, these credentials belong to account {found}")]
    Account {
        /// The plan's.
        plan: String,
        /// The caller's.
        found: String,
    },
    /// The configured region is another.
    #[error("the plan is for region {plan}, the configured region is {found}")]
    Region {
        /// The plan's.
        plan: String,
        /// The caller's.
        found: String,
    },
    /// The credentials belong to another partition: AWS, AWS China, GovCloud.
    #[error("the plan is for the partition {plan}, these credentials belong to the partition {found}")]
    Partition {
        /// The plan's.
        plan: String,
        /// The caller's.
        found: String,
    },
    /// Who the credentials belong to could not be found out.
    #[error("cannot find out which account the credentials belong to: {0}")]
    Identity(CloudError),
    /// Somebody else works there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal of a run cannot be written any more, so nothing further was sent.
    #[error("run {run} stopped because its journal cannot be written: {source}")]
    Unwritten {
        /// The run.
        run: String,
        /// The reason.
        source: JournalError,
    },
    /// A run of the same plan has begun and is not over.
    #[error(
        "run {run} of this very plan is not over: nothing was done; `belay resume {run}` goes on with it, `belay rollback {run}` takes it back"
    )]
    Unfinished {
        /// That run.
        run: String,
    },
    /// The simulated world could not be saved.
    #[error("the target's state could not be saved: {0}")]
    Settle(CloudError),
    /// There is nothing to approve by that name.
    #[error("{0} is not a gate of this plan")]
    NoGate(String),
    /// A run that changed nothing, or is back already, cannot be rolled back.
    #[error("run {run} has nothing to roll back: {why}")]
    NothingToRollBack {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// A later run stands on what this one made.
    #[error(
        "run {run} cannot be rolled back: run {later} came after it and stands on it; take that one back first (`belay rollback {later}`), or compile the earlier model against what runs now and apply that plan"
    )]
    Superseded {
        /// The run.
        run: String,
        /// The later one.
        later: String,
    },
    /// A later run stands on what this one began.
    #[error(
        "run {run} cannot be gone on with: run {later} came after it and stands on it; observe and compile again, and apply that plan"
    )]
    Overtaken {
        /// The run.
        run: String,
        /// The later one.
        later: String,
    },
    /// What the way back needs is gone.
    #[error(
        "run {run} cannot be rolled back any more: {destroyed} destroyed what {needed} needs ({what}); compile the earlier model against what runs now and apply that plan instead"
    )]
    Destroyed {
        /// The run.
        run: String,
        /// The finalize step.
        destroyed: String,
        /// The compensation.
        needed: String,
        /// What is gone.
        what: String,
    },
    /// The journal tells a story that cannot be.
    #[error("record {record} of the journal: {source}")]
    Replay {
        /// Its number.
        record: u64,
        /// Why it cannot be.
        source: Illegal,
    },
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<Illegal> for RunError {
    fn from(illegal: Illegal) -> Self {
        Self::Internal(illegal.to_string())
    }
}

impl RunError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(_) | Self::Rules(_) | Self::Format(_) | Self::Digest { .. } | Self::Replay { .. } => 1,
            Self::NoGate(_) | Self::NothingToRollBack { .. } | Self::Destroyed { .. } => 1,
            Self::Superseded { .. } | Self::Overtaken { .. } => 1,
            Self::Unfinished { .. } => 5,
            Self::Unwritten { source: JournalError::Encode(_), .. } => 70,
            Self::Unwritten { .. } => 8,
            Self::Account { .. } | Self::Partition { .. } | Self::Region { .. } | Self::Identity(_) => 6,
            Self::Lock(_) | Self::Settle(_) => 6,
            Self::Journal(JournalError::Io { .. } | JournalError::Elsewhere { .. }) => 6,
            Self::Journal(JournalError::Encode(_)) | Self::Internal(_) => 70,
            Self::Journal(_) => 1,
        }
    }
}

//! How a run came out, and the exit code that says so.

use belay_schemas::journal::{Ending, PauseReason};
use serde::Serialize;

/// How a run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// The plan has no steps.
    NothingToDo,
    /// The target state is reached.
    Done,
    /// The initial state is reached again.
    RolledBack {
        /// A person asked for it, rather than a failure or an interruption leading there.
        requested: bool,
    },
    /// Neither state is reached; a person has to act.
    Stuck,
    /// Nothing was changed: the plan's assumptions do not hold.
    Stale,
    /// Nothing was changed: the target could not be reached.
    Environment,
    /// The target state is reached, but not everything old is gone.
    FinalizeIncomplete,
    /// Stopped where it can be resumed.
    Paused {
        /// Why.
        reason: PauseReason,
    },
}

impl Outcome {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NothingToDo | Self::Done | Self::RolledBack { requested: true } => 0,
            Self::RolledBack { requested: false } => 3,
            Self::Stuck => 4,
            Self::Stale => 5,
            Self::Environment => 6,
            Self::FinalizeIncomplete => 7,
            Self::Paused { .. } => 8,
        }
    }

    pub(super) fn of(ending: Ending, requested: bool) -> Self {
        match ending {
            Ending::Done => Self::Done,
            Ending::RolledBack => Self::RolledBack { requested },
            Ending::Stuck => Self::Stuck,
            Ending::Stale => Self::Stale,
            Ending::Environment => Self::Environment,
            Ending::FinalizeIncomplete => Self::FinalizeIncomplete,
        }
    }
}

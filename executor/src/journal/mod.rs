//! The journal on disk: lines with chained checksums, written before what they announce, read back with suspicion.
//!
//! Invariants: an intent is flushed before [`Journal::append`] returns; a record is whole if and only if its newline is
//! there; only what follows the last newline is ever cut off; any other damage is refused with the record's number.

#[cfg(feature = "aws")]
pub mod bucket;
mod line;
mod reader;
mod shelf;
mod store;
mod writer;

pub use reader::{Contents, parse, read};
pub use shelf::{Held, Shelf};
pub(crate) use store::make_private_dir;
pub use store::{Runs, fresh_run_id};
pub use writer::{FileSink, Journal, MemorySink, Paper, Records, Sink};

use std::path::PathBuf;

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// A place that is not a file system refused, or another executor is at work there.
    #[error("{place}: {reason}")]
    Elsewhere {
        /// Which place.
        place: String,
        /// Its words.
        reason: String,
    },
    /// What is wrong with a journal's file.
    #[error("{path}: {source}")]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<JournalError>,
    },
    /// The first line is not a journal's header.
    #[error("not a journal of belay: {0}")]
    Foreign(String),
    /// Another version of the format.
    #[error("the journal has format {0}; this version of belay reads format {supported}", supported = belay_schemas::FORMAT)]
    Format(u64),
    /// Nothing but a torn header.
    #[error("the journal is empty: its run never began")]
    Empty,
    /// A whole line that is not what was written.
    #[error("the journal is damaged at record {record}: {reason}; it is left as it is, nothing was done")]
    Damaged {
        /// The record's number; 0 is the header.
        record: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal belongs to another plan.
    #[error("the run is bound to plan {expected}, this is plan {found}")]
    OtherPlan {
        /// The digest in the header.
        expected: String,
        /// The digest of the plan at hand.
        found: String,
    },
    /// No such run.
    #[error("no run {0}")]
    NoRun(String),
    /// No run at all.
    #[error("no run in {0} yet")]
    NoRuns(PathBuf),
    /// A record that could not be put into JSON.
    #[error("a record could not be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

impl JournalError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

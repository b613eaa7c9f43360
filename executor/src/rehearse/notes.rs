//! A run's journal in memory, as records and not as lines.
//!
//! Invariants: what is kept is what was journalled, in its order; after a kill nothing is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belay_schemas::journal::{Header, Record};

use super::stage::Stage;
use crate::journal::{Contents, JournalError, Records, Sink};

/// The stage as the journal's sink.
pub(super) struct Tap {
    pub stage: Arc<Stage>,
    pub journal: Notes,
}

/// A run's journal in memory; clones share it.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<(Option<Header>, Vec<Record>)>>);

impl Notes {
    fn lock(&self) -> MutexGuard<'_, (Option<Header>, Vec<Record>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was journalled since it was begun or gone on with.
    pub fn since(&self) -> Vec<Record> {
        self.lock().1.clone()
    }

    /// The whole journal, if it was begun here.
    pub fn contents(&self) -> Option<Contents> {
        let (header, records) = &*self.lock();
        let (header, records) = (header.clone()?, records.clone());
        Some(Contents { header, records, length: 0, torn: 0, sum: String::new() })
    }
}

impl Tap {
    /// Nothing more, if the executor was killed by what it wanted to journal.
    fn goes_on(&self, alive: bool) -> Result<(), JournalError> {
        if alive {
            return Ok(());
        }
        self.stage.kill();
        Err(not_written("the executor was killed"))
    }
}

fn not_written(why: &str) -> JournalError {
    JournalError::Io { path: "journal".into(), source: std::io::Error::other(why.to_owned()) }
}

impl Sink for Tap {
    fn append(&mut self, _lines: &str, _durable: bool) -> Result<(), JournalError> {
        Err(not_written("a rehearsal keeps records, not lines"))
    }

    fn records(&mut self) -> Option<&mut dyn Records> {
        Some(self)
    }
}

impl Records for Tap {
    fn begin(&mut self, header: &Header) -> Result<(), JournalError> {
        let (written, alive) = self.stage.journalled(None);
        if written {
            self.journal.lock().0 = Some(header.clone());
        }
        self.goes_on(alive)
    }

    fn append(&mut self, record: Record) -> Result<(), JournalError> {
        let (written, alive) = self.stage.journalled(Some(&record.event));
        if written {
            self.journal.lock().1.push(record);
        }
        self.goes_on(alive)
    }
}

//! A run's journal in memory, as records and not as lines.
//!
//! Invariants: what is kept is what was journalled, in its order; after a kill nothing is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belay_schemas::journal::{Header, Record};

use super::stage::Stage;
use crate::journal::{Contents, JournalError, Records};

/// Journals what happens on a stage, until the executor is killed there.
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

    /// Whether nothing was journalled yet.
    pub fn is_empty(&self) -> bool {
        let (header, records) = &*self.lock();
        header.is_none() && records.is_empty()
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
        let source = std::io::Error::other("the executor was killed");
        Err(JournalError::Io { path: "journal".into(), source })
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

//! A place for runs: a directory, or a bucket that several machines share.
//!
//! Invariants: a run is there as a whole or not at all; only who holds the lock writes; whoever takes a run up reads all
//! of it first.

use belay_schemas::journal::Header;
use belay_schemas::plan::Plan;

use super::{Contents, FileSink, Journal, JournalError, Runs, Sink, make_private_dir};
use crate::lock::{Lock, LockError};

/// Something that is held until it is dropped.
pub trait Held: Send + Sync {}

impl Held for Lock {}

/// A place for runs.
pub trait Shelf: Send + Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// Locks the project and target of a run, so that nobody else works there.
    ///
    /// # Errors
    /// Who holds the lock, or that it could not be taken.
    fn lock(&self, header: &Header) -> Result<Box<dyn Held>, LockError>;

    /// Begins the journal of a new run, with its plan beside it, and lets the run count as the latest.
    ///
    /// # Errors
    /// When the run exists already or something cannot be written.
    fn create(&self, header: &Header, plan: &Plan) -> Result<Journal, JournalError>;

    /// Reads a run's journal and plan back.
    ///
    /// # Errors
    /// Damage, and a plan that is not the one that the run is bound to.
    fn open(&self, run: &str) -> Result<(Contents, Plan), JournalError>;

    /// Where further records of a run go, after what was read of it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn append(&self, run: &str, contents: &Contents) -> Result<Box<dyn Sink>, JournalError>;

    /// The ids of all runs, those that sort first having begun first.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn ids(&self) -> Result<Vec<String>, JournalError>;

    /// The id of a run by itself, or of the latest.
    ///
    /// # Errors
    /// When there is none.
    fn find(&self, run: Option<&str>) -> Result<String, JournalError>;

    /// The run that counts as the latest now, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn pointer(&self) -> Result<Option<String>, JournalError>;

    /// Lets another run count as the latest.
    ///
    /// # Errors
    /// When it cannot be written.
    fn point_to(&self, run: &str) -> Result<(), JournalError>;
}

impl Shelf for Runs {
    fn name(&self) -> String {
        self.dir().display().to_string()
    }

    fn lock(&self, header: &Header) -> Result<Box<dyn Held>, LockError> {
        make_private_dir(self.dir())?;
        let Header { project, account, target, world, run, .. } = header;
        Ok(Box::new(Lock::take(self.dir(), project, account, target, world.as_deref(), run)?))
    }

    fn create(&self, header: &Header, plan: &Plan) -> Result<Journal, JournalError> {
        let begin = |sink: FileSink| Journal::begin(Box::new(sink), header);
        Self::create(self, &header.run, plan, begin).map(|(_, journal)| journal)
    }

    fn open(&self, run: &str) -> Result<(Contents, Plan), JournalError> {
        Self::open(&self.run_dir(run))
    }

    fn append(&self, run: &str, contents: &Contents) -> Result<Box<dyn Sink>, JournalError> {
        Ok(Box::new(Self::append(&self.run_dir(run), contents)?))
    }

    fn ids(&self) -> Result<Vec<String>, JournalError> {
        Ok(Self::ids(self))
    }

    fn find(&self, run: Option<&str>) -> Result<String, JournalError> {
        let dir = Self::find(self, run)?;
        Ok(dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
    }

    fn pointer(&self) -> Result<Option<String>, JournalError> {
        Ok(Self::pointer(self))
    }

    fn point_to(&self, run: &str) -> Result<(), JournalError> {
        Self::point_to(self, run)
    }
}

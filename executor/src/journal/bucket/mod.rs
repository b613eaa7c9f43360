//! Runs in a bucket, for executors on machines that do not stay: `PREFIX/runs/RUN/N.jsonl`,
//! `PREFIX/plans/RUN.json`, `PREFIX/latest`, `PREFIX/locks/….json`.
//!
//! A journal is a row of objects, each with the lines that were written at once, named by its place in the row. An
//! object is created only if it is not there yet, so that of two executors that both think that a run is theirs one is
//! refused at its next record, before it sends anything.
//!
//! Invariants: what is to be durable is in the bucket when `append` returns, with everything before it; an object is
//! never written twice; a run exists as soon as its first object does, and its plan is there before that.

mod desk;
mod lease;
mod s3;
mod store;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use belay_schemas::journal::Header;
use belay_schemas::plan::Plan;
use object_store::ObjectStore;
use object_store::path::Path;

use super::shelf::{Held, Shelf};
use super::{Contents, Journal, JournalError, Sink, parse};
use crate::lock::{LockError, key};
use desk::Desk;
use lease::{Tell, Tenure};
use store::Created;

pub use lease::PATIENCE;
pub use s3::SCHEME;

/// A bucket with runs below a prefix.
#[derive(Clone)]
pub struct Bucket {
    name: String,
    prefix: String,
    desk: Desk,
    /// How long a lock has to stay untouched until its holder counts as dead.
    patience: Duration,
    tell: Tell,
    /// The lock that was taken last, for as long as it is held.
    tenure: Arc<Mutex<Weak<Tenure>>>,
}

impl Bucket {
    /// A bucket behind any object store. `name` is what people call it, such as `s3://bucket/prefix`.
    ///
    /// # Errors
    /// When the system gives no thread for it.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        name: impl Into<String>,
        prefix: &str,
        patience: Duration,
    ) -> Result<Self, JournalError> {
        let name = name.into();
        let prefix = prefix.trim_matches('/').to_owned();
        let desk = Desk::new(store, &name)?;
        Ok(Self { desk, name, prefix, patience, tell: Arc::new(|_| {}), tenure: Arc::default() })
    }

    /// Tells people what is waited for.
    #[must_use]
    pub fn telling(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.tell = Arc::new(tell);
        self
    }

    fn tenure(&self) -> Option<Arc<Tenure>> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn path(&self, parts: &[&str]) -> Path {
        Path::from_iter(self.prefix.split('/').filter(|part| !part.is_empty()).chain(parts.iter().copied()))
    }

    fn journal(&self, run: &str) -> Path {
        self.path(&["runs", run])
    }

    fn plan(&self, run: &str) -> Path {
        self.path(&["plans", &format!("{run}.json")])
    }

    /// The objects of a run's journal, in order.
    fn parts(&self, run: &str) -> Result<Vec<Path>, JournalError> {
        let mut parts = self.desk.list(self.journal(run))?;
        parts.sort();
        Ok(parts)
    }

    fn read_text(&self, path: Path) -> Result<Option<String>, JournalError> {
        Ok(self.desk.get(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The name of the n-th object of a journal: sorted by name is sorted by number.
fn part(number: u64) -> String {
    format!("{number:010}.jsonl")
}

fn valid(run: &str) -> Result<(), JournalError> {
    let good = !run.is_empty() && run.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if good { Ok(()) } else { Err(JournalError::NoRun(run.to_owned())) }
}

impl Shelf for Bucket {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn lock(&self, header: &Header) -> Result<Box<dyn Held>, LockError> {
        let Header { project, account, target, world, run, .. } = header;
        let name = format!("{project}-{}.json", key(project, account, target, world.as_deref()));
        let lease = lease::take(&self.desk, self.path(&["locks", &name]), run, self.patience, Arc::clone(&self.tell))?;
        *self.tenure.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&lease.tenure);
        Ok(Box::new(lease))
    }

    fn create(&self, header: &Header, plan: &Plan) -> Result<Journal, JournalError> {
        let run = header.run.as_str();
        valid(run)?;
        let exists = || JournalError::Elsewhere {
            place: self.name.clone(),
            reason: format!("a run {run} exists there already"),
        };
        if self.desk.create(self.plan(run), plan.to_json().into_bytes())? == Created::Before {
            return Err(exists());
        }
        let journal = Journal::begin(Box::new(self.desk.sink(self.journal(run), 0, self.tenure())), header)?;
        self.point_to(run)?;
        Ok(journal)
    }

    fn open(&self, run: &str) -> Result<(Contents, Plan), JournalError> {
        valid(run)?;
        let parts = self.parts(run)?;
        if parts.is_empty() {
            return Err(JournalError::NoRun(run.to_owned()));
        }
        let gap = |number: usize| JournalError::Elsewhere {
            place: self.name.clone(),
            reason: format!(
                "the journal of run {run} has a gap: {}/{} is missing; nothing was done",
                self.journal(run),
                part(number as u64)
            ),
        };
        for (number, path) in parts.iter().enumerate() {
            if path.filename() != Some(&part(number as u64)) {
                return Err(gap(number));
            }
        }
        let mut bytes = Vec::new();
        for (number, part) in self.desk.get_all(parts)?.into_iter().enumerate() {
            bytes.extend(part.ok_or_else(|| gap(number))?);
        }
        let place = || std::path::PathBuf::from(format!("{}/runs/{run}", self.name));
        let contents = parse(&bytes).map_err(|source| JournalError::In { path: place(), source: Box::new(source) })?;
        if contents.torn > 0 {
            // An object is whole or not there: its last line was cut off by somebody.
            let reason = "the end of its line is missing".to_owned();
            let damaged = JournalError::Damaged { record: contents.records.len() as u64 + 1, reason };
            return Err(JournalError::In { path: place(), source: Box::new(damaged) });
        }
        let text = self.read_text(self.plan(run))?.unwrap_or_default();
        let plan: Plan = serde_json::from_str(&text)
            .map_err(|e| JournalError::Foreign(format!("{} is not a plan ({e})", self.plan(run))))?;
        let found = plan.computed_digest();
        if found != contents.header.plan {
            return Err(JournalError::OtherPlan { expected: contents.header.plan, found });
        }
        Ok((contents, plan))
    }

    fn append(&self, run: &str, _contents: &Contents) -> Result<Box<dyn Sink>, JournalError> {
        let next = self.parts(run)?.len() as u64;
        Ok(Box::new(self.desk.sink(self.journal(run), next, self.tenure())))
    }

    fn ids(&self) -> Result<Vec<String>, JournalError> {
        let mut ids = self.desk.folders(self.path(&["runs"]))?;
        ids.sort();
        Ok(ids)
    }

    fn find(&self, run: Option<&str>) -> Result<String, JournalError> {
        let run = match run {
            Some(run) => run.to_owned(),
            None => match self.pointer()? {
                Some(run) => run,
                None => self.ids()?.pop().ok_or_else(|| JournalError::NoRuns(self.name.clone().into()))?,
            },
        };
        valid(&run)?;
        if self.parts(&run)?.is_empty() { Err(JournalError::NoRun(run)) } else { Ok(run) }
    }

    fn pointer(&self) -> Result<Option<String>, JournalError> {
        let text = self.read_text(self.path(&["latest"]))?;
        Ok(text.map(|text| text.trim().to_owned()).filter(|run| !run.is_empty()))
    }

    fn point_to(&self, run: &str) -> Result<(), JournalError> {
        self.desk.overwrite(self.path(&["latest"]), format!("{run}\n").into_bytes())
    }
}

//! Writing a journal: append, and flush where it matters.
//!
//! Invariant: whatever must be known after a crash (an intent, and by file order everything before it) is on disk when
//! [`Journal::append`] returns.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use belay_schemas::journal::{Event, Header, Record};
use serde::Serialize;

use super::{JournalError, line};

/// Where lines go.
pub trait Sink: Send {
    /// Appends whole lines; `durable` asks that they outlive a crash of the machine.
    ///
    /// # Errors
    /// When they could not be written.
    fn append(&mut self, lines: &str, durable: bool) -> Result<(), JournalError>;
}

/// Where records go that are never written: a rehearsal's stay in memory. They have no checksums.
pub trait Records: Send {
    /// The journal begins.
    ///
    /// # Errors
    /// When the run must not begin.
    fn begin(&mut self, header: &Header) -> Result<(), JournalError>;

    /// One more record.
    ///
    /// # Errors
    /// When the run must not go on.
    fn append(&mut self, record: Record) -> Result<(), JournalError>;
}

/// What a journal's records become.
pub enum Paper {
    /// Lines of text.
    Lines(Box<dyn Sink>),
    /// They are kept as they are.
    Records(Box<dyn Records>),
}

impl<S: Sink + 'static> From<Box<S>> for Paper {
    fn from(sink: Box<S>) -> Self {
        Self::Lines(sink)
    }
}

impl From<Box<dyn Sink>> for Paper {
    fn from(sink: Box<dyn Sink>) -> Self {
        Self::Lines(sink)
    }
}

/// Lines in a file that only its owner may read.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    path: PathBuf,
    /// A write failed: half a line may stand at the end, and nothing may come after it.
    failed: bool,
}

impl FileSink {
    /// A new file; an existing one is refused.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        private(&mut options);
        let file = options.open(path).map_err(JournalError::io(path))?;
        Ok(Self { file, path: path.to_owned(), failed: false })
    }

    /// An existing file, cut to its first `length` bytes: what follows was torn.
    ///
    /// # Errors
    /// When it cannot be opened or cut.
    pub fn reopen(path: &Path, length: u64) -> Result<Self, JournalError> {
        let file = OpenOptions::new().append(true).open(path).map_err(JournalError::io(path))?;
        if file.metadata().map_err(JournalError::io(path))?.len() != length {
            file.set_len(length).map_err(JournalError::io(path))?;
            file.sync_all().map_err(JournalError::io(path))?;
        }
        Ok(Self { file, path: path.to_owned(), failed: false })
    }
}

impl Sink for FileSink {
    fn append(&mut self, lines: &str, durable: bool) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::io(&self.path)(std::io::Error::other("an earlier record could not be written")));
        }
        let written = self.file.write_all(lines.as_bytes());
        let written = if durable { written.and_then(|()| self.file.sync_data()) } else { written };
        self.failed = written.is_err();
        written.map_err(JournalError::io(&self.path))
    }
}

/// Lines in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySink(Arc<Mutex<String>>);

impl MemorySink {
    /// A sink that already holds these lines.
    pub fn holding(lines: impl Into<String>) -> Self {
        Self(Arc::new(Mutex::new(lines.into())))
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Everything that was written.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for MemorySink {
    fn append(&mut self, lines: &str, _durable: bool) -> Result<(), JournalError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(lines);
        Ok(())
    }
}

/// Opens only for the owner, where the system knows owners.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// A journal that is being written.
pub struct Journal {
    paper: Paper,
    next: u64,
    sum: String,
}

#[derive(Serialize)]
struct Unsealed<'a> {
    seq: u64,
    at: u64,
    event: &'a Event,
}

impl Journal {
    /// Begins a journal with its header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(paper: impl Into<Paper>, header: &Header) -> Result<Self, JournalError> {
        let mut journal = Self { paper: paper.into(), next: 1, sum: String::new() };
        match &mut journal.paper {
            Paper::Records(records) => records.begin(header)?,
            Paper::Lines(sink) => {
                let (line, sum) = line::seal(&serde_json::to_string(header)?, "");
                sink.append(&line, true)?;
                journal.sum = sum;
            }
        }
        Ok(journal)
    }

    /// Goes on with a journal whose last record is number `last` with checksum `sum`.
    pub fn go_on(paper: impl Into<Paper>, last: u64, sum: String) -> Self {
        Self { paper: paper.into(), next: last + 1, sum }
    }

    /// Number and checksum of the last record.
    #[must_use]
    pub fn last(&self) -> (u64, String) {
        (self.next - 1, self.sum.clone())
    }

    /// Appends one record and returns its number.
    ///
    /// # Errors
    /// When it could not be written; the run must not go on then.
    pub fn append(&mut self, at: u64, event: &Event) -> Result<u64, JournalError> {
        let seq = self.next;
        match &mut self.paper {
            Paper::Records(records) => {
                records.append(Record { seq, at, event: event.clone(), sum: String::new() })?;
            }
            Paper::Lines(sink) => {
                let (line, sum) = line::seal(&serde_json::to_string(&Unsealed { seq, at, event })?, &self.sum);
                let durable = matches!(
                    event,
                    Event::Intent { .. } | Event::Session { .. } | Event::Paused { .. } | Event::End { .. }
                );
                sink.append(&line, durable)?;
                self.sum = sum;
            }
        }
        self.next += 1;
        Ok(seq)
    }
}

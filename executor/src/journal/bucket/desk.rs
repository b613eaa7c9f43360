//! The one thread that talks to the object store, so that a journal can be written from anywhere without waiting in an
//! asynchronous runtime.
//!
//! Invariants: objects of a journal are written in order; a line that is to be durable is answered for when it is there;
//! after a failure nothing further of that journal is written; no durable line is answered for when the lock may be lost.

use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::Error;
use object_store::path::Path;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::super::{JournalError, Sink};
use super::lease::Tenure;
use super::part;
use super::store::{self, Created, Store};

/// Speaks to the store on a thread of its own.
#[derive(Clone)]
pub(super) struct Desk {
    store: Store,
    place: String,
    handle: Handle,
}

/// Runtimes end with the process: a desk may be dropped anywhere, also where a runtime must not be.
fn start() -> std::io::Result<Handle> {
    let (told, hear) = blocking::channel();
    std::thread::Builder::new().name("bucket".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                // Nobody waits any more if the process is ending.
                let _ = told.send(Ok(runtime.handle().clone()));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => {
                let _ = told.send(Err(error));
            }
        }
    })?;
    hear.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread ended")))
}

impl Desk {
    pub fn new(store: Store, place: &str) -> Result<Self, JournalError> {
        let handle = start().map_err(JournalError::io(place))?;
        Ok(Self { store, place: place.to_owned(), handle })
    }

    pub fn elsewhere(&self, reason: impl Into<String>) -> JournalError {
        JournalError::Elsewhere { place: self.place.clone(), reason: reason.into() }
    }

    /// Lets something be done on the desk's thread, and waits for it.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, JournalError> {
        let (told, hear) = blocking::channel();
        self.handle.spawn(async move {
            let _ = told.send(work.await);
        });
        hear.recv().map_err(|_| self.elsewhere("the connection to it ended"))
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.wait(work)?.map_err(|error| self.elsewhere(words(&error)))
    }

    /// Creates an object; whether it is ours.
    pub fn create(&self, path: Path, bytes: Vec<u8>) -> Result<Created, JournalError> {
        let store = self.store();
        self.ask(async move { store::create(&store, &path, &bytes).await })
    }

    /// Writes an object, whatever was there.
    pub fn overwrite(&self, path: Path, bytes: Vec<u8>) -> Result<(), JournalError> {
        let store = self.store();
        self.ask(async move { store::overwrite(&store, &path, &bytes).await })
    }

    /// An object; nothing if there is none.
    pub fn get(&self, path: Path) -> Result<Option<Vec<u8>>, JournalError> {
        let store = self.store();
        self.ask(async move { Ok(store::get(&store, &path).await?.map(|(bytes, _)| bytes)) })
    }

    /// Many objects, in the order of their paths.
    pub fn get_all(&self, paths: Vec<Path>) -> Result<Vec<Option<Vec<u8>>>, JournalError> {
        let store = self.store();
        self.ask(async move { store::get_all(&store, paths).await })
    }

    /// All objects below a path.
    pub fn list(&self, path: Path) -> Result<Vec<Path>, JournalError> {
        let store = self.store();
        self.ask(async move { store::list(&store, &path).await })
    }

    /// The names right below a path that have something below them.
    pub fn folders(&self, path: Path) -> Result<Vec<String>, JournalError> {
        let store = self.store();
        self.ask(async move { store::folders(&store, &path).await })
    }

    /// Lets something be done on the desk's thread while others go on.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.handle.spawn(work)
    }

    pub fn store(&self) -> Store {
        Arc::clone(&self.store)
    }

    /// A journal's sink whose next object is number `next`, written under a lock.
    pub fn sink(&self, journal: Path, next: u64, tenure: Option<Arc<Tenure>>) -> BucketSink {
        let (lines, incoming) = mpsc::unbounded_channel();
        let trouble = Arc::new(Mutex::new(None));
        let writer = Writer { store: self.store(), journal, next, tenure, trouble: Arc::clone(&trouble) };
        self.handle.spawn(writer.write(incoming));
        BucketSink { lines, trouble, desk: self.clone() }
    }
}

/// What the store says, with its reasons and without what people cannot use.
pub(super) fn words(error: &Error) -> String {
    let text = error.to_string();
    // S3's answer in XML says the reason in one element.
    let reason = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    match (reason("Code"), reason("Message")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        _ => text,
    }
}

/// Lines on their way into the bucket, and who waits for them.
struct Lines {
    text: String,
    told: Option<blocking::Sender<Result<(), String>>>,
}

/// A journal in the bucket.
pub(super) struct BucketSink {
    lines: mpsc::UnboundedSender<Lines>,
    trouble: Arc<Mutex<Option<String>>>,
    desk: Desk,
}

impl Sink for BucketSink {
    fn append(&mut self, lines: &str, durable: bool) -> Result<(), JournalError> {
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(self.desk.elsewhere(trouble));
        }
        let (told, hear) = blocking::channel();
        let lines = Lines { text: lines.to_owned(), told: durable.then_some(told) };
        self.lines.send(lines).map_err(|_| self.desk.elsewhere("its writer ended"))?;
        if !durable {
            return Ok(());
        }
        match hear.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(trouble)) => Err(self.desk.elsewhere(trouble)),
            Err(_) => Err(self.desk.elsewhere("its writer ended")),
        }
    }
}

/// Writes what comes in, as much at once as there is.
struct Writer {
    store: Store,
    journal: Path,
    next: u64,
    tenure: Option<Arc<Tenure>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Writer {
    async fn write(mut self, mut incoming: mpsc::UnboundedReceiver<Lines>) {
        while let Some(first) = incoming.recv().await {
            let (mut text, mut waiting) = (first.text, Vec::from_iter(first.told));
            while let Ok(more) = incoming.try_recv() {
                text.push_str(&more.text);
                waiting.extend(more.told);
            }
            let outcome = self.part(text, !waiting.is_empty()).await;
            if let Err(trouble) = &outcome {
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble.clone());
            }
            for told in waiting {
                // Whoever waited may be gone.
                let _ = told.send(outcome.clone());
            }
            if outcome.is_err() {
                return;
            }
        }
    }

    /// Writes the next object.
    async fn part(&mut self, text: String, durable: bool) -> Result<(), String> {
        let path = self.journal.clone().join(part(self.next));
        match store::create(&self.store, &path, text.as_bytes()).await {
            Ok(Created::Now(_)) => self.next += 1,
            Ok(Created::Before) => {
                return Err(format!(
                    "another executor has taken this run up: {path} is there already; this one stops where it is"
                ));
            }
            Err(error) => return Err(words(&error)),
        }
        match &self.tenure {
            // Last, so that nothing lies between this and what the record announces.
            Some(tenure) if durable => tenure.prove().await,
            _ => Ok(()),
        }
    }
}

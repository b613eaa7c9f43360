//! What is asked of the object store, with retries whose meaning is known.
//!
//! Invariants: an object is created at most once, and whoever is told that it created one did; "it is there already"
//! is never said of one's own attempt whose answer was lost; a version is replaced only as it was seen.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use tokio::time::Instant;

/// How long it is tried again when there is no clear answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// Objects that are read at the same time.
const READS: usize = 16;

/// An object store, shared by all that talk to it.
pub(super) type Store = Arc<dyn ObjectStore>;

/// What creating an object came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Created {
    /// It is there, made by this call.
    Now(UpdateVersion),
    /// Somebody else's is there.
    Before,
}

/// Whether trying again may help: not where the store said no.
fn passing(error: &Error) -> bool {
    matches!(error, Error::Generic { .. } | Error::AlreadyExists { .. })
}

/// Tries again until the patience ends.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self { until: Instant::now() + PATIENCE, pause: PAUSE }
    }

    /// Waits before another try, if one is left.
    async fn wait(&mut self, error: &Error) -> bool {
        if !passing(error) || Instant::now() + self.pause > self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        true
    }
}

async fn put(store: &Store, path: &Path, bytes: &[u8], mode: PutMode) -> Result<UpdateVersion, Error> {
    let options = PutOptions { mode, ..PutOptions::default() };
    let done = store.put_opts(path, PutPayload::from(bytes.to_vec()), options).await?;
    Ok(UpdateVersion { e_tag: done.e_tag, version: done.version })
}

/// Creates an object, unless there is one.
pub(super) async fn create(store: &Store, path: &Path, bytes: &[u8]) -> Result<Created, Error> {
    let mut patience = Patience::new();
    // Whether an earlier try may have taken effect.
    let mut unsure = false;
    loop {
        let error = match put(store, path, bytes, PutMode::Create).await {
            Ok(version) => return Ok(Created::Now(version)),
            Err(error) => error,
        };
        let refused = matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. });
        if refused {
            match get(store, path).await? {
                Some((found, version)) if unsure && found == bytes => return Ok(Created::Now(version)),
                Some(_) => return Ok(Created::Before),
                // Two came at the same moment and neither was let in, or it is gone again.
                None => {}
            }
        } else {
            unsure = true;
        }
        if !patience.wait(&error).await {
            return Err(error);
        }
    }
}

/// Replaces a version of an object; nothing when it is not that version any more.
pub(super) async fn replace(
    store: &Store,
    path: &Path,
    bytes: &[u8],
    seen: &UpdateVersion,
) -> Result<Option<UpdateVersion>, Error> {
    let mut patience = Patience::new();
    let mut unsure = false;
    loop {
        let error = match put(store, path, bytes, PutMode::Update(seen.clone())).await {
            Ok(version) => return Ok(Some(version)),
            Err(error) => error,
        };
        match error {
            Error::Precondition { .. } | Error::NotFound { .. } => {
                let found = if unsure { get(store, path).await? } else { None };
                return Ok(found.filter(|(found, _)| found == bytes).map(|(_, version)| version));
            }
            // Two at the same moment: another try tells who was first.
            Error::AlreadyExists { .. } => {}
            _ => unsure = true,
        }
        if !patience.wait(&error).await {
            return Err(error);
        }
    }
}

/// Writes an object, whatever was there.
pub(super) async fn overwrite(store: &Store, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut patience = Patience::new();
    loop {
        match put(store, path, bytes, PutMode::Overwrite).await {
            Ok(_) => return Ok(()),
            Err(error) if !patience.wait(&error).await => return Err(error),
            Err(_) => {}
        }
    }
}

/// An object and its version; nothing if there is none.
pub(super) async fn get(store: &Store, path: &Path) -> Result<Option<(Vec<u8>, UpdateVersion)>, Error> {
    let mut patience = Patience::new();
    loop {
        let whole = async {
            let found = store.get(path).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?.to_vec(), version))
        };
        match whole.await {
            Ok(found) => return Ok(Some(found)),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) if !patience.wait(&error).await => return Err(error),
            Err(_) => {}
        }
    }
}

/// Many objects in the order of their paths, some at a time.
pub(super) async fn get_all(store: &Store, paths: Vec<Path>) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let each = paths.into_iter().map(|path| async move {
        let found = get(store, &path).await?;
        Ok(found.map(|(bytes, _)| bytes))
    });
    futures_util::stream::iter(each).buffered(READS).try_collect().await
}

/// All objects below a path.
pub(super) async fn list(store: &Store, path: &Path) -> Result<Vec<Path>, Error> {
    let mut patience = Patience::new();
    loop {
        match store.list(Some(path)).map_ok(|found| found.location).try_collect().await {
            Ok(found) => return Ok(found),
            Err(error) if !patience.wait(&error).await => return Err(error),
            Err(_) => {}
        }
    }
}

/// The names right below a path that have something below them.
pub(super) async fn folders(store: &Store, path: &Path) -> Result<Vec<String>, Error> {
    let mut patience = Patience::new();
    loop {
        match store.list_with_delimiter(Some(path)).await {
            Ok(found) => {
                let names = found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned));
                return Ok(names.collect());
            }
            Err(error) if !patience.wait(&error).await => return Err(error),
            Err(_) => {}
        }
    }
}

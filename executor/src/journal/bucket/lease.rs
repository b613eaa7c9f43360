//! The lock in a bucket: an object that its holder touches again and again.
//!
//! Nobody's clock is trusted: whoever wants a lock that is held watches the object for as long as its holder would have
//! needed to touch it, and takes it over only if it is still the very object that was seen first.
//!
//! Invariants: a lock is created only if there is none, and taken over or given back only from the version that was
//! seen, so that one of many wins and nobody gives back what is another's; who has not touched it for half of that time
//! does so before anything further is sent.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use object_store::path::Path;
use object_store::{Error, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::desk::{Desk, words};
use super::store::{self, Created, Store};
use crate::journal::JournalError;
use crate::journal::shelf::Held;
use crate::lock::{Holder, LockError};

/// How long a lock has to stay untouched until its holder counts as dead.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A holder touches its lock so many times in that span.
const BEATS: u32 = 6;
/// Whoever waits for one to be touched looks so many times in that span.
const LOOKS: u32 = 30;

/// What stands in the object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    #[serde(flatten)]
    holder: Holder,
    /// Grows with each touch, so that the object is another one each time.
    beat: u64,
    /// Given back: whoever comes may have it.
    #[serde(default)]
    free: bool,
    /// Tells holders apart that look the same, such as the first process of two containers.
    nonce: u64,
}

impl Claim {
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}

/// A lock that this process has.
pub(super) struct Tenure {
    store: Store,
    path: Path,
    patience: Duration,
    ours: Mutex<Ours>,
    /// When the bucket said last that it is ours, by the two clocks of this machine: one of them stands still while the
    /// machine sleeps, the other can be set.
    /// Nothing once it is known to be another's.
    proven: Plain<Option<(Instant, SystemTime)>>,
}

struct Ours {
    claim: Claim,
    /// The version that is ours; nothing once somebody else has it or it was given back.
    version: Option<UpdateVersion>,
}

impl Tenure {
    /// Touches the lock; false when it is another's.
    async fn touch(&self) -> Result<bool, Error> {
        let mut ours = self.ours.lock().await;
        let Some(last) = ours.version.clone() else { return Ok(false) };
        ours.claim.beat += 1;
        let before = now();
        ours.version = match store::replace(&self.store, &self.path, &ours.claim.bytes(), &last).await? {
            Some(next) => Some(next),
            // An earlier touch whose answer was lost may have been the last one.
            None => store::get(&self.store, &self.path).await?.and_then(|(bytes, version)| {
                let found = Claim::read(&bytes);
                (found.nonce == ours.claim.nonce && found.holder == ours.claim.holder).then_some(version)
            }),
        };
        let is_ours = ours.version.is_some();
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = is_ours.then_some(before);
        Ok(is_ours)
    }

    /// Whether it was proven lately that this lock is ours.
    fn is_fresh(&self) -> bool {
        let Some((steady, wall)) = *self.proven.lock().unwrap_or_else(PoisonError::into_inner) else { return false };
        let slept = SystemTime::now().duration_since(wall).unwrap_or(self.patience);
        steady.elapsed().max(slept) < self.patience / 2
    }

    /// Makes sure that the lock is still ours.
    pub async fn prove(&self) -> Result<(), String> {
        if self.is_fresh() {
            return Ok(());
        }
        match self.touch().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "another executor has taken over the lock {}, because this one did not touch it for {} s; this one stops where it is",
                self.path,
                self.patience.as_secs()
            )),
            Err(error) => Err(format!("it is not known whether the lock is still held: {}", words(&error))),
        }
    }

    /// Gives it back. If that fails it is taken over after a while.
    async fn release(&self) {
        let mut ours = self.ours.lock().await;
        let Some(last) = ours.version.take() else { return };
        ours.claim.free = true;
        let _ = store::replace(&self.store, &self.path, &ours.claim.bytes(), &last).await;
    }
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// A lock that is held until it is dropped.
pub(super) struct Lease {
    desk: Desk,
    pub tenure: Arc<Tenure>,
    beating: tokio::task::JoinHandle<()>,
}

impl Held for Lease {}

/// Who waits for what, told to people.
pub(super) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Takes a lock, from a dead holder if need be.
pub(super) fn take(desk: &Desk, path: Path, run: &str, patience: Duration, tell: Tell) -> Result<Lease, LockError> {
    let claim =
        Claim { holder: Holder::this(run), nonce: RandomState::new().build_hasher().finish(), ..Claim::default() };
    let (store, place) = (desk.store(), path.clone());
    let asked = claim.clone();
    let taken = desk.wait(async move {
        let proven = now();
        let outcome = win(&store, &place, &asked, patience, &tell).await;
        (outcome, proven)
    })?;
    let (outcome, mut proven) = taken;
    let (version, waited) = match outcome.map_err(|error| LockError::from(desk.elsewhere(words(&error))))? {
        Contest::Won { version, at } => (version, at),
        Contest::Lost(holder) => {
            let holder = Box::new(holder);
            return Err(LockError::Held { what: "project and target", holder, place: path.to_string() });
        }
    };
    if let Some(at) = waited {
        proven = at;
    }
    let tenure = Arc::new(Tenure {
        store: desk.store(),
        path,
        patience,
        ours: Mutex::new(Ours { claim, version: Some(version) }),
        proven: Plain::new(Some(proven)),
    });
    let beating = desk.spawn(beat(Arc::clone(&tenure), patience / BEATS));
    Ok(Lease { desk: desk.clone(), tenure, beating })
}

enum Contest {
    Won { version: UpdateVersion, at: Option<(Instant, SystemTime)> },
    Lost(Holder),
}

async fn win(store: &Store, path: &Path, mine: &Claim, patience: Duration, tell: &Tell) -> Result<Contest, Error> {
    if let Created::Now(version) = store::create(store, path, &mine.bytes()).await? {
        return Ok(Contest::Won { version, at: None });
    }
    let mut first: Option<(UpdateVersion, Instant)> = None;
    loop {
        let Some((bytes, version)) = store::get(store, path).await? else {
            // Somebody cleared the bucket.
            return Ok(match store::create(store, path, &mine.bytes()).await? {
                Created::Now(version) => Contest::Won { version, at: Some(now()) },
                Created::Before => Contest::Lost(Holder::default()),
            });
        };
        let claim = Claim::read(&bytes);
        let dead = match &first {
            Some((seen, _)) if *seen != version && !claim.free => return Ok(Contest::Lost(claim.holder)),
            Some((_, since)) => since.elapsed() >= patience,
            None => false,
        };
        if claim.free || dead {
            let at = now();
            return Ok(match store::replace(store, path, &mine.bytes(), &version).await? {
                Some(version) => Contest::Won { version, at: Some(at) },
                None => Contest::Lost(claim.holder),
            });
        }
        if first.is_none() {
            tell(&format!(
                "{} has the lock {path}: looking for up to {} s whether it is still alive",
                claim.holder,
                patience.as_secs()
            ));
            first = Some((version, Instant::now()));
        }
        tokio::time::sleep(patience / LOOKS).await;
    }
}

/// Touches the lock until it is lost or given back. What cannot be reached is tried again at the next beat.
async fn beat(tenure: Arc<Tenure>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if matches!(tenure.touch().await, Ok(false)) {
            return;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let tenure = Arc::clone(&self.tenure);
        // A touch that is under way comes first: it holds the version.
        let given = self.desk.wait(async move { tenure.release().await });
        self.beating.abort();
        // It can only be that the desk is gone with the process.
        drop::<Result<(), JournalError>>(given);
    }
}

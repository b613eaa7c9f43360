//! One executor per project and target in one journal directory, and one per simulated world.
//!
//! Invariant: the operating system holds the lock, so that a dead process's lock is free at once; what is written in
//! the file only tells people who holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use belay_schemas::plan::Target;
use fs4::FileExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::JournalError;

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another executor works on the same project and target, or on the same simulated world.
    #[error("{holder} works on this {what}; lock {place}")]
    Held {
        /// What both want to work on.
        what: &'static str,
        /// Who holds it.
        holder: Box<Holder>,
        /// Where the lock is.
        place: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] JournalError),
}

/// Who holds a lock, as it stands in the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Whose process it is; empty where nobody says.
    #[serde(default)]
    pub user: String,
    /// The machine's name; empty where it has none.
    #[serde(default)]
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since the Unix epoch at which it took the lock, by its machine's clock.
    pub since: u64,
    /// Its run; empty if it has none yet.
    pub run: String,
}

impl Holder {
    /// This process, from now on.
    pub(crate) fn this(run: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        Self { user: user.unwrap_or_default(), host: host(), pid: std::process::id(), since, run: run.to_owned() }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.since == 0 {
            // It has just taken the lock, or died while it did.
            return write!(f, "another belay");
        }
        write!(f, "another belay (")?;
        match (self.user.as_str(), self.host.as_str()) {
            ("", "") => {}
            (user, "") => write!(f, "{user}, ")?,
            ("", host) => write!(f, "on {host}, ")?,
            (user, host) => write!(f, "{user} on {host}, ")?,
        }
        write!(f, "process {}, since {}", self.pid, crate::time::rfc3339(self.since.saturating_mul(1000)))?;
        if !self.run.is_empty() {
            write!(f, ", run {}", self.run)?;
        }
        write!(f, ")")
    }
}

fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    kernel.or_else(named).map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// What tells the locks of different targets apart.
pub(crate) fn key(project: &str, account: &str, target: &Target, world: Option<&str>) -> String {
    let what = serde_json::json!([project, target.partition, account, target.region, target.cluster, world]);
    crate::hex(&Sha256::digest(what.to_string().as_bytes())[..8])
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of a project and target (and simulated world, if it is one) in a journal directory.
    ///
    /// # Errors
    /// When somebody else holds it.
    pub fn take(
        dir: &Path,
        project: &str,
        account: &str,
        target: &Target,
        world: Option<&str>,
        run: &str,
    ) -> Result<Self, LockError> {
        let locks = dir.join("locks");
        crate::journal::make_private_dir(&locks)?;
        let key = key(project, account, target, world);
        Self::hold(locks.join(format!("{project}-{key}.lock")), "project and target", run)
    }

    /// Takes the lock of a simulated world, whose runs in any journal directory would overwrite each other's changes.
    /// It lies beside the world's file, under its name with `.lock`.
    ///
    /// # Errors
    /// When somebody else holds it.
    pub fn world(world: &Path) -> Result<Self, LockError> {
        let mut path = world.as_os_str().to_owned();
        path.push(".lock");
        Self::hold(path.into(), "simulated world", "")
    }

    fn hold(path: PathBuf, what: &'static str, run: &str) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(JournalError::io(&path))?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(fs4::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder: Holder = serde_json::from_str(&text).unwrap_or_default();
                return Err(LockError::Held { what, holder: Box::new(holder), place: path.display().to_string() });
            }
            Err(fs4::TryLockError::Error(source)) => return Err(JournalError::Io { path, source }.into()),
        }
        let text = serde_json::to_string(&Holder::this(run)).unwrap_or_default();
        file.set_len(0).map_err(JournalError::io(&path))?;
        file.rewind().map_err(JournalError::io(&path))?;
        file.write_all(text.as_bytes()).map_err(JournalError::io(&path))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would free the lock too; this does it even if a child process inherited the descriptor.
        let _ = FileExt::unlock(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { partition: "aws".into(), account: None, region: None, cluster: Some("default".into()) }
    }

    #[test]
    fn a_second_executor_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path(), "shop", "1", &target(), None, "r1").unwrap();
        match Lock::take(dir.path(), "shop", "1", &target(), None, "r2") {
            Err(LockError::Held { holder, .. }) => {
                assert_eq!((holder.pid, holder.run.as_str()), (std::process::id(), "r1"));
                assert!(holder.since > 1_700_000_000);
                assert!(holder.to_string().contains("since 20"), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        Lock::take(dir.path(), "blog", "1", &target(), None, "r3").unwrap();
        Lock::take(dir.path(), "shop", "2", &target(), None, "r4").unwrap();
        drop(held);
        Lock::take(dir.path(), "shop", "1", &target(), None, "r5").unwrap();
    }

    #[test]
    fn a_simulated_world_has_one_executor_whatever_the_project() {
        let dir = tempfile::tempdir().unwrap();
        let world = dir.path().join("world.json");
        let held = Lock::world(&world).unwrap();
        let refused = Lock::world(&world).unwrap_err().to_string();
        assert!(refused.contains(") works on this simulated world; lock "), "{refused}");
        drop(held);
        Lock::world(&world).unwrap();
    }
}

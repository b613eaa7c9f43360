//! Where runs live: `DIR/runs/RUN/{journal.jsonl, plan.json}`, and `DIR/latest` with the id of the newest.
//!
//! Invariants: directories and files are for their owner only; a run's directory is made once and never reused.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use belay_schemas::plan::Plan;

use super::writer::private;
use super::{Contents, FileSink, JournalError, read};

/// A journal directory.
#[derive(Debug, Clone)]
pub struct Runs {
    dir: PathBuf,
}

impl Runs {
    /// The journal directory `dir` (by default `.belay`); it is made when the first run begins.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of a run.
    pub fn run_dir(&self, run: &str) -> PathBuf {
        self.dir.join("runs").join(run)
    }

    /// The journal directory that a run's directory lies in.
    pub fn of_run(run_dir: &Path) -> Self {
        Self::new(run_dir.parent().and_then(Path::parent).unwrap_or(Path::new(".")))
    }

    /// Makes the directory of a new run, with its plan, and lets `begin` begin its journal. The run is there as a whole
    /// or not at all: it gets its name when its journal has begun.
    ///
    /// # Errors
    /// When the run exists already or something cannot be written.
    pub fn create<J>(
        &self,
        run: &str,
        plan: &Plan,
        begin: impl FnOnce(FileSink) -> Result<J, JournalError>,
    ) -> Result<(PathBuf, J), JournalError> {
        if run.is_empty() || !run.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(JournalError::NoRun(run.to_owned()));
        }
        let parent = self.dir.join("runs");
        make_private_dir(&parent)?;
        let dir = parent.join(run);
        let unborn = parent.join(format!(".{run}"));
        for taken in [&dir, &unborn] {
            if taken.exists() {
                let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                return Err(JournalError::io(taken)(error));
            }
        }
        make_private_dir(&unborn)?;
        write_whole(&unborn.join("plan.json"), &plan.to_json())?;
        let journal = begin(FileSink::create(&unborn.join("journal.jsonl"))?)?;
        self.point_to(run)?;
        std::fs::rename(&unborn, &dir).map_err(JournalError::io(&dir))?;
        Ok((dir, journal))
    }

    /// The run that counts as the latest now, if there is one.
    pub fn pointer(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.join("latest")).ok()?;
        let run = text.trim();
        (!run.is_empty() && self.run_dir(run).is_dir()).then(|| run.to_owned())
    }

    /// Lets another run count as the latest: the one before a run that changed nothing, so that what is still to be
    /// resumed or rolled back stays at hand.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn point_to(&self, run: &str) -> Result<(), JournalError> {
        write_whole(&self.dir.join("latest"), &format!("{run}\n"))
    }

    /// The ids of all runs, those that sort first having begun first.
    pub fn ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("runs")).into_iter().flatten();
        let mut ids: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        // One that has no name yet is not there yet.
        ids.retain(|name| !name.starts_with('.'));
        ids.sort();
        ids
    }

    /// The directory of a run by id, or of the latest.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, run: Option<&str>) -> Result<PathBuf, JournalError> {
        let run = match run {
            Some(run) => run.to_owned(),
            None => self.latest()?,
        };
        let dir = self.run_dir(&run);
        if dir.join("journal.jsonl").is_file() { Ok(dir) } else { Err(JournalError::NoRun(run)) }
    }

    fn latest(&self) -> Result<String, JournalError> {
        // Without the pointer, ids that begin with a time sort by it.
        self.pointer().or_else(|| self.ids().pop()).ok_or_else(|| JournalError::NoRuns(self.dir.clone()))
    }

    /// Reads a run's journal and plan back.
    ///
    /// # Errors
    /// Damage, and a plan that is not the one that the run is bound to.
    pub fn open(run_dir: &Path) -> Result<(Contents, Plan), JournalError> {
        let contents = read(&run_dir.join("journal.jsonl"))?;
        let path = run_dir.join("plan.json");
        let text = std::fs::read_to_string(&path).map_err(JournalError::io(&path))?;
        let plan: Plan = serde_json::from_str(&text)
            .map_err(|e| JournalError::Foreign(format!("{} is not a plan ({e})", path.display())))?;
        let found = plan.computed_digest();
        if found != contents.header.plan {
            return Err(JournalError::OtherPlan { expected: contents.header.plan, found });
        }
        Ok((contents, plan))
    }

    /// Opens a run's journal for appending, cutting off a torn record.
    ///
    /// # Errors
    /// When the file cannot be opened or cut.
    pub fn append(run_dir: &Path, contents: &Contents) -> Result<FileSink, JournalError> {
        FileSink::reopen(&run_dir.join("journal.jsonl"), contents.length)
    }
}

/// A new run id: the time, so that ids sort by it, and six hex digits of the process's own entropy.
pub fn fresh_run_id(now: u64) -> String {
    let time: String = crate::time::rfc3339(now).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let noise = hasher.finish() & 0x00ff_ffff;
    format!("{time}-{noise:06x}")
}

pub(crate) fn make_private_dir(path: &Path) -> Result<(), JournalError> {
    std::fs::create_dir_all(path).map_err(|error| {
        let error = match error.kind() {
            std::io::ErrorKind::AlreadyExists => std::io::ErrorKind::NotADirectory.into(),
            _ => error,
        };
        JournalError::io(path)(error)
    })?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(path, mode).map_err(JournalError::io(path))?;
    }
    Ok(())
}

/// Writes a file as a whole: a reader sees the old one or the new one.
fn write_whole(path: &Path, text: &str) -> Result<(), JournalError> {
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut file = options.open(&temporary).map_err(JournalError::io(&temporary))?;
    file.write_all(text.as_bytes()).map_err(JournalError::io(&temporary))?;
    file.sync_all().map_err(JournalError::io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(JournalError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_tell_their_time() {
        let id = fresh_run_id(1_795_205_585_000);
        assert!(id.starts_with("20261120T201305Z-"), "{id}");
        assert!(fresh_run_id(951_827_696_000).starts_with("20000229T123456Z-"));
    }
}

//! The Python peers: virtual environments that the tests make for themselves, and the scripts of `tests/peers` run in them.
//!
//! Invariants: an environment is made once for each list of requirements and Python version, however many test processes
//! ask at the same time; it holds exactly what the list pins; a half-made one is never used; a script sees no settings and
//! no credentials of the user.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use sha2::{Digest, Sha256};

use crate::target;

/// The pins of `tests/peers/requirements.txt` need no other one to be newer.
const OLDEST: (u32, u32) = (3, 11);

/// The last file to be written into an environment: it is whole.
const COMPLETE: &str = "belay-complete";

/// A list of pinned Python distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirements {
    /// botocore and moto.
    Aws,
    /// ministack, which forces another botocore.
    Ministack,
}

/// A virtual environment that is ready.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

/// Why a peer is not there.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// There is no interpreter.
    #[error("the peers of these tests need Python {}.{} or newer as `python3`: {reason}", OLDEST.0, OLDEST.1)]
    NoPython {
        /// What happened, or which version was found.
        reason: String,
    },
    /// The environment could not be made.
    #[error("{what} failed{hint}:\n{output}")]
    Setup {
        /// What was run.
        what: String,
        /// What may help.
        hint: &'static str,
        /// What it printed.
        output: String,
    },
    /// A script stopped with an error.
    #[error("tests/peers/{script} failed ({status}):\n{output}")]
    Script {
        /// Its file name.
        script: String,
        /// How it ended.
        status: String,
        /// What it wrote to stderr.
        output: String,
    },
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> PythonError {
    let what = what.into();
    move |source| PythonError::Io { what, source }
}

impl Requirements {
    fn file(self) -> &'static str {
        match self {
            Self::Aws => "requirements.txt",
            Self::Ministack => "ministack.txt",
        }
    }
}

/// Where the scripts and lists stand.
pub fn peers() -> PathBuf {
    target::repository().join("tests/peers")
}

impl Python {
    /// The environment with these requirements. Makes it when there is none, and waits while another process makes it.
    ///
    /// # Errors
    /// Without a suitable `python3`, and when pip cannot install; the error holds what pip said.
    pub fn with(requirements: Requirements) -> Result<Self, PythonError> {
        let version = version()?;
        let list = peers().join(requirements.file());
        let text = fs::read(&list).map_err(io_error(format!("cannot read {}", list.display())))?;
        let hash = Sha256::new().chain_update(&version).chain_update(&text).finalize();
        let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let home = target::folder("peers");
        fs::create_dir_all(&home).map_err(io_error(format!("cannot make {}", home.display())))?;

        let folder = home.join(format!("venv-{name}"));
        let python = Self { interpreter: folder.join("bin/python") };
        let path = home.join(format!("venv-{name}.lock"));
        let lock = File::create(&path).map_err(io_error(format!("cannot open {}", path.display())))?;
        // Held until `lock` is dropped, at the latest when this process ends.
        lock.lock().map_err(io_error(format!("cannot lock {}", path.display())))?;
        if !folder.join(COMPLETE).exists() {
            python.make(&folder, &list)?;
        }
        Ok(python)
    }

    fn make(&self, folder: &Path, list: &Path) -> Result<(), PythonError> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(io_error(format!("cannot remove {}", folder.display())))?;
        }
        run(
            Command::new("python3").args(["-m", "venv"]).arg(folder),
            " (on Debian and Ubuntu: apt-get install python3-venv)",
        )?;
        // Wheels only and nothing resolved: what is installed is what the list says, and no distribution's code runs now.
        let options = ["install", "--no-input", "--disable-pip-version-check", "--quiet", "--no-deps"];
        let mut pip = Command::new(&self.interpreter);
        pip.args(["-m", "pip"]).args(options).args(["--only-binary", ":all:", "-r"]).arg(list);
        run(&mut pip, " (it needs PyPI, or an index or wheels that pip is configured for)")?;
        run(Command::new(&self.interpreter).args(["-m", "pip", "check"]), "")?;
        fs::write(folder.join(COMPLETE), "").map_err(io_error("cannot finish the environment"))
    }

    /// A command that runs a script of `tests/peers`, apart from the user's settings.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(peers().join(name)).env_clear().current_dir(target::folder("peers"));
        command.envs([
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONUTF8", "1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NO_PROXY", "127.0.0.1"),
        ]);
        command
    }

    /// Runs a script to its end and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or ends with an error.
    pub fn run<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a Path>,
        input: &str,
    ) -> Result<String, PythonError> {
        let mut command = self.script(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(io_error(format!("cannot start {name}")))?;
        let pipe = child.stdin.take();
        // Beside the reading of what it prints: neither side waits for the other with a full pipe.
        let output = thread::scope(|scope| {
            scope.spawn(|| pipe.map(|mut pipe| pipe.write_all(input.as_bytes())));
            child.wait_with_output()
        });
        let output = output.map_err(io_error(format!("cannot run {name}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(PythonError::Script { script: name.to_owned(), status: output.status.to_string(), output: said })
    }
}

/// `Python 3.x.y`, if that is new enough.
fn version() -> Result<String, PythonError> {
    let output = Command::new("python3").arg("--version").output();
    let output = output.map_err(|error| PythonError::NoPython { reason: error.to_string() })?;
    let version = said(&output).trim().to_owned();
    let mut parts = version.trim_start_matches("Python ").split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Ok(version),
        _ => Err(PythonError::NoPython { reason: format!("this one says `{version}`") }),
    }
}

fn run(command: &mut Command, hint: &'static str) -> Result<(), PythonError> {
    let what = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(io_error(format!("cannot run {what}")))?;
    if output.status.success() { Ok(()) } else { Err(PythonError::Setup { what, hint, output: said(&output) }) }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

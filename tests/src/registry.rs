//! A Docker registry of this machine: Debian's `docker-registry`, with a password.
//!
//! Invariants: it listens on 127.0.0.1 only, on a port of its own, and answers before it is handed out; it keeps its
//! images in a folder that goes with it; it ends when it is dropped, and also when the test's process dies, because a
//! shell beside it watches the pipe that the process holds. Where the program is not installed it is fetched with
//! `apt-get download`, which needs no rights, once for all test processes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::target;

/// Who may read and write.
pub const USER: &str = "ann";
/// With which password.
pub const PASSWORD: &str = "s3cret-of-the-tests";
/// What stands for it in an htpasswd file (bcrypt, made with the least rounds).
const HTPASSWD: &str = "ann:$2b$04$NKsBMy.RGsS.w/2r6x2MteanqtHGDj9q.h0MhMj2105nMF6ohw7wy\n";

/// The program and the Debian package that has it.
const NAME: &str = "docker-registry";
/// The version that is fetched first; on other releases it is the one that they have.
const VERSION: &str = "2.8.2+ds1-1";
/// How long it may take until it listens, on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running registry, empty at first.
#[derive(Debug)]
pub struct DockerRegistry {
    /// The shell; the registry is its child.
    watcher: Child,
    address: String,
    _folder: TempDir,
}

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It is not installed and cannot be fetched.
    #[error(
        "these tests need Debian's {NAME}: `apt-get install {NAME}`, or `apt-get update` so that they can fetch it themselves ({reason})"
    )]
    Missing {
        /// What was tried last.
        reason: String,
    },
    /// It ended or kept silent; these are its last words.
    #[error("{NAME} did not start:\n{0}")]
    Start(String),
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RegistryError {
    move |source| RegistryError::Io { what, source }
}

impl DockerRegistry {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn start() -> Result<Self, RegistryError> {
        let program = program()?;
        let folder = tempfile::tempdir().map_err(io_error("cannot make a folder"))?;
        let passwords = folder.path().join("htpasswd");
        fs::write(&passwords, HTPASSWD).map_err(io_error("cannot write the passwords"))?;
        let text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nauth: {{htpasswd: {{realm: tests, path: {}}}}}\n",
            folder.path().join("images").display(),
            passwords.display(),
        );
        let settings = folder.path().join("config.yml");
        fs::write(&settings, text).map_err(io_error("cannot write its settings"))?;
        let watch = r#""$0" serve "$1" & registry=$!; cat >/dev/null; kill $registry; wait $registry"#;
        let mut command = Command::new("sh");
        command.args(["-c", watch]).arg(program).arg(&settings).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut watcher = command.spawn().map_err(io_error("cannot start a shell"))?;
        let log = watcher.stderr.take();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in log.into_iter().flat_map(|log| BufReader::new(log).lines()).map_while(Result::ok) {
                // The receiver is gone once it knows the port; the log is read on, so that the registry can write it.
                let _ = sender.send(line);
            }
        });
        let mut registry = Self { watcher, address: String::new(), _folder: folder };
        let mut said = String::new();
        while let Ok(line) = receiver.recv_timeout(PATIENCE) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                registry.address = rest.split('"').next().unwrap_or_default().to_owned();
                return Ok(registry);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(RegistryError::Start(said))
    }

    /// Host and port, as an image reference begins with them.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends it before its time.
    pub fn stop(self) -> String {
        self.address.clone()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // Its input ends, so the shell ends the registry and itself; there is nobody to tell.
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// The program: the installed one, or one that was fetched.
fn program() -> Result<PathBuf, RegistryError> {
    if Command::new(NAME).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return Ok(NAME.into());
    }
    let home = target::folder("peers");
    fs::create_dir_all(&home).map_err(io_error("cannot make a folder for peers"))?;
    let folder = home.join(NAME);
    let program = folder.join("usr/bin").join(NAME);
    let lock = File::create(home.join("docker-registry.lock")).map_err(io_error("cannot open a lock"))?;
    // Held until `lock` is dropped, at the latest when this process ends.
    lock.lock().map_err(io_error("cannot lock"))?;
    if !program.exists() {
        fetch(&folder)?;
    }
    Ok(program)
}

/// Unpacks the package into a folder, which appears as a whole or not at all.
fn fetch(folder: &Path) -> Result<(), RegistryError> {
    let home = folder.parent().unwrap_or(folder);
    let work = tempfile::tempdir_in(home).map_err(io_error("cannot make a folder"))?;
    let pinned = format!("{NAME}={VERSION}");
    let mut last = String::new();
    for package in [pinned.as_str(), NAME] {
        let mut command = Command::new("apt-get");
        let output = command.args(["download", package]).current_dir(work.path()).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => break,
            Ok(output) => {
                last = format!("`apt-get download {package}`: {}", String::from_utf8_lossy(&output.stderr).trim())
            }
            Err(error) => last = format!("`apt-get`: {error}"),
        }
    }
    let files = fs::read_dir(work.path()).map_err(io_error("cannot list a folder"))?;
    let Some(package) =
        files.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"))
    else {
        return Err(RegistryError::Missing { reason: last });
    };
    let unpacked = work.path().join("unpacked");
    let status = Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(RegistryError::Missing { reason: format!("`dpkg-deb` ended with {status}") }),
        Err(error) => return Err(RegistryError::Missing { reason: format!("`dpkg-deb`: {error}") }),
    }
    fs::rename(&unpacked, folder).map_err(io_error("cannot move what was unpacked"))
}

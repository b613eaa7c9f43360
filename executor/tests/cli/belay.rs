//! Runs the binary in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A directory to work in.
pub struct Desk {
    dir: TempDir,
}

/// What a command did.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_belay"));
        command.args(args).current_dir(self.dir.path()).env_clear();
        // Credentials of the machine that the tests happen to run on are none of theirs.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        // Where `ssh-keygen` and `git` are found, and no configuration of whoever runs the tests.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `belay ARGS` as somebody whom permissions of files mean something to.
    pub fn belay_as_nobody(&self, args: &[&str]) -> Answer {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        let mut command = self.command(args);
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            // Nobody may not look into everybody's folders.
            let own = self.path("belay");
            // By another process: what this one writes, a test beside it may hand to its child, and Linux runs no program
            // that somebody can still write.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_belay")).arg(&own).status().unwrap();
            assert!(copied.success());
            command = Command::new(own);
            command.args(args).current_dir(self.dir.path()).env_clear();
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.uid(65534).gid(65534);
        }
        self.finish(command.spawn().unwrap())
    }

    /// Runs `belay ARGS` to its end.
    pub fn belay(&self, args: &[&str]) -> Answer {
        self.belay_with(args, "")
    }

    /// Runs `belay ARGS` with something on standard input.
    pub fn belay_with(&self, args: &[&str], input: &str) -> Answer {
        use std::io::Write;
        let mut child = self.command(args).spawn().unwrap();
        // A command that ends before it reads is tested too.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        self.finish(child)
    }

    /// Runs `belay ARGS` with one more environment variable.
    pub fn belay_where(&self, args: &[&str], name: &str, value: &Path) -> Answer {
        self.finish(self.command(args).env(name, value).spawn().unwrap())
    }

    /// Starts `belay ARGS`.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// Waits for a started command.
    pub fn finish(&self, child: Child) -> Answer {
        let output = child.wait_with_output().unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: self.stable(&String::from_utf8(output.stdout).unwrap()),
            err: self.stable(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Text without what differs from one run of the tests to the next.
    fn stable(&self, text: &str) -> String {
        let dir = self.dir.path();
        let dir = dir.canonicalize().unwrap_or_else(|_| Path::new(dir).to_owned());
        let text = text.replace(&*dir.to_string_lossy(), "DIR").replace(&*self.dir.path().to_string_lossy(), "DIR");
        let run = regex::Regex::new(r"\d{8}T\d{6}Z-[0-9a-f]{6}").unwrap();
        let digest = regex::Regex::new(r"sha256:[0-9a-f]{12,64}").unwrap();
        digest.replace_all(&run.replace_all(&text, "RUN"), "sha256:DIGEST").into_owned()
    }
}

impl Answer {
    /// Everything that a person sees, and the code.
    pub fn said(&self) -> String {
        format!("{}{}exit {}", self.out, self.err, self.code)
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.said());
        self
    }
}

//! Emulators of AWS as child processes on the loopback interface, and a botocore client for them.
//!
//! Invariants: a server listens on 127.0.0.1 only, on a port of its own; it answers before it is handed out; it ends when
//! it is dropped, and also when the test's process dies, because it watches the pipe that the process holds.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::python::{Python, PythonError, Requirements, io_error};
use crate::target;

/// The region that servers and clients are used with.
pub const REGION: &str = "us-east-1";

/// How long a server may take until it answers: it takes a second, or many on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    /// Wire formats, look-ups, not-found errors.
    Moto,
    /// Moto behind the shim of `tests/peers/shim`: ECS services with deployments, revisions, rollbacks, batch limits.
    Shimmed,
    /// ECS services that reach a steady state.
    Ministack,
}

/// Who calls: what `AWS_ACCESS_KEY_ID` and its companions are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token.
    pub token: Option<String>,
}

/// A running emulator with an empty account 123456789012.
#[derive(Debug)]
pub struct Server {
    process: Process,
    endpoint: String,
}

/// A botocore client of a server, in a process that lives as long.
#[derive(Debug)]
pub struct Client {
    process: Process,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// An error that a peer answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct PeerError {
    /// AWS's error code, as botocore reads it.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// HTTP status; 0 when nothing was sent.
    pub status: u16,
}

/// Why a server is not there.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its environment.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// It did not answer in time, or ended.
    #[error("{name} {what}; its log {} ends with:\n{tail}", .log.display())]
    Process {
        /// Which one.
        name: String,
        /// What happened.
        what: String,
        /// Where its log is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
}

/// A child process with a log, which ends with its owner.
#[derive(Debug)]
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(python: &Python, script: &str, arguments: &[&str]) -> Result<Self, PythonError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = target::folder("peers").join("logs");
        fs::create_dir_all(&folder).map_err(io_error(format!("cannot make {}", folder.display())))?;
        let name = arguments.iter().find(|text| text.chars().all(char::is_alphabetic)).unwrap_or(&"client");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("{name}-{}-{number}.log", std::process::id()));
        let file = File::create(&log).map_err(io_error(format!("cannot make {}", log.display())))?;
        let mut command = python.script(script);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let child = command.spawn().map_err(io_error(format!("cannot start {name}")))?;
        Ok(Self { name: (*name).to_owned(), child, log })
    }

    fn fault(&self, what: impl Into<String>) -> ServerError {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        ServerError::Process { name: self.name.clone(), what: what.into(), log: self.log.clone(), tail }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts an emulator and waits until it answers.
    ///
    /// # Errors
    /// When its environment cannot be made, or it ends or stays silent; the error holds the end of its log.
    pub fn start(emulator: Emulator) -> Result<Self, ServerError> {
        let (requirements, name) = match emulator {
            Emulator::Moto => (Requirements::Aws, "moto"),
            Emulator::Shimmed => (Requirements::Aws, "shimmed"),
            Emulator::Ministack => (Requirements::Ministack, "ministack"),
        };
        let mut process = Process::start(&Python::with(requirements)?, "serve.py", &[name])?;
        let output = process.child.stdout.take();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(output) = output
                && BufReader::new(output).read_line(&mut line).is_ok()
            {
                // The receiver is gone once it has lost its patience.
                let _ = sender.send(line);
            }
        });
        let line = match receiver.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => return Err(process.fault(format!("did not answer within {} s", PATIENCE.as_secs()))),
        };
        let port: u16 = line.trim().parse().map_err(|_| process.fault("ended before it answered"))?;
        Ok(Self { process, endpoint: format!("http://127.0.0.1:{port}") })
    }

    /// Where it listens; what `AWS_ENDPOINT_URL` is to be.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where its log is.
    pub fn log(&self) -> &std::path::Path {
        &self.process.log
    }

    /// A client of it.
    ///
    /// # Errors
    /// When the environment cannot be made or the client not started.
    pub fn client(&self) -> Result<Client, ServerError> {
        let python = Python::with(Requirements::Aws)?;
        let mut process = Process::start(&python, "client.py", &[&self.endpoint, REGION])?;
        match (process.child.stdin.take(), process.child.stdout.take()) {
            (Some(requests), Some(answers)) => Ok(Client { process, requests, answers: BufReader::new(answers) }),
            _ => Err(process.fault("has no pipes")),
        }
    }
}

impl Client {
    /// Makes a call. The outer error is a client that died, the inner one what the peer answered.
    ///
    /// # Errors
    /// When the client's process has ended or prints something else than an answer.
    pub fn call(
        &mut self,
        service: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, PeerError>, ServerError> {
        self.request(&json!({"service": service, "operation": operation, "input": input}))
    }

    /// Makes a call as somebody.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_as(
        &mut self,
        who: &Credentials,
        service: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, PeerError>, ServerError> {
        let credentials = json!([who.id, who.secret, who.token]);
        self.request(&json!({"service": service, "operation": operation, "input": input, "credentials": credentials}))
    }

    /// Asks the server itself, not AWS: a POST with a body, a GET without.
    ///
    /// # Errors
    /// When the server refuses, or the client's process has ended.
    pub fn server(&mut self, path: &str, body: Option<&Value>) -> Result<Value, ServerError> {
        let answer = self.request(&json!({"path": path, "body": body}))?;
        answer.map_err(|error| self.process.fault(format!("was refused {path}: {error}")))
    }

    fn request(&mut self, request: &Value) -> Result<Result<Value, PeerError>, ServerError> {
        let mut line = String::new();
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.answers.read_line(&mut line));
        sent.map_err(|error| self.process.fault(format!("ended: {error}")))?;
        let mut answer: Value =
            serde_json::from_str(&line).map_err(|error| self.process.fault(format!("answered {line:?}: {error}")))?;
        if let Some(output) = answer.get_mut("output") {
            return Ok(Ok(output.take()));
        }
        let text = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
        let status = answer["error"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Ok(Err(PeerError { code: text("code"), message: text("message"), status: status.unwrap_or_default() }))
    }
}

//! What boto3 does in the same account, for comparison: scripts of `tests/peers/boto.py`, timed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::python::{Python, Requirements};
use crate::servers::{Credentials, REGION};

/// How a script went.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// Calls that it made.
    pub calls: usize,
    /// What they took, without the start of Python.
    pub calling: Duration,
    /// The whole process.
    pub whole: Duration,
}

#[derive(Deserialize)]
struct Printed {
    calls: usize,
    seconds: f64,
}

/// Runs `boto.py ENDPOINT ARGUMENTS` in a folder.
///
/// # Panics
/// When it fails.
pub fn boto(dir: &Path, endpoint: &str, who: &Credentials, arguments: &[&str], input: &str) -> Timed {
    let python = Python::with(Requirements::Aws).unwrap_or_else(|error| panic!("{error}"));
    let mut command: Command = python.script("boto.py");
    command.arg(endpoint).args(arguments).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.envs([("AWS_REGION", REGION), ("AWS_DEFAULT_REGION", REGION)]);
    command.env("AWS_ACCESS_KEY_ID", &who.id).env("AWS_SECRET_ACCESS_KEY", &who.secret);
    if let Some(token) = &who.token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    let began = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("boto.py: {error}"));
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes()).unwrap_or_else(|error| panic!("boto.py: {error}"));
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("boto.py: {error}"));
    let whole = began.elapsed();
    assert!(output.status.success(), "boto.py {arguments:?} failed");
    let printed: Printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("boto.py: {error}"));
    Timed { calls: printed.calls, calling: Duration::from_secs_f64(printed.seconds), whole }
}

//! `compile --live`: asks `belay observe`, a program of its own, because it alone holds credentials.
//!
//! Invariant: belayc itself opens no connection; what it gets is the file that `belay observe -` would have written.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use belay_compiler::diagnostics::SourceFile;

use crate::commands::Failure;

/// Observes a scope. What `belay` tells people goes to standard error.
///
/// # Errors
/// When `belay` cannot be started or does not succeed.
pub fn observe(scope: &str, options: &[String]) -> Result<SourceFile, Failure> {
    let program = program();
    let failed = |error: std::io::Error| {
        Failure::environment(format!("{} cannot be run: {error}; --live needs the program belay", program.display()))
    };
    let mut child = Command::new(&program)
        .args(["observe", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // `belay` reads all of its input before it prints; one that ended early says why by itself.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(scope.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::environment("`belay observe` did not succeed: nothing was compiled"));
    }
    SourceFile::from_bytes("<belay observe>", output.stdout)
        .map_err(|error| Failure::environment(format!("`belay observe` printed no text: {error}")))
}

/// `belay` beside this program, or the one in the PATH.
fn program() -> PathBuf {
    let name = format!("belay{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(&name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into())
}

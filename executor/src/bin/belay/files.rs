//! Reading and writing documents. Invariants: `-` is a stream; files are written whole or not at all, and those that
//! tell about an account only for their owner; a document of another format is called that, not a pile of wrong members.

use std::io::{Read, Write};
use std::path::Path;

use belay_schemas::FORMAT;
use belay_schemas::plan::Plan;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The text of a file or of standard input.
pub fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |source| Failure::Read { path: name(path), source };
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(wrong)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(wrong)
}

/// Reads a plan and checks all of it.
pub fn plan(path: &Path) -> Result<Plan, Failure> {
    belay_schemas::checker::load(&read(path)?).map_err(|source| Failure::Plan { path: name(path), source })
}

/// Reads a document that has a `format`. `what` says which kind, as in "a scope"; `from` which command writes it.
pub fn document<T: DeserializeOwned>(path: &Path, what: &str, from: &str) -> Result<T, Failure> {
    let text = read(path)?;
    let input = |reason: String, help: Option<String>| Failure::Input { path: name(path), reason, help };
    let value: Value = serde_json::from_str(&text).map_err(|e| input(format!("not JSON: {e}"), None))?;
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => {
            let help = format!("write it again with the `{from}` of this version");
            return Err(input(format!("{what} of format {format}; this version reads format {FORMAT}"), Some(help)));
        }
        None => {
            return Err(input(format!("this is not {what}: it has no `format`"), Some(format!("`{from}` writes one"))));
        }
    }
    // From the text again, because only that way the error tells line and column.
    serde_json::from_str(&text).map_err(|e| input(format!("not {what} as `{from}` writes it: {e}"), None))
}

/// Writes a file that only its owner may read, whole or not at all; `-` and `None` are standard output.
pub fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        return match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|source| Failure::Write { path: "standard output".to_owned(), source }),
        };
    };
    let wrong = |source| Failure::Write { path: path.display().to_string(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Asked first, because the error of a temporary file names that file.
    std::fs::metadata(dir).map_err(wrong)?;
    // A temporary file of this crate is made for its owner only.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)?;
    file.as_file().sync_all().map_err(wrong)?;
    file.persist(path).map_err(|e| wrong(e.error))?;
    Ok(())
}

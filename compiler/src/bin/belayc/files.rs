//! Reading and writing files.
//!
//! Invariants: what is written appears under its name only when it is complete; standard input is read at most once.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use belay_compiler::diagnostics::{Diagnostic, NotText, Report, SourceFile};
use belay_compiler::source::limits;

use crate::commands::Failure;

/// JSON files may be larger than what people write.
pub const JSON_BYTES: usize = 1 << 30;

/// Whether a path means standard input or output.
pub fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a YAML file. What is wrong with it is in the report.
pub fn read_yaml(path: &Path, report: &mut Report) -> Option<SourceFile> {
    read(path, limits::FILE_BYTES, report)
}

/// Reads a file of at most `limit` bytes. What is wrong with it is in the report.
pub fn read(path: &Path, limit: usize, report: &mut Report) -> Option<SourceFile> {
    let name = display_name(path);
    let bytes = match read_bytes(path, limit) {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = why(&error, "there is no such file");
            report.push(Diagnostic::error("B001", format!("{name} cannot be read: {why}")));
            return None;
        }
    };
    if bytes.len() > limit {
        let message = format!("{name} has more than {} MiB, which is the limit", limit >> 20);
        report.push(Diagnostic::error("B004", message));
        return None;
    }
    match SourceFile::from_bytes(name, bytes) {
        Ok(file) => Some(file),
        Err(error) => {
            report.push(not_text(&error));
            None
        }
    }
}

/// An error in words that do not depend on the machine, nor on the name of a temporary file.
pub fn why(error: &io::Error, not_found: &str) -> String {
    match error.kind() {
        ErrorKind::NotFound => not_found.into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "it is a directory".into(),
        ErrorKind::NotADirectory => "its folder is no folder".into(),
        ErrorKind::StorageFull => "the disk is full".into(),
        ErrorKind::ReadOnlyFilesystem => "the file system can only be read".into(),
        _ => error.to_string(),
    }
}

fn not_text(error: &NotText) -> Diagnostic {
    let diagnostic = Diagnostic::error("B002", error.to_string());
    if error.utf16 {
        return diagnostic.help("the file looks like UTF-16; save it as UTF-8");
    }
    diagnostic.help("save the file as UTF-8")
}

fn read_bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    if is_dash(path) {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        file.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The name under which a file appears in plans and messages: as given, `/` between folders, below the current folder
/// without it, so that the same project gives the same plan wherever it is checked out.
fn display_name(path: &Path) -> String {
    if is_dash(path) {
        return "<stdin>".into();
    }
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    let relative = relative.strip_prefix(".").unwrap_or(relative);
    if relative.as_os_str().is_empty() {
        return ".".into();
    }
    relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// Refuses a command line that reads standard input twice.
pub fn check_stdin<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    if paths.into_iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(Failure::usage("standard input (`-`) can be read only once"));
    }
    Ok(())
}

/// Refuses a command line that writes over what it reads.
pub fn check_output<'a>(output: Option<&Path>, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    // A file that is not there yet is none that is read.
    let Some(output) = output.filter(|path| !is_dash(path)) else { return Ok(()) };
    let Ok(written) = std::fs::canonicalize(output) else { return Ok(()) };
    let same = |path: &&PathBuf| !is_dash(path) && std::fs::canonicalize(path).is_ok_and(|read| read == written);
    match inputs.into_iter().find(same) {
        Some(_) => Err(Failure::usage(format!("{} is read: name another file to write to", output.display()))),
        None => Ok(()),
    }
}

/// Bytes that are collected before they are written.
const PART: usize = 1 << 18;

/// Writes a text to a file, or to standard output.
pub fn write(path: Option<&Path>, text: &str) -> Result<(), Failure> {
    write_parts(path, &|out| out.write_all(text.as_bytes()))
}

/// Writes to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    write(None, text)
}

/// Writes what `parts` writes to a file, or to standard output. A reader of that who has seen enough is no error.
pub fn write_parts(path: Option<&Path>, parts: &dyn Fn(&mut dyn io::Write) -> io::Result<()>) -> Result<(), Failure> {
    if let Some(path) = path.filter(|path| !is_dash(path)) {
        return replace(path, parts).map_err(|error| {
            let why = why(&error, "its folder does not exist");
            Failure::environment(format!("{} cannot be written: {why}", path.display()))
        });
    }
    let mut out = io::BufWriter::with_capacity(PART, io::stdout().lock());
    match parts(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

fn replace(path: &Path, parts: &dyn Fn(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".belayc-");
    if let Some(permissions) = permissions() {
        builder.permissions(permissions);
    }
    let file = builder.tempfile_in(folder)?;
    let mut out = io::BufWriter::with_capacity(PART, file);
    parts(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// As for any new file: the process's mask is applied to it.
#[cfg(unix)]
fn permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn permissions() -> Option<Permissions> {
    None
}

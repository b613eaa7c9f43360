//! The world's file.
//!
//! Invariants: it is replaced whole or not at all; what was written survives a crash of the machine; a file of another
//! format is refused, never guessed at.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::world::{FORMAT, World};

/// Why a world's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the simulated world {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the simulated world {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no world.
    #[error("{}:{line}:{column}: this is no simulated world: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It has another format.
    #[error("{}: this simulated world has format {found}; this program reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u32,
    },
}

/// Enough of a world to tell its format.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// Reads a world; nothing if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<World>, FileError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    let damaged = |error: &serde_json::Error| {
        let whole = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        FileError::Damaged {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            reason: whole.strip_suffix(&place).unwrap_or(&whole).to_owned(),
        }
    };
    // The format comes first: a world of a later format would otherwise be called damaged.
    let header: Header = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
    if header.format != FORMAT {
        return Err(FileError::Format { path: path.to_owned(), found: header.format });
    }
    serde_json::from_str(&text).map(Some).map_err(|error| damaged(&error))
}

/// Replaces a world's file.
pub(super) fn write(path: &Path, world: &World) -> Result<(), FileError> {
    let attempt = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut text = world.to_json()?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The new name is in the folder, which must reach the disk too.
        std::fs::File::open(folder)?.sync_all()
    };
    attempt().map_err(|source| FileError::Write { path: path.to_owned(), source })
}

impl World {
    /// The world as its file holds it, without the last line end.
    ///
    /// # Errors
    /// Never for a world that was made by this program.
    pub fn to_json(&self) -> serde_json::Result<String> {
        // By way of a value, so that all objects are sorted.
        serde_json::to_string_pretty(&serde_json::to_value(self)?)
    }

    /// Reads a world's file; nothing if there is none.
    ///
    /// # Errors
    /// A file that cannot be read or holds no world.
    pub fn read(path: &Path) -> Result<Option<Self>, FileError> {
        read(path)
    }

    /// Writes a world's file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        write(path, self)
    }
}

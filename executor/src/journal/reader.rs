//! Reading a journal back.
//!
//! Invariant: either every whole line is what was written, in order, or nothing of it is used.

use std::path::Path;

use belay_schemas::FORMAT;
use belay_schemas::journal::{Header, KIND, Record};
use serde_json::Value;

use super::{JournalError, line};

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Its first line.
    pub header: Header,
    /// All whole records.
    pub records: Vec<Record>,
    /// Bytes up to and with the last newline.
    pub length: u64,
    /// Bytes after it: a record that was being written when its writer died.
    pub torn: u64,
    /// Checksum of the last whole line.
    pub sum: String,
}

/// Reads a journal file.
///
/// # Errors
/// See [`parse`].
pub fn read(path: &Path) -> Result<Contents, JournalError> {
    let bytes = std::fs::read(path).map_err(JournalError::io(path))?;
    parse(&bytes).map_err(|source| JournalError::In { path: path.to_owned(), source: Box::new(source) })
}

/// Reads a journal's bytes.
///
/// # Errors
/// Foreign files, other formats, and damage anywhere before the last newline.
pub fn parse(bytes: &[u8]) -> Result<Contents, JournalError> {
    let length = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let torn = (bytes.len() - length) as u64;
    let Some(whole) = length.checked_sub(1) else { return Err(JournalError::Empty) };
    let mut lines = bytes[..whole].split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    let (header, sum) = header(first)?;
    let (records, sum) = records(lines, 0, sum)?;
    Ok(Contents { header, records, length: length as u64, torn, sum })
}

fn records<'l>(
    lines: impl Iterator<Item = &'l [u8]>,
    last: u64,
    mut sum: String,
) -> Result<(Vec<Record>, String), JournalError> {
    let mut records = Vec::new();
    for (number, line) in (last + 1..).zip(lines) {
        let damaged = |reason: &str| JournalError::Damaged { record: number, reason: reason.to_owned() };
        let text = std::str::from_utf8(line).map_err(|_| damaged("it is not text"))?;
        let (body, said) = line::open(text).ok_or_else(|| damaged("its end is missing"))?;
        if line::chain(&sum, body) != said {
            return Err(damaged("its checksum does not match"));
        }
        let record: Record = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
        if record.seq != number {
            return Err(damaged(&format!("it calls itself record {}", record.seq)));
        }
        sum = said.to_owned();
        records.push(record);
    }
    Ok((records, sum))
}

fn header(line: &[u8]) -> Result<(Header, String), JournalError> {
    let text = std::str::from_utf8(line).map_err(|_| JournalError::Foreign("its first line is not text".into()))?;
    let value: Value = serde_json::from_str(text)
        .map_err(|e| JournalError::Foreign(format!("its first line is not a JSON object ({e})")))?;
    if value["kind"] != KIND {
        return Err(JournalError::Foreign(format!("its first line has no \"kind\": \"{KIND}\"")));
    }
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(JournalError::Format(format)),
        None => return Err(JournalError::Foreign("its header has no format".into())),
    }
    let damaged = |reason: String| JournalError::Damaged { record: 0, reason };
    let (body, said) = line::open(text).ok_or_else(|| damaged("its end is missing".into()))?;
    if line::chain("", body) != said {
        return Err(damaged("its checksum does not match".into()));
    }
    let header = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    Ok((header, said.to_owned()))
}

//! The texts that diagnostics point into.
//!
//! Invariants: offsets are bytes into the text without its byte order mark; lines and columns count from 1, columns in
//! characters, lines end at `\n` as in every editor.

use std::fmt;
use std::sync::Arc;

/// A file as it was given: its name on the command line (with `/` between folders) and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name for people: what was given on the command line, `/` between folders.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Why bytes are no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: byte {byte:#04x} is not UTF-8")]
pub struct NotText {
    /// Name of the file.
    pub name: String,
    /// Line of the first wrong byte.
    pub line: usize,
    /// Column of the first wrong byte.
    pub column: usize,
    /// The byte.
    pub byte: u8,
    /// Whether the bytes look like UTF-16, as some Windows programs write.
    pub utf16: bool,
}

impl SourceFile {
    /// A file from a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A file from bytes.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, NotText> {
        let name = name.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                let good = String::from_utf8_lossy(&bytes[..valid]);
                let line_start = good.rfind('\n').map_or(0, |at| at + 1);
                Err(NotText {
                    name,
                    line: good.matches('\n').count() + 1,
                    column: good[line_start..].chars().count() + 1,
                    byte: bytes[valid],
                    utf16: matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]),
                })
            }
        }
    }
}

/// Which file of a [`super::Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) u16);

/// A part of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Span {
    /// The part of a file from byte `start` up to byte `end`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { file, start: narrow(start), end: narrow(end.max(start)) }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A file whose lines are known.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Byte offset of the start of each line.
    lines: Vec<u32>,
}

impl File {
    pub(crate) fn new(source: SourceFile) -> Self {
        let SourceFile { name, mut text } = source;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let mut lines = vec![0];
        lines.extend(text.bytes().zip(1u32..).filter(|(byte, _)| *byte == b'\n').map(|(_, next)| next));
        Self { name, text, lines }
    }

    /// The offset, moved down to the start of a character inside the text.
    pub(crate) fn clamp(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.clamp(offset);
        let line = self.lines.partition_point(|start| *start as usize <= offset).max(1);
        let start = self.lines[line - 1] as usize;
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte of a line and column (both from 1), at most the end of the line.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let range = self.line(line);
        let text = &self.text[range.clone()];
        range.start + text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
    }

    /// The bytes of a line (from 1) without its end.
    pub(crate) fn line(&self, line: usize) -> std::ops::Range<usize> {
        let index = line.clamp(1, self.lines.len()) - 1;
        let start = self.lines[index] as usize;
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| *next as usize);
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// What a span covers; empty when it does not lie in the text.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }
}

/// All files of a report, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(Vec<Arc<File>>);

impl Files {
    pub(crate) fn add(&mut self, source: SourceFile) -> FileId {
        // 65,535 files on a command line do not happen; if they do, the rest share the last id.
        let id = FileId(u16::try_from(self.0.len()).unwrap_or(u16::MAX));
        self.0.push(Arc::new(File::new(source)));
        id
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&Arc<File>> {
        self.0.get(usize::from(id.0))
    }

    pub(crate) fn locate(&self, span: Span) -> Option<Location> {
        let file = self.get(span.file)?;
        let (line, column) = file.position(span.start as usize);
        let (end_line, end_column) = file.position(span.end as usize);
        Some(Location { file: file.name.clone(), line, column, end_line, end_column })
    }
}

/// A place in a file, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Name of the file as given on the command line.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column after the last character.
    pub end_column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_and_forget_the_byte_order_mark() {
        let file = File::new(SourceFile::new("a", "\u{feff}äb: c\r\nd: é\n"));
        assert_eq!(file.position(0), (1, 1));
        assert_eq!(file.position(2), (1, 2));
        assert_eq!(file.position(file.text.find('d').unwrap()), (2, 1));
        assert_eq!(&file.text[file.line(1)], "äb: c");
        assert_eq!(file.position(10_000).0, 3);
        assert_eq!(file.offset(2, 4), file.text.find('é').unwrap());
    }

    #[test]
    fn bytes_that_are_no_text_are_located() {
        let error = SourceFile::from_bytes("m", b"a: b\n\xc3\xa9\xff".to_vec()).unwrap_err();
        assert_eq!((error.line, error.column, error.byte), (2, 2, 0xff));
    }
}

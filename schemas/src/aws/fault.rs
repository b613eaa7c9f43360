//! What is wrong with an input or an output, where, and what to write instead.
//!
//! Invariants: a path is a JSON Pointer (RFC 6901) from the input's root; a value of a sensitive shape never appears in
//! a message.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// JSON Pointer to the value at fault; for a missing member, to the object that lacks it. Empty: the root.
    pub path: String,
    /// What is wrong, for programs.
    pub kind: FaultKind,
    /// What is wrong, for people.
    pub message: String,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// There is no such service or operation here, so nothing else was looked at.
    UnknownOperation,
    /// The object has no such member.
    UnknownMember {
        /// The name.
        name: String,
        /// The known name that is closest to it.
        nearest: Option<String>,
    },
    /// A required member is absent.
    MissingMember {
        /// Its name.
        name: String,
    },
    /// Not exactly one member of a union is given.
    NotOneMember {
        /// How many are given.
        given: usize,
    },
    /// A value of another type.
    WrongType {
        /// `string`, `integer`, …
        expected: &'static str,
        /// `number`, `null`, …
        found: &'static str,
    },
    /// A text that is none of the allowed ones.
    NotInEnum {
        /// The allowed one that is closest to it.
        nearest: Option<String>,
    },
    /// A number, a length or a count of items beyond its bounds.
    OutOfRange,
    /// A text that does not match the model's pattern.
    PatternMismatch {
        /// The pattern.
        pattern: String,
    },
    /// An object with a late value's keys that is none.
    LateMalformed,
    /// A late value that can never be of the type that is wanted here.
    LateMisplaced,
    /// A late value in a call that is made now.
    LateUnresolved,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Where the validator is: a chain on the stack, turned into text only when there is a fault.
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key) => write!(f, "{parent}/{}", key.replace('~', "~0").replace('/', "~1")),
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// The candidate that is most probably meant: equal but for case, or few edits away.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    let distance = |candidate: &'c str| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate);
    candidates.map(distance).filter(|(edits, _)| *edits <= limit).min().map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub(super) fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// A text for a message: in quotes, shortened, and not at all when it is sensitive.
pub(super) fn shown(text: &str, sensitive: bool) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        _ if sensitive => "this value".to_owned(),
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The allowed values, those of a long list only in part.
pub(super) fn listed(values: &[Box<str>]) -> String {
    const MOST: usize = 16;
    let mut list = values.iter().take(MOST).map(|value| &**value).collect::<Vec<_>>().join(", ");
    if values.len() > MOST {
        list.push_str(&format!(", … ({} in all)", values.len()));
    }
    list
}

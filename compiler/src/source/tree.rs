//! A document as a tree that knows where each value was written.
//!
//! Invariants: the entries of a mapping are sorted by key and unique; every node keeps the file and the bytes that it
//! came from, also after merging, aliases and substitution; no node is deeper than [`super::limits::DEPTH`].

use std::borrow::Cow;
use std::sync::Arc;

use super::scalar::Resolved;
use crate::diagnostics::Span;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// The three kinds of YAML nodes.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

/// A single value.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) resolved: Resolved,
    /// The text; for anything but a text, as it was written (`1.10`, `0x1f`, `True`).
    pub(crate) text: Box<str>,
    pub(crate) style: Style,
    /// Whether it is, as a whole, the value of a substitution: then its type may follow where it stands.
    pub(crate) substituted: bool,
}

/// How a scalar was written, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    Block,
}

/// Keys and values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    entries: Vec<Entry>,
    /// Written as `{…}`.
    pub(crate) flow: bool,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn scalar(resolved: Resolved, text: impl Into<Box<str>>, style: Style, span: Span) -> Self {
        Self { value: Value::Scalar(Scalar { resolved, text: text.into(), style, substituted: false }), span }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.resolved == Resolved::Null)
    }

    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// What kind of value it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Mapping(_) => "a mapping",
            Value::Sequence(_) => "a list",
            Value::Scalar(scalar) => match scalar.resolved {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a boolean",
                Resolved::Unsigned(_) | Resolved::Negative(_) => "a whole number",
                Resolved::Float(_) => "a number",
                Resolved::Text => "a text",
            },
        }
    }

    /// Values in it, itself included, and how many levels they take.
    pub(crate) fn extent(&self) -> (usize, usize) {
        let below = |children: &mut dyn Iterator<Item = &Self>| {
            children.map(Self::extent).fold((1, 0), |(size, height), (s, h)| (size + s, height.max(h)))
        };
        let (size, height) = match &self.value {
            Value::Scalar(_) => (1, 0),
            Value::Sequence(items) => below(&mut items.iter()),
            Value::Mapping(mapping) => below(&mut mapping.entries.iter().map(|e| &e.value)),
        };
        (size, height + 1)
    }

    /// The part of a file to show for a JSON pointer: the value itself, for a collection of several lines its key; a
    /// pointer without a node means the nearest ancestor that has one.
    pub(crate) fn find(&self, pointer: &str, want_key: bool) -> Span {
        let mut node = self;
        let mut key: Option<Span> = None;
        let mut complete = true;
        for step in pointer.split('/').skip(1) {
            let step =
                if step.contains('~') { step.replace("~1", "/").replace("~0", "~").into() } else { Cow::from(step) };
            let next = match &node.value {
                Value::Mapping(mapping) => mapping.entry(&step).map(|entry| (Some(entry.key_span), &entry.value)),
                Value::Sequence(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)).map(|n| (None, n)),
                Value::Scalar(_) => None,
            };
            match next {
                Some((key_span, value)) => {
                    key = key_span;
                    node = value;
                }
                None => {
                    complete = false;
                    break;
                }
            }
        }
        match (&node.value, key) {
            (_, Some(key)) if (want_key && complete) || node.is_null() => key,
            (Value::Mapping(mapping), Some(key)) if !mapping.flow => key,
            (Value::Sequence(_), Some(key)) if node.span.start > key.end + 64 => key,
            (Value::Mapping(mapping), None) if !mapping.flow => mapping.first_key().unwrap_or(node.span),
            _ => node.span,
        }
    }
}

impl Node {
    /// The span of a key that was written, whatever its value is.
    pub(crate) fn written(&self, pointer: &str) -> Option<Span> {
        let (parent, key) = pointer.rsplit_once('/')?;
        let unescape = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let mut node = self;
        for step in parent.split('/').skip(1) {
            node = match &node.value {
                Value::Mapping(mapping) => &mapping.entry(&unescape(step))?.value,
                Value::Sequence(items) => items.get(step.parse::<usize>().ok()?)?,
                Value::Scalar(_) => return None,
            };
        }
        node.mapping()?.entry(&unescape(key)).map(|entry| entry.key_span)
    }
}

impl Mapping {
    /// A mapping from entries in source order. `duplicate` gets each entry whose key was there before, with the first.
    pub(crate) fn new(mut entries: Vec<Entry>, flow: bool, mut duplicate: impl FnMut(&Entry, &Entry)) -> Self {
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            entries.dedup_by(|later, first| {
                let same = later.key == first.key;
                if same {
                    duplicate(first, later);
                }
                same
            });
        }
        entries.shrink_to_fit();
        Self { entries, flow }
    }

    /// Entries sorted by key.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Entries whose values may be replaced; keys may not.
    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.binary_search_by(|e| (*e.key).cmp(key)).ok().map(|at| &self.entries[at])
    }

    pub(crate) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.binary_search_by(|e| (*e.key).cmp(key)).ok().map(|at| &mut self.entries[at])
    }

    /// The key that stands first in its file.
    fn first_key(&self) -> Option<Span> {
        self.entries.iter().map(|e| e.key_span).min()
    }

    /// Adds the entries whose keys are not there yet: what `<<` does.
    pub(crate) fn add_missing(&mut self, others: Vec<Entry>) {
        let known = self.entries.len();
        for other in others {
            if self.entries[..known].binary_search_by(|e| e.key.cmp(&other.key)).is_err() {
                self.entries.push(other);
            }
        }
        self.entries.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// Puts a later file over this one: mappings deep, lists and scalars replace.
    pub(crate) fn overlay(&mut self, later: Self) {
        let mut added = Vec::new();
        for entry in later.entries {
            match self.entry_mut(&entry.key) {
                Some(known) => match (&mut known.value.value, entry.value) {
                    (Value::Mapping(known), Node { value: Value::Mapping(later), .. }) => known.overlay(later),
                    (_, value) => {
                        known.key_span = entry.key_span;
                        known.value = value;
                    }
                },
                None => added.push(entry),
            }
        }
        if !added.is_empty() {
            self.entries.append(&mut added);
            self.entries.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
}

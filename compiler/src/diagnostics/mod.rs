//! Diagnostics: what is wrong with the inputs, where, and what to write instead.
//!
//! Invariants: every diagnostic carries a code of [`codes`]; a [`Report`] collects all of them before anything is
//! shown, and shows them sorted by file, line, column and code, without duplicates.

pub mod codes;
mod files;
mod github;
mod human;
mod json;

pub use files::{FileId, Location, NotText, SourceFile, Span};
pub use github::github;
pub use human::human;
pub use json::{JsonDiagnostic, JsonRelated, JsonReport, json};

pub(crate) use files::{File, Files};

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::source::Documents;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is compiled.
    Error,
    /// Compiled all the same.
    Warning,
}

/// One of the two documents that a plan is compiled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// The model.
    Model,
    /// The environment: all environment files and `--var`s, merged.
    Environment,
}

/// A place in a document: a JSON pointer into it as it is after merging and substitution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The document.
    pub document: Document,
    /// JSON pointer (RFC 6901); one without a node of its own means the nearest ancestor that has one.
    pub pointer: String,
    /// The key rather than the value.
    pub key: bool,
}

impl Place {
    /// A value of the model: `Place::model(["components", name, "image"])`.
    pub fn model<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self { document: Document::Model, pointer: pointer(path), key: false }
    }

    /// A value of the environment.
    pub fn environment<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self { document: Document::Environment, pointer: pointer(path), key: false }
    }

    /// The key of this place instead of its value.
    #[must_use]
    pub fn key(mut self) -> Self {
        self.key = true;
        self
    }

    /// The place of a member or item of this one.
    #[must_use]
    pub fn child(&self, step: impl AsRef<str>) -> Self {
        let mut pointer = self.pointer.clone();
        push_step(&mut pointer, step.as_ref());
        Self { document: self.document, pointer, key: false }
    }
}

/// The JSON pointer of a path.
pub fn pointer<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> String {
    let mut out = String::new();
    for step in path {
        push_step(&mut out, step.as_ref());
    }
    out
}

/// Appends one step to a JSON pointer.
pub(crate) fn push_step(pointer: &mut String, step: &str) {
    pointer.push('/');
    for c in step.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Where a diagnostic points: a place in a document or a part of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// A place in a document.
    Place(Place),
    /// A part of a file.
    Span(Span),
}

impl From<Place> for At {
    fn from(place: Place) -> Self {
        Self::Place(place)
    }
}

impl From<&Place> for At {
    fn from(place: &Place) -> Self {
        Self::Place(place.clone())
    }
}

impl From<Span> for At {
    fn from(span: Span) -> Self {
        Self::Span(span)
    }
}

/// One thing that is wrong, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// One of [`codes::CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub at: Option<At>,
    /// A few words right at the place.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Vec<String>,
    /// Other places that matter, each with a few words.
    pub related: Vec<(At, String)>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message.into())
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message.into())
    }

    fn new(code: &'static str, severity: Severity, message: String) -> Self {
        debug_assert!(codes::title(code).is_some(), "{code} is not in diagnostics/codes.rs");
        Self { code, severity, message, at: None, label: None, help: Vec::new(), related: Vec::new() }
    }

    /// Where it is wrong.
    #[must_use]
    pub fn at(mut self, at: impl Into<At>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// A few words right at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do about it; may be called several times.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Another place that matters.
    #[must_use]
    pub fn related(mut self, at: impl Into<At>, what: impl Into<String>) -> Self {
        self.related.push((at.into(), what.into()));
        self
    }
}

/// A diagnostic whose places have been found.
#[derive(Debug, Clone)]
pub struct Resolved<'a> {
    /// What was reported.
    pub diagnostic: &'a Diagnostic,
    /// Where, if anywhere.
    pub location: Option<Location>,
    pub(crate) span: Option<Span>,
    pub(crate) related: Vec<(Option<Span>, Cow<'a, str>)>,
}

/// Collects diagnostics and knows the files that they point into.
#[derive(Debug, Default)]
pub struct Report {
    pub(crate) files: Files,
    documents: Option<Arc<Documents>>,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        self.diagnostics.push(diagnostic);
    }

    /// Errors so far, duplicates counted.
    pub(crate) fn counts_raw(&self) -> usize {
        self.errors
    }

    /// A point in time, for [`Self::accept`].
    pub fn mark(&self) -> usize {
        self.diagnostics.len()
    }

    /// Takes back the warnings since then whose codes `known` says are all right; gives back which codes those were.
    pub fn accept(&mut self, since: usize, known: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
        let mut taken = BTreeSet::new();
        let mut at = 0;
        self.diagnostics.retain(|diagnostic| {
            let stays = at < since || diagnostic.severity == Severity::Error || !known(diagnostic.code);
            at += 1;
            if !stays {
                taken.insert(diagnostic.code);
            }
            stays
        });
        taken
    }

    /// Makes warnings of all errors with a code: they say what could not be looked at, not what is wrong.
    pub fn demote(&mut self, code: &str) {
        for diagnostic in &mut self.diagnostics {
            if diagnostic.code == code && diagnostic.severity == Severity::Error {
                diagnostic.severity = Severity::Warning;
                self.errors -= 1;
            }
        }
    }

    /// Whether there is any error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there is anything at all.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Makes a file known, so that spans may point into it.
    pub fn add_file(&mut self, file: SourceFile) -> FileId {
        self.files.add(file)
    }

    /// The part of a file at a line and column (both from 1), as JSON parsers report places.
    pub fn span_at(&self, file: FileId, line: usize, column: usize) -> Span {
        let Some(known) = self.files.get(file) else { return Span::new(file, 0, 0) };
        let start = known.offset(line, column);
        let end = known.text[start..].chars().next().filter(|c| *c != '\n').map_or(start, |c| start + c.len_utf8());
        Span::new(file, start, end)
    }

    pub(crate) fn set_documents(&mut self, documents: Arc<Documents>) {
        self.documents = Some(documents);
    }

    fn span(&self, at: &At) -> Option<Span> {
        match at {
            At::Span(span) => Some(*span),
            At::Place(place) => self.documents.as_ref()?.span(place),
        }
    }

    /// Where the value really comes from that is wrong: not of what is wrong with substitutions themselves.
    fn sources(&self, diagnostic: &Diagnostic, span: Option<Span>) -> Vec<(Span, String)> {
        match (&self.documents, span) {
            (Some(documents), Some(span)) if !diagnostic.code.starts_with("B1") => documents.sources(span),
            _ => Vec::new(),
        }
    }

    /// All diagnostics with their locations: sorted by file, line, column and code; what has no place comes last.
    pub fn resolved(&self) -> Vec<Resolved<'_>> {
        let mut all: Vec<Resolved<'_>> = self
            .diagnostics
            .iter()
            .map(|diagnostic| {
                let span = diagnostic.at.as_ref().and_then(|at| self.span(at));
                let related = diagnostic.related.iter().map(|(at, what)| (self.span(at), Cow::from(what)));
                let sources = self.sources(diagnostic, span).into_iter().map(|(at, what)| (Some(at), Cow::from(what)));
                let related = related.chain(sources).collect();
                Resolved { diagnostic, location: span.and_then(|s| self.files.locate(s)), span, related }
            })
            .collect();
        let key = |r: &Resolved<'_>| (r.span.is_none(), r.span.map(|s| (s.file, s.start)), r.diagnostic.code);
        all.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.diagnostic.message.cmp(&b.diagnostic.message)));
        all.dedup_by(|a, b| key(a) == key(b) && a.diagnostic.message == b.diagnostic.message);
        all
    }

    /// How many errors and warnings are shown.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.resolved();
        let errors = all.iter().filter(|r| r.diagnostic.severity == Severity::Error).count();
        (errors, all.len() - errors)
    }
}

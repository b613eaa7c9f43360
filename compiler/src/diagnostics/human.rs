//! Diagnostics for people: an excerpt of the file with the place underlined, and what to do.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::meaning::secrets::hidden;

use super::{File, Report, Resolved, Severity, Span};

/// Of lines longer than this only a part is shown.
const LONGEST_LINE: usize = 2000;

/// Bytes that are shown of such a line on either side.
const AROUND: usize = 60;

/// All diagnostics of a report, and how many there are. Colour is the caller's choice.
pub fn human(report: &Report, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let resolved = report.resolved();
    let mut out = String::new();
    for diagnostic in &resolved {
        out.push_str(&renderer.render(&[group(report, diagnostic)]));
        out.push_str("\n\n");
    }
    let errors = resolved.iter().filter(|r| r.diagnostic.severity == Severity::Error).count();
    let warnings = resolved.len() - errors;
    let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
    let counts: Vec<String> = [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
    if !counts.is_empty() {
        let _ = writeln!(out, "{}", counts.join(", "));
    }
    out
}

fn group<'a>(report: &'a Report, resolved: &'a Resolved<'a>) -> Group<'a> {
    let diagnostic = resolved.diagnostic;
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    let mut places: Vec<(Span, AnnotationKind, Option<&str>)> = Vec::new();
    places.extend(resolved.span.map(|span| (span, AnnotationKind::Primary, diagnostic.label.as_deref())));
    for (span, what) in &resolved.related {
        match span {
            Some(span) => places.push((*span, AnnotationKind::Context, Some(what))),
            None => group = group.element(Level::NOTE.message(&**what)),
        }
    }
    // Places that lie close together share an excerpt; the others get one of their own, the main one first.
    let mut excerpts: Vec<Excerpt<'_>> = Vec::new();
    for (span, kind, label) in places {
        let Some(file) = report.files.get(span.file) else { continue };
        let line = file.position(span.start as usize).0;
        match excerpts.iter_mut().find(|e| e.span.file == span.file && e.near(line)) {
            Some(excerpt) => excerpt.add(span, kind, label),
            None => excerpts.push(Excerpt::new(file, span, kind, label)),
        }
    }
    for excerpt in excerpts {
        group = excerpt.append(group);
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// A few lines of a file with annotations.
struct Excerpt<'a> {
    file: &'a File,
    span: Span,
    first: usize,
    last: usize,
    annotations: Vec<(Span, AnnotationKind, Option<&'a str>)>,
}

impl<'a> Excerpt<'a> {
    fn new(file: &'a File, span: Span, kind: AnnotationKind, label: Option<&'a str>) -> Self {
        let line = file.position(span.start as usize).0;
        Self { file, span, first: line, last: line, annotations: vec![(span, kind, label)] }
    }

    fn near(&self, line: usize) -> bool {
        line + 8 >= self.first && line <= self.last + 8
    }

    fn add(&mut self, span: Span, kind: AnnotationKind, label: Option<&'a str>) {
        let line = self.file.position(span.start as usize).0;
        self.first = self.first.min(line);
        self.last = self.last.max(line);
        self.annotations.push((span, kind, label));
    }

    fn append(self, group: Group<'a>) -> Group<'a> {
        let bytes = self.file.line(self.first).start..self.file.line(self.last).end;
        let text = &self.file.text[bytes.clone()];
        if text.lines().any(|line| line.len() > LONGEST_LINE) {
            return self.append_cut(group);
        }
        let annotations = self.annotations.iter().map(|(span, kind, label)| {
            let range = self.shown(*span, &bytes);
            let annotation: Annotation<'a> = kind.span(range);
            annotation.label(*label)
        });
        let snippet =
            Snippet::source(hidden(text)).path(self.file.name.as_str()).line_start(self.first).annotations(annotations);
        group.element(snippet)
    }

    /// Of a very long line only what is around the main place, and the place's name apart from it: columns of an excerpt
    /// would be wrong.
    fn append_cut(&self, group: Group<'a>) -> Group<'a> {
        let (line, column) = self.file.position(self.span.start as usize);
        let whole = self.file.line(line);
        let start = self.file.clamp(self.span.start as usize).clamp(whole.start, whole.end);
        let from = self.file.clamp(start.saturating_sub(AROUND)).max(whole.start);
        let to = self.file.clamp(start + AROUND).clamp(start, whole.end);
        let text = &self.file.text;
        let group = group.element(Origin::path(self.file.name.as_str()).line(line).char_column(column)).element(
            Level::NOTE.message(format!(
                "behind `…{}` stands `{}`",
                hidden(&text[from..start]),
                hidden(&text[start..to])
            )),
        );
        match self.annotations.first().and_then(|(_, _, label)| *label) {
            Some(label) => group.element(Level::NOTE.message(label)),
            None => group,
        }
    }

    /// The span inside the excerpt: at most to the end of its first line.
    fn shown(&self, span: Span, bytes: &Range<usize>) -> Range<usize> {
        let line = self.file.line(self.file.position(span.start as usize).0);
        let start = self.file.clamp(span.start as usize).clamp(line.start, line.end);
        let end = self.file.clamp(span.end as usize).clamp(start, line.end);
        start - bytes.start..end - bytes.start
    }
}

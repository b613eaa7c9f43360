//! What the inputs say after merging, substitution and defaults, each value with where it comes from.
//!
//! Invariant: the text is a model (or an environment) of the same meaning; values whose names or forms are those of
//! secrets are not shown.

use std::fmt::Write as _;

use serde_json::Value;

use super::Loaded;
use crate::diagnostics::{Document, Place};
use crate::meaning::secrets::{looks_secret, names_secret};

/// Where the comments begin, where values are short enough.
const COLUMN: usize = 48;

impl Loaded {
    /// The model and the environment as YAML, a comment with its origin behind each value.
    pub fn render(&self) -> [String; 2] {
        // Both were read from JSON a moment ago.
        let model = serde_json::to_value(&self.model).unwrap_or_default();
        let environment = serde_json::to_value(&self.environment).unwrap_or_default();
        [(Document::Model, model), (Document::Environment, environment)].map(|(document, value)| {
            let mut page = Page { loaded: self, document, out: String::new() };
            page.mapping(&value, "", 0);
            page.out
        })
    }
}

struct Page<'a> {
    loaded: &'a Loaded,
    document: Document,
    out: String,
}

impl Page<'_> {
    fn mapping(&mut self, value: &Value, pointer: &str, indent: usize) {
        let Some(map) = value.as_object() else { return };
        for (key, value) in map {
            let mut below = pointer.to_owned();
            crate::diagnostics::push_step(&mut below, key);
            self.member(&format!("{}:", quoted(key)), key, value, &below, indent);
        }
    }

    /// A key or a dash with what stands behind it.
    fn member(&mut self, lead: &str, name: &str, value: &Value, pointer: &str, indent: usize) {
        match value {
            Value::Null => {}
            Value::Object(map) if map.is_empty() => self.line(indent, lead, "{}", pointer),
            Value::Array(items) if items.is_empty() => self.line(indent, lead, "[]", pointer),
            Value::Object(_) => {
                let _ = writeln!(self.out, "{:indent$}{lead}", "");
                self.mapping(value, pointer, indent + 2);
            }
            Value::Array(items) => {
                let _ = writeln!(self.out, "{:indent$}{lead}", "");
                for (index, item) in items.iter().enumerate() {
                    self.member("-", name, item, &format!("{pointer}/{index}"), indent + 2);
                }
            }
            Value::String(text) if looks_secret(name, text) || names_secret(name) => {
                self.line(indent, lead, "\"********\"", pointer);
            }
            Value::String(text) => self.line(indent, lead, &quoted(text), pointer),
            other => self.line(indent, lead, &other.to_string(), pointer),
        }
    }

    fn line(&mut self, indent: usize, lead: &str, value: &str, pointer: &str) {
        let text = format!("{:indent$}{lead} {value}", "");
        let _ = writeln!(self.out, "{text:<COLUMN$} # {}", self.origin(pointer));
    }

    /// `model.yaml:3:12`, with where the variables in it have their values; `default` where nothing was written.
    fn origin(&self, pointer: &str) -> String {
        let documents = &self.loaded.documents;
        let place = Place { document: self.document, pointer: pointer.to_owned(), key: false };
        let is_item = pointer.rsplit('/').next().is_some_and(|step| step.parse::<usize>().is_ok());
        if !is_item && !documents.is_written(&place) {
            return "default".to_owned();
        }
        let Some(span) = documents.span(&place) else { return "default".to_owned() };
        let locate = |span| documents.files.locate(span).map_or(String::new(), |at| at.to_string());
        let sources: Vec<String> = documents
            .sources(span)
            .into_iter()
            .map(|(at, what)| {
                let name = what.split('`').nth(1).unwrap_or_default();
                if what.ends_with("applies") {
                    format!("{name}: its default")
                } else {
                    format!("{name}: {}", locate(at))
                }
            })
            .collect();
        let sources = if sources.is_empty() { String::new() } else { format!(" ({})", sources.join(", ")) };
        format!("{}{sources}", locate(span))
    }
}

/// A text as YAML reads it back: plain where nothing in it means anything.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let word = matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if starts && !word && text.chars().all(plain) { text.to_owned() } else { Value::from(text).to_string() }
}

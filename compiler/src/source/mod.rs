//! Reading: from the texts of a model and its environments to typed, checked values that know where they came from.
//!
//! Invariants: no file is opened here; every file is read and every error told before giving up; the trees are kept, so
//! that whatever is found out later can be shown at its line.

pub mod json;
pub mod limits;
mod render;
pub mod scalar;
mod syntax;
pub(crate) mod tree;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use belay_schemas::environment::Environment;
use belay_schemas::model::Model;
use belay_schemas::plan::canonical_digest;

use self::tree::{Entry, Mapping, Node, Value};
use crate::diagnostics::{Diagnostic, Document, FileId, Files, Location, Place, Report, SourceFile, Span};
use crate::structure;
use crate::variables::{self, Variables};

/// What a plan is compiled from, as texts.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The model.
    pub model: SourceFile,
    /// The environment's files; later ones win.
    pub environments: Vec<SourceFile>,
    /// `--var K=V`: win over the files' `vars`; `V` is read as a YAML scalar.
    pub vars: Vec<(String, String)>,
}

/// The trees behind the documents, and the files behind the trees.
#[derive(Debug)]
pub(crate) struct Documents {
    files: Files,
    model: Option<Node>,
    environment: Option<Node>,
    /// Where each variable has its value.
    variables: BTreeMap<Arc<str>, Span>,
}

impl Documents {
    pub(crate) fn span(&self, place: &Place) -> Option<Span> {
        let tree = match place.document {
            Document::Model => self.model.as_ref(),
            Document::Environment => self.environment.as_ref(),
        };
        tree.map(|tree| tree.find(&place.pointer, place.key))
    }

    /// Whether a key was written, rather than filled in.
    pub(crate) fn is_written(&self, place: &Place) -> bool {
        let tree = match place.document {
            Document::Model => self.model.as_ref(),
            Document::Environment => self.environment.as_ref(),
        };
        tree.is_some_and(|tree| tree.written(&place.pointer).is_some())
    }

    /// Where the values come from that are put in for the substitutions in a part of a file: a variable of an environment
    /// file, a `--var`, or the default beside its name; each with a few words.
    pub(crate) fn sources(&self, span: Span) -> Vec<(Span, String)> {
        let Some(file) = self.files.get(span.file) else { return Vec::new() };
        let text = file.slice(span);
        let mut found: Vec<(Span, String)> = Vec::new();
        for (name, default) in variables::mentioned(text) {
            let source = match (self.variables.get(name), default) {
                (Some(at), _) if *at != span => (*at, format!("the value of `{name}` comes from here")),
                (None, Some(at)) => {
                    let (start, end) = (span.start as usize + at.start, span.start as usize + at.end);
                    (Span::new(span.file, start, end), format!("`{name}` is not set: its default applies"))
                }
                _ => continue,
            };
            if !found.contains(&source) {
                found.push(source);
            }
        }
        found
    }
}

/// A model and an environment that have been read, substituted and checked for their structure.
#[derive(Debug)]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// All environment files and `--var`s, merged.
    pub environment: Environment,
    documents: Arc<Documents>,
}

impl Loaded {
    /// Where a value or key was written. A place without a node of its own gives that of its nearest ancestor.
    pub fn locate(&self, place: &Place) -> Option<Location> {
        self.documents.files.locate(self.documents.span(place)?)
    }

    /// Digest of what the model says after substitution; comments, layout and notation do not count.
    pub fn model_digest(&self) -> String {
        canonical_digest(&self.model, &[])
    }

    /// Digest of what the merged environment says.
    pub fn environment_digest(&self) -> String {
        canonical_digest(&self.environment, &[])
    }
}

/// Reads, merges, substitutes and checks. All errors are in the report; with any, nothing comes back.
pub fn load(sources: Sources, report: &mut Report) -> Option<Loaded> {
    let Sources { model, environments, vars } = sources;
    let home = environments.last().map_or_else(|| "an environment file".to_owned(), |file| file.name.clone());
    let model_file = report.add_file(model);
    let environment_files: Vec<FileId> = environments.into_iter().map(|file| report.add_file(file)).collect();
    let overrides: Vec<Entry> = vars.into_iter().map(|(key, value)| read_override(key, value, report)).collect();

    let mut model = yaml::read(model_file, report);
    let mut readable = true;
    let mut environment = Node { value: Value::Mapping(Mapping::default()), span: Span::new(model_file, 0, 0) };
    for (index, file) in environment_files.into_iter().enumerate() {
        match yaml::read(file, report).map(|node| (node.span, node.kind(), node.value)) {
            None => readable = false,
            Some((span, _, Value::Mapping(later))) => {
                if index == 0 {
                    environment.span = span;
                }
                if let Value::Mapping(merged) = &mut environment.value {
                    merged.overlay(later);
                }
            }
            Some((span, kind, _)) => {
                readable = false;
                report.push(not_a_mapping("an environment", kind, span));
            }
        }
    }
    if let Some(Node { value: Value::Scalar(_) | Value::Sequence(_), span }) = &model {
        let kind = model.as_ref().map_or("nothing", Node::kind);
        report.push(not_a_mapping("a model", kind, *span));
        model = None;
    }

    let declared = override_vars(&mut environment, overrides.clone());
    let mut variables = Variables::new(vars_of(&environment), report.files.clone(), home);
    substitute(&mut variables, &mut environment, readable.then_some(model.as_mut()).flatten());
    if readable && model.is_some() {
        for entry in overrides.iter().filter(|e| !declared.contains(&*e.key) && !variables.is_used(&e.key)) {
            report.push(
                Diagnostic::warning("B106", format!("no file declares or uses the variable `{}`", entry.key))
                    .at(entry.key_span)
                    .help("check its name; it changes nothing"),
            );
        }
    }
    variables.finish(report);

    let origins = vars_of(&environment).map(Mapping::entries).unwrap_or_default().iter();
    let origins = origins.filter(|e| !e.value.is_null()).map(|e| (Arc::clone(&e.key), e.value.span)).collect();
    let typed_environment = structure::environment(&mut environment, report);
    // Without its variables, a model could only be accused of things that it did not do.
    let typed_model = match &mut model {
        Some(tree) if readable => structure::model(tree, report),
        _ => None,
    };
    let files = report.files.clone();
    let documents = Arc::new(Documents { files, model, environment: Some(environment), variables: origins });
    report.set_documents(Arc::clone(&documents));
    if report.has_errors() {
        return None;
    }
    Some(Loaded { model: typed_model?, environment: typed_environment?, documents })
}

fn not_a_mapping(what: &str, kind: &str, span: Span) -> Diagnostic {
    Diagnostic::error("B202", format!("{what} is a mapping of keys and values, not {kind}")).at(span)
}

/// `--var K=V` as an entry of `vars`, pointing into a file of its own.
fn read_override(key: String, value: String, report: &mut Report) -> Entry {
    let text = format!("{key}={value}");
    let (key_len, len) = (key.len(), text.len());
    let file = report.add_file(SourceFile { name: format!("--var {key}"), text });
    let span = Span::new(file, key_len + 1, len);
    let value = match value.as_bytes().first() {
        Some(b'"' | b'\'') => {
            let mut quiet = Report::new();
            let quoted = quiet.add_file(SourceFile::new("", value.as_str()));
            match yaml::read(quoted, &mut quiet) {
                Some(Node { value: scalar @ Value::Scalar(_), .. }) => Node { value: scalar, span },
                _ => variables::plain(&value, span),
            }
        }
        _ => variables::plain(&value, span),
    };
    Entry { key: key.into(), key_span: Span::new(file, 0, key_len), value }
}

/// Puts `--var`s over `vars`; says which of them the files declare.
fn override_vars(environment: &mut Node, overrides: Vec<Entry>) -> std::collections::BTreeSet<String> {
    let mut declared = std::collections::BTreeSet::new();
    let Value::Mapping(root) = &mut environment.value else { return declared };
    let Some(first) = overrides.first() else { return declared };
    let span = first.key_span;
    if root.entry("vars").is_none_or(|vars| vars.value.is_null()) {
        let value = Node { value: Value::Mapping(Mapping::default()), span };
        root.overlay(Mapping::new(vec![Entry { key: "vars".into(), key_span: span, value }], true, |_, _| {}));
    }
    if let Some(Entry { value: Node { value: Value::Mapping(vars), .. }, .. }) = root.entry_mut("vars") {
        for entry in overrides {
            if vars.entry(&entry.key).is_some_and(|known| !known.key_span.file.eq(&entry.key_span.file)) {
                declared.insert(entry.key.to_string());
            }
            if let Some(known) = vars.entry_mut(&entry.key) {
                *known = entry;
            } else {
                vars.overlay(Mapping::new(vec![entry], true, |_, _| {}));
            }
        }
    }
    declared
}

fn vars_of(environment: &Node) -> Option<&Mapping> {
    environment.mapping()?.entry("vars")?.value.mapping()
}

fn substitute(variables: &mut Variables, environment: &mut Node, model: Option<&mut Node>) {
    if let Value::Mapping(root) = &mut environment.value {
        if let Some(Entry { value: Node { value: Value::Mapping(vars), .. }, .. }) = root.entry_mut("vars") {
            variables.resolve_all(vars);
        }
        variables.substitute_values(root, Some("vars"));
    }
    if let Some(model) = model {
        variables.substitute(model);
    }
}

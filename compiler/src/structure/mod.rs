//! Structure: does a document have the form that its JSON Schema describes?
//!
//! Invariants: the schema is the committed one, built from the same types that the document is read into; every violation
//! is told, each at the value or key that it is about.

mod convert;
mod explain;
mod shape;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use belay_schemas::environment::Environment;
use belay_schemas::json_schema::{self, Kind};
use belay_schemas::model::Model;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use self::shape::Shapes;
use crate::diagnostics::{At, Diagnostic, Files, Report, Span};
use crate::source::tree::Node;

/// A schema, ready to be used.
struct Form {
    schema: Json,
    shapes: Shapes,
    /// Nothing when the schema itself is broken, which a test rules out.
    validator: Option<Validator>,
}

impl Form {
    fn new(kind: Kind) -> Self {
        let schema = json_schema::input(kind);
        let validator = jsonschema::validator_for(&schema).ok();
        Self { shapes: Shapes::new(&schema), validator, schema }
    }
}

static MODEL: LazyLock<Form> = LazyLock::new(|| Form::new(Kind::Model));
static ENVIRONMENT: LazyLock<Form> = LazyLock::new(|| Form::new(Kind::Environment));

/// Where each variable has its value.
pub(crate) type Origins = BTreeMap<Arc<str>, Span>;

/// Reads a model from its tree. The texts of the tree move into it; keys and positions stay.
pub(crate) fn model(tree: &mut Node, origins: &Origins, report: &mut Report) -> Option<Model> {
    read(&MODEL, tree, origins, report)
}

/// Reads an environment from its tree.
pub(crate) fn environment(tree: &mut Node, origins: &Origins, report: &mut Report) -> Option<Environment> {
    read(&ENVIRONMENT, tree, origins, report)
}

fn read<T: DeserializeOwned>(form: &Form, tree: &mut Node, origins: &Origins, report: &mut Report) -> Option<T> {
    let before = report.counts_raw();
    let json = convert::to_json(tree, &form.shapes, report);
    let Some(validator) = &form.validator else {
        report.push(Diagnostic::error("B207", "the built-in schema is broken; this is a bug of Belay"));
        return None;
    };
    if !validator.is_valid(&json) {
        let errors: Vec<_> = validator.iter_errors(&json).collect();
        for error in errors.iter().filter(|error| !explain::is_misspelt(error, &errors)) {
            for mut diagnostic in explain::explain(error, form, tree, &report.files) {
                if let Some(origin) = origin(&diagnostic, origins, &report.files) {
                    diagnostic = diagnostic.related(origin, "its value comes from here");
                }
                report.push(diagnostic);
            }
        }
    }
    if report.counts_raw() > before {
        return None;
    }
    match serde_json::from_value(json) {
        Ok(typed) => Some(typed),
        Err(error) => {
            report.push(Diagnostic::error("B207", error.to_string()).at(tree.find("", false)));
            None
        }
    }
}

/// Where the value of a variable was written that stands where a diagnostic points.
fn origin(diagnostic: &Diagnostic, origins: &Origins, files: &Files) -> Option<Span> {
    let Some(At::Span(span)) = diagnostic.at else { return None };
    let text = files.get(span.file)?.slice(span);
    let name = text.split_once("${")?.1.trim_start_matches(['{', ' ']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    origins.get(&name[..end]).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_schemas_are_schemas() {
        assert!(MODEL.validator.is_some() && ENVIRONMENT.validator.is_some());
    }
}

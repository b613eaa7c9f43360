//! Structure: does a document have the form that its JSON Schema describes?
//!
//! Invariants: the schema is the committed one, built from the same types that the document is read into; every violation
//! is told, each at the value or key that it is about.

mod convert;
mod elsewhere;
mod explain;
mod shape;

use std::sync::LazyLock;

use belay_schemas::environment::Environment;
use belay_schemas::json_schema::{self, Kind};
use belay_schemas::model::Model;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use self::shape::Shapes;
use crate::diagnostics::{Diagnostic, Report};
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

/// Reads a model from its tree. The texts of the tree move into it; keys and positions stay.
pub(crate) fn model(tree: &mut Node, report: &mut Report) -> Option<Model> {
    read(&MODEL, tree, report)
}

/// Reads an environment from its tree.
pub(crate) fn environment(tree: &mut Node, report: &mut Report) -> Option<Environment> {
    read(&ENVIRONMENT, tree, report)
}

fn read<T: DeserializeOwned>(form: &Form, tree: &mut Node, report: &mut Report) -> Option<T> {
    let before = report.counts_raw();
    let json = convert::to_json(tree, &form.shapes, report);
    let Some(validator) = &form.validator else {
        report.push(Diagnostic::error("B207", "the built-in schema is broken; this is a bug of Belay"));
        return None;
    };
    if !validator.is_valid(&json) {
        let errors: Vec<_> = validator.iter_errors(&json).collect();
        for error in errors.iter().filter(|error| !explain::is_misspelt(error, &errors)) {
            explain::explain(error, form, tree, &report.files).into_iter().for_each(|d| report.push(d));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_schemas_are_schemas() {
        assert!(MODEL.validator.is_some() && ENVIRONMENT.validator.is_some());
    }
}

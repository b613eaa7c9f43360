//! From a tree to JSON, with an eye on the schema.
//!
//! What the schema decides here: a key without a value counts as not written where the schema declares the key; a number
//! or boolean in a place for text keeps its notation (`1.10`); a substituted value takes the type that is wanted.

use serde_json::{Map, Number, Value as Json};

use super::shape::{FREE, ROOT, Shape, ShapeId, Shapes};
use crate::diagnostics::{Diagnostic, Report, Span};
use crate::source::scalar::{self, Resolved};
use crate::source::tree::{Node, Scalar, Value};

/// Converts; the texts of the tree move into the result.
pub(super) fn to_json(tree: &mut Node, shapes: &Shapes, report: &mut Report) -> Json {
    Converter { shapes, report }.node(tree, ROOT)
}

struct Converter<'a> {
    shapes: &'a Shapes,
    report: &'a mut Report,
}

impl Converter<'_> {
    fn node(&mut self, node: &mut Node, id: ShapeId) -> Json {
        let shapes = self.shapes;
        let shape = shapes.get(id);
        match &mut node.value {
            Value::Scalar(scalar) => self.scalar(scalar, shape, node.span),
            Value::Sequence(items) => {
                let item = shape.items.unwrap_or(FREE);
                Json::Array(items.iter_mut().map(|node| self.node(node, item)).collect())
            }
            Value::Mapping(mapping) => {
                let entries = mapping.entries_mut().iter_mut();
                let written = entries.filter(|e| !(e.value.is_null() && shape.properties.contains_key(&*e.key)));
                let members = written.map(|e| (String::from(&*e.key), self.node(&mut e.value, shape.member(&e.key))));
                Json::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar, shape: &Shape, span: Span) -> Json {
        if scalar.substituted {
            follow(scalar, shape);
        }
        let text = std::mem::take(&mut scalar.text);
        match scalar.resolved {
            Resolved::Text => Json::String(text.into()),
            Resolved::Null => Json::Null,
            _ if shape.text => Json::String(text.into()),
            Resolved::Bool(value) => Json::Bool(value),
            Resolved::Unsigned(value) => Json::from(value),
            Resolved::Negative(value) => Json::from(value),
            Resolved::Float(value) => {
                if let (true, Some(whole)) = (shape.wants.integer && !shape.wants.number, whole(value)) {
                    return Json::from(whole);
                }
                Number::from_f64(value).map_or_else(
                    || {
                        let message = format!("`{text}` has no counterpart in JSON, which the AWS API is written in");
                        self.report.push(Diagnostic::error("B016", message).at(span).help("quote it if it is a text"));
                        Json::Null
                    },
                    Json::Number,
                )
            }
        }
    }
}

/// `2.0` where a whole number is wanted.
fn whole(value: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (value.fract() == 0.0 && (0.0..9e15).contains(&value)).then_some(value as u64)
}

/// A variable may be written as a number or as a text; what counts is where it is used.
fn follow(scalar: &mut Scalar, shape: &Shape) {
    let wants = shape.wants;
    match scalar.resolved {
        Resolved::Text if !wants.string => {
            if let Ok(
                resolved @ (Resolved::Unsigned(_) | Resolved::Negative(_) | Resolved::Float(_) | Resolved::Bool(_)),
            ) = scalar::resolve(scalar.text.trim())
            {
                scalar.resolved = resolved;
            }
        }
        Resolved::Unsigned(_) | Resolved::Negative(_) | Resolved::Float(_)
            if wants.string && !wants.integer && !wants.number =>
        {
            scalar.resolved = Resolved::Text;
        }
        Resolved::Bool(_) if wants.string && !wants.boolean => scalar.resolved = Resolved::Text,
        _ => {}
    }
}

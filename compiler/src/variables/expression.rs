//! `${{ expression }}`: minijinja over the variables, where undefined is an error at every depth.

use std::collections::BTreeMap;

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use crate::diagnostics::Span;
use crate::source::scalar::Resolved;
use crate::source::tree::{Entry, Mapping, Node, Style, Value};

/// Bytes that an expression may yield: no file has a place for more, and everything after it would be slow.
const LARGEST: usize = 1 << 20;

/// What an expression yields, or why it does not.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not an expression, or it fails.
    Fails(String),
    /// It, or a part of it, has no value.
    Undefined,
}

/// An evaluator that knows no templates and no files.
pub(crate) fn evaluator() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(1_000_000));
    environment
}

/// The variables that an expression names, sorted.
pub(crate) fn names(environment: &Environment<'_>, source: &str) -> Result<Vec<String>, Failure> {
    let expression = environment.compile_expression(source).map_err(|e| Failure::Fails(words(&e)))?;
    let mut names: Vec<String> = expression.undeclared_variables(false).into_iter().collect();
    names.sort();
    Ok(names)
}

/// Evaluates an expression; the result stands at `span`.
pub(crate) fn evaluate(
    environment: &Environment<'_>,
    source: &str,
    variables: BTreeMap<String, Jinja>,
    span: Span,
) -> Result<Node, Failure> {
    let expression = environment.compile_expression(source).map_err(|e| Failure::Fails(words(&e)))?;
    let result = expression.eval(Jinja::from(variables)).map_err(|e| match e.kind() {
        ErrorKind::UndefinedError => Failure::Undefined,
        _ => Failure::Fails(words(&e)),
    })?;
    to_node(&result, span, &mut LARGEST.clone())
}

/// Takes from what an expression may still yield.
fn spend(left: &mut usize, size: usize) -> Result<(), Failure> {
    let rest = left.checked_sub(size);
    *left = rest.ok_or_else(|| Failure::Fails(format!("it yields more than {LARGEST} bytes")))?;
    Ok(())
}

fn words(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn to_node(value: &Jinja, span: Span, left: &mut usize) -> Result<Node, Failure> {
    spend(left, 1 + value.as_str().map_or(0, str::len))?;
    let failure = |e: minijinja::Error| Failure::Fails(words(&e));
    if value.is_undefined() {
        return Err(Failure::Undefined);
    }
    let scalar = |resolved, text: String| Ok(Node::scalar(resolved, text, Style::Plain, span));
    match value.kind() {
        ValueKind::None => scalar(Resolved::Null, String::new()),
        ValueKind::Bool => scalar(Resolved::Bool(value.is_true()), value.to_string()),
        ValueKind::Number => {
            let resolved = if let Ok(number) = u64::try_from(value.clone()) {
                if value.is_integer() {
                    Resolved::Unsigned(number)
                } else {
                    Resolved::Float(f64::try_from(value.clone()).map_err(failure)?)
                }
            } else if let (true, Ok(number)) = (value.is_integer(), i64::try_from(value.clone())) {
                Resolved::Negative(number)
            } else if value.is_integer() {
                return Err(Failure::Fails(format!("{value} does not fit into 64 bits")));
            } else {
                Resolved::Float(f64::try_from(value.clone()).map_err(failure)?)
            };
            scalar(resolved, value.to_string())
        }
        ValueKind::String => scalar(Resolved::Text, value.to_string()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items =
                value.try_iter().map_err(failure)?.map(|item| to_node(&item, span, left)).collect::<Result<_, _>>()?;
            Ok(Node { value: Value::Sequence(items), span })
        }
        ValueKind::Map => {
            let mut entries = Vec::new();
            for key in value.try_iter().map_err(failure)? {
                let item = value.get_item(&key).map_err(failure)?;
                entries.push(Entry { key: key.to_string().into(), key_span: span, value: to_node(&item, span, left)? });
            }
            Ok(Node { value: Value::Mapping(Mapping::new(entries, true, |_, _| {})), span })
        }
        other => Err(Failure::Fails(format!("it yields {other}, which cannot be written into a file"))),
    }
}

/// A variable's value for expressions.
pub(crate) fn from_node(node: &Node) -> Jinja {
    match &node.value {
        Value::Scalar(scalar) => match scalar.resolved {
            Resolved::Null => Jinja::from(()),
            Resolved::Bool(value) => Jinja::from(value),
            Resolved::Unsigned(value) => Jinja::from(value),
            Resolved::Negative(value) => Jinja::from(value),
            Resolved::Float(value) => Jinja::from(value),
            Resolved::Text => Jinja::from(&*scalar.text),
        },
        Value::Sequence(items) => Jinja::from(items.iter().map(from_node).collect::<Vec<_>>()),
        Value::Mapping(mapping) => {
            let members = mapping.entries().iter().map(|e| (e.key.to_string(), from_node(&e.value)));
            Jinja::from(members.collect::<BTreeMap<_, _>>())
        }
    }
}

//! Conditions: JMESPath with `$name` for late values, because JMESPath has no variables.
//!
//! Invariant: a `$name` outside quotes is replaced by a JMESPath literal of its value, so that no value can change the
//! meaning of the expression around it.

mod limits;
mod wanted;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::thread::LocalKey;

use jmespath::{Context, DEFAULT_RUNTIME, ErrorReason, Rcvar, RuntimeError, Variable};
use serde_json::Value;

use wanted::Parsed;
pub use wanted::Wanted;

/// Expressions that a thread keeps; more are read anew.
const KEPT: usize = 1_000;

/// What a thread keeps of expressions, by their texts.
type Store<T> = LocalKey<RefCell<HashMap<String, Rc<T>>>>;

thread_local! {
    // A run looks at the same expressions again and again.
    static PARTS: RefCell<HashMap<String, Rc<Vec<Part>>>> = RefCell::default();
    static PARSED: RefCell<HashMap<String, Rc<Parsed>>> = RefCell::default();
}

/// Why a condition could not be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not JMESPath.
    #[error("`{expression}` is not JMESPath: {reason}")]
    Syntax {
        /// The expression.
        expression: String,
        /// The parser's words.
        reason: String,
    },
    /// A `$name` without a value.
    #[error("`{expression}` uses ${name}, which is not bound")]
    Unbound {
        /// The expression.
        expression: String,
        /// The name.
        name: String,
    },
    /// A function was given what is not there: `length` of a missing list.
    #[error("`{expression}` cannot be evaluated, because part of it is not there: {reason}")]
    Absent {
        /// The expression.
        expression: String,
        /// The interpreter's words.
        reason: String,
    },
    /// Any other type error at evaluation.
    #[error("`{expression}` cannot be evaluated: {reason}")]
    Evaluation {
        /// The expression.
        expression: String,
        /// The interpreter's words.
        reason: String,
    },
}

/// A document that expressions are evaluated over, made ready for it once.
#[derive(Debug, Clone)]
pub struct Document(Rcvar);

impl Document {
    /// What certain expressions look at in a value; others must not be evaluated over it.
    pub fn of(value: &Value, wanted: &Wanted) -> Self {
        Self(wanted.variable(value))
    }
}

/// The names used as `$name` in an expression, in order of appearance.
pub fn names(expression: &str) -> Vec<&str> {
    pieces(expression)
        .filter_map(|piece| match piece {
            Piece::Name(name) => Some(name),
            Piece::Text(_) => None,
        })
        .collect()
}

/// Checks that an expression is JMESPath and that each `$name` in it is among `bound`.
///
/// # Errors
/// Syntax and unbound names.
pub fn check<'b>(expression: &str, bound: impl IntoIterator<Item = &'b str>) -> Result<(), ConditionError> {
    let values = bound.into_iter().map(|name| (name.to_owned(), Value::Null)).collect();
    parse(expression, &values).map(drop)
}

/// Evaluates an expression over a document.
///
/// # Errors
/// Syntax, unbound names, and type errors of JMESPath functions.
pub fn evaluate(expression: &str, bind: &BTreeMap<String, Value>, document: &Value) -> Result<Value, ConditionError> {
    let parsed = parse(expression, bind)?;
    found(expression, &parsed, &parsed.wanted.variable(document))
}

/// [`evaluate`] over a document that is looked at more than once, by this expression among others.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_in(
    expression: &str,
    bind: &BTreeMap<String, Value>,
    document: &Document,
) -> Result<Value, ConditionError> {
    found(expression, &*parse(expression, bind)?, &document.0)
}

/// What a parsed expression finds.
fn found(expression: &str, parsed: &Parsed, document: &Rcvar) -> Result<Value, ConditionError> {
    let evaluation = |reason: String| ConditionError::Evaluation { expression: expression.to_owned(), reason };
    let mut context = Context::new(&parsed.text, &DEFAULT_RUNTIME);
    let found = limits::interpret(document, &parsed.ast, &mut context).map_err(|e| match &e.reason {
        ErrorReason::Runtime(RuntimeError::InvalidType { actual, .. }) if actual == "null" => {
            ConditionError::Absent { expression: expression.to_owned(), reason: e.reason.to_string() }
        }
        reason => evaluation(reason.to_string()),
    })?;
    value(&found).ok_or_else(|| evaluation("it is a function".to_owned()))
}

/// Evaluates a condition: only `true` holds.
///
/// # Errors
/// As [`evaluate`].
pub fn holds(expression: &str, bind: &BTreeMap<String, Value>, document: &Value) -> Result<bool, ConditionError> {
    Ok(evaluate(expression, bind, document)? == Value::Bool(true))
}

/// [`holds`] over a document that is looked at more than once.
///
/// # Errors
/// As [`evaluate`].
pub fn holds_in(expression: &str, bind: &BTreeMap<String, Value>, document: &Document) -> Result<bool, ConditionError> {
    Ok(evaluate_in(expression, bind, document)? == Value::Bool(true))
}

/// What JMESPath found, unless it is an expression and no value.
fn value(found: &Variable) -> Option<Value> {
    Some(match found {
        Variable::Null => Value::Null,
        Variable::Bool(flag) => Value::Bool(*flag),
        Variable::Number(number) => Value::Number(number.clone()),
        Variable::String(text) => Value::String(text.clone()),
        Variable::Array(list) => Value::Array(list.iter().map(|item| value(item)).collect::<Option<_>>()?),
        Variable::Object(map) => {
            let each = map.iter().map(|(name, item)| Some((name.clone(), value(item)?)));
            Value::Object(each.collect::<Option<_>>()?)
        }
        Variable::Expref(_) => return None,
    })
}

/// A value as a JMESPath literal.
pub fn literal(value: &Value) -> String {
    format!("`{}`", value.to_string().replace('`', "\\`"))
}

/// What an expression with its values in place parses to.
fn parse(expression: &str, bind: &BTreeMap<String, Value>) -> Result<Rc<Parsed>, ConditionError> {
    let syntax = |reason: String| ConditionError::Syntax { expression: expression.to_owned(), reason };
    let parts = kept(&PARTS, expression, || match limits::text(expression) {
        Some(reason) => Err(syntax(reason)),
        None => Ok(pieces(expression).map(Part::from).collect()),
    })?;
    let mut text = String::with_capacity(expression.len());
    for part in parts.iter() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Name(name) => match bind.get(name) {
                Some(value) => text.push_str(&literal(value)),
                None => return Err(ConditionError::Unbound { expression: expression.to_owned(), name: name.clone() }),
            },
        }
    }
    kept(&PARSED, &text, || {
        let ast = jmespath::parse(&text).map_err(|e| syntax(e.reason.to_string()))?;
        match limits::tree(&ast) {
            Some(reason) => Err(syntax(reason)),
            None => Ok(Parsed::new(text.clone(), ast)),
        }
    })
}

/// What this thread keeps under that text, made first if there is nothing.
fn kept<T, E>(store: &'static Store<T>, text: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
    if let Some(known) = store.with_borrow(|known| known.get(text).cloned()) {
        return Ok(known);
    }
    let made = Rc::new(make()?);
    store.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(text.to_owned(), Rc::clone(&made));
    });
    Ok(made)
}

/// A piece of an expression that is kept.
enum Part {
    Text(String),
    Name(String),
}

impl From<Piece<'_>> for Part {
    fn from(piece: Piece<'_>) -> Self {
        match piece {
            Piece::Text(text) => Self::Text(text.to_owned()),
            Piece::Name(name) => Self::Name(name.to_owned()),
        }
    }
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Splits an expression into text and `$name`s; quoted parts ('…', "…", `…`) are text.
fn pieces(expression: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = expression;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix('$') {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            if end > 0 {
                let name = &after[..end];
                rest = &after[end..];
                return Some(Piece::Name(name));
            }
        }
        let mut quote = None;
        let mut escaped = false;
        let end = rest
            .char_indices()
            .find(|&(at, c)| {
                if escaped {
                    escaped = false;
                    return false;
                }
                match (quote, c) {
                    (Some(_), '\\') => escaped = true,
                    (Some(q), c) if q == c => quote = None,
                    (None, '\'' | '"' | '`') => quote = Some(c),
                    (None, '$') => return at > 0,
                    _ => {}
                }
                false
            })
            .map_or(rest.len(), |(at, _)| at);
        let (text, tail) = rest.split_at(end);
        rest = tail;
        Some(Piece::Text(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_outside_quotes_only() {
        assert_eq!(names("a == $x && b == '$y' && c[?d==`\"$z\"`] && $w"), ["x", "w"]);
    }

    #[test]
    fn a_bound_value_cannot_break_out_of_its_literal() {
        let nasty = Value::String("`]'\"\\ $x".into());
        let bind = BTreeMap::from([("x".to_owned(), nasty.clone())]);
        let document = serde_json::json!({"tags": [{"key": "k", "value": nasty}]});
        assert_eq!(evaluate("tags[?value==$x].key | [0]", &bind, &document), Ok(Value::String("k".into())));
    }

    #[test]
    fn what_is_not_there_is_told_apart_from_what_is_wrong() {
        let evaluate = |expression| evaluate(expression, &BTreeMap::new(), &serde_json::json!({"n": 1}));
        assert!(matches!(evaluate("length(list[?a=='b']) == `1`"), Err(ConditionError::Absent { .. })));
        assert!(matches!(evaluate("length(n)"), Err(ConditionError::Evaluation { .. })));
        assert_eq!(evaluate("list[0].a"), Ok(Value::Null));
    }

    #[test]
    fn an_unbound_name_and_bad_syntax_are_told_apart() {
        assert!(matches!(check("a == $x", []), Err(ConditionError::Unbound { .. })));
        assert!(matches!(check("a ==", []), Err(ConditionError::Syntax { .. })));
        assert_eq!(check("a == $x", ["x"]), Ok(()));
    }
}

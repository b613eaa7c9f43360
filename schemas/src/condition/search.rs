//! Looks for what an expression wants in a document as it is. The interpreter has a form of its own for documents, and
//! making them into it costs more than most expressions: here only what is handed to a function becomes that.
//!
//! Invariant: what is found, and every error, is what the interpreter would have found in the whole document.

use jmespath::ast::{Ast, Comparator};
use jmespath::{Context, ErrorReason, JmespathError, Rcvar, RuntimeError, Variable};
use serde_json::Value;

use super::limits;

static NULL: Value = Value::Null;

/// What an expression has come to.
#[derive(Debug, Clone)]
pub(super) enum Found<'v> {
    /// A part of the document.
    Part(&'v Value),
    /// A list of what was found.
    List(Vec<Self>),
    /// What is not in the document.
    Made(Rcvar),
}

impl<'v> Found<'v> {
    const NOTHING: Self = Found::Part(&NULL);

    fn truth(is: bool) -> Self {
        Found::Made(Rcvar::new(Variable::Bool(is)))
    }

    fn is_null(&self) -> bool {
        match self {
            Found::Part(value) => value.is_null(),
            Found::List(_) => false,
            Found::Made(made) => made.is_null(),
        }
    }

    fn is_truthy(&self) -> bool {
        match self {
            Found::Part(value) => match value {
                Value::Null => false,
                Value::Bool(flag) => *flag,
                Value::Number(_) => true,
                Value::String(text) => !text.is_empty(),
                Value::Array(list) => !list.is_empty(),
                Value::Object(map) => !map.is_empty(),
            },
            Found::List(list) => !list.is_empty(),
            Found::Made(made) => made.is_truthy(),
        }
    }

    fn field(&self, name: &str) -> Self {
        match self {
            Found::Part(value) => Found::Part(value.get(name).unwrap_or(&NULL)),
            Found::List(_) => Found::NOTHING,
            Found::Made(made) => Found::Made(made.get_field(name)),
        }
    }

    fn index(&self, index: i32) -> Self {
        let place = |length: usize| {
            let distance = usize::try_from(index.unsigned_abs()).ok()?;
            if index < 0 { length.checked_sub(distance) } else { Some(distance) }
        };
        match self {
            Found::Part(Value::Array(list)) => {
                Found::Part(place(list.len()).and_then(|at| list.get(at)).unwrap_or(&NULL))
            }
            Found::Part(_) => Found::NOTHING,
            Found::List(list) => place(list.len()).and_then(|at| list.get(at)).cloned().unwrap_or(Found::NOTHING),
            Found::Made(made) if index < 0 => Found::Made(made.get_negative_index(index.unsigned_abs() as usize)),
            Found::Made(made) => Found::Made(made.get_index(index.unsigned_abs() as usize)),
        }
    }

    /// Its items, if it is a list.
    fn items(self) -> Option<Vec<Self>> {
        match self {
            Found::Part(value) => Some(value.as_array()?.iter().map(Found::Part).collect()),
            Found::List(list) => Some(list),
            Found::Made(made) => Some(made.as_array()?.iter().cloned().map(Found::Made).collect()),
        }
    }

    fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            // By far the most comparisons are of a text that is there with one that the expression holds.
            (Found::Part(Value::String(there)), Found::Made(made)) => Some(made.as_string() == Some(there)),
            _ => None,
        }
    }

    /// As the interpreter has it.
    fn variable(self) -> Rcvar {
        match self {
            Found::Part(value) => variable(value),
            Found::List(list) => Rcvar::new(Variable::Array(list.into_iter().map(Self::variable).collect())),
            Found::Made(made) => made,
        }
    }

    /// As JSON, unless it is an expression and no value.
    pub fn value(&self) -> Option<Value> {
        match self {
            Found::Part(value) => Some((*value).clone()),
            Found::List(list) => list.iter().map(Self::value).collect::<Option<_>>().map(Value::Array),
            Found::Made(made) => value(made),
        }
    }
}

/// What an expression finds.
pub(super) fn search<'v>(data: &Found<'v>, ast: &Ast, context: &mut Context<'_>) -> Result<Found<'v>, JmespathError> {
    Ok(match ast {
        Ast::Identity { .. } => data.clone(),
        Ast::Field { name, .. } => data.field(name),
        Ast::Index { idx, .. } => data.index(*idx),
        Ast::Literal { value, .. } => Found::Made(value.clone()),
        Ast::Subexpr { lhs, rhs, .. } => {
            let left = search(data, lhs, context)?;
            search(&left, rhs, context)?
        }
        Ast::And { .. } | Ast::Or { .. } => {
            let (all, operands) = limits::chain(ast);
            let mut found = Found::NOTHING;
            for operand in operands {
                found = search(data, operand, context)?;
                if found.is_truthy() != all {
                    break;
                }
            }
            found
        }
        Ast::Not { node, .. } => Found::truth(!search(data, node, context)?.is_truthy()),
        Ast::Condition { predicate, then, .. } if search(data, predicate, context)?.is_truthy() => {
            search(data, then, context)?
        }
        Ast::Condition { .. } => Found::NOTHING,
        Ast::Comparison { comparator, lhs, rhs, .. } => {
            let (left, right) = (search(data, lhs, context)?, search(data, rhs, context)?);
            compare(comparator, left, right).map_or(Found::NOTHING, Found::truth)
        }
        Ast::Projection { lhs, rhs, .. } => {
            let Some(items) = search(data, lhs, context)?.items() else { return Ok(Found::NOTHING) };
            let mut kept = Vec::new();
            for item in items {
                let found = search(&item, rhs, context)?;
                if !found.is_null() {
                    kept.push(found);
                }
            }
            Found::List(kept)
        }
        Ast::Flatten { node, .. } => {
            let Some(items) = search(data, node, context)?.items() else { return Ok(Found::NOTHING) };
            let mut flat = Vec::with_capacity(items.len());
            for item in items {
                match item.clone().items() {
                    Some(inner) => flat.extend(inner),
                    None => flat.push(item),
                }
            }
            Found::List(flat)
        }
        Ast::MultiList { .. } | Ast::MultiHash { .. } if data.is_null() => Found::NOTHING,
        Ast::MultiList { elements, .. } => {
            Found::List(elements.iter().map(|one| search(data, one, context)).collect::<Result<_, _>>()?)
        }
        Ast::MultiHash { elements, .. } => {
            let each = elements.iter().map(|pair| {
                let found = search(data, &pair.value, context)?;
                Ok((pair.key.clone(), found.variable()))
            });
            Found::Made(Rcvar::new(Variable::Object(each.collect::<Result<_, JmespathError>>()?)))
        }
        Ast::Function { name, args, offset } => {
            let args = args.iter().map(|arg| search(data, arg, context)).collect::<Result<Vec<_>, _>>()?;
            match (name.as_str(), args.as_slice()) {
                ("length", [Found::Part(Value::Array(list))]) => number(list.len()),
                ("length", [Found::List(list)]) => number(list.len()),
                _ => {
                    context.offset = *offset;
                    let Some(function) = context.runtime.get_function(name) else {
                        let unknown = ErrorReason::Runtime(RuntimeError::UnknownFunction(name.clone()));
                        return Err(JmespathError::from_ctx(context, unknown));
                    };
                    let args: Vec<Rcvar> = args.into_iter().map(Found::variable).collect();
                    Found::Made(function.evaluate(&args, context)?)
                }
            }
        }
        Ast::Expref { ast, .. } => Found::Made(Rcvar::new(Variable::Expref((**ast).clone()))),
        Ast::ObjectValues { .. } | Ast::Slice { .. } => {
            Found::Made(jmespath::interpret(&data.clone().variable(), ast, context)?)
        }
    })
}

fn compare(comparator: &Comparator, left: Found<'_>, right: Found<'_>) -> Option<bool> {
    match (comparator, left.equals(&right)) {
        (Comparator::Equal, Some(same)) => Some(same),
        (Comparator::NotEqual, Some(same)) => Some(!same),
        _ => left.variable().compare(comparator, &right.variable()),
    }
}

fn number<'v>(count: usize) -> Found<'v> {
    Found::Made(Rcvar::new(Variable::Number(count.into())))
}

/// A value as the interpreter has it.
fn variable(value: &Value) -> Rcvar {
    Rcvar::new(match value {
        Value::Null => Variable::Null,
        Value::Bool(flag) => Variable::Bool(*flag),
        Value::Number(number) => Variable::Number(number.clone()),
        Value::String(text) => Variable::String(text.clone()),
        Value::Array(list) => Variable::Array(list.iter().map(variable).collect()),
        Value::Object(map) => {
            Variable::Object(map.iter().map(|(name, value)| (name.clone(), variable(value))).collect())
        }
    })
}

/// What the interpreter made, unless it is an expression and no value.
fn value(made: &Variable) -> Option<Value> {
    Some(match made {
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

#[cfg(test)]
mod tests {
    use jmespath::DEFAULT_RUNTIME;
    use serde_json::json;

    use super::*;

    const EXPRESSIONS: [&str; 62] = [
        "@",
        "a",
        "a.b",
        "a.b.c",
        "list",
        "list[0]",
        "list[-1]",
        "list[7]",
        "list[-7]",
        "list[*].n",
        "list[].n",
        "list[?n==`1`]",
        "list[?n==`1.0`].s",
        "list[?n!=`1`].s | [0]",
        "list[?s=='x']",
        "list[?s!='x'].n",
        "list[?'x'==s].n",
        "list[?s==`null`]",
        "list[?n>`1`].n",
        "list[?s>'a']",
        "list[?n>=`1` && s=='x' || t]",
        "list[?!t].n",
        "list[*].t[]",
        "list[*].t[] | [1]",
        "list[].t[].u",
        "nested[]",
        "nested[][]",
        "nested[0][1]",
        "length(list)",
        "length(list[?n==`1`])",
        "length(a)",
        "length(s)",
        "length(missing)",
        "length(n)",
        "length(list, a)",
        "nothing(a)",
        "sort_by(list, &n)[-1].s",
        "max_by(list, &missing)",
        "map(&n, list)",
        "sort(list[*].s)",
        "join(',', list[*].s)",
        "contains(list[*].s, 'x')",
        "contains(s, 'ext')",
        "starts_with(s, 't')",
        "keys(a)",
        "values(a)",
        "a.*",
        "*",
        "list[:1]",
        "list[::-1].n",
        "list[0:2:0]",
        "[n, s, missing]",
        "missing.[a, b]",
        "{n: n, all: list[*].n}",
        "missing.{n: n}",
        "list[*].[n, s]",
        "list[*].{n: n} | [0].n",
        "&n",
        "[&n]",
        "type(list[?n==`2`] | [0].t)",
        "[list, list[*]][0] == list",
        "not_null(missing, list[?n==`9`][], n) && !missing && `[]` || s",
    ];

    #[test]
    fn it_finds_what_the_interpreter_finds() {
        let document = json!({
            "a": {"b": {"c": 1}, "z": [1]}, "n": 1, "s": "text", "nested": [[1, [2]], 3, [], null],
            "list": [{"n": 1, "s": "x", "t": [{"u": 1}, null]}, {"n": 2, "s": "y", "t": []}, {"n": 1.0, "s": "", "t": 0}],
        });
        for document in [document, json!(null), json!([]), json!({"list": {"n": 1}, "a": [], "s": null})] {
            for expression in EXPRESSIONS {
                let ast = jmespath::parse(expression).unwrap();
                let context = || Context::new(expression, &DEFAULT_RUNTIME);
                let told = |error: JmespathError| error.reason.to_string();
                let ours = search(&Found::Part(&document), &ast, &mut context());
                let theirs = jmespath::interpret(&variable(&document), &ast, &mut context());
                let (ours, theirs) = (ours.map(|o| o.value()).map_err(told), theirs.map(|t| value(&t)).map_err(told));
                assert_eq!(ours, theirs, "{expression} in {document}");
            }
        }
    }
}

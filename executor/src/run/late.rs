//! Puts late values in: the one moment at which a plan's call becomes the call that is sent.
//!
//! A share of a list is as many of its first items. A token is the first 32 hex digits of the SHA-256 of run, node and
//! chunk, so that the same step of the same run always has the same one.
//!
//! Invariant: nothing else of a call changes, and a late value without a value is an error, not an omission.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use belay_schemas::condition::{self, ConditionError};
use belay_schemas::late::{Late, LateError, Share};
use belay_schemas::plan::Call;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Why a late value has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not a late value after all.
    #[error(transparent)]
    Form(#[from] LateError),
    /// The node has no answer.
    #[error("{0} has no answer to take a value from")]
    NoAnswer(String),
    /// The path leads nowhere.
    #[error("the answer of {node} has nothing at `{path}`")]
    Nothing {
        /// The node.
        node: String,
        /// The path.
        path: String,
    },
    /// Only numbers and lists have shares.
    #[error("`{path}` of {node} is {value}: only a number or a list has a share")]
    Share {
        /// The node.
        node: String,
        /// The path.
        path: String,
        /// What is there.
        value: String,
    },
    /// The path cannot be evaluated.
    #[error(transparent)]
    Path(#[from] ConditionError),
}

/// Answers by node id.
pub(super) type Answers = HashMap<String, Arc<Value>>;

/// What late values of one node stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub run: &'a str,
    pub node: &'a str,
    pub chunk: u32,
    pub answers: &'a Answers,
    /// Answers of this poll so far: `@0`, `@1`, …
    pub polls: &'a [Value],
    /// The current chunk's items: `@each`.
    pub each: Option<&'a Value>,
}

/// A call with its late values put in, or nothing to ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Resolved<'c> {
    Call(Cow<'c, Call>),
    /// A poll's read that asks for what an earlier read of the poll did not find.
    Nothing,
}

impl Scope<'_> {
    /// The call as it is to be sent.
    pub fn call<'c>(&self, call: &'c Call) -> Result<Resolved<'c>, ResolveError> {
        if !has_late(&call.input)? {
            return Ok(Resolved::Call(Cow::Borrowed(call)));
        }
        let mut nothing = false;
        let input = self.value(&call.input, true, &mut nothing)?;
        if nothing {
            return Ok(Resolved::Nothing);
        }
        let (service, operation) = (call.service.clone(), call.operation.clone());
        Ok(Resolved::Call(Cow::Owned(Call { service, operation, input })))
    }

    /// What names in expressions stand for; a value may be null here.
    pub fn bind(&self, bind: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, ResolveError> {
        bind.iter().map(|(name, value)| Ok((name.clone(), self.value(value, false, &mut false)?))).collect()
    }

    /// A document with its late values put in; they may be null.
    pub fn document(&self, value: &Value) -> Result<Value, ResolveError> {
        self.value(value, false, &mut false)
    }

    fn value(&self, value: &Value, strict: bool, nothing: &mut bool) -> Result<Value, ResolveError> {
        if let Some(late) = Late::recognise(value)? {
            return self.late(&late, strict, nothing);
        }
        Ok(match value {
            Value::Object(map) => {
                let members = map.iter().map(|(name, v)| Ok((name.clone(), self.value(v, strict, nothing)?)));
                Value::Object(members.collect::<Result<_, ResolveError>>()?)
            }
            Value::Array(list) => {
                Value::Array(list.iter().map(|v| self.value(v, strict, nothing)).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    fn late(&self, late: &Late<'_>, strict: bool, nothing: &mut bool) -> Result<Value, ResolveError> {
        let (node, path, share) = match late {
            Late::RunId => return Ok(Value::String(self.run.to_owned())),
            Late::RunToken => return Ok(Value::String(token(self.run, self.node, self.chunk))),
            Late::Output { node, path, share } => (*node, *path, *share),
        };
        let no_answer = || ResolveError::NoAnswer(node.to_owned());
        let poll = node.strip_prefix('@').and_then(|number| number.parse::<usize>().ok());
        let answer = match poll {
            Some(at) => self.polls.get(at).ok_or_else(no_answer)?,
            None if node == "@each" => self.each.ok_or_else(no_answer)?,
            None => self.answers.get(node).ok_or_else(no_answer)?,
        };
        let found = match condition::evaluate(path, &BTreeMap::new(), answer) {
            // What was not found, or not asked for, has no parts that a function could take.
            Err(_) if poll.is_some() && answer.is_null() => Value::Null,
            other => other?,
        };
        let found = match share {
            Some(share) => take_share(&found, share).ok_or_else(|| ResolveError::Share {
                node: node.to_owned(),
                path: path.to_owned(),
                value: found.to_string(),
            })?,
            None => found,
        };
        let empty = found.is_null() || found.as_array().is_some_and(Vec::is_empty);
        if poll.is_some() && empty {
            *nothing = true;
        } else if found.is_null() && strict {
            return Err(ResolveError::Nothing { node: node.to_owned(), path: path.to_owned() });
        }
        Ok(found)
    }
}

/// Whether there is anything late in it; most reads name what is known.
fn has_late(value: &Value) -> Result<bool, LateError> {
    let mut found = false;
    Late::each(value, &mut |_| found = true)?;
    Ok(found)
}

/// A client token of a step of a run.
pub(super) fn token(run: &str, node: &str, chunk: u32) -> String {
    // Line breaks keep the parts apart: neither a run id nor a node id holds one.
    crate::hex(&Sha256::digest(format!("{run}\n{node}\n{chunk}").as_bytes())[..16])
}

fn take_share(value: &Value, share: Share) -> Option<Value> {
    match value {
        Value::Array(list) => {
            let length = usize::try_from(share.of(list.len() as u64)).ok()?;
            Some(Value::Array(list.iter().take(length).cloned().collect()))
        }
        // JMESPath counts in floating point, so a whole number may come as 3.0.
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float >= 0.0 && float.fract() == 0.0 && float <= 9e15).then_some(float as u64)
            })?;
            Some(Value::from(share.of(whole)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope<'a>(answers: &'a Answers, polls: &'a [Value]) -> Scope<'a> {
        Scope { run: "r", node: "n", chunk: 0, answers, polls, each: None }
    }

    fn call(input: Value) -> Call {
        Call { service: "ecs".into(), operation: "X".into(), input }
    }

    #[test]
    fn shares_round_up_unless_they_are_to_be_rounded_down() {
        let up = |k, n| Share { k, n, down: false };
        assert_eq!(take_share(&json!(10), up(1, 3)), Some(json!(4)));
        assert_eq!(take_share(&json!(10.0), up(3, 3)), Some(json!(10)));
        assert_eq!(take_share(&json!(["a", "b", "c"]), up(1, 2)), Some(json!(["a", "b"])));
        assert_eq!(take_share(&json!([]), up(1, 2)), Some(json!([])));
        assert_eq!(take_share(&json!("x"), up(1, 2)), None);
        assert_eq!(take_share(&json!(1.5), up(1, 2)), None);
        let down = Share { k: 1, n: 2, down: true };
        assert_eq!(take_share(&json!(["a", "b", "c"]), down), Some(json!(["a"])));
        assert_eq!(take_share(&json!(u64::MAX), down), Some(json!(u64::MAX / 2)));
    }

    #[test]
    fn late_values_are_put_in_anywhere() {
        let answers = Answers::from([("td".to_owned(), Arc::new(json!({"arn": "a:1"})))]);
        let wanted = call(json!({"list": [{"$output": "td", "path": "arn"}], "run": {"$run": "id"}, "plain": 1}));
        let resolved = scope(&answers, &[]).call(&wanted).unwrap();
        assert_eq!(resolved, Resolved::Call(Cow::Owned(call(json!({"list": ["a:1"], "run": "r", "plain": 1})))));
    }

    #[test]
    fn what_follows_from_a_read_that_found_nothing_is_not_asked_for() {
        let newest = call(json!({"name": {"$output": "@0", "path": "sort_by(list, &at)[-1].name"}}));
        let answers = Answers::new();
        assert_eq!(scope(&answers, &[Value::Null]).call(&newest), Ok(Resolved::Nothing));
        assert_eq!(scope(&answers, &[json!({"list": []})]).call(&newest), Ok(Resolved::Nothing));
        let odd = scope(&answers, &[json!({"list": 1})]).call(&newest);
        assert!(matches!(odd, Err(ResolveError::Path(_))), "{odd:?}");
    }

    #[test]
    fn a_missing_value_is_an_error_and_not_an_omission() {
        let answers = Answers::from([("td".to_owned(), Arc::new(json!({})))]);
        let scope = scope(&answers, &[]);
        let call = |node: &str| call(json!({"x": {"$output": node, "path": "arn"}}));
        let (known, other) = (call("td"), call("no"));
        let missing = scope.call(&known);
        assert!(matches!(missing, Err(ResolveError::Nothing { .. })));
        let unknown = scope.call(&other);
        assert_eq!(unknown, Err(ResolveError::NoAnswer("no".into())));
        let bound = BTreeMap::from([("x".to_owned(), json!({"$output": "td", "path": "arn"}))]);
        assert_eq!(scope.bind(&bound).unwrap()["x"], Value::Null);
    }

    #[test]
    fn a_poll_asks_for_nothing_when_nothing_was_found() {
        let answers = Answers::new();
        let polls = [json!({"taskArns": []})];
        let second = call(json!({"tasks": {"$output": "@0", "path": "taskArns"}}));
        assert_eq!(scope(&answers, &polls).call(&second).unwrap(), Resolved::Nothing);
    }

    #[test]
    fn tokens_tell_runs_nodes_and_chunks_apart() {
        let all = [token("a", "b", 0), token("a", "b", 1), token("a", "c", 0), token("c", "b", 0)];
        assert!(all.iter().all(|t| t.len() == 32));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    }
}

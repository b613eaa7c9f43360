//! Late values: the only things in a plan that are not known until it runs.
//!
//! `{"$output": NODE, "path": JMESPath}`, optionally with `share: [k, n]` (⌈value·k/n⌉, with `round: "down"`
//! ⌊value·k/n⌋), and `{"$run": "id"}` or `{"$run": "token"}`. Inside waits and evidence, `@0`, `@1`, … stand for the
//! answers of the same poll; inside a node with `each`, `@each` stands for the current chunk.
//!
//! What a path sees: of a call or read its answer; of a wait the list of its last poll's answers; of any node with `each`
//! a list of `{"items": […], "answer": …}`, one for each chunk that happened or may have happened (`answer` is null then),
//! so that `[].items[]` is what a compensation has to undo. A share of a list is as many of its first items.
//!
//! Invariant: this module only recognises; the executor resolves.

use serde_json::{Map, Value};

/// A late value that was recognised in a JSON document.
#[derive(Debug, Clone, PartialEq)]
pub enum Late<'a> {
    /// A part of another node's answer (or of a read of the same poll, `@N`, or the current chunk, `@each`).
    Output {
        /// Node id, `@N` or `@each`.
        node: &'a str,
        /// JMESPath over the answer.
        path: &'a str,
        /// How much of a number or of a list's items.
        share: Option<Share>,
    },
    /// The run's id: what ownership and probes are proven by.
    RunId,
    /// A client token derived from run and node.
    RunToken,
}

/// A share of a number: k/n of it, in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// k
    pub k: u64,
    /// n, at least 1 and at least k
    pub n: u64,
    /// Whether it is rounded down; else up.
    pub down: bool,
}

impl Share {
    /// The share of this number.
    pub fn of(self, whole: u64) -> u64 {
        let (product, n) = (u128::from(whole) * u128::from(self.k), u128::from(self.n));
        let share = if self.down { product / n } else { product.div_ceil(n) };
        // k is at most n, so a share is at most the whole.
        u64::try_from(share).unwrap_or(whole)
    }
}

/// Why an object that looks like a late value is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LateError {
    /// A member is missing, surplus or of the wrong type.
    #[error(
        "a late value has the form {{\"$output\": NODE, \"path\": JMESPath}} or {{\"$run\": \"id\" | \"token\"}}, not {0}"
    )]
    Form(String),
}

/// Whether a map has a key that only late values may have.
pub fn is_reserved(map: &Map<String, Value>) -> bool {
    // Maps are small, and hardly any key has one of these lengths: that is faster than two look-ups.
    map.keys().any(|key| key == "$output" || key == "$run")
}

impl<'a> Late<'a> {
    /// Recognises a late value; `Ok(None)` for any other JSON.
    ///
    /// # Errors
    /// When the object holds a reserved key but has not the form of a late value.
    pub fn recognise(value: &'a Value) -> Result<Option<Self>, LateError> {
        let Value::Object(map) = value else { return Ok(None) };
        if !is_reserved(map) {
            return Ok(None);
        }
        let wrong = || LateError::Form(value.to_string());
        match (map.get("$run"), map.get("$output")) {
            (Some(Value::String(what)), None) if map.len() == 1 => match what.as_str() {
                "id" => Ok(Some(Self::RunId)),
                "token" => Ok(Some(Self::RunToken)),
                _ => Err(wrong()),
            },
            (None, Some(Value::String(node))) => {
                let Some(Value::String(path)) = map.get("path") else { return Err(wrong()) };
                let down = match map.get("round") {
                    None => false,
                    Some(Value::String(round)) if round == "down" && map.contains_key("share") => true,
                    Some(_) => return Err(wrong()),
                };
                let share = match map.get("share") {
                    None => None,
                    Some(Value::Array(pair)) => {
                        match (pair.first().and_then(Value::as_u64), pair.get(1).and_then(Value::as_u64)) {
                            (Some(k), Some(n)) if pair.len() == 2 && n > 0 && k <= n => Some(Share { k, n, down }),
                            _ => return Err(wrong()),
                        }
                    }
                    Some(_) => return Err(wrong()),
                };
                if map.len() != 2 + usize::from(share.is_some()) + usize::from(down) {
                    return Err(wrong());
                }
                Ok(Some(Self::Output { node, path, share }))
            }
            _ => Err(wrong()),
        }
    }

    /// Calls `visit` for every late value in `value`, in document order.
    ///
    /// # Errors
    /// The first malformed late value.
    pub fn each(value: &'a Value, visit: &mut dyn FnMut(Self)) -> Result<(), LateError> {
        if let Some(late) = Self::recognise(value)? {
            visit(late);
            return Ok(());
        }
        match value {
            Value::Object(map) => map.values().try_for_each(|v| Self::each(v, visit)),
            Value::Array(list) => list.iter().try_for_each(|v| Self::each(v, visit)),
            _ => Ok(()),
        }
    }
}

/// `{"$output": node, "path": path}`.
pub fn output(node: &str, path: &str) -> Value {
    serde_json::json!({"$output": node, "path": path})
}

/// `{"$run": "id"}`.
pub fn run_id() -> Value {
    serde_json::json!({"$run": "id"})
}

/// `{"$run": "token"}`.
pub fn run_token() -> Value {
    serde_json::json!({"$run": "token"})
}

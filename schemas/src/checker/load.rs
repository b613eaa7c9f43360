//! Reading a plan file: nothing in it may be unknown, ignored or changed since it was compiled.
//!
//! Invariant: the format version is looked at before anything else of the content, so that a plan of another version is
//! called that and not a pile of unknown members.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Violation, check_contents};
use crate::FORMAT;
use crate::plan::{Call, Exec, Gate, Http, Node, Plan, Wait};

/// Why a text is no plan that may run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not JSON at all.
    #[error("not JSON, at line {line}, column {column}: {reason}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The parser's words.
        reason: String,
    },
    /// JSON, but not of a plan.
    #[error("this is not a plan: {reason}")]
    NotAPlan {
        /// What is missing.
        reason: String,
    },
    /// Written by a later version of belayc.
    #[error(
        "the plan has format {found}, which is newer than this program's {FORMAT}: use the belay that belongs to its belayc"
    )]
    Newer {
        /// The plan's format.
        found: u64,
    },
    /// Written by an earlier version of belayc.
    #[error("the plan has format {found}, which is older than this program's {FORMAT}: compile it again")]
    Older {
        /// The plan's format.
        found: u64,
    },
    /// A member that plans do not have.
    #[error("{at}: there is no such member in a plan: `{name}`")]
    UnknownMember {
        /// JSON pointer to the object that holds it.
        at: String,
        /// Its name.
        name: String,
    },
    /// A member is missing or of the wrong type.
    #[error("{at}: {reason}")]
    Form {
        /// JSON pointer, as near as it is known.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// The content is not what was compiled.
    #[error("the plan was changed after it was compiled: its digest says {claimed}, its content has {computed}")]
    Digest {
        /// The digest in the file.
        claimed: String,
        /// The digest of the file.
        computed: String,
    },
    /// The plan breaks rules.
    #[error("the plan breaks {} of the rules for plans:{}", .0.len(), list(.0))]
    Violations(Vec<Violation>),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

/// Reads a plan and checks all of it.
///
/// # Errors
/// Everything that makes a text no plan that may run; see [`LoadError`].
pub fn load(text: &str) -> Result<Plan, LoadError> {
    let raw: Value = serde_json::from_str(text).map_err(|error| LoadError::NotJson {
        line: error.line(),
        column: error.column(),
        reason: bare(&error),
    })?;
    let Value::Object(top) = &raw else {
        return Err(LoadError::NotAPlan { reason: "it is not a JSON object".into() });
    };
    match top.get("format").map(Value::as_u64) {
        Some(Some(found)) if found > u64::from(FORMAT) => return Err(LoadError::Newer { found }),
        Some(Some(found)) if found < u64::from(FORMAT) => return Err(LoadError::Older { found }),
        Some(Some(_)) => {}
        Some(None) => return Err(LoadError::NotAPlan { reason: "its `format` is not a whole number".into() }),
        None => return Err(LoadError::NotAPlan { reason: "it has no `format`".into() }),
    }
    let plan = Plan::deserialize(&raw).map_err(|error| explain(top, &error))?;
    let written = serde_json::to_value(&plan).unwrap_or_default();
    surplus(&raw, &written, &mut String::new())?;
    let computed = plan.computed_digest();
    if plan.digest != computed {
        return Err(LoadError::Digest { claimed: plan.digest, computed });
    }
    let violations = check_contents(&plan);
    if violations.is_empty() { Ok(plan) } else { Err(LoadError::Violations(violations)) }
}

/// The parser's words without the position that it adds.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Finds what the types did not take in: a member beside the one that decides which action it is.
fn surplus(raw: &Value, written: &Value, at: &mut String) -> Result<(), LoadError> {
    let mut below = |key: &str, raw: &Value, written: &Value| {
        let end = at.len();
        at.push('/');
        at.push_str(key);
        surplus(raw, written, at)?;
        at.truncate(end);
        Ok(())
    };
    match (raw, written) {
        (Value::Object(raw), Value::Object(written)) => {
            let mut unknown = None;
            for (key, value) in raw {
                match written.get(key) {
                    Some(kept) => below(key, value, kept)?,
                    None if is_default(key, value) => {}
                    None => unknown = unknown.or(Some(key)),
                }
            }
            match unknown {
                Some(name) => Err(LoadError::UnknownMember { at: place(at), name: name.clone() }),
                None => Ok(()),
            }
        }
        (Value::Array(raw), Value::Array(written)) => {
            raw.iter().zip(written).enumerate().try_for_each(|(i, (raw, written))| below(&i.to_string(), raw, written))
        }
        _ => Ok(()),
    }
}

/// Whether a member says only what its absence says too.
fn is_default(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => key == "timeout" && number.as_u64() == Some(Node::DEFAULT_TIMEOUT),
        Value::Bool(_) | Value::String(_) => false,
    }
}

/// Says where the types did not fit: serde names no place, so the parts are tried one by one.
fn explain(top: &Map<String, Value>, error: &serde_json::Error) -> LoadError {
    for (at, node) in top.get("nodes").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let Err(error) = Node::deserialize(node) else { continue };
        let at = format!("/nodes/{at}");
        return match node.get("action").and_then(action) {
            Some((kind, inner)) => said(&format!("{at}/action/{kind}"), &inner),
            None => said(&at, &error),
        };
    }
    said("", error)
}

/// What is wrong with the content of an action.
fn action(action: &Value) -> Option<(&'static str, serde_json::Error)> {
    fn part<T: DeserializeOwned>(action: &Value, kind: &'static str) -> Option<(&'static str, serde_json::Error)> {
        T::deserialize(action.get(kind)?).err().map(|error| (kind, error))
    }
    part::<Call>(action, "call")
        .or_else(|| part::<Call>(action, "read"))
        .or_else(|| part::<Wait>(action, "wait"))
        .or_else(|| part::<Http>(action, "http"))
        .or_else(|| part::<Exec>(action, "exec"))
        .or_else(|| part::<Gate>(action, "gate"))
        .or_else(|| part::<u64>(action, "delay"))
        .or_else(|| part::<String>(action, "commit"))
}

fn said(at: &str, error: &serde_json::Error) -> LoadError {
    let reason = bare(error);
    let name = reason.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
    match name {
        Some(name) => LoadError::UnknownMember { at: place(at), name: name.to_owned() },
        None => LoadError::Form { at: place(at), reason },
    }
}

fn place(at: &str) -> String {
    if at.is_empty() { "the plan".to_owned() } else { at.to_owned() }
}

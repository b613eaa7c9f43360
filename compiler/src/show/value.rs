//! Values in a few words: what changed, from what to what.

use std::collections::BTreeSet;

use belay_schemas::plan::Why;
use serde_json::Value;

/// Characters of a value before it is cut.
const VALUE: usize = 80;

/// Differences inside of one value before they are only counted.
const LEAVES: usize = 3;

/// `image: nginx:1.12 → nginx:1.13  (model.yaml:4:12)`.
pub(super) fn reason(component: &str, why: &Why) -> String {
    let path = path(component, why);
    let at = why.at.as_ref().map_or(String::new(), |at| format!("  ({at})"));
    let change = match (&why.from, &why.to) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, to) => format!(": {}", short(to)),
        (from, Value::Null) => format!(": {} → nothing", short(from)),
        (from, to) => between(from, to),
    };
    let line = format!("{path}{change}{at}");
    line.trim_start_matches(": ").to_owned()
}

/// `env.LOG_LEVEL`: where the value stands, inside of its component.
pub(super) fn path(component: &str, why: &Why) -> String {
    let own = format!("/components/{component}");
    let path = why.path.strip_prefix(&own).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(&why.path);
    path.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// Of two mappings or lists, what differs; of anything else, both.
fn between(from: &Value, to: &Value) -> String {
    let mut leaves = Vec::new();
    differences(String::new(), from, to, &mut leaves);
    let more = leaves.len().saturating_sub(LEAVES);
    leaves.truncate(LEAVES);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(": {}{tail}", leaves.join(", "))
}

/// `path: old → new` for each value that differs.
pub(super) fn differences(path: String, from: &Value, to: &Value, out: &mut Vec<String>) {
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    let at = |path: &str| if path.is_empty() { String::new() } else { format!("{path}: ") };
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differences(below(key), old, new, out),
                    (None, Some(new)) => out.push(format!("{}{} added", at(&below(key)), short(new))),
                    (Some(_), None) => out.push(format!("{} removed", below(key))),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).any(Value::is_object) => {
            // Items have no names: those at the same place are compared, the rest came or went.
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(below(&index.to_string()), old, new, out);
            }
            out.extend(old.iter().skip(new.len()).map(|item| format!("{}{} removed", at(&path), short(item))));
            out.extend(new.iter().skip(old.len()).map(|item| format!("{}{} added", at(&path), short(item))));
        }
        (from, to) if from == to => {}
        (from, to) => out.push(format!("{}{} → {}", at(&path), short(from), short(to))),
    }
}

/// A value in at most 80 characters and one line.
pub(super) fn short(value: &Value) -> String {
    let text = match value {
        // Of an ARN what tells it from others: partition, service, region and account are the plan's.
        Value::String(text) if text.starts_with("arn:") => text.splitn(6, ':').last().unwrap_or(text).to_owned(),
        Value::String(text) if !text.is_empty() && !text.contains('\n') => text.clone(),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("{key}: {}", short(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

//! Merging raw blocks: maps merge deep, lists and scalars replace, raw wins.

use serde_json::{Map, Value};

use crate::diagnostics::Place;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

/// Merges `raw`, which stands at `place`, into `target` at the keyed path `path`.
pub fn merge(
    target: &mut Map<String, Value>,
    raw: &Map<String, Value>,
    path: &str,
    place: &Place,
    origins: &mut Origins,
) {
    merge_except(target, raw, &[], path, place, origins);
}

/// The same without the members of `raw` that are called like one of `except`.
pub fn merge_except(
    target: &mut Map<String, Value>,
    raw: &Map<String, Value>,
    except: &[&str],
    path: &str,
    place: &Place,
    origins: &mut Origins,
) {
    for (name, value) in raw.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        let here = pointer::join(path, name);
        let mut from = place.clone();
        pointer::push(&mut from.pointer, name);
        match (target.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new, &here, &from, origins),
            _ => {
                origins.mirror(&here, from, value);
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

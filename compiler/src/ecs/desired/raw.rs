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
    for (name, value) in raw {
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

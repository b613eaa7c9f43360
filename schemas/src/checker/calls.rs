//! Calls: known operations, used for what they are, with inputs that fit their shapes.

use serde_json::Value;

use super::Findings;
use super::sites::{Item, Place, Site};
use crate::aws::{self, FaultKind, Strictness};
use crate::plan::{Call, Node};

pub(super) fn check(node: &Node, site: &Site<'_>, found: &mut Findings) {
    match site.item {
        Item::Mutation(call) => one(&node.id, site.place, call, true, found),
        Item::Read { call, .. } => one(&node.id, site.place, call, false, found),
        Item::Value(_) | Item::Expressions { .. } => {}
    }
}

fn one(id: &str, place: Place, call: &Call, changes: bool, found: &mut Findings) {
    let Call { service, operation, input } = call;
    match aws::operation(service, operation) {
        Err(error) => {
            found.add("P501", [id], format!("{place}: {error}"));
            return;
        }
        Ok(known) if known.readonly && changes => {
            found.add("P502", [id], format!("{place}: {operation} changes nothing, so it is a `read`"));
        }
        Ok(known) if !known.readonly && !changes => {
            found.add("P503", [id], format!("{place}: {operation} changes something, and this only reads"));
        }
        Ok(_) => {}
    }
    for fault in aws::validate_input(service, operation, input, Strictness::Plan) {
        // A malformed late value is reported where late values are checked, together with its place.
        if fault.kind != FaultKind::LateMalformed {
            found.add("P504", [id], format!("{place}: {operation} does not take this input: {fault}"));
        }
    }
    if nests_call(input) {
        found.add("P505", [id], format!("{place}: a call stands inside the input of {operation}"));
    }
}

/// Whether a value holds something in the form of a call. A map of texts with the same keys, such as labels, is none.
fn nests_call(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(nests_call),
        Value::Object(map) => {
            let text = |key: &str| map.get(key).is_some_and(Value::is_string);
            (text("service") && text("operation") && map.get("input").is_some_and(Value::is_object))
                || map.values().any(nests_call)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

//! Comparing large documents: what differs, instead of both of them.

use serde_json::Value;

/// Fails with the places at which two documents differ.
///
/// # Panics
/// When they differ.
pub fn assert_same(what: &str, found: &Value, expected: &Value) {
    let places = places(found, expected);
    assert!(places.is_empty(), "{what}:\n{}", places.join("\n"));
}

/// The places at which two documents differ.
pub fn places(found: &Value, expected: &Value) -> Vec<String> {
    let mut places = Vec::new();
    differences("", found, expected, &mut places);
    places
}

fn differences(path: &str, found: &Value, expected: &Value, out: &mut Vec<String>) {
    match (found, expected) {
        _ if found == expected => {}
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let none = Value::Null;
                differences(&format!("{path}/{name}"), a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{i}"), a, b, out);
            }
        }
        _ => out.push(format!("{path}\n  is        {found}\n  should be {expected}")),
    }
}

//! JSON pointers (RFC 6901) and the name-keyed paths of our diffs.
//!
//! A *keyed path* is a pointer in which an item of a list of named things stands under its name rather than its index:
//! `/containerDefinitions/web/environment/LOG/value`. It survives reordering, and people can read it.

use serde_json::Value;

/// A pointer from its tokens.
pub fn pointer<S: AsRef<str>>(tokens: impl IntoIterator<Item = S>) -> String {
    let mut out = String::new();
    for token in tokens {
        push(&mut out, token.as_ref());
    }
    out
}

/// Appends one token.
pub fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    if token.contains(['~', '/']) {
        pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(token);
    }
}

/// A pointer and one more token.
pub fn join(base: &str, token: &str) -> String {
    let mut out = String::with_capacity(base.len() + token.len() + 1);
    out.push_str(base);
    push(&mut out, token);
    out
}

/// The name of an item of a list of named things: `list` is the list's member name.
pub fn item_key(list: &str, item: &Value) -> Option<String> {
    let member = match list {
        "containerDefinitions" | "environment" | "secrets" | "volumes" | "ulimits" | "volumeConfigurations" => "name",
        "mountPoints" => "containerPath",
        "portMappings" => "containerPort",
        "dependsOn" => "containerName",
        "tags" => "key",
        "systemControls" => "namespace",
        "extraHosts" => "hostname",
        // Of Service Connect.
        "services" => "portName",
        _ => return None,
    };
    let key = match item.get(member)? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(match item.get("protocol").and_then(Value::as_str) {
        Some(protocol) if list == "portMappings" && protocol != "tcp" => format!("{key}/{protocol}"),
        _ => key,
    })
}

/// The keyed path of an index pointer into `document`.
pub fn keyed(document: &Value, index_pointer: &str) -> String {
    let mut out = String::new();
    let mut here = Some(document);
    let mut list = String::new();
    for raw in index_pointer.split('/').skip(1) {
        let token = raw.replace("~1", "/").replace("~0", "~");
        let next = here.and_then(|v| match v {
            Value::Array(items) => token.parse::<usize>().ok().and_then(|i| items.get(i)),
            Value::Object(map) => map.get(&token),
            _ => None,
        });
        let name = match (here, next) {
            (Some(Value::Array(_)), Some(item)) => item_key(&list, item),
            _ => None,
        };
        push(&mut out, name.as_deref().unwrap_or(&token));
        list = token;
        here = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_named_lists_stand_under_their_names() {
        let task = serde_json::json!({"containerDefinitions": [{"name": "a/b", "environment": [{"name": "X"}]}]});
        assert_eq!(
            keyed(&task, "/containerDefinitions/0/environment/0/value"),
            "/containerDefinitions/a~1b/environment/X/value"
        );
        assert_eq!(keyed(&task, "/containerDefinitions/7/image"), "/containerDefinitions/7/image");
    }
}

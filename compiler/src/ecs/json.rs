//! Small helpers over JSON in AWS's shapes.

use serde_json::{Map, Value};

/// A member that is text.
pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

/// A member that is a whole number; a text of digits (task-level `cpu` and `memory`) counts as well.
pub fn number(value: &Value, member: &str) -> Option<u64> {
    match value.get(member)? {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)),
        Value::String(s) => s.parse().ok(),
        _ => None,
    }
}

/// A member that is a boolean.
pub fn flag(value: &Value, member: &str) -> Option<bool> {
    value.get(member).and_then(Value::as_bool)
}

/// The items of a list member; none when it is absent or no list.
pub fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The names of a strategy's capacity providers.
pub fn provider_names(strategy: &[Value]) -> impl Iterator<Item = &str> {
    strategy.iter().filter_map(|share| text(share, "capacityProvider"))
}

/// Whether a strategy names a capacity provider of Fargate, which AWS has in every cluster.
pub fn any_fargate(strategy: &[Value]) -> bool {
    provider_names(strategy).any(|provider| provider.starts_with("FARGATE"))
}

/// Those of an object's members that it has.
pub fn pick(value: &Value, members: &[&str]) -> Value {
    let found = members.iter().filter_map(|member| Some(((*member).to_owned(), value.get(member)?.clone())));
    found.collect::<Map<_, _>>().into()
}

/// The value of a tag in a list of `{key, value}`.
pub fn tag<'a>(tags: &'a [Value], key: &str) -> Option<&'a str> {
    tags.iter().find(|t| text(t, "key") == Some(key)).and_then(|t| text(t, "value"))
}

/// The value of a tag in a list of `{Key, Value}`, as most services but ECS write it.
pub fn upper_tag<'a>(tags: &'a [Value], key: &str) -> Option<&'a str> {
    tags.iter().find(|t| text(t, "Key") == Some(key)).and_then(|t| text(t, "Value"))
}

/// `{"key": key, "value": value}`.
pub fn tag_entry(key: impl Into<String>, value: impl Into<Value>) -> Value {
    let mut map = Map::new();
    map.insert("key".to_owned(), Value::String(key.into()));
    map.insert("value".to_owned(), value.into());
    Value::Object(map)
}

/// The task-definition revision number at the end of an ARN or `family:revision`.
pub fn revision(arn: &str) -> Option<u64> {
    arn.rsplit_once(':').and_then(|(_, n)| n.parse().ok())
}

/// The family in a task-definition ARN or `family:revision`.
pub fn family(arn: &str) -> &str {
    let name = arn.rsplit_once('/').map_or(arn, |(_, n)| n);
    name.split_once(':').map_or(name, |(f, _)| f)
}

//! Normal forms: what AWS stores and answers, and what was asked for, made comparable.
//!
//! Invariants: a member that has the API's documented default is left out on both sides, so an AWS-filled default is no
//! change; lists of named things become maps by name, so their order is no change; nothing else is dropped.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use super::json::text;
use super::pointer::item_key;

/// Members that RegisterTaskDefinition takes and that make up a task definition's content.
const TASK_MEMBERS: [&str; 17] = [
    "containerDefinitions",
    "cpu",
    "enableFaultInjection",
    "ephemeralStorage",
    "executionRoleArn",
    "family",
    "inferenceAccelerators",
    "ipcMode",
    "memory",
    "networkMode",
    "pidMode",
    "placementConstraints",
    "proxyConfiguration",
    "requiresCompatibilities",
    "runtimePlatform",
    "taskRoleArn",
    "volumes",
];

/// The normal form of a task definition: RegisterTaskDefinition's input or DescribeTaskDefinition's `taskDefinition`.
pub fn task(task: &Value) -> Value {
    let mode = text(task, "networkMode").unwrap_or("bridge").to_owned();
    let mut kept = Map::new();
    for name in TASK_MEMBERS {
        let Some(value) = task.get(name) else { continue };
        let value = match name {
            "cpu" => json!(units(value, "vcpu")),
            "memory" => json!(units(value, "gb")),
            _ => value.clone(),
        };
        if let Some(value) = normal(name, "", value, &mode) {
            kept.insert(name.to_owned(), value);
        }
    }
    Value::Object(kept)
}

/// The normal form of one member of a service.
pub fn service_member(name: &str, value: &Value) -> Value {
    normal(name, "", value.clone(), "").unwrap_or(Value::Null)
}

/// `"1 vCPU"` and `"1 GB"` are stored as `"1024"`.
fn units(value: &Value, unit: &str) -> String {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        other => other.to_string(),
    };
    match text.strip_suffix(unit).map(|n| n.trim().parse::<f64>()) {
        Some(Ok(number)) => format!("{:.0}", number * 1024.0),
        _ => text,
    }
}

/// The normal form of a value; absent when it is the default. `within` is the member that holds it.
fn normal(name: &str, within: &str, value: Value, mode: &str) -> Option<Value> {
    if let Some(default) = default(name, within) {
        return (value != default && !value.is_null()).then_some(value);
    }
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() && name != "value" => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::Number(number) => Some(Value::Number(whole(number))),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(list(name, items, mode)),
        Value::Object(map) => {
            let map = members(name, map, mode);
            (!map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(other),
    }
}

/// A number as an integer where it is one: AWS writes percentages with a fraction.
fn whole(number: Number) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64().filter(|value| number.is_f64() && value.fract() == 0.0 && value.abs() < EXACT) {
        #[allow(clippy::cast_possible_truncation, reason = "within what a float holds exactly")]
        Some(value) => Number::from(value as i64),
        None => number,
    }
}

fn members(name: &str, map: Map<String, Value>, mode: &str) -> Map<String, Value> {
    // The keys of these are the user's, and so is every value in them.
    if matches!(name, "dockerLabels" | "options" | "driverOpts" | "labels") {
        return map;
    }
    map.into_iter().filter_map(|(k, v)| normal(&k, name, v, mode).map(|v| (k, v))).collect()
}

fn list(name: &str, items: Vec<Value>, mode: &str) -> Value {
    let mut named = Map::new();
    let mut plain = Vec::new();
    // Where two items have one name, names do not tell them apart.
    let keys: Option<BTreeSet<String>> = items.iter().map(|item| item_key(name, item)).collect();
    let all_named = keys.is_some_and(|keys| keys.len() == items.len());
    for item in items {
        let key = item_key(name, &item);
        let item = match item {
            Value::Object(map) => {
                let mut map = members(name, map, mode);
                if name == "portMappings" {
                    fill_host_port(&mut map, mode);
                }
                Value::Object(map)
            }
            other => other,
        };
        match key {
            Some(key) if all_named => {
                named.insert(key, item);
            }
            _ => plain.push(item),
        }
    }
    if all_named {
        return Value::Object(named);
    }
    if matches!(
        name,
        "loadBalancers"
            | "placementConstraints"
            | "requiresCompatibilities"
            | "subnets"
            | "securityGroups"
            | "capacityProviderStrategy"
    ) {
        plain.sort_by_cached_key(Value::to_string);
    }
    Value::Array(plain)
}

/// In these modes a host port is the container port, whether it was written or not.
fn fill_host_port(map: &mut Map<String, Value>, mode: &str) {
    if matches!(mode, "host" | "awsvpc")
        && !map.contains_key("hostPort")
        && let Some(port) = map.get("containerPort").cloned()
    {
        map.insert("hostPort".to_owned(), port);
    }
}

/// Documented defaults that are not the empty value of their type, by a member and the one that it stands in.
pub fn default(name: &str, within: &str) -> Option<Value> {
    Some(match (within, name) {
        ("containerDefinitions", "essential") => json!(true),
        ("portMappings", "protocol") => json!("tcp"),
        ("", "networkMode") => json!("bridge"),
        ("healthCheck", "interval") => json!(30),
        ("healthCheck", "timeout") => json!(5),
        ("healthCheck", "retries") => json!(3),
        ("dockerVolumeConfiguration", "driver") => json!("local"),
        ("dockerVolumeConfiguration", "scope") => json!("task"),
        ("efsVolumeConfiguration", "rootDirectory") => json!("/"),
        ("linuxParameters", "swappiness") => json!(60),
        ("deploymentConfiguration", "maximumPercent") => json!(200),
        ("deploymentConfiguration", "minimumHealthyPercent") => json!(100),
        ("deploymentConfiguration", "strategy") => json!("ROLLING"),
        ("deploymentCircuitBreaker", "thresholdConfiguration") => json!({"type": "BOUNDED_PERCENT", "value": 50}),
        ("", "availabilityZoneRebalancing") => json!("DISABLED"),
        ("", "schedulingStrategy") => json!("REPLICA"),
        ("", "propagateTags") => json!("NONE"),
        ("", "platformVersion") => json!("LATEST"),
        ("", "launchType") => json!("EC2"),
        ("networkConfiguration" | "awsvpcConfiguration", "assignPublicIp") => json!("DISABLED"),
        ("deploymentController", "type") => json!("ECS"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_fills_in_is_no_difference() {
        let asked = json!({
            "family": "f",
            "cpu": "1 vCPU",
            "containerDefinitions": [{"name": "web", "image": "nginx", "portMappings": [{"containerPort": 80}],
                "environment": [{"name": "B", "value": ""}, {"name": "A", "value": "1"}]}],
        });
        let answered = json!({
            "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/f:3", "revision": 3, "status": "ACTIVE",
            "family": "f", "cpu": "1024", "networkMode": "bridge", "volumes": [], "placementConstraints": [],
            "compatibilities": ["EC2"], "requiresAttributes": [{"name": "x"}],
            "containerDefinitions": [{"name": "web", "image": "nginx", "cpu": 0, "essential": true, "mountPoints": [], "volumesFrom": [],
                "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}], "systemControls": [],
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}]}],
        });
        assert_eq!(task(&asked), task(&answered));
    }

    #[test]
    fn an_empty_variable_and_a_missing_one_differ() {
        let with = json!({"containerDefinitions": [{"name": "web", "environment": [{"name": "A", "value": ""}]}]});
        let without = json!({"containerDefinitions": [{"name": "web"}]});
        assert_ne!(task(&with), task(&without));
    }

    #[test]
    fn zero_percent_is_not_the_default() {
        let zero =
            service_member("deploymentConfiguration", &json!({"minimumHealthyPercent": 0, "maximumPercent": 200}));
        assert_eq!(zero, json!({"minimumHealthyPercent": 0}));
    }
}

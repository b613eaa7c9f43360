//! How long the containers of a task take that wait for each other: to start, and the other way round to stop.
//!
//! Source: ECS API reference, `ContainerDependency` ("when a dependency is defined for container startup, for container
//! shutdown it is reversed") and `startTimeout`.

use serde_json::Value;

use crate::ecs::json::{items, number, text};

use super::timing::{START, STOP_TIMEOUT};

/// Seconds that a container may need that has waited: it is pulled and started, its task has a place already.
const NEXT: u64 = 30;

/// Seconds from the start of a task's first containers until the last one may have started.
pub fn start_order(task: &Value) -> u64 {
    let all = items(task, "containerDefinitions");
    all.iter().map(|c| start(all, c, 0)).max().unwrap_or(0)
}

/// Seconds that the containers of a task may take to stop.
pub fn stop_timeout(task: &Value) -> u64 {
    let all = items(task, "containerDefinitions");
    all.iter().map(|c| stop(all, c, 0)).max().unwrap_or(STOP_TIMEOUT)
}

/// `depth` ends what a cycle, which is judged elsewhere, would not.
fn start(all: &[Value], container: &Value, depth: usize) -> u64 {
    if depth > all.len() {
        return 0;
    }
    let awaited = items(container, "dependsOn").iter().filter_map(|on| {
        let other = all.iter().find(|c| text(c, "name") == text(on, "containerName"))?;
        let patience = number(other, "startTimeout");
        let more = match text(on, "condition") {
            Some("HEALTHY") => patience.unwrap_or_else(|| healthy(other)),
            // How long what has to complete takes is not known, unless it has a limit.
            Some("COMPLETE" | "SUCCESS") => patience.unwrap_or(START),
            _ => 0,
        };
        Some(start(all, other, depth + 1) + more)
    });
    awaited.max().map_or(0, |awaited| awaited + NEXT)
}

/// Seconds until a container's health check has passed, if it ever does.
fn healthy(container: &Value) -> u64 {
    let check = container.get("healthCheck").unwrap_or(&Value::Null);
    let of = |member: &str, default: u64| number(check, member).unwrap_or(default);
    of("startPeriod", 0) + of("interval", 30) * of("retries", 3)
}

fn stop(all: &[Value], container: &Value, depth: usize) -> u64 {
    if depth > all.len() {
        return 0;
    }
    let on = |c: &Value| {
        let own = |on: &&Value| text(on, "containerName") == text(container, "name");
        items(c, "dependsOn").iter().find(own).map(|on| text(on, "condition").unwrap_or_default().to_owned())
    };
    let waiting: Vec<(&Value, String)> = all.iter().filter_map(|c| Some((c, on(c)?))).collect();
    let before = waiting.iter().map(|(c, _)| stop(all, c, depth + 1)).max().unwrap_or(0);
    // What others wait for to complete has ended long before.
    let ended = waiting.iter().any(|(_, condition)| matches!(condition.as_str(), "COMPLETE" | "SUCCESS"));
    before + if ended { 0 } else { number(container, "stopTimeout").unwrap_or(STOP_TIMEOUT) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_waits_comes_later_and_goes_earlier() {
        let on = |name: &str, condition: &str| json!([{"containerName": name, "condition": condition}]);
        let task = json!({"containerDefinitions": [
            {"name": "proxy", "dependsOn": on("app", "HEALTHY"), "stopTimeout": 10},
            {"name": "app", "dependsOn": on("init", "SUCCESS"), "healthCheck": {"interval": 10, "startPeriod": 15}},
            {"name": "init", "startTimeout": 100},
        ]});
        assert_eq!((start_order(&task), stop_timeout(&task)), (100 + 30 + 45 + 30, 10 + 30));
        let alone = json!({"containerDefinitions": [{"name": "app", "stopTimeout": 90}, {"name": "log"}]});
        assert_eq!((start_order(&alone), stop_timeout(&alone)), (0, 90));
    }
}

//! How long a task takes longer because its containers wait for each other, when it starts and when it stops.
//!
//! Sources: ECS API reference, `ContainerDependency` (startup in that order, shutdown in the reversed one); the setting
//! `ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT` of amazon-ecs-agent (the image of a container that waits is pulled when it has
//! waited).

use serde_json::Value;

use super::ecs::{Durations, list, text};

/// The containers of a task definition.
pub(super) struct Order<'p> {
    containers: Vec<&'p Value>,
}

impl<'p> Order<'p> {
    pub fn of(containers: impl Iterator<Item = &'p Value>) -> Self {
        Self { containers: containers.collect() }
    }

    fn named(&self, name: &str) -> Option<&'p Value> {
        self.containers.iter().copied().find(|c| text(c, "name") == name)
    }

    /// Seconds from the start of the first containers to that of one. `depth` ends what a cycle would not.
    fn start(&self, container: &Value, durations: &Durations, depth: usize) -> u64 {
        if depth > self.containers.len() {
            return 0;
        }
        let there = list(container, "dependsOn").filter_map(|on| {
            let other = self.named(text(on, "containerName"))?;
            let more = match text(on, "condition") {
                "COMPLETE" | "SUCCESS" => durations.completion,
                "HEALTHY" => interval(other).unwrap_or(0),
                _ => 0,
            };
            Some(self.start(other, durations, depth + 1) + more)
        });
        there.max().map_or(0, |there| there + durations.next_container)
    }

    /// Seconds from the start of the first containers until the last one runs.
    pub fn delay(&self, durations: &Durations) -> u64 {
        self.containers.iter().map(|c| self.start(c, durations, 0)).max().unwrap_or(0)
    }

    /// Seconds from RUNNING until all health checks have passed once; nothing without any.
    pub fn checked(&self, durations: &Durations) -> Option<u64> {
        let checked = self.containers.iter().filter_map(|c| Some(self.start(c, durations, 0) + interval(c)?));
        Some(checked.max()?.saturating_sub(self.delay(durations)))
    }

    /// Seconds from the signal to stop until all containers have: who waited for another one stops before it.
    pub fn stopping(&self, default: u64) -> u64 {
        self.containers.iter().map(|c| self.stop(c, default, 0)).max().unwrap_or(default)
    }

    fn stop(&self, container: &Value, default: u64, depth: usize) -> u64 {
        if depth > self.containers.len() {
            return 0;
        }
        let name = text(container, "name");
        let on = |c: &Value| list(c, "dependsOn").any(|on| text(on, "containerName") == name);
        let waited = self.containers.iter().filter(|c| on(c));
        let before = waited.map(|c| self.stop(c, default, depth + 1)).max().unwrap_or(0);
        // What others waited for to complete is not there any more.
        let ending = |on: &Value| matches!(text(on, "condition"), "COMPLETE" | "SUCCESS");
        let ended = self.containers.iter().flat_map(|c| list(c, "dependsOn"));
        let ended = ended.filter(|on| text(on, "containerName") == name).any(ending);
        before + if ended { 0 } else { container["stopTimeout"].as_u64().unwrap_or(default) }
    }
}

/// Seconds between two health checks of a container that has any.
fn interval(container: &Value) -> Option<u64> {
    let check = container.get("healthCheck").filter(|check| !check.is_null())?;
    Some(check["interval"].as_u64().unwrap_or(30))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_waits_starts_later_and_stops_earlier() {
        let on = |name: &str, condition: &str| json!([{"containerName": name, "condition": condition}]);
        let all = [
            json!({"name": "init"}),
            json!({"name": "app", "dependsOn": on("init", "SUCCESS"), "healthCheck": {"interval": 10}, "stopTimeout": 40}),
            json!({"name": "proxy", "dependsOn": on("app", "HEALTHY")}),
        ];
        let durations = Durations { next_container: 15, completion: 5, ..Durations::default() };
        let order = Order::of(all.iter());
        assert_eq!((order.delay(&durations), order.checked(&durations), order.stopping(30)), (45, Some(0), 70));
        let alone = Order::of(all[..1].iter());
        assert_eq!((alone.delay(&durations), alone.checked(&durations), alone.stopping(30)), (0, None, 30));
    }
}

//! How long a deployment shifts traffic, as its configuration says.
//!
//! Source: ECS developer guide, "Amazon ECS blue/green deployments" and its pages on linear and canary deployments: a
//! network load balancer takes ten minutes more for each shift.

use serde_json::Value;

use super::json::{items, text};

/// Seconds that each shift of a network load balancer takes.
const NETWORK_PAUSE: u64 = 600;

/// The strategy of a service, as the API spells it.
pub fn strategy(service: &Value) -> &str {
    service.get("deploymentConfiguration").and_then(|c| text(c, "strategy")).unwrap_or("ROLLING")
}

/// Whether a service's deployments shift traffic.
pub fn shifts(service: &Value) -> bool {
    matches!(strategy(service), "BLUE_GREEN" | "LINEAR" | "CANARY")
}

/// Seconds from the first shift of traffic until the old tasks may go; absent where a service's deployments shift none. What
/// DescribeServices tells of a deployment does not change meanwhile.
pub fn pauses(service: &Value) -> Option<u64> {
    let configuration = service.get("deploymentConfiguration")?;
    let number = |at: &str, default: f64| configuration.pointer(at).and_then(Value::as_f64).unwrap_or(default);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of a day, and steps, at most")]
    let whole = |value: f64| value.ceil() as u64;
    let (steps, pause) = match strategy(service) {
        "BLUE_GREEN" => (0, 0),
        "LINEAR" => (
            whole(100.0 / number("/linearConfiguration/stepPercent", 10.0).max(1.0)).saturating_sub(1),
            whole(number("/linearConfiguration/stepBakeTimeInMinutes", 6.0) * 60.0),
        ),
        "CANARY" => (1, whole(number("/canaryConfiguration/canaryBakeTimeInMinutes", 10.0) * 60.0)),
        _ => return None,
    };
    let network = items(service, "loadBalancers").iter().any(|balancer| {
        let rule = balancer.pointer("/advancedConfiguration/productionListenerRule").and_then(Value::as_str);
        rule.is_some_and(super::leads::is_network)
    });
    let more = if network { NETWORK_PAUSE } else { 0 };
    let bake = whole(number("/bakeTimeInMinutes", 0.0) * 60.0) + more;
    Some(steps * (pause + more) + bake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pauses_follow_the_strategy() {
        let of = |configuration: Value| pauses(&json!({"deploymentConfiguration": configuration}));
        assert_eq!(of(json!({"strategy": "ROLLING"})), None);
        assert_eq!(of(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5})), Some(300));
        let steps = json!({"stepPercent": 25.0, "stepBakeTimeInMinutes": 2});
        let linear = json!({"strategy": "LINEAR", "bakeTimeInMinutes": 1, "linearConfiguration": steps});
        assert_eq!(of(linear), Some(3 * 120 + 60));
        assert_eq!(of(json!({"strategy": "CANARY"})), Some(600));
    }
}

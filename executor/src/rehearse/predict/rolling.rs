//! How a deployment of ECS goes: which calls begin one, in how many waves tasks are replaced, how traffic is shifted.
//!
//! Sources: the ECS developer guide on rolling updates (`minimumHealthyPercent`, `maximumPercent`) and on linear and canary
//! deployments.

use belay_schemas::plan::Call;
use serde_json::{Map, Value};

use super::ecs::text;

/// A service's settings after a call.
pub(super) fn after(before: Option<&Map<String, Value>>, call: &Call) -> Option<Map<String, Value>> {
    if call.operation == "DeleteService" {
        return None;
    }
    let mut settings = before.cloned().unwrap_or_default();
    settings.extend(call.input.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
    Some(settings)
}

/// Whether a call begins a deployment: the number of tasks alone does not, nor do settings of the scheduler.
pub(super) fn deploys(before: Option<&Map<String, Value>>, call: &Call) -> bool {
    const QUIET: [&str; 9] = [
        "cluster",
        "service",
        "desiredCount",
        "deploymentConfiguration",
        "placementStrategy",
        "placementConstraints",
        "healthCheckGracePeriodSeconds",
        "availabilityZoneRebalancing",
        "enableExecuteCommand",
    ];
    let Some(before) = before else { return true };
    let changed = |(name, value): (&String, &Value)| !QUIET.contains(&name.as_str()) && before.get(name) != Some(value);
    call.input["forceNewDeployment"] == true || call.input.as_object().into_iter().flatten().any(changed)
}

/// Seconds from the first shift of traffic until old tasks may stop: the pauses of a deployment configuration.
pub(super) fn shifting(configuration: &Value, settings: &Map<String, Value>) -> u64 {
    let number = |at: &str, default: f64| configuration.pointer(at).and_then(Value::as_f64).unwrap_or(default);
    let (pauses, minutes) = match text(configuration, "strategy") {
        "LINEAR" => {
            let steps = (100.0 / number("/linearConfiguration/stepPercent", 10.0)).ceil();
            (steps - 1.0, number("/linearConfiguration/stepBakeTimeInMinutes", 6.0))
        }
        "CANARY" if number("/canaryConfiguration/canaryPercent", 5.0) < 100.0 => {
            (1.0, number("/canaryConfiguration/canaryBakeTimeInMinutes", 10.0))
        }
        _ => (0.0, 0.0),
    };
    let balancers = settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    let mut rules = balancers.filter_map(|b| b.pointer("/advancedConfiguration/productionListenerRule")?.as_str());
    // A network load balancer takes ten minutes for each shift.
    let network = if rules.any(|rule| rule.contains(":listener/net/")) { 10.0 } else { 0.0 };
    let total = pauses * (minutes + network) + number("/bakeTimeInMinutes", 0.0) + network;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of some days at most")]
    let seconds = (total * 60.0) as u64;
    seconds
}

/// How many times in a row tasks are started, and stopped, until all are new.
pub(super) fn waves(old: u64, new: u64, lower: u64, upper: u64) -> (u64, u64) {
    let (mut left, mut there, mut starts, mut stops) = (old, 0, 0, 0);
    while there < new && starts + stops < 2 * (old + new) + 2 {
        let start = (new - there).min(upper.saturating_sub(there + left));
        if start == 0 {
            let stop = (there + left).saturating_sub(lower).min(left);
            if stop == 0 {
                break;
            }
            left -= stop;
            stops += 1;
            continue;
        }
        starts += 1;
        there += start;
        let spare = (there + left).saturating_sub(new.max(lower)).min(left);
        left -= spare;
        stops += u64::from(spare > 0);
    }
    (starts, stops + u64::from(left > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_replaced_in_waves_within_the_bounds() {
        // All at once beside the old ones; then the old ones.
        assert_eq!(waves(2, 2, 2, 4), (1, 1));
        // Half of them first leave room.
        assert_eq!(waves(4, 4, 2, 4), (2, 2));
        assert_eq!(waves(0, 3, 3, 6), (1, 0));
        // One after the other: a singleton that stops before it starts.
        assert_eq!(waves(1, 1, 0, 1), (1, 1));
        // Neither may start nor stop: it never ends, and the compiler refuses it.
        assert_eq!(waves(1, 1, 1, 1), (0, 1));
    }
}

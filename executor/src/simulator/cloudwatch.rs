//! CloudWatch, as far as metric alarms go. There are no metrics in this simulation: an alarm stays as it was put, and its
//! actions are never taken.

use serde_json::{Value, json};

use super::errors::{rejected, unknown_operation};
use super::request::{Answer, Paging, items, required, text, texts};
use super::world::World;

const PAGING: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 50, most: 100 };

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "PutMetricAlarm" => put(world, input),
        "DescribeAlarms" => describe(world, input),
        "DeleteAlarms" => {
            // Names that there are not are passed over.
            for name in texts(input, "AlarmNames") {
                world.alarms.remove(name);
            }
            Ok(json!({}).into())
        }
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of cloudwatch."))),
    }
}

/// An alarm as DescribeAlarms shows it: what was put replaces all of what was there, but for its state and its tags.
fn put(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "AlarmName")?.to_owned();
    let invalid = |message: &str| rejected("ValidationError", message);
    if input.get("MetricName").is_none() == input.get("Metrics").is_none() {
        return Err(invalid("Exactly one of MetricName and Metrics must be given"));
    }
    if input.get("MetricName").is_some() && input.get("Statistic").is_none() == input.get("ExtendedStatistic").is_none()
    {
        return Err(invalid("Exactly one element of Statistic and ExtendedStatistic must be set"));
    }
    let count = |member: &str| input.get(member).and_then(Value::as_u64);
    if count("DatapointsToAlarm").is_some_and(|n| Some(n) > count("EvaluationPeriods")) {
        return Err(invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods"));
    }
    for action in texts(input, "AlarmActions") {
        let known = world.scalable_targets.values().flat_map(|t| t.policies.values());
        let scaling = action.contains(":scalingPolicy:") && action.contains(":resource/ecs/");
        if scaling && !known.into_iter().any(|policy| policy["PolicyARN"] == action) {
            return Err(invalid(&format!("Invalid alarm action: there is no scaling policy {action}")));
        }
    }
    let mut shown = input.clone();
    let tags = shown.as_object_mut().and_then(|members| members.remove("Tags"));
    let before = world.alarms.get(&name);
    let keep = |member: &str, new: Value| before.and_then(|alarm| alarm.get(member)).cloned().unwrap_or(new);
    let now = world.now.seconds();
    let tags = keep("tags", tags.unwrap_or_else(|| json!([])));
    let state = keep("StateValue", json!("INSUFFICIENT_DATA"));
    for (member, value) in [
        (
            "AlarmArn",
            json!(format!("arn:{}:cloudwatch:{}:{}:alarm:{name}", world.partition, world.region, world.account)),
        ),
        ("StateValue", state),
        ("AlarmConfigurationUpdatedTimestamp", json!(now)),
        ("tags", tags),
    ] {
        shown[member] = value;
    }
    for (member, value) in [
        ("ActionsEnabled", json!(true)),
        ("AlarmActions", json!([])),
        ("OKActions", json!([])),
        ("InsufficientDataActions", json!([])),
        ("Dimensions", json!([])),
    ] {
        if shown.get(member).is_none() {
            shown[member] = value;
        }
    }
    world.alarms.insert(name, shown);
    Ok(json!({}).into())
}

fn describe(world: &World, input: &Value) -> Answer {
    let names = texts(input, "AlarmNames");
    let prefix = text(input, "AlarmNamePrefix").unwrap_or_default();
    let composite = items(input, "AlarmTypes");
    if composite.iter().any(|kind| kind != "MetricAlarm") {
        return Err(super::errors::unmodelled("alarms other than metric alarms"));
    }
    let wanted = |name: &str| (names.is_empty() || names.contains(&name)) && name.starts_with(prefix);
    let found = world.alarms.iter().filter(|(name, _)| wanted(name)).map(|(_, alarm)| {
        let mut shown = alarm.clone();
        if let Some(members) = shown.as_object_mut() {
            members.remove("tags");
        }
        shown
    });
    let found = found.collect();
    let mut answer = PAGING.answer("MetricAlarms", found, input)?;
    answer["CompositeAlarms"] = json!([]);
    Ok(answer.into())
}

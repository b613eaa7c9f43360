//! Application Auto Scaling of ECS services: targets, policies and scheduled actions. There is no load in this simulation,
//! so nothing scales by itself; only a target's limits move a service's number of tasks, as they do in AWS.

use serde_json::{Map, Value, json};

use super::errors::{missing, rejected, unknown_operation, unmodelled};
use super::request::{Answer, Paging, number, required, text, texts};
use super::world::{ScalableTarget, ServiceStatus, World};
use crate::cloud::CloudError;

const DIMENSION: &str = "ecs:service:DesiredCount";
const PAGING: Paging = Paging { token: "NextToken", size: "MaxResults", default: 50, most: 50 };

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    if text(input, "ServiceNamespace") != Some("ecs")
        || text(input, "ScalableDimension").is_some_and(|d| d != DIMENSION)
    {
        return Err(unmodelled("scaling of anything but ECS services"));
    }
    match operation {
        "RegisterScalableTarget" => register(world, input),
        "DeregisterScalableTarget" => {
            let removed = world.scalable_targets.remove(required(input, "ResourceId")?);
            removed.map(|_| json!({}).into()).ok_or_else(|| no_target(input))
        }
        "DescribeScalableTargets" => targets(world, input),
        "PutScalingPolicy" => put_policy(world, input),
        "PutScheduledAction" => put_action(world, input),
        "DeleteScalingPolicy" => {
            let name = required(input, "PolicyName")?;
            let removed = target(world, input)?.policies.remove(name);
            removed.map(|_| json!({}).into()).ok_or_else(|| absent("scaling policy", name))
        }
        "DeleteScheduledAction" => {
            let name = required(input, "ScheduledActionName")?;
            let removed = target(world, input)?.actions.remove(name);
            removed.map(|_| json!({}).into()).ok_or_else(|| absent("scheduled action", name))
        }
        "DescribeScalingPolicies" => Ok(listed(world, input, "ScalingPolicies", |t| t.policies.values())?),
        "DescribeScheduledActions" => Ok(listed(world, input, "ScheduledActions", |t| t.actions.values())?),
        _ => {
            Err(unknown_operation(format!("The simulated AWS does not model {operation} of application-autoscaling.")))
        }
    }
}

fn absent(what: &str, name: &str) -> CloudError {
    missing("ObjectNotFoundException", format!("No {what} found for {name}"))
}

fn no_target(input: &Value) -> CloudError {
    let resource = text(input, "ResourceId").unwrap_or_default();
    missing(
        "ObjectNotFoundException",
        format!(
            "No scalable target found for service namespace: ecs, resource ID: {resource}, scalable dimension: {DIMENSION}"
        ),
    )
}

fn target<'w>(world: &'w mut World, input: &Value) -> Result<&'w mut ScalableTarget, CloudError> {
    world.scalable_targets.get_mut(required(input, "ResourceId")?).ok_or_else(|| no_target(input))
}

fn register(world: &mut World, input: &Value) -> Answer {
    let resource = required(input, "ResourceId")?.to_owned();
    let invalid = |message: &str| rejected("ValidationException", message);
    let key = resource.strip_prefix("service/").ok_or_else(|| invalid("Unsupported resource ID"))?.to_owned();
    let active = world.services.get(&key).is_some_and(|service| service.status == ServiceStatus::Active);
    if !active {
        return Err(invalid(&format!("ECS service doesn't exist: {resource}")));
    }
    let known = world.scalable_targets.get(&resource);
    let limit = |member: &str, known: Option<u64>| number(input, member).or(known);
    let (Some(min), Some(max)) =
        (limit("MinCapacity", known.map(|t| t.min)), limit("MaxCapacity", known.map(|t| t.max)))
    else {
        return Err(invalid("Both MinCapacity and MaxCapacity must be given for a new scalable target"));
    };
    if min > max {
        return Err(invalid("Maximum capacity cannot be less than minimum capacity"));
    }
    let now = world.now;
    let target = world.scalable_targets.entry(resource.clone()).or_insert_with(|| ScalableTarget {
        min,
        max,
        suspended: Map::new(),
        policies: Default::default(),
        actions: Default::default(),
        created_at: now,
    });
    (target.min, target.max) = (min, max);
    if let Some(state) = input.get("SuspendedState").and_then(Value::as_object) {
        target.suspended.extend(state.clone());
        target.suspended.retain(|_, suspended| *suspended == true);
    }
    let still = target.suspended.len() == 3;
    if let Some(service) = world.services.get_mut(&key).filter(|_| !still) {
        let count = service.wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(0);
        if count != count.clamp(min, max) {
            service.wanted.insert("desiredCount".to_owned(), count.clamp(min, max).into());
            service.due = Some(world.now.plus(world.timings.schedule_seconds));
        }
    }
    Ok(json!({"ScalableTargetARN": arn(world, &resource)}).into())
}

fn arn(world: &World, resource: &str) -> String {
    let id: u64 = resource.bytes().fold(7, |id, b| id.wrapping_mul(31).wrapping_add(u64::from(b)));
    let place = format!("arn:{}:application-autoscaling:{}:{}", world.partition, world.region, world.account);
    format!("{place}:scalable-target/0ec5{id:016x}")
}

fn targets(world: &World, input: &Value) -> Answer {
    let wanted = texts(input, "ResourceIds");
    let role = world.iam_arn(
        "role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
    );
    let all = world.scalable_targets.iter().filter(|(id, _)| wanted.is_empty() || wanted.contains(&id.as_str()));
    let shown = all.map(|(id, target)| {
        let suspended = |member: &str| target.suspended.get(member).cloned().unwrap_or(Value::Bool(false));
        json!({
            "ServiceNamespace": "ecs", "ResourceId": id, "ScalableDimension": DIMENSION, "MinCapacity": target.min,
            "MaxCapacity": target.max, "RoleARN": role, "CreationTime": target.created_at.seconds(),
            "ScalableTargetARN": arn(world, id),
            "SuspendedState": {
                "DynamicScalingInSuspended": suspended("DynamicScalingInSuspended"),
                "DynamicScalingOutSuspended": suspended("DynamicScalingOutSuspended"),
                "ScheduledScalingSuspended": suspended("ScheduledScalingSuspended"),
            },
        })
    });
    let shown = shown.collect();
    Ok(PAGING.answer("ScalableTargets", shown, input)?.into())
}

/// What was put, with its ARN and time.
fn completed(world: &World, input: &Value, kind: &str, name: &str, arn_member: &str) -> Value {
    let mut shown = input.clone();
    shown["ScalableDimension"] = DIMENSION.into();
    shown["CreationTime"] = world.now.seconds().into();
    let place = format!("arn:{}:autoscaling:{}:{}", world.partition, world.region, world.account);
    let resource = text(input, "ResourceId").unwrap_or_default();
    shown[arn_member] = format!("{place}:{kind}:resource/ecs/{resource}:{name}").into();
    shown
}

fn put_policy(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "PolicyName")?.to_owned();
    let mut policy = completed(world, input, "scalingPolicy", &format!("policyName/{name}"), "PolicyARN");
    let kind = text(input, "PolicyType");
    for (of, configuration) in [
        ("TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration"),
        ("StepScaling", "StepScalingPolicyConfiguration"),
    ] {
        if (kind == Some(of)) != input.get(configuration).is_some() {
            return Err(rejected("ValidationException", "PolicyType and policy configuration do not match"));
        }
    }
    if let Some(steps) = input.get("StepScalingPolicyConfiguration") {
        no_gap(steps)?;
    }
    // One that is put again keeps its ARN, one that was deleted comes back with another.
    let resource = required(input, "ResourceId")?;
    let known = world.scalable_targets.get(resource).and_then(|t| t.policies.get(&name));
    match known.map(|known| known["PolicyARN"].clone()) {
        Some(arn) => policy["PolicyARN"] = arn,
        None => {
            let id = world.uuid("scaling-policy");
            let arn = text(&policy, "PolicyARN").unwrap_or_default();
            policy["PolicyARN"] = arn.replacen(":scalingPolicy:", &format!(":scalingPolicy:{id}:"), 1).into();
        }
    }
    policy["Alarms"] = json!([]);
    let answer = json!({"PolicyARN": policy["PolicyARN"], "Alarms": []});
    target(world, input)?.policies.insert(name, policy);
    Ok(answer.into())
}

/// Steps neither overlap nor leave a gap, and at most one is open to each side.
fn no_gap(configuration: &Value) -> Result<(), CloudError> {
    let invalid = |message: &str| rejected("ValidationException", message);
    let bound = |step: &Value, side: &str| step.get(format!("MetricInterval{side}Bound")).and_then(Value::as_f64);
    let steps = configuration["StepAdjustments"].as_array().cloned().unwrap_or_default();
    let mut spans: Vec<(f64, f64)> = steps
        .iter()
        .map(|s| (bound(s, "Lower").unwrap_or(f64::NEG_INFINITY), bound(s, "Upper").unwrap_or(f64::INFINITY)))
        .collect();
    if spans.is_empty() {
        return Err(invalid("At least one StepAdjustment must be specified"));
    }
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    if spans.iter().any(|(lower, upper)| lower >= upper) {
        return Err(invalid("The lower bound of a step adjustment must be less than its upper bound"));
    }
    if spans.windows(2).any(|pair| pair[0].1 != pair[1].0) {
        return Err(invalid("StepAdjustment intervals must neither overlap nor leave a gap"));
    }
    Ok(())
}

fn put_action(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "ScheduledActionName")?.to_owned();
    let action =
        completed(world, input, "scheduledAction", &format!("scheduledActionName/{name}"), "ScheduledActionARN");
    let target = target(world, input)?;
    if input.get("Schedule").is_none() && !target.actions.contains_key(&name) {
        return Err(rejected("ValidationException", "Schedule is required"));
    }
    target.actions.insert(name, action);
    Ok(json!({}).into())
}

fn listed<'w, I: Iterator<Item = &'w Value>>(
    world: &'w World,
    input: &Value,
    list: &str,
    of: impl Fn(&'w ScalableTarget) -> I,
) -> Answer {
    let resource = text(input, "ResourceId");
    let all = world.scalable_targets.iter().filter(|(id, _)| resource.is_none_or(|r| r == id.as_str()));
    let shown = all.flat_map(|(_, target)| of(target)).cloned().collect();
    Ok(PAGING.answer(list, shown, input)?.into())
}

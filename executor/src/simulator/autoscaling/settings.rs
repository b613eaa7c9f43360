//! What hangs on a group besides its sizes: suspended processes, lifecycle hooks, policies, scheduled actions, metrics.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::missing;
use super::super::request::{Answer, Paging, number, required, text, texts};
use super::super::world::World;
use super::{group_mut, invalid, name_of, scaler, with_group};
use crate::cloud::CloudError;

const PAGES: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 50, most: 100 };

const PROCESSES: [&str; 9] = [
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

/// The processes that an input means: all of them when it names none.
fn processes(input: &Value) -> Result<Vec<String>, CloudError> {
    let named = texts(input, "ScalingProcesses");
    if let Some(unknown) = named.iter().find(|name| !PROCESSES.contains(name)) {
        return Err(invalid(format!("Unsupported Scaling Process: {unknown}")));
    }
    let all = if named.is_empty() { PROCESSES.to_vec() } else { named };
    Ok(all.into_iter().map(str::to_owned).collect())
}

pub(super) fn suspend(world: &mut World, input: &Value) -> Answer {
    let (processes, now) = (processes(input)?, world.now);
    let group = group_mut(world, input)?;
    for process in processes {
        group.suspended.entry(process).or_insert_with(|| format!("User suspended at {now}"));
    }
    Ok(json!({}).into())
}

pub(super) fn resume(world: &mut World, input: &Value) -> Answer {
    let processes = processes(input)?;
    let name = name_of(world, input)?;
    with_group(world, &name, |world, group| {
        group.suspended.retain(|process, _| !processes.contains(process));
        scaler::look_soon(world, group);
    });
    Ok(json!({}).into())
}

/// A lifecycle hook with what AWS fills in.
pub(super) fn hook(group: &str, input: &Value) -> Result<Value, CloudError> {
    let transition = text(input, "LifecycleTransition").unwrap_or_default();
    if !["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"].contains(&transition) {
        return Err(invalid(format!("Invalid lifecycle transition: {transition}")));
    }
    let timeout = number(input, "HeartbeatTimeout").unwrap_or(3600);
    let mut hook = json!({
        "LifecycleHookName": required(input, "LifecycleHookName")?,
        "AutoScalingGroupName": group,
        "LifecycleTransition": transition,
        "HeartbeatTimeout": timeout,
        "GlobalTimeout": (timeout * 100).min(172_800),
        "DefaultResult": text(input, "DefaultResult").unwrap_or("ABANDON"),
    });
    for member in ["NotificationTargetARN", "RoleARN", "NotificationMetadata"] {
        if let Some(value) = text(input, member) {
            hook[member] = value.into();
        }
    }
    Ok(hook)
}

/// What an update leaves out stays as it is.
pub(super) fn put_hook(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let group = group_mut(world, input)?;
    let id = required(input, "LifecycleHookName")?.to_owned();
    let mut whole = group.hooks.get(&id).cloned().unwrap_or_else(|| json!({}));
    for (member, value) in input.as_object().into_iter().flatten() {
        whole[member] = value.clone();
    }
    group.hooks.insert(id, hook(&name, &whole)?);
    Ok(json!({}).into())
}

pub(super) fn delete_hook(world: &mut World, input: &Value) -> Answer {
    let id = required(input, "LifecycleHookName")?;
    let group = group_mut(world, input)?;
    if group.hooks.remove(id).is_none() {
        return Err(missing("ValidationError", format!("No Lifecycle Hook found with name {id}: not found")));
    }
    Ok(json!({}).into())
}

pub(super) fn describe_hooks(world: &World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let wanted = texts(input, "LifecycleHookNames");
    let hooks = world.auto_scaling_groups.get(&name).into_iter().flat_map(|group| &group.hooks);
    let shown: Value = hooks
        .filter(|(id, _)| wanted.is_empty() || wanted.contains(&id.as_str()))
        .map(|(_, hook)| hook.clone())
        .collect();
    Ok(json!({"LifecycleHooks": shown}).into())
}

/// Keeps something of a group under its name with an ARN, which stays when it is put again.
fn keep(
    table: &mut BTreeMap<String, Value>,
    (name, arn_member, arn): (&str, &str, String),
    input: &Value,
    defaults: &[(&str, Value)],
) -> String {
    let arn = table.get(name).and_then(|known| text(known, arn_member)).map_or(arn, str::to_owned);
    let mut kept = input.clone();
    for (member, value) in defaults {
        if kept.get(*member).is_none() {
            kept[*member] = value.clone();
        }
    }
    kept[arn_member] = arn.as_str().into();
    table.insert(name.to_owned(), kept);
    arn
}

pub(super) fn put_policy(world: &mut World, input: &Value) -> Answer {
    let group = name_of(world, input)?;
    let name = required(input, "PolicyName")?.to_owned();
    let kind = text(input, "PolicyType").unwrap_or("SimpleScaling");
    let needed = match kind {
        "TargetTrackingScaling" => "TargetTrackingConfiguration",
        "StepScaling" => "StepAdjustments",
        "PredictiveScaling" => "PredictiveScalingConfiguration",
        _ => "ScalingAdjustment",
    };
    if input.get(needed).is_none() {
        return Err(invalid(format!("You must specify {needed} for policies of the type {kind}")));
    }
    let arn = super::arn(world, "scalingPolicy", &format!("autoScalingGroupName/{group}:policyName/{name}"));
    let prefix = format!("arn:{}:cloudwatch:{}:{}:alarm:", world.partition, world.region, world.account);
    // Target tracking makes its own alarms.
    let alarms: Value = match kind {
        "TargetTrackingScaling" => ["AlarmHigh", "AlarmLow"]
            .iter()
            .map(|side| {
                let alarm = format!("TargetTracking-{group}-{side}-{name}");
                json!({"AlarmName": alarm, "AlarmARN": format!("{prefix}{alarm}")})
            })
            .collect(),
        _ => json!([]),
    };
    let defaults = [("PolicyType", json!(kind)), ("Enabled", json!(true)), ("Alarms", alarms.clone())];
    let table = &mut group_mut(world, input)?.policies;
    let arn = keep(table, (&name, "PolicyARN", arn), input, &defaults);
    Ok(json!({"PolicyARN": arn, "Alarms": alarms}).into())
}

pub(super) fn delete_policy(world: &mut World, input: &Value) -> Answer {
    let wanted = required(input, "PolicyName")?;
    let group = group_mut(world, input)?;
    let key = group.policies.iter().find(|(name, policy)| *name == wanted || text(policy, "PolicyARN") == Some(wanted));
    let Some(key) = key.map(|(name, _)| name.clone()) else {
        return Err(missing("ValidationError", format!("PolicyName not found: {wanted}")));
    };
    group.policies.remove(&key);
    Ok(json!({}).into())
}

/// What a table of every group, or of the one that the input names, holds; a group that does not exist has nothing.
fn listed<'w>(
    world: &'w World,
    input: &'w Value,
    names: &'w str,
    table: impl Fn(&'w super::AutoScalingGroup) -> &'w BTreeMap<String, Value>,
) -> Vec<Value> {
    let wanted = texts(input, names);
    let of = text(input, "AutoScalingGroupName");
    let groups = world.auto_scaling_groups.iter().filter(|(name, _)| of.is_none_or(|of| of == *name));
    let all = groups.flat_map(|(_, group)| table(group));
    all.filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.as_str())).map(|(_, kept)| kept.clone()).collect()
}

pub(super) fn describe_policies(world: &World, input: &Value) -> Answer {
    Ok(PAGES.answer("ScalingPolicies", listed(world, input, "PolicyNames", |group| &group.policies), input)?.into())
}

pub(super) fn put_scheduled(world: &mut World, input: &Value) -> Answer {
    let group = name_of(world, input)?;
    let name = required(input, "ScheduledActionName")?.to_owned();
    let arn = super::arn(
        world,
        "scheduledUpdateGroupAction",
        &format!("autoScalingGroupName/{group}:scheduledActionName/{name}"),
    );
    let table = &mut group_mut(world, input)?.scheduled;
    keep(table, (&name, "ScheduledActionARN", arn), input, &[]);
    Ok(json!({}).into())
}

pub(super) fn delete_scheduled(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "ScheduledActionName")?;
    let group = group_mut(world, input)?;
    if group.scheduled.remove(name).is_none() {
        return Err(missing("ValidationError", format!("Scheduled action name not found: {name}")));
    }
    Ok(json!({}).into())
}

pub(super) fn describe_scheduled(world: &World, input: &Value) -> Answer {
    let list = listed(world, input, "ScheduledActionNames", |group| &group.scheduled);
    Ok(PAGES.answer("ScheduledUpdateGroupActions", list, input)?.into())
}

pub(super) fn enable_metrics(world: &mut World, input: &Value) -> Answer {
    const ALL: [&str; 8] = [
        "GroupDesiredCapacity",
        "GroupInServiceInstances",
        "GroupMaxSize",
        "GroupMinSize",
        "GroupPendingInstances",
        "GroupStandbyInstances",
        "GroupTerminatingInstances",
        "GroupTotalInstances",
    ];
    let named = texts(input, "Metrics");
    let added = if named.is_empty() { ALL.to_vec() } else { named };
    let group = group_mut(world, input)?;
    group.metrics.extend(added.into_iter().map(str::to_owned));
    group.metrics.sort_unstable();
    group.metrics.dedup();
    Ok(json!({}).into())
}

pub(super) fn disable_metrics(world: &mut World, input: &Value) -> Answer {
    let named = texts(input, "Metrics");
    let group = group_mut(world, input)?;
    group.metrics.retain(|metric| !named.is_empty() && !named.contains(&metric.as_str()));
    Ok(json!({}).into())
}

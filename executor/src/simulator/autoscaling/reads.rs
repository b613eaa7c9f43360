//! Reading groups, their instances and their activities.

use serde_json::{Value, json};

use super::super::request::{Answer, Paging, items, text, texts};
use super::super::world::{AttachmentFamily as Family, AutoScalingGroup, Member, World};
use super::{activities, name_of, tags};

/// 50 a page, at most 100.
const PAGES: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 50, most: 100 };
/// 50 a page and at most.
const INSTANCE_PAGES: Paging = Paging { most: 50, ..PAGES };
const ACTIVITY_PAGES: Paging = Paging { default: 100, ..PAGES };

fn show_member(world: &World, id: &str, member: &Member) -> Value {
    let instance = world.instances.get(id);
    let mut shown = json!({
        "InstanceId": id,
        "InstanceType": instance.map(|i| i.instance_type.clone()),
        "AvailabilityZone": instance.map_or("", |i| i.availability_zone.as_str()),
        "LifecycleState": member.lifecycle.word(),
        "HealthStatus": if member.healthy { "Healthy" } else { "Unhealthy" },
        "ProtectedFromScaleIn": member.protected,
    });
    for (name, value) in &member.launched_by {
        shown[name] = value.clone();
    }
    shown
}

fn show(world: &World, name: &str, group: &AutoScalingGroup) -> Value {
    let mut shown = Value::Object(group.settings.clone());
    let of_family = |family: Family| -> Vec<&String> {
        let attached = group.attachments.iter().filter(|(_, a)| a.family == family && a.removed_at.is_none());
        attached.map(|(key, _)| key).collect()
    };
    let attached = group.attachments.iter().filter(|(_, a)| a.removed_at.is_none());
    let sources: Value = attached
        .map(|(key, _)| json!({"Identifier": key, "Type": if key.starts_with("arn:") { "elbv2" } else { "elb" }}))
        .collect();
    let mut zones: Vec<&str> = group
        .subnets()
        .filter_map(|id| world.subnets.iter().find(|subnet| subnet["SubnetId"] == *id))
        .filter_map(|subnet| text(subnet, "AvailabilityZone"))
        .collect();
    zones.sort_unstable();
    zones.dedup();
    let suspended = group.suspended.iter();
    let suspended: Value =
        suspended.map(|(name, reason)| json!({"ProcessName": name, "SuspensionReason": reason})).collect();
    let metrics: Value = group.metrics.iter().map(|m| json!({"Metric": m, "Granularity": "1Minute"})).collect();
    let members: Value = group.members.iter().map(|(id, member)| show_member(world, id, member)).collect();
    let tags: Value = group.tags.iter().map(|(key, tag)| tags::show(name, key, tag)).collect();
    let facts = [
        ("AutoScalingGroupName", json!(name)),
        ("AutoScalingGroupARN", json!(group.arn)),
        ("MinSize", json!(group.min_size)),
        ("MaxSize", json!(group.max_size)),
        ("DesiredCapacity", json!(group.desired_capacity)),
        ("AvailabilityZones", json!(zones)),
        ("LoadBalancerNames", json!(of_family(Family::Classic))),
        ("TargetGroupARNs", json!(of_family(Family::TargetGroup))),
        ("TrafficSources", sources),
        ("Instances", members),
        ("CreatedTime", json!(group.created_at.to_string())),
        ("SuspendedProcesses", suspended),
        ("EnabledMetrics", metrics),
        ("Tags", tags),
    ];
    for (member, value) in facts {
        shown[member] = value;
    }
    if group.deleting {
        shown["Status"] = "Delete in progress".into();
    }
    shown
}

/// Groups that do not exist are left out.
pub(super) fn groups(world: &World, input: &Value) -> Answer {
    let names = texts(input, "AutoScalingGroupNames");
    let passes = |group: &AutoScalingGroup| {
        items(input, "Filters").iter().all(|filter| {
            let values = texts(filter, "Values");
            let name = text(filter, "Name").unwrap_or_default();
            match name.strip_prefix("tag:") {
                Some(key) => group.tags.get(key).is_some_and(|tag| values.contains(&tag.value.as_str())),
                None if name == "tag-key" => values.iter().any(|key| group.tags.contains_key(*key)),
                None => group.tags.values().any(|tag| values.contains(&tag.value.as_str())),
            }
        })
    };
    let wanted = |name: &str, group: &AutoScalingGroup| {
        (names.is_empty() || names.contains(&name) || names.contains(&group.arn.as_str())) && passes(group)
    };
    let shown = world.auto_scaling_groups.iter().filter(|(name, group)| wanted(name, group));
    let shown = shown.map(|(name, group)| show(world, name, group)).collect();
    Ok(PAGES.answer("AutoScalingGroups", shown, input)?.into())
}

pub(super) fn instances(world: &World, input: &Value) -> Answer {
    let ids = texts(input, "InstanceIds");
    let all = world.auto_scaling_groups.iter().flat_map(|(name, g)| g.members.iter().map(move |(id, m)| (name, id, m)));
    let wanted = all.filter(|(_, id, _)| ids.is_empty() || ids.contains(&id.as_str()));
    let shown = wanted.map(|(name, id, member)| {
        let mut shown = show_member(world, id, member);
        shown["AutoScalingGroupName"] = name.as_str().into();
        // Only here AWS writes health in capitals.
        shown["HealthStatus"] = if member.healthy { "HEALTHY" } else { "UNHEALTHY" }.into();
        shown
    });
    Ok(INSTANCE_PAGES.answer("AutoScalingInstances", shown.collect(), input)?.into())
}

/// Activities, the newest first; those of a group that does not exist are none.
pub(super) fn activities(world: &World, input: &Value) -> Answer {
    let (of, ids) = (text(input, "AutoScalingGroupName"), texts(input, "ActivityIds"));
    let groups = world.auto_scaling_groups.iter().filter(|(name, _)| of.is_none_or(|of| of == *name));
    let all = groups.flat_map(|(name, group)| group.activities.iter().map(move |a| (a.started_at, name, group, a)));
    let mut wanted: Vec<_> = all.filter(|(.., a)| ids.is_empty() || ids.contains(&a.id.as_str())).collect();
    wanted.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let shown = wanted.into_iter().map(|(_, name, group, activity)| activities::show(name, group, activity));
    Ok(ACTIVITY_PAGES.answer("Activities", shown.collect(), input)?.into())
}

/// What the simulation has none of.
pub(super) fn none_of_group(world: &World, list: &str, input: &Value) -> Answer {
    name_of(world, input)?;
    Ok(json!({list: []}).into())
}

pub(super) fn limits(world: &World) -> Answer {
    Ok(json!({
        "MaxNumberOfAutoScalingGroups": 500, "NumberOfAutoScalingGroups": world.auto_scaling_groups.len(),
        "MaxNumberOfLaunchConfigurations": 200, "NumberOfLaunchConfigurations": world.launch_configurations.len(),
    })
    .into())
}

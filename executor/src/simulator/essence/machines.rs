//! The essence of EC2 and Auto Scaling.
//!
//! Invariant: instances count by what they are made of and how they are, not by their ids; of launch templates the
//! contents count and not their numbers; a group's settings count by what they launch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::autoscaling::content_of;
use super::super::world::{AutoScalingGroup, Instance, InstanceState, LaunchTemplate, World};

/// The group that an instance is in.
pub(super) fn owner<'w>(world: &'w World, id: &str) -> Option<&'w str> {
    let holds = world.auto_scaling_groups.iter().find(|(_, group)| group.members.contains_key(id));
    holds.map(|(name, _)| name.as_str())
}

pub(super) fn templates(world: &World) -> BTreeMap<&str, Value> {
    let shown = |template: &LaunchTemplate| {
        let content = |number: &u64| template.versions.get(number).map(|version| Value::Object(version.data.clone()));
        let all: BTreeSet<String> =
            template.versions.values().map(|version| Value::Object(version.data.clone()).to_string()).collect();
        json!({"tags": template.tags, "default": content(&template.default_version), "contents": all})
    };
    world.launch_templates.values().map(|template| (template.name.as_str(), shown(template))).collect()
}

/// Without what AWS adds: one that was made again is the same.
pub(super) fn configurations(world: &World) -> BTreeMap<&str, Value> {
    let shown = |configuration: &Value| {
        let mut shown = configuration.clone();
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("CreatedTime");
            shown.remove("LaunchConfigurationARN");
        }
        shown
    };
    world.launch_configurations.iter().map(|(name, configuration)| (name.as_str(), shown(configuration))).collect()
}

/// What an instance is made of and how it is.
fn kind(instance: &Instance) -> Value {
    let plain = |(key, _): &(&String, &String)| !key.starts_with("aws:");
    json!({
        "image": instance.image_id, "type": instance.instance_type, "state": instance.state.word(),
        "userData": instance.user_data, "images": instance.images, "securityGroups": instance.security_groups,
        "key": instance.key_name, "profile": instance.profile, "spot": instance.spot,
        "tags": instance.tags.iter().filter(plain).collect::<BTreeMap<_, _>>(),
        "answers": !instance.never_answers(),
    })
}

/// Different things and how many there are of each, in an order that does not depend on that in which they came.
pub(super) fn counted(kinds: impl Iterator<Item = (Value, u64)>) -> Vec<Value> {
    let mut counts: Vec<(Value, u64)> = Vec::new();
    for (kind, count) in kinds {
        match counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => counts.push((kind, count)),
        }
    }
    counts.sort_by_cached_key(|(kind, _)| kind.to_string());
    let with_count = |(mut kind, count): (Value, u64)| {
        kind["count"] = count.into();
        kind
    };
    counts.into_iter().map(with_count).collect()
}

fn members(world: &World, group: &AutoScalingGroup) -> Vec<Value> {
    counted(group.members.iter().map(|(id, member)| {
        let mut shown = world.instances.get(id).map_or_else(|| json!({}), kind);
        shown["lifecycle"] = member.lifecycle.word().into();
        shown["healthy"] = member.healthy.into();
        shown["protected"] = member.protected.into();
        (shown, 1)
    }))
}

/// Policies, hooks and actions without the ARNs that AWS gives them anew.
fn without_arns(table: &BTreeMap<String, Value>) -> BTreeMap<&String, Value> {
    let plain = |kept: &Value| {
        let members = kept.as_object().into_iter().flatten().filter(|(name, _)| !name.ends_with("ARN"));
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    table.iter().map(|(name, kept)| (name, plain(kept))).collect()
}

pub(super) fn groups(world: &World) -> BTreeMap<&str, Value> {
    let shown = |group: &AutoScalingGroup| {
        let launcher = |name: &str| ["LaunchTemplate", "MixedInstancesPolicy"].contains(&name);
        let settings: Map<String, Value> =
            group.settings.iter().filter(|(name, _)| !launcher(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        // A group that follows the newest version is another one than a group that stays with a number.
        let specification = group.settings.get("MixedInstancesPolicy").map_or_else(
            || group.settings.get("LaunchTemplate"),
            |mixed| mixed.pointer("/LaunchTemplate/LaunchTemplateSpecification"),
        );
        let follows = specification.and_then(|s| s["Version"].as_str()).filter(|version| version.starts_with('$'));
        let attached = group.attachments.iter().filter(|(_, attachment)| attachment.removed_at.is_none());
        json!({
            "min": group.min_size, "max": group.max_size, "desired": group.desired_capacity,
            "settings": settings,
            "launches": content_of(world, &group.settings),
            "follows": follows,
            "tags": group.tags,
            "attachments": attached.map(|(key, attachment)| (key, attachment.family)).collect::<BTreeMap<_, _>>(),
            "suspended": group.suspended.keys().collect::<Vec<_>>(),
            "hooks": group.hooks,
            "policies": without_arns(&group.policies),
            "scheduled": without_arns(&group.scheduled),
            "metrics": group.metrics,
            "deleting": group.deleting,
            "members": members(world, group),
        })
    };
    world.auto_scaling_groups.iter().map(|(name, group)| (name.as_str(), shown(group))).collect()
}

/// Living instances that no group has.
pub(super) fn own_instances(world: &World) -> Vec<Value> {
    let alive = world.instances.iter().filter(|(id, instance)| {
        !matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown) && owner(world, id).is_none()
    });
    counted(alive.map(|(_, instance)| (kind(instance), 1)))
}

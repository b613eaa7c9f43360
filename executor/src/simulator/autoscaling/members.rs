//! What is done to single instances of groups.

use serde_json::{Map, Value, json};

use super::super::errors::missing;
use super::super::request::{Answer, required, text, texts};
use super::super::world::{InstanceState, Lifecycle, Member, World};
use super::{activities, balancing, groups, invalid, name_of, scaler, with_group};
use crate::cloud::CloudError;

/// Instances that one call attaches or detaches at most.
const MOST_MOVED: usize = 20;
/// Instances that one call protects at most.
const MOST_PROTECTED: usize = 50;

fn at_most(ids: &[&str], most: usize) -> Result<(), CloudError> {
    match ids.len() {
        count if count > most => Err(invalid(format!("{count} instances, at most {most} are allowed in one call"))),
        _ => Ok(()),
    }
}

fn not_part(id: &str, group: &str) -> CloudError {
    missing("ValidationError", format!("The instance {id} is not part of Auto Scaling group {group}."))
}

/// The group that an instance is in.
fn group_of(world: &World, id: &str) -> Option<String> {
    let holds = world.auto_scaling_groups.iter().find(|(_, group)| group.members.contains_key(id));
    holds.map(|(name, _)| name.clone())
}

/// Takes running instances in; each raises the desired capacity by one.
pub(super) fn attach(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let ids = texts(input, "InstanceIds");
    at_most(&ids, MOST_MOVED)?;
    for id in &ids {
        if let Some(other) = group_of(world, id) {
            return Err(invalid(format!(
                "AttachInstances: The instance {id} is already part of AutoScalingGroup {other}"
            )));
        }
        match world.instances.get(id) {
            Some(instance) if instance.state == InstanceState::Running => {}
            Some(instance) => {
                let state = instance.state.word();
                return Err(invalid(format!(
                    "AttachInstances: Invalid Instances: {id} is in state {state}, not running"
                )));
            }
            None => return Err(invalid(format!("AttachInstances: Invalid Instances: {id} does not exist"))),
        }
    }
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    let wanted = group.desired_capacity + ids.len() as u64;
    if wanted > group.max_size {
        let (count, size, most) = (ids.len(), group.desired_capacity, group.max_size);
        return Err(invalid(format!(
            "The number of instances being attached ({count}) plus the desired capacity of the group ({size}) exceeds its maximum size ({most}). Please update the AutoScalingGroup sizes appropriately."
        )));
    }
    let now = world.now;
    let protected = group.settings.get("NewInstancesProtectedFromScaleIn") == Some(&Value::Bool(true));
    with_group(world, &name, |world, group| {
        group.desired_capacity = wanted;
        for id in &ids {
            let zone = world.instances.get(id).map(|i| i.availability_zone.clone()).unwrap_or_default();
            let cause = format!("At {now} an instance was attached in response to a user request.");
            let activity =
                activities::begin(world, group, format!("Attaching an existing EC2 instance: {id}"), cause, &zone);
            let member = Member {
                lifecycle: Lifecycle::Pending,
                healthy: true,
                protected,
                launched_by: Map::new(),
                in_service_since: None,
                due: Some(now.plus(world.timings.group_schedule_seconds)),
                activity: Some(activity),
            };
            group.members.insert((*id).to_owned(), member);
            if let Some(instance) = world.instances.get_mut(id) {
                instance.tags.insert("aws:autoscaling:groupName".to_owned(), name.clone());
            }
        }
    });
    Ok(json!({}).into())
}

/// Hands instances out; they go on running. They are replaced unless the desired capacity goes down with them.
pub(super) fn detach(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let ids = texts(input, "InstanceIds");
    at_most(&ids, MOST_MOVED)?;
    let lower = input["ShouldDecrementDesiredCapacity"] == true;
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    for id in &ids {
        match group.members.get(*id) {
            None => return Err(not_part(id, &name)),
            Some(member) if member.lifecycle != Lifecycle::InService => {
                return Err(invalid(format!("The instance {id} is not in InService or Standby.")));
            }
            Some(_) => {}
        }
    }
    let count = ids.len() as u64;
    if lower && group.desired_capacity < group.min_size + count {
        return Err(invalid(format!(
            "AutoScalingGroup {name} has min={}, max={}, and desired={}. To detach {count} instances, please update the AutoScalingGroup sizes appropriately.",
            group.min_size, group.max_size, group.desired_capacity
        )));
    }
    let now = world.now;
    let shown = with_group(world, &name, |world, group| {
        let mut shown = Vec::new();
        for id in &ids {
            let before = group.desired_capacity;
            if lower {
                group.desired_capacity -= 1;
            }
            let zone = world.instances.get(id).map(|i| i.availability_zone.clone()).unwrap_or_default();
            let cause = match lower {
                true => format!(
                    "At {now} instance {id} was detached in response to a user request, shrinking the capacity from {before} to {}.",
                    group.desired_capacity
                ),
                false => format!("At {now} instance {id} was detached in response to a user request."),
            };
            let activity = activities::begin(world, group, format!("Detaching EC2 instance: {id}"), cause, &zone);
            let out = balancing::deregister_everywhere(world, group, id);
            if let Some(member) = group.members.get_mut(*id) {
                member.lifecycle = Lifecycle::Detaching;
                member.due = Some(out.max(now.plus(1)));
                member.activity = Some(activity.clone());
            }
            let written = group.activities.iter().find(|a| a.id == activity);
            shown.extend(written.map(|a| activities::show(&name, group, a)));
        }
        if !lower {
            scaler::look_soon(world, group);
        }
        shown
    });
    Ok(json!({"Activities": shown.unwrap_or_default()}).into())
}

pub(super) fn protect(world: &mut World, input: &Value) -> Answer {
    let name = name_of(world, input)?;
    let ids = texts(input, "InstanceIds");
    at_most(&ids, MOST_PROTECTED)?;
    let Some(group) = world.auto_scaling_groups.get_mut(&name) else { return Err(super::not_found(&name)) };
    if let Some(unknown) = ids.iter().find(|id| !group.members.contains_key(**id)) {
        return Err(not_part(unknown, &name));
    }
    let wanted = input["ProtectedFromScaleIn"] == true;
    for id in ids {
        if let Some(member) = group.members.get_mut(id) {
            member.protected = wanted;
        }
    }
    Ok(json!({}).into())
}

pub(super) fn set_health(world: &mut World, input: &Value) -> Answer {
    let id = required(input, "InstanceId")?;
    let unknown = || {
        missing("ValidationError", format!("Instance Id not found - No managed instance found for instance ID: {id}"))
    };
    let name = group_of(world, id).ok_or_else(unknown)?;
    let healthy = match text(input, "HealthStatus") {
        Some("Healthy") => true,
        Some("Unhealthy") => false,
        other => return Err(invalid(format!("{} is no health status", other.unwrap_or_default()))),
    };
    with_group(world, &name, |world, group| {
        if let Some(member) = group.members.get_mut(id) {
            member.healthy = healthy;
        }
        scaler::look_soon(world, group);
    });
    Ok(json!({}).into())
}

pub(super) fn terminate(world: &mut World, input: &Value) -> Answer {
    let id = required(input, "InstanceId")?;
    let unknown = || {
        missing("ValidationError", format!("Instance Id not found - No managed instance found for instance ID: {id}"))
    };
    let name = group_of(world, id).ok_or_else(unknown)?;
    let lower = input["ShouldDecrementDesiredCapacity"] == true;
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    if lower {
        if group.desired_capacity == group.min_size {
            let least = group.min_size;
            return Err(invalid(format!(
                "Currently, desiredSize equals minSize ({least}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )));
        }
        groups::bound(group, group.desired_capacity - 1)?;
    }
    let now = world.now;
    let shown = with_group(world, &name, |world, group| {
        if lower {
            group.desired_capacity -= 1;
        }
        let cause = format!("At {now} instance {id} was taken out of service in response to a user request.");
        let activity = scaler::terminate(world, group, id, cause);
        scaler::look_soon(world, group);
        let written = group.activities.iter().find(|a| Some(&a.id) == activity.as_ref());
        written.map(|a| activities::show(&name, group, a))
    });
    Ok(json!({"Activity": shown.flatten()}).into())
}

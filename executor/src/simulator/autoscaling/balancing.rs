//! Load balancers of groups: attaching, detaching, and registering the instances in service.
//!
//! Invariant: what one family of operations attached only the same family detaches.

use serde_json::{Value, json};

use super::super::request::{Answer, Paging, items, text, texts};
use super::super::targets;
use super::super::time::Time;
use super::super::world::{
    Attachment, AttachmentFamily as Family, AutoScalingGroup, Behaviour, Lifecycle, Member, Target, TargetState, World,
};
use super::{invalid, name_of, with_group};
use crate::cloud::CloudError;

const PAGES: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 100, most: 100 };
/// What one call attaches or detaches.
const MOST: usize = 10;

fn family_of(operation: &str) -> Family {
    match operation {
        name if name.ends_with("TargetGroups") => Family::TargetGroup,
        name if name.ends_with("TrafficSources") => Family::TrafficSource,
        _ => Family::Classic,
    }
}

fn named(family: Family, input: &Value) -> Vec<&str> {
    match family {
        Family::Classic => texts(input, "LoadBalancerNames"),
        Family::TargetGroup => texts(input, "TargetGroupARNs"),
        Family::TrafficSource => {
            items(input, "TrafficSources").iter().filter_map(|source| text(source, "Identifier")).collect()
        }
    }
}

/// Attaches load balancers to a group, with the instances that it has in service.
pub(super) fn add(
    world: &mut World,
    group: &mut AutoScalingGroup,
    family: Family,
    wanted: &[&str],
) -> Result<(), CloudError> {
    for key in wanted {
        let (group_there, classic_there) =
            (world.target_group(key).is_some(), world.classic_load_balancers.contains_key(key));
        let (found, words) = match family {
            Family::Classic => (classic_there, "Load Balancers"),
            Family::TargetGroup => (group_there, "Target Groups"),
            Family::TrafficSource => (group_there || classic_there, "Traffic Sources"),
        };
        if !found {
            return Err(invalid(format!(
                "Provided {words} may not be valid. Please ensure they exist and try again. ({key})"
            )));
        }
    }
    let added_at = world.now.plus(world.timings.attach_seconds);
    for key in wanted {
        let attached = group.attachments.get(*key).is_some_and(|attachment| attachment.removed_at.is_none());
        if attached {
            continue;
        }
        group.attachments.insert((*key).to_owned(), Attachment { family, added_at, removed_at: None });
        if group.does("AddToLoadBalancer") {
            let serving = group.members.iter().filter(|(_, member)| member.lifecycle == Lifecycle::InService);
            serving.for_each(|(id, _)| register(world, key, id));
        }
    }
    Ok(())
}

pub(super) fn attach(world: &mut World, operation: &str, input: &Value) -> Answer {
    let (name, family) = (name_of(world, input)?, family_of(operation));
    let wanted = named(family, input);
    if wanted.len() > MOST {
        return Err(invalid(format!("At most {MOST} can be attached at once")));
    }
    with_group(world, &name, |world, group| add(world, group, family, &wanted)).unwrap_or(Ok(()))?;
    Ok(json!({}).into())
}

pub(super) fn detach(world: &mut World, operation: &str, input: &Value) -> Answer {
    let (name, family) = (name_of(world, input)?, family_of(operation));
    let wanted = named(family, input);
    let attached = |key: &&str| {
        let known = world.auto_scaling_groups.get(&name).and_then(|group| group.attachments.get(*key));
        known.is_some_and(|attachment| attachment.family == family && attachment.removed_at.is_none())
    };
    if let Some(unknown) = wanted.iter().find(|key| !attached(key)) {
        let words = match family {
            Family::Classic => "load balancers",
            Family::TargetGroup => "target groups",
            Family::TrafficSource => "traffic sources",
        };
        return Err(invalid(format!("Trying to remove {words} that are not part of the group: [{unknown}]")));
    }
    with_group(world, &name, |world, group| {
        for key in &wanted {
            let mut last = world.now;
            for id in group.members.keys() {
                last = last.max(deregister(world, key, id));
            }
            if let Some(attachment) = group.attachments.get_mut(*key) {
                attachment.removed_at = Some(last.max(world.now.plus(1)));
            }
        }
    });
    Ok(json!({}).into())
}

/// Registers an instance in a target group by its ARN or in a classic load balancer by its name.
fn register(world: &mut World, key: &str, id: &str) {
    let now = world.now;
    let Some(instance) = world.instances.get(id) else { return };
    let from = now.max(instance.answers_at);
    // What it takes until the application answers is in `from` already.
    let behaviour = if instance.never_answers() { Behaviour::NeverHealthy } else { Behaviour::Healthy };
    let mut target = Target {
        id: id.to_owned(),
        port: 0,
        availability_zone: None,
        task: None,
        state: TargetState::Initial,
        due: None,
    };
    if let Some(group) = world.target_group_mut(key) {
        target.port = group.port;
        target.due = Some(targets::first_outcome(&group.health_check, &behaviour, from));
        targets::add(&mut group.targets, target);
    } else if let Some(classic) = world.classic_load_balancers.get_mut(key) {
        target.port = classic.listeners.first().map_or(0, |listener| listener.instance_port);
        target.due = Some(targets::first_outcome(&classic.health_check, &behaviour, from));
        targets::add(&mut classic.targets, target);
    }
}

/// Begins to take an instance out of a load balancer; gives back when it is out.
fn deregister(world: &mut World, key: &str, id: &str) -> Time {
    let now = world.now;
    let (list, delay) = if let Some(group) = world.target_group_mut(key) {
        let delay = group.deregistration_delay();
        (&mut group.targets, delay)
    } else if let Some(classic) = world.classic_load_balancers.get_mut(key) {
        (&mut classic.targets, classic.connection_draining_seconds.unwrap_or(0))
    } else {
        return now;
    };
    let mut last = now;
    for target in list.iter_mut().filter(|target| target.id == id && target.state != TargetState::Draining) {
        target.state = TargetState::Draining;
        target.due = Some(now.plus(delay));
        last = now.plus(delay);
    }
    last
}

/// Registers an instance wherever its group is attached.
pub(super) fn register_everywhere(world: &mut World, group: &AutoScalingGroup, id: &str) {
    let attached = group.attachments.iter().filter(|(_, attachment)| attachment.removed_at.is_none());
    attached.for_each(|(key, _)| register(world, key, id));
}

/// Begins to take an instance out of everything that its group is attached to; gives back when it is out.
pub(super) fn deregister_everywhere(world: &mut World, group: &AutoScalingGroup, id: &str) -> Time {
    group.attachments.keys().map(|key| deregister(world, key, id)).max().unwrap_or(world.now)
}

/// The targets of a target group by its ARN or of a classic load balancer by its name.
fn targets_of<'w>(world: &'w World, key: &str) -> &'w [Target] {
    let group = world.target_group(key).map(|group| &group.targets);
    let list = group.or_else(|| world.classic_load_balancers.get(key).map(|classic| &classic.targets));
    list.map_or(&[], Vec::as_slice)
}

/// The state of an instance among targets.
fn state_among(targets: &[Target], id: &str) -> Option<TargetState> {
    targets.iter().find(|target| target.id == id).map(|target| target.state)
}

/// The state of an instance in a load balancer.
fn state_in(world: &World, key: &str, id: &str) -> Option<TargetState> {
    state_among(targets_of(world, key), id)
}

/// Whether an instance fails the checks of something that its group is attached to.
pub(super) fn fails(world: &World, group: &AutoScalingGroup, id: &str) -> bool {
    let attached = group.attachments.iter().filter(|(_, attachment)| attachment.removed_at.is_none());
    attached.into_iter().any(|(key, _)| state_in(world, key, id) == Some(TargetState::Unhealthy))
}

impl World {
    /// How many instances of a group are in service, and healthy wherever the group is attached.
    #[must_use]
    pub fn serving(&self, name: &str) -> u64 {
        let Some(group) = self.auto_scaling_groups.get(name) else { return 0 };
        let attached = group.attachments.iter().filter(|(_, attachment)| attachment.removed_at.is_none());
        let lists: Vec<&[Target]> = attached.map(|(key, _)| targets_of(self, key)).collect();
        let serves = |(id, member): &(&String, &Member)| {
            member.lifecycle == Lifecycle::InService
                && member.healthy
                && self.instances.get(id).is_some_and(|instance| instance.state.lives())
                && lists.iter().all(|list| state_among(list, id) == Some(TargetState::Healthy))
        };
        group.members.iter().filter(serves).count() as u64
    }
}

/// AWS's word for how far an attachment is.
fn state_of(world: &World, group: &AutoScalingGroup, key: &str, attachment: &Attachment) -> &'static str {
    if attachment.removed_at.is_some() {
        return "Removing";
    }
    if world.now < attachment.added_at {
        return "Adding";
    }
    let serving = group.members.keys().any(|id| state_in(world, key, id) == Some(TargetState::Healthy));
    if serving { "InService" } else { "Added" }
}

pub(super) fn describe(world: &World, operation: &str, input: &Value) -> Answer {
    let (name, family) = (name_of(world, input)?, family_of(operation));
    let Some(group) = world.auto_scaling_groups.get(&name) else { return Err(super::not_found(&name)) };
    let of_family = group.attachments.iter().filter(|(_, attachment)| attachment.family == family);
    let kind = |key: &str| if key.starts_with("arn:") { "elbv2" } else { "elb" };
    let wanted = text(input, "TrafficSourceType");
    let shown =
        of_family.filter(|(key, _)| wanted.is_none_or(|wanted| wanted == kind(key))).map(|(key, attachment)| {
            let state = state_of(world, group, key, attachment);
            match family {
                Family::Classic => json!({"LoadBalancerName": key, "State": state}),
                Family::TargetGroup => json!({"LoadBalancerTargetGroupARN": key, "State": state}),
                Family::TrafficSource => {
                    json!({"Identifier": key, "TrafficSource": key, "Type": kind(key), "State": state})
                }
            }
        });
    let list = match family {
        Family::Classic => "LoadBalancers",
        Family::TargetGroup => "LoadBalancerTargetGroups",
        Family::TrafficSource => "TrafficSources",
    };
    Ok(PAGES.answer(list, shown.collect(), input)?.into())
}

//! How groups go on by themselves: launching, serving, replacing, terminating.
//!
//! Invariants: a group looks at its size some seconds after something changed it, as AWS does, and then does everything
//! that is to be done; an instance that is leaving is out of its load balancers, drained, before it is terminated.

use serde_json::Value;

use super::super::request::text;
use super::super::time::Time;
use super::super::world::{AutoScalingGroup, InstanceState, Lifecycle, Member, World};
use super::super::{ec2, targets};
use super::{activities, balancing, source, with_group};

/// Lets a group look at its size soon.
pub(super) fn look_soon(world: &World, group: &mut AutoScalingGroup) {
    look_at(group, world.now.plus(world.timings.group_schedule_seconds));
}

fn look_at(group: &mut AutoScalingGroup, at: Time) {
    group.due = Some(group.due.map_or(at, |due| due.min(at)));
}

/// An instance was terminated by somebody: its group notices some time later.
pub(in super::super) fn instance_gone(world: &mut World, id: &str) {
    let at = world.now.plus(world.timings.instance_check_seconds);
    let has = |group: &AutoScalingGroup| group.members.contains_key(id);
    world.auto_scaling_groups.change(has, |_, group| look_at(group, at));
}

/// When something happens next in any group.
pub(in super::super) fn next(world: &World) -> Option<Time> {
    let failing = targets::any_fails(world);
    let of_group = |group: &AutoScalingGroup| {
        let members = group.members.values().filter_map(|member| member.due);
        let attachments = group.attachments.values().filter_map(|attachment| attachment.removed_at);
        let looked_at = failing && checks_balancers(group);
        let graces = group.members.iter().filter(|(_, member)| looked_at && member.healthy);
        let graces = graces.filter(|(id, _)| balancing::fails(world, group, id));
        let graces = graces.filter_map(|(_, member)| grace_end(group, member).filter(|end| *end > world.now));
        members.chain(attachments).chain(graces).chain(group.due).min()
    };
    world.auto_scaling_groups.values().filter_map(of_group).min()
}

/// Does in every group what the time has come for.
pub(in super::super) fn pass_time(world: &mut World) {
    let failing = targets::any_fails(world);
    let names: Vec<String> = world.auto_scaling_groups.keys().cloned().collect();
    for name in names {
        if world.auto_scaling_groups.get(&name).is_none_or(|group| rests(world, group, failing)) {
            continue;
        }
        let gone = with_group(world, &name, |world, group| {
            move_members(world, group, &name);
            check_health(world, group);
            if group.due.is_some_and(|due| due <= world.now) {
                group.due = None;
                look(world, group, &name);
            }
            let now = world.now;
            group.attachments.retain(|_, attachment| attachment.removed_at.is_none_or(|at| at > now));
            group.deleting && group.members.is_empty()
        });
        if gone == Some(true) {
            world.auto_scaling_groups.remove(&name);
        }
    }
}

/// Whether nothing is to be done in a group: its instances serve or are known to fail, and nothing is due. `failing` tells
/// whether any target anywhere fails its checks.
fn rests(world: &World, group: &AutoScalingGroup, failing: bool) -> bool {
    let rest = |(id, member): (&String, &Member)| {
        let lives = || world.instances.get(id).is_some_and(|instance| instance.state.lives());
        member.lifecycle == Lifecycle::InService && (!member.healthy || (!failing && lives()))
    };
    !group.deleting
        && group.due.is_none_or(|due| due > world.now)
        && group.attachments.values().all(|attachment| attachment.removed_at.is_none())
        && group.members.iter().all(rest)
}

fn checks_balancers(group: &AutoScalingGroup) -> bool {
    group.text("HealthCheckType").unwrap_or_default().split(',').any(|kind| kind.trim() == "ELB")
}

/// Until when an instance's failed health checks do not count.
fn grace_end(group: &AutoScalingGroup, member: &Member) -> Option<Time> {
    let grace = group.settings.get("HealthCheckGracePeriod").and_then(Value::as_u64).unwrap_or(0);
    member.in_service_since.map(|since| since.plus(grace))
}

/// What a hook of a transition says: how long to wait, and whether to go on then.
fn hook(group: &AutoScalingGroup, transition: &str) -> Option<(u64, bool)> {
    let hook = group.hooks.values().find(|hook| hook["LifecycleTransition"] == transition)?;
    Some((hook["HeartbeatTimeout"].as_u64().unwrap_or(3600), hook["DefaultResult"] == "CONTINUE"))
}

fn move_members(world: &mut World, group: &mut AutoScalingGroup, name: &str) {
    let ids: Vec<String> = group.members.keys().cloned().collect();
    let now = world.now;
    for id in ids {
        let Some(member) = group.members.get(&id) else { continue };
        let state = world.instances.get(&id).map_or(InstanceState::Terminated, |instance| instance.state);
        let due = member.due.is_some_and(|due| due <= now);
        match member.lifecycle {
            Lifecycle::Pending if !state.lives() => {
                let activity = group.members.remove(&id).and_then(|member| member.activity);
                let words = "Instance became unhealthy while waiting for instance to be in InService state.".to_owned();
                activities::end(group, activity.as_deref(), "Cancelled", Some(words), now);
                look_soon(world, group);
            }
            Lifecycle::Pending if state == InstanceState::Running && (due || member.due.is_none()) => {
                // An attached instance has been launched before; hooks do not run for it.
                let attached = member.launched_by.is_empty();
                match hook(group, "autoscaling:EC2_INSTANCE_LAUNCHING").filter(|_| !attached) {
                    Some((seconds, _)) => {
                        set(group, &id, Lifecycle::PendingWait, Some(now.plus(seconds)));
                        let activity = group.members.get(&id).and_then(|member| member.activity.clone());
                        activities::mark(group, activity.as_deref(), "MidLifecycleAction");
                    }
                    None => serve(world, group, &id),
                }
            }
            Lifecycle::PendingWait if due => match hook(group, "autoscaling:EC2_INSTANCE_LAUNCHING") {
                Some((_, false)) => {
                    let cause = format!(
                        "At {now} an instance was taken out of service in response to an abandoned lifecycle action."
                    );
                    terminate(world, group, &id, cause);
                    look_soon(world, group);
                }
                _ => serve(world, group, &id),
            },
            Lifecycle::Terminating if state == InstanceState::Terminated => {
                let activity = group.members.remove(&id).and_then(|member| member.activity);
                activities::end(group, activity.as_deref(), "Successful", None, now);
                look_soon(world, group);
            }
            Lifecycle::Terminating if due => match hook(group, "autoscaling:EC2_INSTANCE_TERMINATING") {
                Some((seconds, _)) if state.lives() && !group.deleting => {
                    set(group, &id, Lifecycle::TerminatingWait, Some(now.plus(seconds)));
                }
                _ => kill(world, group, &id),
            },
            Lifecycle::TerminatingWait if due || !state.lives() => kill(world, group, &id),
            Lifecycle::Detaching if due => {
                let activity = group.members.remove(&id).and_then(|member| member.activity);
                activities::end(group, activity.as_deref(), "Successful", None, now);
                if let Some(instance) = world.instances.get_mut(&id)
                    && instance.tags.get("aws:autoscaling:groupName").is_some_and(|of| of == name)
                {
                    instance.tags.remove("aws:autoscaling:groupName");
                }
            }
            _ => {}
        }
    }
}

fn set(group: &mut AutoScalingGroup, id: &str, lifecycle: Lifecycle, due: Option<Time>) {
    if let Some(member) = group.members.get_mut(id) {
        (member.lifecycle, member.due) = (lifecycle, due);
    }
}

/// Puts an instance into service: from now on its load balancers look at it.
fn serve(world: &mut World, group: &mut AutoScalingGroup, id: &str) {
    set(group, id, Lifecycle::InService, None);
    let now = world.now;
    let activity = group.members.get_mut(id).and_then(|member| {
        member.in_service_since = Some(now);
        member.activity.take()
    });
    activities::end(group, activity.as_deref(), "Successful", None, now);
    if group.does("AddToLoadBalancer") {
        balancing::register_everywhere(world, group, id);
    }
}

/// The instance itself goes.
fn kill(world: &mut World, group: &mut AutoScalingGroup, id: &str) {
    set(group, id, Lifecycle::Terminating, None);
    let activity = group.members.get(id).and_then(|member| member.activity.clone());
    activities::mark(group, activity.as_deref(), "InProgress");
    ec2::terminate(world, id, "Client.UserInitiatedShutdown", "User initiated shutdown");
}

/// Marks the instances that are not what they should be.
fn check_health(world: &World, group: &mut AutoScalingGroup) {
    if !group.does("HealthCheck") {
        return;
    }
    let looked_at = checks_balancers(group);
    let fails = |(id, member): (&String, &Member)| {
        if member.lifecycle != Lifecycle::InService || !member.healthy {
            return None;
        }
        let lives = world.instances.get(id).is_some_and(|instance| instance.state.lives());
        let tried = grace_end(group, member).is_none_or(|end| end <= world.now);
        let failing = looked_at && tried && balancing::fails(world, group, id);
        (!lives || failing).then(|| id.clone())
    };
    let failing: Vec<String> = group.members.iter().filter_map(fails).collect();
    if failing.is_empty() {
        return;
    }
    for id in &failing {
        if let Some(member) = group.members.get_mut(id) {
            member.healthy = false;
        }
    }
    look_at(group, world.now.plus(world.timings.instance_check_seconds));
}

/// Compares what a group has with what it should have.
fn look(world: &mut World, group: &mut AutoScalingGroup, name: &str) {
    if group.deleting {
        return;
    }
    let now = world.now;
    if group.does("Terminate") && group.does("ReplaceUnhealthy") {
        let sick = group.members.iter().filter(|(_, m)| m.lifecycle == Lifecycle::InService && !m.healthy);
        for id in sick.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let lives = world.instances.get(&id).is_some_and(|instance| instance.state.lives());
            let check = if lives { "ELB system" } else { "EC2" };
            let cause = format!(
                "At {now} an instance was taken out of service in response to an {check} health check failure."
            );
            terminate(world, group, &id, cause);
        }
    }
    let (have, want) = (group.counted().count() as u64, group.desired_capacity);
    if have < want && group.does("Launch") {
        match group.launch_after.filter(|at| *at > now) {
            Some(at) => look_at(group, at),
            None => launch_all(world, group, name, have, want),
        }
    } else if have > want && group.does("Terminate") {
        let leaving = chosen(world, group, have - want);
        for (gone, id) in (0..).zip(leaving) {
            let (from, to) = (have - gone, have - gone - 1);
            let cause = format!(
                "{} At {now} an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from {from} to {to}. At {now} instance {id} was selected for termination.",
                group.cause
            );
            terminate(world, group, &id, cause);
        }
    }
}

fn launch_all(world: &mut World, group: &mut AutoScalingGroup, name: &str, have: u64, want: u64) {
    let now = world.now;
    for count in have..want {
        let cause = format!(
            "{} At {now} an instance was started in response to a difference between desired and actual capacity, increasing the capacity from {have} to {want}.",
            group.cause
        );
        match launch_one(world, group, name, count) {
            Ok((id, launched_by)) => {
                let zone = world.instances.get(&id).map(|i| i.availability_zone.clone()).unwrap_or_default();
                let activity =
                    activities::begin(world, group, format!("Launching a new EC2 instance: {id}"), cause, &zone);
                let protected = group.settings.get("NewInstancesProtectedFromScaleIn") == Some(&Value::Bool(true));
                let member = Member {
                    lifecycle: Lifecycle::Pending,
                    healthy: true,
                    protected,
                    launched_by,
                    in_service_since: None,
                    due: None,
                    activity: Some(activity),
                };
                group.members.insert(id, member);
                group.failed_launches = 0;
                group.launch_after = None;
            }
            Err(words) => {
                let zone = zones(world, group).into_iter().next().map(|(_, zone)| zone).unwrap_or_default();
                let activity = activities::begin(world, group, "Launching a new EC2 instance".to_owned(), cause, &zone);
                let message = format!("{words} Launching EC2 instance failed.");
                activities::end(group, Some(&activity), "Failed", Some(message), now);
                let first = world.timings.launch_retry_seconds.max(1);
                let pause = first.saturating_mul(1 << group.failed_launches.min(16));
                let again = now.plus(pause.min(world.timings.longest_back_off_seconds));
                group.failed_launches += 1;
                group.launch_after = Some(again);
                look_at(group, again);
                return;
            }
        }
    }
}

/// A group's subnets with their zones, that with the fewest instances first.
fn zones(world: &World, group: &AutoScalingGroup) -> Vec<(String, String)> {
    let zone_of = |id: &str| {
        let subnet = world.subnets.iter().find(|subnet| subnet["SubnetId"] == *id);
        subnet.and_then(|subnet| text(subnet, "AvailabilityZone")).unwrap_or_default().to_owned()
    };
    let crowd = |zone: &str| {
        let there = |id: &String| world.instances.get(id).is_some_and(|i| i.availability_zone == zone);
        group.counted().filter(|(id, _)| there(id)).count()
    };
    let mut zones: Vec<(String, String)> = group.subnets().map(|id| (id.to_owned(), zone_of(id))).collect();
    zones.sort_by_key(|(_, zone)| crowd(zone));
    zones
}

/// Launches one more than `count` instances, wherever there is room.
fn launch_one(
    world: &mut World,
    group: &AutoScalingGroup,
    name: &str,
    count: u64,
) -> Result<(String, serde_json::Map<String, Value>), String> {
    let source = source::resolve(world, &group.settings).map_err(|error| error.message)?;
    let tags = source.tags(name, group);
    let spot = source.all_spot
        || source.distribution.is_some_and(|(base, percentage)| {
            let on_demand = |id: &String| world.instances.get(id).is_some_and(|instance| !instance.spot);
            let have = group.counted().filter(|(id, _)| on_demand(id)).count() as u64;
            let above = (count + 1).saturating_sub(base);
            have >= base.min(count + 1) + (above * percentage).div_ceil(100)
        });
    let mut first = None;
    for kind in &source.types {
        for (subnet, _) in zones(world, group) {
            match ec2::launch(world, &source.launch(kind, spot, tags.clone()), &subnet) {
                Ok(id) => return Ok((id, source.launched_by)),
                Err(refusal) => first = first.or(Some(refusal.0)),
            }
        }
    }
    Err(first.unwrap_or_else(|| "There is no subnet to launch in.".to_owned()))
}

/// The instances that a shrinking group gives up: out of the fullest zone, unhealthy ones first, then as its first
/// termination policy says.
fn chosen(world: &World, group: &AutoScalingGroup, count: u64) -> Vec<String> {
    let current = source::resolve(world, &group.settings).map(|source| source.launched_by).unwrap_or_default();
    let policy = group.settings.get("TerminationPolicies").and_then(|list| list[0].as_str()).unwrap_or("Default");
    let launched = |id: &String| world.instances.get(id).map_or(world.now, |instance| instance.launched_at);
    let zone = |id: &String| world.instances.get(id).map(|instance| instance.availability_zone.as_str());
    let mut rest: Vec<(&String, &Member)> = group.counted().filter(|(_, member)| !member.protected).collect();
    let mut leaving = Vec::new();
    while (leaving.len() as u64) < count && !rest.is_empty() {
        let crowd = |id: &String| {
            group.counted().filter(|(other, _)| zone(other) == zone(id) && !leaving.contains(*other)).count()
        };
        let best = rest.iter().enumerate().min_by_key(|(_, (id, member))| {
            let age = launched(id).seconds();
            let by_policy = match policy {
                "NewestInstance" => u64::MAX - age,
                "OldestInstance" => age,
                // The others look for what was launched by something else than the group's present settings.
                _ => u64::from(member.launched_by == current) << 62 | age,
            };
            (member.healthy, std::cmp::Reverse(crowd(id)), by_policy, (*id).clone())
        });
        let Some((at, _)) = best else { break };
        leaving.push(rest.remove(at).0.clone());
    }
    leaving
}

/// Begins to take an instance out of a group for good; gives back the activity.
pub(super) fn terminate(world: &mut World, group: &mut AutoScalingGroup, id: &str, cause: String) -> Option<String> {
    let leaving =
        |l: Lifecycle| matches!(l, Lifecycle::Terminating | Lifecycle::TerminatingWait | Lifecycle::Detaching);
    if group.members.get(id).is_none_or(|member| leaving(member.lifecycle)) {
        return None;
    }
    let zone = world.instances.get(id).map(|i| i.availability_zone.clone()).unwrap_or_default();
    let earlier = group.members.get_mut(id).and_then(|member| member.activity.take());
    activities::end(group, earlier.as_deref(), "Cancelled", None, world.now);
    let activity = activities::begin(world, group, format!("Terminating EC2 instance: {id}"), cause, &zone);
    let out = balancing::deregister_everywhere(world, group, id);
    if out > world.now {
        activities::mark(group, Some(&activity), "WaitingForELBConnectionDraining");
    }
    if let Some(member) = group.members.get_mut(id) {
        member.lifecycle = Lifecycle::Terminating;
        member.due = Some(out);
        member.activity = Some(activity.clone());
    }
    if out <= world.now {
        // Nothing to wait for; hooks are looked at when time goes on.
        set(group, id, Lifecycle::Terminating, Some(world.now.plus(1)));
    }
    Some(activity)
}

/// Terminates everything at once, as ForceDelete does: neither draining nor hooks are waited for.
pub(super) fn terminate_all(world: &mut World, group: &mut AutoScalingGroup) {
    for id in group.members.keys().cloned().collect::<Vec<_>>() {
        let cause = format!("At {} a user request deleted the AutoScalingGroup with ForceDelete.", world.now);
        terminate(world, group, &id, cause);
        kill(world, group, &id);
    }
}

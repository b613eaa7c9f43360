//! Targets of load balancers: how ECS registers and deregisters its tasks, and how their health goes on.
//!
//! Invariants: a target without a task passes its checks; a deregistered one drains for the delay that its group or
//! load balancer has, and is gone after that.

use std::collections::BTreeSet;

use serde_json::Value;

use super::request::{number, text};
use super::time::Time;
use super::world::{Behaviour, ClassicLoadBalancer, HealthCheck, Target, TargetGroup, TargetState, Task, World};

/// Where targets are registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A target group by its ARN.
    Group(String),
    /// A classic load balancer by its name.
    Classic(String),
}

impl Place {
    /// As events of a service name it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Group(arn) => format!("(target-group {arn})"),
            Self::Classic(name) => format!("(elb {name})"),
        }
    }

    /// What events of a service call its members.
    pub(super) fn members(&self) -> &'static str {
        match self {
            Self::Group(_) => "targets",
            Self::Classic(_) => "instances",
        }
    }
}

/// When the first checks of a target have an outcome: all must pass or all must fail.
pub(super) fn first_outcome(check: &HealthCheck, behaviour: &Behaviour, now: Time) -> Time {
    now.plus(match behaviour {
        Behaviour::NeverHealthy => check.interval_seconds * check.unhealthy_threshold,
        Behaviour::Slow { healthy_seconds, .. } => healthy_seconds + check.interval_seconds * check.healthy_threshold,
        _ => check.interval_seconds * check.healthy_threshold,
    })
}

/// Registers a running task where its service's load balancers say so; gives back where.
pub(super) fn register_task(world: &mut World, id: &str, load_balancers: &[Value]) -> Vec<Place> {
    let Some(task) = world.tasks.share(id) else { return Vec::new() };
    let now = world.now;
    let ec2 = task.container_instance.as_ref().and_then(|i| world.container_instances.get(i));
    let ec2 = ec2.map(|instance| instance.ec2_instance_id.clone());
    let mut places = Vec::new();
    for balancer in load_balancers {
        let container = text(balancer, "containerName").unwrap_or_default();
        let port = number(balancer, "containerPort").unwrap_or(0);
        let Some(host_port) = task.host_port(container, port) else { continue };
        let behaviour = behaviour(&task, container);
        let mut target = Target {
            id: ec2.clone().unwrap_or_default(),
            port: host_port,
            availability_zone: None,
            task: Some(id.to_owned()),
            state: TargetState::Initial,
            due: None,
        };
        if let Some(arn) = text(balancer, "targetGroupArn")
            && let Some(group) = world.target_group_mut(arn)
        {
            if group.target_type == "ip" {
                target.id = task.private_ip.clone().unwrap_or_default();
                target.port = port;
                target.availability_zone = Some(task.availability_zone.clone());
            }
            target.due = Some(first_outcome(&group.health_check, &behaviour, now));
            add(&mut group.targets, target);
            places.push(Place::Group(arn.to_owned()));
        } else if let Some(name) = text(balancer, "loadBalancerName")
            && let Some(classic) = world.classic_load_balancers.get_mut(name)
        {
            target.due = Some(first_outcome(&classic.health_check, &behaviour, now));
            add(&mut classic.targets, target);
            places.push(Place::Classic(name.to_owned()));
        }
    }
    places
}

fn behaviour(task: &Task, container: &str) -> Behaviour {
    task.containers.iter().find(|c| c.name == container).map(|c| c.behaviour.clone()).unwrap_or_default()
}

/// Adds a target in the place of an earlier one with the same address, which may still drain.
pub(super) fn add(targets: &mut Vec<Target>, target: Target) {
    targets.retain(|t| (&t.id, t.port) != (&target.id, target.port));
    targets.push(target);
}

/// Changes the lists that have a target of which that is so; each comes with its place and its drain delay.
fn change(world: &mut World, which: impl Fn(&Target) -> bool, mut change: impl FnMut(Place, u64, &mut Vec<Target>)) {
    let groups = |group: &TargetGroup| group.targets.iter().any(&which);
    world.target_groups.change(groups, |_, group| {
        let (place, delay) = (Place::Group(group.arn.clone()), group.deregistration_delay());
        change(place, delay, &mut group.targets);
    });
    let classic = |balancer: &ClassicLoadBalancer| balancer.targets.iter().any(&which);
    world.classic_load_balancers.change(classic, |name, balancer| {
        let delay = balancer.connection_draining_seconds.unwrap_or(0);
        change(Place::Classic(name.clone()), delay, &mut balancer.targets);
    });
}

/// Every target.
fn all(world: &World) -> impl Iterator<Item = &Target> {
    let groups = world.target_groups.values().flat_map(|group| &group.targets);
    groups.chain(world.classic_load_balancers.values().flat_map(|balancer| &balancer.targets))
}

/// Deregisters a task everywhere; gives back where, and the longest delay.
pub(super) fn drain_task(world: &mut World, id: &str) -> (Vec<Place>, u64) {
    let now = world.now;
    let (mut places, mut longest) = (Vec::new(), 0);
    let leaves = |target: &Target| target.task.as_deref() == Some(id) && target.state != TargetState::Draining;
    change(world, leaves, |place, delay, targets| {
        for target in targets.iter_mut().filter(|target| leaves(target)) {
            target.state = TargetState::Draining;
            target.due = Some(now.plus(delay));
        }
        places.push(place);
        longest = longest.max(delay);
    });
    (places, longest)
}

/// Takes an instance out of every list at once.
pub(super) fn forget_instance(world: &mut World, id: &str) {
    change(world, |target| target.id == id, |_, _, targets| targets.retain(|target| target.id != id));
}

/// The states that a task's targets have, without draining ones.
pub(super) fn states_of(world: &World, id: &str) -> Vec<(Place, u64, TargetState)> {
    let own = |target: &&Target| target.task.as_deref() == Some(id) && target.state != TargetState::Draining;
    let groups = world
        .target_groups
        .values()
        .flat_map(|group| group.targets.iter().filter(own).map(|t| (Place::Group(group.arn.clone()), t.port, t.state)));
    let classic = world.classic_load_balancers.iter().flat_map(|(name, balancer)| {
        balancer.targets.iter().filter(own).map(|t| (Place::Classic(name.clone()), t.port, t.state))
    });
    groups.chain(classic).collect()
}

/// Whether all targets of a task but draining ones pass their checks.
pub(super) fn are_healthy(world: &World, id: &str) -> bool {
    let mut own = all(world).filter(|target| target.task.as_deref() == Some(id));
    own.all(|target| matches!(target.state, TargetState::Draining | TargetState::Healthy))
}

/// Whether any target fails its checks.
pub(super) fn any_fails(world: &World) -> bool {
    all(world).any(|target| target.state == TargetState::Unhealthy)
}

/// When the state of any target changes next.
pub(super) fn next(world: &World) -> Option<Time> {
    all(world).filter_map(|target| target.due).min()
}

/// Changes the targets whose time has come; gives back the tasks that are concerned.
pub(super) fn pass_time(world: &mut World) -> Vec<String> {
    let now = world.now;
    let is_due = |target: &Target| {
        let moves = matches!(target.state, TargetState::Draining | TargetState::Initial);
        moves && target.due.is_none_or(|due| due <= now)
    };
    if !all(world).any(is_due) {
        return Vec::new();
    }
    let fails: BTreeSet<String> = world
        .tasks
        .iter()
        .filter(|(_, t)| t.containers.iter().any(|c| c.behaviour == Behaviour::NeverHealthy))
        .map(|(id, _)| id.clone())
        .collect();
    let dead: BTreeSet<String> =
        world.instances.iter().filter(|(_, i)| i.never_answers()).map(|(id, _)| id.clone()).collect();
    let mut concerned = Vec::new();
    change(world, is_due, |_, _, targets| {
        targets.retain(|target| target.state != TargetState::Draining || !is_due(target));
        for target in targets.iter_mut().filter(|target| is_due(target)) {
            let failing = match &target.task {
                Some(task) => fails.contains(task),
                None => dead.contains(&target.id),
            };
            target.state = if failing { TargetState::Unhealthy } else { TargetState::Healthy };
            target.due = None;
            concerned.extend(target.task.clone());
        }
    });
    concerned
}

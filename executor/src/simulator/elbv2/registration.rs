//! Targets: registering, deregistering, health.

use serde_json::{Value, json};

use super::super::errors::rejected;
use super::super::request::{Answer, items, number, required, text};
use super::super::world::{Behaviour, Target, TargetGroup, TargetState, World};
use super::super::{ec2, targets};
use super::no_group;
use crate::cloud::CloudError;

/// Why a target gets no traffic whatever its health is, in AWS's words.
const NOT_USED: &str = "Target group is not configured to receive traffic from the load balancer";
const OTHER_ZONE: &str = "Target is in an Availability Zone that is not enabled for the load balancer";

/// Why a target of a group gets no traffic, if it gets none: no load balancer uses the group, or none that does is in
/// the zone of the target's instance.
fn unused(world: &World, arn: &str, target: &Target) -> Option<&'static str> {
    let mut users = world.load_balancers.values().filter(|balancer| balancer.forwards_to(arn)).peekable();
    if users.peek().is_none() {
        return Some(NOT_USED);
    }
    let zone = &world.instances.get(&target.id)?.availability_zone;
    let in_zone = |id: &String| world.subnets.iter().any(|s| s["SubnetId"] == **id && s["AvailabilityZone"] == **zone);
    let reaches = users.any(|balancer| balancer.subnets.is_empty() || balancer.subnets.iter().any(in_zone));
    (!reaches).then_some(OTHER_ZONE)
}

/// State, reason and description of a target, in AWS's words.
fn words(target: &Target, unused: Option<&'static str>) -> (&'static str, Option<(&'static str, &'static str)>) {
    match target.state {
        _ if unused.is_some() => ("unused", unused.map(|why| ("Target.NotInUse", why))),
        TargetState::Initial if target.due.is_some() => {
            ("initial", Some(("Elb.InitialHealthChecking", "Initial health checks in progress")))
        }
        TargetState::Initial => ("initial", Some(("Elb.RegistrationInProgress", "Target registration is in progress"))),
        TargetState::Healthy => ("healthy", None),
        TargetState::Unhealthy => ("unhealthy", Some(("Target.FailedHealthChecks", "Health checks failed"))),
        TargetState::Draining => {
            ("draining", Some(("Target.DeregistrationInProgress", "Target deregistration is in progress")))
        }
    }
}

fn show(world: &World, group: &TargetGroup, target: &Target) -> Value {
    let (state, reason) = words(target, unused(world, &group.arn, target));
    let check = &group.health_check;
    let port = if check.port == "traffic-port" { target.port.to_string() } else { check.port.clone() };
    let mut shown = json!({
        "Target": {"Id": target.id, "Port": target.port},
        "HealthCheckPort": port,
        "TargetHealth": {"State": state},
    });
    if let Some(zone) = &target.availability_zone {
        shown["Target"]["AvailabilityZone"] = zone.as_str().into();
    }
    if let Some((reason, description)) = reason {
        shown["TargetHealth"]["Reason"] = reason.into();
        shown["TargetHealth"]["Description"] = description.into();
    }
    shown
}

pub(super) fn health(world: &World, input: &Value) -> Answer {
    let arn = required(input, "TargetGroupArn")?;
    let group = world.target_group(arn).ok_or_else(no_group)?;
    let asked = items(input, "Targets");
    let shown: Vec<Value> = if asked.is_empty() {
        group.targets.iter().map(|target| show(world, group, target)).collect()
    } else {
        asked.iter().map(|asked| one(world, group, asked)).collect()
    };
    Ok(json!({"TargetHealthDescriptions": shown}).into())
}

/// A target that was asked for by name; one that is not registered is unused.
fn one(world: &World, group: &TargetGroup, asked: &Value) -> Value {
    let (id, port) = (text(asked, "Id").unwrap_or_default(), number(asked, "Port").unwrap_or(group.port));
    match group.targets.iter().find(|target| target.id == id && target.port == port) {
        Some(target) => show(world, group, target),
        None => json!({
            "Target": {"Id": id, "Port": port},
            "TargetHealth": {
                "State": "unused", "Reason": "Target.NotRegistered",
                "Description": "Target is not registered to the target group",
            },
        }),
    }
}

pub(super) fn register(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "TargetGroupArn")?;
    let group = world.target_group(arn).ok_or_else(no_group)?;
    let check = |asked: &Value| -> Result<(), CloudError> {
        let id = text(asked, "Id").unwrap_or_default();
        let known = ec2::known_instance(world, id);
        match group.target_type.as_str() {
            "instance" if !known => {
                Err(rejected("InvalidTarget", format!("The following targets are not in the target group VPC: '{id}'")))
            }
            "ip" if id.split('.').filter(|part| part.parse::<u8>().is_ok()).count() != 4 => {
                Err(rejected("ValidationError", format!("The IP address '{id}' is not a valid IPv4 address")))
            }
            _ => Ok(()),
        }
    };
    items(input, "Targets").iter().try_for_each(check)?;
    let now = world.now;
    if let Some(group) = world.target_group_mut(arn) {
        for asked in items(input, "Targets") {
            let id = text(asked, "Id").unwrap_or_default().to_owned();
            let port = number(asked, "Port").unwrap_or(group.port);
            let live = |t: &Target| t.id == id && t.port == port && t.state != TargetState::Draining;
            if group.targets.iter().any(live) {
                continue;
            }
            let due = targets::first_outcome(&group.health_check, &Behaviour::Healthy, now);
            let zone = text(asked, "AvailabilityZone").map(str::to_owned);
            let target =
                Target { id, port, availability_zone: zone, task: None, state: TargetState::Initial, due: Some(due) };
            targets::add(&mut group.targets, target);
        }
    }
    Ok(json!({}).into())
}

/// Deregistering what is not registered succeeds. Without a port it means the target on every port.
pub(super) fn deregister(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "TargetGroupArn")?;
    let now = world.now;
    let group = world.target_group_mut(arn).ok_or_else(no_group)?;
    let delay = group.deregistration_delay();
    for asked in items(input, "Targets") {
        let (id, port) = (text(asked, "Id").unwrap_or_default(), number(asked, "Port"));
        let meant = |t: &&mut Target| t.id == id && port.is_none_or(|port| t.port == port);
        for target in group.targets.iter_mut().filter(meant).filter(|t| t.state != TargetState::Draining) {
            target.state = TargetState::Draining;
            target.due = Some(now.plus(delay));
        }
    }
    Ok(json!({}).into())
}

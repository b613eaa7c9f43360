//! Instances: reading them, terminating them, and how they go on by themselves.

use serde_json::{Value, json};

use super::super::errors::missing;
use super::super::request::{Answer, Paging, items, texts, to_upper_tags};
use super::super::time::Time;
use super::super::world::{ContainerInstance, Instance, InstanceState, StateReason, World};
use super::super::{autoscaling, ecs, targets};
use super::lookup::passes;
use crate::cloud::CloudError;

/// Filters with the members that they look at.
const FILTERS: [(&str, &str); 12] = [
    ("instance-id", "InstanceId"),
    ("availability-zone", "AvailabilityZone"),
    ("private-ip-address", "PrivateIpAddress"),
    ("instance-state-name", "StateName"),
    ("instance-state-code", "StateCode"),
    ("instance-type", "InstanceType"),
    ("image-id", "ImageId"),
    ("subnet-id", "SubnetId"),
    ("vpc-id", "VpcId"),
    ("key-name", "KeyName"),
    ("instance-lifecycle", "InstanceLifecycle"),
    ("ip-address", "PublicIpAddress"),
];

fn not_found(id: &str) -> CloudError {
    missing("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

/// Whether there is such an instance that has not been terminated.
pub(in super::super) fn known_instance(world: &World, id: &str) -> bool {
    world.instances.get(id).is_some_and(|instance| instance.state.lives())
        || hosts(world).any(|instance| instance.ec2_instance_id == id)
}

/// Container instances that are instances of EC2.
fn hosts(world: &World) -> impl Iterator<Item = &ContainerInstance> {
    world.container_instances.values().filter(|instance| !instance.is_external() && instance.has_joined(world.now))
}

/// An instance behind a container instance.
fn show_host(world: &World, instance: &ContainerInstance) -> Value {
    let zone = &instance.availability_zone;
    let subnet = world.subnets.iter().find(|subnet| subnet["AvailabilityZone"] == **zone);
    let mut shown = json!({
        "InstanceId": instance.ec2_instance_id,
        "InstanceType": instance.attributes.get("ecs.instance-type").map_or("m5.large", String::as_str),
        "State": {"Code": 16, "Name": "running"},
        "Placement": {"AvailabilityZone": zone},
        "LaunchTime": instance.registered_at.to_string(),
        "Tags": to_upper_tags(&instance.tags),
    });
    if let Some(address) = &instance.private_ip {
        shown["PrivateIpAddress"] = address.as_str().into();
    }
    for member in ["SubnetId", "VpcId"] {
        if let Some(value) = subnet.map(|subnet| &subnet[member]) {
            shown[member] = value.clone();
        }
    }
    shown
}

fn show(world: &World, id: &str, instance: &Instance) -> Value {
    let groups: Value = instance
        .security_groups
        .iter()
        .map(|id| {
            let known = world.security_groups.iter().find(|group| group["GroupId"] == **id);
            json!({"GroupId": id, "GroupName": known.map_or(&Value::Null, |group| &group["GroupName"])})
        })
        .collect();
    let mut shown = json!({
        "InstanceId": id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "State": {"Code": instance.state.code(), "Name": instance.state.word()},
        "Placement": {"AvailabilityZone": instance.availability_zone, "Tenancy": "default"},
        "LaunchTime": instance.launched_at.to_string(),
        "EbsOptimized": instance.ebs_optimized,
        "Monitoring": {"State": "disabled"},
        "Tags": to_upper_tags(&instance.tags),
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown[name] = value;
        }
    };
    if instance.state != InstanceState::Terminated {
        add("PrivateIpAddress", Some(instance.private_ip.as_str().into()));
        add("PublicIpAddress", instance.public_ip.as_deref().map(Value::from));
        add("SubnetId", Some(instance.subnet_id.as_str().into()));
        add("VpcId", Some(instance.vpc_id.as_str().into()));
        add("SecurityGroups", Some(groups));
    }
    add("KeyName", instance.key_name.as_deref().map(Value::from));
    add("InstanceLifecycle", instance.spot.then(|| "spot".into()));
    add("StateReason", instance.state_reason.as_ref().map(|r| json!({"Code": r.code, "Message": r.message})));
    let profile = instance.profile.as_ref().map(|name| world.iam_arn(&format!("instance-profile/{name}")));
    add("IamInstanceProfile", profile.map(|arn| json!({"Arn": arn, "Id": "AIPASIMULATED"})));
    shown
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let ids = texts(input, "InstanceIds");
    let host = |id: &str| hosts(world).any(|instance| instance.ec2_instance_id == id);
    if let Some(unknown) = ids.iter().find(|id| !world.instances.contains_key(id) && !host(id)) {
        return Err(not_found(unknown));
    }
    // Most callers name a few of many: only those are put into words.
    let asked = |id: &str| ids.is_empty() || ids.contains(&id);
    let alone = |id: &str| asked(id) && !world.instances.contains_key(id);
    let hosts = hosts(world).filter(|instance| alone(&instance.ec2_instance_id));
    let hosts = hosts.map(|instance| show_host(world, instance));
    let own = world.instances.iter().filter(|(id, _)| asked(id)).map(|(id, instance)| show(world, id, instance));
    let mut reservations = Vec::new();
    for shown in hosts.chain(own) {
        let id = shown["InstanceId"].as_str().unwrap_or_default().to_owned();
        let filters = items(input, "Filters");
        let mut passing = filters.is_empty();
        if !passing {
            let mut flat = shown.clone();
            flat["AvailabilityZone"] = shown["Placement"]["AvailabilityZone"].clone();
            flat["StateName"] = shown["State"]["Name"].clone();
            flat["StateCode"] = shown["State"]["Code"].clone();
            passing = passes(&flat, filters, &FILTERS)?;
        }
        if passing {
            let mut reservation = json!({
                "ReservationId": id.replacen("i-", "r-", 1), "OwnerId": world.account, "Groups": [],
            });
            reservation["Instances"] = Value::Array(vec![shown]);
            reservations.push(reservation);
        }
    }
    Ok(Paging::EC2.answer("Reservations", reservations, input)?.into())
}

/// All of them or, when one does not exist, none.
pub(super) fn terminate_instances(world: &mut World, input: &Value) -> Answer {
    let ids = texts(input, "InstanceIds");
    if let Some(unknown) = ids.iter().find(|id| !world.instances.contains_key(id)) {
        return Err(not_found(unknown));
    }
    let state = |state: InstanceState| json!({"Code": state.code(), "Name": state.word()});
    let mut changes = Vec::new();
    for id in ids {
        let before = world.instances.get(id).map_or(InstanceState::Terminated, |instance| instance.state);
        terminate(world, id, "Client.UserInitiatedShutdown", "User initiated shutdown");
        let after = world.instances.get(id).map_or(InstanceState::Terminated, |instance| instance.state);
        changes.push(json!({"InstanceId": id, "PreviousState": state(before), "CurrentState": state(after)}));
    }
    Ok(json!({"TerminatingInstances": changes}).into())
}

/// Begins to terminate an instance. It is out of its load balancers at once: nothing answers there any more.
pub(in super::super) fn terminate(world: &mut World, id: &str, code: &str, words: &str) {
    let at = world.now.plus(world.timings.instance_shutdown_seconds);
    let told = world.now;
    let Some(instance) = world.instances.get_mut(id).filter(|instance| instance.state.lives()) else { return };
    instance.state = InstanceState::ShuttingDown;
    instance.state_reason = Some(StateReason { code: code.to_owned(), message: format!("{code}: {words} ({told})") });
    instance.due = Some(at);
    targets::forget_instance(world, id);
    autoscaling::instance_gone(world, id);
    ecs::gone(world, id);
}

/// When the state of any instance changes next.
pub(in super::super) fn next(world: &World) -> Option<Time> {
    let alive = world.instances.values().filter(|instance| instance.state != InstanceState::Terminated);
    alive.filter_map(|instance| instance.due).min()
}

/// Changes the instances whose time has come.
pub(in super::super) fn pass_time(world: &mut World) {
    let (now, keep) = (world.now, world.timings.terminated_instance_retention_seconds);
    let changes = |instance: &Instance| {
        let moves = matches!(instance.state, InstanceState::Pending | InstanceState::ShuttingDown);
        moves && instance.due.is_some_and(|due| due <= now)
    };
    world.instances.change(changes, |_, instance| {
        (instance.state, instance.due) = match instance.state {
            InstanceState::Pending => (InstanceState::Running, None),
            _ => (InstanceState::Terminated, Some(now.plus(keep))),
        };
    });
}

/// Drops terminated instances that are no longer shown.
pub(in super::super) fn forget_terminated(world: &mut World) {
    let now = world.now;
    let old = |i: &Instance| i.state == InstanceState::Terminated && i.due.is_none_or(|due| due <= now);
    world.instances.retain(|_, instance| !old(instance));
}

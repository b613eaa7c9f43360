//! Container instances: listing, describing, draining.

use serde_json::{Value, json};

use super::super::errors::invalid;
use super::super::request::{Answer, Paging, at_most, items, lists, required, short, text, to_ecs_tags};
use super::super::world::{ContainerInstance, InstanceStatus, Service, TaskStatus, World};
use super::placement::{Expression, Used};
use super::{cluster_name, platform};

pub(super) fn list(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let filter = match text(input, "filter") {
        None => None,
        Some(filter) => match Expression::parse(filter) {
            Some(filter) => Some(filter),
            None => return Err(super::super::errors::unmodelled("this filter of ListContainerInstances")),
        },
    };
    let status = match text(input, "status") {
        None => None,
        Some("ACTIVE") => Some(InstanceStatus::Active),
        Some("DRAINING") => Some(InstanceStatus::Draining),
        Some(_) => return Ok(json!({"containerInstanceArns": []}).into()),
    };
    let wanted = |i: &ContainerInstance| {
        i.cluster == cluster
            && i.has_joined(world.now)
            && status.is_none_or(|status| status == i.status)
            && filter.as_ref().is_none_or(|filter| filter.holds(i))
    };
    let arns = world.container_instances.iter().filter(|(_, i)| wanted(i));
    let arns = arns.map(|(id, i)| arn(world, i, id).into()).collect();
    Ok(Paging::ecs(100, 100).answer("containerInstanceArns", arns, input)?.into())
}

fn arn(world: &World, instance: &ContainerInstance, id: &str) -> String {
    world.ecs_arn(&format!("container-instance/{}/{id}", instance.cluster))
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let names = items(input, "containerInstances");
    at_most(names, 100, "containerInstances")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(Value::as_str) {
        let id = short(name);
        match world.container_instances.get(id).filter(|i| i.cluster == cluster && i.has_joined(world.now)) {
            Some(instance) => {
                let mut shown = show(world, id, instance);
                if lists(input, "include", "TAGS") && !instance.tags.is_empty() {
                    shown["tags"] = to_ecs_tags(&instance.tags);
                }
                found.push(shown);
            }
            None => {
                let arn = world.ecs_arn(&format!("container-instance/{cluster}/{id}"));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"containerInstances": found, "failures": failures}).into())
}

fn show(world: &World, id: &str, instance: &ContainerInstance) -> Value {
    let used = Used::of(world, id);
    let ports = |protocol: &str, taken: bool| -> Vec<String> {
        let reserved = if protocol == "tcp" { instance.reserved_ports.as_slice() } else { &[] };
        let taken = used.ports.iter().filter(|(_, p)| taken && *p == protocol).map(|(port, _)| port);
        let mut all: Vec<u64> = reserved.iter().chain(taken).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.iter().map(u64::to_string).collect()
    };
    let resources = |cpu: u64, memory: u64, taken: bool| {
        let number = |name: &str, value: u64| json!({"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value});
        let set = |name: &str, protocol: &str| {
            json!({
                "name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0,
                "stringSetValue": ports(protocol, taken),
            })
        };
        json!([number("CPU", cpu), number("MEMORY", memory), set("PORTS", "tcp"), set("PORTS_UDP", "udp")])
    };
    let remaining = |all: u64, used: u64| all.saturating_sub(used);
    let count = |wanted: &dyn Fn(TaskStatus) -> bool| {
        world.tasks.on_instance(id).filter(|(_, task)| wanted(task.last_status)).count()
    };
    let zone = Some(("ecs.availability-zone", &instance.availability_zone)).filter(|(_, zone)| !zone.is_empty());
    let own = platform::attributes(instance);
    let own = own.iter().map(|(name, value)| (name.as_str(), value));
    // A capability is an attribute without a value.
    let attributes = zone.into_iter().chain(own).map(|(name, value)| match value.as_str() {
        "" => json!({"name": name}),
        value => json!({"name": name, "value": value}),
    });
    let attributes: Vec<Value> = attributes.collect();
    let mut shown = json!({
        "containerInstanceArn": arn(world, instance, id),
        "ec2InstanceId": instance.ec2_instance_id,
        "status": word(instance.status),
        "version": 1,
        "versionInfo": {"agentVersion": "1.90.0", "agentHash": "00000000", "dockerVersion": "DockerVersion: 25.0.6"},
        "registeredResources": resources(instance.cpu, instance.memory, false),
        "remainingResources":
            resources(remaining(instance.cpu, used.cpu), remaining(instance.memory, used.memory), true),
        "agentConnected": true,
        // Tasks that are stopping still run on the instance.
        "runningTasksCount": count(&|s| (TaskStatus::Running..TaskStatus::Stopped).contains(&s)),
        "pendingTasksCount": count(&|s| s < TaskStatus::Running),
        "attributes": attributes,
        "registeredAt": instance.registered_at.seconds(),
        "attachments": [],
    });
    if let Some(provider) = &instance.capacity_provider {
        shown["capacityProviderName"] = json!(provider);
    }
    shown
}

fn word(status: InstanceStatus) -> &'static str {
    match status {
        InstanceStatus::Active => "ACTIVE",
        InstanceStatus::Draining => "DRAINING",
    }
}

/// The tasks of services leave a draining instance; others stay.
pub(super) fn update_state(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let names = items(input, "containerInstances");
    at_most(names, 10, "containerInstances")?;
    let status = match required(input, "status")? {
        "ACTIVE" => InstanceStatus::Active,
        "DRAINING" => InstanceStatus::Draining,
        _ => return Err(invalid("Container instance status must be ACTIVE or DRAINING.")),
    };
    let (mut changed, mut failures) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(Value::as_str) {
        let id = short(name);
        match world.container_instances.get_mut(id).filter(|i| i.cluster == cluster) {
            Some(instance) => {
                instance.status = status;
                changed.push(id.to_owned());
            }
            None => {
                let arn = world.ecs_arn(&format!("container-instance/{cluster}/{id}"));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    let due = world.now.plus(world.timings.schedule_seconds);
    let concerned = |service: &Service| service.cluster == cluster;
    world.services.change(concerned, |_, service| {
        service.due = Some(service.due.map_or(due, |earlier| earlier.min(due)));
    });
    let shown: Vec<Value> =
        changed.iter().filter_map(|id| Some(show(world, id, world.container_instances.get(id)?))).collect();
    Ok(json!({"containerInstances": shown, "failures": failures}).into())
}

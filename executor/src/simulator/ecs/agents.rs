//! Agents: EC2 instances whose user data name a cluster become container instances of it, and are none any more when they
//! end. What user data of Belay's own say of the agent is heeded as far as it shows: cluster, attributes, reserved memory,
//! and tasks that an instance starts on itself.
//!
//! Invariants: an agent joins once, when what its instance does at its start is through, and never where the instance does
//! not work; a container instance that goes takes its tasks with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::ec2;
use super::super::time::Time;
use super::super::world::{ContainerInstance, Instance, InstanceState, InstanceStatus, TaskStatus, World};
use super::{lifecycle, providers, run};

/// A line of the agent's file as user data write it.
fn setting<'t>(user_data: &'t str, name: &str) -> Option<&'t str> {
    user_data.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Task definitions that user data start on their own instance once it has joined, and in whose name.
fn started_tasks(user_data: &str) -> impl Iterator<Item = (&str, &str)> {
    user_data.lines().filter(|line| line.trim().starts_with("aws ecs start-task ")).filter_map(|line| {
        let option = |name: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != name);
            words.nth(1).map(|word| word.trim_matches(['\'', '"']))
        };
        Some((option("--task-definition")?, option("--started-by").unwrap_or_default()))
    })
}

/// The cluster that an instance with these user data joins.
pub(crate) fn cluster_of(user_data: Option<&str>) -> Option<String> {
    let text = ec2::text_of(user_data?)?;
    setting(&text, "ECS_CLUSTER").map(str::to_owned)
}

fn due(instance: &Instance) -> Option<Time> {
    let will = instance.joins.is_some() && instance.state.lives() && !instance.never_answers();
    will.then_some(instance.answers_at)
}

/// When the next agent joins its cluster.
pub(in super::super) fn next(world: &World) -> Option<Time> {
    world.instances.values().filter_map(due).min()
}

/// Lets the agents join whose time has come.
pub(in super::super) fn join_clusters(world: &mut World) {
    let now = world.now;
    let ready = |(_, i): &(&String, &Instance)| i.state == InstanceState::Running && due(i).is_some_and(|at| at <= now);
    let ready: Vec<String> = world.instances.iter().filter(ready).map(|(id, _)| id.clone()).collect();
    for id in ready {
        join(world, &id);
    }
}

/// Registers an instance with the cluster that its user data name.
pub(in super::super) fn join(world: &mut World, id: &str) {
    let now = world.now;
    let Some(instance) = world.instances.get_mut(id) else { return };
    let Some(cluster) = instance.joins.take() else { return };
    let instance = instance.clone();
    let known = world.container_instances.values().any(|host| host.ec2_instance_id == id);
    if known || world.clusters.get(&cluster).is_none_or(|cluster| cluster.status != "ACTIVE") {
        return;
    }
    let text = instance.user_data.as_deref().and_then(ec2::text_of).unwrap_or_default();
    let own: Map<String, Value> =
        setting(&text, "ECS_INSTANCE_ATTRIBUTES").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let mut attributes: BTreeMap<String, String> =
        own.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
    for (name, value) in
        [("instance-type", instance.instance_type.as_str()), ("ami-id", &instance.image_id), ("os-type", "linux")]
    {
        attributes.insert(format!("ecs.{name}"), value.to_owned());
    }
    let reserved = setting(&text, "ECS_RESERVED_MEMORY").and_then(|mib| mib.parse().ok()).unwrap_or(0);
    let (processors, memory) = ec2::size_of(&instance.instance_type).unwrap_or((2, 8192));
    let host = ContainerInstance {
        cluster: cluster.clone(),
        ec2_instance_id: id.to_owned(),
        availability_zone: instance.availability_zone,
        status: InstanceStatus::Active,
        cpu: processors * 1024,
        // What the system itself needs is not the agent's to give, nor what it is told to leave.
        memory: (memory * 15 / 16).saturating_sub(reserved),
        reserved_ports: ContainerInstance::reserved(),
        task_interfaces: 2,
        private_ip: Some(instance.private_ip),
        attributes,
        capacity_provider: providers::of_instance(world, &cluster, id),
        tags: BTreeMap::new(),
        registered_at: now,
    };
    let mut number = world.hex_id("containerInstance");
    while world.container_instances.contains_key(&number) {
        number = world.hex_id("containerInstance");
    }
    world.container_instances.insert(number.clone(), host);
    for (definition, started_by) in started_tasks(&text) {
        run::start_on(world, &number, definition, started_by);
    }
    look_again(world, &cluster);
}

/// An EC2 instance ends: its cluster has it no more, and its tasks have ended.
pub(in super::super) fn gone(world: &mut World, ec2_instance: &str) {
    let host = world.container_instances.iter().find(|(_, host)| host.ec2_instance_id == ec2_instance);
    let Some((id, cluster)) = host.map(|(id, host)| (id.clone(), host.cluster.clone())) else { return };
    let alive = world.tasks.on_instance(&id).filter(|(_, task)| task.last_status != TaskStatus::Stopped);
    let alive: Vec<String> = alive.map(|(task, _)| task.clone()).collect();
    for task in alive {
        let reason = format!("Host EC2 (instance {ec2_instance}) terminated.");
        lifecycle::finish(world, &task, Some((reason, "TerminationNotice")));
    }
    world.container_instances.remove(&id);
    look_again(world, &cluster);
}

fn look_again(world: &mut World, cluster: &str) {
    let services: Vec<String> =
        world.services.iter().filter(|(_, s)| s.cluster == cluster).map(|(key, _)| key.clone()).collect();
    world.dirty.extend(services);
}

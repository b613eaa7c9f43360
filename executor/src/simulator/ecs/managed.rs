//! Managed Instances: instances that ECS starts for tasks and ends itself.
//!
//! Modelled is one instance for each task, which comes when the task is wanted and goes with it. AWS may put several small
//! tasks on one instance, and keeps an empty one for a while: plans see neither.
//!
//! Invariant: such an instance is never there without a task that needs it, and takes no other.
//!
//! Sources: ECS developer guide, "Architect for Amazon ECS Managed Instances" and "Amazon ECS task definition parameters for
//! Amazon ECS Managed Instances"; how long an instance takes is not documented (`managedInstanceSeconds` of the timings).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::errors::{client, invalid, unmodelled};
use super::super::request::lists;
use super::super::world::{ContainerInstance, InstanceStatus, TaskStatus, World};
use super::placement::Machines;
use super::shape::TaskShape;
use crate::cloud::CloudError;

const NETWORK: &str = "Managed Instances support the network modes awsvpc and host only.";

/// What such instances are counted by.
const COUNTER: &str = "managedInstance";

impl World {
    /// How many instances ECS has started itself so far.
    pub(crate) fn managed_instances(&self) -> u64 {
        self.counters.get(COUNTER).copied().unwrap_or(0)
    }

    /// Whether a capacity provider is of instances that ECS starts itself.
    pub(in super::super) fn manages(&self, provider: &str) -> bool {
        self.capacity_providers.get(provider).is_some_and(|provider| provider.cluster.is_some())
    }

    /// Whether ECS has started a container instance itself.
    pub(in super::super) fn is_managed(&self, instance: &ContainerInstance) -> bool {
        instance.capacity_provider.as_deref().is_some_and(|provider| self.manages(provider))
    }
}

/// Starts the instance that a task needs, and gives back its id.
pub(super) fn launch(world: &mut World, cluster: &str, provider: &str, shape: &TaskShape, zone: &str) -> String {
    let id = world.hex_id(COUNTER);
    let id = format!("e{}", &id[1..]);
    let number = world.count("managedInstanceOfEc2");
    let instance = ContainerInstance {
        cluster: cluster.to_owned(),
        ec2_instance_id: format!("i-0e{number:015x}"),
        availability_zone: zone.to_owned(),
        status: InstanceStatus::Active,
        // The smallest that holds the task.
        cpu: shape.cpu.max(1024).next_power_of_two(),
        memory: shape.memory.max(2048).next_power_of_two(),
        reserved_ports: ContainerInstance::reserved(),
        task_interfaces: 1,
        private_ip: None,
        attributes: shape.platform.attributes(),
        capacity_provider: Some(provider.to_owned()),
        tags: BTreeMap::new(),
        registered_at: world.now.plus(world.timings.managed_instance_seconds),
    };
    world.container_instances.insert(id.clone(), instance);
    id
}

/// Ends the instance of a task that has ended.
pub(super) fn release(world: &mut World, task: &str) {
    let ended = world.tasks.get(task).filter(|task| task.last_status == TaskStatus::Stopped);
    let Some(host) = ended.and_then(|task| task.container_instance.clone()) else { return };
    if world.container_instances.get(&host).is_some_and(|instance| world.is_managed(instance)) {
        world.container_instances.remove(&host);
    }
}

/// What a definition cannot have that says it is for Managed Instances.
pub(super) fn check_definition(mode: &str) -> Result<(), CloudError> {
    if matches!(mode, "awsvpc" | "host") { Ok(()) } else { Err(client(NETWORK)) }
}

/// What a service or RunTask cannot have that is for Managed Instances.
pub(super) fn check(world: &World, settings: &Map<String, Value>, definition: &str) -> Result<(), CloudError> {
    let Machines::Managed(_) = Machines::of(world, settings) else { return Ok(()) };
    let content = world.task_definition(definition).map(|d| Value::Object(d.content.clone())).unwrap_or_default();
    if !lists(&content, "compatibilities", "MANAGED_INSTANCES") {
        return Err(invalid("Task definition does not support launch_type MANAGED_INSTANCES."));
    }
    if settings.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON") {
        return Err(unmodelled("daemons on Managed Instances"));
    }
    Ok(())
}

//! Which tasks are registered with services of Cloud Map, and what AWS refuses of a service's registries.

use serde_json::{Map, Value};

use super::super::errors::invalid;
use super::super::request::{items, number, short, text};
use super::super::world::{Task, TaskStatus, World};
use super::shape::TaskShape;
use crate::cloud::CloudError;

/// A task that is registered, with the port that is told of it.
pub(in super::super) struct Registered<'w> {
    pub(in super::super) id: &'w str,
    pub(in super::super) task: &'w Task,
    pub(in super::super) port: Option<u64>,
}

/// Tasks that are registered with a service of Cloud Map: those that run or are about to leave their load balancers.
pub(in super::super) fn registered<'w>(world: &'w World, registry: &'w str) -> Vec<Registered<'w>> {
    let present = |task: &Task| matches!(task.last_status, TaskStatus::Running | TaskStatus::Deactivating);
    let mut all = Vec::new();
    for (id, task) in world.tasks.iter().filter(|(_, task)| present(task)) {
        let service = task.service.as_ref().and_then(|key| world.services.get(key));
        let revision = service.and_then(|service| service.revision(task.revision.as_deref()?));
        let list = revision.and_then(|revision| revision.settings.get("serviceRegistries")).and_then(Value::as_array);
        let entry = list.into_iter().flatten().find(|e| text(e, "registryArn").map(short) == Some(registry));
        let Some(entry) = entry else { continue };
        let told = text(entry, "containerName").zip(number(entry, "containerPort"));
        // A task with an address of its own is found at the container's port.
        let port = match (told, &task.private_ip) {
            (Some((_, port)), Some(_)) => Some(port),
            (Some((container, port)), None) => task.host_port(container, port),
            (None, _) => number(entry, "port"),
        };
        all.push(Registered { id, task, port });
    }
    all
}

/// What AWS refuses.
pub(super) fn check(world: &World, wanted: &Map<String, Value>, shape: &TaskShape) -> Result<(), CloudError> {
    let list = wanted.get("serviceRegistries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if list.len() > 1 {
        return Err(invalid("Service registries can have at most 1 items."));
    }
    let own = shape.network_mode == "awsvpc";
    for entry in list {
        let arn = text(entry, "registryArn").unwrap_or_default();
        let Some(registry) = world.registries.get(short(arn)) else {
            return Err(invalid(format!("The service registry {arn} does not exist.")));
        };
        let records = registry.dns.as_ref().map_or(&[][..], |dns| items(dns, "DnsRecords"));
        let kind = records.first().and_then(|record| text(record, "Type"));
        let pair = text(entry, "containerName").zip(number(entry, "containerPort"));
        let port = number(entry, "port");
        if !own && kind.is_some_and(|kind| kind != "SRV") {
            return Err(invalid(format!(
                "The network mode {} needs a service registry with SRV records.",
                shape.network_mode
            )));
        }
        if (!own || kind == Some("SRV")) && pair.is_none() && (port.is_none() || !own) {
            return Err(invalid("When specifying this service registry, containerName and containerPort are needed."));
        }
        if pair.is_some() && port.is_some() {
            return Err(invalid("A service registry takes port, or containerName and containerPort."));
        }
        if let Some((container, port)) = pair
            && !shape.maps_port(container, port)
        {
            return Err(invalid(format!("The container {container} did not have a container port {port} defined.")));
        }
    }
    Ok(())
}

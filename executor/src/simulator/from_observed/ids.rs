//! The ids that were observed, in the place of those that the simulator gave out.
//!
//! Invariant: what the simulator gives out from now on is none of the observed ids.

use belay_schemas::observed::Observed;
use serde_json::Value;

use super::items;
use crate::simulator::world::{Service, World};

/// Deployment and revision ids start above this.
const FIRST: u64 = 1_000_000_000_000_000_000;

/// Gives each service's deployment and revision the ids that were observed.
pub(super) fn restore(world: &mut World, observed: &Observed) {
    for (input, output) in observed.outputs("ecs", "DescribeServices") {
        for seen in items(output, "services") {
            let cluster = input["cluster"].as_str().unwrap_or("default");
            let key = format!("{cluster}/{}", seen["serviceName"].as_str().unwrap_or_default());
            let Some(mut service) = world.services.remove(&key) else { continue };
            let revision = revision_of(seen);
            if let Some(id) = &revision {
                rename_revision(&mut service, id);
                reserve(world, "serviceRevision", id);
            }
            let primary = items(seen, "deployments").find(|d| d["status"] == "PRIMARY").and_then(|d| d["id"].as_str());
            if let Some(id) = primary {
                rename_deployment(&mut service, id);
                reserve(world, "deployment", id);
            }
            let tasks: Vec<String> = world.tasks.of_service(&key).map(|(task, _)| task.clone()).collect();
            for task in tasks {
                if let Some(task) = world.tasks.get_mut(&task) {
                    task.started_by = primary.map(str::to_owned).or(task.started_by.take());
                    task.revision = revision.clone().or(task.revision.take());
                }
            }
            world.services.insert(key, service);
        }
    }
}

/// The last part of the ARN of a described service's current revision.
fn revision_of(seen: &Value) -> Option<String> {
    let arn = items(seen, "currentServiceRevisions").next()?["arn"].as_str()?;
    arn.rsplit('/').next().map(str::to_owned)
}

/// A new service has one revision; everything in it that names a revision names that one.
fn rename_revision(service: &mut Service, id: &str) {
    for revision in &mut service.revisions {
        id.clone_into(&mut revision.id);
    }
    for deployment in &mut service.deployments {
        id.clone_into(&mut deployment.revision);
    }
    for deployment in &mut service.service_deployments {
        id.clone_into(&mut deployment.target);
    }
    if let Some(good) = &mut service.last_good_revision {
        id.clone_into(good);
    }
}

/// Renames the one deployment of a new service.
fn rename_deployment(service: &mut Service, id: &str) {
    let Some(deployment) = service.deployments.first_mut() else { return };
    let made = std::mem::replace(&mut deployment.id, id.to_owned());
    for event in &mut service.events {
        event.message = event.message.replace(&format!("{made})"), &format!("{id})"));
    }
}

/// Lets the simulator count on from an observed id.
fn reserve(world: &mut World, kind: &str, id: &str) {
    let digits = id.rsplit('/').next().unwrap_or(id);
    if let Some(count) = digits.parse::<u64>().ok().and_then(|number| number.checked_sub(FIRST)) {
        let counter = world.counters.entry(kind.to_owned()).or_default();
        *counter = (*counter).max(count);
    }
}

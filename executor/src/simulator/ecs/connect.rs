//! Service Connect: what services offer in a namespace, and what their tasks reach.
//!
//! Invariants: the Cloud Map services that ECS makes follow from the services' settings and are kept nowhere else; the
//! proxies of a task know what was offered when its deployment began (ECS developer guide, "Service Connect").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::errors::invalid;
use super::super::images::sha256;
use super::super::request::{items, number, short, text};
use super::super::servicediscovery::{namespace_arn, namespace_id, service_arn};
use super::super::world::{Service, ServiceStatus, TaskStatus, World};
use super::shape::TaskShape;
use crate::cloud::CloudError;

const MEMBER: &str = "serviceConnectConfiguration";

/// A Cloud Map service that ECS made.
pub(in super::super) struct Made {
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    /// The key of the service that it was made for.
    pub(in super::super) by: String,
    pub(in super::super) instances: usize,
}

/// The configuration of settings that take part, if they do.
fn enabled(settings: &Map<String, Value>) -> Option<&Value> {
    settings.get(MEMBER).filter(|configuration| configuration["enabled"] == true)
}

/// The id of the namespace of settings that take part.
fn namespace<'w>(world: &'w World, settings: &Map<String, Value>) -> Option<&'w str> {
    namespace_id(world, text(enabled(settings)?, "namespace")?)
}

fn discovery_name(offer: &Value) -> &str {
    text(offer, "discoveryName").or_else(|| text(offer, "portName")).unwrap_or_default()
}

/// Hosts with ports at which settings are reached.
fn endpoints(world: &World, settings: &Map<String, Value>) -> BTreeSet<String> {
    let Some((id, configuration)) = namespace(world, settings).zip(enabled(settings)) else { return BTreeSet::new() };
    let zone = world.namespaces.get(id).map(|namespace| namespace.name.as_str()).unwrap_or_default();
    let of = |offer: &Value| -> Vec<String> {
        let full = format!("{}.{zone}", discovery_name(offer));
        let aliases = items(offer, "clientAliases").iter();
        aliases
            .map(|a| format!("{}:{}", text(a, "dnsName").unwrap_or(&full), number(a, "port").unwrap_or_default()))
            .collect()
    };
    items(configuration, "services").iter().flat_map(of).collect()
}

/// Active services that take part in a namespace.
fn members<'w>(world: &'w World, id: &'w str) -> impl Iterator<Item = (&'w String, &'w Service)> {
    let active = world.services.iter().filter(|(_, service)| service.status == ServiceStatus::Active);
    active.filter(move |(_, service)| namespace(world, &service.wanted) == Some(id))
}

/// The Cloud Map services that ECS made in a namespace.
pub(in super::super) fn services_in(world: &World, id: &str) -> Vec<Made> {
    let mut all = Vec::new();
    for (key, service) in members(world, id) {
        let running = world.tasks.of_service(key).filter(|(_, t)| t.last_status == TaskStatus::Running && !t.stopping);
        let instances = running.count();
        for offer in enabled(&service.wanted).map_or(&[][..], |c| items(c, "services")) {
            let name = discovery_name(offer).to_owned();
            all.push(Made { id: made_id(key, &name), name, by: key.clone(), instances });
        }
    }
    all
}

/// Ids of what is kept nowhere follow from names.
fn made_id(key: &str, name: &str) -> String {
    format!("srv-{}", &sha256(&format!("{key} {name}"))["sha256:".len()..][..16])
}

/// `serviceConnectResources` of a deployment.
pub(super) fn resources(world: &World, key: &str, settings: &Map<String, Value>) -> Option<Value> {
    let offers = items(enabled(settings)?, "services").iter();
    let arn = |name: &str| service_arn(world, &made_id(key, name));
    Some(offers.map(|o| json!({"discoveryName": discovery_name(o), "discoveryArn": arn(discovery_name(o))})).collect())
}

/// What tasks of these settings reach, if their deployment begins now.
pub(super) fn reaches(world: &World, settings: &Map<String, Value>) -> BTreeSet<String> {
    let Some(id) = namespace(world, settings) else { return BTreeSet::new() };
    members(world, id).flat_map(|(_, service)| endpoints(world, &service.wanted)).collect()
}

/// Puts in what AWS fills in: the cluster's default namespace.
pub(super) fn complete(world: &World, cluster: &str, wanted: &mut Map<String, Value>) {
    let default = world.clusters.get(cluster).and_then(|c| c.service_connect_namespace.clone());
    if let (Some(configuration), Some(default)) = (wanted.get_mut(MEMBER), default)
        && configuration["enabled"] == true
        && configuration.get("namespace").is_none()
    {
        configuration["namespace"] = namespace_arn(world, short(&default)).into();
    }
}

/// What AWS refuses.
pub(super) fn check(
    world: &World,
    key: &str,
    wanted: &Map<String, Value>,
    shape: &TaskShape,
) -> Result<(), CloudError> {
    let Some(configuration) = enabled(wanted) else { return Ok(()) };
    let Some(named) = text(configuration, "namespace") else {
        return Err(invalid("Service Connect needs a namespace: the cluster has no default one."));
    };
    let Some(id) = namespace_id(world, named) else {
        return Err(invalid(format!("The namespace {named} was not found.")));
    };
    if matches!(shape.network_mode.as_str(), "host" | "none") {
        return Err(invalid(format!("Service Connect does not support the network mode {}.", shape.network_mode)));
    }
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (other, service) in members(world, id).filter(|(other, _)| other.as_str() != key) {
        let offers = enabled(&service.wanted).map_or(&[][..], |c| items(c, "services"));
        taken.extend(offers.iter().map(|offer| (discovery_name(offer).to_owned(), other.as_str())));
        taken.extend(endpoints(world, &service.wanted).into_iter().map(|endpoint| (endpoint, other.as_str())));
    }
    for offer in items(configuration, "services") {
        let port = text(offer, "portName").unwrap_or_default();
        if !shape.containers.iter().any(|c| c.ports.iter().any(|p| p.name.as_deref() == Some(port))) {
            return Err(invalid(format!(
                "The portName {port} is not the name of a port mapping of the task definition."
            )));
        }
        if items(offer, "clientAliases").len() != 1 {
            return Err(invalid(format!("The service of port {port} must have one client alias.")));
        }
        if let Some(other) = taken.get(discovery_name(offer)) {
            return Err(invalid(format!(
                "The discoveryName {} is in use in the namespace by service {other}.",
                discovery_name(offer)
            )));
        }
    }
    match endpoints(world, wanted).iter().find_map(|endpoint| Some((endpoint, taken.get(endpoint)?))) {
        Some((endpoint, other)) => {
            Err(invalid(format!("The client alias {endpoint} is in use in the namespace by service {other}.")))
        }
        None => Ok(()),
    }
}

impl World {
    /// Hosts with ports that every running task of a service (`CLUSTER/NAME`) reaches through Service Connect.
    #[must_use]
    pub fn reachable(&self, service: &str) -> BTreeSet<String> {
        let Some(found) = self.services.get(service) else { return BTreeSet::new() };
        let Some(id) = namespace(self, &found.wanted) else { return BTreeSet::new() };
        let mut offered = BTreeSet::new();
        for (key, other) in members(self, id) {
            let healthy = |task: &super::super::world::Task| task.healthy_since.is_some() && !task.stopping;
            if self.tasks.of_service(key).any(|(_, task)| healthy(task)) {
                offered.extend(endpoints(self, &other.wanted));
            }
        }
        let running =
            self.tasks.of_service(service).filter(|(_, t)| t.last_status == TaskStatus::Running && !t.stopping);
        let known = running.map(|(_, task)| task.revision.as_deref().and_then(|id| found.revision(id)));
        let known: Vec<&BTreeSet<String>> = known.flatten().map(|revision| &revision.reaches).collect();
        offered.retain(|endpoint| !known.is_empty() && known.iter().all(|reached| reached.contains(endpoint)));
        offered
    }
}

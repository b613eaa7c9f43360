//! Clusters.

use serde_json::{Value, json};

use super::super::request::{Answer, Paging, at_most, items, lists, short, texts, to_ecs_tags};
use super::super::servicediscovery::namespace_arn;
use super::super::world::{Cluster, ServiceStatus, TaskStatus, World};

pub(super) fn list(world: &World, input: &Value) -> Answer {
    let active = world.clusters.iter().filter(|(_, cluster)| cluster.status == "ACTIVE");
    let arns = active.map(|(name, _)| world.ecs_arn(&format!("cluster/{name}")).into()).collect();
    Ok(Paging::ecs(100, 100).answer("clusterArns", arns, input)?.into())
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let asked = items(input, "clusters");
    at_most(asked, 100, "clusters")?;
    let names = if asked.is_empty() { vec!["default"] } else { texts(input, "clusters") };
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names.into_iter().map(short) {
        match world.clusters.get(name) {
            Some(cluster) => found.push(show(world, name, cluster, input)),
            None => {
                let arn = world.ecs_arn(&format!("cluster/{name}"));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"clusters": found, "failures": failures}).into())
}

pub(super) fn show(world: &World, name: &str, cluster: &Cluster, input: &Value) -> Value {
    let tasks = |wanted: &dyn Fn(TaskStatus) -> bool| {
        world.tasks.iter().filter(|(_, task)| task.cluster == name && wanted(task.last_status)).count()
    };
    let services = world.services.values().filter(|s| s.cluster == name && s.status == ServiceStatus::Active);
    let instances = world.container_instances.values().filter(|i| i.cluster == name && i.has_joined(world.now));
    let mut shown = json!({
        "clusterArn": world.ecs_arn(&format!("cluster/{name}")),
        "clusterName": name,
        "status": cluster.status,
        "registeredContainerInstancesCount": instances.count(),
        "runningTasksCount": tasks(&|s| (TaskStatus::Running..TaskStatus::Stopped).contains(&s)),
        "pendingTasksCount": tasks(&|s| s < TaskStatus::Running),
        "activeServicesCount": services.count(),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": cluster.capacity_providers,
        "defaultCapacityProviderStrategy": cluster.default_capacity_provider_strategy,
    });
    if let Some(namespace) = &cluster.service_connect_namespace {
        shown["serviceConnectDefaults"] = json!({"namespace": namespace_arn(world, short(namespace))});
    }
    if lists(input, "include", "TAGS") {
        shown["tags"] = to_ecs_tags(&cluster.tags);
    }
    if lists(input, "include", "ATTACHMENTS") {
        let status = if cluster.attachments_due.is_some() { "UPDATE_IN_PROGRESS" } else { "UPDATE_COMPLETE" };
        shown["attachmentsStatus"] = json!(status);
        shown["attachments"] = json!([]);
    }
    if lists(input, "include", "SETTINGS") {
        shown["settings"] = json!(cluster.settings);
    }
    shown
}

//! Clusters and capacity providers.

use serde_json::{Value, json};

use super::super::errors::invalid;
use super::super::request::{Answer, Paging, at_most, items, lists, short, text, texts, to_ecs_tags};
use super::super::servicediscovery::namespace_arn;
use super::super::world::{Cluster, ServiceStatus, TaskStatus, World};
use super::cluster_name;

const OF_FARGATE: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];

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

fn show(world: &World, name: &str, cluster: &Cluster, input: &Value) -> Value {
    let tasks = |wanted: &dyn Fn(TaskStatus) -> bool| {
        world.tasks.iter().filter(|(_, task)| task.cluster == name && wanted(task.last_status)).count()
    };
    let services = world.services.values().filter(|s| s.cluster == name && s.status == ServiceStatus::Active);
    let instances = world.container_instances.values().filter(|instance| instance.cluster == name);
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
    if lists(input, "include", "SETTINGS") {
        shown["settings"] = json!(cluster.settings);
    }
    shown
}

pub(super) fn capacity_providers(world: &World, input: &Value) -> Answer {
    let asked = texts(input, "capacityProviders");
    at_most(items(input, "capacityProviders"), 100, "capacityProviders")?;
    let of_fargate = |name: &str| {
        json!({
            "capacityProviderArn": world.ecs_arn(&format!("capacity-provider/{name}")), "name": name,
            "status": "ACTIVE", "type": name, "tags": [],
        })
    };
    let mut all: Vec<(String, Value)> = OF_FARGATE.iter().map(|name| ((*name).to_owned(), of_fargate(name))).collect();
    all.extend(world.capacity_providers.iter().map(|(name, provider)| (name.clone(), provider.clone())));
    let mut failures = Vec::new();
    if !asked.is_empty() {
        for name in asked.iter().map(|name| short(name)).filter(|name| !all.iter().any(|(known, _)| known == name)) {
            let arn = world.ecs_arn(&format!("capacity-provider/{name}"));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
        all.retain(|(name, _)| asked.iter().any(|asked| short(asked) == name));
    }
    let shown = all.into_iter().map(|(_, provider)| provider).collect();
    let mut output = Paging::ecs(10, 10).answer("capacityProviders", shown, input)?;
    output["failures"] = failures.into();
    Ok(output.into())
}

pub(super) fn put_capacity_providers(world: &mut World, input: &Value) -> Answer {
    let name = cluster_name(world, input)?;
    let providers = texts(input, "capacityProviders");
    let known = |provider: &str| OF_FARGATE.contains(&provider) || world.capacity_providers.contains_key(provider);
    if let Some(unknown) = providers.iter().find(|provider| !known(provider)) {
        return Err(invalid(format!("The specified capacity provider '{unknown}' was not found.")));
    }
    let strategy = items(input, "defaultCapacityProviderStrategy");
    let stray = strategy.iter().filter_map(|item| text(item, "capacityProvider")).find(|p| !providers.contains(p));
    if let Some(stray) = stray {
        return Err(invalid(format!("The capacity provider '{stray}' is not associated with the cluster.")));
    }
    let providers: Vec<String> = providers.into_iter().map(str::to_owned).collect();
    if let Some(cluster) = world.clusters.get_mut(&name) {
        cluster.capacity_providers = providers;
        cluster.default_capacity_provider_strategy = strategy.to_vec();
    }
    let cluster = world.clusters.get(&name).map(|cluster| show(world, &name, cluster, input));
    Ok(json!({"cluster": cluster}).into())
}

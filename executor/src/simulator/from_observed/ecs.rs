//! Clusters, container instances, task definitions and images as they were observed.

use std::collections::BTreeMap;

use belay_schemas::observed::Observed;
use belay_schemas::plan::Call;
use serde_json::{Map, Value, json};

use super::{items, number, text};
use crate::simulator::time::Time;
use crate::simulator::world::{
    CapacityProvider, Cluster, ContainerInstance, Family, Image, InstanceStatus, TaskDefinition, TaskDefinitionStatus,
    World,
};

/// What DescribeTaskDefinition adds to what was registered.
const ADDED: &[&str] =
    &["taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt"];

/// What of a described service is an input of CreateService too.
const SETTINGS: &[&str] = &[
    "taskDefinition",
    "desiredCount",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "deploymentConfiguration",
    "deploymentController",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
    "tags",
];

/// What only a service's revision tells of its settings.
const REVISION_SETTINGS: &[&str] = &["serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"];

/// `{"name": N, "value": V}` pairs, as ECS writes tags under `key`.
fn tags(of: &Value) -> BTreeMap<String, String> {
    items(of, "tags").map(|tag| (text(tag, "key"), text(tag, "value"))).collect()
}

fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

pub(super) fn clusters(world: &mut World, observed: &Observed) {
    for (_, output) in observed.outputs("ecs", "DescribeClusters") {
        for cluster in items(output, "clusters") {
            let list = |name: &str| items(cluster, name).cloned().collect::<Vec<_>>();
            world.clusters.insert(
                text(cluster, "clusterName"),
                Cluster {
                    status: text(cluster, "status"),
                    capacity_providers: super::texts(cluster, "capacityProviders"),
                    default_capacity_provider_strategy: list("defaultCapacityProviderStrategy"),
                    attachments_due: None,
                    settings: list("settings"),
                    service_connect_namespace: cluster["serviceConnectDefaults"]["namespace"]
                        .as_str()
                        .map(str::to_owned),
                    tags: tags(cluster),
                },
            );
        }
    }
}

/// The capacity providers of groups and of Managed Instances that were looked at.
pub(super) fn capacity_providers(world: &mut World, observed: &Observed) {
    for (_, output) in observed.outputs("ecs", "DescribeCapacityProviders") {
        for seen in items(output, "capacityProviders") {
            let managed = &seen["managedInstancesProvider"];
            let own = if managed.is_object() { managed } else { &seen["autoScalingGroupProvider"] };
            if !own.is_object() {
                continue;
            }
            let mut settings = own.as_object().cloned().unwrap_or_default();
            settings.remove("autoScalingGroupArn");
            let provider = CapacityProvider {
                group: text(own, "autoScalingGroupArn"),
                cluster: managed.is_object().then(|| last(&text(seen, "cluster")).to_owned()),
                settings,
                inactive: seen["status"] == "INACTIVE",
                change: text(seen, "updateStatus").split('_').next().unwrap_or("CREATE").to_owned(),
                due: None,
                failure: seen["updateStatusReason"].as_str().map(str::to_owned),
                tags: tags(seen),
            };
            // One read asks for tags, another one does not.
            if !provider.tags.is_empty() || !world.capacity_providers.contains_key(&text(seen, "name")) {
                world.capacity_providers.insert(text(seen, "name"), provider);
            }
        }
    }
}

/// The observed container instances; where none were looked at, as many big ones as the services may need.
pub(super) fn instances(world: &mut World, observed: &Observed, since: Time) {
    let Some(cluster) = observed.scope.ecs.as_ref().map(|ecs| ecs.cluster.clone()) else { return };
    for (_, output) in observed.outputs("ecs", "DescribeContainerInstances") {
        for instance in items(output, "containerInstances") {
            // ECS starts its own for the tasks that the services are given below.
            if instance["capacityProviderName"].as_str().is_some_and(|provider| world.manages(provider)) {
                continue;
            }
            let id = last(&text(instance, "containerInstanceArn")).to_owned();
            world.container_instances.insert(id, container_instance(instance, &cluster, since));
        }
    }
    if observed.scope.ecs.as_ref().is_some_and(|ecs| ecs.container_instances) {
        return;
    }
    let services = observed.outputs("ecs", "DescribeServices").flat_map(|(_, output)| items(output, "services"));
    let most = services.map(|service| number(service, "desiredCount", 0)).max().unwrap_or(0);
    for index in 0..most.max(2) + 1 {
        let zone = ["a", "b", "c"][(index % 3) as usize];
        world.container_instances.insert(
            format!("{:032x}", 0xc1_0000 + index),
            ContainerInstance {
                cluster: cluster.clone(),
                ec2_instance_id: format!("i-{:017x}", 0xa000 + index),
                availability_zone: format!("{}{zone}", world.region),
                status: InstanceStatus::Active,
                cpu: 16_384,
                memory: 65_536,
                reserved_ports: vec![22, 2375, 2376, 51678, 51679],
                task_interfaces: 14,
                private_ip: Some(format!("10.0.{}.{}", index % 3, 10 + index / 3)),
                attributes: BTreeMap::new(),
                capacity_provider: None,
                tags: BTreeMap::new(),
                registered_at: since,
            },
        );
    }
}

fn container_instance(instance: &Value, cluster: &str, since: Time) -> ContainerInstance {
    let resource = |name: &str| items(instance, "registeredResources").find(|r| r["name"] == *name);
    let amount = |name: &str| resource(name).and_then(|r| r["integerValue"].as_u64()).unwrap_or(0);
    let mut attributes: BTreeMap<String, String> =
        items(instance, "attributes").map(|a| (text(a, "name"), text(a, "value"))).collect();
    let zone = attributes.remove("ecs.availability-zone").unwrap_or_default();
    let ports = resource("PORTS").into_iter().flat_map(|r| items(r, "stringSetValue"));
    ContainerInstance {
        cluster: cluster.to_owned(),
        ec2_instance_id: text(instance, "ec2InstanceId"),
        availability_zone: zone,
        status: if instance["status"] == "DRAINING" { InstanceStatus::Draining } else { InstanceStatus::Active },
        cpu: amount("CPU"),
        memory: amount("MEMORY"),
        reserved_ports: ports.filter_map(|p| p.as_str()?.parse().ok()).collect(),
        task_interfaces: 2,
        private_ip: None,
        attributes,
        capacity_provider: instance["capacityProviderName"].as_str().map(str::to_owned),
        tags: tags(instance),
        registered_at: since,
    }
}

/// Every active revision. Those that nothing references were only listed: they get the content of a described one of
/// their family.
pub(super) fn task_definitions(world: &mut World, observed: &Observed, since: Time) {
    for (_, output) in observed.outputs("ecs", "DescribeTaskDefinition") {
        let described = &output["taskDefinition"];
        let Some(content) = described.as_object() else { continue };
        let mut content = content.clone();
        content.retain(|name, _| !ADDED.contains(&name.as_str()));
        let revision = active(content, tags(output), since);
        let family = world.task_definitions.get_or_insert_with(text(described, "family"), Family::default);
        family.revisions.insert(number(described, "revision", 1), revision);
    }
    for (_, output) in observed.outputs("ecs", "ListTaskDefinitions") {
        for arn in super::texts(output, "taskDefinitionArns") {
            let Some((name, number)) = last(&arn).split_once(':') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            let family = world.task_definitions.get_or_insert_with(name.to_owned(), Family::default);
            if family.revisions.contains_key(&number) {
                continue;
            }
            let known = family.revisions.values().next_back();
            let (content, tags) =
                known.map_or_else(|| (unknown_content(name), BTreeMap::new()), |k| (k.content.clone(), k.tags.clone()));
            family.revisions.insert(number, active(content, tags, since));
        }
    }
    for family in world.task_definitions.values_mut() {
        family.latest = family.revisions.keys().next_back().copied().unwrap_or(0);
    }
}

fn active(content: Map<String, Value>, tags: BTreeMap<String, String>, since: Time) -> TaskDefinition {
    TaskDefinition {
        status: TaskDefinitionStatus::Active,
        content,
        tags,
        registered_at: since,
        deregistered_at: None,
        delete_requested_at: None,
    }
}

/// Deregisters what was observed as deregistered. Services may still run it, but none can be created from it, so this
/// comes after them.
pub(super) fn deregister(world: &mut World, observed: &Observed) {
    for (_, output) in observed.outputs("ecs", "DescribeTaskDefinition") {
        let described = &output["taskDefinition"];
        let family = world.task_definitions.get_mut(&text(described, "family"));
        let revision = family.and_then(|f| f.revisions.get_mut(&number(described, "revision", 1)));
        if let Some(revision) = revision.filter(|_| described["status"] == "INACTIVE") {
            revision.status = TaskDefinitionStatus::Inactive;
            revision.deregistered_at = Some(revision.registered_at);
        }
    }
}

/// Stands for a revision of which only the number is known.
fn unknown_content(family: &str) -> Map<String, Value> {
    let content = json!({
        "family": family,
        "containerDefinitions": [{"name": "unknown", "image": "unknown", "essential": true, "memory": 128}],
    });
    content.as_object().cloned().unwrap_or_default()
}

/// A digest for each image that was observed: first the running ones, so that services start from them.
pub(super) fn running_images(world: &mut World, observed: &Observed) {
    for (_, output) in observed.outputs("ecs", "DescribeServiceRevisions") {
        for container in items(output, "serviceRevisions").flat_map(|r| items(r, "containerImages")) {
            if let Some(digest) = container["imageDigest"].as_str() {
                let image = Image { digest: Some(digest.to_owned()), ..Image::default() };
                world.images.insert(text(container, "image"), image);
            }
        }
    }
}

/// What the registries have now, which may be something else than what runs.
pub(super) fn registry(world: &mut World, observed: &Observed) {
    for (image, seen) in &observed.images {
        let known = world.images.entry(image.clone()).or_default();
        known.digest.clone_from(&seen.digest);
        known.missing = seen.digest.is_none();
    }
}

/// For each active service the CreateService that makes it what was observed, in the order of their creation: which
/// instances their tasks are on depends on it.
pub(super) fn creations(observed: &Observed) -> Vec<(Value, Call)> {
    let revisions: Vec<&Value> = observed
        .outputs("ecs", "DescribeServiceRevisions")
        .flat_map(|(_, output)| items(output, "serviceRevisions"))
        .collect();
    let mut calls = Vec::new();
    for (input, output) in observed.outputs("ecs", "DescribeServices") {
        for service in items(output, "services").filter(|service| service["status"] == "ACTIVE") {
            let mut create = Map::new();
            create.insert("cluster".to_owned(), input["cluster"].clone());
            create.insert("serviceName".to_owned(), service["serviceName"].clone());
            let current = items(service, "currentServiceRevisions").next().map_or(&Value::Null, |r| &r["arn"]);
            let revision = revisions.iter().find(|r| r["serviceRevisionArn"] == *current);
            let from_service = SETTINGS.iter().map(|name| (name, &service[*name]));
            let from_revision = REVISION_SETTINGS.iter().filter_map(|name| Some((name, &revision?[*name])));
            for (name, value) in from_service.chain(from_revision) {
                if !is_empty(value) {
                    create.insert((*name).to_owned(), value.clone());
                }
            }
            // A daemon's count follows from the instances, and a grace period needs a load balancer.
            if service["schedulingStrategy"] == "DAEMON" {
                create.remove("desiredCount");
            }
            if !create.contains_key("loadBalancers") {
                create.remove("healthCheckGracePeriodSeconds");
            }
            // A service that uses its load balancer through a role of its own; the service-linked one is the default.
            if let Some(role) = service["roleArn"].as_str().filter(|role| !role.contains("AWSServiceRoleForECS")) {
                create.insert("role".to_owned(), last(role).into());
            }
            let call =
                Call { service: "ecs".to_owned(), operation: "CreateService".to_owned(), input: Value::Object(create) };
            calls.push((service.clone(), call));
        }
    }
    calls.sort_by(|(a, _), (b, _)| {
        let created = |service: &Value| service["createdAt"].as_f64().unwrap_or(0.0);
        created(a).total_cmp(&created(b))
    });
    calls
}

/// Whether the tasks of an observed service are in the alternate target groups of its load balancers.
pub(super) fn in_alternate(observed: &Observed, service: &Value) -> bool {
    let current = items(service, "currentServiceRevisions").next().map_or(&Value::Null, |r| &r["arn"]);
    let revisions =
        observed.outputs("ecs", "DescribeServiceRevisions").flat_map(|(_, output)| items(output, "serviceRevisions"));
    let resolved: Vec<&Value> = revisions
        .filter(|r| r["serviceRevisionArn"] == *current)
        .flat_map(|r| items(&r["resolvedConfiguration"], "loadBalancers"))
        .map(|balancer| &balancer["targetGroupArn"])
        .collect();
    items(service, "loadBalancers").any(|balancer| {
        let alternate = &balancer["advancedConfiguration"]["alternateTargetGroupArn"];
        alternate.is_string() && resolved.contains(&alternate)
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

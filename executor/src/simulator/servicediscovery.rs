//! Cloud Map: namespaces, and the services in them; those that ECS makes for Service Connect follow from its services.

use serde_json::{Value, json};

use super::ecs;
use super::errors::{busy, missing, rejected, unknown_operation};
use super::request::{Answer, Paging, Reply, items, required, short, tags_of, text, texts, to_upper_tags};
use super::world::{Namespace, NamespaceKind, Registry, World};
use crate::cloud::CloudError;

const PAGING: Paging = Paging { token: "NextToken", size: "MaxResults", default: 100, most: 100 };

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "GetNamespace" => get_namespace(world, input),
        "ListNamespaces" => list_namespaces(world, input),
        "ListServices" => list_services(world, input),
        "CreateService" => create(world, input),
        "GetService" => get(world, input),
        "UpdateService" => update(world, input),
        "DeleteService" => delete(world, input),
        "ListInstances" => instances(world, input),
        "ListTagsForResource" => {
            let tags = to_upper_tags(&of_arn(world, input)?.tags);
            Ok(json!({"Tags": tags}).into())
        }
        "TagResource" => {
            let tags = tags_of(items(input, "Tags"), "Key", "Value");
            of_arn(world, input)?.tags.extend(tags);
            Ok(json!({}).into())
        }
        "UntagResource" => {
            let keys = texts(input, "TagKeys");
            of_arn(world, input)?.tags.retain(|key, _| !keys.contains(&key.as_str()));
            Ok(json!({}).into())
        }
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of servicediscovery."))),
    }
}

fn arn(world: &World, rest: &str) -> String {
    format!("arn:{}:servicediscovery:{}:{}:{rest}", world.partition, world.region, world.account)
}

/// The ARN of a namespace.
pub(super) fn namespace_arn(world: &World, id: &str) -> String {
    arn(world, &format!("namespace/{id}"))
}

/// The ARN of a service.
pub(super) fn service_arn(world: &World, id: &str) -> String {
    arn(world, &format!("service/{id}"))
}

/// The id of the namespace that a name, an id or an ARN means.
pub(super) fn namespace_id<'w>(world: &'w World, named: &str) -> Option<&'w str> {
    let known = world.namespaces.get_key_value(short(named)).map(|(id, _)| id.as_str());
    known.or_else(|| world.namespaces.iter().find(|(_, n)| n.name == named).map(|(id, _)| id.as_str()))
}

fn show_namespace(world: &World, id: &str, namespace: &Namespace) -> Value {
    let mut properties = json!({"HttpProperties": {"HttpName": namespace.name}});
    if namespace.kind != NamespaceKind::Http {
        properties["DnsProperties"] =
            json!({"HostedZoneId": format!("Z{}", id.trim_start_matches("ns-").to_uppercase()), "SOA": {"TTL": 15}});
    }
    json!({
        "Id": id, "Arn": namespace_arn(world, id), "Name": namespace.name, "Type": namespace.kind.word(),
        "Properties": properties, "CreateDate": namespace.created_at.seconds(), "ResourceOwner": world.account,
    })
}

fn no_namespace(id: &str) -> CloudError {
    missing("NamespaceNotFound", format!("No namespace with id: {id}"))
}

fn get_namespace(world: &World, input: &Value) -> Answer {
    let id = required(input, "Id")?;
    let (id, namespace) = world.namespaces.get_key_value(short(id)).ok_or_else(|| no_namespace(id))?;
    Ok(json!({"Namespace": show_namespace(world, id, namespace)}).into())
}

/// The one value of a filter.
fn filter<'v>(input: &'v Value, name: &str) -> Option<&'v str> {
    let filter = items(input, "Filters").iter().find(|filter| text(filter, "Name") == Some(name))?;
    texts(filter, "Values").first().copied()
}

/// Refuses filters that are not modelled.
fn known_filters(input: &Value, known: &[&str]) -> Result<(), CloudError> {
    let plain = |filter: &Value| {
        let name = text(filter, "Name").unwrap_or_default();
        known.contains(&name) && text(filter, "Condition").unwrap_or("EQ") == "EQ" && texts(filter, "Values").len() == 1
    };
    match items(input, "Filters").iter().all(plain) {
        true => Ok(()),
        false => {
            Err(rejected("InvalidInput", format!("The simulated AWS filters by one value of {}.", known.join(", "))))
        }
    }
}

fn list_namespaces(world: &World, input: &Value) -> Answer {
    known_filters(input, &["NAME", "TYPE"])?;
    let (name, kind) = (filter(input, "NAME"), filter(input, "TYPE"));
    let fits = |n: &Namespace| name.is_none_or(|name| n.name == name) && kind.is_none_or(|kind| n.kind.word() == kind);
    let found = world.namespaces.iter().filter(|(_, namespace)| fits(namespace));
    let found = found.map(|(id, namespace)| show_namespace(world, id, namespace)).collect();
    Ok(PAGING.answer("Namespaces", found, input)?.into())
}

fn list_services(world: &World, input: &Value) -> Answer {
    known_filters(input, &["NAMESPACE_ID"])?;
    let wanted = filter(input, "NAMESPACE_ID").map(short);
    let mut found = Vec::new();
    for (id, namespace) in world.namespaces.iter().filter(|(id, _)| wanted.is_none_or(|wanted| wanted == id.as_str())) {
        for made in ecs::connect::services_in(world, id) {
            found.push(json!({
                "Id": made.id, "Arn": service_arn(world, &made.id), "Name": made.name, "Type": "HTTP",
                "Description": format!("Managed by arn of ECS service {}", made.by),
                "CreateDate": namespace.created_at.seconds(), "ResourceOwner": world.account,
                "CreatedByAccount": world.account, "InstanceCount": made.instances,
            }));
        }
        let own = world.registries.iter().filter(|(_, registry)| registry.namespace == *id);
        found.extend(own.map(|(id, registry)| {
            let mut shown = show(world, id, registry);
            for member in ["NamespaceId", "CreatorRequestId"] {
                shown.as_object_mut().map(|shown| shown.remove(member));
            }
            shown
        }));
    }
    Ok(PAGING.answer("Services", found, input)?.into())
}

fn show(world: &World, id: &str, registry: &Registry) -> Value {
    let mut shown = json!({
        "Id": id, "Arn": service_arn(world, id), "Name": registry.name, "NamespaceId": registry.namespace,
        "Type": if registry.dns.is_some() { "DNS_HTTP" } else { "HTTP" },
        "CreateDate": registry.created_at.seconds(), "ResourceOwner": world.account, "CreatedByAccount": world.account,
        "InstanceCount": ecs::registry::registered(world, id).len(),
    });
    for (member, value) in [
        ("Description", registry.description.as_ref().map(|text| json!(text))),
        ("CreatorRequestId", registry.creator_request_id.as_ref().map(|text| json!(text))),
        ("DnsConfig", registry.dns.clone()),
        ("HealthCheckCustomConfig", registry.custom_health.then(|| json!({"FailureThreshold": 1}))),
    ] {
        if let Some(value) = value {
            shown[member] = value;
        }
    }
    shown
}

fn no_service(id: &str) -> CloudError {
    missing("ServiceNotFound", format!("No service with id: {id}"))
}

/// The service that a member names by id or ARN.
fn find<'w>(world: &'w World, input: &Value, member: &str) -> Result<(&'w String, &'w Registry), CloudError> {
    let id = required(input, member)?;
    world.registries.get_key_value(short(id)).ok_or_else(|| no_service(id))
}

fn of_arn<'w>(world: &'w mut World, input: &Value) -> Result<&'w mut Registry, CloudError> {
    let arn = required(input, "ResourceARN")?;
    let absent = || missing("ResourceNotFoundException", format!("There is no resource {arn}"));
    world.registries.get_mut(short(arn)).ok_or_else(absent)
}

fn create(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "Name")?;
    let namespace = short(text(input, "NamespaceId").unwrap_or_default()).to_owned();
    let Some(kind) = world.namespaces.get(&namespace).map(|n| n.kind) else { return Err(no_namespace(&namespace)) };
    let token = text(input, "CreatorRequestId");
    let mut taken = world.registries.iter().filter(|(_, registry)| registry.namespace == namespace);
    if let Some((id, known)) = taken.find(|(_, registry)| registry.name.eq_ignore_ascii_case(name)) {
        if token.is_some() && known.creator_request_id.as_deref() == token {
            return Ok(Reply { output: json!({"Service": show(world, id, known)}), repeated: true });
        }
        return Err(rejected(
            "ServiceAlreadyExists",
            format!("A service with the name {name} exists in the namespace."),
        ));
    }
    if ecs::connect::services_in(world, &namespace).iter().any(|made| made.name.eq_ignore_ascii_case(name)) {
        return Err(rejected(
            "ServiceAlreadyExists",
            format!("A service with the name {name} exists in the namespace."),
        ));
    }
    let mut dns = input.get("DnsConfig").cloned();
    if kind == NamespaceKind::Http && dns.is_some() {
        return Err(rejected("InvalidInput", "DnsConfig is not supported in a namespace of the type HTTP."));
    }
    if let Some(dns) = &mut dns {
        if dns.get("RoutingPolicy").is_none() {
            dns["RoutingPolicy"] = "MULTIVALUE".into();
        }
        dns["NamespaceId"] = namespace.as_str().into();
    }
    // What was observed has its own ids.
    let mut id = String::new();
    while id.is_empty() || world.registries.contains_key(&id) {
        id = format!("srv-{:016x}", world.count("cloudMapService"));
    }
    let registry = Registry {
        name: name.to_owned(),
        namespace,
        description: text(input, "Description").map(str::to_owned),
        dns,
        custom_health: input.get("HealthCheckCustomConfig").is_some(),
        creator_request_id: token.map(str::to_owned),
        tags: tags_of(items(input, "Tags"), "Key", "Value"),
        created_at: world.now,
    };
    world.registries.insert(id.clone(), registry.clone());
    Ok(json!({"Service": show(world, &id, &registry)}).into())
}

fn get(world: &World, input: &Value) -> Answer {
    let (id, registry) = find(world, input, "Id")?;
    Ok(json!({"Service": show(world, id, registry)}).into())
}

/// AWS changes words and for how long records are kept; a description that is not named goes.
fn update(world: &mut World, input: &Value) -> Answer {
    let change = &input["Service"];
    let id = required(input, "Id")?;
    let registry = world.registries.get_mut(short(id)).ok_or_else(|| no_service(id))?;
    let Some(dns) = &mut registry.dns else {
        return Err(rejected("InvalidInput", "Services of a namespace of the type HTTP cannot be updated."));
    };
    let kinds = |config: &Value| -> Vec<String> {
        items(config, "DnsRecords").iter().filter_map(|r| text(r, "Type").map(str::to_owned)).collect()
    };
    if kinds(&change["DnsConfig"]) != kinds(dns) {
        return Err(rejected("InvalidInput", "The type of DNS records cannot be changed."));
    }
    dns["DnsRecords"] = change["DnsConfig"]["DnsRecords"].clone();
    registry.description = text(change, "Description").map(str::to_owned);
    Ok(json!({"OperationId": format!("op-{:016x}", world.count("cloudMapOperation"))}).into())
}

fn delete(world: &mut World, input: &Value) -> Answer {
    let id = find(world, input, "Id")?.0.clone();
    if !ecs::registry::registered(world, &id).is_empty() {
        let message = "The service contains registered instances; delete the instances before deleting the service.";
        return Err(busy("ResourceInUse", message));
    }
    world.registries.remove(&id);
    Ok(json!({}).into())
}

fn instances(world: &World, input: &Value) -> Answer {
    let (id, _) = find(world, input, "ServiceId")?;
    let shown = ecs::registry::registered(world, id).into_iter().map(|one| {
        let host = one.task.container_instance.as_ref().and_then(|host| world.container_instances.get(host));
        let address = one.task.private_ip.clone().or_else(|| host?.private_ip.clone()).unwrap_or_default();
        let mut attributes = json!({
            "AWS_INSTANCE_IPV4": address,
            "AVAILABILITY_ZONE": one.task.availability_zone,
            "ECS_CLUSTER_NAME": one.task.cluster,
            "ECS_SERVICE_NAME": one.task.service.as_deref().map(short).unwrap_or_default(),
            "AWS_INIT_HEALTH_STATUS": if one.task.healthy_since.is_some() { "HEALTHY" } else { "UNHEALTHY" },
        });
        if let Some(port) = one.port {
            attributes["AWS_INSTANCE_PORT"] = port.to_string().into();
        }
        json!({"Id": one.id, "Attributes": attributes})
    });
    let shown = shown.collect();
    Ok(PAGING.answer("Instances", shown, input)?.into())
}

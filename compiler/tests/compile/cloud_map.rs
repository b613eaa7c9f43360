//! Cloud Map: services that Belay makes in a namespace, and what their tasks say of themselves.

use belay_schemas::plan::{Change, Phase, Plan};
use serde_json::json;

use crate::listing::{after, compiled, inputs, listing};
use crate::support::{Input, World, env};

const SRV: &str = "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1";

fn model(discovery: &str) -> String {
    format!(
        "components:\n  api:\n    image: nginx:1.27\n    provides: {{ports: [80]}}\n    plugin: {{ec2-ecs: {{mem: 128{discovery}}}}}\n"
    )
}

fn first() -> Input {
    let world = World::new().namespace("shop.internal", 1, "DNS_PRIVATE");
    Input::new(&model(", discovery: {}"), &env("namespace: shop.internal")).world(world)
}

/// The same input with another model, after its own deployment.
fn deployed(model: &str) -> Input {
    let before = first();
    let world = before.world.clone().unwrap_or_else(World::new).apply(&before.plan());
    let mut input = before.world(world);
    input.model = model.to_owned();
    input
}

/// Ids of nodes that change something of Cloud Map, with their phases.
fn changes(plan: &Plan) -> Vec<(&str, Phase)> {
    let all = plan.nodes.iter().filter(|n| n.phase != Phase::Undo);
    all.filter(|n| n.action.mutation().is_some_and(|c| c.service == "servicediscovery"))
        .map(|n| (n.id.as_str(), n.phase))
        .collect()
}

#[test]
fn a_service_is_made_before_its_first_task() {
    let plan = compiled(&first());
    assert_eq!(changes(&plan), [("api.registry.create", Phase::Deploy)]);
    let node = plan.nodes.iter().find(|n| n.id == "api.registry.create").expect("a node");
    let input = &node.action.mutation().expect("a call").input;
    assert_eq!(input["DnsConfig"], json!({"DnsRecords": [{"Type": "SRV", "TTL": 60}], "RoutingPolicy": "MULTIVALUE"}));
    assert_eq!(input["NamespaceId"], "ns-1");
    let create = plan.nodes.iter().find(|n| n.id == "api.service.create").expect("a node");
    let registries = &create.action.mutation().expect("a call").input["serviceRegistries"];
    let arn = json!({"$output": "api.registry.create", "path": "Service.Arn"});
    assert_eq!(*registries, json!([{"registryArn": arn, "containerName": "api", "containerPort": 80}]));
    assert!(after(&plan, "api.registry.create", "api.service.create"), "{}", listing(&plan));
}

#[test]
fn what_runs_as_wanted_stays() {
    let plan = compiled(&deployed(&model(", discovery: {}")));
    assert!(plan.nodes.is_empty(), "{}", listing(&plan));
}

#[test]
fn how_long_records_are_kept_changes_without_a_deployment() {
    let plan = compiled(&deployed(&model(", discovery: {ttl: 10}")));
    assert_eq!(changes(&plan), [("api.registry.change", Phase::Deploy)]);
    assert_eq!(plan.components["api"].change, Change::Update);
    assert!(!plan.nodes.iter().any(|n| n.id == "api.service.update"), "{}", listing(&plan));
}

#[test]
fn another_name_is_another_service_and_the_old_one_goes_at_the_end() {
    let plan = compiled(&deployed(&model(", discovery: {name: backend}")));
    let expected = [("api.registry.api.delete", Phase::Finalize), ("api.registry.create", Phase::Deploy)];
    assert_eq!(changes(&plan), expected, "{}", listing(&plan));
    let why = &plan.nodes.iter().find(|n| n.id == "api.service.update").expect("an update").why;
    let told = why.iter().find(|w| w.to.to_string().contains("Cloud Map service of api"));
    assert!(told.is_some_and(|w| w.from.to_string().contains(SRV)), "{why:#?}");
}

#[test]
fn who_gives_it_up_is_deployed_without_and_then_it_goes() {
    let plan = compiled(&deployed(&model("")));
    assert_eq!(changes(&plan), [("api.registry.api.delete", Phase::Finalize)]);
    let update = &inputs(&plan, "UpdateService")[0];
    assert_eq!(update["serviceRegistries"], json!([]));
}

#[test]
fn a_task_with_an_address_of_its_own_tells_it() {
    let mut input = first();
    input.model = model(", network_mode: awsvpc, network: {subnets: [subnet-0a000001]}, discovery: {}");
    let world = input.world.take().unwrap_or_else(World::new);
    let subnet = json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-1", "Tags": []});
    let plan = compiled(&input.world(world.with(|w| w.subnets.push(subnet))));
    let create = plan.nodes.iter().find(|n| n.id == "api.registry.create").expect("a node");
    let records = &create.action.mutation().expect("a call").input["DnsConfig"]["DnsRecords"];
    assert_eq!(*records, json!([{"Type": "A", "TTL": 60}]));
    let service = plan.nodes.iter().find(|n| n.id == "api.service.create").expect("a node");
    let registries = &service.action.mutation().expect("a call").input["serviceRegistries"];
    assert_eq!(registries[0].get("containerPort"), None);
}

//! Service Connect: what is sent, what AWS fills in, and who is deployed anew.

use belay_schemas::plan::{Change, Edge, EdgeKind, Plan};
use serde_json::{Value, json};

use crate::listing::{after, compiled, inputs, listing};
use crate::support::{Input, World, env};

const ARN: &str = "arn:aws:servicediscovery:us-east-1:123456789012:namespace/ns-1";

/// `api` offers this, `web` uses it.
fn model(offers: &str) -> String {
    format!(
        "components:\n  api:\n    image: nginx:1.27\n    provides: {{ports: [80, 81]}}\n    plugin: {{ec2-ecs: {{mem: 128, connect: {{offers: [{offers}]}}}}}}\n  web:\n    image: nginx:1.27\n    uses: {{api: {{}}}}\n    plugin: {{ec2-ecs: {{mem: 128}}}}\n"
    )
}

const FIRST: &str = "{port: 80, protocol: http, timeouts: {idle: 60}}";

fn first() -> Input {
    let world = World::new().namespace("shop.internal", 1, "DNS_PRIVATE");
    Input::new(&model(FIRST), &env("namespace: shop.internal")).world(world)
}

/// The same input after its own deployment, and after `change` of what runs.
fn deployed(model: &str, change: impl FnOnce(&mut World)) -> Input {
    let before = first();
    let world = before.world.clone().unwrap_or_else(World::new).apply(&before.plan());
    let mut input = before.world(world.with(change));
    input.model = model.to_owned();
    input
}

fn connects(plan: &Plan, operation: &str) -> Vec<Value> {
    inputs(plan, operation).iter().filter_map(|input| input.get("serviceConnectConfiguration").cloned()).collect()
}

#[test]
fn a_server_and_its_client() {
    let plan = compiled(&first());
    let api = json!({"enabled": true, "namespace": ARN, "services": [
        {"portName": "api", "clientAliases": [{"port": 80}], "timeout": {"idleTimeoutSeconds": 60}}]});
    assert_eq!(connects(&plan, "CreateService"), [api, json!({"enabled": true, "namespace": ARN})]);
    let ports = &inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"][0]["portMappings"];
    assert_eq!(
        ports[0],
        json!({"containerPort": 80, "hostPort": 0, "protocol": "tcp", "name": "api", "appProtocol": "http"})
    );
    assert_eq!(ports[1].get("name"), None);
    assert!(plan.nodes.iter().any(|node| node.id == "preflight.namespace.shop.internal"), "{}", listing(&plan));
}

#[test]
fn what_aws_fills_in_is_no_change() {
    let plan = compiled(&deployed(&model(FIRST), |world| {
        let revisions = world.revisions.values_mut().map(|r| &mut r["serviceConnectConfiguration"]);
        for connect in revisions {
            connect["namespace"] = json!("shop.internal");
            if connect.get("services").is_some() {
                connect["services"][0]["discoveryName"] = json!("api");
                connect["services"][0]["clientAliases"][0]["dnsName"] = json!("api.shop.internal");
            }
        }
    }));
    assert!(plan.nodes.is_empty(), "{}", listing(&plan));
}

#[test]
fn another_name_is_a_change() {
    let plan =
        compiled(&deployed(&model("{port: 80, protocol: http, timeouts: {idle: 60}, alias: {name: api}}"), |_| {}));
    let changes = ["api", "web"].map(|name| plan.components[name].change);
    assert_eq!(changes, [Change::Update, Change::Update], "{}", listing(&plan));
}

#[test]
fn a_client_is_deployed_anew_for_what_it_could_not_reach() {
    let more = format!("{FIRST}, {{port: 81, name: admin}}");
    let plan = compiled(&deployed(&model(&more), |_| {}));
    let web = plan.nodes.iter().find(|node| node.id == "web.service.update").expect("an update");
    assert_eq!(web.why.len(), 1, "{:#?}", web.why);
    assert_eq!(web.why[0].path, "/components/web/uses/api");
    assert_eq!(web.why[0].to, "reaches admin.shop.internal:81");
    // It goes back before the component that it uses does, and forward after it.
    assert!(after(&plan, "api.service.deployed", "web.service.update"), "{}", listing(&plan));
    let back = |edge: &&Edge| {
        edge.kind == EdgeKind::UndoAfter && edge.from.starts_with("web.service.") && edge.to.starts_with("api.service.")
    };
    assert!(plan.edges.iter().any(|edge| back(&edge)), "{}", listing(&plan));
    // Fewer names are no reason.
    let mut less = deployed(&model(&more), |_| {});
    let world = less.world.take().unwrap_or_else(World::new).apply(&plan);
    less = Input::new(&model(FIRST), &env("namespace: shop.internal")).world(world);
    assert_eq!(compiled(&less).components["web"].change, Change::None);
}

#[test]
fn a_port_of_a_sidecar_is_offered() {
    let model = "components:\n  api:\n    image: nginx:1.27\n    containers:\n      proxy: {image: \"envoy:1\", mem: 64, provides: {ports: [9000]}}\n    plugin: {ec2-ecs: {mem: 128, connect: {offers: [{port: 9000, container: proxy, name: mesh}]}}}\n";
    let plan = compiled(&Input { model: model.to_owned(), ..first() });
    let containers = &inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"];
    let proxy = containers.as_array().into_iter().flatten().find(|one| one["name"] == "proxy").expect("the sidecar");
    assert_eq!(proxy["portMappings"][0]["name"], "mesh", "{containers:#}");
    assert_eq!(connects(&plan, "CreateService")[0]["services"][0]["portName"], "mesh");
}

#[test]
fn the_environment_says_what_is_offered_too() {
    let mut input = first();
    input.environments = vec![env(
        "namespace: shop.internal\ncomponents: {api: {connect: {offers: [{port: 81, name: admin, raw: {timeout: {idleTimeoutSeconds: 9}}}]}}}",
    )];
    let plan = compiled(&input);
    let again = input.clone().world(input.world.clone().unwrap_or_else(World::new).apply(&plan));
    assert!(compiled(&again).nodes.is_empty(), "{}", listing(&compiled(&again)));
    assert_eq!(connects(&plan, "CreateService")[0]["services"][0]["portName"], "admin");
}

#[test]
fn the_cluster_knows_a_namespace() {
    let mut input = first();
    input.environments = vec![env("cluster: default")];
    input.world = input.world.map(|w| w.with(|w| w.cluster["serviceConnectDefaults"] = json!({"namespace": ARN})));
    let plan = compiled(&input);
    assert!(connects(&plan, "CreateService").iter().all(|connect| connect["namespace"] == ARN), "{}", listing(&plan));
}

#[test]
fn who_stops_taking_part_is_told_so_and_who_says_no_never_does() {
    let alone = model(FIRST).replace("    uses: {api: {}}\n", "");
    let plan = compiled(&deployed(&alone, |_| {}));
    assert_eq!(connects(&plan, "UpdateService"), [json!({"enabled": false})], "{}", listing(&plan));
    let mut silent = first();
    silent.model = model(FIRST).replace("{mem: 128}", "{mem: 128, connect: {enabled: false}}");
    assert_eq!(connects(&compiled(&silent), "CreateService").len(), 1);
}

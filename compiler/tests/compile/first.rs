//! First deployments: gateways, load balancers, discovery.

use crate::listing::{golden, inputs};
use crate::support::{FRONT, Input, World, env, group_arn, web, web_with};

fn component(name: &str, lines: &str) -> String {
    format!("  {name}:\n    image: {name}:1\n    plugin: {{ec2-ecs: {{mem: 64}}}}\n{lines}")
}

#[test]
fn behind_target_groups() {
    let model = "components:\n".to_owned()
        + &component("web", "    replicas: 2\n    provides: {ports: [80]}\n    uses: {back: {}}\n")
        + &component("back", "    provides: {ports: [8080]}\n")
        + FRONT;
    let environment = env("lb: {front: front}");
    golden("first-deploy", &Input::new(&model, &environment).world(World::new().group("front", "instance")));
}

#[test]
fn without_an_observation() {
    let model = web("replicas: 2\nprovides: {ports: [80]}") + FRONT;
    let input = Input::new(&model, &env(&format!("lb: {{front: {}}}", group_arn("front"))));
    let plan = input.plan();
    assert_eq!(plan.target.account, None);
    assert_eq!(plan.target.region.as_deref(), Some("us-east-1"));
    let create = &inputs(&plan, "CreateService")[0];
    assert_eq!(create["loadBalancers"][0]["targetGroupArn"], group_arn("front").as_str());
}

#[test]
fn behind_a_classic_load_balancer() {
    let model = web("replicas: 2\nprovides: {ports: [80, 9000]}")
        + "gateways:\n  site:\n    type: load_balancer\n    exposes:\n      - {port: 80, target_port: 80}\n      - {port: 443, target_port: 80}\n    target: web\n";
    let environment = env("lb: {site: {name: old, role: ecsServiceRole}}");
    let world = World::new().classic("old", &[(80, 8080), (443, 8080)]);
    golden("first-deploy-classic", &Input::new(&model, &environment).world(world));
}

#[test]
fn several_gateways_to_one_component() {
    let model = web("provides: {ports: [80, 9000]}")
        + FRONT
        + "  admin:\n    type: load_balancer\n    exposes: [{port: 9000}]\n    target: [web]\n";
    let environment = env("lb: {front: front, admin: admin}");
    let world = World::new().group("front", "instance").group("admin", "instance");
    let plan = crate::listing::compiled(&Input::new(&model, &environment).world(world));
    let create = &inputs(&plan, "CreateService")[0];
    assert_eq!(
        create["loadBalancers"],
        serde_json::json!([
            {"containerName": "web", "containerPort": 9000, "targetGroupArn": group_arn("admin")},
            {"containerName": "web", "containerPort": 80, "targetGroupArn": group_arn("front")}
        ])
    );
    assert!(create.get("role").is_none());
}

#[test]
fn several_components_behind_one_load_balancer() {
    let model = "components:\n".to_owned()
        + &component("blue", "    provides: {ports: [80]}\n")
        + &component("green", "    provides: {ports: [80]}\n")
        + "gateways:\n  front:\n    type: load_balancer\n    exposes: {port: \"\", target_port: 80}\n    target: [blue, green]\n";
    let input = Input::new(&model, &env("lb: {front: front}")).world(World::new().group("front", "instance"));
    let plan = crate::listing::compiled(&input);
    let created = inputs(&plan, "CreateService");
    assert_eq!(created.len(), 2);
    for create in &created {
        assert_eq!(create["loadBalancers"][0]["targetGroupArn"], group_arn("front").as_str());
    }
    assert_eq!(plan.nodes.iter().filter(|n| n.id.starts_with("preflight.target-group")).count(), 1);
}

#[test]
fn a_gateway_that_this_environment_has_not() {
    let model = web("provides: {ports: [80]}") + FRONT;
    let plan = crate::listing::compiled(&Input::new(&model, &env("lb: {front: ~}")).world(World::new()));
    assert!(inputs(&plan, "CreateService")[0].get("loadBalancers").is_none());
}

#[test]
fn a_host_port() {
    let model = web("replicas: 2\nprovides: {ports: [80, \"53/udp\"]}")
        + "gateways:\n  door:\n    type: host_port\n    exposes:\n      - {port: 8080, target_port: 80}\n      - {port: \"5353/udp\", target_port: \"53/udp\"}\n    target: web\n";
    let plan = crate::listing::compiled(&Input::new(&model, &env("")).world(World::new()));
    assert_eq!(
        inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"][0]["portMappings"],
        serde_json::json!([
            {"containerPort": 53, "hostPort": 5353, "protocol": "udp"},
            {"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}
        ])
    );
}

#[test]
fn discovery_by_load_balancers() {
    let model = "components:\n".to_owned()
        + &component("rates", "    provides: {ports: [9000, 9001]}\n")
        + &component("stock", "    provides: {ports: [80]}\n")
        + &component("worker", "");
    let environment = env(
        "discovery_mode: elb-manual\ndiscovery_zone: shop.internal\nlb: {rates: rates, stock: {name: stock, role: discovery}}",
    );
    let world = World::new().group("rates", "instance").classic("stock", &[(8000, 7000)]);
    golden("first-deploy-discovery", &Input::new(&model, &environment).world(world));
}

#[test]
fn a_network_of_its_own() {
    let model = web_with(
        "mem: 128, network_mode: awsvpc, raw: {service: {networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}}",
        "provides: {ports: [80]}",
    ) + FRONT;
    let environment = env("lb: {front: front}\ndiscovery_zone: shop.internal");
    let plan = crate::listing::compiled(&Input::new(&model, &environment).world(World::new().group("front", "ip")));
    let task = &inputs(&plan, "RegisterTaskDefinition")[0];
    assert_eq!(task["networkMode"], "awsvpc");
    assert_eq!(task["containerDefinitions"][0]["portMappings"][0]["hostPort"], 80);
    assert_eq!(task["containerDefinitions"][0]["dnsSearchDomains"][0], "shop.internal");
}

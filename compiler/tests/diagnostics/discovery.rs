//! Service Connect in keys of the model's own: namespaces, names, ports.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{Input, World, env, web, web_with};

#[test]
fn discovery() {
    crate::check("discovery", table());
}

/// `web` offers this.
fn offering(offer: &str) -> String {
    web_with(&format!("mem: 128, connect: {{offers: [{offer}]}}"), "provides: {ports: [80, 53/udp]}")
}

/// A namespace, and nothing in it.
fn space() -> World {
    World::new().namespace("shop.internal", 1, "DNS_PRIVATE")
}

/// `web` and `api` offer these.
fn two(api: &str) -> String {
    offering("{port: 80}")
        + &format!(
            "  api:\n    image: nginx:1.27\n    provides: {{ports: [80]}}\n    plugin: {{ec2-ecs: {{mem: 128, connect: {{offers: [{api}]}}}}}}\n"
        )
}

pub fn table() -> Vec<Case> {
    let here = || env("namespace: shop.internal");
    let offer = |name, wrong: &str| {
        case("B438", name).model(offering(wrong), offering("{port: 80}")).with_env(here()).world(space())
    };
    let spaced = |code, name| case(code, name).with_model(offering("{port: 80}"));
    let arn = "arn:aws:servicediscovery:us-east-1:123456789012:namespace/ns-1";
    vec![
        spaced("B438", "no such namespace").env(env("namespace: shop.intern"), here()).world(space()),
        spaced("B438", "two namespaces of one name")
            .env(here(), env(&format!("namespace: \"{arn}\"")))
            .world(space().namespace("shop.internal", 2, "HTTP")),
        spaced("B438", "no ARN of a namespace")
            .env(env(&format!("namespace: \"{}\"", arn.replace("namespace/ns", "service/srv"))), here())
            .world(space()),
        spaced("B438", "nobody names a namespace").env(env("cluster: default"), here()).world(space()),
        spaced("B345", "namespace by name")
            .env(here(), env(&format!("namespace: \"{arn}\"")))
            .world(space())
            .unobserved(),
        spaced("B345", "the cluster's namespace").env(env("cluster: default"), here()).world(space()).unobserved(),
        spaced("B505", "namespace not looked at").with_env(here()).world(space()).stale(|observed| {
            observed.reads.retain(|read| read.service != "servicediscovery");
            if let Some(ecs) = &mut observed.scope.ecs {
                ecs.namespaces.clear();
            }
        }),
        offer("port that is not provided", "{port: 81}"),
        offer("port of another container", "{port: 80, container: proxy}"),
        offer("UDP", "{port: 53/udp}"),
        offer("no port", "{port: \"\"}"),
        offer("name with a capital", "{port: 80, name: Web}"),
        offer("host name with a space", "{port: 80, alias: {name: \"my web\"}}"),
        offer("two of one name", "{port: 80}, {port: 80, alias: {port: 81}}"),
        offer("time of requests in TCP", "{port: 80, timeouts: {request: 5}}"),
        case("B438", "network mode host")
            .model(offering("{port: 80}").replace("mem: 128", "mem: 128, network_mode: host"), offering("{port: 80}"))
            .with_env(here())
            .world(space()),
        case("B438", "two components under one name")
            .model(two("{port: 80, name: web}"), two("{port: 80}"))
            .with_env(here())
            .world(space()),
        case("B438", "two components at one host and port")
            .model(
                two("{port: 80, alias: {name: web.shop.internal}}"),
                two("{port: 80, alias: {port: 81, name: web.shop.internal}}"),
            )
            .with_env(here())
            .world(space()),
        offer("name that is taken in the namespace", "{port: 80, name: legacy}").worlds(taken(), taken()),
        found("B440", "no namespace for Cloud Map", "{}").env(env("namespace: shop.intern"), here()),
        found("B440", "the id of a namespace", "{}").env(env("namespace: ns-0a0000000000000a"), here()),
        found("B440", "records of a namespace without DNS", "{record: SRV}").world(World::new().namespace(
            "shop.internal",
            1,
            "HTTP",
        )),
        case("B440", "port of an address without DNS")
            .model(looked_up("{port: 80}, network_mode: awsvpc"), looked_up("{}, network_mode: awsvpc"))
            .with_env(env("namespace: shop.internal\nnetwork: {subnets: [subnet-0a000001]}"))
            .world(World::new().namespace("shop.internal", 1, "HTTP").with(|w| {
                w.subnets = vec![json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001", "Tags": []})];
            })),
        case("B345", "kind of a namespace")
            .model(looked_up("{port: 80}"), looked_up("{port: 80, record: SRV}"))
            .with_env(env(&format!("namespace: \"{arn}\""))),
        case("B506", "Cloud Map service that stays")
            .model(
                web("") + "lifecycle: {teardown_orphans: never}\n",
                web("") + "lifecycle: {teardown_orphans: after}\n",
            )
            .with_env(here())
            .world(gone())
            .warning(),
        found("B440", "addresses of shared instances", "{record: A}"),
        found("B440", "port that is not provided", "{port: 81}"),
        case("B440", "which port")
            .model(
                looked_up("{}").replace("[80, 53/udp]", "[80, 81]"),
                looked_up("{port: 80}").replace("[80, 53/udp]", "[80, 81]"),
            )
            .with_env(here())
            .world(space()),
        found("B438", "also as Service Connect", "{port: 80}, connect: {offers: [{port: 80}]}"),
        case("B440", "two components register as one")
            .model(registering("web"), registering("api"))
            .with_env(here())
            .world(space()),
        case("B440", "registries in a raw block as well")
            .model(looked_up("{port: 80}, raw: {service: {serviceRegistries: []}}"), looked_up("{port: 80}"))
            .with_env(here())
            .world(space()),
        found("B401", "name of a Cloud Map service", "{name: my.web, port: 80}"),
        found("B501", "somebody else's Cloud Map service", "{name: legacy, port: 80}").world(foreign(None)),
        found("B501", "Cloud Map service of another project", "{name: legacy, port: 80}").world(foreign(Some("docs"))),
        found("B530", "another type of records", "{name: old, port: 80}").world(foreign(Some("shop"))),
        case("B327", "discovery of a task").model(
            web_with("mem: 128, discovery: {}, once: {accepted: it only reads}", ""),
            web_with("mem: 128, once: {accepted: it only reads}", ""),
        ),
        case("B362", "name of the port in a raw block")
            .model(offering("{port: 80, raw: {portName: www}}"), offering("{port: 80, name: www}"))
            .with_env(here())
            .world(space()),
        case("B327", "Service Connect for a task")
            .model(
                web_with("mem: 128, connect: {}, once: {accepted: it only reads}", ""),
                web_with("mem: 128, once: {accepted: it only reads}", ""),
            )
            .with_env(here())
            .world(space()),
    ]
}

/// `web` is looked up like this.
fn looked_up(discovery: &str) -> String {
    web_with(&format!("mem: 128, discovery: {discovery}"), "provides: {ports: [80, 53/udp]}")
}

fn found(code: &'static str, name: &'static str, wrong: &str) -> Case {
    case(code, name)
        .model(looked_up(wrong), looked_up("{port: 80}"))
        .with_env(env("namespace: shop.internal"))
        .world(space())
}

/// `web` and `api` register; `api` under this name.
fn registering(name: &str) -> String {
    looked_up("{port: 80}")
        + &format!(
            "  api:\n    image: nginx:1.27\n    provides: {{ports: [80]}}\n    plugin: {{ec2-ecs: {{mem: 128, discovery: {{name: {name}}}}}}}\n"
        )
}

/// Two Cloud Map services that are `project`'s; the old one has records of addresses.
fn foreign(project: Option<&str>) -> World {
    space().with(|w| {
        let tag = |key: &str, value: &str| json!({"Key": format!("belay:{key}"), "Value": value});
        let tags: Vec<_> = project.iter().flat_map(|p| [tag("project", p), tag("component", "web")]).collect();
        let one = |id: &str, name: &str, kind: &str| {
            json!({"Id": id, "Name": name, "Tags": tags,
                "Arn": format!("arn:aws:servicediscovery:us-east-1:123456789012:service/{id}"),
                "DnsConfig": {"DnsRecords": [{"Type": kind, "TTL": 60}]}})
        };
        w.registries.insert("ns-1".to_owned(), vec![one("srv-1", "legacy", "SRV"), one("srv-2", "old", "A")]);
    })
}

/// A component that is not there any more left a Cloud Map service.
fn gone() -> World {
    foreign(Some("shop")).with(|w| {
        let left: Vec<_> = w.registries.values_mut().flatten().collect();
        for registry in left {
            registry["Tags"][1]["Value"] = json!("cache");
        }
        w.registries.values_mut().for_each(|all| all.truncate(1));
    })
}

/// Somebody else has a service in the namespace, and so has `web` since it runs.
fn taken() -> World {
    let world = space();
    let input = Input::new(&offering("{port: 80}"), &env("namespace: shop.internal")).world(world.clone());
    world.apply(&input.plan()).with(|w| {
        let all = [json!({"Id": "srv-1", "Name": "legacy"}), json!({"Id": "srv-2", "Name": "web"})];
        w.registries.insert("ns-1".to_owned(), all.to_vec());
    })
}

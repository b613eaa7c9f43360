//! Ports and network modes.

use crate::case::{Case, case};
use crate::support::{env, raw_service, raw_task, web, web_with};

#[test]
fn network() {
    crate::check("network", table());
}

/// A component whose task has a network of its own.
fn awsvpc(task: &str, configuration: &str) -> String {
    format!(
        "components:
  web:
    image: nginx:1.27
    provides: {{ports: [80]}}
    plugin:
      ec2-ecs:
        mem: 128
        network_mode: awsvpc
        raw:
          task_definition: {{{task}}}
          service: {{{configuration}}}
"
    )
}

const SUBNETS: &str = "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}";

pub fn table() -> Vec<Case> {
    let mapping = |mapping: &str| raw_task(&format!("containerDefinitions:\n  portMappings:\n    - {mapping}"));
    let door = |port: u32| {
        web_with("mem: 128, network_mode: host", "provides: {ports: [80]}")
            + &format!(
                "gateways:\n  door:\n    type: host_port\n    exposes: {{port: {port}, target_port: 80}}\n    target: [web]\n"
            )
    };
    let many = |n: u32| (0..n).map(|n| format!("subnet-{n}")).collect::<Vec<_>>().join(", ");
    vec![
        case("B409", "no network").model(
            web_with("mem: 128, network_mode: none", "provides: {ports: [80]}"),
            web_with("mem: 128, network_mode: bridge", "provides: {ports: [80]}"),
        ),
        case("B409", "other host port in the host's network").model(
            mapping("{containerPort: 80, hostPort: 8080}").replace("mem: 128", "mem: 128\n        network_mode: host"),
            mapping("{containerPort: 80, hostPort: 80}").replace("mem: 128", "mem: 128\n        network_mode: host"),
        ),
        case("B409", "host port gateway in the host's network").model(door(8080), door(80)),
        case("B409", "empty port").model(web("provides: {ports: [\"\"]}"), web("provides: {ports: [\"80\"]}")),
        case("B410", "provided twice").model(web("provides: {ports: [80, \"80/tcp\"]}"), web("provides: {ports: [80]}")),
        case("B410", "two protocols")
            .model(web("provides: {ports: [53, \"53/udp\"]}"), web("provides: {ports: [53, \"54/udp\"]}")),
        case("B410", "in one network").model(
            web_with("mem: 128, network_mode: host", "provides: {ports: [80]}\ncontainers:\n  side: {image: side:1, mem: 64, provides: {ports: [80]}}"),
            web_with("mem: 128, network_mode: bridge", "provides: {ports: [80]}\ncontainers:\n  side: {image: side:1, mem: 64, provides: {ports: [80]}}"),
        ),
        case("B410", "one host port for two containers").model(
            web("containers:\n  side:\n    image: side:1\n    mem: 64\n    raw: {portMappings: [{containerPort: 81, hostPort: 8080}]}\n  other:\n    image: side:1\n    mem: 64\n    raw: {portMappings: [{containerPort: 80, hostPort: 8080}]}"),
            web("containers:\n  side:\n    image: side:1\n    mem: 64\n    raw: {portMappings: [{containerPort: 81, hostPort: 8081}]}\n  other:\n    image: side:1\n    mem: 64\n    raw: {portMappings: [{containerPort: 80, hostPort: 8080}]}"),
        ),
        case("B411", "of the agent").model(
            mapping("{containerPort: 80, hostPort: 51678}"),
            mapping("{containerPort: 80, hostPort: 8080}"),
        ),
        case("B411", "of ssh in the host's network").model(
            web_with("mem: 128, network_mode: host", "provides: {ports: [22]}"),
            web_with("mem: 128, network_mode: host", "provides: {ports: [2222]}"),
        ),
        case("B411", "dynamic")
            .model(mapping("{containerPort: 80, hostPort: 32768}"), mapping("{containerPort: 80, hostPort: 32767}"))
            .warning(),
        case("B412", "links").model(
            awsvpc("containerDefinitions: {links: [db]}", SUBNETS),
            awsvpc("containerDefinitions: {dnsSearchDomains: [shop.internal]}", SUBNETS),
        ),
        case("B412", "host name").model(
            awsvpc("containerDefinitions: {hostname: web}", SUBNETS),
            awsvpc("containerDefinitions: {user: web}", SUBNETS),
        ),
        case("B412", "extra hosts").model(
            awsvpc("containerDefinitions: {extraHosts: [{hostname: db, ipAddress: 10.0.0.1}]}", SUBNETS),
            awsvpc("", SUBNETS),
        )
        .with_env(env("discovery_zone: shop.internal")),
        case("B421", "no subnets").model(awsvpc("", ""), awsvpc("", SUBNETS)),
        case("B421", "empty subnets").model(
            awsvpc("", "networkConfiguration: {awsvpcConfiguration: {subnets: []}}"),
            awsvpc("", SUBNETS),
        ),
        case("B421", "too many subnets").model(
            awsvpc("", &format!("networkConfiguration: {{awsvpcConfiguration: {{subnets: [{}]}}}}", many(17))),
            awsvpc("", &format!("networkConfiguration: {{awsvpcConfiguration: {{subnets: [{}]}}}}", many(16))),
        ),
        case("B421", "too many security groups").model(
            awsvpc("", "networkConfiguration: {awsvpcConfiguration: {subnets: [a], securityGroups: [a, b, c, d, e, f]}}"),
            awsvpc("", "networkConfiguration: {awsvpcConfiguration: {subnets: [a], securityGroups: [a, b, c, d, e]}}"),
        ),
        case("B421", "configuration of another mode").model(raw_service(SUBNETS), awsvpc("", SUBNETS)),
    ]
}

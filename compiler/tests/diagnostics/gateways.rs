//! Gateways, load balancers, volumes and the other settings of an environment.

use crate::case::{Case, case};
use crate::support::{FRONT, World, env, group_arn, web};

#[test]
fn gateways() {
    crate::check("gateways", table());
}

fn fronted() -> String {
    web("provides: {ports: [80]}") + FRONT
}

/// `web` on port 80 behind gateway `front`, which exposes these ports.
fn exposing(ports: &str) -> String {
    web("provides: {ports: [80, 81]}")
        + &format!("gateways:\n  front:\n    type: load_balancer\n    exposes: {ports}\n    target: [web]\n")
}

fn host_port(port: &str) -> String {
    web("provides: {ports: [80]}")
        + &format!("gateways:\n  door:\n    type: host_port\n    exposes: {port}\n    target: [web]\n")
}

pub fn table() -> Vec<Case> {
    let group = || World::new().group("front", "instance");
    let old = || World::new().classic("old", &[(80, 8080)]);
    vec![
        case("B322", "typo in a target")
            .model(fronted().replace("[web]", "[webb]"), fronted())
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
        case("B330", "region and arn").env(
            env("cluster: arn:aws:ecs:eu-west-1:123456789012:cluster/default"),
            env("cluster: arn:aws:ecs:us-east-1:123456789012:cluster/default"),
        ),
        case("B331", "timeout above the total").env(env("timeout: 600\noverall_timeout: 300"), env("timeout: 300\noverall_timeout: 600")),
        case("B331", "looks further apart than the limit").env(env("timeout: 90\npoll_interval: 120"), env("timeout: 90\npoll_interval: 90")),
        case("B332", "discovery mode twice").env(
            env("discovery_mode: none\nservice_discovery_mode: elb-manual"),
            env("discovery_mode: elb-manual\nservice_discovery_mode: elb-manual"),
        ),
        case("B333", "not a cluster").env(
            env("cluster: arn:aws:ecs:us-east-1:123456789012:service/default/web"),
            env("cluster: arn:aws:ecs:us-east-1:123456789012:cluster/default"),
        ),
        case("B334", "in lb and gateways").with_model(fronted()).env(
            env(&format!("lb: {{front: {0}}}\ngateways: {{front: {0}}}", group_arn("front"))),
            env(&format!("gateways: {{front: {}}}", group_arn("front"))),
        ),
        case("B335", "an application load balancer").with_model(fronted()).env(
            env("lb:\n  front: arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/0123456789abcdef"),
            env(&format!("lb: {{front: {}}}", group_arn("front"))),
        ),
        case("B335", "a network load balancer").with_model(fronted()).env(
            env("lb:\n  front: {name: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/front/0123456789abcdef\"}"),
            env(&format!("lb: {{front: {{name: \"{}\"}}}}", group_arn("front"))),
        ),
        case("B335", "something else").with_model(fronted()).env(
            env("lb:\n  front: arn:aws:s3:::front"),
            env(&format!("lb: {{front: {}}}", group_arn("front"))),
        ),
        case("B336", "relative path").env(env("volumes:\n  logs: {from: ./logs}"), env("volumes:\n  logs: {from: /logs}")),
        case("B341", "typo in lb")
            .with_model(fronted())
            .env(env(&format!("lb: {{fornt: {}}}", group_arn("front"))), env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .also("B343"),
        case("B341", "no lb at all").with_model(fronted()).env(env(""), env("lb: {front: }")),
        case("B343", "typo in lb")
            .env(env(&format!("lb: {{frnt: {0}, front: {0}}}", group_arn("front"))), env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .with_model(fronted())
            .warning(),
        case("B343", "for nobody")
            .env(env(&format!("lb: {{side: {0}, front: {0}}}", group_arn("front"))), env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .with_model(fronted())
            .warning(),
        case("B343", "component without discovery")
            .with_model(web("provides: {ports: [80]}"))
            .env(env(&format!("lb: {{web: {}}}", group_arn("web"))), env(&format!("discovery_mode: elb-manual\nlb: {{web: {}}}", group_arn("web"))))
            .warning(),
        case("B343", "host port")
            .with_model(host_port("{port: 8080, target_port: 80}"))
            .env(env(&format!("lb: {{door: {}}}", group_arn("web"))), env("lb: {door: }"))
            .warning(),
        case("B362", "another target group in a raw block")
            .model(
                fronted() + "    plugin: {ec2-ecs: {raw: {targetGroupArn: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/other/0123456789abcdef\"}}}\n",
                fronted() + "    plugin: {ec2-ecs: {raw: {containerName: web}}}\n",
            )
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
        case("B344", "empty port, no target")
            .model(exposing("{port: \"\"}"), exposing("{port: \"\", target_port: 80}"))
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
        case("B344", "empty port of a classic load balancer")
            .model(exposing("{port: \"\", target_port: 80}"), exposing("{port: 80, target_port: 80}"))
            .with_env(env("lb: {front: old}"))
            .world(old()),
        case("B344", "empty host port").model(host_port("{port: \"\", target_port: 80}"), host_port("{port: 8080, target_port: 80}")),
        case("B345", "name without an observation")
            .with_model(fronted())
            .with_env(env("lb: {front: front}"))
            .world(group())
            .unobserved(),
        case("B345", "listeners without an observation")
            .with_model(exposing("{port: 80, target_port: 80}"))
            .with_env(env("lb: {front: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/old\"}"))
            .world(old())
            .unobserved(),
        case("B346", "missing name").with_model(fronted()).with_env(env("lb: {front: front}")).worlds(World::new(), group()),
        case("B346", "missing target group")
            .with_model(fronted())
            .with_env(env(&format!("lb:\n  front: {{name: \"{}\"}}", group_arn("front"))))
            .worlds(World::new(), group()),
        case("B346", "missing classic load balancer")
            .with_model(exposing("{port: 80, target_port: 80}"))
            .with_env(env("lb: {front: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/old\"}"))
            .worlds(World::new(), old()),
        case("B347", "two gateways to one target group")
            .with_model(
                fronted() + "  second:\n    type: load_balancer\n    exposes: {port: 443, target_port: 80}\n    target: [web]\n",
            )
            .env(
                env(&format!("lb: {{front: {0}, second: {0}}}", group_arn("front"))),
                env(&format!("lb: {{front: {}, second: {}}}", group_arn("front"), group_arn("second"))),
            ),
        case("B347", "one port twice")
            .model(
                exposing("\n      - {port: 80, target_port: 80}\n      - {port: 80, target_port: 80}"),
                exposing("\n      - {port: 80, target_port: 80}\n      - {port: 443, target_port: 80}"),
            )
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
        case("B348", "discovery of a component without ports")
            .model(web(""), web("provides: {ports: [80]}"))
            .with_env(env(&format!("discovery_mode: elb-manual\nlb: {{web: {}}}", group_arn("web")))),
        case("B349", "name of both kinds")
            .with_model(exposing("{port: 80, target_port: 80}"))
            .env(env("lb: {front: front}"), env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .world(group().classic("front", &[(80, 8080)])),
        case("B350", "no such listener")
            .model(exposing("{port: 443, target_port: 80}"), exposing("{port: 80, target_port: 80}"))
            .with_env(env("lb: {front: old}"))
            .world(old()),
        case("B350", "no listener at all")
            .with_model(exposing("{port: 80, target_port: 80}"))
            .with_env(env("lb: {front: old}"))
            .worlds(World::new().classic("old", &[]), old()),
        case("B410", "two gateways to one port by two host ports")
            .model(
                host_port("{port: 8080, target_port: 80}")
                    + "  back-door:\n    type: host_port\n    exposes: {port: 9090, target_port: 80}\n    target: [web]\n",
                host_port("{port: 8080, target_port: 80}")
                    + "  back-door:\n    type: host_port\n    exposes: {port: 8080, target_port: 80}\n    target: [web]\n",
            ),
        case("B410", "two listeners by two host ports")
            .with_model(exposing("\n      - {port: 80, target_port: 80}\n      - {port: 443, target_port: 80}"))
            .with_env(env("lb: {front: old}"))
            .worlds(
                World::new().classic("old", &[(80, 8080), (443, 8443)]),
                World::new().classic("old", &[(80, 8080), (443, 8080)]),
            ),
        case("B425", "host port to nowhere")
            .model(host_port("{port: 8080, target_port: 8000}"), host_port("{port: 8080, target_port: 80}")),
        case("B425", "load balancer to nowhere")
            .model(exposing("{port: \"\", target_port: 8000}"), exposing("{port: \"\", target_port: 80}"))
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
        case("B425", "load balancer to an unknown container")
            .model(
                fronted() + "    plugin: {ec2-ecs: {raw: {containerName: nginx}}}\n",
                fronted() + "    plugin: {ec2-ecs: {raw: {containerName: web}}}\n",
            )
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front")))),
    ]
}

//! Services: capacity, load balancers, roles, deployment configuration, grace period.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, Input, World, env, group_arn, raw_service, web};

#[test]
fn service() {
    crate::check("service", table());
}

fn fronted() -> String {
    web("provides: {ports: [80]}") + FRONT
}

/// `web` behind this many gateways, each to a port of its own, and their load balancers.
fn behind(n: u32) -> (String, String) {
    let ports: Vec<String> = (0..n).map(|n| (8000 + n).to_string()).collect();
    let mut model = web(&format!("provides: {{ports: [{}]}}", ports.join(", "))) + "gateways:\n";
    let mut lb = "lb:\n".to_owned();
    for (n, port) in ports.iter().enumerate() {
        model += &format!("  g{n}:\n    type: load_balancer\n    exposes: {{port: {port}}}\n    target: [web]\n");
        lb += &format!("  g{n}: {}\n", group_arn(&format!("g{n}")));
    }
    (model, env(&lb))
}

/// `web` on container port 80 behind a load balancer in network mode awsvpc.
fn awsvpc() -> String {
    "components:
  web:
    image: nginx:1.27
    provides: {ports: [80]}
    plugin:
      ec2-ecs:
        mem: 128
        network_mode: awsvpc
        raw: {service: {networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}}
"
    .to_owned()
        + FRONT
}

fn percent(minimum: u32, maximum: u32, replicas: u32, lines: &str) -> String {
    raw_service(&format!("deploymentConfiguration: {{minimumHealthyPercent: {minimum}, maximumPercent: {maximum}}}"))
        + &format!("    replicas: {replicas}\n{lines}")
}

pub fn table() -> Vec<Case> {
    let front = || env(&format!("lb: {{front: {}}}", group_arn("front")));
    let with_role = |role: &str| env(&format!("lb:\n  front: {{name: \"{}\"{role}}}", group_arn("front")));
    let (six, six_env) = behind(6);
    let (five, five_env) = behind(5);
    let (two, _) = behind(2);
    let roles = |second: &str| {
        env(&format!(
            "lb:\n  g0: {{name: \"{}\", role: one}}\n  g1: {{name: \"{}\"{second}}}",
            group_arn("g0"),
            group_arn("g1")
        ))
    };
    // One task more than four: four rounds.
    let rolling = percent(100, 125, 4, "") + FRONT;
    let limits =
        |overall: u32| env(&format!("timeout: 400\noverall_timeout: {overall}\nlb: {{front: {}}}", group_arn("front")));
    let first = Input::new(&rolling, &limits(3000)).world(World::new().group("front", "instance")).plan();
    vec![
        case("B422", "launch type and strategy").model(
            raw_service("launchType: EC2\ncapacityProviderStrategy: [{capacityProvider: fast, weight: 1}]"),
            raw_service("capacityProviderStrategy: [{capacityProvider: fast, weight: 1}]"),
        ),
        case("B422", "managed instances as a launch type").model(
            raw_service("launchType: MANAGED_INSTANCES"),
            raw_service("capacityProviderStrategy: [{capacityProvider: managed, weight: 1}]"),
        ),
        case("B422", "other deployment controller").model(
            raw_service("deploymentController: {type: CODE_DEPLOY}"),
            raw_service("deploymentController: {type: ECS}"),
        ),
        case("B422", "daemon with a placement strategy").model(
            raw_service("schedulingStrategy: DAEMON\nplacementStrategy: [{type: random}]"),
            raw_service("schedulingStrategy: DAEMON"),
        ),
        case("B422", "daemon with a number").model(
            raw_service("schedulingStrategy: DAEMON\ndesiredCount: 2"),
            raw_service("schedulingStrategy: DAEMON"),
        ),
        case("B422", "daemon that overlaps").model(
            raw_service("schedulingStrategy: DAEMON\ndeploymentConfiguration: {maximumPercent: 200}"),
            raw_service("schedulingStrategy: DAEMON\ndeploymentConfiguration: {maximumPercent: 100}"),
        ),
        case("B426", "instances for a task with an address")
            .with_model(awsvpc())
            .with_env(front())
            .worlds(World::new().group("front", "instance"), World::new().group("front", "ip")),
        case("B426", "addresses for a bridge")
            .with_model(fronted())
            .with_env(env("lb: {front: front}"))
            .worlds(World::new().group("front", "ip"), World::new().group("front", "instance")),
        case("B427", "six target groups").model(six, five).env(six_env, five_env),
        case("B427", "classic and target group")
            .with_model(two.clone())
            .env(
                env(&format!("lb: {{g0: old, g1: {}}}", group_arn("g1"))),
                env(&format!("lb: {{g0: {}, g1: {}}}", group_arn("g0"), group_arn("g1"))),
            )
            .world(World::new().classic("old", &[(8000, 8000)]).group("g0", "instance").group("g1", "instance")),
        case("B427", "two classic load balancers")
            .with_model(two.clone())
            .env(env("lb: {g0: old, g1: older}"), env("lb: {g0: old, g1: }"))
            .world(World::new().classic("old", &[(8000, 8000)]).classic("older", &[(8001, 8001)])),
        case("B427", "classic for a task with an address")
            .with_model(
                awsvpc().replace("{port: \"\", target_port: 80}", "80").replace("exposes: 80", "exposes: {port: 80}"),
            )
            .env(env("lb: {front: old}"), env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .world(World::new().classic("old", &[(80, 80)]).group("front", "ip")),
        case("B428", "no load balancer").with_model(fronted()).with_env(env("lb: {front: front}")).worlds(
            World::new().group("front", "instance").with(|w| w.target_groups[0]["LoadBalancerArns"] = json!([])),
            World::new().group("front", "instance"),
        ),
        case("B429", "role for a task with an address")
            .with_model(awsvpc())
            .env(with_role(", role: ecsServiceRole"), with_role("")),
        case("B429", "role for several load balancers")
            .with_model(two.clone())
            .env(roles(", role: one"), roles("").replace(", role: one", "")),
        case("B429", "different roles")
            .with_model(two)
            .env(roles(", role: two"), roles("").replace(", role: one", ""))
            .also("B429"),
        case("B429", "role without a load balancer")
            .model(raw_service("role: ecsServiceRole"), raw_service("desiredCount: 1")),
        case("B433", "one task").model(percent(100, 100, 1, ""), percent(0, 100, 1, "")),
        case("B433", "too little above").model(percent(100, 125, 3, ""), percent(100, 125, 4, "")),
        case("B433", "one task rounded up").model(percent(50, 150, 1, ""), percent(50, 150, 2, "")),
        case("B435", "floor above the count")
            .model(web("replicas: 2\nminimum_healthy: 3"), web("replicas: 2\nminimum_healthy: 2")),
        case("B435", "floor above the percentage")
            .model(percent(50, 200, 4, "    minimum_healthy: 3\n"), percent(75, 200, 4, "    minimum_healthy: 3\n")),
        case("B436", "grace period")
            .model(
                fronted().replace("mem: 128", "mem: 128, raw: {service: {healthCheckGracePeriodSeconds: 60}}"),
                fronted().replace("mem: 128", "mem: 128, raw: {service: {healthCheckGracePeriodSeconds: 300}}"),
            )
            .with_env(front())
            .world(World::new().group("front", "instance"))
            .warning(),
        case("B436", "timeout")
            .with_model(fronted())
            .env(
                env(&format!("timeout: 120\nlb: {{front: {}}}", group_arn("front"))),
                env(&format!("timeout: 210\nlb: {{front: {}}}", group_arn("front"))),
            )
            .world(World::new().group("front", "instance"))
            .warning(),
        case("B436", "overall timeout")
            .with_model(rolling.replace("nginx:1.27", "nginx:1.28"))
            .env(limits(400), limits(3000))
            .world(World::new().group("front", "instance").apply(&first))
            .warning(),
    ]
}

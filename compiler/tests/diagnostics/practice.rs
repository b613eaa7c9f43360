//! Best practices, log groups that nobody makes, agents of container instances; and warnings that somebody accepts.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, Input, World, env, raw_task, web, web_with};

#[test]
fn practice() {
    crate::check("practice", table());
}

pub fn table() -> Vec<Case> {
    cases().into_iter().map(Case::advised).collect()
}

/// A second essential container with these further keys.
fn pair(second: &str) -> String {
    web(&format!(
        "provides: {{ports: [80]}}\ncontainers:\n  jobs: {{image: \"jobs:1\", mem: 64, essential: true{second}}}"
    ))
}

/// `api` uses `cache`, which has these settings.
fn used(cache: &str) -> String {
    format!(
        "components:
  api:
    image: api:1
    uses: {{cache: {{}}}}
    plugin: {{ec2-ecs: {{mem: 128}}}}
  cache:
    image: redis:7.4
    provides: {{ports: [6379]}}
    plugin: {{ec2-ecs: {{mem: 128{cache}}}}}
"
    )
}

/// A component on Fargate with these further settings.
fn fargate(plugin: &str) -> String {
    web_with(&format!("launch_type: FARGATE, task_cpu: 256, task_mem: 512, execution_role: ecs{plugin}"), "")
}

/// `web` with two tasks behind a gateway.
fn fronted() -> String {
    web("replicas: 2\nprovides: {ports: [80]}") + FRONT
}

/// It runs in this target group.
fn behind(group: &str) -> World {
    let world = World::new().group("front", "instance").group("back", "instance");
    let input = Input::new(&fronted(), &env(&format!("lb: {{front: {group}}}"))).world(world.clone());
    world.apply(&input.plan())
}

/// Two privileged components, of which these mean it.
fn privileged(accepting: &[&str]) -> String {
    let one = |name: &str| {
        let accept = if accepting.contains(&name) { ", accept: {B454: \"It is an agent.\"}" } else { "" };
        let raw = "raw: {task_definition: {containerDefinitions: {privileged: true}}}";
        format!("  {name}: {{image: \"{name}:1\", plugin: {{ec2-ecs: {{mem: 128{accept}, {raw}}}}}}}\n")
    };
    ["api", "web"].iter().fold("components:\n".to_owned(), |model, name| model + &one(name))
}

/// What tells users apart from their number: instances with agents and Docker in these versions.
fn agents(versions: &[(&str, &str, bool)]) -> World {
    World::new().with(|w| {
        for (instance, (agent, docker, connected)) in w.instances.iter_mut().zip(versions) {
            instance["versionInfo"] =
                json!({"agentVersion": agent, "dockerVersion": format!("DockerVersion: {docker}")});
            instance["agentConnected"] = json!(connected);
        }
    })
}

fn cases() -> Vec<Case> {
    let front = |lines: &str| web(&format!("provides: {{ports: [80]}}{lines}")) + FRONT;
    let balanced = || World::new().group("front", "instance");
    let logs_in = |region: &str, options: &str| {
        raw_task(&format!(
            "containerDefinitions:\n  logConfiguration:\n    logDriver: awslogs\n    options: {{awslogs-region: {region}, {options}}}"
        ))
    };
    let logs = |options: &str| logs_in("us-east-1", options);
    let exec = || web_with("mem: 128, exec: true", "");
    let subnets = || env("network: {subnets: [subnet-0a000001]}");
    let network = || {
        World::new().with(|w| {
            w.subnets = vec![json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001", "Tags": []})];
            w.log_groups.insert("/shop".to_owned());
        })
    };
    let own = || web_with("mem: 128, network_mode: awsvpc", "replicas: 2\nprovides: {ports: [80]}");
    let both = || env("network: {subnets: [subnet-0a000001, subnet-0a000002]}");
    let subnets_of = |vpcs: [&str; 2]| {
        World::new().group("front", "ip").with(|w| {
            let ids = ["subnet-0a000001", "subnet-0a000002"];
            w.subnets =
                ids.iter().zip(vpcs).map(|(id, vpc)| json!({"SubnetId": id, "VpcId": vpc, "Tags": []})).collect();
        })
    };
    vec![
        case("B426", "target group of another network")
            .with_model(own() + FRONT)
            .with_env(both() + "    lb: {front: front}\n")
            .worlds(subnets_of(["vpc-2", "vpc-2"]), subnets_of(["vpc-1", "vpc-1"])),
        case("B416", "named by a raw block").with_model(logs("awslogs-group: /shop/web")).worlds(
            World::new(),
            World::new().with(|w| {
                w.log_groups.insert("/shop/web".to_owned());
            }),
        ),
        case("B416", "in this region")
            .model(logs("awslogs-group: /shop/web"), logs_in("eu-west-1", "awslogs-group: /shop/web"))
            .world(World::new()),
        case("B416", "the driver may make it")
            .model(
                logs("awslogs-group: /shop/web, awslogs-create-group: \"false\""),
                logs("awslogs-group: /shop/web, awslogs-create-group: \"true\""),
            )
            .world(World::new()),
        case("B450", "two programs in one task").model(pair(""), pair(", depends_on: {web: START}")).warning(),
        case("B450", "one talks to the other")
            .model(pair(", env: {WEB: \"http://localhost:8080\"}"), pair(", env: {WEB: \"http://localhost:80/\"}"))
            .warning(),
        case("B450", "one outlives the other")
            .model(pair(""), pair("").replace("essential: true", "essential: false"))
            .warning(),
        case("B450", "known")
            .model(pair(""), pair("").replace("mem: 128}", "mem: 128, accept: {B450: \"Licensed for one task.\"}}"))
            .warning(),
        case("B451", "nobody says how many")
            .model(front(""), front("\nreplicas: 1"))
            .with_env(env("lb: {front: front}"))
            .world(balanced())
            .warning(),
        case("B451", "a singleton")
            .model(front(""), front("\nsingleton: true"))
            .with_env(env("lb: {front: front}"))
            .world(balanced())
            .warning(),
        case("B451", "accepted by the environment")
            .with_model(front(""))
            .env(
                env("lb: {front: front}"),
                env("lb: {front: front}\ncomponents: {web: {accept: {B451: \"Staging.\"}}}"),
            )
            .world(balanced())
            .warning(),
        case("B452", "no health check")
            .model(used(""), used(", health_check: {command: \"redis-cli ping\"}"))
            .warning(),
        case("B452", "nobody connects to it")
            .model(used(""), used("").replace("    provides: {ports: [6379]}\n", ""))
            .warning(),
        case("B453", "soft limit only")
            .model(web_with("mem_reserve: 128", ""), web_with("mem_reserve: 128, mem: 256", ""))
            .warning(),
        case("B454", "privileged")
            .model(
                raw_task("containerDefinitions: {privileged: true}"),
                raw_task("containerDefinitions: {linuxParameters: {capabilities: {add: [NET_ADMIN]}}}"),
            )
            .warning(),
        case("B454", "processes of the host").model(raw_task("pidMode: host"), raw_task("pidMode: task")).warning(),
        case("B454", "shared memory of the host").model(raw_task("ipcMode: host"), raw_task("ipcMode: task")).warning(),
        case("B455", "on fargate")
            .model(fargate(""), fargate(", logs: {group: /shop}"))
            .with_env(subnets())
            .world(network())
            .warning(),
        case("B455", "a task that runs once")
            .model(
                web_with("mem: 128, once: {accepted: \"It only reads.\"}", ""),
                web_with("mem: 128, once: {accepted: \"It only reads.\"}, logs: {group: /shop}", ""),
            )
            .warning(),
        case("B456", "shells")
            .model(exec(), web(""))
            .world(agents(&[("1.50.1", "25.0.6", true), ("1.60.0", "25.0.6", true)]))
            .warning(),
        case("B456", "dependencies")
            .with_model(pair(", depends_on: {web: START}"))
            .worlds(agents(&[("1.25.3", "25.0.6", true)]), agents(&[("1.26.0", "25.0.6", true)]))
            .warning(),
        case("B457", "not connected")
            .worlds(agents(&[("1.90.0", "25.0.6", false)]), agents(&[("1.90.0", "25.0.6", true)]))
            .warning(),
        case("B457", "old agents")
            .worlds(
                agents(&[("1.70.0", "25.0.6", true), ("1.70.0", "25.0.6", true), ("1.90.0", "25.0.6", true)]),
                agents(&[("1.80.0", "25.0.6", true), ("1.90.0", "25.0.6", true)]),
            )
            .warning(),
        case("B457", "old docker")
            .worlds(agents(&[("1.90.0", "19.03.13-ce", true)]), agents(&[("1.90.0", "20.10.25", true)]))
            .warning(),
        case("B458", "another target group")
            .with_model(fronted())
            .env(env("lb: {front: back}"), env("lb: {front: front}"))
            .world(behind("front"))
            .warning(),
        case("B458", "accepted")
            .model(fronted(), fronted().replace("mem: 128", "mem: 128, accept: {B458: \"Nobody shops at night.\"}"))
            .with_env(env("lb: {front: back}"))
            .world(behind("front"))
            .warning(),
        case("B454", "accepted by the other component")
            .model(privileged(&["web"]), privileged(&["api", "web"]))
            .warning(),
        case("B305", "what is about the whole cluster")
            .model(web_with("mem: 128, accept: {B457: \"Known.\"}", ""), web(""))
            .world(World::new())
            .warning(),
        case("B305", "nothing to accept")
            .model(web_with("mem: 128, accept: {B451: \"Known.\"}", ""), web(""))
            .world(World::new())
            .warning(),
        case("B305", "no such code").model(web_with("mem: 128, accept: {B999: \"Known.\"}", ""), web("")).warning(),
    ]
}

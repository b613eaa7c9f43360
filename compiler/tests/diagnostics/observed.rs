//! What stands against the target as it was observed.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{Input, World, env, raw_service, web, web_with};

#[test]
fn observed() {
    crate::check("observed", table());
}

const ENV: &str = "plugin_config: {ec2-ecs: {region: us-east-1}}\n";

/// The world in which this model runs.
fn running(model: &str) -> World {
    running_in(model, ENV)
}

fn running_in(model: &str, environment: &str) -> World {
    let world = World::new();
    let plan = Input::new(model, environment).world(world.clone()).plan();
    world.apply(&plan)
}

fn tagged(tags: serde_json::Value) -> World {
    running(&web("")).service("shop_web", |s| s["tags"] = tags)
}

/// Two components with this many tasks of 128 MiB each.
fn together(replicas: u32) -> String {
    web(&format!("replicas: {replicas}"))
        + &format!("  back:\n    image: back:1\n    replicas: {replicas}\n    plugin: {{ec2-ecs: {{mem: 128}}}}\n")
}

/// Three components that want more than half of an instance each.
fn apart(memory: u32) -> String {
    ["a", "b", "c"].into_iter().fold("components:\n".to_owned(), |all, name| {
        all + &format!("  {name}:\n    image: nginx:1.27\n    plugin: {{ec2-ecs: {{mem: {memory}}}}}\n")
    })
}

/// Two components on each of two instances, one at a fixed host port, the other at this one.
fn doors(port: u32) -> String {
    let provides = "    provides: {ports: [80]}\n";
    format!(
        "{}gateways:\n  door: {{type: host_port, exposes: {{port: 8080, target_port: 80}}, target: [web]}}\n  gate: {{type: host_port, exposes: {{port: {port}, target_port: 80}}, target: [back]}}\n",
        together(2).replace("    replicas: 2\n", &format!("    replicas: 2\n{provides}")),
    )
}

/// Two components with this many tasks in networks of their own.
fn own_network(replicas: u32) -> String {
    let subnets = "raw: {service: {networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}}";
    together(replicas)
        .replace("mem: 128", &format!("mem: 128, network_mode: awsvpc, {subnets}"))
        .replace("  back:\n    image: back:1\n    replicas: 3", "  back:\n    image: back:1\n    replicas: 4")
}

fn mode(mode: &str) -> String {
    let subnets = if mode == "awsvpc" {
        ", raw: {service: {networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}}"
    } else {
        ""
    };
    web("").replace("mem: 128", &format!("mem: 128, network_mode: {mode}{subnets}"))
}

pub fn table() -> Vec<Case> {
    let plain = || running(&web(""));
    let newer = || web("").replace("nginx:1.27", "nginx:1.28");
    let crowded = |memory: u64| {
        World::new()
            .with(|w| w.instances = (0..2).map(|n| crate::support::world::instance(n, 1024, memory, &[])).collect())
    };
    let two = web("") + "  back:\n    image: back:1\n    plugin: {ec2-ecs: {mem: 128}}\n";
    let fixed = web("replicas: 2\nprovides: {ports: [80]}")
        + "gateways:\n  door:\n    type: host_port\n    exposes: {port: 8080, target_port: 80}\n    target: [web]\n";
    vec![
        case("B434", "too many tasks").model(web("replicas: 20"), web("replicas: 2")).world(crowded(512)),
        case("B434", "too much memory")
            .model(web_with("mem: 600, mem_reserve: 520", ""), web_with("mem: 600, mem_reserve: 512", ""))
            .world(crowded(512)),
        case("B434", "host port is taken").with_model(fixed.clone()).worlds(
            World::new().with(|w| {
                w.instances = (0..3)
                    .map(|n| crate::support::world::instance(n, 1024, 512, if n > 0 { &[8080] } else { &[] }))
                    .collect()
            }),
            World::new().with(|w| w.instances.truncate(2)),
        ),
        case("B434", "no room to replace").model(fixed.replace("nginx:1.27", "nginx:1.28"), fixed.clone()).world(
            running(&fixed).with(|w| {
                w.instances = (0..2).map(|n| crate::support::world::instance(n, 1024, 512, &[8080])).collect()
            }),
        ),
        case("B434", "each has room alone").model(together(7), together(2)).world(crowded(512)),
        case("B434", "no way to place them").model(apart(300), apart(200)).world(crowded(512)).warning(),
        case("B434", "one host port for two components").model(doors(8080), doors(8081)).world(crowded(512)),
        case("B434", "no network interface for each").model(own_network(3), own_network(2)).world(World::new().with(
            |w| {
                for instance in &mut w.instances {
                    instance["attributes"] = json!([{"name": "ecs.instance-type", "value": "c5.large"}]);
                }
            },
        )),
        case("B434", "capacity providers may add instances")
            .with_model(web("replicas: 20"))
            .worlds(crowded(512).with(|w| w.cluster["capacityProviders"] = json!(["fast"])), crowded(4096))
            .warning(),
        case("B501", "of another project").worlds(
            tagged(json!([{"key": "belay:project", "value": "other"}])),
            tagged(json!([{"key": "skopos:project", "value": "shop"}])),
        ),
        case("B501", "nobody's").worlds(tagged(json!([])), plain()),
        case("B507", "nothing runs yet").worlds(World::new(), plain()).options(|o| o.adopt = vec!["web".to_owned()]),
        case("B507", "ours already").world(plain()).options(|o| o.adopt = vec!["web".to_owned()]).warning(),
        case("B502", "express service")
            .worlds(plain().service("shop_web", |s| s["resourceManagementType"] = json!("ECS")), plain()),
        case("B503", "two deployments").worlds(
            plain().service("shop_web", |s| {
                let mut old = s["deployments"][0].clone();
                old["status"] = json!("ACTIVE");
                s["deployments"].as_array_mut().expect("a list").push(old);
            }),
            plain(),
        ),
        case("B503", "rollout in progress").worlds(
            plain().service("shop_web", |s| s["deployments"][0]["rolloutState"] = json!("IN_PROGRESS")),
            plain(),
        ),
        case("B503", "of an orphan").worlds(
            running(&two).service("shop_back", |s| s["deployments"][0]["rolloutState"] = json!("IN_PROGRESS")),
            running(&two),
        ),
        case("B504", "draining").worlds(
            plain().service("shop_web", |s| s["status"] = json!("DRAINING")),
            plain().service("shop_web", |s| s["status"] = json!("INACTIVE")),
        ),
        case("B505", "region")
            .env("plugin_config: {ec2-ecs: {region: eu-west-1}}\n", "plugin_config: {ec2-ecs: {region: us-east-1}}\n")
            .world(World::new()),
        case("B505", "account")
            .env(
                env("cluster: arn:aws:ecs:us-east-1:999999999999:cluster/default"),
                env("cluster: arn:aws:ecs:us-east-1:123456789012:cluster/default"),
            )
            .world(World::new()),
        case("B505", "project").world(World::new()).stale(|o| o.scope.project = "other".to_owned()),
        case("B505", "cluster").world(World::new()).stale(|o| {
            if let Some(ecs) = &mut o.scope.ecs {
                ecs.cluster = "other".to_owned();
            }
        }),
        case("B505", "load balancer named since")
            .with_model(web("provides: {ports: [80]}") + crate::support::FRONT)
            .with_env(env("lb: {front: front}"))
            .worlds(World::new(), World::new().group("front", "instance"))
            .stale(|o| o.scope.balancers.clear()),
        case("B505", "other tags").with_env(env("tag_prefix: acme")).world(World::new()).stale(|o| {
            if let Some(ecs) = &mut o.scope.ecs {
                ecs.tag_prefix = "belay".to_owned();
            }
        }),
        case("B505", "adopted, but observed as somebody else's")
            .world(tagged(json!([])))
            .both_options(|o| o.adopt = vec!["web".to_owned()])
            .stale(|observed| observed.scope.ecs.iter_mut().for_each(|ecs| ecs.adopt.clear())),
        case("B506", "left alone")
            .model(
                web("") + "lifecycle: {teardown_orphans: never}\n",
                web("") + "lifecycle: {teardown_orphans: after}\n",
            )
            .world(running(&two))
            .warning(),
        case("B510", "no cluster").worlds(World::new().with(|w| w.cluster = json!(null)), World::new()),
        case("B510", "inactive cluster")
            .worlds(World::new().with(|w| w.cluster["status"] = json!("INACTIVE")), World::new()),
        case("B520", "registry says no")
            .worlds(
                World::new().with(|w| {
                    w.images.insert(
                        "nginx:1.27".to_owned(),
                        Err("denied: requested access to the resource is denied".to_owned()),
                    );
                }),
                World::new(),
            )
            .warning(),
        case("B521", "image added since").model(newer(), newer()).worlds(
            World::new().with(|w| {
                w.unseen.insert("nginx:1.28".to_owned());
            }),
            World::new(),
        ),
        case("B521", "several images added since")
            .model(together(1), together(1))
            .worlds(World::new().with(|w| w.unseen.extend(["nginx:1.27", "back:1"].map(str::to_owned))), World::new()),
        case("B530", "providers of another kind")
            .model(
                web_with("mem: 128, capacity: [{provider: FARGATE}], network_mode: awsvpc, task_cpu: 256, task_mem: 512, network: {subnets: [subnet-0a000001]}", ""),
                web_with("mem: 128, capacity: [{provider: own}]", ""),
            )
            .world(running(&web_with("mem: 128, launch_type: EC2", "")).with(|w| {
                w.cluster["capacityProviders"] = json!(["FARGATE", "own"]);
                w.subnets = vec![json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001", "Tags": []})];
            })),
        case("B530", "network mode").model(mode("awsvpc"), mode("bridge")).world(running(&mode("bridge"))),
        case("B530", "network mode back").model(mode("bridge"), mode("awsvpc")).world(running(&mode("awsvpc"))),
        case("B530", "launch type")
            .model(raw_service("launchType: EXTERNAL"), raw_service("launchType: EC2"))
            .world(running(&raw_service("launchType: EC2"))),
        case("B530", "scheduling strategy")
            .model(raw_service("schedulingStrategy: DAEMON"), raw_service("schedulingStrategy: REPLICA"))
            .world(running(&raw_service("schedulingStrategy: REPLICA"))),
        case("B530", "role")
            .with_model(web("provides: {ports: [80]}") + crate::support::FRONT)
            .env(env("lb:\n  front: {name: front, role: ecsServiceRole}"), env("lb:\n  front: {name: front}"))
            .world({
                let world = World::new().group("front", "instance");
                let model = web("provides: {ports: [80]}") + crate::support::FRONT;
                let plan = Input::new(&model, &env("lb: {front: front}")).world(world.clone()).plan();
                world.apply(&plan)
            }),
        case("B530", "daemon back to replicas")
            .model(raw_service("schedulingStrategy: REPLICA"), raw_service("schedulingStrategy: DAEMON"))
            .world(running(&raw_service("schedulingStrategy: DAEMON"))),
        case("B530", "daemon no more")
            .model(raw_service("enableExecuteCommand: true"), raw_service("schedulingStrategy: DAEMON"))
            .world(running(&raw_service("schedulingStrategy: DAEMON"))),
    ]
}

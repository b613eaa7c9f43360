//! Machines that no Auto Scaling group of the account has: those outside AWS, and those that ECS starts itself.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::world::instance;
use crate::support::{FRONT, Input, World, env, web_with};

#[test]
fn machines() {
    crate::check("machines", table());
}

/// The usual world with machines outside AWS of 1,024 CPU units and 1,024 MiB, where these ports are taken.
fn outside(count: u32, ports: &[u16]) -> World {
    World::new().with(|w| {
        w.instances.extend((0..count).map(|n| {
            let mut machine = instance(100 + n, 1024, 1024, ports);
            machine["ec2InstanceId"] = json!(format!("mi-0a00000000000000{n}"));
            machine["attributes"] = json!([{"name": "ecs.capability.external"}]);
            machine
        }));
    })
}

/// A component on machines outside AWS.
fn external(plugin: &str, lines: &str) -> String {
    web_with(&format!("mem: 128, launch_type: EXTERNAL{plugin}"), lines)
}

/// The world in which a model runs already.
fn running(world: World, model: &str) -> World {
    let plan = Input::new(model, &env("")).world(world.clone()).plan();
    world.apply(&plan)
}

/// A machine outside AWS and an instance of EC2, with agents of these versions.
fn agents(own: &str, outside: &str, docker: &str) -> World {
    self::outside(1, &[]).with(|w| {
        let count = w.instances.len();
        for (at, instance) in w.instances.iter_mut().enumerate() {
            let (agent, docker) = if at + 1 == count { (outside, docker) } else { (own, "25.0.6") };
            instance["versionInfo"] =
                json!({"agentVersion": agent, "dockerVersion": format!("DockerVersion: {docker}")});
        }
    })
}

/// The usual world with the capacity providers `media` (Managed Instances) and `own` (of a group).
fn media() -> World {
    World::new().with(|w| {
        w.cluster["capacityProviders"] = json!(["FARGATE", "media", "own"]);
        w.subnets = vec![json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001"})];
        w.log_groups.insert("/shop".to_owned());
        let shown = |name: &str, kind: &str| json!({"name": name, "status": "ACTIVE", kind: {}});
        w.providers = vec![shown("media", "managedInstancesProvider"), shown("own", "autoScalingGroupProvider")];
    })
}

/// A component on Managed Instances that shares their network.
fn managed(plugin: &str, lines: &str) -> String {
    web_with(&format!("mem: 128, capacity: [{{provider: media}}], network_mode: host{plugin}"), lines)
}

pub fn table() -> Vec<Case> {
    outside_aws().into_iter().chain(ecs_s_own()).collect()
}

fn ecs_s_own() -> Vec<Case> {
    let plain = || managed("", "");
    let refused = |what, raw: &str| {
        let wrong = managed(&format!(", raw: {{task_definition: {raw}}}"), "");
        case("B460", what).model(wrong, plain()).world(media())
    };
    let of_container = |what, member: &str| refused(what, &format!("{{containerDefinitions: {{{member}}}}}"));
    let mode = |mode: &str| plain().replace("network_mode: host", mode);
    let mounted = |what, from: &str| {
        case("B460", what)
            .with_model(managed("", "volumes: {data: {path: /data}}"))
            .world(media())
            .env(env(&format!("volumes: {{data: {from}}}")), env("volumes: {data: {}}"))
    };
    let logs = |rest: &str| {
        let options = "logs: {driver: awslogs, options: {awslogs-group: /shop, awslogs-region: us-east-1}}";
        managed(&format!(", {options}{rest}"), "")
    };
    let shares = |shares: &str| plain().replace("{provider: media}", shares);
    // Three instances of EC2 without room, and one that ECS has started for somebody else.
    let full = || {
        media().with(|w| {
            w.instances.iter_mut().for_each(|i| i["remainingResources"] = json!([]));
            let mut more = instance(9, 16_384, 65_536, &[]);
            more["capacityProviderName"] = json!("media");
            w.instances.push(more);
        })
    };
    let room = || web_with("mem: 128", "");
    let two = || {
        media().with(|w| {
            w.cluster["capacityProviders"] = json!(["media", "spot"]);
            w.providers.push(json!({"name": "spot", "status": "ACTIVE", "managedInstancesProvider": {}}));
        })
    };
    vec![
        case("B460", "network mode")
            .model(mode("network_mode: bridge"), mode("network: {subnets: [subnet-0a000001]}"))
            .world(media()),
        refused("task that shares memory with others", "{ipcMode: host}"),
        of_container("labels", "dockerLabels: {a: b}"),
        of_container("name of the host", "hostname: web"),
        of_container("swap", "linuxParameters: {maxSwap: 64}"),
        mounted("directory of the instance", "{from: /srv}"),
        mounted("volume of Docker", "{from: shared}"),
        case("B460", "nobody may write its logs")
            .model(logs(""), logs(", execution_role: ecsTaskExecutionRole"))
            .world(media()),
        case("B423", "Managed Instances and a group")
            .model(shares("{provider: media}, {provider: own}"), shares("{provider: media, base: 1}"))
            .world(media()),
        case("B423", "Managed Instances and Fargate")
            .model(shares("{provider: media}, {provider: FARGATE}"), shares("{provider: media, base: 1}"))
            .world(media())
            .also("B403")
            .also("B414"),
        case("B434", "an instance that ECS starts itself is no room for others")
            .model(room(), plain())
            .world(full())
            .warning(),
        case("B434", "only groups may bring more instances")
            .model(room(), plain())
            .world(full().with(|w| w.cluster["capacityProviders"] = json!(["media"]))),
        case("B460", "what the cluster says for those who say nothing")
            .model(web_with("mem: 128, network_mode: bridge", ""), web_with("mem: 128, network_mode: host", ""))
            .world(media().with(|w| {
                w.instances.clear();
                w.cluster["defaultCapacityProviderStrategy"] =
                    json!([{"capacityProvider": "media", "weight": 1, "base": 0}]);
            })),
        case("B530", "other shares of several providers of Managed Instances")
            .model(
                shares("{provider: media, weight: 2}, {provider: spot}"),
                shares("{provider: media}, {provider: spot}"),
            )
            .world(running(two(), &shares("{provider: media}, {provider: spot}"))),
        case("B530", "from Managed Instances to nothing that is said")
            .model(web_with("mem: 128, network_mode: host", ""), plain())
            .world(running(media(), &plain())),
        case("B530", "from instances of one's own to Managed Instances")
            .model(plain(), room().replace("mem: 128", "mem: 128, network_mode: host"))
            .world(running(media(), &room().replace("mem: 128", "mem: 128, network_mode: host"))),
    ]
}

fn outside_aws() -> Vec<Case> {
    let two = || outside(2, &[]);
    let plain = || external("", "");
    let ports = "provides: {ports: [80]}";
    let raw = |block: &str| external(&format!(", raw: {{task_definition: {block}}}"), "");
    let mounted = |what, from: &str| {
        case("B459", what)
            .with_model(external("", "volumes: {data: {path: /data}}"))
            .env(env(&format!("volumes: {{data: {from}}}")), env("volumes: {data: {from: /srv/data}}"))
    };
    let logs = |rest: &str| {
        let options = "logs: {driver: awslogs, options: {awslogs-group: /shop, awslogs-region: us-east-1}}";
        external(&format!(", {options}{rest}"), "")
    };
    let logged = || two().with(|w| _ = w.log_groups.insert("/shop".to_owned()));
    let exec = || external(", exec: true", "");
    let fixed = || {
        external("", &format!("{ports}\nreplicas: 2"))
            + "gateways:\n  door:\n    type: host_port\n    exposes: {port: 8080, target_port: 80}\n    target: [web]\n"
    };
    vec![
        case("B459", "interface of its own")
            .model(
                external(", network_mode: awsvpc, network: {subnets: [subnet-0a000001]}", ""),
                external(", network_mode: host", ""),
            )
            .world(two().with(|w| w.subnets = vec![json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001"})])),
        case("B459", "load balancer")
            .model(external("", ports) + FRONT, web_with("mem: 128", ports) + FRONT)
            .with_env(env("lb: {front: front}"))
            .world(two().group("front", "instance")),
        case("B459", "cloud map")
            .model(external(", discovery: {}", ports), external("", ports))
            .with_env(env("namespace: shop.local"))
            .world(two().namespace("shop.local", 1, "DNS_PRIVATE")),
        case("B459", "service connect")
            .model(external(", connect: {offers: [{port: 80}]}", ports), external(", connect: {enabled: false}", ports))
            .with_env(env("namespace: shop.local"))
            .world(two().namespace("shop.local", 1, "DNS_PRIVATE")),
        mounted("file system of AWS", "{efs: {file_system: fs-0a000001}}").world(two()),
        mounted("disk of AWS", "{ebs: {size: 10, role: ecsInfrastructureRole}}").world(two()),
        case("B459", "proxy of App Mesh")
            .model(raw("{proxyConfiguration: {containerName: web, type: APPMESH}}"), plain())
            .world(two()),
        case("B459", "nobody may write its logs")
            .model(logs(""), logs(", execution_role: ecsTaskExecutionRole"))
            .world(logged()),
        case("B434", "instances of EC2 are not in the place of machines outside AWS")
            .model(external("", "replicas: 17"), external("", "replicas: 16"))
            .world(two()),
        case("B434", "machines outside AWS are not in the place of instances of EC2")
            .model(web_with("mem: 1024, cpu: 512", "replicas: 13"), web_with("mem: 1024, cpu: 512", "replicas: 12"))
            .world(outside(8, &[])),
        case("B434", "no instance has its processors")
            .model(web_with("mem: 128, architecture: ARM64", ""), web_with("mem: 128, architecture: X86_64", ""))
            .world(processors(&["x86_64", "x86_64"])),
        case("B434", "too few instances have its processors")
            .model(
                web_with("mem: 1024, architecture: ARM64", "replicas: 5"),
                web_with("mem: 1024, architecture: ARM64", "replicas: 4"),
            )
            .world(processors(&["x86_64", "arm64"])),
        case("B434", "two components on other processors")
            .model(apart(6), apart(4))
            .world(processors(&["x86_64", "arm64"]))
            .warning(),
        case("B434", "other system")
            .model(web_with("mem: 128, os: WINDOWS_SERVER_2022_CORE", ""), web_with("mem: 128, os: LINUX", ""))
            .world(processors(&["x86_64"])),
        case("B434", "no machine outside AWS").with_model(plain()).worlds(World::new(), outside(1, &[])),
        case("B434", "capacity providers add none outside AWS")
            .with_model(plain())
            .worlds(World::new().with(|w| w.cluster["capacityProviders"] = json!(["own"])), outside(1, &[])),
        case("B434", "port of a machine outside AWS").with_model(fixed()).worlds(outside(2, &[8080]), two()),
        case("B434", "two components on machines outside AWS").model(beside(9), beside(7)).world(two()),
        case("B456", "machine outside AWS")
            .with_model(exec())
            .worlds(agents("1.60.0", "1.50.1", "25.0.6"), agents("1.60.0", "1.50.2", "25.0.6"))
            .advised()
            .warning(),
        case("B456", "only where its tasks run")
            .model(web_with("mem: 128, exec: true", ""), exec())
            .world(agents("1.50.1", "1.50.2", "25.0.6"))
            .advised()
            .warning(),
        case("B457", "machine outside AWS")
            .worlds(agents("1.90.0", "1.70.0", "19.03.13"), agents("1.90.0", "1.80.0", "25.0.6"))
            .advised()
            .warning(),
        case("B530", "from machines outside AWS to a capacity provider")
            .model(web_with("mem: 128, capacity: [{provider: own}]", ""), plain())
            .world(running(two().with(|w| w.cluster["capacityProviders"] = json!(["own"])), &plain())),
    ]
}

/// One instance of 4,096 MiB with each of these processors.
fn processors(architectures: &[&str]) -> World {
    World::new().with(|w| {
        let all = (0..).zip(architectures).map(|(at, architecture)| {
            let mut made = instance(at, 8192, 4096, &[]);
            made["attributes"] = json!([
                {"name": "ecs.cpu-architecture", "value": architecture}, {"name": "ecs.os-type", "value": "linux"},
            ]);
            made
        });
        w.instances = all.collect();
    })
}

/// Two components for processors of one kind, of which the other kind has as much room again.
fn apart(mem: u32) -> String {
    let settings = format!("mem: {}, architecture: ARM64", mem * 256);
    web_with(&settings, "replicas: 2")
        + &format!("  back:\n    image: back:1\n    replicas: 2\n    plugin: {{ec2-ecs: {{{settings}}}}}\n")
}

/// Two components that share machines outside AWS.
fn beside(replicas: u32) -> String {
    external("", &format!("replicas: {replicas}"))
        + &format!(
            "  back:\n    image: back:1\n    replicas: {replicas}\n    plugin: {{ec2-ecs: {{mem: 128, launch_type: EXTERNAL}}}}\n"
        )
}

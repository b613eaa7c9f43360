//! Where tasks run: Fargate, capacity providers, networks, placement, storage, log groups, scaling.

use serde_json::json;

use crate::case::{Case, case};
use crate::support::{FRONT, Input, World, env, group_arn, raw_service, raw_task, web, web_with};

#[test]
fn placed() {
    crate::check("placed", table());
}

/// `web` on Fargate with these settings, in an observed subnet.
fn fargate(settings: &str) -> String {
    web_with(&format!("launch_type: FARGATE, network: {{subnets: [subnet-0a000001]}}, {settings}"), "")
}

fn networks() -> World {
    World::new().with(|w| {
        let named = |name: &str| json!([{"Key": "Name", "Value": name}]);
        w.subnets = vec![
            json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-0a000001", "Tags": named("private-a")}),
            json!({"SubnetId": "subnet-0a000002", "VpcId": "vpc-0a000001", "Tags": named("private-b")}),
            json!({"SubnetId": "subnet-0b000001", "VpcId": "vpc-0b000001", "Tags": named("other-a")}),
        ];
        w.security_groups = vec![
            json!({"GroupId": "sg-0a000001", "GroupName": "web", "VpcId": "vpc-0a000001"}),
            json!({"GroupId": "sg-0b000001", "GroupName": "db", "VpcId": "vpc-0b000001"}),
        ];
    })
}

/// `web` in network mode awsvpc with this network.
fn network(network: &str) -> String {
    web_with(&format!("mem: 128, network_mode: awsvpc, network: {{{network}}}"), "")
}

/// `web` with capacity providers, in a cluster that has Fargate's and one of its own.
fn shares(shares: &str) -> String {
    web_with(&format!("mem: 128, capacity: [{shares}]"), "")
}

/// So many capacity providers.
fn many(count: usize) -> String {
    (0..count).map(|at| format!("{{provider: own-{at}}}")).collect::<Vec<_>>().join(", ")
}

fn cluster() -> World {
    World::new().with(|w| w.cluster["capacityProviders"] = json!(["FARGATE", "FARGATE_SPOT", "spot", "fixed"]))
}

fn ebs(settings: &str) -> String {
    env(&format!("volumes: {{data: {{ebs: {{role: ecsInfrastructure, {settings}}}}}}}"))
}

fn scaled(scaling: &str, lines: &str) -> String {
    web_with(&format!("mem: 128, scaling: {{{scaling}}}"), lines)
}

/// A component that scales in these steps.
fn stepped(steps: &str, more: &str) -> String {
    scaled(&format!("min: 1, max: 9, step: {{load: {{metric: cpu, when: above, steps: [{steps}]{more}}}}}"), "")
}

/// An alarm that has the name of that component's, and does this.
fn alarm(action: &str) -> World {
    World::new().with(|w| w.alarms = vec![json!({"AlarmName": "default_shop_web.load", "AlarmActions": [action]})])
}

pub fn table() -> Vec<Case> {
    let sized = "task_cpu: 256, task_mem: 512";
    let logs = "logs: {group: /web}";
    let mounted = || web("volumes: {data: {path: /data}}");
    let fronted = |scaling: &str| scaled(scaling, "provides: {ports: [80]}") + FRONT;
    let requests = "min: 1, max: 2, target: {load: {metric: requests, value: 100}}";
    let cpu = "min: 1, max: 2, target: {load: {metric: cpu, value: 50}}";
    let vcpus = |replicas: u32, image: &str| {
        fargate("task_cpu: 1024, task_mem: 2048")
            .replace("    image: nginx:1.27\n", &format!("    image: {image}\n    replicas: {replicas}\n"))
    };
    // The account may run four vCPUs, and three tasks of one each run.
    let few = || {
        let world = networks().with(|w| _ = w.quotas.insert("L-3032A538".to_owned(), 4.0));
        let input = Input::new(&vcpus(3, "nginx:1.26"), &env("")).world(world.clone());
        world.apply(&input.plan())
    };
    vec![
        case("B448", "more than the quota").model(vcpus(5, "nginx:1.26"), vcpus(4, "nginx:1.26")).world(few()),
        case("B448", "more than the quota for a while")
            .model(vcpus(3, "nginx:1.27"), vcpus(2, "nginx:1.27"))
            .world(few())
            .warning(),
        case("B324", "settings of nobody").env(env("components: {wep: {cpu: 10}}"), env("components: {web: {cpu: 10}}")),
        case("B345", "name of a subnet").model(network("subnets: [private-a]"), network("subnets: [subnet-0a000001]")).unobserved(),
        case("B403", "no size").model(fargate("mem: 600"), fargate("mem: 600, task_cpu: 256, task_mem: 1024")).world(networks()),
        case("B403", "unknown size").model(fargate("task_cpu: 300, task_mem: 512"), fargate(sized)).world(networks()),
        case("B403", "memory that does not go with the cpu")
            .model(fargate("task_cpu: 1024, task_mem: 1024"), fargate("task_cpu: 1024, task_mem: 2048"))
            .world(networks()),
        case("B403", "logs without a role")
            .model(fargate(&format!("{sized}, {logs}")), fargate(&format!("{sized}, {logs}, execution_role: ecs")))
            .world(networks()),
        case("B418", "stop timeout")
            .model(fargate(&format!("{sized}, stop_timeout: 180")), fargate(&format!("{sized}, stop_timeout: 120")))
            .world(networks()),
        case("B418", "disk")
            .model(fargate(&format!("{sized}, ephemeral_storage: 20")), fargate(&format!("{sized}, ephemeral_storage: 21")))
            .world(networks()),
        case("B418", "disk on instances").model(web_with("mem: 128, ephemeral_storage: 40", ""), web("")),
        case("B421", "no such subnet").model(network("subnets: [public-*]"), network("subnets: [private-*]")).world(networks()),
        case("B421", "several VPCs")
            .model(network("subnets: [\"*-a\"]"), network("subnets: [\"*-a\"], vpc: vpc-0a000001"))
            .world(networks().with(|w| w.vpcs = vec![json!({"VpcId": "vpc-0a000001"})])),
        case("B421", "group of another VPC")
            .model(network("subnets: [private-a], security_groups: [db]"), network("subnets: [private-a], security_groups: [web]"))
            .world(networks()),
        case("B423", "kinds of capacity mixed")
            .model(shares("{provider: spot}, {provider: FARGATE}"), shares("{provider: spot}, {provider: fixed}"))
            .world(cluster())
            .also("B403")
            .also("B421"),
        case("B423", "two bases")
            .model(shares("{provider: spot, base: 1}, {provider: fixed, base: 1}"), shares("{provider: spot, base: 1}, {provider: fixed}"))
            .world(cluster()),
        case("B423", "no weight").model(shares("{provider: spot, weight: 0}"), shares("{provider: spot}")).world(cluster()),
        case("B423", "not the cluster's").model(shares("{provider: sport}"), shares("{provider: spot}")).world(cluster()),
        case("B423", "no group of the model").model(shares("{group: nodes}"), shares("{provider: spot}")).world(cluster()),
        case("B423", "neither provider nor group").model(shares("{weight: 2}"), shares("{provider: spot, weight: 2}")).world(cluster()),
        case("B424", "daemon with replicas").model(web_with("mem: 64, daemon: true", "replicas: 2"), web_with("mem: 64, daemon: true", "")),
        case("B432", "unknown field").model(
            web_with("mem: 64, placement: {strategy: [{type: binpack, field: zone}]}", ""),
            web_with("mem: 64, placement: {strategy: [{type: binpack, field: memory}]}", ""),
        ),
        case("B432", "rebalancing what is packed").model(
            web_with("mem: 64, placement: {zone_rebalancing: true, strategy: [{type: binpack, field: cpu}]}", ""),
            web_with("mem: 64, placement: {zone_rebalancing: true, strategy: [{type: spread, field: zone}]}", ""),
        ),
        case("B432", "rebalancing without room").model(
            raw_service("availabilityZoneRebalancing: ENABLED\ndeploymentConfiguration: {minimumHealthyPercent: 0, maximumPercent: 100}"),
            raw_service("availabilityZoneRebalancing: DISABLED\ndeploymentConfiguration: {minimumHealthyPercent: 0, maximumPercent: 100}"),
        ),
        case("B432", "rebalancing a daemon").model(
            web_with("mem: 64, daemon: true, placement: {zone_rebalancing: true}", ""),
            web_with("mem: 64, daemon: true", ""),
        ),
        case("B432", "rebalancing within some zones").model(
            web_with("mem: 64, placement: {zone_rebalancing: true, member_of: [\"attribute:ecs.availability-zone == us-east-1a\"]}", ""),
            web_with("mem: 64, placement: {member_of: [\"attribute:ecs.availability-zone == us-east-1a\"]}", ""),
        ),
        case("B432", "rebalancing behind a classic load balancer")
            .model(
                web_with("mem: 64, placement: {zone_rebalancing: true}", "replicas: 2\nprovides: {ports: [80]}") + &FRONT.replace("\"\"", "80"),
                web_with("mem: 64", "replicas: 2\nprovides: {ports: [80]}") + &FRONT.replace("\"\"", "80"),
            )
            .with_env(env("lb: {front: old}"))
            .world(World::new().classic("old", &[(80, 8080)])),
        case("B422", "daemon on Fargate")
            .model(fargate(&format!("{sized}, daemon: true")), fargate(sized))
            .world(networks()),
        case("B418", "start timeout")
            .model(fargate(&format!("{sized}, start_timeout: 1")), fargate(&format!("{sized}, start_timeout: 2")))
            .world(networks()),
        case("B423", "too many providers")
            .model(shares(&many(21)), shares(&many(20)))
            .world(World::new().with(|w| {
                w.cluster["capacityProviders"] = (0..21).map(|at| json!(format!("own-{at}"))).collect();
            })),
        case("B437", "no size of a volume").with_model(mounted()).env(ebs("type: gp3"), ebs("size: 10")),
        case("B437", "no operations").with_model(mounted()).env(ebs("size: 10, type: io2"), ebs("size: 10, type: io2, iops: 3000")),
        case("B437", "throughput").with_model(mounted()).env(ebs("size: 10, type: gp2, throughput: 200"), ebs("size: 10, throughput: 200")),
        case("B437", "operations of a type that has none")
            .with_model(mounted())
            .env(ebs("size: 10, type: gp2, iops: 3000"), ebs("size: 10, type: gp3, iops: 3000")),
        case("B437", "configured by nobody")
            .model(raw_task("volumes: [{name: data, configuredAtLaunch: true}]"), raw_task("volumes: [{name: data}]")),
        case("B439", "more than the most").model(scaled("min: 3, max: 2", ""), scaled("min: 2, max: 3", "")),
        case("B439", "begins outside").model(scaled("min: 2, max: 3", "replicas: 1"), scaled("min: 2, max: 3", "replicas: 2")),
        case("B439", "singleton").model(scaled("min: 0, max: 1", "singleton: true"), scaled("min: 0, max: 1", "")),
        case("B439", "requests without a load balancer").model(scaled(requests, ""), scaled(cpu, "")),
        case("B439", "requests of a network load balancer")
            .model(fronted(requests), fronted(cpu))
            .with_env(env(&format!("lb: {{front: {}}}", group_arn("front"))))
            .world(World::new().group("front", "instance").with(|w| {
                w.target_groups[0]["LoadBalancerArns"] =
                    json!(["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/main/0123456789abcdef"]);
            })),
        case("B439", "custom without a metric").model(
            scaled("min: 1, max: 2, target: {queue: {metric: custom, value: 10}}", ""),
            scaled("min: 1, max: 2, target: {queue: {metric: custom, value: 10, custom: {namespace: Shop, name: Backlog}}}", ""),
        ),
        case("B439", "steps that do not rise")
            .model(stepped("{at: 80, change: 1}, {at: 60, change: 2}", ""), stepped("{at: 60, change: 1}, {at: 80, change: 2}", "")),
        case("B439", "steps both ways")
            .model(stepped("{at: 60, change: 1}, {at: 80, change: -1}", ""), stepped("{at: 60, change: 1}, {at: 80, change: 3}", "")),
        case("B439", "step that changes nothing").model(stepped("{at: 60, change: 0}", ""), stepped("{at: 60, change: 1}", "")),
        case("B439", "fewer than no tasks").model(
            stepped("{at: 60, change: -1}", ", unit: exact"),
            stepped("{at: 60, change: 0}", ", unit: exact"),
        ),
        case("B439", "least change of tasks").model(
            stepped("{at: 60, change: 1}", ", at_least: 2"),
            stepped("{at: 60, change: 10}", ", unit: percent, at_least: 2"),
        ),
        case("B439", "period that CloudWatch has not")
            .model(stepped("{at: 60, change: 1}", ", period: 45"), stepped("{at: 60, change: 1}", ", period: 60")),
        case("B439", "period shorter than the metric's").model(
            stepped("{at: 60, change: 1}", ", period: 30"),
            stepped("{at: 60, change: 1}", ", period: 30, custom: {namespace: Shop, name: Backlog}").replace("metric: cpu", "metric: custom"),
        ),
        case("B439", "more values than there are").model(
            stepped("{at: 60, change: 1}", ", periods: 3, datapoints: 4"),
            stepped("{at: 60, change: 1}", ", periods: 3, datapoints: 3"),
        ),
        case("B439", "longer than an alarm watches").model(
            stepped("{at: 60, change: 1}", ", period: 60, periods: 1440, missing_data: ignore").replace("60, periods", "120, periods"),
            stepped("{at: 60, change: 1}", ", period: 60, periods: 1440, missing_data: ignore"),
        ),
        case("B439", "step of a metric that is not described").model(
            stepped("{at: 60, change: 1}", "").replace("metric: cpu", "metric: custom"),
            stepped("{at: 60, change: 1}", ", custom: {namespace: Shop, name: Backlog}").replace("metric: cpu", "metric: custom"),
        ),
        case("B439", "two policies of one name").model(
            scaled("min: 1, max: 2, target: {load: {metric: cpu, value: 50}}, step: {load: {metric: cpu, when: above, steps: [{at: 60, change: 1}]}}", ""),
            scaled("min: 1, max: 2, target: {load: {metric: cpu, value: 50}}, step: {rush: {metric: cpu, when: above, steps: [{at: 60, change: 1}]}}", ""),
        ),
        case("B501", "somebody else's alarm").with_model(stepped("{at: 60, change: 1}", "")).worlds(
            alarm("arn:aws:sns:us-east-1:123456789012:on-call"),
            alarm("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:6d8972f3:resource/ecs/service/default/shop_web:policyName/shop_web.load"),
        ),
        case("B444", "retention").model(web_with("mem: 64, logs: {group: /web, retention: 31}", ""), web_with("mem: 64, logs: {group: /web, retention: 30}", "")),
        case("B444", "two retentions").model(
            web_with("mem: 64, logs: {group: /web, retention: 30}", "containers: {side: {image: side:1, mem: 16, logs: {group: /web, retention: 14}}}"),
            web_with("mem: 64, logs: {group: /web, retention: 30}", "containers: {side: {image: side:1, mem: 16, logs: {group: /web}}}"),
        ),
        case("B401", "name of a log group").model(web_with("mem: 64, logs: {group: \"my logs\"}", ""), web_with("mem: 64, logs: {group: my-logs}", "")),
        case("B360", "platform version elsewhere")
            .model(web_with("mem: 64, platform_version: 1.4.0", ""), web_with("mem: 64", ""))
            .warning(),
    ]
}

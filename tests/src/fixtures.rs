//! The scenarios in `fixtures/`: what each starts from and how applying its plan ends.
//!
//! Every folder holds `model.yaml`, its environment files, `world.json` (the simulated AWS that it starts in),
//! `observed.json` (what observing that world prints), `plan.json`, what `belayc show` makes of it (`plan.txt`, `plan.md`,
//! `plan.mmd` for Mermaid, `plan.dot`, `plan.html`) and `rehearsal.txt` (what rehearsing it says). A folder `start` holds
//! the model and environment that were deployed before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belay_executor::run::Outcome;
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::plan::Mode;
use serde_json::json;

use crate::pipeline::{Inputs, apply};

/// How applying a fixture's plan ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In the target state.
    Target,
    /// In the initial state.
    Initial,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// Name of the folder.
    pub name: &'static str,
    /// Project name.
    pub project: &'static str,
    /// The environment files, in order.
    pub environments: &'static [&'static str],
    /// Deploy or tear down.
    pub mode: Mode,
    /// How applying the plan ends.
    pub end: End,
    /// What the world differs in from the default account, before anything is deployed.
    pub world: fn(&mut World),
    /// What the world differs in after the start was deployed.
    pub then: fn(&mut World),
    /// Healthy targets behind its load balancers in the end: target groups, classic ones in `classic`.
    pub behind: Named,
    /// All Cloud Map services in the end, by name, with the number of their instances.
    pub registered: Named,
    /// Tasks of services of which the model does not say how many there are in the end.
    pub tasks: Named,
}

/// A number for each of some names.
type Named = &'static [(&'static str, usize)];

const PLAIN: Fixture = Fixture {
    name: "",
    project: "shop",
    environments: &["prod.yaml"],
    mode: Mode::Deploy,
    end: End::Target,
    world: |_| {},
    then: |_| {},
    behind: &[],
    registered: &[],
    tasks: &[],
};

/// All scenarios of Amazon ECS.
pub const ALL: [Fixture; 33] = [
    Fixture {
        name: "blue-green",
        world: pairs,
        behind: &[("shop-blue", 0), ("shop-green", 2), ("docs-blue", 1), ("docs-green", 0)],
        ..PLAIN
    },
    Fixture { name: "canary", world: pairs, behind: &[("shop-api", 0), ("api-green", 2)], ..PLAIN },
    Fixture {
        name: "canary-failing",
        end: End::Initial,
        world: alarming,
        behind: &[("shop-api", 2), ("api-green", 0)],
        ..PLAIN
    },
    Fixture { name: "classic", project: "legacy", behind: &[("shop-classic", 2), ("internal-api", 2)], ..PLAIN },
    Fixture { name: "cloud-map", world: connected, registered: &[("api", 2), ("cache", 1), ("search", 1)], ..PLAIN },
    Fixture {
        name: "cloud-map-failing",
        end: End::Initial,
        world: connected,
        registered: &[("api", 2), ("legacy", 1), ("redis", 1)],
        ..PLAIN
    },
    Fixture {
        name: "dns-records",
        world: zoned,
        behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 2), ("internal-api", 0), ("shop-classic", 0)],
        ..PLAIN
    },
    Fixture {
        name: "dns-records-failing",
        end: End::Initial,
        world: zoned,
        behind: &[("shop-web", 0), ("shop-api", 2), ("shop-admin", 0), ("internal-api", 2), ("shop-classic", 1)],
        ..PLAIN
    },
    Fixture { name: "event-rules", ..PLAIN },
    Fixture { name: "event-rules-failing", end: End::Initial, world: failing, ..PLAIN },
    Fixture {
        name: "failing",
        end: End::Initial,
        world: failing,
        behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)],
        ..PLAIN
    },
    Fixture {
        name: "fargate",
        environments: &["base.yaml", "prod.yaml"],
        world: fargate,
        behind: &[("shop-web", 2), ("shop-api", 2)],
        tasks: &[("shop_web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "fargate-failing",
        environments: &["base.yaml", "prod.yaml"],
        end: End::Initial,
        world: fargate_failing,
        behind: &[("shop-web", 2), ("shop-api", 2)],
        tasks: &[("shop_web", 2)],
        ..PLAIN
    },
    Fixture { name: "gateway-change", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 2)], ..PLAIN },
    Fixture {
        name: "network-load-balancer",
        project: "iot",
        world: edge,
        behind: &[("edge-broker", 2), ("iot-ingest", 2)],
        ..PLAIN
    },
    Fixture { name: "orphan", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture { name: "pinned", behind: &[("shop-api", 2)], ..PLAIN },
    Fixture { name: "placement", project: "ops", tasks: &[("ops_datadog", 3), ("ops_logspout", 3)], ..PLAIN },
    Fixture {
        name: "placement-failing",
        project: "ops",
        end: End::Initial,
        world: failing,
        tasks: &[("ops_datadog", 3), ("ops_logspout", 3)],
        ..PLAIN
    },
    Fixture { name: "rules", behind: &[("shop-web", 2), ("unattached", 1)], ..PLAIN },
    Fixture { name: "scale", behind: &[("shop-web", 1), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture {
        name: "service-connect",
        world: connected,
        registered: &[("api", 2), ("api-admin", 2), ("billing", 1)],
        ..PLAIN
    },
    Fixture {
        name: "service-connect-failing",
        end: End::Initial,
        world: connected,
        registered: &[("api", 2)],
        ..PLAIN
    },
    Fixture { name: "shop", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
    Fixture { name: "sidecars", environments: &["base.yaml", "prod.yaml"], behind: &[("shop-api", 2)], ..PLAIN },
    Fixture { name: "step-scaling", behind: &[("shop-web", 2)], ..PLAIN },
    Fixture { name: "step-scaling-failing", end: End::Initial, world: failing, behind: &[("shop-web", 2)], ..PLAIN },
    Fixture {
        name: "target-groups",
        project: "store",
        behind: &[("store-web", 2), ("store-api-8080", 2), ("store-docs", 1)],
        ..PLAIN
    },
    Fixture {
        name: "target-groups-failing",
        project: "store",
        end: End::Initial,
        world: failing,
        behind: &[("store-web", 2)],
        ..PLAIN
    },
    Fixture { name: "tasks", world: tasks, ..PLAIN },
    Fixture { name: "tasks-failing", end: End::Initial, world: tasks, ..PLAIN },
    Fixture {
        name: "teardown",
        mode: Mode::Teardown,
        behind: &[("shop-web", 0), ("shop-api", 0), ("shop-admin", 0)],
        ..PLAIN
    },
    Fixture { name: "upgrade", behind: &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)], ..PLAIN },
];

/// All scenarios of EC2 Auto Scaling, and of both together.
pub const ASG: [Fixture; 11] = [
    Fixture { name: "asg-classic", ..PLAIN },
    Fixture { name: "asg-delegated", world: destroyer, ..PLAIN },
    Fixture { name: "asg-failing", end: End::Initial, world: broken, ..PLAIN },
    Fixture { name: "asg-pre-created", world: made_beforehand, ..PLAIN },
    Fixture { name: "asg-retag", then: retagged, ..PLAIN },
    Fixture { name: "asg-scale", ..PLAIN },
    Fixture { name: "asg-settings", ..PLAIN },
    Fixture { name: "asg-spot", ..PLAIN },
    Fixture { name: "asg-teardown", mode: Mode::Teardown, ..PLAIN },
    Fixture { name: "asg-upgrade", ..PLAIN },
    Fixture { name: "both-plugins", ..PLAIN },
];

/// Scenarios of container instances, whose agents no emulator shows.
pub const HOSTS: [Fixture; 5] = [
    Fixture { name: "ami-update", world: own_cluster, ..PLAIN },
    Fixture { name: "capacity-providers", world: with_fargate, ..PLAIN },
    Fixture { name: "capacity-providers-failing", end: End::Initial, world: with_fargate, ..PLAIN },
    Fixture { name: "capacity-providers-upgrade", world: with_fargate, ..PLAIN },
    Fixture { name: "container-instances", world: own_cluster, ..PLAIN },
];

/// Scenarios of machines that no emulator has services for: those outside AWS, and those that ECS starts itself
/// (`peers/gaps.rs` holds that moto takes none).
pub const MACHINES: [Fixture; 4] = [
    Fixture {
        name: "external",
        project: "plant",
        world: hall,
        behind: &[("shop-web", 2)],
        tasks: &[("plant_node-exporter", 2), ("plant_agent", 3)],
        ..PLAIN
    },
    Fixture {
        name: "external-failing",
        project: "plant",
        end: End::Initial,
        world: old_hall,
        behind: &[("shop-web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "managed-instances",
        project: "films",
        world: media,
        behind: &[("shop-api", 2), ("shop-web", 2)],
        ..PLAIN
    },
    Fixture {
        name: "managed-instances-failing",
        project: "films",
        end: End::Initial,
        world: old_media,
        behind: &[("shop-api", 2), ("shop-web", 2)],
        ..PLAIN
    },
];

/// Every scenario.
pub fn every() -> impl Iterator<Item = Fixture> {
    ASG.into_iter().chain(ALL).chain(HOSTS).chain(MACHINES)
}

/// A cluster without instances.
fn own_cluster(world: &mut World) {
    if let Some(cluster) = world.clusters.get("default").cloned() {
        world.clusters.insert("shop".to_owned(), cluster);
    }
}

/// A cluster without instances, with Fargate's capacity providers; the new version of the web component never answers its
/// health check.
fn with_fargate(world: &mut World) {
    failing(world);
    own_cluster(world);
    if let Some(cluster) = world.clusters.get_mut("shop") {
        cluster.capacity_providers = ["FARGATE", "FARGATE_SPOT"].map(str::to_owned).to_vec();
    }
    // Of this one ECS must not be told when the list of the others changes.
    managed(world, "shop", &[("media", "ON_DEMAND")]);
}

/// The new version of the web component never answers its health check.
fn failing(world: &mut World) {
    use belay_executor::simulator::world::{Behaviour, Image};
    let image = Image { behaviour: Behaviour::NeverHealthy, ..Image::default() };
    world.images.insert("shop/web:2.5.0-broken".to_owned(), image);
}

/// A namespace; the new version of the web component never answers its health check.
fn connected(world: &mut World) {
    use belay_executor::simulator::world::{Namespace, NamespaceKind};
    failing(world);
    let namespace =
        Namespace { name: "shop.internal".to_owned(), kind: NamespaceKind::DnsPrivate, created_at: world.now };
    world.namespaces.insert("ns-0a0000000000000a".to_owned(), namespace);
}

/// A private and a public hosted zone of one name; somebody else has a record in the private one.
fn zoned(world: &mut World) {
    use belay_executor::simulator::world::HostedZone;
    failing(world);
    let record = |name: &str, address: &str| json!({"Name": name, "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": address}]});
    for (id, private, records) in [
        ("Z0A00000000000000000A", true, vec![record("mail.prod.shop.internal.", "10.0.0.25")]),
        ("Z0B00000000000000000B", false, Vec::new()),
    ] {
        let zone = HostedZone { name: "shop.internal.".to_owned(), private, records };
        world.hosted_zones.insert(id.to_owned(), zone);
    }
}

/// Target groups in pairs, between which traffic is shifted. Nothing leads to those but `shop-api` yet.
fn pairs(world: &mut World) {
    let Some(like) = world.target_groups.get("unattached").cloned() else { return };
    for name in ["shop-blue", "shop-green", "docs-blue", "docs-green", "api-green"] {
        let mut group = like.clone();
        group.arn = group.arn.replace("unattached", name);
        world.target_groups.insert(name.to_owned(), group);
    }
}

/// A network load balancer with two listeners, each of which leads to a target group.
fn edge(world: &mut World) {
    use belay_executor::simulator::world::{HealthCheck, Listener, LoadBalancer};
    let (Some(group), Some(balancer)) =
        (world.target_groups.get("unattached").cloned(), world.load_balancers.get("shop").cloned())
    else {
        return;
    };
    let net = |arn: &str| arn.replace("app/shop/00000000007b0000", "net/edge/00000000007b0001");
    let mut listeners = Vec::new();
    for (at, (name, port)) in [("edge-broker", 1883), ("edge-idle", 9000)].into_iter().enumerate() {
        let mut made = group.clone();
        made.arn = group.arn.replace("unattached", name);
        made.protocol = "TCP".to_owned();
        made.port = port;
        made.health_check =
            HealthCheck { protocol: "TCP".to_owned(), path: None, matcher: None, ..made.health_check.clone() };
        listeners.push(Listener {
            arn: format!("{}{:016x}", net(&balancer.arn).replace(":loadbalancer/", ":listener/") + "/", 0x7c_0001 + at),
            port,
            protocol: "TCP".to_owned(),
            default_actions: vec![json!({
                "Type": "forward", "TargetGroupArn": made.arn, "Order": 1,
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": made.arn, "Weight": 1}],
                    "TargetGroupStickinessConfig": {"Enabled": false},
                },
            })],
            default_rule: None,
            certificates: Vec::new(),
            rules: Vec::new(),
            tags: Default::default(),
        });
        world.target_groups.insert(name.to_owned(), made);
    }
    let dns_name = balancer.dns_name.replacen("shop", "edge", 1).replacen(".elb.", ".elb-net.", 1);
    let edge = LoadBalancer {
        arn: net(&balancer.arn),
        kind: "network".to_owned(),
        security_groups: Vec::new(),
        dns_name,
        listeners,
        ..balancer
    };
    world.load_balancers.insert("edge".to_owned(), edge);
}

/// The new version answers its health checks and nothing else.
fn alarming(world: &mut World) {
    use belay_executor::simulator::world::Image;
    pairs(world);
    let image = Image { alarms: [("shop-api-5xx".to_owned(), 150)].into(), ..Image::default() };
    world.images.insert("shop/api:5.2.1".to_owned(), image);
}

/// Instances that run the new version never answer their load balancer.
fn broken(world: &mut World) {
    use belay_executor::simulator::world::{Behaviour, Image};
    let image = Image { behaviour: Behaviour::NeverHealthy, ..Image::default() };
    world.images.insert("shop/web:1.1-broken".to_owned(), image);
}

/// Two machines outside AWS are registered with the cluster, each with a line to the controllers of a plant.
fn hall(world: &mut World) {
    use belay_executor::simulator::world::{ContainerInstance, EXTERNAL};
    for (at, line) in ["bottles", "labels"].into_iter().enumerate() {
        let Some(like) = world.container_instances.values().next().cloned() else { return };
        let attributes = [("ecs.os-type", "linux"), ("ecs.cpu-architecture", "x86_64"), (EXTERNAL, ""), ("line", line)];
        let machine = ContainerInstance {
            ec2_instance_id: format!("mi-0b00000000000000{}", at + 1),
            availability_zone: String::new(),
            cpu: 4096,
            memory: 3840,
            task_interfaces: 0,
            private_ip: None,
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..like
        };
        world.container_instances.insert(format!("{:032x}", 0xe1_0000 + at), machine);
    }
}

/// The cluster has two capacity providers of instances that ECS starts itself, made beside Belay; one target group takes
/// addresses.
fn media(world: &mut World) {
    fargate(world);
    if let Some(group) = world.target_groups.get_mut("shop-web") {
        group.target_type = "instance".to_owned();
    }
    managed(world, "default", &[("media", "ON_DEMAND"), ("media-spot", "SPOT")]);
}

/// Gives a cluster capacity providers of instances that ECS starts itself.
fn managed(world: &mut World, cluster: &str, providers: &[(&str, &str)]) {
    use belay_executor::cloud::Cloud as _;
    let cloud = SimulatedCloud::new(world.clone());
    for (name, option) in providers {
        let network = json!({"subnets": ["subnet-0a000001", "subnet-0a000002"], "securityGroups": ["sg-0a000001"]});
        let template = json!({
            "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/ecsInstanceRole",
            "networkConfiguration": network, "capacityOptionType": option,
        });
        let role = "arn:aws:iam::123456789012:role/ecsInfrastructureRole";
        let input = json!({"name": name, "cluster": cluster, "managedInstancesProvider": {
            "infrastructureRoleArn": role, "instanceLaunchTemplate": template}});
        let answer = crate::pipeline::block_on(cloud.call("ecs", "CreateCapacityProvider", &input));
        answer.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    *world = cloud.world();
    world.log.clear();
}

/// The new encoder exits at once.
fn old_media(world: &mut World) {
    use belay_executor::simulator::world::{Behaviour, Image};
    media(world);
    let behaviour = Behaviour::Crash { after_seconds: 2, exit_code: 132, reason: None };
    world.images.insert("films/encoder:8.0.0-avx512".to_owned(), Image { behaviour, ..Image::default() });
}

/// The new collector exits when it reads a controller.
fn old_hall(world: &mut World) {
    use belay_executor::simulator::world::{Behaviour, Image};
    hall(world);
    let behaviour = Behaviour::Crash { after_seconds: 3, exit_code: 2, reason: None };
    world.images.insert("plant/collector:3.2.0-beta".to_owned(), Image { behaviour, ..Image::default() });
}

/// The tag has come to mean another image.
fn retagged(world: &mut World) {
    use belay_executor::simulator::world::Image;
    let digest = format!("sha256:{}", "5e".repeat(32));
    world.images.insert("shop/web:latest".to_owned(), Image { digest: Some(digest), ..Image::default() });
}

/// A service takes instances over.
fn destroyer(world: &mut World) {
    use belay_executor::simulator::world::HttpHandler;
    world.http_handlers.insert("http://destroyer.internal:8080/delayed-termination".to_owned(), HttpHandler::default());
}

/// Somebody else has made both groups: A runs the old image, B is set up for the new one.
fn made_beforehand(world: &mut World) {
    use belay_executor::cloud::{Clock as _, Cloud as _};
    let cloud = SimulatedCloud::new(world.clone());
    let call = |service: &str, operation: &str, input: serde_json::Value| {
        let answer = crate::pipeline::block_on(cloud.call(service, operation, &input));
        answer.unwrap_or_else(|e| panic!("{operation}: {e}"))
    };
    for (name, image, count) in [("shop.worker_A", "shop/worker:1.0", 2), ("shop.worker_B", "shop/worker:1.1", 0)] {
        let tag = |key: &str, value: &str| json!({"Key": key, "Value": value, "PropagateAtLaunch": true, "ResourceId": name, "ResourceType": "auto-scaling-group"});
        call(
            "ec2",
            "CreateLaunchTemplate",
            json!({"LaunchTemplateName": name, "LaunchTemplateData": {"ImageId": "ami-0a000001", "InstanceType": "t3.micro"}}),
        );
        call(
            "autoscaling",
            "CreateAutoScalingGroup",
            json!({"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"},
                "MinSize": count, "MaxSize": count, "DesiredCapacity": count, "LoadBalancerNames": ["shop-classic"],
                "VPCZoneIdentifier": "subnet-0a000001,subnet-0a000002",
                "Tags": [tag("skopos:comp_name", "worker"), tag("skopos:image_id", image)]}),
        );
    }
    crate::pipeline::block_on(cloud.wait_until(cloud.now() + 600_000));
    *world = cloud.world();
    world.log.clear();
}

/// Images of tasks that run once end by themselves, one of them in vain.
fn tasks(world: &mut World) {
    use belay_executor::simulator::world::{Behaviour, Image};
    let mut ends = |image: &str, exit_code: i64, output: &[&str]| {
        let behaviour = Behaviour::Crash { after_seconds: 20, exit_code, reason: None };
        let output = output.iter().map(|line| (*line).to_owned()).collect();
        world.images.insert(image.to_owned(), Image { behaviour, output, ..Image::default() });
    };
    for version in ["2.4.0", "2.5.0"] {
        ends(&format!("shop/migrate:{version}"), 0, &["2 migrations to run", "done"]);
        ends(&format!("shop/smoke:{version}"), 0, &[]);
    }
    let says =
        ["1 migration to run", "ALTER TABLE orders ADD COLUMN tax numeric", "ERROR: relation \"orders\" is locked"];
    ends("shop/migrate:2.5.1-locked", 3, &says);
    if let Some(image) = world.images.get_mut("shop/migrate:2.5.1-locked") {
        image.overridden = Some(Behaviour::Crash { after_seconds: 5, exit_code: 0, reason: None });
    }
}

/// The cluster has Fargate's capacity providers, and two target groups take addresses.
fn fargate(world: &mut World) {
    if let Some(cluster) = world.clusters.get_mut("default") {
        cluster.capacity_providers = ["FARGATE", "FARGATE_SPOT"].map(str::to_owned).to_vec();
    }
    world.quotas = [("L-3032A538".to_owned(), 64.0), ("L-36FBB829".to_owned(), 64.0)].into();
    for name in ["shop-web", "shop-api"] {
        if let Some(group) = world.target_groups.get_mut(name) {
            group.target_type = "ip".to_owned();
        }
    }
}

/// The same, and the new version of the web component never answers its health check.
fn fargate_failing(world: &mut World) {
    failing(world);
    fargate(world);
}

/// The folder of all fixtures.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A file of a fixture.
///
/// # Panics
/// When it cannot be read.
pub fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

impl Fixture {
    /// The scenario of that name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(name: &str) -> Self {
        match every().find(|f| f.name == name) {
            Some(fixture) => fixture,
            None => panic!("no fixture is called {name}"),
        }
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        root().join(self.name)
    }

    /// What is compiled.
    pub fn inputs(&self) -> Inputs {
        self.inputs_in(&self.dir(), self.mode)
    }

    fn inputs_in(&self, dir: &Path, mode: Mode) -> Inputs {
        let file = |name: &str| (name.to_owned(), read(&dir.join(name)));
        Inputs {
            project: self.project.to_owned(),
            model: file("model.yaml"),
            environments: self.environments.iter().map(|name| file(name)).collect(),
            mode,
            replace_all: false,
            only: Vec::new(),
            adopt: Vec::new(),
        }
    }

    /// The world that it starts in: the default account, with what `start` says already deployed.
    ///
    /// # Panics
    /// When the start cannot be deployed.
    pub fn start(&self, journal: &Path) -> World {
        let mut world = World::default_account();
        (self.world)(&mut world);
        let start = self.dir().join("start");
        if start.is_dir() {
            let inputs = self.inputs_in(&start, Mode::Deploy);
            let cloud = Arc::new(SimulatedCloud::new(world));
            // The scenario "pinned" starts with a service that was made before its image's digest was known.
            let plan = if self.name == "pinned" { unpinned(&inputs, &cloud) } else { inputs.plan(&cloud) };
            let plan = plan.unwrap_or_else(|e| panic!("{}: the start does not compile:\n{e}", self.name));
            let status = apply(&cloud, &plan, journal, "start").unwrap_or_else(|e| panic!("{}: {e}", self.name));
            assert_eq!(status.outcome, Some(Outcome::Done), "{}: the start is not deployed: {status:#?}", self.name);
            world = cloud.world();
            world.log.clear();
        }
        (self.then)(&mut world);
        world
    }
}

/// A plan whose images name their tags only, as when the registry could not be reached.
fn unpinned(inputs: &Inputs, cloud: &Arc<SimulatedCloud>) -> Result<belay_schemas::plan::Plan, String> {
    let mut observed = inputs.observe(cloud)?;
    for image in observed.images.values_mut() {
        image.digest = None;
        image.error = Some("the registry could not be reached".to_owned());
    }
    inputs.compile(Some(&observed)).map(|(plan, _)| plan)
}

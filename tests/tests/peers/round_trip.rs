//! The whole way over real HTTP, with the built programs in a cleared environment, for every fixture: observe, compile,
//! apply, observe again, nothing left to do. What came of it is read through botocore, not through Belay.

use std::collections::BTreeMap;
use std::thread;

use belay_executor::simulator::World;
use belay_schemas::plan::{Mode, Plan};
use belay_tests::account::Account;
use belay_tests::compare::assert_same;
use belay_tests::fixtures::{ALL, End, Fixture, read};
use belay_tests::python::peers;
use belay_tests::servers::{Emulator, PeerError};
use belay_tests::site::Site;
use serde_json::{Value, json};

use crate::{emulator, listed};

/// How many healthy targets each fixture leaves behind a load balancer: target groups, then classic ones.
const BEHIND: [(&str, &[(&str, usize)]); 20] = [
    ("blue-green", &[("shop-blue", 0), ("shop-green", 2), ("docs-blue", 1), ("docs-green", 0)]),
    ("canary", &[("shop-api", 0), ("api-green", 2)]),
    ("canary-failing", &[("shop-api", 2), ("api-green", 0)]),
    ("classic", &[("shop-classic", 2), ("internal-api", 2)]),
    ("failing", &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)]),
    ("fargate", &[("shop-web", 2), ("shop-api", 2)]),
    ("gateway-change", &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 2)]),
    ("orphan", &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)]),
    ("pinned", &[("shop-api", 2)]),
    ("placement", &[]),
    ("rules", &[]),
    ("scale", &[("shop-web", 1), ("shop-api", 2), ("shop-admin", 1)]),
    ("shop", &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)]),
    ("sidecars", &[("shop-api", 2)]),
    ("tasks", &[]),
    ("tasks-failing", &[]),
    ("target-groups", &[("store-web", 2), ("store-api-8080", 2), ("store-docs", 1)]),
    ("target-groups-failing", &[("store-web", 2)]),
    ("teardown", &[("shop-web", 0), ("shop-api", 0), ("shop-admin", 0)]),
    ("upgrade", &[("shop-web", 2), ("shop-api", 2), ("shop-admin", 1)]),
];

/// Fixtures of virtual machines name AMIs, and moto gives every AMI an id of its own making; their way over HTTP was walked
/// by hand only.
fn on_auto_scaling(fixture: &Fixture) -> bool {
    fixture.name.starts_with("asg-") || fixture.name == "both-plugins"
}

/// Fixtures whose components find each other through Cloud Map have not been taken round yet: the shim registers no tasks
/// there. Their calls are made one by one in proxy.rs.
fn names_each_other(fixture: &Fixture) -> bool {
    fixture.name.starts_with("cloud-map") || fixture.name.starts_with("service-connect")
}

/// How many tasks a service has that does not say it in the model: one on each instance, or what the load asks for.
const COUNTS: [(&str, &str, u64); 3] =
    [("fargate", "shop_web", 2), ("placement", "ops_datadog", 3), ("placement", "ops_logspout", 3)];

#[test]
fn every_fixture_of_services_makes_its_round_trip_on_moto() {
    let (server, client) = emulator(Emulator::Shimmed);
    let failed: Vec<&str> = thread::scope(|scope| {
        // Waits take no processor time, so all go at once, each in an account of its own.
        let running: Vec<_> = ALL
            .iter()
            .enumerate()
            .filter(|(_, fixture)| !on_auto_scaling(fixture) && !names_each_other(fixture))
            .map(|(number, fixture)| {
                let account = format!("{:012}", 111_111_111_100 + number);
                let trip = move || {
                    round_trip(fixture, server.endpoint(), &Account::new(Emulator::Shimmed, client, &account));
                };
                let started = thread::Builder::new().name(fixture.name.to_owned()).spawn_scoped(scope, trip);
                (fixture.name, started.unwrap())
            })
            .collect();
        running.into_iter().filter_map(|(name, trip)| trip.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "{failed:?} failed; each panic above begins with its name");
}

/// ministack has neither container instances nor target groups that know their load balancer, so none of the fixtures can
/// be compiled for it; Fargate needs neither.
#[test]
fn services_on_fargate_are_deployed_updated_and_torn_down_on_ministack() {
    let (server, client) = emulator(Emulator::Ministack);
    let account = Account::new(Emulator::Ministack, client, "111111111199");
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    let subnets = account.must("ec2", "DescribeSubnets", &json!({}));
    let site = Site::bare(server.endpoint(), &account, "shop", Mode::Deploy);
    let images = site.take(&peers().join("fargate"));
    let subnet = subnets["Subnets"][0]["SubnetId"].as_str().unwrap();
    let model = read(&site.path("model.yaml")).replace("${subnet}", subnet);
    let mut digests: Vec<String> = images.iter().map(|image| account.push(image)).collect();

    site.write("model.yaml", &model);
    assert!(!site.plan().nodes.is_empty());
    assert_eq!(site.must("belay", &["verify", "plan.json"]).code, 0);
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(running(&account), [("shop_api", 2, &digests[0]), ("shop_worker", 1, &digests[1])].map(told));
    assert_eq!(left(&site.plan()), [""; 0]);

    digests[0] = account.push("shop/api:1.1");
    site.write("model.yaml", &model.replace("shop/api:1.0", "shop/api:1.1"));
    let plan = site.plan();
    assert!(plan.nodes.iter().any(|node| node.id == "api.service.update"), "an update");
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(running(&account), [("shop_api", 2, &digests[0]), ("shop_worker", 1, &digests[1])].map(told));
    assert_eq!(left(&site.plan()), [""; 0]);

    assert!(!site.plan_in(Mode::Teardown).nodes.is_empty());
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(running(&account), [""; 0]);
    assert_eq!(left(&site.plan_in(Mode::Teardown)), [""; 0]);
}

/// What a plan would do, and why.
fn left(plan: &Plan) -> Vec<String> {
    plan.nodes.iter().map(|node| format!("{}: {:?}", node.summary, node.why)).collect()
}

fn told((name, count, digest): (&str, u64, &String)) -> String {
    format!("{name} {count} {digest}")
}

/// The ACTIVE services with their running tasks and their image's digest.
fn running(account: &Account) -> Vec<String> {
    let mut all = Vec::new();
    for arn in listed(account, "ListServices", "serviceArns", json!({"cluster": "default"})) {
        let found = account.must("ecs", "DescribeServices", &json!({"cluster": "default", "services": [arn]}));
        let service = &found["services"][0];
        let definition = definition(account, &service["taskDefinition"]);
        let image = definition["containerDefinitions"][0]["image"].as_str().unwrap_or_default().to_owned();
        let digest = image.split_once('@').map(|(_, digest)| digest.to_owned()).unwrap_or(image);
        let count = service["runningCount"].as_u64().unwrap_or_default();
        if service["status"] == "ACTIVE" {
            all.push(told((service["serviceName"].as_str().unwrap_or_default(), count, &digest)));
        }
    }
    all.sort();
    all
}

fn round_trip(fixture: &Fixture, endpoint: &str, account: &Account) {
    let mut world = World::default_account();
    (fixture.world)(&mut world);
    let mut instead = account.seed(&world);
    // moto's VPC has no name.
    let vpcs = account.must("ec2", "DescribeVpcs", &json!({}));
    instead.push(("vpc: default".to_owned(), format!("vpc: {}", vpcs["Vpcs"][0]["VpcId"].as_str().unwrap())));
    account.seed_namespaces(&world);
    let site = Site::new(fixture, endpoint, account).calling(instead);
    let start = fixture.dir().join("start");
    if start.is_dir() {
        let images = site.take(&start);
        images.iter().for_each(|image| drop(account.push(image)));
        site.observe(Mode::Deploy);
        if fixture.name == "pinned" {
            forget_digests(&site);
        }
        site.compile(Mode::Deploy, &[]);
        let done = site.apply();
        assert_eq!(done.code, 0, "the start is not deployed:\n{}", done.stderr);
    }

    let images = site.take(&fixture.dir());
    let digests: BTreeMap<String, String> = images.iter().map(|image| (image.clone(), account.push(image))).collect();
    let reason = match fixture.name {
        "tasks-failing" => "container migrate exited with code 1",
        _ => "Task failed ELB health checks",
    };
    // The simulated AWS lets an alarm go off for this one; here its tasks end as soon as they start.
    let broken = ["-broken", "-locked", "shop/api:5.2.1"];
    if let Some(broken) = digests.iter().find(|(image, _)| broken.iter().any(|end| image.ends_with(end))) {
        account.server("/shim/failing", Some(&json!({broken.1: reason})));
    }
    let before = state(account);
    let plan = site.plan();
    assert!(!plan.nodes.is_empty());
    site.must("belay", &["verify", "plan.json"]);
    let done = site.apply();
    let status: Value = serde_json::from_str(&site.must("belay", &["status", "--format", "json"]).stdout).unwrap();
    match fixture.end {
        End::Target => {
            assert_eq!(done.code, 0, "{}", done.stderr);
            as_the_model_says(&site, fixture, account, &digests);
            let again = site.plan();
            assert_eq!(left(&again), [""; 0], "still to do");
        }
        End::Initial => {
            assert_eq!(done.code, 3, "{}", done.stderr);
            assert!(done.stderr.contains(reason), "no reason is given:\n{}", done.stderr);
            assert_same("the state before", &state(account), &before);
        }
    }
    assert_eq!(status["verdict"]["exitCode"], json!(done.code), "{status}");
    behind(fixture, account);
}

/// As when the registry could not be reached while the start was compiled: its service names a mutable tag.
fn forget_digests(site: &Site) {
    let mut observed = site.json("observed.json");
    for image in observed["images"].as_object_mut().unwrap().values_mut() {
        *image = json!({"error": "the registry could not be reached"});
    }
    site.write("observed.json", &observed.to_string());
}

/// Every service of the model runs what the model says, and there is no other one.
fn as_the_model_says(site: &Site, fixture: &Fixture, account: &Account, digests: &BTreeMap<String, String>) {
    let model: Value = serde_yaml::from_str(&read(&site.path("model.yaml"))).unwrap();
    let mut wanted: Vec<String> = Vec::new();
    let state = state(account);
    let components = model["components"].as_object().unwrap();
    let serves = |said: &Value| {
        let own = &said["plugin"]["ec2-ecs"];
        own["once"].is_null() && own["schedule"].is_null()
    };
    for (component, said) in components.iter().filter(|(_, said)| fixture.mode == Mode::Deploy && serves(said)) {
        let name = format!("{}_{component}", fixture.project);
        let service = &state["services"][&name];
        assert_eq!(service["status"], "ACTIVE", "{name}: {state:#}");
        let count = COUNTS.iter().find(|(of, service, _)| *of == fixture.name && *service == name);
        let replicas = count.map_or_else(|| said["replicas"].as_u64().unwrap_or(1), |(_, _, count)| *count);
        for count in ["desiredCount", "runningCount"] {
            assert_eq!(service[count], json!(replicas), "{name} {count}");
        }
        let (image, registry) = (said["image"].as_str().unwrap(), account.registry());
        let (repository, _) = image.rsplit_once(':').unwrap();
        let digest = &digests[image.strip_prefix(&format!("{registry}/")).unwrap()];
        let containers = &service["taskDefinition"]["containerDefinitions"];
        let main = containers.as_array().unwrap().iter().find(|one| one["name"] == json!(component)).unwrap();
        assert_eq!(main["image"], json!(format!("{repository}@{digest}")), "{name}");
        assert_eq!(service["deployments"], 1, "{name}");
        wanted.push(name);
    }
    let running: Vec<&String> = state["services"].as_object().unwrap().keys().collect();
    assert_eq!(running, wanted.iter().collect::<Vec<_>>());
    if fixture.mode == Mode::Teardown {
        assert_eq!(state["taskDefinitions"], json!([]), "revisions are left");
    }
}

fn behind(fixture: &Fixture, account: &Account) {
    let (_, groups) = BEHIND.iter().find(|(name, _)| *name == fixture.name).unwrap();
    for (name, count) in *groups {
        let healthy = if fixture.name == "classic" {
            let found = account.must("elb", "DescribeInstanceHealth", &json!({"LoadBalancerName": name}));
            found["InstanceStates"].as_array().unwrap().iter().filter(|one| one["State"] == "InService").count()
        } else {
            let found = account.must("elbv2", "DescribeTargetGroups", &json!({"Names": [name]}));
            let group = json!({"TargetGroupArn": found["TargetGroups"][0]["TargetGroupArn"]});
            let health = account.must("elbv2", "DescribeTargetHealth", &group);
            let all = health["TargetHealthDescriptions"].as_array().unwrap().clone();
            all.iter().filter(|one| one["TargetHealth"]["State"] == "healthy").count()
        };
        assert_eq!(healthy, *count, "targets behind {name}");
    }
}

/// What runs in the cluster and which revisions are registered, without ids, numbers and moments.
fn state(account: &Account) -> Value {
    // A look more, so that what is going on has come to its end.
    let mut services = BTreeMap::new();
    for _ in 0..3 {
        services.clear();
        for arn in listed(account, "ListServices", "serviceArns", json!({"cluster": "default"})) {
            let wanted = json!({"cluster": "default", "services": [arn], "include": ["TAGS"]});
            let mut found = account.must("ecs", "DescribeServices", &wanted);
            let mut service = found["services"][0].take();
            let deployments = service["deployments"].as_array().map(Vec::len);
            service["taskDefinition"] = definition(account, &service["taskDefinition"]);
            let object = service.as_object_mut().unwrap();
            for moving in ["createdAt", "events", "currentServiceRevisions", "currentServiceDeployment"] {
                object.remove(moving);
            }
            object.insert("deployments".to_owned(), json!(deployments));
            services.insert(object["serviceName"].as_str().unwrap().to_owned(), service);
        }
    }
    let mut definitions: Vec<Value> = listed(account, "ListTaskDefinitions", "taskDefinitionArns", json!({}))
        .iter()
        .map(|arn| definition(account, arn))
        .collect();
    definitions.sort_by_key(Value::to_string);
    json!({"services": services, "taskDefinitions": definitions})
}

fn definition(account: &Account, arn: &Value) -> Value {
    let wanted = json!({"taskDefinition": arn, "include": ["TAGS"]});
    let found: Result<Value, PeerError> = account.call("ecs", "DescribeTaskDefinition", &wanted);
    let mut found = found.unwrap_or_else(|error| panic!("{arn}: {error}"));
    let told = found["taskDefinition"].as_object_mut().unwrap();
    for moving in ["taskDefinitionArn", "revision", "registeredAt", "registeredBy"] {
        told.remove(moving);
    }
    let mut definition = found["taskDefinition"].take();
    definition["tags"] = found["tags"].take();
    definition
}

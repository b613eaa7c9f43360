//! The whole way over real HTTP, with the built programs in a cleared environment, for every fixture: observe, compile,
//! apply, observe again, nothing left to do. What came of it is read through botocore, not through Belay.

use std::collections::BTreeMap;
use std::thread;

use belay_executor::simulator::World;
use belay_executor::simulator::world::{Behaviour, Image};
use belay_schemas::plan::{Mode, Plan};
use belay_tests::account::Account;
use belay_tests::compare::assert_same;
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{ALL, End, Fixture, every, read};
use belay_tests::python::peers;
use belay_tests::servers::{Emulator, PeerError};
use belay_tests::site::Site;
use serde_json::{Value, json};

use crate::{emulator, listed, shimmed};

#[test]
fn fixtures_of_services_make_their_round_trip_on_moto() {
    let fixtures = OneIn { quick: 4, ci: 1 }.of(&ALL);
    let failed: Vec<&str> = thread::scope(|scope| {
        // Waits take no processor time, so all go at once, each in an account of its own.
        let running: Vec<_> = fixtures
            .iter()
            .enumerate()
            .map(|(number, fixture)| {
                let account = format!("{:012}", 111_111_111_100 + number);
                let trip = move || {
                    let (server, client) = shimmed(number);
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

/// The fixtures that make their round trip on ministack.
const ON_MINISTACK: [&str; 1] = ["environments/staging"];

/// Why a fixture makes no round trip on ministack, in the words of what it lacks; nothing if it does. Where such things are
/// covered instead is in gaps.rs, where the lacks are also held to be true.
fn lacks_on_ministack(fixture: &Fixture) -> Vec<&'static str> {
    let text = |file: &str| read(&fixture.dir().join(file));
    let (plan, observed) = (text("plan.json"), text("observed.json"));
    let has = |what: &str| plan.contains(what) || observed.contains(what);
    let lacks = [
        (on_instances(&plan) || on_instances(&observed), "container instances"),
        (has("\"application-autoscaling\""), "Application Auto Scaling"),
        (has("\"autoscaling\""), "what groups of instances need"),
        (has("\"volumeConfigurations\""), "disks of tasks: it does not keep them"),
        (fixture.end == End::Initial, "deployments that fail"),
    ];
    lacks.into_iter().filter_map(|(lacks, what)| lacks.then_some(what)).collect()
}

/// Whether a document holds a task definition that is not one of Fargate.
fn on_instances(document: &str) -> bool {
    fn looks(value: &Value) -> bool {
        match value {
            Value::Object(members) => {
                let defines = members.contains_key("containerDefinitions");
                let fargate =
                    value["requiresCompatibilities"].as_array().is_some_and(|all| all.contains(&json!("FARGATE")));
                (defines && !fargate) || members.values().any(looks)
            }
            Value::Array(items) => items.iter().any(looks),
            _ => false,
        }
    }
    looks(&serde_json::from_str(document).unwrap())
}

/// Everything that it could run, it runs.
#[test]
fn fixtures_make_their_round_trip_on_ministack_or_need_what_it_lacks() {
    let able: Vec<&str> = every().filter(|f| lacks_on_ministack(f).is_empty()).map(|f| f.name).collect();
    assert_eq!(able, ON_MINISTACK);
    let (server, client) = emulator(Emulator::Ministack);
    for (number, name) in ON_MINISTACK.into_iter().enumerate() {
        let account = Account::new(Emulator::Ministack, client, &format!("{:012}", 111_111_111_150 + number));
        round_trip(&Fixture::named(name), server.endpoint(), &account);
    }
}

/// The same with a model that is made for it, from its first deployment to its end.
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
    if account.emulator() == Emulator::Ministack {
        // What it does not keep would stay to be done.
        let (setting, spot) = ("placement: {zone_rebalancing: false}", "worker: {capacity: [{provider: FARGATE_SPOT}]");
        instead.push((spot.to_owned(), format!("api: {{{setting}}}\n      {spot}, {setting}")));
        // Its tasks have no addresses, so that nothing answers behind their load balancer but what is put there by hand.
        for (name, count) in fixture.behind {
            let found = account.must("elbv2", "DescribeTargetGroups", &json!({"Names": [name]}));
            let targets: Vec<Value> =
                (0..*count).map(|number| json!({"Id": format!("10.0.0.{}", 10 + number)})).collect();
            if !targets.is_empty() {
                let input = json!({"TargetGroupArn": found["TargetGroups"][0]["TargetGroupArn"], "Targets": targets});
                account.must("elbv2", "RegisterTargets", &input);
            }
        }
    }
    for namespace in world.namespaces.values() {
        account.namespace(&namespace.name, namespace.kind);
    }
    let site = Site::new(fixture, endpoint, account).calling(instead);
    let start = fixture.sources().join("start");
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

    let images = site.take(&fixture.sources());
    let digests: BTreeMap<String, String> = images.iter().map(|image| (image.clone(), account.push(image))).collect();
    let failing = digests.iter().find_map(|(image, digest)| Some((digest, fails(world.images.get(image)?)?)));
    if let Some((digest, (reason, _))) = &failing {
        account.server("/shim/failing", Some(&json!({*digest: reason})));
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
            let (_, (_, told)) = failing.expect("an image that fails");
            assert!(done.stderr.contains(&told), "no reason is given:\n{}", done.stderr);
            assert_same("the state before", &state(account), &before);
        }
    }
    assert_eq!(status["verdict"]["exitCode"], json!(done.code), "{status}");
    behind(fixture, account);
}

/// Why tasks of an image fail, as the shim takes it and as Belay tells it; nothing if they work.
fn fails(image: &Image) -> Option<(String, String)> {
    let same = |reason: &str| Some((reason.to_owned(), reason.to_owned()));
    match (&image.behaviour, image.alarms.keys().next()) {
        (Behaviour::NeverHealthy, _) => same("Task failed ELB health checks"),
        // The shim's tasks that run once know one exit code beside 0.
        (Behaviour::Crash { exit_code, .. }, _) if *exit_code != 0 => {
            Some(("Essential container in task exited".to_owned(), "exited with code 1".to_owned()))
        }
        (_, Some(alarm)) => Some((format!("ALARM {alarm}"), "an alarm went off".to_owned())),
        _ => None,
    }
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
        let counted = fixture.tasks.iter().find(|(service, _)| *service == name);
        let replicas = counted.map_or_else(|| said["replicas"].as_u64().unwrap_or(1), |(_, count)| *count as u64);
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
    rules_are_there(site, fixture, &state["around"]["rules"]);
    records_are_there(site, fixture, &state["around"]["records"]);
    let running: Vec<&String> = state["services"].as_object().unwrap().keys().collect();
    assert_eq!(running, wanted.iter().collect::<Vec<_>>());
    if fixture.mode == Mode::Teardown {
        assert_eq!(state["taskDefinitions"], json!([]), "revisions are left");
    }
}

fn behind(fixture: &Fixture, account: &Account) {
    for (name, count) in fixture.behind {
        let classic = account.call("elb", "DescribeLoadBalancers", &json!({"LoadBalancerNames": [name]}));
        let balancers = classic.ok().and_then(|found| found["LoadBalancerDescriptions"].as_array().map(Vec::len));
        let healthy = if balancers.is_some_and(|count| count > 0) {
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
    let names = names(account);
    let count = |one: &Value| one["instances"].as_array().map_or(0, Vec::len);
    let registered: Vec<(&str, usize)> =
        names.as_object().unwrap().iter().map(|(name, one)| (name.as_str(), count(one))).collect();
    assert_eq!(registered, fixture.registered, "instances registered under each name");
}

/// The listener of a network load balancer leads to the target group that Belay made for it.
fn leads(fixture: &Fixture, rule: &Value, said: &Value, rules: &Value) {
    let gateway = rule["to"].as_str().unwrap();
    let group = format!(":targetgroup/{}-{}/", fixture.project, said["lb"][gateway].as_str().unwrap());
    let rules = rules.as_array().unwrap().iter().filter(|one| one["IsDefault"] == json!(true));
    let led = rules.flat_map(|one| one["Actions"].as_array().unwrap());
    let mut groups = led.flat_map(|action| action["ForwardConfig"]["TargetGroups"].as_array().unwrap());
    assert!(groups.any(|one| one["TargetGroupArn"].as_str().unwrap().contains(&group)), "nothing leads to {group}");
}

/// Every rule of the environments has its place, its hosts and its paths.
fn rules_are_there(site: &Site, fixture: &Fixture, rules: &Value) {
    let values = |rule: &Value, field: &str| -> Vec<Value> {
        let conditions = rule["Conditions"].as_array().unwrap().iter().filter(|one| one["Field"] == field);
        conditions.flat_map(|one| one["Values"].as_array().unwrap().clone()).collect()
    };
    for file in fixture.environments.iter().filter(|_| fixture.mode == Mode::Deploy) {
        let said: Value = serde_yaml::from_str(&read(&site.path(file))).unwrap();
        for (name, rule) in said["plugin_config"]["ec2-ecs"]["rules"].as_object().into_iter().flatten() {
            let Some(place) = rule["priority"].as_u64().map(|place| place.to_string()) else {
                leads(fixture, rule, &said["plugin_config"]["ec2-ecs"], rules);
                continue;
            };
            let found = rules.as_array().unwrap().iter().find(|one| one["Priority"] == json!(place));
            let found = found.unwrap_or_else(|| panic!("no rule has the place of {name}: {rules:#}"));
            let said = |key: &str| rule[key].as_array().cloned().unwrap_or_default();
            let is = (values(found, "host-header"), values(found, "path-pattern"));
            assert_eq!(is, (said("host"), said("path")), "{name}");
        }
    }
}

/// Every component with a load balancer of its own has its record, and beside what others have there is no other one.
fn records_are_there(site: &Site, fixture: &Fixture, zones: &Value) {
    let said: Value = serde_yaml::from_str(&read(&site.path(fixture.environments[0]))).unwrap();
    let own = &said["plugin_config"]["ec2-ecs"];
    if own["discovery_records"].is_null() {
        return;
    }
    let components = own["lb"].as_object().unwrap().keys();
    let mut wanted: Vec<String> =
        components.map(|name| format!("{name}.{}.", own["discovery_zone"].as_str().unwrap())).collect();
    wanted.push("mail.prod.shop.internal.".to_owned());
    wanted.sort();
    let sets = zones.as_array().unwrap().iter().flat_map(|zone| zone[1].as_array().unwrap());
    let named: Vec<String> = sets
        .clone()
        .filter(|set| set["Type"] == "A")
        .map(|set| set["Name"].as_str().unwrap().to_owned())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(named, wanted);
    assert_eq!(sets.filter(|set| set["Type"] == "TXT").count(), wanted.len() - 1);
}

/// Cloud Map services with what is registered.
fn names(account: &Account) -> Value {
    let mut names = BTreeMap::new();
    for listed in account.must("servicediscovery", "ListServices", &json!({}))["Services"].as_array().unwrap() {
        let (name, id) = (listed["Name"].as_str().unwrap(), &listed["Id"]);
        let told = account.must("servicediscovery", "GetService", &json!({"Id": id}));
        let found = account.must("servicediscovery", "ListInstances", &json!({"ServiceId": id}));
        names
            .insert(name.to_owned(), json!({"records": told["Service"]["DnsConfig"], "instances": found["Instances"]}));
    }
    json!(names)
}

/// Records, target groups, the rules of listeners, schedules, rules of EventBridge and names.
fn around(account: &Account) -> Value {
    let elb = |operation: &str, input: Value, member: &str| {
        account.must("elbv2", operation, &input)[member].as_array().unwrap().clone()
    };
    let mut groups = Vec::new();
    for group in elb("DescribeTargetGroups", json!({}), "TargetGroups") {
        let of = json!({"TargetGroupArn": group["TargetGroupArn"]});
        groups.push(json!([group, elb("DescribeTargetGroupAttributes", of, "Attributes")]));
    }
    let mut rules = Vec::new();
    for balancer in elb("DescribeLoadBalancers", json!({}), "LoadBalancers") {
        let of = json!({"LoadBalancerArn": balancer["LoadBalancerArn"]});
        for listener in elb("DescribeListeners", of, "Listeners") {
            for mut rule in elb("DescribeRules", json!({"ListenerArn": listener["ListenerArn"]}), "Rules") {
                // One group can be written in two ways.
                for action in rule["Actions"].as_array_mut().unwrap() {
                    if let Some(group) = action.as_object_mut().unwrap().remove("TargetGroupArn") {
                        action["ForwardConfig"]["TargetGroups"] = json!([{"TargetGroupArn": group, "Weight": 1}]);
                    }
                }
                rules.push(rule);
            }
        }
    }
    rules.sort_by_key(|rule| rule["RuleArn"].to_string());
    let mut schedules = Vec::new();
    for one in account.must("scheduler", "ListSchedules", &json!({}))["Schedules"].as_array().unwrap() {
        let of = json!({"Name": one["Name"], "GroupName": one["GroupName"]});
        let mut told = account.must("scheduler", "GetSchedule", &of);
        for moving in ["CreationDate", "LastModificationDate"] {
            told.as_object_mut().unwrap().remove(moving);
        }
        schedules.push(told);
    }
    let mut event_rules = Vec::new();
    for rule in account.must("events", "ListRules", &json!({}))["Rules"].as_array().unwrap() {
        let targets = account.must("events", "ListTargetsByRule", &json!({"Rule": rule["Name"]}));
        let tags = account.must("events", "ListTagsForResource", &json!({"ResourceARN": rule["Arn"]}));
        event_rules.push(json!([rule, targets["Targets"], tags["Tags"]]));
    }
    let mut names = names(account);
    for one in names.as_object_mut().unwrap().values_mut() {
        // Tasks have been replaced by others.
        one["instances"] = json!(one["instances"].as_array().unwrap().len());
    }
    let mut records = Vec::new();
    for zone in account.must("route53", "ListHostedZones", &json!({}))["HostedZones"].as_array().unwrap() {
        let found = account.must("route53", "ListResourceRecordSets", &json!({"HostedZoneId": zone["Id"]}));
        records.push(json!([zone["Name"], found["ResourceRecordSets"]]));
    }
    json!({"records": records, "groups": groups, "rules": rules, "schedules": schedules, "event rules": event_rules, "names": names})
}

/// What runs in all clusters and which revisions are registered, without ids, numbers and moments.
fn state(account: &Account) -> Value {
    // A look more, so that what is going on has come to its end.
    let mut services = BTreeMap::new();
    for _ in 0..3 {
        services.clear();
        let clusters = listed(account, "ListClusters", "clusterArns", json!({}));
        let all = clusters.iter().flat_map(|cluster| {
            let arns = listed(account, "ListServices", "serviceArns", json!({"cluster": cluster}));
            arns.into_iter().map(move |arn| (cluster, arn))
        });
        for (cluster, arn) in all {
            let wanted = json!({"cluster": cluster, "services": [arn], "include": ["TAGS"]});
            let mut found = account.must("ecs", "DescribeServices", &wanted);
            let mut service = found["services"][0].take();
            let deployments = service["deployments"].as_array().map(Vec::len);
            service["taskDefinition"] = definition(account, &service["taskDefinition"]);
            let object = service.as_object_mut().unwrap();
            for moving in ["createdAt", "events", "currentServiceRevisions", "currentServiceDeployment"] {
                object.remove(moving);
            }
            // Tags have no order: one that was taken away and given back stands last.
            if let Some(tags) = object.get_mut("tags").and_then(Value::as_array_mut) {
                tags.sort_by_key(|tag| tag["key"].to_string());
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
    json!({"services": services, "taskDefinitions": definitions, "around": around(account)})
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

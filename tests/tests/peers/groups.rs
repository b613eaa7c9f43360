//! Auto Scaling over real HTTP, with the built programs in a cleared environment, for every fixture of it: deployed,
//! upgraded, taken back, torn down; and nothing is there but what the plans say. What came of it is read through botocore,
//! not through Belay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use belay_executor::simulator::World;
use belay_schemas::plan::{Mode, Phase, Plan};
use belay_tests::account::Account;
use belay_tests::compare::assert_same;
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{ASG, End, Fixture, read};
use belay_tests::loopback::{Loopback, Response};
use belay_tests::pipeline::block_on;
use belay_tests::registry::{DockerRegistry, PASSWORD, USER};
use belay_tests::servers::Emulator;
use belay_tests::site::Site;
use serde_json::{Value, json};

use crate::pusher::Pusher;
use crate::{emulator, shimmed};

/// Reason that instances give which never answer.
const SICK: &str = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.";

#[test]
fn fixtures_of_groups_make_their_round_trip_on_moto() {
    let fixtures = OneIn { quick: 4, ci: 1 }.of(&ASG);
    let failed: Vec<&str> = thread::scope(|scope| {
        // Waits take no processor time, so all go at once, each in an account of its own.
        let running: Vec<_> = fixtures
            .iter()
            .enumerate()
            .map(|(number, fixture)| {
                let account = format!("{:012}", 555_555_555_500_u64 + number as u64);
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

/// A site for a fixture of virtual machines, whose delegated destroy goes to a handler of this machine.
pub fn site(fixture: &Fixture, endpoint: &str, account: &Account, handler: &Loopback) -> Site {
    let world = World::default_account();
    account.seed(&world);
    let mut instead = account.seed_machines(&world);
    instead.push(("http://destroyer.internal:8080".to_owned(), handler.url()));
    if fixture.name == "asg-pre-created" {
        made_beforehand(account, &instead);
    }
    if fixture.end == End::Initial {
        // What is certain to fail is waited for as short as the load balancer's checks allow.
        let lb = "    lb: {front: shop-classic}\n";
        instead.push((lb.to_owned(), format!("{lb}    join_timeout: 80\n")));
    }
    // Of On-Demand and Spot moto rounds both down, and launches one instance too few where that leaves a rest.
    instead.push(("on_demand_percentage: 25".to_owned(), "on_demand_percentage: 0".to_owned()));
    let site = Site::new(fixture, endpoint, account).calling(instead);
    if fixture.name == "both-plugins" { site } else { site.without_services() }
}

/// Deploys what a fixture starts from.
pub fn start(site: &Site, fixture: &Fixture, push: &dyn Fn(&str)) {
    let folder = fixture.dir().join("start");
    if folder.is_dir() {
        site.take(&folder).iter().for_each(|image| push(image));
        site.observe(Mode::Deploy);
        site.compile(Mode::Deploy, &[]);
        let done = site.apply();
        assert_eq!(done.code, 0, "the start is not deployed:\n{}", done.stderr);
        assert_eq!(left(&site.plan_in(Mode::Deploy)), [""; 0], "still to do after the start");
    }
}

#[test]
fn a_real_registry_serves_the_digests() {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "555555555520");
    let registry = DockerRegistry::start().unwrap_or_else(|error| panic!("{error}"));
    let fixture = Fixture::named("asg-upgrade");
    let handler = Loopback::start(|_| None);
    let site = site(&fixture, server.endpoint(), &account, &handler).from_registry(registry.address(), USER, PASSWORD);
    let digests: Mutex<BTreeMap<String, String>> = Mutex::default();
    let push = |image: &str| {
        let (name, tag) = image.split_once(':').unwrap();
        let pushed = block_on(async { Pusher::new(registry.address()).await.image(name, tag, tag).await });
        digests.lock().unwrap().insert(image.to_owned(), pushed["digest"].as_str().unwrap().to_owned());
    };
    start(&site, &fixture, &push);
    site.take(&fixture.dir()).iter().for_each(|image| push(image));
    let plan = site.plan();
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let after = state(&account);
    as_the_model_says(&site, &fixture, &after);
    for (component, image) in [("web", "shop/web:1.1"), ("api", "shop/api:1.1")] {
        let data = &after["groups"][format!("shop.{component}_B")]["launches"];
        let script = text_of(data["UserData"].as_str().unwrap());
        let (name, digest) = (image.split_once(':').unwrap().0, &digests.lock().unwrap()[image]);
        assert!(script.contains(&format!("{}/{name}@{digest}", registry.address())), "{script}");
    }
    assert!(!plan.nodes.is_empty());
    assert_eq!(left(&site.plan()), [""; 0], "still to do");
    // The tag comes to mean another image: that is a change.
    block_on(async { Pusher::new(registry.address()).await.image("shop/api", "1.1", "anew").await });
    let again = site.plan();
    assert!(again.nodes.iter().any(|node| node.id == "api.template.A.create"), "{:?}", left(&again));
    assert!(again.nodes.iter().all(|node| node.component.as_deref() != Some("web")));
}

/// A text in base64.
pub fn text_of(base64: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = base64.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let bits: Vec<bool> = values.flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1 == 1)).collect();
    let bytes = bits.chunks_exact(8).map(|byte| byte.iter().fold(0_u8, |sum, bit| sum << 1 | u8::from(*bit)));
    String::from_utf8(bytes.collect()).unwrap()
}

/// The metadata service of a host in some VPC, by IMDSv2 only.
fn host(vpc: &str) -> Loopback {
    let (vpc, mac) = (vpc.to_owned(), "0e:aa:bb:cc:dd:ee");
    Loopback::start(move |request| {
        let session = || request.headers.get("x-aws-ec2-metadata-token").is_some_and(|token| token == "session");
        let place = request.uri.strip_prefix("/latest/");
        Some(match (request.method.as_str(), place) {
            ("PUT", Some("api/token")) => {
                let seconds = ("x-aws-ec2-metadata-token-ttl-seconds".to_owned(), "21600".to_owned());
                Response { headers: vec![seconds], ..Response::ok("session") }
            }
            _ if !session() => Response::error(401, ""),
            ("GET", Some("meta-data/mac")) => Response::ok(mac),
            ("GET", Some(place)) if place == format!("meta-data/network/interfaces/macs/{mac}/vpc-id") => {
                Response::ok(vpc.as_str())
            }
            _ => Response::error(404, ""),
        })
    })
}

#[test]
fn the_vpc_is_that_of_the_host_which_observes() {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "555555555524");
    let fixture = Fixture::named("asg-classic");
    let nobody = Loopback::start(|_| None);
    let site = site(&fixture, server.endpoint(), &account, &nobody);
    let vpc = account.must("ec2", "DescribeVpcs", &json!({}))["Vpcs"][0]["VpcId"].as_str().unwrap().to_owned();
    let at_home = host(&vpc);
    let site = site.on_host(&at_home.url());
    site.take(&fixture.dir()).iter().for_each(|image| drop(account.push(image)));
    let named = read(&site.path("prod.yaml"));
    // Without a name it is the host's VPC; with one it has to be the same.
    for text in ["    home_vpc: true\n", "    home_vpc: true\n    vpc: default\n"] {
        site.write("prod.yaml", &named.replace("    vpc: default\n", text));
        let plan = site.plan();
        let subnets = plan.node("preflight.subnets").unwrap();
        assert!(subnets.summary.ends_with(&format!("in VPC {vpc}")), "{}", subnets.summary);
    }
    assert!(at_home.take().iter().any(|request| request.method == "PUT"), "IMDSv2 begins with a session");
    let elsewhere = host("vpc-0e15ewhere");
    let site = site.on_host(&elsewhere.url());
    site.observe(Mode::Deploy);
    let refused = site.run(
        "belayc",
        &["compile", "-p", "shop", "-m", "model.yaml", "-e", "prod.yaml", "--observed", "observed.json"],
    );
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("vpc-0e15ewhere") && refused.stderr.contains(&vpc), "{}", refused.stderr);
    // Nobody answers: that is told when compiling.
    let site = site.on_host("http://127.0.0.1:9");
    site.observe(Mode::Deploy);
    let refused = site.run(
        "belayc",
        &["compile", "-p", "shop", "-m", "model.yaml", "-e", "prod.yaml", "--observed", "observed.json"],
    );
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("B605"), "{}", refused.stderr);
}

/// What the handler of a delegated destroy does with the requests that it gets, in their order.
fn handler(answers: &'static [Answer]) -> Loopback {
    let count = AtomicUsize::new(0);
    Loopback::start(move |_| match answers.get(count.fetch_add(1, Ordering::Relaxed)).unwrap_or(&Answer::Status(200)) {
        Answer::Status(status) => Some(Response::error(*status, "")),
        Answer::Silence(seconds) => {
            thread::sleep(Duration::from_secs(*seconds));
            None
        }
    })
}

enum Answer {
    Status(u16),
    /// Nothing for so many seconds, then the connection is closed.
    Silence(u64),
}

/// A delegated upgrade that is about to be applied.
fn delegated(account: &str, handler: &Loopback) -> (Site, Account, Value) {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, account);
    let fixture = Fixture::named("asg-delegated");
    let site = site(&fixture, server.endpoint(), &account, handler);
    start(&site, &fixture, &|image| drop(account.push(image)));
    site.take(&fixture.dir()).iter().for_each(|image| drop(account.push(image)));
    site.plan();
    let before = state(&account);
    (site, account, before)
}

#[test]
fn a_handler_that_is_not_there_or_refuses_keeps_everything_as_it_is() {
    let refusing = handler(&[Answer::Status(404)]);
    let (site, account, before) = delegated("555555555521", &refusing);
    let done = site.apply();
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("404"), "{}", done.stderr);
    assert_same("nothing was changed", &state(&account), &before);
    assert!(refusing.take().iter().all(|request| request.method == "GET"));
    drop(refusing);
    let done = site.apply();
    assert_eq!(done.code, 6, "{}", done.stderr);
    assert_same("nothing was changed", &state(&account), &before);
}

#[test]
fn a_handler_that_breaks_down_or_hangs_is_told_again() {
    // The probe, then the first instance: broken twice, then silent for longer than the five seconds that it has.
    let broken = handler(&[Answer::Status(200), Answer::Status(500), Answer::Status(503), Answer::Silence(7)]);
    let (site, account, _) = delegated("555555555522", &broken);
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    // Five requests for two instances, which are handed over side by side: three that were not taken, two that were.
    let told: Vec<String> = posts(&broken);
    assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (5, 2), "{told:?}");
    assert_eq!(state(&account)["groups"].as_object().unwrap().len(), 1);
    assert_eq!(left(&site.plan()), [""; 0]);
}

#[test]
fn a_handler_that_refuses_an_instance_leaves_the_new_state_and_the_rest_to_be_resumed() {
    // It takes the first instance, and refuses the second one until it is repaired.
    let (repaired, taken) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let works = Arc::clone(&repaired);
    let refusing = Loopback::start(move |request| {
        let first = request.method == "GET" || taken.fetch_add(1, Ordering::Relaxed) == 0;
        Some(Response::error(if first || works.load(Ordering::Relaxed) { 200 } else { 410 }, ""))
    });
    let (site, account, _) = delegated("555555555523", &refusing);
    let done = site.apply();
    assert_eq!(done.code, 7, "{}", done.stderr);
    assert!(done.stderr.contains("410"), "{}", done.stderr);
    let told = posts(&refusing);
    let both: BTreeSet<&String> = told.iter().collect();
    assert_eq!(both.len(), 2, "{told:?}");
    // The new state is in place, and whoever was refused still runs.
    let found = account.must("ec2", "DescribeInstances", &json!({"InstanceIds": both}));
    let mut all = found["Reservations"].as_array().unwrap().iter().flat_map(|r| r["Instances"].as_array().unwrap());
    assert!(all.all(|instance| instance["State"]["Name"] == "running"));
    assert_eq!(state(&account)["groups"]["shop.web_B"]["inService"], 2);
    repaired.store(true, Ordering::Relaxed);
    let done = site.run("belay", &["resume"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(posts(&refusing), told[told.len() - 1..], "only whoever was refused is told again");
    assert_eq!(left(&site.plan()), [""; 0]);
}

/// The instances that a handler was told of since the last time.
fn posts(handler: &Loopback) -> Vec<String> {
    let requests = handler.take().into_iter().filter(|request| request.method == "POST");
    requests.map(|request| request.json()["ec2_instance_id"].as_str().unwrap().to_owned()).collect()
}

/// What a plan would do, and why.
fn left(plan: &Plan) -> Vec<String> {
    plan.nodes.iter().map(|node| format!("{}: {:?}", node.summary, node.why)).collect()
}

fn round_trip(fixture: &Fixture, endpoint: &str, account: &Account) {
    let destroyer = Loopback::start(|_| Some(Response::ok("")));
    let site = site(fixture, endpoint, account, &destroyer);
    start(&site, fixture, &|image| drop(account.push(image)));
    let images = site.take(&fixture.dir());
    let content = |image: &str| if fixture.name == "asg-retag" { format!("{image}, anew") } else { image.to_owned() };
    for image in &images {
        let digest = account.push_as(image, &content(image));
        if image.ends_with("-broken") {
            account.server("/shim/failing", Some(&json!({digest: SICK})));
        }
    }
    destroyer.take();
    let before = state(account);
    let plan = site.plan();
    assert!(!plan.nodes.is_empty());
    site.must("belay", &["verify", "plan.json"]);
    let done = site.apply();
    if fixture.end == End::Initial {
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(done.stderr.contains(SICK), "no reason is given:\n{}", done.stderr);
        assert_same("the state before", &state(account), &before);
        return;
    }
    assert_eq!(done.code, 0, "{}", done.stderr);
    let after = state(account);
    as_the_plan_says(&plan, &before, &after);
    if fixture.mode == Mode::Deploy {
        as_the_model_says(&site, fixture, &after);
    }
    assert_eq!(left(&site.plan()), [""; 0], "still to do");
    taken_over(fixture, account, &destroyer);

    let destroys = plan.nodes.iter().any(|node| node.phase == Phase::Finalize);
    if !destroys && fixture.mode == Mode::Deploy {
        let back = site.run("belay", &["rollback"]);
        assert_eq!(back.code, 0, "{}", back.stderr);
        assert_same("the state before", &state(account), &before);
        assert_eq!(site.plan().digest, plan.digest, "the same is to be done again");
        assert_eq!(site.apply().code, 0);
        assert_same("the state after", &state(account), &after);
    }

    let plan = site.plan_in(Mode::Teardown);
    let before = state(account);
    if fixture.mode == Mode::Deploy {
        assert!(!plan.nodes.is_empty());
        let done = site.apply();
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let after = state(account);
    as_the_plan_says(&plan, &before, &after);
    for (kind, names) in after.as_object().unwrap() {
        // Groups that somebody else made stay, without instances.
        if fixture.name != "asg-pre-created" {
            assert_eq!(*names, json!({}), "{kind} are left");
        }
    }
    taken_over(fixture, account, &destroyer);
    assert_eq!(running(account), BTreeMap::new(), "instances of groups are left");
    assert_eq!(left(&site.plan_in(Mode::Teardown)), [""; 0]);
}

/// Somebody else has made both groups: A runs the old image, B is set up for the new one.
fn made_beforehand(account: &Account, instead: &[(String, String)]) {
    let here = |id: &str| instead.iter().find(|(written, _)| written == id).map(|(_, here)| here.clone()).unwrap();
    let registry = account.registry();
    for (name, image, count) in [("shop.worker_A", "shop/worker:1.0", 2), ("shop.worker_B", "shop/worker:1.1", 0)] {
        let tag = |key: &str, value: &str| json!({"Key": key, "Value": value, "PropagateAtLaunch": true, "ResourceId": name, "ResourceType": "auto-scaling-group"});
        let data = json!({"ImageId": here("ami-0a000001"), "InstanceType": "t3.micro"});
        account.must("ec2", "CreateLaunchTemplate", &json!({"LaunchTemplateName": name, "LaunchTemplateData": data}));
        let image = format!("{registry}/{image}");
        account.must(
            "autoscaling",
            "CreateAutoScalingGroup",
            &json!({"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"},
                "MinSize": count, "MaxSize": count, "DesiredCapacity": count, "LoadBalancerNames": ["shop-classic"],
                "VPCZoneIdentifier": format!("{},{}", here("subnet-0a000001"), here("subnet-0a000002")),
                "Tags": [tag("skopos:comp_name", "worker"), tag("skopos:image_id", &image)]}),
        );
    }
}

/// Handed over are exactly the instances that left, and they still run.
fn taken_over(fixture: &Fixture, account: &Account, destroyer: &Loopback) {
    let requests = destroyer.take();
    if fixture.name != "asg-delegated" {
        assert!(requests.is_empty(), "{requests:?}");
        return;
    }
    assert_eq!((requests[0].method.as_str(), requests[0].body.as_str()), ("GET", ""));
    let posts: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
    assert_eq!(posts.len(), 2);
    for post in posts {
        assert_eq!(
            (post.uri.as_str(), post.headers["content-type"].as_str()),
            ("/delayed-termination", "application/json")
        );
        let told = post.json();
        let id = told["ec2_instance_id"].as_str().unwrap();
        let found = account.must("ec2", "DescribeInstances", &json!({"InstanceIds": [id]}));
        let instance = &found["Reservations"][0]["Instances"][0];
        assert_eq!(instance["State"]["Name"], "running", "whoever takes it over terminates it");
        let wanted = json!({"ec2_region": "us-east-1", "ec2_instance_id": id, "ip_address": instance["PrivateIpAddress"],
            "project": "shop", "component": "web", "user_data": {"queue": "sessions"}});
        assert_same("what the handler is told", &told, &wanted);
        account.must("ec2", "TerminateInstances", &json!({"InstanceIds": [id]}));
    }
}

/// Groups, launch templates and launch configurations are those from before, and what the plan makes, without what it
/// deletes.
fn as_the_plan_says(plan: &Plan, before: &Value, after: &Value) {
    for (kind, create, delete, name) in [
        ("groups", "CreateAutoScalingGroup", "DeleteAutoScalingGroup", "AutoScalingGroupName"),
        ("templates", "CreateLaunchTemplate", "DeleteLaunchTemplate", "LaunchTemplateName"),
        ("configurations", "CreateLaunchConfiguration", "DeleteLaunchConfiguration", "LaunchConfigurationName"),
    ] {
        let names = |of: &Value| of[kind].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        let mut wanted = names(before);
        let forward = plan.nodes.iter().filter(|node| node.phase != Phase::Undo);
        for call in forward.filter_map(|node| node.action.mutation()) {
            let called = || call.input[name].as_str().unwrap().to_owned();
            if call.operation == create {
                wanted.insert(called());
            } else if call.operation == delete {
                wanted.remove(&called());
            }
        }
        assert_eq!(names(after), wanted, "{kind}");
    }
}

/// Each component has one group with as many instances as the model says, all of them behind the load balancer.
fn as_the_model_says(site: &Site, fixture: &Fixture, state: &Value) {
    let model: Value = serde_yaml::from_str(&read(&site.path("model.yaml"))).unwrap();
    for (component, said) in model["components"].as_object().unwrap() {
        if fixture.name == "both-plugins" && component != "engine" {
            continue;
        }
        let own = |name: &&String| name.starts_with(&format!("{}.{component}_", fixture.project));
        let groups = state["groups"].as_object().unwrap();
        let used: Vec<&Value> = groups.iter().filter(|(n, g)| own(n) && g["desired"] != 0).map(|(_, g)| g).collect();
        assert_eq!(used.len(), 1, "{component}: {state:#}");
        let replicas = &said["replicas"];
        assert_eq!(used[0]["desired"], *replicas, "{component}");
        assert_eq!(used[0]["inService"], *replicas, "{component}");
        for balancer in used[0]["balancers"].as_object().unwrap().values() {
            assert_eq!(balancer, replicas, "{component}: behind its load balancer");
        }
        let image = said["image"].as_str().unwrap().rsplit_once(':').unwrap().0;
        if fixture.name != "asg-pre-created" {
            let script = text_of(used[0]["launches"]["UserData"].as_str().unwrap());
            assert!(script.contains(&format!("{image}@sha256:")), "{script}");
        }
    }
}

/// How many instances run in each group, and how many that a group launched run outside of any.
fn running(account: &Account) -> BTreeMap<String, usize> {
    let wanted = json!({"Filters": [{"Name": "instance-state-name", "Values": ["pending", "running"]}]});
    let found = account.must("ec2", "DescribeInstances", &wanted);
    let all = found["Reservations"].as_array().unwrap().iter().flat_map(|r| r["Instances"].as_array().unwrap());
    let mut counts = BTreeMap::new();
    for instance in all {
        let tags = instance["Tags"].as_array().cloned().unwrap_or_default();
        if let Some(tag) = tags.iter().find(|t| t["Key"] == "belay:component" || t["Key"] == "skopos:comp_name") {
            *counts.entry(tag["Value"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Groups, launch templates and launch configurations without ids, moments and runs.
fn state(account: &Account) -> Value {
    let all = |service: &str, operation: &str, list: &str| {
        account.must(service, operation, &json!({}))[list].as_array().cloned().unwrap_or_default()
    };
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let data = |specification: &Value| {
        let named =
            json!({"LaunchTemplateName": specification["LaunchTemplateName"], "Versions": [specification["Version"]]});
        let found = account.must("ec2", "DescribeLaunchTemplateVersions", &named);
        let mut data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"].clone();
        // moto keeps the tags of the template, one of which is the run, among what it launches.
        data.as_object_mut().map(|data| data.remove("TagSpecifications"));
        data
    };
    let (mut groups, mut templates, mut configurations) = (json!({}), json!({}), json!({}));
    for found in all("ec2", "DescribeLaunchTemplates", "LaunchTemplates") {
        templates[text(&found, "LaunchTemplateName")] = found["LatestVersionNumber"].clone();
    }
    for mut found in all("autoscaling", "DescribeLaunchConfigurations", "LaunchConfigurations") {
        let object = found.as_object_mut().unwrap();
        object.remove("CreatedTime");
        object.remove("LaunchConfigurationARN");
        let name = text(&found, "LaunchConfigurationName");
        configurations[name] = found;
    }
    for found in all("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups") {
        let members: Vec<String> =
            found["Instances"].as_array().unwrap().iter().map(|member| text(member, "InstanceId")).collect();
        let serving =
            found["Instances"].as_array().unwrap().iter().filter(|m| m["LifecycleState"] == "InService").count();
        let mut balancers = json!({});
        for name in found["LoadBalancerNames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let health = account.must("elb", "DescribeInstanceHealth", &json!({"LoadBalancerName": name}));
            let own = health["InstanceStates"].as_array().cloned().unwrap_or_default();
            let own = own.iter().filter(|s| s["State"] == "InService" && members.contains(&text(s, "InstanceId")));
            balancers[name] = json!(own.count());
        }
        let tags: BTreeMap<String, String> = found["Tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| (text(tag, "Key"), text(tag, "Value")))
            .filter(|(key, _)| key != "belay:run")
            .collect();
        let mixed = &found["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"];
        let launches = match (&found["LaunchTemplate"], mixed) {
            (Value::Null, Value::Null) => found["LaunchConfigurationName"].clone(),
            (Value::Null, mixed) => data(mixed),
            (template, _) => data(template),
        };
        let mut suspended: Vec<String> =
            found["SuspendedProcesses"].as_array().into_iter().flatten().map(|p| text(p, "ProcessName")).collect();
        suspended.sort();
        groups[text(&found, "AutoScalingGroupName")] = json!({
            "min": found["MinSize"], "max": found["MaxSize"], "desired": found["DesiredCapacity"], "inService": serving,
            "balancers": balancers, "tags": tags, "launches": launches, "suspended": suspended,
            "health": [found["HealthCheckType"], found["HealthCheckGracePeriod"]],
            "protected": found["NewInstancesProtectedFromScaleIn"],
            "protectedInstances": found["Instances"].as_array().unwrap().iter().filter(|m| m["ProtectedFromScaleIn"] == true).count(),
            "subnets": found["VPCZoneIdentifier"],
        });
    }
    json!({"groups": groups, "templates": templates, "configurations": configurations})
}

//! Every mutating operation of the fixtures over real HTTP, through a proxy that loses answers and requests, delays,
//! answers with pages of gateways and throttles: it takes effect once, and it is never sent again before a look at what
//! the first attempt did. The calls and their probes are those of the fixtures' plans.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use belay_executor::aws::{AwsCloud, WallClock};
use belay_executor::journal::MemorySink;
use belay_executor::run::{Options, Outcome, Setup, begin};
use belay_executor::simulator::world::NamespaceKind;
use belay_schemas::aws;
use belay_schemas::plan::Plan;
use belay_tests::account::Account;
use belay_tests::extent::OneIn;
use belay_tests::fixtures::{Fixture, every, read};
use belay_tests::pipeline::block_on;
use belay_tests::proxy::{Fault, Proxy, Seen};
use belay_tests::servers::{Emulator, REGION};
use serde_json::{Value, json};

use crate::shimmed;

/// A mutating operation: where a call of it stands, and what has to be there for it.
struct Case {
    service: &'static str,
    operation: &'static str,
    /// A fixture and a node of its plan.
    at: (&'static str, &'static str),
    there: There,
    /// Moto lacks it; where it is covered instead.
    lacking: Option<&'static str>,
}

/// What has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Revision,
    /// Runs that revision, as the service of this name.
    Service(&'static str),
    /// The same, and a deployment of another revision is under way.
    Deployment(&'static str),
    Template(&'static str),
    /// A group of so many instances.
    Group(&'static str, u64),
    Suspended(&'static str),
    Policy(&'static str),
    /// A group of which both instances were detached.
    Detached(&'static str),
    /// That service, to be scaled.
    Scaled(&'static str),
    /// With that policy.
    ScaledBy(&'static str, &'static str),
    /// An alarm of this name.
    Alarm(&'static str),
    /// With that schedule.
    Scheduled(&'static str, &'static str),
    LogGroup(&'static str),
    /// A revision, and an instance to run it.
    Host,
    /// An instance that takes tasks.
    Joined,
    /// A task of it.
    Task,
    /// A schedule of this name.
    Schedule(&'static str),
    /// A rule of EventBridge of this name, and the id of its target if it has one.
    EventRule(&'static str, Option<&'static str>),
    /// A listener with three rules, and two target groups.
    Rules,
    /// A listener of a network load balancer, and two target groups.
    Edge,
    /// A record of the portal in a hosted zone.
    Record,
    /// A VPC.
    Network,
    /// A target group of this name and number.
    TargetGroup(&'static str, u8),
    /// A capacity provider of this name, of nobody's group, and a cluster for it.
    Provider(&'static str),
    /// A namespace of Cloud Map.
    Namespace,
    /// The same with a service of this name in it.
    Registry(&'static str),
}

const fn case(service: &'static str, operation: &'static str, at: (&'static str, &'static str), there: There) -> Case {
    Case { service, operation, at, there, lacking: None }
}

const AS: &str = "autoscaling";
const AAS: &str = "application-autoscaling";
const CLOUD_MAP: &str = "servicediscovery";

/// All of them.
const CASES: [Case; 59] = [
    case(CLOUD_MAP, "CreateService", ("cloud-map", "search.registry.create"), There::Namespace),
    case(CLOUD_MAP, "UpdateService", ("cloud-map", "api.registry.change"), There::Registry("api")),
    case(CLOUD_MAP, "DeleteService", ("cloud-map", "cache.registry.redis.delete"), There::Registry("redis")),
    case("ecs", "RegisterTaskDefinition", ("upgrade", "api.task-definition.register"), There::Nothing),
    case("ecs", "DeregisterTaskDefinition", ("upgrade", "api.task-definition.register.undo"), There::Revision),
    case("ecs", "CreateService", ("classic", "ftp.service.create"), There::Revision),
    case("ecs", "UpdateService", ("upgrade", "api.service.update"), There::Service("shop_api")),
    case("ecs", "DeleteService", ("classic", "ftp.service.create.undo"), There::Service("legacy_ftp")),
    Case {
        lacking: Some("here, at the shim in front of moto; the simulated AWS: tests/way_back.rs"),
        ..case(
            "ecs",
            "StopServiceDeployment",
            ("upgrade", "api.service.update.undo.stop"),
            There::Deployment("shop_api"),
        )
    },
    case("ec2", "CreateLaunchTemplate", ("asg-upgrade", "api.template.B.create"), There::Nothing),
    case("ec2", "DeleteLaunchTemplate", ("asg-upgrade", "api.template.A.delete"), There::Template("shop.api_A")),
    case(AS, "CreateAutoScalingGroup", ("asg-upgrade", "api.group.B.create"), There::Template("shop.api_B")),
    case(AS, "UpdateAutoScalingGroup", ("asg-upgrade", "api.group.A.down.1"), There::Group("shop.api_A", 2)),
    case(AS, "DeleteAutoScalingGroup", ("asg-upgrade", "api.group.A.delete"), There::Group("shop.api_A", 0)),
    case(AS, "SuspendProcesses", ("asg-upgrade", "api.group.A.suspend"), There::Group("shop.api_A", 2)),
    case(AS, "ResumeProcesses", ("asg-upgrade", "api.group.A.suspend.undo"), There::Suspended("shop.api_A")),
    case(AS, "DetachInstances", ("asg-delegated", "web.group.A.detach.1"), There::Group("shop.web_A", 2)),
    case(AS, "AttachInstances", ("asg-delegated", "web.group.A.detach.1.undo"), There::Detached("shop.web_A")),
    case(AS, "SetInstanceProtection", ("asg-failing", "web.group.B.up.2.undo.keep"), There::Group("shop.web_B", 2)),
    case(AS, "PutScalingPolicy", ("asg-spot", "worker.group.A.policy.cpu"), There::Group("shop.worker_A", 1)),
    case(AS, "DeletePolicy", ("asg-spot", "worker.group.A.policy.cpu.undo"), There::Policy("shop.worker_A")),
    case("ecs", "TagResource", ("fargate", "web.service.tag"), There::Service("shop_web")),
    case("ecs", "UntagResource", ("fargate", "web.service.untag"), There::Service("shop_web")),
    case(AAS, "RegisterScalableTarget", ("fargate", "web.scaling.target"), There::Service("shop_web")),
    case(AAS, "PutScalingPolicy", ("fargate", "web.scaling.policy.cpu"), There::Scaled("shop_web")),
    case(
        AAS,
        "DeleteScalingPolicy",
        ("fargate", "web.scaling.policy.load.undo"),
        There::ScaledBy("shop_web", "shop_web.load"),
    ),
    case(
        "cloudwatch",
        "PutMetricAlarm",
        ("step-scaling", "web.scaling.alarm.rush"),
        There::ScaledBy("shop_web", "shop_web.rush"),
    ),
    case(
        "cloudwatch",
        "DeleteAlarms",
        ("step-scaling", "worker.scaling.alarm.idle"),
        There::Alarm("default_shop_worker.idle"),
    ),
    case(
        AAS,
        "DeregisterScalableTarget",
        ("step-scaling", "thumbnails.scaling.target"),
        There::Scaled("shop_thumbnails"),
    ),
    case(AAS, "PutScheduledAction", ("fargate", "web.scaling.schedule.morning"), There::Scaled("shop_web")),
    case(
        AAS,
        "DeleteScheduledAction",
        ("fargate", "web.scaling.schedule.morning.undo"),
        There::Scheduled("shop_web", "shop_web.morning"),
    ),
    case("ecs", "RunTask", ("tasks-failing", "migrate.task.run"), There::Host),
    case("ecs", "UpdateContainerInstancesState", ("ami-update", "nodes.group.A.drain.1"), There::Joined),
    case("ecs", "CreateCapacityProvider", ("capacity-providers", "nodes.provider.create"), There::Nothing),
    case(
        "ecs",
        "PutClusterCapacityProviders",
        ("capacity-providers", "nodes.provider.attach"),
        There::Provider("shop_nodes"),
    ),
    case(
        "ecs",
        "UpdateCapacityProvider",
        ("capacity-providers-failing", "nodes.provider.update"),
        There::Provider("shop_nodes"),
    ),
    case(
        "ecs",
        "DeleteCapacityProvider",
        ("capacity-providers-upgrade", "nodes.provider.shop_nodes.delete"),
        There::Provider("shop_nodes"),
    ),
    case("ec2", "TerminateInstances", ("ami-update", "nodes.instances.A.terminate.1"), There::Detached("shop.nodes_A")),
    case("ecs", "StopTask", ("tasks-failing", "migrate.task.run.stop"), There::Task),
    case("scheduler", "CreateSchedule", ("tasks", "stock.schedule.create"), There::Revision),
    case("scheduler", "UpdateSchedule", ("tasks", "cleanup.schedule.disable"), There::Schedule("default_shop_cleanup")),
    case("scheduler", "DeleteSchedule", ("tasks", "cleanup.schedule.delete"), There::Schedule("default_shop_cleanup")),
    case(
        "events",
        "PutRule",
        ("event-rules", "report.rule.update"),
        There::EventRule("default_shop_report", Some("report")),
    ),
    case(
        "events",
        "PutTargets",
        ("event-rules", "report.rule.target"),
        There::EventRule("default_shop_report", Some("report")),
    ),
    case(
        "events",
        "RemoveTargets",
        ("event-rules", "legacy.rule.target.remove"),
        There::EventRule("default_shop_legacy", Some("legacy")),
    ),
    case(
        "events",
        "DeleteRule",
        ("event-rules", "stock.rule.create.undo"),
        There::EventRule("default_shop_stock", None),
    ),
    case("elbv2", "CreateRule", ("rules", "rule.docs.create"), There::Rules),
    case("elbv2", "ModifyRule", ("rules", "rule.www.change"), There::Rules),
    case("elbv2", "DeleteRule", ("rules", "rule.docs.create.undo"), There::Rules),
    case("elbv2", "SetRulePriorities", ("rules", "listener.main.priorities"), There::Rules),
    case("elbv2", "ModifyListener", ("network-load-balancer", "listener.feed.lead.undo"), There::Edge),
    case("elbv2", "CreateTargetGroup", ("target-groups", "target-group.docs.create"), There::Network),
    case("elbv2", "ModifyTargetGroup", ("target-groups", "target-group.web.check"), There::TargetGroup("store-web", 3)),
    case(
        "elbv2",
        "ModifyTargetGroupAttributes",
        ("target-groups", "target-group.web.delay"),
        There::TargetGroup("store-web", 3),
    ),
    case(
        "elbv2",
        "DeleteTargetGroup",
        ("target-groups", "target-group.store-legacy.delete"),
        There::TargetGroup("store-legacy", 2),
    ),
    case("route53", "ChangeResourceRecordSets", ("dns-records", "portal.record.create.undo"), There::Record),
    case("logs", "CreateLogGroup", ("log-groups", "log-group.shop.prod.create"), There::Nothing),
    case("logs", "DeleteLogGroup", ("log-groups", "log-group.shop.prod.create.undo"), There::LogGroup("/shop/prod")),
    case("logs", "PutRetentionPolicy", ("fargate", "log-group.shop.prod.retain"), There::LogGroup("/shop/prod")),
];

const FAULTS: [Fault; 6] = [
    Fault::AnswerDropped,
    Fault::RequestDropped,
    Fault::Delayed(1_500),
    Fault::Page,
    Fault::PageAfterwards,
    Fault::Throttled,
];

/// Looks at what a doubtful call did, at least, before it may be sent again.
const PROOFS: usize = 3;
/// Runs at the same time: they wait more than they work.
const AT_ONCE: usize = 12;

#[test]
fn the_table_names_every_mutating_operation_of_the_fixtures() {
    let mut planned = BTreeSet::new();
    for fixture in every() {
        let plan: Plan = serde_json::from_str(&read(&fixture.dir().join("plan.json"))).unwrap();
        let calls = plan.nodes.iter().filter_map(|node| node.action.mutation());
        planned.extend(calls.filter(|call| call.service != "http").map(|c| (c.service.clone(), c.operation.clone())));
    }
    let listed: BTreeSet<(String, String)> =
        CASES.iter().map(|case| (case.service.to_owned(), case.operation.to_owned())).collect();
    assert_eq!(planned, listed);
    let lacking = CASES.iter().filter_map(|case| Some((case.operation, case.lacking?)));
    assert!(lacking.clone().all(|(_, covered)| !covered.is_empty()), "{:?}", lacking.collect::<Vec<_>>());
}

#[test]
fn whatever_gets_lost_a_call_takes_effect_once_and_is_never_sent_again_blindly() {
    let all = CASES.iter().flat_map(|case| FAULTS.map(|fault| (case, fault)));
    let all: Vec<(&Case, Fault)> = OneIn { quick: 5, ci: 1 }.of(all);
    let next = AtomicUsize::new(0);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((case, fault)) = all.get(at) else { return failed };
                let (server, client) = shimmed(at);
                let account = Account::new(Emulator::Shimmed, client, &format!("{:012}", 666_666_666_000 + at));
                if let Err(what) = once(case, *fault, server.endpoint(), &account) {
                    failed.push(format!("{} {}, {fault:?}: {what}", case.service, case.operation));
                }
            }
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), all.len(), failed.join("\n"));
    println!("{} operations, {} faults each", CASES.len(), FAULTS.len());
}

/// What a proxy takes an operation for: where the operation is not named in the request, its method says enough.
fn wire(operation: &str) -> &str {
    match operation {
        "CreateSchedule" => "POST",
        "UpdateSchedule" => "PUT",
        "DeleteSchedule" => "DELETE",
        "GetSchedule" | "ListResourceRecordSets" => "GET",
        "ChangeResourceRecordSets" => "POST",
        named => named,
    }
}

/// One operation and one fault.
fn once(case: &Case, fault: Fault, server: &str, account: &Account) -> Result<(), String> {
    let known = prepare(case.there, account);
    let plan = plan(case, account, &known);
    let proxy = Proxy::start(server);
    let operation = wire(case.operation);
    proxy.next(operation, fault);
    let cloud = Arc::new(cloud(&proxy, account));
    let options = Options { run_id: Some("run-1".into()), region: Some(REGION.into()), ..Options::new("unused") };
    let setup = Setup::quiet(cloud, Arc::new(WallClock));
    let sink = MemorySink::default();
    let status = block_on(begin(&plan, &options, Box::new(sink.clone()), setup)).map_err(|error| error.to_string())?;
    let seen = proxy.seen();
    let wrong = |what: String| {
        let told: Vec<String> = seen
            .iter()
            .map(|one| format!("  {} {} {:?} {}", one.operation, one.status, one.fault, one.forwarded))
            .collect();
        let failures: Vec<&str> = status.failures().map(|(_, failure)| failure.reason.as_str()).collect();
        Err(format!("{what}\n  {failures:?}\n{}\n{}", told.join("\n"), plan.to_json()))
    };
    if status.outcome != Some(Outcome::Done) {
        return wrong(format!("it ends as {:?}", status.outcome));
    }
    let at = |one: &&Seen| one.operation == operation;
    let sent: Vec<&Seen> = seen.iter().filter(at).collect();
    let worked = sent.iter().filter(|one| one.forwarded && one.status == 200).count();
    let lost = matches!(fault, Fault::AnswerDropped | Fault::PageAfterwards);
    if worked != 1 || sent.iter().filter(|one| one.forwarded).count() != 1 {
        return wrong(format!("it reached the server {worked} times"));
    }
    let (times, looked) = match fault {
        Fault::AnswerDropped | Fault::PageAfterwards | Fault::Delayed(_) => (1, 0),
        Fault::RequestDropped | Fault::Page => (2, PROOFS),
        Fault::Throttled => (2, 0),
    };
    if sent.len() != times {
        return wrong(format!("it was sent {} times, not {times}", sent.len()));
    }
    let places: Vec<usize> = (0..seen.len()).filter(|ix| seen[*ix].operation == operation).collect();
    let probe = wire(&plan.nodes.iter().find_map(|node| node.probe.as_ref()).unwrap().read.operation);
    let looks = |from: usize, to: usize| seen[from..to].iter().filter(|one| one.operation == probe).count();
    if times == 2 && looks(places[0], places[1]) < looked {
        return wrong(format!("it was sent again after {} looks", looks(places[0], places[1])));
    }
    if lost && looks(places[0], seen.len()) == 0 {
        return wrong("nobody looked what became of it".to_owned());
    }
    Ok(())
}

fn cloud(proxy: &Proxy, account: &Account) -> AwsCloud {
    let who = &account.credentials;
    let credentials = Credentials::new(who.id.clone(), who.secret.clone(), who.token.clone(), None, "the tests");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(proxy.url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    AwsCloud::with(config).unwrap()
}

/// What is known of the account for the places in which calls name something.
#[derive(Default)]
struct Known {
    /// The revision that a late value means.
    revision: Value,
    template: Value,
    deployment: Value,
    task: Value,
    rule: Value,
    policy: Value,
    /// What stands in the fixture, and what in its place here.
    instead: Vec<(String, String)>,
    instances: Value,
    image: String,
    group: String,
    subnets: Vec<String>,
}

fn prepare(there: There, account: &Account) -> Known {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut known = Known::default();
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    let subnets = account.must("ec2", "DescribeSubnets", &json!({}));
    known.subnets = subnets["Subnets"].as_array().unwrap().iter().map(|one| text(&one["SubnetId"])).collect();
    let groups = account.must("ec2", "DescribeSecurityGroups", &json!({}));
    known.group = text(&groups["SecurityGroups"][0]["GroupId"]);
    // One of moto's own; listing them takes it seconds.
    known.image = "ami-12c6146b".to_owned();
    let register = |family: &str| {
        let container = json!({"name": "main", "image": "busybox", "memory": 64});
        let input = json!({"family": family, "containerDefinitions": [container]});
        account.must("ecs", "RegisterTaskDefinition", &input)["taskDefinition"]["taskDefinitionArn"].clone()
    };
    let service = |name: &str, revision: &Value| {
        let input = json!({"cluster": "default", "serviceName": name, "taskDefinition": revision, "desiredCount": 1,
            "tags": [{"key": "owner", "value": "somebody"}]});
        account.must("ecs", "CreateService", &input);
    };
    let template = |name: &str| {
        let input = json!({"LaunchTemplateName": name, "LaunchTemplateData": {"ImageId": known.image,
            "InstanceType": "t3.micro"}});
        account.must("ec2", "CreateLaunchTemplate", &input)["LaunchTemplate"]["LaunchTemplateId"].clone()
    };
    let group = |name: &str, size: u64| {
        let id = template(name);
        let input = json!({"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateId": id, "Version": "1"},
            "MinSize": size, "MaxSize": size, "DesiredCapacity": size, "VPCZoneIdentifier": known.subnets.join(",")});
        account.must("autoscaling", "CreateAutoScalingGroup", &input);
    };
    let instances = |name: &str| {
        let found = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({"AutoScalingGroupNames": [name]}));
        let members = found["AutoScalingGroups"][0]["Instances"].as_array().cloned().unwrap_or_default();
        Value::Array(members.into_iter().map(|one| one["InstanceId"].clone()).collect())
    };
    let scaled = |name: &str| {
        service(name, &register("prepared"));
        let place = json!({"ServiceNamespace": "ecs", "ResourceId": format!("service/default/{name}"),
            "ScalableDimension": "ecs:service:DesiredCount"});
        let mut input = place.clone();
        (input["MinCapacity"], input["MaxCapacity"]) = (json!(1), json!(9));
        account.must(AAS, "RegisterScalableTarget", &input);
        place
    };
    let host = || {
        let run = json!({"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large"});
        let made = account.must("ec2", "RunInstances", &run);
        let document = json!({"instanceId": made["Instances"][0]["InstanceId"]}).to_string();
        let join = json!({"cluster": "default", "instanceIdentityDocument": document});
        account.must("ecs", "RegisterContainerInstance", &join)["containerInstance"]["containerInstanceArn"].clone()
    };
    match there {
        There::Host => {
            host();
            known.revision = register("prepared");
        }
        There::Joined => {
            known.instances = json!([host()]);
            known.instead.push(("\"cluster\": \"shop\"".to_owned(), "\"cluster\": \"default\"".to_owned()));
        }
        There::Edge => {
            let arn = |rest: &str| format!("arn:aws:elasticloadbalancing:{REGION}:{}:{rest}", account.id);
            let mut groups = Vec::new();
            for name in ["edge-broker", "edge-idle"] {
                let vpc = &subnets["Subnets"][0]["VpcId"];
                let input = json!({"Name": name, "Protocol": "TCP", "Port": 80, "VpcId": vpc});
                groups.push(account.must("elbv2", "CreateTargetGroup", &input)["TargetGroups"][0].take());
            }
            let idle = text(&groups[1]["TargetGroupArn"]);
            known.instead.push((arn("targetgroup/edge-idle/00000000007a0003"), idle));
            let input = json!({"Name": "edge", "Type": "network", "Subnets": known.subnets[..2]});
            let made = account.must("elbv2", "CreateLoadBalancer", &input);
            let forward = json!([{"Type": "forward", "TargetGroupArn": groups[0]["TargetGroupArn"]}]);
            let input = json!({"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"], "Port": 9000,
                "Protocol": "TCP", "DefaultActions": forward});
            let listener = text(&account.must("elbv2", "CreateListener", &input)["Listeners"][0]["ListenerArn"]);
            known.instead.push((arn("listener/net/edge/00000000007b0001/00000000007c0002"), listener));
        }
        There::Rules => {
            let arn =
                |kind: &str, rest: &str| format!("arn:aws:elasticloadbalancing:{REGION}:{}:{kind}{rest}", account.id);
            let mut groups = Vec::new();
            for (name, id) in [("shop-web", "00000000007a0000"), ("unattached", "00000000007a0003")] {
                let vpc = &subnets["Subnets"][0]["VpcId"];
                let input = json!({"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": vpc});
                let made = account.must("elbv2", "CreateTargetGroup", &input);
                let here = text(&made["TargetGroups"][0]["TargetGroupArn"]);
                known.instead.push((arn("targetgroup", &format!("/{name}/{id}")), here.clone()));
                groups.push(here);
            }
            let forward = json!([{"Type": "forward", "TargetGroupArn": groups[0]}]);
            let input = json!({"Name": "shop", "Subnets": known.subnets[..2]});
            let made = account.must("elbv2", "CreateLoadBalancer", &input);
            let input = json!({"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"], "Port": 80,
                "Protocol": "HTTP", "DefaultActions": forward});
            let listener = account.must("elbv2", "CreateListener", &input)["Listeners"][0]["ListenerArn"].clone();
            let place = "/app/shop/00000000007b0000/00000000007c0000";
            for number in 1..=3 {
                let condition =
                    json!({"Field": "path-pattern", "PathPatternConfig": {"Values": [format!("/{number}")]}});
                let input = json!({"ListenerArn": listener, "Priority": number, "Conditions": [condition],
                    "Actions": forward});
                known.rule = account.must("elbv2", "CreateRule", &input)["Rules"][0]["RuleArn"].clone();
                let there = arn("listener-rule", &format!("{place}/{number:016}"));
                known.instead.push((there, text(&known.rule)));
            }
            known.instead.push((arn("listener", place), text(&listener)));
        }
        There::Network => {
            known.instead.push(("vpc-0a000001".to_owned(), text(&subnets["Subnets"][0]["VpcId"])));
        }
        There::TargetGroup(name, number) => {
            let input = json!({"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": subnets["Subnets"][0]["VpcId"]});
            let made = account.must("elbv2", "CreateTargetGroup", &input);
            let there =
                format!("arn:aws:elasticloadbalancing:{REGION}:{}:targetgroup/{name}/{number:016x}", account.id);
            known.instead.push((there, text(&made["TargetGroups"][0]["TargetGroupArn"])));
        }
        There::Provider(name) => {
            account.must("ecs", "CreateCluster", &json!({"clusterName": "shop"}));
            let group =
                format!("arn:aws:autoscaling:{REGION}:{}:autoScalingGroup:1:autoScalingGroupName/one", account.id);
            let scaling = json!({"status": "ENABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
                "maximumScalingStepSize": 10_000, "instanceWarmupPeriod": 300});
            let own = json!({"autoScalingGroupArn": group, "managedScaling": scaling, "managedDraining": "ENABLED",
                "managedTerminationProtection": "ENABLED"});
            account.must("ecs", "CreateCapacityProvider", &json!({"name": name, "autoScalingGroupProvider": own}));
            // moto has no Managed Instances: the cluster of the fixture keeps its own through the call, which never names them.
            known.instead.push(("\"media\",".to_owned(), String::new()));
        }
        There::Namespace | There::Registry(_) => {
            account.namespace("shop.internal", NamespaceKind::DnsPrivate);
            let namespace = text(&account.must(CLOUD_MAP, "ListNamespaces", &json!({}))["Namespaces"][0]["Id"]);
            known.instead.push(("ns-0a0000000000000a".to_owned(), namespace.clone()));
            if let There::Registry(name) = there {
                let input = json!({"Name": name, "NamespaceId": namespace,
                    "DnsConfig": {"DnsRecords": [{"Type": "SRV", "TTL": 60}]}});
                let made = text(&account.must(CLOUD_MAP, "CreateService", &input)["Service"]["Id"]);
                // The one that the fixture's call names is this one.
                let ids = (1..=9).map(|number| format!("srv-{number:016x}"));
                known.instead.extend(ids.map(|id| (id, made.clone())));
            }
        }
        There::Record => {
            let input = json!({"Name": "shop.internal", "CallerReference": "one"});
            let made = account.must("route53", "CreateHostedZone", &input);
            let zone = text(&made["HostedZone"]["Id"]).trim_start_matches("/hostedzone/").to_owned();
            known.instead.push(("Z0A00000000000000000A".to_owned(), zone.clone()));
            let name = "portal.prod.shop.internal.";
            let target = json!({"DNSName": "shop-1234567890.us-east-1.elb.amazonaws.com.",
                "HostedZoneId": "Z00000000000000000000", "EvaluateTargetHealth": false});
            let alias = json!({"Name": name, "Type": "A", "AliasTarget": target});
            let words = json!([{"Value": "\"belay:project=shop\" \"belay:cluster=us-east-1/default\" \"belay:component=portal\""}]);
            let told = json!({"Name": name, "Type": "TXT", "TTL": 300, "ResourceRecords": words});
            let changes = [alias, told].map(|set| json!({"Action": "CREATE", "ResourceRecordSet": set}));
            let input = json!({"HostedZoneId": zone, "ChangeBatch": {"Changes": changes}});
            account.must("route53", "ChangeResourceRecordSets", &input);
        }
        There::Task => {
            host();
            let sleeps = json!({"containerOverrides": [{"name": "main", "command": ["sleep", "infinity"]}]});
            let run = json!({"cluster": "default", "taskDefinition": register("prepared"), "count": 1,
                "overrides": sleeps});
            known.task = account.must("ecs", "RunTask", &run)["tasks"][0]["taskArn"].clone();
        }
        There::Schedule(name) => {
            let role = format!("arn:aws:iam::{}:role/ecsEventsRole", account.id);
            let cluster = format!("arn:aws:ecs:{REGION}:{}:cluster/default", account.id);
            let target = json!({"Arn": cluster, "RoleArn": role,
                "EcsParameters": {"TaskDefinitionArn": register("prepared"), "TaskCount": 1}});
            let input = json!({"Name": name, "ScheduleExpression": "rate(6 hours)", "State": "ENABLED",
                "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target});
            account.must("scheduler", "CreateSchedule", &input);
        }
        There::EventRule(name, target) => {
            let rule = json!({"Name": name, "ScheduleExpression": "rate(6 hours)", "State": "ENABLED"});
            account.must("events", "PutRule", &rule);
            if let Some(id) = target {
                let role = format!("arn:aws:iam::{}:role/ecsEventsRole", account.id);
                let cluster = format!("arn:aws:ecs:{REGION}:{}:cluster/default", account.id);
                known.revision = register("prepared");
                let target = json!({"Id": id, "Arn": cluster, "RoleArn": role,
                    "EcsParameters": {"TaskDefinitionArn": known.revision, "TaskCount": 1}});
                account.must("events", "PutTargets", &json!({"Rule": name, "Targets": [target]}));
            }
        }
        There::Scaled(name) => drop(scaled(name)),
        There::ScaledBy(name, policy) => {
            let mut input = scaled(name);
            input["PolicyName"] = json!(policy);
            input["PolicyType"] = json!("TargetTrackingScaling");
            input["TargetTrackingScalingPolicyConfiguration"] = json!({"TargetValue": 60.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}});
            known.policy = account.must(AAS, "PutScalingPolicy", &input)["PolicyARN"].clone();
        }
        There::Alarm(name) => {
            let input = json!({"AlarmName": name, "Namespace": "AWS/ECS", "MetricName": "MemoryUtilization",
                "Statistic": "Average", "Period": 60, "EvaluationPeriods": 3, "Threshold": 10.0,
                "ComparisonOperator": "LessThanOrEqualToThreshold"});
            account.must("cloudwatch", "PutMetricAlarm", &input);
        }
        There::Scheduled(name, action) => {
            let mut input = scaled(name);
            input["ScheduledActionName"] = json!(action);
            input["Schedule"] = json!("cron(30 7 * * ? *)");
            input["ScalableTargetAction"] = json!({"MinCapacity": 4});
            account.must(AAS, "PutScheduledAction", &input);
        }
        There::LogGroup(name) => drop(account.must("logs", "CreateLogGroup", &json!({"logGroupName": name}))),
        There::Nothing => {}
        There::Revision => known.revision = register("prepared"),
        There::Service(name) => {
            service(name, &register("prepared"));
            known.revision = register("prepared");
        }
        There::Deployment(name) => {
            let old = register("prepared");
            service(name, &old);
            known.revision = register("prepared");
            let update = json!({"cluster": "default", "service": name, "taskDefinition": known.revision});
            account.must("ecs", "UpdateService", &update);
            let list = json!({"cluster": "default", "service": name});
            let found = account.must("ecs", "ListServiceDeployments", &list);
            known.deployment = found["serviceDeployments"][0]["serviceDeploymentArn"].clone();
        }
        There::Template(name) => known.template = template(name),
        There::Group(name, size) => {
            group(name, size);
            known.instances = instances(name);
        }
        There::Suspended(name) => {
            group(name, 2);
            account.must("autoscaling", "SuspendProcesses", &json!({"AutoScalingGroupName": name}));
        }
        There::Policy(name) => {
            group(name, 1);
            let input = json!({"AutoScalingGroupName": name, "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": {"TargetValue": 60.0,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}});
            account.must("autoscaling", "PutScalingPolicy", &input);
        }
        There::Detached(name) => {
            group(name, 2);
            known.instances = instances(name);
            let loosen = json!({"AutoScalingGroupName": name, "MinSize": 0});
            account.must("autoscaling", "UpdateAutoScalingGroup", &loosen);
            let detach = json!({"AutoScalingGroupName": name, "InstanceIds": known.instances,
                "ShouldDecrementDesiredCapacity": true});
            account.must("autoscaling", "DetachInstances", &detach);
        }
    }
    known
}

/// A plan of one step: the fixture's, with what the account has in the place of late values, and without what the steps
/// around it are there for.
fn plan(case: &Case, account: &Account, known: &Known) -> Plan {
    let text = read(&Fixture::named(case.at.0).dir().join("plan.json"));
    let mut text = text.replace("123456789012", &account.id).replace("ami-0a000001", &known.image);
    for (there, here) in &known.instead {
        text = text.replace(there, here);
    }
    for number in 1..=9 {
        text = text.replace(&format!("sg-0a{number:06}"), &known.group);
    }
    for (number, subnet) in known.subnets.iter().enumerate() {
        text = text.replace(&format!("subnet-0a{:06}", number + 1), subnet);
    }
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let nodes = plan["nodes"].as_array_mut().unwrap();
    nodes.retain(|node| node["id"] == case.at.1 || node["action"].get("commit").is_some());
    assert_eq!(nodes.len(), 2, "{:?} is not there", case.at);
    let mut edges = Vec::new();
    for node in nodes {
        if node["id"] != case.at.1 {
            let commit = node["id"].clone();
            edges.push(json!({"from": case.at.1, "to": commit, "kind": "after"}));
            continue;
        }
        let call = &node["action"]["call"];
        assert_eq!((&call["service"], &call["operation"]), (&json!(case.service), &json!(case.operation)));
        assert!(!aws::operation(case.service, case.operation).unwrap().readonly);
        for member in ["guards", "undo", "obligation", "each", "accepted", "irreversible"] {
            node.as_object_mut().unwrap().remove(member);
        }
        node["phase"] = json!("deploy");
        node["unguarded"] = json!("the account was made for it");
        settled(node, known);
    }
    plan["edges"] = json!(edges);
    let plan: Plan = serde_json::from_value(plan).unwrap();
    plan.seal()
}

/// Puts what is known in the place of late values.
fn settled(value: &mut Value, known: &Known) {
    match value {
        Value::Object(members) if members.contains_key("$output") => {
            let path = members["path"].as_str().unwrap_or_default();
            let found = match path {
                "@" => &known.instances,
                path if path.contains("taskDefinitionArn") => &known.revision,
                path if path.contains("LaunchTemplateId") => &known.template,
                path if path.contains("RuleArn") => &known.rule,
                path if path.contains("PolicyARN") => &known.policy,
                path if path.contains("taskArn") => &known.task,
                path if path.contains("serviceDeploymentArn") => &known.deployment,
                other => panic!("nobody knows {other}"),
            };
            assert!(!found.is_null(), "{path} is not known");
            *value = found.clone();
        }
        Value::Object(members) => members.values_mut().for_each(|value| settled(value, known)),
        Value::Array(items) => items.iter_mut().for_each(|value| settled(value, known)),
        _ => {}
    }
}

//! What the emulators lack of the operations that plans and observed states of the fixtures hold, and where that is
//! covered instead. The lists are true: each operation is called at each emulator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use belay_executor::simulator::World;
use belay_tests::account::Account;
use belay_tests::fixtures::{every, read};
use belay_tests::servers::{Emulator, PeerError, Server};
use serde_json::{Value, json};

use crate::emulator;

/// An operation that an emulator lacks.
struct Lack {
    service: &'static str,
    operation: &'static str,
    covered: &'static str,
}

const fn lack(service: &'static str, operation: &'static str, covered: &'static str) -> Lack {
    Lack { service, operation, covered }
}

/// Not implemented by moto; the first breaks unless it is told which.
const MOTO: [Lack; 5] = [
    lack("ecs", "DescribeCapacityProviders", "tests/peers/shim: hosts.rs"),
    lack("ecs", "DescribeServiceDeployments", "tests/peers/shim: round_trip.rs, shim.rs"),
    lack("ecs", "DescribeServiceRevisions", "tests/peers/shim: round_trip.rs, shim.rs"),
    lack("ecs", "ListServiceDeployments", "tests/peers/shim: round_trip.rs, shim.rs"),
    lack("ecs", "StopServiceDeployment", "tests/peers/shim: shim.rs; the simulated AWS: tests/way_back.rs"),
];

/// moto has these, but breaks when it is asked about a task, a group or a capacity provider that it does not know.
const BREAKS: [Lack; 7] = [
    lack("autoscaling", "AttachInstances", GROUPS),
    lack("autoscaling", "DetachInstances", GROUPS),
    lack("autoscaling", "ResumeProcesses", GROUPS),
    lack("autoscaling", "SetInstanceProtection", GROUPS),
    lack("autoscaling", "SuspendProcesses", GROUPS),
    lack("ecs", "StopTask", "the simulated AWS: rehearsals of the fixtures `tasks`, `tasks-failing`"),
    lack("ecs", "UpdateCapacityProvider", PROVIDERS),
];

const PROVIDERS: &str =
    "moto: proxy.rs; the simulated AWS: fixtures `capacity-providers`, `capacity-providers-upgrade`";
const SCALING: &str = "moto: round_trip.rs, fixtures `fargate`, `fargate-failing`, `step-scaling`";
const GROUPS: &str = "moto: groups.rs, every fixture of groups";

/// Not implemented by ministack.
const MINISTACK: [Lack; 18] = [
    lack("application-autoscaling", "DeleteScalingPolicy", SCALING),
    lack("application-autoscaling", "DeleteScheduledAction", SCALING),
    lack("application-autoscaling", "DeregisterScalableTarget", SCALING),
    lack("application-autoscaling", "DescribeScalableTargets", SCALING),
    lack("application-autoscaling", "DescribeScalingPolicies", SCALING),
    lack("application-autoscaling", "DescribeScheduledActions", SCALING),
    lack("application-autoscaling", "PutScalingPolicy", SCALING),
    lack("application-autoscaling", "PutScheduledAction", SCALING),
    lack("application-autoscaling", "RegisterScalableTarget", SCALING),
    lack("autoscaling", "AttachInstances", GROUPS),
    lack("autoscaling", "DetachInstances", GROUPS),
    lack("autoscaling", "ResumeProcesses", GROUPS),
    lack("autoscaling", "SetInstanceProtection", GROUPS),
    lack("autoscaling", "SuspendProcesses", GROUPS),
    lack("ecs", "StopServiceDeployment", "tests/peers/shim: shim.rs"),
    lack("ecs", "UpdateContainerInstancesState", "the simulated AWS: tests/hosts.rs, fixture `ami-update`"),
    lack("elb", "DescribeInstanceHealth", "moto: round_trip.rs, fixture `classic`"),
    lack("service-quotas", "GetServiceQuota", "moto: round_trip.rs, fixture `fargate`"),
];

/// Answered by ministack without having any: what AWS would tell is missing from the answer.
const HOLLOW: [Lack; 6] = [
    lack("ecs", "DescribeServiceDeployments", "tests/peers/shim: round_trip.rs"),
    lack("ecs", "DescribeServiceRevisions", "tests/peers/shim: round_trip.rs"),
    lack("ecs", "ListServiceDeployments", "tests/peers/shim: round_trip.rs"),
    lack("ecs", "ListContainerInstances", "moto: round_trip.rs (RegisterContainerInstance is not implemented)"),
    lack("elb", "DescribeLoadBalancers", "moto: round_trip.rs, fixture `classic`"),
    lack("elb", "DescribeLoadBalancerAttributes", "moto: round_trip.rs, fixture `classic`"),
];

/// Every operation of the fixtures with an input of it, late values filled in.
fn operations() -> BTreeMap<(String, String), Value> {
    fn walk(value: &Value, found: &mut BTreeMap<(String, String), Value>) {
        match value {
            Value::Object(members) => {
                if let (Some(service), Some(operation)) = (value["service"].as_str(), value["operation"].as_str()) {
                    let key = (service.to_owned(), operation.to_owned());
                    found.entry(key).or_insert_with(|| filled(&value["input"]));
                }
                let inner = members.iter().filter(|(name, _)| *name != "input" && *name != "output");
                inner.for_each(|(_, value)| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    for fixture in every() {
        for file in ["plan.json", "observed.json"] {
            walk(&serde_json::from_str(&read(&fixture.dir().join(file))).unwrap(), &mut found);
        }
    }
    found
}

fn filled(input: &Value) -> Value {
    match input {
        Value::Object(members) if members.contains_key("$output") && late_list(&members["path"]).is_some() => {
            late_list(&members["path"]).unwrap_or_default()
        }
        Value::Object(members) if members.contains_key("$output") || members.contains_key("$run") => json!("late"),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), filled(value))).collect(),
        Value::Array(items) => items.iter().map(filled).collect(),
        other => other.clone(),
    }
}

/// An item of what is late and a list.
fn late_list(path: &Value) -> Option<Value> {
    let instance = "i-0123456789abcdef0";
    match path.as_str()? {
        "taskArns[:5]" => Some(json!(["late"])),
        // Portions of a list.
        path if path == "@" || path.starts_with("[].items") || path.ends_with("[].InstanceId") => {
            Some(json!([instance]))
        }
        path if path.contains("Instances[?") => Some(json!([{"InstanceId": instance}])),
        _ => None,
    }
}

/// Whether an answer says that there is no such operation. What else is refused is known.
fn is_lacking(answer: &Result<Value, PeerError>) -> bool {
    match answer {
        Ok(_) => false,
        Err(error) => {
            // A page for people in the place of XML.
            let page = error.code == "ResponseParserError" && error.message.contains("Internal Server Error");
            assert!(page || error.status != 0, "it was not sent: {error}");
            // ministack has no such service: it refuses without a word.
            let silent = error.status == 400 && error.code == "400" && error.message.is_empty();
            page || silent || error.status == 500 || error.code == "InvalidAction"
        }
    }
}

fn assert_true(lists: &[&[Lack]], call: &mut dyn FnMut(&str, &str, &Value) -> Result<Value, PeerError>) {
    let list: Vec<&Lack> = lists.iter().copied().flatten().collect();
    let said: BTreeSet<(String, String)> =
        list.iter().map(|one| (one.service.to_owned(), one.operation.to_owned())).collect();
    assert!(list.iter().all(|one| !one.covered.is_empty()));
    let lacking: BTreeSet<(String, String)> = operations()
        .into_iter()
        .filter(|((service, operation), input)| is_lacking(&call(service, operation, input)))
        .map(|(operation, _)| operation)
        .collect();
    assert_eq!(lacking, said, "what is lacking (left) is not what the list says (right)");
}

#[test]
fn what_moto_lacks_is_listed() {
    let server = Server::start(Emulator::Moto).unwrap_or_else(|error| panic!("{error}"));
    let client = server.client().unwrap_or_else(|error| panic!("{error}"));
    let account = Account::new(Emulator::Moto, &Arc::new(Mutex::new(client)), "222222222200");
    // Asked for what is not there, moto answers some operations as if it did not have them.
    account.seed(&World::default_account());
    assert_true(&[&MOTO, &BREAKS], &mut |service, operation, input| account.call(service, operation, input));
}

#[test]
fn the_shim_lacks_nothing() {
    let (_, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "222222222201");
    account.seed(&World::default_account());
    assert_true(&[&BREAKS], &mut |service, operation, input| account.call(service, operation, input));
}

#[test]
fn what_ministack_lacks_is_listed() {
    let (_, client) = emulator(Emulator::Ministack);
    let account = Account::new(Emulator::Ministack, client, "222222222202");
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    assert_true(&[&MINISTACK], &mut |service, operation, input| account.call(service, operation, input));
}

#[test]
fn what_ministack_answers_without_having_it_is_listed() {
    let (_, client) = emulator(Emulator::Ministack);
    let account = Account::new(Emulator::Ministack, client, "222222222203");
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    let container = json!({"name": "a", "image": "b", "memory": 64});
    account.must("ecs", "RegisterTaskDefinition", &json!({"family": "a", "containerDefinitions": [container]}));
    let service = json!({"cluster": "default", "serviceName": "a", "taskDefinition": "a", "desiredCount": 1});
    let made = account.must("ecs", "CreateService", &service);
    assert_eq!(made["service"]["runningCount"], 1);
    for Lack { operation, service, covered } in HOLLOW {
        let (input, member) = match operation {
            "DescribeServiceDeployments" => (json!({"serviceDeploymentArns": ["a"]}), "failures"),
            "DescribeServiceRevisions" => (json!({"serviceRevisionArns": ["a"]}), "failures"),
            "ListServiceDeployments" => (json!({"cluster": "default", "service": "a"}), "serviceDeployments"),
            "ListContainerInstances" => (json!({"cluster": "default"}), "containerInstanceArns"),
            "DescribeLoadBalancers" => (json!({}), "LoadBalancerDescriptions"),
            _ => (json!({"LoadBalancerName": "a"}), "LoadBalancerAttributes"),
        };
        let answer = account.call(service, operation, &input);
        let told = answer.as_ref().is_ok_and(|answer| !answer[member].is_null() && answer[member] != json!([]));
        assert!(!told, "{operation} is not hollow any more ({covered}): {answer:?}");
    }
    // Nothing that these two families would tell of can be made either.
    let refused = account.call("ecs", "RegisterContainerInstance", &json!({"cluster": "default"}));
    assert!(is_lacking(&refused), "container instances can be registered: {refused:?}");
    let listener = json!({"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80});
    let classic = json!({"LoadBalancerName": "a", "Listeners": [listener], "AvailabilityZones": ["us-east-1a"]});
    let made = account.call("elb", "CreateLoadBalancer", &classic);
    assert!(made.as_ref().is_ok_and(|made| made["DNSName"].is_null()) || made.is_err(), "{made:?}");
}

/// Why the fixtures of machines outside AWS, and of those that ECS starts itself, make no round trip; as soon as moto takes
/// such services, this fails.
#[test]
fn what_moto_knows_no_services_on() {
    let server = Server::start(Emulator::Moto).unwrap_or_else(|error| panic!("{error}"));
    let client = server.client().unwrap_or_else(|error| panic!("{error}"));
    let account = Account::new(Emulator::Moto, &Arc::new(Mutex::new(client)), "222222222205");
    account.must("ecs", "CreateCluster", &json!({"clusterName": "default"}));
    let container = json!({"name": "a", "image": "b", "memory": 64});
    let definition =
        json!({"family": "a", "requiresCompatibilities": ["EXTERNAL"], "containerDefinitions": [container]});
    account.must("ecs", "RegisterTaskDefinition", &definition);
    let service = json!({"cluster": "default", "serviceName": "a", "taskDefinition": "a", "desiredCount": 1,
        "launchType": "EXTERNAL"});
    let refused = account.call("ecs", "CreateService", &service).unwrap_err();
    assert!(refused.message.contains("launch type should be one of [EC2,FARGATE]"), "{refused}");
    let managed = json!({
        "infrastructureRoleArn": "arn:aws:iam::222222222205:role/a",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::222222222205:instance-profile/a",
            "networkConfiguration": {"subnets": ["subnet-1"]},
        },
    });
    let provider = json!({"name": "a", "cluster": "default", "managedInstancesProvider": managed});
    let made = account.call("ecs", "CreateCapacityProvider", &provider);
    let kept = made.as_ref().is_ok_and(|made| !made["capacityProvider"]["managedInstancesProvider"].is_null());
    assert!(!kept, "moto keeps what Managed Instances are made of: {made:?}");
}

/// What the shim supplies for groups (peers/shim/groups.py) is still wrong without it; as soon as it is not, this fails.
#[test]
fn what_moto_gets_wrong_about_groups_is_still_wrong() {
    let server = Server::start(Emulator::Moto).unwrap_or_else(|error| panic!("{error}"));
    let client = server.client().unwrap_or_else(|error| panic!("{error}"));
    let account = Account::new(Emulator::Moto, &Arc::new(Mutex::new(client)), "222222222204");
    let world = World::default_account();
    account.seed(&world);
    let instead = account.seed_machines(&world);
    let image = instead.iter().find(|(written, _)| written.starts_with("ami-")).map(|(_, here)| here).unwrap();
    let subnet = instead.iter().find(|(written, _)| written.starts_with("subnet-")).map(|(_, here)| here).unwrap();
    let data = json!({"ImageId": image, "InstanceType": "t3.micro"});
    account.must("ec2", "CreateLaunchTemplate", &json!({"LaunchTemplateName": "machines", "LaunchTemplateData": data}));
    let make = |name: &str, more: Value| {
        let mut input = json!({"AutoScalingGroupName": name, "MinSize": 2, "MaxSize": 2, "VPCZoneIdentifier": subnet,
            "HealthCheckGracePeriod": 0, "LaunchTemplate": {"LaunchTemplateName": "machines", "Version": "1"}});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        account.must("autoscaling", "CreateAutoScalingGroup", &input);
        let found = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({"AutoScalingGroupNames": [name]}));
        found["AutoScalingGroups"][0].clone()
    };
    let balanced = json!({"LoadBalancerNames": ["shop-classic"]});
    // A grace period of 0 seconds is none to moto.
    assert_eq!(make("a", balanced.clone())["HealthCheckGracePeriod"], 300);
    // The second group behind a load balancer drives the instances of the first one out.
    make("b", balanced);
    let health = account.must("elb", "DescribeInstanceHealth", &json!({"LoadBalancerName": "shop-classic"}));
    assert_eq!(health["InstanceStates"].as_array().unwrap().len(), 2, "four instances are in service");
    // Protected instances survive the deletion of their group by force.
    let group = make("c", json!({"NewInstancesProtectedFromScaleIn": true}));
    account.must("autoscaling", "DeleteAutoScalingGroup", &json!({"AutoScalingGroupName": "c", "ForceDelete": true}));
    let one = json!({"InstanceIds": [group["Instances"][0]["InstanceId"]]});
    let left = account.must("ec2", "DescribeInstances", &one);
    assert_eq!(left["Reservations"][0]["Instances"][0]["State"]["Name"], "running");
    // Of On-Demand and Spot both are rounded down.
    let policy = json!({"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "machines", "Version": "1"},
            "Overrides": [{"InstanceType": "t3.micro"}]},
        "InstancesDistribution": {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 25}});
    let mixed = json!({"AutoScalingGroupName": "d", "MinSize": 2, "MaxSize": 2, "VPCZoneIdentifier": subnet, "MixedInstancesPolicy": policy});
    account.must("autoscaling", "CreateAutoScalingGroup", &mixed);
    let found = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({"AutoScalingGroupNames": ["d"]}));
    assert_eq!(found["AutoScalingGroups"][0]["Instances"].as_array().unwrap().len(), 1, "two were wanted");
}

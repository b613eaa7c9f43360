//! Container instances over real HTTP: a group is made, its instances join their cluster, services are placed on them and
//! torn down with it.
//!
//! What the agent does on a new instance, the test does: it joins the cluster that the user data name, with the attributes
//! that they say. moto knows no filter of ListContainerInstances, by which draining finds the instances of a group, so that
//! replacing them is shown on the simulated AWS alone (`tests/hosts.rs`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use belay_executor::simulator::World;
use belay_schemas::plan::Mode;
use belay_tests::account::Account;
use belay_tests::fixtures::Fixture;
use belay_tests::servers::Emulator;
use belay_tests::site::Site;
use serde_json::{Value, json};

use crate::groups::text_of;
use crate::{emulator, listed};

#[test]
fn instances_join_their_cluster_and_services_run_on_them_on_moto() {
    let (server, client) = emulator(Emulator::Shimmed);
    let account = Account::new(Emulator::Shimmed, client, "555555555560");
    let fixture = Fixture::named("container-instances");
    let mut world = World::default_account();
    (fixture.world)(&mut world);
    let mut instead = account.seed(&world);
    instead.extend(account.seed_machines(&world));
    let site = Site::new(&fixture, server.endpoint(), &account).calling(instead);
    site.take(&fixture.sources()).iter().for_each(|image| drop(account.push(image)));

    let plan = site.plan();
    assert!(plan.nodes.iter().any(|node| node.id == "nodes.group.A.joined.1" || node.id == "nodes.group.A.joined"));
    let done = with_agents(&account, || site.apply());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let hosts = hosts(&account);
    assert_eq!(hosts.len(), 3);
    for host in &hosts {
        let attributes = host["attributes"].as_array().unwrap();
        assert!(attributes.iter().any(|one| one["name"] == "stack" && one["value"] == "shop"), "{host:#}");
    }
    assert_eq!(running(&account), [("shop_logs".to_owned(), 3), ("shop_web".to_owned(), 3)].into());
    let left: Vec<String> = site.plan().nodes.iter().map(|node| node.summary.clone()).collect();
    assert_eq!(left, [""; 0], "still to do");

    assert!(!site.plan_in(Mode::Teardown).nodes.is_empty());
    let done = site.apply();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(running(&account), BTreeMap::new());
    let groups = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({}));
    assert_eq!(groups["AutoScalingGroups"], json!([]));
}

/// Does something while each new instance of a group starts an agent.
fn with_agents<T>(account: &Account, act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut joined = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let found = account.must("autoscaling", "DescribeAutoScalingGroups", &json!({}));
                for group in found["AutoScalingGroups"].as_array().unwrap() {
                    for instance in group["Instances"].as_array().unwrap() {
                        if !joined.contains(&instance["InstanceId"]) {
                            join(account, &group["LaunchTemplate"], &instance["InstanceId"]);
                            joined.push(instance["InstanceId"].clone());
                        }
                    }
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// What the agent does when it starts, set up by the user data of a launch template.
fn join(account: &Account, template: &Value, instance: &Value) {
    let wanted = json!({"LaunchTemplateId": template["LaunchTemplateId"], "Versions": [template["Version"]]});
    let found = account.must("ec2", "DescribeLaunchTemplateVersions", &wanted);
    let data = &found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"];
    let script = text_of(data.as_str().unwrap());
    let said = |name: &str| script.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let cluster = said("ECS_CLUSTER=");
    let document = json!({"instanceId": instance}).to_string();
    let input = json!({"cluster": cluster, "instanceIdentityDocument": document});
    let made = account.must("ecs", "RegisterContainerInstance", &input);
    let target = &made["containerInstance"]["containerInstanceArn"];
    let attributes: BTreeMap<String, String> = serde_json::from_str(said("ECS_INSTANCE_ATTRIBUTES=")).unwrap();
    let attributes: Vec<Value> =
        attributes.iter().map(|(name, value)| json!({"name": name, "value": value, "targetId": target})).collect();
    account.must("ecs", "PutAttributes", &json!({"cluster": cluster, "attributes": attributes}));
}

/// The container instances of the fixture's cluster.
fn hosts(account: &Account) -> Vec<Value> {
    let arns = listed(account, "ListContainerInstances", "containerInstanceArns", json!({"cluster": "shop"}));
    let wanted = json!({"cluster": "shop", "containerInstances": arns});
    let found = account.must("ecs", "DescribeContainerInstances", &wanted);
    found["containerInstances"].as_array().unwrap().clone()
}

/// Running tasks of each service that is there.
fn running(account: &Account) -> BTreeMap<String, u64> {
    let arns = listed(account, "ListServices", "serviceArns", json!({"cluster": "shop"}));
    let told = arns.iter().map(|arn| {
        let found = account.must("ecs", "DescribeServices", &json!({"cluster": "shop", "services": [arn]}));
        let service = &found["services"][0];
        (service["serviceName"].as_str().unwrap().to_owned(), service["runningCount"].as_u64().unwrap())
    });
    told.collect()
}

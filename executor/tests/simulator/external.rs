//! Machines outside AWS: what is placed on them, and what is not.

use belay_executor::simulator::world::{ContainerInstance, EXTERNAL, InstanceStatus};
use belay_executor::simulator::{SimulatedCloud, World};
use serde_json::{Value, json};

use crate::support::*;

/// The default account with two machines outside AWS.
fn hall() -> SimulatedCloud {
    let mut world = World::default_account();
    let like = world.container_instances.values().next().unwrap().clone();
    for at in 1..=2 {
        let machine = ContainerInstance {
            ec2_instance_id: format!("mi-0b00000000000000{at}"),
            availability_zone: String::new(),
            private_ip: None,
            attributes: [(EXTERNAL.to_owned(), String::new())].into(),
            ..like.clone()
        };
        world.container_instances.insert(format!("{at:032x}"), machine);
    }
    SimulatedCloud::new(world)
}

fn outside(more: Value) -> Value {
    let mut input = json!({"launchType": "EXTERNAL"});
    merge(&mut input, more);
    input
}

/// Machines that tasks of a service run on, `mi-` for those outside AWS.
fn hosts(cloud: &SimulatedCloud, service: &str) -> Vec<String> {
    cloud.with_world(|world| {
        let key = format!("default/{service}");
        let tasks = world.tasks.of_service(&key).filter(|(_, task)| !task.stopping);
        let ids = tasks.filter_map(|(_, task)| world.container_instances.get(task.container_instance.as_ref()?));
        let mut ids: Vec<String> = ids.map(|host| host.ec2_instance_id.clone()).collect();
        ids.sort();
        ids
    })
}

#[tokio::test]
async fn tasks_of_both_kinds_stay_apart() {
    let cloud = hall();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 4, outside(json!({}))).await;
    pass(&cloud, 100).await;
    let ids = hosts(&cloud, "web");
    assert!(ids.len() == 4 && ids.iter().all(|id| id.starts_with("mi-")), "{ids:?}");
    let mut daemon = json!({"serviceName": "agent", "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
    call(&cloud, "CreateService", daemon.clone()).await;
    merge(&mut daemon, outside(json!({"serviceName": "exporter"})));
    call(&cloud, "CreateService", daemon).await;
    pass(&cloud, 100).await;
    let ids = hosts(&cloud, "agent");
    assert!(ids.len() == 3 && ids.iter().all(|id| id.starts_with("i-")), "{ids:?}");
    assert_eq!(hosts(&cloud, "exporter"), ["mi-0b000000000000001", "mi-0b000000000000002"]);
    // Whatever is wanted more than fits is not put elsewhere.
    call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 40})).await;
    pass(&cloud, 300).await;
    assert!(has_event(&cloud, "web", "unable to place a task").await);
    assert!(hosts(&cloud, "web").iter().all(|id| id.starts_with("mi-")));
}

#[tokio::test]
async fn they_are_told_by_their_attribute_and_have_no_zone() {
    let cloud = hall();
    register(&cloud, "web", "nginx:1").await;
    let ran = call(&cloud, "RunTask", outside(json!({"taskDefinition": "web"}))).await["tasks"][0].take();
    assert_eq!((&ran["launchType"], &ran["availabilityZone"]), (&json!("EXTERNAL"), &Value::Null));
    let host = ran["containerInstanceArn"].clone();
    let shown = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": [host]})).await;
    let shown = &shown["containerInstances"][0];
    let all = shown["attributes"].as_array().unwrap();
    assert!(all.contains(&json!({"name": "ecs.capability.external"})), "{all:?}");
    assert!(all.iter().all(|a| a["name"] != "ecs.availability-zone" && a["name"] != "ecs.instance-type"), "{all:?}");
    assert!(shown["ec2InstanceId"].as_str().unwrap().starts_with("mi-"));
    let filter = json!({"filter": "attribute:ecs.capability.external exists"});
    let listed = call(&cloud, "ListContainerInstances", filter).await;
    assert_eq!(listed["containerInstanceArns"].as_array().unwrap().len(), 2);
    // EC2 does not know them.
    let unknown = try_any(&cloud, "ec2", "DescribeInstances", json!({"InstanceIds": ["mi-0b000000000000001"]})).await;
    assert!(unknown.is_err(), "{unknown:?}");
}

#[tokio::test]
async fn tasks_leave_one_that_is_drained() {
    let cloud = hall();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, outside(json!({}))).await;
    pass(&cloud, 100).await;
    let away = json!({"containerInstances": [format!("{:032x}", 1)], "status": "DRAINING"});
    call(&cloud, "UpdateContainerInstancesState", away).await;
    pass(&cloud, 300).await;
    assert_eq!(hosts(&cloud, "web"), ["mi-0b000000000000002"; 2]);
    assert!(cloud.with_world(|w| w.container_instances[&format!("{:032x}", 1)].status == InstanceStatus::Draining));
}

#[tokio::test]
async fn what_needs_a_network_of_aws_is_refused() {
    let cloud = hall();
    let compatible = |mut definition: Value| {
        definition["requiresCompatibilities"] = json!(["EXTERNAL"]);
        definition
    };
    let made = call(&cloud, "RegisterTaskDefinition", compatible(definition("web", "nginx:1"))).await;
    assert_eq!(made["taskDefinition"]["compatibilities"], json!(["EC2", "EXTERNAL"]));
    for (member, value) in [
        ("networkMode", json!("awsvpc")),
        ("volumes", json!([{"name": "d", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}])),
        ("volumes", json!([{"name": "d", "configuredAtLaunch": true}])),
        ("proxyConfiguration", json!({"containerName": "main", "type": "APPMESH"})),
    ] {
        let mut asked = definition("tied", "nginx:1");
        asked[member] = value;
        // Without the word it is a definition for instances of EC2, which nothing starts elsewhere.
        call(&cloud, "RegisterTaskDefinition", asked.clone()).await;
        let mut run = outside(json!({"taskDefinition": "tied"}));
        if member == "networkMode" {
            run["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-0a000001"]}});
        }
        let refused = try_call(&cloud, "RunTask", run).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterException", "{member}");
        let refused = try_call(&cloud, "RegisterTaskDefinition", compatible(asked)).await.unwrap_err();
        assert_eq!(refused.code, "ClientException", "{member}");
    }
    let group = target_group(&cloud, "shop-web").await;
    for (member, value) in [
        ("loadBalancers", behind(&group)),
        ("availabilityZoneRebalancing", json!("ENABLED")),
        ("serviceConnectConfiguration", json!({"enabled": true, "namespace": "shop"})),
    ] {
        let mut input = outside(json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 1}));
        input[member] = value;
        let refused = try_call(&cloud, "CreateService", input).await.unwrap_err();
        assert_eq!(refused.code, "InvalidParameterException", "{member}: {refused}");
    }
}

//! Agents of container instances that groups make: what their user data say of memory, and of tasks that they start
//! themselves.

use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::World;
use serde_json::{Value, json};

use crate::groups::{base64, scaling};
use crate::support::*;

/// One instance of a group whose user data say this, when it has joined.
async fn joined(world: World, user_data: &str) -> (SimulatedCloud, Value) {
    let cloud = SimulatedCloud::new(world);
    register(&cloud, "agent", "agent:1").await;
    let data = json!({"ImageId": "ami-0a000003", "InstanceType": "m6g.large", "UserData": base64(user_data)});
    let template = json!({"LaunchTemplateName": "hosts", "LaunchTemplateData": data});
    any(&cloud, "ec2", "CreateLaunchTemplate", template).await;
    let group = json!({
        "AutoScalingGroupName": "hosts", "MinSize": 1, "MaxSize": 1, "VPCZoneIdentifier": "subnet-0a000001",
        "LaunchTemplate": {"LaunchTemplateName": "hosts", "Version": "1"},
    });
    scaling(&cloud, "CreateAutoScalingGroup", group).await;
    pass(&cloud, 75).await;
    let filter = json!({"filter": "attribute:ecs.instance-type == m6g.large"});
    let arns = call(&cloud, "ListContainerInstances", filter).await["containerInstanceArns"].take();
    let shown = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": arns})).await;
    let shown = shown["containerInstances"][0].clone();
    (cloud, shown)
}

fn amount(instance: &Value, of: &str, name: &str) -> u64 {
    let all = instance[of].as_array().unwrap();
    all.iter().find(|r| r["name"] == name).unwrap()["integerValue"].as_u64().unwrap()
}

const START: &str = "aws ecs start-task --cluster \"$cluster\" --container-instances \"$instance\" --started-by belay";

#[tokio::test]
async fn reserved_memory_is_nobodys() {
    let world = World::default_account();
    let (_, plain) = joined(world.clone(), "#!/bin/sh\necho ECS_CLUSTER=default\nECS_CLUSTER=default\n").await;
    let (_, kept) = joined(world, "ECS_CLUSTER=default\nECS_RESERVED_MEMORY=256\n").await;
    assert_eq!(amount(&plain, "registeredResources", "MEMORY"), 7680);
    for of in ["registeredResources", "remainingResources"] {
        assert_eq!(amount(&kept, of, "MEMORY"), 7680 - 256, "{of}");
    }
    let architecture = json!({"name": "ecs.cpu-architecture", "value": "arm64"});
    assert!(plain["attributes"].as_array().unwrap().contains(&architecture), "{plain}");
}

#[tokio::test]
async fn an_instance_starts_its_own_tasks_which_stay_when_it_drains() {
    let mut world = World::default_account();
    world.timings.own_task_seconds = Some(20);
    let script =
        format!("ECS_CLUSTER=default\n{START} --task-definition 'agent'\n{START} --task-definition 'none:3'\n");
    let (cloud, instance) = joined(world, &script).await;
    let arn = &instance["containerInstanceArn"];
    assert_eq!(amount(&instance, "remainingResources", "MEMORY"), 7680 - 512);
    let named = json!({"containerInstance": arn, "startedBy": "belay"});
    let tasks = call(&cloud, "ListTasks", named).await["taskArns"].take();
    let shown = call(&cloud, "DescribeTasks", json!({"tasks": tasks})).await["tasks"].take();
    let [task] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&task["group"], &task["startedBy"]), (&json!("family:agent"), &json!("belay")));
    // Only tasks of services leave, and this one ends with nobody's wish.
    let input = json!({"containerInstances": [arn], "status": "DRAINING"});
    call(&cloud, "UpdateContainerInstancesState", input).await;
    pass(&cloud, 600).await;
    let shown = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": [arn]})).await;
    assert_eq!(shown["containerInstances"][0]["runningTasksCount"], 1);
    scaling(
        &cloud,
        "UpdateAutoScalingGroup",
        json!({"AutoScalingGroupName": "hosts", "MinSize": 0, "DesiredCapacity": 0}),
    )
    .await;
    pass(&cloud, 600).await;
    let task = call(&cloud, "DescribeTasks", json!({"tasks": tasks})).await["tasks"][0].take();
    assert_eq!(task["lastStatus"], "STOPPED", "it goes with its instance");
}

#[tokio::test]
async fn what_finds_no_room_on_its_instance_is_not_started() {
    let mut world = World::default_account();
    world.images.clear();
    let (cloud, _) =
        joined(world, &format!("ECS_CLUSTER=default\nECS_RESERVED_MEMORY=7300\n{START} --task-definition agent\n"))
            .await;
    assert_eq!(cloud.world().tasks.len(), 0);
}

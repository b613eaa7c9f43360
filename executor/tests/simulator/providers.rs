//! Capacity providers of Auto Scaling groups.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::SimulatedCloud;
use serde_json::{Value, json};

use crate::support::{any, call, cloud, definition, pass, try_call};

/// A group without instances, protected from scale-in or not.
async fn group(cloud: &SimulatedCloud, name: &str, protected: bool) {
    let data = json!({"ImageId": "ami-0a000001", "InstanceType": "m5.large",
        "UserData": "IyEvYmluL2Jhc2gKY2F0ID4gL2V0Yy9lY3MvZWNzLmNvbmZpZyA8PCdFJwpFQ1NfQ0xVU1RFUj1kZWZhdWx0CkUK"});
    any(cloud, "ec2", "CreateLaunchTemplate", json!({"LaunchTemplateName": name, "LaunchTemplateData": data})).await;
    let input = json!({"AutoScalingGroupName": name, "LaunchTemplate": {"LaunchTemplateName": name, "Version": "1"},
        "MinSize": 0, "MaxSize": 3, "DesiredCapacity": 0, "VPCZoneIdentifier": "subnet-0a000001",
        "NewInstancesProtectedFromScaleIn": protected});
    any(cloud, "autoscaling", "CreateAutoScalingGroup", input).await;
}

fn provider(name: &str, group: &str, protection: &str) -> Value {
    json!({"name": name, "tags": [{"key": "owner", "value": "somebody"}],
        "autoScalingGroupProvider": {"autoScalingGroupArn": group, "managedScaling": {"status": "ENABLED"},
            "managedTerminationProtection": protection}})
}

fn put(providers: &[&str]) -> Value {
    json!({"cluster": "default", "capacityProviders": providers, "defaultCapacityProviderStrategy": []})
}

async fn described(cloud: &SimulatedCloud, name: &str) -> Value {
    let input = json!({"capacityProviders": [name], "include": ["TAGS"]});
    call(cloud, "DescribeCapacityProviders", input).await["capacityProviders"][0].take()
}

#[tokio::test]
async fn a_provider_is_bound_to_one_group_and_is_not_deleted_while_a_cluster_has_it() {
    let cloud = cloud();
    group(&cloud, "one", false).await;
    let reserved =
        try_call(&cloud, "CreateCapacityProvider", provider("ecs-one", "one", "DISABLED")).await.unwrap_err();
    assert_eq!(reserved.code, "ClientException");
    let unknown = try_call(&cloud, "CreateCapacityProvider", provider("own", "none", "DISABLED")).await.unwrap_err();
    assert_eq!(unknown.code, "ClientException");
    let bare = try_call(&cloud, "CreateCapacityProvider", provider("own", "one", "ENABLED")).await.unwrap_err();
    assert_eq!(bare.code, "InvalidParameterException");
    call(&cloud, "CreateCapacityProvider", provider("own", "one", "DISABLED")).await;
    let twice = try_call(&cloud, "CreateCapacityProvider", provider("own", "one", "DISABLED")).await.unwrap_err();
    assert_eq!((twice.code.as_str(), twice.kind), ("ClientException", ErrorKind::Rejected));
    let second = try_call(&cloud, "CreateCapacityProvider", provider("other", "one", "DISABLED")).await.unwrap_err();
    assert!(second.message.contains("already being used"), "{second}");
    let made = described(&cloud, "own").await;
    assert_eq!((&made["status"], &made["updateStatus"]), (&json!("ACTIVE"), &json!("CREATE_COMPLETE")));
    assert_eq!(made["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"], 100);
    assert_eq!(made["tags"][0]["value"], "somebody");

    call(&cloud, "PutClusterCapacityProviders", put(&["FARGATE", "own"])).await;
    let busy = try_call(&cloud, "PutClusterCapacityProviders", put(&["own"])).await.unwrap_err();
    assert_eq!((busy.code.as_str(), busy.kind), ("UpdateInProgressException", ErrorKind::Transient));
    let attachments = json!({"clusters": ["default"], "include": ["ATTACHMENTS"]});
    let status = call(&cloud, "DescribeClusters", attachments.clone()).await["clusters"][0]["attachmentsStatus"].take();
    assert_eq!(status, "UPDATE_IN_PROGRESS");
    pass(&cloud, 60).await;
    let status = call(&cloud, "DescribeClusters", attachments).await["clusters"][0]["attachmentsStatus"].take();
    assert_eq!(status, "UPDATE_COMPLETE");
    // ECS scales the group from now on, and says so.
    let groups =
        any(&cloud, "autoscaling", "DescribeAutoScalingGroups", json!({"AutoScalingGroupNames": ["one"]})).await;
    assert_eq!(groups["AutoScalingGroups"][0]["Tags"][0]["Key"], "AmazonECSManaged");
    let policies = any(&cloud, "autoscaling", "DescribePolicies", json!({"AutoScalingGroupName": "one"})).await;
    assert!(policies["ScalingPolicies"][0]["PolicyName"].as_str().unwrap().starts_with("ECSManaged"));

    // The answer says that it is well, and the provider that it is not.
    call(&cloud, "DeleteCapacityProvider", json!({"capacityProvider": "own"})).await;
    let kept = described(&cloud, "own").await;
    assert_eq!((&kept["status"], &kept["updateStatus"]), (&json!("ACTIVE"), &json!("DELETE_FAILED")));
    assert!(kept["updateStatusReason"].as_str().unwrap().contains("cluster: default"));
    call(&cloud, "PutClusterCapacityProviders", put(&["FARGATE"])).await;
    pass(&cloud, 60).await;
    call(&cloud, "DeleteCapacityProvider", json!({"capacityProvider": "own"})).await;
    assert_eq!(described(&cloud, "own").await["updateStatus"], "DELETE_IN_PROGRESS");
    pass(&cloud, 60).await;
    assert_eq!(described(&cloud, "own").await["status"], "INACTIVE");
    let policies = any(&cloud, "autoscaling", "DescribePolicies", json!({"AutoScalingGroupName": "one"})).await;
    assert_eq!(policies["ScalingPolicies"], json!([]));
    // Name and group are free again.
    call(&cloud, "CreateCapacityProvider", provider("own", "one", "DISABLED")).await;
}

#[tokio::test]
async fn tasks_run_on_the_instances_of_their_provider_alone() {
    let cloud = cloud();
    group(&cloud, "one", true).await;
    call(&cloud, "CreateCapacityProvider", provider("own", "one", "ENABLED")).await;
    call(&cloud, "RegisterTaskDefinition", definition("web", "shop/web:1")).await;
    let strategy = json!([{"capacityProvider": "own", "weight": 1}]);
    let create = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 2,
        "capacityProviderStrategy": strategy});
    let stray = try_call(&cloud, "CreateService", create.clone()).await.unwrap_err();
    assert_eq!(stray.code, "InvalidParameterException");
    call(&cloud, "PutClusterCapacityProviders", put(&["own"])).await;
    call(&cloud, "CreateService", create).await;
    pass(&cloud, 120).await;
    let service = json!({"services": ["web"]});
    let running = call(&cloud, "DescribeServices", service.clone()).await["services"][0]["runningCount"].take();
    assert_eq!(running, 0, "the cluster's other instances are not the provider's");
    let grow = json!({"AutoScalingGroupName": "one", "DesiredCapacity": 1});
    any(&cloud, "autoscaling", "UpdateAutoScalingGroup", grow).await;
    pass(&cloud, 300).await;
    let running = call(&cloud, "DescribeServices", service).await["services"][0]["runningCount"].take();
    assert_eq!(running, 2);
    let listed = call(&cloud, "ListContainerInstances", json!({})).await["containerInstanceArns"].take();
    let hosts = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": listed})).await;
    let own =
        hosts["containerInstances"].as_array().unwrap().iter().filter(|host| host["capacityProviderName"] == "own");
    assert_eq!(own.count(), 1);
    let used = try_call(&cloud, "PutClusterCapacityProviders", put(&[])).await.unwrap_err();
    pass(&cloud, 60).await;
    assert_eq!((used.code.as_str(), used.kind), ("ResourceInUseException", ErrorKind::Rejected));
    let update = json!({"name": "own", "autoScalingGroupProvider": {"managedScaling": {"targetCapacity": 80}}});
    call(&cloud, "UpdateCapacityProvider", update).await;
    let changed = described(&cloud, "own").await;
    assert_eq!(changed["updateStatus"], "UPDATE_IN_PROGRESS");
    assert_eq!(changed["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"], 80);
    assert_eq!(changed["autoScalingGroupProvider"]["managedTerminationProtection"], "ENABLED");
}

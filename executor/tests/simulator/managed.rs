//! Managed Instances: ECS starts instances for tasks, and ends them with them.

use belay_executor::simulator::SimulatedCloud;
use serde_json::{Value, json};

use crate::support::*;

/// The default account with a capacity provider of Managed Instances.
async fn media() -> SimulatedCloud {
    let cloud = cloud();
    let template = json!({
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/ecsInstanceRole",
        "networkConfiguration": {"subnets": ["subnet-0a000001"]},
    });
    let managed = json!({
        "infrastructureRoleArn": "arn:aws:iam::123456789012:role/ecsInfrastructureRole",
        "instanceLaunchTemplate": template,
    });
    let input = json!({"name": "media", "cluster": "default", "managedInstancesProvider": managed});
    let made = call(&cloud, "CreateCapacityProvider", input).await;
    assert_eq!(made["capacityProvider"]["cluster"], "default");
    let mut asked = definition("web", "nginx:1");
    merge(&mut asked, json!({"requiresCompatibilities": ["MANAGED_INSTANCES"], "networkMode": "host"}));
    call(&cloud, "RegisterTaskDefinition", asked).await;
    cloud
}

fn by(provider: &str) -> Value {
    json!({"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]})
}

/// Container instances that the cluster shows, by the capacity provider that they are of.
async fn shown(cloud: &SimulatedCloud) -> Vec<Value> {
    let listed = call(cloud, "ListContainerInstances", json!({})).await["containerInstanceArns"].take();
    let described = call(cloud, "DescribeContainerInstances", json!({"containerInstances": listed})).await;
    let all = described["containerInstances"].as_array().unwrap().iter();
    all.map(|instance| instance["capacityProviderName"].clone()).collect()
}

#[tokio::test]
async fn an_instance_comes_for_each_task_and_goes_with_it() {
    let cloud = media().await;
    let cluster = call(&cloud, "DescribeClusters", json!({})).await["clusters"][0].take();
    assert_eq!(cluster["capacityProviders"], json!(["media"]));
    let told = call(&cloud, "DescribeCapacityProviders", json!({"capacityProviders": ["media"]})).await;
    assert_eq!(told["capacityProviders"][0]["type"], "MANAGED_INSTANCES");

    create(&cloud, 2, by("media")).await;
    pass(&cloud, 30).await;
    // They are on their way, and so are the tasks.
    assert_eq!(shown(&cloud).await.len(), 3);
    assert!(tasks(&cloud, "web").iter().all(|(_, status, _)| status == "PROVISIONING"));
    let task = call(&cloud, "ListTasks", json!({"serviceName": "web"})).await["taskArns"][0].take();
    let task = call(&cloud, "DescribeTasks", json!({"tasks": [task]})).await["tasks"][0].take();
    assert_eq!((&task["launchType"], &task["containerInstanceArn"]), (&json!("MANAGED_INSTANCES"), &Value::Null));
    pass(&cloud, 120).await;
    assert_eq!(healthy(&cloud, "web"), 2);
    let instances = shown(&cloud).await;
    assert_eq!(instances.iter().filter(|provider| **provider == "media").count(), 2);
    // A task of somebody else finds no place there.
    let mut large = definition("large", "nginx:1");
    large["containerDefinitions"][0]["memory"] = json!(100_000);
    call(&cloud, "RegisterTaskDefinition", large).await;
    let ran = call(&cloud, "RunTask", json!({"taskDefinition": "large", "launchType": "EC2"})).await;
    assert_eq!(ran["failures"].as_array().unwrap().len(), 3, "{ran:#}");
    call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 1})).await;
    pass(&cloud, 120).await;
    assert_eq!(shown(&cloud).await.len(), 4);
}

#[tokio::test]
async fn tasks_have_to_be_for_them_and_strategies_of_one_kind() {
    let cloud = media().await;
    let code = |refused: Result<Value, belay_executor::cloud::CloudError>| refused.unwrap_err().code;
    let service = |family: &str, strategy: Value| {
        let mut input = json!({"serviceName": family, "taskDefinition": family, "desiredCount": 1});
        merge(&mut input, strategy);
        input
    };
    register(&cloud, "plain", "nginx:1").await;
    let refused = try_call(&cloud, "CreateService", service("plain", by("media"))).await;
    assert_eq!(code(refused), "InvalidParameterException");
    let mut run = json!({"taskDefinition": "plain"});
    merge(&mut run, by("media"));
    assert_eq!(code(try_call(&cloud, "RunTask", run).await), "InvalidParameterException");
    let mut bridge = definition("bridge", "nginx:1");
    merge(&mut bridge, json!({"requiresCompatibilities": ["MANAGED_INSTANCES"], "networkMode": "bridge"}));
    assert_eq!(code(try_call(&cloud, "RegisterTaskDefinition", bridge.clone()).await), "ClientException");
    bridge.as_object_mut().unwrap().remove("networkMode");
    let usual = call(&cloud, "RegisterTaskDefinition", bridge).await;
    assert_eq!(usual["taskDefinition"]["networkMode"], "awsvpc");

    let mut put = json!({"cluster": "default", "capacityProviders": ["media"], "defaultCapacityProviderStrategy": []});
    let refused = try_call(&cloud, "PutClusterCapacityProviders", put.clone()).await.unwrap_err();
    assert!(refused.message.starts_with("Cannot associate Managed Instances"), "{refused}");
    put["capacityProviders"] = json!(["FARGATE"]);
    let cluster = call(&cloud, "PutClusterCapacityProviders", put).await["cluster"].take();
    assert_eq!(cluster["capacityProviders"], json!(["FARGATE", "media"]), "it stays the cluster's");
    let mut mixed = by("media");
    let more = json!({"capacityProvider": "FARGATE", "weight": 1});
    mixed["capacityProviderStrategy"].as_array_mut().unwrap().push(more);
    let refused = try_call(&cloud, "CreateService", service("web", mixed)).await;
    assert_eq!(code(refused), "InvalidParameterException");
}

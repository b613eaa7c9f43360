//! What the tests share: a small account, short ways to call it, and to let time pass.

use belay_executor::cloud::{Clock, Cloud, CloudError};
use belay_executor::simulator::world::{Behaviour, Image};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::aws::{FaultKind, validate_output};
use serde_json::{Value, json};

pub fn cloud() -> SimulatedCloud {
    SimulatedCloud::new(World::default_account())
}

pub fn with_image(image: &str, behaviour: Behaviour) -> SimulatedCloud {
    let mut world = World::default_account();
    world.images.insert(image.to_owned(), Image { behaviour, ..Image::default() });
    SimulatedCloud::new(world)
}

pub const CRASH: Behaviour = Behaviour::Crash { after_seconds: 3, exit_code: 1, reason: None };

pub async fn call(cloud: &SimulatedCloud, operation: &str, input: Value) -> Value {
    try_call(cloud, operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

pub async fn try_call(cloud: &SimulatedCloud, operation: &str, input: Value) -> Result<Value, CloudError> {
    try_any(cloud, "ecs", operation, input).await
}

/// Makes a call, and holds that the answer is of the operation's shape.
pub async fn try_any(
    cloud: &SimulatedCloud,
    service: &str,
    operation: &str,
    input: Value,
) -> Result<Value, CloudError> {
    let output = cloud.call(service, operation, &input).await?;
    let mut faults = validate_output(service, operation, &output);
    // Bounds are for what is sent: AWS itself answers with fewer tags than anybody may set.
    faults.retain(|fault| fault.kind != FaultKind::OutOfRange);
    assert!(faults.is_empty(), "{service} {operation}: {faults:?}\n{output:#}");
    Ok(output)
}

pub async fn elbv2(cloud: &SimulatedCloud, operation: &str, input: Value) -> Value {
    any(cloud, "elbv2", operation, input).await
}

pub async fn any(cloud: &SimulatedCloud, service: &str, operation: &str, input: Value) -> Value {
    try_any(cloud, service, operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
}

pub async fn pass(cloud: &SimulatedCloud, seconds: u64) {
    cloud.wait_until(cloud.now() + seconds * 1000).await;
}

/// A task definition with one container of 256 CPU units, 512 MiB and container port 80 on a dynamic host port.
pub fn definition(family: &str, image: &str) -> Value {
    json!({
        "family": family,
        "containerDefinitions": [{
            "name": "main", "image": image, "cpu": 256, "memory": 512, "portMappings": [{"containerPort": 80}],
        }],
    })
}

pub async fn register(cloud: &SimulatedCloud, family: &str, image: &str) -> String {
    let output = call(cloud, "RegisterTaskDefinition", definition(family, image)).await;
    output["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

pub async fn target_group(cloud: &SimulatedCloud, name: &str) -> String {
    let output = elbv2(cloud, "DescribeTargetGroups", json!({"Names": [name]})).await;
    output["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned()
}

/// Creates a service of the family `web`, which must be registered, with what `more` says besides.
pub async fn create(cloud: &SimulatedCloud, desired: u64, more: Value) -> Value {
    let mut input = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": desired});
    merge(&mut input, more);
    call(cloud, "CreateService", input).await["service"].take()
}

pub fn merge(into: &mut Value, more: Value) {
    for (name, value) in more.as_object().unwrap() {
        into[name] = value.clone();
    }
}

pub async fn describe(cloud: &SimulatedCloud, service: &str) -> Value {
    call(cloud, "DescribeServices", json!({"services": [service], "include": ["TAGS"]})).await["services"][0].take()
}

/// The messages of a service's events, the oldest first.
pub async fn events(cloud: &SimulatedCloud, service: &str) -> Vec<String> {
    let described = describe(cloud, service).await;
    let events = described["events"].as_array().unwrap().iter();
    events.rev().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

pub async fn has_event(cloud: &SimulatedCloud, service: &str, words: &str) -> bool {
    events(cloud, service).await.iter().any(|message| message.contains(words))
}

/// The newest service deployment of a service, described.
pub async fn deployment(cloud: &SimulatedCloud, service: &str) -> Value {
    let listed = call(cloud, "ListServiceDeployments", json!({"service": service})).await;
    let arn = &listed["serviceDeployments"][0]["serviceDeploymentArn"];
    call(cloud, "DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]})).await["serviceDeployments"][0]
        .take()
}

pub fn breaker(rollback: bool) -> Value {
    json!({"deploymentConfiguration": {
        "deploymentCircuitBreaker": {"enable": true, "rollback": rollback},
        "minimumHealthyPercent": 100, "maximumPercent": 200,
    }})
}

/// The state of every task that a service has now, `(image, last status, healthy)`.
pub fn tasks(cloud: &SimulatedCloud, service: &str) -> Vec<(String, String, bool)> {
    cloud.with_world(|world| {
        let key = format!("default/{service}");
        let tasks = world.tasks.of_service(&key).filter(|(_, task)| !task.stopping);
        tasks
            .map(|(_, task)| {
                let status = task.last_status.word().to_owned();
                (task.containers[0].image.clone(), status, task.healthy_since.is_some())
            })
            .collect()
    })
}

pub fn healthy(cloud: &SimulatedCloud, service: &str) -> usize {
    tasks(cloud, service).iter().filter(|(_, _, healthy)| *healthy).count()
}

/// A load balancer for the container of [`definition`].
pub fn behind(target_group: &str) -> Value {
    json!([{"targetGroupArn": target_group, "containerName": "main", "containerPort": 80}])
}

pub fn behind_classic(name: &str) -> Value {
    json!([{"loadBalancerName": name, "containerName": "main", "containerPort": 80}])
}

pub async fn health(cloud: &SimulatedCloud, target_group: &str) -> Vec<String> {
    let output = elbv2(cloud, "DescribeTargetHealth", json!({"TargetGroupArn": target_group})).await;
    let states = output["TargetHealthDescriptions"].as_array().unwrap().iter();
    states.map(|target| target["TargetHealth"]["State"].as_str().unwrap().to_owned()).collect()
}

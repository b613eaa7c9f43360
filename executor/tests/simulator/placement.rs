//! Where tasks go, and what happens when there is no room.

use belay_executor::simulator::world::InstanceStatus;
use serde_json::{Value, json};

use crate::support::*;

fn zones(cloud: &belay_executor::simulator::SimulatedCloud) -> Vec<String> {
    cloud.with_world(|world| {
        let live = world.tasks.of_service("default/web").filter(|(_, t)| !t.stopping);
        let mut zones: Vec<String> = live.map(|(_, t)| t.availability_zone.clone()).collect();
        zones.sort();
        zones
    })
}

fn fixed_port(image: &str) -> Value {
    let mut fixed = definition("web", image);
    fixed["containerDefinitions"][0]["portMappings"][0]["hostPort"] = json!(8080);
    fixed
}

#[tokio::test]
async fn tasks_spread_over_zones_and_scale_in_from_the_fullest() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 5, json!({})).await;
    pass(&cloud, 100).await;
    assert_eq!(zones(&cloud), ["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b", "us-east-1c"]);
    call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 3})).await;
    pass(&cloud, 100).await;
    assert_eq!(zones(&cloud), ["us-east-1a", "us-east-1b", "us-east-1c"]);
}

#[tokio::test]
async fn a_fixed_port_with_no_room_is_a_deadlock_that_says_so() {
    let cloud = cloud();
    call(&cloud, "RegisterTaskDefinition", fixed_port("nginx:1")).await;
    create(&cloud, 3, json!({})).await;
    pass(&cloud, 300).await;
    assert_eq!(healthy(&cloud, "web"), 3);
    call(&cloud, "RegisterTaskDefinition", fixed_port("nginx:2")).await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    pass(&cloud, 3600).await;
    assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:1"));
    let described = describe(&cloud, "web").await;
    let message = described["events"][0]["message"].as_str().unwrap();
    assert!(message.starts_with(
        "(service web) was unable to place a task because no container instance met all of its requirements. \
         The closest matching (container-instance "
    ));
    assert!(message.contains("is already using a port required by your task."), "{message}");
    assert_eq!(described["deployments"].as_array().unwrap().len(), 2);
    // Leave to stop one first resolves it.
    let bounds = json!({"minimumHealthyPercent": 60, "maximumPercent": 200});
    call(&cloud, "UpdateService", json!({"service": "web", "deploymentConfiguration": bounds})).await;
    for _ in 0..600 {
        pass(&cloud, 1).await;
        assert!(healthy(&cloud, "web") >= 2);
    }
    assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:2"));
    assert_eq!(deployment(&cloud, "web").await["status"], "SUCCESSFUL");
}

#[tokio::test]
async fn no_room_is_found_out_per_resource_and_freed_room_is_used() {
    for (member, amount, words) in
        [("cpu", 3000, "has insufficient CPU units available"), ("memory", 9000, "has insufficient memory available")]
    {
        let cloud = cloud();
        let mut big = definition("web", "nginx:1");
        big["containerDefinitions"][0][member] = json!(amount);
        call(&cloud, "RegisterTaskDefinition", big).await;
        create(&cloud, 1, json!({})).await;
        pass(&cloud, 60).await;
        assert!(has_event(&cloud, "web", words).await, "{words}");
    }
    let cloud = cloud();
    cloud.with_world(|world| world.timings.own_task_seconds = None);
    let mut big = definition("big", "nginx:1");
    big["containerDefinitions"][0]["memory"] = json!(7000);
    call(&cloud, "RegisterTaskDefinition", big).await;
    let run = call(&cloud, "RunTask", json!({"taskDefinition": "big", "count": 3})).await;
    pass(&cloud, 60).await;
    let mut big = definition("web", "nginx:1");
    big["containerDefinitions"][0]["memory"] = json!(1000);
    call(&cloud, "RegisterTaskDefinition", big).await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 60).await;
    assert_eq!(tasks(&cloud, "web").len(), 0);
    call(&cloud, "StopTask", json!({"task": run["tasks"][0]["taskArn"]})).await;
    pass(&cloud, 120).await;
    assert_eq!(healthy(&cloud, "web"), 1);
}

#[tokio::test]
async fn without_instances_nothing_is_placed() {
    let cloud = cloud();
    cloud.with_world(|world| world.container_instances.clear());
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 60).await;
    assert!(has_event(&cloud, "web", "Reason: No Container Instances were found in your cluster.").await);
    let error = try_call(&cloud, "RunTask", json!({"taskDefinition": "web"})).await.unwrap_err();
    assert_eq!(error.message, "No Container Instances were found in your cluster.");
}

#[tokio::test]
async fn constraints_are_held() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 4, json!({"placementConstraints": [{"type": "distinctInstance"}]})).await;
    pass(&cloud, 100).await;
    assert_eq!(zones(&cloud).len(), 3);
    let only = json!([{"type": "memberOf", "expression": "attribute:ecs.availability-zone == us-east-1c"}]);
    let more = json!({"service": "web", "placementConstraints": only, "desiredCount": 2, "forceNewDeployment": true});
    call(&cloud, "UpdateService", more).await;
    pass(&cloud, 300).await;
    assert_eq!(zones(&cloud), ["us-east-1c", "us-east-1c"]);
    let odd = json!([{"type": "memberOf", "expression": "task:group == service:api"}]);
    let error = try_call(&cloud, "UpdateService", json!({"service": "web", "placementConstraints": odd})).await;
    assert_eq!(error.unwrap_err().code, "UnsupportedFeatureException");
}

#[tokio::test]
async fn binpack_fills_one_instance_first() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 3, json!({"placementStrategy": [{"type": "binpack", "field": "memory"}]})).await;
    pass(&cloud, 100).await;
    assert_eq!(zones(&cloud), ["us-east-1a", "us-east-1a", "us-east-1a"]);
}

#[tokio::test]
async fn draining_an_instance_moves_its_tasks_without_a_gap() {
    let cloud = cloud();
    cloud.with_world(|world| world.timings.own_task_seconds = None);
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 3, json!({})).await;
    pass(&cloud, 300).await;
    let own = call(&cloud, "RunTask", json!({"taskDefinition": "web", "count": 3})).await;
    pass(&cloud, 60).await;
    let listed = call(&cloud, "ListContainerInstances", json!({})).await["containerInstanceArns"].take();
    let first = listed[0].clone();
    let input = json!({"containerInstances": [first], "status": "DRAINING"});
    let answer = call(&cloud, "UpdateContainerInstancesState", input).await;
    assert_eq!(answer["containerInstances"][0]["status"], "DRAINING");
    for _ in 0..300 {
        pass(&cloud, 1).await;
        assert!(healthy(&cloud, "web") >= 3);
    }
    assert!(!zones(&cloud).contains(&"us-east-1a".to_owned()));
    assert_eq!(zones(&cloud).len(), 3);
    let instance = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": [first]})).await;
    assert_eq!(instance["containerInstances"][0]["runningTasksCount"], 1, "a task of nobody stays");
    assert_eq!(own["tasks"].as_array().unwrap().len(), 3);
    let draining = call(&cloud, "ListContainerInstances", json!({"status": "DRAINING"})).await;
    assert_eq!(draining["containerInstanceArns"], json!([first]));
    cloud.with_world(|world| {
        assert_eq!(world.container_instances.values().filter(|i| i.status == InstanceStatus::Draining).count(), 1);
    });
}

#[tokio::test]
async fn instances_tell_what_remains() {
    let cloud = cloud();
    call(&cloud, "RegisterTaskDefinition", fixed_port("nginx:1")).await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 100).await;
    let listed = call(&cloud, "ListContainerInstances", json!({})).await["containerInstanceArns"].take();
    let shown = call(&cloud, "DescribeContainerInstances", json!({"containerInstances": listed})).await;
    let resource = |index: usize, kind: &str, name: &str| {
        let list = shown["containerInstances"][index][kind].as_array().unwrap().clone();
        list.into_iter().find(|resource| resource["name"] == name).unwrap()
    };
    assert_eq!(resource(0, "registeredResources", "CPU")["integerValue"], 2048);
    assert_eq!(resource(0, "remainingResources", "CPU")["integerValue"], 1792);
    assert_eq!(resource(0, "remainingResources", "MEMORY")["integerValue"], 7168);
    let ports = resource(0, "remainingResources", "PORTS")["stringSetValue"].clone();
    assert_eq!(ports, json!(["22", "2375", "2376", "8080", "51678", "51679"]));
    assert_eq!(resource(1, "remainingResources", "CPU")["integerValue"], 2048);
}

#[tokio::test]
async fn dynamic_ports_start_at_32768_and_differ() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 6, json!({})).await;
    pass(&cloud, 100).await;
    let arns = call(&cloud, "ListTasks", json!({"serviceName": "web"})).await["taskArns"].take();
    let shown = call(&cloud, "DescribeTasks", json!({"tasks": arns})).await;
    let mut seen = std::collections::BTreeSet::new();
    for task in shown["tasks"].as_array().unwrap() {
        let port = task["containers"][0]["networkBindings"][0]["hostPort"].as_u64().unwrap();
        assert!((32_768..32_770).contains(&port));
        assert!(seen.insert((task["containerInstanceArn"].to_string(), port)));
    }
}

#[tokio::test]
async fn tasks_with_their_own_interface_are_limited_by_interfaces() {
    let cloud = cloud();
    let mut own = definition("web", "nginx:1");
    own["networkMode"] = json!("awsvpc");
    call(&cloud, "RegisterTaskDefinition", own).await;
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-0a000001"]}});
    create(&cloud, 7, json!({"networkConfiguration": network})).await;
    pass(&cloud, 100).await;
    assert_eq!(healthy(&cloud, "web"), 6);
    assert!(has_event(&cloud, "web", "encountered error \"RESOURCE:ENI\"").await);
}

#[tokio::test]
async fn fargate_needs_no_instance() {
    let cloud = cloud();
    cloud.with_world(|world| world.container_instances.clear());
    let mut own = definition("web", "nginx:1");
    merge(
        &mut own,
        json!({
            "networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"],
        }),
    );
    call(&cloud, "RegisterTaskDefinition", own).await;
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-0a000001", "subnet-0a000002"]}});
    create(&cloud, 2, json!({"launchType": "FARGATE", "networkConfiguration": network})).await;
    pass(&cloud, 300).await;
    assert_eq!(zones(&cloud), ["us-east-1a", "us-east-1b"]);
    assert_eq!(describe(&cloud, "web").await["platformFamily"], "Linux");
}

#[tokio::test]
async fn fargate_runs_as_many_vcpus_as_the_quota_allows() {
    let cloud = cloud();
    cloud.with_world(|world| world.quotas = [("L-3032A538".to_owned(), 1.0)].into());
    let quota = |code: &str| json!({"ServiceCode": "fargate", "QuotaCode": code});
    assert_eq!(any(&cloud, "service-quotas", "GetServiceQuota", quota("L-3032A538")).await["Quota"]["Value"], 1.0);
    assert!(try_any(&cloud, "service-quotas", "GetServiceQuota", quota("L-36FBB829")).await.is_err());
    let mut own = definition("web", "nginx:1");
    merge(
        &mut own,
        json!({
            "networkMode": "awsvpc", "cpu": "512", "memory": "1024", "requiresCompatibilities": ["FARGATE"],
        }),
    );
    call(&cloud, "RegisterTaskDefinition", own).await;
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-0a000001", "subnet-0a000002"]}});
    create(&cloud, 3, json!({"launchType": "FARGATE", "networkConfiguration": network})).await;
    pass(&cloud, 300).await;
    let service = describe(&cloud, "web").await;
    assert_eq!(service["runningCount"], 2);
    let told =
        service["events"].as_array().unwrap().iter().any(|event| {
            event["message"].as_str().is_some_and(|message| message.contains("limit on the number of vCPUs"))
        });
    assert!(told, "{}", service["events"]);
}

#[tokio::test]
async fn a_daemon_runs_once_on_every_instance() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let daemon = json!({"serviceName": "web", "taskDefinition": "web", "schedulingStrategy": "DAEMON"});
    call(&cloud, "CreateService", daemon).await;
    pass(&cloud, 300).await;
    assert_eq!(zones(&cloud), ["us-east-1a", "us-east-1b", "us-east-1c"]);
    let service = describe(&cloud, "web").await;
    assert_eq!(service["desiredCount"], 3);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
}

/// One of the three instances has processors of AWS's own.
fn of_two_architectures() -> belay_executor::simulator::SimulatedCloud {
    let mut world = belay_executor::simulator::World::default_account();
    let arm = world.container_instances.values_mut().next().unwrap();
    arm.attributes.insert("ecs.instance-type".to_owned(), "c7g.large".to_owned());
    belay_executor::simulator::SimulatedCloud::new(world)
}

fn built_for(architecture: &str) -> Value {
    let mut made = definition("web", "nginx:1");
    made["runtimePlatform"] = json!({"cpuArchitecture": architecture, "operatingSystemFamily": "LINUX"});
    made
}

#[tokio::test]
async fn tasks_run_on_the_processors_that_they_were_built_for() {
    for (architecture, zones_of) in [("ARM64", ["us-east-1a"; 2]), ("X86_64", ["us-east-1b", "us-east-1c"])] {
        let cloud = of_two_architectures();
        call(&cloud, "RegisterTaskDefinition", built_for(architecture)).await;
        create(&cloud, 2, json!({})).await;
        pass(&cloud, 100).await;
        assert_eq!(zones(&cloud), zones_of, "{architecture}");
    }
    let cloud = of_two_architectures();
    let listed = call(&cloud, "ListContainerInstances", json!({"filter": "attribute:ecs.cpu-architecture == arm64"}));
    assert_eq!(listed.await["containerInstanceArns"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_runs_where_no_instance_has_its_processors_or_its_system() {
    let mut windows = definition("web", "nginx:1");
    windows["runtimePlatform"] = json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"});
    for made in [built_for("ARM64"), windows] {
        let cloud = cloud();
        call(&cloud, "RegisterTaskDefinition", made).await;
        create(&cloud, 1, json!({})).await;
        pass(&cloud, 100).await;
        assert!(has_event(&cloud, "web", "is missing an attribute required by your task.").await);
        assert_eq!(tasks(&cloud, "web"), []);
        let run = call(&cloud, "RunTask", json!({"taskDefinition": "web"})).await;
        assert!(run["failures"].as_array().unwrap().iter().all(|failure| failure["reason"] == "ATTRIBUTE"), "{run}");
    }
}

#[tokio::test]
async fn a_daemon_runs_where_it_can_and_is_steady_there() {
    let cloud = of_two_architectures();
    call(&cloud, "RegisterTaskDefinition", built_for("X86_64")).await;
    let daemon = json!({"serviceName": "web", "taskDefinition": "web", "schedulingStrategy": "DAEMON",
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.availability-zone != us-east-1b"}]});
    call(&cloud, "CreateService", daemon).await;
    pass(&cloud, 100).await;
    assert_eq!(zones(&cloud), ["us-east-1c"]);
    assert!(has_event(&cloud, "web", "has reached a steady state").await);
}

//! What holds for every call: shapes, pages, batch limits, throttling, the log, who calls.

use belay_executor::cloud::{Cloud, ErrorKind};
use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::Outcome;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn inputs_are_held_to_their_shapes() {
    let cloud = cloud();
    for (service, operation, input, code) in [
        ("ecs", "ListServices", json!({"clster": "default"}), "ClientException"),
        ("ecs", "UpdateService", json!({"service": "web", "desiredCount": "2"}), "ClientException"),
        ("ecs", "UpdateService", json!({"desiredCount": 2}), "InvalidParameterException"),
        ("ecs", "CreateService", json!({"serviceName": "web", "launchType": "EC3"}), "InvalidParameterException"),
        ("elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": 1}), "ValidationError"),
        ("elb", "DescribeInstanceHealth", json!({}), "ValidationError"),
        ("ec2", "DescribeVpcs", json!({"Vpcs": []}), "UnknownParameter"),
        ("ecs", "ExplodeService", json!({}), "UnknownOperationException"),
        ("s4", "GetObject", json!({}), "UnknownOperationException"),
        (
            "ecs",
            "CreateTaskSet",
            json!({"service": "a", "cluster": "b", "taskDefinition": "c"}),
            "UnknownOperationException",
        ),
    ] {
        let error = cloud.call(service, operation, &input).await.expect_err(operation);
        assert_eq!((error.code.as_str(), error.kind), (code, ErrorKind::Rejected), "{operation}: {error}");
    }
}

async fn pages(cloud: &SimulatedCloud, operation: &str, member: &str, mut input: Value) -> (Vec<Value>, usize) {
    let (mut all, mut count) = (Vec::new(), 0);
    loop {
        let mut output = call(cloud, operation, input.clone()).await;
        all.append(output[member].as_array_mut().unwrap());
        count += 1;
        match output["nextToken"].take() {
            Value::Null => return (all, count),
            token => input["nextToken"] = token,
        }
    }
}

#[tokio::test]
async fn lists_come_in_pages() {
    let cloud = cloud();
    for number in 0..23 {
        register(&cloud, &format!("family{number}"), "nginx:1").await;
        let name = format!("service{number:02}");
        let input = json!({"serviceName": name, "taskDefinition": "family0", "desiredCount": 0});
        call(&cloud, "CreateService", input).await;
    }
    let (all, count) = pages(&cloud, "ListServices", "serviceArns", json!({})).await;
    assert_eq!((all.len(), count), (23, 3), "ten at a time unless more are asked for");
    assert!(all.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    assert_eq!(pages(&cloud, "ListServices", "serviceArns", json!({"maxResults": 100})).await.1, 1);
    let (all, count) = pages(&cloud, "ListTaskDefinitions", "taskDefinitionArns", json!({"maxResults": 10})).await;
    assert_eq!((all.len(), count), (23, 3));
    assert_eq!(pages(&cloud, "ListTaskDefinitionFamilies", "families", json!({"maxResults": 7})).await.1, 4);
    assert_eq!(pages(&cloud, "ListContainerInstances", "containerInstanceArns", json!({"maxResults": 2})).await.1, 2);
    for input in [json!({"maxResults": 101}), json!({"maxResults": 0}), json!({"nextToken": "forged"})] {
        let error = try_call(&cloud, "ListServices", input.clone()).await.expect_err(&input.to_string());
        assert_eq!(error.code, "InvalidParameterException");
    }
    let first = elbv2(&cloud, "DescribeTargetGroups", json!({"PageSize": 3})).await;
    assert_eq!(first["TargetGroups"].as_array().unwrap().len(), 3);
    let rest = elbv2(&cloud, "DescribeTargetGroups", json!({"PageSize": 3, "Marker": first["NextMarker"]})).await;
    assert_eq!(rest["TargetGroups"].as_array().unwrap().len(), 1);
    assert!(rest.get("NextMarker").is_none());
}

#[tokio::test]
async fn batches_are_limited() {
    let cloud = cloud();
    let names = |count: usize| (0..count).map(|n| format!("x{n}")).collect::<Vec<_>>();
    for (operation, member, most) in [
        ("DescribeServices", "services", 10),
        ("DescribeServiceDeployments", "serviceDeploymentArns", 20),
        ("DescribeServiceRevisions", "serviceRevisionArns", 20),
        ("DescribeTasks", "tasks", 100),
        ("DescribeContainerInstances", "containerInstances", 100),
        ("DescribeClusters", "clusters", 100),
        ("DeleteTaskDefinitions", "taskDefinitions", 10),
    ] {
        let answer = call(&cloud, operation, json!({member: names(most)})).await;
        assert_eq!(answer["failures"].as_array().unwrap().len(), most, "{operation}");
        let error = try_call(&cloud, operation, json!({member: names(most + 1)})).await.expect_err(operation);
        assert_eq!((error.code.as_str(), error.kind), ("InvalidParameterException", ErrorKind::Rejected));
    }
    let arns: Vec<String> = names(21);
    assert!(try_any(&cloud, "elbv2", "DescribeTags", json!({"ResourceArns": arns})).await.is_err());
}

#[tokio::test]
async fn throttling_is_off_until_it_is_asked_for() {
    let cloud = cloud();
    for _ in 0..30 {
        register(&cloud, "web", "nginx:1").await;
    }
    cloud.with_world(|world| world.throttling.enabled = true);
    for _ in 0..20 {
        register(&cloud, "web", "nginx:1").await;
    }
    let error = try_call(&cloud, "RegisterTaskDefinition", definition("web", "nginx:1")).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("ThrottlingException", ErrorKind::Transient));
    call(&cloud, "ListServices", json!({})).await;
    pass(&cloud, 2).await;
    for _ in 0..2 {
        register(&cloud, "web", "nginx:1").await;
    }
    assert!(try_call(&cloud, "RegisterTaskDefinition", definition("web", "nginx:1")).await.is_err());
    let refused = |outcome: &Outcome| *outcome == Outcome::Error("ThrottlingException".to_owned());
    assert_eq!(cloud.world().log.iter().filter(|entry| refused(&entry.outcome)).count(), 2);
    let group = target_group(&cloud, "shop-web").await;
    for _ in 0..20 {
        let input = json!({"TargetGroupArn": group, "Targets": [{"Id": "i-0a000000000000001"}]});
        elbv2(&cloud, "DeregisterTargets", input).await;
    }
    let input = json!({"TargetGroupArn": group, "Targets": [{"Id": "i-0a000000000000001"}]});
    assert_eq!(try_any(&cloud, "elbv2", "DeregisterTargets", input).await.unwrap_err().code, "Throttling");
}

#[tokio::test]
async fn the_log_holds_what_changes_and_nothing_else() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    describe(&cloud, "web").await;
    let _ = try_call(&cloud, "DeleteService", json!({"service": "none"})).await;
    let log = cloud.world().log;
    let short: Vec<_> = log.iter().map(|e| (e.sequence, e.operation.as_str(), e.concerns.as_str())).collect();
    assert_eq!(
        short,
        [
            (1, "RegisterTaskDefinition", "web"),
            (2, "CreateService", "default/web"),
            (3, "DeleteService", "default/none"),
        ]
    );
    assert_eq!(log[2].outcome, Outcome::Error("ServiceNotFoundException".to_owned()));
}

#[tokio::test]
async fn the_account_describes_itself() {
    let cloud = cloud();
    let who = any(&cloud, "sts", "GetCallerIdentity", json!({})).await;
    assert_eq!(who["Account"], "123456789012");
    let filter = json!({"Filters": [{"Name": "tag:Name", "Values": ["def*"]}]});
    assert_eq!(any(&cloud, "ec2", "DescribeVpcs", filter.clone()).await["Vpcs"].as_array().unwrap().len(), 1);
    assert_eq!(any(&cloud, "ec2", "DescribeSubnets", filter.clone()).await["Subnets"].as_array().unwrap().len(), 3);
    let groups = any(&cloud, "ec2", "DescribeSecurityGroups", filter).await;
    assert_eq!(groups["SecurityGroups"][0]["GroupName"], "default");
    let zone = json!({"Filters": [{"Name": "availability-zone", "Values": ["us-east-1b"]}]});
    let subnets = any(&cloud, "ec2", "DescribeSubnets", zone.clone()).await;
    assert_eq!(subnets["Subnets"][0]["SubnetId"], "subnet-0a000002");
    let instances = any(&cloud, "ec2", "DescribeInstances", zone).await;
    assert_eq!(instances["Reservations"][0]["Instances"][0]["InstanceId"], "i-0a000000000000002");
    let odd = json!({"Filters": [{"Name": "colour", "Values": ["red"]}]});
    assert!(try_any(&cloud, "ec2", "DescribeVpcs", odd).await.is_err());
    let clusters = call(&cloud, "DescribeClusters", json!({"include": ["SETTINGS", "TAGS"]})).await;
    assert_eq!(clusters["clusters"][0]["registeredContainerInstancesCount"], 3);
    assert_eq!(clusters["clusters"][0]["settings"][0]["name"], "containerInsights");
    assert_eq!(call(&cloud, "ListClusters", json!({})).await["clusterArns"].as_array().unwrap().len(), 1);
    let providers = call(&cloud, "DescribeCapacityProviders", json!({"capacityProviders": ["FARGATE", "none"]})).await;
    assert_eq!(providers["capacityProviders"][0]["name"], "FARGATE");
    assert_eq!(providers["failures"][0]["reason"], "MISSING");
    let put = json!({
        "cluster": "default", "capacityProviders": ["FARGATE"],
        "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}],
    });
    assert_eq!(
        call(&cloud, "PutClusterCapacityProviders", put).await["cluster"]["capacityProviders"],
        json!(["FARGATE"])
    );
}

#[tokio::test]
async fn registries_know_every_image_unless_told_otherwise() {
    let cloud = cloud();
    let digest = cloud.image_digest("nginx:1").await.unwrap();
    assert_eq!(digest, "sha256:ea996a051ac10cd365fd9c754b6fd92220b8a7976eb415e47f2a26560aef5434");
    cloud.with_world(|world| {
        world.images.entry("nginx:1".to_owned()).or_default().digest = Some("sha256:moved".to_owned());
        world.images.entry("nginx:2".to_owned()).or_default().missing = true;
    });
    assert_eq!(cloud.image_digest("nginx:1").await.unwrap(), "sha256:moved");
    assert_eq!(cloud.image_digest("nginx:2").await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(cloud.image_digest("nginx@sha256:abc").await.unwrap(), "sha256:abc");
    let ids = json!({"repositoryName": "shop/web", "imageIds": [{"imageTag": "2"}]});
    let shown = any(&cloud, "ecr", "DescribeImages", ids).await;
    let reference = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web:2";
    assert_eq!(shown["imageDetails"][0]["imageDigest"], cloud.image_digest(reference).await.unwrap());
}

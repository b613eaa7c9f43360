//! Task definitions: numbers, normalisation, refusal, deletion.

use belay_executor::cloud::ErrorKind;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn registering_fills_in_what_aws_fills_in() {
    let cloud = cloud();
    let mut input = definition("web", "nginx:1");
    input["tags"] = json!([{"key": "a", "value": "1"}]);
    let output = call(&cloud, "RegisterTaskDefinition", input).await;
    let shown = &output["taskDefinition"];
    for (path, expected) in [
        ("/taskDefinitionArn", json!("arn:aws:ecs:us-east-1:123456789012:task-definition/web:1")),
        ("/revision", json!(1)),
        ("/status", json!("ACTIVE")),
        ("/networkMode", json!("bridge")),
        ("/compatibilities", json!(["EC2"])),
        ("/volumes", json!([])),
        ("/placementConstraints", json!([])),
        ("/registeredAt", json!(1_767_225_600)),
        ("/containerDefinitions/0/essential", json!(true)),
        ("/containerDefinitions/0/environment", json!([])),
        ("/containerDefinitions/0/mountPoints", json!([])),
        ("/containerDefinitions/0/portMappings", json!([{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}])),
    ] {
        assert_eq!(shown.pointer(path), Some(&expected), "{path}");
    }
    assert!(shown.get("tags").is_none());
    assert_eq!(output["tags"], json!([{"key": "a", "value": "1"}]));
    let mut host = definition("host", "nginx:1");
    host["networkMode"] = json!("host");
    let output = call(&cloud, "RegisterTaskDefinition", host).await;
    assert_eq!(output["taskDefinition"]["containerDefinitions"][0]["portMappings"][0]["hostPort"], 80);
}

#[tokio::test]
async fn numbers_are_never_used_again() {
    let cloud = cloud();
    for image in ["nginx:1", "nginx:2"] {
        register(&cloud, "web", image).await;
    }
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "web:2"})).await;
    call(&cloud, "DeleteTaskDefinitions", json!({"taskDefinitions": ["web:2"]})).await;
    pass(&cloud, 10).await;
    let error = try_call(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web:2"})).await.unwrap_err();
    assert_eq!(error.message, "Unable to describe task definition.");
    assert!(register(&cloud, "web", "nginx:2").await.ends_with("web:3"));
}

#[tokio::test]
async fn a_definition_is_found_by_family_number_and_arn() {
    let cloud = cloud();
    let first = register(&cloud, "web", "nginx:1").await;
    let second = register(&cloud, "web", "nginx:2").await;
    for (name, expected) in [("web", &second), ("web:1", &first), (first.as_str(), &first)] {
        let output = call(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": name})).await;
        assert_eq!(output["taskDefinition"]["taskDefinitionArn"], expected.as_str());
        assert!(output.get("tags").is_none());
    }
    let tagged = json!({"taskDefinition": "web", "include": ["TAGS"]});
    assert_eq!(call(&cloud, "DescribeTaskDefinition", tagged).await["tags"], json!([]));
    let error = try_call(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "none"})).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("ClientException", ErrorKind::NotFound));
}

#[tokio::test]
async fn lists_filter_by_family_and_status() {
    let cloud = cloud();
    for family in ["shop_web", "shop_web", "shop_web_admin", "other"] {
        register(&cloud, family, "nginx:1").await;
    }
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "shop_web:1"})).await;
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "other:1"})).await;
    let list = |input| async {
        let output = call(&cloud, "ListTaskDefinitions", input).await;
        let arns = output["taskDefinitionArns"].as_array().unwrap().clone();
        arns.iter().map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(json!({"familyPrefix": "shop_web"})).await, ["shop_web:2"]);
    assert_eq!(list(json!({"status": "INACTIVE"})).await, ["other:1", "shop_web:1"]);
    assert_eq!(list(json!({"sort": "DESC"})).await, ["shop_web_admin:1", "shop_web:2"]);
    let families = |input| async { call(&cloud, "ListTaskDefinitionFamilies", input).await["families"].take() };
    assert_eq!(families(json!({"familyPrefix": "shop"})).await, json!(["shop_web", "shop_web_admin"]));
    assert_eq!(families(json!({"status": "INACTIVE"})).await, json!(["other"]));
    assert_eq!(families(json!({"status": "ALL"})).await, json!(["other", "shop_web", "shop_web_admin"]));
}

#[tokio::test]
async fn what_cannot_run_cannot_be_registered() {
    let cloud = cloud();
    let container = |more| {
        let mut input = definition("web", "nginx:1");
        merge(&mut input["containerDefinitions"][0], more);
        input
    };
    let task = |more| {
        let mut input = definition("web", "nginx:1");
        merge(&mut input, more);
        input
    };
    let port = |host: u64| json!({"containerPort": 80 + host % 2, "hostPort": host});
    for input in [
        task(json!({"family": "a.b"})),
        task(json!({"containerDefinitions": []})),
        task(json!({"networkMode": "none"})),
        task(json!({"requiresCompatibilities": ["FARGATE"]})),
        task(json!({"cpu": "much"})),
        container(json!({"name": "a b"})),
        container(json!({"image": ""})),
        container(json!({"essential": false})),
        container(json!({"memory": 4})),
        container(json!({"memory": 512, "memoryReservation": 600})),
        container(json!({"mountPoints": [{"sourceVolume": "none", "containerPath": "/x"}]})),
        container(json!({"portMappings": [port(8080), {"containerPort": 90, "hostPort": 8080}]})),
        {
            let mut input = definition("web", "nginx:1");
            let copy = input["containerDefinitions"][0].clone();
            input["containerDefinitions"].as_array_mut().unwrap().push(copy);
            input
        },
        {
            let mut input = definition("web", "nginx:1");
            input["containerDefinitions"][0].as_object_mut().unwrap().remove("memory");
            input
        },
        {
            let mut input = container(json!({"portMappings": [port(8080)]}));
            input["networkMode"] = json!("awsvpc");
            input
        },
    ] {
        let error = try_call(&cloud, "RegisterTaskDefinition", input.clone()).await.expect_err(&input.to_string());
        assert_eq!((error.code.as_str(), error.kind), ("ClientException", ErrorKind::Rejected), "{input}");
    }
    assert!(cloud.world().task_definitions.values().all(|family| family.revisions.is_empty()));
}

#[tokio::test]
async fn deletion_wants_inactive_ones_and_waits_for_their_users() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 100).await;
    let output = call(&cloud, "DeleteTaskDefinitions", json!({"taskDefinitions": ["web:1", "none:1"]})).await;
    assert_eq!(output["failures"].as_array().unwrap().len(), 2);
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    let output = call(&cloud, "DeleteTaskDefinitions", json!({"taskDefinitions": ["web:1"]})).await;
    assert_eq!(output["taskDefinitions"][0]["status"], "DELETE_IN_PROGRESS");
    pass(&cloud, 100).await;
    let still = call(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    assert_eq!(still["taskDefinition"]["status"], "DELETE_IN_PROGRESS");
    call(&cloud, "DeleteService", json!({"service": "web", "force": true})).await;
    pass(&cloud, 100).await;
    assert!(try_call(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web:1"})).await.is_err());
}

/// FireLens: ECS takes neither half alone.
#[tokio::test]
async fn a_log_router_and_who_hands_it_logs_need_each_other() {
    let cloud = cloud();
    let container = |name: &str, more: serde_json::Value| {
        let mut container = json!({"name": name, "image": "nginx:1", "memory": 64});
        container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        container
    };
    let routed = container("web", json!({"logConfiguration": {"logDriver": "awsfirelens"}}));
    let router = container("router", json!({"firelensConfiguration": {"type": "fluentbit"}}));
    for (containers, says) in [
        (json!([routed]), "When awsfirelens log driver is specified"),
        (json!([router]), "When a firelensConfiguration object is specified"),
    ] {
        let input = json!({"family": "web", "containerDefinitions": containers});
        let error = try_call(&cloud, "RegisterTaskDefinition", input).await.unwrap_err();
        assert!(error.message.starts_with(says), "{error}");
    }
    let both = json!({"family": "web", "containerDefinitions": [routed, router]});
    call(&cloud, "RegisterTaskDefinition", both).await;
}

//! Creating, describing, deleting services; repetition and refusal.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::world::Outcome;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn defaults_are_filled_in_as_aws_does() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let service = create(&cloud, 1, json!({"tags": [{"key": "team", "value": "shop"}]})).await;
    for (path, expected) in [
        ("/serviceArn", json!("arn:aws:ecs:us-east-1:123456789012:service/default/web")),
        ("/clusterArn", json!("arn:aws:ecs:us-east-1:123456789012:cluster/default")),
        ("/taskDefinition", json!("arn:aws:ecs:us-east-1:123456789012:task-definition/web:1")),
        ("/status", json!("ACTIVE")),
        ("/launchType", json!("EC2")),
        ("/schedulingStrategy", json!("REPLICA")),
        ("/deploymentConfiguration/maximumPercent", json!(200)),
        ("/deploymentConfiguration/minimumHealthyPercent", json!(100)),
        ("/deploymentConfiguration/deploymentCircuitBreaker", json!({"enable": false, "rollback": false})),
        ("/availabilityZoneRebalancing", json!("ENABLED")),
        ("/propagateTags", json!("NONE")),
        ("/placementStrategy", json!([])),
        ("/createdAt", json!(1_767_225_600)),
        ("/events", json!([])),
    ] {
        assert_eq!(service.pointer(path), Some(&expected), "{path}");
    }
    assert!(service.get("healthCheckGracePeriodSeconds").is_none());
    let plain = call(&cloud, "DescribeServices", json!({"services": ["web"]})).await;
    assert!(plain["services"][0].get("tags").is_none());
    assert_eq!(describe(&cloud, "web").await["tags"], json!([{"key": "team", "value": "shop"}]));
    let both = call(&cloud, "DescribeServices", json!({"services": [service["serviceArn"], "none"]})).await;
    assert_eq!(both["services"].as_array().unwrap().len(), 1);
    let failure = json!({"arn": "arn:aws:ecs:us-east-1:123456789012:service/default/none", "reason": "MISSING"});
    assert_eq!(both["failures"], json!([failure]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    let before = cloud.world();
    let balancer = |container: &str, port: u64| json!({"loadBalancers": [{"targetGroupArn": group, "containerName": container, "containerPort": port}]});
    let ten = json!({"loadBalancers": [{"loadBalancerName": "none", "containerName": "main", "containerPort": 80}]});
    let own = json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0a000001"]}}});
    for (more, words) in [
        (json!({"cluster": "none"}), "Cluster not found."),
        (json!({"taskDefinition": "none"}), "TaskDefinition not found."),
        (json!({"desiredCount": null}), "null"),
        (
            json!({"loadBalancers": [{"targetGroupArn": "arn:none", "containerName": "main", "containerPort": 80}]}),
            "target group",
        ),
        (balancer("other", 80), "The container other does not exist in the task definition."),
        (balancer("main", 81), "The container main did not have a container port 81 defined."),
        (ten, "There is no ACTIVE Load Balancer named 'none'"),
        (json!({"role": "ecsRole"}), "role"),
        (json!({"healthCheckGracePeriodSeconds": 5}), "Health check grace period is only valid"),
        (own, "Network Configuration is not valid for the given networkMode of this task definition."),
        (json!({"deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 100}}), "cannot be 100"),
        (json!({"deploymentController": {"type": "CODE_DEPLOY"}}), "does not model"),
        (json!({"deploymentConfiguration": {"strategy": "BLUE_GREEN", "lifecycleHooks": [{}]}}), "does not model"),
        (json!({"serviceName": "a.b"}), "letters"),
        (json!({"nonsense": 1}), "nonsense"),
    ] {
        let mut input = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 1});
        merge(&mut input, more);
        let error = try_call(&cloud, "CreateService", input.clone()).await.expect_err(words);
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(matches!(error.kind, ErrorKind::Rejected | ErrorKind::NotFound), "{error}");
    }
    let mut after = cloud.world();
    assert!(after.log.len() > before.log.len());
    after.log = before.log.clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn the_same_creation_twice_is_one_service() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let input = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 1, "clientToken": "a"});
    let first = call(&cloud, "CreateService", input.clone()).await;
    assert_eq!(call(&cloud, "CreateService", input.clone()).await, first);
    for (member, value) in [("desiredCount", json!(2)), ("serviceName", json!("other"))] {
        let mut other = input.clone();
        other[member] = value;
        let error = try_call(&cloud, "CreateService", other).await.unwrap_err();
        assert_eq!(error.message, "Creation of service was not idempotent.", "{member}");
    }
    let world = cloud.world();
    let outcomes: Vec<&Outcome> =
        world.log.iter().filter(|entry| entry.operation == "CreateService").map(|entry| &entry.outcome).collect();
    let refused = Outcome::Error("InvalidParameterException".to_owned());
    assert_eq!(outcomes, [&Outcome::Ok, &Outcome::Deduplicated, &refused, &refused]);
    assert_eq!(world.log[1].concerns, "default/web");
    assert_eq!(world.log[1].client_token.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_deleted_service_drains_and_stays_describable() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    create(&cloud, 2, json!({"loadBalancers": behind(&group)})).await;
    pass(&cloud, 300).await;
    let error = try_call(&cloud, "DeleteService", json!({"service": "web"})).await.unwrap_err();
    assert_eq!(error.message, "The service cannot be stopped while it is scaled above 0.");
    let answer = call(&cloud, "DeleteService", json!({"service": "web", "force": true})).await;
    assert_eq!((&answer["service"]["status"], &answer["service"]["desiredCount"]), (&json!("DRAINING"), &json!(0)));
    assert!(call(&cloud, "ListServices", json!({})).await["serviceArns"].as_array().unwrap().is_empty());
    let input = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 1});
    let error = try_call(&cloud, "CreateService", input.clone()).await.unwrap_err();
    assert_eq!(error.message, "Unable to Start a service that is still Draining.");
    let error = try_call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 1})).await.unwrap_err();
    assert_eq!(error.code, "ServiceNotActiveException");
    pass(&cloud, 40).await;
    assert_eq!(describe(&cloud, "web").await["status"], "DRAINING", "its tasks are still stopping");
    pass(&cloud, 60).await;
    assert_eq!(describe(&cloud, "web").await["status"], "INACTIVE");
    assert!(health(&cloud, &group).await.is_empty());
    let error = try_call(&cloud, "DeleteService", json!({"service": "web"})).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("ServiceNotFoundException", ErrorKind::NotFound));
    let error = try_call(&cloud, "UpdateService", json!({"service": "none"})).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("ServiceNotFoundException", ErrorKind::NotFound));
    call(&cloud, "CreateService", input).await;
    assert_eq!(describe(&cloud, "web").await["status"], "ACTIVE");
}

#[tokio::test]
async fn scaled_to_zero_a_service_needs_no_force() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 300).await;
    call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 0})).await;
    pass(&cloud, 100).await;
    assert_eq!(describe(&cloud, "web").await["runningCount"], 0);
    call(&cloud, "DeleteService", json!({"service": "web"})).await;
    pass(&cloud, 10).await;
    assert_eq!(describe(&cloud, "web").await["status"], "INACTIVE");
}

#[tokio::test]
async fn an_update_changes_only_what_it_gives_and_empty_lists_clear() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    let strategy = json!([{"type": "spread", "field": "instanceId"}]);
    let more = json!({
        "loadBalancers": behind(&group), "placementStrategy": strategy, "healthCheckGracePeriodSeconds": 30,
    });
    create(&cloud, 1, more).await;
    pass(&cloud, 100).await;
    let mut before = describe(&cloud, "web").await;
    let mut after = call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 2})).await["service"].take();
    for shown in [&mut before, &mut after] {
        for name in ["desiredCount", "currentServiceRevisions", "deployments"] {
            shown.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(before, after);
    let cleared = json!({"service": "web", "loadBalancers": [], "placementStrategy": []});
    let after = call(&cloud, "UpdateService", cleared).await["service"].take();
    assert_eq!((&after["loadBalancers"], &after["placementStrategy"]), (&json!([]), &json!([])));
    assert!(after.get("healthCheckGracePeriodSeconds").is_none());
    pass(&cloud, 300).await;
    assert!(health(&cloud, &group).await.is_empty());
}

#[tokio::test]
async fn an_inactive_task_definition_serves_no_new_purpose() {
    let cloud = cloud();
    let first = register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 100).await;
    register(&cloud, "web", "nginx:2").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web:2"})).await;
    call(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": first})).await;
    pass(&cloud, 300).await;
    for (operation, input) in [
        ("UpdateService", json!({"service": "web", "taskDefinition": first})),
        ("CreateService", json!({"serviceName": "new", "taskDefinition": "web:1", "desiredCount": 1})),
        ("RunTask", json!({"taskDefinition": first})),
    ] {
        let error = try_call(&cloud, operation, input).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("ClientException", "TaskDefinition is inactive"));
    }
}

#[tokio::test]
async fn tags_are_set_and_taken_away() {
    let cloud = cloud();
    let definition = register(&cloud, "web", "nginx:1").await;
    let service = create(&cloud, 1, json!({})).await["serviceArn"].take();
    for arn in [&service, &json!(definition)] {
        let tags = json!([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]);
        call(&cloud, "TagResource", json!({"resourceArn": arn, "tags": tags})).await;
        call(&cloud, "TagResource", json!({"resourceArn": arn, "tags": [{"key": "a", "value": "3"}]})).await;
        call(&cloud, "UntagResource", json!({"resourceArn": arn, "tagKeys": ["b"]})).await;
        let tags: Value = call(&cloud, "ListTagsForResource", json!({"resourceArn": arn})).await;
        assert_eq!(tags["tags"], json!([{"key": "a", "value": "3"}]));
    }
    let lost = json!({"resourceArn": format!("{}x", service.as_str().unwrap()), "tags": []});
    let error = try_call(&cloud, "TagResource", lost).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

//! Rolling deployments: success, supersession, circuit breaker, rollback, stopping.

use belay_executor::simulator::world::{Namespace, NamespaceKind};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn a_first_deployment_completes() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let created = create(&cloud, 2, json!({})).await;
    assert_eq!(created["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!((&created["runningCount"], &created["pendingCount"]), (&json!(0), &json!(0)));
    assert_eq!(deployment(&cloud, "web").await["status"], "PENDING");
    pass(&cloud, 5).await;
    assert_eq!(describe(&cloud, "web").await["pendingCount"], 2);
    assert_eq!(deployment(&cloud, "web").await["status"], "IN_PROGRESS");
    pass(&cloud, 200).await;
    let service = describe(&cloud, "web").await;
    assert_eq!(service["runningCount"], 2);
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(deployment(&cloud, "web").await["status"], "SUCCESSFUL");
    let events = events(&cloud, "web").await;
    assert!(events[0].starts_with("(service web) has started 2 tasks: (task "), "{events:?}");
    assert_eq!(events.last().unwrap(), "(service web) has reached a steady state.");
}

#[tokio::test]
async fn a_rolling_update_keeps_the_minimum_and_the_maximum() {
    for (minimum, maximum, desired) in [(100, 200, 4), (50, 100, 4), (100, 125, 4), (0, 100, 3), (75, 150, 4)] {
        let cloud = cloud();
        register(&cloud, "web", "nginx:1").await;
        let bounds = json!({"minimumHealthyPercent": minimum, "maximumPercent": maximum});
        create(&cloud, desired, json!({"deploymentConfiguration": bounds})).await;
        pass(&cloud, 300).await;
        let second = register(&cloud, "web", "nginx:2").await;
        call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": second})).await;
        let mut mixed = false;
        for _ in 0..2000 {
            pass(&cloud, 1).await;
            let now = tasks(&cloud, "web");
            assert!(healthy(&cloud, "web") as u64 * 100 >= desired * minimum, "{minimum}/{maximum}: {now:?}");
            assert!(now.len() as u64 * 100 <= desired * maximum, "{minimum}/{maximum}: {now:?}");
            mixed |= now.iter().any(|t| t.0 == "nginx:1") && now.iter().any(|t| t.0 == "nginx:2");
            if deployment(&cloud, "web").await["status"] == "SUCCESSFUL" {
                break;
            }
        }
        assert_eq!(deployment(&cloud, "web").await["status"], "SUCCESSFUL", "{minimum}/{maximum}");
        assert!(mixed || minimum == 0, "the update did not roll");
        assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:2"));
    }
}

#[tokio::test]
async fn a_crashing_image_is_rolled_back_by_the_circuit_breaker() {
    let cloud = with_image("nginx:bad", CRASH);
    let first = register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, breaker(true)).await;
    pass(&cloud, 300).await;
    let before: Vec<String> =
        cloud.with_world(|world| world.tasks.of_service("default/web").map(|(id, _)| id.clone()).collect());
    let bad = register(&cloud, "web", "nginx:bad").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": bad})).await;
    let mut seen = Vec::new();
    for _ in 0..600 {
        pass(&cloud, 1).await;
        assert!(healthy(&cloud, "web") >= 2);
        let status = deployment(&cloud, "web").await["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
    }
    assert_eq!(seen, ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]);
    let service = describe(&cloud, "web").await;
    assert_eq!(service["taskDefinition"], first.as_str());
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    let deployment = deployment(&cloud, "web").await;
    assert_eq!(deployment["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(deployment["deploymentCircuitBreaker"]["threshold"], 3);
    assert!(deployment["rollback"]["serviceRevisionArn"].is_string());
    assert!(has_event(&cloud, "web", "deployment failed: tasks failed to start.").await);
    assert!(has_event(&cloud, "web", "rolling back to deployment ecs-svc/").await);
    // The tasks that worked were never touched.
    cloud.with_world(|world| {
        assert!(before.iter().all(|id| world.tasks.get(id).is_some_and(|task| !task.stopping)));
    });
}

#[tokio::test]
async fn without_rollback_the_breaker_leaves_the_deployment_failed() {
    let cloud = with_image("nginx:bad", CRASH);
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, breaker(false)).await;
    pass(&cloud, 300).await;
    register(&cloud, "web", "nginx:bad").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    pass(&cloud, 900).await;
    let service = describe(&cloud, "web").await;
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["deployments"][0]["failedTasks"], 3);
    assert_eq!(deployment(&cloud, "web").await["status"], "STOPPED");
    assert_eq!(healthy(&cloud, "web"), 2, "what worked goes on");
    let count = cloud.world().counters["task"];
    pass(&cloud, 3600).await;
    assert_eq!(cloud.world().counters["task"], count, "a failed deployment starts nothing");
}

#[tokio::test]
async fn a_first_deployment_has_nothing_to_go_back_to() {
    let cloud = with_image("nginx:bad", CRASH);
    register(&cloud, "web", "nginx:bad").await;
    create(&cloud, 1, breaker(true)).await;
    pass(&cloud, 900).await;
    let deployment = deployment(&cloud, "web").await;
    assert_eq!(deployment["status"], "ROLLBACK_FAILED");
    assert_eq!(deployment["statusReason"], "No rollback candidate was found to run the rollback.");
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "FAILED");
}

#[tokio::test]
async fn without_a_breaker_a_crash_loop_slows_down_and_never_ends() {
    let cloud = with_image("nginx:bad", CRASH);
    register(&cloud, "web", "nginx:bad").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 3600).await;
    let after_an_hour = cloud.world().counters["task"];
    pass(&cloud, 3600).await;
    let after_two = cloud.world().counters["task"];
    assert!(after_two > after_an_hour, "it never gives up");
    assert!(after_two - after_an_hour < after_an_hour, "it slows down: {after_an_hour}, {after_two}");
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert!(has_event(&cloud, "web", "is unable to consistently start tasks successfully.").await);
}

#[tokio::test]
async fn a_second_update_supersedes_the_first() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, json!({})).await;
    pass(&cloud, 300).await;
    for image in ["nginx:2", "nginx:3"] {
        let next = register(&cloud, "web", image).await;
        call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": next})).await;
        pass(&cloud, 1).await;
    }
    let statuses = || async {
        let listed = call(&cloud, "ListServiceDeployments", json!({"service": "web"})).await;
        let list = listed["serviceDeployments"].as_array().unwrap().clone();
        list.iter().map(|d| d["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, ["PENDING", "STOP_REQUESTED", "SUCCESSFUL"]);
    pass(&cloud, 600).await;
    assert_eq!(statuses().await, ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]);
    assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:3"));
}

#[tokio::test]
async fn only_some_changes_start_a_deployment() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let created = create(&cloud, 1, json!({})).await;
    pass(&cloud, 300).await;
    let id = created["deployments"][0]["id"].clone();
    for quiet in [
        json!({"desiredCount": 3}),
        json!({"taskDefinition": "web"}),
        json!({"deploymentConfiguration": {"maximumPercent": 150}}),
        json!({"placementStrategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}]}),
    ] {
        let mut input = json!({"service": "web"});
        merge(&mut input, quiet);
        let service = call(&cloud, "UpdateService", input.clone()).await["service"].take();
        assert_eq!(service["deployments"][0]["id"], id, "{input}");
    }
    pass(&cloud, 300).await;
    let service = describe(&cloud, "web").await;
    assert_eq!(service["runningCount"], 3);
    let configuration = &service["deploymentConfiguration"];
    assert_eq!((&configuration["maximumPercent"], &configuration["minimumHealthyPercent"]), (&json!(150), &json!(100)));
    let forced = call(&cloud, "UpdateService", json!({"service": "web", "forceNewDeployment": true})).await;
    assert_ne!(forced["service"]["deployments"][0]["id"], id);
}

#[tokio::test]
async fn stopping_a_deployment_goes_back_to_the_exact_digests() {
    let cloud = cloud();
    let first = register(&cloud, "web", "nginx:latest").await;
    create(&cloud, 2, json!({})).await;
    pass(&cloud, 300).await;
    let digest = cloud.world().digest_of("nginx:latest").unwrap();
    // The tag moves, and so an update that names it anew would bring another image.
    cloud.with_world(|world| {
        let image = world.images.entry("nginx:latest".to_owned()).or_default();
        image.digest = Some(format!("sha256:{}", "b".repeat(64)));
    });
    let second = register(&cloud, "web", "nginx:2").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": second})).await;
    pass(&cloud, 20).await;
    // Meanwhile the old tasks are lost, so that the way back must start new ones.
    let running = cloud.with_world(|world| {
        let tasks = world.tasks.of_service("default/web").filter(|(_, t)| t.task_definition == first);
        tasks.map(|(id, _)| id.clone()).collect::<Vec<_>>()
    });
    for task in running {
        call(&cloud, "StopTask", json!({"task": task})).await;
    }
    let arn = deployment(&cloud, "web").await["serviceDeploymentArn"].clone();
    call(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"})).await;
    assert_eq!(deployment(&cloud, "web").await["status"], "ROLLBACK_REQUESTED");
    pass(&cloud, 3).await;
    assert_eq!(deployment(&cloud, "web").await["status"], "ROLLBACK_IN_PROGRESS");
    pass(&cloud, 600).await;
    assert_eq!(deployment(&cloud, "web").await["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(describe(&cloud, "web").await["taskDefinition"], first.as_str());
    cloud.with_world(|world| {
        let live: Vec<_> = world.tasks.of_service("default/web").filter(|(_, t)| !t.stopping).collect();
        assert_eq!(live.len(), 2);
        assert!(live.iter().all(|(_, t)| t.containers[0].image_digest.as_ref() == Some(&digest)));
    });
    let again = try_call(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await.unwrap_err();
    assert_eq!(again.code, "ConflictException");
}

#[tokio::test]
async fn aborting_a_deployment_leaves_it_where_it_is() {
    let cloud = with_image(
        "nginx:slow",
        belay_executor::simulator::world::Behaviour::Slow { start_seconds: 500, healthy_seconds: 0 },
    );
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 300).await;
    register(&cloud, "web", "nginx:slow").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    pass(&cloud, 10).await;
    let arn = deployment(&cloud, "web").await["serviceDeploymentArn"].clone();
    call(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ABORT"})).await;
    assert_eq!(deployment(&cloud, "web").await["status"], "STOP_REQUESTED");
    pass(&cloud, 2000).await;
    assert_eq!(deployment(&cloud, "web").await["status"], "STOPPED");
    assert!(tasks(&cloud, "web").iter().any(|task| task.0 == "nginx:1"), "the old task goes on");
}

#[tokio::test]
async fn what_is_not_known_cannot_be_stopped() {
    let arn = "arn:aws:ecs:us-east-1:123456789012:service-deployment/default/web/1";
    let error = try_call(&cloud(), "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(error.unwrap_err().code, "ServiceDeploymentNotFoundException");
}

#[tokio::test]
async fn revisions_tell_what_describe_services_does_not() {
    let cloud = cloud();
    cloud.with_world(|world| {
        let namespace = Namespace { name: "shop".to_owned(), kind: NamespaceKind::Http, created_at: world.now };
        world.namespaces.insert("ns-0a0000000000000a".to_owned(), namespace);
    });
    register(&cloud, "web", "nginx:1").await;
    let monitoring = json!({"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 60}]});
    let more = json!({
        "serviceConnectConfiguration": {"enabled": true, "namespace": "shop"},
        "volumeConfigurations": [{"name": "data", "managedEBSVolume": {"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 1}}],
        "monitoring": monitoring,
    });
    create(&cloud, 1, more.clone()).await;
    pass(&cloud, 300).await;
    let service = describe(&cloud, "web").await;
    let arn = &service["currentServiceRevisions"][0]["arn"];
    let revision = call(&cloud, "DescribeServiceRevisions", json!({"serviceRevisionArns": [arn]})).await;
    let revision: &Value = &revision["serviceRevisions"][0];
    for (name, value) in more.as_object().unwrap() {
        assert!(service.get(name).is_none(), "{name}");
        assert_eq!(&revision[name], value, "{name}");
    }
    assert_eq!(revision["containerImages"][0]["imageDigest"], cloud.world().digest_of("nginx:1").unwrap());
    let lost = json!({"serviceRevisionArns": [arn.as_str().unwrap().replace("/web/", "/none/")]});
    assert_eq!(call(&cloud, "DescribeServiceRevisions", lost).await["failures"][0]["reason"], "MISSING");
}

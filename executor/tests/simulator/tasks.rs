//! Tasks: running, ending, failing to start, forgotten.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::{Behaviour, Image, World};
use serde_json::{Value, json};

use crate::support::*;

async fn run_and_look(cloud: &SimulatedCloud, seconds: u64) -> Value {
    register(cloud, "job", "job:1").await;
    let run = call(cloud, "RunTask", json!({"taskDefinition": "job", "startedBy": "me"})).await;
    pass(cloud, seconds).await;
    call(cloud, "DescribeTasks", json!({"tasks": [run["tasks"][0]["taskArn"]]})).await["tasks"][0].take()
}

#[tokio::test]
async fn a_task_runs_until_it_is_stopped() {
    let cloud = cloud();
    let task = run_and_look(&cloud, 14).await;
    assert_eq!(task["lastStatus"], "PENDING");
    pass(&cloud, 1).await;
    let arn = &task["taskArn"];
    let look = || async { call(&cloud, "DescribeTasks", json!({"tasks": [arn]})).await["tasks"][0].take() };
    let task = look().await;
    assert_eq!((&task["lastStatus"], &task["startedBy"]), (&json!("RUNNING"), &json!("me")));
    assert_eq!(task["containers"][0]["imageDigest"], cloud.world().digest_of("job:1").unwrap());
    assert_eq!(task["group"], "family:job");
    call(&cloud, "StopTask", json!({"task": arn, "reason": "enough"})).await;
    assert_eq!(look().await["lastStatus"], "STOPPING");
    pass(&cloud, 30).await;
    let task = look().await;
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("UserInitiated")));
    assert_eq!((&task["stoppedReason"], &task["containers"][0]["exitCode"]), (&json!("enough"), &json!(137)));
    pass(&cloud, 3590).await;
    assert_eq!(look().await["lastStatus"], "STOPPED", "it stays visible for an hour");
    pass(&cloud, 20).await;
    let gone = call(&cloud, "DescribeTasks", json!({"tasks": [arn]})).await;
    assert_eq!(gone["failures"][0]["reason"], "MISSING");
    let error = try_call(&cloud, "StopTask", json!({"task": arn})).await.unwrap_err();
    assert_eq!((error.message.as_str(), error.kind), ("The referenced task was not found.", ErrorKind::NotFound));
}

#[tokio::test]
async fn a_job_ends_with_its_exit_code_and_reason() {
    let reason = "OutOfMemoryError: Container killed due to memory usage".to_owned();
    let crash = Behaviour::Crash { after_seconds: 20, exit_code: 137, reason: Some(reason.clone()) };
    let cloud = with_image("job:1", crash);
    let task = run_and_look(&cloud, 34).await;
    assert_eq!(task["lastStatus"], "RUNNING");
    pass(&cloud, 1).await;
    let task = call(&cloud, "DescribeTasks", json!({"tasks": [task["taskArn"]]})).await["tasks"][0].take();
    assert_eq!(task["stoppedReason"], "Essential container in task exited");
    assert_eq!(task["stopCode"], "EssentialContainerExited");
    assert_eq!(task["containers"][0]["exitCode"], 137);
    assert_eq!(task["containers"][0]["reason"], reason);
}

#[tokio::test]
async fn an_image_that_is_missing_or_cannot_be_pulled_fails_the_start() {
    let missing = Image { missing: true, ..Image::default() };
    let barred = Image { behaviour: Behaviour::CannotPull { reason: Some("denied".to_owned()) }, ..Image::default() };
    for (image, words) in [(missing, "failed to resolve ref job:1: not found"), (barred, "denied")] {
        let mut world = World::default_account();
        world.images.insert("job:1".to_owned(), image);
        let cloud = SimulatedCloud::new(world);
        let task = run_and_look(&cloud, 10).await;
        assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("TaskFailedToStart")));
        let reason = task["stoppedReason"].as_str().unwrap();
        assert!(reason.starts_with("CannotPullContainerError: ") && reason.contains(words), "{reason}");
        assert!(task.get("startedAt").is_none());
        assert_eq!(task["containers"][0]["reason"], reason);
    }
}

#[tokio::test]
async fn a_slow_image_takes_its_time() {
    let cloud = with_image("nginx:1", Behaviour::Slow { start_seconds: 100, healthy_seconds: 50 });
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    create(&cloud, 1, json!({"loadBalancers": behind(&group)})).await;
    pass(&cloud, 106).await;
    assert_eq!(tasks(&cloud, "web")[0].1, "PENDING");
    pass(&cloud, 1).await;
    assert_eq!(tasks(&cloud, "web")[0].1, "RUNNING");
    pass(&cloud, 59).await;
    assert_eq!(healthy(&cloud, "web"), 0);
    pass(&cloud, 1).await;
    assert_eq!(healthy(&cloud, "web"), 1);
}

#[tokio::test]
async fn the_same_run_twice_is_one() {
    let cloud = cloud();
    register(&cloud, "job", "job:1").await;
    let input = json!({"taskDefinition": "job", "count": 2, "clientToken": "t"});
    let first = call(&cloud, "RunTask", input.clone()).await;
    assert_eq!(call(&cloud, "RunTask", input.clone()).await, first);
    assert_eq!(cloud.world().tasks.len(), 2);
    let mut other = input;
    other["count"] = json!(1);
    let error = try_call(&cloud, "RunTask", other).await.unwrap_err();
    assert_eq!(error.code, "ConflictException");
}

#[tokio::test]
async fn a_run_that_finds_no_room_answers_with_failures() {
    let cloud = cloud();
    let mut big = definition("job", "job:1");
    big["containerDefinitions"][0]["memory"] = json!(5000);
    call(&cloud, "RegisterTaskDefinition", big).await;
    let run = call(&cloud, "RunTask", json!({"taskDefinition": "job", "count": 4})).await;
    assert_eq!(run["tasks"].as_array().unwrap().len(), 3);
    let failures = run["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 3);
    assert!(failures.iter().all(|failure| failure["reason"] == "RESOURCE:MEMORY"));
    let error = try_call(&cloud, "RunTask", json!({"taskDefinition": "job", "count": 11})).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
}

#[tokio::test]
async fn a_stopped_task_of_a_service_is_replaced() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 100).await;
    let task = call(&cloud, "ListTasks", json!({"serviceName": "web"})).await["taskArns"][0].take();
    call(&cloud, "StopTask", json!({"task": task})).await;
    pass(&cloud, 100).await;
    assert_eq!(healthy(&cloud, "web"), 1);
    let now = call(&cloud, "ListTasks", json!({"serviceName": "web"})).await["taskArns"].take();
    assert_eq!(now.as_array().unwrap().len(), 1);
    assert_ne!(now[0], task);
    let stopped = call(&cloud, "ListTasks", json!({"serviceName": "web", "desiredStatus": "STOPPED"})).await;
    assert_eq!(stopped["taskArns"], json!([task]));
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "COMPLETED");
}

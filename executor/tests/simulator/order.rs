//! Containers of a task that wait for each other: started one after the other, given up, stopped the other way round.

use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::{Behaviour, Image, World};
use serde_json::{Value, json};

use crate::support::*;

/// A cloud in which images do what is said.
fn with_images(images: &[(&str, Behaviour)]) -> SimulatedCloud {
    let mut world = World::default_account();
    for (image, behaviour) in images {
        let output = vec![format!("{image} says so")];
        world.images.insert((*image).to_owned(), Image { behaviour: behaviour.clone(), output, ..Image::default() });
    }
    SimulatedCloud::new(world)
}

/// A container with what `more` says.
fn container(name: &str, more: Value) -> Value {
    let mut made = json!({"name": name, "image": format!("{name}:1"), "memory": 64});
    merge(&mut made, more);
    made
}

fn on(name: &str, condition: &str) -> Value {
    json!([{"containerName": name, "condition": condition}])
}

const CHECK: &str = "exit 0";

fn check() -> Value {
    json!({"command": ["CMD-SHELL", CHECK], "interval": 10, "retries": 3})
}

async fn registered(cloud: &SimulatedCloud, containers: Value) {
    call(cloud, "RegisterTaskDefinition", json!({"family": "web", "containerDefinitions": containers})).await;
}

async fn run(cloud: &SimulatedCloud) -> Value {
    call(cloud, "RunTask", json!({"taskDefinition": "web"})).await["tasks"][0]["taskArn"].take()
}

async fn look(cloud: &SimulatedCloud, arn: &Value) -> Value {
    call(cloud, "DescribeTasks", json!({"tasks": [arn]})).await["tasks"][0].take()
}

/// The last statuses of a task and of its containers.
async fn statuses(cloud: &SimulatedCloud, arn: &Value) -> Vec<String> {
    let task = look(cloud, arn).await;
    let of = |v: &Value| v["lastStatus"].as_str().unwrap().to_owned();
    std::iter::once(of(&task)).chain(task["containers"].as_array().unwrap().iter().map(of)).collect()
}

#[tokio::test]
async fn containers_start_one_after_the_other_and_the_task_runs_with_the_last_one() {
    let cloud = with_images(&[]);
    let containers = json!([
        container("proxy", json!({"dependsOn": on("app", "HEALTHY")})),
        container("app", json!({"dependsOn": on("init", "SUCCESS"), "healthCheck": check()})),
        container("init", json!({"essential": false})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    // 5 s to pull, 10 s to start; 5 s until it has completed; then the same for the next one, and 10 s until it is healthy.
    for (until, expected) in [
        (14, ["PENDING", "PENDING", "PENDING", "PENDING"]),
        (15, ["PENDING", "PENDING", "PENDING", "RUNNING"]),
        (20, ["PENDING", "PENDING", "PENDING", "STOPPED"]),
        (34, ["PENDING", "PENDING", "PENDING", "STOPPED"]),
        (35, ["PENDING", "PENDING", "RUNNING", "STOPPED"]),
        (59, ["PENDING", "PENDING", "RUNNING", "STOPPED"]),
        (60, ["RUNNING", "RUNNING", "RUNNING", "STOPPED"]),
    ] {
        let gone = cloud.world().now.seconds() - 1_767_225_600;
        pass(&cloud, until - gone).await;
        assert_eq!(statuses(&cloud, &arn).await, expected, "after {until} s");
    }
    let task = look(&cloud, &arn).await;
    assert_eq!((&task["containers"][2]["exitCode"], &task["healthStatus"]), (&json!(0), &json!("HEALTHY")));
    // They stop the other way round: the proxy, then the application.
    call(&cloud, "StopTask", json!({"task": arn})).await;
    pass(&cloud, 59).await;
    assert_eq!(look(&cloud, &arn).await["lastStatus"], "STOPPING");
    pass(&cloud, 1).await;
    let task = look(&cloud, &arn).await;
    assert_eq!(task["lastStatus"], "STOPPED");
    let codes: Vec<&Value> = task["containers"].as_array().unwrap().iter().map(|c| &c["exitCode"]).collect();
    assert_eq!(codes, [&json!(137), &json!(137), &json!(0)]);
}

#[tokio::test]
async fn a_start_is_waited_for_until_the_container_runs_and_a_completion_whatever_its_exit_code() {
    let cloud = with_images(&[("init:1", CRASH)]);
    let containers = json!([
        container("app", json!({"dependsOn": on("init", "COMPLETE")})),
        container("init", json!({"essential": false})),
        container("metrics", json!({"essential": false, "dependsOn": on("app", "START")})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    pass(&cloud, 18).await;
    assert_eq!(statuses(&cloud, &arn).await, ["PENDING", "PENDING", "STOPPED", "PENDING"]);
    pass(&cloud, 15).await;
    assert_eq!(statuses(&cloud, &arn).await, ["PENDING", "RUNNING", "STOPPED", "PENDING"]);
    pass(&cloud, 15).await;
    assert_eq!(statuses(&cloud, &arn).await, ["RUNNING", "RUNNING", "STOPPED", "RUNNING"]);
    assert_eq!(look(&cloud, &arn).await["containers"][1]["exitCode"], 1);
}

#[tokio::test]
async fn a_task_ends_whose_dependency_fails_and_says_which_one() {
    let cloud = with_images(&[("init:1", CRASH)]);
    let containers = json!([
        container("app", json!({"dependsOn": on("init", "SUCCESS")})),
        container("init", json!({"essential": false})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    pass(&cloud, 18).await;
    let task = look(&cloud, &arn).await;
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("TaskFailedToStart")));
    assert_eq!(task["stoppedReason"], "Task failed to start");
    assert!(task.get("startedAt").is_none(), "{task}");
    let [app, init] = [0, 1].map(|ix| task["containers"][ix].clone());
    assert_eq!((&init["exitCode"], &app["exitCode"]), (&json!(1), &json!(143)));
    assert_eq!(
        app["reason"],
        "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency \
         [init(init:1) (STOPPED->RUNNING) - Exit: 1] for target [app(app:1) (NONE->RUNNING)] \
         as dependency did not exit successfully."
    );
}

#[tokio::test]
async fn a_container_that_is_not_essential_is_given_up_and_the_task_runs_without_it() {
    let cloud = with_images(&[("init:1", CRASH)]);
    let containers = json!([
        container("app", json!({})),
        container("init", json!({"essential": false})),
        container("report", json!({"essential": false, "dependsOn": on("init", "SUCCESS")})),
        container("mail", json!({"essential": false, "dependsOn": on("report", "START")})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    pass(&cloud, 18).await;
    assert_eq!(statuses(&cloud, &arn).await, ["RUNNING", "RUNNING", "STOPPED", "STOPPED", "STOPPED"]);
    let task = look(&cloud, &arn).await;
    let reason = task["containers"][3]["reason"].as_str().unwrap();
    assert!(
        reason.ends_with("for target [mail(mail:1) (NONE->RUNNING)] because dependency will never start"),
        "{reason}"
    );
}

#[tokio::test]
async fn whoever_is_waited_for_too_long_is_waited_for_no_longer() {
    let cloud = with_images(&[("app:1", Behaviour::NeverHealthy)]);
    let proxy = container("proxy", json!({"dependsOn": on("app", "HEALTHY")}));
    let app = |timeout: Option<u64>| {
        let mut app = container("app", json!({"healthCheck": check()}));
        if let Some(seconds) = timeout {
            app["startTimeout"] = json!(seconds);
        }
        app
    };
    registered(&cloud, json!([proxy, app(Some(60))])).await;
    let arn = run(&cloud).await;
    pass(&cloud, 74).await;
    assert_eq!(statuses(&cloud, &arn).await, ["PENDING", "PENDING", "RUNNING"]);
    pass(&cloud, 1).await;
    let task = look(&cloud, &arn).await;
    assert_eq!((&task["stopCode"], &task["containers"][0]["exitCode"]), (&json!("TaskFailedToStart"), &json!(143)));
    assert_eq!(
        task["containers"][0]["reason"],
        "CannotStartContainerError: dependency graph: container ordering dependency [app(app:1) (RUNNING->RUNNING)] \
         for target [proxy(proxy:1) (NONE->RUNNING)] has timed out."
    );
    // Without a limit ECS itself gives up, after three hours.
    registered(&cloud, json!([proxy, app(None)])).await;
    let arn = run(&cloud).await;
    pass(&cloud, 10_799).await;
    assert_eq!(look(&cloud, &arn).await["lastStatus"], "PENDING");
    pass(&cloud, 1).await;
    assert_eq!(look(&cloud, &arn).await["stoppedReason"], "Task failed to start");
}

#[tokio::test]
async fn a_service_whose_tasks_wait_for_what_fails_is_never_steady() {
    let cloud = with_images(&[("init:1", CRASH)]);
    let containers = json!([
        container("main", json!({"dependsOn": on("init", "SUCCESS")})),
        container("init", json!({"essential": false})),
    ]);
    registered(&cloud, containers).await;
    create(&cloud, 1, breaker(true)).await;
    pass(&cloud, 600).await;
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "FAILED");
    assert!(!has_event(&cloud, "web", "has reached a steady state").await);
    assert_eq!(deployment(&cloud, "web").await["deploymentCircuitBreaker"]["status"], "TRIGGERED");
}

#[tokio::test]
async fn a_task_that_is_stopped_while_it_waits_stops_what_runs_of_it() {
    let cloud = with_images(&[("init:1", Behaviour::NeverHealthy)]);
    let containers = json!([
        container("app", json!({"dependsOn": on("init", "COMPLETE")})),
        container("init", json!({"essential": false, "stopTimeout": 20})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    pass(&cloud, 100).await;
    assert_eq!(statuses(&cloud, &arn).await, ["PENDING", "PENDING", "RUNNING"]);
    call(&cloud, "StopTask", json!({"task": arn})).await;
    pass(&cloud, 19).await;
    assert_eq!(look(&cloud, &arn).await["lastStatus"], "STOPPING");
    pass(&cloud, 1).await;
    let task = look(&cloud, &arn).await;
    assert_eq!((&task["lastStatus"], &task["containers"][1]["exitCode"]), (&json!("STOPPED"), &json!(137)));
    assert!(task["containers"][0].get("exitCode").is_none(), "it never ran: {task}");
}

#[tokio::test]
async fn an_essential_container_that_ends_takes_with_it_who_waits() {
    let cloud = with_images(&[("app:1", CRASH)]);
    let containers = json!([
        container("app", json!({"healthCheck": check()})),
        container("proxy", json!({"dependsOn": on("app", "HEALTHY")})),
    ]);
    registered(&cloud, containers).await;
    let arn = run(&cloud).await;
    pass(&cloud, 18).await;
    let task = look(&cloud, &arn).await;
    assert_eq!(
        (&task["stopCode"], &task["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(1))
    );
    assert!(task["containers"][1].get("exitCode").is_none(), "{task}");
}

#[tokio::test]
async fn dependencies_that_can_never_be_met_are_refused() {
    let cloud = cloud();
    let app = |depends: Value| container("app", json!({"dependsOn": depends}));
    let optional = |more: Value| {
        let mut init = container("init", json!({"essential": false}));
        merge(&mut init, more);
        init
    };
    for (containers, words) in [
        (json!([app(on("none", "START"))]), "unknown container none"),
        (json!([app(on("init", "SUCCESS")), container("init", json!({}))]), "cannot be an essential container"),
        (json!([app(on("init", "HEALTHY")), optional(json!({}))]), "has no health check"),
        (json!([app(on("init", "START")), optional(json!({"dependsOn": on("app", "START")}))]), "depend on each other"),
    ] {
        let input = json!({"family": "web", "containerDefinitions": containers});
        let error = try_call(&cloud, "RegisterTaskDefinition", input).await.expect_err(words);
        assert!(error.message.contains(words), "{error}");
    }
}

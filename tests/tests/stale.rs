//! Worlds that moved between compiling and applying: what a plan relies on is checked before anything changes, and what
//! it does not rely on does not stop it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Stdio;
use std::sync::Arc;

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::run::{Outcome, RunStatus};
use belay_executor::simulator::SimulatedCloud;
use belay_tests::binaries::program;
use belay_tests::fixtures::{Fixture, read};
use belay_tests::pipeline::{apply, block_on};
use serde_json::{Value, json};

/// Compiles a fixture, lets somebody else make a call, applies; returns how it ended and how many calls changed anything.
fn moved(fixture: &str, service: &str, operation: &str, input: &Value) -> (RunStatus, usize) {
    let journal = tempfile::tempdir().unwrap();
    let fixture = Fixture::named(fixture);
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal.path())));
    let plan = fixture.inputs().plan(&cloud).unwrap();
    block_on(cloud.call(service, operation, input)).unwrap();
    block_on(cloud.wait_until(cloud.now() + 600_000));
    let before = cloud.world().log.len();
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    (status, cloud.world().log.len() - before)
}

/// Lets ten minutes pass, in which everything comes to rest.
fn later(cloud: &Arc<SimulatedCloud>) {
    block_on(cloud.wait_until(cloud.now() + 600_000));
}

#[test]
fn a_changed_count_of_an_updated_service_is_named_and_nothing_is_called() {
    let (status, calls) = moved(
        "scale",
        "ecs",
        "UpdateService",
        &json!({"cluster": "default", "service": "shop_worker", "desiredCount": 3}),
    );
    assert_eq!(status.outcome, Some(Outcome::Stale));
    assert_eq!(calls, 0, "nothing that changes anything was called");
    let named: Vec<String> = status.stale.iter().map(|s| format!("{s:?}")).collect();
    assert!(named.iter().any(|s| s.contains("services[0].desiredCount") && s.contains('3')), "{named:?}");
}

#[test]
fn a_new_revision_of_an_updated_service_is_named() {
    let journal = tempfile::tempdir().unwrap();
    let fixture = Fixture::named("upgrade");
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal.path())));
    let plan = fixture.inputs().plan(&cloud).unwrap();
    let read = json!({"taskDefinition": "default_shop_api:1"});
    let old = block_on(cloud.call("ecs", "DescribeTaskDefinition", &read)).unwrap();
    let containers = &old["taskDefinition"]["containerDefinitions"];
    let register = json!({"family": "default_shop_api", "containerDefinitions": containers});
    block_on(cloud.call("ecs", "RegisterTaskDefinition", &register)).unwrap();
    let update = json!({"cluster": "default", "service": "shop_api", "taskDefinition": "default_shop_api:2"});
    block_on(cloud.call("ecs", "UpdateService", &update)).unwrap();
    later(&cloud);
    let before = cloud.world().log.len();
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    let calls = cloud.world().log.len() - before;
    assert_eq!((status.outcome, calls), (Some(Outcome::Stale), 0));
    let named: Vec<String> = status.stale.iter().map(|s| format!("{s:?}")).collect();
    assert!(named.iter().any(|s| s.contains("services[0].taskDefinition")), "{named:?}");
}

#[test]
fn a_service_that_appeared_is_not_overwritten() {
    let input = json!({"cluster": "default", "serviceName": "shop_web", "taskDefinition": "other", "desiredCount": 0});
    let journal = tempfile::tempdir().unwrap();
    let fixture = Fixture::named("shop");
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal.path())));
    let plan = fixture.inputs().plan(&cloud).unwrap();
    let register = json!({"family": "other", "containerDefinitions": [{"name": "a", "image": "b", "memory": 64}]});
    block_on(cloud.call("ecs", "RegisterTaskDefinition", &register)).unwrap();
    block_on(cloud.call("ecs", "CreateService", &input)).unwrap();
    let before = cloud.world().log.len();
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Stale));
    assert_eq!(cloud.world().log.len(), before);
}

#[test]
fn what_the_plan_does_not_rely_on_may_move() {
    // Another component's count, and a grace period that this plan does not touch.
    let other = json!({"cluster": "default", "service": "shop_web", "desiredCount": 1});
    let (status, _) = moved("upgrade", "ecs", "UpdateService", &other);
    assert_eq!(status.outcome, Some(Outcome::Done), "{status:#?}");
    let grace = json!({"cluster": "default", "service": "shop_api", "healthCheckGracePeriodSeconds": 7});
    let (status, _) = moved("upgrade", "ecs", "UpdateService", &grace);
    assert_eq!(status.outcome, Some(Outcome::Done), "{status:#?}");
}

/// The same through the program: applies a fixture's committed plan to its world after `change`; exit code, what was on
/// the screen, and the calls that were logged since.
fn moved_for_the_program(fixture: &str, change: impl FnOnce(&mut Value)) -> (Option<i32>, String, usize) {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Fixture::named(fixture);
    let mut world: Value = serde_json::from_str(&read(&fixture.dir().join("world.json"))).unwrap();
    change(&mut world);
    std::fs::write(dir.path().join("world.json"), world.to_string()).unwrap();
    let mut belay = program("belay", dir.path());
    belay.arg("apply").arg(fixture.dir().join("plan.json")).args(["--simulated", "world.json", "--yes"]);
    let output = belay.stdin(Stdio::null()).output().unwrap();
    let after: Value = serde_json::from_str(&read(&dir.path().join("world.json"))).unwrap();
    let logged = |world: &Value| world["log"].as_array().unwrap().len();
    let calls = logged(&after) - logged(&world);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), calls)
}

#[test]
fn the_program_names_the_field_that_moved_and_exits_5() {
    let (code, screen, calls) = moved_for_the_program("scale", |world| {
        world["services"]["default/shop_worker"]["wanted"]["desiredCount"] = json!(3);
    });
    assert_eq!((code, calls), (Some(5), 0), "{screen}");
    assert!(screen.contains("services[0].desiredCount"), "{screen}");
    assert!(screen.contains("worker.service.update"), "{screen}");
}

#[test]
fn the_program_does_not_mind_what_the_plan_does_not_rely_on() {
    let (code, screen, calls) = moved_for_the_program("scale", |world| {
        world["services"]["default/shop_api"]["wanted"]["desiredCount"] = json!(1);
    });
    assert_eq!(code, Some(0), "{screen}");
    assert!(calls > 0);
}

//! Worlds that moved between compiling and applying: what a plan relies on is checked before anything changes, and what
//! it does not rely on does not stop it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::run::{Outcome, RunStatus};
use belay_executor::simulator::SimulatedCloud;
use belay_tests::fixtures::Fixture;
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

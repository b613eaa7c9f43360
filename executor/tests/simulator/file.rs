//! The world's file: written before the answer, whole or not at all; and that nothing is lost in it.

use std::path::Path;

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::simulator::world::{Behaviour, Image};
use belay_executor::simulator::{FileError, SimulatedCloud, World};
use serde_json::{Value, json};

use crate::support::*;

fn on_disk(path: &Path) -> World {
    World::read(path).unwrap().expect("the file is there")
}

#[tokio::test]
async fn a_missing_file_starts_as_the_default_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let cloud = SimulatedCloud::open(&path, 0.0).unwrap();
    assert_eq!(cloud.world(), World::default_account());
    assert!(!path.exists(), "opening alone writes nothing");
    cloud.settle().await.unwrap();
    assert_eq!(on_disk(&path), World::default_account());
}

#[tokio::test]
async fn a_mutation_is_on_disk_before_its_answer_and_reads_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let cloud = SimulatedCloud::open(&path, 0.0).unwrap();
    register(&cloud, "web", "nginx:1").await;
    assert_eq!(on_disk(&path), cloud.world());
    pass(&cloud, 10).await;
    call(&cloud, "ListServices", json!({})).await;
    assert_ne!(on_disk(&path).now, cloud.world().now);
    create(&cloud, 1, json!({})).await;
    assert_eq!(on_disk(&path), cloud.world());
    pass(&cloud, 10).await;
    cloud.settle().await.unwrap();
    assert_eq!(on_disk(&path), cloud.world());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["world.json"], "nothing else is left behind");
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_not_called_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gone").join("world.json");
    let cloud = SimulatedCloud::open(&path, 0.0).unwrap();
    let error = try_call(&cloud, "RegisterTaskDefinition", definition("web", "nginx:1")).await.unwrap_err();
    assert_eq!(error.kind, belay_executor::cloud::ErrorKind::Environment);
    assert!(error.message.contains("world.json"), "{error}");
    assert!(cloud.world().task_definitions.is_empty(), "what is not on disk did not happen");
    assert!(cloud.settle().await.is_err());
}

#[tokio::test]
async fn a_world_that_was_written_and_read_again_goes_on_as_if_nothing_had_been() {
    let mut world = World::default_account();
    world.images.insert("nginx:bad".to_owned(), Image { behaviour: CRASH, ..Image::default() });
    world.images.insert(
        "nginx:slow".to_owned(),
        Image { behaviour: Behaviour::Slow { start_seconds: 40, healthy_seconds: 20 }, ..Image::default() },
    );
    let cloud = SimulatedCloud::new(world);
    let group = target_group(&cloud, "shop-web").await;
    register(&cloud, "web", "nginx:slow").await;
    let mut more = breaker(true);
    merge(&mut more, json!({"loadBalancers": behind(&group)}));
    create(&cloud, 3, more).await;
    pass(&cloud, 100).await;
    register(&cloud, "web", "nginx:bad").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    let start = cloud.world();
    let at_once = SimulatedCloud::new(start.clone());
    pass(&at_once, 500).await;
    let mut step_by_step = start;
    for _ in 0..500 {
        let text = step_by_step.to_json().unwrap();
        let read: World = serde_json::from_str(&text).unwrap();
        assert_eq!(read, step_by_step);
        let cloud = SimulatedCloud::new(read);
        pass(&cloud, 1).await;
        step_by_step = cloud.world();
    }
    assert_eq!(step_by_step.to_json().unwrap(), at_once.world().to_json().unwrap());
    assert_eq!(deployment(&at_once, "web").await["status"], "ROLLBACK_SUCCESSFUL");
}

#[tokio::test]
async fn what_is_no_world_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let good = World::default_account().to_json().unwrap();
    let unknown = good.replacen("  \"account\"", "  \"acount\": \"1\",\n  \"account\"", 1);
    for (text, words) in [
        ("", "world.json:1:0: this is no simulated world: EOF"),
        ("{\"format\": 1,\n \"account\": 7}", "world.json:2:"),
        (unknown.as_str(), "world.json:2:10: this is no simulated world: unknown field `acount`"),
        ("{\"format\": 2, \"more\": true}", "format 2; this program reads format 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = SimulatedCloud::open(&path, 0.0).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(matches!(SimulatedCloud::open(folder.path(), 0.0), Err(FileError::Read { .. })));
}

#[tokio::test]
async fn times_in_the_file_are_readable() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    pass(&cloud, 61).await;
    let text: Value = serde_json::from_str(&cloud.world().to_json().unwrap()).unwrap();
    assert_eq!(text["now"], "2026-01-01T00:01:01Z");
    assert_eq!(text["taskDefinitions"]["web"]["revisions"]["1"]["registeredAt"], "2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn paced_time_takes_wall_time_and_is_written_as_it_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let cloud = SimulatedCloud::open(&path, 0.005).unwrap();
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 1, json!({})).await;
    let before = std::time::Instant::now();
    cloud.wait_until(cloud.now() + 60_000).await;
    assert!(before.elapsed().as_millis() >= 300);
    assert_eq!(on_disk(&path), cloud.world());
    // Whoever stops waiting finds the world where it was.
    let waiting = cloud.wait_until(cloud.now() + 60_000_000);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), waiting).await.is_err());
    assert_eq!(on_disk(&path), cloud.world());
}

#[test]
fn the_schema_of_a_world_admits_the_default_one() {
    let schema = serde_json::to_value(schemars::schema_for!(World)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["containerInstances"].is_object());
    assert!(schema["properties"].get("dirty").is_none());
}

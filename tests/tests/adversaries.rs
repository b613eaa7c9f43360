//! Others who act while a run is in progress: an autoscaler, a container instance that dies, somebody who deploys, a
//! machine that sleeps. The run carries on where that is right, and otherwise stops with the right reason. Reads that
//! lag behind have a test of their own (`lag.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError};
use belay_executor::run::{Outcome, RunStatus, Signals, Silent};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind};
use belay_executor::simulator::world::{Behaviour, ServiceStatus, TaskStatus};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::Plan;
use belay_tests::disturb::{begin_on, problems, settled};
use belay_tests::fixtures::Fixture;
use belay_tests::pipeline::Inputs;
use serde_json::{Value, json};

/// What somebody does, that many seconds after the run began.
type Deed = (u64, fn(&mut World));

/// A cloud in which others act too, and whose clock may jump.
struct Crowded {
    inner: SimulatedCloud,
    began: u64,
    deeds: Mutex<Vec<Deed>>,
    /// At that time (milliseconds) the clock jumps ahead by so much.
    jump: Option<(u64, u64)>,
    jumped: AtomicU64,
}

#[async_trait]
impl Cloud for Crowded {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        self.inner.call(service, operation, input).await
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.inner.image_digest(image).await
    }
}

#[async_trait]
impl Clock for Crowded {
    fn now(&self) -> u64 {
        self.inner.now() + self.jumped.load(Ordering::Relaxed)
    }

    async fn wait_until(&self, at: u64) {
        let at = at.saturating_sub(self.jumped.load(Ordering::Relaxed));
        loop {
            let due = self.deeds.lock().unwrap().first().map(|(seconds, _)| self.began + seconds * 1000);
            let Some(due) = due.filter(|due| *due <= at) else { break };
            self.inner.wait_until(due).await;
            let (_, deed) = self.deeds.lock().unwrap().remove(0);
            self.inner.with_world(deed);
        }
        self.inner.wait_until(at).await;
        if let Some((when, by)) = self.jump
            && self.inner.now() >= when
        {
            self.jumped.store(by, Ordering::Relaxed);
        }
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

/// A fixture made ready.
struct Scene {
    inputs: Inputs,
    world: World,
    plan: Plan,
}

fn scene(name: &str) -> Scene {
    let journal = tempfile::tempdir().unwrap();
    let fixture = Fixture::named(name);
    let world = fixture.start(journal.path());
    let inputs = fixture.inputs();
    let plan = inputs.plan(&Arc::new(SimulatedCloud::new(world.clone()))).unwrap();
    Scene { inputs, world, plan }
}

impl Scene {
    fn run(&self, deeds: &[Deed], jump: Option<(u64, u64)>, faults: Vec<Fault>) -> (RunStatus, World) {
        let began = self.world.now.millis();
        let crowded = Crowded {
            inner: SimulatedCloud::new(self.world.clone()),
            began,
            deeds: Mutex::new(deeds.to_vec()),
            jump: jump.map(|(seconds, by)| (began + seconds * 1000, by * 1000)),
            jumped: AtomicU64::new(0),
        };
        let cloud = Arc::new(Faulty::new(crowded, faults));
        let death = std::future::pending();
        let (status, _) = begin_on(cloud.clone(), &self.plan, &Silent, Signals::none(), death).unwrap();
        assert!(cloud.all_fired() && cloud.inner().deeds.lock().unwrap().is_empty(), "not everything happened");
        (status.unwrap(), cloud.inner().inner.world())
    }

    fn nothing_left(&self, world: &World) {
        let again = self.inputs.plan(&Arc::new(SimulatedCloud::new(world.clone()))).unwrap();
        assert_eq!(again.nodes.iter().map(|n| &n.id).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

fn call(world: &mut World, operation: &str, input: &Value) -> Value {
    let cloud = SimulatedCloud::new(world.clone());
    let answer = block_on_here(&cloud, operation, input);
    *world = cloud.world();
    answer
}

/// A simulated cloud answers at once, so that its future needs no runtime.
fn block_on_here(cloud: &SimulatedCloud, operation: &str, input: &Value) -> Value {
    let mut future = cloud.call("ecs", operation, input);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(answer) => answer.unwrap(),
        std::task::Poll::Pending => panic!("a simulated call waits"),
    }
}

fn scale(world: &mut World, count: u64) {
    call(world, "UpdateService", &json!({"cluster": "default", "service": "shop_api", "desiredCount": count}));
}

#[test]
fn an_autoscaler_moves_the_count_and_its_count_stays() {
    let scene = scene("upgrade");
    let wanted = |world: &World| world.services["default/shop_api"].wanted["desiredCount"].clone();
    let deeds: [Deed; 3] = [(4, |w| scale(w, 3)), (40, |w| scale(w, 1)), (70, |w| scale(w, 4))];
    let (status, world) = scene.run(&deeds, None, Vec::new());
    assert_eq!(status.outcome, Some(Outcome::Done), "{}", problems(&status));
    assert_eq!(wanted(&world), 4);
    // And on the way back: a failure does not bring the old count back either.
    let denied = Fault { kind: Kind::LoseAnswer, at: At::Operation("UpdateService".to_owned(), 1) };
    let sick: Deed = (1, |world| {
        let image = world.services["default/shop_api"].wanted["taskDefinition"].as_str().unwrap().to_owned();
        let affliction = belay_executor::simulator::world::Affliction {
            task_definition: Some(image),
            behaviour: Behaviour::NeverHealthy,
            struck: 0,
        };
        world.afflictions.insert("default/shop_api".to_owned(), affliction);
    });
    let (status, world) = scene.run(&[sick, (30, |w| scale(w, 3))], None, vec![denied]);
    assert_eq!(status.outcome, Some(Outcome::RolledBack { requested: false }), "{}", problems(&status));
    assert_eq!(wanted(&world), 3);
    assert_eq!(settled(world)["taskDefinitions"], essence(&scene.world)["taskDefinitions"]);
}

/// The instance with the most tasks of a service is gone, and its tasks with it.
fn instance_dies(world: &mut World) {
    let tasks = world.tasks.of_service("default/shop_api");
    let Some(id) = tasks.filter_map(|(_, task)| task.container_instance.clone()).next() else { panic!() };
    let now = world.now;
    let lost: Vec<String> = world.tasks.on_instance(&id).map(|(task, _)| task.clone()).collect();
    for task in lost {
        let task = world.tasks.get_mut(&task).unwrap();
        if task.last_status == TaskStatus::Stopped {
            continue;
        }
        for container in &mut task.containers {
            container.behaviour = Behaviour::Crash { after_seconds: 0, exit_code: 137, reason: None };
        }
        task.times.start_due = None;
        task.times.exit_due = Some(now.plus(1));
    }
    world.container_instances.remove(&id);
}

#[test]
fn a_container_instance_dies_and_the_deployment_goes_on_elsewhere() {
    let scene = scene("upgrade");
    for at in [1, 15, 30, 60] {
        let (status, world) = scene.run(&[(at, instance_dies)], None, Vec::new());
        assert_eq!(status.outcome, Some(Outcome::Done), "at {at} s: {}", problems(&status));
        scene.nothing_left(&world);
        assert_eq!(world.container_instances.len() + 1, scene.world.container_instances.len());
    }
    // While it goes back, too.
    let never: Deed = (1, |world| {
        let definition = world.services["default/shop_api"].wanted["taskDefinition"].as_str().unwrap().to_owned();
        let sick = belay_executor::simulator::world::Affliction {
            task_definition: Some(definition),
            behaviour: Behaviour::NeverHealthy,
            struck: 0,
        };
        world.afflictions.insert("default/shop_api".to_owned(), sick);
    });
    let (status, world) = scene.run(&[never, (100, instance_dies)], None, Vec::new());
    assert_eq!(status.outcome, Some(Outcome::RolledBack { requested: false }), "{}", problems(&status));
    let (after, before) = (settled(world), essence(&scene.world));
    assert_eq!(after["services"], before["services"]);
}

fn deploys(world: &mut World) {
    let container =
        json!([{"name": "api", "image": "somebody/elses:1", "memory": 64, "portMappings": [{"containerPort": 8080}]}]);
    let family = json!({"family": "somebody-elses", "containerDefinitions": container});
    let registered = call(world, "RegisterTaskDefinition", &family);
    let definition = &registered["taskDefinition"]["taskDefinitionArn"];
    let input = json!({"cluster": "default", "service": "shop_api", "taskDefinition": definition});
    call(world, "UpdateService", &input);
}

#[test]
fn what_somebody_else_deploys_meanwhile_is_left_alone_and_told() {
    let scene = scene("upgrade");
    let (status, world) = scene.run(&[(20, deploys)], None, Vec::new());
    assert_eq!(status.outcome, Some(Outcome::Stuck), "{}", problems(&status));
    let failures: Vec<String> = status.failures().map(|(_, f)| f.reason.clone()).collect();
    assert!(failures.iter().any(|reason| reason.contains("somebody else deployed")), "{failures:?}");
    let stuck = &status.stuck[0];
    assert_eq!(stuck.node, "api.service.update");
    assert!(!stuck.todo.is_empty());
    let now = world.services["default/shop_api"].wanted["taskDefinition"].as_str().unwrap();
    assert!(now.contains("somebody-elses"), "{now}");
}

/// Somebody gives the portal's name to something else while its tasks start.
fn names(world: &mut World) {
    let zone = world.hosted_zones.get_mut("Z0A00000000000000000A").unwrap();
    zone.records.push(json!({"Name": "portal.prod.shop.internal.", "Type": "A", "TTL": 60,
        "ResourceRecords": [{"Value": "10.0.0.99"}]}));
}

#[test]
fn a_name_that_somebody_takes_meanwhile_is_not_taken_away_from_him() {
    let scene = scene("dns-records");
    let (status, world) = scene.run(&[(20, names)], None, Vec::new());
    assert_eq!(status.outcome, Some(Outcome::RolledBack { requested: false }), "{}", problems(&status));
    let failed: Vec<&str> = status.failures().map(|(node, _)| node).collect();
    assert_eq!(failed, ["portal.record.create"]);
    assert_eq!(world.services["default/shop_portal"].status, ServiceStatus::Inactive);
    let records = &world.hosted_zones["Z0A00000000000000000A"].records;
    let portal: Vec<&Value> = records.iter().filter(|set| set["Name"] == "portal.prod.shop.internal.").collect();
    assert_eq!(portal.len(), 1, "{records:#?}");
    assert_eq!(portal[0]["ResourceRecords"][0]["Value"], "10.0.0.99");
}

#[test]
fn a_machine_that_slept_for_a_day_goes_on_waiting() {
    let scene = scene("upgrade");
    for at in [3, 30, 85] {
        let (status, world) = scene.run(&[], Some((at, 86_400)), Vec::new());
        assert_eq!(status.outcome, Some(Outcome::Done), "at {at} s: {}", problems(&status));
        scene.nothing_left(&world);
    }
}

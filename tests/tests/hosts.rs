//! Container instances on a simulated AWS that is watched at every moment: while the machines below them are replaced, the
//! services of a cluster keep their tasks, and no machine ends while a task runs on it; whatever fails, the old machines
//! take tasks again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError};
use belay_executor::run::{Outcome, RunStatus, Signals, Silent};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind, access_denied};
use belay_executor::simulator::world::{Behaviour, Image, InstanceStatus, TaskStatus};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::{Action, Phase, Plan};
use belay_tests::disturb::{begin_on, problems};
use belay_tests::fixtures::Fixture;
use belay_tests::pipeline::block_on;
use serde_json::Value;

const BACK: Outcome = Outcome::RolledBack { requested: false };

/// What was seen that must not be.
#[derive(Default)]
struct Seen {
    /// The fewest healthy tasks of the web service.
    least: Option<u64>,
    /// Tasks that ran on a machine when it ended.
    lost: BTreeSet<String>,
    /// The most instances that were draining at the same time.
    draining: usize,
}

struct Watched {
    inner: SimulatedCloud,
    seen: Arc<Mutex<Seen>>,
}

impl Watched {
    fn look(&self) {
        self.inner.look(|world| {
            let tasks = world.tasks.of_service("shop/shop_web").map(|(_, task)| task);
            let healthy = tasks.filter(|task| task.healthy_since.is_some() && !task.stopping).count() as u64;
            let mut seen = self.seen.lock().unwrap();
            seen.least = Some(seen.least.map_or(healthy, |least| least.min(healthy)));
            let ended = |reason: &String| reason.starts_with("Host EC2");
            // What an instance has started on itself goes with it.
            let lost = world.tasks.iter().filter(|(_, task)| !task.of_instance);
            let lost = lost.filter(|(_, task)| task.stopped_reason.as_ref().is_some_and(ended));
            seen.lost.extend(lost.map(|(id, _)| id.clone()));
            let draining = world.container_instances.values().filter(|i| i.status == InstanceStatus::Draining);
            seen.draining = seen.draining.max(draining.count());
        });
    }
}

#[async_trait]
impl Cloud for Watched {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let answer = self.inner.call(service, operation, input).await;
        self.look();
        answer
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.inner.image_digest(image).await
    }
}

#[async_trait]
impl Clock for Watched {
    fn now(&self) -> u64 {
        self.inner.now()
    }

    async fn wait_until(&self, at: u64) {
        while let Some(next) = self.inner.look(World::next_event).map(|next| next.millis()).filter(|next| *next < at) {
            self.inner.wait_until(next.max(self.inner.now() + 1)).await;
            self.look();
        }
        self.inner.wait_until(at).await;
        self.look();
    }

    fn is_virtual(&self) -> bool {
        true
    }
}

struct Scene {
    world: World,
    plan: Plan,
    before: Value,
}

/// The services run on the old machines.
fn scene() -> Scene {
    let journal = tempfile::tempdir().unwrap();
    let fixture = Fixture::named("ami-update");
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal.path())));
    block_on(cloud.wait_until(cloud.now() + 600_000));
    let world = cloud.world();
    assert_eq!(world.container_instances.values().filter(|i| i.cluster == "shop").count(), 3);
    let plan = fixture.inputs().plan(&cloud).unwrap_or_else(|e| panic!("{e}"));
    Scene { before: essence(&world), plan, world }
}

impl Scene {
    fn run(&self, world: World, faults: Vec<Fault>) -> (RunStatus, World, Seen) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let cloud = Arc::new(Faulty::new(Watched { inner: SimulatedCloud::new(world), seen: seen.clone() }, faults));
        let begun = begin_on(cloud.clone(), &self.plan, &Silent, Signals::none(), cloud.death()).unwrap();
        assert!(cloud.all_fired(), "a fault never happened");
        let world = cloud.inner().inner.world();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        (begun.0.unwrap(), world, seen)
    }
}

/// Nothing of the services was lost.
fn kept(seen: &Seen) {
    assert_eq!(seen.least, Some(3), "tasks of the web service at the worst moment");
    assert_eq!(seen.lost, BTreeSet::new(), "tasks that ended with their machine");
}

#[test]
fn services_keep_their_tasks_while_the_machines_below_them_are_replaced() {
    let scene = scene();
    let (status, world, seen) = scene.run(scene.world.clone(), Vec::new());
    assert_eq!(status.outcome, Some(Outcome::Done), "{}", problems(&status));
    kept(&seen);
    // They were drained in two batches, and stay drained until they are terminated.
    assert_eq!(seen.draining, 3);
    let images: Vec<&str> = world
        .container_instances
        .values()
        .filter(|i| i.cluster == "shop")
        .map(|i| i.attributes["ecs.ami-id"].as_str())
        .collect();
    assert_eq!(images, ["ami-0a000002"; 3]);
    let running = world.tasks.of_service("shop/shop_web").filter(|(_, task)| task.last_status == TaskStatus::Running);
    assert_eq!(running.count(), 3);
}

#[test]
fn a_plan_that_does_not_wait_for_tasks_to_move_is_seen_to_lose_them() {
    let mut scene = scene();
    for node in scene.plan.nodes.iter_mut().filter(|node| node.id.contains(".moved.")) {
        let Action::Wait { wait } = &mut node.action else { panic!("{} is no wait", node.id) };
        wait.until = "`true`".to_owned();
    }
    scene.plan = scene.plan.seal();
    let (_, _, seen) = scene.run(scene.world.clone(), Vec::new());
    assert!(!seen.lost.is_empty());
    assert!(seen.least < Some(3), "{:?}", seen.least);
}

#[test]
fn machines_whose_agents_do_not_join_take_the_plan_back() {
    let scene = scene();
    let mut world = scene.world.clone();
    world.images.insert("ami-0a000002".to_owned(), Image { behaviour: Behaviour::NeverHealthy, ..Image::default() });
    let before = essence(&world);
    let (status, after, seen) = scene.run(world, Vec::new());
    assert_eq!(status.outcome, Some(BACK), "{}", problems(&status));
    assert_eq!(essence(&after), before);
    kept(&seen);
    assert_eq!(seen.draining, 0, "nothing is drained before there is something to move to");
    let (node, failure) = status.failures().next().unwrap();
    assert_eq!(node, "nodes.group.B.joined.1");
    assert!(format!("{failure:?}").contains("too few have joined cluster shop"), "{failure:?}");
}

#[test]
fn whatever_fails_the_old_machines_take_tasks_again_and_nothing_is_lost() {
    let scene = scene();
    let steps = scene.plan.nodes.iter().filter(|n| n.phase == Phase::Deploy && n.action.mutation().is_some()).count();
    assert!(steps > 6, "{steps}");
    // Each of these steps makes one call.
    for number in 1..=steps as u64 {
        let fault = Fault { at: At::Mutation(number), kind: Kind::Fail(access_denied()) };
        let (status, after, seen) = scene.run(scene.world.clone(), vec![fault]);
        assert_eq!(status.outcome, Some(BACK), "{number}: {}", problems(&status));
        let settled = SimulatedCloud::new(after);
        block_on(settled.wait_until(settled.now() + 600_000));
        assert_eq!(essence(&settled.world()), scene.before, "{number}");
        kept(&seen);
    }
}

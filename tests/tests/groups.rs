//! Upgrades of twenty instances, five at a time, on a simulated AWS that is watched at every moment: there are never
//! fewer than twenty healthy, and whatever fails, or whenever the executor is killed, the run ends in the new state or
//! in the exact old one.
//!
//! Faults are drawn from a recorded seed; `BELAY_FAULTS=all` tries every one of them, and every step in a rehearsal.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError};
use belay_executor::journal::MemorySink;
use belay_executor::rehearse::{Options, rehearse, text};
use belay_executor::run::{Mode, Outcome, RunStatus, Signals, Silent};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind, access_denied};
use belay_executor::simulator::world::{Behaviour, Image, InstanceState, Lifecycle, TargetState};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::{Phase, Plan};
use belay_tests::disturb::{Disturbed, begin_on, go_on_on, problems, verdict};
use belay_tests::extent::exhaustive;
use belay_tests::pipeline::{Inputs, apply, block_on};
use serde_json::{Value, json};

const SEED: u64 = 0x5eed_0020;
const COUNT: u64 = 20;
const BATCH: u64 = 5;
const NEW: &str = "acme/web:2";

fn inputs(version: u32, settings: &str) -> Inputs {
    let model = format!(
        "components:\n  web: {{image: \"acme/web:{version}\", replicas: {COUNT}}}\ngateways:\n  front: {{type: load_balancer, exposes: {{port: 80, target_port: 8080}}, target: [web]}}\n"
    );
    let batch = if settings.contains("batch:") { "" } else { "    batch: 25%\n" };
    let environment = format!(
        "core_plugin: ec2-asg
plugin_config:
  ec2-asg:
    region: us-east-1
    vpc: default
    launch_config: {{ami: ami-0a000001, type: t3.micro, sg: [app], user_data: \"docker run IMAGE\"}}
    image_id_subst: IMAGE
    lb: {{front: shop-classic}}
{batch}{settings}"
    );
    Inputs::new("acme", model, environment)
}

/// Instances in service that their load balancer takes for healthy, counted from the bare world.
fn healthy(world: &World) -> u64 {
    let serves = |id: &String| {
        let targets = world.classic_load_balancers["shop-classic"].targets.iter();
        targets.filter(|t| t.id == *id && t.state == TargetState::Healthy).count() == 1
            && world.instances[id].state == InstanceState::Running
    };
    let members = world.auto_scaling_groups.values().flat_map(|group| &group.members);
    members.filter(|(id, member)| member.lifecycle == Lifecycle::InService && serves(id)).count() as u64
}

/// A simulated AWS that is looked at after each call and whenever something happens by itself.
struct Watched {
    inner: SimulatedCloud,
    least: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
    /// As soon as so many instances have been launched, new ones of the new version never answer.
    breaks: Option<u64>,
    broken: Mutex<bool>,
}

impl Watched {
    fn look(&self) {
        let (healthy, launched) = self.inner.look(|world| (healthy(world), world.instances.len() as u64));
        self.least.fetch_min(healthy, Ordering::Relaxed);
        self.most.fetch_max(healthy, Ordering::Relaxed);
        let mut broken = self.broken.lock().unwrap();
        if !*broken && self.breaks.is_some_and(|most| launched >= most) {
            *broken = true;
            let image = Image { behaviour: Behaviour::NeverHealthy, ..Image::default() };
            self.inner.with_world(|world| world.images.insert(NEW.to_owned(), image));
        }
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
    inputs: Inputs,
    world: World,
    plan: Plan,
    before: Value,
    least: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

/// Twenty instances run the old version.
fn scene(settings: &str) -> Scene {
    scene_after(settings, &|_| {})
}

/// The same after somebody did something.
fn scene_after(settings: &str, then: &dyn Fn(&SimulatedCloud)) -> Scene {
    let journal = tempfile::tempdir().unwrap();
    let cloud = Arc::new(SimulatedCloud::new(World::default_account()));
    let plan = inputs(1, settings).plan(&cloud).unwrap_or_else(|e| panic!("{e}"));
    let status = apply(&cloud, &plan, journal.path(), "first").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Done), "{}", problems(&status));
    let cloud = Arc::new(SimulatedCloud::new(cloud.world()));
    then(&cloud);
    block_on(cloud.wait_until(cloud.now() + 900_000));
    let mut world = cloud.world();
    world.log.clear();
    assert_eq!(healthy(&world), COUNT);
    let cloud = Arc::new(SimulatedCloud::new(world.clone()));
    let inputs = inputs(2, settings);
    let plan = inputs.plan(&cloud).unwrap_or_else(|e| panic!("{e}"));
    let before = essence(&world);
    let (least, most) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(0)));
    Scene { inputs, world, plan, before, least, most }
}

impl Scene {
    fn watched(&self, world: World, breaks: Option<u64>) -> Watched {
        let inner = SimulatedCloud::new(world);
        Watched { inner, least: self.least.clone(), most: self.most.clone(), breaks, broken: Mutex::default() }
    }

    /// Runs to the end, taken up as long as that leads anywhere; whether the fault happened.
    fn run(&self, faults: Vec<Fault>, breaks: Option<u64>) -> (Result<Outcome, String>, bool) {
        self.least.store(u64::MAX, Ordering::Relaxed);
        self.most.store(0, Ordering::Relaxed);
        let cloud = Arc::new(Faulty::new(self.watched(self.world.clone(), breaks), faults));
        let begun = begin_on(cloud.clone(), &self.plan, &Silent, Signals::none(), cloud.death()).unwrap();
        let (mut status, journal): (Option<RunStatus>, MemorySink) = begun;
        let (mut world, fired) = (cloud.inner().inner.world(), cloud.all_fired());
        for _ in 0..3 {
            match status.as_ref().and_then(|status| status.outcome) {
                None | Some(Outcome::FinalizeIncomplete | Outcome::Stuck) => {
                    let cloud = Arc::new(self.watched(world, None));
                    let mode = Mode::Resume;
                    status = go_on_on(cloud.clone(), &self.plan, &journal, mode, std::future::pending()).unwrap();
                    world = cloud.inner.world();
                }
                Some(_) => break,
            }
        }
        let end = Disturbed { world, status, journal, all_fired: fired };
        let mut found = verdict(&self.inputs, &self.plan, &end, &self.before);
        let least = self.least.load(Ordering::Relaxed);
        if found.is_ok() && least < COUNT {
            found = Err(format!("{least} of {COUNT} were healthy at some moment"));
        }
        (found, fired)
    }
}

/// A small generator of numbers (SplitMix64, by its published constants).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Old instances that are terminated batch by batch, and old instances that are only detached until the commit point.
const SETTINGS: [&str; 2] = ["", "    instance_protection: true\n"];
const BACK: Outcome = Outcome::RolledBack { requested: false };

#[test]
fn twenty_are_healthy_at_every_moment_of_an_upgrade() {
    for settings in SETTINGS {
        let scene = scene(settings);
        assert_eq!(scene.run(Vec::new(), None).0, Ok(Outcome::Done), "{settings:?}");
        // Five more than twenty, no more and no less: they really are replaced five at a time.
        assert_eq!(scene.most.load(Ordering::Relaxed), COUNT + BATCH, "{settings:?}");
        assert_eq!(scene.least.load(Ordering::Relaxed), COUNT);
    }
}

#[test]
fn a_batch_that_never_becomes_healthy_leads_back_and_costs_no_healthy_instance() {
    for settings in SETTINGS {
        let scene = scene(settings);
        for batch in 1..=COUNT / BATCH {
            let launched = COUNT + (batch - 1) * BATCH;
            let found = scene.run(Vec::new(), Some(launched)).0;
            assert_eq!(found, Ok(BACK), "{settings:?}: batch {batch} fails");
        }
    }
}

#[test]
fn failed_or_killed_at_any_change_it_ends_in_the_new_or_the_old_state_with_twenty_healthy() {
    let kinds = [
        ("rejected", Kind::Fail(access_denied())),
        ("answer lost", Kind::LoseAnswer),
        ("request lost", Kind::LoseRequest),
        ("killed before", Kind::KillBefore),
        ("killed after", Kind::KillAfter),
    ];
    let (mut wrong, mut tried, mut state) = (Vec::new(), 0, SEED);
    for settings in SETTINGS {
        let scene = scene(settings);
        for (name, kind) in &kinds {
            for number in 1.. {
                if !exhaustive() && !next(&mut state).is_multiple_of(6) && number < 30 {
                    continue;
                }
                let fault = Fault { kind: kind.clone(), at: At::Mutation(number) };
                let (found, fired) = scene.run(vec![fault], None);
                if !fired {
                    break;
                }
                tried += 1;
                if let Err(why) = found {
                    wrong.push(format!("{settings:?}: {name} at change {number}: {why}"));
                }
            }
        }
    }
    assert!(tried >= 12, "only {tried} faults were tried");
    assert!(wrong.is_empty(), "{} of {tried} went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn rehearsed_with_every_fault_at_every_step_it_holds() {
    if !exhaustive() {
        // The rehearsals of the fixtures do the same with fewer instances.
        return;
    }
    for settings in SETTINGS {
        let scene = scene(settings);
        let report = rehearse(&scene.plan, &scene.world, None, &Options::default()).unwrap();
        assert!(report.holds, "{}", text(&report));
        assert_eq!((report.components["web"].floor, report.components["web"].least), (COUNT, COUNT));
    }
}

/// How many calls of an operation a scene's plan makes going forward.
fn calls(scene: &Scene, operation: &str) -> usize {
    let forward = scene.plan.nodes.iter().filter(|node| node.phase != Phase::Undo);
    forward.filter_map(|node| node.action.mutation()).filter(|call| call.operation == operation).count()
}

/// Undisturbed it is done, and a batch in the middle that never becomes healthy leads back to the exact old state.
fn goes_and_comes_back(scene: &Scene) {
    assert_eq!(scene.run(Vec::new(), None).0, Ok(Outcome::Done));
    let launched = scene.world.instances.len() as u64 + BATCH;
    assert_eq!(scene.run(Vec::new(), Some(launched)).0, Ok(BACK));
}

#[test]
fn groups_with_launch_configurations_are_upgraded_and_taken_back() {
    let scene = scene("    launch_configurations: true\n");
    assert_eq!(calls(&scene, "CreateLaunchConfiguration"), 1);
    assert_eq!(calls(&scene, "CreateLaunchTemplate"), 0);
    goes_and_comes_back(&scene);
}

/// What an earlier upgrade left: the executor died after it had made the other slot, and somebody emptied that by hand.
fn given_up(settings: &str) -> Scene {
    scene_after(settings, &|cloud| {
        let plan = inputs(2, settings).plan(&Arc::new(SimulatedCloud::new(cloud.world()))).unwrap();
        let fault = Fault { kind: Kind::KillAfter, at: At::Operation("CreateAutoScalingGroup".to_owned(), 1) };
        let died = belay_tests::disturb::begin(&plan, cloud.world(), vec![fault]).unwrap();
        assert!(died.all_fired && died.status.is_none());
        cloud.with_world(|world| *world = died.world);
        let empty = json!({"AutoScalingGroupName": "acme.web_B", "MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0});
        block_on(cloud.call("autoscaling", "UpdateAutoScalingGroup", &empty)).unwrap();
    })
}

#[test]
fn an_empty_slot_that_a_broken_run_left_is_put_to_use() {
    for settings in ["", "    launch_configurations: true\n"] {
        let scene = given_up(settings);
        assert_eq!(calls(&scene, "CreateAutoScalingGroup"), 0, "the group that is there is taken");
        let made = ["CreateLaunchTemplateVersion", "CreateLaunchConfiguration"].map(|name| calls(&scene, name));
        assert_eq!(made, if settings.is_empty() { [1, 0] } else { [0, 1] });
        goes_and_comes_back(&scene);
    }
}

#[test]
fn a_slot_that_follows_the_newest_version_of_its_template_is_detached_and_attached_as_it_was() {
    let scene = scene_after("", &|cloud| {
        let newest = json!({"LaunchTemplateName": "acme.web_A", "Version": "$Latest"});
        let input = json!({"AutoScalingGroupName": "acme.web_A", "LaunchTemplate": newest});
        block_on(cloud.call("autoscaling", "UpdateAutoScalingGroup", &input)).unwrap();
    });
    // Whoever adds a version meanwhile would change what comes back, so nothing has to come back.
    assert_eq!(calls(&scene, "DetachInstances"), 4);
    goes_and_comes_back(&scene);
}

/// Seven at a time do not divide twenty: each batch is told by what the one before it left.
#[test]
fn a_group_that_scales_and_detaches_is_replaced_in_uneven_batches() {
    let scaling = "    batch: 7\n    instance_protection: true\n    scaling: {min: 18, max: 24, cpu: 60}\n";
    let scene = scene(scaling);
    assert_eq!(calls(&scene, "DetachInstances"), 3);
    goes_and_comes_back(&scene);
}

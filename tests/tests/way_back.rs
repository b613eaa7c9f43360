//! Updates that are hard to take back: several things change at once, the old or the new state has no room, the image
//! does not work, load balancers come or go. Each is undisturbed, interrupted at any event (twice as well), and
//! disturbed by any fault at any mutation; it ends in the target or in the initial state. Without `BELAY_FAULTS=all`
//! only some of the events and faults are tried.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use belay_executor::cloud::Cloud;
use belay_executor::run::Outcome;
use belay_executor::simulator::faults::{At, Fault, Kind, access_denied};
use belay_executor::simulator::world::{Behaviour, Image};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::Plan;
use belay_tests::disturb::{Disturbed, begin, go_on, interrupted, to_the_end, verdict};
use belay_tests::extent::exhaustive;
use belay_tests::pipeline::{Inputs, apply};
use serde_json::Value;

const ENVIRONMENT: &str = "
core_plugin: ec2-ecs
plugin_config:
  ec2-ecs:
    region: us-east-1
    timeout: 200
    overall_timeout: 900
    update_monitor: 10
    lb: {shop-web: shop-web, shop-api: shop-api, site: {name: shop-classic, role: ecsServiceRole}}
";
const GOOD: &str = "acme/a:1";
const NEW: &str = "acme/a:2";

/// A model of one component `a`, of what is not the same in all of them.
fn model(image: &str, replicas: u32, rest: &str, service: &str, gateways: &str) -> String {
    format!(
        "components:\n  a:\n    image: {image}\n    replicas: {replicas}\n    provides: {{ports: [\"8080\"]}}\n{rest}    plugin:\n      ec2-ecs: {{cpu: 64, mem: 64, raw: {{service: {{{service}}}}}}}\n{gateways}"
    )
}

const WEB: &str =
    "gateways:\n  shop-web: {type: load_balancer, exposes: {port: \"\", target_port: 8080}, target: [a]}\n";
const API: &str =
    "gateways:\n  shop-api: {type: load_balancer, exposes: {port: \"\", target_port: 8080}, target: [a]}\n";
const SITE: &str = "gateways:\n  site: {type: load_balancer, exposes: {port: 80, target_port: 8080}, target: [a]}\n";
const BREAKER_OFF: &str = "deploymentConfiguration: {deploymentCircuitBreaker: {enable: false, rollback: false}}";
const BREAKER_STAYS: &str = "deploymentConfiguration: {deploymentCircuitBreaker: {enable: true, rollback: false}}";

struct Scene {
    inputs: Inputs,
    world: World,
    plan: Plan,
    before: Value,
}

fn image(world: &mut World, name: &str, behaviour: Behaviour) {
    world.images.insert(name.to_owned(), Image { behaviour, ..Image::default() });
}

fn broken(world: &mut World) {
    image(world, NEW, Behaviour::NeverHealthy);
}

fn crashing(world: &mut World) {
    image(world, NEW, Behaviour::Crash { after_seconds: 3, exit_code: 1, reason: None });
}

/// Deploys `first`, and makes the way to `second` ready.
fn scene(first: &str, second: &str, then: impl Fn(&mut World)) -> Scene {
    let journal = tempfile::tempdir().unwrap();
    let cloud = Arc::new(SimulatedCloud::new(World::default_account()));
    let plan = Inputs::new("acme", first, ENVIRONMENT).plan(&cloud).unwrap_or_else(|e| panic!("{e}"));
    let status = apply(&cloud, &plan, journal.path(), "first").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Done), "{}", belay_tests::disturb::problems(&status));
    let mut world = cloud.world();
    then(&mut world);
    let cloud = Arc::new(SimulatedCloud::new(world.clone()));
    let inputs = Inputs::new("acme", second, ENVIRONMENT);
    let plan = inputs.plan(&cloud).unwrap_or_else(|e| panic!("{e}\n{second}"));
    let before = essence(&world);
    Scene { inputs, world, plan, before }
}

impl Scene {
    fn judge(&self, what: &str, disturbed: Disturbed, wrong: &mut Vec<String>) -> Option<Outcome> {
        let stuck = disturbed.status.as_ref().is_some_and(|s| s.outcome == Some(Outcome::Stuck));
        let told = disturbed.status.as_ref().map(belay_tests::disturb::problems).unwrap_or_default();
        let judged = to_the_end(&self.plan, disturbed)
            .map_err(|e| e.to_string())
            .and_then(|end| verdict(&self.inputs, &self.plan, &end, &self.before));
        match judged {
            Ok(outcome) if !stuck => Some(outcome),
            Ok(outcome) => {
                wrong.push(format!("{what}: was stuck, then {outcome:?}: {told}"));
                None
            }
            Err(why) => {
                wrong.push(format!("{what}: {why}"));
                None
            }
        }
    }

    /// Every disturbance; `end` is how it ends undisturbed.
    fn holds(&self, end: Outcome) {
        let mut wrong = Vec::new();
        let (undisturbed, events) = interrupted(&self.plan, self.world.clone(), &[]).unwrap();
        let found = self.judge("undisturbed", undisturbed, &mut wrong);
        if found != Some(end) {
            wrong.push(format!("undisturbed it ends as {found:?}"));
        }
        let all = exhaustive();
        let step = if all { 1 } else { events.div_ceil(5).max(1) };
        for event in (1..=events).step_by(usize::try_from(step).unwrap()) {
            let (once, seen) = interrupted(&self.plan, self.world.clone(), &[event]).unwrap();
            self.judge(&format!("interrupted at event {event}"), once, &mut wrong);
            if event % 2 == 0 {
                let later = event + (seen - event) / 2;
                let (twice, _) = interrupted(&self.plan, self.world.clone(), &[event, later]).unwrap();
                self.judge(&format!("interrupted at events {event} and {later}"), twice, &mut wrong);
            }
        }
        let kinds = [
            ("rejected", Kind::Fail(access_denied())),
            ("answer lost", Kind::LoseAnswer),
            ("request lost", Kind::LoseRequest),
            ("killed before", Kind::KillBefore),
            ("killed after", Kind::KillAfter),
        ];
        for (name, kind) in kinds {
            if !all && matches!(name, "request lost" | "killed before") {
                continue;
            }
            for number in 1.. {
                let fault = Fault { kind: kind.clone(), at: At::Mutation(number) };
                let disturbed = begin(&self.plan, self.world.clone(), vec![fault]).unwrap();
                if !disturbed.all_fired {
                    break;
                }
                let judged = self.verdict_of(disturbed);
                if let Err(why) = judged {
                    wrong.push(format!("{name} at mutation {number}: {why}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// A compensation that is refused may leave it stuck for a while.
    fn verdict_of(&self, disturbed: Disturbed) -> Result<Outcome, String> {
        let end = to_the_end(&self.plan, disturbed).map_err(|e| e.to_string())?;
        verdict(&self.inputs, &self.plan, &end, &self.before)
    }
}

const BACK: Outcome = Outcome::RolledBack { requested: false };

#[test]
fn more_tasks_than_there_is_room_for() {
    // One task an instance, and the third instance leaves before the plan is applied: with three tasks wanted, AWS alone
    // would never get back to rest.
    for breaker in ["", ", deploymentConfiguration: {deploymentCircuitBreaker: {enable: false, rollback: false}}"] {
        let service = format!("placementConstraints: [{{type: distinctInstance}}]{breaker}");
        for image in [NEW, GOOD] {
            let (before, after) = (model(GOOD, 2, "", &service, ""), model(image, 3, "", &service, ""));
            let mut scene = scene(&before, &after, |_| {});
            let used: Vec<String> =
                scene.world.tasks.iter().filter_map(|(_, t)| t.container_instance.clone()).collect();
            scene.world.container_instances.retain(|id, _| used.contains(id));
            scene.before = essence(&scene.world);
            scene.holds(BACK);
        }
    }
}

#[test]
fn everything_changes_at_once() {
    let half = "deploymentConfiguration: {minimumHealthyPercent: 50, maximumPercent: 150}";
    let (before, after) = (model(GOOD, 4, "", "", WEB), model(NEW, 2, "", half, WEB));
    scene(&before, &after, |_| {}).holds(Outcome::Done);
    scene(&before, &after, broken).holds(BACK);
    scene(&after.replace(NEW, GOOD), &before.replace(GOOD, NEW), crashing).holds(BACK);
}

#[test]
fn without_a_circuit_breaker_or_with_one_that_leaves_it_there() {
    for breaker in [BREAKER_OFF, BREAKER_STAYS] {
        scene(&model(GOOD, 2, "", breaker, ""), &model(NEW, 3, "", breaker, ""), crashing).holds(BACK);
        scene(&model(GOOD, 2, "", breaker, ""), &model(NEW, 2, "", breaker, ""), crashing).holds(BACK);
    }
}

#[test]
fn behind_a_classic_load_balancer() {
    let of = |image: &str, replicas| model(image, replicas, "", "", SITE);
    scene(&of(GOOD, 1), &of(NEW, 2), |_| {}).holds(Outcome::Done);
    scene(&of(GOOD, 2), &of(NEW, 1), broken).holds(BACK);
    scene(&of(GOOD, 1), &of(NEW, 1), crashing).holds(BACK);
}

#[test]
fn daemons() {
    let daemon = "schedulingStrategy: DAEMON";
    let of = |image: &str, rest: &str| model(image, 1, rest, daemon, "");
    scene(&of(GOOD, ""), &of(NEW, ""), |_| {}).holds(Outcome::Done);
    scene(&of(GOOD, ""), &of(NEW, ""), crashing).holds(BACK);
    scene(
        &of(GOOD, ""),
        &format!("{}  b:\n    image: acme/b:1\n    replicas: 1\n    plugin: {{ec2-ecs: {{mem: 64}}}}\n", of(NEW, "")),
        |world| {
            image(world, "acme/b:1", Behaviour::CannotPull { reason: None });
        },
    )
    .holds(BACK);
}

#[test]
fn from_and_to_no_tasks_at_all() {
    scene(&model(GOOD, 0, "", "", WEB), &model(NEW, 2, "", "", WEB), |_| {}).holds(Outcome::Done);
    scene(&model(GOOD, 0, "", "", WEB), &model(NEW, 2, "", "", WEB), broken).holds(BACK);
    scene(&model(GOOD, 2, "", "", WEB), &model(NEW, 0, "", "", WEB), |_| {}).holds(Outcome::Done);
    scene(&model(GOOD, 0, "", "", ""), &model(NEW, 0, "", "", ""), |_| {}).holds(Outcome::Done);
}

#[test]
fn load_balancers_come_and_go() {
    let grace = "healthCheckGracePeriodSeconds: 45";
    for (first, second) in [("", WEB), (WEB, ""), (WEB, API)] {
        let grace_of = |gateways: &str| if gateways.is_empty() { "" } else { grace };
        let before = model(GOOD, 2, "", grace_of(first), first);
        scene(&before, &model(GOOD, 2, "", grace_of(second), second), |_| {}).holds(Outcome::Done);
        scene(&before, &model(NEW, 3, "", grace_of(second), second), crashing).holds(BACK);
    }
}

#[test]
fn a_placement_that_nothing_fits() {
    let nowhere = "placementConstraints: [{type: memberOf, expression: \"attribute:ecs.instance-type == x9.none\"}]";
    let single = "    singleton: true\n";
    scene(&model(GOOD, 1, single, "", ""), &model(NEW, 1, single, nowhere, ""), |_| {}).holds(BACK);
    scene(&model(GOOD, 2, "", "", ""), &model(GOOD, 3, "", nowhere, ""), |_| {}).holds(BACK);
}

#[test]
fn settings_alone_and_with_a_deployment() {
    let settings = "enableExecuteCommand: true, propagateTags: SERVICE, enableECSManagedTags: true, availabilityZoneRebalancing: DISABLED, placementStrategy: [{type: binpack, field: MEMORY}]";
    scene(&model(GOOD, 2, "", "", WEB), &model(GOOD, 2, "", settings, WEB), |_| {}).holds(Outcome::Done);
    scene(&model(GOOD, 2, "", settings, WEB), &model(NEW, 1, "", "", WEB), broken).holds(BACK);
    scene(&model(GOOD, 2, "", "", WEB), &model(NEW, 3, "", settings, WEB), crashing).holds(BACK);
}

#[test]
fn a_singleton_that_does_not_start() {
    let single = "    singleton: true\n";
    for breaker in ["", BREAKER_OFF] {
        let of = |image: &str| model(image, 1, single, breaker, WEB);
        scene(&of(GOOD), &of(NEW), crashing).holds(BACK);
        scene(&of(GOOD), &of(NEW), broken).holds(BACK);
    }
}

#[test]
fn an_orphan_scaled_down_goes_up_again_when_something_else_fails() {
    let other = "  old:\n    image: acme/old:1\n    replicas: 3\n    plugin: {ec2-ecs: {mem: 64}}\n";
    let before = model(GOOD, 1, "", "", "");
    let after = model(NEW, 1, "", "", "");
    for lifecycle in ["", "lifecycle: {teardown_orphans: before}\n"] {
        scene(&format!("{before}{other}"), &format!("{after}{lifecycle}"), crashing).holds(BACK);
        scene(&format!("{before}{other}"), &format!("{after}{lifecycle}"), |_| {}).holds(Outcome::Done);
    }
}

#[test]
fn a_finished_run_is_taken_back() {
    let half = "deploymentConfiguration: {minimumHealthyPercent: 50, maximumPercent: 150}";
    for (first, second) in [("", WEB), (WEB, ""), (WEB, WEB)] {
        let scene = scene(&model(GOOD, 3, "", "", first), &model(NEW, 2, "", half, second), |_| {});
        let done = begin(&scene.plan, scene.world.clone(), Vec::new()).unwrap();
        let back = go_on(&scene.plan, done, belay_executor::run::Mode::Rollback, Vec::new()).unwrap();
        let found = verdict(&scene.inputs, &scene.plan, &back, &scene.before);
        assert_eq!(found, Ok(Outcome::RolledBack { requested: true }));
    }
}

#[test]
fn what_somebody_else_deployed_meanwhile_is_not_overwritten_by_resuming() {
    let scene = scene(&model(GOOD, 2, "", "", ""), &model(NEW, 3, "", "", ""), |_| {});
    let fault = Fault { kind: Kind::KillBefore, at: At::Operation("UpdateService".to_owned(), 1) };
    let mut dead = begin(&scene.plan, scene.world.clone(), vec![fault]).unwrap();
    let cloud = Arc::new(SimulatedCloud::new(dead.world));
    let by_hand = serde_json::json!({"cluster": "default", "service": "acme_a", "desiredCount": 5});
    belay_tests::pipeline::block_on(cloud.call("ecs", "UpdateService", &by_hand)).unwrap();
    dead.world = cloud.world();
    let end = to_the_end(&scene.plan, dead).unwrap();
    assert_eq!(end.status.as_ref().and_then(|s| s.outcome), Some(BACK));
    assert_eq!(end.world.services["default/acme_a"].wanted["desiredCount"], 5);
    assert_eq!(essence(&end.world)["taskDefinitions"], scene.before["taskDefinitions"]);
}

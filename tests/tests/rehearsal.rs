//! What rehearsing each fixture's plan finds is written down beside it. Plans that are broken on purpose, with the
//! checker's refusal left aside, are caught by what they do, and a rehearsal tells how with the shortest story. What it
//! finds does not depend on who looks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use belay_executor::rehearse::{Options, WorldSettings, rehearse, text};
use belay_executor::simulator::World;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Action, Edge, EdgeKind, Phase, Plan};
use belay_schemas::rehearsal::{End, Fault, Rehearsal, Tally};
use belay_tests::extent::{Extent, OneIn, extent};
use belay_tests::fixtures::{Fixture, chosen, read};
use belay_tests::fleet::Fleet;
use serde_json::json;

fn fixture(name: &str) -> (Plan, Observed) {
    let dir = Fixture::named(name).dir();
    let plan = serde_json::from_str(&read(&dir.join("plan.json"))).unwrap();
    (plan, serde_json::from_str(&read(&dir.join("observed.json"))).unwrap())
}

fn rehearsed(plan: &Plan, observed: &Observed) -> Rehearsal {
    let world = World::from_observed(observed).unwrap();
    rehearse(plan, &world, Some(observed), &Options { pairs: 0, ..Options::default() }).unwrap()
}

/// Breaks a fixture's plan and rehearses it. The whole plan holds, so that it is the break that is found.
fn broken(name: &str, breaks: impl FnOnce(&mut Plan)) -> Rehearsal {
    let (mut plan, observed) = fixture(name);
    assert_eq!(belay_schemas::checker::check(&plan), vec![]);
    breaks(&mut plan);
    let report = rehearsed(&plan.seal(), &observed);
    assert!(!report.holds && !report.violations.is_empty());
    for violation in &report.violations {
        assert!(violation.trace.len() > 3, "no story: {violation:?}");
    }
    report
}

/// The violation whose words hold these.
fn told<'r>(report: &'r Rehearsal, words: &str) -> &'r belay_schemas::rehearsal::Violation {
    let found = report.violations.iter().find(|violation| violation.what.contains(words));
    found.unwrap_or_else(|| panic!("nothing says {words:?}:\n{}", text(report)))
}

fn node<'p>(plan: &'p mut Plan, id: &str) -> &'p mut belay_schemas::plan::Node {
    plan.nodes.iter_mut().find(|node| node.id == id).unwrap()
}

#[test]
fn an_undo_that_was_removed() {
    let report = broken("upgrade", |plan| node(plan, "api.service.update").undo.clear());
    let violation = told(&report, "stuck although there is a way back: api.service.update: the plan has no way back");
    // Not even without a fault can the run be taken back.
    assert_eq!(violation.faults, vec![]);
    assert!(violation.trace.iter().any(|line| line.what == "end: stuck"));
}

#[test]
fn a_guard_that_was_dropped() {
    for (fixture, id) in [("upgrade", "api.service.update"), ("shop", "web.service.create")] {
        let report = broken(fixture, |plan| node(plan, id).guards.clear());
        let violation = told(&report, "what somebody else deployed since was not noticed");
        assert!(violation.trace[0].what.starts_with("somebody else deploys to default/shop_"));
    }
}

#[test]
fn a_deregistration_that_was_moved_before_the_commit_point() {
    let report = broken("upgrade", |plan| {
        let mut early = node(plan, "api.task-definition.register.undo").clone();
        early.id = "api.task-definition.deregister.1".to_owned();
        early.phase = Phase::Deploy;
        let old = json!("arn:aws:ecs:us-east-1:123456789012:task-definition/default_shop_api:1");
        let Action::Call { call, .. } = &mut early.action else { panic!() };
        call.input = json!({"taskDefinition": old});
        early.probe.as_mut().unwrap().read.input = json!({"taskDefinition": old});
        let edge = |from: &str, to: &str| Edge { from: from.to_owned(), to: to.to_owned(), kind: EdgeKind::After };
        plan.edges.push(edge("api.service.update", &early.id));
        plan.nodes.push(early);
    });
    // Undone is what can be undone; the revision that ran before is not there to go back to.
    let stuck = told(&report, "stuck although there is a way back");
    assert!(stuck.what.contains("inactive") || stuck.what.contains("INACTIVE"), "{}", stuck.what);
    assert!(stuck.trace.iter().any(|line| line.what.contains("api.task-definition.deregister.1: done")));
}

#[test]
fn a_probe_that_lies() {
    // It says that what was lost took effect.
    let report = broken("upgrade", |plan| {
        node(plan, "api.service.update").probe.as_mut().unwrap().applied = "`true`".to_owned();
    });
    let believed = told(&report, "it says that the target state is reached, but /services/default/shop_api/running");
    assert!(believed.trace.iter().any(|line| line.what.contains("the probe says that it took effect")));
    assert_eq!(believed.runs, 3, "5xx, a lost request, and a kill between intent and call");
    // It says that what took effect did not.
    let report = broken("upgrade", |plan| {
        node(plan, "api.task-definition.register").probe.as_mut().unwrap().applied = "`false`".to_owned();
    });
    let twice = told(&report, "RegisterTaskDefinition of default_shop_api took effect 2 times instead of 1");
    assert!(twice.trace.iter().any(|line| line.what.contains("the probe says that it did not take effect")));
}

#[test]
fn capacity_below_the_floor() {
    let report = broken("upgrade", |plan| {
        let update = node(plan, "api.service.update");
        let Action::Call { call, .. } = &mut update.action else { panic!() };
        call.input["deploymentConfiguration"] = json!({"minimumHealthyPercent": 0, "maximumPercent": 100});
    });
    let violation = told(&report, "api falls to 0 healthy, its floor is 2");
    assert!(violation.faults.is_empty(), "it needs no fault: {violation:?}");
    assert_eq!((report.components["api"].least, report.components["api"].floor), (0, 2));
}

#[test]
fn what_is_found_is_the_same_every_time_and_depends_on_the_seed_only_where_it_says_so() {
    let (plan, observed) = fixture("scale");
    let world = World::from_observed(&observed).unwrap();
    let run = |seed, pairs| rehearse(&plan, &world, Some(&observed), &Options { seed, pairs, ..Options::default() });
    let first = run(7, 20).unwrap();
    assert_eq!(first, run(7, 20).unwrap());
    let other = run(8, 20).unwrap();
    assert_eq!(first.faults, other.faults);
    assert_eq!(first.pairs.tried, 20);
    let json: Rehearsal = serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
    assert_eq!(json, first);
}

/// What parts of a plan that share nothing show by themselves is what they show with the rest of the plan.
fn shows_the_same_apart(name: &str, plan: &Plan, observed: &Observed) -> Rehearsal {
    let world = World::from_observed(observed).unwrap();
    let run = |apart| {
        let options = Options { apart, pairs: 0, ..Options::default() };
        rehearse(plan, &world, Some(observed), &options).unwrap()
    };
    let (apart, whole) = (run(true), run(false));
    assert!(whole.parts.is_empty());
    let alike = |report: &Rehearsal| {
        // A second fault comes after another first one here and there, and then what it keeps away may be there already.
        let tally = |t: &Tally| (t.fault, t.forward, t.back, t.target, t.initial, t.stuck + t.harmless);
        let faults: Vec<_> = report.faults.iter().map(tally).collect();
        let found = (report.runs, report.holds, faults, report.unvisited.clone());
        let least: Vec<_> =
            report.components.iter().map(|(name, c)| (name.clone(), c.start, c.floor, c.least)).collect();
        let wrong: Vec<_> = report.violations.iter().map(|violation| violation.what.clone()).collect();
        (found, least, wrong, report.pairs.possible)
    };
    assert_eq!(alike(&apart), alike(&whole), "{name}");
    apart
}

#[test]
fn parts_that_share_nothing_show_by_themselves_what_they_show_with_the_whole_plan() {
    let (_, observed, plan) = Fleet { services: 2, machines: 6 }.update(World::default_account());
    let report = shows_the_same_apart("fleet", &plan, &observed);
    let parts: Vec<usize> = report.parts.iter().map(Vec::len).collect();
    assert_eq!(parts, [5, 1, 2], "two chains of machines and one of services: {:?}", report.parts);
}

#[test]
fn settings_of_the_world_change_what_happens() {
    let (plan, observed) = fixture("upgrade");
    let mut world = World::from_observed(&observed).unwrap();
    let settings: WorldSettings = serde_json::from_value(json!({
        "timings": {"taskStartSeconds": 100},
        "images": {"shop/api:5.2.0": {"behaviour": {"kind": "never-healthy"}}},
    }))
    .unwrap();
    settings.apply(&mut world);
    // The image is pinned in the plan, so that its tag alone says nothing of it: the digest does.
    let digest = observed.images["shop/api:5.2.0"].digest.clone();
    world.images.get_mut("shop/api:5.2.0").unwrap().digest = digest;
    let report = rehearse(&plan, &world, Some(&observed), &Options { pairs: 0, ..Options::default() }).unwrap();
    assert_eq!(report.undisturbed.end, End::Initial);
    assert!(report.undisturbed.reason.as_ref().unwrap().contains("api.service.deployed"), "{}", text(&report));
    assert!(report.holds, "{}", text(&report));
}

#[test]
fn every_step_and_every_compensation_that_can_be_reached_meets_every_fault() {
    let (plan, observed) = fixture("gateway-change");
    let report = rehearsed(&plan, &observed);
    let count = |fault: Fault| report.faults.iter().find(|tally| tally.fault == fault).unwrap();
    let nodes = |phase: fn(Phase) -> bool, of: fn(&Action) -> bool| {
        plan.nodes.iter().filter(|node| phase(node.phase) && of(&node.action)).count() as u64
    };
    let all: fn(&Action) -> bool = |_| true;
    let calls: fn(&Action) -> bool = |action| action.mutation().is_some();
    let waits: fn(&Action) -> bool = |action| action.kind() == "wait";
    let forward: fn(Phase) -> bool = |phase| phase != Phase::Undo;
    let reached = nodes(|phase| phase == Phase::Undo, all) - report.unvisited.len() as u64;
    assert_eq!(count(Fault::KilledBeforeIntent).forward, nodes(forward, all));
    assert_eq!(count(Fault::KilledBeforeIntent).back, reached);
    assert_eq!(count(Fault::RequestLost).forward, nodes(forward, calls));
    assert_eq!(count(Fault::NeverReady).forward, nodes(forward, waits));
    assert_eq!(count(Fault::FailsInHold).forward, 2);
    // What no run needs is told, and it is the exception.
    assert!(report.unvisited.len() < 4, "{:?}", report.unvisited);
}

/// Fixtures of Auto Scaling whose rehearsal takes seconds in a debug build.
const QUICK: [&str; 4] = ["asg-classic", "asg-scale", "asg-spot", "asg-teardown"];

/// Whether a fixture is rehearsed here, by its place among all: in turn, and the quick ones of Auto Scaling
/// wherever more than the quickest part is tried; all of them with `BELAY_UPDATE=1`.
fn is_rehearsed(at: usize, fixture: &Fixture) -> bool {
    let slow = fixture.name.starts_with("asg-") && !QUICK.contains(&fixture.name);
    let turn = if slow { OneIn { quick: 14, ci: 14 } } else { OneIn { quick: 14, ci: 3 } };
    let quick = QUICK.contains(&fixture.name) && extent() != Extent::Quick;
    quick || turn.takes(at) || std::env::var_os("BELAY_UPDATE").is_some()
}

#[test]
fn rehearsals_of_the_fixtures_hold_and_find_what_is_written_down() {
    let mut wrong = Vec::new();
    let named = std::env::var_os("BELAY_ONLY").is_some();
    for (at, fixture) in chosen().enumerate() {
        let dir = fixture.dir();
        let plan = belay_schemas::checker::load(&read(&dir.join("plan.json"))).unwrap();
        let path = dir.join("rehearsal.txt");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        // Whoever names one means it.
        if !named && !is_rehearsed(at, &fixture) {
            // What is written down is at least of this plan, and good.
            if !written.contains(&format!("plan {}\n", plan.digest)) || !written.contains("\nholds: ") {
                wrong.push(path.display().to_string());
            }
            continue;
        }
        let observed = serde_json::from_str(&read(&dir.join("observed.json"))).unwrap();
        let world = World::from_observed(&observed).unwrap();
        let report = rehearse(&plan, &world, Some(&observed), &Options::default()).unwrap();
        if std::env::var_os("BELAY_UPDATE").is_some() {
            std::fs::write(&path, text(&report)).unwrap();
        } else if written != text(&report) {
            wrong.push(path.display().to_string());
        }
        assert!(report.holds, "{}:\n{}", fixture.name, text(&report));
        // What it predicts without simulating anything is what the simulation took.
        let (predicted, simulated) = (report.prediction.seconds, report.undisturbed.seconds);
        assert!(predicted.abs_diff(simulated) * 10 <= simulated + 100, "{}: {predicted} {simulated}", fixture.name);
    }
    assert!(wrong.is_empty(), "these differ; BELAY_UPDATE=1 writes them, review what changed: {wrong:#?}");
}

//! The systematic matrix: for each fixture, each mutating call and each way in which it can go wrong, the run (taken up
//! again where it died) ends in the target or in the initial state; a second fault on the way back may leave it stuck,
//! said so, and then resuming leads back.
//!
//! Pairs of faults and interruptions are drawn from a recorded seed; `BELAY_FAULTS=all` tries every one of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use belay_executor::run::Outcome;
use belay_executor::simulator::faults::{At, Fault, Kind, access_denied};
use belay_executor::simulator::{World, essence};
use belay_schemas::plan::Plan;
use belay_tests::disturb::{Disturbed, begin, interrupted, problems, to_the_end, verdict};
use belay_tests::fixtures::{ALL, End, Fixture};
use belay_tests::pipeline::Inputs;
use serde_json::Value;

const SEED: u64 = 0x5eed_fa17;

const KINDS: [&str; 6] = ["rejected", "throttled", "answer lost", "request lost", "killed before", "killed after"];

fn kind(name: &str) -> Kind {
    match name {
        "rejected" => Kind::Fail(access_denied()),
        "throttled" => Kind::Throttle,
        "answer lost" => Kind::LoseAnswer,
        "request lost" => Kind::LoseRequest,
        "killed before" => Kind::KillBefore,
        _ => Kind::KillAfter,
    }
}

fn fault(name: &str, number: u64) -> Fault {
    Fault { kind: kind(name), at: At::Mutation(number) }
}

/// A fixture made ready: where it starts, what is to be done, what it looked like.
struct Scene {
    name: &'static str,
    inputs: Inputs,
    world: World,
    plan: Plan,
    before: Value,
    /// It fails by itself, so that a fault is the second thing that goes wrong.
    fails: bool,
}

fn scenes() -> Vec<Scene> {
    let scene = |fixture: &Fixture| {
        let journal = tempfile::tempdir().unwrap();
        let world = fixture.start(journal.path());
        let cloud = std::sync::Arc::new(belay_executor::simulator::SimulatedCloud::new(world.clone()));
        let inputs = fixture.inputs();
        let plan = inputs.plan(&cloud).unwrap();
        let before = essence(&world);
        Scene { name: fixture.name, inputs, world, plan, before, fails: fixture.end == End::Initial }
    };
    ALL.iter().map(scene).collect()
}

impl Scene {
    fn begin(&self, faults: Vec<Fault>) -> Disturbed {
        begin(&self.plan, self.world.clone(), faults).unwrap()
    }

    /// Takes a run to its end and judges it.
    fn judge(&self, what: &str, disturbed: Disturbed, wrong: &mut Vec<String>) {
        let end = match to_the_end(&self.plan, disturbed) {
            Ok(end) => end,
            Err(error) => return wrong.push(format!("{}: {what}: {error}", self.name)),
        };
        if let Err(why) = verdict(&self.inputs, &self.plan, &end, &self.before) {
            wrong.push(format!("{}: {what}: {why}", self.name));
        }
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

/// Whether one of many cases is to be tried, `one_in` on average.
fn drawn(state: &mut u64, one_in: u64) -> bool {
    std::env::var("BELAY_FAULTS").is_ok_and(|v| v == "all") || next(state).is_multiple_of(one_in)
}

fn expect_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} of the runs went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn any_fault_at_any_mutation_leads_to_the_target_or_back() {
    let mut wrong = Vec::new();
    for scene in scenes() {
        for name in KINDS {
            for number in 1.. {
                let disturbed = scene.begin(vec![fault(name, number)]);
                if !disturbed.all_fired {
                    break;
                }
                let what = format!("{name} at mutation {number}");
                // A single fault never leaves a run stuck.
                if let Some(status) =
                    disturbed.status.as_ref().filter(|s| !scene.fails && s.outcome == Some(Outcome::Stuck))
                {
                    wrong.push(format!("{}: {what}: stuck: {}", scene.name, problems(status)));
                    continue;
                }
                scene.judge(&what, disturbed, &mut wrong);
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn a_second_fault_on_the_way_back_leads_back_or_is_told_and_then_resumed() {
    let (mut wrong, mut state) = (Vec::new(), SEED);
    for scene in scenes() {
        for first in 1.. {
            let rejected = || fault("rejected", first);
            if !scene.begin(vec![rejected()]).all_fired {
                break;
            }
            for name in KINDS {
                for second in first + 1.. {
                    if !drawn(&mut state, 4) {
                        if second > first + 40 {
                            break;
                        }
                        continue;
                    }
                    let disturbed = scene.begin(vec![rejected(), fault(name, second)]);
                    if !disturbed.all_fired {
                        break;
                    }
                    let what = format!("rejected at mutation {first}, {name} at {second}");
                    scene.judge(&what, disturbed, &mut wrong);
                }
            }
        }
    }
    expect_none(&wrong);
}

#[test]
fn interrupted_at_any_event_it_goes_back_and_twice_it_can_be_resumed() {
    let (mut wrong, mut state) = (Vec::new(), SEED);
    for scene in scenes() {
        let (_, events) = interrupted(&scene.plan, scene.world.clone(), &[]).unwrap();
        for event in 1..=events {
            if drawn(&mut state, 6) {
                let (once, seen) = interrupted(&scene.plan, scene.world.clone(), &[event]).unwrap();
                scene.judge(&format!("interrupted at event {event}"), once, &mut wrong);
                let again = event + next(&mut state) % (seen - event + 1).max(1);
                let (twice, _) = interrupted(&scene.plan, scene.world.clone(), &[event, again]).unwrap();
                scene.judge(&format!("interrupted at events {event} and {again}"), twice, &mut wrong);
            }
        }
    }
    expect_none(&wrong);
}

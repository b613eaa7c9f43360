//! The systematic matrix in worlds that a rehearsal cannot know: fixtures whose images do not work, load balancers with
//! other targets. Each step and each fault; each ends in the target or in the initial state, and a second fault on the
//! way back may leave a run stuck, said so, and then resuming leads back. Interruptions besides.
//!
//! Pairs of faults and interruptions are drawn from a recorded seed; `BELAY_FAULTS=all` tries every one of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use belay_executor::rehearse::{Options, rehearse, text};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::Plan;
use belay_tests::disturb::{Disturbed, interrupted, to_the_end, verdict};
use belay_tests::extent::{OneIn, exhaustive};
use belay_tests::fixtures::{Fixture, drawn, every};
use belay_tests::pipeline::Inputs;
use rayon::prelude::*;
use serde_json::Value;

const SEED: u64 = 0x5eed_fa17;

/// A fixture made ready: where it starts, what is to be done, what it looked like.
struct Scene {
    name: &'static str,
    inputs: Inputs,
    world: World,
    plan: Plan,
    before: Value,
}

impl Scene {
    fn of(fixture: &Fixture) -> Self {
        let journal = tempfile::tempdir().unwrap();
        let world = fixture.start(journal.path());
        let cloud = std::sync::Arc::new(SimulatedCloud::new(world.clone()));
        let inputs = fixture.inputs();
        let plan = inputs.plan(&cloud).unwrap();
        let before = essence(&world);
        Self { name: fixture.name, inputs, world, plan, before }
    }

    /// Takes a run to its end and judges it: what is wrong with it.
    fn judge(&self, what: &str, disturbed: Disturbed) -> Option<String> {
        let judged = match to_the_end(&self.plan, disturbed) {
            Ok(end) => verdict(&self.inputs, &self.plan, &end, &self.before).err(),
            Err(error) => Some(error.to_string()),
        };
        judged.map(|why| format!("{}: {what}: {why}", self.name))
    }

    /// What is wrong with interrupted runs; which ones are made is drawn from a seed.
    fn interrupted(&self, mut state: u64) -> Vec<String> {
        let (_, events) = interrupted(&self.plan, self.world.clone(), &[]).unwrap();
        // Upgrades of groups look at things much more often.
        let one_in = if self.name.contains("asg") { 40 } else { 8 };
        let mut wrong = Vec::new();
        for event in 1..=events {
            if exhaustive() || next(&mut state).is_multiple_of(one_in) {
                let (once, seen) = interrupted(&self.plan, self.world.clone(), &[event]).unwrap();
                wrong.extend(self.judge(&format!("interrupted at event {event}"), once));
                let again = event + next(&mut state) % (seen - event + 1).max(1);
                let (twice, _) = interrupted(&self.plan, self.world.clone(), &[event, again]).unwrap();
                wrong.extend(self.judge(&format!("interrupted at events {event} and {again}"), twice));
            }
        }
        wrong
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

#[test]
fn any_fault_at_any_step_leads_to_the_target_or_back_where_images_fail() {
    let pairs = if exhaustive() { usize::MAX } else { 100 };
    let failing = ["failing", "classic", "pinned"];
    for fixture in every().filter(|fixture| exhaustive() || failing.contains(&fixture.name)) {
        let scene = Scene::of(&fixture);
        let options = Options { pairs, ..Options::default() };
        let report = rehearse(&scene.plan, &scene.world, None, &options).unwrap();
        assert!(report.holds, "{}:\n{}", scene.name, text(&report));
        assert!(report.runs > 50, "{}: {}", scene.name, report.runs);
    }
}

#[test]
fn interrupted_at_any_event_it_goes_back_and_twice_it_can_be_resumed() {
    let fixtures = drawn(OneIn { quick: 6, ci: 1 });
    let runs = fixtures.par_iter().enumerate();
    let wrong: Vec<String> =
        runs.flat_map_iter(|(n, fixture)| Scene::of(fixture).interrupted(SEED + n as u64)).collect();
    assert!(wrong.is_empty(), "{} of the runs went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

//! The real program, killed with SIGKILL at seeded moments and resumed: it ends in the target state, and no call that is
//! not idempotent was made twice.
//!
//! Moments are fractions of the time that an undisturbed run takes, out of a recorded seed. `BELAY_KILLS=N` makes N of
//! them (default 20).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use belay_executor::simulator::world::Outcome as CallOutcome;
use belay_executor::simulator::{World, essence};
use belay_tests::binaries::{folder, program};
use belay_tests::compare::assert_same;
use belay_tests::fixtures::{Fixture, read};
use serde_json::Value;

const SEED: u64 = 0x5eed_2026;
const PACE: &str = "0.004";

/// A small generator of numbers (SplitMix64, by its published constants): the moments have to be the same everywhere.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn prepare(fixture: &Fixture, dir: &Path) {
    std::fs::copy(fixture.dir().join("world.json"), dir.join("world.json")).unwrap();
    std::fs::copy(fixture.dir().join("plan.json"), dir.join("plan.json")).unwrap();
}

fn apply(dir: &Path) -> Command {
    let mut command = program("belay", dir);
    command.args(["apply", "plan.json", "--simulated", "world.json", "--pace", PACE, "--yes"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn world(dir: &Path) -> World {
    serde_json::from_str(&read(&dir.join("world.json"))).unwrap()
}

/// The essence of a world, whatever the run's id is: what a run makes carries it as a tag.
fn told(dir: &Path) -> Value {
    let mut text = essence(&world(dir)).to_string();
    for run in std::fs::read_dir(dir.join(".belay/runs")).unwrap() {
        text = text.replace(run.unwrap().file_name().to_str().unwrap(), "RUN");
    }
    serde_json::from_str(&text).unwrap()
}

/// Successful calls that would do something again when repeated, by what they were about.
fn repeated(world: &World) -> Vec<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for call in &world.log {
        // A revision and a service are made anew by each call; an update that asks for the same is none.
        let makes = matches!(call.operation.as_str(), "RegisterTaskDefinition" | "CreateService" | "RunTask");
        if makes && call.outcome == CallOutcome::Ok {
            *seen.entry(format!("{} {}", call.operation, call.concerns)).or_default() += 1;
        }
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(what, count)| format!("{what}: {count} times")).collect()
}

#[test]
fn killed_and_resumed_a_run_reaches_the_target_and_does_nothing_twice() {
    let kills: u32 = std::env::var("BELAY_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let fixtures = [Fixture::named("shop"), Fixture::named("upgrade")];
    // Built before anything is timed.
    folder();
    let mut undisturbed = Vec::new();
    for fixture in &fixtures {
        let dir = tempfile::tempdir().unwrap();
        prepare(fixture, dir.path());
        let start = Instant::now();
        let output = apply(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let target = told(dir.path());
        undisturbed.push((start.elapsed(), target));
    }
    let mut state = SEED;
    let mut interrupted = 0;
    for kill in 0..kills {
        let which = kill as usize % fixtures.len();
        let (time, target) = &undisturbed[which];
        let dir = tempfile::tempdir().unwrap();
        prepare(&fixtures[which], dir.path());
        let moment = time.mul_f64((next(&mut state) % 1000) as f64 / 1000.0);
        let mut child = apply(dir.path()).spawn().unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        let ended_before = child.wait().unwrap().success();
        // Killed before the run began, there is nothing to resume: begin it.
        let began = dir
            .path()
            .join(".belay/runs")
            .read_dir()
            .is_ok_and(|d| d.filter_map(Result::ok).any(|run| !run.file_name().to_string_lossy().starts_with('.')));
        if !ended_before {
            interrupted += 1;
            let mut command = if began {
                let mut command = program("belay", dir.path());
                command.args(["resume"]).stdin(Stdio::null());
                command
            } else {
                apply(dir.path())
            };
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "kill {kill} of {} after {moment:?}: {}\n{}",
                fixtures[which].name,
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        assert_same(&format!("kill {kill} of {} after {moment:?}", fixtures[which].name), &told(dir.path()), target);
        assert_eq!(
            repeated(&world(dir.path())),
            Vec::<String>::new(),
            "kill {kill} of {} after {moment:?}",
            fixtures[which].name
        );
    }
    assert!(interrupted * 2 > kills, "only {interrupted} of {kills} kills came before the end: {undisturbed:?}");
}

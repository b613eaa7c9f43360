//! The real program, killed with SIGKILL at seeded moments of going forward and of going back, and taken up again: each run
//! ends in the target state, in the initial one, or says that it is stuck, and no call that makes something anew each
//! time is made twice.
//!
//! Moments come out of a recorded seed: half of them are fractions of the time that an undisturbed run takes, half are the
//! writing of some line of its journal, because what happens between an intent, its call and its outcome takes no time
//! that a clock would hit. `BELAY_KILLS=N` makes N kills
//! (default 24), `BELAY_KILLS_SEED=N` others. All thousand, in a few minutes:
//! `BELAY_KILLS=1000 cargo test --release -p belay-tests --test kills -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use belay_executor::simulator::world::Outcome as CallOutcome;
use belay_executor::simulator::{Time, World, essence};
use belay_tests::binaries::{folder, program};
use belay_tests::compare::places;
use belay_tests::fixtures::{End as Expected, Fixture, read};
use serde_json::Value;

const SEED: u64 = 0x5eed_2026;
/// Wall-clock seconds that an undisturbed run takes, about: the rest of the virtual time passes at once.
const SECONDS: f64 = 0.5;
/// Sessions until a run has to be over.
const SESSIONS: u32 = 6;
/// Calls that make something new with each repetition.
const MAKING: [&str; 6] = [
    "AttachInstances",
    "CreateAutoScalingGroup",
    "CreateLaunchTemplate",
    "CreateService",
    "RegisterTaskDefinition",
    "RunTask",
];

/// What is killed: runs of these fixtures' plans, and the way back by hand of those that can be taken back.
const SCENES: [(&str, bool); 8] = [
    ("shop", false),
    ("shop", true),
    ("upgrade", false),
    ("upgrade", true),
    ("failing", false),
    ("asg-upgrade", false),
    ("asg-failing", false),
    ("both-plugins", false),
];

/// A small generator of numbers (SplitMix64, by its published constants): the moments have to be the same everywhere.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn world(dir: &Path) -> World {
    serde_json::from_str(&read(&dir.join("world.json"))).unwrap()
}

fn runs(dir: &Path) -> Vec<String> {
    let found = std::fs::read_dir(dir.join(".belay/runs")).into_iter().flatten();
    let names = found.map(|run| run.unwrap().file_name().into_string().unwrap());
    // One that has no name yet has not begun.
    names.filter(|name| !name.starts_with('.')).collect()
}

/// The essence of a world once it has come to rest, whatever the run's id is: what a run makes carries it as a tag.
fn told(dir: &Path) -> Value {
    let mut world = world(dir);
    world.advance(Time::from_seconds(world.now.seconds() + 60));
    let mut text = essence(&world).to_string();
    for run in runs(dir) {
        text = text.replace(&run, "RUN");
    }
    serde_json::from_str(&text).unwrap()
}

/// Successful calls that make something, by what they were about.
fn made(world: &World) -> BTreeMap<String, u32> {
    let mut made = BTreeMap::new();
    for call in &world.log {
        if MAKING.contains(&call.operation.as_str()) && call.outcome == CallOutcome::Ok {
            *made.entry(format!("{} {}", call.operation, call.concerns)).or_default() += 1;
        }
    }
    made
}

/// A fixture's plan, forward or back, and how it goes undisturbed.
struct Scene {
    fixture: Fixture,
    back: bool,
    pace: String,
    time: Duration,
    /// Bytes of its journal: before, and at the end.
    journal: (u64, u64),
    ends: [(&'static str, Value); 2],
    made: BTreeMap<String, u32>,
}

/// When a program is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// After this part of its time.
    Time(f64),
    /// As soon as this part of its journal is written.
    Line(f64),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Target,
    Initial,
    Stuck,
}

impl Scene {
    fn new(name: &str, back: bool) -> Self {
        let fixture = Fixture::named(name);
        let dir = tempfile::tempdir().unwrap();
        let mut scene = Self {
            fixture,
            back,
            pace: "0".to_owned(),
            time: Duration::ZERO,
            journal: (0, 0),
            ends: [("target", Value::Null), ("initial", Value::Null)],
            made: BTreeMap::new(),
        };
        std::fs::copy(fixture.dir().join("world.json"), dir.path().join("world.json")).unwrap();
        let initial = told(dir.path());
        let begun = world(dir.path()).now;
        scene.prepare(dir.path());
        let before = world(dir.path()).now;
        // What going forward ends in is a state that a way back may be killed in, too.
        let forward = if back { told(dir.path()) } else { Value::Null };
        scene.begin(dir.path()).output().unwrap();
        let now = told(dir.path());
        let seconds =
            world(dir.path()).now.seconds().saturating_sub(if back { before } else { begun }.seconds()).max(1);
        scene.pace = format!("{:.6}", SECONDS / seconds as f64);
        scene.made = made(&world(dir.path()));
        scene.ends = [("target", if back { forward } else { now.clone() }), ("initial", initial)];
        let expected = if back || fixture.end == Expected::Initial { End::Initial } else { End::Target };
        assert_eq!(scene.end(dir.path()), Some(expected), "{name} without any kill, back: {back}");
        // How long that takes on this machine.
        let dir = tempfile::tempdir().unwrap();
        scene.prepare(dir.path());
        let before = journalled(dir.path());
        let start = Instant::now();
        scene.begin(dir.path()).output().unwrap();
        scene.time = start.elapsed();
        scene.journal = (before, journalled(dir.path()));
        scene
    }

    /// A folder in which it can begin.
    fn prepare(&self, dir: &Path) {
        for file in ["world.json", "plan.json"] {
            std::fs::copy(self.fixture.dir().join(file), dir.join(file)).unwrap();
        }
        if self.back {
            let done = self.apply(dir, "0").output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }

    fn belay(dir: &Path, arguments: &[&str]) -> Command {
        let mut command = program("belay", dir);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn apply(&self, dir: &Path, pace: &str) -> Command {
        Self::belay(dir, &["apply", "plan.json", "--simulated", "world.json", "--pace", pace, "--yes"])
    }

    /// What is killed first.
    fn begin(&self, dir: &Path) -> Command {
        if self.back { Self::belay(dir, &["rollback", "--pace", &self.pace]) } else { self.apply(dir, &self.pace) }
    }

    /// What a person says after that.
    fn go_on(&self, dir: &Path) -> Command {
        // Killed before the run began, there is nothing to resume: begin it.
        match (runs(dir).is_empty(), self.back) {
            (true, _) => self.apply(dir, &self.pace),
            (false, true) => self.begin(dir),
            (false, false) => Self::belay(dir, &["resume", "--pace", &self.pace]),
        }
    }

    fn end(&self, dir: &Path) -> Option<End> {
        let now = told(dir);
        let is = |at: usize| places(&now, &self.ends[at].1).is_empty();
        if is(1) {
            Some(End::Initial)
        } else if is(0) {
            Some(End::Target)
        } else {
            None
        }
    }

    /// One run, killed at these moments: how it ends, and how many kills came before the end.
    fn run(&self, moments: &[Moment]) -> Result<(End, u32), String> {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        self.prepare(dir);
        let mut kills = 0;
        let mut said = String::new();
        let mut command = self.begin(dir);
        for session in 0..SESSIONS {
            let moment = moments.get(session as usize).copied();
            let (status, words) = self.killed(command, moment, dir);
            // Writing to a string cannot fail.
            let _ = writeln!(said, "-- session {session}, to be killed at {moment:?}: {status}\n{words}");
            // Killed after the last line of its journal, before it could say so: asked again, it refuses what is over.
            let over = self.back && status.code() == Some(1) && words.contains("it was rolled back already");
            match if over { Some(3) } else { status.code() } {
                None => kills += 1,
                Some(4) => return Ok((End::Stuck, kills)),
                // Rolled back as asked for or not, done, done but for some tidying.
                Some(0 | 3) => {
                    let end = self.end(dir);
                    let made = made(&world(dir));
                    let twice: Vec<_> = made
                        .iter()
                        .filter(|(what, count)| **count > self.made.get(*what).copied().unwrap_or(1))
                        .collect();
                    return match end {
                        Some(end) if twice.is_empty() => Ok((end, kills)),
                        Some(_) => Err(format!("made twice: {twice:?}\n{said}")),
                        None => {
                            let now = told(dir);
                            let differing = self.ends.each_ref().map(|(name, end)| (*name, places(&now, end)));
                            Err(format!("it ends in neither state: {differing:#?}\n{said}"))
                        }
                    };
                }
                Some(7) => {}
                Some(code) => return Err(format!("it ends with exit code {code}\n{said}")),
            }
            command = self.go_on(dir);
        }
        Err(format!("it is not over after {SESSIONS} sessions\n{said}"))
    }
}

impl Scene {
    /// Runs a command, kills it at its moment, and gives back how it ended and what it said.
    fn killed(&self, mut command: Command, moment: Option<Moment>, dir: &Path) -> (ExitStatus, String) {
        let mut child = command.spawn().unwrap();
        match moment {
            Some(Moment::Time(fraction)) => std::thread::sleep(self.time.mul_f64(fraction)),
            Some(Moment::Line(fraction)) => {
                let (from, to) = self.journal;
                let wanted = from + (to.saturating_sub(from) as f64 * fraction) as u64;
                while journalled(dir) <= wanted && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_micros(20));
                }
            }
            None => {}
        }
        if moment.is_some() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Bytes of the journals in a folder.
fn journalled(dir: &Path) -> u64 {
    let length = |run: String| std::fs::metadata(dir.join(".belay/runs").join(run).join("journal.jsonl"));
    runs(dir).into_iter().filter_map(|run| length(run).ok()).map(|file| file.len()).sum()
}

#[test]
fn killed_at_any_moment_a_run_ends_where_it_may_and_makes_nothing_twice() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let wanted = u32::try_from(setting("BELAY_KILLS").unwrap_or(24)).unwrap();
    let seed = setting("BELAY_KILLS_SEED").unwrap_or(SEED);
    // Built before anything is timed.
    folder();
    let scenes: Vec<Scene> = SCENES.iter().map(|(name, back)| Scene::new(name, *back)).collect();
    let (number, killed, missed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let ends: Mutex<BTreeMap<(usize, End), u32>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let work = || {
        while killed.load(Ordering::Relaxed) < wanted && wrong.lock().unwrap().is_empty() {
            let run = number.fetch_add(1, Ordering::Relaxed);
            let mut state = seed.wrapping_add(u64::from(run) << 32);
            let mut moment = || {
                let fraction = (next(&mut state) % 1000) as f64 / 1000.0;
                if next(&mut state).is_multiple_of(2) { Moment::Time(fraction) } else { Moment::Line(fraction) }
            };
            let which = run as usize % scenes.len();
            // Every third one is killed again while it is taken up.
            let moments = if run % 3 == 2 { vec![moment(), moment()] } else { vec![moment()] };
            match scenes[which].run(&moments) {
                Ok((end, kills)) => {
                    *ends.lock().unwrap().entry((which, end)).or_default() += 1;
                    killed.fetch_add(kills, Ordering::Relaxed);
                    missed.fetch_add(moments.len() as u32 - kills, Ordering::Relaxed);
                }
                Err(what) => {
                    let (name, back) = SCENES[which];
                    wrong.lock().unwrap().push(format!("run {run} of {name} (back: {back}), {moments:?}: {what}"));
                }
            }
        }
    };
    // Runs wait more than they work.
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get() * 2);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (killed, missed) = (killed.into_inner(), missed.into_inner());
    println!("seed {seed:#x}: {killed} kills in {} runs, {missed} came too late", number.into_inner());
    for ((which, end), count) in ends.into_inner().unwrap() {
        let (name, back) = SCENES[which];
        println!("  {name:<14} {}  {count:>4} × {end:?}", if back { "back   " } else { "forward" });
    }
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(killed >= wanted, "only {killed} of {wanted} kills");
    assert!(missed <= killed, "too many kills came after the end: {missed} and {killed}");
}

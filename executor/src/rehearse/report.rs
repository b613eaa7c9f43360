//! From runs to a report.
//!
//! Invariants: counts are of runs that happened; a violation is told once, by the run that shows it with the fewest
//! faults and steps, which is run again to tell its story.

use std::collections::BTreeMap;

use belay_schemas::FORMAT;
use belay_schemas::plan::{Phase, Plan};
use belay_schemas::rehearsal::{
    Capacity, End, Fault, Pairs, Prediction, Rehearsal, Tally, TraceLine, Undisturbed, Violation, Worst,
};
use tokio::runtime::Runtime;

use super::capacity::Levels;
use super::drill::{Case, Scene};
use super::runner::Found;
use super::scenes::Scenes;
use super::stage::Mode;
use super::{Options, unvisited};
use crate::time::duration;

/// Violations that are told at most; more of them have the same cause.
const VIOLATIONS: usize = 20;
/// Worst moments of one sort that are told.
const WORST: usize = 5;

/// All that was found.
pub(super) struct Gathered<'a> {
    pub scenes: &'a Scenes,
    pub start: Levels,
    /// Whether ECS starts instances for the tasks of the undisturbed run.
    pub managed: bool,
    pub reason: Option<String>,
    pub kept: Option<String>,
    /// The undisturbed run, then one fault at a forward step each.
    pub found: Vec<Found>,
    /// A second fault at a compensation.
    pub back: Vec<Found>,
    pub pairs: Vec<Found>,
    pub possible: usize,
    /// Runs before which somebody else changed something.
    pub strangers: u64,
}

/// What the simulated world does not know of the real one.
fn unknown(scene: &Scene, managed: bool) -> Vec<String> {
    let timings = &scene.world.timings;
    let of_tasks = || {
        let managed = match managed {
            true => format!(", {} s more until a managed instance is there", timings.managed_instance_seconds),
            false => String::new(),
        };
        format!(
            "how long things really take: assumed are {} s to pull images, {} s to start ({} s on Fargate{managed}), {} s to stop",
            timings.image_pull_seconds, timings.task_start_seconds, timings.fargate_start_seconds, timings.stop_seconds
        )
    };
    let of_instances = || {
        format!(
            "how long instances really take: assumed are {} s to run, {} s more until they answer, {} s to terminate",
            timings.instance_pending_seconds, timings.instance_boot_seconds, timings.instance_shutdown_seconds
        )
    };
    let calls = |service: &str| {
        let mut actions = scene.plan().nodes.iter().filter_map(|node| node.action.mutation());
        actions.any(|call| call.service == service)
    };
    let (groups, services) = (calls("autoscaling"), calls("ecs"));
    let times = [(services || !groups).then(of_tasks), groups.then(of_instances)];
    let mut all: Vec<String> = times.into_iter().flatten().collect();
    all.extend([
        "whether new images work: they are taken to, except in the runs in which they never become ready".to_owned(),
        "what others do meanwhile: autoscalers, people, instances that fail".to_owned(),
    ]);
    all
}

/// The run in words.
fn words(case: &Case) -> String {
    let mut words: Vec<String> = case.faults.iter().map(ToString::to_string).collect();
    if case.taken_back {
        words.insert(0, "taken back by hand".to_owned());
    }
    if let Some(foreign) = &case.foreign {
        words.insert(0, format!("somebody else {foreign} before the run"));
    }
    if words.is_empty() { "undisturbed".to_owned() } else { words.join(" · then ") }
}

impl Gathered<'_> {
    fn all(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().chain(&self.back).chain(&self.pairs)
    }

    pub fn report(self, plan: &Plan, options: &Options, prediction: Prediction, runtime: &Runtime) -> Rehearsal {
        let violations = self.violations(runtime);
        let undisturbed = &self.found[0];
        Rehearsal {
            format: FORMAT,
            project: plan.project.clone(),
            plan: plan.digest.clone(),
            runs: self.all().count() as u64,
            seed: options.seed,
            holds: violations.is_empty(),
            parts: self.scenes.components.clone(),
            undisturbed: Undisturbed {
                end: undisturbed.end,
                seconds: undisturbed.took / 1000,
                reason: self.reason.clone(),
                kept: self.kept.clone(),
            },
            prediction,
            faults: self.tallies(),
            pairs: Pairs {
                possible: self.possible as u64,
                tried: self.pairs.len() as u64,
                stuck: self.pairs.iter().filter(|found| found.stuck).count() as u64,
            },
            strangers: self.strangers,
            components: self.capacities(),
            worst: self.worst(plan),
            unvisited: unvisited(plan, &[&self.found, &self.back, &self.pairs]),
            unknown: unknown(self.scenes.scene(), self.managed),
            violations,
        }
    }

    fn tallies(&self) -> Vec<Tally> {
        let mut tallies: BTreeMap<Fault, Tally> = BTreeMap::new();
        let singles = self.found.iter().filter_map(|found| Some((found, false, found.case.faults.first()?)));
        let backs = self.back.iter().filter_map(|found| Some((found, true, found.case.faults.last()?)));
        for (found, back, at) in singles.chain(backs) {
            let fault = at.fault;
            let empty = Tally { fault, forward: 0, back: 0, target: 0, initial: 0, stuck: 0, harmless: 0 };
            let tally = tallies.entry(fault).or_insert(empty);
            tally.forward += u64::from(!back);
            tally.back += u64::from(back);
            tally.target += u64::from(found.end == End::Target);
            tally.initial += u64::from(found.end == End::Initial);
            tally.stuck += u64::from(found.stuck);
            tally.harmless += u64::from(found.harmless);
        }
        tallies.into_values().collect()
    }

    fn capacities(&self) -> BTreeMap<String, Capacity> {
        let mut all = BTreeMap::new();
        let (scene, states) = self.scenes.get(0);
        for (at, name) in scene.components.names.iter().enumerate() {
            let (mut least, mut least_in) = (self.start[at], None);
            for found in self.all().filter(|found| found.case.foreign.is_none()) {
                if found.lowest.levels[at] < least {
                    least = found.lowest.levels[at];
                    least_in = Some(words(&found.case));
                }
            }
            let floor = states.floors[at];
            all.insert(name.clone(), Capacity { start: self.start[at], floor, least, least_in });
        }
        all
    }

    fn worst(&self, plan: &Plan) -> Vec<Worst> {
        let mut worst = Vec::new();
        let mut stuck: BTreeMap<&str, (u64, &Found)> = BTreeMap::new();
        for found in self.found.iter().chain(&self.back).filter(|found| found.stuck) {
            if let Some(at) = found.case.faults.last() {
                stuck.entry(&at.node).or_insert((0, found)).0 += 1;
            }
        }
        let more = stuck.len().saturating_sub(WORST);
        for (node, (runs, found)) in stuck.into_iter().take(WORST) {
            let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
            worst.push(Worst {
                what: format!("stuck in {runs} when {node} cannot be done, and says so; `resume` leads on"),
                run: words(&found.case),
            });
        }
        if let (true, Some(last)) = (more > 0, worst.last_mut()) {
            last.what.push_str(&format!(" (and so for {more} more steps)"));
        }
        let longest = |back: bool| {
            let went = move |found: &&Found| {
                let undo = plan.nodes.iter().zip(&found.visited).any(|(n, came)| *came && n.phase == Phase::Undo);
                undo == back
            };
            // The first of those that take as long.
            self.all().filter(|found| found.scene == 0).filter(went).rev_max_by_key(|found| found.took)
        };
        for (back, what) in [(true, "the longest run that goes back"), (false, "the longest run that goes forward")] {
            if let Some(found) = longest(back) {
                let what = format!("{what} takes {}", duration(found.took));
                worst.push(Worst { what, run: words(&found.case) });
            }
        }
        worst
    }

    fn violations(&self, runtime: &Runtime) -> Vec<Violation> {
        let mut kinds: BTreeMap<&str, (u64, &Found)> = BTreeMap::new();
        for found in self.all() {
            for what in &found.wrong {
                let (runs, shortest) = kinds.entry(what).or_insert((0, found));
                *runs += 1;
                let size = |found: &Found| (found.case.faults.len(), found.records);
                if size(found) < size(shortest) {
                    *shortest = found;
                }
            }
        }
        let mut kinds: Vec<(&str, (u64, &Found))> = kinds.into_iter().collect();
        kinds.sort_by_key(|(what, (_, found))| (found.case.faults.len(), found.records, *what));
        let told = kinds.into_iter().take(VIOLATIONS).map(|(what, (runs, found))| {
            let mode = Mode { traced: true, frozen: found.frozen };
            let run = runtime.block_on(self.scenes.scene().run(&found.case, mode));
            let began = run.trace.first().map_or(0, |(at, _)| *at);
            let line = |(at, what): (u64, String)| TraceLine { at: at.saturating_sub(began) / 1000, what };
            let trace = run.trace.into_iter().map(line).collect();
            Violation { what: what.to_owned(), runs, faults: found.case.faults.clone(), trace }
        });
        told.collect()
    }
}

/// The first of the greatest.
trait FirstMax: Iterator + Sized {
    fn rev_max_by_key<K: Ord>(self, key: impl Fn(&Self::Item) -> K) -> Option<Self::Item> {
        self.fold(None, |best, item| match best {
            Some(best) if key(&best) >= key(&item) => Some(best),
            _ => Some(item),
        })
    }
}

impl<I: Iterator> FirstMax for I {}

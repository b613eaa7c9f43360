//! Many runs at once: as many threads as there are processors, each with a runtime of its own. What many of them have in
//! common, up to the moment at which their last fault can happen, is run once.
//!
//! Invariants: what is found does not depend on how many threads there are, nor on what is shared; it comes back in the
//! order of the cases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use belay_schemas::rehearsal::End;

use super::RehearseError;
use super::drill::{Case, Drilled, Mark, Marks, Scene};
use super::scenes::{Scenes, Trial};
use super::stage::{FAULTS, Lowest, Mode};

/// What a run was found to be.
pub(super) struct Found {
    pub case: Case,
    /// The scene that it was tried in.
    pub scene: usize,
    pub end: End,
    pub wrong: Vec<String>,
    pub stuck: bool,
    /// The fault happened and changed nothing.
    pub harmless: bool,
    /// Trouble was shown as a past that stays.
    pub frozen: [bool; FAULTS],
    pub lowest: Lowest,
    pub took: u64,
    pub records: u64,
    /// Steps that were begun, by position in the whole plan.
    pub visited: Vec<bool>,
    /// Those that had to hold for a while.
    pub held: Vec<bool>,
}

/// Runs that share their beginning from which on it pays to run it once for all of them.
const SHARED: usize = 3;

/// What a case has in common with others: the run without its last fault, up to the moment at which that fault's step is
/// begun. The step is told by its position.
fn beginning(scene: &Scene, case: &Case) -> Option<(Case, usize)> {
    let (last, before) = case.faults.split_last()?;
    let ix = scene.ids.binary_search(&last.node).ok()?;
    let node = &scene.plan().nodes[ix];
    // What only reads may be kept from reading its start guards, too, and those come before it is begun.
    let late = node.action.mutation().is_some() || node.guards.is_empty();
    let alone = case.foreign.is_none();
    (late && alone).then(|| (Case { faults: before.to_vec(), ..case.clone() }, ix))
}

/// Runs a case, from a moment of the run without its last fault if there is one.
async fn drill_from(scene: &Scene, case: &Case, from: Option<&Mark>) -> (Drilled, [bool; FAULTS]) {
    let (Some(mark), Some(last)) = (from, case.faults.len().checked_sub(1)) else {
        return drill(scene, case, None).await;
    };
    let mut frozen = mark.frozen;
    loop {
        let run = scene.run_from(case, Mode { traced: false, frozen }, Some(mark), None).await;
        match run.fired.iter().zip(frozen).position(|((_, shown), frozen)| !shown && !frozen) {
            Some(at) if at == last => frozen[at] = true,
            // An earlier one is to be staged otherwise, so that the beginning is another one.
            Some(_) => return drill(scene, case, None).await,
            None => return (run, frozen),
        }
    }
}

/// Runs a case, and once more with the past where tasks could not be struck; keeps its moments where they are wanted.
async fn drill(scene: &Scene, case: &Case, marks: Option<&Mutex<Marks>>) -> (Drilled, [bool; FAULTS]) {
    let mut frozen = [false; FAULTS];
    loop {
        if let Some(marks) = marks {
            *marks.lock().unwrap_or_else(PoisonError::into_inner) = Marks::default();
        }
        let run = scene.run_from(case, Mode { traced: false, frozen }, None, marks).await;
        // The first fault that had nothing to strike; what comes after it may be another story then.
        let spared = run.fired.iter().zip(frozen).position(|((_, shown), frozen)| !shown && !frozen);
        match spared {
            Some(at) => frozen[at] = true,
            None => return (run, frozen),
        }
    }
}

impl Found {
    pub fn of(scenes: &Scenes, trial: Trial, run: Drilled, frozen: [bool; FAULTS]) -> Self {
        let Trial { scene: number, case } = trial;
        let (scene, states) = scenes.get(number);
        let judged = states.judge(scene, &run);
        let in_whole = |of: &[bool]| {
            let mut all = vec![false; scenes.plan().nodes.len()];
            scene.at.iter().zip(of).for_each(|(ix, was)| all[*ix] = *was);
            all
        };
        let mut lowest = run.lowest;
        // Of what is not there nothing was seen.
        lowest.levels.iter_mut().zip(&scene.own).filter(|(_, own)| !**own).for_each(|(level, _)| *level = u64::MAX);
        Self {
            scene: number,
            end: judged.end,
            wrong: judged.wrong,
            stuck: run.stuck.is_some(),
            harmless: run.fired.iter().any(|(happened, shown)| *happened && !shown),
            frozen,
            lowest,
            took: run.took,
            records: run.records,
            visited: in_whole(&run.visited),
            held: in_whole(&run.held),
            case,
        }
    }

    /// Whether a part behaved as parts do that are tried apart: nothing is wrong, and what passes passed.
    fn is_plain(&self) -> bool {
        self.wrong.is_empty() && (self.case.faults.len() > 1 || self.end == End::Target)
    }
}

impl Found {
    /// The same case with the whole plan.
    pub fn with_the_whole(self, scenes: &Scenes, runtime: &tokio::runtime::Runtime) -> Self {
        let (run, frozen) = runtime.block_on(drill(scenes.scene(), &self.case, None));
        Self::of(scenes, Trial { scene: 0, case: self.case }, run, frozen)
    }
}

/// How long a run takes is told by runs of the whole plan: the longest one of each part is made with it.
pub(super) fn longest_with_the_whole(
    scenes: &Scenes,
    mut all: Vec<Found>,
    runtime: &tokio::runtime::Runtime,
) -> Vec<Found> {
    let mut longest: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, found) in all.iter().enumerate().filter(|(_, found)| found.scene > 0) {
        let most = longest.entry(found.scene).or_insert(at);
        if found.took > all[*most].took {
            *most = at;
        }
    }
    let longest: BTreeSet<usize> = longest.into_values().collect();
    for (at, found) in std::mem::take(&mut all).into_iter().enumerate() {
        all.push(if longest.contains(&at) { found.with_the_whole(scenes, runtime) } else { found });
    }
    all
}

/// A runtime for the runs of one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RehearseError> {
    tokio::runtime::Builder::new_current_thread().build().map_err(RehearseError::Runtime)
}

/// Cases that share their beginning.
struct Group {
    /// How many of them are still to be run.
    left: usize,
    marks: Option<Arc<Vec<Mark>>>,
}

/// The beginnings that cases share: run when the first of them is to be run, dropped after the last one.
struct Beginnings<'a>(BTreeMap<&'a Trial, Mutex<Group>>);

impl<'a> Beginnings<'a> {
    fn of(trials: impl Iterator<Item = &'a Trial>) -> Self {
        let mut sizes: BTreeMap<&Trial, usize> = BTreeMap::new();
        for before in trials {
            *sizes.entry(before).or_default() += 1;
        }
        let shared = sizes.into_iter().filter(|(_, size)| *size >= SHARED);
        Self(shared.map(|(before, left)| (before, Mutex::new(Group { left, marks: None }))).collect())
    }

    /// The moments of a beginning.
    fn marks(&self, scene: &Scene, begins: &Trial, runtime: &tokio::runtime::Runtime) -> Option<Arc<Vec<Mark>>> {
        let before = &begins.case;
        let mut group = self.0.get(begins)?.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = group.marks.take().unwrap_or_else(|| {
            let counted = Mutex::default();
            let (_, frozen) = runtime.block_on(drill(scene, before, Some(&counted)));
            let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
            let kept = Mutex::new(Marks::after(&counted));
            let mode = Mode { traced: false, frozen };
            runtime.block_on(scene.run_from(before, mode, None, Some(&kept)));
            Arc::new(kept.into_inner().unwrap_or_else(PoisonError::into_inner).list)
        });
        group.left = group.left.saturating_sub(1);
        if group.left > 0 {
            group.marks = Some(Arc::clone(&marks));
        }
        Some(marks)
    }
}

/// Runs all trials.
pub(super) fn run_all(scenes: &Scenes, trials: Vec<Trial>) -> Result<Vec<Found>, RehearseError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(trials.len().max(1));
    let next = AtomicUsize::new(0);
    // Those that begin alike come one after another, so that few beginnings are kept at a time.
    let begins = |trial: &Trial| {
        let (before, ix) = beginning(&scenes.get(trial.scene).0, &trial.case)?;
        Some((Trial { scene: trial.scene, case: before }, ix))
    };
    let mut order: Vec<(Option<(Trial, usize)>, usize)> =
        trials.iter().enumerate().map(|(at, trial)| (begins(trial), at)).collect();
    order.sort_by(|(a, _), (b, _)| a.as_ref().map(|(before, _)| before).cmp(&b.as_ref().map(|(before, _)| before)));
    let beginnings = Beginnings::of(order.iter().filter_map(|(begins, _)| Some(&begins.as_ref()?.0)));
    let all: Mutex<Vec<(usize, Found)>> = Mutex::default();
    let work = || -> Result<(), RehearseError> {
        let runtime = runtime()?;
        loop {
            let Some((begins, at)) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
            let Trial { scene: number, case } = &trials[*at];
            let (scene, _) = scenes.get(*number);
            let begins = begins.as_ref();
            let marks = begins.and_then(|(before, _)| beginnings.marks(scene, before, &runtime));
            let mark = begins.and_then(|(_, ix)| marks.as_ref()?.iter().rev().find(|mark| !mark.visited(*ix)));
            let (run, frozen) = runtime.block_on(drill_from(scene, case, mark));
            let mut found = Found::of(scenes, trials[*at].clone(), run, frozen);
            if *number > 0 && !found.is_plain() {
                found = found.with_the_whole(scenes, &runtime);
            }
            all.lock().unwrap_or_else(PoisonError::into_inner).push((*at, found));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| RehearseError::Broken)?)
    })?;
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

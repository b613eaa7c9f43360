//! What runs have in common, run once: the undisturbed run up to the moment at which a case's first fault can happen, and
//! the run of all its faults but the last one up to the moment at which that can.
//!
//! Invariants: a run that begins at a moment of another one is the run that it would have been from its start; a fault
//! that turns out to be staged otherwise than the moment has it leads back to the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;

use super::drill::{Case, Drilled, Mark, Marks, Scene};
use super::scenes::{Scenes, Trial};
use super::stage::{FAULTS, Mode};

/// Runs that share their beginning from which on it pays to run it once for all of them.
const SHARED: usize = 3;

/// The position of a fault's step, if nothing of the fault can show before the step is begun: what only reads may be kept
/// from reading its start guards, too.
fn step(scene: &Scene, case: &Case, fault: usize) -> Option<usize> {
    let ix = scene.ids.binary_search(&case.faults.get(fault)?.node).ok()?;
    let node = &scene.plan().nodes[ix];
    let late = node.action.mutation().is_some() || node.guards.is_empty();
    (late && case.foreign.is_none()).then_some(ix)
}

/// The last of these moments at which a step is not begun.
fn before(marks: &[Mark], ix: usize) -> Option<&Mark> {
    marks.iter().rev().find(|mark| !mark.visited(ix))
}

/// What a trial has in common with others: the run without its last fault.
fn beginning(scenes: &Scenes, trial: &Trial) -> Option<Trial> {
    let last = trial.case.faults.len().checked_sub(1)?;
    step(&scenes.get(trial.scene).0, &trial.case, last)?;
    let faults = trial.case.faults[..last].to_vec();
    Some(Trial { scene: trial.scene, case: Case { faults, ..trial.case.clone() } })
}

/// Runs a case, from a moment if there is one, and again with the past where tasks could not be struck; keeps its moments
/// where they are wanted.
pub(super) async fn drill(
    scene: &Scene,
    case: &Case,
    mut from: Option<&Mark>,
    marks: Option<&Mutex<Marks>>,
) -> (Drilled, [bool; FAULTS]) {
    let mut frozen = from.map_or([false; FAULTS], |mark| mark.frozen);
    loop {
        if let Some(marks) = marks {
            *marks.lock().unwrap_or_else(PoisonError::into_inner) = Marks::default();
        }
        let run = scene.run_from(case, Mode { traced: false, frozen }, from, marks).await;
        // The first fault that had nothing to strike; what comes after it may be another story then.
        let spared = run.fired.iter().zip(frozen).position(|((_, shown), frozen)| !shown && !frozen);
        match spared {
            Some(at) if at < from.map_or(0, Mark::staged) => (from, frozen) = (None, [false; FAULTS]),
            Some(at) => frozen[at] = true,
            None => return (run, frozen),
        }
    }
}

/// Runs a case and keeps the moments of it after which something is begun.
pub(super) fn moments(scene: &Scene, case: &Case, from: Option<&Mark>, runtime: &Runtime) -> Vec<Mark> {
    let counted = Mutex::default();
    let (_, frozen) = runtime.block_on(drill(scene, case, from, Some(&counted)));
    let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
    let kept = Mutex::new(Marks::after(&counted));
    runtime.block_on(scene.run_from(case, Mode { traced: false, frozen }, from, Some(&kept)));
    kept.into_inner().unwrap_or_else(PoisonError::into_inner).list
}

/// The moment of the undisturbed run from which a case can be run.
fn undisturbed<'s>(scenes: &'s Scenes, trial: &Trial, runtime: &Runtime) -> Option<&'s Mark> {
    if trial.case.taken_back {
        return None;
    }
    let ix = step(&scenes.get(trial.scene).0, &trial.case, 0)?;
    before(scenes.moments(trial.scene, runtime), ix)
}

/// Trials that share their beginning.
struct Group {
    /// How many of them are still to be run.
    left: usize,
    marks: Option<Arc<Vec<Mark>>>,
}

/// The beginnings that trials share beyond the undisturbed run: run when the first of them is to be run, dropped after
/// the last one.
pub(super) struct Beginnings(BTreeMap<Trial, Mutex<Group>>);

impl Beginnings {
    pub fn of(scenes: &Scenes, trials: &[Trial]) -> Self {
        let mut sizes: BTreeMap<Trial, usize> = BTreeMap::new();
        for begins in trials.iter().filter_map(|trial| beginning(scenes, trial)) {
            *sizes.entry(begins).or_default() += 1;
        }
        let own = |begins: &Trial| !begins.case.faults.is_empty() || begins.case.taken_back;
        let shared = sizes.into_iter().filter(|(begins, size)| own(begins) && *size >= SHARED);
        Self(shared.map(|(begins, left)| (begins, Mutex::new(Group { left, marks: None }))).collect())
    }

    /// Those of trials that begin alike come one after another, so that few beginnings are kept at a time.
    pub fn in_order(scenes: &Scenes, trials: &[Trial]) -> Vec<usize> {
        let mut order: Vec<(Option<Trial>, usize)> =
            trials.iter().enumerate().map(|(at, trial)| (beginning(scenes, trial), at)).collect();
        order.sort();
        order.into_iter().map(|(_, at)| at).collect()
    }

    /// Runs a trial from where its beginning ends.
    pub fn run(&self, scenes: &Scenes, trial: &Trial, runtime: &Runtime) -> (Drilled, [bool; FAULTS]) {
        let (scene, _) = scenes.get(trial.scene);
        let group = beginning(scenes, trial).and_then(|begins| self.moments(scenes, &begins, runtime));
        let last = trial.case.faults.len().saturating_sub(1);
        let own = group.as_ref().and_then(|marks| before(marks, step(scene, &trial.case, last)?));
        let from = own.or_else(|| undisturbed(scenes, trial, runtime));
        runtime.block_on(drill(scene, &trial.case, from, None))
    }

    /// The moments of a beginning that is shared.
    fn moments(&self, scenes: &Scenes, begins: &Trial, runtime: &Runtime) -> Option<Arc<Vec<Mark>>> {
        let mut group = self.0.get(begins)?.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = group.marks.take().unwrap_or_else(|| {
            let from = undisturbed(scenes, begins, runtime);
            Arc::new(moments(&scenes.get(begins.scene).0, &begins.case, from, runtime))
        });
        group.left = group.left.saturating_sub(1);
        if group.left > 0 {
            group.marks = Some(Arc::clone(&marks));
        }
        Some(marks)
    }
}

//! Many runs at once: as many threads as there are processors, each with a runtime of its own.
//!
//! Invariants: what is found does not depend on how many threads there are, nor on what is shared; it comes back in the
//! order of the cases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use belay_schemas::rehearsal::End;

use super::RehearseError;
use super::beginnings::Beginnings;
use super::drill::{Case, Drilled};
use super::scenes::{Scenes, Trial};
use super::stage::{FAULTS, Lowest};

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

/// A runtime for the runs of one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RehearseError> {
    tokio::runtime::Builder::new_current_thread().build().map_err(RehearseError::Runtime)
}

/// Runs all trials.
pub(super) fn run_all(scenes: &Scenes, trials: &[Trial]) -> Result<Vec<Found>, RehearseError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(trials.len().max(1));
    let next = AtomicUsize::new(0);
    let order = Beginnings::in_order(scenes, trials);
    let beginnings = Beginnings::of(scenes, trials);
    let all: Mutex<Vec<(usize, Found)>> = Mutex::default();
    let work = || -> Result<(), RehearseError> {
        let runtime = runtime()?;
        loop {
            let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
            let trial = &trials[*at];
            let (run, frozen) = beginnings.run(scenes, trial, &runtime);
            let mut found = Found::of(scenes, trial.clone(), run, frozen);
            if trial.scene > 0 && !found.is_plain() {
                let whole = Trial { scene: 0, case: found.case };
                let (run, frozen) = beginnings.run(scenes, &whole, &runtime);
                found = Found::of(scenes, whole, run, frozen);
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

/// How long a run takes is told by runs of the whole plan: the longest one of each part is made with it.
pub(super) fn longest_with_the_whole(scenes: &Scenes, all: &mut [Found]) -> Result<(), RehearseError> {
    let mut longest: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, found) in all.iter().enumerate().filter(|(_, found)| found.scene > 0) {
        let most = longest.entry(found.scene).or_insert(at);
        if found.took > all[*most].took {
            *most = at;
        }
    }
    let trials: Vec<Trial> = longest.values().map(|at| Trial { scene: 0, case: all[*at].case.clone() }).collect();
    for (at, found) in longest.values().zip(run_all(scenes, &trials)?) {
        all[*at] = found;
    }
    Ok(())
}

//! Many runs at once: as many threads as there are processors, each with a runtime of its own.
//!
//! Invariant: what is found does not depend on how many threads there are; it comes back in the order of the cases.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use belay_schemas::rehearsal::End;

use super::RehearseError;
use super::drill::{Case, Drilled, Scene};
use super::judge::States;
use super::stage::{FAULTS, Lowest, Mode};

/// What a run was found to be.
pub(super) struct Found {
    pub case: Case,
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
    pub visited: Vec<bool>,
    pub held: Vec<bool>,
}

/// Runs a case, and once more with the past where tasks could not be struck.
async fn drill(scene: &Scene, case: &Case) -> (Drilled, [bool; FAULTS]) {
    let mut frozen = [false; FAULTS];
    loop {
        let run = scene.run(case, Mode { traced: false, frozen }).await;
        // The first fault that had nothing to strike; what comes after it may be another story then.
        let spared = run.fired.iter().zip(frozen).position(|((_, shown), frozen)| !shown && !frozen);
        match spared {
            Some(at) => frozen[at] = true,
            None => return (run, frozen),
        }
    }
}

impl Found {
    pub fn of(scene: &Scene, states: &States, case: Case, run: Drilled, frozen: [bool; FAULTS]) -> Self {
        let judged = states.judge(scene, &run);
        Self {
            end: judged.end,
            wrong: judged.wrong,
            stuck: run.stuck.is_some(),
            harmless: run.fired.iter().any(|(happened, shown)| *happened && !shown),
            frozen,
            lowest: run.lowest,
            took: run.took,
            records: run.records,
            visited: run.visited,
            held: run.held,
            case,
        }
    }
}

/// A runtime for the runs of one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RehearseError> {
    tokio::runtime::Builder::new_current_thread().build().map_err(RehearseError::Runtime)
}

/// Runs all cases.
pub(super) fn run_all(scene: &Scene, states: &States, cases: Vec<Case>) -> Result<Vec<Found>, RehearseError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(cases.len().max(1));
    let next = AtomicUsize::new(0);
    let all: Mutex<Vec<(usize, Found)>> = Mutex::default();
    let work = || -> Result<(), RehearseError> {
        let runtime = runtime()?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(at) else { return Ok(()) };
            let (run, frozen) = runtime.block_on(drill(scene, case));
            let found = Found::of(scene, states, case.clone(), run, frozen);
            all.lock().unwrap_or_else(PoisonError::into_inner).push((at, found));
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

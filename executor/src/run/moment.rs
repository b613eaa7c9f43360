//! A run at a moment at which nothing is in progress but waits that sleep, so that it can be gone on with more than
//! once: rehearsals share the beginning of runs that differ only later.
//!
//! Invariant: a run that is gone on with is the run that it would have been; what is not in here is not part of a run.

use std::sync::Arc;

use belay_schemas::journal::{Header, Record, SessionMode};

use super::driver::{Driver, Sleeper};
use super::error::RunError;
use super::session::{Setup, replay_onto, take_up_state, to_its_end};
use super::state::State;
use super::status::RunStatus;
use super::throttle::Throttle;
use crate::journal::{Journal, Paper};

/// A run at a moment.
#[derive(Debug, Clone)]
pub struct Moment {
    pub(super) header: Arc<Header>,
    pub(super) state: State,
    pub(super) throttle: Throttle,
    pub(super) sleepers: Vec<Sleeper>,
    /// Number and checksum of the journal's last record.
    pub(super) last: (u64, String),
}

/// Goes on from a moment; further records go where the caller says. The cloud and the clock have to be as they were.
///
/// # Errors
/// A journal that cannot be written.
pub async fn go_on(moment: &Moment, paper: Paper, setup: Setup<'_>) -> Result<RunStatus, RunError> {
    let (last, sum) = moment.last.clone();
    let journal = Journal::go_on(paper, last, sum);
    let mut driver = Driver::new(moment.state.clone(), journal, &moment.header, setup);
    driver.take_over(moment.throttle.clone(), &moment.sleepers);
    to_its_end(driver, &moment.header).await
}

/// Takes a run up from a moment of it and what its journal says since then.
///
/// # Errors
/// As [`take_up`](super::take_up).
pub(crate) async fn take_up_after(
    moment: &Moment,
    since: &[Record],
    mode: SessionMode,
    approve: &[String],
    paper: Paper,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    let (last, sum) = moment.last.clone();
    let state = replay_onto(moment.state.clone(), since)?;
    let sum = since.last().map_or(sum, |record| record.sum.clone());
    let journal = Journal::go_on(paper, last + since.len() as u64, sum);
    take_up_state(&moment.header, state, mode, approve, journal, setup).await
}

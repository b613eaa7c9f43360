//! The engine against a scripted world: forward, backward, interrupted, resumed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod back;
mod broken_journal;
#[cfg(feature = "aws")]
mod bucket;
mod forward;
mod gates;
mod http;
mod journal;
mod plans;
mod property;
mod resume;
mod waits;
mod world;

use std::sync::Arc;

use belay_executor::journal::MemorySink;
use belay_executor::run::{Options, Outcome, RunStatus, Setup, Signals, Silent, begin};
use belay_schemas::journal::{Event, OnFailure};
use belay_schemas::plan::Plan;
use world::World;

/// Runs a future on one thread.
pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub fn setup(world: &World) -> Setup<'static> {
    Setup {
        cloud: Arc::new(world.clone()),
        clock: Arc::new(world.clone()),
        listener: &Silent,
        signals: Signals::none(),
    }
}

pub fn options() -> Options {
    Options { run_id: Some("run-1".into()), ..Options::new("unused") }
}

/// Runs a plan with its journal in memory.
pub fn run(plan: &Plan, world: &World) -> (RunStatus, MemorySink) {
    run_with(plan, world, &options())
}

pub fn run_with(plan: &Plan, world: &World, options: &Options) -> (RunStatus, MemorySink) {
    let sink = MemorySink::default();
    let status = block(begin(plan, options, Box::new(sink.clone()), setup(world))).unwrap();
    (status, sink)
}

pub fn pausing() -> Options {
    Options { on_failure: OnFailure::Pause, ..options() }
}

pub fn outcome(status: &RunStatus) -> Outcome {
    status.outcome.unwrap()
}

pub fn events(sink: &MemorySink) -> Vec<Event> {
    let contents = belay_executor::journal::parse(sink.text().as_bytes()).unwrap();
    contents.records.into_iter().map(|record| record.event).collect()
}

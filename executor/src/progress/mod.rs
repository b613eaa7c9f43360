//! Telling people and programs what a run does.
//!
//! Invariants: what is told follows from the plan and the run's events alone; times are the run's clock's, which is
//! virtual on a simulated world; nothing here influences the run.
//!
//! Three ways of telling: [`Live`] on a terminal, [`Plain`] lines elsewhere, [`Json`] one event a line for programs.
//! [`Verdict`] has the last word.

mod json;
mod live;
mod paint;
mod plain;
mod story;
mod verdict;

pub use json::Json;
pub use live::{Live, Now};
pub use paint::{Paint, Tone};
pub use plain::Plain;
pub use story::{Line, NodeState, Story, Tally};
pub use verdict::Verdict;

use std::sync::{Mutex, PoisonError};

use crate::run::{Listener, RunEvent};

/// Something that is told each event of a run, in order.
pub trait Watcher: Send {
    /// One event.
    fn event(&mut self, event: &RunEvent);

    /// The session is over: whatever is on the screen for the moment goes.
    fn finish(&mut self) {}
}

/// A watcher as a run wants it.
pub struct Watching(Mutex<Box<dyn Watcher>>);

impl Watching {
    /// Hands a run's events to `watcher`.
    pub fn new(watcher: Box<dyn Watcher>) -> Self {
        Self(Mutex::new(watcher))
    }

    /// The session is over.
    pub fn finish(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

impl Listener for Watching {
    fn event(&self, event: &RunEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    }
}

//! How a run as a whole moves: sessions, phases, turning back, interruptions, the end.
//!
//! Invariants: a phase begins only when everything of the one before has come to rest; past the commit point nothing
//! turns back by itself; a new session tries again what failed and keeps what is known to have happened.

use std::sync::Arc;

use belay_schemas::journal::{Ending, GuardFailure, OnFailure, PauseReason, RunPhase, SessionMode};

use super::state::{Progress, Stage, State, Turn};

impl State {
    pub(super) fn session(&mut self, mode: SessionMode) {
        self.paused = None;
        self.pausing = false;
        self.interrupts = 0;
        self.unreachable = None;
        if mode == SessionMode::Apply {
            return;
        }
        self.resumed = true;
        self.running = 0;
        for node in self.nodes.iter_mut().filter(|node| node.progress == Progress::Running || node.tries > 0) {
            if node.progress == Progress::Running {
                node.progress = Progress::Pending;
            }
            node.tries = 0;
        }
        if mode == SessionMode::Rollback {
            self.requested = true;
        }
        match (self.stage, mode) {
            (Stage::Checking, SessionMode::Rollback) => self.stage = Stage::Settling(Turn::Back),
            (Stage::Checking, _) => {
                // Nothing was changed yet: everything is looked at afresh.
                let approved: Vec<bool> = self.nodes.iter().map(|node| node.approved).collect();
                *self = Self { at: self.at, resumed: true, ..Self::new(Arc::clone(&self.graph), self.on_failure) };
                for (node, _) in self.nodes.iter_mut().zip(approved).filter(|(_, approved)| *approved) {
                    node.approved = true;
                }
            }
            (Stage::Settling(Turn::Back) | Stage::Undo | Stage::Ended(Ending::Stuck), _) => self.retry_undo(),
            (_, SessionMode::Rollback) => self.stage = Stage::Settling(Turn::Back),
            (Stage::Deploy | Stage::Settling(Turn::Pause(_)), _) => {
                self.stage = Stage::Deploy;
                self.checked = false;
                self.retry_failed();
            }
            (Stage::Finalize | Stage::Ended(Ending::FinalizeIncomplete), _) => {
                self.stage = Stage::Finalize;
                self.retry_failed();
            }
            (Stage::Ended(_), _) => {}
        }
        self.line_up();
    }

    fn retry_failed(&mut self) {
        for ix in std::mem::take(&mut self.failed) {
            self.nodes[ix].progress = Progress::Pending;
            self.nodes[ix].wait = None;
        }
    }

    pub(super) fn checked(&mut self, failures: &[GuardFailure], unreachable: Option<String>) {
        self.checked = true;
        self.stale.extend_from_slice(failures);
        if unreachable.is_some() {
            self.unreachable = unreachable;
            if self.stage == Stage::Deploy {
                self.stage = Stage::Settling(Turn::Pause(PauseReason::Environment));
            }
        }
        if !failures.is_empty() && self.stage == Stage::Deploy {
            self.turn();
        }
    }

    pub(super) fn enter(&mut self, phase: RunPhase) -> Result<(), &'static str> {
        match (self.stage, phase) {
            _ if self.running > 0 => return Err("steps are still in progress"),
            (Stage::Checking, RunPhase::Deploy) if self.checked && self.remaining[0] == 0 => {
                self.stage = Stage::Deploy;
            }
            (Stage::Deploy, RunPhase::Finalize) if self.remaining[1] == 0 => self.stage = Stage::Finalize,
            (Stage::Settling(Turn::Back), RunPhase::Undo) => {
                self.stage = Stage::Undo;
                self.begin_undo();
            }
            _ => return Err("the run is not ready for this"),
        }
        Ok(())
    }

    /// A failure before the commit point: back, or wait for a person.
    pub(super) fn turn(&mut self) {
        self.stage = match self.stage {
            Stage::Settling(Turn::Back) => self.stage,
            _ => match self.on_failure {
                OnFailure::Rollback => Stage::Settling(Turn::Back),
                OnFailure::Pause => Stage::Settling(Turn::Pause(PauseReason::Failure)),
            },
        };
    }

    pub(super) fn interrupted(&mut self, times: u32) {
        self.interrupts = self.interrupts.max(times);
        let turn = match self.on_failure {
            OnFailure::Rollback => Turn::Back,
            OnFailure::Pause => Turn::Pause(PauseReason::Interrupt),
        };
        match self.stage {
            Stage::Checking => self.stage = Stage::Settling(Turn::Back),
            Stage::Deploy | Stage::Settling(Turn::Pause(_)) => self.stage = Stage::Settling(turn),
            // Past the commit point there is no way back: what is left is resumed later.
            Stage::Finalize => self.interrupts = 2,
            Stage::Settling(Turn::Back) | Stage::Undo | Stage::Ended(_) => {}
        }
    }

    pub(super) fn end(&mut self, outcome: Ending) -> Result<(), &'static str> {
        let fits = match (self.stage, outcome) {
            _ if self.running > 0 => return Err("steps are still in progress"),
            (Stage::Checking, Ending::Stale | Ending::Environment) => true,
            (Stage::Settling(_), Ending::Stale | Ending::Environment) => !self.mutated(),
            (Stage::Finalize, Ending::Done) => self.remaining[2] == 0,
            (Stage::Finalize, Ending::FinalizeIncomplete) => self.remaining[2] > 0,
            (Stage::Undo, Ending::RolledBack) => self.undo_complete(),
            (Stage::Undo, Ending::Stuck) => !self.undo_complete(),
            _ => false,
        };
        if !fits {
            return Err("the run is not there");
        }
        if outcome == Ending::Stuck {
            self.close_undo();
        }
        self.stage = Stage::Ended(outcome);
        Ok(())
    }
}

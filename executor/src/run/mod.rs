//! Running a plan: forward to the target state, or back to the initial one.
//!
//! [`apply`] begins a run, [`resume`] and [`rollback`] take one up from its journal, [`status`] reads one, [`verify`]
//! only looks. The pieces: [`graph`] (the plan with numbers), [`state`] and [`undo`] (the one transition function),
//! [`scheduler`] (commands), `driver` (owns the state), workers (`call`, `read`, `wait`, `guard`), [`listener`].
//!
//! Invariants: a run is bound to its plan's digest, account and region; nothing is sent before its intent is on disk;
//! a resumed run replays its journal through the same transition function that wrote it.

mod batch;
mod call;
mod driver;
mod error;
pub mod graph;
mod guard;
mod late;
mod listener;
mod moment;
mod outcome;
mod port;
mod read;

pub mod scheduler;
mod session;
mod signals;
mod stages;
pub mod state;
mod status;
pub(crate) mod throttle;
mod undo;
mod wait;
mod way_back;
mod worker;

pub use error::RunError;
pub use listener::{Listener, RunEvent, Silent, What};
pub(crate) use moment::take_up_after;
pub use moment::{Moment, go_on};
pub use outcome::Outcome;
pub use session::{
    Identity, Mode, Options, Ready, Setup, apply, begin, begin_ready, belongs, identity, resume, resume_on, rollback,
    rollback_on, status, status_on, take_up, take_up_ready, verify,
};
pub use signals::{Interrupt, Signals, signals};
pub use status::{NodeStatus, NodeWord, RunStatus, StuckNode};
pub(crate) use throttle::Throttle;

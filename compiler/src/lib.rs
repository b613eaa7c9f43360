//! Compiles a model, an environment and what was observed into a plan.
//!
//! Invariants: a pure function of its inputs: no files, network, clock, entropy, process environment or async runtime.

pub mod asg;
pub mod compile;
pub mod diagnostics;
pub mod ecs;
pub mod init;
pub mod lower;
mod meaning;
mod nearest;
mod partial;
pub mod placement;
pub mod policy;
pub mod show;
pub mod source;
mod structure;
mod variables;

pub use nearest::nearest;
pub use source::{Loaded, Sources, load};

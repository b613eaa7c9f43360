//! What the tests share: the pipeline in one process, the fixtures, generated inputs, the Python peers.
//!
//! Panics are how tests fail, so this crate may panic.

pub mod generate;
pub mod python;
pub mod servers;
pub mod target;

//! What the tests share: the pipeline in one process, the fixtures, generated inputs.
//!
//! Panics are how tests fail, so this crate may panic.

pub mod generate;

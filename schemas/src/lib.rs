//! Belay's contract: the types of every file that the two programs exchange, the checks that any plan must pass, and
//! the shapes of the AWS operations that a plan may hold.
//!
//! Invariants: no I/O, no clock, no entropy; both programs depend on this crate and it depends on neither. A type here
//! is a transfer type: what is written to disk and what the committed JSON Schemas describe. Whatever is derived from
//! it (graphs, resolved models, run states) lives in the program that derives it.

pub mod aws;
pub mod checker;
pub mod condition;
pub mod environment;
pub mod image;
pub mod journal;
pub mod json_schema;
pub mod late;
pub mod model;
pub mod observed;
pub mod plan;
pub mod rehearsal;
pub mod scope;

/// The version of every JSON format of this crate. A reader refuses any other.
pub const FORMAT: u32 = 1;

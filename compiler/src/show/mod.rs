//! Plans for people.
//!
//! Invariant: a listing is derived from the plan alone, so that whoever has the file sees what its compiler saw.

mod order;
mod text;
mod verdict;

pub use text::{node, text};
pub use verdict::verdict;

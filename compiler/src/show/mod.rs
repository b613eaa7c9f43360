//! Plans for people.
//!
//! Invariant: a listing is derived from the plan alone, so that whoever has the file sees what its compiler saw.

mod compare;
mod dot;
mod graph;
mod html;
mod layout;
mod markdown;
mod mermaid;
mod order;
mod paint;
mod rehearsal;
mod rules;
mod step;
mod text;
mod timeline;
mod value;
mod verdict;

pub use compare::{Comparison, compare};
pub use dot::dot;
pub use html::html;
pub use markdown::{LIMIT as MARKDOWN_LIMIT, markdown};
pub use mermaid::mermaid;
pub use paint::paint;
pub use step::node;
pub use text::text;
pub use verdict::verdict;

//! Expressions: JMESPath that compiles, with every `$name` bound and every bound name used.
//!
//! Invariant: a text is compiled once, however many nodes use it; plans repeat a few dozen expressions thousands of
//! times.

use std::collections::HashMap;

use super::Findings;
use super::sites::{Item, Site};
use crate::condition::{self, ConditionError};
use crate::plan::Node;

/// What is known of the expressions seen so far.
#[derive(Default)]
pub(super) struct Expressions<'p> {
    seen: HashMap<&'p str, Seen<'p>>,
}

struct Seen<'p> {
    names: Vec<&'p str>,
    fault: Option<String>,
}

impl<'p> Expressions<'p> {
    fn look(&mut self, text: &'p str) -> &Seen<'p> {
        self.seen.entry(text).or_insert_with(|| {
            let names = condition::names(text);
            let fault = match condition::check(text, names.iter().copied()) {
                Ok(()) => None,
                Err(ConditionError::Syntax { reason, .. }) => Some(reason),
                Err(other) => Some(other.to_string()),
            };
            Seen { names, fault }
        })
    }

    /// What is wrong with a text that has no bound names, such as the path of a late value.
    pub fn syntax(&mut self, text: &'p str) -> Option<&str> {
        let seen = self.look(text);
        if !seen.names.is_empty() {
            return Some("a path has no `$name`s");
        }
        seen.fault.as_deref()
    }
}

pub(super) fn check<'p>(node: &Node, site: &Site<'p>, expressions: &mut Expressions<'p>, found: &mut Findings) {
    let Item::Expressions { texts, bind } = &site.item else { return };
    let id = node.id.as_str();
    let mut used: Vec<&str> = Vec::new();
    for text in texts {
        let seen = expressions.look(text);
        if let Some(fault) = &seen.fault {
            found.add("P406", [id], format!("{}: `{text}` is not JMESPath: {fault}", site.place));
        }
        for &name in &seen.names {
            if !bind.is_some_and(|bind| bind.contains_key(name)) {
                found.add("P407", [id], format!("{}: `{text}` uses ${name}, which is not bound", site.place));
            }
        }
        used.extend(&seen.names);
    }
    for name in bind.iter().flat_map(|bind| bind.keys()) {
        if !used.contains(&name.as_str()) {
            found.add("P408", [id], format!("{}: ${name} is bound, and nothing uses it", site.place));
        }
    }
}

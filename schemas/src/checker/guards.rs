//! Guards and probes: what must hold before a mutation, and how to tell afterwards whether it happened.
//!
//! A guard on an object that something unordered writes would hold or fail by chance. Two nodes are ordered when a path
//! of `after` joins them, or of `undo-after` between compensations of different nodes; compensations never run beside
//! forward nodes, the cases of one node exclude each other, and the nodes of a case follow each other.

use std::collections::HashMap;

use super::Findings;
use super::subject::{Subject, subjects};
use super::view::{View, forward};
use crate::plan::{EdgeKind, Guard, Node};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    let mut writers: HashMap<Subject<'_>, Vec<usize>> = HashMap::new();
    for (at, node) in view.nodes() {
        let Some(call) = node.action.mutation() else { continue };
        for subject in subjects(call, view.over(at)) {
            writers.entry(subject).or_default().push(at);
        }
    }
    for (at, node) in view.nodes() {
        presence(node, found);
        for (place, guard) in node.guards.iter().enumerate() {
            moment(view, at, place, guard, found);
            for subject in subjects(&guard.read, view.over(at)) {
                for &writer in writers.get(&subject).into_iter().flatten() {
                    if !ordered(view, at, writer) {
                        let message = format!(
                            "guards[{place}] looks at {subject}, which `{}` writes, and nothing says which comes first",
                            view.id(writer)
                        );
                        found.add("P605", [node.id.as_str(), view.id(writer)], message);
                    }
                }
            }
        }
    }
}

fn presence(node: &Node, found: &mut Findings) {
    let id = node.id.as_str();
    let mutation = node.action.mutation().is_some();
    if mutation && node.guards.is_empty() && said(node.unguarded.as_ref()).is_none() {
        found.add("P601", [id], "a mutation has at least one guard, or says in `unguarded` why it needs none");
    }
    if !node.guards.is_empty() && node.unguarded.is_some() {
        found.add("P601", [id], "a node with guards is not `unguarded`");
    }
    if mutation && node.probe.is_none() && said(node.unprobed.as_ref()).is_none() {
        found.add("P651", [id], "a mutation has a probe, or says in `unprobed` why it needs none");
    }
    if node.probe.is_some() && node.unprobed.is_some() {
        found.add("P651", [id], "a node with a probe is not `unprobed`");
    }
}

/// A reason, unless it is blank.
pub(super) fn said(reason: Option<&String>) -> Option<&str> {
    reason.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn moment(view: &View<'_>, at: usize, place: usize, guard: &Guard, found: &mut Findings) {
    let node = view.node(at);
    let id = node.id.as_str();
    if guard.holds.is_empty() {
        found.add("P606", [id], format!("guards[{place}] says nothing that must hold"));
    }
    match (&guard.at, &guard.after) {
        (Some(_), None) => {
            if !forward(node) {
                let message = format!("guards[{place}]: a compensation is guarded after a node, not at the start");
                found.add("P603", [id], message);
            }
        }
        (None, Some(after)) => match view.find(after) {
            None => found.add("P604", [id], format!("guards[{place}] stands after `{after}`, which does not exist")),
            Some(target) if !view.done_before(target, at) => {
                let message = format!("guards[{place}] stands after `{after}`, which need not be done by then");
                found.add("P604", [id, after.as_str()], message);
            }
            Some(_) => {}
        },
        (Some(_), Some(_)) | (None, None) => {
            found.add("P602", [id], format!("guards[{place}] has exactly one of `at` and `after`"));
        }
    }
}

fn ordered(view: &View<'_>, one: usize, other: usize) -> bool {
    let either = |kind| view.precedes(one, other, kind) || view.precedes(other, one, kind);
    if one == other {
        return true;
    }
    match (forward(view.node(one)), forward(view.node(other))) {
        (true, true) => either(EdgeKind::After),
        (false, false) => view.owner(one) == view.owner(other) || either(EdgeKind::UndoAfter),
        _ => true,
    }
}

//! Reverse order: what was done last is undone first.
//!
//! Only closest pairs are looked at: where A's compensations wait for B's and B's for C's, A's wait for C's. A node
//! without compensations is looked through.

use super::Findings;
use super::view::View;
use crate::plan::{EdgeKind, Node};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    if !view.cycles.is_empty() {
        // In a cycle everything comes before everything; the cycle itself is reported.
        return;
    }
    let mut seen = vec![usize::MAX; view.plan.nodes.len()];
    let mut stack = Vec::new();
    for (at, node) in view.nodes() {
        if !undoable(node) {
            continue;
        }
        stack.push(at);
        while let Some(later) = stack.pop() {
            for earlier in view.before(later, EdgeKind::After) {
                if seen[earlier] == at {
                    continue;
                }
                seen[earlier] = at;
                if undoable(view.node(earlier)) {
                    pair(view, view.node(earlier), node, found);
                } else {
                    stack.push(earlier);
                }
            }
        }
    }
}

fn undoable(node: &Node) -> bool {
    node.undo.iter().any(|case| !case.nodes.is_empty())
}

fn pair(view: &View<'_>, earlier: &Node, later: &Node, found: &mut Findings) {
    for last in later.undo.iter().filter_map(|case| case.nodes.last()) {
        for first in earlier.undo.iter().filter_map(|case| case.nodes.first()) {
            let (Some(from), Some(to)) = (view.find(last), view.find(first)) else { continue };
            if from != to && !view.precedes(from, to, EdgeKind::UndoAfter) {
                let message = format!(
                    "`{}` comes after `{}`, so `{first}` must wait for `{last}`: a path of `undo-after` is missing",
                    later.id, earlier.id
                );
                found.add("P301", [first.as_str(), last.as_str()], message);
            }
        }
    }
}

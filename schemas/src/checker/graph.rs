//! The shape of the graph: ends, cycles, and which nodes each kind of edge may join.

use super::Findings;
use super::view::{View, forward};
use crate::plan::EdgeKind;

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for edge in &view.plan.edges {
        let (from_id, to_id) = (edge.from.as_str(), edge.to.as_str());
        let (from, to) = match (view.find(from_id), view.find(to_id)) {
            (Some(from), Some(to)) => (from, to),
            (known, other) => {
                for (end, id) in [(known, from_id), (other, to_id)] {
                    if end.is_none() {
                        let message = format!("an edge from `{from_id}` to `{to_id}`, but there is no node `{id}`");
                        found.add("P201", [from_id, to_id], message);
                    }
                }
                continue;
            }
        };
        let (from_node, to_node) = (view.node(from), view.node(to));
        match edge.kind {
            EdgeKind::After if !forward(from_node) || !forward(to_node) => {
                let message = format!(
                    "`after` joins forward nodes, and leads here to `{to_id}`; compensations are joined by `undo-after`"
                );
                found.add("P203", [from_id, to_id], message);
            }
            EdgeKind::After if from_node.phase > to_node.phase => {
                let message = format!("`after` leads to `{to_id}`, which is of an earlier phase");
                found.add("P203", [from_id, to_id], message);
            }
            EdgeKind::Undo if !forward(from_node) || !view.owners[to].contains(&from) => {
                let message = format!("an `undo` edge leads to `{to_id}`, which no case of this node names");
                found.add("P204", [from_id, to_id], message);
            }
            EdgeKind::UndoAfter if forward(from_node) || forward(to_node) => {
                let message = format!("`undo-after` joins compensations, and leads here to `{to_id}`");
                found.add("P205", [from_id, to_id], message);
            }
            _ => {}
        }
    }
    for members in &view.cycles {
        let ids: Vec<&str> = members.iter().map(|&at| view.id(at)).collect();
        found.add("P202", ids.iter().copied(), format!("a cycle: none of {} can come first", ids.join(", ")));
    }
}

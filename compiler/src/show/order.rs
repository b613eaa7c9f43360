//! The order in which a listing names the steps: one in which they may run.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::plan::{EdgeKind, Node, Phase, Plan};

/// The forward nodes in an order that respects `after`, by phase and then by name; nodes of a cycle come last.
pub(super) fn forward(plan: &Plan) -> Vec<&Node> {
    let nodes: BTreeMap<&str, &Node> =
        plan.nodes.iter().filter(|n| n.phase != Phase::Undo).map(|n| (n.id.as_str(), n)).collect();
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in plan.edges.iter().filter(|e| e.kind == EdgeKind::After) {
        if nodes.contains_key(edge.from.as_str()) && nodes.contains_key(edge.to.as_str()) {
            *waiting.entry(&edge.to).or_default() += 1;
            next.entry(&edge.from).or_default().push(&edge.to);
        }
    }
    // A component's steps stay together as far as the order allows: what became ready last goes first.
    let mut ready: BTreeMap<Phase, Vec<&Node>> = BTreeMap::new();
    for node in nodes.values().rev().filter(|n| !waiting.contains_key(n.id.as_str())) {
        ready.entry(node.phase).or_default().push(node);
    }
    let mut out = Vec::with_capacity(nodes.len());
    let mut done = BTreeSet::new();
    while let Some(node) = ready.values_mut().find_map(Vec::pop) {
        done.insert(node.id.as_str());
        out.push(node);
        let mut freed: Vec<&Node> = Vec::new();
        for id in next.get(node.id.as_str()).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    freed.extend(nodes.get(id));
                }
            }
        }
        freed.sort_by(|a, b| b.id.cmp(&a.id));
        for node in freed {
            ready.entry(node.phase).or_default().push(node);
        }
    }
    out.extend(nodes.values().filter(|n| !done.contains(n.id.as_str())));
    out
}

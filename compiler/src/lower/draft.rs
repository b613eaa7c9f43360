//! A plan in the making: nodes, edges and ways back.
//!
//! Invariant: every compensation enters through [`Draft::with_undo`], so that its `undo` and `undo-after` edges and its
//! place in a case are written together.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Call, Edge, EdgeKind, Guard, Moment, Node, Phase, Probe, UndoCase, When};
use serde_json::Value;

/// Nodes and edges so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// The nodes, in no order.
    pub nodes: Vec<Node>,
    /// The edges, in no order.
    pub edges: Vec<Edge>,
}

/// The ends of a forward node's ways back.
#[derive(Debug, Default, Clone)]
pub struct Back {
    /// The first compensation of each case that has any.
    pub firsts: Vec<String>,
    /// The last compensation of each case that has any.
    pub lasts: Vec<String>,
}

impl Draft {
    /// Adds a node.
    pub fn add(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// `to` starts when `from` is done.
    pub fn after(&mut self, from: &str, to: &str) {
        self.edge(from, to, EdgeKind::After);
    }

    /// The compensations that end with `later` come before those that start with `earlier`.
    pub fn back_before(&mut self, later: &Back, earlier: &Back) {
        for last in &later.lasts {
            for first in &earlier.firsts {
                self.edge(last, first, EdgeKind::UndoAfter);
            }
        }
    }

    /// Adds a forward node with its ways back.
    pub fn with_undo(&mut self, mut forward: Node, cases: Vec<(Option<When>, Vec<Node>)>) -> Back {
        let mut back = Back::default();
        for (when, nodes) in cases {
            let ids: Vec<String> = nodes.iter().map(|n| n.id.clone()).collect();
            if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
                back.firsts.push(first.clone());
                back.lasts.push(last.clone());
                self.edge(&forward.id, first, EdgeKind::Undo);
            }
            for pair in ids.windows(2) {
                self.edge(&pair[0], &pair[1], EdgeKind::UndoAfter);
            }
            forward.undo.push(UndoCase { when, nodes: ids });
            self.nodes.extend(nodes);
        }
        self.nodes.push(forward);
        back
    }

    fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        self.edges.push(Edge { from: from.to_owned(), to: to.to_owned(), kind });
    }
}

/// A node with nothing hanging on it yet.
pub fn node(id: String, component: Option<&str>, phase: Phase, summary: String, action: Action) -> Node {
    Node {
        id,
        component: component.map(str::to_owned),
        phase,
        summary,
        why: Vec::new(),
        action,
        each: None,
        guards: Vec::new(),
        unguarded: None,
        probe: None,
        unprobed: None,
        undo: Vec::new(),
        irreversible: None,
        accepted: None,
        obligation: None,
        timeout: Node::DEFAULT_TIMEOUT,
    }
}

/// A call object.
pub fn call(service: &str, operation: &str, input: Value) -> Call {
    Call { service: service.to_owned(), operation: operation.to_owned(), input }
}

/// A guard that is checked before the first mutation.
pub fn guard_at_start<const N: usize>(read: Call, holds: [(&str, Value); N]) -> Guard {
    Guard { at: Some(Moment::Start), after: None, read, holds: owned(holds), bind: BTreeMap::new() }
}

/// A guard that is checked just before the action, once `after` is done.
pub fn guard_after<const N: usize>(after: &str, read: Call, holds: [(&str, Value); N]) -> Guard {
    Guard { at: None, after: Some(after.to_owned()), read, holds: owned(holds), bind: BTreeMap::new() }
}

/// A probe.
pub fn probe<const N: usize>(read: Call, applied: &str, answer: &str, bind: [(&str, Value); N]) -> Probe {
    Probe { read, applied: applied.to_owned(), answer: answer.to_owned(), bind: owned(bind) }
}

/// A condition of an undo case, in words and in JMESPath.
pub fn when<'b>(summary: &str, read: Call, is: &str, bind: impl IntoIterator<Item = (&'b str, Value)>) -> When {
    When { summary: Some(summary.to_owned()), read, is: is.to_owned(), bind: owned(bind) }
}

fn owned<'b>(pairs: impl IntoIterator<Item = (&'b str, Value)>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

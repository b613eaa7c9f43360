//! A plan as a drawing sees it: steps with short ids, in groups, and the edges between them.
//!
//! Invariants: every item and every edge of the plan is there at most once; ids are those of the order in which the steps
//! may run, so that the same plan gives the same drawing.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::plan::{Action, EdgeKind, Node, Phase, Plan};

use super::order;

/// What a drawing is made of.
pub(super) struct Graph<'a> {
    /// The steps: forward ones in an order in which they may run, then the compensations.
    pub items: Vec<Item<'a>>,
    /// Edges between them, by position; implied ones of the kind `after` are left out.
    pub edges: Vec<(usize, usize, EdgeKind)>,
    /// Names of the groups: the components, then what belongs to none.
    pub groups: Vec<&'a str>,
}

/// One step.
pub(super) struct Item<'a> {
    pub node: &'a Node,
    /// Which group it is in.
    pub group: usize,
}

/// The group of what belongs to no component.
pub(super) const COMMON: &str = "";

/// How a step is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Read,
    Call,
    Destroy,
    Wait,
    Person,
    Commit,
    Undo,
}

impl Item<'_> {
    pub fn look(&self) -> Look {
        match (&self.node.action, self.node.phase) {
            (_, Phase::Undo) => Look::Undo,
            (Action::Commit { .. }, _) => Look::Commit,
            (Action::Gate { .. }, _) => Look::Person,
            (Action::Read { .. }, _) => Look::Read,
            (Action::Wait { .. } | Action::Delay { .. }, _) => Look::Wait,
            (_, Phase::Finalize) => Look::Destroy,
            _ => Look::Call,
        }
    }
}

impl<'a> Graph<'a> {
    /// All of a plan.
    pub fn new(plan: &'a Plan) -> Self {
        Self::of(plan, &|_| true)
    }

    /// The forward steps without the reads before the start.
    pub fn forward(plan: &'a Plan) -> Self {
        Self::of(plan, &|node| !matches!(node.phase, Phase::Undo | Phase::Preflight))
    }

    fn of(plan: &'a Plan, wanted: &dyn Fn(&Node) -> bool) -> Self {
        let mut nodes: Vec<&Node> = order::forward(plan);
        nodes.extend(plan.nodes.iter().filter(|n| n.phase == Phase::Undo));
        nodes.retain(|node| wanted(node));
        let names: BTreeSet<&str> = nodes.iter().filter_map(|n| n.component.as_deref()).collect();
        let mut groups: Vec<&str> = names.into_iter().collect();
        groups.push(COMMON);
        let group = |node: &Node| {
            let name = node.component.as_deref().unwrap_or(COMMON);
            groups.iter().position(|known| *known == name).unwrap_or(groups.len() - 1)
        };
        let items: Vec<Item<'a>> = nodes.iter().map(|node| Item { node, group: group(node) }).collect();
        let places: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, n)| (n.id.as_str(), at)).collect();
        let mut edges: Vec<(usize, usize, EdgeKind)> = plan
            .edges
            .iter()
            .filter_map(|e| Some((*places.get(e.from.as_str())?, *places.get(e.to.as_str())?, e.kind)))
            .collect();
        edges.sort_unstable();
        let mut graph = Self { items, edges, groups };
        graph.drop_implied();
        graph
    }

    /// Leaves out what follows from other edges: `a → c` where there is `a → b → c`.
    fn drop_implied(&mut self) {
        let mut next: Vec<Vec<usize>> = vec![Vec::new(); self.items.len()];
        for (from, to, kind) in &self.edges {
            if *kind == EdgeKind::After {
                next[*from].push(*to);
            }
        }
        let mut seen = vec![usize::MAX; self.items.len()];
        let mut implied: BTreeSet<(usize, usize)> = BTreeSet::new();
        for from in 0..self.items.len() {
            if next[from].len() < 2 {
                continue;
            }
            // Everything that comes at least two steps after it.
            let mut open: Vec<usize> = next[from].iter().flat_map(|to| next[*to].iter().copied()).collect();
            while let Some(at) = open.pop() {
                if std::mem::replace(&mut seen[at], from) != from {
                    open.extend(&next[at]);
                }
            }
            implied.extend(next[from].iter().filter(|to| seen[**to] == from).map(|to| (from, *to)));
        }
        self.edges.retain(|(from, to, kind)| *kind != EdgeKind::After || !implied.contains(&(*from, *to)));
    }

    /// The edges between groups, each once, with those between steps of one group left out.
    pub fn between_groups(&self) -> BTreeSet<(usize, usize)> {
        let after = self.edges.iter().filter(|(_, _, kind)| *kind == EdgeKind::After);
        let pairs = after.map(|(from, to, _)| (self.items[*from].group, self.items[*to].group));
        pairs.filter(|(from, to)| from != to).collect()
    }
}

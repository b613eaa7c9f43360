//! A plan as a graph: positions instead of ids, and the question "does X come before Y?".
//!
//! Invariants: positions are those of `plan.nodes`; edges with a missing end are left out (another rule reports them);
//! of nodes with the same id only the first is found by name. A search walks back from the later node, never past nodes
//! that come before the earlier one in topological order, and never through the commit point, on whose far side
//! everything is an ancestor: references to near ancestors, which is nearly all there is, cost a few steps.

use std::cell::RefCell;
use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::Value;

use crate::plan::{Action, EdgeKind, Node, Phase, Plan};

/// A plan with its indexes.
pub(super) struct View<'p> {
    pub plan: &'p Plan,
    index: HashMap<&'p str, usize>,
    graph: DiGraph<(), EdgeKind>,
    rank: Vec<usize>,
    /// Members of each cycle, sorted.
    pub cycles: Vec<Vec<usize>>,
    /// The nodes whose action is the commit point.
    pub commits: Vec<usize>,
    /// Whether a node comes before the commit point (or is it).
    pub before_commit: Vec<bool>,
    /// Whether a node comes after the commit point (or is it).
    pub after_commit: Vec<bool>,
    /// For each node, the nodes whose cases name it.
    pub owners: Vec<Vec<usize>>,
    search: RefCell<Search>,
}

#[derive(Default)]
struct Search {
    seen: Vec<u32>,
    turn: u32,
    stack: Vec<usize>,
    known: HashMap<(usize, usize, bool), bool>,
}

impl Search {
    fn begin(&mut self) {
        self.turn += 1;
        self.stack.clear();
    }

    fn enter(&mut self, at: usize) {
        if self.seen[at] != self.turn {
            self.seen[at] = self.turn;
            self.stack.push(at);
        }
    }
}

impl<'p> View<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        let count = plan.nodes.len();
        let mut index = HashMap::with_capacity(count);
        let mut graph = DiGraph::with_capacity(count, plan.edges.len());
        for (at, node) in plan.nodes.iter().enumerate() {
            index.entry(node.id.as_str()).or_insert(at);
            graph.add_node(());
        }
        for edge in &plan.edges {
            if let (Some(&from), Some(&to)) = (index.get(edge.from.as_str()), index.get(edge.to.as_str())) {
                graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), edge.kind);
            }
        }
        let mut rank = vec![0; count];
        let mut cycles = Vec::new();
        match petgraph::algo::toposort(&graph, None) {
            Ok(order) => order.iter().enumerate().for_each(|(place, node)| rank[node.index()] = place),
            Err(_) => {
                for members in petgraph::algo::tarjan_scc(&graph) {
                    if members.len() > 1 || graph.contains_edge(members[0], members[0]) {
                        let mut members: Vec<usize> = members.iter().map(|n| n.index()).collect();
                        members.sort_unstable();
                        cycles.push(members);
                    }
                }
            }
        }
        let commits: Vec<usize> =
            (0..count).filter(|&at| matches!(plan.nodes[at].action, Action::Commit { .. })).collect();
        let mut owners = vec![Vec::new(); count];
        for (at, node) in plan.nodes.iter().enumerate() {
            for id in node.undo.iter().flat_map(|case| &case.nodes) {
                if let Some(&compensation) = index.get(id.as_str())
                    && !owners[compensation].contains(&at)
                {
                    owners[compensation].push(at);
                }
            }
        }
        let search = RefCell::new(Search { seen: vec![0; count], ..Search::default() });
        let mut view = Self {
            plan,
            index,
            graph,
            rank,
            cycles,
            commits,
            before_commit: vec![false; count],
            after_commit: vec![false; count],
            owners,
            search,
        };
        if let &[commit] = view.commits.as_slice() {
            view.before_commit = view.spread(commit, Direction::Incoming);
            view.after_commit = view.spread(commit, Direction::Outgoing);
        }
        view
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    pub fn node(&self, at: usize) -> &'p Node {
        &self.plan.nodes[at]
    }

    pub fn id(&self, at: usize) -> &'p str {
        &self.plan.nodes[at].id
    }

    /// All nodes with their positions.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &'p Node)> {
        self.plan.nodes.iter().enumerate()
    }

    /// The node that a compensation belongs to; the first one where the plan wrongly names it in several.
    pub fn owner(&self, compensation: usize) -> Option<usize> {
        self.owners[compensation].first().copied()
    }

    /// The list that `@each` is a chunk of where a node runs: its own, or that of the node that it compensates for.
    pub fn over(&self, at: usize) -> Option<&'p Value> {
        let each = self.node(at).each.as_ref();
        each.or_else(|| self.owner(at).and_then(|owner| self.node(owner).each.as_ref())).map(|each| &each.over)
    }

    /// Nodes directly before `at` by edges of one kind.
    pub fn before(&self, at: usize, kind: EdgeKind) -> impl Iterator<Item = usize> {
        self.graph
            .edges_directed(NodeIndex::new(at), Direction::Incoming)
            .filter(move |edge| *edge.weight() == kind)
            .map(|edge| edge.source().index())
    }

    /// Whether an edge of that kind leads from one node to the other.
    pub fn joined(&self, from: usize, to: usize, kind: EdgeKind) -> bool {
        self.before(to, kind).any(|at| at == from)
    }

    /// Whether a path of edges of one kind leads from one node to another.
    pub fn precedes(&self, from: usize, to: usize, kind: EdgeKind) -> bool {
        if from == to {
            return false;
        }
        if kind == EdgeKind::After && self.before_commit[from] && self.after_commit[to] {
            return true;
        }
        let mut search = self.search.borrow_mut();
        let key = (from, to, kind == EdgeKind::After);
        if let Some(&known) = search.known.get(&key) {
            return known;
        }
        search.begin();
        search.enter(to);
        let mut answer = false;
        'walk: while let Some(at) = search.stack.pop() {
            for earlier in self.before(at, kind) {
                if earlier == from {
                    answer = true;
                    break 'walk;
                }
                // The commit point leads only to what comes before it, and `from` does not.
                let passable = !(kind == EdgeKind::After && self.before_commit[earlier] && self.after_commit[earlier]);
                if passable && self.rank[earlier] >= self.rank[from] {
                    search.enter(earlier);
                }
            }
        }
        search.known.insert(key, answer);
        answer
    }

    /// Whether a compensation comes before another one in every case (of the same node) that holds the later.
    pub fn earlier_in_cases(&self, earlier: usize, later: usize) -> bool {
        let Some(owner) = self.owner(later) else { return false };
        let (earlier, later) = (self.id(earlier), self.id(later));
        self.node(owner).undo.iter().filter(|case| case.nodes.iter().any(|id| id == later)).all(|case| {
            let place = |wanted: &str| case.nodes.iter().position(|id| id == wanted);
            matches!((place(earlier), place(later)), (Some(a), Some(b)) if a < b)
        })
    }

    /// Whether `target` is done when the action of `reader` starts.
    pub fn done_before(&self, target: usize, reader: usize) -> bool {
        if self.node(reader).phase != Phase::Undo {
            return self.precedes(target, reader, EdgeKind::After);
        }
        match self.owner(reader) {
            Some(owner) if self.node(target).phase == Phase::Undo => {
                self.owner(target) == Some(owner) && self.earlier_in_cases(target, reader)
            }
            Some(owner) => target == owner || self.precedes(target, owner, EdgeKind::After),
            None => false,
        }
    }

    /// Everything that is reached from `start` by `after` edges in one direction, `start` included.
    fn spread(&self, start: usize, direction: Direction) -> Vec<bool> {
        let mut reached = vec![false; self.plan.nodes.len()];
        let mut stack = vec![start];
        reached[start] = true;
        while let Some(at) = stack.pop() {
            for edge in self.graph.edges_directed(NodeIndex::new(at), direction) {
                let next = if direction == Direction::Incoming { edge.source() } else { edge.target() }.index();
                if *edge.weight() == EdgeKind::After && !reached[next] {
                    reached[next] = true;
                    stack.push(next);
                }
            }
        }
        reached
    }
}

/// Whether a node belongs to the way forward.
pub(super) fn forward(node: &Node) -> bool {
    node.phase != Phase::Undo
}

/// Whether a node does something to the world: a mutation, a command, a request that is not a `GET`.
pub(super) fn effect(node: &Node) -> bool {
    match &node.action {
        Action::Call { .. } | Action::Exec { .. } => true,
        Action::Http { http } => !http.method.eq_ignore_ascii_case("GET"),
        Action::Read { .. }
        | Action::Wait { .. }
        | Action::Gate { .. }
        | Action::Delay { .. }
        | Action::Commit { .. } => false,
    }
}

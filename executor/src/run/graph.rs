//! The plan as the scheduler sees it: numbers instead of names, edges both ways.
//!
//! Invariants: built once from a plan, never changed; every index is valid; the forward graph, and the compensations
//! with their edges, have no cycle.

use std::collections::{BTreeSet, HashMap};

use belay_schemas::checker::subject::{Subject, subjects};
use belay_schemas::condition::Wanted;
use belay_schemas::late::Late;
use belay_schemas::plan::{Action, Call, EdgeKind, Moment, Node, Phase, Plan};
use serde_json::Value;

use crate::http;

/// Why a plan cannot be run as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two nodes of one id.
    #[error("two nodes are called {0}")]
    Twice(String),
    /// An edge, undo case or guard names a node that is not there.
    #[error("{by} names node {node}, which the plan does not have")]
    Missing {
        /// What names it.
        by: String,
        /// The id.
        node: String,
    },
    /// Nodes that wait for each other.
    #[error("these nodes wait for each other: {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// An action that this version cannot run.
    #[error("{node}: actions of the kind `{kind}` are not supported by this version of belay")]
    Unsupported {
        /// The node.
        node: String,
        /// The kind.
        kind: &'static str,
    },
    /// An undo case names a forward node, or an edge mixes the ways.
    #[error("{by} names {node}, which is not a compensation")]
    NotUndo {
        /// What names it.
        by: String,
        /// The id.
        node: String,
    },
}

/// The plan's graph.
#[derive(Debug)]
pub struct Graph {
    /// The plan.
    pub plan: Plan,
    index: HashMap<String, usize>,
    /// Of a forward node: those that must be done before it.
    pub(super) before: Vec<Vec<usize>>,
    /// Of a forward node: those that wait for it.
    pub(super) behind: Vec<Vec<usize>>,
    /// Of a compensation: those that must be done, or not be needed, before it.
    pub(super) undo_before: Vec<Vec<usize>>,
    /// Of a forward node: its undo cases.
    pub(super) cases: Vec<Vec<Vec<usize>>>,
    /// Of a compensation: the forward nodes that have it in a case.
    pub(super) owners: Vec<Vec<usize>>,
    /// Nodes on the longest way from a node to the end; the longest way goes first.
    pub(super) height: Vec<u32>,
    /// Mutations that do no harm when they are sent twice: they carry a token, or the plan says that they need no probe.
    pub(super) repeatable: Vec<bool>,
    /// Nodes whose answers a node refers to.
    pub(super) references: Vec<Vec<usize>>,
    /// What a wait's expressions look at in its answers.
    pub(super) wanted: Vec<Wanted>,
    /// What a node's guards look at in theirs.
    pub(super) guarded: Vec<Vec<Wanted>>,
    /// HTTP requests as calls.
    requests: HashMap<usize, Call>,
}

impl Graph {
    /// Builds the graph of a plan.
    ///
    /// # Errors
    /// See [`GraphError`]; the plan checker says more, this is what running needs.
    pub fn new(plan: Plan) -> Result<Self, GraphError> {
        let n = plan.nodes.len();
        let mut index = HashMap::with_capacity(n);
        for (ix, node) in plan.nodes.iter().enumerate() {
            if index.insert(node.id.clone(), ix).is_some() {
                return Err(GraphError::Twice(node.id.clone()));
            }
            if let Action::Exec { .. } = node.action {
                return Err(GraphError::Unsupported { node: node.id.clone(), kind: node.action.kind() });
            }
        }
        let find = |by: &dyn Fn() -> String, node: &str| {
            index.get(node).copied().ok_or_else(|| GraphError::Missing { by: by(), node: node.to_owned() })
        };
        let (mut before, mut behind) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        let (mut undo_before, mut owners) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for edge in &plan.edges {
            let by = || format!("the edge {} → {}", edge.from, edge.to);
            let (from, to) = (find(&by, &edge.from)?, find(&by, &edge.to)?);
            match edge.kind {
                EdgeKind::After => {
                    before[to].push(from);
                    behind[from].push(to);
                }
                EdgeKind::UndoAfter => undo_before[to].push(from),
                EdgeKind::Undo => {}
            }
        }
        let commits: Vec<usize> = positions(&plan, |node| matches!(node.action, Action::Commit { .. }));
        for &commit in &commits {
            // Whatever its edges say, the commit point is the last of its phase.
            for ix in positions(&plan, |node| node.phase == Phase::Deploy) {
                if !commits.contains(&ix) && !before[commit].contains(&ix) {
                    before[commit].push(ix);
                    behind[ix].push(commit);
                }
            }
        }
        let mut cases = vec![Vec::new(); n];
        for (ix, node) in plan.nodes.iter().enumerate() {
            let by = || format!("the undo of {}", node.id);
            for case in &node.undo {
                let mut chain = Vec::with_capacity(case.nodes.len());
                for id in &case.nodes {
                    let undo = find(&by, id)?;
                    if plan.nodes[undo].phase != Phase::Undo {
                        return Err(GraphError::NotUndo { by: by(), node: id.clone() });
                    }
                    if !owners[undo].contains(&ix) {
                        owners[undo].push(ix);
                    }
                    chain.push(undo);
                }
                cases[ix].push(chain);
            }
        }
        let references = plan.nodes.iter().map(|node| references(node, &index)).collect();
        let wanted = plan.nodes.iter().map(wanted).collect();
        let guarded = plan.nodes.iter().map(guarded).collect();
        let request = |(ix, node): (usize, &Node)| match &node.action {
            Action::Http { http } => Some((ix, http::call(http))),
            _ => None,
        };
        let requests: HashMap<usize, Call> = plan.nodes.iter().enumerate().filter_map(request).collect();
        let effects = plan.nodes.iter().enumerate().map(|(ix, node)| (node, effect(node, requests.get(&ix))));
        let repeatable =
            effects.map(|(node, call)| node.unprobed.is_some() || call.is_some_and(carries_token)).collect();
        let height = Vec::new();
        let mut graph = Self {
            plan,
            index,
            before,
            behind,
            undo_before,
            cases,
            owners,
            height,
            repeatable,
            references,
            wanted,
            guarded,
            requests,
        };
        graph.height = graph.heights()?;
        graph.check_undo_order()?;
        Ok(graph)
    }

    /// The node of an index.
    pub fn node(&self, ix: usize) -> &Node {
        &self.plan.nodes[ix]
    }

    /// A node's HTTP request as a call.
    pub(super) fn request(&self, ix: usize) -> Option<&Call> {
        self.requests.get(&ix)
    }

    /// The call by which a node changes something: a mutation, or an HTTP request that is no `GET`.
    pub(super) fn effect(&self, ix: usize) -> Option<&Call> {
        effect(self.node(ix), self.request(ix))
    }

    /// The index of an id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.plan.nodes.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.plan.nodes.is_empty()
    }

    /// All nodes that come before a node, at any distance.
    pub(super) fn ancestors(&self, ix: usize) -> BTreeSet<usize> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![ix]);
        while let Some(at) = open.pop() {
            for &from in &self.before[at] {
                if seen.insert(from) {
                    open.push(from);
                }
            }
        }
        seen
    }

    /// Whether a node's start guards look at what mutations before it have changed; `happened` tells which did. A guard
    /// of which it is not known what it looks at may look at anything.
    pub(super) fn start_guards_moved(&self, ix: usize, happened: impl Fn(usize) -> bool) -> bool {
        let ancestors = self.ancestors(ix);
        let mutations = ancestors.iter().filter(|&&from| happened(from));
        let changes: Vec<_> = mutations.filter_map(|&from| self.node(from).action.mutation()).collect();
        let changed: BTreeSet<Subject> = changes.iter().flat_map(|call| subjects(call, None)).collect();
        let mut guards = self.node(ix).guards.iter().filter(|guard| guard.at == Some(Moment::Start));
        guards.any(|guard| {
            let looks_at = subjects(&guard.read, None);
            (looks_at.is_empty() && !changes.is_empty()) || looks_at.iter().any(|subject| changed.contains(subject))
        })
    }

    fn heights(&self) -> Result<Vec<u32>, GraphError> {
        let order = self.sorted(&self.before, &self.behind)?;
        let mut height = vec![1; self.len()];
        for &ix in order.iter().rev() {
            let longest = self.behind[ix].iter().map(|&to| height[to]).max().unwrap_or(0);
            height[ix] = longest + 1;
        }
        Ok(height)
    }

    /// Compensations wait for each other by their edges and by their places in a case.
    fn check_undo_order(&self) -> Result<(), GraphError> {
        let mut before = self.undo_before.clone();
        for chain in self.cases.iter().flatten() {
            for pair in chain.windows(2) {
                before[pair[1]].push(pair[0]);
            }
        }
        let mut behind = vec![Vec::new(); self.len()];
        for (to, from) in before.iter().enumerate().flat_map(|(to, list)| list.iter().map(move |&from| (to, from))) {
            behind[from].push(to);
        }
        self.sorted(&before, &behind).map(drop)
    }

    fn sorted(&self, before: &[Vec<usize>], behind: &[Vec<usize>]) -> Result<Vec<usize>, GraphError> {
        let mut missing: Vec<usize> = before.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..self.len()).filter(|&ix| missing[ix] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            for &to in &behind[order[at]] {
                missing[to] -= 1;
                if missing[to] == 0 {
                    order.push(to);
                }
            }
            at += 1;
        }
        if order.len() == self.len() {
            return Ok(order);
        }
        let stuck = (0..self.len()).filter(|&ix| missing[ix] > 0).map(|ix| self.node(ix).id.clone());
        Err(GraphError::Cycle(stuck.collect()))
    }
}

fn positions(plan: &Plan, wanted: impl Fn(&Node) -> bool) -> Vec<usize> {
    plan.nodes.iter().enumerate().filter(|(_, node)| wanted(node)).map(|(ix, _)| ix).collect()
}

fn effect<'p>(node: &'p Node, request: Option<&'p Call>) -> Option<&'p Call> {
    node.action.mutation().or_else(|| request.filter(|call| http::changes(&call.service, &call.operation)))
}

fn carries_token(call: &Call) -> bool {
    let mut found = false;
    // A malformed late value is found again, and reported, when it is resolved.
    let _ = Late::each(&call.input, &mut |late| found |= late == Late::RunToken);
    found
}

/// What a wait's expressions look at.
fn wanted(node: &Node) -> Wanted {
    let Action::Wait { wait } = &node.action else { return Wanted::default() };
    let fails = wait.fail.iter().map(|fail| &fail.when);
    Wanted::by(fails.chain(&wait.progress).chain([&wait.until]).map(String::as_str))
}

/// What each guard of a node looks at.
fn guarded(node: &Node) -> Vec<Wanted> {
    node.guards.iter().map(|guard| Wanted::by(guard.holds.keys().map(String::as_str))).collect()
}

/// The nodes whose answers a node's action, guards, probe and undo conditions use.
fn references(node: &Node, index: &HashMap<String, usize>) -> Vec<usize> {
    let mut found = BTreeSet::new();
    // A node is a transfer type, so its JSON holds every late value that it can hold.
    let json = serde_json::to_value(node).unwrap_or(Value::Null);
    // A malformed late value is found again, and reported, when it is resolved.
    let _ = Late::each(&json, &mut |late| {
        if let Late::Output { node, .. } = late
            && let Some(&ix) = index.get(node)
        {
            found.insert(ix);
        }
    });
    found.into_iter().collect()
}

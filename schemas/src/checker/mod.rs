//! The plan checker: what must hold of any plan before it is written and again before it runs.
//!
//! Invariants: it shares no code with whatever made the plan and trusts nothing but the types; it changes nothing; it
//! reports everything that it finds at once, sorted, so that the same plan always gives the same list.
//!
//! | rule | what must hold |
//! |---|---|
//! | `P101` | the format is the one that this program reads |
//! | `P102` | node ids are letters, digits, `.`, `_` and `-`, and start with a letter or digit |
//! | `P103` | node ids are unique |
//! | `P104` | nodes are sorted by id; edges are sorted and unique |
//! | `P105` | the digest is true |
//! | `P106` | the component of a node is listed under `components` |
//! | `P107` | a plan that is limited to components lists no other one |
//! | `P201` | both ends of an edge exist |
//! | `P202` | the graph has no cycle |
//! | `P203` | `after` joins forward nodes and never leads from a later phase to an earlier one |
//! | `P204` | `undo` leads from a forward node to a compensation named in one of its cases |
//! | `P205` | `undo-after` joins compensations |
//! | `P206` | a plan that changes anything has exactly one commit point, in phase `deploy` |
//! | `P207` | every deploy node comes before the commit point |
//! | `P208` | every finalize node comes after the commit point |
//! | `P209` | preflight holds reads and HTTP `GET` requests only |
//! | `P210` | nothing destructive happens before the commit point unless the user accepted it |
//! | `P301` | compensations run in reverse order of what they undo |
//! | `P401` | late values are well-formed |
//! | `P402` | a late value names a node whose answer is known by then |
//! | `P403` | `@N` names an earlier read of the same poll |
//! | `P404` | `@each` stands only where a node with `each` runs |
//! | `P405` | the paths of late values are JMESPath |
//! | `P406` | conditions are JMESPath |
//! | `P407` | every `$name` is bound |
//! | `P408` | every bound name is used |
//! | `P409` | `each` runs over a late value, in chunks of at least one, on something that can be repeated |
//! | `P501` | every operation is known |
//! | `P502` | a `call` changes something: reads are actions of the kind `read` |
//! | `P503` | whatever reads (actions, waits, guards, probes, cases, evidence) calls read-only operations |
//! | `P504` | every input fits the shape of its operation |
//! | `P505` | no call nests in the input of a call |
//! | `P601` | a mutation outside phase `undo` has guards or says why it needs none, not both |
//! | `P602` | a guard has exactly one of `at` and `after` |
//! | `P603` | a start guard needs nothing that is known only later, and hangs on a forward node |
//! | `P604` | a guard's `after` names a node that is done by then |
//! | `P605` | nothing unordered writes what a guard looks at |
//! | `P606` | a guard says what must hold |
//! | `P651` | a mutation has a probe or says why it needs none, not both |
//! | `P701` | an effect before the commit point has a way back or says why it has none, not both |
//! | `P702` | an irreversible effect before the commit point was accepted by the user |
//! | `P703` | a case names existing nodes of phase `undo`, each once |
//! | `P704` | the nodes of a case are joined by edges in their order |
//! | `P705` | only the last case has no `when` |
//! | `P706` | a compensation belongs to exactly one node |
//! | `P707` | no compensation needs what a node before the commit point destroyed |
//! | `P708` | only an effect before the commit point has a way back |
//! | `P709` | behind a case with compensations one without any has a `when`: what failed is not nothing to do |
//! | `P801` | an obligation is discharged on the way forward by a later deploy or finalize node |
//! | `P802` | an obligation is discharged on every way back |
//! | `P901` | a wait polls something |
//! | `P902` | the limits of a wait leave room for each other, and every time limit is at least a second |
//!
//! An *effect* is a mutating call, a local command, or an HTTP request that is not a `GET`; a *mutation* is a mutating
//! call. A *forward* node is one outside phase `undo`.
//!
//! **Known by then.** A forward node may use the answers of its ancestors by `after`. A compensation may use those of the
//! node that it belongs to, of that node's ancestors, and of the nodes before it in every case that holds it. The `when`
//! of a case may also use the answer of its own node.
//!
//! **What a guard looks at** ([`subject`]) is a whole object: service and cluster, group, revision. A guard may look at an
//! object that other nodes write as long as each of them is the guarded node itself, its ancestor or its descendant;
//! compensations never run beside forward nodes, and of two cases of one node only one runs.
//!
//! **Reverse order.** Where B's closest ancestors with compensations include A, there is a path by `undo-after` from
//! the last compensation of each of B's cases to the first compensation of each of A's.

mod calls;
mod expressions;
mod graph;
mod guards;
mod identity;
mod load;
mod obligations;
mod order;
mod phases;
mod references;
mod sites;
pub mod subject;
mod undo;
mod view;
mod waits;

pub use load::{LoadError, load};

use serde::Serialize;

use crate::plan::Plan;
use expressions::Expressions;
use view::View;

/// Something in a plan that must not be so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Stable code of the rule; [`RULES`] says what each means.
    pub rule: &'static str,
    /// The nodes concerned, the one to blame first; empty when it is the plan as a whole.
    pub nodes: Vec<String>,
    /// What is wrong, in one sentence.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.nodes.first() {
            Some(node) => write!(f, "{} {node}: {}", self.rule, self.message),
            None => write!(f, "{} {}", self.rule, self.message),
        }
    }
}

/// Every rule: its code and what must hold.
pub const RULES: &[(&str, &str)] = &[
    ("P101", "the format is the one that this program reads"),
    ("P102", "node ids are letters, digits, `.`, `_` and `-`, and start with a letter or digit"),
    ("P103", "node ids are unique"),
    ("P104", "nodes are sorted by id; edges are sorted and unique"),
    ("P105", "the digest is true"),
    ("P106", "the component of a node is listed under `components`"),
    ("P107", "a plan that is limited to components lists no other one"),
    ("P201", "both ends of an edge exist"),
    ("P202", "the graph has no cycle"),
    ("P203", "`after` joins forward nodes and never leads from a later phase to an earlier one"),
    ("P204", "`undo` leads from a forward node to a compensation named in one of its cases"),
    ("P205", "`undo-after` joins compensations"),
    ("P206", "a plan that changes anything has exactly one commit point, in phase `deploy`"),
    ("P207", "every deploy node comes before the commit point"),
    ("P208", "every finalize node comes after the commit point"),
    ("P209", "preflight holds reads and HTTP `GET` requests only"),
    ("P210", "nothing destructive happens before the commit point unless the user accepted it"),
    ("P301", "compensations run in reverse order of what they undo"),
    ("P401", "late values are well-formed"),
    ("P402", "a late value names a node whose answer is known by then"),
    ("P403", "`@N` names an earlier read of the same poll"),
    ("P404", "`@each` stands only where a node with `each` runs"),
    ("P405", "the paths of late values are JMESPath"),
    ("P406", "conditions are JMESPath"),
    ("P407", "every `$name` is bound"),
    ("P408", "every bound name is used"),
    ("P409", "`each` runs over a late value, in chunks of at least one, on something that can be repeated"),
    ("P501", "every operation is known"),
    ("P502", "a `call` changes something: reads are actions of the kind `read`"),
    ("P503", "whatever reads (actions, waits, guards, probes, cases, evidence) calls read-only operations"),
    ("P504", "every input fits the shape of its operation"),
    ("P505", "no call nests in the input of a call"),
    ("P601", "a mutation outside phase `undo` has guards or says why it needs none, not both"),
    ("P602", "a guard has exactly one of `at` and `after`"),
    ("P603", "a start guard needs nothing that is known only later, and hangs on a forward node"),
    ("P604", "a guard's `after` names a node that is done by then"),
    ("P605", "nothing unordered writes what a guard looks at"),
    ("P606", "a guard says what must hold"),
    ("P651", "a mutation has a probe or says why it needs none, not both"),
    ("P701", "an effect before the commit point has a way back or says why it has none, not both"),
    ("P702", "an irreversible effect before the commit point was accepted by the user"),
    ("P703", "a case names existing nodes of phase `undo`, each once"),
    ("P704", "the nodes of a case are joined by edges in their order"),
    ("P705", "only the last case has no `when`"),
    ("P706", "a compensation belongs to exactly one node"),
    ("P707", "no compensation needs what a node before the commit point destroyed"),
    ("P708", "only an effect before the commit point has a way back"),
    ("P709", "behind a case with compensations one without any has a `when`: what failed is not nothing to do"),
    ("P801", "an obligation is discharged on the way forward by a later deploy or finalize node"),
    ("P802", "an obligation is discharged on every way back"),
    ("P901", "a wait polls something"),
    ("P902", "the limits of a wait leave room for each other, and every time limit is at least a second"),
];

/// Checks a plan against every rule; an empty list means that it may run.
pub fn check(plan: &Plan) -> Vec<Violation> {
    let mut found = Findings::default();
    identity::digest(plan, &mut found);
    found.0.extend(check_contents(plan));
    found.sorted()
}

/// As [`check`], without computing the digest (`P105`), for a plan that was sealed or verified a moment ago: on a large
/// plan the digest takes longer than all the rest.
pub fn check_contents(plan: &Plan) -> Vec<Violation> {
    let view = View::new(plan);
    let mut found = Findings::default();
    identity::check(&view, &mut found);
    graph::check(&view, &mut found);
    phases::check(&view, &mut found);
    order::check(&view, &mut found);
    values(&view, &mut found);
    guards::check(&view, &mut found);
    undo::check(&view, &mut found);
    obligations::check(&view, &mut found);
    waits::check(&view, &mut found);
    found.sorted()
}

/// The rules about calls, late values and expressions, in one walk: a large plan is fetched from memory once for all.
fn values<'p>(view: &View<'p>, found: &mut Findings) {
    let mut paths = Expressions::default();
    let mut conditions = Expressions::default();
    for (at, node) in view.nodes() {
        sites::visit(node, &mut |site| {
            calls::check(node, &site, found);
            references::check(view, at, &site, &mut paths, found);
            expressions::check(node, &site, &mut conditions, found);
        });
        references::each(node, found);
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add<'n>(&mut self, rule: &'static str, nodes: impl IntoIterator<Item = &'n str>, message: impl Into<String>) {
        let nodes = nodes.into_iter().map(str::to_owned).collect();
        self.0.push(Violation { rule, nodes, message: message.into() });
    }

    fn sorted(mut self) -> Vec<Violation> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

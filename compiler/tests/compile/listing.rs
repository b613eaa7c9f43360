//! A plan as a short listing, and the checks that every compiled plan has to pass.

use std::fmt::Write as _;

use belay_schemas::plan::{Action, EdgeKind, Node, Phase, Plan};
use serde_json::Value;

use crate::support::{Input, World};

/// Components, then each node with what comes before it, what it sends and how it goes back.
pub fn listing(plan: &Plan) -> String {
    let mut out = String::new();
    let components: Vec<String> =
        plan.components.iter().map(|(name, c)| format!("{name}: {:?} (floor {})", c.change, c.floor)).collect();
    let _ = writeln!(out, "{}", components.join(", "));
    for phase in [Phase::Preflight, Phase::Deploy, Phase::Finalize, Phase::Undo] {
        let nodes: Vec<&Node> = plan.nodes.iter().filter(|n| n.phase == phase).collect();
        if !nodes.is_empty() {
            let _ = writeln!(out, "\n== {phase:?}");
        }
        for node in nodes {
            describe(plan, node, &mut out);
        }
    }
    out
}

/// Whether a plan has an edge from one node to another one, forward or back.
pub fn after(plan: &Plan, from: &str, to: &str) -> bool {
    plan.edges.iter().any(|edge| edge.from == from && edge.to == to)
}

/// Whether edges of these kinds lead from one node to another one.
pub fn comes_before(plan: &Plan, before: &str, after: &str, kinds: &[EdgeKind]) -> bool {
    let mut open = vec![before];
    while let Some(here) = open.pop() {
        if here == after {
            return true;
        }
        open.extend(plan.edges.iter().filter(|e| e.from == here && kinds.contains(&e.kind)).map(|e| e.to.as_str()));
    }
    false
}

fn describe(plan: &Plan, node: &Node, out: &mut String) {
    let _ = writeln!(out, "{}: {}", node.id, node.summary);
    match &node.action {
        Action::Call { call, .. } => {
            let _ = writeln!(out, "    {} {} {}", call.service, call.operation, call.input);
        }
        Action::Wait { wait } => {
            let limits = format!("{} s, {} s in all, for {} s", wait.no_progress, wait.overall, wait.hold);
            let _ = writeln!(out, "    wait {limits}");
        }
        Action::Read { read, .. } => {
            let _ = writeln!(out, "    read {} {}", read.service, read.operation);
        }
        other => {
            let _ = writeln!(out, "    {}", other.kind());
        }
    }
    for why in &node.why {
        let at = why.at.as_deref().unwrap_or("-");
        let _ = writeln!(out, "    why {} ({at}): {} -> {}", why.path, why.from, why.to);
    }
    for guard in &node.guards {
        let holds: Vec<String> = guard.holds.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let _ = writeln!(out, "    guard {} {}", guard.read.operation, holds.join(", "));
    }
    for kind in [EdgeKind::After, EdgeKind::UndoAfter] {
        let before: Vec<&str> =
            plan.edges.iter().filter(|e| e.kind == kind && e.to == node.id).map(|e| e.from.as_str()).collect();
        if !before.is_empty() {
            let _ = writeln!(out, "    after {}", before.join(", "));
        }
    }
    for case in &node.undo {
        let when = case.when.as_ref().map_or("always", |w| w.is.as_str());
        let nodes = if case.nodes.is_empty() { "nothing".to_owned() } else { case.nodes.join(", ") };
        let _ = writeln!(out, "    undo {nodes} if {when}");
    }
}

/// The inputs of all forward calls of one operation.
pub fn inputs(plan: &Plan, operation: &str) -> Vec<Value> {
    plan.nodes
        .iter()
        .filter(|n| n.phase != Phase::Undo)
        .filter_map(|n| n.action.mutation())
        .filter(|c| c.operation == operation)
        .map(|c| c.input.clone())
        .collect()
}

/// Compiles, and checks what holds for every plan: the same inputs give the same bytes, whatever the order of reads;
/// once it is carried out, nothing is left to do.
#[track_caller]
pub fn compiled(input: &Input) -> Plan {
    let plan = input.plan();
    let again = input.plan();
    assert_eq!(plan.to_json(), again.to_json(), "another compilation gives other bytes");
    let turned = input
        .compile_with(|mut observed| {
            observed.reads.reverse();
            observed
        })
        .plan
        .expect("a plan");
    assert_eq!(plan.to_json(), turned.to_json(), "the order of reads matters");
    let world = input.world.clone().unwrap_or_else(World::new).apply(&plan);
    let mut after = input.clone().world(world);
    after.options.replace_all = false;
    let rest = after.compile();
    let rest = rest.plan.unwrap_or_else(|| panic!("after it was carried out:\n{}", rest.text));
    assert!(rest.nodes.is_empty(), "after it was carried out, there is more to do:\n{}", listing(&rest));
    plan
}

/// The same with the listing as a snapshot.
#[track_caller]
pub fn golden(name: &str, input: &Input) -> Plan {
    let plan = compiled(input);
    shown(name, &listing(&plan));
    plan
}

/// Compares a text with its snapshot.
#[track_caller]
pub fn shown(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

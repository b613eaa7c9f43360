//! A plan in Graphviz's language, forward and back.

use std::fmt::Write as _;

use belay_schemas::plan::{EdgeKind, Plan};

use super::graph::{COMMON, Graph, Item, Look};
use super::verdict::operation;

/// The whole graph; `dot -Tsvg` draws it.
pub fn dot(plan: &Plan) -> String {
    let graph = Graph::new(plan);
    let mut out = String::from(
        "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\", fontsize=9];\n",
    );
    let _ = writeln!(out, "  label={};", quoted(&format!("{} {}", plan.project, plan.digest)));
    for (index, name) in graph.groups.iter().enumerate() {
        let inside = *name != COMMON;
        let mut members = graph.items.iter().enumerate().filter(|(_, item)| item.group == index).peekable();
        if members.peek().is_none() {
            continue;
        }
        if inside {
            let _ = writeln!(out, "  subgraph cluster_{index} {{\n    label={};", quoted(name));
        }
        for (_, item) in members {
            let _ = writeln!(out, "  {}{}", if inside { "  " } else { "" }, node(item));
        }
        if inside {
            out.push_str("  }\n");
        }
    }
    for (from, to, kind) in &graph.edges {
        let style = match kind {
            EdgeKind::After => "",
            EdgeKind::Undo => " [style=dashed, color=purple, constraint=false, label=\"way back\"]",
            EdgeKind::UndoAfter => " [style=dashed, color=purple]",
        };
        let (from, to) = (&graph.items[*from].node.id, &graph.items[*to].node.id);
        let _ = writeln!(out, "  {} -> {}{style};", quoted(from), quoted(to));
    }
    out.push_str("}\n");
    out
}

fn node(item: &Item<'_>) -> String {
    let label = format!("{}\n{}", item.node.summary, operation(&item.node.action));
    let style = match item.look() {
        Look::Read => ", style=dotted",
        Look::Call => ", style=bold",
        Look::Destroy => ", style=bold, color=red",
        Look::Wait => ", style=rounded",
        Look::Person => ", shape=diamond",
        Look::Commit => ", shape=doublecircle",
        Look::Undo => ", style=dashed, color=purple",
    };
    format!("{} [label={}{style}];", quoted(&item.node.id), quoted(&label))
}

/// A quoted identifier or label: only `"`, `\` and line ends mean something in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', ""))
}

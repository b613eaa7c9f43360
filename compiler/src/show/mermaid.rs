//! A plan as a Mermaid flowchart, which GitHub and GitLab draw in a comment.
//!
//! Invariants: whatever names and texts a plan holds, the result is Mermaid; it stays within the limits that GitHub sets
//! to a diagram (50,000 characters, 500 edges) by drawing components instead of steps.

use std::fmt::Write as _;

use belay_schemas::plan::{EdgeKind, Plan};

use super::graph::{COMMON, Graph, Item, Look};

/// Edges that a diagram may have: Mermaid's own limit (`maxEdges`), which GitHub does not raise.
const EDGES: usize = 500;

/// Characters that a diagram may have: Mermaid's own limit (`maxTextSize`).
const CHARACTERS: usize = 50_000;

/// Components that are drawn before the drawing says nothing any more.
const GROUPS: usize = 250;

/// Names of classes that are no keywords of Mermaid, as `call` is.
const STYLES: &str = "  classDef looks stroke-dasharray:2 2
  classDef changes stroke-width:2px
  classDef destroys stroke-width:3px,stroke:#d1242f
  classDef asks stroke:#9a6700,stroke-width:2px
  classDef goesback stroke-dasharray:5 5,stroke:#8250df
";

/// The plan, forward and back, as large as GitHub draws it.
pub fn mermaid(plan: &Plan) -> String {
    steps(&Graph::new(plan))
        .or_else(|| forward(plan))
        .unwrap_or_else(|| "flowchart LR\n  n0[\"too large to be drawn: see the HTML\"]\n".to_owned())
}

/// The way forward: its steps or, of a plan that is too large for them, its components.
pub(super) fn forward(plan: &Plan) -> Option<String> {
    let graph = Graph::forward(plan);
    steps(&graph).or_else(|| components(&graph))
}

fn fits(text: &str, edges: usize) -> bool {
    edges <= EDGES && text.chars().count() <= CHARACTERS
}

fn steps(graph: &Graph<'_>) -> Option<String> {
    if graph.edges.len() > EDGES || graph.items.is_empty() {
        return graph.items.is_empty().then(|| "flowchart LR\n  n0[\"nothing to do\"]\n".to_owned());
    }
    let mut out = String::from("flowchart LR\n");
    for (index, name) in graph.groups.iter().enumerate() {
        let mut members = graph.items.iter().enumerate().filter(|(_, item)| item.group == index).peekable();
        if members.peek().is_none() {
            continue;
        }
        let inside = *name != COMMON;
        if inside {
            let _ = writeln!(out, "  subgraph g{index}[\"{}\"]", escape(name));
        }
        for (at, item) in members {
            let _ = writeln!(out, "  {}n{at}{}", if inside { "  " } else { "" }, shape(item));
        }
        if inside {
            out.push_str("  end\n");
        }
    }
    for (from, to, kind) in &graph.edges {
        let arrow = match kind {
            EdgeKind::After => "-->",
            EdgeKind::Undo => "-. way back .->",
            EdgeKind::UndoAfter => "-.->",
        };
        let _ = writeln!(out, "  n{from} {arrow} n{to}");
    }
    out.push_str(STYLES);
    fits(&out, graph.edges.len()).then_some(out)
}

fn components(graph: &Graph<'_>) -> Option<String> {
    let edges: Vec<_> = graph
        .between_groups()
        .into_iter()
        .filter(|(from, to)| graph.groups[*from] != COMMON && graph.groups[*to] != COMMON)
        .collect();
    let named: Vec<(usize, &&str)> = graph.groups.iter().enumerate().filter(|(_, name)| **name != COMMON).collect();
    if named.len() > GROUPS {
        return None;
    }
    let mut out = String::from("flowchart LR\n");
    for (index, name) in named {
        let count = graph.items.iter().filter(|item| item.group == index).count();
        let _ = writeln!(out, "  g{index}[\"{}<br/>{count} steps\"]", escape(name));
    }
    for (from, to) in &edges {
        let _ = writeln!(out, "  g{from} --> g{to}");
    }
    fits(&out, edges.len()).then_some(out)
}

fn shape(item: &Item<'_>) -> String {
    let text = escape(&item.node.summary);
    match item.look() {
        Look::Read => format!("[/\"{text}\"/]:::looks"),
        Look::Call => format!("[\"{text}\"]:::changes"),
        Look::Destroy => format!("[\"{text}\"]:::destroys"),
        Look::Wait => format!("([\"{text}\"])"),
        Look::Person => format!("{{\"{text}\"}}:::asks"),
        Look::Commit => format!("(((\"{text}\")))"),
        Look::Undo => format!("[\"{text}\"]:::goesback"),
    }
}

/// A text inside of quotes: Mermaid knows character references written with `#`, and Markdown in labels.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric()
                || matches!(c, ' ' | '-' | '.' | ':' | ',' | '/' | '(' | ')' | '=' | '→' | '…') =>
            {
                out.push(c);
            }
            '\n' | '\t' | '\r' => out.push(' '),
            c if c.is_control() => {}
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_mermaid_understands_is_escaped() {
        assert_eq!(escape("a \"b\" <c> `d`\n#e_f"), "a #34;b#34; #60;c#62; #96;d#96; #35;e#95;f");
    }
}

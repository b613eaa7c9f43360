//! What changed between two plans, in meaning: what runs, what it relies on, how it goes back, in which order.
//!
//! Invariant: two plans that run the same calls under the same conditions in the same order with the same ways back are
//! the same, wherever their inputs were written and whoever compiled them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use belay_schemas::plan::{EdgeKind, Node, Phase, Plan};
use serde_json::Value;

use super::value::{differences, short};
use super::verdict::{join, operation, verdict};

/// Differences of one step that are listed before the rest is counted.
const LISTED: usize = 12;

/// The result of comparing two plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Whether both mean the same.
    pub same: bool,
    /// For people: what changed and why an approval of the one does not cover the other.
    pub text: String,
}

/// Kinds of changes, in the order in which they are told, each with why an approval does not cover it.
const KINDS: [(&str, &str); 7] = [
    ("Target", "it is for another place"),
    ("Components", "it changes other components, or in another way"),
    ("Calls and waits", "it makes other calls, or waits for something else"),
    ("What has to be true", "it relies on another state of what runs"),
    ("Ways back", "it goes back in another way"),
    ("Order", "its steps come in another order"),
    ("Warnings", "its warnings differ"),
];

/// Compares two plans.
pub fn compare(old: &Plan, new: &Plan) -> Comparison {
    let mut changes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut add = |kind: usize, line: String| changes.entry(kind).or_default().push(line);
    target(old, new, &mut |line| add(0, line));
    components(old, new, &mut |line| add(1, line));
    nodes(old, new, &mut add);
    order(old, new, &mut |line| add(5, line));
    notices(old, new, &mut |line| add(6, line));
    let mut text = String::new();
    if changes.is_empty() {
        let _ = writeln!(text, "same plan: {}", verdict(new));
        if old.digest != new.digest {
            text.push_str("\nIts digest differs all the same, because ");
            text.push_str(if old.inputs.observed == new.inputs.observed {
                "the inputs say the same in other words or in other lines"
            } else {
                "the account was observed again, and what the plan relies on is as it was"
            });
            text.push_str(
                ".\nAn approval is one of a digest: ask for a new one, or apply the plan that was approved.\n",
            );
        }
        return Comparison { same: true, text };
    }
    // Two environments' plans are neither old nor new.
    let elsewhere = (&old.project, &old.target) != (&new.project, &new.target);
    let [one, other] = if elsewhere { ["first:  ", "second: "] } else { ["old: ", "new: "] };
    let indent = " ".repeat(one.len());
    let said = |plan: &Plan| format!("{}\n{indent}{}", verdict(plan), plan.digest);
    let _ = writeln!(text, "{one}{}\n{other}{}", said(old), said(new));
    for (kind, lines) in &changes {
        let _ = writeln!(text, "\n{}", KINDS[*kind].0);
        for line in lines {
            let _ = writeln!(text, "  {}", line.replace('\n', "\n  "));
        }
    }
    if elsewhere {
        text.push_str("\nThey are for two places: an approval of one never covers the other.\n");
        return Comparison { same: false, text };
    }
    let _ = writeln!(text, "\nAn approval of the old plan does not cover the new one:");
    for kind in changes.keys() {
        let _ = writeln!(text, "  {}", KINDS[*kind].1);
    }
    Comparison { same: false, text }
}

fn target(old: &Plan, new: &Plan, add: &mut dyn FnMut(String)) {
    let both = [
        ("project", json(&old.project), json(&new.project)),
        ("mode", json(&old.mode), json(&new.mode)),
        ("target", json(&old.target), json(&new.target)),
    ];
    for (name, old, new) in both {
        lines(name, &old, &new).into_iter().for_each(&mut *add);
    }
}

fn components(old: &Plan, new: &Plan, add: &mut dyn FnMut(String)) {
    if old.only != new.only {
        let about = |plan: &Plan| match plan.only.as_slice() {
            [] => "all components".to_owned(),
            only => format!("only {}", join(only)),
        };
        add(format!("limited to: {} → {}", about(old), about(new)));
    }
    let names: BTreeSet<&String> = old.components.keys().chain(new.components.keys()).collect();
    for name in names {
        match (old.components.get(name), new.components.get(name)) {
            (Some(old), Some(new)) => {
                lines(&format!("~ {name}"), &json(old), &json(new)).into_iter().for_each(&mut *add);
            }
            (None, Some(new)) => add(format!("+ {name}: {}", short(&json(new)))),
            (Some(_), None) => add(format!("- {name}")),
            (None, None) => {}
        }
    }
}

fn nodes(old: &Plan, new: &Plan, add: &mut dyn FnMut(usize, String)) {
    let ids: BTreeSet<&str> = old.nodes.iter().chain(&new.nodes).map(|n| n.id.as_str()).collect();
    let kind = |node: &Node| if node.phase == Phase::Undo { 4 } else { 2 };
    let title = |node: &Node| format!("{}  {}  [{}]", node.id, node.summary, operation(&node.action));
    for id in ids {
        match (old.node(id), new.node(id)) {
            (None, Some(new)) => add(kind(new), format!("+ {}", title(new))),
            (Some(old), None) => add(kind(old), format!("- {}", title(old))),
            (Some(old), Some(new)) => {
                let (before, after) = (meaning(old), meaning(new));
                let mut parts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
                let members: BTreeSet<&String> = keys(&before).chain(keys(&after)).collect();
                for member in members {
                    let part = match member.as_str() {
                        "guards" | "unguarded" => 3,
                        "undo" | "irreversible" | "accepted" | "obligation" => 4,
                        _ => kind(new),
                    };
                    let (old, new) = (before.get(member), after.get(member));
                    let found = lines(member, old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
                    parts.entry(part).or_default().extend(found);
                }
                // How a lost answer is settled follows from the call.
                for found in parts.values_mut() {
                    if found.iter().any(|line| !line.starts_with("probe")) {
                        found.retain(|line| !line.starts_with("probe"));
                    }
                }
                for (part, mut found) in parts {
                    if found.is_empty() {
                        continue;
                    }
                    let more = found.len().saturating_sub(LISTED);
                    found.truncate(LISTED);
                    if more > 0 {
                        found.push(format!("and {more} more"));
                    }
                    add(part, format!("~ {}\n    {}", title(new), found.join("\n    ")));
                }
            }
            (None, None) => {}
        }
    }
}

fn keys(value: &Value) -> impl Iterator<Item = &String> {
    value.as_object().into_iter().flat_map(serde_json::Map::keys)
}

/// A node without what does not change what happens: where its reasons were written, and the reasons themselves.
fn meaning(node: &Node) -> Value {
    let mut value = json(node);
    if let Value::Object(map) = &mut value {
        map.remove("why");
        if let Some(Value::Object(accepted)) = map.get_mut("accepted") {
            accepted.remove("at");
        }
    }
    value
}

fn order(old: &Plan, new: &Plan, add: &mut dyn FnMut(String)) {
    // Edges of steps that came or went go with them.
    let both = |id: &String| old.node(id).is_some() && new.node(id).is_some();
    let edges = |plan: &Plan| -> BTreeSet<(String, String, EdgeKind)> {
        let edges = plan.edges.iter().filter(|e| e.kind != EdgeKind::Undo && both(&e.from) && both(&e.to));
        edges.map(|e| (e.from.clone(), e.to.clone(), e.kind)).collect()
    };
    let (before, after) = (edges(old), edges(new));
    for (from, to, _) in before.difference(&after) {
        add(format!("- {from} before {to}"));
    }
    for (from, to, _) in after.difference(&before) {
        add(format!("+ {from} before {to}"));
    }
}

fn notices(old: &Plan, new: &Plan, add: &mut dyn FnMut(String)) {
    let set = |plan: &Plan| -> BTreeSet<String> {
        plan.notices.iter().map(|n| format!("{} {}", n.code, n.message)).collect()
    };
    let (before, after) = (set(old), set(new));
    before.difference(&after).for_each(|line| add(format!("- {line}")));
    after.difference(&before).for_each(|line| add(format!("+ {line}")));
}

fn lines(name: &str, old: &Value, new: &Value) -> Vec<String> {
    let mut out = Vec::new();
    match (old, new) {
        (Value::Null, Value::Null) => {}
        (Value::Null, new) => out.push(format!("{name}: {} added", short(new))),
        (_, Value::Null) => out.push(format!("{name} removed")),
        (old, new) => differences(name.to_owned(), old, new, &mut out),
    }
    out
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    // What comes here was read from JSON or is about to be written as such.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

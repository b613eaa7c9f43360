//! The way back: every effect before the commit point has one or says why not, and it can be walked.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::Findings;
use super::guards::said;
use super::sites::{Item, Site, visit};
use super::subject::{short, subjects};
use super::view::{View, effect};
use crate::aws;
use crate::plan::{EdgeKind, Node, Phase};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for (at, node) in view.nodes() {
        presence(node, found);
        cases(view, at, found);
        if node.phase == Phase::Undo {
            belonging(view, at, found);
        }
        if node.phase == Phase::Deploy
            && let Some(call) = node.action.mutation()
            && aws::is_destructive(&call.service, &call.operation)
        {
            destroyed(view, at, found);
        }
    }
}

fn presence(node: &Node, found: &mut Findings) {
    let id = node.id.as_str();
    let reason = said(node.irreversible.as_ref());
    if node.phase != Phase::Deploy || !effect(node) {
        if !node.undo.is_empty() {
            let message = match node.phase {
                Phase::Finalize => "nothing after the commit point is rolled back, so a finalize node has no way back",
                Phase::Undo => "a compensation has no way back of its own",
                Phase::Preflight | Phase::Deploy => "a node that changes nothing has no way back",
            };
            found.add("P708", [id], message);
        }
        return;
    }
    match (node.undo.is_empty(), reason, &node.irreversible) {
        (true, None, _) => {
            found.add(
                "P701",
                [id],
                "an effect before the commit point has `undo` cases, or says in `irreversible` why not",
            );
        }
        (false, _, Some(_)) => found.add("P701", [id], "a node with `undo` cases is not `irreversible`"),
        (true, Some(reason), _) => {
            let accepted = node.accepted.as_ref().is_some_and(|a| said(Some(&a.reason)).is_some());
            if !accepted {
                let message = format!("this cannot be undone ({reason}), so the user has to accept it in the model");
                found.add("P702", [id], message);
            }
        }
        (false, _, None) => {}
    }
}

fn cases(view: &View<'_>, at: usize, found: &mut Findings) {
    let node = view.node(at);
    let id = node.id.as_str();
    for (place, case) in node.undo.iter().enumerate() {
        if case.when.is_none() && place + 1 < node.undo.len() {
            let message = format!("undo[{place}] has no `when`, so the cases behind it are never taken");
            found.add("P705", [id], message);
        }
        // A case that was tried and failed is passed over: nothing to do would then be taken for the way back.
        let always_nothing = case.when.is_none() && case.nodes.is_empty();
        if always_nothing && node.undo[..place].iter().any(|earlier| !earlier.nodes.is_empty()) {
            let message = format!(
                "undo[{place}] has neither `when` nor compensations, so a case that failed before it would count as done"
            );
            found.add("P709", [id], message);
        }
        let mut previous: Option<usize> = None;
        let mut seen = HashSet::new();
        for name in &case.nodes {
            let Some(compensation) = view.find(name) else {
                found.add("P703", [id, name], format!("undo[{place}] names `{name}`, which does not exist"));
                previous = None;
                continue;
            };
            if view.node(compensation).phase != Phase::Undo {
                found.add("P703", [id, name], format!("undo[{place}] names `{name}`, which is not of phase `undo`"));
            }
            if !seen.insert(compensation) {
                found.add("P703", [id, name], format!("undo[{place}] names `{name}` twice"));
            }
            match previous {
                None if seen.len() == 1 && !view.joined(at, compensation, EdgeKind::Undo) => {
                    found.add("P704", [id, name], format!("undo[{place}]: no `undo` edge leads to `{name}`"));
                }
                Some(previous) if !view.joined(previous, compensation, EdgeKind::UndoAfter) => {
                    let from = view.id(previous);
                    let message = format!("undo[{place}]: no `undo-after` edge leads from `{from}` to `{name}`");
                    found.add("P704", [id, from, name], message);
                }
                _ => {}
            }
            previous = Some(compensation);
        }
    }
}

fn belonging(view: &View<'_>, at: usize, found: &mut Findings) {
    match view.owners[at].as_slice() {
        [_] => {}
        [] => found.add("P706", [view.id(at)], "no node names this compensation in its cases"),
        several => {
            let ids: Vec<&str> = several.iter().map(|&owner| view.id(owner)).collect();
            let message = format!("a compensation belongs to one node, and this one to {}", ids.join(", "));
            found.add("P706", [view.id(at)].into_iter().chain(ids), message);
        }
    }
}

/// Looks for compensations that name what `destroyer` takes away. What makes it again is not among them: its own
/// compensations, and those of nodes before it, which run after its own.
fn destroyed(view: &View<'_>, destroyer: usize, found: &mut Findings) {
    let node = view.node(destroyer);
    let Some(call) = node.action.mutation() else { return };
    let gone: HashSet<Cow<'_, str>> =
        subjects(call, view.over(destroyer)).into_iter().map(|subject| subject.name).collect();
    let restored = node.undo.iter().any(|case| !case.nodes.is_empty());
    for (at, compensation) in view.nodes() {
        let Some(owner) = view.owner(at) else { continue };
        if restored && (owner == destroyer || view.precedes(owner, destroyer, EdgeKind::After)) {
            continue;
        }
        let mut needed = false;
        visit(compensation, &mut |site: Site<'_>| match site.item {
            Item::Mutation(call) | Item::Read { call, .. } => needed |= names(&call.input, &gone),
            Item::Value(value) => needed |= names(value, &gone),
            Item::Expressions { .. } => {}
        });
        needed |= view.over(at).is_some_and(|list| names(list, &gone));
        if needed {
            let message = format!("this needs what `{}` destroys before the commit point", node.id);
            found.add("P707", [compensation.id.as_str(), node.id.as_str()], message);
        }
    }
}

/// Whether a value holds one of the names: as a string, as the name in an ARN, or as the text of a late value.
fn names(value: &Value, wanted: &HashSet<Cow<'_, str>>) -> bool {
    match value {
        Value::String(text) => wanted.contains(text.as_str()) || wanted.contains(short(text)),
        Value::Array(list) => list.iter().any(|item| names(item, wanted)),
        Value::Object(map) => {
            (crate::late::is_reserved(map) && wanted.contains(value.to_string().as_str()))
                || map.values().any(|item| names(item, wanted))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

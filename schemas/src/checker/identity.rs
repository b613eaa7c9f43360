//! What a plan is: format, names, order of the lists, digest.
//!
//! Invariant: ids are what people type, file names are made of and journals are keyed by, so they hold nothing that a
//! shell, a file system or a graph language treats specially.

use super::Findings;
use super::view::View;
use crate::FORMAT;
use crate::plan::Plan;

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    let plan = view.plan;
    if plan.format != FORMAT {
        found.add("P101", [], format!("this program reads plans of format {FORMAT}, not {}", plan.format));
    }
    for (at, node) in view.nodes() {
        let id = node.id.as_str();
        if !legal(id) {
            let message = "an id is made of letters, digits, `.`, `_` and `-`, and starts with a letter or digit";
            found.add("P102", [id], message);
        }
        if view.find(id) != Some(at) {
            found.add("P103", [id], "more than one node has this id");
        }
        if let Some(component) = &node.component
            && !plan.components.contains_key(component)
        {
            found.add("P106", [id], format!("component `{component}` is not listed under `components`"));
        }
    }
    for component in plan.components.keys().filter(|name| !plan.only.is_empty() && !plan.only.contains(name)) {
        found.add("P107", [], format!("component `{component}` is listed, and the plan is limited to others"));
    }
    // Only the first place out of order: everything behind it is likely to be out of order too.
    if let Some(pair) = plan.nodes.windows(2).find(|pair| pair[0].id > pair[1].id) {
        found.add(
            "P104",
            [pair[1].id.as_str()],
            format!("nodes are sorted by id, and this one comes after `{}`", pair[0].id),
        );
    }
    if let Some(pair) = plan.edges.windows(2).find(|pair| pair[0] >= pair[1]) {
        let fault = if pair[0] == pair[1] { "is there twice" } else { "is out of order" };
        let message = format!("edges are sorted and unique, and the one to `{}` {fault}", pair[1].to);
        found.add("P104", [pair[1].from.as_str(), pair[1].to.as_str()], message);
    }
}

/// Compares the digest that a plan carries with its content.
pub(super) fn digest(plan: &Plan, found: &mut Findings) {
    let computed = plan.computed_digest();
    if plan.digest != computed {
        found.add("P105", [], format!("the digest is {}, but the content has {computed}", plan.digest));
    }
}

fn legal(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

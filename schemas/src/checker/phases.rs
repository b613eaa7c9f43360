//! Phases: what may stand before and after the commit point, and that there is one.

use super::Findings;
use super::view::{View, effect};
use crate::aws;
use crate::plan::{Action, Phase};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    commit_point(view, found);
    for (_, node) in view.nodes() {
        let id = node.id.as_str();
        if node.phase == Phase::Preflight
            && (effect(node) || !matches!(node.action, Action::Read { .. } | Action::Http { .. }))
        {
            found.add(
                "P209",
                [id],
                format!("preflight holds reads and `GET` requests only, not a `{}`", node.action.kind()),
            );
        }
        if matches!(node.phase, Phase::Preflight | Phase::Deploy)
            && node.accepted.is_none()
            && let Some(call) = node.action.mutation()
            && aws::is_destructive(&call.service, &call.operation)
        {
            let message = format!(
                "{} destroys something: it waits until after the commit point, unless accepted",
                call.operation
            );
            found.add("P210", [id], message);
        }
    }
}

fn commit_point(view: &View<'_>, found: &mut Findings) {
    for &at in &view.commits {
        if view.node(at).phase != Phase::Deploy {
            found.add("P206", [view.id(at)], "the commit point is a node of phase `deploy`");
        }
    }
    match view.commits.as_slice() {
        [] => {
            let changes =
                view.nodes().find(|(_, n)| n.phase == Phase::Finalize || (n.phase == Phase::Deploy && effect(n)));
            if let Some((_, node)) = changes {
                found.add("P206", [node.id.as_str()], "the plan changes something and has no commit point");
            }
        }
        [_] => {
            for (at, node) in view.nodes() {
                let id = node.id.as_str();
                if node.phase == Phase::Deploy && !view.before_commit[at] {
                    found.add("P207", [id], "no path leads from this node to the commit point");
                }
                if node.phase == Phase::Finalize && !view.after_commit[at] {
                    found.add("P208", [id], "no path leads from the commit point to this node");
                }
            }
        }
        several => {
            let ids = several.iter().map(|&at| view.id(at));
            found.add("P206", ids, format!("a plan has one commit point, not {}", several.len()));
        }
    }
}

//! Obligations: a temporary change is taken away again, whichever way the run goes.

use super::Findings;
use super::view::View;
use crate::plan::{EdgeKind, Phase};

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for (at, node) in view.nodes() {
        let Some(obligation) = &node.obligation else { continue };
        let id = node.id.as_str();
        let (forward, back) = (obligation.forward.as_str(), obligation.back.as_str());
        match view.find(forward) {
            None => found.add(
                "P801",
                [id],
                format!("`{}` is to be ended by `{forward}`, which does not exist", obligation.what),
            ),
            Some(other) => {
                let late = matches!(view.node(other).phase, Phase::Deploy | Phase::Finalize);
                if !late || !view.precedes(at, other, EdgeKind::After) {
                    let message =
                        format!("`{}` is to be ended by `{forward}`, which does not come after it", obligation.what);
                    found.add("P801", [id, forward], message);
                }
            }
        }
        if node.undo.is_empty() || !node.undo.iter().all(|case| case.nodes.iter().any(|name| name == back)) {
            let message =
                format!("`{}` is to be ended on the way back by `{back}`, which not every case holds", obligation.what);
            found.add("P802", [id], message);
        }
    }
}

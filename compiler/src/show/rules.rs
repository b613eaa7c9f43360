//! Which rule of the compiler makes a step: from the step's place in its component to a sentence.
//!
//! Invariant: a step that no rule is known for gets none, rather than a guess.

use belay_schemas::plan::{Action, Node, Phase};

/// Ends of node ids behind the component's name, with the rule that makes such a node.
const RULES: &[(&str, &str)] = &[
    (
        "task-definition.register",
        "A component whose definition differs from what runs gets a new revision: revisions are never changed in place. Images are pinned to the digest that was observed.",
    ),
    (
        "task-definition.pin",
        "What runs names an image by a tag that may move. A twin of that revision, pinned to the digests that run now, is registered first, so that the way back brings back the same bytes.",
    ),
    ("service.create", "A component of the model that has no service in the cluster gets one."),
    (
        "service.update",
        "A service whose definition or settings differ is updated in place. A setting that was dropped from the model is sent with AWS's default, because UpdateService leaves alone what it is not given.",
    ),
    (
        "service.deployed",
        "A deployment is waited for by its own id: the service being stable may mean that AWS went back to the old revision.",
    ),
    (
        "service.scale-down",
        "What is to be deleted is scaled to zero before the commit point, where that can still be undone, and deleted after it.",
    ),
    ("service.drained", "Before the commit point the tasks of what is to be deleted have to be gone."),
    ("service.delete", "Deleting cannot be undone, so it comes after the commit point."),
    ("service.gone", "A name is free again only when AWS has finished deleting."),
    (
        "task-definition.deregister",
        "The last three revisions and whatever still runs are kept; older ones are deregistered after the commit point.",
    ),
];

/// Ends of the ids of compensations.
const BACK: &[(&str, &str)] = &[
    ("undo.find", "A deployment in flight is stopped by its own id, which has to be looked up."),
    ("undo.stop", "A deployment in flight is stopped: AWS then rolls it back by itself, without a second deployment."),
    ("undo.rolled-back", "A way back is over when the old state is there again, not when it was asked for."),
    ("undo.returned", "A way back is over when the old state is there again, not when it was asked for."),
    ("undo.stopped", "A way back is over when the old state is there again, not when it was asked for."),
    ("undo.done", "A way back is over when the old state is there again, not when it was asked for."),
    ("undone", "A way back is over when the old state is there again, not when it was asked for."),
    ("undo", "A way back restores exactly what the step changed, to the values that were observed."),
];

/// The rule behind a step.
pub(super) fn rule(node: &Node) -> Option<&'static str> {
    let own = match &node.component {
        Some(component) => node.id.strip_prefix(component.as_str())?.trim_start_matches('.'),
        None => &node.id,
    };
    if node.phase == Phase::Undo {
        return BACK.iter().find(|(end, _)| own == *end || own.ends_with(&format!(".{end}"))).map(|(_, rule)| *rule);
    }
    let known =
        RULES.iter().find(|(name, _)| own == *name || own.starts_with(&format!("{name}."))).map(|(_, rule)| *rule);
    known.or(match (&node.action, node.phase) {
        (_, Phase::Preflight) => Some("What the plan refers to but does not make has to be there before anything changes."),
        (Action::Commit { .. }, _) => Some(
            "Everything before the commit point can be undone; what cannot comes after it, when nothing can fail any more.",
        ),
        (Action::Gate { .. }, _) => Some("The model asks for a person's answer here."),
        _ => None,
    })
}

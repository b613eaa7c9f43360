//! Which capacity provider a share of a component's tasks runs on: one that is named, or that of a group of the model.
//!
//! Invariant: a group's provider is known by the environment alone, so that plans can refer to it before it is there.

use belay_schemas::model::CapacityShare;

use crate::asg::providers;
use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;

/// The name of the provider; what is wrong goes to the report.
pub fn provider(context: Context<'_>, share: &CapacityShare, place: &Place, report: &mut Report) -> Option<String> {
    let mut refuse = |message: String, at: Place, help: String| {
        report.push(Diagnostic::error("B423", message).at(at).help(help));
        None
    };
    match (&share.provider, &share.group) {
        (Some(provider), None) => Some(provider.clone()),
        (None, Some(group)) => {
            let known = providers::named(context.loaded, &context.options.project);
            let cluster = &context.settings.cluster;
            match known.get(group) {
                Some(found) if found.cluster == *cluster => Some(found.name.clone()),
                Some(found) => refuse(
                    format!("the instances of `{group}` join cluster `{}`, and the tasks run in cluster `{cluster}`", found.cluster),
                    place.child("group"),
                    format!("let `{group}` join cluster `{cluster}`, or name another group"),
                ),
                None => {
                    let near = crate::nearest(group, known.keys().map(String::as_str));
                    let help = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "name a component on EC2 Auto Scaling whose `container_instances` have a `capacity_provider`".to_owned(),
                    };
                    refuse(format!("no group of the model called `{group}` has a capacity provider"), place.child("group"), help)
                }
            }
        }
        _ => refuse(
            "a share of the tasks needs one of `provider` and `group`".to_owned(),
            place.clone().key(),
            "write `provider:` with the name of a capacity provider, or `group:` with the component whose instances it stands for".to_owned(),
        ),
    }
}

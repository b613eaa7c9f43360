//! What AWS would refuse only when it is called, or would never bring up: judged on the lowered inputs, raw blocks
//! included, so that it does not matter where a value was written.
//!
//! Codes are `B4NN`; where Amazon's documentation states the rule, the module that checks it says so. Invariant: a rule
//! looks at the final inputs and reports at the origin of the value.

mod agents;
mod capacity;
mod containers;
mod discovery;
mod external;
mod fargate;
mod managed;
mod network;
mod placement;
mod platform;
mod practice;
mod quota;
mod service;
mod shape;
mod storage;
mod strategy;
mod task;

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::desired::Desired;
use super::json::{items, text};
use super::pointer;

/// Judges one component's inputs.
pub fn check(context: Context<'_>, desired: &Desired, report: &mut Report) {
    // What does not have the API's shape makes no sense to the rules below.
    if !shape::check(desired, report) {
        return;
    }
    let subject = Subject { context, desired };
    task::check(&subject, report);
    containers::check(&subject, report);
    fargate::check(&subject, report);
    external::check(&subject, report);
    managed::check(&subject, report);
    network::check(&subject, report);
    storage::check(&subject, report);
    service::check(&subject, report);
    placement::check(&subject, report);
    strategy::check(&subject, report);
    discovery::check(&subject, report);
    practice::check(&subject, report);
    agents::check(&subject, report);
}

pub use agents::cluster as check_agents;
pub use capacity::Capacity;
pub use discovery::Offered;
pub use quota::Quota;

/// What the rules look at.
struct Subject<'a> {
    context: Context<'a>,
    desired: &'a Desired,
}

impl<'a> Subject<'a> {
    fn task(&self) -> &'a Value {
        &self.desired.task
    }

    fn service(&self) -> &'a Value {
        &self.desired.service
    }

    /// Containers with their names.
    fn containers(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        items(&self.desired.task, "containerDefinitions").iter().map(|c| (text(c, "name").unwrap_or_default(), c))
    }

    /// The origin of a value in the task definition.
    fn in_task<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> Place {
        self.desired.task_origins.of(&pointer::pointer(path))
    }

    /// The origin of a member of a container.
    fn in_container<S: AsRef<str>>(&self, name: &str, path: impl IntoIterator<Item = S>) -> Place {
        let mut full = pointer::pointer(["containerDefinitions", name]);
        for token in path {
            pointer::push(&mut full, token.as_ref());
        }
        self.desired.task_origins.of(&full)
    }

    /// The origin of a value in the service.
    fn in_service<S: AsRef<str>>(&self, path: impl IntoIterator<Item = S>) -> Place {
        self.desired.service_origins.of(&pointer::pointer(path))
    }

    /// An error of a rule.
    fn error(&self, code: &'static str, message: impl Into<String>, place: Place) -> Diagnostic {
        Diagnostic::error(code, message).at(place)
    }
}

/// A warning that a component's authors may know better than.
fn advice(code: &'static str, message: impl Into<String>, place: Place, help: &str) -> Diagnostic {
    let known = format!("or, if it is meant so, say why: `accept: {{{code}: \"…\"}}`");
    Diagnostic::warning(code, message).at(place).help(help).help(known)
}

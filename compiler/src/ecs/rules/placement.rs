//! Rules of placement and scheduling.
//!
//! Source: CreateService in the ECS API reference (`schedulingStrategy`, `availabilityZoneRebalancing`).

use crate::diagnostics::Report;
use crate::ecs::json::{items, number, text};

use super::Subject;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    let service = subject.service();
    if text(service, "schedulingStrategy") != Some("DAEMON") {
        return;
    }
    let mut refuse = |path: &[&str], why: &str| {
        let member = path.last().copied().unwrap_or_default();
        report.push(
            subject
                .error(
                    "B422",
                    format!("a daemon runs one task on each container instance: {why}"),
                    subject.in_service(path),
                )
                .help(format!("remove `{member}`, or the scheduling strategy DAEMON")),
        );
    };
    if !items(service, "placementStrategy").is_empty() {
        refuse(&["placementStrategy"], "a placement strategy has no meaning");
    }
    if service.get("desiredCount").is_some() {
        refuse(&["desiredCount"], "their number is not chosen");
    }
    if text(service, "launchType") == Some("FARGATE") || subject.desired.fargate {
        refuse(&["schedulingStrategy"], "Fargate has no container instances");
    }
    let maximum = service.get("deploymentConfiguration").and_then(|c| number(c, "maximumPercent"));
    if maximum.is_some_and(|m| m != 100) {
        refuse(&["deploymentConfiguration", "maximumPercent"], "`maximumPercent` is 100");
    }
}

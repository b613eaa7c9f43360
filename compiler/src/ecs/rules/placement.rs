//! Rules of placement and scheduling.
//!
//! Source: CreateService in the ECS API reference (`schedulingStrategy`, `availabilityZoneRebalancing`).

use crate::diagnostics::Report;
use crate::ecs::json::{items, number, text};

use super::Subject;

/// A service takes at most this many of each.
const MAX_STRATEGIES: usize = 5;
const MAX_CONSTRAINTS: usize = 10;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    strategies(subject, report);
    rebalancing(subject, report);
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

/// Each strategy has a field that it knows.
fn strategies(subject: &Subject<'_>, report: &mut Report) {
    let strategies = items(subject.service(), "placementStrategy");
    for (index, strategy) in strategies.iter().enumerate() {
        let (kind, field) = (text(strategy, "type").unwrap_or_default(), text(strategy, "field"));
        let good = match kind {
            "binpack" => matches!(field.map(str::to_ascii_lowercase).as_deref(), Some("cpu" | "memory")),
            "spread" => field.is_some_and(|f| matches!(f, "instanceId" | "host") || f.starts_with("attribute:")),
            _ => field.is_none(),
        };
        if !good {
            let help = match kind {
                "binpack" => "write `field: cpu` or `field: memory`",
                "spread" => "write `field: zone`, `field: instance` or `field: \"attribute:NAME\"`",
                _ => "remove `field`: tasks are placed at random",
            };
            let shown = field.map_or("no field".to_owned(), |f| format!("`{f}`"));
            report.push(
                subject
                    .error(
                        "B432",
                        format!("the placement strategy {kind} does not go with {shown}"),
                        subject.in_service(["placementStrategy", &index.to_string()]),
                    )
                    .help(help),
            );
        }
    }
    for (member, most) in [("placementStrategy", MAX_STRATEGIES), ("placementConstraints", MAX_CONSTRAINTS)] {
        let count = items(subject.service(), member).len();
        if count > most {
            report.push(
                subject
                    .error(
                        "B432",
                        format!("{count} entries of `{member}` are given; ECS takes at most {most}"),
                        subject.in_service([member]),
                    )
                    .help("keep the most important ones"),
            );
        }
    }
}

/// Moving tasks between zones excludes what keeps them in place.
fn rebalancing(subject: &Subject<'_>, report: &mut Report) {
    let service = subject.service();
    if text(service, "availabilityZoneRebalancing") != Some("ENABLED") {
        return;
    }
    let first = items(service, "placementStrategy").first();
    let zone = |s: &serde_json::Value| {
        text(s, "type") == Some("spread") && text(s, "field") == Some("attribute:ecs.availability-zone")
    };
    let zoned = |c: &serde_json::Value| text(c, "expression").is_some_and(|e| e.contains("availability-zone"));
    let why = if text(service, "schedulingStrategy") == Some("DAEMON") {
        "a daemon has a task on each instance"
    } else if subject.desired.external() {
        "external instances have no zones"
    } else if subject.desired.percents().1 <= 100 {
        "no task may start beside the one that is moved (`maximumPercent` is 100)"
    } else if subject.desired.behind_classic() {
        "a classic load balancer is attached"
    } else if items(service, "placementConstraints").iter().any(zoned) {
        "a placement constraint names availability zones"
    } else if first.is_some_and(|s| !zone(s)) {
        "the first placement strategy is not to spread over availability zones"
    } else {
        return;
    };
    report.push(
        subject
            .error(
                "B432",
                format!("ECS cannot move tasks between availability zones: {why}"),
                subject.in_service(["availabilityZoneRebalancing"]),
            )
            .help("remove `zone_rebalancing`: Belay asks for it wherever it can work"),
    );
}

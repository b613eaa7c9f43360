//! Rules of deployments that shift traffic: blue/green, linear, canary.
//!
//! Source: CreateService in the ECS API reference (`deploymentConfiguration`, `AdvancedConfiguration`); ECS developer
//! guide, "Amazon ECS blue/green deployments" and its pages on linear and canary deployments.

use serde_json::Value;

use crate::diagnostics::Report;
use crate::ecs::json::{items, text};
use crate::ecs::leads;
use crate::ecs::{groups as ecs_groups, made, routing};

use super::Subject;

/// Minutes that AWS waits at most after a shift of traffic.
const MAX_BAKE: f64 = 1440.0;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    let Some(configuration) = subject.service().get("deploymentConfiguration") else { return };
    let strategy = text(configuration, "strategy").unwrap_or("ROLLING");
    blocks(subject, configuration, strategy, report);
    if strategy == "ROLLING" {
        return;
    }
    if strategy == "BLUE_GREEN" && configuration.get("bakeTimeInMinutes").is_none() {
        report.push(
            subject
                .error("B430", "a blue/green deployment needs the time for which both versions stay", place(subject, "strategy"))
                .help("write `bakeTimeInMinutes`: so long after the shift of traffic the old version can still be gone back to"),
        );
    }
    if text(subject.service(), "schedulingStrategy") == Some("DAEMON") {
        report.push(
            subject
                .error("B430", format!("a daemon cannot be deployed as {strategy}"), place(subject, "strategy"))
                .help("remove `strategy`: daemons are replaced instance by instance"),
        );
    }
    let entries = items(subject.service(), "loadBalancers");
    let connected = subject.service().get("serviceConnectConfiguration").is_some_and(|c| c["enabled"] == true);
    // Blue/green without any traffic just starts all new tasks before the old ones stop.
    if entries.is_empty() && !connected && strategy != "BLUE_GREEN" {
        report.push(
            subject
                .error(
                    "B430",
                    format!(
                        "{strategy} shifts traffic, and `{}` gets none that AWS could shift",
                        subject.desired.component
                    ),
                    place(subject, "strategy"),
                )
                .help("put it behind a gateway of the type `load_balancer`, or remove `strategy`"),
        );
    }
    for (index, entry) in entries.iter().enumerate() {
        balancer(subject, strategy, index, entry, report);
    }
}

fn place(subject: &Subject<'_>, member: &str) -> crate::diagnostics::Place {
    subject.in_service(["deploymentConfiguration", member])
}

/// What belongs to one strategy stands under that strategy, within its ranges.
fn blocks(subject: &Subject<'_>, configuration: &Value, strategy: &str, report: &mut Report) {
    for (block, of, ranges) in [
        ("linearConfiguration", "LINEAR", [("stepPercent", 3.0, 100.0), ("stepBakeTimeInMinutes", 0.0, MAX_BAKE)]),
        ("canaryConfiguration", "CANARY", [("canaryPercent", 0.1, 100.0), ("canaryBakeTimeInMinutes", 0.0, MAX_BAKE)]),
    ] {
        let Some(values) = configuration.get(block) else { continue };
        if strategy != of {
            report.push(
                subject
                    .error(
                        "B431",
                        format!("`{block}` belongs to the strategy {of}, and the strategy is {strategy}"),
                        place(subject, block),
                    )
                    .help(format!("write `strategy: {of}`, or remove `{block}`")),
            );
        }
        for (member, least, most) in ranges {
            if let Some(value) = values.get(member).and_then(Value::as_f64)
                && !(least..=most).contains(&value)
            {
                report.push(
                    subject
                        .error(
                            "B431",
                            format!("`{member}` is {value}, and AWS takes {least} to {most}"),
                            subject.in_service(["deploymentConfiguration", block, member]),
                        )
                        .help(format!("write a value from {least} to {most}")),
                );
            }
        }
    }
    if let Some(bake) = configuration.get("bakeTimeInMinutes").and_then(Value::as_f64)
        && !(0.0..=MAX_BAKE).contains(&bake)
    {
        report.push(
            subject
                .error(
                    "B431",
                    format!("`bakeTimeInMinutes` is {bake}, and AWS takes 0 to {MAX_BAKE}"),
                    place(subject, "bakeTimeInMinutes"),
                )
                .help("a day is the most"),
        );
    }
    for (index, hook) in items(configuration, "lifecycleHooks").iter().enumerate() {
        let at = || subject.in_service(["deploymentConfiguration", "lifecycleHooks", &index.to_string()]);
        if items(hook, "lifecycleStages").is_empty() {
            report.push(
                subject
                    .error("B431", "a lifecycle hook without stages is never called", at())
                    .help("write `lifecycleStages`, for example `[POST_TEST_TRAFFIC_SHIFT]`"),
            );
        }
        let shifts = items(hook, "lifecycleStages").iter().filter_map(Value::as_str).find(|s| s.ends_with("_SHIFT"));
        if let (Some(stage), "ROLLING") = (shifts, strategy) {
            report.push(
                subject
                    .error("B431", format!("a rolling deployment shifts no traffic, so it has no stage {stage}"), at())
                    .help("choose a strategy that shifts traffic, or another stage"),
            );
        }
    }
}

/// Where traffic is shifted: from one target group to another one, by a rule of a listener.
fn balancer(subject: &Subject<'_>, strategy: &str, index: usize, entry: &Value, report: &mut Report) {
    let number = index.to_string();
    let here = subject.in_service(["loadBalancers", &number]);
    let mut refuse = |message: String, place, help: &str| report.push(subject.error("B430", message, place).help(help));
    let Some(group) = text(entry, "targetGroupArn") else {
        refuse(
            format!("a classic load balancer cannot shift traffic, as {strategy} does"),
            here,
            "use a target group, or remove `strategy`",
        );
        return;
    };
    let Some(advanced) = entry.get("advancedConfiguration") else {
        refuse(
            format!("{strategy} shifts traffic between two target groups, and nothing says how"),
            here,
            "write `switch` for this gateway in `lb` of the environment: `{name: …, switch: {to: OTHER_GROUP, rule: RULE, role: ROLE}}`",
        );
        return;
    };
    let within = |member: &str| subject.in_service(["loadBalancers", &number, "advancedConfiguration", member]);
    for (member, what) in [
        ("alternateTargetGroupArn", "the target group that the new version gets"),
        ("productionListenerRule", "the listener rule that leads users to the service"),
        ("roleArn", "the role with which ECS changes the rule"),
    ] {
        if text(advanced, member).is_none() {
            refuse(
                format!("{strategy} needs `{member}`: {what}"),
                within(member),
                "write it in `advancedConfiguration` of the gateway's `raw`",
            );
        }
    }
    if text(advanced, "alternateTargetGroupArn") == Some(group) {
        refuse(
            "both versions would be in the same target group".to_owned(),
            within("alternateTargetGroupArn"),
            "name another target group of the same type, protocol and VPC",
        );
    }
    let production = text(advanced, "productionListenerRule");
    if let Some(test) = text(advanced, "testListenerRule")
        && Some(test) == production
    {
        refuse(
            "test traffic and users' traffic would take the same rule".to_owned(),
            within("testListenerRule"),
            "name another rule for test traffic, or none",
        );
    }
    for member in ["productionListenerRule", "testListenerRule"] {
        let Some(arn) = text(advanced, member) else { continue };
        // Of an application load balancer it is a rule, of a network load balancer a listener.
        let good = arn.contains(":listener-rule/app/") || leads::is_network(arn) || made::is_made(arn);
        if !good {
            refuse(
                format!(
                    "`{arn}` is neither a rule of an application load balancer nor a listener of a network load balancer"
                ),
                within(member),
                "write the ARN `…:listener-rule/app/…`, or `…:listener/net/…`",
            );
        }
    }
    leads(subject, group, advanced, &within("productionListenerRule"), report);
    groups(subject, group, advanced, &within("alternateTargetGroupArn"), report);
}

/// The rule for users' traffic is there, and leads to one of the two groups.
fn leads(subject: &Subject<'_>, group: &str, advanced: &Value, place: &crate::diagnostics::Place, report: &mut Report) {
    let Some(arn) = text(advanced, "productionListenerRule").filter(|arn| !made::is_made(arn)) else { return };
    let Some(facts) = subject.context.facts else { return };
    // One that a raw block names was not looked at.
    if !routing::listener_of(arn).is_some_and(|listener| facts.looked_at(&listener)) {
        return;
    }
    let alternate = text(advanced, "alternateTargetGroupArn").unwrap_or_default();
    let diagnostic = match facts.led_to(arn) {
        None => subject
            .error("B430", format!("there is no rule `{arn}`"), place.clone())
            .help("correct the ARN, or create the rule first; then observe again"),
        Some(groups) if !groups.iter().any(|to| [group, alternate].contains(to)) => subject
            .error("B430", format!("the rule `{arn}` leads to neither of the two target groups"), place.clone())
            .help("let it forward to the target group that the gateway names, or name another rule"),
        Some(_) => return,
    };
    report.push(diagnostic);
}

/// What was observed of the two groups fits together.
fn groups(
    subject: &Subject<'_>,
    group: &str,
    advanced: &Value,
    place: &crate::diagnostics::Place,
    report: &mut Report,
) {
    let alternate = text(advanced, "alternateTargetGroupArn").unwrap_or_default();
    let found = |arn: &str| ecs_groups::described(subject.context, arn);
    let (Some(first), Some(second)) = (found(group), found(alternate)) else { return };
    let (first, second) = (&first, &second);
    for (member, what) in [("TargetType", "type"), ("Protocol", "protocol"), ("VpcId", "VPC")] {
        if let (Some(one), Some(other)) = (text(first, member), text(second, member))
            && one != other
        {
            report.push(
                subject
                    .error(
                        "B430",
                        format!("the two target groups differ in their {what}: {one} and {other}"),
                        place.clone(),
                    )
                    .help("both versions have to be reached the same way"),
            );
        }
    }
}

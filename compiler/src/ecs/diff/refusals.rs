//! What AWS does not change of a service that runs, and what helps instead.
//!
//! Invariant: whatever could not be taken back is refused here, before anything is planned.

use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::desired::Desired;
use crate::ecs::facts::Facts;
use crate::ecs::json::{any_fargate, items, provider_names, text};
use crate::ecs::{names, normal, pointer, shift};

/// What helps where AWS does not change a service that runs.
const BESIDE: &str = "give the component another name, so that a new service is made beside it and the old one is taken away as an orphan";

/// The same, with the other way to a new service.
fn anew(desired: &Desired) -> String {
    format!("{BESIDE}; or tear `{}` down first", desired.component)
}

/// Refuses to change a member.
pub(super) fn refuse(desired: &Desired, member: &str, from: Option<&Value>, to: Option<&Value>, report: &mut Report) {
    let shown = |value: Option<&Value>| match value
        .filter(|value| !value.is_null())
        .cloned()
        .or_else(|| normal::default(member, ""))
    {
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let (from, to) = (shown(from), shown(to));
    report.push(
        Diagnostic::error(
            "B530",
            format!(
                "AWS cannot change `{member}` of the running service `{}` from {from} to {to}",
                desired.service_name
            ),
        )
        .at(desired.service_origins.of(&pointer::join("", member)))
        .help(anew(desired)),
    );
}

/// A service that has had subnets keeps them: AWS knows no way to take its network configuration out, and refuses to
/// run tasks of another network mode with it.
pub(super) fn refuse_mode(facts: &Facts<'_>, desired: &Desired, service: &Value, report: &mut Report) {
    let mode = text(service, "taskDefinition").and_then(|arn| facts.definition(arn)).map(|d| d.task);
    let from = mode.and_then(|task| text(task, "networkMode")).unwrap_or("bridge");
    let to = desired.network_mode();
    let why = if to == "awsvpc" {
        "AWS keeps the subnets of a service, so nothing could bring the old mode back"
    } else {
        "AWS keeps the subnets of the service, which do not go with the new mode"
    };
    report.push(
        Diagnostic::error(
            "B530",
            format!(
                "the network mode of the running service `{}` cannot change from {from} to {to}: {why}",
                desired.service_name
            ),
        )
        .at(desired.task_origins.of("/networkMode"))
        .help(anew(desired)),
    );
}

/// UpdateService takes one provider of Managed Instances at most (hashicorp/terraform-provider-aws#47935), so that a service that
/// was made with several of them keeps them, and none comes to have several.
pub(super) fn compare_managed(facts: &Facts<'_>, desired: &Desired, service: &Value, report: &mut Report) {
    let several = |strategy: &[Value]| strategy.len() > 1 && facts.any_managed(strategy);
    let (before, after) =
        (items(service, "capacityProviderStrategy"), items(&desired.service, "capacityProviderStrategy"));
    if !several(before) && !several(after) {
        return;
    }
    report.push(
        Diagnostic::error(
            "B530",
            format!(
                "AWS does not change the capacity providers of the running service `{}` from or to several of Managed Instances",
                desired.service_name
            ),
        )
        .at(desired.service_origins.of("/capacityProviderStrategy"))
        .help(format!("leave `capacity` as it is; or {BESIDE}")),
    );
}

/// A service that gives its capacity providers up goes back to the launch type that they are of. Providers of another kind
/// than the launch type that runs could not be taken back.
pub(super) fn compare_capacity(facts: &Facts<'_>, desired: &Desired, service: &Value, report: &mut Report) {
    let wanted = items(&desired.service, "capacityProviderStrategy");
    let running = items(service, "capacityProviderStrategy");
    let leaves = wanted.is_empty() && !desired.managed && facts.any_managed(running);
    if leaves && text(service, "launchType").is_none() {
        let given = provider_names(running).collect::<Vec<_>>().join(", ");
        report.push(
            Diagnostic::error(
                "B530",
                format!("service `{}` runs on Managed Instances ({given}), and AWS does not say what it would run on without", desired.service_name),
            )
            .at(Place::model(["components", &desired.component]).key())
            .help("write `capacity` with the providers that it is to have")
            .help(format!("or {BESIDE}")),
        );
    }
    if let Some(running) = text(service, "launchType")
        && !wanted.is_empty()
        && (running == "EXTERNAL" || desired.managed || (running == "FARGATE") != any_fargate(wanted))
    {
        let strategy = desired.service.get("capacityProviderStrategy");
        report.push(
            Diagnostic::error(
                "B530",
                format!(
                    "service `{}` runs with the launch type {running}, which nothing brings back once it has capacity providers of another kind",
                    desired.service_name
                ),
            )
            .at(desired.service_origins.of("/capacityProviderStrategy"))
            .label(format!("wanted here: {}", strategy.map(Value::to_string).unwrap_or_default()))
            .help(anew(desired)),
        );
    }
}

/// A service that gives up shifting its traffic stays in the target group that its load balancer names: the traffic has to
/// be there.
pub(super) fn compare_traffic(facts: &Facts<'_>, desired: &Desired, service: &Value, report: &mut Report) {
    if !shift::shifts(service) || shift::shifts(&desired.service) {
        return;
    }
    let Some(live) = facts.live_group(service) else { return };
    if items(service, "loadBalancers").iter().any(|b| text(b, "targetGroupArn") == Some(live)) {
        return;
    }
    let name = names::target_group(live);
    report.push(
        Diagnostic::error(
            "B530",
            format!(
                "service `{}` cannot be deployed without a shift of traffic now: `{name}` has its traffic, and its new tasks would get into the other target group",
                desired.service_name
            ),
        )
        .at(desired.service_origins.of("/deploymentConfiguration/strategy"))
        .help("deploy once more with the old strategy (`--replace-all` will do), which brings the traffic back; then change it"),
    );
}

/// The role is given when a service is created, and never changes.
pub(super) fn compare_role(desired: &Desired, service: &Value, report: &mut Report) {
    // A role that is nobody's, and the service-linked one, are none that anybody gave.
    let given = |arn: &&str| !arn.is_empty() && !arn.ends_with("/AWSServiceRoleForECS");
    let running = text(service, "roleArn").filter(given);
    let wanted = text(&desired.service, "role");
    let same = match (running, wanted) {
        (None, None) => true,
        (Some(running), Some(wanted)) => running == wanted || running.rsplit('/').next() == Some(wanted),
        _ => false,
    };
    if !same {
        refuse(desired, "role", Some(&json!(running)), Some(&json!(wanted)), report);
    }
}

//! Where listeners of network load balancers lead: everything that such a listener gets goes to one place.
//!
//! Invariants: a listener is not ours, so it is turned and turned back, never made or deleted; it never stops leading to
//! tasks before they can be reached elsewhere.

use std::collections::BTreeMap;

use belay_schemas::environment::ListenerRule;
use belay_schemas::plan::Mode;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};

use super::json::{items, text};
use super::routing::{config_listener, target};
use super::{Context, groups, names};

/// Where a listener of a network load balancer is to lead everything that it gets.
#[derive(Debug, Clone)]
pub struct Lead<'a> {
    /// The listener's name in the environment.
    pub at: &'a str,
    /// ARN of the listener.
    pub listener: &'a str,
    /// ARN of the target group.
    pub group: String,
    /// Components behind it.
    pub components: Vec<&'a str>,
    /// Where it is said.
    pub place: Place,
    /// The listener as it is.
    pub running: &'a Value,
}

/// Whether an ARN is that of a listener of a network load balancer.
pub fn is_network(arn: &str) -> bool {
    arn.contains(":listener/net/")
}

/// Where a listener of a network load balancer is to lead.
pub fn lead<'a>(
    context: Context<'a>,
    name: &'a str,
    rule: &'a ListenerRule,
    (place, (at, listener)): (Place, (&'a String, &'a String)),
    report: &mut Report,
) -> Option<Lead<'a>> {
    let refusal =
        |message: String, key: &str, help: &str| Diagnostic::error("B443", message).at(place.child(key)).help(help);
    let given =
        [("priority", rule.priority.is_some()), ("host", !rule.host.is_empty()), ("path", !rule.path.is_empty())];
    if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
        report.push(refusal(
            format!("rule `{name}` stands at a listener of a network load balancer and has a `{key}`"),
            key,
            "remove it: such a listener leads everything that it gets to one place",
        ));
        return None;
    }
    let Some(facts) = context.facts else {
        report.push(
            Diagnostic::error("B345", format!("where listener `{at}` leads now has to be looked up"))
                .at(place.child("listener"))
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
        return None;
    };
    let (setting, group, components) = target(context, name, rule, &place, report)?;
    if setting.switch.is_some() {
        report.push(refusal(
            format!("rule `{name}` leads to gateway `{}`, whose traffic ECS itself shifts at that listener", rule.to),
            "to",
            "remove the rule: name a target group that the listener leads to, and the listener's ARN as the `rule` of `switch`",
        ));
        return None;
    }
    // That there is none is told with the listeners.
    let running = facts.leading(listener)?;
    let now = facts.led_to(listener).unwrap_or_default();
    let empty = facts.target_group(&group).is_none_or(|group| items(group, "LoadBalancerArns").is_empty());
    let other =
        |arn: &&&str| facts.tag(arn, &context.tag("project")).is_some_and(|owner| owner != context.options.project);
    if let Some(arn) = now.iter().find(other) {
        report.push(
            Diagnostic::error(
                "B501",
                format!(
                    "listener `{at}` leads to target group `{}`, which is another project's",
                    names::target_group(arn)
                ),
            )
            .at(place.child("listener"))
            .help("name a listener of this project's: Belay never touches what another project owns"),
        );
        return None;
    }
    unfit(context, name, (at, running), &group).into_iter().for_each(|(message, help)| {
        report.push(refusal(message, "to", &help));
    });
    let uses = |service: &Value| {
        let named = items(service, "loadBalancers").iter().filter_map(|balancer| text(balancer, "targetGroupArn"));
        named.into_iter().any(|arn| now.contains(&arn))
    };
    let moves = empty && !now.contains(&group.as_str());
    if let Some((service, _)) = facts.services().find(|(_, service)| moves && uses(service)) {
        report.push(refusal(
            format!("listener `{at}` would stop leading to service `{service}` before tasks are in the new target group"),
            "to",
            "let another listener lead to the new target group first, by a gateway of its own; move this one with the next plan",
        ));
        return None;
    }
    Some(Lead { at, listener, group, components, place, running })
}

/// Why a listener cannot lead to a target group: its protocol, or that the group belongs to another load balancer.
fn unfit(context: Context<'_>, name: &str, (at, listener): (&str, &Value), group: &str) -> Option<(String, String)> {
    let described = groups::described(context, group)?;
    let (own, its) = (text(listener, "Protocol")?, text(&described, "Protocol")?);
    let takes: &[&str] = match own {
        "TCP" => &["TCP", "TCP_UDP"],
        "TLS" => &["TCP", "TLS"],
        "UDP" => &["UDP", "TCP_UDP"],
        other => &[other],
    };
    if !takes.contains(&its) && !its.starts_with("HTTP") {
        return Some((
            format!("rule `{name}` leads to a target group of the protocol {its}, and listener `{at}` speaks {own}"),
            format!("such a listener leads to target groups of the protocols {}", takes.join(" and ")),
        ));
    }
    let balancers = items(&described, "LoadBalancerArns");
    let there = balancers.iter().any(|arn| arn.as_str() == text(listener, "LoadBalancerArn"));
    (!balancers.is_empty() && !there).then(|| {
        (
            format!("rule `{name}` leads to a target group of another load balancer than that of listener `{at}`"),
            "AWS lets a target group belong to one load balancer: name another one".to_owned(),
        )
    })
}

/// A listener of a network load balancer leads to one place.
pub fn one_each(leads: &[Lead<'_>], report: &mut Report) {
    let mut seen: BTreeMap<&str, &Lead<'_>> = BTreeMap::new();
    for lead in leads {
        if let Some(first) = seen.insert(lead.listener, lead) {
            report.push(
                Diagnostic::error("B443", format!("two rules say where listener `{}` leads", lead.at))
                    .at(lead.place.clone())
                    .related(first.place.clone(), "the other one is here")
                    .help("keep one: a listener of a network load balancer leads everything that it gets to one place"),
            );
        }
    }
}

/// Whether the environment says where a listener of a network load balancer leads.
pub fn is_turned(context: Context<'_>, listener: &str) -> bool {
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let rules = config.into_iter().flat_map(|config| config.rules.values());
    is_network(listener)
        && context.options.mode == Mode::Deploy
        && rules.filter_map(|rule| config_listener(context, rule)).any(|(_, arn)| arn == listener)
}

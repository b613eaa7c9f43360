//! How the number of a component's tasks follows its load: what Application Auto Scaling should hold.
//!
//! Invariant: names of policies and scheduled actions begin with the service's name and a dot, which tells ours from
//! others': no service has a dot in its name. (Scheduled actions take neither `/` nor `:`.)

use std::collections::BTreeMap;

use belay_schemas::model::{CustomMetric, ScalingMetric, TargetTracking};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, number, text};
use crate::ecs::made;

use super::steps::{self, Step};
use super::{Attachment, Balancer, Part};

/// What Application Auto Scaling should hold for a service.
#[derive(Debug, Clone)]
pub struct Scaling {
    /// Fewest tasks.
    pub min: u64,
    /// Most tasks.
    pub max: u64,
    /// `TargetTrackingScalingPolicyConfiguration` by the policy's name.
    pub policies: BTreeMap<String, (Value, Place)>,
    /// Policies that scale in steps, with their alarms, by the policy's name.
    pub steps: BTreeMap<String, Step>,
    /// `Schedule`, `Timezone` and `ScalableTargetAction` by the action's name.
    pub actions: BTreeMap<String, (Value, Place)>,
    /// Where the limits are said.
    pub place: Place,
}

/// Builds it; the service keeps the number of tasks that it runs, or begins with one within the limits.
pub fn build(part: Part<'_>, service: &mut Value, report: &mut Report) -> Option<Scaling> {
    let wanted = part.settled.settings.scaling.as_ref()?;
    let place = part.settled.place("scaling");
    let (min, max) = (u64::from(wanted.min), u64::from(wanted.max));
    if min > max {
        report.push(
            Diagnostic::error("B439", format!("at least {min} tasks of `{}` are wanted, and at most {max}", part.name))
                .at(place.child("min"))
                .related(place.child("max"), "the most is here")
                .help("write a `min` of at most `max`"),
        );
        return None;
    }
    if text(service, "schedulingStrategy") == Some("DAEMON") || part.component.singleton == Some(true) {
        let what = if part.component.singleton == Some(true) { "singleton" } else { "daemon" };
        report.push(
            Diagnostic::error(
                "B439",
                format!("`{}` is a {what}: the number of its tasks does not follow the load", part.name),
            )
            .at(place.clone())
            .help(format!("remove `scaling`, or remove `{what}`")),
        );
        return None;
    }
    if let Some(replicas) = part.component.replicas.map(u64::from).filter(|r| !(min..=max).contains(r)) {
        report.push(
            Diagnostic::error(
                "B439",
                format!("`{}` begins with {replicas} tasks, outside of its limits {min} to {max}", part.name),
            )
            .at(Place::model(["components", part.name, "replicas"]))
            .related(place.clone(), "the limits are here")
            .help("write `replicas` within them, or remove it: then it begins with the fewest"),
        );
    }
    let name = part.context.service_name(part.name);
    let running = part.context.facts.and_then(|f| f.service(&name)).and_then(|s| number(s, "desiredCount"));
    let count = running.map_or_else(|| part.component.replicas.map_or(min, u64::from), |r| r.clamp(min, max));
    service["desiredCount"] = json!(count);
    let targets = wanted.target.keys().map(|k| ("target", k));
    let stepped = wanted.step.keys().map(|k| ("step", k));
    for (list, key) in targets.chain(stepped).chain(wanted.schedule.keys().map(|k| ("schedule", k))) {
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            report.push(
                Diagnostic::error("B401", format!("`{key}` cannot be a name in `{list}`"))
                    .at(place.child(list).child(key).key())
                    .help("it becomes part of a name in Application Auto Scaling: use letters, digits, hyphens and underscores"),
            );
        }
    }
    let policies = wanted.target.iter().filter_map(|(key, policy)| {
        let at = place.child("target").child(key);
        Some((format!("{name}.{key}"), (tracking(part, policy, &at, report)?, at)))
    });
    let policies: BTreeMap<String, (Value, Place)> = policies.collect();
    for key in wanted.step.keys().filter(|key| wanted.target.contains_key(*key)) {
        report.push(
            Diagnostic::error("B439", format!("two policies are called `{key}`"))
                .at(place.child("step").child(key).key())
                .related(place.child("target").child(key).key(), "the other one is here")
                .help("AWS knows a policy by its name: give one of them another one"),
        );
    }
    let steps = wanted.step.iter().filter_map(|(key, policy)| {
        let at = place.child("step").child(key);
        Some((format!("{name}.{key}"), steps::build(part, key, policy, at, report)?))
    });
    let steps = steps.collect();
    let actions = wanted.schedule.iter().map(|(key, limits)| {
        let at = place.child("schedule").child(key);
        let mut action = Map::new();
        for (member, value) in [("MinCapacity", limits.min), ("MaxCapacity", limits.max)] {
            if let Some(value) = value {
                action.insert(member.to_owned(), json!(value));
            }
        }
        if action.is_empty() {
            report.push(
                Diagnostic::error("B439", format!("the scheduled limits `{key}` say neither `min` nor `max`"))
                    .at(at.clone())
                    .help("write the fewest or the most tasks from then on"),
            );
        }
        let mut out = json!({"Schedule": limits.when, "ScalableTargetAction": action});
        if let Some(zone) = &limits.timezone {
            out["Timezone"] = json!(zone);
        }
        super::check_when(&limits.when, &at.child("when"), report);
        (format!("{name}.{key}"), (out, at))
    });
    let actions = actions.collect();
    Some(Scaling { min, max, policies, steps, actions, place })
}

/// Whether a metric of one's own is described, and no other one.
pub fn described(metric: &ScalingMetric, custom: bool, at: &Place, report: &mut Report) -> bool {
    let fits = (*metric == ScalingMetric::Custom) == custom;
    if !fits {
        report.push(
            Diagnostic::error("B439", "`custom` describes the metric where `metric` is `custom`, and only there")
                .at(at.clone())
                .help(
                    "write `metric: custom` and `custom: {namespace: …, name: …}`, or one of cpu, memory and requests",
                ),
        );
    }
    fits
}

fn tracking(part: Part<'_>, policy: &TargetTracking, at: &Place, report: &mut Report) -> Option<Value> {
    let predefined = |kind: &str| json!({"PredefinedMetricSpecification": {"PredefinedMetricType": kind}});
    if !described(&policy.metric, policy.custom.is_some(), at, report) {
        return None;
    }
    let mut out = match policy.metric {
        ScalingMetric::Cpu => predefined("ECSServiceAverageCPUUtilization"),
        ScalingMetric::Memory => predefined("ECSServiceAverageMemoryUtilization"),
        ScalingMetric::Requests => {
            let mut out = predefined("ALBRequestCountPerTarget");
            out["PredefinedMetricSpecification"]["ResourceLabel"] =
                json!(label(part, policy.gateway.as_deref(), at, report)?);
            out
        }
        ScalingMetric::Custom => {
            let custom = policy.custom.as_ref()?;
            let dimensions = dimensions(custom);
            let mut metric = json!({
                "Namespace": custom.namespace, "MetricName": custom.name,
                "Statistic": custom.statistic.as_deref().unwrap_or("Average"),
            });
            if !dimensions.is_empty() {
                metric["Dimensions"] = Value::Array(dimensions);
            }
            json!({"CustomizedMetricSpecification": metric})
        }
    };
    out["TargetValue"] = json!(policy.value);
    out["DisableScaleIn"] = json!(policy.never_in.unwrap_or(false));
    for (member, seconds) in [("ScaleOutCooldown", policy.out_cooldown), ("ScaleInCooldown", policy.in_cooldown)] {
        if let Some(seconds) = seconds {
            out[member] = json!(seconds);
        }
    }
    Some(out)
}

/// The dimensions of a metric of one's own, by name.
pub fn dimensions(custom: &CustomMetric) -> Vec<Value> {
    custom.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value.0})).collect()
}

/// `app/NAME/ID/targetgroup/NAME/ID`: the target group whose requests count, behind its load balancer.
pub fn label(part: Part<'_>, gateway: Option<&str>, at: &Place, report: &mut Report) -> Option<String> {
    let fault = |message: String, help: &str| Diagnostic::error("B439", message).at(at.clone()).help(help.to_owned());
    let groups: Vec<(&Attachment, &str)> = part
        .attachments
        .iter()
        .filter(|a| gateway.is_none_or(|g| g == a.gateway))
        .filter_map(|a| match &a.balancer {
            Balancer::TargetGroup { arn } => Some((a, arn.as_str())),
            Balancer::Classic { .. } => None,
        })
        .collect();
    let [(_, arn)] = groups.as_slice() else {
        let (what, help) = if groups.is_empty() {
            (
                "is not behind a target group whose requests could count",
                "put the component behind a gateway with a target group, or choose another metric",
            )
        } else {
            ("is behind several target groups", "say whose requests count with `gateway:`")
        };
        report.push(fault(format!("`{}` {what}", part.name), help));
        return None;
    };
    if made::is_made(arn) {
        report.push(fault(
            format!(
                "the target group of `{}` is made by this plan: requests count under a name that only AWS knows then",
                part.name
            ),
            "deploy without `requests` first, and add it afterwards",
        ));
        return None;
    }
    let Some(facts) = part.context.facts else {
        report.push(
            Diagnostic::error("B345", "the load balancer whose requests count has to be looked up")
                .at(at.clone())
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
        );
        return None;
    };
    let balancers = facts.target_group(arn).map(|g| items(g, "LoadBalancerArns")).unwrap_or_default();
    let balancer = balancers.iter().filter_map(Value::as_str).find_map(|b| b.split_once(":loadbalancer/"));
    let Some((_, balancer)) = balancer.filter(|(_, b)| b.starts_with("app/")) else {
        report.push(fault(
            "requests for each target are counted by application load balancers only".to_owned(),
            "choose `cpu`, `memory` or `custom`",
        ));
        return None;
    };
    let group = arn.rsplit(':').next().unwrap_or_default();
    Some(format!("{balancer}/{group}"))
}

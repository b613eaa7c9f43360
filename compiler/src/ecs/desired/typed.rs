//! Members of a service that its settings say: where its tasks run, how they are placed, how they are replaced.

use std::collections::BTreeSet;

use belay_schemas::model::{
    Deployment, DeploymentStrategy, EcsComponent, LaunchType, PlacementKind, PlacementStrategy, PropagateTags,
};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::json::{items, tag_entry, text};
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

use super::{Part, capacity, network, storage};

/// Puts what the settings say into a service.
pub fn members(
    part: Part<'_>,
    task: &Value,
    service: &mut Map<String, Value>,
    origins: &mut Origins,
    report: &mut Report,
) {
    let settings = &part.settled.settings;
    let mut put = |member: &str, key: &str, value: Value, origins: &mut Origins| {
        origins.set(pointer::join("", member), part.settled.place(key));
        service.insert(member.to_owned(), value);
    };
    if let Some(kind) = settings.launch_type {
        let kind = match kind {
            LaunchType::Ec2 => "EC2",
            LaunchType::Fargate => "FARGATE",
            LaunchType::External => "EXTERNAL",
        };
        put("launchType", "launch_type", json!(kind), origins);
    }
    if let Some(shares) = &settings.capacity {
        let place = part.settled.place("capacity");
        let list = shares.iter().enumerate().filter_map(|(index, share)| {
            let provider = capacity::provider(part.context, share, &place.child(index.to_string()), report)?;
            let (weight, base) = (share.weight.unwrap_or(1), share.base.unwrap_or(0));
            Some(json!({"capacityProvider": provider, "weight": weight, "base": base}))
        });
        let list = list.collect();
        put("capacityProviderStrategy", "capacity", list, origins);
    }
    let fargate = items(task, "requiresCompatibilities").iter().any(|c| c.as_str() == Some("FARGATE"));
    let place = part.settled.place("platform_version");
    match &settings.platform_version {
        Some(version) if fargate => put("platformVersion", "platform_version", json!(version), origins),
        // What is said for all components concerns those on Fargate.
        Some(_) if !part.settled.is_default("platform_version") => report.push(
            Diagnostic::warning(
                "B360",
                "`platform_version` has no effect: it is Fargate's, and the tasks do not run there",
            )
            .at(place.key())
            .help("remove it, or write `launch_type: FARGATE`"),
        ),
        _ => {}
    }
    let awsvpc = text(task, "networkMode") == Some("awsvpc");
    let raw = part
        .settled
        .raws
        .iter()
        .any(|(r, _)| r.service.as_ref().is_some_and(|s| s.contains_key("networkConfiguration")));
    if let Some(network) = settings.network.as_ref().filter(|_| !raw)
        && (awsvpc || !part.settled.is_default("network"))
    {
        let place = part.settled.place("network");
        let value = network::configuration(part.context, network, &place, report);
        put("networkConfiguration", "network", value, origins);
        origins.set("/networkConfiguration/awsvpcConfiguration/subnets", place.child("subnets"));
        origins.set("/networkConfiguration/awsvpcConfiguration/securityGroups", place.child("security_groups"));
    }
    for (member, key, value) in [
        ("healthCheckGracePeriodSeconds", "grace_period", settings.grace_period.map(|s| json!(s))),
        ("enableExecuteCommand", "exec", settings.exec.map(|e| json!(e))),
        ("propagateTags", "propagate_tags", settings.propagate_tags.map(|p| json!(propagated(p)))),
    ] {
        if let Some(value) = value {
            put(member, key, value, origins);
        }
    }
    if !part.settled.tags.is_empty() {
        let tags = part.settled.tags.iter().map(|(key, (value, place))| {
            origins.set(pointer::pointer(["tags", key]), place.clone());
            tag_entry(*key, value.0.clone())
        });
        let tags = tags.collect();
        put("tags", "tags", Value::Array(tags), origins);
    }
    let volumes = storage::configurations(part.context, part.component);
    if !volumes.is_empty() {
        let place = crate::diagnostics::Place::model(["components", part.name, "volumes"]);
        for (name, _) in &volumes {
            let setting = part.context.settings.volumes.get(name).map_or(place.clone(), |v| v.place.child("ebs"));
            let here = pointer::pointer(["volumeConfigurations", name]);
            origins.set_members(&pointer::join(&here, "managedEBSVolume"), &setting, &storage::EBS);
            origins.set(here, setting);
        }
        let list = volumes.into_iter().map(|(_, value)| value).collect();
        origins.set("/volumeConfigurations", place);
        service.insert("volumeConfigurations".to_owned(), Value::Array(list));
    }
    placement(part, service, origins);
    deployment(part, service, origins, report);
}

/// How traffic moves, with every number said: what AWS fills in where nobody says it is written out.
fn traffic(deployment: &Deployment, put: &mut dyn FnMut(&str, &str, Value)) {
    let Some(strategy) = deployment.strategy else { return };
    let step = deployment.step.clone().unwrap_or_default();
    let (word, block) = match strategy {
        DeploymentStrategy::Rolling => ("ROLLING", None),
        DeploymentStrategy::BlueGreen => ("BLUE_GREEN", None),
        DeploymentStrategy::Linear => {
            let said = (step.percent.unwrap_or(10.0), step.bake.unwrap_or(6));
            let of = json!({"stepPercent": percent(said.0), "stepBakeTimeInMinutes": said.1});
            ("LINEAR", Some(("linearConfiguration", of)))
        }
        DeploymentStrategy::Canary => {
            let said = (step.percent.unwrap_or(5.0), step.bake.unwrap_or(10));
            let of = json!({"canaryPercent": percent(said.0), "canaryBakeTimeInMinutes": said.1});
            ("CANARY", Some(("canaryConfiguration", of)))
        }
    };
    put("strategy", "strategy", json!(word));
    if let Some((member, block)) = block {
        put(member, if deployment.step.is_some() { "step" } else { "strategy" }, block);
    }
    match (deployment.bake, strategy) {
        (Some(bake), _) => put("bakeTimeInMinutes", "bake", json!(bake)),
        (None, DeploymentStrategy::Linear | DeploymentStrategy::Canary) => {
            put("bakeTimeInMinutes", "strategy", json!(0));
        }
        // How long both versions stay, only the user knows.
        (None, _) => {}
    }
}

/// A percentage, without a fraction where it has none.
fn percent(value: f64) -> Value {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the schema bounds it by 100")]
    let whole = value.max(0.0) as u64;
    if value.fract() == 0.0 { json!(whole) } else { json!(value) }
}

fn propagated(from: PropagateTags) -> &'static str {
    match from {
        PropagateTags::Service => "SERVICE",
        PropagateTags::TaskDefinition => "TASK_DEFINITION",
    }
}

fn placement(part: Part<'_>, service: &mut Map<String, Value>, origins: &mut Origins) {
    let Some(placement) = &part.settled.settings.placement else { return };
    let place = part.settled.place("placement");
    if !placement.strategy.is_empty() {
        for index in 0..placement.strategy.len() {
            let at = place.child("strategy").child(index.to_string());
            origins.set(format!("/placementStrategy/{index}"), at);
        }
        origins.set("/placementStrategy", place.child("strategy"));
        service.insert("placementStrategy".to_owned(), placement.strategy.iter().map(strategy).collect());
    }
    let mut constraints = Vec::new();
    if placement.distinct_instances == Some(true) {
        origins.set("/placementConstraints/0", place.child("distinct_instances"));
        constraints.push(json!({"type": "distinctInstance"}));
    }
    for (index, expression) in placement.member_of.iter().enumerate() {
        let here = format!("/placementConstraints/{}", constraints.len());
        origins.set(here, place.child("member_of").child(index.to_string()));
        constraints.push(json!({"type": "memberOf", "expression": expression}));
    }
    if !constraints.is_empty() {
        origins.set("/placementConstraints", place.clone());
        service.insert("placementConstraints".to_owned(), Value::Array(constraints));
    }
    if let Some(rebalancing) = placement.zone_rebalancing {
        origins.set("/availabilityZoneRebalancing", place.child("zone_rebalancing"));
        let rebalancing = if rebalancing { "ENABLED" } else { "DISABLED" };
        service.insert("availabilityZoneRebalancing".to_owned(), json!(rebalancing));
    }
}

/// As the API spells it; `zone` and `instance` are short for the two fields that everybody spreads over.
fn strategy(strategy: &PlacementStrategy) -> Value {
    let kind = match strategy.kind {
        PlacementKind::Spread => "spread",
        PlacementKind::Binpack => "binpack",
        PlacementKind::Random => "random",
    };
    match strategy.field.as_deref() {
        None => json!({"type": kind}),
        Some("zone") => json!({"type": kind, "field": "attribute:ecs.availability-zone"}),
        Some("instance") => json!({"type": kind, "field": "instanceId"}),
        Some(field) => json!({"type": kind, "field": field}),
    }
}

/// Percentages that the settings say.
pub fn percents(settings: &EcsComponent) -> BTreeSet<&'static str> {
    let said = settings.deployment.as_ref();
    let maximum = said.and_then(|d| d.maximum_percent).map(|_| "maximumPercent");
    let minimum = said.and_then(|d| d.minimum_healthy_percent).map(|_| "minimumHealthyPercent");
    maximum.into_iter().chain(minimum).collect()
}

fn deployment(part: Part<'_>, service: &mut Map<String, Value>, origins: &mut Origins, report: &mut Report) {
    let Some(deployment) = &part.settled.settings.deployment else { return };
    let place = part.settled.place("deployment");
    let Some(Value::Object(configuration)) = service.get_mut("deploymentConfiguration") else { return };
    let mut put = |member: &str, key: &str, value: Value| {
        origins.set(pointer::pointer(["deploymentConfiguration", member]), place.child(key));
        configuration.insert(member.to_owned(), value);
    };
    for (member, key, value) in [
        ("maximumPercent", "maximum_percent", deployment.maximum_percent),
        ("minimumHealthyPercent", "minimum_healthy_percent", deployment.minimum_healthy_percent),
    ] {
        if let Some(value) = value {
            put(member, key, json!(value));
        }
    }
    if let Some(breaker) = &deployment.circuit_breaker {
        let mut said = json!({"enable": breaker.enable, "rollback": breaker.rollback});
        for (kind, value) in [("COUNT", breaker.failures), ("BOUNDED_PERCENT", breaker.percent)] {
            if let Some(value) = value {
                said["thresholdConfiguration"] = json!({"type": kind, "value": value});
            }
        }
        put("deploymentCircuitBreaker", "circuit_breaker", said);
        if breaker.failures.is_some() && breaker.percent.is_some() {
            report.push(
                Diagnostic::error("B431", "the circuit breaker counts either failures or a percentage of the replicas")
                    .at(place.child("circuit_breaker"))
                    .help("keep one of `failures` and `percent`"),
            );
        }
    }
    traffic(deployment, &mut put);
    let shifts = deployment.strategy.is_some_and(|strategy| strategy != DeploymentStrategy::Rolling);
    for (key, said) in [("bake", deployment.bake.is_some()), ("step", deployment.step.is_some())] {
        let steps = matches!(deployment.strategy, Some(DeploymentStrategy::Linear | DeploymentStrategy::Canary));
        if said && !(shifts && (key == "bake" || steps)) {
            let of = if key == "bake" { "`blue-green`, `linear` or `canary`" } else { "`linear` or `canary`" };
            report.push(
                Diagnostic::error("B431", format!("`{key}` is for deployments with the strategy {of}"))
                    .at(place.child(key))
                    .help(format!("remove `{key}`, or choose such a `strategy`")),
            );
        }
    }
    if !deployment.alarms.is_empty() {
        let alarms = json!({"alarmNames": deployment.alarms, "enable": true, "rollback": true});
        put("alarms", "alarms", alarms);
    }
}

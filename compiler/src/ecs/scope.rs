//! The scope: what has to be observed before these inputs can be compiled.

use std::collections::BTreeSet;

use belay_schemas::FORMAT;
use belay_schemas::model::LaunchType;
use belay_schemas::plan::Mode;
use belay_schemas::scope::{EcsScope, FARGATE_ON_DEMAND, FARGATE_SPOT, NetworkScope, Scope};
use serde_json::{Map, Value};

use crate::placement::Placement;

use super::settings::Reference;
use super::{Context, groups};

/// The scope of a model in an environment.
pub fn scope(context: Context<'_>, placement: &Placement<'_>) -> Scope {
    let mut load_balancers = BTreeSet::new();
    let mut target_groups = BTreeSet::new();
    let mut balancers = BTreeSet::new();
    for setting in context.settings.balancers.values() {
        match &setting.reference {
            Reference::TargetGroup(arn) => target_groups.insert(arn.clone()),
            Reference::Classic(name) => load_balancers.insert(name.clone()),
            Reference::Name(name) => balancers.insert(name.clone()),
            Reference::Made(key) => target_groups.insert(groups::name(context, key)),
        };
        match setting.switch.as_ref().map(|s| &s.to) {
            Some(Reference::TargetGroup(name) | Reference::Name(name)) => drop(target_groups.insert(name.clone())),
            Some(Reference::Made(key)) => drop(target_groups.insert(groups::name(context, key))),
            Some(Reference::Classic(_)) | None => {}
        }
    }
    let components = &context.loaded.model.components;
    let placed = || components.iter().filter(|(name, _)| placement.ecs.contains(name.as_str()));
    let images = placed()
        .flat_map(|(_, c)| std::iter::once(&c.image).chain(c.containers.values().map(|s| &s.image)))
        .cloned()
        .collect();
    let ecs = placement.uses_ecs.then(|| {
        let mut ecs = EcsScope {
            cluster: context.settings.cluster.clone(),
            services: placed().filter(|(c, _)| is_service(context, c)).map(|(c, _)| context.service_name(c)).collect(),
            service_prefix: context.service_name(""),
            family_prefix: context.family(""),
            tag_prefix: context.settings.tag_prefix.clone(),
            container_instances: true,
            adopt: placed()
                .filter(|(name, _)| context.options.adopt.contains(name))
                .map(|(name, _)| context.service_name(name))
                .collect(),
            teardown: context.options.mode == Mode::Teardown,
            network: NetworkScope::default(),
            log_groups: BTreeSet::new(),
            listeners: BTreeSet::new(),
            made_groups: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            default_namespace: false,
            registries: BTreeSet::new(),
            record_zones: BTreeSet::new(),
            records: BTreeSet::new(),
            schedules: BTreeSet::new(),
            event_rules: BTreeSet::new(),
            quotas: BTreeSet::new(),
            scaled: BTreeSet::new(),
            stepped: BTreeSet::new(),
        };
        around(context, placement, &mut ecs);
        ecs
    });
    Scope {
        format: FORMAT,
        asg: None,
        project: context.options.project.clone(),
        region: context.settings.region.clone(),
        ecs,
        load_balancers,
        target_groups,
        balancers,
        images,
    }
}

/// Whether a component of the model is a service, rather than a task that runs once or on a schedule.
pub fn is_service(context: Context<'_>, name: &str) -> bool {
    context.loaded.model.components.get(name).is_some_and(|component| {
        let settings = super::desired::settle(context, name, component).settings;
        settings.once.is_none() && settings.schedule.is_none()
    })
}

/// What is beside the services: networks, log groups, scaling.
fn around(context: Context<'_>, placement: &Placement<'_>, scope: &mut EcsScope) {
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let everywhere = config.and_then(|c| c.logs.as_ref());
    scope.listeners.extend(config.into_iter().flat_map(|c| c.listeners.values().cloned()));
    for switch in context.settings.balancers.values().filter_map(|setting| setting.switch.as_ref()) {
        let rules = std::iter::once(&switch.rule).chain(&switch.test_rule);
        scope.listeners.extend(rules.filter_map(|rule| super::routing::listener_of(rule)));
    }
    for key in groups::used(context) {
        scope.made_groups.insert(groups::name(context, key));
        // Whatever is torn down, nobody asks where it was.
        scope.network.vpcs.extend(groups::vpc(context, key).filter(|_| !scope.teardown).map(|(vpc, _)| vpc.to_owned()));
    }
    let components = context.loaded.model.components.iter();
    for (name, component) in components.filter(|(name, _)| placement.ecs.contains(name.as_str())) {
        let settled = super::desired::settle(context, name, component);
        if let Some(network) = &settled.settings.network {
            scope.network.vpcs.extend(network.vpc.clone());
            scope.network.subnets.extend(network.subnets.iter().cloned());
            scope.network.security_groups.extend(network.security_groups.iter().cloned());
        }
        let sidecars = component.containers.values().map(|c| c.logs.as_ref().or(everywhere));
        let proxies = settled.settings.connect.as_ref().and_then(|connect| connect.logs.as_ref());
        let logs = [settled.settings.logs.as_ref(), proxies].into_iter().chain(sidecars).flatten();
        scope.log_groups.extend(logs.filter_map(super::desired::log_group).map(str::to_owned));
        let raws = settled.raws.iter().flat_map(|(raw, _)| raw.task_definition.iter().chain(&raw.container));
        let raws = raws.flat_map(Map::values).chain(component.containers.values().filter_map(|c| c.raw.as_ref()));
        raws.for_each(|raw| named_groups(raw, &mut scope.log_groups));
        let capacity = settled.settings.capacity.iter().flatten();
        let providers = capacity.filter_map(|entry| entry.provider.as_deref());
        let launch = (settled.settings.launch_type == Some(LaunchType::Fargate)).then_some("FARGATE");
        scope.quotas.extend(providers.chain(launch).filter_map(quota).map(str::to_owned));
        if settled.settings.schedule.is_some() {
            // Whichever of the two it was until now, the other one is to go.
            scope.schedules.insert(context.family(name));
            scope.event_rules.insert(context.family(name));
        }
        if let Some(discovery) = &settled.settings.discovery {
            scope.registries.insert(discovery.name.clone().unwrap_or_else(|| name.clone()));
        }
        if super::records::has_one(context, name) {
            scope.record_zones.extend(context.settings.records.as_ref().map(|setting| setting.zone.clone()));
            scope.records.extend(super::records::name(context, name));
        }
        if super::desired::may_connect(&settled.settings) || settled.settings.discovery.is_some() {
            match &context.settings.namespace {
                Some(namespace) => _ = scope.namespaces.insert(namespace.clone()),
                None => scope.default_namespace = true,
            }
        }
        if let Some(scaling) = &settled.settings.scaling {
            scope.scaled.insert(context.service_name(name));
            if !scaling.step.is_empty() {
                scope.stepped.insert(context.service_name(name));
            }
        }
    }
}

/// The quota that tasks of a capacity provider take of.
fn quota(provider: &str) -> Option<&'static str> {
    match provider {
        "FARGATE" => Some(FARGATE_ON_DEMAND),
        "FARGATE_SPOT" => Some(FARGATE_SPOT),
        _ => None,
    }
}

/// Log groups that a raw block names, wherever in it.
fn named_groups(raw: &Value, found: &mut BTreeSet<String>) {
    match raw {
        Value::Object(members) => {
            found.extend(super::json::text(raw, "awslogs-group").map(str::to_owned));
            members.values().for_each(|value| named_groups(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| named_groups(value, found)),
        _ => {}
    }
}

//! The scope: what has to be observed before these inputs can be compiled.

use std::collections::BTreeSet;

use belay_schemas::FORMAT;
use belay_schemas::plan::Mode;
use belay_schemas::scope::{EcsScope, Scope};

use crate::placement::Placement;

use super::Context;
use super::settings::Reference;

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
        };
    }
    let components = &context.loaded.model.components;
    let placed = || components.iter().filter(|(name, _)| placement.ecs.contains(name.as_str()));
    let images = placed()
        .flat_map(|(_, c)| std::iter::once(&c.image).chain(c.containers.values().map(|s| &s.image)))
        .cloned()
        .collect();
    Scope {
        format: FORMAT,
        asg: None,
        project: context.options.project.clone(),
        region: context.settings.region.clone(),
        ecs: placement.uses_ecs.then(|| EcsScope {
            cluster: context.settings.cluster.clone(),
            services: placed().map(|(c, _)| context.service_name(c)).collect(),
            service_prefix: context.service_name(""),
            family_prefix: context.family(""),
            tag_prefix: context.settings.tag_prefix.clone(),
            container_instances: true,
            teardown: context.options.mode == Mode::Teardown,
        }),
        load_balancers,
        target_groups,
        balancers,
        images,
    }
}

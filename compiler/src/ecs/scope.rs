//! The scope: what has to be observed before these inputs can be compiled.

use std::collections::BTreeSet;

use belay_schemas::FORMAT;
use belay_schemas::plan::Mode;
use belay_schemas::scope::{EcsScope, Scope};

use super::Context;
use super::settings::Reference;

/// The scope of a model in an environment.
pub fn scope(context: Context<'_>) -> Scope {
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
    let images = components
        .values()
        .flat_map(|c| std::iter::once(&c.image).chain(c.containers.values().map(|s| &s.image)))
        .cloned()
        .collect();
    Scope {
        format: FORMAT,
        asg: None,
        project: context.options.project.clone(),
        region: context.settings.region.clone(),
        ecs: Some(EcsScope {
            cluster: context.settings.cluster.clone(),
            services: components.keys().map(|c| context.service_name(c)).collect(),
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

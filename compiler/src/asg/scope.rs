//! The scope: what has to be observed of EC2 and Auto Scaling before these inputs can be compiled.

use std::collections::BTreeSet;

use belay_schemas::environment::{AsgBalancer, LaunchConfig, UserData};
use belay_schemas::scope::{AsgScope, Scope};

use super::Context;
use super::names::Side;

/// Adds what the components placed here need.
pub fn add(context: Context<'_>, components: &BTreeSet<&str>, scope: &mut Scope) {
    let settings = context.settings;
    let config = &settings.config;
    let mut asg = AsgScope {
        tag_prefix: settings.tag_prefix.clone(),
        vpc: config.vpc.clone(),
        home_vpc: config.home_vpc.unwrap_or_default(),
        ..AsgScope::default()
    };
    for name in components {
        asg.groups.extend(Side::BOTH.map(|side| context.slot_name(name, side)));
        if let Some(component) = context.loaded.model.components.get(*name) {
            if settings.docker(name) {
                scope.images.insert(component.image.clone());
            }
            if let Some(joined) = settings.container_instances(name) {
                asg.clusters.insert(joined.value.cluster);
                asg.amis.extend(component.image.starts_with("ami-").then(|| component.image.clone()));
            }
        }
    }
    let own = config.components.values().filter_map(|c| c.launch_config.as_ref());
    for launch in config.launch_config.iter().chain(own) {
        let LaunchConfig { template, ami, sg, user_data, key, .. } = launch;
        asg.templates.extend(template.clone());
        asg.amis.extend(ami.clone());
        asg.security_groups.extend(sg.iter().flatten().cloned());
        asg.key_pairs.extend(key.clone());
        if let Some(UserData::S3 { s3 }) = user_data {
            asg.objects.insert(s3.clone());
        }
    }
    for setting in settings.balancers.values() {
        match &setting.balancer {
            AsgBalancer::Classic(name) => scope.load_balancers.insert(name.clone()),
            AsgBalancer::TargetGroup { target_group, .. } => scope.target_groups.insert(target_group.clone()),
        };
    }
    scope.region = scope.region.take().or_else(|| config.region.clone());
    scope.asg = Some(asg);
}

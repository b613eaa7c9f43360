//! Gateways: their targets are components, and the environment has their load balancers.

use belay_schemas::environment::EcsConfig;
use belay_schemas::model::GatewayType;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::placement::Placement;
use crate::source::Loaded;

pub fn check(loaded: &Loaded, report: &mut Report) {
    let components = &loaded.model.components;
    let placement = Placement::of(loaded);
    let empty = EcsConfig::default();
    let config = loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref()).unwrap_or(&empty);
    let named = |name: &str| config.lb.get(name).or_else(|| config.gateways.get(name));
    for (name, gateway) in &loaded.model.gateways {
        for (index, target) in gateway.target.0.iter().enumerate() {
            if components.contains_key(target) {
                continue;
            }
            let mut diagnostic = Diagnostic::error(
                "B322",
                format!("gateway `{name}` leads to `{target}`, which is not a component of the model"),
            )
            .at(Place::model(["gateways", name, "target", &index.to_string()]));
            if let Some(near) = crate::nearest(target, components.keys().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            let known: Vec<&str> = components.keys().take(10).map(String::as_str).collect();
            report.push(diagnostic.help(format!("the components are: {}", known.join(", "))));
        }
        // An entry that is explicitly empty says that this environment has no such load balancer.
        let on_ecs = gateway.target.0.iter().any(|target| !placement.asg.contains(target.as_str()));
        if gateway.kind == GatewayType::LoadBalancer && on_ecs && named(name).is_none() {
            let entries: Vec<&str> = config.lb.keys().chain(config.gateways.keys()).map(String::as_str).collect();
            let mut diagnostic =
                Diagnostic::error("B341", format!("the environment names no load balancer for gateway `{name}`"))
                    .at(Place::model(["gateways", name]).key())
                    .related(Place::environment(["plugin_config", "ec2-ecs", "lb"]), "load balancers are named here");
            if let Some(near) =
                crate::nearest(name, entries.iter().copied().filter(|e| !loaded.model.gateways.contains_key(*e)))
            {
                diagnostic = diagnostic.help(format!("did you mean `{near}` in the environment?"));
            }
            report.push(diagnostic.help(format!(
                "add `lb: {{{name}: NAME-OR-ARN}}` under plugin_config.ec2-ecs; `{name}: null` says that there is none in this environment"
            )));
        }
    }
    unused(loaded, config, report);
}

/// An entry that nothing refers to is most likely a typo.
fn unused(loaded: &Loaded, config: &EcsConfig, report: &mut Report) {
    let model = &loaded.model;
    let manual = [config.discovery_mode, config.service_discovery_mode]
        .into_iter()
        .flatten()
        .any(|m| m == belay_schemas::environment::DiscoveryMode::ElbManual);
    for (list, entries) in [("lb", &config.lb), ("gateways", &config.gateways)] {
        for (name, entry) in entries {
            let host_port = model.gateways.get(name).is_some_and(|g| g.kind == GatewayType::HostPort);
            let of_gateway = model.gateways.contains_key(name) && !host_port;
            if entry.is_none() || of_gateway || (manual && !host_port && model.components.contains_key(name)) {
                continue;
            }
            let message = if host_port {
                format!("gateway `{name}` is a host port: its load balancer is not used")
            } else {
                format!("no gateway of the model is called `{name}`: its load balancer is not used")
            };
            let mut diagnostic =
                Diagnostic::warning("B343", message)
                    .at(Place::environment(["plugin_config", "ec2-ecs", list, name]).key());
            if host_port {
                diagnostic = diagnostic
                    .related(Place::model(["gateways", name, "type"]), "it is made a host port here")
                    .help("remove the entry, or make the gateway a `load_balancer`");
            } else if model.components.contains_key(name) {
                diagnostic = diagnostic.help(
                    "a component of that name has an implied load balancer with `discovery_mode: elb-manual` only",
                );
            } else if let Some(near) = crate::nearest(name, model.gateways.keys().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            } else {
                diagnostic = diagnostic.help("remove the entry, or add the gateway to the model");
            }
            report.push(diagnostic);
        }
    }
}

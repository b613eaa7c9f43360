//! What the inputs mean, apart from any plugin: names that refer to each other, cycles, secrets, and what this version
//! does not do yet.
//!
//! Invariant: every check reports all that it finds; none depends on what another one found.

mod gateways;
pub(crate) mod secrets;
mod unsupported;
pub(crate) mod uses;

use std::collections::BTreeMap;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::placement;
use crate::source::Loaded;

/// Judges the inputs.
pub fn check(loaded: &Loaded, report: &mut Report) {
    fits_a_cluster(loaded, report);
    names(loaded, report);
    overrides(loaded, report);
    uses::check(loaded, report);
    gateways::check(loaded, report);
    secrets::check(loaded, report);
    unsupported::check(loaded, report);
    placement::check(loaded, report);
    regions(loaded, report);
}

/// Services in one cluster that AWS allows unless the account's quota was raised (ECS service quotas, "Services per
/// cluster", which is adjustable).
const SERVICES: usize = 5_000;

fn fits_a_cluster(loaded: &Loaded, report: &mut Report) {
    let count = loaded.model.components.len();
    if count > SERVICES {
        report.push(
            Diagnostic::warning(
                "B309",
                format!("the model has {count} components, but a cluster has at most {SERVICES} services unless the quota of the account was raised"),
            )
            .at(Place::model(["components"]).key())
            .help("ask for a higher quota of services per cluster, or split the model into several projects, each with an environment that names a cluster of its own"),
        );
    }
}

/// Whether a project may have this name: it becomes part of ECS names, which allow no dots.
pub fn is_project_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

/// Both plugins work in one region.
fn regions(loaded: &Loaded, report: &mut Report) {
    let Some(config) = &loaded.environment.plugin_config else { return };
    let (Some(ecs), Some(asg)) = (&config.ecs, &config.asg) else { return };
    if let (Some(one), Some(other)) = (&ecs.region, &asg.region)
        && one != other
    {
        report.push(
            Diagnostic::error("B633", format!("the plugins' regions differ: {one} and {other}"))
                .at(Place::environment(["plugin_config", "ec2-asg", "region"]))
                .related(Place::environment(["plugin_config", "ec2-ecs", "region"]), "the other one is here")
                .help("write one region, in one of the two places: a plan is of one region"),
        );
    }
}

/// What the environment says of single components concerns components that there are.
fn overrides(loaded: &Loaded, report: &mut Report) {
    let config = loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let components = &loaded.model.components;
    for name in config.into_iter().flat_map(|c| c.components.keys()).filter(|name| !components.contains_key(*name)) {
        let mut diagnostic = Diagnostic::error(
            "B324",
            format!("the environment has settings for `{name}`, which is not a component of the model"),
        )
        .at(Place::environment(["plugin_config", "ec2-ecs", "components", name]).key());
        if let Some(near) = crate::nearest(name, components.keys().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        let known: Vec<&str> = components.keys().take(10).map(String::as_str).collect();
        report.push(diagnostic.help(format!("the components are: {}", known.join(", "))));
    }
}

fn names(loaded: &Loaded, report: &mut Report) {
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    if loaded.model.components.is_empty() {
        report.push(
            Diagnostic::warning("B301", "the model has no components")
                .at(Place::model(["components"]))
                .help("write at least one: `components: {web: {image: \"nginx:1.13\"}}`; to take an application away, compile with `--mode teardown`"),
        );
    }
    for name in loaded.model.components.keys() {
        let at = Place::model(["components", name]).key();
        let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !legal {
            report.push(
                Diagnostic::error("B401", format!("`{name}` cannot be the name of a component"))
                    .at(at.clone())
                    .help("it becomes part of ECS names: use letters, digits, hyphens and underscores, and begin with a letter or digit (no dots)"),
            );
        }
        if let Some(first) = folded.insert(name.to_ascii_lowercase(), name) {
            report.push(
                Diagnostic::error(
                    "B320",
                    format!("two components expand to one name: `{first}` and `{name}` differ in capitals only"),
                )
                .at(at)
                .related(Place::model(["components", first]).key(), "the other one is here")
                .help("DNS and load balancers do not tell capitals apart: give one of them another name"),
            );
        }
    }
}

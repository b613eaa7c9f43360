//! Which plugin each component is placed on.

use std::collections::BTreeSet;

use belay_schemas::environment::CorePlugin;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::source::Loaded;

/// The components of each plugin.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// On Amazon ECS.
    pub ecs: BTreeSet<&'a str>,
    /// On EC2 Auto Scaling.
    pub asg: BTreeSet<&'a str>,
    /// Whether anything of ECS is looked at: components, or settings of an environment in which there were some.
    pub uses_ecs: bool,
    /// The same for Auto Scaling.
    pub uses_asg: bool,
}

impl<'a> Placement<'a> {
    /// Places every component.
    pub fn of(loaded: &'a Loaded) -> Self {
        let environment = &loaded.environment;
        let core = environment.core_plugin.unwrap_or_default();
        let plugin = |name: &str| environment.components.get(name).map_or(core, |p| p.core_plugin);
        let names = || loaded.model.components.keys().map(String::as_str);
        let on = |wanted: CorePlugin| names().filter(|n| plugin(n) == wanted).collect::<BTreeSet<_>>();
        let (ecs, asg) = (on(CorePlugin::Ecs), on(CorePlugin::Asg));
        let config = environment.plugin_config.as_ref();
        Self {
            uses_ecs: core == CorePlugin::Ecs || !ecs.is_empty() || config.is_some_and(|c| c.ecs.is_some()),
            uses_asg: core == CorePlugin::Asg || !asg.is_empty() || config.is_some_and(|c| c.asg.is_some()),
            ecs,
            asg,
        }
    }
}

/// Components that the environment places are in the model.
pub fn check(loaded: &Loaded, report: &mut Report) {
    let components = &loaded.model.components;
    for name in loaded.environment.components.keys().filter(|name| !components.contains_key(*name)) {
        let mut diagnostic = Diagnostic::error(
            "B631",
            format!("the environment places `{name}`, which is not a component of the model"),
        )
        .at(Place::environment(["components", name]).key());
        if let Some(near) = crate::nearest(name, components.keys().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        let known: Vec<&str> = components.keys().take(10).map(String::as_str).collect();
        report.push(diagnostic.help(format!("the components are: {}", known.join(", "))));
    }
}

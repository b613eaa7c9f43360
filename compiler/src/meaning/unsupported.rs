//! What the formats know but this version does not do: refused in words, never ignored.

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::placement::Placement;
use crate::source::Loaded;

pub fn check(loaded: &Loaded, report: &mut Report) {
    let mut refuse = |what: &str, at: Place| {
        report.push(
            Diagnostic::error("B303", format!("{what} are not supported by this version of Belay"))
                .at(at.key())
                .help("remove them, or wait for the version that runs them: nothing that the model asks for is skipped in silence"),
        );
    };
    if let Some(lifecycle) = &loaded.model.lifecycle {
        let steps = [
            ("pre_flight", &lifecycle.pre_flight),
            ("post_flight", &lifecycle.post_flight),
            ("pre_teardown", &lifecycle.pre_teardown),
            ("post_teardown", &lifecycle.post_teardown),
        ];
        for (name, value) in steps {
            if value.as_ref().is_some_and(asks_for_something) {
                refuse("lifecycle steps", Place::model(["lifecycle", name]));
            }
        }
    }
    for (name, component) in &loaded.model.components {
        if component.lifecycle.as_ref().is_some_and(asks_for_something) {
            refuse("component hooks", Place::model(["components", name, "lifecycle"]));
        }
    }
    if loaded.environment.quality_gates.as_ref().is_some_and(asks_for_something) {
        refuse("quality gates", Place::environment(["quality_gates"]));
    }
    documents(loaded, report);
    unused_plugin(loaded, report);
}

/// An empty mapping or list asks for nothing.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn documents(loaded: &Loaded, report: &mut Report) {
    if let Some(doctype) = &loaded.model.doctype
        && !doctype.ends_with("/model")
    {
        report.push(
            Diagnostic::error("B304", format!("this is not a model: its doctype is `{doctype}`"))
                .at(Place::model(["doctype"]))
                .help("give the model with `-m` and the environment with `-e`"),
        );
    }
    for (version, at) in [
        (&loaded.model.version, Place::model(["version"])),
        (&loaded.environment.version, Place::environment(["version"])),
    ] {
        if let Some(version) = version
            && !matches!(version.0.as_str(), "1" | "1.0")
        {
            report.push(
                Diagnostic::error("B304", format!("version {version} of the format is not known"))
                    .at(at)
                    .help("this version of Belay reads version 1"),
            );
        }
    }
}

/// Settings of a plugin have no effect where no component is placed on it.
fn unused_plugin(loaded: &Loaded, report: &mut Report) {
    let placement = Placement::of(loaded);
    let config = loaded.environment.plugin_config.as_ref();
    let on_asg = config.is_some_and(|p| p.asg.is_some()) && placement.asg.is_empty();
    let on_ecs = config.is_some_and(|p| p.ecs.is_some()) && placement.ecs.is_empty();
    for (unused, key, other) in [(on_asg, "ec2-asg", "ECS"), (on_ecs, "ec2-ecs", "EC2 Auto Scaling")] {
        if unused && !loaded.model.components.is_empty() {
            let message = format!("settings for {key} have no effect: every component is placed on {other}");
            report.push(
                Diagnostic::warning("B305", message)
                    .at(Place::environment(["plugin_config", key]).key())
                    .help(format!("they are kept for environments with `core_plugin: {key}`, and to take away what was placed there before")),
            );
        }
    }
    for (name, component) in &loaded.model.components {
        if component.plugin.as_ref().is_some_and(|p| p.asg.is_some()) {
            report.push(
                Diagnostic::warning("B305", format!("settings for ec2-asg in component `{name}` have no effect"))
                    .at(Place::model(["components", name, "plugin", "ec2-asg"]).key())
                    .help(format!(
                        "the environment has them: `plugin_config: {{ec2-asg: {{components: {{{name}: …}}}}}}`"
                    )),
            );
        }
    }
}

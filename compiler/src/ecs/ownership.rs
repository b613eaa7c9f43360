//! Whose a running service is: ours, somebody else's, or in a state in which nobody should touch it.

use belay_schemas::model::{Model, TeardownOrphans};
use belay_schemas::plan::Mode;
use serde_json::Value;

use crate::compile::Options;
use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::facts::{Facts, owner};
use super::json::{items, number, tag, text};

/// How a component's service stands in the target.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// There is none.
    Absent,
    /// It is ours and at rest.
    Ours(&'a Value),
    /// It must not be touched; the report says why.
    Refused,
}

/// How the service of a component in the model stands.
pub fn standing<'a>(
    context: Context<'_>,
    facts: &Facts<'a>,
    name: &str,
    at: &Place,
    report: &mut Report,
) -> Standing<'a> {
    let service_name = context.service_name(name);
    let Some(service) = facts.service(&service_name) else {
        if context.options.adopt.iter().any(|adopted| adopted == name) {
            report.push(
                Diagnostic::error("B507", format!("there is no service `{service_name}` that could be taken over"))
                    .at(at.clone())
                    .help(format!("leave out `--adopt {name}`, and the service is created; a service of another name cannot be taken over")),
            );
            return Standing::Refused;
        }
        return Standing::Absent;
    };
    let tags = items(service, "tags");
    match owner(tags, &context.settings.tag_prefix) {
        Some(project) if project == context.options.project => {}
        Some(project) => {
            report.push(
                Diagnostic::error("B501", format!("service `{service_name}` belongs to project `{project}`"))
                    .at(at.clone())
                    .help(
                        "give the component or the project another name: Belay never touches what another project owns",
                    ),
            );
            return Standing::Refused;
        }
        None if context.options.adopt.iter().any(|adopted| adopted == name) => {}
        None => {
            report.push(
                Diagnostic::error(
                    "B501",
                    format!("service `{service_name}` runs already, but nothing says that it is Belay's"),
                )
                .at(at.clone())
                .help(format!(
                    "if the service is this component, take it over: give `--adopt {name}` to `belayc scope` and `belayc compile`"
                ))
                .help("else give the component another name"),
            );
            return Standing::Refused;
        }
    }
    if context.options.adopt.iter().any(|adopted| adopted == name)
        && owner(tags, &context.settings.tag_prefix).is_some()
    {
        report.push(
            Diagnostic::warning(
                "B507",
                format!("service `{service_name}` is this project's already: there is nothing to take over"),
            )
            .at(at.clone())
            .help(format!("leave out `--adopt {name}`")),
        );
    }
    if at_rest(&service_name, service, at, report) { Standing::Ours(service) } else { Standing::Refused }
}

/// Whether a service of ours can be worked on now.
pub fn at_rest(service_name: &str, service: &Value, at: &Place, report: &mut Report) -> bool {
    let refuse = |code, message: String, help: &str, report: &mut Report| {
        report.push(Diagnostic::error(code, message).at(at.clone()).help(help));
        false
    };
    if text(service, "resourceManagementType") == Some("ECS") {
        let message = format!("service `{service_name}` is managed by ECS itself (Express mode)");
        return refuse("B502", message, "change it where it is managed; AWS refuses other callers", report);
    }
    if text(service, "status") == Some("DRAINING") {
        let message = format!("service `{service_name}` is being deleted and still drains");
        return refuse("B504", message, "wait until it is gone, then observe and compile again", report);
    }
    let deployments = items(service, "deployments");
    let in_flight = deployments.len() > 1 || deployments.iter().any(|d| text(d, "rolloutState") == Some("IN_PROGRESS"));
    if in_flight {
        let message = format!("service `{service_name}` has a deployment in flight");
        return refuse("B503", message, "wait until it is done or stop it, then observe and compile again", report);
    }
    true
}

/// What becomes of things that the project owns and its inputs do not ask for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are taken away.
    Go,
    /// They stay, and each is told: `teardown_orphans: never`.
    Stay,
    /// A deployment of some components says nothing about the rest of the system.
    Untold,
}

impl Leftovers {
    /// As model and command line say it.
    pub fn of(model: &Model, options: &Options) -> Self {
        let when = model.lifecycle.as_ref().and_then(|lifecycle| lifecycle.teardown_orphans).unwrap_or_default();
        match options.mode {
            Mode::Teardown => Self::Go,
            Mode::Deploy if !options.only.is_empty() => Self::Untold,
            Mode::Deploy if when == TeardownOrphans::Never => Self::Stay,
            Mode::Deploy => Self::Go,
        }
    }

    /// Whether a thing goes that a component had made; `placed`: it is one of the model, and what such a one gives up is a
    /// matter of its own.
    pub fn takes(self, placed: bool) -> bool {
        placed || self == Self::Go
    }
}

/// Whether a plan takes a capacity provider away that no group of the model stands for: it is the project's, and of a
/// component that gave it up or that goes.
pub fn gives_up(context: Context<'_>, provider: &str) -> bool {
    let Some(found) = context.facts.and_then(|facts| facts.capacity_provider(provider)) else { return false };
    let tags = items(found, "tags");
    let ours = tag(tags, &context.tag("project")) == Some(&context.options.project);
    let component = tag(tags, &context.tag("component")).filter(|_| ours);
    let placed = crate::placement::Placement::of(context.loaded).asg;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    component.is_some_and(|name| context.options.includes(name) && leftovers.takes(placed.contains(name)))
}

/// Tells of something that stays; `component`: it is a component's, which can be torn down by itself.
pub fn left_alone(what: &str, component: bool, report: &mut Report) {
    let other = if component { ", or compile with `--mode teardown --only COMPONENT`" } else { "" };
    report.push(
        Diagnostic::warning("B506", format!("{what}: it is left alone"))
            .at(Place::model(["lifecycle", "teardown_orphans"]))
            .help(format!("to take it away, write `teardown_orphans: after`{other}")),
    );
}

/// A service of ours whose component is not in the model.
#[derive(Debug, Clone)]
pub struct Orphan<'a> {
    /// Name of the component, from its tag or from the service's name.
    pub component: String,
    /// Name of the service.
    pub service_name: &'a str,
    /// The service.
    pub service: &'a Value,
}

impl Orphan<'_> {
    /// How many tasks it should run.
    pub fn desired_count(&self) -> u64 {
        number(self.service, "desiredCount").unwrap_or_default()
    }

    /// Whether it runs one task on each container instance.
    pub fn is_daemon(&self) -> bool {
        text(self.service, "schedulingStrategy") == Some("DAEMON")
    }
}

/// All services of the project, by component name, that `wanted` does not hold.
pub fn orphans<'a>(context: Context<'_>, facts: &Facts<'a>, wanted: &dyn Fn(&str) -> bool) -> Vec<Orphan<'a>> {
    let prefix = context.service_name("");
    let mut all: Vec<Orphan<'a>> = facts
        .services()
        .filter(|(_, service)| {
            owner(items(service, "tags"), &context.settings.tag_prefix) == Some(&context.options.project)
        })
        .filter_map(|(service_name, service)| {
            let tagged = tag(items(service, "tags"), &context.tag("component"));
            let component = tagged.or_else(|| service_name.strip_prefix(&prefix)).unwrap_or(service_name).to_owned();
            let in_place = context.service_name(&component) == service_name && wanted(&component);
            (!in_place).then_some(Orphan { component, service_name, service })
        })
        .collect();
    all.sort_by(|a, b| a.component.cmp(&b.component));
    all
}

//! What is the project's and not wanted any more: services, schedules, names, records, families of revisions.
//!
//! Invariant: what stays is told, and what is not told goes; which of the two is the mode's and the model's to say.

use std::collections::BTreeSet;

use belay_schemas::model::ScheduledBy;
use belay_schemas::plan::Mode;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::desired;
use crate::ecs::lower::schedule;
use crate::ecs::ownership::{self, Leftovers, Orphan};
use crate::ecs::scope::is_service;
use crate::ecs::{Context, records, registries};
use crate::placement::Placement;

/// What is to be taken away: in a teardown everything, else what the model does not have any more.
pub(super) fn orphans<'a>(context: Context<'a>, placement: &Placement<'_>, report: &mut Report) -> Vec<Orphan<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    if leftovers == Leftovers::Untold {
        return Vec::new();
    }
    let in_model = |name: &str| deploy && placement.ecs.contains(name) && is_service(context, name);
    let mut all = ownership::orphans(context, facts, &in_model);
    all.retain(|o| context.options.includes(&o.component));
    if leftovers == Leftovers::Stay {
        for orphan in &all {
            let what = format!("service `{}` runs but is not in the model", orphan.service_name);
            ownership::left_alone(&what, true, report);
        }
        return Vec::new();
    }
    all.retain(|orphan| {
        ownership::at_rest(orphan.service_name, orphan.service, &Place::model(["components"]).key(), report)
    });
    all
}

/// Of what is the project's and not wanted any more, what this plan takes away: whose it is (`component`), and what is said
/// of it where it stays (`told`).
fn leaving<T>(
    context: Context<'_>,
    placement: &Placement<'_>,
    mut all: Vec<T>,
    component: impl Fn(&T) -> &str,
    told: impl Fn(&T) -> String,
    report: &mut Report,
) -> Vec<T> {
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    let own = |one: &T| leftovers.takes(placement.ecs.contains(component(one)));
    all.retain(|one| context.options.includes(component(one)));
    if leftovers == Leftovers::Stay {
        for one in all.iter().filter(|one| !own(one)) {
            ownership::left_alone(&told(one), true, report);
        }
    }
    all.retain(own);
    all
}

/// Cloud Map services of the project that nobody registers with any more.
pub(super) fn registries<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    registered: &BTreeSet<String>,
    report: &mut Report,
) -> Vec<registries::Surplus<'a>> {
    let told =
        |one: &registries::Surplus<'_>| format!("Cloud Map service `{}` is of no component of the model", one.name());
    leaving(context, placement, registries::surplus(context, registered), |one| one.component, told, report)
}

/// Records of Route 53 of the project that nobody wants any more.
pub(super) fn records<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    recorded: &BTreeSet<String>,
    report: &mut Report,
) -> Vec<records::Surplus<'a>> {
    let told = |one: &records::Surplus<'_>| format!("the record `{}` is of no component of the model", one.name);
    leaving(context, placement, records::surplus(context, recorded), |one| one.component, told, report)
}

/// Schedules and rules of EventBridge of the project that its model does not want any more.
pub(super) fn schedules<'a>(
    context: Context<'a>,
    placement: &Placement<'_>,
    report: &mut Report,
) -> Vec<schedule::Leftover<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    let components = &context.loaded.model.components;
    // What one of the model gives up for something else starts its task no more, whatever becomes of orphans.
    let own = |one: &schedule::Leftover<'_>| leftovers.takes(deploy && placement.ecs.contains(one.component.as_str()));
    let scheduled = |name: &str, by: ScheduledBy| {
        let wanted = |c| desired::settle(context, name, c).settings.schedule.as_ref().map(|s| s.by.unwrap_or_default());
        deploy && placement.ecs.contains(name) && components.get(name).and_then(wanted) == Some(by)
    };
    let mut all = schedule::leftovers(context, facts, &scheduled);
    all.retain(|leftover| context.options.includes(&leftover.component));
    if leftovers == Leftovers::Stay {
        for leftover in all.iter().filter(|one| !own(one)) {
            ownership::left_alone(&format!("{} is not in the model", leftover.told()), true, report);
        }
    }
    all.retain(own);
    for leftover in all.iter().filter(|one| one.is_shared()) {
        report.push(
            Diagnostic::warning(
                "B506",
                format!("{} has targets that are not Belay's: it is left alone", leftover.told()),
            )
            .at(Place::model(["components"]).key())
            .help("Belay takes its own target away; delete the rule when nobody needs the others any more"),
        );
    }
    all
}

/// Components that left revisions behind although their services are gone.
pub(super) fn families(context: Context<'_>, orphans: &[Orphan<'_>]) -> Vec<String> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    if Leftovers::of(&context.loaded.model, context.options) != Leftovers::Go {
        return Vec::new();
    }
    let prefix = context.family("");
    let kept = |name: &str| {
        (deploy && context.loaded.model.components.contains_key(name))
            || orphans.iter().any(|o| o.component == name)
            || facts.service(&context.service_name(name)).is_some()
    };
    facts
        .families()
        .filter_map(|f| f.strip_prefix(&prefix))
        .filter(|name| context.options.includes(name) && !kept(name))
        .map(str::to_owned)
        .collect()
}

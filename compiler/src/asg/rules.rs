//! What is wrong with a component's place in Auto Scaling, and what has no effect there.

use belay_schemas::model::{Component, GatewayType};

use crate::diagnostics::{Diagnostic, Place, Report};

use super::Context;
use super::desired::{Desired, configuration};
use super::facts::tag_of;
use super::lower::foreign;
use super::names::{self, Side};
use super::settings::place;
use super::slots::{Slot, Spare};

/// Judges the names of a component's slots.
pub fn names(context: Context<'_>, component: &str, report: &mut Report) {
    let settings = context.settings;
    let at = Place::model(["components", component]).key();
    if !settings.naming.names_component() && component != "main" {
        report.push(
            Diagnostic::error("B602", format!("the naming template has no `{{comp}}`, so there can be no component but `main`, and this one is called `{component}`"))
                .at(at)
                .related(place(&["naming_template"]), "the template is here")
                .help("add `{comp}` to the template, or call the only component `main`"),
        );
        return;
    }
    let template = !settings.pre_created && !settings.launch_configurations;
    let name = context.slot_name(component, Side::A);
    if let Some(fault) = names::fault(&name, template) {
        report.push(
            Diagnostic::error("B603", format!("AWS does not take `{name}` as a name: {fault}"))
                .at(at)
                .related(place(&["naming_template"]), "names are made by this template")
                .help("change the naming template, or the name of the project or component"),
        );
    }
}

/// What the model says and Auto Scaling cannot do: told, not dropped in silence.
pub fn unmapped(name: &str, component: &Component, report: &mut Report) {
    let given = [
        ("args", !component.args.is_empty()),
        ("containers", !component.containers.is_empty()),
        ("env", !component.env.is_empty()),
        ("labels", !component.labels.is_empty()),
        ("minimum_healthy", component.minimum_healthy.is_some()),
        ("provides", component.provides.is_some()),
        ("volumes", !component.volumes.is_empty()),
    ];
    let keys: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
    let Some(first) = keys.first() else { return };
    let shown: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    let verb = if keys.len() == 1 { "has" } else { "have" };
    report.push(
        Diagnostic::warning("B625", format!("{} of `{name}` {verb} no effect on EC2 Auto Scaling", shown.join(", ")))
            .at(Place::model(["components", name, first]).key())
            .help("instances are configured by their user data only; write there what the application needs"),
    );
}

/// Settings that nothing refers to are most likely typos.
pub fn unused(context: Context<'_>, placed: &dyn Fn(&str) -> bool, report: &mut Report) {
    let model = &context.loaded.model;
    for (name, entry) in &context.settings.config.lb {
        let gateway = model.gateways.get(name).is_some_and(|g| g.kind == GatewayType::LoadBalancer);
        if gateway || entry.is_none() {
            continue;
        }
        let mut diagnostic = Diagnostic::warning(
            "B626",
            format!("no gateway of the model is called `{name}`: its load balancer is not used"),
        )
        .at(place(&["lb", name]).key());
        diagnostic = match crate::nearest(name, model.gateways.keys().map(String::as_str)) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic
                .help("remove the entry, or add a gateway of that name and the type `load_balancer` to the model"),
        };
        report.push(diagnostic);
    }
    let config = &context.settings.config;
    let listed = config.delegated_destroy.iter().flat_map(|d| d.components.iter().enumerate());
    let listed = listed.map(|(index, name)| (name, place(&["delegated_destroy", "components", &index.to_string()])));
    let own = config.components.keys().map(|name| (name, place(&["components", name]).key()));
    for (name, at) in own.chain(listed) {
        if placed(name) {
            continue;
        }
        let what = if model.components.contains_key(name) {
            "is not placed on EC2 Auto Scaling"
        } else {
            "is not in the model"
        };
        let mut diagnostic =
            Diagnostic::warning("B632", format!("component `{name}` {what}: its settings have no effect")).at(at);
        diagnostic =
            match crate::nearest(name, model.components.keys().map(String::as_str).filter(|n| placed(n) && *n != name))
            {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("remove the settings, or add the component"),
            };
        report.push(diagnostic);
    }
}

/// What AWS would refuse of a component as a whole.
pub fn check(context: Context<'_>, desired: &Desired, report: &mut Report) {
    if !context.settings.launch_configurations {
        return;
    }
    if let Err(members) = configuration(&desired.data) {
        report.push(
            Diagnostic::error("B621", format!("a launch configuration cannot hold {}", members.join(", ")))
                .at(desired.place("ImageId"))
                .related(place(&["launch_configurations"]).key(), "launch configurations are asked for here")
                .help("remove `launch_configurations`: launch templates are the default"),
        );
    }
}

/// Groups that somebody else has made have to be ready for the image before anything goes there.
pub fn ready(context: Context<'_>, desired: &Desired, spare: &Spare<'_>, report: &mut Report) -> bool {
    let Some(group) = spare.group.filter(|_| context.settings.pre_created) else { return true };
    let runs = tag_of(group, "skopos:image_id");
    if runs == Some(&desired.image) {
        return true;
    }
    let is = runs.map_or("is not set".to_owned(), |r| format!("is `{r}`"));
    report.push(
        Diagnostic::error(
            "B624",
            format!(
                "Auto Scaling group `{}` is not set up for `{}`: its tag `skopos:image_id` {is}",
                spare.name, desired.image
            ),
        )
        .at(desired.place("image"))
        .help("set the group up to launch this image and tag it so; then observe again"),
    );
    false
}

/// What somebody else put on the group stays behind with it.
pub fn left_behind(context: Context<'_>, desired: &Desired, slot: &Slot<'_>, report: &mut Report) {
    let Some(facts) = context.facts else { return };
    let names = foreign(facts, slot);
    if !names.is_empty() {
        report.push(
            Diagnostic::warning(
                "B628",
                format!(
                    "scaling policies of `{}` that Belay did not make do not move to the new slot: {}",
                    slot.name,
                    names.join(", ")
                ),
            )
            .at(desired.place("image"))
            .help("describe them with `scaling:` in the environment, or put them on the new group after the upgrade"),
        );
    }
}

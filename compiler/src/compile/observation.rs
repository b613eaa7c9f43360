//! Whether what was observed is of this target and was observed for these inputs.
//!
//! Invariant: nothing is compared with an observation that is of something else or lacks what the inputs ask for.

use std::collections::BTreeMap;

use belay_schemas::image::Image;
use belay_schemas::observed::Observed;
use belay_schemas::plan::Mode;
use serde_json::Value;

use crate::asg;
use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::settings;
use crate::placement::Placement;

/// Whether the observation is one of this target, for these inputs.
pub(super) fn check(context: Context<'_>, placement: &Placement<'_>, observed: &Observed, report: &mut Report) {
    let mut refuse = |code, message: String, place: Option<Place>| {
        let diagnostic = Diagnostic::error(code, message);
        let diagnostic = match place {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        };
        report.push(diagnostic.help("run `belayc scope` and `belay observe` again with these inputs"));
    };
    if observed.scope.project != context.options.project {
        refuse(
            "B505",
            format!("the observed state is of project `{}`, not `{}`", observed.scope.project, context.options.project),
            None,
        );
    }
    let asg = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.asg.as_ref());
    if let Some(region) = asg.and_then(|a| a.region.as_ref())
        && *region != observed.region
    {
        refuse(
            "B505",
            format!("the observed state is of region {}, not {region}", observed.region),
            Some(asg::settings::place(&["region"])),
        );
    }
    if let Some(region) = &context.settings.region
        && *region != observed.region
    {
        refuse(
            "B505",
            format!("the observed state is of region {}, not {region}", observed.region),
            Some(settings::place(&["region"])),
        );
    }
    if let Some(account) = &context.settings.account
        && *account != observed.account
    {
        refuse(
            "B505",
            format!("the observed state is of account {}, not {account}", observed.account),
            Some(settings::place(&["cluster"])),
        );
    }
    if !placement.uses_ecs {
        return;
    }
    let cluster = &context.settings.cluster;
    match &observed.scope.ecs {
        Some(scope) if scope.cluster == *cluster => {}
        _ => {
            refuse(
                "B505",
                format!("the observed state does not look at cluster `{cluster}`"),
                Some(settings::place(&["cluster"])),
            );
            return;
        }
    }
    if let Some(scope) = &observed.scope.ecs
        && scope.tag_prefix != context.settings.tag_prefix
    {
        refuse(
            "B505",
            format!(
                "the observed state looks at tags `{}:…`, not `{}:…`",
                scope.tag_prefix, context.settings.tag_prefix
            ),
            Some(settings::place(&["tag_prefix"])),
        );
    }
    if let Some(scope) = &observed.scope.ecs
        && context.options.mode == Mode::Teardown
        && !scope.teardown
    {
        refuse(
            "B505",
            "the observed state was made for a deployment: it lacks what only a teardown needs".to_owned(),
            None,
        );
    }
    let looked_at = |name: &&String| {
        observed.scope.ecs.as_ref().is_some_and(|scope| scope.adopt.contains(&context.service_name(name)))
    };
    for name in context.options.adopt.iter().filter(|name| placement.ecs.contains(name.as_str()) && !looked_at(name)) {
        // Its environment was hashed, and could not be brought back.
        let message =
            format!("the observed state was made without `--adopt {name}`: it does not hold all of that service");
        report.push(
            Diagnostic::error("B505", message)
                .help(format!("run `belayc scope` with `--adopt {name}` too, and `belay observe` again")),
        );
    }
    unobserved_images(context, placement, report);
    let found = context.facts.and_then(|f| f.cluster(cluster));
    let status = found.and_then(|c| c.get("status")).and_then(Value::as_str);
    if status != Some("ACTIVE") {
        let what = status.map_or("does not exist".to_owned(), |s| format!("is {s}"));
        report.push(
            Diagnostic::error(
                "B510",
                format!("cluster `{cluster}` {what} in account {} and region {}", observed.account, observed.region),
            )
            .at(settings::place(&["cluster"]))
            .help("create it first, or name another one; then observe again"),
        );
    }
}

/// Images of which the observation says nothing: the model changed after it. Told once, however many there are.
fn unobserved_images(context: Context<'_>, placement: &Placement<'_>, report: &mut Report) {
    const SHOWN: usize = 10;
    let Some(facts) = context.facts else { return };
    let wanted = |name: &str| {
        context.options.mode == Mode::Deploy && placement.ecs.contains(name) && context.options.includes(name)
    };
    let components = context.loaded.model.components.iter().filter(|(name, _)| wanted(name));
    let images = components.flat_map(|(name, component)| {
        let place = Place::model(["components", name]);
        let sidecars = component.containers.iter().map({
            let place = place.clone();
            move |(sidecar, c)| (c.image.as_str(), place.child("containers").child(sidecar).child("image"))
        });
        std::iter::once((component.image.as_str(), place.child("image"))).chain(sidecars)
    });
    let mut missing: BTreeMap<&str, Place> = BTreeMap::new();
    for (image, place) in images {
        // One that is malformed is told where it is read, one with a digest needs no look-up.
        if facts.image(image).is_none() && Image::fault(image).is_none() && Image::parse(image).digest.is_none() {
            missing.entry(image).or_insert(place);
        }
    }
    let Some((first, place)) = missing.first_key_value() else { return };
    let message = if missing.len() == 1 {
        format!("the observed state says nothing about image `{first}`")
    } else {
        let mut names: Vec<String> = missing.keys().take(SHOWN).map(|image| format!("`{image}`")).collect();
        if missing.len() > SHOWN {
            names.push(format!("{} more", missing.len() - SHOWN));
        }
        format!("the observed state says nothing about {} images: {}", missing.len(), names.join(", "))
    };
    let mut diagnostic = Diagnostic::error("B521", message).at(place.clone());
    for (image, place) in missing.iter().skip(1).take(SHOWN - 1) {
        diagnostic = diagnostic.related(place.clone(), format!("`{image}` is here"));
    }
    report
        .push(diagnostic.help("the model changed after the observation: run `belayc scope` and `belay observe` again"));
}

//! The plugin as the compiler sees it: from the components that are placed here to their part of the plan.

use std::collections::BTreeSet;

use belay_schemas::plan::Mode;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::ownership::{self, Leftovers};
use crate::lower::Part;

use super::Context;
use super::desired::{self, Desired};
use super::diff;
use super::lower::{Lowerer, Work, component_of};
use super::names::Side;
use super::settings::place;
use super::slots::{self, Slot, Spare, Standing};
use super::{network, rules};

/// Lowers everything that is placed here. `placed`: all components of the model on this plugin.
pub fn compile(context: Context<'_>, placed: &BTreeSet<&str>, report: &mut Report) -> Part {
    check_observed(context, placed, report);
    let mut lowerer = Lowerer::new(context);
    let mut subnets: Vec<String> = Vec::new();
    let mut vpc = None;
    if !placed.is_empty() && context.options.mode == Mode::Deploy {
        rules::unused(context, &|name| placed.contains(name), report);
        vpc = if context.settings.pre_created { None } else { network::vpc(context, report) };
        unused_balancers(context, report);
        for (name, component) in context
            .loaded
            .model
            .components
            .iter()
            .filter(|(n, _)| placed.contains(n.as_str()) && context.options.includes(n))
        {
            rules::names(context, name, report);
            rules::unmapped(name, component, report);
            let desired = desired::build(context, name, component, vpc, report);
            rules::check(context, &desired, report);
            let Some(work) = work_on(context, &desired, report) else { continue };
            if report.has_errors() {
                continue;
            }
            if matches!(work, Work::Deploy { .. } | Work::Upgrade { .. }) {
                let zones = desired.group.get("VPCZoneIdentifier").and_then(Value::as_str).unwrap_or_default();
                subnets.extend(zones.split(',').filter(|z| !z.is_empty()).map(str::to_owned));
            }
            lowerer.component(&desired, &work);
        }
    }
    for (component, slot) in orphans(context, placed, report) {
        lowerer.orphan(&component, &slot);
    }
    lowerer.finish(&subnets, vpc, report)
}

/// Whether a component has instances now.
pub fn runs(context: Context<'_>, component: &str) -> bool {
    let Some(facts) = context.facts else { return false };
    let groups = [Side::A, Side::B].map(|side| facts.group(&context.slot_name(component, side)));
    groups.into_iter().flatten().any(|group| group["Instances"].as_array().is_some_and(|all| !all.is_empty()))
}

/// A load balancer that is named has to be there, whether or not a gateway leads to it.
fn unused_balancers(context: Context<'_>, report: &mut Report) {
    let gateways = &context.loaded.model.gateways;
    for (name, setting) in &context.settings.balancers {
        let used = gateways.get(name).is_some_and(|g| !g.target.0.is_empty());
        if !used && context.facts.is_some() {
            desired::resolve(context, setting, report);
        }
    }
}

fn work_on<'a>(context: Context<'a>, desired: &Desired, report: &mut Report) -> Option<Work<'a>> {
    let Some(facts) = context.facts else {
        let name = context.slot_name(&desired.component, Side::A);
        if context.settings.pre_created {
            report.push(
                Diagnostic::error("B345", format!("the groups of `{}` have to be looked up", desired.component))
                    .at(Place::model(["components", &desired.component]).key())
                    .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`)"),
            );
            return None;
        }
        return Some(Work::Deploy {
            spare: Spare { side: Side::A, name, group: None, template: None, configuration: None },
        });
    };
    match slots::standing(context, facts, &desired.component, report) {
        Standing::Refused => None,
        Standing::Absent(spare) => {
            if !rules::ready(context, desired, &spare, report) {
                return None;
            }
            // Groups that are there already and are to stay empty are as wanted.
            let idle = context.settings.pre_created && desired.replicas == 0;
            Some(if idle { Work::None { spare } } else { Work::Deploy { spare } })
        }
        Standing::Running(slot, spare) => {
            let difference = diff::compare(context, facts, desired, &slot);
            if !difference.changes.is_empty() || context.options.replace_all {
                if !rules::ready(context, desired, &spare, report) {
                    return None;
                }
                rules::left_behind(context, desired, &slot, report);
                return Some(Work::Upgrade { slot, spare, difference });
            }
            Some(match difference.sizes {
                Some((from, to)) => Work::Scale { slot, spare, from, to },
                None => Work::None { spare },
            })
        }
    }
}

/// Whether the observation is one of these inputs.
fn check_observed(context: Context<'_>, placed: &BTreeSet<&str>, report: &mut Report) {
    let Some(facts) = context.facts else { return };
    let mut refuse = |message: String, at: Place| {
        report.push(
            Diagnostic::error("B505", message)
                .at(at)
                .help("run `belayc scope` and `belay observe` again with these inputs"),
        );
    };
    let Some(scope) = facts.scope else {
        if !placed.is_empty() {
            refuse("the observed state does not look at EC2 Auto Scaling".to_owned(), place(&[]).key());
        }
        return;
    };
    let settings = context.settings;
    if scope.tag_prefix != settings.tag_prefix {
        refuse(
            format!("the observed state looks at tags `{}:…`, not `{}:…`", scope.tag_prefix, settings.tag_prefix),
            place(&["tag_prefix"]),
        );
    }
    if scope.vpc != settings.config.vpc && !placed.is_empty() {
        refuse("the observed state looks at another VPC".to_owned(), place(&["vpc"]));
    }
    let missing = placed.iter().find(|c| !scope.groups.contains(&context.slot_name(c, Side::A)));
    if let Some(component) = missing {
        refuse(
            format!("the observed state does not look at the groups of `{component}`"),
            Place::model(["components", component]).key(),
        );
    }
}

/// The slots that are to be taken away: in a teardown all, else those of components that are not placed here any more.
fn orphans<'a>(context: Context<'a>, placed: &BTreeSet<&str>, report: &mut Report) -> Vec<(String, Slot<'a>)> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    if leftovers == Leftovers::Untold {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (name, group) in facts.groups() {
        let component = component_of(context, name, group);
        let slots = Side::BOTH.map(|side| context.slot_name(&component, side));
        let owned = match context.settings.pre_created {
            true => placed.contains(component.as_str()) && slots.iter().any(|s| s == name),
            false => slots::owner(context, group) == Some(&context.options.project),
        };
        let wanted = deploy && placed.contains(component.as_str()) && slots.iter().any(|s| s == name);
        if !owned || wanted || !context.options.includes(&component) {
            continue;
        }
        let side = Side::BOTH.into_iter().find(|side| context.slot_name(&component, *side) == name);
        // A group that is called in another way than names are made now.
        let label = side.map_or_else(|| format!("old-{}", legal(name)), |side| side.to_string());
        all.push((component, Slot { label, name, group }));
    }
    if leftovers == Leftovers::Stay {
        for (_, slot) in &all {
            let what = format!("Auto Scaling group `{}` runs but is not in the model", slot.name);
            ownership::left_alone(&what, true, report);
        }
        return Vec::new();
    }
    all.retain(|(_, slot)| slots::at_rest(slot.name, slot.group, &Place::model(["components"]).key(), report));
    if context.settings.pre_created {
        all.retain(|(_, slot)| !slot.is_empty());
    }
    all
}

/// A name as a part of a node's id.
fn legal(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect()
}

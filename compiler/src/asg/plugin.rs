//! The plugin as the compiler sees it: from the components that are placed here to their part of the plan.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::model::TeardownOrphans;
use belay_schemas::plan::{Action, Mode, Phase};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, tag};
use crate::ecs::lower::service_gone;
use crate::ecs::ownership::{self, Leftovers};
use crate::lower::{Part, uses};

use super::Context;
use super::desired::{self, Desired};
use super::diff;
use super::lower::{Lowerer, Work, after_service, component_of, is_default};
use super::names::Side;
use super::providers::{self, Bond, Surplus};
use super::settings::place;
use super::slots::{self, Slot, Spare, Standing};
use super::{network, rules};

/// Lowers everything that is placed here. `placed`: all components of the model on this plugin.
pub fn compile(context: Context<'_>, placed: &BTreeSet<&str>, report: &mut Report) -> Part {
    check_observed(context, placed, report);
    let mut lowerer = Lowerer::new(context);
    let mut subnets: Vec<String> = Vec::new();
    let mut vpc = None;
    let mut works: Vec<(Desired, Work<'_>)> = Vec::new();
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
            works.push((desired, work));
        }
    }
    for (desired, work) in in_order(context, works) {
        lowerer.component(&desired, &work);
    }
    for (component, slot) in orphans(context, placed, report) {
        lowerer.orphan(&component, &slot);
    }
    let surplus = surplus(context, placed, report);
    lowerer.surplus(&surplus);
    lowerer.finish(&subnets, vpc, report)
}

/// Components before those that use them: the capacity providers of one cluster are put there one after the other, and a
/// group may be waited for by the next one.
fn in_order<'a>(context: Context<'_>, works: Vec<(Desired, Work<'a>)>) -> Vec<(Desired, Work<'a>)> {
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    for (desired, _) in &works {
        rank(context, &desired.component, &mut place);
    }
    let mut all = works;
    all.sort_by_key(|(desired, _)| place.get(&desired.component).copied());
    all
}

/// Numbers a component after all that it uses.
fn rank(context: Context<'_>, component: &str, place: &mut BTreeMap<String, usize>) {
    let mut open: Vec<(&str, bool)> = vec![(component, false)];
    let mut seen = BTreeSet::new();
    while let Some((name, used_are_through)) = open.pop() {
        if used_are_through {
            let next = place.len();
            place.entry(name.to_owned()).or_insert(next);
        } else if !place.contains_key(name) && seen.insert(name.to_owned()) {
            open.push((name, true));
            let component = context.loaded.model.components.get_key_value(name);
            open.extend(component.into_iter().flat_map(|(_, c)| c.uses.keys()).map(|used| (used.as_str(), false)));
        }
    }
}

/// Capacity providers of the project that nobody wants any more and that go.
fn leaving<'a>(context: Context<'a>, placed: &BTreeSet<&str>) -> Vec<Surplus<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let deploy = context.options.mode == Mode::Deploy;
    let named = providers::named(context.loaded, &context.options.project);
    let mut all = providers::surplus(context, facts, &|name| deploy && named.values().any(|one| one.name == name));
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    all.retain(|one| context.options.includes(one.component) && leftovers.takes(placed.contains(one.component)));
    all
}

/// The same, and tells what stays and what cannot go.
fn surplus<'a>(context: Context<'a>, placed: &BTreeSet<&str>, report: &mut Report) -> Vec<Surplus<'a>> {
    let Some(facts) = context.facts else { return Vec::new() };
    let leftovers = Leftovers::of(&context.loaded.model, context.options);
    if leftovers == Leftovers::Stay {
        let named = providers::named(context.loaded, &context.options.project);
        let all = providers::surplus(context, facts, &|name| named.values().any(|one| one.name == name));
        for one in all.iter().filter(|one| !leftovers.takes(placed.contains(one.component))) {
            let what = format!("capacity provider `{}` is of no component of the model", one.name);
            ownership::left_alone(&what, true, report);
        }
    }
    let all = leaving(context, placed);
    for one in all.iter().filter(|one| is_default(facts, one)) {
        let cluster = one.cluster.unwrap_or_default();
        report.push(
            Diagnostic::error(
                "B635",
                format!("the default strategy of cluster `{cluster}` names the capacity provider `{}`, which nobody wants any more", one.name),
            )
            .at(place(&["components", one.component]).key())
            .help("give the cluster another default with `aws ecs put-cluster-capacity-providers`, then observe and compile again"),
        );
    }
    all
}

/// Ties both plugins' parts together: what runs on a capacity provider that the plan makes waits for it, and one that goes
/// waits until its services have left.
pub fn tie(context: Context<'_>, placed: &BTreeSet<&str>, part: &mut Part, report: &mut Report) {
    let named = providers::named(context.loaded, &context.options.project);
    let made = |component: &str| part.draft.nodes.iter().any(|n| n.id == format!("{component}.provider.create"));
    let made: BTreeMap<&str, &str> = named
        .iter()
        .filter(|(component, _)| made(component))
        .map(|(component, one)| (one.name.as_str(), component.as_str()))
        .collect();
    let mut needs: BTreeSet<(String, &str)> = BTreeSet::new();
    for node in part.draft.nodes.iter().filter(|node| node.phase == Phase::Deploy) {
        let (Action::Call { call, .. }, Some(component)) = (&node.action, &node.component) else { continue };
        strategies(&call.input, &mut |name| {
            if let Some(group) = made.get(name) {
                needs.insert((component.clone(), *group));
            }
        });
    }
    for (component, group) in needs {
        if uses(&context.loaded.model, group, &component) {
            report.push(
                Diagnostic::error(
                    "B635",
                    format!("`{group}` uses `{component}`, which runs on its capacity provider: neither can be first"),
                )
                .at(Place::model(["components", group, "uses"]))
                .help(format!("remove the way from `{group}` to `{component}` under `uses`, or let `{component}` run on other capacity")),
            );
            continue;
        }
        if let (Some(this), Some(group)) = (part.lowered.get(&component), part.lowered.get(group)) {
            part.draft.after(&group.ready, &this.starts);
            part.draft.back_before(&this.back, &group.back);
        }
    }
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (component, one) in &named {
        if let Some(other) = names.insert(&one.name, component) {
            report.push(
                Diagnostic::error(
                    "B635",
                    format!("`{other}` and `{component}` both have the capacity provider `{}`", one.name),
                )
                .at(place(&["components", component]).key())
                .help("give each group's provider a `name` of its own, or none: then it follows from the component"),
            );
        }
    }
    let Some(facts) = context.facts else { return };
    let before =
        context.loaded.model.lifecycle.as_ref().and_then(|l| l.teardown_orphans) == Some(TeardownOrphans::Before);
    for one in leaving(context, placed) {
        let named_by = |service: &Value| {
            let mut named = false;
            strategies(service, &mut |name| named |= name == one.name);
            named
        };
        for (name, service) in facts.shared.services().filter(|(_, service)| named_by(service)) {
            let tagged = tag(items(service, "tags"), &context.tag("component"));
            let prefix = format!("{}_", context.options.project);
            let component = tagged.or_else(|| name.strip_prefix(&prefix)).unwrap_or(name);
            let gone = service_gone(component);
            if let Some(cluster) = one.cluster {
                after_service(cluster, &gone, &mut part.draft);
            }
            let leaves = part.lowered.contains_key(component) || part.draft.nodes.iter().any(|n| n.id == gone);
            if leaves && before && context.options.mode == Mode::Deploy && !placed.contains(one.component) {
                report.push(
                    Diagnostic::error(
                        "B635",
                        format!("`teardown_orphans: before` would take the instances of `{}` away before service `{name}` has left them", one.name),
                    )
                    .at(Place::model(["lifecycle", "teardown_orphans"]))
                    .help("write `teardown_orphans: after` for this plan"),
                );
            }
            if !leaves {
                report.push(
                    Diagnostic::error(
                        "B635",
                        format!(
                            "service `{name}` uses the capacity provider `{}`, which nobody wants any more",
                            one.name
                        ),
                    )
                    .at(place(&["components", one.component]).key())
                    .help(format!("let `{component}` use other capacity in the same plan or in one before it")),
                );
            }
        }
        let schedules = facts.shared.schedules().map(|(name, schedule)| (name, vec![schedule]));
        let rules = facts.shared.event_rules().map(|(name, rule)| (name, rule.targets.iter().collect()));
        let starting = schedules.chain(rules).filter(|(_, what)| what.iter().any(|what| named_by(what)));
        for (name, _) in starting {
            let prefix = format!("_{}_", context.options.project);
            let component = name.split_once(&prefix).map_or(name, |(_, component)| component);
            if !part.lowered.contains_key(component) && !part.gone.contains_key(component) {
                report.push(
                    Diagnostic::error(
                        "B635",
                        format!(
                            "`{name}` starts tasks on the capacity provider `{}`, which nobody wants any more",
                            one.name
                        ),
                    )
                    .at(place(&["components", one.component]).key())
                    .help(format!("let `{component}` use other capacity in the same plan or in one before it")),
                );
            }
        }
    }
}

/// The capacity providers that an input or a description names.
fn strategies(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| strategies(one, visit)),
        Value::Object(map) => map.iter().for_each(|(key, value)| match value {
            Value::String(name) if key.eq_ignore_ascii_case("capacityProvider") => visit(name),
            _ => strategies(value, visit),
        }),
        _ => {}
    }
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
        if let Some(provider) = &desired.provider {
            report.push(
                Diagnostic::error("B345", format!("the capacity providers of cluster `{}` have to be looked up", provider.cluster))
                    .at(provider.place.clone().key())
                    .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`): a call that adds one replaces the whole list"),
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
            if !rules::ready(context, desired, &spare, report) || !providers::new_group(desired, &spare, report) {
                return None;
            }
            if let Some(provider) = &desired.provider
                && !providers::free(context, facts, provider, report)
            {
                return None;
            }
            // Groups that are there already and are to stay empty are as wanted.
            let idle = context.settings.pre_created && desired.replicas == 0;
            Some(if idle { Work::None { spare, provider: None } } else { Work::Deploy { spare } })
        }
        Standing::Running(slot, spare) => {
            let bond = providers::bond(context, facts, desired, &slot, report)?;
            let mut difference = diff::compare(context, facts, desired, &slot);
            if let (Bond::Missing, Some(provider)) = (bond, &desired.provider) {
                difference.add("the capacity provider", Value::Null, json!(provider.name), provider.place.clone());
            }
            if !difference.changes.is_empty() || context.options.replace_all {
                let first = difference.changes.first();
                let what = first.map_or("`--replace-all`", |change| change.what.as_str());
                let at =
                    first.map_or_else(|| Place::model(["components", &desired.component]).key(), |c| c.place.clone());
                if !rules::ready(context, desired, &spare, report)
                    || !providers::replaceable(facts, desired, &slot, what, at, report)
                    || !providers::new_group(desired, &spare, report)
                {
                    return None;
                }
                rules::left_behind(context, desired, &slot, report);
                return Some(Work::Upgrade { slot, spare, difference });
            }
            let provider = match bond {
                Bond::Kept(provider) => Some(provider),
                Bond::None | Bond::Missing => None,
            };
            Some(match difference.sizes {
                Some((from, to)) => Work::Scale { slot, spare, from, to, provider },
                None => Work::None { spare, provider },
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

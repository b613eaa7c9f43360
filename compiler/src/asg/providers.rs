//! Capacity providers: groups of container instances whose size ECS chooses by what tasks need.
//!
//! Invariants: a provider is ours by its tags; AWS binds it to one group for good, so a group that has one is never
//! replaced by its other slot, and what would need that is refused with the way out; what differs otherwise is changed in
//! place.
//!
//! Sources: CreateCapacityProvider, ManagedScaling and PutClusterCapacityProviders in the ECS API reference; ECS developer
//! guide, "Capacity providers for EC2 workloads" and "Control the instances Amazon ECS terminates".

use std::collections::BTreeMap;

use belay_schemas::environment::{CapacityProvider, ContainerInstances, Scaling};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, tag, text};
use crate::placement::Placement;
use crate::source::Loaded;

use super::Context;
use super::desired::Desired;
use super::facts::Facts;
use super::settings::Placed;
use super::slots::{Slot, Spare};

/// Beginnings of names that AWS keeps to itself (CreateCapacityProvider).
const RESERVED: [&str; 3] = ["aws", "ecs", "fargate"];
/// Capacity providers of a cluster at most (ECS service quotas).
const MOST: usize = 20;

/// The capacity provider that a component's group should have.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The component.
    pub component: String,
    /// Its name.
    pub name: String,
    /// The cluster that it is one of.
    pub cluster: String,
    /// `managedScaling`, `managedDraining` and `managedTerminationProtection`.
    pub settings: Value,
    /// What asks for it.
    pub place: Place,
}

/// The name of a component's provider.
fn name_of(project: &str, component: &str, wanted: &CapacityProvider) -> String {
    wanted.name.clone().unwrap_or_else(|| format!("{project}_{component}"))
}

/// A provider as services refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The cluster that it is one of.
    pub cluster: String,
}

/// The providers of the model's components, by component.
pub fn named(loaded: &Loaded, project: &str) -> BTreeMap<String, Named> {
    let Some(config) = loaded.environment.plugin_config.as_ref().and_then(|p| p.asg.as_ref()) else {
        return BTreeMap::new();
    };
    let joins = |name: &str| -> Option<&ContainerInstances> {
        let own = config.components.get(name).and_then(|c| c.container_instances.as_ref());
        own.or(config.container_instances.as_ref())
    };
    let placed = Placement::of(loaded).asg;
    let all = placed.into_iter().filter_map(|component| {
        let joined = joins(component)?;
        let name = name_of(project, component, joined.capacity_provider.as_ref()?);
        Some((component.to_owned(), Named { name, cluster: joined.cluster.clone() }))
    });
    all.collect()
}

/// What a component says of its provider, and what that asks of its group; what is wrong goes to the report.
pub fn wanted(context: Context<'_>, desired: &mut Desired, joined: &Placed<ContainerInstances>, report: &mut Report) {
    let Some(wanted) = &joined.value.capacity_provider else { return };
    let place = joined.place.child("capacity_provider");
    let component = desired.component.clone();
    let name = name_of(&context.options.project, &component, wanted);
    let errors = report.counts_raw();
    let mut refuse = |message: String, at: Place, help: &str| {
        report.push(Diagnostic::error("B635", message).at(at).help(help));
    };
    if RESERVED.iter().any(|reserved| name.to_ascii_lowercase().starts_with(reserved)) {
        let at = wanted.name.as_ref().map_or_else(|| place.clone().key(), |_| place.child("name"));
        refuse(
            format!(
                "`{name}` cannot be the name of a capacity provider: names that begin with `aws`, `ecs` or `fargate` are AWS's own"
            ),
            at,
            "write `name:` with another one",
        );
    }
    let managed = wanted.managed_scaling != Some(false);
    if managed && let Some(scaling) = desired.places.get("scaling") {
        refuse(
            format!(
                "both Auto Scaling (`scaling`) and ECS (`capacity_provider`) would choose the number of instances of `{component}`"
            ),
            scaling.clone().key(),
            "remove `scaling`: the capacity provider follows what tasks need; or write `managed_scaling: false`",
        );
    }
    let of_scaling = [
        ("min", wanted.min.is_some()),
        ("max", wanted.max.is_some()),
        ("target_capacity", wanted.target_capacity.is_some()),
        ("minimum_step", wanted.minimum_step.is_some()),
        ("maximum_step", wanted.maximum_step.is_some()),
        ("warmup", wanted.warmup.is_some()),
    ];
    if !managed && let Some((key, _)) = of_scaling.iter().find(|(_, written)| *written) {
        refuse(
            format!("`{key}` is about managed scaling, which `{component}` does without"),
            place.child(*key).key(),
            "remove it, or `managed_scaling: false`",
        );
    }
    if let (Some(least), Some(most)) = (wanted.minimum_step, wanted.maximum_step)
        && least > most
    {
        refuse(
            format!("`minimum_step` ({least}) is more than `maximum_step` ({most})"),
            place.child("minimum_step"),
            "write a `minimum_step` of at most `maximum_step`",
        );
    }
    let protects = wanted.termination_protection == Some(true);
    if protects && !managed {
        refuse(
            format!(
                "nothing terminates instances of `{component}` that termination protection would keep: ECS does not scale them"
            ),
            place.child("termination_protection"),
            "remove `termination_protection`, or `managed_scaling: false`",
        );
    }
    let protection = context.settings.instance_protection(&component);
    if protects && let Some(written) = protection.filter(|written| !written.value) {
        refuse(
            format!(
                "termination protection needs instances that are protected from scale-in, and those of `{component}` are not"
            ),
            written.place,
            "remove `instance_protection: false`: `termination_protection` protects new instances by itself",
        );
    }
    let replicas = desired.replicas;
    let (min, max) = (wanted.min.map_or(replicas, u64::from), wanted.max.map_or(replicas, u64::from));
    if managed && !(min..=max).contains(&replicas) {
        refuse(
            format!(
                "`{component}` begins with {replicas} replicas, which is not between `min` ({min}) and `max` ({max})"
            ),
            place.clone().key(),
            "the model's `replicas` is where ECS begins, and what stands for a `min` or `max` that is not written",
        );
    }
    if report.counts_raw() != errors {
        return;
    }
    if managed && min < max {
        // What ECS has chosen stays alone, as what Auto Scaling has chosen does.
        let limits = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        desired.scaling = Some(Scaling { min: limits(min), max: limits(max), ..Scaling::default() });
        desired.places.insert("scaling", place.clone());
    }
    if protects {
        desired.group.insert("NewInstancesProtectedFromScaleIn".to_owned(), json!(true));
        desired.places.insert("NewInstancesProtectedFromScaleIn", place.child("termination_protection"));
    }
    let word = |on: bool| if on { "ENABLED" } else { "DISABLED" };
    desired.provider = Some(Provider {
        component,
        name,
        cluster: joined.value.cluster.clone(),
        settings: json!({
            "managedScaling": {
                "status": word(managed),
                "targetCapacity": wanted.target_capacity.unwrap_or(100),
                "minimumScalingStepSize": wanted.minimum_step.unwrap_or(1),
                "maximumScalingStepSize": wanted.maximum_step.unwrap_or(10_000),
                "instanceWarmupPeriod": wanted.warmup.unwrap_or(300),
            },
            "managedDraining": word(wanted.managed_draining != Some(false)),
            "managedTerminationProtection": word(protects),
        }),
        place,
    });
}

/// The settings of an observed provider, as far as a plan is about them.
pub fn settings_of(provider: &Value) -> Value {
    let asg = provider.get("autoScalingGroupProvider").cloned().unwrap_or_default();
    let scaling = asg.get("managedScaling").cloned().unwrap_or_default();
    let numbers = [
        ("targetCapacity", 100),
        ("minimumScalingStepSize", 1),
        ("maximumScalingStepSize", 10_000),
        ("instanceWarmupPeriod", 300),
    ];
    let mut managed = json!({"status": text(&scaling, "status").unwrap_or("DISABLED")});
    for (member, default) in numbers {
        managed[member] = scaling.get(member).cloned().unwrap_or_else(|| json!(default));
    }
    json!({
        "managedScaling": managed,
        "managedDraining": text(&asg, "managedDraining").unwrap_or("DISABLED"),
        "managedTerminationProtection": text(&asg, "managedTerminationProtection").unwrap_or("DISABLED"),
    })
}

/// The observed provider of a group, whoever made it.
pub fn bound<'a>(facts: &Facts<'a>, group: &Value) -> Option<&'a Value> {
    // The API takes the name in the place of the ARN.
    let names = [text(group, "AutoScalingGroupARN"), text(group, "AutoScalingGroupName")];
    let of = |provider: &&Value| {
        let own = provider.pointer("/autoScalingGroupProvider/autoScalingGroupArn").and_then(Value::as_str);
        own.is_some() && names.contains(&own)
    };
    facts.shared.capacity_providers().find(of)
}

/// Whose a provider is: the project and the component that its tags name.
fn owner<'p>(context: Context<'_>, provider: &'p Value) -> (Option<&'p str>, Option<&'p str>) {
    let tags = items(provider, "tags");
    (tag(tags, &context.tag("project")), tag(tags, &context.tag("component")))
}

/// What a running group and its provider are to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bond<'a> {
    /// Neither is there a provider nor is one wanted, or it stays or goes without anything that the group would feel.
    None,
    /// One is wanted, and the group has none: instances that have joined without one are never really its own.
    Missing,
    /// The group has the wanted one.
    Kept(&'a Value),
}

/// Judges the provider of a component whose group runs. Nothing where the plan cannot go on.
pub fn bond<'a>(
    context: Context<'_>,
    facts: &Facts<'a>,
    desired: &Desired,
    slot: &Slot<'_>,
    report: &mut Report,
) -> Option<Bond<'a>> {
    let found = bound(facts, slot.group);
    let Some(wanted) = &desired.provider else { return Some(Bond::None) };
    let Some(found) = found else { return free(context, facts, wanted, report).then_some(Bond::Missing) };
    let name = text(found, "name").unwrap_or_default();
    let help = "give the component another name: a new group with a provider of its own is made, services move to it, and this one is taken away";
    if name != wanted.name {
        let message = format!(
            "Auto Scaling group `{}` is bound to the capacity provider `{name}`, and AWS renames none",
            slot.name
        );
        let help = format!("write `name: {name}`; or {help}");
        report.push(Diagnostic::error("B530", message).at(wanted.place.clone().key()).help(help));
        return None;
    }
    if owner(context, found) != (Some(context.options.project.as_str()), Some(wanted.component.as_str())) {
        return not_ours(wanted, found, context, report);
    }
    at_rest(found, &wanted.place, report).then_some(Bond::Kept(found))
}

fn not_ours<T>(wanted: &Provider, found: &Value, context: Context<'_>, report: &mut Report) -> Option<T> {
    let whose = match owner(context, found) {
        (Some(project), Some(component)) if project == context.options.project => {
            format!("belongs to component `{component}`")
        }
        (Some(project), _) => format!("belongs to project `{project}`"),
        (None, _) => "is there already, and nothing says that it is Belay's".to_owned(),
    };
    report.push(
        Diagnostic::error("B501", format!("the capacity provider `{}` {whose}", wanted.name))
            .at(wanted.place.clone().key())
            .help("write another `name`: Belay never touches what it did not make"),
    );
    None
}

fn at_rest(found: &Value, at: &Place, report: &mut Report) -> bool {
    let update = text(found, "updateStatus").unwrap_or_default();
    if !update.ends_with("_IN_PROGRESS") {
        return true;
    }
    let name = text(found, "name").unwrap_or_default();
    report.push(
        Diagnostic::error("B503", format!("the capacity provider `{name}` is being changed ({update})"))
            .at(at.clone().key())
            .help("wait until it is done, then observe and compile again"),
    );
    false
}

/// Whether a provider can be made: its cluster was looked at and has room, and nobody has the name.
pub fn free(context: Context<'_>, facts: &Facts<'_>, wanted: &Provider, report: &mut Report) -> bool {
    let has = providers_of(facts, &wanted.cluster).len();
    if has >= MOST {
        report.push(
            Diagnostic::error(
                "B635",
                format!("cluster `{}` has {has} capacity providers, and AWS allows {MOST}", wanted.cluster),
            )
            .at(wanted.place.clone().key())
            .help("take one away from the cluster, or let the instances join another one"),
        );
        return false;
    }
    let Some(found) = facts.shared.capacity_provider(&wanted.name) else { return true };
    if owner(context, found).0 != Some(context.options.project.as_str()) {
        not_ours::<()>(wanted, found, context, report);
        return false;
    }
    let group = text(&found["autoScalingGroupProvider"], "autoScalingGroupArn").unwrap_or_default();
    let group = group.rsplit('/').next().unwrap_or(group);
    report.push(
        Diagnostic::error(
            "B530",
            format!("the capacity provider `{}` is bound to Auto Scaling group `{group}`, and AWS binds it to no other", wanted.name),
        )
        .at(wanted.place.clone().key())
        .help("write another `name`, or give the component another name: the old provider is deleted after the commit point"),
    );
    false
}

/// A group whose provider AWS binds to it cannot be replaced by its other slot; whether this one may be.
pub fn replaceable(
    facts: &Facts<'_>,
    desired: &Desired,
    slot: &Slot<'_>,
    what: &str,
    at: Place,
    report: &mut Report,
) -> bool {
    let Some(found) = bound(facts, slot.group) else { return true };
    let name = text(found, "name").unwrap_or_default();
    report.push(
        Diagnostic::error(
            "B636",
            format!(
                "`{}` would have to be replaced by a new group ({what}), and AWS binds its capacity provider `{name}` to the old one",
                desired.component
            ),
        )
        .at(at)
        .help("give the component another name, also where `uses` and `capacity` name it: one plan makes the new group with a provider of its own, moves the services there and takes the old group away")
        .help("sizes, and all of `capacity_provider` but `name` and `termination_protection`, are changed in place"),
    );
    false
}

/// The provider of a new group is made before its first instance, so that the group has to be new.
pub fn new_group(desired: &Desired, spare: &Spare<'_>, report: &mut Report) -> bool {
    let (Some(wanted), true) = (&desired.provider, spare.group.is_some()) else { return true };
    report.push(
        Diagnostic::error(
            "B636",
            format!(
                "the empty Auto Scaling group `{}` is left over, and a capacity provider needs a new one",
                spare.name
            ),
        )
        .at(wanted.place.clone().key())
        .help("delete that group, then observe and compile again"),
    );
    false
}

/// The providers that a cluster has.
pub fn providers_of<'a>(facts: &Facts<'a>, cluster: &str) -> Vec<&'a str> {
    let cluster = facts.shared.cluster(cluster);
    cluster.map_or_else(Vec::new, |c| items(c, "capacityProviders").iter().filter_map(Value::as_str).collect())
}

/// A provider of ours that nobody wants any more.
#[derive(Debug, Clone, Copy)]
pub struct Surplus<'a> {
    /// The component that it was for.
    pub component: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The cluster that it was made for, where its tags say so.
    pub cluster: Option<&'a str>,
    /// As DescribeCapacityProviders tells it.
    pub provider: &'a Value,
}

/// Providers of the project that are none of `wanted`.
pub fn surplus<'a>(context: Context<'_>, facts: &Facts<'a>, wanted: &dyn Fn(&str) -> bool) -> Vec<Surplus<'a>> {
    let all = facts.shared.capacity_providers().filter_map(|provider| {
        let name = text(provider, "name")?;
        let tags = items(provider, "tags");
        let ours = tag(tags, &context.tag("project")) == Some(&context.options.project);
        let component = tag(tags, &context.tag("component")).filter(|_| ours && !wanted(name))?;
        Some(Surplus { component, name, cluster: tag(tags, &context.tag("cluster")), provider })
    });
    all.collect()
}

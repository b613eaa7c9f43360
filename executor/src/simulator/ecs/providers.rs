//! Capacity providers of Auto Scaling groups: made, changed, put beside others of a cluster, deleted. Those of Managed
//! Instances: made for one cluster, which has them from then on.
//!
//! Invariants: a provider is bound to one group for good, and a group has one provider at most; ECS deletes none that a
//! cluster has (it says so at the provider, not in the answer), and takes none away from a cluster that services use.
//! Not modelled: that managed scaling moves a group's size, and the lifecycle hook of managed draining.
//!
//! Sources: CreateCapacityProvider, DeleteCapacityProvider, PutClusterCapacityProviders in the ECS API reference;
//! messages as people report them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::autoscaling;
use super::super::errors::{busy, client, invalid, missing, rejected, unmodelled};
use super::super::request::{
    Answer, Paging, at_most, ecs_tags, items, lists, required, short, text, texts, to_ecs_tags,
};
use super::super::time::Time;
use super::super::world::{CapacityProvider, GroupTag, ServiceStatus, World};
use super::{cluster_name, clusters};
use crate::cloud::CloudError;

/// Providers that every account has.
pub(super) const OF_FARGATE: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];
/// The tag that ECS gives the groups of providers that a cluster has.
const MANAGED: &str = "AmazonECSManaged";
/// How the policies are called with which ECS scales groups.
const POLICY: &str = "ECSManagedAutoScalingPolicy-";
/// Providers of a cluster at most (ECS service quotas).
const MOST: usize = 20;

const SETTINGS: [&str; 3] = ["managedScaling", "managedDraining", "managedTerminationProtection"];

fn enabled(settings: &Map<String, Value>, member: &str) -> bool {
    let value = settings.get(member);
    let own = value.and_then(|value| value.as_str().or_else(|| text(value, "status")));
    own == Some("ENABLED")
}

/// Settings with what an input says in the place of what was there.
fn settings_of(input: &Value, mut settings: Map<String, Value>) -> Map<String, Value> {
    for (member, value) in input.as_object().into_iter().flatten().filter(|(m, _)| SETTINGS.contains(&m.as_str())) {
        match (settings.get_mut(member).and_then(Value::as_object_mut), value.as_object()) {
            (Some(before), Some(values)) => before.extend(values.clone()),
            _ => _ = settings.insert(member.clone(), value.clone()),
        }
    }
    settings
}

/// What AWS takes where a creation says nothing.
fn defaults() -> Map<String, Value> {
    let scaling = json!({
        "status": "DISABLED", "targetCapacity": 100, "minimumScalingStepSize": 1, "maximumScalingStepSize": 10_000,
        "instanceWarmupPeriod": 300,
    });
    let all = [
        ("managedScaling", scaling),
        ("managedDraining", json!("ENABLED")),
        ("managedTerminationProtection", json!("DISABLED")),
    ];
    all.into_iter().map(|(member, value)| (member.to_owned(), value)).collect()
}

fn check(world: &World, group: &str, settings: &Map<String, Value>) -> Result<(), CloudError> {
    let words = "The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider,";
    if !enabled(settings, "managedTerminationProtection") {
        return Ok(());
    }
    if !enabled(settings, "managedScaling") {
        return Err(invalid(format!("{words} managed scaling must be enabled.")));
    }
    let protects = |group: &super::super::world::AutoScalingGroup| {
        group.settings.get("NewInstancesProtectedFromScaleIn").and_then(Value::as_bool) == Some(true)
    };
    if world.auto_scaling_groups.values().find(|one| one.arn == group).is_some_and(protects) {
        return Ok(());
    }
    Err(invalid(format!("{words} the Auto Scaling group must have instance protection from scale in enabled.")))
}

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "name")?.to_owned();
    if ["aws", "ecs", "fargate"].iter().any(|reserved| name.to_ascii_lowercase().starts_with(reserved)) {
        return Err(client("The specified capacity provider name is invalid: it begins with a reserved word."));
    }
    if world.capacity_providers.get(&name).is_some_and(|provider| !provider.inactive) {
        return Err(client(
            "The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the capacity provider.",
        ));
    }
    if let Some(managed) = input.get("managedInstancesProvider") {
        return create_managed(world, input, &name, managed);
    }
    let Some(asked) = input.get("autoScalingGroupProvider") else {
        return Err(client(
            "A capacity provider needs an Auto Scaling group or the configuration of Managed Instances.",
        ));
    };
    let group = required(asked, "autoScalingGroupArn")?;
    let found = world.auto_scaling_groups.iter().find(|(own, one)| *own == group || one.arn == group);
    let Some(arn) = found.map(|(_, one)| one.arn.clone()) else {
        return Err(client("The specified Auto Scaling group ARN is invalid. Specify a valid ARN and try again."));
    };
    if world.capacity_providers.values().any(|provider| !provider.inactive && provider.group == arn) {
        return Err(client(
            "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a unique Auto Scaling group ARN and try again.",
        ));
    }
    let settings = settings_of(asked, defaults());
    check(world, &arn, &settings)?;
    let made = CapacityProvider {
        group: arn,
        cluster: None,
        settings,
        inactive: false,
        change: "CREATE".to_owned(),
        due: None,
        failure: None,
        tags: ecs_tags(input),
    };
    world.capacity_providers.insert(name.clone(), made);
    answer(world, &name)
}

/// One of instances that ECS starts itself. Its cluster has it at once: there is nothing to put.
fn create_managed(world: &mut World, input: &Value, name: &str, managed: &Value) -> Answer {
    let cluster = short(required(input, "cluster")?).to_owned();
    let Some(has) = world.clusters.get_mut(&cluster) else {
        return Err(rejected("ClusterNotFoundException", "Cluster not found."));
    };
    has.capacity_providers.push(name.to_owned());
    let made = CapacityProvider {
        group: String::new(),
        cluster: Some(cluster),
        settings: managed.as_object().cloned().unwrap_or_default(),
        inactive: false,
        change: "CREATE".to_owned(),
        due: None,
        failure: None,
        tags: ecs_tags(input),
    };
    world.capacity_providers.insert(name.to_owned(), made);
    answer(world, name)
}

fn answer(world: &World, name: &str) -> Answer {
    let provider = world.capacity_providers.get(name).map(|provider| show(world, name, provider, true));
    Ok(json!({"capacityProvider": provider}).into())
}

/// The name of the provider that an input means, if nothing is being done to it.
fn living(world: &World, name: &str) -> Result<String, CloudError> {
    let name = short(name);
    match world.capacity_providers.get(name) {
        Some(provider) if provider.inactive => {
            Err(missing("ClientException", "The specified capacity provider does not exist."))
        }
        Some(provider) if provider.due.is_some() => {
            Err(busy("UpdateInProgressException", "The specified capacity provider is being updated."))
        }
        Some(provider) if provider.cluster.is_some() => {
            Err(unmodelled("changing or deleting capacity providers of Managed Instances"))
        }
        Some(_) => Ok(name.to_owned()),
        None if OF_FARGATE.contains(&name) => {
            Err(client("The specified capacity provider is reserved and cannot be updated or deleted."))
        }
        None => Err(missing("ClientException", "The specified capacity provider does not exist.")),
    }
}

pub(super) fn update(world: &mut World, input: &Value) -> Answer {
    let name = living(world, required(input, "name")?)?;
    let due = world.now.plus(world.timings.attach_seconds);
    let Some(provider) = world.capacity_providers.get(&name) else { return answer(world, &name) };
    let settings = settings_of(&input["autoScalingGroupProvider"], provider.settings.clone());
    check(world, &provider.group, &settings)?;
    if let Some(provider) = world.capacity_providers.get_mut(&name) {
        provider.settings = settings;
        provider.change = "UPDATE".to_owned();
        provider.due = Some(due);
        provider.failure = None;
    }
    manage(world);
    answer(world, &name)
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let name = living(world, required(input, "capacityProvider")?)?;
    let has = world.clusters.iter().find(|(_, cluster)| cluster.capacity_providers.contains(&name));
    let failure = has.map(|(cluster, _)| {
        format!("The capacity provider cannot be deleted because it is associated with cluster: {cluster}. Remove the capacity provider from the cluster and try again.")
    });
    let due = world.now.plus(world.timings.attach_seconds);
    if let Some(provider) = world.capacity_providers.get_mut(&name) {
        provider.change = "DELETE".to_owned();
        provider.due = failure.is_none().then_some(due);
        provider.failure = failure;
    }
    answer(world, &name)
}

fn show(world: &World, name: &str, provider: &CapacityProvider, tags: bool) -> Value {
    let own = Value::Object(provider.settings.clone());
    let state = match (provider.due, &provider.failure) {
        (Some(_), _) => "IN_PROGRESS",
        (None, Some(_)) => "FAILED",
        (None, None) => "COMPLETE",
    };
    let mut shown = json!({
        "capacityProviderArn": world.ecs_arn(&format!("capacity-provider/{name}")),
        "name": name,
        "status": if provider.inactive { "INACTIVE" } else { "ACTIVE" },
        "updateStatus": format!("{}_{state}", provider.change),
        "tags": if tags { to_ecs_tags(&provider.tags) } else { json!([]) },
    });
    if let Some(cluster) = &provider.cluster {
        shown["type"] = "MANAGED_INSTANCES".into();
        shown["cluster"] = cluster.as_str().into();
        shown["managedInstancesProvider"] = own;
    } else {
        shown["type"] = "EC2_AUTOSCALING".into();
        shown["autoScalingGroupProvider"] = own;
        shown["autoScalingGroupProvider"]["autoScalingGroupArn"] = json!(provider.group);
    }
    if let Some(failure) = &provider.failure {
        shown["updateStatusReason"] = json!(failure);
    }
    shown
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let asked = texts(input, "capacityProviders");
    at_most(items(input, "capacityProviders"), 100, "capacityProviders")?;
    let of_fargate = |name: &str| {
        json!({
            "capacityProviderArn": world.ecs_arn(&format!("capacity-provider/{name}")), "name": name,
            "status": "ACTIVE", "type": name, "tags": [],
        })
    };
    let tags = lists(input, "include", "TAGS");
    let mut all: Vec<(String, Value)> = OF_FARGATE.iter().map(|name| ((*name).to_owned(), of_fargate(name))).collect();
    let own = world.capacity_providers.iter();
    all.extend(own.map(|(name, provider)| (name.clone(), show(world, name, provider, tags))));
    let mut failures = Vec::new();
    if !asked.is_empty() {
        for name in asked.iter().map(|name| short(name)).filter(|name| !all.iter().any(|(known, _)| known == name)) {
            let arn = world.ecs_arn(&format!("capacity-provider/{name}"));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
        all.retain(|(name, _)| asked.iter().any(|asked| short(asked) == name));
    }
    let shown = all.into_iter().map(|(_, provider)| provider).collect();
    let mut output = Paging::ecs(10, 10).answer("capacityProviders", shown, input)?;
    output["failures"] = failures.into();
    Ok(output.into())
}

/// Whether an active service of a cluster runs by a strategy that names a provider. Tasks that it has left behind are not
/// looked at.
fn used(world: &World, cluster: &str, provider: &str) -> bool {
    let services = world.services.values().filter(|s| s.cluster == cluster && s.status == ServiceStatus::Active);
    let mut strategies = services.filter_map(|service| service.wanted.get("capacityProviderStrategy"));
    strategies.any(|strategy| named(strategy).any(|name| name == provider))
}

/// The names in a strategy.
pub(super) fn named(strategy: &Value) -> impl Iterator<Item = &str> {
    strategy.as_array().into_iter().flatten().filter_map(|share| text(share, "capacityProvider"))
}

/// The providers of a strategy are the cluster's.
pub(super) fn check_strategy(world: &World, cluster: &str, strategy: Option<&Value>) -> Result<(), CloudError> {
    let has = world.clusters.get(cluster).map_or(&[][..], |cluster| cluster.capacity_providers.as_slice());
    let own = strategy.into_iter().flat_map(named).filter(|name| !OF_FARGATE.contains(name));
    if let Some(stray) = own.into_iter().find(|name| !has.iter().any(|known| known == name)) {
        return Err(invalid(format!("The specified capacity provider '{stray}' was not found.")));
    }
    let kind = |name: &str| (OF_FARGATE.contains(&name), world.manages(name));
    let kinds: BTreeSet<(bool, bool)> = strategy.into_iter().flat_map(named).map(kind).collect();
    if kinds.len() > 1 {
        return Err(invalid("A capacity provider strategy cannot mix capacity providers of different types."));
    }
    Ok(())
}

pub(super) fn put(world: &mut World, input: &Value) -> Answer {
    let name = cluster_name(world, input)?;
    let providers = texts(input, "capacityProviders");
    let known = |provider: &str| {
        OF_FARGATE.contains(&provider) || world.capacity_providers.get(provider).is_some_and(|known| !known.inactive)
    };
    if let Some(unknown) = providers.iter().find(|provider| !known(provider)) {
        return Err(invalid(format!("The specified capacity provider '{unknown}' was not found.")));
    }
    if providers.iter().any(|provider| world.manages(provider)) {
        return Err(invalid(
            "Cannot associate Managed Instances capacity provider to clusters using this API. Managed Instances capacity providers are already associated with the cluster that they were created for.",
        ));
    }
    if providers.len() > MOST {
        return Err(invalid(format!("A cluster can have at most {MOST} capacity providers.")));
    }
    let strategy = items(input, "defaultCapacityProviderStrategy");
    let stray = strategy
        .iter()
        .filter_map(|item| text(item, "capacityProvider"))
        .find(|p| !providers.contains(p) && !world.manages(p));
    if let Some(stray) = stray {
        return Err(invalid(format!("The capacity provider '{stray}' is not associated with the cluster.")));
    }
    let mut providers: BTreeSet<String> = providers.into_iter().map(str::to_owned).collect();
    // Those of Managed Instances are the cluster's without a word.
    let own = world.capacity_providers.iter().filter(|(_, p)| !p.inactive && p.cluster.as_deref() == Some(&name));
    providers.extend(own.map(|(name, _)| name.clone()));
    let before: BTreeSet<String> =
        world.clusters.get(&name).map(|c| c.capacity_providers.iter().cloned().collect()).unwrap_or_default();
    if world.clusters.get(&name).is_some_and(|cluster| cluster.attachments_due.is_some()) {
        return Err(busy(
            "UpdateInProgressException",
            "The specified cluster is in a busy state. Cluster attachments must be in UPDATE_COMPLETE or UPDATE_FAILED state before they can be updated. Wait and try again.",
        ));
    }
    if before.difference(&providers).any(|gone| used(world, &name, gone)) {
        return Err(rejected(
            "ResourceInUseException",
            "The specified capacity provider is in use and cannot be removed.",
        ));
    }
    let moved = before.symmetric_difference(&providers).any(|provider| !OF_FARGATE.contains(&provider.as_str()));
    let due = world.now.plus(world.timings.attach_seconds);
    if let Some(cluster) = world.clusters.get_mut(&name) {
        cluster.capacity_providers = providers.into_iter().collect();
        cluster.default_capacity_provider_strategy = strategy.to_vec();
        cluster.attachments_due = moved.then_some(due);
    }
    manage(world);
    let cluster = world.clusters.get(&name).map(|cluster| clusters::show(world, &name, cluster, input));
    Ok(json!({"cluster": cluster}).into())
}

/// Lets groups have the tag and the policy that ECS gives those of providers that a cluster has.
fn manage(world: &mut World) {
    let attached: BTreeSet<String> =
        world.clusters.values().flat_map(|cluster| cluster.capacity_providers.iter().cloned()).collect();
    let mut scaled = BTreeSet::new();
    let mut marked = BTreeSet::new();
    for (_, provider) in world.capacity_providers.iter().filter(|(name, p)| !p.inactive && attached.contains(*name)) {
        if provider.cluster.is_some() {
            continue;
        }
        marked.insert(provider.group.clone());
        if enabled(&provider.settings, "managedScaling") {
            scaled.insert(provider.group.clone());
        }
    }
    let names: Vec<String> = world.auto_scaling_groups.keys().cloned().collect();
    for name in names {
        let Some(group) = world.auto_scaling_groups.get(&name) else { continue };
        let has = group.policies.keys().any(|policy| policy.starts_with(POLICY));
        let (wants, mark) = (scaled.contains(&group.arn), marked.contains(&group.arn));
        let policy = (wants && !has).then(|| {
            let policy = format!("{POLICY}{}", world.uuid("managedPolicy"));
            let arn =
                autoscaling::arn(world, "scalingPolicy", &format!("autoScalingGroupName/{name}:policyName/{policy}"));
            (policy, arn)
        });
        let Some(group) = world.auto_scaling_groups.get_mut(&name) else { continue };
        if mark {
            let tag = || GroupTag { value: String::new(), propagate: true };
            group.tags.entry(MANAGED.to_owned()).or_insert_with(tag);
        }
        if !wants {
            group.policies.retain(|policy, _| !policy.starts_with(POLICY));
        }
        if let Some((policy, arn)) = policy {
            let shown = json!({
                "AutoScalingGroupName": name, "PolicyName": policy, "PolicyARN": arn,
                "PolicyType": "TargetTrackingScaling", "Enabled": true, "Alarms": [],
                "TargetTrackingConfiguration": {"TargetValue": 100.0, "DisableScaleIn": false},
            });
            group.policies.insert(policy, shown);
        }
    }
}

/// When something about providers is through next.
pub(in super::super) fn next(world: &World) -> Option<Time> {
    let clusters = world.clusters.values().filter_map(|cluster| cluster.attachments_due);
    clusters.chain(world.capacity_providers.values().filter_map(|provider| provider.due)).min()
}

/// Lets what is due be through.
pub(in super::super) fn pass_time(world: &mut World) {
    let now = world.now;
    let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
    if world.clusters.values().any(|cluster| is_due(cluster.attachments_due)) {
        for cluster in world.clusters.values_mut().filter(|cluster| is_due(cluster.attachments_due)) {
            cluster.attachments_due = None;
        }
    }
    let due = |provider: &CapacityProvider| is_due(provider.due);
    world.capacity_providers.change(due, |_, provider| {
        provider.due = None;
        provider.inactive = provider.change == "DELETE";
    });
}

/// The provider that an EC2 instance belongs to when it joins a cluster.
pub(super) fn of_instance(world: &World, cluster: &str, instance: &str) -> Option<String> {
    let group = world.auto_scaling_groups.values().find(|group| group.members.contains_key(instance))?;
    let has = &world.clusters.get(cluster)?.capacity_providers;
    let mut all = world.capacity_providers.iter().filter(|(_, provider)| !provider.inactive);
    all.find(|(name, provider)| provider.group == group.arn && has.contains(name)).map(|(name, _)| name.clone())
}

//! What is read from ECS: the cluster, the project's services with their revisions, task definitions, instances.
//!
//! Invariants: the API's batch limits are kept, and batches are cut from sorted lists, so that the same state gives the
//! same reads; of task definitions, of which AWS describes one a call, only those are described that a plan may need:
//! the ones that services run, and the ones that a plan may deregister (see [`definitions`]).

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::scope::{EVENT_RULE_TAG, EcsScope, RECORD_TAG, SCALED_TAG, SCHEDULE_TAG, Scope};
use futures_util::future::{try_join_all, try_join4};
use serde_json::{Value, json};

use super::reader::Reader;
use super::redact::Owner;
use super::{ObserveError, items, short_name, strings};

/// What DescribeServices takes at a time.
const SERVICES: usize = 10;
/// What DescribeServiceRevisions takes at a time.
const REVISIONS: usize = 20;
/// What DescribeContainerInstances takes at a time.
const INSTANCES: usize = 100;
/// What DescribeCapacityProviders is asked for at a time.
const PROVIDERS: usize = 10;
/// How many of the newest revisions of a family are looked at, at most. Whatever is older waits for the next time.
const NEWEST: usize = 10;
/// How many of the newest revisions stay whatever an update does: of the three that stay, it may register one.
const STAYING: usize = 2;

/// What observed services or groups refer to.
#[derive(Debug, Default)]
pub(super) struct InUse {
    /// ARNs of target groups.
    pub(super) target_groups: BTreeSet<String>,
    /// Names of classic load balancers.
    pub(super) load_balancers: BTreeSet<String>,
    /// Names of services with the tag that says that they are scaled.
    pub(super) scaled: BTreeSet<String>,
    /// Listeners at which their traffic is shifted, by ARN.
    pub(super) listeners: BTreeSet<String>,
    /// Cloud Map services that they register with, by ARN.
    pub(super) registries: BTreeSet<String>,
    /// Records of Route 53 that services say are theirs: `ZONE-ID/NAME`.
    pub(super) records: BTreeSet<String>,
    /// The cluster's default namespace, by ARN.
    pub(super) namespace: Option<String>,
    /// Schedules that task definitions of the project say they are for.
    pub(super) schedules: BTreeSet<String>,
    /// Rules of EventBridge that they say they are for.
    pub(super) event_rules: BTreeSet<String>,
    /// ARNs of task definitions.
    task_definitions: BTreeSet<String>,
}

/// ACTIVE revisions by family, newest first.
type Families = BTreeMap<String, Vec<String>>;

pub(super) async fn observe(reader: &Reader<'_>, scope: &Scope, ecs: &EcsScope) -> Result<InUse, ObserveError> {
    let cluster = async { reader.read("ecs", "DescribeClusters", json!({"clusters": [ecs.cluster]})).await };
    let (cluster, mut used, families, ()) =
        try_join4(cluster, services(reader, ecs), families(reader, ecs), instances(reader, ecs)).await?;
    let clusters = || cluster.iter().flat_map(|answer| items(answer, "clusters"));
    used.namespace =
        clusters().find_map(|cluster| cluster["serviceConnectDefaults"]["namespace"].as_str().map(str::to_owned));
    let providers: BTreeSet<&str> = clusters().flat_map(|cluster| strings(cluster, "capacityProviders")).collect();
    capacity_providers(reader, &providers).await?;
    (used.schedules, used.event_rules) = definitions(reader, scope, ecs, &used, &families).await?;
    Ok(used)
}

/// Describes the task definitions that services run, and those that a plan may deregister: whose a revision is stands
/// in its tags. An update keeps the newest ones; where nothing is to be left of a family, all of it is looked at, if
/// its newest revision or one that runs is the project's. Gives the schedules and the rules of EventBridge that they say
/// they are for.
async fn definitions(
    reader: &Reader<'_>,
    scope: &Scope,
    ecs: &EcsScope,
    used: &InUse,
    families: &Families,
) -> Result<(BTreeSet<String>, BTreeSet<String>), ObserveError> {
    let wanted: BTreeSet<String> = if ecs.teardown { BTreeSet::new() } else { ecs.families().collect() };
    let mut first = used.task_definitions.clone();
    let mut doubtful = Vec::new();
    for (family, arns) in families {
        let looked_at = arns.iter().take(NEWEST);
        if wanted.contains(family) {
            // What no service runs may be what a schedule or a rule starts: its newest revision says so.
            let runs = used.task_definitions.iter().any(|arn| family_of(arn) == family);
            first.extend(arns.first().filter(|_| !runs).cloned());
            first.extend(looked_at.skip(STAYING).cloned());
        } else if let Some(newest) = arns.first() {
            first.insert(newest.clone());
            doubtful.push((family.as_str(), looked_at));
        }
    }
    let owner = Owner::of(scope, ecs);
    let owner = &owner;
    let keys = [SCHEDULE_TAG, EVENT_RULE_TAG].map(|key| format!("{}:{key}", ecs.tag_prefix));
    let keys = &keys;
    let described = try_join_all(first.iter().map(|arn| async move {
        let answer = describe(reader, arn).await?;
        let ours = answer.filter(|definition| owner.owns(definition));
        let names = |definition| keys.each_ref().map(|key| tagged(&definition, key).map(str::to_owned));
        Ok(ours.map(|definition| (family_of(arn), names(definition))))
    }));
    let described: Vec<(&str, [Option<String>; 2])> = described.await?.into_iter().flatten().collect();
    let ours: BTreeSet<&str> = described.iter().map(|(family, _)| *family).collect();
    let named = |at: usize| described.iter().filter_map(|(_, names)| names[at].clone()).collect();
    let timetables = (named(0), named(1));
    let rest = doubtful
        .into_iter()
        .filter(|(family, _)| ours.contains(family))
        .flat_map(|(_, arns)| arns)
        .filter(|arn| !first.contains(*arn));
    try_join_all(rest.map(|arn| describe(reader, arn))).await?;
    Ok(timetables)
}

/// The value of a tag of a described task definition.
fn tagged<'v>(definition: &'v Value, key: &str) -> Option<&'v str> {
    items(definition, "tags").find(|tag| tag["key"] == *key)?["value"].as_str()
}

async fn describe(reader: &Reader<'_>, arn: &str) -> Result<Option<Value>, ObserveError> {
    reader.read("ecs", "DescribeTaskDefinition", json!({"taskDefinition": arn, "include": ["TAGS"]})).await
}

/// The wanted services and whatever else carries the project's prefix. Wanted ones are described even when they are not
/// listed: ListServices leaves out those that drain.
async fn services(reader: &Reader<'_>, scope: &EcsScope) -> Result<InUse, ObserveError> {
    let Some(listed) = reader.read("ecs", "ListServices", json!({"cluster": scope.cluster})).await? else {
        return Ok(InUse::default());
    };
    let listed = strings(&listed, "serviceArns").map(short_name).filter(|n| n.starts_with(&scope.service_prefix));
    let names: BTreeSet<&str> = scope.services.iter().map(String::as_str).chain(listed).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let described = try_join_all(names.chunks(SERVICES).map(|batch| describe_services(reader, scope, batch))).await?;
    let described: Vec<Value> = described.into_iter().flatten().collect();

    let mut used = InUse::default();
    let mut revisions = BTreeSet::new();
    let scaled = format!("{}:{SCALED_TAG}", scope.tag_prefix);
    let recorded = format!("{}:{RECORD_TAG}", scope.tag_prefix);
    for service in &described {
        if items(service, "tags").any(|tag| tag["key"] == *scaled) {
            used.scaled.extend(service["serviceName"].as_str().map(str::to_owned));
        }
        let records = items(service, "tags").filter(|tag| tag["key"] == *recorded);
        used.records.extend(records.filter_map(|tag| tag["value"].as_str().map(str::to_owned)));
        let parts = || std::iter::once(service).chain(items(service, "deployments")).chain(items(service, "taskSets"));
        let definitions = parts().filter_map(|part| part["taskDefinition"].as_str().map(str::to_owned));
        used.task_definitions.extend(definitions);
        revisions.extend(items(service, "currentServiceRevisions").filter_map(|r| r["arn"].as_str()));
        let registries = parts().flat_map(|part| items(part, "serviceRegistries"));
        used.registries.extend(registries.filter_map(|r| r["registryArn"].as_str().map(str::to_owned)));
        for balancer in parts().flat_map(|part| items(part, "loadBalancers")) {
            let advanced = &balancer["advancedConfiguration"];
            let alternate = &advanced["alternateTargetGroupArn"];
            let rules = [&advanced["productionListenerRule"], &advanced["testListenerRule"]];
            used.listeners.extend(rules.into_iter().filter_map(|rule| listener_of(rule.as_str()?)));
            used.target_groups.extend(
                [&balancer["targetGroupArn"], alternate].into_iter().filter_map(Value::as_str).map(str::to_owned),
            );
            used.load_balancers.extend(balancer["loadBalancerName"].as_str().map(str::to_owned));
        }
    }
    let revisions: Vec<&str> = revisions.into_iter().collect();
    try_join_all(
        revisions
            .chunks(REVISIONS)
            .map(|batch| reader.read("ecs", "DescribeServiceRevisions", json!({"serviceRevisionArns": batch}))),
    )
    .await?;
    Ok(used)
}

/// The listener of a rule of an application load balancer; of a network load balancer, services name the listener.
fn listener_of(rule: &str) -> Option<String> {
    if rule.contains(":listener/net/") {
        return Some(rule.to_owned());
    }
    let (listener, _) = rule.rsplit_once('/').filter(|(rest, _)| rest.contains(":listener-rule/app/"))?;
    Some(listener.replacen(":listener-rule/", ":listener/", 1))
}

/// Describes one batch of services. Their events are left out: hundreds of lines that no plan depends on.
async fn describe_services(reader: &Reader<'_>, scope: &EcsScope, names: &[&str]) -> Result<Vec<Value>, ObserveError> {
    let input = json!({"cluster": scope.cluster, "services": names, "include": ["TAGS"]});
    let trim = |output: &mut Value| {
        let services = output["services"].as_array_mut().into_iter().flatten();
        services.filter_map(Value::as_object_mut).for_each(|service| _ = service.remove("events"));
    };
    let answer = reader.read_trimmed("ecs", "DescribeServices", input, trim).await?;
    Ok(answer.iter().flat_map(|output| items(output, "services")).cloned().collect())
}

/// The active revisions of the project's families.
async fn families(reader: &Reader<'_>, ecs: &EcsScope) -> Result<Families, ObserveError> {
    if let Some(families) = all_families(reader, ecs).await? {
        return Ok(families);
    }
    let input = json!({"familyPrefix": ecs.family_prefix, "status": "ACTIVE"});
    let Some(listed) = reader.read("ecs", "ListTaskDefinitionFamilies", input).await? else {
        return Ok(Families::new());
    };
    let listed = try_join_all(strings(&listed, "families").map(|family| revisions(reader, family))).await?;
    Ok(listed.into_iter().collect())
}

/// All active revisions of the account, a hundred a call, where that is likely to take fewer calls than asking for each
/// family. In an account that has far more of them, this costs a quarter of those calls at most. Other people's are
/// not recorded.
async fn all_families(reader: &Reader<'_>, ecs: &EcsScope) -> Result<Option<Families>, ObserveError> {
    let most = ecs.services.len() / 4;
    let input = json!({"status": "ACTIVE", "sort": "DESC"});
    let Some(mut answer) = reader.attempt_within(most, "ecs", "ListTaskDefinitions", &input).await? else {
        return Ok(None);
    };
    let mut families = Families::new();
    if let Some(arns) = answer["taskDefinitionArns"].as_array_mut() {
        arns.retain(|arn| arn.as_str().is_some_and(|arn| short_name(arn).starts_with(&ecs.family_prefix)));
        for arn in arns.iter().filter_map(Value::as_str) {
            families.entry(family_of(arn).to_owned()).or_default().push(arn.to_owned());
        }
    }
    reader.record("ecs", "ListTaskDefinitions", input, Ok(answer));
    Ok(Some(families))
}

/// The family in the ARN of a revision.
fn family_of(arn: &str) -> &str {
    short_name(arn).split(':').next().unwrap_or_default()
}

/// The filter is called a prefix: revisions of families that merely start with this one's name are left out.
async fn revisions(reader: &Reader<'_>, family: &str) -> Result<(String, Vec<String>), ObserveError> {
    let input = json!({"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"});
    let trim = |output: &mut Value| {
        if let Some(arns) = output["taskDefinitionArns"].as_array_mut() {
            arns.retain(|arn| arn.as_str().is_some_and(|arn| family_of(arn) == family));
        }
    };
    let answer = reader.read_trimmed("ecs", "ListTaskDefinitions", input, trim).await?;
    let own = answer.iter().flat_map(|output| strings(output, "taskDefinitionArns")).map(str::to_owned);
    Ok((family.to_owned(), own.collect()))
}

/// Describes the cluster's capacity providers: whether they are of groups or of instances that ECS starts itself, a plan
/// has to know. Those of Fargate say nothing but their names.
async fn capacity_providers(reader: &Reader<'_>, names: &BTreeSet<&str>) -> Result<(), ObserveError> {
    let names: Vec<&str> = names.iter().copied().filter(|name| !name.starts_with("FARGATE")).collect();
    if names.is_empty() {
        return Ok(());
    }
    try_join_all(
        names
            .chunks(PROVIDERS)
            .map(|batch| reader.read("ecs", "DescribeCapacityProviders", json!({"capacityProviders": batch}))),
    )
    .await?;
    Ok(())
}

/// The cluster's instances with their free resources, where the scope wants them.
async fn instances(reader: &Reader<'_>, scope: &EcsScope) -> Result<(), ObserveError> {
    if !scope.container_instances {
        return Ok(());
    }
    let input = json!({"cluster": scope.cluster});
    let Some(listed) = reader.read("ecs", "ListContainerInstances", input).await? else { return Ok(()) };
    let arns: BTreeSet<&str> = strings(&listed, "containerInstanceArns").collect();
    let arns: Vec<&str> = arns.into_iter().collect();
    try_join_all(arns.chunks(INSTANCES).map(|batch| {
        reader.read("ecs", "DescribeContainerInstances", json!({"cluster": scope.cluster, "containerInstances": batch}))
    }))
    .await?;
    Ok(())
}

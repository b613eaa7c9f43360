//! What is read from ECS: the cluster, the project's services with their revisions, task definitions, instances.
//!
//! Invariant: the API's batch limits are kept, and batches are cut from sorted lists, so that the same state gives the
//! same reads.

use std::collections::BTreeSet;

use belay_schemas::scope::EcsScope;
use futures_util::future::{try_join_all, try_join4};
use serde_json::{Value, json};

use super::reader::Reader;
use super::{ObserveError, items, short_name, strings};

/// What DescribeServices takes at a time.
const SERVICES: usize = 10;
/// What DescribeServiceRevisions takes at a time.
const REVISIONS: usize = 20;
/// How many revisions of a family are described: the newest ones, which is more than ever stay registered.
const NEWEST: usize = 10;
/// What DescribeContainerInstances takes at a time.
const INSTANCES: usize = 100;

/// What the observed services refer to outside ECS.
#[derive(Debug, Default)]
pub(super) struct InUse {
    /// ARNs of target groups.
    pub(super) target_groups: BTreeSet<String>,
    /// Names of classic load balancers.
    pub(super) load_balancers: BTreeSet<String>,
    /// ARNs of task definitions.
    task_definitions: BTreeSet<String>,
}

pub(super) async fn observe(reader: &Reader<'_>, scope: &EcsScope) -> Result<InUse, ObserveError> {
    let cluster = async { reader.read("ecs", "DescribeClusters", json!({"clusters": [scope.cluster]})).await };
    let (_, mut used, newest, ()) =
        try_join4(cluster, services(reader, scope), families(reader, scope), instances(reader, scope)).await?;
    // Whose a revision is stands in its tags, so those that may be tidied away are described as well.
    used.task_definitions.extend(newest);
    try_join_all(
        used.task_definitions.iter().map(|arn| {
            reader.read("ecs", "DescribeTaskDefinition", json!({"taskDefinition": arn, "include": ["TAGS"]}))
        }),
    )
    .await?;
    Ok(used)
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
    for service in &described {
        let parts = || std::iter::once(service).chain(items(service, "deployments")).chain(items(service, "taskSets"));
        let definitions = parts().filter_map(|part| part["taskDefinition"].as_str().map(str::to_owned));
        used.task_definitions.extend(definitions);
        revisions.extend(items(service, "currentServiceRevisions").filter_map(|r| r["arn"].as_str()));
        for balancer in parts().flat_map(|part| items(part, "loadBalancers")) {
            let alternate = &balancer["advancedConfiguration"]["alternateTargetGroupArn"];
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

/// Describes one batch of services. Their events are left out: hundreds of lines that no plan depends on.
async fn describe_services(reader: &Reader<'_>, scope: &EcsScope, names: &[&str]) -> Result<Vec<Value>, ObserveError> {
    let input = json!({"cluster": scope.cluster, "services": names, "include": ["TAGS"]});
    let mut answer = reader.attempt("ecs", "DescribeServices", &input).await?;
    let mut found = Vec::new();
    if let Ok(output) = &mut answer
        && let Some(services) = output["services"].as_array_mut()
    {
        for service in &mut *services {
            if let Some(service) = service.as_object_mut() {
                service.remove("events");
            }
        }
        found.clone_from(services);
    }
    reader.record("ecs", "DescribeServices", input, answer);
    Ok(found)
}

/// The active revisions of each of the project's families; returns the newest of each.
async fn families(reader: &Reader<'_>, scope: &EcsScope) -> Result<Vec<String>, ObserveError> {
    let input = json!({"familyPrefix": scope.family_prefix, "status": "ACTIVE"});
    let Some(listed) = reader.read("ecs", "ListTaskDefinitionFamilies", input).await? else { return Ok(Vec::new()) };
    let newest = try_join_all(strings(&listed, "families").map(|family| revisions(reader, family))).await?;
    Ok(newest.into_iter().flatten().collect())
}

/// The filter is called a prefix: revisions of families that merely start with this one's name are left out.
async fn revisions(reader: &Reader<'_>, family: &str) -> Result<Vec<String>, ObserveError> {
    let input = json!({"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"});
    let mut answer = reader.attempt("ecs", "ListTaskDefinitions", &input).await?;
    let mut newest = Vec::new();
    if let Ok(output) = &mut answer
        && let Some(arns) = output["taskDefinitionArns"].as_array_mut()
    {
        arns.retain(|arn| arn.as_str().map(short_name).and_then(|n| n.split(':').next()) == Some(family));
        newest.extend(arns.iter().take(NEWEST).filter_map(|arn| arn.as_str().map(str::to_owned)));
    }
    reader.record("ecs", "ListTaskDefinitions", input, answer);
    Ok(newest)
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

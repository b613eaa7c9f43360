//! What is read about load balancing: target groups and classic load balancers, those that the scope names and those
//! that the observed services use.
//!
//! Invariant: a batch that fails because one of its members is missing is split until the missing one stands alone, so
//! that every existing one is read and every missing one has its own recorded error.

use std::collections::BTreeSet;

use belay_schemas::scope::Scope;
use futures_util::future::{try_join, try_join_all, try_join3};
use serde_json::{Value, json};

use super::ecs::InUse;
use super::reader::Reader;
use super::{ObserveError, items, short_name};
use crate::cloud::CloudError;

/// Names or ARNs a call.
const BATCH: usize = 20;

/// What the scope's names turned out to be.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// ARNs of target groups.
    target_groups: BTreeSet<String>,
    /// Names of classic load balancers.
    load_balancers: BTreeSet<String>,
}

/// One family of batched look-ups.
#[derive(Clone, Copy)]
struct Lookup {
    service: &'static str,
    operation: &'static str,
    /// The input member that lists what is looked for.
    by: &'static str,
}

const GROUPS_BY_NAME: Lookup = Lookup { service: "elbv2", operation: "DescribeTargetGroups", by: "Names" };
const GROUPS_BY_ARN: Lookup = Lookup { service: "elbv2", operation: "DescribeTargetGroups", by: "TargetGroupArns" };
const BALANCERS: Lookup = Lookup { service: "elbv2", operation: "DescribeLoadBalancers", by: "LoadBalancerArns" };
const CLASSIC: Lookup = Lookup { service: "elb", operation: "DescribeLoadBalancers", by: "LoadBalancerNames" };

/// Looks up what the scope names. A name that may be either is tried as a target group, then as a classic load
/// balancer; only when it is neither are the two errors recorded.
pub(super) async fn named(reader: &Reader<'_>, scope: &Scope) -> Result<Known, ObserveError> {
    let is_group = |name: &str| name.contains(":targetgroup/");
    let (group_arns, group_names): (BTreeSet<&str>, BTreeSet<&str>) = scope
        .target_groups
        .iter()
        .chain(scope.balancers.iter().filter(|name| !name.starts_with("arn:") || is_group(name)))
        .map(String::as_str)
        .partition(|name| name.starts_with("arn:"));
    let classic: BTreeSet<&str> = scope
        .load_balancers
        .iter()
        .chain(scope.balancers.iter().filter(|name| name.starts_with("arn:") && !is_group(name)))
        .map(|name| short_name(name))
        .collect();

    let (by_arn, by_name, mut balancers) = try_join3(
        look_up(reader, GROUPS_BY_ARN, group_arns),
        look_up(reader, GROUPS_BY_NAME, group_names),
        look_up(reader, CLASSIC, classic),
    )
    .await?;

    let ambiguous = |name: &str| scope.balancers.contains(name) && !scope.target_groups.contains(name);
    let (undecided, missing): (Vec<_>, Vec<_>) = by_name.missing.iter().partition(|(name, _)| ambiguous(name));
    let fallback = look_up(reader, CLASSIC, undecided.iter().map(|(name, _)| name.as_str()).collect()).await?;
    by_arn.record_missing(reader, GROUPS_BY_ARN);
    balancers.record_missing(reader, CLASSIC);
    fallback.record_missing(reader, CLASSIC);
    let neither: BTreeSet<&str> = fallback.missing.iter().map(|(name, _)| name.as_str()).collect();
    for (name, error) in
        missing.into_iter().chain(undecided.into_iter().filter(|(name, _)| neither.contains(name.as_str())))
    {
        record_missing(reader, GROUPS_BY_NAME, name, error);
    }

    balancers.found.extend(fallback.found);
    let known = Known {
        target_groups: arns(by_arn.found.iter().chain(&by_name.found)),
        load_balancers: names(&balancers.found),
    };
    let made = scope.ecs.as_ref().map(|ecs| &ecs.made_groups);
    let ours = |group: &&Value| {
        made.is_some_and(|made| group["TargetGroupName"].as_str().is_some_and(|name| made.contains(name)))
    };
    let groups = by_name.found.iter().flat_map(|answer| items(answer, "TargetGroups")).filter(ours);
    let groups = groups.filter_map(|group| group["TargetGroupArn"].as_str().map(str::to_owned)).collect();
    try_join(details(reader, &known), tags(reader, &groups)).await?;
    Ok(known)
}

/// Looks up what is used beyond what the scope named, and gives the ARNs of the target groups among that.
pub(super) async fn used(reader: &Reader<'_>, used: &InUse, known: &Known) -> Result<BTreeSet<String>, ObserveError> {
    let groups = used.target_groups.difference(&known.target_groups).map(String::as_str).collect();
    let classic = used.load_balancers.difference(&known.load_balancers).map(String::as_str).collect();
    let (groups, classic) = try_join(look_up(reader, GROUPS_BY_ARN, groups), look_up(reader, CLASSIC, classic)).await?;
    groups.record_missing(reader, GROUPS_BY_ARN);
    classic.record_missing(reader, CLASSIC);
    let beyond = Known { target_groups: arns(&groups.found), load_balancers: names(&classic.found) };
    details(reader, &beyond).await?;
    Ok(beyond.target_groups)
}

/// The load balancers before all target groups that were read so far: the names under which they are found.
pub(super) async fn in_front(reader: &Reader<'_>) -> Result<(), ObserveError> {
    let groups = reader.answers("elbv2", "DescribeTargetGroups");
    let groups = groups.iter().flat_map(|answer| items(answer, "TargetGroups"));
    let arns = groups.flat_map(|group| items(group, "LoadBalancerArns")).filter_map(Value::as_str);
    let arns: BTreeSet<String> = arns.map(str::to_owned).collect();
    let found = look_up(reader, BALANCERS, arns.iter().map(String::as_str).collect()).await?;
    found.record_missing(reader, BALANCERS);
    Ok(())
}

/// Tags of target groups or rules: whose they are stands there.
pub(super) async fn tags(reader: &Reader<'_>, arns: &BTreeSet<String>) -> Result<(), ObserveError> {
    let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
    let reads = arns.chunks(BATCH).map(|batch| reader.read("elbv2", "DescribeTags", json!({"ResourceArns": batch})));
    try_join_all(reads).await?;
    Ok(())
}

/// Attributes of target groups and of classic load balancers: how long they drain. AWS tells them one at a time.
async fn details(reader: &Reader<'_>, known: &Known) -> Result<(), ObserveError> {
    let groups = known
        .target_groups
        .iter()
        .map(|arn| reader.read("elbv2", "DescribeTargetGroupAttributes", json!({"TargetGroupArn": arn})));
    let classic = known
        .load_balancers
        .iter()
        .map(|name| reader.read("elb", "DescribeLoadBalancerAttributes", json!({"LoadBalancerName": name})));
    try_join(try_join_all(groups), try_join_all(classic)).await?;
    Ok(())
}

/// What a batched look-up found.
struct Found {
    /// The answers.
    found: Vec<Value>,
    /// What does not exist, and AWS's words for it. Not recorded yet.
    missing: Vec<(String, CloudError)>,
}

impl Found {
    fn record_missing(&self, reader: &Reader<'_>, lookup: Lookup) {
        for (name, error) in &self.missing {
            record_missing(reader, lookup, name, error);
        }
    }
}

fn record_missing(reader: &Reader<'_>, lookup: Lookup, name: &str, error: &CloudError) {
    reader.record(lookup.service, lookup.operation, json!({lookup.by: [name]}), Err(error.clone()));
}

async fn look_up(reader: &Reader<'_>, lookup: Lookup, wanted: BTreeSet<&str>) -> Result<Found, ObserveError> {
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let batches = try_join_all(wanted.chunks(BATCH).map(|batch| look_up_batch(reader, lookup, batch))).await?;
    let mut all = Found { found: Vec::new(), missing: Vec::new() };
    for batch in batches {
        all.found.extend(batch.found);
        all.missing.extend(batch.missing);
    }
    Ok(all)
}

/// Halves a failing batch until what is missing stands alone: 2·log₂(n) calls more for each missing one.
async fn look_up_batch(reader: &Reader<'_>, lookup: Lookup, batch: &[&str]) -> Result<Found, ObserveError> {
    let mut result = Found { found: Vec::new(), missing: Vec::new() };
    let mut open = vec![batch];
    while let Some(part) = open.pop() {
        let input = json!({lookup.by: part});
        match (reader.attempt(lookup.service, lookup.operation, &input).await?, part) {
            (Ok(output), _) => {
                reader.record(lookup.service, lookup.operation, input, Ok(output.clone()));
                result.found.push(output);
            }
            (Err(error), [name]) => result.missing.push(((*name).to_owned(), error)),
            (Err(_), _) => {
                let (left, right) = part.split_at(part.len() / 2);
                open.extend([right, left]);
            }
        }
    }
    Ok(result)
}

fn arns<'v>(answers: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    members(answers, "TargetGroups", "TargetGroupArn")
}

fn names<'v>(answers: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    members(answers, "LoadBalancerDescriptions", "LoadBalancerName")
}

fn members<'v>(answers: impl IntoIterator<Item = &'v Value>, list: &str, member: &str) -> BTreeSet<String> {
    let all = answers.into_iter().flat_map(|answer| items(answer, list));
    all.filter_map(|item| item[member].as_str()).map(str::to_owned).collect()
}

//! What is read about Auto Scaling and EC2: the project's groups with what launches their instances, and the network,
//! AMIs, key pairs and objects that the scope names.
//!
//! Invariants: the API's batch limits are kept, and batches are cut from sorted lists; where the API filters, filters
//! are used instead of names, so that what is missing is merely absent; user data of groups that are not the project's
//! never leaves this module in clear.

use std::collections::BTreeSet;

use belay_schemas::observed::HomeVpc;
use belay_schemas::scope::{AsgScope, Scope};
use futures_util::future::{try_join_all, try_join4};
use serde_json::{Value, json};

use super::ecs::InUse;
use super::reader::Reader;
use super::{ObserveError, items, redacted, strings};
use crate::http::METADATA;

/// What DescribeAutoScalingGroups and DescribeLaunchConfigurations take at a time.
const NAMES: usize = 50;
/// Values that one filter of ec2 takes.
const VALUES: usize = 200;

/// What was found besides reads.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the groups are attached to.
    pub(super) used: InUse,
    /// The VPC of this host, where the scope wants it.
    pub(super) home_vpc: Option<HomeVpc>,
}

pub(super) async fn observe(reader: &Reader<'_>, scope: &Scope, wanted: &AsgScope) -> Result<Found, ObserveError> {
    clusters(reader, &wanted.clusters).await?;
    let (used, home_vpc, (), ()) = try_join4(
        groups(reader, scope, wanted),
        networks(reader, wanted),
        filtered(reader, "DescribeImages", "image-id", &wanted.amis),
        filtered(reader, "DescribeKeyPairs", "key-name", &wanted.key_pairs),
    )
    .await?;
    Ok(Found { used, home_vpc })
}

/// The wanted groups, and whatever else carries the project's tag.
async fn groups(reader: &Reader<'_>, scope: &Scope, wanted: &AsgScope) -> Result<InUse, ObserveError> {
    let tag = format!("{}:project", wanted.tag_prefix);
    let mut reads: Vec<Value> =
        batches(&wanted.groups, NAMES).map(|names| json!({"AutoScalingGroupNames": names})).collect();
    reads.push(json!({"Filters": [{"Name": format!("tag:{tag}"), "Values": [scope.project]}]}));
    let read = |input: Value| reader.read("autoscaling", "DescribeAutoScalingGroups", input);
    let answers = try_join_all(reads.into_iter().map(read)).await?;
    let answers: Vec<Value> = answers.into_iter().flatten().collect();
    let found: Vec<&Value> = answers.iter().flat_map(|answer| items(answer, "AutoScalingGroups")).collect();

    let owned = |group: &&&Value| {
        items(group, "Tags").any(|t| (t["Key"] == *tag || t["Key"] == "skopos:project") && t["Value"] == *scope.project)
    };
    // ECS marks the groups of capacity providers so.
    let provides = |group: &&Value| items(group, "Tags").any(|tag| tag["Key"] == "AmazonECSManaged");
    if !wanted.clusters.is_empty() || found.iter().any(provides) {
        capacity_providers(reader, scope, wanted).await?;
    }
    let ours: BTreeSet<String> = found.iter().filter(owned).flat_map(|group| launchers(group)).collect();
    let names: BTreeSet<&str> = found.iter().filter_map(|group| group["AutoScalingGroupName"].as_str()).collect();
    let policies = names
        .into_iter()
        .map(|name| reader.read("autoscaling", "DescribePolicies", json!({"AutoScalingGroupName": name})));
    try_join_all(policies).await?;

    let kept = |name: &str| ours.contains(name) || wanted.templates.contains(name);
    templates(reader, wanted, &found, &kept).await?;
    configurations(reader, wanted, &found, &kept).await?;

    let mut used = InUse::default();
    for group in found {
        used.load_balancers.extend(strings(group, "LoadBalancerNames").map(str::to_owned));
        used.target_groups.extend(strings(group, "TargetGroupARNs").map(str::to_owned));
    }
    Ok(used)
}

/// The launch templates that a group names, for all and for single instance types.
fn specifications(group: &Value) -> impl Iterator<Item = &Value> {
    let mixed = &group["MixedInstancesPolicy"]["LaunchTemplate"];
    let overrides = items(mixed, "Overrides").map(|o| &o["LaunchTemplateSpecification"]);
    let own = [&group["LaunchTemplate"], &mixed["LaunchTemplateSpecification"]];
    own.into_iter().chain(overrides).filter(|specification| specification.is_object())
}

/// Everything that a group's instances are launched by, by all of its names.
fn launchers(group: &Value) -> Vec<String> {
    let names = specifications(group).flat_map(|s| [&s["LaunchTemplateId"], &s["LaunchTemplateName"]]);
    let names = names.chain([&group["LaunchConfigurationName"]]).filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// The launch templates of the wanted names, the versions that the groups use, and the default ones of those that
/// settings are taken from.
async fn templates(
    reader: &Reader<'_>,
    wanted: &AsgScope,
    groups: &[&Value],
    kept: &impl Fn(&str) -> bool,
) -> Result<(), ObserveError> {
    let names: BTreeSet<String> = wanted.templates.union(&wanted.groups).cloned().collect();
    filtered(reader, "DescribeLaunchTemplates", "launch-template-name", &names).await?;
    let mut versions: BTreeSet<(&str, String, String)> = BTreeSet::new();
    for specification in groups.iter().flat_map(|group| specifications(group)) {
        let version = specification["Version"].as_str().unwrap_or("$Default").to_owned();
        let id = ["LaunchTemplateId", "LaunchTemplateName"].into_iter().find_map(|member| {
            let name = specification[member].as_str()?;
            Some((member, name.to_owned()))
        });
        versions.extend(id.map(|(member, name)| (member, name, version)));
    }
    let from = wanted.templates.iter().map(|name| ("LaunchTemplateName", name.clone(), "$Default".to_owned()));
    versions.extend(from);
    let described = versions.into_iter().map(|(member, name, version)| async move {
        let input = json!({member: name, "Versions": [version]});
        let trim = |output: &mut Value| {
            hide(output, "LaunchTemplateVersions", |version| {
                let named = ["LaunchTemplateId", "LaunchTemplateName"].iter().filter_map(|m| version[*m].as_str());
                (!named.into_iter().any(kept)).then(|| version.pointer_mut("/LaunchTemplateData/UserData")).flatten()
            });
        };
        reader.read_trimmed("ec2", "DescribeLaunchTemplateVersions", input, trim).await
    });
    try_join_all(described).await?;
    Ok(())
}

/// The launch configurations of the wanted names and those that the groups use.
async fn configurations(
    reader: &Reader<'_>,
    wanted: &AsgScope,
    groups: &[&Value],
    kept: &impl Fn(&str) -> bool,
) -> Result<(), ObserveError> {
    let mut names: BTreeSet<String> = wanted.templates.union(&wanted.groups).cloned().collect();
    names.extend(groups.iter().filter_map(|group| group["LaunchConfigurationName"].as_str()).map(str::to_owned));
    let described = batches(&names, NAMES).map(|names| async move {
        let input = json!({"LaunchConfigurationNames": names});
        let trim = |output: &mut Value| {
            hide(output, "LaunchConfigurations", |configuration| {
                let ours = configuration["LaunchConfigurationName"].as_str().is_some_and(kept);
                (!ours).then(|| configuration.get_mut("UserData")).flatten()
            });
        };
        reader.read_trimmed("autoscaling", "DescribeLaunchConfigurations", input, trim).await
    });
    try_join_all(described).await?;
    Ok(())
}

/// Puts a digest in the place of a text in each item of a list; it still tells whether the text changed.
fn hide(output: &mut Value, list: &str, find: impl Fn(&mut Value) -> Option<&mut Value>) {
    for item in output[list].as_array_mut().into_iter().flatten() {
        if let Some(value) = find(item)
            && let Some(text) = value.as_str().filter(|text| !text.is_empty())
        {
            *value = redacted(text).into();
        }
    }
}

/// The VPC with all of its subnets, and the security groups that the scope names in it; the VPC of this host as well.
async fn networks(reader: &Reader<'_>, wanted: &AsgScope) -> Result<Option<HomeVpc>, ObserveError> {
    let home = if wanted.home_vpc { Some(home_vpc(reader).await) } else { None };
    let mut vpcs: BTreeSet<String> = BTreeSet::new();
    let own = home.as_ref().and_then(|home| home.vpc_id.as_ref());
    for name in wanted.vpc.iter().chain(own) {
        let filter = if name.starts_with("vpc-") { "vpc-id" } else { "tag:Name" };
        let input = json!({"Filters": [{"Name": filter, "Values": [name]}]});
        let found = reader.read("ec2", "DescribeVpcs", input).await?.unwrap_or_default();
        vpcs.extend(items(&found, "Vpcs").filter_map(|vpc| vpc["VpcId"].as_str()).map(str::to_owned));
    }
    if vpcs.is_empty() {
        return Ok(home);
    }
    let within = json!({"Name": "vpc-id", "Values": vpcs});
    reader.read("ec2", "DescribeSubnets", json!({"Filters": [within]})).await?;
    let (ids, names): (BTreeSet<&str>, BTreeSet<&str>) =
        wanted.security_groups.iter().map(String::as_str).partition(|name| name.starts_with("sg-"));
    for (filter, values) in [("group-id", ids), ("group-name", names)] {
        let values: Vec<&str> = values.into_iter().collect();
        for part in values.chunks(VALUES) {
            let input = json!({"Filters": [within, {"Name": filter, "Values": part}]});
            reader.read("ec2", "DescribeSecurityGroups", input).await?;
        }
    }
    Ok(home)
}

/// The VPC of the first network interface of this host. That it is not known concerns only what asks for it.
async fn home_vpc(reader: &Reader<'_>) -> HomeVpc {
    let get = async |path: String| {
        let answer = reader.attempt_once(METADATA, "GET", &json!({"path": path})).await?;
        Ok::<String, crate::cloud::CloudError>(answer["text"].as_str().unwrap_or_default().trim().to_owned())
    };
    let found = async {
        let mac = get("/latest/meta-data/mac".to_owned()).await?;
        get(format!("/latest/meta-data/network/interfaces/macs/{mac}/vpc-id")).await
    };
    match found.await {
        Ok(vpc_id) => HomeVpc { vpc_id: Some(vpc_id), error: None },
        Err(error) => HomeVpc { vpc_id: None, error: Some(error.to_string()) },
    }
}

/// A look-up of ec2 by one filter, in batches; nothing for no names.
async fn filtered(
    reader: &Reader<'_>,
    operation: &str,
    filter: &str,
    names: &BTreeSet<String>,
) -> Result<(), ObserveError> {
    let inputs = batches(names, VALUES).map(|part| json!({"Filters": [{"Name": filter, "Values": part}]}));
    try_join_all(inputs.map(|input| reader.read("ec2", operation, input))).await?;
    Ok(())
}

/// The clusters that instances join.
async fn clusters(reader: &Reader<'_>, names: &BTreeSet<String>) -> Result<(), ObserveError> {
    let reads = names.iter().map(|name| reader.read("ecs", "DescribeClusters", json!({"clusters": [name]})));
    try_join_all(reads).await?;
    Ok(())
}

/// The capacity providers of groups, and the clusters that those of the project say they are for. One that nobody wants any
/// more is known by its tags alone, so all of them are looked at; other projects' lose theirs.
async fn capacity_providers(reader: &Reader<'_>, scope: &Scope, wanted: &AsgScope) -> Result<(), ObserveError> {
    let (project, cluster) = (format!("{}:project", wanted.tag_prefix), format!("{}:cluster", wanted.tag_prefix));
    let trim = |output: &mut Value| {
        if let Some(all) = output["capacityProviders"].as_array_mut() {
            let kinds = ["autoScalingGroupProvider", "managedInstancesProvider"];
            all.retain(|provider| kinds.iter().any(|kind| provider[*kind].is_object()));
            for provider in all.iter_mut().filter(|provider| tagged(provider, &project) != Some(&scope.project)) {
                // Whose it is says enough.
                if let Some(tags) = provider["tags"].as_array_mut() {
                    tags.retain(|tag| tag["key"] == *project);
                }
            }
        }
    };
    let answer = reader.read_trimmed("ecs", "DescribeCapacityProviders", json!({"include": ["TAGS"]}), trim).await?;
    let all = answer.iter().flat_map(|answer| items(answer, "capacityProviders"));
    let ours = all.filter(|provider| tagged(provider, &project) == Some(&scope.project));
    let named: BTreeSet<String> = ours.filter_map(|provider| tagged(provider, &cluster).map(str::to_owned)).collect();
    let more: BTreeSet<String> = named.difference(&wanted.clusters).cloned().collect();
    clusters(reader, &more).await
}

/// The value of a tag as ECS writes them.
fn tagged<'v>(of: &'v Value, key: &str) -> Option<&'v str> {
    items(of, "tags").find(|tag| tag["key"] == *key)?["value"].as_str()
}

/// A set in sorted parts.
fn batches(names: &BTreeSet<String>, size: usize) -> impl Iterator<Item = Vec<&String>> {
    let all: Vec<&String> = names.iter().collect();
    all.chunks(size).map(<[_]>::to_vec).collect::<Vec<_>>().into_iter()
}

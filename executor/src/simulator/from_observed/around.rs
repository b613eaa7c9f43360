//! What stands beside services: the network that tasks are put into, log groups, scaling.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::observed::Observed;
use serde_json::{Map, Value, json};

use super::super::request::short;
use super::super::servicediscovery::namespace_id;
use super::super::time::Time;
use super::super::world::{EventRule, HostedZone, LogGroup, Namespace, NamespaceKind, Registry, ScalableTarget, World};
use super::{items, text, texts, upper_tags};

/// Everything of an operation's answers.
fn all<'o>(
    observed: &'o Observed,
    service: &'o str,
    operation: &'o str,
    list: &'o str,
) -> impl Iterator<Item = &'o Value> {
    observed.outputs(service, operation).flat_map(move |(_, output)| items(output, list))
}

/// Security groups that were described, and subnets and security groups that running services name.
pub(super) fn network(world: &mut World, observed: &Observed) {
    let add = |list: &mut Vec<Value>, member: &str, found: Value| {
        if !list.iter().any(|known| known[member] == found[member]) {
            list.push(found);
        }
    };
    for group in all(observed, "ec2", "DescribeSecurityGroups", "SecurityGroups") {
        world.security_groups.retain(|known| known["GroupId"] != group["GroupId"]);
        world.security_groups.push(group.clone());
    }
    let vpc = world.vpcs.first().map_or_else(|| json!("vpc-00000000"), |vpc| vpc["VpcId"].clone());
    for service in all(observed, "ecs", "DescribeServices", "services") {
        let network = &service["networkConfiguration"]["awsvpcConfiguration"];
        for (at, id) in texts(network, "subnets").into_iter().enumerate() {
            let zone = format!("{}{}", world.region, ["a", "b", "c"][at % 3]);
            let subnet = json!({"SubnetId": id, "VpcId": vpc, "AvailabilityZone": zone, "State": "available",
                                "CidrBlock": format!("10.1.{at}.0/24"), "AvailableIpAddressCount": 251});
            add(&mut world.subnets, "SubnetId", subnet);
        }
        for id in texts(network, "securityGroups") {
            let group = json!({"GroupId": id, "GroupName": id, "Description": id, "VpcId": vpc, "IpPermissions": []});
            add(&mut world.security_groups, "GroupId", group);
        }
    }
}

/// Log groups. What was written to them is not observed.
pub(super) fn log_groups(world: &mut World, observed: &Observed, since: Time) {
    for group in all(observed, "logs", "DescribeLogGroups", "logGroups") {
        let retention_days = group["retentionInDays"].as_u64();
        let made = LogGroup { retention_days, streams: BTreeMap::new(), tags: BTreeMap::new(), created_at: since };
        world.log_groups.insert(text(group, "logGroupName"), made);
    }
}

/// Metric alarms.
pub(super) fn alarms(world: &mut World, observed: &Observed) {
    for alarm in all(observed, "cloudwatch", "DescribeAlarms", "MetricAlarms") {
        world.alarms.insert(text(alarm, "AlarmName"), alarm.clone());
    }
}

/// Schedules.
pub(super) fn schedules(world: &mut World, observed: &Observed) {
    for (_, schedule) in observed.outputs("scheduler", "GetSchedule") {
        let group = schedule["GroupName"].as_str().unwrap_or("default");
        world.schedules.insert(format!("{group}/{}", text(schedule, "Name")), schedule.clone());
    }
}

/// Rules of EventBridge.
pub(super) fn event_rules(world: &mut World, observed: &Observed) {
    for (_, rule) in observed.outputs("events", "DescribeRule") {
        let listed = observed.outputs("events", "ListTargetsByRule").filter(|(input, _)| input["Rule"] == rule["Name"]);
        let targets = listed.flat_map(|(_, output)| items(output, "Targets"));
        let mut tags = observed.outputs("events", "ListTagsForResource");
        let tags = tags.find(|(input, _)| input["ResourceARN"] == rule["Arn"]).map(|(_, output)| upper_tags(output));
        let made = EventRule {
            rule: rule.clone(),
            targets: targets.map(|target| (text(target, "Id"), target.clone())).collect(),
            tags: tags.unwrap_or_default(),
        };
        world.event_rules.insert(text(rule, "Name"), made);
    }
}

/// Hosted zones, with the records that were looked at.
pub(super) fn hosted_zones(world: &mut World, observed: &Observed) {
    let listed = observed.outputs("route53", "ListHostedZonesByName").flat_map(|(_, o)| items(o, "HostedZones"));
    let named = observed.outputs("route53", "GetHostedZone").map(|(_, output)| &output["HostedZone"]);
    for zone in listed.chain(named) {
        let made = HostedZone {
            name: text(zone, "Name"),
            private: zone["Config"]["PrivateZone"] == true,
            records: Vec::new(),
        };
        world.hosted_zones.insert(short(&text(zone, "Id")).to_owned(), made);
    }
    for (input, output) in observed.outputs("route53", "ListResourceRecordSets") {
        let id = text(input, "HostedZoneId");
        // Of a zone that only a tag names, nothing is known but that it holds this name.
        let name = text(input, "StartRecordName");
        let apex = name.split_once('.').map_or(name.as_str(), |(_, apex)| apex);
        let unnamed = || HostedZone { name: format!("{apex}."), private: true, records: Vec::new() };
        let zone = world.hosted_zones.entry(id).or_insert_with(unnamed);
        zone.records.extend(items(output, "ResourceRecordSets").cloned());
    }
}

/// Quotas.
pub(super) fn quotas(world: &mut World, observed: &Observed) {
    for (input, output) in observed.outputs("service-quotas", "GetServiceQuota") {
        let value = output.pointer("/Quota/Value").and_then(Value::as_f64);
        world.quotas.extend(value.map(|value| (text(input, "QuotaCode"), value)));
    }
}

/// Cloud Map namespaces. One that a service takes part in need not be in the scope, as when the new model leaves it: of
/// such a one only the name or the ARN is known by which settings mean it.
pub(super) fn namespaces(world: &mut World, observed: &Observed, since: Time) {
    let listed = all(observed, "servicediscovery", "ListNamespaces", "Namespaces");
    let got = observed.outputs("servicediscovery", "GetNamespace").map(|(_, output)| &output["Namespace"]);
    for namespace in listed.chain(got) {
        let kind = NamespaceKind::of(&text(namespace, "Type"));
        let made = Namespace { name: text(namespace, "Name"), kind, created_at: since };
        world.namespaces.insert(text(namespace, "Id"), made);
    }
    let revisions = all(observed, "ecs", "DescribeServiceRevisions", "serviceRevisions");
    let taken_part_in = revisions.map(|revision| text(&revision["serviceConnectConfiguration"], "namespace"));
    let defaults = world.clusters.values().filter_map(|cluster| cluster.service_connect_namespace.clone());
    let meant: Vec<String> = taken_part_in.chain(defaults).filter(|named| !named.is_empty()).collect();
    for named in meant {
        if namespace_id(world, &named).is_none() {
            let name = short(&named).to_owned();
            let made = Namespace { name: name.clone(), kind: NamespaceKind::Http, created_at: since };
            world.namespaces.insert(name, made);
        }
    }
}

/// Services of Cloud Map, but for those that ECS makes for Service Connect: they follow from its services.
pub(super) fn registries(world: &mut World, observed: &Observed, since: Time) {
    let service = "servicediscovery";
    let services = all(observed, "ecs", "DescribeServices", "services");
    let resources = services.flat_map(|s| items(s, "deployments")).flat_map(|d| items(d, "serviceConnectResources"));
    let connected: BTreeSet<&str> = resources.filter_map(|r| r["discoveryArn"].as_str()).collect();
    let listed = observed.outputs(service, "ListServices").flat_map(|(input, output)| {
        let namespace = input["Filters"][0]["Values"][0].clone();
        items(output, "Services").map(move |one| (one, namespace.clone())).collect::<Vec<_>>()
    });
    let got = observed.outputs(service, "GetService").map(|(_, output)| {
        let one = &output["Service"];
        (one, one["NamespaceId"].clone())
    });
    for (one, namespace) in listed.chain(got) {
        let arn = text(one, "Arn");
        if connected.contains(arn.as_str()) {
            continue;
        }
        let tags = observed.outputs(service, "ListTagsForResource").find(|(input, _)| input["ResourceARN"] == *arn);
        let tags = tags.map(|(_, output)| upper_tags(output));
        let member = |name: &str| one[name].as_str().map(str::to_owned);
        let made = Registry {
            name: text(one, "Name"),
            namespace: namespace.as_str().unwrap_or_default().to_owned(),
            description: member("Description"),
            dns: one.get("DnsConfig").cloned(),
            custom_health: one.get("HealthCheckCustomConfig").is_some(),
            creator_request_id: member("CreatorRequestId"),
            tags: tags.unwrap_or_default(),
            created_at: since,
        };
        world.registries.insert(text(one, "Id"), made);
    }
}

/// Scalable targets with their policies and scheduled actions.
pub(super) fn scaling(world: &mut World, observed: &Observed, since: Time) {
    let service = "application-autoscaling";
    let named = |operation: &str, list: &str, member: &str, resource: &str| -> BTreeMap<String, Value> {
        let answers = observed
            .outputs(service, operation)
            .flat_map(|(_, output)| items(output, list).cloned().collect::<Vec<_>>());
        answers.filter(|one| one["ResourceId"] == *resource).map(|one| (text(&one, member), one)).collect()
    };
    for target in all(observed, service, "DescribeScalableTargets", "ScalableTargets") {
        let resource = text(target, "ResourceId");
        let mut suspended = target["SuspendedState"].as_object().cloned().unwrap_or_else(Map::new);
        suspended.retain(|_, suspended| *suspended == true);
        let made = ScalableTarget {
            min: super::number(target, "MinCapacity", 0),
            max: super::number(target, "MaxCapacity", 0),
            suspended,
            policies: named("DescribeScalingPolicies", "ScalingPolicies", "PolicyName", &resource),
            actions: named("DescribeScheduledActions", "ScheduledActions", "ScheduledActionName", &resource),
            created_at: since,
        };
        world.scalable_targets.insert(resource, made);
    }
}

//! What of the observed state a plan may depend on: what its digest of inputs covers.
//!
//! Invariant: two observations of an unchanged target give the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Facts;
use crate::ecs::json::{items, pick, text};
use crate::ecs::normal;

impl Facts<'_> {
    /// What a plan may depend on of a capacity provider: of those of others, what kind they are of.
    fn provider(&self, provider: &Value) -> Value {
        let project = self.scope.map_or("", |scope| scope.project.as_str());
        let ours = items(provider, "tags").iter().any(|tag| {
            text(tag, "key").is_some_and(|key| key.ends_with(":project")) && text(tag, "value") == Some(project)
        });
        let members: &[&str] = if ours { &["autoScalingGroupProvider", "status", "tags"] } else { &["status"] };
        let mut used = pick(provider, members);
        if provider.get("managedInstancesProvider").is_some() {
            used["managed"] = true.into();
        }
        used
    }

    /// What a plan may depend on: not times, events, free room or how many tasks run at the moment, so that two
    /// observations of an unchanged target give the same plan.
    pub fn used(&self) -> Value {
        let service = |s: &Value| {
            let mut picked = pick(s, &SERVICE_MEMBERS);
            if let Some(revision) = self.current_revision(s) {
                picked["revision"] = pick(revision, &REVISION_MEMBERS);
            }
            picked["deployments"] = items(s, "deployments").len().into();
            picked
        };
        let scaling = [&self.scalable_targets, &self.scaling_policies, &self.scheduled_actions]
            .map(|list| list.iter().map(|v| pick(v, &SCALING_MEMBERS)).collect::<Vec<_>>());
        // Only records lead to load balancers by their names.
        let classic: &[&str] = match self.hosted_zones.is_empty() {
            true => &["ListenerDescriptions", "HealthCheck"],
            false => &["ListenerDescriptions", "HealthCheck", "DNSName", "CanonicalHostedZoneNameID"],
        };
        let mut used = serde_json::json!({
            "account": self.account,
            "partition": self.partition,
            "region": self.region,
            "clusters": self.clusters.iter().map(|c| pick(c, &["clusterName", "status", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"])).collect::<Vec<_>>(),
            "capacityProviders": self.capacity_providers.iter().map(|(n, p)| ((*n).to_owned(), self.provider(p))).collect::<BTreeMap<_, _>>(),
            "services": self.services.iter().map(|(n, s)| ((*n).to_owned(), service(s))).collect::<BTreeMap<_, _>>(),
            "definitions": self.definitions.iter().map(|(arn, d)| ((*arn).to_owned(), serde_json::json!({"task": normal::task(d.task), "tags": d.tags}))).collect::<BTreeMap<_, _>>(),
            "families": self.families,
            "targetGroups": self.target_groups.iter().map(|(n, g)| ((*n).to_owned(), pick(g, &GROUP_MEMBERS))).collect::<BTreeMap<_, _>>(),
            "targetGroupAttributes": self.target_group_attributes,
            "classic": self.classic.iter().map(|(n, b)| ((*n).to_owned(), pick(b, classic))).collect::<BTreeMap<_, _>>(),
            "classicAttributes": self.classic_attributes,
            "images": self.images,
            "logGroups": self.log_groups.iter().map(|(n, g)| ((*n).to_owned(), pick(g, &["retentionInDays"]))).collect::<BTreeMap<_, _>>(),
            "scaling": scaling,
            "alarms": self.alarms.iter().map(|(n, a)| ((*n).to_owned(), unstated(a))).collect::<BTreeMap<_, _>>(),
            "schedules": self.schedules.iter().map(|(n, s)| ((*n).to_owned(), pick(s, &SCHEDULE_MEMBERS))).collect::<BTreeMap<_, _>>(),
            "eventRules": self.event_rules().map(|(n, r)| (n.to_owned(), serde_json::json!({"rule": pick(r.rule, &EVENT_RULE_MEMBERS), "targets": r.targets, "tags": r.tags}))).collect::<BTreeMap<_, _>>(),
            "quotas": self.quotas,
            "namespaces": self.namespaces.iter().map(|n| pick(n, &["Id", "Name", "Type"])).collect::<Vec<_>>(),
            "registries": self.registries.iter().map(|(id, all)| ((*id).to_owned(), all.iter().map(|r| pick(r, &REGISTRY_MEMBERS)).collect::<Vec<_>>())).collect::<BTreeMap<_, _>>(),
            "registered": self.registered.iter().map(|(arn, one)| ((*arn).to_owned(), pick(one, &REGISTRY_MEMBERS))).collect::<BTreeMap<_, _>>(),
            "registryTags": self.registry_tags,
            "hostedZones": self.hosted_zones.iter().map(|z| pick(z, &["Id", "Name", "Config"])).collect::<Vec<_>>(),
            "recordSets": self.all_record_sets().map(|(zone, name, sets)| (format!("{zone}/{name}"), sets.to_vec())).collect::<BTreeMap<_, _>>(),
            "loadBalancers": self.load_balancers.iter().map(|(arn, b)| ((*arn).to_owned(), pick(b, &["DNSName", "CanonicalHostedZoneId"]))).collect::<BTreeMap<_, _>>(),
            "rules": self.rules,
            "balancingTags": self.balancing_tags,
            "vpcs": self.vpcs.iter().map(|v| pick(v, &["VpcId", "Tags"])).collect::<Vec<_>>(),
            "subnets": self.subnets.iter().map(|v| pick(v, &["SubnetId", "VpcId", "Tags"])).collect::<Vec<_>>(),
            "securityGroups": self.security_groups.iter().map(|v| pick(v, &["GroupId", "GroupName", "VpcId"])).collect::<Vec<_>>(),
        });
        if let Some(used) = used.as_object_mut() {
            // The network is the other plugin's too, which says for itself what it used of it.
            let network = self.scope.and_then(|s| s.ecs.as_ref()).is_some_and(|ecs| !ecs.network.is_empty());
            used.retain(|name, value| match name.as_str() {
                "vpcs" | "subnets" | "securityGroups" => network,
                "alarms" | "capacityProviders" | "logGroups" | "schedules" | "eventRules" | "quotas" | "rules"
                | "balancingTags" | "registries" | "registered" | "registryTags" | "recordSets" | "loadBalancers" => {
                    value.as_object().is_some_and(|groups| !groups.is_empty())
                }
                "namespaces" | "hostedZones" => value.as_array().is_some_and(|all| !all.is_empty()),
                "scaling" => {
                    value.as_array().is_some_and(|lists| lists.iter().any(|list| list != &serde_json::json!([])))
                }
                _ => true,
            });
        }
        used
    }
}

const SERVICE_MEMBERS: [&str; 18] = [
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "deploymentController",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "roleArn",
    "status",
    "tags",
    "taskDefinition",
];

const GROUP_MEMBERS: [&str; 14] = [
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "LoadBalancerArns",
    "Matcher",
    "Port",
    "Protocol",
    "TargetGroupName",
    "TargetType",
    "UnhealthyThresholdCount",
    "VpcId",
];

/// An alarm without its state.
fn unstated(alarm: &Value) -> Value {
    let mut shown = alarm.clone();
    if let Some(members) = shown.as_object_mut() {
        members.retain(|name, _| !name.starts_with("State") && !name.ends_with("Timestamp"));
    }
    shown
}

const SCALING_MEMBERS: [&str; 12] = [
    "MaxCapacity",
    "MinCapacity",
    "PolicyARN",
    "PolicyName",
    "PolicyType",
    "ResourceId",
    "ScalableTargetAction",
    "Schedule",
    "ScheduledActionName",
    "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration",
    "Timezone",
];

const EVENT_RULE_MEMBERS: [&str; 6] = ["Arn", "Description", "EventPattern", "RoleArn", "ScheduleExpression", "State"];

const SCHEDULE_MEMBERS: [&str; 5] =
    ["FlexibleTimeWindow", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target"];

const REGISTRY_MEMBERS: [&str; 5] = ["Id", "Name", "Description", "DnsConfig", "HealthCheckCustomConfig"];

const REVISION_MEMBERS: [&str; 5] = [
    "containerImages",
    "resolvedConfiguration",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

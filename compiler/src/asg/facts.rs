//! What was observed of EC2 and Auto Scaling, indexed for the compiler.

use std::collections::BTreeMap;

use belay_schemas::observed::{HomeVpc, ObjectObservation, Observed};
use belay_schemas::scope::AsgScope;
use serde_json::{Value, json};

use crate::ecs::facts::Facts as Shared;
use crate::ecs::json::{items, number, text};

/// What was observed.
pub struct Facts<'a> {
    /// Account, region, load balancers and images.
    pub shared: &'a Shared<'a>,
    /// What was asked for.
    pub scope: Option<&'a AsgScope>,
    /// The VPC of the host that observed.
    pub home_vpc: Option<&'a HomeVpc>,
    groups: BTreeMap<&'a str, &'a Value>,
    templates: BTreeMap<&'a str, &'a Value>,
    versions: Vec<&'a Value>,
    configurations: BTreeMap<&'a str, &'a Value>,
    policies: BTreeMap<&'a str, Vec<&'a Value>>,
    vpcs: BTreeMap<&'a str, &'a Value>,
    subnets: BTreeMap<&'a str, &'a Value>,
    security_groups: BTreeMap<&'a str, &'a Value>,
    amis: BTreeMap<&'a str, &'a Value>,
    keys: BTreeMap<&'a str, &'a Value>,
    objects: &'a BTreeMap<String, ObjectObservation>,
}

/// The value of a tag of EC2 or Auto Scaling.
pub fn tag<'t>(tags: &'t [Value], key: &str) -> Option<&'t str> {
    tags.iter().find(|t| text(t, "Key") == Some(key)).and_then(|t| text(t, "Value"))
}

/// The value of a tag of a group, a template or a subnet.
pub fn tag_of<'t>(object: &'t Value, key: &str) -> Option<&'t str> {
    tag(items(object, "Tags"), key)
}

impl<'a> Facts<'a> {
    /// Indexes what was observed.
    pub fn new(observed: &'a Observed, shared: &'a Shared<'a>) -> Self {
        let listed = |service: &'static str, operation: &'static str, list: &'static str, key: &'static str| {
            let outputs = observed.outputs(service, operation);
            let all = outputs.flat_map(move |(_, output)| items(output, list));
            all.filter_map(move |item| Some((text(item, key)?, item))).collect::<BTreeMap<_, _>>()
        };
        let mut policies: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (_, output) in observed.outputs("autoscaling", "DescribePolicies") {
            for policy in items(output, "ScalingPolicies") {
                if let Some(group) = text(policy, "AutoScalingGroupName") {
                    policies.entry(group).or_default().push(policy);
                }
            }
        }
        for list in policies.values_mut() {
            list.sort_by_key(|p| text(p, "PolicyName").unwrap_or_default());
            list.dedup_by_key(|p| text(p, "PolicyName").unwrap_or_default());
        }
        let versions = observed.outputs("ec2", "DescribeLaunchTemplateVersions");
        Self {
            shared,
            scope: observed.scope.asg.as_ref(),
            home_vpc: observed.home_vpc.as_ref(),
            groups: listed("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroups", "AutoScalingGroupName"),
            templates: listed("ec2", "DescribeLaunchTemplates", "LaunchTemplates", "LaunchTemplateName"),
            versions: versions.flat_map(|(_, output)| items(output, "LaunchTemplateVersions")).collect(),
            configurations: listed(
                "autoscaling",
                "DescribeLaunchConfigurations",
                "LaunchConfigurations",
                "LaunchConfigurationName",
            ),
            policies,
            vpcs: listed("ec2", "DescribeVpcs", "Vpcs", "VpcId"),
            subnets: listed("ec2", "DescribeSubnets", "Subnets", "SubnetId"),
            security_groups: listed("ec2", "DescribeSecurityGroups", "SecurityGroups", "GroupId"),
            amis: listed("ec2", "DescribeImages", "Images", "ImageId"),
            keys: listed("ec2", "DescribeKeyPairs", "KeyPairs", "KeyName"),
            objects: &observed.objects,
        }
    }

    /// A group by name.
    pub fn group(&self, name: &str) -> Option<&'a Value> {
        self.groups.get(name).copied()
    }

    /// All groups by name.
    pub fn groups(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.groups.iter().map(|(name, group)| (*name, *group))
    }

    /// A launch template by name.
    pub fn template(&self, name: &str) -> Option<&'a Value> {
        self.templates.get(name).copied()
    }

    /// A launch configuration by name.
    pub fn configuration(&self, name: &str) -> Option<&'a Value> {
        self.configurations.get(name).copied()
    }

    /// What a launch template specification (`LaunchTemplateId` or `LaunchTemplateName`, `Version`) stands for.
    pub fn version(&self, specification: &Value) -> Option<&'a Value> {
        let named = |v: &&&Value| match text(specification, "LaunchTemplateId") {
            Some(id) => text(v, "LaunchTemplateId") == Some(id),
            None => {
                let name = text(specification, "LaunchTemplateName");
                name.is_some() && text(v, "LaunchTemplateName") == name
            }
        };
        let versions = self.versions.iter().filter(named);
        match text(specification, "Version").unwrap_or("$Default") {
            "$Latest" => versions.max_by_key(|v| number(v, "VersionNumber")).copied(),
            "$Default" => versions
                .filter(|v| v.get("DefaultVersion").and_then(Value::as_bool) == Some(true))
                .max_by_key(|v| number(v, "VersionNumber"))
                .copied(),
            wanted => {
                let wanted: Option<u64> = wanted.parse().ok();
                versions.into_iter().find(|v| wanted.is_some() && number(v, "VersionNumber") == wanted).copied()
            }
        }
    }

    /// The scaling policies of a group, sorted by name.
    pub fn policies(&self, group: &str) -> &[&'a Value] {
        self.policies.get(group).map_or(&[], Vec::as_slice)
    }

    /// The VPCs that were found.
    pub fn vpcs(&self) -> impl Iterator<Item = &'a Value> {
        self.vpcs.values().copied()
    }

    /// The subnets that were found.
    pub fn subnets(&self) -> impl Iterator<Item = &'a Value> {
        self.subnets.values().copied()
    }

    /// The security groups that were found.
    pub fn security_groups(&self) -> impl Iterator<Item = &'a Value> {
        self.security_groups.values().copied()
    }

    /// Whether a machine image is there.
    pub fn has_ami(&self, id: &str) -> bool {
        self.amis.contains_key(id)
    }

    /// Whether a key pair is there.
    pub fn has_key(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// What S3 said about an object.
    pub fn object(&self, name: &str) -> Option<&'a ObjectObservation> {
        self.objects.get(name)
    }

    /// What a plan may depend on: not which instances there are, nor their health.
    pub fn used(&self) -> Value {
        let pick = |value: &Value, members: &[&str]| -> Value {
            let kept = members.iter().filter_map(|m| value.get(*m).map(|v| ((*m).to_owned(), v.clone())));
            kept.collect::<serde_json::Map<_, _>>().into()
        };
        let all = |map: &BTreeMap<&str, &Value>, members: &[&str]| -> Value {
            map.iter().map(|(n, v)| ((*n).to_owned(), pick(v, members))).collect::<serde_json::Map<_, _>>().into()
        };
        json!({
            "shared": self.shared.used(),
            "homeVpc": self.home_vpc,
            "groups": all(&self.groups, &GROUP_MEMBERS),
            "templates": all(&self.templates, &["LaunchTemplateId", "Tags"]),
            "versions": self.versions.iter().map(|v| pick(v, &["LaunchTemplateId", "VersionNumber", "DefaultVersion", "LaunchTemplateData"])).collect::<Vec<_>>(),
            "configurations": self.configurations,
            "policies": self.policies,
            "vpcs": all(&self.vpcs, &["Tags"]),
            "subnets": all(&self.subnets, &["AvailabilityZone", "Tags", "VpcId"]),
            "securityGroups": all(&self.security_groups, &["GroupName", "VpcId"]),
            "amis": self.amis.keys().collect::<Vec<_>>(),
            "keys": self.keys.keys().collect::<Vec<_>>(),
            "objects": self.objects,
        })
    }
}

const GROUP_MEMBERS: [&str; 16] = [
    "DesiredCapacity",
    "HealthCheckGracePeriod",
    "HealthCheckType",
    "LaunchConfigurationName",
    "LaunchTemplate",
    "LoadBalancerNames",
    "MaxSize",
    "MinSize",
    "MixedInstancesPolicy",
    "NewInstancesProtectedFromScaleIn",
    "Operator",
    "Status",
    "SuspendedProcesses",
    "Tags",
    "TargetGroupARNs",
    "VPCZoneIdentifier",
];

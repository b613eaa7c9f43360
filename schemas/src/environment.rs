//! An environment: where an application runs, and what differs there.
//!
//! Invariants: as in [`crate::model`]. Credentials are recognised only to be refused with a way out.

mod asg;
mod container_instances;
mod target_groups;

pub use asg::{
    AllocationStrategy, AsgBalancer, AsgComponent, AsgConfig, DelegatedDestroy, HealthCheck, HealthCheckType,
    ImageCheck, LaunchConfig, MixedInstances, Scaling, ScalingMetric, Statistic, Subnets, UserData,
};

pub use container_instances::{
    AuthType, CapacityProvider, ContainerInstances, ImageCleanup, LogLevel, Proxy, RegistryAuth,
};
pub use target_groups::{CheckProtocol, TargetCheck, TargetGroup, TargetProtocol, TargetType};

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::model::{Architecture, CapacityShare, EcsComponent, LaunchType, Logs, Network, Text};

/// Where an application runs, and what differs there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Skopos's document type; optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doctype: Option<String>,
    /// Version of the environment's format: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The plugin that creates instances. Default: ec2-ecs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_plugin: Option<CorePlugin>,
    /// Variables for `${name}` and `${{ expression }}`: scalars, lists or mappings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// Settings of the plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_config: Option<PluginConfig>,
    /// Components that another plugin than `core_plugin` places.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Placement>,
    /// Gates chosen by image; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_gates: Option<Value>,
}

/// The plugins that can create instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CorePlugin {
    /// Amazon ECS.
    #[default]
    #[serde(rename = "ec2-ecs")]
    Ecs,
    /// EC2 Auto Scaling.
    #[serde(rename = "ec2-asg")]
    Asg,
}

/// Settings of the plugins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// Of Amazon ECS.
    #[serde(rename = "ec2-ecs", default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsConfig>,
    /// Of EC2 Auto Scaling.
    #[serde(rename = "ec2-asg", default, skip_serializing_if = "Option::is_none")]
    pub asg: Option<AsgConfig>,
}

/// Where one component is placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// The plugin that creates its instances.
    pub core_plugin: CorePlugin,
}

/// Settings of the ec2-ecs plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsConfig {
    /// Refused: use a profile, SSO or a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub access_key_id: Option<Text>,
    /// Refused: use a profile, SSO or a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub secret_access_key: Option<Text>,
    /// `secret_access_key` as Skopos's documentation spells it; refused as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub secret_acces_key: Option<Text>,
    /// AWS region of the cluster. Default: the AWS configuration where `belay observe` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"us-east-1", regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: Option<String>,
    /// ECS cluster: short name or ARN. Default: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"default")]
    pub cluster: Option<String>,
    /// Seconds without progress before a deployment has failed. Default: 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout: Option<u32>,
    /// Seconds in total before a deployment has failed. Default: 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub overall_timeout: Option<u32>,
    /// Seconds for which the final state has to last before it counts as success. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub update_monitor: Option<u32>,
    /// Seconds between two looks at a deployment that is waited for. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub poll_interval: Option<u32>,
    /// DNS zone in which the application's components find each other (`dnsSearchDomains`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"myapp.mycluster1.internal")]
    pub discovery_zone: Option<String>,
    /// Lets Belay keep the DNS records of `discovery_mode: elb-manual` in Route 53: `COMPONENT.ZONE`, in the zone that
    /// `discovery_zone` names, for each component that `lb` names. Default: they are made beside Belay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_records: Option<DiscoveryRecords>,
    /// How components find each other. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_mode: Option<DiscoveryMode>,
    /// `discovery_mode` as Skopos's documentation also spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_discovery_mode: Option<DiscoveryMode>,
    /// Cloud Map namespace in which components find each other: its name or ARN. Default: the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"shop.internal")]
    pub namespace: Option<String>,
    /// The load balancer of each gateway (and, with `discovery_mode: elb-manual`, of each component), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lb: BTreeMap<String, Option<Balancer>>,
    /// Another name of `lb`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<String, Option<Balancer>>,
    /// Target groups that Belay makes, by the names that `lb` gives them: listeners' `rules` lead to them. Those that Belay has
    /// made and nobody asks for any more are deleted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// Listeners of application and network load balancers, by the names that `rules` gives them: their ARNs. Of the rules that
    /// Belay has made at them, those stay that `rules` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub listeners: BTreeMap<String, String>,
    /// Which requests a listener leads to which gateway, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, ListenerRule>,
    /// What the tasks of components that do not say otherwise run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    /// Capacity providers that share the tasks of components that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Vec<CapacityShare>>,
    /// Platform version of Fargate for components that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1.4.0")]
    pub platform_version: Option<String>,
    /// CPU architecture for components that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Where the network interfaces of tasks are, for components in network mode awsvpc that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// IAM role with which ECS starts tasks, for components that do not say otherwise: name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ecsTaskExecutionRole")]
    pub execution_role: Option<String>,
    /// Where the output of containers goes that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Tags of every service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Text>,
    /// What single components have otherwise in this environment: each key wins over the model's, `tags` are joined, and
    /// `raw` is merged over the model's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, EcsComponent>,
    /// The volumes that components may mount, by logical name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Option<Volume>>,
    /// Prefix of the tags that mark what Belay owns. Default: `belay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,32}$"))]
    pub tag_prefix: Option<String>,
}

/// A rule of a listener: requests that fit get to a gateway's target group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerRule {
    /// The listener, by its name in `listeners`.
    #[schemars(example = &"main")]
    pub listener: String,
    /// Its place among the listener's rules: the lowest is tried first. A listener of a network load balancer has one rule, for
    /// everything that it gets: neither `priority` nor `host` nor `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50_000), example = 10)]
    pub priority: Option<u32>,
    /// Host names, with `*` and `?` for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<String>,
    /// Paths, with `*` and `?` for any characters. With `host` as well, both have to fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The gateway that gets the requests; `lb` names its target group.
    #[schemars(example = &"shop")]
    pub to: String,
}

/// Which hosted zone of Route 53 has the records of components.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoveryRecords {
    /// The hosted zone: its name or its id. Default: the one of the name that `discovery_zone` says; of a private and a public
    /// one of that name, the private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"mycluster1.internal")]
    pub zone: Option<String>,
}

/// How components find each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoveryMode {
    /// Not at all.
    #[default]
    None,
    /// Through a load balancer per component that is listed in `lb` and has its own DNS record.
    ElbManual,
}

/// A load balancer or target group: its name or ARN, or a mapping with a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Balancer {
    /// Name or ARN of a classic load balancer or of a target group.
    pub name: String,
    /// IAM role with which ECS registers tasks in it; sent only when set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How deployments that shift traffic switch to another target group and back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<Switch>,
}

/// Between which target groups deployments shift traffic, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Name or ARN of the other target group: of the same type, protocol and VPC.
    #[schemars(length(min = 1), example = &"shop-green")]
    pub to: String,
    /// What leads users to the component: the name of a rule in `rules`, the ARN of a rule of an application load balancer, or
    /// the ARN of a listener of a network load balancer. ECS sets its weights.
    #[schemars(length(min = 1), example = &"www")]
    pub rule: String,
    /// The same for test traffic, which the new revision gets before users' traffic moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"preview")]
    pub test_rule: Option<String>,
    /// IAM role with which ECS changes them: name or ARN.
    #[schemars(length(min = 1), example = &"ecsInfrastructureRoleForLoadBalancers")]
    pub role: String,
}

impl<'de> Deserialize<'de> for Balancer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Mapping {
            name: String,
            role: Option<String>,
            switch: Option<Switch>,
        }
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self { name, role: None, switch: None }),
            other => {
                let Mapping { name, role, switch } = serde_json::from_value(other).map_err(D::Error::custom)?;
                Ok(Self { name, role, switch })
            }
        }
    }
}

impl JsonSchema for Balancer {
    fn schema_name() -> Cow<'static, str> {
        "Balancer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut switch = generator.subschema_for::<Switch>();
        switch.insert("description".to_owned(), "How deployments that shift traffic (`blue-green`, `linear`, `canary`) switch to another target group and back.".into());
        json_schema!({
            "title": "Balancer",
            "description": "Name or ARN of a classic load balancer or of a target group; or a mapping of `name`, `role` and `switch`.",
            "type": ["string", "object"],
            "minLength": 1,
            "properties": {
                "name": {"type": "string", "minLength": 1, "description": "Name or ARN of a classic load balancer or of a target group."},
                "role": {"type": "string", "minLength": 1, "description": "IAM role with which ECS registers tasks in it; sent only when set."},
                "switch": switch
            },
            "required": ["name"],
            "additionalProperties": false,
            "examples": ["my-classic-elb", {"name": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef", "role": "ecsServiceRole"}, {"name": "shop-blue", "switch": {"to": "shop-green", "rule": "www", "role": "ecsInfrastructureRoleForLoadBalancers"}}]
        })
    }
}

/// A volume of the environment. Without any key: empty, gone with the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Absolute path on the container instance, or the name of a Docker volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/srv/logs")]
    pub from: Option<String>,
    /// A file system of Amazon EFS, shared by all tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efs: Option<Efs>,
    /// A new volume of Amazon EBS for each task, deleted with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs: Option<Ebs>,
}

/// A file system of Amazon EFS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Efs {
    /// Its id.
    #[schemars(example = &"fs-0123456789abcdef0")]
    pub file_system: String,
    /// Directory in it; not together with `access_point`. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/shop")]
    pub root: Option<String>,
    /// Id of an access point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"fsap-0123456789abcdef0")]
    pub access_point: Option<String>,
    /// Whether the task's role is used to mount it. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<bool>,
    /// Whether data is encrypted on its way; needed for `iam` and `access_point`. Default: where it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<bool>,
}

/// A volume of Amazon EBS for each task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ebs {
    /// GiB; needed without `snapshot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 50)]
    pub size: Option<u32>,
    /// Id of the snapshot that it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"snap-0123456789abcdef0")]
    pub snapshot: Option<String>,
    /// Volume type. Default: gp3.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"gp3")]
    pub kind: Option<String>,
    /// I/O operations a second; needed for io1 and io2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// MiB a second; for gp3 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Whether it is encrypted. Default: the account's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// File system: ext3, ext4, xfs or ntfs. Default: xfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ext4")]
    pub file_system: Option<String>,
    /// IAM role with which ECS manages it: name or ARN.
    #[schemars(example = &"ecsInfrastructureRole")]
    pub role: String,
}

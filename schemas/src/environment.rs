//! An environment: where an application runs, and what differs there.
//!
//! Invariants: as in [`crate::model`]. Credentials are recognised only to be refused with a way out.

mod asg;

pub use asg::{
    AllocationStrategy, AsgBalancer, AsgComponent, AsgConfig, DelegatedDestroy, HealthCheck, HealthCheckType,
    ImageCheck, LaunchConfig, MixedInstances, Scaling, ScalingMetric, Statistic, Subnets, UserData,
};

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::model::Text;

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
    pub access_key_id: Option<Text>,
    /// Refused: use a profile, SSO or a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Text>,
    /// `secret_access_key` as Skopos's documentation spells it; refused as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// How components find each other. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_mode: Option<DiscoveryMode>,
    /// `discovery_mode` as Skopos's documentation also spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_discovery_mode: Option<DiscoveryMode>,
    /// The load balancer of each gateway (and, with `discovery_mode: elb-manual`, of each component), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lb: BTreeMap<String, Option<Balancer>>,
    /// Another name of `lb`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<String, Option<Balancer>>,
    /// The volumes that components may mount, by logical name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Option<Volume>>,
    /// Prefix of the tags that mark what Belay owns. Default: `belay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,32}$"))]
    pub tag_prefix: Option<String>,
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
}

impl<'de> Deserialize<'de> for Balancer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Mapping {
            name: String,
            role: Option<String>,
        }
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self { name, role: None }),
            other => {
                let Mapping { name, role } = serde_json::from_value(other).map_err(D::Error::custom)?;
                Ok(Self { name, role })
            }
        }
    }
}

impl JsonSchema for Balancer {
    fn schema_name() -> Cow<'static, str> {
        "Balancer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Balancer",
            "description": "Name or ARN of a classic load balancer or of a target group; or a mapping of `name` and `role`.",
            "type": ["string", "object"],
            "minLength": 1,
            "properties": {
                "name": {"type": "string", "minLength": 1, "description": "Name or ARN of a classic load balancer or of a target group."},
                "role": {"type": "string", "minLength": 1, "description": "IAM role with which ECS registers tasks in it; sent only when set."}
            },
            "required": ["name"],
            "additionalProperties": false,
            "examples": ["my-classic-elb", {"name": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef", "role": "ecsServiceRole"}]
        })
    }
}

/// A volume of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Absolute path on the container instance, or the name of a Docker volume. Absent: empty, gone with the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/srv/logs")]
    pub from: Option<String>,
}

//! Settings of the ec2-asg plugin.
//!
//! Invariants: as in [`crate::environment`]; what several components share is written once, and what a component says
//! under `components` wins over it, member by member.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::container_instances::ContainerInstances;
use crate::model::Text;

/// Settings of the ec2-asg plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsgConfig {
    /// AWS region. Default: the AWS configuration where `belay observe` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"us-east-1", regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: Option<String>,
    /// Names of groups, launch templates and launch configurations; `{prj}`, `{comp}` and `{slot}` stand for project,
    /// component and slot. Default: `{prj}.{comp}_{slot}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"{prj}.{comp}_{slot}")]
    pub naming_template: Option<String>,
    /// The VPC, by id or name. May be left out with `home_vpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"my-vpc")]
    pub vpc: Option<String>,
    /// Whether the VPC has to be the one of the EC2 instance where `belay observe` runs. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_vpc: Option<bool>,
    /// Subnets, at most one per availability zone: a list of ids or names, or one wildcard for names. Default: `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Subnets>,
    /// What instances are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_config: Option<LaunchConfig>,
    /// Regular expression: each match in the user data is replaced by the image. Not with `image_id_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"\\{\\{image_id\\}\\}")]
    pub image_id_subst: Option<String>,
    /// Path of keys, joined by dots, in user data that is YAML: the value there becomes the image. Not with
    /// `image_id_subst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"app.image")]
    pub image_id_path: Option<String>,
    /// Whether images are Docker images, looked up in their registry and compared by digest. Default: docker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_check_type: Option<ImageCheck>,
    /// Further tags of the groups and their instances. Keys of `skopos:` and of Belay's own prefix are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Text>,
    /// What differs for single components.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, AsgComponent>,
    /// Load balancers by the name of their gateway; null: there is none in this environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lb: BTreeMap<String, Option<AsgBalancer>>,
    /// Seconds for an instance that runs to become healthy in its load balancers. Default: 360.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub join_timeout: Option<u32>,
    /// Seconds for a new instance to run. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub inst_running_timeout: Option<u32>,
    /// Hands instances over to a service of yours instead of terminating them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated_destroy: Option<DelegatedDestroy>,
    /// How many instances an upgrade replaces at a time: a number, or a percentage such as `25%`. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"25%")]
    pub batch: Option<Text>,
    /// Launch configurations instead of launch templates. Accounts created from 2024-10-01 on cannot create any.
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_configurations: Option<bool>,
    /// Several instance types, and Spot beside On-Demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_instances: Option<MixedInstances>,
    /// When Auto Scaling replaces an instance. Default: EC2 status checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Whether new instances are protected from scale-in. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_protection: Option<bool>,
    /// Lets Auto Scaling choose the number of instances; the model's `replicas` is where it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// Makes the instances container instances of an ECS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instances: Option<ContainerInstances>,
    /// Prefix of the tags that mark what Belay owns. Default: `belay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,32}$"))]
    pub tag_prefix: Option<String>,
}

/// What differs for one component. What is not said here is as it is for all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsgComponent {
    /// Members given here win.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_config: Option<LaunchConfig>,
    /// Tags given here win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Text>,
    /// Instead of those for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnets: Option<Subnets>,
    /// Instead of that for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Text>,
    /// Instead of those for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed_instances: Option<MixedInstances>,
    /// Instead of that for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Instead of that for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_protection: Option<bool>,
    /// Instead of that for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// Instead of those for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instances: Option<ContainerInstances>,
}

/// What instances are made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchConfig {
    /// An existing launch configuration (or launch template) by name: what is not said here is as it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub template: Option<String>,
    /// Amazon machine image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ami-0123456789abcdef0", regex(pattern = r"^ami-[0-9a-f]{8,17}$"))]
    pub ami: Option<String>,
    /// Security groups of the VPC, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sg: Option<Vec<String>>,
    /// Instance type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"t3.micro", regex(pattern = r"^[a-z0-9-]+\.[a-z0-9-]+$"))]
    pub instance_type: Option<String>,
    /// Instance profile (the console calls it role), by name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub profile: Option<String>,
    /// User data: the text itself, or `{s3: bucket/key}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// Whether the instances have dedicated throughput to EBS. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs_optimized: Option<bool>,
    /// Whether the instances get public addresses. Default: what the subnet says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<bool>,
    /// EC2 key pair by name. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub key: Option<String>,
}

/// How images are validated and compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageCheck {
    /// They are Docker images: looked up in their registry, compared by digest, pinned to it.
    #[default]
    Docker,
    /// Not at all: the same name always means the same image.
    None,
}

/// Hands instances over to a service of yours instead of terminating them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegatedDestroy {
    /// Where: it answers `GET` with success, and gets one `POST` for each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http://destroyer.internal:8080/delayed-termination")]
    pub uri: Option<String>,
    /// The components whose instances are handed over; none: nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Sent along as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<Value>,
}

/// Several instance types, and Spot beside On-Demand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixedInstances {
    /// Instance types, the preferred one first. Default: the type of `launch_config`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["t3.large", "t3a.large"]]))]
    pub types: Vec<String>,
    /// So many instances are On-Demand in any case. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5000))]
    pub on_demand_base: Option<u32>,
    /// Percentage of the others that is On-Demand; the rest is Spot. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub on_demand_percentage: Option<u32>,
    /// How Spot capacity is chosen. Default: price-capacity-optimized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_strategy: Option<AllocationStrategy>,
}

/// How Spot capacity is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllocationStrategy {
    /// The cheapest pools.
    LowestPrice,
    /// The pools least likely to be interrupted.
    CapacityOptimized,
    /// The same, minding the order of `types`.
    CapacityOptimizedPrioritized,
    /// Pools that are both.
    #[default]
    PriceCapacityOptimized,
}

/// When Auto Scaling replaces an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// `EC2`: status checks only; `ELB`: the load balancers' checks as well. Default: EC2.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<HealthCheckType>,
    /// Seconds after its start for which an instance is not judged. Default: 0, and 300 with `type: ELB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 7200))]
    pub grace_period: Option<u32>,
}

/// Whose checks count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthCheckType {
    /// EC2 status checks.
    #[default]
    Ec2,
    /// Those and the load balancers'.
    Elb,
}

/// Lets Auto Scaling choose the number of instances. One of `cpu` and `metric` is needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Instances at least.
    #[schemars(range(min = 0, max = 5000))]
    pub min: u32,
    /// Instances at most.
    #[schemars(range(min = 1, max = 5000))]
    pub max: u32,
    /// Average CPU utilisation to keep, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu: Option<u32>,
    /// Or a metric of CloudWatch to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<ScalingMetric>,
}

/// A metric of CloudWatch and the value to keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingMetric {
    /// Namespace.
    #[schemars(example = &"Shop/Queue", length(min = 1))]
    pub namespace: String,
    /// Name.
    #[schemars(example = &"BacklogPerInstance", length(min = 1))]
    pub name: String,
    /// Dimensions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, Text>,
    /// Statistic. Default: Average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<Statistic>,
    /// The value to keep.
    pub target: f64,
}

/// Statistics of a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Statistic {
    /// Average.
    #[default]
    Average,
    /// Minimum.
    Minimum,
    /// Maximum.
    Maximum,
    /// Number of samples.
    SampleCount,
    /// Sum.
    Sum,
}

/// User data: a text, or where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UserData {
    /// The text itself.
    Text(String),
    /// An object in S3.
    S3 {
        /// `bucket/key`.
        s3: String,
    },
}

impl<'de> Deserialize<'de> for UserData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            s3: String,
        }
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Text(text)),
            other => serde_json::from_value(other).map(|Object { s3 }| Self::S3 { s3 }).map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for UserData {
    fn schema_name() -> Cow<'static, str> {
        "UserData".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "UserData",
            "description": "User data: the text itself, or `{s3: bucket/key}`.",
            "type": ["string", "object"],
            "properties": {
                "s3": {"type": "string", "pattern": "^[^/]+/.+$", "description": "An S3 object: `bucket/key`."}
            },
            "required": ["s3"],
            "additionalProperties": false,
            "examples": ["#!/bin/sh\ndocker run --restart=unless-stopped {{image_id}}\n", {"s3": "my-bucket/cloud-config.yaml"}]
        })
    }
}

/// Subnets: a list of ids or names, or one wildcard for names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Subnets {
    /// A shell-style wildcard for the names of the VPC's subnets.
    Wildcard(String),
    /// Ids or names.
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Subnets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Wildcard(text)),
            other => serde_json::from_value(other).map(Self::List).map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for Subnets {
    fn schema_name() -> Cow<'static, str> {
        "Subnets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Subnets",
            "description": "Subnets, at most one per availability zone: a list of ids or names, or one wildcard for names.",
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": {"type": "string", "minLength": 1},
            "examples": ["app-*", ["subnet-0123456789abcdef0", "app-b"]]
        })
    }
}

/// A load balancer of the ec2-asg plugin: a classic one by name, or a target group with its port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AsgBalancer {
    /// Name of a classic load balancer.
    Classic(String),
    /// A target group.
    TargetGroup {
        /// Name or ARN.
        target_group: String,
        /// The port on which the instances listen.
        port: u16,
    },
}

impl<'de> Deserialize<'de> for AsgBalancer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Group {
            target_group: String,
            port: u16,
        }
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Classic(name)),
            other => serde_json::from_value(other)
                .map(|Group { target_group, port }| Self::TargetGroup { target_group, port })
                .map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for AsgBalancer {
    fn schema_name() -> Cow<'static, str> {
        "AsgBalancer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "AsgBalancer",
            "description": "Name of a classic load balancer; or a mapping of `target_group` and `port`.",
            "type": ["string", "object"],
            "minLength": 1,
            "properties": {
                "target_group": {"type": "string", "minLength": 1, "description": "Name or ARN of a target group."},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "The port on which the instances listen."}
            },
            "required": ["target_group", "port"],
            "additionalProperties": false,
            "examples": ["my-classic-elb", {"target_group": "web", "port": 8080}]
        })
    }
}

//! The model: what an application is, once for every environment.
//!
//! Invariants: these are transfer types (what a file may say, after substitution); unknown keys are refused; whether
//! what is said makes sense is judged in the compiler. Keys are Skopos's; `containers`, `allow_plaintext` and
//! `minimum_healthy` are ours.

mod connect;
mod container;
mod discovery;
mod ecs;
mod scaling;
mod tasks;
mod values;

pub use connect::{AppProtocol, ClientAlias, Connect, ConnectTimeouts, Offer};
pub use container::{ContainerCondition, ContainerSettings, HealthCheck, Logs, Ulimit, VolumesFrom};
pub use discovery::{Discovery, RecordType};
pub use ecs::{
    Architecture, CapacityShare, CircuitBreaker, Deployment, DeploymentStrategy, EcsComponent, EcsGateway, EcsRaw,
    LaunchType, Network, NetworkMode, Placement, PlacementKind, PlacementStrategy, PropagateTags, TrafficStep,
};
pub use scaling::{
    CustomMetric, MissingData, Scaling, ScalingMetric, ScalingStep, ScheduledLimits, StepScaling, StepUnit, StepWhen,
    TargetTracking,
};
pub use tasks::{Once, OnceWhen, Schedule, ScheduledBy};
pub use values::{OneOrMany, Port, Protocol, TEXT_KEYWORD, Text};

use container::with_container_settings;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An application: its components, what reaches them, and how they are started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Skopos's document type; optional and only checked for being a model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"com.datagridsys.doctype/skopos/model")]
    pub doctype: Option<String>,
    /// Version of the model's format: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The components by name.
    pub components: BTreeMap<String, Component>,
    /// What leads traffic to components, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<String, Gateway>,
    /// Steps around the standard ones, and what happens to orphans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Where a graphical editor shows it; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub visual: Option<Value>,
}

/// One component: an image that runs in a number of replicas.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The image, with a tag or a digest.
    #[schemars(example = &"nginx:1.13.0")]
    pub image: String,
    /// How many instances run; 0 disables the component. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5000), example = 2)]
    pub replicas: Option<u32>,
    /// At most one instance at any time: the old one stops before the new one starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub singleton: Option<bool>,
    /// What the component offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provides: Option<Provides>,
    /// Components that have to run before this one starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<String, Option<Uses>>,
    /// Environment variables of the main container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Text>,
    /// Arguments of the main container's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Text>,
    /// Volumes of the environment that the main container mounts, by logical name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Mount>,
    /// Docker labels of the main container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Text>,
    /// Further containers of the same task (sidecars), by container name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, Container>,
    /// Names of environment variables whose literal values look like secrets but may be in the plan.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow_plaintext: BTreeSet<String>,
    /// Healthy replicas that must remain at every moment. Default: what the deployment configuration implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_healthy: Option<u32>,
    /// Settings for the plugin that creates the instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<ComponentPlugins>,
    /// Steps around the component's own; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Value>,
    /// Where a graphical editor shows it; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub visual: Option<Value>,
    /// Skopos's older keys for the same; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub class: Option<Value>,
    /// See `class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub pos_x: Option<Value>,
    /// See `class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub pos_y: Option<Value>,
    /// See `class`; the image's tag says the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
}

/// What a component offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provides {
    /// Container ports: a number, a string, or `"n/udp"`.
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// Use of another component; nothing can be said about it yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uses {}

/// Where a container mounts a volume of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Absolute path in the container.
    #[schemars(example = &"/var/log/app")]
    pub path: String,
    /// Whether the container may only read. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

with_container_settings! {
/// A further container of a component's task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The image, with a tag or a digest.
    #[schemars(example = &"fluent/fluent-bit:3.1")]
    pub image: String,
    /// Whether the task stops when this container stops. Default: false (the main container is essential).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub essential: Option<bool>,
    /// Arguments of the entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Text>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Text>,
    /// Docker labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Text>,
    /// Volumes of the environment, by logical name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Mount>,
    /// Container ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provides: Option<Provides>,
    /// Names of environment variables whose literal values look like secrets but may be in the plan.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow_plaintext: BTreeSet<String>,
    /// Anything else of the API's ContainerDefinition; wins over the keys above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
}
}

/// Settings of a component for the plugins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentPlugins {
    /// For Amazon ECS.
    #[serde(rename = "ec2-ecs", default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsComponent>,
    /// For EC2 Auto Scaling.
    #[serde(rename = "ec2-asg", default, skip_serializing_if = "Option::is_none")]
    pub asg: Option<Value>,
}

/// What leads traffic to components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What kind of gateway.
    #[serde(rename = "type")]
    pub kind: GatewayType,
    /// The ports: a list; one mapping is also accepted.
    pub exposes: OneOrMany<Exposed>,
    /// Names of the components behind it.
    pub target: OneOrMany<String>,
    /// Settings for the plugins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<GatewayPlugins>,
    /// Where a graphical editor shows it; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub visual: Option<Value>,
    /// See a component's `class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub class: Option<Value>,
    /// See a component's `class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub pos_x: Option<Value>,
    /// See a component's `class`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("doNotSuggest" = true))]
    pub pos_y: Option<Value>,
}

/// Kinds of gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayType {
    /// A load balancer or target group that the environment names.
    LoadBalancer,
    /// A fixed port of the container instance.
    HostPort,
}

/// One port of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port that clients use; `""` behind an application load balancer, whose listeners say it.
    pub port: Port,
    /// The container's port. Default: the same as `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<Port>,
}

/// Settings of a gateway for the plugins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayPlugins {
    /// For Amazon ECS.
    #[serde(rename = "ec2-ecs", default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsGateway>,
    /// For EC2 Auto Scaling.
    #[serde(rename = "ec2-asg", default, skip_serializing_if = "Option::is_none")]
    pub asg: Option<Value>,
}

/// Steps around the standard ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// When components that run but are not in the model any more are taken away. Default: after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown_orphans: Option<TeardownOrphans>,
    /// Steps before everything else; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_flight: Option<Value>,
    /// Steps after everything else; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_flight: Option<Value>,
    /// Steps before a teardown; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_teardown: Option<Value>,
    /// Steps after a teardown; not supported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_teardown: Option<Value>,
}

/// When orphans are taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TeardownOrphans {
    /// Before the model's components change.
    Before,
    /// After the model's components have changed.
    #[default]
    After,
    /// Never: they are left alone and reported.
    Never,
}

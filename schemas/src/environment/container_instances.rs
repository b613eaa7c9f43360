//! Settings of an Auto Scaling group whose instances are container instances of an ECS cluster.
//!
//! Invariants: as in [`crate::environment`]; what a setting becomes in the agent's file is decided by the compiler alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Text;

/// Makes the instances of a group container instances of an ECS cluster: their user data are written by Belay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerInstances {
    /// Short name of the cluster that they join (`ECS_CLUSTER`).
    #[schemars(example = &"default", regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub cluster: String,
    /// Attributes that placement constraints can ask for (`ECS_INSTANCE_ATTRIBUTES`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Text>,
    /// When images that nothing uses are removed. Default: what the agent does, every 30 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_cleanup: Option<ImageCleanup>,
    /// Seconds for which the containers of a stopped task are kept (`ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION`). Default:
    /// the agent's, three hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub task_cleanup: Option<u32>,
    /// Seconds that a container has to stop before it is killed (`ECS_CONTAINER_STOP_TIMEOUT`). Default: the agent's, 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub stop_timeout: Option<u32>,
    /// MiB of memory that tasks do not get (`ECS_RESERVED_MEMORY`). Default: the agent's, 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub reserved_memory: Option<u32>,
    /// Whether each container finds a file about itself, its host ports among others, at the path in
    /// `ECS_CONTAINER_METADATA_FILE` (`ECS_ENABLE_CONTAINER_METADATA`). Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<bool>,
    /// Whether an instance drains itself when EC2 takes a Spot instance away (`ECS_ENABLE_SPOT_INSTANCE_DRAINING`).
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_draining: Option<bool>,
    /// The HTTP proxy through which agent and Docker reach AWS and registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Credentials for private Docker registries (`ECS_ENGINE_AUTH_TYPE`, `ECS_ENGINE_AUTH_DATA`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_auth: Option<RegistryAuth>,
    /// How much the agent writes into its log (`ECS_LOGLEVEL`). Default: info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Task definitions, `FAMILY` or `FAMILY:REVISION`, of each of which one task is started when an instance has joined.
    /// The profile needs `ecs:StartTask`. What has to run on every instance all the time is better a component that is a
    /// `daemon`, which ECS starts again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["ops_warm-up"]]))]
    pub start_tasks: Vec<String>,
    /// Shell commands that run on a new instance before the agent starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"yum install -y amazon-efs-utils")]
    pub script: Option<String>,
    /// Seconds that the tasks of an instance have to move elsewhere before it is terminated. Default: 900.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86400))]
    pub drain_timeout: Option<u32>,
    /// Makes the group a capacity provider of the cluster: ECS chooses the number of instances by what the tasks of its
    /// services need. `{}` takes AWS's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &CapacityProvider { max: Some(10), target_capacity: Some(90), ..CapacityProvider::default() })]
    pub capacity_provider: Option<CapacityProvider>,
}

/// The capacity provider of a group. Services name the group in `capacity`: `[{group: COMPONENT}]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityProvider {
    /// Its name. Default: `PROJECT_COMPONENT`. It stays as long as the group: AWS renames none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"shop_nodes", regex(pattern = r"^[A-Za-z0-9_-]{1,255}$"))]
    pub name: Option<String>,
    /// Instances at least. Default: the model's `replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), example = 0)]
    pub min: Option<u32>,
    /// Instances at most. Default: the model's `replicas`, so that nothing is started that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), example = 10)]
    pub max: Option<u32>,
    /// Whether ECS chooses the number of instances at all. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_scaling: Option<bool>,
    /// How much of the instances the tasks are to use, percent: what is left of 100 is spare. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), example = 90)]
    pub target_capacity: Option<u32>,
    /// Instances that are started or terminated at a time at least. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub minimum_step: Option<u32>,
    /// Instances that are started or terminated at a time at most. Default: 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub maximum_step: Option<u32>,
    /// Seconds after its start for which an instance does not count for further scaling. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub warmup: Option<u32>,
    /// Whether ECS drains an instance before Auto Scaling terminates it. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_draining: Option<bool>,
    /// Whether ECS keeps instances with tasks from being terminated when the group shrinks. New instances are then
    /// protected from scale-in (`instance_protection`). Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_protection: Option<bool>,
}

/// When images that nothing uses are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageCleanup {
    /// Whether they are removed at all (`ECS_DISABLE_IMAGE_CLEANUP`). Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Minutes between two times (`ECS_IMAGE_CLEANUP_INTERVAL`). Default: the agent's, 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 10_080))]
    pub interval: Option<u32>,
    /// Minutes since an image was pulled before it may go (`ECS_IMAGE_MINIMUM_CLEANUP_AGE`). Default: the agent's, 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 525_600))]
    pub minimum_age: Option<u32>,
    /// Images that go each time at most (`ECS_NUM_IMAGES_DELETE_PER_CYCLE`). Default: the agent's, 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub per_cycle: Option<u32>,
}

/// An HTTP proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// `HOST:PORT` (`HTTP_PROXY`).
    #[schemars(example = &"proxy.internal:3128", regex(pattern = r"^[A-Za-z0-9.-]+:[0-9]{1,5}$"))]
    pub http: String,
    /// Hosts that are reached directly, besides the instance's own metadata and Docker (`NO_PROXY`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["registry.internal"]]))]
    pub except: Vec<String>,
}

/// Credentials for private Docker registries. One of `secret` and `data` is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuth {
    /// What form they have. Default: dockercfg.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthType>,
    /// Name or ARN of the secret in Secrets Manager that holds them; each instance fetches it when it starts, with its
    /// profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ops/registry")]
    pub secret: Option<String>,
    /// The credentials themselves, as JSON. Refused unless the component lists `registry_auth` under `allow_plaintext`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// The form of registry credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthType {
    /// As `docker login` writes them: `{"registry": {"auth": …, "email": …}}`.
    #[default]
    Dockercfg,
    /// `{"registry": {"username": …, "password": …, "email": …}}`.
    Docker,
}

/// How much the agent writes into its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Errors that end it.
    Crit,
    /// Errors.
    Error,
    /// Warnings as well.
    Warn,
    /// What it does.
    #[default]
    Info,
    /// Everything.
    Debug,
}

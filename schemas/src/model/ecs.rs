//! What a model may say to the ec2-ecs plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::values::Text;

/// A component on Amazon ECS. One of `mem` and `mem_reserve` (or task-level memory in `raw`) is required.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsComponent {
    /// IAM role of the task: name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Task group; applies to run tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// CPU units of the main container (1024 = one vCPU).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 32768), example = 256)]
    pub cpu: Option<u32>,
    /// Hard memory limit of the main container, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 512)]
    pub mem: Option<u32>,
    /// Soft memory limit of the main container, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 256)]
    pub mem_reserve: Option<u32>,
    /// Entry point of the main container instead of the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Text>,
    /// Arguments of the entry point; wins over the component's own `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Text>>,
    /// Docker network mode of the task. Default: bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// Anything else that the API takes; wins over every other key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<EcsRaw>,
}

/// Docker network modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Docker's bridge; container ports are mapped to dynamic host ports.
    Bridge,
    /// The container instance's own network.
    Host,
    /// No network.
    None,
    /// A network interface of its own for each task.
    Awsvpc,
}

/// Raw API fields of a component.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsRaw {
    /// Merged into RegisterTaskDefinition; `containerDefinitions` is one mapping, merged into every container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Map<String, Value>>,
    /// Merged into CreateService and UpdateService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Map<String, Value>>,
}

/// A gateway on Amazon ECS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsGateway {
    /// Merged into the service's `loadBalancers` record of this gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Map<String, Value>>,
}

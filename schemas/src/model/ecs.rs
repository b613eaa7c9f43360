//! What a model may say to the ec2-ecs plugin.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

use super::connect::Connect;
use super::container::{
    ContainerCondition, ContainerSettings, HealthCheck, Logs, Ulimit, VolumesFrom, with_container_settings,
};
use super::discovery::Discovery;
use super::scaling::Scaling;
use super::tasks::{Once, Schedule};
use super::values::Text;

with_container_settings! {
/// A component on Amazon ECS. One of `mem` and `mem_reserve` (or memory of the whole task) is required.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsComponent {
    /// IAM role of the task: name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// IAM role with which ECS fetches images and secrets and writes logs: name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ecsTaskExecutionRole")]
    pub execution_role: Option<String>,
    /// Task group; applies to run tasks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Arguments of the entry point; wins over the component's own `args`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Text>>,
    /// CPU units of the whole task; Fargate needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 512)]
    pub task_cpu: Option<u32>,
    /// Memory of the whole task, MiB; Fargate needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1024)]
    pub task_mem: Option<u32>,
    /// What the tasks run on. Default: the cluster's default capacity, else EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<LaunchType>,
    /// Capacity providers that share the tasks, instead of `launch_type`: `FARGATE`, `FARGATE_SPOT`, one of the cluster's own,
    /// or that of a `group` of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Vec<CapacityShare>>,
    /// Platform version of Fargate. Default: LATEST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1.4.0")]
    pub platform_version: Option<String>,
    /// CPU architecture of the images. Default: X86_64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Operating system family, such as `LINUX` or `WINDOWS_SERVER_2022_CORE`. Default: LINUX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"LINUX")]
    pub os: Option<String>,
    /// Disk of a task on Fargate, GiB: 21 to 200. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 40)]
    pub ephemeral_storage: Option<u32>,
    /// Docker network mode of the task. Default: bridge; awsvpc on Fargate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// Where the tasks' network interfaces are, in network mode awsvpc. Default: the environment's `network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// One task on each container instance instead of a number of replicas. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<bool>,
    /// Runs the task once, before or after other components, instead of keeping it running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    /// Starts the task at certain times, instead of keeping it running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// On which container instances tasks are placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// How the number of tasks follows the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// How a new revision takes the place of the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// By which names it and others reach each other (Service Connect), in the environment's `namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Connect>,
    /// The name by which it is looked up with DNS or with Cloud Map's API, in the environment's `namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// Seconds after a task's start in which failing load balancer checks do not stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 60)]
    pub grace_period: Option<u32>,
    /// Whether `aws ecs execute-command` may open shells in the containers. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<bool>,
    /// Tags of the service, besides the environment's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Text>,
    /// Where tasks take their tags from. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagate_tags: Option<PropagateTags>,
    /// Warnings about this component that are all right: the code of each, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = accepted())]
    pub accept: BTreeMap<String, String>,
    /// Anything else that the API takes; wins over every other key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<EcsRaw>,
}
}

fn accepted() -> Value {
    serde_json::json!({"B451": "Internal tool: a minute without it does no harm."})
}

/// What tasks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LaunchType {
    /// The cluster's own container instances.
    Ec2,
    /// Capacity that AWS manages; no container instances.
    Fargate,
    /// Machines outside AWS that are registered with the cluster. They have no load balancers, no network interface for
    /// each task, and neither EFS nor EBS.
    External,
}

/// A capacity provider's share of a component's tasks. One of `provider` and `group` is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityShare {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"FARGATE_SPOT")]
    pub provider: Option<String>,
    /// Or the component of the model whose instances it stands for: one on EC2 Auto Scaling with a `capacity_provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"nodes")]
    pub group: Option<String>,
    /// Its share of the tasks beyond those that `base` takes, relative to the others'. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000), example = 3)]
    pub weight: Option<u32>,
    /// Tasks that it takes before the shares count. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000), example = 1)]
    pub base: Option<u32>,
}

/// CPU architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Architecture {
    /// Intel and AMD, 64 bit.
    #[serde(rename = "X86_64")]
    X86,
    /// Graviton and other ARM, 64 bit.
    #[serde(rename = "ARM64")]
    Arm,
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

/// Where tasks with network interfaces of their own are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The VPC, by id or name; needed where names of subnets or groups occur in several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"main")]
    pub vpc: Option<String>,
    /// Subnets, by id or name (`*` and `?` stand for any characters); 1 to 16.
    pub subnets: Vec<String>,
    /// Security groups, by id or name; at most 5. Default: the VPC's default group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Whether the tasks get public addresses. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<bool>,
}

/// On which container instances tasks are placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// What is preferred, the most important first; at most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategy: Vec<PlacementStrategy>,
    /// Whether no two tasks of the component share a container instance. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_instances: Option<bool>,
    /// Expressions of the cluster query language; only instances that fulfil all of them get tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<String>,
    /// Whether ECS moves tasks between availability zones when they are uneven. Default: wherever it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_rebalancing: Option<bool>,
}

/// One preference of placing tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacementStrategy {
    /// How.
    #[serde(rename = "type")]
    pub kind: PlacementKind,
    /// `spread`: over `zone`, `instance` or `attribute:NAME`; `binpack`: by `cpu` or `memory`; `random`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"zone")]
    pub field: Option<String>,
}

/// Ways of placing tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlacementKind {
    /// As even as possible over a field's values.
    Spread,
    /// On as few instances as possible.
    Binpack,
    /// Anywhere.
    Random,
}

/// How a new revision takes the place of the old one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// How users' traffic gets from the old revision to the new one. All but `rolling` need a gateway whose load balancer
    /// can `switch` in the environment. Default: rolling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"canary")]
    pub strategy: Option<DeploymentStrategy>,
    /// Minutes for which the old revision stays after all traffic has moved; AWS goes back to it at once when an alarm goes
    /// off meanwhile. `blue-green` needs it. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440), example = 10)]
    pub bake: Option<u32>,
    /// How much traffic moves at a time: for `linear` and `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<TrafficStep>,
    /// Percentage of the replicas that stay healthy. Default: 100; 0 for singletons and daemons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), example = 50)]
    pub minimum_healthy_percent: Option<u32>,
    /// Percentage of the replicas that may run at once. Default: 200; 100 for singletons and daemons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 200), example = 150)]
    pub maximum_percent: Option<u32>,
    /// Whether AWS gives up a deployment whose tasks keep failing, and rolls it back; or after how many failures. Default:
    /// true, after failures of half of the replicas, at least 3 and at most 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// CloudWatch alarms that end and roll back a deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
}

/// How users' traffic gets from the old revision of a component to the new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentStrategy {
    /// Task by task, within the percentages.
    #[default]
    Rolling,
    /// All new tasks start beside the old ones, and then all traffic moves at once.
    BlueGreen,
    /// The same, and traffic moves in equal steps.
    Linear,
    /// The same, and a small part of the traffic moves first, then the rest.
    Canary,
}

/// How much traffic moves at a time, and how long it stays there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrafficStep {
    /// Percentage of the traffic that moves at a time (`linear`: 3 to 100, default 10), or that moves first (`canary`: 0.1 to
    /// 100, default 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 100.0), example = 10)]
    pub percent: Option<f64>,
    /// Minutes until the next step. Default: 6 for `linear`, 10 for `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1440), example = 5)]
    pub bake: Option<u32>,
}

/// When AWS gives a deployment up whose tasks keep failing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CircuitBreaker {
    /// Whether it does.
    pub enable: bool,
    /// Whether it rolls back then.
    pub rollback: bool,
    /// After so many failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// After failures of so many percent of the replicas, at least 3 and at most 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
}

impl<'de> Deserialize<'de> for CircuitBreaker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Mapping {
            rollback: Option<bool>,
            failures: Option<u32>,
            percent: Option<u32>,
        }
        match Value::deserialize(deserializer)? {
            Value::Bool(on) => Ok(Self { enable: on, rollback: on, failures: None, percent: None }),
            other => {
                let Mapping { rollback, failures, percent } =
                    serde_json::from_value(other).map_err(D::Error::custom)?;
                Ok(Self { enable: true, rollback: rollback.unwrap_or(true), failures, percent })
            }
        }
    }
}

impl JsonSchema for CircuitBreaker {
    fn schema_name() -> Cow<'static, str> {
        "CircuitBreaker".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "CircuitBreaker",
            "description": "Whether AWS gives up a deployment whose tasks keep failing; or a mapping that says when.",
            "type": ["boolean", "object"],
            "properties": {
                "failures": {"type": "integer", "minimum": 1, "maximum": 10000, "description": "After so many failures in a row; instead of `percent`."},
                "percent": {"type": "integer", "minimum": 1, "maximum": 100, "description": "After failures of so many percent of the replicas, at least 3 and at most 200. Default: 50."},
                "rollback": {"type": "boolean", "description": "Whether it is rolled back then. Default: true."}
            },
            "additionalProperties": false,
            "examples": [true, {"failures": 5}]
        })
    }
}

/// Where tasks take their tags from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// From the service.
    Service,
    /// From the task definition.
    TaskDefinition,
}

/// Raw API fields of a component.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsRaw {
    /// Merged into RegisterTaskDefinition; `containerDefinitions` is one mapping, merged into every container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Map<String, Value>>,
    /// Merged into the main container alone; a further container has a `raw` of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &serde_json::json!({"healthCheck": {"command": ["CMD", "true"]}}))]
    pub container: Option<Map<String, Value>>,
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

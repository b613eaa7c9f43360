//! How the number of a component's tasks follows its load (Application Auto Scaling).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Text;

/// How the number of tasks follows the load. The number then stays alone: a deployment does not set it back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Fewest tasks.
    #[schemars(range(min = 0, max = 5000), example = 2)]
    pub min: u32,
    /// Most tasks.
    #[schemars(range(min = 0, max = 5000), example = 10)]
    pub max: u32,
    /// Metrics that are kept at a value, by a name of their policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub target: BTreeMap<String, TargetTracking>,
    /// Other limits at certain times, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedule: BTreeMap<String, ScheduledLimits>,
}

/// A metric that is kept at a value by starting and stopping tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTracking {
    /// One of the service's own metrics; or `custom`.
    #[schemars(example = &"cpu")]
    pub metric: ScalingMetric,
    /// The value that is aimed at: percent for `cpu` and `memory`, requests a minute for each task for `requests`.
    #[schemars(example = 60)]
    pub value: f64,
    /// Seconds after starting tasks before more are started. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_cooldown: Option<u32>,
    /// Seconds after stopping tasks before more are stopped. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cooldown: Option<u32>,
    /// Whether tasks are only started, never stopped. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_in: Option<bool>,
    /// The gateway whose requests count, for `requests`. Default: the component's only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The CloudWatch metric, for `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomMetric>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScalingMetric {
    /// Average use of reserved CPU.
    Cpu,
    /// Average use of reserved memory.
    Memory,
    /// Requests for each target of a load balancer.
    Requests,
    /// Any CloudWatch metric.
    Custom,
}

/// A CloudWatch metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// Its namespace.
    #[schemars(example = &"Shop/Queues")]
    pub namespace: String,
    /// Its name.
    #[schemars(example = &"BacklogPerTask")]
    pub name: String,
    /// Its dimensions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, Text>,
    /// How values of a period become one. Default: Average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Average")]
    pub statistic: Option<String>,
}

/// Other limits from a certain time on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduledLimits {
    /// `cron(…)`, `rate(…)` or `at(…)`.
    #[schemars(example = &"cron(0 8 * * ? *)")]
    pub when: String,
    /// Time zone of `when`. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// Fewest tasks from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Most tasks from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

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
    /// Tasks that are started or stopped when a metric has crossed a line (CloudWatch alarms), by a name of their policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub step: BTreeMap<String, StepScaling>,
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

/// A number of tasks that follows a metric in steps: an alarm goes off, and the farther the metric is beyond its line, the
/// more tasks are started or stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepScaling {
    /// One of the service's own metrics; or `custom`.
    #[schemars(example = &"custom")]
    pub metric: ScalingMetric,
    /// On which side of the first step's value it acts.
    #[schemars(example = &"above")]
    pub when: StepWhen,
    /// The steps, the one nearest to the line first: each holds until the next one begins.
    #[schemars(length(min = 1, max = 20), example = steps())]
    pub steps: Vec<ScalingStep>,
    /// What `change` counts. Default: tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StepUnit>,
    /// Tasks that a change in `percent` starts or stops at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000), example = 2)]
    pub at_least: Option<u32>,
    /// Seconds after a change before the next one. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400), example = 120)]
    pub cooldown: Option<u32>,
    /// Seconds that one value of the metric stands for: 10, 20, 30, or a multiple of 60. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86400), example = 60)]
    pub period: Option<u32>,
    /// Values in a row that are looked at. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440), example = 3)]
    pub periods: Option<u32>,
    /// How many of them have to be beyond the line. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440), example = 2)]
    pub datapoints: Option<u32>,
    /// What a missing value counts as. Default: `missing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_data: Option<MissingData>,
    /// The gateway whose requests count, for `requests`. Default: the component's only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The CloudWatch metric, for `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomMetric>,
}

fn steps() -> serde_json::Value {
    serde_json::json!([{"at": 1000, "change": 2}, {"at": 5000, "change": 5}])
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingStep {
    /// The metric's value from which on it holds; the first one's is the alarm's line.
    #[schemars(example = 1000)]
    pub at: f64,
    /// Tasks (or percent of them) more; less when negative. With `unit: exact`, how many there are then.
    #[schemars(example = 2)]
    pub change: i32,
}

/// On which side of a line something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepWhen {
    /// At the value and above it.
    Above,
    /// At the value and below it.
    Below,
}

/// What a step's change counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepUnit {
    /// Tasks more or less.
    #[default]
    Tasks,
    /// Percent of the tasks more or less.
    Percent,
    /// The number of tasks itself.
    Exact,
}

/// What a missing value of a metric counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MissingData {
    /// As none: when all are missing, nobody knows.
    #[default]
    Missing,
    /// As one beyond the line.
    Breaching,
    /// As one within it.
    NotBreaching,
    /// As the one before it.
    Ignore,
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

//! Components that are no services: tasks that run once, and tasks on a schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Text;

/// The component's task runs once to its end, instead of being kept running: a database migration, a smoke test. Its main
/// container's exit code decides: 0, and the deployment goes on; anything else, and it goes back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// Components whose change waits until the task has succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Components whose change the task waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// When it runs. Default: `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<OnceWhen>,
    /// Command of the main container that takes back what the task did, run as a task of the same definition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Text>,
    /// Why it is all right that nothing takes back what the task did, in the words that reviewers will see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"The migration only adds columns: the old version runs with them.")]
    pub accepted: Option<String>,
    /// Seconds for it to end. Default: 900.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86400), example = 600)]
    pub timeout: Option<u32>,
}

/// When a task that runs once does so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnceWhen {
    /// When its own definition differs from the one that ran last.
    #[default]
    Changed,
    /// Then, and whenever a component in `before` or `after` changes.
    Deployed,
}

/// The component's task is started at certain times by EventBridge, instead of being kept running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// `cron(…)`, `rate(…)` or `at(…)`.
    #[schemars(example = &"cron(30 3 * * ? *)")]
    pub when: String,
    /// What starts it. Default: `scheduler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"rule")]
    pub by: Option<ScheduledBy>,
    /// Time zone of `when`. Default: UTC, which is the only one of a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// IAM role with which EventBridge starts the task: name or ARN.
    #[schemars(example = &"ecsEventsRole")]
    pub role: String,
    /// Tasks that start at each time. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10), example = 1)]
    pub count: Option<u32>,
    /// Minutes after the time within which it may start (not for a rule). Default: at the time itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440), example = 15)]
    pub window: Option<u32>,
    /// How often a start that fails is tried again. Default: 185.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 185), example = 3)]
    pub retries: Option<u32>,
    /// Seconds after the time within which that is done. Default: 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 86400), example = 3600)]
    pub retry_for: Option<u32>,
    /// ARN of the SQS queue that gets what could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"arn:aws:sqs:us-east-1:123456789012:schedules-dead")]
    pub dead_letter: Option<String>,
    /// Whether it is in force. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Which of EventBridge's services starts a task at certain times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScheduledBy {
    /// A schedule of EventBridge Scheduler, which AWS recommends: it knows time zones, windows and single moments.
    #[default]
    Scheduler,
    /// A rule of EventBridge, where an organisation keeps to those.
    Rule,
}

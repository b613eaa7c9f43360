//! What a user of a simulated world may set: how long things take, how images behave, whether calls are throttled;
//! and the log of calls that tests count.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::time::Time;

/// How long things take, in seconds. The defaults are AWS's documented ones where AWS documents any, and otherwise
/// what is usual on a small instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timings {
    /// From a change until the service scheduler acts on it.
    pub schedule_seconds: u64,
    /// Pulling the images of a task.
    pub image_pull_seconds: u64,
    /// From pulled images to RUNNING on a container instance.
    pub task_start_seconds: u64,
    /// From pulled images to RUNNING on Fargate, where capacity is provisioned first.
    pub fargate_start_seconds: u64,
    /// From the wish for a task on Managed Instances until the instance that ECS starts for it is registered.
    pub managed_instance_seconds: u64,
    /// From RUNNING until a task with neither load balancer nor health check counts as healthy (documented: 40).
    pub settle_seconds: u64,
    /// From the stop signal until a container is stopped, when it sets no shorter `stopTimeout` (documented: 30).
    pub stop_seconds: u64,
    /// How long stopped tasks remain visible (documented: at least an hour).
    pub stopped_task_retention_seconds: u64,
    /// From RUNNING until a task that no service keeps ends with exit code 0, unless its image is said to end otherwise;
    /// absent: 30, null: it runs on.
    #[serde(skip_serializing_if = "Timings::is_own_task")]
    pub own_task_seconds: Option<u64>,
    /// From its start until a container that others wait for to complete ends with exit code 0, unless its image is said
    /// to end otherwise; absent: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_seconds: Option<u64>,
    /// Longest pause between two attempts of a task that keeps failing (documented: 27 minutes).
    pub longest_back_off_seconds: u64,
    /// From a change until an Auto Scaling group acts on it.
    pub group_schedule_seconds: u64,
    /// From the launch of an EC2 instance until it is `running`.
    pub instance_pending_seconds: u64,
    /// From `running` until the application of an EC2 instance answers its first health check.
    pub instance_boot_seconds: u64,
    /// From the termination of an EC2 instance until it is `terminated`.
    pub instance_shutdown_seconds: u64,
    /// From an instance's failure until its Auto Scaling group notices it.
    pub instance_check_seconds: u64,
    /// From attaching a load balancer or a target group until all instances are registered.
    pub attach_seconds: u64,
    /// The first pause after a launch that failed; it doubles up to the longest one of tasks.
    pub launch_retry_seconds: u64,
    /// From a change of DNS records until every name server of Route 53 knows it (documented: usually within 60).
    pub dns_seconds: u64,
    /// How long terminated instances remain visible (documented: an hour).
    pub terminated_instance_retention_seconds: u64,
}

impl Timings {
    /// Seconds for which a task runs that is started once, where nobody knows better.
    pub const OWN_TASK: u64 = 30;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_own_task(seconds: &Option<u64>) -> bool {
        *seconds == Some(Self::OWN_TASK)
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            schedule_seconds: 2,
            image_pull_seconds: 5,
            task_start_seconds: 10,
            fargate_start_seconds: 30,
            managed_instance_seconds: 60,
            settle_seconds: 40,
            stop_seconds: 30,
            stopped_task_retention_seconds: 3600,
            own_task_seconds: Some(Self::OWN_TASK),
            completion_seconds: None,
            longest_back_off_seconds: 1620,
            group_schedule_seconds: 5,
            instance_pending_seconds: 25,
            instance_boot_seconds: 45,
            instance_shutdown_seconds: 20,
            instance_check_seconds: 15,
            attach_seconds: 10,
            launch_retry_seconds: 30,
            dns_seconds: 30,
            terminated_instance_retention_seconds: 3600,
        }
    }
}

impl Timings {
    /// Seconds that a container runs that others wait for to complete.
    #[must_use]
    pub fn completion(&self) -> u64 {
        self.completion_seconds.unwrap_or(5)
    }
}

/// What is special about an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// The digest that the reference has in its registry now. Without it: the SHA-256 of the reference's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The registry has no such image.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// What containers of this image do.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// What they do instead where a task overrides their command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Behaviour>,
    /// Lines that its containers have written when they exit by themselves; where their log driver is awslogs, they are
    /// found in CloudWatch Logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// CloudWatch alarms that go off when tasks of this image have had traffic for so many seconds, in the deployments
    /// that watch them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alarms: BTreeMap<String, u64>,
}

/// What the containers of an image do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Behaviour {
    /// They start, run and pass every health check.
    #[default]
    Healthy,
    /// They exit by themselves.
    Crash {
        /// Seconds of running before that; 0: they never reach RUNNING.
        after_seconds: u64,
        /// The exit code.
        exit_code: i64,
        /// What the container reports, such as `OutOfMemoryError: Container killed due to memory usage`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// They run, but fail every health check; where others wait for them to complete, they never do.
    NeverHealthy,
    /// They need longer.
    Slow {
        /// Seconds from pulled image to RUNNING.
        start_seconds: u64,
        /// Seconds from RUNNING until health checks pass.
        healthy_seconds: u64,
    },
    /// The image is in the registry but cannot be pulled.
    CannotPull {
        /// The runtime's message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// What is wrong with the tasks that a service starts from now on, whatever their images are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Affliction {
    /// Only tasks of the task definition with this ARN; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// What their containers do instead.
    pub behaviour: Behaviour,
    /// How many tasks it has struck.
    #[serde(default)]
    pub struck: u64,
}

/// Throttling of calls by token buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Throttling {
    /// Whether calls are throttled. Off by default.
    pub enabled: bool,
    /// What each bucket holds; one that is not listed is full.
    pub buckets: BTreeMap<String, Bucket>,
}

/// The state of a token bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// Thousandths of a token.
    pub milli_tokens: u64,
    /// When that was so.
    pub at: Time,
}

/// One mutating call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogEntry {
    /// Position in the log, from 1.
    pub sequence: u64,
    /// When it was made.
    pub at: Time,
    /// The service.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// What it concerned, in short, such as `default/shop_web`.
    pub concerns: String,
    /// Its client token, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Outcome {
    /// It took effect.
    Ok,
    /// It repeated an earlier one and changed nothing.
    Deduplicated,
    /// It was refused with that error code.
    Error(String),
}

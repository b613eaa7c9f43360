//! What can be said about a container, whichever of its two places it stands in: a component's ec2-ecs settings (its main
//! container) or an entry of `containers`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{OneOrMany, Text};

/// A command that tells whether a container is healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// A text is run by the container's shell; a list is a program with its arguments (`CMD` in front may be left out).
    #[schemars(example = &"curl -fs http://localhost/ || exit 1")]
    pub command: OneOrMany<Text>,
    /// Seconds between two checks. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 10)]
    pub interval: Option<u32>,
    /// Seconds until a check has failed. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Checks that fail in a row before the container is unhealthy. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Seconds after the start in which failures do not count. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u32>,
}

/// A resource limit of a container's processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// What holds unless the process asks for more.
    #[schemars(example = 65536)]
    pub soft: i64,
    /// The most that it may ask for.
    #[schemars(example = 65536)]
    pub hard: i64,
}

/// Where a container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Docker log driver. Default: awslogs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"awslogs")]
    pub driver: Option<String>,
    /// CloudWatch log group; with the driver awslogs it is needed. Belay creates it where it is missing, and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/shop/web")]
    pub group: Option<String>,
    /// Days for which the group keeps events. Absent: it is left as it is, and AWS keeps events of a new one for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 30)]
    pub retention: Option<u32>,
    /// First part of the names of log streams. Default: the component's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"web")]
    pub stream_prefix: Option<String>,
    /// Further options of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Text>,
    /// Options whose values are SSM parameters or secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_options: BTreeMap<String, String>,
}

/// Whether the volumes of another container of the task are only read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumesFrom {
    /// Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// What another container of the task has to have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContainerCondition {
    /// It has started.
    Start,
    /// It has run to an end.
    Complete,
    /// It has run to an end with exit code 0.
    Success,
    /// Its health check has passed.
    Healthy,
}

/// The settings that both places share, borrowed from either.
#[derive(Debug, Clone, Copy)]
pub struct ContainerSettings<'a> {
    /// CPU units.
    pub cpu: Option<u32>,
    /// Hard limit, MiB.
    pub mem: Option<u32>,
    /// Soft limit, MiB.
    pub mem_reserve: Option<u32>,
    /// Entry point.
    pub command: &'a [Text],
    /// See [`HealthCheck`].
    pub health_check: Option<&'a HealthCheck>,
    /// Seconds from SIGTERM to SIGKILL.
    pub stop_timeout: Option<u32>,
    /// Seconds for which its dependencies may take to be fulfilled.
    pub start_timeout: Option<u32>,
    /// By name.
    pub ulimits: &'a BTreeMap<String, Ulimit>,
    /// See [`Logs`].
    pub logs: Option<&'a Logs>,
    /// Names or ARNs of the values, by variable.
    pub secrets: &'a BTreeMap<String, String>,
    /// S3 objects.
    pub env_files: &'a [String],
    /// ARN of a secret.
    pub registry_credentials: Option<&'a str>,
    /// By container.
    pub volumes_from: &'a BTreeMap<String, Option<VolumesFrom>>,
    /// By container.
    pub depends_on: &'a BTreeMap<String, ContainerCondition>,
}

/// Writes a type of a container's settings: its own members and the shared ones. Serde's `flatten` would lose the names
/// of unknown keys.
macro_rules! with_container_settings {
    ($(#[$outer:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$outer])*
        pub struct $name {
            $($own)*
            /// CPU units of the container (1024 = one vCPU).
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 0, max = 32768), example = 256)]
            pub cpu: Option<u32>,
            /// Hard memory limit of the container, MiB.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(example = 512)]
            pub mem: Option<u32>,
            /// Soft memory limit of the container, MiB.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(example = 256)]
            pub mem_reserve: Option<u32>,
            /// Entry point of the container instead of the image's.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub command: Vec<Text>,
            /// How the container tells whether it is healthy.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub health_check: Option<HealthCheck>,
            /// Seconds from SIGTERM to SIGKILL. Default: 30, or what the container agent says.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(example = 60)]
            pub stop_timeout: Option<u32>,
            /// Seconds after which the container gives up waiting for those that it depends on.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(example = 120)]
            pub start_timeout: Option<u32>,
            /// Limits of its processes by name, such as `nofile`.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub ulimits: BTreeMap<String, Ulimit>,
            /// Where its output goes. Default: the environment's `logs`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub logs: Option<Logs>,
            /// Variables whose values are fetched when a task starts: name or ARN of an SSM parameter, or ARN of a secret.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub secrets: BTreeMap<String, String>,
            /// Files of variables in S3: `s3://bucket/key.env` or the object's ARN.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub env_files: Vec<String>,
            /// ARN of the secret with the credentials of a private registry.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(example = &"arn:aws:secretsmanager:us-east-1:123456789012:secret:registry-AbCdEf")]
            pub registry_credentials: Option<String>,
            /// Other containers of the task whose volumes it mounts at the same paths.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub volumes_from: BTreeMap<String, Option<VolumesFrom>>,
            /// Containers of the same task that have to reach a condition first: `START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub depends_on: BTreeMap<String, ContainerCondition>,
        }

        impl $name {
            /// The settings that every container has.
            pub fn container(&self) -> ContainerSettings<'_> {
                ContainerSettings {
                    cpu: self.cpu,
                    mem: self.mem,
                    mem_reserve: self.mem_reserve,
                    command: &self.command,
                    health_check: self.health_check.as_ref(),
                    stop_timeout: self.stop_timeout,
                    start_timeout: self.start_timeout,
                    ulimits: &self.ulimits,
                    logs: self.logs.as_ref(),
                    secrets: &self.secrets,
                    env_files: &self.env_files,
                    registry_credentials: self.registry_credentials.as_deref(),
                    volumes_from: &self.volumes_from,
                    depends_on: &self.depends_on,
                }
            }
        }
    };
}

pub(super) use with_container_settings;

//! EC2 in a world: instances, launch templates, and what launching one needs.
//!
//! Settings that the simulator only hands through are kept as AWS writes them; what the simulation decides on is typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::time::Time;
use super::Behaviour;

/// The state of an EC2 instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// It is being started.
    Pending,
    /// It runs, or its operating system starts.
    Running,
    /// It is being terminated.
    ShuttingDown,
    /// It is gone; it stays visible for an hour.
    Terminated,
}

impl InstanceState {
    /// AWS's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// AWS's number.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
        }
    }

    /// Whether it runs or will.
    #[must_use]
    pub const fn lives(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// Why an instance was terminated, in ec2's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateReason {
    /// Such as `Client.UserInitiatedShutdown`.
    pub code: String,
    /// In words.
    pub message: String,
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instance {
    /// The AMI that it was launched from.
    pub image_id: String,
    /// Its type.
    pub instance_type: String,
    /// Its state.
    pub state: InstanceState,
    /// Why it was terminated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<StateReason>,
    /// Its subnet.
    pub subnet_id: String,
    /// Its availability zone.
    pub availability_zone: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its address in the VPC.
    pub private_ip: String,
    /// Its address outside, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// Ids of its security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Its key pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// Name of its instance profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Its user data, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Whether it is EBS-optimized.
    #[serde(default)]
    pub ebs_optimized: bool,
    /// Whether it is a Spot instance.
    #[serde(default)]
    pub spot: bool,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was launched.
    pub launched_at: Time,
    /// When its application answers, if it ever does.
    pub answers_at: Time,
    /// What its application does: that of the AMI, the launch template or the images that its user data names.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// The digests that the images which its user data or its tags name had when it was launched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// The ECS cluster that its agent has still to join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<String>,
    /// When its state changes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

impl Instance {
    /// Whether its application never passes a health check.
    #[must_use]
    pub fn never_answers(&self) -> bool {
        !matches!(self.behaviour, Behaviour::Healthy | Behaviour::Slow { .. })
    }
}

/// A launch template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LaunchTemplate {
    /// Its name.
    pub name: String,
    /// The version that is taken where none is named.
    pub default_version: u64,
    /// The highest number ever given; numbers are never used again.
    pub latest_version: u64,
    /// Versions by number.
    pub versions: BTreeMap<u64, TemplateVersion>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Time,
    /// The client token that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl LaunchTemplate {
    /// The number that `$Latest`, `$Default`, a number or nothing (the default) stands for.
    #[must_use]
    pub fn number(&self, version: Option<&str>) -> Option<u64> {
        match version {
            None | Some("" | "$Default") => Some(self.default_version),
            // The highest one that still exists.
            Some("$Latest") => self.versions.keys().next_back().copied(),
            Some(number) => number.parse().ok().filter(|number| self.versions.contains_key(number)),
        }
    }
}

/// One version of a launch template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateVersion {
    /// Its content, in ec2's shape.
    pub data: Map<String, Value>,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// The client token that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// An object in S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredObject {
    /// Its content.
    pub text: String,
    /// Its ETag as S3 writes it; without one it follows from the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// When it was stored.
    #[serde(default = "beginning")]
    pub modified_at: Time,
}

fn beginning() -> Time {
    Time::START
}

/// Something outside AWS that answers HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpHandler {
    /// What it answers to GET.
    #[serde(default)]
    pub get: HttpBehaviour,
    /// What it answers to POST.
    #[serde(default)]
    pub post: HttpBehaviour,
    /// Whether it terminates the EC2 instance that a POST names as `ec2_instance_id`.
    #[serde(default)]
    pub terminates: bool,
}

/// How an HTTP handler answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum HttpBehaviour {
    /// With that status.
    Status {
        /// Such as 204.
        status: u16,
    },
    /// Never: the request takes effect, but no answer comes.
    Hangs,
    /// Nobody listens there.
    Refuses,
}

impl Default for HttpBehaviour {
    fn default() -> Self {
        Self::Status { status: 200 }
    }
}

/// An HTTP request that was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRequest {
    /// When it was received.
    pub at: Time,
    /// `GET` or `POST`.
    pub method: String,
    /// Where it was sent.
    pub uri: String,
    /// Its JSON body.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

//! Auto Scaling in a world: groups with their instances, activities, hooks and policies.
//!
//! Settings that the simulator only hands through are kept as AWS writes them; what the simulation decides on is typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::time::Time;

/// An Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoScalingGroup {
    /// Its ARN.
    pub arn: String,
    /// When it was created.
    pub created_at: Time,
    /// Least number of instances.
    pub min_size: u64,
    /// Greatest number of instances.
    pub max_size: u64,
    /// Wanted number of instances.
    pub desired_capacity: u64,
    /// What launches its instances and every other setting, in autoscaling's shape.
    pub settings: Map<String, Value>,
    /// Tags in the order of their keys.
    #[serde(default)]
    pub tags: BTreeMap<String, GroupTag>,
    /// Classic load balancers by name, target groups by ARN, and how they were attached.
    #[serde(default)]
    pub attachments: BTreeMap<String, Attachment>,
    /// Suspended processes with the reason.
    #[serde(default)]
    pub suspended: BTreeMap<String, String>,
    /// Its instances by id.
    #[serde(default)]
    pub members: BTreeMap<String, Member>,
    /// What it did, the newest first.
    #[serde(default)]
    pub activities: Vec<Activity>,
    /// Lifecycle hooks by name, in autoscaling's shape.
    #[serde(default)]
    pub hooks: BTreeMap<String, Value>,
    /// Scaling policies by name, in autoscaling's shape.
    #[serde(default)]
    pub policies: BTreeMap<String, Value>,
    /// Scheduled actions by name, in autoscaling's shape.
    #[serde(default)]
    pub scheduled: BTreeMap<String, Value>,
    /// Enabled metrics.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Whether it is being deleted.
    #[serde(default)]
    pub deleting: bool,
    /// When its size is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// Launches that failed in a row.
    #[serde(default)]
    pub failed_launches: u32,
    /// Before this nothing is launched, because launches failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_after: Option<Time>,
    /// Why its wanted size is what it is: the beginning of the cause of its next activities.
    #[serde(default)]
    pub cause: String,
}

impl AutoScalingGroup {
    /// A setting's text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str)
    }

    /// Whether a process goes on.
    #[must_use]
    pub fn does(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    /// Its subnets.
    pub fn subnets(&self) -> impl Iterator<Item = &str> {
        self.text("VPCZoneIdentifier").unwrap_or_default().split(',').map(str::trim).filter(|id| !id.is_empty())
    }

    /// The instances that count for its size.
    pub fn counted(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.members.iter().filter(|(_, member)| member.lifecycle.counts())
    }
}

/// A tag of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupTag {
    /// Its value.
    pub value: String,
    /// Whether instances get it when they are launched.
    pub propagate: bool,
}

/// By which operations a load balancer was attached: the same family has to detach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// `AttachLoadBalancers`, or LoadBalancerNames.
    Classic,
    /// `AttachLoadBalancerTargetGroups`, or TargetGroupARNs.
    TargetGroup,
    /// `AttachTrafficSources`, or TrafficSources.
    TrafficSource,
}

/// A load balancer or a target group that gets a group's instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// How it was attached.
    pub family: Family,
    /// Until when its instances are being registered.
    pub added_at: Time,
    /// When it is gone, if it was detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Time>,
}

/// Where an instance is in the life that its group gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Lifecycle {
    /// It is being launched.
    Pending,
    /// It waits for the hook of launching instances.
    #[serde(rename = "Pending:Wait")]
    PendingWait,
    /// It is in service.
    InService,
    /// It is being taken out of its load balancers and terminated.
    Terminating,
    /// It waits for the hook of terminating instances.
    #[serde(rename = "Terminating:Wait")]
    TerminatingWait,
    /// It is being handed out of the group.
    Detaching,
}

impl Lifecycle {
    /// AWS's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PendingWait => "Pending:Wait",
            Self::InService => "InService",
            Self::Terminating => "Terminating",
            Self::TerminatingWait => "Terminating:Wait",
            Self::Detaching => "Detaching",
        }
    }

    /// Whether an instance in this state counts for the size of its group.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::PendingWait | Self::InService)
    }
}

/// An instance of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// Where it is.
    pub lifecycle: Lifecycle,
    /// Whether its group takes it for healthy.
    pub healthy: bool,
    /// Whether a shrinking group spares it.
    pub protected: bool,
    /// The launch template or the launch configuration that it was launched by, in autoscaling's shape.
    pub launched_by: Map<String, Value>,
    /// Since when it has been in service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_service_since: Option<Time>,
    /// When its state changes next, where that does not follow from its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// The activity that moves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
}

/// Something that a group did or does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Activity {
    /// Its id.
    pub id: String,
    /// What it does: `Launching a new EC2 instance: i-…`.
    pub description: String,
    /// Why.
    pub cause: String,
    /// AWS's word for how far it is.
    pub status: String,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Details, as autoscaling writes them.
    #[serde(default)]
    pub details: String,
}

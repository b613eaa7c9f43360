//! What stands beside services: CloudWatch log groups, rules of EventBridge, hosted zones of Route 53, and the scalable
//! targets of Application Auto Scaling.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::time::Time;

/// A CloudWatch log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogGroup {
    /// Days for which it keeps events; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u64>,
    /// Its log streams by name: one of each container that was started. Only images that are said to have output write
    /// to theirs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<String, LogStream>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Time,
}

/// A log stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogStream {
    /// When it was created.
    pub created_at: Time,
    /// What was written to it, in order.
    pub lines: Vec<String>,
}

/// A hosted zone of Route 53.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostedZone {
    /// Its name, with a dot at the end.
    pub name: String,
    /// Whether only VPCs can look names up in it.
    #[serde(default)]
    pub private: bool,
    /// Its record sets, in the service's shape.
    #[serde(default)]
    pub records: Vec<Value>,
}

/// A rule of EventBridge that acts at certain times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventRule {
    /// The rule in the service's shape.
    pub rule: Value,
    /// What it starts, by id, in the service's shape.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Value>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A service whose number of tasks Application Auto Scaling may change. This simulation has no load: only limits count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalableTarget {
    /// Fewest tasks.
    pub min: u64,
    /// Most tasks.
    pub max: u64,
    /// What is suspended, in the service's shape.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub suspended: Map<String, Value>,
    /// Policies by name, in the service's shape.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Value>,
    /// Scheduled actions by name, in the service's shape.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, Value>,
    /// When it was registered.
    pub created_at: Time,
}

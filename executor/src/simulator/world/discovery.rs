//! Cloud Map: namespaces, and the services in them. What is registered with a service follows from the tasks that run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::time::Time;

/// A namespace of Cloud Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Namespace {
    /// Its name, such as `shop.internal`.
    pub name: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// When it was created.
    pub created_at: Time,
}

/// Kinds of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NamespaceKind {
    /// What is in it is found through the API only.
    Http,
    /// What is in it has DNS records in a VPC.
    DnsPrivate,
    /// What is in it has DNS records that everybody sees.
    DnsPublic,
}

impl NamespaceKind {
    /// As the API spells it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::DnsPrivate => "DNS_PRIVATE",
            Self::DnsPublic => "DNS_PUBLIC",
        }
    }

    /// What the API spells so.
    pub(crate) fn of(word: &str) -> Self {
        match word {
            "DNS_PRIVATE" => Self::DnsPrivate,
            "DNS_PUBLIC" => Self::DnsPublic,
            _ => Self::Http,
        }
    }
}

/// A service of Cloud Map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Its name.
    pub name: String,
    /// Id of its namespace.
    pub namespace: String,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its DNS records, in the service's shape; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Value>,
    /// Whether somebody else tells which instances are healthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom_health: bool,
    /// The request that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_request_id: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Time,
}

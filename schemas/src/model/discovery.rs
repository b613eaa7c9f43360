//! What a model may say of Cloud Map: the name by which others look a component up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Port;

/// The name by which others look a component up in the environment's `namespace`: as a DNS name, or with Cloud Map's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The name in the namespace. Default: the component's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127), example = &"api")]
    pub name: Option<String>,
    /// What its DNS records tell: addresses (`A`), which tasks have in network mode awsvpc only, or addresses with ports
    /// (`SRV`). Default: A in network mode awsvpc, else SRV. Namespaces without DNS have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"SRV")]
    pub record: Option<RecordType>,
    /// Seconds for which resolvers keep what they were told. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647), example = 30)]
    pub ttl: Option<u32>,
    /// The port that is told, one of `provides.ports`. Default: the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 8080)]
    pub port: Option<Port>,
    /// The container that provides it. Default: the main container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"proxy")]
    pub container: Option<String>,
}

/// Kinds of DNS records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// Addresses.
    A,
    /// Addresses with ports.
    Srv,
}

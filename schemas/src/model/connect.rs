//! What a model may say of Service Connect: by which names components reach each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::container::Logs;
use super::values::Port;

/// How a component takes part in Service Connect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Whether it does. Default: true; a component that says nothing does where it uses one that offers something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What other components of the namespace may reach. Nothing: the component only reaches others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// Where the output of the proxy beside each task goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
}

/// A port that other components reach by a name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The container port, one of `provides.ports`.
    #[schemars(example = 8080)]
    pub port: Port,
    /// The container that provides it. Default: the main container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"proxy")]
    pub container: Option<String>,
    /// Its name: that of the port mapping and, in the namespace, of the service. Default: the component's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), example = &"api")]
    pub name: Option<String>,
    /// What is spoken there; of HTTP the proxies tell requests and answers. Default: tcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http")]
    pub protocol: Option<AppProtocol>,
    /// As what others reach it. Default: `NAME.NAMESPACE` at the container port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<ClientAlias>,
    /// When its proxies give up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<ConnectTimeouts>,
    /// Anything else of the API's ServiceConnectService, such as `tls`; wins over the keys above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &serde_json::json!({"ingressPortOverride": 15000}))]
    pub raw: Option<Map<String, Value>>,
}

/// Protocols that the proxies of Service Connect understand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppProtocol {
    /// Any; bytes are passed on.
    #[default]
    Tcp,
    /// HTTP 1.1.
    Http,
    /// HTTP 2.
    Http2,
    /// gRPC.
    Grpc,
}

/// As what clients reach a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAlias {
    /// Host name. Default: `NAME.NAMESPACE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127), example = &"api")]
    pub name: Option<String>,
    /// Port. Default: the container port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535), example = 80)]
    pub port: Option<u16>,
}

/// When the proxies of a port give up, in seconds; 0: never.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectTimeouts {
    /// A connection without traffic. Default: 3600; 300 with `http`, `http2` and `grpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 300)]
    pub idle: Option<u32>,
    /// A request without its whole answer; not with `tcp`. Default: 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 15)]
    pub request: Option<u32>,
}

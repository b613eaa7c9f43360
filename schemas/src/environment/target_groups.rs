//! Target groups that Belay makes: what AWS takes for them, and how they check their targets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A target group that Belay makes, changes and deletes; `lb` names it by its key in `target_groups`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetGroup {
    /// Its name in AWS: at most 32 letters, digits and inner hyphens. Default: the project's name, a hyphen and the key. With
    /// another name, another group takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"shop-web-2")]
    pub name: Option<String>,
    /// How the load balancer talks to the targets. Default: HTTP. It cannot change while the name stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"TCP")]
    pub protocol: Option<TargetProtocol>,
    /// Port of targets that are registered without one; tasks are registered with theirs. Default: 80. It cannot change while
    /// the name stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535), example = 80)]
    pub port: Option<u16>,
    /// What is registered. Default: `ip` for tasks with network interfaces of their own, else `instance`. It cannot change
    /// while the name stays.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"ip")]
    pub kind: Option<TargetType>,
    /// The VPC, by id or name. Default: the one of `network`. It cannot change while the name stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"main")]
    pub vpc: Option<String>,
    /// How targets are checked; tasks count as healthy by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<TargetCheck>,
    /// Seconds in which a target that leaves answers what it was asked before. Default: 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600), example = 30)]
    pub deregistration_delay: Option<u16>,
}

/// How a load balancer talks to targets: HTTP and HTTPS are for application load balancers, the others for network ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TargetProtocol {
    /// HTTP.
    #[default]
    Http,
    /// HTTPS.
    Https,
    /// TCP.
    Tcp,
    /// TCP with TLS between load balancer and target.
    Tls,
    /// UDP.
    Udp,
    /// TCP and UDP on one port.
    TcpUdp,
}

impl TargetProtocol {
    /// As the API spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
        }
    }
}

/// What is registered in a target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetType {
    /// Container instances, with the host port of the task.
    Instance,
    /// Addresses of tasks.
    Ip,
}

impl TargetType {
    /// As the API spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
        }
    }
}

/// How targets are checked. What is left out has its default again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetCheck {
    /// Default: HTTP in groups of the protocols HTTP and HTTPS, else TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"HTTP")]
    pub protocol: Option<CheckProtocol>,
    /// Default: the port of each target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535), example = 9000)]
    pub port: Option<u16>,
    /// What is asked for, by HTTP and HTTPS. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/"), example = &"/health")]
    pub path: Option<String>,
    /// Codes that pass, by HTTP and HTTPS: numbers and ranges. Default: 200 in groups of the protocols HTTP and HTTPS, else
    /// 200-399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"200,204")]
    pub codes: Option<crate::model::Text>,
    /// Seconds between two checks of a target. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 300), example = 10)]
    pub interval: Option<u16>,
    /// Seconds after which a check without an answer has failed; fewer than between two checks. Default: 5 in groups of the
    /// protocols HTTP and HTTPS, else 10, and a second less than `interval` where that is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 120), example = 4)]
    pub timeout: Option<u16>,
    /// Checks that pass in a row before a target is healthy. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 10), example = 2)]
    pub healthy: Option<u8>,
    /// Checks that fail in a row before a target is unhealthy. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 10), example = 3)]
    pub unhealthy: Option<u8>,
}

/// How targets are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckProtocol {
    /// By a request.
    Http,
    /// By a request with TLS.
    Https,
    /// By a connection.
    Tcp,
}

impl CheckProtocol {
    /// As the API spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
        }
    }
}

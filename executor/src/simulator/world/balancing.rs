//! Load balancers of a world: classic ones, application and network ones, target groups and the health of targets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::time::Time;

/// How a load balancer checks the health of its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// HTTP, HTTPS, TCP or SSL.
    pub protocol: String,
    /// A port number or, for target groups, `traffic-port`.
    pub port: String,
    /// The path that is asked for, with HTTP and HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Seconds between two checks.
    pub interval_seconds: u64,
    /// Seconds until a check fails.
    pub timeout_seconds: u64,
    /// Checks that must pass in a row.
    pub healthy_threshold: u64,
    /// Checks that must fail in a row.
    pub unhealthy_threshold: u64,
    /// HTTP codes that pass, for target groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher: Option<String>,
}

/// The state of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// Registered, and its first health checks are running.
    Initial,
    /// Passing its health checks.
    Healthy,
    /// Failing its health checks.
    Unhealthy,
    /// Deregistered, with open connections running out.
    Draining,
}

/// Something that gets traffic from a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// An EC2 instance id, or an address.
    pub id: String,
    /// The port.
    pub port: u64,
    /// Its availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// The ECS task that listens there. Without one the target passes its checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Its state.
    pub state: TargetState,
    /// When the state changes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

/// A target group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// HTTP, HTTPS, TCP, …
    pub protocol: String,
    /// Default port of its targets.
    pub port: u64,
    /// Its VPC.
    pub vpc_id: String,
    /// `instance` or `ip`.
    pub target_type: String,
    /// How targets are checked.
    pub health_check: HealthCheck,
    /// Attributes that differ from AWS's defaults.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Registered and draining targets.
    #[serde(default)]
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// Seconds that a deregistered target drains.
    #[must_use]
    pub fn deregistration_delay(&self) -> u64 {
        self.attributes.get("deregistration_delay.timeout_seconds").and_then(|v| v.parse().ok()).unwrap_or(300)
    }
}

/// An application or network load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadBalancer {
    /// Its ARN.
    pub arn: String,
    /// `application` or `network`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Its name in DNS.
    pub dns_name: String,
    /// When it was created.
    pub created_at: Time,
    /// Attributes that differ from AWS's defaults.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Its listeners.
    #[serde(default)]
    pub listeners: Vec<Listener>,
}

/// A listener of an application or network load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// The port.
    pub port: u64,
    /// The protocol.
    pub protocol: String,
    /// Actions of the default rule, in elbv2's shape.
    #[serde(default)]
    pub default_actions: Vec<Value>,
    /// ARN of the default rule, where it does not follow from the listener's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_rule: Option<String>,
    /// Its certificates, in elbv2's shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Value>,
    /// Rules besides the default one.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A rule of a listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its ARN.
    pub arn: String,
    /// Its priority.
    pub priority: u64,
    /// Conditions, in elbv2's shape.
    #[serde(default)]
    pub conditions: Vec<Value>,
    /// Actions, in elbv2's shape.
    #[serde(default)]
    pub actions: Vec<Value>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Listener {
    /// ARN of the rule for what no other rule fits.
    #[must_use]
    pub fn default_rule_arn(&self) -> String {
        let made = || format!("{}/0000000000000000", self.arn.replacen(":listener/", ":listener-rule/", 1));
        self.default_rule.clone().unwrap_or_else(made)
    }

    /// Whether it has actions behind that ARN.
    pub(crate) fn has_rule(&self, arn: &str) -> bool {
        self.arn == arn || self.default_rule_arn() == arn || self.rules.iter().any(|rule| rule.arn == arn)
    }

    /// The actions behind the ARN of one of its rules, or behind its own, which means the default ones.
    pub fn actions_mut(&mut self, arn: &str) -> Option<&mut Vec<Value>> {
        if self.arn == arn || self.default_rule_arn() == arn {
            return Some(&mut self.default_actions);
        }
        self.rules.iter_mut().find(|rule| rule.arn == arn).map(|rule| &mut rule.actions)
    }
}

impl LoadBalancer {
    /// Whether one of its listeners or rules forwards to a target group.
    #[must_use]
    pub fn forwards_to(&self, target_group: &str) -> bool {
        let names = |action: &Value| {
            action["TargetGroupArn"] == target_group
                || action["ForwardConfig"]["TargetGroups"]
                    .as_array()
                    .is_some_and(|groups| groups.iter().any(|group| group["TargetGroupArn"] == target_group))
        };
        self.listeners.iter().any(|listener| {
            listener.default_actions.iter().any(names)
                || listener.rules.iter().any(|rule| rule.actions.iter().any(names))
        })
    }
}

/// A classic load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassicLoadBalancer {
    /// Its name in DNS.
    pub dns_name: String,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Its zones.
    #[serde(default)]
    pub availability_zones: Vec<String>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Its listeners.
    pub listeners: Vec<ClassicListener>,
    /// How instances are checked.
    pub health_check: HealthCheck,
    /// Seconds that a deregistered instance drains, if connection draining is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_draining_seconds: Option<u64>,
    /// Seconds after which an idle connection is closed.
    #[serde(default = "default_idle")]
    pub idle_timeout_seconds: u64,
    /// Whether requests go to instances of all zones.
    #[serde(default)]
    pub cross_zone: bool,
    /// When it was created.
    pub created_at: Time,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Registered and draining instances.
    #[serde(default)]
    pub targets: Vec<Target>,
}

fn default_idle() -> u64 {
    60
}

/// A listener of a classic load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassicListener {
    /// Protocol of the clients.
    pub protocol: String,
    /// Port of the clients.
    pub load_balancer_port: u64,
    /// Protocol of the instances.
    pub instance_protocol: String,
    /// Port of the instances.
    pub instance_port: u64,
}

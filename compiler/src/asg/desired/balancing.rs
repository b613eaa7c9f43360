//! Load balancers of a component: those that the environment names for the gateways that lead to it.

use belay_schemas::environment::AsgBalancer;
use belay_schemas::model::GatewayType;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, number, text};

use super::super::Context;
use super::super::facts::Facts;
use super::super::network;
use super::super::settings::BalancerSetting;
use super::{Desired, member};
use crate::ecs::names;

/// A load balancer whose instances a group registers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Balancer {
    /// A classic one.
    Classic {
        /// Its name.
        name: String,
    },
    /// A target group of an application or network load balancer.
    TargetGroup {
        /// Its ARN.
        arn: String,
        /// The port on which the instances listen.
        port: u16,
    },
}

impl Balancer {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Classic { name } => name,
            Self::TargetGroup { arn, .. } => names::target_group(arn),
        }
    }
}

/// The load balancers of a component, sorted.
pub fn balancers(context: Context<'_>, component: &str, report: &mut Report) -> Vec<Balancer> {
    let mut all = Vec::new();
    for (name, gateway) in &context.loaded.model.gateways {
        if gateway.kind != GatewayType::LoadBalancer || !gateway.target.0.iter().any(|t| t == component) {
            continue;
        }
        let Some(setting) = context.settings.balancers.get(name) else { continue };
        all.extend(resolve(context, setting, report));
    }
    all.sort();
    all.dedup();
    all
}

/// What the environment names, looked up. A missing one is an error even where no gateway uses it.
pub fn resolve(context: Context<'_>, setting: &BalancerSetting, report: &mut Report) -> Option<Balancer> {
    let missing = |what: &str, name: &str| {
        Diagnostic::error("B619", format!("there is no {what} `{name}` in the account and region"))
            .at(setting.place.clone())
            .help("correct the name, or write `null` if this environment has no such load balancer; then observe again")
    };
    match (&setting.balancer, context.facts) {
        (AsgBalancer::Classic(name), None) => Some(Balancer::Classic { name: name.clone() }),
        (AsgBalancer::Classic(name), Some(facts)) => {
            if facts.shared.classic(name).is_none() {
                report.push(missing("classic load balancer", name));
                return None;
            }
            Some(Balancer::Classic { name: name.clone() })
        }
        (AsgBalancer::TargetGroup { target_group, port }, None) => {
            if !target_group.starts_with("arn:") {
                report.push(
                    Diagnostic::error("B345", format!("the ARN of target group `{target_group}` has to be looked up"))
                        .at(setting.place.clone())
                        .help(
                            "compile with `--observed FILE` (see `belayc scope` and `belay observe`), or write the ARN",
                        ),
                );
                return None;
            }
            Some(Balancer::TargetGroup { arn: target_group.clone(), port: *port })
        }
        (AsgBalancer::TargetGroup { target_group, port }, Some(facts)) => {
            let Some(group) = facts.shared.target_group(target_group) else {
                report.push(missing("target group", target_group));
                return None;
            };
            let wrong =
                |message: String, help: String| Diagnostic::error("B619", message).at(setting.place.clone()).help(help);
            if text(group, "TargetType").is_some_and(|t| t != "instance") {
                report.push(wrong(
                    format!(
                        "target group `{target_group}` takes targets of the type `{}`",
                        member(group, "TargetType")
                    ),
                    "Auto Scaling registers instances: name a target group of the type `instance`".to_owned(),
                ));
            }
            if let Some(its) = number(group, "Port")
                && its != u64::from(*port)
            {
                report.push(wrong(
                    format!("target group `{target_group}` sends to port {its} of its instances, not to {port}"),
                    format!("write `port: {its}`, or name a target group for port {port}: Auto Scaling registers instances with the target group's own port"),
                ));
            }
            if items(group, "LoadBalancerArns").is_empty() && group.get("LoadBalancerArns").is_some() {
                report.push(wrong(
                    format!(
                        "target group `{target_group}` is behind no load balancer, so nothing in it becomes healthy"
                    ),
                    "attach it to a listener or rule first, then observe again".to_owned(),
                ));
            }
            let arn = text(group, "TargetGroupArn").unwrap_or(target_group).to_owned();
            Some(Balancer::TargetGroup { arn, port: *port })
        }
    }
}

/// Instances in a zone that a load balancer does not cover are registered but never get traffic.
pub fn check_zones(facts: &Facts<'_>, desired: &Desired, subnets: &[String], at: &Place, report: &mut Report) {
    for balancer in &desired.balancers {
        let Balancer::Classic { name } = balancer else { continue };
        let Some(described) = facts.shared.classic(name) else { continue };
        let mut covered: Vec<&str> = items(described, "AvailabilityZones").iter().filter_map(|z| z.as_str()).collect();
        let attached: Vec<String> =
            items(described, "Subnets").iter().filter_map(|s| s.as_str().map(str::to_owned)).collect();
        covered.extend(network::zones(facts, &attached));
        let missing: Vec<&str> =
            network::zones(facts, subnets).into_iter().filter(|zone| !covered.contains(zone)).collect();
        if !covered.is_empty() && !missing.is_empty() {
            report.push(
                Diagnostic::error("B619", format!("load balancer `{name}` does not cover availability zone {}, in which instances of `{}` may run", missing.join(", "), desired.component))
                    .at(at.clone())
                    .help("attach the load balancer to a subnet of each zone, or choose the subnets of the zones that it covers"),
            );
        }
    }
}

//! Pre-flight reads: what the plan relies on beyond the groups themselves is there.

use std::collections::BTreeSet;

use belay_schemas::plan::{Action, Http, Phase};
use serde_json::{Value, json};

use crate::asg::Context;
use crate::asg::desired::Balancer;
use crate::lower::Part;
use crate::lower::draft::{call, node};

use super::calls::ec2;

/// Seconds that the service which takes instances over has to answer.
const PROBE: u64 = 5;

/// What has to be there.
pub struct Needed<'a> {
    /// Load balancers.
    pub balancers: &'a [Balancer],
    /// ECS clusters that instances join.
    pub clusters: &'a [String],
    /// Whether instances are handed over.
    pub hands_over: bool,
}

/// Adds the reads, before everything else of the part.
pub fn add(context: Context<'_>, needed: &Needed<'_>, subnets: &[String], vpc: Option<&str>, part: &mut Part) {
    let mut all: Vec<(String, String, Action)> = Vec::new();
    if let (false, Some(vpc)) = (subnets.is_empty(), vpc) {
        let ids: BTreeSet<&String> = subnets.iter().collect();
        let expect = format!("length(Subnets[?VpcId=='{vpc}']) == `{}`", ids.len());
        let action = Action::Read { read: ec2("DescribeSubnets", json!({"SubnetIds": ids})), expect: Some(expect) };
        let what = if ids.len() == 1 { "the subnet is".to_owned() } else { format!("the {} subnets are", ids.len()) };
        all.push(("preflight.subnets".to_owned(), format!("{what} in VPC {vpc}"), action));
    }
    for balancer in needed.balancers {
        let name = balancer.name();
        let (read, expect, what) = match balancer {
            Balancer::Classic { name } => (
                call("elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": [name]})),
                "length(LoadBalancerDescriptions) == `1`",
                "classic load balancer",
            ),
            Balancer::TargetGroup { arn, .. } => (
                call("elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [arn]})),
                "length(TargetGroups[0].LoadBalancerArns) > `0`",
                "target group",
            ),
        };
        let action = Action::Read { read, expect: Some(expect.to_owned()) };
        all.push((format!("preflight.join.{name}"), format!("{what} {name} is there"), action));
    }
    for name in needed.clusters {
        let read = call("ecs", "DescribeClusters", json!({"clusters": [name]}));
        let action = Action::Read { read, expect: Some("clusters[0].status == 'ACTIVE'".to_owned()) };
        all.push((format!("preflight.joined.{name}"), format!("cluster {name} is there to be joined"), action));
    }
    if let (true, Some(delegated)) = (needed.hands_over, &context.settings.delegated) {
        let http = Http { method: "GET".to_owned(), uri: delegated.uri.clone(), timeout: PROBE, body: Value::Null };
        let summary = format!("{} takes instances over", delegated.uri);
        all.push(("preflight.hand-over".to_owned(), summary, Action::Http { http }));
    }
    let entries: Vec<String> =
        part.lowered.values().chain(part.gone.values()).flat_map(|l| &l.entries).cloned().collect();
    for (id, summary, action) in all {
        part.draft.add(node(id.clone(), None, Phase::Preflight, summary, action));
        for entry in &entries {
            part.draft.after(&id, entry);
        }
        part.preflight.push(id);
    }
}

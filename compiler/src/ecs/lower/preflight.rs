//! Pre-flight reads: what the plan relies on beyond the services themselves is there.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Phase};
use serde_json::json;

use crate::ecs::desired::{Attachment, Balancer};
use crate::ecs::json::text;
use crate::ecs::names;
use crate::ecs::routing::Routing;
use crate::ecs::{Context, made, namespaces};

use super::calls::ecs;
use crate::lower::Lowered;
use crate::lower::draft::{Draft, call, node};

/// The cluster is there and ACTIVE. Returns the node's id.
pub fn cluster(context: Context<'_>, draft: &mut Draft) -> String {
    let name = &context.settings.cluster;
    let id = "preflight.cluster".to_owned();
    let action = Action::Read {
        read: ecs("DescribeClusters", json!({"clusters": [name]})),
        expect: Some("length(clusters[?status=='ACTIVE']) == `1`".to_owned()),
    };
    draft.add(node(id.clone(), None, Phase::Preflight, format!("cluster {name} is active"), action));
    id
}

/// The load balancers of all components that change are there and still lead where the plan thinks.
/// A target group to which the plan leads a rule may have no load balancer before.
pub fn balancers<'a>(
    used: impl Iterator<Item = (&'a Attachment, &'a Lowered)>,
    routing: &Routing<'_>,
    draft: &mut Draft,
) {
    let mut reads: BTreeMap<String, (Action, String)> = BTreeMap::new();
    let mut edges = Vec::new();
    for (attachment, lowered) in used {
        let entry = match &attachment.balancer {
            // The plan makes it.
            Balancer::TargetGroup { arn } if made::is_made(arn) => None,
            Balancer::TargetGroup { arn } => {
                let name = names::target_group(arn);
                let read = call("elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [arn]}));
                let led = routing.wanted.iter().any(|route| route.group == *arn)
                    || routing.leads.iter().any(|lead| lead.group == *arn);
                // Without a listener or rule, AWS refuses to attach a service.
                let expect = match led {
                    true => "length(TargetGroups) == `1`",
                    false => "length(TargetGroups[0].LoadBalancerArns) > `0`",
                };
                let expect = expect.to_owned();
                Some((
                    format!("preflight.target-group.{name}"),
                    Action::Read { read, expect: Some(expect) },
                    format!("target group {name} is there{}", if led { "" } else { " and has a load balancer" }),
                ))
            }
            Balancer::Classic { name } => {
                let read = call("elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": [name]}));
                let port = attachment.instance_port.unwrap_or_default();
                let expect = format!(
                    "length(LoadBalancerDescriptions[0].ListenerDescriptions[?Listener.InstancePort==`{port}`]) > `0`"
                );
                Some((
                    format!("preflight.load-balancer.{name}.{port}"),
                    Action::Read { read, expect: Some(expect) },
                    format!("classic load balancer {name} is there and sends to port {port}"),
                ))
            }
        };
        let alternate = attachment.switch.as_ref().map(|switch| &switch.alternate);
        if let Some(arn) = alternate.filter(|arn| !made::is_made(arn)) {
            let name = names::target_group(arn);
            let read = call("elbv2", "DescribeTargetGroups", json!({"TargetGroupArns": [arn]}));
            let action = Action::Read { read, expect: Some("length(TargetGroups) == `1`".to_owned()) };
            let id = format!("preflight.target-group.{name}");
            edges.extend(lowered.entries.iter().map(|entry| (id.clone(), entry.clone())));
            reads.entry(id).or_insert((action, format!("target group {name} is there")));
        }
        if let Some((id, action, summary)) = entry {
            edges.extend(lowered.entries.iter().map(|entry| (id.clone(), entry.clone())));
            reads.entry(id).or_insert((action, summary));
        }
    }
    for (id, (action, summary)) in reads {
        draft.add(node(id, None, Phase::Preflight, summary, action));
    }
    for (from, to) in edges {
        draft.after(&from, &to);
    }
}

/// The namespaces of components that change are there; `used` names the nodes that need each of them first.
pub fn namespaces(context: Context<'_>, used: &BTreeMap<String, Vec<String>>, draft: &mut Draft) {
    for (arn, entries) in used {
        let known = context.facts.map(|facts| facts.namespaces(arn)).unwrap_or_default();
        let name = known.first().and_then(|n| text(n, "Name")).unwrap_or_else(|| namespaces::id_of(arn));
        let id = format!("preflight.namespace.{name}");
        let read = call("servicediscovery", "GetNamespace", json!({"Id": namespaces::id_of(arn)}));
        let action = Action::Read { read, expect: Some(format!("Namespace.Arn == '{arn}'")) };
        draft.add(node(id.clone(), None, Phase::Preflight, format!("Cloud Map namespace {name} is there"), action));
        for entry in entries {
            draft.after(&id, entry);
        }
    }
}

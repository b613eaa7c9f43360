//! Load balancers and target groups as they were observed. What observing does not read (listeners and rules of
//! application load balancers) is filled in so that every target group that was attached is attached again.

use std::collections::BTreeMap;

use belay_schemas::observed::Observed;
use serde_json::{Value, json};

use super::{items, number, text, texts, upper_tags};
use crate::simulator::time::Time;
use crate::simulator::world::{
    ClassicListener, ClassicLoadBalancer, HealthCheck, Listener, LoadBalancer, Rule, TargetGroup, World,
};

pub(super) fn fill(world: &mut World, observed: &Observed, since: Time) {
    for (_, output) in observed.outputs("elbv2", "DescribeTargetGroups") {
        for group in items(output, "TargetGroups") {
            let (name, arn) = (text(group, "TargetGroupName"), text(group, "TargetGroupArn"));
            world.target_groups.insert(name, target_group(group, observed));
            for balancer in texts(group, "LoadBalancerArns") {
                attach(world, &balancer, &arn, &text(group, "VpcId"), since);
            }
        }
    }
    for (input, output) in observed.outputs("elbv2", "DescribeRules") {
        if let Some(arn) = input["ListenerArn"].as_str() {
            listener(world, arn, output, observed, since);
        }
    }
    for (_, output) in observed.outputs("elbv2", "DescribeListeners") {
        for described in items(output, "Listeners") {
            let default = json!({"Rules": [{"IsDefault": true, "Actions": described["DefaultActions"]}]});
            listener(world, &text(described, "ListenerArn"), &default, observed, since);
        }
    }
    for (_, output) in observed.outputs("elbv2", "DescribeLoadBalancers") {
        for described in items(output, "LoadBalancers") {
            if let Some(known) = world.load_balancers.get_mut(&text(described, "LoadBalancerName")) {
                known.dns_name = text(described, "DNSName");
                known.scheme = text(described, "Scheme");
            }
        }
    }
    for (_, output) in observed.outputs("elb", "DescribeLoadBalancers") {
        for balancer in items(output, "LoadBalancerDescriptions") {
            world.classic_load_balancers.insert(text(balancer, "LoadBalancerName"), classic(balancer, observed, since));
        }
    }
}

fn target_group(group: &Value, observed: &Observed) -> TargetGroup {
    let arn = text(group, "TargetGroupArn");
    let attributes = observed
        .outputs("elbv2", "DescribeTargetGroupAttributes")
        .filter(|(input, _)| input["TargetGroupArn"] == *arn)
        .flat_map(|(_, output)| items(output, "Attributes"));
    let optional = |name: &str| group[name].as_str().map(str::to_owned);
    TargetGroup {
        protocol: text(group, "Protocol"),
        port: number(group, "Port", 80),
        vpc_id: text(group, "VpcId"),
        target_type: optional("TargetType").unwrap_or_else(|| "instance".to_owned()),
        health_check: HealthCheck {
            protocol: text(group, "HealthCheckProtocol"),
            port: optional("HealthCheckPort").unwrap_or_else(|| "traffic-port".to_owned()),
            path: optional("HealthCheckPath"),
            interval_seconds: number(group, "HealthCheckIntervalSeconds", 30),
            timeout_seconds: number(group, "HealthCheckTimeoutSeconds", 5),
            healthy_threshold: number(group, "HealthyThresholdCount", 5),
            unhealthy_threshold: number(group, "UnhealthyThresholdCount", 2),
            matcher: group["Matcher"]["HttpCode"].as_str().map(str::to_owned),
        },
        attributes: attributes.map(|a| (text(a, "Key"), text(a, "Value"))).collect(),
        tags: tags(observed, &arn),
        // Services register their tasks; who else stands behind it is not looked at.
        targets: Vec::new(),
        arn,
    }
}

/// A target group that a listener leads to and nobody read: that it is there is all that is known of it.
fn stand_in(arn: &str, network: bool, vpc: &str) -> (String, TargetGroup) {
    let name = arn.split_once(":targetgroup/").and_then(|(_, rest)| rest.split('/').next()).unwrap_or(arn);
    let protocol = if network { "TCP" } else { "HTTP" };
    let group = TargetGroup {
        protocol: protocol.to_owned(),
        port: 80,
        vpc_id: vpc.to_owned(),
        target_type: "instance".to_owned(),
        health_check: HealthCheck {
            protocol: protocol.to_owned(),
            port: "traffic-port".to_owned(),
            path: (!network).then(|| "/".to_owned()),
            interval_seconds: 30,
            timeout_seconds: 5,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: (!network).then(|| "200".to_owned()),
        },
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        targets: Vec::new(),
        arn: arn.to_owned(),
    };
    (name.to_owned(), group)
}

/// Tags of a rule or target group, as far as they were read.
fn tags(observed: &Observed, arn: &str) -> BTreeMap<String, String> {
    let all = observed.outputs("elbv2", "DescribeTags").flat_map(|(_, output)| items(output, "TagDescriptions"));
    all.filter(|described| described["ResourceArn"] == *arn).flat_map(upper_tags).collect()
}

/// Puts a target group behind the load balancer of that ARN: behind its listener, or a rule of it if that has one.
fn attach(world: &mut World, balancer: &str, group: &str, vpc: &str, since: Time) {
    // arn:…:loadbalancer/app/NAME/ID
    let path = balancer.split_once(":loadbalancer/").map_or("", |(_, path)| path);
    let mut parts = path.split('/');
    let kind = if parts.next() == Some("net") { "network" } else { "application" };
    let name = parts.next().unwrap_or("unnamed").to_owned();
    let part = |what: &str| balancer.replacen(":loadbalancer/", &format!(":{what}/"), 1);
    let region = world.region.clone();
    let entry = world.load_balancers.get_or_insert_with(name.clone(), || LoadBalancer {
        arn: balancer.to_owned(),
        kind: kind.to_owned(),
        scheme: "internet-facing".to_owned(),
        vpc_id: vpc.to_owned(),
        subnets: Vec::new(),
        security_groups: Vec::new(),
        dns_name: format!("{name}-0000000000.{region}.elb.amazonaws.com"),
        created_at: since,
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        listeners: Vec::new(),
    });
    let forward = json!({"Type": "forward", "TargetGroupArn": group, "Order": 1});
    match entry.listeners.first_mut() {
        None => entry.listeners.push(Listener {
            arn: format!("{}/{:016x}", part("listener"), 1),
            port: 80,
            protocol: if kind == "network" { "TCP" } else { "HTTP" }.to_owned(),
            default_actions: vec![forward],
            default_rule: None,
            certificates: Vec::new(),
            rules: Vec::new(),
            tags: BTreeMap::new(),
        }),
        Some(listener) => {
            let number = listener.rules.len() as u64 + 1;
            listener.rules.push(Rule {
                arn: format!("{}/{:016x}/{number:016x}", part("listener-rule"), 1),
                priority: number * 10,
                conditions: vec![json!({"Field": "path-pattern", "Values": [format!("/{number}/*")]})],
                actions: vec![forward],
                tags: BTreeMap::new(),
            });
        }
    }
}

/// A listener whose rules were observed; its port and protocol were not.
fn listener(world: &mut World, arn: &str, described: &Value, observed: &Observed, since: Time) {
    // arn:…:listener/app/NAME/ID/LISTENER
    let Some((owner, _)) = arn.rsplit_once('/') else { return };
    let balancer = owner.replacen(":listener/", ":loadbalancer/", 1);
    let Some(name) = owner.rsplit('/').nth(1).map(str::to_owned) else { return };
    let led = |action: &Value| -> Vec<String> {
        let weighted = items(&action["ForwardConfig"], "TargetGroups").map(|g| text(g, "TargetGroupArn"));
        std::iter::once(text(action, "TargetGroupArn")).chain(weighted).collect()
    };
    let groups: Vec<String> = items(described, "Rules").flat_map(|rule| items(rule, "Actions")).flat_map(led).collect();
    let vpc =
        world.target_groups.values().find(|g| groups.contains(&g.arn)).map_or(String::new(), |g| g.vpc_id.clone());
    for group in groups.iter().filter(|group| !group.is_empty()) {
        if !world.target_groups.values().any(|known| known.arn == *group) {
            let (name, made) = stand_in(group, arn.contains(":listener/net/"), &vpc);
            world.target_groups.insert(name, made);
        }
    }
    if !world.load_balancers.contains_key(&name) {
        // The listener that comes with it is put right below.
        attach(world, &balancer, groups.first().map_or("", String::as_str), &vpc, since);
    }
    let mut made = Listener {
        arn: arn.to_owned(),
        port: 80,
        protocol: if arn.contains(":listener/net/") { "TCP" } else { "HTTP" }.to_owned(),
        default_actions: Vec::new(),
        default_rule: None,
        certificates: Vec::new(),
        rules: Vec::new(),
        tags: BTreeMap::new(),
    };
    for rule in items(described, "Rules") {
        let actions: Vec<Value> = items(rule, "Actions").cloned().collect();
        if rule["IsDefault"] == true {
            made.default_actions = actions;
            made.default_rule =
                Some(text(rule, "RuleArn")).filter(|rule| !rule.is_empty() && *rule != made.default_rule_arn());
            continue;
        }
        made.rules.push(Rule {
            arn: text(rule, "RuleArn"),
            priority: text(rule, "Priority").parse().unwrap_or_default(),
            conditions: items(rule, "Conditions").cloned().collect(),
            actions,
            tags: tags(observed, &text(rule, "RuleArn")),
        });
    }
    // New rules get ids that none of these has.
    let ids = made.rules.iter().filter_map(|rule| u64::from_str_radix(rule.arn.rsplit('/').next()?, 16).ok());
    let highest = ids.filter(|id| *id <= u64::from(u32::MAX)).max().unwrap_or_default();
    let counter = world.counters.entry("rule".to_owned()).or_default();
    *counter = highest.max(*counter);
    let Some(entry) = world.load_balancers.get_mut(&name) else { return };
    // What was filled in for target groups that this one leads to is not needed any more.
    entry
        .listeners
        .retain(|l| l.arn != arn && !l.default_actions.iter().any(|a| groups.contains(&text(a, "TargetGroupArn"))));
    entry.listeners.push(made);
}

fn classic(balancer: &Value, observed: &Observed, since: Time) -> ClassicLoadBalancer {
    let name = &balancer["LoadBalancerName"];
    let attributes = observed
        .outputs("elb", "DescribeLoadBalancerAttributes")
        .find(|(input, _)| input["LoadBalancerName"] == *name)
        .map_or(&Value::Null, |(_, output)| &output["LoadBalancerAttributes"]);
    let draining = &attributes["ConnectionDraining"];
    let check = &balancer["HealthCheck"];
    let target = check["Target"].as_str().unwrap_or("TCP:80");
    let (protocol, rest) = target.split_once(':').unwrap_or(("TCP", "80"));
    let (port, path) = rest.split_once('/').map_or((rest, None), |(port, path)| (port, Some(format!("/{path}"))));
    let listeners = items(balancer, "ListenerDescriptions").map(|l| &l["Listener"]);
    let optional = |value: &Value| value.as_str().map(str::to_owned);
    ClassicLoadBalancer {
        dns_name: text(balancer, "DNSName"),
        scheme: text(balancer, "Scheme"),
        vpc_id: text(balancer, "VPCId"),
        subnets: texts(balancer, "Subnets"),
        availability_zones: texts(balancer, "AvailabilityZones"),
        security_groups: texts(balancer, "SecurityGroups"),
        listeners: listeners
            .map(|listener| ClassicListener {
                protocol: text(listener, "Protocol"),
                load_balancer_port: number(listener, "LoadBalancerPort", 80),
                instance_protocol: optional(&listener["InstanceProtocol"])
                    .unwrap_or_else(|| text(listener, "Protocol")),
                instance_port: number(listener, "InstancePort", 80),
            })
            .collect(),
        health_check: HealthCheck {
            protocol: protocol.to_owned(),
            port: port.to_owned(),
            path,
            interval_seconds: number(check, "Interval", 30),
            timeout_seconds: number(check, "Timeout", 5),
            healthy_threshold: number(check, "HealthyThreshold", 10),
            unhealthy_threshold: number(check, "UnhealthyThreshold", 2),
            matcher: None,
        },
        connection_draining_seconds: (draining["Enabled"] == true).then(|| number(draining, "Timeout", 300)),
        idle_timeout_seconds: number(&attributes["ConnectionSettings"], "IdleTimeout", 60),
        cross_zone: attributes["CrossZoneLoadBalancing"]["Enabled"] == true,
        created_at: since,
        tags: BTreeMap::new(),
        targets: Vec::new(),
    }
}

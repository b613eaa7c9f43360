//! Describing load balancers, target groups, listeners, rules and tags.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::rejected;
use super::super::request::{Answer, Paging, at_most, items, required, text, texts, to_upper_tags};
use super::super::world::{LoadBalancer, TargetGroup, World};
use super::{no_balancer, no_group, no_listener, no_rule, show_default_rule, show_group, show_listener, show_rule};

/// AWS's defaults of target-group attributes.
const GROUP_ATTRIBUTES: [(&str, &str); 10] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
];

pub(super) fn load_balancers(world: &World, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "LoadBalancerArns"), texts(input, "Names"));
    let known = |name: &str, balancer: &LoadBalancer, asked: &str| name == asked || balancer.arn == asked;
    let absent = |asked: &&&str| !world.load_balancers.iter().any(|(name, b)| known(name, b, asked));
    if let Some(unknown) = names.iter().chain(&arns).find(absent) {
        let mut error = no_balancer();
        error.message = match names.contains(unknown) {
            true => format!("Load balancers '[{unknown}]' not found"),
            false => format!("Load balancer '{unknown}' not found"),
        };
        return Err(error);
    }
    let wanted = |name: &str, balancer: &LoadBalancer| {
        (names.is_empty() && arns.is_empty()) || names.contains(&name) || arns.contains(&balancer.arn.as_str())
    };
    let shown = world.load_balancers.iter().filter(|(name, b)| wanted(name, b));
    let shown = shown.map(|(name, balancer)| show_balancer(world, name, balancer)).collect();
    Ok(Paging::BALANCERS.answer("LoadBalancers", shown, input)?.into())
}

fn show_balancer(world: &World, name: &str, balancer: &LoadBalancer) -> Value {
    let zone = |id: &String| {
        let subnet = world.subnets.iter().find(|subnet| subnet["SubnetId"] == **id);
        let zone = subnet.and_then(|subnet| subnet["AvailabilityZone"].as_str()).unwrap_or_default();
        json!({"ZoneName": zone, "SubnetId": id, "LoadBalancerAddresses": []})
    };
    json!({
        "LoadBalancerArn": balancer.arn,
        "LoadBalancerName": name,
        "DNSName": balancer.dns_name,
        "CanonicalHostedZoneId": "Z00000000000000000000",
        "CreatedTime": balancer.created_at.to_string(),
        "Scheme": balancer.scheme,
        "VpcId": balancer.vpc_id,
        "State": {"Code": "active"},
        "Type": balancer.kind,
        "AvailabilityZones": balancer.subnets.iter().map(zone).collect::<Value>(),
        "SecurityGroups": balancer.security_groups,
        "IpAddressType": "ipv4",
    })
}

pub(super) fn target_groups(world: &World, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "TargetGroupArns"), texts(input, "Names"));
    let balancer = match text(input, "LoadBalancerArn") {
        None => None,
        Some(arn) => Some(world.load_balancers.values().find(|b| b.arn == arn).ok_or_else(no_balancer)?),
    };
    let absent = |asked: &&&str| !world.target_groups.iter().any(|(name, g)| name == **asked || g.arn == **asked);
    if names.iter().chain(&arns).any(|asked| absent(&asked)) {
        return Err(no_group());
    }
    let wanted = |name: &str, group: &TargetGroup| {
        ((names.is_empty() && arns.is_empty()) || names.contains(&name) || arns.contains(&group.arn.as_str()))
            && balancer.is_none_or(|balancer| balancer.forwards_to(&group.arn))
    };
    let shown = world.target_groups.iter().filter(|(name, group)| wanted(name, group));
    let shown = shown.map(|(name, group)| show_group(world, name, group)).collect();
    Ok(Paging::BALANCERS.answer("TargetGroups", shown, input)?.into())
}

pub(super) fn target_group_attributes(world: &World, input: &Value) -> Answer {
    let group = world.target_group(required(input, "TargetGroupArn")?).ok_or_else(no_group)?;
    let mut attributes: BTreeMap<&str, &str> = GROUP_ATTRIBUTES.into_iter().collect();
    attributes.extend(group.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let shown: Value = attributes.iter().map(|(name, value)| json!({"Key": name, "Value": value})).collect();
    Ok(json!({"Attributes": shown}).into())
}

pub(super) fn listeners(world: &World, input: &Value) -> Answer {
    let arns = texts(input, "ListenerArns");
    let of = text(input, "LoadBalancerArn");
    let balancers: Vec<&LoadBalancer> =
        world.load_balancers.values().filter(|b| of.is_none_or(|arn| b.arn == arn)).collect();
    if of.is_some() && balancers.is_empty() {
        return Err(no_balancer());
    }
    if of.is_none() && arns.is_empty() {
        return Err(rejected("ValidationError", "You must specify either listener ARNs or a load balancer ARN"));
    }
    let all = balancers.iter().flat_map(|balancer| balancer.listeners.iter().map(move |l| (*balancer, l)));
    let shown: Vec<Value> = all
        .filter(|(_, listener)| arns.is_empty() || arns.contains(&listener.arn.as_str()))
        .map(|(balancer, listener)| show_listener(balancer, listener))
        .collect();
    if shown.len() < arns.len() {
        return Err(no_listener());
    }
    Ok(Paging::BALANCERS.answer("Listeners", shown, input)?.into())
}

pub(super) fn rules(world: &World, input: &Value) -> Answer {
    let arns = texts(input, "RuleArns");
    let all = || world.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    let shown: Vec<Value> = match text(input, "ListenerArn") {
        Some(arn) => {
            let listener = all().find(|listener| listener.arn == arn).ok_or_else(no_listener)?;
            let mut rules: Vec<_> = listener.rules.iter().collect();
            rules.sort_by_key(|rule| rule.priority);
            rules.into_iter().map(show_rule).chain([show_default_rule(listener)]).collect()
        }
        None if arns.is_empty() => {
            return Err(rejected("ValidationError", "You must specify either listener rule ARNs or a listener ARN"));
        }
        None => all().flat_map(|l| l.rules.iter().map(show_rule).chain([show_default_rule(l)])).collect(),
    };
    let named = |rule: &Value| rule["RuleArn"].as_str().is_some_and(|arn| arns.contains(&arn));
    let shown: Vec<Value> = shown.into_iter().filter(|rule| arns.is_empty() || named(rule)).collect();
    if shown.len() < arns.len() {
        return Err(no_rule());
    }
    Ok(Paging::BALANCERS.answer("Rules", shown, input)?.into())
}

pub(super) fn tags(world: &World, input: &Value) -> Answer {
    at_most(items(input, "ResourceArns"), 20, "ResourceArns")?;
    let mut descriptions = Vec::new();
    for arn in texts(input, "ResourceArns") {
        let listeners = || world.load_balancers.values().flat_map(|balancer| &balancer.listeners);
        let (tags, error) = match arn {
            _ if arn.contains(":targetgroup/") => (world.target_group(arn).map(|g| &g.tags), no_group()),
            _ if arn.contains(":listener-rule/") => {
                let rule = listeners().flat_map(|listener| &listener.rules).find(|rule| rule.arn == arn);
                (rule.map(|rule| &rule.tags), no_rule())
            }
            _ if arn.contains(":listener/") => {
                (listeners().find(|listener| listener.arn == arn).map(|l| &l.tags), no_listener())
            }
            _ => (world.load_balancers.values().find(|b| b.arn == arn).map(|b| &b.tags), no_balancer()),
        };
        let tags = tags.ok_or(error)?;
        descriptions.push(json!({"ResourceArn": arn, "Tags": to_upper_tags(tags)}));
    }
    Ok(json!({"TagDescriptions": descriptions}).into())
}

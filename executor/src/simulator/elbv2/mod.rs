//! Application and network load balancers, target groups, listeners and rules.

mod changes;
mod reads;
mod registration;

use serde_json::{Map, Value, json};

use super::errors::{missing, unknown_operation};
use super::request::Answer;
use super::world::{Listener, LoadBalancer, Rule, TargetGroup, World};
use crate::cloud::CloudError;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "DescribeLoadBalancers" => reads::load_balancers(world, input),
        "DescribeTargetGroups" => reads::target_groups(world, input),
        "DescribeTargetGroupAttributes" => reads::target_group_attributes(world, input),
        "DescribeListeners" => reads::listeners(world, input),
        "DescribeRules" => reads::rules(world, input),
        "DescribeTags" => reads::tags(world, input),
        "DescribeTargetHealth" => registration::health(world, input),
        "RegisterTargets" => registration::register(world, input),
        "DeregisterTargets" => registration::deregister(world, input),
        "CreateTargetGroup" => changes::create_target_group(world, input),
        "ModifyTargetGroup" => changes::modify_target_group(world, input),
        "ModifyTargetGroupAttributes" => changes::modify_target_group_attributes(world, input),
        "DeleteTargetGroup" => changes::delete_target_group(world, input),
        "CreateRule" => changes::create_rule(world, input),
        "ModifyRule" => changes::modify_rule(world, input),
        "DeleteRule" => changes::delete_rule(world, input),
        "SetRulePriorities" => changes::set_priorities(world, input),
        "ModifyListener" => changes::modify_listener(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of elbv2."))),
    }
}

fn no_balancer() -> CloudError {
    missing("LoadBalancerNotFound", "One or more load balancers not found")
}

fn no_group() -> CloudError {
    missing("TargetGroupNotFound", "One or more target groups not found")
}

fn no_listener() -> CloudError {
    missing("ListenerNotFound", "One or more listeners not found")
}

fn no_rule() -> CloudError {
    missing("RuleNotFound", "One or more rules not found")
}

fn show_group(world: &World, name: &str, group: &TargetGroup) -> Value {
    let check = &group.health_check;
    let used = world.load_balancers.values().filter(|balancer| balancer.forwards_to(&group.arn));
    let mut shown = json!({
        "TargetGroupArn": group.arn,
        "TargetGroupName": name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc_id,
        "HealthCheckEnabled": true,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckIntervalSeconds": check.interval_seconds,
        "HealthCheckTimeoutSeconds": check.timeout_seconds,
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
        "LoadBalancerArns": used.map(|balancer| balancer.arn.clone()).collect::<Vec<_>>(),
        "TargetType": group.target_type,
        "IpAddressType": "ipv4",
    });
    if let Some(path) = &check.path {
        shown["HealthCheckPath"] = path.as_str().into();
    }
    if let Some(matcher) = &check.matcher {
        shown["Matcher"] = json!({"HttpCode": matcher});
    }
    if group.protocol.starts_with("HTTP") {
        shown["ProtocolVersion"] = "HTTP1".into();
    }
    shown
}

fn show_listener(balancer: &LoadBalancer, listener: &Listener) -> Value {
    let mut shown = json!({
        "ListenerArn": listener.arn,
        "LoadBalancerArn": balancer.arn,
        "Port": listener.port,
        "Protocol": listener.protocol,
        "DefaultActions": listener.default_actions,
    });
    if !listener.certificates.is_empty() {
        shown["Certificates"] = json!(listener.certificates);
    }
    shown
}

fn show_rule(rule: &Rule) -> Value {
    json!({
        "RuleArn": rule.arn, "Priority": rule.priority.to_string(), "Conditions": rule.conditions,
        "Actions": rule.actions, "IsDefault": false, "Transforms": [],
    })
}

/// The default rule.
fn show_default_rule(listener: &Listener) -> Value {
    json!({
        "RuleArn": listener.default_rule_arn(),
        "Priority": "default", "Conditions": [], "Actions": listener.default_actions, "IsDefault": true,
        "Transforms": [],
    })
}

/// Actions as AWS gives them back: a forward action names its target group both ways.
fn complete(actions: &[Value]) -> Vec<Value> {
    actions
        .iter()
        .cloned()
        .map(|mut action| {
            let single = action["TargetGroupArn"].as_str().map(str::to_owned);
            let Some(object) = action.as_object_mut() else { return action };
            object.entry("Order").or_insert_with(|| 1.into());
            if object.get("Type").is_some_and(|kind| kind == "forward") {
                complete_forward(object, single);
            }
            action
        })
        .collect()
}

fn complete_forward(action: &mut Map<String, Value>, single: Option<String>) {
    if let Some(arn) = single {
        action
            .entry("ForwardConfig")
            .or_insert_with(|| json!({"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}]}));
    }
    let Some(forward) = action.get_mut("ForwardConfig") else { return };
    if forward.get("TargetGroupStickinessConfig").is_none() {
        forward["TargetGroupStickinessConfig"] = json!({"Enabled": false});
    }
    let groups = forward["TargetGroups"].as_array_mut();
    let mut arns = Vec::new();
    for group in groups.into_iter().flatten() {
        if group.get("Weight").is_none() {
            group["Weight"] = 1.into();
        }
        arns.push(group["TargetGroupArn"].clone());
    }
    if let [only] = arns.as_slice() {
        let only = only.clone();
        action.entry("TargetGroupArn").or_insert(only);
    }
}

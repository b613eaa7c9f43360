//! Target groups, rules and listeners that change.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::{busy, rejected};
use super::super::request::{Answer, items, number, required, tags_of, text};
use super::super::world::{HealthCheck, Listener, Rule, TargetGroup, World};
use super::{complete, no_group, no_listener, no_rule, show_group, show_listener, show_rule};
use crate::cloud::CloudError;

pub(super) fn create_target_group(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "Name")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if name.len() > 32 || !name.bytes().all(legal) || name.starts_with('-') || name.ends_with('-') {
        let message = format!("Target group name '{name}' must be at most 32 letters, digits and inner hyphens");
        return Err(rejected("ValidationError", message));
    }
    let known = |vpc: &str| world.vpcs.iter().any(|known| known["VpcId"] == vpc);
    let vpc = text(input, "VpcId").ok_or_else(|| rejected("ValidationError", "A VPC ID is required"))?;
    if !known(vpc) {
        return Err(rejected("ValidationError", format!("The VPC ID '{vpc}' is not found")));
    }
    let setting = |member: &str, default: &str| text(input, member).unwrap_or(default).to_owned();
    let protocol = setting("Protocol", "HTTP");
    let http = protocol.starts_with("HTTP");
    let check_protocol = setting("HealthCheckProtocol", if http { "HTTP" } else { "TCP" });
    let checks_http = check_protocol.starts_with("HTTP");
    let count = |member: &str, default: u64| number(input, member).unwrap_or(default);
    let made = TargetGroup {
        arn: String::new(),
        protocol,
        port: count("Port", 80),
        vpc_id: vpc.to_owned(),
        target_type: setting("TargetType", "instance"),
        health_check: HealthCheck {
            port: setting("HealthCheckPort", "traffic-port"),
            path: checks_http.then(|| setting("HealthCheckPath", "/")),
            interval_seconds: count("HealthCheckIntervalSeconds", 30),
            timeout_seconds: count("HealthCheckTimeoutSeconds", if http { 5 } else { 10 }),
            healthy_threshold: count("HealthyThresholdCount", 5),
            unhealthy_threshold: count("UnhealthyThresholdCount", 2),
            matcher: checks_http.then(|| text(&input["Matcher"], "HttpCode").unwrap_or("200").to_owned()),
            protocol: check_protocol,
        },
        attributes: BTreeMap::new(),
        tags: tags_of(items(input, "Tags"), "Key", "Value"),
        targets: Vec::new(),
    };
    check_is_possible(&made)?;
    if let Some(existing) = world.target_groups.get(name) {
        let same = TargetGroup {
            arn: existing.arn.clone(),
            attributes: existing.attributes.clone(),
            tags: existing.tags.clone(),
            targets: existing.targets.clone(),
            ..made
        };
        if same != *existing {
            let message = format!("A target group with the same name '{name}' exists, but with different settings");
            return Err(rejected("DuplicateTargetGroupName", message));
        }
    } else {
        let id = world.count("targetGroup");
        let resource = format!("targetgroup/{name}/{id:016x}");
        let arn = format!("arn:{}:elasticloadbalancing:{}:{}:{resource}", world.partition, world.region, world.account);
        world.target_groups.insert(name.to_owned(), TargetGroup { arn, ..made });
    }
    let shown: Vec<Value> =
        world.target_groups.get(name).map(|group| show_group(world, name, group)).into_iter().collect();
    Ok(json!({"TargetGroups": shown}).into())
}

/// What AWS says to a health check that cannot be.
fn check_is_possible(group: &TargetGroup) -> Result<(), CloudError> {
    let check = &group.health_check;
    let refuse = |message: &str| Err(rejected("ValidationError", message.to_owned()));
    if check.timeout_seconds >= check.interval_seconds {
        return refuse("Health check interval must be greater than the timeout.");
    }
    if group.protocol.starts_with("HTTP") && !check.protocol.starts_with("HTTP") {
        return refuse("The health check protocol is not supported for the protocol of the target group");
    }
    if !check.protocol.starts_with("HTTP") && (check.path.is_some() || check.matcher.is_some()) {
        return refuse("Health check path and matcher are for HTTP and HTTPS health checks");
    }
    Ok(())
}

/// What is not named stays as it is.
pub(super) fn modify_target_group(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "TargetGroupArn")?.to_owned();
    let group = world.target_group_mut(&arn).ok_or_else(no_group)?;
    let mut changed = group.clone();
    let check = &mut changed.health_check;
    let set = |member: &str, to: &mut String| {
        if let Some(value) = text(input, member) {
            value.clone_into(to);
        }
    };
    let count = |member: &str, to: &mut u64| *to = number(input, member).unwrap_or(*to);
    set("HealthCheckProtocol", &mut check.protocol);
    set("HealthCheckPort", &mut check.port);
    count("HealthCheckIntervalSeconds", &mut check.interval_seconds);
    count("HealthCheckTimeoutSeconds", &mut check.timeout_seconds);
    count("HealthyThresholdCount", &mut check.healthy_threshold);
    count("UnhealthyThresholdCount", &mut check.unhealthy_threshold);
    let (path, codes) = (text(input, "HealthCheckPath"), text(&input["Matcher"], "HttpCode"));
    if check.protocol.starts_with("HTTP") {
        check.path = path.map(str::to_owned).or(check.path.take()).or_else(|| Some("/".to_owned()));
        check.matcher = codes.map(str::to_owned).or(check.matcher.take()).or_else(|| Some("200".to_owned()));
    } else {
        // A check that does not ask for anything forgets what it asked for.
        (check.path, check.matcher) = (path.map(str::to_owned), codes.map(str::to_owned));
    }
    check_is_possible(&changed)?;
    *group = changed;
    let shown = world.target_groups.iter().filter(|(_, group)| group.arn == arn);
    let shown: Vec<Value> = shown.map(|(name, group)| show_group(world, name, group)).collect();
    Ok(json!({"TargetGroups": shown}).into())
}

pub(super) fn modify_target_group_attributes(world: &mut World, input: &Value) -> Answer {
    let group = world.target_group_mut(required(input, "TargetGroupArn")?).ok_or_else(no_group)?;
    let mut attributes = group.attributes.clone();
    for attribute in items(input, "Attributes") {
        let (key, value) = (required(attribute, "Key")?, text(attribute, "Value").unwrap_or_default());
        if key == "deregistration_delay.timeout_seconds" && !value.parse::<u64>().is_ok_and(|delay| delay <= 3600) {
            let message = format!("The value '{value}' is not valid for '{key}': it is between 0 and 3600");
            return Err(rejected("ValidationError", message));
        }
        attributes.insert(key.to_owned(), value.to_owned());
    }
    group.attributes = attributes;
    Ok(json!({"Attributes": items(input, "Attributes")}).into())
}

pub(super) fn delete_target_group(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "TargetGroupArn")?;
    if world.load_balancers.values().any(|balancer| balancer.forwards_to(arn)) {
        let message = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(busy("ResourceInUse", message));
    }
    world.target_groups.retain(|_, group| group.arn != arn);
    Ok(json!({}).into())
}

fn find(world: &mut World, wanted: impl Fn(&Listener) -> bool) -> Option<&mut Listener> {
    let balancer = world.load_balancers.find_mut(|balancer| balancer.listeners.iter().any(&wanted))?;
    balancer.listeners.iter_mut().find(|listener| wanted(listener))
}

fn listener<'w>(world: &'w mut World, arn: &str) -> Result<&'w mut Listener, CloudError> {
    find(world, |listener| listener.arn == arn).ok_or_else(no_listener)
}

/// The listener that a rule belongs to.
fn listener_of_rule<'w>(world: &'w mut World, rule: &str) -> Result<&'w mut Listener, CloudError> {
    find(world, |listener| listener.rules.iter().any(|own| own.arn == rule)).ok_or_else(no_rule)
}

/// Refuses actions that forward to a target group that does not exist.
fn check_actions(world: &World, actions: &[Value]) -> Result<(), CloudError> {
    let groups = complete(actions);
    let named = groups.iter().flat_map(|action| items(&action["ForwardConfig"], "TargetGroups"));
    for group in named.filter_map(|group| text(group, "TargetGroupArn")) {
        world.target_group(group).ok_or_else(no_group)?;
    }
    Ok(())
}

fn priority_in_use(priority: u64) -> CloudError {
    rejected("PriorityInUse", format!("Priority '{priority}' is currently in use"))
}

/// Conditions as AWS gives them back: path patterns and host headers in both spellings.
fn complete_conditions(conditions: &[Value]) -> Vec<Value> {
    let spellings = [("path-pattern", "PathPatternConfig"), ("host-header", "HostHeaderConfig")];
    conditions
        .iter()
        .cloned()
        .map(|mut condition| {
            let spelling = spellings.iter().find(|(field, _)| condition["Field"] == *field);
            if let Some((_, config)) = spelling {
                if let Some(values) = condition.get("Values").cloned() {
                    if condition.get(*config).is_none() {
                        condition[*config] = json!({"Values": values});
                    }
                } else if let Some(values) = condition.pointer(&format!("/{config}/Values")).cloned() {
                    condition["Values"] = values;
                }
            }
            condition
        })
        .collect()
}

pub(super) fn create_rule(world: &mut World, input: &Value) -> Answer {
    check_actions(world, items(input, "Actions"))?;
    let arn = required(input, "ListenerArn")?;
    let priority = number(input, "Priority").unwrap_or(0);
    let id = world.counters.get("rule").copied().unwrap_or(0) + 1;
    let listener = listener(world, arn)?;
    if listener.rules.iter().any(|rule| rule.priority == priority) {
        return Err(priority_in_use(priority));
    }
    let rule = Rule {
        arn: format!("{}/{id:016x}", arn.replacen(":listener/", ":listener-rule/", 1)),
        priority,
        conditions: complete_conditions(items(input, "Conditions")),
        actions: complete(items(input, "Actions")),
        tags: tags_of(items(input, "Tags"), "Key", "Value"),
    };
    let shown = show_rule(&rule);
    listener.rules.push(rule);
    world.count("rule");
    Ok(json!({"Rules": [shown]}).into())
}

pub(super) fn modify_rule(world: &mut World, input: &Value) -> Answer {
    check_actions(world, items(input, "Actions"))?;
    let arn = required(input, "RuleArn")?;
    let listener = listener_of_rule(world, arn)?;
    let rule = listener.rules.iter_mut().find(|rule| rule.arn == arn).ok_or_else(no_rule)?;
    if input.get("Conditions").is_some() {
        rule.conditions = complete_conditions(items(input, "Conditions"));
    }
    if input.get("Actions").is_some() {
        rule.actions = complete(items(input, "Actions"));
    }
    Ok(json!({"Rules": [show_rule(rule)]}).into())
}

pub(super) fn delete_rule(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "RuleArn")?;
    if arn.ends_with("/0000000000000000") {
        return Err(rejected("OperationNotPermitted", "Default rule cannot be deleted"));
    }
    let listener = listener_of_rule(world, arn)?;
    listener.rules.retain(|rule| rule.arn != arn);
    Ok(json!({}).into())
}

/// All priorities of one call change together, so that rules can change places.
pub(super) fn set_priorities(world: &mut World, input: &Value) -> Answer {
    let pairs: Vec<(&str, u64)> = items(input, "RulePriorities")
        .iter()
        .filter_map(|pair| Some((text(pair, "RuleArn")?, number(pair, "Priority")?)))
        .collect();
    let mut shown = Vec::new();
    let Some((first, _)) = pairs.first() else { return Ok(json!({"Rules": []}).into()) };
    let listener = listener_of_rule(world, first)?;
    let mut rules = listener.rules.clone();
    for (arn, priority) in &pairs {
        let rule = rules.iter_mut().find(|rule| rule.arn == *arn).ok_or_else(no_rule)?;
        rule.priority = *priority;
        shown.push(show_rule(rule));
    }
    rules.sort_by_key(|rule| rule.priority);
    if let Some(twice) = rules.windows(2).find(|pair| pair[0].priority == pair[1].priority) {
        return Err(priority_in_use(twice[0].priority));
    }
    listener.rules = rules;
    Ok(json!({"Rules": shown}).into())
}

pub(super) fn modify_listener(world: &mut World, input: &Value) -> Answer {
    check_actions(world, items(input, "DefaultActions"))?;
    let arn = required(input, "ListenerArn")?;
    let changed = listener(world, arn)?;
    if let Some(port) = number(input, "Port") {
        changed.port = port;
    }
    if let Some(protocol) = text(input, "Protocol") {
        protocol.clone_into(&mut changed.protocol);
    }
    if input.get("DefaultActions").is_some() {
        changed.default_actions = complete(items(input, "DefaultActions"));
    }
    if input.get("Certificates").is_some() {
        changed.certificates = items(input, "Certificates").to_vec();
    }
    let owner = world.load_balancers.values().find_map(|b| Some((b, b.listeners.iter().find(|l| l.arn == arn)?)));
    let shown: Vec<Value> = owner.map(|(balancer, listener)| show_listener(balancer, listener)).into_iter().collect();
    Ok(json!({"Listeners": shown}).into())
}

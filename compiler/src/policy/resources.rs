//! Which resources a call touches, as ARNs: named where the plan names them, `*` where only the run knows.

use std::collections::BTreeSet;

use belay_schemas::aws::authorization::Reference;
use belay_schemas::plan::{Action, Plan};
use serde_json::Value;

/// What a plan says about names, for the steps of one component.
pub(super) struct Naming<'a> {
    plan: &'a Plan,
    /// Names of the ECS services that the component's calls name.
    services: BTreeSet<&'a str>,
    /// Families of the task definitions that they register.
    families: BTreeSet<&'a str>,
}

impl<'a> Naming<'a> {
    pub fn new(plan: &'a Plan, component: Option<&str>) -> Self {
        let (mut services, mut families) = (BTreeSet::new(), BTreeSet::new());
        for node in plan.nodes.iter().filter(|n| component.is_some() && n.component.as_deref() == component) {
            let inputs: Vec<&Value> = match &node.action {
                Action::Call { call, .. } | Action::Read { read: call, .. } => vec![&call.input],
                Action::Wait { wait } => wait.reads.iter().map(|read| &read.input).collect(),
                _ => Vec::new(),
            };
            for input in inputs {
                let one = ["service", "serviceName"].iter().filter_map(|name| input.get(*name)?.as_str());
                let many =
                    input.get("services").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                services.extend(one.chain(many).map(last));
                families.extend(input.get("family").and_then(Value::as_str));
            }
        }
        Self { plan, services, families }
    }

    /// The ARNs that an action is asked for with this input; `*` where the action takes none.
    pub fn resources(&self, known: &Reference, action: &str, input: &Value) -> BTreeSet<String> {
        let Some(taken) = known.action(action).filter(|a| !a.resources.is_empty()) else {
            return BTreeSet::from(["*".to_owned()]);
        };
        let patterns: Vec<&str> = taken.resources.keys().filter_map(|kind| known.arn(action, kind)).collect();
        // Each kind of load balancer has listeners and rules of its own: what the call names is of one of them.
        let named = |pattern: &&str| !literals(pattern, input).is_empty();
        let one = action.starts_with("elasticloadbalancing:") && patterns.iter().any(named);
        let mut out = BTreeSet::new();
        for pattern in patterns.into_iter().filter(|pattern| !one || named(pattern)) {
            out.extend(self.arns(pattern, input));
        }
        // Task definitions that a service names are authorised by condition keys, not by resource.
        if out.is_empty() { BTreeSet::from(["*".to_owned()]) } else { out }
    }

    fn arns(&self, pattern: &str, input: &Value) -> Vec<String> {
        let literal = literals(pattern, input);
        if !literal.is_empty() {
            return literal;
        }
        let mut arns = vec![String::new()];
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, next) = after.split_once('}').unwrap_or((after, ""));
            let values = self.values(name, input);
            arns =
                arns.iter().flat_map(|arn| values.iter().map(move |value| format!("{arn}{before}{value}"))).collect();
            rest = next;
        }
        arns.iter_mut().for_each(|arn| arn.push_str(rest));
        if pattern.ends_with(":log-group:${LogGroupName}") {
            // AWS asks for a group by the name of its streams, which the reference does not say.
            arns.extend(arns.clone().iter().map(|arn| format!("{arn}:*")));
        }
        arns
    }

    /// The values of a placeholder; `*` when the plan does not know them.
    fn values(&self, placeholder: &str, input: &Value) -> Vec<String> {
        let target = &self.plan.target;
        let any = || vec!["*".to_owned()];
        let from = |members: &[&str]| -> Vec<String> {
            let mut values: Vec<String> = Vec::new();
            for member in members {
                match input.get(*member) {
                    Some(Value::String(text)) => values.push(last(text).to_owned()),
                    Some(Value::Array(items)) => {
                        values.extend(items.iter().filter_map(Value::as_str).map(|text| last(text).to_owned()));
                        if items.iter().any(|item| !item.is_string()) {
                            values.push("*".to_owned());
                        }
                    }
                    _ => {}
                }
            }
            if values.is_empty() { any() } else { values }
        };
        match placeholder {
            "Partition" => vec![target.partition.clone()],
            "Region" => target.region.clone().map_or_else(any, |region| vec![region]),
            "Account" => target.account.clone().map_or_else(any, |account| vec![account]),
            "ClusterName" => match from(&["cluster", "clusters"]) {
                names if names == any() => target.cluster.clone().map_or_else(any, |cluster| vec![cluster]),
                names => names,
            },
            "ServiceName" => match from(&["service", "serviceName", "services"]) {
                names if names == any() && !self.services.is_empty() => {
                    self.services.iter().map(|name| (*name).to_owned()).collect()
                }
                names => names,
            },
            "TaskDefinitionFamilyName" => match from(&["family"]) {
                names if names == any() => {
                    let named = from(&["taskDefinition"]);
                    if named == any() && !self.families.is_empty() {
                        return self.families.iter().map(|family| (*family).to_owned()).collect();
                    }
                    named.iter().map(|name| name.split(':').next().unwrap_or("*").to_owned()).collect()
                }
                names => names,
            },
            "GroupFriendlyName" => from(&["AutoScalingGroupName", "AutoScalingGroupNames"]),
            "CapacityProviderName" => from(&["name", "capacityProvider", "capacityProviders"]),
            "LaunchConfigurationName" => from(&["LaunchConfigurationName", "LaunchConfigurationNames"]),
            "LaunchTemplateId" => from(&["LaunchTemplateId", "LaunchTemplateIds"]),
            "InstanceId" => from(&["InstanceIds"]),
            "RepositoryName" => match input.get("repositoryName").and_then(Value::as_str) {
                Some(name) => vec![name.to_owned()],
                None => any(),
            },
            "AlarmName" => from(&["AlarmName", "AlarmNames"]),
            "ScheduleName" | "TargetGroupName" => from(&["Name"]),
            "RuleName" => from(&["Rule", "Name"]),
            // Belay's rules are on the default bus.
            "EventBusName" => Vec::new(),
            "GroupName" => match input.get("GroupName").and_then(Value::as_str) {
                Some(name) => vec![name.to_owned()],
                None => vec!["default".to_owned()],
            },
            "LogGroupName" => from(&["logGroupName"]),
            // Of Route 53: a hosted zone, or a change that only the run knows.
            "Id" => from(&["HostedZoneId", "Id"]),
            "NamespaceId" => from(&["NamespaceId", "Id"]),
            "ServiceId" => from(&["ServiceId", "Id"]),
            "LoadBalancerName" => from(&["LoadBalancerName", "LoadBalancerNames"]),
            "BucketName" => from(&["Bucket"]),
            "ObjectName" => match input.get("Key").and_then(Value::as_str) {
                Some(key) => vec![key.to_owned()],
                None => any(),
            },
            _ => any(),
        }
    }
}

/// ARNs of this pattern that an input names.
fn literals(pattern: &str, input: &Value) -> Vec<String> {
    let mut literal = Vec::new();
    strings(input, &mut |text| {
        if text.starts_with("arn:") && fits(pattern, text) && !literal.contains(&text.to_owned()) {
            literal.push(text.to_owned());
        }
    });
    literal
}

/// A pattern of one name with the plan's target put in.
pub(super) fn filled(pattern: &str, plan: &Plan, name: &str) -> String {
    let target = &plan.target;
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let (placeholder, next) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(match placeholder {
            "Partition" => &target.partition,
            "Region" => target.region.as_deref().unwrap_or("*"),
            "Account" => target.account.as_deref().unwrap_or("*"),
            _ => name,
        });
        rest = next;
    }
    out + rest
}

/// The ARN of a role that is given by its name (a path may precede it) or as it is.
pub(super) fn role(plan: &Plan, role: &str) -> String {
    if role.starts_with("arn:") {
        return role.to_owned();
    }
    filled("arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", plan, role.trim_start_matches('/'))
}

/// The name at the end of an ARN; any other text as it is.
fn last(text: &str) -> &str {
    if text.starts_with("arn:") { text.rsplit('/').next().unwrap_or(text) } else { text }
}

/// Whether an ARN is one of a pattern: equal but for the placeholders, which hold no `/` and no `:`.
fn fits(pattern: &str, arn: &str) -> bool {
    let (mut pattern, mut arn) = (pattern, arn);
    loop {
        match pattern.split_once("${") {
            None => return pattern == arn,
            Some((before, after)) => {
                let Some(rest) = arn.strip_prefix(before) else { return false };
                pattern = after.split_once('}').map_or("", |(_, next)| next);
                let end = match pattern.chars().next() {
                    Some(stop) => rest.find(stop).unwrap_or(rest.len()),
                    None => rest.len(),
                };
                if pattern.is_empty() && rest.contains('/') {
                    return false;
                }
                arn = &rest[end..];
            }
        }
    }
}

fn strings(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, visit)),
        Value::Object(map) => map.values().for_each(|value| strings(value, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_fit_their_patterns() {
        let group = "arn:${Partition}:elasticloadbalancing:${Region}:${Account}:targetgroup/${TargetGroupName}/${TargetGroupId}";
        assert!(fits(group, "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/a/b"));
        assert!(!fits(group, "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/a/b"));
        let service = "arn:${Partition}:ecs:${Region}:${Account}:service/${ClusterName}/${ServiceName}";
        assert!(
            fits(service, "arn:aws:ecs:us-east-1:1:service/c/s")
                && !fits(service, "arn:aws:ecs:us-east-1:1:service/c/s/x")
        );
        assert_eq!(last("arn:aws:ecs:us-east-1:1:service/c/s"), "s");
    }
}

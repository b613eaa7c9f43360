//! The objects that a call is about: what a guard looks at and what a mutation writes.
//!
//! An object is a kind, the scope in which its name is unique (the cluster of a service) and a name. A call is about the
//! objects in the members listed in the table below; objects that it merely refers to (the roles, target groups and task
//! definitions of a service) are left out, and so are calls that the table does not know. Names are compared short: the
//! ARN of a service, a target group or a task definition counts as its name. A late value counts as its own text, so that
//! two calls about the answer of the same node meet; a chunk of `each` counts as the whole list that it is a part of.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::late::Late;
use crate::plan::Call;

/// One object that a call is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject<'p> {
    /// What kind of object: `ECS service`, `Auto Scaling group`.
    pub kind: &'static str,
    /// What its name is unique in; empty where that is the account.
    pub scope: Cow<'p, str>,
    /// Its short name, or the text of the late value that names it.
    pub name: Cow<'p, str>,
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

struct Member {
    service: &'static str,
    /// Operations whose name holds this word; empty for all of the service.
    within: &'static str,
    /// Members that name the object: a string or a list of strings.
    names: &'static [&'static str],
    /// The member that names the scope.
    scope: Option<&'static str>,
    kind: &'static str,
}

const fn member(
    service: &'static str,
    within: &'static str,
    names: &'static [&'static str],
    scope: Option<&'static str>,
    kind: &'static str,
) -> Member {
    Member { service, within, names, scope, kind }
}

const MEMBERS: &[Member] = &[
    member("ecs", "Service", &["service", "serviceName", "services"], Some("cluster"), "ECS service"),
    member("ecs", "TaskSet", &["service"], Some("cluster"), "ECS service"),
    member("ecs", "TaskDefinition", &["taskDefinition", "taskDefinitions"], None, "task definition"),
    member(
        "ecs",
        "ContainerInstance",
        &["containerInstance", "containerInstances"],
        Some("cluster"),
        "container instance",
    ),
    member("ecs", "StopTask", &["task"], Some("cluster"), "task"),
    member("ecs", "DescribeTasks", &["tasks"], Some("cluster"), "task"),
    member("ecs", "Cluster", &["cluster", "clusters", "clusterName"], None, "ECS cluster"),
    member("ecs", "CreateCapacityProvider", &["name"], None, "capacity provider"),
    member("ecs", "UpdateCapacityProvider", &["name"], None, "capacity provider"),
    member("ecs", "DeleteCapacityProvider", &["capacityProvider"], None, "capacity provider"),
    member("ecs", "DescribeCapacityProviders", &["capacityProviders"], None, "capacity provider"),
    member("autoscaling", "", &["AutoScalingGroupName", "AutoScalingGroupNames"], None, "Auto Scaling group"),
    member(
        "autoscaling",
        "LaunchConfiguration",
        &["LaunchConfigurationName", "LaunchConfigurationNames"],
        None,
        "launch configuration",
    ),
    member(
        "ec2",
        "LaunchTemplate",
        &["LaunchTemplateName", "LaunchTemplateNames", "LaunchTemplateId", "LaunchTemplateIds"],
        None,
        "launch template",
    ),
    member("ec2", "Instance", &["InstanceId", "InstanceIds"], None, "instance"),
    member("elbv2", "Target", &["TargetGroupArn", "TargetGroupArns", "Name", "Names"], None, "target group"),
    member("elbv2", "Rule", &["RuleArn", "RuleArns"], None, "listener rule"),
    member("elbv2", "Listener", &["ListenerArn", "ListenerArns"], None, "listener"),
    member("elbv2", "LoadBalancer", &["LoadBalancerArn", "LoadBalancerArns", "Name", "Names"], None, "load balancer"),
    member("elb", "", &["LoadBalancerName", "LoadBalancerNames"], None, "classic load balancer"),
    member("s3", "Object", &["Key"], Some("Bucket"), "S3 object"),
    member("application-autoscaling", "", &["ResourceId", "ResourceIds"], Some("ScalableDimension"), "scalable target"),
    member("cloudwatch", "Alarm", &["AlarmName", "AlarmNames"], None, "alarm"),
    member("events", "", &["Rule", "Name"], None, "event rule"),
    member("scheduler", "", &["Name"], Some("GroupName"), "schedule"),
    member("servicediscovery", "Namespace", &["Id"], None, "Cloud Map namespace"),
    member("servicediscovery", "Service", &["Id"], None, "Cloud Map service"),
    member("servicediscovery", "ListInstances", &["ServiceId"], None, "Cloud Map service"),
    member("logs", "", &["logGroupName"], None, "log group"),
];

/// The objects that a call is about, sorted. `over` is the list that `@each` is a chunk of, where there is one.
pub fn subjects<'p>(call: &'p Call, over: Option<&Value>) -> Vec<Subject<'p>> {
    let Value::Object(input) = &call.input else { return Vec::new() };
    let mut found = Vec::new();
    for row in MEMBERS {
        if row.service != call.service || !call.operation.contains(row.within) {
            continue;
        }
        if !row.names.iter().any(|name| input.contains_key(*name)) {
            continue;
        }
        let scope = scope(row, input);
        for value in row.names.iter().filter_map(|name| input.get(*name)) {
            let mut add = |value: &'p Value| {
                if let Some(name) = name(value, over) {
                    found.push(Subject { kind: row.kind, scope: scope.clone(), name });
                }
            };
            match value {
                Value::Array(list) => list.iter().for_each(&mut add),
                one => add(one),
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn scope<'p>(row: &Member, input: &'p Map<String, Value>) -> Cow<'p, str> {
    let Some(scope) = row.scope else { return Cow::default() };
    match input.get(scope).and_then(|value| name(value, None)) {
        Some(name) => name,
        // ECS takes the cluster `default` where a call names none.
        None if scope == "cluster" => Cow::Borrowed("default"),
        None => Cow::default(),
    }
}

fn name<'p>(value: &'p Value, over: Option<&Value>) -> Option<Cow<'p, str>> {
    if let Value::String(text) = value {
        return Some(short(text).into());
    }
    match Late::recognise(value) {
        Ok(Some(Late::Output { node: "@each", .. })) => over.map(|list| list.to_string().into()),
        // What another read of the same poll answers is known nowhere else.
        Ok(Some(Late::Output { node, .. })) if node.starts_with('@') => None,
        Ok(Some(_)) => Some(value.to_string().into()),
        Ok(None) | Err(_) => None,
    }
}

/// The name inside an ARN; any other text as it is.
pub fn short(text: &str) -> &str {
    if !text.starts_with("arn:") {
        return text;
    }
    let resource = text.splitn(6, ':').nth(5).unwrap_or(text);
    match resource.split_once('/') {
        // `targetgroup/NAME/HASH` and `loadbalancer/app/NAME/HASH`
        Some(("targetgroup", rest)) => rest.split('/').next().unwrap_or(rest),
        Some(("loadbalancer", rest)) => rest.split('/').nth(1).unwrap_or(rest),
        // Listeners and rules have no name but their whole path.
        Some(("listener" | "listener-rule", _)) => resource,
        Some((_, rest)) => rest.rsplit('/').next().unwrap_or(rest),
        None => resource,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(service: &str, operation: &str, input: Value) -> Vec<String> {
        let call = Call { service: service.into(), operation: operation.into(), input };
        subjects(&call, Some(&json!({"$output": "list", "path": "arns"})))
            .iter()
            .map(|s| format!("{}/{}/{}", s.kind, s.scope, s.name))
            .collect()
    }

    #[test]
    fn a_service_is_the_same_by_name_and_by_arn() {
        let by_name = of("ecs", "UpdateService", json!({"service": "shop_web", "taskDefinition": "shop_web:4"}));
        assert_eq!(by_name, ["ECS service/default/shop_web"]);
        let arn = "arn:aws:ecs:us-east-1:123456789012:service/default/shop_web";
        let cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default";
        assert_eq!(of("ecs", "DescribeServices", json!({"cluster": cluster, "services": [arn]})), by_name);
        assert_ne!(of("ecs", "DescribeServices", json!({"cluster": "other", "services": [arn]})), by_name);
    }

    #[test]
    fn what_a_call_refers_to_is_not_what_it_is_about() {
        let input = json!({"AutoScalingGroupName": "a", "LaunchConfigurationName": "c", "TargetGroupARNs": ["t"]});
        assert_eq!(of("autoscaling", "CreateAutoScalingGroup", input), ["Auto Scaling group//a"]);
        assert_eq!(
            of(
                "elbv2",
                "DescribeTargetHealth",
                json!({"TargetGroupArn": "arn:aws:elasticloadbalancing:r:1:targetgroup/t/0f"})
            ),
            of("elbv2", "CreateTargetGroup", json!({"Name": "t"}))
        );
    }

    #[test]
    fn a_chunk_is_the_list_that_it_is_cut_from() {
        let of_instances = |node: &str, path: &str| {
            of("ec2", "TerminateInstances", json!({"InstanceIds": {"$output": node, "path": path}}))
        };
        assert_eq!(of_instances("@each", "@"), of_instances("list", "arns"));
        assert_ne!(of_instances("@each", "@"), of_instances("other", "arns"));
        assert!(of_instances("@0", "arns").is_empty());
    }

    #[test]
    fn a_late_name_is_its_own_text() {
        let late = json!({"$output": "a", "path": "b"});
        assert_eq!(
            of("ecs", "DeregisterTaskDefinition", json!({"taskDefinition": late})),
            of("ecs", "DescribeTaskDefinition", json!({"taskDefinition": late}))
        );
    }
}

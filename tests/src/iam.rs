//! IAM as AWS enforces it, for the simulated AWS: what is asked for each call, and whether a policy allows it.
//!
//! Invariants: what is asked is written down here by hand, service by service, and shares nothing with the derivation of
//! policies; an operation that nobody wrote down fails the test instead of passing unasked; a denied call has no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use belay_executor::cloud::{Clock, Cloud, CloudError, ErrorKind};
use serde_json::Value;

/// One question to IAM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// Such as `ecs:UpdateService`.
    pub action: String,
    /// The ARN, or `*`.
    pub resource: String,
    /// Condition keys of the request.
    pub context: BTreeMap<String, String>,
}

/// Whether policy documents allow what is asked.
///
/// # Panics
/// On a part of a policy that is not known here.
pub fn allows(documents: &[Value], ask: &Ask) -> bool {
    let statements = documents.iter().flat_map(|document| list(&document["Statement"]));
    let texts =
        |value: &Value| list(value).into_iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>();
    statements.into_iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        texts(&statement["Action"]).iter().any(|action| like(action, &ask.action))
            && texts(&statement["Resource"]).iter().any(|resource| like(resource, &ask.resource))
            && meets(statement.get("Condition"), &ask.context)
    })
}

fn meets(condition: Option<&Value>, context: &BTreeMap<String, String>) -> bool {
    let Some(operators) = condition.map(members) else { return true };
    operators.iter().all(|(operator, keys)| {
        members(keys).iter().all(|(key, wanted)| {
            let wanted = list(wanted);
            let Some(value) = context.get(key) else { return false };
            wanted.iter().filter_map(|w| w.as_str()).any(|wanted| match operator.as_str() {
                // What has several values is asked once for each.
                "StringEquals" | "ForAllValues:StringEquals" => wanted == value,
                "ArnEquals" | "ArnLike" => like(wanted, value),
                other => panic!("the operator {other} is not known"),
            })
        })
    })
}

fn members(value: &Value) -> &serde_json::Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no map"))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Where the caller works.
#[derive(Debug, Clone)]
pub struct Account {
    /// Twelve digits.
    pub account: String,
    /// The region.
    pub region: String,
}

impl Account {
    fn arn(&self, service: &str, rest: &str) -> String {
        let region = if service == "iam" { "" } else { &self.region };
        format!("arn:aws:{service}:{region}:{}:{rest}", self.account)
    }

    /// What AWS asks IAM for a call.
    ///
    /// # Panics
    /// On an operation that is not written down.
    pub fn asks(&self, service: &str, operation: &str, input: &Value) -> Vec<Ask> {
        let mut asks = match service {
            "ecs" => self.ecs(operation, input),
            "autoscaling" => self.autoscaling(operation, input),
            "ec2" => self.ec2(operation, input),
            "elb" | "elbv2" if operation.starts_with("Describe") => {
                vec![ask("elasticloadbalancing", operation, "*")]
            }
            "application-autoscaling" if operation.starts_with("Describe") => {
                vec![ask("application-autoscaling", operation, "*")]
            }
            "application-autoscaling" => {
                let target = self.arn("application-autoscaling", "scalable-target/0ec51234567890abcdef");
                vec![ask("application-autoscaling", operation, &target)]
            }
            "logs" if operation == "DescribeLogGroups" => vec![ask("logs", operation, "*")],
            "logs" => {
                let group = input["logGroupName"].as_str().unwrap_or_default();
                let mut asks =
                    vec![ask("logs", operation, &self.arn("logs", &format!("log-group:{group}:log-stream:")))];
                if operation == "CreateLogGroup" && input["tags"].is_object() {
                    asks.push(ask("logs", "TagResource", &self.arn("logs", &format!("log-group:{group}"))));
                }
                asks
            }
            "cloudwatch" => {
                let mut names = strings(&input["AlarmNames"]);
                names.extend(input["AlarmName"].as_str().map(str::to_owned));
                let arn = |name: &String| self.arn("cloudwatch", &format!("alarm:{name}"));
                let mut asks: Vec<Ask> = names.iter().map(|name| ask("cloudwatch", operation, &arn(name))).collect();
                if input["AlarmNamePrefix"].is_string() {
                    asks.push(ask("cloudwatch", operation, "*"));
                }
                if operation == "PutMetricAlarm" && input["Tags"].is_array() {
                    asks.extend(names.iter().map(|name| ask("cloudwatch", "TagResource", &arn(name))));
                }
                asks
            }
            "scheduler" => {
                let group = input["GroupName"].as_str().unwrap_or("default");
                let name = input["Name"].as_str().unwrap_or_default();
                let mut asks =
                    vec![ask("scheduler", operation, &self.arn("scheduler", &format!("schedule/{group}/{name}")))];
                asks.extend(input["Target"]["RoleArn"].as_str().map(|role| self.pass(role, "scheduler.amazonaws.com")));
                asks
            }
            "route53" if operation == "ListHostedZonesByName" => vec![ask("route53", operation, "*")],
            "route53" if operation == "GetChange" => {
                let change = input["Id"].as_str().unwrap_or_default().trim_start_matches("/change/");
                vec![ask("route53", operation, &format!("arn:aws:route53:::change/{change}"))]
            }
            "route53" => {
                let zone = input["HostedZoneId"].as_str().or(input["Id"].as_str()).unwrap_or_default();
                let zone = ask("route53", operation, &format!("arn:aws:route53:::hostedzone/{zone}"));
                let changes = list(&input["ChangeBatch"]["Changes"]);
                let names = changes.iter().filter_map(|change| change["ResourceRecordSet"]["Name"].as_str());
                let names: BTreeSet<String> =
                    names.map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
                let named = names.into_iter().map(|name| {
                    let mut ask = zone.clone();
                    ask.context.insert("route53:ChangeResourceRecordSetsNormalizedRecordNames".to_owned(), name);
                    ask
                });
                let named: Vec<Ask> = named.collect();
                if named.is_empty() { vec![zone] } else { named }
            }
            "service-quotas" => vec![ask("servicequotas", operation, "*")],
            "events" => {
                let name = input["Rule"].as_str().or(input["Name"].as_str()).map(|n| format!("rule/{n}"));
                let named = name.map(|name| self.arn("events", &name));
                let rule = named.unwrap_or_else(|| input["ResourceARN"].as_str().unwrap_or_default().to_owned());
                let mut asks = vec![ask("events", operation, &rule)];
                if operation == "PutRule" && input["Tags"].is_array() {
                    asks.push(ask("events", "TagResource", &rule));
                }
                let targets = input["Targets"].as_array().into_iter().flatten();
                let roles = targets.filter_map(|target| target["RoleArn"].as_str());
                asks.extend(roles.map(|role| self.pass(role, "events.amazonaws.com")));
                asks
            }
            "elbv2" if operation.ends_with("TargetGroup") || operation.ends_with("TargetGroupAttributes") => {
                let named = input["Name"].as_str().map(|name| format!("targetgroup/{name}/0123456789abcdef"));
                let made = named.map(|group| self.arn("elasticloadbalancing", &group));
                let group = made.unwrap_or_else(|| input["TargetGroupArn"].as_str().unwrap_or_default().to_owned());
                let mut asks = vec![ask("elasticloadbalancing", operation, &group)];
                if operation == "CreateTargetGroup" {
                    let mut tag = ask("elasticloadbalancing", "AddTags", &group);
                    tag.context.insert("elasticloadbalancing:CreateAction".to_owned(), operation.to_owned());
                    asks.push(tag);
                }
                asks
            }
            "elbv2" => rules(operation, input),
            "servicediscovery" => self.cloud_map(operation, input),
            "sts" => Vec::new(),
            _ => panic!("nobody wrote down what is asked for {service} {operation}"),
        };
        let tagged = input["tags"].as_array().or(input["Tags"].as_array());
        for tag in tagged.into_iter().flatten() {
            let member = |names: [&str; 2]| names.iter().find_map(|n| tag[*n].as_str()).unwrap_or_default().to_owned();
            let (key, value) = (member(["key", "Key"]), member(["value", "Value"]));
            for one in &mut asks {
                one.context.insert(format!("aws:RequestTag/{key}"), value.clone());
            }
        }
        asks
    }

    fn ecs(&self, operation: &str, input: &Value) -> Vec<Ask> {
        let cluster = short(input["cluster"].as_str().unwrap_or("default")).to_owned();
        let service = |name: &str| match name.strip_prefix("arn:") {
            Some(_) => name.to_owned(),
            None => self.arn("ecs", &format!("service/{cluster}/{name}")),
        };
        let of_services = |names: Vec<String>| -> Vec<Ask> {
            names.iter().map(|name| ask("ecs", operation, &service(name))).collect()
        };
        // `arn:aws:ecs:R:A:service-deployment/CLUSTER/NAME/ID` is asked for itself and for its service.
        let of_parts = |arns: Vec<String>| -> Vec<Ask> {
            let parts = arns.iter().flat_map(|arn| {
                let names: Vec<&str> = arn.splitn(6, ':').nth(5).unwrap_or_default().split('/').collect();
                let of = self.arn("ecs", &format!("service/{}/{}", names[1], names[2]));
                [ask("ecs", operation, arn), ask("ecs", operation, &of)]
            });
            parts.collect()
        };
        let mut asks = match operation {
            "DescribeTaskDefinition" | "DeregisterTaskDefinition" => vec![ask("ecs", operation, "*")],
            "ListTasks" => vec![ask("ecs", operation, "*")],
            "DescribeClusters" => {
                let names = strings(&input["clusters"]);
                names
                    .iter()
                    .map(|n| ask("ecs", operation, &self.arn("ecs", &format!("cluster/{}", short(n)))))
                    .collect()
            }
            "PutClusterCapacityProviders" => {
                vec![ask("ecs", operation, &self.arn("ecs", &format!("cluster/{cluster}")))]
            }
            "CreateCapacityProvider"
            | "UpdateCapacityProvider"
            | "DeleteCapacityProvider"
            | "DescribeCapacityProviders" => {
                let mut names = strings(&input["capacityProviders"]);
                names.extend(["name", "capacityProvider"].iter().filter_map(|m| input[*m].as_str().map(str::to_owned)));
                let arn = |name: &String| self.arn("ecs", &format!("capacity-provider/{}", short(name)));
                names.iter().map(|name| ask("ecs", operation, &arn(name))).collect()
            }
            "ListContainerInstances" => {
                vec![ask("ecs", operation, &self.arn("ecs", &format!("cluster/{cluster}")))]
            }
            "DescribeContainerInstances" | "UpdateContainerInstancesState" => {
                let arn = |name: &String| self.arn("ecs", &format!("container-instance/{cluster}/{}", short(name)));
                let names = strings(&input["containerInstances"]);
                names.iter().map(|name| ask("ecs", operation, &arn(name))).collect()
            }
            "DescribeServices" => of_services(strings(&input["services"])),
            "CreateService" => of_services(vec![input["serviceName"].as_str().unwrap_or_default().to_owned()]),
            "UpdateService" | "DeleteService" | "ListServiceDeployments" => {
                of_services(vec![input["service"].as_str().unwrap_or_default().to_owned()])
            }
            "TagResource" | "UntagResource" => {
                vec![ask("ecs", operation, input["resourceArn"].as_str().unwrap_or_default())]
            }
            "DescribeServiceDeployments" => of_parts(strings(&input["serviceDeploymentArns"])),
            "DescribeServiceRevisions" => of_parts(strings(&input["serviceRevisionArns"])),
            "StopServiceDeployment" => of_parts(strings(&input["serviceDeploymentArn"])),
            "DescribeTasks" => {
                let names = strings(&input["tasks"]);
                let arn = |name: &String| self.arn("ecs", &format!("task/{cluster}/{}", short(name)));
                names.iter().map(|name| ask("ecs", operation, &arn(name))).collect()
            }
            "StopTask" => {
                let task = input["task"].as_str().unwrap_or_default();
                vec![ask("ecs", operation, &self.arn("ecs", &format!("task/{cluster}/{}", short(task))))]
            }
            "RunTask" => {
                let definition = short(input["taskDefinition"].as_str().unwrap_or_default()).to_owned();
                vec![ask("ecs", operation, &self.arn("ecs", &format!("task-definition/{definition}")))]
            }
            "RegisterTaskDefinition" => {
                let family = input["family"].as_str().unwrap_or_default();
                vec![ask("ecs", operation, &self.arn("ecs", &format!("task-definition/{family}:*")))]
            }
            _ => panic!("nobody wrote down what is asked for ecs {operation}"),
        };
        for one in &mut asks {
            one.context.insert("ecs:cluster".to_owned(), self.arn("ecs", &format!("cluster/{cluster}")));
        }
        if operation != "TagResource" && input["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
            let on = match operation {
                "RunTask" => self.arn("ecs", &format!("task/{cluster}/*")),
                _ => asks[0].resource.clone(),
            };
            let mut tag = ask("ecs", "TagResource", &on);
            tag.context.insert("ecs:CreateAction".to_owned(), operation.to_owned());
            asks.push(tag);
        }
        let to = if operation == "RegisterTaskDefinition" { "ecs-tasks.amazonaws.com" } else { "ecs.amazonaws.com" };
        for name in ["taskRoleArn", "executionRoleArn", "role"] {
            asks.extend(input[name].as_str().map(|role| self.pass(role, to)));
        }
        let balancers = input["loadBalancers"].as_array().into_iter().flatten();
        let shifting = balancers.filter_map(|balancer| balancer["advancedConfiguration"]["roleArn"].as_str());
        asks.extend(shifting.map(|role| self.pass(role, to)));
        asks
    }

    fn pass(&self, role: &str, to: &str) -> Ask {
        let arn = if role.starts_with("arn:") { role.to_owned() } else { self.arn("iam", &format!("role/{role}")) };
        let mut pass = ask("iam", "PassRole", &arn);
        pass.context.insert("iam:PassedToService".to_owned(), to.to_owned());
        pass
    }

    fn autoscaling(&self, operation: &str, input: &Value) -> Vec<Ask> {
        if operation.starts_with("Describe") {
            return vec![ask("autoscaling", operation, "*")];
        }
        let named = |kind: &str, name: &str| {
            self.arn("autoscaling", &format!("{kind}:11111111-2222-3333-4444-555555555555:{kind}Name/{name}"))
        };
        if let Some(name) = input["LaunchConfigurationName"].as_str().filter(|_| operation.contains("LaunchConfig")) {
            let mut asks = vec![ask("autoscaling", operation, &named("launchConfiguration", name))];
            asks.extend(input["IamInstanceProfile"].as_str().map(|name| self.pass(name, "ec2.amazonaws.com")));
            return asks;
        }
        let tagged = || input["Tags"][0]["ResourceId"].as_str();
        let Some(name) = input["AutoScalingGroupName"].as_str().or_else(tagged) else {
            panic!("nobody wrote down what is asked for autoscaling {operation}");
        };
        let mut asks = vec![ask("autoscaling", operation, &named("autoScalingGroup", name))];
        if operation == "CreateAutoScalingGroup" && input["Tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
            asks.push(ask("autoscaling", "CreateOrUpdateTags", &asks[0].resource.clone()));
        }
        // The template says what is launched; here it is enough that something is, and that it is tagged.
        if !input["LaunchTemplate"].is_null() || !input["MixedInstancesPolicy"].is_null() {
            for kind in ["instance/*", "volume/*", "network-interface/*", "subnet/subnet-1", "launch-template/lt-1"] {
                let mut run = ask("ec2", "RunInstances", &self.arn("ec2", kind));
                run.context.insert("ec2:LaunchTemplate".to_owned(), self.arn("ec2", "launch-template/lt-1"));
                asks.push(run);
            }
            let mut tag = ask("ec2", "CreateTags", &self.arn("ec2", "instance/*"));
            tag.context.insert("ec2:CreateAction".to_owned(), "RunInstances".to_owned());
            asks.push(tag);
        }
        asks
    }

    /// Cloud Map's lists are asked for as a whole.
    fn cloud_map(&self, operation: &str, input: &Value) -> Vec<Ask> {
        let named = |kind: &str| {
            self.arn("servicediscovery", &format!("{kind}/{}", short(input["Id"].as_str().unwrap_or("*"))))
        };
        match operation {
            "ListNamespaces" | "ListServices" | "ListTagsForResource" => vec![ask("servicediscovery", operation, "*")],
            "CreateService" => {
                let namespace = input["NamespaceId"].as_str().unwrap_or("*");
                let on = [format!("namespace/{namespace}"), "service/*".to_owned()];
                let mut asks: Vec<Ask> =
                    on.iter().map(|on| ask("servicediscovery", operation, &self.arn("servicediscovery", on))).collect();
                asks.push(ask("servicediscovery", "TagResource", "*"));
                asks
            }
            "GetService" | "UpdateService" | "DeleteService" => {
                vec![ask("servicediscovery", operation, &named("service"))]
            }
            "ListInstances" => {
                let id = short(input["ServiceId"].as_str().unwrap_or("*"));
                vec![ask("servicediscovery", operation, &self.arn("servicediscovery", &format!("service/{id}")))]
            }
            "GetNamespace" => vec![ask("servicediscovery", operation, &named("namespace"))],
            _ => panic!("nobody wrote down what is asked for servicediscovery {operation}"),
        }
    }

    fn ec2(&self, operation: &str, input: &Value) -> Vec<Ask> {
        match operation {
            _ if operation.starts_with("Describe") => vec![ask("ec2", operation, "*")],
            "CreateLaunchTemplate"
            | "CreateLaunchTemplateVersion"
            | "DeleteLaunchTemplate"
            | "ModifyLaunchTemplate" => {
                let template =
                    self.arn("ec2", &format!("launch-template/{}", input["LaunchTemplateId"].as_str().unwrap_or("*")));
                let mut asks = vec![ask("ec2", operation, &template)];
                if input["TagSpecifications"].is_array() {
                    let mut tag = ask("ec2", "CreateTags", &template);
                    tag.context.insert("ec2:CreateAction".to_owned(), operation.to_owned());
                    asks.push(tag);
                }
                let profile = &input["LaunchTemplateData"]["IamInstanceProfile"];
                let profile = profile["Name"].as_str().or(profile["Arn"].as_str());
                asks.extend(profile.map(|name| self.pass(short(name), "ec2.amazonaws.com")));
                asks
            }
            "TerminateInstances" => {
                let ids = strings(&input["InstanceIds"]);
                ids.iter().map(|id| ask("ec2", operation, &self.arn("ec2", &format!("instance/{id}")))).collect()
            }
            _ => panic!("nobody wrote down what is asked for ec2 {operation}"),
        }
    }
}

/// Rules of listeners.
fn rules(operation: &str, input: &Value) -> Vec<Ask> {
    let on = |arn: &Value| ask("elasticloadbalancing", operation, arn.as_str().unwrap_or_default());
    match operation {
        "CreateRule" => {
            let create = on(&input["ListenerArn"]);
            let rule = create.resource.replace(":listener/", ":listener-rule/");
            let mut tag = ask("elasticloadbalancing", "AddTags", &format!("{rule}/0123456789abcdef"));
            tag.context.insert("elasticloadbalancing:CreateAction".to_owned(), operation.to_owned());
            vec![create, tag]
        }
        "ModifyRule" | "DeleteRule" => vec![on(&input["RuleArn"])],
        "ModifyListener" => vec![on(&input["ListenerArn"])],
        "SetRulePriorities" => list(&input["RulePriorities"]).iter().map(|rule| on(&rule["RuleArn"])).collect(),
        _ => panic!("nobody wrote down what is asked for elbv2 {operation}"),
    }
}

fn ask(prefix: &str, operation: &str, resource: &str) -> Ask {
    Ask { action: format!("{prefix}:{operation}"), resource: resource.to_owned(), context: BTreeMap::new() }
}

fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn strings(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A cloud whose caller may do what policies say.
pub struct Guarded<C> {
    inner: C,
    account: Account,
    documents: Vec<Value>,
    asked: Mutex<BTreeSet<Ask>>,
    denied: Mutex<Vec<Ask>>,
}

impl<C> Guarded<C> {
    /// Enforces policies.
    pub fn new(inner: C, account: Account, documents: Vec<Value>) -> Self {
        Self { inner, account, documents, asked: Mutex::default(), denied: Mutex::default() }
    }

    /// What is inside.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// Everything that was asked.
    pub fn asked(&self) -> BTreeSet<Ask> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was denied, in order.
    pub fn denied(&self) -> Vec<Ask> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl<C: Cloud> Cloud for Guarded<C> {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        if belay_schemas::aws::operation(service, operation).is_ok() {
            for ask in self.account.asks(service, operation, input) {
                self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(ask.clone());
                if !allows(&self.documents, &ask) {
                    let message = format!(
                        "User: arn:aws:sts::{}:assumed-role/deploy/ci is not authorized to perform: {} on resource: {} because no identity-based policy allows the {} action",
                        self.account.account, ask.action, ask.resource, ask.action
                    );
                    self.denied.lock().unwrap_or_else(PoisonError::into_inner).push(ask);
                    return Err(CloudError::new(ErrorKind::Rejected, "AccessDeniedException", message));
                }
            }
        }
        self.inner.call(service, operation, input).await
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        self.inner.image_digest(image).await
    }

    async fn settle(&self) -> Result<(), CloudError> {
        self.inner.settle().await
    }
}

#[async_trait]
impl<C: Clock> Clock for Guarded<C> {
    fn now(&self) -> u64 {
        self.inner.now()
    }

    async fn wait_until(&self, at: u64) {
        self.inner.wait_until(at).await;
    }

    fn is_virtual(&self) -> bool {
        self.inner.is_virtual()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_is_read_as_aws_reads_it() {
        let policy = [json!({"Statement": [
            {"Effect": "Allow", "Action": ["ecs:UpdateService"], "Resource": ["arn:aws:ecs:r:1:service/c/shop_*"]},
            {"Effect": "Allow", "Action": "ecs:ListTasks", "Resource": "*",
             "Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:r:1:cluster/c"}}},
        ]})];
        let one = |operation: &str, resource: &str| ask("ecs", operation, resource);
        assert!(allows(&policy, &one("UpdateService", "arn:aws:ecs:r:1:service/c/shop_web")));
        assert!(!allows(&policy, &one("UpdateService", "arn:aws:ecs:r:1:service/c/blog_web")));
        assert!(!allows(&policy, &one("UpdateService", "*")), "a pattern is not everything");
        assert!(!allows(&policy, &one("DeleteService", "arn:aws:ecs:r:1:service/c/shop_web")));
        let mut tasks = one("ListTasks", "*");
        assert!(!allows(&policy, &tasks), "a key that is not in the request meets no condition");
        for (cluster, expected) in [("arn:aws:ecs:r:1:cluster/c", true), ("arn:aws:ecs:r:1:cluster/d", false)] {
            tasks.context.insert("ecs:cluster".to_owned(), cluster.to_owned());
            assert_eq!(allows(&policy, &tasks), expected);
        }
    }
}

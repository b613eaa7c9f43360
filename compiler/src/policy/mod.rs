//! The least IAM policy under which a plan runs, forward and back.
//!
//! Invariants: every call, read, wait, guard, probe and compensation of the plan is allowed; nothing else is. A resource
//! is named as far as the plan knows it; what only the run knows stands as `*` within the narrowest ARN. A policy keeps
//! to IAM's limit for managed policies: what does not fit is split into several.

mod launches;
mod resources;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::aws::authorization::{Reference, reference};
use belay_schemas::plan::{Action, Call, Plan};
use serde_json::{Map, Value, json};

pub use launches::{Roles, equipments};
use resources::Naming;

/// Characters of a managed policy, white space not counted (IAM quotas, "Managed policy size").
pub const LIMIT: usize = 6_144;

/// Names that a statement lists before their common beginning stands for them.
const LISTED: usize = 40;

/// The policies of a plan, and what there is to know about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    /// One, or several when one would be too large; all of them are needed.
    pub documents: Vec<Value>,
    /// For people, a line each.
    pub notes: Vec<String>,
}

/// What is allowed: an action under a condition, on resources.
type Allowed = BTreeMap<(String, String), BTreeSet<String>>;

/// Derives the policies of a plan; `roles` are those behind its instance profiles, as far as somebody knows them.
pub fn policies(plan: &Plan, roles: &Roles) -> Policies {
    let mut allowed = Allowed::new();
    let mut notes = BTreeSet::new();
    let known = reference();
    // What the run asks for first of all: who it is. That needs no permission.
    for node in &plan.nodes {
        let naming = Naming::new(plan, node.component.as_deref());
        for call in calls(node) {
            allow(known, plan, &naming, call, &mut allowed, &mut notes);
            launches::allow(plan, call, roles, &mut allowed, &mut notes);
        }
    }
    for resources in allowed.values_mut() {
        if resources.len() > LISTED {
            let before = resources.len();
            *resources = shortened(resources);
            notes.insert(format!("{before} resources of one statement are named by their common beginnings"));
        }
    }
    let documents = documents(statements(allowed));
    if documents.len() > 1 {
        let count = documents.len();
        notes.insert(format!("one policy may have {LIMIT} characters: these are {count} that belong together"));
    }
    Policies { documents, notes: notes.into_iter().collect() }
}

/// Every call that a node may make, on any way.
fn calls(node: &belay_schemas::plan::Node) -> Vec<&Call> {
    let mut calls: Vec<&Call> = Vec::new();
    match &node.action {
        Action::Call { call, .. } | Action::Read { read: call, .. } => calls.push(call),
        Action::Wait { wait } => {
            calls.extend(&wait.reads);
            calls.extend(wait.evidence.iter().flat_map(|evidence| &evidence.reads));
        }
        _ => {}
    }
    calls.extend(node.guards.iter().map(|guard| &guard.read));
    calls.extend(node.probe.iter().map(|probe| &probe.read));
    calls.extend(node.undo.iter().filter_map(|case| case.when.as_ref()).map(|when| &when.read));
    calls
}

fn allow(
    known: &Reference,
    plan: &Plan,
    naming: &Naming<'_>,
    call: &Call,
    allowed: &mut Allowed,
    notes: &mut BTreeSet<String>,
) {
    let name = match known.operation(&call.service, &call.operation) {
        Some(Some(name)) => name.to_owned(),
        Some(None) => return,
        None => {
            notes.insert(format!(
                "nothing is known of {} {}: it is allowed on everything",
                call.service, call.operation
            ));
            format!("{}:{}", call.service, call.operation)
        }
    };
    let condition = condition(known, plan, &name, call);
    let resources = match is_of_cluster(&name, call) {
        true => BTreeSet::from(["*".to_owned()]),
        false => naming.resources(known, &name, &call.input),
    };
    allowed.entry((name.clone(), condition)).or_default().extend(resources.iter().cloned());
    if call.service == "logs" && call.input.get("tags").is_some() {
        allowed.entry(("logs:TagResource".to_owned(), String::new())).or_default().extend(resources.iter().cloned());
    }
    if !tags(&call.input).is_empty() {
        tagging(known, &name, call, naming, &resources, allowed);
    }
    passed(plan, call, allowed);
}

/// Whether a call is authorised by its cluster alone. The reference says that `ListTasks` takes a container instance;
/// but where the call names none, AWS asks for `*`, and only the condition key `ecs:cluster` narrows it.
fn is_of_cluster(name: &str, call: &Call) -> bool {
    name == "ecs:ListTasks" && call.input.get("containerInstance").is_none()
}

/// Conditions that narrow what cannot be narrowed by a resource, as JSON.
fn condition(known: &Reference, plan: &Plan, name: &str, call: &Call) -> String {
    let Some(action) = known.action(name) else { return String::new() };
    let mut condition = Map::new();
    let takes = |key: &str| action.conditions.iter().any(|known| known == key);
    let names_nothing = action.resources.is_empty() || is_of_cluster(name, call);
    if let (true, true, Some(cluster)) = (names_nothing, takes("ecs:cluster"), &plan.target.cluster) {
        let arn = resources::filled("arn:${Partition}:ecs:${Region}:${Account}:cluster/${ClusterName}", plan, cluster);
        condition.insert("ArnEquals".to_owned(), json!({ "ecs:cluster": arn }));
    }
    // What is created carries the project's tag, or is not created.
    if takes("aws:RequestTag/${TagKey}") && call.service == "ecs" {
        let project = tags(&call.input).into_iter().find(|(key, _)| key.ends_with(":project"));
        if let Some((key, Value::String(value))) = project {
            condition.insert("StringEquals".to_owned(), json!({ format!("aws:RequestTag/{key}"): value }));
        }
    }
    // Of a zone, only the records that the plan is about.
    if name == "route53:ChangeResourceRecordSets" {
        let changes = call.input.pointer("/ChangeBatch/Changes").and_then(Value::as_array).into_iter().flatten();
        let names = changes.filter_map(|change| change.pointer("/ResourceRecordSet/Name")?.as_str());
        let names: BTreeSet<String> = names.map(crate::ecs::records::plain).collect();
        let key = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
        condition.insert("ForAllValues:StringEquals".to_owned(), json!({ key: names }));
    }
    if condition.is_empty() { String::new() } else { Value::Object(condition).to_string() }
}

/// `tags` of an input, whatever the service calls their members.
fn tags(input: &Value) -> Vec<(String, &Value)> {
    let lists = ["tags", "Tags", "TagSpecifications"].into_iter().filter_map(|name| input.get(name)?.as_array());
    let specified = |tag: &Value| tag.get("Tags").is_some();
    lists
        .flatten()
        .filter_map(|tag| {
            if specified(tag) {
                return Some((String::new(), tag));
            }
            let key = tag.get("key").or_else(|| tag.get("Key"))?.as_str()?;
            Some((key.to_owned(), tag.get("value").or_else(|| tag.get("Value"))?))
        })
        .collect()
}

/// Creating something with tags asks for the permission to tag it as well.
fn tagging(
    known: &Reference,
    name: &str,
    call: &Call,
    naming: &Naming<'_>,
    resources: &BTreeSet<String>,
    allowed: &mut Allowed,
) {
    let (action, key) = match call.service.as_str() {
        "ecs" => ("ecs:TagResource", Some("ecs:CreateAction")),
        "ec2" => ("ec2:CreateTags", Some("ec2:CreateAction")),
        "autoscaling" => ("autoscaling:CreateOrUpdateTags", None),
        "cloudwatch" => ("cloudwatch:TagResource", None),
        "events" => ("events:TagResource", None),
        "elbv2" => ("elasticloadbalancing:AddTags", Some("elasticloadbalancing:CreateAction")),
        "servicediscovery" => ("servicediscovery:TagResource", None),
        _ => return,
    };
    if action == name {
        return;
    }
    let operation = name.split_once(':').map_or(name, |(_, operation)| operation);
    let condition = key.map_or(String::new(), |key| json!({"StringEquals": {key: operation}}).to_string());
    let mut on: BTreeSet<String> = resources.iter().filter(|arn| *arn != "*").cloned().collect();
    if call.service == "elbv2" {
        // A rule is tagged by its own name, which begins with that of its listener; a target group by its own one.
        let rule = |arn: &String| format!("{}/*", arn.replacen(":listener/", ":listener-rule/", 1));
        let rules = on.iter().filter(|arn| arn.contains(":listener/")).map(rule);
        on = rules.chain(on.iter().filter(|arn| arn.contains(":targetgroup/")).cloned()).collect();
    }
    if name == "ecs:RunTask" {
        // What is tagged is the task, not the definition that the action is authorised by.
        on = naming.resources(known, "ecs:StopTask", &call.input);
    }
    // Cloud Map is asked without a resource.
    if on.is_empty() || call.service == "servicediscovery" {
        on = naming.resources(known, action, &call.input);
    }
    allowed.entry((action.to_owned(), condition)).or_default().extend(on);
}

/// Roles that a call hands to a service.
fn passed(plan: &Plan, call: &Call, allowed: &mut Allowed) {
    let service = match (call.service.as_str(), call.operation.as_str()) {
        ("ecs", "RegisterTaskDefinition") => "ecs-tasks.amazonaws.com",
        ("ecs", "CreateService" | "UpdateService" | "RunTask") => "ecs.amazonaws.com",
        ("scheduler", "CreateSchedule" | "UpdateSchedule") => "scheduler.amazonaws.com",
        ("events", "PutTargets") => "events.amazonaws.com",
        _ => return,
    };
    let named = ["/executionRoleArn", "/taskRoleArn", "/role", "/Target/RoleArn"].map(|at| call.input.pointer(at));
    let volumes = call.input.get("volumeConfigurations").and_then(Value::as_array).into_iter().flatten();
    let volumes = volumes.map(|volume| volume.pointer("/managedEBSVolume/roleArn"));
    let balancers = call.input.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
    let balancers = balancers.map(|balancer| balancer.pointer("/advancedConfiguration/roleArn"));
    let targets = call.input.get("Targets").and_then(Value::as_array).into_iter().flatten();
    let targets = targets.map(|target| target.get("RoleArn"));
    for role in named.into_iter().chain(volumes).chain(balancers).chain(targets).flatten().filter_map(Value::as_str) {
        let arn = resources::role(plan, role);
        let condition = json!({"StringEquals": {"iam:PassedToService": service}}).to_string();
        allowed.entry(("iam:PassRole".to_owned(), condition)).or_default().insert(arn);
    }
}

/// Many ARNs by their common beginnings: names up to their last `_`, `-` or `/`.
fn shortened(resources: &BTreeSet<String>) -> BTreeSet<String> {
    let begin = |arn: &String| {
        let end = arn.rfind('/').map_or(0, |at| at + 1);
        let name = &arn[end..];
        let cut = name.find(['_', '-']).map_or(0, |at| at + 1);
        format!("{}*", &arn[..end + cut])
    };
    resources.iter().map(begin).collect()
}

/// Statements: actions with equal resources and conditions stand together.
fn statements(allowed: Allowed) -> Vec<Value> {
    let mut grouped: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for ((action, condition), resources) in allowed {
        grouped.entry((condition, resources.into_iter().collect())).or_default().push(action);
    }
    let statement = |((condition, resources), actions): ((String, Vec<String>), Vec<String>)| {
        let mut statement = json!({"Effect": "Allow", "Action": actions, "Resource": resources});
        if let (Ok(condition), Some(map)) = (serde_json::from_str::<Value>(&condition), statement.as_object_mut()) {
            map.insert("Condition".to_owned(), condition);
        }
        statement
    };
    grouped.into_iter().map(statement).collect()
}

/// As few documents as fit, statements in order; a statement that alone is too large is split by its resources.
fn documents(statements: Vec<Value>) -> Vec<Value> {
    let size = |statements: &[Value]| document(statements).to_string().chars().filter(|c| !c.is_whitespace()).count();
    let mut parts: Vec<Value> = Vec::new();
    for statement in statements {
        let resources = statement.get("Resource").and_then(Value::as_array).cloned().unwrap_or_default();
        if size(std::slice::from_ref(&statement)) <= LIMIT || resources.len() < 2 {
            parts.push(statement);
            continue;
        }
        for some in resources.chunks(LISTED) {
            let mut part = statement.clone();
            part["Resource"] = Value::Array(some.to_vec());
            parts.push(part);
        }
    }
    let mut documents: Vec<Vec<Value>> = vec![Vec::new()];
    for part in parts {
        if let Some(last) = documents.last_mut() {
            last.push(part);
            if last.len() > 1 && size(last) > LIMIT {
                let part = last.pop();
                documents.push(part.into_iter().collect());
            }
        }
    }
    documents.iter().filter(|d| !d.is_empty()).map(|statements| document(statements)).collect()
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

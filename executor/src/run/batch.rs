//! Reads that several workers ask for at the same moment, made as one call where the API takes a list.
//!
//! Invariants: everybody gets exactly the answer that a call of its own would have given; a joint call that is refused
//! is made again one by one, because one name may spoil it for all; only where nobody may read, nobody asks again.

use std::collections::BTreeMap;

use belay_schemas::checker::subject::short;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::port::{Nap, Task};
use super::read::is_access;
use super::state::Halt;
use crate::cloud::{CloudError, ErrorKind};

pub(super) type Answer = Result<Result<Value, CloudError>, Halt>;

/// An operation that takes a list of names and answers a list of what they name.
struct Joint {
    service: &'static str,
    operation: &'static str,
    /// The input's list.
    names: &'static str,
    /// The answer's list.
    items: &'static str,
    /// Members of an item that name it.
    keys: &'static [&'static str],
    /// Names a call.
    most: usize,
}

const JOINT: [Joint; 5] = [
    joint("DescribeServices", "services", "services", &["serviceArn", "serviceName"], 10),
    joint("DescribeTasks", "tasks", "tasks", &["taskArn"], 100),
    joint("DescribeServiceDeployments", "serviceDeploymentArns", "serviceDeployments", &["serviceDeploymentArn"], 20),
    joint("DescribeServiceRevisions", "serviceRevisionArns", "serviceRevisions", &["serviceRevisionArn"], 20),
    Joint {
        service: "autoscaling",
        operation: "DescribeAutoScalingGroups",
        names: "AutoScalingGroupNames",
        items: "AutoScalingGroups",
        keys: &["AutoScalingGroupName", "AutoScalingGroupARN"],
        most: 50,
    },
];

const fn joint(
    operation: &'static str,
    names: &'static str,
    items: &'static str,
    keys: &'static [&'static str],
    most: usize,
) -> Joint {
    Joint { service: "ecs", operation, names, items, keys, most }
}

/// A read that somebody waits for.
pub(super) struct Asked {
    /// The node that asks.
    pub node: usize,
    pub service: String,
    pub operation: String,
    pub input: Value,
    pub reply: oneshot::Sender<Answer>,
}

/// Reads of one operation with the same other members.
pub(super) struct Batch {
    joint: &'static Joint,
    rest: Map<String, Value>,
    asked: Vec<(Vec<String>, Asked)>,
}

/// Whether a read can be joined with others of its kind.
pub(super) fn is_joint(service: &str, operation: &str, input: &Value) -> bool {
    find(service, operation).is_some_and(|joint| names(joint, input).is_some())
}

fn find(service: &str, operation: &str) -> Option<&'static Joint> {
    JOINT.iter().find(|joint| joint.service == service && joint.operation == operation)
}

fn names(joint: &Joint, input: &Value) -> Option<Vec<String>> {
    let list = input.get(joint.names)?.as_array()?;
    let names: Vec<String> = list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    (!names.is_empty() && names.len() == list.len() && names.len() <= joint.most).then_some(names)
}

/// Sorts reads into as few calls as possible.
pub(super) fn gather(asked: Vec<Asked>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut open: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for one in asked {
        let known = JOINT.iter().enumerate().find(|(_, j)| j.service == one.service && j.operation == one.operation);
        let Some((at, joint)) = known else { continue };
        let Some(wanted) = names(joint, &one.input) else { continue };
        let mut rest = one.input.as_object().cloned().unwrap_or_default();
        rest.remove(joint.names);
        let key = (at, Value::Object(rest.clone()).to_string());
        let fits = open.get(&key).copied().filter(|&batch| {
            let mut all = batches[batch].names();
            all.extend(wanted.iter().cloned());
            all.sort_unstable();
            all.dedup();
            all.len() <= joint.most
        });
        let batch = fits.unwrap_or_else(|| {
            batches.push(Batch { joint, rest, asked: Vec::new() });
            open.insert(key, batches.len() - 1);
            batches.len() - 1
        });
        batches[batch].asked.push((wanted, one));
    }
    batches
}

impl Batch {
    /// A node on whose behalf it is made.
    pub fn node(&self) -> usize {
        self.asked.first().map_or(0, |(_, one)| one.node)
    }

    /// All names, each once.
    fn names(&self) -> Vec<String> {
        let mut all: Vec<String> = self.asked.iter().flat_map(|(names, _)| names.iter().cloned()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Makes the call and shares its answer out.
    pub async fn run(self, task: Task) -> Vec<(oneshot::Sender<Answer>, Answer)> {
        let mut input = self.rest.clone();
        input.insert(self.joint.names.to_owned(), json!(self.names()));
        let alone = self.asked.len() == 1;
        let answer = call(&task, self.joint, Value::Object(input)).await;
        let spoilt = matches!(&answer, Ok(Err(error))
            if matches!(error.kind, ErrorKind::Rejected | ErrorKind::NotFound) && !is_access(&error.code));
        let mut replies = Vec::with_capacity(self.asked.len());
        for (names, one) in self.asked {
            let own = match &answer {
                _ if spoilt && !alone => call(&task, self.joint, one.input.clone()).await,
                Ok(Ok(all)) if !alone => Ok(Ok(part(self.joint, all, &names))),
                other => other.clone(),
            };
            replies.push((one.reply, own));
        }
        replies
    }
}

async fn call(task: &Task, joint: &Joint, input: Value) -> Answer {
    task.turn(joint.service, joint.operation, Nap::Deep).await?;
    Ok(task.send(joint.service, joint.operation, &input).await)
}

/// What a call for these names alone would have answered.
fn part(joint: &Joint, all: &Value, names: &[String]) -> Value {
    let wanted = |item: &Value, keys: &[&str]| {
        keys.iter().filter_map(|key| item.get(*key).and_then(Value::as_str)).any(|found| {
            names.iter().any(|name| name == found || (short(name) == short(found) && !both_arns(name, found)))
        })
    };
    let mut own = all.as_object().cloned().unwrap_or_default();
    for (list, keys) in [(joint.items, joint.keys), ("failures", &["arn"][..])] {
        if let Some(Value::Array(items)) = own.get_mut(list) {
            items.retain(|item| wanted(item, keys));
        }
    }
    Value::Object(own)
}

/// Two different ARNs may end alike: the same service in two clusters.
fn both_arns(left: &str, right: &str) -> bool {
    left.starts_with("arn:") && right.starts_with("arn:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(input: Value) -> Asked {
        let (reply, _) = oneshot::channel();
        Asked { node: 0, service: "ecs".into(), operation: "DescribeServices".into(), input, reply }
    }

    #[test]
    fn reads_are_joined_up_to_the_limit_and_by_what_else_they_ask() {
        let mut all: Vec<Asked> =
            (0..12).map(|i| asked(json!({"cluster": "c", "services": [format!("s{i}")]}))).collect();
        all.push(asked(json!({"cluster": "c", "services": ["s1"]})));
        all.push(asked(json!({"cluster": "c", "services": ["s1"], "include": ["TAGS"]})));
        all.push(asked(json!({"cluster": "other", "services": ["s1"]})));
        let batches = gather(all);
        let sizes: Vec<(usize, usize)> = batches.iter().map(|b| (b.names().len(), b.asked.len())).collect();
        assert_eq!(sizes, [(10, 10), (3, 3), (1, 1), (1, 1)]);
    }

    #[test]
    fn everybody_gets_its_own_part() {
        let all = json!({
            "services": [
                {"serviceName": "a", "serviceArn": "arn:aws:ecs:r:1:service/c/a"},
                {"serviceName": "b", "serviceArn": "arn:aws:ecs:r:1:service/c/b"}],
            "failures": [{"arn": "arn:aws:ecs:r:1:service/c/x", "reason": "MISSING"}]});
        let own = |name: &str| part(&JOINT[0], &all, &[name.to_owned()]);
        assert_eq!(own("a"), json!({"services": [all["services"][0]], "failures": []}));
        assert_eq!(own("arn:aws:ecs:r:1:service/c/b"), json!({"services": [all["services"][1]], "failures": []}));
        assert_eq!(own("x"), json!({"services": [], "failures": all["failures"]}));
    }

    #[test]
    fn only_lists_of_names_are_joined() {
        assert!(is_joint("ecs", "DescribeServices", &json!({"services": ["a"]})));
        assert!(!is_joint("ecs", "DescribeServices", &json!({})));
        assert!(!is_joint("ecs", "DescribeServices", &json!({"services": []})));
        assert!(!is_joint("ecs", "ListServices", &json!({"services": ["a"]})));
    }
}

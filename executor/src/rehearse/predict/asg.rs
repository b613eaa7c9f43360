//! How long Auto Scaling takes for what a plan waits for: from the group's load balancers, and from how long instances
//! take to start, to answer and to end.
//!
//! What a wait is about shows in what it reads: instances themselves where they have to run, scaling activities where
//! they have to be in service, container instances where they have to have joined a cluster, the group alone where instances
//! or the group itself have to be gone.
//!
//! Sources: the EC2 Auto Scaling user guide on the lifecycle of instances (launched, in service, then registered), on
//! health checks of load balancers, and on deregistration (drained before they are terminated or let go of).

use belay_schemas::checker::subject::subjects;
use belay_schemas::plan::{Call, Wait};
use serde_json::Value;

use super::ecs::{Estimate, Facts, list};

/// The group that a call is about.
fn group_of(call: &Call) -> Option<String> {
    let subject = subjects(call, None).into_iter().find(|subject| subject.kind == "Auto Scaling group")?;
    Some(subject.name.into_owned())
}

/// Changes of a group's sizes, after which instances come or go.
fn resizes(call: &Call) -> bool {
    matches!(call.operation.as_str(), "CreateAutoScalingGroup" | "UpdateAutoScalingGroup" | "DetachInstances")
}

/// Names of classic load balancers and ARNs of target groups, in a description or in what creates a group.
fn attached(group: &Value) -> impl Iterator<Item = &str> {
    list(group, "LoadBalancerNames").chain(list(group, "TargetGroupARNs")).filter_map(Value::as_str)
}

impl Facts<'_> {
    /// How long a wait about a group takes; nothing if it is about something else.
    pub(super) fn of_group(&self, ix: usize, wait: &Wait, ended: &[Option<u64>]) -> Option<Estimate> {
        let first = wait.reads.first().filter(|read| read.operation == "DescribeAutoScalingGroups")?;
        let name = group_of(first)?;
        let calls: Vec<(usize, &Call)> = self.changes(ix, |call| group_of(call).as_ref() == Some(&name));
        let reads = |operation: &str| wait.reads.iter().any(|read| read.operation == operation);
        let there = Estimate { seconds: 0, since: None, because: "it is there already".to_owned() };
        if calls.last().is_some_and(|(_, call)| call.operation == "DeleteAutoScalingGroup") {
            return Some(Estimate { because: "it is empty already".to_owned(), ..there });
        }
        let Some(&(last, change)) = calls.iter().rfind(|(_, call)| resizes(call)) else { return Some(there) };
        let created = calls.iter().find(|(_, call)| call.operation == "CreateAutoScalingGroup");
        let observed = self.group(&name);
        let group = created.map(|(_, call)| &call.input).or(observed).unwrap_or(&Value::Null);
        let (mut healthy, mut drain) = (0, 0);
        for balancer in attached(group) {
            let (slow, long) = self.balancer(balancer);
            (healthy, drain) = (healthy.max(slow), drain.max(long));
        }
        let durations = self.durations();
        let (act, start) = (durations.group_schedule, durations.instance_start);
        let (seconds, because) = if reads("DescribeInstances") {
            self.assume("there is room for all instances");
            (act + start, format!("{act} s until the group acts, {start} s to start"))
        } else if reads("DescribeScalingActivities") {
            let boot = if healthy > 0 { durations.instance_boot } else { 0 };
            let words = format!("{act} s until the group acts, {start} s to start");
            match healthy {
                0 => (act + start, words),
                _ => (act + start + boot + healthy, format!("{words}, {boot} s to answer, {healthy} s until healthy")),
            }
        } else if reads("ListContainerInstances") {
            let boot = durations.instance_boot;
            (
                act + start + boot,
                format!("{act} s until the group acts, {start} s to start, {boot} s until the agent has joined"),
            )
        } else if change.operation == "DetachInstances" {
            (drain.max(1), format!("{drain} s to drain"))
        } else {
            let end = durations.instance_shutdown;
            (act + drain + end, format!("{act} s until the group acts, {drain} s to drain, {end} s to terminate"))
        };
        Some(Estimate { seconds, since: ended[last], because })
    }
}

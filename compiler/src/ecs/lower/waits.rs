//! What is waited for, and where to look for the reason when it does not come.

use std::collections::BTreeMap;

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Evidence, Fail, Wait};
use serde_json::{Value, json};

use super::calls::{describe_service, ecs};
use super::timing::Limits;
use crate::ecs::json::text;
use crate::lower::draft::call;

/// A service as a wait sees it.
pub struct Subject<'a> {
    /// Short name of the cluster.
    pub cluster: &'a str,
    /// Name of the service.
    pub service: &'a str,
    /// ARNs of its target groups; of two between which its traffic is shifted, both.
    pub target_groups: Vec<(&'a str, Option<&'a str>)>,
    /// Names of its classic load balancers.
    pub classic: Vec<&'a str>,
    /// Whether AWS watches more than tasks that fail, and says so in the status of a deployment.
    pub watched: bool,
}

/// The deployment that an answer of CreateService or UpdateService names as PRIMARY.
pub const PRIMARY: &str = "service.deployments[?status=='PRIMARY'].id | [0]";

/// What people see of a service's deployments, and whose change counts as progress.
const DEPLOYMENTS: &str = "[0].services[0].deployments[].join(' ', [status, to_string(runningCount), 'of', to_string(desiredCount), 'running'])";
/// The same for its tasks as a whole.
const TASKS: &str =
    "[0].services[0].join(' ', [to_string(runningCount), 'running,', to_string(pendingCount), 'pending'])";

/// Waits for the deployment that `source` started (its PRIMARY deployment), not for just any steady state.
pub fn deployed(subject: &Subject<'_>, source: &str, count: u64, limits: Limits) -> Action {
    let behind_classic = !subject.classic.is_empty();
    let ours = |also: &str| format!("length([0].services[0].deployments[?id==$deployment && status=='PRIMARY'{also}])");
    let mut fail = vec![Fail {
        // Right after its creation a service may not be found yet: only what is told counts.
        when: "length([0].services[?status!='ACTIVE']) > `0`".to_owned(),
        reason: "the service is not active any more".to_owned(),
    }];
    let until = if behind_classic {
        // AWS reports no rollout state behind a classic load balancer.
        let threshold = count.div_ceil(2).clamp(3, 200);
        fail.push(Fail {
            when: format!(
                "length([0].services[0].deployments[?id==$deployment && failedTasks >= `{threshold}`]) > `0`"
            ),
            reason: format!("{threshold} tasks of the deployment failed"),
        });
        let done = ours(" && runningCount==desiredCount && pendingCount==`0`");
        format!("{done} == `1` && length([0].services[0].deployments) == `1`")
    } else {
        fail.push(Fail {
            when: "length([0].services[0].deployments[?id==$deployment && rolloutState=='FAILED']) > `0`".to_owned(),
            reason: match subject.watched {
                true => "AWS gave the deployment up: too many of its tasks failed, or an alarm went off",
                false => "AWS gave the deployment up: too many of its tasks failed (deployment circuit breaker)",
            }
            .to_owned(),
        });
        format!("{} == `1`", ours(" && rolloutState=='COMPLETED' && runningCount==desiredCount"))
    };
    fail.push(Fail {
        when: format!("{} == `0`", ours("")),
        reason:
            "the deployment is not the service's primary one any more: AWS rolled it back, or somebody else deployed"
                .to_owned(),
    });
    let bind = BTreeMap::from([("deployment".to_owned(), output(source, PRIMARY))]);
    let (reads, until) = healthy(subject, count, until);
    Action::Wait {
        wait: Wait {
            reads,
            until,
            fail,
            progress: Some(DEPLOYMENTS.to_owned()),
            no_progress: limits.no_progress,
            overall: limits.overall,
            hold: limits.hold,
            interval: limits.interval,
            bind,
            evidence: evidence(subject),
        },
    }
}

/// True of a service with one deployment that is complete and has its tasks.
pub fn resting(service: &str) -> String {
    format!(
        "length({service}.deployments) == `1` && length({service}.deployments[?rolloutState=='IN_PROGRESS']) == `0` && {service}.runningCount == {service}.desiredCount && {service}.pendingCount == `0`"
    )
}

/// Waits until a service has its wanted number of tasks again, with nothing of another deployment left. What is wanted
/// is read anew: others may scale it, and the number of a daemon's tasks is that of the instances.
pub fn at_count(subject: &Subject<'_>, count: u64, limits: Limits) -> Action {
    counted(subject, count, resting("[0].services[0]"), limits)
}

/// The reads of a wait with those of its load balancers, and `until` with the condition that they see enough tasks as
/// healthy: neither a scaled service nor one behind a classic load balancer waits for that by itself.
fn healthy(subject: &Subject<'_>, count: u64, mut until: String) -> (Vec<Call>, String) {
    let mut reads = vec![describe_service(subject.cluster, subject.service)];
    if count == 0 {
        return (reads, until);
    }
    for (arn, other) in &subject.target_groups {
        let mut counts = Vec::new();
        for arn in std::iter::once(arn).chain(other) {
            let index = reads.len();
            reads.push(call("elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": arn})));
            counts.push(format!("length([{index}].TargetHealthDescriptions[?TargetHealth.State=='healthy'])"));
        }
        // Which of the two has the tasks, ECS chooses.
        let count = match counts.as_slice() {
            [one] => one.clone(),
            both => format!("max([{}])", both.join(", ")),
        };
        until.push_str(&format!(" && {count} >= [0].services[0].desiredCount"));
    }
    for name in &subject.classic {
        let index = reads.len();
        reads.push(call("elb", "DescribeInstanceHealth", json!({"LoadBalancerName": name})));
        until.push_str(&format!(
            " && length([{index}].InstanceStates[?State=='InService']) >= [0].services[0].desiredCount"
        ));
    }
    (reads, until)
}

/// Waits until no task of a service runs.
pub fn drained(subject: &Subject<'_>, limits: Limits) -> Action {
    counted(subject, 0, "[0].services[0].runningCount == `0` && [0].services[0].pendingCount == `0`".to_owned(), limits)
}

fn counted(subject: &Subject<'_>, count: u64, until: String, limits: Limits) -> Action {
    let (reads, until) = healthy(subject, count, until);
    Action::Wait {
        wait: Wait {
            reads,
            until,
            fail: vec![Fail {
                when: "length([0].services[?status!='ACTIVE']) > `0`".to_owned(),
                reason: "the service is not active any more".to_owned(),
            }],
            progress: Some(TASKS.to_owned()),
            no_progress: limits.no_progress,
            overall: limits.overall,
            hold: limits.hold,
            interval: limits.interval,
            bind: BTreeMap::new(),
            evidence: evidence(subject),
        },
    }
}

/// Waits until a deleted service is gone: INACTIVE, or not known any more.
pub fn gone(subject: &Subject<'_>, limits: Limits) -> Action {
    Action::Wait {
        wait: Wait {
            reads: vec![describe_service(subject.cluster, subject.service)],
            until: "length([0].services[?status!='INACTIVE']) == `0`".to_owned(),
            fail: Vec::new(),
            progress: Some(format!("[{TASKS}, [0].services[0].status]")),
            no_progress: limits.no_progress,
            overall: limits.overall,
            hold: limits.hold,
            interval: limits.interval,
            bind: BTreeMap::new(),
            evidence: Vec::new(),
        },
    }
}

/// The revisions between which a service goes back.
pub struct Revisions<'a> {
    /// The one that ran before.
    pub old: &'a Value,
    /// A twin of it, or the same.
    pub twin: &'a Value,
    /// The one that is left.
    pub new: &'a Value,
}

/// The deployments of a service that are in flight.
fn open(subject: &Subject<'_>) -> Call {
    let statuses = ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"];
    ecs("ListServiceDeployments", json!({"cluster": subject.cluster, "service": subject.service, "status": statuses}))
}

/// Waits until AWS has begun to go back to the old revision.
pub fn turned(subject: &Subject<'_>, revisions: &Revisions<'_>, limits: Limits) -> Action {
    let reads = vec![describe_service(subject.cluster, subject.service), open(subject)];
    going_back(subject, revisions, reads, ON_OLD.to_owned(), true, limits)
}

/// Waits until a service is at rest on its old revision. `listed`: AWS tells of its deployments.
pub fn rolled_back(subject: &Subject<'_>, revisions: &Revisions<'_>, listed: bool, limits: Limits) -> Action {
    let until = format!("{ON_OLD} && {}", resting("[0].services[0]"));
    let (mut reads, mut until) = healthy(subject, 1, until);
    if listed {
        until.push_str(&format!(" && length([{}].serviceDeployments) == `0`", reads.len()));
        reads.push(open(subject));
    }
    going_back(subject, revisions, reads, until, listed, limits)
}

const ON_OLD: &str = "([0].services[0].taskDefinition == $old || [0].services[0].taskDefinition == $twin)";

fn going_back(
    subject: &Subject<'_>,
    revisions: &Revisions<'_>,
    reads: Vec<Call>,
    until: String,
    listed: bool,
    limits: Limits,
) -> Action {
    let mut bind =
        BTreeMap::from([("old".to_owned(), revisions.old.clone()), ("twin".to_owned(), revisions.twin.clone())]);
    let mut fail = Vec::new();
    if listed {
        bind.insert("new".to_owned(), revisions.new.clone());
        let last = reads.len().saturating_sub(1);
        fail.push(Fail {
            when: format!("[0].services[0].taskDefinition == $new && length([{last}].serviceDeployments) == `0`"),
            reason: "AWS did not roll the deployment back: it is over, and the service stays on the new revision"
                .to_owned(),
        });
    }
    fail.push(Fail {
        when: "length([0].services[?status!='ACTIVE']) > `0`".to_owned(),
        reason: "the service is not active any more".to_owned(),
    });
    Action::Wait {
        wait: Wait {
            reads,
            until,
            fail,
            progress: Some(DEPLOYMENTS.to_owned()),
            no_progress: limits.no_progress,
            overall: limits.overall,
            hold: limits.hold,
            interval: limits.interval,
            bind,
            evidence: evidence(subject),
        },
    }
}

/// Why tasks stopped, and how their containers ended: the reason of a container tells what that of its task does not, for
/// example that it took too much memory (ECS API reference, `Container`).
const STOPPED: &str = concat!(
    "[1].tasks[].join(': ', [taskArn, stoppedReason || 'stopped', ",
    "join('; ', containers[?exitCode!=`null` || reason].join('', ['container ', name, ",
    "exitCode!=`null` && join(' ', [' exited with code', to_string(exitCode)]) || '', ",
    "reason && join('', [' (', reason, ')']) || '']))])"
);

/// Where the reason of a failure stands: service events, stopped tasks, target health.
fn evidence(subject: &Subject<'_>) -> Vec<Evidence> {
    let (cluster, service) = (subject.cluster, subject.service);
    let mut all = vec![
        Evidence {
            title: "service events".to_owned(),
            reads: vec![describe_service(cluster, service)],
            lines: "[0].services[0].events[:5].message".to_owned(),
            bind: BTreeMap::new(),
        },
        Evidence {
            title: "stopped tasks".to_owned(),
            reads: vec![
                ecs("ListTasks", json!({"cluster": cluster, "serviceName": service, "desiredStatus": "STOPPED"})),
                ecs("DescribeTasks", json!({"cluster": cluster, "tasks": output("@0", "taskArns[:5]")})),
            ],
            lines: STOPPED.to_owned(),
            bind: BTreeMap::new(),
        },
    ];
    if subject.watched {
        all.push(Evidence {
            title: "deployment".to_owned(),
            reads: vec![ecs("ListServiceDeployments", json!({"cluster": cluster, "service": service}))],
            lines: "[0].serviceDeployments[:1].statusReason".to_owned(),
            bind: BTreeMap::new(),
        });
    }
    for arn in subject.target_groups.iter().flat_map(|(arn, other)| std::iter::once(arn).chain(other)) {
        all.push(Evidence {
            title: "target health".to_owned(),
            reads: vec![call("elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": arn}))],
            lines: "[0].TargetHealthDescriptions[?TargetHealth.State!='healthy'].join(' ', [Target.Id, to_string(Target.Port), TargetHealth.State, TargetHealth.Reason || '', TargetHealth.Description || ''])".to_owned(),
            bind: BTreeMap::new(),
        });
    }
    for name in &subject.classic {
        all.push(Evidence {
            title: "instance health".to_owned(),
            reads: vec![call("elb", "DescribeInstanceHealth", json!({"LoadBalancerName": name}))],
            lines: "[0].InstanceStates[?State!='InService'].join(' ', [InstanceId, State, Description || ''])"
                .to_owned(),
            bind: BTreeMap::new(),
        });
    }
    all
}

/// The target groups and classic load balancers of a service's `loadBalancers`.
pub fn subject<'a>(cluster: &'a str, service: &'a str, balancers: &'a [Value]) -> Subject<'a> {
    let groups = balancers.iter().filter_map(|balancer| {
        let other = balancer.pointer("/advancedConfiguration/alternateTargetGroupArn").and_then(Value::as_str);
        Some((text(balancer, "targetGroupArn")?, other))
    });
    let classic = balancers.iter().filter_map(|balancer| text(balancer, "loadBalancerName")).collect();
    let watched = balancers.iter().any(|balancer| balancer.get("advancedConfiguration").is_some());
    let mut subject = Subject { cluster, service, target_groups: groups.collect(), classic, watched };
    subject.target_groups.sort_unstable();
    subject.target_groups.dedup();
    subject.classic.sort_unstable();
    subject.classic.dedup();
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopped_tasks_say_how_their_containers_ended() {
        let tasks = json!([null, {"tasks": [
            {
                "taskArn": "t/1",
                "stoppedReason": "Essential container in task exited",
                "containers": [
                    {"name": "web", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
                    {"name": "proxy", "exitCode": 0},
                    {"name": "never"},
                ],
            },
            {"taskArn": "t/2", "containers": [{"name": "web", "reason": "CannotPullContainerError: not found"}]},
        ]}]);
        let told = belay_schemas::condition::evaluate(STOPPED, &BTreeMap::new(), &tasks);
        let expected = json!([
            "t/1: Essential container in task exited: container web exited with code 137 (OutOfMemoryError: Container killed due to memory usage); container proxy exited with code 0",
            "t/2: stopped: container web (CannotPullContainerError: not found)",
        ]);
        assert_eq!(told.ok(), Some(expected));
    }
}

//! What is waited for, and where to look for the reason when it does not come.
//!
//! Invariant: instances are counted that are in the group *and* seen as healthy by every load balancer: the reads of a
//! poll ask the load balancers about the group's own instances, so that those of the other slot never count.

use std::collections::BTreeMap;

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Evidence, Fail, Wait};
use serde_json::{Value, json};

use crate::asg::Context;
use crate::asg::desired::Balancer;
use crate::ecs::groups;
use crate::ecs::json::number;
use crate::lower::draft::call;

use super::calls::{Count, asg, describe_group, ec2};
use super::drain::Cluster;

/// Seconds between polls.
const INTERVAL: u64 = 5;
/// Seconds that EC2 may need to terminate an instance.
const TERMINATE: u64 = 300;
/// Seconds for which a group must be seen to detach nothing.
const LET_GO: u64 = 10;
/// Seconds from running to the first check of a load balancer that can succeed.
const BOOT: u64 = 60;

/// A group as a wait sees it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Name of the group.
    pub group: &'a str,
    /// Its load balancers.
    pub balancers: &'a [Balancer],
    /// The ECS cluster that its instances join.
    pub cluster: Option<Cluster<'a>>,
    /// Limits.
    pub limits: Limits,
}

/// Seconds that things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From launching to running.
    pub running: u64,
    /// From running to healthy in every load balancer.
    pub join: u64,
    /// From the decision to its end.
    pub leave: u64,
}

/// The limits of a component behind these load balancers; the seconds that `join_timeout` would have to be, where it is
/// too short.
pub fn limits(context: Context<'_>, balancers: &[Balancer]) -> (Limits, Option<u64>) {
    let (mut healthy, mut drain) = (0, 0);
    for balancer in balancers {
        let (h, d) = pace(context, balancer);
        healthy = healthy.max(h);
        drain = drain.max(d);
    }
    let needed = if healthy > 0 { healthy + BOOT } else { 0 };
    let settings = context.settings;
    let join = settings.join_timeout.max(needed);
    let raised = (join > settings.join_timeout).then_some(join);
    (Limits { running: settings.running_timeout, join, leave: drain + TERMINATE }, raised)
}

/// Seconds of a load balancer: to become healthy, and to drain.
fn pace(context: Context<'_>, balancer: &Balancer) -> (u64, u64) {
    let Some(facts) = context.facts.map(|f| f.shared) else { return (0, 300) };
    match balancer {
        Balancer::Classic { name } => {
            let check = facts.classic(name).and_then(|b| b.get("HealthCheck"));
            let interval = check.and_then(|c| number(c, "Interval")).unwrap_or(30);
            let threshold = check.and_then(|c| number(c, "HealthyThreshold")).unwrap_or(10);
            (interval * threshold, facts.classic_drain(name).unwrap_or(300))
        }
        Balancer::TargetGroup { arn, .. } => {
            let group = facts.target_group(arn);
            let interval = group.and_then(|g| number(g, "HealthCheckIntervalSeconds")).unwrap_or(30);
            let threshold = group.and_then(|g| number(g, "HealthyThresholdCount")).unwrap_or(5);
            let delay = facts.target_group_attribute(arn, groups::DELAY);
            (interval * threshold, delay.and_then(|d| d.parse().ok()).unwrap_or(groups::DEFAULT_DELAY.into()))
        }
    }
}

const INSTANCES: &str = "[0].AutoScalingGroups[0].Instances";
/// What people see of a group's instances, and whose change counts as progress.
const PROGRESS: &str = "[0].AutoScalingGroups[0].Instances[].join(' ', [InstanceId, LifecycleState])";

impl Watch<'_> {
    /// Waits until so many instances run.
    pub fn running(&self, count: &Count) -> Action {
        let mut bind = BTreeMap::new();
        let wanted = count.in_expression(&mut bind);
        let instances = output("@0", "AutoScalingGroups[0].Instances[].InstanceId");
        let reads = vec![
            describe_group(self.group),
            ec2("DescribeInstances", json!({"InstanceIds": instances})),
            self.activities(),
        ];
        let until = format!("length([1].Reservations[].Instances[] | [?State.Name=='running']) >= {wanted}");
        let seconds = self.limits.running;
        self.wait(reads, until, bind, self.failures(2), seconds)
    }

    /// Waits until so many instances are in service, and healthy in every load balancer.
    pub fn healthy(&self, count: &Count) -> Action {
        self.joined(count, self.limits.join)
    }

    /// The same on the way back, where instances may have to start first.
    pub fn restored(&self, count: &Count) -> Action {
        self.joined(count, self.limits.running + self.limits.join)
    }

    fn joined(&self, count: &Count, seconds: u64) -> Action {
        let mut bind = BTreeMap::new();
        let wanted = count.in_expression(&mut bind);
        let mut reads = vec![describe_group(self.group)];
        let mut until =
            format!("length({INSTANCES}[?LifecycleState=='InService' && HealthStatus=='Healthy']) >= {wanted}");
        for balancer in self.balancers {
            let index = reads.len();
            reads.push(health(balancer));
            until.push_str(&match balancer {
                Balancer::Classic { .. } => {
                    format!(" && length([{index}].InstanceStates[?State=='InService']) >= {wanted}")
                }
                Balancer::TargetGroup { .. } => {
                    format!(
                        " && length([{index}].TargetHealthDescriptions[?TargetHealth.State=='healthy']) >= {wanted}"
                    )
                }
            });
        }
        reads.push(self.activities());
        let fail = self.failures(reads.len() - 1);
        self.wait(reads, until, bind, fail, seconds)
    }

    /// Waits until the group has no more than so many instances.
    pub fn drained(&self, count: &Count) -> Action {
        let mut bind = BTreeMap::new();
        let wanted = count.in_expression(&mut bind);
        let until = format!("length({INSTANCES}) <= {wanted}");
        self.wait(vec![describe_group(self.group)], until, bind, Vec::new(), self.limits.leave)
    }

    /// Waits until the group is detaching nothing any more. Its size tells nothing: what was detached may be back already,
    /// when a way back is taken up again. AWS's reads may lag behind the call that detached, so it has to stay that way.
    pub fn let_go(&self) -> Action {
        let until = format!("length({INSTANCES}[?LifecycleState=='Detaching']) == `0`");
        let mut action =
            self.wait(vec![describe_group(self.group)], until, BTreeMap::new(), Vec::new(), self.limits.leave);
        if let Action::Wait { wait } = &mut action {
            wait.hold = LET_GO;
        }
        action
    }

    /// Waits until the group is gone.
    pub fn gone(&self) -> Action {
        let until = "length([0].AutoScalingGroups) == `0`".to_owned();
        self.wait(vec![describe_group(self.group)], until, BTreeMap::new(), Vec::new(), self.limits.leave)
    }

    fn activities(&self) -> Call {
        asg("DescribeScalingActivities", json!({"AutoScalingGroupName": self.group, "MaxRecords": 10}))
    }

    /// One failure may be a zone without capacity, of which Auto Scaling tries the next; two in a row are the group's.
    fn failures(&self, index: usize) -> Vec<Fail> {
        vec![
            Fail {
                when: "length([0].AutoScalingGroups) == `0`".to_owned(),
                reason: "the Auto Scaling group is gone".to_owned(),
            },
            Fail {
                when: format!("length([{index}].Activities[:2] | [?StatusCode=='Failed']) == `2`"),
                reason: "Auto Scaling failed twice in a row to launch or terminate an instance".to_owned(),
            },
        ]
    }

    fn wait(
        &self,
        reads: Vec<Call>,
        until: String,
        bind: BTreeMap<String, Value>,
        fail: Vec<Fail>,
        seconds: u64,
    ) -> Action {
        let interval = INTERVAL.min(seconds);
        Action::Wait {
            wait: Wait {
                reads,
                until,
                fail,
                bind,
                progress: Some(PROGRESS.to_owned()),
                no_progress: seconds,
                overall: seconds,
                hold: 0,
                interval,
                evidence: self.evidence(),
            },
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut all = vec![Evidence {
            title: "scaling activities".to_owned(),
            reads: vec![self.activities()],
            lines: "[0].Activities[:5].join(': ', [Description || 'activity', StatusCode, StatusMessage || ''])"
                .to_owned(),
            bind: BTreeMap::new(),
        }];
        for balancer in self.balancers {
            let (title, lines) = match balancer {
                Balancer::Classic { .. } => (
                    "instance health",
                    "[1].InstanceStates[?State!='InService'].join(' ', [InstanceId, State, Description || ''])",
                ),
                Balancer::TargetGroup { .. } => (
                    "target health",
                    "[1].TargetHealthDescriptions[?TargetHealth.State!='healthy'].join(' ', [Target.Id, TargetHealth.State, TargetHealth.Reason || '', TargetHealth.Description || ''])",
                ),
            };
            all.push(Evidence {
                title: title.to_owned(),
                reads: vec![describe_group(self.group), health(balancer)],
                lines: lines.to_owned(),
                bind: BTreeMap::new(),
            });
        }
        all
    }
}

/// The health of the instances that are in service in the group of the poll's first read.
fn health(balancer: &Balancer) -> Call {
    let of = |each: &str| output("@0", &format!("AutoScalingGroups[0].Instances[?LifecycleState=='InService'].{each}"));
    match balancer {
        Balancer::Classic { name } => call(
            "elb",
            "DescribeInstanceHealth",
            json!({"LoadBalancerName": name, "Instances": of("{InstanceId: InstanceId}")}),
        ),
        Balancer::TargetGroup { arn, port } => call(
            "elbv2",
            "DescribeTargetHealth",
            json!({"TargetGroupArn": arn, "Targets": of(&format!("{{Id: InstanceId, Port: `{port}`}}"))}),
        ),
    }
}

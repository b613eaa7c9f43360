//! Container instances: waited for until they have joined their cluster, and drained before they go.
//!
//! Invariants: on the way forward only instances that take tasks are drained, and exactly those take tasks again on the way
//! back; no instance that was in its cluster when its group was listed is terminated before its tasks had time to move. (An
//! agent that joins only while a plan goes back is not waited for: it may never come.)

use std::collections::BTreeMap;

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Each, Evidence, Node, Phase, Wait};
use serde_json::{Value, json};

use crate::lower::draft::{call, node, probe};

use super::calls::{Count, describe_group};
use super::chain::Chain;
use super::sizes::MOST;
use crate::asg::agent::STARTED_BY;

/// Instances that one UpdateContainerInstancesState takes (API reference).
const AT_ONCE: u32 = 10;
/// Instances that one ListContainerInstances is asked about.
const LISTED: u32 = 50;
/// Seconds between polls.
const INTERVAL: u64 = 5;
/// What an API that wants at least one name is asked for where there is none: no container instance has this id.
const NOBODY: &str = "00000000000000000000000000000000";

/// The cluster of a group.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Its short name.
    pub name: &'a str,
    /// Seconds that tasks have to leave an instance.
    pub drain: u64,
    /// Whether its instances start tasks on themselves, which never leave.
    pub keeps: bool,
}

fn ecs(operation: &str, input: Value) -> Call {
    call("ecs", operation, input)
}

/// The filter of ListContainerInstances that names EC2 instances, as JMESPath over a list of their ids (Amazon ECS developer
/// guide, "Cluster query language").
fn these(ids: &str) -> String {
    format!(r#"join('', [`"ec2InstanceId in ['"`, join(`"', '"`, {ids}), `"']"`])"#)
}

/// The part of a group that is drained.
pub struct Drained<'a> {
    /// The component.
    pub component: &'a str,
    /// Name of the group.
    pub group: &'a str,
    /// Its cluster.
    pub cluster: Cluster<'a>,
    /// How the nodes are called: what is done, to the id.
    pub id: &'a dyn Fn(&str) -> String,
    /// Late list of the ids of EC2 instances.
    pub instances: Value,
}

impl Drained<'_> {
    fn node(&self, what: &str, phase: Phase, summary: String, action: Action) -> Node {
        node((self.id)(what), Some(self.component), phase, summary, action)
    }

    /// Reads which container instances these are.
    fn hosts(&self, phase: Phase) -> Node {
        let filter = output("@each", &these("@"));
        let mut input = json!({"cluster": self.cluster.name, "filter": filter});
        let mut summary = format!("see which of them are in cluster {}", self.cluster.name);
        // On the way back all of them go, those as well that were drained before it was taken up again.
        if phase == Phase::Deploy {
            input["status"] = json!("ACTIVE");
            summary = format!("see which of them take tasks of cluster {}", self.cluster.name);
        }
        let action = Action::Read { read: ecs("ListContainerInstances", input), expect: None };
        let mut hosts = self.node("hosts", phase, summary, action);
        hosts.each = Some(Each { over: self.instances.clone(), chunk: LISTED, max: MOST });
        hosts
    }

    /// UpdateContainerInstancesState of a late list.
    fn update(&self, what: &str, phase: Phase, over: Value, status: &str, summary: String) -> Node {
        let chunk = json!({"$output": "@each", "path": "@"});
        let named = json!({"cluster": self.cluster.name, "containerInstances": chunk});
        let mut input = named.clone();
        input["status"] = json!(status);
        // One that is gone needs no state any more.
        let expect = (phase == Phase::Deploy).then(|| "length(failures) == `0`".to_owned());
        let action = Action::Call { call: ecs("UpdateContainerInstancesState", input), expect };
        let mut update = self.node(what, phase, summary, action);
        update.each = Some(Each { over, chunk: AT_ONCE, max: MOST });
        update.probe = Some(probe(
            ecs("DescribeContainerInstances", named),
            &format!("length(containerInstances[?status!='{status}']) == `0`"),
            "{containerInstances: containerInstances, failures: failures}",
            [],
        ));
        update
    }

    fn drain(&self, phase: Phase) -> Node {
        let hosts = output(&(self.id)("hosts"), "[].answer.containerInstanceArns[]");
        let summary =
            format!("drain them: the tasks of services move to other instances of cluster {}", self.cluster.name);
        let mut drain = self.update("drain", phase, hosts, "DRAINING", summary);
        drain.unguarded = Some("only instances of this group are drained, and how many tasks of a service run at least, ECS keeps by itself".to_owned());
        drain
    }

    /// Waits until nothing runs on them.
    fn moved(&self, phase: Phase) -> Node {
        let hosts = output(&(self.id)("drain"), &format!("[].items[] || ['{NOBODY}']"));
        let look =
            || ecs("DescribeContainerInstances", json!({"cluster": self.cluster.name, "containerInstances": hosts}));
        let left = "[0].containerInstances[?runningTasksCount > `0` || pendingTasksCount > `0`]";
        let tasks = format!(
            "{left}.join(' ', [ec2InstanceId, to_string(runningTasksCount), 'running,', to_string(pendingTasksCount), 'pending'])"
        );
        let mut reads = vec![look()];
        let mut until = format!("length({left}) == `0`");
        let mut bind = BTreeMap::new();
        if self.cluster.keeps {
            // What an instance has started on itself stays with it: everything else has to be gone.
            let named = json!({"cluster": self.cluster.name, "startedBy": STARTED_BY, "desiredStatus": "RUNNING"});
            let arns = output("@1", &format!("taskArns || ['{NOBODY}']"));
            reads.push(ecs("ListTasks", named));
            reads.push(ecs("DescribeTasks", json!({"cluster": self.cluster.name, "tasks": arns})));
            bind.insert("hosts".to_owned(), hosts.clone());
            until = "sum([0].containerInstances[].[runningTasksCount, pendingTasksCount][]) <= \
                     length([2].tasks[?lastStatus!='STOPPED' && contains($hosts, containerInstanceArn)])"
                .to_owned();
        }
        let wait = Wait {
            reads,
            until,
            fail: Vec::new(),
            bind,
            progress: Some(tasks.clone()),
            no_progress: self.cluster.drain,
            overall: self.cluster.drain,
            hold: 0,
            interval: INTERVAL,
            evidence: vec![Evidence {
                title: "tasks that do not leave (only those of services move, and only where there is room)".to_owned(),
                reads: vec![look()],
                lines: tasks,
                bind: BTreeMap::new(),
            }],
        };
        self.node(
            "moved",
            phase,
            match self.cluster.keeps {
                false => format!("wait until no task runs on what leaves {}", self.group),
                true => format!("wait until what leaves {} runs no tasks but its own", self.group),
            },
            Action::Wait { wait },
        )
    }

    /// Drains on the way forward.
    pub fn forward(&self, chain: &mut Chain<'_>) {
        chain.step(self.hosts(Phase::Deploy));
        let drained = output(&(self.id)("drain"), "[].items[]");
        let summary = format!("let them take tasks of cluster {} again", self.cluster.name);
        let mut undo = self.update("drain", Phase::Undo, drained, "ACTIVE", summary);
        undo.id.push_str(".undo");
        undo.unguarded = Some("these very instances were drained by this run".to_owned());
        chain.first(self.drain(Phase::Deploy), vec![(None, vec![undo])]);
        chain.step(self.moved(Phase::Deploy));
    }

    /// Drains on the way back, before what came is terminated.
    pub fn back(&self) -> [Node; 3] {
        [self.hosts(Phase::Undo), self.drain(Phase::Undo), self.moved(Phase::Undo)]
    }
}

/// Reads a group's instances and drains them on the way back; `which` selects them.
pub fn leave(component: &str, group: &str, cluster: Cluster<'_>, prefix: &str, which: &str) -> Vec<Node> {
    let id = |what: &str| format!("{prefix}.{what}");
    let members = id("leaving");
    let read = Action::Read { read: describe_group(group), expect: None };
    let summary = format!("see which instances leave {group}");
    let list = node(members.clone(), Some(component), Phase::Undo, summary, read);
    let instances = output(&members, &format!("AutoScalingGroups[].Instances[]{which}.InstanceId"));
    let drained = Drained { component, group, cluster, id: &id, instances };
    std::iter::once(list).chain(drained.back()).collect()
}

/// Waits until so many instances of a group take tasks of their cluster.
pub fn joined(group: &str, cluster: Cluster<'_>, count: &Count, seconds: u64) -> Action {
    let mut bind = BTreeMap::new();
    let wanted = count.in_expression(&mut bind);
    let ids = "AutoScalingGroups[].Instances[].InstanceId";
    // Where the group has none there is nothing to ask for.
    let filter = output("@0", &format!("{ids} && {}", these(ids)));
    let list = ecs("ListContainerInstances", json!({"cluster": cluster.name, "status": "ACTIVE", "filter": filter}));
    let reads = vec![describe_group(group), list];
    let lines = "[0].AutoScalingGroups[0].Instances[].join(' ', [InstanceId, LifecycleState])".to_owned();
    Action::Wait {
        wait: Wait {
            until: format!("length([1].containerInstanceArns) >= {wanted}"),
            fail: Vec::new(),
            progress: Some("length([1].containerInstanceArns)".to_owned()),
            no_progress: seconds,
            overall: seconds,
            hold: 0,
            interval: INTERVAL.min(seconds),
            evidence: vec![Evidence {
                title: format!(
                    "instances, of which too few have joined cluster {} (profile, route to ECS, /var/log/ecs/ecs-agent.log)",
                    cluster.name
                ),
                reads: reads.clone(),
                lines,
                bind: BTreeMap::new(),
            }],
            reads,
            bind,
        },
    }
}

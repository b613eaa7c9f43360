//! Tasks that run once: started between components, waited for, judged by their exit code.
//!
//! Invariants: a task runs again when its definition differs from the newest revision of its family, and a run that goes
//! back deregisters its revision, so that revision is the one that succeeded; on the way back, a task that still runs is
//! stopped before anything takes back what it did.

use std::collections::BTreeMap;

use belay_schemas::late::{output, run_token};
use belay_schemas::plan::{Accepted, Action, Call, Evidence, Fail, Node, Phase, Wait};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::desired::{Desired, OnceTask};
use crate::ecs::diff::{self, Difference};
use crate::ecs::json::{items, text};

use super::calls::ecs;
use super::register::{ARN, owner_tags, register};
use crate::lower::Lowered;
use crate::lower::draft::{Draft, call, guard_after, node, probe, when};

/// Lines of a task's output that are shown when it fails.
const TAIL: u32 = 20;

/// A task that runs in this plan.
pub struct Run<'a> {
    /// The component.
    pub desired: &'a Desired,
    /// How it runs.
    pub task: &'a OnceTask,
    /// The newest revision, if it is what is wanted: then nothing is registered.
    pub revision: Option<&'a str>,
    /// What differs from the newest revision.
    pub difference: Option<&'a Difference>,
}

/// Starts the task and waits until it has succeeded.
pub fn run(context: Context<'_>, run: &Run<'_>, draft: &mut Draft) -> Lowered {
    let Run { desired, task, revision, difference } = *run;
    let component = desired.component.as_str();
    let cluster = context.settings.cluster.as_str();
    let registered = match revision {
        Some(_) => None,
        None => Some(register(context, desired, desired.task.clone(), difference, draft)),
    };
    let definition = match (&registered, revision) {
        (Some((id, _)), _) => output(id, ARN),
        (None, arn) => json!(arn),
    };
    let id = format!("{component}.task.run");
    let mut forward = started(context, desired, task, &id, Phase::Deploy, &definition, None);
    forward.summary = format!("run the task {} once", desired.family);
    forward.why = match (difference, &registered) {
        (Some(difference), Some(_)) => difference.why(context, desired),
        (None, Some(_)) => {
            vec![diff::why(
                context,
                &Place::model(["components", component]),
                Value::Null,
                json!(desired.images[component]),
            )]
        }
        _ => vec![diff::why(context, &task.place.child("when"), Value::Null, json!("deployed"))],
    };
    forward.accepted = task.accepted.as_ref().map(|reason| {
        let place = task.place.child("accepted");
        let at = context.loaded.locate(&place).map_or_else(|| place.pointer.clone(), |l| l.to_string());
        Accepted { reason: reason.clone(), at }
    });
    let arn = output(&id, "tasks[0].taskArn");
    let describe = || ecs("DescribeTasks", json!({"cluster": cluster, "tasks": [arn.clone()]}));
    let runs = "length(tasks[?lastStatus!='STOPPED']) == `1`";
    let stop_id = format!("{id}.stop");
    let mut stop = node(
        stop_id.clone(),
        Some(component),
        Phase::Undo,
        format!("stop the task {}", desired.family),
        Action::Call {
            call: ecs("StopTask", json!({"cluster": cluster, "task": arn, "reason": "the deployment goes back"})),
            expect: None,
        },
    );
    stop.guards = vec![guard_after(&id, describe(), [(runs, json!(true))])];
    stop.probe = Some(probe(describe(), "length(tasks[?desiredStatus!='STOPPED']) == `0`", "{task: tasks[0]}", []));
    let stopped = node(
        format!("{id}.stopped"),
        Some(component),
        Phase::Undo,
        format!("wait until the task {} has stopped", desired.family),
        Action::Wait {
            wait: Wait {
                reads: vec![describe()],
                until: "length([0].tasks[?lastStatus!='STOPPED']) == `0`".to_owned(),
                fail: Vec::new(),
                progress: Some("[0].tasks[0].lastStatus".to_owned()),
                no_progress: context.settings.timeout.max(180),
                overall: context.settings.overall_timeout.max(300),
                hold: 0,
                interval: context.settings.poll_interval,
                bind: BTreeMap::new(),
                evidence: Vec::new(),
            },
        },
    );
    let taken_back = |suffix: &str| -> Vec<Node> {
        if task.undo.is_empty() {
            return Vec::new();
        }
        let undo_id = format!("{id}.undo{suffix}");
        let mut undo = started(context, desired, task, &undo_id, Phase::Undo, &definition, Some(&task.undo));
        undo.summary = format!("take back what the task {} did: {}", desired.family, task.undo.join(" "));
        let undone = node(
            format!("{id}.undone{suffix}"),
            Some(component),
            Phase::Undo,
            "wait until that has succeeded".to_owned(),
            succeeded(context, desired, task, &undo_id),
        );
        vec![undo, undone]
    };
    let mut none = when("no task was started", describe_cluster(cluster), "$task == `null`", []);
    none.bind.insert("task".to_owned(), arn.clone());
    let running = when("it still runs", describe(), runs, []);
    let mut first = vec![stop, stopped];
    first.extend(taken_back(".stopped"));
    // Said, so that a task that cannot be stopped is not taken for one that has ended.
    let ended = when("it has ended", describe(), "length(tasks[?lastStatus!='STOPPED']) == `0`", []);
    let cases = vec![(Some(none), Vec::new()), (Some(running), first), (Some(ended), taken_back(""))];
    let back = draft.with_undo(forward, cases);
    let ready = format!("{component}.task.succeeded");
    draft.add(node(
        ready.clone(),
        Some(component),
        Phase::Deploy,
        format!("wait until the task {} has ended with exit code 0", desired.family),
        succeeded(context, desired, task, &id),
    ));
    draft.after(&id, &ready);
    let mut entries = vec![id.clone()];
    if let Some((register, earlier)) = registered {
        draft.after(&register, &id);
        draft.back_before(&back, &earlier);
        entries = vec![register];
        let whole = crate::lower::draft::Back {
            firsts: if back.firsts.is_empty() { earlier.firsts.clone() } else { back.firsts },
            lasts: earlier.lasts,
        };
        return Lowered { entries, starts: id, ready, back: whole };
    }
    Lowered { entries, starts: id, ready, back }
}

fn describe_cluster(cluster: &str) -> Call {
    ecs("DescribeClusters", json!({"clusters": [cluster]}))
}

/// A RunTask node.
fn started(
    context: Context<'_>,
    desired: &Desired,
    task: &OnceTask,
    id: &str,
    phase: Phase,
    definition: &Value,
    command: Option<&[String]>,
) -> Node {
    let cluster = context.settings.cluster.as_str();
    let component = desired.component.as_str();
    let mut input: Map<String, Value> = task.run.clone();
    let mut tags: Vec<Value> = task.run.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    tags.extend(owner_tags(context, component));
    for (name, value) in [
        ("cluster", json!(cluster)),
        ("taskDefinition", definition.clone()),
        ("count", json!(1)),
        ("clientToken", run_token()),
        // It tells this task from all others, whatever became of the answer.
        ("startedBy", run_token()),
        ("tags", Value::Array(tags)),
    ] {
        input.insert(name.to_owned(), value);
    }
    if let Some(command) = command {
        input.insert("overrides".to_owned(), json!({"containerOverrides": [{"name": component, "command": command}]}));
    }
    // HTTP 200 may hide that nothing was started.
    let expect = Some("length(failures) == `0` && length(tasks) == `1`".to_owned());
    let action = Action::Call { call: ecs("RunTask", Value::Object(input)), expect };
    let mut out = node(id.to_owned(), Some(component), phase, String::new(), action);
    out.unguarded = Some("a task of its own changes nothing that this plan relies on".to_owned());
    // A task that ended before anybody could ask is not listed any more; its token makes AWS name it again.
    out.probe = Some(probe(
        ecs("ListTasks", json!({"cluster": cluster, "startedBy": run_token()})),
        "length(taskArns) > `0`",
        "{tasks: taskArns[].{taskArn: @}, failures: `[]`}",
        [],
    ));
    out
}

/// Waits until the task that `source` started has ended with exit code 0.
fn succeeded(context: Context<'_>, desired: &Desired, task: &OnceTask, source: &str) -> Action {
    let cluster = context.settings.cluster.as_str();
    let arn = output(source, "tasks[0].taskArn");
    let describe = || ecs("DescribeTasks", json!({"cluster": cluster, "tasks": [arn.clone()]}));
    let ended = "length([0].tasks[?lastStatus=='STOPPED']) == `1`";
    let good = format!("length([0].tasks[0].containers[?name=='{}' && exitCode==`0`])", desired.component);
    Action::Wait {
        wait: Wait {
            reads: vec![describe()],
            until: format!("{ended} && {good} == `1`"),
            fail: vec![Fail {
                when: format!("{ended} && {good} == `0`"),
                reason: "the task ended without success".to_owned(),
            }],
            progress: Some("[0].tasks[0].lastStatus".to_owned()),
            // A task that works shows no progress from outside.
            no_progress: task.timeout,
            overall: task.timeout,
            hold: 0,
            interval: context.settings.poll_interval,
            bind: BTreeMap::new(),
            evidence: evidence(desired, describe()),
        },
    }
}

/// Why the task ended, and the end of its output where that is in CloudWatch.
fn evidence(desired: &Desired, describe: Call) -> Vec<Evidence> {
    let mut all = vec![Evidence {
        title: "the task".to_owned(),
        reads: vec![describe.clone()],
        lines: concat!(
            "[0].tasks[].join(': ', [taskArn, stoppedReason || 'not stopped', ",
            "join('; ', containers[].join(' ', ['container', name, ",
            "not_null(exitCode && join(' ', ['exited with code', to_string(exitCode)]), reason, lastStatus)]))])"
        )
        .to_owned(),
        bind: BTreeMap::new(),
    }];
    let name = desired.component.as_str();
    let container = items(&desired.task, "containerDefinitions").iter().find(|c| text(c, "name") == Some(name));
    let logs = container.and_then(|c| c.get("logConfiguration")).filter(|l| text(l, "logDriver") == Some("awslogs"));
    let options = logs.and_then(|l| l.get("options"));
    let option = |name: &str| options.and_then(|o| text(o, name));
    if let (Some(group), Some(prefix)) = (option("awslogs-group"), option("awslogs-stream-prefix")) {
        let quoted = format!("{prefix}/{name}/").replace('\\', "\\\\").replace('\'', "\\'");
        all.push(Evidence {
            title: "the end of its output".to_owned(),
            reads: vec![
                describe,
                // A task that never started wrote nothing: what earlier ones wrote would mislead.
                call(
                    "logs",
                    "DescribeLogStreams",
                    json!({"logGroupName": group, "logStreamNamePrefix": output("@0", &format!("tasks[0].startedAt && '{quoted}'"))}),
                ),
                call(
                    "logs",
                    "GetLogEvents",
                    json!({"logGroupName": group, "limit": TAIL, "startFromHead": false,
                        "logStreamName": output("@1", "sort_by(logStreams, &creationTime)[-1].logStreamName")}),
                ),
            ],
            lines: "[2].events[].message".to_owned(),
            bind: BTreeMap::new(),
        });
    }
    all
}

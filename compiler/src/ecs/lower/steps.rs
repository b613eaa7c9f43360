//! The alarms of policies that scale in steps: put once their policy is there, whose ARN is their action, and deleted
//! before it.
//!
//! Invariants: a policy that is deleted and made again has another ARN, so the way back of a deleted alarm looks up the
//! one that the policy has then; what an alarm does when it is over, which people add, stays.

use std::collections::BTreeSet;

use belay_schemas::plan::{Action, Call, Phase};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::desired::{Scaling, Step, is_alarm_of};
use crate::ecs::json::text;
use crate::lower::COMMIT;
use crate::lower::draft::{Draft, call, guard_after, node, probe};

use super::change::{Change, found_node};
use super::scaling::{Running, Subject, legal};

/// What PutMetricAlarm takes of what DescribeAlarms shows.
const MEMBERS: [&str; 19] = [
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
];
/// Actions that are nobody's business here: people add them.
const OTHERS: [&str; 2] = ["OKActions", "InsufficientDataActions"];

/// The alarm in what DescribeAlarms answers. Nobody promises in which order it tells dimensions.
const FOUND: &str = "MetricAlarms[].merge(@, {Dimensions: sort_by(Dimensions || `[]`, &Name)}) | [0]";

/// A policy that scales in steps, as Application Auto Scaling shows it.
pub fn content(step: &Step) -> Value {
    json!({"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": step.policy})
}

/// Whether a policy scales in steps.
pub fn is_step(policy: &Value) -> bool {
    text(policy, "PolicyType") == Some("StepScaling")
}

/// The alarms that differ.
pub fn alarms<'a>(subject: &Subject<'a>, wanted: &Scaling, running: &Running<'a>, changes: &mut Vec<Change<'a>>) {
    for (policy, step) in &wanted.steps {
        let arn = match running.policies.get(policy.as_str()).and_then(|p| text(p, "PolicyARN")) {
            Some(arn) => json!(arn),
            None => json!({"$output": subject.policy_node(policy), "path": "PolicyARN"}),
        };
        let name = &step.alarm_name;
        let now = subject.context.facts.and_then(|facts| facts.alarm(name));
        let from = now.map_or(Value::Null, picked);
        let mut to = step.alarm.clone();
        to["ActionsEnabled"] = json!(true);
        to["AlarmActions"] = json!([arn]);
        for member in OTHERS {
            if let Some(others) = from.get(member) {
                to[member] = others.clone();
            }
        }
        if from.is_null() || normal(&from) != normal(&to) {
            changes.push(alarm(subject, name, from, to, &step.place));
        }
    }
}

fn picked(alarm: &Value) -> Value {
    let given = |member: &&&str| alarm.get(**member).is_some_and(|v| !v.is_null() && *v != json!([]));
    let members = MEMBERS.iter().filter(given).map(|member| ((*member).to_owned(), alarm[*member].clone()));
    let mut out = Value::Object(members.collect());
    if let Some(Value::Array(dimensions)) = out.get_mut("Dimensions") {
        dimensions.sort_by_cached_key(|d| text(d, "Name").map(str::to_owned));
    }
    out
}

/// What CloudWatch fills in is no difference, nor are other people's actions.
fn normal(alarm: &Value) -> Value {
    let Value::Object(members) = alarm else { return alarm.clone() };
    let mut out: Map<String, Value> = members
        .iter()
        .filter(|(name, _)| !OTHERS.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    for (member, default) in [
        ("ActionsEnabled", json!(true)),
        ("TreatMissingData", json!("missing")),
        ("DatapointsToAlarm", alarm["EvaluationPeriods"].clone()),
    ] {
        out.entry(member).or_insert(default);
    }
    for value in out.values_mut() {
        if let Value::Number(number) = value {
            *value = json!(number.as_f64());
        }
    }
    Value::Object(out)
}

/// PutMetricAlarm or, where there is to be none, DeleteAlarms.
fn put(subject: &Subject<'_>, name: &str, content: &Value) -> Call {
    let tags: Vec<Value> = [("project", subject.context.options.project.as_str()), ("component", subject.component)]
        .iter()
        .map(|(key, value)| json!({"Key": subject.context.tag(key), "Value": value}))
        .collect();
    match content {
        Value::Object(members) => {
            let mut input = members.clone();
            input.insert("AlarmName".to_owned(), json!(name));
            input.insert("Tags".to_owned(), json!(tags));
            call("cloudwatch", "PutMetricAlarm", Value::Object(input))
        }
        _ => call("cloudwatch", "DeleteAlarms", json!({"AlarmNames": [name]})),
    }
}

fn node_id(subject: &Subject<'_>, name: &str) -> String {
    format!("{}.scaling.alarm.{}", subject.component, legal(key(name)))
}

fn alarm<'a>(subject: &Subject<'a>, name: &str, from: Value, to: Value, place: &Place) -> Change<'a> {
    Change {
        id: node_id(subject, name),
        component: Some(subject.component),
        summary: format!("put alarm {name}, which lets {} scale", subject.service),
        why: subject.why(place, &format!("alarm {name}"), &from, &shown(&to)),
        forward: put(subject, name, &to),
        back_summary: if from.is_null() { format!("take alarm {name} away") } else { format!("put alarm {name} back") },
        back: put(subject, name, &from),
        read: describe(name),
        answer: None,
        find: None,
        found: FOUND.to_owned(),
        from,
        to,
    }
}

/// The alarms of ours that nobody wants any more.
pub fn retired<'a>(subject: &Subject<'a>, wanted: Option<&Scaling>, place: &Place, changes: &mut Vec<Change<'a>>) {
    let kept: BTreeSet<&str> = wanted.iter().flat_map(|w| w.steps.values()).map(|s| s.alarm_name.as_str()).collect();
    for (name, alarm) in ours(subject).filter(|(name, _)| !kept.contains(name)) {
        let id = node_id(subject, name);
        let mut from = picked(alarm);
        let mut back = from.clone();
        // Its policy may have to be made again first.
        let policy = format!("{}.{}", subject.service, key(name));
        let mut find = None;
        if let Some(arn) = subject.policy_arn(&policy) {
            let path = format!("ScalingPolicies[?PolicyName=='{policy}'] | [0].PolicyARN");
            for action in back["AlarmActions"].as_array_mut().into_iter().flatten().filter(|a| **a == *arn) {
                *action = json!({"$output": found_node(&id), "path": path});
            }
            find = Some((
                format!("look for scaling policy {} of {}", key(name), subject.service),
                subject.describe_policies(),
            ));
        }
        if let Some(members) = from.as_object_mut().filter(|_| find.is_some()) {
            members.remove("AlarmActions");
        }
        changes.push(Change {
            id,
            component: Some(subject.component),
            summary: format!("delete alarm {name}"),
            why: subject.why(place, &format!("alarm {name}"), &from, &Value::Null),
            forward: put(subject, name, &Value::Null),
            back_summary: format!("put alarm {name} back"),
            back: put(subject, name, &back),
            read: describe(name),
            answer: None,
            find,
            found: FOUND.to_owned(),
            from,
            to: Value::Null,
        });
    }
}

/// Observed alarms of this component's policies; what else people call alike is theirs.
fn ours<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let prefix = format!("{}.", subject.context.family(subject.component));
    let (cluster, service) = (&subject.context.settings.cluster, subject.service.to_owned());
    let all = subject.context.facts.into_iter().flat_map(|facts| facts.alarms());
    all.filter(move |(name, alarm)| {
        name.strip_prefix(&prefix).is_some_and(|key| is_alarm_of(alarm, cluster, &service, key))
    })
}

/// For people: an action that is known only in the run is left out.
fn shown(alarm: &Value) -> Value {
    let mut shown = alarm.clone();
    if let (Some(members), true) = (shown.as_object_mut(), alarm["AlarmActions"][0].is_object()) {
        members.remove("AlarmActions");
    }
    shown
}

fn key(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn describe(name: &str) -> Call {
    call("cloudwatch", "DescribeAlarms", json!({"AlarmNames": [name]}))
}

/// Deletes the alarms of a service that is deleted, after the commit point. The nodes.
pub fn delete(subject: &Subject<'_>, draft: &mut Draft) -> Vec<String> {
    let place = Place::model(["components"]).key();
    let mut added = Vec::new();
    for (name, alarm) in ours(subject) {
        let id = node_id(subject, name);
        let mut forward = node(
            id.clone(),
            Some(subject.component),
            Phase::Finalize,
            format!("delete alarm {name}"),
            Action::Call { call: put(subject, name, &Value::Null), expect: None },
        );
        forward.why = subject.why(&place, &format!("alarm {name}"), &picked(alarm), &Value::Null);
        forward.guards = vec![guard_after(COMMIT, describe(name), [("length(MetricAlarms)", json!(1))])];
        forward.probe = Some(probe(describe(name), "length(MetricAlarms) == `0`", "`{}`", []));
        forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
        draft.add(forward);
        draft.after(COMMIT, &id);
        added.push(id);
    }
    added
}

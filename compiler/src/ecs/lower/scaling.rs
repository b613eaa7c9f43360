//! How the number of tasks follows the load: the scalable target of a service with its policies and scheduled actions.
//!
//! Invariants: it is put in place when the service runs, and goes back before the service does; only policies and actions
//! with our names are touched, and the target is given up only when nothing of others hangs on it.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::plan::{Action, Call, Phase, Why};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::desired::Scaling;
use crate::ecs::diff;
use crate::ecs::json::text;

use super::change::Change;
use super::steps;
use crate::lower::COMMIT;
use crate::lower::draft::{Back, Draft, call, guard_after, node, probe};

const DIMENSION: &str = "ecs:service:DesiredCount";

/// What is observed of a service's scaling.
#[derive(Debug, Default)]
pub struct Running<'a> {
    target: Option<&'a Value>,
    /// By name.
    pub policies: BTreeMap<&'a str, &'a Value>,
    actions: BTreeMap<&'a str, &'a Value>,
}

/// One scaled service.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub context: Context<'a>,
    pub component: &'a str,
    pub service: &'a str,
}

impl<'a> Subject<'a> {
    fn resource(&self) -> String {
        format!("service/{}/{}", self.context.settings.cluster, self.service)
    }

    /// A call about the number of its tasks.
    pub fn call(&self, operation: &str, more: Value) -> Call {
        let mut input =
            json!({"ServiceNamespace": "ecs", "ResourceId": self.resource(), "ScalableDimension": DIMENSION});
        if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
            input.extend(more);
        }
        call("application-autoscaling", operation, input)
    }

    fn running(&self) -> Running<'a> {
        let Some(facts) = self.context.facts else { return Running::default() };
        let resource = self.resource();
        let mine = |v: &&Value| text(v, "ResourceId") == Some(&resource);
        let named = |list: &[&'a Value], member: &str| -> BTreeMap<&'a str, &'a Value> {
            list.iter().copied().filter(mine).filter_map(|v| text(v, member).map(|n| (n, v))).collect()
        };
        Running {
            target: facts.scalable_targets.iter().copied().find(mine),
            policies: named(&facts.scaling_policies, "PolicyName"),
            actions: named(&facts.scheduled_actions, "ScheduledActionName"),
        }
    }

    /// The node that puts a policy.
    pub fn policy_node(&self, name: &str) -> String {
        format!("{}.scaling.{}.{}", self.component, POLICY.id, legal(name.rsplit('.').next().unwrap_or(name)))
    }

    /// The ARN of a policy, as it was observed.
    pub fn policy_arn(&self, name: &str) -> Option<&'a str> {
        self.running().policies.get(name).and_then(|policy| text(policy, "PolicyARN"))
    }

    /// Reads its policies.
    pub fn describe_policies(&self) -> Call {
        self.call(POLICY.describe, json!({}))
    }

    /// Why something about it changes. Whatever comes or goes as a whole is told by its name.
    pub fn why(&self, place: &Place, name: &str, from: &Value, to: &Value) -> Vec<Why> {
        let (from, to) = match (from, to) {
            (Value::Null, _) => (Value::Null, json!(name)),
            (_, Value::Null) => (json!(name), Value::Null),
            (from, to) => (configured(from), configured(to)),
        };
        vec![diff::why(self.context, place, from, to)]
    }
}

/// What a policy is configured to do, without the member that holds it.
fn configured(content: &Value) -> Value {
    let members = ["TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"];
    members.iter().find_map(|member| content.get(member)).unwrap_or(content).clone()
}

/// Adds the nodes that bring a service's scaling about; returns them in their order, each with
/// its way back.
pub fn lower(subject: Subject<'_>, wanted: Option<&Scaling>, draft: &mut Draft) -> Vec<(String, Back)> {
    let running = subject.running();
    let ours = format!("{}.", subject.service);
    let mut changes = Vec::new();
    match wanted {
        Some(wanted) => {
            let limits = json!({"MinCapacity": wanted.min, "MaxCapacity": wanted.max});
            let now = running
                .target
                .map_or(Value::Null, |t| json!({"MinCapacity": t["MinCapacity"], "MaxCapacity": t["MaxCapacity"]}));
            if now != limits {
                changes.push(target(&subject, &now, &limits, &wanted.place));
            }
            let policies = wanted.policies.iter().map(|(n, (v, p))| (n.as_str(), tracking(v), p));
            let steps = wanted.steps.iter().map(|(n, step)| (n.as_str(), steps::content(step), &step.place));
            let wanted_policies: Vec<_> = policies.chain(steps).collect();
            // An alarm comes after the policy that it asks to act, and goes before it.
            steps::retired(&subject, Some(wanted), &wanted.place, &mut changes);
            things(&subject, &POLICY, wanted_policies, &running.policies, &ours, &wanted.place, &mut changes);
            steps::alarms(&subject, wanted, &running, &mut changes);
            let actions = wanted.actions.iter().map(|(n, (v, p))| (n.as_str(), v.clone(), p));
            things(&subject, &ACTION, actions.collect(), &running.actions, &ours, &wanted.place, &mut changes);
        }
        None => {
            let place = Place::model(["components", subject.component]).key();
            steps::retired(&subject, None, &place, &mut changes);
            things(&subject, &POLICY, Vec::new(), &running.policies, &ours, &place, &mut changes);
            things(&subject, &ACTION, Vec::new(), &running.actions, &ours, &place, &mut changes);
            let others = running.policies.keys().chain(running.actions.keys()).any(|name| !name.starts_with(&ours));
            if let (Some(target), false) = (running.target, others) {
                let now = json!({"MinCapacity": target["MinCapacity"], "MaxCapacity": target["MaxCapacity"]});
                changes.push(self::target(&subject, &now, &Value::Null, &place));
            }
        }
    }
    let mut done: Vec<(String, Back)> = Vec::new();
    for change in changes {
        let (id, back) = change.add(draft);
        if let Some((before, earlier)) = done.last() {
            draft.after(before, &id);
            draft.back_before(&back, earlier);
        }
        done.push((id, back));
    }
    done
}

/// A policy that keeps a metric at a value, as Application Auto Scaling shows it.
fn tracking(content: &Value) -> Value {
    json!({"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": content})
}

fn target<'a>(subject: &Subject<'a>, from: &Value, to: &Value, place: &Place) -> Change<'a> {
    let set = |limits: &Value| match limits {
        Value::Null => subject.call("DeregisterScalableTarget", json!({})),
        limits => subject.call("RegisterScalableTarget", limits.clone()),
    };
    let service = subject.service;
    let words = |limits: &Value| match limits {
        Value::Null => format!("let the number of tasks of {service} stay as it is"),
        limits => {
            format!("let the number of tasks of {service} be {} to {}", limits["MinCapacity"], limits["MaxCapacity"])
        }
    };
    let told = |limits: &Value| match limits {
        Value::Null => Value::Null,
        limits => json!(format!("{} to {} tasks", limits["MinCapacity"], limits["MaxCapacity"])),
    };
    Change {
        id: format!("{}.scaling.target", subject.component),
        component: Some(subject.component),
        summary: words(to),
        why: vec![diff::why(subject.context, place, told(from), told(to))],
        forward: set(to),
        back_summary: words(from),
        back: set(from),
        read: describe_target(subject),
        found: "ScalableTargets[0]".to_owned(),
        answer: None,
        find: None,
        from: from.clone(),
        to: to.clone(),
    }
}

/// What policies and scheduled actions differ in.
struct Kind {
    word: &'static str,
    id: &'static str,
    name: &'static str,
    put: &'static str,
    delete: &'static str,
    describe: &'static str,
    list: &'static str,
    /// Members that make up its content.
    members: &'static [&'static str],
}

const POLICY: Kind = Kind {
    word: "scaling policy",
    id: "policy",
    name: "PolicyName",
    put: "PutScalingPolicy",
    delete: "DeleteScalingPolicy",
    describe: "DescribeScalingPolicies",
    list: "ScalingPolicies",
    members: &["PolicyType", "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"],
};
const ACTION: Kind = Kind {
    word: "scheduled limits",
    id: "schedule",
    name: "ScheduledActionName",
    put: "PutScheduledAction",
    delete: "DeleteScheduledAction",
    describe: "DescribeScheduledActions",
    list: "ScheduledActions",
    members: &["Schedule", "Timezone", "ScalableTargetAction", "StartTime", "EndTime"],
};

fn things<'a, 'w>(
    subject: &Subject<'a>,
    kind: &Kind,
    wanted: Vec<(&'w str, Value, &'w Place)>,
    running: &BTreeMap<&str, &Value>,
    ours: &str,
    at: &Place,
    changes: &mut Vec<Change<'a>>,
) {
    let mut kept = BTreeSet::new();
    for (name, content, place) in wanted {
        kept.insert(name.to_owned());
        let now = running.get(name).map_or(Value::Null, |v| picked(v, kind.members));
        if normal(&now) != normal(&content) {
            changes.push(thing(subject, kind, name, &now, &content, place));
        }
    }
    for (name, now) in running.iter().filter(|(name, _)| name.starts_with(ours) && !kept.contains(**name)) {
        changes.push(thing(subject, kind, name, &picked(now, kind.members), &Value::Null, at));
    }
}

fn picked(value: &Value, members: &[&str]) -> Value {
    let members =
        members.iter().filter_map(|m| Some(((*m).to_owned(), value.get(*m).filter(|v| !v.is_null())?.clone())));
    Value::Object(members.collect())
}

/// What Application Auto Scaling fills in is no difference; numbers are compared by value.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let filled = |name: &str, value: &Value| match name {
                "ScaleOutCooldown" | "ScaleInCooldown" | "Cooldown" => value.as_f64() == Some(300.0),
                "MetricAggregationType" => value.as_str() == Some("Average"),
                "DisableScaleIn" => *value == Value::Bool(false),
                "Timezone" => value.as_str() == Some("UTC"),
                _ => false,
            };
            let kept = map.iter().filter(|(name, value)| !filled(name, value));
            Value::Object(kept.map(|(name, value)| (name.clone(), normal(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

fn thing<'a>(subject: &Subject<'a>, kind: &Kind, name: &str, from: &Value, to: &Value, place: &Place) -> Change<'a> {
    let key = name.rsplit('.').next().unwrap_or(name);
    let set = |content: &Value| {
        let mut input = json!({kind.name: name});
        match (content, &mut input) {
            (Value::Object(content), Value::Object(input)) => {
                input.extend(content.clone());
                subject.call(kind.put, Value::Object(input.clone()))
            }
            _ => subject.call(kind.delete, input),
        }
    };
    let words = |content: &Value| match content {
        Value::Null => format!("take {} {key} of {} away", kind.word, subject.service),
        _ => format!("put {} {key} of {}", kind.word, subject.service),
    };
    let found = format!("{}[?{}=='{name}'] | [0]", kind.list, kind.name);
    Change {
        id: format!("{}.scaling.{}.{}", subject.component, kind.id, legal(key)),
        component: Some(subject.component),
        summary: words(to),
        why: subject.why(place, &format!("{} {key}", kind.word), from, to),
        forward: set(to),
        back_summary: if from.is_null() {
            words(from)
        } else {
            format!("put {} {key} of {} back", kind.word, subject.service)
        },
        back: set(from),
        read: call(
            "application-autoscaling",
            kind.describe,
            json!({"ServiceNamespace": "ecs", "ResourceId": subject.resource(), "ScalableDimension": DIMENSION}),
        ),
        find: None,
        // Its alarm refers to it.
        answer: steps::is_step(to).then(|| format!("{{PolicyARN: ({found}).PolicyARN}}")),
        found,
        from: from.clone(),
        to: to.clone(),
    }
}

/// What may stand in the id of a node.
pub fn legal(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

/// Keeps the scaling of a service that is taken away from starting its tasks again; nothing if it has none.
pub fn suspend(subject: Subject<'_>, draft: &mut Draft) -> Option<(String, Back)> {
    let target = subject.running().target?;
    let state = |all: bool| json!({"DynamicScalingInSuspended": all, "DynamicScalingOutSuspended": all, "ScheduledScalingSuspended": all});
    let before = target.get("SuspendedState").filter(|s| s.is_object()).cloned().unwrap_or_else(|| state(false));
    let set = |state: &Value| subject.call("RegisterScalableTarget", json!({"SuspendedState": state}));
    let place = Place::model(["components"]).key();
    let change = Change {
        id: format!("{}.scaling.suspend", subject.component),
        component: Some(subject.component),
        summary: format!("suspend the scaling of {}", subject.service),
        why: vec![diff::why(subject.context, &place, json!(subject.service), Value::Null)],
        forward: set(&state(true)),
        back_summary: format!("let the number of tasks of {} follow the load again", subject.service),
        back: set(&before),
        read: describe_target(&subject),
        found: "ScalableTargets[0].SuspendedState".to_owned(),
        answer: None,
        find: None,
        from: before,
        to: state(true),
    };
    Some(change.add(draft))
}

/// Gives the scalable target of a service up, its policies and its alarms with it, after the commit point.
pub fn give_up(subject: Subject<'_>, draft: &mut Draft) -> Option<String> {
    subject.running().target?;
    let alarms = steps::delete(&subject, draft);
    let id = format!("{}.scaling.give-up", subject.component);
    let mut forward = node(
        id.clone(),
        Some(subject.component),
        Phase::Finalize,
        format!("give up the scaling of {}", subject.service),
        Action::Call { call: subject.call("DeregisterScalableTarget", json!({})), expect: None },
    );
    forward.guards = vec![guard_after(COMMIT, describe_target(&subject), [("length(ScalableTargets)", json!(1))])];
    forward.probe = Some(probe(describe_target(&subject), "length(ScalableTargets) == `0`", "`{}`", []));
    forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
    draft.add(forward);
    draft.after(COMMIT, &id);
    for alarm in alarms {
        draft.after(&alarm, &id);
    }
    Some(id)
}

fn describe_target(subject: &Subject<'_>) -> Call {
    call(
        "application-autoscaling",
        "DescribeScalableTargets",
        json!({"ServiceNamespace": "ecs", "ResourceIds": [subject.resource()], "ScalableDimension": DIMENSION}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_fills_in_is_no_difference_and_the_side_of_a_step_is_one() {
        let policy = |step: Value, more: Value| {
            let mut configuration = json!({"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [step]});
            if let (Value::Object(configuration), Value::Object(more)) = (&mut configuration, more) {
                configuration.extend(more);
            }
            normal(&json!({"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": configuration}))
        };
        let above = || json!({"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1});
        let filled = json!({"Cooldown": 300, "MetricAggregationType": "Average"});
        assert_eq!(policy(above(), filled), policy(above(), json!({})));
        assert_ne!(policy(above(), json!({"Cooldown": 60})), policy(above(), json!({})));
        let below = json!({"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 1});
        assert_ne!(policy(below, json!({})), policy(above(), json!({})));
    }
}

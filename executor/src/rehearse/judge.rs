//! Whether a run ended as it must.
//!
//! Invariants: the target is what the undisturbed run left, the initial state what was there before; both are compared
//! as essences of worlds that have come to rest; what is not excused is a violation.

use std::collections::BTreeMap;

use belay_schemas::plan::{Node, Phase, Plan};
use belay_schemas::rehearsal::End;
use serde_json::Value;

use super::drill::{Drilled, Scene};
use crate::run::{NodeWord, Outcome, RunStatus};
use crate::simulator::world::Outcome as CallOutcome;
use crate::simulator::{Time, World, concerns, essence, without_kept_logs};

/// Seconds after which everything has come to rest: AWS calls a task without health checks healthy some time after it
/// runs, and shows nobody that it waits.
const REST: u64 = 60;
/// Operations that make something new each time.
const MAKES: [&str; 7] = [
    "CreateAutoScalingGroup",
    "CreateLaunchConfiguration",
    "CreateLaunchTemplate",
    "CreateLaunchTemplateVersion",
    "CreateService",
    "RegisterTaskDefinition",
    "RunTask",
];
/// Differences that are told of one run.
const TOLD: usize = 5;

/// The two states that a run may end in.
pub(super) struct States {
    pub initial: Value,
    pub target: Option<Value>,
    pub floors: Vec<u64>,
}

/// Calls that make something anew: how often, by operation and what they are about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Makes(BTreeMap<(String, String), u64>);

impl Makes {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mutations = plan.nodes.iter().filter(|node| node.each.is_none()).filter_map(|node| node.action.mutation());
        Self::count(mutations.map(|call| (call.operation.as_str(), concerns(&call.input))))
    }

    fn count<'a>(calls: impl Iterator<Item = (&'a str, String)>) -> Self {
        let mut makes = Self::default();
        for (operation, concerns) in calls.filter(|(operation, _)| MAKES.contains(operation)) {
            *makes.0.entry((operation.to_owned(), concerns)).or_default() += 1;
        }
        makes
    }
}

/// What a run is found to be.
pub(super) struct Judgement {
    pub end: End,
    pub wrong: Vec<String>,
}

/// What a world looks like once it has come to rest.
pub(super) fn at_rest(pins: &Pins, mut world: World) -> Value {
    world.advance(Time::from_seconds(world.now.seconds() + REST));
    pins.put_in(essence(&world))
}

impl States {
    /// Judges a run.
    pub fn judge(&self, scene: &Scene, run: &Drilled) -> Judgement {
        let mut wrong = Vec::new();
        let plan = scene.plan();
        let end = match &run.status {
            Err(error) => {
                wrong.push(format!("the run breaks off: {error}"));
                End::Neither
            }
            Ok(status) => {
                let end = self.end(scene, status, run, &mut wrong);
                obligations(plan, status, &mut wrong);
                end
            }
        };
        if let Some(stuck) = &run.stuck {
            let told = stuck.stuck.iter().map(|node| format!("{}: {}", node.node, node.reason));
            let told: Vec<String> = told.collect();
            if told.is_empty() {
                wrong.push("it is stuck and does not say at which step".to_owned());
            } else if !run.may_be_stuck {
                wrong.push(format!("it is stuck although there is a way back: {}", told.join("; ")));
            }
        }
        if run.fired.iter().any(|(happened, _)| !happened) {
            wrong.push("the fault never happened: its step was not come to".to_owned());
        }
        let own = run.initial.is_none();
        for (at, name) in scene.components.names.iter().enumerate().filter(|_| own) {
            let (least, floor) = (run.lowest.levels[at], self.floors[at]);
            if least < floor {
                wrong.push(format!("{name} falls to {least} healthy, its floor is {floor}"));
            }
        }
        wrong.extend(doubled(&scene.makes, run));
        Judgement { end, wrong }
    }

    fn end(&self, scene: &Scene, status: &RunStatus, run: &Drilled, wrong: &mut Vec<String>) -> End {
        let (end, expected) = match status.outcome {
            Some(Outcome::Done | Outcome::NothingToDo | Outcome::RolledBack { .. }) if run.initial.is_some() => {
                wrong.push("what somebody else deployed since was not noticed before the first change".to_owned());
                return End::Neither;
            }
            Some(Outcome::Done | Outcome::NothingToDo) => (End::Target, self.target.as_ref()),
            Some(Outcome::RolledBack { .. } | Outcome::Stale | Outcome::Environment) => {
                (End::Initial, Some(run.initial.as_ref().unwrap_or(&self.initial)))
            }
            other => {
                let other = other.map_or("it has no end".to_owned(), |other| format!("it ends as {other:?}"));
                wrong.push(format!("{other}: {}", reasons(status)));
                return End::Neither;
            }
        };
        let Some(expected) = expected else { return end };
        let mut found = scene.at_rest(run.world.clone());
        if end == End::Initial {
            found = without_kept_logs(found, &run.world, expected);
        }
        let mut places = Vec::new();
        differences("", &found, expected, &mut places);
        if places.is_empty() {
            return end;
        }
        let name = if end == End::Target { "target" } else { "initial" };
        let more = places.len().saturating_sub(TOLD);
        places.truncate(TOLD);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        wrong.push(format!("it says that the {name} state is reached, but {}{rest}", places.join("; ")));
        End::Neither
    }
}

/// Why a run stands where it stands.
pub(super) fn reasons(status: &RunStatus) -> String {
    let failures = status.failures().map(|(node, failure)| format!("{node}: {}", failure.reason));
    let stuck = status.stuck.iter().map(|node| format!("{}: {}", node.node, node.reason));
    let stale = status.stale.iter().map(ToString::to_string);
    let all: Vec<String> = failures.chain(stuck).chain(stale).collect();
    if all.is_empty() { "no reason is given".to_owned() } else { all.join("; ") }
}

/// Temporary changes that were made and not taken away.
fn obligations(plan: &Plan, status: &RunStatus, wrong: &mut Vec<String>) {
    let words: BTreeMap<&str, NodeWord> = status.nodes.iter().map(|n| (n.node.as_str(), n.state)).collect();
    let is = |id: &str, word: NodeWord| words.get(id) == Some(&word);
    for node in &plan.nodes {
        let Some(obligation) = &node.obligation else { continue };
        if matches!(status.outcome, Some(Outcome::Done)) {
            if is(&node.id, NodeWord::Done) && !is(&obligation.forward, NodeWord::Done) {
                wrong.push(format!("{}: still so at the end: {}", node.id, obligation.what));
            }
        } else if is(&node.id, NodeWord::Done) || is(&node.id, NodeWord::Unknown) {
            // A node that was undone says so; this one took effect and was left.
            wrong.push(format!("{}: still so after going back: {}", node.id, obligation.what));
        }
    }
}

/// Calls that make something new with each repetition, and were repeated.
fn doubled(planned: &Makes, run: &Drilled) -> Vec<String> {
    let worked = run.world.log.iter().filter(|call| call.outcome == CallOutcome::Ok);
    let made = Makes::count(worked.map(|call| (call.operation.as_str(), call.concerns.clone())));
    let too_many = made.0.into_iter().filter_map(|(what, made)| {
        let planned = planned.0.get(&what).copied()?;
        let (operation, concerns) = what;
        (made > planned).then(|| format!("{operation} of {concerns} took effect {made} times instead of {planned}"))
    });
    too_many.collect()
}

/// The images of revisions that only ways back use, and those that they stand for: going back to a twin that names the
/// bytes that ran is going back.
#[derive(Debug, Default)]
pub(super) struct Pins(Vec<(String, String)>);

impl Pins {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut pins = Vec::new();
        for call in plan.nodes.iter().filter(|node| is_twin(plan, node)).filter_map(|node| node.action.mutation()) {
            for container in call.input["containerDefinitions"].as_array().into_iter().flatten() {
                let (name, image) = (container["name"].as_str().unwrap_or_default(), container["image"].as_str());
                let key = format!(":image:{name}");
                for tag in call.input["tags"].as_array().into_iter().flatten() {
                    if tag["key"].as_str().is_some_and(|k| k.ends_with(&key)) {
                        let bare = |text: Option<&str>| text.unwrap_or_default().to_owned();
                        pins.push((bare(tag["value"].as_str()), bare(image)));
                    }
                }
            }
        }
        Self(pins)
    }

    /// An essence in which each of these images is the one that it stands for.
    fn put_in(&self, mut essence: Value) -> Value {
        if self.0.is_empty() {
            return essence;
        }
        self.name(&mut essence);
        for contents in essence["taskDefinitions"].as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
            if let Some(list) = contents.as_array_mut() {
                list.sort_by_cached_key(Value::to_string);
                list.dedup();
            }
        }
        essence
    }

    fn name(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for (stands_for, image) in &self.0 {
                    if text == stands_for {
                        text.clone_from(image);
                    } else if text.len() > stands_for.len() && text.contains(stands_for.as_str()) {
                        // JSON in a string.
                        *text = text.replace(&format!("\"{stands_for}\""), &format!("\"{image}\""));
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.name(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.name(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a node registers a revision that no step forward uses.
fn is_twin(plan: &Plan, node: &Node) -> bool {
    let registers = node.action.mutation().is_some_and(|call| call.operation == "RegisterTaskDefinition");
    let uses = |other: &Node| {
        let mut found = false;
        if let Some(call) = other.action.mutation() {
            let _ = belay_schemas::late::Late::each(&call.input, &mut |late| {
                found |= matches!(late, belay_schemas::late::Late::Output { node: from, .. } if *from == node.id);
            });
        }
        found
    };
    registers && !plan.nodes.iter().any(|other| other.phase == Phase::Deploy && uses(other))
}

/// The places at which a state is not what it should be.
fn differences(path: &str, found: &Value, expected: &Value, out: &mut Vec<String>) {
    match (found, expected) {
        _ if found == expected => {}
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let none = Value::Null;
                differences(&format!("{path}/{name}"), a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{i}"), a, b, out);
            }
        }
        _ => out.push(format!("{path} is {} instead of {}", short(found), short(expected))),
    }
}

/// A value in a few words.
fn short(value: &Value) -> String {
    let text = if value.is_null() { "absent".to_owned() } else { value.to_string() };
    if text.chars().count() <= 160 { text } else { format!("{}…", text.chars().take(160).collect::<String>()) }
}

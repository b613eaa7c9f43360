//! Tasks that start at certain times: by schedules of EventBridge Scheduler, or by rules ([`super::event_rules`]).
//!
//! Invariants: an update overwrites everything of a schedule, so its way back puts everything back that was observed;
//! whose a schedule is stands in the tags of the tasks that it starts, because schedules have none; a component that goes
//! from the one to the other is never started by both.

use belay_schemas::late::{output, run_token};
use belay_schemas::model::ScheduledBy;
use belay_schemas::plan::{Action, Call, Change as Kind, ComponentSummary, Phase, Why};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::desired::{Desired, Settled, Timetable, settle};
use crate::ecs::diff::{self, Difference};
use crate::ecs::facts::{EventRule, Facts, owner};
use crate::ecs::json::{items, tag, tag_entry, text};

use super::change::Change;
use super::event_rules::{self, Subject};
use super::register::{ARN, register};
use crate::lower::draft::{Back, Draft, call, guard_after, node, probe};
use crate::lower::{COMMIT, Lowered, Part, removal_reason};

/// Members that make up a schedule.
const MEMBERS: [&str; 5] =
    ["FlexibleTimeWindow", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target"];

/// What starts a task, as it was observed.
#[derive(Debug, Clone, Copy)]
pub enum Running<'a> {
    /// A schedule.
    Schedule(&'a Value),
    /// A rule.
    Rule(EventRule<'a>),
}

impl<'a> Running<'a> {
    fn project(self, context: Context<'_>) -> Option<&'a str> {
        match self {
            Self::Schedule(schedule) => {
                owner(items(&schedule["Target"]["EcsParameters"], "Tags"), &context.settings.tag_prefix)
            }
            Self::Rule(rule) => rule.tag(&context.tag("project")),
        }
    }

    fn component(self, context: Context<'_>) -> Option<&'a str> {
        match self {
            Self::Schedule(schedule) => {
                tag(items(&schedule["Target"]["EcsParameters"], "Tags"), &context.tag("component"))
            }
            Self::Rule(rule) => rule.tag(&context.tag("component")),
        }
    }

    fn by(self) -> ScheduledBy {
        match self {
            Self::Schedule(_) => ScheduledBy::Scheduler,
            Self::Rule(_) => ScheduledBy::Rule,
        }
    }

    /// The task definition that it starts for a component.
    fn definition(self, component: &str) -> Option<&'a str> {
        match self {
            Self::Schedule(schedule) => text(&schedule["Target"]["EcsParameters"], "TaskDefinitionArn"),
            Self::Rule(rule) => event_rules::definition(component, rule),
        }
    }

    /// What makes it up, in the shape of a schedule, without its task definition.
    fn content(self, component: &str) -> Value {
        let mut out = match self {
            Self::Schedule(schedule) => whole(schedule),
            Self::Rule(rule) => event_rules::content(component, rule),
        };
        if let Some(parameters) = out.pointer_mut("/Target/EcsParameters").and_then(Value::as_object_mut) {
            parameters.remove("TaskDefinitionArn");
        }
        out
    }
}

/// What has to happen to what starts a task.
pub struct Work<'a> {
    /// What is there.
    pub running: Option<Running<'a>>,
    /// What differs in the task definition.
    pub difference: Option<Difference>,
    /// Whether anything of the schedule itself differs.
    pub differs: bool,
}

impl Work<'_> {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.running.is_some() && !self.differs && self.difference.as_ref().is_some_and(Difference::is_empty)
    }
}

/// What a schedule or a rule should be, with the tags that say whose it is.
fn wanted(context: Context<'_>, desired: &Desired, timetable: &Timetable) -> Value {
    let mut content = timetable.content.clone();
    let parameters = &mut content["Target"]["EcsParameters"];
    parameters["Tags"] = match timetable.by {
        ScheduledBy::Rule => event_rules::own_tags(context, &desired.component, parameters),
        ScheduledBy::Scheduler => {
            let mut tags = items(parameters, "Tags").to_vec();
            tags.push(tag_entry(context.tag("project"), context.options.project.clone()));
            tags.push(tag_entry(context.tag("component"), desired.component.clone()));
            Value::Array(tags)
        }
    };
    content
}

/// Compares what starts a task with what was observed; absent when it must not be touched.
pub fn work<'a>(
    context: Context<'a>,
    desired: &Desired,
    timetable: &Timetable,
    report: &mut Report,
) -> Option<Work<'a>> {
    let nothing = Work { running: None, difference: None, differs: true };
    let Some(facts) = context.facts else { return Some(nothing) };
    let running = match timetable.by {
        ScheduledBy::Scheduler => facts.schedule(&timetable.name).map(Running::Schedule),
        ScheduledBy::Rule => facts.event_rule(&timetable.name).map(Running::Rule),
    };
    let Some(running) = running else { return Some(nothing) };
    if running.project(context) != Some(context.options.project.as_str()) {
        let what = match timetable.by {
            ScheduledBy::Scheduler => "schedule",
            ScheduledBy::Rule => "rule",
        };
        report.push(
            Diagnostic::error(
                "B501",
                format!("{what} `{}` is there already, and nothing says that it is this project's", timetable.name),
            )
            .at(timetable.place.clone())
            .help("give the component or the project another name: Belay never touches what another project owns"),
        );
        return None;
    }
    let arn = running.definition(&desired.component).unwrap_or_default();
    let difference = diff::definition(context, facts, desired, arn);
    let differs = normal(&running.content(&desired.component)) != normal(&wanted(context, desired, timetable));
    Some(Work { running: Some(running), difference: Some(difference), differs })
}

/// The task definitions that observed schedules and rules start.
pub fn definitions<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a str> {
    let schedules = facts.schedules().filter_map(|(_, s)| text(&s["Target"]["EcsParameters"], "TaskDefinitionArn"));
    schedules.chain(facts.event_rules().flat_map(|(_, rule)| event_rules::definitions(rule)))
}

fn whole(schedule: &Value) -> Value {
    let members = MEMBERS.iter().filter_map(|m| Some(((*m).to_owned(), schedule.get(*m)?.clone())));
    Value::Object(members.collect())
}

/// What is false, empty or absent is the same; a share of no tasks is none.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let nothing = |name: &str, value: &Value| matches!(name, "base" | "weight") && value.as_f64() == Some(0.0);
            let given = map.iter().filter(|(name, value)| !nothing(name, value));
            let kept = given.map(|(name, v)| (name.clone(), normal(v))).filter(|(_, v)| said(v));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        other => other.clone(),
    }
}

/// Both states with nothing in place of what only the other one has, so that each of them can be told from the other.
pub fn balanced(from: &Value, to: &Value) -> (Value, Value) {
    (beside(from, to), beside(to, from))
}

fn beside(this: &Value, other: &Value) -> Value {
    let (Value::Object(own), Value::Object(others)) = (this, other) else { return this.clone() };
    let mut out: Map<String, Value> = Map::new();
    for (name, value) in own {
        out.insert(name.clone(), others.get(name).map_or_else(|| value.clone(), |other| beside(value, other)));
    }
    for (name, value) in others.iter().filter(|(name, value)| !own.contains_key(*name) && said(value)) {
        out.insert(name.clone(), without(value));
    }
    Value::Object(out)
}

/// Nothing, wherever this has something.
fn without(value: &Value) -> Value {
    match value {
        Value::Object(map) if !belay_schemas::late::is_reserved(map) => {
            map.iter().filter(|(_, value)| said(value)).map(|(name, value)| (name.clone(), without(value))).collect()
        }
        _ => Value::Null,
    }
}

/// Whether a value says more than its absence.
fn said(value: &Value) -> bool {
    !(value.is_null() || value == &json!(false) || value == &json!([]) || value == &json!({}))
}

fn read(name: &str) -> Call {
    call("scheduler", "GetSchedule", json!({"Name": name}))
}

/// Brings a schedule about; registers a revision where the task definition differs.
pub fn lower(
    context: Context<'_>,
    desired: &Desired,
    timetable: &Timetable,
    work: &Work<'_>,
    draft: &mut Draft,
) -> Lowered {
    let component = desired.component.as_str();
    let name = timetable.name.as_str();
    let changed = work.difference.as_ref().is_none_or(|d| !d.is_empty());
    let registered = changed.then(|| register(context, desired, desired.task.clone(), work.difference.as_ref(), draft));
    let arn = match (&registered, work.running.and_then(|running| running.definition(component))) {
        (Some((id, _)), _) => output(id, ARN),
        (None, running) => json!(running),
    };
    let mut to = wanted(context, desired, timetable);
    to["Target"]["EcsParameters"]["TaskDefinitionArn"] = arn;
    let mut why = match &work.difference {
        Some(difference) => difference.why(context, desired),
        None => Vec::new(),
    };
    if work.differs {
        let before = work.running.map(|running| running.content(component)["ScheduleExpression"].clone());
        let when = timetable.content["ScheduleExpression"].clone();
        why.push(diff::why(context, &timetable.place, before.unwrap_or(Value::Null), when));
    }
    let (first, id, back) = match work.running {
        None if timetable.by == ScheduledBy::Scheduler => scheduled(desired, name, None, to, why, draft),
        Some(Running::Schedule(running)) => scheduled(desired, name, Some(running), to, why, draft),
        other => {
            let rule = match other {
                Some(Running::Rule(rule)) => Some(rule),
                _ => None,
            };
            Subject { component, name }.lower(context, rule, &to, why, draft)
        }
    };
    let Some((register, earlier)) = registered else {
        return Lowered { entries: vec![first.clone()], starts: first, ready: id, back };
    };
    draft.after(&register, &first);
    draft.back_before(&back, &earlier);
    let back = Back { firsts: back.firsts, lasts: earlier.lasts };
    Lowered { entries: vec![register], starts: first, ready: id, back }
}

/// Brings a schedule about.
fn scheduled(
    desired: &Desired,
    name: &str,
    running: Option<&Value>,
    to: Value,
    why: Vec<Why>,
    draft: &mut Draft,
) -> (String, String, Back) {
    let component = desired.component.as_str();
    let send = |operation: &str, content: &Value| {
        let mut input = content.clone();
        input["Name"] = json!(name);
        input["ClientToken"] = run_token();
        call("scheduler", operation, input)
    };
    let (id, forward, from, back, back_summary) = match running {
        None => (
            format!("{component}.schedule.create"),
            send("CreateSchedule", &to),
            Value::Null,
            call("scheduler", "DeleteSchedule", json!({"Name": name, "ClientToken": run_token()})),
            format!("delete schedule {name}, which this run created"),
        ),
        Some(running) => (
            format!("{component}.schedule.update"),
            send("UpdateSchedule", &to),
            whole(running),
            send("UpdateSchedule", &before(running)),
            format!("put schedule {name} back"),
        ),
    };
    let when = text(&to, "ScheduleExpression").unwrap_or_default().to_owned();
    let (from, to) = balanced(&from, &to);
    let change = Change {
        id,
        component: Some(component),
        summary: format!("start the task {} at {when}", desired.family),
        why,
        forward,
        back_summary,
        back,
        read: read(name),
        answer: None,
        find: None,
        found: "@".to_owned(),
        from,
        to,
    };
    let (id, back) = change.add(draft);
    (id.clone(), id, back)
}

/// Everything of a schedule that an update takes: what it leaves out is lost.
fn before(running: &Value) -> Value {
    let mut out = running.clone();
    if let Some(members) = out.as_object_mut() {
        for surplus in ["Arn", "CreationDate", "LastModificationDate"] {
            members.remove(surplus);
        }
    }
    out
}

/// A schedule or a rule of the project that its model does not want any more.
#[derive(Debug, Clone)]
pub struct Leftover<'a> {
    /// The component.
    pub component: String,
    /// Its name.
    pub name: &'a str,
    running: Running<'a>,
}

impl Leftover<'_> {
    /// What it is, in words.
    pub fn told(&self) -> String {
        match self.running {
            Running::Schedule(_) => format!("schedule `{}`", self.name),
            Running::Rule(_) => format!("rule `{}` of EventBridge", self.name),
        }
    }

    /// Whether others have added targets to it, so that it cannot be deleted.
    pub fn is_shared(&self) -> bool {
        matches!(self.running, Running::Rule(rule) if event_rules::is_shared(&self.component, rule))
    }
}

/// Schedules and rules of the project that `wanted` does not hold.
pub fn leftovers<'a>(
    context: Context<'_>,
    facts: &Facts<'a>,
    wanted: &dyn Fn(&str, ScheduledBy) -> bool,
) -> Vec<Leftover<'a>> {
    let schedules = facts.schedules().map(|(name, schedule)| (name, Running::Schedule(schedule)));
    let rules = facts.event_rules().map(|(name, rule)| (name, Running::Rule(rule)));
    let ours = schedules.chain(rules).filter(|(_, one)| one.project(context) == Some(&context.options.project));
    let named = ours.filter_map(|(name, running)| {
        let component = running.component(context)?.to_owned();
        Some(Leftover { component, name, running })
    });
    named.filter(|l| !(wanted(&l.component, l.running.by()) && context.family(&l.component) == l.name)).collect()
}

/// Ends what starts a task before the commit point, and deletes it after that; its revisions go after it. Where something
/// else starts the same component's task from now on, that begins after this has ended.
pub fn remove(context: Context<'_>, leftover: &Leftover<'_>, part: &mut Part) {
    let component = leftover.component.as_str();
    let moved = part.lowered.contains_key(component);
    let why = match context.loaded.model.components.get(component).filter(|_| moved) {
        Some(known) => moved_reason(context, leftover, &settle(context, component, known)),
        None => removal_reason(context.loaded, context.options.mode, component, leftover.name),
    };
    let (deletion, gone) = match leftover.running {
        Running::Schedule(schedule) => {
            let on = text(schedule, "State") != Some("DISABLED");
            let gone = on.then(|| disable(leftover, schedule, why.clone(), &mut part.draft));
            (delete(leftover, why, &mut part.draft), gone)
        }
        Running::Rule(rule) => {
            let gone = Subject { component, name: leftover.name }.remove(rule, why, &mut part.draft);
            (format!("{component}.rule.delete"), gone)
        }
    };
    let ended = gone.is_some();
    match (gone, part.lowered.get(component)) {
        (Some(gone), Some(successor)) => {
            part.draft.after(&gone.ready, &successor.starts);
            part.draft.back_before(&successor.back, &gone.back);
        }
        (Some(gone), None) => _ = part.gone.insert(component.to_owned(), gone),
        (None, _) => {}
    }
    let draft = &mut part.draft;
    let revisions: Vec<String> = draft
        .nodes
        .iter()
        .filter(|n| n.phase == Phase::Finalize && n.component.as_deref() == Some(component))
        .filter(|n| n.action.mutation().is_some_and(|c| c.operation == "DeregisterTaskDefinition"))
        .map(|n| n.id.clone())
        .collect();
    let deleted = draft.nodes.iter().any(|node| node.id == deletion);
    if deleted {
        for revision in revisions {
            draft.after(&deletion, &revision);
        }
    }
    if !(ended || deleted) {
        return;
    }
    let gone = ComponentSummary { change: Kind::Remove, floor: 0 };
    let known = part.components.entry(component.to_owned()).or_insert(gone.clone());
    match known.change {
        Kind::Tidy => *known = gone,
        Kind::Create if moved => known.change = Kind::Update,
        _ => {}
    }
}

/// Why something stops to start a task that goes on to exist.
fn moved_reason(context: Context<'_>, leftover: &Leftover<'_>, settled: &Settled<'_>) -> Why {
    let (to, place) = match settled.settings.schedule.as_ref().map(|schedule| schedule.by.unwrap_or_default()) {
        Some(ScheduledBy::Scheduler) => ("a schedule of EventBridge Scheduler", settled.place("schedule")),
        Some(ScheduledBy::Rule) => ("a rule of EventBridge", settled.place("schedule")),
        None => ("no schedule", Place::model(["components", &leftover.component]).key()),
    };
    let from = match leftover.running {
        Running::Schedule(_) => format!("schedule {}", leftover.name),
        Running::Rule(_) => format!("rule {}", leftover.name),
    };
    diff::why(context, &place, json!(from), json!(to))
}

/// Deletes a schedule after the commit point.
fn delete(leftover: &Leftover<'_>, why: Why, draft: &mut Draft) -> String {
    let Leftover { component, name, .. } = leftover;
    let id = format!("{component}.schedule.delete");
    let call = call("scheduler", "DeleteSchedule", json!({"Name": name, "ClientToken": run_token()}));
    let action = Action::Call { call, expect: None };
    let mut forward = node(id.clone(), Some(component), Phase::Finalize, format!("delete schedule {name}"), action);
    forward.why = vec![why];
    forward.guards = vec![guard_after(COMMIT, read(name), [("State", json!("DISABLED"))])];
    forward.probe = Some(probe(read(name), "@ == `null`", "`{}`", []));
    forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
    draft.add(forward);
    draft.after(COMMIT, &id);
    id
}

fn disable(leftover: &Leftover<'_>, schedule: &Value, why: Why, draft: &mut Draft) -> Lowered {
    let Leftover { component, name, .. } = leftover;
    let send = |state: &str| {
        let mut input = before(schedule);
        input["State"] = json!(state);
        input["ClientToken"] = run_token();
        call("scheduler", "UpdateSchedule", input)
    };
    let state = |state: &str| json!({"State": state, "ScheduleExpression": schedule["ScheduleExpression"]});
    let change = Change {
        id: format!("{component}.schedule.disable"),
        component: Some(component),
        summary: format!("switch schedule {name} off"),
        why: vec![why],
        forward: send("DISABLED"),
        back_summary: format!("switch schedule {name} on again"),
        back: send("ENABLED"),
        read: read(name),
        answer: None,
        find: None,
        found: "@".to_owned(),
        from: state("ENABLED"),
        to: state("DISABLED"),
    };
    let (id, back) = change.add(draft);
    Lowered { entries: vec![id.clone()], starts: id.clone(), ready: id, back }
}

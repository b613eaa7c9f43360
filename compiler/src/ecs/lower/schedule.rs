//! Schedules: tasks that EventBridge Scheduler starts.
//!
//! Invariants: an update overwrites everything of a schedule, so its way back puts everything back that was observed;
//! whose a schedule is stands in the tags of the tasks that it starts, because schedules have none.

use belay_schemas::late::{output, run_token};
use belay_schemas::plan::{Action, Call, Change as Kind, ComponentSummary, Phase, Why};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::Context;
use crate::ecs::desired::{Desired, Timetable};
use crate::ecs::diff::{self, Difference};
use crate::ecs::facts::{Facts, owner};
use crate::ecs::json::{items, tag, tag_entry, text};

use super::change::Change;
use super::register::{ARN, register};
use crate::lower::draft::{Back, Draft, call, guard_after, node, probe};
use crate::lower::{COMMIT, Lowered, Part, removal_reason};

/// Members that make up a schedule.
const MEMBERS: [&str; 5] =
    ["FlexibleTimeWindow", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target"];

/// What has to happen to a schedule.
pub struct Work<'a> {
    /// The schedule that is there.
    pub running: Option<&'a Value>,
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

/// What a schedule should be, with the tags that say whose it is.
fn wanted(context: Context<'_>, desired: &Desired, timetable: &Timetable) -> Value {
    let mut content = timetable.content.clone();
    let mut tags = items(&content["Target"]["EcsParameters"], "Tags").to_vec();
    tags.push(tag_entry(context.tag("project"), context.options.project.clone()));
    tags.push(tag_entry(context.tag("component"), desired.component.clone()));
    content["Target"]["EcsParameters"]["Tags"] = Value::Array(tags);
    content
}

/// Compares a schedule with what was observed; absent when it must not be touched.
pub fn work<'a>(
    context: Context<'a>,
    desired: &Desired,
    timetable: &Timetable,
    report: &mut Report,
) -> Option<Work<'a>> {
    let nothing = Work { running: None, difference: None, differs: true };
    let Some(facts) = context.facts else { return Some(nothing) };
    let Some(running) = facts.schedule(&timetable.name) else { return Some(nothing) };
    if project(context, running) != Some(context.options.project.as_str()) {
        report.push(
            Diagnostic::error(
                "B501",
                format!("schedule `{}` is there already, and nothing says that it is this project's", timetable.name),
            )
            .at(timetable.place.clone())
            .help("give the component or the project another name: Belay never touches what another project owns"),
        );
        return None;
    }
    let arn = definition(running).unwrap_or_default();
    let difference = diff::definition(context, facts, desired, arn);
    let differs = normal(&content(running)) != normal(&wanted(context, desired, timetable));
    Some(Work { running: Some(running), difference: Some(difference), differs })
}

fn project<'v>(context: Context<'_>, schedule: &'v Value) -> Option<&'v str> {
    owner(items(&schedule["Target"]["EcsParameters"], "Tags"), &context.settings.tag_prefix)
}

/// The task definition that a schedule starts.
pub fn definition(schedule: &Value) -> Option<&str> {
    text(&schedule["Target"]["EcsParameters"], "TaskDefinitionArn")
}

/// What makes a schedule up, without its task definition.
fn content(schedule: &Value) -> Value {
    let mut out = whole(schedule);
    if let Some(parameters) = out.pointer_mut("/Target/EcsParameters").and_then(Value::as_object_mut) {
        parameters.remove("TaskDefinitionArn");
    }
    out
}

fn whole(schedule: &Value) -> Value {
    let members = MEMBERS.iter().filter_map(|m| Some(((*m).to_owned(), schedule.get(*m)?.clone())));
    Value::Object(members.collect())
}

/// What is false, empty or absent is the same.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let said = |v: &Value| !(v.is_null() || v == &json!(false) || v == &json!([]) || v == &json!({}));
            let kept = map.iter().map(|(name, v)| (name.clone(), normal(v))).filter(|(_, v)| said(v));
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
    let arn = match (&registered, work.running.and_then(definition)) {
        (Some((id, _)), _) => output(id, ARN),
        (None, running) => json!(running),
    };
    let mut to = wanted(context, desired, timetable);
    to["Target"]["EcsParameters"]["TaskDefinitionArn"] = arn;
    let send = |operation: &str, content: &Value| {
        let mut input = content.clone();
        input["Name"] = json!(name);
        input["ClientToken"] = run_token();
        call("scheduler", operation, input)
    };
    let when = &timetable.content["ScheduleExpression"];
    let mut why = match &work.difference {
        Some(difference) => difference.why(context, desired),
        None => Vec::new(),
    };
    if work.differs {
        let before = work.running.map_or(Value::Null, |s| s["ScheduleExpression"].clone());
        why.push(diff::why(context, &timetable.place, before, when.clone()));
    }
    let (id, forward, from, back, back_summary) = match work.running {
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
    let change = Change {
        id,
        component: Some(component),
        summary: format!("start the task {} at {}", desired.family, when.as_str().unwrap_or_default()),
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
    let Some((register, earlier)) = registered else {
        return Lowered { entries: vec![id.clone()], starts: id.clone(), ready: id, back };
    };
    draft.after(&register, &id);
    draft.back_before(&back, &earlier);
    let back = Back { firsts: back.firsts, lasts: earlier.lasts };
    Lowered { entries: vec![register], starts: id.clone(), ready: id, back }
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

/// A schedule of the project that its model does not want any more.
#[derive(Debug, Clone)]
pub struct Leftover<'a> {
    /// The component.
    pub component: String,
    /// Its name.
    pub name: &'a str,
    schedule: &'a Value,
}

/// Schedules of the project that `wanted` does not hold.
pub fn leftovers<'a>(context: Context<'_>, facts: &Facts<'a>, wanted: &dyn Fn(&str) -> bool) -> Vec<Leftover<'a>> {
    let all = facts.schedules().filter(|(_, schedule)| project(context, schedule) == Some(&context.options.project));
    let named = all.filter_map(|(name, schedule)| {
        let tags = items(&schedule["Target"]["EcsParameters"], "Tags");
        let component = tag(tags, &context.tag("component"))?.to_owned();
        Some(Leftover { component, name, schedule })
    });
    named.filter(|l| !(wanted(&l.component) && context.family(&l.component) == l.name)).collect()
}

/// Switches a schedule off before the commit point, and deletes it after that; its revisions go after it.
pub fn remove(context: Context<'_>, leftover: &Leftover<'_>, part: &mut Part) {
    let component = leftover.component.as_str();
    let name = leftover.name;
    let why = removal_reason(context.loaded, context.options.mode, component, name);
    if text(leftover.schedule, "State") != Some("DISABLED") {
        let gone = disable(leftover, why.clone(), &mut part.draft);
        part.gone.insert(component.to_owned(), gone);
    }
    let id = format!("{component}.schedule.delete");
    let call = call("scheduler", "DeleteSchedule", json!({"Name": name, "ClientToken": run_token()}));
    let action = Action::Call { call, expect: None };
    let mut forward = node(id.clone(), Some(component), Phase::Finalize, format!("delete schedule {name}"), action);
    forward.why = vec![why];
    forward.guards = vec![guard_after(COMMIT, read(name), [("State", json!("DISABLED"))])];
    forward.probe = Some(probe(read(name), "@ == `null`", "`{}`", []));
    forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
    let draft = &mut part.draft;
    let revisions: Vec<String> = draft
        .nodes
        .iter()
        .filter(|n| n.phase == Phase::Finalize && n.component.as_deref() == Some(component))
        .filter(|n| n.action.mutation().is_some_and(|c| c.operation == "DeregisterTaskDefinition"))
        .map(|n| n.id.clone())
        .collect();
    draft.add(forward);
    draft.after(COMMIT, &id);
    for revision in revisions {
        draft.after(&id, &revision);
    }
    let gone = ComponentSummary { change: Kind::Remove, floor: 0 };
    let known = part.components.entry(component.to_owned()).or_insert(gone.clone());
    if known.change == Kind::Tidy {
        *known = gone;
    }
}

fn disable(leftover: &Leftover<'_>, why: Why, draft: &mut Draft) -> Lowered {
    let Leftover { component, name, schedule } = leftover;
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

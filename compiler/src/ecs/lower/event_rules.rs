//! Rules of EventBridge that start tasks at certain times: the rule says when, its target says what.
//!
//! Invariants: whose a rule is stands in its tags, which it gets when it is made; of its targets only the one that bears the
//! component's name is ours, and a rule that others added targets to stays when ours goes.

use belay_schemas::plan::{Action, Call, Phase, Why};
use serde_json::{Map, Value, json};

use crate::ecs::Context;
use crate::ecs::facts::EventRule;
use crate::ecs::json::{items, text};

use super::change::Change;
use super::schedule::balanced;
use crate::lower::draft::{Back, Draft, call, guard_after, node, probe};
use crate::lower::{COMMIT, Lowered};

/// Members of a rule that PutRule takes: what it leaves out is lost.
const MEMBERS: [&str; 6] = ["Description", "EventPattern", "Name", "RoleArn", "ScheduleExpression", "State"];

/// A rule, as it is or as it is to be.
pub struct Subject<'a> {
    /// The component.
    pub component: &'a str,
    /// Name of the rule.
    pub name: &'a str,
}

/// Time, state and target of a rule, in the shape of a schedule.
pub fn content(component: &str, rule: EventRule<'_>) -> Value {
    let mut out = Map::new();
    for member in ["ScheduleExpression", "State"] {
        out.extend(rule.rule.get(member).map(|value| (member.to_owned(), value.clone())));
    }
    out.extend(target(component, rule).map(|target| ("Target".to_owned(), without_id(target))));
    Value::Object(out)
}

/// The component's target of a rule.
pub fn target<'a>(component: &str, rule: EventRule<'a>) -> Option<&'a Value> {
    rule.targets.iter().find(|target| text(target, "Id") == Some(component))
}

/// When a rule acts, and whether it does.
fn said(rule: &Value) -> Value {
    json!({"ScheduleExpression": rule["ScheduleExpression"], "State": rule["State"]})
}

fn without_id(target: &Value) -> Value {
    let mut out = target.clone();
    out.as_object_mut().and_then(|members| members.remove("Id"));
    out
}

impl Subject<'_> {
    fn describe(&self) -> Call {
        call("events", "DescribeRule", json!({"Name": self.name}))
    }

    fn list(&self) -> Call {
        call("events", "ListTargetsByRule", json!({"Rule": self.name}))
    }

    fn put_target(&self, target: &Value) -> Call {
        let mut target = target.clone();
        target["Id"] = json!(self.component);
        call("events", "PutTargets", json!({"Rule": self.name, "Targets": [target]}))
    }

    fn remove_target(&self) -> Call {
        call("events", "RemoveTargets", json!({"Rule": self.name, "Ids": [self.component]}))
    }

    /// Where ListTargetsByRule tells the component's target.
    fn found(&self) -> String {
        format!("Targets[?Id=='{}'] | [0]", self.component)
    }

    /// Brings the rule and its target to what `to` says, in the shape of a schedule. Gives the first step, the last one, and
    /// the ways back.
    pub fn lower(
        &self,
        context: Context<'_>,
        running: Option<EventRule<'_>>,
        to: &Value,
        why: Vec<Why>,
        draft: &mut Draft,
    ) -> (String, String, Back) {
        let summary = format!("start the task {} at {}", self.name, text(to, "ScheduleExpression").unwrap_or_default());
        let before = running.and_then(|rule| target(self.component, rule)).map(without_id);
        let rule = match running {
            Some(rule) if said(rule.rule) == said(to) => None,
            Some(rule) => Some(self.put(rule.rule, to)),
            None => Some(self.create(context, to)),
        };
        let set = self.target_change(before, &to["Target"], summary, why.clone());
        let (id, back) = set.add(draft);
        let Some(mut rule) = rule else { return (id.clone(), id, back) };
        rule.why = why;
        let (rule, earlier) = rule.add(draft);
        // What is switched on has its new target before that, and what goes back is switched off before its old one returns.
        let on = running.is_some_and(|rule| text(rule.rule, "State") == Some("DISABLED")) && to["State"] == "ENABLED";
        let ((first, first_back), (last, last_back)) = match on {
            true => ((id, back), (rule, earlier)),
            false => ((rule, earlier), (id, back)),
        };
        draft.after(&first, &last);
        draft.back_before(&last_back, &first_back);
        (first, last, Back { firsts: last_back.firsts, lasts: first_back.lasts })
    }

    fn create(&self, context: Context<'_>, to: &Value) -> Change<'_> {
        let tag = |key: &str, value: &str| json!({"Key": context.tag(key), "Value": value});
        let tags = [tag("project", &context.options.project), tag("component", self.component)];
        let mut input = said(to);
        input["Name"] = json!(self.name);
        input["Tags"] = json!(tags);
        Change {
            id: format!("{}.rule.create", self.component),
            component: Some(self.component),
            summary: format!("create rule {} of EventBridge, which starts nothing yet", self.name),
            why: Vec::new(),
            forward: call("events", "PutRule", input),
            back_summary: format!("delete rule {}, which this run created", self.name),
            back: call("events", "DeleteRule", json!({"Name": self.name})),
            read: self.describe(),
            answer: None,
            find: None,
            found: "@".to_owned(),
            from: Value::Null,
            to: said(to),
        }
    }

    fn put(&self, running: &Value, to: &Value) -> Change<'_> {
        let whole = |value: &Value| -> Value {
            let members = MEMBERS.iter().filter_map(|m| Some(((*m).to_owned(), value.get(*m)?.clone())));
            Value::Object(members.collect())
        };
        let before = whole(running);
        let mut after = before.clone();
        for member in ["ScheduleExpression", "State"] {
            after[member] = to[member].clone();
        }
        Change {
            id: format!("{}.rule.update", self.component),
            component: Some(self.component),
            summary: format!(
                "change when rule {} acts: {}",
                self.name,
                text(to, "ScheduleExpression").unwrap_or_default()
            ),
            why: Vec::new(),
            forward: call("events", "PutRule", after),
            back_summary: format!("put rule {} back", self.name),
            from: said(&before),
            back: call("events", "PutRule", before),
            read: self.describe(),
            answer: None,
            find: None,
            found: "@".to_owned(),
            to: said(to),
        }
    }

    fn target_change(&self, before: Option<Value>, to: &Value, summary: String, why: Vec<Why>) -> Change<'_> {
        let (back, back_summary) = match &before {
            Some(before) => (self.put_target(before), format!("put the target of rule {} back", self.name)),
            None => (self.remove_target(), format!("take the task away from rule {}", self.name)),
        };
        let forward = self.put_target(to);
        let (from, to) = balanced(&before.unwrap_or(Value::Null), to);
        Change {
            id: format!("{}.rule.target", self.component),
            component: Some(self.component),
            summary,
            why,
            forward,
            back_summary,
            back,
            read: self.list(),
            answer: None,
            find: None,
            found: self.found(),
            from,
            to,
        }
    }

    /// Takes the component's target away, and deletes the rule after the commit point if nobody else's hangs on it. Gives
    /// what takes the target away.
    pub fn remove(&self, rule: EventRule<'_>, why: Why, draft: &mut Draft) -> Option<Lowered> {
        let gone = target(self.component, rule).map(|target| {
            let target = without_id(target);
            let change = Change {
                id: format!("{}.rule.target.remove", self.component),
                component: Some(self.component),
                summary: format!("take the task away from rule {}", self.name),
                why: vec![why.clone()],
                forward: self.remove_target(),
                back_summary: format!("give rule {} the task again", self.name),
                back: self.put_target(&target),
                read: self.list(),
                answer: None,
                find: None,
                found: self.found(),
                from: target,
                to: Value::Null,
            };
            let (id, back) = change.add(draft);
            Lowered { entries: vec![id.clone()], starts: id.clone(), ready: id, back }
        });
        if !is_shared(self.component, rule) {
            let id = format!("{}.rule.delete", self.component);
            let call = call("events", "DeleteRule", json!({"Name": self.name}));
            let action = Action::Call { call, expect: None };
            let mut forward =
                node(id.clone(), Some(self.component), Phase::Finalize, format!("delete rule {}", self.name), action);
            forward.why = vec![why];
            forward.guards = vec![guard_after(COMMIT, self.list(), [("length(Targets)", json!(0))])];
            forward.probe = Some(probe(self.describe(), "@ == `null`", "`{}`", []));
            forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
            draft.add(forward);
            draft.after(COMMIT, &id);
        }
        gone
    }
}

/// Whether others have added targets to the rule of a component.
pub fn is_shared(component: &str, rule: EventRule<'_>) -> bool {
    rule.targets.iter().any(|target| text(target, "Id") != Some(component))
}

/// The task definition that a rule starts for a component.
pub fn definition<'a>(component: &str, rule: EventRule<'a>) -> Option<&'a str> {
    text(&target(component, rule)?["EcsParameters"], "TaskDefinitionArn")
}

/// Everything that a rule starts.
pub fn definitions<'a>(rule: EventRule<'a>) -> impl Iterator<Item = &'a str> {
    rule.targets.iter().filter_map(|target| text(&target["EcsParameters"], "TaskDefinitionArn"))
}

/// Tags of the tasks that a rule starts.
pub fn own_tags(context: Context<'_>, component: &str, parameters: &Value) -> Value {
    let mut tags = items(parameters, "Tags").to_vec();
    for (key, value) in [("project", context.options.project.as_str()), ("component", component)] {
        tags.push(json!({"Key": context.tag(key), "Value": value}));
    }
    Value::Array(tags)
}

//! Target groups: made before what leads to them and what is put behind them, changed in place, taken away.
//!
//! Invariants: another health check or delay holds before the first new task is checked by it; a group goes after the
//! commit point only, when neither a rule of ours nor a service of ours needs it any more.

use std::collections::BTreeSet;

use belay_schemas::late::{output, run_id};
use belay_schemas::plan::{Action, Call, Mode, Phase, Why};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::groups::{DEFAULT_DELAY, DELAY, Group, Groups, Surplus};
use crate::ecs::json::text;
use crate::ecs::{Context, diff, made, settings};
use crate::lower::COMMIT;
use crate::lower::draft::{Back, Draft, call, guard_after, guard_at_start, node, probe, when};

use super::change::Change;

/// Where the ARN stands in the answer to CreateTargetGroup.
const ARN: &str = "TargetGroups[0].TargetGroupArn";

/// A group that is made or changed.
pub struct Done {
    /// Its ARN, or what stands for it.
    pub arn: String,
    /// The node after which it is as it should be.
    pub id: String,
    /// Its way back.
    pub back: Back,
    /// Whether this plan makes it: whatever names it comes after that.
    pub new: bool,
}

fn elbv2(operation: &str, input: Value) -> Call {
    call("elbv2", operation, input)
}

fn of_arn(arn: &Value) -> Call {
    elbv2("DescribeTargetGroups", json!({"TargetGroupArns": [arn]}))
}

fn of_attributes(arn: &Value) -> Call {
    elbv2("DescribeTargetGroupAttributes", json!({"TargetGroupArn": arn}))
}

fn tags_of(arn: &Value) -> Call {
    elbv2("DescribeTags", json!({"ResourceArns": [arn]}))
}

fn tag_path(key: &str) -> String {
    format!("TagDescriptions[0].Tags[?Key=='{key}'].Value | [0]")
}

/// Nodes for groups that are missing or differ.
pub fn lower(context: Context<'_>, groups: &Groups<'_>, draft: &mut Draft) -> Vec<Done> {
    let mut done = Vec::new();
    for group in &groups.wanted {
        match group.running {
            None => done.push(create(context, group, draft)),
            Some(running) => done.extend(change(context, group, running, draft)),
        }
    }
    done
}

fn create(context: Context<'_>, group: &Group<'_>, draft: &mut Draft) -> Done {
    let id = format!("target-group.{}.create", group.key);
    let name = &group.name;
    let by_name = || elbv2("DescribeTargetGroups", json!({"Names": [name]}));
    let mut input = group.content.clone();
    let tag = |key: &str, value: Value| json!({"Key": context.tag(key), "Value": value});
    input["Tags"] = json!([
        tag("project", json!(context.options.project)),
        tag("target-group", json!(group.key)),
        tag("run", run_id()),
    ]);
    let (protocol, port) = (text(&group.content, "Protocol").unwrap_or_default(), &group.content["Port"]);
    let mut forward = node(
        id.clone(),
        None,
        Phase::Deploy,
        format!("make target group {name} for {protocol}, port {port}"),
        Action::Call { call: elbv2("CreateTargetGroup", input), expect: None },
    );
    forward.why = vec![diff::why(context, &group.place, Value::Null, json!(name))];
    forward.guards = vec![guard_at_start(by_name(), [("TargetGroups[0].TargetGroupName", Value::Null)])];
    // A name is one group's, and there was none of it.
    forward.probe = Some(probe(by_name(), "length(TargetGroups || `[]`) == `1`", "{TargetGroups: TargetGroups}", []));
    let arn = output(&id, ARN);
    let gone = "length(TargetGroups || `[]`) == `0`";
    let mut undo = node(
        format!("{id}.undo"),
        None,
        Phase::Undo,
        format!("delete target group {name}, which this run made"),
        Action::Call { call: elbv2("DeleteTargetGroup", json!({"TargetGroupArn": arn})), expect: None },
    );
    undo.guards = vec![guard_after(&id, tags_of(&arn), [(tag_path(&context.tag("run")).as_str(), run_id())])];
    undo.probe = Some(probe(of_arn(&arn), gone, "`{}`", []));
    let absent = when("it is gone already", of_arn(&arn), gone, []);
    let back = draft.with_undo(forward, vec![(Some(absent), Vec::new()), (None, vec![undo])]);
    let mut last = id.clone();
    if group.delay != DEFAULT_DELAY {
        last = format!("target-group.{}.delay", group.key);
        let mut delay = node(
            last.clone(),
            None,
            Phase::Deploy,
            format!("let targets that leave {name} answer for {} s", group.delay),
            Action::Call { call: set_delay(&arn, &group.delay.to_string()), expect: None },
        );
        let place = group.place.child("deregistration_delay");
        delay.why = vec![diff::why(context, &place, Value::Null, json!(group.delay))];
        delay.unguarded = Some("this run made the group".to_owned());
        let is = format!("(Attributes[?Key=='{DELAY}'].Value | [0]) == '{}'", group.delay);
        delay.probe = Some(probe(of_attributes(&arn), &is, "`{}`", []));
        // It goes with its group.
        draft.with_undo(delay, vec![(None, Vec::new())]);
        draft.after(&id, &last);
    }
    Done { arn: made::group(name, group.key), id: last, back, new: true }
}

fn set_delay(arn: &Value, seconds: &str) -> Call {
    let attributes = json!([{"Key": DELAY, "Value": seconds}]);
    elbv2("ModifyTargetGroupAttributes", json!({"TargetGroupArn": arn, "Attributes": attributes}))
}

/// Another health check and another delay: a call each, one after the other.
fn change(context: Context<'_>, group: &Group<'_>, running: &Value, draft: &mut Draft) -> Option<Done> {
    let arn = running.get("TargetGroupArn").cloned().unwrap_or_default();
    let mut done: Option<Done> = None;
    let mut add = |change: Change<'_>, draft: &mut Draft| {
        let (id, back) = change.add(draft);
        if let Some(earlier) = &done {
            draft.after(&earlier.id, &id);
            draft.back_before(&back, &earlier.back);
        }
        done = Some(Done { arn: arn.as_str().unwrap_or_default().to_owned(), id, back, new: false });
    };
    let (from, to) = checks(&group.content, running);
    if from != to {
        let send = |members: &Map<String, Value>| {
            let said = members.iter().filter(|(_, value)| !value.is_null());
            let mut input: Map<String, Value> = said.map(|(name, value)| (name.clone(), value.clone())).collect();
            input.insert("TargetGroupArn".to_owned(), arn.clone());
            elbv2("ModifyTargetGroup", Value::Object(input))
        };
        let place = group.place.child("health_check");
        let change = Change {
            id: format!("target-group.{}.check", group.key),
            component: None,
            summary: format!("change the health check of target group {}", group.name),
            why: vec![diff::why(context, &place, json!(from), json!(to))],
            forward: send(&to),
            back_summary: format!("put the health check of target group {} back", group.name),
            back: send(&from),
            read: of_arn(&arn),
            answer: None,
            find: None,
            found: "TargetGroups[0]".to_owned(),
            from: Value::Object(from),
            to: Value::Object(to),
        };
        add(change, draft);
    }
    let observed = context.facts.zip(arn.as_str()).and_then(|(facts, arn)| facts.target_group_attribute(arn, DELAY));
    let usual = DEFAULT_DELAY.to_string();
    let (before, after) = (observed.unwrap_or(&usual).to_owned(), group.delay.to_string());
    if before != after {
        let place = group.place.child("deregistration_delay");
        let change = Change {
            id: format!("target-group.{}.delay", group.key),
            component: None,
            summary: format!("let targets that leave {} answer for {after} s", group.name),
            why: vec![diff::why(context, &place, json!(before), json!(after))],
            forward: set_delay(&arn, &after),
            back_summary: format!("let targets that leave {} answer for {before} s again", group.name),
            back: set_delay(&arn, &before),
            read: of_attributes(&arn),
            answer: None,
            find: None,
            found: format!("{{Delay: Attributes[?Key=='{DELAY}'].Value | [0]}}"),
            from: json!({"Delay": before}),
            to: json!({"Delay": after}),
        };
        add(change, draft);
    }
    done
}

/// The members of a health check that differ, as they are and as they should be.
fn checks(wanted: &Value, running: &Value) -> (Map<String, Value>, Map<String, Value>) {
    const MEMBERS: [&str; 8] = [
        "HealthCheckProtocol",
        "HealthCheckPort",
        "HealthCheckPath",
        "HealthCheckIntervalSeconds",
        "HealthCheckTimeoutSeconds",
        "HealthyThresholdCount",
        "UnhealthyThresholdCount",
        "Matcher",
    ];
    let value = |of: &Value, member: &str| of.get(member).cloned().unwrap_or_default();
    let differ = MEMBERS.iter().filter(|member| value(wanted, member) != value(running, member));
    let differ: BTreeSet<&str> = differ.copied().collect();
    let all = |of: &Value| differ.iter().map(|member| ((*member).to_owned(), value(of, member))).collect();
    (all(running), all(wanted))
}

/// Deletes what nobody asks for any more, after the nodes that end what still needs it.
pub fn remove(context: Context<'_>, surplus: &Surplus<'_>, needed: &[String], draft: &mut Draft) {
    let arn = json!(surplus.arn);
    // Several of one key may be left over, but not of one name.
    let id = format!("target-group.{}.delete", surplus.name);
    let mut gone = node(
        id.clone(),
        None,
        Phase::Finalize,
        format!("delete target group {}", surplus.name),
        Action::Call { call: elbv2("DeleteTargetGroup", json!({"TargetGroupArn": arn})), expect: None },
    );
    let place: Place = settings::place(&["target_groups"]).key();
    let from = json!(surplus.name);
    gone.why = vec![match context.options.mode {
        Mode::Deploy => diff::why(context, &place, from, Value::Null),
        Mode::Teardown => Why { path: place.pointer, at: Some("--mode teardown".to_owned()), from, to: Value::Null },
    }];
    let ours = tag_path(&context.tag("project"));
    gone.guards = vec![guard_after(COMMIT, tags_of(&arn), [(ours.as_str(), json!(context.options.project))])];
    gone.probe = Some(probe(of_arn(&arn), "length(TargetGroups || `[]`) == `0`", "`{}`", []));
    gone.irreversible = Some("it runs after the commit point; the same group made again has another ARN".to_owned());
    draft.add(gone);
    draft.after(COMMIT, &id);
    for earlier in needed {
        draft.after(earlier, &id);
    }
}

//! Rules of listeners: created, changed, put in another order, taken away.
//!
//! Invariants: all rules of a listener that change their priority do so in one call, so that they can change places; a
//! rule goes after the commit point only; what others put at the listener is left alone.

use std::collections::BTreeMap;

use belay_schemas::late::{output, run_id};
use belay_schemas::plan::{Action, Call, Change as Kind, Mode, Phase, Why};
use serde_json::{Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::diff;
use crate::ecs::facts::Rule;
use crate::ecs::json::{items, text};
use crate::ecs::made;
use crate::ecs::names;
use crate::ecs::routing::{Route, Routing, Surplus, content, lists, words};
use crate::ecs::settings;

use super::change::Change;
use super::target_groups::Done;
use crate::lower::draft::{Back, Draft, call, guard_after, guard_at_start, node, probe, when};
use crate::lower::{COMMIT, Part};

/// What [`content`] picks, as JMESPath.
const CONTENT: &str = "Rules[0].{Hosts: Conditions[?Field=='host-header'].[HostHeaderConfig.Values || Values][][], Paths: Conditions[?Field=='path-pattern'].[PathPatternConfig.Values || Values][][], Target: Actions[0].TargetGroupArn}";

/// Adds the nodes that bring the rules about.
pub fn lower(context: Context<'_>, routing: &Routing<'_>, groups: &[Done], part: &mut Part) {
    let mut moved: BTreeMap<&str, (String, Back)> = BTreeMap::new();
    for (listener, moves) in moves(routing) {
        moved.insert(listener, priorities(context, &moves, &mut part.draft));
    }
    for route in &routing.wanted {
        let runs = |component: &&str| part.components.get(*component).is_some_and(|c| c.change != Kind::Create);
        let widened = route.running.filter(|_| route.components.iter().any(runs)).and_then(|rule| {
            let other = unknown_to(context, route, rule)?;
            Some(widen(context, route, rule, other, &mut part.draft))
        });
        let made = match route.running {
            None => Some(create(context, route, moved.get(route.listener), &mut part.draft)),
            Some(rule) => modify(context, route, rule, widened.as_ref(), &mut part.draft),
        };
        let whole = made.as_ref();
        // What comes first of the rule, and what goes back last of it.
        let Some((first, last)) = widened.as_ref().or(whole) else { continue };
        if let Some((before, earlier)) = moved.get(route.listener) {
            part.draft.after(before, first);
            part.draft.back_before(last, earlier);
        }
        let named = |group: &&Done| group.arn == route.group || Some(&group.arn) == route.alternate.as_ref();
        for group in groups.iter().filter(|group| group.new).filter(named) {
            part.draft.after(&group.id, first);
            part.draft.back_before(last, &group.back);
        }
        for component in &route.components {
            let Some(lowered) = part.lowered.get(*component) else { continue };
            let new = part.components.get(*component).is_some_and(|c| c.change == Kind::Create)
                // A service that shifts its traffic at this rule names it.
                || (route.running.is_none() && route.alternate.is_some());
            // ECS attaches a service to no target group that nothing leads to; one that runs is ready first.
            if let Some((widened, earlier)) = widened.as_ref().filter(|_| !new) {
                part.draft.after(widened, &lowered.starts);
                part.draft.back_before(&lowered.back, earlier);
            }
            let Some((id, back)) = whole else { continue };
            if new {
                part.draft.after(id, &lowered.starts);
                part.draft.back_before(&lowered.back, back);
            } else {
                part.draft.after(&lowered.ready, id);
                part.draft.back_before(back, &lowered.back);
            }
        }
    }
    for surplus in &routing.surplus {
        remove(context, surplus, &mut part.draft);
    }
}

/// A rule that gets another priority.
struct Move<'a> {
    at: &'a str,
    rule: Rule<'a>,
    to: u32,
    place: Place,
    /// Its name, if it is to be deleted afterwards: the environment says nothing of it any more.
    gone: Option<&'a str>,
}

/// Where the environment does not name a rule any more.
fn unnamed() -> Place {
    settings::place(&["rules"]).key()
}

/// Rules that change their places, by listener. What is to be deleted goes behind all others before that, so that its place
/// is free and its way back is known.
fn moves<'a>(routing: &Routing<'a>) -> BTreeMap<&'a str, Vec<Move<'a>>> {
    let mut all: BTreeMap<&'a str, Vec<Move<'a>>> = BTreeMap::new();
    for route in &routing.wanted {
        if let Some(rule) =
            route.running.filter(|rule| text(rule.rule, "Priority") != Some(&route.priority.to_string()))
        {
            let place = route.place.child("priority");
            all.entry(route.listener).or_default().push(Move {
                at: route.at,
                rule,
                to: route.priority,
                place,
                gone: None,
            });
        }
    }
    for surplus in &routing.surplus {
        let (rule, gone) = (surplus.rule, Some(surplus.name));
        let going = Move { at: surplus.at, rule, to: surplus.last, place: unnamed(), gone };
        all.entry(surplus.listener).or_default().push(going);
    }
    all
}

fn elbv2(operation: &str, input: Value) -> Call {
    call("elbv2", operation, input)
}

fn at_listener(listener: &str) -> Call {
    elbv2("DescribeRules", json!({"ListenerArn": listener}))
}

fn of_rule(arn: &str) -> Call {
    elbv2("DescribeRules", json!({"RuleArns": [arn]}))
}

fn conditions(hosts: &[Value], paths: &[Value]) -> Value {
    let mut all = Vec::new();
    if !hosts.is_empty() {
        all.push(json!({"Field": "host-header", "HostHeaderConfig": {"Values": hosts}}));
    }
    if !paths.is_empty() {
        all.push(json!({"Field": "path-pattern", "PathPatternConfig": {"Values": paths}}));
    }
    Value::Array(all)
}

pub fn forward(group: &Value) -> Value {
    json!([{"Type": "forward", "TargetGroupArn": group}])
}

/// What a wanted rule has, as [`content`] tells it.
fn wanted(route: &Route<'_>) -> Value {
    json!({"Hosts": route.hosts, "Paths": route.paths, "Target": route.group})
}

fn create(
    context: Context<'_>,
    route: &Route<'_>,
    moved: Option<&(String, Back)>,
    draft: &mut Draft,
) -> (String, Back) {
    let id = format!("rule.{}.create", route.name);
    let content = wanted(route);
    let (hosts, paths) = lists(&content);
    let tag = |key: &str, value: Value| json!({"Key": context.tag(key), "Value": value});
    let input = json!({
        "ListenerArn": route.listener,
        "Priority": route.priority,
        "Conditions": conditions(hosts, paths),
        "Actions": forward(&content["Target"]),
        "Tags": [tag("project", json!(context.options.project)), tag("rule", json!(route.name)), tag("run", run_id())],
    });
    let mut made = node(
        id.clone(),
        None,
        Phase::Deploy,
        format!("lead {} to {}", words(&content), names::target_group(&route.group)),
        Action::Call { call: elbv2("CreateRule", input), expect: None },
    );
    made.why = vec![diff::why(context, &route.place, Value::Null, content.clone())];
    let free = format!("length(Rules[?Priority=='{}'])", route.priority);
    made.guards = vec![match moved {
        // What has the priority now is given another one first.
        Some((before, _)) => guard_after(before, at_listener(route.listener), [(free.as_str(), json!(0))]),
        None => guard_at_start(at_listener(route.listener), [(free.as_str(), json!(0))]),
    }];
    let ours = format!("Rules[?Priority=='{}' && Actions[0].TargetGroupArn==$group]", route.priority);
    let (is, answer) = (format!("length({ours}) == `1`"), format!("{{Rules: {ours}}}"));
    made.probe = Some(probe(at_listener(route.listener), &is, &answer, [("group", json!(route.group))]));
    let arn = output(&id, "Rules[0].RuleArn");
    // Where ECS shifts traffic it puts weights in the place of the one target group.
    let leads = "contains(Rules[?RuleArn==$rule].Actions[0].ForwardConfig.TargetGroups[].TargetGroupArn, $group)";
    let gone = "length(Rules[?RuleArn==$rule]) == `0`";
    let mut undo = node(
        format!("{id}.undo"),
        None,
        Phase::Undo,
        format!("delete the rule {}, which this run created", route.name),
        Action::Call { call: elbv2("DeleteRule", json!({"RuleArn": arn})), expect: None },
    );
    let mut guard = guard_after(&id, at_listener(route.listener), []);
    guard.bind.insert("rule".to_owned(), arn.clone());
    if route.alternate.is_some() {
        guard.bind.insert("group".to_owned(), json!(route.group));
        guard.holds.insert(leads.to_owned(), json!(true));
    } else {
        guard.holds.insert("Rules[?RuleArn==$rule].Actions[0].TargetGroupArn | [0]".to_owned(), json!(route.group));
    }
    undo.guards = vec![guard];
    undo.probe = Some(probe(at_listener(route.listener), gone, "`{}`", [("rule", arn.clone())]));
    let absent = when("it is gone already", at_listener(route.listener), gone, [("rule", arn)]);
    let back = draft.with_undo(made, vec![(Some(absent), Vec::new()), (None, vec![undo])]);
    (id, back)
}

/// The target group that a rule has to know before its service is deployed, if it does not: the one that it is to lead to,
/// if that belongs to no load balancer yet, because ECS puts no service behind such a one; or the other one of a pair, if
/// this plan makes it. ECS lets the rule know both as soon as it shifts traffic, and leaves it so when it goes back: what the
/// plan has not said itself it could not take back, and the group could never be deleted.
fn unknown_to<'r>(context: Context<'_>, route: &'r Route<'_>, rule: Rule<'_>) -> Option<&'r str> {
    let target = content(rule.rule)["Target"].clone();
    if let Some(other) = &route.alternate {
        return (target == route.group && made::is_made(other)).then_some(other);
    }
    let used = context.facts.and_then(|facts| facts.target_group(&route.group));
    let unused = used.is_none_or(|group| items(group, "LoadBalancerArns").is_empty());
    (target.is_string() && target != route.group && unused).then_some(&route.group)
}

/// How many target groups a rule leads to, and which one if it is one.
const SHARED: &str =
    "Rules[0].{Target: Actions[0].TargetGroupArn, Groups: length(Actions[0].ForwardConfig.TargetGroups || `[]`)}";

/// Lets a rule lead to another target group as well, with no share of the requests.
fn widen(context: Context<'_>, route: &Route<'_>, rule: Rule<'_>, other: &str, draft: &mut Draft) -> (String, Back) {
    let target = content(rule.rule)["Target"].clone();
    let (place, from, to) = match route.alternate {
        Some(_) => (&route.place, json!({"Target": target}), json!({"Target": target, "Alternate": other})),
        // Why the rule changes at all: `modify` says the same, and once is enough.
        None => (&route.place, content(rule.rule), wanted(route)),
    };
    let change = Change {
        id: format!("rule.{}.widen", route.name),
        component: None,
        summary: format!("let the rule {} know {}, still without requests", route.name, names::target_group(other)),
        why: vec![diff::why(context, place, from, to)],
        forward: elbv2("ModifyRule", json!({"RuleArn": rule.arn(), "Actions": both(&target, other)})),
        back_summary: format!(
            "let the rule {} lead to {} alone",
            route.name,
            names::target_group(target.as_str().unwrap_or_default())
        ),
        back: elbv2("ModifyRule", json!({"RuleArn": rule.arn(), "Actions": forward(&target)})),
        read: of_rule(rule.arn()),
        answer: None,
        find: None,
        found: SHARED.to_owned(),
        from: json!({"Target": target, "Groups": groups_of(rule)}),
        to: json!({"Target": null, "Groups": 2}),
    };
    change.add(draft)
}

/// Actions that lead to both, with all requests for the first.
fn both(first: &Value, second: &str) -> Value {
    json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": first, "Weight": 1},
        {"TargetGroupArn": second, "Weight": 0},
    ]}}])
}

fn groups_of(rule: Rule<'_>) -> usize {
    let forward = items(rule.rule, "Actions").first().and_then(|action| action.get("ForwardConfig"));
    forward.map_or(0, |forward| items(forward, "TargetGroups").len())
}

fn modify(
    context: Context<'_>,
    route: &Route<'_>,
    rule: Rule<'_>,
    widened: Option<&(String, Back)>,
    draft: &mut Draft,
) -> Option<(String, Back)> {
    let (mut from, mut to) = (content(rule.rule), wanted(route));
    let led = context.facts.and_then(|facts| facts.led_to(rule.arn())).unwrap_or_default();
    // Between the two groups of a gateway that shifts its traffic, ECS chooses.
    let shifted = route.alternate.is_some()
        && led.iter().all(|group| *group == route.group || Some(*group) == route.alternate.as_deref());
    for content in [&mut from, &mut to].into_iter().filter(|_| shifted) {
        content.as_object_mut().map(|members| members.remove("Target"));
    }
    if from == to {
        return None;
    }
    let set = |content: &Value| {
        let (hosts, paths) = lists(content);
        let mut input = json!({"RuleArn": rule.arn(), "Conditions": conditions(hosts, paths)});
        if let Some(target) = content.get("Target") {
            input["Actions"] = forward(target);
        }
        elbv2("ModifyRule", input)
    };
    let (old, mut before) = (from.clone(), set(&from));
    if widened.is_some() && !shifted {
        // It leads to both by then, and does so again on the way back.
        from["Target"] = Value::Null;
        before.input["Actions"] = both(&old["Target"], &route.group);
    }
    let change = Change {
        id: format!("rule.{}.change", route.name),
        component: None,
        summary: format!("lead {} to {}", words(&to), names::target_group(&route.group)),
        why: vec![diff::why(context, &route.place, old, to.clone())],
        forward: set(&to),
        back_summary: format!("put the rule {} back", route.name),
        back: before,
        read: of_rule(rule.arn()),
        answer: None,
        find: None,
        found: CONTENT.to_owned(),
        from,
        to,
    };
    let (id, back) = change.add_after(widened.map(|(id, _)| id.as_str()), draft);
    if let Some((first, earlier)) = widened {
        draft.after(first, &id);
        draft.back_before(&back, earlier);
    }
    Some((id, back))
}

/// All rules of a listener that get another priority.
fn priorities(context: Context<'_>, moves: &[Move<'_>], draft: &mut Draft) -> (String, Back) {
    let (mut from, mut to) = (Vec::new(), Vec::new());
    let (mut before, mut after, mut arns) = (Vec::new(), Vec::new(), Vec::new());
    let mut why: Vec<Why> = Vec::new();
    for Move { rule, to: new, place, gone, .. } in moves {
        let old = text(rule.rule, "Priority").unwrap_or_default();
        from.push(format!("{old} {}", rule.arn()));
        to.push(format!("{new} {}", rule.arn()));
        before.push(json!({"RuleArn": rule.arn(), "Priority": old.parse::<u32>().unwrap_or_default()}));
        after.push(json!({"RuleArn": rule.arn(), "Priority": new}));
        arns.push(rule.arn());
        why.push(match gone {
            None => diff::why(context, place, json!(old), json!(new)),
            Some(name) => {
                diff::why(context, place, json!({*name: {"Priority": old}}), json!({*name: {"Priority": new}}))
            }
        });
    }
    from.sort();
    to.sort();
    let at = moves.first().map_or("", |m| m.at);
    let set = |pairs: Vec<Value>| elbv2("SetRulePriorities", json!({"RulePriorities": pairs}));
    let change = Change {
        id: format!("listener.{at}.priorities"),
        component: None,
        summary: format!("put the rules of listener {at} in their new order"),
        why,
        forward: set(after),
        back_summary: format!("put the rules of listener {at} back in their old order"),
        back: set(before),
        read: elbv2("DescribeRules", json!({"RuleArns": arns})),
        answer: None,
        find: None,
        found: "{Order: sort(Rules[].join(' ', [Priority, RuleArn]))}".to_owned(),
        from: json!({"Order": from}),
        to: json!({"Order": to}),
    };
    change.add(draft)
}

/// The node that deletes a rule.
pub fn deletion(name: &str) -> String {
    format!("rule.{name}.delete")
}

fn remove(context: Context<'_>, surplus: &Surplus<'_>, draft: &mut Draft) {
    let arn = surplus.rule.arn();
    let id = deletion(surplus.name);
    let content = content(surplus.rule.rule);
    let mut gone = node(
        id.clone(),
        None,
        Phase::Finalize,
        format!("delete the rule for {}", words(&content)),
        Action::Call { call: elbv2("DeleteRule", json!({"RuleArn": arn})), expect: None },
    );
    let (place, from) = (unnamed(), json!(surplus.name));
    gone.why = vec![match context.options.mode {
        Mode::Deploy => diff::why(context, &place, from, Value::Null),
        Mode::Teardown => Why { path: place.pointer, at: Some("--mode teardown".to_owned()), from, to: Value::Null },
    }];
    gone.guards =
        vec![guard_after(COMMIT, of_rule(arn), [("Rules[0].Actions[0].TargetGroupArn", content["Target"].clone())])];
    gone.probe = Some(probe(of_rule(arn), "@ == `null`", "`{}`", []));
    gone.irreversible = Some("it runs after the commit point; the same rule made again has another ARN".to_owned());
    draft.add(gone);
    draft.after(COMMIT, &id);
}

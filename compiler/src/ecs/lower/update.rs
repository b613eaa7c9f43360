//! A component that runs and differs: one UpdateService with what changes.
//!
//! Invariants: a call sends only what changes; its undo restores exactly that, and only while it still holds what we
//! wrote; whatever starts a deployment goes through a task definition that this run registered, which proves it ours.

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Guard, Phase, Why};
use serde_json::{Map, Value, json};

use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::diff::{self, Difference, default_of};
use crate::ecs::facts::Facts;
use crate::ecs::json::{items, tag, text};

use super::back::{Ways, settings_back};
use super::calls::{describe_service, describe_service_tags, ecs};
use super::component::{tasks, wait_deployed};
use super::register::{ARN, pin, register};
use super::tags;
use super::timing::Limits;
use crate::lower::Lowered;
use crate::lower::draft::{Back, Draft, guard_at_start, node, probe};

/// A service that runs, and the parts of it that an update overwrites.
pub struct Update<'a> {
    /// Short name of the cluster.
    pub cluster: &'a str,
    /// Name of the service.
    pub service: &'a str,
    /// What UpdateService sends, but for the new task definition.
    pub sent: Map<String, Value>,
    /// The running values of the same members.
    pub before: Map<String, Value>,
    /// Members among them that no rollback by AWS restores.
    pub rest: Vec<&'static str>,
}

impl Update<'_> {
    /// The members of `of` that are among `only`.
    pub fn members<'m>(&'m self, of: &'m Map<String, Value>, only: &'m [&'static str]) -> Map<String, Value> {
        of.iter().filter(|(k, _)| only.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// UpdateService's input with these members.
    pub fn call(&self, members: Map<String, Value>) -> Value {
        let mut input = members;
        input.insert("cluster".to_owned(), json!(self.cluster));
        input.insert("service".to_owned(), json!(self.service));
        Value::Object(input)
    }

    /// A condition that DescribeServices answers with all of these values. AWS fills members in, so of a mapping only
    /// what was sent counts.
    pub fn all_hold(members: &Map<String, Value>) -> (String, Vec<(String, Value)>) {
        let mut parts = vec!["length(services[?status=='ACTIVE']) == `1`".to_owned()];
        let mut bind = Vec::new();
        for (name, value) in members.iter().filter(|(name, _)| in_describe_services(name)) {
            leaves(name, value, &mut |path, value| {
                let bound = path.replace('.', "_");
                // AWS may leave out what has its default.
                // AWS writes percentages with a fraction, which is another number to JMESPath unless it is ordered.
                let is = match path.ends_with("Percent") && path.matches('.').count() > 1 {
                    true => format!("services[0].{path} >= ${bound} && services[0].{path} <= ${bound}"),
                    false => format!("services[0].{path} == ${bound}"),
                };
                let empty = value == &json!(0) || value == &json!(false) || value == &json!([]);
                let default = empty || Some(value) == default_of(name).as_ref();
                parts.push(if default { format!("({is} || services[0].{path} == `null`)") } else { is });
                bind.push((bound, value.clone()));
            });
        }
        (parts.join(" && "), bind)
    }
}

fn leaves(path: &str, value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| leaves(&format!("{path}.{name}"), value, visit)),
        other => visit(path, other),
    }
}

/// Members that DescribeServices leaves out; they stand in the service's revision.
fn in_describe_services(member: &str) -> bool {
    !matches!(member, "serviceConnectConfiguration" | "volumeConfigurations" | "vpcLatticeConfigurations")
}

/// What an update has to bring about.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The service that runs.
    pub service: &'a Value,
    /// What differs.
    pub difference: &'a Difference,
    /// Whether all tasks are to be replaced even if nothing differs.
    pub replace: bool,
    /// Limits of the wait for it.
    pub limits: Limits,
}

/// A component that runs and differs.
pub fn update(
    context: Context<'_>,
    facts: &Facts<'_>,
    desired: &Desired,
    task: Task<'_>,
    draft: &mut Draft,
) -> Lowered {
    let Task { service, difference, replace, limits } = task;
    let deploys = difference.deploys() || replace;
    // Tasks may take their tags from the service, so it has the new ones before they start.
    let tagged = tags::change(context, desired, service, difference, draft);
    if difference.updates_nothing()
        && !deploys
        && let (Some((first, first_back)), Some((last, last_back))) = (tagged.first(), tagged.last())
    {
        let back = Back { firsts: last_back.firsts.clone(), lasts: first_back.lasts.clone() };
        return Lowered { entries: vec![first.clone()], starts: first.clone(), ready: last.clone(), back };
    }
    let update = prepare(context, facts, desired, service, difference);
    let component = desired.component.as_str();
    let id = format!("{component}.service.update");
    let old = service.get("taskDefinition").cloned().unwrap_or_default();
    let mut sent = update.sent.clone();
    let mut entries = Vec::new();
    let mut backs = Vec::new();
    let mut restore_to = old.clone();
    let mut new = Value::Null;
    if deploys {
        let (register, back) = register(context, desired, desired.task.clone(), Some(difference), draft);
        new = output(&register, ARN);
        sent.insert("taskDefinition".to_owned(), new.clone());
        entries.push(register);
        if let Some((pin, pin_back)) = pin(context, facts, desired, service, draft) {
            restore_to = output(&pin, ARN);
            entries.push(pin);
            draft.back_before(&back, &pin_back);
            backs.push(back);
            backs.push(pin_back);
        } else {
            backs.push(back);
        }
    }
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Deploy,
        summary(desired, difference, deploys),
        Action::Call { call: ecs("UpdateService", update.call(sent)), expect: None },
    );
    forward.why = difference.why(context, desired);
    if forward.why.is_empty() {
        forward.why = vec![Why { path: "--replace-all".to_owned(), at: None, from: Value::Null, to: json!(true) }];
    }
    forward.guards = guards(context, facts, &update, service, &old);
    let back = if deploys {
        forward.probe = Some(probe(
            describe_service(update.cluster, update.service),
            "services[0].taskDefinition == $new",
            "{service: services[0]}",
            [("new", new.clone())],
        ));
        let ways =
            Ways { context, desired, update: &update, service, id: &id, old: &old, new: &new, restore_to: &restore_to };
        draft.with_undo(forward, ways.all())
    } else {
        let (applied, bind) = Update::all_hold(&update.sent);
        let mut told = probe(describe_service(update.cluster, update.service), &applied, "{service: services[0]}", []);
        told.bind = bind.into_iter().collect();
        forward.probe = Some(told);
        let cases = settings_back(context, desired, &update, service, &id);
        draft.with_undo(forward, cases)
    };
    for (entry, earlier) in entries.iter().zip(&backs) {
        draft.after(entry, &id);
        draft.back_before(&back, earlier);
    }
    if entries.is_empty() {
        entries.push(id.clone());
    }
    if let (Some((first, _)), Some((last, tagged_back))) = (tagged.first(), tagged.last()) {
        draft.after(last, &id);
        draft.back_before(&back, tagged_back);
        entries.push(first.clone());
    }
    let ready = wait_deployed(context, desired, &id, limits, draft);
    Lowered { entries, starts: id, ready, back }
}

fn prepare<'a>(
    context: Context<'a>,
    facts: &Facts<'_>,
    desired: &'a Desired,
    service: &Value,
    difference: &Difference,
) -> Update<'a> {
    let revision = facts.current_revision(service);
    let mut sent = Map::new();
    let mut before = Map::new();
    let mut rest = Vec::new();
    for member in difference.deploying.iter().chain(&difference.settings) {
        let mut wanted = desired.service.get(*member).cloned().or_else(|| default_of(member)).unwrap_or_default();
        let mut running =
            diff::running(service, revision, member).cloned().or_else(|| default_of(member)).unwrap_or_default();
        if *member == "deploymentConfiguration" {
            explicit(&mut wanted, &running);
            explicit(&mut running, &wanted);
        }
        sent.insert((*member).to_owned(), wanted);
        before.insert((*member).to_owned(), running);
    }
    rest.extend(difference.settings.iter().copied());
    if let (Some(from), Some(to)) = (difference.scale_from, desired.desired_count()) {
        sent.insert("desiredCount".to_owned(), json!(to));
        before.insert("desiredCount".to_owned(), json!(from));
        rest.push("desiredCount");
    }
    Update { cluster: &context.settings.cluster, service: &desired.service_name, sent, before, rest }
}

/// UpdateService leaves members of a deployment configuration as they are when it does not name them: what the other side
/// has, this one says it has not.
fn explicit(configuration: &mut Value, other: &Value) {
    let none = [
        ("alarms", json!({"alarmNames": [], "enable": false, "rollback": false})),
        ("deploymentCircuitBreaker", json!({"enable": false, "rollback": false})),
        ("strategy", json!("ROLLING")),
        ("bakeTimeInMinutes", json!(0)),
    ];
    for (member, none) in none {
        // These two AWS always answers.
        let said = !matches!(member, "strategy" | "bakeTimeInMinutes") || other.get(member) != Some(&none);
        if said
            && other.get(member).is_some()
            && let Value::Object(configuration) = &mut *configuration
        {
            configuration.entry(member).or_insert(none);
        }
    }
}

fn summary(desired: &Desired, difference: &Difference, deploys: bool) -> String {
    let service = &desired.service_name;
    let mut parts = Vec::new();
    if deploys {
        parts.push("to the new revision".to_owned());
    }
    if let (Some(from), Some(to)) = (difference.scale_from, desired.desired_count()) {
        parts.push(format!("from {from} to {}", tasks(to)));
    }
    let members: Vec<&str> = difference.deploying.iter().chain(&difference.settings).copied().collect();
    if !members.is_empty() {
        parts.push(format!("with new {}", members.join(", ")));
    }
    let verb = if parts.len() == 1 && difference.scale_from.is_some() { "scale" } else { "update" };
    format!("{verb} service {service} {}", parts.join(", "))
}

/// What an update relies on: that the service still runs what was reviewed, which is `old`, with the values that it
/// overwrites and would restore, and that nobody else is deploying.
fn guards(context: Context<'_>, facts: &Facts<'_>, update: &Update<'_>, service: &Value, old: &Value) -> Vec<Guard> {
    let mut guard = guard_at_start(
        describe_service_tags(update.cluster, update.service),
        [
            ("services[0].status", json!("ACTIVE")),
            ("length(services[0].deployments)", json!(1)),
            (
                format!("services[0].tags[?key=='{}'].value | [0]", context.tag("project")).as_str(),
                owned_by(context, service),
            ),
        ],
    );
    // Whatever is changed of it, if only a setting.
    guard.holds.insert("services[0].taskDefinition".to_owned(), old.clone());
    let mut guards = Vec::new();
    for member in update.before.keys().filter(|m| in_describe_services(m)) {
        guard.holds.insert(format!("services[0].{member}"), service.get(member).cloned().unwrap_or_default());
    }
    guards.push(guard);
    let hidden: Vec<&String> = update.before.keys().filter(|m| !in_describe_services(m)).collect();
    if let (false, Some(revision)) = (hidden.is_empty(), facts.current_revision(service)) {
        let arn = text(revision, "serviceRevisionArn").unwrap_or_default();
        let mut guard = guard_at_start(ecs("DescribeServiceRevisions", json!({"serviceRevisionArns": [arn]})), []);
        for member in hidden {
            guard
                .holds
                .insert(format!("serviceRevisions[0].{member}"), revision.get(member).cloned().unwrap_or_default());
        }
        guards.push(guard);
    }
    guards
}

/// The project tag of a running service as it is: `skopos:` tags are understood, and then ours is absent.
fn owned_by(context: Context<'_>, service: &Value) -> Value {
    let key = context.tag("project");
    tag(items(service, "tags"), &key).map_or(Value::Null, |v| json!(v))
}

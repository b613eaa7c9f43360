//! Cloud Map services: made before the first task registers with them, changed in place where AWS can, deleted after the
//! commit point when nobody wants them any more.
//!
//! Invariant: AWS deletes none with which something is registered, so a deletion waits until everything has left.

use std::collections::BTreeMap;

use belay_schemas::late::{output, run_id, run_token};
use belay_schemas::plan::{Action, Call, Mode, Phase, Wait, Why};
use serde_json::{Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::diff;
use crate::ecs::json::{items, text};
use crate::ecs::registries::{self, Registry, Surplus};
use crate::lower::draft::{Back, Draft, call, guard_after, guard_at_start, node, probe, when};
use crate::lower::{COMMIT, Part};

use super::change::Change;
use super::timing;

fn cloud_map(operation: &str, input: Value) -> Call {
    call("servicediscovery", operation, input)
}

fn in_namespace(id: &str) -> Call {
    let filter = json!([{"Name": "NAMESPACE_ID", "Values": [id], "Condition": "EQ"}]);
    cloud_map("ListServices", json!({"Filters": filter}))
}

/// Makes or changes the one of a component, if there is anything to do: the node after which it is there, and its way back.
pub fn lower(context: Context<'_>, registry: &Registry, draft: &mut Draft) -> Option<(String, Back)> {
    match registries::running(context, registry) {
        None => Some(create(context, registry, draft)),
        Some(running) => change(context, registry, running, draft),
    }
}

/// The records of a wanted one, as the API takes them.
fn records(registry: &Registry) -> Option<Value> {
    registry.record.map(|record| json!({"DnsRecords": [record.entry()]}))
}

fn create(context: Context<'_>, registry: &Registry, draft: &mut Draft) -> (String, Back) {
    let Registry { component, name, namespace, .. } = registry;
    let id = format!("{component}.registry.create");
    let tag = |key: &str, value: Value| json!({"Key": context.tag(key), "Value": value});
    let mut input = json!({
        "Name": name,
        "NamespaceId": namespace.id(),
        "CreatorRequestId": run_token(),
        "Description": format!("{}:{}/{component}", context.settings.tag_prefix, context.options.project),
        // ECS tells of each task whether it is healthy.
        "HealthCheckCustomConfig": {"FailureThreshold": 1},
        "Tags": [tag("project", json!(context.options.project)), tag("component", json!(component)), tag("run", run_id())],
    });
    if let Some(mut dns) = records(registry) {
        dns["RoutingPolicy"] = json!("MULTIVALUE");
        input["DnsConfig"] = dns;
    }
    let zone = namespace.name.as_deref().unwrap_or(namespace.id());
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Deploy,
        format!("create Cloud Map service {name} in {zone}"),
        Action::Call { call: cloud_map("CreateService", input), expect: None },
    );
    forward.why = vec![diff::why(context, &registry.place, Value::Null, json!(format!("{name}.{zone}")))];
    let found = format!("Services[?Name=='{name}']");
    let count = format!("length({found})");
    forward.guards = vec![guard_at_start(in_namespace(namespace.id()), [(count.as_str(), json!(0))])];
    // One namespace has one service of a name, and before the run it had none.
    let answer = format!("{{Service: {found} | [0]}}");
    forward.probe = Some(probe(in_namespace(namespace.id()), &format!("{count} == `1`"), &answer, []));
    let (own, arn) = (output(&id, "Service.Id"), output(&id, "Service.Arn"));
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete Cloud Map service {name}, which this run created"),
        Action::Call { call: cloud_map("DeleteService", json!({"Id": own})), expect: None },
    );
    let run = format!("Tags[?Key=='{}'].Value | [0]", context.tag("run"));
    undo.guards = vec![guard_after(
        &id,
        cloud_map("ListTagsForResource", json!({"ResourceARN": arn})),
        [(run.as_str(), run_id())],
    )];
    let gone = "length(Services[?Id==$id]) == `0`";
    undo.probe = Some(probe(in_namespace(namespace.id()), gone, "`{}`", [("id", own.clone())]));
    let absent = when("it is gone already", in_namespace(namespace.id()), gone, [("id", own)]);
    let back = draft.with_undo(forward, vec![(Some(absent), Vec::new()), (None, vec![undo])]);
    (id, back)
}

/// For how long resolvers keep what they were told is all that AWS changes in place.
fn change(context: Context<'_>, registry: &Registry, running: &Value, draft: &mut Draft) -> Option<(String, Back)> {
    let record = registry.record?;
    let before = items(running.get("DnsConfig")?, "DnsRecords").first()?;
    let from = json!({"Type": record.kind, "TTL": before.get("TTL")?});
    let to = record.entry();
    if from == to {
        return None;
    }
    let id = text(running, "Id")?;
    let description = running.get("Description").cloned().unwrap_or_else(|| json!(""));
    let set = |entry: &Value| {
        let service = json!({"Description": description, "DnsConfig": {"DnsRecords": [entry]}});
        cloud_map("UpdateService", json!({"Id": id, "Service": service}))
    };
    let place = registry.place.child("ttl");
    let change = Change {
        id: format!("{}.registry.change", registry.component),
        component: Some(&registry.component),
        summary: format!("let resolvers keep records of {} for {} s", registry.name, record.ttl),
        why: vec![diff::why(context, &place, from["TTL"].clone(), to["TTL"].clone())],
        forward: set(&to),
        back_summary: format!("let resolvers keep records of {} as long as before", registry.name),
        back: set(&from),
        read: cloud_map("GetService", json!({"Id": id})),
        answer: None,
        find: None,
        found: "Service.DnsConfig.DnsRecords[0].{Type: Type, TTL: TTL}".to_owned(),
        from,
        to,
    };
    Some(change.add(draft))
}

/// Deletes what nobody wants any more, once nothing is registered with it.
pub fn remove(context: Context<'_>, all: &[Surplus<'_>], part: &mut Part) {
    for Surplus { component, registry } in all {
        let (Some(id), Some(arn), Some(name)) = (text(registry, "Id"), text(registry, "Arn"), text(registry, "Name"))
        else {
            continue;
        };
        let base = format!("{component}.registry.{}", name.replace('.', "-"));
        let (empty, delete) = (format!("{base}.empty"), format!("{base}.delete"));
        let limits = timing::draining(context, timing::Pace::default());
        let wait = Wait {
            reads: vec![cloud_map("ListInstances", json!({"ServiceId": id}))],
            until: "length([0].Instances) == `0`".to_owned(),
            fail: Vec::new(),
            progress: Some("length([0].Instances)".to_owned()),
            no_progress: limits.no_progress,
            overall: limits.overall,
            hold: 0,
            interval: limits.interval,
            bind: BTreeMap::new(),
            evidence: Vec::new(),
        };
        let draft = &mut part.draft;
        draft.add(node(
            empty.clone(),
            Some(component),
            Phase::Finalize,
            format!("wait until nothing is registered as {name} any more"),
            Action::Wait { wait },
        ));
        draft.after(COMMIT, &empty);
        // The tasks of a service that is taken away leave with it.
        let gone = format!("{component}.service.gone");
        if draft.nodes.iter().any(|node| node.id == gone) {
            draft.after(&gone, &empty);
        }
        let mut forward = node(
            delete.clone(),
            Some(component),
            Phase::Finalize,
            format!("delete Cloud Map service {name}"),
            Action::Call { call: cloud_map("DeleteService", json!({"Id": id})), expect: None },
        );
        forward.why = vec![why(context, component, name)];
        let project = format!("Tags[?Key=='{}'].Value | [0]", context.tag("project"));
        forward.guards = vec![guard_after(
            &empty,
            cloud_map("ListTagsForResource", json!({"ResourceARN": arn})),
            [(project.as_str(), json!(context.options.project))],
        )];
        forward.probe = Some(probe(cloud_map("GetService", json!({"Id": id})), "@ == `null`", "`{}`", []));
        forward.irreversible =
            Some("it runs after the commit point; the same service made again has another ARN".to_owned());
        draft.add(forward);
        draft.after(&empty, &delete);
        part.tidies(component);
    }
}

fn why(context: Context<'_>, component: &str, name: &str) -> Why {
    let place = Place::model(["components", component, "plugin", "ec2-ecs", "discovery"]);
    match context.options.mode {
        Mode::Deploy => diff::why(context, &place, json!(name), Value::Null),
        Mode::Teardown => {
            Why { path: place.pointer, at: Some("--mode teardown".to_owned()), from: json!(name), to: Value::Null }
        }
    }
}

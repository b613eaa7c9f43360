//! A component that does not run yet: register its task definition, create its service, wait for that deployment.

use belay_schemas::late::{output, run_id, run_token};
use belay_schemas::plan::{Action, Phase, Probe, When};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::desired::{Balancer, Desired};
use crate::ecs::diff;
use crate::ecs::json::{items, tag_entry};
use crate::ecs::names;

use super::calls::{SERVICE_ABSENT, describe_service, describe_service_tags, ecs};
use super::component::{tasks, wait_deployed};
use super::register::{ARN, owner_tags, register};
use super::timing::{self, Limits};
use super::waits;
use crate::lower::Lowered;
use crate::lower::draft::{Draft, guard_after, guard_at_start, node, probe, when};

/// A component that does not run yet.
pub fn create(context: Context<'_>, mut desired: Desired, limits: Limits, draft: &mut Draft) -> Lowered {
    let draining = timing::draining(context, timing::pace(context, &desired));
    let content = desired.task.take();
    let (register, register_back) = register(context, &desired, content, None, draft);
    let component = desired.component.as_str();
    let (cluster, service) = (context.settings.cluster.as_str(), desired.service_name.as_str());
    let id = format!("{component}.service.create");
    let mut input = match &desired.service {
        Value::Object(map) => map.clone(),
        _ => Map::new(),
    };
    let mut tags: Vec<Value> = items(&desired.service, "tags").to_vec();
    tags.extend(super::tags::record(context, &desired));
    let marks = super::tags::marks(context, &desired);
    tags.extend(marks.into_iter().filter_map(|mark| Some(tag_entry(mark.key, mark.wanted?.0))));
    tags.extend(owner_tags(context, component));
    for (name, value) in [
        ("cluster", json!(cluster)),
        ("serviceName", json!(service)),
        ("taskDefinition", output(&register, ARN)),
        ("clientToken", run_token()),
        ("tags", Value::Array(tags)),
    ] {
        input.insert(name.to_owned(), value);
    }
    let count = desired.desired_count();
    let mut summary = match count {
        Some(count) => format!("create service {service} with {}", tasks(count)),
        None if desired.external() => format!("create service {service} with a task on each machine outside AWS"),
        None => format!("create service {service} with a task on each container instance"),
    };
    for (index, attachment) in desired.attachments.iter().enumerate() {
        summary.push_str(if index == 0 { " behind " } else { " and " });
        summary.push_str(balancer_name(&attachment.balancer));
    }
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Deploy,
        summary,
        Action::Call { call: ecs("CreateService", Value::Object(input)), expect: None },
    );
    forward.why = vec![diff::why(
        context,
        &Place::model(["components", component]),
        Value::Null,
        json!(desired.images[component]),
    )];
    forward.guards =
        vec![guard_at_start(describe_service(cluster, service), [("length(services[?status!='INACTIVE'])", json!(0))])];
    forward.probe = Some(probe(
        describe_service_tags(cluster, service),
        &format!("length(services[?status=='ACTIVE'].tags[] | [?key=='{}' && value==$run]) == `1`", context.tag("run")),
        "{service: services[0]}",
        [("run", run_id())],
    ));
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete service {service}, which this run created"),
        Action::Call {
            call: ecs("DeleteService", json!({"cluster": cluster, "service": service, "force": true})),
            expect: None,
        },
    );
    undo.guards = vec![guard_after(
        &id,
        describe_service_tags(cluster, service),
        [
            (format!("services[0].tags[?key=='{}'].value | [0]", context.tag("run")).as_str(), run_id()),
            // Whoever has deployed to it since relies on it.
            ("services[0].taskDefinition", output(&register, ARN)),
        ],
    )];
    undo.probe = Some(service_deleted(cluster, service));
    let subject = waits::subject(cluster, service, items(&desired.service, "loadBalancers"));
    let undone = node(
        format!("{id}.undone"),
        Some(component),
        Phase::Undo,
        format!("wait until service {service} is gone"),
        waits::gone(&subject, draining),
    );
    let absent: When = when("the service is gone already", describe_service(cluster, service), SERVICE_ABSENT, []);
    let back = draft.with_undo(forward, vec![(Some(absent), Vec::new()), (None, vec![undo, undone])]);
    draft.after(&register, &id);
    draft.back_before(&back, &register_back);
    let ready = wait_deployed(context, &desired, &id, limits, draft);
    Lowered { entries: vec![register], starts: id, ready, back }
}

/// Tells whether a service was deleted.
pub fn service_deleted(cluster: &str, service: &str) -> Probe {
    probe(
        describe_service(cluster, service),
        "length(services[?status=='ACTIVE']) == `0`",
        "{service: services[0]}",
        [],
    )
}

fn balancer_name(balancer: &Balancer) -> &str {
    match balancer {
        Balancer::Classic { name } => name,
        Balancer::TargetGroup { arn } => names::target_group(arn),
    }
}

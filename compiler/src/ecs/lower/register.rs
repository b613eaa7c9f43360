//! Task definitions: registering a revision, and pinning the running one before anything depends on going back to it.
//!
//! Invariant: every revision carries the tags that prove whose it is, which run made it, and what is in it.

use belay_schemas::late::{output, run_id};
use belay_schemas::model::ScheduledBy;
use belay_schemas::plan::{Action, Node, Phase, Probe, digest_of_json};
use belay_schemas::scope::{EVENT_RULE_TAG, SCHEDULE_TAG};
use serde_json::{Value, json};

use crate::ecs::Context;
use crate::ecs::desired::{Desired, Kind};
use crate::ecs::diff::{self, Difference};
use crate::ecs::facts::Facts;
use crate::ecs::json::{items, tag_entry, text};
use crate::ecs::pointer;

use super::calls::{describe_service, ecs};
use crate::lower::draft::{Back, Draft, node, probe, when};

/// The path of the ARN in RegisterTaskDefinition's answer.
pub const ARN: &str = "taskDefinition.taskDefinitionArn";

/// Registers the task definition, of which `content` is what `desired` holds; returns the node's id and its way back.
pub fn register(
    context: Context<'_>,
    desired: &Desired,
    content: Value,
    difference: Option<&Difference>,
    draft: &mut Draft,
) -> (String, Back) {
    let id = format!("{}.task-definition.register", desired.component);
    let mut tags: Vec<Value> = items(&content, "tags").to_vec();
    tags.extend(owner_tags(context, &desired.component));
    for (container, image) in desired.images.iter().filter(|(_, image)| image.len() <= 256) {
        tags.push(tag_entry(context.tag(&format!("image:{container}")), image.clone()));
    }
    if let Kind::Scheduled(timetable) = &desired.kind {
        // Observing looks at the schedule or rule of that name, also when no model wants it any more.
        let key = match timetable.by {
            ScheduledBy::Scheduler => SCHEDULE_TAG,
            ScheduledBy::Rule => EVENT_RULE_TAG,
        };
        tags.push(tag_entry(context.tag(key), timetable.name.clone()));
    }
    let (forward, back) = registration(context, &id, desired, &desired.family, content, tags);
    let mut forward = forward;
    forward.summary = format!("register a revision of task definition {}", desired.family);
    forward.why = match difference {
        Some(difference) => difference.why(context, desired).into_iter().take(difference.task.len()).collect(),
        None => Vec::new(),
    };
    let back = draft.with_undo(forward, vec![(None, vec![back])]);
    (id, back)
}

/// A RegisterTaskDefinition node and its compensation. The content's hash tells two registrations of one run apart.
fn registration(
    context: Context<'_>,
    id: &str,
    desired: &Desired,
    family: &str,
    mut content: Value,
    mut tags: Vec<Value>,
) -> (Node, Node) {
    if let Value::Object(members) = &mut content {
        members.remove("tags");
    }
    let hash = digest_of_json(&content).trim_start_matches("sha256:").to_owned();
    tags.push(tag_entry(context.tag("content"), hash.clone()));
    if let Value::Object(members) = &mut content {
        members.insert("tags".to_owned(), Value::Array(tags));
    }
    let component = Some(desired.component.as_str());
    let mut forward = node(
        id.to_owned(),
        component,
        Phase::Deploy,
        String::new(),
        Action::Call { call: ecs("RegisterTaskDefinition", content), expect: None },
    );
    forward.unguarded = Some("a new revision changes nothing that runs".to_owned());
    forward.probe = Some(probe(
        ecs("DescribeTaskDefinition", json!({"taskDefinition": family, "include": ["TAGS"]})),
        &format!(
            "length(tags[?(key=='{}' && value==$run) || (key=='{}' && value=='{hash}')]) == `2`",
            context.tag("run"),
            context.tag("content"),
        ),
        "{taskDefinition: taskDefinition, tags: tags}",
        [("run", run_id())],
    ));
    let arn = output(id, ARN);
    let mut back = node(
        format!("{id}.undo"),
        component,
        Phase::Undo,
        format!("deregister the revision of {family} that this run registered"),
        Action::Call { call: ecs("DeregisterTaskDefinition", json!({"taskDefinition": arn})), expect: None },
    );
    back.unguarded = Some("the revision was registered by this run, and its service has gone back before".to_owned());
    back.probe = Some(deregistered(arn));
    (forward, back)
}

/// Tells whether a revision was deregistered.
pub fn deregistered(arn: Value) -> Probe {
    probe(
        ecs("DescribeTaskDefinition", json!({"taskDefinition": arn})),
        "taskDefinition.status == 'INACTIVE'",
        "{taskDefinition: taskDefinition}",
        [],
    )
}

/// The tags that prove whose something is and which run made it.
pub fn owner_tags(context: Context<'_>, component: &str) -> Vec<Value> {
    vec![
        tag_entry(context.tag("project"), context.options.project.clone()),
        tag_entry(context.tag("component"), component),
        tag_entry(context.tag("run"), run_id()),
    ]
}

/// Where the running task definition names a tag, a twin that names the running digests: going back to it is exact.
pub fn pin(
    context: Context<'_>,
    facts: &Facts<'_>,
    desired: &Desired,
    service: &Value,
    draft: &mut Draft,
) -> Option<(String, Back)> {
    let running = facts.definition(text(service, "taskDefinition")?)?;
    let pins = diff::unpinned(facts, service, running.task)?;
    if pins.is_empty() {
        return None;
    }
    let component = desired.component.as_str();
    let id = format!("{component}.task-definition.pin");
    let mut input = running.task.clone();
    let Value::Object(map) = &mut input else { return None };
    for surplus in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ] {
        map.remove(surplus);
    }
    if let Some(Value::Array(containers)) = map.get_mut("containerDefinitions") {
        for container in containers {
            let name = text(container, "name").map(str::to_owned);
            if let (Some((_, image)), Value::Object(container)) =
                (pins.iter().find(|(n, _)| Some(n) == name.as_ref()), container)
            {
                container.insert("image".to_owned(), json!(image));
            }
        }
    }
    let ours = context.tag("");
    let mut tags: Vec<Value> =
        running.tags.iter().filter(|t| !text(t, "key").is_some_and(|k| k.starts_with(&ours))).cloned().collect();
    tags.extend(owner_tags(context, component));
    for (container, _) in &pins {
        let old = items(running.task, "containerDefinitions").iter().find(|c| text(c, "name") == Some(container));
        if let Some(image) = old.and_then(|c| text(c, "image")) {
            tags.push(tag_entry(context.tag(&format!("image:{container}")), image));
        }
    }
    let family = text(running.task, "family").unwrap_or(&desired.family).to_owned();
    let (mut forward, undo) = registration(context, &id, desired, &family, input, tags);
    forward.summary =
        format!("register a twin of the running revision of {family}, pinned to the digests that run now");
    // Two registrations of one family would hide each other from the probe, which sees the newest revision only.
    let register = format!("{component}.task-definition.register");
    let used = when(
        "the service has gone back to this twin",
        describe_service(&context.settings.cluster, &desired.service_name),
        "services[0].taskDefinition == $twin",
        [("twin", output(&id, ARN))],
    );
    forward.why = pins
        .iter()
        .map(|(container, pinned)| {
            let old = items(running.task, "containerDefinitions").iter().find(|c| text(c, "name") == Some(container));
            let place = desired.task_origins.of(&pointer::pointer(["containerDefinitions", container, "image"]));
            diff::why(context, &place, json!(old.and_then(|c| text(c, "image"))), json!(pinned))
        })
        .collect();
    let back = draft.with_undo(forward, vec![(Some(used), Vec::new()), (None, vec![undo])]);
    draft.after(&id, &register);
    Some((id, back))
}

//! Taking away what is not wanted any more: scaled to zero before the commit point, deleted after it.

use std::collections::BTreeSet;

use belay_schemas::plan::{Action, Node, Phase, Why};
use serde_json::{Value, json};

use crate::ecs::Context;
use crate::ecs::facts::{Facts, owner};
use crate::ecs::json::{items, revision, text};
use crate::ecs::ownership::Orphan;

use super::calls::{describe_service, describe_service_tags, ecs};
use super::component::tasks;
use super::create::service_deleted;
use super::register::deregistered;
use super::{scaling, timing, waits};
use crate::lower::COMMIT;
use crate::lower::Lowered;
use crate::lower::draft::{Back, Draft, guard_after, guard_at_start, node, probe, when};

/// How many revisions of a family stay registered, the one included that an update registers.
const KEEP: usize = 3;

/// Scales a service of ours to zero, undoably; nothing if it runs nothing (or is a daemon, which cannot be scaled).
pub fn scale_down(context: Context<'_>, orphan: &Orphan<'_>, why: &Why, draft: &mut Draft) -> Option<Lowered> {
    let count = orphan.desired_count();
    if count == 0 || orphan.is_daemon() {
        return None;
    }
    let (cluster, service) = (context.settings.cluster.as_str(), orphan.service_name);
    let component = Some(orphan.component.as_str());
    let id = format!("{}.service.scale-down", orphan.component);
    let set = |to: u64| ecs("UpdateService", json!({"cluster": cluster, "service": service, "desiredCount": to}));
    let read = || describe_service(cluster, service);
    let mut forward = node(
        id.clone(),
        component,
        Phase::Deploy,
        format!("scale service {service} from {count} to 0"),
        Action::Call { call: set(0), expect: None },
    );
    forward.why = vec![why.clone()];
    forward.guards = vec![guard_at_start(
        describe_service_tags(cluster, service),
        [
            ("services[0].status", json!("ACTIVE")),
            ("services[0].desiredCount", json!(count)),
            (
                format!("services[0].tags[?key=='{}'].value | [0]", context.tag("project")).as_str(),
                tag_value(context, orphan.service),
            ),
        ],
    )];
    forward.probe = Some(probe(read(), "services[0].desiredCount == `0`", "{service: services[0]}", []));
    let pace = timing::pace_of_service(context, orphan.service);
    let subject = waits::subject(cluster, service, items(orphan.service, "loadBalancers"));
    let mut undo = node(
        format!("{id}.undo"),
        component,
        Phase::Undo,
        format!("scale service {service} back to {count}"),
        Action::Call { call: set(count), expect: None },
    );
    undo.guards = vec![guard_after(&id, read(), [("services[0].desiredCount", json!(0))])];
    undo.probe = Some(probe(read(), &format!("services[0].desiredCount == `{count}`"), "{service: services[0]}", []));
    let undone = node(
        format!("{id}.undone"),
        component,
        Phase::Undo,
        format!("wait until {} of {service} run again", tasks(count)),
        waits::at_count(&subject, count, timing::restoring(context, pace, count, 0)),
    );
    // An earlier try may have scaled it back and not seen its tasks come: having the old count is not being back.
    let returned = Node { id: format!("{id}.returned"), ..undone.clone() };
    let old = format!("services[0].desiredCount == `{count}`");
    let resting = format!("{old} && {}", waits::resting("services[0]"));
    let untouched = when("it still has its old count and is at rest", read(), &resting, []);
    let returning = when("it has its old count, and AWS is at it", read(), &old, []);
    let ours =
        when("it is scaled to 0", read(), "services[0].desiredCount == `0` && services[0].status == 'ACTIVE'", []);
    let back = draft.with_undo(
        forward,
        vec![(Some(untouched), Vec::new()), (Some(returning), vec![returned]), (Some(ours), vec![undo, undone])],
    );
    let mut entries = vec![id.clone()];
    let (mut starts, mut whole) = (id.clone(), back.clone());
    if let Some((suspend, earlier)) = scaling::suspend(scaled(context, orphan), draft) {
        draft.after(&suspend, &id);
        draft.back_before(&back, &earlier);
        entries = vec![suspend.clone()];
        (starts, whole) = (suspend, Back { firsts: back.firsts.clone(), lasts: earlier.lasts });
    }
    let ready = format!("{}.service.drained", orphan.component);
    draft.add(node(
        ready.clone(),
        component,
        Phase::Deploy,
        format!("wait until no task of {service} runs"),
        waits::drained(&subject, timing::draining(context, pace)),
    ));
    draft.after(&id, &ready);
    Some(Lowered { entries, starts, ready, back: whole })
}

fn scaled<'a>(context: Context<'a>, orphan: &'a Orphan<'_>) -> scaling::Subject<'a> {
    scaling::Subject { context, component: &orphan.component, service: orphan.service_name }
}

fn tag_value(context: Context<'_>, service: &Value) -> Value {
    crate::ecs::json::tag(items(service, "tags"), &context.tag("project")).map_or(Value::Null, |v| json!(v))
}

/// The wait for a component's service to be gone.
pub fn gone(component: &str) -> String {
    format!("{component}.service.gone")
}

/// Deletes a service of ours and deregisters all of its revisions, after the commit point.
pub fn delete(context: Context<'_>, facts: &Facts<'_>, orphan: &Orphan<'_>, why: &Why, draft: &mut Draft) {
    let (cluster, service) = (context.settings.cluster.as_str(), orphan.service_name);
    let component = Some(orphan.component.as_str());
    let id = format!("{}.service.delete", orphan.component);
    let force = orphan.is_daemon();
    let mut input = json!({"cluster": cluster, "service": service});
    if force {
        input["force"] = json!(true);
    }
    let mut forward = node(
        id.clone(),
        component,
        Phase::Finalize,
        format!("delete service {service}"),
        Action::Call { call: ecs("DeleteService", input), expect: None },
    );
    forward.why = vec![why.clone()];
    let mut guard = guard_after(
        COMMIT,
        describe_service_tags(cluster, service),
        [
            ("services[0].status", json!("ACTIVE")),
            (
                format!("services[0].tags[?key=='{}'].value | [0]", context.tag("project")).as_str(),
                tag_value(context, orphan.service),
            ),
        ],
    );
    if !force {
        guard.holds.insert("services[0].desiredCount".to_owned(), json!(0));
    }
    if orphan.desired_count() == 0 || force {
        // Nothing before the commit point changes it, so nothing else tells that somebody has deployed to it since.
        let definition = orphan.service.get("taskDefinition").cloned().unwrap_or_default();
        let unchanged = [("services[0].status", json!("ACTIVE")), ("services[0].taskDefinition", definition)];
        forward.guards.push(guard_at_start(describe_service_tags(cluster, service), unchanged));
    }
    forward.guards.push(guard);
    forward.probe = Some(service_deleted(cluster, service));
    forward.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
    draft.add(forward);
    draft.after(COMMIT, &id);
    if let Some(given_up) = scaling::give_up(scaled(context, orphan), draft) {
        draft.after(&given_up, &id);
    }
    let gone = gone(&orphan.component);
    let subject = waits::subject(cluster, service, &[]);
    let limits = timing::draining(context, timing::pace_of_service(context, orphan.service));
    draft.add(node(
        gone.clone(),
        component,
        Phase::Finalize,
        format!("wait until service {service} is gone"),
        waits::gone(&subject, limits),
    ));
    draft.after(&id, &gone);
    let family = text(orphan.service, "taskDefinition").map(crate::ecs::json::family).unwrap_or_default();
    for arn in ours(context, facts, family, &orphan.component) {
        deregister(&orphan.component, arn, &gone, draft);
    }
}

/// ACTIVE revisions of a family that carry our tags, newest first.
fn ours<'a>(context: Context<'_>, facts: &Facts<'a>, family: &str, component: &str) -> Vec<&'a str> {
    facts.family(family).iter().filter(|arn| is_ours(context, facts, arn, component)).copied().collect()
}

/// Whether a revision carries our tags. One that was not looked at is not known to be ours.
pub fn is_ours(context: Context<'_>, facts: &Facts<'_>, arn: &str, component: &str) -> bool {
    facts.definition(arn).is_some_and(|d| {
        owner(d.tags, &context.settings.tag_prefix) == Some(&context.options.project)
            && crate::ecs::json::tag(d.tags, &context.tag("component")).is_none_or(|c| c == component)
    })
}

/// Deregisters the revisions of ours that are older than the last three and that nothing refers to, after the commit
/// point. Where this plan registers one, that is one of the three; a twin of the running one does not count, so that
/// looking again right after the plan finds nothing to do.
pub fn tidy(context: Context<'_>, facts: &Facts<'_>, component: &str, registers: bool, draft: &mut Draft) -> bool {
    let referenced: BTreeSet<&str> = facts
        .services()
        .flat_map(|(_, s)| {
            std::iter::once(text(s, "taskDefinition"))
                .chain(items(s, "deployments").iter().map(|d| text(d, "taskDefinition")))
        })
        .flatten()
        .chain(super::schedule::definitions(facts))
        .collect();
    let mut any = false;
    let stay = if registers { KEEP - 1 } else { KEEP + 1 };
    for arn in facts.family(&context.family(component)).iter().skip(stay) {
        if !referenced.contains(arn) && is_ours(context, facts, arn, component) {
            deregister(component, arn, COMMIT, draft);
            any = true;
        }
    }
    any
}

/// Deregisters all revisions of ours of a component whose service is gone already.
pub fn tidy_all(context: Context<'_>, facts: &Facts<'_>, component: &str, draft: &mut Draft) -> bool {
    let arns = ours(context, facts, &context.family(component), component);
    for arn in &arns {
        deregister(component, arn, COMMIT, draft);
    }
    !arns.is_empty()
}

fn deregister(component: &str, arn: &str, after: &str, draft: &mut Draft) {
    let number = revision(arn).unwrap_or_default();
    let family = crate::ecs::json::family(arn);
    let id = format!("{component}.task-definition.deregister.{number}");
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Finalize,
        format!("deregister revision {number} of {family}"),
        Action::Call { call: ecs("DeregisterTaskDefinition", json!({"taskDefinition": arn})), expect: None },
    );
    forward.guards = vec![guard_after(
        after,
        ecs("DescribeTaskDefinition", json!({"taskDefinition": arn})),
        [("taskDefinition.status", json!("ACTIVE"))],
    )];
    forward.probe = Some(deregistered(json!(arn)));
    forward.irreversible =
        Some("it runs after the commit point; registering the same content again makes a new revision".to_owned());
    draft.add(forward);
    draft.after(after, &id);
}

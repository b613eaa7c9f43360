//! Listeners of network load balancers: where they lead.
//!
//! Invariant: the way back leads where the listener led before.

use serde_json::{Value, json};

use crate::ecs::Context;
use crate::ecs::diff;
use crate::ecs::json::items;
use crate::ecs::leads::Lead;
use crate::ecs::names;
use crate::lower::Part;
use crate::lower::draft::call;

use super::change::Change;
use super::listener_rules::forward;
use super::target_groups::Done;

/// Lets listeners lead where they should.
pub fn lower(context: Context<'_>, leads: &[Lead<'_>], groups: &[Done], part: &mut Part) {
    for lead in leads {
        turn(context, lead, groups, part);
    }
}

/// Where it leads, in words.
fn told(group: &Value) -> Value {
    match group.as_str() {
        Some(arn) => json!(format!("target group {}", names::target_group(arn))),
        None => json!("several target groups, or none"),
    }
}

fn turn(context: Context<'_>, lead: &Lead<'_>, groups: &[Done], part: &mut Part) {
    let before = items(lead.running, "DefaultActions");
    let old = before.first().and_then(|action| action.get("TargetGroupArn")).cloned().unwrap_or_default();
    if old == lead.group {
        return;
    }
    let set = |actions: Value| {
        call("elbv2", "ModifyListener", json!({"ListenerArn": lead.listener, "DefaultActions": actions}))
    };
    let change = Change {
        id: format!("listener.{}.lead", lead.at),
        component: None,
        summary: format!("let listener {} lead to {}", lead.at, names::target_group(&lead.group)),
        why: vec![diff::why(context, &lead.place.child("to"), told(&old), told(&json!(lead.group)))],
        forward: set(forward(&json!(lead.group))),
        back_summary: format!("let listener {} lead where it led", lead.at),
        back: set(if old.is_null() { json!(before) } else { forward(&old) }),
        read: call("elbv2", "DescribeListeners", json!({"ListenerArns": [lead.listener]})),
        answer: None,
        find: None,
        found: "Listeners[0].{Target: DefaultActions[0].TargetGroupArn}".to_owned(),
        from: json!({"Target": old}),
        to: json!({"Target": lead.group}),
    };
    let (id, back) = change.add(&mut part.draft);
    if let Some(group) = groups.iter().find(|group| group.new && group.arn == lead.group) {
        part.draft.after(&group.id, &id);
        part.draft.back_before(&back, &group.back);
    }
    let used = context.facts.and_then(|facts| facts.target_group(&lead.group));
    let empty = used.is_none_or(|group| items(group, "LoadBalancerArns").is_empty());
    for component in &lead.components {
        let Some(lowered) = part.lowered.get(*component) else { continue };
        // ECS puts nothing behind a target group that nothing leads to; else its tasks are there first.
        if empty {
            part.draft.after(&id, &lowered.starts);
            part.draft.back_before(&lowered.back, &back);
        } else {
            part.draft.after(&lowered.ready, &id);
            part.draft.back_before(&back, &lowered.back);
        }
    }
}

//! CloudWatch log groups: made before the first task writes to them, and kept.
//!
//! Invariants: a group is never deleted once something was written to it; keeping events for a shorter time deletes some,
//! so that waits until after the commit point.

use std::collections::BTreeMap;

use belay_schemas::late::run_id;
use belay_schemas::plan::{Action, Call, Phase};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::desired::LogGroup;
use crate::ecs::diff;
use crate::ecs::json::number;

use crate::lower::COMMIT;
use crate::lower::draft::{Back, Draft, call, guard_after, guard_at_start, node, probe, when};

/// Groups by name, with the components that write to them.
#[derive(Default)]
pub struct Groups {
    all: BTreeMap<String, (LogGroup, Vec<String>)>,
}

/// A group that is made: the node after which it is there, and its way back.
pub struct Made {
    /// Its node.
    pub id: String,
    /// Its way back.
    pub back: Back,
    /// Who writes to it.
    pub components: Vec<String>,
}

impl Groups {
    /// Keeps the groups of a component in mind.
    pub fn add(&mut self, component: &str, groups: &[LogGroup], report: &mut Report) {
        for group in groups {
            let (first, components) = self.all.entry(group.name.clone()).or_insert_with(|| (group.clone(), Vec::new()));
            if let (Some(one), Some(other)) = (first.retention, group.retention)
                && one != other
            {
                report.push(
                    Diagnostic::error(
                        "B444",
                        format!("log group `{}` is to keep events for {one} and for {other} days", group.name),
                    )
                    .at(group.place.child("retention"))
                    .related(first.place.child("retention"), "the other one is here")
                    .help("write one of the two, or use two groups"),
                );
            }
            first.retention = first.retention.or(group.retention);
            if components.last().is_none_or(|last| last != component) {
                components.push(component.to_owned());
            }
        }
    }

    /// Nodes for what is missing or kept for another time.
    pub fn lower(self, context: Context<'_>, draft: &mut Draft) -> Vec<Made> {
        let mut made = Vec::new();
        let mut taken = BTreeMap::new();
        for (name, (group, components)) in self.all {
            let running = context.facts.and_then(|f| f.log_group(&name));
            let id = id_of(&name, &mut taken);
            if running.is_none() {
                let (id, back) = create(context, &name, &group, &id, draft);
                made.push(Made { id, back, components });
            } else if let (Some(running), Some(days)) = (running, group.retention) {
                let before = number(running, "retentionInDays");
                if before != Some(u64::from(days)) {
                    retain(context, &name, &group, &id, before, days, draft);
                }
            }
        }
        made
    }
}

/// `log-group.NAME` with what ids may not have left out; a number tells equal ones apart.
fn id_of(name: &str, taken: &mut BTreeMap<String, usize>) -> String {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').filter(|w| !w.is_empty()).collect();
    let id = format!("log-group.{}", words.join("."));
    let count = taken.entry(id.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { id } else { format!("{id}.{count}") }
}

fn describe(name: &str) -> Call {
    call("logs", "DescribeLogGroups", json!({"logGroupNamePrefix": name}))
}

fn create(context: Context<'_>, name: &str, group: &LogGroup, id: &str, draft: &mut Draft) -> (String, Back) {
    let found = format!("length(logGroups[?logGroupName=='{name}'])");
    let create_id = format!("{id}.create");
    let mut tags = Map::new();
    tags.insert(context.tag("project"), json!(context.options.project));
    tags.insert(context.tag("run"), run_id());
    let mut forward = node(
        create_id.clone(),
        None,
        Phase::Deploy,
        format!("create log group {name}"),
        Action::Call {
            call: call("logs", "CreateLogGroup", json!({"logGroupName": name, "tags": tags})),
            expect: None,
        },
    );
    forward.why = vec![diff::why(context, &group.place, Value::Null, json!(name))];
    forward.guards = vec![guard_at_start(describe(name), [(found.as_str(), json!(0))])];
    forward.probe = Some(probe(describe(name), &format!("{found} == `1`"), "`{}`", []));
    let streams = || call("logs", "DescribeLogStreams", json!({"logGroupName": name, "limit": 1}));
    let mut undo = node(
        format!("{create_id}.undo"),
        None,
        Phase::Undo,
        format!("delete log group {name}, to which nothing was written"),
        Action::Call { call: call("logs", "DeleteLogGroup", json!({"logGroupName": name})), expect: None },
    );
    undo.guards = vec![guard_after(&create_id, streams(), [("length(logStreams)", json!(0))])];
    undo.probe = Some(probe(describe(name), &format!("{found} == `0`"), "`{}`", []));
    let gone = when("it is gone already", describe(name), &format!("{found} == `0`"), []);
    let empty = when("nothing was written to it", streams(), "length(logStreams) == `0`", []);
    // What failed tasks have written is worth more than an account without an extra group.
    let used = when("something was written to it, which is kept", streams(), "length(logStreams) > `0`", []);
    let cases = vec![(Some(gone), Vec::new()), (Some(empty), vec![undo]), (Some(used), Vec::new())];
    let back = draft.with_undo(forward, cases);
    let Some(days) = group.retention else { return (create_id, back) };
    let retain_id = format!("{id}.retain");
    let mut retain = node(
        retain_id.clone(),
        None,
        Phase::Deploy,
        format!("let log group {name} keep events for {days} days"),
        put(name, Some(days.into())),
    );
    retain.why = vec![diff::why(context, &group.place.child("retention"), Value::Null, json!(days))];
    retain.unguarded = Some("this run made the group".to_owned());
    retain.probe = Some(kept(name, Some(days.into())));
    // It goes with its group, or stays with what was written to it.
    draft.with_undo(retain, vec![(None, Vec::new())]);
    draft.after(&create_id, &retain_id);
    (retain_id, back)
}

fn put(name: &str, days: Option<u64>) -> Action {
    let call = match days {
        Some(days) => call("logs", "PutRetentionPolicy", json!({"logGroupName": name, "retentionInDays": days})),
        None => call("logs", "DeleteRetentionPolicy", json!({"logGroupName": name})),
    };
    Action::Call { call, expect: None }
}

fn retention(name: &str) -> String {
    format!("logGroups[?logGroupName=='{name}'].retentionInDays | [0]")
}

fn is_kept(name: &str, days: Option<u64>) -> String {
    match days {
        Some(days) => format!("({}) == `{days}`", retention(name)),
        None => format!("({}) == `null`", retention(name)),
    }
}

fn kept(name: &str, days: Option<u64>) -> belay_schemas::plan::Probe {
    probe(describe(name), &is_kept(name, days), "`{}`", [])
}

/// Another retention of a group that is there.
fn retain(
    context: Context<'_>,
    name: &str,
    group: &LogGroup,
    id: &str,
    before: Option<u64>,
    days: u32,
    draft: &mut Draft,
) {
    let id = format!("{id}.retain");
    let days = u64::from(days);
    let shorter = before.is_none_or(|before| before > days);
    let phase = if shorter { Phase::Finalize } else { Phase::Deploy };
    let mut forward = node(
        id.clone(),
        None,
        phase,
        format!("let log group {name} keep events for {days} days"),
        put(name, Some(days)),
    );
    forward.why = vec![diff::why(context, &group.place.child("retention"), json!(before), json!(days))];
    forward.probe = Some(kept(name, Some(days)));
    let holds = retention(name);
    if shorter {
        forward.guards = vec![guard_after(COMMIT, describe(name), [(holds.as_str(), json!(before))])];
        forward.irreversible = Some("it runs after the commit point: events older than that are deleted".to_owned());
        draft.add(forward);
        draft.after(COMMIT, &id);
        return;
    }
    forward.guards = vec![guard_at_start(describe(name), [(holds.as_str(), json!(before))])];
    let mut undo = node(
        format!("{id}.undo"),
        None,
        Phase::Undo,
        format!("let log group {name} keep events as long as before"),
        put(name, before),
    );
    undo.guards = vec![guard_after(&id, describe(name), [(holds.as_str(), json!(days))])];
    undo.probe = Some(kept(name, before));
    let untouched = when("it is as it was", describe(name), &is_kept(name, before), []);
    let ours = when("it is as this run put it", describe(name), &is_kept(name, Some(days)), []);
    draft.with_undo(forward, vec![(Some(untouched), Vec::new()), (Some(ours), vec![undo])]);
}

/// Days for which CloudWatch Logs can keep events (PutRetentionPolicy in its API reference).
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Judges the groups of a component.
pub fn check(groups: &[LogGroup], report: &mut Report) {
    for group in groups {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
        if group.name.is_empty()
            || group.name.len() > 512
            || !group.name.chars().all(legal)
            || group.name.starts_with("aws/")
        {
            report.push(
                Diagnostic::error("B401", format!("`{}` cannot be the name of a log group", group.name))
                    .at(place(group, "group"))
                    .help(
                        "it has 1 to 512 letters, digits and `.`, `_`, `-`, `/`, `#`, and does not begin with `aws/`",
                    ),
            );
        }
        if let Some(days) = group.retention.filter(|d| !RETENTIONS.contains(d)) {
            let near = RETENTIONS.iter().copied().min_by_key(|d| d.abs_diff(days)).unwrap_or(30);
            report.push(
                Diagnostic::error("B444", format!("CloudWatch Logs cannot keep events for {days} days"))
                    .at(place(group, "retention"))
                    .help(format!("the nearest that it can is {near}"))
                    .help("it can keep them for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days"),
            );
        }
    }
}

fn place(group: &LogGroup, key: &str) -> Place {
    group.place.child(key)
}

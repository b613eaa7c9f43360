//! Tags of a service that runs: set and taken away in place, without a deployment.
//!
//! Invariants: only keys that the model names, or that an earlier plan of ours set, are touched; which those are stands in
//! a tag of ours, so that tags that somebody else put there stay.

use belay_schemas::plan::{Action, Node, Phase};
use belay_schemas::scope::{RECORD_TAG, SCALED_TAG};
use serde_json::{Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::diff::{Change, Difference};
use crate::ecs::json::{items, tag, tag_entry, text};

use super::calls::{describe_service_tags, ecs};
use crate::lower::draft::{Back, Draft, guard_after, guard_at_start, node, probe, when};

/// Longest value of a tag.
const LONGEST: usize = 256;

/// The tag that lists the keys that the model gives a service; absent when there are none. A list that is too long, and
/// keys with spaces, are not kept: such tags stay when the model drops them.
pub fn record(context: Context<'_>, desired: &Desired) -> Option<Value> {
    let keys = items(&desired.service, "tags").iter().filter_map(|t| text(t, "key"));
    let mut keys: Vec<&str> = keys.filter(|key| !key.contains(' ')).collect();
    keys.sort_unstable();
    let list = keys.join(" ");
    (!list.is_empty() && list.len() <= LONGEST).then(|| tag_entry(context.tag("tags"), list))
}

/// A tag by which observing finds what a service has beside it.
pub struct Mark<'a> {
    /// Its key.
    pub key: String,
    /// The value that it is to have and what asks for that; absent when it is not to be there.
    pub wanted: Option<(String, &'a Place)>,
}

/// All of these tags, whether they are to be there or not.
pub fn marks<'a>(context: Context<'_>, desired: &'a Desired) -> [Mark<'a>; 2] {
    let scaled = desired.scaling.as_ref().map(|scaling| ("true".to_owned(), &scaling.place));
    let record = desired.record.as_ref().map(|record| (record.key(), &record.place));
    [(SCALED_TAG, scaled), (RECORD_TAG, record)].map(|(name, wanted)| Mark { key: context.tag(name), wanted })
}

/// One key with the value that it has and the one that it gets.
struct Tag {
    key: String,
    from: Value,
    to: Value,
}

impl Tag {
    /// The value of the key as DescribeServices tells it.
    fn path(&self) -> String {
        format!("services[0].tags[?key=='{}'].value | [0]", self.key)
    }
}

/// Nodes that bring the tags of a running service about, in their order, and their ways back.
pub fn change(
    context: Context<'_>,
    desired: &Desired,
    service: &Value,
    difference: &Difference,
    draft: &mut Draft,
) -> Vec<(String, Back)> {
    if difference.tags.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<Tag> =
        difference.tags.iter().map(|c| Tag { key: key(c), from: c.from.clone(), to: c.to.clone() }).collect();
    let kept = context.tag("tags");
    let was = tag(items(service, "tags"), &kept).map_or(Value::Null, |v| json!(v));
    let is = record(context, desired).and_then(|t| t.get("value").cloned()).unwrap_or_default();
    if was != is {
        all.push(Tag { key: kept, from: was, to: is });
    }
    let (gone, set): (Vec<Tag>, Vec<Tag>) = all.into_iter().partition(|t| t.to.is_null());
    let mut done: Vec<(String, Back)> = Vec::new();
    for (name, tags) in [("tag", set), ("untag", gone)] {
        if tags.is_empty() {
            continue;
        }
        let (id, back) = one(context, desired, service, name, &tags, difference, draft);
        if let Some((before, earlier)) = done.last() {
            draft.after(before, &id);
            draft.back_before(&back, earlier);
        }
        done.push((id, back));
    }
    done
}

/// The key of a change.
pub fn key(change: &Change) -> String {
    change.path.trim_start_matches("/tags/").replace("~1", "/").replace("~0", "~")
}

fn one(
    context: Context<'_>,
    desired: &Desired,
    service: &Value,
    name: &str,
    tags: &[Tag],
    difference: &Difference,
    draft: &mut Draft,
) -> (String, Back) {
    let (cluster, service_name) = (context.settings.cluster.as_str(), desired.service_name.as_str());
    let component = Some(desired.component.as_str());
    let arn = service.get("serviceArn").cloned().unwrap_or_default();
    let id = format!("{}.service.{name}", desired.component);
    let read = || describe_service_tags(cluster, service_name);
    let shown: Vec<&str> = tags.iter().map(|t| t.key.as_str()).filter(|k| *k != context.tag("tags")).collect();
    let shown = if shown.is_empty() { "its list of tags".to_owned() } else { shown.join(", ") };
    let taken_over = tags.iter().any(|t| t.key == context.tag("project"));
    let summary = if taken_over {
        format!("take service {service_name} over: tag it {shown}")
    } else if name == "tag" {
        format!("tag service {service_name}: {shown}")
    } else {
        format!("take tags of service {service_name} away: {shown}")
    };
    let mut forward = node(
        id.clone(),
        component,
        Phase::Deploy,
        summary,
        if name == "tag" { set(&arn, tags.iter().map(|t| (&t.key, &t.to))) } else { unset(&arn, tags) },
    );
    // A tag of ours that only marks something says more by its name than by its value.
    let told = |key: &str, value: &Value| match value {
        Value::String(value) if value == "true" && key.starts_with(&context.tag("")) => json!(format!("tag {key}")),
        value => value.clone(),
    };
    let changed = difference.tags.iter().map(|c| (c, key(c))).filter(|(_, k)| tags.iter().any(|t| t.key == *k));
    forward.why = changed
        .map(|(c, key)| crate::ecs::diff::why(context, &c.place, told(&key, &c.from), told(&key, &c.to)))
        .collect();
    let mut guard =
        guard_at_start(read(), [("services[0].status", json!("ACTIVE")), ("services[0].serviceArn", arn.clone())]);
    guard.holds.extend(tags.iter().map(|t| (t.path(), t.from.clone())));
    forward.guards = vec![guard];
    let (applied, bind) = holds(tags, |t| vec![&t.to]);
    let mut told = probe(read(), &applied, "`{}`", []);
    told.bind = bind.into_iter().collect();
    forward.probe = Some(told);
    let mut untouched = when("it still has its old tags", read(), "", []);
    (untouched.is, untouched.bind) = bound(holds(tags, |t| vec![&t.from]));
    // A way back that was interrupted has brought some of them back already.
    let mut ours = when("it has the new tags", read(), "", []);
    (ours.is, ours.bind) = bound(holds(tags, |t| vec![&t.to, &t.from]));
    let nodes = way_back(desired, service_name, &arn, &id, tags, &|| read());
    let back = draft.with_undo(forward, vec![(Some(untouched), Vec::new()), (Some(ours), nodes)]);
    (id, back)
}

/// Brings old values back, then takes away what had none.
fn way_back(
    desired: &Desired,
    service_name: &str,
    arn: &Value,
    id: &str,
    tags: &[Tag],
    read: &dyn Fn() -> belay_schemas::plan::Call,
) -> Vec<Node> {
    let (added, had): (Vec<&Tag>, Vec<&Tag>) = tags.iter().partition(|t| t.from.is_null());
    let mut nodes = Vec::new();
    let mut add = |suffix: &str, summary: String, action: Action, tags: &[&Tag]| {
        let mut undo = node(format!("{id}.{suffix}"), Some(desired.component.as_str()), Phase::Undo, summary, action);
        let (either, bind) = holds(tags.iter().copied(), |t| vec![&t.to, &t.from]);
        let mut guard = guard_after(id, read(), []);
        guard.holds.insert(either, json!(true));
        guard.bind = bind.into_iter().collect();
        undo.guards = vec![guard];
        let (applied, bind) = holds(tags.iter().copied(), |t| vec![&t.from]);
        let mut told = probe(read(), &applied, "`{}`", []);
        told.bind = bind.into_iter().collect();
        undo.probe = Some(told);
        nodes.push(undo);
    };
    if !had.is_empty() {
        let action = set(arn, had.iter().map(|t| (&t.key, &t.from)));
        add("undo", format!("set tags of service {service_name} back"), action, &had);
    }
    if !added.is_empty() {
        let action = unset(arn, added.iter().copied());
        add("undo.added", format!("take away the tags that service {service_name} did not have"), action, &added);
    }
    nodes
}

fn set<'t>(arn: &Value, tags: impl Iterator<Item = (&'t String, &'t Value)>) -> Action {
    let tags: Vec<Value> = tags.map(|(key, value)| tag_entry(key.clone(), value.clone())).collect();
    Action::Call { call: ecs("TagResource", json!({"resourceArn": arn, "tags": tags})), expect: None }
}

fn unset<'t>(arn: &Value, tags: impl IntoIterator<Item = &'t Tag>) -> Action {
    let keys: Vec<&String> = tags.into_iter().map(|t| &t.key).collect();
    Action::Call { call: ecs("UntagResource", json!({"resourceArn": arn, "tagKeys": keys})), expect: None }
}

/// A condition that each key has one of the values that `of` gives for it.
fn holds<'t>(
    tags: impl IntoIterator<Item = &'t Tag>,
    of: impl Fn(&'t Tag) -> Vec<&'t Value>,
) -> (String, Vec<(String, Value)>) {
    let mut parts = vec!["length(services[?status=='ACTIVE']) == `1`".to_owned()];
    let mut bind = Vec::new();
    for (at, tag) in tags.into_iter().enumerate() {
        let is = |(nth, value): (usize, &'t Value), bind: &mut Vec<(String, Value)>| match value {
            Value::Null => format!("({}) == `null`", tag.path()),
            value => {
                let name = format!("tag{at}{}", ["", "_old"][nth.min(1)]);
                bind.push((name.clone(), value.clone()));
                format!("({}) == ${name}", tag.path())
            }
        };
        let any: Vec<String> = of(tag).into_iter().enumerate().map(|value| is(value, &mut bind)).collect();
        parts.push(if any.len() == 1 { any.concat() } else { format!("({})", any.join(" || ")) });
    }
    (parts.join(" && "), bind)
}

fn bound((is, bind): (String, Vec<(String, Value)>)) -> (String, std::collections::BTreeMap<String, Value>) {
    (is, bind.into_iter().collect())
}

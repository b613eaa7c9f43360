//! What changes: wanted state against observed state, member by member, each with the place that asks for it.

mod refusals;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::image::Image;
use belay_schemas::plan::Why;
use serde_json::{Map, Value, json};

use crate::diagnostics::{Place, Report};

use super::Context;
use super::desired::Desired;
use super::facts::{Definition, Facts};
use super::json::{items, number, tag, text};
use super::lower::{Mark, marks};
use super::{connect, normal, pointer};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Keyed path in the API's input.
    pub path: String,
    /// The value that AWS has; null when it has none.
    pub from: Value,
    /// The value that is wanted; null when none is.
    pub to: Value,
    /// What asks for it.
    pub place: Place,
}

/// The differences between what runs and what is wanted.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// In the task definition's content.
    pub task: Vec<Change>,
    /// In members of the service that a new deployment brings about.
    pub deploying: Vec<&'static str>,
    /// In members of the service that change without a deployment.
    pub settings: Vec<&'static str>,
    /// The service's differences in detail.
    pub service: Vec<Change>,
    /// The desired count that runs, when it is another than the wanted one.
    pub scale_from: Option<u64>,
    /// In the service's own tags.
    pub tags: Vec<Change>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.updates_nothing() && self.tags.is_empty()
    }

    /// Whether nothing differs, or nothing but tags.
    pub fn updates_nothing(&self) -> bool {
        self.task.is_empty() && self.service.is_empty() && self.scale_from.is_none()
    }

    /// Whether the change needs new tasks.
    pub fn deploys(&self) -> bool {
        !self.task.is_empty() || !self.deploying.is_empty()
    }

    /// The reasons for the review, most telling first.
    pub fn why(&self, context: Context<'_>, desired: &Desired) -> Vec<Why> {
        let mut all: Vec<Why> = self.task.iter().chain(&self.service).map(|c| c.why(context)).collect();
        if let Some(from) = self.scale_from {
            all.push(scale_why(context, desired, from));
        }
        all
    }
}

/// The reason of a change of the number of tasks.
pub fn scale_why(context: Context<'_>, desired: &Desired, from: u64) -> Why {
    let to = desired.desired_count().unwrap_or_default();
    why(context, &desired.service_origins.of("/desiredCount"), json!(from), json!(to))
}

/// A reason for the review.
pub fn why(context: Context<'_>, place: &Place, from: Value, to: Value) -> Why {
    Why { path: place.pointer.clone(), at: context.loaded.locate(place).map(|l| l.to_string()), from, to }
}

impl Change {
    fn why(&self, context: Context<'_>) -> Why {
        why(context, &self.place, self.from.clone(), self.to.clone())
    }
}

/// How a member of a service can change.
struct Member {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A new deployment brings it about; it stands in the service revision.
    Deploying,
    /// It changes without a deployment.
    Setting,
    /// AWS cannot change it in place.
    Fixed,
}

const MEMBERS: [Member; 19] = [
    Member { name: "loadBalancers", kind: Kind::Deploying },
    Member { name: "networkConfiguration", kind: Kind::Deploying },
    Member { name: "capacityProviderStrategy", kind: Kind::Deploying },
    Member { name: "platformVersion", kind: Kind::Deploying },
    Member { name: "serviceRegistries", kind: Kind::Deploying },
    Member { name: "serviceConnectConfiguration", kind: Kind::Deploying },
    Member { name: "volumeConfigurations", kind: Kind::Deploying },
    Member { name: "vpcLatticeConfigurations", kind: Kind::Deploying },
    Member { name: "deploymentConfiguration", kind: Kind::Setting },
    Member { name: "placementConstraints", kind: Kind::Setting },
    Member { name: "placementStrategy", kind: Kind::Setting },
    Member { name: "healthCheckGracePeriodSeconds", kind: Kind::Setting },
    Member { name: "enableExecuteCommand", kind: Kind::Setting },
    Member { name: "enableECSManagedTags", kind: Kind::Setting },
    Member { name: "propagateTags", kind: Kind::Setting },
    Member { name: "availabilityZoneRebalancing", kind: Kind::Setting },
    Member { name: "launchType", kind: Kind::Fixed },
    Member { name: "schedulingStrategy", kind: Kind::Fixed },
    Member { name: "deploymentController", kind: Kind::Fixed },
];

/// What UpdateService takes to set a member back to AWS's documented default; absent when it cannot.
pub fn default_of(member: &str) -> Option<Value> {
    Some(match member {
        "loadBalancers"
        | "capacityProviderStrategy"
        | "serviceRegistries"
        | "volumeConfigurations"
        | "vpcLatticeConfigurations"
        | "placementConstraints"
        | "placementStrategy" => json!([]),
        "platformVersion" => json!("LATEST"),
        "serviceConnectConfiguration" => json!({"enabled": false}),
        "deploymentConfiguration" => {
            json!({"maximumPercent": 200, "minimumHealthyPercent": 100, "deploymentCircuitBreaker": {"enable": false, "rollback": false}})
        }
        "healthCheckGracePeriodSeconds" => json!(0),
        "enableExecuteCommand" | "enableECSManagedTags" => json!(false),
        "propagateTags" => json!("NONE"),
        "availabilityZoneRebalancing" => json!("DISABLED"),
        _ => return None,
    })
}

/// The value of a member as it runs: the service's own, or its revision's where DescribeServices leaves it out.
pub fn running<'v>(service: &'v Value, revision: Option<&'v Value>, member: &str) -> Option<&'v Value> {
    service.get(member).or_else(|| revision.and_then(|r| r.get(member)))
}

/// Compares what is wanted with the service that runs; what AWS cannot change in place goes to the report.
pub fn compare(
    context: Context<'_>,
    facts: &Facts<'_>,
    desired: &Desired,
    service: &Value,
    report: &mut Report,
) -> Difference {
    let mut difference = Difference::default();
    match text(service, "taskDefinition").and_then(|arn| facts.definition(arn)) {
        Some(running) => {
            difference.task = task_changes(facts, desired, service, running);
            tag_changes(context, &desired.task, running.tags, &desired.task_origins, &mut difference.task);
        }
        None => {
            // Without its content, the only safe answer is to replace it.
            let from = service.get("taskDefinition").cloned().unwrap_or_default();
            let place = desired.task_origins.of("");
            difference.task.push(Change { path: String::new(), from, to: json!(desired.family), place });
        }
    }
    let revision = facts.current_revision(service);
    for member in &MEMBERS {
        let running = running(service, revision, member.name);
        let wanted = desired.service.get(member.name);
        let normal = |value: &Value| match member.name {
            connect::MEMBER => normal::service_member(member.name, &connect::canonical(context, value)),
            name => normal::service_member(name, value),
        };
        let (from, to) = (running.map_or(Value::Null, normal), wanted.map_or(Value::Null, normal));
        if from == to || inherited(context, facts, desired, member.name, &from) {
            continue;
        }
        let mut changes = Vec::new();
        let top = pointer::join("", member.name);
        // A default was left out to compare; to people it is a value like any other.
        let default = default_of(member.name);
        let shown = |value: &Value, whole: Option<&Value>, path: &str| match value {
            Value::Null => {
                whole.or(default.as_ref()).and_then(|w| w.pointer(&path[top.len()..])).cloned().unwrap_or_default()
            }
            value => value.clone(),
        };
        descend(&top, &from, &to, &mut |path, from, to| {
            changes.push(Change {
                path: path.to_owned(),
                from: shown(from, running, path),
                to: shown(to, wanted, path),
                place: desired.service_origins.of(path),
            });
        });
        match member.kind {
            Kind::Fixed => refusals::refuse(desired, member.name, running, wanted, report),
            // What cannot be taken out again can neither be dropped nor be put in undoably.
            _ if default_of(member.name).is_none() && (wanted.is_none() || running.is_none()) => {
                refusals::refuse_mode(facts, desired, service, report);
            }
            Kind::Deploying => {
                difference.deploying.push(member.name);
                difference.service.append(&mut changes);
            }
            Kind::Setting => {
                difference.settings.push(member.name);
                difference.service.append(&mut changes);
            }
        }
    }
    let unseen = connect::unseen(context, desired);
    if !unseen.is_empty() {
        if !difference.deploying.contains(&connect::MEMBER) {
            difference.deploying.push(connect::MEMBER);
        }
        difference.service.extend(unseen);
    }
    refusals::compare_traffic(facts, desired, service, report);
    refusals::compare_role(desired, service, report);
    refusals::compare_capacity(facts, desired, service, report);
    if difference.deploying.contains(&"capacityProviderStrategy") {
        refusals::compare_managed(facts, desired, service, report);
    }
    difference.tags = service_tags(context, desired, service);
    let count = number(service, "desiredCount").unwrap_or_default();
    if desired.desired_count().is_some_and(|wanted| wanted != count) {
        difference.scale_from = Some(count);
    }
    difference
}

/// Compares the wanted task definition with a revision of its family that no service runs.
pub fn definition(context: Context<'_>, facts: &Facts<'_>, desired: &Desired, arn: &str) -> Difference {
    let mut difference = Difference::default();
    match facts.definition(arn) {
        Some(running) => {
            difference.task = task_changes(facts, desired, &json!({"taskDefinition": arn}), running);
            tag_changes(context, &desired.task, running.tags, &desired.task_origins, &mut difference.task);
        }
        None => {
            let place = desired.task_origins.of("");
            let (from, to) = (json!(arn), json!(desired.family));
            difference.task.push(Change { path: String::new(), from, to, place });
        }
    }
    difference
}

/// Whether a running value is what AWS takes over from the cluster or the strategy when the model says nothing.
fn inherited(context: Context<'_>, facts: &Facts<'_>, desired: &Desired, member: &str, from: &Value) -> bool {
    let silent =
        desired.service.get("launchType").is_none() && desired.service.get("capacityProviderStrategy").is_none();
    match member {
        "capacityProviderStrategy" if silent => {
            let cluster =
                facts.cluster(&context.settings.cluster).and_then(|c| c.get("defaultCapacityProviderStrategy"));
            cluster.is_some_and(|default| normal::service_member(member, default) == *from)
        }
        "launchType" => {
            desired.service.get("launchType").is_none() && desired.service.get("capacityProviderStrategy").is_some()
        }
        // Fargate's platform version is resolved by AWS.
        "platformVersion" => desired.service.get(member).is_none(),
        _ => false,
    }
}

/// Tags that are neither ours nor AWS's.
fn tag_changes(
    context: Context<'_>,
    wanted: &Value,
    running: &[Value],
    origins: &super::origin::Origins,
    changes: &mut Vec<Change>,
) {
    let ours = context.tag("");
    let tags = |list: &[Value]| -> BTreeMap<String, Value> {
        list.iter()
            .filter_map(|t| Some((text(t, "key")?.to_owned(), t.get("value").cloned().unwrap_or_default())))
            .filter(|(key, _)| !key.starts_with(&ours) && !key.starts_with("aws:") && !key.starts_with("skopos:"))
            .collect()
    };
    let (from, to) = (tags(running), tags(items(wanted, "tags")));
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys.into_iter().filter(|key| from.get(*key) != to.get(*key)) {
        let path = pointer::pointer(["tags", key]);
        let value = |side: &BTreeMap<String, Value>| side.get(key).cloned().unwrap_or_default();
        changes.push(Change { from: value(&from), to: value(&to), place: origins.of(&path), path });
    }
}

/// Tags of a running service: what the model gives it, and what it gave it before. Whatever else is there is others'.
fn service_tags(context: Context<'_>, desired: &Desired, service: &Value) -> Vec<Change> {
    let running = items(service, "tags");
    let given: BTreeSet<&str> =
        tag(running, &context.tag("tags")).map(|keys| keys.split(' ').collect()).unwrap_or_default();
    let mut changes = Vec::new();
    tag_changes(context, &desired.service, running, &desired.service_origins, &mut changes);
    changes.retain(|c| !c.to.is_null() || given.contains(super::lower::tag_key(c).as_str()));
    for Mark { key, wanted } in marks(context, desired) {
        let from = tag(running, &key).map_or(Value::Null, |told| json!(told));
        let (to, place) = match wanted {
            Some((value, place)) => (json!(value), place.clone()),
            None => (Value::Null, desired.service_origins.of("")),
        };
        if from != to {
            changes.push(Change { path: pointer::pointer(["tags", &key]), from, to, place });
        }
    }
    // What is taken over says from then on whose it is; who owns a service is told before anything else.
    if super::facts::owner(running, &context.settings.tag_prefix).is_none() {
        let place = desired.service_origins.of("");
        for (name, value) in [("project", &context.options.project), ("component", &desired.component)] {
            let path = pointer::pointer(["tags", &context.tag(name)]);
            changes.push(Change { path, from: Value::Null, to: json!(value), place: place.clone() });
        }
    }
    changes
}

fn task_changes(facts: &Facts<'_>, desired: &Desired, service: &Value, running: Definition<'_>) -> Vec<Change> {
    let mut from = normal::task(running.task);
    let mut to = normal::task(&desired.task);
    // The family is the service's own, or it is not ours.
    for side in [&mut from, &mut to] {
        if let Value::Object(map) = side {
            map.remove("family");
        }
    }
    settle_images(facts, desired, service, &mut from, &to);
    let mut changes = Vec::new();
    descend("", &from, &to, &mut |path, from, to| {
        changes.push(Change {
            path: path.to_owned(),
            from: from.clone(),
            to: to.clone(),
            place: desired.task_origins.of(path),
        });
    });
    for change in &mut changes {
        tell_images(desired, running.tags, change);
    }
    changes
}

/// An image that runs by tag is the same as one pinned to the digest that this tag resolved to.
fn settle_images(facts: &Facts<'_>, desired: &Desired, service: &Value, from: &mut Value, to: &Value) {
    let Some(Value::Object(containers)) = from.get_mut("containerDefinitions") else { return };
    for (name, container) in containers {
        let Some(old) = text(container, "image").map(str::to_owned) else { continue };
        let Some(new) = to.pointer(&pointer::pointer(["containerDefinitions", name, "image"])).and_then(Value::as_str)
        else {
            continue;
        };
        let (old_image, new_image) = (Image::parse(&old), Image::parse(new));
        let same_bytes = old_image.repository == new_image.repository
            && old_image.digest.is_none()
            && new_image.digest.is_some()
            && facts.running_digest(service, name) == new_image.digest;
        // Without a digest to compare, the tag is all there is.
        let same_tag = new_image.digest.is_none() && old_image.repository == new_image.repository && {
            let tags = text(service, "taskDefinition")
                .and_then(|arn| facts.definition(arn))
                .map(|d| d.tags)
                .unwrap_or_default();
            let written = tags.iter().find(|t| text(t, "key").is_some_and(|k| k.ends_with(&format!(":image:{name}"))));
            old_image.digest.is_some()
                && written.and_then(|t| text(t, "value")) == desired.images.get(name).map(String::as_str)
        };
        if (same_bytes || same_tag)
            && let Value::Object(map) = container
        {
            map.insert("image".to_owned(), json!(new));
        }
    }
}

/// People know images by their tags: show those, with the digests where the tags are equal.
fn tell_images(desired: &Desired, tags: &[Value], change: &mut Change) {
    let Some(rest) = change.path.strip_prefix("/containerDefinitions/") else { return };
    let Some((container, "image")) = rest.split_once('/') else { return };
    let suffix = format!(":image:{container}");
    let old = tags.iter().find(|t| text(t, "key").is_some_and(|k| k.ends_with(&suffix))).and_then(|t| text(t, "value"));
    let old = old.map(str::to_owned).or_else(|| change.from.as_str().map(str::to_owned));
    let new = desired.images.get(container).cloned();
    if let (Some(old), Some(new)) = (old, new) {
        let (from, to) = (change.from.as_str().map(str::to_owned), change.to.as_str().map(str::to_owned));
        if old == new {
            change.from = json!(with_digest(&old, from.as_deref()));
            change.to = json!(with_digest(&new, to.as_deref()));
        } else {
            change.from = json!(old);
            change.to = json!(new);
        }
    }
}

fn with_digest(written: &str, pinned: Option<&str>) -> String {
    match pinned.and_then(|p| Image::parse(p).digest) {
        Some(digest) if !written.contains('@') => format!("{written} ({}…)", &digest[..digest.len().min(19)]),
        _ => written.to_owned(),
    }
}

/// Calls `visit` for each pair of unequal members; maps are descended, everything else is compared whole.
fn descend(path: &str, from: &Value, to: &Value, visit: &mut dyn FnMut(&str, &Value, &Value)) {
    if from == to {
        return;
    }
    let empty = Map::new();
    match (from, to) {
        // A variable is its value: its name stands in the path.
        (Value::Object(_), _) | (_, Value::Object(_)) if is_variable(path) => {
            let value = |v: &Value| v.get("value").cloned().unwrap_or_default();
            visit(path, &value(from), &value(to));
        }
        // The first or the last of a mapping's members is still a member.
        (Value::Null, Value::Object(b)) if is_open(path) => {
            descend(path, &Value::Object(empty), &Value::Object(b.clone()), visit);
        }
        (Value::Object(a), Value::Null) if is_open(path) => {
            descend(path, &Value::Object(a.clone()), &Value::Object(empty), visit);
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let here = pointer::join(path, name);
                descend(&here, a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), visit);
            }
        }
        _ => visit(path, from, to),
    }
}

/// Whether the mapping at a path has members of the user's own naming.
fn is_open(path: &str) -> bool {
    path.ends_with("/environment") || path.ends_with("/dockerLabels")
}

/// Whether a path is that of an environment variable.
fn is_variable(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(list, _)| list.ends_with("/environment"))
}

/// Images of a running task definition that name a tag, with the digests that they resolved to; absent when some digest
/// is not known.
pub fn unpinned(facts: &Facts<'_>, service: &Value, task: &Value) -> Option<Vec<(String, String)>> {
    let mut pins = Vec::new();
    for container in items(task, "containerDefinitions") {
        let (name, image) = (text(container, "name")?, text(container, "image")?);
        let parsed = Image::parse(image);
        if parsed.digest.is_none() {
            pins.push((name.to_owned(), parsed.pinned(facts.running_digest(service, name)?)));
        }
    }
    Some(pins)
}

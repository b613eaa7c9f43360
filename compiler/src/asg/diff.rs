//! What differs between what a component should be and what its group is.
//!
//! Invariant: only members that are wanted, or that were recorded as wanted before, count; what AWS fills in is no change.

use serde_json::{Map, Value, json};

use belay_schemas::plan::Why;

use crate::diagnostics::Place;
use crate::ecs::json::{items, number, text};

use super::Context;
use super::desired::{Balancer, Desired};
use super::facts::{Facts, tag_of};
use super::slots::Slot;
use super::user_data;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is called, for people.
    pub what: String,
    /// What runs.
    pub from: Value,
    /// What is wanted.
    pub to: Value,
    /// Where it is written.
    pub place: Place,
}

/// Everything that differs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// What has to be made anew, in the other slot.
    pub changes: Vec<Change>,
    /// Sizes: `MinSize`, `MaxSize` and, unless Auto Scaling chooses it, `DesiredCapacity`; from and to.
    pub sizes: Option<(Sizes, Sizes)>,
}

/// The sizes of a group. Without `desired`, that is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// MinSize.
    pub min: u64,
    /// MaxSize.
    pub max: u64,
    /// DesiredCapacity.
    pub desired: Option<u64>,
}

impl Sizes {
    /// The same number for all.
    pub fn all(count: u64) -> Self {
        Self { min: count, max: count, desired: Some(count) }
    }

    /// Those of a group.
    pub fn of(slot: &Slot<'_>) -> Self {
        Self { min: slot.size("MinSize"), max: slot.size("MaxSize"), desired: Some(slot.desired()) }
    }
}

impl Change {
    /// The reason as a plan gives it.
    pub fn why(&self, context: Context<'_>) -> Why {
        why(context, &self.place, self.from.clone(), self.to.clone())
    }
}

/// A reason with its place.
pub fn why(context: Context<'_>, place: &Place, from: Value, to: Value) -> Why {
    let at = context.loaded.locate(place).map(|l| l.to_string());
    Why { path: place.pointer.clone(), at, from, to }
}

/// Compares.
pub fn compare(context: Context<'_>, facts: &Facts<'_>, desired: &Desired, slot: &Slot<'_>) -> Difference {
    let mut all = Difference { changes: Vec::new(), sizes: sizes(desired, slot) };
    if context.settings.pre_created {
        let runs = tag_of(slot.group, "skopos:image_id");
        if runs != Some(&desired.image) {
            all.add("the image", json!(runs), json!(desired.image), desired.place("image"));
        }
        return all;
    }
    image(context, desired, slot, &mut all);
    data(context, facts, desired, slot, &mut all);
    group(desired, slot, &mut all);
    balancers(desired, slot, &mut all);
    mixed(desired, slot, &mut all);
    tags(context, desired, slot, &mut all);
    policies(facts, desired, slot, &mut all);
    all
}

impl Difference {
    /// Adds something that has to be made anew.
    pub fn add(&mut self, what: &str, from: Value, to: Value, place: Place) {
        self.changes.push(Change { what: what.to_owned(), from, to, place });
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.sizes.is_none()
    }
}

fn sizes(desired: &Desired, slot: &Slot<'_>) -> Option<(Sizes, Sizes)> {
    let from = Sizes::of(slot);
    match &desired.scaling {
        Some(scaling) => {
            let to = Sizes { min: scaling.min.into(), max: scaling.max.into(), desired: None };
            ((from.min, from.max) != (to.min, to.max)).then_some((Sizes { desired: None, ..from }, to))
        }
        None => {
            let to = Sizes::all(desired.replicas);
            (from != to).then_some((from, to))
        }
    }
}

fn image(context: Context<'_>, desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    let (runs, digest) = (tag_of(slot.group, &context.tag("image")), tag_of(slot.group, &context.tag("digest")));
    let shown = |image: Option<&str>, digest: Option<&str>| match (image, digest) {
        (Some(image), Some(digest)) if !image.contains('@') => json!(format!("{image} ({digest})")),
        (image, _) => json!(image),
    };
    let same_bytes = digest == desired.digest.as_deref() || desired.digest.is_none();
    if runs != Some(&desired.image) {
        all.add("the image", json!(runs), json!(desired.image), desired.place("image"));
    } else if !same_bytes {
        let (from, to) = (shown(runs, digest), shown(Some(&desired.image), desired.digest.as_deref()));
        all.add("the image behind the same tag", from, to, desired.place("image"));
    }
}

fn data(context: Context<'_>, facts: &Facts<'_>, desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    let uses_configuration = slot.specification().is_none();
    if uses_configuration != context.settings.launch_configurations {
        let word = |configuration: bool| json!(if configuration { "launch configuration" } else { "launch template" });
        let place = super::settings::place(&["launch_configurations"]);
        all.add("the kind of launch settings", word(uses_configuration), word(!uses_configuration), place);
    }
    let running = normal(&slot.data(facts).unwrap_or_default());
    let wanted = normal(&desired.data);
    let image_changed = all.changes.iter().any(|c| c.place == desired.place("image"));
    let members: std::collections::BTreeSet<&String> = running.keys().chain(wanted.keys()).collect();
    for member in members {
        let (from, to) = (running.get(member), wanted.get(member));
        if from == to {
            continue;
        }
        let (from, to) = (from.cloned().unwrap_or_default(), to.cloned().unwrap_or_default());
        if member == "UserData" {
            let (from, to) = (decoded(&from), decoded(&to));
            let image = tag_of(slot.group, &context.tag("image")).unwrap_or_default();
            // What the image alone changes is told as the image.
            if image_changed
                && without_image(&from, image, tag_of(slot.group, &context.tag("digest")))
                    == without_image(&to, &desired.image, desired.digest.as_deref())
            {
                continue;
            }
            let (from, to) = first_difference(&from, &to);
            all.add("user data", from, to, desired.place("UserData"));
        } else {
            all.add(member, from, to, desired.place(member));
        }
    }
}

fn decoded(value: &Value) -> String {
    value.as_str().and_then(user_data::decode).unwrap_or_default()
}

fn without_image(text: &str, image: &str, digest: Option<&str>) -> String {
    let pinned = digest.map(|d| belay_schemas::image::Image::parse(image).pinned(d)).unwrap_or_default();
    let text = if pinned.is_empty() { text.to_owned() } else { text.replace(&pinned, "\u{0}") };
    if image.is_empty() { text } else { text.replace(image, "\u{0}") }
}

/// The first lines that differ: whole scripts would bury the reason. Of a line that came, or went, between others that stay,
/// it alone.
fn first_difference(from: &str, to: &str) -> (Value, Value) {
    let (mut old, mut new) = (from.lines(), to.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return (json!(from), json!(to)),
            (a, b) if a == b => {}
            (a, b) => {
                let came = a.is_some_and(|line| new.clone().any(|other| other == line));
                let went = b.is_some_and(|line| old.clone().any(|other| other == line));
                return match (came, went) {
                    (true, false) => (Value::Null, json!(b)),
                    (false, true) => (json!(a), Value::Null),
                    _ => (json!(a), json!(b)),
                };
            }
        }
    }
}

/// Data without what means nothing.
fn normal(data: &Map<String, Value>) -> Map<String, Value> {
    let mut normal = Map::new();
    for (member, value) in data {
        let value = match member.as_str() {
            "TagSpecifications" => continue,
            "EbsOptimized" if *value == json!(false) => continue,
            "Monitoring" if *value == json!({"Enabled": false}) => continue,
            "IamInstanceProfile" => {
                let arn = text(value, "Arn").and_then(|a| a.rsplit('/').next());
                json!(text(value, "Name").or(arn))
            }
            "SecurityGroupIds" => sorted(value),
            "NetworkInterfaces" => {
                let mut list = value.clone();
                if let Some(groups) = list.pointer_mut("/0/Groups") {
                    *groups = sorted(groups);
                }
                list
            }
            _ => value.clone(),
        };
        let empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
            || value.as_str() == Some("");
        if !empty {
            normal.insert(member.clone(), value);
        }
    }
    normal
}

fn sorted(list: &Value) -> Value {
    let mut items: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    items.sort_unstable();
    json!(items)
}

fn group(desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    for (member, wanted) in &desired.group {
        let default = match member.as_str() {
            "HealthCheckType" => json!("EC2"),
            "HealthCheckGracePeriod" => json!(0),
            "NewInstancesProtectedFromScaleIn" => json!(false),
            _ => Value::Null,
        };
        let runs = slot.group.get(member).cloned().unwrap_or(default);
        let same = match member.as_str() {
            "VPCZoneIdentifier" => comma_sorted(&runs) == comma_sorted(wanted),
            _ => same_number(&runs, wanted),
        };
        if !same {
            all.add(member, runs, wanted.clone(), desired.place(member));
        }
    }
}

fn same_number(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

fn comma_sorted(value: &Value) -> Vec<&str> {
    let mut parts: Vec<&str> = value.as_str().unwrap_or_default().split(',').map(str::trim).collect();
    parts.sort_unstable();
    parts
}

/// The names of classic load balancers and the ARNs of target groups, each sorted.
pub fn attached(desired: &Desired) -> (Vec<&str>, Vec<&str>) {
    let (mut classic, mut groups) = (Vec::new(), Vec::new());
    for balancer in &desired.balancers {
        match balancer {
            Balancer::Classic { name } => classic.push(name.as_str()),
            Balancer::TargetGroup { arn, .. } => groups.push(arn.as_str()),
        }
    }
    classic.sort_unstable();
    groups.sort_unstable();
    groups.dedup();
    (classic, groups)
}

fn balancers(desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    let (classic, groups) = attached(desired);
    for (member, wanted) in [("LoadBalancerNames", classic), ("TargetGroupARNs", groups)] {
        let mut runs: Vec<&str> = items(slot.group, member).iter().filter_map(Value::as_str).collect();
        runs.sort_unstable();
        if runs != wanted {
            all.add("load balancers", json!(runs), json!(wanted), super::settings::place(&["lb"]));
        }
    }
}

fn mixed(desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    let runs = slot.group.get("MixedInstancesPolicy").filter(|m| !m.is_null()).map(|policy| {
        let mut own = Map::new();
        let distribution = policy.get("InstancesDistribution").cloned().unwrap_or_default();
        own.insert(
            "InstancesDistribution".to_owned(),
            json!({
                "OnDemandBaseCapacity": number(&distribution, "OnDemandBaseCapacity").unwrap_or(0),
                "OnDemandPercentageAboveBaseCapacity": number(&distribution, "OnDemandPercentageAboveBaseCapacity").unwrap_or(100),
                "SpotAllocationStrategy": text(&distribution, "SpotAllocationStrategy").unwrap_or("lowest-price"),
            }),
        );
        let overrides = policy.pointer("/LaunchTemplate/Overrides").and_then(Value::as_array).cloned().unwrap_or_default();
        if !overrides.is_empty() {
            own.insert("Overrides".to_owned(), Value::Array(overrides));
        }
        Value::Object(own)
    });
    if runs != desired.mixed {
        let (from, to) = (runs.unwrap_or_default(), desired.mixed.clone().unwrap_or_default());
        all.add("the mix of instances", from, to, desired.place("MixedInstancesPolicy"));
    }
}

/// The keys of the environment's tags, as a tag records them: a key that is dropped later is noticed.
pub fn recorded(desired: &Desired) -> Option<String> {
    let keys: Vec<&str> = desired.tags.keys().map(String::as_str).collect();
    let text = keys.join(" ");
    match text.len() {
        0 => None,
        1..=256 => Some(text),
        _ => Some(belay_schemas::plan::digest_of_json(&json!(keys))),
    }
}

fn tags(context: Context<'_>, desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    for (key, wanted) in &desired.tags {
        let runs = tag_of(slot.group, key);
        if runs != Some(wanted) {
            let place = context.settings.tags(&desired.component).remove(key).map(|t| t.place);
            let place = place.unwrap_or_else(|| super::settings::place(&["tags"]));
            all.add(&format!("the tag {key}"), json!(runs), json!(wanted), place);
        }
    }
    let (runs, wanted) = (tag_of(slot.group, &context.tag("tags")), recorded(desired));
    if runs != wanted.as_deref() && all.changes.iter().all(|c| !c.what.starts_with("the tag ")) {
        all.add("the tags", json!(runs), json!(wanted), super::settings::place(&["tags"]));
    }
}

fn policies(facts: &Facts<'_>, desired: &Desired, slot: &Slot<'_>, all: &mut Difference) {
    let place = || desired.places.get("scaling").cloned().unwrap_or_else(|| super::settings::place(&["scaling"]));
    let running = facts.policies(slot.name);
    for wanted in &desired.policies {
        let name = wanted.get("PolicyName").and_then(Value::as_str);
        let runs = running.iter().find(|p| text(p, "PolicyName") == name);
        let to = wanted.get("TargetTrackingConfiguration").cloned().unwrap_or_default();
        let from = runs.and_then(|p| p.get("TargetTrackingConfiguration")).cloned().unwrap_or_default();
        if !covers(&from, &to) {
            all.add("a scaling policy", from, to, place());
        }
    }
    let wanted = |p: &Value| {
        desired.policies.iter().any(|w| w.get("PolicyName").and_then(Value::as_str) == text(p, "PolicyName"))
    };
    for gone in running.iter().filter(|p| is_ours(p) && !wanted(p)) {
        all.add(
            "a scaling policy",
            gone.get("TargetTrackingConfiguration").cloned().unwrap_or_default(),
            Value::Null,
            place(),
        );
    }
}

/// Whether a policy is one that Belay makes.
pub fn is_ours(policy: &Value) -> bool {
    matches!(text(policy, "PolicyName"), Some("cpu" | "metric"))
        && text(policy, "PolicyType") == Some("TargetTrackingScaling")
}

/// Whether `runs` has everything that `wanted` says; AWS fills in the rest.
fn covers(runs: &Value, wanted: &Value) -> bool {
    match (runs, wanted) {
        (Value::Object(runs), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| runs.get(key).is_some_and(|r| covers(r, value)))
        }
        (Value::Array(runs), Value::Array(wanted)) => {
            runs.len() == wanted.len() && runs.iter().zip(wanted).all(|(r, w)| covers(r, w))
        }
        _ => same_number(runs, wanted),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::first_difference;

    #[test]
    fn a_line_that_came_or_went_is_told_alone() {
        for (from, to, told) in [
            ("a\nb\nEND", "a\nb\nc\nEND", (Value::Null, json!("c"))),
            ("a\nb\nEND", "a\nEND", (json!("b"), Value::Null)),
            ("a\nb\nEND", "a\nc\nEND", (json!("b"), json!("c"))),
            ("a", "a\nb", (Value::Null, json!("b"))),
            ("a\nb", "a", (json!("b"), Value::Null)),
            ("a", "a\n", (json!("a"), json!("a\n"))),
        ] {
            assert_eq!(first_difference(from, to), told, "{from:?} {to:?}");
        }
    }
}

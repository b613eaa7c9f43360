//! The group of the new slot: created, or an empty one that was left over put to use.

use belay_schemas::late::run_id;
use belay_schemas::plan::{Action, Node, Phase, Why};
use serde_json::{Map, Value, json};

use crate::asg::Context;
use crate::asg::desired::Desired;
use crate::asg::diff::{attached, recorded};
use crate::asg::slots::{Spare, tag_path};
use crate::ecs::json::{items, text};
use crate::lower::draft::{guard_after, guard_at_start, node, probe, when};

use super::calls::{Count, NOTHING, Target, asg, describe_group};
use super::chain::Chain;
use super::drain;
use super::template::Launch;
use super::waits::Watch;

/// What the new slot begins with.
pub struct Begin<'a> {
    /// The spare slot.
    pub spare: &'a Spare<'a>,
    /// What it launches from.
    pub launch: &'a Launch,
    /// Its first sizes.
    pub sizes: Target,
    /// Why.
    pub why: Vec<Why>,
    /// How it is waited for.
    pub watch: Watch<'a>,
}

/// All tags of a group.
fn tags(context: Context<'_>, desired: &Desired, group: &str) -> Vec<Value> {
    let entry = |key: &str, value: Value| json!({"Key": key, "Value": value, "PropagateAtLaunch": true, "ResourceId": group, "ResourceType": "auto-scaling-group"});
    let mut all: Vec<Value> = desired.tags.iter().map(|(key, value)| entry(key, json!(value))).collect();
    let ours = [
        ("project", Some(json!(context.options.project))),
        ("component", Some(json!(desired.component))),
        ("image", Some(json!(desired.image))),
        ("digest", desired.digest.as_ref().map(|d| json!(d))),
        ("tags", recorded(desired).map(|t| json!(t))),
        ("run", Some(run_id())),
    ];
    all.extend(ours.into_iter().filter_map(|(key, value)| Some(entry(&context.tag(key), value?))));
    all
}

/// Creates the group.
pub fn create(context: Context<'_>, desired: &Desired, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    let (component, name) = (desired.component.as_str(), begin.spare.name.as_str());
    let id = format!("{component}.group.{}.create", begin.spare.side);
    let mut input = desired.group.clone();
    input.extend(begin.launch.members(desired));
    input.extend(begin.sizes.members());
    input.insert("AutoScalingGroupName".to_owned(), json!(name));
    input.insert("Tags".to_owned(), Value::Array(tags(context, desired, name)));
    let (classic, groups) = attached(desired);
    if !classic.is_empty() {
        input.insert("LoadBalancerNames".to_owned(), json!(classic));
    }
    if !groups.is_empty() {
        input.insert("TargetGroupARNs".to_owned(), json!(groups));
    }
    let count = begin.sizes.desired.as_ref().map_or_else(|| begin.sizes.min.words(), Count::words);
    let mut summary = format!("create Auto Scaling group {name} with {count}");
    for (index, balancer) in desired.balancers.iter().enumerate() {
        summary.push_str(if index == 0 { " behind " } else { " and " });
        summary.push_str(balancer.name());
    }
    let call = asg("CreateAutoScalingGroup", Value::Object(input));
    let mut forward = node(id.clone(), Some(component), Phase::Deploy, summary, Action::Call { call, expect: None });
    forward.why.clone_from(&begin.why);
    forward.guards = vec![guard_at_start(describe_group(name), [("length(AutoScalingGroups)", json!(0))])];
    forward.probe = Some(probe(
        describe_group(name),
        &format!("length(AutoScalingGroups[].Tags[] | [?Key=='{}' && Value==$run]) == `1`", context.tag("run")),
        NOTHING,
        [("run", run_id())],
    ));
    let gone = when("the group is gone already", describe_group(name), "length(AutoScalingGroups) == `0`", []);
    let protected = desired.group.get("NewInstancesProtectedFromScaleIn") == Some(&json!(true));
    let back = taken_back(context, &id, desired, begin, protected);
    chain.first(forward, vec![(Some(gone), Vec::new()), (None, back)]);
}

/// Takes the group away again: emptied first, so that its instances leave their load balancers in peace. Instances that
/// are protected would stay, so a group of them is deleted together with them.
fn taken_back(context: Context<'_>, id: &str, desired: &Desired, begin: &Begin<'_>, protected: bool) -> Vec<Node> {
    let (component, name) = (desired.component.as_str(), begin.spare.name.as_str());
    let undo = |suffix: &str, summary: String, action: Action| {
        node(format!("{id}.{suffix}"), Some(component), Phase::Undo, summary, action)
    };
    let run = tag_path(&context.tag("run"));
    let ours = || guard_after(id, describe_group(name), [(run.as_str(), run_id())]);
    let mut all = Vec::new();
    if let Some(cluster) = begin.watch.cluster {
        all.extend(drain::leave(component, name, cluster, &format!("{id}.undo"), ""));
    }
    if !protected {
        let mut empty = undo(
            "undo.empty",
            format!("empty Auto Scaling group {name}, which this run created"),
            Action::Call { call: update(name, Target::exactly(Count::Fixed(0)).members()), expect: None },
        );
        empty.guards = vec![ours()];
        empty.probe = Some(probe(describe_group(name), "AutoScalingGroups[0].MaxSize == `0`", NOTHING, []));
        all.push(empty);
        let wait = begin.watch.drained(&Count::Fixed(0));
        all.push(undo("undo.emptied", format!("wait until {name} has no instances"), wait));
    }
    let mut input = json!({"AutoScalingGroupName": name});
    if protected {
        input["ForceDelete"] = json!(true);
    }
    let mut delete = undo(
        "undo",
        format!("delete Auto Scaling group {name}, which this run created"),
        Action::Call { call: asg("DeleteAutoScalingGroup", input), expect: None },
    );
    delete.guards = vec![ours()];
    delete.probe = Some(deleted(name));
    all.push(delete);
    all.push(undo("undone", format!("wait until {name} is gone"), begin.watch.gone()));
    all
}

/// UpdateAutoScalingGroup.
pub fn update(name: &str, mut members: Map<String, Value>) -> belay_schemas::plan::Call {
    members.insert("AutoScalingGroupName".to_owned(), json!(name));
    asg("UpdateAutoScalingGroup", Value::Object(members))
}

/// Tells whether a group is gone or about to be.
pub fn deleted(name: &str) -> belay_schemas::plan::Probe {
    probe(describe_group(name), "length(AutoScalingGroups[?!Status]) == `0`", NOTHING, [])
}

/// Puts an empty group that was left over to use: its tags, its load balancers, then everything else with its sizes.
pub fn reuse(context: Context<'_>, desired: &Desired, left: &Value, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    retag(context, desired, left, begin, chain);
    reattach(desired, left, begin, chain);
    let (component, name) = (desired.component.as_str(), begin.spare.name.as_str());
    let id = format!("{component}.group.{}.reuse", begin.spare.side);
    let mut input = desired.group.clone();
    input.extend(begin.launch.members(desired));
    input.extend(begin.sizes.members());
    let count = begin.sizes.desired.as_ref().map_or_else(|| begin.sizes.min.words(), Count::words);
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Deploy,
        format!("give Auto Scaling group {name}, which was left over, {count}"),
        Action::Call { call: update(name, input.clone()), expect: None },
    );
    forward.why.clone_from(&begin.why);
    forward.guards = vec![empty_at_start(context, left, name)];
    let desired_is = begin.sizes.desired.as_ref().unwrap_or(&begin.sizes.max);
    let mut bind = std::collections::BTreeMap::new();
    let wanted = desired_is.in_expression(&mut bind);
    let mut told =
        probe(describe_group(name), &format!("AutoScalingGroups[0].DesiredCapacity == {wanted}"), NOTHING, []);
    told.bind = bind;
    forward.probe = Some(told);
    let mut before: Map<String, Value> = input
        .keys()
        .filter_map(|member| Some((member.clone(), left.get(member)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    for member in ["LaunchTemplate", "LaunchConfigurationName", "MixedInstancesPolicy"] {
        if let Some(value) = left.get(member).filter(|v| !v.is_null()) {
            before.insert(member.to_owned(), specification(value));
        }
    }
    before.extend(Target::exactly(Count::Fixed(0)).members());
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("empty Auto Scaling group {name} again"),
        Action::Call { call: update(name, before), expect: None },
    );
    undo.guards = vec![guard_after(
        &id,
        describe_group(name),
        [(tag_path(&context.tag("project")).as_str(), owner(context, left))],
    )];
    undo.probe = Some(probe(describe_group(name), "AutoScalingGroups[0].MaxSize == `0`", NOTHING, []));
    let emptied = node(
        format!("{id}.undone"),
        Some(component),
        Phase::Undo,
        format!("wait until {name} has no instances"),
        begin.watch.drained(&Count::Fixed(0)),
    );
    let mut back = Vec::new();
    if let Some(cluster) = begin.watch.cluster {
        back.extend(drain::leave(component, name, cluster, &format!("{id}.undo"), ""));
    }
    back.extend([undo, emptied]);
    chain.first(forward, vec![(None, back)]);
}

/// A launch template is named by its id or its name, not by both.
fn specification(value: &Value) -> Value {
    let mut value = value.clone();
    let inner = value.pointer_mut("/LaunchTemplate/LaunchTemplateSpecification");
    let spec = match inner {
        Some(inner) => inner,
        None => &mut value,
    };
    if let Value::Object(map) = spec
        && map.contains_key("LaunchTemplateId")
    {
        map.remove("LaunchTemplateName");
    }
    value
}

fn owner(context: Context<'_>, group: &Value) -> Value {
    crate::asg::slots::tag_value(group, &context.tag("project"))
}

fn empty_at_start(context: Context<'_>, left: &Value, name: &str) -> belay_schemas::plan::Guard {
    guard_at_start(
        describe_group(name),
        [
            ("AutoScalingGroups[0].DesiredCapacity", json!(0)),
            ("length(AutoScalingGroups[0].Instances)", json!(0)),
            (tag_path(&context.tag("project")).as_str(), owner(context, left)),
        ],
    )
}

fn retag(context: Context<'_>, desired: &Desired, left: &Value, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    let (component, name) = (desired.component.as_str(), begin.spare.name.as_str());
    let id = format!("{component}.group.{}.tag", begin.spare.side);
    let wanted = tags(context, desired, name);
    let call = asg("CreateOrUpdateTags", json!({"Tags": wanted}));
    let summary = format!("tag Auto Scaling group {name}, which was left over");
    let mut forward = node(id.clone(), Some(component), Phase::Deploy, summary, Action::Call { call, expect: None });
    forward.guards = vec![empty_at_start(context, left, name)];
    forward.probe = Some(probe(
        describe_group(name),
        &format!("{} == $run", tag_path(&context.tag("run"))),
        NOTHING,
        [("run", run_id())],
    ));
    let old = items(left, "Tags");
    let is_old = |tag: &&Value| old.iter().any(|o| text(o, "Key") == text(tag, "Key"));
    let added: Vec<Value> = wanted
        .iter()
        .filter(|tag| !is_old(tag))
        .map(|tag| json!({"Key": tag["Key"], "ResourceId": name, "ResourceType": "auto-scaling-group"}))
        .collect();
    let back = |suffix: &str, summary: String, call| {
        let mut undo =
            node(format!("{id}.{suffix}"), Some(component), Phase::Undo, summary, Action::Call { call, expect: None });
        undo.guards = vec![guard_after(
            &id,
            describe_group(name),
            [(tag_path(&context.tag("project")).as_str(), owner(context, left))],
        )];
        undo.unprobed = Some("giving or taking a tag twice is the same as doing it once".to_owned());
        undo
    };
    let mut nodes = Vec::new();
    if !added.is_empty() {
        nodes.push(back(
            "undo.added",
            format!("take the new tags of {name} away"),
            asg("DeleteTags", json!({"Tags": added})),
        ));
    }
    let plain: Vec<Value> = old
        .iter()
        .filter(|t| !text(t, "Key").is_some_and(|k| k.starts_with("aws:")))
        .map(|t| json!({"Key": t["Key"], "Value": t["Value"], "PropagateAtLaunch": t.get("PropagateAtLaunch").cloned().unwrap_or(json!(true)), "ResourceId": name, "ResourceType": "auto-scaling-group"}))
        .collect();
    nodes.push(back(
        "undo",
        format!("give {name} its old tags back"),
        asg("CreateOrUpdateTags", json!({"Tags": plain})),
    ));
    chain.first(forward, vec![(None, nodes)]);
}

/// Load balancers are attached to and detached from a group by calls of their own.
fn reattach(desired: &Desired, left: &Value, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    let (component, name, side) = (desired.component.as_str(), begin.spare.name.as_str(), begin.spare.side);
    let (classic, groups) = attached(desired);
    for (member, wanted, attach, detach, word) in [
        ("LoadBalancerNames", classic, "AttachLoadBalancers", "DetachLoadBalancers", "classic"),
        (
            "TargetGroupARNs",
            groups,
            "AttachLoadBalancerTargetGroups",
            "DetachLoadBalancerTargetGroups",
            "target-groups",
        ),
    ] {
        let has: Vec<&str> = items(left, member).iter().filter_map(Value::as_str).collect();
        let missing: Vec<&str> = wanted.iter().filter(|w| !has.contains(w)).copied().collect();
        let surplus: Vec<&str> = has.iter().filter(|h| !wanted.contains(h)).copied().collect();
        for (list, forth, back, verb) in [(missing, attach, detach, "attach"), (surplus, detach, attach, "detach")] {
            if list.is_empty() {
                continue;
            }
            let id = format!("{component}.group.{side}.{verb}.{word}");
            let input = json!({"AutoScalingGroupName": name, member: list});
            let shown: Vec<&str> = list.iter().map(|l| crate::ecs::names::target_group(l)).collect();
            let make = |id: String, phase, operation: &str, summary: String| {
                let call = asg(operation, input.clone());
                let mut made = node(id, Some(component), phase, summary, Action::Call { call, expect: None });
                made.unguarded =
                    Some("the group has no instances, so nothing is registered or deregistered".to_owned());
                made.unprobed = Some("attaching or detaching twice is the same as doing it once".to_owned());
                made
            };
            let forward = make(id.clone(), Phase::Deploy, forth, format!("{verb} {} on {name}", shown.join(", ")));
            let undo = make(format!("{id}.undo"), Phase::Undo, back, format!("undo that on {name}"));
            chain.first(forward, vec![(None, vec![undo])]);
        }
    }
}

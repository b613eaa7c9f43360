//! Deploying and upgrading: the new slot up by batches, the old one down by the same.
//!
//! Invariant: with n of N new instances healthy, the old slot keeps N₀ − ⌊N₀·n/N⌋ of its N₀, so that together there are
//! never fewer than the smaller of N₀ and N.

use belay_schemas::plan::{Action, Node, Phase, Why};
use serde_json::{Map, Value, json};

use crate::asg::desired::Desired;
use crate::asg::slots::{Slot, Spare};
use crate::asg::{Context, agent, user_data};
use crate::lower::Lowered;
use crate::lower::draft::{Draft, guard_at_start, node, probe};

use super::calls::{Count, NOTHING, Target, asg, describe_group};
use super::chain::Chain;
use super::drain::Cluster;
use super::group::{self, Begin};
use super::provider::{self, Rosters};
use super::remove::{self, Leaving};
use super::sizes::{Detach, Grows, Resized, Step, Take, joined};
use super::template;
use super::waits::{Limits, Watch};

/// Whether somebody may choose another number of instances for the slot that runs, which the new one has to take over.
pub fn moves(desired: &Desired, slot: &Slot<'_>) -> bool {
    desired.scaling.is_some() && slot.size("MinSize") != slot.size("MaxSize")
}

/// The sizes of the new slot when it has `count` of its instances.
fn sizes(desired: &Desired, count: Count, last: bool) -> Target {
    match &desired.scaling {
        None => Target::exactly(count),
        // Auto Scaling chooses between the limits as soon as there is a policy, which comes last.
        Some(scaling) => Target {
            min: Count::Fixed(if last { scaling.min.into() } else { 0 }),
            max: Count::Fixed(scaling.max.into()),
            desired: Some(count),
        },
    }
}

fn begin_slot(context: Context<'_>, desired: &Desired, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    match begin.spare.group {
        Some(left) if context.settings.pre_created => fill(context, desired, left, begin, chain),
        Some(left) => group::reuse(context, desired, left, begin, chain),
        None => group::create(context, desired, begin, chain),
    }
}

/// Begins the new slot; where it is to be a capacity provider, it becomes one before its first instance: only those that
/// join their cluster afterwards belong to it (ECS developer guide, "Capacity providers for EC2 workloads").
fn begin_with_provider(
    context: Context<'_>,
    desired: &Desired,
    begin: Begin<'_>,
    rosters: &mut Rosters,
    chain: &mut Chain<'_>,
) {
    if desired.provider.is_none() {
        return begin_slot(context, desired, &begin, chain);
    }
    let empty = || Target::exactly(Count::Fixed(0));
    let (to, why) = (begin.sizes.clone(), begin.why.clone());
    begin_slot(context, desired, &Begin { sizes: empty(), ..begin }, chain);
    provider::make(context, desired, &begin.spare.name, rosters, chain);
    let nothing = Value::Null;
    let slot = Slot { label: begin.spare.side.to_string(), name: &begin.spare.name, group: &nothing };
    let resized = Resized { context, component: &desired.component, slot: &slot, watch: begin.watch };
    let after = chain.last().unwrap_or_default().to_owned();
    let count = to.desired.as_ref().map_or_else(String::new, Count::words);
    let summary = format!("let {} have {count}", begin.spare.name);
    let grows = Some(Grows::Leaves);
    resized.resize(Step { what: "up", summary, from: &empty(), to: &to, why, after: Some(&after), grows }, chain);
}

/// A group that somebody else has made only gets its sizes.
fn fill(context: Context<'_>, desired: &Desired, left: &Value, begin: &Begin<'_>, chain: &mut Chain<'_>) {
    let label = begin.spare.side.to_string();
    let slot = Slot { label, name: &begin.spare.name, group: left };
    let resized = Resized { context, component: &desired.component, slot: &slot, watch: begin.watch };
    let from = Target {
        min: Count::Fixed(slot.size("MinSize")),
        max: Count::Fixed(slot.size("MaxSize")),
        desired: Some(Count::Fixed(slot.desired())),
    };
    let count = begin.sizes.desired.as_ref().map_or_else(String::new, Count::words);
    let summary = format!("give Auto Scaling group {} {count}", begin.spare.name);
    resized.resize(
        Step {
            what: "up.1",
            summary,
            from: &from,
            to: &begin.sizes,
            why: begin.why.clone(),
            after: None,
            grows: Some(Grows::Stays),
        },
        chain,
    );
}

/// How the new slot is waited for.
fn watch<'a>(desired: &'a Desired, spare: &'a Spare<'_>, limits: Limits) -> Watch<'a> {
    let text = desired.data.get("UserData").and_then(Value::as_str).and_then(user_data::decode);
    let keeps = text.is_some_and(|text| agent::starts_tasks(&text));
    let cluster = desired.cluster.as_deref().map(|name| Cluster { name, drain: desired.drain_timeout, keeps });
    Watch { group: &spare.name, balancers: &desired.balancers, cluster, limits }
}

/// A component of which nothing runs.
pub fn deploy(
    context: Context<'_>,
    desired: &Desired,
    spare: &Spare<'_>,
    why: Vec<Why>,
    limits: Limits,
    rosters: &mut Rosters,
    draft: &mut Draft,
) -> Option<Lowered> {
    let mut chain = Chain::new(draft);
    let launch = launch(context, desired, spare, &mut chain);
    let watch = watch(desired, spare, limits);
    let count = Count::Fixed(desired.replicas);
    let begin = Begin { spare, launch: &launch, sizes: sizes(desired, count.clone(), true), why, watch };
    begin_with_provider(context, desired, begin, rosters, &mut chain);
    joined(&desired.component, &spare.side.to_string(), &spare.name, &watch, "", &count, &mut chain);
    policies(desired, spare, &mut chain);
    chain.done()
}

fn launch(context: Context<'_>, desired: &Desired, spare: &Spare<'_>, chain: &mut Chain<'_>) -> template::Launch {
    match context.settings.pre_created {
        true => template::Launch::Configuration(String::new()),
        false => template::make(context, desired, spare, chain),
    }
}

/// What an upgrade is about.
pub struct Upgrade<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// The slot that runs.
    pub slot: &'a Slot<'a>,
    /// The slot that takes over.
    pub spare: &'a Spare<'a>,
    /// Why.
    pub why: Vec<Why>,
    /// Limits of the waits.
    pub limits: Limits,
    /// Whether the old instances stay until after the commit point.
    pub detach: bool,
    /// The ECS cluster that the old instances have joined.
    pub cluster: Option<Cluster<'a>>,
}

/// A component that runs and is replaced.
pub fn upgrade(
    context: Context<'_>,
    upgrade: &Upgrade<'_>,
    rosters: &mut Rosters,
    draft: &mut Draft,
) -> Option<Lowered> {
    let Upgrade { desired, slot, spare, why, limits, detach, cluster } = upgrade;
    let component = desired.component.as_str();
    // Where Auto Scaling has chosen, the number of instances is seen when the plan runs.
    let live = moves(desired, slot);
    let old = slot.desired();
    let new = if live { old } else { desired.replicas };
    let steps = if new == 0 { 1 } else { desired.batch.steps(new) };
    let size = desired.batch.size(new);
    let mut chain = Chain::new(draft);
    let launch = launch(context, desired, spare, &mut chain);
    let old_watch = Watch { group: slot.name, balancers: &desired.balancers, cluster: *cluster, limits: *limits };
    let resized = Resized { context, component, slot, watch: old_watch };
    if !context.settings.pre_created {
        resized.suspend(&remove::delete_id(component, &slot.label), live, &mut chain);
    }
    let seen = live.then(|| resized.count_live(&mut chain));
    let new_count = |step: u64| match &seen {
        Some(node) => Count::Share { node: node.clone(), k: step, n: steps },
        None => Count::Fixed((step * size).min(new)),
    };
    let suffixed = |step: u64| if steps == 1 { String::new() } else { format!(".{step}") };
    let old_count = |step: u64| match &seen {
        // What a batch leaves is told by what there was right before it: shares of shares are rounded each time.
        Some(_) if *detach && step > 0 => {
            let batches = steps - step + 1;
            Count::Share { node: resized.members(&suffixed(step)), k: batches - 1, n: batches }
        }
        Some(node) => Count::Share { node: node.clone(), k: steps - step, n: steps },
        None if step == steps => Count::Fixed(0),
        None => Count::Fixed(old - (old * (step * size).min(new)) / new.max(1)),
    };
    let watch = watch(desired, spare, *limits);
    let label = spare.side.to_string();
    let first =
        Begin { spare, launch: &launch, sizes: sizes(desired, new_count(1), steps == 1), why: why.clone(), watch };
    begin_with_provider(context, desired, first, rosters, &mut chain);
    // The new slot has no group yet, but the nodes about it look like those about any other.
    let nothing = Value::Null;
    let new_slot = Slot { label: label.clone(), name: &spare.name, group: &nothing };
    let growing = Resized { context, component, slot: &new_slot, watch };
    let mut detached = Vec::new();
    let mut loosened = false;
    for step in 1..=steps {
        let suffix = suffixed(step);
        if step > 1 {
            let (from, to) =
                (sizes(desired, new_count(step - 1), false), sizes(desired, new_count(step), step == steps));
            let after = chain.last().unwrap_or_default().to_owned();
            let summary = format!("grow {} to {}", spare.name, new_count(step).words());
            growing.resize(
                Step {
                    what: &format!("up{suffix}"),
                    summary,
                    from: &from,
                    to: &to,
                    why: why.clone(),
                    after: Some(&after),
                    // Old instances that are still there come back at once, and then the new slot goes.
                    grows: Some(if *detach { Grows::Leaves } else { Grows::Stays }),
                },
                &mut chain,
            );
        }
        joined(component, &label, &spare.name, &watch, &suffix, &new_count(step), &mut chain);
        if step == steps {
            policies(desired, spare, &mut chain);
        }
        let (before, after_count) = (old_count(step - 1), old_count(step));
        if before == after_count || (old == 0 && !live) {
            continue;
        }
        if *detach {
            if !loosened {
                resized.loosen(live, why.clone(), &mut chain);
                loosened = true;
            }
            let take = match (&before, &after_count) {
                (Count::Fixed(before), Count::Fixed(after)) => Take::First(before - after),
                _ => Take::Share(1, steps - step + 1),
            };
            let after = chain.last().unwrap_or_default().to_owned();
            let batch = Detach { suffix: &suffix, take, from: &before, after: &after, why: why.clone() };
            detached.push(resized.detach(&batch, &mut chain));
        } else {
            let (from, to) = (before_sizes(slot, desired, &before, step), old_sizes(slot, desired, &after_count));
            let after = chain.last().map(str::to_owned).filter(|_| step > 1 || live);
            let summary = match after_count.is_zero() {
                true => format!("empty {}, which {} has taken over from", slot.name, spare.name),
                false => format!("shrink {} to {}", slot.name, after_count.words()),
            };
            resized.resize(
                Step {
                    what: &format!("down{suffix}"),
                    summary,
                    from: &from,
                    to: &to,
                    why: why.clone(),
                    after: after.as_deref(),
                    grows: None,
                },
                &mut chain,
            );
        }
        resized.drained(&suffix, &after_count, &mut chain);
    }
    let leaving = Leaving { context, component, slot, limits: *limits, cluster: *cluster, why: why.clone() };
    leaving.finalize(&detached, chain.draft);
    chain.done()
}

/// The sizes that the old slot has before a step.
fn before_sizes(slot: &Slot<'_>, desired: &Desired, count: &Count, step: u64) -> Target {
    match step {
        1 => Target {
            min: Count::Fixed(slot.size("MinSize")),
            max: Count::Fixed(slot.size("MaxSize")),
            desired: Some(count.clone()),
        },
        _ => old_sizes(slot, desired, count),
    }
}

fn old_sizes(slot: &Slot<'_>, desired: &Desired, count: &Count) -> Target {
    match desired.scaling {
        None => Target::exactly(count.clone()),
        Some(_) => {
            Target { min: Count::Fixed(0), max: Count::Fixed(slot.size("MaxSize")), desired: Some(count.clone()) }
        }
    }
}

/// Scaling policies come when the new slot has all of its instances.
fn policies(desired: &Desired, spare: &Spare<'_>, chain: &mut Chain<'_>) {
    let (component, name) = (desired.component.as_str(), spare.name.as_str());
    for policy in &desired.policies {
        let policy_name = policy.get("PolicyName").and_then(Value::as_str).unwrap_or_default();
        let id = format!("{component}.group.{}.policy.{policy_name}", spare.side);
        let mut input: Map<String, Value> = policy.clone();
        input.insert("AutoScalingGroupName".to_owned(), json!(name));
        let read = || asg("DescribePolicies", json!({"AutoScalingGroupName": name, "PolicyNames": [policy_name]}));
        let call = asg("PutScalingPolicy", Value::Object(input));
        let summary = format!("let Auto Scaling choose the size of {name} by policy {policy_name}");
        let mut forward: Node =
            node(id.clone(), Some(component), Phase::Deploy, summary, Action::Call { call, expect: None });
        match spare.group {
            None => forward.unguarded = Some("the group was created by this run".to_owned()),
            Some(_) => {
                forward.guards = vec![guard_at_start(describe_group(name), [("length(AutoScalingGroups)", json!(1))])]
            }
        }
        forward.probe =
            Some(probe(read(), "length(ScalingPolicies) == `1`", "{PolicyARN: ScalingPolicies[0].PolicyARN}", []));
        let call = asg("DeletePolicy", json!({"AutoScalingGroupName": name, "PolicyName": policy_name}));
        let mut undo = node(
            format!("{id}.undo"),
            Some(component),
            Phase::Undo,
            format!("take policy {policy_name} of {name} away"),
            Action::Call { call, expect: None },
        );
        undo.unguarded = Some("the policy was made by this run".to_owned());
        undo.probe = Some(probe(read(), "length(ScalingPolicies) == `0`", NOTHING, []));
        chain.effect(forward, vec![(None, vec![undo])]);
    }
}

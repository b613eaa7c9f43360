//! Capacity providers: made while their group is still empty, put beside the others of their cluster, changed in place,
//! taken away after the commit point.
//!
//! Invariants: PutClusterCapacityProviders replaces the whole list and the default strategy, so every one is guarded by what
//! it overwrites, sends everything else along as it was, and waits until ECS is through with it; those of one cluster come
//! one after the other. ECS deletes no provider that a cluster has, so a deletion comes after that.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::late::run_id;
use belay_schemas::plan::{Action, Call, Evidence, Fail, Guard, Mode, Moment, Node, Phase, Wait, Why};
use serde_json::{Value, json};

use crate::asg::Context;
use crate::asg::desired::Desired;
use crate::asg::diff;
use crate::asg::facts::Facts;
use crate::asg::providers::{self, Provider, Surplus};
use crate::diagnostics::Place;
use crate::ecs::json::{items, provider_names};
use crate::ecs::lower::change::Change;
use crate::lower::draft::{Back, Draft, call, guard_after, guard_at_start, node, probe, when};
use crate::lower::{COMMIT, Part, removal_reason};

use super::chain::Chain;

/// Seconds that ECS has to change a provider, or what a cluster's providers bring along (policies, hooks, alarms).
const CHANGE: u64 = 300;
/// Seconds between polls.
const INTERVAL: u64 = 5;
/// The providers of a cluster and its default strategy, as JMESPath.
const ROSTER: &str = "clusters[0].{capacityProviders: sort(capacityProviders), defaultCapacityProviderStrategy: defaultCapacityProviderStrategy || `[]`}";

fn ecs(operation: &str, input: Value) -> Call {
    call("ecs", operation, input)
}

fn describe(name: &str) -> Call {
    ecs("DescribeCapacityProviders", json!({"capacityProviders": [name], "include": ["TAGS"]}))
}

fn describe_cluster(name: &str) -> Call {
    ecs("DescribeClusters", json!({"clusters": [name], "include": ["ATTACHMENTS"]}))
}

/// Id of the node that takes a cluster's providers away that nobody wants any more.
fn detach_id(cluster: &str) -> String {
    format!("providers.{cluster}.detach")
}

/// The providers of the clusters as the plan so far leaves them.
#[derive(Debug, Default)]
pub struct Rosters(BTreeMap<String, Roster>);

#[derive(Debug)]
struct Roster {
    providers: BTreeSet<String>,
    /// Those of Managed Instances, which are the cluster's for good and which ECS refuses to be told of.
    managed: BTreeSet<String>,
    strategy: Value,
    /// The last step that changed it, and its ways back.
    last: Option<(String, Back)>,
}

impl Rosters {
    fn of(&mut self, facts: &Facts<'_>, cluster: &str) -> &mut Roster {
        self.0.entry(cluster.to_owned()).or_insert_with(|| {
            let strategy = facts.shared.cluster(cluster).map(|c| items(c, "defaultCapacityProviderStrategy"));
            let all = providers::providers_of(facts, cluster);
            let managed = all.iter().filter(|name| facts.shared.is_managed(name));
            Roster {
                managed: managed.map(|name| (*name).to_owned()).collect(),
                providers: all.iter().map(|name| (*name).to_owned()).collect(),
                strategy: json!(strategy.unwrap_or_default()),
                last: None,
            }
        })
    }
}

impl Roster {
    fn state(&self) -> Value {
        json!({"capacityProviders": self.providers, "defaultCapacityProviderStrategy": self.strategy})
    }

    fn put(&self, cluster: &str) -> Call {
        let mut input = self.state();
        input["capacityProviders"] = self.providers.difference(&self.managed).cloned().collect();
        input["cluster"] = json!(cluster);
        ecs("PutClusterCapacityProviders", input)
    }
}

/// A state that is waited for: where it stands in the answer, and what it is called while it comes and when it does not.
struct Wanted {
    read: Call,
    until: String,
    failed: String,
    reason: String,
    /// What of the answer moves on the way, and what it says of a failure.
    progress: String,
    said: String,
}

impl Wanted {
    fn wait(self) -> Action {
        let Self { read, until, failed, reason, progress, said } = self;
        let title = "what ECS says of it".to_owned();
        let evidence = Evidence { title, reads: vec![read.clone()], lines: said, bind: BTreeMap::new() };
        Action::Wait {
            wait: Wait {
                reads: vec![read],
                until,
                fail: vec![Fail { when: failed, reason }],
                progress: Some(progress),
                no_progress: CHANGE,
                overall: CHANGE,
                hold: 0,
                interval: INTERVAL,
                bind: BTreeMap::new(),
                evidence: vec![evidence],
            },
        }
    }
}

const OWN: &str = "[0].capacityProviders[0]";
/// The state of what a provider was asked for, with the reason.
const SAID: &str = "[0].capacityProviders[].join(' ', [name, status, updateStatus || '', updateStatusReason || ''])";

/// Waits until a provider is there and nothing is being done to it.
fn settled(name: &str) -> Action {
    let wanted = Wanted {
        read: describe(name),
        until: format!("{OWN}.status == 'ACTIVE' && !ends_with({OWN}.updateStatus || '', 'IN_PROGRESS')"),
        failed: format!("ends_with({OWN}.updateStatus || '', 'FAILED')"),
        reason: format!("ECS could not make or change the capacity provider {name}"),
        progress: format!("{OWN}.updateStatus"),
        said: SAID.to_owned(),
    };
    wanted.wait()
}

/// Waits until a provider is gone. ECS says at the provider itself when it does not delete it.
fn gone(name: &str) -> Action {
    let wanted = Wanted {
        read: describe(name),
        until: "length([0].capacityProviders[?status!='INACTIVE']) == `0`".to_owned(),
        failed: format!("{OWN}.status != 'INACTIVE' && {OWN}.updateStatus == 'DELETE_FAILED'"),
        reason: format!("ECS does not delete the capacity provider {name}"),
        progress: format!("{OWN}.updateStatus"),
        said: SAID.to_owned(),
    };
    wanted.wait()
}

/// Waits until the cluster has its providers: those that it is to have, and not those that it is to lack. A look that comes
/// too late shows both the old list and that nothing is in progress.
fn attached(cluster: &str, has: &[&str], lacks: &[&str]) -> Action {
    let status = "[0].clusters[0].attachmentsStatus";
    let listed = |name: &&str| format!("contains([0].clusters[0].capacityProviders || `[]`, '{name}')");
    let has = has.iter().map(listed);
    let lacks = lacks.iter().map(|name| format!("!{}", listed(name)));
    let settled = format!("!ends_with({status} || '', 'IN_PROGRESS')");
    let wanted = Wanted {
        read: describe_cluster(cluster),
        until: std::iter::once(settled).chain(has).chain(lacks).collect::<Vec<_>>().join(" && "),
        failed: format!("ends_with({status} || '', 'FAILED')"),
        reason: format!("ECS could not set up what the capacity providers of cluster {cluster} bring along"),
        progress: status.to_owned(),
        said: "[0].clusters[].attachments[].join(' ', [type, status])".to_owned(),
    };
    wanted.wait()
}

/// Makes the provider of a new, empty group, and puts it beside those that its cluster has.
pub fn make(context: Context<'_>, desired: &Desired, group: &str, rosters: &mut Rosters, chain: &mut Chain<'_>) {
    let (Some(provider), Some(facts)) = (&desired.provider, context.facts) else { return };
    create(context, desired, provider, group, chain);
    let roster = rosters.of(facts, &provider.cluster);
    let (before, back) = (roster.state(), roster.put(&provider.cluster));
    roster.providers.insert(provider.name.clone());
    let (component, cluster) = (provider.component.as_str(), provider.cluster.as_str());
    let change = Change {
        id: format!("{component}.provider.attach"),
        component: Some(component),
        summary: format!(
            "let cluster {cluster} have the capacity provider {}, beside those that it has",
            provider.name
        ),
        why: Vec::new(),
        forward: roster.put(cluster),
        back_summary: format!("let cluster {cluster} have the capacity providers that it had before"),
        back,
        read: describe_cluster(cluster),
        answer: Some("{cluster: clusters[0]}".to_owned()),
        find: None,
        found: ROSTER.to_owned(),
        from: before,
        to: roster.state(),
    };
    let id = change.id.clone();
    let earlier = roster.last.take();
    let (forward, mut cases) = change.nodes(earlier.as_ref().map(|(id, _)| id.as_str()));
    if let Some((_, way)) = cases.last_mut() {
        let summary = format!("wait until cluster {cluster} has them");
        way.push(node(
            format!("{id}.undone"),
            Some(component),
            Phase::Undo,
            summary,
            attached(cluster, &[], &[&provider.name]),
        ));
    }
    chain.effect(forward, cases);
    let back = chain.back().cloned().unwrap_or_default();
    if let Some((before, earlier)) = &earlier {
        chain.draft.after(before, &id);
        chain.draft.back_before(&back, earlier);
    }
    let ready = format!("{component}.provider.attached");
    let summary = format!("wait until cluster {cluster} has the capacity provider {}", provider.name);
    chain.step(node(ready.clone(), Some(component), Phase::Deploy, summary, attached(cluster, &[&provider.name], &[])));
    roster.last = Some((ready, back));
}

fn create(context: Context<'_>, desired: &Desired, provider: &Provider, group: &str, chain: &mut Chain<'_>) {
    let Provider { component, name, cluster, settings, place } = provider;
    let id = format!("{component}.provider.create");
    let tag = |key: String, value: Value| json!({"key": key, "value": value});
    let mut tags: Vec<Value> = desired.tags.iter().map(|(key, value)| tag(key.clone(), json!(value))).collect();
    for (key, value) in [
        ("project", json!(context.options.project)),
        ("component", json!(component)),
        ("cluster", json!(cluster)),
        ("run", run_id()),
    ] {
        tags.push(tag(context.tag(key), value));
    }
    let mut own = settings.clone();
    own["autoScalingGroupArn"] = json!(group);
    let input = json!({"name": name, "autoScalingGroupProvider": own, "tags": tags});
    let mut forward = node(
        id.clone(),
        Some(component),
        Phase::Deploy,
        format!("create capacity provider {name} of Auto Scaling group {group}"),
        Action::Call { call: ecs("CreateCapacityProvider", input), expect: None },
    );
    forward.why = vec![diff::why(context, place, Value::Null, json!(name))];
    // ECS shows deleted ones for a while.
    let living = "capacityProviders[?status!='INACTIVE']";
    let count = format!("length({living})");
    forward.guards = vec![guard_at_start(describe(name), [(count.as_str(), json!(0))])];
    let run = format!("tags[?key=='{}'].value | [0]", context.tag("run"));
    let ours = format!("{living} | [0].{run}");
    let answer = format!("{{capacityProvider: {living} | [0]}}");
    forward.probe = Some(probe(describe(name), &format!("({ours}) == $run"), &answer, [("run", run_id())]));
    let mut undo = node(
        format!("{id}.undo"),
        Some(component),
        Phase::Undo,
        format!("delete capacity provider {name}, which this run created"),
        Action::Call { call: ecs("DeleteCapacityProvider", json!({"capacityProvider": name})), expect: None },
    );
    undo.guards = vec![guard_after(&id, describe(name), [(ours.as_str(), run_id())])];
    undo.probe = Some(probe(describe(name), &deleting(), "`{}`", []));
    let undone =
        node(format!("{id}.undone"), Some(component), Phase::Undo, format!("wait until {name} is gone"), gone(name));
    let absent = when("it is gone already", describe(name), &format!("{count} == `0`"), []);
    chain.first(forward, vec![(Some(absent), Vec::new()), (None, vec![undo, undone])]);
    let summary = format!("wait until capacity provider {name} is there");
    chain.step(node(format!("{component}.provider.ready"), Some(component), Phase::Deploy, summary, settled(name)));
}

/// Whether a provider is gone, or on its way.
fn deleting() -> String {
    "length(capacityProviders[?status!='INACTIVE' && updateStatus!='DELETE_IN_PROGRESS']) == `0`".to_owned()
}

/// Changes the settings of a provider in place, if they differ: whether they do.
pub fn update(context: Context<'_>, provider: &Provider, running: &Value, chain: &mut Chain<'_>) -> bool {
    let (from, to) = (providers::settings_of(running), provider.settings.clone());
    if from == to {
        return false;
    }
    let Provider { component, name, place, .. } = provider;
    let set =
        |settings: &Value| ecs("UpdateCapacityProvider", json!({"name": name, "autoScalingGroupProvider": settings}));
    let id = format!("{component}.provider.update");
    let change = Change {
        id: id.clone(),
        component: Some(component),
        summary: format!("change the settings of capacity provider {name}"),
        why: whys(context, place, &from, &to),
        forward: set(&to),
        back_summary: format!("give capacity provider {name} its settings back"),
        back: set(&from),
        read: describe(name),
        answer: Some("{capacityProvider: capacityProviders[0]}".to_owned()),
        find: None,
        found: "capacityProviders[0].autoScalingGroupProvider".to_owned(),
        from,
        to,
    };
    let (forward, mut cases) = change.nodes(None);
    if let Some((_, way)) = cases.last_mut() {
        let summary = format!("wait until {name} has them");
        way.push(node(format!("{id}.undone"), Some(component), Phase::Undo, summary, settled(name)));
    }
    chain.first(forward, cases);
    let summary = format!("wait until capacity provider {name} has them");
    chain.step(node(format!("{component}.provider.updated"), Some(component), Phase::Deploy, summary, settled(name)));
    true
}

/// A reason for each setting that differs, at the key that says it.
fn whys(context: Context<'_>, place: &Place, from: &Value, to: &Value) -> Vec<Why> {
    let keys = [
        ("/managedScaling/status", "managed_scaling"),
        ("/managedScaling/targetCapacity", "target_capacity"),
        ("/managedScaling/minimumScalingStepSize", "minimum_step"),
        ("/managedScaling/maximumScalingStepSize", "maximum_step"),
        ("/managedScaling/instanceWarmupPeriod", "warmup"),
        ("/managedDraining", "managed_draining"),
        ("/managedTerminationProtection", "termination_protection"),
    ];
    let at = |value: &Value, pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    let changed = keys.into_iter().filter(|(pointer, _)| from.pointer(pointer) != to.pointer(pointer));
    changed.map(|(pointer, key)| diff::why(context, &place.child(key), at(from, pointer), at(to, pointer))).collect()
}

fn finally(node: &mut Node) {
    node.irreversible = Some("it runs after the commit point, when the new state is in place".to_owned());
}

/// Takes providers away that nobody wants any more: out of their clusters, then altogether. Gives the node after which each
/// is gone, by its name.
pub fn remove(
    context: Context<'_>,
    all: &[Surplus<'_>],
    rosters: &mut Rosters,
    part: &mut Part,
) -> BTreeMap<String, String> {
    let Some(facts) = context.facts else { return BTreeMap::new() };
    let mut leaving: BTreeMap<&str, Vec<&Surplus<'_>>> = BTreeMap::new();
    for one in all {
        if let Some(cluster) = one.cluster
            && providers::providers_of(facts, cluster).contains(&one.name)
        {
            leaving.entry(cluster).or_default().push(one);
        }
    }
    for (cluster, leaving) in &leaving {
        detach(context, cluster, leaving, rosters.of(facts, cluster), &mut part.draft);
    }
    let mut gone_at = BTreeMap::new();
    for one in all {
        let after =
            one.cluster.filter(|cluster| leaving.get(cluster).is_some_and(|l| l.iter().any(|s| s.name == one.name)));
        let after = after.map_or_else(|| COMMIT.to_owned(), |cluster| format!("{}ed", detach_id(cluster)));
        gone_at.insert(one.name.to_owned(), delete(context, one, &after, &mut part.draft));
    }
    gone_at
}

fn why_gone(context: Context<'_>, one: &Surplus<'_>) -> Why {
    if context.options.mode == Mode::Teardown || !context.loaded.model.components.contains_key(one.component) {
        return removal_reason(context.loaded, context.options.mode, one.component, one.name);
    }
    let path = ["components", one.component, "container_instances", "capacity_provider"];
    diff::why(context, &crate::asg::settings::place(&path), json!(one.name), Value::Null)
}

fn detach(context: Context<'_>, cluster: &str, leaving: &[&Surplus<'_>], roster: &mut Roster, draft: &mut Draft) {
    let id = detach_id(cluster);
    let before = roster.state();
    for one in leaving {
        roster.providers.remove(one.name);
    }
    let names: Vec<&str> = leaving.iter().map(|one| one.name).collect();
    let components: BTreeSet<&str> = leaving.iter().map(|one| one.component).collect();
    let component = components.first().copied().filter(|_| components.len() == 1);
    let change = Change {
        id: id.clone(),
        component,
        summary: format!("take {} out of the capacity providers of cluster {cluster}", names.join(" and ")),
        why: leaving.iter().map(|one| why_gone(context, one)).collect(),
        forward: roster.put(cluster),
        back_summary: String::new(),
        back: roster.put(cluster),
        read: describe_cluster(cluster),
        answer: Some("{cluster: clusters[0]}".to_owned()),
        find: None,
        found: ROSTER.to_owned(),
        from: before,
        to: roster.state(),
    };
    // What would be refused after the commit point is refused before the first change, unless the plan itself changes it.
    let (mut forward, _) = change.nodes(Some(COMMIT));
    if roster.last.is_none() {
        let at_start =
            forward.guards.iter().map(|guard| Guard { at: Some(Moment::Start), after: None, ..guard.clone() });
        let at_start: Vec<Guard> = at_start.collect();
        forward.guards.extend(at_start);
    }
    forward.phase = Phase::Finalize;
    finally(&mut forward);
    draft.add(forward);
    draft.after(COMMIT, &id);
    let done = format!("{id}ed");
    let summary = format!("wait until cluster {cluster} is without {}", names.join(" and "));
    draft.add(node(done.clone(), component, Phase::Finalize, summary, attached(cluster, &[], &names)));
    draft.after(&id, &done);
}

fn delete(context: Context<'_>, one: &Surplus<'_>, after: &str, draft: &mut Draft) -> String {
    let Surplus { component, name, .. } = one;
    let id = format!("{component}.provider.{name}.delete");
    let call = ecs("DeleteCapacityProvider", json!({"capacityProvider": name}));
    let summary = format!("delete capacity provider {name}");
    let mut forward = node(id.clone(), Some(component), Phase::Finalize, summary, Action::Call { call, expect: None });
    forward.why = vec![why_gone(context, one)];
    let project = format!("capacityProviders[0].tags[?key=='{}'].value | [0]", context.tag("project"));
    forward.guards = vec![guard_after(after, describe(name), [(project.as_str(), json!(context.options.project))])];
    forward.probe = Some(probe(describe(name), &deleting(), "`{}`", []));
    finally(&mut forward);
    draft.add(forward);
    draft.after(after, &id);
    let done = format!("{component}.provider.{name}.gone");
    draft.add(node(done.clone(), Some(component), Phase::Finalize, format!("wait until {name} is gone"), gone(name)));
    draft.after(&id, &done);
    done
}

/// What takes a provider's cluster out of reach of its services waits until they have left: `left` is the node after which
/// one of them is gone.
pub fn after_service(cluster: &str, left: &str, draft: &mut Draft) {
    let id = detach_id(cluster);
    let there = |id: &str| draft.nodes.iter().any(|node| node.id == id);
    if there(&id) && there(left) {
        draft.after(left, &id);
    }
}

/// Providers that the cluster's own default strategy names cannot leave it.
pub fn is_default(facts: &Facts<'_>, one: &Surplus<'_>) -> bool {
    let Some(cluster) = one.cluster.and_then(|name| facts.shared.cluster(name)) else { return false };
    provider_names(items(cluster, "defaultCapacityProviderStrategy")).any(|name| name == one.name)
}

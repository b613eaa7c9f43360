//! Sizes: growing and shrinking a group that runs, undoably.
//!
//! Invariants: an undo restores exactly the sizes that it found and only while the group still has the ones that were
//! given to it; when a group that grew shrinks again, what was in service before stays, because Auto Scaling would choose
//! whom to terminate without asking load balancers; where instances could not be made again exactly, they are detached and stay, until they are terminated or
//! handed over after the commit point.

use std::collections::BTreeMap;

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Each, Guard, Node, Obligation, Phase, Probe, Why};
use serde_json::{Value, json};

use crate::asg::Context;
use crate::asg::slots::{Slot, tag_path, tag_value};
use crate::ecs::json::{flag, items, text};
use crate::lower::draft::{guard_after, guard_at_start, node, probe};

use super::calls::{Count, NOTHING, Target, asg, describe_group};
use super::chain::Chain;
use super::drain::{self, Drained};
use super::group::update;
use super::waits::Watch;

/// Instances that one call takes (DetachInstances and AttachInstances, API reference).
const DETACH: u32 = 20;
/// Instances that one call protects or looks at (SetInstanceProtection and DescribeAutoScalingInstances, API reference).
const PROTECT: u32 = 50;
/// Instances of a group at most, as far as a plan is concerned.
pub const MOST: u32 = 10_000;

/// A group whose sizes change.
#[derive(Clone, Copy)]
pub struct Resized<'a> {
    /// Context.
    pub context: Context<'a>,
    /// The component.
    pub component: &'a str,
    /// The slot.
    pub slot: &'a Slot<'a>,
    /// How it is waited for.
    pub watch: Watch<'a>,
}

impl Resized<'_> {
    /// The id of a node about the slot.
    pub fn id(&self, what: &str) -> String {
        format!("{}.group.{}.{what}", self.component, self.slot.label)
    }

    /// What a plan relies on about a group that runs: whose it is, and what it would have to be given back. `live`: the
    /// desired capacity may move.
    pub fn guard_at_start(&self, live: bool) -> Guard {
        let group = self.slot.group;
        let key = match self.context.settings.pre_created {
            true => "skopos:comp_name".to_owned(),
            false => self.context.tag("project"),
        };
        let mut guard = guard_at_start(
            describe_group(self.slot.name),
            [
                ("AutoScalingGroups[0].MinSize", json!(self.slot.size("MinSize"))),
                ("AutoScalingGroups[0].MaxSize", json!(self.slot.size("MaxSize"))),
                (tag_path(&key).as_str(), tag_value(group, &key)),
            ],
        );
        if !live {
            guard.holds.insert("AutoScalingGroups[0].DesiredCapacity".to_owned(), json!(self.slot.desired()));
        }
        let specification = self.slot.specification();
        if group.get("MixedInstancesPolicy").is_some_and(|m| !m.is_null()) {
            let path = "AutoScalingGroups[0].MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version";
            guard
                .holds
                .insert(path.to_owned(), specification.and_then(|s| s.get("Version")).cloned().unwrap_or_default());
        } else if let Some(specification) = specification {
            let version = specification.get("Version").cloned().unwrap_or_default();
            guard.holds.insert("AutoScalingGroups[0].LaunchTemplate.Version".to_owned(), version);
        } else if let Some(name) = text(group, "LaunchConfigurationName") {
            guard.holds.insert("AutoScalingGroups[0].LaunchConfigurationName".to_owned(), json!(name));
        }
        guard
    }

    fn guard_sizes(&self, after: &str, sizes: &Target) -> Guard {
        let read = describe_group(self.slot.name);
        match &sizes.desired {
            Some(count) => guard_after(after, read, [("AutoScalingGroups[0].DesiredCapacity", count.value())]),
            None => guard_after(
                after,
                read,
                [
                    ("AutoScalingGroups[0].MinSize", sizes.min.value()),
                    ("AutoScalingGroups[0].MaxSize", sizes.max.value()),
                ],
            ),
        }
    }

    fn probe_sizes(&self, sizes: &Target) -> Probe {
        let mut bind = BTreeMap::new();
        let mut parts = Vec::new();
        let mut add = |member: &str, count: &Count| {
            let mut own = BTreeMap::new();
            let mut value = count.in_expression(&mut own);
            if let Some(late) = own.remove("count") {
                value = format!("${member}");
                bind.insert(member.to_owned(), late);
            }
            parts.push(format!("AutoScalingGroups[0].{member} == {value}"));
        };
        add("MinSize", &sizes.min);
        add("MaxSize", &sizes.max);
        if let Some(desired) = &sizes.desired {
            add("DesiredCapacity", desired);
        }
        let mut told = probe(describe_group(self.slot.name), &parts.join(" && "), NOTHING, []);
        told.bind = bind;
        told
    }

    /// An UpdateAutoScalingGroup and its compensation, which is waited for where instances come back.
    pub fn resize(&self, step: Step<'_>, chain: &mut Chain<'_>) {
        let Step { what, summary, from, to, why, after, grows } = step;
        let id = self.id(what);
        let name = self.slot.name;
        let component = Some(self.component);
        let call = update(name, to.members());
        let mut forward = node(id.clone(), component, Phase::Deploy, summary, Action::Call { call, expect: None });
        forward.why = why;
        forward.guards = vec![match after {
            None => self.guard_at_start(from.desired.as_ref().is_none_or(|d| !matches!(d, Count::Fixed(_)))),
            Some(after) => self.guard_sizes(after, from),
        }];
        forward.probe = Some(self.probe_sizes(to));
        let count = from.desired.as_ref();
        let comes = grows.is_some() && to.desired != from.desired;
        if let (Some(Grows::Leaves), true) = (grows, comes) {
            forward.summary.push_str("; on the way back it goes as a whole");
            return chain.first(forward, vec![(None, Vec::new())]);
        }
        let mut back = Vec::new();
        let kept = match (comes, count) {
            (true, Some(count)) if !count.is_zero() => Some(self.see(&id, chain)),
            _ => None,
        };
        if comes && self.protects() {
            back.extend(self.bare(&id));
        }
        if let Some(kept) = &kept {
            back.extend(self.keep(&id, kept));
        }
        if let (true, Some(cluster)) = (comes, self.watch.cluster) {
            let which = "[?LifecycleState=='InService' && !ProtectedFromScaleIn]";
            back.extend(drain::leave(self.component, name, cluster, &format!("{id}.undo"), which));
        }
        let mut undo = node(
            format!("{id}.undo"),
            component,
            Phase::Undo,
            match count {
                Some(count) => format!("give Auto Scaling group {name} {} again", count.words()),
                None => format!("give Auto Scaling group {name} its old limits again"),
            },
            Action::Call { call: update(name, from.members()), expect: None },
        );
        undo.guards = vec![self.guard_sizes(&id, to)];
        undo.probe = Some(self.probe_sizes(from));
        back.push(undo);
        if let Some(count) = count
            && grows.is_none()
            && !count.is_zero()
        {
            back.push(node(
                format!("{id}.undone"),
                component,
                Phase::Undo,
                format!("wait until {name} has {} healthy again", count.all()),
                self.watch.restored(count),
            ));
        }
        if let (Some(count), true) = (count, comes) {
            // The old state is back when what came has gone.
            let left = if count.is_zero() { "no instances".to_owned() } else { count.words() };
            let summary = format!("wait until {name} has {left} again");
            back.push(node(format!("{id}.undone"), component, Phase::Undo, summary, self.watch.drained(count)));
        }
        if let Some(kept) = &kept {
            back.push(self.release(&id, kept));
        }
        chain.first(forward, vec![(None, back)]);
    }

    /// Whether instances of the group are protected from scale-in when they are launched.
    fn protects(&self) -> bool {
        flag(self.slot.group, "NewInstancesProtectedFromScaleIn") == Some(true)
    }

    /// Reads which instances there are before a step.
    fn see(&self, id: &str, chain: &mut Chain<'_>) -> String {
        let members = format!("{id}.members");
        let action = Action::Read { read: describe_group(self.slot.name), expect: None };
        let summary = format!("see which instances {} has", self.slot.name);
        chain.step(node(members.clone(), Some(self.component), Phase::Deploy, summary, action));
        members
    }

    fn back(&self, id: String, summary: String, action: Action) -> Node {
        node(id, Some(self.component), Phase::Undo, summary, action)
    }

    /// SetInstanceProtection for a list of instances.
    fn set_protection(&self, id: String, summary: String, over: Value, protected: bool) -> Node {
        let instances = json!({"$output": "@each", "path": "@"});
        let input = json!({"AutoScalingGroupName": self.slot.name, "InstanceIds": instances, "ProtectedFromScaleIn": protected});
        let mut set = self.back(id, summary, Action::Call { call: asg("SetInstanceProtection", input), expect: None });
        set.each = Some(Each { over, chunk: PROTECT, max: MOST });
        set.unguarded = Some("which instances a shrinking group spares takes nothing from anybody".to_owned());
        let other = if protected { "!ProtectedFromScaleIn" } else { "ProtectedFromScaleIn" };
        set.probe = Some(probe(
            asg("DescribeAutoScalingInstances", json!({"InstanceIds": instances})),
            &format!("length(AutoScalingInstances[?{other}]) == `0`"),
            NOTHING,
            [],
        ));
        set
    }

    /// In a group that protects all of its instances nothing would leave.
    fn bare(&self, id: &str) -> [Node; 2] {
        let (name, members) = (self.slot.name, format!("{id}.undo.members"));
        let action = Action::Read { read: describe_group(name), expect: None };
        let read = self.back(members.clone(), format!("see which instances {name} has"), action);
        let over = output(&members, "AutoScalingGroups[0].Instances[?ProtectedFromScaleIn].InstanceId");
        let summary = format!("let instances of {name} go");
        [read, self.set_protection(format!("{id}.undo.bare"), summary, over, false)]
    }

    /// Protects those that were in service before a step and still are.
    fn keep(&self, id: &str, members: &str) -> [Node; 2] {
        let (name, still) = (self.slot.name, format!("{id}.undo.still"));
        let instances = json!({"$output": "@each", "path": "@"});
        let read = asg("DescribeAutoScalingInstances", json!({"InstanceIds": instances}));
        let summary = format!("see which instances {name} still has of those before");
        let mut look = self.back(still.clone(), summary, Action::Read { read, expect: None });
        let path = "AutoScalingGroups[0].Instances[?LifecycleState=='InService'].InstanceId";
        look.each = Some(Each { over: output(members, path), chunk: PROTECT, max: MOST });
        let over = output(
            &still,
            &format!(
                "[].answer.AutoScalingInstances[] | [?AutoScalingGroupName=='{name}' && LifecycleState=='InService' && !ProtectedFromScaleIn].InstanceId"
            ),
        );
        let summary = format!("protect them: {name} gives up what came since");
        [look, self.set_protection(format!("{id}.undo.keep"), summary, over, true)]
    }

    /// Gives them back the protection that they had.
    fn release(&self, id: &str, members: &str) -> Node {
        let over = match self.protects() {
            true => output(
                members,
                "AutoScalingGroups[0].Instances[?LifecycleState=='InService' && !ProtectedFromScaleIn].InstanceId",
            ),
            false => output(&format!("{id}.undo.keep"), "[].items[]"),
        };
        let summary = format!("protect them as before in {}", self.slot.name);
        self.set_protection(format!("{id}.undo.release"), summary, over, false)
    }

    /// Waits for instances that a step adds.
    pub fn joined(&self, suffix: &str, count: &Count, chain: &mut Chain<'_>) {
        joined(self.component, &self.slot.label, self.slot.name, &self.watch, suffix, count, chain);
    }

    /// Waits until those that a step takes away are gone.
    pub fn drained(&self, suffix: &str, count: &Count, chain: &mut Chain<'_>) {
        let left = if count.is_zero() { "no instances".to_owned() } else { format!("{} at most", count.words()) };
        chain.step(node(
            self.id(&format!("drained{suffix}")),
            Some(self.component),
            Phase::Deploy,
            format!("wait until {} has {left}", self.slot.name),
            self.watch.drained(count),
        ));
    }

    /// Nobody but the plan changes the group while it is being replaced; `ends` is the node that deletes it.
    pub fn suspend(&self, ends: &str, live: bool, chain: &mut Chain<'_>) {
        let suspended = |process: &&str| {
            items(self.slot.group, "SuspendedProcesses").iter().any(|s| text(s, "ProcessName") == Some(process))
        };
        let processes: Vec<&str> =
            ["AZRebalance", "AlarmNotification", "ScheduledActions"].into_iter().filter(|p| !suspended(p)).collect();
        if processes.is_empty() {
            return;
        }
        let (id, name) = (self.id("suspend"), self.slot.name);
        let input = json!({"AutoScalingGroupName": name, "ScalingProcesses": processes});
        let call = asg("SuspendProcesses", input.clone());
        let summary =
            format!("suspend {} of {name}: nobody else changes it while it is replaced", processes.join(", "));
        let mut forward =
            node(id.clone(), Some(self.component), Phase::Deploy, summary, Action::Call { call, expect: None });
        forward.guards = vec![self.guard_at_start(live)];
        let wanted = |is: &str| {
            let each = processes
                .iter()
                .map(|p| format!("length(AutoScalingGroups[0].SuspendedProcesses[?ProcessName=='{p}']) {is}"));
            each.collect::<Vec<_>>().join(" && ")
        };
        forward.probe = Some(probe(describe_group(name), &wanted("== `1`"), NOTHING, []));
        let back = format!("{id}.undo");
        forward.obligation = Some(Obligation {
            what: format!("{} of {name} are suspended", processes.join(", ")),
            forward: ends.to_owned(),
            back: back.clone(),
        });
        let call = asg("ResumeProcesses", input);
        let summary = format!("resume {} of {name}", processes.join(", "));
        let mut undo = node(back, Some(self.component), Phase::Undo, summary, Action::Call { call, expect: None });
        undo.unguarded = Some(
            "to resume a process that runs changes nothing, and only those are resumed that this run suspended"
                .to_owned(),
        );
        undo.probe = Some(probe(describe_group(name), &wanted("== `0`"), NOTHING, []));
        chain.first(forward, vec![(None, vec![undo])]);
    }

    /// Reads how many instances there are, for sizes that are shares of it.
    pub fn count_live(&self, chain: &mut Chain<'_>) -> String {
        let id = self.id("count");
        let action = Action::Read {
            read: describe_group(self.slot.name),
            expect: Some("length(AutoScalingGroups) == `1`".to_owned()),
        };
        let summary = format!("see how many instances {} has", self.slot.name);
        chain.step(node(id.clone(), Some(self.component), Phase::Deploy, summary, action));
        id
    }

    /// The node that sees which instances there are, right before some of them are detached.
    pub fn members(&self, suffix: &str) -> String {
        self.id(&format!("members{suffix}"))
    }

    /// Detaches instances: `take` of those that are in service, or that share `[k, n]` of them.
    pub fn detach(&self, step: &Detach<'_>, chain: &mut Chain<'_>) -> String {
        let Detach { suffix, take, from, after, why } = step;
        let name = self.slot.name;
        let component = Some(self.component);
        let list = self.members(suffix);
        let read =
            Action::Read { read: describe_group(name), expect: Some("length(AutoScalingGroups) == `1`".to_owned()) };
        chain.step(node(list.clone(), component, Phase::Deploy, format!("see which instances {name} has"), read));
        let in_service = "AutoScalingGroups[0].Instances[?LifecycleState=='InService'].InstanceId";
        let over = match take {
            Take::First(count) => output(&list, &format!("{in_service} | [:{count}]")),
            Take::Share(k, n) => json!({"$output": list, "path": in_service, "share": [k, n], "round": "down"}),
        };
        if let Some(cluster) = self.watch.cluster {
            let named = |what: &str| self.id(&format!("{what}{suffix}"));
            let drained =
                Drained { component: self.component, group: name, cluster, id: &named, instances: over.clone() };
            drained.forward(chain);
        }
        let id = self.id(&format!("detach{suffix}"));
        let instances = json!({"$output": "@each", "path": "@"});
        let call = asg(
            "DetachInstances",
            json!({"AutoScalingGroupName": name, "InstanceIds": instances, "ShouldDecrementDesiredCapacity": true}),
        );
        let what = match take {
            Take::First(count) => crate::asg::slots::instances(*count),
            Take::Share(k, n) if k == n => "all instances".to_owned(),
            Take::Share(k, n) => format!("{k}/{n} of the instances"),
        };
        let they = if matches!(take, Take::First(1)) { "it stays" } else { "they stay" };
        let summary = format!("detach {what} from {name}: {they} until the new state is in place");
        let mut forward = node(id.clone(), component, Phase::Deploy, summary, Action::Call { call, expect: None });
        forward.each = Some(Each { over: over.clone(), chunk: DETACH, max: MOST });
        forward.why.clone_from(why);
        let from_sizes = Target { min: Count::Fixed(0), max: Count::Fixed(0), desired: Some((*from).clone()) };
        forward.guards = vec![self.guard_sizes(after, &from_sizes)];
        let members = || asg("DescribeAutoScalingInstances", json!({"InstanceIds": instances}));
        forward.probe = Some(probe(
            members(),
            "length(AutoScalingInstances[?LifecycleState!='Detaching' && LifecycleState!='Detached']) == `0`",
            NOTHING,
            [],
        ));
        let settled = node(
            format!("{id}.undo.settled"),
            component,
            Phase::Undo,
            format!("wait until {name} has let go of them"),
            self.watch.let_go(),
        );
        let call = asg("AttachInstances", json!({"AutoScalingGroupName": name, "InstanceIds": instances}));
        let summary = format!("attach them to {name} again");
        let mut attach =
            node(format!("{id}.undo"), component, Phase::Undo, summary, Action::Call { call, expect: None });
        attach.each = Some(Each { over: output(&id, "[].items[]"), chunk: DETACH, max: MOST });
        attach.unguarded = Some(
            "these very instances were detached by this run, and AWS attaches none that another group has".to_owned(),
        );
        attach.probe = Some(probe(
            members(),
            &format!(
                "length(AutoScalingInstances[?AutoScalingGroupName=='{name}' && LifecycleState!='Detaching']) == length($ids)"
            ),
            NOTHING,
            [("ids", instances.clone())],
        ));
        let healthy = node(
            format!("{id}.undone"),
            component,
            Phase::Undo,
            format!("wait until {name} has {} healthy again", from.all()),
            self.watch.restored(from),
        );
        chain.first(forward, vec![(None, vec![settled, attach, healthy])]);
        id
    }

    /// Lets the group become smaller than its minimum, so that instances can be detached.
    pub fn loosen(&self, live: bool, why: Vec<Why>, chain: &mut Chain<'_>) {
        let sizes = |min: u64| Target {
            min: Count::Fixed(min),
            max: Count::Fixed(self.slot.size("MaxSize")),
            desired: (!live).then(|| Count::Fixed(self.slot.desired())),
        };
        let (from, to) = (sizes(self.slot.size("MinSize")), sizes(0));
        let summary =
            format!("let {} become smaller than its minimum of {}", self.slot.name, self.slot.size("MinSize"));
        self.resize(
            Step { what: "loosen", summary, from: &from, to: &to, why, after: None, grows: Some(Grows::Stays) },
            chain,
        );
    }
}

/// Which instances are detached.
#[derive(Debug, Clone, Copy)]
pub enum Take {
    /// So many.
    First(u64),
    /// ⌊k/n⌋ of all: ⌈(n − k)/n⌉ of them stay.
    Share(u64, u64),
}

/// One batch of instances to detach.
pub struct Detach<'a> {
    /// What tells its nodes from those of other batches: `.2`, or nothing.
    pub suffix: &'a str,
    /// Which ones.
    pub take: Take,
    /// How many there are before.
    pub from: &'a Count,
    /// The node after which `from` is checked.
    pub after: &'a str,
    /// Why.
    pub why: Vec<Why>,
}

/// One change of a group's sizes.
pub struct Step<'a> {
    /// The end of the node's id.
    pub what: &'a str,
    /// What it does.
    pub summary: String,
    /// The sizes that it finds.
    pub from: &'a Target,
    /// The sizes that it gives.
    pub to: &'a Target,
    /// Why.
    pub why: Vec<Why>,
    /// The node after which `from` is checked; nothing: at the start of the run.
    pub after: Option<&'a str>,
    /// Whether the group grows, so that on the way back nothing has to come; and what becomes of it then.
    pub grows: Option<Grows>,
}

/// What becomes of a group that grew, on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grows {
    /// It shrinks again.
    Stays,
    /// It is taken away as a whole, once everything else is back.
    Leaves,
}

/// Waits until so many instances of a group run and are healthy wherever they are registered.
pub fn joined(
    component: &str,
    label: &str,
    name: &str,
    watch: &Watch<'_>,
    suffix: &str,
    count: &Count,
    chain: &mut Chain<'_>,
) {
    if count.is_zero() {
        return;
    }
    let make = |what: &str, summary: String, action: Action| -> Node {
        node(format!("{component}.group.{label}.{what}{suffix}"), Some(component), Phase::Deploy, summary, action)
    };
    let words = count.words();
    chain.step(make("running", format!("wait until {words} of {name} {} running", are(count)), watch.running(count)));
    let behind: Vec<&str> = watch.balancers.iter().map(crate::asg::desired::Balancer::name).collect();
    let summary = match behind.as_slice() {
        [] => format!("wait until {words} of {name} {} in service", are(count)),
        names => {
            format!("wait until {words} of {name} {} in service and healthy in {}", are(count), names.join(" and "))
        }
    };
    chain.step(make("healthy", summary, watch.healthy(count)));
    if let Some(cluster) = watch.cluster {
        let summary = format!(
            "wait until {words} of {name} {} in cluster {} and {} tasks",
            are(count),
            cluster.name,
            take(count)
        );
        chain.step(make("joined", summary, drain::joined(name, cluster, count, watch.limits.join)));
    }
}

fn take(count: &Count) -> &'static str {
    if *count == Count::Fixed(1) { "takes" } else { "take" }
}

fn are(count: &Count) -> &'static str {
    if *count == Count::Fixed(1) { "is" } else { "are" }
}

//! Lowering: from what differs to calls, guards, waits, probes and undos. The order between components is made where it
//! is made for all plugins, in [`crate::lower`].

mod back;
mod calls;
pub(crate) mod change;
mod component;
mod containers;
mod create;
mod event_rules;
mod listener_rules;
mod listeners;
pub mod log_groups;
mod once;
mod preflight;
mod records;
mod register;
mod registries;
mod remove;
mod scaling;
pub mod schedule;
mod steps;
mod tags;
mod target_groups;
pub mod timing;
mod update;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::model::OnceWhen;
use belay_schemas::plan::{Change, ComponentSummary, EdgeKind, Node, Phase};
use serde_json::Value;

use crate::diagnostics::Report;
use crate::lower::draft::Draft;
use crate::lower::{Lowered, Part, removal_reason};

use super::Context;
use super::connect;
use super::desired::{Attachment, Balancer, Desired, Kind, OnceTask};
use super::diff::{self, Difference};
use super::groups::Groups;
use super::json::{items, number, text};
use super::made;
use super::namespaces;
use super::ownership::Orphan;
use super::records::Surplus as SurplusRecord;
use super::registries::Surplus;
use super::routing::{self, Routing};

pub use component::tasks;
pub use remove::gone as service_gone;
pub use tags::{Mark, key as tag_key, marks};

/// What has to happen to one component.
pub enum Work<'a> {
    /// It does not run yet.
    Create,
    /// It runs and differs, or is to be replaced.
    Update {
        /// The service that runs.
        service: &'a Value,
        /// What differs.
        difference: Difference,
        /// Whether all tasks are to be replaced even if nothing differs.
        replace: bool,
    },
    /// It runs as wanted.
    None,
    /// It is a task that runs once.
    Once,
    /// It is a task on a schedule.
    Schedule(schedule::Work<'a>),
}

/// What is to be taken away.
pub struct Goes<'a> {
    /// Services.
    pub orphans: &'a [Orphan<'a>],
    /// Components that left revisions behind although their services are gone.
    pub leftover_families: &'a [String],
    /// Schedules.
    pub schedules: &'a [schedule::Leftover<'a>],
    /// Cloud Map services.
    pub registries: &'a [Surplus<'a>],
    /// Records of Route 53.
    pub records: &'a [SurplusRecord<'a>],
}

/// A lowering in progress. Components are handed over one by one: what is known of one moves into the plan before the
/// next is looked at, so that a large model is never in memory twice.
pub struct Lowerer<'a> {
    context: Context<'a>,
    part: Part,
    raises: Vec<timing::Raise>,
    attachments: Vec<(String, Attachment)>,
    log_groups: log_groups::Groups,
    /// Cloud Map namespaces by ARN, with the nodes that need them first.
    namespaces: BTreeMap<String, Vec<String>>,
    /// Components of which nothing changes but the record by which they are found.
    records_only: BTreeSet<String>,
    /// Tasks that run once, by component: whether they do may depend on the others.
    once: Vec<Desired>,
}

impl<'a> Lowerer<'a> {
    /// Nothing lowered yet.
    pub fn new(context: Context<'a>) -> Self {
        Self {
            context,
            part: Part::default(),
            raises: Vec::new(),
            attachments: Vec::new(),
            log_groups: log_groups::Groups::default(),
            namespaces: BTreeMap::new(),
            records_only: BTreeSet::new(),
            once: Vec::new(),
        }
    }

    /// Lowers the work on a component of the model.
    pub fn component(&mut self, desired: Desired, work: &Work<'_>, report: &mut Report) {
        let component = desired.component.clone();
        let service = desired.service_name.clone();
        let attachments = desired.attachments.clone();
        let registry = desired.registry.clone();
        let record = desired.record.clone();
        let namespace = desired.service.get(connect::MEMBER).and_then(|c| text(c, "namespace"));
        let namespace = namespace.and_then(|named| namespaces::arn_of(self.context, Some(named)).map(str::to_owned));
        let wanted = desired.scaling.clone();
        self.log_groups.add(&component, &desired.log_groups, report);
        if matches!(work, Work::Once) {
            self.once.push(desired);
            return;
        }
        let (mut change, floor, mut result) = self.work(desired, work);
        let subject = scaling::Subject { context: self.context, component: &component, service: &service };
        let scaled = scaling::lower(subject, wanted.as_ref(), &mut self.part.draft);
        // The number of tasks follows the load once the service runs, and does not any more before it goes back.
        if let (Some((first, back)), Some(lowered)) = (scaled.first(), &result) {
            self.part.draft.after(&lowered.ready, first);
            self.part.draft.back_before(back, &lowered.back);
        }
        let registry = registry.as_ref();
        let registered = registry.and_then(|registry| registries::lower(self.context, registry, &mut self.part.draft));
        if let (Some((id, back)), Some(lowered)) = (&registered, &result) {
            self.part.draft.after(id, &lowered.starts);
            self.part.draft.back_before(&lowered.back, back);
        }
        if (!scaled.is_empty() || registered.is_some()) && result.is_none() {
            change = Change::Update;
        }
        let behind = result.as_ref().map(|lowered| lowered.ready.as_str());
        let known = record.and_then(|record| records::lower(self.context, &record, behind, &mut self.part.draft));
        match (known, &mut result) {
            (Some(known), Some(lowered)) => known.follow(lowered, &mut self.part.draft),
            (Some(known), None) => {
                change = Change::Update;
                self.records_only.insert(component.clone());
                result = Some(known.alone());
            }
            (None, _) => {}
        }
        if let (Some((id, _)), Some(registry)) = (registered, registry) {
            self.namespaces.entry(registry.namespace.arn.clone()).or_default().push(id);
        }
        self.part.components.insert(component.clone(), ComponentSummary { change, floor });
        if let Some(result) = result {
            self.attachments.extend(attachments.into_iter().map(|a| (component.clone(), a)));
            if let Some(namespace) = namespace {
                self.namespaces.entry(namespace).or_default().extend(result.entries.iter().cloned());
            }
            self.part.lowered.insert(component, result);
        }
    }

    /// Lowers what is to be taken away, and what is read before anything changes.
    pub fn finish(
        mut self,
        goes: &Goes<'_>,
        (groups, routing): (&Groups<'_>, &Routing<'_>),
        report: &mut Report,
    ) -> Part {
        let context = self.context;
        timing::warn(&self.raises, report);
        self.run_once();
        for made in std::mem::take(&mut self.log_groups).lower(context, &mut self.part.draft) {
            for lowered in made.components.iter().filter_map(|c| self.part.lowered.get(c)) {
                self.part.draft.after(&made.id, &lowered.starts);
                self.part.draft.back_before(&lowered.back, &made.back);
            }
        }
        remove_orphans(context, goes.orphans, &mut self.part);
        if let Some(facts) = context.facts {
            for component in goes.leftover_families {
                if remove::tidy_all(context, facts, component, &mut self.part.draft) {
                    let tidied = ComponentSummary { change: Change::Tidy, floor: 0 };
                    self.part.components.insert(component.clone(), tidied);
                }
            }
        }
        for leftover in goes.schedules {
            schedule::remove(context, leftover, &mut self.part);
        }
        registries::remove(context, goes.registries, &mut self.part);
        records::remove(context, goes.records, &mut self.part);
        let made = target_groups::lower(context, groups, &mut self.part.draft);
        for group in &made {
            let behind = behind(&self.attachments, &group.arn);
            let Part { draft, lowered, .. } = &mut self.part;
            for lowered in behind.into_iter().filter_map(|component| lowered.get(component)) {
                draft.after(&group.id, &lowered.starts);
                draft.back_before(&lowered.back, &group.back);
            }
        }
        listener_rules::lower(context, routing, &made, &mut self.part);
        listeners::lower(context, &routing.leads, &made, &mut self.part);
        for surplus in &groups.surplus {
            // What leads to it, and services whose tasks ECS still takes out of it.
            let leads = |one: &&routing::Surplus<'_>| {
                let groups = context.facts.and_then(|facts| facts.led_to(one.rule.arn()));
                groups.is_some_and(|groups| groups.contains(&surplus.arn))
            };
            let behind = |orphan: &&Orphan<'_>| {
                let is = |one: &Value| text(one, "targetGroupArn") == Some(surplus.arn);
                items(orphan.service, "loadBalancers").iter().any(is)
            };
            let rules = routing.surplus.iter().filter(leads).map(|rule| listener_rules::deletion(rule.name));
            let services = goes.orphans.iter().filter(behind).map(|orphan| remove::gone(&orphan.component));
            let needed: Vec<String> = rules.chain(services).collect();
            target_groups::remove(context, surplus, &needed, &mut self.part.draft);
        }
        let part = &mut self.part;
        if !part.draft.nodes.is_empty() {
            let cluster = preflight::cluster(context, &mut part.draft);
            for entry in part.lowered.values().chain(part.gone.values()).flat_map(|l| &l.entries) {
                part.draft.after(&cluster, entry);
            }
            begin(&cluster, &mut part.draft);
            let used = self.attachments.iter().filter_map(|(name, a)| part.lowered.get(name).map(|l| (a, l)));
            preflight::balancers(used, routing, &mut part.draft);
            preflight::namespaces(context, &self.namespaces, &mut part.draft);
            part.preflight.push(cluster);
            made::settle(&mut part.draft.nodes);
        }
        self.part
    }

    fn work(&mut self, desired: Desired, work: &Work<'_>) -> (Change, u32, Option<Lowered>) {
        let Self { context, part: Part { draft, .. }, raises, .. } = self;
        let context = *context;
        let component = desired.component.clone();
        let wanted = desired.desired_count().unwrap_or_default();
        match work {
            Work::Create => {
                let (limits, raise) = timing::deployment(context, &desired, false);
                raises.extend(raise);
                let lowered = create::create(context, desired, limits, draft);
                if let Some(facts) = context.facts {
                    remove::tidy(context, facts, &component, true, draft);
                }
                (Change::Create, 0, Some(lowered))
            }
            Work::Update { service, difference, replace } => {
                let running = number(service, "desiredCount").unwrap_or_default();
                let floor = floor(wanted.min(running), desired.percents().0);
                let deploys = difference.deploys() || *replace;
                let (limits, raise) = timing::deployment(context, &desired, deploys || wanted < running);
                raises.extend(raise);
                let Some(facts) = context.facts else { return (Change::None, floor, None) };
                let before = draft.nodes.len();
                let lowered = update::update(
                    context,
                    facts,
                    &desired,
                    update::Task { service, difference, replace: *replace, limits },
                    draft,
                );
                let registers = draft.nodes[before..].iter().any(is_registration);
                remove::tidy(context, facts, &component, registers, draft);
                let scale_only = !deploys && difference.settings.is_empty() && difference.tags.is_empty();
                (if scale_only { Change::Scale } else { Change::Update }, floor, Some(lowered))
            }
            // Those wait for what becomes of the others.
            Work::Once => (Change::None, 0, None),
            Work::Schedule(work) => {
                let Kind::Scheduled(timetable) = &desired.kind else { return (Change::None, 0, None) };
                let registers = work.difference.as_ref().is_none_or(|d| !d.is_empty());
                let lowered = (!work.is_empty()).then(|| schedule::lower(context, &desired, timetable, work, draft));
                let tidied =
                    context.facts.is_some_and(|facts| remove::tidy(context, facts, &component, registers, draft));
                let change = match (&lowered, work.running) {
                    (Some(_), None) => Change::Create,
                    (Some(_), Some(_)) => Change::Update,
                    (None, _) if tidied => Change::Tidy,
                    (None, _) => Change::None,
                };
                (change, 0, lowered)
            }
            Work::None => {
                let tidied = context.facts.is_some_and(|facts| remove::tidy(context, facts, &component, false, draft));
                (if tidied { Change::Tidy } else { Change::None }, floor(wanted, desired.percents().0), None)
            }
        }
    }
}

impl Lowerer<'_> {
    /// Lowers the tasks that run once, as soon as it is known what else changes.
    fn run_once(&mut self) {
        let context = self.context;
        let mut open = std::mem::take(&mut self.once);
        let all: Vec<(String, Vec<String>, Vec<String>)> = open
            .iter()
            .filter_map(|d| Some((d.component.clone(), once_of(d)?.before.clone(), once_of(d)?.after.clone())))
            .collect();
        // One task may run because another one does.
        loop {
            let before = open.len();
            open.retain(|desired| !self.lower_once(desired));
            if open.len() == before {
                break;
            }
        }
        for desired in &open {
            let draft = &mut self.part.draft;
            let tidied =
                context.facts.is_some_and(|facts| remove::tidy(context, facts, &desired.component, false, draft));
            let change = if tidied { Change::Tidy } else { Change::None };
            self.part.components.insert(desired.component.clone(), ComponentSummary { change, floor: 0 });
        }
        for (name, before, after) in all {
            let Part { draft, lowered, .. } = &mut self.part;
            let Some(this) = lowered.get(&name) else { continue };
            for later in before.iter().filter_map(|other| lowered.get(other)) {
                draft.after(&this.ready, &later.starts);
                draft.back_before(&later.back, &this.back);
            }
            for earlier in after.iter().filter_map(|other| lowered.get(other)) {
                draft.after(&earlier.ready, &this.starts);
                draft.back_before(&this.back, &earlier.back);
            }
        }
    }

    /// Lowers one, if it runs.
    fn lower_once(&mut self, desired: &Desired) -> bool {
        let context = self.context;
        let Some(task) = once_of(desired) else { return false };
        let newest = context.facts.and_then(|facts| {
            let arn = *facts.family(&desired.family).first()?;
            remove::is_ours(context, facts, arn, &desired.component).then_some((facts, arn))
        });
        let difference = newest.map(|(facts, arn)| diff::definition(context, facts, desired, arn));
        let changed = difference.as_ref().is_none_or(|d| !d.is_empty());
        let deployed = task.when == OnceWhen::Deployed
            && task
                .before
                .iter()
                .chain(&task.after)
                .any(|other| self.part.lowered.contains_key(other) && !self.records_only.contains(other));
        if !changed && !deployed {
            return false;
        }
        let revision = newest.map(|(_, arn)| arn).filter(|_| !changed);
        let run = once::Run { desired, task, revision, difference: difference.as_ref() };
        let draft = &mut self.part.draft;
        let lowered = once::run(context, &run, draft);
        if let Some(facts) = context.facts {
            remove::tidy(context, facts, &desired.component, changed, draft);
        }
        let component = desired.component.clone();
        self.part.components.insert(component.clone(), ComponentSummary { change: Change::Run, floor: 0 });
        self.part.lowered.insert(component, lowered);
        true
    }
}

/// Components that a plan puts behind a target group.
fn behind<'a>(attachments: &'a [(String, Attachment)], arn: &str) -> BTreeSet<&'a str> {
    let uses = |a: &Attachment| {
        matches!(&a.balancer, Balancer::TargetGroup { arn: used } if used == arn)
            || a.switch.as_ref().is_some_and(|switch| switch.alternate == arn)
    };
    attachments.iter().filter(|(_, a)| uses(a)).map(|(name, _)| name.as_str()).collect()
}

fn once_of(desired: &Desired) -> Option<&OnceTask> {
    match &desired.kind {
        Kind::Once(task) => Some(task),
        _ => None,
    }
}

fn is_registration(node: &Node) -> bool {
    node.phase == Phase::Deploy && node.action.mutation().is_some_and(|c| c.operation == "RegisterTaskDefinition")
}

/// Healthy tasks that a rolling deployment keeps: ⌈count · minimumHealthyPercent / 100⌉.
fn floor(count: u64, minimum_percent: u64) -> u32 {
    u32::try_from((count * minimum_percent).div_ceil(100)).unwrap_or(u32::MAX)
}

/// What nothing else comes before comes after the first look.
fn begin(cluster: &str, draft: &mut Draft) {
    let later: BTreeSet<&str> =
        draft.edges.iter().filter(|e| e.kind == EdgeKind::After).map(|e| e.to.as_str()).collect();
    let first: Vec<String> = draft
        .nodes
        .iter()
        .filter(|n| n.phase == Phase::Deploy && !later.contains(n.id.as_str()))
        .map(|n| n.id.clone())
        .collect();
    for id in first {
        draft.after(cluster, &id);
    }
}

fn remove_orphans(context: Context<'_>, orphans: &[Orphan<'_>], part: &mut Part) {
    let Some(facts) = context.facts else { return };
    for orphan in orphans {
        let why = removal_reason(context.loaded, context.options.mode, &orphan.component, orphan.service_name);
        part.components.insert(orphan.component.clone(), ComponentSummary { change: Change::Remove, floor: 0 });
        if let Some(this) = remove::scale_down(context, orphan, &why, &mut part.draft) {
            part.gone.insert(orphan.component.clone(), this);
        }
        remove::delete(context, facts, orphan, &why, &mut part.draft);
    }
}

//! Lowering: from what differs to calls, guards, waits, probes and undos, and their order.
//!
//! Order: pre-flight reads, then each component as soon as those that it uses are ready, orphans before or after them,
//! the commit point, then what is deleted. Every edge of the way forward between two components has its mirror on the
//! way back.

mod back;
mod component;
mod create;
mod draft;
mod preflight;
mod register;
mod remove;
mod tags;
pub mod timing;
mod update;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::model::TeardownOrphans;
use belay_schemas::plan::{Action, Change, ComponentSummary, Edge, Node, Phase, Why};
use serde_json::{Value, json};

use crate::diagnostics::{Place, Report};

use super::Context;
use super::desired::{Attachment, Desired};
use super::diff::Difference;
use super::json::number;
use super::ownership::Orphan;

use component::Lowered;
pub use component::tasks;
use draft::{Draft, node};
pub use tags::key as tag_key;

/// Id of the commit point.
pub const COMMIT: &str = "commit";

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
}

/// A lowered plan, but for its header.
pub struct Lowering {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The edges.
    pub edges: Vec<Edge>,
    /// What happens to each component.
    pub components: BTreeMap<String, ComponentSummary>,
}

/// A lowering in progress. Components are handed over one by one: what is known of one moves into the plan before the
/// next is looked at, so that a large model is never in memory twice.
pub struct Lowerer<'a> {
    context: Context<'a>,
    draft: Draft,
    components: BTreeMap<String, ComponentSummary>,
    raises: Vec<timing::Raise>,
    lowered: BTreeMap<String, Lowered>,
    attachments: Vec<(String, Attachment)>,
}

impl<'a> Lowerer<'a> {
    /// Nothing lowered yet.
    pub fn new(context: Context<'a>) -> Self {
        Self {
            context,
            draft: Draft::default(),
            components: BTreeMap::new(),
            raises: Vec::new(),
            lowered: BTreeMap::new(),
            attachments: Vec::new(),
        }
    }

    /// Lowers the work on a component of the model.
    pub fn component(&mut self, desired: Desired, work: &Work<'_>) {
        let component = desired.component.clone();
        let attachments = desired.attachments.clone();
        let (change, floor, result) = self.work(desired, work);
        self.components.insert(component.clone(), ComponentSummary { change, floor });
        if let Some(result) = result {
            self.attachments.extend(attachments.into_iter().map(|a| (component.clone(), a)));
            self.lowered.insert(component, result);
        }
    }

    /// Lowers what is to be taken away, and puts everything in order.
    pub fn finish(mut self, orphans: &[Orphan<'_>], leftover_families: &[String], report: &mut Report) -> Lowering {
        let context = self.context;
        timing::warn(&self.raises, report);
        order_by_uses(context, &self.lowered, &mut self.draft);
        let gone = remove_orphans(context, orphans, &self.lowered, &mut self.components, &mut self.draft);
        if let Some(facts) = context.facts {
            for component in leftover_families {
                if remove::tidy_all(context, facts, component, &mut self.draft) {
                    self.components.insert(component.clone(), ComponentSummary { change: Change::Tidy, floor: 0 });
                }
            }
        }
        if !self.draft.nodes.is_empty() {
            let cluster = preflight::cluster(context, &mut self.draft);
            for entry in self.lowered.values().chain(gone.values()).flat_map(|l| &l.entries) {
                self.draft.after(&cluster, entry);
            }
            let used = self.attachments.iter().filter_map(|(name, a)| self.lowered.get(name).map(|l| (a, l)));
            preflight::balancers(used, &mut self.draft);
            commit(&cluster, &mut self.draft);
        }
        Lowering { nodes: self.draft.nodes, edges: self.draft.edges, components: self.components }
    }

    fn work(&mut self, desired: Desired, work: &Work<'_>) -> (Change, u32, Option<Lowered>) {
        let Self { context, draft, raises, .. } = self;
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
            Work::None => {
                let tidied = context.facts.is_some_and(|facts| remove::tidy(context, facts, &component, false, draft));
                (if tidied { Change::Tidy } else { Change::None }, floor(wanted, desired.percents().0), None)
            }
        }
    }
}

fn is_registration(node: &Node) -> bool {
    node.phase == Phase::Deploy && node.action.mutation().is_some_and(|c| c.operation == "RegisterTaskDefinition")
}

/// Healthy tasks that a rolling deployment keeps: ⌈count · minimumHealthyPercent / 100⌉.
fn floor(count: u64, minimum_percent: u64) -> u32 {
    u32::try_from((count * minimum_percent).div_ceil(100)).unwrap_or(u32::MAX)
}

/// A component starts when those that it uses are ready, and goes back before they do.
fn order_by_uses(context: Context<'_>, lowered: &BTreeMap<String, Lowered>, draft: &mut Draft) {
    for (name, this) in lowered {
        for used in nearest(context, name, &|other| lowered.contains_key(other)) {
            if let Some(used) = lowered.get(used) {
                draft.after(&used.ready, &this.starts);
                draft.back_before(&this.back, &used.back);
            }
        }
    }
}

/// The nearest components used, directly or through ones that do not change.
fn nearest<'m>(context: Context<'m>, name: &str, changes: &dyn Fn(&str) -> bool) -> BTreeSet<&'m str> {
    let components = &context.loaded.model.components;
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> =
        components.get(name).map(|c| c.uses.keys().map(String::as_str).collect()).unwrap_or_default();
    while let Some(used) = open.pop() {
        if !seen.insert(used) || used == name {
            continue;
        }
        if changes(used) {
            found.insert(used);
        } else if let Some(component) = components.get(used) {
            open.extend(component.uses.keys().map(String::as_str));
        }
    }
    found
}

fn remove_orphans<'a>(
    context: Context<'_>,
    orphans: &'a [Orphan<'_>],
    lowered: &BTreeMap<String, Lowered>,
    components: &mut BTreeMap<String, ComponentSummary>,
    draft: &mut Draft,
) -> BTreeMap<&'a str, Lowered> {
    let mut gone: BTreeMap<&str, Lowered> = BTreeMap::new();
    let Some(facts) = context.facts else { return gone };
    let when = context.loaded.model.lifecycle.as_ref().and_then(|l| l.teardown_orphans).unwrap_or_default();
    for orphan in orphans {
        let why = removal_reason(context, orphan);
        components.insert(orphan.component.clone(), ComponentSummary { change: Change::Remove, floor: 0 });
        if let Some(this) = remove::scale_down(context, orphan, &why, draft) {
            for other in lowered.values() {
                if when == TeardownOrphans::Before {
                    draft.after(&this.ready, &other.starts);
                    draft.back_before(&other.back, &this.back);
                } else {
                    draft.after(&other.ready, &this.starts);
                    draft.back_before(&this.back, &other.back);
                }
            }
            gone.insert(&orphan.component, this);
        }
        remove::delete(context, facts, orphan, &why, draft);
    }
    // Whoever uses another one stops before it.
    for (name, this) in &gone {
        for used in nearest(context, name, &|other| gone.contains_key(other)) {
            if let Some(used) = gone.get(used) {
                draft.after(&this.ready, &used.starts);
                draft.back_before(&used.back, &this.back);
            }
        }
    }
    gone
}

fn removal_reason(context: Context<'_>, orphan: &Orphan<'_>) -> Why {
    let path = format!("/components/{}", orphan.component);
    match context.options.mode {
        belay_schemas::plan::Mode::Teardown => {
            Why { path, at: Some("--mode teardown".to_owned()), from: json!(orphan.service_name), to: Value::Null }
        }
        belay_schemas::plan::Mode::Deploy => {
            let at = context.loaded.locate(&Place::model(["components"]).key()).map(|l| l.to_string());
            Why { path, at, from: json!(orphan.service_name), to: Value::Null }
        }
    }
}

/// The commit point: after everything that can be undone, before everything that cannot.
fn commit(cluster: &str, draft: &mut Draft) {
    let deploy: BTreeSet<&str> =
        draft.nodes.iter().filter(|n| n.phase == Phase::Deploy).map(|n| n.id.as_str()).collect();
    let inner: BTreeSet<&str> = draft
        .edges
        .iter()
        .filter(|e| deploy.contains(e.to.as_str()) && deploy.contains(e.from.as_str()))
        .map(|e| e.from.as_str())
        .collect();
    let last: Vec<String> = deploy.difference(&inner).map(|id| (*id).to_owned()).collect();
    let text = if deploy.is_empty() { "nothing that runs has changed" } else { "the new state is in place" };
    let action = Action::Commit { commit: text.to_owned() };
    draft.add(node(COMMIT.to_owned(), None, Phase::Deploy, format!("commit point: {text}"), action));
    draft.after(cluster, COMMIT);
    for id in last {
        draft.after(&id, COMMIT);
    }
}

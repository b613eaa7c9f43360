//! Lowering: from what differs to calls, guards, waits, probes and undos. The order between components is made where it
//! is made for all plugins, in [`crate::lower`].

mod back;
mod calls;
mod component;
mod create;
mod preflight;
mod register;
mod remove;
mod tags;
pub mod timing;
mod update;
mod waits;

use belay_schemas::plan::{Change, ComponentSummary, Node, Phase};
use serde_json::Value;

use crate::diagnostics::Report;
use crate::lower::{Lowered, Part, removal_reason};

use super::Context;
use super::desired::{Attachment, Desired};
use super::diff::Difference;
use super::json::number;
use super::ownership::Orphan;

pub use component::tasks;
pub use tags::key as tag_key;

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

/// A lowering in progress. Components are handed over one by one: what is known of one moves into the plan before the
/// next is looked at, so that a large model is never in memory twice.
pub struct Lowerer<'a> {
    context: Context<'a>,
    part: Part,
    raises: Vec<timing::Raise>,
    attachments: Vec<(String, Attachment)>,
}

impl<'a> Lowerer<'a> {
    /// Nothing lowered yet.
    pub fn new(context: Context<'a>) -> Self {
        Self { context, part: Part::default(), raises: Vec::new(), attachments: Vec::new() }
    }

    /// Lowers the work on a component of the model.
    pub fn component(&mut self, desired: Desired, work: &Work<'_>) {
        let component = desired.component.clone();
        let attachments = desired.attachments.clone();
        let (change, floor, result) = self.work(desired, work);
        self.part.components.insert(component.clone(), ComponentSummary { change, floor });
        if let Some(result) = result {
            self.attachments.extend(attachments.into_iter().map(|a| (component.clone(), a)));
            self.part.lowered.insert(component, result);
        }
    }

    /// Lowers what is to be taken away, and what is read before anything changes.
    pub fn finish(mut self, orphans: &[Orphan<'_>], leftover_families: &[String], report: &mut Report) -> Part {
        let context = self.context;
        timing::warn(&self.raises, report);
        remove_orphans(context, orphans, &mut self.part);
        if let Some(facts) = context.facts {
            for component in leftover_families {
                if remove::tidy_all(context, facts, component, &mut self.part.draft) {
                    let tidied = ComponentSummary { change: Change::Tidy, floor: 0 };
                    self.part.components.insert(component.clone(), tidied);
                }
            }
        }
        let part = &mut self.part;
        if !part.draft.nodes.is_empty() {
            let cluster = preflight::cluster(context, &mut part.draft);
            for entry in part.lowered.values().chain(part.gone.values()).flat_map(|l| &l.entries) {
                part.draft.after(&cluster, entry);
            }
            let used = self.attachments.iter().filter_map(|(name, a)| part.lowered.get(name).map(|l| (a, l)));
            preflight::balancers(used, &mut part.draft);
            part.preflight.push(cluster);
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

//! Lowering, as far as it is the same for every plugin: drafts of nodes with their ways back, and the order between
//! components.
//!
//! Order: pre-flight reads, then each component as soon as those that it uses are ready, orphans before or after them,
//! the commit point, then what is deleted. Every edge of the way forward between two components has its mirror on the
//! way back. Which plugin a component is placed on makes no difference here.

pub mod draft;

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::model::{Model, TeardownOrphans};
use belay_schemas::plan::{Action, Change, ComponentSummary, Edge, Mode, Node, Phase, Why};
use serde_json::{Value, json};

use crate::diagnostics::Place;
use crate::source::Loaded;

use draft::{Back, Draft, node};

/// Id of the commit point.
pub const COMMIT: &str = "commit";

/// What the order of components needs to know about one that was lowered.
#[derive(Debug, Default, Clone)]
pub struct Lowered {
    /// Nodes that nothing of the component comes before: they wait for the pre-flight reads.
    pub entries: Vec<String>,
    /// The first node that changes what runs: it waits for the components that this one uses.
    pub starts: String,
    /// The node after which the component is in its new state.
    pub ready: String,
    /// Its ways back as one: the first compensations of its last change, the last ones of its first.
    pub back: Back,
}

/// What one plugin lowered.
#[derive(Default)]
pub struct Part {
    /// Nodes and edges, but for those between components.
    pub draft: Draft,
    /// What happens to each component.
    pub components: BTreeMap<String, ComponentSummary>,
    /// Components of the model that change.
    pub lowered: BTreeMap<String, Lowered>,
    /// Components that are taken away and run something.
    pub gone: BTreeMap<String, Lowered>,
    /// Pre-flight reads that the commit point waits for.
    pub preflight: Vec<String>,
}

impl Part {
    /// Takes another plugin's part in. A component that moves from one plugin to the other is created on one and removed
    /// on the other; people read what becomes of it, so creation wins.
    pub fn join(&mut self, other: Self) {
        self.draft.nodes.extend(other.draft.nodes);
        self.draft.edges.extend(other.draft.edges);
        for (name, summary) in other.components {
            self.components.entry(name).and_modify(|known| *known = prefer(known, &summary)).or_insert(summary);
        }
        self.lowered.extend(other.lowered);
        for (name, gone) in other.gone {
            self.gone.insert(name, gone);
        }
        self.preflight.extend(other.preflight);
    }

    /// Says of a component that something of it is taken away, if nothing else is said.
    pub fn tidies(&mut self, component: &str) {
        let tidied = ComponentSummary { change: Change::Tidy, floor: 0 };
        let summary = self.components.entry(component.to_owned()).or_insert(tidied);
        if summary.change == Change::None {
            summary.change = Change::Tidy;
        }
    }

    /// Puts everything in order.
    pub fn finish(mut self, loaded: &Loaded) -> Lowering {
        order_by_uses(&loaded.model, &self.lowered, &mut self.draft);
        let when = loaded.model.lifecycle.as_ref().and_then(|l| l.teardown_orphans).unwrap_or_default();
        order_removals(&loaded.model, when, &self.lowered, &self.gone, &mut self.draft);
        if !self.draft.nodes.is_empty() {
            commit(&self.preflight, &mut self.draft);
        }
        Lowering { nodes: self.draft.nodes, edges: self.draft.edges, components: self.components }
    }
}

fn prefer(known: &ComponentSummary, other: &ComponentSummary) -> ComponentSummary {
    // The enumeration begins with what matters most to whoever asks what becomes of the component.
    if known.change <= other.change { known.clone() } else { other.clone() }
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

/// A component starts when those that it uses are ready, and goes back before they do.
fn order_by_uses(model: &Model, lowered: &BTreeMap<String, Lowered>, draft: &mut Draft) {
    for (name, this) in lowered {
        for used in nearest(model, name, &|other| lowered.contains_key(other)) {
            if let Some(used) = lowered.get(used) {
                draft.after(&used.ready, &this.starts);
                draft.back_before(&this.back, &used.back);
            }
        }
    }
}

/// Whether a component uses another one, directly or through others.
pub fn uses(model: &Model, name: &str, other: &str) -> bool {
    !nearest(model, name, &|used| used == other).is_empty()
}

/// The nearest components used, directly or through ones that do not change.
fn nearest<'m>(model: &'m Model, name: &str, changes: &dyn Fn(&str) -> bool) -> BTreeSet<&'m str> {
    let components = &model.components;
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

fn order_removals(
    model: &Model,
    when: TeardownOrphans,
    lowered: &BTreeMap<String, Lowered>,
    gone: &BTreeMap<String, Lowered>,
    draft: &mut Draft,
) {
    for this in gone.values() {
        for other in lowered.values() {
            if when == TeardownOrphans::Before {
                draft.after(&this.ready, &other.starts);
                draft.back_before(&other.back, &this.back);
            } else {
                draft.after(&other.ready, &this.starts);
                draft.back_before(&this.back, &other.back);
            }
        }
    }
    // Whoever uses another one stops before it.
    for (name, this) in gone {
        for used in nearest(model, name, &|other| gone.contains_key(other)) {
            if let Some(used) = gone.get(used) {
                draft.after(&this.ready, &used.starts);
                draft.back_before(&used.back, &this.back);
            }
        }
    }
}

/// Why something is taken away: the model does not have it any more, or everything goes. `name` is what goes.
pub fn removal_reason(loaded: &Loaded, mode: Mode, component: &str, name: &str) -> Why {
    let path = format!("/components/{component}");
    let at = match mode {
        Mode::Teardown => Some("--mode teardown".to_owned()),
        Mode::Deploy => loaded.locate(&Place::model(["components"]).key()).map(|l| l.to_string()),
    };
    Why { path, at, from: json!(name), to: Value::Null }
}

/// The commit point: after everything that can be undone, before everything that cannot.
fn commit(preflight: &[String], draft: &mut Draft) {
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
    for id in preflight.iter().chain(&last) {
        draft.after(id, COMMIT);
    }
}

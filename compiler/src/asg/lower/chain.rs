//! A component's steps in a row: each waits for the one before it, and goes back before it does.

use belay_schemas::plan::{Node, When};

use crate::lower::Lowered;
use crate::lower::draft::{Back, Draft};

/// A row of steps in the making.
pub struct Chain<'d> {
    /// The plan in the making.
    pub draft: &'d mut Draft,
    last: Option<String>,
    last_back: Option<Back>,
    entry: Option<String>,
    starts: Option<(String, Back)>,
}

impl<'d> Chain<'d> {
    /// No steps yet.
    pub fn new(draft: &'d mut Draft) -> Self {
        Self { draft, last: None, last_back: None, entry: None, starts: None }
    }

    fn place(&mut self, id: &str) {
        if let Some(last) = &self.last {
            self.draft.after(last, id);
        }
        self.entry.get_or_insert_with(|| id.to_owned());
        self.last = Some(id.to_owned());
    }

    /// A step that changes nothing.
    pub fn step(&mut self, node: Node) {
        self.place(&node.id.clone());
        self.draft.add(node);
    }

    /// A step that changes something, with its ways back.
    pub fn effect(&mut self, node: Node, cases: Vec<(Option<When>, Vec<Node>)>) {
        let id = node.id.clone();
        self.place(&id);
        let back = self.draft.with_undo(node, cases);
        if back.firsts.is_empty() && self.last_back.is_some() {
            // Nothing to do for it: what comes after it goes back before what comes before it.
            return;
        }
        if let Some(earlier) = &self.last_back {
            self.draft.back_before(&back, earlier);
        }
        self.last_back = Some(back);
    }

    /// The same, for the first step that changes what runs: what comes before it need not wait for other components.
    pub fn first(&mut self, node: Node, cases: Vec<(Option<When>, Vec<Node>)>) {
        let id = node.id.clone();
        self.effect(node, cases);
        if self.starts.is_none() {
            self.starts = Some((id, self.last_back.clone().unwrap_or_default()));
        }
    }

    /// The ways back of the last step that has any.
    pub fn back(&self) -> Option<&Back> {
        self.last_back.as_ref()
    }

    /// Id of the last step.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// What the order of components needs to know; nothing when there is no step.
    pub fn done(self) -> Option<Lowered> {
        let (entry, ready) = (self.entry?, self.last?);
        let (starts, first) = self.starts?;
        let last = self.last_back?;
        Some(Lowered { entries: vec![entry], starts, ready, back: Back { firsts: last.firsts, lasts: first.lasts } })
    }
}

//! The way back: which compensations are due, in which order, and what becomes of them.
//!
//! Invariants: a forward node is compensated if and only if a mutation of it happened or may have happened; its cases
//! are looked at in order, each when its first compensation could begin; a case that was tried and failed is not taken
//! again in the same session; a compensation waits until those before it are done or are not needed, and what rests
//! on a node that could not be undone is left alone.

use std::collections::BTreeSet;

use belay_schemas::plan::Phase;

use super::state::{Effect, Progress, State};

/// How far the compensation of one forward node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The case to look at next.
    pub cursor: usize,
    /// The case that is being followed, and the place in it.
    pub chosen: Option<(usize, usize)>,
    /// Cases that were followed and failed.
    pub tried: Vec<bool>,
    /// What came of it.
    pub end: Option<UndoEnd>,
    /// Why cases were not taken or failed.
    pub reasons: Vec<String>,
}

/// What came of a node's compensation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoEnd {
    /// It is undone.
    Undone,
    /// It turned out not to have happened.
    NotNeeded,
    /// It stays, as the plan's reader accepted.
    Kept,
    /// It could not be undone.
    Stuck(String),
}

impl Undo {
    fn new(cases: usize) -> Self {
        Self { cursor: 0, chosen: None, tried: vec![false; cases], end: None, reasons: Vec::new() }
    }

    fn skip_tried(&mut self) {
        while self.tried.get(self.cursor).copied().unwrap_or(false) {
            self.cursor += 1;
        }
    }
}

impl State {
    pub(super) fn begin_undo(&mut self) {
        for ix in 0..self.graph.len() {
            let node = self.graph.node(ix);
            if node.phase == Phase::Undo || !self.nodes[ix].happened() || self.undo[ix].is_some() {
                continue;
            }
            let mut undo = Undo::new(node.undo.len());
            if node.undo.is_empty() {
                undo.end = Some(match &node.irreversible {
                    _ if node.accepted.is_some() || node.phase == Phase::Finalize => UndoEnd::Kept,
                    Some(reason) => UndoEnd::Stuck(format!("it cannot be undone: {reason}")),
                    None => UndoEnd::Stuck("the plan has no way back for it".to_owned()),
                });
            } else {
                self.undo_open.insert(ix);
            }
            self.undo[ix] = Some(undo);
        }
    }

    /// A new session tries again what could not be undone.
    pub(super) fn retry_undo(&mut self) {
        use super::state::Stage;
        if !matches!(self.stage, Stage::Undo | Stage::Ended(belay_schemas::journal::Ending::Stuck)) {
            return;
        }
        self.stage = Stage::Undo;
        for ix in 0..self.graph.len() {
            let cases = self.graph.cases[ix].len();
            if cases > 0
                && let Some(undo) = &mut self.undo[ix]
                && matches!(undo.end, Some(UndoEnd::Stuck(_)))
            {
                *undo = Undo::new(cases);
                self.undo_open.insert(ix);
                self.doubt_compensations(ix);
            }
        }
    }

    /// What a compensation changed may have been changed back since, or there would be nothing to try again: its probe
    /// tells, and what does not hold any more is done again.
    fn doubt_compensations(&mut self, owner: usize) {
        for comp in self.graph.cases[owner].clone().into_iter().flatten() {
            let node = self.graph.node(comp);
            let others = &self.graph.owners[comp];
            let needed = others
                .iter()
                .any(|&other| self.undo[other].as_ref().is_some_and(|undo| undo.end == Some(UndoEnd::Undone)));
            if needed || node.probe.is_none() || self.nodes[comp].progress != Progress::Done {
                continue;
            }
            for chunk in &mut self.nodes[comp].chunks {
                chunk.effect = Effect::Unknown;
                chunk.doubtful = true;
            }
            self.nodes[comp].progress = Progress::Pending;
        }
    }

    /// Whether everything is undone, was not needed, or stays by consent.
    pub(super) fn undo_complete(&self) -> bool {
        self.undo_open.is_empty() && self.undo.iter().flatten().all(|u| !matches!(u.end, Some(UndoEnd::Stuck(_))))
    }

    /// Nothing can go on: what is still open rests on something that is stuck.
    pub(super) fn close_undo(&mut self) {
        for ix in std::mem::take(&mut self.undo_open) {
            let waits_for = self.undo_obstacle(ix);
            if let Some(undo) = &mut self.undo[ix] {
                undo.end = Some(UndoEnd::Stuck(match waits_for {
                    Some(other) => format!("its compensation has to wait for {other}, which is not done"),
                    None => "its compensation could not go on".to_owned(),
                }));
            }
        }
    }

    fn undo_obstacle(&self, ix: usize) -> Option<String> {
        let undo = self.undo[ix].as_ref()?;
        let first = match undo.chosen {
            Some((case, at)) => *self.graph.cases[ix].get(case)?.get(at)?,
            None => self.case_entry(ix, undo.cursor)?,
        };
        self.in_the_way(first).map(|from| self.graph.node(from).id.clone())
    }

    /// Whether the case that a forward node looks at next may be looked at now.
    pub(super) fn case_clear(&self, ix: usize, case: usize) -> bool {
        self.case_entry(ix, case).is_none_or(|first| self.undo_clear(first))
    }

    /// The compensation whose turn is the turn to look at a case: its first. A case without any is looked at when the
    /// next way back could begin, so that it is judged by the same state.
    fn case_entry(&self, ix: usize, case: usize) -> Option<usize> {
        let cases = &self.graph.cases[ix];
        let later = cases.iter().skip(case);
        later.chain(cases.iter().take(case).rev()).find_map(|chain| chain.first().copied())
    }

    /// Whether everything that a compensation waits for is out of its way.
    pub(super) fn undo_clear(&self, comp: usize) -> bool {
        self.in_the_way(comp).is_none()
    }

    /// Whether a compensation is still to be done for a node that is none of these: between the ways back of one node
    /// there is no order, they exclude each other.
    fn stands(&self, from: usize, own: &[usize]) -> bool {
        let mut others = self.graph.owners[from].iter().filter(|owner| !own.contains(owner));
        self.nodes[from].progress != Progress::Done && others.any(|&owner| self.may_need(owner, from))
    }

    /// A compensation that must be done before this one and is not. One that is not needed stands in nobody's way, but
    /// what it would have waited for still does: the order holds through it.
    fn in_the_way(&self, comp: usize) -> Option<usize> {
        let (own, before) = (&self.graph.owners[comp], &self.graph.undo_before[comp]);
        // Asked at every turn, and most that has to wait waits for what comes right before it.
        if let Some(from) = before.iter().rev().find(|from| self.stands(**from, own)) {
            return Some(*from);
        }
        let mut open = before.clone();
        let mut seen: BTreeSet<usize> = open.iter().copied().collect();
        while let Some(from) = open.pop() {
            if self.nodes[from].progress == Progress::Done {
                continue;
            }
            if self.stands(from, own) {
                return Some(from);
            }
            open.extend(self.graph.undo_before[from].iter().filter(|&&earlier| seen.insert(earlier)));
        }
        None
    }

    /// Whether a forward node's way back may still lead over a compensation, or should have.
    fn may_need(&self, owner: usize, comp: usize) -> bool {
        let Some(undo) = &self.undo[owner] else { return false };
        match (&undo.end, undo.chosen) {
            // What rests on something that is not undone is left alone.
            (Some(UndoEnd::Stuck(_)), _) => true,
            (Some(_), _) => false,
            (None, Some((case, _))) => self.graph.cases[owner][case].contains(&comp),
            (None, None) => {
                let rest = self.graph.cases[owner].iter().enumerate().skip(undo.cursor);
                rest.filter(|(case, _)| !undo.tried[*case]).any(|(_, chain)| chain.contains(&comp))
            }
        }
    }

    /// Whether a compensation is the next in a case that is followed, and nothing stands in its way.
    pub(super) fn undo_ready(&self, comp: usize) -> bool {
        let due = self.graph.owners[comp].iter().any(|&owner| self.undo_due(owner) == Some(comp));
        due && self.undo_clear(comp)
    }

    /// The compensation that is next in the case that a forward node follows.
    pub(super) fn undo_due(&self, owner: usize) -> Option<usize> {
        let undo = self.undo[owner].as_ref().filter(|undo| undo.end.is_none())?;
        let (case, at) = undo.chosen?;
        self.graph.cases[owner][case].get(at).copied()
    }

    pub(super) fn case(&mut self, ix: usize, case: usize, taken: bool, why: Option<&str>) -> Result<(), &'static str> {
        let cases = self.graph.cases[ix].len();
        let undo = self.undo[ix].as_mut().filter(|u| u.end.is_none()).ok_or("it is not to be undone")?;
        if undo.chosen.is_some() || undo.cursor != case || case >= cases {
            return Err("another case is next");
        }
        if taken {
            undo.chosen = Some((case, 0));
            for &comp in &self.graph.cases[ix][case] {
                let repeat = self.graph.effect(comp).is_none();
                let state = &mut self.nodes[comp];
                // What was read on another way back may have moved; what was changed stays changed.
                if (state.progress == Progress::Done && repeat) || state.progress == Progress::Failed {
                    state.progress = Progress::Pending;
                    state.wait = None;
                }
            }
            self.undo_advance(ix);
        } else {
            undo.reasons.push(format!("case {}: {}", case + 1, why.unwrap_or("its condition is false")));
            undo.cursor += 1;
            undo.skip_tried();
            if undo.cursor >= cases {
                let reason = format!("no way back fits what is found now ({})", undo.reasons.join("; "));
                self.undo_end(ix, UndoEnd::Stuck(reason));
            }
        }
        Ok(())
    }

    fn undo_end(&mut self, ix: usize, end: UndoEnd) {
        if let Some(undo) = &mut self.undo[ix] {
            undo.end = Some(end);
        }
        self.undo_open.remove(&ix);
    }

    fn undo_advance(&mut self, ix: usize) {
        let Some(undo) = &mut self.undo[ix] else { return };
        let Some((case, at)) = &mut undo.chosen else { return };
        let chain = &self.graph.cases[ix][*case];
        while *at < chain.len() && self.nodes[chain[*at]].progress == Progress::Done {
            *at += 1;
        }
        if *at == chain.len() {
            self.undo_end(ix, UndoEnd::Undone);
        }
    }

    pub(super) fn undo_done(&mut self, comp: usize) {
        for owner in self.graph.owners[comp].clone() {
            if self.undo[owner].as_ref().is_some_and(|undo| undo.end.is_none()) {
                self.undo_advance(owner);
            }
        }
    }

    pub(super) fn undo_failed(&mut self, comp: usize, reason: &str) {
        for owner in self.graph.owners[comp].clone() {
            if self.undo_due(owner) != Some(comp) {
                continue;
            }
            let (id, cases) = (self.graph.node(comp).id.clone(), self.graph.cases[owner].len());
            let Some(undo) = &mut self.undo[owner] else { continue };
            let Some((case, _)) = undo.chosen.take() else { continue };
            undo.tried[case] = true;
            undo.reasons.push(format!("{id}: {reason}"));
            undo.cursor = 0;
            undo.skip_tried();
            // Once more from the first case; a second failure is for a person to look at.
            if undo.tried.iter().filter(|tried| **tried).count() > 1 || undo.cursor >= cases {
                let reason = undo.reasons.join("; ");
                self.undo_end(owner, UndoEnd::Stuck(reason));
            }
        }
    }

    /// A probe told what became of a doubtful call of a node that is to be undone.
    pub(super) fn undo_settled(&mut self, ix: usize) {
        if self.nodes[ix].chunks.iter().all(|chunk| chunk.effect == Effect::None) {
            self.undo_end(ix, UndoEnd::NotNeeded);
        }
    }
}

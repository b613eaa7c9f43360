//! Every place of a node that holds a call, a late value or an expression.
//!
//! Invariant: this is the one list of such places; a rule about calls, references or expressions that walks it sees
//! all of them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::plan::{Action, Call, Evidence, Moment, Node};

/// Where in a node something stands: `wait.evidence[0].reads[1]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    head: &'static str,
    at: Option<usize>,
    tail: &'static str,
    tail_at: Option<usize>,
}

impl Place {
    fn plain(head: &'static str) -> Self {
        Self { head, at: None, tail: "", tail_at: None }
    }

    fn indexed(head: &'static str, at: usize, tail: &'static str) -> Self {
        Self { head, at: Some(at), tail, tail_at: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.head)?;
        if let Some(at) = self.at {
            write!(f, "[{at}]")?;
        }
        f.write_str(self.tail)?;
        if let Some(at) = self.tail_at {
            write!(f, "[{at}]")?;
        }
        Ok(())
    }
}

/// Whose answers are known where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nobody's: before the run changes anything.
    Nothing,
    /// Those of nodes that are done before this one starts.
    Earlier,
    /// Those, and this node's own.
    Own,
}

/// What stands there.
pub(super) enum Item<'p> {
    /// The node's own mutation.
    Mutation(&'p Call),
    /// A read; `polled` reads of the same poll come before it.
    Read { call: &'p Call, polled: usize },
    /// Another value that may be or hold late values.
    Value(&'p Value),
    /// Expressions that share their bound names.
    Expressions { texts: Vec<&'p str>, bind: Option<&'p BTreeMap<String, Value>> },
}

/// One such place.
pub(super) struct Site<'p> {
    pub place: Place,
    pub known: Known,
    pub item: Item<'p>,
}

/// Calls `visit` for every place of a node.
pub(super) fn visit<'p>(node: &'p Node, visit: &mut dyn FnMut(Site<'p>)) {
    let mut walk = Walk { known: Known::Earlier, visit };
    if let Some(each) = &node.each {
        walk.item(Place::plain("each.over"), Item::Value(&each.over));
    }
    walk.action(&node.action);
    for (at, guard) in node.guards.iter().enumerate() {
        walk.known = if guard.at == Some(Moment::Start) { Known::Nothing } else { Known::Earlier };
        walk.item(Place::indexed("guards", at, ".read"), Item::Read { call: &guard.read, polled: 0 });
        for expected in guard.holds.values() {
            walk.item(Place::indexed("guards", at, ".holds"), Item::Value(expected));
        }
        let texts = guard.holds.keys().map(String::as_str).collect();
        walk.bound(Place::indexed("guards", at, ".bind"), Place::indexed("guards", at, ".holds"), texts, &guard.bind);
    }
    walk.known = Known::Earlier;
    if let Some(probe) = &node.probe {
        walk.item(Place::plain("probe.read"), Item::Read { call: &probe.read, polled: 0 });
        let texts = vec![probe.applied.as_str(), probe.answer.as_str()];
        walk.bound(Place::plain("probe.bind"), Place::plain("probe"), texts, &probe.bind);
    }
    walk.known = Known::Own;
    for (at, case) in node.undo.iter().enumerate() {
        if let Some(when) = &case.when {
            walk.item(Place::indexed("undo", at, ".when.read"), Item::Read { call: &when.read, polled: 0 });
            let (bind, is) = (Place::indexed("undo", at, ".when.bind"), Place::indexed("undo", at, ".when.is"));
            walk.bound(bind, is, vec![when.is.as_str()], &when.bind);
        }
    }
}

struct Walk<'v, 'p> {
    known: Known,
    visit: &'v mut dyn FnMut(Site<'p>),
}

impl<'p> Walk<'_, 'p> {
    fn item(&mut self, place: Place, item: Item<'p>) {
        (self.visit)(Site { place, known: self.known, item });
    }

    fn bound(&mut self, bind_place: Place, place: Place, texts: Vec<&'p str>, bind: &'p BTreeMap<String, Value>) {
        for value in bind.values() {
            self.item(bind_place, Item::Value(value));
        }
        self.item(place, Item::Expressions { texts, bind: Some(bind) });
    }

    fn expect(&mut self, expect: Option<&'p String>) {
        if let Some(text) = expect {
            self.item(Place::plain("action.expect"), Item::Expressions { texts: vec![text], bind: None });
        }
    }

    fn action(&mut self, action: &'p Action) {
        match action {
            Action::Call { call, expect } => {
                self.item(Place::plain("action.call"), Item::Mutation(call));
                self.expect(expect.as_ref());
            }
            Action::Read { read, expect } => {
                self.item(Place::plain("action.read"), Item::Read { call: read, polled: 0 });
                self.expect(expect.as_ref());
            }
            Action::Wait { wait } => {
                for (at, call) in wait.reads.iter().enumerate() {
                    self.item(Place::indexed("wait.reads", at, ""), Item::Read { call, polled: at });
                }
                let mut texts = vec![wait.until.as_str()];
                texts.extend(wait.fail.iter().map(|fail| fail.when.as_str()));
                texts.extend(wait.progress.as_deref());
                self.bound(Place::plain("wait.bind"), Place::plain("wait"), texts, &wait.bind);
                for (at, evidence) in wait.evidence.iter().enumerate() {
                    self.evidence(at, evidence);
                }
            }
            Action::Http { http } => self.item(Place::plain("http.body"), Item::Value(&http.body)),
            Action::Exec { .. } | Action::Gate { .. } | Action::Delay { .. } | Action::Commit { .. } => {}
        }
    }

    fn evidence(&mut self, at: usize, evidence: &'p Evidence) {
        for (polled, call) in evidence.reads.iter().enumerate() {
            let place = Place { tail_at: Some(polled), ..Place::indexed("wait.evidence", at, ".reads") };
            self.item(place, Item::Read { call, polled });
        }
        let (bind, lines) =
            (Place::indexed("wait.evidence", at, ".bind"), Place::indexed("wait.evidence", at, ".lines"));
        self.bound(bind, lines, vec![evidence.lines.as_str()], &evidence.bind);
    }
}

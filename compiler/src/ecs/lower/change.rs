//! Things beside a service that one call puts as they should be and one call puts back: scaling targets and policies.
//!
//! Invariants: a change is guarded by what it overwrites and undone only while it still holds what it put; what counts is
//! what was sent, because AWS fills members in.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Call, Node, Phase, When, Why};
use serde_json::Value;

use crate::lower::draft::{Back, Draft, guard_after, guard_at_start, node, probe, when};

/// The ways back of a node, each with its condition.
pub type Cases = Vec<(Option<When>, Vec<Node>)>;

/// One such change.
pub struct Change<'a> {
    /// Id of its node.
    pub id: String,
    /// The component, if it is one's.
    pub component: Option<&'a str>,
    /// What is done, in words.
    pub summary: String,
    /// Why.
    pub why: Vec<Why>,
    /// The call.
    pub forward: Call,
    /// What undoing it does, in words.
    pub back_summary: String,
    /// The call that puts it back.
    pub back: Call,
    /// Describes the thing.
    pub read: Call,
    /// JMESPath of the call's own answer in that one, where a later step refers to it.
    pub answer: Option<String>,
    /// What the way back looks up first, in words, where `back` refers to it as [`found_node`].
    pub find: Option<(String, Call)>,
    /// JMESPath of the thing in that answer; null while there is none.
    pub found: String,
    /// What it has before, as far as it is overwritten; null when there is none.
    pub from: Value,
    /// What it has then.
    pub to: Value,
}

impl Change<'_> {
    /// Adds its node with its way back.
    pub fn add(self, draft: &mut Draft) -> (String, Back) {
        self.add_after(None, draft)
    }

    /// The same, where what it changes has been changed by an earlier step.
    pub fn add_after(self, earlier: Option<&str>, draft: &mut Draft) -> (String, Back) {
        let id = self.id.clone();
        let (forward, cases) = self.nodes(earlier);
        (id, draft.with_undo(forward, cases))
    }

    /// The node, and its ways back: the last one is that from what it put.
    pub fn nodes(self, earlier: Option<&str>) -> (Node, Cases) {
        let (action, answer) = sent(self.forward);
        let mut forward = node(self.id.clone(), self.component, Phase::Deploy, self.summary, action);
        forward.why = self.why;
        let (before, before_bind) = is(&self.found, &self.from);
        let (after, after_bind) = is(&self.found, &self.to);
        let mut guard = match earlier {
            None => guard_at_start(self.read.clone(), []),
            Some(earlier) => guard_after(earlier, self.read.clone(), []),
        };
        guard.holds.insert(before.clone(), Value::Bool(true));
        guard.bind.clone_from(&before_bind);
        forward.guards = vec![guard];
        let mut told = probe(self.read.clone(), &after, self.answer.as_deref().unwrap_or(answer), []);
        told.bind.clone_from(&after_bind);
        forward.probe = Some(told);
        let (action, answer) = sent(self.back);
        let mut undo = node(format!("{}.undo", self.id), self.component, Phase::Undo, self.back_summary, action);
        let mut guard = guard_after(&self.id, self.read.clone(), []);
        guard.holds.insert(after.clone(), Value::Bool(true));
        guard.bind.clone_from(&after_bind);
        undo.guards = vec![guard];
        let mut told = probe(self.read.clone(), &before, answer, []);
        told.bind.clone_from(&before_bind);
        undo.probe = Some(told);
        let mut untouched = when("it is as it was", self.read.clone(), &before, []);
        untouched.bind = before_bind;
        let mut ours = when("it is as this run put it", self.read, &after, []);
        ours.bind = after_bind;
        let find = self.find.map(|(words, read)| {
            node(found_node(&self.id), self.component, Phase::Undo, words, Action::Read { read, expect: None })
        });
        let nodes = find.into_iter().chain([undo]).collect();
        (forward, vec![(Some(untouched), Vec::new()), (Some(ours), nodes)])
    }
}

/// What a call does, and JMESPath of its answer where it took effect. EventBridge accepts calls about targets and tells in
/// the answer which of them it refused.
fn sent(call: Call) -> (Action, &'static str) {
    if call.service == "events" && call.operation.ends_with("Targets") {
        let expect = Some("FailedEntryCount == `0`".to_owned());
        return (Action::Call { call, expect }, "{FailedEntryCount: `0`}");
    }
    (Action::Call { call, expect: None }, "`{}`")
}

/// The node at which the way back of a change looks something up.
pub fn found_node(id: &str) -> String {
    format!("{id}.undo.find")
}

/// A condition that the thing at `found` has all of these values; that there is none, when `state` is null.
pub fn is(found: &str, state: &Value) -> (String, BTreeMap<String, Value>) {
    let mut bind = BTreeMap::new();
    if state.is_null() {
        return (format!("({found}) == `null`"), bind);
    }
    let mut parts = Vec::new();
    leaves(String::new(), state, &mut |path, value| {
        let at = format!("({found}).{path}");
        let name = path.replace('.', "_");
        // AWS may leave out what has its default.
        let absent = matches!(value, Value::Bool(false) | Value::Null) || value.as_f64() == Some(0.0);
        if value.is_null() {
            parts.push(format!("{at} == `null`"));
            return;
        }
        bind.insert(name.clone(), value.clone());
        parts.push(if absent { format!("({at} == ${name} || {at} == `null`)") } else { format!("{at} == ${name}") });
    });
    (parts.join(" && "), bind)
}

fn leaves(path: String, value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) if !belay_schemas::late::is_reserved(map) => {
            for (name, value) in map {
                leaves(if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, visit);
            }
        }
        other => visit(&path, other),
    }
}

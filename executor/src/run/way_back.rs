//! Whether a run can still be taken back by hand.
//!
//! Once the commit point is passed, finalize steps destroy things. A compensation needs what it names; so the way back
//! is closed when a destroying step took away what a compensation that may run names.
//!
//! Invariant: when in doubt (an identifier that both name) the way back is refused, before anything is called.

use std::borrow::Cow;
use std::collections::BTreeSet;

use belay_schemas::aws::is_destructive;
use belay_schemas::checker::subject::{short, subjects};
use belay_schemas::journal::Ending;
use belay_schemas::plan::{Call, Phase};
use serde_json::Value;

use super::error::RunError;
use super::late::{Answers, Resolved, Scope};
use super::port::answers_for;
use super::state::{Stage, State};

/// Refuses to roll back what is back already, what changed nothing, and what can no longer be undone.
pub(super) fn check(run: &str, state: &State) -> Result<(), RunError> {
    let nothing = |why: &str| Err(RunError::NothingToRollBack { run: run.to_owned(), why: why.to_owned() });
    match state.stage {
        Stage::Ended(Ending::RolledBack) => return nothing("it was rolled back already"),
        Stage::Ended(Ending::Stale | Ending::Environment) => return nothing("it changed nothing"),
        _ => {}
    }
    let graph = &state.graph;
    let destroying = (0..graph.len()).filter(|&ix| {
        let node = graph.node(ix);
        let destroys = node.action.mutation().is_some_and(|call| is_destructive(&call.service, &call.operation));
        node.phase == Phase::Finalize && destroys && state.node(ix).happened()
    });
    for destroyer in destroying {
        let calls = state.node(destroyer).chunks.iter().filter_map(|chunk| chunk.call.as_ref());
        let gone: BTreeSet<String> = calls.flat_map(|call| taken_away(call)).collect();
        for forward in (0..graph.len()).filter(|&ix| graph.node(ix).phase != Phase::Undo && state.node(ix).happened()) {
            for &comp in graph.cases[forward].iter().flatten() {
                let Some(call) = graph.node(comp).action.mutation() else { continue };
                let answers: Answers = answers_for(state, comp);
                let scope =
                    Scope { run, node: &graph.node(comp).id, chunk: 0, answers: &answers, polls: &[], each: None };
                // What only a compensation before it will tell cannot have been destroyed yet.
                let call = match scope.call(call) {
                    Ok(Resolved::Call(call)) => call,
                    _ => Cow::Borrowed(call),
                };
                let mut needed = BTreeSet::new();
                strings(&call.input, &mut needed);
                if let Some(what) = needed.intersection(&gone).next() {
                    return Err(RunError::Destroyed {
                        run: run.to_owned(),
                        destroyed: graph.node(destroyer).id.clone(),
                        needed: graph.node(comp).id.clone(),
                        what: what.clone(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The names of what a destroying call is about; of a call that is not known by its members, every string of it.
fn taken_away(call: &Call) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        subjects(call, None).into_iter().map(|subject| subject.name.into_owned()).collect();
    if names.is_empty() {
        strings(&call.input, &mut names);
    }
    names
}

/// All strings of an input, ARNs by their short names.
fn strings(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(short(text).to_owned());
        }
        Value::Array(list) => list.iter().for_each(|v| strings(v, found)),
        Value::Object(map) if belay_schemas::late::is_reserved(map) => {}
        Value::Object(map) => map.values().for_each(|v| strings(v, found)),
        _ => {}
    }
}

//! Whether a run can still be taken back by hand.
//!
//! Once the commit point is passed, finalize steps destroy things. A compensation needs what it names; so the way back
//! is closed when a destroying step named the same thing as a compensation that would run.
//!
//! Invariant: when in doubt (an identifier that both name) the way back is refused, before anything is called.

use std::collections::BTreeSet;

use belay_schemas::journal::Ending;
use belay_schemas::plan::Phase;
use serde_json::Value;

use super::error::RunError;
use super::late::{Answers, Resolved, Scope};
use super::port::answers_for;
use super::state::{Stage, State};

/// Members of an input that say where a thing is or how to treat it, not which thing it is.
const NOT_IDENTITIES: [&str; 4] = ["cluster", "clientToken", "ClientToken", "reason"];

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
        node.phase == Phase::Finalize && node.undo.is_empty() && state.node(ix).happened()
    });
    for destroyer in destroying {
        let calls = state.node(destroyer).chunks.iter().filter_map(|chunk| chunk.call.as_ref());
        let gone: BTreeSet<String> = calls.flat_map(|call| identities(&call.input)).collect();
        for forward in (0..graph.len()).filter(|&ix| graph.node(ix).phase != Phase::Undo && state.node(ix).happened()) {
            for &comp in graph.cases[forward].iter().flatten() {
                let Some(call) = graph.node(comp).action.mutation() else { continue };
                let answers: Answers = answers_for(state, comp);
                let scope =
                    Scope { run, node: &graph.node(comp).id, chunk: 0, answers: &answers, polls: &[], each: None };
                // What only a compensation before it will tell cannot have been destroyed yet.
                let input = match scope.call(call) {
                    Ok(Resolved::Call(call)) => call.input,
                    _ => call.input.clone(),
                };
                if let Some(what) = identities(&input).intersection(&gone).next() {
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

/// The names, ids and ARNs in an input; an ARN counts as what stands behind its last slash too.
fn identities(input: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(input, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let tail = text.rsplit('/').next().unwrap_or(text);
            found.insert(if text.starts_with("arn:") { tail.to_owned() } else { text.clone() });
        }
        Value::Array(list) => list.iter().for_each(|v| collect(v, found)),
        Value::Object(map) if belay_schemas::late::is_reserved(map) => {}
        Value::Object(map) => {
            map.iter().filter(|(key, _)| !NOT_IDENTITIES.contains(&key.as_str())).for_each(|(_, v)| collect(v, found));
        }
        _ => {}
    }
}

//! What a rehearsal of the plan found, in a few lines.
//!
//! Invariant: a rehearsal of another plan says nothing about this one, and the text says that instead.

use std::fmt::Write as _;

use belay_schemas::plan::Plan;
use serde_json::Value;

/// A part of the comment.
pub(super) fn markdown(plan: &Plan, rehearsal: &Value) -> String {
    let mut out = String::from("\n#### Rehearsal\n\n");
    for line in lines(plan, rehearsal) {
        let _ = writeln!(out, "- {line}");
    }
    out
}

/// What there is to say of it.
pub(super) fn lines(plan: &Plan, rehearsal: &Value) -> Vec<String> {
    let text = |name: &str| rehearsal.get(name).and_then(Value::as_str);
    let number = |path: &str| rehearsal.pointer(path).and_then(Value::as_u64);
    if text("plan").is_some_and(|digest| digest != plan.digest) {
        return vec!["This is the rehearsal of another plan: run it again.".to_owned()];
    }
    let mut out = Vec::new();
    if let Some(runs) = number("/runs") {
        let ends: Vec<String> = ["target", "initial", "stuck"]
            .iter()
            .filter_map(|end| number(&format!("/ends/{end}")).map(|n| format!("{n} ended {end}")))
            .collect();
        out.push(format!("{runs} simulated runs{}{}", if ends.is_empty() { "" } else { ": " }, ends.join(", ")));
    }
    out
}

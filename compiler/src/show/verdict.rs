//! What a plan does, in a few sentences.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Change, Mode, Phase, Plan};

/// Names that a sentence lists before it counts.
const NAMED: usize = 6;

/// One line: what changes and with how many calls.
pub fn verdict(plan: &Plan) -> String {
    if plan.nodes.is_empty() {
        return match plan.mode {
            Mode::Deploy => "Nothing to do: what runs is what the model says.".into(),
            Mode::Teardown => "Nothing to do: the project owns nothing in the target.".into(),
        };
    }
    let mut groups: BTreeMap<Change, Vec<&str>> = BTreeMap::new();
    for (name, summary) in &plan.components {
        groups.entry(summary.change).or_default().push(name);
    }
    let mut parts: Vec<String> = Vec::new();
    for (change, names) in &groups {
        let verb = match change {
            Change::Create => "creates",
            Change::Update => "updates",
            Change::Scale => "scales",
            Change::Remove => "removes",
            Change::Tidy => "tidies up after",
            Change::None => continue,
        };
        parts.push(format!("{verb} {}", names_or_count(names)));
    }
    if parts.is_empty() {
        parts.push("changes no component".into());
    }
    let mut line = join(&parts);
    if let Some(first) = line.get(..1) {
        line = format!("{}{}", first.to_uppercase(), &line[1..]);
    }
    format!("{line}, with {}.", count(calls(plan), "call", "calls"))
}

/// Forward calls that change something.
pub(super) fn calls(plan: &Plan) -> usize {
    plan.nodes.iter().filter(|n| n.phase != Phase::Undo && n.action.mutation().is_some()).count()
}

/// `3 calls`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// `a, b and c`.
pub(super) fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn names_or_count(names: &[&str]) -> String {
    if names.len() > NAMED {
        return count(names.len(), "component", "components");
    }
    join(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
}

/// What kind of thing an action is, with the operation.
pub(super) fn operation(action: &Action) -> String {
    match action {
        Action::Call { call, .. } | Action::Read { read: call, .. } => format!("{} {}", call.service, call.operation),
        Action::Wait { .. } => "wait".into(),
        Action::Http { http } => format!("{} {}", http.method, http.uri),
        Action::Exec { exec } => format!("run {}", exec.argv.join(" ")),
        Action::Gate { .. } => "ask a person".into(),
        Action::Delay { delay } => format!("let {delay} s pass"),
        Action::Commit { .. } => "commit point".into(),
    }
}

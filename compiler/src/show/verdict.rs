//! What a plan does, in a few sentences.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Change, Mode, Node, Phase, Plan, Why};

/// Names that a sentence lists before it counts.
const NAMED: usize = 6;

/// One line: what changes and with how many calls; of a limited plan also what it is limited to.
pub fn verdict(plan: &Plan) -> String {
    match limits(plan) {
        Some(limits) => format!("{} {limits}", change(plan)),
        None => change(plan),
    }
}

/// What a limited plan is about.
fn limits(plan: &Plan) -> Option<String> {
    let only: Vec<&str> = plan.only.iter().map(String::as_str).collect();
    let names = names_or_count(&only);
    (!only.is_empty()).then(|| format!("Limited to {names}: nothing else of {} was compared or changes.", plan.project))
}

fn change(plan: &Plan) -> String {
    if plan.nodes.is_empty() {
        return match (plan.mode, plan.only.is_empty()) {
            (Mode::Deploy, true) => "Nothing to do: what runs is what the model says.".into(),
            (Mode::Deploy, false) => "Nothing to do: what runs of it is what the model says.".into(),
            (Mode::Teardown, true) => "Nothing to do: the project owns nothing in the target.".into(),
            (Mode::Teardown, false) => "Nothing to do: the project owns nothing of it in the target.".into(),
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
            Change::Run => "runs",
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

/// What happens to a component, as a part of a sentence.
pub(super) fn changes(change: Change) -> &'static str {
    match change {
        Change::Create => "is created",
        Change::Update => "is updated",
        Change::Scale => "is scaled",
        Change::Run => "runs once",
        Change::Remove => "is removed",
        Change::Tidy => "is tidied up: nothing that runs changes",
        Change::None => "stays as it is",
    }
}

/// The steps after the commit point that take something away.
pub(super) fn destroyed(plan: &Plan) -> Vec<&Node> {
    plan.nodes.iter().filter(|n| n.phase == Phase::Finalize && n.action.mutation().is_some()).collect()
}

/// The steps before the commit point that cannot be undone.
pub(super) fn final_steps(plan: &Plan) -> Vec<&Node> {
    let last = |n: &&Node| n.phase == Phase::Deploy && (n.irreversible.is_some() || n.accepted.is_some());
    plan.nodes.iter().filter(last).collect()
}

/// Why each component changes, each reason once; what belongs to no component under the empty name.
pub(super) fn reasons(plan: &Plan) -> BTreeMap<&str, Vec<&Why>> {
    let mut reasons: BTreeMap<&str, Vec<&Why>> = BTreeMap::new();
    for node in plan.nodes.iter().filter(|n| n.phase != Phase::Undo) {
        let list = reasons.entry(node.component.as_deref().unwrap_or_default()).or_default();
        for why in &node.why {
            if !list.contains(&why) {
                list.push(why);
            }
        }
    }
    reasons
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

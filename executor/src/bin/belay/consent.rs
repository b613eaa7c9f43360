//! The question before a plan runs on AWS.
//!
//! Invariants: on AWS no plan runs unasked, unless `--yes` says so; one that takes things away for good is agreed to by
//! writing the project's name; nobody is asked who cannot answer.

use std::io::{BufRead, IsTerminal, Write};

use belay_executor::progress::{Paint, Tone};
use belay_executor::run::belongs;
use belay_schemas::plan::{Change, Mode, Phase, Plan};

use crate::failure::Failure;
use crate::place::Place;
use crate::say::say;

/// Checks that a plan is for this account, shows what it does and where, and asks. A simulated world and a plan without
/// steps need no consent.
pub fn to_apply(plan: &Plan, place: &Place, yes: bool) -> Result<(), Failure> {
    let Some(caller) = &place.caller else { return Ok(()) };
    belongs(plan, caller, Some(&place.region))?;
    if plan.nodes.is_empty() || yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let reason = "nobody can be asked here whether to apply: standard input is no terminal".to_owned();
        return Err(Failure::Usage { reason, help: Some("review the plan and give --yes".to_owned()) });
    }
    let paint = Paint::of(&std::io::stderr());
    for line in lines(plan) {
        say(line);
    }
    say(format_args!(
        "target: account {}, {}, {}, as {}",
        paint.tone(Tone::Subject, &place.account),
        paint.tone(Tone::Subject, &place.region),
        paint.tone(Tone::Subject, plan.target.place()),
        caller.arn
    ));
    let (question, wanted) = match is_destructive(plan) {
        true => {
            (format!("This takes things away. Write the project's name, {}, to apply: ", plan.project), &*plan.project)
        }
        false => ("Apply? [y/N] ".to_owned(), "y"),
    };
    let mut stderr = std::io::stderr();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let answered = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    let answer = answer.trim();
    let agreed = answer == wanted || (wanted == "y" && answer.eq_ignore_ascii_case("yes"));
    match answered {
        Ok(_) if agreed => Ok(()),
        Ok(_) => Err(Failure::Usage { reason: "declined: nothing was changed".to_owned(), help: None }),
        Err(source) => Err(Failure::Read { path: "standard input".to_owned(), source }),
    }
}

/// What the plan does, by component, and what cannot be taken back.
pub fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (word, change) in [
        ("create", Change::Create),
        ("update", Change::Update),
        ("scale", Change::Scale),
        ("run", Change::Run),
        ("remove", Change::Remove),
        ("tidy up after", Change::Tidy),
    ] {
        let names: Vec<&str> =
            plan.components.iter().filter(|(_, c)| c.change == change).map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            lines.push(format!("{word} {}", names.join(", ")));
        }
    }
    if !plan.only.is_empty() {
        lines.push(format!("limited to {}: nothing else of {} changes", plan.only.join(", "), plan.project));
    }
    let calls = plan.nodes.iter().filter(|n| n.phase != Phase::Undo && n.action.mutation().is_some()).count();
    lines.push(format!("with {calls} calls that change something; `belayc show` tells each of them and its way back"));
    for node in &plan.nodes {
        if let (Phase::Deploy, Some(reason)) = (node.phase, &node.irreversible) {
            lines.push(format!("cannot be taken back: {} ({reason})", node.summary));
        }
        if let (Phase::Deploy, Some(accepted)) = (node.phase, &node.accepted) {
            lines.push(format!("stays when the run goes back: {} ({})", node.summary, accepted.reason));
        }
    }
    lines
}

/// Whether the plan takes away what somebody may still want: a component, everything, or something for good before the
/// commit point.
fn is_destructive(plan: &Plan) -> bool {
    plan.mode == Mode::Teardown
        || plan.components.values().any(|component| component.change == Change::Remove)
        || plan.nodes.iter().any(|node| node.phase == Phase::Deploy && node.irreversible.is_some())
}

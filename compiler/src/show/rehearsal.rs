//! What a rehearsal of the plan found, in a few lines.
//!
//! Invariant: a rehearsal of another plan says nothing about this one, and the text says that instead.

use std::fmt::Write as _;

use belay_schemas::plan::Plan;
use belay_schemas::rehearsal::{Capacity, End, Rehearsal};

use super::markdown::prose;
use super::timeline::time;

/// Lines of one kind that are shown.
const SHOWN: usize = 5;

/// A part of the comment.
pub(super) fn markdown(plan: &Plan, rehearsal: &Rehearsal) -> String {
    let mut out = String::from("\n#### Rehearsal\n\n");
    for line in lines(plan, rehearsal) {
        let _ = writeln!(out, "- {}", prose(&line));
    }
    out
}

/// What there is to say of it, the verdict first.
pub(super) fn lines(plan: &Plan, rehearsal: &Rehearsal) -> Vec<String> {
    if rehearsal.plan != plan.digest {
        return vec!["This is the rehearsal of another plan: rehearse this one.".to_owned()];
    }
    let runs = rehearsal.runs;
    let mut out = vec![match rehearsal.holds {
        true => format!("It holds: {runs} simulated runs, each ended in the target state or in the initial one."),
        false => {
            let wrong: u64 = rehearsal.violations.iter().map(|violation| violation.runs).sum();
            format!("It does not hold: {wrong} of {runs} simulated runs did not end as they must.")
        }
    }];
    for violation in rehearsal.violations.iter().take(SHOWN) {
        let faults: Vec<String> = violation.faults.iter().map(ToString::to_string).collect();
        let with = if faults.is_empty() { "even without a fault".to_owned() } else { faults.join(", then ") };
        out.push(format!("{} ({with})", violation.what));
    }
    out.extend(more(rehearsal.violations.len(), "ways in which it does not hold"));
    let undisturbed = &rehearsal.undisturbed;
    if let Some(reason) = undisturbed.reason.as_ref().filter(|_| undisturbed.end != End::Target) {
        out.push(format!("Even undisturbed it does not reach the target state: {reason}"));
    }
    out.push(format!("It takes about {}.{}", time(rehearsal.prediction.seconds), slowest(rehearsal)));
    let fell = |(name, capacity): (&String, &Capacity)| {
        let Capacity { start, floor, least, .. } = capacity;
        (least < start).then(|| format!("{name} falls from {start} to {least} healthy (floor {floor})"))
    };
    let falls: Vec<String> = rehearsal.components.iter().filter_map(fell).collect();
    match falls.as_slice() {
        [] => out.push("No component ever has less healthy capacity than before.".to_owned()),
        some => out.push(format!("At worst {}.", some.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))),
    }
    out.extend(more(falls.len(), "components fall as well"));
    let stuck = rehearsal.faults.iter().map(|tally| tally.stuck).sum::<u64>() + rehearsal.pairs.stuck;
    if stuck > 0 {
        out.push(format!(
            "In {stuck} runs a step of the way back was refused for good: the run stops, says so, and belay resume leads on."
        ));
    }
    if let Some(kept) = &undisturbed.kept {
        out.push(format!("A finished run cannot be taken back by hand: {kept}"));
    }
    out
}

/// What decides how long it takes.
fn slowest(rehearsal: &Rehearsal) -> String {
    let step = rehearsal.prediction.path.iter().max_by_key(|step| step.seconds).filter(|step| step.seconds > 0);
    step.map_or(String::new(), |step| format!(" The slowest step is {} with {}.", step.node, time(step.seconds)))
}

fn more(count: usize, what: &str) -> Option<String> {
    (count > SHOWN).then(|| format!("{} more {what}: belay rehearse tells them.", count - SHOWN))
}

#[cfg(test)]
mod tests {
    use belay_schemas::plan::{Inputs, Mode, Target};
    use serde_json::json;

    use super::*;

    fn plan() -> Plan {
        let inputs = Inputs { environment: String::new(), model: String::new(), observed: None };
        let target = Target { account: None, cluster: None, partition: "aws".to_owned(), region: None };
        Plan {
            compiler: None,
            components: Default::default(),
            digest: "sha256:1".to_owned(),
            edges: Vec::new(),
            format: 1,
            inputs,
            mode: Mode::Deploy,
            nodes: Vec::new(),
            notices: Vec::new(),
            only: Vec::new(),
            project: "shop".to_owned(),
            target,
        }
    }

    fn rehearsal(plan: &str) -> Rehearsal {
        let violation = json!({"what": "web fell to 1 of 2", "runs": 3, "trace": [],
            "faults": [{"fault": "rejected", "node": "web.service.update"}, {"fault": "never-ready", "node": "web.service.deployed"}]});
        let document = json!({"format": 1, "project": "shop", "plan": plan, "runs": 40, "seed": 1, "holds": false,
            "undisturbed": {"end": "initial", "seconds": 90, "reason": "the deployment failed"},
            "prediction": {"seconds": 100, "assumed": [], "path": [{"node": "web.service.deployed", "seconds": 90}]},
            "faults": [{"fault": "rejected", "forward": 5, "back": 8, "target": 0, "initial": 13, "stuck": 3, "harmless": 0}],
            "pairs": {"possible": 5, "tried": 5, "stuck": 1}, "strangers": 1, "worst": [], "unknown": [],
            "components": {"api": {"start": 2, "floor": 2, "least": 2}, "web": {"start": 2, "floor": 2, "least": 1}},
            "violations": (0..7).map(|_| violation.clone()).collect::<Vec<_>>()});
        serde_json::from_value(document).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_does_not_hold_comes_first_and_is_bounded() {
        let said = lines(&plan(), &rehearsal("sha256:1"));
        let mut expected = vec!["It does not hold: 21 of 40 simulated runs did not end as they must."];
        let one = "web fell to 1 of 2 (web.service.update: rejected, then web.service.deployed: never becomes ready)";
        expected.extend([one; SHOWN]);
        expected.extend([
            "2 more ways in which it does not hold: belay rehearse tells them.",
            "Even undisturbed it does not reach the target state: the deployment failed",
            "It takes about 1 min 40 s. The slowest step is web.service.deployed with 1 min 30 s.",
            "At worst web falls from 2 to 1 healthy (floor 2).",
            "In 4 runs a step of the way back was refused for good: the run stops, says so, and belay resume leads on.",
        ]);
        assert_eq!(said, expected);
        assert!(markdown(&plan(), &rehearsal("sha256:1")).contains("- It does not hold"));
    }

    #[test]
    fn another_plans_rehearsal_says_nothing_of_this_one() {
        assert_eq!(
            lines(&plan(), &rehearsal("sha256:2")),
            ["This is the rehearsal of another plan: rehearse this one."]
        );
    }
}

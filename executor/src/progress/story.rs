//! The story of a run: from its events to lines that people read.
//!
//! Invariant: pure; the same plan and events give the same lines.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::journal::{CallOutcome, Failure, RunPhase, SessionMode};
use belay_schemas::plan::{Action, Phase, Plan};
use serde_json::Value;

use super::Tone;
use crate::run::{NodeWord, RunEvent, RunStatus, What};
use crate::time::duration;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the epoch on the run's clock.
    pub at: u64,
    /// The node that it is about.
    pub node: Option<String>,
    /// What kind of news it is.
    pub tone: Tone,
    /// The news.
    pub text: String,
    /// Lines that belong below it, indented.
    pub details: Vec<String>,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Its work began, at that time.
    Running(u64),
    /// It is done.
    Done,
    /// It failed, or was left before it was done.
    Over,
}

/// Steps that are done and steps that there are, in the direction in which the run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Done.
    pub done: usize,
    /// Altogether.
    pub all: usize,
}

/// What is known of a run from its events so far.
#[derive(Debug, Clone)]
pub struct Story {
    plan: Plan,
    nodes: BTreeMap<String, NodeState>,
    progress: BTreeMap<String, String>,
    phase: Option<RunPhase>,
    committed: bool,
}

impl Story {
    /// The story of a run of `plan`, before anything happened.
    pub fn new(plan: Plan) -> Self {
        Self { plan, nodes: BTreeMap::new(), progress: BTreeMap::new(), phase: None, committed: false }
    }

    /// The story of a run that is taken up where it stands.
    pub fn from(plan: Plan, status: &RunStatus) -> Self {
        let mut story = Self::new(plan);
        let done = status.nodes.iter().filter(|node| node.state == NodeWord::Done);
        story.nodes = done.map(|node| (node.node.clone(), NodeState::Done)).collect();
        story.phase = Some(status.phase);
        story.committed = status.phase == RunPhase::Finalize;
        story
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The part of the run that it is in.
    pub fn phase(&self) -> Option<RunPhase> {
        self.phase
    }

    /// The nodes that are being worked on, with the time at which each began.
    pub fn running(&self) -> impl Iterator<Item = (&str, u64)> {
        self.nodes.iter().filter_map(|(id, state)| match state {
            NodeState::Running(at) => Some((id.as_str(), *at)),
            NodeState::Done | NodeState::Over => None,
        })
    }

    /// Where a node stands: a wait in its plan's own words or numbers, a call that is made again with the reason.
    pub fn progress(&self, node: &str) -> Option<&str> {
        self.progress.get(node).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// How many steps are done: forward ones, or on the way back the compensations that were begun.
    pub fn tally(&self) -> Tally {
        let back = self.phase == Some(RunPhase::Undo);
        let counted = |id: &str, phase: Phase| {
            if back { phase == Phase::Undo && self.nodes.contains_key(id) } else { phase != Phase::Undo }
        };
        let mut tally = Tally::default();
        for node in self.plan.nodes.iter().filter(|n| counted(&n.id, n.phase)) {
            tally.all += 1;
            tally.done += usize::from(self.nodes.get(&node.id) == Some(&NodeState::Done));
        }
        tally
    }

    /// Takes an event in and says what there is to tell about it.
    pub fn apply(&mut self, event: &RunEvent) -> Vec<Line> {
        let at = event.at;
        let id = event.node.as_deref().unwrap_or_default();
        let line = |tone, text: String| vec![Line { at, node: event.node.clone(), tone, text, details: Vec::new() }];
        match &event.what {
            What::Session { mode } => match mode {
                SessionMode::Apply => Vec::new(),
                SessionMode::Resume => line(Tone::Plain, "resumed".to_owned()),
                SessionMode::Rollback => line(Tone::Warn, "asked to roll back".to_owned()),
            },
            What::Checked { guards, failures } => {
                if failures.is_empty() {
                    return line(Tone::Quiet, assumptions_hold(*guards));
                }
                // One assumption may fail in several fields.
                let broken: BTreeSet<_> = failures.iter().map(|f| (&f.node, &f.read)).collect();
                let text = match (guards, broken.len()) {
                    (1, _) => "the plan's one assumption does not hold".to_owned(),
                    (_, 1) => format!("1 of the plan's {guards} assumptions does not hold"),
                    (_, broken) => format!("{broken} of the plan's {guards} assumptions do not hold"),
                };
                let mut lines = line(Tone::Bad, text);
                lines[0].details = failures.iter().map(ToString::to_string).collect();
                lines
            }
            What::Entered { phase } => {
                self.phase = Some(*phase);
                match phase {
                    RunPhase::Checking | RunPhase::Deploy => Vec::new(),
                    RunPhase::Finalize => {
                        self.committed = true;
                        let text = "commit point reached: the new state stays, what is left is tidying";
                        line(Tone::Good, text.to_owned())
                    }
                    RunPhase::Undo => line(Tone::Warn, "going back to the state before the run".to_owned()),
                }
            }
            What::Started => {
                self.nodes.insert(id.to_owned(), NodeState::Running(at));
                self.progress.remove(id);
                self.beginning(id).map_or_else(Vec::new, |(tone, text)| line(tone, text))
            }
            What::Listed { items } => line(Tone::Quiet, format!("{} in the list", count(*items, "item"))),
            What::Sending { attempt, .. } if *attempt > 1 => {
                self.progress.remove(id);
                line(Tone::Quiet, format!("sent again (attempt {attempt})"))
            }
            What::Answered { outcome, .. } => {
                outcome_said(outcome).map_or_else(Vec::new, |(tone, text)| line(tone, text))
            }
            What::Retrying { operation, reason, at: again } => {
                let text = format!("{operation}: {reason}; again in {}", duration(again.saturating_sub(at)));
                self.progress.insert(id.to_owned(), text.clone());
                line(Tone::Warn, text)
            }
            What::Polled { clocks, holding } => {
                let mut now = said(&clocks.progress);
                if *holding {
                    let held = if now.is_empty() { "holding" } else { ", holding" };
                    now.push_str(held);
                }
                let before = self.progress.insert(id.to_owned(), now.clone());
                let news = !now.is_empty() && before.as_ref() != Some(&now);
                if news { line(Tone::Quiet, now) } else { Vec::new() }
            }
            What::Done { .. } => {
                let took = self.took(at, id);
                self.nodes.insert(id.to_owned(), NodeState::Done);
                if self.plan.node(id).is_some_and(|n| matches!(n.action, Action::Commit { .. })) {
                    // What follows it tells.
                    return Vec::new();
                }
                line(Tone::Good, format!("done in {}", duration(took)))
            }
            What::Failed { failure } => {
                let text = format!("FAILED after {}: {}", duration(self.took(at, id)), failure.reason);
                self.nodes.insert(id.to_owned(), NodeState::Over);
                let mut lines = line(Tone::Bad, text);
                lines[0].details = evidence(failure);
                lines
            }
            What::Abandoned => {
                self.nodes.insert(id.to_owned(), NodeState::Over);
                line(Tone::Quiet, "left".to_owned())
            }
            What::Approved => line(Tone::Good, "approved".to_owned()),
            What::Interrupted { times } => line(Tone::Warn, self.interruption(*times).to_owned()),
            // The verdict tells these.
            What::Sending { .. } | What::Case { .. } | What::Paused { .. } | What::Ended { .. } => Vec::new(),
        }
    }

    /// A step that takes time is told when it begins, any other only when it is done.
    fn beginning(&self, id: &str) -> Option<(Tone, String)> {
        let node = self.plan.node(id)?;
        match &node.action {
            Action::Wait { .. } | Action::Exec { .. } | Action::Http { .. } | Action::Delay { .. } => {
                Some((Tone::Quiet, node.summary.clone()))
            }
            Action::Gate { gate } => Some((Tone::Warn, format!("asks: {}", gate.text))),
            Action::Call { .. } | Action::Read { .. } | Action::Commit { .. } => None,
        }
    }

    fn interruption(&self, times: u32) -> &'static str {
        match (times, self.phase) {
            (0 | 1, _) if self.committed => "interrupted: past the commit point, stopping where it can be resumed",
            (0 | 1, Some(RunPhase::Undo)) => {
                "interrupted: already going back (once more stops where it can be resumed)"
            }
            (0 | 1, _) => "interrupted: turning back (once more stops where it can be resumed)",
            _ => "interrupted again: stopping where it can be resumed",
        }
    }

    fn took(&self, at: u64, node: &str) -> u64 {
        match self.nodes.get(node) {
            Some(NodeState::Running(since)) => at.saturating_sub(*since),
            _ => 0,
        }
    }
}

fn outcome_said(outcome: &CallOutcome) -> Option<(Tone, String)> {
    Some(match outcome {
        // A retry or a failure follows these, and tells.
        CallOutcome::Applied { .. }
        | CallOutcome::Rejected { .. }
        | CallOutcome::Transient { .. }
        | CallOutcome::Unreachable { .. } => return None,
        CallOutcome::Unknown { error } => {
            (Tone::Warn, format!("no certain answer ({error}); finding out whether it took effect"))
        }
        CallOutcome::ProvenApplied { .. } => (Tone::Plain, "it did take effect".to_owned()),
        CallOutcome::ProvenNotApplied {} => (Tone::Plain, "it did not take effect".to_owned()),
    })
}

fn assumptions_hold(guards: u32) -> String {
    match guards {
        0 => "no assumption of the plan is left to look at".to_owned(),
        1 => "the plan's one assumption holds".to_owned(),
        _ => format!("all {guards} assumptions of the plan hold"),
    }
}

/// `1 step`, `2 steps`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A progress value as a few words: texts as they are, lists joined, objects as `name value`.
fn said(progress: &Value) -> String {
    let list = |values: &mut dyn Iterator<Item = String>, between: &str| {
        values.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
    };
    match progress {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => format!("progress {number}"),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(values) => list(&mut values.iter().map(part), ", "),
        Value::Object(map) => list(&mut map.iter().map(|(name, value)| format!("{name} {}", part(value))), ", "),
    }
}

/// A value within a progress value.
fn part(value: &Value) -> String {
    match value {
        Value::Array(values) => values.iter().map(part).collect::<Vec<_>>().join(" "),
        Value::Number(number) => number.to_string(),
        other => said(other),
    }
}

/// The evidence of a failure, as lines.
pub(super) fn evidence(failure: &Failure) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in failure.evidence.iter().filter(|f| !f.lines.is_empty()) {
        lines.push(format!("{}:", finding.title));
        let told = finding.lines.iter().flat_map(|line| line.lines());
        lines.extend(told.map(|line| format!("  {}", without_accounts(line.trim_end_matches([' ', ':'])))));
    }
    lines
}

/// ARNs shortened to what they name: partition, service, region and account are the same for all of them.
fn without_accounts(line: &str) -> String {
    let mut short = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("arn:") {
        let (before, arn) = rest.split_at(at);
        short.push_str(before);
        // arn:partition:service:region:account:resource
        match arn.match_indices(':').nth(4).filter(|(end, _)| !arn[..*end].contains(char::is_whitespace)) {
            Some((end, _)) => rest = &arn[end + 1..],
            None => {
                short.push_str("arn:");
                rest = &arn["arn:".len()..];
            }
        }
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arns_are_shortened_to_what_they_name() {
        assert_eq!(
            without_accounts(
                "(task arn:aws:ecs:us-east-1:1234:task/default/01) in arn:aws:elb:x:1:tg/a/b, no arn: at all"
            ),
            "(task task/default/01) in tg/a/b, no arn: at all"
        );
    }

    #[test]
    fn progress_reads_as_words() {
        let texts = [json!(3), json!({"running": 1, "of": 2}), json!([["a", 1], ["b", 0]]), json!(null), json!("half")];
        let said: Vec<String> = texts.iter().map(said).collect();
        assert_eq!(said, ["progress 3", "of 2, running 1", "a 1, b 0", "", "half"]);
    }
}

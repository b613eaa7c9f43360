//! The last word on a run: how it came out, what the state is now, and what to do next.
//!
//! Invariant: follows from the plan and the run's status alone, so that `status` says the same as the run itself did.

use belay_schemas::journal::PauseReason;
use belay_schemas::plan::{Change, Phase, Plan};
use serde::Serialize;

use super::story::{count, evidence};
use super::{Paint, Tone};
use crate::run::{NodeStatus, NodeWord, Outcome, RunStatus};
use crate::time::duration;

/// A node and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The node.
    pub node: String,
    /// The remark.
    pub text: String,
    /// Lines below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// How a run came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The run's id; empty when there was nothing to run.
    pub run: String,
    /// One word: `done`, `rolled-back`, `stuck`, `stale`, `environment`, `finalize-incomplete`, `paused`, `in-progress`.
    pub state: &'static str,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// What the state is now, in one sentence.
    pub headline: String,
    /// What became of components, in order of their names.
    pub components: Vec<(String, &'static str)>,
    /// What failed and why.
    pub failed: Vec<Remark>,
    /// What keeps the run from being in the old or the new state, why, and what a person has to do.
    pub stuck: Vec<Remark>,
    /// What stays although the run went back, by consent.
    pub kept: Vec<Remark>,
    /// What to do next.
    pub next: Vec<String>,
    #[serde(skip)]
    tone: Tone,
}

impl Verdict {
    /// The verdict on a run. `options` stands behind the commands that are suggested (such as ` --journal DIR`).
    pub fn of(plan: &Plan, status: &RunStatus, options: &str) -> Self {
        let place = format!("{} in {}", plan.project, plan.target.place());
        let took = duration(status.last_at.saturating_sub(status.started_at));
        let steps = |word: NodeWord, phase: &dyn Fn(Phase) -> bool| {
            let counted = status.nodes.iter().filter(|node| node.state == word && phase(node.phase)).count();
            count(counted, "step")
        };
        let kept = remarks(status, NodeWord::Kept, |node| accepted(plan, node));
        let but = if kept.is_empty() { "" } else { ", but for what is named below" };
        let (state, exit_code, tone, headline) = match status.outcome {
            None => {
                let text = format!("In progress: a belay works on {place}, or its process ended without a word.");
                ("in-progress", 8, Tone::Warn, text)
            }
            Some(outcome) => {
                let (word, tone, text) = match outcome {
                    Outcome::NothingToDo => {
                        ("done", Tone::Good, format!("Nothing to do: {place} is as the plan wants it."))
                    }
                    Outcome::Done => {
                        let steps = steps(NodeWord::Done, &|phase| phase != Phase::Undo);
                        ("done", Tone::Good, format!("Done: {place} is as the plan wants it ({steps}, {took})."))
                    }
                    Outcome::RolledBack { requested } => {
                        let steps = steps(NodeWord::Undone, &|phase| phase != Phase::Undo);
                        let tone = if requested { Tone::Good } else { Tone::Warn };
                        let text = format!("Rolled back: {place} is as it was before{but} ({steps} undone, {took}).");
                        ("rolled-back", tone, text)
                    }
                    Outcome::Stuck => {
                        let text =
                            format!("STUCK: {place} is in neither the old nor the new state. A person has to act.");
                        ("stuck", Tone::Bad, text)
                    }
                    Outcome::Stale => {
                        let text = format!("Stale: {place} is not as the plan assumes. Nothing was changed.");
                        ("stale", Tone::Bad, text)
                    }
                    Outcome::Environment => {
                        let why = status.unreachable.as_deref().unwrap_or("no answer");
                        let text = format!("{place} cannot be reached from here ({why}). Nothing was changed.");
                        ("environment", Tone::Bad, text)
                    }
                    Outcome::FinalizeIncomplete => {
                        let text = format!("{place} is as the plan wants it, but not all of the old is gone ({took}).");
                        ("finalize-incomplete", Tone::Warn, text)
                    }
                    Outcome::Paused { reason } => ("paused", Tone::Warn, pause(reason, status, &place)),
                };
                (word, outcome.exit_code(), tone, text)
            }
        };
        let reached = matches!(status.outcome, Some(Outcome::Done | Outcome::FinalizeIncomplete));
        let changed = plan.components.iter().filter_map(|(name, c)| Some((name.clone(), done_word(c.change)?)));
        let failed = status.nodes.iter().filter_map(|node| {
            let failure = node.failure.as_ref()?;
            Some(Remark { node: node.node.clone(), text: failure.reason.clone(), details: evidence(failure) })
        });
        let stuck = status.stuck.iter().map(|stuck| Remark {
            node: stuck.node.clone(),
            text: stuck.reason.clone(),
            details: vec![stuck.todo.clone()],
        });
        Self {
            run: status.run.clone(),
            state,
            exit_code,
            headline,
            components: if reached { changed.collect() } else { Vec::new() },
            failed: if status.outcome == Some(Outcome::Done) { Vec::new() } else { failed.collect() },
            stuck: stuck.collect(),
            kept: if matches!(status.outcome, Some(Outcome::Done)) { Vec::new() } else { kept },
            next: next(status, options),
            tone,
        }
    }

    /// The verdict as lines for people, with or without the evidence of failures.
    pub fn lines(&self, paint: Paint, evidence: bool) -> Vec<String> {
        let mut lines = vec![paint.tone(self.tone, &self.headline)];
        let width = self.components.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        lines.extend(self.components.iter().map(|(name, what)| format!("  {name:<width$}  {what}")));
        let remarked = [("failed", &self.failed), ("stuck at", &self.stuck), ("stays", &self.kept)];
        for (title, remark) in remarked.into_iter().flat_map(|(title, list)| list.iter().map(move |r| (title, r))) {
            lines.push(format!("  {title} {}: {}", paint.tone(Tone::Subject, &remark.node), remark.text));
            let details = remark.details.iter().filter(|_| evidence || title != "failed");
            lines.extend(details.map(|detail| format!("      {detail}")));
        }
        lines.extend(self.next.iter().map(|next| format!("  {} {next}", paint.tone(Tone::Good, "next:"))));
        lines
    }
}

fn remarks(status: &RunStatus, word: NodeWord, text: impl Fn(&NodeStatus) -> String) -> Vec<Remark> {
    let nodes = status.nodes.iter().filter(|node| node.state == word);
    nodes.map(|node| Remark { node: node.node.clone(), text: text(node), details: Vec::new() }).collect()
}

fn accepted(plan: &Plan, node: &NodeStatus) -> String {
    let accepted = plan.node(&node.node).and_then(|n| n.accepted.as_ref());
    accepted.map_or_else(|| node.summary.clone(), |a| format!("{} (accepted: {})", node.summary, a.reason))
}

fn pause(reason: PauseReason, status: &RunStatus, place: &str) -> String {
    let nodes = status.waiting_for.join(", ");
    match reason {
        PauseReason::Gate => format!("Paused for approval of {nodes}."),
        PauseReason::Failure => format!("Paused after a failure: {place} is in between."),
        PauseReason::Environment => {
            let why = status.unreachable.as_deref().unwrap_or("no answer");
            format!("Paused: {place} cannot be reached from here any more ({why}).")
        }
        PauseReason::Interrupt => format!("Interrupted: {place} is in between."),
    }
}

fn next(status: &RunStatus, options: &str) -> Vec<String> {
    let command = |what: &str| format!("belay {what} {}{options}", status.run);
    let resume = |what: &str| format!("`{}` {what}", command("resume"));
    let back = format!("`{}` takes back what was done", command("rollback"));
    match status.outcome {
        None => vec![format!("if no belay is at work on it, {}", resume("goes on")), back],
        Some(Outcome::NothingToDo | Outcome::Done | Outcome::RolledBack { .. }) => Vec::new(),
        Some(Outcome::Stuck) => vec![format!("then {}", resume("tries the way back again"))],
        Some(Outcome::Stale) => vec!["observe and compile again, and review the new plan".to_owned()],
        Some(Outcome::Environment) => vec!["put that right and apply the plan again".to_owned()],
        Some(Outcome::FinalizeIncomplete) => vec![resume("tries the rest again")],
        Some(Outcome::Paused { reason: PauseReason::Gate }) => {
            let approvals: String = status.waiting_for.iter().map(|node| format!(" --approve {node}")).collect();
            vec![format!("`{}{approvals}` answers yes and goes on", command("resume")), back]
        }
        Some(Outcome::Paused { reason: PauseReason::Failure }) => vec![resume("tries again"), back],
        Some(Outcome::Paused { .. }) => vec![resume("goes on"), back],
    }
}

fn done_word(change: Change) -> Option<&'static str> {
    match change {
        Change::Create => Some("created"),
        Change::Update => Some("updated"),
        Change::Scale => Some("scaled"),
        Change::Run => Some("run"),
        Change::Remove => Some("removed"),
        Change::Tidy => Some("tidied"),
        Change::None => None,
    }
}

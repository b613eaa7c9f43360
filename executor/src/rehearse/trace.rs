//! What happened in a run, in one line each. Invariant: a line is written once, from the event alone.

use belay_schemas::journal::{CallOutcome, Ending, RunPhase, SessionMode};

use crate::run::{RunEvent, What};

/// The line of an event; nothing for what would only lengthen the story.
pub(super) fn words(event: &RunEvent) -> Option<String> {
    let node = event.node.as_deref().unwrap_or_default();
    Some(match &event.what {
        What::Session { mode } => match mode {
            SessionMode::Apply => "an executor begins the run".to_owned(),
            SessionMode::Resume => "another executor resumes the run".to_owned(),
            SessionMode::Rollback => "an executor is asked to take the run back".to_owned(),
        },
        What::Checked { failures, .. } if failures.is_empty() => return None,
        What::Checked { failures, .. } => {
            let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
            format!("stale: {}", words.join("; "))
        }
        What::Entered { phase } => match phase {
            RunPhase::Checking => return None,
            RunPhase::Deploy => "forward".to_owned(),
            RunPhase::Finalize => "past the commit point".to_owned(),
            RunPhase::Undo => "back".to_owned(),
        },
        What::Sending { call, attempt, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("{node}: sends {} {}{again}", call.service, call.operation)
        }
        What::Answered { outcome, .. } => match outcome {
            CallOutcome::Applied { .. } => return None,
            CallOutcome::Rejected { error } => format!("{node}: refused: {error}"),
            CallOutcome::Transient { error } | CallOutcome::Unreachable { error } => {
                format!("{node}: not now: {error}")
            }
            CallOutcome::Unknown { error } => format!("{node}: outcome unknown: {error}"),
            CallOutcome::ProvenApplied { .. } => format!("{node}: the probe says that it took effect"),
            CallOutcome::ProvenNotApplied {} => format!("{node}: the probe says that it did not take effect"),
        },
        What::Done { .. } => format!("{node}: done"),
        What::Failed { failure } => format!("{node}: failed: {}", failure.reason),
        What::Abandoned => format!("{node}: left"),
        What::Case { case, taken: true, .. } => format!("{node}: way back {}", case + 1),
        What::Case { case, taken: false, why } => {
            format!("{node}: not way back {}: {}", case + 1, why.as_deref().unwrap_or("its condition is false"))
        }
        What::Approved => format!("{node}: approved"),
        What::Interrupted { .. } => "interrupted".to_owned(),
        What::Paused { reason, .. } => format!("paused ({reason:?})").to_lowercase(),
        What::Ended { outcome } => match outcome {
            Ending::Done => "end: done".to_owned(),
            Ending::RolledBack => "end: rolled back".to_owned(),
            Ending::Stuck => "end: stuck".to_owned(),
            Ending::Stale => "end: stale, nothing was changed".to_owned(),
            Ending::Environment => "end: not reachable, nothing was changed".to_owned(),
            Ending::FinalizeIncomplete => "end: target reached, not all tidied".to_owned(),
        },
        What::Started | What::Listed { .. } | What::Retrying { .. } | What::Polled { .. } => return None,
    })
}

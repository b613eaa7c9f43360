//! `status`: how a run stands, or all of them.

use std::fmt::Write;

use belay_executor::journal::Shelf;
use belay_executor::progress::{Paint, Tone, Verdict};
use belay_executor::run::{self, NodeWord, RunStatus};
use belay_executor::time::{duration, rfc3339};
use belay_schemas::plan::{Phase, Plan};
use serde_json::{Value, json};

use crate::cli::{self, Format};
use crate::failure::Failure;
use crate::files;
use crate::session::journal_option;
use crate::shelf;

/// `belay status`
pub async fn status(args: &cli::Status) -> Result<u8, Failure> {
    let journal = &args.journal.journal;
    let runs = shelf::open(journal).await?;
    if args.list {
        return list(runs.as_ref(), args.format);
    }
    let run = runs.find(args.run.as_deref())?;
    let (status, plan) = run::status_on(runs.as_ref(), &run)?;
    let verdict = Verdict::of(&plan, &status, &journal_option(journal));
    let text = match args.format {
        Format::Json => {
            let document = json!({"status": status, "verdict": verdict});
            format!("{document}\n")
        }
        Format::Human => human(&status, &plan, &verdict),
    };
    files::write(None, &text)?;
    Ok(0)
}

fn human(status: &RunStatus, plan: &Plan, verdict: &Verdict) -> String {
    let paint = Paint::of(&std::io::stdout());
    let mut text = String::new();
    let world = status.world.as_ref().map(|world| format!(", simulated world {world}")).unwrap_or_default();
    let region = status.region.as_ref().map(|region| format!(", {region}")).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "run {} of {} in {} (account {}{region}{world})",
        paint.tone(Tone::Subject, &status.run),
        paint.tone(Tone::Subject, &status.project),
        plan.target.place(),
        status.account
    );
    let _ = writeln!(
        text,
        "plan {}, begun {}, last news {}",
        status.plan,
        rfc3339(status.started_at),
        rfc3339(status.last_at)
    );
    for approver in &status.approved_by {
        let _ = writeln!(text, "approved by {} ({}), until {}", approver.signer, approver.key, approver.expires);
    }
    for line in verdict.lines(paint, true) {
        let _ = writeln!(text, "{line}");
    }
    let shown: Vec<_> =
        status.nodes.iter().filter(|node| node.phase != Phase::Undo || node.state != NodeWord::Pending).collect();
    let width = shown.iter().map(|node| node.node.len()).max().unwrap_or(0);
    if !shown.is_empty() {
        text.push('\n');
    }
    for node in shown {
        let (word, tone) = word(node.state);
        let took = node.elapsed.filter(|_| node.state != NodeWord::Pending).map(duration).unwrap_or_default();
        let word = paint.tone(tone, &format!("{word:<8}"));
        let _ = writeln!(text, "{word}  {:<width$}  {took:>11}  {}", node.node, node.summary);
    }
    text
}

fn word(state: NodeWord) -> (&'static str, Tone) {
    match state {
        NodeWord::Pending => ("-", Tone::Quiet),
        NodeWord::Running => ("running", Tone::Warn),
        NodeWord::Done => ("done", Tone::Good),
        NodeWord::Failed => ("FAILED", Tone::Bad),
        NodeWord::Unknown => ("unknown", Tone::Warn),
        NodeWord::Undone => ("undone", Tone::Warn),
        NodeWord::Stuck => ("STUCK", Tone::Bad),
        NodeWord::Kept => ("stays", Tone::Warn),
    }
}

/// All runs of a journal directory, the newest first. One that cannot be read is listed with the reason.
fn list(runs: &dyn Shelf, format: Format) -> Result<u8, Failure> {
    let mut rows = Vec::new();
    for name in runs.ids()?.into_iter().rev() {
        rows.push(match run::status_on(runs, &name) {
            Ok((status, plan)) => {
                let verdict = Verdict::of(&plan, &status, "");
                json!({"run": name, "project": status.project, "begun": rfc3339(status.started_at),
                       "state": verdict.state, "headline": verdict.headline})
            }
            Err(error) => json!({"run": name, "state": "unreadable", "headline": error.to_string()}),
        });
    }
    let text = match format {
        Format::Json => format!("{}\n", json!({"runs": rows})),
        Format::Human if rows.is_empty() => format!("no runs in {} yet\n", runs.name()),
        Format::Human => {
            let cell = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
            rows.iter().map(|row| format!("{}  {}\n", cell(row, "run"), cell(row, "headline"))).collect()
        }
    };
    files::write(None, &text)?;
    Ok(0)
}

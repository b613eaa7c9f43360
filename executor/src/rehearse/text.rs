//! The report for people.
//!
//! Invariants: it depends on the report alone, so that it can be compared with a committed one; no line is wider than
//! a review shows unless a name in it is.

use std::fmt::Write as _;

use belay_schemas::rehearsal::{End, Rehearsal, Tally, Violation};

use crate::time::duration;

/// Parts that are told, and components of each.
const PARTS: usize = 10;
const NAMED: usize = 5;

/// The report as text.
#[must_use]
pub fn text(report: &Rehearsal) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut out, report);
    let _ = faults(&mut out, report);
    let _ = capacity(&mut out, report);
    let _ = time(&mut out, report);
    let _ = rest(&mut out, report);
    for (at, violation) in report.violations.iter().enumerate() {
        let _ = wrong(&mut out, at + 1, violation);
    }
    out
}

fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn head(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    writeln!(out, "rehearsal of {}", report.project)?;
    writeln!(out, "plan {}", report.plan)?;
    writeln!(out)?;
    let runs = count(report.runs, "run", "runs");
    if report.holds {
        writeln!(out, "holds: {runs}, each ended in the target state or in the initial state")?;
    } else {
        let kinds = count(report.violations.len() as u64, "way", "ways");
        writeln!(out, "DOES NOT HOLD: {runs}, some of them wrong in {kinds}, told below")?;
    }
    let undisturbed = &report.undisturbed;
    let (end, reason) = (end(undisturbed.end), undisturbed.reason.as_deref());
    match reason {
        None => writeln!(out, "undisturbed it ends in {end}")?,
        Some(reason) => writeln!(out, "undisturbed it ends in {end}: {reason}")?,
    }
    if let Some(kept) = &undisturbed.kept {
        writeln!(out, "finished, it cannot be taken back by hand: {kept}")?;
    }
    parts(out, report)
}

fn parts(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    if report.parts.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(
        out,
        "{} parts share nothing: what turns the run back is tried with the whole plan, the rest within its part",
        report.parts.len()
    )?;
    for components in report.parts.iter().take(PARTS) {
        let named: Vec<&str> = components.iter().take(NAMED).map(String::as_str).collect();
        let more = components.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(
            out,
            "  {}{more}",
            if named.is_empty() { "what belongs to no component".to_owned() } else { named.join(", ") }
        )?;
    }
    match report.parts.len().saturating_sub(PARTS) {
        0 => Ok(()),
        more => writeln!(out, "  and {}", count(more as u64, "more part", "more parts")),
    }
}

fn end(end: End) -> &'static str {
    match end {
        End::Target => "the target state",
        End::Initial => "the initial state",
        End::Neither => "neither the target nor the initial state",
    }
}

fn faults(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    if report.faults.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "Each fault at each step (and at each compensation, after a first fault)")?;
    let width = report.faults.iter().map(|tally| tally.fault.words().len()).max().unwrap_or(0);
    writeln!(out, "  {:<width$}  steps  comp.  target  initial  stuck first  no effect", "")?;
    for tally in &report.faults {
        let Tally { fault, forward, back, target, initial, stuck, harmless } = tally;
        let fault = fault.words();
        writeln!(
            out,
            "  {fault:<width$}  {forward:>5}  {back:>5}  {target:>6}  {initial:>7}  {stuck:>11}  {harmless:>9}"
        )?;
    }
    if report.strangers > 0 {
        let (runs, are) = (count(report.strangers, "run", "runs"), if report.strangers == 1 { "is" } else { "are" });
        writeln!(
            out,
            "  somebody else deploys or resizes before the run: {runs}, which {are} refused before the first change"
        )?;
    }
    let pairs = &report.pairs;
    if pairs.possible > 0 {
        let stuck = if pairs.stuck > 0 { format!(", {} stuck first", pairs.stuck) } else { String::new() };
        writeln!(
            out,
            "  further pairs of faults, the second one on the way back: {} of {}, drawn with seed {}{stuck}",
            pairs.tried, pairs.possible, report.seed
        )?;
    }
    if report.faults.iter().any(|tally| tally.stuck > 0) || pairs.stuck > 0 {
        writeln!(
            out,
            "  stuck first: a compensation cannot be done; the run says so, and `resume` leads on afterwards"
        )?;
    }
    Ok(())
}

fn capacity(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    let shown: Vec<_> = report.components.iter().filter(|(_, c)| c.start > 0 || c.floor > 0).collect();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "Healthy at every moment of every run")?;
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    writeln!(out, "  {:<width$}  before  floor  least", "")?;
    for (name, c) in shown {
        let run = c.least_in.as_ref().map(|run| format!("  ({run})")).unwrap_or_default();
        writeln!(out, "  {name:<width$}  {:>6}  {:>5}  {:>5}{run}", c.start, c.floor, c.least)?;
    }
    Ok(())
}

fn time(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    let (predicted, simulated) = (&report.prediction, &report.undisturbed);
    writeln!(out)?;
    writeln!(
        out,
        "Takes about {} (worked out from the plan; {} on the simulated clock)",
        duration(predicted.seconds * 1000),
        duration(simulated.seconds * 1000)
    )?;
    let width = predicted.path.iter().map(|step| step.node.len()).max().unwrap_or(0);
    for step in &predicted.path {
        writeln!(out, "  {:<width$}  {:>12}  {}", step.node, duration(step.seconds * 1000), step.because)?;
    }
    for assumed in &predicted.assumed {
        writeln!(out, "  assumed: {assumed}")?;
    }
    Ok(())
}

fn rest(out: &mut String, report: &Rehearsal) -> std::fmt::Result {
    if !report.worst.is_empty() {
        writeln!(out)?;
        writeln!(out, "Worst moments")?;
        for worst in &report.worst {
            writeln!(out, "  {}\n    {}", worst.what, worst.run)?;
        }
    }
    if !report.unvisited.is_empty() {
        writeln!(out)?;
        writeln!(out, "Compensations that no run needed")?;
        for node in &report.unvisited {
            writeln!(out, "  {node}")?;
        }
    }
    if !report.unknown.is_empty() {
        writeln!(out)?;
        writeln!(out, "What this cannot know")?;
        for unknown in &report.unknown {
            writeln!(out, "  {unknown}")?;
        }
    }
    Ok(())
}

fn wrong(out: &mut String, number: usize, violation: &Violation) -> std::fmt::Result {
    writeln!(out)?;
    writeln!(out, "Wrong {number}: {}", violation.what)?;
    writeln!(out, "  in {}; the shortest:", count(violation.runs, "run", "runs"))?;
    for fault in &violation.faults {
        writeln!(out, "  fault: {fault}")?;
    }
    for line in &violation.trace {
        writeln!(out, "  {:>6} s  {}", line.at, line.what)?;
    }
    Ok(())
}

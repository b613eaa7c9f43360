//! A plan as a text that a person reads in a minute: what changes and why, what cannot be taken back, then the steps in
//! the order in which they run, each with what it waits for and the way back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use belay_schemas::plan::{Action, Change, EdgeKind, Mode, Moment, Node, Phase, Plan, Target, Wait};

use super::order;
use super::value::reason;
use super::verdict::{changes, count, destroyed, final_steps, join, operation, reasons, verdict};

/// Unchanged components that are named before they are only counted.
const UNCHANGED: usize = 12;

/// The listing of a plan.
pub fn text(plan: &Plan) -> String {
    let mut listing = Listing::new(plan);
    listing.header();
    listing.notices();
    if !plan.nodes.is_empty() {
        listing.components();
        listing.steps();
    }
    listing.out
}

struct Listing<'a> {
    plan: &'a Plan,
    out: String,
    /// For each node the forward nodes that it waits for, without reads before the start and the commit point.
    after: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Listing<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for edge in plan.edges.iter().filter(|e| e.kind == EdgeKind::After) {
            if plan.node(&edge.from).is_some_and(|n| n.phase != Phase::Preflight && n.action.kind() != "commit") {
                after.entry(&edge.to).or_default().push(&edge.from);
            }
        }
        Self { plan, out: String::new(), after }
    }

    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn header(&mut self) {
        let plan = self.plan;
        let target = &plan.target;
        let (verb, direction) = match plan.mode {
            Mode::Deploy => ("deploy", "to"),
            Mode::Teardown => ("tear down", "in"),
        };
        let region = target.region.as_deref().map_or("a region known when it is applied".to_owned(), str::to_owned);
        let account =
            target.account.as_deref().map_or("an account known when it is applied".into(), |a| format!("account {a}"));
        let place = place(target);
        let partition = if target.partition == "aws" { String::new() } else { format!(" ({})", target.partition) };
        self.line(0, &format!("{verb} {} {direction} {}, {region}, {account}{partition}", plan.project, place));
        self.line(0, &format!("plan {}", plan.digest));
        self.out.push('\n');
        self.line(0, &verdict(plan));
        if plan.nodes.is_empty() {
            return;
        }
        match destroyed(plan).as_slice() {
            [] => self.line(0, "Nothing is destroyed."),
            nodes => {
                self.line(0, "Destroyed after the commit point, when nothing can fail any more:");
                nodes.iter().for_each(|n| self.line(2, &n.summary));
            }
        }
        let final_steps = final_steps(plan);
        if final_steps.is_empty() {
            self.line(0, "Until the commit point everything can be undone.");
            return;
        }
        self.line(0, "Cannot be undone, although the run may still fail after it:");
        for node in final_steps {
            self.line(2, &node.summary);
            if let Some(reason) = &node.irreversible {
                self.line(4, &format!("because {reason}"));
            }
            if let Some(accepted) = &node.accepted {
                self.line(4, &format!("accepted at {}: {}", accepted.at, accepted.reason));
            }
        }
    }

    fn notices(&mut self) {
        let plan = self.plan;
        if !plan.notices.is_empty() {
            self.out.push_str("\nWarnings\n");
        }
        for notice in &plan.notices {
            let at = notice.at.as_ref().map_or(String::new(), |at| format!("  ({at})"));
            self.line(2, &format!("{} {}{at}", notice.code, notice.message));
        }
    }

    fn components(&mut self) {
        let plan = self.plan;
        let reasons = reasons(plan);
        let changed: Vec<_> = plan.components.iter().filter(|(_, c)| c.change != Change::None).collect();
        if !changed.is_empty() {
            self.out.push_str("\nComponents\n");
        }
        for (name, summary) in changed {
            let what = changes(summary.change);
            let floor =
                if summary.floor == 0 { String::new() } else { format!(", never below {} healthy", summary.floor) };
            self.line(2, &format!("{name} {what}{floor}"));
            for why in reasons.get(name.as_str()).into_iter().flatten() {
                self.line(4, &reason(name, why));
            }
        }
        for why in reasons.get("").into_iter().flatten() {
            self.line(2, &reason("", why));
        }
        let unchanged: Vec<String> =
            plan.components.iter().filter(|(_, c)| c.change == Change::None).map(|(n, _)| n.clone()).collect();
        match unchanged.len() {
            0 => {}
            n if n > UNCHANGED => self.line(2, &format!("{n} more stay as they are")),
            1 => self.line(2, &format!("{} stays as it is", unchanged[0])),
            _ => self.line(2, &format!("{} stay as they are", join(&unchanged))),
        }
    }

    fn steps(&mut self) {
        let steps = order::forward(self.plan);
        let reads = steps.iter().filter(|n| n.phase == Phase::Preflight).count();
        let starts = self.plan.nodes.iter().flat_map(|n| &n.guards).filter(|g| g.at == Some(Moment::Start)).count();
        let mut checks: Vec<String> = Vec::new();
        if reads > 0 {
            checks.push(count(reads, "thing is looked up", "things are looked up"));
        }
        if starts > 0 {
            checks.push(count(starts, "assumption is checked again", "assumptions are checked again"));
        }
        if !checks.is_empty() {
            let checks = join(&checks);
            let _ = writeln!(self.out, "\nBefore anything changes: {checks}; a plan that no longer fits is refused.");
        }
        self.out.push_str("\nSteps\n");
        let mut number = 0;
        for node in steps {
            match (&node.action, node.phase) {
                (_, Phase::Preflight) => {}
                (Action::Commit { commit }, _) => {
                    let _ = writeln!(self.out, "\n  ──── commit point: {commit}\n");
                }
                _ => {
                    number += 1;
                    self.step(node, number);
                }
            }
        }
    }

    fn step(&mut self, node: &'a Node, number: usize) {
        self.line(0, &format!("{number:>3}  {}", node.summary));
        let mut line = format!("{}  [{}]", node.id, operation(&node.action));
        if let Some(after) = self.after.get(node.id.as_str()) {
            let _ = write!(line, "  after {}", after.join(", "));
        }
        self.line(5, &line);
        if let Some(each) = &node.each {
            self.line(5, &format!("in portions of {}, at most {} in all", each.chunk, each.max));
        }
        if let Action::Wait { wait } = &node.action {
            self.line(5, &limits(wait));
        }
        if let Action::Gate { gate } = &node.action {
            self.line(5, &format!("asks: {}", gate.text));
        }
        if let Some(obligation) = &node.obligation {
            self.line(5, &format!("{}, until {}", obligation.what, obligation.forward));
        }
        if let (Phase::Deploy, Some(reason)) = (node.phase, &node.irreversible) {
            self.line(5, &format!("no way back: {reason}"));
        }
        for (index, case) in node.undo.iter().enumerate() {
            let when = match &case.when {
                Some(when) => format!("if {}: ", when.summary.as_ref().unwrap_or(&when.is)),
                None if index > 0 => "otherwise: ".to_owned(),
                None => String::new(),
            };
            let steps: Vec<String> = case.nodes.iter().map(|id| self.compensation(id)).collect();
            let steps = if steps.is_empty() { "nothing to do".to_owned() } else { steps.join(", then ") };
            self.line(5, &format!("way back: {when}{steps}"));
        }
        if !node.undo.is_empty() && node.undo.iter().all(|case| case.when.is_some()) {
            self.line(5, "way back: otherwise stuck, and a person decides");
        }
    }

    fn compensation(&self, id: &str) -> String {
        match self.plan.node(id) {
            Some(node) => node.summary.clone(),
            None => format!("{id} (not in the plan)"),
        }
    }
}

/// Where a plan works inside of its region.
pub(super) fn place(target: &Target) -> String {
    target.cluster.as_ref().map_or(target.place().to_owned(), |name| format!("cluster {name}"))
}

/// How long a wait looks, and when it gives up.
pub(super) fn limits(wait: &Wait) -> String {
    let mut parts = vec![format!("looks every {} s", wait.interval)];
    if wait.hold > 0 {
        parts.push(format!("has to last {} s", wait.hold));
    }
    let progress =
        if wait.progress.is_some() { format!("{} s without progress or ", wait.no_progress) } else { String::new() };
    parts.push(format!("gives up after {progress}{} s in all", wait.overall));
    parts.join(", ")
}

//! A plan as a text that a person reads in a minute: what changes and why, what cannot be taken back, then the steps in
//! the order in which they run, each with what it waits for and the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use belay_schemas::plan::{Action, Change, EdgeKind, Mode, Moment, Node, Phase, Plan, Wait, Why, pretty};
use serde_json::Value;

use super::order;
use super::verdict::{count, join, operation, verdict};

/// Characters of a value before it is cut.
const VALUE: usize = 80;

/// Differences inside of one value before they are only counted.
const LEAVES: usize = 3;

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

/// One node with everything that hangs on it.
pub fn node(plan: &Plan, id: &str) -> Option<String> {
    let node = plan.node(id)?;
    let mut listing = Listing::new(plan);
    listing.step(node, None);
    let names = |list: Vec<&str>| if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
    let before = plan.edges.iter().filter(|e| e.to == id).map(|e| e.from.as_str()).collect();
    let after = plan.edges.iter().filter(|e| e.from == id).map(|e| e.to.as_str()).collect();
    let _ = write!(listing.out, "\nBefore it: {}\nAfter it: {}\n\n", names(before), names(after));
    listing.out.push_str(&pretty(node));
    Some(listing.out)
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
        let place = target.cluster.as_ref().map_or(target.place().to_owned(), |name| format!("cluster {name}"));
        let partition = if target.partition == "aws" { String::new() } else { format!(" ({})", target.partition) };
        self.line(0, &format!("{verb} {} {direction} {}, {region}, {account}{partition}", plan.project, place));
        self.line(0, &format!("plan {}", plan.digest));
        self.out.push('\n');
        self.line(0, &verdict(plan));
        if plan.nodes.is_empty() {
            return;
        }
        let destroyed: Vec<&Node> =
            plan.nodes.iter().filter(|n| n.phase == Phase::Finalize && n.action.mutation().is_some()).collect();
        match destroyed.as_slice() {
            [] => self.line(0, "Nothing is destroyed."),
            nodes => {
                self.line(0, "Destroyed after the commit point, when nothing can fail any more:");
                nodes.iter().for_each(|n| self.line(2, &n.summary));
            }
        }
        let final_steps: Vec<&Node> = plan
            .nodes
            .iter()
            .filter(|n| n.phase == Phase::Deploy && (n.irreversible.is_some() || n.accepted.is_some()))
            .collect();
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
        let mut reasons: BTreeMap<&str, Vec<&Why>> = BTreeMap::new();
        for node in plan.nodes.iter().filter(|n| n.phase != Phase::Undo) {
            let list = reasons.entry(node.component.as_deref().unwrap_or_default()).or_default();
            for why in &node.why {
                if !list.contains(&why) {
                    list.push(why);
                }
            }
        }
        let changed: Vec<_> = plan.components.iter().filter(|(_, c)| c.change != Change::None).collect();
        if !changed.is_empty() {
            self.out.push_str("\nComponents\n");
        }
        for (name, summary) in changed {
            let what = match summary.change {
                Change::Create => "is created",
                Change::Update => "is updated",
                Change::Scale => "is scaled",
                Change::Remove => "is removed",
                Change::Tidy => "is tidied up: nothing that runs changes",
                Change::None => continue,
            };
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
                    self.step(node, Some(number));
                }
            }
        }
    }

    fn step(&mut self, node: &'a Node, number: Option<usize>) {
        let shown = number.map_or(String::new(), |n| format!("{n:>3}  "));
        self.line(0, &format!("{shown}{}", node.summary));
        let mut line = format!("{}  [{}]", node.id, operation(&node.action));
        if let (Some(_), Some(after)) = (number, self.after.get(node.id.as_str())) {
            let _ = write!(line, "  after {}", after.join(", "));
        }
        self.line(5, &line);
        if let Some(each) = &node.each {
            self.line(5, &format!("in portions of {}, at most {} in all", each.chunk, each.max));
        }
        if let Action::Wait { wait } = &node.action {
            self.line(5, &limits(wait));
            if number.is_none() {
                for fail in &wait.fail {
                    self.line(5, &format!("fails at once when {}", fail.reason));
                }
            }
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

fn limits(wait: &Wait) -> String {
    let mut parts = vec![format!("looks every {} s", wait.interval)];
    if wait.hold > 0 {
        parts.push(format!("has to last {} s", wait.hold));
    }
    let progress =
        if wait.progress.is_some() { format!("{} s without progress or ", wait.no_progress) } else { String::new() };
    parts.push(format!("gives up after {progress}{} s in all", wait.overall));
    parts.join(", ")
}

/// `image: nginx:1.12 → nginx:1.13  (model.yaml:4:12)`.
fn reason(component: &str, why: &Why) -> String {
    let own = format!("/components/{component}");
    let path = why.path.strip_prefix(&own).filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(&why.path);
    let path = path.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
    let at = why.at.as_ref().map_or(String::new(), |at| format!("  ({at})"));
    let change = match (&why.from, &why.to) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, to) => format!(": {}", short(to)),
        (from, Value::Null) => format!(": {} → nothing", short(from)),
        (from, to) => between(from, to),
    };
    let line = format!("{path}{change}{at}");
    line.trim_start_matches(": ").to_owned()
}

/// Of two mappings or lists, what differs; of anything else, both.
fn between(from: &Value, to: &Value) -> String {
    let mut leaves = Vec::new();
    differences(String::new(), from, to, &mut leaves);
    let more = leaves.len().saturating_sub(LEAVES);
    leaves.truncate(LEAVES);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(": {}{tail}", leaves.join(", "))
}

/// `path: old → new` for each value that differs.
fn differences(path: String, from: &Value, to: &Value, out: &mut Vec<String>) {
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    let at = |path: &str| if path.is_empty() { String::new() } else { format!("{path}: ") };
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differences(below(key), old, new, out),
                    (None, Some(new)) => out.push(format!("{}{} added", at(&below(key)), short(new))),
                    (Some(_), None) => out.push(format!("{} removed", below(key))),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if old.iter().chain(new).any(Value::is_object) => {
            // Items have no names: those at the same place are compared, the rest came or went.
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(below(&index.to_string()), old, new, out);
            }
            out.extend(old.iter().skip(new.len()).map(|item| format!("{}{} removed", at(&path), short(item))));
            out.extend(new.iter().skip(old.len()).map(|item| format!("{}{} added", at(&path), short(item))));
        }
        (from, to) if from == to => {}
        (from, to) => out.push(format!("{}{} → {}", at(&path), short(from), short(to))),
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        // Of an ARN what tells it from others: partition, service, region and account are the plan's.
        Value::String(text) if text.starts_with("arn:") => text.splitn(6, ':').last().unwrap_or(text).to_owned(),
        Value::String(text) if !text.is_empty() && !text.contains('\n') => text.clone(),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("{key}: {}", short(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

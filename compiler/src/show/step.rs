//! One step explained: the input line that asks for it, the rule that makes it, its call, its guards, its way back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use belay_schemas::plan::{Action, Call, EdgeKind, Node, Phase, Plan, Why, pretty};
use serde_json::Value;

use super::rules;
use super::text::limits;
use super::value::{reason, short};
use super::verdict::{operation, reasons};

/// A step with everything that hangs on it, or nothing when the plan has no such step.
pub fn node(plan: &Plan, id: &str) -> Option<String> {
    let node = plan.node(id)?;
    let mut out = format!("{}\n{}  [{}]\n", node.summary, node.id, operation(&node.action));
    for (title, text) in parts(plan, node, &reasons(plan)) {
        let _ = writeln!(out, "\n{title}");
        for line in text.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    Some(out)
}

/// Titles and texts of a step's explanation.
pub(super) fn parts(plan: &Plan, node: &Node, reasons: &BTreeMap<&str, Vec<&Why>>) -> Vec<(&'static str, String)> {
    let mut page = Page { plan, out: Vec::new() };
    page.input(node, reasons);
    if let Some(rule) = rules::rule(node) {
        page.title("Rule");
        page.line(0, rule);
    }
    page.order(node);
    page.action(node);
    page.guards(node);
    page.probe(node);
    page.undo(node);
    page.out
}

struct Page<'a> {
    plan: &'a Plan,
    out: Vec<(&'static str, String)>,
}

impl Page<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        let Some((_, out)) = self.out.last_mut() else { return };
        for line in text.lines() {
            let _ = writeln!(out, "{:indent$}{line}", "");
        }
    }

    fn title(&mut self, title: &'static str) {
        self.out.push((title, String::new()));
    }

    fn input(&mut self, node: &Node, all: &BTreeMap<&str, Vec<&Why>>) {
        let component = node.component.as_deref().unwrap_or_default();
        self.title("Input");
        let (why, own): (Vec<&Why>, bool) = match (node.why.is_empty(), all.get(component)) {
            (false, _) => (node.why.iter().collect(), true),
            (true, Some(reasons)) => (reasons.clone(), false),
            (true, None) => (Vec::new(), false),
        };
        match (own, why.is_empty()) {
            (_, true) => self.line(0, "none: every run of such a plan has this step"),
            (true, false) => {}
            (false, false) => self.line(0, "none of its own; it follows from what changes here:"),
        }
        for why in why {
            self.line(0, &reason(component, why));
        }
    }

    fn order(&mut self, node: &Node) {
        self.title("Order");
        let with = |kind: EdgeKind| self.plan.edges.iter().filter(move |e| e.kind == kind);
        let list = |names: Vec<&str>| names.join(", ");
        let kind = if node.phase == Phase::Undo { EdgeKind::UndoAfter } else { EdgeKind::After };
        let before: Vec<&str> = with(kind).filter(|e| e.to == node.id).map(|e| e.from.as_str()).collect();
        let after: Vec<&str> = with(kind).filter(|e| e.from == node.id).map(|e| e.to.as_str()).collect();
        let undoes: Vec<&str> = with(EdgeKind::Undo).filter(|e| e.to == node.id).map(|e| e.from.as_str()).collect();
        let phase = match node.phase {
            Phase::Preflight => "before anything changes",
            Phase::Deploy => "before the commit point",
            Phase::Finalize => "after the commit point",
            Phase::Undo => "only on the way back",
        };
        let lines = [
            Some(format!("runs {phase}")),
            (!undoes.is_empty()).then(|| format!("takes back {}", list(undoes))),
            (!before.is_empty()).then(|| format!("after {}", list(before))),
            (!after.is_empty()).then(|| format!("before {}", list(after))),
        ];
        lines.iter().flatten().for_each(|line| self.line(0, line));
    }

    fn action(&mut self, node: &Node) {
        match &node.action {
            Action::Call { call, expect } | Action::Read { read: call, expect } => {
                self.title(if node.action.mutation().is_some() { "Call" } else { "Read" });
                self.call(0, call);
                self.line(0, &pretty(&call.input));
                if let Some(expect) = expect {
                    self.line(0, &format!("its answer has to satisfy: {expect}"));
                }
                self.line(0, &format!("within {} s, retries included", node.timeout));
            }
            Action::Wait { wait } => {
                self.title("Wait");
                wait.reads.iter().for_each(|read| self.call(0, read));
                self.line(0, &format!("until {}", wait.until));
                self.line(0, &limits(wait));
                wait.fail.iter().for_each(|fail| self.line(0, &format!("fails at once when {}", fail.reason)));
                let evidence: Vec<&str> = wait.evidence.iter().map(|e| e.title.as_str()).collect();
                if !evidence.is_empty() {
                    self.line(0, &format!("a failure comes with {}", evidence.join(", ")));
                }
            }
            Action::Gate { gate } => {
                self.title("Question");
                self.line(0, &gate.text);
                self.line(0, &format!("answered with `belay resume --approve {}`", node.id));
            }
            action => {
                self.title("Action");
                self.line(0, &operation(action));
            }
        }
        if let Some(each) = &node.each {
            self.line(
                0,
                &format!("in portions of {}, at most {} in all, of {}", each.chunk, each.max, short(&each.over)),
            );
        }
    }

    fn call(&mut self, indent: usize, call: &Call) {
        self.line(indent, &format!("{} {}", call.service, call.operation));
    }

    fn guards(&mut self, node: &Node) {
        if node.guards.is_empty() && node.unguarded.is_none() {
            return;
        }
        self.title("Guards");
        if let Some(reason) = &node.unguarded {
            self.line(0, &format!("none is needed: {reason}"));
        }
        for guard in &node.guards {
            let when = guard.after.as_ref().map_or_else(
                || "before the first change of the run; otherwise the plan is stale and refused".to_owned(),
                |after| format!("just before it, once {after} is done; otherwise the run goes back"),
            );
            self.line(0, &when);
            self.line(2, &format!("{} {} {}", guard.read.service, guard.read.operation, short(&guard.read.input)));
            for (path, value) in &guard.holds {
                let value = match value {
                    Value::Null => "nothing".to_owned(),
                    value => short(value),
                };
                self.line(4, &format!("{path} is {value}"));
            }
        }
    }

    fn probe(&mut self, node: &Node) {
        if node.probe.is_none() && node.unprobed.is_none() {
            return;
        }
        self.title("If its answer is lost");
        if let Some(reason) = &node.unprobed {
            self.line(0, &format!("nothing needs to be found out: {reason}"));
        }
        if let Some(probe) = &node.probe {
            self.line(0, &format!("{} {} {}", probe.read.service, probe.read.operation, short(&probe.read.input)));
            self.line(0, &format!("it took effect when {}", probe.applied));
        }
    }

    fn undo(&mut self, node: &Node) {
        if node.action.mutation().is_none() {
            return;
        }
        self.title("Way back");
        if let Some(reason) = &node.irreversible {
            self.line(0, &format!("none: {reason}"));
        }
        if let Some(accepted) = &node.accepted {
            self.line(0, &format!("accepted at {}: {}", accepted.at, accepted.reason));
        }
        if let Some(obligation) = &node.obligation {
            let (what, forward, back) = (&obligation.what, &obligation.forward, &obligation.back);
            self.line(0, &format!("{what}: ended by {forward}, on the way back by {back}"));
        }
        for (index, case) in node.undo.iter().enumerate() {
            let always = if index == 0 { "always" } else { "otherwise" };
            let when = case.when.as_ref().map_or(always, |when| when.summary.as_deref().unwrap_or(&when.is));
            self.line(0, &format!("{}{when}", if case.when.is_some() { "if " } else { "" }));
            if case.nodes.is_empty() {
                self.line(2, "nothing to do");
            }
            for (index, id) in case.nodes.iter().enumerate() {
                let what =
                    self.plan.node(id).map_or(String::new(), |n| format!("{}  [{}]", n.summary, operation(&n.action)));
                self.line(2, &format!("{}. {what}  {id}", index + 1));
            }
        }
        if !node.undo.is_empty() && node.undo.iter().all(|case| case.when.is_some()) {
            self.line(0, "otherwise stuck, and a person decides");
        }
        if node.undo.is_empty() && node.irreversible.is_none() && node.phase != Phase::Undo {
            self.line(0, "none is needed");
        }
        if node.phase == Phase::Undo {
            self.line(0, "it is the way back");
        }
    }
}

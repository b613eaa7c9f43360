//! The parts of the comment, each in the largest form that fits into the room that is left for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use belay_schemas::plan::{Action, Change, EdgeKind, Mode, Node, Phase, Plan, Why, pretty};
use belay_schemas::rehearsal::Rehearsal;
use serde_json::Value;

use super::escape::{code, cut, prose};
use super::length;
use crate::show::timeline::{Timeline, time};
use crate::show::value::{path, short};
use crate::show::verdict::{changes, count, destroyed, final_steps, join, operation, reasons, verdict};
use crate::show::{mermaid, order, rehearsal, text};

/// A part, and what of it was left out.
pub(super) struct Section {
    pub text: String,
    pub left_out: Option<String>,
}

impl Section {
    fn whole(text: String) -> Self {
        Self { text, left_out: None }
    }

    /// The first of these that fits; else nothing, and what is missing.
    fn first(room: usize, forms: Vec<(String, Option<String>)>, missing: &str) -> Self {
        let fitting = forms.into_iter().find(|(text, _)| length(text) <= room);
        match fitting {
            Some((text, left_out)) => Self { text, left_out },
            None => Self { text: String::new(), left_out: Some(missing.to_owned()) },
        }
    }
}

/// Lines of a list in the head before the rest is counted.
const LINES: usize = 20;

/// Characters of a line in the head.
const LINE: usize = 300;

type Part<'a> = Box<dyn Fn(usize) -> Section + 'a>;

/// The parts with their places in the comment, the most important first.
pub(super) fn by_importance<'a>(plan: &'a Plan, rehearsed: Option<&'a Rehearsal>) -> Vec<(usize, Part<'a>)> {
    let mut parts: Vec<(usize, Part<'a>)> = vec![(0, Box::new(move |room| notices(plan, room)))];
    if let Some(rehearsed) = rehearsed {
        parts.push((
            1,
            Box::new(move |room| {
                Section::first(room, vec![(rehearsal::markdown(plan, rehearsed), None)], "the rehearsal")
            }),
        ));
    }
    if !plan.nodes.is_empty() {
        parts.push((2, Box::new(move |room| components(plan, room))));
        parts.push((3, Box::new(move |room| steps(plan, room))));
        parts.push((4, Box::new(move |room| way_back(plan, room))));
        parts.push((5, Box::new(move |room| graph(plan, room))));
        parts.push((6, Box::new(move |room| calls(plan, room))));
    }
    parts
}

/// What everybody has to know: bounded, whatever the plan.
pub(super) fn head(plan: &Plan) -> String {
    let target = &plan.target;
    let verb = match plan.mode {
        Mode::Deploy => "deploy",
        Mode::Teardown => "tear down",
    };
    let project = code(&plan.project);
    let cluster = code(target.place());
    let region = target.region.as_deref().unwrap_or("a region known when it is applied");
    let account =
        target.account.as_deref().map_or("an account known when it is applied".to_owned(), |a| format!("account {a}"));
    // The comment of a run is found again by its first line.
    let mut out = format!(
        "<!-- belay {} {} -->\n### Belay: {verb} {project} → {cluster}, {region}, {account}\n\n",
        word(&plan.project),
        word(target.place())
    );
    let destroyed = destroyed(plan);
    let last = final_steps(plan);
    let _ = write!(out, "**{}**", prose(&verdict(plan)));
    if plan.nodes.is_empty() {
        out.push('\n');
        return out + &identity(plan);
    }
    match destroyed.len() {
        0 => out.push_str(" Nothing is destroyed."),
        n => {
            let _ = write!(out, " **{}.**", count(n, "thing is destroyed", "things are destroyed"));
        }
    }
    match last.len() {
        0 => out.push_str(" Until the commit point everything can be undone.\n"),
        n => {
            let _ = writeln!(out, " **{} cannot be undone.**", count(n, "step", "steps"));
        }
    }
    let list = |out: &mut String, title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = write!(out, "\n> [!CAUTION]\n> {title}\n>\n");
        for line in lines.iter().take(LINES) {
            let _ = writeln!(out, "> - {}", cut(line, LINE));
        }
        if lines.len() > LINES {
            let _ = writeln!(out, "> - and {} more", lines.len() - LINES);
        }
    };
    list(
        &mut out,
        "Destroyed after the commit point, when nothing can fail any more:",
        destroyed.iter().map(|n| prose(&n.summary)).collect(),
    );
    let reason = |n: &&Node| {
        let because = n.irreversible.as_ref().map_or(String::new(), |r| format!(", because {}", prose(r)));
        let accepted = n
            .accepted
            .as_ref()
            .map_or(String::new(), |a| format!(" (accepted at {}: {})", code(&a.at), prose(&a.reason)));
        format!("{}{because}{accepted}", prose(&n.summary))
    };
    list(&mut out, "Cannot be undone, although the run may still fail after it:", last.iter().map(reason).collect());
    let timeline = Timeline::new(plan);
    let _ = writeln!(
        out,
        "\nTakes at least {}; gives up after {} at the latest.",
        time(timeline.least),
        time(timeline.most)
    );
    out + &identity(plan)
}

/// What may stand in an HTML comment.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')).collect()
}

fn identity(plan: &Plan) -> String {
    format!("\n<sub>plan {}</sub>\n", code(&plan.digest))
}

fn notices(plan: &Plan, room: usize) -> Section {
    if plan.notices.is_empty() {
        return Section::whole(String::new());
    }
    let mut text = String::from("\n> [!WARNING]\n");
    let mut shown = 0;
    for notice in plan.notices.iter().take(LINES) {
        let at = notice.at.as_ref().map_or(String::new(), |at| format!(" ({})", code(at)));
        let line = format!("> - {} {}{at}\n", notice.code, cut(&prose(&notice.message), LINE));
        if length(&text) + length(&line) + 100 > room {
            break;
        }
        text.push_str(&line);
        shown += 1;
    }
    let more = plan.notices.len() - shown;
    let left_out = (more > 0).then(|| count(more, "warning", "warnings"));
    Section { text, left_out }
}

/// A table per component; of many components one table with a line each.
fn components(plan: &Plan, room: usize) -> Section {
    let reasons = reasons(plan);
    let none = Vec::new();
    let mut changed: Vec<(&String, Change)> =
        plan.components.iter().map(|(name, c)| (name, c.change)).filter(|(_, c)| *c != Change::None).collect();
    // What is taken away first, then what changes, then what is new.
    let rank = |change: Change| match change {
        Change::Remove => 0,
        Change::Update => 1,
        Change::Scale => 2,
        Change::Run => 3,
        Change::Create => 4,
        Change::Tidy | Change::None => 5,
    };
    changed.sort_by_key(|(name, change)| (rank(*change), *name));
    let mut full = String::new();
    for (name, change) in &changed {
        let floor = plan.components.get(*name).map_or(0, |c| c.floor);
        let floor = if floor == 0 { String::new() } else { format!(", never below {floor} healthy") };
        let _ = write!(full, "\n#### {} {}{floor}\n\n", code(name), changes(*change));
        let why = reasons.get(name.as_str()).unwrap_or(&none);
        if !why.is_empty() {
            full.push_str("| value | from | to | written at |\n|---|---|---|---|\n");
        }
        why.iter().for_each(|why| full.push_str(&row(name, why)));
    }
    let rest = reasons.get("").unwrap_or(&none);
    if !rest.is_empty() {
        full.push_str("\n| value | from | to | written at |\n|---|---|---|---|\n");
        rest.iter().for_each(|why| full.push_str(&row("", why)));
    }
    let same: Vec<String> =
        plan.components.iter().filter(|(_, c)| c.change == Change::None).map(|(name, _)| code(name)).collect();
    let unchanged = match same.len() {
        0 => String::new(),
        n if n > LINES => format!("\n{n} more components stay as they are.\n"),
        1 => format!("\n{} stays as it is.\n", same[0]),
        _ => format!("\n{} stay as they are.\n", join(&same)),
    };
    full.push_str(&unchanged);
    if length(&full) <= room / 2 {
        return Section::whole(full);
    }
    let mut brief = format!(
        "\n<details open><summary>{}</summary>\n\n| component | change | values |\n|---|---|---|\n",
        count(changed.len(), "component", "components")
    );
    let mut shown = 0;
    for (name, change) in &changed {
        let why = reasons.get(name.as_str()).unwrap_or(&none);
        let line = format!("| {} | {} | {} |\n", code(name), changes(*change), first(name, why));
        if length(&brief) + length(&line) + 200 > room / 2 {
            break;
        }
        brief.push_str(&line);
        shown += 1;
    }
    let more = changed.len() - shown;
    brief.push_str("\n</details>\n");
    brief.push_str(&unchanged);
    let left_out = match more {
        0 => "the tables of the single components".to_owned(),
        n => format!("the tables of the single components and {}", count(n, "component", "components")),
    };
    Section { text: brief, left_out: Some(left_out) }
}

fn value(value: &Value) -> String {
    if value.is_null() { "–".to_owned() } else { code(&short(value)) }
}

fn row(component: &str, why: &Why) -> String {
    let name = path(component, why);
    let name = if name.is_empty() { "–".to_owned() } else { code(&name) };
    let at = why.at.as_ref().map_or(String::new(), |at| code(at));
    format!("| {name} | {} | {} | {at} |\n", value(&why.from), value(&why.to))
}

/// The first changed value of a component, and how many more there are.
fn first(component: &str, why: &[&Why]) -> String {
    let Some(one) = why.first() else { return String::new() };
    let more = if why.len() > 1 { format!(" and {} more", why.len() - 1) } else { String::new() };
    let both = match (&one.from, &one.to) {
        (Value::Null, Value::Null) => String::new(),
        (from, to) => format!(" {} → {}", value(from), value(to)),
    };
    format!("{}{both}{more}", prose(&path(component, one)))
}

/// A fold with a list inside.
fn fold(title: &str, body: &str) -> String {
    format!("\n<details><summary>{title}</summary>\n\n{body}\n</details>\n")
}

fn steps(plan: &Plan, room: usize) -> Section {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let forward: Vec<&Node> = order::forward(plan).into_iter().filter(|n| n.phase != Phase::Preflight).collect();
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in plan.edges.iter().filter(|e| e.kind == EdgeKind::After) {
        after.entry(edge.to.as_str()).or_default().push(&edge.from);
    }
    let (mut full, mut brief) = (String::new(), String::new());
    for node in &forward {
        let number = numbers.len() + 1;
        numbers.insert(&node.id, number);
        if let Action::Commit { commit } = &node.action {
            let line = format!("{number}. **commit point: {}**\n", prose(commit));
            full.push_str(&line);
            brief.push_str(&line);
            continue;
        }
        let _ = writeln!(brief, "{number}. {}", prose(&node.summary));
        let earlier = after.get(node.id.as_str()).into_iter().flatten().filter_map(|id| numbers.get(id));
        let earlier: Vec<String> = earlier.map(ToString::to_string).collect();
        let earlier = if earlier.is_empty() { String::new() } else { format!(" after {}", earlier.join(", ")) };
        let limits = match &node.action {
            Action::Wait { wait } => format!("; {}", text::limits(wait)),
            _ => String::new(),
        };
        let what = code(&operation(&node.action));
        let _ = writeln!(full, "{number}. {} <sub>{what}{earlier}{limits}</sub>", prose(&node.summary));
    }
    let mut operations: BTreeMap<String, usize> = BTreeMap::new();
    for node in &forward {
        *operations.entry(operation(&node.action)).or_default() += 1;
    }
    let mut counts = String::from("| operation | times |\n|---|---|\n");
    for (operation, times) in operations {
        let _ = writeln!(counts, "| {} | {times} |", code(&operation));
    }
    let title = count(forward.len(), "step", "steps");
    let forms = vec![
        (fold(&title, &full), None),
        (fold(&title, &brief), Some("what the steps wait for".to_owned())),
        (fold(&title, &counts), Some("the single steps".to_owned())),
    ];
    Section::first(room * 2 / 3, forms, "the steps")
}

fn way_back(plan: &Plan, room: usize) -> Section {
    let changing: Vec<&Node> = order::forward(plan)
        .into_iter()
        .filter(|n| n.phase == Phase::Deploy && n.action.mutation().is_some())
        .collect();
    let mut body = String::new();
    for node in changing.iter().rev() {
        let _ = writeln!(body, "- {}", prose(&node.summary));
        if let Some(reason) = &node.irreversible {
            let _ = writeln!(body, "  - no way back: {}", prose(reason));
        }
        for case in &node.undo {
            let steps: Vec<&str> =
                case.nodes.iter().map(|id| plan.node(id).map_or(id.as_str(), |n| n.summary.as_str())).collect();
            let steps = if steps.is_empty() { "nothing to do".to_owned() } else { prose(&steps.join(", then ")) };
            match &case.when {
                Some(when) => {
                    let _ = writeln!(body, "  - if {}: {steps}", prose(when.summary.as_ref().unwrap_or(&when.is)));
                }
                None => {
                    let _ = writeln!(body, "  - {steps}");
                }
            }
        }
        if !node.undo.is_empty() && node.undo.iter().all(|case| case.when.is_some()) {
            body.push_str("  - otherwise stuck, and a person decides\n");
        }
    }
    let back = changing.iter().filter(|n| !n.undo.is_empty()).count();
    let line = format!(
        "{} of {} before the commit point have a way back in the plan; it is taken in reverse order.\n",
        back,
        count(changing.len(), "change", "changes")
    );
    let title = "The way back, should anything fail";
    let forms = vec![(fold(title, &body), None), (fold(title, &line), Some("the single ways back".to_owned()))];
    Section::first(room * 2 / 3, forms, "the ways back")
}

fn graph(plan: &Plan, room: usize) -> Section {
    let drawn = mermaid::forward(plan).map(|graph| (fold("Graph", &format!("```mermaid\n{graph}```\n")), None));
    Section::first(room, drawn.into_iter().collect(), "the graph")
}

/// The inputs of the calls, as many as fit.
fn calls(plan: &Plan, room: usize) -> Section {
    let calls: Vec<&Node> = order::forward(plan).into_iter().filter(|n| n.action.mutation().is_some()).collect();
    let mut body = String::new();
    let mut shown = 0;
    for node in &calls {
        let Some(call) = node.action.mutation() else { continue };
        let json = pretty(&call.input);
        // A fence that no text inside closes.
        let fence = "`".repeat(json.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
        let part = format!(
            "{} {}\n\n{fence}json\n{}\n{fence}\n\n",
            prose(&node.summary),
            code(&format!("{} {}", call.service, call.operation)),
            json.trim_end()
        );
        if length(&body) + length(&part) + 200 > room {
            continue;
        }
        body.push_str(&part);
        shown += 1;
    }
    let more = calls.len() - shown;
    let left_out = (more > 0).then(|| format!("the inputs of {}", count(more, "call", "calls")));
    let text = if shown == 0 { String::new() } else { fold("Inputs of the calls", &body) };
    Section { text, left_out }
}

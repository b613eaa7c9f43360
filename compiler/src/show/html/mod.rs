//! A plan as one HTML file that needs nothing else: no network, no other file.
//!
//! Invariants: whatever a plan holds, none of it is read as markup or script (the data stand in JSON whose `<` are
//! escaped); the page asks for nothing, which its content security policy holds the browser to.

use belay_schemas::plan::{EdgeKind, Plan};
use belay_schemas::rehearsal::Rehearsal;
use serde_json::{Value, json};

use super::graph::{Graph, Look};
use super::layout::{Layout, STEP, layout};
use super::rehearsal;
use super::step;
use super::text::place;
use super::timeline::{Timeline, time};
use super::verdict::{changes, destroyed, final_steps, operation, reasons, verdict};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. `rehearsal` is what `belay rehearse --format json` printed for this plan.
pub fn html(plan: &Plan, rehearsal: Option<&Rehearsal>) -> String {
    let graph = Graph::new(plan);
    let drawing = drawing(plan, &graph, &layout(&graph), rehearsal);
    let reasons = reasons(plan);
    // Read only when somebody asks for a step: they are most of the file.
    let details: Vec<Value> = graph.items.iter().map(|item| json!(step::parts(plan, item.node, &reasons))).collect();
    let title = format!("{} → {}", plan.project, plan.target.place());
    // Cut at its marks before anything is put in: what a plan holds is not looked through for marks.
    let mut page = String::new();
    let mut rest = PAGE;
    let parts = [
        ("{{title}}", text(&title)),
        ("{{style}}", STYLE.to_owned()),
        ("{{drawing}}", data(&drawing)),
        ("{{details}}", data(&Value::Array(details))),
        ("{{script}}", SCRIPT.to_owned()),
    ];
    for (mark, part) in parts {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(&part);
        rest = after;
    }
    page.push_str(rest);
    page
}

fn drawing(plan: &Plan, graph: &Graph<'_>, layout: &Layout, rehearsed: Option<&Rehearsal>) -> Value {
    let timeline = Timeline::new(plan);
    let round = |(x, y): (f64, f64)| json!([x.round(), y.round()]);
    let nodes: Vec<Value> = graph
        .items
        .iter()
        .zip(&layout.items)
        .map(|(item, at)| {
            let slot = timeline.slots.get(item.node.id.as_str());
            json!({
                "id": item.node.id, "summary": item.node.summary, "operation": operation(&item.node.action),
                "component": item.node.component, "look": look(item.look()), "at": round(*at),
                "time": slot.map(|s| json!([s.least.0, s.least.1, s.most.0, s.most.1])),
                "critical": slot.is_some_and(|s| s.critical),
            })
        })
        .collect();
    let clusters: Vec<Value> = layout
        .clusters
        .iter()
        .map(|c| json!({"name": c.name, "at": round(c.at), "size": round(c.size), "nodes": c.items}))
        .collect();
    let edges: Vec<Value> = graph
        .edges
        .iter()
        .map(|(from, to, kind)| {
            let kind = match kind {
                EdgeKind::After => 0,
                EdgeKind::Undo => 1,
                EdgeKind::UndoAfter => 2,
            };
            json!([from, to, kind])
        })
        .collect();
    let components: Vec<Value> = plan
        .components
        .iter()
        .map(|(name, c)| json!({"name": name, "change": changes(c.change), "floor": c.floor}))
        .collect();
    json!({
        "project": plan.project, "target": target(plan), "digest": plan.digest, "verdict": verdict(plan),
        "destroyed": destroyed(plan).iter().map(|n| &n.summary).collect::<Vec<_>>(),
        "final": final_steps(plan).iter().map(|n| &n.summary).collect::<Vec<_>>(),
        "notices": plan.notices, "components": components,
        "time": format!("at least {}, at most {}", time(timeline.least), time(timeline.most)),
        "most": timeline.most, "critical": timeline.critical,
        "rehearsal": rehearsed.map(|r| rehearsal::lines(plan, r)),
        "step": [STEP.0, STEP.1], "size": round(layout.size),
        "nodes": nodes, "clusters": clusters, "edges": edges,
    })
}

fn target(plan: &Plan) -> String {
    let target = &plan.target;
    let region = target.region.as_deref().unwrap_or("region known when it is applied");
    let account =
        target.account.as_deref().map_or("account known when it is applied".to_owned(), |a| format!("account {a}"));
    format!("{}, {region}, {account}", place(target))
}

fn look(look: Look) -> &'static str {
    match look {
        Look::Read => "read",
        Look::Call => "call",
        Look::Destroy => "destroy",
        Look::Wait => "wait",
        Look::Person => "person",
        Look::Commit => "commit",
        Look::Undo => "undo",
    }
}

/// JSON inside of a script element.
fn data(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// Text inside of an element.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_each_mark_once_and_in_order() {
        let places = ["{{title}}", "{{style}}", "{{drawing}}", "{{details}}", "{{script}}"].map(|mark| {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
            PAGE.find(mark)
        });
        assert!(places.is_sorted());
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}

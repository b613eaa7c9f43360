//! `uses`: who has to run before whom.

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::source::Loaded;

pub fn check(loaded: &Loaded, report: &mut Report) {
    let components = &loaded.model.components;
    let mut graph: DiGraphMap<&str, ()> = DiGraphMap::new();
    for (name, component) in components {
        for used in component.uses.keys() {
            if components.contains_key(used) {
                graph.add_edge(name, used, ());
                continue;
            }
            let mut diagnostic =
                Diagnostic::error("B302", format!("`{name}` uses `{used}`, which is not a component of the model"))
                    .at(Place::model(["components", name, "uses", used]).key());
            if let Some(near) = crate::nearest(used, components.keys().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            report.push(diagnostic.help(
                "a component can use other components of the same model; what runs elsewhere is told through `env`",
            ));
        }
    }
    for mut cycle in tarjan_scc(&graph) {
        let looped = cycle.len() > 1 || cycle.first().is_some_and(|n| graph.contains_edge(n, n));
        if !looped {
            continue;
        }
        cycle.sort_unstable();
        let path = walk(&graph, &cycle);
        let (from, to) = (path[0], path[1 % path.len()]);
        let shown: Vec<&str> = path.iter().copied().chain([path[0]]).collect();
        let mut diagnostic =
            Diagnostic::error("B321", format!("components use each other in a circle: {}", shown.join(" → ")))
                .at(Place::model(["components", from, "uses", to]).key());
        for pair in shown.windows(2).skip(1) {
            diagnostic = diagnostic.related(Place::model(["components", pair[0], "uses", pair[1]]).key(), "and here");
        }
        report.push(diagnostic.help("`uses` says what has to run first; remove one of these uses (the address of the other can still be in `env`)"));
    }
}

/// A way around the cycle from its first member.
pub fn walk<'a>(graph: &DiGraphMap<&'a str, ()>, cycle: &[&'a str]) -> Vec<&'a str> {
    let start = cycle[0];
    // Breadth first from the start until an edge leads back to it: the shortest way around.
    let mut previous = std::collections::BTreeMap::new();
    let mut open = std::collections::VecDeque::from([start]);
    while let Some(here) = open.pop_front() {
        let mut next: Vec<&str> = graph.neighbors(here).filter(|n| cycle.contains(n)).collect();
        next.sort_unstable();
        for n in next {
            if n == start {
                let mut path = vec![here];
                while let Some(before) = previous.get(path.last().copied().unwrap_or(start)) {
                    path.push(*before);
                }
                path.reverse();
                return path;
            }
            if n != start && !previous.contains_key(n) {
                previous.insert(n, here);
                open.push_back(n);
            }
        }
    }
    cycle.to_vec()
}

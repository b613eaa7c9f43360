//! `uses`: who has to run before whom.

use std::collections::BTreeMap;

use belay_schemas::model::Once;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::source::Loaded;

/// The tasks that run once, with where that is said: the environment's word for a component wins.
fn once(loaded: &Loaded) -> impl Iterator<Item = (&str, &Once, Place)> {
    let config = loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    loaded.model.components.iter().filter_map(move |(name, component)| {
        let own = config.and_then(|c| c.components.get(name)).and_then(|c| c.once.as_ref());
        let environment = || Place::environment(["plugin_config", "ec2-ecs", "components", name, "once"]);
        let said = component.plugin.as_ref().and_then(|p| p.ecs.as_ref()).and_then(|e| e.once.as_ref());
        let model = || Place::model(["components", name, "plugin", "ec2-ecs", "once"]);
        own.map(|o| (name.as_str(), o, environment())).or_else(|| said.map(|o| (name.as_str(), o, model())))
    })
}

pub fn check(loaded: &Loaded, report: &mut Report) {
    let components = &loaded.model.components;
    let mut graph: DiGraphMap<&str, ()> = DiGraphMap::new();
    // Where it is said that one component comes after another one.
    let mut places: BTreeMap<(&str, &str), Place> = BTreeMap::new();
    for (name, task, place) in once(loaded) {
        let before = task.before.iter().enumerate().map(|(at, other)| (other, name, other.as_str(), "before", at));
        let after = task.after.iter().enumerate().map(|(at, other)| (other, other.as_str(), name, "after", at));
        for (other, earlier, later, list, at) in before.chain(after) {
            let place = place.child(list).child(at.to_string());
            if components.contains_key(other) {
                graph.add_edge(later, earlier, ());
                places.insert((later, earlier), place);
                continue;
            }
            let mut diagnostic = Diagnostic::error(
                "B302",
                format!("the task `{name}` is to run {list} `{other}`, which is not a component of the model"),
            )
            .at(place);
            if let Some(near) = crate::nearest(other, components.keys().map(String::as_str)) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            report.push(diagnostic.help("it is ordered among components of the same model"));
        }
    }
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
        let place = |later: &str, earlier: &str| match places.get(&(later, earlier)) {
            Some(place) if !components.get(later).is_some_and(|c| c.uses.contains_key(earlier)) => place.clone(),
            _ => Place::model(["components", later, "uses", earlier]).key(),
        };
        let mut diagnostic =
            Diagnostic::error("B321", format!("components use each other in a circle: {}", shown.join(" → ")))
                .at(place(from, to));
        for pair in shown.windows(2).skip(1) {
            diagnostic = diagnostic.related(place(pair[0], pair[1]), "and here");
        }
        report.push(diagnostic.help("`uses` says what has to run first; remove one of these uses (the address of the other can still be in `env`)"));
    }
}

/// A way around the cycle from its first member.
pub fn walk<'a>(graph: &DiGraphMap<&'a str, ()>, cycle: &[&'a str]) -> Vec<&'a str> {
    let start = cycle[0];
    // Breadth first from the start until an edge leads back to it: the shortest way around.
    let mut previous = BTreeMap::new();
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

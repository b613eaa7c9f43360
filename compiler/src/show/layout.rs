//! Where the steps of a drawn plan stand: from left to right as they run, those of one component in one box.
//!
//! Invariants: boxes of steps do not overlap, nor do those of components; the same plan stands in the same way. Within a
//! box and between boxes, rust-sugiyama says what comes where.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::plan::{Action, EdgeKind, Phase};
use petgraph::algo::greedy_feedback_arc_set;
use petgraph::stable_graph::StableDiGraph;
use petgraph::visit::EdgeRef as _;
use rust_sugiyama::configure::{Config, CrossingMinimization, RankingType};

use super::graph::{COMMON, Graph, Item};

/// Width and height of a step.
pub(super) const STEP: (f64, f64) = (210.0, 46.0);

/// Room between steps.
const GAP: f64 = 26.0;

/// Room between a box and what is inside, at the top with the name.
const PAD: (f64, f64) = (16.0, 34.0);

/// Boxes from which on the order is found by the quick way.
const MANY: usize = 120;

/// From how many times as high as wide on a drawing is broken into more columns.
const TALL: f64 = 1.5;

/// A box with the steps of one component on one side of the commit point.
pub(super) struct Cluster {
    pub name: String,
    /// Top left corner.
    pub at: (f64, f64),
    pub size: (f64, f64),
    /// Positions in [`Graph::items`].
    pub items: Vec<usize>,
}

/// A drawing.
pub(super) struct Layout {
    pub clusters: Vec<Cluster>,
    /// Top left corner of each item.
    pub items: Vec<(f64, f64)>,
    pub size: (f64, f64),
}

/// Finds a place for everything.
pub(super) fn layout(graph: &Graph<'_>) -> Layout {
    let mut members: BTreeMap<(usize, u8, usize), Vec<usize>> = BTreeMap::new();
    for (at, item) in graph.items.iter().enumerate() {
        // The commit point and other steps of nobody stand alone.
        let alone = if graph.groups[item.group] == COMMON && stage(item) > 0 { at + 1 } else { 0 };
        members.entry((item.group, stage(item), alone)).or_default().push(at);
    }
    let mut clusters = Vec::new();
    let mut home = vec![0; graph.items.len()];
    let mut inside = vec![(0.0, 0.0); graph.items.len()];
    for ((group, stage, _), items) in members {
        let places: BTreeMap<usize, usize> = items.iter().enumerate().map(|(local, at)| (*at, local)).collect();
        let edges: Vec<(usize, usize)> =
            graph.edges.iter().filter_map(|(from, to, _)| Some((*places.get(from)?, *places.get(to)?))).collect();
        let (at, size) = place(&vec![STEP; items.len()], &edges);
        for (local, item) in items.iter().enumerate() {
            inside[*item] = (at[local].0 + PAD.0, at[local].1 + PAD.1);
            home[*item] = clusters.len();
        }
        let name = match (graph.groups[group], stage) {
            (COMMON, 0) => "before the start".to_owned(),
            (COMMON, _) => String::new(),
            (name, 3) => format!("{name} (after the commit point)"),
            (name, _) => name.to_owned(),
        };
        let size = (size.0 + 2.0 * PAD.0, size.1 + PAD.0 + PAD.1);
        clusters.push(Cluster { name, at: (0.0, 0.0), size, items });
    }
    // The way back goes from box to box against the way forward: only the latter says where they stand.
    let between: BTreeSet<(usize, usize)> = graph
        .edges
        .iter()
        .filter(|(_, _, kind)| *kind == EdgeKind::After)
        .map(|(from, to, _)| (home[*from], home[*to]))
        .filter(|(from, to)| from != to)
        .collect();
    let sizes: Vec<(f64, f64)> = clusters.iter().map(|c| (c.size.0 + GAP, c.size.1 + GAP)).collect();
    let (at, size) = place(&sizes, &between.into_iter().collect::<Vec<_>>());
    for (cluster, at) in clusters.iter_mut().zip(at) {
        cluster.at = at;
    }
    let items = inside.iter().zip(&home).map(|(at, home)| {
        let cluster = &clusters[*home];
        (cluster.at.0 + at.0, cluster.at.1 + at.1)
    });
    Layout { items: items.collect(), clusters, size }
}

fn stage(item: &Item<'_>) -> u8 {
    match (item.node.phase, &item.node.action) {
        (Phase::Preflight, _) => 0,
        (_, Action::Commit { .. }) => 2,
        (Phase::Finalize, _) => 3,
        _ => 1,
    }
}

/// Top left corners of boxes of these sizes with these edges between them, and the size of the whole.
fn place(sizes: &[(f64, f64)], edges: &[(usize, usize)]) -> (Vec<(f64, f64)>, (f64, f64)) {
    let mut corners = vec![(0.0, 0.0); sizes.len()];
    let mut whole: (f64, f64) = (0.0, 0.0);
    let linked: BTreeSet<usize> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    if !edges.is_empty() {
        let mut graph: StableDiGraph<(f64, f64), ()> = StableDiGraph::new();
        let nodes: BTreeMap<usize, _> = linked.iter().map(|at| (*at, graph.add_node(sizes[*at]))).collect();
        for (from, to) in edges {
            graph.update_edge(nodes[from], nodes[to], ());
        }
        // Boxes may need each other, even though their steps do not.
        let against: Vec<_> = greedy_feedback_arc_set(&graph).map(|edge| edge.id()).collect();
        for edge in against {
            graph.remove_edge(edge);
        }
        let back: Vec<usize> = linked.iter().copied().collect();
        let many = linked.len() > MANY;
        let config = Config {
            vertex_spacing: GAP,
            ranking_type: if many { RankingType::Up } else { RankingType::MinimizeEdgeLength },
            c_minimization: CrossingMinimization::Barycenter,
            transpose: !many,
            ..Config::default()
        };
        // Ranks run from top to bottom there, and from left to right here.
        let drawn = rust_sugiyama::from_graph(&graph, &|_, size: &(f64, f64)| (size.1, size.0), &config);
        for (part, _, _) in drawn {
            let mut part: Vec<(usize, (f64, f64))> =
                part.into_iter().map(|(node, (across, along))| (back[node.index()], (along, across))).collect();
            part.sort_by_key(|(at, _)| *at);
            let corner = |at: usize, centre: (f64, f64)| (centre.0 - sizes[at].0 / 2.0, centre.1 - sizes[at].1 / 2.0);
            let least = part
                .iter()
                .map(|(at, centre)| corner(*at, *centre))
                .fold((f64::MAX, f64::MAX), |a, b| (a.0.min(b.0), a.1.min(b.1)));
            let top = if whole.1 > 0.0 { whole.1 + GAP } else { 0.0 };
            for (at, centre) in part {
                let corner = corner(at, centre);
                corners[at] = (corner.0 - least.0, corner.1 - least.1 + top);
                whole = (whole.0.max(corners[at].0 + sizes[at].0), whole.1.max(corners[at].1 + sizes[at].1));
            }
        }
        if whole.1 > TALL * whole.0 {
            whole = wrap(sizes, &back, &mut corners);
        }
    }
    // What nothing leads to or from stands below, in rows.
    let (mut x, mut row) = (0.0, 0.0f64);
    let mut top = if whole.1 > 0.0 { whole.1 + GAP } else { 0.0 };
    let width = whole.0.max(1200.0);
    for at in (0..sizes.len()).filter(|at| !linked.contains(at)) {
        if x > 0.0 && x + sizes[at].0 > width {
            (x, top, row) = (0.0, top + row + GAP, 0.0);
        }
        corners[at] = (x, top);
        x += sizes[at].0 + GAP;
        row = row.max(sizes[at].1);
        whole = (whole.0.max(x - GAP), whole.1.max(top + row));
    }
    (corners, whole)
}

/// Breaks ranks that are much higher than all ranks together are wide into several columns, in the same order.
fn wrap(sizes: &[(f64, f64)], linked: &[usize], corners: &mut [(f64, f64)]) -> (f64, f64) {
    let mut order: Vec<usize> = linked.to_vec();
    order.sort_by(|a, b| {
        corners[*a].0.total_cmp(&corners[*b].0).then(corners[*a].1.total_cmp(&corners[*b].1)).then(a.cmp(b))
    });
    let area: f64 = linked.iter().map(|at| (sizes[*at].0 + GAP) * (sizes[*at].1 + GAP)).sum();
    let most = (area / 1.5).sqrt();
    let (mut rank, mut x, mut y, mut column) = (f64::MIN, 0.0, 0.0, 0.0f64);
    let mut whole: (f64, f64) = (0.0, 0.0);
    for at in order {
        // Boxes of one rank are centred in it: those of the next one begin behind their middle.
        let next_rank = corners[at].0 > rank + sizes[at].0 / 2.0;
        if next_rank || y + sizes[at].1 > most {
            (x, y, column) = (x + column + if column > 0.0 { GAP } else { 0.0 }, 0.0, 0.0);
        }
        if next_rank {
            rank = corners[at].0;
        }
        corners[at] = (x, y);
        y += sizes[at].1 + GAP;
        column = column.max(sizes[at].0);
        whole = (whole.0.max(x + sizes[at].0), whole.1.max(y - GAP));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(corners: &[(f64, f64)], sizes: &[(f64, f64)]) {
        for a in 0..sizes.len() {
            for b in 0..a {
                let x = corners[a].0 + sizes[a].0 <= corners[b].0 || corners[b].0 + sizes[b].0 <= corners[a].0;
                let y = corners[a].1 + sizes[a].1 <= corners[b].1 || corners[b].1 + sizes[b].1 <= corners[a].1;
                assert!(x || y, "{a} at {:?} and {b} at {:?} overlap", corners[a], corners[b]);
            }
        }
    }

    #[test]
    fn boxes_of_any_size_stand_apart() {
        let sizes: Vec<(f64, f64)> =
            (0..40u8).map(|n| (100.0 + f64::from(n * 5), 40.0 + f64::from(n % 7 * 30))).collect();
        let edges: Vec<(usize, usize)> = (1..30).map(|n| (n / 3, n)).chain([(0, 17), (5, 29)]).collect();
        let (corners, _) = place(&sizes, &edges);
        apart(&corners, &sizes);
        assert_eq!(place(&sizes, &edges).0, corners);
        apart(&place(&sizes, &[]).0, &sizes);
        // One rank with a hundred boxes is wrapped.
        let many = vec![(100.0, 50.0); 102];
        let edges: Vec<(usize, usize)> = (1..101).flat_map(|n| [(0, n), (n, 101)]).collect();
        let (corners, size) = place(&many, &edges);
        apart(&corners, &many);
        assert!(size.1 < 2.0 * size.0, "{size:?}");
        // Boxes that need each other, several times.
        let edges = [(0, 1), (1, 2), (2, 0), (0, 1), (3, 2), (3, 1), (3, 0), (4, 2), (5, 2), (6, 2)];
        apart(&place(&sizes[..7], &edges).0, &sizes[..7]);
    }
}

//! Whole plans: the good ones pass, order does not matter, size does not hurt.

use std::time::{Duration, Instant};

use belay_schemas::checker::{check, check_contents};
use belay_schemas::plan::{Edge, EdgeKind, Node, canonical_digest};
use proptest::prelude::*;

use crate::plans::{good, many};

#[test]
fn a_good_plan_has_no_violation() {
    assert_eq!(check(&good()), []);
}

#[test]
fn a_plan_with_nothing_to_do_is_fine() {
    let mut plan = good();
    plan.nodes.clear();
    plan.edges.clear();
    assert_eq!(check(&plan.seal()), []);
}

#[test]
fn two_plans_with_the_same_faults_get_the_same_list() {
    let mut plan = many(30);
    plan.edges.retain(|edge| edge.kind != EdgeKind::UndoAfter);
    for node in &mut plan.nodes {
        node.probe = None;
    }
    let plan = plan.seal();
    let found = check(&plan);
    assert!(found.len() > 100 && found.is_sorted());
    assert_eq!(check(&plan), found);
}

proptest! {
    #[test]
    fn the_order_of_writing_does_not_matter(
        nodes in Just(good().nodes).prop_shuffle(),
        edges in Just(good().edges).prop_shuffle(),
        doubled in 0..good().edges.len(),
    ) {
        let (nodes, mut edges): (Vec<Node>, Vec<Edge>) = (nodes, edges);
        edges.push(edges[doubled].clone());
        let mut shuffled = good();
        shuffled.nodes = nodes;
        shuffled.edges = edges;
        let sealed = shuffled.seal();
        prop_assert_eq!(check(&sealed), vec![]);
        prop_assert_eq!(sealed.to_json(), good().to_json());
    }
}

/// Generous bounds: they catch a search that became quadratic (minutes), not a slow machine.
#[test]
fn two_thousand_components_are_checked_in_bounded_time() {
    let plan = many(2_000);
    assert!(plan.nodes.len() > 10_000);
    let start = Instant::now();
    assert_eq!(check_contents(&plan), []);
    let contents = start.elapsed();
    let start = Instant::now();
    assert_eq!(check(&plan), []);
    let all = start.elapsed();
    println!("{} nodes, {} edges: contents {contents:?}, with the digest {all:?}", plan.nodes.len(), plan.edges.len());
    assert!(all < Duration::from_secs(60), "{all:?}");
}

/// Faulty plans must not be slow either: references that lead nowhere near make the search walk furthest.
#[test]
fn a_large_plan_full_of_faults_is_checked_in_bounded_time() {
    let mut plan = many(2_000);
    // The register steps of half of the components follow the deployment of their neighbour, without any way back in order.
    let ids: Vec<String> = plan.components.keys().cloned().collect();
    for pair in ids.windows(2) {
        plan.edges.push(Edge {
            from: format!("{}.service.deployed", pair[0]),
            to: format!("{}.task-definition.register", pair[1]),
            kind: EdgeKind::After,
        });
    }
    let start = Instant::now();
    let found = check_contents(&plan.seal());
    assert!(found.iter().all(|violation| violation.rule == "P301") && found.len() >= 1_999, "{}", found.len());
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_digest_is_that_of_the_whole_document() {
    for plan in [good(), many(50)] {
        let digest = plan.digest.clone();
        assert_eq!(canonical_digest(&plan, &["digest", "compiler"]), digest);
    }
}

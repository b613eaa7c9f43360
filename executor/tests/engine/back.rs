//! The way back: every kind of failure, the order of compensations, cases, and being stuck.

use belay_executor::run::{NodeWord, Outcome};
use belay_schemas::journal::FailureKind;
use belay_schemas::plan::{Accepted, Action, EdgeKind, Phase, UndoCase};
use serde_json::json;

use crate::plans::{Builder, call, chain, node, wait, when};
use crate::world::{Fault, World};
use crate::{outcome, run};

const BACK: Outcome = Outcome::RolledBack { requested: false };

#[test]
fn every_failure_of_a_step_leads_back_in_reverse_order() {
    let cases = [
        (Fault::Reject, FailureKind::Rejected, vec!["Put a new", "Put b new", "Put b old", "Put a old"]),
        (
            Fault::Partial,
            FailureKind::Expect,
            vec!["Put a new", "Put b new", "Put c new", "Put c old", "Put b old", "Put a old"],
        ),
        (
            Fault::NeverReady,
            FailureKind::Wait,
            vec!["Put a new", "Put b new", "Put c new", "Put c old", "Put b old", "Put a old"],
        ),
        (
            Fault::Breaks,
            FailureKind::Wait,
            vec!["Put a new", "Put b new", "Put c new", "Put c old", "Put b old", "Put a old"],
        ),
    ];
    for (fault, kind, log) in cases {
        let world = World::new(&["a", "b", "c"]);
        world.fault("Put c", fault);
        let (status, _) = run(&chain(&["a", "b", "c"]).build(), &world);
        assert_eq!(outcome(&status), BACK, "{fault:?}");
        assert_eq!(outcome(&status).exit_code(), 3);
        assert!(world.all_faults_fired());
        assert_eq!(world.log(), log, "{fault:?}");
        let failure = status.failures().next().unwrap().1;
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(world.values().values().all(|value| value == "old"));
    }
}

#[test]
fn a_wait_that_fails_brings_its_evidence() {
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::Breaks);
    let (status, _) = run(&chain(&["a"]).build(), &world);
    let (node, failure) = status.failures().next().unwrap();
    assert_eq!((node, failure.reason.as_str()), ("a.ready", "a broke"));
    assert_eq!(failure.evidence[0].title, "thing");
    assert_eq!(failure.evidence[0].lines, ["value new"]);
}

#[test]
fn a_throttle_that_does_not_end_runs_out_of_the_nodes_time() {
    let world = World::new(&["a", "b"]);
    world.faults("Put b", Fault::Throttle, 1000);
    let (status, _) = run(&chain(&["a", "b"]).build(), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(status.failures().next().unwrap().1.kind, FailureKind::Timeout);
    assert_eq!(world.log(), ["Put a new", "Put a old"]);
}

#[test]
fn what_cannot_be_settled_counts_as_may_have_happened() {
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::LostAnswer);
    let mut builder = chain(&["a"]);
    // Without a probe nobody can tell; the compensation's own guard finds that it is ours.
    builder.node("a.set").probe = None;
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(status.failures().next().unwrap().1.kind, FailureKind::Unknown);
    assert_eq!(world.log(), ["Put a new", "Put a old"]);
}

#[test]
fn a_probe_that_fails_for_a_while_is_asked_again() {
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::LostAndBlind);
    let (status, _) = run(&chain(&["a", "b"]).build(), &world);
    assert!(world.all_faults_fired());
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put a new", "Put b new"]);
}

#[test]
fn a_compensation_touches_only_what_is_ours() {
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::NeverReady);
    let mut builder = chain(&["a", "b"]);
    // Somebody else changes `a` after us.
    let input = json!({"name": "a", "value": "theirs", "run": "other"});
    let mut foreign = node("foreign", Phase::Deploy, Action::Call { call: call("Put", input), expect: None });
    foreign.undo.push(UndoCase { when: None, nodes: vec![] });
    builder.add(foreign);
    builder.after("a.ready", "foreign").after("foreign", "b.set");
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Stuck);
    assert_eq!(outcome(&status).exit_code(), 4);
    assert_eq!(status.stuck.len(), 1);
    assert_eq!(status.stuck[0].node, "a.set");
    assert!(status.stuck[0].reason.contains("thing.run"), "{}", status.stuck[0].reason);
    assert!(status.stuck[0].todo.contains("by hand"));
    assert_eq!(world.value("a"), "theirs");
    assert_eq!(world.value("b"), "old");
}

#[test]
fn the_first_case_that_is_true_is_taken_and_a_failed_one_is_not_taken_again() {
    let two_ways = || {
        let mut builder = Builder::default();
        builder.update("a").update("b").then("a", "b").commit();
        let input = json!({"name": "a", "value": "old", "run": {"$run": "id"}, "how": "other"});
        builder.add(node("a.other", Phase::Undo, Action::Call { call: call("Add", input), expect: None }));
        builder.add(wait("a.other.done", Phase::Undo, "a"));
        let nodes = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        builder.node("a.set").undo = vec![
            UndoCase { when: Some(when("a", "thing.value == 'no such'")), nodes: nodes(&[]) },
            UndoCase { when: Some(when("a", "thing.value == 'new'")), nodes: nodes(&["a.set.undo", "a.set.undone"]) },
            UndoCase { when: Some(when("a", "thing.value != 'x'")), nodes: nodes(&["a.other", "a.other.done"]) },
        ];
        builder.edge("b.set.undone", "a.other", EdgeKind::UndoAfter);
        builder.build()
    };
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let (status, _) = run(&two_ways(), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(world.log(), ["Put a new", "Put a old"]);

    // The first way back is refused: the second one is taken.
    let world = World::new(&["a", "b"]);
    world.inner.lock().unwrap().faults.insert("Put b".into(), [Fault::Reject].into());
    let mut plan = two_ways();
    let undo = plan.nodes.iter_mut().find(|n| n.id == "a.set.undo").unwrap();
    let Action::Call { call, .. } = &mut undo.action else { unreachable!() };
    call.operation = "Add".into();
    world.fault("Add a", Fault::Reject);
    let (status, sink) = run(&plan.seal(), &world);
    assert_eq!(outcome(&status), BACK, "{}", sink.text());
    assert_eq!(world.log(), ["Put a new", "Add a old"]);
    assert_eq!(world.inner.lock().unwrap().sent, ["Put a new", "Put b new", "Add a old", "Add a old"]);
}

#[test]
fn stuck_names_the_nodes_and_lets_independent_compensations_run() {
    let world = World::new(&["a", "b", "c"]);
    let mut builder = Builder::default();
    // `a` then `b`; `c` on its own but slower, so that it is done before `b` fails.
    builder.update("a").update("b").update("c").then("a", "b").after("c.ready", "b.set").commit();
    world.fault("Put b", Fault::Breaks);
    let mut plan = builder.build();
    let undo = plan.nodes.iter_mut().find(|n| n.id == "b.set.undo").unwrap();
    let Action::Call { call, .. } = &mut undo.action else { unreachable!() };
    call.operation = "Add".into();
    world.faults("Add b", Fault::Reject, 9);
    let (status, _) = run(&plan.seal(), &world);
    assert_eq!(outcome(&status), Outcome::Stuck);
    let stuck: Vec<&str> = status.stuck.iter().map(|s| s.node.as_str()).collect();
    // What `b` rests on is left alone.
    assert_eq!(stuck, ["a.set", "b.set"]);
    assert!(status.stuck[0].reason.contains("has to wait for b.set.undone"), "{}", status.stuck[0].reason);
    assert_eq!(world.value("c"), "old");
    assert_eq!(world.value("a"), "new");
}

#[test]
fn what_has_no_way_back_is_kept_by_consent_or_stuck() {
    let build = |accepted: bool| {
        let mut builder = chain(&["a"]);
        let input = json!({"name": "migration", "value": "done", "run": "r"});
        let mut migrate = node("migrate", Phase::Deploy, Action::Call { call: call("Put", input), expect: None });
        migrate.irreversible = Some("data was moved".into());
        migrate.accepted = accepted.then(|| Accepted { reason: "we know".into(), at: "model.yaml:1:1".into() });
        builder.add(migrate).after("migrate", "a.set");
        builder.build()
    };
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::Reject);
    let (status, _) = run(&build(true), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(status.nodes.iter().find(|n| n.node == "migrate").unwrap().state, NodeWord::Kept);

    let world = World::new(&["a"]);
    world.fault("Put a", Fault::Reject);
    let (status, _) = run(&build(false), &world);
    assert_eq!(outcome(&status), Outcome::Stuck);
    assert!(status.stuck[0].reason.contains("data was moved"));
}

#[test]
fn a_failure_lets_calls_in_flight_settle_and_abandons_waits() {
    let world = World::new(&["a", "b"]);
    world.inner.lock().unwrap().slowness = 300;
    let mut builder = Builder::default();
    builder.update("a").update("b").commit();
    world.fault("Put b", Fault::Reject);
    let before = world.snapshot().1;
    let (status, sink) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(world.log(), ["Put a new", "Put a old"]);
    assert!(sink.text().contains("\"is\":\"abandoned\"") || !sink.text().contains("\"node\":\"a.ready\""));
    // Only the compensation's own wait took its time.
    assert!(world.snapshot().1 - before < 400_000);
}

#[test]
fn a_finalize_failure_is_tried_again_and_rolls_nothing_back() {
    let world = World::new(&["a", "old"]);
    world.faults("Delete old", Fault::Reject, 1);
    let (status, _) = run(&chain(&["a"]).delete("old").build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);

    let world = World::new(&["a", "old"]);
    world.faults("Delete old", Fault::Reject, 9);
    let (status, _) = run(&chain(&["a"]).delete("old").build(), &world);
    assert_eq!(outcome(&status), Outcome::FinalizeIncomplete);
    assert_eq!(outcome(&status).exit_code(), 7);
    assert_eq!(world.log(), ["Put a new"]);
}

#[test]
fn what_is_gone_already_needs_no_deleting() {
    let world = World::new(&["a"]);
    let (status, sink) = run(&chain(&["a"]).delete("old").build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert!(sink.text().contains("proven-applied"));
}

#[test]
fn the_order_holds_through_what_needs_no_compensation() {
    let plan = |is: &str| {
        let mut builder = chain(&["a", "b", "c", "d"]);
        // One way back of `b` finds that nothing is left to do.
        let nothing = UndoCase { when: Some(when("c", is)), nodes: vec![] };
        builder.node("b.set").undo.insert(0, nothing);
        builder.build()
    };
    let world = World::new(&["a", "b", "c", "d"]);
    world.fault("Put d", Fault::Reject);
    world.inner.lock().unwrap().slowness = 30;
    let (status, _) = run(&plan("thing.count > `0`"), &world);
    assert_eq!(outcome(&status), BACK);
    assert_eq!(world.log(), ["Put a new", "Put b new", "Put c new", "Put c old", "Put a old"]);

    // A way back is judged when its turn comes: `c` is old again by then.
    let world = World::new(&["a", "b", "c", "d"]);
    world.fault("Put d", Fault::Reject);
    let (status, _) = run(&plan("thing.value == 'new'"), &world);
    assert_eq!(outcome(&status), BACK);
    assert!(world.values().values().all(|value| value == "old"));
    // `a` waited for `c` to be ready again, not only for its call.
    assert_eq!(world.log()[3..], ["Put c old", "Put b old", "Put a old"]);
}

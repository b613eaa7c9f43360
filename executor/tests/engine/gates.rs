//! Gates, delays, and nodes that repeat over a list.

use belay_executor::journal::{MemorySink, parse};
use belay_executor::run::{Mode, Outcome, RunError, take_up};
use belay_schemas::journal::{Event, FailureKind, PauseReason};
use belay_schemas::plan::{Action, Each, EdgeKind, Phase, Plan, Probe, UndoCase};
use serde_json::json;

use crate::plans::{Builder, call, chain, node};
use crate::resume::kill_everywhere;
use crate::world::{Fault, START, World};
use crate::{block, events, options, outcome, run, setup};

fn approve(plan: &Plan, journal: &str, world: &World, gate: &str) -> Result<(Outcome, MemorySink), RunError> {
    let contents = parse(journal.as_bytes()).unwrap();
    let sink = MemorySink::holding(journal);
    let approve = [gate.to_owned()];
    let status = block(take_up(plan, &contents, Mode::Resume, &approve, Box::new(sink.clone()), setup(world)))?;
    Ok((outcome(&status), sink))
}

#[test]
fn a_gate_waits_for_approval_once_everything_else_is_done() {
    let mut builder = chain(&["a"]);
    builder.update("b").gate("ask").after("a.ready", "ask").after("ask", "b.set");
    builder.update("c");
    let plan = builder.build();
    let world = World::new(&["a", "b", "c"]);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Gate });
    assert_eq!(status.waiting_for, ["ask"]);
    assert_eq!((world.value("c"), world.value("b")), ("new".into(), "old".into()));

    let error = approve(&plan, &sink.text(), &world, "a.set").unwrap_err();
    assert!(matches!(error, RunError::NoGate(_)), "{error}");
    let (outcome, _) = approve(&plan, &sink.text(), &world, "ask").unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(world.value("b"), "new");
}

#[test]
fn a_delay_lets_time_pass() {
    let mut builder = chain(&["a"]);
    builder.add(node("pause", Phase::Deploy, Action::Delay { delay: 90 })).after("pause", "a.set");
    let world = World::new(&["a"]);
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert!(world.snapshot().1 >= START + 90_000);
}

/// Marks all `i-…` by two, and unmarks those that were marked on the way back.
fn marking(max: u32) -> Builder {
    let mut builder = Builder::default();
    let list = Action::Read { read: call("List", json!({"prefix": "i-"})), expect: None };
    builder.add(node("list", Phase::Deploy, list));
    let names = json!({"$output": "@each", "path": "@"});
    let mark = Action::Call { call: call("Mark", json!({"names": names, "value": "new"})), expect: None };
    let mut mark = node("mark", Phase::Deploy, mark);
    mark.each = Some(Each { over: json!({"$output": "list", "path": "names"}), chunk: 2, max });
    mark.probe = Some(Probe {
        read: call("Get", json!({"name": {"$output": "@each", "path": "[-1]"}})),
        applied: "thing.value == 'new'".into(),
        answer: "{marked: `2`, failures: `[]`}".into(),
        bind: Default::default(),
    });
    mark.undo.push(UndoCase { when: None, nodes: vec!["mark.undo".into()] });
    let unmark = Action::Call { call: call("Mark", json!({"names": names, "value": "old"})), expect: None };
    let mut unmark = node("mark.undo", Phase::Undo, unmark);
    unmark.each = Some(Each { over: json!({"$output": "mark", "path": "[].items[]"}), chunk: 2, max });
    unmark.unprobed = Some("marking twice does no harm".into());
    builder.add(mark).add(unmark).after("list", "mark").edge("mark", "mark.undo", EdgeKind::Undo);
    builder.update("b").after("mark", "b.set").edge("b.set.undone", "mark.undo", EdgeKind::UndoAfter).commit();
    builder
}

const THINGS: [&str; 6] = ["i-1", "i-2", "i-3", "i-4", "i-5", "b"];

#[test]
fn a_node_repeats_over_chunks_of_a_journalled_list() {
    let world = World::new(&THINGS);
    let (status, sink) = run(&marking(10).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), [r#"Mark ["i-1","i-2"]"#, r#"Mark ["i-3","i-4"]"#, r#"Mark ["i-5"]"#, "Put b new"]);
    let kinds: Vec<&str> = events(&sink).iter().filter(|e| e.node() == Some("mark")).map(Event::kind).collect();
    assert_eq!(kinds[..4], ["start", "list", "intent", "outcome"]);
}

#[test]
fn what_was_marked_is_unmarked_on_the_way_back() {
    let world = World::new(&THINGS);
    world.fault("Put b", Fault::Reject);
    let (status, _) = run(&marking(10).build(), &world);
    assert_eq!(outcome(&status).exit_code(), 3);
    assert!(world.values().values().all(|value| value == "old"));
    assert_eq!(world.log().len(), 6);
}

#[test]
fn more_items_than_reviewed_fail_before_the_first_call() {
    let world = World::new(&THINGS);
    let (status, _) = run(&marking(4).build(), &world);
    assert_eq!(outcome(&status).exit_code(), 3);
    assert_eq!(status.failures().next().unwrap().1.kind, FailureKind::Value);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn an_empty_list_is_done_at_once() {
    let world = World::new(&["b"]);
    let (status, _) = run(&marking(4).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put b new"]);
}

#[test]
fn a_repeating_node_that_is_killed_goes_on_where_it_was() {
    for fail in [false, true] {
        let world = World::new(&THINGS);
        if fail {
            world.faults("Put b", Fault::Reject, 99);
        }
        kill_everywhere(&marking(10).build(), &world, &options(), Mode::Resume, &|what, again, world| {
            let (status, sink) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
            let value = if fail { "old" } else { "new" };
            assert_eq!(outcome(&status).exit_code(), if fail { 3 } else { 0 }, "{what}\n{}", sink.text());
            assert!(world.values().values().all(|v| v == value), "{what}: {:?}", world.values());
            if !fail {
                assert_eq!(world.log().len(), 4, "{what}: {:?}", world.log());
            }
        });
    }
}

//! Forward runs, guards, and what keeps a run from beginning.

use std::collections::BTreeMap;

use belay_executor::run::{Options, Outcome, RunError, apply, begin, verify};
use belay_schemas::journal::Event;
use belay_schemas::plan::{Action, Exec, Guard, Phase};
use serde_json::json;

use crate::plans::{Builder, call, chain, get, node};
use crate::world::{Fault, World};
use crate::{block, events, options, outcome, run, run_with, setup};

#[test]
fn a_plan_reaches_its_target_in_order() {
    let world = World::new(&["a", "b", "old"]);
    world.inner.lock().unwrap().slowness = 12;
    let plan = chain(&["a", "b"]).delete("old").build();
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(outcome(&status).exit_code(), 0);
    assert_eq!(world.log(), ["Put a new", "Put b new", "Delete old"]);
    let events = events(&sink);
    let commit = events.iter().position(|e| matches!(e, Event::Enter { phase } if format!("{phase:?}") == "Finalize"));
    let delete = events.iter().position(|e| matches!(e, Event::Intent { node, .. } if node == "old.delete"));
    assert!(commit.unwrap() < delete.unwrap());
}

#[test]
fn independent_nodes_run_side_by_side_up_to_the_limit() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let most = |concurrency| {
        let world = World::new(&names);
        let mut builder = Builder::default();
        for name in names {
            builder.update(name);
        }
        let plan = builder.build();
        world.inner.lock().unwrap().most_in_flight = 0;
        let (status, sink) = run_with(&plan, &world, &Options { concurrency, ..options() });
        assert_eq!(outcome(&status), Outcome::Done);
        let mut open = 0_i32;
        events(&sink).iter().fold(0, |most, event| {
            open += match event {
                Event::Start { .. } => 1,
                Event::Done { .. } => -1,
                _ => 0,
            };
            most.max(open)
        })
    };
    assert_eq!(most(1), 1);
    assert_eq!(most(4), 4);
    assert_eq!(most(32), 6);
}

#[test]
fn an_empty_plan_is_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&[]);
    let plan = Builder::default().build();
    let journal = dir.path().join("journal");
    let status = block(apply(&plan, &Options::new(&journal), setup(&world))).unwrap();
    assert_eq!(outcome(&status), Outcome::NothingToDo);
    assert!(!journal.exists());
}

#[test]
fn a_start_guard_that_does_not_hold_names_the_field_and_nothing_is_changed() {
    let world = World::new(&["a", "b"]);
    world.inner.lock().unwrap().things.get_mut("b").unwrap().value = "other".into();
    let (status, _) = run(&chain(&["a", "b"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Stale);
    assert_eq!(outcome(&status).exit_code(), 5);
    assert_eq!(status.stale[0].to_string(), "b.set: test Get: `thing.value` is \"other\", the plan relies on \"old\"");
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn a_missing_thing_is_a_guard_that_does_not_hold() {
    let world = World::new(&["a"]);
    let (status, _) = run(&chain(&["a", "b"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Stale);
    assert_eq!(status.stale.len(), 1);
    assert_eq!(status.stale[0].found, json!(null));
}

#[test]
fn a_preflight_read_that_does_not_hold_is_stale_too() {
    let world = World::new(&["a"]);
    let mut builder = chain(&["a"]);
    let read = Action::Read { read: get("cluster"), expect: Some("thing.value == 'up'".into()) };
    builder.add(node("preflight.cluster", Phase::Preflight, read));
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Stale);
    assert!(status.stale[0].error.as_deref().unwrap().contains("does not hold"));
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn verify_tells_the_same_and_changes_nothing() {
    let world = World::new(&["a", "b"]);
    let plan = chain(&["a", "b"]).build();
    assert_eq!(block(verify(&plan, None, setup(&world))).unwrap(), []);
    world.inner.lock().unwrap().things.get_mut("b").unwrap().value = "other".into();
    assert_eq!(block(verify(&plan, None, setup(&world))).unwrap().len(), 1);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn an_unreachable_target_changes_nothing() {
    let world = World::new(&["a"]);
    world.faults("Get a", Fault::Unreachable, 1000);
    let (status, _) = run(&chain(&["a"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Environment);
    assert_eq!(outcome(&status).exit_code(), 6);
    assert!(status.unreachable.unwrap().contains("NoNetwork"));
}

#[test]
fn throttled_calls_are_made_again() {
    let world = World::new(&["a"]);
    world.faults("Put a", Fault::Throttle, 3).faults("Get a", Fault::Throttle, 2);
    let (status, _) = run(&chain(&["a"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert!(world.all_faults_fired());
    assert_eq!(world.log(), ["Put a new"]);
}

#[test]
fn a_lost_answer_is_settled_by_the_probe_and_not_sent_again() {
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::LostAnswer);
    let (status, _) = run(&chain(&["a"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.inner.lock().unwrap().sent, ["Put a new"]);
}

#[test]
fn a_lost_request_is_sent_again_once_the_probe_proves_it() {
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::LostRequest);
    let (status, sink) = run(&chain(&["a"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.inner.lock().unwrap().sent, ["Put a new", "Put a new"]);
    assert_eq!(world.log(), ["Put a new"]);
    assert!(sink.text().contains("proven-not-applied"));
}

#[test]
fn a_call_with_a_token_is_sent_again_without_a_probe() {
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::LostAnswer);
    let mut builder = chain(&["a"]);
    let set = builder.node("a.set");
    set.probe = None;
    let Action::Call { call, .. } = &mut set.action else { unreachable!() };
    call.input["clientToken"] = json!({"$run": "token"});
    let (status, sink) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    let inputs: Vec<_> = events(&sink)
        .into_iter()
        .filter_map(|e| if let Event::Intent { call, .. } = e { Some(call.input.clone()) } else { None })
        .collect();
    assert_eq!(inputs.len(), 2);
    assert_eq!(inputs[0], inputs[1]);
    assert_eq!(inputs[0]["clientToken"].as_str().unwrap().len(), 32);
}

#[test]
fn another_account_or_region_or_plan_is_refused() {
    let world = World::new(&["a"]);
    let sink = || Box::new(belay_executor::journal::MemorySink::default());
    let mut plan = chain(&["a"]).build();
    plan.target.account = Some("999999999999".into());
    let plan = plan.seal();
    let error = block(begin(&plan, &options(), sink(), setup(&world))).unwrap_err();
    assert!(matches!(error, RunError::Account { .. }), "{error}");
    assert_eq!(error.exit_code(), 6);

    let plan = chain(&["a"]).build();
    let elsewhere = Options { region: Some("eu-west-1".into()), ..options() };
    let error = block(begin(&plan, &elsewhere, sink(), setup(&world))).unwrap_err();
    assert!(matches!(error, RunError::Region { .. }), "{error}");

    let mut plan = chain(&["a"]).build();
    plan.project = "changed".into();
    let error = block(begin(&plan, &options(), sink(), setup(&world))).unwrap_err();
    assert!(matches!(error, RunError::Digest { .. }), "{error}");
    assert_eq!(error.exit_code(), 1);

    let mut builder = chain(&["a"]);
    builder.add(node("x", Phase::Deploy, Action::Exec { exec: Exec { argv: vec!["true".into()], timeout: 1 } }));
    let error = block(begin(&builder.build(), &options(), sink(), setup(&world))).unwrap_err();
    assert!(error.to_string().contains("`exec`"), "{error}");
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn late_values_come_from_earlier_answers() {
    let world = World::new(&["a"]);
    let mut builder = chain(&["a"]);
    let input = json!({"name": "copy", "value": {"$output": "a.set", "path": "id"}, "run": {"$run": "id"}});
    builder.add(node("copy", Phase::Deploy, Action::Call { call: call("Put", input), expect: None }));
    builder.after("a.set", "copy");
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.value("copy"), "a:1");
    assert_eq!(world.snapshot().0.things["copy"].run, "run-1");
}

#[test]
fn a_guard_after_a_node_is_checked_just_before_the_action() {
    let world = World::new(&["a", "b"]);
    let mut builder = chain(&["a", "b"]);
    let guard = |value: &str| Guard {
        at: None,
        after: Some("a.set".into()),
        read: get("a"),
        holds: BTreeMap::from([("thing.value".to_owned(), json!(value))]),
        bind: BTreeMap::new(),
    };
    builder.node("b.set").guards.push(guard("new"));
    assert_eq!(outcome(&run(&builder.build(), &world).0), Outcome::Done);

    let world = World::new(&["a", "b"]);
    let mut builder = chain(&["a", "b"]);
    builder.node("b.set").guards.push(guard("newer"));
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: false });
    assert_eq!(world.log(), ["Put a new", "Put a old"]);
}

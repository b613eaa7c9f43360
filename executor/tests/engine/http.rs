//! Requests to what is not AWS: probes before anything changes, and one request for each item of a late list.

use std::collections::BTreeMap;

use belay_executor::run::{Mode, Outcome};
use belay_schemas::journal::Event;
use belay_schemas::plan::{Action, Each, Http, Phase, Plan};
use serde_json::{Value, json};

use crate::plans::{call, chain, node};
use crate::resume::kill_everywhere;
use crate::world::{Fault, World};
use crate::{events, options, outcome, run};

const URI: &str = "http://handler/hand-over";

fn request(method: &str, body: Value) -> Action {
    Action::Http { http: Http { method: method.to_owned(), uri: URI.to_owned(), timeout: 5, body } }
}

/// Updates `a` behind a probe of the handler, and then tells it of each thing `i…`, one by one.
fn hand_over(unprobed: Option<&str>) -> Plan {
    let mut builder = chain(&["a"]);
    builder.add(node("handler", Phase::Preflight, request("GET", Value::Null)));
    let list = Action::Read { read: call("List", json!({"prefix": "i"})), expect: None };
    builder.add(node("list", Phase::Finalize, list));
    let mut told = node("tell", Phase::Finalize, request("POST", json!({"id": {"$output": "@each", "path": "[0]"}})));
    told.each = Some(Each { over: json!({"$output": "list", "path": "names"}), chunk: 1, max: 5 });
    told.unprobed = unprobed.map(str::to_owned);
    told.timeout = 30;
    builder.add(told).after("commit", "list").after("list", "tell");
    builder.build()
}

fn told(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in world.log().into_iter().filter(|line| line.starts_with("POST")) {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

fn once() -> BTreeMap<String, usize> {
    ["i1", "i2", "i3"].iter().map(|name| (format!("POST {name}"), 1)).collect()
}

fn world() -> World {
    World::new(&["a", "i1", "i2", "i3"])
}

const HARMLESS: Option<&str> = Some("the handler may be told twice");

#[test]
fn each_item_of_a_late_list_is_told_once_and_the_list_is_journalled_first() {
    let world = world();
    let (status, sink) = run(&hand_over(None), &world);
    assert_eq!(outcome(&status), Outcome::Done, "{}", sink.text());
    assert_eq!(told(&world), once());
    let events = events(&sink);
    let list =
        events.iter().position(|e| matches!(e, Event::List { node, items } if node == "tell" && items.len() == 3));
    let first = events.iter().position(|e| matches!(e, Event::Intent { node, .. } if node == "tell"));
    assert!(list.unwrap() < first.unwrap());
    let Event::Intent { call, .. } = &events[first.unwrap()] else { unreachable!() };
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("http", "POST"));
    assert_eq!(call.input, json!({"uri": URI, "timeout": 5, "body": {"id": "i1"}}));
}

#[test]
fn a_handler_that_refuses_its_probe_keeps_everything_as_it_is() {
    let world = world();
    world.fault(&format!("GET {URI}"), Fault::Reject);
    let (status, _) = run(&hand_over(None), &world);
    assert_eq!(outcome(&status), Outcome::Stale);
    assert_eq!(world.log(), [""; 0]);
    let unreachable = self::world();
    unreachable.faults(&format!("GET {URI}"), Fault::Unreachable, 100);
    let (status, _) = run(&hand_over(None), &unreachable);
    assert_eq!(outcome(&status), Outcome::Environment);
    assert_eq!(unreachable.log(), [""; 0]);
}

#[test]
fn a_request_without_an_answer_is_sent_again_only_where_that_does_no_harm() {
    for fault in [Fault::LostAnswer, Fault::LostRequest] {
        let world = world();
        world.fault("POST i2", fault);
        let (status, sink) = run(&hand_over(HARMLESS), &world);
        assert_eq!(outcome(&status), Outcome::Done, "{fault:?}\n{}", sink.text());
        assert_eq!(told(&world).len(), 3);
        assert_eq!(told(&world)["POST i2"], if fault == Fault::LostAnswer { 2 } else { 1 });

        let careful = self::world();
        careful.fault("POST i2", fault);
        let (status, _) = run(&hand_over(None), &careful);
        assert_eq!(outcome(&status).exit_code(), 7, "{fault:?}: nobody knows whether it was told");
        assert!(told(&careful).values().all(|count| *count == 1));
        assert_eq!(careful.value("a"), "new", "past the commit point nothing goes back");
    }
}

#[test]
fn a_handler_that_refuses_for_good_leaves_the_rest_to_be_retried() {
    let world = world();
    world.faults("POST i2", Fault::Reject, 10);
    let (status, _) = run(&hand_over(HARMLESS), &world);
    assert_eq!(outcome(&status).exit_code(), 7);
    assert_eq!(told(&world), BTreeMap::from([("POST i1".to_owned(), 1)]));
}

#[test]
fn a_run_that_is_killed_in_the_midst_of_a_list_tells_everybody() {
    let plan = hand_over(HARMLESS);
    let kills = kill_everywhere(&plan, &world(), &options(), Mode::Resume, &|what, again, world| {
        let (status, sink) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(outcome(&status), Outcome::Done, "{what}\n{}", sink.text());
        let told = told(world);
        assert_eq!(told.len(), 3, "{what}: {told:?}");
        assert!(told.values().all(|count| *count <= 2) && told.values().sum::<usize>() <= 4, "{what}: {told:?}");
    });
    assert!(kills > 30, "{kills}");
}

#[test]
fn a_run_that_is_killed_in_the_midst_of_a_list_tells_nobody_twice() {
    let plan = hand_over(None);
    let mut ends = std::sync::Mutex::new(BTreeMap::<i32, usize>::new());
    kill_everywhere(&plan, &world(), &options(), Mode::Resume, &|what, again, world| {
        let (status, _) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
        let told = told(world);
        assert!(told.values().all(|count| *count == 1), "{what}: {told:?}");
        let code = i32::from(outcome(&status).exit_code());
        assert!(code == 7 || told == once(), "{what}: {told:?}");
        *ends.lock().unwrap().entry(code).or_default() += 1;
    });
    let ends = ends.get_mut().unwrap();
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), [0, 7], "{ends:?}");
}

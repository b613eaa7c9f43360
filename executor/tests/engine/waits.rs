//! Waits: holding, progress, limits, chained reads.

use std::collections::BTreeMap;

use belay_executor::run::{Outcome, verify};
use belay_schemas::plan::{Action, Call, Phase, Plan, Wait};
use serde_json::json;

use crate::plans::{Builder, call, chain, node};
use crate::world::{Fault, START, World};
use crate::{block, options, outcome, run, run_with, setup};

fn edit(builder: &mut Builder, id: &str, change: impl Fn(&mut Wait)) {
    let Action::Wait { wait } = &mut builder.node(id).action else { unreachable!() };
    change(wait);
}

#[test]
fn what_has_to_hold_is_watched_for_that_long() {
    let world = World::new(&["a"]);
    world.inner.lock().unwrap().slowness = 20;
    let mut builder = chain(&["a"]);
    edit(&mut builder, "a.ready", |wait| wait.hold = 42);
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    let passed = world.snapshot().1 - START;
    assert!((62_000..70_000).contains(&passed), "{passed}");
}

#[test]
fn a_wait_without_progress_gives_up_sooner_than_one_with() {
    // 500 s with a countdown as progress: fine.
    let world = World::new(&["a"]);
    world.inner.lock().unwrap().slowness = 500;
    let (status, _) = run(&chain(&["a"]).build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
    assert!(world.snapshot().1 - START < 510_000);

    // The same without progress.
    let world = World::new(&["a"]);
    world.inner.lock().unwrap().slowness = 500;
    let mut builder = chain(&["a"]);
    edit(&mut builder, "a.ready", |wait| wait.progress = None);
    edit(&mut builder, "a.set.undone", |wait| wait.no_progress = 550);
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status).exit_code(), 3);
    let failure = status.failures().next().unwrap().1;
    assert!(failure.reason.starts_with("no progress for 60 s: do a.ready"), "{}", failure.reason);

    // And one that goes on for too long in total.
    let world = World::new(&["a"]);
    world.fault("Put a", Fault::NeverReady);
    let (status, _) = run(&chain(&["a"]).build(), &world);
    let failure = status.failures().next().unwrap().1;
    assert!(failure.reason.starts_with("not within 600 s"), "{}", failure.reason);
    assert!(failure.reason.contains("last progress: "), "{}", failure.reason);
}

#[test]
fn a_poll_that_fails_is_made_again() {
    let world = World::new(&["a"]);
    world.inner.lock().unwrap().slowness = 20;
    let mut builder = chain(&["a"]);
    let first = Action::Read { read: call("Get", json!({"name": "a"})), expect: None };
    builder.add(node("read", Phase::Preflight, first));
    let plan = builder.build();
    world.faults("Get a", Fault::LostRequest, 1);
    let (status, _) = run_with(&plan, &world, &options());
    assert_eq!(outcome(&status), Outcome::Done);
}

#[test]
fn later_reads_of_a_poll_use_earlier_ones_and_are_left_out_when_there_is_nothing_to_ask() {
    let world = World::new(&["a", "i-1"]);
    let mut builder = chain(&["a"]);
    edit(&mut builder, "a.ready", |wait| {
        wait.reads = vec![
            call("List", json!({"prefix": "i-"})),
            call("Get", json!({"name": {"$output": "@0", "path": "names[0]"}})),
            call("List", json!({"prefix": "none"})),
            call("Get", json!({"name": {"$output": "@2", "path": "names"}})),
        ];
        wait.until = "[1].thing.value == 'old' && [3] == null".into();
        wait.fail.clear();
        wait.progress = None;
    });
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status), Outcome::Done);
}

#[test]
fn an_expression_over_what_is_not_there_yet_is_not_true_yet() {
    let world = World::new(&["a"]);
    let mut builder = chain(&["a"]);
    edit(&mut builder, "a.ready", |wait| wait.until = "length([0].nothing) > `0`".into());
    let (status, _) = run(&builder.build(), &world);
    assert_eq!(outcome(&status).exit_code(), 3);
    let failure = status.failures().next().unwrap().1;
    assert!(failure.reason.contains("cannot be evaluated"), "{}", failure.reason);
}

#[test]
fn reads_of_the_same_moment_are_made_together_and_everybody_gets_its_own() {
    let names: Vec<String> = (0..25).map(|i| format!("t{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut builder = Builder::default();
    for name in &names {
        builder.update(name);
        let describe = Call {
            service: "ecs".into(),
            operation: "DescribeServices".into(),
            input: json!({"cluster": "c", "services": [name]}),
        };
        let set = builder.node(&format!("{name}.set"));
        set.guards[0].read = describe.clone();
        set.guards[0].holds = BTreeMap::from([
            ("services[0].serviceName".to_owned(), json!(name)),
            ("services[0].value".to_owned(), json!("old")),
            ("length(services)".to_owned(), json!(1)),
        ]);
        edit(&mut builder, &format!("{name}.ready"), |wait| {
            wait.reads = vec![describe.clone()];
            wait.until = format!("[0].services[0].ready && [0].services[0].serviceName == '{name}'");
            wait.fail.clear();
            wait.progress = None;
        });
    }
    let plan = builder.commit().build();
    let calls = |joins: bool| {
        let world = World::new(&names);
        world.inner.lock().unwrap().slowness = 22;
        world.inner.lock().unwrap().joins = joins;
        let (status, _) = run(&plan, &world);
        assert_eq!(outcome(&status), Outcome::Done);
        world.snapshot().0.joint_reads
    };
    let (single, joint) = (calls(false), calls(true));
    assert!(single.iter().all(|n| *n == 1));
    assert_eq!(joint[..3].iter().sum::<usize>(), 25);
    assert!(joint.len() * 4 < single.len(), "{} of {}", joint.len(), single.len());

    let world = World::new(&names[1..]);
    world.inner.lock().unwrap().joins = true;
    let (status, _) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Stale);
    assert_eq!(status.stale.iter().map(|f| f.node.as_str()).collect::<Vec<_>>(), ["t00.set"; 3]);
}

/// Updates of services, each with a guard that reads its own.
fn guarded_services(names: &[&str]) -> Plan {
    let mut builder = Builder::default();
    for name in names {
        builder.update(name);
        let set = builder.node(&format!("{name}.set"));
        let input = json!({"cluster": "default", "services": [name]});
        set.guards[0].read = Call { service: "ecs".into(), operation: "DescribeServices".into(), input };
        set.guards[0].holds = BTreeMap::from([("services[0].value".to_owned(), json!("old"))]);
    }
    builder.commit().build()
}

/// Many workers on many threads ask one after another: they are waited for.
#[test]
fn start_guards_of_many_nodes_take_few_reads_and_tell_all_that_moved() {
    let names: Vec<String> = (0..203).map(|number| format!("t{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = guarded_services(&names);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let look = |world: &World| {
        world.inner.lock().unwrap().joins = true;
        let failures = runtime.block_on(verify(&plan, None, setup(world))).unwrap();
        (failures.into_iter().map(|f| f.node).collect::<Vec<_>>(), world.snapshot().0.joint_reads)
    };
    let (failures, reads) = look(&World::new(&names));
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!((reads.iter().sum::<usize>(), reads.len()), (203, 21));

    let world = World::new(&names);
    for name in ["t007", "t107", "t202"] {
        world.inner.lock().unwrap().things.get_mut(name).unwrap().value = "other".to_owned();
    }
    let (failures, reads) = look(&world);
    assert_eq!(failures, ["t007.set", "t107.set", "t202.set"]);
    assert_eq!(reads.len(), 21);
}

/// Nobody may read: asking for each one alone would be refused as often as there are nodes.
#[test]
fn joint_reads_that_are_denied_are_not_made_one_by_one() {
    let names: Vec<String> = (0..30).map(|number| format!("t{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = guarded_services(&names);
    let world = World::new(&names);
    world.inner.lock().unwrap().joins = true;
    world.inner.lock().unwrap().denied = true;
    let error = block(verify(&plan, None, setup(&world))).unwrap_err();
    assert!(format!("{error:?}").contains("AccessDenied"), "{error:?}");
    assert_eq!(world.snapshot().0.joint_reads, [10, 10, 10]);
}

//! Runs in a bucket: taken up by another machine, locked, taken over from the dead, fenced off from the sleeping.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use belay_executor::journal::bucket::Bucket;
use belay_executor::journal::{JournalError, Shelf};
use belay_executor::lock::LockError;
use belay_executor::run::{Options, Outcome, RunError, RunStatus, resume_on, rollback_on, status_on};
use belay_schemas::journal::Header;
use belay_schemas::plan::Plan;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};

use crate::plans::chain;
use crate::world::{Fault, World};
use crate::{block, options, outcome, pausing, run, run_with, setup};

/// Long enough for a slow machine to touch its lock, short enough to wait for.
const PATIENCE: Duration = Duration::from_millis(1_500);

type Store = Arc<InMemory>;

fn machine(store: &Store) -> Bucket {
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    Bucket::new(store, "s3://bucket/team/prod", "team/prod/", PATIENCE).unwrap()
}

fn header() -> Header {
    let (_, sink) = run(&chain(&["a"]).build(), &World::new(&["a"]));
    let mut header = belay_executor::journal::parse(sink.text().as_bytes()).unwrap().header;
    header.account = "123456789012".to_owned();
    header
}

fn objects(store: &Store) -> Vec<String> {
    use futures_util::TryStreamExt;
    let mut all: Vec<Path> = block(store.list(None).map_ok(|meta| meta.location).try_collect::<Vec<_>>()).unwrap();
    all.sort();
    all.iter().map(ToString::to_string).collect()
}

fn lock_of(store: &Store) -> Path {
    objects(store).iter().find(|name| name.contains("/locks/")).unwrap().as_str().into()
}

fn read(store: &Store, path: &Path) -> Value {
    serde_json::from_slice(&block(async { store.get(path).await.unwrap().bytes().await.unwrap() })).unwrap()
}

/// A run as a machine left it there, an object for each line.
fn left(store: &Store, plan: &Plan, world: &World, options: &Options) -> RunStatus {
    let (status, sink) = run_with(plan, world, options);
    let put = |name: String, text: String| {
        block(store.put(&format!("team/prod/{name}").as_str().into(), text.into())).unwrap();
    };
    put("plans/run-1.json".into(), plan.to_json());
    for (number, line) in sink.text().split_inclusive('\n').enumerate() {
        put(format!("runs/run-1/{number:010}.jsonl"), line.to_owned());
    }
    put("latest".into(), "run-1\n".into());
    status
}

#[test]
fn another_machine_takes_a_run_up_and_back() {
    let store = Store::default();
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let stopped = left(&store, &plan, &world, &pausing());
    assert_eq!(outcome(&stopped).exit_code(), 8);

    let second = machine(&store);
    assert_eq!(second.find(None).unwrap(), "run-1");
    assert_eq!(second.ids().unwrap(), ["run-1"]);
    assert!(matches!(second.find(Some("other")), Err(JournalError::NoRun(_))));
    assert!(matches!(second.find(Some("../locks")), Err(JournalError::NoRun(_))));
    assert_eq!(status_on(&second, "run-1").unwrap().0, stopped);
    let done = block(resume_on(&second, "run-1", &[], None, setup(&world))).unwrap();
    assert_eq!(outcome(&done), Outcome::Done);
    let third = machine(&store);
    let back = block(rollback_on(&third, "run-1", None, setup(&world))).unwrap();
    assert_eq!(outcome(&back), Outcome::RolledBack { requested: true });
    assert!(world.values().values().all(|value| value == "old"));

    // A row without gaps, a plan, a pointer, a lock that was given back.
    let all = objects(&store);
    let parts: Vec<_> = all.iter().filter(|name| name.starts_with("team/prod/runs/run-1/")).collect();
    assert!(parts.len() > 6, "{all:?}");
    for (number, name) in parts.iter().enumerate() {
        assert_eq!(**name, format!("team/prod/runs/run-1/{number:010}.jsonl"));
    }
    assert_eq!(all.len(), parts.len() + 3, "{all:?}");
    assert_eq!(read(&store, &lock_of(&store))["free"], true);
    // The same id cannot be begun twice.
    let header = third.open("run-1").unwrap().0.header;
    let refused = third.create(&header, &plan).map(drop).unwrap_err();
    assert!(refused.to_string().contains("a run run-1 exists there already"), "{refused}");
}

#[test]
fn an_empty_bucket_has_no_run() {
    let bucket = machine(&Store::default());
    assert!(matches!(bucket.find(None), Err(JournalError::NoRuns(_))));
    assert_eq!(bucket.ids().unwrap(), Vec::<String>::new());
}

#[test]
fn who_comes_second_is_told_who_works_there() {
    let store = Store::default();
    let held = machine(&store).lock(&header()).unwrap();
    let begun = Instant::now();
    let mut other = header();
    other.run = "run-2".into();
    match machine(&store).lock(&other) {
        Err(error @ LockError::Held { .. }) => {
            let words = error.to_string();
            let me = format!("process {}, since 20", std::process::id());
            assert!(words.contains(&me) && words.contains("run run-1) works on this project and target"), "{words}");
            assert!(words.contains("lock team/prod/locks/shop-"), "{words}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two have the lock"),
    }
    assert!(begun.elapsed() < PATIENCE, "a living holder is noticed at its next touch: {:?}", begun.elapsed());
    other.project = "blog".into();
    drop(machine(&store).lock(&other).unwrap());
    drop(held);
    let begun = Instant::now();
    drop(machine(&store).lock(&header()).unwrap());
    assert!(begun.elapsed() < PATIENCE / 2, "what was given back is free at once");
}

#[test]
fn the_lock_of_the_dead_is_taken_over_by_one() {
    let store = Store::default();
    drop(machine(&store).lock(&header()).unwrap());
    let lock = lock_of(&store);
    let dead = json!({"user": "ci", "host": "gone", "pid": 7, "since": 1_790_000_000, "run": "run-0", "beat": 3,
        "free": false, "nonce": 9});
    block(store.put(&lock, dead.to_string().into_bytes().into())).unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let wins: Vec<_> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..4)
            .map(|number| {
                let (store, told) = (Arc::clone(&store), Arc::clone(&told));
                scope.spawn(move || {
                    let telling = Arc::clone(&told);
                    let bucket = machine(&store).telling(move |text| telling.lock().unwrap().push(text.to_owned()));
                    let mut header = header();
                    header.run = format!("run-{number}");
                    let begun = Instant::now();
                    let lock = bucket.lock(&header);
                    if lock.is_ok() {
                        assert!(begun.elapsed() >= PATIENCE, "{:?}", begun.elapsed());
                        // Long enough for all others to have lost.
                        std::thread::sleep(PATIENCE);
                    }
                    lock.is_ok()
                })
            })
            .collect();
        each.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(wins.iter().filter(|won| **won).count(), 1, "{wins:?}");
    let told = told.lock().unwrap();
    assert!(told[0].contains("ci on gone, process 7, since 2026-09-21T14:13:20Z, run run-0) has the lock"), "{told:?}");
    assert!(told[0].contains("whether it is still alive"), "{told:?}");
}

#[test]
fn who_lost_the_lock_asleep_sends_nothing_further() {
    let store = Store::default();
    let bucket = machine(&store);
    let held = bucket.lock(&header()).unwrap();
    let (mut header, plan) = (header(), chain(&["a"]).build());
    header.run = "run-9".into();
    header.plan = plan.digest.clone();
    let mut journal = bucket.create(&header, &plan).unwrap();
    let session =
        belay_schemas::journal::Event::Session { mode: belay_schemas::journal::SessionMode::Apply, belay: "0".into() };
    journal.append(1, &session).unwrap();
    // As if it had slept and somebody else had taken over.
    let lock = lock_of(&store);
    let other = json!({"user": "", "host": "other", "pid": 8, "since": 1_790_000_000, "run": "run-10", "beat": 0,
        "free": false, "nonce": 1});
    block(store.put(&lock, other.to_string().into_bytes().into())).unwrap();
    std::thread::sleep(PATIENCE);
    let error = journal.append(2, &session).unwrap_err().to_string();
    assert!(error.contains("another executor has taken over the lock team/prod/locks/shop-"), "{error}");
    // It stays so, and the other's lock is not given back in its place.
    journal.append(3, &session).unwrap_err();
    drop(held);
    assert_eq!(read(&store, &lock), other);
}

#[test]
fn of_two_that_write_the_same_journal_one_is_refused() {
    let store = Store::default();
    let (plan, world) = (chain(&["a"]).build(), World::new(&["a"]));
    left(&store, &plan, &world, &options());
    let (one, two) = (machine(&store), machine(&store));
    let contents = one.open("run-1").unwrap().0;
    let (mut one, mut two) = (one.append("run-1", &contents).unwrap(), two.append("run-1", &contents).unwrap());
    one.append("one\n", true).unwrap();
    let refused = two.append("two\n", true).unwrap_err().to_string();
    assert!(refused.contains("another executor has taken this run up"), "{refused}");
    two.append("two\n", false).unwrap_err();
    one.append("one\n", true).unwrap();
}

#[test]
fn what_somebody_did_to_the_objects_is_noticed() {
    let store = Store::default();
    let (plan, world) = (chain(&["a", "b"]).build(), World::new(&["a", "b"]));
    left(&store, &plan, &world, &options());
    let whole: Vec<(Path, Vec<u8>)> = objects(&store)
        .iter()
        .filter(|name| name.contains("/runs/"))
        .map(|name| {
            let path = Path::from(name.as_str());
            let bytes = block(async { store.get(&path).await.unwrap().bytes().await.unwrap().to_vec() });
            (path, bytes)
        })
        .collect();
    let refused = || status_on(&machine(&store), "run-1").map(drop).unwrap_err();
    for (number, (path, bytes)) in whole.iter().enumerate() {
        if number + 1 < whole.len() {
            block(store.delete(path)).unwrap();
            assert!(refused().to_string().contains("has a gap"), "{}", refused());
        }
        let changed = String::from_utf8_lossy(bytes).replacen(r#""at":1"#, r#""at":2"#, 1).replacen("shop", "blog", 1);
        block(store.put(path, changed.clone().into_bytes().into())).unwrap();
        if changed.as_bytes() != bytes {
            assert!(refused().to_string().contains("damaged at record"), "{}", refused());
        }
        block(store.put(path, bytes[..bytes.len() - 1].to_vec().into())).unwrap();
        assert!(matches!(refused(), RunError::Journal(JournalError::In { .. })), "{}", refused());
        block(store.put(path, bytes.clone().into())).unwrap();
    }
    status_on(&machine(&store), "run-1").unwrap();
    block(store.put(&"team/prod/plans/run-1.json".into(), chain(&["b"]).build().to_json().into())).unwrap();
    assert!(matches!(refused(), RunError::Journal(JournalError::OtherPlan { .. })), "{}", refused());
}

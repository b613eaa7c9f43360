//! Random plans with random faults, interrupts and kills: a run ends in the target, in the initial state or stuck with
//! names, in order, and never sends what may have happened.

use std::collections::BTreeMap;

use belay_executor::journal::{MemorySink, parse};
use belay_executor::run::{Mode, Options, Outcome, RunStatus, begin, take_up};
use belay_schemas::plan::Plan;
use proptest::prelude::*;

use crate::plans::Builder;
use crate::world::{Fault, World};
use crate::{block, options, outcome, setup};

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

#[derive(Debug, Clone)]
struct Case {
    things: usize,
    /// Later on earlier.
    edges: Vec<(usize, usize)>,
    faults: Vec<(usize, Fault)>,
    slowness: u64,
    concurrency: u32,
    /// Keep so many parts of a thousand of the journal, and resume.
    kill: Option<usize>,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Reject),
        Just(Fault::Throttle),
        Just(Fault::LostRequest),
        Just(Fault::LostAnswer),
        Just(Fault::LostAndBlind),
        Just(Fault::Partial),
        Just(Fault::NeverReady),
        Just(Fault::Breaks),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    (1..=NAMES.len()).prop_flat_map(|things| {
        let edge = (0..things, 0..things).prop_map(|(x, y)| (x.min(y), x.max(y)));
        (
            proptest::collection::vec(edge, 0..8),
            proptest::collection::vec((0..things, fault()), 0..5),
            0..40_u64,
            1..8_u32,
            proptest::option::of(0..1000_usize),
        )
            .prop_map(move |(mut edges, faults, slowness, concurrency, kill)| {
                edges.retain(|(from, to)| from != to);
                edges.sort_unstable();
                edges.dedup();
                Case { things, edges, faults, slowness, concurrency, kill }
            })
    })
}

fn plan(case: &Case) -> Plan {
    let mut builder = Builder::default();
    for name in &NAMES[..case.things] {
        builder.update(name);
    }
    for &(from, to) in &case.edges {
        builder.then(NAMES[from], NAMES[to]);
    }
    builder.commit().build()
}

/// Runs it; a kill drops the run's future in the middle of things, at a call.
fn play(case: &Case, plan: &Plan, world: &World) -> (RunStatus, String) {
    let options = Options { concurrency: case.concurrency, ..options() };
    let sink = MemorySink::default();
    let mut run = Box::pin(begin(plan, &options, Box::new(sink.clone()), setup(world)));
    let Some(kill) = case.kill else { return (block(run).unwrap(), sink.text()) };
    let died = block(async {
        for _ in 0..kill {
            let step = std::future::poll_fn(|context| std::task::Poll::Ready(run.as_mut().poll(context)));
            if let std::task::Poll::Ready(status) = step.await {
                return Some(status.unwrap());
            }
            tokio::task::yield_now().await;
        }
        None
    });
    drop(run);
    if let Some(status) = died {
        return (status, sink.text());
    }
    world.inner.lock().unwrap().in_flight = 0;
    let contents = match parse(sink.text().as_bytes()) {
        Ok(contents) => contents,
        // Killed before it began: begin it.
        Err(_) => return (block(begin(plan, &options, Box::new(sink.clone()), setup(world))).unwrap(), sink.text()),
    };
    let status = block(take_up(plan, &contents, Mode::Resume, &[], Box::new(sink.clone()), setup(world))).unwrap();
    (status, sink.text())
}

fn place(log: &[String], what: &str) -> Option<usize> {
    log.iter().position(|line| line == what)
}

fn check(case: &Case) -> Result<Outcome, TestCaseError> {
    let world = World::new(&NAMES[..case.things]);
    world.inner.lock().unwrap().slowness = case.slowness;
    for (thing, fault) in &case.faults {
        world.fault(&format!("Put {}", NAMES[*thing]), *fault);
    }
    let plan = plan(case);
    let (status, journal) = play(case, &plan, &world);
    let (values, log) = (world.values(), world.log());
    let end = outcome(&status);
    match end {
        Outcome::Done => prop_assert!(values.values().all(|v| v == "new"), "{values:?}\n{journal}"),
        Outcome::RolledBack { .. } => prop_assert!(values.values().all(|v| v == "old"), "{values:?}\n{journal}"),
        Outcome::Stuck => {
            prop_assert!(!status.stuck.is_empty());
            for (name, value) in &values {
                let named = status.stuck.iter().any(|stuck| stuck.node == format!("{name}.set"));
                prop_assert!(named || value == "old", "{name} is {value}, and nobody says so\n{journal}");
            }
        }
        other => prop_assert!(false, "{other:?}\n{journal}"),
    }
    for &(from, to) in &case.edges {
        let (from, to) = (NAMES[from], NAMES[to]);
        if let Some(second) = place(&log, &format!("Put {to} new")) {
            let first = place(&log, &format!("Put {from} new"));
            prop_assert!(first.is_some_and(|first| first < second), "{log:?}");
            if let Some(back) = place(&log, &format!("Put {from} old")) {
                let before = place(&log, &format!("Put {to} old"));
                prop_assert!(before.is_some_and(|before| before < back), "{log:?}\n{journal}");
            }
        }
    }
    let mut effects: BTreeMap<&String, usize> = BTreeMap::new();
    log.iter().for_each(|line| *effects.entry(line).or_default() += 1);
    prop_assert!(effects.values().all(|n| *n == 1), "something took effect twice: {log:?}\n{journal}");
    Ok(end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_ends_in_the_target_in_the_initial_state_or_stuck_with_names(case in case()) {
        check(&case)?;
    }
}

#[test]
fn the_random_cases_reach_every_end() {
    let faults = |faults: &[(usize, Fault)]| Case {
        things: 2,
        edges: vec![(0, 1)],
        faults: faults.to_vec(),
        slowness: 3,
        concurrency: 4,
        kill: None,
    };
    assert_eq!(check(&faults(&[])).unwrap(), Outcome::Done);
    assert_eq!(check(&faults(&[(1, Fault::Reject)])).unwrap(), Outcome::RolledBack { requested: false });
    assert_eq!(check(&faults(&[(1, Fault::Breaks), (1, Fault::Reject)])).unwrap(), Outcome::Stuck);
}

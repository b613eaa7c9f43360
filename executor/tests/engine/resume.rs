//! Runs that are killed, paused, interrupted, taken up again, and taken back by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use belay_executor::journal::{JournalError, MemorySink, Sink, parse};
use belay_executor::run::{
    Interrupt, Listener, Mode, Options, Outcome, RunError, RunEvent, RunStatus, Setup, What, begin, signals, take_up,
};
use belay_schemas::journal::PauseReason;
use belay_schemas::plan::{Action, Plan};

use crate::plans::chain;
use crate::world::{Fault, Inner, World};
use crate::{block, options, outcome, pausing, run, run_with, setup};

/// A sink that keeps what the world looked like when each line was written.
#[derive(Clone)]
struct Snapshots {
    world: World,
    lines: Arc<Mutex<Vec<String>>>,
    moments: Arc<Mutex<Vec<(Inner, u64)>>>,
}

impl Sink for Snapshots {
    fn append(&mut self, lines: &str, _durable: bool) -> Result<(), JournalError> {
        self.lines.lock().unwrap().push(lines.to_owned());
        self.moments.lock().unwrap().push(self.world.snapshot());
        Ok(())
    }
}

/// What came of taking a run up again.
pub type Again = Result<(RunStatus, MemorySink), RunError>;

pub fn again(plan: &Plan, journal: &str, world: &World, mode: Mode) -> Again {
    let contents = parse(journal.as_bytes())?;
    let sink = MemorySink::holding(journal);
    let status = block(take_up(plan, &contents, mode, &[], Box::new(sink.clone()), setup(world)))?;
    // What was written can be read, and leads to the same state.
    parse(sink.text().as_bytes())?;
    Ok((status, sink))
}

/// Kills a run at every record, before and after what follows it happened, and takes it up again.
pub fn kill_everywhere(
    plan: &Plan,
    world: &World,
    options: &Options,
    mode: Mode,
    look: &dyn Fn(&str, Again, &World),
) -> usize {
    let sink = Snapshots { world: world.clone(), lines: Arc::default(), moments: Arc::default() };
    block(begin(plan, options, Box::new(sink.clone()), setup(world))).unwrap();
    let (lines, moments) = (sink.lines.lock().unwrap().clone(), sink.moments.lock().unwrap().clone());
    let mut kills = 0;
    for last in 0..lines.len() {
        for at in [last, (last + 1).min(lines.len() - 1)] {
            let (mut inner, now) = moments[at].clone();
            inner.in_flight = 0;
            let world = World::from_snapshot((inner, now));
            let journal = lines[..=last].concat();
            let what = format!("killed after {}, world as of line {at}", lines[last].trim_end());
            look(&what, again(plan, &journal, &world, mode), &world);
            kills += 1;
        }
    }
    kills
}

fn count(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in world.log() {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

#[test]
fn a_run_that_is_killed_anywhere_reaches_its_target_without_sending_twice() {
    let world = World::new(&["a", "b", "z"]);
    world.inner.lock().unwrap().slowness = 7;
    let plan = chain(&["a", "b"]).delete("z").build();
    let kills = kill_everywhere(&plan, &world, &options(), Mode::Resume, &|what, again, world| {
        let (status, sink) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(outcome(&status), Outcome::Done, "{what}\n{}", sink.text());
        assert!(count(world).values().all(|n| *n == 1), "{what}: {:?}", world.log());
        assert_eq!(world.log(), ["Put a new", "Put b new", "Delete z"]);
    });
    assert!(kills > 40, "{kills}");
}

#[test]
fn a_run_that_is_killed_on_its_way_back_arrives_there() {
    for fault in [Fault::Reject, Fault::Breaks, Fault::NeverReady] {
        let world = World::new(&["a", "b"]);
        world.inner.lock().unwrap().slowness = 7;
        // The thing is broken by its first update only; the way back works.
        world.faults("Put b", fault, if fault == Fault::Reject { 99 } else { 1 });
        let plan = chain(&["a", "b"]).build();
        kill_everywhere(&plan, &world, &options(), Mode::Resume, &|what, again, world| {
            let (status, sink) = again.unwrap_or_else(|e| panic!("{fault:?}, {what}: {e}"));
            assert_eq!(outcome(&status).exit_code(), 3, "{fault:?}, {what}\n{}", sink.text());
            assert!(world.values().values().all(|value| value == "old"), "{what}: {:?}", world.values());
            assert!(count(world).values().all(|n| *n == 1), "{what}: {:?}", world.log());
        });
    }
}

#[test]
fn a_lost_answer_and_a_kill_together_are_settled_too() {
    for fault in [Fault::LostAnswer, Fault::LostRequest, Fault::LostAndBlind] {
        let world = World::new(&["a", "b"]);
        world.fault("Put b", fault);
        let plan = chain(&["a", "b"]).build();
        kill_everywhere(&plan, &world, &options(), Mode::Resume, &|what, again, world| {
            let (status, sink) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(outcome(&status), Outcome::Done, "{what}\n{}", sink.text());
            assert_eq!(world.log(), ["Put a new", "Put b new"], "{what}");
        });
    }
}

#[test]
fn a_run_can_be_taken_back_from_anywhere() {
    let world = World::new(&["a", "b", "z"]);
    world.inner.lock().unwrap().slowness = 7;
    let plan = chain(&["a", "b"]).delete("z").build();
    kill_everywhere(&plan, &world, &options(), Mode::Rollback, &|what, again, world| {
        let (status, sink) = again.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(outcome(&status), Outcome::RolledBack { requested: true }, "{what}\n{}", sink.text());
        assert_eq!(outcome(&status).exit_code(), 0);
        assert_eq!((world.value("a"), world.value("b")), ("old".into(), "old".into()), "{what}");
        assert!(count(world).values().all(|n| *n == 1), "{what}: {:?}", world.log());
    });
}

#[test]
fn a_paused_run_is_tried_again_or_taken_back() {
    let plan = chain(&["a", "b"]).build();
    let paused = || {
        let world = World::new(&["a", "b"]);
        world.fault("Put b", Fault::Reject);
        let (status, sink) = run_with(&plan, &world, &pausing());
        assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Failure });
        assert_eq!(outcome(&status).exit_code(), 8);
        assert_eq!(status.waiting_for, ["b.set"]);
        (world, sink)
    };
    let (world, sink) = paused();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put a new", "Put b new"]);

    let (world, sink) = paused();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Rollback).unwrap();
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: true });
    assert_eq!(world.log(), ["Put a new", "Put a old"]);
}

#[test]
fn a_resumed_run_checks_its_guards_again() {
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let (_, sink) = run_with(&plan, &world, &pausing());
    world.inner.lock().unwrap().things.get_mut("b").unwrap().value = "moved".into();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    // `b.set` began already and rests on `a.set`, which this run changed: its guard is not looked at again.
    assert_eq!(outcome(&status), Outcome::Done);

    let mut builder = chain(&["a", "b"]);
    builder.update("c");
    builder.gate("g").after("g", "c.set");
    let plan = builder.build();
    let world = World::new(&["a", "b", "c"]);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Gate });
    world.inner.lock().unwrap().things.get_mut("c").unwrap().value = "moved".into();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: false });
    assert_eq!(status.stale.len(), 1);
    assert_eq!(world.value("a"), "old");
}

/// Interrupts when something happens.
struct At {
    what: fn(&RunEvent) -> bool,
    interrupt: Interrupt,
    times: usize,
}

impl Listener for At {
    fn event(&self, event: &RunEvent) {
        if (self.what)(event) {
            (0..self.times).for_each(|_| self.interrupt.send());
        }
    }
}

fn interrupted(
    plan: &Plan,
    world: &World,
    options: &Options,
    times: usize,
    what: fn(&RunEvent) -> bool,
) -> (RunStatus, MemorySink) {
    let (interrupt, signals) = signals();
    let listener = At { what, interrupt, times };
    let setup = Setup { signals, listener: &listener, ..setup(world) };
    let sink = MemorySink::default();
    (block(begin(plan, options, Box::new(sink.clone()), setup)).unwrap(), sink)
}

fn sending(event: &RunEvent, node: &str) -> bool {
    event.node.as_deref() == Some(node) && matches!(event.what, What::Sending { .. })
}

#[test]
fn the_first_interrupt_turns_back_once_the_call_in_flight_is_settled() {
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    let (status, _) = interrupted(&plan, &world, &options(), 1, |e| sending(e, "b.set"));
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: false });
    assert_eq!(world.log(), ["Put a new", "Put b new", "Put b old", "Put a old"]);

    // While it waits.
    let world = World::new(&["a", "b"]);
    world.inner.lock().unwrap().slowness = 50;
    let (status, _) = interrupted(&plan, &world, &options(), 1, |e| {
        e.node.as_deref() == Some("a.ready") && matches!(e.what, What::Polled { .. })
    });
    assert_eq!(outcome(&status).exit_code(), 3);
    assert_eq!(world.log(), ["Put a new", "Put a old"]);

    // Before anything happened.
    let world = World::new(&["a", "b"]);
    let (status, _) = interrupted(&plan, &world, &options(), 1, |e| matches!(e.what, What::Session { .. }));
    assert_eq!(outcome(&status).exit_code(), 3);
    assert_eq!(world.log(), [""; 0]);
}

#[test]
fn the_second_interrupt_stops_where_it_is_and_the_run_can_be_resumed() {
    for node in ["a.set", "b.set"] {
        let plan = chain(&["a", "b"]).build();
        let world = World::new(&["a", "b"]);
        let what: fn(&RunEvent) -> bool =
            if node == "a.set" { |e| sending(e, "a.set") } else { |e| sending(e, "b.set") };
        let (status, sink) = interrupted(&plan, &world, &options(), 2, what);
        assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Interrupt });
        assert_eq!(outcome(&status).exit_code(), 8);
        let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
        assert_eq!(outcome(&status).exit_code(), 3);
        assert!(world.values().values().all(|value| value == "old"));
    }
}

#[test]
fn with_on_failure_pause_an_interrupt_pauses() {
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    let (status, sink) = interrupted(&plan, &world, &pausing(), 1, |e| sending(e, "a.set"));
    assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Interrupt });
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put a new", "Put b new"]);
}

#[test]
fn past_the_commit_point_an_interrupt_leaves_the_rest_for_later() {
    let plan = chain(&["a"]).delete("y").delete("z").after("y.delete", "z.delete").build();
    let world = World::new(&["a", "y", "z"]);
    let (status, sink) = interrupted(&plan, &world, &options(), 1, |e| sending(e, "y.delete"));
    assert_eq!(outcome(&status).exit_code(), 8);
    assert_eq!(world.log(), ["Put a new", "Delete y"]);
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put a new", "Delete y", "Delete z"]);
}

#[test]
fn a_target_that_goes_out_of_reach_pauses_the_run() {
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    world.faults("Put b", Fault::Unreachable, 30);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Environment });
    world.inner.lock().unwrap().faults.clear();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!(world.log(), ["Put a new", "Put b new"]);

    // On the way back.
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject).inner.lock().unwrap().faults.entry("Put a".into()).or_default();
    let mut plan = chain(&["a", "b"]).build();
    let undo = plan.nodes.iter_mut().find(|n| n.id == "a.set.undo").unwrap();
    let Action::Call { call, .. } = &mut undo.action else { unreachable!() };
    call.operation = "Add".into();
    let plan = plan.seal();
    world.faults("Add a", Fault::Unreachable, 30);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Paused { reason: PauseReason::Environment });
    world.inner.lock().unwrap().faults.clear();
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status).exit_code(), 3);
    assert_eq!(world.log(), ["Put a new", "Add a old"]);
}

#[test]
fn a_stuck_run_is_taken_up_when_a_person_removed_the_cause() {
    let mut plan = chain(&["a", "b"]).build();
    let undo = plan.nodes.iter_mut().find(|n| n.id == "a.set.undo").unwrap();
    let Action::Call { call, .. } = &mut undo.action else { unreachable!() };
    call.operation = "Add".into();
    let plan = plan.seal();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject).fault("Add a", Fault::Reject);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Stuck);
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: false });
    assert_eq!(world.value("a"), "old");
}

#[test]
fn what_a_compensation_changed_and_something_changed_back_is_changed_again() {
    let world = World::new(&["a"]);
    // Forward it breaks, and what the way back brings never becomes ready.
    world.fault("Put a", Fault::Breaks).fault("Put a", Fault::NeverReady);
    let plan = chain(&["a"]).build();
    let (stuck, sink) = run(&plan, &world);
    assert_eq!(outcome(&stuck), Outcome::Stuck);
    // AWS gives the way back up and returns to what was there: as a circuit breaker does.
    for undone in [true, false] {
        let world = World::from_snapshot(world.snapshot());
        {
            let mut inner = world.inner.lock().unwrap();
            let thing = inner.things.get_mut("a").unwrap();
            thing.ready_at = 0;
            if undone {
                thing.value = "new".to_owned();
            }
        }
        let (back, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
        assert_eq!(outcome(&back), Outcome::RolledBack { requested: false }, "{undone}: {:?}", back.stuck);
        assert_eq!(world.value("a"), "old");
        let sent = if undone { vec!["Put a new", "Put a old", "Put a old"] } else { vec!["Put a new", "Put a old"] };
        assert_eq!(world.log(), sent, "what still holds is not done again");
    }
}

#[test]
fn an_incomplete_finalize_is_tried_again() {
    let plan = chain(&["a"]).delete("z").build();
    let world = World::new(&["a", "z"]);
    world.faults("Delete z", Fault::Reject, 2);
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::FinalizeIncomplete);
    let (status, _) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
}

#[test]
fn a_finished_run_is_taken_back_until_what_that_needs_is_gone() {
    let world = World::new(&["a", "b", "z"]);
    let plan = chain(&["a", "b"]).delete("z").build();
    let (_, sink) = run(&plan, &world);
    let (status, sink) = again(&plan, &sink.text(), &world, Mode::Rollback).unwrap();
    assert_eq!(outcome(&status), Outcome::RolledBack { requested: true });
    assert_eq!(world.log(), ["Put a new", "Put b new", "Delete z", "Put b old", "Put a old"]);
    let error = again(&plan, &sink.text(), &world, Mode::Rollback).unwrap_err();
    assert!(matches!(error, RunError::NothingToRollBack { .. }), "{error}");

    // `a` itself is deleted after the commit point.
    let world = World::new(&["a", "b"]);
    let plan = chain(&["a", "b"]).delete("a").build();
    let (status, sink) = run(&plan, &world);
    assert_eq!(outcome(&status), Outcome::Done);
    let error = again(&plan, &sink.text(), &world, Mode::Rollback).unwrap_err();
    assert!(matches!(&error, RunError::Destroyed { what, .. } if what == "a"), "{error}");
    assert!(error.to_string().contains("compile the earlier model"), "{error}");
}

#[test]
fn a_run_that_is_over_has_nothing_to_go_on_with() {
    let plan = chain(&["a"]).build();
    let world = World::new(&["a"]);
    let (_, sink) = run(&plan, &world);
    let calls = world.snapshot().0.calls;
    let (status, after) = again(&plan, &sink.text(), &world, Mode::Resume).unwrap();
    assert_eq!(outcome(&status), Outcome::Done);
    assert_eq!((after.text(), world.snapshot().0.calls), (sink.text(), calls));
}

#[test]
fn another_plan_is_refused() {
    let world = World::new(&["a"]);
    let (_, sink) = run(&chain(&["a"]).build(), &world);
    let error = again(&chain(&["b"]).build(), &sink.text(), &world, Mode::Resume).unwrap_err();
    assert!(matches!(error, RunError::Journal(JournalError::OtherPlan { .. })), "{error}");
}

//! A journal that cannot be written: at each of its writes the disk is full, breaks, or takes only half of a line.
//!
//! Whatever happens to a write, nothing is sent that the journal does not announce, the error says what is wrong, and the
//! run goes on from what is there once the disk is all right again.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

use belay_executor::journal::{JournalError, MemorySink, Sink, parse};
use belay_executor::run::{Mode, Options, Outcome, RunError, begin, take_up};
use belay_schemas::plan::Plan;

use crate::plans::chain;
use crate::resume::again;
use crate::world::{Fault, World};
use crate::{block, options, outcome, setup};

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing fits any more.
    Full,
    /// The device answers with an error; nothing is there.
    Broken,
    /// The first half of it is there.
    Half,
    /// All of it is there, but it is not known to be.
    Unflushed,
}

const ALL: [Trouble; 4] = [Trouble::Full, Trouble::Broken, Trouble::Half, Trouble::Unflushed];

/// A disk whose `nth` write goes wrong, and every one after it.
#[derive(Clone)]
struct Disk {
    text: Arc<Mutex<String>>,
    writes: Arc<Mutex<usize>>,
    nth: usize,
    trouble: Trouble,
}

impl Disk {
    fn new(text: &str, nth: usize, trouble: Trouble) -> Self {
        Self { text: Arc::new(Mutex::new(text.to_owned())), writes: Arc::default(), nth, trouble }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }
}

impl Sink for Disk {
    fn append(&mut self, lines: &str, _durable: bool) -> Result<(), JournalError> {
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        assert!(*writes <= self.nth + 1, "somebody writes on after a write that failed");
        let mut text = self.text.lock().unwrap();
        if *writes <= self.nth {
            text.push_str(lines);
            return Ok(());
        }
        let source = match self.trouble {
            Trouble::Full => Error::from(ErrorKind::StorageFull),
            Trouble::Broken => Error::from_raw_os_error(5),
            Trouble::Half => {
                text.push_str(&lines[..lines.len() / 2]);
                Error::from(ErrorKind::WriteZero)
            }
            Trouble::Unflushed => {
                text.push_str(lines);
                Error::from_raw_os_error(5)
            }
        };
        Err(JournalError::Io { path: "journal.jsonl".into(), source })
    }
}

/// Every mutation that arrived stands in the journal as an intent.
fn announced(journal: &str, world: &World, what: &str) {
    let sent = world.snapshot().0.sent.len();
    let intents = journal.lines().filter(|line| line.contains(r#""is":"intent""#)).count();
    assert!(sent <= intents, "{what}: {sent} were sent, {intents} announced\n{journal}");
}

fn clear(error: &RunError, what: &str) {
    let words = error.to_string();
    assert!(words.contains("journal.jsonl: "), "{what}: {words}");
    let begun = words.starts_with("run run-1 stopped because its journal cannot be written");
    let expected = if begun { 8 } else { 6 };
    assert_eq!(error.exit_code(), expected, "{what}: {words}");
}

/// Begins a plan on a disk that breaks at its `nth` write, and takes up what came of it.
fn breaks(plan: &Plan, world: &World, options: &Options, nth: usize, trouble: Trouble) -> Option<(World, MemorySink)> {
    let what = format!("{trouble:?} at write {nth}");
    let disk = Disk::new("", nth, trouble);
    let first = block(begin(plan, options, Box::new(disk.clone()), setup(world)));
    let Err(error) = first else {
        assert!(disk.writes() <= nth, "{what}: the error was swallowed");
        return None;
    };
    clear(&error, &what);
    announced(&disk.text(), world, &what);
    let mut inner = world.snapshot();
    inner.0.in_flight = 0;
    let world = World::from_snapshot(inner);
    match parse(disk.text().as_bytes()) {
        // The run never began: nothing was sent, and it is begun anew.
        Err(JournalError::Empty) => {
            assert!(world.log().is_empty(), "{what}: {:?}", world.log());
            let sink = MemorySink::default();
            block(begin(plan, options, Box::new(sink.clone()), setup(&world))).unwrap();
            Some((world, sink))
        }
        Err(error) => panic!("{what}: {error}"),
        Ok(contents) => {
            let whole = disk.text()[..contents.length as usize].to_owned();
            let (_, sink) = again(plan, &whole, &world, Mode::Resume).unwrap();
            Some((world, sink))
        }
    }
}

fn ends(sink: &MemorySink, plan: &Plan, world: &World) -> Outcome {
    // What stands there leads to the same end again.
    let contents = parse(sink.text().as_bytes()).unwrap();
    let status = block(take_up(plan, &contents, Mode::Resume, &[], Box::new(sink.clone()), setup(world))).unwrap();
    outcome(&status)
}

#[test]
fn on_the_way_forward_any_write_may_fail() {
    let plan = chain(&["a", "b", "c"]).build();
    let mut failed = 0;
    for trouble in ALL {
        for nth in 0.. {
            let world = World::new(&["a", "b", "c"]);
            let Some((world, sink)) = breaks(&plan, &world, &options(), nth, trouble) else { break };
            failed += 1;
            assert_eq!(ends(&sink, &plan, &world), Outcome::Done, "{trouble:?} at write {nth}");
            assert_eq!(world.log(), ["Put a new", "Put b new", "Put c new"], "{trouble:?} at write {nth}");
        }
    }
    assert!(failed >= 4 * 15, "only {failed} writes failed");
}

#[test]
fn on_the_way_back_any_write_may_fail() {
    let plan = chain(&["a", "b", "c"]).build();
    let mut failed = 0;
    for trouble in ALL {
        for nth in 0.. {
            let world = World::new(&["a", "b", "c"]);
            world.fault("Put c", Fault::Reject);
            let Some((world, sink)) = breaks(&plan, &world, &options(), nth, trouble) else { break };
            failed += 1;
            let what = format!("{trouble:?} at write {nth}");
            // The fault is used up when the call was made before the disk broke and its outcome was lost with it.
            match ends(&sink, &plan, &world) {
                Outcome::Done => assert!(world.values().values().all(|value| value == "new"), "{what}"),
                Outcome::RolledBack { .. } => assert!(world.values().values().all(|value| value == "old"), "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    assert!(failed >= 4 * 20, "only {failed} writes failed");
}

#[test]
fn a_resumed_run_whose_journal_breaks_is_resumed_once_more() {
    let plan = chain(&["a", "b"]).build();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let paused = Options { on_failure: belay_schemas::journal::OnFailure::Pause, ..options() };
    let sink = MemorySink::default();
    block(begin(&plan, &paused, Box::new(sink.clone()), setup(&world))).unwrap();
    let before = world.snapshot();
    for trouble in ALL {
        for nth in 0.. {
            let world = World::from_snapshot(before.clone());
            let contents = parse(sink.text().as_bytes()).unwrap();
            let disk = Disk::new(&sink.text(), nth, trouble);
            let end = block(take_up(&plan, &contents, Mode::Resume, &[], Box::new(disk.clone()), setup(&world)));
            let Err(error) = end else { break };
            clear(&error, &format!("{trouble:?} at write {nth}"));
            let mut inner = world.snapshot();
            inner.0.in_flight = 0;
            let world = World::from_snapshot(inner);
            let contents = parse(disk.text().as_bytes()).unwrap();
            let whole = disk.text()[..contents.length as usize].to_owned();
            let (status, _) = again(&plan, &whole, &world, Mode::Resume).unwrap();
            assert_eq!(outcome(&status), Outcome::Done, "{trouble:?} at write {nth}");
            assert_eq!(world.log(), ["Put a new", "Put b new"], "{trouble:?} at write {nth}");
        }
    }
}

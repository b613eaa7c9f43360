//! Journals on disk: torn, damaged, foreign, locked, large.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use belay_executor::journal::{JournalError, Runs, parse, read};
use belay_executor::lock::{Lock, LockError};
use belay_executor::run::{Options, Outcome, RunError, begin, resume, rollback, status};
use belay_schemas::plan::Plan;

use crate::plans::{Builder, chain};
use crate::world::{Fault, World};
use crate::{block, events, options, outcome, run, setup};

/// A run in a directory, as `apply` makes it.
fn on_disk(dir: &std::path::Path, plan: &Plan, world: &World, options: &Options) -> PathBuf {
    let (run_dir, sink) = Runs::new(dir).create(options.run_id.as_deref().unwrap(), plan, Ok).unwrap();
    block(begin(plan, options, Box::new(sink), setup(world))).unwrap();
    run_dir
}

#[test]
fn a_run_on_disk_is_found_told_resumed_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let plan = chain(&["a", "b"]).build();
    let paused = Options { on_failure: belay_schemas::journal::OnFailure::Pause, ..options() };
    let run_dir = on_disk(dir.path(), &plan, &world, &paused);
    let runs = Runs::new(dir.path());
    assert_eq!(runs.find(None).unwrap(), run_dir);
    assert_eq!(runs.find(Some("run-1")).unwrap(), run_dir);
    assert!(matches!(runs.find(Some("other")), Err(JournalError::NoRun(_))));
    assert_eq!(outcome(&status(&run_dir).unwrap()).exit_code(), 8);
    let told = status(&run_dir).unwrap();
    assert_eq!(told.failures().next().unwrap().0, "b.set");
    serde_json::to_string(&told).unwrap();

    let done = block(resume(&run_dir, &[], Some("us-east-1"), setup(&world))).unwrap();
    assert_eq!(outcome(&done), Outcome::Done);
    assert_eq!(status(&run_dir).unwrap(), done);
    let back = block(rollback(&run_dir, None, setup(&world))).unwrap();
    assert_eq!(outcome(&back), Outcome::RolledBack { requested: true });
    assert!(world.values().values().all(|value| value == "old"));
}

#[cfg(unix)]
#[test]
fn a_run_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let run_dir = on_disk(dir.path(), &chain(&["a"]).build(), &World::new(&["a"]), &options());
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(run_dir.join("journal.jsonl")), 0o600);
    assert_eq!(mode(run_dir.join("plan.json")), 0o600);
    assert_eq!(mode(run_dir.clone()), 0o700);
}

#[test]
fn a_torn_tail_is_cut_off_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&["a", "b"]);
    world.fault("Put b", Fault::Reject);
    let paused = Options { on_failure: belay_schemas::journal::OnFailure::Pause, ..options() };
    let run_dir = on_disk(dir.path(), &chain(&["a", "b"]).build(), &world, &paused);
    let path = run_dir.join("journal.jsonl");
    let whole = read(&path).unwrap();
    for tail in [&b"{\"seq\":99,\"at\":1,\"ev"[..], b"\0\0\0\0", "ä".as_bytes()] {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(tail).unwrap();
        let torn = read(&path).unwrap();
        assert_eq!((torn.torn, torn.records.len()), (tail.len() as u64, whole.records.len()));
        status(&run_dir).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(torn.length).unwrap();
    }
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":").unwrap();
    let done = block(resume(&run_dir, &[], None, setup(&world))).unwrap();
    assert_eq!(outcome(&done), Outcome::Done);
    assert_eq!(read(&path).unwrap().torn, 0);
}

#[test]
fn damage_in_the_middle_is_refused_with_the_records_number() {
    let world = World::new(&["a"]);
    let (_, sink) = run(&chain(&["a"]).build(), &world);
    let text = sink.text();
    let lines: Vec<&str> = text.lines().collect();
    let refused = |text: &str| match parse(text.as_bytes()) {
        Err(JournalError::Damaged { record, .. }) => record,
        other => panic!("{other:?}"),
    };
    for record in 1..lines.len() {
        // A changed character, a line that is missing, two lines in the wrong order.
        let changed = lines[record].replacen("\"at\":1", "\"at\":2", 1);
        let mut bad = lines.clone();
        bad[record] = &changed;
        assert_eq!(refused(&(bad.join("\n") + "\n")), record as u64);
        let mut bad = lines.clone();
        bad.remove(record);
        if record < lines.len() - 1 {
            assert_eq!(refused(&(bad.join("\n") + "\n")), record as u64);
            let mut bad = lines.clone();
            bad.swap(record, record + 1);
            assert_eq!(refused(&(bad.join("\n") + "\n")), record as u64);
        }
    }
    assert_eq!(refused(&text.replacen("\"project\":\"shop\"", "\"project\":\"blog\"", 1)), 0);
}

#[test]
fn foreign_files_are_called_that() {
    let words = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
    assert!(words(b"").contains("empty"));
    assert!(words(b"{\"kind\":").contains("empty"));
    assert!(words(b"hello\n").contains("not a journal"));
    assert!(words(b"{\"kind\":\"other\"}\n").contains("belay-journal"));
    assert!(words(b"{\"kind\":\"belay-journal\",\"format\":2}\n").contains("format 2"));
    assert!(words(b"\xff\xfe\n").contains("not text"));
}

#[test]
fn a_changed_plan_beside_the_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&["a"]);
    let run_dir = on_disk(dir.path(), &chain(&["a"]).build(), &world, &options());
    std::fs::write(run_dir.join("plan.json"), chain(&["b"]).build().to_json()).unwrap();
    let error = status(&run_dir).unwrap_err();
    assert!(matches!(error, RunError::Journal(JournalError::OtherPlan { .. })), "{error}");
}

#[test]
fn a_run_whose_target_is_locked_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(&["a"]);
    let plan = chain(&["a"]).build();
    let run_dir = on_disk(dir.path(), &plan, &world, &options());
    let held = Lock::take(dir.path(), "shop", "123456789012", &plan.target, None, "someone").unwrap();
    let error = block(resume(&run_dir, &[], None, setup(&world))).unwrap_err();
    assert!(matches!(&error, RunError::Lock(LockError::Held { holder, .. }) if holder.run == "someone"), "{error}");
    assert_eq!(error.exit_code(), 6);
    drop(held);
    block(resume(&run_dir, &[], None, setup(&world))).unwrap();
}

#[test]
fn a_large_journal_is_read_and_replayed_in_no_time() {
    let names: Vec<String> = (0..1_000).map(|i| format!("t{i:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut builder = Builder::default();
    for name in &names {
        builder.update(name);
    }
    let plan = builder.commit().build();
    let world = World::new(&names);
    let dir = tempfile::tempdir().unwrap();
    let (status_after, sink) = run(&plan, &world);
    assert_eq!(outcome(&status_after), Outcome::Done);
    let (run_dir, _) = Runs::new(dir.path()).create("big", &plan, Ok).unwrap();
    std::fs::write(run_dir.join("journal.jsonl"), sink.text()).unwrap();
    let records = events(&sink).len();
    let began = Instant::now();
    status(&run_dir).unwrap();
    println!("{records} records and {} nodes in {:?}", plan.nodes.len(), began.elapsed());
    assert!(records >= 6_000, "{records}");
    // An unoptimised build; the bench measures the real thing.
    assert!(began.elapsed().as_secs() < 10);

    // The way back of all of it.
    let began = Instant::now();
    let back = block(rollback(&run_dir, None, setup(&world))).unwrap();
    println!("taken back in {:?}", began.elapsed());
    assert_eq!(outcome(&back), Outcome::RolledBack { requested: true });
    assert!(began.elapsed().as_secs() < 60);
}

//! Whatever is read from outside, nothing panics, hangs or eats the memory: the recorded inputs in `tests/fuzz/` are
//! replayed, and some new ones are made with a recorded seed.
//!
//! `BELAY_FUZZ_SECONDS=600 cargo test -p belay-tests --test fuzz -- --nocapture` goes on for so long with each target, from
//! a seed of its own; an input that breaks something is written to `tests/fuzz/TARGET/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::panic::catch_unwind;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use belay_tests::fuzz::{LENGTH, Target, next};

/// For one input; an unoptimised build on a busy machine takes a fraction of that.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that are in use beyond what was at the beginning, at most.
const MEMORY_MIB: u64 = 600;
/// New inputs in an ordinary run of the tests.
const FEW: u64 = 400;
const SEED: u64 = 0x5eed_2027;

/// Reads an input on a thread with an ordinary stack, and waits for it.
fn look(target: Target, input: &[u8]) -> Result<Duration, String> {
    let (told, hear) = mpsc::channel();
    let copy = input.to_vec();
    let begun = Instant::now();
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let outcome = catch_unwind(move || target.read(&copy));
            // Nobody waits for one that took too long.
            let _ = told.send(outcome.map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
            }));
        })
        .unwrap();
    match hear.recv_timeout(PATIENCE) {
        Ok(Ok(())) => Ok(begun.elapsed()),
        Ok(Err(panic)) => Err(format!("a panic: {panic}")),
        Err(_) => Err(format!("no end within {} s", PATIENCE.as_secs())),
    }
}

fn fail(target: Target, input: &[u8], what: &str) -> ! {
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = target.folder().join(format!("found-{hash:016x}"));
    std::fs::create_dir_all(target.folder()).unwrap();
    std::fs::write(&path, input).unwrap();
    panic!("{} {}: {what}", target.name(), path.display());
}

/// The most memory that this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn fuzz(target: Target) {
    let setting = std::env::var("BELAY_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse::<u64>().ok());
    let mut known = target.seeds();
    let before = peak_mib();
    let recorded: Vec<_> =
        std::fs::read_dir(target.folder()).into_iter().flatten().map(|f| f.unwrap().path()).collect();
    for path in &recorded {
        let input = std::fs::read(path).unwrap();
        if let Err(what) = look(target, &input) {
            panic!("{} {}: {what}", target.name(), path.display());
        }
        known.push(input);
    }
    for input in &known {
        if let Err(what) = look(target, input) {
            fail(target, input, &what);
        }
    }
    let mut state = match setting {
        Some(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        None => SEED,
    };
    let seed = state;
    let (begun, mut count, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    loop {
        let over = match setting {
            Some(seconds) => begun.elapsed().as_secs() >= seconds,
            None => count >= FEW,
        };
        if over {
            break;
        }
        let input = target.make(&known, &mut state);
        assert!(input.len() <= LENGTH * 2, "{}", input.len());
        match look(target, &input) {
            Ok(took) => slowest = slowest.max(took),
            Err(what) => fail(target, &input, &format!("seed {seed:#x}, input {count}: {what}")),
        }
        // What was changed is changed further, now and then.
        if next(&mut state).is_multiple_of(16) && known.len() < 2_000 {
            known.push(input);
        }
        count += 1;
        let grown = peak_mib().saturating_sub(before);
        assert!(grown <= MEMORY_MIB, "{} seed {seed:#x}, input {count}: {grown} MiB", target.name());
    }
    println!(
        "{}: seed {seed:#x}, {} recorded, {count} new, the slowest took {slowest:?}, {} MiB at most",
        target.name(),
        recorded.len(),
        peak_mib()
    );
}

#[test]
fn models() {
    fuzz(Target::Model);
}

#[test]
fn plans() {
    fuzz(Target::Plan);
}

#[test]
fn journals() {
    fuzz(Target::Journal);
}

#[test]
fn conditions() {
    fuzz(Target::Condition);
}

#[test]
fn every_target_has_recorded_inputs() {
    for target in Target::ALL {
        let count = std::fs::read_dir(target.folder()).map_or(0, Iterator::count);
        assert!(count > 0, "{}", target.folder().display());
    }
}

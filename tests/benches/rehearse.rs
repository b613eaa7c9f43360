//! How long it takes to rehearse a plan that changes twenty components, ten services and ten groups of machines:
//! `cargo bench -p belay-tests --bench rehearse`; with `-- --assert` it fails where the budget is exceeded, with
//! `-- --whole` every run is made with the whole plan, and with `-- --report` it prints what was found.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::ExitCode;
use std::time::Instant;

use belay_executor::rehearse::{Options, rehearse};
use belay_executor::simulator::World;
use belay_tests::fleet::Fleet;

/// That of `belay`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds on two processors: a pull request should not wait for it.
const SECONDS: f64 = 10.0;

fn main() -> ExitCode {
    let given = |flag: &str| std::env::args().any(|a| a == flag);
    // Under `cargo test --benches` cargo runs this without --bench: a small one shows that it works.
    let half = if given("--bench") { 10 } else { 1 };
    let fleet = Fleet { services: half, machines: half };
    let (_, observed, plan) = fleet.update(World::default_account());
    let world = World::from_observed(&observed).unwrap();
    let start = Instant::now();
    let options = Options { apart: !given("--whole"), ..Options::default() };
    let report = rehearse(&plan, &world, Some(&observed), &options).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    println!(
        "{} components, {} nodes, {} runs: {seconds:.2} s on {cores} processors, {:.2} ms of one for each run",
        2 * half,
        plan.nodes.len(),
        report.runs,
        seconds * cores.min(report.runs as usize) as f64 * 1e3 / report.runs as f64
    );
    if given("--report") {
        println!("{}", belay_executor::rehearse::text(&report));
    }
    assert!(report.holds, "{}", belay_executor::rehearse::text(&report));
    if !given("--bench") {
        return ExitCode::SUCCESS;
    }
    let kept = seconds <= SECONDS;
    println!("{} at most {SECONDS} s", if kept { "kept:    " } else { "exceeded:" });
    if kept || !given("--assert") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

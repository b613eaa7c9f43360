//! How long compiling takes, stage by stage, against only parsing the same YAML: `cargo bench -p belay-tests --bench
//! compile`. All numbers come from one run on one machine, so the ratios are what counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use belay_compiler::compile::{Options, compile};
use belay_compiler::diagnostics::{Report, SourceFile};
use belay_compiler::{Sources, load};
use belay_schemas::plan::Mode;
use belay_tests::generate::{ENVIRONMENT, model};

fn best<T>(rounds: usize, mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut fastest = Duration::MAX;
    let mut result = None;
    for _ in 0..rounds {
        let start = Instant::now();
        let value = black_box(work());
        fastest = fastest.min(start.elapsed());
        result = Some(value);
    }
    (fastest, result.expect("at least one round"))
}

fn sources(text: &str) -> Sources {
    Sources {
        model: SourceFile::new("model.yaml", text),
        environments: vec![SourceFile::new("prod.yaml", ENVIRONMENT)],
        vars: Vec::new(),
    }
}

fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn measure(count: usize, rounds: usize) -> f64 {
    let text = model(count);
    let options = Options { project: "bench".to_owned(), mode: Mode::Deploy, replace_all: false, only: Vec::new() };
    let (floor, _) =
        best(rounds, || serde_yaml::from_str::<serde_yaml::Value>(&text).expect("the generated model is YAML"));
    let (read, _) = best(rounds, || load(sources(&text), &mut Report::new()).expect("the generated model loads"));
    let mut report = Report::new();
    let loaded = load(sources(&text), &mut report).expect("the generated model loads");
    let (lower, plan) = best(rounds, || compile(&loaded, None, &options, &mut Report::new()).expect("it compiles"));
    let (check, violations) = best(rounds, || belay_schemas::checker::check(&plan));
    assert!(violations.is_empty());
    let (write, json) = best(rounds, || plan.to_json());
    let (all, _) = best(rounds, || {
        let mut report = Report::new();
        let loaded = load(sources(&text), &mut report).expect("the generated model loads");
        compile(&loaded, None, &options, &mut report).expect("it compiles").to_json()
    });
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let ratio = ms(all) / ms(floor);
    println!(
        "{count} components, {:.1} MB of YAML, {} nodes, {:.1} MB of plan",
        text.len() as f64 / 1e6,
        plan.nodes.len(),
        json.len() as f64 / 1e6
    );
    for (stage, time) in [
        ("only parse the YAML (serde_yaml Value)", floor),
        ("read, substitute, validate, type", read),
        ("compile (with seal and check)", lower),
        ("  of which check", check),
        ("write", write),
        ("all: read, compile, check, write", all),
    ] {
        println!("  {stage:<40} {:>9.1} ms   {:>5.2} ×", ms(time), ms(time) / ms(floor));
    }
    println!("  peak memory so far {} MiB", peak_memory_mib());
    ratio
}

fn main() {
    // Under `cargo test --benches` cargo runs this without --bench: a single small round shows that it works.
    if !std::env::args().any(|a| a == "--bench") {
        measure(50, 1);
        return;
    }
    measure(100, 20);
    let small = measure(1_000, 7);
    let large = measure(10_000, 2);
    println!("1,000 components: {small:.2} × parsing (budget 4 ×, goal 2 ×); 10,000: {large:.2} ×");
}

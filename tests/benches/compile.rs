//! How long compiling takes and how much memory, stage by stage, against only parsing the same YAML:
//! `cargo bench -p belay-tests --bench compile`; with `-- --assert` it fails where a budget is exceeded. The times of a
//! table come from one run on one machine, so the ratios are what counts. Memory is measured in processes of their own:
//! a peak never goes down again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::hint::black_box;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use belay_compiler::compile::{Options, compile};
use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::{Sources, load};
use belay_schemas::checker;
use belay_schemas::plan::{Mode, Plan};
use belay_tests::generate::{ENVIRONMENT, model, sized_model};

/// That of `belayc`; what is compared with works with it as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Reading, compiling, checking and writing take so many times what it takes to only parse the YAML. Below that, a
/// compilation of any real model is not waited for.
const RATIO: f64 = 4.0;
/// The most components that there are (a cluster has no more services) take at most so much longer, each, than those of
/// a model of a fifth of that: the work grows with the model, not faster.
const GROWTH: f64 = 1.5;
/// KiB for each component of such a model, at the peak: 200 MiB in all.
const COMPONENT_KIB: u64 = 40;
/// A model of this size …
const LARGE_BYTES: usize = 50_000_000;
/// … is compiled within this many seconds …
const LARGE_SECONDS: f64 = 20.0;
/// … and this many MiB: what the smallest machines of CI services have to spare.
const LARGE_MIB: u64 = 2048;

/// The components of the generated models: as many as a cluster takes, and a fifth of that.
const MOST: usize = 5_000;
const SOME: usize = MOST / 5;
/// The fewest components that make a large model: a task definition has at most 64 KiB.
const FEW: usize = MOST / 5;

fn best<T>(rounds: usize, mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut fastest = Duration::MAX;
    let mut result = None;
    for _ in 0..rounds {
        // The last result is given back before the clock starts, not while it runs.
        drop(result.take());
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

fn options() -> Options {
    Options { project: "bench".to_owned(), mode: Mode::Deploy, replace_all: false, only: Vec::new(), adopt: Vec::new() }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Prints the times of all stages; gives the ratio of all of them to parsing, and the time for each component.
fn times(count: usize, rounds: usize) -> (f64, f64) {
    let text = model(count);
    let options = options();
    let (floor, _) =
        best(rounds, || serde_yaml::from_str::<serde_yaml::Value>(&text).expect("the generated model is YAML"));
    let (read, _) = best(rounds, || load(sources(&text), &mut Report::new()).expect("the generated model loads"));
    let loaded = load(sources(&text), &mut Report::new()).expect("the generated model loads");
    let (lower, plan) = best(rounds, || compile(&loaded, None, &options, &mut Report::new()).expect("it compiles"));
    let (digest, _) = best(rounds, || plan.computed_digest());
    let (check, violations) = best(rounds, || checker::check_contents(&plan));
    assert!(violations.is_empty());
    let (writing, bytes) = best(rounds, || write(&plan));
    let nodes = plan.nodes.len();
    drop((loaded, plan));
    // As in the program, which ends without taking its memory apart.
    let (all, _) = best(rounds, || {
        let mut report = Report::new();
        let loaded = load(sources(&text), &mut report).expect("the generated model loads");
        let plan = compile(&loaded, None, &options, &mut report).expect("it compiles");
        write(&plan);
        (report, loaded, plan)
    });
    println!(
        "{count} components, {:.1} MB of YAML, {nodes} nodes, {:.1} MB of plan",
        text.len() as f64 / 1e6,
        bytes as f64 / 1e6
    );
    for (stage, time) in [
        ("only parse the YAML (serde_yaml Value)", floor),
        ("read, substitute, validate, type", read),
        ("compile", lower),
        ("  of which the digest", digest),
        ("  of which the checker", check),
        ("write", writing),
        ("all: read, compile, write", all),
    ] {
        println!(
            "  {stage:<40} {:>9.1} ms   {:>5.2} ×   {:>7.1} MB/s",
            ms(time),
            ms(time) / ms(floor),
            text.len() as f64 / 1e6 / time.as_secs_f64()
        );
    }
    (ms(all) / ms(floor), ms(all) / count as f64)
}

/// What a process of its own needs for a model.
struct Need {
    seconds: f64,
    peak_mib: u64,
}

/// Compiles a model in a process of its own, which prints what each stage takes.
fn need(what: &str, count: usize, bytes: usize) -> Need {
    println!("memory: {what}");
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["--alone", &count.to_string(), &bytes.to_string()])
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (stages, result) = text.trim_end().rsplit_once('\n').expect("several lines");
    println!("{stages}");
    let (seconds, peak) = result.split_once(' ').expect("two numbers");
    Need { seconds: seconds.parse().expect("seconds"), peak_mib: peak.parse().expect("MiB") }
}

/// The part of [`need`] that runs in the other process. No bytes: the model of the other table.
fn alone(count: usize, bytes: usize) {
    let text = if bytes == 0 { model(count) } else { sized_model(count, bytes) };
    let size = text.len();
    let start = Instant::now();
    let mut last = start;
    let mut stage = |name: &str| {
        let now = Instant::now();
        println!(
            "  {name:<40} {:>9.1} ms   {:>5} MiB in use, {:>5} MiB at most",
            ms(now - last),
            memory_mib("VmRSS:"),
            memory_mib("VmHWM:")
        );
        last = now;
    };
    let environments = vec![SourceFile::new("prod.yaml", ENVIRONMENT)];
    let sources = Sources { model: SourceFile::new("model.yaml", text), environments, vars: Vec::new() };
    stage(&format!("{count} components, {:.1} MB of YAML", size as f64 / 1e6));
    let mut report = Report::new();
    let loaded = load(sources, &mut report).expect("the generated model loads");
    stage("read, substitute, validate, type");
    let plan = compile(&loaded, None, &options(), &mut report);
    let plan = plan.unwrap_or_else(|| panic!("{}", human(&report, false)));
    stage("compile");
    let written = write(&plan);
    stage(&format!("write {:.1} MB", written as f64 / 1e6));
    println!("{} {}", start.elapsed().as_secs_f64(), memory_mib("VmHWM:"));
}

/// Writes a plan as the program does, but for the disk; gives its size.
fn write(plan: &Plan) -> usize {
    let mut out = io::BufWriter::with_capacity(1 << 18, Counted(0));
    plan.write_json(&mut out).expect("nothing is refused");
    out.into_inner().expect("nothing is refused").0
}

/// Takes bytes and only counts them.
#[derive(Debug)]
struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += black_box(bytes).len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A size of this process that the kernel tells, 0 where it tells none.
fn memory_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, count, bytes] = arguments.as_slice()
        && flag == "--alone"
    {
        alone(count.parse().expect("a count"), bytes.parse().expect("a size"));
        return ExitCode::SUCCESS;
    }
    let given = |flag: &str| arguments.iter().any(|a| a == flag);
    // Under `cargo test --benches` cargo runs this without --bench: a single small round shows that it works.
    if !given("--bench") {
        times(50, 1);
        return ExitCode::SUCCESS;
    }
    times(SOME / 10, 20);
    let (ratio, one) = times(SOME, 7);
    let (_, one_of_most) = times(MOST, 3);
    let most = need("as many components as a cluster takes", MOST, 0);
    let many = need("a large model of many components", MOST, LARGE_BYTES);
    let few = need("a large model of few components", FEW, LARGE_BYTES);
    let large = [&many, &few];
    let seconds = large.map(|n| n.seconds).into_iter().fold(0.0, f64::max);
    let peak = large.map(|n| n.peak_mib).into_iter().max().unwrap_or_default();
    let mut kept = true;
    let mut budget = |what: String, holds: bool| {
        kept &= holds;
        println!("{} {what}", if holds { "kept:    " } else { "exceeded:" });
    };
    budget(format!("{SOME} components take {ratio:.2} × parsing, at most {RATIO} ×"), ratio <= RATIO);
    let growth = one_of_most / one;
    budget(format!("of {MOST}, each takes {growth:.2} × as long, at most {GROWTH} ×"), growth <= GROWTH);
    let (each, limit) = (most.peak_mib, COMPONENT_KIB * MOST as u64 / 1024);
    budget(format!("{MOST} components take {each} MiB, at most {limit} MiB"), each <= limit);
    budget(format!("50 MB take {seconds:.1} s, at most {LARGE_SECONDS} s"), seconds <= LARGE_SECONDS);
    budget(format!("50 MB take {peak} MiB, at most {LARGE_MIB} MiB"), peak <= LARGE_MIB);
    if kept || !given("--assert") { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

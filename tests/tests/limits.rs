//! Large models, at a twentieth of what the bench of compiling measures in the release build: 50 MB within 2 GiB, in a
//! few large components and in many small ones. It is a binary of its own, since a process has one peak of memory.

use belay_compiler::compile::{Options, compile};
use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::{Sources, load};
use belay_schemas::plan::Mode;
use belay_tests::generate::{ENVIRONMENT, sized_model};

/// A twentieth of 50 MB, of 5,000 components, and of 2 GiB.
const BYTES: usize = 50_000_000 / 20;
const MANY: usize = 5_000 / 20;
const PEAK_MIB: u64 = 2048 / 20;

#[test]
fn a_large_model_takes_memory_in_proportion() {
    for count in [MANY, MANY / 5] {
        let text = sized_model(count, BYTES);
        assert!(text.len() >= BYTES);
        let environments = vec![SourceFile::new("prod.yaml", ENVIRONMENT)];
        let sources = Sources { model: SourceFile::new("model.yaml", text), environments, vars: Vec::new() };
        let options = Options {
            project: "large".to_owned(),
            mode: Mode::Deploy,
            replace_all: false,
            only: Vec::new(),
            adopt: Vec::new(),
        };
        let mut report = Report::new();
        let plan = load(sources, &mut report).and_then(|loaded| compile(&loaded, None, &options, &mut report));
        let plan = plan.unwrap_or_else(|| panic!("{}", human(&report, false)));
        assert_eq!(plan.components.len(), count);
        assert_eq!(plan.nodes.len(), 6 * count + 2);
    }
    let peak = peak_mib();
    assert!(peak <= PEAK_MIB, "{peak} MiB, at most {PEAK_MIB} MiB are allowed");
}

/// Nothing where the system does not tell.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() / 1024
}

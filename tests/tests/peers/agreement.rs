//! Belay's validator and botocore's give the same verdict of generated inputs, of every operation that a plan may hold.

use std::collections::BTreeMap;
use std::fs;

use belay_schemas::aws::{self, Fault, FaultKind, Strictness, validate_input};
use belay_tests::target;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::botocore;

/// The same seed gives the same inputs; they are recorded in `target/peers/agreement.jsonl`.
const SEED: u64 = 20_261_120;

/// Inputs of each operation, before they are changed.
const EACH: usize = 60;

/// An input and what AWS's own models hold of it.
#[derive(Debug, Deserialize)]
struct Judged {
    service: String,
    operation: String,
    input: Value,
    /// Where and how a sound input was changed; none: it is sound.
    change: Option<String>,
    /// What botocore finds, with the limits of the models that it does not hold itself.
    faults: Vec<String>,
}

/// The documented exceptions: what Belay refuses although botocore lets it pass.
fn is_stricter_on_purpose(fault: &Fault) -> bool {
    match fault.kind {
        // In Python a boolean is a whole number; in AWS's protocols it is not.
        FaultKind::WrongType { expected: "a whole number" | "a number", found: "a boolean" } => true,
        // botocore takes every text that Python's dateutil can make a moment of, such as `12:00` or `Nov 3, 2026`.
        FaultKind::WrongType { expected, .. } => expected.starts_with("a timestamp"),
        _ => false,
    }
}

/// Patterns in Java's dialect with look-around or its own classes, which the validator leaves aside: what they mean for plans
/// stands beside their list in schemas/tests/aws_shapes.rs.
fn is_beyond(fault: &str) -> bool {
    const PATTERNS: [&str; 5] = ["\\p{Print}+", "^(?!\\s*$).+", "(?!((^[ ]+.*)", "(?=[/", "((?=^.{1,127}$)"];
    PATTERNS.iter().any(|pattern| fault.contains(&format!("does not match {pattern}")))
}

fn judged() -> Vec<Judged> {
    let mut operations: Vec<[String; 2]> = Vec::new();
    for service in aws::services() {
        let table = aws::service(service).unwrap();
        operations.extend(table.operations().iter().map(|operation| [service.to_owned(), operation.name.to_string()]));
    }
    let order = json!({"seed": SEED, "each": EACH, "operations": operations}).to_string();
    let lines = botocore().run("inputs.py", [], &order).unwrap_or_else(|error| panic!("{error}"));
    fs::write(target::folder("peers").join("agreement.jsonl"), &lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_validator_agrees_with_the_models() {
    let judged = judged();
    let mut disagreements = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &judged {
        let ours = validate_input(&case.service, &case.operation, &case.input, Strictness::Exact);
        let in_a_plan = validate_input(&case.service, &case.operation, &case.input, Strictness::Plan);
        assert_eq!(ours, in_a_plan, "without late values both modes are one: {case:?}");
        let kind = match (case.change.is_none(), case.faults.is_empty(), ours.is_empty()) {
            (true, true, true) => "sound",
            (true, _, _) => "sound, but refused",
            (false, true, true) => "changed, and sound",
            (false, false, false) => "changed, and refused",
            (false, true, false) if ours.iter().all(is_stricter_on_purpose) => "stricter on purpose",
            (false, true, false) => "refused only by Belay",
            (false, false, true) if case.faults.iter().all(|fault| is_beyond(fault)) => "beyond our patterns",
            (false, false, true) => "refused only by the models",
        };
        *counts.entry(kind).or_default() += 1;
        if matches!(kind, "sound, but refused" | "refused only by Belay" | "refused only by the models") {
            disagreements.push(format!("{kind}: {case:?}\n  ours: {ours:?}"));
        }
    }
    let shown: Vec<&str> = disagreements.iter().map(String::as_str).take(20).collect();
    assert!(shown.is_empty(), "{counts:?}; seed {SEED}; {} disagreements:\n{}", disagreements.len(), shown.join("\n"));
    // Each kind must have been met, or the set shows nothing.
    for (kind, least) in
        [("sound", 1000), ("changed, and sound", 500), ("changed, and refused", 1000), ("stricter on purpose", 5)]
    {
        let count = counts.get(kind).copied().unwrap_or_default();
        assert!(count >= least, "only {count} inputs are `{kind}`: {counts:?}");
    }
    println!("{counts:?}");
}

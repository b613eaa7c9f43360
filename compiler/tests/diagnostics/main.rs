//! Every diagnostic that a model or an environment can earn: a wrong input with its whole rendering, the right one
//! beside it without a word.

#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

#[path = "../support/mod.rs"]
mod support;

mod asg;
mod case;
mod containers;
mod discovery;
mod gateways;
mod groups;
mod inputs;
mod machines;
mod meaning;
mod network;
mod observed;
mod pages;
mod placed;
mod practice;
mod records;
mod service;
mod task;
mod tasks;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};

use belay_compiler::diagnostics::codes::CODES;
use case::Case;

/// Codes whose diagnostics arise in the program, not in the compilation, with the test that shows them.
const ELSEWHERE: [(&str, &str); 6] = [
    ("B001", "the file cannot be read: the binary"),
    ("B002", "bytes that are no text: diagnostics/files.rs"),
    ("B004", "the size of a file: the binary"),
    ("B021", "observed state that is no JSON: the binary"),
    ("B022", "observed state of another format: the binary"),
    ("B900", "a bug"),
];

/// Compiles all cases of a table; the snapshot of a code holds all of its cases in this table.
fn check(name: &str, table: Vec<Case>) {
    let mut failures = Vec::new();
    let mut rendered: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in &table {
        match case.check() {
            Ok(text) => rendered.entry(case.code).or_default().push(text),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (code, texts) in rendered {
            insta::assert_snapshot!(format!("{code}-{name}"), texts.join("\n"));
        }
    });
}

/// All rows of all tables.
fn tables() -> Vec<Case> {
    let tables = [
        inputs::table(),
        meaning::table(),
        gateways::table(),
        task::table(),
        containers::table(),
        network::table(),
        service::table(),
        observed::table(),
        asg::table(),
        placed::table(),
        practice::table(),
        tasks::table(),
        groups::table(),
        discovery::table(),
        traffic::table(),
        records::table(),
        machines::table(),
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn every_code_has_a_case() {
    let tables = tables();
    let covered: BTreeSet<&str> =
        tables.iter().map(|c| c.code).chain(ELSEWHERE.iter().map(|(code, _)| *code)).collect();
    let missing: Vec<&str> = CODES.iter().map(|(code, _)| *code).filter(|code| !covered.contains(code)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

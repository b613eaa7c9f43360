//! `belayc test`: the example in `fixtures/`, and what a user sees when something is not as expected.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests run the program on files")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn belayc(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_belayc")).env_clear().current_dir(dir).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("exit {}\n{}", output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr))
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A case of a user, in a folder of its own.
fn case() -> TempDir {
    let folder = TempDir::new().unwrap();
    let case = folder.path().join("plans/web");
    fs::create_dir_all(&case).unwrap();
    for name in ["model.yaml", "prod.yaml"] {
        fs::copy(fixtures().join("snapshot-tests/first-deployment").join(name), case.join(name)).unwrap();
    }
    folder
}

#[test]
fn the_example_is_as_expected() {
    let arguments: &[&str] = match std::env::var_os("BELAY_UPDATE") {
        Some(_) => &["test", "snapshot-tests", "--accept"],
        None => &["test", "snapshot-tests"],
    };
    let output = belayc(&fixtures(), arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("3 cases, all as expected"), "{}", said(&output));
}

#[test]
fn a_case_is_accepted_and_then_held_to_it() {
    let folder = case();
    let listing = folder.path().join("plans/web/plan.txt");
    let output = belayc(folder.path(), &["test", "plans"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!listing.exists(), "only --accept writes");
    assert!(said(&output).contains("plan.txt is not there"), "{}", said(&output));

    insta::assert_snapshot!("accepted", said(&belayc(folder.path(), &["test", "plans", "--accept"])));
    assert!(listing.exists());
    insta::assert_snapshot!("as_expected", said(&belayc(folder.path(), &["test", "plans"])));

    let model = folder.path().join("plans/web/model.yaml");
    let text = fs::read_to_string(&model).unwrap();
    fs::write(&model, text.replace("nginx:1.27", "nginx:1.28\n    singleton: true")).unwrap();
    let junit = folder.path().join("report.xml");
    insta::assert_snapshot!(
        "broken",
        said(&belayc(folder.path(), &["test", "plans", "--junit", "report.xml", "--jobs", "3"]))
    );
    let report = fs::read_to_string(junit).unwrap();
    assert!(report.contains("tests=\"1\" failures=\"1\"") && report.contains("name=\"web\""), "{report}");
    // What is accepted now are diagnostics, and no listing.
    insta::assert_snapshot!("accepted_errors", said(&belayc(folder.path(), &["test", "plans", "--accept"])));
    assert!(!listing.exists());
    assert!(belayc(folder.path(), &["test", "plans"]).status.success());
}

#[test]
fn a_plan_is_compared_to_the_byte_where_there_is_one() {
    let folder = case();
    let plan = folder.path().join("plans/web/plan.json");
    fs::write(&plan, "{}").unwrap();
    assert!(belayc(folder.path(), &["test", "plans", "--accept"]).status.success());
    let text = fs::read_to_string(&plan).unwrap();
    belay_schemas::checker::load(&text).unwrap();
    fs::write(&plan, text.replace("nginx", "nginy")).unwrap();
    assert_eq!(belayc(folder.path(), &["test", "plans"]).status.code(), Some(1));
}

#[test]
fn wrong_cases_are_told() {
    let folder = case();
    assert_eq!(belayc(folder.path(), &["test", "none"]).status.code(), Some(2));
    assert_eq!(belayc(folder.path(), &["test", "plans", "--filter", "api"]).status.code(), Some(2));
    fs::write(folder.path().join("plans/web/case.yaml"), "projct: shop\n").unwrap();
    insta::assert_snapshot!("wrong_case", said(&belayc(folder.path(), &["test", "plans"])));
}

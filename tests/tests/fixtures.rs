//! The fixtures are what the programs print, and every one of their plans ends as it says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use belay_compiler::show;
use belay_executor::run::Outcome;
use belay_executor::simulator::{SimulatedCloud, World, essence, without_kept_logs};
use belay_schemas::plan::{Change, Mode, Plan};
use belay_tests::compare::assert_same;
use belay_tests::fixtures::{End, Fixture, chosen, every};
use belay_tests::pipeline::{Inputs, apply, rollback};

/// Compares a file with what it should hold; with `BELAY_UPDATE=1` writes it.
fn golden(path: &Path, expected: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("BELAY_UPDATE").is_some() {
        std::fs::write(path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found != expected {
        let line = found.lines().zip(expected.lines()).position(|(a, b)| a != b).map_or(0, |l| l + 1);
        wrong.push(format!("{} differs from what is generated, first in line {line}", path.display()));
    }
}

#[test]
fn fixtures_are_what_the_programs_print() {
    let mut wrong = Vec::new();
    for fixture in chosen() {
        let journal = tempfile::tempdir().unwrap();
        let world = fixture.start(journal.path());
        let cloud = Arc::new(SimulatedCloud::new(world.clone()));
        let inputs = fixture.inputs();
        let observed = inputs.observe(&cloud).unwrap();
        let (plan, warnings) =
            inputs.compile(Some(&observed)).unwrap_or_else(|e| panic!("{} does not compile:\n{e}", fixture.name));
        let dir = fixture.dir();
        golden(&dir.join("world.json"), &belay_schemas::plan::pretty(&world), &mut wrong);
        golden(&dir.join("observed.json"), &belay_schemas::plan::pretty(&observed), &mut wrong);
        golden(&dir.join("plan.json"), &plan.to_json(), &mut wrong);
        golden(&dir.join("plan.txt"), &show::text(&plan), &mut wrong);
        golden(&dir.join("plan.md"), &show::markdown(&plan, None), &mut wrong);
        golden(&dir.join("plan.mmd"), &show::mermaid(&plan), &mut wrong);
        golden(&dir.join("plan.dot"), &show::dot(&plan), &mut wrong);
        golden(&dir.join("plan.html"), &show::html(&plan, None), &mut wrong);
        assert_eq!(warnings, "", "{} gives warnings", fixture.name);
    }
    assert!(
        wrong.is_empty(),
        "{}\nrun the tests with BELAY_UPDATE=1 to write them, and review what changed",
        wrong.join("\n")
    );
}

/// Compiles a fixture against a cloud in its start state.
fn prepared(fixture: &Fixture, journal: &Path) -> (Arc<SimulatedCloud>, Inputs, Plan) {
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal)));
    let inputs = fixture.inputs();
    let plan = inputs.plan(&cloud).unwrap();
    (cloud, inputs, plan)
}

#[test]
fn applying_a_fixture_ends_as_it_says_and_then_there_is_nothing_to_do() {
    for fixture in chosen() {
        let journal = tempfile::tempdir().unwrap();
        let (cloud, inputs, plan) = prepared(&fixture, journal.path());
        let before = essence(&cloud.world());
        let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
        match fixture.end {
            End::Target => {
                assert_eq!(status.outcome, Some(Outcome::Done), "{}: {status:#?}", fixture.name);
                let again = inputs.plan(&cloud).unwrap();
                assert!(again.nodes.is_empty(), "{}: still to do: {:#?}", fixture.name, again.nodes);
                assert!(again.components.values().all(|c| c.change == Change::None));
            }
            End::Initial => {
                assert_eq!(
                    status.outcome,
                    Some(Outcome::RolledBack { requested: false }),
                    "{}: {status:#?}",
                    fixture.name
                );
                let world = cloud.world();
                assert_same(fixture.name, &without_kept_logs(essence(&world), &world, &before), &before);
                let failures: Vec<String> = status.failures().map(|(node, f)| format!("{node}: {f:?}")).collect();
                assert!(!failures.is_empty(), "{}: no reason is given", fixture.name);
            }
        }
    }
}

/// A world's essence in which an image that is named by its tag reads as the bytes that the tag stands for: a service
/// goes back to a twin of its old revision that names them.
fn told(world: &World) -> serde_json::Value {
    let tagged = "shop/api:stable";
    let pinned = format!("shop/api@{}", world.digest_of(tagged).unwrap());
    let mut told: serde_json::Value =
        serde_json::from_str(&essence(world).to_string().replace(tagged, &pinned)).unwrap();
    for contents in told["taskDefinitions"].as_object_mut().unwrap().values_mut() {
        contents.as_array_mut().unwrap().dedup();
    }
    told
}

#[test]
fn a_finished_run_can_be_taken_back_by_hand() {
    for fixture in chosen().filter(|f| f.end == End::Target) {
        let journal = tempfile::tempdir().unwrap();
        let (cloud, _, plan) = prepared(&fixture, journal.path());
        let before = told(&cloud.world());
        let destroys = plan.nodes.iter().any(|n| {
            n.phase == belay_schemas::plan::Phase::Finalize
                && n.action.mutation().is_some_and(|c| {
                    ["DeleteRule", "DeleteService", "DeleteSchedule", "DeleteAutoScalingGroup", "TerminateInstances"]
                        .contains(&c.operation.as_str())
                })
        });
        apply(&cloud, &plan, journal.path(), "run").unwrap();
        match rollback(&cloud, journal.path(), "run") {
            Ok(status) => {
                assert_eq!(
                    status.outcome,
                    Some(Outcome::RolledBack { requested: true }),
                    "{}: {status:#?}",
                    fixture.name
                );
                let world = cloud.world();
                assert_same(fixture.name, &without_kept_logs(told(&world), &world, &before), &before);
                assert!(!destroys, "{}: what was deleted cannot have come back", fixture.name);
            }
            Err(error) => assert!(destroys, "{}: {error}", fixture.name),
        }
    }
}

#[test]
fn every_mode_and_end_is_shown_by_a_fixture() {
    assert!(every().count() >= 8);
    assert!(every().any(|f| f.mode == Mode::Teardown));
    assert!(every().any(|f| f.end == End::Initial));
    let root = belay_tests::fixtures::root();
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let all = below(&root).into_iter().flat_map(|folder| [below(&folder), vec![folder]].concat());
    let fixtures = all.filter(|folder| folder.join("plan.json").is_file());
    let mut folders: Vec<String> =
        fixtures.map(|f| f.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/")).collect();
    folders.sort();
    let mut names: Vec<&str> = every().map(|f| f.name).collect();
    names.sort_unstable();
    assert_eq!(folders, names, "each folder of fixtures/ is a fixture");
}

/// One model in two environments: what a team looks at before it takes to production what staging runs.
#[test]
fn what_two_environments_of_one_model_differ_in() {
    let plan = |name: &str| -> Plan {
        let text = std::fs::read_to_string(Fixture::named(name).dir().join("plan.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (staging, prod) = (plan("environments/staging"), plan("environments/prod"));
    let compared = show::compare(&staging, &prod);
    let mut wrong = Vec::new();
    golden(&Fixture::named("environments/prod").sources().join("diff.txt"), &compared.text, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}; BELAY_UPDATE=1 writes it");
    // Each goes its own way, and neither sees what is the other's.
    let text = |plan: &Plan| plan.to_json();
    assert!(!text(&staging).contains("db.prod.internal") && !text(&prod).contains("db.staging.internal"));
}

/// Service Connect: who is deployed before what it uses would not reach it.
#[test]
fn whoever_uses_an_offer_reaches_it_in_the_end() {
    let fixture = Fixture::named("service-connect");
    let journal = tempfile::tempdir().unwrap();
    let (cloud, _, plan) = prepared(&fixture, journal.path());
    let before = cloud.world().reachable("default/shop_web");
    assert!(!before.contains("admin:80"), "it is not offered yet: {before:?}");
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    assert_eq!(status.outcome, Some(Outcome::Done), "{status:#?}");
    for (service, used) in
        [("shop_web", ["api.shop.internal:8080", "admin:80"].as_slice()), ("shop_api", &["billing:50051"])]
    {
        let reached = cloud.world().reachable(&format!("default/{service}"));
        assert!(used.iter().all(|used| reached.contains(*used)), "{service} reaches only {reached:?}");
    }
    // It has left the namespace.
    assert!(cloud.world().reachable("default/shop_reports").is_empty());
}

#[test]
fn a_task_that_fails_says_why_in_its_own_words() {
    let fixture = Fixture::named("tasks-failing");
    let journal = tempfile::tempdir().unwrap();
    let (cloud, _, plan) = prepared(&fixture, journal.path());
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    let told: Vec<String> = status.failures().map(|(node, failure)| format!("{node}: {failure:?}")).collect();
    let told = told.join("\n");
    for words in ["migrate.task.succeeded", "container migrate exited with code 3", "is locked"] {
        assert!(told.contains(words), "nothing says {words:?}:\n{told}");
    }
    let took_back = cloud.world().log.iter().filter(|entry| entry.operation == "RunTask").count();
    assert_eq!(took_back, 2, "the run started it, and its way back did");
}

#[test]
fn a_container_that_waits_in_vain_says_for_whom() {
    let fixture = Fixture::named("sidecars-failing");
    let journal = tempfile::tempdir().unwrap();
    let (cloud, _, plan) = prepared(&fixture, journal.path());
    let status = apply(&cloud, &plan, journal.path(), "run").unwrap();
    let told: Vec<String> = status.failures().map(|(node, failure)| format!("{node}: {failure:?}")).collect();
    let told = told.join("\n");
    for words in ["Task failed to start", "migrate-config exited with code 2", "orders exited with code 143"] {
        assert!(told.contains(words), "nothing says {words:?}:\n{told}");
    }
}

//! Random applications: what compiles, checks; compiling is reproducible; applying reaches a state in which there is
//! nothing left to do; and a run that is disturbed anywhere ends in the target or in the initial state.
//!
//! proptest records failing seeds beside this file. The slow matrices run more cases with `PROPTEST_CASES`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use belay_executor::cloud::Clock;
use belay_executor::run::{self, Outcome, RunError, RunStatus, Setup};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind, access_denied};
use belay_executor::simulator::world::{Behaviour, Image};
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::plan::Plan;
use belay_tests::apps::{App, app, two_states};
use belay_tests::compare::assert_same;
use belay_tests::pipeline::{apply, block_on, resume};
use proptest::prelude::*;

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, max_shrink_iters: 200, ..ProptestConfig::default() }
}

/// Deploys an application and expects it to arrive.
fn deployed(app: &App, world: World, journal: &Path, run: &str) -> World {
    let cloud = Arc::new(SimulatedCloud::new(world));
    let inputs = app.inputs();
    let plan = inputs.plan(&cloud).unwrap_or_else(|e| panic!("{e}\n{}", app.model()));
    let status = apply(&cloud, &plan, journal, run).unwrap();
    assert!(
        matches!(status.outcome, Some(Outcome::Done | Outcome::NothingToDo)),
        "{:#?}\n{}",
        problems(&status),
        app.model()
    );
    let again = inputs.plan(&cloud).unwrap();
    assert!(
        again.nodes.is_empty(),
        "still to do: {:?}\n{}",
        again.nodes.iter().map(|n| &n.id).collect::<Vec<_>>(),
        app.model()
    );
    cloud.world()
}

fn problems(status: &RunStatus) -> String {
    let failures: Vec<String> = status.failures().map(|(n, f)| format!("{n}: {f:?}")).collect();
    format!("{:?} {:?} {failures:#?} {:?}", status.outcome, status.stale, status.stuck)
}

/// What a disturbed run does: the n-th mutating call goes wrong in one of these ways.
fn disturbance() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Fail(access_denied())),
        Just(Kind::Throttle),
        Just(Kind::LoseAnswer),
        Just(Kind::LoseRequest),
        Just(Kind::KillBefore),
        Just(Kind::KillAfter),
    ]
}

/// The essence of a world a little later: AWS calls a task without health checks healthy some time after it runs, and
/// shows nobody that it waits.
fn settled(world: World) -> serde_json::Value {
    let cloud = SimulatedCloud::new(world);
    block_on(cloud.wait_until(cloud.now() + 60_000));
    essence(&cloud.world())
}

/// What is wrong with an image.
fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        (0..90_u64).prop_map(|after_seconds| Behaviour::Crash { after_seconds, exit_code: 1, reason: None }),
        Just(Behaviour::NeverHealthy),
        Just(Behaviour::CannotPull { reason: None }),
        (0..400_u64, 0..400_u64)
            .prop_map(|(start_seconds, healthy_seconds)| Behaviour::Slow { start_seconds, healthy_seconds }),
    ]
}

/// Applies a plan on a cloud that may die; absent when it did.
fn attempt(cloud: &Arc<Faulty<SimulatedCloud>>, plan: &Plan, journal: &Path) -> Option<Result<RunStatus, RunError>> {
    let mut options = run::Options::new(journal);
    options.run_id = Some("disturbed".to_owned());
    let setup = Setup::quiet(cloud.clone(), cloud.clone());
    block_on(async {
        tokio::select! {
            biased;
            () = cloud.death() => None,
            status = run::apply(plan, &options, setup) => Some(status),
        }
    })
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_compiled_plan_reaches_its_target_and_is_reproducible((first, second) in two_states()) {
        let journal = tempfile::tempdir().unwrap();
        let world = deployed(&first, World::default_account(), journal.path(), "first");
        let cloud = Arc::new(SimulatedCloud::new(world.clone()));
        let inputs = second.inputs();
        let observed = inputs.observe(&cloud).unwrap();
        let (plan, _) = inputs.compile(Some(&observed)).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(belay_schemas::checker::check(&plan), vec![]);
        let (again, _) = inputs.compile(Some(&observed)).unwrap();
        prop_assert_eq!(plan.to_json(), again.to_json());
        // The same target, observed later: another time, the same plan.
        block_on(cloud.wait_until(cloud.now() + 86_400_000));
        let later = inputs.plan(&cloud).unwrap();
        prop_assert_eq!(&later.digest, &plan.digest);
        deployed(&second, world, journal.path(), "second");
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_disturbed_run_ends_in_the_target_or_the_initial_state(
        (first, second) in two_states(),
        kind in disturbance(),
        place in any::<prop::sample::Index>(),
    ) {
        let journal = tempfile::tempdir().unwrap();
        let world = deployed(&first, World::default_account(), journal.path(), "first");
        let before = essence(&world);
        let quiet = Arc::new(SimulatedCloud::new(world.clone()));
        let inputs = second.inputs();
        let plan = inputs.plan(&quiet).unwrap();
        let mutations = plan.nodes.iter().filter(|n| n.phase != belay_schemas::plan::Phase::Undo && n.action.mutation().is_some()).count();
        prop_assume!(mutations > 0);
        let at = At::Mutation(place.index(mutations) as u64 + 1);
        let cloud = Arc::new(Faulty::new(SimulatedCloud::new(world), vec![Fault { kind, at }]));
        let attempted = attempt(&cloud, &plan, journal.path());
        prop_assert!(cloud.all_fired(), "the fault did not fire");
        let mut last = cloud.inner().world();
        let mut status = match attempted {
            Some(status) => status.unwrap(),
            None => {
                // Killed: another executor takes the run up, on the world as it was left.
                let survivor = Arc::new(SimulatedCloud::new(last));
                let status = resume(&survivor, journal.path(), "disturbed").map_err(|e| TestCaseError::fail(e.to_string()))?;
                last = survivor.world();
                status
            }
        };
        if status.outcome == Some(Outcome::FinalizeIncomplete) {
            let survivor = Arc::new(SimulatedCloud::new(last));
            status = resume(&survivor, journal.path(), "disturbed").unwrap();
            last = survivor.world();
        }
        match status.outcome {
            Some(Outcome::Done) => {
                let cloud = Arc::new(SimulatedCloud::new(last));
                let again = inputs.plan(&cloud).unwrap();
                prop_assert!(again.nodes.is_empty(), "still to do: {:?}", again.nodes.iter().map(|n| &n.id).collect::<Vec<_>>());
            }
            Some(Outcome::RolledBack { .. }) => assert_same(&second.model(), &settled(last), &before),
            _ => prop_assert!(false, "{}", problems(&status)),
        }
    }

    #[test]
    fn images_that_do_not_work_take_everything_back((first, second) in two_states(), behaviour in behaviour(), which in any::<prop::sample::Index>()) {
        let journal = tempfile::tempdir().unwrap();
        let mut world = deployed(&first, World::default_account(), journal.path(), "first");
        let old = first.images();
        let new: Vec<String> = second.images().into_iter().filter(|i| !old.contains(i)).collect();
        prop_assume!(!new.is_empty());
        let image = Image { behaviour, ..Image::default() };
        world.images.insert(which.get(&new).clone(), image);
        let before = essence(&world);
        let cloud = Arc::new(SimulatedCloud::new(world));
        let inputs = second.inputs();
        let plan = inputs.plan(&cloud).unwrap();
        let status = apply(&cloud, &plan, journal.path(), "failing").unwrap();
        match status.outcome {
            // Slow, but in time; or the component has no replicas.
            Some(Outcome::Done) => prop_assert!(inputs.plan(&cloud).unwrap().nodes.is_empty()),
            Some(Outcome::RolledBack { .. }) => {
                assert_same(&second.model(), &settled(cloud.world()), &before);
                prop_assert!(status.failures().next().is_some());
            }
            _ => prop_assert!(false, "{}", problems(&status)),
        }
    }

    #[test]
    fn any_application_has_a_plan_without_being_observed_or_a_reason_why_not(app in app()) {
        // Names of target groups have to be looked up: that is an error that says so, never a plan that guesses.
        let result = app.inputs().compile(None);
        let behind = app.model().contains("gateways:");
        prop_assert_eq!(result.is_err(), behind, "{:?}", result.map(|(p, w)| (p.nodes.len(), w)));
    }
}

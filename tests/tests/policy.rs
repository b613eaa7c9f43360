//! The derived policy of each fixture's plan, enforced: no run under it is denied, forward, back or failing; and no action
//! of it can be dropped without a run that is denied, which is found and named.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use belay_compiler::policy::{self, Policies, Roles};
use belay_executor::cloud::{Clock as _, CloudError, ErrorKind};
use belay_executor::run::{self, Outcome, RunStatus, Setup};
use belay_executor::simulator::faults::{At, Fault, Faulty, Kind};
use belay_executor::simulator::world::{Affliction, Behaviour};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::checker;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Phase, Plan};
use belay_tests::extent::{OneIn, whole};
use belay_tests::fixtures::{Fixture, drawn, read};
use belay_tests::iam::{Account, Ask, Guarded, allows};
use belay_tests::pipeline::block_on;
use belay_tests::python::{Python, Requirements};
use rayon::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// More changes than any way back makes.
const MANY: u64 = 40;

/// What a run is disturbed with.
#[derive(Debug, Clone)]
enum Trouble {
    Nothing,
    /// When it is done, it is taken back by hand.
    TakenBack,
    /// A change is refused.
    Refused(u64),
    /// The answer to a change is lost.
    Lost(u64),
    /// All is well, even what the fixture wants to fail.
    Well,
    /// What is deployed does this.
    Deployed(Behaviour),
    /// Nothing that runs ever stops.
    Undying,
    /// The executor is killed after a change, and another one takes the run back. Whatever is deployed is well.
    Killed(u64, Back),
}

/// What the way back meets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Back {
    /// The answer to every change is lost.
    Lost,
    /// It begins some minutes later, and nothing that a service starts ever runs again.
    Stillborn,
}

/// Of what the default account has.
fn policies(plan: &Plan) -> Policies {
    policy::policies(plan, &Roles::from([("app".to_owned(), "app".to_owned())]))
}

struct Scene {
    plan: Plan,
    observed: Observed,
    world: World,
    account: Account,
}

impl Scene {
    fn of(fixture: &Fixture) -> Self {
        let dir = fixture.dir();
        let world = SimulatedCloud::open(&dir.join("world.json"), 0.0).unwrap().world();
        let account = Account { account: world.account.clone(), region: world.region.clone() };
        let plan = checker::load(&read(&dir.join("plan.json"))).unwrap();
        let observed = serde_json::from_str(&read(&dir.join("observed.json"))).unwrap();
        Self { plan, observed, world, account }
    }

    /// A world in which what the plan deploys behaves like that.
    fn with(&self, behaviour: &Behaviour) -> World {
        let mut world = self.world.clone();
        let mut images: BTreeSet<String> = self.observed.images.keys().cloned().collect();
        for node in self.plan.nodes.iter().filter(|node| node.phase == Phase::Deploy) {
            let call = node.action.mutation();
            for container in call.and_then(|c| c.input["containerDefinitions"].as_array()).into_iter().flatten() {
                images.extend(container["image"].as_str().map(str::to_owned));
            }
        }
        for image in images {
            let known = world.images.entry(image).or_default();
            known.behaviour = behaviour.clone();
        }
        world
    }

    /// A world in which all goes well, even what the fixture wants to fail; tasks that run once end well.
    fn well(&self) -> World {
        let mut world = self.with(&Behaviour::Healthy);
        world.timings.own_task_seconds = Some(20);
        // Machines join their clusters, and there is room for all of them.
        for (_, image) in world.images.iter_mut().filter(|(name, _)| name.starts_with("ami-")) {
            image.behaviour = Behaviour::Healthy;
        }
        world.capacity.clear();
        world
    }

    /// Runs the plan under policies, and says how it came out.
    fn run(&self, documents: &[Value], trouble: &Trouble) -> Ran {
        let world = match trouble {
            Trouble::Deployed(behaviour) => {
                let mut world = self.with(behaviour);
                // What runs once runs on.
                world.timings.own_task_seconds = None;
                world
            }
            Trouble::Killed(..) | Trouble::Well => self.well(),
            Trouble::Undying => {
                let mut world = self.world.clone();
                world.timings.stop_seconds = 20_000;
                world
            }
            _ => self.world.clone(),
        };
        let refused = CloudError::new(ErrorKind::Rejected, "ClientException", "refused by the test");
        let script = match trouble {
            Trouble::Refused(n) => vec![Fault { kind: Kind::Fail(refused), at: At::Mutation(*n) }],
            Trouble::Killed(n, _) => vec![Fault { kind: Kind::KillAfter, at: At::Mutation(*n) }],
            Trouble::Lost(n) => vec![Fault { kind: Kind::LoseAnswer, at: At::Mutation(*n) }],
            _ => Vec::new(),
        };
        let faulty = Faulty::new(SimulatedCloud::new(world), script);
        let mut cloud = Arc::new(Guarded::new(faulty, self.account.clone(), documents.to_vec()));
        let journal = TempDir::new().unwrap();
        let first = cloud.clone();
        let setup = || Setup::quiet(first.clone(), first.clone());
        let mut options = run::Options::new(journal.path());
        options.run_id = Some("policy".to_owned());
        let mut asked = BTreeSet::new();
        if let Trouble::Killed(_, back) = trouble {
            let killed = block_on(async {
                tokio::select! {
                    biased;
                    () = cloud.inner().death() => true,
                    _ = run::apply(&self.plan, &options, setup()) => false,
                }
            });
            assert!(killed);
            asked = cloud.asked();
            let mut world = cloud.inner().inner().world();
            if *back == Back::Stillborn {
                // What the run asked for last comes to its end before somebody looks.
                let meanwhile = SimulatedCloud::new(world);
                block_on(meanwhile.wait_until(meanwhile.now() + 600_000));
                world = meanwhile.world();
                let behaviour = Behaviour::Crash { after_seconds: 0, exit_code: 1, reason: None };
                let affliction = Affliction { behaviour, ..Affliction::default() };
                world.afflictions = world.services.keys().map(|key| (key.clone(), affliction.clone())).collect();
            }
            let lost = |n| Fault { kind: Kind::LoseAnswer, at: At::Mutation(n) };
            let script = if *back == Back::Lost { (1..=MANY).map(lost).collect() } else { Vec::new() };
            let left = Faulty::new(SimulatedCloud::new(world), script);
            cloud = Arc::new(Guarded::new(left, self.account.clone(), documents.to_vec()));
            let setup = Setup::quiet(cloud.clone(), cloud.clone());
            let status = block_on(run::rollback(&journal.path().join("runs/policy"), None, setup)).ok();
            return Ran { cloud, status, asked };
        }
        let mut status = Some(block_on(run::apply(&self.plan, &options, setup())).unwrap());
        if matches!(trouble, Trouble::TakenBack) && status.as_ref().unwrap().outcome == Some(Outcome::Done) {
            // Some cannot be taken back any more, which is said before anything is called.
            status = block_on(run::rollback(&journal.path().join("runs/policy"), None, setup())).ok();
        }
        Ran { cloud, status, asked }
    }

    fn troubles(&self, documents: &[Value], changes: u64) -> Vec<Trouble> {
        let crash = Behaviour::Crash { after_seconds: 0, exit_code: 1, reason: None };
        let mut troubles = vec![
            Trouble::TakenBack,
            Trouble::Undying,
            Trouble::Deployed(Behaviour::NeverHealthy),
            Trouble::Deployed(crash),
            Trouble::Deployed(Behaviour::Slow { start_seconds: 100_000, healthy_seconds: 0 }),
        ];
        troubles.extend((1..=changes).flat_map(|n| [Trouble::Refused(n), Trouble::Lost(n)]));
        // Where it fails by itself it comes further when all is well.
        let well = self.run(documents, &Trouble::Well);
        let killed = |n| [Back::Lost, Back::Stillborn].map(|back| Trouble::Killed(n, back));
        troubles.extend(well.first_and_last().into_iter().flat_map(killed));
        troubles
    }
}

/// A run under policies.
struct Ran {
    cloud: Arc<Guarded<Faulty<SimulatedCloud>>>,
    /// `None` where it could not be taken back.
    status: Option<RunStatus>,
    /// What was asked before the executor was killed.
    asked: BTreeSet<Ask>,
}

impl Ran {
    fn changes(&self) -> u64 {
        self.cloud.inner().inner().look(|world| world.log.len() as u64)
    }

    /// The first and the last change of each kind, by their numbers.
    fn first_and_last(&self) -> BTreeSet<u64> {
        let mut found: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        self.cloud.inner().inner().look(|world| {
            for (number, entry) in (1..).zip(&world.log) {
                found.entry(entry.operation.clone()).or_insert([number; 2])[1] = number;
            }
        });
        found.into_values().flatten().collect()
    }
}

/// Policies without one action.
fn without(documents: &[Value], action: &str) -> Vec<Value> {
    let mut documents = documents.to_vec();
    for statement in documents.iter_mut().flat_map(|d| d["Statement"].as_array_mut().unwrap()) {
        statement["Action"].as_array_mut().unwrap().retain(|a| a != action);
    }
    documents
}

fn actions(documents: &[Value]) -> BTreeSet<String> {
    let statements = documents.iter().flat_map(|d| d["Statement"].as_array().unwrap());
    statements.flat_map(|s| s["Action"].as_array().unwrap()).map(|a| a.as_str().unwrap().to_owned()).collect()
}

/// Of how many runs one is tried in any case where not all are.
const SAMPLED: usize = 5;

/// Runs of a fixture's plan under its policy: what was asked in all of them, by the run that asked it first. With
/// `BELAY_FAULTS=all`, and in release builds, every run is tried; otherwise one of some, and the others until each action
/// was asked for.
fn asked(scene: &Scene, name: &str, documents: &[Value]) -> BTreeMap<Ask, String> {
    let all = whole();
    let wanted = actions(documents);
    let mut asked = BTreeMap::new();
    let take = |asked: &mut BTreeMap<Ask, String>, ran: &Ran, trouble: &Trouble| {
        assert_eq!(ran.cloud.denied(), vec![], "{name}, {trouble:?}: denied under the policy that was derived for it");
        for ask in ran.cloud.asked().into_iter().chain(ran.asked.clone()) {
            asked.entry(ask).or_insert_with(|| format!("{trouble:?}"));
        }
    };
    let forward = scene.run(documents, &Trouble::Nothing);
    take(&mut asked, &forward, &Trouble::Nothing);
    let troubles = scene.troubles(documents, forward.changes()).into_iter().enumerate();
    let (first, rest): (Vec<_>, Vec<_>) = troubles.partition(|(at, _)| all || at % SAMPLED == 0);
    let sampled = first.len();
    for (done, (_, trouble)) in first.into_iter().chain(rest).enumerate() {
        let known = |action: &String| asked.keys().any(|ask: &Ask| ask.action == *action);
        if done >= sampled && wanted.iter().all(known) {
            break;
        }
        let ran = scene.run(documents, &trouble);
        if let Trouble::Refused(_) | Trouble::Lost(_) = trouble {
            assert!(ran.cloud.inner().all_fired(), "{name}: {trouble:?} did not happen");
        }
        take(&mut asked, &ran, &trouble);
    }
    asked
}

/// Actions of a fixture's policy that no run needs, and how many it has.
fn needed(fixture: &Fixture) -> (Vec<String>, usize) {
    let scene = Scene::of(fixture);
    let documents = policies(&scene.plan).documents;
    let asked = asked(&scene, fixture.name, &documents);
    let all = actions(&documents);
    let mut missing = Vec::new();
    for action in &all {
        // A run is the same up to the first denial, so what it asked tells where it would be denied.
        let less = without(&documents, action);
        let denied: Vec<&Ask> = asked.keys().filter(|ask| !allows(&less, ask)).collect();
        assert!(denied.iter().all(|ask| ask.action == *action), "{}: without {action}: {denied:?}", fixture.name);
        if denied.is_empty() {
            missing.push(format!("{}: {action}", fixture.name));
        }
    }
    (missing, all.len())
}

#[test]
fn no_run_is_denied_under_the_derived_policy_and_every_action_of_it_is_needed() {
    let fixtures = drawn(OneIn { quick: 8, ci: 2 });
    let found: Vec<(Vec<String>, usize)> = fixtures.par_iter().map(needed).collect();
    let looked: usize = found.iter().map(|(_, looked)| looked).sum();
    let missing: Vec<String> = found.into_iter().flat_map(|(missing, _)| missing).collect();
    assert!(looked > 5 * fixtures.len(), "{looked} actions of {} fixtures", fixtures.len());
    assert!(missing.is_empty(), "can be dropped without anybody noticing:\n{}", missing.join("\n"));
}

#[test]
fn a_denied_action_is_named_and_the_run_ends_in_the_old_state_or_before_it_began() {
    for name in ["upgrade", "asg-upgrade"] {
        let scene = Scene::of(&Fixture::named(name));
        let documents = policies(&scene.plan).documents;
        let forward = scene.run(&documents, &Trouble::Nothing).cloud.asked();
        let mut denials = 0;
        for action in actions(&documents) {
            let less = without(&documents, &action);
            if forward.iter().all(|ask| allows(&less, ask)) {
                continue; // asked for by other runs only
            }
            let ran = scene.run(&less, &Trouble::Nothing);
            let first =
                ran.cloud.denied().into_iter().next().unwrap_or_else(|| panic!("{name}: {action} is not missed"));
            assert_eq!(first.action, action);
            let status = ran.status.unwrap();
            let said = serde_json::to_string(&status).unwrap();
            assert!(said.contains(&format!("not authorized to perform: {action}")), "{name}, {action}: {said}");
            let outcome = status.outcome.unwrap();
            // Without the right to take something back or to tidy up, the end is another one, and is said.
            let expected = matches!(
                outcome,
                Outcome::RolledBack { .. } | Outcome::Environment | Outcome::Stuck | Outcome::FinalizeIncomplete
            );
            assert!(expected, "{name}, {action}: {outcome:?}");
            denials += 1;
        }
        assert!(denials >= 7, "{name}: {denials}");
    }
}

/// Somebody else's reader of policies comes to the same answers, for all that two plans' runs ask and for what they do not.
#[test]
fn moto_reads_the_policies_as_we_do() {
    for name in ["upgrade", "both-plugins"] {
        let scene = Scene::of(&Fixture::named(name));
        let mut documents = policies(&scene.plan).documents;
        for statement in documents.iter_mut().flat_map(|d| d["Statement"].as_array_mut().unwrap()) {
            statement.as_object_mut().unwrap().remove("Condition");
        }
        let mut asks: Vec<Ask> = scene.run(&documents, &Trouble::Nothing).cloud.asked().into_iter().collect();
        // The same on things of somebody else, and actions that the plan has no need of.
        for ask in asks.clone() {
            asks.push(Ask { resource: ask.resource.replace("shop", "blog"), ..ask.clone() });
            asks.push(Ask { action: ask.action.replace("Describe", "Delete"), ..ask.clone() });
            asks.push(Ask { action: format!("{}s", ask.action), ..ask });
        }
        let questions: Vec<Value> =
            asks.iter().map(|ask| json!({"action": ask.action, "resource": ask.resource})).collect();
        let input = json!({"documents": documents, "asks": questions}).to_string();
        let answers = Python::with(Requirements::Aws).unwrap().run("iam.py", [], &input).unwrap();
        let theirs: Vec<bool> = serde_json::from_str(&answers).unwrap();
        let ours: Vec<bool> = asks.iter().map(|ask| allows(&documents, ask)).collect();
        assert!(ours.contains(&true) && ours.contains(&false));
        for ((ask, ours), theirs) in asks.iter().zip(ours).zip(theirs) {
            assert_eq!(ours, theirs, "{name}: {ask:?}");
        }
    }
}

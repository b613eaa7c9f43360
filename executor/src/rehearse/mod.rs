//! Rehearsal: a plan run on a simulated AWS with every step failing in every way, before anybody approves it.
//!
//! The pieces: [`matrix`] (what is tried), [`parts`] and [`scenes`] (with how much of the plan), [`drill`] (one run),
//! [`beginnings`] (what runs have in common), `stage` (a cloud and a clock that misbehave), `notes` (the journal),
//! `trouble` (what keeps a wait's goal away), `capacity`, [`judge`] (how a run must end), `runner` (many runs), `report`,
//! [`predict`] (how long it will take), [`text`] (for people).
//!
//! Invariants: nothing leaves the process; the engine is the one that runs plans on AWS; what is found depends on the
//! plan, the world and the options alone.

mod beginnings;
mod capacity;
mod drill;
mod foreign;
mod judge;
mod matrix;
mod notes;
mod parts;
mod predict;
mod report;
mod room;
mod runner;
mod scenes;
mod settings;
mod stage;
mod text;
mod trace;
mod trouble;

use belay_schemas::aws::is_destructive;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Call, Phase, Plan};
use belay_schemas::rehearsal::{End, Rehearsal};

pub use predict::{Durations, predict};
pub use settings::WorldSettings;
pub use text::text;

use crate::run::{NodeStatus, NodeWord, Outcome, RunError};
use crate::simulator::World;
use crate::simulator::world::Timings;
use drill::{Case, Scene};
use judge::States;
use report::Gathered;
use runner::Found;
use scenes::{Scenes, Trial};
use stage::{FAULTS, Mode};

/// How to rehearse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What pairs of faults are drawn with.
    pub seed: u32,
    /// Pairs of faults that are drawn at most, beyond one second fault of each kind at each compensation.
    pub pairs: usize,
    /// Nodes in progress at the same time.
    pub concurrency: u32,
    /// Whether parts of the plan that share nothing are rehearsed apart where that shows the same.
    pub apart: bool,
}

impl Options {
    /// The seed when nobody names one.
    pub const SEED: u32 = 20_261_120;
    /// Pairs that are drawn when nobody says otherwise.
    pub const PAIRS: usize = 100;
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: Self::SEED, pairs: Self::PAIRS, concurrency: crate::run::Options::CONCURRENCY, apart: true }
    }
}

/// Why a plan could not be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The plan cannot be run at all.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The plan does not fit the world.
    #[error("the plan does not fit this observed state, so that it would be refused as stale: {0}")]
    Stale(String),
    /// The system gives no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// A thread broke.
    #[error("a run broke off: a bug of belay")]
    Broken,
}

/// Rehearses a plan in a world.
///
/// # Errors
/// When the plan cannot be run there at all. That it can be run and ends wrongly is no error but what is found.
pub fn rehearse(
    plan: &Plan,
    world: &World,
    observed: Option<&Observed>,
    options: &Options,
) -> Result<Rehearsal, RehearseError> {
    let scene = Scene::new(plan, world, options.concurrency)?;
    let start = scene.components.levels(world);
    let floors = scene.components.floors(&start);
    let mut states = States { initial: scene.at_rest(world.clone()), target: None, floors };
    let runtime = runner::runtime()?;
    let first = runtime.block_on(scene.run(&Case::default(), Mode::default()));
    let mut reason = None;
    match &first.status {
        Ok(status) => match status.outcome {
            Some(Outcome::Done) => states.target = Some(scene.at_rest(first.world.clone())),
            Some(Outcome::Stale | Outcome::Environment) => return Err(RehearseError::Stale(judge::reasons(status))),
            _ => reason = Some(judge::reasons(status)),
        },
        Err(error) => reason = Some(error.to_string()),
    }
    let managed = first.world.managed_instances() > world.managed_instances();
    let mut scenes = Scenes::whole(scene, states);
    let undisturbed = Trial { scene: 0, case: Case::default() };
    let undisturbed = Found::of(&scenes, undisturbed, first, [false; FAULTS]);
    if options.apart && undisturbed.end == End::Target {
        scenes = scenes.apart(world, &runtime);
    }
    let mut trials = matrix::forward(&scenes, &undisturbed.visited, &undisturbed.held);
    let by_hand = Case { taken_back: true, ..Case::default() };
    let kept = undisturbed.end == End::Target && !plan.nodes.is_empty();
    let mut kept = kept.then(|| take_back(scenes.scene(), &by_hand, &runtime)).flatten();
    if kept.is_none() && undisturbed.end == End::Target {
        trials.push(Trial { scene: 0, case: by_hand });
    } else if undisturbed.end != End::Target {
        kept = None;
    }
    let foreign = matrix::foreign(scenes.scene());
    let strangers = foreign.len() as u64;
    trials.extend(foreign);
    let mut found = vec![undisturbed];
    found.extend(runner::run_all(&scenes, &trials)?);
    let mut tried = matrix::Tried::new();
    let (second, pairs) = matrix::further(&scenes, &found, &mut tried);
    let mut back = runner::run_all(&scenes, &second)?;
    // What is come to only when a way back fails is tried too.
    let (third, _) = matrix::further(&scenes, &back, &mut tried);
    back.extend(runner::run_all(&scenes, &third)?);
    let possible = pairs.len();
    let pairs = runner::run_all(&scenes, &matrix::draw(&scenes, &found, &pairs, options.pairs, options.seed))?;
    runner::longest_with_the_whole(&scenes, &mut found)?;
    runner::longest_with_the_whole(&scenes, &mut back)?;
    let gathered = Gathered { scenes: &scenes, start, managed, reason, kept, found, back, pairs, possible, strangers };
    let prediction = predict(plan, observed, &durations(world), options.concurrency);
    Ok(gathered.report(plan, options, prediction, &runtime))
}

/// What the world's settings say of how long things take.
#[must_use]
pub fn durations(world: &World) -> Durations {
    let timings = &world.timings;
    Durations {
        schedule: timings.schedule_seconds,
        start: timings.image_pull_seconds + timings.task_start_seconds,
        fargate_start: timings.image_pull_seconds + timings.fargate_start_seconds,
        managed_start: timings.managed_instance_seconds + timings.image_pull_seconds + timings.task_start_seconds,
        next_container: timings.image_pull_seconds + timings.task_start_seconds,
        completion: timings.completion(),
        settle: timings.settle_seconds,
        stop: timings.stop_seconds,
        own_task: timings.own_task_seconds.unwrap_or(Timings::OWN_TASK),
        group_schedule: timings.group_schedule_seconds,
        instance_start: timings.instance_pending_seconds,
        instance_boot: timings.instance_boot_seconds,
        instance_shutdown: timings.instance_shutdown_seconds,
        dns: timings.dns_seconds,
    }
}

/// Why a finished run cannot be taken back by hand, if it cannot, or only in part.
fn take_back(scene: &Scene, by_hand: &Case, runtime: &tokio::runtime::Runtime) -> Option<String> {
    match runtime.block_on(scene.run(by_hand, Mode::default())).status {
        // What was done after the commit point stays done: the run says so then.
        Ok(status) if matches!(status.outcome, Some(Outcome::RolledBack { .. })) => {
            let destroys = |node: &&NodeStatus| {
                let call = scene.plan().node(&node.node).and_then(|node| node.action.mutation());
                let tidies = |call: &Call| call.operation == "DeregisterTaskDefinition";
                call.is_some_and(|call| is_destructive(&call.service, &call.operation) && !tidies(call))
            };
            let kept = status.nodes.iter().filter(|node| node.state == NodeWord::Kept && node.phase == Phase::Finalize);
            let stays: Vec<&str> = kept.filter(destroys).map(|node| node.node.as_str()).collect();
            (!stays.is_empty()).then(|| format!("what {} deleted would not come back", stays.join(", ")))
        }
        Err(error @ (RunError::Destroyed { .. } | RunError::NothingToRollBack { .. })) => Some(error.to_string()),
        _ => None,
    }
}

/// Steps that no run came to, by id.
fn unvisited(plan: &Plan, runs: &[&[Found]]) -> Vec<String> {
    let came = |ix: usize| runs.iter().flat_map(|list| list.iter()).any(|found| found.visited[ix]);
    let nodes = plan.nodes.iter().enumerate().filter(|(ix, _)| !came(*ix));
    // Forward steps that do not run in an undisturbed run are told with its reason.
    nodes.filter(|(_, node)| node.phase == Phase::Undo).map(|(_, node)| node.id.clone()).collect()
}

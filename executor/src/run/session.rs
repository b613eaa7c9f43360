//! Sessions: an executor begins a run, or takes one up from its journal.
//!
//! Invariants: everything that can be refused is refused before a run's directory is made or its journal touched; the
//! lock is held from before the first record to after the last.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belay_schemas::FORMAT;
use belay_schemas::checker::LoadError;
use belay_schemas::journal::{Approver, Ending, Event, GuardFailure, Header, KIND, OnFailure, Record, SessionMode};
use belay_schemas::plan::{Action, Plan};

use super::driver::Driver;
use super::error::RunError;
use super::graph::Graph;
use super::listener::{Listener, Silent};
use super::outcome::Outcome;
use super::signals::Signals;
use super::state::{Stage, State};
use super::status::{RunStatus, stale};
use super::way_back;
use crate::cloud::{Clock, Cloud, CloudError, ErrorKind};
use crate::journal::{Contents, Journal, MemorySink, Paper, Runs, Shelf, Sink, fresh_run_id};

/// What a run is taken up for.
pub use belay_schemas::journal::SessionMode as Mode;

/// How to begin a run.
#[derive(Clone)]
pub struct Options {
    /// Where the run is journalled.
    pub shelf: Arc<dyn Shelf>,
    /// What a failure leads to.
    pub on_failure: OnFailure,
    /// Nodes in progress at the same time, at most.
    pub concurrency: u32,
    /// The run's id; without one it is made from the time.
    pub run_id: Option<String>,
    /// The configured region.
    pub region: Option<String>,
    /// The simulated world, if it is one.
    pub world: Option<String>,
    /// Whose approvals were found to cover the plan.
    pub approved_by: Vec<Approver>,
}

impl Options {
    /// Nodes in progress at the same time when nobody says otherwise.
    pub const CONCURRENCY: u32 = 32;

    /// The defaults, with a journal directory.
    pub fn new(journal: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(Runs::new(journal)))
    }

    /// The defaults, with a place for runs.
    pub fn on(shelf: Arc<dyn Shelf>) -> Self {
        Self {
            shelf,
            on_failure: OnFailure::Rollback,
            concurrency: Self::CONCURRENCY,
            run_id: None,
            region: None,
            world: None,
            approved_by: Vec::new(),
        }
    }
}

/// What a run works on and who watches.
pub struct Setup<'a> {
    /// What answers the calls.
    pub cloud: Arc<dyn Cloud>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub listener: &'a dyn Listener,
    /// Who may interrupt.
    pub signals: Signals,
}

impl Setup<'_> {
    /// Nobody watches and nobody interrupts.
    pub fn quiet(cloud: Arc<dyn Cloud>, clock: Arc<dyn Clock>) -> Self {
        Self { cloud, clock, listener: &Silent, signals: Signals::none() }
    }
}

/// Checks that a plan keeps all rules for plans, as the program that wrote it did.
fn check(plan: &Plan) -> Result<(), RunError> {
    let violations = belay_schemas::checker::check_contents(plan);
    if violations.is_empty() { Ok(()) } else { Err(RunError::Rules(LoadError::Violations(violations))) }
}

/// A plan that is whole and can be run: its digest is true and its graph is one. To be run many times it is made ready
/// once.
#[derive(Debug, Clone)]
pub struct Ready(pub(super) Arc<Graph>);

impl Ready {
    /// Makes a plan ready. Its rules are not checked again.
    ///
    /// # Errors
    /// Another format, a false digest, a graph that is none.
    pub fn new(plan: &Plan) -> Result<Self, RunError> {
        load(plan).map(Self)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The steps that a step waits for or takes values from, by position.
    pub(crate) fn ties(&self, ix: usize) -> impl Iterator<Item = usize> {
        let graph = &self.0;
        [&graph.before, &graph.undo_before, &graph.references].into_iter().flat_map(move |of| of[ix].iter().copied())
    }
}

/// Checks that a plan is whole and can be run.
fn load(plan: &Plan) -> Result<Arc<Graph>, RunError> {
    if plan.format != FORMAT {
        return Err(RunError::Format(plan.format));
    }
    let found = plan.computed_digest();
    if found != plan.digest {
        return Err(RunError::Digest { said: plan.digest.clone(), found });
    }
    Ok(Arc::new(Graph::new(plan.clone())?))
}

/// Begins a run of a plan and drives it to its end.
///
/// # Errors
/// Everything that keeps a run from beginning, and a journal that cannot be written.
pub async fn apply(plan: &Plan, options: &Options, setup: Setup<'_>) -> Result<RunStatus, RunError> {
    let graph = load(plan)?;
    check(plan)?;
    let mut header = header(plan, options, setup.clock.now());
    if plan.nodes.is_empty() {
        let mut status = RunStatus::of(&header, &State::new(graph, options.on_failure));
        status.run.clear();
        status.outcome = Some(Outcome::NothingToDo);
        return Ok(status);
    }
    header.account = identify(plan, options.region.as_deref(), &setup).await?;
    let shelf = options.shelf.as_ref();
    let _lock = shelf.lock(&header)?;
    unfinished(shelf, &header)?;
    let before = shelf.pointer()?;
    let journal = shelf.create(&header, plan)?;
    let status = go(header, State::new(graph, options.on_failure), journal, SessionMode::Apply, &[], setup).await?;
    if let (Some(before), Some(Outcome::Stale | Outcome::Environment)) = (before, &status.outcome) {
        shelf.point_to(&before)?;
    }
    Ok(status)
}

/// Begins a run whose journal goes to a sink of the caller's, without lock and directory: for rehearsals. The plan is
/// one that [`belay_schemas::checker::load`] let through; its rules are not checked again.
///
/// # Errors
/// As [`apply`].
pub async fn begin(
    plan: &Plan,
    options: &Options,
    sink: Box<dyn Sink>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    begin_ready(&Ready::new(plan)?, options, sink.into(), setup).await
}

/// [`begin`] of a plan that was made ready before.
///
/// # Errors
/// As [`begin`].
pub async fn begin_ready(
    ready: &Ready,
    options: &Options,
    paper: Paper,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    let (graph, plan) = (Arc::clone(&ready.0), ready.plan());
    let mut header = header(plan, options, setup.clock.now());
    header.account = identify(plan, options.region.as_deref(), &setup).await?;
    let journal = Journal::begin(paper, &header)?;
    go(header, State::new(graph, options.on_failure), journal, SessionMode::Apply, &[], setup).await
}

/// Takes a run up from what was read of its journal; further records go to a sink of the caller's.
///
/// # Errors
/// As [`resume`].
pub async fn take_up(
    plan: &Plan,
    contents: &Contents,
    mode: SessionMode,
    approve: &[String],
    sink: Box<dyn Sink>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    take_up_ready(&Ready::new(plan)?, contents, mode, approve, sink.into(), setup).await
}

/// [`take_up`] of a plan that was made ready before.
///
/// # Errors
/// As [`resume`].
pub async fn take_up_ready(
    ready: &Ready,
    contents: &Contents,
    mode: SessionMode,
    approve: &[String],
    paper: Paper,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    let state = replay_graph(&ready.0, &ready.plan().digest, contents)?;
    let journal = Journal::go_on(paper, contents.records.len() as u64, contents.sum.clone());
    take_up_state(&contents.header, state, mode, approve, journal, setup).await
}

/// Takes a run up where its journal leaves it.
pub(super) async fn take_up_state(
    header: &Header,
    state: State,
    mode: SessionMode,
    approve: &[String],
    journal: Journal,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    let gates = gates(&state, approve)?;
    if mode == SessionMode::Rollback {
        way_back::check(&header.run, &state)?;
    } else if let Some(over) = over(header, &state) {
        return Ok(over);
    }
    go(header.clone(), state, journal, mode, &gates, setup).await
}

/// Goes on with a run: after a crash, a pause, an incomplete finalize, or once a person has put right what was stuck.
///
/// # Errors
/// Damage, another account, a lock that is held.
pub async fn resume(
    run_dir: &Path,
    approve: &[String],
    region: Option<&str>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    resume_on(&Runs::of_run(run_dir), &run_of(run_dir), approve, region, setup).await
}

/// [`resume`] of a run by its id, wherever it is journalled.
///
/// # Errors
/// As [`resume`].
pub async fn resume_on(
    shelf: &dyn Shelf,
    run: &str,
    approve: &[String],
    region: Option<&str>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    again(shelf, run, SessionMode::Resume, approve, region, setup).await
}

/// Takes a run back.
///
/// # Errors
/// As [`resume`], and when there is nothing to take back or no way back any more.
pub async fn rollback(run_dir: &Path, region: Option<&str>, setup: Setup<'_>) -> Result<RunStatus, RunError> {
    rollback_on(&Runs::of_run(run_dir), &run_of(run_dir), region, setup).await
}

/// [`rollback`] of a run by its id, wherever it is journalled.
///
/// # Errors
/// As [`rollback`].
pub async fn rollback_on(
    shelf: &dyn Shelf,
    run: &str,
    region: Option<&str>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    again(shelf, run, SessionMode::Rollback, &[], region, setup).await
}

fn run_of(run_dir: &Path) -> String {
    run_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn again(
    shelf: &dyn Shelf,
    run: &str,
    mode: SessionMode,
    approve: &[String],
    region: Option<&str>,
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    // The lock comes first, so that nobody writes between reading and appending.
    let header = shelf.open(run)?.0.header;
    let _lock = shelf.lock(&header)?;
    let (contents, plan) = shelf.open(run)?;
    let pinned = Plan { target: pinned(&plan, &contents.header), ..plan.clone() };
    identify(&pinned, region, &setup).await?;
    let state = replay(&plan, &contents)?;
    if mode == SessionMode::Rollback {
        way_back::check(&contents.header.run, &state)?;
    }
    if mode == SessionMode::Rollback || over(&contents.header, &state).is_none() {
        superseded(shelf, &contents.header, mode)?;
    }
    let sink = shelf.append(run, &contents)?;
    take_up(&plan, &contents, mode, approve, sink, setup).await
}

/// Refuses to begin what was begun already: the latest run of this project and target, if it is one of the same plan
/// that did something and is not over. Another plan is another matter: it was compiled against what runs now, or its
/// guards do not hold.
fn unfinished(shelf: &dyn Shelf, header: &Header) -> Result<(), RunError> {
    for id in shelf.ids()?.into_iter().rev() {
        // A journal that cannot be read says nothing against this run.
        let Ok((contents, plan)) = shelf.open(&id) else { continue };
        if place(&contents.header) != place(header) {
            continue;
        }
        let Ok(state) = replay(&plan, &contents) else { continue };
        if matches!(state.stage, Stage::Ended(Ending::Stale | Ending::Environment)) {
            continue;
        }
        let begun = state.mutated() || state.paused.is_some();
        if begun && contents.header.plan == header.plan && over(&contents.header, &state).is_none() {
            return Err(RunError::Unfinished { run: id });
        }
        return Ok(());
    }
    Ok(())
}

/// Refuses to go on with a run or to take it back while a later one stands on it: that would take away what the later one
/// made.
fn superseded(shelf: &dyn Shelf, header: &Header, mode: SessionMode) -> Result<(), RunError> {
    for id in shelf.ids()?.into_iter().filter(|id| *id != header.run) {
        // A journal that cannot be read says nothing against this one.
        let Ok((contents, plan)) = shelf.open(&id) else { continue };
        if contents.header.started_at <= header.started_at || place(&contents.header) != place(header) {
            continue;
        }
        let Ok(state) = replay(&plan, &contents) else { continue };
        if !matches!(state.stage, Stage::Ended(Ending::RolledBack)) && state.mutated() {
            let run = header.run.clone();
            return Err(match mode {
                SessionMode::Rollback => RunError::Superseded { run, later: id },
                SessionMode::Apply | SessionMode::Resume => RunError::Overtaken { run, later: id },
            });
        }
    }
    Ok(())
}

/// What two runs have in common that work on the same thing.
fn place(header: &Header) -> impl PartialEq + use<> {
    let Header { project, account, region, target, world, .. } = header.clone();
    (project, account, region, target, world)
}

/// The plan's target with what the run's header pinned.
fn pinned(plan: &Plan, header: &Header) -> belay_schemas::plan::Target {
    let mut target = plan.target.clone();
    target.account = Some(header.account.clone());
    target.region = header.region.clone();
    target
}

/// How a run stands.
///
/// # Errors
/// Damage.
pub fn status(run_dir: &Path) -> Result<RunStatus, RunError> {
    status_on(&Runs::of_run(run_dir), &run_of(run_dir)).map(|(status, _)| status)
}

/// How a run stands, and its plan, wherever it is journalled.
///
/// # Errors
/// Damage.
pub fn status_on(shelf: &dyn Shelf, run: &str) -> Result<(RunStatus, Plan), RunError> {
    let (contents, plan) = shelf.open(run)?;
    let status = RunStatus::of(&contents.header, &replay(&plan, &contents)?);
    Ok((status, plan))
}

/// Looks at everything that has to hold before the first mutation, and changes nothing.
///
/// # Errors
/// A plan that cannot be run, another account, a target that cannot be reached.
pub async fn verify(plan: &Plan, region: Option<&str>, setup: Setup<'_>) -> Result<Vec<GuardFailure>, RunError> {
    let graph = load(plan)?;
    if plan.nodes.is_empty() {
        return Ok(Vec::new());
    }
    let mut header = header(plan, &Options::new("."), setup.clock.now());
    header.account = identify(plan, region, &setup).await?;
    let state = State::new(graph, OnFailure::Rollback);
    let journal = Journal::begin(Box::new(MemorySink::default()), &header)?;
    let mut driver = Driver::new(state, journal, &header, setup);
    driver.only_check = true;
    let state = driver.drive().await?;
    match &state.unreachable {
        Some(reason) => Err(RunError::Identity(CloudError::new(ErrorKind::Environment, "unreachable", reason.clone()))),
        None => Ok(stale(&state)),
    }
}

fn header(plan: &Plan, options: &Options, now: u64) -> Header {
    Header {
        format: FORMAT,
        kind: KIND.to_owned(),
        run: options.run_id.clone().unwrap_or_else(|| fresh_run_id(now)),
        plan: plan.digest.clone(),
        belay: env!("CARGO_PKG_VERSION").to_owned(),
        project: plan.project.clone(),
        target: plan.target.clone(),
        account: String::new(),
        region: plan.target.region.clone().or_else(|| options.region.clone()),
        world: options.world.clone(),
        started_at: now,
        on_failure: options.on_failure,
        concurrency: options.concurrency.max(1),
        approved_by: options.approved_by.clone(),
        sum: String::new(),
    }
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The caller.
    pub arn: String,
    /// `aws`, `aws-cn`, …
    pub partition: String,
}

/// Asks who the credentials belong to.
///
/// # Errors
/// When there is no answer that tells it.
pub async fn identity(cloud: &dyn Cloud, clock: &dyn Clock) -> Result<Identity, RunError> {
    let mut tries = 0;
    let answer = loop {
        match cloud.call("sts", "GetCallerIdentity", &serde_json::json!({})).await {
            Ok(answer) => break answer,
            Err(error) if tries < 3 && matches!(error.kind, ErrorKind::Transient | ErrorKind::Unknown) => {
                tries += 1;
                clock.wait_until(clock.now() + 1000 * tries).await;
            }
            Err(error) => return Err(RunError::Identity(error)),
        }
    };
    let told = |name: &str| {
        answer[name].as_str().map(str::to_owned).ok_or_else(|| {
            let words = format!("GetCallerIdentity told no {name}");
            RunError::Identity(CloudError::new(ErrorKind::Environment, "NoIdentity", words))
        })
    };
    let (account, arn) = (told("Account")?, told("Arn")?);
    let partition = arn.split(':').nth(1).unwrap_or_default().to_owned();
    Ok(Identity { account, arn, partition })
}

/// Checks that a plan is for this caller and region.
///
/// # Errors
/// Another account, partition or region.
pub fn belongs(plan: &Plan, caller: &Identity, region: Option<&str>) -> Result<(), RunError> {
    let target = &plan.target;
    if let (Some(plan), Some(found)) = (&target.region, region)
        && plan != found
    {
        return Err(RunError::Region { plan: plan.clone(), found: found.to_owned() });
    }
    if target.partition != caller.partition {
        return Err(RunError::Partition { plan: target.partition.clone(), found: caller.partition.clone() });
    }
    match &target.account {
        Some(plan) if *plan != caller.account => {
            Err(RunError::Account { plan: plan.clone(), found: caller.account.clone() })
        }
        _ => Ok(()),
    }
}

/// The account of the credentials, which must be the plan's.
async fn identify(plan: &Plan, region: Option<&str>, setup: &Setup<'_>) -> Result<String, RunError> {
    let caller = identity(setup.cloud.as_ref(), setup.clock.as_ref()).await?;
    belongs(plan, &caller, region)?;
    Ok(caller.account)
}

/// The state that a journal leads to.
fn replay(plan: &Plan, contents: &Contents) -> Result<State, RunError> {
    replay_graph(&Arc::new(Graph::new(plan.clone())?), &plan.computed_digest(), contents)
}

fn replay_graph(graph: &Arc<Graph>, digest: &str, contents: &Contents) -> Result<State, RunError> {
    if digest != contents.header.plan {
        let (expected, found) = (contents.header.plan.clone(), digest.to_owned());
        return Err(crate::journal::JournalError::OtherPlan { expected, found }.into());
    }
    replay_onto(State::new(Arc::clone(graph), contents.header.on_failure), &contents.records)
}

/// A state that further records lead to.
pub(super) fn replay_onto(mut state: State, records: &[Record]) -> Result<State, RunError> {
    for record in records {
        state.apply(record.at, &record.event).map_err(|source| RunError::Replay { record: record.seq, source })?;
    }
    Ok(state)
}

/// A run that is over for good has nothing to go on with.
fn over(header: &Header, state: &State) -> Option<RunStatus> {
    let over =
        matches!(state.stage, Stage::Ended(Ending::Done | Ending::RolledBack | Ending::Stale | Ending::Environment));
    over.then(|| RunStatus::of(header, state))
}

fn gates(state: &State, approve: &[String]) -> Result<Vec<Event>, RunError> {
    let gate = |id: &String| match state.graph.find(id).map(|ix| &state.graph.node(ix).action) {
        Some(Action::Gate { .. }) => Ok(Event::Approved { node: id.clone() }),
        _ => Err(RunError::NoGate(id.clone())),
    };
    approve.iter().map(gate).collect()
}

async fn go(
    header: Header,
    state: State,
    journal: Journal,
    mode: SessionMode,
    gates: &[Event],
    setup: Setup<'_>,
) -> Result<RunStatus, RunError> {
    let mut driver = Driver::new(state, journal, &header, setup);
    driver.record(Event::Session { mode, belay: env!("CARGO_PKG_VERSION").to_owned() }).map_err(unwritten(&header))?;
    for gate in gates {
        driver.record(gate.clone()).map_err(unwritten(&header))?;
    }
    to_its_end(driver, &header).await
}

/// Drives a run to its end or to a pause.
pub(super) async fn to_its_end(driver: Driver<'_>, header: &Header) -> Result<RunStatus, RunError> {
    let state = driver.drive().await.map_err(unwritten(header))?;
    Ok(RunStatus::of(header, &state))
}

fn unwritten(header: &Header) -> impl Fn(RunError) -> RunError {
    |error| match error {
        RunError::Journal(source) => RunError::Unwritten { run: header.run.clone(), source },
        other => other,
    }
}

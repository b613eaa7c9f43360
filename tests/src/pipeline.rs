//! The whole way in one process: load, scope, observe, compile, apply on a simulated AWS, resume, roll back.
//!
//! Invariants: no wall clock and no entropy; run ids are given by the test.

use std::path::Path;
use std::sync::Arc;

use belay_compiler::compile::{Options, compile, scope};
use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::{Sources, load};
use belay_executor::cloud::{Clock, Cloud};
use belay_executor::observe::observe;
use belay_executor::run::{self, RunError, RunStatus, Setup};
use belay_executor::simulator::SimulatedCloud;
use belay_schemas::observed::Observed;
use belay_schemas::plan::{Mode, Plan};
use belay_schemas::scope::Scope;

/// What a compilation starts from.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Project name.
    pub project: String,
    /// Name and text of the model file.
    pub model: (String, String),
    /// Names and texts of the environment files.
    pub environments: Vec<(String, String)>,
    /// Deploy or tear down.
    pub mode: Mode,
    /// Whether everything is replaced.
    pub replace_all: bool,
    /// Only these components.
    pub only: Vec<String>,
    /// Services of these components are taken over.
    pub adopt: Vec<String>,
}

impl Inputs {
    /// A deployment of a model in one environment.
    pub fn new(project: &str, model: impl Into<String>, environment: impl Into<String>) -> Self {
        Self {
            project: project.to_owned(),
            model: ("model.yaml".to_owned(), model.into()),
            environments: vec![("prod.yaml".to_owned(), environment.into())],
            mode: Mode::Deploy,
            replace_all: false,
            only: Vec::new(),
            adopt: Vec::new(),
        }
    }

    fn sources(&self) -> Sources {
        let file = |(name, text): &(String, String)| SourceFile::new(name.clone(), text.clone());
        Sources {
            model: file(&self.model),
            environments: self.environments.iter().map(file).collect(),
            vars: Vec::new(),
        }
    }

    fn options(&self) -> Options {
        Options {
            project: self.project.clone(),
            mode: self.mode,
            replace_all: self.replace_all,
            only: self.only.clone(),
            adopt: self.adopt.clone(),
        }
    }

    /// The scope.
    ///
    /// # Errors
    /// The rendered diagnostics.
    pub fn scope(&self) -> Result<Scope, String> {
        let mut report = Report::new();
        let loaded = load(self.sources(), &mut report);
        loaded.and_then(|l| scope(&l, &self.options(), &mut report)).ok_or_else(|| human(&report, false))
    }

    /// The plan, with the rendered warnings.
    ///
    /// # Errors
    /// The rendered diagnostics.
    pub fn compile(&self, observed: Option<&Observed>) -> Result<(Plan, String), String> {
        let mut report = Report::new();
        let loaded = load(self.sources(), &mut report);
        let plan = loaded.and_then(|l| compile(&l, observed, &self.options(), &mut report));
        let rendered = human(&report, false);
        plan.map(|p| (p, rendered.clone())).ok_or(rendered)
    }

    /// Observes what these inputs need to know.
    ///
    /// # Errors
    /// The rendered diagnostics, or why the observation failed.
    pub fn observe(&self, cloud: &Arc<SimulatedCloud>) -> Result<Observed, String> {
        let scope = self.scope()?;
        let region = cloud.world().region;
        block_on(observe(&scope, cloud.as_ref(), cloud.as_ref(), &region)).map_err(|e| e.to_string())
    }

    /// Observes and compiles.
    ///
    /// # Errors
    /// As [`Inputs::observe`] and [`Inputs::compile`].
    pub fn plan(&self, cloud: &Arc<SimulatedCloud>) -> Result<Plan, String> {
        let observed = self.observe(cloud)?;
        self.compile(Some(&observed)).map(|(plan, _)| plan)
    }
}

/// Applies a plan to a simulated AWS.
///
/// # Errors
/// What kept the run from beginning.
pub fn apply(cloud: &Arc<SimulatedCloud>, plan: &Plan, journal: &Path, run: &str) -> Result<RunStatus, RunError> {
    apply_on(cloud.clone(), cloud.clone(), plan, journal, run)
}

/// Applies a plan to any cloud.
///
/// # Errors
/// What kept the run from beginning.
pub fn apply_on(
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    plan: &Plan,
    journal: &Path,
    run: &str,
) -> Result<RunStatus, RunError> {
    let mut options = run::Options::new(journal);
    options.run_id = Some(run.to_owned());
    block_on(run::apply(plan, &options, Setup::quiet(cloud, clock)))
}

/// Takes up a run.
///
/// # Errors
/// What kept the run from being taken up.
pub fn resume(cloud: &Arc<SimulatedCloud>, journal: &Path, run: &str) -> Result<RunStatus, RunError> {
    let dir = journal.join("runs").join(run);
    block_on(run::resume(&dir, &[], None, Setup::quiet(cloud.clone(), cloud.clone())))
}

/// Takes a run back.
///
/// # Errors
/// What kept the run from being taken back.
pub fn rollback(cloud: &Arc<SimulatedCloud>, journal: &Path, run: &str) -> Result<RunStatus, RunError> {
    let dir = journal.join("runs").join(run);
    block_on(run::rollback(&dir, None, Setup::quiet(cloud.clone(), cloud.clone())))
}

/// Runs a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime: {error}"),
    }
}

//! One run of a plan under a script of faults: begun, killed, taken up again, until it is over.
//!
//! Invariants: everything stays in memory; the code that runs is the code that runs on AWS, with the journal's records
//! going to memory; two runs of the same script are the same run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use belay_schemas::plan::Plan;
use belay_schemas::rehearsal::FaultAt;
use serde_json::Value;

use super::capacity::Components;
use super::foreign::Foreign;
use super::judge::{self, Makes, Pins};
use super::notes::{Notes, Tap};
use super::stage::{FAULTS, Keep, Kept, Lowest, Mode, Stage, Watcher};
use crate::cloud::Clock;
use crate::journal::{JournalError, Paper};
use crate::run::{self, Moment, Options, Outcome, Ready, RunError, RunStatus, Setup, Signals};
use crate::simulator::World;

/// Sessions of one run at most: more would be going round in circles.
const SESSIONS: usize = 6;
/// The run's id in a rehearsal.
pub(super) const RUN: &str = "rehearsal";

/// What all runs of a plan, or of a part of one, share.
pub(super) struct Scene {
    pub ready: Ready,
    pub world: World,
    /// Where its steps are in the whole plan.
    pub at: Vec<usize>,
    pub pins: Pins,
    /// Of each component, whether it is there.
    pub own: Vec<bool>,
    /// How often the plan makes what its calls make anew each time.
    pub makes: Makes,
    pub components: Arc<Components>,
    pub ids: Arc<Vec<String>>,
    pub concurrency: u32,
}

/// What is done and what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Case {
    pub faults: Vec<FaultAt>,
    /// When the run is done it is taken back by hand.
    pub taken_back: bool,
    /// What somebody else changes before the run.
    pub foreign: Option<Foreign>,
}

/// How a run came out.
pub(super) struct Drilled {
    pub status: Result<RunStatus, RunError>,
    pub world: World,
    /// What was there before, if that is not the observed state.
    pub initial: Option<Value>,
    /// Of each fault, whether it happened and whether it showed.
    pub fired: Vec<(bool, bool)>,
    /// It was stuck at some time: what it said of it.
    pub stuck: Option<RunStatus>,
    pub may_be_stuck: bool,
    pub visited: Vec<bool>,
    pub held: Vec<bool>,
    pub lowest: Lowest,
    /// Milliseconds of simulated time.
    pub took: u64,
    pub records: u64,
    pub trace: Vec<(u64, String)>,
}

/// A run at a moment at which nothing is in progress but waits that sleep: where runs that differ only later begin.
pub(super) struct Mark {
    moment: Moment,
    kept: Kept,
    session: usize,
    taken_back: bool,
    began: u64,
    /// How its faults were staged.
    pub frozen: [bool; FAULTS],
}

impl Mark {
    /// Whether a step, by position, was begun before.
    pub fn visited(&self, ix: usize) -> bool {
        self.kept.visited(ix)
    }

    /// How many faults were staged.
    pub fn staged(&self) -> usize {
        self.kept.staged()
    }
}

/// Moments of one run. It is run twice: once to count them, once to keep those after which something is begun.
#[derive(Default)]
pub(super) struct Marks {
    /// Of each moment that came by, how many steps were begun before it.
    begun: Vec<usize>,
    /// Those that are kept, by number.
    chosen: BTreeSet<usize>,
    /// What was kept.
    pub list: Vec<Mark>,
}

impl Marks {
    /// Moments at most.
    const MOST: usize = 48;

    /// Marks that keep what another run of the same case came by.
    pub fn after(counted: &Self) -> Self {
        let begun = &counted.begun;
        let useful = |at: &usize| begun.get(at + 1).is_none_or(|next| *next > begun[*at]);
        let useful: Vec<usize> = (0..begun.len()).filter(useful).collect();
        let step = useful.len().div_ceil(Self::MOST).max(1);
        Self { chosen: useful.into_iter().step_by(step).collect(), ..Self::default() }
    }

    /// Counts a moment; whether it is to be kept.
    fn comes(&mut self, begun: usize) -> bool {
        self.begun.push(begun);
        self.chosen.contains(&(self.begun.len() - 1))
    }
}

impl Scene {
    /// The scene of a whole plan.
    ///
    /// # Errors
    /// When the plan cannot be run.
    pub fn new(plan: &Plan, world: &World, concurrency: u32) -> Result<Self, RunError> {
        let components = Arc::new(Components::of(plan, world));
        Ok(Self {
            ready: Ready::new(plan)?,
            at: (0..plan.nodes.len()).collect(),
            pins: Pins::of(plan),
            makes: Makes::of(plan),
            own: vec![true; components.names.len()],
            components,
            ids: Arc::new(plan.nodes.iter().map(|node| node.id.clone()).collect()),
            world: world.clone(),
            concurrency,
        })
    }

    /// The scene of a part of this one's plan, in a world in which what only other parts change may be missing.
    ///
    /// # Errors
    /// When the part cannot be run by itself.
    pub fn part(&self, plan: &Plan, at: Vec<usize>, world: &World) -> Result<Self, RunError> {
        let changes = |name: &String| plan.nodes.iter().any(|node| node.component.as_ref() == Some(name));
        let own = self.components.names.iter().map(changes).collect();
        let components = Arc::clone(&self.components);
        Ok(Self { at, own, components, ..Self::new(plan, world, self.concurrency)? })
    }

    pub fn plan(&self) -> &Plan {
        self.ready.plan()
    }

    /// What a world looks like once it has come to rest.
    pub fn at_rest(&self, world: World) -> Value {
        judge::at_rest(&self.pins, world)
    }

    /// Runs a case to its end.
    pub async fn run(&self, case: &Case, mode: Mode) -> Drilled {
        self.run_from(case, mode, None, None).await
    }

    /// Runs a case to its end, from a moment of a run of the same faults but for the last one if there is one, and keeps
    /// its own moments where they are wanted.
    pub async fn run_from(
        &self,
        case: &Case,
        mode: Mode,
        from: Option<&Mark>,
        marks: Option<&Mutex<Marks>>,
    ) -> Drilled {
        let (plan, script) = (self.plan(), &case.faults);
        let kept = match from {
            Some(mark) => mark.kept.clone(),
            None => Kept::beginning(&self.components, self.ids.len(), self.world.clone()),
        };
        let stage = Arc::new(Stage::new(plan, &self.ids, &self.components, kept, script, mode));
        // What was written since the moment that the run goes on from.
        let journal = Notes::default();
        let mut initial = None;
        if let Some(foreign) = &case.foreign {
            stage.note(|| format!("somebody else {foreign}"));
            foreign.happens(&stage.cloud).await;
            initial = Some(self.at_rest(stage.cloud.world()));
        }
        let began = from.map_or_else(|| stage.now(), |mark| mark.began);
        let mut stuck = None;
        let mut next = from.map_or(Next::Begin, |mark| Next::GoOn(&mark.moment));
        let mut taken_back = from.map_or(!case.taken_back, |mark| mark.taken_back);
        let mut last = Err(RunError::Internal("the run never began".to_owned()));
        for session in from.map_or(0, |mark| mark.session)..SESSIONS {
            let keep = |moment: &dyn Fn() -> Moment| {
                let Some(marks) = marks.filter(|_| stuck.is_none()) else { return };
                let mut marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
                if marks.comes(stage.begun()) {
                    let (moment, kept) = (moment(), stage.keep());
                    marks.list.push(Mark { moment, kept, session, taken_back, began, frozen: mode.frozen });
                }
            };
            let keep: Option<&Keep<'_>> = if marks.is_some() { Some(&keep) } else { None };
            let status = self.session(&stage, &journal, from, next, keep).await;
            let killed = stage.next_session();
            next = Next::Resume(Vec::new());
            if killed {
                last = Err(RunError::Internal("the run is killed again and again".to_owned()));
                if from.is_none() && journal.is_empty() {
                    next = Next::Begin;
                }
                continue;
            }
            let outcome = status.as_ref().ok().and_then(|status| status.outcome);
            match outcome {
                Some(Outcome::Done) if !taken_back => {
                    taken_back = true;
                    next = Next::Rollback;
                }
                Some(Outcome::Paused { .. }) => {
                    next = Next::Resume(status.as_ref().map(|s| self.gates(s)).unwrap_or_default());
                }
                Some(Outcome::Stuck) => stuck = status.as_ref().ok().cloned(),
                Some(Outcome::FinalizeIncomplete) => {}
                _ => {
                    last = status;
                    break;
                }
            }
            last = status;
        }
        let took = stage.now().saturating_sub(began);
        Drilled {
            status: last,
            world: stage.cloud.world(),
            initial,
            fired: stage.fired(),
            stuck,
            may_be_stuck: stage.may_be_stuck(),
            visited: stage.visited(),
            held: stage.held(),
            lowest: stage.lowest(),
            took,
            records: stage.records(),
            trace: stage.trace(),
        }
    }

    /// Gates that a paused run waits for.
    fn gates(&self, status: &RunStatus) -> Vec<String> {
        let is_gate = |id: &&String| {
            self.plan().node(id).is_some_and(|node| matches!(node.action, belay_schemas::plan::Action::Gate { .. }))
        };
        status.waiting_for.iter().filter(is_gate).cloned().collect()
    }

    async fn session(
        &self,
        stage: &Arc<Stage>,
        journal: &Notes,
        from: Option<&Mark>,
        next: Next<'_>,
        keep: Option<&Keep<'_>>,
    ) -> Result<RunStatus, RunError> {
        let mut options = Options::new(".");
        options.run_id = Some(RUN.to_owned());
        options.concurrency = self.concurrency;
        let paper = Paper::Records(Box::new(Tap { stage: Arc::clone(stage), journal: journal.clone() }));
        let watcher = Watcher { stage, keep };
        let (cloud, clock) = (Arc::clone(stage), Arc::clone(stage));
        let setup = Setup { cloud, clock, listener: &watcher, signals: Signals::none() };
        let work = async {
            let (mode, approve) = match next {
                Next::Begin => return run::begin_ready(&self.ready, &options, paper, setup).await,
                Next::GoOn(moment) => return run::go_on(moment, paper, setup).await,
                Next::Resume(approve) => (run::Mode::Resume, approve),
                Next::Rollback => (run::Mode::Rollback, Vec::new()),
            };
            if let Some(mark) = from {
                return run::take_up_after(&mark.moment, &journal.since(), mode, &approve, paper, setup).await;
            }
            let contents = journal.contents().ok_or(JournalError::Empty)?;
            run::take_up_ready(&self.ready, &contents, mode, &approve, paper, setup).await
        };
        tokio::select! {
            biased;
            () = stage.death() => Err(RunError::Internal("killed".to_owned())),
            status = work => status,
        }
    }
}

/// What the next executor is there for.
enum Next<'a> {
    Begin,
    GoOn(&'a Moment),
    Resume(Vec<String>),
    Rollback,
}

//! Where a run is made: with the whole plan, or with the part of it that its faults can be felt in.
//!
//! A fault that passes leaves the other parts of a plan as they are, and so does one on the way back of a fault in the same
//! part; one that turns the run back is felt by all, so that is tried with the whole plan. What a run of a part finds wrong
//! counts only if the whole plan shows it too, and so the whole plan tells it.
//!
//! Invariants: scene 0 is the whole plan; a part is rehearsed apart only where it reaches its target undisturbed.

use std::sync::OnceLock;

use belay_schemas::plan::Plan;
use belay_schemas::rehearsal::Fault;
use tokio::runtime::Runtime;

use super::beginnings::moments;
use super::drill::{Case, Mark, Scene};
use super::judge::States;
use super::parts::{Part, parts};
use super::stage::Mode;
use crate::run::Outcome;
use crate::simulator::World;

/// The whole plan and its parts, each with the states that its runs may end in.
pub(super) struct Scenes {
    list: Vec<(Scene, States)>,
    /// Moments of the undisturbed run of each.
    moments: Vec<OnceLock<Vec<Mark>>>,
    /// The part that a step is in, by its position; 0 for what all parts have.
    part_of: Vec<usize>,
    /// The components of each part.
    pub components: Vec<Vec<String>>,
}

/// A case, and the scene that it is tried in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trial {
    pub scene: usize,
    pub case: Case,
}

/// Whether a fault leaves a run on its way.
pub(super) fn passes(fault: Fault) -> bool {
    !matches!(fault, Fault::Rejected | Fault::NeverReady | Fault::FailsInHold)
}

impl Scenes {
    /// A plan that is always rehearsed as a whole.
    pub fn whole(scene: Scene, states: States) -> Self {
        let part_of = vec![0; scene.ids.len()];
        Self { part_of, list: vec![(scene, states)], moments: vec![OnceLock::new()], components: Vec::new() }
    }

    /// Takes a plan apart where it falls into parts.
    pub fn apart(mut self, world: &World, runtime: &Runtime) -> Self {
        let mut of = self.part_of.clone();
        let mut components = Vec::new();
        let mut list = Vec::new();
        let parts = parts(&self.list[0].0.ready, world);
        for (number, part) in (1..).zip(&parts) {
            components.push(part.components());
            part.own.iter().for_each(|ix| of[*ix] = number);
            match self.stage(part, &part.world(world, &parts), runtime) {
                Some(staged) => list.push(staged),
                None => return self,
            }
        }
        self.list.extend(list);
        self.moments.resize_with(self.list.len(), OnceLock::new);
        Self { part_of: of, components, ..self }
    }

    fn stage(&self, part: &Part, world: &World, runtime: &Runtime) -> Option<(Scene, States)> {
        let (whole, states) = &self.list[0];
        let scene = whole.part(&part.plan, part.at.clone(), world).ok()?;
        let undisturbed = runtime.block_on(scene.run(&Case::default(), Mode::default()));
        let done = undisturbed.status.is_ok_and(|status| status.outcome == Some(Outcome::Done));
        let states = States {
            initial: scene.at_rest(scene.world.clone()),
            target: Some(scene.at_rest(undisturbed.world)),
            floors: scene.own.iter().zip(&states.floors).map(|(own, floor)| if *own { *floor } else { 0 }).collect(),
        };
        done.then_some((scene, states))
    }

    /// A scene and the states that its runs may end in.
    pub fn get(&self, number: usize) -> &(Scene, States) {
        &self.list[number]
    }

    /// Moments of a scene's undisturbed run.
    pub fn moments(&self, number: usize, runtime: &Runtime) -> &[Mark] {
        self.moments[number].get_or_init(|| moments(&self.list[number].0, &Case::default(), None, runtime))
    }

    /// The scene of the whole plan.
    pub fn scene(&self) -> &Scene {
        &self.list[0].0
    }

    /// The whole plan.
    pub fn plan(&self) -> &Plan {
        self.scene().plan()
    }

    /// The part that a step is in, by its position in the whole plan; 0 for what all parts have.
    pub fn part_of(&self, ix: usize) -> usize {
        self.part_of[ix]
    }

    /// The part that all faults of a case are in; 0 if there is none.
    pub fn part_of_case(&self, case: &Case) -> usize {
        let part = |node: &String| self.scene().ids.binary_search(node).map_or(0, |ix| self.part_of[ix]);
        let mut parts = case.faults.iter().map(|at| part(&at.node));
        let first = parts.next().unwrap_or(0);
        if parts.all(|other| other == first) { first } else { 0 }
    }
}

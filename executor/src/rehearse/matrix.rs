//! Which faults are tried where.
//!
//! Invariants: each step that runs, and each compensation that any run came to, is tried with every fault that can happen
//! to its kind of action; pairs are drawn by a generator with a recorded seed, so that a rehearsal can be repeated.

use std::collections::BTreeSet;

use belay_schemas::checker::subject::{short, subjects};
use belay_schemas::plan::{Action, Node, Phase};
use belay_schemas::rehearsal::{Fault, FaultAt};

use super::drill::{Case, Scene};
use super::foreign::Foreign;
use super::runner::Found;
use super::scenes::{Scenes, Trial, passes};

/// The faults that can happen to a node; `held` tells whether its goal had to last for a while.
pub(super) fn faults(node: &Node, held: bool) -> Vec<Fault> {
    Fault::ALL.into_iter().filter(|fault| can_happen(*fault, node, held)).collect()
}

fn can_happen(fault: Fault, node: &Node, held: bool) -> bool {
    let (calls, wait) = match &node.action {
        Action::Call { .. } => (2, false),
        Action::Read { .. } => (1, false),
        Action::Wait { .. } => (1, true),
        Action::Http { .. }
        | Action::Exec { .. }
        | Action::Gate { .. }
        | Action::Delay { .. }
        | Action::Commit { .. } => (0, false),
    };
    match fault {
        Fault::Rejected | Fault::Throttled | Fault::ServerError | Fault::AnswerLost | Fault::KilledAfterCall => {
            calls > 0
        }
        // To a read it is the same whether its answer or its request was lost.
        Fault::RequestLost => calls > 1,
        Fault::NeverReady => wait,
        Fault::FailsInHold => wait && held,
        Fault::KilledBeforeIntent | Fault::KilledAfterIntent | Fault::KilledAfterOutcome => true,
    }
}

/// One fault at each forward step that a run came to.
pub(super) fn forward(scenes: &Scenes, visited: &[bool], held: &[bool]) -> Vec<Trial> {
    let nodes = scenes.plan().nodes.iter().enumerate();
    let forward = nodes.filter(|(ix, node)| visited[*ix] && node.phase != Phase::Undo);
    let each = forward.flat_map(|(ix, node)| {
        faults(node, held[ix]).into_iter().map(move |fault| Trial {
            scene: if passes(fault) { scenes.part_of(ix) } else { 0 },
            case: Case { faults: vec![FaultAt { fault, node: node.id.clone() }], ..Case::default() },
        })
    });
    each.collect()
}

/// Somebody else's change to each service and each group that the plan changes, before the run.
pub(super) fn foreign(scene: &Scene) -> Vec<Trial> {
    let forward = scene.plan().nodes.iter().filter(|node| node.phase != Phase::Undo);
    let mutations = forward.filter_map(|node| node.action.mutation());
    let changed: BTreeSet<Foreign> = mutations
        .flat_map(|call| subjects(call, None))
        .filter_map(|subject| match subject.kind {
            "ECS service" => Some(Foreign::Service(format!("{}/{}", short(&subject.scope), subject.name))),
            "Auto Scaling group" => Some(Foreign::Group(subject.name.into_owned())),
            _ => None,
        })
        .collect();
    let case = |foreign| Case { foreign: Some(foreign), ..Case::default() };
    changed.into_iter().map(|foreign| Trial { scene: 0, case: case(foreign) }).collect()
}

/// Of what a run came by: the compensations, by position, with the faults that can happen to them.
fn back<'s>(scene: &'s Scene, found: &'s Found) -> impl Iterator<Item = (usize, Fault)> + 's {
    let nodes = scene.plan().nodes.iter().enumerate();
    let undo = nodes.filter(|(ix, node)| found.visited[*ix] && node.phase == Phase::Undo);
    undo.flat_map(|(ix, node)| faults(node, found.held[ix]).into_iter().map(move |fault| (ix, fault)))
}

/// Compensations that were tried, with the fault.
pub(super) type Tried = BTreeSet<(usize, Fault)>;

/// A further fault at a compensation that a run came to: the run's number, the compensation's position, the fault.
pub(super) type Pair = (usize, usize, Fault);

/// A further fault at each compensation, after the first run that came to it, of those whose faults are in the same part
/// if there is one; and the pairs that this leaves out, which are for the whole plan.
pub(super) fn further(scenes: &Scenes, found: &[Found], seen: &mut Tried) -> (Vec<Trial>, Vec<Pair>) {
    let (mut once, mut pairs, mut from_elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for (number, first) in found.iter().enumerate() {
        let part = scenes.part_of_case(&first.case);
        for (ix, fault) in back(scenes.scene(), first) {
            let pair = (number, ix, fault);
            if scenes.part_of(ix) != part {
                from_elsewhere.push(pair);
            } else if seen.insert((ix, fault)) {
                once.push(both(scenes, found, part, pair));
            } else {
                pairs.push(pair);
            }
        }
    }
    for pair in from_elsewhere {
        if seen.insert((pair.1, pair.2)) {
            once.push(both(scenes, found, 0, pair));
        } else {
            pairs.push(pair);
        }
    }
    (once, pairs)
}

fn both(scenes: &Scenes, found: &[Found], scene: usize, (number, ix, fault): Pair) -> Trial {
    let mut case = found[number].case.clone();
    case.faults.push(FaultAt { fault, node: scenes.scene().ids[ix].clone() });
    Trial { scene, case }
}

/// Draws `count` of many pairs, in their order.
pub(super) fn draw(scenes: &Scenes, found: &[Found], all: &[Pair], count: usize, seed: u32) -> Vec<Trial> {
    let mut state = u64::from(seed);
    let mut keyed: Vec<(u64, usize)> = (0..all.len()).map(|at| (next(&mut state), at)).collect();
    keyed.sort_unstable();
    let chosen: BTreeSet<usize> = keyed.into_iter().take(count).map(|(_, at)| at).collect();
    chosen.into_iter().map(|at| both(scenes, found, 0, all[at])).collect()
}

/// SplitMix64, by its published constants.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

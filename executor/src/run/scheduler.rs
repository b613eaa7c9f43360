//! What to do next: commands from a state, without I/O.
//!
//! Invariants: [`step`] is the only way in which a run moves; commands that are in progress are told by the driver and
//! not given again; at rest there is always a command, so that no run hangs.

use belay_schemas::journal::{Ending, Event, PauseReason, RunPhase};
use belay_schemas::plan::{Action, Moment, Phase};

use super::state::{Illegal, Progress, Stage, State, Turn};
use super::undo::Undo;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Look at the start guards of these nodes.
    Check(Vec<usize>),
    /// Move on.
    Enter(RunPhase),
    /// Begin a node.
    Start(usize),
    /// Settle what is doubtful about a forward node and look at one of its undo cases.
    Decide(usize, usize),
    /// Stop, resumably.
    Pause(PauseReason, Vec<String>),
    /// Stop for good.
    End(Ending),
}

/// What is being done and is not in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Busy {
    /// Workers that have not come back.
    pub workers: usize,
    /// Start guards are being looked at.
    pub checking: bool,
    /// Forward nodes whose cases are being looked at.
    pub deciding: std::collections::BTreeSet<usize>,
}

/// Applies an event and says what to do next.
///
/// # Errors
/// When the event cannot follow what came before.
pub fn step(state: &mut State, at: u64, event: &Event, busy: &Busy, slots: usize) -> Result<Vec<Command>, Illegal> {
    state.apply(at, event)?;
    Ok(next(state, busy, slots))
}

/// What to do next with at most `slots` nodes in progress.
pub fn next(state: &State, busy: &Busy, slots: usize) -> Vec<Command> {
    if state.paused.is_some() {
        return Vec::new();
    }
    if state.interrupts >= 2 {
        let stop = busy.workers == 0 && !matches!(state.stage, Stage::Ended(_));
        return if stop { vec![Command::Pause(PauseReason::Interrupt, Vec::new())] } else { Vec::new() };
    }
    let resting = state.running == 0 && busy.workers == 0;
    let free = slots.saturating_sub(state.running + busy.deciding.len());
    match state.stage {
        Stage::Checking => checking(state, busy, free, resting),
        Stage::Deploy => deploy(state, busy, free, resting),
        Stage::Settling(turn) if resting => vec![settled(state, turn)],
        Stage::Settling(_) | Stage::Ended(_) => Vec::new(),
        Stage::Undo => undo(state, busy, free, resting),
        Stage::Finalize => finalize(state, free, resting),
    }
}

fn checking(state: &State, busy: &Busy, free: usize, resting: bool) -> Vec<Command> {
    let mut commands = Vec::new();
    if !state.checked && !busy.checking {
        commands.push(Command::Check(guarded(state)));
    }
    commands.extend(state.ready[0].iter().take(free).map(|(_, ix)| Command::Start(*ix)));
    if commands.is_empty() && resting {
        let unreachable = state.unreachable.is_some();
        commands.push(match () {
            () if unreachable => Command::End(Ending::Environment),
            () if !state.stale.is_empty() || state.remaining[0] > 0 => Command::End(Ending::Stale),
            () => Command::Enter(RunPhase::Deploy),
        });
    }
    commands
}

/// Nodes whose start guards must hold now. After a resume these are the ones that were not begun and look at nothing
/// that this run changed on the way to them: the others were checked, and their fields moved by our own doing.
fn guarded(state: &State) -> Vec<usize> {
    let graph = &state.graph;
    let mutated = state.mutated();
    (0..graph.len())
        .filter(|&ix| graph.node(ix).guards.iter().any(|guard| guard.at == Some(Moment::Start)))
        .filter(|&ix| {
            !mutated
                || (graph.node(ix).phase == Phase::Deploy
                    && state.nodes[ix].progress != Progress::Done
                    && state.nodes[ix].chunks.is_empty()
                    && !graph.start_guards_moved(ix, |from| state.nodes[from].happened()))
        })
        .collect()
}

fn deploy(state: &State, busy: &Busy, free: usize, resting: bool) -> Vec<Command> {
    if !state.checked {
        return if busy.checking { Vec::new() } else { vec![Command::Check(guarded(state))] };
    }
    let mut commands = starts(state, 1, free);
    if commands.is_empty() && resting {
        commands.push(if state.remaining[1] == 0 {
            Command::Enter(RunPhase::Finalize)
        } else {
            Command::Pause(PauseReason::Gate, names(state, &gates(state, 1)))
        });
    }
    commands
}

/// Nodes of a phase that can begin, as many as there is room for.
fn starts(state: &State, slot: usize, free: usize) -> Vec<Command> {
    let ready = state.ready[slot].iter().map(|(_, ix)| *ix).filter(|&ix| !waits_for_approval(state, ix));
    ready.take(free).map(Command::Start).collect()
}

/// Gates of a phase that wait for approval and for nothing else.
fn gates(state: &State, slot: usize) -> Vec<usize> {
    state.ready[slot].iter().map(|(_, ix)| *ix).filter(|&ix| waits_for_approval(state, ix)).collect()
}

fn waits_for_approval(state: &State, ix: usize) -> bool {
    matches!(state.graph.node(ix).action, Action::Gate { .. }) && !state.nodes[ix].approved
}

fn names(state: &State, nodes: &[usize]) -> Vec<String> {
    nodes.iter().map(|&ix| state.graph.node(ix).id.clone()).collect()
}

fn settled(state: &State, turn: Turn) -> Command {
    let mutated = state.mutated();
    match turn {
        Turn::Back if !mutated && !state.stale.is_empty() => Command::End(Ending::Stale),
        Turn::Back => Command::Enter(RunPhase::Undo),
        Turn::Pause(PauseReason::Environment) if !mutated => Command::End(Ending::Environment),
        Turn::Pause(reason) => Command::Pause(reason, names(state, &state.failed)),
    }
}

fn undo(state: &State, busy: &Busy, free: usize, resting: bool) -> Vec<Command> {
    let mut commands = Vec::new();
    if !state.pausing {
        for &ix in &state.undo_open {
            if commands.len() >= free {
                break;
            }
            let Some(undo) = &state.undo[ix] else { continue };
            commands.extend(undo_next(state, busy, ix, undo).filter(|command| !commands.contains(command)));
        }
    }
    if commands.is_empty() && resting {
        commands.push(match () {
            () if state.pausing => Command::Pause(PauseReason::Environment, Vec::new()),
            () if state.undo_complete() => Command::End(Ending::RolledBack),
            () => Command::End(Ending::Stuck),
        });
    }
    commands
}

fn undo_next(state: &State, busy: &Busy, ix: usize, undo: &Undo) -> Option<Command> {
    if undo.chosen.is_none() {
        let clear = state.case_clear(ix, undo.cursor);
        return (clear && !busy.deciding.contains(&ix)).then_some(Command::Decide(ix, undo.cursor));
    }
    let comp = state.undo_due(ix)?;
    let begins = state.nodes[comp].progress == Progress::Pending && state.undo_clear(comp);
    begins.then_some(Command::Start(comp))
}

fn finalize(state: &State, free: usize, resting: bool) -> Vec<Command> {
    let mut commands = starts(state, 2, free);
    if commands.is_empty() && resting {
        let gates = gates(state, 2);
        commands.push(match () {
            () if state.remaining[2] == 0 => Command::End(Ending::Done),
            () if !gates.is_empty() && state.failed.is_empty() => {
                Command::Pause(PauseReason::Gate, names(state, &gates))
            }
            () => Command::End(Ending::FinalizeIncomplete),
        });
    }
    commands
}

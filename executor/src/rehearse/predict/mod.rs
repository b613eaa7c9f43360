//! How long a plan will take, worked out from the plan and what was observed: which steps wait for which, how many may
//! be in progress, how fast calls may follow each other, and how long what they wait for takes.
//!
//! Invariants: nothing here is simulated and nothing of the simulator is used; what is not known is assumed and said.

mod asg;
mod ecs;
mod order;
mod rolling;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use belay_schemas::observed::Observed;
use belay_schemas::plan::{Action, Call, EdgeKind, Moment, Phase, Plan};
use belay_schemas::rehearsal::{PathStep, Prediction};

use crate::run::Throttle;

pub use ecs::Durations;

/// Steps of the critical path that are told.
const STEPS: usize = 40;

/// What a node still has to do, in order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A call at its turn.
    Call,
    /// Time passes.
    Sleep(u64),
    /// The answer of a poll is there.
    Look,
    /// It is done.
    End,
}

struct Work<'p> {
    /// Calls that are made once, before anything else.
    once: Vec<&'p Call>,
    polls: &'p [Call],
    /// Where in its calls it is.
    next: usize,
    polling: bool,
    /// When what it waits for is there.
    ready: u64,
    interval: u64,
    hold: u64,
    held_since: Option<u64>,
    because: String,
}

struct Planner<'p> {
    plan: &'p Plan,
    before: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    height: Vec<u32>,
    throttle: Throttle,
    /// Time, order of asking, node.
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    asked: u64,
    work: Vec<Option<Work<'p>>>,
    step: Vec<Step>,
    ended: Vec<Option<u64>>,
    because: Vec<String>,
    /// What each node waited for last.
    after: Vec<Option<usize>>,
    facts: ecs::Facts<'p>,
}

/// Predicts how long a plan takes.
#[must_use]
pub fn predict(plan: &Plan, observed: Option<&Observed>, durations: &Durations, slots: u32) -> Prediction {
    let mut planner = Planner::new(plan, observed, durations);
    let slots = slots.max(1) as usize;
    let mut now = planner.check();
    let mut last = None;
    for phase in [Phase::Preflight, Phase::Deploy, Phase::Finalize] {
        (now, last) = planner.phase(phase, now, slots, last);
    }
    let path = planner.path(last);
    Prediction { seconds: now.div_ceil(1000), path, assumed: planner.facts.assumed() }
}

impl<'p> Planner<'p> {
    fn new(plan: &'p Plan, observed: Option<&'p Observed>, durations: &'p Durations) -> Self {
        let n = plan.nodes.len();
        let find = |id: &str| plan.nodes.binary_search_by(|node| node.id.as_str().cmp(id)).ok();
        let (mut before, mut behind) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for edge in plan.edges.iter().filter(|edge| edge.kind == EdgeKind::After) {
            if let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) {
                before[to].push(from);
                behind[from].push(to);
            }
        }
        let commits: Vec<usize> = (0..n).filter(|&ix| matches!(plan.nodes[ix].action, Action::Commit { .. })).collect();
        for &commit in &commits {
            let deploy = (0..n).filter(|&ix| plan.nodes[ix].phase == Phase::Deploy && !commits.contains(&ix));
            for ix in deploy.collect::<Vec<_>>() {
                if !before[commit].contains(&ix) {
                    before[commit].push(ix);
                    behind[ix].push(commit);
                }
            }
        }
        let height = heights(&before, &behind);
        Self {
            plan,
            before,
            behind,
            height,
            throttle: Throttle::default(),
            events: BinaryHeap::new(),
            asked: 0,
            work: (0..n).map(|_| None).collect(),
            step: vec![Step::End; n],
            ended: vec![None; n],
            because: vec![String::new(); n],
            after: vec![None; n],
            facts: ecs::Facts::new(plan, observed, durations),
        }
    }

    /// The guards of the start; gives back when all were looked at.
    fn check(&mut self) -> u64 {
        let guards = self.plan.nodes.iter().flat_map(|node| &node.guards);
        let start: Vec<&Call> = guards.filter(|guard| guard.at == Some(Moment::Start)).map(|g| &g.read).collect();
        start.into_iter().map(|call| self.throttle.permit(&call.service, &call.operation, 0)).max().unwrap_or(0)
    }

    /// All nodes of a phase from a time on; gives back when it is over and with which node.
    fn phase(&mut self, phase: Phase, from: u64, slots: usize, last: Option<usize>) -> (u64, Option<usize>) {
        let mine: Vec<usize> = (0..self.plan.nodes.len()).filter(|&ix| self.plan.nodes[ix].phase == phase).collect();
        let inside = |list: &[usize]| list.iter().filter(|ix| self.plan.nodes[**ix].phase == phase).count();
        let mut waiting: Vec<usize> = self.before.iter().map(|list| inside(list)).collect();
        let mut ready: BTreeSet<(Reverse<u32>, usize)> =
            mine.iter().filter(|ix| waiting[**ix] == 0).map(|&ix| (Reverse(self.height[ix]), ix)).collect();
        for &ix in &mine {
            self.after[ix] = last;
        }
        let (mut now, mut last, mut running) = (from, last, 0);
        loop {
            while running < slots
                && let Some((_, ix)) = ready.pop_first()
            {
                running += 1;
                self.begin(ix, now);
            }
            let Some(Reverse((at, _, ix))) = self.events.pop() else { return (now, last) };
            now = now.max(at);
            if !self.go_on(ix, now) {
                continue;
            }
            self.ended[ix] = Some(now);
            (running, last) = (running - 1, Some(ix));
            for to in self.behind[ix].clone() {
                if self.plan.nodes[to].phase == phase {
                    waiting[to] -= 1;
                    if waiting[to] == 0 {
                        ready.insert((Reverse(self.height[to]), to));
                    }
                }
            }
            // Whoever begins now waited for this node: it was its turn, or there was no room.
            for (_, next) in &ready {
                self.after[*next] = Some(ix);
            }
        }
    }

    fn begin(&mut self, ix: usize, now: u64) {
        let node = &self.plan.nodes[ix];
        let mut once: Vec<&Call> = node.guards.iter().filter(|g| g.after.is_some()).map(|g| &g.read).collect();
        let (mut polls, mut interval, mut hold, mut ready, mut because) = (&[][..], 0, 0, 0, String::new());
        let mut sleep = None;
        match &node.action {
            Action::Call { call, .. } => once.push(call),
            Action::Read { read, .. } => once.push(read),
            Action::Wait { wait } => {
                (polls, interval, hold) = (&wait.reads[..], wait.interval.max(1) * 1000, wait.hold * 1000);
                let estimate = self.facts.estimate(ix, node, wait, &self.ended);
                // What it waits for began when the last step before it was done.
                ready = estimate.since.unwrap_or(now) + estimate.seconds * 1000;
                because = estimate.because;
            }
            Action::Delay { delay } => {
                sleep = Some(delay * 1000);
                because = "a fixed delay".to_owned();
            }
            Action::Http { .. } | Action::Exec { .. } => self.facts.assume("requests and commands take no time"),
            Action::Gate { .. } => self.facts.assume("gates are approved at once"),
            Action::Commit { .. } => {}
        }
        self.work[ix] =
            Some(Work { once, polls, next: 0, polling: false, ready, interval, hold, held_since: None, because });
        self.step[ix] = sleep.map_or(Step::Call, Step::Sleep);
        self.ask(ix, now);
    }

    fn ask(&mut self, ix: usize, at: u64) {
        self.asked += 1;
        self.events.push(Reverse((at, self.asked, ix)));
    }

    /// Lets a node go on; whether it is done.
    fn go_on(&mut self, ix: usize, now: u64) -> bool {
        let Some(mut work) = self.work[ix].take() else { return true };
        let (next, at) = match self.step[ix] {
            Step::End => {
                self.because[ix] = work.because;
                return true;
            }
            Step::Sleep(time) => (Step::End, now + time),
            Step::Call => {
                let calls: &[&Call] = &work.once;
                let call = if work.polling { work.polls.get(work.next) } else { calls.get(work.next).copied() };
                match call {
                    Some(call) => {
                        work.next += 1;
                        (Step::Call, self.throttle.permit(&call.service, &call.operation, now))
                    }
                    None if work.polls.is_empty() => (Step::End, now),
                    None if !work.polling => {
                        (work.polling, work.next) = (true, 0);
                        (Step::Call, now)
                    }
                    None => (Step::Look, now),
                }
            }
            Step::Look => {
                let holds = now >= work.ready;
                work.held_since = if holds { Some(work.held_since.unwrap_or(now)) } else { None };
                let held = work.held_since.map_or(0, |since| now - since);
                if holds && held >= work.hold {
                    (Step::End, now)
                } else {
                    let mut at = now + work.interval;
                    if holds {
                        at = at.min(now + work.hold - held);
                    }
                    work.next = 0;
                    (Step::Call, at)
                }
            }
        };
        self.step[ix] = next;
        self.work[ix] = Some(work);
        self.ask(ix, at);
        false
    }

    /// The steps that decide how long it takes.
    fn path(&self, last: Option<usize>) -> Vec<PathStep> {
        let mut path = Vec::new();
        let mut at = last;
        while let Some(ix) = at {
            let from = self.after[ix].and_then(|before| self.ended[before]).unwrap_or(0);
            let took = self.ended[ix].unwrap_or(from).saturating_sub(from);
            if took > 0 {
                let node = &self.plan.nodes[ix];
                let because = match &node.action {
                    Action::Call { call, .. } => {
                        format!("{} {} waits for its turn", call.service, call.operation)
                    }
                    _ => self.because[ix].clone(),
                };
                path.push(PathStep { node: node.id.clone(), seconds: took.div_ceil(1000), because });
            }
            at = self.after[ix];
        }
        path.reverse();
        let more = path.len().saturating_sub(STEPS);
        if more > 0 {
            let rest: u64 = path.drain(STEPS - 1..).map(|step| step.seconds).sum();
            path.push(PathStep {
                node: format!("… and {} more steps", more + 1),
                seconds: rest,
                because: String::new(),
            });
        }
        path
    }
}

/// Nodes on the longest way from each node to the end.
fn heights(before: &[Vec<usize>], behind: &[Vec<usize>]) -> Vec<u32> {
    let mut missing: Vec<usize> = behind.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..before.len()).filter(|&ix| missing[ix] == 0).collect();
    let mut height = vec![1; before.len()];
    let mut at = 0;
    while at < order.len() {
        let ix = order[at];
        at += 1;
        for &from in &before[ix] {
            height[from] = height[from].max(height[ix] + 1);
            missing[from] -= 1;
            if missing[from] == 0 {
                order.push(from);
            }
        }
    }
    height
}

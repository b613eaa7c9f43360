//! The task that owns a run: applies and journals events, carries out commands, keeps the time.
//!
//! Invariants: only this task touches the state and the journal; an event is journalled if and only if the state took
//! it; a virtual clock is moved only when every worker sleeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use belay_schemas::journal::{CallError, Event, Failure, FailureKind, GuardFailure, Header, RunPhase};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::batch::{self, Asked};
use super::error::RunError;
use super::graph::Graph;
use super::listener::{Listener, RunEvent};
use super::moment::Moment;
use super::port::{Calls, Message, Nap, Stop, Task, answers_for};
use super::scheduler::{Busy, Command, next};
use super::session::Setup;
use super::signals::Signals;
use super::state::{Halt, Stage, State};
use super::throttle::Throttle;
use super::wait::Standing;
use super::worker::{self, Ended};
use crate::cloud::{Clock, Cloud, IN_FLIGHT};
use crate::journal::Journal;

/// How often it is looked whether reads still have to wait for others to be joined with: a worker that begins a call
/// says nothing. Next to a request over the network it is nothing.
const GATHER: Duration = Duration::from_millis(3);

/// Start guards that are being looked at.
#[derive(Debug, Default)]
struct Checking {
    left: usize,
    guards: u32,
    failures: Vec<GuardFailure>,
    unreachable: Option<CallError>,
}

struct Timer {
    nap: Nap,
    node: usize,
    /// From where its sleeper could be gone on.
    standing: Option<Box<Standing>>,
    reply: oneshot::Sender<Result<(), Halt>>,
}

/// A wait that sleeps, by when it is woken.
#[derive(Debug, Clone)]
pub(super) struct Sleeper {
    at: (u64, u64),
    node: usize,
    standing: Standing,
}

/// What a run works on and with.
pub(super) struct Driver<'a> {
    state: State,
    journal: Journal,
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    listener: &'a dyn Listener,
    signals: Signals,
    slots: usize,
    header: Arc<Header>,
    run: Arc<str>,
    /// Stop once everything that stands before the first mutation was looked at.
    pub only_check: bool,
    graph: Arc<Graph>,
    busy: Busy,
    /// Whether anything has happened since there was nothing to begin.
    moved: bool,
    checking: Option<Checking>,
    workers: JoinSet<Ended>,
    timers: BTreeMap<(u64, u64), Timer>,
    timer_number: u64,
    keeps: bool,
    /// Reads that are to be made together.
    asked: Vec<Asked>,
    /// Workers that wait for joint reads.
    asking: usize,
    /// Calls that are in flight or about to be.
    calls: Arc<Calls>,
    throttle: Throttle,
    owner: mpsc::UnboundedSender<Message>,
    inbox: mpsc::UnboundedReceiver<Message>,
}

impl<'a> Driver<'a> {
    pub fn new(state: State, journal: Journal, header: &Header, setup: Setup<'a>) -> Self {
        let Setup { cloud, clock, listener, signals } = setup;
        let (owner, inbox) = mpsc::unbounded_channel();
        Self {
            graph: Arc::clone(&state.graph),
            state,
            journal,
            cloud,
            clock,
            listener,
            signals,
            slots: header.concurrency.max(1) as usize,
            header: Arc::new(header.clone()),
            run: header.run.as_str().into(),
            only_check: false,
            busy: Busy::default(),
            moved: true,
            checking: None,
            workers: JoinSet::new(),
            timers: BTreeMap::new(),
            timer_number: 0,
            keeps: listener.keeps(),
            asked: Vec::new(),
            asking: 0,
            calls: Arc::default(),
            throttle: Throttle::eager(),
            owner,
            inbox,
        }
    }

    /// Goes on with the request rate of a driver before, and with those who slept.
    pub fn take_over(&mut self, throttle: Throttle, sleepers: &[Sleeper]) {
        self.throttle = throttle;
        for Sleeper { at, node, standing } in sleepers {
            let (reply, woken) = oneshot::channel();
            self.timer_number = self.timer_number.max(at.1);
            self.timers.insert(*at, Timer { nap: Nap::Light, node: *node, standing: None, reply });
            self.workers.spawn(worker::go_on(self.task(*node), standing.clone(), woken));
        }
    }

    /// Applies, journals and tells an event.
    pub fn record(&mut self, event: Event) -> Result<(), RunError> {
        let at = self.clock.now();
        let halted = self.state.halting();
        self.moved = true;
        self.state.apply(at, &event)?;
        self.journal.append(at, &event)?;
        // A poll was told when it was made; that its clocks are written down now is no news.
        if !matches!(event, Event::Poll { .. }) {
            self.listener.event(&RunEvent::of(&self.state, at, event));
        }
        let halting = self.state.halting();
        if halting != halted
            && let Some(halt) = halting
        {
            self.wake(halt);
        }
        Ok(())
    }

    /// Runs until the run ends or pauses.
    pub async fn drive(mut self) -> Result<State, RunError> {
        loop {
            if self.dispatch()? {
                break;
            }
            if self.inbox.is_empty() && self.nobody_else_asks() {
                self.ask();
            }
            let due = self.timers.keys().next().map(|(at, _)| *at);
            let asleep = self.timers.len() + self.asking == self.workers.len();
            let may_wait = due.is_some() && (asleep || !self.clock.is_virtual());
            if self.keeps && asleep {
                self.offer();
            }
            let clock = Arc::clone(&self.clock);
            tokio::select! {
                biased;
                () = self.signals.next() => self.interrupted()?,
                Some(message) = self.inbox.recv() => self.message(message)?,
                Some(ended) = self.workers.join_next() => {
                    let ended = ended.map_err(|e| RunError::Internal(format!("a worker broke: {e}")))?;
                    self.ended(ended)?;
                }
                () = clock.wait_until(due.unwrap_or(0)), if may_wait => self.fire(),
                // Made only when polled: where reads are not joined, the runtime need not have timers.
                () = async { tokio::time::sleep(GATHER).await }, if !self.asked.is_empty() => {}
            }
        }
        self.cloud.settle().await.map_err(RunError::Settle)?;
        Ok(self.state)
    }

    /// Carries out commands until there are none; whether the session is over.
    fn dispatch(&mut self) -> Result<bool, RunError> {
        if !self.moved {
            return Ok(false);
        }
        loop {
            self.busy.workers = self.workers.len();
            let commands = next(&self.state, &self.busy, self.slots);
            if commands.is_empty() {
                break;
            }
            let entered = matches!(commands.as_slice(), [Command::Enter(_)]);
            for command in commands {
                if self.only_check && matches!(command, Command::Enter(_) | Command::End(_)) {
                    return Ok(true);
                }
                self.carry_out(command)?;
            }
            if self.keeps && entered && self.workers.is_empty() {
                self.offer();
            }
        }
        self.moved = false;
        if self.workers.is_empty() {
            if self.state.paused.is_some() || matches!(self.state.stage, Stage::Ended(_)) {
                return Ok(true);
            }
            return Err(RunError::Internal("nothing is in progress and nothing can begin".to_owned()));
        }
        Ok(false)
    }

    /// Offers this moment to whoever keeps them, if nothing is in progress but waits that sleep.
    fn offer(&self) {
        let idle = self.inbox.is_empty() && self.asking == 0 && self.asked.is_empty();
        if idle && self.timers.values().all(|timer| timer.standing.is_some()) {
            self.listener.rests(&|| self.moment());
        }
    }

    fn moment(&self) -> Moment {
        let sleeper = |(at, timer): (&(u64, u64), &Timer)| {
            let standing = timer.standing.as_deref()?.clone();
            Some(Sleeper { at: *at, node: timer.node, standing })
        };
        Moment {
            sleepers: self.timers.iter().filter_map(sleeper).collect(),
            header: Arc::clone(&self.header),
            state: self.state.clone(),
            throttle: self.throttle.clone(),
            last: self.journal.last(),
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(), RunError> {
        match command {
            Command::Check(nodes) => {
                self.checking = Some(Checking { left: nodes.len(), ..Checking::default() });
                self.busy.checking = true;
                for ix in &nodes {
                    let task = self.task(*ix);
                    self.workers.spawn(worker::check(task));
                }
                self.finish_checking()?;
            }
            Command::Enter(phase) => self.record(Event::Enter { phase })?,
            Command::Start(ix) => {
                let node = self.graph.node(ix).id.clone();
                self.record(Event::Start { node })?;
                let (task, known) = (self.task(ix), self.state.known(ix));
                self.workers.spawn(worker::node(task, known));
            }
            Command::Decide(ix, case) => {
                self.busy.deciding.insert(ix);
                let (task, known) = (self.task(ix), self.state.known(ix));
                self.workers.spawn(worker::decide(task, known, case));
            }
            Command::Pause(reason, nodes) => self.record(Event::Paused { reason, nodes })?,
            Command::End(outcome) => self.record(Event::End { outcome })?,
        }
        Ok(())
    }

    /// Whether joint reads are to be made now: every worker sleeps, waits for an answer or for a joint read, so that no
    /// other read can come soon to those that are asked for; and none of them would have to queue, where others could
    /// still join it.
    fn nobody_else_asks(&self) -> bool {
        let calling = self.calls.count();
        calling < IN_FLIGHT && self.timers.len() + self.asking + calling >= self.workers.len()
    }

    /// Makes the reads that were asked for since the last time, as few calls as possible.
    fn ask(&mut self) {
        for batch in batch::gather(std::mem::take(&mut self.asked)) {
            let task = self.task(batch.node());
            self.workers.spawn(async move { Ended::Batch(batch.run(task).await) });
        }
    }

    fn task(&self, ix: usize) -> Task {
        Task {
            owner: self.owner.clone(),
            cloud: Arc::clone(&self.cloud),
            clock: Arc::clone(&self.clock),
            graph: Arc::clone(&self.graph),
            run: Arc::clone(&self.run),
            ix,
            keeps: self.keeps,
            calls: Arc::clone(&self.calls),
            answers: Arc::new(answers_for(&self.state, ix)),
        }
    }

    fn message(&mut self, message: Message) -> Result<(), RunError> {
        let now = self.clock.now();
        match message {
            Message::Emit { event, reply } => {
                let refused = match &event {
                    Event::Intent { .. } => self.state.halting(),
                    _ => None,
                };
                let answer = match refused {
                    Some(halt) => Err(halt),
                    None => Ok(self.record(event)?),
                };
                // A worker that is gone needs no answer.
                let _ = reply.send(answer);
            }
            Message::Sleep { until, nap, node, standing, reply } => match self.state.halting() {
                Some(halt) if halt == Halt::Stopped || nap == Nap::Light => {
                    let _ = reply.send(Err(halt));
                }
                _ => {
                    self.timer_number += 1;
                    self.timers.insert((until, self.timer_number), Timer { nap, node, standing, reply });
                }
            },
            Message::Permit { service, operation, reply } => {
                let _ = reply.send(self.throttle.permit(&service, &operation, now));
            }
            Message::Throttled { service, operation } => self.throttle.throttled(&service, &operation, now),
            Message::Read(asked) => {
                self.asked.push(asked);
                self.asking += 1;
            }
            Message::Note { node, what } => {
                self.listener.event(&RunEvent::about(&self.graph, &self.state, Some(node), now, what));
            }
        }
        Ok(())
    }

    fn ended(&mut self, ended: Ended) -> Result<(), RunError> {
        self.moved = true;
        match ended {
            Ended::Node(event) => event.map_or(Ok(()), |event| self.record(event)),
            Ended::Decided(ix, event) => {
                self.busy.deciding.remove(&ix);
                event.map_or(Ok(()), |event| self.record(event))
            }
            Ended::Batch(answers) => {
                self.asking -= answers.len();
                for (reply, answer) in answers {
                    let _ = reply.send(answer);
                }
                Ok(())
            }
            Ended::Checked(result) => {
                if let Some(checking) = &mut self.checking {
                    checking.left -= 1;
                    match result {
                        Ok((guards, failures)) => {
                            checking.guards += guards;
                            checking.failures.extend(failures);
                        }
                        Err(Stop::Failed(Failure { kind, reason, .. })) => {
                            let code = match kind {
                                FailureKind::Unreachable => "unreachable",
                                _ => "not answered",
                            };
                            checking.unreachable = Some(CallError { code: code.to_owned(), message: reason });
                        }
                        Err(Stop::Halt(_)) => {}
                    }
                }
                self.finish_checking()
            }
        }
    }

    fn finish_checking(&mut self) -> Result<(), RunError> {
        if self.checking.as_ref().is_none_or(|checking| checking.left > 0) {
            return Ok(());
        }
        let Some(mut checking) = self.checking.take() else { return Ok(()) };
        self.busy.checking = false;
        // Workers come back in any order; what is said about them should not depend on it.
        checking.failures.sort_by(|a, b| (&a.node, &a.field).cmp(&(&b.node, &b.field)));
        let Checking { guards, failures, unreachable, .. } = checking;
        self.record(Event::Checked { guards, failures, unreachable })
    }

    fn interrupted(&mut self) -> Result<(), RunError> {
        let times = self.state.interrupts + 1;
        if times <= 2 { self.record(Event::Interrupted { times }) } else { Ok(()) }
    }

    /// Ends the sleep of everybody who has nothing to settle.
    fn wake(&mut self, halt: Halt) {
        let all = std::mem::take(&mut self.timers);
        for (key, timer) in all {
            if halt == Halt::Stopped || timer.nap == Nap::Light {
                let _ = timer.reply.send(Err(halt));
            } else {
                self.timers.insert(key, timer);
            }
        }
    }

    fn fire(&mut self) {
        let now = self.clock.now();
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let _ = entry.remove().reply.send(Ok(()));
        }
    }
}

/// Whether a run that ends here is past its commit point.
pub(super) fn past_commit(state: &State) -> bool {
    use belay_schemas::journal::Ending;
    matches!(state.stage, Stage::Finalize | Stage::Ended(Ending::Done | Ending::FinalizeIncomplete))
}

/// The word for a stage.
pub(super) fn phase_of(state: &State) -> RunPhase {
    match state.stage {
        Stage::Checking => RunPhase::Checking,
        Stage::Deploy | Stage::Settling(_) => RunPhase::Deploy,
        Stage::Finalize => RunPhase::Finalize,
        Stage::Undo => RunPhase::Undo,
        Stage::Ended(_) if past_commit(state) => RunPhase::Finalize,
        Stage::Ended(_) if state.undo.iter().any(Option::is_some) => RunPhase::Undo,
        Stage::Ended(_) => RunPhase::Checking,
    }
}

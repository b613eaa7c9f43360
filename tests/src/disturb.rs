//! Runs that are disturbed: by faults of the cloud, by the executor's death, by a person's interruptions.
//!
//! Invariants: journals are kept in memory; a run that died is taken up from its journal, as another executor would do;
//! what is compared is what the account looks like once it has come to rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::journal::{MemorySink, parse};
use belay_executor::run::{
    self, Interrupt, Listener, Mode, Options, Outcome, RunError, RunEvent, RunStatus, Setup, Silent, What, signals,
};
use belay_executor::simulator::faults::{Fault, Faulty};
use belay_executor::simulator::{SimulatedCloud, World, essence, without_kept_logs};
use belay_schemas::plan::{Plan, pretty};
use serde_json::Value;

use crate::pipeline::{Inputs, block_on};

/// How a disturbed run came out.
pub struct Disturbed {
    /// The world as it was left.
    pub world: World,
    /// How the run stands; absent when the executor died before it had a journal.
    pub status: Option<RunStatus>,
    /// The journal.
    pub journal: MemorySink,
    /// Whether all faults fired.
    pub all_fired: bool,
}

/// Begins a run on a cloud with faults.
///
/// # Errors
/// What kept it from beginning.
pub fn begin(plan: &Plan, world: World, faults: Vec<Fault>) -> Result<Disturbed, RunError> {
    let cloud = Arc::new(Faulty::new(SimulatedCloud::new(world), faults));
    let (status, journal) = begin_on(cloud.clone(), plan, &Silent, run::Signals::none(), cloud.death())?;
    Ok(Disturbed { world: cloud.inner().world(), status, journal, all_fired: cloud.all_fired() })
}

/// Begins a run that a person interrupts at the given events, counted from 1 over everything that a listener is told.
///
/// # Errors
/// What kept it from beginning.
pub fn interrupted(plan: &Plan, world: World, at: &[u64]) -> Result<(Disturbed, u64), RunError> {
    let cloud = Arc::new(SimulatedCloud::new(world));
    let (interrupt, signals) = signals();
    let watcher = Impatient { interrupt, at: at.to_vec(), seen: AtomicU64::new(0) };
    let (status, journal) = begin_on(cloud.clone(), plan, &watcher, signals, std::future::pending())?;
    let seen = watcher.seen.load(Ordering::Relaxed);
    let all_fired = at.iter().all(|event| *event <= seen);
    Ok((Disturbed { world: cloud.world(), status, journal, all_fired }, seen))
}

/// Begins a run on any cloud that may die.
///
/// # Errors
/// What kept it from beginning.
pub fn begin_on<C: Cloud + Clock + 'static>(
    cloud: Arc<C>,
    plan: &Plan,
    listener: &dyn Listener,
    signals: run::Signals,
    death: impl Future<Output = ()>,
) -> Result<(Option<RunStatus>, MemorySink), RunError> {
    let mut options = Options::new(".");
    options.run_id = Some("disturbed".to_owned());
    let journal = MemorySink::default();
    let setup = Setup { cloud: cloud.clone(), clock: cloud, listener, signals };
    let sink = Box::new(journal.clone());
    let status = block_on(async {
        tokio::select! {
            biased;
            () = death => Ok(None),
            status = run::begin(plan, &options, sink, setup) => status.map(Some),
        }
    })?;
    Ok((status, journal))
}

/// Takes a run up on a cloud with faults, which goes on with the same world and journal.
///
/// # Errors
/// What kept it from being taken up.
pub fn go_on(plan: &Plan, before: Disturbed, mode: Mode, faults: Vec<Fault>) -> Result<Disturbed, RunError> {
    let cloud = Arc::new(Faulty::new(SimulatedCloud::new(before.world), faults));
    let status = go_on_on(cloud.clone(), plan, &before.journal, mode, cloud.death())?;
    let all_fired = before.all_fired && cloud.all_fired();
    Ok(Disturbed { world: cloud.inner().world(), status, journal: before.journal, all_fired })
}

/// Takes a run up on any cloud that may die.
///
/// # Errors
/// What kept it from being taken up.
pub fn go_on_on<C: Cloud + Clock + 'static>(
    cloud: Arc<C>,
    plan: &Plan,
    journal: &MemorySink,
    mode: Mode,
    death: impl Future<Output = ()>,
) -> Result<Option<RunStatus>, RunError> {
    let contents = parse(journal.text().as_bytes())?;
    let setup = Setup::quiet(cloud.clone(), cloud);
    let sink = Box::new(journal.clone());
    block_on(async {
        tokio::select! {
            biased;
            () = death => Ok(None),
            status = run::take_up(plan, &contents, mode, &[], sink, setup) => status.map(Some),
        }
    })
}

/// Takes a run up until it is over, as long as that leads anywhere.
///
/// # Errors
/// What kept it from being taken up.
pub fn to_the_end(plan: &Plan, mut disturbed: Disturbed) -> Result<Disturbed, RunError> {
    for _ in 0..3 {
        match disturbed.status.as_ref().and_then(|status| status.outcome) {
            None | Some(Outcome::Paused { .. } | Outcome::FinalizeIncomplete | Outcome::Stuck) => {
                disturbed = go_on(plan, disturbed, Mode::Resume, Vec::new())?;
            }
            Some(_) => break,
        }
    }
    Ok(disturbed)
}

/// Whether the run of a plan ended in its target, in the initial state, or neither: what is wrong then.
///
/// # Errors
/// What is wrong.
pub fn verdict(inputs: &Inputs, plan: &Plan, disturbed: &Disturbed, before: &Value) -> Result<Outcome, String> {
    let status = disturbed.status.as_ref().ok_or("the run has no end")?;
    match status.outcome {
        Some(outcome @ (Outcome::Done | Outcome::NothingToDo)) => {
            let cloud = Arc::new(SimulatedCloud::new(disturbed.world.clone()));
            let again = inputs.plan(&cloud)?;
            let left: Vec<&str> = again.nodes.iter().map(|n| n.id.as_str()).collect();
            if left.is_empty() { Ok(outcome) } else { Err(format!("the target is reached, but still to do: {left:?}")) }
        }
        Some(outcome @ (Outcome::RolledBack { .. } | Outcome::Stale | Outcome::Environment)) => {
            // Log groups that were written to are kept.
            let after = without_kept_logs(settled(disturbed.world.clone()), &disturbed.world, before);
            let places = crate::compare::places(&pinned(plan, &after), &pinned(plan, before));
            if places.is_empty() { Ok(outcome) } else { Err(format!("{outcome:?}, but\n{}", places.join("\n"))) }
        }
        other => Err(format!("{other:?}: {}", problems(status))),
    }
}

/// A world's essence in which images that the plan pins have their digests everywhere: going back to a twin that names
/// the bytes that ran is going back.
fn pinned(plan: &Plan, essence: &Value) -> Value {
    let mut text = essence.to_string();
    let pins = plan.nodes.iter().filter(|node| node.id.ends_with(".task-definition.pin"));
    for call in pins.filter_map(|node| node.action.mutation()) {
        for container in call.input["containerDefinitions"].as_array().into_iter().flatten() {
            let (name, image) = (container["name"].as_str().unwrap_or_default(), &container["image"]);
            let tags = call.input["tags"].as_array().into_iter().flatten();
            let key = format!(":image:{name}");
            for tag in tags.filter(|tag| tag["key"].as_str().is_some_and(|k| k.ends_with(&key))) {
                // In the text of a text, quotes are escaped.
                let bare = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                for quote in ["\"", "\\\""] {
                    let quoted = |value: &Value| format!("{quote}{}{quote}", bare(value));
                    text = text.replace(&quoted(&tag["value"]), &quoted(image));
                }
            }
        }
    }
    let mut pinned: Value = serde_json::from_str(&text).unwrap_or_default();
    for contents in pinned["taskDefinitions"].as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        if let Some(list) = contents.as_array_mut() {
            list.sort_by_key(Value::to_string);
            list.dedup();
        }
    }
    pinned
}

/// Failures and what is stuck, in words.
pub fn problems(status: &RunStatus) -> String {
    let failures: Vec<String> = status.failures().map(|(n, f)| format!("{n}: {f:?}")).collect();
    format!("{}\n{}", failures.join("\n"), pretty(&status.stuck))
}

/// The essence of a world a little later: AWS calls a task without health checks healthy some time after it runs, and
/// shows nobody that it waits.
pub fn settled(world: World) -> Value {
    let cloud = SimulatedCloud::new(world);
    block_on(cloud.wait_until(cloud.now() + 60_000));
    essence(&cloud.world())
}

/// Somebody who interrupts at chosen events.
struct Impatient {
    interrupt: Interrupt,
    at: Vec<u64>,
    seen: AtomicU64,
}

impl Listener for Impatient {
    fn event(&self, event: &RunEvent) {
        if matches!(event.what, What::Interrupted { .. }) {
            return;
        }
        let now = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        self.at.iter().filter(|at| **at == now).for_each(|_| self.interrupt.send());
    }
}

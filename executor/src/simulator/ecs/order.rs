//! The order in which the containers of a task start and stop: who waits for whom, for what, and for how long.
//!
//! Invariants: a container starts once everything that it waits for is there, or never; what never starts says why; a
//! task whose containers wait for nothing starts them all at once.
//!
//! Sources: ECS API reference, `ContainerDependency` and `startTimeout`; amazon-ecs-agent, package `dependencygraph` (what
//! resolves a condition, what can never resolve any more, exit code 143 of a container that therefore never starts) and
//! its setting `ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT` (images of containers that wait are pulled when they have waited).

use super::super::time::Time;
use super::super::world::{Behaviour, Container, Task, Timings};
use super::shape::{Condition, ContainerShape, TaskShape};

/// A task that is still pending after so many seconds is given up by ECS (containers-roadmap, issue 2379).
const LONGEST_PENDING: u64 = 3 * 3600;
/// SIGTERM: what the agent reports of a container that it never started.
const NEVER_STARTED: i64 = 143;
/// What ECS says of a task that ended before it ran.
const FAILED: &str = "Task failed to start";

/// How far a task that is starting has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing more happens before that.
    Waits(Time),
    /// Every container has started, or never will, and the task runs.
    Started,
    /// An essential container ended by itself meanwhile.
    Exited,
    /// It never will run.
    Failed(String),
}

/// Whether something that a container waits for is there.
enum Awaited {
    There,
    NotYet,
    /// It never will be; why.
    Never(String),
}

/// Lets the containers of a task start that may start now.
pub(super) fn go_on(task: &mut Task, shape: Option<&TaskShape>, timings: &Timings, now: Time) -> Progress {
    let Some(shape) = shape.filter(|shape| shape.is_ordered()) else { return all_at_once(task) };
    loop {
        // What ends now has ended for whoever waits for it.
        let mut moved = false;
        for container in task.containers.iter_mut().filter(|c| !is_over(c)) {
            if end(container, shape, timings, now) {
                if container.essential {
                    return Progress::Exited;
                }
                moved = true;
            }
        }
        for wanted in &shape.containers {
            match start(task, shape, wanted, timings, now) {
                Ok(started) => moved |= started,
                Err(reason) => return Progress::Failed(reason),
            }
        }
        if !moved {
            break;
        }
    }
    if task.containers.iter().all(|c| c.started_at.is_some() || is_over(c)) {
        return Progress::Started;
    }
    let limit = task.times.created_at.plus(LONGEST_PENDING);
    if limit <= now {
        return Progress::Failed(FAILED.to_owned());
    }
    let moments = shape.containers.iter().filter_map(|wanted| Some((wanted, container(task, &wanted.name)?)));
    let moments = moments
        .filter(|(_, c)| !is_over(c))
        .flat_map(|(wanted, c)| [c.starts_due, ends(c, shape, timings), healthy(c, wanted), patience(c, wanted)]);
    Progress::Waits(moments.flatten().filter(|at| *at > now).min().map_or(limit, |at| at.min(limit)))
}

/// Starts a container if it may start now; whether it did, or never will. An error is why the whole task never runs.
fn start(
    task: &mut Task,
    shape: &TaskShape,
    wanted: &ContainerShape,
    timings: &Timings,
    now: Time,
) -> Result<bool, String> {
    let Some(ix) = task.containers.iter().position(|c| c.name == wanted.name) else { return Ok(false) };
    if is_over(&task.containers[ix]) || task.containers[ix].started_at.is_some() {
        return Ok(false);
    }
    let awaited = waits(task, shape, wanted, now);
    let container = &mut task.containers[ix];
    match awaited {
        Awaited::NotYet => Ok(false),
        Awaited::Never(why) => {
            container.exit_code = Some(NEVER_STARTED);
            container.reason = Some(format!("CannotStartContainerError: dependency graph: {why}"));
            if container.essential { Err(FAILED.to_owned()) } else { Ok(true) }
        }
        // The first ones have been pulled and started when the task comes here for the first time.
        Awaited::There if !wanted.depends_on.is_empty() && container.starts_due.is_none_or(|due| due > now) => {
            let seconds = timings.image_pull_seconds + start_seconds(&container.behaviour, timings.task_start_seconds);
            container.starts_due.get_or_insert(now.plus(seconds));
            Ok(false)
        }
        Awaited::There => {
            if let Some(words) = cannot_pull(container) {
                return Err(words);
            }
            container.starts_due = None;
            container.started_at = Some(now);
            Ok(true)
        }
    }
}

/// All containers start now.
fn all_at_once(task: &mut Task) -> Progress {
    if let Some(words) = task.containers.iter_mut().find_map(cannot_pull) {
        return Progress::Failed(words);
    }
    let dies = |c: &Container| c.essential && matches!(c.behaviour, Behaviour::Crash { after_seconds: 0, .. });
    if task.containers.iter().any(dies) { Progress::Exited } else { Progress::Started }
}

/// Seconds from a pulled image to a running container.
pub(super) fn start_seconds(behaviour: &Behaviour, usual: u64) -> u64 {
    match behaviour {
        Behaviour::Slow { start_seconds, .. } => *start_seconds,
        Behaviour::CannotPull { .. } => 0,
        _ => usual,
    }
}

/// Notes that the image of a container cannot be pulled, if that is so.
fn cannot_pull(container: &mut Container) -> Option<String> {
    let Behaviour::CannotPull { reason } = &container.behaviour else { return None };
    let detail = reason.clone().unwrap_or_else(|| format!("failed to resolve ref {}", container.image));
    let words = format!("CannotPullContainerError: pull image manifest has been retried 5 time(s): {detail}");
    container.reason = Some(words.clone());
    Some(words)
}

fn container<'t>(task: &'t Task, name: &str) -> Option<&'t Container> {
    task.containers.iter().find(|c| c.name == name)
}

/// Whether a container has ended, or was given up.
fn is_over(container: &Container) -> bool {
    container.exit_code.is_some()
}

/// When a running container ends by itself: as its image is said to, or because others wait for it to complete.
fn ends(container: &Container, shape: &TaskShape, timings: &Timings) -> Option<Time> {
    let since = container.started_at?;
    match container.behaviour {
        Behaviour::Crash { after_seconds, .. } => Some(since.plus(after_seconds)),
        Behaviour::NeverHealthy => None,
        _ => shape.has_to_end(&container.name).then(|| since.plus(timings.completion())),
    }
}

/// Ends a container whose time has come.
fn end(container: &mut Container, shape: &TaskShape, timings: &Timings, now: Time) -> bool {
    if ends(container, shape, timings).is_none_or(|at| at > now) {
        return false;
    }
    let (code, reason) = match &container.behaviour {
        Behaviour::Crash { exit_code, reason, .. } => (*exit_code, reason.clone()),
        _ => (0, None),
    };
    container.exit_code = Some(code);
    container.reason = reason;
    true
}

/// When the health check of a running container passes first.
fn healthy(container: &Container, wanted: &ContainerShape) -> Option<Time> {
    let (since, check) = (container.started_at?, wanted.health_check?);
    match container.behaviour {
        Behaviour::NeverHealthy => None,
        Behaviour::Slow { healthy_seconds, .. } => Some(since.plus(healthy_seconds + check.interval)),
        _ => Some(since.plus(check.interval)),
    }
}

/// Until when others wait for a running container.
fn patience(container: &Container, wanted: &ContainerShape) -> Option<Time> {
    Some(container.started_at?.plus(wanted.start_timeout.filter(|seconds| *seconds > 0)?))
}

/// Whether everything is there that a container waits for.
fn waits(task: &Task, shape: &TaskShape, target: &ContainerShape, now: Time) -> Awaited {
    let mut all = Awaited::There;
    for (on, condition) in &target.depends_on {
        let named = shape.containers.iter().find(|c| c.name == *on);
        let Some((wanted, own)) = named.zip(container(task, on)) else { continue };
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let gave_up = is_over(own) && own.started_at.is_none();
        let there = match condition {
            Condition::Start => own.started_at.is_some(),
            Condition::Complete => is_over(own),
            Condition::Success => own.exit_code == Some(0),
            Condition::Healthy => !is_over(own) && due(healthy(own, wanted)),
        };
        let pair = || {
            format!(
                "ordering dependency [{}] for target [{}({}) (NONE->RUNNING)]",
                words(own),
                target.name,
                target.image
            )
        };
        if gave_up {
            return Awaited::Never(format!(
                "failed to resolve container {} because dependency will never start",
                pair()
            ));
        }
        if there {
            continue;
        }
        if *condition == Condition::Success && is_over(own) {
            return Awaited::Never(format!(
                "failed to resolve container {} as dependency did not exit successfully.",
                pair()
            ));
        }
        if *condition != Condition::Start && !is_over(own) && due(patience(own, wanted)) {
            return Awaited::Never(format!("container {} has timed out.", pair()));
        }
        all = Awaited::NotYet;
    }
    all
}

/// What ECS refuses of the dependencies of a task definition. Only the words about essential containers are known
/// (boto3, issue 2436).
pub(super) fn fault(shape: &TaskShape) -> Option<String> {
    for target in &shape.containers {
        for (on, condition) in &target.depends_on {
            let Some(named) = shape.containers.iter().find(|c| c.name == *on) else {
                return Some(format!("The container {} depends on the unknown container {on}.", target.name));
            };
            if named.essential && matches!(condition, Condition::Complete | Condition::Success) {
                let words =
                    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container";
                return Some(words.to_owned());
            }
            if *condition == Condition::Healthy && named.health_check.is_none() {
                return Some(format!("The container {on} has no health check, and {} waits for it.", target.name));
            }
        }
    }
    // Whoever waits for nobody that is left may be left out.
    let mut left: Vec<&ContainerShape> = shape.containers.iter().collect();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|c| c.name.as_str()).collect();
        left.retain(|c| c.depends_on.iter().any(|(on, _)| names.contains(&on.as_str())));
        if left.len() == names.len() {
            return Some(format!("The containers {} depend on each other.", names.join(", ")));
        }
    }
    None
}

/// A container as the agent writes it.
fn words(container: &Container) -> String {
    let Container { name, image, .. } = container;
    match container.exit_code {
        Some(code) => format!("{name}({image}) (STOPPED->RUNNING) - Exit: {code}"),
        None if container.started_at.is_some() => format!("{name}({image}) (RUNNING->RUNNING)"),
        None => format!("{name}({image}) (NONE->RUNNING)"),
    }
}

/// Seconds that the containers of a task take to stop: who waited for another one is stopped before it.
pub(super) fn stop_seconds(task: &Task, shape: &TaskShape, default: u64) -> u64 {
    let runs = |name: &str| {
        let ran = |c: &Container| task.times.started_at.is_some() || c.started_at.is_some();
        container(task, name).is_none_or(|c| !is_over(c) && ran(c))
    };
    shape.containers.iter().map(|c| shape.stops_after(c, &runs, default, 0)).max().unwrap_or(default)
}

impl TaskShape {
    /// Whether any container waits for another one.
    pub(super) fn is_ordered(&self) -> bool {
        self.containers.iter().any(|c| !c.depends_on.is_empty())
    }

    /// Whether others wait for a container to end.
    fn has_to_end(&self, name: &str) -> bool {
        let ending = |condition: &Condition| matches!(condition, Condition::Complete | Condition::Success);
        self.containers.iter().flat_map(|c| &c.depends_on).any(|(on, condition)| on == name && ending(condition))
    }

    /// Seconds until a container has stopped; those that waited for it stop first.
    fn stops_after(&self, one: &ContainerShape, runs: &dyn Fn(&str) -> bool, default: u64, depth: usize) -> u64 {
        // Registration refuses a cycle; an observed definition could hold anything.
        if depth > self.containers.len() {
            return 0;
        }
        let waited = self.containers.iter().filter(|c| c.depends_on.iter().any(|(on, _)| *on == one.name));
        let before = waited.map(|c| self.stops_after(c, runs, default, depth + 1)).max().unwrap_or(0);
        before + if runs(&one.name) { one.stop_timeout.unwrap_or(default) } else { 0 }
    }
}

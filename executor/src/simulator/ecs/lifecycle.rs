//! The life of a task: pulled, started, checked, drained, stopped.
//!
//! Invariants: every change has its time in the task; a task that ended keeps its resources for nobody.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::request::short;
use super::super::time::Time;
use super::super::world::{Behaviour, Container, ImageUse, Revision, Task, TaskStatus, TaskTimes, World};
use super::super::{logs, targets};
use super::order::{self, Progress};
use super::placement::Ports;
use super::scheduler;
use super::shape::TaskShape;
use super::{managed, with_service};

/// A task to start.
pub(super) struct NewTask<'a> {
    pub(super) cluster: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) started_by: Option<&'a str>,
    pub(super) revision: Option<&'a str>,
    pub(super) group: &'a str,
    pub(super) task_definition: &'a str,
    pub(super) shape: &'a TaskShape,
    /// On EC2.
    pub(super) container_instance: Option<String>,
    pub(super) availability_zone: String,
    pub(super) ports: Ports,
    /// What the images were resolved to earlier.
    pub(super) images: Option<&'a BTreeMap<String, ImageUse>>,
    pub(super) overrides: Option<Value>,
    pub(super) tags: BTreeMap<String, String>,
}

/// Creates a task; it starts by itself.
pub(super) fn start(world: &mut World, new: NewTask<'_>) -> String {
    let id = world.hex_id("task");
    let fargate = new.container_instance.is_none();
    let host = new.container_instance.as_ref().and_then(|id| world.container_instances.get(id));
    let managed = host.is_some_and(|host| world.is_managed(host));
    let launch_type = match host {
        None => "FARGATE",
        Some(_) if managed => "MANAGED_INSTANCES",
        Some(host) if host.is_external() => "EXTERNAL",
        Some(_) => "EC2",
    };
    let own_interface = fargate || new.shape.network_mode == "awsvpc";
    let private_ip = own_interface.then(|| {
        let number = world.count("networkInterface");
        format!("10.0.{}.{}", 100 + number / 250 % 100, 1 + number % 250)
    });
    let mut ports = new.ports;
    let overridden = |name: &str, image: &str, digest: Option<&str>| {
        let list = new.overrides.as_ref()?.get("containerOverrides")?.as_array()?;
        list.iter().find(|one| one["name"] == name)?.get("command")?;
        world.overridden(image, digest)
    };
    let mut containers: Vec<Container> = new
        .shape
        .containers
        .iter()
        .map(|c| {
            let resolved = new.images.and_then(|images| images.get(&c.name)).and_then(|used| used.digest.clone());
            // An image that could not be resolved before may exist by now.
            let digest = resolved.or_else(|| world.digest_of(&c.image));
            Container {
                name: c.name.clone(),
                image: c.image.clone(),
                behaviour: overridden(&c.name, &c.image, digest.as_deref())
                    .unwrap_or_else(|| world.behaviour_of(&c.image, digest.as_deref())),
                image_digest: digest,
                ports: ports.remove(&c.name).unwrap_or_default(),
                essential: c.essential,
                starts_due: None,
                started_at: None,
                exit_code: None,
                reason: None,
            }
        })
        .collect();
    if let Some(affliction) = new.service.and_then(|key| world.afflictions.get_mut(key))
        && affliction.task_definition.as_deref().is_none_or(|only| only == new.task_definition)
    {
        affliction.struck += 1;
        for container in &mut containers {
            container.behaviour = affliction.behaviour.clone();
        }
    }
    let (now, timings) = (world.now, &world.timings);
    let usual = if fargate { timings.fargate_start_seconds } else { timings.task_start_seconds };
    let host_start = if managed { timings.managed_instance_seconds } else { 0 };
    // Those that wait for others come later.
    let waits = |name: &str| new.shape.containers.iter().any(|c| c.name == name && !c.depends_on.is_empty());
    let first = || containers.iter().filter(|c| !waits(&c.name));
    let start = if first().any(|c| matches!(c.behaviour, Behaviour::CannotPull { .. })) {
        0
    } else {
        first().map(|c| order::start_seconds(&c.behaviour, usual)).max().unwrap_or(usual)
    };
    let task = Task {
        cluster: new.cluster.to_owned(),
        service: new.service.map(str::to_owned),
        started_by: new.started_by.map(str::to_owned),
        revision: new.revision.map(str::to_owned),
        group: new.group.to_owned(),
        task_definition: new.task_definition.to_owned(),
        launch_type: launch_type.to_owned(),
        container_instance: new.container_instance,
        availability_zone: new.availability_zone,
        last_status: if own_interface || managed { TaskStatus::Provisioning } else { TaskStatus::Pending },
        stopping: false,
        cpu: new.shape.cpu,
        memory: new.shape.memory,
        containers,
        private_ip,
        container_health: None,
        healthy_since: None,
        times: TaskTimes {
            created_at: now,
            start_due: Some(now.plus(host_start + timings.image_pull_seconds + start)),
            ..TaskTimes::default()
        },
        stopped_reason: None,
        stop_code: None,
        of_instance: false,
        overrides: new.overrides,
        client_token: None,
        request: None,
        tags: new.tags,
    };
    world.tasks.insert(id.clone(), task);
    id
}

/// Lets happen to tasks what is due now.
pub(in super::super) fn pass_time(world: &mut World) {
    let now = world.now;
    let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
    let due: Vec<String> =
        world.tasks.iter().filter(|(_, t)| is_due(t.times.next())).map(|(id, _)| id.clone()).collect();
    for id in due {
        let Some(times) = world.tasks.get(&id).map(|task| task.times.clone()) else { continue };
        if is_due(times.start_due) {
            run(world, &id);
        } else if is_due(times.exit_due) {
            exit(world, &id);
        } else if is_due(times.stop_due) {
            finish(world, &id, None);
        } else if is_due(times.drained_due) {
            if let Some(task) = world.tasks.get_mut(&id) {
                task.times.drained_due = None;
            }
            signal(world, &id);
        } else {
            if let Some(task) = world.tasks.get_mut(&id) {
                if is_due(task.times.settle_due) {
                    task.times.settle_due = None;
                }
                if is_due(task.times.health_due) {
                    task.times.health_due = None;
                    let fails = |c: &Container| c.essential && c.behaviour == Behaviour::NeverHealthy;
                    task.container_health = Some(!task.containers.iter().any(fails));
                }
            }
            refresh_health(world, &id);
        }
    }
}

/// Images are pulled: the containers start, wait for each other, or fail to.
fn run(world: &mut World, id: &str) {
    let now = world.now;
    let Some(definition) = world.tasks.get(id).map(|task| task.task_definition.clone()) else { return };
    let shape = world.task_shape(&definition);
    let timings = world.timings.clone();
    let Some(task) = world.tasks.get_mut(id) else { return };
    task.times.start_due = None;
    match order::go_on(task, shape.as_ref(), &timings, now) {
        Progress::Started => {}
        Progress::Waits(until) => {
            task.last_status = TaskStatus::Pending;
            task.times.start_due = Some(until);
            return;
        }
        Progress::Exited => return exit(world, id),
        Progress::Failed(reason) => {
            write_logs(world, id);
            return finish(world, id, Some((reason, "TaskFailedToStart")));
        }
    }
    task.last_status = TaskStatus::Running;
    task.times.started_at = Some(now);
    let started = |c: &Container| c.started_at.unwrap_or(now);
    let crash = task.containers.iter().filter(|c| c.essential).filter_map(|c| match c.behaviour {
        Behaviour::Crash { after_seconds, .. } => Some(started(c).plus(after_seconds)),
        _ => None,
    });
    let crash = crash.min();
    // Nobody keeps a task of its own running.
    let alone = task.service.is_none() && !task.of_instance;
    let ends = if alone { world.timings.own_task_seconds } else { None };
    task.times.exit_due = crash.or(ends.map(|seconds| now.plus(seconds)));
    let (service, revision) = (task.service.clone(), task.revision.clone());
    let load_balancers = service
        .as_ref()
        .and_then(|key| world.services.get(key))
        .and_then(|service| service.revision(revision.as_deref()?))
        .map(Revision::balancers)
        .unwrap_or_default();
    let places = targets::register_task(world, id, &load_balancers);
    if let Some(key) = &service {
        with_service(world, key, |world, service| {
            for place in &places {
                let words = format!("registered 1 {} in {}", place.members(), place.words());
                scheduler::say(world, service, &words);
            }
        });
    }
    open_logs(world, id);
    let settle = timings.settle_seconds;
    let Some(task) = world.tasks.get_mut(id) else { return };
    let checks = shape.iter().flat_map(|shape| &shape.containers).filter(|c| c.essential).filter_map(|c| {
        let check = c.health_check?;
        let own = task.containers.iter().find(|own| own.name == c.name);
        let seconds = match own.map(|own| &own.behaviour) {
            Some(Behaviour::NeverHealthy) => check.start_period + check.interval * check.retries,
            Some(Behaviour::Slow { healthy_seconds, .. }) => healthy_seconds + check.interval,
            _ => check.interval,
        };
        Some(own.map_or(now, started).plus(seconds))
    });
    // What was checked while others waited for it is known now.
    task.times.health_due = checks.max().map(|at| at.max(now));
    if places.is_empty() && task.times.health_due.is_none() {
        task.times.settle_due = Some(now.plus(settle));
    }
    world.dirty.extend(service);
    refresh_health(world, id);
}

/// Its log driver makes a stream for each container that starts.
fn open_logs(world: &mut World, id: &str) {
    if world.log_groups.is_empty() {
        return;
    }
    let Some(task) = world.tasks.get(id) else { return };
    let Some(definition) = world.task_definition(short(&task.task_definition)) else { return };
    let definition = Value::Object(definition.content.clone());
    logs::open(world, &definition, id);
}

/// What the containers of a task have written, as far as their images are said to write anything.
fn write_logs(world: &mut World, id: &str) {
    let Some(task) = world.tasks.get(id) else { return };
    let Some(definition) = world.task_definition(short(&task.task_definition)) else { return };
    let ordered = TaskShape::of(&definition.content).is_ordered();
    let definition = Value::Object(definition.content.clone());
    let written: Vec<(String, Vec<String>)> = task
        .containers
        .iter()
        .filter(|c| !ordered || c.started_at.is_some())
        .filter_map(|c| Some((c.name.clone(), world.image_output(&c.image, c.image_digest.as_deref())?)))
        .collect();
    for (container, lines) in written {
        logs::write(world, &definition, &container, id, &lines);
    }
}

/// An essential container ends by itself, and its task with it.
fn exit(world: &mut World, id: &str) {
    write_logs(world, id);
    let Some(task) = world.tasks.get_mut(id) else { return };
    let known = task.containers.iter().any(|c| c.essential && c.exit_code.is_some());
    let since = task.times.created_at;
    let mut soonest: Vec<(Time, &mut Container)> = task
        .containers
        .iter_mut()
        .filter(|c| c.essential)
        .filter_map(|c| match c.behaviour {
            Behaviour::Crash { after_seconds, .. } => Some((c.started_at.unwrap_or(since).plus(after_seconds), c)),
            _ => None,
        })
        .collect();
    soonest.sort_by_key(|(at, _)| *at);
    if known {
        // It ended while others still waited for it.
    } else if let Some((_, container)) = soonest.into_iter().next()
        && let Behaviour::Crash { exit_code, reason, .. } = container.behaviour.clone()
    {
        container.exit_code = Some(exit_code);
        container.reason = reason;
    } else if let Some(main) = task.containers.iter_mut().find(|c| c.essential) {
        main.exit_code = Some(0);
    }
    finish(world, id, Some(("Essential container in task exited".to_owned(), "EssentialContainerExited")));
}

/// Tells a task to stop: its targets drain, then its containers end. Gives back where it was registered.
pub(super) fn stop(world: &mut World, id: &str, reason: &str, code: &str) -> Vec<targets::Place> {
    let now = world.now;
    let Some(task) = world.tasks.get_mut(id) else { return Vec::new() };
    if task.stopping || task.last_status == TaskStatus::Stopped {
        return Vec::new();
    }
    task.stopping = true;
    task.stopped_reason = Some(reason.to_owned());
    task.stop_code = Some(code.to_owned());
    let running = task.last_status == TaskStatus::Running || task.containers.iter().any(|c| c.started_at.is_some());
    task.times = TaskTimes {
        created_at: task.times.created_at,
        started_at: task.times.started_at,
        stopping_at: Some(now),
        ..TaskTimes::default()
    };
    if !running {
        task.last_status = TaskStatus::Stopping;
        task.times.stop_due = Some(now.plus(1));
        return Vec::new();
    }
    let (places, delay) = targets::drain_task(world, id);
    if delay > 0 {
        if let Some(task) = world.tasks.get_mut(id) {
            task.last_status = TaskStatus::Deactivating;
            task.times.drained_due = Some(now.plus(delay));
        }
    } else {
        signal(world, id);
    }
    places
}

/// Containers get the signal to stop.
fn signal(world: &mut World, id: &str) {
    let (now, default) = (world.now, world.timings.stop_seconds);
    let seconds = world
        .tasks
        .get(id)
        .and_then(|task| Some(order::stop_seconds(task, &world.task_shape(&task.task_definition)?, default)));
    let seconds = seconds.unwrap_or(default);
    if let Some(task) = world.tasks.get_mut(id) {
        task.last_status = TaskStatus::Stopping;
        // At once is the next second: a call never sees a task end while it is being answered.
        task.times.stop_due = Some(now.plus(seconds.max(1)));
    }
}

/// A task has ended; with a reason if it did so by itself.
pub(super) fn finish(world: &mut World, id: &str, by_itself: Option<(String, &str)>) {
    let now = world.now;
    targets::drain_task(world, id);
    let Some(task) = world.tasks.get_mut(id) else { return };
    let started = task.times.started_at.is_some();
    let was_healthy = task.healthy_since.take().is_some();
    task.last_status = TaskStatus::Stopped;
    task.times = TaskTimes {
        created_at: task.times.created_at,
        started_at: task.times.started_at,
        stopping_at: task.times.stopping_at.or(Some(now)),
        stopped_at: Some(now),
        ..TaskTimes::default()
    };
    for container in task.containers.iter_mut().filter(|c| started || c.started_at.is_some()) {
        // 128 + SIGKILL: what Docker reports of a container that did not end by itself.
        container.exit_code.get_or_insert(137);
    }
    let failed = by_itself.is_some();
    if let Some((reason, code)) = by_itself {
        task.stopping = true;
        task.stopped_reason = Some(reason);
        task.stop_code = Some(code.to_owned());
    }
    let (cluster, service, deployment) = (task.cluster.clone(), task.service.clone(), task.started_by.clone());
    managed::release(world, id);
    let waiting = world.services.iter().filter(|(_, s)| s.unplaced && s.cluster == cluster);
    let waiting: Vec<String> = waiting.map(|(key, _)| key.clone()).collect();
    world.dirty.extend(waiting);
    if let Some(key) = service {
        if failed {
            with_service(world, &key, |world, service| {
                let deployment = deployment.as_deref().unwrap_or_default();
                scheduler::task_failed(world, service, deployment, !was_healthy);
            });
        }
        world.dirty.insert(key);
    }
}

/// Whether a running task passes everything that it is checked for.
fn passes(world: &World, id: &str, task: &Task) -> bool {
    task.last_status == TaskStatus::Running
        && !task.stopping
        && task.times.settle_due.is_none()
        && task.times.health_due.is_none()
        && task.container_health != Some(false)
        && targets::are_healthy(world, id)
}

/// Notes whether a task counts as healthy now.
pub(in super::super) fn refresh_health(world: &mut World, id: &str) {
    let Some(task) = world.tasks.get(id) else { return };
    let healthy = passes(world, id, task);
    let now = world.now;
    let Some(task) = world.tasks.get_mut(id) else { return };
    if healthy != task.healthy_since.is_some() {
        task.healthy_since = healthy.then_some(now);
        if healthy && let (Some(key), Some(deployment)) = (task.service.clone(), task.started_by.clone()) {
            with_service(world, &key, |_, service| scheduler::task_healthy(service, &deployment));
        }
    }
    if let Some(key) = world.tasks.get(id).and_then(|task| task.service.clone()) {
        world.dirty.insert(key);
    }
}

//! What keeps a wait's goal away: tasks that do not work, or, where a wait watches something else, a past that stays.
//!
//! Invariants: only what the wait watches is touched; where a plan brings a new task definition only its tasks are
//! struck, so that the way back to the old one is not; when trouble is lifted, what it struck ends and is replaced.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::simulator::world::{Affliction, Behaviour, Service, TaskStatus};
use crate::simulator::{SimulatedCloud, World, short_name};

/// What befalls the goal of one wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    wait: bool,
    /// Tasks are left alone.
    frozen: bool,
    /// At a compensation everything is struck: it waits for what ran before.
    back: bool,
    begun: bool,
    /// Services that the wait watches, with the task definition that is struck.
    services: Vec<(String, Option<String>)>,
    /// What the wait saw first.
    past: Option<Arc<SimulatedCloud>>,
    struck: bool,
}

impl Trouble {
    pub fn new(wait: bool, back: bool, frozen: bool) -> Self {
        Self { wait, back, frozen, ..Self::default() }
    }

    /// Whether the wait has looked, or is none.
    pub fn has_begun(&self) -> bool {
        self.begun || !self.wait
    }

    /// The wait looks for the first time.
    pub fn begin(&mut self, world: &mut World, operation: &str, input: &Value, never: bool) {
        self.begun = true;
        self.watch(world, operation, input);
        self.past = Some(Arc::new(SimulatedCloud::new(world.clone())));
        if never {
            self.afflict(world);
        }
    }

    /// What the wait is to see instead, if it is not to see what is.
    pub fn shown(&self, never: bool) -> Option<Arc<SimulatedCloud>> {
        if !self.wait {
            return None;
        }
        let frozen = if never { self.services.is_empty() } else { self.struck && self.services.is_empty() };
        self.past.clone().filter(|_| frozen)
    }

    fn watch(&mut self, world: &World, operation: &str, input: &Value) {
        if self.frozen || operation != "DescribeServices" {
            return;
        }
        let cluster = short_name(input["cluster"].as_str().unwrap_or("default"));
        for name in input["services"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let key = format!("{cluster}/{}", short_name(name));
            let Some(service) = world.services.get(&key).filter(|service| starts_tasks(world, service)) else {
                continue;
            };
            let wanted = service.wanted.get("taskDefinition").and_then(Value::as_str).map(str::to_owned);
            let before =
                world.tasks.of_service(&key).filter(|(_, task)| task.healthy_since.is_some() && !task.stopping);
            let new = before.map(|(_, task)| &task.task_definition).all(|old| Some(old) != wanted.as_ref());
            self.services.push((key, wanted.filter(|_| new && !self.back)));
        }
    }

    fn afflict(&self, world: &mut World) {
        for (key, only) in &self.services {
            let Some(service) = world.services.get(key) else { continue };
            let affliction = Affliction { task_definition: only.clone(), behaviour: sick(world, service), struck: 0 };
            world.afflictions.insert(key.clone(), affliction);
        }
    }

    /// The goal was reached: now it is lost again. Gives back the services that lose tasks.
    pub fn strike(&mut self, world: &mut World) -> Vec<String> {
        self.struck = true;
        let exits = Behaviour::Crash { after_seconds: 1, exit_code: 1, reason: None };
        for (key, only) in &self.services {
            let affliction = Affliction { task_definition: only.clone(), behaviour: exits.clone(), struck: 0 };
            world.afflictions.insert(key.clone(), affliction);
            end_tasks(world, key, |task| only.as_ref().is_none_or(|only| *only == task.task_definition), 1);
        }
        self.services.iter().map(|(key, _)| key.clone()).collect()
    }

    /// The run turned back: what strikes old and new alike ends here, or nothing could ever go back.
    pub fn turned(&mut self, world: &mut World) {
        if !self.back && self.services.iter().any(|(_, only)| only.is_none()) {
            self.lift(world);
        }
    }

    /// The cause is gone.
    pub fn lift(&mut self, world: &mut World) {
        for (key, _) in &self.services {
            if let Some(affliction) = world.afflictions.remove(key) {
                let sick = |container: &crate::simulator::world::Container| container.behaviour == affliction.behaviour;
                end_tasks(world, key, |task| task.containers.iter().any(sick), 1);
            }
        }
    }
}

/// Whether there is anything that could not become ready: a service that is to have no tasks starts none.
fn starts_tasks(world: &World, service: &Service) -> bool {
    service.wanted.get("desiredCount").and_then(Value::as_u64) != Some(0) && !world.clusters.is_empty()
}

/// What a task of a service does that never becomes ready: it fails its checks, or ends where it has none.
fn sick(world: &World, service: &Service) -> Behaviour {
    let checked = service.wanted.get("loadBalancers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let definition = service.wanted.get("taskDefinition").and_then(Value::as_str).unwrap_or_default();
    let (family, number) = short_name(definition).rsplit_once(':').unwrap_or((definition, "0"));
    let content = world.task_definitions.get(family).and_then(|f| f.revisions.get(&number.parse().ok()?));
    let own = content.and_then(|c| c.content.get("containerDefinitions")).unwrap_or(&Value::Null);
    let checks = own.as_array().is_some_and(|list| list.iter().any(|c| c["healthCheck"] != json!(null)));
    if checked || checks {
        Behaviour::NeverHealthy
    } else {
        Behaviour::Crash { after_seconds: 5, exit_code: 1, reason: None }
    }
}

/// Lets tasks of a service end by themselves, soon.
fn end_tasks(world: &mut World, key: &str, which: impl Fn(&crate::simulator::world::Task) -> bool, seconds: u64) {
    let due = world.now.plus(seconds);
    let alive = world.tasks.of_service(key).filter(|(_, task)| task.last_status != TaskStatus::Stopped);
    let chosen: Vec<String> = alive.filter(|(_, t)| !t.stopping && which(t)).map(|(id, _)| id.clone()).collect();
    for id in chosen {
        let Some(task) = world.tasks.get_mut(&id) else { continue };
        for container in &mut task.containers {
            container.behaviour = Behaviour::Crash { after_seconds: seconds, exit_code: 1, reason: None };
        }
        if task.last_status == TaskStatus::Running {
            task.times.exit_due = Some(due);
        }
    }
}

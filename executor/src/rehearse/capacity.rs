//! Healthy capacity of components, sampled whenever something may have changed.
//!
//! Invariants: what is on its way out does not count, whatever its checks say, nor does what users' traffic is not led to
//! while a deployment shifts it; a component is what carries its tag or
//! what the plan's steps of that component name.

use std::collections::BTreeMap;

use belay_schemas::checker::subject::subjects;
use belay_schemas::plan::Plan;

use crate::simulator::World;

/// Which services and Auto Scaling groups make up which component.
#[derive(Debug, Clone)]
pub(super) struct Components {
    /// Names, in order.
    pub names: Vec<String>,
    floors: Vec<u64>,
    /// Index of the component of a service's key.
    services: BTreeMap<String, usize>,
    /// The same of a group's name.
    groups: BTreeMap<String, usize>,
}

/// What is healthy of each component.
pub(super) type Levels = Vec<u64>;

impl Components {
    /// The components of a plan, in a world.
    pub fn of(plan: &Plan, world: &World) -> Self {
        let names: Vec<String> = plan.components.keys().cloned().collect();
        let floors = plan.components.values().map(|c| u64::from(c.floor)).collect();
        let index = |name: &str| names.iter().position(|n| n == name);
        let (mut services, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for node in &plan.nodes {
            let (Some(call), Some(at)) = (node.action.mutation(), node.component.as_deref().and_then(index)) else {
                continue;
            };
            for subject in subjects(call, None) {
                match subject.kind {
                    "ECS service" => {
                        let cluster = crate::simulator::short_name(&subject.scope);
                        services.insert(format!("{cluster}/{}", subject.name), at);
                    }
                    "Auto Scaling group" => {
                        groups.insert(subject.name.into_owned(), at);
                    }
                    _ => {}
                }
            }
        }
        for (key, service) in &world.services {
            let tag = |end: &str| service.tags.iter().find(|(k, _)| k.ends_with(end)).map(|(_, v)| v.as_str());
            if tag(":project") == Some(plan.project.as_str())
                && let Some(at) = tag(":component").and_then(index)
            {
                services.entry(key.clone()).or_insert(at);
            }
        }
        for (name, group) in &world.auto_scaling_groups {
            let tag = |end: &str| group.tags.iter().find(|(k, _)| k.ends_with(end)).map(|(_, tag)| tag.value.as_str());
            if tag(":project") == Some(plan.project.as_str())
                && let Some(at) = tag(":component").and_then(index)
            {
                groups.entry(name.clone()).or_insert(at);
            }
        }
        Self { names, floors, services, groups }
    }

    /// What is healthy now.
    pub fn levels(&self, world: &World) -> Levels {
        let mut levels = vec![0; self.names.len()];
        for (_, task) in world.tasks.iter() {
            if task.healthy_since.is_some()
                && !task.stopping
                && let Some(&at) = task.service.as_ref().and_then(|key| self.services.get(key))
                && world.is_led_to(task)
            {
                levels[at] += 1;
            }
        }
        for (name, &at) in &self.groups {
            levels[at] += world.serving(name);
        }
        levels
    }

    /// What must stay healthy: the plan's floor, or what is healthy at the start where that is less.
    pub fn floors(&self, start: &Levels) -> Levels {
        self.floors.iter().zip(start).map(|(floor, start)| (*floor).min(*start)).collect()
    }

    /// The component of a service.
    pub fn of_service(&self, key: &str) -> Option<usize> {
        self.services.get(key).copied()
    }
}

//! The tasks of a world with the two look-ups that scheduling needs.
//!
//! Invariant: the indexes follow from the tasks; a task never changes its service or its container instance.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Shared, Shelf, Task};

/// Ids of tasks by what they belong to.
type Index = Shared<BTreeMap<String, Shared<BTreeSet<String>>>>;

/// Tasks by id, found also by service and by container instance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskTable {
    tasks: Shelf<Task>,
    by_service: Index,
    by_instance: Index,
}

impl TaskTable {
    /// Adds a task.
    pub fn insert(&mut self, id: String, task: Task) {
        if let Some(service) = &task.service {
            self.by_service.entry(service.clone()).or_default().insert(id.clone());
        }
        if let Some(instance) = &task.container_instance {
            self.by_instance.entry(instance.clone()).or_default().insert(id.clone());
        }
        self.tasks.insert(id, task);
    }

    /// The task of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Task> {
        self.tasks.get(id)
    }

    /// The task of that id as it is now, beside the world.
    pub(crate) fn share(&self, id: &str) -> Option<Shared<Task>> {
        self.tasks.share(id)
    }

    /// The task of that id, to change it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Task> {
        self.tasks.get_mut(id)
    }

    /// All tasks in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Task)> {
        self.tasks.iter()
    }

    /// The tasks of a service (`CLUSTER/NAME`), stopped ones too.
    pub fn of_service(&self, service: &str) -> impl Iterator<Item = (&String, &Task)> {
        self.by_service.get(service).into_iter().flatten().filter_map(|id| self.tasks.get_key_value(id))
    }

    /// The tasks on a container instance, stopped ones too.
    pub fn on_instance(&self, instance: &str) -> impl Iterator<Item = (&String, &Task)> {
        self.by_instance.get(instance).into_iter().flatten().filter_map(|id| self.tasks.get_key_value(id))
    }

    /// Keeps the tasks for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Task) -> bool) {
        let gone: Vec<String> = self.tasks.iter().filter(|(_, task)| !keep(task)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            if let Some(task) = self.tasks.remove(&id) {
                for (index, key) in
                    [(&mut self.by_service, &task.service), (&mut self.by_instance, &task.container_instance)]
                {
                    if let Some(ids) = key.as_ref().and_then(|key| index.get_mut(key)) {
                        ids.remove(&id);
                    }
                }
            }
        }
    }

    /// How many tasks there are, stopped ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl Serialize for TaskTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tasks.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Self::default();
        for (id, task) in BTreeMap::<String, Task>::deserialize(deserializer)? {
            table.insert(id, task);
        }
        Ok(table)
    }
}

impl JsonSchema for TaskTable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tasks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, Task>::json_schema(generator)
    }
}

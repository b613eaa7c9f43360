//! Platforms: what a container instance is, and what a task definition asks for.
//!
//! Agents register their operating system and the architecture of their processors; where a world says nothing of them,
//! the architecture follows from the instance type, and the system is Linux.
//!
//! Sources: ECS developer guide, "Define which container instances Amazon ECS uses for tasks" (built-in attributes), and
//! "Task definition parameters" (`runtimePlatform`); that tasks only run where it is met is what ECS does with attributes
//! that a task definition requires, as RunTask's failure `ATTRIBUTE` tells.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::ec2;
use super::super::request::text;
use super::super::world::ContainerInstance;

/// What a task definition asks of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Platform {
    architecture: Option<&'static str>,
    system: Option<String>,
}

/// The attributes that an agent registers of itself.
const ARCHITECTURE: &str = "ecs.cpu-architecture";
const SYSTEM: &str = "ecs.os-type";
const FAMILY: &str = "ecs.os-family";

impl Platform {
    /// What the content of a task definition asks for; nothing where it has no `runtimePlatform`.
    pub(super) fn of(content: &Map<String, Value>) -> Self {
        let asked = content.get("runtimePlatform").unwrap_or(&Value::Null);
        let architecture = text(asked, "cpuArchitecture").map(|a| if a == "ARM64" { "arm64" } else { "x86_64" });
        Self { architecture, system: text(asked, "operatingSystemFamily").map(str::to_owned) }
    }

    /// Whether a machine is like that.
    pub(super) fn is_met_by(&self, instance: &ContainerInstance) -> bool {
        let own = attributes(instance);
        let is = |name: &str, wanted: &str| own.get(name).is_some_and(|value| value == wanted);
        let system = self.system.as_deref().is_none_or(|family| match family.starts_with("WINDOWS") {
            true => is(SYSTEM, "windows") && is(FAMILY, family),
            false => is(SYSTEM, "linux"),
        });
        system && self.architecture.is_none_or(|architecture| is(ARCHITECTURE, architecture))
    }

    /// The attributes of a machine that ECS chooses for it.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = BTreeMap::from([named(SYSTEM, "linux")]);
        all.extend(self.architecture.map(|architecture| named(ARCHITECTURE, architecture)));
        all
    }
}

/// The attributes of a container instance besides its zone: its own, and what follows from its type.
pub(super) fn attributes(instance: &ContainerInstance) -> BTreeMap<String, String> {
    let mut all = instance.attributes.clone();
    let of_type = all.get("ecs.instance-type").map_or("", String::as_str);
    let architecture = ec2::processors(of_type).to_owned();
    all.entry(ARCHITECTURE.to_owned()).or_insert(architecture);
    let system = all.entry(SYSTEM.to_owned()).or_insert_with(|| "linux".to_owned()).clone();
    if system == "linux" {
        all.entry(FAMILY.to_owned()).or_insert_with(|| "LINUX".to_owned());
    }
    all
}

//! Which container instances have the processors and the operating system that a task is built for.
//!
//! Sources: ECS developer guide, "Define which container instances Amazon ECS uses for tasks" (the attributes that every
//! agent registers) and "Task definition parameters" (`runtimePlatform`).

use serde_json::Value;

use crate::ecs::json::{items, text};

/// What a task definition asks of its machine; nothing where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    architecture: Option<&'static str>,
    system: Option<&'static str>,
    /// As the task definition calls them.
    words: String,
}

impl Platform {
    pub fn of(task: &Value) -> Self {
        let asked = task.get("runtimePlatform").unwrap_or(&Value::Null);
        let (architecture, system) = (text(asked, "cpuArchitecture"), text(asked, "operatingSystemFamily"));
        Self {
            architecture: architecture.map(|name| if name == "ARM64" { "arm64" } else { "x86_64" }),
            system: system.map(|name| if name.starts_with("WINDOWS") { "windows" } else { "linux" }),
            words: system.into_iter().chain(architecture).collect::<Vec<_>>().join(" on "),
        }
    }

    /// Whether an observed instance is like that, as far as its agent tells.
    pub fn is_met_by(&self, instance: &Value) -> bool {
        let told = |name: &str| {
            let attribute = items(instance, "attributes").iter().find(|a| text(a, "name") == Some(name));
            attribute.and_then(|a| text(a, "value"))
        };
        let fits = |wanted: Option<&str>, name: &str| wanted.is_none_or(|w| told(name).is_none_or(|own| own == w));
        fits(self.architecture, "ecs.cpu-architecture") && fits(self.system, "ecs.os-type")
    }

    /// How people call it, such as `LINUX on ARM64`.
    pub fn words(&self) -> &str {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_agent_does_not_tell_is_no_hindrance() {
        let of = |architecture: &str, system: &str| {
            Platform::of(
                &json!({"runtimePlatform": {"cpuArchitecture": architecture, "operatingSystemFamily": system}}),
            )
        };
        let arm = json!({"attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}, {"name": "ecs.os-type", "value": "linux"}]});
        assert!(of("ARM64", "LINUX").is_met_by(&arm) && !of("X86_64", "LINUX").is_met_by(&arm));
        assert!(!of("ARM64", "WINDOWS_SERVER_2022_CORE").is_met_by(&arm));
        assert!(of("ARM64", "LINUX").is_met_by(&json!({"attributes": []})));
        assert!(Platform::of(&json!({})).is_met_by(&arm));
        assert_eq!(of("ARM64", "LINUX").words(), "LINUX on ARM64");
    }
}

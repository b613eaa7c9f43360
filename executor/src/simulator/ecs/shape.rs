//! What the scheduler needs to know of a task definition.

use serde_json::{Map, Value};

use super::super::request::{items, number, short, text};
use super::super::world::{TaskDefinition, World};
use super::platform::Platform;

/// A task definition as the scheduler sees it.
#[derive(Debug, Clone)]
pub(super) struct TaskShape {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) network_mode: String,
    pub(super) containers: Vec<ContainerShape>,
    pub(super) constraints: Vec<Value>,
    /// What it asks of its machine.
    pub(super) platform: Platform,
    /// What it needs of AWS's network: file systems, disks, proxies of App Mesh.
    pub(super) tied: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct ContainerShape {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) essential: bool,
    pub(super) ports: Vec<PortShape>,
    pub(super) start_timeout: Option<u64>,
    pub(super) stop_timeout: Option<u64>,
    pub(super) health_check: Option<CheckShape>,
    /// Containers that it waits for, and for what of them.
    pub(super) depends_on: Vec<(String, Condition)>,
}

/// What a container waits for of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Start,
    Complete,
    Success,
    Healthy,
}

impl Condition {
    fn of(word: &str) -> Self {
        match word {
            "COMPLETE" => Self::Complete,
            "SUCCESS" => Self::Success,
            "HEALTHY" => Self::Healthy,
            _ => Self::Start,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct PortShape {
    pub(super) container: u64,
    /// 0: any free one.
    pub(super) host: u64,
    pub(super) protocol: String,
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct CheckShape {
    pub(super) interval: u64,
    pub(super) retries: u64,
    pub(super) start_period: u64,
}

/// CPU units or MiB of a task's `cpu` or `memory`: `512`, `.5 vCPU`, `1 GB`.
pub(super) fn amount(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let lower = text.to_lowercase();
    let amount = ["vcpu", "gb"].into_iter().find_map(|unit| lower.strip_suffix(unit))?.trim();
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = match part.len() {
        0 => 0,
        digits @ 1..=4 => part.parse::<u64>().ok()? * 1024 / 10_u64.pow(u32::try_from(digits).ok()?),
        _ => return None,
    };
    Some(whole * 1024 + part)
}

/// CPU units and MiB that a task of this content takes of an instance, if it needs nothing else there: no network
/// interface, no port, no processor of a kind.
pub(crate) fn plain_needs(content: &Map<String, Value>) -> Option<(u64, u64)> {
    let shape = TaskShape::of(content);
    let definitions = content.get("containerDefinitions").and_then(Value::as_array)?;
    let devices = definitions.iter().any(|container| !items(container, "resourceRequirements").is_empty());
    let ports = shape.containers.iter().flat_map(|container| &container.ports).any(|port| port.host > 0);
    let network = matches!(shape.network_mode.as_str(), "bridge" | "none");
    let plain = network && !ports && !devices && shape.constraints.is_empty() && shape.platform == Platform::default();
    plain.then_some((shape.cpu, shape.memory))
}

impl TaskShape {
    pub(super) fn of(content: &Map<String, Value>) -> Self {
        let list = |member: &str| content.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let definitions = list("containerDefinitions");
        let sum = |one: &dyn Fn(&Value) -> u64| definitions.iter().map(one).sum::<u64>();
        let reserved = |c: &Value| number(c, "memoryReservation").or_else(|| number(c, "memory")).unwrap_or(0);
        let whole = |member: &str| content.get(member).and_then(Value::as_str).and_then(amount);
        Self {
            cpu: whole("cpu").unwrap_or_else(|| sum(&|c| number(c, "cpu").unwrap_or(0))),
            memory: whole("memory").unwrap_or_else(|| sum(&reserved)),
            network_mode: content.get("networkMode").and_then(Value::as_str).unwrap_or("bridge").to_owned(),
            containers: definitions.iter().map(ContainerShape::of).collect(),
            constraints: list("placementConstraints").to_vec(),
            platform: Platform::of(content),
            tied: tied(content),
        }
    }

    /// Whether a container has a mapping of that port.
    pub(super) fn maps_port(&self, container: &str, port: u64) -> bool {
        self.containers.iter().any(|c| c.name == container && c.ports.iter().any(|p| p.container == port))
    }
}

/// The first member of a definition that binds its tasks to a network of AWS.
fn tied(content: &Map<String, Value>) -> Option<&'static str> {
    let volumes = content.get("volumes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let has = |member: &str| volumes.iter().any(|v| v.get(member).is_some_and(|v| *v != Value::Bool(false)));
    let proxied = content.get("proxyConfiguration").is_some_and(|proxy| !proxy.is_null());
    let of_volumes = ["efsVolumeConfiguration", "configuredAtLaunch"].into_iter().find(|member| has(member));
    of_volumes.or(proxied.then_some("proxyConfiguration"))
}

impl ContainerShape {
    fn of(definition: &Value) -> Self {
        let member = |name: &str| text(definition, name).unwrap_or_default().to_owned();
        let port = |mapping: &Value| PortShape {
            container: number(mapping, "containerPort").unwrap_or(0),
            host: number(mapping, "hostPort").unwrap_or(0),
            protocol: text(mapping, "protocol").unwrap_or("tcp").to_owned(),
            name: text(mapping, "name").map(str::to_owned),
        };
        let on = |d: &Value| {
            let member = |name: &str| text(d, name).unwrap_or_default();
            (member("containerName").to_owned(), Condition::of(member("condition")))
        };
        let check = |check: &Value| CheckShape {
            interval: number(check, "interval").unwrap_or(30),
            retries: number(check, "retries").unwrap_or(3),
            start_period: number(check, "startPeriod").unwrap_or(0),
        };
        Self {
            name: member("name"),
            image: member("image"),
            essential: definition.get("essential").and_then(Value::as_bool).unwrap_or(true),
            ports: items(definition, "portMappings").iter().map(port).collect(),
            start_timeout: number(definition, "startTimeout"),
            stop_timeout: number(definition, "stopTimeout"),
            health_check: definition.get("healthCheck").filter(|check| !check.is_null()).map(check),
            depends_on: items(definition, "dependsOn").iter().map(on).collect(),
        }
    }
}

/// Family and number of a task definition's ARN or `family:number`.
pub(super) fn family_and_number(name: &str) -> Option<(&str, u64)> {
    let (family, number) = short(name).rsplit_once(':')?;
    Some((family, number.parse().ok()?))
}

impl World {
    /// The revision that an ARN or `family:number` names.
    pub(super) fn task_definition(&self, name: &str) -> Option<&TaskDefinition> {
        let (family, number) = family_and_number(name)?;
        self.task_definitions.get(family)?.revisions.get(&number)
    }

    pub(super) fn task_shape(&self, name: &str) -> Option<TaskShape> {
        self.task_definition(name).map(|definition| TaskShape::of(&definition.content))
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_come_as_numbers_and_as_words() {
        let known = [("512", 512), ("1 vCPU", 1024), (".5 vCPU", 512), ("0.25 vcpu", 256), ("2GB", 2048)];
        for (text, expected) in known {
            assert_eq!(amount(text), Some(expected), "{text}");
        }
        assert_eq!(amount("much"), None);
    }
}

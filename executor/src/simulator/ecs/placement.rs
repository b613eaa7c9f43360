//! Where a task runs: which container instance has room for it, and which of those is chosen.
//!
//! Invariant: the same world gives the same choice; ties go to the instance with the smaller id.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::request::text;
use super::super::world::{ContainerInstance, InstanceStatus, PortBinding, Task, TaskStatus, World};
use super::shape::{PortShape, TaskShape};
use super::{platform, providers};

/// Linux's ephemeral ports, from which dynamic host ports are taken.
const EPHEMERAL: std::ops::RangeInclusive<u64> = 32_768..=60_999;

/// What must be placed.
pub(super) struct Wanted<'a> {
    pub(super) cluster: &'a str,
    pub(super) shape: &'a TaskShape,
    pub(super) group: &'a str,
    pub(super) constraints: &'a [Value],
    pub(super) strategy: &'a [Value],
    pub(super) on: Machines<'a>,
}

/// The machines that tasks of certain settings may run on.
#[derive(Debug, PartialEq)]
pub(super) enum Machines<'a> {
    /// Instances of EC2.
    Own,
    /// Machines outside AWS.
    External,
    /// Instances of these capacity providers.
    Of(Vec<&'a str>),
    /// Instances that ECS starts itself for this capacity provider.
    Managed(&'a str),
}

impl<'a> Machines<'a> {
    /// By the settings of a service or of RunTask.
    pub(super) fn of(world: &World, settings: &'a Map<String, Value>) -> Self {
        let providers: Vec<&str> =
            settings.get("capacityProviderStrategy").into_iter().flat_map(providers::named).collect();
        match settings.get("launchType").and_then(Value::as_str) {
            Some("EXTERNAL") => Self::External,
            _ if providers.is_empty() => Self::Own,
            _ => match providers.iter().find(|provider| world.manages(provider)) {
                Some(provider) => Self::Managed(provider),
                None => Self::Of(providers),
            },
        }
    }

    /// Whether an instance is one of them.
    pub(super) fn has(&self, world: &World, instance: &ContainerInstance) -> bool {
        match self {
            Self::External => instance.is_external(),
            Self::Own => !instance.is_external() && !world.is_managed(instance),
            Self::Of(providers) => instance.capacity_provider.as_deref().is_some_and(|p| providers.contains(&p)),
            Self::Managed(provider) => instance.capacity_provider.as_deref() == Some(*provider),
        }
    }
}

/// Where it goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) instance: String,
    pub(super) availability_zone: String,
    /// Ports by container.
    pub(super) ports: Ports,
}

/// Ports by container.
pub(super) type Ports = BTreeMap<String, Vec<PortBinding>>;

/// Why an instance cannot take a task, in the order in which the scheduler looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    Attribute,
    Constraint,
    Interface,
    Port,
    Memory,
    Cpu,
}

impl Lack {
    /// RunTask's word for it.
    pub(super) fn failure(self) -> &'static str {
        match self {
            Self::Attribute => "ATTRIBUTE",
            Self::Constraint => "MemberOf placement constraint unsatisfied.",
            Self::Interface => "RESOURCE:ENI",
            Self::Port => "RESOURCE:PORTS",
            Self::Memory => "RESOURCE:MEMORY",
            Self::Cpu => "RESOURCE:CPU",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Attribute => "is missing an attribute required by your task",
            Self::Constraint => "does not meet the placement constraints of your task",
            Self::Interface => "encountered error \"RESOURCE:ENI\"",
            Self::Port => "is already using a port required by your task",
            Self::Memory => "has insufficient memory available",
            Self::Cpu => "has insufficient CPU units available",
        }
    }
}

/// Why a task found no place.
#[derive(Debug)]
pub(super) enum Unplaced {
    NoInstances,
    Lacking {
        /// The instance that came closest.
        closest: (String, Lack),
        all: Vec<(String, Lack)>,
    },
}

impl Unplaced {
    /// The event that a service reports.
    pub(super) fn event(&self, service: &str) -> String {
        const START: &str = "was unable to place a task because no container instance met all of its requirements.";
        const END: &str = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
        match self {
            Self::NoInstances => {
                format!("(service {service}) {START} Reason: No Container Instances were found in your cluster. {END}")
            }
            Self::Lacking { closest: (instance, lack), .. } => format!(
                "(service {service}) {START} The closest matching (container-instance {instance}) {}. {END}",
                lack.sentence()
            ),
        }
    }
}

/// What tasks use of an instance.
#[derive(Default)]
pub(super) struct Used<'w> {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) ports: BTreeSet<(u64, &'w str)>,
    interfaces: u64,
    /// Tasks that spreading and distinct instances look at.
    peers: u64,
}

impl<'w> Used<'w> {
    /// What the tasks of one instance use.
    pub(super) fn of(world: &'w World, id: &str) -> Self {
        let mut used = Self::default();
        world.tasks.on_instance(id).for_each(|(_, task)| used.add(task));
        used
    }

    fn add(&mut self, task: &'w Task) {
        if task.last_status == TaskStatus::Stopped {
            return;
        }
        self.cpu += task.cpu;
        self.memory += task.memory;
        if task.private_ip.is_some() {
            self.interfaces += 1;
        } else {
            let bindings = task.containers.iter().flat_map(|c| &c.ports);
            self.ports.extend(bindings.map(|p| (p.host_port, p.protocol.as_str())));
        }
    }

    fn binds(&self, instance: &ContainerInstance, port: u64, protocol: &str) -> bool {
        (protocol == "tcp" && instance.reserved_ports.contains(&port)) || self.ports.contains(&(port, protocol))
    }
}

/// What the tasks of every instance use, in one pass.
fn survey<'w>(world: &'w World, wanted: &Wanted<'_>) -> BTreeMap<&'w str, Used<'w>> {
    let mut all: BTreeMap<&str, Used<'_>> = BTreeMap::new();
    for (_, task) in world.tasks.iter() {
        if let Some(instance) = &task.container_instance {
            let used = all.entry(instance).or_default();
            used.add(task);
            used.peers += u64::from(stays(task, wanted));
        }
    }
    all
}

/// Whether a task counts for spreading and for distinct instances.
fn stays(task: &Task, wanted: &Wanted<'_>) -> bool {
    task.group == wanted.group
        && task.cluster == wanted.cluster
        && !task.stopping
        && task.last_status != TaskStatus::Stopped
}

/// Chooses a place.
pub(super) fn place(world: &World, wanted: &Wanted<'_>) -> Result<Place, Unplaced> {
    let mut lacks: Vec<(String, Lack)> = Vec::new();
    let mut fits: Vec<(&String, &ContainerInstance, Used<'_>)> = Vec::new();
    let mut all = survey(world, wanted);
    let peers: Vec<(&ContainerInstance, u64)> = all
        .iter()
        .filter(|(_, used)| used.peers > 0)
        .filter_map(|(id, used)| Some((world.container_instances.get(id)?, used.peers)))
        .collect();
    let active = |i: &ContainerInstance| {
        i.cluster == wanted.cluster && i.status == InstanceStatus::Active && wanted.on.has(world, i)
    };
    for (id, instance) in world.container_instances.iter().filter(|(_, i)| active(i)) {
        let used = all.remove(id.as_str()).unwrap_or_default();
        match lack(instance, &used, wanted) {
            Some(lack) => lacks.push((id.clone(), lack)),
            None => fits.push((id, instance, used)),
        }
    }
    if fits.is_empty() {
        // The closest one is the one that passed the most checks.
        let closest = lacks.iter().max_by_key(|(_, lack)| *lack).cloned();
        return Err(closest.map_or(Unplaced::NoInstances, |closest| Unplaced::Lacking { closest, all: lacks }));
    }
    let best = fits.iter().min_by_key(|(id, instance, used)| rank(instance, used, wanted, &peers, id));
    let Some((id, instance, used)) = best else { return Err(Unplaced::NoInstances) };
    Ok(Place {
        instance: (*id).clone(),
        availability_zone: instance.availability_zone.clone(),
        ports: bind(instance, used, wanted.shape),
    })
}

/// The place that a task has on a certain instance, if there is room.
pub(super) fn place_on(world: &World, wanted: &Wanted<'_>, id: &str) -> Option<Place> {
    let instance = world.container_instances.get(id)?;
    let used = Used::of(world, id);
    let room = lack(instance, &used, wanted).is_none();
    room.then(|| Place {
        instance: id.to_owned(),
        availability_zone: instance.availability_zone.clone(),
        ports: bind(instance, &used, wanted.shape),
    })
}

/// What an instance lacks first.
fn lack(instance: &ContainerInstance, used: &Used<'_>, wanted: &Wanted<'_>) -> Option<Lack> {
    let shape = wanted.shape;
    if !shape.platform.is_met_by(instance) {
        return Some(Lack::Attribute);
    }
    let met = |constraint: &Value| match text(constraint, "type") {
        Some("distinctInstance") => used.peers == 0,
        _ => is_member(constraint, instance),
    };
    if !wanted.constraints.iter().chain(&shape.constraints).all(met) {
        return Some(Lack::Constraint);
    }
    if shape.network_mode == "awsvpc" && used.interfaces >= instance.task_interfaces {
        return Some(Lack::Interface);
    }
    let mut fixed = shape.containers.iter().flat_map(|c| &c.ports).filter(|p| p.host != 0);
    if shape.network_mode != "awsvpc" && fixed.any(|p| used.binds(instance, p.host, &p.protocol)) {
        return Some(Lack::Port);
    }
    if used.memory + shape.memory > instance.memory {
        return Some(Lack::Memory);
    }
    (used.cpu + shape.cpu > instance.cpu).then_some(Lack::Cpu)
}

/// Whether an instance meets the expression of a constraint.
fn is_member(constraint: &Value, instance: &ContainerInstance) -> bool {
    text(constraint, "expression").and_then(Expression::parse).is_some_and(|e| e.holds(instance))
}

/// Whether tasks of this shape could ever run on an instance, whatever else runs there.
pub(super) fn admits(shape: &TaskShape, constraints: &[Value], instance: &ContainerInstance) -> bool {
    let met = |c: &Value| text(c, "type") != Some("memberOf") || is_member(c, instance);
    shape.platform.is_met_by(instance) && constraints.iter().chain(&shape.constraints).all(met)
}

/// Smaller is better: the strategies in their order (by default spread over zones), then the emptiest instance.
fn rank(
    instance: &ContainerInstance,
    used: &Used<'_>,
    wanted: &Wanted<'_>,
    peers: &[(&ContainerInstance, u64)],
    id: &str,
) -> (Vec<u64>, String) {
    let alike = |field: &str| {
        let value = attribute(instance, field);
        peers.iter().filter(|(peer, _)| attribute(peer, field) == value).map(|(_, count)| count).sum::<u64>()
    };
    let mut ranks: Vec<u64> = wanted
        .strategy
        .iter()
        .map(|strategy| match (text(strategy, "type"), text(strategy, "field")) {
            (Some("spread"), Some(field)) => alike(field),
            (Some("binpack"), Some("cpu" | "CPU")) => instance.cpu.saturating_sub(used.cpu),
            (Some("binpack"), _) => instance.memory.saturating_sub(used.memory),
            _ => 0,
        })
        .collect();
    if wanted.strategy.is_empty() {
        ranks.push(alike("attribute:ecs.availability-zone"));
    }
    ranks.push(alike("instanceId"));
    ranks.push(used.memory);
    (ranks, id.to_owned())
}

/// The value of a spread field or of an attribute.
fn attribute(instance: &ContainerInstance, field: &str) -> Option<String> {
    match field.strip_prefix("attribute:").unwrap_or(field) {
        "ecs.availability-zone" => Some(instance.availability_zone.clone()).filter(|zone| !zone.is_empty()),
        "instanceId" | "host" | "ec2InstanceId" => Some(instance.ec2_instance_id.clone()),
        name => match instance.attributes.get(name) {
            Some(own) => Some(own.clone()),
            None if name.starts_with("ecs.") => platform::attributes(instance).remove(name),
            None => None,
        },
    }
}

/// Ports on the host: fixed ones as they are, others the lowest free ones.
fn bind(instance: &ContainerInstance, used: &Used<'_>, shape: &TaskShape) -> Ports {
    let mut taken = BTreeSet::new();
    let mut bind_one = |port: &PortShape| {
        let own = matches!(shape.network_mode.as_str(), "awsvpc" | "host");
        let mut free = EPHEMERAL.filter(|candidate| {
            !used.binds(instance, *candidate, &port.protocol) && !taken.contains(&(*candidate, port.protocol.clone()))
        });
        let host_port = match port.host {
            _ if own => port.container,
            0 => free.next().unwrap_or(0),
            fixed => fixed,
        };
        taken.insert((host_port, port.protocol.clone()));
        PortBinding { container_port: port.container, host_port, protocol: port.protocol.clone() }
    };
    shape.containers.iter().map(|c| (c.name.clone(), c.ports.iter().map(&mut bind_one).collect())).collect()
}

/// Ports of a task that has a network interface of its own.
pub(super) fn own_ports(shape: &TaskShape) -> Ports {
    let own = |p: &PortShape| PortBinding {
        container_port: p.container,
        host_port: p.container,
        protocol: p.protocol.clone(),
    };
    shape.containers.iter().map(|c| (c.name.clone(), c.ports.iter().map(own).collect())).collect()
}

/// The part of the cluster query language that is modelled: comparisons of one attribute, joined by `and`.
#[derive(Debug, PartialEq)]
pub(super) struct Expression(Vec<Comparison>);

#[derive(Debug, PartialEq)]
struct Comparison {
    field: String,
    negated: bool,
    /// `None`: it exists.
    values: Option<Vec<String>>,
    /// Whether a value only has to begin like that.
    prefix: bool,
}

impl Expression {
    /// Reads an expression; nothing if it says more than is modelled.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split(" and ").flat_map(|part| part.split("&&")).map(Comparison::parse).collect::<Option<_>>().map(Self)
    }

    pub(super) fn holds(&self, instance: &ContainerInstance) -> bool {
        self.0.iter().all(|comparison| {
            let value = attribute(instance, &comparison.field);
            let matches = match &comparison.values {
                None => value.is_some(),
                Some(values) if comparison.prefix => {
                    value.is_some_and(|value| values.iter().any(|v| value.starts_with(v.as_str())))
                }
                Some(values) => value.is_some_and(|value| values.contains(&value)),
            };
            matches != comparison.negated
        })
    }
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        let (field, rest) = text.trim().split_once(char::is_whitespace)?;
        let (operator, operand) = match rest.trim().split_once(char::is_whitespace) {
            Some((operator, operand)) => (operator, operand.trim()),
            None => (rest.trim(), ""),
        };
        let words = |list: &str| -> Vec<String> {
            list.trim_matches(['[', ']']).split(',').map(|w| w.trim().trim_matches(['\'', '"']).to_owned()).collect()
        };
        let known = field.starts_with("attribute:") || matches!(field, "ec2InstanceId" | "instanceId");
        // Of regular expressions, only a beginning with anything behind it is modelled.
        let prefix = matches!(operator, "=~" | "!~");
        let begins = || -> Option<Vec<String>> {
            let beginning = operand.strip_suffix(".*")?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            beginning.chars().all(plain).then(|| vec![beginning.to_owned()])
        };
        let (negated, values) = match operator {
            _ if !known => return None,
            "=~" => (false, Some(begins()?)),
            "!~" => (true, Some(begins()?)),
            "==" | "equals" => (false, Some(words(operand))),
            "!=" | "not_equals" => (true, Some(words(operand))),
            "in" if operand.starts_with('[') => (false, Some(words(operand))),
            "not_in" | "!in" if operand.starts_with('[') => (true, Some(words(operand))),
            "exists" => (false, None),
            "!exists" | "not_exists" => (true, None),
            _ => return None,
        };
        Some(Self { field: field.to_owned(), negated, values, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_select_instances() {
        let world = World::default_account();
        let chosen = |text: &str| {
            let expression = Expression::parse(text).unwrap();
            world.container_instances.values().filter(|i| expression.holds(i)).count()
        };
        assert_eq!(chosen("attribute:ecs.availability-zone == us-east-1a"), 1);
        assert_eq!(chosen("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]"), 2);
        assert_eq!(chosen("attribute:ecs.availability-zone != us-east-1a and attribute:ecs.os-type == linux"), 2);
        assert_eq!(chosen("attribute:stack !exists"), 3);
        assert_eq!(chosen("attribute:ecs.cpu-architecture == x86_64"), 3);
        assert_eq!(chosen("attribute:ecs.cpu-architecture == arm64"), 0);
        assert_eq!(chosen("attribute:ecs.instance-type =~ m5.*"), 3);
        assert_eq!(chosen("attribute:ecs.instance-type !~ m5.*"), 0);
    }

    #[test]
    fn what_is_not_modelled_is_not_guessed() {
        for text in ["task:group == service:web", "attribute:a =~ b[0-9]", "nonsense"] {
            assert_eq!(Expression::parse(text), None, "{text}");
        }
    }
}

//! Whether the container instances that were observed have room for what a plan starts: for each component alone, and
//! for all of them together.
//!
//! The arithmetic follows the ECS scheduler: a deployment keeps ⌈d·min/100⌉ tasks and may run ⌊d·max/100⌋; a task needs
//! its cpu units, its memory (the soft limit, or the hard one where there is no soft limit), its static host ports and,
//! in network mode awsvpc, a network interface. Where capacity providers may add instances, a lack is a warning.
//!
//! Machines outside AWS and instances of EC2 never stand in for each other; instances that ECS starts for tasks as they
//! come (Managed Instances) are no room for anybody, and need not be there before.
//!
//! Invariant: an error is a proof. Together, resources are added up over all instances, which is more than any placement
//! can use; what fits that and still finds no place when it is tried is a warning.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::asg::agent;
use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::facts::Facts;
use crate::ecs::json::{any_fargate, items, number, text};
use crate::ecs::lower::Work;
use crate::placement::Placement;

use super::external;
use super::platform::Platform;

/// What one task takes of an instance.
struct Need {
    cpu: u64,
    memory: u64,
    host_ports: BTreeSet<u64>,
    distinct: bool,
    interface: bool,
    /// What it asks of the instance itself.
    platform: Platform,
}

/// What an instance has left.
struct Room {
    cpu: u64,
    memory: u64,
    ports: BTreeSet<u64>,
}

/// Container instances that tasks of one kind of component can be placed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Instances of EC2.
    Own,
    /// Machines outside AWS.
    External,
}

impl Pool {
    pub(super) fn of(desired: &Desired) -> Self {
        if desired.external() { Self::External } else { Self::Own }
    }

    /// Its instances among those of the cluster.
    pub(super) fn instances<'v>(self, context: Context<'_>, all: &[&'v Value]) -> Vec<&'v Value> {
        let own = |i: &&Value| external::is_external(i) == (self == Self::External) && !is_managed(context, i);
        all.iter().copied().filter(own).collect()
    }

    /// What its instances are called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Own => "container instances",
            Self::External => "machines outside AWS",
        }
    }

    /// How there come to be more of them.
    fn more(self) -> &'static str {
        match self {
            Self::Own => "add container instances",
            Self::External => "register more machines",
        }
    }
}

/// What one component takes when its plan has run, and for a moment before.
struct Demand {
    component: String,
    pool: Pool,
    place: Place,
    need: Need,
    /// Tasks more than now.
    more: u64,
    /// Whether a task starts beside the old ones before any of them may stop.
    beside: bool,
}

/// What the components of a plan take.
pub struct Capacity<'a> {
    context: Context<'a>,
    demands: Vec<Demand>,
    /// Whether the plan also ends tasks, which may make room in time.
    frees: bool,
}

impl<'a> Capacity<'a> {
    /// Nothing yet.
    pub fn new(context: Context<'a>) -> Self {
        Self { context, demands: Vec::new(), frees: false }
    }

    /// Judges the tasks that the work on one component starts, and keeps them in mind.
    pub fn add(&mut self, desired: &Desired, work: &Work<'_>, report: &mut Report) {
        if let Work::Update { service, .. } = work {
            let running = number(service, "desiredCount").unwrap_or_default();
            self.frees |= desired.desired_count().is_some_and(|wanted| wanted < running);
        }
        self.demands.extend(alone(self.context, desired, work, report));
    }

    /// Judges all of them together. `frees`: something else of the plan ends tasks.
    pub fn finish(self, frees: bool, report: &mut Report) {
        for pool in [Pool::Own, Pool::External] {
            self.together(pool, frees, report);
        }
    }

    /// Judges those of one kind of instances.
    fn together(&self, pool: Pool, frees: bool, report: &mut Report) {
        let Some((facts, instances)) = self.context.facts.and_then(|f| Some((f, f.instances.as_ref()?))) else {
            return;
        };
        let instances = &pool.instances(self.context, instances);
        let of_pool = self.demands.iter().filter(|d| d.pool == pool);
        let mut demands: Vec<&Demand> = of_pool.filter(|d| d.more > 0 || d.beside).collect();
        if demands.len() < 2 || instances.is_empty() {
            return;
        }
        demands.sort_by_key(|d| (std::cmp::Reverse((d.need.memory, d.need.cpu)), &d.component));
        let lack = lacking(facts, instances, &demands);
        let proven = lack.is_some() && !self.frees && !frees && !grows(self.context, facts, pool);
        let more = pool.more();
        let (what, help) = match lack {
            Some(lack) => (
                lack,
                format!(
                    "{more}, lower `replicas`, `cpu` or `mem`, or change the components one after the other with `--only`"
                ),
            ),
            None if packed(instances, &demands) => return,
            None => (
                "no way was found to place them all".to_owned(),
                format!("whether AWS finds one depends on its placement strategy: {more}, or try smaller tasks"),
            ),
        };
        let names: Vec<String> = demands.iter().take(5).map(|d| format!("`{}`", d.component)).collect();
        let more = demands.len() - names.len();
        let names = if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") };
        let message = format!(
            "the {} of cluster `{}` have no room for the new tasks of {names} together: {what}",
            pool.name(),
            self.context.settings.cluster,
        );
        let diagnostic = if proven { Diagnostic::error("B434", message) } else { Diagnostic::warning("B434", message) };
        let mut diagnostic = diagnostic.at(demands[0].place.clone());
        for other in demands.iter().skip(1).take(4) {
            let tasks = other.more.max(u64::from(other.beside));
            let tasks = if tasks == 1 { "1 task".to_owned() } else { format!("{tasks} tasks") };
            diagnostic = diagnostic.related(other.place.clone(), format!("`{}` starts {tasks} more", other.component));
        }
        report.push(diagnostic.help(help));
    }
}

/// What the instances lack for all of these, whichever way tasks are placed.
fn lacking(facts: &Facts<'_>, instances: &[&Value], demands: &[&Demand]) -> Option<String> {
    let rooms: Vec<Room> = instances.iter().map(|i| room(i)).collect();
    type Of<'a> = &'a dyn Fn(&Need) -> u64;
    let sums: [(&str, u64, Of<'_>); 2] = [
        ("MiB of memory", rooms.iter().map(|r| r.memory).sum(), &|n| n.memory),
        ("CPU units", rooms.iter().map(|r| r.cpu).sum(), &|n| n.cpu),
    ];
    for (unit, free, of) in sums {
        let wanted = wanted(demands, of);
        if wanted > free {
            return Some(format!("they need {wanted} {unit}, and {free} are free"));
        }
    }
    if let Some(free) = interfaces(facts, instances) {
        let wanted = wanted(demands, &|n| u64::from(n.interface));
        if wanted > free {
            return Some(format!("they need {wanted} network interfaces, and at most {free} are free"));
        }
    }
    let mut ports: BTreeMap<u64, u64> = BTreeMap::new();
    for demand in demands {
        for port in &demand.need.host_ports {
            *ports.entry(*port).or_default() += demand.more;
        }
    }
    ports.into_iter().find_map(|(port, wanted)| {
        let free = rooms.iter().filter(|r| !r.ports.contains(&port)).count() as u64;
        (wanted > free).then(|| format!("{wanted} of them want host port {port}, which is free on {free} instances"))
    })
}

/// What stays taken of one resource, and the most that one deployment takes for a moment beside it.
fn wanted(demands: &[&Demand], of: &dyn Fn(&Need) -> u64) -> u64 {
    let stays: u64 = demands.iter().map(|d| d.more * of(&d.need)).sum();
    let beside = demands.iter().filter(|d| d.beside && d.more == 0).map(|d| of(&d.need)).max();
    stays + beside.unwrap_or_default()
}

/// Whether the tasks that stay find places, the largest first, each where it leaves the least room.
fn packed(instances: &[&Value], demands: &[&Demand]) -> bool {
    const MOST: u64 = 20_000;
    let mut rooms: Vec<Room> = instances.iter().map(|i| room(i)).collect();
    if demands.iter().map(|d| d.more).sum::<u64>().saturating_mul(rooms.len() as u64) > MOST * 50 {
        return true;
    }
    for demand in demands {
        let need = &demand.need;
        let mut used = BTreeSet::new();
        for _ in 0..demand.more {
            let fits = |(at, room): &(usize, &Room)| {
                need.platform.is_met_by(instances[*at])
                    && room.cpu >= need.cpu
                    && room.memory >= need.memory
                    && need.host_ports.iter().all(|p| !room.ports.contains(p))
                    && !(need.distinct && used.contains(at))
            };
            let best = rooms.iter().enumerate().filter(fits).min_by_key(|(at, room)| (room.memory, room.cpu, *at));
            let Some(at) = best.map(|(at, _)| at) else { return false };
            rooms[at].cpu -= need.cpu;
            rooms[at].memory -= need.memory;
            rooms[at].ports.extend(&need.host_ports);
            used.insert(at);
        }
    }
    true
}

/// Network interfaces that tasks may still get, at most; absent where the types of the instances do not tell.
fn interfaces(facts: &Facts<'_>, instances: &[&Value]) -> Option<u64> {
    let all: u64 = instances.iter().map(|i| task_interfaces(i)).sum::<Option<u64>>()?;
    let taken =
        facts.services().filter(|(_, s)| has_interface(facts, s)).filter_map(|(_, s)| number(s, "runningCount"));
    Some(all.saturating_sub(taken.sum()))
}

/// Whether the tasks of an observed service have interfaces of container instances.
fn has_interface(facts: &Facts<'_>, service: &Value) -> bool {
    let task = text(service, "taskDefinition").and_then(|arn| facts.definition(arn));
    let on_instances = text(service, "launchType").is_none_or(|l| l == "EC2")
        && !any_fargate(items(service, "capacityProviderStrategy"));
    on_instances && task.is_some_and(|d| text(d.task, "networkMode") == Some("awsvpc"))
}

/// Interfaces that an instance of this type can give to tasks, at most: one is its own. Source: EC2 user guide, "Maximum
/// IP addresses per network interface"; where the types of one size differ, the largest number counts.
fn task_interfaces(instance: &Value) -> Option<u64> {
    let attribute = |name: &str| {
        items(instance, "attributes").iter().find(|a| text(a, "name") == Some(name)).map(|a| text(a, "value"))
    };
    if attribute("ecs.awsvpc-trunk-id").is_some() {
        return None;
    }
    let (_, size) = attribute("ecs.instance-type")??.split_once('.')?;
    Some(match size {
        "nano" | "micro" => 1,
        "small" | "medium" | "large" => 2,
        "xlarge" | "2xlarge" => 3,
        "4xlarge" => 7,
        _ => return None,
    })
}

/// Whether capacity providers may add instances.
fn grows(context: Context<'_>, facts: &Facts<'_>, pool: Pool) -> bool {
    let of_cluster = facts.cluster(&context.settings.cluster).map_or(&[][..], |c| items(c, "capacityProviders"));
    pool == Pool::Own && of_cluster.iter().filter_map(Value::as_str).any(|provider| !facts.is_managed(provider))
}

/// Whether ECS has started an observed container instance itself.
pub fn is_managed(context: Context<'_>, instance: &Value) -> bool {
    let provider = text(instance, "capacityProviderName");
    provider.is_some_and(|provider| context.facts.is_some_and(|facts| facts.is_managed(provider)))
}

/// Whether instances of this project have still to join the cluster, so that nothing is known of the room in it.
fn will_grow(context: Context<'_>, instances: &[&Value], pool: Pool) -> bool {
    if pool == Pool::External {
        return false;
    }
    let placed = Placement::of(context.loaded).asg;
    agent::joining(context.loaded, &placed, &context.settings.cluster) > instances.len() as u64
}

/// Judges the tasks that the work on one component starts; gives back what they take unless that alone is too much.
fn alone(context: Context<'_>, desired: &Desired, work: &Work<'_>, report: &mut Report) -> Option<Demand> {
    let facts = context.facts?;
    let pool = Pool::of(desired);
    let all = pool.instances(context, facts.instances.as_ref()?);
    let need = need(desired);
    let instances = &all.iter().copied().filter(|i| need.platform.is_met_by(i)).collect::<Vec<_>>();
    let wanted = desired.desired_count()?;
    if desired.fargate || desired.managed || will_grow(context, &all, pool) {
        return None;
    }
    let (minimum, _) = desired.percents();
    let (more, beside) = match work {
        // A task that runs once or at times leaves again; when it cannot be placed, its run says so.
        Work::Once | Work::Schedule(_) => return None,
        Work::None => return None,
        Work::Create => (wanted, false),
        Work::Update { service, difference, replace } => {
            let running = number(service, "desiredCount").unwrap_or_default();
            let deploys = difference.deploys() || *replace;
            // Tasks above the floor may stop first and make room.
            (wanted.saturating_sub(running), deploys && wanted > 0 && running <= (wanted * minimum).div_ceil(100))
        }
    };
    // Where traffic is shifted, all new tasks start beside the old ones.
    let twice = beside && crate::ecs::shift::shifts(&desired.service);
    let needed = if twice { wanted } else { more.max(u64::from(beside)) };
    if needed == 0 {
        return None;
    }
    let what = match work {
        Work::Update { .. } if more == 0 => "to start before an old one may stop",
        _ => "to start",
    };
    let mut free = slots(&need, instances);
    if let (true, Work::Update { service, .. }) = (need.distinct, work) {
        let running = number(service, "runningCount").unwrap_or_default();
        free = free.min((instances.len() as u64).saturating_sub(running));
    }
    if need.interface
        && let Some(interfaces) = interfaces(facts, instances)
    {
        free = free.min(interfaces);
    }
    let place = desired.service_origins.of("/desiredCount");
    let place = if context.loaded.locate(&place).is_some() {
        place
    } else {
        Place::model(["components", &desired.component]).key()
    };
    if free >= needed {
        return Some(Demand { component: desired.component.clone(), pool, place, need, more, beside });
    }
    let has = match instances.len() {
        0 if !all.is_empty() => {
            let (cluster, platform) = (&context.settings.cluster, need.platform.words());
            format!("cluster `{cluster}` has no {} that run {platform}", pool.name())
        }
        0 => format!("cluster `{}` has no {}", context.settings.cluster, pool.name()),
        count if count < all.len() => {
            let (cluster, platform) = (&context.settings.cluster, need.platform.words());
            let (name, all) = (pool.name(), all.len());
            format!("those of the {all} {name} of cluster `{cluster}` that run {platform} have room for {free}")
        }
        count => format!("the {count} {} of cluster `{}` have room for {free}", pool.name(), context.settings.cluster),
    };
    let tasks = if needed == 1 { "task" } else { "tasks" };
    let message = format!("`{}` has {needed} more {tasks} {what}, but {has}", desired.component);
    let grows = grows(context, facts, pool);
    let diagnostic = if grows { Diagnostic::warning("B434", message) } else { Diagnostic::error("B434", message) };
    let cpu = if need.cpu > 0 { format!("{} CPU units and ", need.cpu) } else { String::new() };
    let mut takes = format!("a task takes {cpu}{} MiB of memory", need.memory);
    if !need.host_ports.is_empty() {
        let ports: Vec<String> = need.host_ports.iter().map(u64::to_string).collect();
        takes.push_str(&format!(", and host port {} of its instance", ports.join(", ")));
    }
    if need.interface {
        takes.push_str(", and a network interface of its instance");
    }
    let diagnostic = diagnostic.at(place).help(takes);
    let diagnostic = match instances.len() < all.len() {
        true => diagnostic.help(
            "what a task is built for, `architecture` and `os` say, and what an instance runs, its type and image",
        ),
        false => diagnostic,
    };
    report.push(
        diagnostic
            .help(format!("{}, lower `replicas`, `cpu` or `mem`, or let deployments go below the full number (`raw.service.deploymentConfiguration.minimumHealthyPercent`)", pool.more())),
    );
    None
}

fn need(desired: &Desired) -> Need {
    let containers = items(&desired.task, "containerDefinitions");
    let sum = |f: &dyn Fn(&Value) -> Option<u64>| containers.iter().filter_map(f).sum::<u64>();
    let host_mode = desired.network_mode() == "host";
    let host_ports = containers
        .iter()
        .flat_map(|c| items(c, "portMappings"))
        .filter_map(|m| if host_mode { number(m, "containerPort") } else { number(m, "hostPort") })
        .filter(|p| *p != 0 && desired.network_mode() != "awsvpc")
        .collect();
    Need {
        cpu: number(&desired.task, "cpu").unwrap_or_else(|| sum(&|c| number(c, "cpu"))),
        memory: number(&desired.task, "memory")
            .unwrap_or_else(|| sum(&|c| number(c, "memoryReservation").or_else(|| number(c, "memory")))),
        host_ports,
        distinct: items(&desired.service, "placementConstraints")
            .iter()
            .any(|c| text(c, "type") == Some("distinctInstance")),
        interface: desired.network_mode() == "awsvpc",
        platform: Platform::of(&desired.task),
    }
}

fn slots(need: &Need, instances: &[&Value]) -> u64 {
    instances
        .iter()
        .map(|instance| {
            let room = room(instance);
            if need.host_ports.iter().any(|p| room.ports.contains(p)) {
                return 0;
            }
            let by_cpu = room.cpu.checked_div(need.cpu).unwrap_or(u64::MAX);
            let by_memory = room.memory.checked_div(need.memory).unwrap_or(u64::MAX);
            let one = need.distinct || !need.host_ports.is_empty();
            by_cpu.min(by_memory).min(if one { 1 } else { u64::MAX })
        })
        .fold(0, u64::saturating_add)
}

fn room(instance: &Value) -> Room {
    let remaining = |name: &str| items(instance, "remainingResources").iter().find(|r| text(r, "name") == Some(name));
    let amount = |name: &str| remaining(name).and_then(|r| number(r, "integerValue")).unwrap_or_default();
    let ports = items(instance, "remainingResources")
        .iter()
        .filter(|r| text(r, "name") == Some("PORTS"))
        .flat_map(|r| items(r, "stringSetValue"))
        .filter_map(|p| p.as_str().and_then(|p| p.parse().ok()))
        .collect();
    Room { cpu: amount("CPU"), memory: amount("MEMORY"), ports }
}

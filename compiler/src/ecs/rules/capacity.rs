//! Whether the container instances that were observed have room for what a plan starts.
//!
//! The arithmetic follows the ECS scheduler: a deployment keeps ⌈d·min/100⌉ tasks and may run ⌊d·max/100⌋; a task needs
//! its cpu units, its memory (the soft limit, or the hard one where there is no soft limit) and its static host ports on
//! one instance. Where capacity providers may add instances, a lack is a warning.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::json::{items, number, text};
use crate::ecs::lower::Work;

/// What one task takes of an instance.
struct Need {
    cpu: u64,
    memory: u64,
    host_ports: BTreeSet<u64>,
    distinct: bool,
}

/// What an instance has left.
struct Room {
    cpu: u64,
    memory: u64,
    ports: BTreeSet<u64>,
}

/// Judges the tasks that the work on one component starts.
pub fn check(context: Context<'_>, desired: &Desired, work: &Work<'_>, report: &mut Report) {
    let Some(facts) = context.facts else { return };
    let Some(instances) = &facts.instances else { return };
    let Some(wanted) = desired.desired_count() else { return };
    if desired.fargate || text(&desired.service, "launchType") == Some("EXTERNAL") {
        return;
    }
    let (minimum, _) = desired.percents();
    let (needed, what) = match work {
        Work::None => return,
        Work::Create => (wanted, "to start"),
        Work::Update { service, difference, replace } => {
            let running = number(service, "desiredCount").unwrap_or_default();
            let deploys = difference.deploys() || *replace;
            // Tasks above the floor may stop first and make room.
            let stuck = deploys && wanted > 0 && running <= (wanted * minimum).div_ceil(100);
            let more = wanted.saturating_sub(running);
            (more.max(u64::from(stuck)), if more > 0 { "to start" } else { "to start before an old one may stop" })
        }
    };
    if needed == 0 {
        return;
    }
    let need = need(desired);
    let mut free = slots(&need, instances);
    if let (true, Work::Update { service, .. }) = (need.distinct, work) {
        let running = number(service, "runningCount").unwrap_or_default();
        free = free.min((instances.len() as u64).saturating_sub(running));
    }
    if free >= needed {
        return;
    }
    let providers = facts.cluster(&context.settings.cluster).is_some_and(|c| !items(c, "capacityProviders").is_empty());
    let message = format!(
        "`{}` has {needed} more {} {what}, but the {} container instances of cluster `{}` have room for {free}",
        desired.component,
        if needed == 1 { "task" } else { "tasks" },
        instances.len(),
        context.settings.cluster,
    );
    let place = desired.service_origins.of("/desiredCount");
    let place = if context.loaded.locate(&place).is_some() {
        place
    } else {
        Place::model(["components", &desired.component]).key()
    };
    let diagnostic = if providers { Diagnostic::warning("B434", message) } else { Diagnostic::error("B434", message) };
    let cpu = if need.cpu > 0 { format!("{} CPU units and ", need.cpu) } else { String::new() };
    let mut takes = format!("a task takes {cpu}{} MiB of memory", need.memory);
    if !need.host_ports.is_empty() {
        let ports: Vec<String> = need.host_ports.iter().map(u64::to_string).collect();
        takes.push_str(&format!(", and host port {} of its instance", ports.join(", ")));
    }
    report.push(
        diagnostic
            .at(place)
            .help(takes)
            .help("add container instances, lower `replicas`, `cpu` or `mem`, or let deployments go below the full number (`raw.service.deploymentConfiguration.minimumHealthyPercent`)"),
    );
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

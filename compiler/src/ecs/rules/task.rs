//! Rules of a task definition as a whole: memory, cpu, names, sizes, dependencies, volumes.
//!
//! Source: ECS developer guide, "Task definition parameters", and RegisterTaskDefinition in the API reference.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::diagnostics::Report;
use crate::ecs::json::{flag, items, number, text};
use crate::ecs::names::is_ecs_name;

use super::Subject;

/// ECS takes at most this many containers in a task definition.
const MAX_CONTAINERS: usize = 10;
/// Bytes of a task definition.
const MAX_BYTES: usize = 64 * 1024;
/// MiB that Docker needs for a container.
const MIN_MEMORY: u64 = 6;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    names(subject, report);
    memory(subject, report);
    sums(subject, report);
    containers(subject, report);
    dependencies(subject, report);
    volumes(subject, report);
}

fn names(subject: &Subject<'_>, report: &mut Report) {
    let desired = subject.desired;
    for (what, name) in [("service", &desired.service_name), ("task-definition family", &desired.family)] {
        // What the names are made of was judged where it was read: only their length is left.
        if name.len() <= 255 {
            continue;
        }
        let why = format!("the name of the {what} would have {} characters", name.len());
        report.push(
            subject
                .error("B401", why, crate::diagnostics::Place::model(["components", &desired.component]).key())
                .help("it is made of cluster, project and component: ECS names have up to 255 characters"),
        );
        return;
    }
    for (name, _) in subject.containers().filter(|(name, _)| *name != desired.component && !is_ecs_name(name)) {
        report.push(
            subject
                .error(
                    "B401",
                    format!("`{name}` cannot be the name of a container"),
                    subject.in_container(name, ["name"]),
                )
                .help("ECS names have 1 to 255 letters, digits, hyphens and underscores"),
        );
    }
}

fn memory(subject: &Subject<'_>, report: &mut Report) {
    let task_memory = number(subject.task(), "memory");
    for (name, container) in subject.containers() {
        let (hard, soft) = (number(container, "memory"), number(container, "memoryReservation"));
        if task_memory.is_none() && hard.is_none() && soft.is_none() {
            report.push(
                subject
                    .error("B404", format!("container `{name}` says nothing about its memory"), subject.in_container(name, ["name"]).key())
                    .help("write `mem: 256` (hard limit, MiB) or `mem_reserve: 128` (soft limit, MiB), or give the whole task `memory` in `raw.task_definition`"),
            );
        }
        if let (Some(hard), Some(soft)) = (hard, soft)
            && hard <= soft
        {
            report.push(
                subject
                    .error(
                        "B405",
                        format!("the soft limit ({soft} MiB) of `{name}` is not below its hard limit ({hard} MiB)"),
                        subject.in_container(name, ["memoryReservation"]),
                    )
                    .related(subject.in_container(name, ["memory"]), "the hard limit is here")
                    .help("write a `mem_reserve` below `mem`, or only one of the two"),
            );
        }
        for (member, value) in [("memory", hard), ("memoryReservation", soft)] {
            if value.is_some_and(|v| v < MIN_MEMORY) {
                report.push(
                    subject
                        .error(
                            "B405",
                            format!("{} MiB are too little for container `{name}`", value.unwrap_or_default()),
                            subject.in_container(name, [member]),
                        )
                        .help(format!("Docker needs at least {MIN_MEMORY} MiB for a container")),
                );
            }
        }
    }
}

fn sums(subject: &Subject<'_>, report: &mut Report) {
    // What a container reserves is its soft limit, and its hard limit only where it has no soft one.
    let sum = |first: &str, second: &str| -> u64 {
        subject.containers().filter_map(|(_, c)| number(c, first).or_else(|| number(c, second))).sum()
    };
    let limits =
        [("cpu", sum("cpu", "cpu"), "CPU units"), ("memory", sum("memoryReservation", "memory"), "MiB of memory")];
    for (member, sum, unit) in limits {
        if let Some(limit) = number(subject.task(), member)
            && sum > limit
        {
            report.push(
                subject
                    .error(
                        "B406",
                        format!("the containers together want {sum} {unit}, but the task has {limit}"),
                        subject.in_task([member]),
                    )
                    .help(format!("raise the task's `{member}` to {sum}, or lower what its containers want")),
            );
        }
    }
    let Some(limit) = number(subject.task(), "memory") else { return };
    for (name, container) in subject.containers() {
        if let Some(hard) = number(container, "memory").filter(|hard| *hard > limit) {
            report.push(
                subject
                    .error(
                        "B406",
                        format!("container `{name}` may have {hard} MiB of memory, but its task has {limit}"),
                        subject.in_container(name, ["memory"]),
                    )
                    .related(subject.in_task(["memory"]), "the memory of the task is here")
                    .help(format!("write a `mem` of at most {limit}, or raise the task's `memory`")),
            );
        }
    }
}

fn containers(subject: &Subject<'_>, report: &mut Report) {
    let all = items(subject.task(), "containerDefinitions");
    if all.len() > MAX_CONTAINERS {
        report.push(
            subject
                .error(
                    "B407",
                    format!("the task has {} containers; ECS takes at most {MAX_CONTAINERS}", all.len()),
                    crate::diagnostics::Place::model(["components", &subject.desired.component, "containers"]).key(),
                )
                .help("split the component into several"),
        );
    }
    if let Some((first, _)) = subject.containers().next()
        && !all.iter().any(|c| flag(c, "essential").unwrap_or(true))
    {
        report.push(
            subject
                .error("B407", "no container of the task is essential", subject.in_container(first, ["essential"]))
                .help("the task would never be seen as stopped: let at least one container be essential"),
        );
    }
    let bytes = serde_json::to_string(subject.task()).map_or(0, |t| t.len());
    if bytes > MAX_BYTES {
        report.push(
            subject
                .error(
                    "B407",
                    format!("the task definition has {bytes} bytes; ECS takes at most {MAX_BYTES}"),
                    subject.in_task([""; 0]),
                )
                .help("move long values out of `env`, for example into an S3 environment file or SSM parameters"),
        );
    }
}

fn dependencies(subject: &Subject<'_>, report: &mut Report) {
    let known: BTreeMap<&str, &serde_json::Value> = subject.containers().collect();
    let mut graph: DiGraphMap<&str, ()> = DiGraphMap::new();
    for (name, container) in subject.containers() {
        for dependency in items(container, "dependsOn") {
            let Some(on) = text(dependency, "containerName") else { continue };
            let place = subject.in_container(name, ["dependsOn", on]);
            let Some(target) = known.get(on) else {
                let names: Vec<&str> = known.keys().copied().filter(|k| *k != name).collect();
                let mut diagnostic = subject.error(
                    "B408",
                    format!("`{name}` depends on container `{on}`, which the task does not have"),
                    place,
                );
                if let Some(near) = crate::nearest(on, names.iter().copied()) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                report.push(diagnostic.help(format!("the other containers of the task are: {}", names.join(", "))));
                continue;
            };
            graph.add_edge(name, on, ());
            match text(dependency, "condition") {
                Some("HEALTHY") if target.get("healthCheck").is_none() => report.push(
                    subject
                        .error("B408", format!("`{name}` waits until `{on}` is healthy, but `{on}` has no health check"), place)
                        .help("give it a `healthCheck` in `raw`, or depend on START"),
                ),
                Some(condition @ ("COMPLETE" | "SUCCESS")) if flag(target, "essential").unwrap_or(true) => report.push(
                    subject
                        .error("B408", format!("`{name}` waits until `{on}` has ended ({condition}), but `{on}` is essential: the task ends with it"), place)
                        .help(format!("write `essential: false` for `{on}`")),
                ),
                _ => {}
            }
        }
    }
    for cycle in tarjan_scc(&graph) {
        let looped = cycle.len() > 1 || cycle.first().is_some_and(|n| graph.contains_edge(n, n));
        if !looped {
            continue;
        }
        let mut names = cycle.clone();
        names.sort_unstable();
        let path = crate::meaning::uses::walk(&graph, &names);
        let shown: Vec<&str> = path.iter().copied().chain([path[0]]).collect();
        let mut diagnostic = subject.error(
            "B408",
            format!("containers depend on each other in a circle: {}", shown.join(" → ")),
            subject.in_container(shown[0], ["dependsOn", shown[1]]),
        );
        for pair in shown.windows(2).skip(1) {
            diagnostic = diagnostic.related(subject.in_container(pair[0], ["dependsOn", pair[1]]), "and here");
        }
        report.push(diagnostic.help("remove one of the dependencies"));
    }
}

fn volumes(subject: &Subject<'_>, report: &mut Report) {
    let mut names = BTreeSet::new();
    for volume in items(subject.task(), "volumes") {
        let Some(name) = text(volume, "name") else { continue };
        names.insert(name);
        let kinds: Vec<&str> = [
            "host",
            "dockerVolumeConfiguration",
            "efsVolumeConfiguration",
            "fsxWindowsFileServerVolumeConfiguration",
            "configuredAtLaunch",
        ]
        .into_iter()
        .filter(|k| volume.get(*k).is_some_and(|v| *v != serde_json::Value::Bool(false)))
        .collect();
        if kinds.len() > 1 {
            report.push(
                subject
                    .error(
                        "B413",
                        format!("volume `{name}` is of several kinds at once: {}", kinds.join(", ")),
                        subject.in_task(["volumes", name]),
                    )
                    .help("keep one of them"),
            );
        }
        if subject.desired.fargate && volume.get("dockerVolumeConfiguration").is_some() {
            report.push(
                subject
                    .error(
                        "B413",
                        format!("volume `{name}` is a Docker volume, which Fargate does not have"),
                        subject.in_task(["volumes", name]),
                    )
                    .help("use an empty volume (`{}`) or Amazon EFS"),
            );
        }
    }
    for (name, container) in subject.containers() {
        for mount in items(container, "mountPoints") {
            if let Some(volume) = text(mount, "sourceVolume")
                && !names.contains(volume)
            {
                let path = text(mount, "containerPath").unwrap_or_default();
                report.push(
                    subject
                        .error(
                            "B413",
                            format!("container `{name}` mounts volume `{volume}`, which the task does not have"),
                            subject.in_container(name, ["mountPoints", path]),
                        )
                        .help("add it to the task's `volumes`, or correct the name"),
                );
            }
        }
    }
}

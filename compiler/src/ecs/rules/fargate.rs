//! Rules of Fargate: sizes, roles, time limits, and what it leaves out.
//!
//! Source: ECS developer guide, "Task definition differences for Fargate", "Task CPU and memory" and "Fargate task
//! ephemeral storage".

use serde_json::Value;

use crate::diagnostics::Report;
use crate::ecs::json::{flag, items, number, text};
use belay_schemas::image::Image;

use super::Subject;

/// MiB in a GB, as AWS counts.
const GB: u64 = 1024;
/// Task sizes: CPU units, least and most memory in GB, and the steps between.
const SIZES: [(u64, u64, u64, u64); 6] =
    [(512, 1, 4, 1), (1024, 2, 8, 1), (2048, 4, 16, 1), (4096, 8, 30, 1), (8192, 16, 60, 4), (16384, 32, 120, 8)];

/// What memory goes with a number of CPU units, in MiB, ascending; none when there is no such size.
fn memories(cpu: u64) -> Vec<u64> {
    match cpu {
        256 => vec![512, GB, 2 * GB],
        32768 => vec![60 * GB, 120 * GB, 244 * GB],
        _ => match SIZES.iter().find(|(size, ..)| *size == cpu) {
            Some((_, least, most, step)) => {
                (*least..=*most).step_by(usize::try_from(*step).unwrap_or(1)).map(|gb| gb * GB).collect()
            }
            None => Vec::new(),
        },
    }
}

/// The smallest task that holds so much.
fn smallest(cpu: u64, memory: u64) -> Option<(u64, u64)> {
    [256, 512, 1024, 2048, 4096, 8192, 16384, 32768]
        .into_iter()
        .filter(|size| *size >= cpu)
        .find_map(|size| Some((size, memories(size).into_iter().find(|m| *m >= memory)?)))
}

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    if !subject.desired.fargate {
        elsewhere(subject, report);
        return;
    }
    for (name, container) in subject.containers() {
        fargate_container(subject, name, container, report);
    }
    fargate_task(subject, report);
}

/// What only Fargate has.
fn elsewhere(subject: &Subject<'_>, report: &mut Report) {
    if subject.task().get("ephemeralStorage").is_some() {
        report.push(
            subject
                .error(
                    "B418",
                    "the disk of a task has a size on Fargate only",
                    subject.in_task(["ephemeralStorage"]),
                )
                .help("remove it: on container instances, tasks share the instance's disk; or write `launch_type: FARGATE`"),
        );
    }
}

/// The pair of CPU and memory is one that Fargate has.
fn size(subject: &Subject<'_>, report: &mut Report) {
    let task = subject.task();
    let sum = |f: &dyn Fn(&Value) -> Option<u64>| subject.containers().filter_map(|(_, c)| f(c)).sum::<u64>();
    let (cpu, memory) = (amount(task, "cpu"), amount(task, "memory"));
    let wanted = (
        cpu.unwrap_or_else(|| sum(&|c| number(c, "cpu"))),
        memory.unwrap_or_else(|| sum(&|c| number(c, "memory").or_else(|| number(c, "memoryReservation")))),
    );
    let fits = smallest(wanted.0, wanted.1)
        .map(|(cpu, memory)| format!("write `task_cpu: {cpu}` and `task_mem: {memory}`, the smallest task that fits"))
        .unwrap_or_else(|| "Fargate has no task that large: split the component".to_owned());
    let (Some(cpu), Some(memory)) = (cpu, memory) else {
        let missing = if cpu.is_none() { "cpu" } else { "memory" };
        report.push(
            subject
                .error("B403", "Fargate needs to know CPU and memory of the whole task", subject.in_task([missing]))
                .help(fits),
        );
        return;
    };
    let possible = memories(cpu);
    if possible.is_empty() {
        report.push(
            subject
                .error("B403", format!("Fargate has no tasks of {cpu} CPU units"), subject.in_task(["cpu"]))
                .help("it has 256, 512, 1024, 2048, 4096, 8192, 16384 and 32768")
                .help(fits),
        );
    } else if !possible.contains(&memory) {
        let (least, most) = (possible[0], possible[possible.len() - 1]);
        report.push(
            subject
                .error(
                    "B403",
                    format!("Fargate has no tasks of {cpu} CPU units with {memory} MiB of memory"),
                    subject.in_task(["memory"]),
                )
                .related(subject.in_task(["cpu"]), "the CPU units are here")
                .help(format!("with {cpu} CPU units it has {} sizes from {least} to {most} MiB", possible.len()))
                .help(fits),
        );
    }
}

/// CPU units or MiB, however they are written.
fn amount(task: &Value, member: &str) -> Option<u64> {
    let value = crate::ecs::normal::task(task).get(member).cloned()?;
    value.as_str().and_then(|text| text.parse().ok())
}

/// Where AWS has the instances, nobody else could fetch images, write logs or read secrets.
pub fn execution_role(subject: &Subject<'_>, code: &'static str, report: &mut Report) {
    if text(subject.task(), "executionRoleArn").is_some() {
        return;
    }
    let need = subject.containers().find_map(|(name, container)| {
        let image = text(container, "image").map(Image::parse).map(|i| i.repository).unwrap_or_default();
        let driver = container.pointer("/logConfiguration/logDriver").and_then(Value::as_str);
        if image.contains(".dkr.ecr.") {
            Some((name, "image", format!("to fetch `{image}` from Amazon ECR")))
        } else if driver == Some("awslogs") {
            Some((name, "logConfiguration", format!("to write the logs of `{name}`")))
        } else if container.get("repositoryCredentials").is_some() {
            Some((name, "repositoryCredentials", format!("to read the credentials for the registry of `{name}`")))
        } else if !items(container, "environmentFiles").is_empty() {
            Some((name, "environmentFiles", format!("to read the environment files of `{name}`")))
        } else {
            None
        }
    });
    if let Some((name, member, why)) = need {
        report.push(
            subject
                .error(code, format!("the task has no execution role {why}"), subject.in_container(name, [member]))
                .help("write `execution_role:` for the component or for the whole environment"),
        );
    }
}

/// Time limits and disk.
fn limits(subject: &Subject<'_>, report: &mut Report) {
    for (name, container) in subject.containers() {
        for member in ["startTimeout", "stopTimeout"] {
            if let Some(seconds) = number(container, member).filter(|s| !(2..=120).contains(s)) {
                report.push(
                    subject
                        .error(
                            "B418",
                            format!("`{member}` of `{name}` is {seconds} s"),
                            subject.in_container(name, [member]),
                        )
                        .help("Fargate takes 2 to 120 seconds"),
                );
            }
        }
    }
    let storage = subject.task().get("ephemeralStorage").and_then(|s| number(s, "sizeInGiB"));
    if let Some(size) = storage.filter(|s| !(21..=200).contains(s)) {
        report.push(
            subject
                .error(
                    "B418",
                    format!("a task cannot have a disk of {size} GiB"),
                    subject.in_task(["ephemeralStorage"]),
                )
                .help("Fargate takes 21 to 200 GiB; without a word it is 20"),
        );
    }
}

fn fargate_container(subject: &Subject<'_>, name: &str, container: &Value, report: &mut Report) {
    let mut refuse = |member: &str, what: &str| {
        report.push(
            subject
                .error(
                    "B414",
                    format!("container `{name}` {what}, which Fargate does not allow"),
                    subject.in_container(name, [member]),
                )
                .help(format!("remove `{member}`, or run the component on container instances")),
        );
    };
    if flag(container, "privileged") == Some(true) {
        refuse("privileged", "is privileged");
    }
    if !items(container, "dockerSecurityOptions").is_empty() {
        refuse("dockerSecurityOptions", "has Docker security options");
    }
}

fn fargate_task(subject: &Subject<'_>, report: &mut Report) {
    let task = subject.task();
    if text(task, "networkMode") != Some("awsvpc") {
        report.push(
            subject
                .error("B414", "Fargate has network mode awsvpc only", subject.in_task(["networkMode"]))
                .help("remove `network_mode`, and say with `network: {subnets: [...]}` where the tasks are"),
        );
    }
    size(subject, report);
    execution_role(subject, "B403", report);
    limits(subject, report);
    if text(task, "pidMode") == Some("host") {
        report.push(
            subject
                .error(
                    "B414",
                    "the task shares the host's processes (`pidMode: host`), which Fargate does not allow",
                    subject.in_task(["pidMode"]),
                )
                .help("remove `pidMode`, or write `task`"),
        );
    }
    if task.get("ipcMode").is_some() {
        report.push(
            subject
                .error("B414", "`ipcMode` is not available on Fargate", subject.in_task(["ipcMode"]))
                .help("remove it"),
        );
    }
    let placed = [
        (task, "placementConstraints", true),
        (subject.service(), "placementConstraints", false),
        (subject.service(), "placementStrategy", false),
    ];
    for (document, member, in_task) in placed {
        if !items(document, member).is_empty() {
            let place = if in_task { subject.in_task([member]) } else { subject.in_service([member]) };
            report
                .push(subject.error("B414", format!("`{member}` has no meaning on Fargate"), place).help("remove it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_table() {
        assert_eq!(memories(256), [512, 1024, 2048]);
        assert_eq!((memories(4096).len(), memories(4096)[22]), (23, 30 * GB));
        assert_eq!(memories(16384).last(), Some(&(120 * GB)));
        assert!(memories(300).is_empty());
        assert_eq!(smallest(0, 600), Some((256, 1024)));
        assert_eq!(smallest(300, 5000), Some((1024, 5 * GB)));
        assert_eq!(smallest(0, 300 * GB), None);
    }
}

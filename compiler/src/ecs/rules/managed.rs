//! Rules of Managed Instances: instances that ECS starts, patches and ends itself, so that nothing of theirs is a task's to
//! name or to change.
//!
//! Source: ECS developer guide, "Task definition differences for Amazon ECS Managed Instances" and "Amazon ECS task
//! definition parameters for Amazon ECS Managed Instances".

use serde_json::Value;

use crate::diagnostics::{Place, Report};
use crate::ecs::json::text;

use super::{Subject, fargate};

/// Members of a container that such instances do not take. Links are judged with the network mode.
const OF_CONTAINER: [&str; 7] = [
    "disableNetworking",
    "dnsSearchDomains",
    "dnsServers",
    "dockerLabels",
    "dockerSecurityOptions",
    "extraHosts",
    "hostname",
];
/// Members of `linuxParameters`.
const OF_LINUX: [&str; 4] = ["maxSwap", "sharedMemorySize", "swappiness", "tmpfs"];
/// Members of a task.
const OF_TASK: [&str; 3] = ["inferenceAccelerators", "ipcMode", "proxyConfiguration"];

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    if !subject.desired.managed {
        return;
    }
    let mut refuse = |what: String, place: Place, help: String| {
        report.push(subject.error("B460", format!("Managed Instances {what}"), place).help(help));
    };
    let mode = subject.desired.network_mode();
    if !matches!(mode, "awsvpc" | "host") {
        refuse(
            format!("have the network modes awsvpc and host only, and this task has {mode}"),
            subject.in_task(["networkMode"]),
            "remove `network_mode` and say with `network: {subnets: [...]}` where the tasks are, or write `network_mode: host`".to_owned(),
        );
    }
    let given = |value: &Value| !value.is_null() && *value != Value::Bool(false) && *value != serde_json::json!([]);
    let without = |member: &str| format!("do not take `{member}`");
    let remove = |member: &str| {
        // As the model and the environment call it.
        let key = match member {
            "dockerLabels" => "labels",
            "dnsSearchDomains" => "discovery_zone",
            other => other,
        };
        format!("remove `{key}`, or run the component on instances of your own")
    };
    for member in OF_TASK.into_iter().filter(|member| subject.task().get(*member).is_some_and(given)) {
        refuse(without(member), subject.in_task([member]), remove(member));
    }
    for (name, container) in subject.containers() {
        for member in OF_CONTAINER.into_iter().filter(|member| container.get(*member).is_some_and(given)) {
            // In that mode nobody has them.
            if mode == "awsvpc" && ["extraHosts", "hostname"].contains(&member) {
                continue;
            }
            refuse(without(member), subject.in_container(name, [member]), remove(member));
        }
        let linux = container.get("linuxParameters").unwrap_or(&Value::Null);
        for member in OF_LINUX.into_iter().filter(|member| linux.get(*member).is_some_and(given)) {
            refuse(without(member), subject.in_container(name, ["linuxParameters", member]), remove(member));
        }
    }
    for volume in crate::ecs::json::items(subject.task(), "volumes") {
        let name = text(volume, "name").unwrap_or_default();
        let what = if volume.pointer("/host/sourcePath").is_some() {
            "no directory of the instance to share"
        } else if volume.get("dockerVolumeConfiguration").is_some() {
            "no Docker volumes"
        } else if volume.get("fsxWindowsFileServerVolumeConfiguration").is_some() {
            "no file systems of Windows"
        } else {
            continue;
        };
        refuse(
            format!("have {what}, which volume `{name}` is of"),
            subject.in_task(["volumes", name]),
            "use an empty volume (`{}`), Amazon EFS or Amazon EBS".to_owned(),
        );
    }
    fargate::execution_role(subject, "B460", report);
}

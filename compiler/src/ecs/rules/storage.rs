//! Rules of Amazon EBS volumes for each task.
//!
//! Source: `ServiceManagedEBSVolumeConfiguration` in the ECS API reference; EC2's limits of volume types.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnostics::Report;
use crate::ecs::json::{flag, items, text};

use super::Subject;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    let configured: BTreeSet<&str> =
        items(subject.service(), "volumeConfigurations").iter().filter_map(|c| text(c, "name")).collect();
    let at_launch: BTreeSet<&str> = items(subject.task(), "volumes")
        .iter()
        .filter(|v| flag(v, "configuredAtLaunch") == Some(true))
        .filter_map(|v| text(v, "name"))
        .collect();
    for name in at_launch.difference(&configured) {
        report.push(
            subject
                .error("B437", format!("volume `{name}` is configured at launch, but the service does not configure it"), subject.in_task(["volumes", name]))
                .help("write it as `ebs:` in the environment's `volumes`, or give `volumeConfigurations` in `raw.service`"),
        );
    }
    for name in configured.difference(&at_launch) {
        report.push(
            subject
                .error(
                    "B437",
                    format!("the service configures volume `{name}`, which the task does not leave to it"),
                    subject.in_service(["volumeConfigurations", name]),
                )
                .help("mount the volume in a container, or remove the configuration"),
        );
    }
    for configuration in items(subject.service(), "volumeConfigurations") {
        if let (Some(name), Some(volume)) = (text(configuration, "name"), configuration.get("managedEBSVolume")) {
            volume_rules(subject, name, volume, report);
        }
    }
}

fn volume_rules(subject: &Subject<'_>, name: &str, volume: &Value, report: &mut Report) {
    let kind = text(volume, "volumeType").unwrap_or("gp3");
    let at = |member: &str| subject.in_service(["volumeConfigurations", name, "managedEBSVolume", member]);
    let given = |member: &str| volume.get(member).is_some();
    let faults = [
        (
            !given("sizeInGiB") && !given("snapshotId"),
            "sizeInGiB",
            "has neither a size nor a snapshot".to_owned(),
            "write `size:` in GiB, or `snapshot:`",
        ),
        (
            matches!(kind, "io1" | "io2") && !given("iops"),
            "iops",
            format!("is of the type {kind}, which needs `iops`"),
            "write `iops:`, or choose gp3",
        ),
        (
            given("iops") && !matches!(kind, "io1" | "io2" | "gp3"),
            "iops",
            format!("has `iops`, which the type {kind} does not take"),
            "remove `iops`, or choose gp3, io1 or io2",
        ),
        (
            given("throughput") && kind != "gp3",
            "throughput",
            format!("has `throughput`, which the type {kind} does not take"),
            "remove `throughput`, or choose gp3",
        ),
    ];
    for (wrong, member, what, help) in faults {
        if wrong {
            report.push(subject.error("B437", format!("the EBS volume `{name}` {what}"), at(member)).help(help));
        }
    }
}

//! Rules of machines outside AWS that are registered with the cluster (launch type EXTERNAL): what needs AWS's network
//! does not reach them.
//!
//! Source: ECS developer guide, "Amazon ECS clusters for external instances" (considerations), "Use Service Connect"
//! (considerations) and "Use Amazon EBS volumes with Amazon ECS" (where volumes can be attached).

use belay_schemas::observed::EXTERNAL;
use serde_json::Value;

use crate::diagnostics::{Place, Report};
use crate::ecs::connect;
use crate::ecs::json::{items, text};

use super::{Subject, fargate};

/// Whether an observed container instance is a machine outside AWS.
pub fn is_external(instance: &Value) -> bool {
    items(instance, "attributes").iter().any(|attribute| text(attribute, "name") == Some(EXTERNAL))
}

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    if !subject.desired.external() {
        return;
    }
    let mut refuse = |what: String, place: Place, help: &str| {
        report.push(subject.error("B459", format!("machines outside AWS {what}"), place).help(help));
    };
    if subject.desired.network_mode() == "awsvpc" {
        refuse(
            "give tasks no network interface of their own (network mode awsvpc)".to_owned(),
            subject.in_task(["networkMode"]),
            "write `network_mode: bridge`, `host` or `none`",
        );
    }
    let service = subject.service();
    if !items(service, "loadBalancers").is_empty() {
        refuse(
            "cannot be behind load balancers of AWS".to_owned(),
            subject.in_service(["loadBalancers"]),
            "remove the component from the gateway's `target`; fixed host ports (a gateway of the type `host_port`) work",
        );
    }
    if !items(service, "serviceRegistries").is_empty() {
        refuse(
            "are not registered with Cloud Map".to_owned(),
            subject.in_service(["serviceRegistries"]),
            "remove `discovery`, and let whoever uses the component know the machine's address",
        );
    }
    if service.get(connect::MEMBER).is_some_and(|c| c["enabled"] == true) {
        refuse(
            "are not reached by Service Connect, and do not reach what it offers".to_owned(),
            subject.in_service([connect::MEMBER]),
            "write `connect: {enabled: false}`, and tell the component the addresses of what it uses",
        );
    }
    for volume in items(subject.task(), "volumes") {
        let name = text(volume, "name").unwrap_or_default();
        let what = if volume.get("efsVolumeConfiguration").is_some() {
            "Amazon EFS"
        } else if volume.get("configuredAtLaunch").is_some_and(|v| *v == true) {
            "Amazon EBS"
        } else {
            continue;
        };
        refuse(
            format!("have no {what}, which volume `{name}` is of"),
            subject.in_task(["volumes", name]),
            "name a directory of the machine (`from: /path`), or an empty volume (`{}`)",
        );
    }
    if subject.task().get("proxyConfiguration").is_some() {
        refuse(
            "have no proxies of App Mesh".to_owned(),
            subject.in_task(["proxyConfiguration"]),
            "remove `proxyConfiguration`",
        );
    }
    fargate::execution_role(subject, "B459", report);
}

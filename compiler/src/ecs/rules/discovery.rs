//! Rules of Cloud Map registries and of Service Connect.
//!
//! Source: ServiceRegistry and ServiceConnectService in the ECS API reference; ECS developer guide, "Service discovery"
//! and "Service Connect".

use std::collections::BTreeMap;

use crate::diagnostics::Report;
use crate::ecs::json::{items, number, text};

use super::Subject;

/// Tasks of a service with a registry at most.
const MAX_TASKS: u64 = 1000;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    registries(subject, report);
    connect(subject, report);
}

fn registries(subject: &Subject<'_>, report: &mut Report) {
    let registries = items(subject.service(), "serviceRegistries");
    let at = |index: usize| subject.in_service(["serviceRegistries", &index.to_string()]);
    let mut refuse =
        |message: String, index: usize, help: &str| report.push(subject.error("B440", message, at(index)).help(help));
    if registries.is_empty() {
        return;
    }
    if registries.len() > 1 {
        refuse(format!("{} registries are named; ECS takes one", registries.len()), 1, "keep one");
    }
    if let Some(count) = subject.desired.desired_count().filter(|count| *count > MAX_TASKS) {
        refuse(
            format!("{count} tasks are more than the {MAX_TASKS} that a registry takes"),
            0,
            "lower `replicas`, or put the component behind a load balancer",
        );
    }
    let own = subject.desired.network_mode() == "awsvpc";
    for (index, registry) in registries.iter().enumerate() {
        let container = (text(registry, "containerName"), number(registry, "containerPort"));
        let port = number(registry, "port");
        match (own, container, port) {
            (false, (Some(_), Some(_)), None) | (true, (None, None), _) | (true, (Some(_), Some(_)), None) => {}
            (false, ..) => refuse(
                format!(
                    "in network mode {} a task is found by the port of its instance",
                    subject.desired.network_mode()
                ),
                index,
                "write `containerName` and `containerPort`, without `port`; the Cloud Map service has SRV records",
            ),
            (true, ..) => refuse(
                "a registry names `port`, or `containerName` and `containerPort`, not parts of both".to_owned(),
                index,
                "keep one of the two",
            ),
        }
        if let (Some(name), Some(port)) = container {
            let known = subject.containers().find(|(n, _)| *n == name);
            let mapped = known.is_some_and(|(_, c)| {
                items(c, "portMappings").iter().any(|m| number(m, "containerPort") == Some(port))
            });
            if !mapped {
                refuse(
                    format!("the registry names port {port} of container `{name}`, which the task does not provide"),
                    index,
                    "name a container of the task and one of its ports",
                );
            }
        }
    }
}

fn connect(subject: &Subject<'_>, report: &mut Report) {
    let Some(configuration) = subject.service().get("serviceConnectConfiguration") else { return };
    let base = ["serviceConnectConfiguration", "services"];
    let at = |index: usize| subject.in_service([base[0], base[1], &index.to_string()]);
    let mut refuse =
        |message: String, index: usize, help: String| report.push(subject.error("B438", message, at(index)).help(help));
    let ports: Vec<&str> = subject
        .containers()
        .flat_map(|(_, c)| items(c, "portMappings"))
        .filter_map(|mapping| text(mapping, "name"))
        .collect();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut aliases: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for (index, service) in items(configuration, "services").iter().enumerate() {
        let port = text(service, "portName").unwrap_or_default();
        if !ports.contains(&port) {
            let known =
                if ports.is_empty() { "none has a name".to_owned() } else { format!("they are {}", ports.join(", ")) };
            refuse(
                format!("Service Connect offers port `{port}`, which no container of the task maps"),
                index,
                format!("write the `name` of a port mapping: {known}"),
            );
        }
        let name = text(service, "discoveryName").unwrap_or(port);
        if names.insert(name, index).is_some() {
            refuse(format!("Service Connect offers `{name}` twice"), index, "write another `discoveryName`".to_owned());
        }
        let list = items(service, "clientAliases");
        if list.len() > 1 {
            refuse(format!("port `{port}` has {} aliases; ECS takes one", list.len()), index, "keep one".to_owned());
        }
        for alias in list.iter().take(1) {
            let known = (text(alias, "dnsName").unwrap_or(name).to_owned(), number(alias, "port").unwrap_or_default());
            if aliases.insert(known.clone(), index).is_some() {
                refuse(
                    format!("two ports are offered as {}:{}", known.0, known.1),
                    index,
                    "write another `port` or another `dnsName`".to_owned(),
                );
            }
        }
    }
}

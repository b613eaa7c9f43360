//! Rules of Cloud Map registries and of Service Connect.
//!
//! Source: ServiceRegistry and ServiceConnectService in the ECS API reference; ECS developer guide, "Service discovery"
//! and "Service Connect".

use std::collections::BTreeMap;

use serde_json::json;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::desired::Desired;
use crate::ecs::json::{items, number, text};
use crate::ecs::{Context, connect, diff, pointer, registries};

use super::Subject;

/// Tasks of a service with a registry at most.
const MAX_TASKS: u64 = 1000;

pub fn check(subject: &Subject<'_>, report: &mut Report) {
    registries(subject, report);
    service_connect(subject, report);
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

fn service_connect(subject: &Subject<'_>, report: &mut Report) {
    let Some(configuration) = subject.service().get(connect::MEMBER).filter(|c| c["enabled"] == true) else { return };
    let list = items(configuration, "services");
    // A service stands under its port's name, as in every list of named things.
    let at = |index: usize, member: &str| {
        let name = text(&list[index], "portName").map_or_else(|| index.to_string(), str::to_owned);
        subject.in_service([connect::MEMBER, "services", &name, member])
    };
    let mut refuse = |message: String, place: Place, help: String| {
        report.push(subject.error("B438", message, place).help(help));
    };
    if let mode @ ("host" | "none") = subject.desired.network_mode() {
        refuse(
            format!("Service Connect does not work in network mode {mode}"),
            subject.in_service([connect::MEMBER]),
            "choose `network_mode: awsvpc` or `bridge`".to_owned(),
        );
    }
    let mappings = || subject.containers().flat_map(|(_, c)| items(c, "portMappings"));
    let ports: Vec<&str> = mappings().filter_map(|mapping| text(mapping, "name")).collect();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut aliases: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for (index, service) in list.iter().enumerate() {
        let port = text(service, "portName").unwrap_or_default();
        if !ports.contains(&port) {
            let known =
                if ports.is_empty() { "none has a name".to_owned() } else { format!("they are {}", ports.join(", ")) };
            refuse(
                format!("Service Connect offers port `{port}`, which no container of the task maps"),
                at(index, "portName"),
                format!("write the `name` of a port mapping: {known}"),
            );
        }
        let name = connect::discovery_name(service);
        for (what, named) in [("port", port), ("service", name)] {
            // One name for both is told once.
            if !is_port_name(named) && (what == "port" || name != port) {
                refuse(
                    format!("`{named}` cannot be the name of a {what} of Service Connect"),
                    at(index, "portName"),
                    "it has 1 to 64 lower-case letters, digits, hyphens and underscores, and no hyphen in front: write it as `name` of the offer".to_owned(),
                );
            }
        }
        if names.insert(name, index).is_some() {
            refuse(
                format!("Service Connect offers `{name}` twice"),
                at(index, "discoveryName"),
                "give each offer a `name` of its own (`discoveryName` in a raw block)".to_owned(),
            );
        }
        let list = items(service, "clientAliases");
        if list.len() != 1 {
            let count = if list.is_empty() {
                "no alias; ECS needs one".to_owned()
            } else {
                format!("{} aliases; ECS takes one", list.len())
            };
            refuse(
                format!("port `{port}` has {count}"),
                at(index, "clientAliases"),
                "write one, with the `port` at which clients reach it".to_owned(),
            );
        }
        for alias in list.iter().take(1) {
            let known = (text(alias, "dnsName").unwrap_or(name).to_owned(), number(alias, "port").unwrap_or_default());
            if text(alias, "dnsName").is_some_and(|host| !is_host(host)) {
                refuse(
                    format!("`{}` cannot be a host name of Service Connect", known.0),
                    at(index, "clientAliases"),
                    "it has 1 to 127 lower-case letters, digits, hyphens, underscores and dots, and no hyphen in front"
                        .to_owned(),
                );
            }
            if aliases.insert(known.clone(), index).is_some() {
                refuse(
                    format!("two ports are offered as {}:{}", known.0, known.1),
                    at(index, "clientAliases"),
                    "write another port or another host name in one of the two aliases".to_owned(),
                );
            }
        }
        let plain = mappings().any(|m| text(m, "name") == Some(port) && m.get("appProtocol").is_none());
        if plain && service.pointer("/timeout/perRequestTimeoutSeconds").is_some() {
            refuse(
                format!("port `{port}` limits the time of requests, which its proxies cannot tell in plain TCP"),
                at(index, "timeout"),
                "write the `protocol` of the offer (`http`, `http2` or `grpc`), or remove `request`".to_owned(),
            );
        }
    }
}

fn is_port_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=64).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(legal)
}

fn is_host(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    (1..=127).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(legal)
}

/// What the components of a plan offer in their namespaces: a name, and a host with a port, are one component's.
pub struct Offered<'a> {
    context: Context<'a>,
    names: BTreeMap<(String, String), (String, Place)>,
}

impl<'a> Offered<'a> {
    /// Nothing yet.
    pub fn new(context: Context<'a>) -> Self {
        Self { context, names: BTreeMap::new() }
    }

    /// Judges what a component offers, beside what the others do and what others have in the namespace.
    pub fn add(&mut self, desired: &Desired, report: &mut Report) {
        if let Some(registry) = &desired.registry {
            self.name(desired, &registry.namespace.arn, &registry.name, &registry.place, "B440", report);
            registries::check(self.context, registry, report);
        }
        let Some(configuration) = desired.service.get(connect::MEMBER).filter(|c| c["enabled"] == true) else { return };
        let namespace = text(configuration, "namespace").unwrap_or_default();
        for service in items(configuration, "services") {
            let name = connect::discovery_name(service);
            let port = text(service, "portName").unwrap_or_default();
            let place = desired.service_origins.of(&pointer::pointer([connect::MEMBER, "services", port]));
            let one = json!({"enabled": true, "namespace": namespace, "services": [service]});
            let hosts =
                connect::endpoints(self.context, Some(&one)).into_iter().map(|(host, port)| format!("{host}:{port}"));
            for what in std::iter::once(name.to_owned()).chain(hosts) {
                self.name(desired, namespace, &what, &place, "B438", report);
            }
            self.taken(desired, namespace, name, &place, report);
        }
    }

    /// Whether a name of a component is another one's, or is one's twice over: of Service Connect and of Cloud Map.
    fn name(
        &mut self,
        desired: &Desired,
        namespace: &str,
        what: &str,
        place: &Place,
        code: &'static str,
        report: &mut Report,
    ) {
        let own = (desired.component.clone(), place.clone());
        let Some((other, there)) = self.names.insert((namespace.to_owned(), what.to_owned()), own) else { return };
        // Two offers of one component are judged with the component.
        let registers = desired.registry.as_ref().is_some_and(|registry| registry.name == what);
        if other != desired.component || registers {
            report.push(
                Diagnostic::error(code, format!("`{}` and `{other}` are both offered as {what}", desired.component))
                    .at(place.clone())
                    .related(there, "the other one is here")
                    .help("write another `name` or another `alias` for one of the two"),
            );
        }
    }

    /// ECS makes a Cloud Map service of that name, unless there is one that it did not make for this component.
    fn taken(&self, desired: &Desired, namespace: &str, name: &str, place: &Place, report: &mut Report) {
        let Some(facts) = self.context.facts else { return };
        let known = facts.registries(namespace).unwrap_or_default();
        if !known.iter().any(|registry| text(registry, "Name") == Some(name)) {
            return;
        }
        let running = facts
            .service(&desired.service_name)
            .and_then(|service| diff::running(service, facts.current_revision(service), connect::MEMBER));
        let own = running.map(|c| connect::canonical(self.context, c)).unwrap_or_default();
        if !items(&own, "services").iter().any(|service| connect::discovery_name(service) == name) {
            report.push(
                Diagnostic::error(
                    "B438",
                    format!("`{name}` is taken in the namespace: there is a Cloud Map service of that name"),
                )
                .at(place.clone())
                .help("write another `name` for the offer; its `alias` may stay as it is"),
            );
        }
    }
}

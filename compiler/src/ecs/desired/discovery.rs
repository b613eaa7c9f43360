//! Cloud Map: the service in a namespace that a component's tasks register with, and how they do.

use belay_schemas::model::{Discovery, RecordType};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::text;
use crate::ecs::namespaces;
use crate::ecs::origin::Origins;
use crate::ecs::registries::{self, Record, Registry};

use super::Part;

/// Seconds for which resolvers keep what they were told, unless somebody says otherwise.
const TTL: u32 = 60;
/// Where it stands in a service.
const REGISTRIES: &str = "/serviceRegistries";

/// Puts `serviceRegistries` into the service of a component that others look up; what is wrong goes to the report.
pub fn member(
    part: Part<'_>,
    task: &Value,
    service: &mut Map<String, Value>,
    origins: &mut Origins,
    report: &mut Report,
) -> Option<Registry> {
    let settings = &part.settled.settings;
    // A task that runs once registers nowhere: that it says so all the same is told with the rest.
    let wanted = settings.discovery.as_ref().filter(|_| settings.once.is_none() && settings.schedule.is_none())?;
    let place = part.settled.place("discovery");
    origins.set(REGISTRIES, place.clone());
    for (raw, at) in &part.settled.raws {
        if raw.service.as_ref().is_some_and(|block| block.contains_key("serviceRegistries")) {
            report.push(
                Diagnostic::error("B440", "the component has registries in two places")
                    .at(at.child("service").child("serviceRegistries").key())
                    .related(place.clone(), "Belay keeps one because of this")
                    .help("keep `discovery`, or `serviceRegistries` in the raw block with a Cloud Map service that is made beside Belay"),
            );
            return None;
        }
    }
    let namespace = namespaces::resolve(part.context, &place, "B440", report)?;
    let mut refuse = |message: String, key: &str, help: &str| {
        report.push(Diagnostic::error("B440", message).at(place.child(key)).help(help));
    };
    let own = text(task, "networkMode") == Some("awsvpc");
    if namespace.kind.is_none() && wanted.record.is_none() && wanted.ttl.is_none() {
        report.push(
            Diagnostic::error("B345", format!("whether namespace `{}` has DNS has to be looked up", namespace.arn))
                .at(place)
                .help("compile with `--observed FILE` (see `belayc scope` and `belay observe`), or say `record: A` or `record: SRV`"),
        );
        return None;
    }
    let plain = namespace.kind.as_deref() == Some("HTTP");
    let record = match (plain, wanted.record, own) {
        (true, None, _) if wanted.ttl.is_none() => None,
        (true, ..) => {
            let name = namespace.name.as_deref().unwrap_or(&namespace.arn);
            let key = if wanted.record.is_some() { "record" } else { "ttl" };
            refuse(
                format!("namespace `{name}` has no DNS, so nothing in it has DNS records"),
                key,
                "remove `record` and `ttl`, or name a namespace of the type DNS_PRIVATE or DNS_PUBLIC",
            );
            return None;
        }
        (false, Some(RecordType::A), false) => {
            refuse(
                "a task has an address of its own in network mode awsvpc only".to_owned(),
                "record",
                "write `record: SRV`, which tells the port of the instance as well, or `network_mode: awsvpc`",
            );
            return None;
        }
        (false, Some(RecordType::Srv), _) | (false, None, false) => Some("SRV"),
        (false, Some(RecordType::A) | None, true) => Some("A"),
    };
    let record = record.map(|kind| Record { kind, ttl: wanted.ttl.unwrap_or(TTL) });
    let name = wanted.name.as_deref().unwrap_or(part.name);
    if !is_name(name) {
        let at = if wanted.name.is_some() { place.child("name") } else { place.clone() };
        report
            .push(Diagnostic::error("B401", format!("`{name}` cannot be the name of a Cloud Map service")).at(at).help(
            "it has 1 to 63 letters, digits, hyphens and underscores, no hyphen at either end: write another `name`",
        ));
        return None;
    }
    let registry =
        Registry { component: part.name.to_owned(), name: name.to_owned(), namespace, record, place: place.clone() };
    let mut entry = Map::from_iter([("registryArn".to_owned(), json!(registries::arn(part.context, &registry)))]);
    // Whoever is found by an address alone needs no port; of everybody else AWS has to know which one.
    if !own || record.is_some_and(|record| record.kind == "SRV") {
        let container = wanted.container.as_deref().unwrap_or(part.name);
        let port = port(part, wanted, container, &place, report)?;
        entry.insert("containerName".to_owned(), json!(container));
        entry.insert("containerPort".to_owned(), json!(port));
        let key = |key: &str, said: bool| if said { place.child(key) } else { place.clone() };
        origins.set(format!("{REGISTRIES}/0/containerName"), key("container", wanted.container.is_some()));
        origins.set(format!("{REGISTRIES}/0/containerPort"), key("port", wanted.port.is_some()));
    } else if wanted.port.is_some() || wanted.container.is_some() {
        let key = if wanted.port.is_some() { "port" } else { "container" };
        let (message, help) = match plain {
            true => (
                "where there is no DNS, a task with an address of its own is told by that alone",
                "remove `port` and `container`",
            ),
            false => ("records of the type A tell no port", "write `record: SRV`, or remove `port` and `container`"),
        };
        report.push(Diagnostic::error("B440", message).at(place.child(key)).help(help));
        return None;
    }
    service.insert("serviceRegistries".to_owned(), json!([entry]));
    Some(registry)
}

/// The container port that is told.
fn port(part: Part<'_>, wanted: &Discovery, container: &str, place: &Place, report: &mut Report) -> Option<u16> {
    let ports = part.provides(container);
    let found = match (&wanted.port, ports) {
        (Some(port), ports) => ports.iter().find(|known| *known == port),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let number = found.and_then(|port| port.number);
    if number.is_none() {
        let known: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let message = match (&wanted.port, known.len()) {
            (Some(port), _) => format!("port {port} is told, which container `{container}` does not provide"),
            (None, 0) => format!("container `{container}` provides no port that could be told"),
            (None, count) => format!("which of the {count} ports of container `{container}` is told is not said"),
        };
        let at = if wanted.port.is_some() { place.child("port") } else { place.clone() };
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        report.push(
            Diagnostic::error("B440", message)
                .at(at)
                .help(format!("write `port:` with one of its `provides.ports`: {known}")),
        );
    }
    number
}

/// One label of a DNS name, as Cloud Map takes it.
fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') && name.bytes().all(legal)
}

//! Port mappings: from what a component provides, what gateways fix, and the network mode.

use std::collections::BTreeMap;

use belay_schemas::model::{Component, Exposed, Gateway, GatewayType, Port, Protocol, Provides};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

use super::balancing::{Attachment, Balancer};

/// A host port that something asks for, and where.
struct Fixed {
    host_port: u16,
    place: Place,
}

/// The `portMappings` of the main container.
pub fn main_container(
    context: Context<'_>,
    name: &str,
    component: &Component,
    mode: &str,
    attachments: &[Attachment],
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let fixed = fixed_host_ports(context, name, attachments, report);
    let place = Place::model(["components", name, "provides", "ports"]);
    mappings(component.provides.as_ref(), mode, &fixed, &place, path, origins, report)
}

/// The `portMappings` of a sidecar.
pub fn sidecar(
    provides: Option<&Provides>,
    mode: &str,
    place: &Place,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    mappings(provides, mode, &BTreeMap::new(), place, path, origins, report)
}

fn mappings(
    provides: Option<&Provides>,
    mode: &str,
    fixed: &BTreeMap<(u16, Protocol), Fixed>,
    place: &Place,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let mut seen = BTreeMap::new();
    for (index, port) in provides.map(|p| p.ports.as_slice()).unwrap_or_default().iter().enumerate() {
        let mut at = place.clone();
        pointer::push(&mut at.pointer, &index.to_string());
        let Some(number) = port.number else {
            report.push(
                Diagnostic::error("B409", "a provided port is empty")
                    .at(at)
                    .help("write the port on which the container listens, such as 8080 or \"53/udp\""),
            );
            continue;
        };
        if let Some(first) = seen.insert((number, port.protocol), at.clone()) {
            report.push(
                Diagnostic::error("B410", format!("port {port} is provided twice"))
                    .at(at)
                    .related(first, "first provided here")
                    .help("remove one of the two"),
            );
        }
    }
    seen.into_iter()
        .map(|((number, protocol), at)| {
            let here = pointer::join(path, &Port { number: Some(number), protocol }.to_string());
            origins.set(here.clone(), at);
            let host_port = match (mode, fixed.get(&(number, protocol))) {
                ("bridge", Some(fixed)) => {
                    origins.set(pointer::join(&here, "hostPort"), fixed.place.clone());
                    fixed.host_port
                }
                ("bridge", None) => 0,
                _ => number,
            };
            json!({"containerPort": number, "hostPort": host_port, "protocol": protocol.as_str()})
        })
        .collect()
}

/// Host ports that `host_port` gateways and classic load balancers ask for, by container port.
fn fixed_host_ports(
    context: Context<'_>,
    name: &str,
    attachments: &[Attachment],
    report: &mut Report,
) -> BTreeMap<(u16, Protocol), Fixed> {
    let mut fixed: BTreeMap<(u16, Protocol), Fixed> = BTreeMap::new();
    let mut ask = |port: (u16, Protocol), host_port: u16, place: Place, report: &mut Report| match fixed.get(&port) {
        Some(other) if other.host_port != host_port => report.push(
            Diagnostic::error(
                "B410",
                format!(
                    "container port {} of `{name}` would need two host ports: {} and {host_port}",
                    port.0, other.host_port
                ),
            )
            .at(place)
            .related(other.place.clone(), format!("host port {} is asked for here", other.host_port))
            .help("let one of the two lead to another container port"),
        ),
        Some(_) => {}
        None => {
            fixed.insert(port, Fixed { host_port, place });
        }
    };
    for (gateway_name, gateway) in context.loaded.model.gateways.iter().filter(|(_, g)| targets(g, name)) {
        if gateway.kind != GatewayType::HostPort {
            continue;
        }
        for (index, exposed) in gateway.exposes.0.iter().enumerate() {
            let at = exposed_place(gateway_name, index);
            match (exposed.port.number, target_port(exposed).number) {
                (Some(host), Some(target)) => ask((target, target_port(exposed).protocol), host, at, report),
                _ => report.push(
                    Diagnostic::error("B344", format!("gateway `{gateway_name}` is a host port and needs a port number"))
                        .at(at)
                        .help("write `port:` with the port of the container instance; an empty port is for application load balancers"),
                ),
            }
        }
    }
    for attachment in attachments {
        if let (Balancer::Classic { .. }, Some(host)) = (&attachment.balancer, attachment.instance_port) {
            ask((attachment.container_port, Protocol::Tcp), host, attachment.place.clone(), report);
        }
    }
    fixed
}

/// Whether a gateway leads to a component.
pub fn targets(gateway: &Gateway, component: &str) -> bool {
    gateway.target.0.iter().any(|t| t == component)
}

/// The container port of an exposed port.
pub fn target_port(exposed: &Exposed) -> Port {
    exposed.target_port.unwrap_or(exposed.port)
}

/// The place of an exposed port. Where one mapping stands without brackets, the pointer has no node of its own and
/// resolves to the nearest one above it, which is that mapping.
pub fn exposed_place(name: &str, index: usize) -> Place {
    Place::model(["gateways", name, "exposes", &index.to_string()])
}

//! Port mappings: from what a component provides, what gateways fix, and the network mode.

use std::collections::BTreeMap;

use belay_schemas::model::{Exposed, Gateway, GatewayType, Port, Protocol, Provides};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

use super::Part;
use super::balancing::{Attachment, Balancer};
use super::connect;

/// A host port that something asks for, and where.
struct Fixed {
    host_port: u16,
    place: Place,
    /// Whether a `host_port` gateway asks for it, not a classic load balancer.
    by_gateway: bool,
}

/// The `portMappings` of the main container.
pub fn main_container(
    part: Part<'_>,
    mode: &str,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let fixed = fixed_host_ports(part.context, part.name, part.attachments, report);
    judge_fixed(part, mode, &fixed, report);
    let place = Place::model(["components", part.name, "provides", "ports"]);
    let mut all = mappings(part.component.provides.as_ref(), mode, &fixed, &place, path, origins, report);
    connect::name_ports(part, part.name, &mut all, path, origins);
    all
}

/// A host port that no mapping can carry would be lost in silence.
fn judge_fixed(part: Part<'_>, mode: &str, fixed: &BTreeMap<(u16, Protocol), Fixed>, report: &mut Report) {
    let provided = part.component.provides.as_ref().map(|p| p.ports.as_slice()).unwrap_or_default();
    for ((port, protocol), fixed) in fixed {
        let shown = Port { number: Some(*port), protocol: *protocol };
        // What a load balancer leads to is judged with the other rules of load balancers.
        if fixed.by_gateway && !provided.iter().any(|p| p.number == Some(*port) && p.protocol == *protocol) {
            report.push(
                Diagnostic::error(
                    "B425",
                    format!("the host port leads to port {shown} of `{}`, which does not provide it", part.name),
                )
                .at(fixed.place.clone())
                .help(format!(
                    "add `provides: {{ports: [\"{shown}\"]}}` to the component, or correct the gateway's `target_port`"
                )),
            );
        }
        if mode != "bridge" && mode != "none" && fixed.host_port != *port {
            report.push(
                Diagnostic::error(
                    "B409",
                    format!(
                        "host port {} cannot lead to port {port} of `{}`: in network mode {mode} both are one",
                        fixed.host_port, part.name
                    ),
                )
                .at(fixed.place.clone())
                .help(format!("let both be {port}, or choose `network_mode: bridge`")),
            );
        }
    }
}

/// The `portMappings` of a sidecar.
pub fn sidecar(
    part: Part<'_>,
    name: &str,
    mode: &str,
    place: &Place,
    path: &str,
    origins: &mut Origins,
    report: &mut Report,
) -> Vec<Value> {
    let provides = part.component.containers.get(name).and_then(|c| c.provides.as_ref());
    let mut all = mappings(provides, mode, &BTreeMap::new(), place, path, origins, report);
    connect::name_ports(part, name, &mut all, path, origins);
    all
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
    let mut ask = |port: (u16, Protocol), this: Fixed, report: &mut Report| match fixed.get(&port) {
        Some(other) if other.host_port != this.host_port => report.push(
            Diagnostic::error(
                "B410",
                format!(
                    "container port {} of `{name}` would need two host ports: {} and {}",
                    port.0, other.host_port, this.host_port
                ),
            )
            .at(this.place)
            .related(other.place.clone(), format!("host port {} is asked for here", other.host_port))
            .help("let one of the two lead to another container port"),
        ),
        Some(_) => {}
        None => {
            fixed.insert(port, this);
        }
    };
    for (gateway_name, gateway) in context.loaded.model.gateways.iter().filter(|(_, g)| targets(g, name)) {
        if gateway.kind != GatewayType::HostPort {
            continue;
        }
        for (index, exposed) in gateway.exposes.0.iter().enumerate() {
            let at = exposed_place(gateway_name, index);
            match (exposed.port.number, target_port(exposed).number) {
                (Some(host_port), Some(target)) => {
                    let protocol = target_port(exposed).protocol;
                    ask((target, protocol), Fixed { host_port, place: at, by_gateway: true }, report);
                }
                _ => report.push(
                    Diagnostic::error("B344", format!("gateway `{gateway_name}` is a host port and needs a port number"))
                        .at(at)
                        .help("write `port:` with the port of the container instance; an empty port is for application load balancers"),
                ),
            }
        }
    }
    for attachment in attachments {
        if let (Balancer::Classic { .. }, Some(host_port)) = (&attachment.balancer, attachment.instance_port) {
            let fixed = Fixed { host_port, place: attachment.place.clone(), by_gateway: false };
            ask((attachment.container_port, Protocol::Tcp), fixed, report);
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

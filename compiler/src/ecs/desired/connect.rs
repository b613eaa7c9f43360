//! Service Connect: names of ports, and as what other components reach them.
//!
//! Invariant: what AWS would fill in (the name of a port as that in the namespace, `NAME.NAMESPACE` as the host name) is
//! not sent, and is no change either (see [`crate::ecs::diff`]).

use belay_schemas::model::{AppProtocol, Connect, EcsComponent, Offer, Protocol};
use serde_json::{Map, Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::json::number;
use crate::ecs::namespaces;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

use super::{Part, extras, raw, settle};

/// Where the configuration stands in a service.
const CONFIGURATION: &str = "/serviceConnectConfiguration";

/// What a raw block of an offer cannot set.
const NAME: &str = "portName";

/// Whether settings say anything of Service Connect, so that its namespace matters.
pub fn may_connect(settings: &EcsComponent) -> bool {
    settings.connect.as_ref().is_some_and(|connect| connect.enabled != Some(false))
}

/// What a component of the model offers in this environment.
pub fn offers(context: Context<'_>, name: &str) -> Vec<Offer> {
    let Some(component) = context.loaded.model.components.get(name) else { return Vec::new() };
    match &settle(context, name, component).settings.connect {
        Some(connect) if connect.enabled != Some(false) => connect.offers.clone(),
        _ => Vec::new(),
    }
}

/// The name of an offer of a component.
pub fn name_of<'a>(component: &'a str, offer: &'a Offer) -> &'a str {
    offer.name.as_deref().unwrap_or(component)
}

fn protocol(offer: &Offer) -> Option<&'static str> {
    match offer.protocol.unwrap_or_default() {
        AppProtocol::Tcp => None,
        AppProtocol::Http => Some("http"),
        AppProtocol::Http2 => Some("http2"),
        AppProtocol::Grpc => Some("grpc"),
    }
}

/// Names the ports of a container that are offered.
pub fn name_ports(part: Part<'_>, container: &str, mappings: &mut [Value], path: &str, origins: &mut Origins) {
    let Some(connect) = part.settled.settings.connect.as_ref().filter(|c| c.enabled != Some(false)) else { return };
    for (index, offer) in connect.offers.iter().enumerate() {
        if offer.container.as_deref().unwrap_or(part.name) != container || offer.port.protocol != Protocol::Tcp {
            continue;
        }
        let wanted = offer.port.number.map(u64::from);
        let tcp = |m: &Value| m["protocol"] == Protocol::Tcp.as_str();
        let Some(mapping) = mappings.iter_mut().find(|m| number(m, "containerPort") == wanted && tcp(m)) else {
            continue;
        };
        let place = part.settled.place("connect").child("offers").child(index.to_string());
        let here = pointer::join(path, &offer.port.to_string());
        origins.set(pointer::join(&here, "name"), place.child("name"));
        mapping["name"] = json!(name_of(part.name, offer));
        if let Some(protocol) = protocol(offer) {
            origins.set(pointer::join(&here, "appProtocol"), place.child("protocol"));
            mapping["appProtocol"] = json!(protocol);
        }
    }
}

/// Puts `serviceConnectConfiguration` into a service that takes part.
pub fn member(part: Part<'_>, service: &mut Map<String, Value>, origins: &mut Origins, report: &mut Report) {
    let settings = &part.settled.settings;
    // Only tasks of services have proxies.
    if settings.once.is_some() || settings.schedule.is_some() {
        return;
    }
    // Who stops taking part says so there.
    origins.set(CONFIGURATION, part.settled.place("connect"));
    let silent = Connect::default();
    let (connect, place) = match &settings.connect {
        Some(connect) if connect.enabled == Some(false) => return,
        Some(connect) => (connect, part.settled.place("connect")),
        None => {
            let Some(used) = part.component.uses.keys().find(|used| !offers(part.context, used).is_empty()) else {
                return;
            };
            (&silent, Place::model(["components", part.name, "uses", used]))
        }
    };
    origins.set(CONFIGURATION, place.clone());
    let Some(namespace) = namespaces::resolve(part.context, &place, "B438", report) else { return };
    let mut configuration =
        Map::from_iter([("enabled".to_owned(), json!(true)), ("namespace".to_owned(), json!(namespace.arn))]);
    let namespace_place = match part.context.settings.namespace {
        Some(_) => crate::ecs::settings::place(&["namespace"]),
        None => place.clone(),
    };
    origins.set(format!("{CONFIGURATION}/namespace"), namespace_place);
    let mut services = Vec::new();
    for (index, offer) in connect.offers.iter().enumerate() {
        let at = place.child("offers").child(index.to_string());
        services.extend(entry(part, offer, &at, origins, report).map(Value::Object));
    }
    if !services.is_empty() {
        configuration.insert("services".to_owned(), Value::Array(services));
    }
    if let Some(logs) = &connect.logs {
        let (here, place) = (format!("{CONFIGURATION}/logConfiguration"), place.child("logs"));
        origins.set(here.clone(), place.clone());
        extras::log_origins(&here, &place, logs, origins);
        let logs = extras::log_configuration(part.context, part.name, logs);
        configuration.insert("logConfiguration".to_owned(), logs);
    }
    service.insert("serviceConnectConfiguration".to_owned(), Value::Object(configuration));
}

/// A ServiceConnectService; absent when no port is there to be offered.
fn entry(
    part: Part<'_>,
    offer: &Offer,
    at: &Place,
    origins: &mut Origins,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let container = offer.container.as_deref().unwrap_or(part.name);
    let ports = part.provides(container);
    let tcp = offer.port.protocol == Protocol::Tcp;
    let (Some(port), true) = (offer.port.number.filter(|_| tcp), ports.contains(&offer.port)) else {
        let message = match (offer.port.number, tcp) {
            (None, _) => "an offer of Service Connect names no port".to_owned(),
            (_, false) => format!("Service Connect offers port {}; its proxies take TCP only", offer.port),
            _ => format!("port {} is offered, which container `{container}` does not provide", offer.port),
        };
        let known: Vec<String> =
            ports.iter().filter(|p| p.protocol == Protocol::Tcp).map(ToString::to_string).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        report.push(
            Diagnostic::error("B438", message)
                .at(at.child("port"))
                .help(format!("write one of its `provides.ports`: {known}")),
        );
        return None;
    };
    let name = name_of(part.name, offer);
    let here = format!("{CONFIGURATION}/services{}", pointer::join("", name));
    origins.set(here.clone(), at.clone());
    origins.set(format!("{here}/portName"), if offer.name.is_some() { at.child("name") } else { at.clone() });
    origins.set(format!("{here}/clientAliases"), if offer.alias.is_some() { at.child("alias") } else { at.clone() });
    if offer.timeouts.is_some() {
        origins.set(format!("{here}/timeout"), at.child("timeouts"));
    }
    let mut entry = plain(name, port, offer);
    if let Some(block) = &offer.raw {
        if block.contains_key("portName") {
            report.push(
                Diagnostic::error("B362", "a raw block cannot set `portName`")
                    .at(at.child("raw").child("portName").key())
                    .help("write it as `name` of the offer: the port mapping gets the same"),
            );
        }
        raw::merge_except(&mut entry, block, &[NAME], &here, &at.child("raw"), origins);
    }
    Some(entry)
}

/// What an offer of a component is to the API, wherever its values came from.
pub fn offered(component: &str, offer: &Offer) -> Value {
    let mut entry = plain(name_of(component, offer), offer.port.number.unwrap_or_default(), offer);
    if let Some(block) = &offer.raw {
        // Nobody asks where these values come from.
        raw::merge_except(&mut entry, block, &[NAME], "", &Place::model([NAME]), &mut Origins::default());
    }
    Value::Object(entry)
}

/// The same without its raw block.
fn plain(name: &str, port: u16, offer: &Offer) -> Map<String, Value> {
    let alias = offer.alias.as_ref();
    let mut client = json!({"port": alias.and_then(|alias| alias.port).unwrap_or(port)});
    if let Some(name) = alias.and_then(|alias| alias.name.as_ref()) {
        client["dnsName"] = json!(name);
    }
    let mut entry =
        Map::from_iter([("portName".to_owned(), json!(name)), ("clientAliases".to_owned(), json!([client]))]);
    if let Some(timeouts) = &offer.timeouts {
        let mut timeout = Map::new();
        for (member, seconds) in [("idleTimeoutSeconds", timeouts.idle), ("perRequestTimeoutSeconds", timeouts.request)]
        {
            timeout.extend(seconds.map(|seconds| (member.to_owned(), json!(seconds))));
        }
        entry.insert("timeout".to_owned(), Value::Object(timeout));
    }
    entry
}

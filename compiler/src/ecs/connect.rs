//! Service Connect as AWS stores it, and who has to be deployed anew to see it.
//!
//! Invariants: what AWS fills in is no change; the proxies of a task know the names that were offered when its deployment
//! began, so a component that uses another one is deployed after that one offers something new (ECS developer guide,
//! "Service Connect": existing tasks cannot reach endpoints that are made after their deployment).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::diagnostics::Place;

use super::Context;
use super::desired::{self, Desired};
use super::diff::Change;
use super::json::{items, number, text};
use super::{namespaces, pointer};

/// The member of a service that says it.
pub const MEMBER: &str = "serviceConnectConfiguration";

/// A configuration without what AWS fills in, so that two that mean the same are equal.
pub fn canonical(context: Context<'_>, configuration: &Value) -> Value {
    if configuration.get("enabled") != Some(&json!(true)) {
        return Value::Null;
    }
    let mut out = configuration.clone();
    let arn = namespaces::arn_of(context, text(configuration, "namespace"));
    if let Some(arn) = arn {
        out["namespace"] = json!(arn);
    }
    for service in out.get_mut("services").and_then(Value::as_array_mut).into_iter().flatten() {
        let port = text(service, "portName").unwrap_or_default().to_owned();
        let discovery = text(service, "discoveryName").unwrap_or(&port).to_owned();
        let full = full_name(context, arn, &discovery);
        for alias in service.get_mut("clientAliases").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(alias) = alias.as_object_mut().filter(|a| a.get("dnsName") == Some(&json!(full))) {
                alias.remove("dnsName");
            }
        }
        if let Some(service) = service.as_object_mut().filter(|_| discovery == port) {
            service.remove("discoveryName");
        }
    }
    out
}

/// The host name of a service without an alias of its own.
fn full_name(context: Context<'_>, namespace: Option<&str>, discovery: &str) -> String {
    let known = namespace.zip(context.facts).map(|(arn, facts)| facts.namespaces(arn));
    let name = known.as_deref().and_then(|all| all.first()).and_then(|n| text(n, "Name"));
    format!("{discovery}.{}", name.or(namespace.map(namespaces::id_of)).unwrap_or_default())
}

/// Hosts and ports at which others reach a service.
pub fn endpoints(context: Context<'_>, configuration: Option<&Value>) -> BTreeSet<(String, u64)> {
    let canonical = configuration.map(|c| canonical(context, c)).unwrap_or_default();
    let namespace = text(&canonical, "namespace");
    let mut all = BTreeSet::new();
    for service in items(&canonical, "services") {
        let name = discovery_name(service);
        for alias in items(service, "clientAliases") {
            let host = text(alias, "dnsName").map_or_else(|| full_name(context, namespace, name), str::to_owned);
            all.insert((host, number(alias, "port").unwrap_or_default()));
        }
    }
    all
}

/// The name that a service of a configuration has in the namespace.
pub fn discovery_name(service: &Value) -> &str {
    text(service, "discoveryName").or_else(|| text(service, "portName")).unwrap_or_default()
}

/// What components that this one uses offer from now on, and it could not reach without being deployed anew.
pub fn unseen(context: Context<'_>, desired: &Desired) -> Vec<Change> {
    let enabled = desired.service.get(MEMBER).and_then(|c| c.get("enabled")) == Some(&json!(true));
    let (Some(_), Some(component), true) =
        (context.facts, context.loaded.model.components.get(&desired.component), enabled)
    else {
        return Vec::new();
    };
    let mut unseen = Vec::new();
    for used in component.uses.keys().filter(|used| context.options.includes(used)) {
        for (host, port) in news(context, used, &desired.service[MEMBER]) {
            unseen.push(Change {
                path: pointer::pointer([MEMBER, "reaches", &format!("{host}:{port}")]),
                from: Value::Null,
                to: json!(format!("reaches {host}:{port}")),
                place: Place::model(["components", &desired.component, "uses", used]).key(),
            });
        }
    }
    unseen
}

/// What a component offers from now on and does not yet, in the namespace of a client's configuration.
fn news(context: Context<'_>, used: &str, client: &Value) -> Vec<(String, u64)> {
    let offers = desired::offers(context, used);
    if offers.is_empty() {
        return Vec::new();
    }
    let before = endpoints(context, running(context, used));
    let wanted = json!({
        "enabled": true,
        "namespace": client["namespace"],
        "services": offers.iter().map(|offer| desired::offered(used, offer)).collect::<Vec<_>>(),
    });
    endpoints(context, Some(&wanted)).difference(&before).cloned().collect()
}

/// The configuration with which a component's service runs.
fn running<'a>(context: Context<'a>, component: &str) -> Option<&'a Value> {
    let facts = context.facts?;
    let service = facts.service(&context.service_name(component))?;
    super::diff::running(service, facts.current_revision(service), MEMBER)
}

/// Hosts and ports that a component offers from now on, and that another one, which runs, reaches only once it is deployed
/// anew.
pub fn beyond(context: Context<'_>, client: &str, used: &str) -> Vec<String> {
    let Some(configuration) = running(context, client).filter(|c| c.get("enabled") == Some(&json!(true))) else {
        return Vec::new();
    };
    news(context, used, configuration).iter().map(|(host, port)| format!("{host}:{port}")).collect()
}

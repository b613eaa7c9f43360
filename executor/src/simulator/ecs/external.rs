//! Machines outside AWS (launch type EXTERNAL): what tasks on them cannot have.
//!
//! Invariant: whatever needs a network interface of AWS, or something that only a VPC reaches, is refused.
//!
//! Source: ECS developer guide, "Amazon ECS clusters for external instances". That a definition is refused at its
//! registration only where it asks for `EXTERNAL`, and otherwise when something is started from it, follows from what
//! `requiresCompatibilities` is for; the words of the messages are not documented.

use serde_json::{Map, Value};

use super::super::errors::{client, invalid};
use super::shape::TaskShape;
use crate::cloud::CloudError;

const NETWORK: &str = "The external launch type does not support the awsvpc network mode.";

/// What a definition cannot have that says it is for machines outside AWS.
pub(super) fn check_definition(shape: &TaskShape) -> Result<(), CloudError> {
    if shape.network_mode == "awsvpc" {
        return Err(client(NETWORK));
    }
    shape.tied.map_or(Ok(()), |member| Err(client(unsupported(member))))
}

/// What a service or RunTask cannot have that is for machines outside AWS.
pub(super) fn check(settings: &Map<String, Value>, shape: &TaskShape) -> Result<(), CloudError> {
    if settings.get("launchType").and_then(Value::as_str) != Some("EXTERNAL") {
        return Ok(());
    }
    if shape.network_mode == "awsvpc" {
        return Err(invalid(NETWORK));
    }
    if let Some(member) = shape.tied {
        return Err(invalid(unsupported(member)));
    }
    let given = |member: &&&str| settings.get(**member).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if let Some(member) = ["loadBalancers", "serviceRegistries", "volumeConfigurations"].iter().find(given) {
        return Err(invalid(unsupported(member)));
    }
    match settings.get("serviceConnectConfiguration") {
        Some(connect) if connect["enabled"] == true => Err(invalid(unsupported("serviceConnectConfiguration"))),
        _ => Ok(()),
    }
}

fn unsupported(member: &str) -> String {
    format!("The external launch type does not support {member}.")
}

//! Inputs have the shape that the API documents: members, types, enumerations, ranges, patterns.

use belay_schemas::aws::{Fault, FaultKind, Strictness, validate_input};
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::desired::Desired;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

/// Checks both inputs; false when one has a fault.
pub fn check(desired: &Desired, report: &mut Report) -> bool {
    let inputs = [
        ("RegisterTaskDefinition", &desired.task, &desired.task_origins),
        ("CreateService", &desired.service, &desired.service_origins),
    ];
    let mut good = true;
    for (operation, input, origins) in inputs {
        for fault in validate_input("ecs", operation, input, Strictness::Exact) {
            if added_later(&fault) {
                continue;
            }
            good = false;
            report.push(diagnostic(operation, input, origins, &fault));
        }
    }
    good
}

/// Whether a fault is that a service has no name yet: the lowering gives it one.
fn added_later(fault: &Fault) -> bool {
    fault.path.is_empty() && matches!(&fault.kind, FaultKind::MissingMember { name } if name == "serviceName")
}

fn diagnostic(operation: &str, input: &Value, origins: &Origins, fault: &Fault) -> Diagnostic {
    let path = pointer::keyed(input, &fault.path);
    let place = match &fault.kind {
        FaultKind::UnknownMember { name, .. } if !path.ends_with(&format!("/{name}")) => {
            origins.of(&pointer::join(&path, name)).key()
        }
        FaultKind::UnknownMember { .. } => origins.of(&path).key(),
        _ => origins.of(&path),
    };
    let what = fault.message.split_once("; did you mean").map_or(fault.message.as_str(), |(what, _)| what);
    let member = path.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
    let message = match &fault.kind {
        FaultKind::UnknownMember { name, .. } => {
            let owner = member.strip_suffix(name).unwrap_or(&member).trim_end_matches('.');
            let owner = if owner.is_empty() { String::new() } else { format!(" in `{owner}`") };
            format!("AWS would refuse {operation}: it knows no member `{name}`{owner}")
        }
        _ if member.is_empty() => format!("AWS would refuse {operation}: {what}"),
        _ => format!("AWS would refuse {operation}: `{member}`: {what}"),
    };
    let diagnostic = Diagnostic::error("B402", message).at(place);
    match &fault.kind {
        FaultKind::WrongType { found: "null", .. } => diagnostic.help("write a value, or remove the key"),
        FaultKind::UnknownMember { nearest: Some(near), .. } => diagnostic.help(format!("did you mean `{near}`?")),
        FaultKind::UnknownMember { .. } => {
            diagnostic.help(format!("see the members of {operation} in the ECS API reference"))
        }
        FaultKind::WrongType { expected, .. } => {
            diagnostic.help(format!("write {expected}: values of raw blocks are sent as they are"))
        }
        FaultKind::NotInEnum { nearest: Some(near) } => diagnostic.help(format!("did you mean `{near}`?")),
        FaultKind::MissingMember { name } => diagnostic.help(format!("add `{name}`")),
        _ => diagnostic.help(format!("the ECS API reference says what {operation} takes here")),
    }
}

//! Things that the plan itself makes, and whose ARNs only its run knows.
//!
//! Until everything is lowered a name stands for such an ARN: it cannot be taken for one, and the rules that judge ARNs
//! leave it alone. Then every name gives way to the late value that it stands for.

use belay_schemas::late::output;
use belay_schemas::plan::{Action, Call, Node};
use serde_json::Value;

/// How such a name begins. No ARN does.
const PREFIX: &str = "made-by-belay:";

/// Stands for the ARN of a listener's rule.
pub fn rule(name: &str) -> String {
    format!("{PREFIX}rule:{name}")
}

/// Stands for the ARN of a target group.
pub fn group(name: &str, key: &str) -> String {
    // Where the name stands in an ARN, so that whoever shows ARNs by their names shows this one as well.
    format!("{PREFIX}target-group/{name}/{key}")
}

/// The name, and the key in the environment, of the target group that a text stands for.
pub fn group_of(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(PREFIX)?.strip_prefix("target-group/")?.split_once('/')
}

/// Stands for the ARN of the Cloud Map service of a component.
pub fn registry(component: &str) -> String {
    format!("{PREFIX}registry:{component}")
}

/// Whether a text stands for an ARN.
pub fn is_made(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The name of the rule that a text stands for.
pub fn rule_of(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.strip_prefix("rule:")
}

/// The component for whose Cloud Map service a text stands.
fn registry_of(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.strip_prefix("registry:")
}

/// Puts late values in the place of names; where people read them, the names themselves.
pub fn settle(nodes: &mut [Node]) {
    for node in nodes {
        for why in &mut node.why {
            told(&mut why.from);
            told(&mut why.to);
        }
        match &mut node.action {
            Action::Call { call, .. } | Action::Read { read: call, .. } => input(call),
            Action::Wait { wait } => {
                wait.reads.iter_mut().for_each(input);
                wait.bind.values_mut().for_each(value);
                wait.evidence.iter_mut().flat_map(|evidence| &mut evidence.reads).for_each(input);
            }
            _ => {}
        }
        for guard in &mut node.guards {
            input(&mut guard.read);
            guard.holds.values_mut().for_each(value);
            guard.bind.values_mut().for_each(value);
        }
        if let Some(probe) = &mut node.probe {
            input(&mut probe.read);
            probe.bind.values_mut().for_each(value);
        }
        for when in node.undo.iter_mut().filter_map(|case| case.when.as_mut()) {
            input(&mut when.read);
            when.bind.values_mut().for_each(value);
        }
    }
}

fn input(call: &mut Call) {
    value(&mut call.input);
}

fn value(within: &mut Value) {
    match within {
        Value::String(text) => {
            if let Some(name) = rule_of(text) {
                *within = output(&format!("rule.{name}.create"), "Rules[0].RuleArn");
            } else if let Some((_, key)) = group_of(text) {
                *within = output(&format!("target-group.{key}.create"), "TargetGroups[0].TargetGroupArn");
            } else if let Some(component) = registry_of(text) {
                *within = output(&format!("{component}.registry.create"), "Service.Arn");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(value),
        Value::Object(map) => map.values_mut().for_each(value),
        _ => {}
    }
}

fn told(within: &mut Value) {
    match within {
        Value::String(text) => {
            let name = rule_of(text).map(|name| format!("rule {name}"));
            let group = || group_of(text).map(|(name, _)| format!("target group {name}"));
            let registry = || registry_of(text).map(|component| format!("Cloud Map service of {component}"));
            if let Some(name) = name.or_else(group).or_else(registry) {
                *text = name;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(told),
        Value::Object(map) => map.values_mut().for_each(told),
        _ => {}
    }
}

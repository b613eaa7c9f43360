//! What a container may have besides image, size, ports and volumes: health check, limits, logs, secrets, dependencies.

use belay_schemas::model::{ContainerCondition, HealthCheck, Logs, Text};
use serde_json::{Map, Value, json};

use crate::diagnostics::Place;
use crate::ecs::Context;
use crate::ecs::origin::Origins;
use crate::ecs::pointer;

use super::container::Source;

/// Members of the container definition, each with the setting that says it.
pub fn all(
    context: Context<'_>,
    source: &Source<'_>,
    path: &str,
    origins: &mut Origins,
) -> Vec<(&'static str, &'static str, Value)> {
    let settings = &source.settings;
    let mut members = Vec::new();
    let named = |origins: &mut Origins, list: &str, key: &str, name: &str| {
        let here = pointer::join(&pointer::join(path, list), name);
        origins.set(here, source.settings_place.child(key).child(name));
    };
    if let Some(check) = settings.health_check {
        let (here, place) = (pointer::join(path, "healthCheck"), source.settings_place.child("health_check"));
        origins.set_members(
            &here,
            &place,
            &[
                ("command", "command"),
                ("interval", "interval"),
                ("timeout", "timeout"),
                ("retries", "retries"),
                ("startPeriod", "start_period"),
            ],
        );
        members.push(("healthCheck", "health_check", health_check(check)));
    }
    if !settings.ulimits.is_empty() {
        let list = settings.ulimits.iter().map(|(name, limit)| {
            named(origins, "ulimits", "ulimits", name);
            json!({"name": name, "softLimit": limit.soft, "hardLimit": limit.hard})
        });
        members.push(("ulimits", "ulimits", list.collect()));
    }
    if let Some(logs) = settings.logs {
        log_origins(&pointer::join(path, "logConfiguration"), &source.settings_place.child("logs"), logs, origins);
        members.push(("logConfiguration", "logs", log_configuration(context, source.component, logs)));
    }
    if !settings.secrets.is_empty() {
        let list = settings.secrets.iter().map(|(name, from)| {
            named(origins, "secrets", "secrets", name);
            json!({"name": name, "valueFrom": from})
        });
        members.push(("secrets", "secrets", list.collect()));
    }
    if !settings.env_files.is_empty() {
        let list = settings.env_files.iter().map(|file| json!({"type": "s3", "value": object_arn(context, file)}));
        members.push(("environmentFiles", "env_files", list.collect()));
    }
    if let Some(secret) = settings.registry_credentials {
        members.push(("repositoryCredentials", "registry_credentials", json!({"credentialsParameter": secret})));
    }
    if !settings.volumes_from.is_empty() {
        let list = settings.volumes_from.iter().map(
            |(from, how)| json!({"sourceContainer": from, "readOnly": how.and_then(|h| h.read_only).unwrap_or(false)}),
        );
        members.push(("volumesFrom", "volumes_from", list.collect()));
    }
    if !settings.depends_on.is_empty() {
        let list = settings.depends_on.iter().map(|(on, condition)| {
            named(origins, "dependsOn", "depends_on", on);
            json!({"containerName": on, "condition": condition_name(*condition)})
        });
        members.push(("dependsOn", "depends_on", list.collect()));
    }
    members
}

fn condition_name(condition: ContainerCondition) -> &'static str {
    match condition {
        ContainerCondition::Start => "START",
        ContainerCondition::Complete => "COMPLETE",
        ContainerCondition::Success => "SUCCESS",
        ContainerCondition::Healthy => "HEALTHY",
    }
}

fn health_check(check: &HealthCheck) -> Value {
    let words: Vec<&str> = check.command.0.iter().map(|t| t.0.as_str()).collect();
    let command = match words.as_slice() {
        [shell] => json!(["CMD-SHELL", shell]),
        ["CMD" | "CMD-SHELL" | "NONE", ..] => json!(words),
        _ => std::iter::once("CMD").chain(words).collect(),
    };
    let mut out = Map::from_iter([("command".to_owned(), command)]);
    for (name, value) in [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("retries", check.retries),
        ("startPeriod", check.start_period),
    ] {
        if let Some(value) = value {
            out.insert(name.to_owned(), json!(value));
        }
    }
    Value::Object(out)
}

/// The driver that writes to CloudWatch Logs.
pub const AWSLOGS: &str = "awslogs";

/// The log group that Belay keeps for these logs; absent with another driver.
pub fn log_group(logs: &Logs) -> Option<&str> {
    logs.group.as_deref().filter(|_| logs.driver.as_deref().unwrap_or(AWSLOGS) == AWSLOGS)
}

/// Where each part of a `logConfiguration` is said: an option that changed is told by its name.
pub fn log_origins(here: &str, place: &Place, logs: &Logs, origins: &mut Origins) {
    let options = pointer::join(here, "options");
    origins.set_members(here, place, &[("logDriver", "driver"), ("secretOptions", "secret_options")]);
    origins.mirror(&options, place.child("options"), &Value::Null);
    for (option, key) in [("awslogs-group", "group"), ("awslogs-stream-prefix", "stream_prefix")] {
        if !logs.options.contains_key(option) {
            origins.set(pointer::join(&options, option), place.child(key));
        }
    }
}

/// `logConfiguration`, for a component.
pub fn log_configuration(context: Context<'_>, component: &str, logs: &Logs) -> Value {
    let driver = logs.driver.as_deref().unwrap_or(AWSLOGS);
    let mut options: Map<String, Value> =
        logs.options.iter().map(|(name, Text(value))| (name.clone(), json!(value))).collect();
    if driver == AWSLOGS {
        let region = context.facts.map(|f| f.region).or(context.settings.region.as_deref());
        let prefix = logs.stream_prefix.as_deref().unwrap_or(component);
        for (name, value) in [
            ("awslogs-group", logs.group.as_deref()),
            ("awslogs-region", region),
            ("awslogs-stream-prefix", Some(prefix)),
        ] {
            if let Some(value) = value {
                options.entry(name).or_insert_with(|| json!(value));
            }
        }
    }
    let mut out = Map::from_iter([("logDriver".to_owned(), json!(driver))]);
    if !options.is_empty() {
        out.insert("options".to_owned(), Value::Object(options));
    }
    if !logs.secret_options.is_empty() {
        let list = logs.secret_options.iter().map(|(name, from)| json!({"name": name, "valueFrom": from}));
        out.insert("secretOptions".to_owned(), list.collect());
    }
    Value::Object(out)
}

/// `s3://bucket/key` as the ARN that the API wants.
fn object_arn(context: Context<'_>, file: &str) -> String {
    match file.strip_prefix("s3://") {
        Some(path) => format!("arn:{}:s3:::{path}", context.facts.map_or("aws", |f| f.partition)),
        None => file.to_owned(),
    }
}

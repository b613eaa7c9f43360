//! Task definitions: registering with what AWS fills in, deregistering, deleting, describing, listing.
//!
//! Invariant: the number of a revision is never given twice.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::errors::{client, invalid, missing};
use super::super::request::{
    Answer, Paging, at_most, ecs_tags, items, lists, number, required, short, text, to_ecs_tags,
};
use super::super::world::{Family, TaskDefinition, TaskDefinitionStatus as Status, TaskStatus, World};
use super::shape::{TaskShape, amount, family_and_number};
use super::{external, managed, order};
use crate::cloud::CloudError;

/// What AWS adds to a container that does not say it.
const CONTAINER_LISTS: [&str; 5] = ["portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"];

pub(super) fn register(world: &mut World, input: &Value) -> Answer {
    let family = required(input, "family")?;
    validate(input)?;
    let content = normalise(input);
    let now = world.now;
    let entry = world.task_definitions.get_or_insert_with(family.to_owned(), Family::default);
    entry.latest += 1;
    let revision = entry.latest;
    entry.revisions.insert(
        revision,
        TaskDefinition {
            status: Status::Active,
            content,
            tags: ecs_tags(input),
            registered_at: now,
            deregistered_at: None,
            delete_requested_at: None,
        },
    );
    let name = format!("{family}:{revision}");
    let mut output = json!({"taskDefinition": world.show_task_definition(&name)});
    if !items(input, "tags").is_empty() {
        output["tags"] = to_ecs_tags(&ecs_tags(input));
    }
    Ok(output.into())
}

/// What AWS refuses at registration, in so far as later behaviour would depend on it.
fn validate(input: &Value) -> Result<(), CloudError> {
    let family = text(input, "family").unwrap_or_default();
    let legal = |name: &str| {
        (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !legal(family) {
        return Err(client("Invalid family. It must be 1 to 255 letters, digits, hyphens and underscores."));
    }
    let containers = items(input, "containerDefinitions");
    let mode = text(input, "networkMode").unwrap_or(usual_mode(input));
    if containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    if containers.len() > 10 {
        return Err(client("Too many containers, must be no more than 10."));
    }
    if !containers.iter().any(|c| c.get("essential").and_then(Value::as_bool).unwrap_or(true)) {
        return Err(client("Task definition does not have an essential container."));
    }
    let task_memory = text(input, "memory")
        .map(|memory| amount(memory).ok_or_else(|| client("Invalid 'memory' setting for task.")))
        .transpose()?;
    text(input, "cpu").map(|cpu| amount(cpu).ok_or_else(|| client("Invalid 'cpu' setting for task."))).transpose()?;
    let mut names = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for container in containers {
        let name = text(container, "name").unwrap_or_default();
        if !legal(name) {
            return Err(client("Container.name contains invalid characters."));
        }
        if !names.insert(name) {
            return Err(client(format!("Container definition names must be unique: {name}.")));
        }
        if text(container, "image").unwrap_or_default().is_empty() {
            return Err(client("Container.image should not be null or empty."));
        }
        let (memory, reservation) = (number(container, "memory"), number(container, "memoryReservation"));
        if task_memory.is_none() && memory.is_none() && reservation.is_none() {
            return Err(client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            )));
        }
        if memory.is_some_and(|memory| memory < 6) {
            return Err(client(format!("Invalid setting for container '{name}'. 'memory' must be at least 6 MiB.")));
        }
        if memory.zip(reservation).is_some_and(|(memory, reservation)| reservation > memory) {
            return Err(client(format!(
                "Invalid setting for container '{name}'. The 'memory' value must be greater than the 'memoryReservation' value."
            )));
        }
        for mapping in items(container, "portMappings") {
            let port = number(mapping, "containerPort").unwrap_or(0);
            let host = number(mapping, "hostPort").unwrap_or(0);
            if matches!(mode, "awsvpc" | "host") && host != 0 && host != port {
                return Err(client(format!(
                    "When networkMode={mode}, the host ports and container ports in port mappings must match."
                )));
            }
            if mode == "none" {
                return Err(client("When networkMode=none, port mappings are not allowed."));
            }
            let protocol = text(mapping, "protocol").unwrap_or("tcp");
            if host != 0 && !host_ports.insert((host, protocol)) {
                return Err(client(format!("Host port {host} is used more than once in the task definition.")));
            }
        }
    }
    if let Some(words) = order::fault(&TaskShape::of(input.as_object().unwrap_or(&Map::new()))) {
        return Err(client(words));
    }
    let fargate = lists(input, "requiresCompatibilities", "FARGATE");
    if fargate && (mode != "awsvpc" || task_memory.is_none() || text(input, "cpu").is_none()) {
        return Err(client(
            "Fargate requires task definition to have network mode awsvpc, and cpu and memory at the task level.",
        ));
    }
    if lists(input, "requiresCompatibilities", "EXTERNAL") {
        external::check_definition(&TaskShape::of(input.as_object().unwrap_or(&Map::new())))?;
    }
    if lists(input, "requiresCompatibilities", "MANAGED_INSTANCES") {
        managed::check_definition(mode)?;
    }
    // The words are AWS's.
    let routes = containers.iter().any(|c| c.get("firelensConfiguration").is_some());
    let routed = containers.iter().any(|c| c["logConfiguration"]["logDriver"] == "awsfirelens");
    match (routes, routed) {
        (false, true) => {
            return Err(client(
                "When awsfirelens log driver is specified in log configuration, a firelens configuration object must be configured in one of the containers.",
            ));
        }
        (true, false) => {
            return Err(client(
                "When a firelensConfiguration object is specified, at least one container has to be configured with the awsfirelens log driver.",
            ));
        }
        _ => {}
    }
    let volumes: BTreeSet<&str> = items(input, "volumes").iter().filter_map(|v| text(v, "name")).collect();
    let mounts = containers.iter().flat_map(|c| items(c, "mountPoints")).filter_map(|m| text(m, "sourceVolume"));
    for volume in mounts {
        if !volumes.contains(volume) {
            return Err(client(format!("Unknown volume '{volume}'.")));
        }
    }
    Ok(())
}

/// The network mode of what says none.
fn usual_mode(input: &Value) -> &'static str {
    if lists(input, "requiresCompatibilities", "MANAGED_INSTANCES") { "awsvpc" } else { "bridge" }
}

/// What was registered, with what AWS fills in.
fn normalise(input: &Value) -> Map<String, Value> {
    let mut content = input.as_object().cloned().unwrap_or_default();
    content.remove("tags");
    for name in ["volumes", "placementConstraints"] {
        content.entry(name).or_insert_with(|| json!([]));
    }
    let usual = usual_mode(input);
    let mode = content.entry("networkMode").or_insert_with(|| usual.into()).as_str().unwrap_or("bridge").to_owned();
    if let Some(containers) = content.get_mut("containerDefinitions").and_then(Value::as_array_mut) {
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.entry("cpu").or_insert_with(|| 0.into());
            container.entry("essential").or_insert_with(|| true.into());
            for name in CONTAINER_LISTS {
                container.entry(name).or_insert_with(|| json!([]));
            }
            let mappings = container.get_mut("portMappings").and_then(Value::as_array_mut);
            for mapping in mappings.into_iter().flatten().filter_map(Value::as_object_mut) {
                let own = matches!(mode.as_str(), "awsvpc" | "host");
                let host = if own { mapping.get("containerPort").cloned() } else { None };
                mapping.entry("hostPort").or_insert_with(|| host.unwrap_or_else(|| 0.into()));
                mapping.entry("protocol").or_insert_with(|| "tcp".into());
            }
        }
    }
    let whole = ["cpu", "memory"].iter().all(|name| content.contains_key(*name));
    let asks = |for_what: &str| lists(input, "requiresCompatibilities", for_what);
    let mut compatibilities = vec!["EC2"];
    if mode == "awsvpc" && whole {
        compatibilities.push("FARGATE");
    }
    compatibilities.extend(["EXTERNAL", "MANAGED_INSTANCES"].into_iter().filter(|kind| asks(kind)));
    content.insert("compatibilities".to_owned(), json!(compatibilities));
    content
}

impl World {
    /// A revision in AWS's shape.
    fn show_task_definition(&self, name: &str) -> Value {
        let (Some(definition), Some((family, revision))) = (self.task_definition(name), family_and_number(name)) else {
            return Value::Null;
        };
        let mut shown = definition.content.clone();
        shown.insert("family".to_owned(), family.into());
        shown.insert("revision".to_owned(), revision.into());
        shown.insert("taskDefinitionArn".to_owned(), self.task_definition_arn(family, revision).into());
        let status = match definition.status {
            Status::Active => "ACTIVE",
            Status::Inactive => "INACTIVE",
            Status::DeleteInProgress => "DELETE_IN_PROGRESS",
        };
        shown.insert("status".to_owned(), status.into());
        shown.insert("registeredAt".to_owned(), definition.registered_at.seconds().into());
        shown.insert("registeredBy".to_owned(), self.iam_arn("user/simulated").into());
        let times =
            [("deregisteredAt", definition.deregistered_at), ("deleteRequestedAt", definition.delete_requested_at)];
        for (member, at) in times {
            if let Some(at) = at {
                shown.insert(member.to_owned(), at.seconds().into());
            }
        }
        Value::Object(shown)
    }

    pub(super) fn task_definition_arn(&self, family: &str, revision: u64) -> String {
        self.ecs_arn(&format!("task-definition/{family}:{revision}"))
    }

    /// `family:number` of what a name, `family:number` or ARN means; a family alone means its latest active revision.
    fn resolve_task_definition(&self, name: &str) -> Option<String> {
        if let Some((family, number)) = family_and_number(name) {
            return self.task_definition(name).map(|_| format!("{family}:{number}"));
        }
        let family = short(name);
        let revisions = &self.task_definitions.get(family)?.revisions;
        let (number, _) = revisions.iter().rev().find(|(_, definition)| definition.status == Status::Active)?;
        Some(format!("{family}:{number}"))
    }

    /// The ARN of an active revision, for what is to use it.
    pub(super) fn usable_task_definition(&self, name: &str) -> Result<String, CloudError> {
        let found = self.resolve_task_definition(name).and_then(|name| {
            let (family, number) = family_and_number(&name)?;
            let active = self.task_definition(&name)?.status == Status::Active;
            Some((self.task_definition_arn(family, number), active))
        });
        match found {
            Some((arn, true)) => Ok(arn),
            Some((_, false)) => Err(client("TaskDefinition is inactive")),
            None => Err(missing("ClientException", "TaskDefinition not found.")),
        }
    }
}

fn unable() -> CloudError {
    missing("ClientException", "Unable to describe task definition.")
}

pub(super) fn deregister(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "taskDefinition")?;
    let Some((family, number)) = family_and_number(name) else {
        return Err(client(format!("Invalid revision number. Number: {}", short(name))));
    };
    let now = world.now;
    let revision = world.task_definitions.get_mut(family).and_then(|f| f.revisions.get_mut(&number));
    let Some(definition) = revision else {
        return Err(missing("ClientException", "The specified task definition does not exist."));
    };
    if definition.status == Status::Active {
        definition.status = Status::Inactive;
        definition.deregistered_at = Some(now);
    }
    Ok(json!({"taskDefinition": world.show_task_definition(name)}).into())
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let names = items(input, "taskDefinitions");
    at_most(names, 10, "taskDefinitions")?;
    let now = world.now;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(Value::as_str) {
        let found = family_and_number(name)
            .and_then(|(family, number)| world.task_definitions.get_mut(family)?.revisions.get_mut(&number));
        let reason = match found {
            None => {
                "The specified task definition does not exist. Specify a valid account, family, revision and try again."
            }
            Some(definition) if definition.status == Status::Active => {
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
            }
            Some(definition) => {
                definition.status = Status::DeleteInProgress;
                definition.delete_requested_at.get_or_insert(now);
                deleted.push(name.to_owned());
                continue;
            }
        };
        failures.push(json!({"arn": name, "reason": reason}));
    }
    let shown: Vec<Value> = deleted.iter().map(|name| world.show_task_definition(name)).collect();
    Ok(json!({"taskDefinitions": shown, "failures": failures}).into())
}

/// Removes the revisions whose deletion was asked for before now and that nothing uses; whether there were any.
pub(in super::super) fn forget_deleted(world: &mut World) -> bool {
    let now = world.now;
    let gone = |d: &TaskDefinition| d.status == Status::DeleteInProgress && d.delete_requested_at < Some(now);
    if !world.task_definitions.values().flat_map(|f| f.revisions.values()).any(gone) {
        return false;
    }
    let tasks = world.tasks.iter().filter(|(_, task)| task.last_status != TaskStatus::Stopped);
    let services = world.services.values().flat_map(|service| {
        let deployed = service.deployments.iter().filter_map(|d| service.revision(&d.revision));
        deployed.filter_map(|revision| revision.settings.get("taskDefinition").and_then(Value::as_str))
    });
    let used: BTreeSet<String> =
        tasks.map(|(_, task)| task.task_definition.as_str()).chain(services).map(|arn| short(arn).to_owned()).collect();
    let goes = |name: &str, number: u64, definition: &TaskDefinition| {
        gone(definition) && !used.contains(&format!("{name}:{number}"))
    };
    let mut any = false;
    world.task_definitions.change(
        |family| family.revisions.values().any(gone),
        |name, family| {
            let before = family.revisions.len();
            family.revisions.retain(|number, definition| !goes(name, *number, definition));
            any |= family.revisions.len() < before;
        },
    );
    any
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let name = world.resolve_task_definition(required(input, "taskDefinition")?).ok_or_else(unable)?;
    let mut output = json!({"taskDefinition": world.show_task_definition(&name)});
    if lists(input, "include", "TAGS")
        && let Some(definition) = world.task_definition(&name)
    {
        output["tags"] = to_ecs_tags(&definition.tags);
    }
    Ok(output.into())
}

/// The filter is called a prefix, but AWS takes it as the whole name.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let status = match text(input, "status").unwrap_or("ACTIVE") {
        "ACTIVE" => Status::Active,
        "INACTIVE" => Status::Inactive,
        "DELETE_IN_PROGRESS" => Status::DeleteInProgress,
        other => return Err(invalid(format!("Invalid status: {other}"))),
    };
    let family = text(input, "familyPrefix");
    let wanted = world.task_definitions.iter().filter(|(name, _)| family.is_none_or(|family| family == name.as_str()));
    let mut arns: Vec<Value> = wanted
        .flat_map(|(name, family)| family.revisions.iter().map(move |(number, definition)| (name, number, definition)))
        .filter(|(_, _, definition)| definition.status == status)
        .map(|(name, number, _)| world.task_definition_arn(name, *number).into())
        .collect();
    if text(input, "sort") == Some("DESC") {
        arns.reverse();
    }
    Ok(Paging::ecs(100, 100).answer("taskDefinitionArns", arns, input)?.into())
}

pub(super) fn list_families(world: &World, input: &Value) -> Answer {
    let prefix = text(input, "familyPrefix").unwrap_or_default();
    let status = text(input, "status").unwrap_or("ACTIVE");
    let families = world
        .task_definitions
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .filter(|(_, family)| {
            let active = family.revisions.values().any(|definition| definition.status == Status::Active);
            status == "ALL" || active == (status == "ACTIVE")
        })
        .map(|(name, _)| name.as_str().into())
        .collect();
    Ok(Paging::ecs(100, 100).answer("families", families, input)?.into())
}

//! Tasks that no service started: RunTask and StopTask.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::errors::{invalid, missing, rejected, unmodelled};
use super::super::images::sha256;
use super::super::request::{Answer, Reply, ecs_tags, items, number, required, short, text};
use super::super::world::World;
use super::lifecycle::{self, NewTask};
use super::placement::{self, Expression, Machines, Unplaced, Wanted};
use super::scheduler::{on_fargate, zone_of};
use super::shape::TaskShape;
use super::{cluster_name, external, managed, task_reads};
use crate::cloud::CloudError;

pub(super) fn run(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let token = text(input, "clientToken");
    let request = request(input);
    if let Some(token) = token
        && let Some(reply) = repeated(world, &cluster, token, &request)?
    {
        return Ok(reply);
    }
    let count = number(input, "count").unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(invalid("Count must be between 1 and 10."));
    }
    let definition = world.usable_task_definition(required(input, "taskDefinition")?)?;
    let mut shape = world.task_shape(&definition).ok_or_else(|| invalid("TaskDefinition not found."))?;
    override_resources(&mut shape, input);
    let settings = input.as_object().cloned().unwrap_or_default();
    check_network(&shape, &settings)?;
    external::check(&settings, &shape)?;
    managed::check(world, &settings, &definition)?;
    let family = short(&definition).split(':').next().unwrap_or_default();
    let group = text(input, "group").map_or_else(|| format!("family:{family}"), str::to_owned);
    if group.starts_with("service:") {
        return Err(invalid("The group name must not begin with \"service:\"."));
    }
    for constraint in items(input, "placementConstraints") {
        let expression = text(constraint, "expression").unwrap_or_default();
        if text(constraint, "type") == Some("memberOf") && Expression::parse(expression).is_none() {
            return Err(unmodelled(&format!("the placement expression \"{expression}\"")));
        }
    }
    let mut tags = ecs_tags(input);
    if text(input, "propagateTags") == Some("TASK_DEFINITION")
        && let Some(definition) = world.task_definition(&definition)
    {
        let own = std::mem::take(&mut tags);
        tags = definition.tags.clone();
        tags.extend(own);
    }
    let (mut started, mut failures) = (Vec::new(), Vec::new());
    for number in 0..count {
        let machines = Machines::of(world, &settings);
        let (instance, zone, ports) = if on_fargate(&settings) {
            (None, zone_of(world, &settings, number), placement::own_ports(&shape))
        } else if let Machines::Managed(provider) = machines {
            let zone = zone_of(world, &settings, number);
            let instance = managed::launch(world, &cluster, provider, &shape, &zone);
            (Some(instance), zone, placement::own_ports(&shape))
        } else {
            let wanted = Wanted {
                cluster: &cluster,
                shape: &shape,
                group: &group,
                constraints: items(input, "placementConstraints"),
                strategy: items(input, "placementStrategy"),
                on: machines,
            };
            match placement::place(world, &wanted) {
                Ok(place) => (Some(place.instance), place.availability_zone, place.ports),
                Err(Unplaced::NoInstances) => {
                    return Err(invalid("No Container Instances were found in your cluster."));
                }
                Err(Unplaced::Lacking { all, .. }) => {
                    failures = all
                        .iter()
                        .map(|(id, lack)| {
                            let arn = world.ecs_arn(&format!("container-instance/{cluster}/{id}"));
                            json!({"arn": arn, "reason": lack.failure()})
                        })
                        .collect();
                    break;
                }
            }
        };
        let id = lifecycle::start(
            world,
            NewTask {
                cluster: &cluster,
                service: None,
                started_by: text(input, "startedBy"),
                revision: None,
                group: &group,
                task_definition: &definition,
                shape: &shape,
                container_instance: instance,
                availability_zone: zone,
                ports,
                images: None,
                overrides: input.get("overrides").cloned(),
                tags: tags.clone(),
            },
        );
        if let Some(task) = world.tasks.get_mut(&id) {
            task.client_token = token.map(str::to_owned);
            task.request = token.map(|_| request.clone());
        }
        started.push(id);
    }
    Ok(json!({"tasks": shown(world, &started), "failures": failures}).into())
}

/// What StartTask does on a container instance: no strategy chooses, and where there is no room nothing starts. Who calls
/// it is the instance itself, which goes on without.
pub(super) fn start_on(world: &mut World, instance: &str, definition: &str, started_by: &str) {
    let Some(cluster) = world.container_instances.get(instance).map(|i| i.cluster.clone()) else { return };
    let Ok(definition) = world.usable_task_definition(definition) else { return };
    let Some(shape) = world.task_shape(&definition).filter(|shape| shape.network_mode != "awsvpc") else { return };
    let group = format!("family:{}", short(&definition).split(':').next().unwrap_or_default());
    let on = Machines::Own;
    let wanted = Wanted { cluster: &cluster, shape: &shape, group: &group, constraints: &[], strategy: &[], on };
    let Some(place) = placement::place_on(world, &wanted, instance) else { return };
    let id = lifecycle::start(
        world,
        NewTask {
            cluster: &cluster,
            service: None,
            started_by: Some(started_by),
            revision: None,
            group: &group,
            task_definition: &definition,
            shape: &shape,
            container_instance: Some(place.instance),
            availability_zone: place.availability_zone,
            ports: place.ports,
            images: None,
            overrides: None,
            tags: BTreeMap::new(),
        },
    );
    if let Some(task) = world.tasks.get_mut(&id) {
        task.of_instance = true;
    }
}

fn shown(world: &World, ids: &[String]) -> Vec<Value> {
    let tasks = ids.iter().filter_map(|id| Some((id, world.tasks.get(id)?)));
    tasks.map(|(id, task)| task_reads::show(world, id, task, true)).collect()
}

/// A digest of a request without its token.
fn request(input: &Value) -> String {
    let mut request = input.clone();
    if let Some(request) = request.as_object_mut() {
        request.remove("clientToken");
    }
    sha256(&request.to_string())
}

/// The answer to a token that was used before in the cluster.
fn repeated(world: &World, cluster: &str, token: &str, request: &str) -> Result<Option<Reply>, CloudError> {
    let earlier = world.tasks.iter().filter(|(_, t)| t.cluster == cluster && t.client_token.as_deref() == Some(token));
    let (ids, requests): (Vec<String>, Vec<Option<&str>>) =
        earlier.map(|(id, task)| (id.clone(), task.request.as_deref())).unzip();
    if ids.is_empty() {
        return Ok(None);
    }
    if requests.iter().any(|earlier| *earlier != Some(request)) {
        let message = "The client token was used before with other parameters.";
        return Err(rejected("ConflictException", message));
    }
    Ok(Some(Reply { output: json!({"tasks": shown(world, &ids), "failures": []}), repeated: true }))
}

/// Overrides change what is reserved for a task.
fn override_resources(shape: &mut TaskShape, input: &Value) {
    let Some(overrides) = input.get("overrides") else { return };
    let whole = |member: &str| text(overrides, member).and_then(super::shape::amount);
    shape.cpu = whole("cpu").unwrap_or(shape.cpu);
    shape.memory = whole("memory").unwrap_or(shape.memory);
}

fn check_network(shape: &TaskShape, settings: &Map<String, Value>) -> Result<(), CloudError> {
    let own = shape.network_mode == "awsvpc";
    match settings.contains_key("networkConfiguration") {
        false if own => Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")),
        true if !own => {
            Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."))
        }
        _ => Ok(()),
    }
}

pub(super) fn stop(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let id = short(required(input, "task")?).to_owned();
    if world.tasks.get(&id).is_none_or(|task| task.cluster != cluster) {
        return Err(missing("InvalidParameterException", "The referenced task was not found."));
    }
    let reason = text(input, "reason").unwrap_or("Task stopped by user");
    lifecycle::stop(world, &id, reason, "UserInitiated");
    if let Some(key) = world.tasks.get(&id).and_then(|task| task.service.clone()) {
        world.dirty.insert(key);
    }
    let task = world.tasks.get(&id).map(|task| task_reads::show(world, &id, task, true));
    Ok(json!({"task": task}).into())
}

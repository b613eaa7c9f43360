//! How tasks look from outside.

use serde_json::{Value, json};

use super::super::errors::missing;
use super::super::request::{Answer, Paging, at_most, items, lists, short, text, to_ecs_tags};
use super::super::time::Time;
use super::super::world::{Behaviour, Container, Task, TaskStatus, World};
use super::{cluster_name, service_key, service_not_found};

pub(super) fn list(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let service = text(input, "serviceName").map(|name| service_key(&cluster, name));
    if let Some(key) = &service
        && !world.services.contains_key(key)
    {
        return Err(service_not_found());
    }
    let instance = text(input, "containerInstance").map(short);
    if instance.is_some_and(|id| !world.container_instances.contains_key(id)) {
        return Err(missing("InvalidParameterException", "The specified container instance was not found."));
    }
    let stopped = text(input, "desiredStatus") == Some("STOPPED");
    let family = text(input, "family");
    let same = |asked: Option<&str>, actual: Option<&str>| asked.is_none() || asked == actual;
    let wanted = |task: &Task| {
        task.cluster == cluster
            && task.stopping == stopped
            && same(service.as_deref(), task.service.as_deref())
            && same(instance, task.container_instance.as_deref())
            && same(text(input, "startedBy"), task.started_by.as_deref())
            && same(text(input, "launchType"), Some(&task.launch_type))
            && same(family, short(&task.task_definition).split(':').next())
            // PENDING is accepted, but no task ever has it as its desired status.
            && text(input, "desiredStatus") != Some("PENDING")
    };
    let arns = world.tasks.iter().filter(|(_, task)| wanted(task));
    let arns = arns.map(|(id, task)| task_arn(world, task, id).into()).collect();
    Ok(Paging::ecs(100, 100).answer("taskArns", arns, input)?.into())
}

pub(super) fn task_arn(world: &World, task: &Task, id: &str) -> String {
    world.ecs_arn(&format!("task/{}/{id}", task.cluster))
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let names = items(input, "tasks");
    at_most(names, 100, "tasks")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(Value::as_str) {
        match world.tasks.get(short(name)).filter(|task| task.cluster == cluster) {
            Some(task) => found.push(show(world, short(name), task, lists(input, "include", "TAGS"))),
            None => {
                let arn = world.ecs_arn(&format!("task/{cluster}/{}", short(name)));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"tasks": found, "failures": failures}).into())
}

/// A task in AWS's shape.
pub(super) fn show(world: &World, id: &str, task: &Task, with_tags: bool) -> Value {
    let arn = task_arn(world, task, id);
    let health = match task.container_health {
        Some(true) => "HEALTHY",
        Some(false) => "UNHEALTHY",
        None => "UNKNOWN",
    };
    let mut shown = json!({
        "taskArn": arn,
        "clusterArn": world.ecs_arn(&format!("cluster/{}", task.cluster)),
        "taskDefinitionArn": task.task_definition,
        "group": task.group,
        "launchType": task.launch_type,
        "lastStatus": task.last_status.word(),
        "desiredStatus": if task.stopping { "STOPPED" } else { "RUNNING" },
        "healthStatus": health,
        "cpu": task.cpu.to_string(),
        "memory": task.memory.to_string(),
        "createdAt": task.times.created_at.seconds(),
        "containers": task.containers.iter().enumerate().map(|(i, c)| container(task, &arn, i, c)).collect::<Value>(),
        "overrides": task.overrides.clone().unwrap_or_else(|| json!({"containerOverrides": []})),
        "attachments": [],
        "attributes": [],
        "enableExecuteCommand": false,
        "version": 1,
    });
    if !task.availability_zone.is_empty() {
        shown["availabilityZone"] = task.availability_zone.as_str().into();
    }
    if task.last_status >= TaskStatus::Running {
        shown["connectivity"] = "CONNECTED".into();
    }
    for (name, at) in [
        ("startedAt", task.times.started_at),
        ("connectivityAt", task.times.started_at),
        ("pullStoppedAt", task.times.started_at),
        ("stoppingAt", task.times.stopping_at),
        ("stoppedAt", task.times.stopped_at),
        ("executionStoppedAt", task.times.stopped_at),
    ] {
        if let Some(at) = at.map(Time::seconds) {
            shown[name] = at.into();
        }
    }
    for (name, text) in
        [("startedBy", &task.started_by), ("stoppedReason", &task.stopped_reason), ("stopCode", &task.stop_code)]
    {
        if let Some(text) = text {
            shown[name] = text.as_str().into();
        }
    }
    let joined = |id: &&String| world.container_instances.get(id).is_none_or(|host| host.has_joined(world.now));
    if let Some(instance) = task.container_instance.as_ref().filter(joined) {
        shown["containerInstanceArn"] =
            world.ecs_arn(&format!("container-instance/{}/{instance}", task.cluster)).into();
    } else {
        shown["platformVersion"] = "1.4.0".into();
        shown["platformFamily"] = "Linux".into();
    }
    if let Some(address) = &task.private_ip {
        shown["attachments"] = json!([{
            "id": format!("eni-{id}"), "type": "ElasticNetworkInterface",
            "status": if task.last_status == TaskStatus::Stopped { "DELETED" } else { "ATTACHED" },
            "details": [{"name": "privateIPv4Address", "value": address}],
        }]);
    }
    if with_tags && !task.tags.is_empty() {
        shown["tags"] = to_ecs_tags(&task.tags);
    }
    shown
}

fn container(task: &Task, arn: &str, index: usize, container: &Container) -> Value {
    let ended = container.exit_code.is_some() || task.last_status == TaskStatus::Stopped;
    let status = match task.last_status {
        _ if ended => "STOPPED",
        TaskStatus::Provisioning | TaskStatus::Pending if container.started_at.is_none() => "PENDING",
        _ => "RUNNING",
    };
    let health = match (task.container_health, &container.behaviour) {
        (Some(false), Behaviour::NeverHealthy) => "UNHEALTHY",
        (Some(_), _) => "HEALTHY",
        (None, _) => "UNKNOWN",
    };
    let mut shown = json!({
        "containerArn": format!("{}/{index}", arn.replace(":task/", ":container/")),
        "taskArn": arn,
        "name": container.name,
        "image": container.image,
        "lastStatus": status,
        "healthStatus": health,
        "networkInterfaces": [],
        "networkBindings": [],
    });
    if status != "PENDING" {
        if let Some(digest) = &container.image_digest {
            shown["imageDigest"] = digest.as_str().into();
        }
        match &task.private_ip {
            Some(address) => shown["networkInterfaces"] = json!([{"privateIpv4Address": address}]),
            None => {
                shown["networkBindings"] = container
                    .ports
                    .iter()
                    .map(|p| {
                        json!({
                            "bindIP": "0.0.0.0", "containerPort": p.container_port, "hostPort": p.host_port,
                            "protocol": p.protocol,
                        })
                    })
                    .collect();
            }
        }
    }
    if let Some(code) = container.exit_code {
        shown["exitCode"] = code.into();
    }
    if let Some(reason) = &container.reason {
        shown["reason"] = reason.as_str().into();
    }
    shown
}

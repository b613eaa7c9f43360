//! Creating, updating and deleting services.
//!
//! Invariants: an update changes exactly the fields that it gives; only some of them start a deployment; the same
//! creation twice is one service.

use serde_json::{Map, Value, json};

use super::super::errors::invalid;
use super::super::images::sha256;
use super::super::request::{Answer, Reply, ecs_tags, number, required, text};
use super::super::world::{Creation, RolloutState, Service, ServiceDeploymentStatus, ServiceStatus, World};
use super::service_input::{check, settings_of_create};
use super::{
    cluster_name, connect, describe, providers, rollout, service_key, service_not_active, service_not_found,
    with_service,
};
use crate::cloud::CloudError;

/// Settings whose change starts a deployment; the API's documentation names those that do not.
const DEPLOYED: [&str; 10] = [
    "taskDefinition",
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "gatewayConnectors",
    "monitoring",
];

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let name = required(input, "serviceName")?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(legal) {
        return Err(invalid("Service name must be 1 to 255 letters, digits, hyphens and underscores."));
    }
    let key = service_key(&cluster, name);
    let creation = creation(input);
    match world.services.get(&key) {
        Some(existing) if existing.status == ServiceStatus::Active => {
            let same = existing.creation.request == creation.request;
            if !same {
                return Err(invalid("Creation of service was not idempotent."));
            }
            return Ok(Reply { output: json!({"service": describe::service(world, &key, true)}), repeated: true });
        }
        Some(existing) if existing.status == ServiceStatus::Draining => {
            return Err(invalid("Unable to Start a service that is still Draining."));
        }
        _ => {}
    }
    let token = creation.client_token.as_ref();
    let other = |service: &Service| {
        service.cluster == cluster && token.is_some() && service.creation.client_token.as_ref() == token
    };
    if world.services.values().any(other) {
        return Err(invalid("Creation of service was not idempotent."));
    }
    let wanted = settings_of_create(world, &cluster, input)?;
    providers::check_strategy(world, &cluster, wanted.get("capacityProviderStrategy"))?;
    let mut service = Service {
        cluster,
        name: name.to_owned(),
        status: ServiceStatus::Active,
        wanted,
        tags: ecs_tags(input),
        created_at: world.now,
        creation,
        deployments: Vec::new(),
        service_deployments: Vec::new(),
        revisions: Vec::new(),
        last_good_revision: None,
        events: Vec::new(),
        steady: false,
        unplaced: false,
        due: None,
    };
    rollout::begin(world, &mut service);
    world.services.insert(key.clone(), service);
    Ok(json!({"service": describe::service(world, &key, true)}).into())
}

/// What makes a creation the same as an earlier one.
fn creation(input: &Value) -> Creation {
    let mut request = input.clone();
    if let Some(request) = request.as_object_mut() {
        request.remove("clientToken");
    }
    Creation {
        client_token: text(input, "clientToken").map(str::to_owned),
        request: Some(sha256(&request.to_string())),
    }
}

pub(super) fn update(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let key = service_key(&cluster, required(input, "service")?);
    let service = world.services.get(&key).ok_or_else(service_not_found)?;
    if service.status != ServiceStatus::Active {
        return Err(service_not_active());
    }
    let wanted = updated(world, service, input)?;
    let forced = input.get("forceNewDeployment").and_then(Value::as_bool).unwrap_or(false);
    let changed = DEPLOYED.iter().any(|name| wanted.get(*name) != service.wanted.get(*name));
    with_service(world, &key, |world, service| {
        service.wanted = wanted;
        if forced || changed {
            rollout::begin(world, service);
        } else {
            let due = world.now.plus(world.timings.schedule_seconds);
            service.due = Some(service.due.map_or(due, |earlier| earlier.min(due)));
        }
    });
    Ok(json!({"service": describe::service(world, &key, true)}).into())
}

/// The settings that a service has after an update.
fn updated(world: &World, service: &Service, input: &Value) -> Result<Map<String, Value>, CloudError> {
    let mut wanted = service.wanted.clone();
    for (name, value) in input.as_object().into_iter().flatten() {
        match name.as_str() {
            "cluster" | "service" | "forceNewDeployment" => {}
            "taskDefinition" => {
                let given = value.as_str().unwrap_or_default();
                wanted.insert(name.clone(), world.usable_task_definition(given)?.into());
            }
            "deploymentConfiguration" => {
                let mut merged = wanted.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
                merged.extend(value.as_object().cloned().unwrap_or_default());
                // What belongs to another strategy goes with it.
                let strategy = merged.get("strategy").cloned().unwrap_or_default();
                for (of, block) in [("LINEAR", "linearConfiguration"), ("CANARY", "canaryConfiguration")] {
                    if strategy != of && value.get(block).is_none() {
                        merged.remove(block);
                    }
                }
                wanted.insert(name.clone(), Value::Object(merged));
            }
            "capacityProviderStrategy" => {
                let cleared = value.as_array().is_none_or(Vec::is_empty);
                if cleared {
                    // The service goes back to the launch type that its providers are of.
                    let own = |s: &Value| text(s, "capacityProvider").is_some_and(|p| !p.starts_with("FARGATE"));
                    let before = wanted.remove(name);
                    let ec2 = before.as_ref().and_then(Value::as_array).is_none_or(|list| list.iter().any(own));
                    wanted.entry("launchType").or_insert_with(|| if ec2 { "EC2" } else { "FARGATE" }.into());
                } else {
                    wanted.remove("launchType");
                    wanted.insert(name.clone(), value.clone());
                }
            }
            _ => {
                wanted.insert(name.clone(), value.clone());
            }
        }
    }
    providers::check_strategy(world, &service.cluster, wanted.get("capacityProviderStrategy"))?;
    let daemon = wanted.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    if daemon && input.get("desiredCount").is_some() {
        return Err(invalid("You cannot specify a desired count with the DAEMON strategy."));
    }
    let balanced = wanted.get("loadBalancers").and_then(Value::as_array).is_some_and(|b| !b.is_empty());
    if !balanced {
        let grace = number(input, "healthCheckGracePeriodSeconds").is_some_and(|seconds| seconds > 0);
        if grace {
            return Err(invalid(
                "Health check grace period is only valid for services configured to use load balancers",
            ));
        }
        wanted.remove("healthCheckGracePeriodSeconds");
    } else {
        wanted.entry("healthCheckGracePeriodSeconds").or_insert_with(|| 0.into());
        if !wanted.contains_key("role") {
            let linked = world.iam_arn("role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS");
            wanted.insert("role".to_owned(), linked.into());
        }
    }
    connect::complete(world, &service.cluster, &mut wanted);
    check(world, &service.key(), &wanted)?;
    Ok(wanted)
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let key = service_key(&cluster, required(input, "service")?);
    let service = world.services.get(&key).ok_or_else(service_not_found)?;
    if service.status == ServiceStatus::Inactive {
        return Err(service_not_found());
    }
    let forced = input.get("force").and_then(Value::as_bool).unwrap_or(false);
    let daemon = service.wanted.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    let wanted = service.wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(0);
    if service.status == ServiceStatus::Active && !forced && !daemon {
        if wanted > 0 {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        let stuck = service.deployments.len() > 1;
        if stuck {
            return Err(invalid("The service cannot be stopped while deployments are active."));
        }
    }
    with_service(world, &key, |world, service| {
        let due = world.now.plus(world.timings.schedule_seconds);
        service.status = ServiceStatus::Draining;
        service.wanted.insert("desiredCount".to_owned(), 0.into());
        // Nothing is left to look after these any more: they end with the service.
        for deployment in &mut service.service_deployments {
            if rollout::is_in_flight(deployment.status) {
                deployment.status = ServiceDeploymentStatus::Stopped;
                deployment.stopped_at = Some(world.now);
                deployment.finished_at = Some(world.now);
                deployment.updated_at = world.now;
                deployment.due = None;
            }
        }
        for deployment in &mut service.deployments {
            if deployment.rollout_state == RolloutState::InProgress {
                deployment.rollout_state_reason = format!("ECS deployment {} stopped.", deployment.id);
            }
        }
        service.due = Some(due);
    });
    Ok(json!({"service": describe::service(world, &key, true)}).into())
}

/// Whether a service passes the filters of ListServices.
pub(super) fn matches_filters(service: &Service, input: &Value) -> bool {
    let passes = |name: &str| {
        let setting = service.wanted.get(name).and_then(Value::as_str);
        text(input, name).is_none_or(|asked| setting == Some(asked))
    };
    passes("launchType") && passes("schedulingStrategy") && text(input, "resourceManagementType") != Some("ECS")
}

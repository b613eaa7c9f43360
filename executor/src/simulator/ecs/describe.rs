//! How services look from outside.

use serde_json::{Map, Value, json};

use super::super::request::{Answer, Paging, at_most, items, lists, short, to_ecs_tags};
use super::super::world::{Deployment, DeploymentStatus, RolloutState, Service, ServiceStatus, TaskStatus, World};
use super::scheduler::{on_fargate, wanted_count};
use super::{cluster_name, connect, rollout, service_key, services as changes};

/// Settings that DescribeServices does not give; DescribeServiceRevisions does.
const ONLY_IN_REVISIONS: [&str; 5] = [
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "gatewayConnectors",
    "monitoring",
];

/// Running and pending tasks that are not told to stop.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) running: u64,
    pub(super) pending: u64,
}

/// Counts the tasks of a service for which `of` says so.
pub(super) fn counts(world: &World, key: &str, of: impl Fn(&super::super::world::Task) -> bool) -> Counts {
    let mut counts = Counts::default();
    for (_, task) in world.tasks.of_service(key).filter(|(_, task)| !task.stopping && of(task)) {
        match task.last_status {
            TaskStatus::Running => counts.running += 1,
            TaskStatus::Provisioning | TaskStatus::Pending => counts.pending += 1,
            _ => {}
        }
    }
    counts
}

/// A service in AWS's shape.
pub(super) fn service(world: &World, key: &str, with_tags: bool) -> Value {
    let Some(service) = world.services.get(key) else { return Value::Null };
    let Counts { running, pending } = counts(world, key, |_| true);
    let mut shown: Map<String, Value> = service.wanted.clone();
    for name in ONLY_IN_REVISIONS {
        shown.remove(name);
    }
    if let Some(role) = shown.remove("role") {
        shown.insert("roleArn".to_owned(), role);
    }
    let fargate = on_fargate(&service.wanted);
    if fargate {
        shown.insert("platformFamily".to_owned(), "Linux".into());
    } else {
        shown.remove("platformVersion");
    }
    let status = match service.status {
        ServiceStatus::Active => "ACTIVE",
        ServiceStatus::Draining => "DRAINING",
        ServiceStatus::Inactive => "INACTIVE",
    };
    let events: Value = service
        .events
        .iter()
        .map(|e| json!({"id": e.id, "createdAt": e.created_at.seconds(), "message": e.message}))
        .collect();
    for (name, value) in [
        ("serviceName", json!(service.name)),
        ("serviceArn", world.ecs_arn(&format!("service/{key}")).into()),
        ("clusterArn", world.ecs_arn(&format!("cluster/{}", service.cluster)).into()),
        ("status", status.into()),
        ("desiredCount", wanted_count_of(world, service).into()),
        ("runningCount", running.into()),
        ("pendingCount", pending.into()),
        ("deployments", service.deployments.iter().map(|d| deployment(world, service, d)).collect()),
        ("events", events),
        ("createdAt", service.created_at.seconds().into()),
        ("createdBy", world.iam_arn("user/simulated").into()),
        ("resourceManagementType", "CUSTOMER".into()),
    ] {
        shown.insert(name.to_owned(), value);
    }
    if service.status != ServiceStatus::Inactive {
        let current = service.service_deployments.first().filter(|d| rollout::is_in_flight(d.status));
        if let Some(current) = current {
            shown.insert("currentServiceDeployment".to_owned(), deployment_arn(world, service, &current.id).into());
        }
        let mut revisions = rollout::running_revisions(world, service);
        revisions.extend(service.deployments.first().map(|d| d.revision.clone()).filter(|r| !revisions.contains(r)));
        let revisions = revisions.iter().map(|id| revision_counts(world, service, id)).collect();
        shown.insert("currentServiceRevisions".to_owned(), revisions);
    }
    if with_tags && !service.tags.is_empty() {
        shown.insert("tags".to_owned(), to_ecs_tags(&service.tags));
    }
    Value::Object(shown)
}

fn wanted_count_of(world: &World, service: &Service) -> u64 {
    if service.status == ServiceStatus::Active { wanted_count(world, service) } else { 0 }
}

pub(super) fn deployment_arn(world: &World, service: &Service, id: &str) -> String {
    world.ecs_arn(&format!("service-deployment/{}/{}/{id}", service.cluster, service.name))
}

pub(super) fn revision_arn(world: &World, service: &Service, id: &str) -> String {
    world.ecs_arn(&format!("service-revision/{}/{}/{id}", service.cluster, service.name))
}

/// A revision with how many tasks it should and does have.
pub(super) fn revision_counts(world: &World, service: &Service, id: &str) -> Value {
    let Counts { running, pending } = counts(world, &service.key(), |task| task.revision.as_deref() == Some(id));
    let primary = service.deployments.first().is_some_and(|d| d.revision == id);
    let requested = if primary { wanted_count_of(world, service) } else { 0 };
    json!({
        "arn": revision_arn(world, service, id),
        "requestedTaskCount": requested,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    })
}

/// A deployment in AWS's shape. Behind a classic load balancer AWS gives no rollout state.
fn deployment(world: &World, service: &Service, deployment: &Deployment) -> Value {
    let key = service.key();
    let own = |task: &super::super::world::Task| task.started_by.as_deref() == Some(deployment.id.as_str());
    let Counts { running, pending } = counts(world, &key, own);
    let settings = service.revision(&deployment.revision).map(|r| r.settings.clone()).unwrap_or_default();
    let primary = deployment.status == DeploymentStatus::Primary;
    let mut shown = json!({
        "id": deployment.id,
        "status": if primary { "PRIMARY" } else { "ACTIVE" },
        "desiredCount": if primary { wanted_count_of(world, service) } else { running + pending },
        "runningCount": running,
        "pendingCount": pending,
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created_at.seconds(),
        "updatedAt": deployment.updated_at.seconds(),
    });
    let mut copied = vec![
        "taskDefinition",
        "launchType",
        "capacityProviderStrategy",
        "networkConfiguration",
        "serviceConnectConfiguration",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    ];
    if on_fargate(&settings) {
        copied.push("platformVersion");
        shown["platformFamily"] = "Linux".into();
    }
    for name in copied {
        if let Some(value) = settings.get(name) {
            shown[name] = value.clone();
        }
    }
    if let Some(resources) = connect::resources(world, &key, &settings) {
        shown["serviceConnectResources"] = resources;
    }
    let balancers = settings.get("loadBalancers").and_then(Value::as_array);
    let classic = balancers.is_some_and(|list| list.iter().any(|b| b.get("loadBalancerName").is_some()));
    if !classic {
        shown["rolloutState"] = match deployment.rollout_state {
            RolloutState::InProgress => "IN_PROGRESS",
            RolloutState::Completed => "COMPLETED",
            RolloutState::Failed => "FAILED",
        }
        .into();
        shown["rolloutStateReason"] = deployment.rollout_state_reason.as_str().into();
    }
    shown
}

pub(super) fn services(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let names = items(input, "services");
    at_most(names, 10, "services")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names.iter().filter_map(Value::as_str) {
        let key = service_key(&cluster, name);
        if world.services.contains_key(&key) {
            found.push(service(world, &key, lists(input, "include", "TAGS")));
        } else {
            let arn = world.ecs_arn(&format!("service/{cluster}/{}", short(name)));
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    let mut output = json!({"failures": failures});
    // Moved, not copied as the macro would.
    output["services"] = Value::Array(found);
    Ok(output.into())
}

/// Lists active services: draining and deleted ones are left out, as AWS does.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let mut arns = Vec::new();
    for (key, service) in &world.services {
        let listed = service.cluster == cluster && service.status == ServiceStatus::Active;
        if listed && changes::matches_filters(service, input) {
            arns.push(world.ecs_arn(&format!("service/{key}")).into());
        }
    }
    Ok(Paging::ecs(10, 100).answer("serviceArns", arns, input)?.into())
}

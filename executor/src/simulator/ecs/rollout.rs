//! Deployments of a service: how one begins, succeeds, is superseded, is given up, and goes back.
//!
//! Invariants: the first deployment is the primary one; going back restores the settings and the image digests of the
//! revision that completed last.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::time::Time;
use super::super::world::{
    Deployment, DeploymentStatus, ImageUse, Revision, Rollback, RolloutState, Service, ServiceDeployment,
    ServiceDeploymentStatus as Status, TaskStatus, World,
};
use super::connect;
use super::scheduler::{is_settled, say, wanted_count};
use super::shift;

/// The settings that a service revision fixes.
pub(super) const REVISION_SETTINGS: [&str; 12] = [
    "taskDefinition",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "networkConfiguration",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
    "gatewayConnectors",
    "monitoring",
];

const NO_CANDIDATE: &str = "No rollback candidate was found to run the rollback.";

/// Begins a deployment of what is wanted now; whatever is in flight is stopped.
pub(super) fn begin(world: &mut World, service: &mut Service) {
    let now = world.now;
    let due = now.plus(world.timings.schedule_seconds);
    supersede(world, service);
    let sources = running_revisions(world, service);
    let settings: Map<String, Value> = REVISION_SETTINGS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), service.wanted.get(*name)?.clone())))
        .collect();
    let images = resolve(world, &settings);
    let (alternate, shift) = shift::plan(service);
    let reaches = connect::reaches(world, &settings);
    let id = world.long_id("serviceRevision");
    let revision = Revision { id, settings, images, alternate, reaches, created_at: now };
    let target = revision.id.clone();
    service.revisions.insert(0, revision);
    let id = world.long_id("serviceDeployment");
    service.service_deployments.insert(
        0,
        ServiceDeployment {
            id: id.clone(),
            status: Status::Pending,
            status_reason: None,
            sources,
            target: target.clone(),
            rollback: None,
            breaker_triggered: false,
            failures: 0,
            alarms: Vec::new(),
            shift,
            due: Some(due),
            created_at: now,
            started_at: None,
            finished_at: None,
            stopped_at: None,
            updated_at: now,
        },
    );
    add_primary(world, service, &target, &id, |id| format!("ECS deployment {id} in progress."));
    shift::lead(world, service);
    service.due = Some(service.due.map_or(due, |earlier| earlier.min(due)));
}

/// What the images of a task definition stand for in their registries now.
fn resolve(world: &World, settings: &Map<String, Value>) -> BTreeMap<String, ImageUse> {
    let shape = settings.get("taskDefinition").and_then(Value::as_str).and_then(|td| world.task_shape(td));
    let containers = shape.into_iter().flat_map(|shape| shape.containers);
    containers.map(|c| (c.name, ImageUse { digest: world.digest_of(&c.image), image: c.image })).collect()
}

/// Puts a new primary deployment of a revision in front.
fn add_primary(
    world: &mut World,
    service: &mut Service,
    revision: &str,
    service_deployment: &str,
    reason: impl Fn(&str) -> String,
) {
    let now = world.now;
    for deployment in &mut service.deployments {
        deployment.status = DeploymentStatus::Active;
    }
    let id = format!("ecs-svc/{}", world.long_id("deployment"));
    service.deployments.insert(
        0,
        Deployment {
            rollout_state_reason: reason(&id),
            id,
            status: DeploymentStatus::Primary,
            revision: revision.to_owned(),
            service_deployment: service_deployment.to_owned(),
            rollout_state: RolloutState::InProgress,
            failed_tasks: 0,
            failing_rounds: 0,
            last_failure: None,
            start_after: None,
            created_at: now,
            updated_at: now,
        },
    );
    service.steady = false;
    service.unplaced = false;
}

/// Stops service deployments in flight because a newer one takes over, or because the service ends.
pub(super) fn supersede(world: &World, service: &mut Service) {
    let due = world.now.plus(world.timings.schedule_seconds);
    for deployment in service.service_deployments.iter_mut().filter(|d| is_in_flight(d.status)) {
        deployment.status = Status::StopRequested;
        deployment.shift = None;
        deployment.due = Some(due);
        deployment.updated_at = world.now;
    }
}

pub(super) fn is_in_flight(status: Status) -> bool {
    matches!(
        status,
        Status::Pending
            | Status::InProgress
            | Status::StopRequested
            | Status::RollbackRequested
            | Status::RollbackInProgress
    )
}

/// The revisions that have tasks.
pub(super) fn running_revisions(world: &World, service: &Service) -> Vec<String> {
    let mut revisions: Vec<String> = world
        .tasks
        .of_service(&service.key())
        .filter(|(_, task)| !task.stopping && task.last_status != TaskStatus::Stopped)
        .filter_map(|(_, task)| task.revision.clone())
        .collect();
    revisions.sort();
    revisions.dedup();
    revisions
}

/// Changes of status that were asked for and take place now.
pub(super) fn turn_over(world: &mut World, service: &mut Service) {
    let now = world.now;
    let due = |d: &ServiceDeployment| d.due.is_some_and(|at| at <= now);
    let ids: Vec<String> = service.service_deployments.iter().filter(|d| due(d)).map(|d| d.id.clone()).collect();
    for id in ids {
        let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) else { continue };
        deployment.due = None;
        deployment.updated_at = now;
        match deployment.status {
            Status::Pending => {
                deployment.status = Status::InProgress;
                deployment.started_at = Some(now);
            }
            Status::StopRequested => {
                deployment.status = Status::Stopped;
                deployment.stopped_at = Some(now);
                deployment.finished_at = Some(now);
            }
            Status::RollbackRequested => {
                let reason = deployment.rollback.as_ref().map(|r| r.reason.clone()).unwrap_or_default();
                go_back(world, service, &id, &reason);
            }
            _ => {}
        }
    }
}

/// How many failures the circuit breaker allows, if it is on.
pub(super) fn breaker(service: &Service, wanted: u64) -> Option<(u64, bool)> {
    let settings = service.wanted.get("deploymentConfiguration")?.get("deploymentCircuitBreaker")?;
    if !settings.get("enable")?.as_bool()? {
        return None;
    }
    let configured = settings.get("thresholdConfiguration");
    let value = configured.and_then(|c| c.get("value")?.as_u64()).unwrap_or(50);
    let share = (wanted * value).div_ceil(100);
    let threshold = match configured.and_then(|c| c.get("type")?.as_str()) {
        Some("COUNT") => value,
        Some("UNBOUNDED_PERCENT") => share.max(1),
        _ => share.clamp(3, 200),
    };
    Some((threshold, settings.get("rollback").and_then(Value::as_bool).unwrap_or(false)))
}

/// A task of the primary deployment failed: perhaps one too many.
pub(super) fn count_failure(world: &mut World, service: &mut Service) {
    let wanted = wanted_count(world, service);
    let Some(primary) = service.deployments.first() else { return };
    let (failures, id) = (primary.failed_tasks, primary.service_deployment.clone());
    if primary.rollout_state != RolloutState::InProgress {
        return;
    }
    let deployment_id = primary.id.clone();
    let Some((threshold, rollback)) = breaker(service, wanted) else { return };
    let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) else { return };
    if deployment.status != Status::InProgress {
        return;
    }
    deployment.failures = failures;
    if failures < threshold {
        return;
    }
    deployment.breaker_triggered = true;
    say(world, service, &format!("(deployment {deployment_id}) deployment failed: tasks failed to start."));
    if rollback {
        let reason = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
        go_back(world, service, &id, reason);
    } else {
        let reason = "Service deployment failed because the circuit breaker threshold was exceeded.";
        give_up(world, service, &id, Status::Stopped, reason);
    }
}

/// Leaves a deployment where it is.
pub(super) fn give_up(world: &World, service: &mut Service, id: &str, status: Status, reason: &str) {
    let now = world.now;
    if let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) {
        deployment.status = status;
        deployment.status_reason = Some(reason.to_owned());
        deployment.finished_at = Some(now);
        deployment.updated_at = now;
        deployment.due = None;
        deployment.shift = None;
        if status == Status::Stopped {
            deployment.stopped_at = Some(now);
        }
    }
    let cause = cause(service, id);
    if let Some(primary) = service.deployments.first_mut().filter(|d| d.service_deployment == id) {
        fail(primary, now, cause);
    }
}

/// What ended a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Breaker,
    Alarm,
    Asked,
}

fn cause(service: &Service, id: &str) -> Cause {
    match service.service_deployments.iter().find(|d| d.id == id) {
        Some(deployment) if deployment.breaker_triggered => Cause::Breaker,
        Some(deployment) if !deployment.alarms.is_empty() => Cause::Alarm,
        _ => Cause::Asked,
    }
}

fn fail(deployment: &mut Deployment, now: Time, cause: Cause) {
    deployment.rollout_state = RolloutState::Failed;
    deployment.rollout_state_reason = match cause {
        Cause::Breaker => "ECS deployment circuit breaker: tasks failed to start.".to_owned(),
        Cause::Alarm => "ECS deployment failed: alarm detected.".to_owned(),
        Cause::Asked => format!("ECS deployment {} was stopped.", deployment.id),
    };
    deployment.updated_at = now;
}

/// Looks at the alarms that a deployment in progress watches: those of its images that are due go off and end it.
/// Gives back when to look again.
pub(super) fn watch_alarms(world: &mut World, service: &mut Service) -> Option<Time> {
    let primary = service.deployments.first().filter(|d| d.rollout_state == RolloutState::InProgress)?.clone();
    let deployment = service.service_deployments.iter().find(|d| d.id == primary.service_deployment)?;
    let settings = service.wanted.get("deploymentConfiguration")?.get("alarms")?;
    if deployment.status != Status::InProgress || settings.get("enable") != Some(&Value::Bool(true)) {
        return None;
    }
    let watched = settings.get("alarmNames").and_then(Value::as_array)?;
    let shifting = deployment.shift.as_ref().map(|shift| shift.since);
    let own = |t: &super::super::world::Task| t.started_by.as_deref() == Some(primary.id.as_str()) && !t.stopping;
    let key = service.key();
    let tasks: Vec<_> = world.tasks.of_service(&key).map(|(_, task)| task).filter(|task| own(task)).collect();
    // In a rolling deployment a task has traffic as soon as it is healthy.
    let since = shifting.unwrap_or_else(|| tasks.iter().filter_map(|task| task.healthy_since).min())?;
    let mut due: Vec<(Time, String)> = Vec::new();
    for container in tasks.iter().flat_map(|task| &task.containers) {
        let alarms = world.alarms_of(&container.image, container.image_digest.as_deref()).into_iter();
        due.extend(alarms.map(|(name, after)| (since.plus(after), name)));
    }
    due.retain(|(_, name)| watched.iter().any(|one| one == name));
    let mut off: Vec<String> = due.iter().filter(|(at, _)| *at <= world.now).map(|(_, name)| name.clone()).collect();
    if off.is_empty() {
        return due.into_iter().map(|(at, _)| at).min();
    }
    off.sort();
    off.dedup();
    let rollback = settings.get("rollback") == Some(&Value::Bool(true));
    let names = off.join(", ");
    let id = primary.service_deployment.clone();
    if let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) {
        deployment.alarms = off;
    }
    say(world, service, &format!("(deployment {}) deployment failed: alarm detected.", primary.id));
    if rollback {
        let reason = format!("Service deployment rolled back because of alarm(s) in ALARM state: {names}.");
        go_back(world, service, &id, &reason);
    } else {
        let reason = format!("Service deployment failed because of alarm(s) in ALARM state: {names}.");
        give_up(world, service, &id, Status::Stopped, &reason);
    }
    None
}

/// Goes back to the revision that completed last, with its exact image digests.
fn go_back(world: &mut World, service: &mut Service, id: &str, reason: &str) {
    let now = world.now;
    let shifting = service.service_deployments.iter().any(|d| d.id == id && d.shift.is_some());
    let candidate = service.last_good_revision.clone();
    let candidate = candidate.and_then(|revision| service.revision(&revision).cloned());
    let Some(candidate) = candidate else {
        give_up(world, service, id, Status::RollbackFailed, NO_CANDIDATE);
        return;
    };
    if let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) {
        deployment.status = Status::RollbackInProgress;
        deployment.status_reason = Some(reason.to_owned());
        deployment.started_at.get_or_insert(now);
        deployment.updated_at = now;
        deployment.shift = None;
        // Even a way back on which nothing is left to do is seen in progress.
        deployment.due = Some(now.plus(world.timings.schedule_seconds));
        deployment.rollback =
            Some(Rollback { reason: reason.to_owned(), started_at: now, revision: Some(candidate.id.clone()) });
    }
    if let Some(failed) = service.deployments.first().filter(|_| shifting).map(|primary| primary.revision.clone()) {
        shift::withdraw(world, service, &failed);
    }
    for name in REVISION_SETTINGS {
        match candidate.settings.get(name) {
            Some(value) => service.wanted.insert(name.to_owned(), value.clone()),
            None => service.wanted.remove(name),
        };
    }
    let why = cause(service, id);
    if let Some(primary) = service.deployments.first_mut() {
        fail(primary, now, why);
    }
    // The tasks of the revision that are still there belong to its deployment: it simply leads again.
    let cause = if why == Cause::Breaker { "ECS deployment circuit breaker" } else { "ECS deployment" };
    let words = |id: &str| format!("{cause}: rolling back to deploymentId {id}.");
    match service.deployments.iter().position(|d| d.revision == candidate.id) {
        Some(position) => {
            let mut earlier = service.deployments.remove(position);
            earlier.status = DeploymentStatus::Primary;
            earlier.rollout_state = RolloutState::InProgress;
            earlier.rollout_state_reason = words(&earlier.id);
            id.clone_into(&mut earlier.service_deployment);
            earlier.failed_tasks = 0;
            earlier.failing_rounds = 0;
            earlier.start_after = None;
            earlier.updated_at = now;
            for deployment in &mut service.deployments {
                deployment.status = DeploymentStatus::Active;
            }
            service.deployments.insert(0, earlier);
            service.steady = false;
        }
        None => add_primary(world, service, &candidate.id, id, words),
    }
    shift::lead(world, service);
    let target = service.deployments.first().map(|d| d.id.clone()).unwrap_or_default();
    say(world, service, &format!("rolling back to deployment {target}."));
    world.dirty.insert(service.key());
}

/// Notes that the service has what is wanted, if so.
pub(super) fn arrive(world: &mut World, service: &mut Service) {
    if !is_settled(world, service) {
        service.steady = false;
        return;
    }
    if shift::is_going_on(service) {
        return;
    }
    let now = world.now;
    let Some(primary) = service.deployments.first_mut() else { return };
    let deployment = service.service_deployments.iter_mut().find(|d| d.id == primary.service_deployment);
    match (primary.rollout_state, deployment) {
        (RolloutState::InProgress, Some(turning)) if turning.due.is_some() => return,
        (RolloutState::InProgress, Some(deployment)) => {
            deployment.status = match deployment.status {
                Status::InProgress => Status::Successful,
                Status::RollbackInProgress => Status::RollbackSuccessful,
                _ => return,
            };
            deployment.finished_at = Some(now);
            deployment.updated_at = now;
            deployment.shift = None;
            let id = primary.id.clone();
            primary.rollout_state = RolloutState::Completed;
            primary.rollout_state_reason = format!("ECS deployment {id} completed.");
            primary.updated_at = now;
            service.last_good_revision = Some(primary.revision.clone());
            say(world, service, &format!("(deployment {id}) deployment completed."));
        }
        (RolloutState::Completed, _) => {}
        _ => return,
    }
    if !service.steady {
        service.steady = true;
        say(world, service, "has reached a steady state.");
    }
}

//! Service deployments and service revisions: listing, describing, stopping.

use serde_json::{Map, Value, json};

use super::super::errors::{missing, rejected};
use super::super::request::{Answer, Paging, at_most, items, required, short, text};
use super::super::time::Time;
use super::super::world::{
    Revision, Rollback, Service, ServiceDeployment, ServiceDeploymentStatus as Status, ServiceStatus, ShiftStage, World,
};
use super::describe::{deployment_arn, revision_arn, revision_counts};
use super::{cluster_name, rollout, scheduler, service_key, service_not_found, with_service};

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "PENDING",
        Status::InProgress => "IN_PROGRESS",
        Status::Successful => "SUCCESSFUL",
        Status::StopRequested => "STOP_REQUESTED",
        Status::Stopped => "STOPPED",
        Status::RollbackRequested => "ROLLBACK_REQUESTED",
        Status::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
        Status::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
        Status::RollbackFailed => "ROLLBACK_FAILED",
    }
}

/// Service and last part of `…:service-deployment/CLUSTER/SERVICE/ID` or of a revision's ARN.
fn find<'w>(world: &'w World, arn: &str, kind: &str) -> Option<(&'w Service, String)> {
    let (_, path) = arn.split_once(kind)?;
    let mut parts = path.split('/');
    let (cluster, name, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some((world.services.get(&format!("{cluster}/{name}"))?, id.to_owned()))
}

fn with_times(mut shown: Value, times: &[(&str, Option<Time>)]) -> Value {
    for (name, at) in times {
        if let Some(at) = at {
            shown[*name] = at.seconds().into();
        }
    }
    shown
}

pub(super) fn list(world: &World, input: &Value) -> Answer {
    let cluster = cluster_name(world, input)?;
    let key = service_key(&cluster, required(input, "service")?);
    let service = world.services.get(&key).ok_or_else(service_not_found)?;
    let statuses = items(input, "status");
    let bound = |name: &str| input.pointer(&format!("/createdAt/{name}")).and_then(Value::as_f64);
    let (after, before) = (bound("after"), bound("before"));
    let within = |at: Time| {
        #[allow(clippy::cast_precision_loss)] // seconds since 1970 are far below 2^52
        let at = at.seconds() as f64;
        after.is_none_or(|after| at > after) && before.is_none_or(|before| at < before)
    };
    let shown = service
        .service_deployments
        .iter()
        .filter(|d| statuses.is_empty() || statuses.contains(&word(d.status).into()))
        .filter(|d| within(d.created_at))
        .map(|d| {
            let mut brief = json!({
                "serviceDeploymentArn": deployment_arn(world, service, &d.id),
                "serviceArn": world.ecs_arn(&format!("service/{key}")),
                "clusterArn": world.ecs_arn(&format!("cluster/{cluster}")),
                "createdAt": d.created_at.seconds(),
                "targetServiceRevisionArn": revision_arn(world, service, &d.target),
                "status": word(d.status),
            });
            if let Some(reason) = &d.status_reason {
                brief["statusReason"] = reason.as_str().into();
            }
            with_times(brief, &[("startedAt", d.started_at), ("finishedAt", d.finished_at)])
        })
        .collect();
    Ok(Paging::ecs(20, 100).answer("serviceDeployments", shown, input)?.into())
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let arns = items(input, "serviceDeploymentArns");
    at_most(arns, 20, "serviceDeploymentArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in arns.iter().filter_map(Value::as_str) {
        let hit = find(world, arn, ":service-deployment/")
            .and_then(|(service, id)| Some((service, service.service_deployments.iter().find(|d| d.id == id)?)));
        match hit {
            Some((service, deployment)) => found.push(show_deployment(world, service, deployment)),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceDeployments": found, "failures": failures}).into())
}

fn show_deployment(world: &World, service: &Service, deployment: &ServiceDeployment) -> Value {
    let configuration = service.wanted.get("deploymentConfiguration").cloned().unwrap_or_else(|| json!({}));
    let wanted = scheduler::wanted_count(world, service);
    let breaker = match rollout::breaker(service, wanted) {
        None => json!({"status": "DISABLED", "failureCount": 0, "threshold": 0}),
        Some((threshold, _)) => {
            let status = match deployment.status {
                _ if deployment.breaker_triggered => "TRIGGERED",
                status if rollout::is_in_flight(status) => "MONITORING",
                _ => "MONITORING_COMPLETE",
            };
            json!({"status": status, "failureCount": deployment.failures, "threshold": threshold})
        }
    };
    let sources: Value = deployment.sources.iter().map(|id| revision_counts(world, service, id)).collect();
    let stage = match deployment.status {
        Status::Pending => "RECONCILE_SERVICE",
        Status::InProgress if deployment.shift.is_some() => match deployment.shift.as_ref().map(|shift| shift.stage) {
            Some(ShiftStage::ProductionTrafficShift) => "PRODUCTION_TRAFFIC_SHIFT",
            Some(ShiftStage::BakeTime) => "BAKE_TIME",
            Some(ShiftStage::CleanUp) => "CLEAN_UP",
            Some(ShiftStage::ScaleUp) | None => "SCALE_UP",
        },
        status if rollout::is_in_flight(status) => "SCALE_UP",
        _ => "CLEAN_UP",
    };
    let mut shown = json!({
        "serviceDeploymentArn": deployment_arn(world, service, &deployment.id),
        "serviceArn": world.ecs_arn(&format!("service/{}", service.key())),
        "clusterArn": world.ecs_arn(&format!("cluster/{}", service.cluster)),
        "createdAt": deployment.created_at.seconds(),
        "updatedAt": deployment.updated_at.seconds(),
        "sourceServiceRevisions": sources,
        "targetServiceRevision": revision_counts(world, service, &deployment.target),
        "status": word(deployment.status),
        "lifecycleStage": stage,
        "deploymentConfiguration": configuration,
        "deploymentCircuitBreaker": breaker,
        "alarms": alarms(service, deployment),
    });
    if let Some(reason) = &deployment.status_reason {
        shown["statusReason"] = reason.as_str().into();
    }
    if let Some(rollback) = &deployment.rollback {
        shown["rollback"] = json!({"reason": rollback.reason, "startedAt": rollback.started_at.seconds()});
        if let Some(revision) = &rollback.revision {
            shown["rollback"]["serviceRevisionArn"] = revision_arn(world, service, revision).into();
        }
    }
    with_times(
        shown,
        &[
            ("startedAt", deployment.started_at),
            ("finishedAt", deployment.finished_at),
            ("stoppedAt", deployment.stopped_at),
        ],
    )
}

fn alarms(service: &Service, deployment: &ServiceDeployment) -> Value {
    let settings = service.wanted.get("deploymentConfiguration").and_then(|c| c.get("alarms"));
    let Some(settings) = settings.filter(|settings| settings["enable"] == true) else {
        return json!({"status": "DISABLED"});
    };
    let status = match deployment.status {
        _ if !deployment.alarms.is_empty() => "TRIGGERED",
        status if rollout::is_in_flight(status) => "MONITORING",
        _ => "MONITORING_COMPLETE",
    };
    json!({"status": status, "alarmNames": settings["alarmNames"], "triggeredAlarmNames": deployment.alarms})
}

pub(super) fn revisions(world: &World, input: &Value) -> Answer {
    let arns = items(input, "serviceRevisionArns");
    at_most(arns, 20, "serviceRevisionArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in arns.iter().filter_map(Value::as_str) {
        let hit = find(world, arn, ":service-revision/");
        match hit.and_then(|(service, id)| Some((service, service.revision(&id)?))) {
            Some((service, revision)) => found.push(show_revision(world, service, revision)),
            None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}).into())
}

fn show_revision(world: &World, service: &Service, revision: &Revision) -> Value {
    let images: Vec<Value> = revision
        .images
        .iter()
        .map(|(container, used)| {
            let mut shown = json!({"containerName": container, "image": used.image});
            if let Some(digest) = &used.digest {
                shown["imageDigest"] = digest.as_str().into();
            }
            shown
        })
        .collect();
    let mut shown: Map<String, Value> = revision.settings.clone();
    let fargate = scheduler::on_fargate(&shown);
    if fargate {
        shown.insert("platformFamily".to_owned(), "Linux".into());
    }
    if let Some(resolved) = revision.resolved() {
        shown.insert("resolvedConfiguration".to_owned(), resolved);
    }
    let key = service.key();
    for (name, value) in [
        ("serviceRevisionArn", json!(revision_arn(world, service, &revision.id))),
        ("serviceArn", json!(world.ecs_arn(&format!("service/{key}")))),
        ("clusterArn", json!(world.ecs_arn(&format!("cluster/{}", service.cluster)))),
        ("containerImages", json!(images)),
        ("guardDutyEnabled", json!(false)),
        ("createdAt", json!(revision.created_at.seconds())),
    ] {
        shown.insert(name.to_owned(), value);
    }
    Value::Object(shown)
}

pub(super) fn stop(world: &mut World, input: &Value) -> Answer {
    let arn = required(input, "serviceDeploymentArn")?;
    let unknown = || missing("ServiceDeploymentNotFoundException", "Service deployment not found.");
    let (service, id) = find(world, arn, ":service-deployment/").ok_or_else(unknown)?;
    let deployment = service.service_deployments.iter().find(|d| d.id == id).ok_or_else(unknown)?;
    if !rollout::is_in_flight(deployment.status) || service.status != ServiceStatus::Active {
        let message = format!("Service deployment {} is not in a state that can be stopped.", short(arn));
        return Err(rejected("ConflictException", message));
    }
    let roll_back = text(input, "stopType").unwrap_or("ROLLBACK") == "ROLLBACK";
    let superseded = service.deployments.first().is_none_or(|primary| primary.service_deployment != id);
    let going_back = matches!(deployment.status, Status::RollbackRequested | Status::RollbackInProgress);
    let key = service.key();
    with_service(world, &key, |world, service| {
        if !roll_back {
            rollout::give_up(world, service, &id, Status::StopRequested, "Service deployment stopped by a user.");
        }
        let (now, due) = (world.now, world.now.plus(world.timings.schedule_seconds));
        let Some(deployment) = service.service_deployments.iter_mut().find(|d| d.id == id) else { return };
        if !roll_back {
            deployment.finished_at = None;
        } else if superseded || going_back {
            // It is on its way already: asking again changes nothing.
            return;
        } else {
            deployment.status = Status::RollbackRequested;
            let reason = "Service deployment rolled back because of a user request.".to_owned();
            deployment.status_reason = Some(reason.clone());
            deployment.rollback = Some(Rollback { reason, started_at: now, revision: None });
        }
        deployment.due = Some(due);
        deployment.updated_at = now;
        service.due = Some(service.due.map_or(due, |earlier| earlier.min(due)));
    });
    Ok(json!({"serviceDeploymentArn": arn}).into())
}

//! The service scheduler: how many tasks of which deployment run, in rolling updates.
//!
//! Invariants: tasks that are not told to stop never exceed `maximumPercent` of what is wanted because of a start, and
//! healthy ones never fall below `minimumHealthyPercent` because of a stop; a deployment that was given up starts none.

use serde_json::Value;

use super::super::time::Time;
use super::super::world::{
    Event, InstanceStatus, RolloutState, Service, ServiceDeploymentStatus, ServiceStatus, TargetState, TaskStatus,
    World,
};
use super::super::{quotas, targets};
use super::lifecycle::{self, NewTask};
use super::placement::{self, Machines, Wanted};
use super::{managed, rollout, shift, with_service};

const BY_SCHEDULER: &str = "ServiceSchedulerInitiated";
/// How many events of a service AWS keeps.
const EVENTS: usize = 100;

/// A task of a service that is not told to stop.
#[derive(Clone)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) deployment: String,
    pub(super) running: bool,
    pub(super) healthy: bool,
    /// Its instance is being drained.
    pub(super) away: bool,
    pub(super) zone: String,
}

/// Notes an event of a service; `words` follow its name.
pub(super) fn say(world: &mut World, service: &mut Service, words: &str) {
    let message = format!("(service {}) {words}", service.name);
    say_whole(world, service, message);
}

fn say_whole(world: &mut World, service: &mut Service, message: String) {
    let event = Event { id: world.uuid("event"), created_at: world.now, message };
    service.events.insert(0, event);
    service.events.truncate(EVENTS);
}

/// Looks at a service again: what was due, what is missing, what is too much, whether it has arrived.
pub(in super::super) fn reconcile(world: &mut World, key: &str) {
    with_service(world, key, |world, service| {
        if service.due.is_some_and(|due| due <= world.now) {
            service.due = None;
        }
        match service.status {
            ServiceStatus::Active => active(world, service),
            ServiceStatus::Draining => draining(world, service),
            ServiceStatus::Inactive => service.due = None,
        }
    });
}

fn active(world: &mut World, service: &mut Service) {
    rollout::turn_over(world, service);
    let mut next = kill_failing(world, service);
    next.extend(match shift::is_going_on(service) {
        true => shift::advance(world, service),
        false => roll(world, service),
    });
    next.extend(rollout::watch_alarms(world, service));
    forget_empty(world, service);
    rollout::arrive(world, service);
    next.extend(service.service_deployments.iter().filter_map(|d| d.due));
    next.extend(service.due);
    let now = world.now;
    service.due = next.into_iter().filter(|at| *at > now).min();
}

fn draining(world: &mut World, service: &mut Service) {
    let tasks: Vec<String> = views(world, service).into_iter().map(|view| view.id).collect();
    stop_all(world, service, tasks);
    let key = service.key();
    if world.tasks.of_service(&key).all(|(_, task)| task.last_status == TaskStatus::Stopped) {
        service.status = ServiceStatus::Inactive;
        service.deployments.clear();
        service.due = None;
    }
}

pub(super) fn views(world: &World, service: &Service) -> Vec<View> {
    let drained = |instance: &String| {
        world.container_instances.get(instance).is_none_or(|i| i.status == InstanceStatus::Draining)
    };
    world
        .tasks
        .of_service(&service.key())
        .filter(|(_, task)| !task.stopping && task.last_status != TaskStatus::Stopped)
        .map(|(id, task)| View {
            id: id.clone(),
            deployment: task.started_by.clone().unwrap_or_default(),
            running: task.last_status == TaskStatus::Running,
            healthy: task.healthy_since.is_some(),
            away: task.container_instance.as_ref().is_some_and(drained),
            zone: task.availability_zone.clone(),
        })
        .collect()
}

/// How many tasks the service should have.
pub(super) fn wanted_count(world: &World, service: &Service) -> u64 {
    if service.wanted.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON") {
        let machines = Machines::of(world, &service.wanted);
        let definition = service.wanted.get("taskDefinition").and_then(Value::as_str);
        let shape = definition.and_then(|definition| world.task_shape(definition));
        let constraints = service.wanted.get("placementConstraints").and_then(Value::as_array);
        let constraints = constraints.map_or(&[][..], Vec::as_slice);
        let takes = |i: &&super::super::world::ContainerInstance| {
            i.cluster == service.cluster
                && i.status == InstanceStatus::Active
                && machines.has(world, i)
                && shape.as_ref().is_none_or(|shape| placement::admits(shape, constraints, i))
        };
        return world.container_instances.values().filter(takes).count() as u64;
    }
    service.wanted.get("desiredCount").and_then(Value::as_u64).unwrap_or(0)
}

/// Fewest healthy and most running tasks during a deployment.
fn bounds(service: &Service, wanted: u64) -> (u64, u64) {
    let percent = |member: &str, default: u64| {
        service.wanted.get("deploymentConfiguration").and_then(|c| c.get(member)?.as_u64()).unwrap_or(default)
    };
    let lower = (wanted * percent("minimumHealthyPercent", 100)).div_ceil(100);
    (lower, wanted * percent("maximumPercent", 200) / 100)
}

/// Stops running tasks whose checks fail; gives back when to look again at those in their grace period.
fn kill_failing(world: &mut World, service: &mut Service) -> Vec<Time> {
    let grace = service.wanted.get("healthCheckGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(0);
    let now = world.now;
    let mut later = Vec::new();
    for view in views(world, service).into_iter().filter(|view| view.running) {
        let Some(task) = world.tasks.get(&view.id) else { continue };
        let patience = task.times.started_at.unwrap_or(now).plus(grace);
        let failing = targets::states_of(world, &view.id).into_iter().find(|(_, _, s)| *s == TargetState::Unhealthy);
        let unhealthy_inside = task.container_health == Some(false);
        if (unhealthy_inside || failing.is_some()) && patience > now {
            later.push(patience);
            continue;
        }
        let (words, reason) = match failing {
            _ if unhealthy_inside => (
                format!("(task {}) failed container health checks.", view.id),
                "Task failed container health checks".to_owned(),
            ),
            Some((place, port, _)) => (
                format!("(port {port}) is unhealthy in {} due to (reason Health checks failed)", place.words()),
                format!("Task failed ELB health checks in {}", place.words()),
            ),
            None => continue,
        };
        say(world, service, &words);
        stop_some(world, service, vec![view.id], &reason);
        task_failed(world, service, &view.deployment, true);
    }
    later
}

/// Starts what is missing and stops what is too much, within the bounds; gives back when to try again.
fn roll(world: &mut World, service: &mut Service) -> Option<Time> {
    let primary = service.deployments.first()?.clone();
    let in_flight = service.service_deployments.iter().find(|d| d.id == primary.service_deployment);
    if in_flight.is_some_and(|d| d.status == ServiceDeploymentStatus::Pending) {
        return None;
    }
    let given_up = primary.rollout_state == RolloutState::Failed;
    let wanted = wanted_count(world, service);
    let (lower, upper) = bounds(service, wanted);
    let tasks = views(world, service);
    let (staying, outgoing): (Vec<View>, Vec<View>) =
        tasks.into_iter().partition(|view| view.deployment == primary.id && !view.away);

    let surplus = (staying.len() as u64).saturating_sub(wanted);
    let leaving = crowded(&staying, surplus);
    let leaving: Vec<String> = leaving.into_iter().map(|view| view.id.clone()).collect();
    let staying_healthy = staying.iter().filter(|v| v.healthy && !leaving.contains(&v.id)).count() as u64;
    stop_all(world, service, leaving);

    let missing = wanted.saturating_sub(staying.len() as u64);
    let room = upper.saturating_sub((staying.len() + outgoing.len()) as u64 - surplus);
    let patience = primary.start_after.filter(|at| *at > world.now);
    let may_start = if given_up || patience.is_some() { 0 } else { missing.min(room) };
    let started = start_tasks(world, service, &primary.id, &primary.revision, may_start);

    if given_up && wanted > 0 {
        return None;
    }
    // Only what waits for room may take it from what still works; a pause after failures is no reason.
    let blocked = missing > started && patience.is_none();
    let mut healthy = staying_healthy + outgoing.iter().filter(|v| v.healthy).count() as u64;
    let mut left = outgoing.len() as u64;
    let mut ordered: Vec<&View> = outgoing.iter().collect();
    ordered.sort_by_key(|view| (view.healthy, view.running));
    let mut stopped = Vec::new();
    for view in ordered {
        let spare = staying_healthy + left > wanted || blocked;
        if !view.healthy || (healthy > lower && spare) {
            healthy -= u64::from(view.healthy);
            left -= 1;
            stopped.push(view.id.clone());
        }
    }
    stop_all(world, service, stopped);
    if missing > 0 { patience } else { None }
}

/// The tasks to take away first: not running, not healthy, then from the zone that has most of them.
pub(super) fn crowded(tasks: &[View], count: u64) -> Vec<&View> {
    let mut rest: Vec<&View> = tasks.iter().collect();
    let mut chosen = Vec::new();
    while (chosen.len() as u64) < count && !rest.is_empty() {
        let crowd = |view: &View, rest: &[&View]| rest.iter().filter(|other| other.zone == view.zone).count();
        let best = (0..rest.len()).max_by_key(|&i| (!rest[i].running, !rest[i].healthy, crowd(rest[i], &rest), i));
        let Some(best) = best else { break };
        chosen.push(rest.remove(best));
    }
    chosen
}

/// Starts up to that many tasks of a revision; gives back how many found a place.
pub(super) fn start_tasks(
    world: &mut World,
    service: &mut Service,
    deployment: &str,
    revision: &str,
    count: u64,
) -> u64 {
    if count == 0 {
        return 0;
    }
    let Some(revision) = service.revision(revision).cloned() else { return 0 };
    let setting = |name: &str| revision.settings.get(name);
    let Some(definition) = setting("taskDefinition").and_then(Value::as_str) else { return 0 };
    let Some(shape) = world.task_shape(definition) else { return 0 };
    let (key, cluster) = (service.key(), service.cluster.clone());
    let group = format!("service:{}", service.name);
    let list = |name: &str| service.wanted.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut constraints, strategy) = (list("placementConstraints"), list("placementStrategy"));
    if service.wanted.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON") {
        constraints.push(serde_json::json!({"type": "distinctInstance"}));
    }
    let tags = service.propagated_tags(world, definition);
    let fargate = on_fargate(&revision.settings);
    let mut started = Vec::new();
    service.unplaced = false;
    for number in 0..count {
        if fargate && !quotas::admits(world, shape.cpu) {
            service.unplaced = true;
            let message = format!(
                "(service {}) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
                service.name
            );
            if service.events.first().is_none_or(|event| event.message != message) {
                say_whole(world, service, message);
            }
            break;
        }
        let machines = Machines::of(world, &revision.settings);
        let (instance, zone, ports) = if fargate {
            (None, zone_of(world, &revision.settings, number), placement::own_ports(&shape))
        } else if let Machines::Managed(provider) = machines {
            let zone = zone_of(world, &revision.settings, number);
            let instance = managed::launch(world, &cluster, provider, &shape, &zone);
            (Some(instance), zone, placement::own_ports(&shape))
        } else {
            let wanted = Wanted {
                cluster: &cluster,
                shape: &shape,
                group: &group,
                constraints: &constraints,
                strategy: &strategy,
                on: machines,
            };
            match placement::place(world, &wanted) {
                Ok(place) => (Some(place.instance), place.availability_zone, place.ports),
                Err(unplaced) => {
                    service.unplaced = true;
                    let message = unplaced.event(&service.name);
                    if service.events.first().is_none_or(|event| event.message != message) {
                        say_whole(world, service, message);
                    }
                    break;
                }
            }
        };
        started.push(lifecycle::start(
            world,
            NewTask {
                cluster: &cluster,
                service: Some(&key),
                started_by: Some(deployment),
                revision: Some(&revision.id),
                group: &group,
                task_definition: definition,
                shape: &shape,
                container_instance: instance,
                availability_zone: zone,
                ports,
                images: Some(&revision.images),
                overrides: None,
                tags: tags.clone(),
            },
        ));
    }
    if !started.is_empty() {
        say(world, service, &format!("has started {} tasks: {}.", started.len(), listed(&started)));
    }
    started.len() as u64
}

fn listed(tasks: &[String]) -> String {
    tasks.iter().map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ")
}

/// Whether tasks with these settings need no container instance.
pub(super) fn on_fargate(settings: &serde_json::Map<String, Value>) -> bool {
    let provider = settings.get("capacityProviderStrategy").and_then(|s| s.get(0)?.get("capacityProvider")?.as_str());
    provider.map_or_else(
        || settings.get("launchType").and_then(Value::as_str) == Some("FARGATE"),
        |provider| provider.starts_with("FARGATE"),
    )
}

/// The zone of the n-th task that runs in the given subnets.
pub(super) fn zone_of(world: &World, settings: &serde_json::Map<String, Value>, number: u64) -> String {
    let subnets = settings.get("networkConfiguration").and_then(|n| n.pointer("/awsvpcConfiguration/subnets"));
    let named = subnets.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let zones: Vec<&str> = world
        .subnets
        .iter()
        .filter(|subnet| named.contains(&subnet["SubnetId"]))
        .filter_map(|subnet| subnet["AvailabilityZone"].as_str())
        .collect();
    match usize::try_from(number) {
        Ok(number) if !zones.is_empty() => zones[number % zones.len()].to_owned(),
        _ => format!("{}a", world.region),
    }
}

pub(super) fn stop_all(world: &mut World, service: &mut Service, tasks: Vec<String>) {
    let reason = match service.deployments.first() {
        Some(primary) => format!("Scaling activity initiated by (deployment {})", primary.id),
        None => "Scaling activity initiated by service deletion".to_owned(),
    };
    stop_some(world, service, tasks, &reason);
}

fn stop_some(world: &mut World, service: &mut Service, tasks: Vec<String>, reason: &str) {
    if tasks.is_empty() {
        return;
    }
    let mut places: std::collections::BTreeMap<targets::Place, u64> = std::collections::BTreeMap::new();
    let mut draining = 0;
    for id in &tasks {
        let left = lifecycle::stop(world, id, reason, BY_SCHEDULER);
        draining += u64::from(!left.is_empty());
        for place in left {
            *places.entry(place).or_default() += 1;
        }
    }
    for (place, count) in places {
        say(world, service, &format!("deregistered {count} {} in {}", place.members(), place.words()));
    }
    if draining > 0 {
        say(world, service, &format!("has begun draining connections on {draining} tasks."));
    }
    say(world, service, &format!("has stopped {} running tasks: {}.", tasks.len(), listed(&tasks)));
    service.steady = false;
}

/// Drops earlier deployments whose tasks have all ended.
fn forget_empty(world: &World, service: &mut Service) {
    let key = service.key();
    let used: std::collections::BTreeSet<&str> = world
        .tasks
        .of_service(&key)
        .filter(|(_, task)| task.last_status != TaskStatus::Stopped)
        .filter_map(|(_, task)| task.started_by.as_deref())
        .collect();
    let primary = service.deployments.first().map(|d| d.id.clone());
    service.deployments.retain(|d| Some(&d.id) == primary.as_ref() || used.contains(d.id.as_str()));
}

/// Whether the service has exactly what it should have, all healthy, and nothing is ending of an earlier deployment.
pub(super) fn is_settled(world: &World, service: &Service) -> bool {
    let [primary] = service.deployments.as_slice() else { return false };
    let tasks = views(world, service);
    tasks.len() as u64 == wanted_count(world, service)
        && tasks.iter().all(|view| view.deployment == primary.id && view.healthy && !view.away)
}

/// A task became healthy: failures before it no longer count.
pub(super) fn task_healthy(service: &mut Service, deployment: &str) {
    let reset = service
        .wanted
        .get("deploymentConfiguration")
        .and_then(|c| c.pointer("/deploymentCircuitBreaker/resetOnHealthyTask")?.as_bool())
        .unwrap_or(true);
    if let Some(deployment) = service.deployments.iter_mut().find(|d| d.id == deployment) {
        if reset {
            deployment.failed_tasks = 0;
        }
        deployment.failing_rounds = 0;
        deployment.start_after = None;
    }
}

/// A task ended by itself or was stopped for failing its checks. It counts as failed unless it had become healthy.
pub(super) fn task_failed(world: &mut World, service: &mut Service, deployment: &str, counts: bool) {
    service.steady = false;
    let (now, longest) = (world.now, world.timings.longest_back_off_seconds);
    let Some(primary) = service.deployments.first_mut().filter(|d| d.id == deployment) else { return };
    if !counts {
        return;
    }
    if primary.last_failure != Some(now) {
        primary.last_failure = Some(now);
        primary.failing_rounds += 1;
        // The first failure is followed at once; then 10 s, doubled each time.
        let pause = match primary.failing_rounds {
            0 | 1 => 0,
            rounds => 10_u64.saturating_mul(1 << (rounds - 2).min(20)).min(longest),
        };
        primary.start_after = (pause > 0).then(|| now.plus(pause));
    }
    let struggling = primary.failing_rounds == 3 && primary.last_failure == Some(now);
    if primary.rollout_state == RolloutState::InProgress {
        primary.failed_tasks += 1;
        primary.updated_at = now;
    }
    const STRUGGLING: &str = "is unable to consistently start tasks successfully. For more information, see the \
                              Troubleshooting section of the Amazon ECS Developer Guide.";
    if struggling && !service.events.first().is_some_and(|e| e.message.ends_with(STRUGGLING)) {
        say(world, service, STRUGGLING);
    }
    rollout::count_failure(world, service);
}

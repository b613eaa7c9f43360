//! What a world is about, for "is this the initial state again?".
//!
//! Invariant: two worlds have the same essence when they differ only in ids, revision numbers of equal content, events,
//! inactive objects, times, the log and the counters.

mod machines;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::world::{EventRule, HostedZone, ServiceStatus, TargetState, Task, TaskDefinitionStatus, TaskStatus, World};

/// A world without what does not count. Which of its two target groups a service uses between which its traffic is
/// shifted does not: the one that has the traffic stands in the place of the first.
#[must_use]
pub fn essence(world: &World) -> Value {
    let swapped = swapped(world);
    let in_place_of = |arn: &str| {
        let other = swapped.get(arn)?;
        world.target_groups.values().find(|group| group.arn == *other)
    };
    let mut essence = json!({
        "clusters": clusters(world),
        "capacityProviders": capacity_providers(world),
        "containerInstances": container_instances(world),
        "taskDefinitions": task_definitions(world),
        "services": services(world),
        "tasks": own_tasks(world),
        "targetGroups": world.target_groups.iter().map(|(name, group)| {
            let mut shown = json!(group);
            let used = in_place_of(&group.arn).unwrap_or(group);
            shown["targets"] = targets(world, &used.targets);
            (name.clone(), shown)
        }).collect::<BTreeMap<_, _>>(),
        "classicLoadBalancers": world.classic_load_balancers.iter().map(|(name, balancer)| {
            let mut shown = json!(balancer);
            shown["targets"] = targets(world, &balancer.targets);
            (name.clone(), shown)
        }).collect::<BTreeMap<_, _>>(),
        "loadBalancers": load_balancers(world, &swapped),
        "launchTemplates": machines::templates(world),
        "launchConfigurations": machines::configurations(world),
        "autoScalingGroups": machines::groups(world),
        "instances": machines::own_instances(world),
        "logGroups": world.log_groups.iter().map(|(name, g)| (name, json!(g.retention_days))).collect::<BTreeMap<_, _>>(),
        "registries": registries(world),
        "scalableTargets": scalable_targets(world),
        "schedules": schedules(world),
        "eventRules": event_rules(world),
        "hostedZones": hosted_zones(world),
        "alarms": alarms(world),
    });
    without_ids(&mut essence);
    essence
}

/// An essence without the log groups that another one does not have and that are kept for what was written to them: who
/// goes back leaves them.
#[must_use]
pub fn without_kept_logs(mut essence: Value, world: &World, before: &Value) -> Value {
    if let Some(groups) = essence.get_mut("logGroups").and_then(Value::as_object_mut) {
        let written = |name: &str| world.log_groups.get(name).is_some_and(|group| !group.streams.is_empty());
        groups.retain(|name, _| before["logGroups"].get(name).is_some() || !written(name));
    }
    essence
}

/// Clusters; in which order they list their providers means nothing.
fn clusters(world: &World) -> BTreeMap<&str, Value> {
    let shown = |cluster: &super::world::Cluster| {
        let mut cluster = cluster.clone();
        cluster.capacity_providers.sort();
        json!(cluster)
    };
    world.clusters.iter().map(|(name, cluster)| (name.as_str(), shown(cluster))).collect()
}

/// Capacity providers that were not deleted, with the names of their groups.
fn capacity_providers(world: &World) -> BTreeMap<&str, Value> {
    let living = world.capacity_providers.iter().filter(|(_, provider)| !provider.inactive);
    let shown = living.map(|(name, provider)| {
        let group = world.auto_scaling_groups.iter().find(|(_, group)| group.arn == provider.group);
        let group = group.map(|(name, _)| name);
        let changing = provider.due.is_some();
        (
            name.as_str(),
            json!({"group": group, "settings": provider.settings, "tags": provider.tags, "changing": changing}),
        )
    });
    shown.collect()
}

/// A target group is the same under another id: its name is one group's.
fn without_ids(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((arn, id)) = text.rsplit_once('/')
                && arn.contains(":targetgroup/")
                && id.len() == 16
            {
                *text = arn.to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        Value::Object(map) => map.values_mut().for_each(without_ids),
        _ => {}
    }
}

/// Container instances by what they are, but for ECS's own; those of a group count as the group's, whichever they are.
fn container_instances(world: &World) -> Vec<Value> {
    let mut all: Vec<Value> = world
        .container_instances
        .values()
        // Those that ECS starts itself come and go with the tasks.
        .filter(|i| !world.is_managed(i))
        .map(|i| {
            let owner = machines::owner(world, &i.ec2_instance_id).map(|group| format!("group:{group}"));
            let whose = owner.unwrap_or_else(|| i.ec2_instance_id.clone());
            json!({"ec2InstanceId": whose, "status": i.status, "attributes": i.attributes, "tags": i.tags})
        })
        .collect();
    all.sort_by_cached_key(Value::to_string);
    all
}

/// Schedules without times and tokens, with what their task definitions stand for.
fn schedules(world: &World) -> BTreeMap<&str, Value> {
    let bare = |schedule: &Value| {
        let mut shown = schedule.clone();
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| !["CreationDate", "LastModificationDate", "ClientToken"].contains(&name.as_str()));
        }
        if let Some(definition) = shown.pointer_mut("/Target/EcsParameters/TaskDefinitionArn") {
            *definition = content(world, definition.as_str().unwrap_or_default());
        }
        shown
    };
    world.schedules.iter().map(|(key, schedule)| (key.as_str(), bare(schedule))).collect()
}

/// Hosted zones by id, with their records in no order.
fn hosted_zones(world: &World) -> BTreeMap<&str, Value> {
    let shown = |zone: &HostedZone| {
        let mut records = zone.records.clone();
        records.sort_by_cached_key(Value::to_string);
        json!({"name": zone.name, "records": records})
    };
    world.hosted_zones.iter().map(|(id, zone)| (id.as_str(), shown(zone))).collect()
}

/// Rules of EventBridge, with what the task definitions that they start stand for.
fn event_rules(world: &World) -> BTreeMap<&str, Value> {
    let bare = |rule: &EventRule| {
        let mut shown = json!(rule);
        for target in shown["targets"].as_object_mut().into_iter().flat_map(|targets| targets.values_mut()) {
            if let Some(definition) = target.pointer_mut("/EcsParameters/TaskDefinitionArn") {
                *definition = content(world, definition.as_str().unwrap_or_default());
            }
        }
        shown
    };
    world.event_rules.iter().map(|(name, rule)| (name.as_str(), bare(rule))).collect()
}

/// Services of Cloud Map by namespace and name, with how many tasks are registered.
fn registries(world: &World) -> BTreeMap<String, Value> {
    let shown = |id: &str, registry: &super::world::Registry| {
        let registered = super::ecs::registry::registered(world, id).len();
        json!([registry.description, registry.dns, registry.custom_health, registry.tags, registered])
    };
    world.registries.iter().map(|(id, registry)| (registry_name(registry), shown(id, registry))).collect()
}

/// What a service of Cloud Map is called: its id is given in the order in which they are made.
fn registry_name(registry: &super::world::Registry) -> String {
    format!("{}/{}", registry.namespace, registry.name)
}

/// Alarms without states and times; of the policies that they ask to act, what they are, not which.
fn alarms(world: &World) -> BTreeMap<&str, Value> {
    let policies = world.scalable_targets.values().flat_map(|target| target.policies.iter());
    let names: BTreeMap<&str, &str> =
        policies.filter_map(|(name, policy)| Some((policy["PolicyARN"].as_str()?, name.as_str()))).collect();
    let bare = |alarm: &Value| {
        let mut shown = alarm.clone();
        if let Some(members) = shown.as_object_mut() {
            members.retain(|name, _| !name.starts_with("State") && !name.ends_with("Timestamp") && name != "tags");
        }
        for action in shown["AlarmActions"].as_array_mut().into_iter().flatten() {
            if let Some(name) = action.as_str().and_then(|arn| names.get(arn)) {
                *action = format!("policy {name}").into();
            }
        }
        shown
    };
    world.alarms.iter().map(|(name, alarm)| (name.as_str(), bare(alarm))).collect()
}

/// Limits, policies and scheduled actions without times and ARNs.
fn scalable_targets(world: &World) -> BTreeMap<&str, Value> {
    let bare = |things: &BTreeMap<String, Value>| {
        let mut things = json!(things);
        for thing in things.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
            thing.retain(|name, _| !name.ends_with("ARN") && name != "CreationTime");
        }
        things
    };
    let targets = world.scalable_targets.iter();
    targets
        .map(|(id, t)| (id.as_str(), json!([t.min, t.max, t.suspended, bare(&t.policies), bare(&t.actions)])))
        .collect()
}

/// What a task definition's ARN stands for.
fn content(world: &World, arn: &str) -> Value {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    let found = name.rsplit_once(':').and_then(|(family, number)| {
        let definition = world.task_definitions.get(family)?.revisions.get(&number.parse().ok()?)?;
        Some(json!({"family": family, "content": definition.content}))
    });
    found.unwrap_or_else(|| arn.into())
}

/// The distinct contents of each family's active revisions.
fn task_definitions(world: &World) -> BTreeMap<&str, BTreeSet<String>> {
    let families = world.task_definitions.iter().map(|(name, family)| {
        let active = family.revisions.values().filter(|d| d.status == TaskDefinitionStatus::Active);
        (name.as_str(), active.map(|d| Value::Object(d.content.clone()).to_string()).collect::<BTreeSet<_>>())
    });
    families.filter(|(_, contents)| !contents.is_empty()).collect()
}

fn with_content(world: &World, settings: &Map<String, Value>) -> Value {
    let mut shown = settings.clone();
    // AWS puts its own role in as soon as a load balancer is attached, and nobody can take it out again.
    let own = |role: &Value| role.as_str().is_some_and(|role| role.ends_with("/AWSServiceRoleForECS"));
    if shown.get("role").is_some_and(own) {
        shown.remove("role");
    }
    // Without a load balancer there is no grace period, with one it is 0 unless somebody says otherwise.
    if shown.get("healthCheckGracePeriodSeconds") == Some(&json!(0)) {
        shown.remove("healthCheckGracePeriodSeconds");
    }
    // No alarms is as much as alarms that were never named.
    if let Some(configuration) = shown.get_mut("deploymentConfiguration").and_then(Value::as_object_mut)
        && configuration
            .get("alarms")
            .is_some_and(|alarms| alarms["enable"] == false && alarms["alarmNames"] == json!([]))
    {
        configuration.remove("alarms");
    }
    for entry in shown.get_mut("serviceRegistries").and_then(Value::as_array_mut).into_iter().flatten() {
        let id = entry["registryArn"].as_str().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
        if let Some(registry) = world.registries.get(id) {
            entry["registryArn"] = registry_name(registry).into();
        }
    }
    // Taking no part in Service Connect is as much as never having been asked to.
    if shown.get("serviceConnectConfiguration").is_some_and(|connect| connect["enabled"] == false) {
        shown.remove("serviceConnectConfiguration");
    }
    if let Some(definition) = shown.get_mut("taskDefinition") {
        *definition = content(world, definition.as_str().unwrap_or_default());
    }
    Value::Object(shown)
}

fn services(world: &World) -> BTreeMap<&str, Value> {
    let live = world.services.iter().filter(|(_, service)| service.status != ServiceStatus::Inactive);
    live.map(|(key, service)| {
        let shown = json!({
            "status": service.status,
            "wanted": with_content(world, &service.wanted),
            "tags": service.tags,
            "inFlight": service.deployments.len() != 1 || !service.steady,
            "running": running(world, world.tasks.of_service(key).map(|(_, task)| task)),
        });
        (key.as_str(), shown)
    })
    .collect()
}

/// How many tasks run of each content with its image digests.
fn running<'w>(world: &World, tasks: impl Iterator<Item = &'w Task>) -> Vec<Value> {
    // Most tasks are alike, and what a task definition holds is large.
    let mut alike: Vec<(&Task, u64)> = Vec::new();
    for task in tasks.filter(|task| !task.stopping && task.last_status != TaskStatus::Stopped) {
        match alike.iter_mut().find(|(known, _)| is_like(task, known)) {
            Some((_, count)) => *count += 1,
            None => alike.push((task, 1)),
        }
    }
    let kind = |task: &Task| {
        let images: BTreeMap<&str, &Option<String>> =
            task.containers.iter().map(|c| (c.name.as_str(), &c.image_digest)).collect();
        json!({
            "taskDefinition": content(world, &task.task_definition),
            "images": images,
            "healthy": task.healthy_since.is_some(),
            "status": task.last_status,
        })
    };
    machines::counted(alike.into_iter().map(|(task, count)| (kind(task), count)))
}

/// Whether two tasks are of the same kind, as far as that is seen without looking up what they are made of.
fn is_like(task: &Task, other: &Task) -> bool {
    task.task_definition == other.task_definition
        && task.last_status == other.last_status
        && task.healthy_since.is_some() == other.healthy_since.is_some()
        && task.containers.len() == other.containers.len()
        && task
            .containers
            .iter()
            .zip(&other.containers)
            .all(|(one, other)| one.name == other.name && one.image_digest == other.image_digest)
}

/// Tasks that no service started.
fn own_tasks(world: &World) -> Vec<Value> {
    running(world, world.tasks.iter().map(|(_, task)| task).filter(|task| task.service.is_none()))
}

/// How many targets of each state belong to tasks of each group; others one by one.
fn targets(world: &World, targets: &[super::world::Target]) -> Value {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for target in targets.iter().filter(|target| target.state != TargetState::Draining) {
        let owner = target.task.as_ref().and_then(|id| world.tasks.get(id));
        let whose = match (owner, machines::owner(world, &target.id)) {
            (Some(task), _) => task.group.clone(),
            (None, Some(group)) => format!("group:{group}:{}", target.port),
            (None, None) => format!("{}:{}", target.id, target.port),
        };
        *kinds.entry(format!("{whose} {:?}", target.state)).or_default() += 1;
    }
    json!(kinds)
}

/// Pairs of target groups of which the second one has the traffic, each under both of its ARNs.
fn swapped(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for service in world.services.values().filter(|service| service.status == ServiceStatus::Active) {
        let current = service.last_good_revision.as_deref().and_then(|id| service.revision(id));
        let Some(revision) = current.filter(|revision| revision.alternate) else { continue };
        for balancer in revision.settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten() {
            let alternate = balancer.pointer("/advancedConfiguration/alternateTargetGroupArn").and_then(Value::as_str);
            if let (Some(one), Some(other)) = (balancer["targetGroupArn"].as_str(), alternate) {
                all.insert(one.to_owned(), other.to_owned());
                all.insert(other.to_owned(), one.to_owned());
            }
        }
    }
    all
}

/// Actions by what they do: a target group without weight gets nothing, and one alone gets everything.
fn weighed(actions: &mut Value, swapped: &BTreeMap<String, String>) {
    for action in actions.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let Some(groups) = action.get_mut("ForwardConfig").and_then(|f| f["TargetGroups"].as_array_mut()) else {
            continue;
        };
        for arn in groups.iter_mut().filter_map(|group| group.get_mut("TargetGroupArn")) {
            if let Some(other) = arn.as_str().and_then(|arn| swapped.get(arn)) {
                *arn = other.as_str().into();
            }
        }
        groups.retain(|group| group["Weight"] != 0);
        if let [only] = groups.as_mut_slice() {
            only["Weight"] = 1.into();
            let arn = only["TargetGroupArn"].clone();
            action.insert("TargetGroupArn".to_owned(), arn);
        }
    }
}

/// Listeners and rules by what they do; rules lose their ids, and so a rule that was made again is the same.
fn load_balancers(world: &World, swapped: &BTreeMap<String, String>) -> Value {
    let mut shown = json!(world.load_balancers);
    for balancer in shown.as_object_mut().into_iter().flat_map(Map::values_mut) {
        for listener in balancer["listeners"].as_array_mut().into_iter().flatten() {
            let rules = listener["rules"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let mut by_priority: BTreeMap<u64, Value> = BTreeMap::new();
            for mut rule in rules {
                if let Some(rule) = rule.as_object_mut() {
                    rule.remove("arn");
                }
                weighed(&mut rule["actions"], swapped);
                by_priority.insert(rule["priority"].as_u64().unwrap_or(0), rule);
            }
            listener["rules"] = by_priority.into_values().collect();
            weighed(&mut listener["defaultActions"], swapped);
        }
    }
    shown
}

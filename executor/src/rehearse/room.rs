//! Who needs room that others may need, too: on the instances of a cluster, in an account's quota, among machines of a type.
//!
//! On instances of their own clusters, tasks that take nothing but CPU and memory leave each other alone as long as there
//! is always an instance with room for one more. It is taken that each service has at most twice the tasks that its
//! deployments may run at once, stopping ones included, and that they lie as badly as they can.
//!
//! Invariant: when in doubt room is scarce.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::checker::subject::{short, subjects};
use belay_schemas::plan::{Call, Plan};
use serde_json::{Map, Value};

use crate::simulator::world::{InstanceStatus, TaskStatus};
use crate::simulator::{World, cluster_of, plain_needs};

/// Operations of ECS that need no room: they only write something down, or stop what another step of theirs began.
const NO_ROOM: [&str; 6] = [
    "RegisterTaskDefinition",
    "DeregisterTaskDefinition",
    "DeleteTaskDefinitions",
    "StopServiceDeployment",
    "TagResource",
    "UntagResource",
];
/// Members of a service that say more of where its tasks may run than that they need CPU and memory.
const CHOOSY: [&str; 2] = ["capacityProviderStrategy", "placementConstraints"];

/// Where the calls of a plan need room.
pub(super) struct Room<'a> {
    world: &'a World,
    /// Services that are known to run on Fargate alone, by `CLUSTER/NAME`.
    fargate: BTreeSet<String>,
    /// Clusters whose instances have room for whatever the plan's services could ask for at once.
    plentiful: BTreeSet<String>,
}

impl<'a> Room<'a> {
    pub fn of(plan: &Plan, world: &'a World) -> Self {
        let mut room = Self { world, fargate: fargate_services(plan, world), plentiful: BTreeSet::new() };
        let clusters: BTreeSet<String> = world.container_instances.values().map(|host| host.cluster.clone()).collect();
        let mut names = BTreeSet::new();
        for call in plan.nodes.iter().filter_map(|node| node.action.mutation()) {
            super::parts::strings(&call.input, &mut names);
        }
        if !names.iter().any(|name| hosts_tasks(name, world)) {
            room.plentiful = clusters.into_iter().filter(|cluster| room.is_plentiful(plan, cluster)).collect();
        }
        room
    }

    /// The places in which a call needs room; `names` are those in its step.
    pub fn places(&self, call: &Call, names: &BTreeSet<String>) -> Vec<&'static str> {
        let mut places = Vec::new();
        let on_ecs = call.service == "ecs" && !NO_ROOM.contains(&call.operation.as_str());
        let cramped = on_ecs && !self.is_on_fargate(call) && !self.is_at_ease(call);
        if cramped || names.iter().any(|name| hosts_tasks(name, self.world)) {
            places.push("instances of clusters");
        }
        let machines = ["autoscaling", "ec2"].contains(&call.service.as_str());
        if (machines || on_ecs) && !self.world.capacity.is_empty() {
            places.push("instances");
        }
        if on_ecs && !self.world.quotas.is_empty() {
            places.push("Fargate");
        }
        places
    }

    fn is_on_fargate(&self, call: &Call) -> bool {
        let keys = service_keys(call);
        match keys.is_empty() {
            true => is_fargate(&call.input["launchType"], &call.input["capacityProviderStrategy"]) == Some(true),
            false => keys.iter().all(|key| self.fargate.contains(key)),
        }
    }

    /// Whether a call is about services of a cluster that has plenty of room.
    fn is_at_ease(&self, call: &Call) -> bool {
        let keys = service_keys(call);
        let at_ease = |key: &String| key.split_once('/').is_some_and(|(cluster, _)| self.plentiful.contains(cluster));
        !keys.is_empty() && keys.iter().all(at_ease)
    }

    fn is_plentiful(&self, plan: &Plan, cluster: &str) -> bool {
        self.needs(plan, cluster).is_some_and(|needs| {
            let hosts = self.world.container_instances.values().filter(|host| host.cluster == cluster);
            let hosts: Vec<_> = hosts.filter(|host| host.status == InstanceStatus::Active).collect();
            let plain = hosts.iter().all(|host| !host.is_external() && host.capacity_provider.is_none());
            let (cpu, memory): (Vec<u64>, Vec<u64>) = hosts.iter().map(|host| (host.cpu, host.memory)).unzip();
            plain && full(cpu, needs.cpu, needs.most_cpu) + full(memory, needs.memory, needs.most_memory) < hosts.len()
        })
    }

    /// What the plan's services could ask for at once in a cluster, and what runs there; nothing where they need more
    /// than CPU and memory.
    fn needs(&self, plan: &Plan, cluster: &str) -> Option<Needs> {
        let mut needs = Needs::default();
        let on_it = |id: &String| self.world.container_instances.get(id).is_some_and(|host| host.cluster == cluster);
        for (_, task) in self.world.tasks.iter().filter(|(_, task)| task.last_status != TaskStatus::Stopped) {
            if task.container_instance.as_ref().is_some_and(on_it) {
                needs.add(1, task.cpu, task.memory);
            }
        }
        let mut services: BTreeMap<String, Asked> = BTreeMap::new();
        for node in &plan.nodes {
            let Some(call) = node.action.mutation().filter(|call| call.service == "ecs") else { continue };
            if NO_ROOM.contains(&call.operation.as_str()) || self.is_on_fargate(call) {
                continue;
            }
            let keys = service_keys(call);
            if keys.is_empty() && short(call.input["cluster"].as_str().unwrap_or("default")) == cluster {
                return None;
            }
            for key in keys.into_iter().filter(|key| key.split('/').next() == Some(cluster)) {
                let asked = services.entry(key).or_default();
                asked.settings.push(call.input.as_object()?);
                asked.components.extend(node.component.as_deref());
            }
        }
        for (key, mut asked) in services {
            let known = self.world.services.get(&key);
            asked.settings.extend(known.map(|service| &service.wanted));
            let limit = self.world.scalable_targets.get(&format!("service/{key}")).map_or(0, |target| target.max);
            let tasks = asked.tasks()?.max(limit * 4);
            let (cpu, memory) = asked.largest(plan, self.world)?;
            needs.add(tasks, cpu, memory);
        }
        Some(needs)
    }
}

/// What could be asked for at once, and the most that one task needs.
#[derive(Default)]
struct Needs {
    cpu: u64,
    memory: u64,
    most_cpu: u64,
    most_memory: u64,
}

impl Needs {
    fn add(&mut self, tasks: u64, cpu: u64, memory: u64) {
        self.cpu += tasks * cpu;
        self.memory += tasks * memory;
        self.most_cpu = self.most_cpu.max(cpu);
        self.most_memory = self.most_memory.max(memory);
    }
}

/// Of how many instances so much could leave too little room for a task that needs `most`, at worst.
fn full(mut sizes: Vec<u64>, asked: u64, most: u64) -> usize {
    sizes.sort_unstable();
    let mut left = asked;
    let fills = |size: u64| {
        let least = (size + 1).saturating_sub(most);
        let fits = left >= least;
        left = left.saturating_sub(least);
        fits
    };
    sizes.into_iter().map(fills).take_while(|fits| *fits).count()
}

/// What is said of a service, before and in the plan.
#[derive(Default)]
struct Asked<'a> {
    settings: Vec<&'a Map<String, Value>>,
    components: BTreeSet<&'a str>,
}

impl Asked<'_> {
    /// Tasks at the same time, at most; nothing where they choose their instances.
    fn tasks(&self) -> Option<u64> {
        let (mut count, mut percent) = (1, 200);
        for settings in &self.settings {
            let says =
                |name: &str| settings.get(name).is_some_and(|value| value.as_array().is_none_or(|l| !l.is_empty()));
            let kind = |name: &str| settings.get(name).and_then(Value::as_str);
            if CHOOSY.iter().any(|name| says(name))
                || kind("schedulingStrategy") == Some("DAEMON")
                || kind("launchType").is_some_and(|launch| launch != "EC2")
            {
                return None;
            }
            // A number that is only known later may be any.
            count = settings.get("desiredCount").map_or(Some(0), Value::as_u64)?.max(count);
            let deployment = settings.get("deploymentConfiguration").and_then(|d| d.get("maximumPercent"));
            percent = deployment.map_or(Some(0), Value::as_u64)?.max(percent);
        }
        Some(2 * (count * percent).div_ceil(100))
    }

    /// CPU and memory of its largest task, of any revision that it has or may get.
    fn largest(&self, plan: &Plan, world: &World) -> Option<(u64, u64)> {
        let mut largest = (0, 0);
        let mut take = |content: &Map<String, Value>| {
            let (cpu, memory) = plain_needs(content)?;
            largest = (largest.0.max(cpu), largest.1.max(memory));
            Some(())
        };
        for node in
            plan.nodes.iter().filter(|node| node.component.as_deref().is_some_and(|c| self.components.contains(c)))
        {
            if let Some(call) = node.action.mutation().filter(|call| call.operation == "RegisterTaskDefinition") {
                take(call.input.as_object()?)?;
            }
        }
        for name in self.settings.iter().filter_map(|settings| settings.get("taskDefinition")?.as_str()) {
            let (family, number) = name.rsplit('/').next().unwrap_or(name).rsplit_once(':')?;
            take(&world.task_definitions.get(family)?.revisions.get(&number.parse().ok()?)?.content)?;
        }
        Some(largest)
    }
}

/// Services that are known to run on Fargate alone, by `CLUSTER/NAME`.
fn fargate_services(plan: &Plan, world: &World) -> BTreeSet<String> {
    let mut says: BTreeMap<String, bool> = BTreeMap::new();
    for (key, service) in &world.services {
        let get = |name: &str| service.wanted.get(name).cloned().unwrap_or(Value::Null);
        says.insert(key.clone(), is_fargate(&get("launchType"), &get("capacityProviderStrategy")) == Some(true));
    }
    for call in plan.nodes.iter().filter_map(|node| node.action.mutation()).filter(|call| call.service == "ecs") {
        let Some(now) = is_fargate(&call.input["launchType"], &call.input["capacityProviderStrategy"]) else {
            continue;
        };
        for key in service_keys(call) {
            let before = says.entry(key).or_insert(now);
            *before = *before && now;
        }
    }
    says.into_iter().filter(|(_, fargate)| *fargate).map(|(key, _)| key).collect()
}

fn service_keys(call: &Call) -> Vec<String> {
    let services = subjects(call, None).into_iter().filter(|subject| subject.kind == "ECS service");
    services.map(|service| format!("{}/{}", short(&service.scope), service.name)).collect()
}

/// Whether what is launched so is launched on Fargate, if anything is said of it.
fn is_fargate(launch_type: &Value, strategy: &Value) -> Option<bool> {
    let provider = |item: &Value| item["capacityProvider"].as_str().is_some_and(|name| name.starts_with("FARGATE"));
    match (launch_type.as_str(), strategy.as_array()) {
        (Some(name), _) => Some(name == "FARGATE"),
        (None, Some(list)) if !list.is_empty() => Some(list.iter().all(provider)),
        _ => None,
    }
}

/// Whether an instance with these user data becomes one of a cluster.
fn joins_cluster(user_data: Option<&str>) -> bool {
    cluster_of(user_data).is_some()
}

/// Whether a name is that of a group whose instances are of a cluster, of what such instances are launched from, or
/// their user data.
fn hosts_tasks(name: &str, world: &World) -> bool {
    let user_data = |data: &Map<String, Value>| data.get("UserData").and_then(Value::as_str).map(str::to_owned);
    let group = world.auto_scaling_groups.get(name).is_some_and(|group| {
        let backs = world.capacity_providers.values().any(|provider| short(&provider.group).ends_with(name));
        let launched_by = group.members.keys().any(|id| {
            world.container_instances.values().any(|host| host.ec2_instance_id == *id)
                || world.instances.get(id).is_some_and(|i| joins_cluster(i.user_data.as_deref()))
        });
        backs || launched_by
    });
    let template = world.launch_templates.iter().any(|(id, template)| {
        (id == name || template.name == name)
            && template.versions.values().any(|version| joins_cluster(user_data(&version.data).as_deref()))
    });
    let configuration = world.launch_configurations.get(name).and_then(Value::as_object);
    group || template || joins_cluster(configuration.and_then(user_data).as_deref()) || joins_cluster(Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn room_is_plentiful_while_one_instance_must_have_some_however_tasks_lie() {
        // Each of three is full for a task of 100 once 901 of its 1000 are taken.
        let full = |asked| full(vec![1000; 3], asked, 100);
        assert_eq!([900, 901, 1801, 1802, 2702, 2703, 9000].map(full), [0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(super::full(vec![50, 1000], 0, 100), 1, "too small for it even when it is empty");
    }

    #[test]
    fn only_what_is_said_to_run_on_fargate_does() {
        let strategy = |names: &[&str]| names.iter().map(|name| json!({"capacityProvider": name})).collect::<Value>();
        let none = Value::Null;
        assert_eq!(is_fargate(&json!("FARGATE"), &none), Some(true));
        assert_eq!(is_fargate(&json!("EC2"), &none), Some(false));
        assert_eq!(is_fargate(&none, &strategy(&["FARGATE", "FARGATE_SPOT"])), Some(true));
        assert_eq!(is_fargate(&none, &strategy(&["FARGATE", "machines"])), Some(false));
        assert_eq!(is_fargate(&none, &strategy(&[])), None);
    }
}

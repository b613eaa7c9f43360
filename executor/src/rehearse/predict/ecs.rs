//! How long ECS takes for what a plan waits for: from the settings that a service has and will have, its task
//! definition's checks, its target groups' checks and delays.
//!
//! Sources: the ECS developer guide on rolling updates (how many tasks may start and stop at a time), on health (a task
//! behind a load balancer counts once its checks pass; one without any check 40 s after it runs), and on stopping
//! (deregistration delay, then `stopTimeout`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::checker::subject::{short, subjects};
use belay_schemas::late::Late;
use belay_schemas::observed::{EXTERNAL, Observed};
use belay_schemas::plan::{Call, EdgeKind, Node, Phase, Plan, Wait};
use serde_json::{Map, Value};

use super::order::Order;
use super::rolling::{after, deploys, shifting, waves};

/// Seconds for which load balancers let a target go, unless they are told otherwise.
const DELAY: u64 = 300;

/// How long single things take, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// Until ECS acts on a change.
    pub schedule: u64,
    /// From being placed to RUNNING on a container instance.
    pub start: u64,
    /// The same on Fargate.
    pub fargate_start: u64,
    /// The same on Managed Instances.
    pub managed_start: u64,
    /// From what a container waits for to its start, in a task whose containers wait for each other.
    pub next_container: u64,
    /// From the start to the end of a container that others wait for to complete.
    pub completion: u64,
    /// From RUNNING to healthy without any check.
    pub settle: u64,
    /// From the signal to the end, unless `stopTimeout` says otherwise.
    pub stop: u64,
    /// From RUNNING to the end of a task that runs once.
    pub own_task: u64,
    /// Until an Auto Scaling group acts on a change.
    pub group_schedule: u64,
    /// From the launch of an instance until it runs.
    pub instance_start: u64,
    /// From running until its application answers.
    pub instance_boot: u64,
    /// From the decision to terminate it to its end.
    pub instance_shutdown: u64,
    /// From a change of DNS records until every name server knows it.
    pub dns: u64,
}

/// What a wait is expected to take.
pub(super) struct Estimate {
    pub seconds: u64,
    /// When that begins; now, if nothing is known.
    pub since: Option<u64>,
    pub because: String,
}

/// What is known of services, target groups and task definitions.
pub(super) struct Facts<'p> {
    plan: &'p Plan,
    durations: &'p Durations,
    ancestors: Vec<BTreeSet<usize>>,
    services: BTreeMap<String, Map<String, Value>>,
    definitions: BTreeMap<String, &'p Value>,
    /// Seconds until a target counts as healthy, and until one that leaves is gone.
    balancers: BTreeMap<String, (u64, u64)>,
    /// Container instances of EC2, and machines outside AWS.
    instances: (u64, u64),
    /// Capacity providers of Managed Instances.
    managed: BTreeSet<&'p str>,
    /// Strategies of clusters for what says neither launch type nor capacity providers.
    defaults: BTreeMap<&'p str, &'p Value>,
    /// Groups as they were observed.
    groups: BTreeMap<String, &'p Value>,
    assumed: RefCell<BTreeSet<String>>,
}

pub(super) fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

impl<'p> Facts<'p> {
    pub fn new(plan: &'p Plan, observed: Option<&'p Observed>, durations: &'p Durations) -> Self {
        let mut facts = Self {
            plan,
            durations,
            ancestors: ancestors(plan),
            services: BTreeMap::new(),
            definitions: BTreeMap::new(),
            balancers: BTreeMap::new(),
            instances: (0, 0),
            managed: BTreeSet::new(),
            defaults: BTreeMap::new(),
            groups: BTreeMap::new(),
            assumed: RefCell::default(),
        };
        let Some(observed) = observed else {
            facts.assume("nothing was observed: services start from nothing, load balancers have AWS's defaults");
            return facts;
        };
        for read in &observed.reads {
            let Some(output) = &read.output else { continue };
            match read.operation.as_str() {
                "DescribeServices" => {
                    let cluster = short(read.input["cluster"].as_str().unwrap_or("default")).to_owned();
                    for service in list(output, "services").filter(|s| s["status"] == "ACTIVE") {
                        let key = format!("{cluster}/{}", text(service, "serviceName"));
                        facts.services.insert(key, service.as_object().cloned().unwrap_or_default());
                    }
                }
                "DescribeTaskDefinition" => {
                    let definition = &output["taskDefinition"];
                    facts.definitions.insert(text(definition, "taskDefinitionArn").to_owned(), definition);
                }
                "DescribeAutoScalingGroups" => {
                    for group in list(output, "AutoScalingGroups") {
                        facts.groups.insert(text(group, "AutoScalingGroupName").to_owned(), group);
                    }
                }
                "DescribeClusters" => {
                    let all = list(output, "clusters");
                    facts.defaults.extend(all.map(|c| (text(c, "clusterName"), &c["defaultCapacityProviderStrategy"])));
                }
                "DescribeCapacityProviders" => {
                    let all = list(output, "capacityProviders").filter(|p| p["managedInstancesProvider"].is_object());
                    facts.managed.extend(all.map(|provider| text(provider, "name")));
                }
                "DescribeContainerInstances" => {
                    for instance in list(output, "containerInstances") {
                        let external = list(instance, "attributes").any(|a| a["name"] == EXTERNAL);
                        *(if external { &mut facts.instances.1 } else { &mut facts.instances.0 }) += 1;
                    }
                }
                _ => {}
            }
        }
        facts.balancing(observed);
        facts
    }

    fn balancing(&mut self, observed: &'p Observed) {
        for (_, output) in observed.outputs("elbv2", "DescribeTargetGroups") {
            for group in list(output, "TargetGroups") {
                // What the plan changes of it holds before any task is checked by it.
                let changed = changes(self.plan, "ModifyTargetGroup", &group["TargetGroupArn"]).next();
                let healthy = healthy(|member| {
                    changed.and_then(|input| input[member].as_u64()).or_else(|| group[member].as_u64())
                });
                self.balancers.insert(text(group, "TargetGroupArn").to_owned(), (healthy, DELAY));
            }
        }
        for (input, output) in observed.outputs("elbv2", "DescribeTargetGroupAttributes") {
            let changed = changes(self.plan, "ModifyTargetGroupAttributes", &input["TargetGroupArn"]);
            let all = changed.flat_map(|input| list(input, "Attributes")).chain(list(output, "Attributes"));
            if let Some(known) = self.balancers.get_mut(text(input, "TargetGroupArn")) {
                known.1 = delay(all);
            }
        }
        for (_, output) in observed.outputs("elb", "DescribeLoadBalancers") {
            for balancer in list(output, "LoadBalancerDescriptions") {
                let check = &balancer["HealthCheck"];
                let healthy =
                    check["Interval"].as_u64().unwrap_or(30) * check["HealthyThreshold"].as_u64().unwrap_or(10);
                self.balancers.insert(text(balancer, "LoadBalancerName").to_owned(), (healthy, DELAY));
            }
        }
        for (input, output) in observed.outputs("elb", "DescribeLoadBalancerAttributes") {
            let draining = &output["LoadBalancerAttributes"]["ConnectionDraining"];
            let delay = if draining["Enabled"] == true { draining["Timeout"].as_u64().unwrap_or(DELAY) } else { 0 };
            if let Some(known) = self.balancers.get_mut(text(input, "LoadBalancerName")) {
                known.1 = delay;
            }
        }
    }

    /// Notes an assumption.
    pub fn assume(&self, what: &str) {
        self.assumed.borrow_mut().insert(what.to_owned());
    }

    /// What was assumed.
    pub fn assumed(&self) -> Vec<String> {
        self.assumed.borrow().iter().cloned().collect()
    }

    /// How long a wait takes from the change that it waits for.
    pub fn estimate(&self, ix: usize, node: &Node, wait: &Wait, ended: &[Option<u64>]) -> Estimate {
        if wait.reads.first().is_some_and(|read| read.operation == "DescribeContainerInstances") {
            return self.moved(ix, ended);
        }
        if wait.reads.iter().any(|read| read.operation == "DescribeTasks")
            && let Some(estimate) = self.ran(ix, ended)
        {
            return estimate;
        }
        if wait.reads.first().is_some_and(|read| read.operation == "GetChange") {
            let changes = self.changes(ix, |call| call.operation == "ChangeResourceRecordSets");
            let seconds = self.durations.dns;
            let since = changes.last().and_then(|(from, _)| ended[*from]);
            return Estimate { seconds, since, because: format!("{seconds} s until all name servers know the record") };
        }
        let service = wait.reads.iter().find(|read| read.operation == "DescribeServices").and_then(service_of);
        if let (None, Some(estimate)) = (&service, self.of_group(ix, wait, ended)) {
            return estimate;
        }
        let Some(service) = service else {
            self.assume(&format!("{}: what it waits for is there at once", node.id));
            return Estimate { seconds: 0, since: None, because: String::new() };
        };
        let changes = self.changes(ix, |call| service_of(call).as_ref() == Some(&service));
        let mut state = self.services.get(&service).cloned();
        let mut estimate = Estimate { seconds: 0, since: None, because: "it is there already".to_owned() };
        // When tasks were told to stop last, and how long that takes.
        let mut stopping = None;
        for (change, call) in changes {
            let next = after(state.as_ref(), call);
            let since = ended[change];
            if let (Some(settings), Some(next)) = (&state, &next)
                && self.count(next) < self.count(settings)
            {
                stopping = Some((since, self.stopping(settings)));
            }
            estimate = match (&next, stopping) {
                // A deleted service is gone when the last task that was told to stop has ended.
                (None, Some((since, stop))) => {
                    Estimate { seconds: stop, since, because: format!("{stop} s until its tasks have ended") }
                }
                _ => {
                    let (seconds, because) = self.change(state.as_ref(), next.as_ref(), call);
                    Estimate { seconds, since, because }
                }
            };
            state = next;
        }
        estimate
    }

    /// How long it takes until the task that was started last before a wait has ended.
    fn ran(&self, ix: usize, ended: &[Option<u64>]) -> Option<Estimate> {
        let call = |from: usize| self.plan.nodes[from].action.mutation().filter(|call| call.operation == "RunTask");
        let runs = self.ancestors[ix].iter().copied().filter(|&from| call(from).is_some());
        let last = runs.max_by_key(|&from| self.ancestors[from].len())?;
        let start = self.running(call(last)?.input.as_object()?);
        let own = self.durations.own_task;
        self.assume(&format!("a task that runs once takes {own} s and succeeds"));
        let because = format!("{start} s to start, {own} s until it has ended");
        Some(Estimate { seconds: start + own, since: ended[last], because })
    }

    /// How long it takes until the tasks on drained instances run elsewhere: as long as the slowest service of the cluster
    /// takes for it.
    fn moved(&self, ix: usize, ended: &[Option<u64>]) -> Estimate {
        self.assume("tasks leave drained instances at once");
        let drains = self.changes(ix, |call| call.operation == "UpdateContainerInstancesState");
        let cluster = drains.last().map_or("", |(_, call)| short(text(&call.input, "cluster")));
        let services = self.services.iter().filter(|(key, _)| key.split('/').next() == Some(cluster));
        let on_instances = |settings: &&Map<String, Value>| {
            let on = self.placed_on(settings);
            let elsewhere = on == "EXTERNAL" || on.starts_with("FARGATE") || self.managed.contains(on);
            // A daemon's task does not move: it ends with the instance.
            !elsewhere && settings.get("schedulingStrategy").is_none_or(|strategy| strategy != "DAEMON")
        };
        let moves = services.map(|(_, settings)| settings).filter(on_instances).map(|settings| {
            let ((start, because), stop) = (self.starting(settings), self.stopping(settings));
            (start + stop, format!("{because}, {stop} s to stop here"))
        });
        let Durations { schedule, start, settle, stop, .. } = *self.durations;
        let usual =
            || (start + settle + stop, format!("{start} s to start, {settle} s until healthy, {stop} s to stop here"));
        let (seconds, because) = moves.max_by_key(|(seconds, _)| *seconds).unwrap_or_else(usual);
        Estimate { seconds: schedule + seconds, since: drains.last().and_then(|(from, _)| ended[*from]), because }
    }

    /// The changes before a node that are about something, in their order.
    pub fn changes(&self, ix: usize, about: impl Fn(&Call) -> bool) -> Vec<(usize, &'p Call)> {
        let before = self.ancestors[ix].iter().copied();
        let calls = before.filter_map(|from| Some((from, self.plan.nodes[from].action.mutation()?)));
        let mut changes: Vec<(usize, &Call)> = calls.filter(|(_, call)| about(call)).collect();
        // The later one has more before it.
        changes.sort_by_key(|(from, _)| self.ancestors[*from].len());
        changes
    }

    /// How long single things take.
    pub fn durations(&self) -> &'p Durations {
        self.durations
    }

    /// A group as it was observed.
    pub fn group(&self, name: &str) -> Option<&'p Value> {
        self.groups.get(name).copied()
    }

    /// Seconds until a target counts as healthy, and until one that leaves is gone.
    pub fn balancer(&self, name: &str) -> (u64, u64) {
        self.balancers.get(name).copied().unwrap_or((150, DELAY))
    }

    fn change(
        &self,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
        call: &Call,
    ) -> (u64, String) {
        let number = |settings: Option<&Map<String, Value>>| settings.map_or(0, |settings| self.count(settings));
        let (old, new) = (number(before), number(after));
        let stop = before.map_or(0, |settings| self.stopping(settings));
        let Some(after) = after else {
            return if old == 0 { (0, "it has no tasks".to_owned()) } else { (stop, format!("{stop} s to stop")) };
        };
        if !deploys(before, call) {
            return match new {
                _ if new > old => {
                    // Without a deployment nothing waits for more than load balancers tell.
                    let healthy = self.balancers_of(after).map(|(healthy, _)| healthy).max().unwrap_or(0);
                    let start = self.running(after);
                    (start + healthy, format!("{start} s to start, {healthy} s until healthy"))
                }
                // What is told to stop does not count as running any more.
                _ => (0, "it is there already".to_owned()),
            };
        }
        let schedule = self.durations.schedule;
        if new == 0 {
            let stop = if old > 0 { stop } else { 0 };
            return (schedule + stop, format!("{schedule} s until ECS acts, {stop} s to stop tasks"));
        }
        let (start, words) = self.starting(after);
        let percent = |name: &str, default: u64| {
            after.get("deploymentConfiguration").and_then(|c| c[name].as_u64()).unwrap_or(default)
        };
        let strategy = after.get("deploymentConfiguration").unwrap_or(&Value::Null);
        if before.is_some() && old > 0 && ["BLUE_GREEN", "LINEAR", "CANARY"].contains(&text(strategy, "strategy")) {
            let shift = shifting(strategy, after);
            // All new tasks start beside the old ones; when they have the traffic, all old ones stop.
            return (
                schedule + start + shift + 1 + stop,
                format!("{schedule} s until ECS acts, {words}, {shift} s to shift traffic, {stop} s to stop old tasks"),
            );
        }
        let (lower, upper) =
            ((new * percent("minimumHealthyPercent", 100)).div_ceil(100), new * percent("maximumPercent", 200) / 100);
        let (starts, stops) = waves(old, new, lower, upper);
        let stopping = if old > 0 { format!(", {stops} × {stop} s to stop old tasks") } else { String::new() };
        let starting = if starts == 1 { words } else { format!("{starts} × ({words})") };
        (schedule + starts * start + stops * stop, format!("{schedule} s until ECS acts, {starting}{stopping}"))
    }

    fn count(&self, settings: &Map<String, Value>) -> u64 {
        if settings.get("schedulingStrategy").is_some_and(|s| s == "DAEMON") {
            let external = settings.get("launchType").is_some_and(|l| l == "EXTERNAL");
            return if external { self.instances.1 } else { self.instances.0 }.max(1);
        }
        settings.get("desiredCount").and_then(Value::as_u64).unwrap_or(1)
    }

    /// From being placed to RUNNING.
    fn running(&self, settings: &Map<String, Value>) -> u64 {
        self.assume("there is room for all tasks");
        let start = match self.placed_on(settings) {
            provider if provider.starts_with("FARGATE") => self.durations.fargate_start,
            provider if self.managed.contains(provider) => self.durations.managed_start,
            _ => self.durations.start,
        };
        start + Order::of(self.containers(settings)).delay(self.durations)
    }

    /// The launch type, or the first capacity provider, that places the tasks; nothing where neither is said.
    fn placed_on<'s>(&'s self, settings: &'s Map<String, Value>) -> &'s str {
        let cluster = short(settings.get("cluster").and_then(Value::as_str).unwrap_or("default"));
        let launch = settings.get("launchType").and_then(Value::as_str);
        let default = || self.defaults.get(cluster).copied().filter(|_| launch.is_none());
        let strategy = settings.get("capacityProviderStrategy").or_else(default).and_then(Value::as_array);
        // All providers of a strategy are of one kind.
        let provider = strategy.and_then(|shares| shares.first()).map(|share| text(share, "capacityProvider"));
        provider.or(launch).unwrap_or_default()
    }

    /// From being placed to healthy.
    fn starting(&self, settings: &Map<String, Value>) -> (u64, String) {
        let start = self.running(settings);
        let balanced = self.balancers_of(settings).map(|(healthy, _)| healthy).max();
        let own = Order::of(self.containers(settings)).checked(self.durations);
        let healthy = balanced.into_iter().chain(own).max().unwrap_or(self.durations.settle);
        (start + healthy, format!("{start} s to start, {healthy} s until healthy"))
    }

    /// From the decision to stop a task to its end.
    fn stopping(&self, settings: &Map<String, Value>) -> u64 {
        let drain = self.balancers_of(settings).map(|(_, drain)| drain).max().unwrap_or(0);
        let default = self.durations.stop;
        drain + Order::of(self.containers(settings)).stopping(default)
    }

    fn balancers_of<'s>(&'s self, settings: &'s Map<String, Value>) -> impl Iterator<Item = (u64, u64)> + 's {
        let all = settings.get("loadBalancers").and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|b| {
            let named = b["targetGroupArn"].as_str().or(b["loadBalancerName"].as_str()).map(|name| self.balancer(name));
            named.or_else(|| self.made_group(&b["targetGroupArn"]))
        })
    }

    /// The same of a target group that the plan itself makes.
    fn made_group(&self, arn: &Value) -> Option<(u64, u64)> {
        let Ok(Some(Late::Output { node, .. })) = Late::recognise(arn) else { return None };
        let input = &self.plan.node(node)?.action.mutation()?.input;
        let attributes = changes(self.plan, "ModifyTargetGroupAttributes", arn);
        let delay = delay(attributes.flat_map(|input| list(input, "Attributes")));
        Some((healthy(|member| input[member].as_u64()), delay))
    }

    fn containers<'s>(&'s self, settings: &'s Map<String, Value>) -> impl Iterator<Item = &'s Value> + 's {
        let named = settings.get("taskDefinition").unwrap_or(&Value::Null);
        let late = Late::recognise(named).ok().flatten();
        let definition = match late {
            Some(Late::Output { node, .. }) => {
                self.plan.node(node).and_then(|node| node.action.mutation()).map(|call| &call.input)
            }
            _ => self.definitions.get(named.as_str().unwrap_or_default()).copied(),
        };
        definition.into_iter().flat_map(|definition| list(definition, "containerDefinitions"))
    }
}

/// Seconds until a target counts as healthy by the checks that a target group has.
fn healthy(number: impl Fn(&str) -> Option<u64>) -> u64 {
    number("HealthCheckIntervalSeconds").unwrap_or(30) * number("HealthyThresholdCount").unwrap_or(5)
}

/// Seconds until a target that leaves is gone, by the first of a target group's attributes that says so.
fn delay<'v>(mut attributes: impl Iterator<Item = &'v Value>) -> u64 {
    let told = attributes.find(|attribute| attribute["Key"] == "deregistration_delay.timeout_seconds");
    told.and_then(|attribute| attribute["Value"].as_str()?.parse().ok()).unwrap_or(DELAY)
}

/// Inputs of the calls on the way forward that change a target group, which may be one that the plan makes.
fn changes<'p>(plan: &'p Plan, operation: &'static str, arn: &Value) -> impl Iterator<Item = &'p Value> {
    let forward =
        plan.nodes.iter().filter(|node| node.phase == Phase::Deploy).filter_map(|node| node.action.mutation());
    let of_group = forward.filter(move |call| call.operation == operation).map(|call| &call.input);
    let arn = arn.clone();
    of_group.filter(move |input| input["TargetGroupArn"] == arn)
}

/// The service that a call is about, as `CLUSTER/NAME`.
fn service_of(call: &Call) -> Option<String> {
    let subject = subjects(call, None).into_iter().find(|subject| subject.kind == "ECS service")?;
    Some(format!("{}/{}", short(&subject.scope), subject.name))
}

/// All nodes before each node.
fn ancestors(plan: &Plan) -> Vec<BTreeSet<usize>> {
    let find = |id: &str| plan.nodes.binary_search_by(|node| node.id.as_str().cmp(id)).ok();
    let mut before = vec![Vec::new(); plan.nodes.len()];
    for edge in plan.edges.iter().filter(|edge| edge.kind == EdgeKind::After) {
        if let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) {
            before[to].push(from);
        }
    }
    let of = |ix: usize| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![ix]);
        while let Some(at) = open.pop() {
            open.extend(before[at].iter().copied().filter(|&from| seen.insert(from)));
        }
        seen
    };
    (0..plan.nodes.len())
        .map(|ix| {
            if plan.nodes[ix].action.kind() == "wait" || plan.nodes[ix].action.mutation().is_some() {
                of(ix)
            } else {
                BTreeSet::new()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn what_leaves_is_let_go_after_the_attribute_that_says_so() {
        let attribute = |key: &str, value: &str| json!({"Key": key, "Value": value});
        let other = attribute("slow_start.duration_seconds", "60");
        let [first, second] = ["15", "20"].map(|delay| attribute("deregistration_delay.timeout_seconds", delay));
        assert_eq!(delay([&other, &first, &second].into_iter()), 15);
        assert_eq!(delay([&other].into_iter()), DELAY);
    }

    #[test]
    fn tasks_start_as_fast_as_what_they_run_on() {
        let plan: Plan = from_value(json!({
            "digest": "", "edges": [], "format": 1, "inputs": {"environment": "", "model": ""}, "mode": "deploy",
            "nodes": [], "project": "films", "target": {"partition": "aws"},
        }))
        .unwrap();
        let by = |provider: &str| json!([{"capacityProvider": provider, "weight": 1}]);
        let read = |operation: &str, output: Value| json!({"service": "ecs", "operation": operation, "input": {}, "output": output});
        let cluster = json!({"clusterName": "films", "defaultCapacityProviderStrategy": by("media")});
        let provider = json!({"name": "media", "managedInstancesProvider": {}});
        let observed: Observed = from_value(json!({
            "format": 1, "account": "", "region": "", "observedAt": "", "scope": {"format": 1, "project": "films"},
            "reads": [
                read("DescribeClusters", json!({"clusters": [cluster]})),
                read("DescribeCapacityProviders", json!({"capacityProviders": [provider]})),
            ],
        }))
        .unwrap();
        let durations = crate::rehearse::durations(&crate::simulator::World::default_account());
        let Durations { start, fargate_start, managed_start, .. } = durations;
        assert!(start < fargate_start && fargate_start < managed_start);
        let facts = Facts::new(&plan, Some(&observed), &durations);
        for (settings, expected) in [
            (json!({"cluster": "shop"}), start),
            (json!({"launchType": "FARGATE"}), fargate_start),
            (json!({"capacityProviderStrategy": by("FARGATE_SPOT")}), fargate_start),
            (json!({"capacityProviderStrategy": by("media")}), managed_start),
            (json!({"capacityProviderStrategy": by("own"), "cluster": "films"}), start),
            // What says nothing runs on what the cluster says.
            (json!({"cluster": "films"}), managed_start),
            (json!({"cluster": "films", "launchType": "EC2"}), start),
        ] {
            assert_eq!(facts.running(settings.as_object().unwrap()), expected, "{settings}");
        }
    }
}

//! The parts of a plan that share nothing: what a step of one of them does cannot be felt in another one.
//!
//! Two steps are of one part when they belong to one component, when one of them waits for, undoes or takes a value from
//! the other, when one changes what the other names, or when both need room in the same place (the instances of ECS
//! clusters; a quota that the world knows of). What changes nothing and belongs to nobody (reads before the start, the
//! commit point) ties nothing together: each part that needs it has it.
//!
//! Invariants: when in doubt steps are of one part; a part is a plan, and each of its steps is one of the whole plan.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::checker::subject::{short, subjects};
use belay_schemas::plan::{Action, Call, Node, Phase, Plan};
use serde_json::Value;

use super::room::Room;
use crate::http;
use crate::run::Ready;
use crate::simulator::World;
use crate::simulator::world::Target;

/// A part of a plan.
pub(super) struct Part {
    pub plan: Plan,
    /// Where its steps are in the whole plan.
    pub at: Vec<usize>,
    /// Those of them that no other part has, by position in the whole plan.
    pub own: Vec<usize>,
}

/// What is changed by mutations that name it otherwise than the objects that all rules know.
const NAMED_BY: [(&str, &str, &str); 2] =
    [("ecs", "RegisterTaskDefinition", "family"), ("ecs", "StopServiceDeployment", "serviceDeploymentArn")];
/// Members of services and groups that name what they change along with themselves.
const CHANGED_TOO: [&str; 6] = [
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "LoadBalancerNames",
    "TargetGroupARNs",
    "TrafficSources",
];

/// The parts of a plan in a world; none if everything hangs together.
pub(super) fn parts(ready: &Ready, world: &World) -> Vec<Part> {
    let plan = ready.plan();
    // Calls that are counted are shared by all.
    if world.throttling.enabled {
        return Vec::new();
    }
    let ground: Vec<bool> = plan.nodes.iter().map(is_ground).collect();
    let mut sets = Sets((0..plan.nodes.len()).collect());
    for (ix, node) in plan.nodes.iter().enumerate().filter(|(ix, _)| !ground[*ix]) {
        let undo = node.undo.iter().flat_map(|case| &case.nodes);
        let obliged = node.obligation.iter().flat_map(|obligation| [&obligation.forward, &obligation.back]);
        let guarded = node.guards.iter().filter_map(|guard| guard.after.as_ref());
        let told = undo.chain(obliged).chain(guarded).filter_map(|id| position(plan, id));
        for other in ready.ties(ix).chain(told).filter(|other| !ground[*other]) {
            sets.join(ix, other);
        }
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (ix, node) in plan.nodes.iter().enumerate() {
        if let Some(component) = &node.component {
            sets.join(ix, *first.entry(component).or_insert(ix));
        }
    }
    share(plan, world, &ground, &mut sets);
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for ix in (0..plan.nodes.len()).filter(|ix| !ground[*ix]) {
        members.entry(sets.of(ix)).or_default().push(ix);
    }
    if members.len() < 2 {
        return Vec::new();
    }
    members.into_values().map(|own| Part::of(ready, own, &ground)).collect()
}

impl Part {
    fn of(ready: &Ready, own: Vec<usize>, ground: &[bool]) -> Self {
        let whole = ready.plan();
        let mut at: BTreeSet<usize> = own.iter().copied().collect();
        let mut open = own.clone();
        while let Some(ix) = open.pop() {
            open.extend(ready.ties(ix).filter(|other| ground[*other] && at.insert(*other)));
        }
        // The commit point comes after everything, whatever its edges say.
        let commits = whole.nodes.iter().enumerate().filter(|(_, node)| matches!(node.action, Action::Commit { .. }));
        at.extend(commits.map(|(ix, _)| ix));
        let at: Vec<usize> = at.into_iter().collect();
        let ids: BTreeSet<&str> = at.iter().map(|ix| whole.nodes[*ix].id.as_str()).collect();
        let inside = |id: &String| ids.contains(id.as_str());
        let plan = Plan {
            nodes: at.iter().map(|ix| whole.nodes[*ix].clone()).collect(),
            edges: whole.edges.iter().filter(|edge| inside(&edge.from) && inside(&edge.to)).cloned().collect(),
            ..whole.clone()
        };
        Self { plan: plan.seal(), at, own }
    }

    /// A world without what only other parts change: nothing of it can be felt here.
    pub fn world(&self, whole: &World, all: &[Self]) -> World {
        let mut world = whole.clone();
        let others = all.iter().filter(|other| other.own != self.own);
        for call in others.flat_map(|other| &other.plan.nodes).filter_map(|node| node.action.mutation()) {
            for object in subjects(call, None) {
                match object.kind {
                    "ECS service" => without_service(&mut world, &format!("{}/{}", short(&object.scope), object.name)),
                    "Auto Scaling group" => without_group(&mut world, &object.name),
                    _ => {}
                }
            }
        }
        world
    }

    /// The components that the part changes.
    pub fn components(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.plan.nodes.iter().filter_map(|node| node.component.as_ref()).collect();
        names.into_iter().cloned().collect()
    }
}

fn position(plan: &Plan, id: &str) -> Option<usize> {
    plan.nodes.binary_search_by(|node| node.id.as_str().cmp(id)).ok()
}

fn without_service(world: &mut World, key: &str) {
    if world.services.remove(key).is_none() {
        return;
    }
    let gone: BTreeSet<String> = world.tasks.of_service(key).map(|(id, _)| id.clone()).collect();
    world.tasks.retain(|task| task.service.as_deref() != Some(key));
    without_targets(world, |target| target.task.as_ref().is_some_and(|task| gone.contains(task)));
}

fn without_group(world: &mut World, name: &str) {
    // What a provider scales is looked at by the provider.
    let scaled = |arn: &str| world.capacity_providers.values().any(|provider| provider.group == arn);
    if world.auto_scaling_groups.get(name).is_none_or(|group| scaled(&group.arn)) {
        return;
    }
    let Some(group) = world.auto_scaling_groups.remove(name) else { return };
    for id in group.members.keys() {
        world.instances.remove(id);
    }
    without_targets(world, |target| group.members.contains_key(&target.id));
}

fn without_targets(world: &mut World, gone: impl Fn(&Target) -> bool) {
    let of_groups: Vec<String> = world.target_groups.keys().cloned().collect();
    for group in of_groups {
        if let Some(group) = world.target_groups.get_mut(&group) {
            group.targets.retain(|target| !gone(target));
        }
    }
    let of_balancers: Vec<String> = world.classic_load_balancers.keys().cloned().collect();
    for balancer in of_balancers {
        if let Some(balancer) = world.classic_load_balancers.get_mut(&balancer) {
            balancer.targets.retain(|target| !gone(target));
        }
    }
}

/// Whether a node changes nothing, belongs to nobody, and comes before or after everything that does.
fn is_ground(node: &Node) -> bool {
    match &node.action {
        Action::Commit { .. } => true,
        Action::Read { .. } | Action::Wait { .. } => node.component.is_none() && node.phase == Phase::Preflight,
        _ => false,
    }
}

/// Disjoint sets of numbers.
struct Sets(Vec<usize>);

impl Sets {
    fn of(&mut self, mut ix: usize) -> usize {
        while self.0[ix] != ix {
            self.0[ix] = self.0[self.0[ix]];
            ix = self.0[ix];
        }
        ix
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Joins the steps that change what others name, and those that need room in the same place.
fn share(plan: &Plan, world: &World, ground: &[bool], sets: &mut Sets) {
    let names: Vec<BTreeSet<String>> = plan.nodes.iter().map(named).collect();
    let mut changers: BTreeMap<String, usize> = BTreeMap::new();
    let mut places: BTreeMap<&'static str, usize> = BTreeMap::new();
    let room = Room::of(plan, world);
    for (ix, node) in plan.nodes.iter().enumerate() {
        if let Some(call) = &changes(node) {
            for name in changed(call, world) {
                sets.join(ix, *changers.entry(name).or_insert(ix));
            }
            for place in room.places(call, &names[ix]) {
                sets.join(ix, *places.entry(place).or_insert(ix));
            }
        }
    }
    for (ix, names) in names.iter().enumerate().filter(|(ix, _)| !ground[*ix]) {
        for changer in names.iter().filter_map(|name| changers.get(name)) {
            sets.join(ix, *changer);
        }
    }
}

/// The call by which a node changes something.
fn changes(node: &Node) -> Option<Call> {
    let call = match &node.action {
        Action::Call { call, .. } => call.clone(),
        Action::Http { http } => http::call(http),
        _ => return None,
    };
    http::changes(&call.service, &call.operation).then_some(call)
}

/// Every name in what a node does and looks at.
fn named(node: &Node) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let said = [
        serde_json::to_value(&node.action),
        serde_json::to_value(&node.guards),
        serde_json::to_value(&node.probe),
        serde_json::to_value(&node.undo),
        serde_json::to_value(&node.each),
    ];
    said.iter().flatten().for_each(|value| strings(value, &mut names));
    names
}

/// All strings in a value, ARNs by their short names; a revision names its family, too.
pub(super) fn strings(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let name = short(text);
            found.insert(name.to_owned());
            if let Some((family, number)) = name.rsplit_once(':')
                && number.parse::<u64>().is_ok()
            {
                found.insert(family.to_owned());
            }
        }
        Value::Array(list) => list.iter().for_each(|value| strings(value, found)),
        Value::Object(map) => map.values().for_each(|value| strings(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The names of what a call changes. One of which that is not known may change whatever it names.
fn changed(call: &Call, world: &World) -> BTreeSet<String> {
    let objects = subjects(call, None);
    let mut names: BTreeSet<String> = objects.iter().map(|subject| subject.name.to_string()).collect();
    let known =
        NAMED_BY.iter().find(|(service, operation, _)| (*service, *operation) == (&call.service, &call.operation));
    match known.map(|(.., member)| &call.input[*member]) {
        Some(Value::String(name)) => names.extend([short(name).to_owned()]),
        Some(late @ Value::Object(_)) => names.extend([late.to_string()]),
        _ => {}
    }
    if names.is_empty() {
        strings(&call.input, &mut names);
    }
    CHANGED_TOO.iter().for_each(|member| strings(&call.input[*member], &mut names));
    for object in objects {
        match object.kind {
            "ECS service" => {
                if let Some(service) = world.services.get(&format!("{}/{}", short(&object.scope), object.name)) {
                    let wanted = CHANGED_TOO.iter().filter_map(|member| service.wanted.get(*member));
                    wanted.for_each(|value| strings(value, &mut names));
                }
            }
            "Auto Scaling group" => {
                if let Some(group) = world.auto_scaling_groups.get(object.name.as_ref()) {
                    names.extend(group.attachments.keys().map(|name| short(name).to_owned()));
                }
            }
            _ => {}
        }
    }
    // Words that are settings and no names.
    for word in ["", "ENABLED", "DISABLED"] {
        names.remove(word);
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two components with a service each, of which one waits for a service.
    fn plan(api_waits_for: &str) -> Plan {
        let call = |component: &str, operation: &str, input: Value| {
            json!({"id": format!("{component}.{operation}"), "component": component, "phase": "deploy", "summary": "",
                "action": {"call": {"service": "ecs", "operation": operation, "input": input}}})
        };
        let component = |name: &str| {
            let container = json!({"name": name, "image": "a:1", "cpu": 100, "memory": 100});
            let service = json!({"cluster": "default", "serviceName": name, "launchType": "EC2", "desiredCount": 2,
                "taskDefinition": {"$output": format!("{name}.RegisterTaskDefinition"), "path": "a"}});
            let definition = json!({"family": name, "containerDefinitions": [container]});
            [call(name, "RegisterTaskDefinition", definition), call(name, "CreateService", service)]
        };
        let reads =
            json!([{"service": "ecs", "operation": "DescribeServices", "input": {"services": [api_waits_for]}}]);
        let wait = json!({"id": "api.wait", "component": "api", "phase": "deploy", "summary": "",
            "action": {"wait": {"reads": reads, "until": "`true`", "noProgress": 1, "overall": 1, "interval": 1}}});
        let commit = json!({"id": "commit", "phase": "deploy", "summary": "", "action": {"commit": ""}});
        let nodes: Vec<Value> = component("api").into_iter().chain(component("web")).chain([wait, commit]).collect();
        let plan = json!({"format": 1, "project": "shop", "mode": "deploy", "target": {"partition": "aws"}, "digest": "",
            "inputs": {"model": "", "environment": ""}, "edges": [], "nodes": nodes});
        serde_json::from_value::<Plan>(plan).unwrap().seal()
    }

    fn components(plan: &Plan, world: &World) -> Vec<Vec<String>> {
        parts(&Ready::new(plan).unwrap(), world).iter().map(Part::components).collect()
    }

    #[test]
    fn components_that_share_nothing_are_parts_with_the_commit_point_of_all() {
        let plan = plan("api");
        assert_eq!(components(&plan, &World::default_account()), [["api"], ["web"]]);
        let all = parts(&Ready::new(&plan).unwrap(), &World::default_account());
        assert!(all.iter().all(|part| part.plan.node("commit").is_some() && part.at.len() == part.own.len() + 1));
    }

    #[test]
    fn who_names_what_another_one_changes_is_of_its_part() {
        assert!(components(&plan("web"), &World::default_account()).is_empty());
    }

    #[test]
    fn room_that_may_get_scarce_is_shared_and_so_are_quotas_and_request_rates() {
        let plan = plan("api");
        let mut world = World::default_account();
        let hosts: Vec<String> = world.container_instances.keys().cloned().collect();
        for host in &hosts {
            world.container_instances.get_mut(host).unwrap().cpu = 300;
        }
        assert!(components(&plan, &world).is_empty(), "room");
        let mut world = World::default_account();
        world.quotas.insert("L-3032A538".to_owned(), 6.0);
        assert!(components(&plan, &world).is_empty(), "quotas");
        let mut world = World::default_account();
        world.throttling.enabled = true;
        assert!(components(&plan, &world).is_empty(), "request rates");
    }
}

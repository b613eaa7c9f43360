//! Plans that the checker accepts, made of what a real deployment is made of.

use std::collections::BTreeMap;

use belay_schemas::plan::{Action, Change, ComponentSummary, Edge, EdgeKind, Inputs, Mode, Node, Plan, Target, Wait};
use serde_json::{Value, json};

/// A plan of nodes given as JSON: one updated service, one new service, and container instances that are drained for the
/// time of the deployment.
pub fn good() -> Plan {
    let mut builder = Builder::default();
    builder.node(json!({
        "id": "preflight.cluster", "phase": "preflight", "summary": "the cluster is there",
        "action": {"read": call("ecs", "DescribeClusters", json!({"clusters": ["default"]})), "expect": "clusters[0].status == 'ACTIVE'"}
    }));
    builder.update("web");
    builder.create("api");
    builder.drain("pool");
    builder.drain("farm");
    builder.after("preflight.cluster", "api.service.create");
    builder.commit();
    builder.plan()
}

/// A plan that updates that many services.
pub fn many(components: usize) -> Plan {
    let mut builder = Builder::default();
    for number in 0..components {
        builder.update(&format!("c{number:05}"));
    }
    builder.commit();
    builder.plan()
}

fn call(service: &str, operation: &str, input: Value) -> Value {
    json!({"service": service, "operation": operation, "input": input})
}

pub fn output(node: &str, path: &str) -> Value {
    json!({"$output": node, "path": path})
}

#[derive(Default)]
struct Builder {
    components: BTreeMap<String, ComponentSummary>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Nodes that the commit point waits for, and those that wait for it.
    last: Vec<String>,
    tidy: Vec<String>,
}

impl Builder {
    fn node(&mut self, node: Value) {
        self.nodes.push(serde_json::from_value(node).expect("a node"));
    }

    fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        self.edges.push(Edge { from: from.into(), to: to.into(), kind });
    }

    fn after(&mut self, from: &str, to: &str) {
        self.edge(from, to, EdgeKind::After);
    }

    fn undo(&mut self, from: &str, to: &str) {
        self.edge(from, to, EdgeKind::Undo);
    }

    fn undo_after(&mut self, from: &str, to: &str) {
        self.edge(from, to, EdgeKind::UndoAfter);
    }

    fn component(&mut self, name: &str, change: Change) {
        self.components.insert(name.into(), ComponentSummary { change, floor: 1 });
    }

    /// Registers a revision; the way back deregisters it.
    fn register(&mut self, name: &str) -> String {
        let id = format!("{name}.task-definition.register");
        let undo = format!("{id}.undo");
        let family = format!("default_shop_{name}");
        self.node(json!({
            "id": id, "component": name, "phase": "deploy", "summary": "register a revision",
            "action": {"call": call("ecs", "RegisterTaskDefinition", json!({
                "family": family,
                "containerDefinitions": [{"name": name, "image": "nginx:1.13", "memory": 64}],
                "tags": [{"key": "belay:run", "value": {"$run": "id"}}]}))},
            "unguarded": "a registration replaces nothing",
            "probe": {
                "read": call("ecs", "DescribeTaskDefinition", json!({"taskDefinition": family, "include": ["TAGS"]})),
                "applied": "(tags[?key=='belay:run'].value)[0] == $run", "answer": "{taskDefinition: taskDefinition}",
                "bind": {"run": {"$run": "id"}}},
            "undo": [{"nodes": [undo]}]
        }));
        let arn = output(&id, "taskDefinition.taskDefinitionArn");
        self.node(json!({
            "id": undo, "component": name, "phase": "undo", "summary": "deregister the revision",
            "action": {"call": call("ecs", "DeregisterTaskDefinition", json!({"taskDefinition": arn}))},
            "unguarded": "this run registered it",
            "probe": {
                "read": call("ecs", "DescribeTaskDefinition", json!({"taskDefinition": arn})),
                "applied": "taskDefinition.status == 'INACTIVE'", "answer": "{taskDefinition: taskDefinition}"}
        }));
        self.undo(&id, &undo);
        id
    }

    fn deployed(&mut self, name: &str, change: &str) {
        let id = format!("{name}.service.deployed");
        let service = format!("shop_{name}");
        self.node(json!({
            "id": id, "component": name, "phase": "deploy", "summary": "wait for the deployment",
            "action": {"wait": {
                "reads": [
                    call("ecs", "DescribeServices", json!({"cluster": "default", "services": [service]})),
                    call("ecs", "DescribeTaskDefinition", json!({"taskDefinition": output("@0", "services[0].taskDefinition")}))],
                "until": "[0].services[0].deployments[?id==$deployment].rolloutState | [0] == 'COMPLETED'",
                "fail": [{"when": "[0].services[0].deployments[?id==$deployment].rolloutState | [0] == 'FAILED'", "reason": "the deployment failed"}],
                "progress": "[0].services[0].deployments[?id==$deployment].runningCount | [0]",
                "noProgress": 600, "overall": 1800, "hold": 60, "interval": 10,
                "bind": {"deployment": output(change, "service.deployments[0].id")},
                "evidence": [{
                    "title": "stopped tasks",
                    "reads": [
                        call("ecs", "ListTasks", json!({"cluster": "default", "serviceName": service, "desiredStatus": "STOPPED"})),
                        call("ecs", "DescribeTasks", json!({"cluster": "default", "tasks": output("@0", "taskArns")}))],
                    "lines": "[1].tasks[].stoppedReason"}]}}
        }));
        self.after(change, &id);
        self.last.push(id);
    }

    /// A wait on the way back.
    fn settled(&mut self, id: &str, name: &str, until: &str) {
        self.node(json!({
            "id": id, "component": name, "phase": "undo", "summary": "wait until it is so",
            "action": {"wait": {
                "reads": [call("ecs", "DescribeServices", json!({"cluster": "default", "services": [format!("shop_{name}")]}))],
                "until": until, "noProgress": 600, "overall": 1800, "hold": 0, "interval": 10}}
        }));
    }

    fn update(&mut self, name: &str) {
        self.component(name, Change::Update);
        let register = self.register(name);
        let id = format!("{name}.service.update");
        let [stop, restore, undone] = ["undo.stop", "undo.restore", "undone"].map(|end| format!("{id}.{end}"));
        let service = json!({"cluster": "default", "services": [format!("shop_{name}")]});
        let old = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/default_shop_{name}:41");
        let new = output(&register, "taskDefinition.taskDefinitionArn");
        self.node(json!({
            "id": id, "component": name, "phase": "deploy", "summary": "update the service to the new revision",
            "action": {
                "call": call("ecs", "UpdateService", json!({"cluster": "default", "service": format!("shop_{name}"), "taskDefinition": new})),
                "expect": "length(service.deployments[?status=='PRIMARY']) == `1`"},
            "guards": [
                {"at": "start", "read": call("ecs", "DescribeServices", service.clone()), "holds": {"services[0].taskDefinition": old}},
                {"after": register, "read": call("ecs", "DescribeTaskDefinition", json!({"taskDefinition": new})),
                 "holds": {"taskDefinition.taskDefinitionArn == $td": true}, "bind": {"td": new}}],
            "probe": {
                "read": call("ecs", "DescribeServices", service.clone()),
                "applied": "services[0].taskDefinition == $td", "answer": "{service: services[0]}", "bind": {"td": new}},
            "undo": [
                {"when": {"read": call("ecs", "DescribeServices", service.clone()),
                          "is": "services[0].deployments[?id==$ours].rolloutState | [0] == 'IN_PROGRESS'",
                          "bind": {"ours": output(&id, "service.deployments[0].id")}},
                 "nodes": [stop, undone]},
                {"nodes": [restore, undone]}]
        }));
        self.node(json!({
            "id": stop, "component": name, "phase": "undo", "summary": "have ECS roll the deployment back",
            "action": {"call": call("ecs", "StopServiceDeployment", json!({
                "serviceDeploymentArn": output(&id, "service.deployments[0].id"), "stopType": "ROLLBACK"}))},
            "unguarded": "only a deployment of this run has this id",
            "unprobed": "stopping what is stopped is refused, and the wait behind it tells"
        }));
        self.node(json!({
            "id": restore, "component": name, "phase": "undo", "summary": "update the service to the old revision",
            "action": {"call": call("ecs", "UpdateService", json!({"cluster": "default", "service": format!("shop_{name}"), "taskDefinition": old}))},
            "guards": [{"after": id, "read": call("ecs", "DescribeServices", service.clone()),
                        "holds": {"services[0].taskDefinition": new}}],
            "probe": {"read": call("ecs", "DescribeServices", service), "applied": "services[0].taskDefinition == $td",
                      "answer": "{service: services[0]}", "bind": {"td": old}}
        }));
        self.settled(&undone, name, "[0].services[0].deployments[0].rolloutState == 'COMPLETED'");
        self.after(&register, &id);
        self.undo(&id, &stop);
        self.undo(&id, &restore);
        self.undo_after(&stop, &undone);
        self.undo_after(&restore, &undone);
        self.undo_after(&undone, &format!("{register}.undo"));
        self.deployed(name, &id);
        let tidy = format!("{name}.task-definition.deregister.38");
        let oldest = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/default_shop_{name}:38");
        self.node(json!({
            "id": tidy, "component": name, "phase": "finalize", "summary": "deregister an old revision",
            "action": {"call": call("ecs", "DeregisterTaskDefinition", json!({"taskDefinition": oldest}))},
            "unguarded": "deregistering what is deregistered changes nothing",
            "probe": {"read": call("ecs", "DescribeTaskDefinition", json!({"taskDefinition": oldest})),
                      "applied": "taskDefinition.status == 'INACTIVE'", "answer": "{taskDefinition: taskDefinition}"}
        }));
        self.tidy.push(tidy);
    }

    fn create(&mut self, name: &str) {
        self.component(name, Change::Create);
        let register = self.register(name);
        let id = format!("{name}.service.create");
        let [undo, undone] = ["undo", "undone"].map(|end| format!("{id}.{end}"));
        let service = json!({"cluster": "default", "services": [format!("shop_{name}")]});
        self.node(json!({
            "id": id, "component": name, "phase": "deploy", "summary": "create the service",
            "action": {"call": call("ecs", "CreateService", json!({
                "cluster": "default", "serviceName": format!("shop_{name}"), "desiredCount": 2, "clientToken": {"$run": "token"},
                "taskDefinition": output(&register, "taskDefinition.taskDefinitionArn")}))},
            "guards": [{"at": "start", "read": call("ecs", "DescribeServices", service.clone()), "holds": {"services[?status!='INACTIVE']": []}}],
            "unprobed": "the client token makes a repetition harmless",
            "undo": [{"nodes": [undo, undone]}]
        }));
        self.node(json!({
            "id": undo, "component": name, "phase": "undo", "summary": "delete the service",
            "action": {"call": call("ecs", "DeleteService", json!({"cluster": "default", "service": format!("shop_{name}"), "force": true}))},
            "unguarded": "this run created it, and it was not there before",
            "probe": {"read": call("ecs", "DescribeServices", service), "applied": "services[0].status != 'ACTIVE'", "answer": "{service: services[0]}"}
        }));
        self.settled(&undone, name, "[0].services[0].status == 'INACTIVE'");
        self.after(&register, &id);
        self.undo(&id, &undo);
        self.undo_after(&undo, &undone);
        self.undo_after(&undone, &format!("{register}.undo"));
        self.deployed(name, &id);
    }

    /// Drains instances by chunks and takes them back in at the end.
    fn drain(&mut self, name: &str) {
        self.component(name, Change::Update);
        let [list, drain, activate] = ["list", "drain", "activate"].map(|end| format!("{name}.instances.{end}"));
        self.node(json!({
            "id": list, "component": name, "phase": "deploy", "summary": "list the instances",
            "action": {"read": call("ecs", "ListContainerInstances", json!({"cluster": "default"}))}
        }));
        let arns = output(&list, "containerInstanceArns");
        for (id, to, back) in [(&drain, "DRAINING", "ACTIVE"), (&activate, "ACTIVE", "DRAINING")] {
            let undo = format!("{id}.undo");
            let state = |status: &str| {
                call(
                    "ecs",
                    "UpdateContainerInstancesState",
                    json!({
                    "cluster": "default", "containerInstances": output("@each", "@"), "status": status}),
                )
            };
            let probe = |status: &str| {
                json!({"read": call("ecs", "DescribeContainerInstances", json!({"cluster": "default", "containerInstances": output("@each", "@")})),
                       "applied": "!(containerInstances[?status!=$status])", "answer": "{containerInstances: containerInstances}",
                       "bind": {"status": status}})
            };
            self.node(json!({
                "id": id, "component": name, "phase": "deploy", "summary": "change the state of the instances",
                "each": {"over": arns, "chunk": 10, "max": 100},
                "action": {"call": state(to), "expect": "length(failures) == `0`"},
                "guards": [{"after": list,
                            "read": call("ecs", "DescribeContainerInstances", json!({"cluster": "default", "containerInstances": arns})),
                            "holds": {"length(failures)": 0}}],
                "probe": probe(to), "undo": [{"nodes": [undo]}]
            }));
            self.node(json!({
                "id": undo, "component": name, "phase": "undo", "summary": "change the state back",
                "action": {"call": state(back)}, "probe": probe(back),
                "unguarded": "only instances that this run changed are changed back"
            }));
            self.after(&list, id);
            self.undo(id, &undo);
        }
        let obligation = json!({"what": "instances are drained", "forward": activate, "back": format!("{drain}.undo")});
        let drained = self.nodes.iter_mut().find(|node| node.id == drain).expect("the node");
        drained.obligation = serde_json::from_value(obligation).expect("an obligation");
        self.after(&drain, &activate);
        self.undo_after(&format!("{activate}.undo"), &format!("{drain}.undo"));
        self.last.push(activate);
    }

    fn commit(&mut self) {
        self.node(json!({"id": "commit", "phase": "deploy", "summary": "the new state is reached", "action": {"commit": "every service runs its new revision"}}));
        for id in std::mem::take(&mut self.last) {
            self.after(&id, "commit");
        }
        for id in std::mem::take(&mut self.tidy) {
            self.after("commit", &id);
        }
    }

    fn plan(self) -> Plan {
        Plan {
            format: 1,
            compiler: Some("belayc 0.1.0".into()),
            project: "shop".into(),
            mode: Mode::Deploy,
            target: Target {
                partition: "aws".into(),
                account: Some("123456789012".into()),
                region: Some("us-east-1".into()),
                cluster: Some("default".into()),
            },
            inputs: Inputs { model: "sha256:00".into(), environment: "sha256:01".into(), observed: None },
            components: self.components,
            notices: Vec::new(),
            only: Vec::new(),
            nodes: self.nodes,
            edges: self.edges,
            digest: String::new(),
        }
        .seal()
    }
}

/// The node of that id, to be changed.
pub fn node<'p>(plan: &'p mut Plan, id: &str) -> &'p mut Node {
    plan.nodes.iter_mut().find(|node| node.id == id).unwrap_or_else(|| panic!("no node {id}"))
}

/// The input of a node's call or read.
pub fn input<'p>(plan: &'p mut Plan, id: &str) -> &'p mut Value {
    match &mut node(plan, id).action {
        Action::Call { call, .. } | Action::Read { read: call, .. } => &mut call.input,
        other => panic!("{id} is a {}", other.kind()),
    }
}

/// A node's wait.
pub fn wait<'p>(plan: &'p mut Plan, id: &str) -> &'p mut Wait {
    match &mut node(plan, id).action {
        Action::Wait { wait } => wait,
        other => panic!("{id} is a {}", other.kind()),
    }
}

/// Adds a node given as JSON.
pub fn add(plan: &mut Plan, node: Value) {
    plan.nodes.push(serde_json::from_value(node).expect("a node"));
}

/// Adds an edge.
pub fn join(plan: &mut Plan, from: &str, to: &str, kind: EdgeKind) {
    plan.edges.push(Edge { from: from.into(), to: to.into(), kind });
}

/// Takes an edge away, which must be there.
pub fn cut(plan: &mut Plan, from: &str, to: &str) {
    let before = plan.edges.len();
    plan.edges.retain(|edge| edge.from != from || edge.to != to);
    assert_eq!(plan.edges.len(), before - 1, "one edge from {from} to {to}");
}

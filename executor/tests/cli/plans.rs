//! Small plans over the default account: one service, created.

use belay_schemas::plan::Plan;
use serde_json::{Value, json};

fn describe() -> Value {
    json!({"service": "ecs", "operation": "DescribeServices",
           "input": {"cluster": "default", "services": ["shop_web"], "include": ["TAGS"]}})
}

fn edge(from: &str, to: &str, kind: &str) -> Value {
    json!({"from": from, "to": to, "kind": kind})
}

/// A plan that creates service `shop_web` from an image, as JSON that may still be changed.
pub fn create_json(image: &str) -> Value {
    let run = json!({"run": {"$run": "id"}});
    let ours = "belay:run";
    let tags = json!([{"key": "belay:project", "value": "shop"}, {"key": ours, "value": {"$run": "id"}}]);
    let definition = json!({"$output": "web.task-definition.register", "path": "taskDefinition.taskDefinitionArn"});
    let family = json!({"taskDefinition": "default_shop_web", "include": ["TAGS"]});
    let stopped = json!([{"service": "ecs", "operation": "ListTasks",
                          "input": {"cluster": "default", "serviceName": "shop_web", "desiredStatus": "STOPPED"}},
                         {"service": "ecs", "operation": "DescribeTasks",
                          "input": {"cluster": "default", "tasks": {"$output": "@0", "path": "taskArns"}}}]);
    json!({
        "format": 1, "project": "shop", "mode": "deploy", "digest": "",
        "target": {"partition": "aws", "account": "123456789012", "region": "us-east-1", "cluster": "default"},
        "inputs": {"model": format!("sha256:{:064}", 1), "environment": format!("sha256:{:064}", 2)},
        "components": {"web": {"change": "create", "floor": 0}},
        "nodes": [
            {"id": "web.task-definition.register", "component": "web", "phase": "deploy",
             "summary": "register a revision of default_shop_web",
             "action": {"call": {"service": "ecs", "operation": "RegisterTaskDefinition", "input": {
                 "family": "default_shop_web", "tags": tags,
                 "containerDefinitions": [{"name": "web", "image": image, "memory": 128, "essential": true}]}}},
             "unguarded": "a new revision changes nothing that runs",
             "probe": {"read": {"service": "ecs", "operation": "DescribeTaskDefinition", "input": family},
                       "applied": "tags[?key=='belay:run'].value | [0] == $run",
                       "answer": "{taskDefinition: taskDefinition, tags: tags}", "bind": run},
             "undo": [{"nodes": ["web.task-definition.register.undo"]}]},
            {"id": "web.task-definition.register.undo", "component": "web", "phase": "undo",
             "summary": "deregister that revision",
             "action": {"call": {"service": "ecs", "operation": "DeregisterTaskDefinition",
                                 "input": {"taskDefinition": definition}}},
             "unguarded": "this run registered it",
             "probe": {"read": {"service": "ecs", "operation": "DescribeTaskDefinition", "input": {"taskDefinition": definition}},
                       "applied": "taskDefinition.status == 'INACTIVE'", "answer": "{taskDefinition: taskDefinition}"}},
            {"id": "web.service.create", "component": "web", "phase": "deploy", "summary": "create service shop_web",
             "action": {"call": {"service": "ecs", "operation": "CreateService", "input": {
                 "cluster": "default", "serviceName": "shop_web", "taskDefinition": definition, "desiredCount": 2,
                 "launchType": "EC2", "clientToken": {"$run": "token"}, "tags": tags,
                 "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}}},
             "guards": [{"at": "start", "read": describe(), "holds": {"length(services[?status != 'INACTIVE'])": 0}}],
             "probe": {"read": describe(), "applied": "services[0].tags[?key=='belay:run'].value | [0] == $run",
                       "answer": "{service: services[0]}", "bind": run},
             "undo": [{"nodes": ["web.service.create.undo", "web.service.create.undone"]}]},
            {"id": "web.service.create.undo", "component": "web", "phase": "undo", "summary": "delete service shop_web",
             "action": {"call": {"service": "ecs", "operation": "DeleteService",
                                 "input": {"cluster": "default", "service": "shop_web", "force": true}}},
             "unguarded": "this run created it",
             "probe": {"read": describe(), "applied": "services[0].status != 'ACTIVE'", "answer": "{service: services[0]}"}},
            {"id": "web.service.create.undone", "component": "web", "phase": "undo",
             "summary": "wait until shop_web is gone",
             "action": {"wait": {"reads": [describe()], "until": "length([0].services[?status != 'INACTIVE']) == `0`",
                                 "progress": "[0].services[0].runningCount", "noProgress": 300, "overall": 900, "interval": 5}}},
            {"id": "web.service.deployed", "component": "web", "phase": "deploy",
             "summary": "wait until the deployment of shop_web is done",
             "action": {"wait": {"reads": [describe()], "until": "[0].services[0].deployments[0].rolloutState == 'COMPLETED'",
                 "fail": [{"when": "[0].services[0].deployments[0].rolloutState == 'FAILED'", "reason": "the deployment failed"}],
                 "progress": "[0].services[0].{running: runningCount, pending: pendingCount, failed: deployments[0].failedTasks}",
                 "noProgress": 300, "overall": 900, "interval": 5,
                 "evidence": [{"title": "service events", "reads": [describe()], "lines": "[0].services[0].events[:3].message"},
                              {"title": "stopped tasks", "reads": stopped, "lines": "[1].tasks[:2].stoppedReason"}]}}},
            {"id": "commit", "phase": "deploy", "summary": "commit", "action": {"commit": "shop runs as planned"}},
        ],
        "edges": [
            edge("web.service.create", "web.service.create.undo", "undo"),
            edge("web.service.create", "web.service.create.undone", "undo"),
            edge("web.service.create", "web.service.deployed", "after"),
            edge("web.service.create.undo", "web.service.create.undone", "undo-after"),
            edge("web.service.create.undone", "web.task-definition.register.undo", "undo-after"),
            edge("web.service.deployed", "commit", "after"),
            edge("web.task-definition.register", "web.service.create", "after"),
            edge("web.task-definition.register", "web.task-definition.register.undo", "undo"),
        ],
    })
}

/// The bytes of a plan file, with the true digest.
pub fn sealed(plan: Value) -> String {
    serde_json::from_value::<Plan>(plan).unwrap().seal().to_json()
}

/// A plan that creates service `shop_web` from an image.
pub fn create(image: &str) -> String {
    sealed(create_json(image))
}

/// The same with a question before the service is created.
pub fn gated(image: &str) -> String {
    let mut plan = create_json(image);
    let gate = json!({"id": "web.gate", "component": "web", "phase": "deploy", "summary": "ask", "action": {"gate": {"text": "Are you ready?"}}});
    plan["nodes"].as_array_mut().unwrap().push(gate);
    let edges = plan["edges"].as_array_mut().unwrap();
    edges.push(edge("web.task-definition.register", "web.gate", "after"));
    edges.push(edge("web.gate", "web.service.create", "after"));
    sealed(plan)
}

/// A plan without steps.
pub fn empty() -> String {
    let mut plan = create_json("nginx:1");
    plan["nodes"] = json!([]);
    plan["edges"] = json!([]);
    sealed(plan)
}

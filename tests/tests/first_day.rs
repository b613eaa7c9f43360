//! The first day: services that somebody made by hand become a model, compiling it plans nothing but taking them over, and
//! from then on they are the project's. With the real programs, on a simulated AWS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Output;

use belay_executor::cloud::{Clock as _, Cloud as _};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::checker;
use belay_schemas::plan::{Phase, Plan};
use belay_tests::binaries::program;
use belay_tests::fixtures::read;
use belay_tests::pipeline::block_on;
use serde_json::{Value, json};
use tempfile::TempDir;

const WORLD: [&str; 2] = ["--simulated", "world.json"];

/// Services as somebody makes them by hand: nothing of Belay's, and not only defaults.
fn made_by_hand(path: &Path) {
    let world = SimulatedCloud::new(World::default_account());
    let call = |service: &str, operation: &str, input: Value| {
        block_on(world.call(service, operation, &input)).unwrap_or_else(|error| panic!("{operation}: {error}"))
    };
    let groups = call("elbv2", "DescribeTargetGroups", json!({}));
    let group = |name: &str| {
        let all = groups["TargetGroups"].as_array().unwrap().iter();
        all.clone().find(|g| g["TargetGroupName"] == name).unwrap_or_else(|| panic!("{groups}"))["TargetGroupArn"]
            .clone()
    };
    let register = |family: &str, containers: Value, more: Value| {
        let mut input = json!({"family": family, "containerDefinitions": containers});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call("ecs", "RegisterTaskDefinition", input);
    };
    register(
        "web",
        json!([
            {"name": "web", "image": "shop/web:2.3.1", "cpu": 128, "memory": 256, "stopTimeout": 45,
             "portMappings": [{"containerPort": 8000}], "command": ["--workers", "4"], "dockerLabels": {"team": "shop"},
             "environment": [{"name": "GREETING", "value": "hello ${name}"}, {"name": "EMPTY", "value": ""}],
             "entryPoint": ["/bin/web"], "user": "1000:1000", "dependsOn": [{"containerName": "log-router", "condition": "START"}],
             "healthCheck": {"command": ["CMD-SHELL", "wget -q localhost:8000"]},
             "mountPoints": [{"sourceVolume": "logs", "containerPath": "/var/log/web"}],
             "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}]},
            {"name": "log-router", "image": "fluent/fluent-bit:3.1", "memoryReservation": 32, "essential": false,
             "environment": [{"name": "LEVEL", "value": "info"}], "readonlyRootFilesystem": true},
        ]),
        json!({"taskRoleArn": "arn:aws:iam::123456789012:role/web", "volumes": [{"name": "logs", "host": {"sourcePath": "/var/log/web"}}]}),
    );
    register(
        "worker",
        json!([{"name": "worker", "image": "shop/worker:5", "memory": 128,
        "healthCheck": {"command": ["CMD", "true"], "interval": 10}, "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}]}]),
        json!({}),
    );
    register(
        "report",
        json!([{"name": "app", "image": "shop/report:1", "memory": 64,
        "environment": [{"name": "DB_PASSWORD", "value": "hunter2-hunter2"}]},
        {"name": "watcher", "image": "shop/watcher:1", "memory": 32, "links": ["app", "app:db"],
         "dependsOn": [{"containerName": "app", "condition": "START"}], "volumesFrom": [{"sourceContainer": "app"}]}]),
        json!({}),
    );
    call(
        "ecs",
        "CreateService",
        json!({
        "serviceName": "shop_web", "taskDefinition": "web", "desiredCount": 2, "healthCheckGracePeriodSeconds": 90,
        "loadBalancers": [{"targetGroupArn": group("shop-web"), "containerName": "web", "containerPort": 8000}],
        "deploymentConfiguration": {"maximumPercent": 150, "minimumHealthyPercent": 50},
        "tags": [{"key": "team", "value": "shop"}]}),
    );
    call(
        "ecs",
        "CreateService",
        json!({
        "serviceName": "shop_worker", "taskDefinition": "worker", "desiredCount": 1, "enableExecuteCommand": true,
        "placementStrategy": [{"type": "binpack", "field": "memory"}]}),
    );
    call("ecs", "CreateService", json!({"serviceName": "shop_report", "taskDefinition": "report", "desiredCount": 1}));
    block_on(world.wait_until(world.now() + 600_000));
    let file = SimulatedCloud::open(path, 0.0).unwrap();
    file.with_world(|inside| *inside = world.world());
    file.keep().unwrap();
}

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        made_by_hand(&desk.0.path().join("world.json"));
        desk
    }

    fn run(&self, name: &str, arguments: &str, more: &[&str], code: i32) -> String {
        let mut command = program(name, self.0.path());
        let output: Output = command.args(arguments.split(' ')).args(more).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{name} {arguments}: {said}");
        said
    }

    fn plan(&self, inputs: &str) -> Plan {
        let scope = self.run("belayc", &format!("scope {inputs} -o scope.json"), &[], 0);
        assert_eq!(scope, "");
        self.run("belay", "observe scope.json -o observed.json", &WORLD, 0);
        self.run("belayc", &format!("compile {inputs} --observed observed.json -o plan.json"), &[], 0);
        checker::load(&read(&self.0.path().join("plan.json"))).unwrap()
    }

    fn file(&self, name: &str) -> String {
        read(&self.0.path().join(name))
    }
}

fn operations(plan: &Plan, phase: Phase) -> Vec<(&str, &str)> {
    let nodes = plan.nodes.iter().filter(|node| node.phase == phase);
    nodes.filter_map(|n| Some((n.id.as_str(), n.action.mutation()?.operation.as_str()))).collect()
}

#[test]
fn services_made_by_hand_become_a_model_and_are_taken_over_and_given_back() {
    let desk = Desk::new();
    let scope = desk.run("belayc", "init -p shop web worker", &[], 0);
    fs::write(desk.0.path().join("scope.json"), scope).unwrap();
    desk.run("belay", "observe scope.json -o observed.json", &WORLD, 0);
    let said = desk.run("belayc", "init --observed observed.json -o shop", &[], 0);
    insta::assert_snapshot!(
        "init",
        format!("{said}\n{}---\n{}", desk.file("shop/model.yaml"), desk.file("shop/prod.yaml"))
    );
    // What is there is never overwritten.
    desk.run("belayc", "init --observed observed.json -o shop", &[], 2);

    let inputs = "-p shop -m shop/model.yaml -e shop/prod.yaml";
    let plan = desk.plan(&format!("{inputs} --adopt web --adopt worker"));
    let taken = [("web.service.tag", "TagResource"), ("worker.service.tag", "TagResource")];
    assert_eq!(operations(&plan, Phase::Deploy), taken, "nothing is changed but whose they are");
    assert_eq!(operations(&plan, Phase::Finalize), []);
    let node = plan.node("web.service.tag").unwrap();
    assert_eq!(node.summary, "take service shop_web over: tag it belay:project, belay:component");
    let before = desk.file("world.json");
    desk.run("belay", "apply plan.json", &WORLD, 0);
    // From here on they are the project's: nothing is left to do, with or without asking for it again.
    assert_eq!(desk.plan(inputs).nodes, []);
    let again = desk.run("belayc", &format!("scope {inputs} --adopt web -o scope.json"), &[], 0);
    assert_eq!(again, "");
    // And they are given back.
    desk.run("belay", "rollback", &[], 0);
    let services = |world: &str| serde_json::from_str::<Value>(world).unwrap()["services"].clone();
    let tags = |services: &Value| {
        let tags = services.as_object().unwrap().iter().map(|(name, s)| (name.clone(), s["tags"].clone()));
        tags.collect::<Vec<_>>()
    };
    assert_eq!(tags(&services(&desk.file("world.json"))), tags(&services(&before)));
}

#[test]
fn what_a_model_cannot_say_is_said() {
    let desk = Desk::new();
    let scope = desk.run("belayc", "init -p shop report ghost", &[], 0);
    fs::write(desk.0.path().join("scope.json"), scope).unwrap();
    desk.run("belay", "observe scope.json -o observed.json", &WORLD, 0);
    let said = desk.run("belayc", "init --observed observed.json", &[], 0);
    insta::assert_snapshot!("init_notes", said);
    assert!(!desk.file("model.yaml").contains("hunter2"), "a value that looks like a secret is written");
    // Whatever names the container that Belay names otherwise names it so.
    let plan = desk.plan("-p shop -m model.yaml -e prod.yaml --adopt report");
    let registered = plan.node("report.task-definition.register").and_then(|node| node.action.mutation()).unwrap();
    let containers = registered.input["containerDefinitions"].as_array().unwrap();
    let names: Vec<&Value> = containers.iter().map(|container| &container["name"]).collect();
    assert_eq!(names, ["report", "watcher"]);
    let watcher = &containers[1];
    assert_eq!(watcher["links"], json!(["report:app", "report:db"]));
    assert_eq!(watcher["dependsOn"][0]["containerName"], "report");
    assert_eq!(watcher["volumesFrom"][0]["sourceContainer"], "report");
}

#[test]
fn a_namesake_is_an_error_unless_it_is_taken_over_on_purpose() {
    let desk = Desk::new();
    let model = "components: {worker: {image: \"shop/worker:6\", plugin: {ec2-ecs: {mem: 128}}}}\n";
    fs::write(desk.0.path().join("model.yaml"), model).unwrap();
    fs::write(desk.0.path().join("prod.yaml"), "plugin_config: {ec2-ecs: {region: us-east-1}}\n").unwrap();
    let inputs = "-p shop -m model.yaml -e prod.yaml";
    desk.run("belayc", &format!("scope {inputs} -o scope.json"), &[], 0);
    desk.run("belay", "observe scope.json -o observed.json", &WORLD, 0);
    let refused = desk.run("belayc", &format!("compile {inputs} --observed observed.json"), &[], 1);
    assert!(refused.contains("error[B501]") && refused.contains("--adopt worker"), "{refused}");
    // Its environment was hashed when it was observed as somebody else's.
    let refused = desk.run("belayc", &format!("compile {inputs} --adopt worker --observed observed.json"), &[], 1);
    assert!(refused.contains("error[B505]"), "{refused}");
    // Taken over and updated at once: what brings it back brings back what was there before.
    let plan = desk.plan(&format!("{inputs} --adopt worker"));
    let forward: Vec<&str> = operations(&plan, Phase::Deploy).iter().map(|(id, _)| *id).collect();
    assert!(forward.contains(&"worker.service.tag") && forward.contains(&"worker.service.update"), "{forward:?}");
    desk.run("belay", "apply plan.json", &WORLD, 0);
    desk.run("belay", "rollback", &[], 0);
}

#[test]
fn only_some_components_and_live() {
    let desk = Desk::new();
    let scope = desk.run("belayc", "init -p shop web worker", &[], 0);
    fs::write(desk.0.path().join("scope.json"), scope).unwrap();
    desk.run("belay", "observe scope.json -o observed.json", &WORLD, 0);
    desk.run("belayc", "init --observed observed.json", &[], 0);
    let inputs = "-p shop -m model.yaml -e prod.yaml --adopt web --adopt worker";
    let live = "--live --observe-option=--simulated=world.json";
    let all = desk.run("belayc", &format!("compile {inputs} {live} -o all.json"), &[], 0);
    assert!(all.contains("web") && all.contains("worker"), "{all}");
    desk.run("belayc", &format!("compile {inputs} {live} --only worker -o some.json"), &[], 0);
    let plan = checker::load(&desk.file("some.json")).unwrap();
    assert_eq!(operations(&plan, Phase::Deploy), [("worker.service.tag", "TagResource")]);
}

//! How single settings come out as API inputs.

use belay_schemas::plan::Action;
use serde_json::{Value, json};

use crate::listing::{compiled, inputs, shown};
use crate::support::{ENVIRONMENT, FRONT, Input, World, env, group_arn, raw_service, raw_task, web, web_with};

fn input(model: &str, environment: &str) -> Input {
    Input::new(model, environment).world(World::new())
}

fn task(input: &Input) -> Value {
    inputs(&compiled(input), "RegisterTaskDefinition").remove(0)
}

fn service(input: &Input) -> Value {
    inputs(&compiled(input), "CreateService").remove(0)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

#[test]
fn volumes() {
    let model = web(
        "volumes:\n  scratch: {path: /tmp/scratch}\n  logs: {path: /var/log, read_only: true}\n  data: {path: /data}\n  nothing: {path: /nothing}",
    );
    let environment =
        env("volumes:\n  scratch: {}\n  nothing:\n  logs: {from: /srv/logs}\n  data: {from: shop-data}\n  unused: {}");
    let task = task(&input(&model, &environment));
    let main = &task["containerDefinitions"][0]["mountPoints"];
    shown("volumes", &format!("{}\n{}", pretty(&task["volumes"]), pretty(main)));
}

#[test]
fn variables_are_kept_as_they_are_written() {
    let model = web(
        "env: {A: 1.10, B: true, C: 0x10, D: 007, E: 1e3, F: \"\", G: text, H: 2026-11-20}\nlabels: {tier: 1.0, on: yes}",
    );
    let main = &task(&input(&model, ENVIRONMENT))["containerDefinitions"][0];
    assert_eq!(
        main["environment"],
        json!([
            {"name": "A", "value": "1.10"}, {"name": "B", "value": "true"}, {"name": "C", "value": "0x10"},
            {"name": "D", "value": "007"}, {"name": "E", "value": "1e3"}, {"name": "F", "value": ""},
            {"name": "G", "value": "text"}, {"name": "H", "value": "2026-11-20"}
        ])
    );
    assert_eq!(main["dockerLabels"], json!({"tier": "1.0", "on": "yes"}));
}

#[test]
fn arguments_of_the_plugin_win_over_the_components() {
    let both = web_with("mem: 128, command: [/bin/serve], args: [--port, 80]", "args: [--quiet]");
    let main = &task(&input(&both, ENVIRONMENT))["containerDefinitions"][0];
    assert_eq!((&main["entryPoint"], &main["command"]), (&json!(["/bin/serve"]), &json!(["--port", "80"])));
    let main = &task(&input(&web("args: [--quiet, 1.50]"), ENVIRONMENT))["containerDefinitions"][0];
    assert_eq!((main.get("entryPoint"), &main["command"]), (None, &json!(["--quiet", "1.50"])));
    let none = web_with("mem: 128, args: []", "args: [--quiet]");
    assert_eq!(task(&input(&none, ENVIRONMENT))["containerDefinitions"][0].get("command"), None);
}

#[test]
fn raw_blocks_win_everywhere() {
    let model = "components:
  web:
    image: nginx:1.27
    replicas: 2
    provides: {ports: [80]}
    env: {A: from-env}
    containers:
      side:
        image: side:1
        mem: 64
        cpu: 10
        raw: {cpu: 20, user: nobody, ulimits: [{name: nofile, softLimit: 1, hardLimit: 2}]}
    plugin:
      ec2-ecs:
        mem: 128
        cpu: 10
        role: from-role
        network_mode: bridge
        raw:
          task_definition:
            taskRoleArn: arn:aws:iam::123456789012:role/from-raw
            cpu: 1 vCPU
            tags: [{key: team, value: web}]
            containerDefinitions:
              cpu: 15
              stopTimeout: 10
              linuxParameters: {initProcessEnabled: true}
              environment: [{name: B, value: from-raw}]
          service:
            desiredCount: 3
            deploymentConfiguration: {minimumHealthyPercent: 50}
            propagateTags: SERVICE
            tags: [{key: team, value: web}]
"
    .to_owned()
        + FRONT
        + "    plugin: {ec2-ecs: {raw: {containerPort: 80}}}\n";
    let input = Input::new(&model, &env("lb: {front: front}")).world(World::new().group("front", "instance"));
    let plan = compiled(&input);
    let task = inputs(&plan, "RegisterTaskDefinition").remove(0);
    let service = inputs(&plan, "CreateService").remove(0);
    shown("raw-blocks", &format!("{}\n{}", pretty(&task), pretty(&service)));
}

#[test]
fn waits_look_as_often_as_the_environment_says() {
    let intervals = |environment: &str| {
        let plan = compiled(&input(&web(""), environment));
        let waits = plan.nodes.iter().filter_map(|node| match &node.action {
            Action::Wait { wait } => Some(wait.interval),
            _ => None,
        });
        waits.collect::<Vec<u64>>()
    };
    let usual = intervals(ENVIRONMENT);
    assert!(!usual.is_empty() && usual.iter().all(|seconds| *seconds == 5), "{usual:?}");
    let often = intervals(&env("poll_interval: 2"));
    assert_eq!(often, vec![2; usual.len()]);
}

#[test]
fn a_singleton_stops_before_it_starts() {
    let service = service(&input(&web("singleton: true"), ENVIRONMENT));
    assert_eq!(service["desiredCount"], 1);
    assert_eq!(service["deploymentConfiguration"]["maximumPercent"], 100);
    assert_eq!(service["deploymentConfiguration"]["minimumHealthyPercent"], 0);
    assert_eq!(service["availabilityZoneRebalancing"], "DISABLED");
}

#[test]
fn no_replicas_disable_a_component() {
    assert_eq!(service(&input(&web("replicas: 0"), ENVIRONMENT))["desiredCount"], 0);
}

#[test]
fn a_daemon_has_no_number() {
    let made = service(&input(&raw_service("schedulingStrategy: DAEMON"), ENVIRONMENT));
    assert_eq!(made.get("desiredCount"), None);
    assert_eq!(made["deploymentConfiguration"]["maximumPercent"], 100);
    assert_eq!(made["deploymentConfiguration"]["minimumHealthyPercent"], 0);
    let half = "schedulingStrategy: DAEMON\ndeploymentConfiguration: {minimumHealthyPercent: 50}";
    let made = service(&input(&raw_service(half), ENVIRONMENT));
    assert_eq!(made["deploymentConfiguration"]["minimumHealthyPercent"], 50);
}

#[test]
fn sidecars() {
    let model = web(
        "volumes: {logs: {path: /var/log}}\ncontainers:\n  router:\n    image: fluent-bit:3.1\n    mem_reserve: 32\n    volumes: {logs: {path: /logs, read_only: true}}\n    depends_on: {web: START}\n    provides: {ports: [2020]}\n  init:\n    image: init:1\n    mem: 16\n    command: [/init]\n    args: [now]\n    env: {A: 1}\n    labels: {b: c}",
    );
    let task = task(&input(&model, &env("volumes: {logs: {}}")));
    shown("sidecars", &pretty(&task["containerDefinitions"]));
}

#[test]
fn platforms_addresses_and_times_are_said_as_the_api_has_them() {
    let model = web_with(
        "launch_type: FARGATE, platform_version: 1.4.0, architecture: ARM64, task_cpu: 256, task_mem: 512, start_timeout: 30, stop_timeout: 20, network: {subnets: [subnet-0a000001], public_ip: true}",
        "",
    );
    let world =
        World::new().with(|w| w.subnets.push(json!({"SubnetId": "subnet-0a000001", "VpcId": "vpc-1", "Tags": []})));
    let input = Input::new(&model, ENVIRONMENT).world(world);
    let task = task(&input);
    assert_eq!(task["runtimePlatform"], json!({"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}));
    let main = &task["containerDefinitions"][0];
    assert_eq!((&main["startTimeout"], &main["stopTimeout"]), (&json!(30), &json!(20)));
    let service = service(&input);
    assert_eq!(service["platformVersion"], "1.4.0");
    let network = &service["networkConfiguration"]["awsvpcConfiguration"];
    assert_eq!((&network["assignPublicIp"], &network["subnets"]), (&json!("ENABLED"), &json!(["subnet-0a000001"])));
}

#[test]
fn a_task_may_have_no_network_at_all() {
    let task = task(&input(&web_with("mem: 128, network_mode: none", ""), ENVIRONMENT));
    assert_eq!(task["networkMode"], "none");
}

#[test]
fn a_role_is_a_name_until_the_account_is_known() {
    let model = web_with("mem: 128, role: reader", "");
    assert_eq!(task(&input(&model, ENVIRONMENT))["taskRoleArn"], "arn:aws:iam::123456789012:role/reader");
    let unknown = Input::new(&model, ENVIRONMENT).plan();
    assert_eq!(inputs(&unknown, "RegisterTaskDefinition")[0]["taskRoleArn"], "reader");
}

#[test]
fn images_are_pinned() {
    let model = web("containers: {side: {image: \"registry.example.com:5000/team/side\", mem: 64}}");
    let outcome = input(&model, ENVIRONMENT).compile();
    assert_eq!(outcome.codes, ["B419"]);
    let task = inputs(&outcome.plan.expect("a plan"), "RegisterTaskDefinition").remove(0);
    let digest = crate::support::digest;
    assert_eq!(task["containerDefinitions"][0]["image"], format!("nginx@{}", digest("nginx:1.27")));
    assert_eq!(
        task["containerDefinitions"][1]["image"],
        format!("registry.example.com:5000/team/side@{}", digest("registry.example.com:5000/team/side"))
    );
}

#[test]
fn later_environments_win_and_types_are_kept() {
    let model = "components:
  web:
    image: nginx:${tag}
    replicas: ${n}
    provides: {ports: [\"${port}\"]}
    env: {<<: &common {LEVEL: info, ZONE: \"${zone-local}\"}, LEVEL: \"${level:-debug}\", N: \"${n}\"}
    plugin:
      ec2-ecs: {mem: \"${{ n * 64 }}\", raw: {service: {enableExecuteCommand: \"${exec}\"}}}
  back:
    image: back:1
    env: *common
    plugin: {ec2-ecs: {mem: 64}}
";
    let mut input = input(model, "vars: {tag: \"1.10\", n: 3, port: 80, level: \"\", exec: false}\n");
    input.environments.push(
        "vars: {n: 2, exec: true}\nplugin_config: {ec2-ecs: {region: us-east-1, timeout: 90, update_monitor: 30}}\n"
            .to_owned(),
    );
    let plan = compiled(&input);
    let task = &inputs(&plan, "RegisterTaskDefinition")[1];
    let service = &inputs(&plan, "CreateService")[1];
    shown(
        "variables",
        &format!(
            "{}\n{}\n{}",
            pretty(&task["containerDefinitions"]),
            pretty(service),
            pretty(&inputs(&plan, "RegisterTaskDefinition")[0]["containerDefinitions"][0]["environment"])
        ),
    );
}

#[test]
fn availability_zones_are_balanced_only_where_aws_can() {
    let balanced =
        |block: &str| service(&input(&raw_service(block), ENVIRONMENT))["availabilityZoneRebalancing"] == "ENABLED";
    assert!(balanced("desiredCount: 2"));
    assert!(balanced("placementStrategy: [{type: spread, field: \"attribute:ecs.availability-zone\"}]"));
    assert!(!balanced("placementStrategy: [{type: binpack, field: cpu}]"));
    assert!(!balanced("desiredCount: 2\ndeploymentConfiguration: {minimumHealthyPercent: 50, maximumPercent: 100}"));
    assert!(!balanced("availabilityZoneRebalancing: DISABLED"));
    assert!(!balanced("schedulingStrategy: DAEMON"));
}

#[test]
fn a_raw_block_may_replace_a_list() {
    let model = raw_task("containerDefinitions:\n  portMappings: [{containerPort: 80, name: http, appProtocol: http}]");
    let main = &task(&input(&model, ENVIRONMENT))["containerDefinitions"][0];
    assert_eq!(main["portMappings"], json!([{"containerPort": 80, "name": "http", "appProtocol": "http"}]));
}

/// `web` behind `front`, whose traffic a rule that somebody else made can switch to `green`, deployed like this.
fn switched(deployment: &str) -> Input {
    const RULE: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/main/0123456789abcdef/0123456789abcdef/0123456789abcdef";
    let model = web_with(&format!("mem: 128, deployment: {{{deployment}}}"), "provides: {ports: [80]}") + FRONT;
    let environment =
        env(&format!("lb: {{front: {{name: front, switch: {{to: green, rule: \"{RULE}\", role: ecs}}}}}}"));
    let mut world = World::new().group("front", "instance").group("green", "instance");
    let (listener, _) = RULE
        .replace("listener-rule", "listener")
        .rsplit_once('/')
        .map(|(l, r)| (l.to_owned(), r.len()))
        .expect("an ARN");
    let forward = json!({"Type": "forward", "TargetGroupArn": group_arn("front")});
    world.rules.insert(
        listener,
        vec![json!({"RuleArn": RULE, "Priority": "10", "IsDefault": false, "Conditions": [], "Actions": [forward], "Tags": []})],
    );
    Input::new(&model, &environment).world(world)
}

#[test]
fn every_number_of_a_shift_is_said() {
    for (said, strategy, more) in [
        ("strategy: blue-green, bake: 5", "BLUE_GREEN", json!({"bakeTimeInMinutes": 5})),
        (
            "strategy: linear",
            "LINEAR",
            json!({"bakeTimeInMinutes": 0, "linearConfiguration": {"stepPercent": 10, "stepBakeTimeInMinutes": 6}}),
        ),
        (
            "strategy: canary, step: {percent: 0.5, bake: 3}, bake: 1",
            "CANARY",
            json!({"bakeTimeInMinutes": 1, "canaryConfiguration": {"canaryPercent": 0.5, "canaryBakeTimeInMinutes": 3}}),
        ),
    ] {
        let created = service(&switched(said));
        let configuration = &created["deploymentConfiguration"];
        assert_eq!(configuration["strategy"], strategy);
        for (member, value) in more.as_object().expect("a mapping") {
            assert_eq!(&configuration[member], value, "{said}: {member}");
        }
        let advanced = &created["loadBalancers"][0]["advancedConfiguration"];
        assert_eq!(advanced["alternateTargetGroupArn"], group_arn("green").as_str());
        assert_eq!(advanced["roleArn"], "arn:aws:iam::123456789012:role/ecs");
    }
    // Without such a strategy nothing is switched.
    let created = service(&switched("minimum_healthy_percent: 50"));
    assert!(created["loadBalancers"][0].get("advancedConfiguration").is_none());
    let breaker = |said: &str| {
        let created = service(&switched(&format!("circuit_breaker: {said}")));
        created["deploymentConfiguration"]["deploymentCircuitBreaker"].clone()
    };
    assert_eq!(breaker("false"), json!({"enable": false, "rollback": false}));
    let counted = json!({"enable": true, "rollback": false, "thresholdConfiguration": {"type": "COUNT", "value": 5}});
    assert_eq!(breaker("{failures: 5, rollback: false}"), counted);
    assert_eq!(breaker("{percent: 25}")["thresholdConfiguration"], json!({"type": "BOUNDED_PERCENT", "value": 25}));
}

#[test]
fn a_strategy_comes_and_goes_with_all_that_belongs_to_it() {
    let canary = "strategy: canary, step: {percent: 10, bake: 5}, bake: 5";
    let running = |said: &str| {
        let input = switched(said);
        let world = input.world.clone().expect("a world");
        world.apply(&input.plan())
    };
    // AWS answers percentages with a fraction: that is no change.
    let answered = running(canary).with(|w| {
        let service = w.services.values_mut().next().expect("a service");
        service["deploymentConfiguration"]["canaryConfiguration"]["canaryPercent"] = json!(10.0);
    });
    assert_eq!(switched(canary).world(answered.clone()).plan().nodes, vec![]);
    // What is left out of UpdateService stays: the old way is said.
    let plan = switched("minimum_healthy_percent: 100").world(answered).plan();
    let sent = &inputs(&plan, "UpdateService")[0];
    let configuration = &sent["deploymentConfiguration"];
    assert_eq!((&configuration["strategy"], &configuration["bakeTimeInMinutes"]), (&json!("ROLLING"), &json!(0)));
    assert!(sent["loadBalancers"][0].get("advancedConfiguration").is_none());
    // The first deployment that shifts is taken back by one that shifts; then comes the old way of deploying.
    let plan = switched(canary).world(running("minimum_healthy_percent: 100")).plan();
    let of = |id: &str| {
        let node = plan.nodes.iter().find(|node| node.id == id).expect("a step");
        node.action.mutation().expect("a call").input.clone()
    };
    assert!(of("web.service.update.undo").get("loadBalancers").is_none());
    let last = of("web.service.update.undone.settle");
    assert!(last["loadBalancers"][0].get("advancedConfiguration").is_none());
    assert_eq!(last["deploymentConfiguration"]["strategy"], "ROLLING");
}

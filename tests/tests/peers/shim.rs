//! The shim in front of moto does what AWS documents of services over time: deployments, revisions, the circuit breaker,
//! rollbacks, batch limits and pages.

use belay_executor::simulator::World;
use belay_tests::account::Account;
use belay_tests::servers::Emulator;
use serde_json::{Value, json};

use crate::{emulator, listed};

struct Shop {
    account: Account,
    group: Value,
}

const BREAKER: &str = "deploymentConfiguration";

impl Shop {
    fn open(id: &str) -> Self {
        let (_, client) = emulator(Emulator::Shimmed);
        let account = Account::new(Emulator::Shimmed, client, id);
        account.seed(&World::default_account());
        let found = account.must("elbv2", "DescribeTargetGroups", &json!({"Names": ["shop-web"]}));
        let group = found["TargetGroups"][0]["TargetGroupArn"].clone();
        Self { account, group }
    }

    fn ecs(&self, operation: &str, input: Value) -> Value {
        self.account.must("ecs", operation, &input)
    }

    fn refused(&self, operation: &str, input: Value) -> String {
        match self.account.call("ecs", operation, &input) {
            Ok(answer) => panic!("{operation} was answered: {answer}"),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    /// Registers a revision that runs an image of the account's registry.
    fn register(&self, image: &str) -> Value {
        let name = format!("{}/{image}", self.account.registry());
        let container = json!({"name": "web", "image": name, "memory": 64,
            "portMappings": [{"containerPort": 8000, "hostPort": 0}]});
        let made = self.ecs("RegisterTaskDefinition", json!({"family": "web", "containerDefinitions": [container]}));
        made["taskDefinition"]["taskDefinitionArn"].clone()
    }

    fn create(&self, definition: &Value, breaker: bool) -> Value {
        let balancer = json!({"targetGroupArn": self.group, "containerName": "web", "containerPort": 8000});
        let mut input = json!({"cluster": "default", "serviceName": "web", "taskDefinition": definition,
            "desiredCount": 2, "loadBalancers": [balancer], "tags": [{"key": "team", "value": "a"}]});
        if breaker {
            input[BREAKER] = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        }
        self.ecs("CreateService", input)["service"].take()
    }

    fn look(&self) -> Value {
        let input = json!({"cluster": "default", "services": ["web"], "include": ["TAGS"]});
        self.ecs("DescribeServices", input)["services"][0].take()
    }

    /// Status, rollout state, running tasks of each deployment.
    fn deployments(&self) -> Vec<String> {
        let service = self.look();
        let all = service["deployments"].as_array().unwrap().iter();
        all.map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("status"), text("rolloutState"), one["runningCount"])
        })
        .collect()
    }

    fn statuses(&self) -> Vec<Value> {
        let input = json!({"cluster": "default", "service": "web"});
        let all = listed(&self.account, "ListServiceDeployments", "serviceDeployments", input);
        all.iter().map(|one| one["status"].clone()).collect()
    }

    fn healthy(&self) -> usize {
        let health = self.account.must("elbv2", "DescribeTargetHealth", &json!({"TargetGroupArn": self.group}));
        health["TargetHealthDescriptions"].as_array().unwrap().len()
    }
}

#[test]
fn a_service_comes_to_rest_and_a_failing_deployment_goes_back() {
    let shop = Shop::open("333333333301");
    let digest = shop.account.push("shop/web:1");
    let broken = shop.account.push("shop/web:2");
    shop.account.server("/shim/failing", Some(&json!({broken: "it is broken"})));
    let good = shop.register("shop/web:1");
    let made = shop.create(&good, true);
    assert_eq!((&made["runningCount"], &made["deployments"][0]["rolloutState"]), (&json!(0), &json!("IN_PROGRESS")));
    assert_eq!(shop.deployments(), ["PRIMARY IN_PROGRESS 2"]);
    assert_eq!(shop.statuses(), ["IN_PROGRESS"]);
    assert_eq!(shop.deployments(), ["PRIMARY COMPLETED 2"]);
    assert_eq!((shop.statuses(), shop.healthy()), (vec![json!("SUCCESSFUL")], 2));
    let told = shop.look();
    assert_eq!(told[BREAKER]["maximumPercent"], 200, "defaults are filled in");
    assert_eq!(told["tags"], json!([{"key": "team", "value": "a"}]));
    let revision = json!({"serviceRevisionArns": [told["currentServiceRevisions"][0]["arn"]]});
    let revision = shop.ecs("DescribeServiceRevisions", revision)["serviceRevisions"][0].take();
    assert_eq!((&revision["taskDefinition"], &revision["containerImages"][0]["imageDigest"]), (&good, &json!(digest)));

    let bad = shop.register("shop/web:2");
    shop.ecs("UpdateService", json!({"cluster": "default", "service": "web", "taskDefinition": bad}));
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..6 {
        seen.push(format!("{} {}", shop.deployments().join(", "), shop.statuses()[0]));
    }
    assert_eq!(
        seen,
        [
            "PRIMARY IN_PROGRESS 0, ACTIVE COMPLETED 2 \"IN_PROGRESS\"",
            "PRIMARY FAILED 0, ACTIVE COMPLETED 2 \"ROLLBACK_REQUESTED\"",
            "PRIMARY IN_PROGRESS 2, ACTIVE FAILED 0, ACTIVE COMPLETED 0 \"ROLLBACK_IN_PROGRESS\"",
            "PRIMARY IN_PROGRESS 2, ACTIVE FAILED 0, ACTIVE COMPLETED 0 \"ROLLBACK_IN_PROGRESS\"",
            "PRIMARY COMPLETED 2 \"ROLLBACK_SUCCESSFUL\"",
            "PRIMARY COMPLETED 2 \"ROLLBACK_SUCCESSFUL\"",
        ]
    );
    assert_eq!((&shop.look()["taskDefinition"], shop.healthy()), (&good, 2));
    let stopped = json!({"cluster": "default", "serviceName": "web", "desiredStatus": "STOPPED"});
    let stopped = listed(&shop.account, "ListTasks", "taskArns", stopped);
    let tasks = shop.ecs("DescribeTasks", json!({"cluster": "default", "tasks": stopped}));
    let reasons = tasks["tasks"].as_array().unwrap().iter().map(|task| task["stoppedReason"].clone());
    assert!(reasons.clone().any(|reason| reason == "it is broken"), "{reasons:?}");
}

#[test]
fn a_deployment_in_flight_can_be_stopped_and_is_superseded() {
    let shop = Shop::open("333333333302");
    for image in ["shop/web:1", "shop/web:2", "shop/web:3"] {
        shop.account.push(image);
    }
    let revisions = ["shop/web:1", "shop/web:2", "shop/web:3"].map(|image| shop.register(image));
    shop.create(&revisions[0], false);
    shop.look();
    shop.look();
    let update = |definition: &Value| {
        shop.ecs("UpdateService", json!({"cluster": "default", "service": "web", "taskDefinition": definition}))
    };
    update(&revisions[1]);
    update(&revisions[2]);
    assert_eq!(shop.statuses(), ["IN_PROGRESS", "STOPPED", "SUCCESSFUL"]);
    let input = json!({"cluster": "default", "service": "web", "status": ["IN_PROGRESS"]});
    let open = listed(&shop.account, "ListServiceDeployments", "serviceDeployments", input);
    let arn = &open[0]["serviceDeploymentArn"];
    shop.ecs("StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"}));
    for _ in 0..4 {
        shop.look();
    }
    assert_eq!(shop.deployments(), ["PRIMARY COMPLETED 2"]);
    assert_eq!(shop.look()["taskDefinition"], revisions[0]);
    let told = shop.ecs("DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]}));
    let told = &told["serviceDeployments"][0];
    assert_eq!(told["status"], "ROLLBACK_SUCCESSFUL");
    assert!(told["rollback"]["serviceRevisionArn"].is_string(), "{told}");
    let again = shop.refused("StopServiceDeployment", json!({"serviceDeploymentArn": arn}));
    assert!(again.starts_with("ConflictException"), "{again}");
}

#[test]
fn counts_follow_and_a_deleted_service_drains() {
    let shop = Shop::open("333333333303");
    shop.account.push("shop/web:1");
    let definition = shop.register("shop/web:1");
    shop.create(&definition, false);
    shop.look();
    shop.look();
    let service = json!({"cluster": "default", "service": "web"});
    let scale =
        |count: u32| shop.ecs("UpdateService", json!({"cluster": "default", "service": "web", "desiredCount": count}));
    scale(5);
    assert_eq!((shop.deployments(), shop.healthy()), (vec!["PRIMARY COMPLETED 5".to_owned()], 5));
    assert_eq!(shop.statuses().len(), 1, "a count starts no deployment");
    scale(1);
    assert_eq!(shop.look()["runningCount"], 1);
    let other = json!({"cluster": "default", "serviceName": "web", "taskDefinition": definition, "desiredCount": 9});
    let refused = shop.refused("CreateService", other.clone());
    assert_eq!(refused, "InvalidParameterException: Creation of service was not idempotent.");
    let refused = shop.refused("DeleteService", service.clone());
    assert!(refused.contains("scaled above 0"), "{refused}");
    scale(0);
    assert_eq!(shop.ecs("DeleteService", service.clone())["service"]["status"], "DRAINING");
    let refused = shop.refused("CreateService", other.clone());
    assert_eq!(refused, "InvalidParameterException: Unable to Start a service that is still Draining.");
    assert_eq!(shop.ecs("ListServices", json!({"cluster": "default"}))["serviceArns"], json!([]));
    assert_eq!(shop.look()["status"], "INACTIVE");
    assert!(shop.refused("UpdateService", service).starts_with("ServiceNotActiveException"));
    assert_eq!(shop.ecs("CreateService", other)["service"]["status"], "ACTIVE");
}

#[test]
fn batches_and_pages_have_their_limits() {
    let shop = Shop::open("333333333304");
    shop.account.push("shop/web:1");
    let definition = shop.register("shop/web:1");
    let names: Vec<String> = (0..11).map(|number| format!("s{number:02}")).collect();
    for name in &names {
        let input = json!({"cluster": "default", "serviceName": name, "taskDefinition": definition});
        shop.ecs("CreateService", input);
    }
    let refused = shop.refused("DescribeServices", json!({"cluster": "default", "services": names}));
    assert!(refused.starts_with("InvalidParameterException"), "{refused}");
    let first = shop.ecs("ListServices", json!({"cluster": "default"}));
    assert_eq!(first["serviceArns"].as_array().unwrap().len(), 10);
    let all = listed(&shop.account, "ListServices", "serviceArns", json!({"cluster": "default"}));
    assert_eq!(all.len(), 11);
    shop.ecs("DeregisterTaskDefinition", json!({"taskDefinition": definition}));
    let active = json!({"status": "ACTIVE"});
    assert_eq!(shop.ecs("ListTaskDefinitionFamilies", active)["families"], json!([]));
}

#[test]
fn a_target_group_that_nothing_leads_to_takes_no_service() {
    let mut shop = Shop::open("777777777707");
    let definition = shop.register("web:1");
    let group = json!({"Names": ["unattached"]});
    shop.group = shop.account.must("elbv2", "DescribeTargetGroups", &group)["TargetGroups"][0]["TargetGroupArn"].take();
    let balancer = json!({"targetGroupArn": shop.group, "containerName": "web", "containerPort": 8000});
    let input =
        json!({"serviceName": "web", "taskDefinition": definition, "desiredCount": 1, "loadBalancers": [balancer]});
    let said = shop.refused("CreateService", input);
    assert!(said.ends_with("does not have an associated load balancer."), "{said}");
}

#[test]
fn a_task_that_ended_is_listed_no_more_and_its_token_names_it() {
    let shop = Shop::open("777777777708");
    let definition = shop.register("web:1");
    let run = || {
        let input = json!({"taskDefinition": definition, "launchType": "EC2", "clientToken": "once"});
        shop.ecs("RunTask", input)["tasks"][0]["taskArn"].take()
    };
    let task = run();
    assert_eq!(run(), task);
    let listed = |status: &str| shop.ecs("ListTasks", json!({"desiredStatus": status}))["taskArns"].take();
    assert_eq!((listed("RUNNING"), listed("STOPPED")), (json!([task]), json!([])));
    for _ in 0..2 {
        shop.ecs("DescribeTasks", json!({"tasks": [task]}));
    }
    assert_eq!((listed("RUNNING"), listed("STOPPED")), (json!([]), json!([task])));
}

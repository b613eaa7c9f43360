//! Observing a simulated world, and making a world that looks like what was observed.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::belay::Desk;
use crate::plans;

fn scope(desk: &Desk) {
    let scope = json!({
        "format": 1, "project": "shop",
        "ecs": {"cluster": "default", "services": ["shop_web"], "servicePrefix": "shop_",
                "familyPrefix": "default_shop_", "tagPrefix": "belay", "containerInstances": true},
        "targetGroups": ["shop-web", "nonesuch"], "balancers": ["shop-classic", "nowhere"],
        "images": ["nginx:1", "nginx@sha256:aaaa"],
    });
    desk.write("scope.json", &scope.to_string());
}

fn observe(desk: &Desk, world: &str) -> Value {
    let answer = desk.belay(&["observe", "scope.json", "--simulated", world]).expect(0);
    serde_json::from_str(&answer.out).unwrap()
}

/// One line a read: what was asked, and what kind of answer came.
fn summary(observed: &Value) -> String {
    let line = |read: &Value| {
        let answer = match read["error"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => read["output"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| match value.as_array() {
                    Some(list) => format!("{name}: {}", list.len()),
                    None => name.clone(),
                })
                .collect::<Vec<_>>()
                .join(", "),
        };
        format!("{} {} -> {answer}", read["operation"].as_str().unwrap(), read["input"])
    };
    observed["reads"].as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_missing_is_recorded_as_the_error_that_it_is() {
    let desk = Desk::new();
    scope(&desk);
    let answer = desk.belay(&["observe", "scope.json", "--simulated", "w.json", "-o", "observed.json"]);
    assert_snapshot!(answer.said(), @r#"
    DIR/w.json does not exist yet: starting from the default account (123456789012, us-east-1)
    observed account 123456789012, us-east-1, simulated world w.json: 0 services in 20 calls, nothing was changed
      7 elbv2 DescribeTargetGroups, 3 elb DescribeLoadBalancers, 1 ecs DescribeClusters, 1 ecs DescribeContainerInstances, 1 ecs DescribeServices, 1 ecs ListContainerInstances, 1 ecs ListServices, 1 ecs ListTaskDefinitionFamilies, 1 elb DescribeLoadBalancerAttributes, 1 elbv2 DescribeTargetGroupAttributes, 1 registry digest, 1 sts GetCallerIdentity
    exit 0
    "#);
    let observed: Value = serde_json::from_str(&desk.read("observed.json")).unwrap();
    assert_snapshot!(summary(&observed), @r#"
    DescribeClusters {"clusters":["default"]} -> clusters: 1, failures: 0
    DescribeContainerInstances {"cluster":"default","containerInstances":["arn:aws:ecs:us-east-1:123456789012:container-instance/default/00000000000000000000000000c10000","arn:aws:ecs:us-east-1:123456789012:container-instance/default/00000000000000000000000000c10001","arn:aws:ecs:us-east-1:123456789012:container-instance/default/00000000000000000000000000c10002"]} -> containerInstances: 3, failures: 0
    DescribeServices {"cluster":"default","include":["TAGS"],"services":["shop_web"]} -> failures: 1, services: 0
    ListContainerInstances {"cluster":"default"} -> containerInstanceArns: 3
    ListServices {"cluster":"default"} -> serviceArns: 0
    ListTaskDefinitionFamilies {"familyPrefix":"default_shop_","status":"ACTIVE"} -> families: 0
    DescribeLoadBalancerAttributes {"LoadBalancerName":"shop-classic"} -> LoadBalancerAttributes
    DescribeLoadBalancers {"LoadBalancerNames":["nowhere"]} -> LoadBalancerNotFound
    DescribeLoadBalancers {"LoadBalancerNames":["shop-classic"]} -> LoadBalancerDescriptions: 1
    DescribeTargetGroupAttributes {"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop-web/00000000007a0000"} -> Attributes: 10
    DescribeTargetGroups {"Names":["nonesuch"]} -> TargetGroupNotFound
    DescribeTargetGroups {"Names":["nowhere"]} -> TargetGroupNotFound
    DescribeTargetGroups {"Names":["shop-web"]} -> TargetGroups: 1
    "#);
    assert_eq!(observed["images"]["nginx@sha256:aaaa"]["digest"], "sha256:aaaa");
    // Looking makes no world.
    assert!(!desk.path("w.json").exists());
    let elsewhere = desk.read("scope.json").replace(r#""project""#, r#""region": "eu-west-1", "project""#);
    assert_snapshot!(desk.belay_with(&["observe", "-", "--simulated", "w.json"], &elsewhere).said(), @r#"
    DIR/w.json does not exist yet: starting from the default account (123456789012, us-east-1)
    error: the scope names region eu-west-1, but calls would go to us-east-1
    help: name the same region in the environment file and in the AWS configuration (AWS_REGION, profile)
    exit 1
    "#);
}

#[test]
fn a_missing_cluster_is_no_failure() {
    let desk = Desk::new();
    scope(&desk);
    let elsewhere = desk.read("scope.json").replace(r#""cluster":"default""#, r#""cluster":"nonesuch""#);
    let answer = desk.belay_with(&["observe", "-", "--simulated", "w.json"], &elsewhere).expect(0);
    assert_snapshot!(summary(&serde_json::from_str(&answer.out).unwrap()), @r#"
    DescribeClusters {"clusters":["nonesuch"]} -> clusters: 0, failures: 1
    ListContainerInstances {"cluster":"nonesuch"} -> ClusterNotFoundException
    ListServices {"cluster":"nonesuch"} -> ClusterNotFoundException
    ListTaskDefinitionFamilies {"familyPrefix":"default_shop_","status":"ACTIVE"} -> families: 0
    DescribeLoadBalancerAttributes {"LoadBalancerName":"shop-classic"} -> LoadBalancerAttributes
    DescribeLoadBalancers {"LoadBalancerNames":["nowhere"]} -> LoadBalancerNotFound
    DescribeLoadBalancers {"LoadBalancerNames":["shop-classic"]} -> LoadBalancerDescriptions: 1
    DescribeTargetGroupAttributes {"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop-web/00000000007a0000"} -> Attributes: 10
    DescribeTargetGroups {"Names":["nonesuch"]} -> TargetGroupNotFound
    DescribeTargetGroups {"Names":["nowhere"]} -> TargetGroupNotFound
    DescribeTargetGroups {"Names":["shop-web"]} -> TargetGroups: 1
    "#);
}

#[test]
fn throttling_only_takes_time() {
    let desk = Desk::new();
    scope(&desk);
    desk.belay(&["world", "-o", "w.json"]).expect(0);
    let mut world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    let empty = json!({"milliTokens": 0, "at": "2026-01-01T00:00:00Z"});
    world["throttling"] = json!({"enabled": true});
    desk.write("w.json", &world.to_string());
    let free = observe(&desk, "w.json");
    let names =
        ["ecs service read", "ecs task read", "ecs task definition read", "ecs cluster", "elb describe", "other"];
    world["throttling"]["buckets"] = names.map(|name| (name.to_owned(), empty.clone())).into_iter().collect();
    desk.write("w.json", &world.to_string());
    let answer = desk.belay(&["observe", "scope.json", "--simulated", "w.json"]).expect(0);
    let calls = |text: &str| -> u32 {
        let words: Vec<&str> = text.split(' ').collect();
        let at = words.iter().position(|word| word.starts_with("calls")).unwrap();
        words[at - 1].parse().unwrap()
    };
    assert!(calls(&answer.err) > 20, "{}", answer.err);
    let throttled: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(free["reads"], throttled["reads"]);
    assert_eq!(free["observedAt"], throttled["observedAt"]);
}

/// What may differ between a world and one made from observing it.
fn without_noise(observed: &mut Value) {
    observed["observedAt"] = Value::Null;
    clean(&mut observed["reads"]);
}

fn clean(value: &mut Value) {
    const TIMES: [&str; 8] = [
        "createdAt",
        "updatedAt",
        "startedAt",
        "registeredAt",
        "CreatedTime",
        "rolloutStateReason",
        "registeredBy",
        "DNSName",
    ];
    match value {
        Value::Object(map) => {
            map.retain(|name, _| !TIMES.contains(&name.as_str()));
            map.values_mut().for_each(clean);
        }
        Value::Array(list) => list.iter_mut().for_each(clean),
        _ => {}
    }
}

#[test]
fn a_world_made_from_what_was_observed_looks_the_same() {
    let desk = Desk::new();
    scope(&desk);
    let mut plan = plans::create_json("nginx:1");
    let balanced = json!([{"targetGroupArn": TARGET_GROUP, "containerName": "web", "containerPort": 80}]);
    plan["nodes"][2]["action"]["call"]["input"]["loadBalancers"] = balanced;
    plan["nodes"][0]["action"]["call"]["input"]["containerDefinitions"][0]["portMappings"] =
        json!([{"containerPort": 80}]);
    desk.write("plan.json", &plans::sealed(plan));
    // Ids that a new world would not give out at once.
    desk.belay(&["world", "-o", "w.json"]).expect(0);
    let mut world: Value = serde_json::from_str(&desk.read("w.json")).unwrap();
    world["counters"] = json!({"deployment": 41, "serviceRevision": 42});
    desk.write("w.json", &world.to_string());
    desk.belay(&["apply", "plan.json", "--simulated", "w.json"]).expect(0);
    let mut before = observe(&desk, "w.json");
    desk.write("observed.json", &before.to_string());
    desk.belay(&["world", "--observed", "observed.json", "-o", "again.json"]).expect(0);
    let mut after = observe(&desk, "again.json");
    without_noise(&mut before);
    without_noise(&mut after);
    for (before, after) in before["reads"].as_array().unwrap().iter().zip(after["reads"].as_array().unwrap()) {
        assert_eq!(before, after);
    }
    assert_eq!(before, after);
    assert!(before.to_string().contains("ecs-svc/1000000000000000042"));
}

const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop-web/00000000007a0000";

//! Deployments that shift traffic: both sides in full, weights step by step, bake times, alarms, ways back.

use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::{Image, TargetGroup};
use serde_json::{Value, json};

use crate::support::*;

/// The listener's rule for `/api/*` in the default account.
async fn rule(cloud: &SimulatedCloud) -> String {
    let balancers = elbv2(cloud, "DescribeLoadBalancers", json!({})).await;
    let of = json!({"LoadBalancerArn": balancers["LoadBalancers"][0]["LoadBalancerArn"]});
    let listeners = elbv2(cloud, "DescribeListeners", of).await;
    let rules = elbv2(cloud, "DescribeRules", json!({"ListenerArn": listeners["Listeners"][0]["ListenerArn"]})).await;
    rules["Rules"][0]["RuleArn"].as_str().unwrap().to_owned()
}

/// A cloud with a second target group beside `shop-api`, and the configuration that shifts traffic between the two.
async fn paired() -> (SimulatedCloud, Value) {
    let cloud = cloud();
    cloud.with_world(|world| {
        let group = world.target_groups["unattached"].clone();
        let arn = group.arn.replace("unattached", "api-green");
        world.target_groups.insert("api-green".to_owned(), TargetGroup { arn, ..group });
        let image = Image { alarms: [("5xx".to_owned(), 90)].into(), ..Image::default() };
        world.images.insert("nginx:alarming".to_owned(), image);
        let image = Image { behaviour: CRASH, ..Image::default() };
        world.images.insert("nginx:bad".to_owned(), image);
    });
    let mut balancers = behind(&target_group(&cloud, "shop-api").await);
    balancers[0]["advancedConfiguration"] = json!({
        "alternateTargetGroupArn": target_group(&cloud, "api-green").await,
        "productionListenerRule": rule(&cloud).await,
        "roleArn": "arn:aws:iam::123456789012:role/ecs",
    });
    (cloud, balancers)
}

fn configured(balancers: &Value, strategy: Value) -> Value {
    let mut configuration = json!({
        "deploymentCircuitBreaker": {"enable": true, "rollback": true},
        "alarms": {"alarmNames": ["5xx"], "enable": true, "rollback": true},
    });
    merge(&mut configuration, strategy);
    json!({"loadBalancers": balancers, "deploymentConfiguration": configuration})
}

/// The weights of the two groups, the one that the service names first.
async fn weights(cloud: &SimulatedCloud) -> (u64, u64) {
    let rules = elbv2(cloud, "DescribeRules", json!({"RuleArns": [rule(cloud).await]})).await;
    let groups = &rules["Rules"][0]["Actions"][0]["ForwardConfig"]["TargetGroups"];
    (groups[0]["Weight"].as_u64().unwrap(), groups[1]["Weight"].as_u64().unwrap())
}

/// The weights of the two groups one after the other, each with how many seconds it lasted.
type Shares = Vec<((u64, u64), u64)>;

/// Deploys an image, and tells each state of the weights with how long it lasted and the stages and statuses seen.
async fn deploy(cloud: &SimulatedCloud, image: &str) -> (Shares, Vec<String>) {
    let arn = register(cloud, "web", image).await;
    call(cloud, "UpdateService", json!({"service": "web", "taskDefinition": arn})).await;
    let (mut shares, mut words) = (Shares::new(), Vec::<String>::new());
    for _ in 0..6000 {
        let now = weights(cloud).await;
        match shares.last_mut() {
            Some((share, seconds)) if *share == now => *seconds += 1,
            _ => shares.push((now, 1)),
        }
        let shown = deployment(cloud, "web").await;
        let status = shown["status"].as_str().unwrap().to_owned();
        let word = match status.as_str() {
            "IN_PROGRESS" => shown["lifecycleStage"].as_str().unwrap().to_owned(),
            _ => status.clone(),
        };
        if words.last() != Some(&word) {
            words.push(word);
        }
        // Whoever has traffic has all of its tasks.
        let led = cloud.with_world(|world| {
            let tasks = world.tasks.of_service("default/web").map(|(_, task)| task);
            tasks.filter(|t| !t.stopping && t.healthy_since.is_some() && world.is_led_to(t)).count()
        });
        assert!(led >= 2, "{led} healthy tasks have traffic: {words:?}");
        if ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"].contains(&status.as_str()) {
            break;
        }
        pass(cloud, 1).await;
    }
    (shares, words)
}

#[tokio::test]
async fn blue_and_green_change_places_at_each_deployment() {
    let (cloud, balancers) = paired().await;
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, configured(&balancers, json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}))).await;
    pass(&cloud, 300).await;
    assert_eq!(weights(&cloud).await, (100, 0));
    let (shares, words) = deploy(&cloud, "nginx:2").await;
    assert_eq!(words, ["PENDING", "SCALE_UP", "BAKE_TIME", "CLEAN_UP", "SUCCESSFUL"]);
    assert_eq!(shares.iter().map(|(share, _)| *share).collect::<Vec<_>>(), [(100, 0), (0, 100)]);
    assert!(shares[1].1 > 300, "the old tasks stay for the bake time: {shares:?}");
    assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:2"));
    let blue = balancers[0]["targetGroupArn"].as_str().unwrap();
    assert!(health(&cloud, blue).await.iter().all(|state| state == "draining"));
    let service = describe(&cloud, "web").await;
    assert_eq!(service["loadBalancers"], balancers, "what the service is asked to be stays");
    let arn = &service["currentServiceRevisions"][0]["arn"];
    let revision = call(&cloud, "DescribeServiceRevisions", json!({"serviceRevisionArns": [arn]})).await;
    let resolved = &revision["serviceRevisions"][0]["resolvedConfiguration"]["loadBalancers"][0];
    assert_eq!(resolved["targetGroupArn"], balancers[0]["advancedConfiguration"]["alternateTargetGroupArn"]);
    // And back again.
    let (shares, _) = deploy(&cloud, "nginx:3").await;
    assert_eq!(shares.last().unwrap().0, (100, 0));
}

#[tokio::test]
async fn traffic_moves_in_steps() {
    let linear = json!({"strategy": "LINEAR", "bakeTimeInMinutes": 1,
        "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 2}});
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 3,
        "canaryConfiguration": {"canaryPercent": 0.5, "canaryBakeTimeInMinutes": 4}});
    for (strategy, expected) in [
        (linear, vec![((60, 40), 120), ((20, 80), 120), ((0, 100), 60)]),
        (canary, vec![((995, 5), 240), ((0, 100), 180)]),
    ] {
        let (cloud, balancers) = paired().await;
        register(&cloud, "web", "nginx:1").await;
        create(&cloud, 2, configured(&balancers, strategy)).await;
        pass(&cloud, 300).await;
        let (mut shares, _) = deploy(&cloud, "nginx:2").await;
        assert_eq!(shares.remove(0).0, (100, 0));
        // The last share lasts for as long as the old tasks take to stop, too.
        let last = shares.len() - 1;
        assert!(shares[last].1 >= expected[last].1, "{shares:?}");
        shares[last].1 = expected[last].1;
        assert_eq!(shares, expected);
    }
}

#[tokio::test]
async fn an_alarm_brings_the_traffic_back_at_once() {
    let (cloud, balancers) = paired().await;
    let first = register(&cloud, "web", "nginx:1").await;
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 5, "canaryConfiguration": {"canaryPercent": 10.0}});
    create(&cloud, 2, configured(&balancers, canary)).await;
    pass(&cloud, 300).await;
    let (shares, words) = deploy(&cloud, "nginx:alarming").await;
    assert_eq!(
        words,
        ["PENDING", "SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    assert_eq!(shares.iter().map(|(share, _)| *share).collect::<Vec<_>>(), [(100, 0), (90, 10), (100, 0)]);
    assert_eq!(shares[1].1, 90, "as long as the alarm took");
    let shown = deployment(&cloud, "web").await;
    assert_eq!(shown["alarms"]["status"], "TRIGGERED");
    assert_eq!(shown["alarms"]["triggeredAlarmNames"], json!(["5xx"]));
    assert!(shown["statusReason"].as_str().unwrap().contains("5xx"));
    assert_eq!(describe(&cloud, "web").await["taskDefinition"], first.as_str());
    assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:1"));
}

#[tokio::test]
async fn tasks_that_fail_get_no_traffic() {
    let (cloud, balancers) = paired().await;
    register(&cloud, "web", "nginx:1").await;
    create(&cloud, 2, configured(&balancers, json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}))).await;
    pass(&cloud, 300).await;
    let (shares, words) = deploy(&cloud, "nginx:bad").await;
    assert_eq!(words, ["PENDING", "SCALE_UP", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]);
    assert_eq!(shares.len(), 1, "{shares:?}");
}

#[tokio::test]
async fn a_shift_is_stopped_or_superseded_at_any_time() {
    for (after, stops) in [(20, true), (200, true), (500, true), (20, false), (200, false), (500, false)] {
        let (cloud, balancers) = paired().await;
        register(&cloud, "web", "nginx:1").await;
        let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 5,
            "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5}});
        create(&cloud, 2, configured(&balancers, canary)).await;
        pass(&cloud, 300).await;
        let second = register(&cloud, "web", "nginx:2").await;
        call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": second})).await;
        pass(&cloud, after).await;
        if stops {
            let arn = deployment(&cloud, "web").await["serviceDeploymentArn"].take();
            call(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"})).await;
            pass(&cloud, 120).await;
            assert_eq!(weights(&cloud).await, (100, 0), "{after}");
            assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:1"), "{after}");
        } else {
            let (shares, words) = deploy(&cloud, "nginx:3").await;
            assert_eq!(words.last().unwrap(), "SUCCESSFUL");
            assert_eq!(shares.last().unwrap().0, (0, 100), "{after}: {shares:?}");
            assert!(tasks(&cloud, "web").iter().all(|task| task.0 == "nginx:3"), "{after}");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_a_shift_is_refused() {
    let (cloud, balancers) = paired().await;
    register(&cloud, "web", "nginx:1").await;
    let blue_green = || json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5});
    let refused = |more: Value| {
        let cloud = &cloud;
        async move {
            let mut input = json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 2});
            merge(&mut input, more);
            try_call(cloud, "CreateService", input).await.expect_err("it is taken").to_string()
        }
    };
    let plain = behind(balancers[0]["targetGroupArn"].as_str().unwrap());
    assert!(refused(configured(&plain, blue_green())).await.contains("advancedConfiguration is required"));
    assert!(refused(configured(&balancers, json!({}))).await.contains("not valid for the ROLLING"));
    let mut same = balancers.clone();
    same[0]["advancedConfiguration"]["alternateTargetGroupArn"] = same[0]["targetGroupArn"].clone();
    assert!(refused(configured(&same, blue_green())).await.contains("must be different"));
    let mut gone = balancers.clone();
    gone[0]["advancedConfiguration"]["productionListenerRule"] = "arn:none".into();
    assert!(refused(configured(&gone, blue_green())).await.contains("does not exist"));
    let other = json!({"strategy": "BLUE_GREEN", "canaryConfiguration": {"canaryPercent": 10.0}});
    assert!(refused(configured(&balancers, other)).await.contains("only valid for the CANARY"));
}

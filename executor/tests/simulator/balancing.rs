//! Load balancers: health of targets, draining, classic ones, rules.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::world::Behaviour;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn targets_are_initial_then_healthy_then_drain() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    create(&cloud, 2, json!({"loadBalancers": behind(&group)})).await;
    pass(&cloud, 18).await;
    assert_eq!(health(&cloud, &group).await, ["initial", "initial"]);
    assert_eq!(healthy(&cloud, "web"), 0);
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "IN_PROGRESS");
    pass(&cloud, 10).await;
    assert_eq!(health(&cloud, &group).await, ["healthy", "healthy"]);
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "COMPLETED");
    let registered = format!("(service web) registered 1 targets in (target-group {group})");
    assert!(events(&cloud, "web").await.contains(&registered));

    call(&cloud, "UpdateService", json!({"service": "web", "desiredCount": 1})).await;
    pass(&cloud, 3).await;
    assert_eq!(health(&cloud, &group).await.iter().filter(|state| *state == "draining").count(), 1);
    assert!(has_event(&cloud, "web", "has begun draining connections on 1 tasks.").await);
    let stopping = call(&cloud, "ListTasks", json!({"desiredStatus": "STOPPED"})).await["taskArns"][0].clone();
    let task = call(&cloud, "DescribeTasks", json!({"tasks": [stopping]})).await["tasks"][0].take();
    assert_eq!((&task["lastStatus"], &task["desiredStatus"]), (&json!("DEACTIVATING"), &json!("STOPPED")));
    pass(&cloud, 30).await;
    assert_eq!(health(&cloud, &group).await, ["healthy"]);
    pass(&cloud, 30).await;
    let task = call(&cloud, "DescribeTasks", json!({"tasks": [stopping]})).await["tasks"][0].take();
    assert_eq!((&task["lastStatus"], &task["stopCode"]), (&json!("STOPPED"), &json!("ServiceSchedulerInitiated")));
}

#[tokio::test]
async fn a_target_that_never_gets_healthy_is_replaced_and_trips_the_breaker() {
    let cloud = with_image("nginx:sick", Behaviour::NeverHealthy);
    let first = register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "shop-web").await;
    let mut more = breaker(true);
    merge(&mut more, json!({"loadBalancers": behind(&group)}));
    create(&cloud, 2, more).await;
    pass(&cloud, 300).await;
    register(&cloud, "web", "nginx:sick").await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    for _ in 0..600 {
        pass(&cloud, 1).await;
        assert!(healthy(&cloud, "web") >= 2);
    }
    assert_eq!(deployment(&cloud, "web").await["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(describe(&cloud, "web").await["taskDefinition"], first.as_str());
    let words = format!(") is unhealthy in (target-group {group}) due to (reason Health checks failed)");
    assert!(has_event(&cloud, "web", &words).await);
}

#[tokio::test]
async fn the_grace_period_delays_the_verdict() {
    let cloud = with_image("nginx:sick", Behaviour::NeverHealthy);
    register(&cloud, "web", "nginx:sick").await;
    let group = target_group(&cloud, "shop-web").await;
    create(&cloud, 1, json!({"loadBalancers": behind(&group), "healthCheckGracePeriodSeconds": 120})).await;
    pass(&cloud, 100).await;
    assert_eq!(health(&cloud, &group).await, ["unhealthy"]);
    assert_eq!(cloud.world().counters["task"], 1);
    pass(&cloud, 60).await;
    assert_eq!(cloud.world().counters["task"], 2);
}

#[tokio::test]
async fn without_checks_a_sick_image_passes_and_a_container_check_finds_it() {
    let cloud = with_image("nginx:sick", Behaviour::NeverHealthy);
    register(&cloud, "web", "nginx:sick").await;
    create(&cloud, 1, json!({})).await;
    pass(&cloud, 300).await;
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "COMPLETED");
    let mut checked = definition("web", "nginx:sick");
    checked["containerDefinitions"][0]["healthCheck"] =
        json!({"command": ["CMD", "true"], "interval": 10, "retries": 2});
    call(&cloud, "RegisterTaskDefinition", checked).await;
    call(&cloud, "UpdateService", json!({"service": "web", "taskDefinition": "web"})).await;
    pass(&cloud, 120).await;
    assert!(has_event(&cloud, "web", "failed container health checks.").await);
    assert_eq!(describe(&cloud, "web").await["deployments"][0]["rolloutState"], "IN_PROGRESS");
    let stopped = call(&cloud, "ListTasks", json!({"desiredStatus": "STOPPED"})).await["taskArns"][0].take();
    let task = call(&cloud, "DescribeTasks", json!({"tasks": [stopped]})).await["tasks"][0].take();
    assert_eq!(task["stoppedReason"], "Task failed container health checks");
    assert_eq!(task["healthStatus"], "UNHEALTHY");
}

#[tokio::test]
async fn behind_a_classic_load_balancer_there_is_no_rollout_state() {
    let cloud = cloud();
    let mut fixed = definition("web", "nginx:1");
    fixed["containerDefinitions"][0]["portMappings"][0]["hostPort"] = json!(8080);
    call(&cloud, "RegisterTaskDefinition", fixed).await;
    let created = create(&cloud, 2, json!({"loadBalancers": behind_classic("shop-classic"), "role": "ecsRole"})).await;
    assert_eq!(created["roleArn"], "arn:aws:iam::123456789012:role/ecsRole");
    assert_eq!(created["availabilityZoneRebalancing"], "DISABLED");
    pass(&cloud, 20).await;
    let balancer = json!({"LoadBalancerName": "shop-classic"});
    let states = any(&cloud, "elb", "DescribeInstanceHealth", balancer.clone()).await;
    assert_eq!(states["InstanceStates"][0]["State"], "OutOfService");
    pass(&cloud, 300).await;
    let service = describe(&cloud, "web").await;
    assert_eq!(service["runningCount"], 2);
    assert!(service["deployments"][0].get("rolloutState").is_none());
    let states = any(&cloud, "elb", "DescribeInstanceHealth", balancer.clone()).await;
    assert_eq!(states["InstanceStates"].as_array().unwrap().len(), 2);
    assert_eq!(states["InstanceStates"][1]["State"], "InService");
    let shown = any(&cloud, "elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    assert_eq!(shown["LoadBalancerDescriptions"][0]["Instances"].as_array().unwrap().len(), 2);
    let attributes = any(&cloud, "elb", "DescribeLoadBalancerAttributes", balancer).await;
    let draining = &attributes["LoadBalancerAttributes"]["ConnectionDraining"];
    assert_eq!(*draining, json!({"Enabled": true, "Timeout": 30}));
    assert!(has_event(&cloud, "web", "registered 1 instances in (elb shop-classic)").await);
}

#[tokio::test]
async fn what_is_missing_is_named_in_awss_words() {
    let cloud = cloud();
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0000000000000000";
    for (service, operation, input, code) in [
        ("elbv2", "DescribeTargetGroups", json!({"Names": ["none"]}), "TargetGroupNotFound"),
        ("elbv2", "DescribeTargetHealth", json!({"TargetGroupArn": arn}), "TargetGroupNotFound"),
        ("elbv2", "DescribeTargetGroupAttributes", json!({"TargetGroupArn": arn}), "TargetGroupNotFound"),
        ("elbv2", "DescribeLoadBalancers", json!({"Names": ["none"]}), "LoadBalancerNotFound"),
        ("elb", "DescribeLoadBalancers", json!({"LoadBalancerNames": ["none"]}), "LoadBalancerNotFound"),
        ("elb", "DescribeLoadBalancerAttributes", json!({"LoadBalancerName": "none"}), "LoadBalancerNotFound"),
        ("ec2", "DescribeSubnets", json!({"SubnetIds": ["subnet-0"]}), "InvalidSubnetID.NotFound"),
    ] {
        let error = try_any(&cloud, service, operation, input).await.unwrap_err();
        assert_eq!(error.code, code, "{operation}");
        assert_eq!(error.kind, ErrorKind::NotFound, "{operation}");
    }
}

#[tokio::test]
async fn an_unattached_group_cannot_serve_and_its_targets_are_unused() {
    let cloud = cloud();
    register(&cloud, "web", "nginx:1").await;
    let group = target_group(&cloud, "unattached").await;
    let input =
        json!({"serviceName": "web", "taskDefinition": "web", "desiredCount": 1, "loadBalancers": behind(&group)});
    let error = try_call(&cloud, "CreateService", input).await.unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
    let words = format!("The target group with targetGroupArn {group} does not have an associated load balancer.");
    assert_eq!(error.message, words);
    let target = json!([{"Id": "i-0a000000000000001", "Port": 81}]);
    elbv2(&cloud, "RegisterTargets", json!({"TargetGroupArn": group, "Targets": target})).await;
    assert_eq!(health(&cloud, &group).await, ["unused"]);
}

#[tokio::test]
async fn targets_can_be_registered_by_hand() {
    let cloud = cloud();
    let group = target_group(&cloud, "shop-api").await;
    let input = json!({"TargetGroupArn": group, "Targets": [{"Id": "i-0a000000000000001", "Port": 81}]});
    elbv2(&cloud, "RegisterTargets", input.clone()).await;
    assert_eq!(health(&cloud, &group).await, ["initial"]);
    pass(&cloud, 10).await;
    elbv2(&cloud, "RegisterTargets", input.clone()).await;
    assert_eq!(health(&cloud, &group).await, ["healthy"], "registering again changes nothing");
    elbv2(&cloud, "DeregisterTargets", input.clone()).await;
    assert_eq!(health(&cloud, &group).await, ["draining"]);
    pass(&cloud, 30).await;
    assert!(health(&cloud, &group).await.is_empty());
    elbv2(&cloud, "DeregisterTargets", input).await;
    let classic = json!({"LoadBalancerName": "internal-api", "Instances": [{"InstanceId": "i-0a000000000000002"}]});
    let answer = any(&cloud, "elb", "RegisterInstancesWithLoadBalancer", classic.clone()).await;
    assert_eq!(answer["Instances"].as_array().unwrap().len(), 1);
    let answer = any(&cloud, "elb", "DeregisterInstancesFromLoadBalancer", classic).await;
    assert!(answer["Instances"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn rules_are_made_changed_and_deleted() {
    let cloud = cloud();
    let balancers = elbv2(&cloud, "DescribeLoadBalancers", json!({"Names": ["shop"]})).await;
    let of = json!({"LoadBalancerArn": balancers["LoadBalancers"][0]["LoadBalancerArn"]});
    let listener = elbv2(&cloud, "DescribeListeners", of.clone()).await["Listeners"][0]["ListenerArn"].take();
    let behind_it = elbv2(&cloud, "DescribeTargetGroups", of).await;
    assert_eq!(behind_it["TargetGroups"].as_array().unwrap().len(), 3);
    let group = target_group(&cloud, "unattached").await;
    let condition = json!([{"Field": "path-pattern", "Values": ["/new/*"]}]);
    let actions = json!([{"Type": "forward", "TargetGroupArn": group}]);
    let input = json!({"ListenerArn": listener, "Priority": 5, "Conditions": condition, "Actions": actions});
    let rule = elbv2(&cloud, "CreateRule", input.clone()).await["Rules"][0].take();
    assert_eq!(rule["Actions"][0]["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"], group.as_str());
    let error = try_any(&cloud, "elbv2", "CreateRule", input).await.unwrap_err();
    assert_eq!(error.code, "PriorityInUse");
    let error = try_any(&cloud, "elbv2", "DeleteTargetGroup", json!({"TargetGroupArn": group})).await.unwrap_err();
    // As `aws/errors.rs` takes it: the rule may go at any moment.
    assert_eq!((error.code.as_str(), error.kind), ("ResourceInUse", ErrorKind::Transient));
    let rules = elbv2(&cloud, "DescribeRules", json!({"ListenerArn": listener})).await;
    let priorities: Vec<_> = rules["Rules"].as_array().unwrap().iter().map(|r| r["Priority"].clone()).collect();
    assert_eq!(priorities, ["5", "10", "20", "default"]);
    let (first, second) = (&rules["Rules"][0]["RuleArn"], &rules["Rules"][1]["RuleArn"]);
    let swap = json!({"RulePriorities": [
        {"RuleArn": first, "Priority": 10}, {"RuleArn": second, "Priority": 5},
    ]});
    elbv2(&cloud, "SetRulePriorities", swap).await;
    let clash = json!({"RulePriorities": [{"RuleArn": first, "Priority": 5}]});
    let error = try_any(&cloud, "elbv2", "SetRulePriorities", clash).await.unwrap_err();
    assert_eq!(error.code, "PriorityInUse");
    let other = target_group(&cloud, "shop-admin").await;
    let change = json!({"RuleArn": first, "Actions": [{"Type": "forward", "TargetGroupArn": other}]});
    elbv2(&cloud, "ModifyRule", change).await;
    elbv2(&cloud, "DeleteTargetGroup", json!({"TargetGroupArn": group})).await;
    elbv2(&cloud, "DeleteRule", json!({"RuleArn": first})).await;
    let error = try_any(&cloud, "elbv2", "DeleteRule", json!({"RuleArn": first})).await.unwrap_err();
    assert_eq!(error.code, "RuleNotFound");
    let action = json!([{"Type": "forward", "TargetGroupArn": other}]);
    elbv2(&cloud, "ModifyListener", json!({"ListenerArn": listener, "DefaultActions": action})).await;
    let tags = json!({"ResourceArns": [listener, other]});
    assert_eq!(elbv2(&cloud, "DescribeTags", tags).await["TagDescriptions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_target_group_twice_is_one() {
    let cloud = cloud();
    let input = json!({"Name": "new", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-0a000001"});
    let first = elbv2(&cloud, "CreateTargetGroup", input.clone()).await;
    assert_eq!(elbv2(&cloud, "CreateTargetGroup", input.clone()).await, first);
    let mut other = input;
    other["Port"] = json!(81);
    let error = try_any(&cloud, "elbv2", "CreateTargetGroup", other).await.unwrap_err();
    assert_eq!(error.code, "DuplicateTargetGroupName");
}

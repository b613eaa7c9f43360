//! Auto Scaling groups: how they grow, shrink, replace, attach and detach, and what they refuse.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::Behaviour;
use serde_json::{Value, json};

use crate::support::*;

const SUBNETS: &str = "subnet-0a000001,subnet-0a000002,subnet-0a000003";

pub async fn template(cloud: &SimulatedCloud, name: &str, image: &str) -> String {
    let data = json!({
        "ImageId": "ami-0a000001", "InstanceType": "t3.micro", "KeyName": "ops", "SecurityGroupIds": ["sg-0a000002"],
        "UserData": base64(&format!("#!/bin/sh\ndocker run {image}\n")),
    });
    let input = json!({"LaunchTemplateName": name, "LaunchTemplateData": data});
    let made = any(cloud, "ec2", "CreateLaunchTemplate", input).await;
    made["LaunchTemplate"]["LaunchTemplateId"].as_str().unwrap().to_owned()
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub async fn scaling(cloud: &SimulatedCloud, operation: &str, input: Value) -> Value {
    any(cloud, "autoscaling", operation, input).await
}

async fn refused(cloud: &SimulatedCloud, operation: &str, input: Value) -> (String, ErrorKind, String) {
    let error = try_any(cloud, "autoscaling", operation, input).await.unwrap_err();
    (error.code, error.kind, error.message)
}

fn wanted(size: u64, more: Value) -> Value {
    let mut input = json!({
        "AutoScalingGroupName": "shop.web_A", "MinSize": 0, "MaxSize": 10, "DesiredCapacity": size,
        "VPCZoneIdentifier": SUBNETS, "LaunchTemplate": {"LaunchTemplateName": "shop.web_A", "Version": "1"},
    });
    merge(&mut input, more);
    input
}

/// A group of that size whose instances run that image, with what `more` says besides.
pub async fn group(cloud: &SimulatedCloud, size: u64, image: &str, more: Value) {
    template(cloud, "shop.web_A", image).await;
    scaling(cloud, "CreateAutoScalingGroup", wanted(size, more)).await;
}

/// Null when there is none.
pub async fn describe_group(cloud: &SimulatedCloud) -> Value {
    let input = json!({"AutoScalingGroupNames": ["shop.web_A"]});
    let described = scaling(cloud, "DescribeAutoScalingGroups", input).await;
    described.pointer("/AutoScalingGroups/0").cloned().unwrap_or_default()
}

/// Id and state of each instance of the group.
async fn members(cloud: &SimulatedCloud) -> Vec<(String, String)> {
    let described = describe_group(cloud).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = described["Instances"].as_array().unwrap().iter();
    all.map(|i| (text(&i["InstanceId"]), text(&i["LifecycleState"]))).collect()
}

async fn ids(cloud: &SimulatedCloud) -> Vec<String> {
    members(cloud).await.into_iter().map(|(id, _)| id).collect()
}

async fn in_service(cloud: &SimulatedCloud) -> usize {
    members(cloud).await.iter().filter(|(_, state)| state == "InService").count()
}

async fn classic_states(cloud: &SimulatedCloud) -> Vec<String> {
    let output = any(cloud, "elb", "DescribeInstanceHealth", json!({"LoadBalancerName": "shop-classic"})).await;
    let states = output["InstanceStates"].as_array().unwrap().iter();
    states.map(|state| state["State"].as_str().unwrap().to_owned()).collect()
}

async fn activities(cloud: &SimulatedCloud) -> Vec<Value> {
    let input = json!({"AutoScalingGroupName": "shop.web_A"});
    scaling(cloud, "DescribeScalingActivities", input).await["Activities"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_group_grows_to_its_size_in_every_zone_and_joins_its_load_balancer() {
    let cloud = cloud();
    group(&cloud, 3, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    assert!(members(&cloud).await.is_empty(), "nothing happens before the group looks");
    pass(&cloud, 5).await;
    assert!(members(&cloud).await.iter().all(|(_, state)| state == "Pending"));
    pass(&cloud, 25).await;
    assert_eq!(in_service(&cloud).await, 3);
    let described = describe_group(&cloud).await;
    let mut zones: Vec<&str> =
        described["Instances"].as_array().unwrap().iter().map(|i| i["AvailabilityZone"].as_str().unwrap()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    assert_eq!(described["Instances"][0]["LaunchTemplate"]["Version"], "1");
    // In service is not yet healthy: the application has to start, and to pass its checks.
    assert_eq!(classic_states(&cloud).await, ["OutOfService"; 3]);
    pass(&cloud, 45 + 20).await;
    assert_eq!(classic_states(&cloud).await, ["InService"; 3]);
    let first = activities(&cloud).await.remove(0);
    assert_eq!(first["StatusCode"], "Successful");
    assert!(first["Description"].as_str().unwrap().starts_with("Launching a new EC2 instance: i-0b"));
    assert!(first["Cause"].as_str().unwrap().contains("increasing the capacity from 0 to 3."));
}

#[tokio::test]
async fn instances_that_run_a_failing_image_never_become_healthy() {
    let cloud = with_image("shop/web:2", Behaviour::NeverHealthy);
    group(&cloud, 2, "shop/web:2", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    pass(&cloud, 1800).await;
    assert_eq!(in_service(&cloud).await, 2);
    assert_eq!(classic_states(&cloud).await, ["OutOfService"; 2]);
}

#[tokio::test]
async fn the_world_may_say_that_an_ami_or_a_launch_template_fails() {
    for name in ["ami-0a000001", "shop.web_A", "shop.web_A:1"] {
        let cloud = with_image(name, Behaviour::NeverHealthy);
        group(&cloud, 1, "shop/web:2", json!({"LoadBalancerNames": ["shop-classic"]})).await;
        pass(&cloud, 600).await;
        assert_eq!(classic_states(&cloud).await, ["OutOfService"], "{name}");
    }
}

#[tokio::test]
async fn health_checks_of_load_balancers_replace_instances_after_the_grace_period() {
    let cloud = with_image("shop/web:2", Behaviour::NeverHealthy);
    let more = json!({"LoadBalancerNames": ["shop-classic"], "HealthCheckType": "ELB", "HealthCheckGracePeriod": 200});
    group(&cloud, 1, "shop/web:2", more).await;
    pass(&cloud, 30 + 200).await;
    let before = ids(&cloud).await;
    pass(&cloud, 300).await;
    assert_ne!(ids(&cloud).await, before);
    let causes: Vec<String> = activities(&cloud).await.iter().map(|a| a["Cause"].to_string()).collect();
    assert!(causes.iter().any(|c| c.contains("ELB system health check failure")), "{causes:#?}");
}

#[tokio::test]
async fn a_shrinking_group_drains_before_it_terminates_and_spares_what_is_protected() {
    let cloud = cloud();
    group(&cloud, 3, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    pass(&cloud, 200).await;
    let spared = ids(&cloud).await[0].clone();
    let input = json!({"AutoScalingGroupName": "shop.web_A", "InstanceIds": [spared], "ProtectedFromScaleIn": true});
    scaling(&cloud, "SetInstanceProtection", input).await;
    let sizes = json!({"AutoScalingGroupName": "shop.web_A", "MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0});
    scaling(&cloud, "UpdateAutoScalingGroup", sizes).await;
    pass(&cloud, 6).await;
    let states = |all: &[(String, String)], word: &str| all.iter().filter(|(_, state)| state == word).count();
    let now = members(&cloud).await;
    assert_eq!((states(&now, "Terminating"), states(&now, "InService")), (2, 1));
    let leaving = &now.iter().find(|(_, state)| state == "Terminating").unwrap().0;
    let described = any(&cloud, "ec2", "DescribeInstances", json!({"InstanceIds": [leaving]})).await;
    assert_eq!(described["Reservations"][0]["Instances"][0]["State"]["Name"], "running", "it drains for 30 s");
    pass(&cloud, 60).await;
    assert_eq!(members(&cloud).await, [(spared, "InService".to_owned())]);
    let described = any(&cloud, "ec2", "DescribeInstances", json!({"InstanceIds": [leaving]})).await;
    assert_eq!(described["Reservations"][0]["Instances"][0]["State"]["Name"], "terminated");
    pass(&cloud, 3700).await;
    let gone = try_any(&cloud, "ec2", "DescribeInstances", json!({"InstanceIds": [leaving]})).await.unwrap_err();
    assert_eq!((gone.code.as_str(), gone.kind), ("InvalidInstanceID.NotFound", ErrorKind::NotFound));
}

#[tokio::test]
async fn bounds_move_the_desired_capacity_and_hold_it() {
    let cloud = cloud();
    group(&cloud, 2, "shop/web:1", json!({})).await;
    let sizes = |more: Value| {
        let mut input = json!({"AutoScalingGroupName": "shop.web_A"});
        merge(&mut input, more);
        input
    };
    scaling(&cloud, "UpdateAutoScalingGroup", sizes(json!({"MinSize": 4}))).await;
    assert_eq!(describe_group(&cloud).await["DesiredCapacity"], 4);
    scaling(&cloud, "UpdateAutoScalingGroup", sizes(json!({"MinSize": 0, "MaxSize": 3}))).await;
    assert_eq!(describe_group(&cloud).await["DesiredCapacity"], 3);
    let (code, _, message) = refused(&cloud, "SetDesiredCapacity", sizes(json!({"DesiredCapacity": 5}))).await;
    assert_eq!(code, "ValidationError");
    assert_eq!(message, "New SetDesiredCapacity value 5 is above max value 3 for the AutoScalingGroup.");
    let wrong = sizes(json!({"MinSize": 2, "MaxSize": 1}));
    assert!(refused(&cloud, "UpdateAutoScalingGroup", wrong).await.2.starts_with("Max bound, 1"));
}

#[tokio::test]
async fn detached_instances_run_on_and_attached_ones_raise_the_size() {
    let cloud = cloud();
    group(&cloud, 2, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"], "MaxSize": 2})).await;
    pass(&cloud, 200).await;
    let all = ids(&cloud).await;
    let named = |more: Value| {
        let mut input = json!({"AutoScalingGroupName": "shop.web_A", "InstanceIds": [all[0]]});
        merge(&mut input, more);
        input
    };
    let output = scaling(&cloud, "DetachInstances", named(json!({"ShouldDecrementDesiredCapacity": true}))).await;
    assert!(output["Activities"][0]["Description"].as_str().unwrap().starts_with("Detaching EC2 instance"));
    assert_eq!(describe_group(&cloud).await["DesiredCapacity"], 1);
    pass(&cloud, 40).await;
    assert_eq!(ids(&cloud).await, all[1..]);
    let described = any(&cloud, "ec2", "DescribeInstances", json!({"InstanceIds": [all[0]]})).await;
    let instance = &described["Reservations"][0]["Instances"][0];
    assert_eq!(instance["State"]["Name"], "running");
    assert!(!instance["Tags"].to_string().contains("aws:autoscaling:groupName"), "{instance}");
    assert_eq!(classic_states(&cloud).await.len(), 1);

    scaling(&cloud, "AttachInstances", named(json!({}))).await;
    assert_eq!(describe_group(&cloud).await["DesiredCapacity"], 2);
    pass(&cloud, 60).await;
    assert_eq!(in_service(&cloud).await, 2);
    assert_eq!(classic_states(&cloud).await, ["InService"; 2]);

    let again = refused(&cloud, "AttachInstances", named(json!({}))).await;
    assert!(again.2.contains("is already part of AutoScalingGroup shop.web_A"), "{again:?}");
    let sizes = json!({"AutoScalingGroupName": "shop.web_A", "MinSize": 2});
    scaling(&cloud, "UpdateAutoScalingGroup", sizes).await;
    let below = refused(&cloud, "DetachInstances", named(json!({"ShouldDecrementDesiredCapacity": true}))).await;
    assert!(below.2.contains("min=2, max=2, and desired=2"), "{below:?}");
}

#[tokio::test]
async fn what_is_detached_without_decrement_is_replaced_and_cannot_come_back_above_the_maximum() {
    let cloud = cloud();
    group(&cloud, 1, "shop/web:1", json!({"MaxSize": 1})).await;
    pass(&cloud, 60).await;
    let first = ids(&cloud).await;
    let detach = json!({"AutoScalingGroupName": "shop.web_A", "InstanceIds": first,
                        "ShouldDecrementDesiredCapacity": false});
    scaling(&cloud, "DetachInstances", detach.clone()).await;
    pass(&cloud, 60).await;
    assert_eq!(in_service(&cloud).await, 1);
    assert_ne!(ids(&cloud).await, first);
    let (code, kind, message) = refused(&cloud, "DetachInstances", detach).await;
    assert_eq!((code.as_str(), kind), ("ValidationError", ErrorKind::NotFound), "{message}");
    let attach = json!({"AutoScalingGroupName": "shop.web_A", "InstanceIds": first});
    assert!(refused(&cloud, "AttachInstances", attach).await.2.contains("exceeds its maximum size (1)"));
}

#[tokio::test]
async fn suspended_processes_stand_still() {
    let cloud = cloud();
    group(&cloud, 1, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    pass(&cloud, 60).await;
    let processes = |names: Value| json!({"AutoScalingGroupName": "shop.web_A", "ScalingProcesses": names});
    scaling(&cloud, "SuspendProcesses", processes(json!(["Launch", "Terminate"]))).await;
    let size = |count: u64| json!({"AutoScalingGroupName": "shop.web_A", "DesiredCapacity": count});
    scaling(&cloud, "SetDesiredCapacity", size(3)).await;
    pass(&cloud, 300).await;
    assert_eq!(in_service(&cloud).await, 1);
    scaling(&cloud, "SetDesiredCapacity", size(0)).await;
    pass(&cloud, 300).await;
    assert_eq!(in_service(&cloud).await, 1);
    let suspended = describe_group(&cloud).await["SuspendedProcesses"].clone();
    assert_eq!(suspended[0]["ProcessName"], "Launch");
    scaling(&cloud, "ResumeProcesses", processes(json!(["Launch", "Terminate"]))).await;
    pass(&cloud, 300).await;
    assert_eq!(members(&cloud).await, []);
    assert!(refused(&cloud, "SuspendProcesses", processes(json!(["Nap"]))).await.2.contains("Nap"));
}

#[tokio::test]
async fn a_hook_holds_an_instance_until_its_time_is_over() {
    let cloud = cloud();
    let hook = json!([{"LifecycleHookName": "warm", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                       "HeartbeatTimeout": 90, "DefaultResult": "CONTINUE"}]);
    group(&cloud, 1, "shop/web:1", json!({"LifecycleHookSpecificationList": hook})).await;
    pass(&cloud, 60).await;
    assert_eq!(members(&cloud).await[0].1, "Pending:Wait");
    assert_eq!(activities(&cloud).await[0]["StatusCode"], "MidLifecycleAction");
    pass(&cloud, 70).await;
    assert_eq!(members(&cloud).await[0].1, "InService");
    // An abandoned launch ends, and is tried again.
    let hook = json!({"AutoScalingGroupName": "shop.web_A", "LifecycleHookName": "warm", "DefaultResult": "ABANDON"});
    scaling(&cloud, "PutLifecycleHook", hook).await;
    let before = ids(&cloud).await;
    scaling(&cloud, "SetDesiredCapacity", json!({"AutoScalingGroupName": "shop.web_A", "DesiredCapacity": 2})).await;
    pass(&cloud, 600).await;
    assert_eq!(in_service(&cloud).await, 1);
    assert!(ids(&cloud).await.contains(&before[0]));
    let hook = json!({"AutoScalingGroupName": "shop.web_A", "LifecycleHookName": "warm"});
    scaling(&cloud, "DeleteLifecycleHook", hook.clone()).await;
    assert_eq!(refused(&cloud, "DeleteLifecycleHook", hook).await.1, ErrorKind::NotFound);
}

#[tokio::test]
async fn launches_without_room_fail_with_the_reason_and_go_on_when_there_is_room() {
    let cloud = cloud();
    cloud.with_world(|world| world.capacity.insert("t3.micro".to_owned(), 1));
    group(&cloud, 2, "shop/web:1", json!({})).await;
    pass(&cloud, 60).await;
    assert_eq!(in_service(&cloud).await, 1);
    let failed = activities(&cloud).await.into_iter().find(|a| a["StatusCode"] == "Failed").unwrap();
    let message = failed["StatusMessage"].as_str().unwrap();
    assert!(message.starts_with("We currently do not have sufficient t3.micro capacity"), "{message}");
    cloud.with_world(|world| world.capacity.clear());
    pass(&cloud, 600).await;
    assert_eq!(in_service(&cloud).await, 2);
}

#[tokio::test]
async fn a_full_zone_is_avoided() {
    let cloud = cloud();
    cloud.with_world(|world| world.capacity.insert("t3.micro/us-east-1a".to_owned(), 0));
    group(&cloud, 3, "shop/web:1", json!({})).await;
    pass(&cloud, 60).await;
    assert_eq!(in_service(&cloud).await, 3);
    assert!(!describe_group(&cloud).await["Instances"].to_string().contains("us-east-1a"));
}

#[tokio::test]
async fn instances_that_somebody_terminates_are_replaced() {
    let cloud = cloud();
    group(&cloud, 2, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    pass(&cloud, 200).await;
    let before = ids(&cloud).await;
    let output = any(&cloud, "ec2", "TerminateInstances", json!({"InstanceIds": [before[0]]})).await;
    assert_eq!(output["TerminatingInstances"][0]["CurrentState"]["Name"], "shutting-down");
    assert_eq!(classic_states(&cloud).await.len(), 1);
    pass(&cloud, 200).await;
    let after = ids(&cloud).await;
    assert_eq!(in_service(&cloud).await, 2);
    assert!(!after.contains(&before[0]) && after.contains(&before[1]));
    assert_eq!(classic_states(&cloud).await, ["InService"; 2]);
}

#[tokio::test]
async fn load_balancers_are_attached_and_detached_by_the_same_family() {
    let cloud = cloud();
    group(&cloud, 1, "shop/web:1", json!({})).await;
    pass(&cloud, 60).await;
    let arn = target_group(&cloud, "shop-web").await;
    let groups = json!({"AutoScalingGroupName": "shop.web_A", "TargetGroupARNs": [arn]});
    scaling(&cloud, "AttachLoadBalancerTargetGroups", groups.clone()).await;
    let named = json!({"AutoScalingGroupName": "shop.web_A"});
    let state = async || {
        let output = scaling(&cloud, "DescribeLoadBalancerTargetGroups", named.clone()).await;
        output["LoadBalancerTargetGroups"][0]["State"].as_str().map(str::to_owned)
    };
    assert_eq!(state().await.as_deref(), Some("Adding"));
    pass(&cloud, 10).await;
    assert_eq!(state().await.as_deref(), Some("Added"));
    pass(&cloud, 60).await;
    assert_eq!(state().await.as_deref(), Some("InService"));
    assert_eq!(health(&cloud, &arn).await, ["healthy"]);
    let sources = json!({"AutoScalingGroupName": "shop.web_A", "TrafficSources": [{"Identifier": arn}]});
    assert!(refused(&cloud, "DetachTrafficSources", sources).await.2.contains("not part of the group"));
    scaling(&cloud, "DetachLoadBalancerTargetGroups", groups).await;
    assert_eq!(state().await.as_deref(), Some("Removing"));
    assert_eq!(health(&cloud, &arn).await, ["draining"]);
    pass(&cloud, 31).await;
    assert_eq!(state().await, None);
    let unknown = json!({"AutoScalingGroupName": "shop.web_A", "LoadBalancerNames": ["nobody"]});
    assert!(refused(&cloud, "AttachLoadBalancers", unknown).await.2.contains("Please ensure they exist"));
}

#[tokio::test]
async fn a_target_in_a_zone_that_the_load_balancer_does_not_cover_is_unused() {
    let cloud = cloud();
    let arn = target_group(&cloud, "shop-web").await;
    cloud.with_world(|world| world.load_balancers.get_mut("shop").unwrap().subnets.truncate(1));
    group(&cloud, 2, "shop/web:1", json!({"TargetGroupARNs": [arn]})).await;
    pass(&cloud, 300).await;
    assert_eq!(health(&cloud, &arn).await, ["healthy", "unused"]);
}

#[tokio::test]
async fn names_are_unique_and_what_is_missing_is_told_as_aws_tells_it() {
    let cloud = cloud();
    let missing = json!({"AutoScalingGroupName": "shop.web_A", "MinSize": 1});
    let (code, kind, message) = refused(&cloud, "UpdateAutoScalingGroup", missing).await;
    assert_eq!((code.as_str(), kind), ("ValidationError", ErrorKind::NotFound));
    assert_eq!(message, "AutoScalingGroup name not found - AutoScalingGroup 'shop.web_A' not found");
    group(&cloud, 1, "shop/web:1", json!({})).await;
    let (code, kind, _) = refused(&cloud, "CreateAutoScalingGroup", wanted(1, json!({}))).await;
    assert_eq!((code.as_str(), kind), ("AlreadyExists", ErrorKind::Rejected));
    let other = |more: Value| {
        let mut input = wanted(1, json!({"AutoScalingGroupName": "other"}));
        merge(&mut input, more);
        input
    };
    for (more, words) in [
        (json!({"LaunchTemplate": {"LaunchTemplateName": "nobody"}}), "template name nobody, does not exist"),
        (json!({"LaunchTemplate": {"LaunchTemplateName": "shop.web_A", "Version": "7"}}), "version 7"),
        (json!({"VPCZoneIdentifier": "subnet-0"}), "The subnet ID 'subnet-0' does not exist"),
        (json!({"LaunchConfigurationName": "x"}), "Valid requests must contain either"),
        (json!({"DesiredCapacity": 11}), "Desired capacity:11 must be between"),
        (json!({"LoadBalancerNames": ["nobody"]}), "Provided Load Balancers may not be valid"),
    ] {
        let (code, _, message) = refused(&cloud, "CreateAutoScalingGroup", other(more)).await;
        assert!(code == "ValidationError" && message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_group_with_instances_is_deleted_only_by_force() {
    let cloud = cloud();
    group(&cloud, 1, "shop/web:1", json!({"LoadBalancerNames": ["shop-classic"]})).await;
    pass(&cloud, 120).await;
    let named = |force: bool| json!({"AutoScalingGroupName": "shop.web_A", "ForceDelete": force});
    let (code, kind, _) = refused(&cloud, "DeleteAutoScalingGroup", named(false)).await;
    assert_eq!((code.as_str(), kind), ("ResourceInUse", ErrorKind::Transient));
    scaling(&cloud, "DeleteAutoScalingGroup", named(true)).await;
    assert_eq!(describe_group(&cloud).await["Status"], "Delete in progress");
    let (code, kind, message) = refused(&cloud, "CreateAutoScalingGroup", wanted(1, json!({}))).await;
    assert_eq!((code.as_str(), kind), ("AlreadyExists", ErrorKind::Transient));
    assert!(message.contains("pending delete"));
    pass(&cloud, 30).await;
    assert!(describe_group(&cloud).await.is_null());
    assert_eq!(classic_states(&cloud).await, Vec::<String>::new());
    scaling(&cloud, "CreateAutoScalingGroup", wanted(0, json!({}))).await;
    scaling(&cloud, "DeleteAutoScalingGroup", named(false)).await;
    assert!(describe_group(&cloud).await.is_null());
}

#[tokio::test]
async fn mixed_instances_keep_the_shares_of_on_demand_and_spot() {
    let cloud = cloud();
    template(&cloud, "shop.web_A", "shop/web:1").await;
    let mut input = wanted(6, json!({}));
    input.as_object_mut().unwrap().remove("LaunchTemplate");
    input["MixedInstancesPolicy"] = json!({
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "shop.web_A", "Version": "1"},
            "Overrides": [{"InstanceType": "t3.small"}, {"InstanceType": "m5.large"}],
        },
        "InstancesDistribution": {"OnDemandBaseCapacity": 2, "OnDemandPercentageAboveBaseCapacity": 25},
    });
    cloud.with_world(|world| world.capacity.insert("t3.small".to_owned(), 4));
    scaling(&cloud, "CreateAutoScalingGroup", input).await;
    pass(&cloud, 60).await;
    let described = any(
        &cloud,
        "ec2",
        "DescribeInstances",
        json!({
            "Filters": [{"Name": "tag:aws:autoscaling:groupName", "Values": ["shop.web_A"]}],
        }),
    );
    let described = described.await;
    let all: Vec<&Value> = described["Reservations"].as_array().unwrap().iter().map(|r| &r["Instances"][0]).collect();
    assert_eq!(all.iter().filter(|i| i["InstanceLifecycle"] != "spot").count(), 3);
    assert_eq!(all.iter().filter(|i| i["InstanceLifecycle"] == "spot").count(), 3);
    assert_eq!(all.iter().filter(|i| i["InstanceType"] == "t3.small").count(), 4);
    let policy = &describe_group(&cloud).await["MixedInstancesPolicy"];
    assert_eq!(policy["InstancesDistribution"]["SpotAllocationStrategy"], "lowest-price");
}

#[tokio::test]
async fn policies_and_tags_are_kept() {
    let cloud = cloud();
    group(&cloud, 1, "shop/web:1", json!({"Tags": [{"Key": "team", "Value": "a"}]})).await;
    let policy = json!({
        "AutoScalingGroupName": "shop.web_A", "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0,
        },
    });
    let first = scaling(&cloud, "PutScalingPolicy", policy.clone()).await;
    assert_eq!(scaling(&cloud, "PutScalingPolicy", policy).await["PolicyARN"], first["PolicyARN"]);
    let named = json!({"AutoScalingGroupName": "shop.web_A"});
    let described = scaling(&cloud, "DescribePolicies", named).await;
    assert_eq!(described["ScalingPolicies"][0]["TargetTrackingConfiguration"]["TargetValue"], 50.0);
    let deletion = json!({"AutoScalingGroupName": "shop.web_A", "PolicyName": "cpu"});
    scaling(&cloud, "DeletePolicy", deletion.clone()).await;
    assert_eq!(refused(&cloud, "DeletePolicy", deletion).await.1, ErrorKind::NotFound);
    let tag = json!({"ResourceId": "shop.web_A", "ResourceType": "auto-scaling-group", "Key": "team", "Value": "b",
                     "PropagateAtLaunch": true});
    scaling(&cloud, "CreateOrUpdateTags", json!({"Tags": [tag]})).await;
    assert_eq!(describe_group(&cloud).await["Tags"][0]["Value"], "b");
    let found = scaling(
        &cloud,
        "DescribeAutoScalingGroups",
        json!({
            "Filters": [{"Name": "tag:team", "Values": ["b"]}],
        }),
    );
    assert_eq!(found.await["AutoScalingGroups"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn time_that_passes_at_once_or_in_small_steps_leads_to_the_same_world() {
    let run = async |steps: &[u64]| {
        let cloud = with_image("shop/web:2", Behaviour::NeverHealthy);
        let more =
            json!({"LoadBalancerNames": ["shop-classic"], "HealthCheckType": "ELB", "HealthCheckGracePeriod": 60});
        group(&cloud, 4, "shop/web:2", more).await;
        for step in steps {
            pass(&cloud, *step).await;
        }
        cloud.world()
    };
    assert_eq!(run(&[900]).await, run(&[1; 900]).await);
}

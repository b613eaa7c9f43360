//! Observing groups and what belongs to them, and worlds made from that.

use belay_executor::observe::observe;
use belay_executor::simulator::{SimulatedCloud, World, essence};
use belay_schemas::observed::Observed;
use belay_schemas::scope::Scope;
use serde_json::{Value, json};

use crate::groups::{group, scaling, template};
use crate::support::*;

fn scope(more: Value) -> Scope {
    let mut asg = json!({
        "tagPrefix": "belay", "groups": ["shop.web_A", "shop.web_B"], "vpc": "default", "securityGroups": ["app", "sg-0a000001"],
        "amis": ["ami-0a000001"], "keyPairs": ["ops"],
    });
    merge(&mut asg, more);
    serde_json::from_value(json!({"format": 1, "project": "shop", "asg": asg})).unwrap()
}

async fn observed(cloud: &SimulatedCloud, scope: &Scope) -> Observed {
    observe(scope, cloud, cloud, "us-east-1").await.unwrap()
}

fn output<'o>(observed: &'o Observed, operation: &str) -> Vec<&'o Value> {
    observed.reads.iter().filter(|read| read.operation == operation).filter_map(|read| read.output.as_ref()).collect()
}

fn owned() -> Value {
    json!([{"Key": "belay:project", "Value": "shop", "PropagateAtLaunch": true}])
}

#[tokio::test]
async fn what_is_wanted_and_what_is_ours_is_read_with_what_launches_it() {
    let cloud = cloud();
    group(&cloud, 2, "shop/web:1", json!({"Tags": owned(), "LoadBalancerNames": ["shop-classic"]})).await;
    template(&cloud, "shop.old_A", "shop/old:1").await;
    let orphan = json!({
        "AutoScalingGroupName": "shop.old_A", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": "subnet-0a000001",
        "LaunchTemplate": {"LaunchTemplateName": "shop.old_A", "Version": "$Latest"}, "Tags": owned(),
    });
    scaling(&cloud, "CreateAutoScalingGroup", orphan).await;
    pass(&cloud, 200).await;
    let seen = observed(&cloud, &scope(json!({}))).await;
    let names: Vec<&str> = output(&seen, "DescribeAutoScalingGroups")
        .into_iter()
        .flat_map(|output| output["AutoScalingGroups"].as_array().unwrap())
        .map(|group| group["AutoScalingGroupName"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"shop.web_A") && names.contains(&"shop.old_A"), "{names:?}");
    let versions: Vec<Value> = seen
        .reads
        .iter()
        .filter(|r| r.operation == "DescribeLaunchTemplateVersions")
        .map(|r| r.input.clone())
        .collect();
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().any(|input| input["Versions"] == json!(["$Latest"])), "{versions:?}");
    let data = &output(&seen, "DescribeLaunchTemplateVersions")[0]["LaunchTemplateVersions"][0]["LaunchTemplateData"];
    assert!(data["UserData"].as_str().unwrap().starts_with("IyEvYmluL3No"), "{data}");
    assert_eq!(output(&seen, "DescribeSubnets")[0]["Subnets"].as_array().unwrap().len(), 3);
    assert_eq!(output(&seen, "DescribeSecurityGroups").len(), 2);
    assert_eq!(output(&seen, "DescribeImages")[0]["Images"][0]["ImageId"], "ami-0a000001");
    assert_eq!(output(&seen, "DescribeKeyPairs")[0]["KeyPairs"][0]["KeyName"], "ops");
    assert_eq!(output(&seen, "DescribePolicies").len(), 2);
    // What a group is attached to is looked at, although the scope does not name it.
    assert_eq!(
        output(&seen, "DescribeLoadBalancers")[0]["LoadBalancerDescriptions"][0]["LoadBalancerName"],
        "shop-classic"
    );
}

#[tokio::test]
async fn user_data_of_strangers_is_hidden() {
    let cloud = cloud();
    group(&cloud, 1, "shop/secret:1", json!({})).await;
    let seen = observed(&cloud, &scope(json!({}))).await;
    let data = &output(&seen, "DescribeLaunchTemplateVersions")[0]["LaunchTemplateVersions"][0]["LaunchTemplateData"];
    assert!(data["UserData"].as_str().unwrap().starts_with("sha256:"), "{data}");
    assert!(!serde_json::to_string(&seen).unwrap().contains(&crate::groups::base64("#!/bin/sh\ndocker run shop/se")));
}

#[tokio::test]
async fn user_data_in_s3_comes_with_its_etag_and_errors_stay_with_their_object() {
    let cloud = cloud();
    cloud.with_world(|world| {
        let mut long = world.objects["shop-config/user-data.sh"].clone();
        long.text = "x".repeat(16_385);
        world.objects.insert("shop-config/long".to_owned(), long);
    });
    let objects = json!({"objects": ["shop-config/user-data.sh", "shop-config/none", "shop-config/long", "nobucket"]});
    let seen = observed(&cloud, &scope(objects)).await;
    let head = any(&cloud, "s3", "HeadObject", json!({"Bucket": "shop-config", "Key": "user-data.sh"})).await;
    let good = &seen.objects["shop-config/user-data.sh"];
    assert_eq!(good.etag.as_deref(), head["ETag"].as_str());
    assert!(good.content.as_ref().unwrap().contains("{{image_id}}"));
    let error = |name: &str| seen.objects[name].error.clone().unwrap();
    assert!(error("shop-config/none").contains("NoSuchKey"));
    assert!(error("shop-config/long").contains("16385 bytes long"), "{}", error("shop-config/long"));
    assert!(error("nobucket").contains("BUCKET/KEY"));
}

#[tokio::test]
async fn the_vpc_of_the_host_is_read_from_its_metadata() {
    let cloud = cloud();
    let home = json!({"vpc": null, "homeVpc": true});
    let seen = observed(&cloud, &scope(home.clone())).await.home_vpc.unwrap();
    assert!(seen.vpc_id.is_none() && seen.error.unwrap().contains("no EC2 instance"));
    cloud.with_world(|world| world.host_vpc = Some("vpc-0a000001".to_owned()));
    let seen = observed(&cloud, &scope(home)).await;
    assert_eq!(seen.home_vpc.as_ref().unwrap().vpc_id.as_deref(), Some("vpc-0a000001"));
    assert_eq!(output(&seen, "DescribeVpcs")[0]["Vpcs"][0]["VpcId"], "vpc-0a000001");
    assert_eq!(output(&seen, "DescribeSubnets").len(), 1);
}

#[tokio::test]
async fn many_groups_are_read_in_few_calls() {
    let cloud = cloud();
    let names: Vec<String> = (0..120).map(|i| format!("shop.c{i:03}_A")).collect();
    let seen = observed(&cloud, &scope(json!({"groups": names}))).await;
    let reads = |operation: &str| seen.reads.iter().filter(|read| read.operation == operation).count();
    assert_eq!(reads("DescribeAutoScalingGroups"), 3 + 1, "50 names a call, and one by tag");
    assert_eq!(reads("DescribeLaunchConfigurations"), 3);
    assert_eq!(reads("DescribeLaunchTemplates"), 1);
}

#[tokio::test]
async fn a_world_made_of_what_was_observed_goes_on_as_the_real_one() {
    let cloud = cloud();
    let arn = target_group(&cloud, "shop-web").await;
    let more = json!({"Tags": owned(), "LoadBalancerNames": ["shop-classic"], "TargetGroupARNs": [arn], "MinSize": 1});
    group(&cloud, 2, "shop/web:1", more).await;
    pass(&cloud, 300).await;
    let wanted = scope(json!({}));
    let seen = observed(&cloud, &wanted).await;
    let made = SimulatedCloud::new(World::from_observed(&seen).unwrap());
    let again = observe(&wanted, &made, &made, "us-east-1").await.unwrap();
    let groups =
        |observed: &Observed| output(observed, "DescribeAutoScalingGroups").into_iter().cloned().collect::<Vec<_>>();
    let mut before = groups(&seen);
    for group in before.iter_mut().flat_map(|output| output["AutoScalingGroups"].as_array_mut().unwrap()) {
        // When it was made is not known.
        group["CreatedTime"] = groups(&again)[0]["AutoScalingGroups"][0]["CreatedTime"].clone();
    }
    assert_eq!(before, groups(&again));
    let of = |world: &World, part: &str| essence(world)[part].clone();
    for part in ["autoScalingGroups", "launchTemplates"] {
        assert_eq!(of(&made.world(), part), of(&cloud.world(), part), "{part}");
    }
    // And it goes on: what is terminated is replaced, in the load balancers too.
    let sizes = json!({"AutoScalingGroupName": "shop.web_A", "DesiredCapacity": 3});
    scaling(&made, "SetDesiredCapacity", sizes).await;
    pass(&made, 300).await;
    assert_eq!(health(&made, &arn).await, ["healthy"; 3]);
}

//! EC2: launch templates, launch configurations, instances, and what is looked up before they are launched.

use belay_executor::cloud::ErrorKind;
use belay_executor::simulator::SimulatedCloud;
use belay_executor::simulator::world::{Behaviour, Image};
use serde_json::{Value, json};

use crate::groups::{base64, scaling, template};
use crate::support::*;

async fn ec2(cloud: &SimulatedCloud, operation: &str, input: Value) -> Value {
    any(cloud, "ec2", operation, input).await
}

async fn refused(cloud: &SimulatedCloud, service: &str, operation: &str, input: Value) -> (String, ErrorKind) {
    let error = try_any(cloud, service, operation, input).await.unwrap_err();
    (error.code, error.kind)
}

#[tokio::test]
async fn versions_of_a_template_count_up_and_are_never_used_again() {
    let cloud = cloud();
    let id = template(&cloud, "shop.web_A", "shop/web:1").await;
    let version = |source: Option<&str>, kind: &str| {
        let mut input = json!({"LaunchTemplateId": id, "LaunchTemplateData": {"InstanceType": kind}});
        if let Some(source) = source {
            input["SourceVersion"] = source.into();
        }
        input
    };
    let made = ec2(&cloud, "CreateLaunchTemplateVersion", version(Some("1"), "t3.small")).await;
    assert_eq!(made["LaunchTemplateVersion"]["VersionNumber"], 2);
    assert_eq!(made["LaunchTemplateVersion"]["LaunchTemplateData"]["ImageId"], "ami-0a000001", "taken from version 1");
    let bare = ec2(&cloud, "CreateLaunchTemplateVersion", version(None, "t3.small")).await;
    assert_eq!(bare["LaunchTemplateVersion"]["LaunchTemplateData"], json!({"InstanceType": "t3.small"}));
    let delete = |versions: Value| json!({"LaunchTemplateId": id, "Versions": versions});
    let gone = ec2(&cloud, "DeleteLaunchTemplateVersions", delete(json!(["3", "1", "9"]))).await;
    assert_eq!(gone["SuccessfullyDeletedLaunchTemplateVersions"][0]["VersionNumber"], 3);
    let kept = gone["UnsuccessfullyDeletedLaunchTemplateVersions"].as_array().unwrap();
    let codes: Vec<&str> = kept.iter().map(|k| k["ResponseError"]["Code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unexpectedError", "launchTemplateVersionDoesNotExist"], "1 is the default one");
    let next = ec2(&cloud, "CreateLaunchTemplateVersion", version(None, "t3.small")).await;
    assert_eq!(next["LaunchTemplateVersion"]["VersionNumber"], 4);
    ec2(&cloud, "ModifyLaunchTemplate", json!({"LaunchTemplateId": id, "DefaultVersion": "2"})).await;
    let input = json!({"LaunchTemplateName": "shop.web_A", "Versions": ["$Default", "$Latest"]});
    let described = ec2(&cloud, "DescribeLaunchTemplateVersions", input).await;
    let numbers: Vec<u64> = described["LaunchTemplateVersions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["VersionNumber"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [4, 2]);
    assert_eq!(described["LaunchTemplateVersions"][1]["DefaultVersion"], true);
}

#[tokio::test]
async fn a_token_makes_a_template_once() {
    let cloud = cloud();
    let input = |token: &str, kind: &str| json!({"LaunchTemplateName": "shop.web_A", "ClientToken": token, "LaunchTemplateData": {"InstanceType": kind}});
    let first = ec2(&cloud, "CreateLaunchTemplate", input("a", "t3.micro")).await;
    let again = ec2(&cloud, "CreateLaunchTemplate", input("a", "t3.micro")).await;
    assert_eq!(first["LaunchTemplate"]["LaunchTemplateId"], again["LaunchTemplate"]["LaunchTemplateId"]);
    let other = refused(&cloud, "ec2", "CreateLaunchTemplate", input("b", "t3.micro")).await;
    assert_eq!(other, ("InvalidLaunchTemplateName.AlreadyExistsException".to_owned(), ErrorKind::Rejected));
    let changed = refused(&cloud, "ec2", "CreateLaunchTemplate", input("a", "t3.small")).await;
    assert_eq!(changed.0, "IdempotentParameterMismatch");
    let version = json!({"LaunchTemplateName": "shop.web_A", "ClientToken": "v", "LaunchTemplateData": {}});
    for _ in 0..2 {
        let made = ec2(&cloud, "CreateLaunchTemplateVersion", version.clone()).await;
        assert_eq!(made["LaunchTemplateVersion"]["VersionNumber"], 2);
    }
}

#[tokio::test]
async fn missing_templates_are_told_by_name_and_by_id() {
    let cloud = cloud();
    let not_found = |code: &str| (code.to_owned(), ErrorKind::NotFound);
    let by_name = json!({"LaunchTemplateName": "nobody"});
    assert_eq!(
        refused(&cloud, "ec2", "DeleteLaunchTemplate", by_name.clone()).await,
        not_found("InvalidLaunchTemplateName.NotFoundException")
    );
    assert_eq!(
        refused(&cloud, "ec2", "DescribeLaunchTemplates", json!({"LaunchTemplateIds": ["lt-0"]})).await,
        not_found("InvalidLaunchTemplateId.NotFound")
    );
    template(&cloud, "shop.web_A", "shop/web:1").await;
    let version = json!({"LaunchTemplateName": "shop.web_A", "Versions": ["7"]});
    assert_eq!(
        refused(&cloud, "ec2", "DescribeLaunchTemplateVersions", version).await,
        not_found("InvalidLaunchTemplateId.VersionNotFound")
    );
    let filters = json!({"Filters": [{"Name": "launch-template-name", "Values": ["shop.*", "nobody"]}]});
    let found = ec2(&cloud, "DescribeLaunchTemplates", filters).await;
    assert_eq!(found["LaunchTemplates"].as_array().unwrap().len(), 1);
}

fn configuration(more: Value) -> Value {
    let mut input = json!({
        "LaunchConfigurationName": "shop.web_A", "ImageId": "ami-0a000001", "InstanceType": "t3.micro",
        "SecurityGroups": ["app"], "IamInstanceProfile": "app", "AssociatePublicIpAddress": false,
        "UserData": base64("docker run shop/web:1"),
    });
    merge(&mut input, more);
    input
}

#[tokio::test]
async fn a_launch_configuration_is_kept_while_a_group_uses_it() {
    let cloud = cloud();
    scaling(&cloud, "CreateLaunchConfiguration", configuration(json!({}))).await;
    let twice = refused(&cloud, "autoscaling", "CreateLaunchConfiguration", configuration(json!({}))).await;
    assert_eq!(twice, ("AlreadyExists".to_owned(), ErrorKind::Rejected));
    let group = json!({
        "AutoScalingGroupName": "g", "MinSize": 1, "MaxSize": 1, "VPCZoneIdentifier": "subnet-0a000001",
        "LaunchConfigurationName": "shop.web_A",
    });
    scaling(&cloud, "CreateAutoScalingGroup", group).await;
    pass(&cloud, 60).await;
    let described = ec2(
        &cloud,
        "DescribeInstances",
        json!({
            "Filters": [{"Name": "image-id", "Values": ["ami-0a000001"]}],
        }),
    );
    let described = described.await;
    let instance = &described["Reservations"][0]["Instances"][0];
    assert_eq!(instance["SecurityGroups"], json!([{"GroupId": "sg-0a000002", "GroupName": "app"}]));
    assert_eq!(instance.get("PublicIpAddress"), None);
    assert!(instance["IamInstanceProfile"]["Arn"].as_str().unwrap().ends_with(":instance-profile/app"));
    let named = json!({"LaunchConfigurationName": "shop.web_A"});
    let used = refused(&cloud, "autoscaling", "DeleteLaunchConfiguration", named.clone()).await;
    assert_eq!(used, ("ResourceInUse".to_owned(), ErrorKind::Transient));
    scaling(&cloud, "DeleteAutoScalingGroup", json!({"AutoScalingGroupName": "g", "ForceDelete": true})).await;
    pass(&cloud, 60).await;
    scaling(&cloud, "DeleteLaunchConfiguration", named.clone()).await;
    let gone = refused(&cloud, "autoscaling", "DeleteLaunchConfiguration", named).await;
    assert_eq!(gone, ("ValidationError".to_owned(), ErrorKind::NotFound));
}

#[tokio::test]
async fn new_accounts_have_no_launch_configurations() {
    let cloud = cloud();
    cloud.with_world(|world| world.refuses_launch_configurations = true);
    let refusal = refused(&cloud, "autoscaling", "CreateLaunchConfiguration", configuration(json!({}))).await;
    assert_eq!(refusal, ("UnsupportedOperation".to_owned(), ErrorKind::Rejected));
}

#[tokio::test]
async fn what_a_launch_configuration_names_must_exist() {
    let cloud = cloud();
    for (more, words) in [
        (json!({"ImageId": "ami-0"}), "The image id '[ami-0]' does not exist"),
        (json!({"InstanceType": "t9.micro"}), "The instance type 't9.micro' does not exist"),
        (json!({"InstanceType": "t4g.micro"}), "The architecture 'arm64'"),
        (json!({"KeyName": "nobody"}), "The key pair 'nobody' does not exist"),
        (json!({"SecurityGroups": ["nobody"]}), "The security group 'nobody' does not exist"),
        (json!({"IamInstanceProfile": "nobody"}), "Invalid IAM Instance Profile name"),
    ] {
        let error = try_any(&cloud, "autoscaling", "CreateLaunchConfiguration", configuration(more)).await.unwrap_err();
        assert!(error.code == "ValidationError" && error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_deleted_template_makes_the_next_launch_fail() {
    let cloud = cloud();
    crate::groups::group(&cloud, 1, "shop/web:1", json!({})).await;
    pass(&cloud, 60).await;
    ec2(&cloud, "DeleteLaunchTemplate", json!({"LaunchTemplateName": "shop.web_A"})).await;
    scaling(&cloud, "SetDesiredCapacity", json!({"AutoScalingGroupName": "shop.web_A", "DesiredCapacity": 2})).await;
    pass(&cloud, 10).await;
    let activities = scaling(&cloud, "DescribeScalingActivities", json!({"AutoScalingGroupName": "shop.web_A"})).await;
    assert_eq!(activities["Activities"][0]["StatusCode"], "Failed");
    assert!(activities["Activities"][0]["StatusMessage"].as_str().unwrap().contains("does not exist"));
}

#[tokio::test]
async fn look_ups_answer_what_a_first_deployment_asks() {
    let cloud = cloud();
    let images = ec2(&cloud, "DescribeImages", json!({"ImageIds": ["ami-0a000003"]})).await;
    assert_eq!(images["Images"][0]["Architecture"], "arm64");
    let keys = ec2(&cloud, "DescribeKeyPairs", json!({"Filters": [{"Name": "key-name", "Values": ["ops"]}]})).await;
    assert_eq!(keys["KeyPairs"][0]["KeyName"], "ops");
    let types = ec2(&cloud, "DescribeInstanceTypes", json!({"InstanceTypes": ["t3.micro"]})).await;
    assert_eq!(types["InstanceTypes"][0]["MemoryInfo"]["SizeInMiB"], 1024);
    let offered =
        json!({"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": ["t3.micro"]}]});
    let offered = ec2(&cloud, "DescribeInstanceTypeOfferings", offered).await;
    assert_eq!(offered["InstanceTypeOfferings"].as_array().unwrap().len(), 3);
    let profile = any(&cloud, "iam", "GetInstanceProfile", json!({"InstanceProfileName": "app"})).await;
    assert_eq!(profile["InstanceProfile"]["Roles"][0]["RoleName"], "app");
    let nobody = refused(&cloud, "iam", "GetInstanceProfile", json!({"InstanceProfileName": "nobody"})).await;
    assert_eq!(nobody, ("NoSuchEntity".to_owned(), ErrorKind::NotFound));
    let object = json!({"Bucket": "shop-config", "Key": "user-data.sh"});
    let head = any(&cloud, "s3", "HeadObject", object.clone()).await;
    let got = any(&cloud, "s3", "GetObject", object.clone()).await;
    assert_eq!(head["ETag"], got["ETag"]);
    assert!(got["Body"].as_str().unwrap().starts_with("IyEvYmluL3No"));
    let stale = json!({"Bucket": "shop-config", "Key": "user-data.sh", "IfMatch": "\"0\""});
    assert_eq!(refused(&cloud, "s3", "GetObject", stale).await.0, "PreconditionFailed");
    let missing = json!({"Bucket": "shop-config", "Key": "nothing"});
    assert_eq!(refused(&cloud, "s3", "HeadObject", missing).await, ("NoSuchKey".to_owned(), ErrorKind::NotFound));
}

#[tokio::test]
async fn tags_of_templates_come_and_go() {
    let cloud = cloud();
    let id = template(&cloud, "shop.web_A", "shop/web:1").await;
    let tags = json!([{"Key": "team", "Value": "a"}]);
    ec2(&cloud, "CreateTags", json!({"Resources": [id], "Tags": tags})).await;
    let described = ec2(&cloud, "DescribeLaunchTemplates", json!({"LaunchTemplateIds": [id]})).await;
    assert_eq!(described["LaunchTemplates"][0]["Tags"], tags);
    ec2(&cloud, "DeleteTags", json!({"Resources": [id], "Tags": [{"Key": "team"}]})).await;
    let described = ec2(&cloud, "DescribeLaunchTemplates", json!({"LaunchTemplateIds": [id]})).await;
    assert_eq!(described["LaunchTemplates"][0]["Tags"], json!([]));
}

#[tokio::test]
async fn an_image_that_changed_behind_its_tag_is_another_one_for_later_instances() {
    let cloud = with_image("shop/web:1", Behaviour::Healthy);
    crate::groups::group(&cloud, 1, "shop/web:1", json!({})).await;
    pass(&cloud, 60).await;
    let moved = Image { digest: Some(format!("sha256:{}", "9".repeat(64))), ..Image::default() };
    cloud.with_world(|world| world.images.insert("shop/web:1".to_owned(), moved));
    scaling(&cloud, "SetDesiredCapacity", json!({"AutoScalingGroupName": "shop.web_A", "DesiredCapacity": 2})).await;
    pass(&cloud, 60).await;
    let digests: std::collections::BTreeSet<String> = cloud
        .with_world(|world| world.instances.values().map(|instance| instance.images["shop/web:1"].clone()).collect());
    assert_eq!(digests.len(), 2);
}

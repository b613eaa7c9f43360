//! Launch templates, launch configurations and Auto Scaling groups.

use belay_tests::servers::{Client, Emulator};
use serde_json::{Value, json};

use super::conforms;
use super::transcript::{Transcript, differs};

fn nothing(_: &mut Client) {}

/// User data in base64: `#!/bin/sh`.
const USER_DATA: &str = "IyEvYmluL3NoCg==";

/// An AMI of the account; each has its own.
fn image(t: &mut Transcript) -> Value {
    let images = t.aside("ec2", "DescribeImages", json!({}));
    let all = images["Images"].as_array().unwrap();
    all.iter().find(|image| image["Architecture"] == "x86_64").unwrap()["ImageId"].clone()
}

fn template(t: &mut Transcript) -> Value {
    let data = json!({"ImageId": image(t), "InstanceType": "t3.micro", "UserData": USER_DATA});
    json!({"LaunchTemplateName": "shop.web_A", "LaunchTemplateData": data})
}

fn templates(t: &mut Transcript) {
    let wanted = template(t);
    let made = t.step("create", "ec2", "CreateLaunchTemplate", wanted.clone());
    let id = made["LaunchTemplate"]["LaunchTemplateId"].clone();
    t.step("name in use", "ec2", "CreateLaunchTemplate", wanted);
    let version = json!({"LaunchTemplateId": id, "LaunchTemplateData": {"InstanceType": "t3.small"}});
    t.step("another version", "ec2", "CreateLaunchTemplateVersion", version);
    let named = |versions: Value| json!({"LaunchTemplateName": "shop.web_A", "Versions": versions});
    t.step("latest", "ec2", "DescribeLaunchTemplateVersions", named(json!(["$Latest"])));
    t.step("default", "ec2", "DescribeLaunchTemplateVersions", named(json!(["$Default"])));
    t.step("by number", "ec2", "DescribeLaunchTemplateVersions", named(json!(["1"])));
    let default = json!({"LaunchTemplateId": id, "DefaultVersion": "2"});
    t.step("default is another", "ec2", "ModifyLaunchTemplate", default);
    let filters = json!({"Filters": [{"Name": "launch-template-name", "Values": ["shop.web_A", "nothing"]}]});
    t.step("by filter", "ec2", "DescribeLaunchTemplates", filters);
    t.step("missing", "ec2", "DescribeLaunchTemplates", json!({"LaunchTemplateNames": ["nothing"]}));
    t.step("delete", "ec2", "DeleteLaunchTemplate", json!({"LaunchTemplateName": "shop.web_A"}));
    t.step("delete missing", "ec2", "DeleteLaunchTemplate", json!({"LaunchTemplateName": "shop.web_A"}));
}

fn configurations(t: &mut Transcript) {
    let input = json!({
        "LaunchConfigurationName": "shop.web_A", "ImageId": image(t), "InstanceType": "t3.micro", "UserData": USER_DATA,
    });
    t.step("create", "autoscaling", "CreateLaunchConfiguration", input);
    let named = json!({"LaunchConfigurationNames": ["shop.web_A", "nothing"]});
    t.step("describe", "autoscaling", "DescribeLaunchConfigurations", named.clone());
    t.step("delete", "autoscaling", "DeleteLaunchConfiguration", json!({"LaunchConfigurationName": "shop.web_A"}));
    t.step("it is gone", "autoscaling", "DescribeLaunchConfigurations", named);
}

fn group(t: &mut Transcript) {
    let wanted = template(t);
    t.aside("ec2", "CreateLaunchTemplate", wanted);
    let subnets = t.aside("ec2", "DescribeSubnets", json!({}));
    let mut subnets: Vec<(String, String)> = subnets["Subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["AvailabilityZone"].as_str().unwrap().to_owned(), s["SubnetId"].as_str().unwrap().to_owned()))
        .collect();
    subnets.sort();
    let input = json!({
        "AutoScalingGroupName": "shop.web_A", "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2,
        "LaunchTemplate": {"LaunchTemplateName": "shop.web_A", "Version": "1"}, "VPCZoneIdentifier": subnets[0].1,
        "Tags": [{"Key": "belay:project", "Value": "shop", "PropagateAtLaunch": true}],
    });
    t.step("create", "autoscaling", "CreateAutoScalingGroup", input);
    t.settle();
    let named = json!({"AutoScalingGroupNames": ["shop.web_A", "nothing"]});
    let described = t.step("describe", "autoscaling", "DescribeAutoScalingGroups", named.clone());
    let first = described["AutoScalingGroups"][0]["Instances"][0]["InstanceId"].clone();
    let by_tag = json!({"Filters": [{"Name": "tag:belay:project", "Values": ["nobody"]}]});
    t.step("by another tag", "autoscaling", "DescribeAutoScalingGroups", by_tag);
    let of = |more: Value| {
        let mut input = json!({"AutoScalingGroupName": "shop.web_A"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let detach = of(json!({"InstanceIds": [first], "ShouldDecrementDesiredCapacity": true}));
    t.aside("autoscaling", "DetachInstances", detach);
    t.settle();
    t.step("one is detached", "autoscaling", "DescribeAutoScalingGroups", named.clone());
    t.step("suspend", "autoscaling", "SuspendProcesses", of(json!({"ScalingProcesses": ["AlarmNotification"]})));
    t.step("suspended", "autoscaling", "DescribeAutoScalingGroups", named.clone());
    t.step("resume", "autoscaling", "ResumeProcesses", of(json!({"ScalingProcesses": ["AlarmNotification"]})));
    let sizes = of(json!({"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0}));
    t.step("shrink", "autoscaling", "UpdateAutoScalingGroup", sizes);
    t.settle();
    t.step("it is empty", "autoscaling", "DescribeAutoScalingGroups", named.clone());
    t.step("delete", "autoscaling", "DeleteAutoScalingGroup", of(json!({})));
    t.settle();
    t.step("it is gone", "autoscaling", "DescribeAutoScalingGroups", named);
    t.step("update missing", "autoscaling", "UpdateAutoScalingGroup", of(json!({"MinSize": 1})));
}

#[test]
fn launch_templates_as_in_moto() {
    let moments = "each has a clock of its own";
    let callers = "each has a caller of its own";
    let mut differences = vec![
        differs("missing", "/error/message", "the simulation says which one"),
        differs("delete", "/LaunchTemplate/LatestVersionNumber", "moto leaves it out"),
        differs("delete missing", "/error", "moto answers as if no name had been given"),
    ];
    for (step, path) in [
        ("create", "/LaunchTemplate"),
        ("another version", "/LaunchTemplateVersion"),
        ("latest", "/LaunchTemplateVersions/0"),
        ("default", "/LaunchTemplateVersions/0"),
        ("by number", "/LaunchTemplateVersions/0"),
        ("default is another", "/LaunchTemplate"),
        ("by filter", "/LaunchTemplates/0"),
        ("delete", "/LaunchTemplate"),
    ] {
        differences.push(differs(step, format!("{path}/CreateTime"), moments));
        differences.push(differs(step, format!("{path}/CreatedBy"), callers));
    }
    conforms(Emulator::Moto, nothing, templates, &differences);
}

#[test]
fn launch_configurations_as_in_moto() {
    let absent = "moto leaves out what AWS writes as an empty text";
    let differences = [
        differs(
            "describe",
            "/LaunchConfigurations/0/AssociatePublicIpAddress",
            "AWS says nothing where nothing was said",
        ),
        differs("describe", "/LaunchConfigurations/0/InstanceMonitoring/Enabled", "AWS turns monitoring on by default"),
        differs("describe", "/LaunchConfigurations/0/KernelId", absent),
        differs("describe", "/LaunchConfigurations/0/KeyName", absent),
        differs("describe", "/LaunchConfigurations/0/RamdiskId", absent),
        differs("describe", "/LaunchConfigurations/0/UserData", "the peer's client writes it in base64 once more"),
    ];
    conforms(Emulator::Moto, nothing, configurations, &differences);
}

#[test]
fn auto_scaling_groups_as_in_moto() {
    let group = "/AutoScalingGroups/0";
    let mut differences = vec![
        differs("suspended", format!("{group}/SuspendedProcesses/0/SuspensionReason"), "moto gives no reason"),
        differs("update missing", "/error/message", "moto leaves out the name"),
    ];
    for step in ["describe", "one is detached", "suspended", "it is empty"] {
        differences.push(differs(step, format!("{group}/CapacityRebalance"), "AWS leaves out what is off"));
        differences.push(differs(
            step,
            format!("{group}/HealthCheckGracePeriod"),
            "the API's default is 0, the console's 300",
        ));
    }
    conforms(Emulator::Moto, nothing, self::group, &differences);
}

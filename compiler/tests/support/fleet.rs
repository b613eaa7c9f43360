//! The part of a target that is EC2 and Auto Scaling: a network, machine images, and the groups of both slots.

use std::collections::BTreeMap;

use belay_schemas::observed::{HomeVpc, ObjectObservation};
use serde_json::{Value, json};

/// EC2 and Auto Scaling of an account.
#[derive(Clone)]
pub struct Fleet {
    pub vpcs: Vec<Value>,
    pub subnets: Vec<Value>,
    pub security_groups: Vec<Value>,
    pub amis: Vec<&'static str>,
    pub keys: Vec<&'static str>,
    /// Groups by name.
    pub groups: BTreeMap<String, Value>,
    /// Launch templates by name: tags, and the data of each version.
    pub templates: BTreeMap<String, (Value, Vec<Value>)>,
    pub configurations: BTreeMap<String, Value>,
    pub policies: Vec<Value>,
    /// Capacity providers by name, as DescribeCapacityProviders shows them.
    pub providers: BTreeMap<String, Value>,
    pub objects: BTreeMap<String, ObjectObservation>,
    pub home: Option<HomeVpc>,
}

/// The ARN of a group of these tests.
fn arn(name: &str) -> String {
    format!("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/{name}")
}

impl Fleet {
    /// VPC `main` with a subnet in each of three zones and two security groups, and one machine image.
    pub fn new() -> Self {
        let subnet = |n: u32, zone: &str| {
            json!({"SubnetId": format!("subnet-{n}"), "VpcId": "vpc-1", "AvailabilityZone": format!("us-east-1{zone}"),
                "Tags": [{"Key": "Name", "Value": format!("app-{zone}")}]})
        };
        Self {
            vpcs: vec![json!({"VpcId": "vpc-1", "Tags": [{"Key": "Name", "Value": "main"}]})],
            subnets: vec![subnet(1, "a"), subnet(2, "b"), subnet(3, "c")],
            security_groups: vec![json!({"GroupId": "sg-1", "GroupName": "app", "VpcId": "vpc-1"})],
            amis: vec!["ami-12345678"],
            keys: vec!["ops"],
            groups: BTreeMap::new(),
            templates: BTreeMap::new(),
            configurations: BTreeMap::new(),
            policies: Vec::new(),
            providers: BTreeMap::new(),
            objects: BTreeMap::new(),
            home: None,
        }
    }

    /// Carries out a call of a plan; nothing for a call of another service.
    pub fn call(&mut self, operation: &str, input: &Value) -> Option<Value> {
        let name = |member: &str| input[member].as_str().unwrap_or_default().to_owned();
        match operation {
            "CreateLaunchTemplate" => {
                let name = name("LaunchTemplateName");
                let tags = input["TagSpecifications"][0]["Tags"].clone();
                self.templates.insert(name.clone(), (tags, vec![input["LaunchTemplateData"].clone()]));
                Some(json!({"LaunchTemplate": {"LaunchTemplateId": format!("lt-{name}"), "LaunchTemplateName": name}}))
            }
            "DeleteLaunchTemplate" => {
                self.templates.remove(&name("LaunchTemplateName"));
                Some(json!({}))
            }
            "CreateLaunchConfiguration" => {
                self.configurations.insert(name("LaunchConfigurationName"), input.clone());
                Some(json!({}))
            }
            "DeleteLaunchConfiguration" => {
                self.configurations.remove(&name("LaunchConfigurationName"));
                Some(json!({}))
            }
            "CreateAutoScalingGroup" => {
                self.groups.insert(name("AutoScalingGroupName"), input.clone());
                self.settle(&name("AutoScalingGroupName"));
                Some(json!({}))
            }
            "UpdateAutoScalingGroup" => {
                let group = self.groups.get_mut(&name("AutoScalingGroupName")).expect("a group of that name");
                for (member, value) in input.as_object().into_iter().flatten() {
                    group[member] = value.clone();
                }
                self.settle(&name("AutoScalingGroupName"));
                Some(json!({}))
            }
            "DeleteAutoScalingGroup" => {
                self.groups.remove(&name("AutoScalingGroupName"));
                Some(json!({}))
            }
            "DetachInstances" => {
                // The plans of these tests detach one instance at a time.
                let group = self.groups.get_mut(&name("AutoScalingGroupName")).expect("a group of that name");
                group["DesiredCapacity"] = json!(group["DesiredCapacity"].as_u64().unwrap_or_default() - 1);
                self.settle(&name("AutoScalingGroupName"));
                Some(json!({}))
            }
            "CreateCapacityProvider" => {
                let mut own = input["autoScalingGroupProvider"].clone();
                own["autoScalingGroupArn"] = json!(arn(own["autoScalingGroupArn"].as_str().unwrap_or_default()));
                let made = json!({"name": name("name"), "status": "ACTIVE", "updateStatus": "CREATE_COMPLETE",
                    "autoScalingGroupProvider": own, "tags": input["tags"]});
                self.providers.insert(name("name"), made);
                Some(json!({}))
            }
            "UpdateCapacityProvider" => {
                let provider = self.providers.get_mut(&name("name")).expect("a provider of that name");
                for (member, value) in input["autoScalingGroupProvider"].as_object().into_iter().flatten() {
                    provider["autoScalingGroupProvider"][member] = value.clone();
                }
                Some(json!({}))
            }
            "DeleteCapacityProvider" => {
                self.providers.remove(&name("capacityProvider"));
                Some(json!({}))
            }
            "TerminateInstances" => Some(json!({})),
            "SuspendProcesses" | "ResumeProcesses" | "PutScalingPolicy" => Some(json!({})),
            _ => None,
        }
    }

    /// As many instances as wanted, and the template by id and name.
    fn settle(&mut self, name: &str) {
        let group = self.groups.get_mut(name).expect("a group of that name");
        group["AutoScalingGroupARN"] = json!(arn(name));
        let count = group["DesiredCapacity"].as_u64().unwrap_or_default();
        group["Instances"] = (0..count)
            .map(|n| json!({"InstanceId": format!("i-{name}-{n}"), "LifecycleState": "InService", "HealthStatus": "Healthy"}))
            .collect();
        for path in ["/LaunchTemplate", "/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification"] {
            if let Some(spec) = group.pointer_mut(path) {
                let id = spec["LaunchTemplateId"].as_str().unwrap_or_default().to_owned();
                spec["LaunchTemplateName"] = json!(id.trim_start_matches("lt-"));
            }
        }
    }

    /// The reads of an observation.
    pub fn reads(&self) -> Vec<(&'static str, &'static str, Value)> {
        let list = |values: &BTreeMap<String, Value>| values.values().cloned().collect::<Vec<_>>();
        let id = |name: &str| format!("lt-{name}");
        let templates: Vec<Value> = self
            .templates
            .iter()
            .map(|(name, (tags, _))| json!({"LaunchTemplateName": name, "LaunchTemplateId": id(name), "Tags": tags}))
            .collect();
        let versions: Vec<Value> = self
            .templates
            .iter()
            .flat_map(|(name, (_, versions))| {
                versions.iter().enumerate().map(move |(index, data)| {
                    json!({"LaunchTemplateName": name, "LaunchTemplateId": id(name), "VersionNumber": index + 1,
                        "DefaultVersion": index == 0, "LaunchTemplateData": data})
                })
            })
            .collect();
        let amis: Vec<Value> = self.amis.iter().map(|ami| json!({"ImageId": ami})).collect();
        let keys: Vec<Value> = self.keys.iter().map(|key| json!({"KeyName": key})).collect();
        vec![
            ("autoscaling", "DescribeAutoScalingGroups", json!({"AutoScalingGroups": list(&self.groups)})),
            (
                "autoscaling",
                "DescribeLaunchConfigurations",
                json!({"LaunchConfigurations": list(&self.configurations)}),
            ),
            ("ecs", "DescribeCapacityProviders", json!({"capacityProviders": list(&self.providers)})),
            ("autoscaling", "DescribePolicies", json!({"ScalingPolicies": self.policies})),
            ("ec2", "DescribeLaunchTemplates", json!({"LaunchTemplates": templates})),
            ("ec2", "DescribeLaunchTemplateVersions", json!({"LaunchTemplateVersions": versions})),
            ("ec2", "DescribeVpcs", json!({"Vpcs": self.vpcs})),
            ("ec2", "DescribeSubnets", json!({"Subnets": self.subnets})),
            ("ec2", "DescribeSecurityGroups", json!({"SecurityGroups": self.security_groups})),
            ("ec2", "DescribeImages", json!({"Images": amis})),
            ("ec2", "DescribeKeyPairs", json!({"KeyPairs": keys})),
        ]
    }
}

/// A group that somebody else has made, tagged for a component and an image.
pub fn made_beforehand(name: &str, component: &str, image: &str, count: u64) -> Value {
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value, "PropagateAtLaunch": true});
    json!({
        "AutoScalingGroupName": name, "MinSize": count, "MaxSize": count, "DesiredCapacity": count,
        "LaunchConfigurationName": name,
        "Instances": (0..count).map(|n| json!({"InstanceId": format!("i-{n}"), "LifecycleState": "InService"})).collect::<Vec<_>>(),
        "Tags": [tag("skopos:comp_name", component), tag("skopos:image_id", image)]})
}

/// An environment whose components are on EC2 Auto Scaling, with these further settings.
pub fn asg_env(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "core_plugin: ec2-asg\nplugin_config:\n  ec2-asg:\n    vpc: main\n    launch_config:\n      ami: ami-12345678\n      type: t3.micro\n      sg: [app]\n      user_data: |\n        #!/bin/sh\n        docker run {{{{image_id}}}}\n    image_id_subst: \"{{{{image_id}}}}\"\n{lines}"
    )
}

/// A model with one component `web`, and these further lines.
pub fn vm(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("components:\n  web:\n    image: shop/web:1.0\n{lines}")
}

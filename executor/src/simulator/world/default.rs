//! The account that a new world starts with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    ClassicListener, ClassicLoadBalancer, Cluster, ContainerInstance, HealthCheck, InstanceStatus, Listener,
    LoadBalancer, Rule, StoredObject, TargetGroup, Time, World, ecs::reserved_ports,
};

const VPC: &str = "vpc-0a000001";
const GROUP: &str = "sg-0a000001";

fn subnet_id(index: usize) -> String {
    format!("subnet-0a00000{}", index + 1)
}

fn named(name: &str) -> Value {
    json!([{"Key": "Name", "Value": name}])
}

impl World {
    /// Account 123456789012 in us-east-1: VPC `default` with a subnet in each of three zones, cluster `default` with
    /// three container instances, two classic load balancers, an application load balancer with three target groups
    /// behind its listener, and one target group that no load balancer uses; security groups `default` and `app`, AMIs
    /// for both architectures, key pair `ops`, instance profile `app` and an object with user data in S3.
    #[must_use]
    pub fn default_account() -> Self {
        let mut world = Self::empty("123456789012", "us-east-1");
        let account = world.account.clone();
        let zones: Vec<String> = ["a", "b", "c"].iter().map(|zone| format!("{}{zone}", world.region)).collect();
        world.vpcs = vec![json!({
            "VpcId": VPC, "CidrBlock": "10.0.0.0/16", "IsDefault": true, "State": "available", "OwnerId": account,
            "InstanceTenancy": "default", "Tags": named("default"),
        })]
        .into();
        world.subnets = zones
            .iter()
            .enumerate()
            .map(|(i, zone)| {
                json!({
                    "SubnetId": subnet_id(i), "VpcId": VPC, "AvailabilityZone": zone, "State": "available",
                    "CidrBlock": format!("10.0.{i}.0/24"), "AvailableIpAddressCount": 251, "OwnerId": account,
                    "DefaultForAz": true, "MapPublicIpOnLaunch": true, "Tags": named(&format!("default-{zone}")),
                })
            })
            .collect();
        world.security_groups = vec![json!({
            "GroupId": GROUP, "GroupName": "default", "Description": "default VPC security group", "VpcId": VPC,
            "OwnerId": account, "IpPermissions": [], "IpPermissionsEgress": [], "Tags": named("default"),
        })]
        .into();
        world.fill_machines();
        world.clusters.insert(
            "default".to_owned(),
            Cluster {
                status: "ACTIVE".to_owned(),
                capacity_providers: Vec::new(),
                default_capacity_provider_strategy: Vec::new(),
                attachments_due: None,
                settings: vec![json!({"name": "containerInsights", "value": "disabled"})],
                service_connect_namespace: None,
                tags: BTreeMap::new(),
            },
        );
        for (i, zone) in zones.iter().enumerate() {
            world.container_instances.insert(format!("{:032x}", 0xc1_0000 + i), container_instance(i, zone));
        }
        world.classic_load_balancers.insert("shop-classic".to_owned(), world.classic("shop-classic", &zones, 8080));
        world.classic_load_balancers.insert("internal-api".to_owned(), world.classic("internal-api", &zones, 8081));
        for (i, name) in ["shop-web", "shop-api", "shop-admin", "unattached"].into_iter().enumerate() {
            let group = world.plain_target_group(name, i);
            world.target_groups.insert(name.to_owned(), group);
        }
        let balancer = world.shop_balancer();
        world.load_balancers.insert("shop".to_owned(), balancer);
        world
    }

    /// What EC2 instances are launched with.
    fn fill_machines(&mut self) {
        let account = self.account.clone();
        self.security_groups.push(json!({
            "GroupId": "sg-0a000002", "GroupName": "app", "Description": "application instances", "VpcId": VPC,
            "OwnerId": account, "IpPermissions": [], "IpPermissionsEgress": [], "Tags": named("app"),
        }));
        let images = [
            ("ami-0a000001", "base-1", "x86_64"),
            ("ami-0a000002", "base-2", "x86_64"),
            ("ami-0a000003", "base-arm-1", "arm64"),
        ];
        self.machine_images = images
            .iter()
            .map(|(id, name, architecture)| {
                json!({
                    "ImageId": id, "Name": name, "Architecture": architecture, "State": "available", "OwnerId": account,
                    "Public": false, "ImageType": "machine", "RootDeviceType": "ebs", "RootDeviceName": "/dev/xvda",
                    "VirtualizationType": "hvm", "CreationDate": "2025-12-01T00:00:00.000Z", "Tags": named(name),
                })
            })
            .collect();
        self.key_pairs = vec![json!({
            "KeyPairId": "key-0a000001", "KeyName": "ops", "KeyType": "ed25519", "Tags": [],
            "KeyFingerprint": "sNnOgVcFIUHRFBNPzXEbDSTa+0000000000000000000",
        })]
        .into();
        let roles = json!([{
            "Path": "/", "RoleName": "app", "RoleId": "AROASIMULATED", "Arn": self.iam_arn("role/app"),
            "CreateDate": Time::START.to_string(),
        }]);
        self.instance_profiles = vec![json!({
            "Path": "/", "InstanceProfileName": "app", "InstanceProfileId": "AIPASIMULATED",
            "Arn": self.iam_arn("instance-profile/app"), "CreateDate": Time::START.to_string(), "Roles": roles,
        })]
        .into();
        let text = "#!/bin/sh\nexec docker run --restart=unless-stopped -p 8080:8080 {{image_id}}\n".to_owned();
        let object = StoredObject { text, etag: None, version_id: None, modified_at: Time::START };
        self.objects.insert("shop-config/user-data.sh".to_owned(), object);
    }

    fn elb_arn(&self, resource: &str) -> String {
        format!("arn:{}:elasticloadbalancing:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    fn classic(&self, name: &str, zones: &[String], instance_port: u64) -> ClassicLoadBalancer {
        let internal = name.starts_with("internal");
        ClassicLoadBalancer {
            dns_name: format!("{name}-1234567890.{}.elb.amazonaws.com", self.region),
            scheme: if internal { "internal" } else { "internet-facing" }.to_owned(),
            vpc_id: VPC.to_owned(),
            subnets: (0..zones.len()).map(subnet_id).collect(),
            availability_zones: zones.to_vec(),
            security_groups: vec![GROUP.to_owned()],
            listeners: vec![ClassicListener {
                protocol: "HTTP".to_owned(),
                load_balancer_port: 80,
                instance_protocol: "HTTP".to_owned(),
                instance_port,
            }],
            health_check: HealthCheck {
                protocol: "HTTP".to_owned(),
                port: instance_port.to_string(),
                path: Some("/".to_owned()),
                interval_seconds: 10,
                timeout_seconds: 5,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
                matcher: None,
            },
            connection_draining_seconds: Some(30),
            idle_timeout_seconds: 60,
            cross_zone: true,
            created_at: Time::START,
            tags: BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    fn plain_target_group(&self, name: &str, index: usize) -> TargetGroup {
        TargetGroup {
            arn: self.elb_arn(&format!("targetgroup/{name}/{:016x}", 0x7a_0000 + index)),
            protocol: "HTTP".to_owned(),
            port: 80,
            vpc_id: VPC.to_owned(),
            target_type: "instance".to_owned(),
            health_check: HealthCheck {
                protocol: "HTTP".to_owned(),
                port: "traffic-port".to_owned(),
                path: Some("/".to_owned()),
                interval_seconds: 5,
                timeout_seconds: 4,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
                matcher: Some("200".to_owned()),
            },
            attributes: BTreeMap::from([("deregistration_delay.timeout_seconds".to_owned(), "30".to_owned())]),
            tags: BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    /// A load balancer whose listener sends `/api/*` and `/admin/*` to their own target groups, the rest to the first.
    fn shop_balancer(&self) -> LoadBalancer {
        let id = "app/shop/00000000007b0000";
        let listener = format!("{id}/00000000007c0000");
        let forward = |group: &str| {
            let arn = self.target_groups.get(group).map_or("", |g| g.arn.as_str());
            json!({
                "Type": "forward", "TargetGroupArn": arn, "Order": 1,
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}],
                    "TargetGroupStickinessConfig": {"Enabled": false},
                },
            })
        };
        let rule = |priority: u64, path: &str, group: &str| Rule {
            arn: self.elb_arn(&format!("listener-rule/{listener}/{:016x}", 0x7d_0000 + priority)),
            priority,
            conditions: vec![
                json!({"Field": "path-pattern", "Values": [path], "PathPatternConfig": {"Values": [path]}}),
            ],
            actions: vec![forward(group)],
            tags: BTreeMap::new(),
        };
        LoadBalancer {
            arn: self.elb_arn(&format!("loadbalancer/{id}")),
            kind: "application".to_owned(),
            scheme: "internet-facing".to_owned(),
            vpc_id: VPC.to_owned(),
            subnets: (0..self.subnets.len()).map(subnet_id).collect(),
            security_groups: vec![GROUP.to_owned()],
            dns_name: format!("shop-1234567890.{}.elb.amazonaws.com", self.region),
            created_at: Time::START,
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
            listeners: vec![Listener {
                default_rule: None,
                arn: self.elb_arn(&format!("listener/{listener}")),
                port: 80,
                protocol: "HTTP".to_owned(),
                default_actions: vec![forward("shop-web")],
                certificates: Vec::new(),
                rules: vec![rule(10, "/api/*", "shop-api"), rule(20, "/admin/*", "shop-admin")],
                tags: BTreeMap::new(),
            }],
        }
    }
}

fn container_instance(index: usize, zone: &str) -> ContainerInstance {
    ContainerInstance {
        cluster: "default".to_owned(),
        ec2_instance_id: format!("i-0a00000000000000{}", index + 1),
        availability_zone: zone.to_owned(),
        status: InstanceStatus::Active,
        cpu: 2048,
        memory: 7680,
        reserved_ports: reserved_ports(),
        task_interfaces: 2,
        private_ip: Some(format!("10.0.{index}.10")),
        attributes: BTreeMap::from([
            ("ecs.instance-type".to_owned(), "m5.large".to_owned()),
            ("ecs.os-type".to_owned(), "linux".to_owned()),
        ]),
        capacity_provider: None,
        tags: BTreeMap::new(),
        registered_at: Time::START,
    }
}

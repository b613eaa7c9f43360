//! Accounts of emulators that look like simulated worlds: load balancers, target groups, clusters with instances, images.
//!
//! Invariants: everything is made by calls that AWS has, one account for each test that runs beside others; names are the
//! world's, ids and ARNs are the emulator's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use belay_executor::simulator::World;
use belay_executor::simulator::world::{
    ClassicLoadBalancer, HealthCheck, HostedZone, Listener, LoadBalancer, NamespaceKind, TargetGroup,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::servers::{Client, Credentials, Emulator, PeerError, REGION};

/// An account of an emulator, and a client that works in it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// Who acts in it.
    pub credentials: Credentials,
    emulator: Emulator,
    client: Arc<Mutex<Client>>,
}

impl Account {
    /// An empty account with that id.
    ///
    /// # Panics
    /// When the emulator does not answer as it should, as everything here.
    pub fn new(emulator: Emulator, client: &Arc<Mutex<Client>>, id: &str) -> Self {
        let client = Arc::clone(client);
        let credentials = match emulator {
            // A key of twelve digits is the account's own.
            Emulator::Ministack => Credentials { id: id.to_owned(), secret: "testing".to_owned(), token: None },
            Emulator::Moto | Emulator::Shimmed => {
                let role = json!({"RoleArn": format!("arn:aws:iam::{id}:role/deployer"), "RoleSessionName": "tests"});
                let answer = client.lock().unwrap_or_else(PoisonError::into_inner).call("sts", "AssumeRole", &role);
                let given = match answer {
                    Ok(Ok(answer)) => answer["Credentials"].clone(),
                    other => panic!("AssumeRole: {other:?}"),
                };
                let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
                Credentials {
                    id: text("AccessKeyId"),
                    secret: text("SecretAccessKey"),
                    token: Some(text("SessionToken")),
                }
            }
        };
        Self { id: id.to_owned(), credentials, emulator, client }
    }

    /// Whose account it is.
    pub fn emulator(&self) -> Emulator {
        self.emulator
    }

    /// A call in this account, through botocore.
    ///
    /// # Errors
    /// What the emulator answered.
    pub fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, PeerError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match client.call_as(&self.credentials, service, operation, input) {
            Ok(answer) => answer,
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    /// A call that has to succeed.
    pub fn must(&self, service: &str, operation: &str, input: &Value) -> Value {
        match self.call(service, operation, input) {
            Ok(answer) => answer,
            Err(error) => panic!("{service} {operation} {input}: {error}"),
        }
    }

    /// What a request to the emulator itself answers.
    pub fn server(&self, path: &str, body: Option<&Value>) -> Value {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.server(path, body).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The registry of this account's images.
    pub fn registry(&self) -> String {
        format!("{}.dkr.ecr.{REGION}.amazonaws.com", self.id)
    }

    /// Puts an image (`REPOSITORY:TAG`) into the account's registry; its digest.
    pub fn push(&self, image: &str) -> String {
        self.push_as(image, image)
    }

    /// The same with some content: the tag then means another image. No two accounts have an image in common, so what
    /// happens to one by its digest (`/shim/failing`) happens to no other account's, whose fixture runs beside it.
    pub fn push_as(&self, image: &str, content: &str) -> String {
        let (repository, tag) = image.split_once(':').unwrap_or((image, "latest"));
        let content = format!("{content} of {}", self.id);
        // The repository may be there already.
        let _ = self.call("ecr", "CreateRepository", &json!({"repositoryName": repository}));
        let hash = |text: &str| {
            let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        };
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let config =
            json!({"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": hash(&content)});
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}).to_string();
        let input = json!({"repositoryName": repository, "imageTag": tag, "imageManifest": manifest,
            "imageManifestMediaType": kind, "imageDigest": hash(&manifest)});
        match self.call("ecr", "PutImage", &input) {
            Err(error) if error.code != "ImageAlreadyExistsException" => panic!("PutImage {image}: {error}"),
            _ => {}
        }
        let wanted = json!({"repositoryName": repository, "imageIds": [{"imageTag": tag}]});
        let pushed = self.must("ecr", "DescribeImages", &wanted);
        pushed["imageDetails"][0]["imageDigest"].as_str().unwrap_or_default().to_owned()
    }

    /// Makes a namespace.
    pub fn namespace(&self, name: &str, kind: NamespaceKind) {
        if kind == NamespaceKind::Http {
            self.must("servicediscovery", "CreateHttpNamespace", &json!({"Name": name}));
            return;
        }
        let vpc = self.must("ec2", "DescribeVpcs", &json!({}))["Vpcs"][0]["VpcId"].clone();
        self.must("servicediscovery", "CreatePrivateDnsNamespace", &json!({"Name": name, "Vpc": vpc}));
    }

    /// Makes what a world holds before anything is deployed, as far as the emulator knows such things. Gives back the ARNs of
    /// listeners and their rules, as the world and as the emulator has them.
    pub fn seed(&self, world: &World) -> Vec<(String, String)> {
        let network = Network::of(self, world);
        self.name_networks(world, &network);
        let groups: BTreeMap<&str, String> = world
            .target_groups
            .iter()
            .map(|(name, group)| (group.arn.as_str(), self.target_group(name, group, &network)))
            .collect();
        let balancers = world.load_balancers.iter();
        let listeners =
            balancers.flat_map(|(name, balancer)| self.load_balancer(name, balancer, &network, &groups)).collect();
        if self.emulator != Emulator::Ministack {
            for (name, balancer) in &world.classic_load_balancers {
                self.classic(name, balancer, &network);
            }
        }
        for zone in world.hosted_zones.values() {
            self.hosted_zone(zone, &network);
        }
        for (name, cluster) in &world.clusters {
            let input = json!({"clusterName": name, "settings": cluster.settings,
                "capacityProviders": cluster.capacity_providers});
            self.must("ecs", "CreateCluster", &input);
        }
        if self.emulator != Emulator::Ministack {
            for instance in world.container_instances.values() {
                let kind = instance.attributes.get("ecs.instance-type").map_or("m5.large", String::as_str);
                let run = json!({"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "InstanceType": kind,
                    "SubnetId": network.in_zone(&instance.availability_zone)});
                let made = self.must("ec2", "RunInstances", &run);
                let document = json!({"instanceId": made["Instances"][0]["InstanceId"]}).to_string();
                let join = json!({"cluster": instance.cluster, "instanceIdentityDocument": document});
                self.must("ecs", "RegisterContainerInstance", &join);
            }
        }
        listeners
    }

    /// A hosted zone with its records, of the VPC if it is private.
    fn hosted_zone(&self, zone: &HostedZone, network: &Network) {
        let mut input = json!({"Name": zone.name, "CallerReference": format!("private {}", zone.private),
            "HostedZoneConfig": {"PrivateZone": zone.private}});
        if zone.private {
            input["VPC"] = json!({"VPCRegion": "us-east-1", "VPCId": network.vpc});
        }
        let made = self.must("route53", "CreateHostedZone", &input);
        let changes: Vec<Value> =
            zone.records.iter().map(|set| json!({"Action": "CREATE", "ResourceRecordSet": set})).collect();
        if !changes.is_empty() {
            let input = json!({"HostedZoneId": made["HostedZone"]["Id"], "ChangeBatch": {"Changes": changes}});
            self.must("route53", "ChangeResourceRecordSets", &input);
        }
    }

    /// The account's own networks get the world's names.
    fn name_networks(&self, world: &World, network: &Network) {
        let subnets = world.subnets.iter().map(|one| (one, one["SubnetId"].as_str().and_then(|id| network.subnet(id))));
        let vpcs = world.vpcs.iter().map(|one| (one, Some(network.vpc.as_str())));
        for (one, here) in subnets.chain(vpcs) {
            let tags: Vec<&Value> =
                one["Tags"].as_array().into_iter().flatten().filter(|tag| tag["Key"] == "Name").collect();
            if let Some(id) = here.filter(|_| !tags.is_empty()) {
                self.must("ec2", "CreateTags", &json!({"Resources": [id], "Tags": tags}));
            }
        }
    }

    /// Makes what instances are made of, and names for it: security groups, key pairs, an instance profile, AMIs. Gives
    /// back what is called otherwise here.
    pub fn seed_machines(&self, world: &World) -> Vec<(String, String)> {
        let network = Network::of(self, world);
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let mut instead = Vec::new();
        for id in world.subnets.iter().map(|subnet| text(subnet, "SubnetId")) {
            instead.extend(network.subnet(&id).map(|here| (id.clone(), here.to_owned())));
        }
        for group in world.security_groups.iter().filter(|group| group["GroupName"] != "default") {
            let input = json!({"GroupName": group["GroupName"], "Description": "of a test", "VpcId": network.vpc});
            let made = self.must("ec2", "CreateSecurityGroup", &input);
            instead.push((text(group, "GroupId"), text(&made, "GroupId")));
        }
        for key in &world.key_pairs {
            self.must("ec2", "CreateKeyPair", &json!({"KeyName": key["KeyName"]}));
        }
        self.must("iam", "CreateInstanceProfile", &json!({"InstanceProfileName": "app"}));
        for image in &world.machine_images {
            let id = text(image, "ImageId");
            let input = json!({"Name": id, "Architecture": text(image, "Architecture"), "RootDeviceName": "/dev/sda1"});
            let made = self.must("ec2", "RegisterImage", &input);
            instead.push((id, text(&made, "ImageId")));
        }
        instead
    }

    fn target_group(&self, name: &str, group: &TargetGroup, network: &Network) -> String {
        let HealthCheck { protocol, port, path, interval_seconds, timeout_seconds, .. } = &group.health_check;
        let mut input = json!({"Name": name, "Protocol": group.protocol, "Port": group.port, "VpcId": network.vpc,
            "TargetType": group.target_type, "HealthCheckProtocol": protocol, "HealthCheckPort": port,
            "HealthCheckIntervalSeconds": interval_seconds, "HealthCheckTimeoutSeconds": timeout_seconds,
            "HealthyThresholdCount": group.health_check.healthy_threshold,
            "UnhealthyThresholdCount": group.health_check.unhealthy_threshold});
        if let Some(path) = path {
            input["HealthCheckPath"] = json!(path);
        }
        if let Some(matcher) = &group.health_check.matcher {
            input["Matcher"] = json!({"HttpCode": matcher});
        }
        let made = self.must("elbv2", "CreateTargetGroup", &input);
        let arn = made["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap_or_default().to_owned();
        let attributes: Vec<Value> =
            group.attributes.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let modify = json!({"TargetGroupArn": arn, "Attributes": attributes});
        self.must("elbv2", "ModifyTargetGroupAttributes", &modify);
        arn
    }

    /// The ARNs of its listeners and rules, as the world and as the emulator has them.
    fn load_balancer(
        &self,
        name: &str,
        balancer: &LoadBalancer,
        network: &Network,
        groups: &BTreeMap<&str, String>,
    ) -> Vec<(String, String)> {
        let subnets: Vec<&str> = balancer.subnets.iter().filter_map(|id| network.subnet(id)).collect();
        let input = json!({"Name": name, "Type": balancer.kind, "Scheme": balancer.scheme, "Subnets": subnets});
        let made = self.must("elbv2", "CreateLoadBalancer", &input);
        let arn = &made["LoadBalancers"][0]["LoadBalancerArn"];
        let here = |actions: &[Value]| {
            let forward = actions.iter().map(|action| {
                let group = action["TargetGroupArn"].as_str().and_then(|arn| groups.get(arn));
                json!({"Type": "forward", "TargetGroupArn": group})
            });
            forward.collect::<Vec<Value>>()
        };
        let listen = |listener: &Listener| {
            let input = json!({"LoadBalancerArn": arn, "Port": listener.port, "Protocol": listener.protocol,
                "DefaultActions": here(&listener.default_actions)});
            let listening = self.must("elbv2", "CreateListener", &input);
            let known = listening["Listeners"][0]["ListenerArn"].as_str().unwrap_or_default();
            let mut both = vec![(listener.arn.clone(), known.to_owned())];
            for rule in &listener.rules {
                let conditions: Vec<Value> =
                    rule.conditions.iter().map(|one| json!({"Field": one["Field"], "Values": one["Values"]})).collect();
                let input = json!({"ListenerArn": known, "Priority": rule.priority,
                    "Conditions": conditions, "Actions": here(&rule.actions)});
                let made = self.must("elbv2", "CreateRule", &input);
                if self.emulator == Emulator::Ministack {
                    // It knows a group's load balancer only where a listener itself leads to the group.
                    let input = json!({"LoadBalancerArn": arn, "Port": 10_000 + rule.priority,
                        "Protocol": listener.protocol, "DefaultActions": here(&rule.actions)});
                    self.must("elbv2", "CreateListener", &input);
                }
                let here = made["Rules"][0]["RuleArn"].as_str().unwrap_or_default();
                both.push((rule.arn.clone(), here.to_owned()));
            }
            both
        };
        balancer.listeners.iter().flat_map(listen).collect()
    }

    fn classic(&self, name: &str, balancer: &ClassicLoadBalancer, network: &Network) {
        let listeners: Vec<Value> = balancer
            .listeners
            .iter()
            .map(|one| {
                json!({"Protocol": one.protocol, "LoadBalancerPort": one.load_balancer_port,
                    "InstanceProtocol": one.instance_protocol, "InstancePort": one.instance_port})
            })
            .collect();
        let subnets: Vec<&str> = balancer.subnets.iter().filter_map(|id| network.subnet(id)).collect();
        let input =
            json!({"LoadBalancerName": name, "Listeners": listeners, "Subnets": subnets, "Scheme": balancer.scheme});
        self.must("elb", "CreateLoadBalancer", &input);
        let check = &balancer.health_check;
        let target = format!("{}:{}{}", check.protocol, check.port, check.path.as_deref().unwrap_or_default());
        let input = json!({"LoadBalancerName": name, "HealthCheck": {"Target": target,
            "Interval": check.interval_seconds, "Timeout": check.timeout_seconds,
            "HealthyThreshold": check.healthy_threshold, "UnhealthyThreshold": check.unhealthy_threshold}});
        self.must("elb", "ConfigureHealthCheck", &input);
        let drain = balancer.connection_draining_seconds;
        let attributes = json!({"CrossZoneLoadBalancing": {"Enabled": balancer.cross_zone},
            "ConnectionDraining": {"Enabled": drain.is_some(), "Timeout": drain.unwrap_or(300)},
            "ConnectionSettings": {"IdleTimeout": balancer.idle_timeout_seconds}});
        let input = json!({"LoadBalancerName": name, "LoadBalancerAttributes": attributes});
        self.must("elb", "ModifyLoadBalancerAttributes", &input);
    }
}

/// The account's default VPC, in the place of the world's.
struct Network {
    vpc: String,
    /// Zone and id of the account's subnets.
    zones: BTreeMap<String, String>,
    /// The zone of each of the world's subnets.
    world: BTreeMap<String, String>,
}

impl Network {
    fn of(account: &Account, world: &World) -> Self {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let found = account.must("ec2", "DescribeSubnets", &json!({}));
        let subnets = found["Subnets"].as_array().cloned().unwrap_or_default();
        Self {
            vpc: subnets.first().map(|one| text(one, "VpcId")).unwrap_or_default(),
            zones: subnets.iter().map(|one| (text(one, "AvailabilityZone"), text(one, "SubnetId"))).collect(),
            world: world.subnets.iter().map(|one| (text(one, "SubnetId"), text(one, "AvailabilityZone"))).collect(),
        }
    }

    fn in_zone(&self, zone: &str) -> Option<&str> {
        self.zones.get(zone).map(String::as_str)
    }

    fn subnet(&self, of_the_world: &str) -> Option<&str> {
        self.world.get(of_the_world).and_then(|zone| self.in_zone(zone))
    }
}

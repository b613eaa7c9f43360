//! A target as `belay observe` would describe it, built in code: in AWS's own shapes, defaults filled in as AWS fills
//! them.

use std::collections::{BTreeMap, BTreeSet};

use belay_schemas::FORMAT;
use belay_schemas::late::is_reserved;
use belay_schemas::observed::{ImageObservation, Observed, Read};
use belay_schemas::plan::{Call, Phase, Plan};
use belay_schemas::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fleet::Fleet;

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";

/// The digest that a tag has in the registry of these tests.
pub fn digest(image: &str) -> String {
    let hex: String = Sha256::digest(image.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

/// The ARN of a target group of these tests.
pub fn group_arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/0123456789abcdef")
}

fn ecs_arn(rest: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:{rest}")
}

/// What runs in an account.
#[derive(Clone)]
pub struct World {
    pub cluster: Value,
    pub services: BTreeMap<String, Value>,
    /// `serviceRevisions[]` by ARN.
    pub revisions: BTreeMap<String, Value>,
    /// Task definitions with their tags, by ARN; deregistered ones are INACTIVE.
    pub definitions: BTreeMap<String, (Value, Value)>,
    pub target_groups: Vec<Value>,
    pub attributes: BTreeMap<String, Value>,
    pub classic: Vec<Value>,
    pub instances: Vec<Value>,
    /// Capacity providers of the cluster, as DescribeCapacityProviders shows them.
    pub providers: Vec<Value>,
    pub vpcs: Vec<Value>,
    pub subnets: Vec<Value>,
    pub security_groups: Vec<Value>,
    /// Quotas of AWS Fargate by their codes.
    pub quotas: BTreeMap<String, f64>,
    /// Listeners of network load balancers, as DescribeListeners shows them.
    pub listeners: Vec<Value>,
    /// Rules by the ARN of their listener, with their tags under `Tags`.
    pub rules: BTreeMap<String, Vec<Value>>,
    /// Rules of EventBridge that nobody's tags say anything about, as DescribeRule shows them.
    pub event_rules: Vec<Value>,
    /// Hosted zones of Route 53, as ListHostedZonesByName shows them.
    pub zones: Vec<Value>,
    /// Record sets by the id of their zone and the name that was looked up.
    pub records: BTreeMap<(String, String), Vec<Value>>,
    /// Schedules, as GetSchedule shows them.
    pub schedules: Vec<Value>,
    /// Metric alarms, as DescribeAlarms shows them.
    pub alarms: Vec<Value>,
    /// Log groups, by name.
    pub log_groups: BTreeSet<String>,
    /// Cloud Map namespaces, as ListNamespaces shows them.
    pub namespaces: Vec<Value>,
    /// Cloud Map services by the id of their namespace.
    pub registries: BTreeMap<String, Vec<Value>>,
    /// Digests of images that differ from [`digest`]; `Err` is what the registry says.
    pub images: BTreeMap<String, Result<String, String>>,
    /// Images that the observation does not mention.
    pub unseen: BTreeSet<String>,
    /// EC2 and Auto Scaling.
    pub fleet: Fleet,
}

impl World {
    /// The cluster `default` with three container instances of 2,048 CPU units and 4,096 MiB; nothing runs.
    pub fn new() -> Self {
        Self {
            cluster: json!({"clusterName": "default", "clusterArn": ecs_arn("cluster/default"), "status": "ACTIVE",
                "capacityProviders": [], "defaultCapacityProviderStrategy": []}),
            services: BTreeMap::new(),
            revisions: BTreeMap::new(),
            definitions: BTreeMap::new(),
            target_groups: Vec::new(),
            attributes: BTreeMap::new(),
            classic: Vec::new(),
            instances: (0..3).map(|n| instance(n, 2048, 4096, &[])).collect(),
            providers: Vec::new(),
            vpcs: Vec::new(),
            subnets: Vec::new(),
            security_groups: Vec::new(),
            rules: BTreeMap::new(),
            quotas: BTreeMap::new(),
            listeners: Vec::new(),
            event_rules: Vec::new(),
            zones: Vec::new(),
            records: BTreeMap::new(),
            schedules: Vec::new(),
            alarms: Vec::new(),
            log_groups: BTreeSet::new(),
            namespaces: Vec::new(),
            registries: BTreeMap::new(),
            images: BTreeMap::new(),
            unseen: BTreeSet::new(),
            fleet: Fleet::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// A target group with AWS's defaults, forwarded to by a load balancer.
    #[must_use]
    pub fn group(mut self, name: &str, kind: &str) -> Self {
        let arn = group_arn(name);
        self.target_groups.push(json!({
            "TargetGroupArn": arn, "TargetGroupName": name, "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1",
            "TargetType": kind, "HealthCheckIntervalSeconds": 30, "HealthyThresholdCount": 5,
            "LoadBalancerArns": [format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/main/0123456789abcdef")]}));
        self.attributes.insert(arn, json!([{"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]));
        self
    }

    /// A Cloud Map namespace with that number.
    #[must_use]
    pub fn namespace(mut self, name: &str, number: u32, kind: &str) -> Self {
        let id = format!("ns-{number}");
        self.namespaces.push(json!({"Id": id, "Name": name, "Type": kind,
            "Arn": format!("arn:aws:servicediscovery:{REGION}:{ACCOUNT}:namespace/{id}")}));
        self.registries.entry(id).or_default();
        self
    }

    /// A classic load balancer with these listeners: port and instance port.
    #[must_use]
    pub fn classic(mut self, name: &str, listeners: &[(u16, u16)]) -> Self {
        let listeners: Vec<Value> = listeners
            .iter()
            .map(|(port, instance)| {
                json!({"Listener": {"Protocol": "HTTP", "LoadBalancerPort": port, "InstanceProtocol": "HTTP",
                    "InstancePort": instance}, "PolicyNames": []})
            })
            .collect();
        self.classic.push(json!({"LoadBalancerName": name, "ListenerDescriptions": listeners,
            "DNSName": format!("{name}-1.us-east-1.elb.amazonaws.com"), "CanonicalHostedZoneNameID": "Z35SXDOTRQ7X7K",
            "HealthCheck": {"Target": "HTTP:80/", "Interval": 10, "Timeout": 5, "UnhealthyThreshold": 2, "HealthyThreshold": 2}}));
        self
    }

    /// A hosted zone of that name, with an id of this letter.
    #[must_use]
    pub fn zone(mut self, name: &str, letter: char, private: bool) -> Self {
        self.zones.push(json!({"Id": format!("/hostedzone/Z0{letter}0000000000"), "Name": format!("{name}."),
            "Config": {"PrivateZone": private}}));
        self
    }

    /// What there is under a name in the hosted zone of this letter: an alias of a load balancer, and a text.
    #[must_use]
    pub fn record(mut self, letter: char, name: &str, leads_to: Option<&str>, text: Option<&str>) -> Self {
        let alias = leads_to.map(|to| {
            json!({"Name": format!("{name}."), "Type": "A", "AliasTarget": {"DNSName": format!("{to}-1.us-east-1.elb.amazonaws.com."),
                "HostedZoneId": "Z35SXDOTRQ7X7K", "EvaluateTargetHealth": false}})
        });
        let text = text.map(
            |text| json!({"Name": format!("{name}."), "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": text}]}),
        );
        let sets = alias.into_iter().chain(text).collect();
        self.records.insert((format!("Z0{letter}0000000000"), name.to_owned()), sets);
        self
    }

    /// Changes what DescribeServices says about a service.
    #[must_use]
    pub fn service(mut self, name: &str, change: impl FnOnce(&mut Value)) -> Self {
        change(self.services.get_mut(name).expect("a service of that name"));
        self
    }

    /// A registry that has another image under a tag.
    #[must_use]
    pub fn moved(mut self, image: &str, to: &str) -> Self {
        self.images.insert(image.to_owned(), Ok(digest(to)));
        self
    }

    /// Carries out what a plan does: the calls before the commit point and those after it, with AWS's answers.
    #[must_use]
    pub fn apply(mut self, plan: &Plan) -> Self {
        let mut answers: BTreeMap<String, Value> = BTreeMap::new();
        let mut open: Vec<_> = plan.nodes.iter().filter(|n| n.phase != Phase::Undo).collect();
        while !open.is_empty() {
            let ready = |id: &str, open: &[&belay_schemas::plan::Node]| {
                !plan.edges.iter().any(|e| {
                    e.kind == belay_schemas::plan::EdgeKind::After && e.to == id && open.iter().any(|n| n.id == e.from)
                })
            };
            let at = (0..open.len()).find(|at| ready(&open[*at].id, &open)).expect("a plan without circles");
            let node = open.remove(at);
            if let Some(call) = node.action.mutation() {
                let input = settle(&call.input, &answers);
                let answer = self.call(call, &input);
                answers.insert(node.id.clone(), answer);
            }
        }
        self
    }

    fn call(&mut self, call: &Call, input: &Value) -> Value {
        if let Some(answer) = self.fleet.call(&call.operation, input) {
            return answer;
        }
        if call.service == "servicediscovery" {
            return self.cloud_map(&call.operation, input);
        }
        match call.operation.as_str() {
            "PutClusterCapacityProviders" => {
                for member in ["capacityProviders", "defaultCapacityProviderStrategy"] {
                    self.cluster[member] = input[member].clone();
                }
                json!({})
            }
            "RegisterTaskDefinition" => self.register(input),
            "CreateService" => self.create(input),
            "UpdateService" => self.update(input),
            "TagResource" | "UntagResource" => self.tag(input),
            "RunTask" => json!({"tasks": [{"taskArn": ecs_arn("task/default/0")}], "failures": []}),
            "CreateSchedule" | "UpdateSchedule" => {
                self.schedules.retain(|s| s["Name"] != input["Name"]);
                let mut schedule = input.clone();
                schedule.as_object_mut().map(|s| s.remove("ClientToken"));
                fill(&mut schedule, &json!({"GroupName": "default", "ActionAfterCompletion": "NONE"}));
                self.schedules.push(schedule);
                json!({})
            }
            "DeleteSchedule" => {
                self.schedules.retain(|s| s["Name"] != input["Name"]);
                json!({})
            }
            "DeleteService" => {
                let name = input["service"].as_str().unwrap_or_default().to_owned();
                self.services.remove(&name).unwrap_or_default()
            }
            "ChangeResourceRecordSets" => {
                let zone = input["HostedZoneId"].as_str().unwrap_or_default();
                for change in input["ChangeBatch"]["Changes"].as_array().into_iter().flatten() {
                    let set = &change["ResourceRecordSet"];
                    let name = set["Name"].as_str().unwrap_or_default().trim_end_matches('.');
                    let sets = self.records.entry((zone.to_owned(), name.to_owned())).or_default();
                    sets.retain(|one| one["Type"] != set["Type"]);
                    if change["Action"] != "DELETE" {
                        sets.push(set.clone());
                    }
                }
                json!({"ChangeInfo": {"Id": "/change/C1", "Status": "PENDING"}})
            }
            "DeregisterTaskDefinition" => {
                let arn = input["taskDefinition"].as_str().unwrap_or_default();
                if let Some((task, _)) = self.definitions.get_mut(arn) {
                    task["status"] = json!("INACTIVE");
                }
                json!({})
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// Services of Cloud Map; their tags stand beside them under `Tags`.
    fn cloud_map(&mut self, operation: &str, input: &Value) -> Value {
        let number = self.registries.values().map(Vec::len).sum::<usize>() + 1;
        let mut all = self.registries.values_mut();
        match operation {
            "CreateService" => {
                let mut made = input.clone();
                let namespace = input["NamespaceId"].as_str().unwrap_or_default().to_owned();
                for name in ["NamespaceId", "CreatorRequestId"] {
                    made.as_object_mut().map(|m| m.remove(name));
                }
                made["Id"] = json!(format!("srv-{number}"));
                made["Arn"] = json!(format!("arn:aws:servicediscovery:{REGION}:{ACCOUNT}:service/srv-{number}"));
                self.registries.entry(namespace).or_default().push(made.clone());
                json!({"Service": made})
            }
            "UpdateService" => {
                let one = all.find_map(|list| list.iter_mut().find(|one| one["Id"] == input["Id"]));
                one.expect("a service to change")["DnsConfig"]["DnsRecords"] =
                    input["Service"]["DnsConfig"]["DnsRecords"].clone();
                json!({"OperationId": "op-1"})
            }
            "DeleteService" => {
                all.for_each(|list| list.retain(|one| one["Id"] != input["Id"]));
                json!({})
            }
            other => panic!("{other} of Cloud Map is not known here"),
        }
    }

    /// TagResource and UntagResource of a service.
    fn tag(&mut self, input: &Value) -> Value {
        let arn = &input["resourceArn"];
        let service = self.services.values_mut().find(|s| s["serviceArn"] == *arn).expect("a service to tag");
        let gone: Vec<&Value> = input["tags"].as_array().into_iter().flatten().map(|t| &t["key"]).collect();
        let gone: Vec<&Value> = gone.into_iter().chain(input["tagKeys"].as_array().into_iter().flatten()).collect();
        let tags = service["tags"].as_array_mut().expect("tags");
        tags.retain(|t| !gone.contains(&&t["key"]));
        tags.extend(input["tags"].as_array().into_iter().flatten().cloned());
        json!({})
    }

    fn register(&mut self, input: &Value) -> Value {
        let mut task = input.clone();
        let tags = task.as_object_mut().and_then(|t| t.remove("tags")).unwrap_or(json!([]));
        let family = task["family"].as_str().unwrap_or_default().to_owned();
        let taken = self.definitions.values().filter(|(t, _)| t["family"] == family.as_str()).count();
        let number = taken + 1;
        let arn = ecs_arn(&format!("task-definition/{family}:{number}"));
        fill(
            &mut task,
            &json!({"volumes": [], "placementConstraints": [], "networkMode": "bridge", "compatibilities": ["EC2"],
            "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]}),
        );
        for (name, value) in
            [("taskDefinitionArn", json!(arn)), ("revision", json!(number)), ("status", json!("ACTIVE"))]
        {
            task[name] = value;
        }
        for volume in task["volumes"].as_array_mut().into_iter().flatten() {
            if volume.as_object().is_some_and(|v| v.len() == 1) {
                fill(volume, &json!({"host": {}}));
            }
        }
        for container in task["containerDefinitions"].as_array_mut().into_iter().flatten() {
            fill(
                container,
                &json!({"cpu": 0, "essential": true, "environment": [], "mountPoints": [], "volumesFrom": [],
                "portMappings": [], "systemControls": []}),
            );
            // The order of variables is not kept.
            container["environment"].as_array_mut().into_iter().for_each(|e| e.reverse());
        }
        self.definitions.insert(arn, (task.clone(), tags.clone()));
        json!({"taskDefinition": task, "tags": tags})
    }

    fn create(&mut self, input: &Value) -> Value {
        let mut service = input.clone();
        let name = input["serviceName"].as_str().unwrap_or_default().to_owned();
        for given in ["cluster", "clientToken", "role", "serviceConnectConfiguration", "volumeConfigurations"] {
            service.as_object_mut().map(|s| s.remove(given));
        }
        fill(
            &mut service,
            &json!({"serviceArn": ecs_arn(&format!("service/default/{name}")), "clusterArn": ecs_arn("cluster/default"),
            "status": "ACTIVE", "desiredCount": 3, "pendingCount": 0, "loadBalancers": [], "serviceRegistries": [],
            "placementConstraints": [], "placementStrategy": [], "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"}, "enableECSManagedTags": false, "enableExecuteCommand": false,
            "propagateTags": "NONE", "healthCheckGracePeriodSeconds": 0, "createdBy": "arn:aws:iam::123456789012:role/belay"}),
        );
        if service.get("capacityProviderStrategy").is_none() {
            fill(&mut service, &json!({"launchType": "EC2"}));
        }
        if let Some(role) = input["role"].as_str() {
            service["roleArn"] = json!(format!("arn:aws:iam::{ACCOUNT}:role/{role}"));
        } else if service["loadBalancers"] != json!([]) {
            service["roleArn"] =
                json!(format!("arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"));
        }
        self.services.insert(name.clone(), service);
        self.deploy(&name, input)
    }

    fn update(&mut self, input: &Value) -> Value {
        let name = input["service"].as_str().unwrap_or_default().to_owned();
        let service = self.services.get_mut(&name).expect("a service to update");
        for (member, value) in input.as_object().into_iter().flatten() {
            if !matches!(
                member.as_str(),
                "cluster" | "service" | "serviceConnectConfiguration" | "volumeConfigurations"
            ) {
                service[member] = value.clone();
            }
        }
        self.deploy(&name, input)
    }

    /// The service has come to rest with what it was given.
    fn deploy(&mut self, name: &str, input: &Value) -> Value {
        let number = self.revisions.len() + 1;
        let before = self.services[name]["currentServiceRevisions"][0]["arn"].as_str();
        let before = before.and_then(|arn| self.revisions.get(arn)).cloned().unwrap_or_default();
        let service = self.services.get_mut(name).expect("a service");
        fill(&mut service["deploymentConfiguration"], &json!({"strategy": "ROLLING", "bakeTimeInMinutes": 0}));
        service["runningCount"] = service["desiredCount"].clone();
        let task = service["taskDefinition"].clone();
        let deployment = json!({"id": format!("ecs-svc/{number}"), "status": "PRIMARY", "taskDefinition": task,
            "desiredCount": service["desiredCount"], "runningCount": service["desiredCount"], "pendingCount": 0,
            "failedTasks": 0, "rolloutState": "COMPLETED"});
        service["deployments"] = json!([deployment]);
        let revision = ecs_arn(&format!("service-revision/default/{name}/{number}"));
        service["currentServiceRevisions"] = json!([{"arn": revision, "requestedTaskCount": service["desiredCount"]}]);
        let definition = self.definitions.get(task.as_str().unwrap_or_default()).map(|(t, _)| t.clone());
        let images: Vec<Value> = definition
            .iter()
            .flat_map(|d| d["containerDefinitions"].as_array().into_iter().flatten())
            .map(|c| {
                let image = c["image"].as_str().unwrap_or_default();
                let resolved = match image.split_once('@') {
                    Some((_, digest)) => digest.to_owned(),
                    None => self.registry(image).unwrap_or_default(),
                };
                json!({"containerName": c["name"], "image": image, "imageDigest": resolved})
            })
            .collect();
        let mut made = json!({"serviceRevisionArn": revision, "taskDefinition": task, "containerImages": images});
        for member in ["serviceConnectConfiguration", "volumeConfigurations"] {
            if let Some(value) = input.get(member).or(before.get(member)) {
                made[member] = value.clone();
            }
        }
        self.revisions.insert(revision, made);
        json!({"service": self.services[name]})
    }

    fn registry(&self, image: &str) -> Result<String, String> {
        self.images.get(image).cloned().unwrap_or_else(|| Ok(digest(image)))
    }

    /// What observing this world for a scope gives; for an empty one, as for a project without components.
    pub fn observed(&self, scope: Option<&Scope>) -> Observed {
        let scope = scope.cloned().unwrap_or(Scope {
            format: FORMAT,
            project: "shop".to_owned(),
            region: None,
            ecs: None,
            asg: None,
            load_balancers: BTreeSet::new(),
            target_groups: BTreeSet::new(),
            balancers: BTreeSet::new(),
            images: BTreeSet::new(),
        });
        let mut reads = Vec::new();
        let mut read = |service: &str, operation: &str, input: Value, output: Value| {
            reads.push(Read {
                service: service.to_owned(),
                operation: operation.to_owned(),
                input,
                output: Some(output),
                error: None,
            });
        };
        if scope.asg.is_some() {
            for (service, operation, output) in self.fleet.reads() {
                read(service, operation, json!({}), output);
            }
        }
        let clusters = if self.cluster.is_null() { json!([]) } else { json!([self.cluster]) };
        read(
            "ecs",
            "DescribeClusters",
            json!({"clusters": ["default"]}),
            json!({"clusters": clusters, "failures": []}),
        );
        if !self.providers.is_empty() {
            let names: Vec<&Value> = self.providers.iter().map(|provider| &provider["name"]).collect();
            let output = json!({"capacityProviders": self.providers, "failures": []});
            read("ecs", "DescribeCapacityProviders", json!({"capacityProviders": names}), output);
        }
        let names: Vec<&String> = self.services.keys().collect();
        let services: Vec<&Value> = self.services.values().collect();
        read(
            "ecs",
            "DescribeServices",
            json!({"cluster": "default", "services": names, "include": ["TAGS"]}),
            json!({"services": services, "failures": []}),
        );
        let arns: Vec<&String> = self.revisions.keys().collect();
        let revisions: Vec<&Value> = self.revisions.values().collect();
        read(
            "ecs",
            "DescribeServiceRevisions",
            json!({"serviceRevisionArns": arns}),
            json!({"serviceRevisions": revisions, "failures": []}),
        );
        let mut families: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for (arn, (task, tags)) in &self.definitions {
            let input = json!({"taskDefinition": arn, "include": ["TAGS"]});
            read("ecs", "DescribeTaskDefinition", input, json!({"taskDefinition": task, "tags": tags}));
            if task["status"] == "ACTIVE" {
                let family = task["family"].as_str().unwrap_or_default();
                families.entry(family).or_default().push((task["revision"].as_u64().unwrap_or_default(), arn));
            }
        }
        for (family, mut arns) in families {
            arns.sort_unstable_by(|a, b| b.cmp(a));
            let arns: Vec<&str> = arns.into_iter().map(|(_, arn)| arn).collect();
            let input = json!({"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"});
            read("ecs", "ListTaskDefinitions", input, json!({"taskDefinitionArns": arns}));
        }
        let arns: Vec<&Value> = self.instances.iter().map(|i| &i["containerInstanceArn"]).collect();
        read("ecs", "ListContainerInstances", json!({"cluster": "default"}), json!({"containerInstanceArns": arns}));
        if !self.instances.is_empty() {
            read(
                "ecs",
                "DescribeContainerInstances",
                json!({"cluster": "default", "containerInstances": arns}),
                json!({"containerInstances": self.instances, "failures": []}),
            );
        }
        for (operation, list, items) in [
            ("DescribeVpcs", "Vpcs", &self.vpcs),
            ("DescribeSubnets", "Subnets", &self.subnets),
            ("DescribeSecurityGroups", "SecurityGroups", &self.security_groups),
        ] {
            if !items.is_empty() {
                read("ec2", operation, json!({"Filters": []}), json!({list: items}));
            }
        }
        for (listener, rules) in &self.rules {
            read("elbv2", "DescribeRules", json!({"ListenerArn": listener}), json!({"Rules": rules}));
            let tags: Vec<Value> =
                rules.iter().map(|r| json!({"ResourceArn": r["RuleArn"], "Tags": r["Tags"]})).collect();
            read("elbv2", "DescribeTags", json!({"ResourceArns": []}), json!({"TagDescriptions": tags}));
        }
        for group in &self.log_groups {
            let output = json!({"logGroups": [{"logGroupName": group}]});
            read("logs", "DescribeLogGroups", json!({"logGroupNamePrefix": group}), output);
        }
        for (code, value) in &self.quotas {
            let input = json!({"ServiceCode": "fargate", "QuotaCode": code});
            read("service-quotas", "GetServiceQuota", input, json!({"Quota": {"QuotaCode": code, "Value": value}}));
        }
        for listener in &self.listeners {
            let input = json!({"ListenerArns": [listener["ListenerArn"]]});
            read("elbv2", "DescribeListeners", input, json!({"Listeners": [listener]}));
        }
        for rule in &self.event_rules {
            read("events", "DescribeRule", json!({"Name": rule["Name"]}), rule.clone());
            read("events", "ListTargetsByRule", json!({"Rule": rule["Name"]}), json!({"Targets": []}));
            read("events", "ListTagsForResource", json!({"ResourceARN": rule["Arn"]}), json!({"Tags": []}));
        }
        if !self.zones.is_empty() {
            let input = json!({"DNSName": "shop.internal", "MaxItems": "100"});
            read("route53", "ListHostedZonesByName", input, json!({"HostedZones": self.zones}));
            let arns =
                self.target_groups.iter().flat_map(|group| group["LoadBalancerArns"].as_array().into_iter().flatten());
            let arns: BTreeSet<&str> = arns.filter_map(Value::as_str).collect();
            let balancers = arns.iter().map(|arn| {
                let name = arn.rsplit('/').nth(1).unwrap_or_default();
                json!({"LoadBalancerArn": arn, "DNSName": format!("{name}-1.us-east-1.elb.amazonaws.com"),
                    "CanonicalHostedZoneId": "Z35SXDOTRQ7X7K"})
            });
            let balancers: Vec<Value> = balancers.collect();
            read(
                "elbv2",
                "DescribeLoadBalancers",
                json!({"LoadBalancerArns": arns}),
                json!({"LoadBalancers": balancers}),
            );
        }
        for ((zone, name), sets) in &self.records {
            let input = json!({"HostedZoneId": zone, "StartRecordName": name, "MaxItems": "100"});
            read("route53", "ListResourceRecordSets", input, json!({"ResourceRecordSets": sets}));
        }
        for schedule in &self.schedules {
            read("scheduler", "GetSchedule", json!({"Name": schedule["Name"]}), schedule.clone());
        }
        if !self.alarms.is_empty() {
            let input = json!({"AlarmNamePrefix": "default_shop_web."});
            read("cloudwatch", "DescribeAlarms", input, json!({"MetricAlarms": self.alarms}));
        }
        if !self.namespaces.is_empty() {
            let input = json!({"Filters": []});
            read("servicediscovery", "ListNamespaces", input, json!({"Namespaces": self.namespaces}));
        }
        for one in self.registries.values().flatten() {
            let input = json!({"ResourceARN": one["Arn"]});
            read("servicediscovery", "ListTagsForResource", input, json!({"Tags": one["Tags"]}));
        }
        for (id, registries) in &self.registries {
            let input = json!({"Filters": [{"Name": "NAMESPACE_ID", "Values": [id], "Condition": "EQ"}]});
            read("servicediscovery", "ListServices", input, json!({"Services": registries}));
        }
        for group in &self.target_groups {
            let input = json!({"TargetGroupArns": [group["TargetGroupArn"]]});
            read("elbv2", "DescribeTargetGroups", input, json!({"TargetGroups": [group]}));
            if let Some(tags) = group.get("Tags") {
                let told = json!([{"ResourceArn": group["TargetGroupArn"], "Tags": tags}]);
                read("elbv2", "DescribeTags", json!({"ResourceArns": []}), json!({"TagDescriptions": told}));
            }
        }
        for (arn, attributes) in &self.attributes {
            let input = json!({"TargetGroupArn": arn});
            read("elbv2", "DescribeTargetGroupAttributes", input, json!({"Attributes": attributes}));
        }
        for balancer in &self.classic {
            let name = &balancer["LoadBalancerName"];
            let input = json!({"LoadBalancerNames": [name]});
            read("elb", "DescribeLoadBalancers", input, json!({"LoadBalancerDescriptions": [balancer]}));
            let attributes = json!({"ConnectionDraining": {"Enabled": true, "Timeout": 20}});
            let input = json!({"LoadBalancerName": name});
            read("elb", "DescribeLoadBalancerAttributes", input, json!({"LoadBalancerAttributes": attributes}));
        }
        let seen = scope.images.iter().filter(|image| !self.unseen.contains(*image));
        let images = seen
            .map(|image| {
                let observation = match self.registry(image) {
                    Ok(digest) => ImageObservation { digest: Some(digest), error: None },
                    Err(error) => ImageObservation { digest: None, error: Some(error) },
                };
                (image.clone(), observation)
            })
            .collect();
        Observed {
            format: FORMAT,
            account: ACCOUNT.to_owned(),
            partition: "aws".to_owned(),
            region: REGION.to_owned(),
            observed_at: "2026-11-20T12:00:00Z".to_owned(),
            scope,
            reads,
            images,
            objects: self.fleet.objects.clone(),
            home_vpc: self.fleet.home.clone(),
        }
    }
}

/// A container instance with this much room, whose `ports` are taken.
pub fn instance(number: u32, cpu: u64, memory: u64, ports: &[u16]) -> Value {
    let ports: Vec<String> = [22, 2375, 2376, 51678, 51679].iter().chain(ports).map(u16::to_string).collect();
    json!({"containerInstanceArn": ecs_arn(&format!("container-instance/default/{number}")), "status": "ACTIVE",
        "agentConnected": true, "remainingResources": [
            {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ports},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []}]})
}

fn fill(value: &mut Value, defaults: &Value) {
    for (name, default) in defaults.as_object().into_iter().flatten() {
        if value.get(name).is_none() {
            value[name] = default.clone();
        }
    }
}

/// Late values settled with the answers so far.
fn settle(value: &Value, answers: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::Object(map) if is_reserved(map) => match (map.get("$output"), map.get("path")) {
            (Some(node), Some(path)) => {
                // What only a read or another chunk would tell is nothing here.
                let Some(mut here) = answers.get(node.as_str().unwrap_or_default()) else { return Value::Null };
                for step in path.as_str().unwrap_or_default().split('.') {
                    here = &here[step];
                }
                here.clone()
            }
            _ => json!("run-1"),
        },
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), settle(v, answers))).collect(),
        Value::Array(items) => items.iter().map(|v| settle(v, answers)).collect(),
        other => other.clone(),
    }
}

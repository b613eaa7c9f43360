//! The simulated world: everything that a simulated AWS account holds, as one JSON document.
//!
//! Invariants: what happens next follows from the world alone, so a world that is written and read again goes on
//! exactly as it would have; ids come from its counters, times from its clock; nothing in it is random.

mod around;
mod balancing;
mod default;
mod discovery;
mod ecs;
mod groups;
mod machines;
mod settings;
mod shelf;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::shared::Shared;
pub use around::{EventRule, HostedZone, LogGroup, LogStream, ScalableTarget};
pub use balancing::{
    ClassicListener, ClassicLoadBalancer, HealthCheck, Listener, LoadBalancer, Rule, Target, TargetGroup, TargetState,
};
pub use discovery::{Namespace, NamespaceKind, Registry};
pub use ecs::{
    CapacityProvider, Cluster, Container, ContainerInstance, Creation, Deployment, DeploymentStatus, EXTERNAL, Event,
    Family, ImageUse, InstanceStatus, PortBinding, Revision, Rollback, RolloutState, Service, ServiceDeployment,
    ServiceDeploymentStatus, ServiceStatus, Shift, ShiftStage, ShiftStep, Task, TaskDefinition, TaskDefinitionStatus,
    TaskStatus, TaskTimes,
};
pub use groups::{Activity, Attachment, AutoScalingGroup, Family as AttachmentFamily, GroupTag, Lifecycle, Member};
pub use machines::{
    HttpBehaviour, HttpHandler, HttpRequest, Instance, InstanceState, LaunchTemplate, StateReason, StoredObject,
    TemplateVersion,
};
pub use settings::{Affliction, Behaviour, Bucket, Image, LogEntry, Outcome, Throttling, Timings};
pub use shelf::Shelf;
pub use table::TaskTable;

use super::time::Time;

/// The version of the world file's format.
pub const FORMAT: u32 = 1;

/// A simulated AWS account in one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct World {
    /// Version of this format; a reader refuses any other than 1.
    pub format: u32,
    /// The account's number.
    pub account: String,
    /// The AWS partition.
    #[serde(default = "default_partition")]
    pub partition: String,
    /// The region.
    pub region: String,
    /// The virtual clock.
    #[serde(default = "default_now")]
    pub now: Time,
    /// How many ids of each kind were given out.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// How long things take.
    #[serde(default)]
    pub timings: Timings,
    /// Whether and how calls are throttled.
    #[serde(default)]
    pub throttling: Throttling,
    /// What is special about images, by the reference that names them. Any other image exists and works.
    #[serde(default)]
    pub images: Shared<BTreeMap<String, Image>>,
    /// VPCs, in the shape that ec2 describes them.
    #[serde(default)]
    pub vpcs: Shared<Vec<Value>>,
    /// Subnets, in the shape that ec2 describes them.
    #[serde(default)]
    pub subnets: Shared<Vec<Value>>,
    /// Security groups, in the shape that ec2 describes them.
    #[serde(default)]
    pub security_groups: Shared<Vec<Value>>,
    /// ECS clusters by name.
    #[serde(default)]
    pub clusters: Shared<BTreeMap<String, Cluster>>,
    /// Capacity providers of the account by name; FARGATE and FARGATE_SPOT always exist.
    #[serde(default)]
    pub capacity_providers: Shelf<CapacityProvider>,
    /// Container instances by id.
    #[serde(default)]
    pub container_instances: Shelf<ContainerInstance>,
    /// Task definitions by family.
    #[serde(default)]
    pub task_definitions: Shelf<Family>,
    /// ECS services by `CLUSTER/NAME`.
    #[serde(default)]
    pub services: Shelf<Service>,
    /// Tasks by id; stopped ones stay for an hour.
    #[serde(default)]
    pub tasks: TaskTable,
    /// Classic load balancers by name.
    #[serde(default)]
    pub classic_load_balancers: Shelf<ClassicLoadBalancer>,
    /// Application and network load balancers by name.
    #[serde(default)]
    pub load_balancers: Shelf<LoadBalancer>,
    /// Target groups by name.
    #[serde(default)]
    pub target_groups: Shelf<TargetGroup>,
    /// AMIs, in the shape that ec2 describes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine_images: Shared<Vec<Value>>,
    /// Key pairs, in the shape that ec2 describes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_pairs: Shared<Vec<Value>>,
    /// Instance profiles, in the shape that iam describes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_profiles: Shared<Vec<Value>>,
    /// EC2 instances by id, besides those behind the container instances; terminated ones stay for an hour.
    #[serde(default, skip_serializing_if = "Shelf::is_empty")]
    pub instances: Shelf<Instance>,
    /// How many instances of a kind there is room for at most: by `TYPE`, `TYPE/ZONE` or `spot/TYPE`. Without an entry
    /// there is always room.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, u64>,
    /// Launch templates by id.
    #[serde(default, skip_serializing_if = "Shelf::is_empty")]
    pub launch_templates: Shelf<LaunchTemplate>,
    /// Launch configurations by name, in the shape that autoscaling describes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub launch_configurations: Shared<BTreeMap<String, Value>>,
    /// Whether the account is too new for launch configurations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuses_launch_configurations: bool,
    /// Auto Scaling groups by name.
    #[serde(default, skip_serializing_if = "Shelf::is_empty")]
    pub auto_scaling_groups: Shelf<AutoScalingGroup>,
    /// Objects in S3 by `BUCKET/KEY`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: Shared<BTreeMap<String, StoredObject>>,
    /// The VPC of the host that `belay` is said to run on, if that is an EC2 instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_vpc: Option<String>,
    /// What answers HTTP requests, by URI. Any other one answers 200.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub http_handlers: BTreeMap<String, HttpHandler>,
    /// Every HTTP request that was received, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_requests: Vec<HttpRequest>,
    /// What is wrong with what services start from now on, by `CLUSTER/NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub afflictions: BTreeMap<String, Affliction>,
    /// CloudWatch log groups by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub log_groups: Shared<BTreeMap<String, LogGroup>>,
    /// Scalable targets of Application Auto Scaling by `service/CLUSTER/NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scalable_targets: Shared<BTreeMap<String, ScalableTarget>>,
    /// Namespaces of Cloud Map by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub namespaces: BTreeMap<String, Namespace>,
    /// Services of Cloud Map by id, but for those that ECS makes for Service Connect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<String, Registry>,
    /// Metric alarms of CloudWatch by name, in the shape that they are described, with their tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alarms: Shared<BTreeMap<String, Value>>,
    /// Rules of EventBridge by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_rules: Shared<BTreeMap<String, EventRule>>,
    /// Values of quotas of AWS Fargate by their codes; of others nothing is known, and nothing is limited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, f64>,
    /// Hosted zones of Route 53 by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosted_zones: Shared<BTreeMap<String, HostedZone>>,
    /// Changes of records by id: when every name server knows of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dns_changes: BTreeMap<String, Time>,
    /// Schedules of EventBridge Scheduler by `GROUP/NAME`, in the service's shape.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: Shared<BTreeMap<String, Value>>,
    /// Every mutating call that was made, in order.
    #[serde(default)]
    pub log: Vec<Shared<LogEntry>>,
    /// Services that must be looked at again before time goes on. Empty between calls, so never written.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) dirty: BTreeSet<String>,
}

fn default_partition() -> String {
    "aws".to_owned()
}

fn default_now() -> Time {
    Time::START
}

impl World {
    /// An empty account.
    #[must_use]
    pub fn empty(account: &str, region: &str) -> Self {
        Self {
            format: FORMAT,
            account: account.to_owned(),
            partition: default_partition(),
            region: region.to_owned(),
            now: Time::START,
            counters: BTreeMap::new(),
            timings: Timings::default(),
            throttling: Throttling::default(),
            images: Shared::default(),
            vpcs: Shared::default(),
            subnets: Shared::default(),
            security_groups: Shared::default(),
            clusters: Shared::default(),
            capacity_providers: Shelf::default(),
            container_instances: Shelf::default(),
            task_definitions: Shelf::default(),
            services: Shelf::default(),
            tasks: TaskTable::default(),
            classic_load_balancers: Shelf::default(),
            load_balancers: Shelf::default(),
            target_groups: Shelf::default(),
            machine_images: Shared::default(),
            key_pairs: Shared::default(),
            instance_profiles: Shared::default(),
            instances: Shelf::default(),
            capacity: BTreeMap::new(),
            launch_templates: Shelf::default(),
            launch_configurations: Shared::default(),
            refuses_launch_configurations: false,
            auto_scaling_groups: Shelf::default(),
            objects: Shared::default(),
            host_vpc: None,
            http_handlers: BTreeMap::new(),
            http_requests: Vec::new(),
            afflictions: BTreeMap::new(),
            log_groups: Shared::default(),
            namespaces: BTreeMap::new(),
            registries: BTreeMap::new(),
            scalable_targets: Shared::default(),
            alarms: Shared::default(),
            event_rules: Shared::default(),
            quotas: BTreeMap::new(),
            hosted_zones: Shared::default(),
            dns_changes: BTreeMap::new(),
            schedules: Shared::default(),
            log: Vec::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// The next number of a kind of id, from 1.
    pub(crate) fn count(&mut self, kind: &str) -> u64 {
        let counter = self.counters.entry(kind.to_owned()).or_insert(0);
        *counter += 1;
        *counter
    }

    /// An id of 32 hexadecimal digits, as tasks have.
    pub(crate) fn hex_id(&mut self, kind: &str) -> String {
        format!("{:032x}", self.count(kind))
    }

    /// An id of 19 digits, as deployments and revisions have.
    pub(crate) fn long_id(&mut self, kind: &str) -> String {
        format!("{}", 1_000_000_000_000_000_000 + self.count(kind))
    }

    /// An id that looks like a UUID, as events have.
    pub(crate) fn uuid(&mut self, kind: &str) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.count(kind))
    }

    /// The ARN of something in ECS.
    #[must_use]
    pub fn ecs_arn(&self, resource: &str) -> String {
        format!("arn:{}:ecs:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// The ARN of something in IAM.
    pub(crate) fn iam_arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }

    /// The target group that an ARN names.
    #[must_use]
    pub fn target_group(&self, arn: &str) -> Option<&TargetGroup> {
        self.target_groups.values().find(|group| group.arn == arn)
    }

    pub(crate) fn target_group_mut(&mut self, arn: &str) -> Option<&mut TargetGroup> {
        self.target_groups.find_mut(|group| group.arn == arn)
    }
}

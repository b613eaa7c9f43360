//! The ECS part of a world: clusters, container instances, task definitions, services and tasks.
//!
//! Settings that the simulator only hands through are kept as AWS writes them; what scheduling decides on is typed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::time::Time;
use super::Behaviour;

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// `ACTIVE` or `INACTIVE`.
    pub status: String,
    /// Capacity providers that are associated with it.
    #[serde(default)]
    pub capacity_providers: Vec<String>,
    /// Strategy for what names none.
    #[serde(default)]
    pub default_capacity_provider_strategy: Vec<Value>,
    /// When what its capacity providers bring along is set up or gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments_due: Option<Time>,
    /// Settings, in ECS's shape.
    #[serde(default)]
    pub settings: Vec<Value>,
    /// The namespace of Service Connect for services that name none: its id or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_connect_namespace: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A capacity provider: of an Auto Scaling group, or of instances that ECS starts itself (Managed Instances).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapacityProvider {
    /// The ARN of its group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The one cluster that it is for, where it has no group and ECS starts the instances itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `managedScaling`, `managedDraining` and `managedTerminationProtection`, or what Managed Instances are made of, in
    /// ECS's shape.
    pub settings: Map<String, Value>,
    /// Whether it was deleted; such ones are shown for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inactive: bool,
    /// What was asked for last: `CREATE`, `UPDATE` or `DELETE`.
    pub change: String,
    /// When that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// Why that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// Whether a container instance takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum InstanceStatus {
    /// It takes tasks.
    Active,
    /// It takes none, and the tasks of services move away.
    Draining,
}

/// A container instance. What remains of its resources follows from the tasks on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerInstance {
    /// Its cluster's name.
    pub cluster: String,
    /// The EC2 instance; of a machine outside AWS the id that Systems Manager knows it by.
    pub ec2_instance_id: String,
    /// Its availability zone; a machine outside AWS has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub availability_zone: String,
    /// Whether it takes tasks.
    pub status: InstanceStatus,
    /// Registered CPU units.
    pub cpu: u64,
    /// Registered memory in MiB.
    pub memory: u64,
    /// TCP ports that are never given to tasks.
    #[serde(default = "reserved_ports")]
    pub reserved_ports: Vec<u64>,
    /// Network interfaces that tasks in awsvpc mode may use.
    #[serde(default = "two")]
    pub task_interfaces: u64,
    /// Address of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Attributes besides the zone. `ecs.capability.external` marks a machine outside AWS.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The capacity provider that it belonged to when it was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_provider: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was registered.
    pub registered_at: Time,
}

pub use belay_schemas::observed::EXTERNAL;

/// SSH, the Docker daemon and the ECS agent, as every ECS-optimised instance keeps them.
pub(super) fn reserved_ports() -> Vec<u64> {
    vec![22, 2375, 2376, 51678, 51679]
}

impl ContainerInstance {
    /// Ports that no task gets.
    pub(crate) fn reserved() -> Vec<u64> {
        reserved_ports()
    }

    /// Whether its agent has registered it. Instances that ECS starts itself are on their way before.
    pub(crate) fn has_joined(&self, now: Time) -> bool {
        self.registered_at <= now
    }

    /// Whether it is a machine outside AWS.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.attributes.contains_key(EXTERNAL)
    }
}

fn two() -> u64 {
    2
}

/// The revisions of one task-definition family.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Family {
    /// The highest number ever given; numbers are never used again.
    pub latest: u64,
    /// Revisions by number.
    pub revisions: BTreeMap<u64, TaskDefinition>,
}

/// Whether a task definition may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskDefinitionStatus {
    /// It may be used.
    Active,
    /// It was deregistered: what runs goes on, nothing new may use it.
    Inactive,
    /// It disappears as soon as nothing uses it.
    DeleteInProgress,
}

/// One revision of a task definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskDefinition {
    /// Whether it may be used.
    pub status: TaskDefinitionStatus,
    /// What was registered, with what AWS fills in, in ECS's shape.
    pub content: Map<String, Value>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was registered.
    pub registered_at: Time,
    /// When it was deregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistered_at: Option<Time>,
    /// When its deletion was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_requested_at: Option<Time>,
}

/// The status of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceStatus {
    /// It runs.
    Active,
    /// It was deleted and still has tasks.
    Draining,
    /// It was deleted and has no tasks any more.
    Inactive,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Its cluster's name.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: ServiceStatus,
    /// What is wanted, in CreateService's shape with what AWS fills in (without name, cluster, token and tags).
    pub wanted: Map<String, Value>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: Time,
    /// The request that created it.
    #[serde(default)]
    pub creation: Creation,
    /// Deployments, the primary one first.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// Service deployments, the newest first.
    #[serde(default)]
    pub service_deployments: Vec<ServiceDeployment>,
    /// Service revisions, the newest first.
    #[serde(default)]
    pub revisions: Vec<Revision>,
    /// The revision that a rollback goes back to: the target of the last deployment that completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good_revision: Option<String>,
    /// What happened, the newest first.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Whether the last thing that was reported is that it is steady.
    #[serde(default)]
    pub steady: bool,
    /// Whether a task could not be placed; it is tried again when resources become free.
    #[serde(default)]
    pub unplaced: bool,
    /// When the scheduler looks at it next, if nothing happens before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
}

/// The request that created a service, to recognise its repetition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Creation {
    /// Its client token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// A digest of its input without the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// The status of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeploymentStatus {
    /// The wanted one.
    Primary,
    /// An earlier one that still has tasks.
    Active,
}

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RolloutState {
    /// Tasks are being replaced.
    InProgress,
    /// All tasks are of this deployment and healthy.
    Completed,
    /// It was given up.
    Failed,
}

/// A deployment as DescribeServices lists it: the tasks of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deployment {
    /// `ecs-svc/` and digits.
    pub id: String,
    /// Its status.
    pub status: DeploymentStatus,
    /// The revision that its tasks have.
    pub revision: String,
    /// The service deployment that it belongs to.
    pub service_deployment: String,
    /// How far it is.
    pub rollout_state: RolloutState,
    /// Why.
    pub rollout_state_reason: String,
    /// Tasks that failed one after the other.
    #[serde(default)]
    pub failed_tasks: u64,
    /// Rounds of failing tasks one after the other, for the pause between attempts.
    #[serde(default)]
    pub failing_rounds: u32,
    /// When the last of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Time>,
    /// No task is started before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_after: Option<Time>,
    /// When it was created.
    pub created_at: Time,
    /// When it changed last.
    pub updated_at: Time,
}

/// The status of a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ServiceDeploymentStatus {
    /// Not begun.
    Pending,
    /// Tasks are being replaced.
    InProgress,
    /// The target revision runs.
    Successful,
    /// Being stopped, by a newer deployment or by a user.
    StopRequested,
    /// It was stopped where it was.
    Stopped,
    /// A user asked for the revision before.
    RollbackRequested,
    /// Going back to the revision before.
    RollbackInProgress,
    /// The revision before runs again.
    RollbackSuccessful,
    /// There was nothing to go back to.
    RollbackFailed,
}

/// A service deployment: one attempt to bring a service to a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceDeployment {
    /// Last part of its ARN.
    pub id: String,
    /// Its status.
    pub status: ServiceDeploymentStatus,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// The revisions that ran when it was asked for.
    #[serde(default)]
    pub sources: Vec<String>,
    /// The revision that it brings.
    pub target: String,
    /// How it goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Whether its circuit breaker gave it up.
    #[serde(default)]
    pub breaker_triggered: bool,
    /// Failures that the circuit breaker counted.
    #[serde(default)]
    pub failures: u64,
    /// Alarms that ended it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// How traffic is shifted to its revision, while that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// When a requested change of its status takes place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// When it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Time,
}

/// How traffic is shifted from one revision of a service to the next one, each in target groups of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shift {
    /// What is going on.
    pub stage: ShiftStage,
    /// Thousandths of the users' traffic that the new revision gets.
    pub share: u64,
    /// What comes next.
    pub ahead: Vec<ShiftStep>,
    /// When the step that was taken last is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Since when the new revision has had any of the users' traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Where a deployment that shifts traffic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ShiftStage {
    /// The tasks of the new revision start beside those of the old one.
    ScaleUp,
    /// Users' traffic moves.
    ProductionTrafficShift,
    /// All of it has moved, and the old revision is still there.
    BakeTime,
    /// The tasks of the old revision stop.
    CleanUp,
}

/// A share of the users' traffic, and how long it stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShiftStep {
    /// Thousandths that the new revision gets.
    pub share: u64,
    /// Seconds.
    pub seconds: u64,
}

/// How a service deployment goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// Since when.
    pub started_at: Time,
    /// The revision that it goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A service revision: what the tasks of a deployment are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revision {
    /// Last part of its ARN.
    pub id: String,
    /// The settings that a revision fixes, in CreateService's shape.
    pub settings: Map<String, Value>,
    /// Images with their digests, by container.
    pub images: BTreeMap<String, ImageUse>,
    /// Whether its tasks are in the alternate target groups of its load balancers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alternate: bool,
    /// Hosts with ports that its tasks reach through Service Connect: what was offered when its deployment began.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reaches: BTreeSet<String>,
    /// When it was made.
    pub created_at: Time,
}

/// An image as a revision fixed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageUse {
    /// The reference.
    pub image: String,
    /// What it was resolved to; absent if the registry had no such image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Something that happened to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// When.
    pub created_at: Time,
    /// What, in AWS's words.
    pub message: String,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// Its network interface or Fargate capacity is being prepared.
    Provisioning,
    /// Its images are being pulled and its containers started.
    Pending,
    /// It runs.
    Running,
    /// Its targets are draining.
    Deactivating,
    /// Its containers were told to stop.
    Stopping,
    /// It ended.
    Stopped,
}

impl TaskStatus {
    /// The word that AWS uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// Its cluster's name.
    pub cluster: String,
    /// Its service as `CLUSTER/NAME`, if a service started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Who started it: a deployment's id, or what RunTask said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// The service revision that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// `service:NAME` or `family:FAMILY`, or what RunTask said.
    pub group: String,
    /// ARN of its task definition.
    pub task_definition: String,
    /// `EC2` or `FARGATE`.
    pub launch_type: String,
    /// The container instance, on EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_instance: Option<String>,
    /// Its availability zone.
    pub availability_zone: String,
    /// Where it is in its life.
    pub last_status: TaskStatus,
    /// Whether it is to stop.
    #[serde(default)]
    pub stopping: bool,
    /// Reserved CPU units.
    pub cpu: u64,
    /// Reserved memory in MiB.
    pub memory: u64,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its address, in awsvpc mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Whether the health checks of its containers pass; absent when they have none or none has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_health: Option<bool>,
    /// Since when it has counted as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Time>,
    /// When things happened or will happen.
    pub times: TaskTimes,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    /// AWS's code for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    /// Whether its container instance started it itself: it runs for as long as that one does, unless its image is said to
    /// end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_instance: bool,
    /// Overrides of RunTask, in ECS's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Value>,
    /// Client token of the RunTask that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// Digest of that RunTask's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// When things happened to a task, and, as `…Due`, when the next ones will.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)] // the names are AWS's
pub struct TaskTimes {
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_due: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_due: Option<Time>,
}

impl TaskTimes {
    /// When something happens to the task next.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        [self.start_due, self.exit_due, self.health_due, self.settle_due, self.drained_due, self.stop_due]
            .into_iter()
            .flatten()
            .min()
    }
}

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The digest of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Its ports on the host.
    #[serde(default)]
    pub ports: Vec<PortBinding>,
    /// Whether its task ends with it.
    pub essential: bool,
    /// What it does.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// When it will have started, if what it waited for is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_due: Option<Time>,
    /// When it started, in a task whose containers wait for each other; in others they start with their task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// What it exited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why it stopped or did not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A port of a container on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortBinding {
    /// The port inside.
    pub container_port: u64,
    /// The port on the host, or on the task's own network interface.
    pub host_port: u64,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl Service {
    /// The key of the service in the world.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.cluster, self.name)
    }

    /// The revision of that id.
    #[must_use]
    pub fn revision(&self, id: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.id == id)
    }
}

impl Task {
    /// The port on the host (or on the task's interface) behind a container's port.
    #[must_use]
    pub fn host_port(&self, container: &str, port: u64) -> Option<u64> {
        let container = self.containers.iter().find(|c| c.name == container)?;
        container.ports.iter().find(|p| p.container_port == port).map(|p| p.host_port)
    }
}

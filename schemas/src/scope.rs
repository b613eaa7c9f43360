//! The scope: what the compiler has to know about the target, as names. It names things, not calls; `belay observe`
//! follows the references from them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What has to be observed before a plan can be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// Project name.
    pub project: String,
    /// AWS region of the environment file, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What to look at in ECS, if any component is placed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsScope>,
    /// What to look at in EC2 Auto Scaling, if any component is placed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asg: Option<AsgScope>,
    /// Classic load balancers, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub load_balancers: BTreeSet<String>,
    /// Target groups, by name or ARN.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub target_groups: BTreeSet<String>,
    /// Names that may be either a classic load balancer or a target group: the environment does not tell.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub balancers: BTreeSet<String>,
    /// Images, as written in the model: the digest that each tag has in its registry now is wanted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub images: BTreeSet<String>,
}

/// What to look at in ECS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EcsScope {
    /// Short name of the cluster.
    pub cluster: String,
    /// Services that the model wants, by name; they are described even while they drain.
    #[serde(default)]
    pub services: BTreeSet<String>,
    /// Prefix of the names of the project's services: whatever else starts with it may be an orphan.
    pub service_prefix: String,
    /// Prefix of the project's task-definition families in this cluster.
    pub family_prefix: String,
    /// Prefix of the tags that mark what is ours (`belay` unless the environment says otherwise).
    pub tag_prefix: String,
    /// Whether container instances and their free resources matter (any task on EC2 capacity).
    #[serde(default)]
    pub container_instances: bool,
    /// Services that the project takes over although no tag says that they are its own, by name: somebody who may read
    /// them asks for it, so the environment values of their task definitions are kept.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adopt: BTreeSet<String>,
    /// Whether everything is to be taken away, so that all revisions of task definitions matter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub teardown: bool,
    /// Where the network interfaces of tasks are.
    #[serde(default, skip_serializing_if = "NetworkScope::is_empty")]
    pub network: NetworkScope,
    /// CloudWatch log groups, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub log_groups: BTreeSet<String>,
    /// Listeners whose rules matter, by ARN.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub listeners: BTreeSet<String>,
    /// Target groups that Belay makes, by name: whose they are stands in their tags. Those that services use and nobody
    /// names are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub made_groups: BTreeSet<String>,
    /// Cloud Map namespaces, by name or ARN, with the services in them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub namespaces: BTreeSet<String>,
    /// Whether the cluster's default namespace matters, with the services in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_namespace: bool,
    /// Cloud Map services that the model wants, by name; those that services of the project register with are looked at as
    /// well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub registries: BTreeSet<String>,
    /// Hosted zones of Route 53 in which components have records, by name or id.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub record_zones: BTreeSet<String>,
    /// Names of the records that components are to have in them, without a dot at the end; those that services of the project
    /// name in their tag `PREFIX:dns-record` (`ZONE-ID/NAME`) are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub records: BTreeSet<String>,
    /// Schedules of EventBridge Scheduler, by name; those that task definitions of the project name in their tag
    /// `PREFIX:schedule` are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub schedules: BTreeSet<String>,
    /// Rules of EventBridge that start tasks at certain times, by name; those that task definitions of the project name in
    /// their tag `PREFIX:rule` are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub event_rules: BTreeSet<String>,
    /// Quotas of AWS Fargate that the components take of, by their codes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub quotas: BTreeSet<String>,
    /// Services whose number of tasks the model lets follow their load, by name; services that carry the tag
    /// `PREFIX:scaled` are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scaled: BTreeSet<String>,
    /// Those of them that the model scales in steps: their CloudWatch alarms matter. Alarms of services that have such a
    /// policy are looked at as well.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stepped: BTreeSet<String>,
}

/// Tag of a service that says that Application Auto Scaling decides how many tasks it has (behind the tag prefix, like those
/// below).
pub const SCALED_TAG: &str = "scaled";
/// Tag of a service that names the record of Route 53 by which it is found: `ZONE-ID/NAME`.
pub const RECORD_TAG: &str = "dns-record";
/// Tag of a task definition that names the schedule of EventBridge Scheduler that starts it.
pub const SCHEDULE_TAG: &str = "schedule";
/// Tag of a task definition that names the rule of EventBridge that starts it.
pub const EVENT_RULE_TAG: &str = "rule";

/// Whether what names a hosted zone of Route 53 is its id rather than its name.
pub fn is_zone_id(named: &str) -> bool {
    named.len() > 8 && named.starts_with('Z') && named.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Code of the quota `Fargate On-Demand vCPU resource count` (Service Quotas, service `fargate`).
pub const FARGATE_ON_DEMAND: &str = "L-3032A538";
/// Code of the quota `Fargate Spot vCPU resource count`.
pub const FARGATE_SPOT: &str = "L-36FBB829";

/// Parts of the network that tasks are put into: ids, or names in which `*` and `?` stand for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkScope {
    /// VPCs, by id or by their tag `Name`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub vpcs: BTreeSet<String>,
    /// Subnets, by id or by their tag `Name`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subnets: BTreeSet<String>,
    /// Security groups, by id or name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub security_groups: BTreeSet<String>,
}

impl NetworkScope {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    /// Everything that is asked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.vpcs, &self.subnets, &self.security_groups].into_iter().flatten().map(String::as_str)
    }
}

impl EcsScope {
    /// The families of the wanted services' task definitions.
    pub fn families(&self) -> impl Iterator<Item = String> {
        let names = self.services.iter().filter_map(|name| name.strip_prefix(&self.service_prefix));
        names.map(|name| format!("{}{name}", self.family_prefix))
    }
}

/// What to look at in EC2 Auto Scaling and EC2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AsgScope {
    /// Names of the groups of the components that the model wants, both slots of each; most of them do not exist. Launch
    /// templates and launch configurations of the same names are wanted as well.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Prefix of the tags that mark what is ours: groups tagged `PREFIX:project` with the scope's project are wanted too,
    /// each with the launch template version or launch configuration that it uses and with its scaling policies.
    pub tag_prefix: String,
    /// Launch configurations or launch templates that settings are taken from, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub templates: BTreeSet<String>,
    /// The VPC, by id or name, with all of its subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// Whether the VPC of the host where `belay observe` runs is wanted (from its instance metadata).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub home_vpc: bool,
    /// Security groups of the VPC, by id or name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub security_groups: BTreeSet<String>,
    /// Amazon machine images, by id.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub amis: BTreeSet<String>,
    /// EC2 key pairs, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub key_pairs: BTreeSet<String>,
    /// ECS clusters that instances of groups join, by short name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clusters: BTreeSet<String>,
    /// S3 objects that hold user data: `bucket/key`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub objects: BTreeSet<String>,
}

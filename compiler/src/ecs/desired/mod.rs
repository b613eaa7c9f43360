//! What AWS should hold for one component: a RegisterTaskDefinition input and a CreateService input, each value with
//! the place that it came from.
//!
//! Invariants: no tags of ours, no names of the target (cluster, service), no late values yet: those are the lowering's.
//! Lists of named things are in a fixed order (main container first, then by name), so equal meaning gives equal bytes.

mod balancing;
mod capacity;
mod connect;
mod container;
mod discovery;
mod extras;
pub mod network;
mod ports;
mod raw;
mod scaling;
mod service;
mod settled;
mod steps;
mod storage;
mod task;
mod tasks;
mod typed;

pub use balancing::{Attachment, Balancer, Switch, behind_classic, own_balancer};
pub use connect::{may_connect, offered, offers};
pub use extras::log_group;
pub use network::is_id;
pub use scaling::Scaling;
pub use settled::{Settled, settle};
pub use steps::{Step, is_ours as is_alarm_of};
pub use task::network_mode;
pub use tasks::{Kind, OnceTask, Timetable, check_when};

use std::collections::BTreeMap;

use belay_schemas::model::{Component, Port};
use serde_json::Value;

use crate::diagnostics::{Place, Report};

use super::Context;
use super::origin::Origins;
use super::records::{self, Record};
use super::registries::Registry;

/// A component of the model with what its task definition and its service are built from.
#[derive(Clone, Copy)]
struct Part<'a> {
    context: Context<'a>,
    name: &'a str,
    component: &'a Component,
    settled: &'a Settled<'a>,
    attachments: &'a [Attachment],
}

impl<'a> Part<'a> {
    /// The ports that one of the component's containers provides.
    fn provides(&self, container: &str) -> &'a [Port] {
        let provides = match container == self.name {
            true => self.component.provides.as_ref(),
            false => self.component.containers.get(container).and_then(|c| c.provides.as_ref()),
        };
        provides.map(|provides| provides.ports.as_slice()).unwrap_or_default()
    }
}

/// What AWS should hold for one component.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Name of the component.
    pub component: String,
    /// Name of its service.
    pub service_name: String,
    /// Name of its task-definition family.
    pub family: String,
    /// RegisterTaskDefinition's input, without tags.
    pub task: Value,
    /// Where the values of `task` came from.
    pub task_origins: Origins,
    /// CreateService's input, without names, task definition, token and tags.
    pub service: Value,
    /// Where the values of `service` came from.
    pub service_origins: Origins,
    /// The images as written in the model, by container name.
    pub images: BTreeMap<String, String>,
    /// Load balancers and target groups.
    pub attachments: Vec<Attachment>,
    /// Whether the tasks run on Fargate.
    pub fargate: bool,
    /// Whether they run on instances that ECS starts itself, as far as that was observed.
    pub managed: bool,
    /// CloudWatch log groups that its containers write to, as far as the settings name them.
    pub log_groups: Vec<LogGroup>,
    /// How the number of its tasks follows the load.
    pub scaling: Option<Scaling>,
    /// The Cloud Map service that its tasks register with.
    pub registry: Option<Registry>,
    /// The record of Route 53 by which it is found.
    pub record: Option<Record>,
    /// Whether it is a service, or what else.
    pub kind: Kind,
    /// Codes of warnings that its authors know of, with the place of each.
    pub accepted: BTreeMap<String, Place>,
}

/// A CloudWatch log group that Belay keeps.
#[derive(Debug, Clone)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// Days for which it keeps events; absent when nobody says.
    pub retention: Option<u32>,
    /// Where it is named.
    pub place: Place,
}

/// The log groups of a component's containers.
fn log_groups(context: Context<'_>, name: &str, component: &Component, settled: &Settled<'_>) -> Vec<LogGroup> {
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let everywhere = config.and_then(|c| c.logs.as_ref()).map(|logs| (logs, super::settings::place(&["logs"])));
    let sidecars = component.containers.iter().map(|(sidecar, c)| {
        let place = Place::model(["components", name, "containers", sidecar, "logs"]);
        c.logs.as_ref().map(|logs| (logs, place)).or(everywhere.clone())
    });
    let main = settled.settings.logs.as_ref().map(|logs| (logs, settled.place("logs")));
    let proxies = settled.settings.connect.as_ref().and_then(|connect| connect.logs.as_ref());
    let proxies = proxies.map(|logs| (logs, settled.place("connect").child("logs")));
    let all = [main, proxies].into_iter().chain(sidecars).flatten();
    all.filter_map(|(logs, place)| {
        Some(LogGroup { name: log_group(logs)?.to_owned(), retention: logs.retention, place })
    })
    .collect()
}

/// Builds what AWS should hold; what is wrong goes to the report.
pub fn build(context: Context<'_>, name: &str, component: &Component, report: &mut Report) -> Desired {
    let settled = settle(context, name, component);
    let attachments = balancing::attachments(context, name, component, report);
    let part = Part { context, name, component, settled: &settled, attachments: &attachments };
    let task = task::build(part, report);
    let (mut service, service_origins, registry) = service::build(part, &task.task, report);
    let kind = tasks::kind(part, &service, report);
    let scaling = match kind {
        Kind::Service => scaling::build(part, &mut service, report),
        _ => None,
    };
    let record = match kind {
        Kind::Service => records::wanted(context, name, &attachments, report),
        _ => None,
    };
    let fargate = service::is_fargate(&service, &task.task);
    let managed = service::is_managed(context, &service);
    let accept = settled.place("accept");
    Desired {
        accepted: settled.settings.accept.keys().map(|code| (code.clone(), accept.child(code))).collect(),
        component: name.to_owned(),
        service_name: context.service_name(name),
        family: context.family(name),
        task: task.task,
        task_origins: task.origins,
        service,
        service_origins,
        images: task.images,
        log_groups: log_groups(context, name, component, &settled),
        scaling,
        registry,
        record,
        kind,
        attachments,
        fargate,
        managed,
    }
}

impl Desired {
    /// How many tasks should run; absent for a daemon, which runs one on each container instance.
    pub fn desired_count(&self) -> Option<u64> {
        super::json::number(&self.service, "desiredCount")
    }

    /// `minimumHealthyPercent` and `maximumPercent`; where traffic is shifted, all tasks are there twice meanwhile.
    pub fn percents(&self) -> (u64, u64) {
        if super::shift::shifts(&self.service) {
            return (100, 200);
        }
        let configuration = self.service.get("deploymentConfiguration").unwrap_or(&Value::Null);
        (
            super::json::number(configuration, "minimumHealthyPercent").unwrap_or(100),
            super::json::number(configuration, "maximumPercent").unwrap_or(200),
        )
    }

    /// Whether a classic load balancer is attached.
    pub fn behind_classic(&self) -> bool {
        behind_classic(&self.service)
    }

    /// Whether the tasks run on machines outside AWS.
    pub fn external(&self) -> bool {
        super::json::text(&self.service, "launchType") == Some("EXTERNAL")
    }

    /// Docker network mode of the task.
    pub fn network_mode(&self) -> &str {
        super::json::text(&self.task, "networkMode").unwrap_or(if self.fargate { "awsvpc" } else { "bridge" })
    }
}

//! The parts that creating and updating share.

use belay_schemas::plan::Phase;

use crate::ecs::Context;
use crate::ecs::desired::Desired;
use crate::ecs::json::items;

use super::timing::Limits;
use super::waits;
use crate::lower::draft::{Draft, node};

/// A number of tasks, in words.
pub fn tasks(count: u64) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

/// Waits for the deployment that `source` starts; returns the node's id.
pub fn wait_deployed(
    context: Context<'_>,
    desired: &Desired,
    source: &str,
    limits: Limits,
    draft: &mut Draft,
) -> String {
    let component = desired.component.as_str();
    let cluster = context.settings.cluster.as_str();
    let id = format!("{component}.service.deployed");
    let subject = waits::subject(cluster, &desired.service_name, items(&desired.service, "loadBalancers"));
    let summary = match desired.desired_count() {
        Some(count) => {
            format!("wait until this deployment of {} is complete: {} running", desired.service_name, tasks(count))
        }
        None => format!("wait until this deployment of {} is complete", desired.service_name),
    };
    let action = waits::deployed(&subject, source, desired.desired_count().unwrap_or(0), limits);
    draft.add(node(id.clone(), Some(component), Phase::Deploy, summary, action));
    draft.after(source, &id);
    id
}

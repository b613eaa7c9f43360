//! ECS: what its operations do, and how its service scheduler and its tasks go on by themselves.

mod agents;
mod clusters;
pub(super) mod connect;
mod deployments;
mod describe;
mod external;
mod instances;
mod lifecycle;
mod managed;
mod order;
mod placement;
mod platform;
mod providers;
pub(super) mod registry;
mod rollout;
mod run;
mod scheduler;
mod service_input;
mod services;
mod shape;
mod shift;
mod tags;
mod task_definitions;
mod task_reads;

use serde_json::Value;

pub(crate) use agents::cluster_of;
pub(super) use agents::{gone, join, join_clusters, next};
pub(super) use lifecycle::{pass_time, refresh_health};
pub(super) use providers::{next as next_of_providers, pass_time as pass_time_of_providers};
pub(super) use scheduler::reconcile;
pub(crate) use shape::plain_needs;
pub(super) use shift::put_in_alternate;
pub(super) use task_definitions::forget_deleted;

use super::errors::{missing, rejected, unknown_operation};
use super::request::{Answer, short, text};
use super::world::{Service, World};
use crate::cloud::CloudError;

/// Answers an operation of ECS.
pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "RegisterTaskDefinition" => task_definitions::register(world, input),
        "DeregisterTaskDefinition" => task_definitions::deregister(world, input),
        "DeleteTaskDefinitions" => task_definitions::delete(world, input),
        "DescribeTaskDefinition" => task_definitions::describe(world, input),
        "ListTaskDefinitions" => task_definitions::list(world, input),
        "ListTaskDefinitionFamilies" => task_definitions::list_families(world, input),
        "CreateService" => services::create(world, input),
        "UpdateService" => services::update(world, input),
        "DeleteService" => services::delete(world, input),
        "DescribeServices" => describe::services(world, input),
        "ListServices" => describe::list(world, input),
        "ListServiceDeployments" => deployments::list(world, input),
        "DescribeServiceDeployments" => deployments::describe(world, input),
        "DescribeServiceRevisions" => deployments::revisions(world, input),
        "StopServiceDeployment" => deployments::stop(world, input),
        "ListTasks" => task_reads::list(world, input),
        "DescribeTasks" => task_reads::describe(world, input),
        "RunTask" => run::run(world, input),
        "StopTask" => run::stop(world, input),
        "ListContainerInstances" => instances::list(world, input),
        "DescribeContainerInstances" => instances::describe(world, input),
        "UpdateContainerInstancesState" => instances::update_state(world, input),
        "ListClusters" => clusters::list(world, input),
        "DescribeClusters" => clusters::describe(world, input),
        "CreateCapacityProvider" => providers::create(world, input),
        "UpdateCapacityProvider" => providers::update(world, input),
        "DeleteCapacityProvider" => providers::delete(world, input),
        "DescribeCapacityProviders" => providers::describe(world, input),
        "PutClusterCapacityProviders" => providers::put(world, input),
        "TagResource" => tags::tag(world, input),
        "UntagResource" => tags::untag(world, input),
        "ListTagsForResource" => tags::list(world, input),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of ecs."))),
    }
}

/// The name of the cluster that an input means; `default` without one.
fn cluster_name(world: &World, input: &Value) -> Result<String, CloudError> {
    let name = short(text(input, "cluster").unwrap_or("default"));
    match world.clusters.get(name) {
        Some(cluster) if cluster.status == "ACTIVE" => Ok(name.to_owned()),
        _ => Err(missing("ClusterNotFoundException", "Cluster not found.")),
    }
}

/// The key of the service that a name or an ARN means in a cluster.
fn service_key(cluster: &str, service: &str) -> String {
    format!("{cluster}/{}", short(service))
}

fn service_not_found() -> CloudError {
    missing("ServiceNotFoundException", "Service not found.")
}

fn service_not_active() -> CloudError {
    rejected("ServiceNotActiveException", "Service was not ACTIVE.")
}

/// Takes a service out of the world while it is worked on together with the rest of the world.
fn with_service<R>(world: &mut World, key: &str, work: impl FnOnce(&mut World, &mut Service) -> R) -> Option<R> {
    let (key, mut service) = world.services.take(key)?;
    let result = work(world, &mut service);
    world.services.put_back(key, service);
    Some(result)
}

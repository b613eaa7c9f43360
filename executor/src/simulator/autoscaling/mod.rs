//! Auto Scaling: groups, what launches their instances, and how they go on by themselves.
//!
//! Scaling policies, scheduled actions and notifications are kept but never act: who wants to see them act changes the
//! group's desired capacity from outside.

mod activities;
mod balancing;
mod configurations;
mod groups;
mod members;
mod reads;
mod scaler;
mod settings;
mod source;
mod tags;

use serde_json::Value;

pub(super) use scaler::{instance_gone, next, pass_time};
pub(super) use source::content_of;

use super::errors::{busy, missing, rejected, unknown_operation};
use super::request::{Answer, required};
use super::world::{AutoScalingGroup, World};
use crate::cloud::CloudError;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "CreateAutoScalingGroup" => groups::create(world, input),
        "UpdateAutoScalingGroup" => groups::update(world, input),
        "DeleteAutoScalingGroup" => groups::delete(world, input),
        "SetDesiredCapacity" => groups::set_desired(world, input),
        "CreateLaunchConfiguration" => configurations::create(world, input),
        "DeleteLaunchConfiguration" => configurations::delete(world, input),
        "DescribeLaunchConfigurations" => configurations::describe(world, input),
        "AttachInstances" => members::attach(world, input),
        "DetachInstances" => members::detach(world, input),
        "SetInstanceProtection" => members::protect(world, input),
        "SetInstanceHealth" => members::set_health(world, input),
        "TerminateInstanceInAutoScalingGroup" => members::terminate(world, input),
        "AttachLoadBalancers" | "AttachLoadBalancerTargetGroups" | "AttachTrafficSources" => {
            balancing::attach(world, operation, input)
        }
        "DetachLoadBalancers" | "DetachLoadBalancerTargetGroups" | "DetachTrafficSources" => {
            balancing::detach(world, operation, input)
        }
        "DescribeLoadBalancers" | "DescribeLoadBalancerTargetGroups" | "DescribeTrafficSources" => {
            balancing::describe(world, operation, input)
        }
        "SuspendProcesses" => settings::suspend(world, input),
        "ResumeProcesses" => settings::resume(world, input),
        "PutLifecycleHook" => settings::put_hook(world, input),
        "DeleteLifecycleHook" => settings::delete_hook(world, input),
        "DescribeLifecycleHooks" => settings::describe_hooks(world, input),
        "PutScalingPolicy" => settings::put_policy(world, input),
        "DeletePolicy" => settings::delete_policy(world, input),
        "DescribePolicies" => settings::describe_policies(world, input),
        "PutScheduledUpdateGroupAction" => settings::put_scheduled(world, input),
        "DeleteScheduledAction" => settings::delete_scheduled(world, input),
        "DescribeScheduledActions" => settings::describe_scheduled(world, input),
        "EnableMetricsCollection" => settings::enable_metrics(world, input),
        "DisableMetricsCollection" => settings::disable_metrics(world, input),
        "CreateOrUpdateTags" => tags::put(world, input),
        "DeleteTags" => tags::delete(world, input),
        "DescribeTags" => tags::describe(world, input),
        "DescribeAutoScalingGroups" => reads::groups(world, input),
        "DescribeAutoScalingInstances" => reads::instances(world, input),
        "DescribeScalingActivities" => reads::activities(world, input),
        "DescribeInstanceRefreshes" => reads::none_of_group(world, "InstanceRefreshes", input),
        "DescribeWarmPool" => reads::none_of_group(world, "Instances", input),
        "DescribeAccountLimits" => reads::limits(world),
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of autoscaling."))),
    }
}

/// Auto Scaling's error for nearly everything.
fn invalid(message: impl Into<String>) -> CloudError {
    rejected("ValidationError", message)
}

fn not_found(name: &str) -> CloudError {
    missing("ValidationError", format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
}

/// A new ARN: AWS puts an id of its own between the kind and the name.
pub(super) fn arn(world: &mut World, kind: &str, resource: &str) -> String {
    let id = world.uuid(kind);
    format!("arn:{}:autoscaling:{}:{}:{kind}:{id}:{resource}", world.partition, world.region, world.account)
}

/// The name of the group that an input is about, which must exist.
fn name_of(world: &World, input: &Value) -> Result<String, CloudError> {
    let name = required(input, "AutoScalingGroupName")?;
    match world.auto_scaling_groups.get(name) {
        None => Err(not_found(name)),
        Some(group) if group.deleting => {
            Err(busy("ScalingActivityInProgress", format!("AutoScalingGroup '{name}' is pending delete")))
        }
        Some(_) => Ok(name.to_owned()),
    }
}

/// The group that an input is about, to change it.
fn group_mut<'w>(world: &'w mut World, input: &Value) -> Result<&'w mut AutoScalingGroup, CloudError> {
    let name = name_of(world, input)?;
    world.auto_scaling_groups.get_mut(&name).ok_or_else(|| not_found(&name))
}

/// Takes a group out of the world while it is worked on together with the rest of the world.
fn with_group<R>(
    world: &mut World,
    name: &str,
    work: impl FnOnce(&mut World, &mut AutoScalingGroup) -> R,
) -> Option<R> {
    let (key, mut group) = world.auto_scaling_groups.take(name)?;
    let result = work(world, &mut group);
    world.auto_scaling_groups.put_back(key, group);
    Some(result)
}

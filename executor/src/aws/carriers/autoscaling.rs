//! Auto Scaling, carried by aws-sdk-autoscaling: it finds the endpoint, signs and sends.
//!
//! The crate has no way from a document to its typed inputs, as the query protocol's crates have none, so the request is
//! written by the wire's encoder; an escort puts that in place of what the client's empty builder would have sent.

use aws_config::SdkConfig;
use aws_sdk_autoscaling::Client;

use crate::aws::exchange::{Cargo, Exchange, Unanswered};
use crate::aws::wire::{Answer, Request, WireError};

/// The carrier of Auto Scaling.
pub(in crate::aws) struct AutoScaling {
    client: Client,
}

/// The operations: name and the client's method.
macro_rules! operations {
    ($($name:ident $method:ident,)*) => {
        async fn send(client: &Client, operation: &str, request: Request) -> Result<Result<Answer, Unanswered>, WireError> {
            let exchange = Exchange::default();
            let escort = exchange.escort(Cargo::Request(request));
            match operation {
                $(stringify!($name) => {
                    // In a box, because the future of every operation would be as large as the largest.
                    let result = Box::pin(client.$method().customize().interceptor(escort).send()).await;
                    Ok(exchange.end(result))
                })*
                _ => Err(WireError::Input(format!("aws-sdk-autoscaling has no line for {operation} here"))),
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

operations! {
    AttachInstances attach_instances,
    AttachLoadBalancerTargetGroups attach_load_balancer_target_groups,
    AttachLoadBalancers attach_load_balancers,
    AttachTrafficSources attach_traffic_sources,
    CreateAutoScalingGroup create_auto_scaling_group,
    CreateLaunchConfiguration create_launch_configuration,
    CreateOrUpdateTags create_or_update_tags,
    DeleteAutoScalingGroup delete_auto_scaling_group,
    DeleteLaunchConfiguration delete_launch_configuration,
    DeleteLifecycleHook delete_lifecycle_hook,
    DeletePolicy delete_policy,
    DeleteScheduledAction delete_scheduled_action,
    DeleteTags delete_tags,
    DescribeAccountLimits describe_account_limits,
    DescribeAutoScalingGroups describe_auto_scaling_groups,
    DescribeAutoScalingInstances describe_auto_scaling_instances,
    DescribeInstanceRefreshes describe_instance_refreshes,
    DescribeLaunchConfigurations describe_launch_configurations,
    DescribeLifecycleHooks describe_lifecycle_hooks,
    DescribeLoadBalancerTargetGroups describe_load_balancer_target_groups,
    DescribeLoadBalancers describe_load_balancers,
    DescribePolicies describe_policies,
    DescribeScalingActivities describe_scaling_activities,
    DescribeScheduledActions describe_scheduled_actions,
    DescribeTags describe_tags,
    DescribeTrafficSources describe_traffic_sources,
    DescribeWarmPool describe_warm_pool,
    DetachInstances detach_instances,
    DetachLoadBalancerTargetGroups detach_load_balancer_target_groups,
    DetachLoadBalancers detach_load_balancers,
    DetachTrafficSources detach_traffic_sources,
    DisableMetricsCollection disable_metrics_collection,
    EnableMetricsCollection enable_metrics_collection,
    PutLifecycleHook put_lifecycle_hook,
    PutScalingPolicy put_scaling_policy,
    PutScheduledUpdateGroupAction put_scheduled_update_group_action,
    ResumeProcesses resume_processes,
    SetDesiredCapacity set_desired_capacity,
    SetInstanceHealth set_instance_health,
    SetInstanceProtection set_instance_protection,
    SuspendProcesses suspend_processes,
    TerminateInstanceInAutoScalingGroup terminate_instance_in_auto_scaling_group,
    UpdateAutoScalingGroup update_auto_scaling_group,
}

impl AutoScaling {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Sends a request and gives what came back.
    ///
    /// # Errors
    /// An operation without a line here: nothing was sent.
    pub async fn send(&self, operation: &str, request: Request) -> Result<Result<Answer, Unanswered>, WireError> {
        send(&self.client, operation, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_a_plan_may_hold_has_a_line() {
        let table = belay_schemas::aws::service("autoscaling").unwrap();
        let missing: Vec<&str> =
            table.operations().iter().map(|operation| &*operation.name).filter(|name| !NAMES.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

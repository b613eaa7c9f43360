//! ECS and Auto Scaling, carried by their own SDK clients: these find the endpoint by AWS's rules, sign and send.
//!
//! What they send is written from the shapes, like every other service's request: an escort puts it in the place of what
//! the client's empty builder would have sent. The crates' own serialisers would not do. aws-sdk-autoscaling has no way
//! from JSON to its typed inputs. aws-sdk-ecs has one, and it was tried: held against botocore over every member it drops
//! members that are younger than the crate without a word, and writes zeros for numbers that the plan leaves out (`cpu` of
//! a container, `base` and `weight` of a strategy). What was reviewed has to be what runs.

use aws_config::SdkConfig;

use super::exchange::{Exchange, Unanswered};
use super::wire::{Answer, Request, WireError};

/// A service with a client of its own: its name here, the crate, and its operations with the client's methods.
macro_rules! carrier {
    ($service:literal $carrier:ident $krate:ident: $($name:ident $method:ident,)*) => {
        #[doc = concat!("The carrier of ", $service, ".")]
        pub(super) struct $carrier {
            client: $krate::Client,
        }

        impl $carrier {
            pub fn new(config: &SdkConfig) -> Self {
                Self { client: $krate::Client::new(config) }
            }

            /// Sends a request and gives what came back.
            ///
            /// # Errors
            /// An operation without a line here: nothing was sent.
            pub async fn send(
                &self,
                operation: &str,
                request: Request,
            ) -> Result<Result<Answer, Unanswered>, WireError> {
                let exchange = Exchange::default();
                let escort = exchange.escort(request);
                match operation {
                    $(stringify!($name) => {
                        // In a box, because the future of every operation would be as large as the largest.
                        let result = Box::pin(self.client.$method().customize().interceptor(escort).send()).await;
                        Ok(exchange.end(result))
                    })*
                    _ => Err(WireError::Input(format!("{} has no line for {operation} here", stringify!($krate)))),
                }
            }

            #[cfg(test)]
            const SERVICE: &str = $service;
            #[cfg(test)]
            const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

carrier! { "ecs" Ecs aws_sdk_ecs:
    ContinueServiceDeployment continue_service_deployment,
    CreateCapacityProvider create_capacity_provider,
    CreateService create_service,
    CreateTaskSet create_task_set,
    DeleteCapacityProvider delete_capacity_provider,
    DeleteService delete_service,
    DeleteTaskDefinitions delete_task_definitions,
    DeleteTaskSet delete_task_set,
    DeregisterTaskDefinition deregister_task_definition,
    DescribeCapacityProviders describe_capacity_providers,
    DescribeClusters describe_clusters,
    DescribeContainerInstances describe_container_instances,
    DescribeServiceDeployments describe_service_deployments,
    DescribeServiceRevisions describe_service_revisions,
    DescribeServices describe_services,
    DescribeTaskDefinition describe_task_definition,
    DescribeTaskSets describe_task_sets,
    DescribeTasks describe_tasks,
    ListClusters list_clusters,
    ListContainerInstances list_container_instances,
    ListServiceDeployments list_service_deployments,
    ListServices list_services,
    ListTagsForResource list_tags_for_resource,
    ListTaskDefinitionFamilies list_task_definition_families,
    ListTaskDefinitions list_task_definitions,
    ListTasks list_tasks,
    PutClusterCapacityProviders put_cluster_capacity_providers,
    RegisterTaskDefinition register_task_definition,
    RunTask run_task,
    StartTask start_task,
    StopServiceDeployment stop_service_deployment,
    StopTask stop_task,
    TagResource tag_resource,
    UntagResource untag_resource,
    UpdateCapacityProvider update_capacity_provider,
    UpdateContainerInstancesState update_container_instances_state,
    UpdateService update_service,
    UpdateServicePrimaryTaskSet update_service_primary_task_set,
    UpdateTaskSet update_task_set,
}

carrier! { "autoscaling" AutoScaling aws_sdk_autoscaling:
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_a_plan_may_hold_has_a_line() {
        for (service, names) in [(Ecs::SERVICE, Ecs::NAMES), (AutoScaling::SERVICE, AutoScaling::NAMES)] {
            let table = belay_schemas::aws::service(service).unwrap();
            let missing: Vec<&str> = table
                .operations()
                .iter()
                .map(|operation| &*operation.name)
                .filter(|name| !names.contains(name))
                .collect();
            assert!(missing.is_empty(), "{service}: {missing:?}");
        }
    }
}

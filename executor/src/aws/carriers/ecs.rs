//! ECS, carried by aws-sdk-ecs: it writes the request, finds the endpoint, signs and sends.
//!
//! The crate's own schemas turn any input that is a document into the operation's typed input; an escort puts that in
//! place of the empty one that the client's builder made. The answer is read by the wire's reader like every service's:
//! a typed output would lose the members that AWS added after the crate was made.

use aws_config::SdkConfig;
use aws_sdk_ecs::Client;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_schema::document::DocumentShapeDeserializer;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_types::{Document, Number};
use serde_json::Value;

use crate::aws::exchange::{Cargo, Exchange, Unanswered};
use crate::aws::wire::{Answer, WireError};

/// The carrier of ECS.
pub(in crate::aws) struct Ecs {
    client: Client,
}

/// The operations: name, the client's method, the input's type.
macro_rules! operations {
    ($($name:ident $method:ident $input:ident,)*) => {
        /// Sends a call and gives what came back.
        async fn send(client: &Client, operation: &str, input: &Document) -> Result<Result<Answer, Unanswered>, WireError> {
            let exchange = Exchange::default();
            match operation {
                $(stringify!($name) => {
                    use aws_sdk_ecs::operation::$method::$input as Typed;
                    let escort = exchange.escort(Cargo::Input(typed(input, |from| Typed::deserialize(from))?));
                    let call = client.$method().customize().interceptor(escort);
                    // In a box, because the future of every operation would be as large as the largest.
                    let result = Box::pin(call.send()).await;
                    Ok(exchange.end(result))
                })*
                _ => Err(WireError::Input(format!("aws-sdk-ecs has no line for {operation} here"))),
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

operations! {
    ContinueServiceDeployment continue_service_deployment ContinueServiceDeploymentInput,
    CreateCapacityProvider create_capacity_provider CreateCapacityProviderInput,
    CreateService create_service CreateServiceInput,
    CreateTaskSet create_task_set CreateTaskSetInput,
    DeleteCapacityProvider delete_capacity_provider DeleteCapacityProviderInput,
    DeleteService delete_service DeleteServiceInput,
    DeleteTaskDefinitions delete_task_definitions DeleteTaskDefinitionsInput,
    DeleteTaskSet delete_task_set DeleteTaskSetInput,
    DeregisterTaskDefinition deregister_task_definition DeregisterTaskDefinitionInput,
    DescribeCapacityProviders describe_capacity_providers DescribeCapacityProvidersInput,
    DescribeClusters describe_clusters DescribeClustersInput,
    DescribeContainerInstances describe_container_instances DescribeContainerInstancesInput,
    DescribeServiceDeployments describe_service_deployments DescribeServiceDeploymentsInput,
    DescribeServiceRevisions describe_service_revisions DescribeServiceRevisionsInput,
    DescribeServices describe_services DescribeServicesInput,
    DescribeTaskDefinition describe_task_definition DescribeTaskDefinitionInput,
    DescribeTaskSets describe_task_sets DescribeTaskSetsInput,
    DescribeTasks describe_tasks DescribeTasksInput,
    ListClusters list_clusters ListClustersInput,
    ListContainerInstances list_container_instances ListContainerInstancesInput,
    ListServiceDeployments list_service_deployments ListServiceDeploymentsInput,
    ListServices list_services ListServicesInput,
    ListTagsForResource list_tags_for_resource ListTagsForResourceInput,
    ListTaskDefinitionFamilies list_task_definition_families ListTaskDefinitionFamiliesInput,
    ListTaskDefinitions list_task_definitions ListTaskDefinitionsInput,
    ListTasks list_tasks ListTasksInput,
    PutClusterCapacityProviders put_cluster_capacity_providers PutClusterCapacityProvidersInput,
    RegisterTaskDefinition register_task_definition RegisterTaskDefinitionInput,
    RunTask run_task RunTaskInput,
    StartTask start_task StartTaskInput,
    StopServiceDeployment stop_service_deployment StopServiceDeploymentInput,
    StopTask stop_task StopTaskInput,
    TagResource tag_resource TagResourceInput,
    UntagResource untag_resource UntagResourceInput,
    UpdateCapacityProvider update_capacity_provider UpdateCapacityProviderInput,
    UpdateContainerInstancesState update_container_instances_state UpdateContainerInstancesStateInput,
    UpdateService update_service UpdateServiceInput,
    UpdateServicePrimaryTaskSet update_service_primary_task_set UpdateServicePrimaryTaskSetInput,
    UpdateTaskSet update_task_set UpdateTaskSetInput,
}

impl Ecs {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Sends a call and gives what came back.
    ///
    /// # Errors
    /// An input that the operation's type has no place for, or an operation without a line here: nothing was sent.
    pub async fn send(&self, operation: &str, input: &Value) -> Result<Result<Answer, Unanswered>, WireError> {
        send(&self.client, operation, &document(input)).await
    }
}

fn typed<T: std::fmt::Debug + Send + Sync + 'static>(
    document: &Document,
    read: impl FnOnce(&mut dyn ShapeDeserializer) -> Result<T, SerdeError>,
) -> Result<Input, WireError> {
    let mut from = DocumentShapeDeserializer::new(document);
    read(&mut from).map(Input::erase).map_err(|error| WireError::Input(error.to_string()))
}

fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(flag) => Document::Bool(*flag),
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Number::PosInt(number),
            (None, Some(number)) => Number::NegInt(number),
            (None, None) => Number::Float(number.as_f64().unwrap_or_default()),
        }),
        Value::String(text) => Document::String(text.clone()),
        Value::Array(items) => Document::Array(items.iter().map(document).collect()),
        Value::Object(members) => {
            Document::Object(members.iter().map(|(name, value)| (name.clone(), document(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_a_plan_may_hold_has_a_line() {
        let table = belay_schemas::aws::service("ecs").unwrap();
        let missing: Vec<&str> =
            table.operations().iter().map(|operation| &*operation.name).filter(|name| !NAMES.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

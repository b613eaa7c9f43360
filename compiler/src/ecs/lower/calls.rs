//! ECS calls that several nodes make.

use belay_schemas::plan::Call;
use serde_json::{Value, json};

use crate::lower::draft::call;

/// An ECS call object.
pub fn ecs(operation: &str, input: Value) -> Call {
    call("ecs", operation, input)
}

/// DescribeServices of one service.
pub fn describe_service(cluster: &str, service: &str) -> Call {
    ecs("DescribeServices", json!({"cluster": cluster, "services": [service]}))
}

/// DescribeServices of one service with its tags.
pub fn describe_service_tags(cluster: &str, service: &str) -> Call {
    ecs("DescribeServices", json!({"cluster": cluster, "services": [service], "include": ["TAGS"]}))
}

/// True when there is no such service, or only the shadow of a deleted one.
pub const SERVICE_ABSENT: &str = "length(services[?status!='INACTIVE']) == `0`";

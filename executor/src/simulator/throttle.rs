//! Throttling as AWS publishes it: token buckets per service and family of operations.

use super::world::{Bucket, World};

/// A family of operations: burst and tokens per 1000 seconds.
struct Limit {
    bucket: &'static str,
    burst: u64,
    per_1000_seconds: u64,
}

const fn limit(bucket: &'static str, burst: u64, per_second: u64) -> Limit {
    Limit { bucket, burst, per_1000_seconds: per_second * 1000 }
}

fn limit_of(service: &str, operation: &str) -> Limit {
    match (service, operation) {
        ("ecs", "RegisterTaskDefinition" | "DeregisterTaskDefinition") => limit("ecs task definition modify", 20, 1),
        ("ecs", "DeleteTaskDefinitions") => limit("ecs task definition delete", 5, 1),
        ("ecs", "CreateService" | "UpdateService" | "DeleteService") => limit("ecs service modify", 50, 5),
        ("ecs", "DescribeServices" | "ListServices") => limit("ecs service read", 100, 20),
        ("ecs", "DescribeServiceDeployments" | "ListServiceDeployments" | "StopServiceDeployment") => {
            limit("ecs deployments", 50, 20)
        }
        ("ecs", "DescribeServiceRevisions") => limit("ecs revisions", 50, 20),
        ("ecs", "RunTask" | "StopTask" | "UpdateContainerInstancesState") => limit("ecs tasks", 100, 40),
        ("ecs", "DescribeTasks" | "ListTasks" | "DescribeContainerInstances" | "ListContainerInstances") => {
            limit("ecs task read", 100, 20)
        }
        ("ecs", "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies") => {
            limit("ecs task definition read", 50, 20)
        }
        ("ecs", "TagResource" | "UntagResource" | "ListTagsForResource") => limit("ecs tags", 20, 10),
        ("ecs", name) if name.contains("CapacityProvider") => limit("ecs capacity provider", 10, 1),
        ("ecs", _) => limit("ecs cluster", 20, 1),
        ("ec2", "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate" | "TerminateInstances") => {
            limit("ec2 modify often", 100, 5)
        }
        ("ec2", name) if name.starts_with("Describe") => limit("ec2 describe", 100, 20),
        ("ec2", _) => limit("ec2 modify", 50, 5),
        // Unpublished; about as much as AWS is seen to allow.
        ("autoscaling", name) if name.starts_with("Describe") => limit("autoscaling describe", 40, 10),
        ("autoscaling", _) => limit("autoscaling modify", 20, 5),
        ("elb" | "elbv2", name) if name.starts_with("Describe") => limit("elb describe", 40, 10),
        ("elb" | "elbv2", name) if name.contains("Target") || name.contains("Instances") => {
            limit("elb register", 20, 4)
        }
        ("elb" | "elbv2", _) => limit("elb modify", 20, 3),
        _ => limit("other", 100, 20),
    }
}

/// Takes a token; false if there is none.
pub(super) fn admit(world: &mut World, service: &str, operation: &str) -> bool {
    if !world.throttling.enabled {
        return true;
    }
    let limit = limit_of(service, operation);
    let (now, full) = (world.now, limit.burst * 1000);
    let bucket =
        world.throttling.buckets.entry(limit.bucket.to_owned()).or_insert(Bucket { milli_tokens: full, at: now });
    bucket.milli_tokens = full.min(bucket.milli_tokens + now.since(bucket.at) * limit.per_1000_seconds);
    bucket.at = now;
    let admitted = bucket.milli_tokens >= 1000;
    if admitted {
        bucket.milli_tokens -= 1000;
    }
    admitted
}

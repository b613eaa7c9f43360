//! Names in ECS: which are legal, and how ours are made.
//!
//! Source of the rule: the ECS API reference (family, serviceName, container name): up to 255 letters, digits,
//! underscores and hyphens. The family carries the cluster's name because task definitions are shared by all clusters
//! of an account.

/// Whether ECS takes this as the name of a cluster, family, service, container or volume.
pub fn is_ecs_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `{project}_{component}`.
pub fn service(project: &str, component: &str) -> String {
    format!("{project}_{component}")
}

/// `{cluster}_{project}_{component}`.
pub fn family(cluster: &str, project: &str, component: &str) -> String {
    format!("{cluster}_{project}_{component}")
}

/// The name of a target group, from its ARN or from what stands for that.
pub fn target_group(arn: &str) -> &str {
    arn.rsplit(':').next().and_then(|rest| rest.split('/').nth(1)).unwrap_or(arn)
}

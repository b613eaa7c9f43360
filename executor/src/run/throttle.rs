//! Keeps a run or an observation below AWS's request rates: a token bucket for each service and family of operations,
//! measured on its clock, slower for a while whenever AWS says that it is too fast.
//!
//! Invariant: a permit is a time, never a refusal; calls of one family are permitted in the order of asking.

use std::collections::HashMap;

/// Tokens at most, and tokens a second.
type Rate = (f64, f64);

/// For how long AWS's complaint is remembered, in milliseconds.
const PENALTY: u64 = 30_000;

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: u64,
    slow_until: u64,
    factor: f64,
}

/// All buckets of one run or observation.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: HashMap<(String, &'static str), Bucket>,
}

impl Throttle {
    /// The time from which on a call may be made, asked for at `now` (milliseconds).
    pub fn permit(&mut self, service: &str, operation: &str, now: u64) -> u64 {
        let bucket = self.bucket(service, operation, now);
        let elapsed = now.saturating_sub(bucket.at) as f64 / 1000.0;
        if now >= bucket.slow_until {
            bucket.factor = 1.0;
        }
        let (burst, refill) = (bucket.rate.0, bucket.rate.1 * bucket.factor);
        bucket.tokens = (bucket.tokens + elapsed * refill).min(burst) - 1.0;
        bucket.at = bucket.at.max(now);
        if bucket.tokens >= 0.0 {
            return now;
        }
        // A debt is paid back by the refill, so later callers wait longer.
        now + (-bucket.tokens / refill * 1000.0).ceil() as u64
    }

    /// AWS said that a call came too fast.
    pub fn throttled(&mut self, service: &str, operation: &str, now: u64) {
        let bucket = self.bucket(service, operation, now);
        bucket.tokens = bucket.tokens.min(0.0);
        bucket.factor = (bucket.factor / 2.0).max(1.0 / 16.0);
        bucket.slow_until = now + PENALTY;
    }

    fn bucket(&mut self, service: &str, operation: &str, now: u64) -> &mut Bucket {
        let (family, rate) = family(service, operation);
        self.buckets.entry((service.to_owned(), family)).or_insert(Bucket {
            rate,
            tokens: rate.0,
            at: now,
            slow_until: 0,
            factor: 1.0,
        })
    }
}

/// Whether an error code says that the call came too fast.
pub(crate) fn is_throttle(code: &str) -> bool {
    matches!(code, "RequestLimitExceeded" | "PriorRequestNotComplete" | "SlowDown" | "TooManyRequestsException")
        || code.contains("Throttl")
}

/// The family that an operation shares its rate with.
fn family(service: &str, operation: &str) -> (&'static str, Rate) {
    let reads = operation.starts_with("Describe") || operation.starts_with("List") || operation.starts_with("Get");
    match (service, operation) {
        ("ecs", "RegisterTaskDefinition" | "DeregisterTaskDefinition") => ("task-definitions", (20.0, 1.0)),
        ("ecs", "DeleteTaskDefinitions") => ("delete-task-definitions", (5.0, 1.0)),
        ("ecs", "CreateService" | "UpdateService" | "DeleteService") => ("services", (50.0, 5.0)),
        ("ecs", "DescribeServices" | "ListServices") => ("read-services", (100.0, 20.0)),
        ("ecs", "DescribeTaskDefinition" | "ListTaskDefinitions" | "ListTaskDefinitionFamilies") => {
            ("read-task-definitions", (50.0, 20.0))
        }
        ("ecs", "RunTask" | "StopTask" | "StartTask" | "UpdateContainerInstancesState") => ("tasks", (100.0, 40.0)),
        ("ecs", "TagResource" | "UntagResource" | "ListTagsForResource") => ("tags", (20.0, 10.0)),
        ("ecs", op) if op.contains("ServiceDeployment") => ("deployments", (50.0, 20.0)),
        ("ecs", op) if op.contains("ServiceRevision") => ("revisions", (50.0, 20.0)),
        ("ecs", op) if op.contains("CapacityProvider") && !reads => ("capacity-providers", (10.0, 1.0)),
        ("ecs", op) if op.ends_with("Cluster") && !reads => ("clusters", (20.0, 1.0)),
        ("ecs", _) if reads => ("reads", (100.0, 20.0)),
        ("ecs", _) => ("changes", (20.0, 1.0)),
        ("ec2", "CreateLaunchTemplateVersion" | "ModifyLaunchTemplate" | "TerminateInstances") => {
            ("launch-templates", (100.0, 5.0))
        }
        ("ec2", _) if reads => ("reads", (50.0, 10.0)),
        ("ec2", _) => ("changes", (50.0, 5.0)),
        ("elb" | "elbv2", "RegisterTargets" | "DeregisterTargets") => ("targets", (20.0, 4.0)),
        ("elb" | "elbv2", _) if reads => ("reads", (40.0, 10.0)),
        ("elb" | "elbv2", _) => ("changes", (20.0, 3.0)),
        ("route53", _) => ("all", (50.0, 10.0)),
        ("autoscaling" | "application-autoscaling", _) if reads => ("reads", (20.0, 10.0)),
        ("autoscaling" | "application-autoscaling", _) => ("changes", (10.0, 5.0)),
        (_, _) if reads => ("reads", (50.0, 10.0)),
        _ => ("changes", (20.0, 5.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_refill_rules() {
        let mut throttle = Throttle::default();
        let times: Vec<u64> = (0..23).map(|_| throttle.permit("ecs", "RegisterTaskDefinition", 1000)).collect();
        assert!(times[..20].iter().all(|at| *at == 1000));
        assert_eq!(times[20..], [2000, 3000, 4000]);
        assert_eq!(throttle.permit("ecs", "UpdateService", 1000), 1000);
        assert_eq!(throttle.permit("ecs", "RegisterTaskDefinition", 30_000), 30_000);
    }

    #[test]
    fn a_complaint_slows_a_family_down_for_a_while() {
        let mut throttle = Throttle::default();
        throttle.permit("ecs", "DescribeServices", 0);
        throttle.throttled("ecs", "DescribeServices", 0);
        assert_eq!(throttle.permit("ecs", "DescribeServices", 0), 100);
        throttle.permit("ecs", "DescribeServices", 60_000);
        assert_eq!(throttle.permit("ecs", "DescribeServices", 60_000), 60_000);
    }
}

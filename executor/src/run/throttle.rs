//! Keeps a run or an observation below AWS's request rates: a token bucket for each service and family of operations,
//! measured on its clock, slower for a while whenever AWS says that it is too fast.
//!
//! An eager one holds back nothing until AWS complains for the first time, and the documented rate from then on: quotas
//! can be raised, what else an account does is not known here, and a throttled call has changed nothing.
//!
//! Invariant: a permit is a time, never a refusal; calls of one family are permitted in the order of asking.

use std::collections::HashMap;

/// Tokens at most, and tokens a second.
type Rate = (f64, f64);

/// For how long AWS's complaint is remembered, in milliseconds.
const PENALTY: u64 = 30_000;
/// Complaints that come so soon after another one, in milliseconds, are about calls that were sent with it.
const SAME: u64 = 1_000;

#[derive(Debug, Clone)]
struct Bucket {
    rate: Rate,
    /// Whether calls are held back: always, or since AWS complained.
    armed: bool,
    /// When AWS complained last.
    told: Option<u64>,
    tokens: f64,
    at: u64,
    slow_until: u64,
    factor: f64,
}

impl Bucket {
    /// Adds what has come since the last time; tokens a second.
    fn refill(&mut self, now: u64) -> f64 {
        if now >= self.slow_until {
            self.factor = 1.0;
        }
        let (burst, refill) = (self.rate.0, self.rate.1 * self.factor);
        let elapsed = now.saturating_sub(self.at) as f64 / 1000.0;
        self.tokens = (self.tokens + elapsed * refill).min(burst);
        self.at = self.at.max(now);
        refill
    }
}

/// All buckets of one run or observation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttle {
    eager: bool,
    buckets: HashMap<(String, &'static str), Bucket>,
}

impl Throttle {
    /// One that holds nothing back until AWS complains.
    pub fn eager() -> Self {
        Self { eager: true, ..Self::default() }
    }

    /// The time from which on a call may be made, asked for at `now` (milliseconds).
    pub fn permit(&mut self, service: &str, operation: &str, now: u64) -> u64 {
        let bucket = self.bucket(service, operation, now);
        let refill = bucket.refill(now);
        bucket.tokens -= 1.0;
        if !bucket.armed {
            // Only the documented burst counts: what went beyond it was somebody's to give.
            bucket.tokens = bucket.tokens.max(0.0);
            return now;
        }
        if bucket.tokens >= 0.0 {
            return now;
        }
        // A debt is paid back by the refill, so later callers wait longer.
        now + (-bucket.tokens / refill * 1000.0).ceil() as u64
    }

    /// AWS said that a call came too fast.
    pub fn throttled(&mut self, service: &str, operation: &str, now: u64) {
        let bucket = self.bucket(service, operation, now);
        let known = bucket.told.is_some_and(|told| now < told + SAME);
        if known {
            return;
        }
        bucket.told = Some(now);
        bucket.refill(now);
        bucket.tokens = bucket.tokens.min(0.0);
        if !bucket.armed {
            // The documented rate is tried before a lower one.
            bucket.armed = true;
            return;
        }
        bucket.factor = (bucket.factor / 2.0).max(1.0 / 16.0);
        bucket.slow_until = now + PENALTY;
    }

    fn bucket(&mut self, service: &str, operation: &str, now: u64) -> &mut Bucket {
        let (family, rate) = family(service, operation);
        let armed = !self.eager;
        self.buckets.entry((service.to_owned(), family)).or_insert(Bucket {
            rate,
            armed,
            told: None,
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
    fn an_eager_one_waits_for_the_first_complaint() {
        let mut throttle = Throttle::eager();
        assert!((0..500).all(|_| throttle.permit("ecs", "RegisterTaskDefinition", 1000) == 1000));
        // Eight were on their way when the first of them was refused: one complaint.
        (0..8).for_each(|_| throttle.throttled("ecs", "RegisterTaskDefinition", 1100));
        let times: Vec<u64> = (0..3).map(|_| throttle.permit("ecs", "RegisterTaskDefinition", 1100)).collect();
        assert_eq!(times, [2100, 3100, 4100], "the documented rate, one a second");
        assert_eq!(throttle.permit("ecs", "UpdateService", 1100), 1100);
        throttle.throttled("ecs", "RegisterTaskDefinition", 5000);
        assert_eq!(throttle.permit("ecs", "RegisterTaskDefinition", 5000), 7000, "half of it");
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

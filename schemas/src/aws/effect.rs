//! Which operations destroy: what the plan checker keeps behind the commit point.
//!
//! Invariant: an operation is destructive when no other call restores what it took away, with the same identity.

/// Operations with such names take away something that cannot be given back: the object's ARN, history or running
/// processes are gone, even where an equal object can be made anew.
const DESTRUCTIVE: [&str; 5] = ["BatchDelete", "Delete", "Deregister", "Stop", "Terminate"];

/// What destroys without saying so in its name: an instance that is called unhealthy is terminated and replaced.
const UNNAMED: [(&str, &str); 1] = [("autoscaling", "SetInstanceHealth")];

/// The exceptions: an opposite call brings the same thing back.
const RESTORABLE: [(&str, &str); 10] = [
    ("application-autoscaling", "DeleteScalingPolicy"), // PutScalingPolicy: a policy is its name and its settings
    ("application-autoscaling", "DeleteScheduledAction"), // PutScheduledAction
    // RegisterScalableTarget: limits; what hangs on it is put again by its own calls.
    ("application-autoscaling", "DeregisterScalableTarget"),
    ("autoscaling", "DeleteLifecycleHook"), // PutLifecycleHook: a hook is its name and its settings
    ("autoscaling", "DeleteTags"),          // CreateOrUpdateTags
    ("cloudwatch", "DeleteAlarms"),         // PutMetricAlarm: an alarm is its name and its settings
    ("ec2", "DeleteTags"),                  // CreateTags
    ("elb", "DeregisterInstancesFromLoadBalancer"), // RegisterInstancesWithLoadBalancer
    ("elbv2", "DeregisterTargets"),         // RegisterTargets
    ("servicediscovery", "DeregisterInstance"), // RegisterInstance
];

/// Whether an operation's effect cannot be taken back: `DeleteService`, `DeregisterTaskDefinition`, `StopTask`, …
/// Operations without a shape here are judged by their name too.
pub fn is_destructive(service: &str, operation: &str) -> bool {
    let named = DESTRUCTIVE.iter().any(|prefix| operation.starts_with(prefix));
    (named && !RESTORABLE.contains(&(service, operation))) || UNNAMED.contains(&(service, operation))
}

//! What groups write down about what they do.

use serde_json::{Value, json};

use super::super::time::Time;
use super::super::world::{Activity, AutoScalingGroup, World};

/// Activities of a group that are kept.
const KEPT: usize = 200;

/// Writes an activity down; gives back its id.
pub(super) fn begin(
    world: &mut World,
    group: &mut AutoScalingGroup,
    description: String,
    cause: String,
    zone: &str,
) -> String {
    let id = world.uuid("activity");
    let subnet = world.subnets.iter().find(|s| s["AvailabilityZone"] == *zone).map_or(&Value::Null, |s| &s["SubnetId"]);
    let details = json!({"Subnet ID": subnet, "Availability Zone": zone}).to_string();
    let activity = Activity {
        id: id.clone(),
        description,
        cause,
        status: "InProgress".to_owned(),
        message: None,
        started_at: world.now,
        ended_at: None,
        details,
    };
    group.activities.insert(0, activity);
    group.activities.truncate(KEPT);
    id
}

/// Ends an activity.
pub(super) fn end(group: &mut AutoScalingGroup, id: Option<&str>, status: &str, message: Option<String>, now: Time) {
    let Some(activity) = group.activities.iter_mut().find(|activity| Some(activity.id.as_str()) == id) else { return };
    activity.status = status.to_owned();
    activity.message = message;
    activity.ended_at = Some(now);
}

/// Says how far an activity is.
pub(super) fn mark(group: &mut AutoScalingGroup, id: Option<&str>, status: &str) {
    if let Some(activity) = group.activities.iter_mut().find(|activity| Some(activity.id.as_str()) == id) {
        activity.status = status.to_owned();
    }
}

/// An activity in autoscaling's shape.
pub(super) fn show(name: &str, group: &AutoScalingGroup, activity: &Activity) -> Value {
    let mut shown = json!({
        "ActivityId": activity.id,
        "AutoScalingGroupName": name,
        "AutoScalingGroupARN": group.arn,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at.to_string(),
        "StatusCode": activity.status,
        "Progress": if activity.ended_at.is_some() { 100 } else { 50 },
        "Details": activity.details,
    });
    if let Some(message) = &activity.message {
        shown["StatusMessage"] = message.as_str().into();
    }
    if let Some(at) = activity.ended_at {
        shown["EndTime"] = at.to_string().into();
    }
    if group.deleting {
        shown["AutoScalingGroupState"] = "deleted".into();
    }
    shown
}

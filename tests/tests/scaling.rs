//! Scaling in steps, where people took something away or put something beside it: what is ours comes back, what is theirs
//! stays, and then there is nothing to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use belay_executor::cloud::Cloud;
use belay_executor::run::Outcome;
use belay_executor::simulator::SimulatedCloud;
use belay_tests::fixtures::Fixture;
use belay_tests::pipeline::{apply, block_on};
use serde_json::{Value, json};

/// The alarm of the worker's policy in the fixture.
const ALARM: &str = "default_shop_worker.backlog";

/// A cloud in which the fixture has been applied.
fn applied() -> (Arc<SimulatedCloud>, Fixture, tempfile::TempDir) {
    let fixture = Fixture::named("step-scaling");
    let journal = tempfile::tempdir().unwrap();
    let cloud = Arc::new(SimulatedCloud::new(fixture.start(journal.path())));
    let plan = fixture.inputs().plan(&cloud).unwrap();
    assert_eq!(apply(&cloud, &plan, journal.path(), "first").unwrap().outcome, Some(Outcome::Done));
    (cloud, fixture, journal)
}

fn call(cloud: &SimulatedCloud, service: &str, operation: &str, input: Value) -> Value {
    block_on(cloud.call(service, operation, &input)).unwrap()
}

fn alarm(cloud: &SimulatedCloud, name: &str) -> Value {
    call(cloud, "cloudwatch", "DescribeAlarms", json!({"AlarmNames": [name]}))["MetricAlarms"][0].clone()
}

/// The ARN of the worker's policy, or null.
fn policy(cloud: &SimulatedCloud) -> Value {
    let of = json!({"ServiceNamespace": "ecs", "ResourceId": "service/default/shop_worker"});
    let found = call(cloud, "application-autoscaling", "DescribeScalingPolicies", of);
    let mut all = found["ScalingPolicies"].as_array().unwrap().iter();
    all.find(|policy| policy["PolicyName"] == "shop_worker.backlog").map_or(Value::Null, |p| p["PolicyARN"].clone())
}

/// Plans and applies again, and sees that nothing is left; the calls that were planned.
fn again(cloud: &Arc<SimulatedCloud>, fixture: &Fixture, journal: &tempfile::TempDir) -> Vec<String> {
    let plan = fixture.inputs().plan(cloud).unwrap();
    let calls = plan.nodes.iter().filter(|node| node.action.mutation().is_some());
    let calls = calls.filter(|node| !node.id.ends_with(".undo")).map(|node| node.id.clone()).collect();
    assert_eq!(apply(cloud, &plan, journal.path(), "second").unwrap().outcome, Some(Outcome::Done));
    assert!(fixture.inputs().plan(cloud).unwrap().nodes.is_empty(), "something is left to do");
    calls
}

#[test]
fn a_policy_that_somebody_deleted_comes_back_and_its_alarm_asks_the_new_one() {
    let (cloud, fixture, journal) = applied();
    let before = policy(&cloud);
    assert_eq!(alarm(&cloud, ALARM)["AlarmActions"], json!([before]));
    let name = json!({"ServiceNamespace": "ecs", "ResourceId": "service/default/shop_worker",
        "ScalableDimension": "ecs:service:DesiredCount", "PolicyName": "shop_worker.backlog"});
    call(&cloud, "application-autoscaling", "DeleteScalingPolicy", name);
    assert_eq!(policy(&cloud), Value::Null);
    assert_eq!(
        again(&cloud, &fixture, &journal),
        ["worker.scaling.alarm.backlog", "worker.scaling.policy.backlog"],
        "the alarm is still there, and is seen although its policy is not"
    );
    let after = policy(&cloud);
    assert_ne!(after, before);
    assert_eq!(alarm(&cloud, ALARM)["AlarmActions"], json!([after]));
}

#[test]
fn an_alarm_that_somebody_silenced_or_deleted_comes_back() {
    let (cloud, fixture, journal) = applied();
    let wanted = alarm(&cloud, ALARM);
    let mut silenced = wanted.clone();
    silenced.as_object_mut().unwrap().retain(|name, _| {
        !name.starts_with("State")
            && !["AlarmArn", "AlarmActions", "AlarmConfigurationUpdatedTimestamp"].contains(&name.as_str())
    });
    call(&cloud, "cloudwatch", "PutMetricAlarm", silenced);
    assert_eq!(alarm(&cloud, ALARM)["AlarmActions"], json!([]));
    assert_eq!(again(&cloud, &fixture, &journal), ["worker.scaling.alarm.backlog"]);
    assert_eq!(alarm(&cloud, ALARM)["AlarmActions"], wanted["AlarmActions"]);

    let (cloud, fixture, journal) = applied();
    call(&cloud, "cloudwatch", "DeleteAlarms", json!({"AlarmNames": [ALARM]}));
    assert_eq!(again(&cloud, &fixture, &journal), ["worker.scaling.alarm.backlog"]);
    assert_eq!(alarm(&cloud, ALARM)["AlarmActions"], wanted["AlarmActions"]);
}

#[test]
fn other_people_s_alarms_and_what_they_add_to_ours_stay() {
    let (cloud, fixture, _journal) = applied();
    let on_call = "arn:aws:sns:us-east-1:123456789012:on-call";
    let errors = "default_shop_worker.errors";
    call(
        &cloud,
        "cloudwatch",
        "PutMetricAlarm",
        json!({"AlarmName": errors, "Namespace": "Shop", "MetricName": "Errors",
        "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0, "AlarmActions": [on_call],
        "ComparisonOperator": "GreaterThanThreshold"}),
    );
    let mut ours = alarm(&cloud, ALARM);
    ours.as_object_mut().unwrap().retain(|name, _| {
        !name.starts_with("State") && !["AlarmArn", "AlarmConfigurationUpdatedTimestamp"].contains(&name.as_str())
    });
    ours["OKActions"] = json!([on_call]);
    call(&cloud, "cloudwatch", "PutMetricAlarm", ours);
    let plan = fixture.inputs().plan(&cloud).unwrap();
    assert!(plan.nodes.is_empty(), "{:?}", plan.nodes.iter().map(|node| &node.id).collect::<Vec<_>>());
}

//! Scaling in steps: a policy of Application Auto Scaling, and the CloudWatch alarm that asks it to act.
//!
//! Invariants: a step's values are the metric's own; AWS takes them as distances from the alarm's line, which is the first
//! step's value. The steps leave no gap, because each holds until the next one begins. An alarm's name begins with its
//! task-definition family and a dot, so no two of ours meet; whose one is, says what it asks to act, not its name alone.

use belay_schemas::model::{MissingData, ScalingMetric, ScalingStep, StepScaling, StepUnit, StepWhen};
use serde_json::{Value, json};

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::json::{items, text};

use super::Part;
use super::scaling::{described, dimensions, label};

/// Values in a row that an alarm looks at, unless somebody says otherwise.
const PERIODS: u32 = 3;
/// Seconds of a value.
const PERIOD: u32 = 60;
/// AWS watches a week at most, or a day where values are shorter than an hour.
const WATCHED: [(u32, u32); 2] = [(3600, 86_400), (u32::MAX, 604_800)];

/// A policy with its alarm.
#[derive(Debug, Clone)]
pub struct Step {
    /// `StepScalingPolicyConfiguration`.
    pub policy: Value,
    /// PutMetricAlarm's input without name, actions and tags.
    pub alarm: Value,
    /// The alarm's name.
    pub alarm_name: String,
    /// Where it is said.
    pub place: Place,
}

/// What AWS should hold for one step policy; what is wrong goes to the report.
pub fn build(part: Part<'_>, key: &str, wanted: &StepScaling, at: Place, report: &mut Report) -> Option<Step> {
    let before = report.counts_raw();
    check(wanted, &at, report);
    let measured = measured(part, wanted, &at, report);
    if report.counts_raw() > before {
        return None;
    }
    let (mut alarm, aggregation) = measured?;
    let service = part.context.service_name(part.name);
    let alarm_name = format!("{}.{key}", part.context.family(part.name));
    let namesake = part.context.facts.and_then(|facts| facts.alarm(&alarm_name));
    if namesake.is_some_and(|alarm| !is_ours(alarm, &part.context.settings.cluster, &service, key)) {
        report.push(
            Diagnostic::error("B501", format!("there is an alarm `{alarm_name}`, and it does not scale `{service}`"))
                .at(at.key())
                .help("give the policy another name, or delete that alarm"),
        );
        return None;
    }
    let line = wanted.steps.first()?.at;
    let (operator, mark) = match wanted.when {
        StepWhen::Above => ("GreaterThanOrEqualToThreshold", "at or above"),
        StepWhen::Below => ("LessThanOrEqualToThreshold", "at or below"),
    };
    let periods = wanted.periods.unwrap_or(PERIODS);
    for (member, value) in [
        ("ComparisonOperator", json!(operator)),
        ("Threshold", json!(line)),
        ("Period", json!(wanted.period.unwrap_or(PERIOD))),
        ("EvaluationPeriods", json!(periods)),
        ("DatapointsToAlarm", json!(wanted.datapoints.unwrap_or(periods))),
        ("TreatMissingData", json!(missing(wanted.missing_data.unwrap_or_default()))),
        ("AlarmDescription", json!(format!("{mark} {line}: {}", purpose(&service)))),
    ] {
        alarm[member] = value;
    }
    let unit = wanted.unit.unwrap_or_default();
    let mut policy = json!({
        "AdjustmentType": match unit {
            StepUnit::Tasks => "ChangeInCapacity",
            StepUnit::Percent => "PercentChangeInCapacity",
            StepUnit::Exact => "ExactCapacity",
        },
        "MetricAggregationType": aggregation,
        "Cooldown": wanted.cooldown.unwrap_or(300),
        "StepAdjustments": adjustments(&wanted.steps, wanted.when, line),
    });
    if let Some(least) = wanted.at_least {
        policy["MinAdjustmentMagnitude"] = json!(least);
    }
    Some(Step { policy, alarm, alarm_name, place: at })
}

/// Whether an alarm is the one of a step policy of this service: it asks that policy to act, or it says what it is for.
pub fn is_ours(alarm: &Value, cluster: &str, service: &str, key: &str) -> bool {
    let policy = format!(":resource/ecs/service/{cluster}/{service}:policyName/{service}.{key}");
    let asks = items(alarm, "AlarmActions").iter().filter_map(Value::as_str).any(|action| action.ends_with(&policy));
    asks || text(alarm, "AlarmDescription").is_some_and(|words| words.ends_with(&purpose(service)))
}

/// What the description of an alarm ends with.
fn purpose(service: &str) -> String {
    format!("changes the number of tasks of {service}")
}

/// The steps as distances from the line: open towards where the metric gets worse.
fn adjustments(steps: &[ScalingStep], when: StepWhen, line: f64) -> Value {
    let (near, far) = match when {
        StepWhen::Above => ("MetricIntervalLowerBound", "MetricIntervalUpperBound"),
        StepWhen::Below => ("MetricIntervalUpperBound", "MetricIntervalLowerBound"),
    };
    let all = steps.iter().enumerate().map(|(at, step)| {
        let mut out = json!({near: step.at - line, "ScalingAdjustment": step.change});
        if let Some(next) = steps.get(at + 1) {
            out[far] = json!(next.at - line);
        }
        out
    });
    all.collect()
}

fn missing(data: MissingData) -> &'static str {
    match data {
        MissingData::Missing => "missing",
        MissingData::Breaching => "breaching",
        MissingData::NotBreaching => "notBreaching",
        MissingData::Ignore => "ignore",
    }
}

fn check(wanted: &StepScaling, at: &Place, report: &mut Report) {
    let mut refuse = |message: String, place: Place, help: &str| {
        report.push(Diagnostic::error("B439", message).at(place).help(help.to_owned()));
    };
    let unit = wanted.unit.unwrap_or_default();
    let steps = at.child("steps");
    for (index, pair) in wanted.steps.windows(2).enumerate() {
        let (order, word) = match wanted.when {
            StepWhen::Above => (pair[1].at > pair[0].at, "rise"),
            StepWhen::Below => (pair[1].at < pair[0].at, "fall"),
        };
        if !order {
            refuse(
                format!(
                    "the step at {} comes after the one at {}, and the values do not {word}",
                    pair[1].at, pair[0].at
                ),
                steps.child((index + 1).to_string()).child("at"),
                "write the steps away from the line: rising with `when: above`, falling with `when: below`",
            );
        }
    }
    for (index, step) in wanted.steps.iter().enumerate() {
        let place = steps.child(index.to_string()).child("change");
        match unit {
            StepUnit::Exact if step.change < 0 => refuse(
                format!("there cannot be {} tasks", step.change),
                place,
                "with `unit: exact`, `change` is the number of tasks itself",
            ),
            StepUnit::Percent | StepUnit::Tasks if step.change == 0 => refuse(
                format!("the step at {} changes nothing", step.at),
                place,
                "write how many tasks more, or (negative) less; or remove the step",
            ),
            _ => {}
        }
    }
    let signs: Vec<i32> = wanted.steps.iter().map(|s| s.change.signum()).filter(|s| *s != 0).collect();
    if unit != StepUnit::Exact && signs.windows(2).any(|pair| pair[0] != pair[1]) {
        refuse(
            "some steps start tasks and others stop them".to_owned(),
            steps,
            "AWS scales one way for one alarm: write a second policy for the other way",
        );
    }
    if wanted.at_least.is_some() && unit != StepUnit::Percent {
        refuse(
            "`at_least` goes with changes in percent only".to_owned(),
            at.child("at_least"),
            "remove it, or write `unit: percent`",
        );
    }
    let (period, periods) = (wanted.period.unwrap_or(PERIOD), wanted.periods.unwrap_or(PERIODS));
    if !matches!(period, 10 | 20 | 30) && period % 60 != 0 {
        refuse(
            format!("values of {period} s are none that CloudWatch has"),
            at.child("period"),
            "write 10, 20, 30 or a multiple of 60",
        );
    } else if period < PERIOD && wanted.metric != ScalingMetric::Custom {
        refuse(
            format!("AWS measures this once a minute, and an alarm that looks every {period} s misses values"),
            at.child("period"),
            "write 60 or a multiple of it; only a metric of your own may be stored more often",
        );
    }
    if wanted.datapoints.is_some_and(|n| n > periods) {
        refuse(
            format!("{} of {periods} values can never be beyond the line", wanted.datapoints.unwrap_or_default()),
            at.child("datapoints"),
            "write at most `periods`",
        );
    }
    let most = WATCHED.iter().find(|(below, _)| period < *below).map_or(0, |(_, most)| *most);
    if period.saturating_mul(periods) > most {
        refuse(
            format!("{periods} values of {period} s are longer than the {most} s that an alarm watches"),
            at.child("periods"),
            "write fewer `periods`, or a shorter `period`",
        );
    }
}

/// The alarm's metric, and how the policy makes one value of several.
fn measured(part: Part<'_>, wanted: &StepScaling, at: &Place, report: &mut Report) -> Option<(Value, &'static str)> {
    if !described(&wanted.metric, wanted.custom.is_some(), at, report) {
        return None;
    }
    let of_service = |name: &str| {
        let own = [
            ("ClusterName", part.context.settings.cluster.clone()),
            ("ServiceName", part.context.service_name(part.name)),
        ];
        let dimensions: Vec<Value> = own.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
        json!({"Namespace": "AWS/ECS", "MetricName": name, "Statistic": "Average", "Dimensions": dimensions})
    };
    match wanted.metric {
        ScalingMetric::Cpu => Some((of_service("CPUUtilization"), "Average")),
        ScalingMetric::Memory => Some((of_service("MemoryUtilization"), "Average")),
        ScalingMetric::Requests => {
            let label = label(part, wanted.gateway.as_deref(), at, report)?;
            let (balancer, group) = label.split_once("/targetgroup/")?;
            let dimensions = json!([
                {"Name": "LoadBalancer", "Value": balancer},
                {"Name": "TargetGroup", "Value": format!("targetgroup/{group}")},
            ]);
            let metric = json!({
                "Namespace": "AWS/ApplicationELB", "MetricName": "RequestCountPerTarget", "Statistic": "Sum",
                "Dimensions": dimensions,
            });
            Some((metric, "Average"))
        }
        ScalingMetric::Custom => {
            let custom = wanted.custom.as_ref()?;
            let statistic = custom.statistic.as_deref().unwrap_or("Average");
            let mut metric = json!({"Namespace": custom.namespace, "MetricName": custom.name});
            let known = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"].contains(&statistic);
            metric[if known { "Statistic" } else { "ExtendedStatistic" }] = json!(statistic);
            let dimensions = dimensions(custom);
            if !dimensions.is_empty() {
                metric["Dimensions"] = Value::Array(dimensions);
            }
            let aggregation = match statistic {
                "Minimum" => "Minimum",
                "Maximum" => "Maximum",
                _ => "Average",
            };
            Some((metric, aggregation))
        }
    }
}

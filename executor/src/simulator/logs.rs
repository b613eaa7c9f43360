//! CloudWatch Logs, as far as log groups go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation};
use super::request::{Answer, Paging, number, required, text};
use super::world::{LogGroup, LogStream, World};
use crate::cloud::CloudError;

/// Days for which events can be kept.
const RETENTIONS: [u64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const PAGING: Paging = Paging { token: "nextToken", size: "limit", default: 50, most: 50 };

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "CreateLogGroup" => create(world, input),
        "DeleteLogGroup" => {
            let name = required(input, "logGroupName")?;
            world.log_groups.remove(name).map(|_| json!({}).into()).ok_or_else(not_found)
        }
        "DescribeLogGroups" => describe(world, input),
        "DescribeLogStreams" => streams(world, input),
        "GetLogEvents" => events(world, input),
        "PutRetentionPolicy" => {
            let days = number(input, "retentionInDays").filter(|days| RETENTIONS.contains(days));
            let days =
                days.ok_or_else(|| rejected("InvalidParameterException", "retentionInDays has no such value"))?;
            group(world, input)?.retention_days = Some(days);
            Ok(json!({}).into())
        }
        "DeleteRetentionPolicy" => {
            group(world, input)?.retention_days = None;
            Ok(json!({}).into())
        }
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of logs."))),
    }
}

fn not_found() -> CloudError {
    missing("ResourceNotFoundException", "The specified log group does not exist.")
}

fn group<'w>(world: &'w mut World, input: &Value) -> Result<&'w mut LogGroup, CloudError> {
    let name = required(input, "logGroupName")?;
    world.log_groups.get_mut(name).ok_or_else(not_found)
}

fn create(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "logGroupName")?;
    if world.log_groups.contains_key(name) {
        return Err(rejected("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let tags = input.get("tags").and_then(Value::as_object).into_iter().flatten();
    let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let made = LogGroup { retention_days: None, streams: BTreeMap::new(), tags, created_at: world.now };
    world.log_groups.insert(name.to_owned(), made);
    Ok(json!({}).into())
}

fn describe(world: &World, input: &Value) -> Answer {
    let prefix = text(input, "logGroupNamePrefix").unwrap_or_default();
    let found = world.log_groups.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, group)| {
        let arn = format!("arn:{}:logs:{}:{}:log-group:{name}", world.partition, world.region, world.account);
        let mut shown = json!({
            "logGroupName": name, "arn": format!("{arn}:*"), "logGroupArn": arn, "storedBytes": 0,
            "creationTime": group.created_at.millis(), "metricFilterCount": 0, "logGroupClass": "STANDARD",
        });
        if let Some(days) = group.retention_days {
            shown["retentionInDays"] = days.into();
        }
        shown
    });
    let found = found.collect();
    Ok(PAGING.answer("logGroups", found, input)?.into())
}

fn streams(world: &mut World, input: &Value) -> Answer {
    let prefix = text(input, "logStreamNamePrefix").unwrap_or_default().to_owned();
    let streams = &group(world, input)?.streams;
    let shown = streams.iter().filter(|(name, _)| name.starts_with(&prefix)).map(
        |(name, stream)| json!({"logStreamName": name, "creationTime": stream.created_at.millis(), "storedBytes": 0}),
    );
    let shown = shown.collect();
    Ok(PAGING.answer("logStreams", shown, input)?.into())
}

/// The last events of a stream, or its first ones; there is nothing to page through.
fn events(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "logStreamName")?;
    let absent = || missing("ResourceNotFoundException", "The specified log stream does not exist.");
    let stream = group(world, input)?.streams.get(name).ok_or_else(absent)?;
    let most = usize::try_from(number(input, "limit").unwrap_or(10_000)).unwrap_or(usize::MAX);
    let from_head = input.get("startFromHead").and_then(Value::as_bool).unwrap_or(false);
    let skipped = if from_head { 0 } else { stream.lines.len().saturating_sub(most) };
    let at = stream.created_at.millis();
    let shown: Value = stream
        .lines
        .iter()
        .skip(skipped)
        .take(most)
        .map(|line| json!({"timestamp": at, "ingestionTime": at, "message": line}))
        .collect();
    Ok(json!({"events": shown, "nextForwardToken": "f/0", "nextBackwardToken": "b/0"}).into())
}

/// Makes the streams of a task whose containers start: the log driver does so before anything is written.
pub(super) fn open(world: &mut World, definition: &Value, task: &str) {
    for container in definition["containerDefinitions"].as_array().into_iter().flatten() {
        stream(world, container, task);
    }
}

/// What a container wrote, where its definition sends it.
pub(super) fn write(world: &mut World, definition: &Value, container: &str, task: &str, lines: &[String]) {
    let of = definition["containerDefinitions"].as_array().into_iter().flatten().find(|c| c["name"] == container);
    if let Some(stream) = of.and_then(|of| stream(world, of, task)) {
        stream.lines = lines.to_vec();
    }
}

/// The stream that a container writes to, if it writes to any; made when it is not there yet.
fn stream<'w>(world: &'w mut World, container: &Value, task: &str) -> Option<&'w mut LogStream> {
    let logs = container.get("logConfiguration").filter(|logs| logs["logDriver"] == "awslogs")?;
    let option = |name: &str| text(&logs["options"], name);
    let (group, prefix) = (option("awslogs-group")?, option("awslogs-stream-prefix")?);
    let name = format!("{prefix}/{}/{task}", text(container, "name")?);
    let made = LogStream { created_at: world.now, lines: Vec::new() };
    Some(world.log_groups.get_mut(group)?.streams.entry(name).or_insert(made))
}

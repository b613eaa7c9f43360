//! EventBridge Scheduler, as far as schedules go. There is no calendar in this simulation: nothing starts by itself.

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation};
use super::request::{Answer, Reply, required, text};
use super::world::World;
use crate::cloud::CloudError;

/// What AWS fills in.
const RETRIES: (u64, u64) = (185, 86_400);

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    match operation {
        "CreateSchedule" => create(world, input),
        "UpdateSchedule" => update(world, input),
        "GetSchedule" => {
            let mut shown = get(world, input)?.clone();
            if let Some(shown) = shown.as_object_mut() {
                shown.remove("ClientToken");
            }
            Ok(shown.into())
        }
        "DeleteSchedule" => {
            get(world, input)?;
            world.schedules.remove(&key(input)?);
            Ok(json!({}).into())
        }
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of scheduler."))),
    }
}

fn key(input: &Value) -> Result<String, CloudError> {
    Ok(format!("{}/{}", text(input, "GroupName").unwrap_or("default"), required(input, "Name")?))
}

fn get<'w>(world: &'w World, input: &Value) -> Result<&'w Value, CloudError> {
    let key = key(input)?;
    let name = required(input, "Name")?;
    let absent = || missing("ResourceNotFoundException", format!("Schedule {name} does not exist."));
    world.schedules.get(&key).ok_or_else(absent)
}

/// A schedule as GetSchedule shows it.
fn completed(world: &World, input: &Value, created: &Value) -> Result<Value, CloudError> {
    let key = key(input)?;
    let mut shown = input.clone();
    let target = text(&input["Target"], "Arn").unwrap_or_default();
    let cluster = target.rsplit_once(":cluster/").map(|(_, name)| name);
    if input["Target"].get("EcsParameters").is_some() != cluster.is_some() {
        return Err(rejected(
            "ValidationException",
            "EcsParameters go with the ARN of an ECS cluster, and only with one.",
        ));
    }
    for (member, default) in [
        ("GroupName", json!("default")),
        ("State", json!("ENABLED")),
        ("ScheduleExpressionTimezone", json!("UTC")),
        ("ActionAfterCompletion", json!("NONE")),
    ] {
        if shown.get(member).is_none() {
            shown[member] = default;
        }
    }
    for (member, default) in [("MaximumRetryAttempts", RETRIES.0), ("MaximumEventAgeInSeconds", RETRIES.1)] {
        if shown["Target"]["RetryPolicy"].get(member).is_none() {
            shown["Target"]["RetryPolicy"][member] = default.into();
        }
    }
    shown["Arn"] = arn(world, &key).into();
    shown["CreationDate"] = created.clone();
    shown["LastModificationDate"] = world.now.seconds().into();
    Ok(shown)
}

fn arn(world: &World, key: &str) -> String {
    format!("arn:{}:scheduler:{}:{}:schedule/{key}", world.partition, world.region, world.account)
}

fn create(world: &mut World, input: &Value) -> Answer {
    let key = key(input)?;
    let answer = json!({"ScheduleArn": arn(world, &key)});
    let token = text(input, "ClientToken");
    if let Some(known) = world.schedules.get(&key) {
        let same = token.is_some() && text(known, "ClientToken") == token;
        if !same {
            return Err(rejected("ConflictException", "Schedule already exists."));
        }
        return Ok(Reply { output: answer, repeated: true });
    }
    let made = completed(world, input, &world.now.seconds().into())?;
    world.schedules.insert(key, made);
    Ok(answer.into())
}

/// What an update does not name goes back to its default.
fn update(world: &mut World, input: &Value) -> Answer {
    let created = get(world, input)?["CreationDate"].clone();
    let key = key(input)?;
    let made = completed(world, input, &created)?;
    world.schedules.insert(key.clone(), made);
    Ok(json!({"ScheduleArn": arn(world, &key)}).into())
}

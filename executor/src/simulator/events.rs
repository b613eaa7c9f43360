//! EventBridge, as far as rules that act at certain times go. There is no calendar in this simulation: nothing starts by
//! itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation, unmodelled};
use super::request::{Answer, Paging, at_most, items, required, tags_of, text, texts, to_upper_tags};
use super::world::{EventRule, World};
use crate::cloud::CloudError;

const PAGING: Paging = Paging { token: "NextToken", size: "Limit", default: 100, most: 100 };
/// Targets of a rule at most (a quota of EventBridge).
const TARGETS: usize = 5;

pub(super) fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
    if text(input, "EventBusName").is_some_and(|bus| bus != "default") {
        return Err(unmodelled("event buses but the default one"));
    }
    match operation {
        "PutRule" => put(world, input),
        "DescribeRule" => Ok(find(world, required(input, "Name")?)?.rule.clone().into()),
        "DeleteRule" => delete(world, input),
        "PutTargets" => put_targets(world, input),
        "RemoveTargets" => {
            let rule = find_mut(world, required(input, "Rule")?)?;
            for id in texts(input, "Ids") {
                rule.targets.remove(id);
            }
            Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}).into())
        }
        "ListTargetsByRule" => {
            let rule = find(world, required(input, "Rule")?)?;
            Ok(PAGING.answer("Targets", rule.targets.values().cloned().collect(), input)?.into())
        }
        "ListTagsForResource" => {
            let arn = required(input, "ResourceARN")?;
            let rule = world.event_rules.values().find(|rule| rule.rule["Arn"] == arn);
            let rule = rule.ok_or_else(|| absent(arn))?;
            Ok(json!({"Tags": to_upper_tags(&rule.tags)}).into())
        }
        _ => Err(unknown_operation(format!("The simulated AWS does not model {operation} of events."))),
    }
}

fn absent(name: &str) -> CloudError {
    missing("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
}

fn find<'w>(world: &'w World, name: &str) -> Result<&'w EventRule, CloudError> {
    world.event_rules.get(name).ok_or_else(|| absent(name))
}

fn find_mut<'w>(world: &'w mut World, name: &str) -> Result<&'w mut EventRule, CloudError> {
    world.event_rules.get_mut(name).ok_or_else(|| absent(name))
}

/// What is put replaces all of the rule but its targets and its tags.
fn put(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "Name")?;
    if text(input, "EventPattern").is_some() {
        return Err(unmodelled("rules that wait for events"));
    }
    let when = text(input, "ScheduleExpression").unwrap_or_default();
    if !(when.starts_with("cron(") || when.starts_with("rate(")) {
        return Err(rejected("ValidationException", "Parameter ScheduleExpression is not valid."));
    }
    let arn = format!("arn:{}:events:{}:{}:rule/{name}", world.partition, world.region, world.account);
    let mut shown = input.clone();
    if let Some(members) = shown.as_object_mut() {
        members.remove("Tags");
    }
    shown["Arn"] = json!(arn);
    shown["EventBusName"] = json!("default");
    if shown.get("State").is_none() {
        shown["State"] = json!("ENABLED");
    }
    match world.event_rules.get_mut(name) {
        Some(known) => known.rule = shown,
        None => {
            let tags = tags_of(items(input, "Tags"), "Key", "Value");
            world.event_rules.insert(name.to_owned(), EventRule { rule: shown, targets: BTreeMap::new(), tags });
        }
    }
    Ok(json!({"RuleArn": arn}).into())
}

/// A rule that is not there is deleted with success, one that has targets is not.
fn delete(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "Name")?;
    if world.event_rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
        return Err(rejected("ValidationException", "Rule can't be deleted since it has targets."));
    }
    world.event_rules.remove(name);
    Ok(json!({}).into())
}

fn put_targets(world: &mut World, input: &Value) -> Answer {
    let name = required(input, "Rule")?;
    let targets = items(input, "Targets");
    at_most(targets, TARGETS, "Targets")?;
    for target in targets {
        let cluster = text(target, "Arn").is_some_and(|arn| arn.contains(":cluster/"));
        if target.get("EcsParameters").is_some() != cluster {
            return Err(rejected(
                "ValidationException",
                "EcsParameters go with the ARN of an ECS cluster, and only with one.",
            ));
        }
        if cluster && target.get("RoleArn").is_none() {
            return Err(rejected("ValidationException", "RoleArn is required for target of type ECS."));
        }
    }
    let rule = find_mut(world, name)?;
    let id = |target: &Value| text(target, "Id").unwrap_or_default().to_owned();
    let more = targets.iter().filter(|target| !rule.targets.contains_key(&id(target))).count();
    if rule.targets.len() + more > TARGETS {
        return Err(rejected("LimitExceededException", format!("A rule has {TARGETS} targets at most.")));
    }
    rule.targets.extend(targets.iter().map(|target| (id(target), target.clone())));
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}).into())
}

//! Tags of groups. Running instances keep the tags that they were launched with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::request::{Answer, Paging, items, text, texts};
use super::super::world::{GroupTag, World};
use super::not_found;
use crate::cloud::CloudError;

const PAGES: Paging = Paging { token: "NextToken", size: "MaxRecords", default: 50, most: 100 };

/// Tags of an input, by key.
pub(super) fn of(list: &[Value]) -> BTreeMap<String, GroupTag> {
    let tag = |tag: &Value| {
        let value = text(tag, "Value").unwrap_or_default().to_owned();
        // AWS propagates unless it is told otherwise.
        let propagate = tag["PropagateAtLaunch"].as_bool().unwrap_or(true);
        Some((text(tag, "Key")?.to_owned(), GroupTag { value, propagate }))
    };
    list.iter().filter_map(tag).collect()
}

fn check(world: &World, tag: &Value) -> Result<String, CloudError> {
    let name = text(tag, "ResourceId").unwrap_or_default();
    if world.auto_scaling_groups.contains_key(name) { Ok(name.to_owned()) } else { Err(not_found(name)) }
}

pub(super) fn put(world: &mut World, input: &Value) -> Answer {
    let names = items(input, "Tags").iter().map(|tag| check(world, tag)).collect::<Result<Vec<_>, _>>()?;
    for (name, tag) in names.iter().zip(items(input, "Tags")) {
        if let Some(group) = world.auto_scaling_groups.get_mut(name) {
            group.tags.extend(of(std::slice::from_ref(tag)));
        }
    }
    Ok(json!({}).into())
}

pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let names = items(input, "Tags").iter().map(|tag| check(world, tag)).collect::<Result<Vec<_>, _>>()?;
    for (name, tag) in names.iter().zip(items(input, "Tags")) {
        if let Some(group) = world.auto_scaling_groups.get_mut(name) {
            group.tags.remove(text(tag, "Key").unwrap_or_default());
        }
    }
    Ok(json!({}).into())
}

/// A group's tag in autoscaling's shape.
pub(super) fn show(name: &str, key: &str, tag: &GroupTag) -> Value {
    json!({
        "ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key, "Value": tag.value,
        "PropagateAtLaunch": tag.propagate,
    })
}

pub(super) fn describe(world: &World, input: &Value) -> Answer {
    let passes = |tag: &Value| {
        items(input, "Filters").iter().all(|filter| {
            let member = match text(filter, "Name") {
                Some("auto-scaling-group") => "ResourceId",
                Some("value") => "Value",
                Some("propagate-at-launch") => "PropagateAtLaunch",
                _ => "Key",
            };
            let own = tag[member].as_str().map_or_else(|| tag[member].to_string(), str::to_owned);
            texts(filter, "Values").contains(&own.as_str())
        })
    };
    let all =
        world.auto_scaling_groups.iter().flat_map(|(name, g)| g.tags.iter().map(|(key, tag)| show(name, key, tag)));
    Ok(PAGES.answer("Tags", all.filter(passes).collect(), input)?.into())
}

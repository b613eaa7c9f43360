//! Tags of clusters, capacity providers, services, task definitions, container instances and tasks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::{invalid, missing, rejected};
use super::super::request::{Answer, ecs_tags, required, short, texts, to_ecs_tags};
use super::super::world::{ServiceStatus, World};
use super::shape::family_and_number;
use crate::cloud::CloudError;

/// Most tags that something may have.
const MOST: usize = 50;

/// The tags of what an ARN names.
fn tags_of<'w>(world: &'w mut World, arn: &str) -> Result<&'w mut BTreeMap<String, String>, CloudError> {
    let unknown = || missing("InvalidParameterException", "The specified resource cannot be found.");
    let resource = arn.splitn(6, ':').nth(5).ok_or_else(|| invalid(format!("Invalid ARN: {arn}")))?;
    let (kind, name) = resource.split_once('/').ok_or_else(unknown)?;
    let found = match kind {
        "cluster" => world.clusters.get_mut(name).map(|cluster| &mut cluster.tags),
        "capacity-provider" => {
            let found = world.capacity_providers.get_mut(name).filter(|provider| !provider.inactive);
            found.map(|provider| &mut provider.tags)
        }
        "service" => {
            let service = world.services.get_mut(name).filter(|service| service.status != ServiceStatus::Inactive);
            service.map(|service| &mut service.tags)
        }
        "task-definition" => family_and_number(name)
            .and_then(|(family, number)| world.task_definitions.get_mut(family)?.revisions.get_mut(&number))
            .map(|definition| &mut definition.tags),
        "container-instance" => world.container_instances.get_mut(short(name)).map(|instance| &mut instance.tags),
        "task" => world.tasks.get_mut(short(name)).map(|task| &mut task.tags),
        _ => None,
    };
    found.ok_or_else(unknown)
}

pub(super) fn tag(world: &mut World, input: &Value) -> Answer {
    let tags = tags_of(world, required(input, "resourceArn")?)?;
    let mut merged = tags.clone();
    merged.extend(ecs_tags(input));
    if merged.len() > MOST {
        return Err(rejected("InvalidParameterException", format!("More than {MOST} tags.")));
    }
    *tags = merged;
    Ok(json!({}).into())
}

pub(super) fn untag(world: &mut World, input: &Value) -> Answer {
    let tags = tags_of(world, required(input, "resourceArn")?)?;
    for key in texts(input, "tagKeys") {
        tags.remove(key);
    }
    Ok(json!({}).into())
}

pub(super) fn list(world: &mut World, input: &Value) -> Answer {
    Ok(json!({"tags": to_ecs_tags(tags_of(world, required(input, "resourceArn")?)?)}).into())
}

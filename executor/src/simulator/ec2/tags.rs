//! Tags of launch templates and instances.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::{missing, unmodelled};
use super::super::request::{Answer, items, tags_of, text, texts};
use super::super::world::World;
use crate::cloud::CloudError;

/// The tags of a resource by its id.
fn of<'w>(world: &'w mut World, id: &str) -> Result<&'w mut BTreeMap<String, String>, CloudError> {
    if id.starts_with("lt-") {
        let words = || format!("The launchTemplate ID '{id}' does not exist");
        let template = world.launch_templates.get_mut(id);
        return template.map(|t| &mut t.tags).ok_or_else(|| missing("InvalidLaunchTemplateId.NotFound", words()));
    }
    if id.starts_with("i-") {
        let words = || format!("The instance ID '{id}' does not exist");
        let instance = world.instances.get_mut(id);
        return instance.map(|i| &mut i.tags).ok_or_else(|| missing("InvalidInstanceID.NotFound", words()));
    }
    Err(unmodelled(&format!("tags of {id}")))
}

pub(super) fn create(world: &mut World, input: &Value) -> Answer {
    let added = tags_of(items(input, "Tags"), "Key", "Value");
    let ids = texts(input, "Resources");
    // All or nothing.
    for id in &ids {
        of(world, id)?;
    }
    for id in &ids {
        of(world, id)?.extend(added.clone());
    }
    Ok(json!({}).into())
}

/// A tag without a value is deleted whatever its value is; without any tag all are.
pub(super) fn delete(world: &mut World, input: &Value) -> Answer {
    let wanted = items(input, "Tags");
    for id in texts(input, "Resources") {
        of(world, id)?.retain(|key, value| {
            let named =
                |tag: &Value| text(tag, "Key") == Some(key) && text(tag, "Value").is_none_or(|wanted| wanted == value);
            !wanted.is_empty() && !wanted.iter().any(named)
        });
    }
    Ok(json!({}).into())
}

//! Instance profiles.

use serde_json::{Value, json};

use super::errors::{missing, unknown_operation};
use super::request::{Answer, required};
use super::world::World;

pub(super) fn call(world: &World, operation: &str, input: &Value) -> Answer {
    if operation != "GetInstanceProfile" {
        return Err(unknown_operation(format!("The simulated AWS does not model {operation} of iam.")));
    }
    let name = required(input, "InstanceProfileName")?;
    let known = world.instance_profiles.iter().find(|profile| profile["InstanceProfileName"] == *name);
    let unknown = || missing("NoSuchEntity", format!("Instance Profile {name} cannot be found."));
    Ok(json!({"InstanceProfile": known.ok_or_else(unknown)?}).into())
}

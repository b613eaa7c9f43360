//! Who calls.

use serde_json::{Value, json};

use super::errors::unknown_operation;
use super::request::Answer;
use super::world::World;

pub(super) fn call(world: &World, operation: &str, _: &Value) -> Answer {
    if operation != "GetCallerIdentity" {
        return Err(unknown_operation(format!("The simulated AWS does not model {operation} of sts.")));
    }
    Ok(json!({"Account": world.account, "UserId": "SIMULATED", "Arn": world.iam_arn("user/simulated")}).into())
}

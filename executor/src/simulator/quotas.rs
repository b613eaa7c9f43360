//! Service Quotas, as far as Fargate's vCPUs go, and what a reached quota does.

use belay_schemas::scope::{FARGATE_ON_DEMAND, FARGATE_SPOT};
use serde_json::{Value, json};

use super::errors::{missing, unknown_operation};
use super::request::{Answer, required};
use super::world::{TaskStatus, World};

/// CPU units of a vCPU.
const UNITS: f64 = 1024.0;

pub(super) fn call(world: &World, operation: &str, input: &Value) -> Answer {
    if operation != "GetServiceQuota" {
        return Err(unknown_operation(format!("The simulated AWS does not model {operation} of service-quotas.")));
    }
    let (service, code) = (required(input, "ServiceCode")?, required(input, "QuotaCode")?);
    let absent =
        || missing("NoSuchResourceException", "The request failed because the specified service quota does not exist.");
    let value = world.quotas.get(code).filter(|_| service == "fargate").ok_or_else(absent)?;
    Ok(json!({"Quota": {"ServiceCode": service, "QuotaCode": code, "Value": value, "Adjustable": true}}).into())
}

/// Whether the account may start a task of so many CPU units on Fargate. Which tasks Spot runs, this simulation does not
/// tell, so what both may run together is the limit where anybody asks for Spot.
pub(super) fn admits(world: &World, units: u64) -> bool {
    let Some(quota) = world.quotas.get(FARGATE_ON_DEMAND) else { return true };
    let quota = quota + world.quotas.get(FARGATE_SPOT).copied().unwrap_or_default();
    let running =
        world.tasks.iter().filter(|(_, task)| task.launch_type == "FARGATE" && task.last_status != TaskStatus::Stopped);
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let all = (running.map(|(_, task)| task.cpu).sum::<u64>() + units) as f64;
    all <= quota * UNITS
}

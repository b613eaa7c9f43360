//! Whether the account may run as many vCPUs on Fargate as a plan wants.
//!
//! Sources: Service Quotas of AWS Fargate: `Fargate On-Demand vCPU resource count` (L-3032A538) and `Fargate Spot vCPU
//! resource count` (L-36FBB829); how a strategy shares tasks: `base` first, then by `weight`.
//!
//! Invariant: an error is a proof. Only services of this project count, as they are in the end; what others run in the
//! account takes more of the quota. That a deployment needs more for a while is a warning: ECS then starts fewer at a time.

use belay_schemas::scope::{FARGATE_ON_DEMAND, FARGATE_SPOT};
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::ecs::Context;
use crate::ecs::desired::{Desired, Kind};
use crate::ecs::json::{items, number, text};
use crate::ecs::lower::Work;

/// CPU units of a vCPU.
const UNITS: u64 = 1024;

/// What one component takes of one quota, in CPU units.
struct Demand {
    component: String,
    place: Place,
    /// In the end.
    stays: u64,
    /// Beside that, while it is deployed.
    beside: u64,
}

/// What the components of a plan take of Fargate's quotas.
pub struct Quota<'a> {
    context: Context<'a>,
    demands: [Vec<Demand>; 2],
}

impl<'a> Quota<'a> {
    /// Nothing yet.
    pub fn new(context: Context<'a>) -> Self {
        Self { context, demands: [Vec::new(), Vec::new()] }
    }

    /// Keeps in mind what a component takes when its work is done, and for a while before.
    pub fn add(&mut self, desired: &Desired, work: &Work<'_>) {
        let Some(count) = desired.desired_count().filter(|_| desired.fargate && matches!(desired.kind, Kind::Service))
        else {
            return;
        };
        let units = number(&desired.task, "cpu").unwrap_or_default();
        let deploys = match work {
            Work::Update { difference, replace, .. } => difference.deploys() || *replace,
            _ => false,
        };
        let (_, maximum) = desired.percents();
        let more = if deploys { count * maximum / 100 } else { count };
        let (stays, most) = (shared(&desired.service, count), shared(&desired.service, more.max(count)));
        let place = Place::model(["components", &desired.component]).key();
        for (kind, demands) in self.demands.iter_mut().enumerate() {
            let (stays, beside) = (stays[kind] * units, most[kind].saturating_sub(stays[kind]) * units);
            demands.push(Demand { component: desired.component.clone(), place: place.clone(), stays, beside });
        }
    }

    /// Judges all of them together.
    pub fn finish(self, report: &mut Report) {
        let Some(facts) = self.context.facts else { return };
        let kinds = [(FARGATE_ON_DEMAND, "On-Demand"), (FARGATE_SPOT, "Spot")];
        for ((code, what), demands) in kinds.into_iter().zip(self.demands) {
            let Some(quota) = facts.quota(code) else { continue };
            let stays: u64 = demands.iter().map(|d| d.stays).sum();
            let Some(largest) = demands.iter().max_by_key(|d| (d.stays, std::cmp::Reverse(&d.component))) else {
                continue;
            };
            if vcpus(stays) > quota {
                let message = format!(
                    "the tasks on Fargate {what} need {} vCPUs, and the quota of the account is {quota}",
                    vcpus(stays)
                );
                report.push(Diagnostic::error("B448", message).at(largest.place.clone()).help(format!(
                    "have the quota {code} of AWS Fargate raised (Service Quotas), or lower `replicas` or `cpu`"
                )));
                continue;
            }
            let widest = demands.iter().max_by_key(|d| (d.beside, std::cmp::Reverse(&d.component)));
            if let Some(widest) = widest.filter(|d| d.beside > 0 && vcpus(stays + d.beside) > quota) {
                let message = format!(
                    "while `{}` is deployed, the tasks on Fargate {what} want {} vCPUs, and the quota of the account is {quota}",
                    widest.component,
                    vcpus(stays + widest.beside)
                );
                report.push(Diagnostic::warning("B448", message).at(widest.place.clone()).help(format!(
                    "ECS starts fewer tasks at a time then; have the quota {code} of AWS Fargate raised, or write a lower `maximum_percent` under `deployment`"
                )));
            }
        }
    }
}

/// CPU units as vCPUs.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn vcpus(units: u64) -> f64 {
    units as f64 / UNITS as f64
}

/// How many of so many tasks run On-Demand, and how many on Spot.
fn shared(service: &Value, count: u64) -> [u64; 2] {
    let strategy = items(service, "capacityProviderStrategy");
    if strategy.is_empty() {
        return [count, 0];
    }
    let base: u64 = strategy.iter().filter_map(|entry| number(entry, "base")).sum::<u64>().min(count);
    let weight = |entry: &Value| number(entry, "weight").unwrap_or_default();
    let all: u64 = strategy.iter().map(weight).sum();
    let spot = |entry: &&Value| text(entry, "capacityProvider") == Some("FARGATE_SPOT");
    let on_spot: u64 = strategy.iter().filter(spot).map(weight).sum();
    let based: u64 = strategy.iter().filter(spot).filter_map(|entry| number(entry, "base")).sum::<u64>().min(count);
    // Rounded down on both sides: an error has to be a proof.
    let rest = (count - base).checked_mul(on_spot).and_then(|tasks| tasks.checked_div(all)).unwrap_or_default();
    let other = (count - base).checked_mul(all - on_spot).and_then(|tasks| tasks.checked_div(all)).unwrap_or_default();
    [base - based.min(base) + other, based + rest]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shared;

    #[test]
    fn tasks_are_shared_by_base_and_weight() {
        let strategy = json!({"capacityProviderStrategy": [
            {"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3}]});
        assert_eq!(shared(&strategy, 1), [1, 0]);
        assert_eq!(shared(&strategy, 9), [3, 6]);
        assert_eq!(shared(&json!({}), 4), [4, 0]);
    }
}

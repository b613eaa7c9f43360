//! The SDK clients that carry a service of their own, one line for each operation.

mod autoscaling;
mod ecs;

pub(super) use autoscaling::AutoScaling;
pub(super) use ecs::Ecs;

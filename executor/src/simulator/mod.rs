//! A simulated AWS: one account in one region, with a virtual clock, for trying plans out, for rehearsals and for tests.
//!
//! Invariants: it knows nothing of plans and of who calls; it is deterministic (no entropy, no wall clock); whatever it
//! does not model it refuses in words, instead of passing it over.

mod autoscaling;
mod clockwork;
mod cloud;
mod cloudwatch;
mod ec2;
mod ecr;
mod ecs;
mod elb;
mod elbv2;
mod errors;
mod essence;
mod events;
pub mod faults;
mod file;
mod from_observed;
mod iam;
mod images;
mod logs;
mod quotas;
mod request;
mod route53;
mod s3;
mod scaling;
mod scheduler;
mod servicediscovery;
mod sts;
mod targets;
mod throttle;
mod time;
mod web;
pub mod world;

pub use cloud::SimulatedCloud;
pub(crate) use cloud::concerns;
pub(crate) use ecs::{cluster_of, plain_needs};
pub use essence::{essence, without_kept_logs};
pub use file::FileError;
pub use from_observed::FromObservedError;
pub(crate) use request::short as short_name;
pub use time::Time;
pub use world::World;

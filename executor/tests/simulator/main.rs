//! The simulated AWS behaves as AWS does, in so far as it is modelled.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod agents;
mod balancing;
mod calls;
mod cloud_map;
mod connect;
mod deployments;
mod essence;
mod external;
mod faults;
mod file;
mod groups;
mod machines;
mod managed;
mod observed_groups;
mod order;
mod placement;
mod providers;
mod route53;
mod scale;
mod services;
mod support;
mod task_definitions;
mod tasks;
mod traffic;

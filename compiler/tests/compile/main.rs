//! What plans come out: golden listings, the lowered inputs of single settings, and what holds for every plan.
#![allow(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

#[path = "../support/mod.rs"]
mod support;

mod asg;
mod capacity;
mod changes;
mod cloud_map;
mod connect;
mod first;
mod listing;
mod lowered;
mod order;
mod orphans;
mod partial;
mod random;
mod records;

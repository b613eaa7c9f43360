//! What the tests share: the pipeline in one process, the fixtures, random and large inputs, the programs, the Python
//! peers.
//!
//! Panics are how tests fail, so this crate may panic.

pub mod account;
pub mod apps;
pub mod binaries;
pub mod compare;
pub mod disturb;
pub mod extent;
pub mod fixtures;
pub mod fleet;
pub mod fuzz;
pub mod generate;
pub mod iam;
pub mod loopback;
pub mod pipeline;
pub mod proxy;
pub mod python;
pub mod registry;
pub mod replay;
pub mod servers;
pub mod site;
pub mod target;

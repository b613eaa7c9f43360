//! The real binary, in a cleared environment: what it says, what it writes, and with which code it ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure here is a failed test")]

mod approval;
mod belay;
mod input;
mod plans;
mod runs;
mod worlds;

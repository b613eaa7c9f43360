//! The plan checker: realistic plans pass, and breaking any one rule is found and called by its code.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod breaks;
mod load;
mod plans;
mod whole;

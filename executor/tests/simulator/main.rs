//! The simulated AWS behaves as AWS does, in so far as it is modelled.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod deployments;
mod support;

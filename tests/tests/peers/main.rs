//! Belay against its peers: AWS's own models as botocore carries them, and the emulators moto and ministack.
//!
//! Everything is set up by the tests themselves, from pinned lists, on the loopback interface. What cannot be set up fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod agreement;
mod conformance;
mod referee;
mod servers;
mod shapes;

use belay_tests::python::{Python, Requirements};

/// The environment with botocore.
fn botocore() -> Python {
    Python::with(Requirements::Aws).unwrap_or_else(|error| panic!("{error}"))
}

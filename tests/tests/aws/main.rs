//! The real connection to AWS, against servers of the tests' own: what is sent is what AWS's protocols say, what comes back
//! is read as botocore reads it, and what goes wrong is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod answers;
mod endpoints;
mod failures;
mod fill;
mod wire;

use std::path::Path;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use belay_executor::aws::AwsCloud;
use belay_tests::loopback::Loopback;
use belay_tests::python::{Python, Requirements};
use serde_json::Value;

/// A cloud that sends everything to a server of the test.
fn cloud(server: &Loopback) -> AwsCloud {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(server.url())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDEXAMPLE",
            "secret",
            None,
            None,
            "the tests",
        )))
        .build();
    AwsCloud::with(config).unwrap()
}

/// What botocore says to each of these tasks.
fn botocore(tasks: &[Value]) -> Vec<Value> {
    let lines: String = tasks.iter().map(|task| format!("{task}\n")).collect();
    let python = Python::with(Requirements::Aws).unwrap_or_else(|error| panic!("{error}"));
    let none: [&Path; 0] = [];
    let said = python.run("wire.py", none, &lines).unwrap_or_else(|error| panic!("{error}"));
    let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), tasks.len());
    answers
}

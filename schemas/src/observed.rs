//! Observed state: what a target looked like at one moment, in AWS's own shapes.
//!
//! Invariants: pages are joined, reads are sorted by service, operation and input; credentials and resolved secrets
//! never enter it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scope::Scope;

/// Attribute of a container instance that is a machine outside AWS: its agent registers it.
pub const EXTERNAL: &str = "ecs.capability.external";

/// What a target looked like at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observed {
    /// Version of this format; readers refuse any other than 1.
    pub format: u32,
    /// Account of the credentials that observed.
    pub account: String,
    /// AWS partition of that account.
    #[serde(default = "default_partition")]
    pub partition: String,
    /// Region that was observed.
    pub region: String,
    /// RFC 3339 time of the observation. Not part of the plan's input digest.
    pub observed_at: String,
    /// What was asked for.
    pub scope: Scope,
    /// What AWS answered, sorted.
    pub reads: Vec<Read>,
    /// What the registries said about the scope's images, by image as written in the model.
    #[serde(default)]
    pub images: BTreeMap<String, ImageObservation>,
    /// The S3 objects of the scope, by `bucket/key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, ObjectObservation>,
    /// The VPC of the host that observed, if the scope wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_vpc: Option<HomeVpc>,
}

fn default_partition() -> String {
    "aws".to_owned()
}

/// One read and its answer. Exactly one of `output` and `error` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The AWS CLI's name of the service.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// Its input, without page tokens.
    pub input: Value,
    /// Its answer; all pages joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The error that it gave instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReadError>,
}

/// An error answer of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadError {
    /// AWS's error code.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

/// What a registry said about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageObservation {
    /// `sha256:…` that the tag has in its registry now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why there is no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What S3 said about an object. Exactly one of `content` and `error` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectObservation {
    /// Its text. User data is reviewed text: it is part of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its ETag as HeadObject answers it (with the quotes), which plans are guarded by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Why there is no content: missing, no permission, no UTF-8, too long for user data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What instance metadata (IMDSv2) said about the host that observed. Exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HomeVpc {
    /// Id of the VPC of its first network interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    /// Why it is not known: this is no EC2 instance, or its metadata cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Observed {
    /// The answers of all reads of an operation.
    pub fn outputs<'a>(&'a self, service: &'a str, operation: &'a str) -> impl Iterator<Item = (&'a Value, &'a Value)> {
        self.reads
            .iter()
            .filter(move |r| r.service == service && r.operation == operation)
            .filter_map(|r| r.output.as_ref().map(|o| (&r.input, o)))
    }
}

//! Keeps other people's secrets out of observed state.
//!
//! The environment values of a task definition are kept in clear only when it is the project's own: when it, or a
//! service that runs it, carries the ownership tag (`belay:project` = the project, or `skopos:project`), or when the scope
//! says that the service is taken over. Of any other one, each value is replaced by `sha256:` and the hex digest of the value, which still tells whether it changed.

use std::collections::BTreeSet;

use belay_schemas::observed::Read;
use belay_schemas::scope::{EcsScope, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::items;

/// What stands in the place of a value that is not ours to show.
pub fn redacted(value: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in Sha256::digest(value.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Who owns what carries its tag.
pub(super) struct Owner<'a> {
    keys: [String; 2],
    project: &'a str,
    adopted: &'a BTreeSet<String>,
}

impl<'a> Owner<'a> {
    /// The project that is looked at.
    pub(super) fn of(scope: &'a Scope, ecs: &'a EcsScope) -> Self {
        Self {
            keys: [format!("{}:project", ecs.tag_prefix), "skopos:project".to_owned()],
            project: &scope.project,
            adopted: &ecs.adopt,
        }
    }

    /// Whether something that has `tags` in ECS's shape is the project's.
    pub(super) fn owns(&self, tagged: &Value) -> bool {
        items(tagged, "tags")
            .any(|tag| self.keys.iter().any(|key| tag["key"] == **key) && tag["value"] == *self.project)
    }
}

/// Replaces the environment values of all task definitions in `reads` that are not the project's.
pub(super) fn foreign(reads: &mut [Read], owner: &Owner<'_>) {
    let is_ours = |tagged: &Value| owner.owns(tagged);
    let ours: BTreeSet<String> = reads
        .iter()
        .filter(|read| read.operation == "DescribeServices")
        .filter_map(|read| read.output.as_ref())
        .flat_map(|output| items(output, "services"))
        .filter(|service| {
            is_ours(service) || service["serviceName"].as_str().is_some_and(|n| owner.adopted.contains(n))
        })
        .flat_map(|service| std::iter::once(service).chain(items(service, "deployments")))
        .filter_map(|part| part["taskDefinition"].as_str().map(str::to_owned))
        .collect();
    for read in reads.iter_mut().filter(|read| read.operation == "DescribeTaskDefinition") {
        let Some(output) = &mut read.output else { continue };
        if is_ours(output)
            || output["taskDefinition"]["taskDefinitionArn"].as_str().is_some_and(|arn| ours.contains(arn))
        {
            continue;
        }
        let containers = output["taskDefinition"]["containerDefinitions"].as_array_mut().into_iter().flatten();
        for entry in containers.filter_map(|c| c["environment"].as_array_mut()).flatten() {
            if let Some(value) = entry.get_mut("value")
                && let Some(text) = value.as_str()
            {
                *value = Value::String(redacted(text));
            }
        }
    }
}

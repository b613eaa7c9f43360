//! Objects in S3, read-only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors::{missing, rejected, unknown_operation};
use super::images::sha256;
use super::request::{Answer, required, text};
use super::world::{StoredObject, World};

/// What stands for a content: unless the world says otherwise, the first 32 hex digits of its SHA-256, in quotes as S3
/// writes it.
fn tag_of(object: &StoredObject) -> String {
    object.etag.clone().unwrap_or_else(|| format!("\"{}\"", &sha256(&object.text)["sha256:".len()..][..32]))
}

pub(super) fn call(world: &World, operation: &str, input: &Value) -> Answer {
    if !["GetObject", "HeadObject"].contains(&operation) {
        return Err(unknown_operation(format!("The simulated AWS does not model {operation} of s3.")));
    }
    let (bucket, key) = (required(input, "Bucket")?, required(input, "Key")?);
    let prefix = format!("{bucket}/");
    let Some(object) = world.objects.get(&format!("{prefix}{key}")) else {
        if !world.objects.keys().any(|name| name.starts_with(&prefix)) {
            return Err(missing("NoSuchBucket", "The specified bucket does not exist"));
        }
        return Err(missing("NoSuchKey", "The specified key does not exist."));
    };
    let wanted = text(input, "VersionId");
    if wanted.is_some() && wanted != object.version_id.as_deref() {
        return Err(missing("NoSuchVersion", "The specified version does not exist."));
    }
    let tag = tag_of(object);
    if text(input, "IfMatch").is_some_and(|wanted| wanted != tag) {
        return Err(rejected("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"));
    }
    let mut output = json!({
        "ETag": tag,
        "ContentLength": object.text.len(),
        "ContentType": "application/octet-stream",
        "LastModified": object.modified_at.to_string(),
        "AcceptRanges": "bytes",
        "Metadata": {},
    });
    if let Some(version) = &object.version_id {
        output["VersionId"] = version.as_str().into();
    }
    if operation == "GetObject" {
        output["Body"] = STANDARD.encode(&object.text).into();
    }
    Ok(output.into())
}

//! The scope's S3 objects, which hold user data.
//!
//! Invariants: no error here fails the observation, because only the component that wants the object is concerned; the
//! content is that of the ETag that stands beside it; nothing longer than user data may be is fetched.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belay_schemas::observed::ObjectObservation;
use futures_util::future::join_all;
use serde_json::json;

use super::reader::Reader;

/// Bytes that user data may have before it is written in base64.
const LONGEST: u64 = 16_384;

pub(super) async fn read(reader: &Reader<'_>, wanted: &BTreeSet<String>) -> BTreeMap<String, ObjectObservation> {
    let found = join_all(wanted.iter().map(|name| async move {
        let observation = match one(reader, name).await {
            Ok((content, etag)) => ObjectObservation { content: Some(content), etag: Some(etag), error: None },
            Err(error) => ObjectObservation { content: None, etag: None, error: Some(error) },
        };
        (name.clone(), observation)
    }));
    found.await.into_iter().collect()
}

async fn one(reader: &Reader<'_>, name: &str) -> Result<(String, String), String> {
    let Some((bucket, key)) = name.split_once('/') else { return Err("it has no bucket: BUCKET/KEY is wanted".into()) };
    let mut input = json!({"Bucket": bucket, "Key": key});
    let head = reader.attempt_once("s3", "HeadObject", &input).await.map_err(|error| error.to_string())?;
    let length = head["ContentLength"].as_u64().unwrap_or(0);
    if length > LONGEST {
        return Err(format!("it is {length} bytes long; user data may have {LONGEST}"));
    }
    let Some(etag) = head["ETag"].as_str() else { return Err("S3 tells no ETag of it".into()) };
    input["IfMatch"] = etag.into();
    let got = reader.attempt_once("s3", "GetObject", &input).await.map_err(|error| error.to_string())?;
    let bytes = STANDARD.decode(got["Body"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
    let content = String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())?;
    Ok((content, etag.to_owned()))
}

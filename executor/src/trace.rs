//! A trace of calls, one line of JSON each, much like CloudTrail's: who asked for what on whose behalf, and how it ended.
//!
//! Invariants: a line is written when the call has ended, whole or not at all; no line holds anything out of an input or
//! an answer but AWS's error code and request id, so a trace has no secrets; a trace that cannot be written ends no run.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::cloud::{Clock, Cloud, CloudError, ErrorKind};
use crate::time::rfc3339;

/// What only the cloud itself knows of a call.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// AWS's id of the request.
    pub request_id: Option<String>,
    /// The answer's HTTP status.
    pub status: Option<u16>,
}

tokio::task_local! {
    static DETAIL: Mutex<Detail>;
}

/// Tells the trace, if there is one, what came back.
#[cfg(feature = "aws")]
pub(crate) fn detail(detail: Detail) {
    // Nobody traces.
    let _ = DETAIL.try_with(|cell| *cell.lock().unwrap_or_else(PoisonError::into_inner) = detail);
}

/// A line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    /// 1, and one more for each failure of the same call before.
    attempt: u32,
    service: &'a str,
    operation: &'a str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    /// `ok`, or what the failure means for the call.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Wall time.
    duration_ms: u64,
}

/// A cloud whose calls are traced.
pub struct Traced {
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    region: String,
    file: Mutex<File>,
    /// Failures in a row, by node, call and a hash of the input.
    failures: Mutex<HashMap<u64, u32>>,
}

impl Traced {
    /// Traces to a file, behind what stands there already; a new one is made for its owner only.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new(cloud: Arc<dyn Cloud>, clock: Arc<dyn Clock>, region: &str, path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = Mutex::new(options.open(path)?);
        Ok(Self { cloud, clock, region: region.to_owned(), file, failures: Mutex::default() })
    }

    async fn traced<T>(
        &self,
        node: Option<&str>,
        (service, operation): (&str, &str),
        input: &Value,
        call: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let key = key(node, service, operation, input);
        let attempt = 1 + self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied().unwrap_or(0);
        let (time, began) = (self.clock.now(), Instant::now());
        let (answer, detail) = DETAIL
            .scope(Mutex::default(), async {
                let answer = call.await;
                (answer, DETAIL.with(|cell| cell.lock().unwrap_or_else(PoisonError::into_inner).clone()))
            })
            .await;
        let error = answer.as_ref().err();
        self.count(key, error.is_some());
        self.write(&Line {
            time: format!("{}.{:03}Z", rfc3339(time).trim_end_matches('Z'), time % 1000),
            node,
            attempt,
            service,
            operation,
            region: &self.region,
            request_id: detail.request_id,
            http_status: detail.status,
            outcome: error.map_or("ok", |error| word(error.kind)),
            code: error.map(|error| error.code.as_str()),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        answer
    }

    fn count(&self, key: u64, failed: bool) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failed {
            *failures.entry(key).or_default() += 1;
        } else {
            failures.remove(&key);
        }
    }

    fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_string(line) else { return };
        text.push('\n');
        // The run matters more than its trace.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
    }
}

fn key(node: Option<&str>, service: &str, operation: &str, input: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    (node, service, operation, input.to_string()).hash(&mut hasher);
    hasher.finish()
}

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Rejected => "rejected",
        ErrorKind::NotFound => "not-found",
        ErrorKind::Transient => "transient",
        ErrorKind::Unknown => "unknown",
        ErrorKind::Environment => "environment",
    }
}

#[async_trait]
impl Cloud for Traced {
    async fn call(&self, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        self.traced(None, (service, operation), input, self.cloud.call(service, operation, input)).await
    }

    async fn call_for(&self, node: &str, service: &str, operation: &str, input: &Value) -> Result<Value, CloudError> {
        let call = self.cloud.call_for(node, service, operation, input);
        self.traced(Some(node), (service, operation), input, call).await
    }

    async fn image_digest(&self, image: &str) -> Result<String, CloudError> {
        let call = self.cloud.image_digest(image);
        self.traced(None, ("registry", "ImageDigest"), &Value::from(image), call).await
    }

    async fn settle(&self) -> Result<(), CloudError> {
        self.cloud.settle().await
    }

    fn joins_reads(&self) -> bool {
        self.cloud.joins_reads()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::{SimulatedCloud, World};

    #[tokio::test]
    async fn a_line_a_call_with_its_attempts_and_nothing_of_its_input() {
        let cloud = Arc::new(SimulatedCloud::new(World::default_account()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let traced = Traced::new(Arc::clone(&cloud) as _, cloud, "us-east-1", file.path()).unwrap();
        let secret = json!({"cluster": "secret-cluster"});
        traced.call("sts", "GetCallerIdentity", &json!({})).await.unwrap();
        for _ in 0..2 {
            let error = traced.call_for("web.read", "ecs", "ListServices", &secret).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said = |line: &Value| (line["node"].clone(), line["attempt"].clone(), line["outcome"].clone());
        assert_eq!(said(&lines[0]), (json!(null), json!(1), json!("ok")));
        assert_eq!(said(&lines[1]), (json!("web.read"), json!(1), json!("not-found")));
        assert_eq!(said(&lines[2]), (json!("web.read"), json!(2), json!("not-found")));
        assert_eq!(lines[2]["code"], "ClusterNotFoundException");
        assert_eq!(lines[2]["operation"], "ListServices");
    }
}

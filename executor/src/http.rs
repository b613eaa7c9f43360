//! Requests to what is not AWS, made through the cloud seam like every call, so that whatever surrounds calls (the
//! journal, scripted faults, traces) surrounds them too.
//!
//! Two services stand for them: [`HTTP`], whose operations are the HTTP methods, with the input `{uri, timeout, body}`
//! and the answer `{status}`; and [`METADATA`], the metadata of the host (IMDSv2), whose operation is `GET` with the
//! input `{path}` and the answer `{text}`.
//!
//! Invariant: only a status from 200 to 299 is success; a request other than `GET` whose outcome nobody told may have
//! taken effect.

use belay_schemas::aws;
use belay_schemas::plan::{Call, Http};
use serde_json::{Value, json};

use crate::cloud::{CloudError, ErrorKind};

/// The service of HTTP requests.
pub const HTTP: &str = "http";
/// The service of the host's own metadata.
pub const METADATA: &str = "imds";

/// A request as a call.
#[must_use]
pub fn call(http: &Http) -> Call {
    let mut input = json!({"uri": http.uri, "timeout": http.timeout});
    if !http.body.is_null() {
        input["body"] = http.body.clone();
    }
    Call { service: HTTP.to_owned(), operation: http.method.to_ascii_uppercase(), input }
}

/// Whether a call changes something, AWS's and others.
#[must_use]
pub fn changes(service: &str, operation: &str) -> bool {
    match service {
        HTTP => operation != "GET",
        METADATA => false,
        _ => aws::operation(service, operation).is_ok_and(|operation| !operation.readonly),
    }
}

/// What an HTTP status means for a request.
///
/// # Errors
/// Every status that is no success. A handler that says 4xx did nothing; one that broke down may have done something.
pub fn outcome(method: &str, uri: &str, status: u16) -> Result<Value, CloudError> {
    let kind = match status {
        200..=299 => return Ok(json!({"status": status})),
        429 => ErrorKind::Transient,
        408 | 500.. if method == "GET" => ErrorKind::Transient,
        408 | 500.. => ErrorKind::Unknown,
        _ => ErrorKind::Rejected,
    };
    Err(CloudError::new(kind, format!("Status{status}"), format!("{uri} answered {method} with HTTP status {status}")))
}

/// A request that nobody answered in time.
#[must_use]
pub fn silent(method: &str, uri: &str, seconds: u64) -> CloudError {
    let kind = if method == "GET" { ErrorKind::Transient } else { ErrorKind::Unknown };
    CloudError::new(kind, "TimedOut", format!("{uri} did not answer {method} within {seconds} s"))
}

/// A request that found nobody to take it: nothing happened.
#[must_use]
pub fn unreachable(uri: &str, why: &str) -> CloudError {
    CloudError::new(ErrorKind::Environment, "Unreachable", format!("{uri} cannot be reached: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_something_may_have_happened() {
        let kind = |method: &str, status: u16| outcome(method, "http://h/", status).map_err(|error| error.kind);
        assert_eq!(kind("POST", 204), Ok(json!({"status": 204})));
        assert_eq!(kind("POST", 500), Err(ErrorKind::Unknown));
        assert_eq!(kind("GET", 500), Err(ErrorKind::Transient));
        assert_eq!(kind("POST", 404), Err(ErrorKind::Rejected));
        assert_eq!(kind("POST", 302), Err(ErrorKind::Rejected), "a redirection is not followed");
        assert_eq!(kind("POST", 429), Err(ErrorKind::Transient));
        assert_eq!(silent("POST", "http://h/", 5).kind, ErrorKind::Unknown);
    }
}

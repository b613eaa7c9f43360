//! What a registry's refusals mean.
//!
//! Invariant: told are the registry, the image, where the credentials come from, and the registry's own words; nothing
//! that was sent.

use std::error::Error;

use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciErrorCode};

use super::credentials::Source;
use crate::cloud::{CloudError, ErrorKind};

/// How much of a registry's words is repeated.
const WORDS: usize = 200;

pub(super) fn told(error: &OciDistributionError, image: &Reference, source: &Source) -> CloudError {
    let (registry, name) = (image.registry(), image.whole());
    match error {
        OciDistributionError::UnauthorizedError { .. } => denied(registry, &name, source, ""),
        OciDistributionError::AuthenticationFailure(words) if is_busy(words) => busy(registry, words),
        OciDistributionError::AuthenticationFailure(words) => denied(registry, &name, source, words),
        OciDistributionError::ImageManifestNotFoundError(_) => missing(&name),
        OciDistributionError::ServerError { code, message, .. } => status(*code, registry, &name, source, message),
        OciDistributionError::RegistryError { envelope, .. } => {
            let is = |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
            let words = envelope.errors.iter().map(|e| e.message.as_str()).collect::<Vec<_>>().join("; ");
            if is(&[OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound]) {
                missing(&name)
            } else if is(&[OciErrorCode::Toomanyrequests]) {
                busy(registry, &words)
            } else if is(&[OciErrorCode::Denied, OciErrorCode::Unauthorized]) {
                denied(registry, &name, source, &words)
            } else {
                refused(registry, &name, &words)
            }
        }
        OciDistributionError::RequestError(error) => unreached(registry, error),
        other => refused(registry, &name, &other.to_string()),
    }
}

fn status(code: u16, registry: &str, name: &str, source: &Source, words: &str) -> CloudError {
    match code {
        401 | 403 => denied(registry, name, source, words),
        404 => missing(name),
        429 | 500..=599 => busy(registry, if words.trim().is_empty() { "it gives no reason" } else { words }),
        _ => refused(registry, name, &format!("HTTP {code} {words}")),
    }
}

fn missing(name: &str) -> CloudError {
    CloudError::new(ErrorKind::NotFound, "ImageNotFound", format!("the registry has no {name}"))
}

fn busy(registry: &str, words: &str) -> CloudError {
    let message = format!("registry {registry} is busy or allows no more requests now: {}", short(words));
    CloudError::new(ErrorKind::Transient, "RegistryBusy", message)
}

fn refused(registry: &str, name: &str, words: &str) -> CloudError {
    CloudError::new(ErrorKind::Rejected, "RegistryRefused", format!("registry {registry}, {name}: {}", short(words)))
}

/// A registry that does not know an image often says that one may not read it.
fn denied(registry: &str, name: &str, source: &Source, words: &str) -> CloudError {
    let who = match source {
        Source::Nowhere => format!(
            "does not let anybody read {name} without credentials, and there are none for it: `docker login {registry}`"
        ),
        Source::Docker(file) => format!(
            "does not let the credentials of {} read {name}: `docker login {registry}` again, with an account that may",
            file.display()
        ),
    };
    let words = short(words);
    let said = if words.is_empty() { String::new() } else { format!(" (it says: {words})") };
    let message = format!("registry {registry} {who}; or there is no such image{said}");
    CloudError::new(ErrorKind::Environment, "RegistryAccessDenied", message)
}

fn unreached(registry: &str, error: &(impl Error + 'static)) -> CloudError {
    // The outermost words are "error sending request"; why is told innermost.
    let mut why: &dyn Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    let message = format!("registry {registry} cannot be reached: {why}");
    CloudError::new(ErrorKind::Environment, "RegistryUnreachable", message)
}

/// Whether a token server's refusal is one for now.
fn is_busy(words: &str) -> bool {
    let words = words.to_lowercase();
    ["toomanyrequests", "too many requests", "rate limit", "service unavailable", "bad gateway", "gateway time"]
        .iter()
        .any(|sign| words.contains(sign))
}

/// The beginning of a registry's words, on one line.
fn short(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

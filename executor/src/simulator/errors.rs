//! Errors in AWS's words, and what they mean for the caller.

use crate::cloud::{CloudError, ErrorKind};

/// A refused call: nothing happened.
pub(super) fn rejected(code: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Rejected, code, message)
}

/// A call refused because what it names does not exist.
pub(super) fn missing(code: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::NotFound, code, message)
}

/// A call refused because something else is under way or in the way: nothing happened, and it passes by itself.
pub(super) fn busy(code: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Transient, code, message)
}

/// ECS's error for parameters that make no sense.
pub(super) fn invalid(message: impl Into<String>) -> CloudError {
    rejected("InvalidParameterException", message)
}

/// ECS's error for what a client did wrong otherwise.
pub(super) fn client(message: impl Into<String>) -> CloudError {
    rejected("ClientException", message)
}

/// Something that AWS offers and this simulation does not model. Said rather than passed over in silence.
pub(super) fn unmodelled(what: &str) -> CloudError {
    rejected("UnsupportedFeatureException", format!("The simulated AWS does not model {what}."))
}

pub(super) fn unknown_operation(message: impl Into<String>) -> CloudError {
    rejected("UnknownOperationException", message)
}

pub(super) fn throttled(service: &str) -> CloudError {
    let code = match service {
        "ec2" => "RequestLimitExceeded",
        "ecs" | "ecr" => "ThrottlingException",
        _ => "Throttling",
    };
    busy(code, "Rate exceeded")
}

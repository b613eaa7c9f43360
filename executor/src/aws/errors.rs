//! What a failed call means: the one place where AWS's codes and messages are classified.
//!
//! Invariants: what may have taken effect is never called refused; what cannot have is never called doubtful. Sources:
//! the services' API references and models (codes, HTTP statuses), the "common errors" pages of each API, and for the
//! texts what the Terraform provider for AWS matches.

use super::exchange::{Reached, Unanswered};
use super::wire::Fault;
use crate::cloud::{CloudError, ErrorKind};

/// Codes by which every service says "not now": nothing happened. From botocore's retry rules.
const THROTTLES: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes by which a service says that it is busy with the same object, or not yet ready for it: nothing happened, and the
/// same call may succeed later.
const CONTENTIONS: &[(&str, &str)] = &[
    ("application-autoscaling", "ConcurrentUpdateException"),
    ("autoscaling", "ResourceContention"), // with HTTP 500
    ("autoscaling", "ResourceInUse"), // what uses it is on its way out: a group that is being deleted, instances that end
    ("autoscaling", "ScalingActivityInProgress"),
    ("ecs", "ResourceInUseException"), // tasks on a capacity provider are on their way out
    ("ecs", "UpdateInProgressException"),
    ("elbv2", "ResourceInUse"), // a rule that led to a target group has only just gone
    ("events", "ConcurrentModificationException"),
    ("iam", "ConcurrentModification"),
    ("logs", "OperationAbortedException"),
    ("s3", "OperationAborted"),
    ("servicediscovery", "DuplicateRequest"), // an earlier change of the same thing is under way
    ("servicediscovery", "ResourceInUse"),    // what is registered is on its way out
];

/// Refusals that time cures, told apart by their words. `None` for every service.
const CURED_BY_TIME: &[(&str, &str, &str)] = &[
    ("autoscaling", "AlreadyExists", "pending delete"),
    ("autoscaling", "ValidationError", "Invalid IAM Instance Profile"),
    ("ec2", "InvalidParameterValue", "Invalid IAM Instance Profile"),
    ("events", "ValidationException", "since it has targets"), // they were taken away a moment ago
    ("ecs", "ClientException", "Too many concurrent attempts"),
    ("ecs", "ClientException", "Unable to assume the service linked role"),
    ("ecs", "InvalidParameterException", "Unable to assume the service linked role"),
    ("ecs", "InvalidParameterException", "does not have an associated load balancer"),
    ("ecs", "InvalidParameterException", "still Draining"),
    ("ecs", "InvalidParameterException", "cannot be stopped while deployments are active"),
    ("ecs", "InvalidParameterException", "deployments are active"),
];

/// Codes of all services whose names do not say it: what is named does not exist.
const ABSENCES: &[(&str, &str)] = &[
    ("application-autoscaling", "ObjectNotFoundException"),
    ("autoscaling", "ActiveInstanceRefreshNotFound"),
    ("ecr", "ImageNotFoundException"),
    ("elb", "InvalidInstance"),
    ("elbv2", "InvalidTarget"),
    ("iam", "NoSuchEntity"),
    ("route53", "NoSuchHostedZone"),
    ("s3", "NoSuchBucket"),
    ("s3", "NoSuchKey"),
    ("service-quotas", "NoSuchResourceException"),
    ("servicediscovery", "InstanceNotFound"),
    ("servicediscovery", "NamespaceNotFound"),
    ("servicediscovery", "ServiceNotFound"),
];

/// Refusals that say by their words that what is named does not exist.
const ABSENT_IN_WORDS: &[(&str, &str, &str)] = &[
    ("autoscaling", "ValidationError", "name not found"),
    ("autoscaling", "ValidationError", "not found"),
    ("autoscaling", "ValidationError", "not part of Auto Scaling group"),
    ("autoscaling", "ValidationError", "No Load Balancers found"),
    ("autoscaling", "ValidationError", "Unable to find"),
    ("ecs", "ClientException", "Unable to describe task definition"),
    ("ecs", "ClientException", "TaskDefinition not found"),
    ("ecs", "ClientException", "The specified task definition does not exist"),
    ("ecs", "InvalidParameterException", "The referenced task was not found"),
    ("ecs", "InvalidParameterException", "The specified container instance was not found"),
    ("ecs", "InvalidParameterException", "The specified resource cannot be found"),
    ("ecs", "InvalidParameterException", "The specified capacity provider does not exist"),
];

/// The credentials themselves are no good: the same call with others may be.
const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// The clock of this machine differs from AWS's.
const CLOCK: &[&str] = &["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"];

/// The credentials are good, and may not do this.
const DENIALS: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "OptInRequired",
    "UnauthorizedOperation",
];

/// A call that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The AWS CLI's service name.
    pub service: &'a str,
    /// The service's prefix in IAM actions.
    pub iam: &'a str,
    /// The operation.
    pub operation: &'a str,
    /// Whether it changes nothing.
    pub readonly: bool,
    /// Who calls, where that is known.
    pub caller: Option<&'a str>,
}

/// A refusal that AWS answered with an HTTP status.
pub(super) fn refused(call: Call<'_>, status: u16, fault: Fault) -> CloudError {
    let Fault { code, message } = fault;
    let unknown = code == "AuthFailure" && message.contains("credentials");
    if DENIALS.contains(&&*code) && !unknown {
        return CloudError::new(ErrorKind::Rejected, code, denied(call, message));
    }
    if is_clock(&code, &message) {
        let advice = "the clock of this machine differs from AWS's; set it right (`timedatectl`, ntp)";
        return CloudError::new(ErrorKind::Environment, code, format!("{message} ({advice})"));
    }
    if unknown || CREDENTIALS.contains(&&*code) {
        let advice = match &*code {
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
                "the credentials have expired: get new ones (`aws sso login`, or assume the role again)"
            }
            _ => {
                "AWS does not know these credentials: see AWS_PROFILE and AWS_ACCESS_KEY_ID, or `aws sts get-caller-identity`"
            }
        };
        return CloudError::new(ErrorKind::Environment, code, format!("{message} ({advice})"));
    }
    let kind = kind(call, status, &code, &message);
    CloudError::new(kind, code, message)
}

fn kind(call: Call<'_>, status: u16, code: &str, message: &str) -> ErrorKind {
    let listed = |table: &[(&str, &str)]| table.contains(&(call.service, code));
    let worded = |table: &[(&str, &str, &str)]| {
        table.iter().any(|(service, of, words)| *service == call.service && *of == code && message.contains(words))
    };
    if THROTTLES.contains(&code) || status == 429 || listed(CONTENTIONS) || worded(CURED_BY_TIME) {
        return ErrorKind::Transient;
    }
    if listed(ABSENCES) || worded(ABSENT_IN_WORDS) || says_absent(code) {
        return ErrorKind::NotFound;
    }
    match status {
        500.. if call.readonly => ErrorKind::Transient,
        500.. => ErrorKind::Unknown,
        // A proxy gave up waiting for AWS.
        408 if call.readonly => ErrorKind::Transient,
        408 => ErrorKind::Unknown,
        // The answer to HEAD has no body, and so no words.
        404 if call.service == "s3" => ErrorKind::NotFound,
        403 if call.service == "s3" => ErrorKind::Rejected,
        // Not AWS's words: a proxy or a wrong endpoint.
        _ if code.starts_with("HTTP ") => ErrorKind::Environment,
        _ => ErrorKind::Rejected,
    }
}

/// `ClusterNotFoundException`, `TargetGroupNotFound`, `InvalidVpcID.NotFound`, `….NotFoundException`, `ServiceNotFound`.
fn says_absent(code: &str) -> bool {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    code.ends_with("NotFound") || code.ends_with("DoesNotExist")
}

fn is_clock(code: &str, message: &str) -> bool {
    CLOCK.contains(&code)
        || (code.contains("Signature")
            && ["Signature expired", "Signature not yet current"].iter().any(|words| message.contains(words)))
}

/// AWS's words, with the action and the caller where AWS leaves them out (EC2 does).
fn denied(call: Call<'_>, message: String) -> String {
    let action = format!("{}:{}", call.iam, call.operation);
    let mut words = message;
    if !words.contains("perform: ") && !words.contains(&action) {
        words = format!("{words} (denied action: {action})");
    }
    if let Some(caller) = call.caller
        && !words.contains("User: ")
    {
        words = format!("{words} (caller: {caller})");
    }
    words
}

/// A request without an answer.
pub(super) fn unanswered(call: Call<'_>, endpoint: &str, why: Unanswered) -> CloudError {
    let Unanswered { reached, timed_out, words } = why;
    match reached {
        Reached::Nothing => {
            let code = if is_about_credentials(&words) { "NoCredentials" } else { "NotSent" };
            CloudError::new(ErrorKind::Environment, code, advised(&words, endpoint))
        }
        Reached::Transport => {
            let code = if is_about_trust(&words) { "TlsFailure" } else { "Unreachable" };
            CloudError::new(ErrorKind::Environment, code, advised(&words, endpoint))
        }
        // It changes nothing, so it may be asked again.
        Reached::Connection if call.readonly => CloudError::new(ErrorKind::Transient, lost(timed_out), words),
        Reached::Connection => CloudError::new(ErrorKind::Unknown, lost(timed_out), words),
    }
}

fn lost(timed_out: bool) -> &'static str {
    if timed_out { "TimedOut" } else { "AnswerLost" }
}

fn is_about_credentials(words: &str) -> bool {
    words.contains("credential") || words.contains("identity")
}

fn is_about_trust(words: &str) -> bool {
    ["certificate", "UnknownIssuer", "tls", "TLS"].iter().any(|word| words.contains(word))
}

fn advised(words: &str, endpoint: &str) -> String {
    let advice = match () {
        () if is_about_credentials(words) => {
            "no usable credentials: set AWS_PROFILE, log in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        () if is_about_trust(words) => {
            "the endpoint's certificate is not trusted: AWS_CA_BUNDLE names a file with the authority to trust"
        }
        () if words.contains("dns error") || words.contains("failed to lookup") => {
            "its name is unknown: is the region right, and is there a network?"
        }
        () => "is there a network, a proxy (HTTPS_PROXY), a VPC endpoint, another AWS_ENDPOINT_URL?",
    };
    format!("{endpoint}: {words} ({advice})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn call(service: &'static str, operation: &'static str, readonly: bool) -> Call<'static> {
        Call { service, iam: service, operation, readonly, caller: None }
    }

    fn judged(service: &'static str, readonly: bool, status: u16, code: &str, message: &str) -> ErrorKind {
        let fault = Fault { code: code.to_owned(), message: message.to_owned() };
        refused(call(service, "Operation", readonly), status, fault).kind
    }

    #[test]
    fn what_a_refused_change_means() {
        use ErrorKind::{Environment, NotFound, Rejected, Transient, Unknown};
        for (service, status, code, message, expected) in [
            ("ecs", 400, "ThrottlingException", "Rate exceeded", Transient),
            ("ec2", 503, "RequestLimitExceeded", "Request limit exceeded.", Transient),
            ("elbv2", 400, "Throttling", "Rate exceeded", Transient),
            ("s3", 503, "SlowDown", "Reduce your request rate.", Transient),
            ("route53", 400, "PriorRequestNotComplete", "", Transient),
            ("logs", 429, "SomethingNew", "", Transient),
            // It comes with HTTP 500, and yet nothing happened.
            ("autoscaling", 500, "ResourceContention", "You already have a pending update", Transient),
            ("autoscaling", 400, "ScalingActivityInProgress", "", Transient),
            (
                "autoscaling",
                400,
                "AlreadyExists",
                "AutoScalingGroup by this name already exists - A group with the name web is pending delete",
                Transient,
            ),
            ("autoscaling", 400, "AlreadyExists", "Launch Configuration by this name already exists", Rejected),
            (
                "autoscaling",
                400,
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are scaling activity in progress",
                Transient,
            ),
            ("events", 400, "ValidationException", "Rule can't be deleted since it has targets.", Transient),
            ("ecs", 400, "InvalidParameterException", "Unable to Start a service that is still Draining.", Transient),
            (
                "ecs",
                400,
                "InvalidParameterException",
                "The target group arn:… does not have an associated load balancer.",
                Transient,
            ),
            ("ecs", 400, "InvalidParameterException", "Creation of service was not idempotent.", Rejected),
            ("ecs", 400, "ServiceNotActiveException", "Service was not ACTIVE.", Rejected),
            (
                "ecs",
                400,
                "ClientException",
                "Too many concurrent attempts to create a new revision of the specified family.",
                Transient,
            ),
            ("ecs", 400, "ClientException", "TaskDefinition is inactive", Rejected),
            ("ecs", 400, "ClusterNotFoundException", "Cluster not found.", NotFound),
            ("ecs", 400, "ServiceNotFoundException", "Service not found.", NotFound),
            ("ecs", 400, "ClientException", "Unable to describe task definition.", NotFound),
            ("ecs", 400, "InvalidParameterException", "The referenced task was not found.", NotFound),
            ("autoscaling", 400, "ValidationError", "AutoScalingGroup name not found - null", NotFound),
            ("autoscaling", 400, "ValidationError", "Instance i-1 is not part of Auto Scaling group web.", NotFound),
            ("autoscaling", 400, "ValidationError", "1 validation error detected", Rejected),
            ("elbv2", 400, "TargetGroupNotFound", "One or more target groups not found", NotFound),
            ("elbv2", 400, "RuleNotFound", "One or more rules not found", NotFound),
            ("elbv2", 400, "PriorityInUse", "Priority '1' is currently in use", Rejected),
            (
                "elbv2",
                400,
                "ResourceInUse",
                "Target group 'arn:…' is currently in use by a listener or a rule",
                Transient,
            ),
            ("servicediscovery", 400, "DuplicateRequest", "Another operation is already in progress", Transient),
            ("servicediscovery", 400, "ResourceInUse", "Service contains registered instances", Transient),
            ("elb", 400, "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'x'", NotFound),
            ("ec2", 400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", NotFound),
            ("ec2", 400, "InvalidLaunchTemplateName.NotFoundException", "", NotFound),
            ("ec2", 400, "InvalidLaunchTemplateId.NotFound", "", NotFound),
            ("application-autoscaling", 400, "ObjectNotFoundException", "No scalable target found", NotFound),
            ("ecs", 500, "ServerException", "Service Unavailable. Please try again later.", Unknown),
            ("ec2", 500, "InternalError", "An internal error has occurred", Unknown),
            ("ecs", 504, "HTTP 504", "gateway time-out", Unknown),
            ("ecs", 408, "HTTP 408", "", Unknown),
            ("s3", 404, "HTTP 404", "no words", NotFound),
            ("ecs", 404, "HTTP 404", "<html>not found</html>", Environment),
            (
                "ecs",
                400,
                "AccessDeniedException",
                "User: arn is not authorized to perform: ecs:CreateService",
                Rejected,
            ),
            ("ec2", 403, "UnauthorizedOperation", "You are not authorized to perform this operation.", Rejected),
            ("sts", 403, "ExpiredToken", "The security token included in the request is expired", Environment),
            ("ecs", 400, "ExpiredTokenException", "The security token included in the request is expired", Environment),
            (
                "ecs",
                400,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                Environment,
            ),
            ("ec2", 401, "AuthFailure", "AWS was not able to validate the provided access credentials", Environment),
            ("sts", 403, "InvalidClientTokenId", "The security token included in the request is invalid.", Environment),
            (
                "ecs",
                400,
                "InvalidSignatureException",
                "Signature expired: 20260101T000000Z is now earlier than …",
                Environment,
            ),
            ("ec2", 400, "RequestExpired", "Request has expired.", Environment),
        ] {
            assert_eq!(judged(service, false, status, code, message), expected, "{service} {status} {code}: {message}");
        }
    }

    #[test]
    fn a_read_that_aws_stumbles_over_may_be_made_again() {
        assert_eq!(judged("ecs", true, 500, "ServerException", ""), ErrorKind::Transient);
        assert_eq!(judged("ecs", true, 504, "HTTP 504", ""), ErrorKind::Transient);
        assert_eq!(judged("ecs", true, 400, "InvalidParameterException", ""), ErrorKind::Rejected);
    }

    #[test]
    fn a_denial_names_the_action_and_the_caller() {
        let caller = Some("arn:aws:iam::123456789012:user/dev");
        let call = Call { caller, iam: "elasticloadbalancing", ..call("elbv2", "CreateRule", false) };
        let fault = |message: &str| Fault { code: "AccessDenied".to_owned(), message: message.to_owned() };
        let bare = refused(call, 403, fault("You are not authorized to perform this operation."));
        assert_eq!(
            bare.message,
            "You are not authorized to perform this operation. (denied action: elasticloadbalancing:CreateRule) \
             (caller: arn:aws:iam::123456789012:user/dev)"
        );
        let full = "User: arn:aws:iam::1:user/dev is not authorized to perform: elasticloadbalancing:CreateRule";
        assert_eq!(refused(call, 403, fault(full)).message, full);
    }

    #[test]
    fn without_an_answer_it_counts_how_far_the_request_came() {
        let why = |reached, words: &str| Unanswered { reached, timed_out: false, words: words.to_owned() };
        for (reached, words, readonly, kind, code) in [
            (Reached::Nothing, "no credentials in the property bag", false, ErrorKind::Environment, "NoCredentials"),
            (Reached::Transport, "Connection refused", false, ErrorKind::Environment, "Unreachable"),
            (
                Reached::Transport,
                "invalid peer certificate: UnknownIssuer",
                false,
                ErrorKind::Environment,
                "TlsFailure",
            ),
            (Reached::Connection, "connection closed", false, ErrorKind::Unknown, "AnswerLost"),
            (Reached::Connection, "connection closed", true, ErrorKind::Transient, "AnswerLost"),
        ] {
            let error = unanswered(call("ecs", "Operation", readonly), "https://e", why(reached, words));
            assert_eq!((error.kind, error.code.as_str()), (kind, code), "{words}");
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}

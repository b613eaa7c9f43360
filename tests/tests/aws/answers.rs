//! What an answer, a lost one and a missing one mean; and that nothing is ever sent twice by itself.

use belay_executor::cloud::{Cloud, CloudError, ErrorKind};
use belay_tests::loopback::{Loopback, Request, Response};
use serde_json::{Value, json};

use crate::cloud;

/// Makes a call against a server that answers like that, and holds that exactly one request was sent.
async fn outcome(
    (service, operation): (&str, &str),
    input: Value,
    handler: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
) -> Result<Value, CloudError> {
    let server = Loopback::start(handler);
    let answer = cloud(&server).call(service, operation, &input).await;
    let sent = server.take();
    assert_eq!(sent.len(), 1, "{service} {operation} was sent {} times: {answer:?}", sent.len());
    answer
}

fn kind(answer: Result<Value, CloudError>) -> (ErrorKind, String) {
    let error = answer.expect_err("it fails");
    (error.kind, error.code)
}

const CHANGES: [(&str, &str); 4] = [
    ("ecs", "DeregisterTaskDefinition"),
    ("autoscaling", "CreateOrUpdateTags"),
    ("ec2", "CreateTags"),
    ("elbv2", "DeleteRule"),
];
const READS: [(&str, &str); 4] = [
    ("ecs", "DescribeClusters"),
    ("autoscaling", "DescribeAutoScalingGroups"),
    ("ec2", "DescribeVpcs"),
    ("elbv2", "DescribeRules"),
];

#[tokio::test]
async fn a_lost_answer_is_unknown_for_a_change_and_transient_for_a_read() {
    for call in CHANGES {
        assert_eq!(
            kind(outcome(call, json!({}), |_| None).await),
            (ErrorKind::Unknown, "AnswerLost".to_owned()),
            "{call:?}"
        );
    }
    for call in READS {
        assert_eq!(kind(outcome(call, json!({}), |_| None).await).0, ErrorKind::Transient, "{call:?}");
    }
}

#[tokio::test]
async fn a_server_error_is_never_retried_and_leaves_a_change_in_doubt() {
    for status in [500, 502, 503, 504] {
        for call in CHANGES {
            let answer = outcome(call, json!({}), move |_| Some(Response::error(status, ""))).await;
            assert_eq!(kind(answer), (ErrorKind::Unknown, format!("HTTP {status}")), "{call:?}");
        }
        for call in READS {
            let answer = outcome(call, json!({}), move |_| Some(Response::error(status, "<html/>"))).await;
            assert_eq!(kind(answer).0, ErrorKind::Transient, "{call:?}");
        }
    }
}

#[tokio::test]
async fn throttling_is_transient_and_not_retried_by_the_sdk() {
    let json = r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#;
    let xml = "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    for (call, body) in [(CHANGES[0], json), (CHANGES[1], xml), (CHANGES[3], xml), (READS[1], xml)] {
        let answer = outcome(call, json!({}), move |_| Some(Response::error(400, body))).await;
        assert_eq!(kind(answer).0, ErrorKind::Transient, "{call:?}");
    }
}

#[tokio::test]
async fn a_torn_answer_of_a_change_is_unknown() {
    for (call, body) in [
        (CHANGES[0], r#"{"taskDefinition": {"fam"#),
        (("ec2", "CreateLaunchTemplate"), "<CreateLaunchTemplateResponse><launchTem"),
    ] {
        let answer = outcome(call, json!({}), move |_| Some(Response::ok(body))).await;
        assert_eq!(kind(answer), (ErrorKind::Unknown, "UnreadableAnswer".to_owned()), "{call:?}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_not_sent() {
    let server = Loopback::start(|_| Some(Response::ok("{}")));
    let cloud = cloud(&server);
    for (service, operation, input, code) in [
        ("ecs", "CreateCluster", json!({}), "UnknownOperation"),
        ("nosuch", "Describe", json!({}), "UnknownOperation"),
        ("ecs", "DescribeClusters", json!({"cluster": "c"}), "InvalidInput"),
        ("elbv2", "DescribeRules", json!({"Rules": []}), "InvalidInput"),
    ] {
        let error = cloud.call(service, operation, &input).await.expect_err("it cannot be written");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Rejected, code), "{error}");
    }
    assert!(server.take().is_empty());
}

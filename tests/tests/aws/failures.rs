//! The program in an environment of its own, against servers that refuse it: what it says, how it ends, and that nothing
//! was changed.

use std::path::Path;
use std::sync::Arc;

use belay_executor::cloud::{Cloud, ErrorKind};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_schemas::aws;
use belay_tests::binaries::program;
use belay_tests::fixtures::Fixture;
use belay_tests::loopback::{Loopback, Request, Response};
use belay_tests::pipeline::block_on;
use insta::assert_snapshot;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tempfile::TempDir;

const ACCOUNT: &str = "123456789012";

/// Who the caller is, in STS's words.
fn identity(account: &str) -> Response {
    Response::ok(format!(
        "<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/deployer</Arn><UserId>AIDA</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    ))
}

/// A refusal in the words of a query protocol.
fn refusal(code: &str, message: &str) -> Response {
    let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>");
    Response::error(403, body)
}

/// What a command did.
struct Said {
    text: String,
    trace: Vec<Value>,
}

/// Runs `belay` with an endpoint and further settings; ports and times are taken out of what it says.
fn belay(arguments: &[&str], endpoint: &str, settings: &[(&str, &Path)]) -> Said {
    let desk = TempDir::new().unwrap();
    let plan = Fixture::named("orphan").dir().join("plan.json");
    std::fs::copy(plan, desk.path().join("plan.json")).unwrap();
    let mut command = program("belay", desk.path());
    command.args(arguments).args(["--trace", "trace.jsonl"]);
    command.envs([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]);
    command.envs(settings.iter().copied());
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = format!(
        "{}{}exit {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    );
    assert!(!text.contains("wJalrXUtnFEMI"), "{text}");
    let mut text = text.replace(endpoint, "ENDPOINT");
    for (pattern, word) in [
        (r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN"),
        (r"sha256:[0-9a-f]+", "DIGEST"),
        (r"(?m)^\d\d:\d\d:\d\d", "TIME"),
        (r"\d+(\.\d)? s\b", "N s"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, word).into_owned();
    }
    // What goes on at the same time is told in either order.
    let mut told: Vec<&str> = text.lines().filter(|line| line.starts_with("TIME")).collect();
    told.sort_unstable();
    let mut told = told.into_iter();
    let lines = text.lines().map(|line| if line.starts_with("TIME") { told.next().unwrap_or(line) } else { line });
    let text = lines.collect::<Vec<_>>().join("\n");
    let trace = std::fs::read_to_string(desk.path().join("trace.jsonl")).unwrap_or_default();
    assert!(!trace.contains("wJalrXUtnFEMI"), "{trace}");
    Said { text, trace: trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
}

/// The operations that a server was asked for. None of them may change anything.
fn only_reads(server: &Loopback) -> Vec<String> {
    let asked: Vec<String> = server.take().iter().map(Request::operation).collect();
    let changes = asked.iter().find(|operation| !operation.starts_with("Describe") && !operation.starts_with("Get"));
    assert_eq!(changes, None, "{asked:?}");
    asked
}

/// The account that the fixture starts in, with ECS on the wire; a refusal where the caller wants one.
fn account(refuse: impl Fn(&str) -> Option<Response> + Send + Sync + 'static) -> Loopback {
    let path = Fixture::named("orphan").dir().join("world.json");
    let world: World = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let world = Arc::new(SimulatedCloud::new(world));
    Loopback::start(move |request| {
        let operation = request.operation();
        if let Some(refusal) = refuse(&operation) {
            return Some(refusal);
        }
        if operation == "GetCallerIdentity" {
            return Some(identity(ACCOUNT));
        }
        let world = Arc::clone(&world);
        let input = request.json();
        Some(match block_on(async move { world.call("ecs", &operation, &input).await }) {
            Ok(output) => Response::ok(output.to_string()),
            Err(error) => {
                let status = if error.kind == ErrorKind::Unknown { 500 } else { 400 };
                Response::error(status, serde_json::json!({"__type": error.code, "message": error.message}).to_string())
            }
        })
    })
}

#[test]
fn another_account() {
    let server = Loopback::start(|_| Some(identity("999999999999")));
    assert_snapshot!(belay(&["apply", "plan.json", "--yes"], &server.url(), &[]).text, @r#"
    error: the plan is for account 123456789012, these credentials belong to account 999999999999
    help: use credentials of the plan's account, or observe and compile for this one
    exit 6
    "#);
    assert_eq!(only_reads(&server), ["GetCallerIdentity"]);
    assert_snapshot!(belay(&["verify", "plan.json"], &server.url(), &[]).text, @r#"
    error: the plan is for account 123456789012, these credentials belong to account 999999999999
    help: use credentials of the plan's account, or observe and compile for this one
    exit 6
    "#);
}

#[test]
fn an_expired_token() {
    let server =
        Loopback::start(|_| Some(refusal("ExpiredToken", "The security token included in the request is expired")));
    let said = belay(&["apply", "plan.json", "--yes"], &server.url(), &[]);
    assert_snapshot!(said.text, @r#"
    error: cannot find out which account the credentials belong to: ExpiredToken: The security token included in the request is expired (the credentials have expired: get new ones (`aws sso login`, or assume the role again))
    exit 6
    "#);
    assert_eq!(only_reads(&server), ["GetCallerIdentity"]);
    assert_eq!(said.trace.len(), 1);
    assert_eq!((&said.trace[0]["outcome"], &said.trace[0]["httpStatus"]), (&"environment".into(), &403.into()));
    assert_eq!(said.trace[0]["code"], "ExpiredToken");
}

#[test]
fn a_denied_read() {
    let denied = |operation: &str| {
        (operation == "DescribeServices").then(|| {
            let message = "User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: \
                           ecs:DescribeServices on resource: * because no identity-based policy allows the \
                           ecs:DescribeServices action";
            let mut response = Response::error(
                400,
                serde_json::json!({"__type": "AccessDeniedException", "message": message}).to_string(),
            );
            response.headers.push(("x-amzn-requestid".to_owned(), "request-7".to_owned()));
            response
        })
    };
    let server = account(denied);
    let said = belay(&["apply", "plan.json", "--yes"], &server.url(), &[]);
    assert_snapshot!(said.text, @r#"
    run RUN: plan DIGEST, shop in default (account 123456789012, us-east-1)
    journal and lock: .belay (who uses another directory is not locked out)
    TIME  no assumption of the plan is left to look at
    TIME  preflight.cluster                    done in N s
    shop in default cannot be reached from here (unreachable: ecs DescribeServices: AccessDeniedException: User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: ecs:DescribeServices on resource: * because no identity-based policy allows the ecs:DescribeServices action). Nothing was changed.
      next: put that right and apply the plan again
    exit 6
    "#);
    let asked = only_reads(&server);
    assert!(asked.contains(&"DescribeServices".to_owned()), "{asked:?}");
    let line = said.trace.iter().find(|line| line["operation"] == "DescribeServices").unwrap();
    assert_eq!((&line["requestId"], &line["code"]), (&"request-7".into(), &"AccessDeniedException".into()));
    assert!(line["node"].is_string() && line["durationMs"].is_u64() && line["region"] == "us-east-1", "{line}");
}

#[test]
fn a_denied_change_takes_the_run_back() {
    let denied = |operation: &str| {
        (operation == "UpdateService").then(|| {
            Response::error(400, r#"{"__type": "AccessDeniedException", "message": "User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: ecs:UpdateService"}"#)
        })
    };
    let server = account(denied);
    assert_snapshot!(belay(&["apply", "plan.json", "--yes"], &server.url(), &[]).text, @r#"
    run RUN: plan DIGEST, shop in default (account 123456789012, us-east-1)
    journal and lock: .belay (who uses another directory is not locked out)
    TIME  going back to the state before the run
    TIME  preflight.cluster                    done in N s
    TIME  the plan's one assumption holds
    TIME  worker.service.scale-down            FAILED after N s: ecs UpdateService: AccessDeniedException: User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: ecs:UpdateService
    Rolled back: shop in default is as it was before (0 steps undone, N s).
      failed worker.service.scale-down: ecs UpdateService: AccessDeniedException: User: arn:aws:iam::123456789012:user/deployer is not authorized to perform: ecs:UpdateService
    exit 3
    "#);
    let asked = server.take();
    let changes: Vec<String> = asked
        .iter()
        .map(Request::operation)
        .filter(|operation| !aws::operation("ecs", operation).is_ok_and(|shape| shape.readonly))
        .filter(|operation| operation != "GetCallerIdentity")
        .collect();
    assert_eq!(changes, ["UpdateService"]);
}

#[test]
fn an_endpoint_that_nobody_serves() {
    let address = Loopback::start(|_| None).address();
    let said = belay(&["apply", "plan.json", "--yes"], &format!("http://{address}"), &[]);
    assert_snapshot!(said.text, @r#"
    error: cannot find out which account the credentials belong to: Unreachable: ENDPOINT: tcp connect error: Connection refused (os error 111) (is there a network, a proxy (HTTPS_PROXY), a VPC endpoint, another AWS_ENDPOINT_URL?)
    exit 6
    "#);
    assert_eq!((said.trace.len(), &said.trace[0]["code"]), (1, &"Unreachable".into()));
}

#[test]
fn a_certificate_that_nobody_trusts() {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let config = Arc::new(config);
    let server = Loopback::wrapped(
        Arc::new(|_| Some(identity("999999999999"))),
        Arc::new(move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
            Ok(Box::new(rustls::StreamOwned::new(connection, stream)))
        }),
    );
    let endpoint = format!("https://{}", server.address());
    assert_snapshot!(belay(&["apply", "plan.json", "--yes"], &endpoint, &[]).text, @r#"
    error: cannot find out which account the credentials belong to: TlsFailure: ENDPOINT: TLS handshake failed: invalid peer certificate: UnknownIssuer (the endpoint's certificate is not trusted: AWS_CA_BUNDLE names a file with the authority to trust)
    exit 6
    "#);
    assert!(server.take().is_empty(), "nothing is sent to who is not trusted");

    // The same server, trusted by name, is heard: the refusal is about the account now.
    let desk = TempDir::new().unwrap();
    let bundle = desk.path().join("bundle.pem");
    std::fs::write(&bundle, made.cert.pem()).unwrap();
    let said = belay(&["apply", "plan.json", "--yes"], &endpoint, &[("AWS_CA_BUNDLE", &bundle)]);
    assert!(said.text.contains("999999999999") && said.text.ends_with("exit 6"), "{}", said.text);
    assert_eq!(only_reads(&server), ["GetCallerIdentity"]);
    std::fs::write(&bundle, "nothing").unwrap();
    let said = belay(&["apply", "plan.json", "--yes"], &endpoint, &[("AWS_CA_BUNDLE", &bundle)]);
    let text = said.text.replace(&*bundle.to_string_lossy(), "BUNDLE");
    assert_snapshot!(text, @r#"
    error: AWS_CA_BUNDLE BUNDLE: there is no certificate in it
    help: name a file with certificates in PEM
    exit 6
    "#);
}

#[test]
fn nobody_is_there_to_agree() {
    let server = account(|_| None);
    assert_snapshot!(belay(&["apply", "plan.json"], &server.url(), &[]).text, @r#"
    error: nobody can be asked here whether to apply: standard input is no terminal
    help: review the plan and give --yes
    exit 2
    "#);
    assert_eq!(only_reads(&server), ["GetCallerIdentity"]);
}

#[test]
fn another_region() {
    let server = account(|_| None);
    let said = belay(&["apply", "plan.json", "--yes"], &server.url(), &[("AWS_REGION", Path::new("eu-west-1"))]);
    assert_snapshot!(said.text, @r#"
    error: this is for region us-east-1, but the AWS configuration (AWS_REGION, profile) says eu-west-1
    help: name the same region in the environment file and in the AWS configuration (AWS_REGION, profile)
    exit 6
    "#);
    assert!(server.take().is_empty());
}

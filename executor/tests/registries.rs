//! Digests from registries, against a small one on this machine that answers as it is told: tokens, refusals, limits.
#![cfg(feature = "registry")]
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure here is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use belay_executor::cloud::ErrorKind;
use belay_executor::registry::{Registries, Settings};
use tempfile::TempDir;

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// What a manifest looks like does not matter to its digest.
const BODY: &str = "{}";
const BODY_DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// What was asked: method, path with query, `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    authorization: String,
}

/// Status, further header lines, body.
type Reply = (u16, String, String);

/// A registry that answers by a function, and remembers what it was asked.
struct Registry {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Registry {
    /// The function is given the registry's own address too.
    fn start(answer: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (own, seen, answer) = (address.clone(), Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, seen, answer) = (own.clone(), Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &seen, |request| answer(request, &own)));
            }
        });
        Self { address, requests }
    }

    fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: impl Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut authorization = String::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("authorization") {
                authorization = value.trim().to_owned();
            }
        }
        let request = Request { method, path, authorization };
        let (status, headers, body) = answer(&request);
        seen.lock().unwrap().push(request.clone());
        let length = body.len();
        let body = if request.method == "HEAD" { String::new() } else { body };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n");
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// A manifest with its digest in the header.
fn manifest() -> Reply {
    (200, format!("Docker-Content-Digest: {DIGEST}\r\nContent-Type: application/json\r\n"), BODY.to_owned())
}

/// A registry that wants tokens, which its token server gives to `who` (the value of `Authorization`).
fn with_tokens(who: &'static str) -> Registry {
    Registry::start(move |request, own| {
        if request.path.starts_with("/token") {
            return match request.authorization == who {
                true => (200, String::new(), r#"{"token": "let-me-in"}"#.to_owned()),
                false => (401, String::new(), r#"{"details": "incorrect username or password"}"#.to_owned()),
            };
        }
        if request.authorization == "Bearer let-me-in" {
            return manifest();
        }
        (401, format!("WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"test\"\r\n"), String::new())
    })
}

/// What `docker login` would have written; without a text there is none.
fn registries(config: Option<&str>) -> (TempDir, PathBuf, Registries) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    if let Some(text) = config {
        std::fs::write(&file, text).unwrap();
    }
    let registries = Registries::new(Settings { docker_config: Some(file.clone()), ..Settings::default() });
    (folder, file, registries)
}

#[tokio::test]
async fn anonymous_tokens_are_fetched_once_a_repository_and_each_image_once() {
    let registry = with_tokens("");
    let (_folder, _, registries) = registries(None);
    let at = |rest: &str| format!("{}/{rest}", registry.address);
    let (web, tagged, other) = (at("shop/web"), at("shop/web:latest"), at("shop/web:2"));
    let (a, b, c) = tokio::join!(registries.digest(&web), registries.digest(&tagged), registries.digest(&other));
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (DIGEST.to_owned(), DIGEST.to_owned(), DIGEST.to_owned()));
    let mut asked = registry.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /token?scope=repository%3Ashop%2Fweb%3Apull&service=test",
            "GET /v2/",
            "HEAD /v2/shop/web/manifests/2",
            "HEAD /v2/shop/web/manifests/latest",
        ]
    );
    // One that is pinned is nobody's business.
    let pinned = at(&format!("shop/web:3@{DIGEST}"));
    assert_eq!(registries.digest(&pinned).await.unwrap(), DIGEST);
    assert_eq!(registry.asked().len(), 4);
}

#[tokio::test]
async fn passwords_go_to_the_token_server_and_into_no_error() {
    // ann:s3cret and ann:wr0ng
    let registry = with_tokens("Basic YW5uOnMzY3JldA==");
    let config = |auth: &str| format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address);
    let image = format!("{}/shop/web:1", registry.address);
    let (_folder, _, right) = registries(Some(&config("YW5uOnMzY3JldA==")));
    assert_eq!(right.digest(&image).await.unwrap(), DIGEST);

    let (_folder, file, wrong) = registries(Some(&config("YW5uOndyMG5n")));
    let error = wrong.digest(&image).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    let said = error.to_string().replace(&registry.address, "REGISTRY").replace(&file.display().to_string(), "FILE");
    assert_eq!(
        said,
        "RegistryAccessDenied: registry REGISTRY does not let the credentials of FILE read REGISTRY/shop/web:1: `docker login REGISTRY` again, with an account that may; or there is no such image (it says: {\"details\": \"incorrect username or password\"})"
    );
    for secret in ["wr0ng", "YW5uOndyMG5n", "let-me-in", "ann:"] {
        assert!(!format!("{error:?}").contains(secret));
    }

    let (_folder, _, nobody) = registries(None);
    let error = nobody.digest(&image).await.unwrap_err().to_string().replace(&registry.address, "REGISTRY");
    assert!(error.contains("without credentials, and there are none for it: `docker login REGISTRY`"), "{error}");
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_is_asked_for_the_manifest() {
    let registry = Registry::start(|_, _| (200, String::new(), BODY.to_owned()));
    let (_folder, _, registries) = registries(None);
    assert_eq!(registries.digest(&format!("{}/a:1", registry.address)).await.unwrap(), BODY_DIGEST);
    let asked: Vec<String> = registry.asked().into_iter().filter(|line| !line.ends_with("/v2/")).collect();
    assert_eq!(asked, ["HEAD /v2/a/manifests/1", "GET /v2/a/manifests/1"]);
}

/// The kind and code of the error that a status of the manifest becomes.
async fn of_status(status: u16, body: &'static str) -> (ErrorKind, String) {
    let registry = Registry::start(move |request, _| match request.path.as_str() {
        "/v2/" => (200, String::new(), String::new()),
        _ => (status, String::new(), body.to_owned()),
    });
    let (_folder, _, registries) = registries(None);
    let error = registries.digest(&format!("{}/a:1", registry.address)).await.unwrap_err();
    (error.kind, error.code)
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let of = |kind, code: &str| (kind, code.to_owned());
    let missing = of(ErrorKind::NotFound, "ImageNotFound");
    assert_eq!(of_status(404, "").await, missing);
    assert_eq!(of_status(404, r#"{"errors": [{"code": "MANIFEST_UNKNOWN"}]}"#).await, missing);
    let denied = of(ErrorKind::Environment, "RegistryAccessDenied");
    assert_eq!(of_status(401, "").await, denied);
    assert_eq!(of_status(403, "").await, denied);
    assert_eq!(of_status(403, r#"{"errors": [{"code": "DENIED", "message": "no"}]}"#).await, denied);
    let busy = of(ErrorKind::Transient, "RegistryBusy");
    assert_eq!(of_status(429, "").await, busy);
    assert_eq!(of_status(429, r#"{"errors": [{"code": "TOOMANYREQUESTS", "message": "wait"}]}"#).await, busy);
    assert_eq!(of_status(503, "<html>").await, busy);
    assert_eq!(of_status(418, "").await, of(ErrorKind::Rejected, "RegistryRefused"));
}

#[tokio::test]
async fn what_failed_is_asked_again_and_a_closed_port_is_told() {
    let registry = Registry::start(|request, _| match request.path.as_str() {
        "/v2/" => (200, String::new(), String::new()),
        "/v2/a/manifests/1" => (429, String::new(), String::new()),
        _ => manifest(),
    });
    let (_folder, _, registries) = registries(None);
    let image = format!("{}/a:1", registry.address);
    for _ in 0..2 {
        assert_eq!(registries.digest(&image).await.unwrap_err().kind, ErrorKind::Transient);
    }
    let heads = registry.asked().iter().filter(|line| line.starts_with("HEAD")).count();
    assert_eq!(heads, 2, "a failure is not remembered");

    // Bound and let go of: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = registries.digest(&format!("{port}/a:1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Environment);
    let said = error.to_string();
    assert!(said.contains(&format!("registry {port} cannot be reached")) && said.contains("refused"), "{said}");
}

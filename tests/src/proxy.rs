//! A proxy on the loopback interface, in front of a server, that treats requests as it is told and keeps what came by.
//!
//! Invariants: what it forwards is the request as it came, signature included, and the answer as it came; it counts what
//! it was asked for and what it passed on; a rule is used once.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::loopback::{Loopback, Request, Response};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on, and the connection is closed instead of answering.
    AnswerDropped,
    /// The connection is closed, nothing is passed on.
    RequestDropped,
    /// It waits for so many milliseconds on its way.
    Delayed(u64),
    /// A gateway's page for people is answered, nothing is passed on.
    Page,
    /// It is passed on, and a gateway's page for people is answered.
    PageAfterwards,
    /// The service says that it came too fast, nothing is passed on.
    Throttled,
}

/// What came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The operation.
    pub operation: String,
    /// What it said.
    pub body: String,
    /// Whether the server got it.
    pub forwarded: bool,
    /// The HTTP status of the server's answer; 0 without one.
    pub status: u16,
    /// What happened to it.
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(String, Fault)>,
    seen: Vec<Seen>,
}

/// A running proxy.
pub struct Proxy {
    front: Loopback,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// A proxy in front of `http://127.0.0.1:PORT`.
    pub fn start(server: &str) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, server) = (Arc::clone(&state), server.trim_start_matches("http://").to_owned());
        let front = Loopback::start(move |request| handle(&server, &shared, request));
        Self { front, state }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// What is to happen to the next request of an operation.
    pub fn next(&self, operation: &str, fault: Fault) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rules.push((operation.to_owned(), fault));
    }

    /// What came by so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }
}

fn handle(server: &str, state: &Mutex<State>, request: &Request) -> Option<Response> {
    let operation = match request.operation() {
        // Services of the REST protocols say by method and path what is wanted.
        none if none.is_empty() => request.method.clone(),
        operation => operation,
    };
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let (fault, at) = {
        let mut state = lock();
        let rule = state.rules.iter().position(|(of, _)| *of == operation);
        let fault = rule.map(|rule| state.rules.remove(rule).1);
        let body = request.body.clone();
        state.seen.push(Seen { operation, body, forwarded: false, status: 0, fault });
        (fault, state.seen.len() - 1)
    };
    let passed_on = || {
        lock().seen[at].forwarded = true;
        let answer = forward(server, request).ok();
        lock().seen[at].status = answer.as_ref().map_or(0, |answer| answer.status);
        answer
    };
    match fault {
        None => passed_on(),
        Some(Fault::Delayed(milliseconds)) => {
            std::thread::sleep(Duration::from_millis(milliseconds));
            passed_on()
        }
        Some(Fault::RequestDropped) => None,
        Some(Fault::AnswerDropped) => {
            passed_on();
            None
        }
        Some(Fault::Page) => Some(page()),
        Some(Fault::PageAfterwards) => {
            passed_on();
            Some(page())
        }
        Some(Fault::Throttled) => Some(throttled(request)),
    }
}

/// What a gateway that has lost its server says.
fn page() -> Response {
    let body = "<html><head><title>500 Internal Server Error</title></head><body><h1>Oops</h1></body></html>";
    Response { status: 500, headers: vec![("content-type".to_owned(), "text/html".to_owned())], body: body.to_owned() }
}

/// A refusal in the words of the request's protocol.
fn throttled(request: &Request) -> Response {
    if request.headers.contains_key("x-amz-target") {
        return Response::error(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
    }
    if request.headers.get("authorization").is_some_and(|signed| signed.contains("/scheduler/aws4_request")) {
        let code = ("x-amzn-errortype".to_owned(), "ThrottlingException".to_owned());
        return Response { status: 429, headers: vec![code], body: r#"{"Message":"Rate exceeded"}"#.to_owned() };
    }
    let error = "<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>";
    // EC2 wraps its errors in a way of its own.
    let ec2 = request.headers.get("authorization").is_some_and(|signed| signed.contains("/ec2/aws4_request"));
    if ec2 {
        let error = error.replace("Throttling", "RequestLimitExceeded");
        return Response::error(503, format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"));
    }
    Response::error(400, format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"))
}

fn forward(server: &str, request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server)?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.uri);
    for (name, value) in request.headers.iter().filter(|(name, _)| *name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}connection: close\r\n\r\n{}", request.body).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {answer}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| wrong("no head"))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split_whitespace().nth(1)).and_then(|status| status.parse().ok());
    let mut headers = Vec::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => return Err(wrong("its body is in pieces")),
            "content-length" | "connection" => {}
            _ => headers.push((name.to_owned(), value.trim().to_owned())),
        }
    }
    Ok(Response { status: status.ok_or_else(|| wrong("no status"))?, headers, body: body.to_owned() })
}

//! HTTP requests to what is not AWS, and the metadata of the host.
//!
//! Invariants: a request is sent once; redirections are not followed, because they are not what was reviewed; proxies
//! are those of the environment.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use serde_json::{Value, json};

use super::exchange::causes;
use crate::cloud::{CloudError, ErrorKind};
use crate::http::{outcome, silent, unreachable};

/// Where no time-out is said.
const SECONDS: u64 = 5;

/// The client of all requests, made when it is first needed.
#[derive(Default)]
pub(super) struct Web {
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl Web {
    fn client(&self) -> Result<&reqwest::Client, CloudError> {
        let made = self.client.get_or_init(|| {
            // Somebody else may have named the same provider already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            builder.user_agent(concat!("belay/", env!("CARGO_PKG_VERSION"))).build().map_err(|error| causes(&error))
        });
        made.as_ref().map_err(|words| CloudError::new(ErrorKind::Environment, "NoHttpClient", words.clone()))
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn send(&self, method: &str, input: &Value) -> Result<Value, CloudError> {
        let uri = input["uri"].as_str().unwrap_or_default();
        let seconds = input["timeout"].as_u64().unwrap_or(SECONDS);
        let wrong = |code: &str, words: String| CloudError::new(ErrorKind::Rejected, code, words);
        let method =
            reqwest::Method::from_bytes(method.as_bytes()).map_err(|e| wrong("InvalidMethod", e.to_string()))?;
        let url = reqwest::Url::parse(uri).map_err(|error| wrong("InvalidUri", format!("{uri}: {error}")))?;
        let mut request = self.client()?.request(method.clone(), url).timeout(Duration::from_secs(seconds));
        if let Some(body) = input.get("body").filter(|body| !body.is_null()) {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        match request.send().await {
            Ok(answer) => outcome(method.as_str(), uri, answer.status().as_u16()),
            Err(error) if error.is_connect() => Err(unreachable(uri, &causes(&error))),
            Err(error) if error.is_timeout() => Err(silent(method.as_str(), uri, seconds)),
            Err(error) if error.is_builder() => Err(wrong("InvalidRequest", causes(&error))),
            // A connection that broke: the request may have arrived.
            Err(error) => {
                let kind = if method == reqwest::Method::GET { ErrorKind::Transient } else { ErrorKind::Unknown };
                Err(CloudError::new(kind, "AnswerLost", format!("{uri}: {}", causes(&error))))
            }
        }
    }
}

/// What asks for the metadata of the host (`AWS_EC2_METADATA_SERVICE_ENDPOINT` names another host than EC2's own).
pub(super) fn metadata_client(config: &SdkConfig) -> imds::Client {
    let provider = ProviderConfig::without_region();
    let provider = match config.http_client() {
        Some(client) => provider.with_http_client(client),
        None => provider,
    };
    imds::Client::builder().configure(&provider).max_attempts(2).build()
}

/// A path of the host's metadata, by IMDSv2.
pub(super) async fn metadata(client: &imds::Client, input: &Value) -> Result<Value, CloudError> {
    let path = input["path"].as_str().unwrap_or_default();
    match client.get(path.to_owned()).await {
        Ok(text) => Ok(json!({"text": text.as_ref()})),
        Err(error) => Err(unreachable("the instance metadata", &causes(&error))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Takes one request and answers it with `head`, or never.
    fn handler(head: Option<&'static str>) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/hand-over", listener.local_addr().unwrap());
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(request(&mut stream)).unwrap();
            match head {
                Some(head) => {
                    stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap()
                }
                // It holds the connection until the other side gives up.
                None => drop(stream.read(&mut [0; 16])),
            }
        });
        (uri, told)
    }

    /// A whole request, as it came.
    fn request(stream: &mut TcpStream) -> String {
        let (mut text, mut buffer) = (String::new(), [0; 1024]);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
    }

    async fn post(uri: &str) -> Result<Value, CloudError> {
        let body = json!({"ec2_instance_id": "i-1", "user_data": null});
        Web::default().send("POST", &json!({"uri": uri, "timeout": 1, "body": body})).await
    }

    #[tokio::test]
    async fn a_post_carries_exactly_its_body_as_json() {
        let (uri, told) = handler(Some("204 No Content"));
        assert_eq!(post(&uri).await, Ok(json!({"status": 204})));
        let told = told.recv().unwrap();
        assert!(told.starts_with("POST /hand-over HTTP/1.1\r\n"), "{told}");
        assert!(told.to_lowercase().contains("content-type: application/json\r\n"), "{told}");
        assert!(told.ends_with("\r\n\r\n{\"ec2_instance_id\":\"i-1\",\"user_data\":null}"), "{told}");
    }

    #[tokio::test]
    async fn what_a_handler_does_is_told_apart() {
        let (broken, _kept) = handler(Some("500 Internal Server Error"));
        assert_eq!(post(&broken).await.unwrap_err().kind, ErrorKind::Unknown);
        let (elsewhere, _kept) = handler(Some("302 Found\r\nLocation: http://127.0.0.1:1/"));
        assert_eq!(post(&elsewhere).await.unwrap_err().kind, ErrorKind::Rejected);
        let (hanging, _kept) = handler(None);
        let error = post(&hanging).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unknown, "TimedOut"));
        let (hanging, _kept) = handler(None);
        let probe = Web::default().send("GET", &json!({"uri": hanging, "timeout": 1})).await;
        assert_eq!(probe.unwrap_err().kind, ErrorKind::Transient);
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = post(&format!("http://{free}/")).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Environment, "Unreachable"));
        assert_eq!(post("no uri").await.unwrap_err().code, "InvalidUri");
    }

    #[tokio::test]
    async fn the_metadata_of_the_host_is_asked_with_a_token() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for body in ["secret-token", "0e:00:00:00:00:01"] {
                let (mut stream, _) = listener.accept().unwrap();
                let asked = request(&mut stream);
                let token = asked.to_lowercase().contains("x-aws-ec2-metadata-token: secret-token");
                lines.push(format!("{} {token}", asked.lines().next().unwrap_or_default()));
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 60";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            lines
        });
        let provider =
            ProviderConfig::without_region().with_http_client(super::super::configuration::http_client().unwrap());
        let client = imds::Client::builder().configure(&provider).endpoint(&uri).unwrap().build();
        let answer = metadata(&client, &json!({"path": "/latest/meta-data/mac"})).await;
        assert_eq!(answer, Ok(json!({"text": "0e:00:00:00:00:01"})));
        assert_eq!(
            served.join().unwrap(),
            ["PUT /latest/api/token HTTP/1.1 false", "GET /latest/meta-data/mac HTTP/1.1 true"]
        );
    }
}

//! Calls as AWS's protocols write them: one encoder and one decoder for every service, driven by the shapes in
//! `schemas/aws`.
//!
//! Invariants: an input that its shape allows is written as AWS's own SDKs write it (the tests hold every member of every
//! operation against botocore); of an answer exactly what the shape knows is kept, under the API's names; an answer that
//! is torn is an error and never a shorter answer.

mod fault;
mod form;
mod json;
mod rest;
mod scalar;
mod xml;

use std::collections::BTreeMap;

use belay_schemas::aws::{Member, Operation, Service, ServiceFacts};
use serde_json::{Map, Value};

pub(super) use fault::Fault;

/// A request without endpoint and signature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// `POST`, …
    pub method: String,
    /// Path and query string.
    pub uri: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a call cannot be written or an answer not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// Belay has no words for the service's protocol.
    #[error("{service} speaks {protocol}, which is not known here")]
    Protocol { service: String, protocol: String },
    /// The input is not of its shape; the validator tells before.
    #[error("the input cannot be written: {0}")]
    Input(String),
    /// The answer is not what the protocol says.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}

/// A protocol that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `X-Amz-Target` and a JSON body.
    Json,
    /// A form, answered in XML.
    Query,
    /// A form of EC2's own kind, answered in XML.
    Ec2,
    /// Methods and paths, JSON bodies.
    RestJson,
    /// Methods and paths, XML bodies.
    RestXml,
}

impl Protocol {
    /// The first of a service's protocols that is spoken here; where there are several, any of them will do for AWS.
    fn of(facts: &ServiceFacts) -> Result<Self, WireError> {
        let known = |name: &str| {
            Some(match name {
                "json" => Self::Json,
                "query" => Self::Query,
                "ec2" => Self::Ec2,
                "rest-json" => Self::RestJson,
                "rest-xml" => Self::RestXml,
                _ => return None,
            })
        };
        let unknown = || WireError::Protocol { service: facts.name.to_string(), protocol: facts.protocol.to_string() };
        known(&facts.protocol).or_else(|| facts.protocols.iter().find_map(|name| known(name))).ok_or_else(unknown)
    }
}

/// Writes a call.
pub(super) fn encode(service: &Service, operation: &Operation, input: &Value) -> Result<Request, WireError> {
    let nothing = Map::new();
    let members = match input {
        Value::Object(members) => members,
        Value::Null => &nothing,
        _ => return Err(WireError::Input("an input is an object".to_owned())),
    };
    match Protocol::of(&service.facts)? {
        Protocol::Json => json::encode(service, operation, members),
        Protocol::Query => form::encode(service, operation, members, form::Dialect::Query),
        Protocol::Ec2 => form::encode(service, operation, members, form::Dialect::Ec2),
        Protocol::RestJson => rest::encode(service, operation, members, rest::Body::Json),
        Protocol::RestXml => rest::encode(service, operation, members, rest::Body::Xml),
    }
}

/// Reads an answer that is a success.
pub(super) fn decode(service: &Service, operation: &Operation, answer: &Answer) -> Result<Value, WireError> {
    match Protocol::of(&service.facts)? {
        Protocol::Json => json::decode(service, operation, answer),
        Protocol::Query | Protocol::Ec2 => xml::decode(service, operation, answer),
        Protocol::RestJson => rest::decode(service, operation, answer, rest::Body::Json),
        Protocol::RestXml => rest::decode(service, operation, answer, rest::Body::Xml),
    }
}

/// A member's name on the wire, which may stand at its place of use or at its shape.
fn wire_name<'a>(service: &'a Service, member: &'a Member) -> &'a str {
    let of_shape = || service.shape(member.shape).wire.name.as_deref();
    member.wire.name.as_deref().or_else(of_shape).unwrap_or(&member.name)
}

impl Answer {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The id under which AWS's support finds the request.
    pub fn request_id(&self) -> Option<String> {
        let of_header = ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| self.header(name));
        of_header.map(str::to_owned).or_else(|| xml::request_id(&self.body))
    }

    fn text(&self) -> Result<&str, WireError> {
        std::str::from_utf8(&self.body).map_err(|error| WireError::Answer(error.to_string()))
    }
}

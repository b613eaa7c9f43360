//! The typed table of a service's shapes: what `schemas/aws/*.json` says, with every reference resolved to an index.
//!
//! Invariants: a [`ShapeId`] belongs to the [`Service`] that gave it out; members, operations and enum values are sorted
//! so that look-ups are binary searches; nothing here changes after loading, but for patterns, which are compiled when
//! first used.

use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;

/// A service: its names and protocol, its operations and every shape that they reach.
#[derive(Debug)]
pub struct Service {
    /// Names, versions and protocol.
    pub facts: ServiceFacts,
    pub(super) operations: Box<[Operation]>,
    pub(super) shapes: Box<[Shape]>,
}

/// What a client must know of a service to speak to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceFacts {
    /// The AWS CLI's name: `elbv2`.
    pub name: Box<str>,
    /// `2015-12-01`.
    pub api_version: Box<str>,
    /// Whether it once spoke the query protocol only, and wants to be told that its old error codes are understood.
    #[serde(default)]
    pub aws_query_compatible: bool,
    /// The first label of the endpoint's host name.
    pub endpoint_prefix: Box<str>,
    /// Host name of a service that is not regional.
    pub global_endpoint: Option<Box<str>>,
    /// `1.0` or `1.1`, for the JSON protocol.
    pub json_version: Option<Box<str>>,
    /// `json`, `query`, `ec2`, `rest-json`, `rest-xml`, …
    pub protocol: Box<str>,
    /// Every protocol that the service understands, `protocol` included.
    #[serde(default)]
    pub protocols: Box<[Box<str>]>,
    /// The service id of the SDKs: `Elastic Load Balancing v2`.
    pub service_id: Box<str>,
    /// `v4`, or for S3 `s3`.
    pub signature_version: Box<str>,
    /// The service name within a signature's scope.
    pub signing_name: Box<str>,
    /// What stands before the operation in `X-Amz-Target`.
    pub target_prefix: Option<Box<str>>,
    /// The namespace of XML bodies.
    pub xml_namespace: Option<Box<str>>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The AWS CLI's name of its service.
    pub service: &'static str,
    /// The operation as the API spells it.
    pub name: Box<str>,
    /// Whether it changes nothing.
    pub readonly: bool,
    /// The error codes that the API declares for it, sorted.
    pub errors: Box<[Box<str>]>,
    /// The input member that makes a repeated request the same request.
    pub token: Option<Box<str>>,
    /// How its answer continues, if it does.
    pub pagination: Option<Pagination>,
    /// Method and URI.
    pub http: Http,
    /// Shape of the input; `None` when it takes none.
    pub input: Option<ShapeId>,
    /// Shape of the output; `None` when it gives none.
    pub output: Option<ShapeId>,
    /// The XML element that wraps the input (rest-xml).
    pub input_wire: Wire,
    /// The XML element that wraps the output (query).
    pub result_wrapper: Option<Box<str>>,
}

/// How to read an answer that comes in pages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pagination {
    /// Input members that carry on.
    pub input_tokens: Box<[Box<str>]>,
    /// JMESPath expressions over the output that give their values, in the same order.
    pub output_tokens: Box<[Box<str>]>,
    /// Input member for the size of a page.
    pub limit_key: Option<Box<str>>,
    /// Output members whose lists are to be joined; JMESPath.
    pub result_keys: Box<[Box<str>]>,
    /// Output member that is false on the last page, where the tokens alone do not tell.
    pub more_results: Option<Box<str>>,
}

/// Where an operation's request goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// `POST`, …
    pub method: Box<str>,
    /// `/`, or a template such as `/2013-04-01/hostedzone/{Id}`.
    pub request_uri: Box<str>,
    /// The status of success, where it is not 200.
    pub response_code: Option<u16>,
}

/// Index of a shape within its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(pub(super) u32);

/// A named shape.
#[derive(Debug)]
pub struct Shape {
    /// The name in AWS's model.
    pub name: Box<str>,
    /// Whether values must not be shown.
    pub sensitive: bool,
    /// Details of its form on the wire that hold wherever it is used.
    pub wire: Wire,
    /// What values it has.
    pub kind: Kind,
}

/// The values that a shape has.
#[derive(Debug)]
pub enum Kind {
    /// An object with known members.
    Structure(Structure),
    /// An array.
    List(List),
    /// An object with free keys.
    Map(MapShape),
    /// Text.
    String(Text),
    /// A whole number of 32 bits.
    Integer(Range<i64>),
    /// A whole number of 64 bits.
    Long(Range<i64>),
    /// A number of single precision.
    Float(Range<f64>),
    /// A number of double precision.
    Double(Range<f64>),
    /// `true` or `false`.
    Boolean,
    /// A moment: seconds since the epoch, or ISO 8601.
    Timestamp,
    /// Bytes, in base64; the range counts bytes.
    Blob(Range<u64>),
    /// Any JSON.
    Document,
}

/// Members of an object.
#[derive(Debug)]
pub struct Structure {
    /// Sorted by name.
    pub members: Box<[Member]>,
    /// Whether exactly one member must be there.
    pub union: bool,
    /// The member that is the body (REST protocols).
    pub payload: Option<Box<str>>,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// The name in JSON.
    pub name: Box<str>,
    /// Its shape.
    pub shape: ShapeId,
    /// Whether an input must have it.
    pub required: bool,
    /// Whether AWS has withdrawn it.
    pub deprecated: bool,
    /// Names and places on the wire.
    pub wire: Wire,
}

/// An array of one shape.
#[derive(Debug)]
pub struct List {
    /// Shape of the items.
    pub item: ShapeId,
    /// The items' XML element, where it is not `member`.
    pub item_name: Option<Box<str>>,
    /// Number of items.
    pub length: Range<u64>,
}

/// An object with free keys.
#[derive(Debug)]
pub struct MapShape {
    /// Shape of the keys; a string.
    pub key: ShapeId,
    /// Shape of the values.
    pub value: ShapeId,
    /// The keys' XML element, where it is not `key`.
    pub key_name: Option<Box<str>>,
    /// The values' XML element, where it is not `value`.
    pub value_name: Option<Box<str>>,
    /// Number of entries.
    pub length: Range<u64>,
}

/// Constraints of a text.
#[derive(Debug)]
pub struct Text {
    /// The only values, sorted; empty where any will do.
    pub values: Box<[Box<str>]>,
    /// Number of characters.
    pub length: Range<u64>,
    /// What must match somewhere in it.
    pub pattern: Option<Pattern>,
}

/// Inclusive bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<T> {
    /// The least allowed.
    pub min: Option<T>,
    /// The most allowed.
    pub max: Option<T>,
}

/// How a value is written on the wire where that is not the protocol's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wire {
    /// `header`, `headers`, `uri`, `querystring` or `statusCode`; the body otherwise.
    pub location: Option<Box<str>>,
    /// Its name there.
    pub name: Option<Box<str>>,
    /// Its name in an EC2 query request.
    pub query_name: Option<Box<str>>,
    /// Whether a list or map has no element of its own around its items.
    pub flattened: bool,
    /// `iso8601`, `rfc822` or `unixTimestamp`.
    pub timestamp_format: Option<Box<str>>,
    /// XML namespace.
    pub namespace: Option<Namespace>,
    /// Whether it is an attribute of its parent's element.
    pub attribute: bool,
    /// Whether it is a body that is read and written piece by piece.
    pub streaming: bool,
}

/// An XML namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its URI.
    pub uri: Box<str>,
    /// Its prefix.
    pub prefix: Option<Box<str>>,
}

/// A regular expression of AWS's model. These are written for Java; one that Rust's `regex` cannot read constrains nothing.
#[derive(Debug)]
pub struct Pattern {
    /// As the model has it.
    pub text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Service {
    /// An operation by its exact name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        let index = self.operations.binary_search_by(|operation| (*operation.name).cmp(name)).ok()?;
        self.operations.get(index)
    }

    /// All operations, sorted by name.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// A shape of this service. `id` must come from this service's own table.
    pub fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0 as usize]
    }

    /// All shapes, sorted by name.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

impl Structure {
    /// A member by its exact name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        let index = self.members.binary_search_by(|member| (*member.name).cmp(name)).ok()?;
        self.members.get(index)
    }
}

impl Member {
    /// The name on the wire (JSON, and XML in answers).
    pub fn wire_name(&self) -> &str {
        self.wire.name.as_deref().unwrap_or(&self.name)
    }
}

impl<T: PartialOrd + Copy> Range<T> {
    /// Whether neither bound is crossed.
    pub fn holds(&self, value: T) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// Whether there is any bound.
    pub fn is_bounded(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

impl Pattern {
    pub(super) fn new(text: Box<str>) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }

    /// Whether it can be applied at all.
    pub fn is_applicable(&self) -> bool {
        self.regex().is_some()
    }

    /// Whether a text matches somewhere, or the pattern cannot be applied.
    pub fn admits(&self, text: &str) -> bool {
        self.regex().is_none_or(|regex| regex.is_match(text))
    }
}

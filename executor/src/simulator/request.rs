//! Reading inputs that were validated against their shapes, and cutting answers into pages.

use std::collections::BTreeMap;

use belay_schemas::aws::{self, FaultKind, Strictness};
use serde_json::{Map, Value, json};

use super::errors::{rejected, unknown_operation};
use crate::cloud::CloudError;

/// What a call gives back.
pub(super) struct Reply {
    pub(super) output: Value,
    /// Whether it repeated an earlier call and changed nothing.
    pub(super) repeated: bool,
}

impl From<Value> for Reply {
    fn from(output: Value) -> Self {
        Self { output, repeated: false }
    }
}

pub(super) type Answer = Result<Reply, CloudError>;

/// Refuses an input that is not of the operation's shape, with the code that the service uses for that.
pub(super) fn validate_request(service: &str, operation: &str, input: &Value) -> Result<(), CloudError> {
    let faults = aws::validate_input(service, operation, input, Strictness::Exact);
    let Some(first) = faults.first() else { return Ok(()) };
    let message = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if first.kind == FaultKind::UnknownOperation {
        return Err(unknown_operation(message));
    }
    let code = match (service, &first.kind) {
        ("ecs", FaultKind::WrongType { .. } | FaultKind::UnknownMember { .. }) => "ClientException",
        ("ecs" | "ecr", _) => "InvalidParameterException",
        ("ec2", FaultKind::MissingMember { .. }) => "MissingParameter",
        ("ec2", FaultKind::UnknownMember { .. }) => "UnknownParameter",
        ("ec2", _) => "InvalidParameterValue",
        _ => "ValidationError",
    };
    Err(rejected(code, message))
}

/// The text of a member.
pub(super) fn text<'v>(input: &'v Value, member: &str) -> Option<&'v str> {
    input.get(member).and_then(Value::as_str)
}

/// The text of a member that the shape requires.
pub(super) fn required<'v>(input: &'v Value, member: &str) -> Result<&'v str, CloudError> {
    text(input, member).ok_or_else(|| rejected("InvalidParameterException", format!("{member} can not be blank.")))
}

/// The number of a member.
pub(super) fn number(input: &Value, member: &str) -> Option<u64> {
    input.get(member).and_then(Value::as_u64)
}

/// The items of a list member; nothing if it is absent.
pub(super) fn items<'v>(input: &'v Value, member: &str) -> &'v [Value] {
    input.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of a list member.
pub(super) fn texts<'v>(input: &'v Value, member: &str) -> Vec<&'v str> {
    items(input, member).iter().filter_map(Value::as_str).collect()
}

/// Whether a list member holds that word.
pub(super) fn lists(input: &Value, member: &str, word: &str) -> bool {
    texts(input, member).contains(&word)
}

/// The last part of an ARN or of a name.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Tags as ECS writes them (`key`, `value`).
pub(super) fn ecs_tags(input: &Value) -> BTreeMap<String, String> {
    tags_of(items(input, "tags"), "key", "value")
}

/// Tags of a list with the given names of key and value.
pub(super) fn tags_of(list: &[Value], key: &str, value: &str) -> BTreeMap<String, String> {
    list.iter()
        .filter_map(|tag| Some((text(tag, key)?.to_owned(), text(tag, value).unwrap_or_default().to_owned())))
        .collect()
}

/// Tags in ECS's shape.
pub(super) fn to_ecs_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// Tags in the shape of ec2 and the load balancers.
pub(super) fn to_upper_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// How a family of operations pages.
pub(super) struct Paging {
    pub(super) token: &'static str,
    pub(super) size: &'static str,
    pub(super) default: usize,
    pub(super) most: usize,
}

impl Paging {
    /// ECS's way: `nextToken`, `maxResults`.
    pub(super) const fn ecs(default: usize, most: usize) -> Self {
        Self { token: "nextToken", size: "maxResults", default, most }
    }

    /// The load balancers' way: `Marker`, `PageSize`.
    pub(super) const BALANCERS: Self = Self { token: "Marker", size: "PageSize", default: 400, most: 400 };

    /// ec2's way: everything at once unless `MaxResults` is given.
    pub(super) const EC2: Self = Self { token: "NextToken", size: "MaxResults", default: 1000, most: 1000 };

    /// One page of a list, and the token of the next. A token names the first item of its page by position and is
    /// written so that nobody takes it for a number.
    pub(super) fn cut<T>(&self, all: Vec<T>, input: &Value) -> Result<(Vec<T>, Option<String>), CloudError> {
        let wrong = |what: &str| rejected("InvalidParameterException", format!("Invalid {what}"));
        let size = match input.get(self.size).and_then(Value::as_i64) {
            None => self.default,
            Some(size) => usize::try_from(size)
                .ok()
                .filter(|size| (1..=self.most).contains(size))
                .ok_or_else(|| wrong(&format!("{}: must be between 1 and {}", self.size, self.most)))?,
        };
        let from = match text(input, self.token) {
            None => 0,
            Some(token) => token
                .strip_prefix("page-")
                .and_then(|from| usize::from_str_radix(from, 16).ok())
                .ok_or_else(|| wrong(self.token))?,
        };
        let more = all.len() > from.saturating_add(size);
        let page = all.into_iter().skip(from).take(size).collect();
        Ok((page, more.then(|| format!("page-{:08x}", from + size))))
    }

    /// A page under its member name, with the token of the next one.
    pub(super) fn answer(&self, member: &str, all: Vec<Value>, input: &Value) -> Result<Value, CloudError> {
        let (page, next) = self.cut(all, input)?;
        let mut output = Map::from_iter([(member.to_owned(), Value::Array(page))]);
        if let Some(next) = next {
            let name = if self.token == "Marker" { "NextMarker" } else { self.token };
            output.insert(name.to_owned(), next.into());
        }
        Ok(Value::Object(output))
    }
}

/// Refuses more items than a call may hold.
pub(super) fn at_most(list: &[Value], most: usize, member: &str) -> Result<(), CloudError> {
    if list.len() > most {
        let message = format!("{member} cannot have more than {most} elements, found {}.", list.len());
        return Err(rejected("InvalidParameterException", message));
    }
    Ok(())
}

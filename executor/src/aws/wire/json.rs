//! JSON bodies: the JSON protocols, and the bodies of REST services that write JSON.

use belay_schemas::aws::{Kind, Operation, Service, ShapeId, Structure, Wire};
use serde_json::{Map, Value};

use super::scalar::{Moment, moment_json};
use super::{Answer, Request, WireError, wire_name};

/// A call of a service with `X-Amz-Target`.
pub(super) fn encode(
    service: &Service,
    operation: &Operation,
    members: &Map<String, Value>,
) -> Result<Request, WireError> {
    let facts = &service.facts;
    let prefix = facts.target_prefix.as_deref().unwrap_or_default();
    let version = facts.json_version.as_deref().unwrap_or("1.0");
    let body = match operation.input {
        Some(shape) => written(service, shape, &Wire::default(), &Value::Object(members.clone()))?,
        None => Value::Object(Map::new()),
    };
    let mut headers = vec![
        ("content-type".to_owned(), format!("application/x-amz-json-{version}")),
        ("x-amz-target".to_owned(), format!("{prefix}.{}", operation.name)),
    ];
    if facts.aws_query_compatible {
        headers.push(("x-amzn-query-mode".to_owned(), "true".to_owned()));
    }
    Ok(Request {
        method: operation.http.method.to_string(),
        uri: operation.http.request_uri.to_string(),
        headers,
        body: body.to_string().into_bytes(),
    })
}

/// Its answer.
pub(super) fn decode(service: &Service, operation: &Operation, answer: &Answer) -> Result<Value, WireError> {
    let Some(shape) = operation.output else { return Ok(Value::Object(Map::new())) };
    Ok(read(service, shape, &parse(answer)?))
}

/// The body as JSON; no body is an empty object.
pub(super) fn parse(answer: &Answer) -> Result<Value, WireError> {
    if answer.body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| WireError::Answer(error.to_string()))
}

/// A value as the wire has it.
pub(super) fn written(service: &Service, shape: ShapeId, place: &Wire, value: &Value) -> Result<Value, WireError> {
    let shape = service.shape(shape);
    Ok(match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Object(members)) => members_written(service, structure, members)?,
        (Kind::List(list), Value::Array(items)) => {
            let item = |item| written(service, list.item, &Wire::default(), item);
            Value::Array(items.iter().map(item).collect::<Result<_, _>>()?)
        }
        (Kind::Map(map), Value::Object(entries)) => {
            let entry = |(key, value): (&String, &Value)| {
                Ok((key.clone(), written(service, map.value, &Wire::default(), value)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Result<_, WireError>>()?)
        }
        (Kind::Timestamp, _) => moment_json(value, Moment::of(place, shape, Moment::Unix))?,
        _ => value.clone(),
    })
}

fn members_written(service: &Service, structure: &Structure, members: &Map<String, Value>) -> Result<Value, WireError> {
    let mut out = Map::new();
    for (name, value) in members {
        let member = structure.member(name).ok_or_else(|| WireError::Input(format!("there is no member {name}")))?;
        out.insert(wire_name(service, member).to_owned(), written(service, member.shape, &member.wire, value)?);
    }
    Ok(Value::Object(out))
}

/// What the shape knows of a value that AWS sent, under the API's names.
pub(super) fn read(service: &Service, shape: ShapeId, value: &Value) -> Value {
    match (&service.shape(shape).kind, value) {
        (Kind::Structure(structure), Value::Object(sent)) => {
            let member = |member: &belay_schemas::aws::Member| {
                let value = sent.get(wire_name(service, member)).filter(|value| !value.is_null())?;
                Some((member.name.to_string(), read(service, member.shape, value)))
            };
            Value::Object(structure.members.iter().filter_map(member).collect())
        }
        (Kind::List(list), Value::Array(items)) => items.iter().map(|item| read(service, list.item, item)).collect(),
        (Kind::Map(map), Value::Object(entries)) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            Value::Object(entries.map(|(key, value)| (key.clone(), read(service, map.value, value))).collect())
        }
        _ => value.clone(),
    }
}

//! Services with methods and paths: parts of an input go to the path, the query string and headers, the rest is the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belay_schemas::aws::{Kind, Member, Operation, Service, Shape, ShapeId, Structure, Wire};
use serde_json::{Map, Value};

use super::scalar::{Moment, from_text, moment_of_header, percent, text};
use super::{Answer, Request, WireError, json, wire_name, xml};

/// What bodies are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Json,
    Xml,
}

/// A call.
pub(super) fn encode(
    service: &Service,
    operation: &Operation,
    members: &Map<String, Value>,
    kind: Body,
) -> Result<Request, WireError> {
    let mut request = Request {
        method: operation.http.method.to_string(),
        uri: operation.http.request_uri.to_string(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let Some(id) = operation.input else { return Ok(request) };
    let structure = structure_of(service, id)?;
    let mut query = Vec::new();
    let mut rest = Map::new();
    for (name, value) in members {
        let member = structure.member(name).ok_or_else(|| WireError::Input(format!("there is no member {name}")))?;
        match member.wire.location.as_deref() {
            Some("uri") => request.uri = in_path(service, member, value, &request.uri)?,
            Some("querystring") => in_query(service, member, value, &mut query)?,
            Some("header") => in_header(service, member, value, &mut request.headers)?,
            Some("headers") => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let name = format!("{}{key}", wire_name(service, member)).to_ascii_lowercase();
                    request.headers.push((name, value.as_str().unwrap_or_default().to_owned()));
                }
            }
            _ => {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some((_, from)) = request.uri.split_once('{') {
        let name = from.split('}').next().unwrap_or_default();
        return Err(WireError::Input(format!("`{name}` is part of the path and not given")));
    }
    if !query.is_empty() {
        let join = if request.uri.contains('?') { '&' } else { '?' };
        request.uri = format!("{}{join}{}", request.uri, query.join("&"));
    }
    let (body, content) = body(service, operation, id, structure, rest, kind)?;
    request.body = body;
    if let Some(content) = content.filter(|_| !request.headers.iter().any(|(name, _)| name == "content-type")) {
        request.headers.push(("content-type".to_owned(), content.to_owned()));
    }
    Ok(request)
}

fn structure_of(service: &Service, id: ShapeId) -> Result<&Structure, WireError> {
    match &service.shape(id).kind {
        Kind::Structure(structure) => Ok(structure),
        _ => Err(WireError::Input(format!("{} is no structure", service.shape(id).name))),
    }
}

fn in_path(service: &Service, member: &Member, value: &Value, uri: &str) -> Result<String, WireError> {
    let name = wire_name(service, member);
    let text = text(value, &member.wire, service.shape(member.shape), Moment::Iso)?;
    // Route 53 answers `/hostedzone/Z1` and `/change/C1` where it asks for `Z1` and `C1`.
    let text = match &*service.facts.name {
        // Nothing but these is taken away: other slashes are part of what was given, and escaped.
        "route53" => ["/hostedzone/", "/change/"].iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(&text),
        _ => &text,
    };
    Ok(uri
        .replace(&format!("{{{name}}}"), &percent(text, ""))
        // A greedy label may span several parts of the path.
        .replace(&format!("{{{name}+}}"), &percent(text, "/")))
}

fn in_query(service: &Service, member: &Member, value: &Value, query: &mut Vec<String>) -> Result<(), WireError> {
    let shape = service.shape(member.shape);
    let mut add = |name: &str, text: &str| query.push(format!("{}={}", percent(name, ""), percent(text, "")));
    let name = wire_name(service, member);
    match (&shape.kind, value) {
        (Kind::List(list), Value::Array(items)) => {
            for item in items {
                add(name, &text(item, &Wire::default(), service.shape(list.item), Moment::Iso)?);
            }
        }
        (Kind::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                for value in values {
                    add(key, &text(value, &Wire::default(), service.shape(map.value), Moment::Iso)?);
                }
            }
        }
        _ => add(name, &text(value, &member.wire, shape, Moment::Iso)?),
    }
    Ok(())
}

fn in_header(
    service: &Service,
    member: &Member,
    value: &Value,
    headers: &mut Vec<(String, String)>,
) -> Result<(), WireError> {
    let shape = service.shape(member.shape);
    let words = match (&shape.kind, value) {
        (Kind::List(list), Value::Array(items)) => {
            if items.is_empty() {
                return Ok(());
            }
            let item = service.shape(list.item);
            let words = items.iter().map(|value| {
                let words = text(value, &Wire::default(), item, Moment::Rfc822)?;
                let quoted = matches!(item.kind, Kind::String(_)) && words.contains(['"', ',']);
                Ok(if quoted { format!("\"{}\"", words.replace('"', "\\\"")) } else { words })
            });
            words.collect::<Result<Vec<_>, WireError>>()?.join(",")
        }
        _ => text(value, &member.wire, shape, Moment::Rfc822)?,
    };
    headers.push((wire_name(service, member).to_ascii_lowercase(), words));
    Ok(())
}

/// The body and its type.
fn body(
    service: &Service,
    operation: &Operation,
    id: ShapeId,
    structure: &Structure,
    mut rest: Map<String, Value>,
    kind: Body,
) -> Result<(Vec<u8>, Option<&'static str>), WireError> {
    let payload = structure.payload.as_deref().and_then(|name| structure.member(name));
    if let Some(member) = payload {
        let shape = service.shape(member.shape);
        let value = rest.remove(&*member.name);
        return match (&shape.kind, value) {
            (Kind::Blob(_), Some(Value::String(text))) => {
                let bytes = STANDARD.decode(text).map_err(|error| WireError::Input(error.to_string()))?;
                Ok((bytes, None))
            }
            (Kind::String(_), Some(Value::String(text))) => Ok((text.into_bytes(), None)),
            (Kind::Blob(_) | Kind::String(_), _) => Ok((Vec::new(), None)),
            (_, None) if kind == Body::Json => Ok((b"{}".to_vec(), Some("application/json"))),
            (_, None) => Ok((Vec::new(), None)),
            (_, Some(value)) => {
                let name = member.wire.name.as_deref().or(shape.wire.name.as_deref()).unwrap_or(&member.name);
                written(service, member.shape, name, &member.wire, &value, kind)
            }
        };
    }
    let has_body = structure.members.iter().any(|member| member.wire.location.is_none());
    if !has_body || (rest.is_empty() && kind == Body::Xml) {
        return Ok((Vec::new(), None));
    }
    let usual = format!("{}Request", operation.name);
    let name = operation.input_wire.name.as_deref().unwrap_or(&usual);
    written(service, id, name, &operation.input_wire, &Value::Object(rest), kind)
}

fn written(
    service: &Service,
    id: ShapeId,
    name: &str,
    place: &Wire,
    value: &Value,
    kind: Body,
) -> Result<(Vec<u8>, Option<&'static str>), WireError> {
    Ok(match kind {
        Body::Json => (json::written(service, id, place, value)?.to_string().into_bytes(), Some("application/json")),
        Body::Xml => {
            let mut text = String::new();
            xml::write(service, id, name, place, value, &mut text)?;
            (text.into_bytes(), None)
        }
    })
}

/// An answer.
pub(super) fn decode(
    service: &Service,
    operation: &Operation,
    answer: &Answer,
    kind: Body,
) -> Result<Value, WireError> {
    let Some(id) = operation.output else { return Ok(Value::Object(Map::new())) };
    let structure = structure_of(service, id)?;
    let payload = structure.payload.as_deref().and_then(|name| structure.member(name));
    let mut found = match payload {
        Some(member) => Map::from_iter(payload_of(service, member, answer, kind)?),
        None => match kind {
            Body::Json => match json::read(service, id, &json::parse(answer)?) {
                Value::Object(members) => members,
                _ => return Err(WireError::Answer("its body is no object".to_owned())),
            },
            Body::Xml if answer.body.is_empty() => Map::new(),
            Body::Xml => xml::members(service, structure, xml::parse(answer.text()?)?.root_element())?,
        },
    };
    for member in &structure.members {
        let name = wire_name(service, member).to_ascii_lowercase();
        let value = match member.wire.location.as_deref() {
            Some("header") => {
                let shape = service.shape(member.shape);
                answer.header(&name).map(|text| from_header(text, shape)).transpose()?
            }
            Some("headers") => {
                let entries = answer.headers.iter().filter_map(|(header, value)| {
                    Some((header.strip_prefix(&*name)?.to_owned(), Value::String(value.clone())))
                });
                Some(Value::Object(entries.collect()))
            }
            Some("statusCode") => Some(answer.status.into()),
            _ => continue,
        };
        match value {
            Some(value) => found.insert(member.name.to_string(), value),
            None => found.remove(&*member.name),
        };
    }
    Ok(Value::Object(found))
}

/// A header's value; a moment in AWS's other form, because `Tue, 03 Nov 2026 08:00:00 GMT` is none of the API's.
fn from_header(text: &str, shape: &Shape) -> Result<Value, WireError> {
    match &shape.kind {
        Kind::Timestamp => Ok(moment_of_header(text).into()),
        _ => from_text(text, shape),
    }
}

/// The member that is the whole body.
fn payload_of(
    service: &Service,
    member: &Member,
    answer: &Answer,
    kind: Body,
) -> Result<Option<(String, Value)>, WireError> {
    let value = match (&service.shape(member.shape).kind, kind) {
        (Kind::Blob(_), _) => STANDARD.encode(&answer.body).into(),
        (Kind::String(_), _) => answer.text()?.into(),
        _ if answer.body.is_empty() => return Ok(None),
        (_, Body::Json) => json::read(service, member.shape, &json::parse(answer)?),
        (_, Body::Xml) => xml::read(service, member.shape, &member.wire, xml::parse(answer.text()?)?.root_element())?,
    };
    Ok(Some((member.name.to_string(), value)))
}

//! XML answers: the query protocols', and the bodies of REST services that write XML.

use belay_schemas::aws::{Kind, List, MapShape, Operation, Service, ShapeId, Structure, Wire};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

use super::scalar::{Moment, from_text, text as scalar_text};
use super::{Answer, WireError, wire_name};

/// The answer of a service that speaks a query protocol.
pub(super) fn decode(service: &Service, operation: &Operation, answer: &Answer) -> Result<Value, WireError> {
    let Some(shape) = operation.output else { return Ok(Value::Object(Map::new())) };
    let text = answer.text()?;
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let document = parse(text)?;
    let root = document.root_element();
    let body = match operation.result_wrapper.as_deref() {
        Some(wrapper) => child(root, wrapper)
            .ok_or_else(|| WireError::Answer(format!("<{}> lacks <{wrapper}>", root.tag_name().name())))?,
        None => root,
    };
    read(service, shape, &Wire::default(), body)
}

/// A whole document; nothing outside of it is ever fetched.
pub(super) fn parse(text: &str) -> Result<Document<'_>, WireError> {
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| WireError::Answer(error.to_string()))
}

/// The first child element of that name, in whatever namespace.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn children<'a, 'i: 'a, 'n>(node: Node<'a, 'i>, name: &'n str) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i, 'n> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The id of the request, where an XML body tells it.
pub(super) fn request_id(body: &[u8]) -> Option<String> {
    let document = parse(std::str::from_utf8(body).ok()?).ok()?;
    let named = |node: &Node<'_, '_>| matches!(node.tag_name().name(), "RequestId" | "RequestID" | "requestId");
    document.descendants().find(named).and_then(|node| node.text()).map(str::to_owned)
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default()
}

/// What the shape knows of an element.
pub(super) fn read(service: &Service, id: ShapeId, place: &Wire, node: Node<'_, '_>) -> Result<Value, WireError> {
    let shape = service.shape(id);
    match &shape.kind {
        Kind::Structure(structure) => Ok(Value::Object(members(service, structure, node)?)),
        Kind::List(list) if place.flattened || shape.wire.flattened => {
            Ok(Value::Array(vec![read(service, list.item, &Wire::default(), node)?]))
        }
        Kind::List(list) => items(service, list, children(node, list.item_name.as_deref().unwrap_or("member"))),
        Kind::Map(map) if place.flattened || shape.wire.flattened => entries(service, map, std::iter::once(node)),
        Kind::Map(map) => entries(service, map, children(node, "entry")),
        _ => from_text(text(node), shape),
    }
}

fn items<'a, 'i: 'a>(
    service: &Service,
    list: &List,
    nodes: impl Iterator<Item = Node<'a, 'i>>,
) -> Result<Value, WireError> {
    nodes.map(|node| read(service, list.item, &Wire::default(), node)).collect::<Result<_, _>>().map(Value::Array)
}

fn entries<'a, 'i: 'a>(
    service: &Service,
    map: &MapShape,
    nodes: impl Iterator<Item = Node<'a, 'i>>,
) -> Result<Value, WireError> {
    let mut found = Map::new();
    for node in nodes {
        let part = |name: Option<&str>, usual| child(node, name.unwrap_or(usual));
        if let (Some(key), Some(value)) =
            (part(map.key_name.as_deref(), "key"), part(map.value_name.as_deref(), "value"))
        {
            found.insert(text(key).to_owned(), read(service, map.value, &Wire::default(), value)?);
        }
    }
    Ok(Value::Object(found))
}

/// The members that an element holds. One that is not there is left out, and so is an empty answer's.
pub(super) fn members(
    service: &Service,
    structure: &Structure,
    node: Node<'_, '_>,
) -> Result<Map<String, Value>, WireError> {
    let mut found = Map::new();
    for member in structure.members.iter().filter(|member| member.wire.location.is_none()) {
        let shape = service.shape(member.shape);
        let flattened = member.wire.flattened || shape.wire.flattened;
        let name = wire_name(service, member);
        let value = match &shape.kind {
            _ if member.wire.attribute => {
                let local = name.rsplit(':').next().unwrap_or(name);
                let attribute = node.attributes().find(|attribute| attribute.name() == local);
                attribute.map(|attribute| from_text(attribute.value(), shape)).transpose()?
            }
            Kind::List(list) if flattened => {
                let mut nodes = children(node, list.item_name.as_deref().unwrap_or(name)).peekable();
                nodes.peek().is_some().then(|| items(service, list, nodes)).transpose()?
            }
            Kind::Map(map) if flattened => {
                let mut nodes = children(node, name).peekable();
                nodes.peek().is_some().then(|| entries(service, map, nodes)).transpose()?
            }
            _ => child(node, name).map(|child| read(service, member.shape, &member.wire, child)).transpose()?,
        };
        if let Some(value) = value {
            found.insert(member.name.to_string(), value);
        }
    }
    Ok(found)
}

/// Writes an element, or for a flattened list or map as many as it has entries.
pub(super) fn write(
    service: &Service,
    id: ShapeId,
    name: &str,
    place: &Wire,
    value: &Value,
    out: &mut String,
) -> Result<(), WireError> {
    let shape = service.shape(id);
    let flattened = place.flattened || shape.wire.flattened;
    let namespace = place.namespace.as_ref().or(shape.wire.namespace.as_ref()).map(|namespace| {
        let prefix = namespace.prefix.as_ref().map(|prefix| format!(":{prefix}")).unwrap_or_default();
        format!(" xmlns{prefix}=\"{}\"", escaped(&namespace.uri))
    });
    let mut attributes = namespace.unwrap_or_default();
    let mut inner = String::new();
    match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Object(members)) => {
            for (key, value) in members {
                let member =
                    structure.member(key).ok_or_else(|| WireError::Input(format!("there is no member {key}")))?;
                let name = wire_name(service, member);
                if member.wire.attribute {
                    let text = scalar_text(value, &member.wire, service.shape(member.shape), Moment::Iso)?;
                    attributes.push_str(&format!(" {name}=\"{}\"", escaped(&text)));
                } else {
                    write(service, member.shape, name, &member.wire, value, &mut inner)?;
                }
            }
        }
        (Kind::List(list), Value::Array(items)) => {
            let item_name = if flattened { name } else { list.item_name.as_deref().unwrap_or("member") };
            for item in items {
                write(service, list.item, item_name, &Wire::default(), item, &mut inner)?;
            }
            if flattened {
                out.push_str(&inner);
                return Ok(());
            }
        }
        (Kind::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                let mut entry = String::new();
                let (of_key, of_value) =
                    (map.key_name.as_deref().unwrap_or("key"), map.value_name.as_deref().unwrap_or("value"));
                write(service, map.key, of_key, &Wire::default(), &Value::String(key.clone()), &mut entry)?;
                write(service, map.value, of_value, &Wire::default(), value, &mut entry)?;
                let tag = if flattened { name } else { "entry" };
                inner.push_str(&format!("<{tag}>{entry}</{tag}>"));
            }
            if flattened {
                out.push_str(&inner);
                return Ok(());
            }
        }
        _ => inner = escaped(&scalar_text(value, place, shape, Moment::Iso)?),
    }
    out.push_str(&format!("<{name}{attributes}>{inner}</{name}>"));
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\r', "&#13;")
}

#[cfg(test)]
mod tests {
    use belay_schemas::aws;
    use serde_json::json;

    use super::*;

    fn decoded(service: &str, operation: &str, body: &str) -> Result<Value, WireError> {
        let table = aws::service(service).unwrap();
        let answer = Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() };
        decode(table, table.operation(operation).unwrap(), &answer)
    }

    #[test]
    fn what_is_not_said_is_left_out_and_what_is_empty_is_empty() {
        let body = "<DescribeTargetHealthResponse xmlns='http://e/'><DescribeTargetHealthResult>
            <TargetHealthDescriptions><member><Target><Id>i-1</Id><Port>80</Port></Target></member></TargetHealthDescriptions>
            </DescribeTargetHealthResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>
            </DescribeTargetHealthResponse>";
        let found = decoded("elbv2", "DescribeTargetHealth", body).unwrap();
        assert_eq!(found, json!({"TargetHealthDescriptions": [{"Target": {"Id": "i-1", "Port": 80}}]}));
        assert_eq!(request_id(body.as_bytes()).as_deref(), Some("r-1"));
        let body = "<DescribeVpcsResponse><requestId>r</requestId><vpcSet/></DescribeVpcsResponse>";
        assert_eq!(decoded("ec2", "DescribeVpcs", body).unwrap(), json!({"Vpcs": []}));
    }

    #[test]
    fn a_torn_answer_is_an_error() {
        let body = "<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vpcId></item>";
        assert!(matches!(decoded("ec2", "DescribeVpcs", body), Err(WireError::Answer(_))));
        assert!(matches!(decoded("elbv2", "DescribeRules", "<html/>"), Err(WireError::Answer(_))));
    }
}

//! Forms: the query protocol, and EC2's dialect of it.

use belay_schemas::aws::{Kind, List, MapShape, Member, Operation, Service, ShapeId, Structure, Wire};
use serde_json::{Map, Value};

use super::scalar::{Moment, percent, text};
use super::{Request, WireError, wire_name};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `Tags.member.1.Key`, and an empty list is said.
    Query,
    /// `Tag.1.Key`, and an empty list is not.
    Ec2,
}

struct Form<'a> {
    service: &'a Service,
    dialect: Dialect,
    fields: Vec<(String, String)>,
}

/// A call.
pub(super) fn encode(
    service: &Service,
    operation: &Operation,
    members: &Map<String, Value>,
    dialect: Dialect,
) -> Result<Request, WireError> {
    let fields = vec![
        ("Action".to_owned(), operation.name.to_string()),
        ("Version".to_owned(), service.facts.api_version.to_string()),
    ];
    let mut form = Form { service, dialect, fields };
    if let Some(shape) = operation.input {
        form.value("", shape, &Wire::default(), &Value::Object(members.clone()))?;
    }
    let pairs = form.fields.iter().map(|(name, value)| format!("{}={}", percent(name, ""), percent(value, "")));
    Ok(Request {
        method: operation.http.method.to_string(),
        uri: operation.http.request_uri.to_string(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
        body: pairs.collect::<Vec<_>>().join("&").into_bytes(),
    })
}

impl Form<'_> {
    fn value(&mut self, prefix: &str, shape: ShapeId, place: &Wire, value: &Value) -> Result<(), WireError> {
        let shape = self.service.shape(shape);
        match (&shape.kind, value) {
            (Kind::Structure(structure), Value::Object(members)) => self.structure(prefix, structure, members),
            (Kind::List(list), Value::Array(items)) => {
                self.list(prefix, list, place.flattened || shape.wire.flattened, items)
            }
            (Kind::Map(map), Value::Object(entries)) => {
                self.map(prefix, map, place.flattened || shape.wire.flattened, entries)
            }
            _ => {
                let value = text(value, place, shape, Moment::Iso)?;
                self.fields.push((prefix.to_owned(), value));
                Ok(())
            }
        }
    }

    fn structure(
        &mut self,
        prefix: &str,
        structure: &Structure,
        members: &Map<String, Value>,
    ) -> Result<(), WireError> {
        for (name, value) in members {
            let member =
                structure.member(name).ok_or_else(|| WireError::Input(format!("there is no member {name}")))?;
            let name = self.name(member);
            let full = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            self.value(&full, member.shape, &member.wire, value)?;
        }
        Ok(())
    }

    fn name(&self, member: &Member) -> String {
        match self.dialect {
            Dialect::Query => wire_name(self.service, member).to_owned(),
            Dialect::Ec2 => {
                let shape = self.service.shape(member.shape);
                match (&member.wire.query_name, member.wire.name.as_ref().or(shape.wire.name.as_ref())) {
                    (Some(name), _) => name.to_string(),
                    (None, Some(name)) => capitalised(name),
                    (None, None) => member.name.to_string(),
                }
            }
        }
    }

    fn list(&mut self, prefix: &str, list: &List, flattened: bool, items: &[Value]) -> Result<(), WireError> {
        if items.is_empty() {
            if self.dialect == Dialect::Query {
                self.fields.push((prefix.to_owned(), String::new()));
            }
            return Ok(());
        }
        let prefix = match (self.dialect, flattened, &list.item_name) {
            (Dialect::Ec2, ..) => prefix.to_owned(),
            // The items' own name takes the place of the list's.
            (Dialect::Query, true, Some(name)) => {
                let parent = prefix.rsplit_once('.').map(|(parent, _)| format!("{parent}.")).unwrap_or_default();
                format!("{parent}{name}")
            }
            (Dialect::Query, true, None) => prefix.to_owned(),
            (Dialect::Query, false, name) => format!("{prefix}.{}", name.as_deref().unwrap_or("member")),
        };
        for (number, item) in (1..).zip(items) {
            self.value(&format!("{prefix}.{number}"), list.item, &Wire::default(), item)?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        prefix: &str,
        map: &MapShape,
        flattened: bool,
        entries: &Map<String, Value>,
    ) -> Result<(), WireError> {
        let prefix = if flattened { prefix.to_owned() } else { format!("{prefix}.entry") };
        let (key_name, value_name) =
            (map.key_name.as_deref().unwrap_or("key"), map.value_name.as_deref().unwrap_or("value"));
        for (number, (key, value)) in (1..).zip(entries) {
            self.fields.push((format!("{prefix}.{number}.{key_name}"), key.clone()));
            self.value(&format!("{prefix}.{number}.{value_name}"), map.value, &Wire::default(), value)?;
        }
        Ok(())
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

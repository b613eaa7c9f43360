//! Inputs made from the shapes: with every member, with nothing, with what is required.

use belay_schemas::aws::{Kind, Operation, Service, ShapeId, Structure};
use serde_json::{Map, Value, json};

/// How often a shape may hold itself.
const DEEPEST: usize = 3;

/// Which values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every member, lists and maps of two entries, the n-th branch of every union.
    Full(usize),
    /// Every member of the input, lists and maps empty.
    Empty,
    /// Only what is required.
    Required,
}

/// All inputs of an operation that the matrix holds.
pub fn inputs(service: &Service, operation: &Operation) -> Vec<(Style, Value)> {
    let Some(shape) = operation.input else { return vec![(Style::Required, json!({}))] };
    let branches = widest(service, shape, &mut Vec::new());
    let mut styles: Vec<Style> = (0..branches).map(Style::Full).collect();
    styles.extend([Style::Empty, Style::Required]);
    let filled = |style| (style, Fill { service, style, number: 0 }.value(shape, &mut Vec::new()).unwrap_or_default());
    styles.into_iter().map(filled).collect()
}

/// A value of a shape, with every member.
pub fn full(service: &Service, shape: ShapeId) -> Value {
    Fill { service, style: Style::Full(0), number: 0 }.value(shape, &mut Vec::new()).unwrap_or_default()
}

/// The most branches that a union has, here or below.
fn widest(service: &Service, id: ShapeId, seen: &mut Vec<ShapeId>) -> usize {
    if seen.contains(&id) {
        return 1;
    }
    seen.push(id);
    match &service.shape(id).kind {
        Kind::Structure(structure) => {
            let below = structure.members.iter().map(|member| widest(service, member.shape, seen)).max().unwrap_or(1);
            if structure.union { below.max(structure.members.len()) } else { below }
        }
        Kind::List(list) => widest(service, list.item, seen),
        Kind::Map(map) => widest(service, map.value, seen),
        _ => 1,
    }
}

struct Fill<'a> {
    service: &'a Service,
    style: Style,
    /// Makes every scalar another one.
    number: u64,
}

impl Fill<'_> {
    /// `None` where the shape would hold itself for ever.
    fn value(&mut self, id: ShapeId, open: &mut Vec<ShapeId>) -> Option<Value> {
        if open.iter().filter(|other| **other == id).count() >= DEEPEST {
            return None;
        }
        open.push(id);
        self.number += 1;
        let number = self.number;
        let value = match &self.service.shape(id).kind {
            Kind::Structure(structure) => Some(self.structure(structure, open)),
            Kind::List(list) => {
                let items = (0..self.count()).filter_map(|_| self.value(list.item, open));
                Some(Value::Array(items.collect()))
            }
            Kind::Map(map) => {
                let keys = (0..self.count()).map(|entry| format!("key & {entry}"));
                Some(Value::Object(keys.filter_map(|key| Some((key, self.value(map.value, open)?))).collect()))
            }
            Kind::String(text) if !text.values.is_empty() => {
                let at = usize::try_from(number).unwrap_or_default() % text.values.len();
                Some(text.values[at].to_string().into())
            }
            Kind::String(_) => Some(format!("a b/ü+&=%,<{number}>").into()),
            Kind::Integer(_) | Kind::Long(_) => Some(number.into()),
            Kind::Float(_) | Kind::Double(_) => Some(json!(number as f64 + 0.5)),
            Kind::Boolean => Some((number.is_multiple_of(2)).into()),
            Kind::Timestamp if number.is_multiple_of(2) => Some((1_762_156_800 + number).into()),
            Kind::Timestamp => Some("2025-11-03T08:00:00Z".into()),
            Kind::Blob(_) => Some("Ynl0ZXMg/w==".into()),
            Kind::Document => Some(json!({"any": ["thing", number, null]})),
        };
        open.pop();
        value
    }

    fn count(&self) -> usize {
        if self.style == Style::Empty { 0 } else { 2 }
    }

    fn structure(&mut self, structure: &Structure, open: &mut Vec<ShapeId>) -> Value {
        let branch = match self.style {
            Style::Full(branch) => branch,
            _ => 0,
        };
        let root = open.len() == 1;
        let mut members = Map::new();
        for (at, member) in structure.members.iter().enumerate() {
            let wanted = match self.style {
                _ if structure.union => at == branch % structure.members.len(),
                Style::Full(_) => true,
                Style::Empty => root || member.required,
                Style::Required => member.required,
            };
            let Some(mut value) = self.value(member.shape, open).filter(|_| wanted) else { continue };
            if member.wire.location.as_deref() == Some("header") && value.as_str().is_some_and(|text| !text.is_ascii())
            {
                // A header is ASCII.
                value = format!("header, \"{}\"", self.number).into();
            }
            members.insert(member.name.to_string(), value);
        }
        Value::Object(members)
    }
}

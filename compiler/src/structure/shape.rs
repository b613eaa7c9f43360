//! What a schema says about a value that matters before it is validated: which scalars are taken as text, which keys are
//! declared, which types are wanted.

use std::collections::HashMap;

use belay_schemas::model::TEXT_KEYWORD;
use serde_json::Value as Json;

/// All shapes of a schema.
pub(super) struct Shapes(Vec<Shape>);

/// Index of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeId(usize);

/// One value's shape.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Numbers and booleans are taken as they were written.
    pub(super) text: bool,
    pub(super) wants: Wants,
    pub(super) properties: HashMap<String, ShapeId>,
    pub(super) additional: Option<ShapeId>,
    pub(super) items: Option<ShapeId>,
}

/// The scalar types that a schema allows; all of them when it names none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) string: bool,
    pub(super) integer: bool,
    pub(super) number: bool,
    pub(super) boolean: bool,
}

/// The shape of what no schema describes.
pub(super) const FREE: ShapeId = ShapeId(0);
pub(super) const ROOT: ShapeId = ShapeId(1);

impl Shapes {
    pub(super) fn new(schema: &Json) -> Self {
        let free =
            Shape { wants: Wants { string: true, integer: true, number: true, boolean: true }, ..Shape::default() };
        let mut shapes = Self(vec![free, Shape::default()]);
        let mut known = HashMap::from([(String::from("#"), ROOT)]);
        let root = shapes.read(schema, schema, &mut known);
        shapes.0[ROOT.0] = root;
        shapes
    }

    pub(super) fn get(&self, id: ShapeId) -> &Shape {
        &self.0[id.0]
    }

    fn add(&mut self, schema: &Json, root: &Json, known: &mut HashMap<String, ShapeId>) -> ShapeId {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            if let Some(id) = known.get(reference) {
                return *id;
            }
            let Some(target) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
                return FREE;
            };
            let id = ShapeId(self.0.len());
            self.0.push(Shape::default());
            known.insert(reference.to_owned(), id);
            let shape = self.read(target, root, known);
            self.0[id.0] = shape;
            return id;
        }
        if !schema.is_object() {
            return FREE;
        }
        let shape = self.read(schema, root, known);
        self.0.push(shape);
        ShapeId(self.0.len() - 1)
    }

    fn read(&mut self, schema: &Json, root: &Json, known: &mut HashMap<String, ShapeId>) -> Shape {
        let types: Vec<&str> = match schema.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
            _ => vec!["string", "integer", "number", "boolean"],
        };
        let wants = Wants {
            string: types.contains(&"string"),
            integer: types.contains(&"integer"),
            number: types.contains(&"number"),
            boolean: types.contains(&"boolean"),
        };
        let mut properties = HashMap::new();
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            properties.insert(name.clone(), self.add(property, root, known));
        }
        let additional = schema.get("additionalProperties").map(|s| self.add(s, root, known));
        let items = schema.get("items").map(|s| self.add(s, root, known));
        Shape { text: schema.get(TEXT_KEYWORD) == Some(&Json::Bool(true)), wants, properties, additional, items }
    }
}

impl Shape {
    /// The shape of a member.
    pub(super) fn member(&self, key: &str) -> ShapeId {
        self.properties.get(key).copied().or(self.additional).unwrap_or(FREE)
    }
}

//! Reads a `schemas/aws/SERVICE.json` into the shape table.
//!
//! Invariant: what the table has no place for is an error, so that a keyword which `derive.py` writes is never ignored.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::shapes::{
    Http, Kind, List, MapShape, Member, Namespace, Operation, Pagination, Pattern, Range, Service, ServiceFacts, Shape,
    ShapeId, Structure, Text, Wire,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "$schema")]
    _dialect: String,
    #[serde(rename = "$id")]
    _id: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "x-derived-from")]
    _derived_from: String,
    #[serde(rename = "x-service")]
    service: ServiceFacts,
    #[serde(rename = "x-operations")]
    operations: BTreeMap<Box<str>, RawOperation>,
    #[serde(rename = "$defs")]
    definitions: BTreeMap<Box<str>, RawShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawOperation {
    http: Http,
    readonly: bool,
    input: Option<Reference>,
    output: Option<Reference>,
    errors: Box<[Box<str>]>,
    idempotency_token: Option<Box<str>>,
    pagination: Option<Pagination>,
    #[serde(default, rename = "deprecated")]
    _deprecated: bool,
}

/// A `$ref` with what the place of use adds to the shape.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Reference {
    #[serde(rename = "$ref")]
    target: Box<str>,
    #[serde(default)]
    deprecated: bool,
    #[serde(default, rename = "x-idempotency-token")]
    _token: bool,
    #[serde(default, rename = "x-streaming")]
    streaming: bool,
    #[serde(rename = "x-result-wrapper")]
    result_wrapper: Option<Box<str>>,
    #[serde(rename = "x-location")]
    location: Option<Box<str>>,
    #[serde(rename = "x-location-name")]
    location_name: Option<Box<str>>,
    #[serde(rename = "x-query-name")]
    query_name: Option<Box<str>>,
    #[serde(default, rename = "x-flattened")]
    flattened: bool,
    #[serde(rename = "x-timestamp-format")]
    timestamp_format: Option<Box<str>>,
    #[serde(rename = "x-xml-namespace")]
    namespace: Option<Namespace>,
    #[serde(default, rename = "x-xml-attribute")]
    attribute: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TypeName {
    One(Box<str>),
    /// `["number", "string"]`: a timestamp.
    Several(Box<[Box<str>]>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Additional {
    Closed(bool),
    Values(Reference),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawShape {
    #[serde(rename = "type")]
    kind: Option<TypeName>,
    #[serde(rename = "x-type")]
    exact_kind: Option<Box<str>>,
    properties: Option<BTreeMap<Box<str>, Reference>>,
    #[serde(default)]
    required: Vec<Box<str>>,
    additional_properties: Option<Additional>,
    property_names: Option<Reference>,
    items: Option<Reference>,
    #[serde(default, rename = "enum")]
    values: Vec<Box<str>>,
    pattern: Option<Box<str>>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    minimum: Option<serde_json::Number>,
    maximum: Option<serde_json::Number>,
    #[serde(rename = "x-min-bytes")]
    min_bytes: Option<u64>,
    #[serde(rename = "x-max-bytes")]
    max_bytes: Option<u64>,
    #[serde(rename = "contentEncoding")]
    _encoding: Option<Box<str>>,
    #[serde(default, rename = "x-union")]
    union: bool,
    #[serde(default, rename = "x-sensitive")]
    sensitive: bool,
    #[serde(default, rename = "deprecated")]
    _deprecated: bool,
    #[serde(default, rename = "x-streaming")]
    streaming: bool,
    #[serde(rename = "x-payload")]
    payload: Option<Box<str>>,
    #[serde(rename = "x-list-member-name")]
    item_name: Option<Box<str>>,
    #[serde(rename = "x-map-key-name")]
    key_name: Option<Box<str>>,
    #[serde(rename = "x-map-value-name")]
    value_name: Option<Box<str>>,
    #[serde(rename = "x-location-name")]
    location_name: Option<Box<str>>,
    #[serde(default, rename = "x-flattened")]
    flattened: bool,
    #[serde(rename = "x-timestamp-format")]
    timestamp_format: Option<Box<str>>,
    #[serde(rename = "x-xml-namespace")]
    namespace: Option<Namespace>,
}

/// Indices of the shapes, by name.
struct Names(Vec<Box<str>>);

impl Names {
    fn id(&self, reference: &Reference) -> Result<ShapeId, String> {
        let name = reference.target.strip_prefix("#/$defs/").unwrap_or_default();
        let index = self.0.binary_search_by(|known| (**known).cmp(name));
        let index = index.ok().and_then(|index| u32::try_from(index).ok());
        index.map(ShapeId).ok_or_else(|| format!("{} leads nowhere", reference.target))
    }

    fn maybe(&self, reference: Option<&Reference>) -> Result<Option<ShapeId>, String> {
        reference.map(|reference| self.id(reference)).transpose()
    }
}

impl Reference {
    fn wire(self) -> Wire {
        Wire {
            location: self.location,
            name: self.location_name,
            query_name: self.query_name,
            flattened: self.flattened,
            timestamp_format: self.timestamp_format,
            namespace: self.namespace,
            attribute: self.attribute,
            streaming: self.streaming,
        }
    }
}

/// Builds the table from the text of a service's file.
pub(super) fn parse(service: &'static str, text: &str) -> Result<Service, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if &*document.service.name != service {
        return Err(format!("the file describes {}", document.service.name));
    }
    let names = Names(document.definitions.keys().cloned().collect());
    let shapes = document.definitions.into_iter();
    let shapes = shapes.map(|(name, raw)| shape(&names, name, raw)).collect::<Result<_, String>>()?;
    let operations = document.operations.into_iter();
    let operations =
        operations.map(|(name, raw)| operation(&names, service, name, raw)).collect::<Result<_, String>>()?;
    Ok(Service { facts: document.service, operations, shapes })
}

fn operation(names: &Names, service: &'static str, name: Box<str>, raw: RawOperation) -> Result<Operation, String> {
    Ok(Operation {
        service,
        name,
        readonly: raw.readonly,
        errors: raw.errors,
        token: raw.idempotency_token,
        pagination: raw.pagination,
        http: raw.http,
        input: names.maybe(raw.input.as_ref())?,
        output: names.maybe(raw.output.as_ref())?,
        input_wire: raw.input.map(Reference::wire).unwrap_or_default(),
        result_wrapper: raw.output.and_then(|output| output.result_wrapper),
    })
}

fn shape(names: &Names, name: Box<str>, mut raw: RawShape) -> Result<Shape, String> {
    let wire = Wire {
        name: raw.location_name.take(),
        flattened: raw.flattened,
        timestamp_format: raw.timestamp_format.take(),
        namespace: raw.namespace.take(),
        streaming: raw.streaming,
        ..Wire::default()
    };
    let sensitive = raw.sensitive;
    let kind = kind(names, raw).map_err(|reason| format!("{name}: {reason}"))?;
    Ok(Shape { name, sensitive, wire, kind })
}

fn kind(names: &Names, raw: RawShape) -> Result<Kind, String> {
    let broad = match &raw.kind {
        Some(TypeName::One(kind)) => kind,
        Some(TypeName::Several(kinds)) => kinds.first().ok_or("an empty type")?,
        None => "",
    };
    let exact = raw.exact_kind.as_deref().unwrap_or(broad).to_owned();
    Ok(match exact.as_str() {
        "object" => Kind::Structure(structure(names, raw)?),
        "array" => Kind::List(List {
            item: names.maybe(raw.items.as_ref())?.ok_or("an array without items")?,
            item_name: raw.item_name,
            length: Range { min: raw.min_items, max: raw.max_items },
        }),
        "map" => {
            let Some(Additional::Values(value)) = &raw.additional_properties else {
                return Err("a map without values".into());
            };
            Kind::Map(MapShape {
                key: names.maybe(raw.property_names.as_ref())?.ok_or("a map without keys")?,
                value: names.id(value)?,
                key_name: raw.key_name,
                value_name: raw.value_name,
                length: Range { min: raw.min_properties, max: raw.max_properties },
            })
        }
        "string" => {
            let mut values = raw.values;
            values.sort_unstable();
            Kind::String(Text {
                values: values.into(),
                length: Range { min: raw.min_length, max: raw.max_length },
                pattern: raw.pattern.map(Pattern::new),
            })
        }
        "integer" => Kind::Integer(whole(&raw)?),
        "long" => Kind::Long(whole(&raw)?),
        "float" => Kind::Float(real(&raw)),
        "double" => Kind::Double(real(&raw)),
        "boolean" => Kind::Boolean,
        "timestamp" => Kind::Timestamp,
        "blob" => Kind::Blob(Range { min: raw.min_bytes, max: raw.max_bytes }),
        "document" => Kind::Document,
        other => return Err(format!("unknown type `{other}`")),
    })
}

fn structure(names: &Names, raw: RawShape) -> Result<Structure, String> {
    if let Some(Additional::Closed(true)) = raw.additional_properties {
        return Err("an open structure".into());
    }
    let properties = raw.properties.ok_or("a structure without members")?;
    if let Some(name) = raw.required.iter().find(|name| !properties.contains_key(*name)) {
        return Err(format!("requires `{name}`, which it does not have"));
    }
    let required = raw.required;
    let member = |(name, reference): (Box<str>, Reference)| {
        Ok(Member {
            shape: names.id(&reference)?,
            required: required.contains(&name),
            deprecated: reference.deprecated,
            name,
            wire: reference.wire(),
        })
    };
    let members = properties.into_iter().map(member).collect::<Result<_, String>>()?;
    Ok(Structure { members, union: raw.union, payload: raw.payload })
}

fn whole(raw: &RawShape) -> Result<Range<i64>, String> {
    let bound = |number: &Option<serde_json::Number>| match number {
        None => Ok(None),
        Some(number) => number.as_i64().map(Some).ok_or_else(|| format!("{number} is no bound for a whole number")),
    };
    Ok(Range { min: bound(&raw.minimum)?, max: bound(&raw.maximum)? })
}

fn real(raw: &RawShape) -> Range<f64> {
    let bound = |number: &Option<serde_json::Number>| number.as_ref().and_then(serde_json::Number::as_f64);
    Range { min: bound(&raw.minimum), max: bound(&raw.maximum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(definitions: &str) -> Result<Service, String> {
        let service = r#"{"name": "t", "apiVersion": "1", "endpointPrefix": "t", "protocol": "json", "serviceId": "T",
                          "signatureVersion": "v4", "signingName": "t"}"#;
        let text = format!(
            r#"{{"$schema": "s", "$id": "i", "title": "T", "x-derived-from": "d", "x-operations": {{}},
                 "x-service": {service}, "$defs": {definitions}}}"#
        );
        parse("t", &text)
    }

    #[test]
    fn shapes_may_hold_themselves() {
        let table = parsed(
            r##"{"Tree": {"type": "object", "properties": {"kids": {"$ref": "#/$defs/Trees"}}},
                 "Trees": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}"##,
        );
        let table = table.unwrap();
        let Kind::Structure(tree) = &table.shapes()[0].kind else { panic!() };
        let Kind::List(trees) = &table.shape(tree.member("kids").unwrap().shape).kind else { panic!() };
        assert_eq!(&*table.shape(trees.item).name, "Tree");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let reason = |definitions: &str| parsed(definitions).unwrap_err();
        assert!(reason(r#"{"A": {"type": "string", "x-new": 1}}"#).contains("x-new"));
        assert!(reason(r#"{"A": {"type": "null"}}"#).contains("unknown type"));
        assert!(reason(r##"{"A": {"type": "array", "items": {"$ref": "#/$defs/B"}}}"##).contains("leads nowhere"));
        assert!(reason(r#"{"A": {"type": "object", "properties": {}, "required": ["b"]}}"#).contains("`b`"));
        assert!(reason(r#"{"A": {"type": "integer", "maximum": 1.5}}"#).contains("no bound"));
        assert!(parse("t", "{").is_err());
    }
}

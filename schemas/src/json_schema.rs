//! The JSON Schemas (draft 2020-12) of every file: what `belayc schema` prints, what editors and the compiler use.
//!
//! Invariants: built from the types alone; in the schemas of the two inputs no `anyOf` or `oneOf` is left, so that a
//! violation deep inside is reported where it is and not as "none of the alternatives".

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::journal::Line;
use crate::model::Model;
use crate::observed::Observed;
use crate::plan::{Plan, pretty};
use crate::rehearsal::Rehearsal;
use crate::scope::Scope;

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What an application is.
    Model,
    /// Where it runs.
    Environment,
    /// What must be observed.
    Scope,
    /// What was observed.
    Observed,
    /// What runs.
    Plan,
    /// What a run did; the schema is of one line.
    Journal,
    /// What rehearsing a plan showed.
    Rehearsal,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Model, Self::Environment, Self::Scope, Self::Observed, Self::Plan, Self::Journal, Self::Rehearsal];

    /// The word for it: `model`, `plan`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Environment => "environment",
            Self::Scope => "scope",
            Self::Observed => "observed",
            Self::Plan => "plan",
            Self::Journal => "journal",
            Self::Rehearsal => "rehearsal",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The schema of a kind of file as it is written, as committed: sorted, pretty, one newline at the end. In the two
/// inputs a substitution may stand wherever a value is wanted.
pub fn document(kind: Kind) -> String {
    let mut schema = match kind {
        Kind::Model | Kind::Environment => {
            let mut schema = input(kind);
            allow_substitution(&mut schema);
            schema
        }
        Kind::Scope => generate::<Scope>(false),
        Kind::Observed => generate::<Observed>(false),
        Kind::Plan => generate::<Plan>(false),
        Kind::Journal => generate::<Line>(false),
        Kind::Rehearsal => generate::<Rehearsal>(false),
    };
    if let Value::Object(map) = &mut schema {
        map.insert("title".into(), format!("Belay {}", kind.name()).into());
    }
    pretty(&schema)
}

/// The schema that an input has to meet after substitution. For the kinds that know no substitution it is [`document`]'s.
pub fn input(kind: Kind) -> Value {
    match kind {
        Kind::Model => generate::<Model>(true),
        Kind::Environment => generate::<Environment>(true),
        Kind::Scope => generate::<Scope>(false),
        Kind::Observed => generate::<Observed>(false),
        Kind::Plan => generate::<Plan>(false),
        Kind::Journal => generate::<Line>(false),
        Kind::Rehearsal => generate::<Rehearsal>(false),
    }
}

fn generate<T: JsonSchema>(flat: bool) -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    if flat {
        let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        Flatten { definitions }.transform(&mut schema);
    }
    schema.to_value()
}

/// Takes `anyOf` and `oneOf` away: an optional member is a member that may be left out, a choice of constants is an `enum`.
struct Flatten {
    definitions: Map<String, Value>,
}

impl Transform for Flatten {
    fn transform(&mut self, schema: &mut Schema) {
        let Some(map) = schema.as_object_mut() else { return };
        constants_to_enum(map);
        bound_integers(map);
        for name in ["properties", "additionalProperties"] {
            match map.get_mut(name) {
                // A declared key without a value counts as not written, so that null never gets here.
                Some(Value::Object(members)) if name == "properties" => {
                    members.values_mut().filter_map(Value::as_object_mut).for_each(without_null);
                }
                Some(Value::Object(members)) => self.null_inside(members),
                _ => {}
            }
        }
        transform_subschemas(self, schema);
    }
}

impl Flatten {
    /// `anyOf: [T, null]` becomes T's schema with `null` among its types.
    fn null_inside(&self, schema: &mut Map<String, Value>) {
        let Some(alternative) = nullable(schema) else { return };
        let reference = alternative.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
        let mut inner = match reference.and_then(|name| self.definitions.get(name)) {
            Some(Value::Object(definition)) => definition.clone(),
            _ => alternative,
        };
        match inner.get_mut("type") {
            Some(Value::Array(types)) => types.push("null".into()),
            Some(one) => *one = json!([one.clone(), "null"]),
            None => {}
        }
        if let Some(Value::Array(options)) = inner.get_mut("enum") {
            options.push(Value::Null);
        }
        schema.remove("anyOf");
        for (key, value) in inner {
            schema.entry(key).or_insert(value);
        }
    }
}

/// The alternative that is not null, when there are exactly these two.
fn nullable(schema: &Map<String, Value>) -> Option<Map<String, Value>> {
    let [one, two] = schema.get("anyOf")?.as_array()?.as_slice() else { return None };
    let is_null = |v: &Value| v.get("type") == Some(&Value::String("null".into()));
    match (is_null(one), is_null(two)) {
        (false, true) => one.as_object().cloned(),
        (true, false) => two.as_object().cloned(),
        _ => None,
    }
}

fn without_null(schema: &mut Map<String, Value>) {
    if let Some(alternative) = nullable(schema) {
        schema.remove("anyOf");
        for (key, value) in alternative {
            schema.entry(key).or_insert(value);
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|t| t != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
}

/// `oneOf` of described constants becomes an `enum`; the descriptions go into the type's own.
fn constants_to_enum(schema: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = schema.get("oneOf") else { return };
    let constants: Option<Vec<Value>> = alternatives.iter().map(|a| a.get("const").cloned()).collect();
    let Some(constants) = constants else { return };
    let mut description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    for alternative in alternatives {
        if let (Some(Value::String(name)), Some(Value::String(words))) =
            (alternative.get("const"), alternative.get("description"))
        {
            description.push_str(&format!("\n- `{name}`: {words}"));
        }
    }
    schema.remove("oneOf");
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), constants.into());
    schema.insert("description".into(), description.into());
}

/// What the Rust type holds at most, so that a number too large is told like any other.
fn bound_integers(schema: &mut Map<String, Value>) {
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint16") => u64::from(u16::MAX),
        Some("uint32") => u64::from(u32::MAX),
        _ => return,
    };
    schema.entry("maximum").or_insert(most.into());
}

/// Lets `${…}` stand wherever a number, a boolean, one of several words or a text of a certain form is wanted, and
/// nothing at all where a key is declared.
fn allow_substitution(schema: &mut Value) {
    const SUBSTITUTION: &str = r"\$\{";
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(allow_substitution);
            let Some(types) = map.get("type") else { return };
            let mut types: Vec<Value> = types.as_array().cloned().unwrap_or_else(|| vec![types.clone()]);
            let has = |types: &[Value], name: &str| types.iter().any(|t| t == name);
            if has(&types, "object") && map.contains_key("properties") && !has(&types, "string") {
                return;
            }
            let scalar = ["integer", "number", "boolean", "array"].iter().any(|name| has(&types, name));
            if scalar && !has(&types, "string") {
                types.push("string".into());
                map.insert("type".into(), types.into());
                map.insert("pattern".into(), SUBSTITUTION.into());
            } else if let Some(Value::String(pattern)) = map.get("pattern") {
                let pattern = format!("(?:{pattern})|{SUBSTITUTION}");
                map.insert("pattern".into(), pattern.into());
            } else if let Some(options) = map.remove("enum") {
                map.remove("type");
                map.insert("anyOf".into(), json!([{"enum": options}, {"type": "string", "pattern": SUBSTITUTION}]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_substitution),
        _ => {}
    }
}

//! Values that a file may write in more than one way.
//!
//! Invariant: their JSON Schemas are flat (`type: [..]`, no `anyOf`), so that an error inside names its real place.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

/// The keyword of [`Text`] schemas: a reader keeps the text of a number or boolean as it was written.
pub const TEXT_KEYWORD: &str = "x-belay-text";

/// A text that may be written as a number or boolean as well (`DEBUG: true`, `VERSION: 1.10`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(value) => Ok(Self(value.to_string())),
            other => Err(D::Error::custom(format!("expected text, a number or a boolean, not {other}"))),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Text",
            "description": "Text; a number or boolean is taken as it is written.",
            "type": ["string", "number", "boolean"],
            "x-belay-text": true
        })
    }
}

/// A network port: a number, a string, `"n/tcp"`, `"n/udp"`, or `""` for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// 1–65535; absent when the port was written as `""`.
    pub number: Option<u16>,
    /// TCP unless said otherwise.
    pub protocol: Protocol,
}

/// Transport protocols of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Port {
    /// Reads `8080`, `8080/tcp`, `53/udp` or the empty string.
    ///
    /// # Errors
    /// What a port looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => return Err(format!("`{other}` is not a protocol: write `tcp` or `udp`")),
        };
        match number.parse::<u16>() {
            Ok(number) if number > 0 => Ok(Self { number: Some(number), protocol }),
            _ => Err(format!("`{text}` is not a port: write a number from 1 to 65535, such as 8080 or \"53/udp\"")),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.number, self.protocol) {
            (None, _) => Ok(()),
            (Some(number), Protocol::Tcp) => write!(f, "{number}"),
            (Some(number), Protocol::Udp) => write!(f, "{number}/udp"),
        }
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Self::parse(&text).map_err(D::Error::custom),
            Value::Number(number) => Self::parse(&number.to_string()).map_err(D::Error::custom),
            other => Err(D::Error::custom(format!("expected a port, not {other}"))),
        }
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "Port",
            "description": "A port number from 1 to 65535, as a number or a string; \"n/udp\" for UDP.",
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 65535,
            "pattern": "^((6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})(/(tcp|udp))?)?$",
            "examples": [8080, "8080", "53/udp"]
        })
    }
}

/// A list; a single item may stand without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let items = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        let read = items.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
        read.map(Self).map_err(D::Error::custom)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The item's own schema, widened by "or a list of such items": keywords for objects and strings do not touch
        // lists and the other way round, so no `anyOf` is needed.
        let item = T::json_schema(generator);
        let mut schema = item.clone();
        let mut types = match item.get("type") {
            Some(Value::Array(several)) => several.clone(),
            Some(one) => vec![one.clone()],
            None => vec![Value::String("object".into())],
        };
        types.push(Value::String("array".into()));
        schema.insert("type".into(), Value::Array(types));
        schema.insert("items".into(), generator.subschema_for::<T>().to_value());
        schema.insert("minItems".into(), Value::from(1));
        schema
    }
}

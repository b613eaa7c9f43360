//! Virtual time: whole seconds since the Unix epoch, written as RFC 3339 in UTC.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment of virtual time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// When a new world starts: 2026-01-01T00:00:00Z.
    pub const START: Self = Self(1_767_225_600);

    /// That many seconds after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The first whole second that is not before that many milliseconds after the epoch.
    #[must_use]
    pub const fn at_or_after_millis(millis: u64) -> Self {
        Self(millis.div_ceil(1000))
    }

    /// Seconds since the Unix epoch, as AWS's JSON protocol writes times.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0.saturating_mul(1000)
    }

    /// That many seconds later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds that passed since an earlier moment; 0 if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads `YYYY-MM-DDTHH:MM:SSZ`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::time::parse_rfc3339(text).map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::time::rfc3339(self.millis()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a time such as 2026-01-01T00:00:00Z")))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A moment of virtual time: RFC 3339, UTC, whole seconds"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_what_it_writes() {
        assert_eq!(Time::START.to_string(), "2026-01-01T00:00:00Z");
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2028-12-31T12:00:01Z", "2100-03-01T00:00:00Z"] {
            assert_eq!(Time::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z"]
        {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn part_of_a_second_rounds_up() {
        assert_eq!(Time::at_or_after_millis(1001), Time::from_seconds(2));
        assert_eq!(Time::at_or_after_millis(1000), Time::from_seconds(1));
    }
}

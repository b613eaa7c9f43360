//! Single values as the protocols write them.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use belay_schemas::aws::{Kind, Shape, Wire};
use serde_json::{Number, Value};

use super::WireError;

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// `2026-11-03T08:00:00Z`.
    Iso,
    /// `Tue, 03 Nov 2026 08:00:00 GMT`.
    Rfc822,
    /// Seconds since 1970.
    Unix,
}

impl Moment {
    /// The format that the model asks for, at the place of use or at the shape, or the protocol's default.
    pub fn of(place: &Wire, shape: &Shape, default: Self) -> Self {
        match place.timestamp_format.as_deref().or(shape.wire.timestamp_format.as_deref()) {
            Some("iso8601") => Self::Iso,
            Some("rfc822") => Self::Rfc822,
            Some("unixTimestamp") => Self::Unix,
            _ => default,
        }
    }
}

/// Reads a moment as plans write it: seconds, or a date with an optional time and zone; without a zone it is UTC.
fn moment(value: &Value) -> Result<DateTime, WireError> {
    let wrong = || WireError::Input(format!("{value} is no moment"));
    let text = match value {
        Value::Number(number) => return Ok(seconds(number.as_f64().ok_or_else(wrong)?)),
        Value::String(text) => text,
        _ => return Err(wrong()),
    };
    if let Ok(number) = text.parse::<f64>() {
        return Ok(seconds(number));
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00"));
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = zone.to_uppercase();
    DateTime::from_str(&format!("{date}T{clock}{seconds}{zone}"), Format::DateTimeWithOffset).map_err(|_| wrong())
}

fn seconds(number: f64) -> DateTime {
    DateTime::from_secs_f64(number)
}

/// A moment as text.
pub(super) fn moment_text(value: &Value, format: Moment) -> Result<String, WireError> {
    let format = match format {
        Moment::Iso => Format::DateTime,
        Moment::Rfc822 => Format::HttpDate,
        Moment::Unix => Format::EpochSeconds,
    };
    moment(value)?.fmt(format).map_err(|error| WireError::Input(error.to_string()))
}

/// A moment as JSON.
pub(super) fn moment_json(value: &Value, format: Moment) -> Result<Value, WireError> {
    if format != Moment::Unix {
        return moment_text(value, format).map(Value::String);
    }
    let moment = moment(value)?;
    if moment.subsec_nanos() == 0 {
        return Ok(moment.secs().into());
    }
    let number = Number::from_f64(moment.as_secs_f64());
    number.map(Value::Number).ok_or_else(|| WireError::Input(format!("{value} is no moment")))
}

/// A scalar as text, for forms, XML, headers and paths.
pub(super) fn text(value: &Value, place: &Wire, shape: &Shape, default: Moment) -> Result<String, WireError> {
    match (&shape.kind, value) {
        (Kind::Timestamp, _) => moment_text(value, Moment::of(place, shape, default)),
        (_, Value::String(text)) => Ok(text.clone()),
        (_, Value::Bool(flag)) => Ok(flag.to_string()),
        (_, Value::Number(number)) => Ok(number.to_string()),
        _ => Err(WireError::Input(format!("{value} is no {}", shape.name))),
    }
}

/// A scalar from text.
pub(super) fn from_text(text: &str, shape: &Shape) -> Result<Value, WireError> {
    let wrong = || WireError::Answer(format!("`{text}` is no {}", shape.name));
    Ok(match &shape.kind {
        Kind::Boolean => Value::Bool(text.trim() == "true"),
        Kind::Integer(_) | Kind::Long(_) => text.trim().parse::<i64>().map_err(|_| wrong())?.into(),
        Kind::Float(_) | Kind::Double(_) => {
            let number = text.trim().parse::<f64>().map_err(|_| wrong())?;
            Number::from_f64(number).map(Value::Number).ok_or_else(wrong)?
        }
        _ => Value::String(text.to_owned()),
    })
}

/// A header's date as ISO 8601; what is no date is left as it is.
pub(super) fn moment_of_header(text: &str) -> String {
    let moment = DateTime::from_str(text, Format::HttpDate).ok();
    moment.and_then(|moment| moment.fmt(Format::DateTime).ok()).unwrap_or_else(|| text.to_owned())
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`; `keep` names further ones that stay.
pub(super) fn percent(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) || (byte.is_ascii() && keep.contains(letter)) {
            out.push(letter);
        } else {
            out.push('%');
            out.push_str(&crate::hex(&[byte]).to_uppercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_in_every_form() {
        for (value, iso, unix) in [
            (json!(1_762_156_800), "2025-11-03T08:00:00Z", json!(1_762_156_800)),
            (json!(1_762_156_800.25), "2025-11-03T08:00:00.25Z", json!(1_762_156_800.25)),
            (json!("2025-11-03T08:00:00Z"), "2025-11-03T08:00:00Z", json!(1_762_156_800)),
            (json!("2025-11-03T09:00:00+01:00"), "2025-11-03T08:00:00Z", json!(1_762_156_800)),
            (json!("2025-11-03 08:00"), "2025-11-03T08:00:00Z", json!(1_762_156_800)),
            (json!("2025-11-03"), "2025-11-03T00:00:00Z", json!(1_762_128_000)),
            (json!("1762156800"), "2025-11-03T08:00:00Z", json!(1_762_156_800)),
        ] {
            assert_eq!(moment_text(&value, Moment::Iso).unwrap(), iso);
            assert_eq!(moment_json(&value, Moment::Unix).unwrap(), unix);
        }
        assert_eq!(moment_text(&json!(0), Moment::Rfc822).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(moment_text(&json!("soon"), Moment::Iso).is_err());
    }

    #[test]
    fn percent_encoding_keeps_what_it_is_told() {
        assert_eq!(percent("a b/ü~", ""), "a%20b%2F%C3%BC~");
        assert_eq!(percent("a b/c", "/"), "a%20b/c");
    }
}

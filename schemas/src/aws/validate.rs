//! Validates an operation's input or output against its shape.
//!
//! It holds what botocore's `ParamValidator` holds (types, required members, unknown members, minima, unions) and what
//! that one leaves out (enums, maxima, patterns, keys of maps). It is stricter in two places, where botocore's leniency
//! is Python's and not AWS's: a boolean is no number, and a timestamp's text is ISO 8601 or a number.
//!
//! Invariants: all faults are reported at once, in document order; nothing is allocated while there is none.

use std::fmt::Display;

use serde_json::{Number, Value};

use super::fault::{Fault, FaultKind, Path, listed, nearest, shown, suggestion};
use super::shapes::{Kind, MapShape, Range, Service, Shape, ShapeId, Structure, Text};
use crate::late::{Late, is_reserved};

/// Whether late values may stand for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A call as it stands in a plan: late values are accepted where they can fit.
    Plan,
    /// A call as it is made.
    Exact,
}

/// Length and alphabet of a client token, for the bounds of members that take one.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input(Strictness),
    /// Members may be absent or `null`.
    Output,
}

/// Everything that is wrong with an input; empty when it is valid. `null` is taken as no members.
pub fn validate_input(service: &str, operation: &str, input: &Value, mode: Strictness) -> Vec<Fault> {
    validate(service, operation, input, Side::Input(mode))
}

/// Everything that is wrong with an output. Absent members, required or not, are no fault; unknown ones are.
pub fn validate_output(service: &str, operation: &str, output: &Value) -> Vec<Fault> {
    validate(service, operation, output, Side::Output)
}

fn validate(service: &str, operation: &str, value: &Value, side: Side) -> Vec<Fault> {
    let (table, operation) = match super::lookup(service, operation) {
        Ok(found) => found,
        Err(error) => {
            return vec![Fault { path: String::new(), kind: FaultKind::UnknownOperation, message: error.to_string() }];
        }
    };
    let mut check = Check { table, side, faults: Vec::new() };
    let shape = if side == Side::Output { operation.output } else { operation.input };
    match (shape, value) {
        (None, value) => check.nothing(value),
        (Some(shape), Value::Null) => check.value(&Value::Object(serde_json::Map::new()), shape, &Path::Root),
        (Some(shape), value) => check.value(value, shape, &Path::Root),
    }
    check.faults
}

struct Check {
    table: &'static Service,
    side: Side,
    faults: Vec<Fault>,
}

impl Check {
    fn fault(&mut self, at: &Path<'_>, kind: FaultKind, message: impl Into<String>) {
        self.faults.push(Fault { path: at.to_string(), kind, message: message.into() });
    }

    fn wrong_type(&mut self, at: &Path<'_>, expected: &'static str, value: &Value) {
        let found = type_of(value);
        self.fault(at, FaultKind::WrongType { expected, found }, format!("expected {expected}, found {found}"));
    }

    fn nothing(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(map) => {
                for name in map.keys() {
                    let kind = FaultKind::UnknownMember { name: name.clone(), nearest: None };
                    self.fault(&Path::Key(&Path::Root, name), kind, format!("unknown member `{name}`: there are none"));
                }
            }
            other => self.wrong_type(&Path::Root, "an object", other),
        }
    }

    fn value(&mut self, value: &Value, id: ShapeId, at: &Path<'_>) {
        let table = self.table;
        let shape = table.shape(id);
        if let Value::Object(map) = value
            && is_reserved(map)
            && self.late(value, shape, at)
        {
            return;
        }
        match (&shape.kind, value) {
            (Kind::Structure(structure), Value::Object(map)) => self.structure(map, structure, at),
            (Kind::Structure(_), _) => self.wrong_type(at, "an object", value),
            (Kind::List(list), Value::Array(items)) => {
                self.count(items.len(), &list.length, "items", at);
                for (index, item) in items.iter().enumerate() {
                    self.value(item, list.item, &Path::Index(at, index));
                }
            }
            (Kind::List(_), _) => self.wrong_type(at, "a list", value),
            (Kind::Map(of), Value::Object(map)) => self.map(map, of, at),
            (Kind::Map(_), _) => self.wrong_type(at, "an object", value),
            (Kind::String(text), Value::String(value)) => self.text(value, text, shape.sensitive, at),
            (Kind::String(_), _) => self.wrong_type(at, "a string", value),
            (Kind::Integer(range) | Kind::Long(range), Value::Number(number)) => self.whole(number, range, value, at),
            (Kind::Integer(_) | Kind::Long(_), _) => self.wrong_type(at, "a whole number", value),
            (Kind::Float(range) | Kind::Double(range), Value::Number(number)) => {
                if number.as_f64().is_none_or(|value| !range.holds(value)) {
                    self.out_of_range(at, number, "", range);
                }
            }
            (Kind::Float(_) | Kind::Double(_), _) => self.wrong_type(at, "a number", value),
            (Kind::Boolean, Value::Bool(_)) | (Kind::Timestamp, Value::Number(_)) => {}
            (Kind::Boolean, _) => self.wrong_type(at, "a boolean", value),
            (Kind::Timestamp, Value::String(text)) if is_moment(text) => {}
            (Kind::Timestamp, _) => self.wrong_type(at, "a timestamp (seconds since 1970, or ISO 8601)", value),
            (Kind::Blob(range), Value::String(text)) => self.count(decoded_length(text), range, "bytes", at),
            (Kind::Blob(_), _) => self.wrong_type(at, "a string in base64", value),
            (Kind::Document, _) => {
                if self.side == Side::Input(Strictness::Plan)
                    && let Err(error) = Late::each(value, &mut |_| {})
                {
                    self.fault(at, FaultKind::LateMalformed, error.to_string());
                }
            }
        }
    }

    /// Judges an object with a late value's keys; false when it is to be taken as an ordinary object.
    fn late(&mut self, value: &Value, shape: &Shape, at: &Path<'_>) -> bool {
        match self.side {
            Side::Output => return false,
            // A map or a document may have any keys; a plan's literals may not, but that is over once it runs.
            Side::Input(Strictness::Exact) => {
                if matches!(shape.kind, Kind::Map(_) | Kind::Document) {
                    return false;
                }
                self.fault(at, FaultKind::LateUnresolved, "a late value that was not resolved before the call");
                return true;
            }
            Side::Input(Strictness::Plan) => {}
        }
        let number = matches!(shape.kind, Kind::Integer(_) | Kind::Long(_) | Kind::Float(_) | Kind::Double(_));
        match Late::recognise(value) {
            Err(error) => self.fault(at, FaultKind::LateMalformed, error.to_string()),
            // Which member of a union is meant has to be known when the plan is reviewed.
            Ok(Some(_)) if matches!(&shape.kind, Kind::Structure(structure) if structure.union) => {
                self.fault(
                    at,
                    FaultKind::LateMisplaced,
                    "a late value cannot stand for a union; put it into the member that is meant",
                );
            }
            Ok(Some(Late::Output { share: Some(_), .. }))
                if !number && !matches!(shape.kind, Kind::List(_) | Kind::Document) =>
            {
                self.fault(at, FaultKind::LateMisplaced, "`share` divides a number or a list, and this is neither");
            }
            Ok(Some(run @ (Late::RunId | Late::RunToken))) => match &shape.kind {
                Kind::String(text) if text.values.is_empty() => {
                    if run == Late::RunToken {
                        self.text(TOKEN, text, shape.sensitive, at);
                    }
                }
                Kind::Document => {}
                _ => self.fault(at, FaultKind::LateMisplaced, "`$run` gives a free text, and that does not fit here"),
            },
            Ok(_) => {}
        }
        true
    }

    fn structure(&mut self, map: &serde_json::Map<String, Value>, structure: &Structure, at: &Path<'_>) {
        if structure.union && map.len() != 1 {
            let kind = FaultKind::NotOneMember { given: map.len() };
            let names: Vec<&str> = structure.members.iter().map(|member| &*member.name).collect();
            self.fault(at, kind, format!("exactly one of {} must be given, not {}", names.join(", "), map.len()));
        }
        if self.side != Side::Output {
            for member in structure.members.iter().filter(|member| member.required && !map.contains_key(&*member.name))
            {
                let kind = FaultKind::MissingMember { name: member.name.to_string() };
                self.fault(at, kind, format!("required member `{}` is missing", member.name));
            }
        }
        for (name, value) in map {
            let at = Path::Key(at, name);
            match structure.member(name) {
                Some(_) if value.is_null() && self.side == Side::Output => {}
                Some(member) => self.value(value, member.shape, &at),
                None => {
                    let nearest = nearest(name, structure.members.iter().map(|member| &*member.name));
                    let message = format!("unknown member `{name}`{}", suggestion(nearest));
                    let kind = FaultKind::UnknownMember { name: name.clone(), nearest: nearest.map(str::to_owned) };
                    self.fault(&at, kind, message);
                }
            }
        }
    }

    fn map(&mut self, map: &serde_json::Map<String, Value>, of: &MapShape, at: &Path<'_>) {
        self.count(map.len(), &of.length, "entries", at);
        let key_shape = self.table.shape(of.key);
        for (key, value) in map {
            let at = Path::Key(at, key);
            if let Kind::String(text) = &key_shape.kind {
                self.text(key, text, key_shape.sensitive, &at);
            }
            self.value(value, of.value, &at);
        }
    }

    fn text(&mut self, value: &str, text: &Text, sensitive: bool, at: &Path<'_>) {
        if !text.values.is_empty() && text.values.binary_search_by(|known| (**known).cmp(value)).is_err() {
            let nearest = nearest(value, text.values.iter().map(|known| &**known));
            let message =
                format!("{} is none of {}{}", shown(value, sensitive), listed(&text.values), suggestion(nearest));
            self.fault(at, FaultKind::NotInEnum { nearest: nearest.map(str::to_owned) }, message);
        }
        if text.length.is_bounded() {
            self.count(value.chars().count(), &text.length, "characters", at);
        }
        if let Some(pattern) = &text.pattern
            && !pattern.admits(value)
        {
            let message = format!("{} does not match {}", shown(value, sensitive), pattern.text);
            self.fault(at, FaultKind::PatternMismatch { pattern: pattern.text.to_string() }, message);
        }
    }

    fn whole(&mut self, number: &Number, range: &Range<i64>, value: &Value, at: &Path<'_>) {
        match number.as_i64() {
            Some(whole) if range.holds(whole) => {}
            Some(whole) => self.out_of_range(at, whole, "", range),
            // Beyond 2^63: above any maximum that a model can state.
            None if number.is_u64() => {
                if range.max.is_some() {
                    self.out_of_range(at, number, "", range);
                }
            }
            None => self.wrong_type(at, "a whole number", value),
        }
    }

    fn count(&mut self, length: usize, range: &Range<u64>, unit: &str, at: &Path<'_>) {
        if !range.holds(length as u64) {
            self.out_of_range(at, length, unit, range);
        }
    }

    fn out_of_range<T: Display>(&mut self, at: &Path<'_>, found: impl Display, unit: &str, range: &Range<T>) {
        let space = if unit.is_empty() { "" } else { " " };
        let bounds = match (&range.min, &range.max) {
            (Some(min), Some(max)) => format!("between {min} and {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "a finite number".to_owned(),
        };
        self.fault(at, FaultKind::OutOfRange, format!("{found}{space}{unit}, but it must be {bounds}"));
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// How many bytes a base64 text stands for.
fn decoded_length(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

/// Whether a text is a number of seconds, or a date with an optional time and zone (`2026-11-03T08:00:00.5Z`).
fn is_moment(text: &str) -> bool {
    if text.parse::<f64>().is_ok_and(f64::is_finite) {
        return true;
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    is_date(date) && time.is_none_or(is_time)
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some(year) = digits(year, 4, 1, 9999) else { return false };
    let Some(month) = digits(month, 2, 1, 12) else { return false };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    digits(day, 2, 1, days).is_some()
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`, then nothing, `Z` or an offset `±hh:mm`.
fn is_time(text: &str) -> bool {
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hour_and_minute = parts.next().and_then(|part| digits(part, 2, 0, 23)).is_some()
        && parts.next().and_then(|part| digits(part, 2, 0, 59)).is_some();
    let second = parts.next().is_none_or(|part| digits(part, 2, 0, 59).is_some());
    let fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let zone = match zone.strip_prefix(['+', '-']) {
        None => zone.is_empty() || zone.eq_ignore_ascii_case("z"),
        Some(offset) => offset
            .split_once(':')
            .is_some_and(|(hours, minutes)| digits(hours, 2, 0, 23).is_some() && digits(minutes, 2, 0, 59).is_some()),
    };
    hour_and_minute && second && parts.next().is_none() && fraction && zone
}

/// The number that `text` writes with exactly `length` digits, if it is within the bounds.
fn digits(text: &str, length: usize, min: u32, max: u32) -> Option<u32> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if plain { text.parse().ok()? } else { return None };
    (min..=max).contains(&number).then_some(number)
}

//! Bytes that do not depend on who wrote them: canonical digests and sorted pretty JSON.
//!
//! Invariant: both go through [`serde_json::Value`] with sorted maps, whatever features other crates switch on.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `sha256:` and the hex digest of the canonical JSON (RFC 8785) of `value`, leaving out the top-level members in `without`.
pub fn canonical_digest<T: Serialize>(value: &T, without: &[&str]) -> String {
    let mut value = to_value(value);
    if let Value::Object(map) = &mut value {
        for name in without {
            map.remove(*name);
        }
    }
    digest_of_json(&value)
}

/// `sha256:` and the hex digest of the canonical JSON (RFC 8785) of a JSON value.
pub fn digest_of_json(value: &Value) -> String {
    let mut canonical = Vec::new();
    write(value, &mut canonical);
    let mut hash = HashWriter::default();
    hash.take(&canonical);
    hash.digest()
}

/// The same for a value that serialises its members in the order of their names: nothing is built in memory. Absent when
/// some text in it might be a key that RFC 8785 sorts in another way than Rust does.
pub(super) fn digest_of_sorted<T: Serialize>(value: &T) -> Option<String> {
    let mut serializer = serde_json::Serializer::with_formatter(HashWriter::default(), Canonical);
    done(value.serialize(&mut serializer));
    let mut hash = serializer.into_inner();
    hash.flush_part();
    (!hash.beyond).then(|| hash.digest())
}

/// Writes the pretty JSON of a value that serialises its members in the order of their names.
pub(super) fn write_pretty_sorted<T: Serialize>(value: &T, mut out: impl std::io::Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")
}

/// Takes bytes in parts on their way into a hash.
#[derive(Default)]
struct HashWriter {
    hasher: Sha256,
    buffer: Vec<u8>,
    /// Whether there was a character from U+E000 on: UTF-16, by which RFC 8785 sorts, orders those in another way.
    beyond: bool,
}

impl HashWriter {
    /// Bytes that are kept before they are hashed.
    const PART: usize = 1 << 16;

    fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= Self::PART {
            self.flush_part();
        }
    }

    fn flush_part(&mut self) {
        self.beyond |= self.buffer.iter().any(|b| *b >= 0xee);
        self.hasher.update(&self.buffer);
        self.buffer.clear();
    }

    /// `sha256:` and the hex digest of everything so far.
    fn digest(mut self) -> String {
        self.flush_part();
        let digest = self.hasher.finalize();
        let mut text = String::with_capacity(7 + 64);
        text.push_str("sha256:");
        for byte in digest {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        text
    }
}

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.flush_part();
        Ok(())
    }
}

/// Compact JSON with numbers as RFC 8785 writes them.
struct Canonical;

impl serde_json::ser::Formatter for Canonical {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        number(writer, &Value::from(value))
    }

    fn write_i64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: i64) -> std::io::Result<()> {
        if value.unsigned_abs() <= 1 << 53 { write!(writer, "{value}") } else { number(writer, &Value::from(value)) }
    }

    fn write_u64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: u64) -> std::io::Result<()> {
        if value <= 1 << 53 { write!(writer, "{value}") } else { number(writer, &Value::from(value)) }
    }
}

/// Fractions, and integers that a double cannot hold, are left to the canonicalizer.
fn number<W: ?Sized + std::io::Write>(writer: &mut W, value: &Value) -> std::io::Result<()> {
    let text = serde_json_canonicalizer::to_string(value).map_err(std::io::Error::from)?;
    writer.write_all(text.as_bytes())
}

/// Canonical JSON. What is plain in almost every document is written here; the rest (fractions, integers that a double
/// cannot hold) is left to the canonicalizer.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(list) => {
            out.push(b'[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            // RFC 8785 sorts by UTF-16 units; bytes sort the same as long as they are ASCII.
            if members.iter().all(|(key, _)| key.is_ascii()) {
                members.sort_unstable_by_key(|(key, _)| *key);
            } else {
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            }
            out.push(b'{');
            for (at, (key, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                plain(key, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= 1 << 53 => plain(&whole, out),
            _ => done(serde_json_canonicalizer::to_writer(value, out)),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => plain(value, out),
    }
}

/// Text and whole numbers: serde_json escapes exactly what RFC 8785 does, and in the same way.
fn plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    done(serde_json::to_writer(out, value));
}

fn done(result: serde_json::Result<()>) {
    if result.is_err() {
        // A `Value` has string keys and finite numbers only, and a `Vec` never refuses bytes.
        unreachable!("canonical JSON of a JSON value");
    }
}

/// Pretty JSON with two spaces, sorted keys and a newline at the end.
pub fn pretty<T: Serialize>(value: &T) -> String {
    let mut value = to_value(value);
    value.sort_all_objects();
    let mut out = serde_json::to_string_pretty(&value).unwrap_or_default();
    out.push('\n');
    out
}

fn to_value<T: Serialize>(value: &T) -> Value {
    // Our transfer types have string keys only, so this cannot fail; an empty document would fail its schema at once.
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-(1_i64 << 54)..(1 << 54)).prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\PC\\x00-\\x20\"\\\\]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_here_is_what_the_canonicalizer_writes(value in json()) {
            let mut ours = Vec::new();
            write(&value, &mut ours);
            prop_assert_eq!(String::from_utf8(ours).unwrap(), serde_json_canonicalizer::to_string(&value).unwrap());
        }
    }

    #[test]
    fn keys_are_sorted_by_utf_16_units() {
        // U+1F600 is a pair of surrogates below U+FB33, though its bytes are above.
        let mut ours = Vec::new();
        write(&serde_json::json!({"\u{fb33}": 1, "\u{1f600}": 2, "a": 3}), &mut ours);
        assert_eq!(String::from_utf8(ours).unwrap(), "{\"a\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }
}

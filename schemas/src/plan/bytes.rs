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
    let mut canonical = Canonical::default();
    canonical.value(&value);
    canonical.digest()
}

/// Canonical JSON on its way into a hash. Large documents are handed over in parts, so that no more than a part of them
/// is ever built.
#[derive(Default)]
pub(super) struct Canonical {
    hasher: Sha256,
    buffer: Vec<u8>,
}

impl Canonical {
    /// Bytes that are kept before they are hashed.
    const PART: usize = 1 << 16;

    /// Text of the document that is canonical already: brackets, commas.
    pub(super) fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// A list, one item at a time.
    pub(super) fn list<T: Serialize>(&mut self, items: &[T]) {
        self.text("[");
        for (at, item) in items.iter().enumerate() {
            self.text(if at == 0 { "" } else { "," });
            self.value(&to_value(item));
        }
        self.text("]");
    }

    /// A value.
    pub(super) fn value(&mut self, value: &Value) {
        write(value, &mut self.buffer);
        if self.buffer.len() >= Self::PART {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// `sha256:` and the hex digest of everything so far.
    pub(super) fn digest(mut self) -> String {
        self.hasher.update(&self.buffer);
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

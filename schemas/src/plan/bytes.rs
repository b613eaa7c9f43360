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
    let mut hasher = HashWriter(Sha256::new());
    if serde_json_canonicalizer::to_writer(&value, &mut hasher).is_err() {
        // A `Value` has string keys and finite numbers only, and the hasher never refuses bytes.
        unreachable!("canonical JSON of a JSON value");
    }
    let digest = hasher.0.finalize();
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in digest {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
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

struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

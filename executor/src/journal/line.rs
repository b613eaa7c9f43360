//! One line: a JSON object whose last member is the checksum of everything before it.
//!
//! Invariant: the sum is taken over the bytes as written, so that reading never depends on how JSON is printed.

use sha2::{Digest, Sha256};

const LABEL: &str = ",\"sum\":\"";
const END: &str = "\"}";
const SUM: usize = 16;

/// The checksum of `body` after `previous`, as 16 hex digits.
pub(super) fn chain(previous: &str, body: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(previous.as_bytes());
    hasher.update(b"\n");
    hasher.update(body.as_bytes());
    crate::hex(&hasher.finalize()[..SUM / 2])
}

/// Puts the sum into a JSON object. `object` is its text with the closing brace.
pub(super) fn seal(object: &str, previous: &str) -> (String, String) {
    let body = object.strip_suffix('}').unwrap_or(object);
    let sum = chain(previous, body);
    (format!("{body}{LABEL}{sum}{END}\n"), sum)
}

/// Splits a line (without its newline) into body and sum; `None` when it has no sum at its end.
pub(super) fn open(line: &str) -> Option<(&str, &str)> {
    let inner = line.strip_suffix(END)?;
    let at = inner.len().checked_sub(SUM)?;
    let (rest, sum) = (inner.get(..at)?, inner.get(at..)?);
    Some((rest.strip_suffix(LABEL)?, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_opens_to_its_body_and_sum() {
        let (line, sum) = seal(r#"{"seq":1,"at":2}"#, "before");
        let (body, read) = open(line.trim_end()).unwrap();
        assert_eq!((body, read), (r#"{"seq":1,"at":2"#, sum.as_str()));
        assert_ne!(chain("other", body), sum);
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }

    #[test]
    fn a_line_without_a_sum_does_not_open() {
        for line in ["", "}", "\"}", r#"{"seq":1}"#, "ä\"}", &"é".repeat(30)] {
            assert_eq!(open(line), None, "{line}");
        }
    }
}

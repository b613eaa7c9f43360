//! The registry of diagnostic codes: every code that a [`super::Diagnostic`] may carry, with a title.
//!
//! Invariants: a code never changes its meaning and is never reused; the list is sorted. B001–B099 reading, B101–B199
//! variables, B201–B299 structure, B301 and up meaning.

/// Codes and their titles, sorted by code.
pub const CODES: &[(&str, &str)] = &[
    ("B001", "file cannot be read"),
    ("B002", "file is not UTF-8 text"),
    ("B003", "file holds a control character"),
    ("B004", "file is too large"),
    ("B005", "file is empty"),
    ("B006", "not YAML"),
    ("B007", "more than one document in a file"),
    ("B008", "duplicate key"),
    ("B009", "unknown anchor"),
    ("B010", "aliases stand for too much"),
    ("B011", "nested too deep"),
    ("B012", "key is not text"),
    ("B013", "number out of range"),
    ("B014", "merge key without a mapping"),
    ("B015", "unknown tag"),
    ("B016", "not a JSON number"),
    ("B021", "not the JSON that was expected"),
    ("B022", "other format version"),
    ("B101", "undefined variable"),
    ("B102", "malformed substitution"),
    ("B103", "variables refer to each other in a circle"),
    ("B104", "expression fails"),
    ("B105", "list or mapping inside a text"),
    ("B106", "--var is not used"),
    ("B107", "substitution in a key"),
    ("B201", "unknown key"),
    ("B202", "wrong type"),
    ("B203", "missing key"),
    ("B204", "value out of range"),
    ("B205", "value has not the right form"),
    ("B206", "not one of the possible values"),
    ("B207", "value does not fit"),
];

/// The title of a code, if there is such a code.
pub fn title(code: &str) -> Option<&'static str> {
    CODES.binary_search_by(|(known, _)| (*known).cmp(code)).ok().map(|at| CODES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

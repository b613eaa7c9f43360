//! Results as JUnit XML, the form that CI systems read.

use std::fmt::Write as _;

/// One result: a name, and what was wrong.
pub struct Row<'a> {
    pub name: &'a str,
    pub failure: Option<&'a str>,
}

/// The document.
pub fn xml(suite: &str, rows: &[Row<'_>]) -> String {
    let failures = rows.iter().filter(|r| r.failure.is_some()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (name, count) = (escape(suite), rows.len());
    let _ = writeln!(out, "<testsuites tests=\"{count}\" failures=\"{failures}\">");
    let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\">");
    for row in rows {
        let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{}\"", escape(row.name));
        match row.failure {
            None => out.push_str("/>\n"),
            Some(failure) => {
                let _ = writeln!(
                    out,
                    ">\n      <failure message=\"not as expected\">{}</failure>\n    </testcase>",
                    escape(failure)
                );
            }
        }
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Text in an element or attribute; XML 1.0 has no other control characters than these.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let rows = [Row { name: "a<b", failure: None }, Row { name: "c", failure: Some("\u{1b}[31m & \"x\"") }];
        let text = xml("s", &rows);
        assert!(text.contains("name=\"a&lt;b\"/>"), "{text}");
        assert!(text.contains(">\u{fffd}[31m &amp; &quot;x&quot;</failure>"), "{text}");
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
    }
}

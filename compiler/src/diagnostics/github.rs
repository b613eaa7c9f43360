//! Diagnostics as GitHub Actions workflow commands, which show up at the line in a pull request.

use std::fmt::Write as _;

use super::{Report, Severity};

/// One `::error …::…` or `::warning …::…` line for each diagnostic.
pub fn github(report: &Report) -> String {
    let mut out = String::new();
    for resolved in report.resolved() {
        let diagnostic = resolved.diagnostic;
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(out, "::{command} ");
        if let Some(at) = &resolved.location {
            let _ = write!(out, "file={},line={},col={},", property(&at.file), at.line, at.column);
            if at.end_line == at.line && at.end_column > at.column {
                let _ = write!(out, "endLine={},endColumn={},", at.end_line, at.end_column);
            }
        }
        let mut message = diagnostic.message.clone();
        // An annotation has one place; the others are told in words.
        for (at, what) in &resolved.related {
            let at = at.and_then(|at| report.files.locate(at)).map_or(String::new(), |at| format!(" ({at})"));
            let _ = write!(message, "\nnote: {what}{at}");
        }
        for help in &diagnostic.help {
            let _ = write!(message, "\nhelp: {help}");
        }
        let _ = writeln!(out, "title={}::{}", property(diagnostic.code), data(&message));
    }
    out
}

/// The text after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::{Diagnostic, SourceFile, Span};
    use super::*;

    #[test]
    fn what_the_command_syntax_uses_is_escaped() {
        let mut report = Report::new();
        let file = report.add_file(SourceFile::new("a,b:c%.yaml", "x: y\n"));
        let error = Diagnostic::error("B006", "100% wrong:\nreally").at(Span::new(file, 0, 1)).help("do, it");
        report.push(error);
        let expected = "::error file=a%2Cb%3Ac%25.yaml,line=1,col=1,endLine=1,endColumn=2,title=B006::100%25 wrong:%0Areally%0Ahelp: do, it\n";
        assert_eq!(github(&report), expected);
    }
}

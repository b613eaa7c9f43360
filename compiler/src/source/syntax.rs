//! What YAML's syntax errors mean to the person who wrote the file.

use libyaml_safer::Error;

use crate::diagnostics::{Diagnostic, File, FileId, Span};

/// The parser's error in words, at its place, with what usually helps.
pub(crate) fn diagnostic(error: &Error, id: FileId, file: &File) -> Diagnostic {
    let offset = |mark: libyaml_safer::Mark| usize::try_from(mark.index).unwrap_or(usize::MAX).min(file.text.len());
    let at = error.problem_mark().map_or(0, offset);
    let context = error.context_mark().map(offset).filter(|start| *start != at);
    let problem = error.problem();
    let line = &file.text[file.line(file.position(at).0)];
    let found = file.text.get(at..).and_then(|rest| rest.chars().next());
    let before = file.text.get(..at).map_or("", |text| text.rsplit('\n').next().unwrap_or(text));

    if let Some((variable, start)) = unquoted_variable(line)
        && error.context().unwrap_or_default().starts_with("while parsing a flow")
    {
        let start = file.line(file.position(at).0).start + start;
        return Diagnostic::error("B006", format!("`{variable}` has to be quoted inside `{{…}}` and `[…]`"))
            .at(Span::new(id, start, start + variable.len()))
            .label("its `}` closes the mapping around it")
            .help(format!("write \"{variable}\"; a number stays a number"));
    }
    let (message, label, mut help) = explain(problem, found, before);
    if problem == "mapping values are not allowed in this context"
        && let Some(number) = line_without_key(file, file.position(at).0)
    {
        help.insert(0, format!("line {number} before it has no `key:`, so that this line continues its text"));
    }
    let end = found.filter(|c| *c != '\n').map_or(at, |c| at + c.len_utf8());
    let mut diagnostic = Diagnostic::error("B006", message).at(Span::new(id, at, end));
    if let Some(label) = label {
        diagnostic = diagnostic.label(label);
    }
    for line in help {
        diagnostic = diagnostic.help(line);
    }
    if let Some(context) = context {
        let end = file.text[context..].chars().next().map_or(context, |c| context + c.len_utf8());
        let what = match error.context().unwrap_or_default() {
            "while scanning a quoted scalar" | "while parsing a quoted scalar" => "the quoted text starts here",
            "while scanning a simple key" => "this would be the key",
            "while parsing a flow mapping" => "the mapping starts here",
            "while parsing a flow sequence" => "the list starts here",
            "while parsing a block mapping" => "the mapping starts here",
            "while parsing a block collection" => "the list starts here",
            _ => "while reading this",
        };
        diagnostic = diagnostic.related(Span::new(id, context, end), what);
    }
    diagnostic
}

type Words = (String, Option<&'static str>, Vec<String>);

fn explain(problem: &str, found: Option<char>, before: &str) -> Words {
    let say = |message: &str, help: &str| (message.to_owned(), None, vec![help.to_owned()]);
    if found == Some('\t') || (before.trim().is_empty() && before.contains('\t')) || problem.contains("tab character") {
        return ("a tab cannot indent YAML".to_owned(), Some("a tab"), vec!["indent with spaces".to_owned()]);
    }
    match problem {
        "did not find expected ',' or '}'" => say(
            "expected `,` or `}` in this mapping",
            "close the mapping with `}`, or quote the text if it holds `,`, `{`, `}`, `[` or `]`",
        ),
        "did not find expected ',' or ']'" => say(
            "expected `,` or `]` in this list",
            "close the list with `]`, or quote the text if it holds `,`, `{`, `}`, `[` or `]`",
        ),
        "mapping values are not allowed in this context" => say(
            "a `:` cannot stand here",
            "quote a text that holds `: `, and check that the lines around it are indented alike",
        ),
        "could not find expected ':'" => say(
            "expected `:` after a key",
            "write `key: value`; check the indentation, and quote a text that starts with a special character",
        ),
        "did not find expected key" => say(
            "expected a key here",
            "check that this line is indented like the other keys of its mapping, and that quotes are closed",
        ),
        "did not find expected '-' indicator" => {
            say("expected `-` here", "check that this line is indented like the other items of its list")
        }
        "block sequence entries are not allowed in this context" => {
            say("a list cannot start here", "put the `-` on a line of its own, below the key")
        }
        "mapping keys are not allowed in this context" => say("a key cannot stand here", "put it on a line of its own"),
        "found unexpected end of stream" | "found unexpected document indicator" => {
            say("the quoted text is not closed", "close it; inside '…' write '' for a quote, inside \"…\" write \\\"")
        }
        "found unknown escape character" => say(
            "not an escape sequence",
            "write \\\\ for a backslash inside \"…\", or use '…', where a backslash is only a backslash",
        ),
        "did not find expected hexdecimal number" => {
            say("this escape needs hexadecimal digits", "write \\x41, \\u0041 or \\U00000041")
        }
        "found invalid Unicode character escape code" => {
            say("this escape is not a character", "surrogates and numbers above 10FFFF are none")
        }
        "found character that cannot start any token" => {
            let shown = found.map_or_else(String::new, |c| format!("`{c}` "));
            (format!("a text cannot start with {shown}without quotes"), None, vec!["put it in quotes".to_owned()])
        }
        "did not find expected node content" => {
            say("expected a value here", "write a value, or nothing at all between the commas")
        }
        "did not find expected <document start>" => say(
            "expected the end of the file or `---`",
            "check the indentation: everything of a file hangs below its first line",
        ),
        "found undefined tag handle" => say("this tag has no meaning", "quote a text that starts with `!`"),
        "did not find expected alphabetic or numeric character" => {
            say("an anchor or alias needs a name of letters and digits", "quote a text that starts with `*` or `&`")
        }
        "found unexpected ':'" => say("a `:` cannot stand here", "quote the text"),
        "did not find expected comment or line break" => {
            say("nothing may follow here on the same line", "start the text on the next line")
        }
        "" => say("not YAML", "check the quotes and the indentation around here"),
        other => (
            format!("not YAML: {}", other.trim_start_matches("found ").trim_start_matches("did not find ")),
            None,
            vec!["check the quotes and the indentation around here".to_owned()],
        ),
    }
}

/// The first `${…}` of a line that is not in quotes.
fn unquoted_variable(line: &str) -> Option<(&str, usize)> {
    let start = line.find("${")?;
    let quotes = line[..start].matches(['"', '\'']).count();
    if quotes % 2 == 1 {
        return None;
    }
    let len = line[start..].find('}')? + 1;
    let len = if line[start + len..].starts_with('}') && line[start..].starts_with("${{") { len + 1 } else { len };
    line.get(start..start + len).map(|variable| (variable, start))
}

/// The nearest line above that holds a text, if it has no key: a text that goes on in the next line.
fn line_without_key(file: &File, line: usize) -> Option<usize> {
    let text = |number: usize| file.text[file.line(number)].trim();
    let number = (1..line).rev().find(|number| !text(*number).is_empty())?;
    let above = text(number);
    (!above.starts_with(['#', '-']) && !above.contains(": ") && !above.ends_with(':')).then_some(number)
}

//! What YAML's syntax errors mean to the person who wrote the file.

use granit_parser::{ErrorKind, ScanError};

use super::limits;
use crate::diagnostics::{Diagnostic, File, FileId, Span};

/// The parser's error in words, at its place, with what usually helps. `around` is the start of the collection that was
/// being read and whether it is a list.
pub(crate) fn diagnostic(error: &ScanError, around: Option<(usize, bool)>, id: FileId, file: &File) -> Diagnostic {
    let at = file.clamp(error.marker().byte_offset().unwrap_or_default());
    let line_number = file.position(at).0;
    let line_start = file.line(line_number).start;
    let line = &file.text[file.line(line_number)];
    let before = &file.text[line_start.min(at)..at];
    let open = around.filter(|(start, _)| matches!(file.text.as_bytes().get(*start), Some(b'{' | b'[')));

    if let (Some((variable, start)), Some(_)) = (unquoted_variable(line), open) {
        let start = line_start + start;
        return Diagnostic::error("B006", format!("`{variable}` has to be quoted inside `{{…}}` and `[…]`"))
            .at(Span::new(id, start, start + variable.len()))
            .label("its `}` closes the mapping around it")
            .help(format!("write \"{variable}\"; a number stays a number"));
    }
    // The tab itself, not what comes after it.
    let at = if before.trim().is_empty() { before.find('\t').map_or(at, |tab| line_start + tab) } else { at };
    let found = file.text[at..].chars().next();
    let code = if *error.kind() == ErrorKind::RecursionLimitExceeded { "B011" } else { "B006" };
    let (message, help) = explain(error, found, before);
    let end = found.filter(|c| *c != '\n' && *c != '\r').map_or(at, |c| at + c.len_utf8());
    let mut diagnostic = Diagnostic::error(code, message).at(Span::new(id, at, end));
    if matches!(error.kind(), ErrorKind::MappingValueNotAllowed)
        && let Some(number) = line_without_key(file, line_number)
    {
        diagnostic =
            diagnostic.help(format!("line {number} before it has no `key:`, so that this line continues its text"));
    }
    if let (ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement, Some((_, list))) =
        (error.kind(), open)
    {
        diagnostic =
            diagnostic.help(if list { "is the list closed with `]`?" } else { "is the mapping closed with `}`?" });
    }
    if let Some(help) = help {
        diagnostic = diagnostic.help(help);
    }
    match (error.kind(), open) {
        (ErrorKind::InvalidQuotedScalarIndent | ErrorKind::UnclosedQuotedScalar, _) => {
            if let Some(start) = open_quote(file, line_number).filter(|start| *start != at) {
                diagnostic = diagnostic.related(Span::new(id, start, start + 1), "the quoted text starts here");
            }
        }
        (kind, Some((start, list))) if start != at && is_structure(kind) => {
            let what = if list { "the list starts here" } else { "the mapping starts here" };
            diagnostic = diagnostic.related(Span::new(id, start, start + 1), what);
        }
        _ => {}
    }
    diagnostic
}

/// Whether an error may come from brackets that are not closed.
fn is_structure(kind: &ErrorKind) -> bool {
    use ErrorKind as E;
    matches!(
        kind,
        E::ExpectedFlowMappingSeparator
            | E::ExpectedFlowSequenceSeparator
            | E::MappingValueNotAllowed
            | E::InvalidColonPlacement
            | E::UnclosedFlowCollection { .. }
            | E::MismatchedFlowCollectionEnd { .. }
            | E::UnexpectedEofFlowSequence
            | E::UnexpectedEofFlowMapping
            | E::UnexpectedEofImplicitFlowMapping
            | E::InvalidIndentation
            | E::InvalidFlowScalarIndent
            | E::ExpectedNodeContent
    )
}

/// The quote that most likely opened a text which goes on in this line: the last odd one above.
fn open_quote(file: &File, line: usize) -> Option<usize> {
    (line.saturating_sub(50).max(1)..=line).rev().find_map(|number| {
        let range = file.line(number);
        let text = &file.text[range.clone()];
        ['"', '\'']
            .into_iter()
            .filter(|quote| text.matches(*quote).count() % 2 == 1)
            .find_map(|quote| text.find(quote))
            .map(|at| range.start + at)
    })
}

const TAB: &str = "a tab cannot indent YAML";
const SPACES: Option<&str> = Some("indent with spaces");
const LAYOUT: Option<&str> = Some("check the quotes and the indentation around here");
const QUOTE: Option<&str> = Some("put the text in quotes");

fn explain(error: &ScanError, found: Option<char>, before: &str) -> (String, Option<&'static str>) {
    use ErrorKind as E;
    let kind = error.kind();
    let tabbed = found == Some('\t') || (before.trim().is_empty() && before.contains('\t'));
    let (message, help) = match kind {
        E::RecursionLimitExceeded => {
            return (format!("more than {} levels of nesting", limits::DEPTH), Some(limits::FLATTER));
        }
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabAtBlockScalarStart => (TAB, SPACES),
        E::TabInPlainScalar => (TAB, SPACES),
        _ if tabbed => (TAB, SPACES),
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar | E::InvalidQuotedScalarIndent => (
            "a quoted text is not closed before this",
            Some("close it; inside '…' write '' for a quote, inside \"…\" write \\\""),
        ),
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping => ("this `{` or `[` is not closed", Some("close it with `}` or `]`")),
        E::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{close}` cannot close `{open}`"), Some("close `{` with `}` and `[` with `]`"));
        }
        E::MisplacedFlowCollectionEnd => ("nothing is open that this could close", QUOTE),
        E::ExpectedFlowMappingSeparator => (
            "expected `,` or `}` in this mapping",
            Some("close the mapping with `}`, or quote the text if it holds `,`, `{`, `}`, `[` or `]`"),
        ),
        E::ExpectedFlowSequenceSeparator => (
            "expected `,` or `]` in this list",
            Some("close the list with `]`, or quote the text if it holds `,`, `{`, `}`, `[` or `]`"),
        ),
        E::MappingValueNotAllowed | E::InvalidColonPlacement | E::FlowMappingValueAdjacentCollection => (
            "a `:` cannot stand here",
            Some("quote a text that holds `: `, and check that the lines around it are indented alike"),
        ),
        E::InvalidMappingValueWhitespace => ("expected a space after `:`", QUOTE),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "expected `:` after a key",
            Some("write `key: value`; check the indentation, and quote a text that starts with a special character"),
        ),
        E::ExpectedBlockMappingKey | E::UnexpectedEofBlockMapping => (
            "expected a key here",
            Some("check that this line is indented like the other keys of its mapping, and that quotes are closed"),
        ),
        E::ExpectedBlockSequenceEntry | E::UnexpectedEofBlockSequence => {
            ("expected `-` here", Some("check that this line is indented like the other items of its list"))
        }
        E::BlockSequenceEntryNotAllowed => {
            ("a list cannot start here", Some("put the `-` on a line of its own, below the key"))
        }
        E::BlockEntryInFlowCollection | E::PlainScalarStartsWithDashFlowIndicator => (
            "a `-` cannot stand here",
            Some("inside `[…]` items are separated by `,`; quote a text that starts with `-`"),
        ),
        E::InvalidBlockEntryWhitespace => ("expected a space after `-`", QUOTE),
        E::MappingKeyNotAllowed => ("a key cannot stand here", Some("put it on a line of its own")),
        E::InvalidIndentation | E::InvalidBlockScalarIndent | E::InvalidFlowScalarIndent => {
            ("this line is not indented like the lines that it belongs to", Some("indent it like them, with spaces"))
        }
        E::UnexpectedCharacter { character } => {
            return (format!("a text cannot start with `{character}` without quotes"), QUOTE);
        }
        E::UnknownQuotedScalarEscape => (
            "not an escape sequence",
            Some("write \\\\ for a backslash inside \"…\", or use '…', where a backslash is only a backslash"),
        ),
        E::InvalidQuotedScalarHexEscape | E::InvalidLowSurrogateHexEscape => {
            ("this escape needs hexadecimal digits", Some("write \\x41, \\u0041 or \\U00000041"))
        }
        E::InvalidLowSurrogate | E::MissingLowSurrogate | E::UnpairedLowSurrogate | E::InvalidUnicodeEscape => {
            ("this escape is not a character", Some("surrogates come in pairs, and there is nothing above 10FFFF"))
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => (
            "nothing may follow a quoted text",
            Some("put all of the text in the quotes; inside '…' write '' for a quote, inside \"…\" write \\\""),
        ),
        E::CommentInterceptedScalar => (
            "a comment interrupts a text of several lines",
            Some("use a block: `key: |` with the text below, indented"),
        ),
        E::CommentNotSeparated | E::ExpectedWhitespace => ("expected a space here", QUOTE),
        E::InvalidBlockScalarHeader => {
            ("nothing may follow `|` or `>` on the same line", Some("start the text on the next line"))
        }
        E::ZeroBlockScalarIndent => ("an indentation of 0 is not possible", Some("write a digit from 1 to 9 or none")),
        E::ExpectedNodeContent | E::UnexpectedEndOfPlainScalar => {
            ("expected a value here", Some("write a value, or quote a text that starts with a special character"))
        }
        E::ExpectedDocumentStart | E::InvalidDocumentEnd => (
            "expected the end of the file or `---`",
            Some("check the indentation: everything of a file hangs below its first line"),
        ),
        E::UndeclaredTagHandle
        | E::ExpectedTagBang
        | E::InvalidGlobalTagCharacter
        | E::InvalidTagTerminator
        | E::MissingTagUri
        | E::UnclosedVerbatimTag
        | E::InvalidTagEscape
        | E::InvalidTagUtf8LeadingByte
        | E::InvalidTagUtf8TrailingByte
        | E::InvalidTagUtf8 => ("this is not a tag that means anything", Some("quote a text that starts with `!`")),
        E::MissingAnchorOrAliasName => {
            ("an anchor or alias needs a name", Some("quote a text that starts with `*` or `&`"))
        }
        E::BomInsideDocument => ("a byte order mark stands inside the text", Some("remove it")),
        other => return (format!("not YAML: {other}"), LAYOUT),
    };
    (message.to_owned(), help)
}

/// The first `${…}` of a line that is not in quotes, and where it starts.
fn unquoted_variable(line: &str) -> Option<(&str, usize)> {
    let start = line.find("${")?;
    let quotes = line[..start].matches(['"', '\'']).count();
    if quotes % 2 == 1 {
        return None;
    }
    let len = line[start..].find('}')? + 1;
    let doubled = line[start..].starts_with("${{") && line[start + len..].starts_with('}');
    let len = if doubled { len + 1 } else { len };
    line.get(start..start + len).map(|variable| (variable, start))
}

/// The nearest line above that holds a text, if it has no key: a text that goes on in the next line.
fn line_without_key(file: &File, line: usize) -> Option<usize> {
    let text = |number: usize| file.text[file.line(number)].trim();
    let number = (1..line).rev().find(|number| !text(*number).is_empty())?;
    let above = text(number);
    (!above.starts_with(['#', '-']) && !above.contains(": ") && !above.ends_with(':')).then_some(number)
}

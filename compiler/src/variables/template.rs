//! The grammar of substitutions: `${name}`, `${name-default}`, `${name:-default}`, `${{ expression }}`, and `$${` for
//! a literal `${`. Everything else, `$HOME` and `{{ … }}` included, is text.

use std::ops::Range;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// `${name}` and its two forms with a default.
    Variable { name: &'a str, default: Option<Default<'a>>, at: Range<usize> },
    /// `${{ expression }}`.
    Expression { source: &'a str, at: Range<usize> },
}

/// What to take instead of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Default<'a> {
    /// What stands behind `-`.
    pub(crate) text: &'a str,
    /// `:-`: also instead of an empty text.
    pub(crate) if_empty: bool,
}

/// A substitution that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

const LITERAL: &str = "write `$${` for a literal `${`";

/// Whether there is anything to do in a text.
pub(crate) fn has_substitution(text: &str) -> bool {
    text.contains("${")
}

/// Splits a text into its parts.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Malformed> {
    let mut out = Vec::new();
    let mut done = 0;
    while let Some(found) = text[done..].find("${") {
        let start = done + found;
        if text[done..start].ends_with('$') {
            // `$${`: the first `$` goes, `${` stays.
            push_text(&mut out, &text[done..start - 1]);
            out.push(Piece::Text("${"));
            done = start + 2;
            continue;
        }
        push_text(&mut out, &text[done..start]);
        let (piece, end) =
            if text[start..].starts_with("${{") { expression(text, start)? } else { variable(text, start)? };
        out.push(piece);
        done = end;
    }
    push_text(&mut out, &text[done..]);
    Ok(out)
}

fn push_text<'a>(out: &mut Vec<Piece<'a>>, text: &'a str) {
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
}

fn variable(text: &str, start: usize) -> Result<(Piece<'_>, usize), Malformed> {
    let body_start = start + 2;
    let Some(len) = text[body_start..].find('}') else {
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        return Err(Malformed { at: start..end, message: "`${` without a closing `}`".into(), help: Some(LITERAL) });
    };
    let body = &text[body_start..body_start + len];
    let end = body_start + len + 1;
    let name_len = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, rest) = body.split_at(name_len);
    let default = match rest.strip_prefix(":-") {
        Some(text) => Some(Default { text, if_empty: true }),
        None => rest.strip_prefix('-').map(|text| Default { text, if_empty: false }),
    };
    let malformed = |message: String, help| Malformed { at: start..end, message, help: Some(help) };
    if default.is_some_and(|d| d.text.contains("${")) {
        return Err(malformed(
            "a default cannot hold another substitution".into(),
            "use an expression: `${{ one | default(other) }}`",
        ));
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || (default.is_none() && !rest.is_empty()) {
        let help = if rest.starts_with('.') || rest.starts_with('[') {
            "use an expression for a part of a variable: `${{ name.part }}`"
        } else {
            "write `${name}`, `${name-default}`, `${name:-default}` or `${{ expression }}`; write `$${` for a literal `${`"
        };
        return Err(malformed(format!("`${{{body}}}` is not a substitution"), help));
    }
    Ok((Piece::Variable { name, default, at: start..end }, end))
}

/// The end of an expression is the first `}}` outside quotes and brackets.
fn expression(text: &str, start: usize) -> Result<(Piece<'_>, usize), Malformed> {
    let body_start = start + 3;
    let mut quote = None;
    let mut open = 0usize;
    let mut escaped = false;
    for (at, c) in text[body_start..].char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, c) {
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => open += 1,
            (None, '}') if open > 0 => open -= 1,
            (None, '}') if text[body_start + at..].starts_with("}}") => {
                let end = body_start + at + 2;
                return Ok((
                    Piece::Expression { source: text[body_start..body_start + at].trim(), at: start..end },
                    end,
                ));
            }
            _ => {}
        }
    }
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    Err(Malformed { at: start..end, message: "`${{` without a closing `}}`".into(), help: Some(LITERAL) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_told_apart() {
        let variable = |name, default, at| Piece::Variable { name, default, at };
        assert_eq!(pieces("${a}"), Ok(vec![variable("a", None, 0..4)]));
        let default = Some(Default { text: "b-c", if_empty: false });
        assert_eq!(pieces("${a-b-c}"), Ok(vec![variable("a", default, 0..8)]));
        let default = Some(Default { text: "", if_empty: true });
        assert_eq!(pieces("x${a:-}"), Ok(vec![Piece::Text("x"), variable("a", default, 1..7)]));
        assert_eq!(pieces("$HOME {{ x }} $"), Ok(vec![Piece::Text("$HOME {{ x }} $")]));
        assert_eq!(pieces("$${a}"), Ok(vec![Piece::Text("${"), Piece::Text("a}")]));
        let source = r#"{"a": "}}"}["a"]"#;
        let text = format!("${{{{ {source} }}}}!");
        let expression = Piece::Expression { source, at: 0..text.len() - 1 };
        assert_eq!(pieces(&text), Ok(vec![expression, Piece::Text("!")]));
    }

    #[test]
    fn what_is_no_substitution_is_refused() {
        for text in ["${", "${}", "${a b}", "${a.b}", "${1}", "${a%%x}", "${a-${b}}", "${{ a }", "${{ '}}' "] {
            assert!(pieces(text).is_err(), "{text}");
        }
    }
}

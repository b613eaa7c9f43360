//! `image_id_subst`: a regular expression in Python's syntax, as far as Rust's regex crate can honour it.
//!
//! What both understand alike is left as it is. What means the same but is written in another way is rewritten: braces
//! that are no quantifier, `{,n}`, `\Z`, and in character classes what only Rust reads as a set operation. What cannot be
//! honoured (look-around, back references, conditionals, atomic groups, possessive quantifiers, Python's own flags) is
//! refused by name. The text is searched line by line: `^` and `$` match at every line, `.` matches no line break.

use regex::{NoExpand, Regex, RegexBuilder};

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Python has it, Rust's regex crate has not.
    #[error("{0} are not supported: they cannot be matched in linear time")]
    Unsupported(&'static str),
    /// Not a regular expression.
    #[error("it is no regular expression: {0}")]
    Syntax(String),
    /// It matches nothing at all, everywhere.
    #[error("it matches the empty text, so it would match everywhere")]
    Empty,
}

/// Reads a pattern.
///
/// # Errors
/// See [`PatternError`].
pub fn parse(python: &str) -> Result<Regex, PatternError> {
    let pattern = translate(python)?;
    let regex = RegexBuilder::new(&pattern).multi_line(true).build().map_err(|e| {
        let text = e.to_string();
        let reason = text.lines().last().unwrap_or_default();
        PatternError::Syntax(reason.trim_start_matches("error: ").to_owned())
    })?;
    if regex.is_match("") {
        return Err(PatternError::Empty);
    }
    Ok(regex)
}

/// Replaces every match by the image, literally; nothing when there is no match.
pub fn replace(pattern: &Regex, text: &str, image: &str) -> Option<String> {
    pattern.is_match(text).then(|| pattern.replace_all(text, NoExpand(image)).into_owned())
}

fn translate(python: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(python.len() + 8);
    let mut rest = python;
    let mut class = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = after.chars().next();
                match escaped {
                    Some('1'..='9') if !class => return Err(PatternError::Unsupported("back references")),
                    Some('Z') => out.push_str(r"\z"),
                    Some(other) => {
                        out.push('\\');
                        out.push(other);
                    }
                    None => out.push('\\'),
                }
                rest = &after[escaped.map_or(0, char::len_utf8)..];
                continue;
            }
            '[' if class => out.push_str(r"\["),
            '[' => {
                class = true;
                out.push('[');
                // A bracket that closes nothing yet is itself.
                let negated = after.starts_with('^');
                let body = if negated { &after[1..] } else { after };
                if negated {
                    out.push('^');
                }
                rest = body;
                if let Some(tail) = body.strip_prefix(']') {
                    out.push_str(r"\]");
                    rest = tail;
                }
                continue;
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            '-' if class && after.starts_with('-') => out.push_str(r"\-"),
            '(' if !class => {
                group(after)?;
                out.push('(');
            }
            '{' if !class => match quantifier(after) {
                Some((text, tail)) => {
                    out.push_str(&text);
                    rest = tail;
                    possessive(rest)?;
                    continue;
                }
                None => out.push_str(r"\{"),
            },
            '}' if !class => out.push_str(r"\}"),
            '*' | '+' | '?' if !class => {
                out.push(c);
                possessive(after)?;
            }
            other => out.push(other),
        }
        rest = after;
    }
    Ok(out)
}

/// What a group begins with tells whether it can be honoured.
fn group(after: &str) -> Result<(), PatternError> {
    const REFUSED: [(&str, &str); 9] = [
        ("?=", "look-ahead assertions `(?=…)`"),
        ("?!", "look-ahead assertions `(?!…)`"),
        ("?<=", "look-behind assertions `(?<=…)`"),
        ("?<!", "look-behind assertions `(?<!…)`"),
        ("?P=", "back references `(?P=…)`"),
        ("?(", "conditional groups `(?(…)…)`"),
        ("?>", "atomic groups `(?>…)`"),
        ("?#", "comments `(?#…)`"),
        ("?L", "locale flags `(?L)`"),
    ];
    match REFUSED.iter().find(|(begin, _)| after.starts_with(begin)) {
        Some((_, what)) => Err(PatternError::Unsupported(what)),
        None => Ok(()),
    }
}

fn possessive(after: &str) -> Result<(), PatternError> {
    match after.starts_with('+') {
        true => Err(PatternError::Unsupported("possessive quantifiers such as `*+`")),
        false => Ok(()),
    }
}

/// `{m}`, `{m,}`, `{m,n}` or `{,n}` after its opening brace, as Rust writes it, and what follows.
fn quantifier(after: &str) -> Option<(String, &str)> {
    let (inner, tail) = after.split_once('}')?;
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (low, high) = inner.split_once(',').map_or((inner, None), |(l, h)| (l, Some(h)));
    let legal = digits(low) && high.is_none_or(digits) && (!low.is_empty() || high.is_some_and(|h| !h.is_empty()));
    let low = if low.is_empty() { "0" } else { low };
    legal.then(|| (high.map_or(format!("{{{low}}}"), |high| format!("{{{low},{high}}}")), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, text: &str) -> Option<String> {
        replace(&parse(pattern).unwrap(), text, "shop/web:1$0")
    }

    #[test]
    fn python_s_braces_are_literal_unless_they_are_quantifiers() {
        assert_eq!(replaced("{{image_id}}", "run {{image_id}}").as_deref(), Some("run shop/web:1$0"));
        assert_eq!(replaced("a{,2}b", "aab!").as_deref(), Some("shop/web:1$0!"));
        assert_eq!(replaced("x{2}", "xx").as_deref(), Some("shop/web:1$0"));
        assert_eq!(replaced("a{x}", "a{x}").as_deref(), Some("shop/web:1$0"));
    }

    #[test]
    fn every_line_counts_and_every_match() {
        assert_eq!(replaced("^IMAGE$", "IMAGE\n#IMAGE\nIMAGE").as_deref(), Some("shop/web:1$0\n#IMAGE\nshop/web:1$0"));
        assert_eq!(replaced("I.E", "I\nE"), None);
        assert_eq!(replaced(r"put\.here", "put-here"), None);
    }

    #[test]
    fn classes_mean_what_they_mean_in_python() {
        assert_eq!(replaced("[[&&x]", "&").as_deref(), Some("shop/web:1$0"));
        assert_eq!(replaced("[]a]b", "]b").as_deref(), Some("shop/web:1$0"));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for pattern in [r"(?=a)", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", r"a*+", r"(?>a)", "(a)(?(1)b|c)", "a{2}+"] {
            assert!(matches!(parse(pattern), Err(PatternError::Unsupported(_))), "{pattern}");
        }
        assert!(matches!(parse("(a"), Err(PatternError::Syntax(_))));
        assert_eq!(parse("x*").map(|_| ()), Err(PatternError::Empty));
    }
}

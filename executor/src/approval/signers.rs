//! The file of allowed signers, as `ssh-keygen(1)` describes it under ALLOWED SIGNERS, so that one file serves git and
//! Belay.
//!
//! Invariants: a line that is not understood refuses the whole file, because a line that is left out could be the one
//! that takes a right away; nothing here depends on the machine: a time without `Z`, which `ssh-keygen` reads in the
//! local time zone, is refused.

use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use crate::time::parse_digits;

/// What a file of allowed signers says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

/// One line: whose key, for what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The line's number, from 1.
    pub line: usize,
    /// Patterns of names.
    pub principals: Vec<String>,
    /// The key.
    pub key: KeyData,
    namespaces: Option<Vec<String>>,
    valid_after: Option<u64>,
    valid_before: Option<u64>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SignersError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl AllowedSigners {
    /// Reads a file.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let mut signers = Vec::new();
        for (ix, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let number = ix + 1;
            signers.push(signer(content, number).map_err(|reason| SignersError { line: number, reason })?);
        }
        Ok(Self { signers })
    }

    /// The first line that lists a key, whether it may sign or not.
    pub fn owner(&self, key: &KeyData) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.key == *key)
    }

    /// The line by which a key may sign for a purpose at a time (seconds since the epoch).
    ///
    /// # Errors
    /// Why none does.
    pub fn find(&self, key: &KeyData, namespace: &str, now: u64) -> Result<&Signer, String> {
        let mut reasons = Vec::new();
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            match signer.objection(namespace, now) {
                None => return Ok(signer),
                Some(reason) => reasons.push(format!("line {}: {reason}", signer.line)),
            }
        }
        if reasons.is_empty() { Err("its key is not listed".to_owned()) } else { Err(reasons.join("; ")) }
    }
}

impl Signer {
    /// The signer's name: the principals, as they are written.
    pub fn name(&self) -> String {
        self.principals.join(",")
    }

    /// Whether both may be the same person: the same key, or a name that both lines give.
    pub fn may_be(&self, other: &Self) -> bool {
        let names = |signer: &Self| signer.principals.clone().into_iter().filter(|name| !name.starts_with('!'));
        let meets = |one: &str, two: &str| matches(one, two) || matches(two, one);
        self.key == other.key || names(self).any(|one| names(other).any(|two| meets(&one, &two)))
    }

    fn objection(&self, namespace: &str, now: u64) -> Option<String> {
        if let Some(allowed) = &self.namespaces
            && !in_list(allowed, namespace)
        {
            return Some(format!("the key is for `namespaces=\"{}\"`, not for \"{namespace}\"", allowed.join(",")));
        }
        let said = |at: u64| crate::time::rfc3339(at.saturating_mul(1000));
        if let Some(from) = self.valid_after.filter(|from| now < *from) {
            return Some(format!("the key is valid only after {}", said(from)));
        }
        self.valid_before.filter(|until| now > *until).map(|until| format!("the key was valid before {}", said(until)))
    }
}

/// `PRINCIPALS [OPTIONS] KEYTYPE KEY [COMMENT]`
fn signer(line: &str, number: usize) -> Result<Signer, String> {
    let (principals, rest) = word(line)?;
    let principals = list(unquoted(principals));
    if principals.iter().all(|name| name.is_empty() || name.starts_with('!')) {
        return Err("it names nobody".to_owned());
    }
    let (first, after) = word(rest)?;
    let (options, key) = if is_key_type(first) { ("", rest) } else { (first, after) };
    let mut signer =
        Signer { line: number, principals, key: key_of(key)?, namespaces: None, valid_after: None, valid_before: None };
    let mut options = options;
    while !options.is_empty() {
        let (option, rest) = split(options, ',')?;
        options = rest;
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = unquoted(value);
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if signer.namespaces.is_none() => signer.namespaces = Some(list(value)),
            "valid-after" if signer.valid_after.is_none() => signer.valid_after = Some(time(name, value)?),
            "valid-before" if signer.valid_before.is_none() => signer.valid_before = Some(time(name, value)?),
            "namespaces" | "valid-after" | "valid-before" => return Err(format!("`{name}` is given twice")),
            "cert-authority" => {
                return Err("`cert-authority` is not supported: list the keys of the signers themselves".to_owned());
            }
            _ => {
                return Err(format!(
                    "`{option}` is neither a type of key nor one of the options namespaces, valid-after, valid-before"
                ));
            }
        }
    }
    if let (Some(from), Some(until)) = (signer.valid_after, signer.valid_before)
        && until <= from
    {
        return Err("`valid-before` is not after `valid-after`".to_owned());
    }
    Ok(signer)
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| word.starts_with(prefix))
}

fn key_of(text: &str) -> Result<KeyData, String> {
    if text.trim().is_empty() {
        return Err("the key is missing".to_owned());
    }
    if text.split_whitespace().next().is_some_and(|kind| kind.contains("-cert-")) {
        return Err("certificates are not supported: list the key itself".to_owned());
    }
    PublicKey::from_openssh(text)
        .map(|key| key.key_data().clone())
        .map_err(|error| format!("its key cannot be read: {error}"))
}

/// The first word, whose quoted parts may hold spaces, and what follows.
fn word(text: &str) -> Result<(&str, &str), String> {
    split(text.trim_start(), ' ')
}

/// The text up to a separator outside quotes, and what follows it. A tab separates as a space does.
fn split(text: &str, separator: char) -> Result<(&str, &str), String> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if !quoted && (c == separator || (separator == ' ' && c == '\t')) => {
                return Ok((&text[..at], &text[at + 1..]));
            }
            _ => {}
        }
    }
    if quoted { Err("a quotation mark is not closed".to_owned()) } else { Ok((text, "")) }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

/// `YYYYMMDD[HHMM[SS]]Z`
fn time(name: &str, text: &str) -> Result<u64, String> {
    let Some(digits) = text.strip_suffix(['Z', 'z']) else {
        return Err(format!(
            "`{name}=\"{text}\"` is another moment in every time zone: end it with Z, as in \"{}Z\"",
            if text.is_empty() { "20260131" } else { text }
        ));
    };
    let full = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    parse_digits(&full).ok_or_else(|| format!("`{name}=\"{text}\"` is not a time such as 20260131Z or 202601311200Z"))
}

/// Whether a list of patterns admits a text: one matches, and none with `!` does.
fn in_list(patterns: &[String], text: &str) -> bool {
    let denied = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(|p| matches(p, text));
    !denied && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| matches(p, text))
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                // The last star takes one character more.
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_ssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*@example.com", "ann@example.com", true),
            ("*@example.com", "ann@example.org", false),
            ("a?n", "ann", true),
            ("a?n", "an", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("belay-*", "belay-approval", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let list = |text: &str| list(text);
        assert!(in_list(&list("git,belay-approval"), "belay-approval"));
        assert!(!in_list(&list("*,!belay-approval"), "belay-approval"));
        assert!(!in_list(&list("!git"), "belay-approval"), "what only denies admits nothing");
    }
}

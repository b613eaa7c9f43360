//! Literal values that look like secrets: plans are read by many people, so they are refused unless the model says that
//! they are none.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use belay_schemas::model::Text;
use regex::Regex;
use serde_json::Value;

use crate::diagnostics::{Diagnostic, Place, Report};
use crate::source::Loaded;

/// Names whose literal values are hardly anything else.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(^|[_.-])(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)([_.-](key|value))?$").ok()
});
/// Values that are secrets whatever they are called.
static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        \b(AKIA|ASIA)[0-9A-Z]{16}\b                      # AWS access key ids
        | -----BEGIN\ ([A-Z]+\ )?PRIVATE\ KEY-----
        | ^gh[pousr]_[A-Za-z0-9]{36,}$                   # GitHub tokens
        | ^xox[abprs]-[A-Za-z0-9-]{10,}$                 # Slack tokens
        | ^eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.  # JSON web tokens
        | ://[^/\s:@]+:[^/\s@]+@                         # a password in a URL
    ",
    )
    .ok()
});

/// Whether a literal value is likely to be a secret: by the variable's name, or by the value itself.
pub fn looks_secret(name: &str, value: &str) -> bool {
    let matches = |pattern: &LazyLock<Option<Regex>>, text: &str| pattern.as_ref().is_some_and(|r| r.is_match(text));
    let says_nothing = matches!(value, "" | "true" | "false");
    !says_nothing && (matches(&NAME, name) || matches(&VALUE, value))
}

/// A name in a text with its value, where the name says that the value is a secret.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)[\w.-]*(?:password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credential)[\w.-]*["']?\s*[:=]\s*["']?([^\s"',\[\]{}$]+)"#).ok()
});

/// Whether a key's name says that its value is a secret.
pub fn names_secret(name: &str) -> bool {
    let aws = matches!(name, "access_key_id" | "aws_access_key_id" | "secret_acces_key");
    aws || NAME.as_ref().is_some_and(|r| r.is_match(name))
}

/// A text to show, with asterisks for what looks like a secret: diagnostics are read in the logs of builds. Every byte
/// keeps its place.
pub fn hidden(text: &str) -> Cow<'_, str> {
    let named = NAMED.iter().flat_map(|r| r.captures_iter(text)).filter_map(|c| c.get(1));
    let bare = VALUE.iter().flat_map(|r| r.find_iter(text));
    let mut ranges = named.chain(bare).map(|found| found.range()).peekable();
    if ranges.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut shown = text.to_owned();
    for range in ranges {
        shown.replace_range(range.clone(), &"*".repeat(range.len()));
    }
    Cow::Owned(shown)
}

/// The refusal of a literal value that looks like a secret.
pub fn refusal(name: &str, at: Place) -> Diagnostic {
    Diagnostic::error("B311", format!("the literal value of `{name}` looks like a secret"))
        .at(at)
        .help("plans are read in pull requests: keep it in SSM or Secrets Manager and refer to it with `secrets: [{name: …, valueFrom: …}]` in `raw`")
        .help(format!("if it is no secret, add `allow_plaintext: [{name}]`"))
}

/// Whether a value is an AWS access key id, or the secret half where its name says so.
fn is_aws_key(name: &str, value: &str) -> bool {
    let matches = |pattern: &LazyLock<Option<Regex>>, text: &str| pattern.as_ref().is_some_and(|r| r.is_match(text));
    matches(&AWS_ID, value) || (matches(&AWS_SECRET_NAME, name) && matches(&AWS_SECRET, value))
}

static AWS_ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b").ok());
static AWS_SECRET_NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(secret_?acces_?key|secret_?access_?key|aws_?secret)").ok());
static AWS_SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[A-Za-z0-9/+=]{40}$").ok());

/// Variables are no better a place for AWS credentials than the plugin's settings, used or not.
fn credentials(name: &str, value: &Value, at: &Place, report: &mut Report) {
    match value {
        Value::String(text) if is_aws_key(name, text) => report.push(
            Diagnostic::error("B310", format!("the variable `{name}` puts AWS credentials into a file"))
                .at(at.clone().key())
                .label("remove this key")
                .help("`belay` finds its own credentials as the AWS CLI does (profile, SSO, role); a component gets them from its task role (`plugin.ec2-ecs.role`)")
                .help("if this key was ever committed, deactivate it in IAM"),
        ),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                credentials(name, item, &at.child(index.to_string()), report);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                credentials(name, value, &at.child(name), report);
            }
        }
        _ => {}
    }
}

pub fn check(loaded: &Loaded, report: &mut Report) {
    for (name, value) in &loaded.environment.vars {
        credentials(name, value, &Place::environment(["vars", name]), report);
    }
    for (name, component) in &loaded.model.components {
        let at = Place::model(["components", name]);
        variables(&component.env, &component.allow_plaintext, &at, report);
        for (sidecar, container) in &component.containers {
            variables(&container.env, &container.allow_plaintext, &at.child("containers").child(sidecar), report);
        }
    }
}

fn variables(env: &BTreeMap<String, Text>, allowed: &BTreeSet<String>, at: &Place, report: &mut Report) {
    for (name, value) in env {
        if allowed.contains(name) {
            continue;
        }
        if looks_secret(name, &value.0) {
            report.push(refusal(name, at.child("env").child(name).key()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_nothing_moves() {
        let text = "aws: {access_key: AKIAIOSFODNN7EXAMPLE, secret_key: 'wJal/rX=', region: eu} # token=äö ${TOKEN}";
        let shown = hidden(text);
        assert_eq!(
            shown,
            "aws: {access_key: ********************, secret_key: '********', region: eu} # token=**** ${TOKEN}"
        );
        assert_eq!(shown.len(), text.len());
        assert!(matches!(hidden("DB_PASSWORD: ${password}, secrets: [{name: x}]"), Cow::Borrowed(_)));
        assert_eq!(hidden("key: AKIAIOSFODNN7EXAMPLE"), "key: ********************");
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["access_key_id", "secret_access_key", "secret_key", "aws_access_key", "db-password"] {
            assert!(names_secret(name), "{name}");
        }
        assert!(!names_secret("tag_prefix"));
    }
}

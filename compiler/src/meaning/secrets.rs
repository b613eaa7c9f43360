//! Literal values that look like secrets: plans are read by many people, so they are refused unless the model says that
//! they are none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use belay_schemas::model::Text;
use regex::Regex;

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

/// The refusal of a literal value that looks like a secret.
pub fn refusal(name: &str, at: Place) -> Diagnostic {
    Diagnostic::error("B311", format!("the literal value of `{name}` looks like a secret"))
        .at(at)
        .help("plans are read in pull requests: keep it in SSM or Secrets Manager and refer to it with `secrets: [{name: …, valueFrom: …}]` in `raw`")
        .help(format!("if it is no secret, add `allow_plaintext: [{name}]`"))
}

pub fn check(loaded: &Loaded, report: &mut Report) {
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

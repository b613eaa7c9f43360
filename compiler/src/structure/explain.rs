//! A schema violation in words, at its place.

use std::borrow::Cow;

use belay_schemas::model::TEXT_KEYWORD;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Violation;
use serde_json::Value as Json;

use super::{Form, elsewhere};
use crate::diagnostics::{Diagnostic, Files, Span, push_step};
use crate::meaning::secrets;
use crate::nearest::nearest;
use crate::source::tree::Node;

/// Whether a missing key was only misspelt: then the unknown key says it better.
pub(super) fn is_misspelt(error: &ValidationError<'_>, all: &[ValidationError<'_>]) -> bool {
    let Violation::Required { property } = error.kind() else { return false };
    let wanted = property.as_str().unwrap_or_default();
    let siblings = all.iter().filter(|other| other.instance_path() == error.instance_path());
    siblings
        .filter_map(|other| match other.kind() {
            Violation::AdditionalProperties { unexpected } => Some(unexpected),
            _ => None,
        })
        .flatten()
        .any(|key| nearest(key, [wanted]).is_some())
}

/// Most names that a help text lists.
const LISTED: usize = 16;

pub(super) fn explain(error: &ValidationError<'_>, form: &Form, tree: &Node, files: &Files) -> Vec<Diagnostic> {
    let pointer = error.instance_path().as_str();
    let value: &Json = error.instance();
    let place = || tree.find(pointer, false);
    let named = named(pointer);
    // The schema that holds the violated keyword.
    let keyword = error.schema_path().as_str();
    let schema =
        keyword.rsplit_once('/').and_then(|(parent, _)| form.schema.pointer(&dereference(parent, &form.schema)));
    let one = match error.kind() {
        Violation::AdditionalProperties { unexpected } => {
            return unexpected.iter().map(|key| unknown_key(key, pointer, schema, form, tree)).collect();
        }
        Violation::Required { property } => missing_key(property.as_str().unwrap_or_default(), pointer, schema, tree),
        Violation::Type { .. } => wrong_type(value, schema, &named, place(), files),
        Violation::Enum { options } => impossible(value, options, &named, place()),
        Violation::Minimum { limit } => range(value, schema, &named, "at least", limit, place()),
        Violation::Maximum { limit } => range(value, schema, &named, "at most", limit, place()),
        Violation::MinLength { .. } | Violation::MinItems { .. } | Violation::MinProperties { .. } => {
            let help = described(schema).unwrap_or_else(|| "write at least one, or remove the key".to_owned());
            Diagnostic::error("B204", format!("{named} must not be empty")).at(place()).help(help)
        }
        Violation::MaxLength { limit } => {
            let message = format!("{named} has more than {limit} characters");
            Diagnostic::error("B204", message).at(place()).help(format!("write at most {limit}"))
        }
        Violation::Pattern { pattern } => wrong_form(value, pattern, schema, &named, place()),
        Violation::UniqueItems => {
            let message = format!("{named} lists something twice");
            Diagnostic::error("B207", message).at(place()).help("list each item once")
        }
        _ => {
            let help = "`belayc schema model` and `belayc schema environment` say what fits";
            Diagnostic::error("B207", error.to_string()).at(place()).help(help)
        }
    };
    vec![one]
}

fn impossible(value: &Json, options: &Json, named: &str, span: Span) -> Diagnostic {
    let options: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
    let message = format!("{} is not a possible value of {named}", describe(value));
    let mut diagnostic = Diagnostic::error("B206", message).at(span);
    if let Some(near) = nearest(&plain(value), options.iter().map(String::as_str)) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    diagnostic.help(format!("possible: {}", list(&options)))
}

fn wrong_form(value: &Json, pattern: &str, schema: Option<&Json>, named: &str, span: Span) -> Diagnostic {
    let message = format!("{} does not have the form of {named}", describe(value));
    let mut diagnostic = Diagnostic::error("B205", message).at(span);
    diagnostic = match schema.and_then(|s| s.get("description")).and_then(Json::as_str) {
        Some(description) => diagnostic.help(first_sentence(description)),
        None => diagnostic.help(format!("it has to match `{pattern}`")),
    };
    if let Some(examples) = schema.and_then(|s| s.get("examples")).and_then(Json::as_array) {
        let shown: Vec<String> = examples.iter().map(|e| format!("`{e}`")).collect();
        diagnostic = diagnostic.help(format!("for example {}", shown.join(", ")));
    }
    diagnostic
}

fn unknown_key(key: &str, parent: &str, schema: Option<&Json>, form: &Form, tree: &Node) -> Diagnostic {
    let mut pointer = parent.to_owned();
    push_step(&mut pointer, key);
    let mut known: Vec<&str> = schema
        .and_then(|s| s.get("properties"))
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(k, _)| k.as_str())
        .collect();
    // Keys that exist to be refused are nobody's suggestion.
    known.retain(|known| !secrets::names_secret(known));
    known.sort_unstable();
    let owner = owner(parent);
    let mut diagnostic = Diagnostic::error("B201", format!("unknown key `{key}`{owner}"))
        .at(tree.find(&pointer, true))
        .label("not known here");
    let near = nearest(key, known.iter().copied());
    if secrets::names_secret(key) {
        return diagnostic.help("secrets do not belong into files that are committed: `belay` finds AWS credentials as the AWS CLI does, containers get theirs from SSM or Secrets Manager");
    }
    if let Some(near) = near {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    let elsewhere = if near.is_none() { elsewhere(key, parent, form) } else { None };
    let told = near.is_some() || elsewhere.is_some();
    if let Some(elsewhere) = elsewhere {
        diagnostic = diagnostic.help(elsewhere);
    }
    if known.is_empty() {
        diagnostic = diagnostic.help("no keys are known here");
    } else if !told || known.len() <= LISTED {
        diagnostic = diagnostic.help(format!("known here: {}", known.join(", ")));
    }
    diagnostic
}

/// Where a key is known that is not known here.
fn elsewhere(key: &str, parent: &str, form: &Form) -> Option<String> {
    let steps: Vec<&str> = parent.split('/').skip(1).collect();
    let places = elsewhere::known(&form.shapes, key, &steps);
    let words = |place: &String| match owner(place) {
        top if top.is_empty() => " at the top of the file".to_owned(),
        owner => owner,
    };
    let words: Vec<String> = places.iter().map(words).collect();
    if words.is_empty() { None } else { Some(format!("`{key}` is known{}", words.join(" and"))) }
}

fn missing_key(key: &str, parent: &str, schema: Option<&Json>, tree: &Node) -> Diagnostic {
    let mut pointer = parent.to_owned();
    push_step(&mut pointer, key);
    let written = tree.written(&pointer);
    let owner = owner(parent);
    let description = schema.and_then(|s| s.pointer(&format!("/properties/{key}/description"))).and_then(Json::as_str);
    let (message, span) = match written {
        Some(key_span) => (format!("the key `{key}`{owner} has no value"), key_span),
        None => (format!("the key `{key}` is missing{owner}"), tree.find(parent, false)),
    };
    let mut diagnostic = Diagnostic::error("B203", message).at(span);
    if let Some(description) = description {
        diagnostic = diagnostic.help(format!("`{key}`: {}", first_sentence(description)));
    }
    diagnostic
}

fn wrong_type(value: &Json, schema: Option<&Json>, named: &str, span: Span, files: &Files) -> Diagnostic {
    let types: Vec<&str> = match schema.and_then(|s| s.get("type")) {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let number = types.contains(&"number");
    let text_only = schema.is_some_and(|s| s.get(TEXT_KEYWORD).is_some());
    let words: Vec<&str> = types
        .iter()
        .filter(|t| !text_only || **t == "string")
        .filter_map(|t| match *t {
            "string" => Some("a text"),
            "integer" if !number => Some("a whole number"),
            "number" => Some("a number"),
            "boolean" => Some("true or false"),
            "array" => Some("a list"),
            "object" => Some("a mapping"),
            _ => None,
        })
        .collect();
    let expected = match words.as_slice() {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    };
    let message = match value {
        Json::Null => format!("{named} has no value; it should be {expected}"),
        value => format!("{named} should be {expected}, but is {}", describe(value)),
    };
    let mut diagnostic = Diagnostic::error("B202", message).at(span).label(format!("expected {expected}"));
    match value {
        Json::String(text)
            if types.contains(&"boolean")
                && matches!(text.as_str(), "yes" | "on" | "Yes" | "On" | "YES" | "ON" | "y") =>
        {
            diagnostic = diagnostic.help("write `true`; in YAML 1.2 `yes` and `on` are texts");
        }
        Json::String(text)
            if types.contains(&"boolean")
                && matches!(text.as_str(), "no" | "off" | "No" | "Off" | "NO" | "OFF" | "n") =>
        {
            diagnostic = diagnostic.help("write `false`; in YAML 1.2 `no` and `off` are texts");
        }
        Json::String(text) if types.contains(&"integer") && text.parse::<u64>().is_ok() => {
            diagnostic =
                diagnostic.help(format!("write it without quotes: {}", text.parse::<u64>().unwrap_or_default()));
        }
        Json::Number(_) | Json::Bool(_) if types.contains(&"string") => {
            // As it was written: 1.10 is not 1.1.
            let written = files.get(span.file).map_or("", |file| file.slice(span));
            diagnostic = diagnostic.help(format!("quote it: \"{written}\""));
        }
        Json::Array(items) if items.is_empty() && types.contains(&"object") => {
            diagnostic = diagnostic.help("write `{}`")
        }
        _ => {}
    }
    if diagnostic.help.is_empty() {
        diagnostic = diagnostic.help(described(schema).unwrap_or_else(|| format!("write {expected}")));
    }
    diagnostic
}

fn range(value: &Json, schema: Option<&Json>, named: &str, words: &str, limit: &Json, span: Span) -> Diagnostic {
    let message = format!("{named} must be {words} {limit}, but is {}", plain(value));
    let help = described(schema).unwrap_or_else(|| format!("write a number of {words} {limit}"));
    Diagnostic::error("B204", message).at(span).label(format!("{words} {limit}")).help(help)
}

/// What a value means, in the schema's own words.
fn described(schema: Option<&Json>) -> Option<String> {
    schema.and_then(|s| s.get("description")).and_then(Json::as_str).map(first_sentence)
}

/// What a pointer leads to: a key by its name, an item by its list.
fn named(pointer: &str) -> String {
    let step = |text: &str| text.replace("~1", "/").replace("~0", "~");
    let mut steps = pointer.rsplit('/');
    match (steps.next(), steps.find(|s| !is_index(s))) {
        (Some(last), Some(list)) if is_index(last) && !list.is_empty() => format!("an item of `{}`", step(list)),
        (Some(last), _) if !last.is_empty() && !is_index(last) => format!("`{}`", step(last)),
        _ => "it".to_owned(),
    }
}

fn is_index(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())
}

/// " in component `web`", for a pointer into one.
fn owner(parent: &str) -> String {
    let steps: Vec<String> =
        parent.split('/').skip(1).filter(|s| !is_index(s)).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
    let whose = |kind: &str, name: &str, rest: &[String]| match rest {
        [] => format!(" in {kind} `{name}`"),
        rest => format!(" in `{}` of {kind} `{name}`", rest.join(".")),
    };
    match steps.as_slice() {
        [] => String::new(),
        [first, name, rest @ ..] if first == "components" => whose("component", name, rest),
        [first, name, rest @ ..] if first == "gateways" => whose("gateway", name, rest),
        steps => format!(" in `{}`", steps.join(".")),
    }
}

/// A value in a message; long ones are cut.
fn describe(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::Bool(value) => format!("the boolean `{value}`"),
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) if text.is_empty() => "an empty text".into(),
        Json::String(text) => format!("the text `{}`", cut(text)),
        Json::Array(items) if items.is_empty() => "an empty list".into(),
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "a mapping".into(),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> Cow<'_, str> {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &line[..at]).into(),
        None if line.len() < text.len() => format!("{line}…").into(),
        None => line.into(),
    }
}

fn list(options: &[String]) -> String {
    let shown: Vec<String> = options.iter().map(|o| format!("`{o}`")).collect();
    shown.join(", ")
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").unwrap_or(text.len());
    text[..end].trim_end_matches('.').replace('\n', " ")
}

/// A schema path that goes through `$ref` as a pointer into the document.
fn dereference(path: &str, schema: &Json) -> String {
    let mut out = String::new();
    for step in path.split('/').skip(1) {
        if step == "$ref" {
            let reference = schema.pointer(&out).and_then(|s| s.get("$ref")).and_then(Json::as_str).unwrap_or("#");
            out = reference.trim_start_matches('#').to_owned();
        } else {
            out.push('/');
            out.push_str(step);
        }
    }
    out
}

//! What a side answered, made comparable.
//!
//! Invariants: normalisation looks at one answer's texts only and never at which side gave it; a difference that is
//! listed but does not occur is a fault, as is one that occurs but is not listed.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::Side;

/// A place where the two are known to differ.
pub struct Difference {
    /// The step's name; `*`: any.
    pub step: &'static str,
    /// The path, with `*` for any one part: `/services/*/events`. What is below it is not compared either.
    pub path: String,
    /// Which of the two is not as AWS is, and how.
    pub reason: &'static str,
}

/// A listed difference.
pub fn differs(step: &'static str, path: impl Into<String>, reason: &'static str) -> Difference {
    Difference { step, path: path.into(), reason }
}

/// The steps of a scenario and what was answered.
pub struct Transcript {
    side: Side,
    steps: Vec<(&'static str, Value)>,
}

impl Transcript {
    pub fn new(side: Side) -> Self {
        Self { side, steps: Vec::new() }
    }

    /// Makes a call and keeps its answer under a name. Gives the answer as it came.
    pub fn step(&mut self, name: &'static str, service: &str, operation: &str, input: Value) -> Value {
        let answer = self.side.call(service, operation, &input);
        self.steps.push((name, answer.clone()));
        answer
    }

    /// Makes a call whose answer is not compared.
    pub fn aside(&mut self, service: &str, operation: &str, input: Value) -> Value {
        self.side.call(service, operation, &input)
    }

    /// Lets everything that was set off come to its end.
    pub fn settle(&mut self) {
        self.side.settle();
    }

    fn flat(&self) -> BTreeMap<(usize, &'static str, String), Value> {
        let names = Names::new();
        let mut all = BTreeMap::new();
        for (index, (name, answer)) in self.steps.iter().enumerate() {
            let mut leaves = Vec::new();
            flatten(&names.normal("", answer), String::new(), &mut leaves);
            all.extend(leaves.into_iter().map(|(path, value)| ((index, *name, path), value)));
        }
        all
    }
}

/// Panics with all unlisted differences, and all listed ones that are none.
pub fn compare(ours: Transcript, theirs: Transcript, differences: &[Difference]) {
    let (ours, theirs) = (ours.flat(), theirs.flat());
    assert!(ours.len() > 10, "a scenario that compares nothing");
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (ours, theirs) = (ours.get(key), theirs.get(key));
        if ours == theirs {
            continue;
        }
        let listed = differences.iter().position(|d| (d.step == "*" || d.step == key.1) && covers(&d.path, &key.2));
        if let Some(listed) = listed {
            used.insert(listed);
            continue;
        }
        let shown = |value: Option<&Value>| value.map_or_else(|| "(absent)".to_owned(), Value::to_string);
        wrong.push(format!("{} {}: simulated {}, peer {}", key.1, key.2, shown(ours), shown(theirs)));
    }
    for (index, difference) in differences.iter().enumerate() {
        if !used.contains(&index) {
            let Difference { step, path, reason } = difference;
            wrong.push(format!("{step} {path} is listed ({reason}), but does not differ"));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a pattern matches a path or the beginning of it.
fn covers(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

/// Scalars with their paths. An empty list or object, an absent one and null read the same: AWS itself writes now the
/// one and now the other, and no expression of a plan tells them apart.
fn flatten(value: &Value, path: String, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                flatten(inner, format!("{path}/{key}"), leaves);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                flatten(inner, format!("{path}/{index}"), leaves);
            }
        }
        Value::Null => {}
        scalar => leaves.push((path, scalar.clone())),
    }
}

/// What gets a name because it is another one each time.
struct Names {
    patterns: Vec<(Regex, &'static str)>,
}

/// Lists whose order AWS does not promise.
const SETS: [&str; 2] = ["compatibilities", "requiresAttributes"];

/// A list of attributes or tags as the map that it means: its order says nothing.
fn pairs(items: &[Value]) -> Option<Value> {
    let pair = |item: &Value| {
        let map = item.as_object().filter(|map| map.len() == 2)?;
        let of = |upper: &str, lower: &str| map.get(upper).or_else(|| map.get(lower)).cloned();
        Some((of("Key", "key")?.as_str()?.to_owned(), of("Value", "value")?))
    };
    items.iter().map(pair).collect::<Option<Map<String, Value>>>().map(Value::Object)
}

impl Names {
    fn new() -> Self {
        let patterns = [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
            (r"\b[0-9a-f]{32}\b", "<id>"),
            (r"ecs-svc/[0-9a-f]+", "ecs-svc/<id>"),
            (r"\b(targetgroup/[^/]+)/[0-9a-f]{16,17}\b", "$1/<id>"),
            (r"\b(app/[^/]+)/[0-9a-f]{16,17}\b", "$1/<id>"),
            (r"<id>/[0-9a-f]{16,17}\b", "<id>/<id>"),
            (r"\b(vpc|subnet|sg|i|lt|ami)-[0-9a-f]{8,17}\b", "$1-<id>"),
        ];
        Self { patterns: patterns.map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).into() }
    }

    fn normal(&self, key: &str, value: &Value) -> Value {
        match value {
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), self.normal(k, v))).collect(),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.normal("", item)).collect();
                if let Some(map) = pairs(&items) {
                    return map;
                }
                if SETS.contains(&key) {
                    items.sort_by_key(Value::to_string);
                }
                Value::Array(items)
            }
            Value::String(_) | Value::Number(_) if key.ends_with("At") || key == "CreatedTime" => json!("<moment>"),
            Value::String(text) => {
                let mut text = text.clone();
                for (pattern, name) in &self.patterns {
                    while let replaced = pattern.replace_all(&text, *name)
                        && replaced != text
                    {
                        text = replaced.into_owned();
                    }
                }
                Value::String(text)
            }
            other => other.clone(),
        }
    }
}

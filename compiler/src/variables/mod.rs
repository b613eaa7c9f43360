//! Substitution: variables and expressions in the values of the model and the environment.
//!
//! Invariants: no `${…}` survives; a value that is one substitution as a whole keeps the variable's type, inside a longer
//! text it becomes text; an undefined variable is always an error, told once with all its places. A variable without a
//! value (`host:`) counts as not defined, as everywhere an empty key counts as not written.

mod expression;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::Environment;
use minijinja::value::Value as Jinja;

use self::expression::Failure;
use self::template::Piece;
use crate::diagnostics::{Diagnostic, Files, Report, Span};
use crate::nearest::nearest;
use crate::source::scalar::{self, Resolved};
use crate::source::tree::{Mapping, Node, Scalar, Style, Value};

/// Variables that may refer to each other in a row.
const CHAIN: usize = 64;

/// The environment's `vars`, resolved on demand, and what went wrong with them.
pub(crate) struct Variables {
    all: BTreeMap<Arc<str>, Variable>,
    used: BTreeSet<String>,
    undefined: BTreeMap<String, Vec<Span>>,
    errors: Vec<Diagnostic>,
    chain: Vec<Arc<str>>,
    files: Files,
    /// A file of the environment, for help texts.
    home: String,
    evaluator: Environment<'static>,
}

struct Variable {
    declared: Span,
    state: State,
}

enum State {
    Raw(Node),
    Busy,
    Known(Node, Option<Jinja>),
    Failed,
}

/// The value of a substitution could not be told; the error is collected already.
struct Failed;

impl Variables {
    /// The variables of a merged environment. `home` is the file where one would define more.
    pub(crate) fn new(vars: Option<&Mapping>, files: Files, home: String) -> Self {
        let declared = vars.map(Mapping::entries).unwrap_or_default().iter();
        let all = declared
            .map(|e| (Arc::clone(&e.key), Variable { declared: e.key_span, state: State::Raw(e.value.clone()) }))
            .collect();
        Self {
            all,
            used: BTreeSet::new(),
            undefined: BTreeMap::new(),
            errors: Vec::new(),
            chain: Vec::new(),
            files,
            home,
            evaluator: expression::evaluator(),
        }
    }

    /// Replaces the raw values of `vars` by the resolved ones.
    pub(crate) fn resolve_all(&mut self, vars: &mut Mapping) {
        for entry in vars.entries_mut() {
            self.resolve(&entry.key, entry.key_span).ok();
            if let Some(Variable { state: State::Known(node, _), .. }) = self.all.get(&entry.key) {
                entry.value = node.clone();
            }
        }
    }

    /// Substitutes in all values of a tree.
    pub(crate) fn substitute(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Scalar(scalar) => {
                if scalar.resolved == Resolved::Text && template::has_substitution(&scalar.text) {
                    let scalar = scalar.clone();
                    if let Ok(value) = self.scalar(&scalar, node.span) {
                        node.value = value;
                    }
                }
            }
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.substitute(item)),
            Value::Mapping(mapping) => self.substitute_values(mapping, None),
        }
    }

    /// Substitutes in all values of a mapping but one.
    pub(crate) fn substitute_values(&mut self, mapping: &mut Mapping, except: Option<&str>) {
        for entry in mapping.entries_mut() {
            if template::has_substitution(&entry.key) {
                let message = format!("the key `{}` holds a substitution, but only values are substituted", entry.key);
                self.errors.push(Diagnostic::error("B107", message).at(entry.key_span).help("write the name out"));
            }
            if except != Some(&*entry.key) {
                self.substitute(&mut entry.value);
            }
        }
    }

    /// Whether anything used a variable.
    pub(crate) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// Hands over what went wrong.
    pub(crate) fn finish(self, report: &mut Report) {
        for (name, places) in &self.undefined {
            report.push(self.undefined(name, places));
        }
        self.errors.into_iter().for_each(|e| report.push(e));
    }

    fn undefined(&self, name: &str, places: &[Span]) -> Diagnostic {
        let empty = self.all.get(name);
        let what = if empty.is_some() { "has no value" } else { "is not defined" };
        let first = places.iter().min().copied();
        let mut diagnostic = Diagnostic::error("B101", format!("the variable `{name}` {what}"));
        if let Some(first) = first {
            diagnostic = diagnostic.at(first);
        }
        diagnostic = diagnostic.label(what);
        if let Some(variable) = empty {
            diagnostic = diagnostic.related(variable.declared, "declared here without a value");
        }
        let mut others: Vec<Span> = places.iter().copied().filter(|span| Some(*span) != first).collect();
        others.sort();
        for other in others.iter().take(2) {
            diagnostic = diagnostic.related(*other, "used here too");
        }
        if others.len() > 2 {
            diagnostic = diagnostic.help(format!("it is used in {} more places", others.len() - 2));
        }
        if let Some(near) = nearest(name, self.all.keys().map(|k| &**k).filter(|k| *k != name)) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        let define = if empty.is_some() { "give it a value" } else { "define it" };
        diagnostic.help(format!(
            "{define} under `vars` in {}, pass `--var {name}=…`, or write a default: `${{{name}-…}}`",
            self.home
        ))
    }

    /// Makes sure that a variable has its final value.
    fn resolve(&mut self, name: &str, used_at: Span) -> Result<(), Failed> {
        let Some((key, variable)) = self.all.get_key_value(name) else { return Err(Failed) };
        match variable.state {
            State::Known(..) => return Ok(()),
            State::Failed => return Err(Failed),
            State::Busy => {
                let start = self.chain.iter().position(|link| &**link == name).unwrap_or(0);
                let names: Vec<String> =
                    self.chain[start..].iter().chain([key]).map(|link| format!("`{link}`")).collect();
                let message = format!("variables refer to each other in a circle: {}", names.join(" → "));
                let declared = variable.declared;
                self.errors.push(
                    Diagnostic::error("B103", message)
                        .at(used_at)
                        .label("closes the circle")
                        .related(declared, format!("`{name}` is declared here"))
                        .help("give one of them a value of its own"),
                );
                return Err(Failed);
            }
            State::Raw(_) => {}
        }
        let key = Arc::clone(key);
        if self.chain.len() >= CHAIN {
            let message = format!("more than {CHAIN} variables refer to each other in a row");
            let help = "write the value where it is used, or refer to the variable that holds it";
            self.errors.push(Diagnostic::error("B103", message).at(used_at).help(help));
            self.set(&key, State::Failed);
            return Err(Failed);
        }
        let Some(State::Raw(mut node)) = self.set(&key, State::Busy) else { return Err(Failed) };
        self.chain.push(Arc::clone(&key));
        let before = (self.errors.len(), self.undefined.values().map(Vec::len).sum::<usize>());
        self.substitute(&mut node);
        self.chain.pop();
        let good = before == (self.errors.len(), self.undefined.values().map(Vec::len).sum());
        self.set(&key, if good { State::Known(node, None) } else { State::Failed });
        if good { Ok(()) } else { Err(Failed) }
    }

    fn set(&mut self, name: &str, state: State) -> Option<State> {
        self.all.get_mut(name).map(|variable| std::mem::replace(&mut variable.state, state))
    }

    /// The value of a variable, or nothing when it is not defined or has no value.
    fn lookup(&mut self, name: &str, at: Span) -> Result<Option<&Node>, Failed> {
        if !self.used.contains(name) {
            self.used.insert(name.to_owned());
        }
        if !self.all.contains_key(name) {
            return Ok(None);
        }
        self.resolve(name, at)?;
        match self.all.get(name) {
            Some(Variable { state: State::Known(node, _), .. }) if !node.is_null() => Ok(Some(node)),
            _ => Ok(None),
        }
    }

    fn scalar(&mut self, scalar: &Scalar, span: Span) -> Result<Value, Failed> {
        let text = &*scalar.text;
        let pieces = template::pieces(text).map_err(|malformed| {
            let at = self.part(span, text, &malformed.at);
            let diagnostic = Diagnostic::error("B102", malformed.message).at(at);
            self.errors.push(malformed.help.into_iter().fold(diagnostic, Diagnostic::help));
            Failed
        })?;
        if let [Piece::Variable { .. } | Piece::Expression { .. }] = pieces.as_slice() {
            let mut node = self.piece(&pieces[0], span, span, text)?;
            mark(&mut node);
            return Ok(node.value);
        }
        let mut out = String::with_capacity(text.len());
        let mut failed = false;
        for piece in &pieces {
            match piece {
                Piece::Text(part) => out.push_str(part),
                Piece::Variable { at, .. } | Piece::Expression { at, .. } => {
                    let part = self.part(span, text, at);
                    match self
                        .piece(piece, part, span, text)
                        .and_then(|node| self.text_of(node, &text[at.clone()], part))
                    {
                        Ok(value) => out.push_str(&value),
                        Err(Failed) => failed = true,
                    }
                }
            }
        }
        if failed {
            return Err(Failed);
        }
        let (text, style) = (out.into_boxed_str(), scalar.style);
        Ok(Value::Scalar(Scalar { resolved: Resolved::Text, text, style, substituted: false }))
    }

    /// The value of one substitution.
    fn piece(&mut self, piece: &Piece<'_>, at: Span, whole: Span, text: &str) -> Result<Node, Failed> {
        match piece {
            Piece::Text(part) => Ok(Node::scalar(Resolved::Text, *part, Style::Plain, at)),
            Piece::Variable { name, default, .. } => {
                let value = self.lookup(name, at)?;
                let empty = |node: &Node| matches!(&node.value, Value::Scalar(s) if s.text.is_empty());
                match (value, default) {
                    (Some(node), Some(default)) if default.if_empty && empty(node) => Ok(plain(default.text, at)),
                    (Some(node), _) => Ok(node.clone()),
                    (None, Some(default)) => Ok(plain(default.text, at)),
                    (None, None) => {
                        self.undefined.entry((*name).to_owned()).or_default().push(at);
                        Err(Failed)
                    }
                }
            }
            Piece::Expression { source, at: range } => {
                let at = self.part(whole, text, range);
                self.expression(source, at)
            }
        }
    }

    fn expression(&mut self, source: &str, at: Span) -> Result<Node, Failed> {
        let fails = |why: String| Diagnostic::error("B104", format!("the expression `{source}` fails: {why}")).at(at);
        let names = match expression::names(&self.evaluator, source) {
            Ok(names) => names,
            Err(Failure::Fails(why)) => {
                let help = "it is a minijinja expression over the environment's `vars`, such as `name ~ \"-suffix\"`";
                self.errors.push(fails(why).help(help));
                return Err(Failed);
            }
            Err(Failure::Undefined) => return Err(Failed),
        };
        let mut context = BTreeMap::new();
        let mut unknown = Vec::new();
        for name in names {
            if self.lookup(&name, at)?.is_none() {
                unknown.push(name);
                continue;
            }
            if let Some(Variable { state: State::Known(node, cache), .. }) = self.all.get_mut(name.as_str()) {
                let value = cache.get_or_insert_with(|| expression::from_node(node)).clone();
                context.insert(name, value);
            }
        }
        match expression::evaluate(&self.evaluator, source, context, at) {
            Ok(node) => Ok(node),
            Err(Failure::Undefined) if !unknown.is_empty() => {
                for name in unknown {
                    self.undefined.entry(name).or_default().push(at);
                }
                Err(Failed)
            }
            Err(Failure::Undefined) => {
                let message = format!("the expression `{source}` is not defined: a part of the variable is missing");
                let help = "check the names behind the dots, or give a default: `… | default(\"…\")`";
                self.errors.push(Diagnostic::error("B104", message).at(at).label("not defined").help(help));
                Err(Failed)
            }
            Err(Failure::Fails(why)) => {
                let help = match unknown.first() {
                    Some(name) => format!(
                        "define `{name}` under the environment's `vars`, pass `--var {name}=…`, or write `{name} | default(…)`"
                    ),
                    None => "check the values of the variables that it uses: a quoted number is a text".to_owned(),
                };
                self.errors.push(fails(why).help(help));
                Err(Failed)
            }
        }
    }

    fn text_of(&mut self, node: Node, shown: &str, at: Span) -> Result<Box<str>, Failed> {
        let kind = node.kind();
        match node.value {
            Value::Scalar(scalar) if scalar.resolved != Resolved::Null => Ok(scalar.text),
            _ => {
                let message = format!("`{shown}` is {kind} and cannot stand inside a text");
                let help = "let it be the whole value, or join it: `${{ name | join(\",\") }}`";
                self.errors.push(Diagnostic::error("B105", message).at(at).help(help));
                Err(Failed)
            }
        }
    }

    /// The part of a file where a part of a scalar's text stands; the whole scalar when escapes or folding hide it.
    fn part(&self, span: Span, text: &str, range: &std::ops::Range<usize>) -> Span {
        let Some(file) = self.files.get(span.file) else { return span };
        let (raw, wanted) = (file.slice(span), &text[range.clone()]);
        let earlier = text[..range.start].matches(wanted).count();
        match raw.match_indices(wanted).nth(earlier) {
            Some((at, _)) => {
                let start = span.start as usize + at;
                Span::new(span.file, start, start + wanted.len())
            }
            None => span,
        }
    }
}

/// A default or a `--var`: what a plain YAML scalar of that text would be.
pub(crate) fn plain(text: &str, span: Span) -> Node {
    Node::scalar(scalar::resolve(text).unwrap_or(Resolved::Text), text, Style::Plain, span)
}

/// The variables that a text as it was written refers to, each with the place of its default in the text.
pub(crate) fn mentioned(text: &str) -> Vec<(&str, Option<std::ops::Range<usize>>)> {
    let mut out = Vec::new();
    for piece in template::pieces(text).unwrap_or_default() {
        match piece {
            Piece::Text(_) => {}
            Piece::Variable { name, default, at } => {
                // `}` ends the substitution, right behind its default.
                out.push((name, default.map(|default| at.end - 1 - default.text.len()..at.end - 1)));
            }
            Piece::Expression { source, .. } => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                out.extend(source.split(|c| !word(c)).filter(|w| !w.is_empty()).map(|name| (name, None)));
            }
        }
    }
    out
}

/// Marks the scalars of a substituted value: their types may follow where they stand.
fn mark(node: &mut Node) {
    match &mut node.value {
        Value::Scalar(scalar) => scalar.substituted = true,
        Value::Sequence(items) => items.iter_mut().for_each(mark),
        Value::Mapping(mapping) => mapping.entries_mut().iter_mut().for_each(|e| mark(&mut e.value)),
    }
}

//! From YAML text to a tree with positions.
//!
//! Invariants: nothing recurses with the input; every error names a part of the file; after an error that does not
//! break the structure (a duplicate key, an unknown tag) reading goes on, so that all of them are told at once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};

use super::scalar::{self, Resolved, TooBig};
use super::tree::{Entry, Mapping, Node, Style, Value};
use super::{limits, syntax};
use crate::diagnostics::{Diagnostic, File, FileId, Report, Span};

/// Reads one file. Nothing comes back when the file has no usable structure; all errors are in the report.
pub(crate) fn read(id: FileId, report: &mut Report) -> Option<Node> {
    let file = Arc::clone(report.files.get(id)?);
    if let Err(diagnostic) = check_text(id, &file) {
        report.push(*diagnostic);
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: limits::DEPTH,
        block_nesting_limit: limits::DEPTH,
    };
    let mut reader = Reader {
        file: id,
        report,
        open: Vec::new(),
        root: None,
        documents: 0,
        keys: HashSet::new(),
        anchors: HashMap::new(),
        aliased: 0,
    };
    for event in Parser::new_from_str_with_options(&file.text, options) {
        match event {
            Ok((event, span)) => {
                let part = |span: granit_parser::Span| {
                    let range = span.byte_range().unwrap_or_default();
                    Span::new(id, range.start, range.end)
                };
                let tag_span = span.tag_span().map_or(part(span), part);
                if let Err(Stop(diagnostic)) = reader.take(event, part(span), tag_span) {
                    reader.report.push(*diagnostic);
                    return None;
                }
            }
            Err(error) => {
                let around =
                    reader.open.last().map(|open| (open.start, matches!(open.collection, Collection::Sequence(_))));
                reader.report.push(syntax::diagnostic(&error, around, id, &file));
                return None;
            }
        }
    }
    reader.finish()
}

/// Refuses what no YAML parser should see: too much text and control characters.
fn check_text(id: FileId, file: &File) -> Result<(), Box<Diagnostic>> {
    let text = file.text.as_str();
    if text.len() > limits::FILE_BYTES {
        let (size, limit) = (text.len() >> 20, limits::FILE_BYTES >> 20);
        return Err(Diagnostic::error("B004", format!("the file has {size} MiB; at most {limit} MiB are read"))
            .at(Span::new(id, 0, 0))
            .help("split the model into several projects")
            .into());
    }
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'),
    };
    match text.char_indices().find(|(_, c)| forbidden(*c)) {
        None => Ok(()),
        Some((at, c)) => {
            let name = if c == '\0' {
                "a NUL character".to_owned()
            } else {
                format!("the control character U+{:04X}", u32::from(c))
            };
            Err(Diagnostic::error("B003", format!("{name} is not allowed in YAML"))
                .at(Span::new(id, at, at + c.len_utf8()))
                .help("remove it, or write it as an escape in a double-quoted text, such as \"\\x1b\"")
                .into())
        }
    }
}

/// An error after which the rest of the file makes no sense.
struct Stop(Box<Diagnostic>);

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(Box::new(diagnostic))
    }
}

struct Reader<'a> {
    file: FileId,
    report: &'a mut Report,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// Keys repeat a lot; each is kept once.
    keys: HashSet<Arc<str>>,
    /// Anchored nodes that are complete; `None` while one is still being read.
    anchors: HashMap<usize, Option<Node>>,
    aliased: usize,
}

/// A collection that is being read.
struct Open {
    collection: Collection,
    start: usize,
    anchor: usize,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<Key>, merges: Vec<Node>, flow: bool },
}

enum Key {
    Name(Arc<str>, Span),
    Merge(Span),
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span, tag_span: Span) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::error("B007", "a second YAML document starts here")
                        .at(span)
                        .label("only one document is read from a file")
                        .help("put it into a file of its own")
                        .into());
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(text, style, tag.as_deref().map(|tag| (tag, tag_span)), span);
                self.place(node, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", tag_span);
                self.open(Collection::Sequence(Vec::new()), span, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", tag_span);
                let flow = style == StructureStyle::Flow;
                self.open(
                    Collection::Mapping { entries: Vec::new(), key: None, merges: Vec::new(), flow },
                    span,
                    anchor,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end as usize),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                Err(Diagnostic::error("B009", format!("no anchor `&{name}` comes before this alias"))
                    .at(span)
                    .help(format!("quote the text if no alias is meant: \"*{name}\""))
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<(&Tag, Span)>, span: Span) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let resolved = match tag {
            None if style == Style::Plain => scalar::resolve(&text),
            None => Ok(Resolved::Text),
            Some((tag, _)) if is_nonspecific(tag) => Ok(Resolved::Text),
            Some((tag, tag_span)) => match tag.core_suffix() {
                Some("str") => Ok(Resolved::Text),
                Some(core @ ("int" | "float" | "bool" | "null")) => tagged(core, &text).unwrap_or_else(|| {
                    let message = format!("`{text}` is not what its tag `!!{core}` says");
                    self.report.push(Diagnostic::error("B015", message).at(tag_span));
                    Ok(Resolved::Null)
                }),
                _ => {
                    self.unknown_tag(tag, tag_span);
                    scalar::resolve(&text)
                }
            },
        };
        // A value that is told to be wrong counts as not written, so that it is not accused a second time.
        let resolved = resolved.unwrap_or_else(|TooBig| {
            let diagnostic = Diagnostic::error("B013", format!("the whole number {text} does not fit into 64 bits"));
            self.report.push(diagnostic.at(span).help(format!("quote it if it is a text: \"{text}\"")));
            Resolved::Null
        });
        Node::scalar(resolved, text, style, span)
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, core: &str, span: Span) {
        if let Some(tag) = tag
            && !is_nonspecific(tag)
            && tag.core_suffix() != Some(core)
        {
            self.unknown_tag(tag, span);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, span: Span) {
        let message = format!("the tag `{}{}` means nothing here", tag.original_handle(), tag.suffix());
        let help =
            "remove it; `!!str`, `!!int`, `!!float`, `!!bool` and `!!null` are understood, and quotes make a text";
        self.report.push(Diagnostic::error("B015", message).at(span).help(help));
    }

    fn open(&mut self, collection: Collection, span: Span, anchor: usize) -> Result<(), Stop> {
        self.check_depth(self.open.len() + 1, span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { collection, start: span.start as usize, anchor });
        Ok(())
    }

    fn check_depth(&self, depth: usize, span: Span) -> Result<(), Stop> {
        if depth <= limits::DEPTH {
            return Ok(());
        }
        let message = format!("more than {} levels of nesting", limits::DEPTH);
        Err(Diagnostic::error("B011", message).at(span).help(limits::FLATTER).into())
    }

    fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(Open { collection, start, anchor }) = self.open.pop() else { return Ok(()) };
        let span = Span::new(self.file, start, end);
        let value = match collection {
            Collection::Sequence(mut items) => {
                items.shrink_to_fit();
                Value::Sequence(items)
            }
            Collection::Mapping { entries, merges, flow, .. } => {
                let report = &mut *self.report;
                let mut mapping = Mapping::new(entries, flow, |first, again| {
                    report.push(
                        Diagnostic::error(
                            "B008",
                            format!("the key `{}` is given twice in the same mapping", again.key),
                        )
                        .at(again.key_span)
                        .label("given again")
                        .related(first.key_span, "first given here")
                        .help("keep one of them, or give one another name"),
                    );
                });
                for merge in merges {
                    if let Value::Mapping(other) = merge.value {
                        mapping.add_missing(other.into_entries());
                    }
                }
                Value::Mapping(mapping)
            }
        };
        self.place(Node { value, span }, anchor)
    }

    /// A complete node goes where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            self.count(node.extent().0, node.span)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        let Some(Open { collection, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match collection {
            Collection::Sequence(items) => items.push(node),
            Collection::Mapping { entries, key, merges, .. } => match key.take() {
                None => *key = Some(read_key(node, &mut self.keys)?),
                Some(Key::Name(key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                Some(Key::Merge(span)) => read_merge(node, span, merges, self.report),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor).and_then(Option::as_ref) else {
            return Err(Diagnostic::error("B009", "this alias stands inside of what it stands for").at(span).into());
        };
        let (size, height) = node.extent();
        self.check_depth(self.open.len() + height, span)?;
        let node = node.clone();
        self.count(size, span)?;
        self.place(node, 0)
    }

    fn count(&mut self, size: usize, span: Span) -> Result<(), Stop> {
        self.aliased += size;
        if self.aliased <= limits::ALIASED_VALUES {
            return Ok(());
        }
        let message = "the anchors and aliases up to here stand for more than a million values";
        Err(Diagnostic::error("B010", message).at(span).help("write values out, or use fewer levels of aliases").into())
    }

    fn finish(self) -> Option<Node> {
        if let Some(node) = self.root.filter(|root| !root.is_null()) {
            return Some(node);
        }
        self.report.push(
            Diagnostic::error("B005", "the file holds no values")
                .at(Span::new(self.file, 0, 0))
                .help("a model starts with `components:`, an environment with `plugin_config:` or `vars:`; `{}` is an empty mapping"),
        );
        None
    }
}

/// `!`: a text, whatever it looks like.
fn is_nonspecific(tag: &Tag) -> bool {
    tag.original_handle() == "!" && tag.suffix().is_empty()
}

/// The value of a scalar with a core tag; `None` when the text is not of that type.
fn tagged(core: &str, text: &str) -> Option<Result<Resolved, TooBig>> {
    let resolved = match scalar::resolve(text) {
        Ok(resolved) => resolved,
        Err(TooBig) => return (core == "int").then_some(Err(TooBig)),
    };
    let fits = match (core, resolved) {
        ("int", Resolved::Unsigned(_) | Resolved::Negative(_)) | ("float", Resolved::Float(_)) => resolved,
        ("bool", Resolved::Bool(_)) | ("null", Resolved::Null) => resolved,
        #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
        ("float", Resolved::Unsigned(number)) => Resolved::Float(number as f64),
        #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
        ("float", Resolved::Negative(number)) => Resolved::Float(number as f64),
        _ => return None,
    };
    Some(Ok(fits))
}

fn read_key(node: Node, keys: &mut HashSet<Arc<str>>) -> Result<Key, Stop> {
    let span = node.span;
    let text = match node.value {
        Value::Scalar(scalar) if scalar.resolved != Resolved::Null => {
            if scalar.style == Style::Plain && &*scalar.text == "<<" {
                return Ok(Key::Merge(span));
            }
            scalar.text
        }
        other => {
            let kind = Node { value: other, span }.kind();
            return Err(Diagnostic::error("B012", format!("{kind} cannot be a key"))
                .at(span)
                .help("write a text; quote it if it holds one of `{`, `[`, `~` or `?`")
                .into());
        }
    };
    let key = match keys.get(&*text) {
        Some(known) => Arc::clone(known),
        None => {
            let key: Arc<str> = text.into();
            keys.insert(Arc::clone(&key));
            key
        }
    };
    Ok(Key::Name(key, span))
}

/// `<<: *defaults` or `<<: [*a, *b]`; of a list, the earlier wins.
fn read_merge(node: Node, key: Span, merges: &mut Vec<Node>, report: &mut Report) {
    let wrong = |node: &Node| {
        Diagnostic::error("B014", format!("`<<` merges mappings, not {}", node.kind()))
            .at(node.span)
            .related(key, "merged here")
            .help("write `<<: *name` with the anchor of a mapping, or a list of such: `<<: [*one, *two]`")
    };
    if !merges.is_empty() {
        let diagnostic = Diagnostic::error("B008", "the key `<<` is given twice in the same mapping").at(key);
        report.push(diagnostic.label("given again").help("merge several mappings with a list: `<<: [*one, *two]`"));
        return;
    }
    match node.value {
        Value::Mapping(_) => merges.push(node),
        Value::Sequence(items) => {
            for item in items {
                match item.value {
                    Value::Mapping(_) => merges.push(item),
                    _ => report.push(wrong(&item)),
                }
            }
        }
        Value::Scalar(_) => report.push(wrong(&node)),
    }
}

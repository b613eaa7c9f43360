//! Late values: well-formed, and known by the time when they are needed.

use super::sites::{Item, Known, Place, Site};
use super::view::View;
use super::{Findings, expressions::Expressions};
use crate::late::Late;
use crate::plan::{Action, Node};
use serde_json::Value;

pub(super) fn check<'p>(
    view: &View<'p>,
    at: usize,
    site: &Site<'p>,
    paths: &mut Expressions<'p>,
    found: &mut Findings,
) {
    let (value, polled) = match site.item {
        Item::Mutation(call) => (&call.input, None),
        Item::Read { call, polled } => (&call.input, Some(polled)),
        Item::Value(value) => (value, None),
        Item::Expressions { .. } => return,
    };
    let node = view.node(at);
    // The list that is cut into chunks cannot come out of a chunk.
    let own_list = node.each.as_ref().is_some_and(|each| std::ptr::eq(&each.over, value));
    let repeated = view.over(at).is_some() && !own_list;
    Reader { view, at, node, place: site.place, known: site.known, polled, repeated, paths, found }.value(value);
}

/// What `each` itself says.
pub(super) fn each(node: &Node, found: &mut Findings) {
    let Some(each) = &node.each else { return };
    let id = node.id.as_str();
    if !matches!(Late::recognise(&each.over), Ok(Some(Late::Output { .. }))) {
        found.add("P409", [id], "`each.over` is a late value: a list that another node answers");
    }
    if each.chunk == 0 || each.max == 0 {
        found.add("P409", [id], "`each` takes at least one item a chunk, and one item at most or more");
    }
    if matches!(node.action, Action::Gate { .. } | Action::Delay { .. } | Action::Commit { .. }) {
        found.add("P409", [id], format!("a `{}` is not repeated over chunks", node.action.kind()));
    }
}

struct Reader<'r, 'p> {
    view: &'r View<'p>,
    at: usize,
    node: &'p Node,
    place: Place,
    known: Known,
    polled: Option<usize>,
    repeated: bool,
    paths: &'r mut Expressions<'p>,
    found: &'r mut Findings,
}

impl<'p> Reader<'_, 'p> {
    /// Walks a value by hand instead of with [`Late::each`], which stops at the first malformed one.
    fn value(&mut self, value: &'p Value) {
        match Late::recognise(value) {
            Err(fault) => self.report("P401", format!("{}: {fault}", self.place)),
            Ok(Some(late)) => self.late(&late),
            Ok(None) => match value {
                Value::Object(map) => map.values().for_each(|v| self.value(v)),
                Value::Array(list) => list.iter().for_each(|v| self.value(v)),
                _ => {}
            },
        }
    }

    fn late(&mut self, late: &Late<'p>) {
        let Late::Output { node: target, path, .. } = *late else {
            if self.known == Known::Nothing {
                self.report("P603", format!("{}: a start guard is checked before there is a run", self.place));
            }
            return;
        };
        if let Some(fault) = self.paths.syntax(path) {
            let message = format!("{}: the path `{path}` is not JMESPath: {fault}", self.place);
            self.report("P405", message);
        }
        if let Some(number) = target.strip_prefix('@').filter(|name| *name != "each") {
            let earlier = self.polled.zip(number.parse::<usize>().ok()).is_some_and(|(polled, n)| n < polled);
            // Only a read of a wait has reads before it, so `polled` of any other is 0 and nothing is below that.
            if !earlier || number.starts_with('+') || (number.len() > 1 && number.starts_with('0')) {
                self.report("P403", format!("{}: `{target}` is no earlier read of the same poll", self.place));
            }
            return;
        }
        if self.known == Known::Nothing {
            let message = format!("{}: a start guard is checked before `{target}` has answered", self.place);
            self.report("P603", message);
            return;
        }
        if target == "@each" {
            if !self.repeated {
                self.report("P404", format!("{}: there is no `each` whose chunk `@each` could be", self.place));
            }
            return;
        }
        match self.view.find(target) {
            None => self.report("P402", format!("{}: there is no node `{target}`", self.place)),
            Some(other) => self.output_of(other),
        }
    }

    fn output_of(&mut self, target: usize) {
        let id = self.view.id(target);
        let action = &self.view.node(target).action;
        if matches!(action, Action::Gate { .. } | Action::Delay { .. } | Action::Commit { .. }) {
            self.report("P402", format!("{}: `{id}` is a `{}` and answers nothing", self.place, action.kind()));
        }
        let own = target == self.at && self.known == Known::Own;
        if !own && !self.view.done_before(target, self.at) {
            let message =
                format!("{}: the answer of `{id}` is not known there, because it need not be done by then", self.place);
            self.found.add("P402", [self.node.id.as_str(), id], message);
        }
    }

    fn report(&mut self, rule: &'static str, message: String) {
        self.found.add(rule, [self.node.id.as_str()], message);
    }
}

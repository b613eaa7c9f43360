//! Where a key that is unknown in one place is known: whoever writes it in the wrong place is told the right one.
//!
//! Invariant: what is told is a place of the schemas, with the names that the writer gave where they are the same.

use std::collections::{BTreeSet, VecDeque};

use super::shape::{FREE, ROOT, ShapeId, Shapes};
use crate::meaning::secrets;

/// Steps from the top of a document to a key at most; deeper ones are nobody's slip.
const DEEP: usize = 7;
/// Places that are told at most: where there are more, the key is a common word.
const TOLD: usize = 2;

/// A step in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'s> {
    Key(&'s str),
    /// A name of the writer's choice.
    Any,
    /// An item of a list.
    Item,
}

/// The places in a schema where `key` is known that are nearest to `parent` (steps of a pointer), as pointers without the
/// key; empty where nothing is near enough to be meant.
pub(super) fn known(shapes: &Shapes, key: &str, parent: &[&str]) -> Vec<String> {
    let all = places(shapes, key);
    let best = all.iter().map(|path| alike(path, parent)).max().unwrap_or_default();
    let shortest = |paths: &[&Vec<Step<'_>>]| paths.iter().map(|path| path.len()).min().unwrap_or_default();
    let nearest: Vec<&Vec<Step<'_>>> = all.iter().filter(|path| alike(path, parent) == best).collect();
    let length = shortest(&nearest);
    let told: BTreeSet<String> =
        nearest.iter().filter(|path| path.len() == length).map(|path| written(path, parent)).collect();
    if told.len() > TOLD { Vec::new() } else { told.into_iter().collect() }
}

/// How many steps lead the same way.
fn alike(path: &[Step<'_>], parent: &[&str]) -> usize {
    let same = |(step, name): &(&Step<'_>, &&str)| match step {
        Step::Key(key) => key == *name,
        Step::Any | Step::Item => true,
    };
    path.iter().zip(parent).take_while(same).count()
}

/// A path with the writer's names as far as it leads the same way.
fn written(path: &[Step<'_>], parent: &[&str]) -> String {
    let same = alike(path, parent);
    let step = |(at, step): (usize, &Step<'_>)| match step {
        Step::Key(key) => format!("/{key}"),
        Step::Any if at < same => format!("/{}", parent[at]),
        Step::Any => "/NAME".to_owned(),
        // An item is told by its list.
        Step::Item => String::new(),
    };
    path.iter().enumerate().map(step).collect()
}

/// All places where a key is known, the shallow ones first.
fn places<'s>(shapes: &'s Shapes, key: &str) -> Vec<Vec<Step<'s>>> {
    let mut found = Vec::new();
    if secrets::names_secret(key) {
        return found;
    }
    let mut open: VecDeque<(ShapeId, Vec<Step<'s>>)> = VecDeque::from([(ROOT, Vec::new())]);
    while let Some((id, path)) = open.pop_front() {
        let shape = shapes.get(id);
        if shape.properties.contains_key(key) {
            found.push(path.clone());
        }
        if path.len() == DEEP {
            continue;
        }
        let mut keys: Vec<(&String, &ShapeId)> = shape.properties.iter().collect();
        keys.sort_unstable_by_key(|(name, _)| *name);
        let named = keys.into_iter().map(|(name, id)| (Step::Key(name), *id));
        let any = shape.additional.map(|id| (Step::Any, id));
        let items = shape.items.map(|id| (Step::Item, id));
        for (step, id) in named.chain(any).chain(items).filter(|(_, id)| *id != FREE) {
            let mut path = path.clone();
            path.push(step);
            open.push_back((id, path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shapes() -> Shapes {
        let part = json!({"type": "object", "properties": {
            "size": {"type": "integer"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}}}});
        Shapes::new(&json!({"type": "object", "$defs": {"part": part}, "properties": {
            "boxes": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                "label": {"type": "string"},
                "inside": {"type": "object", "properties": {"colour": {"type": "string"}, "part": {"$ref": "#/$defs/part"}}}}}},
            "paint": {"type": "object", "properties": {"colour": {"type": "string"}, "label": {"type": "string"}}}}}))
    }

    #[test]
    fn the_place_that_is_nearest_is_told_by_the_names_of_the_writer() {
        let places = |key: &str, parent: &[&str]| known(&shapes(), key, parent);
        assert_eq!(places("colour", &["boxes", "red"]), ["/boxes/red/inside"]);
        assert_eq!(places("colour", &["boxes"]), ["/boxes/NAME/inside"]);
        assert_eq!(places("colour", &[]), ["/paint"]);
        assert_eq!(places("label", &["boxes", "red", "inside"]), ["/boxes/red"]);
        assert_eq!(places("boxes", &["paint"]), [""]);
    }

    #[test]
    fn a_schema_that_contains_itself_is_looked_through_once_and_items_are_told_by_their_list() {
        let places = |key: &str, parent: &[&str]| known(&shapes(), key, parent);
        assert_eq!(places("size", &["boxes", "red"]), ["/boxes/red/inside/part"]);
        assert_eq!(places("parts", &["boxes", "red", "inside", "part", "parts", "0", "other"]).len(), 1);
        assert!(places("nowhere", &["boxes"]).is_empty());
    }
}

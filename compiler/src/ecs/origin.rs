//! Where each value of a lowered API input came from.
//!
//! Invariant: paths are keyed (see [`super::pointer`]); the longest recorded prefix wins, and where a whole raw block
//! was merged, the rest of the path is the same on both sides.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostics::{Document, Place};

use super::pointer;

/// Recorded origins of one lowered document.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    recorded: BTreeMap<String, Origin>,
}

#[derive(Debug, Clone)]
struct Origin {
    place: Place,
    mirrored: bool,
}

impl Origins {
    /// Everything comes from `place` unless something closer is recorded.
    pub fn new(place: Place) -> Self {
        let mut origins = Self::default();
        origins.set("", place);
        origins
    }

    /// The value at `path` and all below it come from `place`.
    pub fn set(&mut self, path: impl Into<String>, place: Place) {
        self.recorded.insert(path.into(), Origin { place, mirrored: false });
    }

    /// Members of the value at `path` are said by keys below `place`: for each the member and the key.
    pub fn set_members(&mut self, path: &str, place: &Place, members: &[(&str, &str)]) {
        for (member, key) in members {
            self.set(pointer::join(path, member), place.child(*key));
        }
    }

    /// The value at `path` was taken over as it stands at `place`: what is below it is below that as well, and whatever
    /// stood there before is gone. Items of lists of named things are found under their names.
    pub fn mirror(&mut self, path: &str, place: Place, value: &Value) {
        let below = format!("{path}/");
        self.recorded.retain(|known, _| !known.starts_with(&below));
        self.mirror_items(path, &place, value);
        self.recorded.insert(path.to_owned(), Origin { place, mirrored: true });
    }

    fn mirror_items(&mut self, path: &str, place: &Place, value: &Value) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    self.mirror_items(&pointer::join(path, name), &place.child(name), value);
                }
            }
            Value::Array(items) => {
                let list = path.rsplit('/').next().unwrap_or_default();
                for (index, item) in items.iter().enumerate() {
                    let at = place.child(index.to_string());
                    let key = pointer::item_key(list, item).unwrap_or_else(|| index.to_string());
                    let here = pointer::join(path, &key);
                    self.mirror_items(&here, &at, item);
                    self.recorded.insert(here, Origin { place: at, mirrored: true });
                }
            }
            _ => {}
        }
    }

    /// Where the value at a keyed path came from.
    pub fn of(&self, path: &str) -> Place {
        let mut prefix = path;
        loop {
            if let Some(origin) = self.recorded.get(prefix) {
                if origin.mirrored && prefix.len() < path.len() {
                    let mut place = origin.place.clone();
                    place.pointer.push_str(&path[prefix.len()..]);
                    return place;
                }
                return origin.place.clone();
            }
            match prefix.rfind('/') {
                Some(at) => prefix = &prefix[..at],
                None => return Place { document: Document::Model, pointer: String::new(), key: false },
            }
        }
    }
}

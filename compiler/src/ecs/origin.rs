//! Where each value of a lowered API input came from.
//!
//! Invariant: paths are keyed (see [`super::pointer`]); the longest recorded prefix wins, and where a whole raw block
//! was merged, the rest of the path is the same on both sides.

use std::collections::BTreeMap;

use crate::diagnostics::{Document, Place};

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

    /// The value at `path` was taken over as it stands at `place`: what is below it is below that as well.
    pub fn mirror(&mut self, path: impl Into<String>, place: Place) {
        self.recorded.insert(path.into(), Origin { place, mirrored: true });
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

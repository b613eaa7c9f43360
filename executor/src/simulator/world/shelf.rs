//! Things of a world by their names, each shared by the copies of the world that have not changed it.
//!
//! Invariants: it is written like the map that it stands for; looking never separates what copies share, asking for
//! something to change it does.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::Shared;

/// Things by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shelf<T>(Shared<BTreeMap<String, Shared<T>>>)
where
    T: Clone;

impl<T: Clone> Default for Shelf<T> {
    fn default() -> Self {
        Self(Shared::from(BTreeMap::new()))
    }
}

impl<T: Clone> Shelf<T> {
    /// The thing of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.get(name).map(|thing| &**thing)
    }

    /// The thing of that name as it is now, beside the world.
    pub(crate) fn share(&self, name: &str) -> Option<Shared<T>> {
        self.0.get(name).cloned()
    }

    /// The thing of that name, with the name as it is kept here.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &T)> {
        self.0.get_key_value(name).map(|(name, thing)| (name, &**thing))
    }

    /// The thing of that name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        if !self.0.contains_key(name) {
            return None;
        }
        self.0.get_mut(name).map(|thing| &mut **thing)
    }

    /// The thing of that name, put there first if there is none.
    pub fn get_or_insert_with(&mut self, name: String, make: impl FnOnce() -> T) -> &mut T {
        self.0.entry(name).or_insert_with(|| make().into())
    }

    /// Whether there is a thing of that name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Puts a thing there; gives back the one that had its name.
    pub fn insert(&mut self, name: String, thing: T) -> Option<T> {
        self.0.insert(name, thing.into()).map(Shared::into_inner)
    }

    /// Takes a thing away.
    pub fn remove(&mut self, name: &str) -> Option<T> {
        self.take(name).map(|(_, thing)| thing.into_inner())
    }

    /// Takes a thing out to work on it beside the rest of the world.
    pub(crate) fn take(&mut self, name: &str) -> Option<(String, Shared<T>)> {
        if !self.0.contains_key(name) {
            return None;
        }
        self.0.remove_entry(name)
    }

    /// Puts back what was taken out.
    pub(crate) fn put_back(&mut self, name: String, thing: Shared<T>) {
        self.0.insert(name, thing);
    }

    /// Keeps the things for which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(&String, &T) -> bool) {
        if !self.iter().all(|(name, thing)| keep(name, thing)) {
            self.0.retain(|name, thing| keep(name, thing));
        }
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// All things in the order of their names.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.0.iter())
    }

    /// All names in order.
    pub fn keys(&self) -> btree_map::Keys<'_, String, Shared<T>> {
        self.0.keys()
    }

    /// All things in the order of their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.values().map(|thing| &**thing)
    }

    /// All things; each is separated from other worlds' only when it is changed.
    pub fn values_mut(&mut self) -> btree_map::ValuesMut<'_, String, Shared<T>> {
        self.0.values_mut()
    }

    /// The first thing of which that is so, to change it.
    pub(crate) fn find_mut(&mut self, wanted: impl Fn(&T) -> bool) -> Option<&mut T> {
        if !self.values().any(&wanted) {
            return None;
        }
        self.0.values_mut().find(|thing| wanted(thing)).map(|thing| &mut **thing)
    }

    /// Changes the things of which that is so.
    pub(crate) fn change(&mut self, which: impl Fn(&T) -> bool, mut change: impl FnMut(&String, &mut T)) {
        if self.values().any(&which) {
            for (name, thing) in self.0.iter_mut().filter(|(_, thing)| which(thing)) {
                change(name, thing);
            }
        }
    }

    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All things in the order of their names.
#[derive(Debug)]
pub struct Iter<'s, T>(btree_map::Iter<'s, String, Shared<T>>);

impl<'s, T> Iterator for Iter<'s, T> {
    type Item = (&'s String, &'s T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, thing)| (name, &**thing))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<'s, T: Clone> IntoIterator for &'s Shelf<T> {
    type Item = (&'s String, &'s T);
    type IntoIter = Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Clone + JsonSchema> JsonSchema for Shelf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

impl<T: Clone> std::ops::Index<&str> for Shelf<T> {
    type Output = T;

    fn index(&self, name: &str) -> &T {
        &self.0[name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf<Vec<u8>> {
        let mut shelf = Shelf::default();
        shelf.insert("a".to_owned(), vec![1]);
        shelf.insert("b".to_owned(), vec![2]);
        shelf
    }

    fn place<'s>(shelf: &'s Shelf<Vec<u8>>, name: &str) -> &'s Vec<u8> {
        shelf.get(name).unwrap()
    }

    #[test]
    fn a_copy_that_changes_something_leaves_the_other_as_it_was_and_shares_the_rest() {
        let first = shelf();
        let mut second = first.clone();
        second.get_mut("a").unwrap().push(3);
        second.retain(|_, _| true);
        second.change(|thing| thing.len() > 1, |_, thing| thing.push(4));
        assert_eq!(second["a"], [1, 3, 4]);
        assert_eq!(first, shelf());
        assert!(std::ptr::eq(place(&first, "b"), place(&second, "b")));
        assert!(!std::ptr::eq(place(&first, "a"), place(&second, "a")));
    }

    #[test]
    fn asking_for_what_is_not_there_separates_nothing() {
        let first = shelf();
        let mut second = first.clone();
        assert!(second.get_mut("c").is_none() && second.take("c").is_none() && second.remove("c").is_none());
        assert!(second.find_mut(Vec::is_empty).is_none());
        assert!(std::ptr::eq(first.keys().next().unwrap(), second.keys().next().unwrap()));
    }

    #[test]
    fn it_is_written_like_a_map() {
        let written = serde_json::to_string(&shelf()).unwrap();
        assert_eq!(written, r#"{"a":[1],"b":[2]}"#);
        assert_eq!(serde_json::from_str::<Shelf<Vec<u8>>>(&written).unwrap(), shelf());
    }
}

//! The entry of one key, for closures that look and then decide.

use super::Store;
use super::flights::Flights;
use super::shards::Writing;
use super::table::{Place, Site, Table};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// What is at a key, while the closure of [`Store::entry`](crate::Store::entry) runs.
///
/// What the closure drops here is dropped under the lock of the key's shard; what it returns is not.
pub enum Entry<'a, K, V> {
    /// The key is in the store.
    Occupied(OccupiedEntry<'a, K, V>),
    /// It isn't.
    Vacant(VacantEntry<'a, K, V>),
}

/// An entry whose key is in the store.
pub struct OccupiedEntry<'a, K, V> {
    place: Place<'a, K, V>,
    /// Among them the key's, which its removal ends; found by hash and by this comparison.
    flights: &'a mut Flights<K, V>,
    hash: u64,
    is_same: fn(&K, &K) -> bool,
    removed: &'a mut Removed<K, V>,
}

/// An entry whose key is not in the store.
pub struct VacantEntry<'a, K, V> {
    /// Has room for it.
    pub(super) table: &'a mut Table<K, V>,
    pub(super) site: &'a Site,
    pub(super) hash: u64,
    /// The key, until it is used.
    pub(super) key: &'a mut Option<K>,
}

impl<'a, K, V> Entry<'a, K, V> {
    /// Returns the key: the store's own if it is there, else the one that was asked for.
    pub fn key(&self) -> &K {
        match self {
            Entry::Occupied(entry) => entry.key(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Changes the value by `f`, if there is one.
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        if let Entry::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }

    /// Returns the value. Inserts `value` if there was none.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// Returns the value. Inserts that of `f` if there was none.
    pub fn or_insert_with(self, f: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(f()),
        }
    }

    /// Returns the value. Inserts the default if there was none.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    /// Returns the key, as the store has it.
    pub fn key(&self) -> &K {
        &self.place.get().0
    }

    /// Returns the value.
    pub fn get(&self) -> &V {
        &self.place.get().1
    }

    /// Returns the value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.place.get_mut().1
    }

    /// Returns the value, to be changed as long as the closure runs.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.place.into_mut().1
    }

    /// Replaces the value, and returns the old one.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Removes the entry from the store, and returns its value.
    pub fn remove(self) -> V {
        let removed = self.end_flight();
        let ((key, value), _) = removed.0.remove();
        removed.1.key = Some(key);
        value
    }

    /// Removes the entry from the store, and returns its key and its value.
    pub fn remove_entry(self) -> (K, V) {
        self.end_flight().0.remove().0
    }

    /// No value that is being computed for the key is put in after its removal.
    fn end_flight(self) -> (Place<'a, K, V>, &'a mut Removed<K, V>) {
        if !self.flights.is_empty() {
            let key = &self.place.get().0;
            self.removed.ended = self.flights.end_of_key(self.hash, |it| (self.is_same)(it, key));
        }
        (self.place, self.removed)
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    /// Returns the key that was asked for.
    pub fn key(&self) -> &K {
        self.key.as_ref().expect("taken by methods that consume the entry")
    }

    /// Inserts the key with this value, which is returned to be changed.
    pub fn insert(self, value: V) -> &'a mut V {
        let key = self.key.take().expect("taken by methods that consume the entry");
        &mut self.table.insert_new(self.site, self.hash, (key, value)).1
    }

    /// Returns the key, and inserts nothing.
    pub fn into_key(self) -> K {
        self.key.take().expect("taken by methods that consume the entry")
    }
}

/// What an entry's removal takes out, to be dropped when the lock is gone.
#[derive(Debug)]
pub(super) struct Removed<K, V> {
    key: Option<K>,
    ended: Flights<K, V>,
}

impl<K, V> Removed<K, V> {
    pub(super) fn new() -> Self {
        Removed { key: None, ended: Flights::new() }
    }
}

/// What there is for a key.
pub(super) enum Opened<'a, K, V> {
    Occupied(OccupiedEntry<'a, K, V>),
    /// With room for an entry.
    Vacant(&'a mut Table<K, V>, &'a Site),
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Finds a key's entry in its shard, or makes room for it.
    #[inline]
    #[track_caller]
    pub(super) fn open<'a>(
        &self,
        shard: &'a mut Writing<'_, K, V>,
        hash: u64,
        is_it: impl Fn(&K) -> bool,
        removed: &'a mut Removed<K, V>,
    ) -> Opened<'a, K, V> {
        let (table, flights, site) = shard.parts();
        let Some(index) = table.index(hash, is_it) else {
            table.make_room(site, |key| self.hash_inside(key));
            return Opened::Vacant(table, site);
        };
        let place = table.place(index);
        Opened::Occupied(OccupiedEntry { place, flights, hash, is_same: K::eq, removed })
    }

    /// Gives memory back if there are fewer entries than before, and then the lock.
    #[inline]
    pub(super) fn close(&self, shard: Writing<'_, K, V>, before: usize) {
        if shard.table.len() < before {
            self.tidy(shard);
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Entry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Occupied(entry) => f.debug_tuple("Entry").field(entry).finish(),
            Entry::Vacant(entry) => f.debug_tuple("Entry").field(entry).finish(),
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OccupiedEntry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("OccupiedEntry");
        f.field("key", self.key()).field("value", self.get()).finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, V> fmt::Debug for VacantEntry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VacantEntry").field(self.key()).finish()
    }
}

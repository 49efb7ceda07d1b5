//! The entry of one key, for closures that look and then decide.

use super::table::{Place, Site, Table};
use std::fmt;
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
    pub(super) place: Place<'a, K, V>,
    /// Keeps the key of an entry that is removed, until the lock is gone.
    pub(super) removed: &'a mut Option<K>,
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
    /// The key: the store's own if it is there, else the one that was asked for.
    pub fn key(&self) -> &K {
        match self {
            Entry::Occupied(entry) => entry.key(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Changes the value, if there is one.
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        if let Entry::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }

    /// The value, which is `value` if there was none.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value, which is that of `f` if there was none.
    pub fn or_insert_with(self, f: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(f()),
        }
    }

    /// The value, which is the default if there was none.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    /// The key, as the store has it.
    pub fn key(&self) -> &K {
        &self.place.get().0
    }

    /// The value.
    pub fn get(&self) -> &V {
        &self.place.get().1
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.place.get_mut().1
    }

    /// The value, to be changed as long as the closure runs.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.place.into_mut().1
    }

    /// Puts `value` in place of the old one, which it gives.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Takes the entry out of the store, and gives its value.
    pub fn remove(self) -> V {
        let ((key, value), _) = self.place.remove();
        *self.removed = Some(key);
        value
    }

    /// Takes the entry out of the store, and gives key and value.
    pub fn remove_entry(self) -> (K, V) {
        self.place.remove().0
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    /// The key that was asked for.
    pub fn key(&self) -> &K {
        self.key.as_ref().expect("taken by methods that consume the entry")
    }

    /// Puts the key in, with this value.
    pub fn insert(self, value: V) -> &'a mut V {
        let key = self.key.take().expect("taken by methods that consume the entry");
        &mut self.table.insert_new(self.site, self.hash, (key, value)).1
    }

    /// Gives the key back.
    pub fn into_key(self) -> K {
        self.key.take().expect("taken by methods that consume the entry")
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

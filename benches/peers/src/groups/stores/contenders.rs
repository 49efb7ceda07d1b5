//! The stores that are compared, and their adapters.

use super::wrapped::{Locked, Map, Swapped};
use super::{Hasher, Store, Task, hasher, in_go, ours, peer, unshared};
use crate::entry::Entry;

pub fn all() -> Vec<Entry<Task>> {
    vec![
        ours::<phalanx::Store<u64, u64, Hasher>>("phalanx"),
        peer::<dashmap::DashMap<u64, u64, Hasher>>("dashmap"),
        peer::<scc::HashMap<u64, u64, Hasher>>("scc HashMap"),
        peer::<scc::HashIndex<u64, u64, Hasher>>("scc HashIndex").only(reads_only),
        peer::<papaya::HashMap<u64, u64, Hasher>>("papaya"),
        peer::<moka::sync::Cache<u64, u64, Hasher>>("moka"),
        peer::<Locked<parking_lot::RwLock<Map>>>("parking_lot RwLock"),
        peer::<Locked<parking_lot::Mutex<Map>>>("parking_lot Mutex"),
        peer::<Locked<std::sync::RwLock<Map>>>("std RwLock"),
        peer::<Swapped>("arc-swap").only(reads_only),
        in_go::<0>(),
        in_go::<1>(),
        unshared(),
    ]
}

impl Store for dashmap::DashMap<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        dashmap::DashMap::get(self, &key).map(|value| *value)
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.insert(key, value);
    }
}

impl Store for scc::HashMap<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.read_sync(&key, |_, value| *value)
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.upsert_sync(key, value);
    }
}

/// Selects the rows without writes, for contenders that can't replace a value as the others do.
fn reads_only(task: &Task) -> bool {
    task.reads == 1000
}

/// Reads without locking. It replaces a value by adding an entry and removing the old one, and a
/// reader in between may find neither. So it fails the check of its answers beside writers, and
/// takes part in rows without writes only.
impl Store for scc::HashIndex<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.peek_with(&key, |_, value| *value)
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        match self.entry_sync(key) {
            scc::hash_index::Entry::Occupied(mut entry) => entry.update(value),
            scc::hash_index::Entry::Vacant(entry) => drop(entry.insert_entry(value)),
        }
    }
}

impl Store for papaya::HashMap<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        self.pin().get(&key).copied()
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.pin().insert(key, value);
    }
}

/// A cache, not a map: it counts every use. Its capacity is twice the number of keys, so that it
/// evicts none.
impl Store for moka::sync::Cache<u64, u64, Hasher> {
    fn new(keys: usize) -> Self {
        let builder = moka::sync::Cache::builder();
        builder.max_capacity(2 * keys as u64).initial_capacity(keys).build_with_hasher(hasher())
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        moka::sync::Cache::get(self, &key)
    }

    #[inline]
    fn put(&self, key: u64, value: u64) {
        self.insert(key, value);
    }
}

//! Constructors and conversions: empty stores, from other collections, clones, and stores filled from iterators.

use super::map::Store;
use super::shards::{Shards, default_shard_count};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

impl<K, V> Store<K, V> {
    /// Creates an empty store.
    ///
    /// # Examples
    /// ```
    /// let store = phalanx::Store::new();
    /// store.insert("one", 1);
    /// assert_eq!(store.len(), 1);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty store with capacity for `capacity` entries, if they spread evenly over the shards.
    ///
    /// Each shard has capacity for its share, rounded up; entries seldom spread so evenly that no shard has to grow.
    /// Fewer entries than there are shards reserve nothing: a table for each shard would take far more memory than they
    /// need.
    ///
    /// # Panics
    /// If the tables would take more than `isize::MAX` bytes, or the allocator returns an error.
    #[must_use]
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }

    /// Creates an empty store of `shards` shards, rounded up to a power of two, at most 65,536. More shards take more
    /// memory; with fewer, writers contend more often.
    ///
    /// # Panics
    /// If `shards` is zero.
    #[must_use]
    #[track_caller]
    pub fn with_shards(shards: usize) -> Self {
        Self::with_shards_and_hasher(shards, RandomState::new())
    }
}

impl<K, V, S> Store<K, V, S> {
    /// Creates an empty store whose keys are hashed by `hasher`.
    #[must_use]
    pub fn with_hasher(hasher: S) -> Self {
        Store { shards: Shards::new(default_shard_count()), hasher }
    }

    /// [`with_capacity`](Store::with_capacity) and [`with_hasher`](Store::with_hasher) in one.
    ///
    /// # Panics
    /// As [`with_capacity`](Store::with_capacity).
    #[must_use]
    #[track_caller]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Self::with_shards_and_capacity(default_shard_count(), capacity, hasher)
    }

    /// [`with_shards`](Store::with_shards) and [`with_hasher`](Store::with_hasher) in one.
    ///
    /// # Panics
    /// If `shards` is zero.
    #[must_use]
    #[track_caller]
    pub fn with_shards_and_hasher(shards: usize, hasher: S) -> Self {
        assert!(shards > 0, "Store: needs at least one shard");
        Store { shards: Shards::new(shards), hasher }
    }

    #[track_caller]
    fn with_shards_and_capacity(shards: usize, capacity: usize, hasher: S) -> Self {
        match Shards::with_capacity(shards, capacity) {
            Ok(shards) => Store { shards, hasher },
            Err(error) => panic!("Store: {error}"),
        }
    }
}

impl<K, V, S: Default> Default for Store<K, V, S> {
    fn default() -> Self {
        Store::with_hasher(S::default())
    }
}

/// A clone has the entries of one moment, as a [`snapshot`](Store::snapshot): all shards are locked for reading while
/// they are cloned. It has the same number of shards, and a clone of the hasher.
impl<K: Hash + Eq + Clone, V: Clone, S: BuildHasher + Clone> Clone for Store<K, V, S> {
    #[track_caller]
    fn clone(&self) -> Self {
        // The entries are inserted, and dropped if that panics, without a lock of this store.
        let entries = self.snapshot();
        let hasher = self.hasher.clone();
        let mut copy = Store::with_shards_and_capacity(self.shards(), entries.len(), hasher);
        copy.extend(entries);
        copy
    }
}

impl<K: Hash + Eq, V, S: BuildHasher + Default> FromIterator<(K, V)> for Store<K, V, S> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut store = Store::default();
        store.extend(entries);
        store
    }
}

impl<'a, K, V, S> FromIterator<(&'a K, &'a V)> for Store<K, V, S>
where
    K: Hash + Eq + Copy,
    V: Copy,
    S: BuildHasher + Default,
{
    fn from_iter<I: IntoIterator<Item = (&'a K, &'a V)>>(entries: I) -> Self {
        entries.into_iter().map(|(key, value)| (*key, *value)).collect()
    }
}

impl<K: Hash + Eq, V, const N: usize> From<[(K, V); N]> for Store<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Hash + Eq, V, S: BuildHasher + Clone> From<HashMap<K, V, S>> for Store<K, V, S> {
    /// The store has a clone of the map's hasher.
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use std::collections::HashMap;
    ///
    /// let map = HashMap::from([("one", 1), ("two", 2)]);
    /// let store = Store::from(map.clone());
    /// assert_eq!(store.get("two"), Some(2));
    /// assert_eq!(store.into_iter().collect::<HashMap<_, _>>(), map);
    /// ```
    fn from(map: HashMap<K, V, S>) -> Self {
        let (shards, hasher) = (default_shard_count(), map.hasher().clone());
        let mut store = Store::with_shards_and_capacity(shards, map.len(), hasher);
        store.extend(map);
        store
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Extend<(K, V)> for Store<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Extend<(K, V)> for &Store<K, V, S> {
    /// Inserts one entry after another. The last value of a key stays.
    #[track_caller]
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            drop(self.insert(key, value));
        }
    }
}

impl<'a, K, V, S> Extend<(&'a K, &'a V)> for Store<K, V, S>
where
    K: Hash + Eq + Copy,
    V: Copy,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<'a, K, V, S> Extend<(&'a K, &'a V)> for &Store<K, V, S>
where
    K: Hash + Eq + Copy,
    V: Copy,
    S: BuildHasher,
{
    /// Inserts a copy of one entry after another. The last value of a key stays.
    #[track_caller]
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        self.extend(entries.into_iter().map(|(key, value)| (*key, *value)));
    }
}

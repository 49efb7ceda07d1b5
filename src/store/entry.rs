//! The entry of one key, and the calls that insert or change by it.

use super::flight::Flights;
use super::map::Store;
use super::prefetch_hint::HintedTable;
use super::shards::Writing;
use super::table::Bucket;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::mem;

/// Calls that insert or change.
///
/// [`entry_by_ref`](Store::entry_by_ref) and [`upsert_by_ref`](Store::upsert_by_ref) take a borrowed key.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Calls `f` with the key's entry, whether the key is there or not, and returns its result. `f` may read, change,
    /// insert and remove, all in one step. It runs under the lock for writing.
    ///
    /// What `f` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    ///
    /// # Panics
    /// If `f` panics: the entry stays as `f` left it. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::Entry;
    ///
    /// let stock = Store::from([("apples", 1)]);
    /// let sell = |what| {
    ///     stock.entry(what, |entry| match entry {
    ///         Entry::Occupied(entry) if *entry.get() == 1 => Some(entry.remove()),
    ///         Entry::Occupied(mut entry) => {
    ///             *entry.get_mut() -= 1;
    ///             Some(1)
    ///         }
    ///         Entry::Vacant(_) => None,
    ///     })
    /// };
    /// assert_eq!((sell("apples"), sell("apples")), (Some(1), None));
    /// assert!(stock.is_empty());
    /// ```
    #[track_caller]
    pub fn entry<R>(&self, key: K, f: impl FnOnce(Entry<'_, K, V>) -> R) -> R {
        let hash = self.hash(&key);
        let shard = self.shards.write(hash);
        self.entry_in(shard, hash, key, f)
    }

    /// Changes the key's value by `update`, or inserts the value of `insert` if the key is absent. Both run under the
    /// lock for writing.
    ///
    /// What `update` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    /// [`upsert_with`](Store::upsert_with) returns the result of `update`.
    ///
    /// # Panics
    /// If `insert` or `update` panics. If [called from a closure that runs on this store](Store#reentrant-calls).
    #[track_caller]
    pub fn upsert(&self, key: K, insert: impl FnOnce() -> V, update: impl FnOnce(&mut V)) {
        self.upsert_with(key, insert, update);
    }

    /// Changes the key's value by `update` and returns `Some` of its result, or inserts the value of `insert` and
    /// returns `None`. Both run under the lock for writing.
    ///
    /// What `update` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    ///
    /// # Panics
    /// If `insert` or `update` panics: a value stays as `update` left it. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// let visits = phalanx::Store::new();
    /// let visit = |page| {
    ///     visits.upsert_with(page, || 1, |count| {
    ///         *count += 1;
    ///         *count
    ///     })
    /// };
    /// assert_eq!((visit("index"), visit("index"), visit("about")), (None, Some(2), None));
    /// ```
    #[track_caller]
    pub fn upsert_with<R>(
        &self,
        key: K,
        insert: impl FnOnce() -> V,
        update: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        // In `Option`s, so that the one that isn't called is dropped without the lock, with what it owns.
        let (mut insert, mut update) = (Some(insert), Some(update));
        self.entry(key, |entry| match entry {
            Entry::Occupied(mut entry) => update.take().map(|update| update(entry.get_mut())),
            Entry::Vacant(entry) => {
                if let Some(insert) = insert.take() {
                    entry.insert(insert());
                }
                None
            }
        })
    }

    /// Inserts a value if the key is absent.
    ///
    /// # Errors
    /// Returns the value if the key is in the store.
    ///
    /// # Panics
    /// If [called from a closure that runs on this store](Store#reentrant-calls).
    #[track_caller]
    pub fn insert_if_absent(&self, key: K, value: V) -> Result<(), V> {
        self.entry(key, |entry| match entry {
            Entry::Occupied(_) => Err(value),
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
        })
    }

    /// Returns a clone of the key's value, after inserting the value of `insert` if the key is absent. `insert` runs
    /// under the lock for writing.
    ///
    /// For values that are quick to make. [`get_or_compute`](Store::get_or_compute) computes without a lock, while
    /// other callers of the same key wait for the result.
    ///
    /// # Panics
    /// If `insert` panics. If [called from a closure that runs on this store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{Mutex, Store};
    /// use std::sync::Arc;
    ///
    /// let rooms = Store::new();
    /// let room = |name| rooms.get_or_insert_with(name, || Arc::new(Mutex::new(Vec::new())));
    /// room("lobby").lock().push("hello");
    /// assert_eq!(*room("lobby").lock(), ["hello"]);
    /// ```
    #[track_caller]
    pub fn get_or_insert_with(&self, key: K, insert: impl FnOnce() -> V) -> V
    where
        V: Clone,
    {
        if let Some(value) = self.get(&key) {
            return value;
        }
        // As in `upsert_with`.
        let mut insert = Some(insert);
        self.entry(key, |entry| match entry {
            Entry::Occupied(entry) => entry.get().clone(),
            Entry::Vacant(entry) => {
                let insert = insert.take().expect("an entry is vacant once");
                entry.insert(insert()).clone()
            }
        })
    }

    /// Calls `f` with the key's entry in a locked shard, and unlocks it.
    #[track_caller]
    pub(super) fn entry_in<R>(
        &self,
        shard: Writing<'_, K, V>,
        hash: u64,
        key: K,
        f: impl FnOnce(Entry<'_, K, V>) -> R,
    ) -> R {
        // Declared before the lock, and so dropped without it: a key that isn't inserted, what is removed, and `f` if
        // it isn't called.
        let (mut key, mut removed, mut f) = (Some(key), Removed::new(), Some(f));
        let mut shard = shard;
        let before = shard.table.len();
        let is_it = |it: &K| Some(it) == key.as_ref();
        let entry = match self.find_entry(&mut shard, hash, is_it, &mut removed) {
            Found::Occupied(entry) => Entry::Occupied(entry),
            Found::Vacant(table) => Entry::Vacant(VacantEntry { table, hash, key: &mut key }),
        };
        let f = f.take().expect("put there above");
        let result = f(entry);
        self.unlock_after_entry(shard, before);
        result
    }

    /// Finds a key's entry in its shard, or reserves capacity for it.
    #[inline]
    #[track_caller]
    pub(super) fn find_entry<'a>(
        &self,
        shard: &'a mut Writing<'_, K, V>,
        hash: u64,
        is_it: impl Fn(&K) -> bool,
        removed: &'a mut Removed<K, V>,
    ) -> Found<'a, K, V> {
        let (mut table, flights) = shard.table_and_flights();
        let Some(index) = table.table.find_index(hash, is_it) else {
            table.reserve_one(|key| self.hash(key));
            return Found::Vacant(table);
        };
        let bucket = table.table.bucket(index);
        Found::Occupied(OccupiedEntry { bucket, flights, hash, equals: K::eq, removed })
    }

    /// Unlocks a shard in which an entry may have been removed.
    #[inline]
    pub(super) fn unlock_after_entry(&self, shard: Writing<'_, K, V>, len_before: usize) {
        if shard.table.len() < len_before {
            self.shrink_if_sparse(shard);
        }
    }
}

/// The entry of a key, while the closure of [`Store::entry`] runs.
///
/// What the closure drops is dropped under the lock of the key's shard; what it returns is not.
pub enum Entry<'a, K, V> {
    /// The key is in the store.
    Occupied(OccupiedEntry<'a, K, V>),
    /// The key is absent.
    Vacant(VacantEntry<'a, K, V>),
}

/// The entry of a key that is in the store.
pub struct OccupiedEntry<'a, K, V> {
    bucket: Bucket<'a, K, V>,
    /// The shard's flights. A removal unlists the key's, which is found by its hash and by `equals`.
    flights: &'a mut Flights<K, V>,
    hash: u64,
    equals: fn(&K, &K) -> bool,
    removed: &'a mut Removed<K, V>,
}

/// The entry of a key that is absent.
pub struct VacantEntry<'a, K, V> {
    /// With capacity for it.
    table: HintedTable<'a, K, V>,
    hash: u64,
    /// The key, until it is used.
    key: &'a mut Option<K>,
}

/// What was found for a key.
pub(super) enum Found<'a, K, V> {
    Occupied(OccupiedEntry<'a, K, V>),
    /// Nothing, in a table with capacity for one entry more.
    Vacant(HintedTable<'a, K, V>),
}

/// What an entry's removal takes out of the shard, to be dropped without the lock.
#[derive(Debug)]
pub(super) struct Removed<K, V> {
    key: Option<K>,
    unlisted: Flights<K, V>,
}

impl<K, V> Removed<K, V> {
    pub(super) fn new() -> Self {
        Removed { key: None, unlisted: Flights::new() }
    }
}

impl<'a, K, V> Entry<'a, K, V> {
    /// Returns the key: the store's own if it is there, else the one that was given.
    pub fn key(&self) -> &K {
        match self {
            Entry::Occupied(entry) => entry.key(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Calls `f` with the value, to change it, if the key is there.
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        if let Entry::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }

    /// Returns the value, after inserting `value` if the key is absent.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// Returns the value, after inserting that of `f` if the key is absent.
    pub fn or_insert_with(self, f: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(f()),
        }
    }

    /// Returns the value, after inserting the default if the key is absent.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    /// Returns the store's key.
    pub fn key(&self) -> &K {
        &self.bucket.get().0
    }

    /// Returns the value.
    pub fn get(&self) -> &V {
        &self.bucket.get().1
    }

    /// Returns the value for changes.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.bucket.get_mut().1
    }

    /// Returns the value for changes, for as long as the closure runs.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.bucket.into_mut().1
    }

    /// Replaces the value and returns the old one.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Removes the entry from the store and returns its value.
    pub fn remove(self) -> V {
        let (bucket, removed) = self.unlist_flight();
        let ((key, value), _) = bucket.remove();
        removed.key = Some(key);
        value
    }

    /// Removes the entry from the store and returns its key and its value.
    pub fn remove_entry(self) -> (K, V) {
        self.unlist_flight().0.remove().0
    }

    /// Before a removal: no value that is being computed for the key is inserted after it.
    fn unlist_flight(self) -> (Bucket<'a, K, V>, &'a mut Removed<K, V>) {
        if !self.flights.is_empty() {
            let key = &self.bucket.get().0;
            let is_it = |it: &K| (self.equals)(it, key);
            self.removed.unlisted = self.flights.unlist_key(self.hash, is_it);
        }
        (self.bucket, self.removed)
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    /// Returns the key that was given.
    pub fn key(&self) -> &K {
        self.key.as_ref().expect("taken by methods that consume the entry")
    }

    /// Inserts the key with this value, and returns the value for changes.
    pub fn insert(self, value: V) -> &'a mut V {
        let key = self.key.take().expect("taken by methods that consume the entry");
        &mut self.table.insert_new(self.hash, (key, value)).1
    }

    /// Returns the key without inserting it.
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

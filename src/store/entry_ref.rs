//! Calls that may insert, by a borrowed key: an owned key is made only when it is inserted.
//!
//! The owned key is made by `K: From<&Q>`, not by `Q: ToOwned<Owned = K>`: an `Arc<str>`, a `Box<str>` or a string
//! type of another crate can be made of a `&str`, but isn't its `Owned`.

use super::entry::{Found, OccupiedEntry, Removed};
use super::map::{Store, assert_owned_equals};
use super::prefetch_hint::HintedTable;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// Calls that may insert, by a borrowed key.
///
/// An owned key is made of the borrowed one, by `From`, only when it is inserted.
/// [`get_or_compute_by_ref`](Store::get_or_compute_by_ref) is another such call.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Calls `f` with the entry of a borrowed key, and returns its result. `f` runs under the lock for writing.
    ///
    /// # Panics
    /// If `f` panics: the entry stays as `f` left it. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use phalanx::{SafeCounter, Store};
    ///
    /// let views = Store::<String, SafeCounter>::new();
    /// for page in ["index", "about", "index"] {
    ///     views.entry_by_ref(page, |entry| entry.or_default().increment());
    /// }
    /// assert_eq!(views.with("index", SafeCounter::get), Some(2));
    /// ```
    #[track_caller]
    pub fn entry_by_ref<'q, Q, R>(
        &self,
        key: &'q Q,
        f: impl FnOnce(EntryRef<'_, 'q, K, Q, V>) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // Declared before the lock, and so dropped without it: what is removed, what can't be inserted, and `f` if it
        // isn't called.
        let (mut removed, mut refused, mut f) = (Removed::new(), None, Some(f));
        let mut shard = self.shards.write(hash);
        let before = shard.table.len();
        let is_it = |it: &K| it.borrow() == key;
        let entry = match self.find_entry(&mut shard, hash, is_it, &mut removed) {
            Found::Occupied(entry) => EntryRef::Occupied(entry),
            Found::Vacant(table) => {
                EntryRef::Vacant(VacantEntryRef { table, hash, key, refused: &mut refused })
            }
        };
        let f = f.take().expect("put there above");
        let result = f(entry);
        self.unlock_after_entry(shard, before);
        result
    }

    /// Changes the value of a borrowed key by `update`, or inserts the value of `insert` if the key is absent. Both run
    /// under the lock for writing.
    ///
    /// # Panics
    /// If `insert` or `update` panics. If the owned key is not equal to the borrowed one. If [called from a closure
    /// that runs on this store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// let words = phalanx::Store::<String, u32>::new();
    /// for word in "to be or not to be".split(' ') {
    ///     words.upsert_by_ref(word, || 1, |count| *count += 1);
    /// }
    /// assert_eq!(words.get("be"), Some(2));
    /// ```
    #[track_caller]
    pub fn upsert_by_ref<'q, Q>(
        &self,
        key: &'q Q,
        insert: impl FnOnce() -> V,
        update: impl FnOnce(&mut V),
    ) where
        K: Borrow<Q> + From<&'q Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        // Declared before the lock, and so dropped without it.
        let (mut removed, mut refused) = (Removed::new(), None);
        let (mut insert, mut update) = (Some(insert), Some(update));
        // Not by `entry_by_ref`: a closure would hide the caller's line from the panic about keys that differ.
        let mut shard = self.shards.write(hash);
        match self.find_entry(&mut shard, hash, |it| it.borrow() == key, &mut removed) {
            Found::Occupied(mut entry) => {
                if let Some(update) = update.take() {
                    update(entry.get_mut());
                }
            }
            Found::Vacant(table) => {
                if let Some(insert) = insert.take() {
                    let refused = &mut refused;
                    VacantEntryRef { table, hash, key, refused }.insert(insert());
                }
            }
        }
    }
}

/// The entry of a borrowed key, while the closure of [`Store::entry_by_ref`] runs.
///
/// It differs from an [`Entry`](super::Entry) in that an owned key is made only when it is inserted. What the closure
/// drops is dropped under the lock of the key's shard; what it returns is not.
pub enum EntryRef<'a, 'q, K, Q: ?Sized, V> {
    /// The key is in the store.
    Occupied(OccupiedEntry<'a, K, V>),
    /// The key is absent.
    Vacant(VacantEntryRef<'a, 'q, K, Q, V>),
}

/// The entry of a borrowed key that is absent.
pub struct VacantEntryRef<'a, 'q, K, Q: ?Sized, V> {
    /// With capacity for it.
    table: HintedTable<'a, K, V>,
    hash: u64,
    key: &'q Q,
    /// What isn't inserted because the owned key can't be made or is not equal, to be dropped without the lock.
    refused: &'a mut Option<(Option<K>, V)>,
}

impl<'a, 'q, K, Q: ?Sized, V> EntryRef<'a, 'q, K, Q, V> {
    /// Returns the key: the store's own if it is there, else the one that was given.
    pub fn key(&self) -> &Q
    where
        K: Borrow<Q>,
    {
        match self {
            EntryRef::Occupied(entry) => entry.key().borrow(),
            EntryRef::Vacant(entry) => entry.key(),
        }
    }

    /// Calls `f` with the value, to change it, if the key is there.
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        if let EntryRef::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }

    /// Returns the value, after inserting `value` if the key is absent.
    ///
    /// # Panics
    /// As [`VacantEntryRef::insert`].
    #[track_caller]
    pub fn or_insert(self, value: V) -> &'a mut V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Eq,
    {
        match self {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(entry) => entry.insert(value),
        }
    }

    /// Returns the value, after inserting that of `f` if the key is absent.
    ///
    /// # Panics
    /// If `f` panics. As [`VacantEntryRef::insert`].
    #[track_caller]
    pub fn or_insert_with(self, f: impl FnOnce() -> V) -> &'a mut V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Eq,
    {
        match self {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(entry) => entry.insert(f()),
        }
    }

    /// Returns the value, after inserting the default if the key is absent.
    ///
    /// # Panics
    /// As [`VacantEntryRef::insert`].
    #[track_caller]
    pub fn or_default(self) -> &'a mut V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Eq,
        V: Default,
    {
        match self {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(entry) => entry.insert(V::default()),
        }
    }
}

impl<'a, 'q, K, Q: ?Sized, V> VacantEntryRef<'a, 'q, K, Q, V> {
    /// Returns the key that was given.
    pub fn key(&self) -> &'q Q {
        self.key
    }

    /// Makes an owned key of the borrowed one, inserts it with this value, and returns the value for changes.
    ///
    /// # Panics
    /// If the owned key is not equal to the borrowed one: nothing is inserted then.
    #[track_caller]
    pub fn insert(self, value: V) -> &'a mut V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Eq,
    {
        let (owned, _) = self.refused.insert((None, value));
        assert_owned_equals(owned.insert(K::from(self.key)), self.key);
        match self.refused.take() {
            Some((Some(key), value)) => &mut self.table.insert_new(self.hash, (key, value)).1,
            _ => unreachable!("put there above"),
        }
    }
}

impl<K, Q, V> fmt::Debug for EntryRef<'_, '_, K, Q, V>
where
    K: fmt::Debug,
    Q: fmt::Debug + ?Sized,
    V: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryRef::Occupied(entry) => f.debug_tuple("EntryRef").field(entry).finish(),
            EntryRef::Vacant(entry) => f.debug_tuple("EntryRef").field(entry).finish(),
        }
    }
}

impl<K, Q: fmt::Debug + ?Sized, V> fmt::Debug for VacantEntryRef<'_, '_, K, Q, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VacantEntryRef").field(&self.key).finish()
    }
}

//! Calls that may insert, by a borrowed key: an owned one is made only when it is inserted.
//!
//! The owned key is made by `K: From<&Q>`, not by `Q: ToOwned<Owned = K>`: an `Arc<str>`, a `Box<str>` or a string
//! type of another crate can be made of a `&str`, but is not what it is owned as.

use super::compute::assert_owns;
use super::entry::{Opened, Removed};
use super::table::{Site, Table};
use super::{OccupiedEntry, Store};
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// Calls that may insert, by a borrowed key.
///
/// As [`entry`](Store::entry) and [`upsert`](Store::upsert), but the key is borrowed, and an owned one is made of it,
/// by `From`, only when it is inserted.
/// [`get_or_compute_by_ref`](Store::get_or_compute_by_ref) is another such call.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns what `f` returns for the entry of a borrowed key. `f` runs under the lock for writing.
    ///
    /// # Panics
    /// Whatever `f` panics with: the entry stays as `f` has left it. From inside this store.
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
        // Outside of the lock, as what it holds is dropped with it.
        let (mut removed, mut spare, mut f) = (Removed::new(), None, Some(f));
        let mut shard = self.shards.write(true, hash);
        let had = shard.table.len();
        let is_it = |it: &K| it.borrow() == key;
        let entry = match self.open(&mut shard, hash, is_it, &mut removed) {
            Opened::Occupied(entry) => EntryRef::Occupied(entry),
            Opened::Vacant(table, site) => {
                EntryRef::Vacant(VacantEntryRef { table, site, hash, key, spare: &mut spare })
            }
        };
        let f = f.take().expect("called once");
        let result = f(entry);
        self.close(shard, had);
        result
    }

    /// Changes the value of a borrowed key by `update`, or inserts that of `insert` if the key is absent. Both run
    /// under the lock for writing.
    ///
    /// # Panics
    /// Whatever they panic with. If the owned key is not equal to the borrowed one. From inside this store.
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
        let (mut removed, mut spare) = (Removed::new(), None);
        // Outside of the lock, as what the other one holds is dropped with it.
        let (mut insert, mut update) = (Some(insert), Some(update));
        // No closure: a key that is not equal is to be blamed on the caller's line.
        let mut shard = self.shards.write(true, hash);
        match self.open(&mut shard, hash, |it| it.borrow() == key, &mut removed) {
            Opened::Occupied(mut entry) => {
                if let Some(update) = update.take() {
                    update(entry.get_mut());
                }
            }
            Opened::Vacant(table, site) => {
                if let Some(insert) = insert.take() {
                    let spare = &mut spare;
                    VacantEntryRef { table, site, hash, key, spare }.insert(insert());
                }
            }
        }
    }
}

/// What is at a borrowed key, while the closure of [`Store::entry_by_ref`] runs: an [`Entry`](super::Entry)
/// whose key is owned only when it is inserted.
///
/// What the closure drops here is dropped under the lock of the key's shard; what it returns is not.
pub enum EntryRef<'a, 'q, K, Q: ?Sized, V> {
    /// The key is in the store.
    Occupied(OccupiedEntry<'a, K, V>),
    /// It isn't.
    Vacant(VacantEntryRef<'a, 'q, K, Q, V>),
}

/// An entry whose key, which is borrowed, is not in the store.
pub struct VacantEntryRef<'a, 'q, K, Q: ?Sized, V> {
    /// Has room for it.
    table: &'a mut Table<K, V>,
    site: &'a Site,
    hash: u64,
    key: &'q Q,
    /// Outside of the lock: what isn't inserted, as the owned key can't be made or is not equal.
    spare: &'a mut Option<(Option<K>, V)>,
}

impl<'a, 'q, K, Q: ?Sized, V> EntryRef<'a, 'q, K, Q, V> {
    /// Returns the key: the store's own if it is there, else the one that was asked for.
    pub fn key(&self) -> &Q
    where
        K: Borrow<Q>,
    {
        match self {
            EntryRef::Occupied(entry) => entry.key().borrow(),
            EntryRef::Vacant(entry) => entry.key(),
        }
    }

    /// Changes the value by `f`, if there is one.
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        if let EntryRef::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }

    /// Returns the value. Inserts `value` if there was none.
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

    /// Returns the value. Inserts that of `f` if there was none.
    ///
    /// # Panics
    /// Whatever `f` panics with. As [`VacantEntryRef::insert`].
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

    /// Returns the value. Inserts the default if there was none.
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
    /// Returns the key that was asked for.
    pub fn key(&self) -> &'q Q {
        self.key
    }

    /// Inserts an owned key, which is made of the borrowed one, with this value.
    ///
    /// # Panics
    /// If the owned key is not equal to the borrowed one: then nothing is inserted.
    #[track_caller]
    pub fn insert(self, value: V) -> &'a mut V
    where
        K: Borrow<Q> + From<&'q Q>,
        Q: Eq,
    {
        let (owned, _) = self.spare.insert((None, value));
        assert_owns(owned.insert(K::from(self.key)), self.key);
        match self.spare.take() {
            Some((Some(key), value)) => {
                &mut self.table.insert_new(self.site, self.hash, (key, value)).1
            }
            _ => unreachable!("both have just been put there"),
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

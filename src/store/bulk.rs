//! Calls on the whole store, and its traits as a collection.

use super::map::Store;
use super::reentrancy::is_inside;
use super::table::drop_all;
use hashbrown::{HashTable, hash_table};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Calls on the whole store.
///
/// Unless its description says otherwise, such a call locks one shard after the other. It sees each shard at one moment,
/// but no atomic snapshot of the store: while others write, it finds every entry that stays during the call, and
/// some of the entries that come and go, but no entry twice. Of two that were inserted one after the other it may find
/// only the second. [`snapshot`](Store::snapshot) is atomic.
impl<K, V, S> Store<K, V, S> {
    /// Returns the number of entries. This is not an atomic snapshot.
    ///
    /// While others write, it may be a number that the store never had: if an entry is removed and another is then
    /// inserted, both may be counted, or neither.
    #[must_use]
    #[track_caller]
    pub fn len(&self) -> usize {
        // A loop, not a closure, as in the other calls: the panic of a reentrant call then names the caller's line.
        let mut sum = 0;
        for index in self.shards.indices() {
            sum += self.shards.read_at(index).table.len();
        }
        sum
    }

    /// Returns whether there are no entries. This is not an atomic snapshot.
    ///
    /// A `false` means that there was an entry at some moment of the call. A `true`, while others write, doesn't mean
    /// that the store was ever empty: an entry may have been inserted into a shard already visited before the last one
    /// was removed from another.
    #[must_use]
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        for index in self.shards.indices() {
            if self.shards.read_at(index).table.len() > 0 {
                return false;
            }
        }
        true
    }

    /// Returns the number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.count()
    }

    /// Returns the hasher of the keys.
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Removes all entries, shard by shard, and frees the memory. The entries are dropped without a lock.
    ///
    /// Each shard is cleared in one step. What others insert into it afterwards stays, so while others write, the store
    /// may never be empty, not even when this returns. Values that are being computed when their shard is cleared are
    /// [not inserted](Store#single-flight).
    #[track_caller]
    pub fn clear(&self) {
        for index in self.shards.indices() {
            let (entries, _flights) = self.shards.take_at(index);
            drop_all(entries.into_iter());
        }
    }

    /// Calls `f` with each entry, in no particular order, under its shard's lock for reading.
    ///
    /// `f` sees all entries of a shard at one moment: a call that writes to the shard waits until `f` has seen them all.
    ///
    /// What `f` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    ///
    /// # Panics
    /// If `f` panics. If [called from a closure that runs on this store](Store#reentrant-calls).
    #[track_caller]
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for index in self.shards.indices() {
            self.shards.read_at(index).table.iter().for_each(|(key, value)| f(key, value));
        }
    }

    /// Calls `f` with each entry as [`for_each`](Store::for_each) does, until it returns a
    /// [`Break`](ControlFlow::Break), and returns that.
    ///
    /// # Panics
    /// As [`for_each`](Store::for_each).
    ///
    /// # Examples
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// let stock = phalanx::Store::from([("apples", 3), ("pears", 0)]);
    /// let sold_out = stock.try_for_each(|what, amount| match amount {
    ///     0 => ControlFlow::Break(*what),
    ///     _ => ControlFlow::Continue(()),
    /// });
    /// assert_eq!(sold_out, ControlFlow::Break("pears"));
    /// ```
    #[track_caller]
    pub fn try_for_each<B>(&self, mut f: impl FnMut(&K, &V) -> ControlFlow<B>) -> ControlFlow<B> {
        for index in self.shards.indices() {
            let shard = self.shards.read_at(index);
            for (key, value) in shard.table.iter() {
                f(key, value)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Calls `f` with each entry, whose value it may change, in no particular order, under its shard's lock for writing.
    ///
    /// What `f` drops is dropped under the lock: see [reentrant calls](Store#reentrant-calls).
    /// [`retain`](Store::retain) can remove entries too.
    ///
    /// # Panics
    /// If `f` panics: the values stay as it left them. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// let stock = phalanx::Store::from([("apples", 3), ("pears", 5)]);
    /// stock.for_each_mut(|_, amount| *amount *= 2);
    /// assert_eq!((stock.get("apples"), stock.get("pears")), (Some(6), Some(10)));
    /// ```
    #[track_caller]
    pub fn for_each_mut(&self, mut f: impl FnMut(&K, &mut V)) {
        for index in self.shards.indices() {
            let mut shard = self.shards.write_at(index);
            shard.table.iter_mut().for_each(|(key, value)| f(key, value));
        }
    }

    /// Returns a clone of each key, in no particular order, as [`for_each`](Store::for_each) sees them.
    #[must_use]
    #[track_caller]
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let mut keys = Vec::new();
        self.for_each(|key, _| keys.push(key.clone()));
        keys
    }

    /// Returns a clone of each value, in no particular order, as [`for_each`](Store::for_each) sees them.
    #[must_use]
    #[track_caller]
    pub fn values(&self) -> Vec<V>
    where
        V: Clone,
    {
        let mut values = Vec::new();
        self.for_each(|_, value| values.push(value.clone()));
        values
    }

    /// Returns a clone of all entries at one moment, in no particular order. All shards are locked for reading before
    /// the first entry is cloned, and writers wait until the last one is.
    ///
    /// So it sees all changes of a [`with_many`](Store::with_many), or none. Of a call that goes from shard to shard,
    /// such as [`clear`](Store::clear), it may see only some.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Vec<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        // Declared before the locks, so that they are dropped without them if a `Clone` panics: the clones so far, and
        // that of a key whose value is being cloned.
        let (mut all, mut cloned) = (Vec::new(), None);
        let shards = self.shards.read_all();
        all.reserve_exact(shards.len());
        for (key, value) in shards.entries() {
            cloned.get_or_insert_with(|| key.clone());
            let value = value.clone();
            all.extend(cloned.take().map(|key| (key, value)));
        }
        all
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Keeps the entries for which `f` returns `true` and removes the others, shard by shard. `f` runs under the shard's
    /// lock for writing, and may change the values.
    ///
    /// What is removed is dropped without a lock. What `f` drops is dropped under it: see
    /// [reentrant calls](Store#reentrant-calls).
    ///
    /// Others see a shard either before or after all its changes. `f` isn't called for what they insert into a shard
    /// afterwards, nor for values that are being computed, which are [not inserted](Store#single-flight).
    ///
    /// # Panics
    /// If `f` panics: the entries for which it hasn't returned `false` stay. If [called from a closure that runs on
    /// this store](Store#reentrant-calls).
    #[track_caller]
    pub fn retain(&self, mut f: impl FnMut(&K, &mut V) -> bool) {
        for index in self.shards.indices() {
            // Declared before the lock, and so dropped without it.
            let mut removed = Vec::new();
            let _unlisted;
            let mut shard = self.shards.write_at(index);
            _unlisted = shard.flights.take();
            shard.table.extract_if(&mut removed, |key, value| !f(key, value));
            if !removed.is_empty() {
                self.shrink_if_sparse(shard);
            }
        }
    }

    /// Removes all entries, shard by shard, and returns them in no particular order. Frees the memory.
    ///
    /// Each shard is cleared in one step, so only one of several concurrent calls returns an entry. What others
    /// insert afterwards stays, as with [`clear`](Store::clear).
    #[track_caller]
    pub fn drain(&self) -> Vec<(K, V)> {
        let mut all = Vec::new();
        for index in self.shards.indices() {
            let (entries, _flights) = self.shards.take_at(index);
            all.extend(entries);
        }
        all
    }
}

// A panic of a closure leaves every entry whole (invariant S2 in `mod.rs`), with its value as the closure left it. The
// docs of `Store` say so.
impl<K, V, S> UnwindSafe for Store<K, V, S> {}
impl<K, V, S> RefUnwindSafe for Store<K, V, S> {}

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for Store<K, V, S> {
    /// Formats all entries, shard by shard; `{<in use by this thread>}` if called from a closure that runs on the store.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_inside(self.shards.identity()) {
            return f.write_str("{<in use by this thread>}");
        }
        let mut map = f.debug_map();
        self.for_each(|key, value| {
            map.entry(key, value);
        });
        map.finish()
    }
}

impl<K, V, S> IntoIterator for Store<K, V, S> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    /// Returns the entries in no particular order.
    fn into_iter(self) -> IntoIter<K, V> {
        let mut store = self;
        let tables: Vec<_> = store.shards.take_tables().collect();
        let left = tables.iter().map(HashTable::len).sum();
        IntoIter { tables: tables.into_iter(), entries: HashTable::new().into_iter(), left }
    }
}

/// The entries of a [`Store`], by value.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct IntoIter<K, V> {
    tables: std::vec::IntoIter<HashTable<(K, V)>>,
    entries: hash_table::IntoIter<(K, V)>,
    left: usize,
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(entry) = self.entries.next() {
                self.left -= 1;
                return Some(entry);
            }
            self.entries = self.tables.next()?.into_iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> Drop for IntoIter<K, V> {
    fn drop(&mut self) {
        drop_all(self);
    }
}

impl<K, V> ExactSizeIterator for IntoIter<K, V> {}
impl<K, V> FusedIterator for IntoIter<K, V> {}

impl<K, V> fmt::Debug for IntoIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("left", &self.left).finish_non_exhaustive()
    }
}

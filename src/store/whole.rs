//! Calls on the whole store, and what makes it a collection.

use super::Store;
use super::inside::is_inside;
use super::table::drop_all;
use hashbrown::{HashTable, hash_table};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Calls on the whole store.
///
/// Where nothing else is said, such a call goes from shard to shard, and has one locked at a time: it sees each
/// shard, and so each key, at a moment of its own. Beside writers it finds every entry that is there all the
/// time, none twice, and of those that come and go meanwhile some: of two, put in one after the other, perhaps
/// the second alone. [`snapshot`](Store::snapshot) is of one moment.
impl<K, V, S> Store<K, V, S> {
    /// How many entries there are, each shard's at a moment of its own.
    ///
    /// Beside writers the sum may be one that there never was: an entry that is removed here and then one put in
    /// there may both be counted, or neither.
    #[must_use]
    #[track_caller]
    pub fn len(&self) -> usize {
        // No closure, here and below: a call from inside is to be blamed on the caller's line.
        let mut sum = 0;
        for place in self.places() {
            sum += self.shards.read_at(place).table.len();
        }
        sum
    }

    /// Whether there are none, each shard at a moment of its own.
    ///
    /// At the moment of a `false` there is an entry. Of a `true` beside writers there may be no such moment: one
    /// may have been put into a shard that was looked at before the last one left another.
    #[must_use]
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        for place in self.places() {
            if self.shards.read_at(place).table.len() > 0 {
                return false;
            }
        }
        true
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.count()
    }

    /// What hashes the keys.
    #[must_use]
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Removes everything, shard by shard, and gives the memory back. The entries are dropped without a lock.
    ///
    /// Each shard is emptied in one step. What others put in there afterwards stays, so beside them the store may
    /// not be empty when this returns, nor have been at any moment. Values that are being computed in that step are
    /// [not put in](Store#single-flight).
    #[track_caller]
    pub fn clear(&self) {
        for place in self.places() {
            let (entries, _flights) = self.shards.take_at(place);
            drop_all(entries.into_iter());
        }
    }

    /// Calls `f` with each entry, under its shard's lock for reading. In no order.
    ///
    /// `f` sees all entries of a shard at one moment: a call that writes there waits until it has seen them, one that
    /// writes in another shard doesn't.
    ///
    /// What `f` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    ///
    /// # Panics
    /// Whatever `f` panics with. If called from inside this store.
    #[track_caller]
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for place in self.places() {
            self.shards.read_at(place).table.iter().for_each(|(key, value)| f(key, value));
        }
    }

    /// Calls `f` with each entry as [`for_each`](Store::for_each), until it returns a
    /// [`Break`](ControlFlow::Break), which this returns.
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
        for place in self.places() {
            let shard = self.shards.read_at(place);
            for (key, value) in shard.table.iter() {
                f(key, value)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Calls `f` with each entry, whose value it may change, under its shard's lock for writing. In no order.
    ///
    /// What `f` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    /// [`retain`](Store::retain) removes entries too.
    ///
    /// # Panics
    /// Whatever `f` panics with: the values stay as it has left them. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// let stock = phalanx::Store::from([("apples", 3), ("pears", 5)]);
    /// stock.for_each_mut(|_, amount| *amount *= 2);
    /// assert_eq!((stock.get("apples"), stock.get("pears")), (Some(6), Some(10)));
    /// ```
    #[track_caller]
    pub fn for_each_mut(&self, mut f: impl FnMut(&K, &mut V)) {
        for place in self.places() {
            let mut shard = self.shards.write_at(place);
            shard.table.iter_mut().for_each(|(key, value)| f(key, value));
        }
    }

    /// A copy of each key, shard by shard, as [`for_each`](Store::for_each) sees them. In no order.
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

    /// A copy of each value, shard by shard, as [`for_each`](Store::for_each) sees them. In no order.
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

    /// A copy of all entries at one moment: all shards are locked for reading before the first entry is
    /// copied. Writers wait meanwhile. In no order.
    ///
    /// So it sees all that a [`with_many`](Store::with_many) changes, or nothing. Of the calls that go from shard to
    /// shard, as [`clear`](Store::clear), it may see a part.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self) -> Vec<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        // Before the locks, and so dropped after them if a `Clone` panics: also a key whose value can't be
        // copied.
        let (mut all, mut copied) = (Vec::new(), None);
        let (_inside, shards) = self.shards.read_all();
        all.reserve_exact(shards.iter().map(|shard| shard.table.len()).sum());
        for (key, value) in shards.iter().flat_map(|shard| shard.table.iter()) {
            copied.get_or_insert_with(|| key.clone());
            let value = value.clone();
            all.extend(copied.take().map(|key| (key, value)));
        }
        all
    }

    pub(super) fn places(&self) -> std::ops::Range<usize> {
        0..self.shards.count()
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Keeps the entries for which `f` returns `true`, and removes the others, shard by shard; `f` runs under
    /// the shard's lock, and may change the values.
    ///
    /// What is removed is dropped without a lock; what `f` drops is dropped under it: see
    /// [calls from inside](Store#calls-from-inside).
    ///
    /// Others see a shard as it was, or with all changes made. What they put in a shard that is done is not asked
    /// about. Values that are being computed can't be asked about, and are [not put in](Store#single-flight).
    ///
    /// # Panics
    /// Whatever `f` panics with: the entries for which it has not returned `false` stay. If called from inside this
    /// store.
    #[track_caller]
    pub fn retain(&self, mut f: impl FnMut(&K, &mut V) -> bool) {
        for place in self.places() {
            let mut gone = Vec::new();
            let _ended;
            let mut shard = self.shards.write_at(place);
            _ended = shard.flights.take();
            shard.table.take_if(&mut gone, |key, value| !f(key, value));
            if !gone.is_empty() {
                self.tidy(shard);
            }
        }
    }

    /// Takes everything out, shard by shard, and the memory with it. In no order.
    ///
    /// Each shard is emptied in one step, and each entry given to one caller only. What others put in afterwards
    /// stays, as with [`clear`](Store::clear).
    #[track_caller]
    pub fn drain(&self) -> Vec<(K, V)> {
        let mut all = Vec::new();
        for place in self.places() {
            let (entries, _flights) = self.shards.take_at(place);
            all.extend(entries);
        }
        all
    }
}

// A panic of a closure leaves every entry whole: invariant 2 in `mod.rs`. The value is as the closure has left it, as
// with std's locks when their poison is ignored, and as the docs of `Store` say.
impl<K, V, S> UnwindSafe for Store<K, V, S> {}
impl<K, V, S> RefUnwindSafe for Store<K, V, S> {}

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for Store<K, V, S> {
    /// All entries, shard by shard; `{<in use by this thread>}` if this thread is inside the store.
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

    /// The entries, in no order.
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

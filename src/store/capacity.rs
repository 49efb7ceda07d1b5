//! Capacity: reserved in advance, and given back.
//!
//! A reservation that is too large is an error before any shard grows: the sum of all tables is checked first.

use super::error::TryReserveError;
use super::map::Store;
use super::shards::capacity_of_each;
use super::table::Table;
use std::hash::{BuildHasher, Hash};

/// Calls on the capacity.
impl<K, V, S> Store<K, V, S> {
    /// Returns for how many entries all shards together have capacity. This is not an atomic snapshot. A full shard
    /// grows even if others have capacity left.
    #[must_use]
    #[track_caller]
    pub fn capacity(&self) -> usize {
        // A loop, not a closure: the panic of a reentrant call then names the caller's line.
        let mut sum = 0;
        for index in self.shards.indices() {
            sum += self.shards.read_at(index).table.capacity();
        }
        sum
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Reserves capacity for `additional` more entries: in each shard for an even share, as
    /// [`with_capacity`](Store::with_capacity) does. Fewer entries than there are shards reserve nothing.
    ///
    /// # Panics
    /// If the tables would take more than `isize::MAX` bytes, or the allocator returns an error;
    /// [`try_reserve`](Store::try_reserve) returns an error instead. If the `Hash` of a key panics. In each case the
    /// store stays usable and has all its entries. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        if let Err(error) = self.try_reserve(additional) {
            panic!("Store: {error}");
        }
    }

    /// Reserves capacity for `additional` more entries, as [`reserve`](Store::reserve) does, or returns an error.
    ///
    /// # Errors
    /// If the tables would take more than `isize::MAX` bytes, or the allocator returns an error. The store has all its
    /// entries then.
    ///
    /// # Panics
    /// If the `Hash` of a key panics: no entry is lost. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::TryReserveError;
    ///
    /// let store = Store::from([("one", 1)]);
    /// assert_eq!(store.try_reserve(usize::MAX), Err(TryReserveError::CapacityOverflow));
    /// assert_eq!(store.try_reserve(1000), Ok(()));
    /// assert!(store.capacity() >= 1000);
    /// ```
    #[track_caller]
    pub fn try_reserve(&self, additional: usize) -> Result<(), TryReserveError> {
        let each = capacity_of_each(self.shards.count(), additional);
        let mut too_small = 0;
        for index in self.shards.indices() {
            too_small += usize::from(!self.shards.read_at(index).table.has_capacity_for(each));
        }
        Table::<K, V>::check_capacity(too_small, each)?;
        for index in self.shards.indices() {
            let mut shard = self.shards.write_at(index);
            shard.table_mut().try_reserve(each, |key| self.hash(key))?;
        }
        Ok(())
    }

    /// Frees the memory that the entries don't need, shard by shard.
    ///
    /// Removals free most of it by themselves.
    ///
    /// # Panics
    /// If the `Hash` of a key panics: no entry is lost. If [called from a closure that runs on this
    /// store](Store#reentrant-calls).
    #[track_caller]
    pub fn shrink_to_fit(&self) {
        for index in self.shards.indices() {
            let mut shard = self.shards.write_at(index);
            let len = shard.table.len();
            shard.table_mut().shrink_to(len, |key| self.hash(key));
        }
    }
}

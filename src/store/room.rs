//! Room for entries: made ahead of time, and given back.
//!
//! Too much of it is an error before anything changes: what all tables take together is compared with what there
//! may be. The tables are then made one by one. Each alone may be small enough to be granted, so where they are large
//! all of it is asked for once, as the one table of a `HashMap` would be, and given back at once.

use super::Store;
use super::error::TryReserveError;
use super::make::refuse;
use super::shards::each_of;
use super::table::Table;
use std::hash::{BuildHasher, Hash};
use std::hint::black_box;

/// Bytes from which on all of it is asked for at once.
const LARGE: usize = 1 << 28;

/// Whether there may be `count` tables with room for `each` entries.
pub(super) fn check<K, V>(count: usize, each: usize) -> Result<(), TryReserveError> {
    let bytes = Table::<K, V>::bytes_for(each)
        .and_then(|bytes| bytes.checked_mul(count))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .ok_or(TryReserveError::CapacityOverflow)?;
    if bytes >= LARGE {
        let mut probe = Vec::<u8>::new();
        let outcome = probe.try_reserve_exact(bytes);
        // Or the compiler may leave an allocation out that nobody uses.
        black_box(&mut probe);
        outcome.map_err(|_| TryReserveError::OutOfMemory)?;
    }
    Ok(())
}

/// Calls on the room.
impl<K, V, S> Store<K, V, S> {
    /// Returns for how many entries there is room, in all shards together, each at a moment of its own. A shard
    /// that is full grows while others have room.
    #[must_use]
    #[track_caller]
    pub fn capacity(&self) -> usize {
        // No closure: a call from inside is to be blamed on the caller's line.
        let mut sum = 0;
        for place in self.places() {
            sum += self.shards.read_at(place).table.capacity();
        }
        sum
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Makes room for `additional` entries more, if they spread evenly over the shards: in each for its share, as
    /// [`with_capacity`](Store::with_capacity). Fewer than there are shards make no room.
    ///
    /// # Panics
    /// If the room would take more than `isize::MAX` bytes, or the allocator returns an error:
    /// [`try_reserve`](Store::try_reserve) returns these. If a key's `Hash` does. The store is usable afterwards, and
    /// holds what it held. If called from inside this store.
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        match self.try_reserve(additional) {
            Ok(()) => (),
            Err(error) => refuse(error),
        }
    }

    /// Makes room for `additional` entries more, as [`reserve`](Store::reserve), unless that is too much.
    ///
    /// # Errors
    /// If the room would take more than `isize::MAX` bytes, or the allocator returns an error. The store holds what it
    /// held.
    ///
    /// # Panics
    /// If a key's `Hash` does: nothing is lost by it. If called from inside this store.
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
        let each = each_of(self.shards.count(), additional);
        let mut short = 0;
        for place in self.places() {
            short += usize::from(!self.shards.read_at(place).table.has_room(each));
        }
        check::<K, V>(short, each)?;
        for place in self.places() {
            let mut shard = self.shards.write_at(place);
            let (table, site) = shard.table();
            table.try_reserve(site, each, |key| self.hash_inside(key))?;
        }
        Ok(())
    }

    /// Gives back as much memory as the entries don't need, shard by shard.
    ///
    /// Removals give most of it back by themselves.
    ///
    /// # Panics
    /// If a key's `Hash` does: nothing is lost by it. If called from inside this store.
    #[track_caller]
    pub fn shrink_to_fit(&self) {
        for place in self.places() {
            let mut shard = self.shards.write_at(place);
            let (table, site) = shard.table();
            table.shrink(site, table.len(), |key| self.hash_inside(key));
        }
    }
}

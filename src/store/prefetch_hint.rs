//! Prefetching: where a shard's table is in memory, known before its lock is held.
//!
//! A call on one key needs three cache lines one after another: the lock's, that of the table's tags, and the entry's.
//! With a hint all three are fetched at once. The hint is kept outside of the lock, and written only under it. It may
//! be out of date or wrong, for nothing is read through it.
//!
//! Without hints a call takes 1.2 to 1.3 times as long: the geometric mean over `u64` keys and values, 100,000 and
//! 1,000,000 of them, 100 and 50 % reads, 1 to 8 threads on 2 Intel cores (the work of the group `stores` of
//! `benches/peers`, both builds taking turns in one process). With 10,000 keys, which fit in a core's own cache, they make
//! no difference to one thread; half writes by 2 to 8 threads take 1.2 to 1.4 times as long without.

use super::error::TryReserveError;
use super::table::Table;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{prefetch, prefetch_to_write};
use hashbrown::HashTable;
use std::ptr;

/// Where a table's memory is: the address at which its tags begin and its entries end, and the binary logarithm of the
/// number of its buckets. Or [`UNKNOWN`], from a change of these to the next insertion.
#[derive(Debug)]
pub(super) struct PrefetchHint(AtomicU64);

/// Nothing is prefetched, and the next insertion computes the hint.
const UNKNOWN: u64 = 0;

impl PrefetchHint {
    pub(super) fn new() -> Self {
        PrefetchHint(AtomicU64::new(UNKNOWN))
    }

    fn is_unknown(&self) -> bool {
        // ORDERING: Relaxed: only written under the shard's lock, which is held.
        self.0.load(Ordering::Relaxed) == UNKNOWN
    }

    fn forget(&self) {
        // ORDERING: Relaxed: nothing is read through it.
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Computes the hint from an entry and the number of its bucket, as hashbrown 0.17 lays out its tables.
    #[cold]
    fn learn<T>(&self, entry: &T, bucket: usize, buckets: usize) {
        let tags = ptr::from_ref(entry).addr() + (bucket + 1) * size_of::<T>();
        // ORDERING: Relaxed: nothing is read through it.
        self.0.store((tags as u64) << 8 | u64::from(buckets.ilog2()), Ordering::Relaxed);
    }

    /// Prefetches the tags of the hash's first group, and the entry of the first tag.
    #[inline]
    pub(super) fn prefetch<T>(&self, hash: u64) {
        if let Some((tag, entry)) = self.addresses::<T>(hash) {
            prefetch(tag);
            prefetch(entry);
        }
    }

    /// [`prefetch`](PrefetchHint::prefetch), with the entry to be written.
    #[inline]
    pub(super) fn prefetch_to_write<T>(&self, hash: u64) {
        if let Some((tag, entry)) = self.addresses::<T>(hash) {
            prefetch(tag);
            prefetch_to_write(entry);
        }
    }

    #[inline]
    fn addresses<T>(&self, hash: u64) -> Option<(usize, usize)> {
        // ORDERING: Relaxed: nothing is read through it.
        let hint = self.0.load(Ordering::Relaxed);
        if hint == UNKNOWN {
            return None;
        }
        let (tags, buckets) = (hint >> 8, hint & 0x3f);
        let bucket = hash & ((1 << buckets) - 1);
        let entry = tags.wrapping_sub((bucket + 1).wrapping_mul(size_of::<T>() as u64));
        Some(((tags + bucket) as usize, entry as usize))
    }
}

/// A table that is locked for writing, with its hint: the changes that the hint must follow.
#[derive(Debug)]
pub(super) struct HintedTable<'a, K, V> {
    pub(super) table: &'a mut Table<K, V>,
    pub(super) hint: &'a PrefetchHint,
}

impl<'a, K, V> HintedTable<'a, K, V> {
    /// Grows the table if it is full.
    #[inline]
    #[track_caller]
    pub(super) fn reserve_one(&mut self, hash_of: impl Fn(&K) -> u64) {
        if !self.table.has_capacity_for(1) {
            self.table.grow(hash_of);
            self.hint.forget();
        }
    }

    /// Inserts an entry whose key is absent. Only after [`reserve_one`](HintedTable::reserve_one): runs no user code.
    #[inline]
    pub(super) fn insert_new(self, hash: u64, entry: (K, V)) -> &'a mut (K, V) {
        let buckets = self.table.buckets();
        let bucket = self.table.insert_new(hash, entry);
        if self.hint.is_unknown() {
            self.hint.learn(bucket.get(), bucket.bucket_index(), buckets);
        }
        bucket.into_mut()
    }

    /// Reserves capacity for `additional` more entries. Changes nothing if it fails.
    pub(super) fn try_reserve(
        &mut self,
        additional: usize,
        hash_of: impl Fn(&K) -> u64,
    ) -> Result<(), TryReserveError> {
        if !self.table.has_capacity_for(additional) {
            self.table.try_grow(additional, hash_of)?;
            self.hint.forget();
        }
        Ok(())
    }

    /// Shrinks the table to the entries, or to `capacity` if that is more.
    pub(super) fn shrink_to(&mut self, capacity: usize, hash_of: impl Fn(&K) -> u64) {
        if self.table.shrink_to(capacity, hash_of) {
            self.hint.forget();
        }
    }

    /// Removes all entries, and the memory with them.
    pub(super) fn take(&mut self) -> HashTable<(K, V)> {
        self.hint.forget();
        self.table.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hint that is wrong changes no result, so nothing else fails if hashbrown changes its layout.
    #[test]
    fn a_hint_learnt_from_one_entry_leads_to_another() {
        let mut table = Table::<u64, u64>::try_with_capacity(1000).unwrap();
        let hint = PrefetchHint::new();
        for hash in [0x0123_4567_89ab_cd10, 0x0fed_cba9_8765_4321] {
            let hinted = HintedTable { table: &mut table, hint: &hint };
            let entry = ptr::from_ref(hinted.insert_new(hash, (hash, 0))).addr();
            assert_eq!(hint.addresses::<(u64, u64)>(hash).map(|(_, entry)| entry), Some(entry));
        }
        HintedTable { table: &mut table, hint: &hint }.take();
        assert!(hint.is_unknown() && hint.addresses::<(u64, u64)>(0).is_none());
    }
}

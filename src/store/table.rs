//! The table of a shard: hashbrown's, made safe against hashers that panic.
//!
//! hashbrown calls the hasher while it moves entries to their new buckets, and a hasher that panics then may cost it
//! entries. Here all hashes are computed before the first entry moves, so a panic leaves the table as it was.
//! Growing, shrinking and clearing the marks that removals leave are one operation, [`rebuild`](Table::rebuild).

use super::error::TryReserveError;
use crate::sys::{catch, discard};
use hashbrown::{HashTable, hash_table};
use std::hint::black_box;
use std::mem;
use std::panic::resume_unwind;

/// The bucket of an entry.
pub(super) type Bucket<'a, K, V> = hash_table::OccupiedEntry<'a, (K, V)>;

/// A table with at most this many buckets is never sparse.
const SMALL: usize = 32;
/// A table with this many times more buckets than entries is sparse.
const SPARSE: usize = 8;
/// The size in bytes from which tables that are about to be allocated are first asked for as a whole.
const LARGE: usize = 1 << 28;

#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: HashTable<(K, V)>,
}

impl<K, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Table { entries: HashTable::new() }
    }

    pub(super) fn try_with_capacity(capacity: usize) -> Result<Self, TryReserveError> {
        Ok(Table { entries: Self::allocate(capacity)? })
    }

    fn allocate(capacity: usize) -> Result<HashTable<(K, V)>, TryReserveError> {
        let mut entries = HashTable::new();
        match entries.try_reserve(capacity, |_| unreachable!("the table is empty")) {
            Ok(()) => Ok(entries),
            Err(hashbrown::TryReserveError::CapacityOverflow) => {
                Err(TryReserveError::CapacityOverflow)
            }
            Err(hashbrown::TryReserveError::AllocError { .. }) => Err(TryReserveError::OutOfMemory),
        }
    }

    /// Checks that `count` tables of this capacity each can be allocated together.
    ///
    /// They are then allocated one by one, and each may be small enough to be granted though the sum isn't. So where
    /// the sum is large it is allocated once, as the one table of a `HashMap` would be, and freed.
    pub(super) fn check_capacity(count: usize, each: usize) -> Result<(), TryReserveError> {
        let bytes = Self::bytes_for(each)
            .and_then(|bytes| bytes.checked_mul(count))
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .ok_or(TryReserveError::CapacityOverflow)?;
        if bytes >= LARGE {
            let mut probe = Vec::<u8>::new();
            let outcome = probe.try_reserve_exact(bytes);
            // Keeps the compiler from removing an allocation that nothing uses.
            black_box(&mut probe);
            outcome.map_err(|_| TryReserveError::OutOfMemory)?;
        }
        Ok(())
    }

    /// About how many bytes a table of this capacity takes; `None` if that overflows.
    fn bytes_for(capacity: usize) -> Option<usize> {
        let buckets = capacity.checked_mul(8)?.div_ceil(7).checked_next_power_of_two()?;
        buckets.checked_mul(size_of::<(K, V)>() + 1)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (K, V)> {
        self.entries.iter_mut()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<&(K, V)> {
        self.entries.find(hash, |(key, _)| is_it(key))
    }

    #[inline]
    pub(super) fn find_mut(
        &mut self,
        hash: u64,
        mut is_it: impl FnMut(&K) -> bool,
    ) -> Option<&mut (K, V)> {
        self.entries.find_mut(hash, |(key, _)| is_it(key))
    }

    pub(super) fn buckets(&self) -> usize {
        self.entries.num_buckets()
    }

    /// Inserts an entry whose key is absent. Only when there is capacity for one: runs no user code.
    #[inline]
    pub(super) fn insert_new(&mut self, hash: u64, entry: (K, V)) -> Bucket<'_, K, V> {
        self.entries.insert_unique(hash, entry, |_| unreachable!("there is capacity"))
    }

    /// The index of the key's bucket, valid until the table changes.
    pub(super) fn find_index(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<usize> {
        self.entries.find_bucket_index(hash, |(key, _)| is_it(key))
    }

    /// The bucket at an index that is still valid.
    pub(super) fn bucket(&mut self, index: usize) -> Bucket<'_, K, V> {
        match self.entries.get_bucket_entry(index) {
            Ok(bucket) => bucket,
            Err(_) => unreachable!("the index is that of an entry"),
        }
    }

    pub(super) fn remove(
        &mut self,
        hash: u64,
        mut is_it: impl FnMut(&K) -> bool,
    ) -> Option<(K, V)> {
        let entry = self.entries.find_entry(hash, |(key, _)| is_it(key)).ok()?;
        Some(entry.remove().0)
    }

    /// Moves the entries for which `f` returns `true` to `removed`.
    pub(super) fn extract_if(
        &mut self,
        removed: &mut Vec<(K, V)>,
        mut f: impl FnMut(&K, &mut V) -> bool,
    ) {
        removed.extend(self.entries.extract_if(|(key, value)| f(key, value)));
    }

    /// Removes all entries, and the memory with them.
    pub(super) fn take(&mut self) -> HashTable<(K, V)> {
        mem::take(&mut self.entries)
    }

    #[inline]
    pub(super) fn has_capacity_for(&self, additional: usize) -> bool {
        self.capacity() - self.len() >= additional
    }

    /// Rebuilds the table so that it has capacity for `additional` more entries. Changes nothing if it fails.
    pub(super) fn try_grow(
        &mut self,
        additional: usize,
        hash_of: impl Fn(&K) -> u64,
    ) -> Result<(), TryReserveError> {
        let capacity = self.capacity_for(additional).ok_or(TryReserveError::CapacityOverflow)?;
        let rebuilt = Self::allocate(capacity)?;
        let mut hashes = Vec::new();
        hashes.try_reserve_exact(self.len()).map_err(|_| TryReserveError::OutOfMemory)?;
        hashes.extend(self.entries.iter().map(|(key, _)| hash_of(key)));
        self.move_to(rebuilt, hashes);
        Ok(())
    }

    /// The capacity to rebuild the table with for `additional` more entries: a larger one, unless what fills the
    /// table are mostly the marks that removals left.
    fn capacity_for(&self, additional: usize) -> Option<usize> {
        let needed = self.len().checked_add(additional)?;
        let full = self.entries.num_buckets() / 8 * 7;
        Some(needed.max(if self.len() > full / 2 { full + 1 } else { 0 }))
    }

    /// Rebuilds a full table so that it has capacity for one more entry.
    #[cold]
    #[track_caller]
    pub(super) fn grow(&mut self, hash_of: impl Fn(&K) -> u64) {
        self.rebuild(self.capacity_for(1).expect("Store: capacity overflow"), hash_of);
    }

    /// Whether the table has so few entries that it should be shrunk.
    pub(super) fn is_sparse(&self) -> bool {
        let buckets = self.entries.num_buckets();
        buckets > SMALL && self.len() < buckets / SPARSE
    }

    /// Shrinks the table to the entries, or to `capacity` if that is more. Returns whether its memory has changed.
    #[cold]
    pub(super) fn shrink_to(&mut self, capacity: usize, hash_of: impl Fn(&K) -> u64) -> bool {
        let smaller = HashTable::<(K, V)>::with_capacity(capacity).num_buckets();
        let shrinks = smaller < self.entries.num_buckets();
        if shrinks {
            self.rebuild(capacity, hash_of);
        }
        shrinks
    }

    fn rebuild(&mut self, capacity: usize, hash_of: impl Fn(&K) -> u64) {
        let hashes: Vec<u64> = self.entries.iter().map(|(key, _)| hash_of(key)).collect();
        self.move_to(HashTable::with_capacity(capacity.max(self.len())), hashes);
    }

    /// Moves all entries to a table that has the capacity for them. Runs no user code. `hashes` are in the order of
    /// `iter`, which is that of `drain` too.
    fn move_to(&mut self, mut rebuilt: HashTable<(K, V)>, hashes: Vec<u64>) {
        for (hash, entry) in hashes.into_iter().zip(self.entries.drain()) {
            rebuilt.insert_unique(hash, entry, |_| unreachable!("allocated for all of them"));
        }
        self.entries = rebuilt;
    }
}

/// Drops all of `entries`, also after a `Drop` that panics, and then resumes the first panic; later ones are
/// discarded. hashbrown's own tables leak the entries after the first panic.
pub(super) fn drop_all<T>(mut entries: impl Iterator<Item = T>) {
    if !mem::needs_drop::<T>() {
        return;
    }
    let mut first = None;
    // Runs once, and once more for each panic: `by_ref` leaves the rest in the iterator.
    while let Err(payload) = catch(|| {
        for entry in entries.by_ref() {
            drop(entry);
        }
    }) {
        match first {
            None => first = Some(payload),
            Some(_) => discard(payload),
        }
    }
    if let Some(payload) = first {
        resume_unwind(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &u64) -> u64 {
        key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn insert(table: &mut Table<u64, u64>, key: u64) {
        if !table.has_capacity_for(1) {
            table.grow(hash);
        }
        table.insert_new(hash(&key), (key, key + 1));
    }

    fn remove(table: &mut Table<u64, u64>, key: u64) {
        assert_eq!(table.remove(hash(&key), |it| *it == key), Some((key, key + 1)));
    }

    #[test]
    fn entries_survive_growing_and_shrinking() {
        let mut table = Table::new();
        (0..1000).for_each(|key| insert(&mut table, key));
        (10..1000).for_each(|key| remove(&mut table, key));
        assert!(table.is_sparse());
        table.shrink_to(2 * table.len(), hash);
        assert!(!table.is_sparse() && table.capacity() < 64);
        for key in 0..1000 {
            let found = table.find(hash(&key), |it| *it == key);
            assert_eq!(found.copied(), (key < 10).then_some((key, key + 1)));
        }
    }

    /// The store checks the sum of its tables first; a table by itself must fail as cleanly.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn too_large_a_table_is_an_error_and_changes_nothing() {
        let mut table = Table::new();
        (0..100).for_each(|key| insert(&mut table, key));
        let capacity = table.capacity();
        let too_large = [
            (usize::MAX, TryReserveError::CapacityOverflow),
            (usize::MAX / 8, TryReserveError::CapacityOverflow),
            (1 << 50, TryReserveError::OutOfMemory),
        ];
        for (additional, error) in too_large {
            assert_eq!(table.try_grow(additional, hash), Err(error));
            let allocated = Table::<u64, u64>::try_with_capacity(additional);
            assert_eq!(allocated.map(|table| table.len()), Err(error));
        }
        assert_eq!((table.len(), table.capacity()), (100, capacity));
        assert_eq!(table.try_grow(1000, hash), Ok(()));
        assert!(table.has_capacity_for(1000));
        (0..100).for_each(|key| remove(&mut table, key));
    }

    #[test]
    fn a_table_whose_entries_come_and_go_keeps_its_size() {
        let mut table = Table::new();
        (0..100).for_each(|key| insert(&mut table, key));
        let size = table.entries.num_buckets();
        for key in 0..100_000 {
            remove(&mut table, key);
            insert(&mut table, key + 100);
        }
        assert_eq!(table.len(), 100);
        assert!(table.entries.num_buckets() <= 2 * size, "{}", table.entries.num_buckets());
    }
}

//! The table of a shard: hashbrown's, with a growth of our own.
//!
//! hashbrown calls the hasher while it moves entries to their new places, and a hasher that panics then
//! may cost it entries. Here all hashes are computed before the first entry moves: a panic leaves the
//! table as it was. Growing, clearing out what removals left, and shrinking are one thing, [`rebuild`].
//!
//! [`rebuild`]: Table::rebuild

use super::error::TryReserveError;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{catch, discard, prefetch, prefetch_to_write};
use hashbrown::{HashTable, hash_table};
use std::panic::resume_unwind;
use std::{mem, ptr};

/// An entry that is there.
pub(super) type Place<'a, K, V> = hash_table::OccupiedEntry<'a, (K, V)>;

/// Up to so many buckets a table is not worth shrinking.
const SMALL: usize = 32;
/// How many times more than its entries a table may hold before it is shrunk.
const SPARSE: usize = 8;

#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: HashTable<(K, V)>,
}

/// Where a table's memory is, in one word, for those who want it in their cache before they may look: the
/// address at which the tags begin and the entries end, and the number of buckets as a power of two; or 0,
/// from when that changes to the next insertion. Kept outside of the table's lock, and written by who has it.
///
/// It may be out of date, or wrong: nothing is read there.
#[derive(Debug)]
pub(super) struct Site(AtomicU64);

impl Site {
    pub(super) fn new() -> Self {
        Site(AtomicU64::new(0))
    }

    fn is_unknown(&self) -> bool {
        // ORDERING: Relaxed, here and below: nothing is read by it.
        self.0.load(Ordering::Relaxed) == 0
    }

    fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// By an entry, and which bucket it is in.
    #[cold]
    fn learn<T>(&self, entry: &T, bucket: usize, buckets: usize) {
        let tags = ptr::from_ref(entry).addr() + (bucket + 1) * size_of::<T>();
        self.0.store((tags as u64) << 8 | u64::from(buckets.ilog2()), Ordering::Relaxed);
    }

    /// Has what a look for the hash begins with brought into the cache: the tags of its group, and the
    /// entry that belongs to the first of them.
    #[inline]
    pub(super) fn prefetch<T>(&self, hash: u64) {
        let (tag, entry) = self.places::<T>(hash);
        prefetch(tag);
        prefetch(entry);
    }

    /// The same, with the entry to be written.
    #[inline]
    pub(super) fn prefetch_to_write<T>(&self, hash: u64) {
        let (tag, entry) = self.places::<T>(hash);
        prefetch(tag);
        prefetch_to_write(entry);
    }

    #[inline]
    fn places<T>(&self, hash: u64) -> (usize, usize) {
        let site = self.0.load(Ordering::Relaxed);
        let (tags, buckets) = (site >> 8, site & 0x3f);
        let bucket = hash & ((1 << buckets) - 1);
        let entry = tags.wrapping_sub((bucket + 1).wrapping_mul(size_of::<T>() as u64));
        ((tags + bucket) as usize, entry as usize)
    }
}

impl<K, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Table { entries: HashTable::new() }
    }

    pub(super) fn try_with_capacity(capacity: usize) -> Result<Self, TryReserveError> {
        Ok(Table { entries: Self::made_for(capacity)? })
    }

    fn made_for(capacity: usize) -> Result<HashTable<(K, V)>, TryReserveError> {
        let mut entries = HashTable::new();
        match entries.try_reserve(capacity, |_| unreachable!("there are none")) {
            Ok(()) => Ok(entries),
            Err(hashbrown::TryReserveError::CapacityOverflow) => {
                Err(TryReserveError::CapacityOverflow)
            }
            Err(hashbrown::TryReserveError::AllocError { .. }) => Err(TryReserveError::OutOfMemory),
        }
    }

    /// How many bytes a table with room for so many entries takes, about; `None` if that is no number.
    pub(super) fn bytes_for(capacity: usize) -> Option<usize> {
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

    /// Puts an entry in whose key is not there, after a [`make_room`](Table::make_room).
    #[inline]
    pub(super) fn insert_new(&mut self, site: &Site, hash: u64, entry: (K, V)) -> &mut (K, V) {
        let buckets = self.entries.num_buckets();
        let place = self.entries.insert_unique(hash, entry, |_| unreachable!("there is room"));
        if site.is_unknown() {
            site.learn(place.get(), place.bucket_index(), buckets);
        }
        place.into_mut()
    }

    /// Where the entry is, as long as the table isn't changed.
    pub(super) fn index(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<usize> {
        self.entries.find_bucket_index(hash, |(key, _)| is_it(key))
    }

    /// The entry at an index that is still valid.
    pub(super) fn place(&mut self, index: usize) -> Place<'_, K, V> {
        match self.entries.get_bucket_entry(index) {
            Ok(place) => place,
            Err(_) => unreachable!("the index was found just now"),
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

    /// Takes out all entries that `leaves` says, into `gone`.
    pub(super) fn take_if(
        &mut self,
        gone: &mut Vec<(K, V)>,
        mut leaves: impl FnMut(&K, &mut V) -> bool,
    ) {
        gone.extend(self.entries.extract_if(|(key, value)| leaves(key, value)));
    }

    /// Takes out everything, and the memory with it.
    pub(super) fn take(&mut self, site: &Site) -> HashTable<(K, V)> {
        site.forget();
        self.take_last()
    }

    /// The same, when nobody looks any more.
    pub(super) fn take_last(&mut self) -> HashTable<(K, V)> {
        mem::take(&mut self.entries)
    }

    /// Sees to it that there is room for one entry more.
    #[inline]
    #[track_caller]
    pub(super) fn make_room(&mut self, site: &Site, hash_of: impl Fn(&K) -> u64) {
        if self.entries.len() == self.entries.capacity() {
            self.grow(site, hash_of);
        }
    }

    pub(super) fn has_room(&self, additional: usize) -> bool {
        self.capacity() - self.len() >= additional
    }

    /// Sees to it that there is room for so many entries more, or leaves the table as it is.
    pub(super) fn try_reserve(
        &mut self,
        site: &Site,
        additional: usize,
        hash_of: impl Fn(&K) -> u64,
    ) -> Result<(), TryReserveError> {
        if self.has_room(additional) {
            return Ok(());
        }
        let larger = self.larger(additional).ok_or(TryReserveError::CapacityOverflow)?;
        let rebuilt = Self::made_for(larger)?;
        let mut hashes = Vec::new();
        hashes.try_reserve_exact(self.len()).map_err(|_| TryReserveError::OutOfMemory)?;
        hashes.extend(self.entries.iter().map(|(key, _)| hash_of(key)));
        self.move_to(rebuilt, site, hashes);
        Ok(())
    }

    /// The capacity with which there is room for so many more. Where removals have left their marks, no larger one
    /// is needed.
    fn larger(&self, additional: usize) -> Option<usize> {
        let needed = self.len().checked_add(additional)?;
        let full = self.entries.num_buckets() / 8 * 7;
        Some(needed.max(if self.len() > full / 2 { full + 1 } else { 0 }))
    }

    #[cold]
    #[track_caller]
    fn grow(&mut self, site: &Site, hash_of: impl Fn(&K) -> u64) {
        self.rebuild(site, self.larger(1).expect("Store: capacity overflow"), hash_of);
    }

    /// Whether so few entries are left that the memory is worth giving back.
    pub(super) fn is_sparse(&self) -> bool {
        let held = self.entries.num_buckets();
        held > SMALL && self.len() < held / SPARSE
    }

    /// Gives back the memory that the entries, and as many again or so many, don't need.
    #[cold]
    pub(super) fn shrink(&mut self, site: &Site, capacity: usize, hash_of: impl Fn(&K) -> u64) {
        if self.entries.num_buckets() > HashTable::<(K, V)>::with_capacity(capacity).num_buckets() {
            self.rebuild(site, capacity, hash_of);
        }
    }

    fn rebuild(&mut self, site: &Site, capacity: usize, hash_of: impl Fn(&K) -> u64) {
        let hashes: Vec<u64> = self.entries.iter().map(|(key, _)| hash_of(key)).collect();
        self.move_to(HashTable::with_capacity(capacity.max(self.len())), site, hashes);
    }

    /// Moves all entries to another table, which has room for them. No foreign code runs here. `hashes` are in
    /// the order of `iter`, as a drain is.
    fn move_to(&mut self, mut rebuilt: HashTable<(K, V)>, site: &Site, hashes: Vec<u64>) {
        for (hash, entry) in hashes.into_iter().zip(self.entries.drain()) {
            rebuilt.insert_unique(hash, entry, |_| unreachable!("there is room"));
        }
        self.entries = rebuilt;
        site.forget();
    }
}

/// Drops all of them, also after one whose `Drop` panics, and then goes on with that panic; those of later ones go
/// nowhere. A table of hashbrown's leaks what comes after it.
pub(super) fn drop_all<T>(mut entries: impl Iterator<Item = T>) {
    if !mem::needs_drop::<T>() {
        return;
    }
    let mut first = None;
    // Once, and once more for each panic: a loop by `next`, which leaves the iterator whole.
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
        table.make_room(&Site::new(), hash);
        table.insert_new(&Site::new(), hash(&key), (key, key + 1));
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
        table.shrink(&Site::new(), 2 * table.len(), hash);
        assert!(!table.is_sparse() && table.capacity() < 64);
        for key in 0..1000 {
            let found = table.find(hash(&key), |it| *it == key);
            assert_eq!(found.copied(), (key < 10).then_some((key, key + 1)));
        }
    }

    /// The store asks for all of its tables first; a table by itself fails as cleanly.
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
            assert_eq!(table.try_reserve(&Site::new(), additional, hash), Err(error));
            let made = Table::<u64, u64>::try_with_capacity(additional);
            assert_eq!(made.map(|table| table.len()), Err(error));
        }
        assert_eq!((table.len(), table.capacity()), (100, capacity));
        assert_eq!(table.try_reserve(&Site::new(), 1000, hash), Ok(()));
        assert!(table.has_room(1000));
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

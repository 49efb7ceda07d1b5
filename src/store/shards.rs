//! The shards of a store, and the only way into them: a shard's lock, and the mark that this thread is
//! [inside](super::reentrancy).

use super::access_ratio::AccessRatio;
use super::error::TryReserveError;
use super::flight::Flights;
use super::prefetch_hint::{HintedTable, PrefetchHint};
use super::reentrancy::{self, Identity, Inside, Outside};
use super::table::{Table, drop_all};
use crate::rw_mutex::{ExternalBias, RawShardLock};
use crate::sys::{IS_MODEL, cores, new_serial, prefetch_to_write};
use hashbrown::HashTable;
use lock_api::RwLock;
use std::ops::{Deref, DerefMut};
use std::{mem, ptr};

/// What one lock protects: the entries whose hash leads to this shard, and the flights of its keys.
#[derive(Debug)]
pub(super) struct Shard<K, V> {
    pub(super) table: Table<K, V>,
    pub(super) flights: Flights<K, V>,
}

/// The lowest bit of a hash that chooses the shard: above those that choose the bucket, below hashbrown's tag, which
/// is the upper seven.
const SHIFT: u32 = 40;
/// The most shards that the bits from `SHIFT` to the tag can choose from, rounded down.
const MAX_SHARDS: usize = 1 << 16;

type Lock<K, V> = RwLock<RawShardLock, Shard<K, V>>;
pub(super) type ReadGuard<'a, K, V> = lock_api::RwLockReadGuard<'a, RawShardLock, Shard<K, V>>;
pub(super) type WriteGuard<'a, K, V> = lock_api::RwLockWriteGuard<'a, RawShardLock, Shard<K, V>>;

/// Aligns a lock to a cache line. Not [padded](crossbeam_utils::CachePadded) to two lines against processors that
/// fetch pairs of lines: a lock with its table fills just one, and there are many.
#[derive(Debug)]
#[repr(align(64))]
struct Line<T>(T);

#[derive(Debug)]
pub(super) struct Shards<K, V> {
    /// Their number is a power of two.
    locks: Box<[Line<Lock<K, V>>]>,
    /// One for each lock, on cache lines of their own: they are seldom written.
    hints: Box<[PrefetchHint]>,
    identity: Identity,
    ratio: AccessRatio,
}

/// The capacity that each of `count` shards needs for its share of so many entries; 0 if there are fewer entries than
/// shards.
pub(super) fn capacity_of_each(count: usize, entries: usize) -> usize {
    if entries < count { 0 } else { entries.div_ceil(count) }
}

/// The number of shards of a store that wasn't given one: enough for threads to meet seldom in one, with half of their
/// calls writing.
pub(super) fn default_shard_count() -> usize {
    cores().saturating_mul(64).min(1024)
}

/// The number of shards that a store gets if it asks for `wanted`.
fn shard_count(wanted: usize) -> usize {
    if IS_MODEL { wanted.min(2) } else { wanted.min(MAX_SHARDS) }.next_power_of_two()
}

impl<K, V> Shards<K, V> {
    pub(super) fn new(wanted: usize) -> Self {
        Shards::with_tables(shard_count(wanted), Vec::new())
    }

    pub(super) fn with_capacity(wanted: usize, capacity: usize) -> Result<Self, TryReserveError> {
        let count = shard_count(wanted);
        let mut tables = Vec::new();
        let each = capacity_of_each(count, capacity);
        if each > 0 {
            Table::<K, V>::check_capacity(count, each)?;
            tables.reserve_exact(count);
            for _ in 0..count {
                tables.push(Table::try_with_capacity(each)?);
            }
        }
        Ok(Shards::with_tables(count, tables))
    }

    /// The first shards get these tables, the others empty ones.
    fn with_tables(count: usize, tables: Vec<Table<K, V>>) -> Self {
        let mut tables = tables.into_iter();
        let mut shard =
            || Shard { table: tables.next().unwrap_or_else(Table::new), flights: Flights::new() };
        let locks: Box<[_]> = (0..count).map(|_| Line(Lock::new(shard()))).collect();
        let hints = (0..count).map(|_| PrefetchHint::new()).collect();
        let locked = locks.as_ptr_range();
        let identity =
            Identity { locks: locked.start.addr()..locked.end.addr(), serial: new_serial() };
        Shards { locks, hints, identity, ratio: AccessRatio::new() }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn count(&self) -> usize {
        self.locks.len()
    }

    /// The indices of all shards.
    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.locks.len()
    }

    /// The index of the shard that a hash leads to.
    #[inline]
    pub(super) fn index_of(&self, hash: u64) -> usize {
        (hash >> SHIFT) as usize & (self.locks.len() - 1)
    }

    /// Fast path: a biased read, which doesn't touch the lock's word, by a thread that is inside no store.
    #[inline]
    pub(super) fn read_fast(&self, hash: u64) -> Option<ReadGuard<'_, K, V>> {
        let index = self.index_of(hash);
        self.hints[index].prefetch::<(K, V)>(hash);
        let decision = self.ratio.decision();
        if !decision.favours_reads() || !reentrancy::is_unmarked() {
            return None;
        }
        let lock = &self.locks[index].0;
        let pass = raw(lock).try_read_fast()?;
        self.ratio.note_read(decision);
        // SAFETY: the pass is that of a read of this lock, which the guard ends.
        Some(unsafe { lock.make_read_guard_unchecked(pass) })
    }

    /// Locks for reading. Only after [`read_fast`](Shards::read_fast), which has prefetched, returned `None`.
    #[inline]
    #[track_caller]
    pub(super) fn read(&self, hash: u64) -> Reading<'_, K, V> {
        let lock = &self.locks[self.index_of(hash)].0;
        let decision = self.ratio.decision();
        if !decision.favours_reads() {
            prefetch_to_write(ptr::from_ref(lock).addr());
        }
        let outside = Outside::check(&self.identity);
        let guard = lock.read();
        let inside = outside.enter();
        self.ratio.note_read(decision);
        if decision.favours_reads() {
            // This thread is inside, reading.
            raw(lock).engage_bias();
        }
        Reading { _inside: inside, guard }
    }

    /// Locks for writing.
    #[inline]
    #[track_caller]
    pub(super) fn write(&self, hash: u64) -> Writing<'_, K, V> {
        let index = self.index_of(hash);
        let (lock, hint) = (&self.locks[index].0, &self.hints[index]);
        prefetch_to_write(ptr::from_ref(lock).addr());
        hint.prefetch_to_write::<(K, V)>(hash);
        let outside = Outside::check(&self.identity);
        let guard = self.lock_and_note(lock);
        Writing { _inside: outside.enter(), guard, hint }
    }

    /// Locks for reading; `None` if that would block, or this thread is inside.
    pub(super) fn try_read(&self, hash: u64) -> Option<Reading<'_, K, V>> {
        let inside = Inside::try_enter(&self.identity)?;
        let guard = self.locks[self.index_of(hash)].0.try_read()?;
        Some(Reading { _inside: inside, guard })
    }

    /// Locks for writing; `None` if that would block, or this thread is inside.
    pub(super) fn try_write(&self, hash: u64) -> Option<Writing<'_, K, V>> {
        let index = self.index_of(hash);
        let inside = Inside::try_enter(&self.identity)?;
        let guard = self.locks[index].0.try_write()?;
        Some(Writing { _inside: inside, guard, hint: &self.hints[index] })
    }

    /// Locks for writing. Only for a thread that is marked as inside.
    #[track_caller]
    pub(super) fn lock(&self, index: usize) -> WriteGuard<'_, K, V> {
        self.lock_and_note(&self.locks[index].0)
    }

    #[inline]
    #[track_caller]
    fn lock_and_note<'a>(&self, lock: &'a Lock<K, V>) -> WriteGuard<'a, K, V> {
        let decision = self.ratio.decision();
        let pass = raw(lock).write(decision.favours_reads());
        self.ratio.note_write(decision);
        // SAFETY: the pass is that of this lock's writer, which the guard ends.
        unsafe { lock.make_write_guard_unchecked(pass) }
    }

    /// Locks for reading, without counting it: for calls on the whole store.
    #[track_caller]
    pub(super) fn read_at(&self, index: usize) -> Reading<'_, K, V> {
        let inside = Inside::enter(&self.identity);
        Reading { _inside: inside, guard: self.locks[index].0.read() }
    }

    /// Locks for writing, without counting it: for calls on the whole store.
    #[track_caller]
    pub(super) fn write_at(&self, index: usize) -> Writing<'_, K, V> {
        let inside = Inside::enter(&self.identity);
        let (lock, hint) = (&self.locks[index].0, &self.hints[index]);
        Writing { _inside: inside, guard: lock.write(), hint }
    }

    /// Locks all shards for reading, in their order (invariant S3).
    #[track_caller]
    pub(super) fn read_all(&self) -> ReadingAll<'_, K, V> {
        let inside = Inside::enter(&self.identity);
        ReadingAll {
            guards: self.locks.iter().map(|lock| lock.0.read()).collect(),
            _inside: inside,
        }
    }

    /// Removes all entries of a shard, with their memory, and ends its flights. The caller drops both without a lock.
    #[track_caller]
    pub(super) fn take_at(&self, index: usize) -> (HashTable<(K, V)>, Flights<K, V>) {
        let mut shard = self.write_at(index);
        let flights = shard.flights.take();
        (shard.table_mut().take(), flights)
    }

    /// Removes all tables of a store that is about to end.
    pub(super) fn take_tables(&mut self) -> impl Iterator<Item = HashTable<(K, V)>> {
        self.locks.iter_mut().map(|lock| lock.0.get_mut().table.take())
    }
}

impl<K, V> Drop for Shards<K, V> {
    fn drop(&mut self) {
        if mem::needs_drop::<(K, V)>() {
            drop_all(self.take_tables().flatten());
        }
    }
}

#[inline]
fn raw<K, V>(lock: &Lock<K, V>) -> &RawShardLock {
    // SAFETY: this module only locks it and decides on its bias; it never unlocks it.
    unsafe { lock.raw() }
}

/// A shard that is locked for reading. Fields are dropped in order: the mark that this thread is inside first, as the
/// step that unlocks waits for the store that removes it. It runs no user code.
#[derive(Debug)]
pub(super) struct Reading<'a, K, V> {
    _inside: Inside,
    guard: ReadGuard<'a, K, V>,
}

impl<K, V> Deref for Reading<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.guard
    }
}

/// All shards, locked for reading.
#[derive(Debug)]
pub(super) struct ReadingAll<'a, K, V> {
    guards: Vec<ReadGuard<'a, K, V>>,
    _inside: Inside,
}

impl<K, V> ReadingAll<'_, K, V> {
    pub(super) fn shard(&self, index: usize) -> &Shard<K, V> {
        &self.guards[index]
    }

    pub(super) fn len(&self) -> usize {
        self.guards.iter().map(|shard| shard.table.len()).sum()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &(K, V)> {
        self.guards.iter().flat_map(|shard| shard.table.iter())
    }
}

/// A shard that is locked for writing.
#[derive(Debug)]
pub(super) struct Writing<'a, K, V> {
    /// First, as in [`Reading`].
    _inside: Inside,
    guard: WriteGuard<'a, K, V>,
    hint: &'a PrefetchHint,
}

impl<K, V> Writing<'_, K, V> {
    #[inline]
    pub(super) fn table_mut(&mut self) -> HintedTable<'_, K, V> {
        HintedTable { table: &mut self.guard.table, hint: self.hint }
    }

    #[inline]
    pub(super) fn table_and_flights(&mut self) -> (HintedTable<'_, K, V>, &mut Flights<K, V>) {
        let shard = &mut *self.guard;
        (HintedTable { table: &mut shard.table, hint: self.hint }, &mut shard.flights)
    }
}

impl<K, V> Deref for Writing<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.guard
    }
}

impl<K, V> DerefMut for Writing<'_, K, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Shard<K, V> {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::thread;

    /// Asking the system costs more than making a store does. And a thread that is bound to one core would make smaller
    /// stores and pools than the others if it asked again.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_cores_are_asked_for_once() {
        if IS_MODEL {
            return;
        }
        let count_here = default_shard_count();
        let on_one_core = || {
            let size = size_of::<libc::cpu_set_t>();
            // SAFETY: all zeroes is the empty set.
            let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
            // SAFETY: the set is this thread's, of this size.
            assert_eq!(unsafe { libc::sched_getaffinity(0, size, &mut one) }, 0);
            // SAFETY: the numbers are those that a set has.
            let first = (0..1024).find(|&cpu| unsafe { libc::CPU_ISSET(cpu, &one) });
            // SAFETY: as above.
            unsafe { libc::CPU_ZERO(&mut one) };
            // SAFETY: as above.
            unsafe { libc::CPU_SET(first.expect("this thread has a core"), &mut one) };
            // SAFETY: the set is readable, of this size.
            assert_eq!(unsafe { libc::sched_setaffinity(0, size, &one) }, 0);
            assert_eq!(thread::available_parallelism().map_or(1, usize::from), 1);
            (default_shard_count(), crate::sys::cores())
        };
        let (count_there, cores) = thread::scope(|s| s.spawn(on_one_core).join()).unwrap();
        assert_eq!((count_there, cores), (count_here, crate::sys::cores()));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_lock_and_its_table_are_one_line() {
        if !IS_MODEL {
            assert_eq!(size_of::<Line<Lock<String, String>>>(), 64);
        }
    }
}

//! The shards of a store, and the way into them: a lock, and this thread known to be [inside](super::inside).

use super::flights::Flights;
use super::inside::Inside;
use super::mix::Mix;
use super::table::Table;
use crate::rw_mutex::{RawRwMutex, RwMutex, RwMutexReadGuard, RwMutexWriteGuard};
use crate::sys::{IS_MODEL, thread};
use crossbeam_utils::CachePadded;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};

/// What one lock protects: the entries whose hash leads here, and who is computing some.
#[derive(Debug)]
pub(super) struct Shard<K, V> {
    pub(super) table: Table<K, V>,
    pub(super) flights: Flights<K>,
}

/// Which bits of a hash choose the shard: neither hashbrown's tag, the upper seven, nor those that choose
/// the bucket, the lower ones.
const SHIFT: u32 = 40;
/// As many as there are bits for.
const MOST: usize = 1 << 16;

type Lock<K, V> = RwMutex<Shard<K, V>>;

#[derive(Debug)]
pub(super) struct Shards<K, V> {
    /// Each on a line of its own. Their number is a power of two.
    locks: Box<[CachePadded<Lock<K, V>>]>,
    mix: Mix,
}

/// How many shards a store has that wasn't told: so many that threads seldom meet in one.
pub(super) fn usual() -> usize {
    16 * thread::available_parallelism().map_or(1, NonZero::get)
}

impl<K, V> Shards<K, V> {
    pub(super) fn new(wanted: usize, capacity: usize) -> Self {
        let count = if IS_MODEL { wanted.min(2) } else { wanted.min(MOST) }.next_power_of_two();
        let shard = || Shard {
            table: Table::with_capacity(capacity.div_ceil(count)),
            flights: Flights::new(),
        };
        let lock = || CachePadded::new(RwMutex::from_raw(RawRwMutex::steered(), shard()));
        Shards { locks: (0..count).map(|_| lock()).collect(), mix: Mix::new() }
    }

    /// What tells this store from others as long as it lives.
    #[inline]
    pub(super) fn id(&self) -> usize {
        self.locks.as_ptr().addr()
    }

    pub(super) fn count(&self) -> usize {
        self.locks.len()
    }

    #[inline]
    pub(super) fn place(&self, hash: u64) -> usize {
        (hash >> SHIFT) as usize & (self.locks.len() - 1)
    }

    #[inline]
    #[track_caller]
    pub(super) fn read(&self, hash: u64) -> Reading<'_, K, V> {
        let inside = Inside::enter(self.id());
        let guard = self.locks[self.place(hash)].read();
        self.mix.read();
        if self.mix.favours_reads() {
            let raw = raw(RwMutexReadGuard::rwlock(&guard));
            if !raw.is_biased() {
                // This thread is inside, reading.
                raw.engage_bias();
            }
        }
        Reading { guard, _inside: inside }
    }

    #[inline]
    #[track_caller]
    pub(super) fn write(&self, hash: u64) -> Writing<'_, K, V> {
        let inside = Inside::enter(self.id());
        let guard = self.lock(self.place(hash));
        Writing { guard, _inside: inside }
    }

    /// Only for one that is inside already.
    #[inline]
    pub(super) fn lock(&self, place: usize) -> RwMutexWriteGuard<'_, Shard<K, V>> {
        let guard = self.locks[place].write();
        self.mix.write();
        let raw = raw(RwMutexWriteGuard::rwlock(&guard));
        if raw.suspends_bias() && !self.mix.favours_reads() {
            // This thread is inside, writing.
            raw.end_bias();
        }
        guard
    }

    /// For calls on the whole store, which say nothing of the mix.
    #[track_caller]
    pub(super) fn read_at(&self, place: usize) -> Reading<'_, K, V> {
        let inside = Inside::enter(self.id());
        Reading { guard: self.locks[place].read(), _inside: inside }
    }

    #[track_caller]
    pub(super) fn write_at(&self, place: usize) -> Writing<'_, K, V> {
        let inside = Inside::enter(self.id());
        Writing { guard: self.locks[place].write(), _inside: inside }
    }

    /// All of them at once, in the order in which everyone locks several.
    #[track_caller]
    pub(super) fn read_all(&self) -> (Vec<RwMutexReadGuard<'_, Shard<K, V>>>, Inside) {
        let inside = Inside::enter(self.id());
        (self.locks.iter().map(|lock| lock.read()).collect(), inside)
    }

    pub(super) fn into_shards(self) -> impl Iterator<Item = Shard<K, V>> {
        self.locks.into_iter().map(|lock| lock.into_inner().into_inner())
    }
}

fn raw<K, V>(lock: &Lock<K, V>) -> &RawRwMutex {
    // SAFETY: it is only steered here, never unlocked.
    unsafe { lock.raw() }
}

/// A shard that is being read. The lock goes first, then the mark that this thread is inside.
#[derive(Debug)]
pub(super) struct Reading<'a, K, V> {
    guard: RwMutexReadGuard<'a, Shard<K, V>>,
    _inside: Inside,
}

impl<K, V> Deref for Reading<'_, K, V> {
    type Target = Shard<K, V>;

    #[inline]
    fn deref(&self) -> &Shard<K, V> {
        &self.guard
    }
}

/// A shard that is being written.
#[derive(Debug)]
pub(super) struct Writing<'a, K, V> {
    guard: RwMutexWriteGuard<'a, Shard<K, V>>,
    _inside: Inside,
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

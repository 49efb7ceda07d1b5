//! The shards of a store, and the way into them: a lock, and this thread known to be [inside](super::inside).

use super::flights::Flights;
use super::inside::{self, Identity, Inside};
use super::mix::Mix;
use super::table::{Site, Table};
use crate::rw_mutex::{RawRwMutex, RwMutex, RwMutexReadGuard, RwMutexWriteGuard};
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::{IS_MODEL, prefetch_to_write, thread};
use crossbeam_utils::CachePadded;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};
use std::ptr;

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
    /// For each lock a [`Site`]: where its table is. Written by the writer inside, read by anyone; on other
    /// lines than the locks, for they change seldom.
    sites: Box<[AtomicU64]>,
    identity: Identity,
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
        let (raw, ids) = RawRwMutex::steered(count);
        let locks: Box<[_]> =
            raw.map(|raw| CachePadded::new(RwMutex::from_raw(raw, shard()))).collect();
        let sites = (0..count).map(|_| AtomicU64::new(Site::UNKNOWN.word())).collect();
        let identity = Identity { address: locks.as_ptr().addr(), ids };
        Shards { locks, sites, identity, mix: Mix::new() }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn count(&self) -> usize {
        self.locks.len()
    }

    #[inline]
    pub(super) fn place(&self, hash: u64) -> usize {
        (hash >> SHIFT) as usize & (self.locks.len() - 1)
    }

    /// Where the table is that a hash leads to.
    #[inline]
    fn site(&self, place: usize) -> Site {
        // ORDERING: Relaxed: nothing is read by it.
        Site::from_word(self.sites[place].load(Ordering::Relaxed))
    }

    /// Reads past the lock's word, if that is the way at the moment and this thread is nowhere inside.
    #[inline]
    pub(super) fn read_at_once(&self, hash: u64) -> Option<RwMutexReadGuard<'_, Shard<K, V>>> {
        let place = self.place(hash);
        self.site(place).prefetch::<(K, V)>(hash);
        if !inside::is_nowhere() {
            return None;
        }
        let lock = &*self.locks[place];
        let pass = raw(lock).read_at_once()?;
        self.mix.read(hash);
        // SAFETY: the pass is that of a read of this lock, which the guard ends.
        Some(unsafe { lock.make_read_guard_unchecked(pass) })
    }

    /// After [`read_at_once`](Shards::read_at_once) gave nothing.
    #[track_caller]
    pub(super) fn read(&self, hash: u64) -> Reading<'_, K, V> {
        let lock = &*self.locks[self.place(hash)];
        if !raw(lock).is_biased() {
            prefetch_to_write(ptr::from_ref(lock).addr());
        }
        let inside = Inside::enter(&self.identity);
        let guard = lock.read();
        self.mix.read(hash);
        if self.mix.favours_reads() && !raw(lock).is_biased() {
            // This thread is inside, reading.
            raw(lock).engage_bias();
        }
        Reading { guard, _inside: inside }
    }

    #[inline]
    #[track_caller]
    pub(super) fn write(&self, hash: u64) -> Writing<'_, K, V> {
        let place = self.place(hash);
        prefetch_to_write(ptr::from_ref(&*self.locks[place]).addr());
        self.site(place).prefetch_to_write::<(K, V)>(hash);
        let inside = Inside::enter(&self.identity);
        Writing { guard: self.lock(place), site: &self.sites[place], _inside: inside }
    }

    /// Only for one that is inside already.
    #[inline]
    pub(super) fn lock(&self, place: usize) -> RwMutexWriteGuard<'_, Shard<K, V>> {
        let lock = &*self.locks[place];
        let guard = lock.write();
        self.mix.write();
        if raw(lock).suspends_bias() && !self.mix.favours_reads() {
            // This thread is inside, writing.
            raw(lock).end_bias();
        }
        guard
    }

    /// For calls on the whole store, which say nothing of the mix.
    #[track_caller]
    pub(super) fn read_at(&self, place: usize) -> Reading<'_, K, V> {
        let inside = Inside::enter(&self.identity);
        Reading { guard: self.locks[place].read(), _inside: inside }
    }

    #[track_caller]
    pub(super) fn write_at(&self, place: usize) -> Writing<'_, K, V> {
        let inside = Inside::enter(&self.identity);
        Writing { guard: self.locks[place].write(), site: &self.sites[place], _inside: inside }
    }

    /// All of them at once, in the order in which everyone locks several.
    #[track_caller]
    pub(super) fn read_all(&self) -> (Vec<RwMutexReadGuard<'_, Shard<K, V>>>, Inside) {
        let inside = Inside::enter(&self.identity);
        (self.locks.iter().map(|lock| lock.read()).collect(), inside)
    }

    pub(super) fn into_shards(self) -> impl Iterator<Item = Shard<K, V>> {
        self.locks.into_iter().map(|lock| lock.into_inner().into_inner())
    }
}

#[inline]
fn raw<K, V>(lock: &Lock<K, V>) -> &RawRwMutex {
    // SAFETY: it is only asked and steered here, never unlocked.
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
    site: &'a AtomicU64,
    _inside: Inside,
}

impl<K, V> Drop for Writing<'_, K, V> {
    #[inline]
    fn drop(&mut self) {
        let site = self.guard.table.site().word();
        // ORDERING: Relaxed, twice: see `Shards::site`.
        if self.site.load(Ordering::Relaxed) != site {
            self.site.store(site, Ordering::Relaxed);
        }
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

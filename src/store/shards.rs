//! The shards of a store, and the way into them: a lock, and this thread known to be [inside](super::inside).

use super::error::TryReserveError;
use super::flights::Flights;
use super::inside::{self, Identity, Inside};
use super::mix::Mix;
use super::room;
use super::table::{Site, Table, drop_all};
use crate::rw_mutex::{Light, RawRwMutex, RwMutex, RwMutexReadGuard, RwMutexWriteGuard};
use crate::sys::{IS_MODEL, cores, prefetch_to_write};
use hashbrown::HashTable;
use std::ops::{Deref, DerefMut};
use std::{mem, ptr};

/// What one lock protects: the entries whose hash leads here, and who is computing some.
#[derive(Debug)]
pub(super) struct Shard<K, V> {
    pub(super) table: Table<K, V>,
    pub(super) flights: Flights<K, V>,
}

/// Which bits of a hash choose the shard: neither hashbrown's tag, the upper seven, nor those that choose
/// the bucket, the lower ones.
const SHIFT: u32 = 40;
/// As many as there are bits for.
const MOST: usize = 1 << 16;

type Lock<K, V> = RwMutex<Shard<K, V>>;

/// What begins with a cache line. Not [padded](crossbeam_utils::CachePadded) to two, as processors may fetch them
/// together: a lock with its table is just one, and there are many.
#[derive(Debug)]
#[repr(align(64))]
struct Line<T>(T);

#[derive(Debug)]
pub(super) struct Shards<K, V> {
    /// Their number is a power of two.
    locks: Box<[Line<Lock<K, V>>]>,
    /// Where each one's table is. On other lines than the locks, for this changes seldom.
    sites: Box<[Site]>,
    identity: Identity,
    mix: Mix,
    /// By what the readers go that pass the locks by.
    light: Light,
}

/// How many of so many entries each of `count` shards is to have room for: none, if they are fewer.
pub(super) fn each_of(count: usize, entries: usize) -> usize {
    if entries < count { 0 } else { entries.div_ceil(count) }
}

/// How many shards a store has that wasn't told: so many that threads seldom meet in one, where half of
/// their calls write.
pub(super) fn usual() -> usize {
    cores().saturating_mul(64).min(1024)
}

/// How many shards there are where so many are wanted.
fn counted(wanted: usize) -> usize {
    if IS_MODEL { wanted.min(2) } else { wanted.min(MOST) }.next_power_of_two()
}

impl<K, V> Shards<K, V> {
    pub(super) fn new(wanted: usize) -> Self {
        Shards::of(counted(wanted), Vec::new())
    }

    pub(super) fn with_capacity(wanted: usize, capacity: usize) -> Result<Self, TryReserveError> {
        let count = counted(wanted);
        let mut tables = Vec::new();
        let each = each_of(count, capacity);
        if each > 0 {
            room::check::<K, V>(count, each)?;
            tables.reserve_exact(count);
            for _ in 0..count {
                tables.push(Table::try_with_capacity(each)?);
            }
        }
        Ok(Shards::of(count, tables))
    }

    /// With these tables, and empty ones for the other shards.
    fn of(count: usize, tables: Vec<Table<K, V>>) -> Self {
        let mut tables = tables.into_iter();
        let mut shard =
            || Shard { table: tables.next().unwrap_or_else(Table::new), flights: Flights::new() };
        let (raw, ids) = RawRwMutex::steered(count);
        let locks: Box<[_]> = raw.map(|raw| Line(RwMutex::from_raw(raw, shard()))).collect();
        let sites = (0..count).map(|_| Site::new()).collect();
        let identity = Identity { address: locks.as_ptr().addr(), ids };
        Shards { locks, sites, identity, mix: Mix::new(), light: Light::new() }
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

    /// Reads past the lock's word, if that is the way at the moment and this thread is nowhere inside.
    #[inline]
    pub(super) fn read_at_once(&self, hash: u64) -> Option<RwMutexReadGuard<'_, Shard<K, V>>> {
        let place = self.place(hash);
        self.sites[place].prefetch::<(K, V)>(hash);
        if !inside::is_nowhere() {
            return None;
        }
        let lock = &self.locks[place].0;
        let pass = if let Some(allowed) = self.light.look() {
            // Then reads are what matters, and need not be counted.
            raw(lock).read_lightly(&self.light, allowed)?
        } else {
            let state = self.mix.state();
            if !state.favours_reads() {
                return None;
            }
            let pass = raw(lock).read_at_once(&self.light)?;
            self.mix.read(state);
            pass
        };
        // SAFETY: the pass is that of a read of this lock, which the guard ends.
        Some(unsafe { lock.make_read_guard_unchecked(pass) })
    }

    /// After [`read_at_once`](Shards::read_at_once) gave nothing. `calls_out` is whether anything of a user's may
    /// run under the lock.
    #[inline]
    #[track_caller]
    pub(super) fn read(&self, calls_out: bool, hash: u64) -> Reading<'_, K, V> {
        let lock = &self.locks[self.place(hash)].0;
        let state = self.mix.state();
        if !state.favours_reads() {
            prefetch_to_write(ptr::from_ref(lock).addr());
        }
        let inside = Inside::enter_if(calls_out, &self.identity);
        let guard = lock.read();
        self.mix.read(state);
        if state.favours_reads() && !raw(lock).is_biased() {
            // This thread is inside, reading.
            raw(lock).engage_bias();
        }
        Reading { guard, _inside: inside }
    }

    /// `calls_out`: as in [`read`](Shards::read).
    #[inline]
    #[track_caller]
    pub(super) fn write(&self, calls_out: bool, hash: u64) -> Writing<'_, K, V> {
        let place = self.place(hash);
        prefetch_to_write(ptr::from_ref(&self.locks[place].0).addr());
        self.sites[place].prefetch_to_write::<(K, V)>(hash);
        let inside = Inside::enter_if(calls_out, &self.identity);
        Writing { guard: self.lock(place), site: &self.sites[place], _inside: inside }
    }

    /// Locks for reading, unless it would have to wait or this thread is inside.
    pub(super) fn try_read(&self, hash: u64) -> Option<Reading<'_, K, V>> {
        let inside = Inside::try_enter(&self.identity)?;
        let guard = self.locks[self.place(hash)].0.try_read()?;
        Some(Reading { guard, _inside: Some(inside) })
    }

    /// The same for writing.
    pub(super) fn try_write(&self, hash: u64) -> Option<Writing<'_, K, V>> {
        let place = self.place(hash);
        let inside = Inside::try_enter(&self.identity)?;
        let guard = self.locks[place].0.try_write()?;
        Some(Writing { guard, site: &self.sites[place], _inside: Some(inside) })
    }

    /// Only for one that is inside already.
    #[inline]
    #[track_caller]
    pub(super) fn lock(&self, place: usize) -> RwMutexWriteGuard<'_, Shard<K, V>> {
        let state = self.mix.state();
        let guard = self.lock_steered(place, state.favours_reads());
        self.mix.write(state);
        guard
    }

    #[inline]
    #[track_caller]
    fn lock_steered(&self, place: usize, keeps_bias: bool) -> RwMutexWriteGuard<'_, Shard<K, V>> {
        let lock = &self.locks[place].0;
        let pass = raw(lock).write_steered(&self.light, keeps_bias);
        // SAFETY: the lock has just been locked for writing, which the guard ends.
        unsafe { lock.make_write_guard_unchecked(pass) }
    }

    /// For calls on the whole store, which say nothing of the mix.
    #[track_caller]
    pub(super) fn read_at(&self, place: usize) -> Reading<'_, K, V> {
        let inside = Some(Inside::enter(&self.identity));
        Reading { guard: self.locks[place].0.read(), _inside: inside }
    }

    #[track_caller]
    pub(super) fn write_at(&self, place: usize) -> Writing<'_, K, V> {
        let inside = Some(Inside::enter(&self.identity));
        Writing { guard: self.lock_steered(place, true), site: &self.sites[place], _inside: inside }
    }

    /// All of them at once, in the order in which everyone locks several.
    #[track_caller]
    pub(super) fn read_all(&self) -> (Inside, Vec<RwMutexReadGuard<'_, Shard<K, V>>>) {
        let inside = Inside::enter(&self.identity);
        (inside, self.locks.iter().map(|lock| lock.0.read()).collect())
    }

    /// All entries of a shard, and their memory. Ends all its flights, which are to be dropped by the caller.
    #[track_caller]
    pub(super) fn take_at(&self, place: usize) -> (HashTable<(K, V)>, Flights<K, V>) {
        let mut shard = self.write_at(place);
        let flights = shard.flights.take();
        let (table, site) = shard.table();
        (table.take(site), flights)
    }

    /// All tables of a store that is used up.
    pub(super) fn take_tables(&mut self) -> impl Iterator<Item = HashTable<(K, V)>> {
        self.locks.iter_mut().map(|lock| lock.0.get_mut().table.take_last())
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
fn raw<K, V>(lock: &Lock<K, V>) -> &RawRwMutex {
    // SAFETY: it is only asked, steered and locked here, never unlocked.
    unsafe { lock.raw() }
}

/// A shard that is being read. The lock goes first, then the mark that this thread is inside.
#[derive(Debug)]
pub(super) struct Reading<'a, K, V> {
    guard: RwMutexReadGuard<'a, Shard<K, V>>,
    _inside: Option<Inside>,
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
    site: &'a Site,
    _inside: Option<Inside>,
}

impl<K, V> Writing<'_, K, V> {
    /// The table, and where it says where it is.
    #[inline]
    pub(super) fn table(&mut self) -> (&mut Table<K, V>, &Site) {
        (&mut self.guard.table, self.site)
    }

    /// The same, with the flights.
    #[inline]
    pub(super) fn parts(&mut self) -> (&mut Table<K, V>, &mut Flights<K, V>, &Site) {
        let shard = &mut *self.guard;
        (&mut shard.table, &mut shard.flights, self.site)
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

    /// Asking costs more than a store does. A thread that may use one core only, where there are several, would make
    /// smaller stores and pools if it asked again.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_cores_are_asked_for_once() {
        if IS_MODEL {
            return;
        }
        let usual_here = usual();
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
            (usual(), crate::sys::cores())
        };
        let (usual_there, cores) = thread::scope(|s| s.spawn(on_one_core).join()).unwrap();
        assert_eq!((usual_there, cores), (usual_here, crate::sys::cores()));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_lock_and_its_table_are_one_line() {
        if !IS_MODEL {
            assert_eq!(size_of::<Line<Lock<String, String>>>(), 64);
        }
    }
}

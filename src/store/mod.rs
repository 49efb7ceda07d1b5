//! A map that threads share: hashbrown's tables behind reader-writer locks, no guard ever handed out.
//!
//! [`Store`] is the map. Here is also what its closures and loops are given: an [`Entry`], an [`IntoIter`].
//!
//! # How it is made
//! std has `RwLock<HashMap>`, whose readers wait for one another's cache line and whose writers wait for all.
//! Here the keys are spread over *shards*, each a table under a [`RwMutex`](crate::RwMutex) of its own, and where
//! a store is mostly read its readers pass the locks by.
//!
//! | file | what |
//! | --- | --- |
//! | `shards` | the locks, and the way into them |
//! | `table` | a shard's table, whose growth a panicking hasher can't upset |
//! | `inside` | refuses calls from inside the same store |
//! | `mix` | whether reads are what matters, and the locks are to be biased |
//! | `entry` | the entry of one key, for closures |
//! | `flights`, `compute` | values that are being computed, and the calls that compute them |
//! | `whole` | calls on the whole store |
//!
//! Invariants:
//!
//! 1. User code runs under a lock (closures, `Hash` while a table grows, `Eq`, `Clone`), or without any
//!    (`Hash` of a key that is looked for, `Drop` of what is replaced or removed, what `get_or_compute`
//!    computes). Under a lock its thread is marked as inside: no call then waits for a lock of the same store.
//! 2. No change to a table is half done while user code runs: a panic leaves every entry as it was, or
//!    as the code has made it.
//! 3. Who locks several shards locks them in order.

mod compute;
mod entry;
mod flights;
mod inside;
mod mix;
#[cfg(feature = "serde")]
mod serde;
mod shards;
mod table;
mod whole;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use whole::IntoIter;

use crate::sys::{catch, discard, hash_one};
use inside::{Inside, is_plain};
use shards::{Shards, Writing, usual};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::{array, mem, ptr};

/// A map for many threads: keys with values, looked up, changed and computed without a lock in the user's
/// hands.
///
/// Values are reached by closures ([`with`](Store::with), [`update`](Store::update),
/// [`entry`](Store::entry)) or copied out ([`get`](Store::get)); no reference and no guard leaves the store.
/// So none can be held by mistake while something else waits for it.
///
/// # When to use it
/// - Many keys, many threads, any mix of reads and writes: a `Store`.
/// - A cache whose values are costly to compute: [`get_or_compute`](Store::get_or_compute).
/// - Counts by key: a `Store<K, SafeCounter>`, see the last example.
/// - A map that is made once and then only read: an `Arc<HashMap>`. One that one thread uses at a time:
///   a [`Mutex`](crate::Mutex)`<HashMap>`.
///
/// Values that are large, or slow to copy, are better kept as `Arc`s: then `get` is short.
///
/// # Blocking
/// Every call locks the shard of its key for a moment, and waits for those who have it locked: for
/// writers, if it reads, for everyone, if it writes. Nobody starves: see
/// [`RwMutex`](crate::RwMutex). Closures run under the lock, and so do the `Eq` of keys, the `Clone` of keys and
/// values, and the `Hash` of the keys in a table that grows or shrinks: keep them short.
///
/// # Calls from inside
/// Such code must not call the same store: it would wait for its own lock. It doesn't hang, it panics. (The
/// function of `get_or_compute`, the `Hash` of the key that a call is given, and the `Drop` of what a call
/// replaces or removes run without a lock of this store, and may call it.) It may call another
/// store; but two threads that go from store to store in opposite directions can deadlock, as with any two
/// locks, and so can a closure that waits for another thread that calls the store. In the destructors of
/// thread-locals even calls on another store may be refused.
///
/// # Panics
/// A panic of a closure, of a hasher, or of a `Hash`, `Eq` or `Clone` reaches the caller, and the
/// store goes on: every key is still there, with its value as the closure has left it. What the panicking call
/// was to put in is dropped. So does a panic of a `Drop`, after the call's work on that shard: `clear` and `retain`
/// end there, and leave the shards that come after as they are.
///
/// # Memory
/// Entries lie in tables, not in boxes of their own. There are 64 shards for each processor, rounded up to a
/// power of two, 1,024 at most, or as many as asked for; an empty store takes 72 bytes for each. A call on one key
/// allocates only when a table grows or shrinks, or a value is computed. A table that holds eight times more
/// than it needs, and more than 32 places, is shrunk when the next entry is removed (and if a key's `Hash` panics
/// then, the next time). [`clear`](Store::clear), [`drain`](Store::drain) and
/// [`shrink_to_fit`](Store::shrink_to_fit) give the small ones back as well.
///
/// `Store<K, V>` is `Send` and `Sync` if `K` and `V` are both.
///
/// # Hashing
/// Each key is hashed once per call, by `S`. A hasher must fill all 64 bits: the shard is chosen by those from
/// bit 40 up.
///
/// # Beside other threads
/// | call | what it sees and changes while others write |
/// | --- | --- |
/// | on one key | its entry, at one moment (linearizable) |
/// | [`with_many`](Store::with_many) | the entries of all its keys, at one moment |
/// | [`snapshot`](Store::snapshot), serialization | all entries, at one moment |
/// | `len`, `is_empty`, `capacity`, `for_each`, `keys`, `values`, `Debug` | each shard at one moment, one shard after the other |
/// | `retain`, `clear`, `drain`, `reserve`, `shrink_to_fit` | the same; each shard is changed in one step |
/// | `extend` | one entry after the other |
///
/// What the calls that go from shard to shard may find is told [with them](Store::len).
///
/// # Memory ordering
/// Everything before a call that wrote happens before the return of every later call on the same key.
///
/// # Under a model
/// A store has two shards at most, and hashes by a hasher of its own, the same in each execution.
///
/// # Examples
/// ```
/// use phalanx::Store;
///
/// let ages = Store::new();
/// ages.insert("first", 30);
/// ages.upsert("first", || 0, |age| *age += 1);
/// assert_eq!(ages.get("first"), Some(31));
/// assert_eq!(ages.with("second", |age| age * 2), None);
/// assert_eq!(ages.get_or_compute("second", |name| name.len()), 6);
/// ages.retain(|_, age| *age > 10);
/// assert_eq!(ages.len(), 1);
/// ```
///
/// Counts by key: a [`SafeCounter`](crate::SafeCounter) counts under a lock for reading, and reads don't wait
/// for one another.
///
/// ```
/// use phalanx::{SafeCounter, Store};
///
/// let views: Store<String, SafeCounter> = Store::new();
/// let view = |page: &str| {
///     if views.with(page, SafeCounter::increment).is_none() {
///         views.entry(page.to_owned(), |entry| entry.or_default().increment());
///     }
/// };
/// phalanx::thread::scope(|s| {
///     for _ in 0..3 {
///         s.spawn(|| ["index", "about", "index"].map(view));
///     }
/// });
/// assert_eq!(views.with("index", SafeCounter::get), Some(6));
/// ```
///
/// Nothing borrowed gets out:
///
/// ```compile_fail
/// let store = phalanx::Store::from([(1, String::from("one"))]);
/// let borrowed: Option<&String> = store.with(&1, |value| value);
/// println!("{borrowed:?}");
/// ```
///
/// ```
/// let store = phalanx::Store::from([(1, String::from("one"))]);
/// let copied: Option<String> = store.with(&1, |value| value.clone());
/// println!("{copied:?}");
/// ```
pub struct Store<K, V, S = RandomState> {
    shards: Shards<K, V>,
    hasher: S,
}

impl<K, V> Store<K, V> {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store with room for so many entries, if they spread evenly over the shards.
    ///
    /// Each shard has room for its share, rounded up: they seldom spread so evenly that none has to grow. Fewer
    /// entries than there are shards reserve nothing, as a table for each would take far more than they need.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }

    /// An empty store of so many shards, rounded up to a power of two, 65,536 at most. More shards cost memory,
    /// fewer let writers meet more often.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn with_shards(shards: usize) -> Self {
        Self::with_shards_and_hasher(shards, RandomState::new())
    }
}

impl<K, V, S> Store<K, V, S> {
    /// An empty store whose keys are hashed by `hasher`.
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// [`with_capacity`](Store::with_capacity) and [`with_hasher`](Store::with_hasher) in one.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        Store { shards: Shards::new(usual(), capacity), hasher }
    }

    /// [`with_shards`](Store::with_shards) and [`with_hasher`](Store::with_hasher) in one.
    ///
    /// # Panics
    /// If it is zero shards.
    #[track_caller]
    pub fn with_shards_and_hasher(shards: usize, hasher: S) -> Self {
        assert!(shards > 0, "Store: needs at least one shard");
        Store { shards: Shards::new(shards, 0), hasher }
    }
}

/// Calls on one key.
///
/// Each is one step, as seen by all other calls on that key (linearizable); `get_or_compute` is one step when
/// it looks, and one when it puts its value in.
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// A copy of the key's value.
    ///
    /// # Panics
    /// From inside this store, as [every call](Store#calls-from-inside).
    #[inline]
    #[track_caller]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.find(!is_plain::<V>(), key, V::clone)
    }

    /// What `f` makes of the key's value, if there is one. `f` runs under the lock for reading.
    ///
    /// # Panics
    /// Whatever `f` panics with; from inside this store.
    #[inline]
    #[track_caller]
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(true, key, f)
    }

    /// Whether the key is there.
    ///
    /// # Panics
    /// From inside this store.
    #[inline]
    #[track_caller]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(false, key, |_| ()).is_some()
    }

    /// What `f` makes of the key's value, if there is one; `f` may change it, and runs under the lock for
    /// writing.
    ///
    /// # Panics
    /// Whatever `f` panics with: the value stays as `f` has left it. From inside this store.
    #[inline]
    #[track_caller]
    pub fn update<Q, R>(&self, key: &Q, f: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Outside of the lock, as what it holds is dropped with it if the key is not there.
        let mut f = Some(f);
        let hash = self.hash(key);
        let mut shard = self.shards.write(true, hash);
        let (_, value) = shard.table.find_mut(hash, |it| it.borrow() == key)?;
        f.take().map(|f| f(value))
    }

    /// Changes the key's value by `update`, or puts that of `insert` in if there is none. Both run under
    /// the lock for writing.
    ///
    /// # Panics
    /// Whatever they panic with; from inside this store.
    #[track_caller]
    pub fn upsert(&self, key: K, insert: impl FnOnce() -> V, update: impl FnOnce(&mut V)) {
        // Outside of the lock, as what the other one holds is dropped with it.
        let (mut insert, mut update) = (Some(insert), Some(update));
        self.entry(key, |entry| match entry {
            Entry::Occupied(mut entry) => {
                if let Some(update) = update.take() {
                    update(entry.get_mut());
                }
            }
            Entry::Vacant(entry) => {
                if let Some(insert) = insert.take() {
                    entry.insert(insert());
                }
            }
        });
    }

    /// Puts a value in, and gives the one that was there. The store keeps the key that it has.
    ///
    /// # Panics
    /// From inside this store.
    #[inline]
    #[track_caller]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.hash(&key);
        let mut shard = self.shards.write(!is_plain::<K>(), hash);
        let (table, site) = shard.table();
        if let Some((_, old)) = table.find_mut(hash, |it| *it == key) {
            return Some(mem::replace(old, value));
        }
        table.make_room(site, |key| self.hash_inside(key));
        table.insert_new(site, hash, (key, value));
        None
    }

    /// Puts a value in if the key is not there.
    ///
    /// # Errors
    /// Gives the value back if it is.
    ///
    /// # Panics
    /// From inside this store.
    #[track_caller]
    pub fn insert_if_absent(&self, key: K, value: V) -> Result<(), V> {
        self.entry(key, |entry| match entry {
            Entry::Occupied(_) => Err(value),
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
        })
    }

    /// Takes the key out, and gives its value.
    ///
    /// # Panics
    /// From inside this store.
    #[inline]
    #[track_caller]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Takes the key out, and gives it as the store had it, with its value.
    ///
    /// # Panics
    /// From inside this store.
    #[track_caller]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.shards.write(!(is_plain::<K>() && is_plain::<Q>()), hash);
        let gone = shard.table.remove(hash, |it| it.borrow() == key);
        if gone.is_some() {
            self.tidy(shard);
        }
        gone
    }

    /// Takes the key out if `f` says so of its value, and gives that. `f` runs under the lock for writing.
    ///
    /// # Panics
    /// Whatever `f` panics with: the key stays. From inside this store.
    #[track_caller]
    pub fn remove_if<Q>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.shards.write(true, hash);
        let index = shard.table.index(hash, |it| it.borrow() == key)?;
        let place = shard.table.place(index);
        if !f(&place.get().1) {
            return None;
        }
        let (gone, _) = place.remove();
        self.tidy(shard);
        Some(gone.1)
    }

    /// What `f` makes of the key's entry, whether it is there or not: it may look, change, put in and
    /// take out, with nobody in between. `f` runs under the lock for writing.
    ///
    /// # Panics
    /// Whatever `f` panics with: the entry stays as `f` has left it. From inside this store.
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::Entry;
    ///
    /// let stock = Store::from([("apples", 1)]);
    /// let sell = |what| {
    ///     stock.entry(what, |entry| match entry {
    ///         Entry::Occupied(entry) if *entry.get() == 1 => Some(entry.remove()),
    ///         Entry::Occupied(mut entry) => {
    ///             *entry.get_mut() -= 1;
    ///             Some(1)
    ///         }
    ///         Entry::Vacant(_) => None,
    ///     })
    /// };
    /// assert_eq!((sell("apples"), sell("apples")), (Some(1), None));
    /// assert!(stock.is_empty());
    /// ```
    #[track_caller]
    pub fn entry<R>(&self, key: K, f: impl FnOnce(Entry<'_, K, V>) -> R) -> R {
        let hash = self.hash(&key);
        // Before the lock, and so dropped after it: the key that was given if it isn't put in, and the
        // store's own if it is taken out.
        let (mut key, mut removed) = (Some(key), None);
        let mut shard = self.shards.write(true, hash);
        let (table, site) = shard.table();
        let index = table.index(hash, |it| Some(it) == key.as_ref());
        let had = table.len();
        let result = f(match index {
            Some(index) => {
                Entry::Occupied(OccupiedEntry { place: table.place(index), removed: &mut removed })
            }
            None => {
                table.make_room(site, |key| self.hash_inside(key));
                Entry::Vacant(VacantEntry { table, site, hash, key: &mut key })
            }
        });
        if shard.table.len() < had {
            self.tidy(shard);
        }
        result
    }

    /// What `f` makes of the values of several keys, with all of them locked for writing at once: `None` for
    /// each that isn't there.
    ///
    /// # Panics
    /// If two of the keys are the same. Whatever `f` panics with: the values stay as `f` has left them. From
    /// inside this store.
    ///
    /// # Examples
    /// ```
    /// let accounts = phalanx::Store::from([("mine", 10), ("yours", 0)]);
    /// accounts.with_many(["mine", "yours"], |[from, to]| {
    ///     if let (Some(from), Some(to)) = (from, to) {
    ///         (*from, *to) = (*from - 3, *to + 3);
    ///     }
    /// });
    /// assert_eq!((accounts.get("mine"), accounts.get("yours")), (Some(7), Some(3)));
    /// ```
    #[track_caller]
    pub fn with_many<Q, R, const N: usize>(
        &self,
        keys: [&Q; N],
        f: impl FnOnce([Option<&mut V>; N]) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        const TWICE: &str = "Store: with_many was given a key twice";
        let hashes = keys.map(|key| self.hash(key));
        for (at, key) in keys.iter().enumerate() {
            assert!(
                keys[..at].iter().zip(hashes).all(|(it, hash)| hash != hashes[at] || it != key),
                "{TWICE}"
            );
        }
        let place = |at: usize| self.shards.place(hashes[at]);
        let mut places: Vec<usize> = (0..N).map(place).collect();
        places.sort_unstable();
        places.dedup();

        let _inside = Inside::enter(self.shards.identity());
        let mut shards: Vec<_> = places.iter().map(|&place| self.shards.lock(place)).collect();
        let shard = |at: usize| places.binary_search(&place(at)).expect("locked for this key");
        let found: [Option<(usize, usize)>; N] = array::from_fn(|at| {
            let shard = shard(at);
            let index = shards[shard].table.index(hashes[at], |it| it.borrow() == keys[at])?;
            Some((shard, index))
        });
        // An `Eq` that contradicts itself may find one entry for two keys.
        for (at, entry) in found.iter().enumerate() {
            assert!(entry.is_none() || !found[..at].contains(entry), "{TWICE}");
        }
        let values: [Option<*mut V>; N] = found.map(|entry| {
            let (shard, index) = entry?;
            Some(ptr::from_mut(&mut shards[shard].table.place(index).get_mut().1))
        });
        // SAFETY: each points to a value of a table that is locked by `shards`, which outlives `f` and isn't
        // touched meanwhile; all are different entries, and no foreign code ran since they were found.
        f(values.map(|value| value.map(|value| unsafe { &mut *value })))
    }

    /// What `f` makes of the key's value. `calls_out`: whether `f` may call anything of a user's.
    #[inline]
    #[track_caller]
    fn find<Q, R>(&self, calls_out: bool, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Outside of the lock, as in `update`.
        let mut f = Some(f);
        let mut f = |(_, value): &(K, V)| f.take().map(|f| f(value));
        let hash = self.hash(key);
        let is_it = |it: &K| it.borrow() == key;
        if let Some(shard) = self.shards.read_at_once(hash) {
            return shard.table.find(hash, is_it).and_then(&mut f);
        }
        let calls_out = calls_out || !is_plain::<K>() || !is_plain::<Q>();
        let shard = self.shards.read(calls_out, hash);
        shard.table.find(hash, is_it).and_then(&mut f)
    }

    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        hash_one(&self.hasher, key)
    }

    /// The same, for one that has a lock of the store: a hasher may call anything.
    pub(super) fn hash_inside(&self, key: &K) -> u64 {
        let _inside = Inside::ensure(self.shards.identity());
        self.hash(key)
    }

    /// Gives memory back if much is left over, and then the lock. A hasher's panic here would be nobody's: the
    /// memory is given back another time.
    fn tidy(&self, mut shard: Writing<'_, K, V>) {
        if shard.table.is_sparse() {
            let wanted = 2 * shard.table.len();
            let (table, site) = shard.table();
            let outcome = catch(|| table.shrink(site, wanted, |key| self.hash_inside(key)));
            // What a hasher panicked with is a user's value: its drop may call the store.
            drop(shard);
            if let Err(payload) = outcome {
                discard(payload);
            }
        }
    }
}

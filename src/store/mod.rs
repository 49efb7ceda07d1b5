//! [`Store`], a map that threads share, and what its calls are given and return.

// hashbrown's tables behind reader-writer locks, no guard ever handed out.
//
// std has `RwLock<HashMap>`, whose readers wait for one another's cache line and whose writers wait for all.
// Here the keys are spread over *shards*, each a table under a `RwMutex` of its own, and where a store is mostly
// read its readers pass the locks by.
//
// | file | what |
// | --- | --- |
// | `shards` | the locks, and the way into them |
// | `table` | a shard's table, whose growth a panicking hasher can't upset |
// | `inside` | refuses calls from inside the same store |
// | `mix` | whether reads are what matters, and the locks are to be biased |
// | `make` | constructors and conversions |
// | `entry` | the entry of one key, for closures |
// | `keyed` | calls on one key that return more than their plain forms |
// | `many` | calls on several keys |
// | `borrowed` | calls that make an owned key only when they insert it |
// | `flights`, `compute` | values that are being computed, and the calls that compute them |
// | `try_calls` | calls that neither block nor panic |
// | `whole`, `room`, `equal` | calls on the whole store, on its memory, on two stores |
// | `error` | what calls return instead of a result |
//
// Invariants:
//
// 1. User code runs under a lock (closures, `Hash` while a table grows, `Eq`, `Clone`), or without any (`Hash` of a
//    key that is looked for, `Drop` of what is replaced or removed, what `get_or_compute` computes, and the
//    clones of that). Under a lock its thread is marked as inside: no call then waits for a lock of the same store.
// 2. No change to a table is half done while user code runs: a panic leaves every entry as it was, or as the code has
//    made it.
// 3. A thread that locks several shards locks them in order, and one that locks two stores the older one first.

mod borrowed;
mod compute;
mod entry;
mod equal;
mod error;
mod flights;
mod inside;
mod keyed;
mod make;
mod many;
mod mix;
mod room;
#[cfg(feature = "serde")]
mod serde;
mod shards;
mod table;
mod try_calls;
mod whole;

pub use borrowed::{EntryRef, VacantEntryRef};
pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use error::{DuplicateKey, NotRemoved, TryReserveError};
pub use try_calls::Busy;
pub use whole::IntoIter;

use crate::sys::{catch, discard, hash_one};
use entry::{Opened, Removed};
use inside::{Inside, is_plain};
use shards::{Shards, Writing};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::mem;

/// A map for many threads: keys with values, looked up, changed and computed by calls that lock for a moment.
///
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
/// Values are reached by closures ([`with`](Store::with), [`update`](Store::update),
/// [`entry`](Store::entry)) or copied out ([`get`](Store::get)); no reference and no guard leaves the store.
/// So none can be held by mistake while something else waits for it.
///
/// **A closure must not call its own store**: it runs under a lock, and the call panics. See
/// [calls from inside](Store#calls-from-inside).
///
/// # When to use it
/// - Many keys, many threads, any mix of reads and writes: a `Store`.
/// - A cache whose values are costly to compute: [`get_or_compute`](Store::get_or_compute).
/// - Counts by key: a `Store<K, SafeCounter>`, see [below](Store#more-examples).
/// - A map that is made once and then only read: an `Arc<HashMap>`. One that one thread uses at a time:
///   a [`Mutex`](crate::Mutex)`<HashMap>`.
///
/// Values that are large, or slow to copy, are better kept as `Arc`s: then `get` is short.
///
/// # Blocking
/// Every call locks the shard of its key for a moment, and waits for the calls that have it locked: for
/// writers, if it reads, for all, if it writes. None starves: see
/// [`RwMutex`](crate::RwMutex). Closures run under the lock, and so do the `Eq` of keys, the `Clone` of keys and
/// values, and the `Hash` of the keys in a table that grows or shrinks: keep them short.
///
/// # Calls from inside
/// Code that runs under a lock of a store must not call that store: it would wait for its own lock. It doesn't hang,
/// it panics. Formatting the store by `Debug` doesn't: it prints `{<in use by this thread>}`.
///
/// A value that a closure drops is dropped under the lock, as the closure isn't done yet: what it assigns over, what
/// it takes out and doesn't return, what it owns. If the `Drop` of such a value calls the store, that panics. So return
/// the old value from the closure, and it is dropped after the lock is gone:
///
/// ```
/// use phalanx::Store;
/// use std::mem;
///
/// let connections = Store::from([("db", String::from("old"))]);
/// let old = connections.update("db", |it| mem::replace(it, String::from("new")));
/// drop(old); // May call `connections`.
/// ```
///
/// Without a lock run the function of `get_or_compute`, the `Hash` of the key that a call is given, and the `Drop` of
/// what the store itself replaces or removes (by `insert`, `remove`, `retain`, `clear`, a closure that isn't called):
/// these may call the store.
///
/// A closure may call *another* store. But two threads that go from store to store in opposite directions can
/// deadlock, as with any two locks, and so can a closure that waits for another thread that calls the store. All this
/// holds in the destructors of thread-locals, too.
///
/// A panic hook runs inside whatever has panicked, and a panic there ends the process. In a panic hook, and wherever
/// else it isn't known what the thread is inside of, use [`try_get`](Store::try_get),
/// [`try_with`](Store::try_with), [`try_contains_key`](Store::try_contains_key),
/// [`try_update`](Store::try_update) and [`try_entry`](Store::try_entry): they return [`Busy`] from inside the same
/// store, and where they would have to wait.
///
/// # Single-flight
/// Of the calls to [`get_or_compute`](Store::get_or_compute) and its like that find no value for a key at the same
/// time, one *leads*: it calls its function, without any lock. The others wait for it.
///
/// | what happens | the store then has | the leading call | a waiting call |
/// | --- | --- | --- | --- |
/// | the function returns | the value | returns it | returns a clone |
/// | it fails | nothing | returns the error | returns a clone of the error, if its own is of that type; else asks again |
/// | it panics | nothing | panics | asks again |
/// | it returns, but another call has inserted a value | the inserted value | returns a clone of that | returns a clone of that |
/// | it returns, but the key has been removed | nothing | returns what it computed | returns a clone of that |
///
/// Waiting calls clone the value side by side and without a lock. Of those that ask again one leads, with its own
/// function, and the others wait for that one. An error goes to the calls that waited for it, also if a value was
/// inserted meanwhile; the store doesn't remember it.
///
/// **Removals.** After a removal nothing is put in that was computed from before it, and a call that asks after it
/// computes anew, though the function from before may still run. No removal waits for a function.
/// [`remove`](Store::remove), [`remove_entry`](Store::remove_entry), [`clear`](Store::clear) and
/// [`drain`](Store::drain) are such removals, whether there is a value yet or not. [`remove_if`](Store::remove_if) and
/// an [entry](Store::entry) are only if they remove a value: a value that isn't there yet is none of theirs.
/// [`retain`](Store::retain) can't ask about the values that are being computed, and lets none of them in.
///
/// **Circles.** A function that asks for its own key would wait for itself. That call panics, and so does one that
/// closes a circle of threads each of which waits for the next. A function that has removed its own key, or inserted
/// a value for it, may ask for it: that is no circle. The call computes anew, or returns the inserted value.
///
/// # Panics
/// A panic of a closure, of a hasher, or of a `Hash`, `Eq` or `Clone` reaches the caller, and the
/// store goes on: every key is still there, with its value as the closure has left it. What the panicking call
/// was to put in is dropped. So does a panic of a `Drop`, after the call's work on that shard: `clear` and `retain`
/// end there, and leave the shards that come after as they are. All that they have removed is dropped, and so are all
/// entries of a store, or of its iterator, that is dropped: the first panic goes on when that is done. Panics of later
/// `Drop`s end the process in `retain`, as in a `Vec`, and go nowhere in the others.
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
/// | [`with_many`](Store::with_many), [`with_many_slice`](Store::with_many_slice) | the entries of all its keys, at one moment |
/// | [`snapshot`](Store::snapshot), `clone`, serialization | all entries, at one moment |
/// | `==` | all entries of both stores, at one moment |
/// | `len`, `is_empty`, `capacity`, `for_each`, `try_for_each`, `keys`, `values`, `Debug` | each shard at one moment, one shard after the other |
/// | `for_each_mut`, `retain`, `clear`, `drain`, `reserve`, `shrink_to_fit` | the same; each shard is changed in one step |
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
/// # More examples
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

/// Calls on one key.
///
/// Each is one step, as seen by all other calls on that key (linearizable); `get_or_compute` is one step when
/// it looks, and one when it puts its value in, see [there](Store#single-flight).
impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Returns a copy of the key's value, or `None` if the key is absent.
    ///
    /// # Panics
    /// If called from inside this store, as [every call](Store#calls-from-inside).
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.find(!is_plain::<V>(), key, |_, value| value.clone())
    }

    /// Calls `f` with the key's value and returns what it returns; `None` if the key is absent. `f` runs under the
    /// lock for reading.
    ///
    /// # Panics
    /// Whatever `f` panics with. If called from inside this store.
    #[inline]
    #[track_caller]
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(true, key, |_, value| f(value))
    }

    /// Whether the key is in the store.
    ///
    /// # Panics
    /// If called from inside this store.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.find(false, key, |_, _| ()).is_some()
    }

    /// Calls `f` with the key's value, which it may change, and returns what it returns; `None` if the key is absent.
    /// `f` runs under the lock for writing.
    ///
    /// What `f` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    ///
    /// # Panics
    /// Whatever `f` panics with: the value stays as `f` has left it. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// let store = phalanx::Store::from([("one", vec![1])]);
    /// assert_eq!(store.update("one", |list| (list.push(2), list.len()).1), Some(2));
    /// // The old value, dropped by the caller and not under the lock:
    /// assert_eq!(store.update("one", std::mem::take), Some(vec![1, 2]));
    /// assert_eq!(store.update("two", std::mem::take), None);
    /// ```
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

    /// Changes the key's value by `update`, or inserts that of `insert` if the key is absent. Both run under
    /// the lock for writing.
    ///
    /// What `update` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    /// [`upsert_with`](Store::upsert_with) returns what `update` returns.
    ///
    /// # Panics
    /// Whatever they panic with. If called from inside this store.
    #[track_caller]
    pub fn upsert(&self, key: K, insert: impl FnOnce() -> V, update: impl FnOnce(&mut V)) {
        self.upsert_with(key, insert, update);
    }

    /// Inserts a value and returns the one that was there. The store keeps the key that it has.
    ///
    /// # Panics
    /// If called from inside this store.
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

    /// Inserts a value if the key is absent.
    ///
    /// # Errors
    /// If it isn't: the value.
    ///
    /// # Panics
    /// If called from inside this store.
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

    /// Removes the key and returns its value.
    ///
    /// # Panics
    /// If called from inside this store.
    #[inline]
    #[track_caller]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes the key and returns it, as the store had it, with its value.
    ///
    /// # Panics
    /// If called from inside this store.
    #[track_caller]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let _ended;
        let mut shard = self.shards.write(!(is_plain::<K>() && is_plain::<Q>()), hash);
        _ended = shard.flights.end_of_key(hash, |it| it.borrow() == key);
        let gone = shard.table.remove(hash, |it| it.borrow() == key);
        if gone.is_some() {
            self.tidy(shard);
        }
        gone
    }

    /// Removes the key if `f` returns `true` for its value, and returns that. `f` runs under the lock for writing.
    ///
    /// `None` if nothing was removed: [`try_remove_if`](Store::try_remove_if) tells why.
    ///
    /// # Panics
    /// Whatever `f` panics with: the key stays. If called from inside this store.
    #[track_caller]
    pub fn remove_if<Q>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.try_remove_if(key, f).ok()
    }

    /// Removes the key if `f` returns `true` for its value, and returns that. `f` runs under the lock for writing.
    ///
    /// # Errors
    /// If the key is absent, or `f` returned `false`.
    ///
    /// # Panics
    /// Whatever `f` panics with: the key stays. If called from inside this store.
    ///
    /// # Examples
    /// ```
    /// use phalanx::Store;
    /// use phalanx::store::NotRemoved;
    ///
    /// let sessions = Store::from([("idle", 600), ("busy", 1)]);
    /// let expire = |name| sessions.try_remove_if(name, |seconds| *seconds > 300);
    /// assert_eq!(expire("idle"), Ok(600));
    /// assert_eq!(expire("idle"), Err(NotRemoved::Absent));
    /// assert_eq!(expire("busy"), Err(NotRemoved::Kept));
    /// ```
    #[track_caller]
    pub fn try_remove_if<Q>(&self, key: &Q, f: impl FnOnce(&V) -> bool) -> Result<V, NotRemoved>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let _ended;
        let mut shard = self.shards.write(true, hash);
        let index = shard.table.index(hash, |it| it.borrow() == key).ok_or(NotRemoved::Absent)?;
        if !f(&shard.table.place(index).get().1) {
            return Err(NotRemoved::Kept);
        }
        _ended = shard.flights.end_of_key(hash, |it| it.borrow() == key);
        let (gone, _) = shard.table.place(index).remove();
        self.tidy(shard);
        Ok(gone.1)
    }

    /// Calls `f` with the key's entry, whether the key is there or not, and returns what it returns. `f` may read,
    /// change, insert and remove, with no other call in between. It runs under the lock for writing.
    ///
    /// What `f` drops is dropped under the lock: see [calls from inside](Store#calls-from-inside).
    ///
    /// # Panics
    /// Whatever `f` panics with: the entry stays as `f` has left it. If called from inside this store.
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
        // Before the lock, and so dropped after it: the key that was given if it isn't put in, and what is taken
        // out.
        let (mut key, mut removed, mut f) = (Some(key), Removed::new(), Some(f));
        let mut shard = self.shards.write(true, hash);
        let had = shard.table.len();
        let is_it = |it: &K| Some(it) == key.as_ref();
        let entry = match self.open(&mut shard, hash, is_it, &mut removed) {
            Opened::Occupied(entry) => Entry::Occupied(entry),
            Opened::Vacant(table, site) => {
                Entry::Vacant(VacantEntry { table, site, hash, key: &mut key })
            }
        };
        let f = f.take().expect("called once");
        let result = f(entry);
        self.close(shard, had);
        result
    }

    /// Calls `f` with the key's entry. `calls_out`: whether `f` may call anything of a user's.
    #[inline]
    #[track_caller]
    fn find<Q, R>(&self, calls_out: bool, key: &Q, f: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Outside of the lock, as in `update`.
        let mut f = Some(f);
        let mut f = |(key, value): &(K, V)| f.take().map(|f| f(key, value));
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

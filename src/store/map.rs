//! [`Store`]: the type, and what its calls share.

use super::shards::{Shards, Writing};
use crate::sys::{catch, discard, hash_one};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};

/// A sharded concurrent hash map, accessed through closures.
///
/// Its keys are spread over *shards*, each a hash table with a reader-writer lock of its own.
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
/// Closures access values in place ([`with`](Store::with), [`update`](Store::update), [`entry`](Store::entry)), and
/// [`get`](Store::get) clones them. No reference and no guard leaves the store, so none can be held by mistake while
/// its thread waits for something else.
///
/// **A closure must not call the store that it runs on**: it runs under a lock, and the call panics. See
/// [reentrant calls](Store#reentrant-calls).
///
/// # When to use it
/// - Many keys and many threads, with any ratio of reads to writes: a `Store`.
/// - A cache of values that are expensive to compute: [`get_or_compute`](Store::get_or_compute).
/// - Counts by key: a `Store<K, SafeCounter>`, see [below](Store#more-examples).
/// - A map that is built once and then only read: an `Arc<HashMap>`.
/// - A map that one thread at a time uses: a [`Mutex`](crate::Mutex)`<HashMap>`.
///
/// Keep values that are large or slow to clone in `Arc`s, so that `get` is fast.
///
/// # Blocking
/// Every call locks the shard of its key for a short time: for reading, and then waits for writers, or for writing, and
/// then waits for readers, too. No call starves: see [`RwMutex`](crate::RwMutex). Closures run under the lock, and so do
/// the `Eq` of keys, the `Clone` of keys and values, and the `Hash` of the keys in a table that grows or shrinks. Keep
/// them short.
///
/// # Reentrant calls
/// Code that runs under a lock of a store must not call that store: the call would wait for a lock that its own thread
/// holds. It panics instead, except `Debug`, which prints `{<in use by this thread>}`.
///
/// What a closure drops is dropped under the lock: a value that it overwrites, takes out without returning it, or owns.
/// If the `Drop` of such a value calls the store, that call panics. So return the old value from the closure; the caller
/// drops it without the lock:
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
/// These run without a lock and may call the store: the function of `get_or_compute`, the `Hash` of the key that a call
/// is given, and the `Drop` of what the store itself replaces or removes (`insert`, `remove`, `retain`, `clear`),
/// or of a closure that isn't called.
///
/// A closure may call *another* store. But two threads that call two stores in opposite orders can deadlock, as with
/// any two locks. So can a closure that waits for a thread that calls the store. All this applies to destructors of
/// thread-locals, too.
///
/// A panic hook runs inside whatever has panicked, and a panic in the hook aborts the process. In a panic hook, and
/// in other code that a closure on the store may call, use [`try_get`](Store::try_get), [`try_with`](Store::try_with),
/// [`try_contains_key`](Store::try_contains_key), [`try_update`](Store::try_update) and
/// [`try_entry`](Store::try_entry). They return [`Busy`](crate::store::Busy) instead of panicking or blocking.
///
/// # Single-flight
/// If several threads call [`get_or_compute`](Store::get_or_compute) or its variants at once for a key without a value,
/// only one call *leads*: it runs its function, without a lock. The others wait for it.
///
/// | what happens | the store then has | the leading call | a waiting call |
/// | --- | --- | --- | --- |
/// | the function returns a value | the value | returns it | returns a clone |
/// | it fails | nothing | returns the error | returns a clone of the error, if its own is of that type; else starts again |
/// | it panics | nothing | panics | starts again |
/// | it returns a value, but another call has inserted one | the inserted value | returns a clone of that | returns a clone of that |
/// | it returns a value, but the key has been removed | nothing | returns what it computed | returns a clone of that |
///
/// Waiting calls clone the value in parallel and without a lock. Of the calls that start again one leads, with its own
/// function, and the others wait for that one. An error goes to the calls that waited for it, even if a value was
/// inserted in the meantime; the store doesn't keep it.
///
/// **Removals.** If a key is removed while its value is being computed, that value is not inserted. A call that comes
/// after the removal computes anew, even if the earlier function is still running. No removal waits for a function.
/// [`remove`](Store::remove), [`remove_entry`](Store::remove_entry), [`clear`](Store::clear) and
/// [`drain`](Store::drain) count as removals even if there is no value yet, [`remove_if`](Store::remove_if) and an
/// [entry](Store::entry) only if they remove a value. [`retain`](Store::retain) can't show its closure the values that
/// are still being computed, so none of them is inserted.
///
/// **Cycles.** A function that asks for its own key would wait for itself. That call panics, and so does a call that
/// closes a cycle of threads each of which waits for the next. A function that has removed its own key, or inserted a
/// value for it, may ask for it: the call then computes anew, or returns the inserted value.
///
/// # Panics
/// A panic of a closure, a hasher, or of a `Hash`, `Eq` or `Clone` reaches the caller. The store stays usable and keeps
/// every key, with its value as the closure left it. What the call would have inserted is dropped.
///
/// A panic of a `Drop` reaches the caller too, after the call has finished its work on that shard. `clear` and `retain`
/// stop there and leave the remaining shards as they are, but drop everything they have removed. Dropping a store or
/// its iterator drops all entries, and then resumes the first panic. If more than one `Drop` panics, `retain` aborts
/// the process, as a `Vec` would; the others discard the later panics.
///
/// # Memory
/// Entries are stored in tables, without an allocation of their own. A store has 64 shards per processor, rounded up to
/// a power of two, at most 1,024, or the number [given](Store::with_shards); an empty store takes 72 bytes per shard. A
/// call on one key allocates only when a table grows or shrinks, or a value is computed. A table with more than 32
/// buckets, less than an eighth of them used, is shrunk by the next removal (if a key's `Hash` panics then, by a later
/// one).
/// [`clear`](Store::clear), [`drain`](Store::drain) and [`shrink_to_fit`](Store::shrink_to_fit) free small tables too.
///
/// `Store<K, V>` is `Send` and `Sync` if `K` and `V` are both.
///
/// # Hashing
/// Each call hashes its key once, by `S`. The hasher must fill all 64 bits: the bits from 40 up choose the shard.
///
/// # Consistency
/// | call | what it sees and changes while others write |
/// | --- | --- |
/// | on one key | its entry, at one moment (linearizable) |
/// | [`with_many`](Store::with_many), [`with_many_slice`](Store::with_many_slice) | the entries of all its keys, at one moment |
/// | [`snapshot`](Store::snapshot), `clone`, serialization | all entries, at one moment |
/// | `==` | all entries of both stores, at one moment |
/// | `len`, `is_empty`, `capacity`, `for_each`, `try_for_each`, `keys`, `values`, `Debug` | each shard at one moment, one after the other: not an atomic snapshot |
/// | `for_each_mut`, `retain`, `clear`, `drain`, `reserve`, `shrink_to_fit` | the same; each shard changes in one step |
/// | `extend` | one entry after the other |
///
/// What a call that goes from shard to shard may see is described [with those calls](Store::len).
///
/// # Memory ordering
/// What happens before a call that writes a key happens before the return of every later call on that key.
///
/// # In a model
/// A store has at most two shards, and its own hasher, which is the same in every execution.
///
/// # More examples
/// Counts by key: a [`SafeCounter`](crate::SafeCounter) counts under a lock for reading, and readers don't wait for one
/// another.
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
/// No reference leaves the store:
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
    pub(super) shards: Shards<K, V>,
    pub(super) hasher: S,
}

impl<K: Hash + Eq, V, S: BuildHasher> Store<K, V, S> {
    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        hash_one(&self.hasher, key)
    }

    /// Calls `f` with the key's entry, under the lock for reading; `None` if the key is absent.
    #[inline]
    #[track_caller]
    pub(super) fn find<Q, R>(&self, key: &Q, f: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // In an `Option`, so that an `f` that isn't called is dropped without the lock, with what it owns.
        let mut f = Some(f);
        let mut f = |(key, value): &(K, V)| f.take().map(|f| f(key, value));
        let hash = self.hash(key);
        let is_it = |it: &K| it.borrow() == key;
        if let Some(shard) = self.shards.read_fast(hash) {
            return shard.table.find(hash, is_it).and_then(&mut f);
        }
        let shard = self.shards.read(hash);
        shard.table.find(hash, is_it).and_then(&mut f)
    }

    /// Unlocks a shard that has lost entries, after shrinking its table if that is sparse. If a hasher panics then, the
    /// table keeps its memory until a later removal: the caller isn't the one to blame.
    pub(super) fn shrink_if_sparse(&self, mut shard: Writing<'_, K, V>) {
        if shard.table.is_sparse() {
            let wanted = 2 * shard.table.len();
            let outcome = catch(|| shard.table_mut().shrink_to(wanted, |key| self.hash(key)));
            // The payload of a panic is user code's value, whose drop may call the store.
            drop(shard);
            if let Err(payload) = outcome {
                discard(payload);
            }
        }
    }
}

/// Checks an owned key that was made of a borrowed one.
///
/// # Panics
/// If the two are not equal: no call would find the owned one.
#[track_caller]
pub(super) fn assert_owned_equals<K, Q>(owned: &K, key: &Q)
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    assert!(owned.borrow() == key, "Store: the key made of a borrowed one is not equal to it");
}

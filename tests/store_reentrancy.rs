//! Reentrant calls: from user code that a store runs. Under a lock they are refused and never hang; without one they are
//! allowed.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | dashmap#304 | `len()` inside one's own write lock deadlocks | `every_call_from_a_closure_is_refused` |
//! | dashmap#74, #369 | holding a reference while inserting deadlocks | the same |

mod common;

use common::{ignore, panic_of, watchdog};
use phalanx::Store;
use phalanx::store::{Busy, Entry};
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

const RULE: &str = "Store: called from inside the same store";

/// The number of reads before the calls: reads are then unbiased, or biased.
const READS: [u32; 2] = [0, 20_000];

type Call<K, V, S> = (&'static str, fn(&Store<K, V, S>));

/// Every call on a key. Key 1 is there, key 2 isn't.
fn every_call_on_a_key<K, V, S>() -> Vec<Call<K, V, S>>
where
    K: Hash + Eq + Clone + From<u32>,
    V: Clone + From<u32>,
    S: BuildHasher,
{
    vec![
        ("get", |it| ignore(it.get(&K::from(1)))),
        ("with", |it| ignore(it.with(&K::from(1), |_| ()))),
        ("contains_key", |it| ignore(it.contains_key(&K::from(2)))),
        ("update", |it| ignore(it.update(&K::from(1), |_| ()))),
        ("upsert", |it| it.upsert(K::from(1), || V::from(1), |_| ())),
        ("insert", |it| ignore(it.insert(K::from(2), V::from(2)))),
        ("insert_if_absent", |it| ignore(it.insert_if_absent(K::from(2), V::from(2)))),
        ("remove", |it| ignore(it.remove(&K::from(1)))),
        ("remove_if", |it| ignore(it.remove_if(&K::from(1), |_| true))),
        ("remove_entry", |it| ignore(it.remove_entry(&K::from(1)))),
        ("extend", |mut it| it.extend([(K::from(1), V::from(1))])),
        ("try_get_or_compute", |it| ignore(it.try_get_or_compute(K::from(1), |_| Err(())))),
        ("entry", |it| it.entry(K::from(1), |_| ())),
        ("entry_by_ref", |it| it.entry_by_ref(&K::from(1), |_| ())),
        ("with_many", |it| it.with_many([&K::from(1), &K::from(2)], |_| ())),
        ("get_or_compute", |it| ignore(it.get_or_compute(K::from(1), |_| V::from(1)))),
    ]
}

/// Every call on the whole store.
fn every_call_on_all<K, V, S>() -> Vec<Call<K, V, S>>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: BuildHasher,
{
    vec![
        ("len", |it| ignore(it.len())),
        ("is_empty", |it| ignore(it.is_empty())),
        ("capacity", |it| ignore(it.capacity())),
        ("for_each", |it| it.for_each(|_, _| ())),
        ("keys", |it| ignore(it.keys())),
        ("values", |it| ignore(it.values())),
        ("snapshot", |it| ignore(it.snapshot())),
        ("retain", |it| it.retain(|_, _| true)),
        ("clear", |it| it.clear()),
        ("drain", |it| ignore(it.drain())),
        ("reserve", |it| it.reserve(1)),
        ("shrink_to_fit", |it| it.shrink_to_fit()),
    ]
}

fn every_call<K, V, S>() -> impl Iterator<Item = Call<K, V, S>>
where
    K: Hash + Eq + Clone + From<u32>,
    V: Clone + From<u32>,
    S: BuildHasher,
{
    every_call_on_a_key().into_iter().chain(every_call_on_all())
}

/// Calls that don't block return an error instead, and have called nothing.
fn are_busy(store: &Store<u32, u32>) {
    let never = || unreachable!("is inside");
    assert_eq!(store.try_get(&1), Err(Busy));
    assert_eq!(store.try_with(&1, |_| never()), Err(Busy));
    assert_eq!(store.try_contains_key(&1), Err(Busy));
    assert_eq!(store.try_update(&1, |_| never()), Err(Busy));
    assert_eq!(store.try_entry(1, |_| never()), Err(Busy));
}

#[test]
fn every_call_from_a_closure_is_refused() {
    type Outers = &'static [fn(&Store<u32, u32>, &dyn Fn())];
    let outers: Outers = &[
        |it, f| ignore(it.with(&1, |_| f())),
        |it, f| ignore(it.update(&1, |_| f())),
        |it, f| it.entry(1, |_| f()),
        |it, f| it.entry(3, |_| f()),
        |it, f| it.entry_by_ref(&3, |_| f()),
        |it, f| ignore(it.try_with(&1, |_| f())),
        |it, f| ignore(it.try_update(&1, |_| f())),
        |it, f| ignore(it.try_entry(3, |_| f())),
        |it, f| it.with_many([&1, &3], |_| f()),
        |it, f| it.for_each(|_, _| f()),
        |it, f| it.retain(|_, _| (f(), true).1),
        |it, f| ignore(it.remove_if(&1, |_| (f(), false).1)),
    ];
    watchdog(move || {
        for reads in READS {
            let store = Store::from([(1, 1)]);
            (0..reads).for_each(|_| assert_eq!(store.get(&1), Some(1)));
            for (name, call) in every_call() {
                for outer in outers {
                    outer(&store, &|| {
                        let seen = panic_of(|| call(&store));
                        assert!(seen.message.starts_with(RULE), "{name}: {seen:?}");
                        assert!(
                            seen.file.ends_with("tests/store_reentrancy.rs"),
                            "{name}: {seen:?}"
                        );
                        // And from within another store's closure.
                        let other = Store::from([(1, 1)]);
                        let refused = |_: &u32| {
                            assert_eq!(panic_of(|| call(&store)).message, seen.message);
                        };
                        other.with(&1, refused);
                        other.update(&1, |it| refused(it));
                        are_busy(&store);
                        assert_eq!(format!("{store:?}"), "{<in use by this thread>}");
                    });
                }
            }
            assert_eq!((store.get(&1), store.len()), (Some(1), 1));
            assert_eq!(format!("{store:?}"), "{1: 1}");
        }
    });
}

/// A closure may call another store, whose closure may call a third one, and so on.
#[test]
fn calls_on_other_stores_are_allowed() {
    let [one, two, three] = [1, 2, 3].map(|n| Store::from([(n, n)]));
    let sum = one.with(&1, |a| {
        two.update(&2, |b| *b += three.with(&3, |c| a + c).unwrap());
        three.get(&3).unwrap() + two.get(&2).unwrap()
    });
    assert_eq!(sum, Some(9));
    assert_eq!(one.get(&1), Some(1));
}

/// User code that a store runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Code {
    Hash,
    Eq,
    CloneKey,
    CloneValue,
    BuildHasher,
}

struct Trap {
    code: Code,
    /// How often that code runs first.
    passes: Cell<usize>,
    /// What it does from then on.
    f: Box<dyn Fn()>,
    sprung: Cell<usize>,
}

thread_local! {
    static TRAP: RefCell<Option<Trap>> = const { RefCell::new(None) };
}

fn runs(code: Code) {
    // Taken out meanwhile, because it runs such code too.
    let Some(trap) = TRAP.take() else { return };
    let is_due = trap.code == code
        && trap.passes.get().checked_sub(1).map(|left| trap.passes.set(left)).is_none();
    let outcome = is_due.then(|| {
        trap.sprung.set(trap.sprung.get() + 1);
        catch_unwind(AssertUnwindSafe(&trap.f))
    });
    TRAP.set(Some(trap));
    if let Some(Err(payload)) = outcome {
        std::panic::resume_unwind(payload);
    }
}

/// Runs `f` each time that code runs in `call`, except for the first so many times, and returns how often that was.
fn with_trap(code: Code, passes: usize, f: impl Fn() + 'static, call: impl FnOnce()) -> usize {
    let (passes, sprung) = (Cell::new(passes), Cell::new(0));
    TRAP.set(Some(Trap { code, passes, f: Box::new(f), sprung }));
    let outcome = catch_unwind(AssertUnwindSafe(call));
    let trap = TRAP.take().expect("set above");
    if let Err(payload) = outcome {
        std::panic::resume_unwind(payload);
    }
    trap.sprung.get()
}

#[derive(Debug)]
struct Key(u32);

impl From<u32> for Key {
    fn from(key: u32) -> Self {
        Key(key)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        runs(Code::Hash);
        self.0.hash(hasher);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        runs(Code::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        runs(Code::CloneKey);
        Key(self.0)
    }
}

#[derive(Debug, PartialEq)]
struct Value(u32);

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value(value)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        runs(Code::CloneValue);
        Value(self.0)
    }
}

#[derive(Default)]
struct Hashers(RandomState);

impl BuildHasher for Hashers {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        runs(Code::BuildHasher);
        self.0.build_hasher()
    }
}

/// A call in which the store runs such code.
type Runs<K, V> = fn(&Store<K, V, Hashers>);

/// A key that isn't there.
const NEW: u32 = 1000;

#[derive(Clone, Copy, Debug)]
enum Filled {
    /// Full: the next key makes the table grow.
    Full,
    /// So little that the next removal makes it shrink.
    Sparse,
}

/// One shard without key 2, and with key 1 among others.
fn filled<K, V>(filled: Filled, reads: u32) -> Arc<Store<K, V, Hashers>>
where
    K: Hash + Eq + From<u32>,
    V: From<u32>,
{
    let store = Store::with_shards_and_hasher(1, Hashers::default());
    let mut next = 0;
    while next < 100 || store.len() < store.capacity() {
        if next != 2 {
            store.insert(K::from(next), V::from(next));
        }
        next += 1;
    }
    // An eighth of the buckets; the capacity is seven eighths of them.
    while matches!(filled, Filled::Sparse) && store.len() > store.capacity() / 7 {
        next -= 1;
        assert!(store.remove(&K::from(next)).is_some());
    }
    (0..reads).for_each(|_| assert!(store.contains_key(&K::from(1))));
    Arc::new(store)
}

/// Runs every call from user code that runs under a lock, except for the first so many times: each is refused, and the
/// store stays usable.
fn refuses<K, V>(code: Code, passes: usize, how: Filled, call: Runs<K, V>)
where
    K: Hash + Eq + Clone + From<u32> + 'static,
    V: Clone + From<u32> + PartialEq + Debug + 'static,
{
    for reads in READS {
        let store = filled::<K, V>(how, reads);
        let inner = store.clone();
        let refused = move || {
            for (name, call) in every_call() {
                let seen = panic_of(|| call(&inner));
                assert!(seen.message.starts_with(RULE), "{code:?}, {name}: {seen:?}");
                assert!(seen.file.ends_with("tests/store_reentrancy.rs"), "{name}: {seen:?}");
            }
        };
        let sprung = with_trap(code, passes, refused, || call(&store));
        assert!(sprung > 0, "{code:?} did not run");
        is_usable(&store);
    }
}

/// The same, where that code doesn't catch the panic, which then reaches the caller.
fn passes_on<K, V>(code: Code, passes: usize, how: Filled, call: Runs<K, V>)
where
    K: Hash + Eq + Clone + From<u32> + 'static,
    V: Clone + From<u32> + PartialEq + Debug + 'static,
{
    for reads in READS {
        let store = filled::<K, V>(how, reads);
        let (inner, len) = (store.clone(), store.len());
        let refused = move || ignore(inner.len());
        let seen = panic_of(|| with_trap(code, passes, refused, || call(&store)));
        assert!(seen.message.starts_with(RULE), "{code:?}: {seen:?}");
        assert_eq!(store.len(), len);
        is_usable(&store);
    }
}

/// No lock is held, and this thread is not marked as inside.
fn is_usable<K, V>(store: &Store<K, V, Hashers>)
where
    K: Hash + Eq + Clone + From<u32>,
    V: Clone + From<u32> + PartialEq + Debug,
{
    assert_eq!(store.get(&K::from(1)), Some(V::from(1)));
    every_call().for_each(|(_, call)| call(store));
    assert!(store.is_empty());
}

/// Computes a value while another one is inserted.
fn computes_for_nothing(store: &Store<Key, Value, Hashers>) {
    let value = store.get_or_compute(Key(NEW), |_| {
        store.insert(Key(NEW), Value(1));
        Value(2)
    });
    assert_eq!(value, Value(1));
}

#[test]
fn an_eq_is_refused_every_call() {
    type Calls = &'static [Runs<Key, Value>];
    let calls: Calls = &[
        |it| ignore(it.get(&Key(3))),
        |it| ignore(it.with(&Key(3), |_| ())),
        |it| ignore(it.contains_key(&Key(3))),
        |it| ignore(it.update(&Key(3), |_| ())),
        |it| it.upsert(Key(3), || Value(3), |_| ()),
        |it| ignore(it.insert(Key(3), Value(3))),
        |it| ignore(it.insert_if_absent(Key(3), Value(3))),
        |it| it.entry(Key(3), |_| ()),
        |it| it.with_many([&Key(3), &Key(4)], |_| ()),
        |it| ignore(it.get_or_compute(Key(3), |_| Value(3))),
        |it| ignore(it.remove(&Key(3))),
        |it| ignore(it.remove_if(&Key(3), |_| true)),
        |it| ignore(it.remove_entry(&Key(3))),
    ];
    watchdog(move || {
        for &call in calls {
            refuses(Code::Eq, 0, Filled::Full, call);
            passes_on(Code::Eq, 0, Filled::Full, call);
        }
        refuses(Code::Eq, 0, Filled::Full, computes_for_nothing);
    });
}

#[test]
fn a_clone_is_refused_every_call() {
    type Calls = &'static [(Code, Runs<Key, Value>)];
    let calls: Calls = &[
        (Code::CloneValue, |it| ignore(it.get(&Key(3)))),
        (Code::CloneValue, |it| ignore(it.get_or_compute(Key(3), |_| Value(3)))),
        (Code::CloneValue, |it| ignore(it.values())),
        (Code::CloneValue, |it| ignore(it.snapshot())),
        (Code::CloneKey, |it| ignore(it.snapshot())),
        (Code::CloneKey, |it| ignore(it.keys())),
    ];
    watchdog(move || {
        for &(code, call) in calls {
            refuses(code, 0, Filled::Full, call);
            passes_on(code, 0, Filled::Full, call);
        }
        // The first is that of the computed value, without a lock.
        refuses(Code::CloneValue, 1, Filled::Full, computes_for_nothing);
        // A value's, with a plain key.
        let get = |it: &Store<u32, Value, Hashers>| ignore(it.get(&3));
        refuses(Code::CloneValue, 0, Filled::Full, get);
        passes_on(Code::CloneValue, 0, Filled::Full, get);
    });
}

/// The keys in the table are hashed under the lock, by user code of the key's and of the hasher's.
#[test]
fn a_hash_is_refused_every_call_while_a_table_grows_or_shrinks() {
    fn all<K, V>(code: Code)
    where
        K: Hash + Eq + Clone + From<u32> + 'static,
        V: Clone + From<u32> + PartialEq + Debug + 'static,
    {
        // The first is that of the key that is given, without a lock.
        let grow: [Runs<K, V>; 5] = [
            |it| ignore(it.insert(K::from(NEW), V::from(3))),
            |it| it.upsert(K::from(NEW), || V::from(3), |_| ()),
            |it| ignore(it.insert_if_absent(K::from(NEW), V::from(3))),
            |it| it.entry(K::from(NEW), |_| ()),
            |it| ignore(it.get_or_compute(K::from(NEW), |_| V::from(3))),
        ];
        for call in grow {
            refuses(code, 1, Filled::Full, call);
            passes_on(code, 1, Filled::Full, call);
        }
        let reserve = |it: &Store<K, V, Hashers>| it.reserve(1);
        refuses(code, 0, Filled::Full, reserve);
        passes_on(code, 0, Filled::Full, reserve);
        let shrink = |it: &Store<K, V, Hashers>| it.shrink_to_fit();
        refuses(code, 0, Filled::Sparse, shrink);
        passes_on(code, 0, Filled::Sparse, shrink);
        // These return their result even so: see `store_panics.rs`.
        let remove: [Runs<K, V>; 4] = [
            |it| assert!(it.remove(&K::from(3)).is_some()),
            |it| assert!(it.remove_if(&K::from(3), |_| true).is_some()),
            |it| assert!(it.remove_entry(&K::from(3)).is_some()),
            |it| {
                it.entry(K::from(3), |entry| match entry {
                    Entry::Occupied(entry) => ignore(entry.remove()),
                    Entry::Vacant(_) => unreachable!("is there"),
                });
            },
        ];
        for call in remove {
            refuses(code, 1, Filled::Sparse, call);
        }
        refuses::<K, V>(code, 0, Filled::Sparse, |it| {
            let mut is_first = true;
            it.retain(|key, _| *key == K::from(1) || !std::mem::take(&mut is_first));
        });
    }
    watchdog(|| {
        all::<Key, Value>(Code::Hash);
        all::<Key, Value>(Code::BuildHasher);
        // Calls that run no user code but the keys'.
        all::<u32, u32>(Code::BuildHasher);
    });
}

/// The key that is given is hashed before the shard is locked.
#[test]
fn the_hash_of_a_key_that_is_given_may_call_the_store() {
    fn all<K, V>(code: Code)
    where
        K: Hash + Eq + Clone + From<u32> + 'static,
        V: Clone + From<u32> + PartialEq + Debug + 'static,
    {
        for reads in READS {
            for (name, outer) in every_call_on_a_key::<K, V, Hashers>() {
                let store = filled::<K, V>(Filled::Full, reads);
                let inner = store.clone();
                // One of them clears the store, so no key is hashed under a lock afterwards.
                let welcome = move || every_call().for_each(|(_, call)| call(&inner));
                let sprung = with_trap(code, 0, welcome, || outer(&store));
                assert!(sprung > 0, "{name}: no key was hashed");
                store.insert(K::from(1), V::from(1));
                is_usable(&store);
            }
        }
    }
    watchdog(|| {
        all::<Key, Value>(Code::Hash);
        all::<u32, u32>(Code::BuildHasher);
    });
}

/// A key that another thread is computing is compared under the lock as well.
#[test]
fn an_eq_is_refused_while_another_thread_computes() {
    watchdog(|| {
        let store: Arc<Store<Key, Value, Hashers>> = filled(Filled::Full, 0);
        let ((computes, started), (compared, go_on)) = (channel(), channel());
        thread::scope(|s| {
            let leader = s.spawn(|| {
                store.get_or_compute(Key(NEW), move |_| {
                    computes.send(()).unwrap();
                    go_on.recv().unwrap();
                    Value(7)
                })
            });
            started.recv().unwrap();
            let inner = store.clone();
            let refused = move || {
                for (name, call) in every_call() {
                    let seen = panic_of(|| call(&inner));
                    assert!(seen.message.starts_with(RULE), "{name}: {seen:?}");
                }
                let _ = compared.send(());
            };
            let waiter = || assert_eq!(store.get_or_compute(Key(NEW), |_| Value(8)), Value(7));
            assert!(with_trap(Code::Eq, 0, refused, waiter) > 0);
            assert_eq!(leader.join().unwrap(), Value(7));
        });
        is_usable(&store);
    });
}

//! User code that panics inside a store: the panic reaches the caller, every key is still there, and no shard stays
//! locked.

mod common;

use common::{Counted, ignore, panic_of, watchdog};
use phalanx::Store;
use phalanx::store::Entry;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::thread;

thread_local! {
    /// Calls of user code until one panics.
    static FUSE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn burn(what: &str) {
    let left = FUSE.get();
    if left == 0 {
        FUSE.set(usize::MAX);
        // Without the panic hook and its message.
        std::panic::resume_unwind(Box::new(what.to_owned()));
    }
    FUSE.set(left - 1);
}

/// Runs `f` with a panic in call number `at` of user code, and returns whether there was one.
fn with_fuse(at: usize, f: impl FnOnce()) -> bool {
    FUSE.set(at);
    let mut burnt = false;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    if let Err(payload) = outcome {
        let message = payload.downcast_ref::<String>().expect("a message").as_str();
        assert!(["hash", "eq", "clone", "build", "finish"].contains(&message), "{message}");
        burnt = true;
    }
    FUSE.set(usize::MAX);
    burnt
}

#[derive(Debug)]
struct Key(u32);

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        burn("hash");
        self.0.hash(hasher);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        burn("eq");
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        burn("clone");
        Key(self.0)
    }
}

#[derive(Debug)]
struct Value(u32, Counted);

impl Clone for Value {
    fn clone(&self) -> Self {
        burn("clone");
        Value(self.0, self.1.clone())
    }
}

/// A hasher that panics itself, when it is made and when it is used.
#[derive(Default)]
struct Hashers(RandomState);

struct Burning(DefaultHasher);

impl BuildHasher for Hashers {
    type Hasher = Burning;

    fn build_hasher(&self) -> Burning {
        burn("build");
        Burning(self.0.build_hasher())
    }
}

impl Hasher for Burning {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        burn("finish");
        self.0.finish()
    }
}

type Fragile = Store<Key, Value, Hashers>;

/// Makes a call on a full store again and again, with each user code it runs panicking in turn: each key stays.
fn survives(call: impl Fn(&Fragile, u32, Counted)) {
    survives_in(1, 0, call);
}

/// The same, on a store of so many shards, after so many reads.
fn survives_in(shards: usize, reads: u32, call: impl Fn(&Fragile, u32, Counted)) {
    for at in 0.. {
        let (counted, drops) = Counted::new();
        let store = Store::with_shards_and_hasher(shards, Hashers::default());
        let mut keys = 0;
        // A single shard is full, so that the next key makes the table grow.
        while keys < 20 || shards == 1 && store.len() < store.capacity() {
            store.insert(Key(keys), Value(keys, counted.clone()));
            keys += 1;
        }
        (0..reads).for_each(|_| assert!(store.contains_key(&Key(1))));
        let burnt = with_fuse(at, || call(&store, keys, counted.clone()));
        let mut missing = Vec::new();
        for key in 0..keys {
            if store.with(&Key(key), |value| value.0) != Some(key) {
                missing.push(key);
            }
        }
        assert!(missing.is_empty(), "panic {at}: {missing:?} of {keys} are gone");
        assert!([keys, keys + 1].contains(&(store.len() as u32)), "{} of {keys}", store.len());
        // Usable in every way.
        store.insert(Key(9999), Value(1, counted.clone()));
        assert!(store.remove(&Key(9999)).is_some());
        store.retain(|_, _| true);
        let left = store.len();
        drops.store(0, SeqCst);
        drop(store);
        assert_eq!(drops.load(SeqCst), left);
        if !burnt {
            assert!(at > 1, "no user code ran");
            return;
        }
    }
}

/// Inserts what a call has removed again, without panics.
fn put_back(store: &Fragile, key: u32, value: Option<Value>) {
    FUSE.set(usize::MAX);
    store.insert(Key(key), value.expect("was there"));
}

#[test]
fn a_hash_eq_or_clone_that_panics_costs_no_key() {
    watchdog(|| {
        survives(|store, new, value| ignore(store.insert(Key(new), Value(0, value))));
        survives(|store, new, value| store.upsert(Key(new), || Value(0, value), |_| ()));
        survives(|store, new, value| {
            ignore(store.entry(Key(new), |it| it.or_insert(Value(0, value)).0));
        });
        survives(|store, new, value| ignore(store.insert_if_absent(Key(new), Value(0, value))));
        survives(|store, new, value| ignore(store.get_or_compute(Key(new), |_| Value(0, value))));
        survives(|store, _, _| {
            store.reserve(1000);
            store.shrink_to_fit();
        });
        survives(|store, _, _| ignore(store.values()));
        survives(|store, _, _| ignore(store.keys()));
        survives(|store, _, _| ignore(store.snapshot()));
        // By unbiased and biased reads.
        for reads in [0, 20_000] {
            let survives = |call: fn(&Fragile, u32, Counted)| survives_in(1, reads, call);
            survives(|store, _, _| ignore(store.get(&Key(3))));
            survives(|store, _, _| ignore(store.with(&Key(3), |_| ())));
            survives(|store, _, _| ignore(store.contains_key(&Key(3))));
            survives(|store, _, _| ignore(store.get_or_compute(Key(3), |_| unreachable!())));
            survives(|store, _, _| ignore(store.update(&Key(3), |_| ())));
            survives(|store, _, value| ignore(store.insert(Key(3), Value(3, value))));
            survives(|store, _, _| put_back(store, 3, store.remove(&Key(3))));
            survives(|store, _, _| put_back(store, 3, store.remove_if(&Key(3), |_| true)));
            survives(|store, _, _| {
                let removed = store.entry(Key(3), |entry| match entry {
                    Entry::Occupied(entry) => Some(entry.remove()),
                    Entry::Vacant(_) => None,
                });
                put_back(store, 3, removed);
            });
            for shards in [1, 8] {
                survives_in(shards, reads, |store, _, _| {
                    store.with_many([&Key(1), &Key(2), &Key(3)], |_| ());
                });
            }
        }
    });
}

/// A removal after which the table is to be shrunk returns the value, whatever the hasher does.
#[test]
fn a_hash_that_panics_while_a_table_shrinks_reaches_no_caller() {
    let (counted, _) = Counted::new();
    let store = Store::with_shards(1);
    (0..1000).for_each(|key| ignore(store.insert(Key(key), Value(key, counted.clone()))));
    for key in 20..1000 {
        // The first hash is the call's own, and so is the first comparison, if not the second.
        FUSE.set(4);
        let removed = store.remove_if(&Key(key), |_| {
            FUSE.set(0);
            true
        });
        FUSE.set(usize::MAX);
        assert!(removed.is_some_and(|value| value.0 == key));
    }
    assert!((0..20).all(|key| store.with(&Key(key), |value| value.0) == Some(key)));
    let before = store.capacity();
    assert!(store.remove(&Key(0)).is_some());
    assert!(store.capacity() < before, "shrunk at the next chance");
}

/// The payload of that panic is dropped, and its `Drop` may use the store.
#[test]
fn what_a_hash_panics_with_while_a_table_shrinks_is_dropped_outside_of_the_lock() {
    type Numbers = Store<u32, u32, Thrower>;
    struct UsesStore(Weak<Numbers>);
    impl Drop for UsesStore {
        fn drop(&mut self) {
            self.0.upgrade().map(|it| it.insert(1000, 1)).unwrap_or_default();
        }
    }
    thread_local! {
        static THROWN: RefCell<Option<UsesStore>> = const { RefCell::new(None) };
    }
    /// Panics when it has been used so many more times.
    struct Thrower(RandomState, AtomicUsize);
    impl BuildHasher for Thrower {
        type Hasher = DefaultHasher;
        fn build_hasher(&self) -> DefaultHasher {
            if self.1.load(SeqCst) > 0 && self.1.fetch_sub(1, SeqCst) == 1 {
                std::panic::resume_unwind(Box::new(THROWN.take().expect("one for each")));
            }
            self.0.build_hasher()
        }
    }
    watchdog(|| {
        let calls: [fn(&Numbers); 4] = [
            |it| assert_eq!(it.remove(&5), Some(5)),
            |it| assert_eq!(it.remove_if(&5, |_| true), Some(5)),
            |it| {
                it.entry(5, |entry| match entry {
                    Entry::Occupied(entry) => ignore(entry.remove()),
                    Entry::Vacant(_) => unreachable!("is there"),
                });
            },
            |it| {
                // It isn't given a key, and hashes none before.
                it.hasher().1.store(1, SeqCst);
                it.retain(|key, _| *key != 5);
            },
        ];
        for call in calls {
            let thrower = Thrower(RandomState::new(), AtomicUsize::new(0));
            let store = Arc::new(Store::with_shards_and_hasher(1, thrower));
            (0..100).for_each(|key| assert_eq!(store.insert(key, key), None));
            // After one more removal less than an eighth of the buckets is used.
            for key in (0..100).rev().take_while(|_| store.len() > store.capacity() / 7) {
                assert_eq!(store.remove(&key), Some(key));
            }
            THROWN.set(Some(UsesStore(Arc::downgrade(&store))));
            let left = store.len() - 1;
            store.hasher().1.store(2, SeqCst);
            call(&store);
            assert_eq!(store.get(&1000), Some(1), "nothing was thrown, or it was not dropped");
            assert_eq!(store.len(), left + 1);
        }
    });
}

#[test]
fn a_closure_that_panics_leaves_its_key_as_it_was() {
    watchdog(|| {
        let store: Store<u32, u32> = (0..100).map(|key| (key, key)).collect();
        let stop = |_: &mut u32| -> u32 { panic!("stop") };
        let calls: [&dyn Fn(); 8] = [
            &|| ignore(store.with(&1, |_| panic!("stop"))),
            &|| ignore(store.update(&1, stop)),
            &|| store.upsert(1, || 0, |it| ignore(stop(it))),
            &|| store.upsert(500, || panic!("stop"), |_| ()),
            &|| store.entry(1, |it| ignore(it.and_modify(|it| ignore(stop(it))))),
            &|| ignore(store.remove_if(&1, |_| panic!("stop"))),
            &|| store.with_many([&1, &2], |_| panic!("stop")),
            &|| store.for_each(|_, _| panic!("stop")),
        ];
        for call in calls {
            assert_eq!(panic_of(call).message, "stop");
            assert_eq!((store.len(), store.get(&1), store.get(&500)), (100, Some(1), None));
            assert_eq!(store.insert(1, 1), Some(1));
        }
        let seen = panic_of(|| {
            store.entry(1, |entry| match entry {
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() = 7;
                    panic!("half way");
                }
                Entry::Vacant(_) => unreachable!("is there"),
            })
        });
        assert_eq!((seen.message.as_str(), store.get(&1)), ("half way", Some(7)));
    });
}

#[test]
fn a_retain_that_panics_keeps_all_that_it_has_not_refused() {
    watchdog(|| {
        let (counted, drops) = Counted::new();
        let store: Store<u32, Counted> = (0..100).map(|key| (key, counted.clone())).collect();
        let seen = Cell::new(0);
        let panicked = panic_of(|| {
            store.retain(|_, _| {
                seen.set(seen.get() + 1);
                assert!(seen.get() < 50, "enough");
                seen.get() % 2 == 0
            });
        });
        assert_eq!(panicked.message, "enough");
        // Of 49, every other one was removed.
        assert_eq!((store.len(), drops.load(SeqCst)), (75, 25));
        store.retain(|_, _| true);
        assert_eq!(store.len(), 75);
    });
}

/// The clones before the panic are dropped after the unlock, and so is that of the key whose value can't be cloned.
#[test]
fn a_snapshot_that_panics_drops_its_copies_outside_of_the_locks() {
    type Users = Store<UsesStore, UsesStore>;
    struct UsesStore(u32, Weak<Users>);
    impl Hash for UsesStore {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            self.0.hash(hasher);
        }
    }
    impl PartialEq for UsesStore {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for UsesStore {}
    impl Clone for UsesStore {
        fn clone(&self) -> Self {
            burn("clone");
            UsesStore(self.0, self.1.clone())
        }
    }
    impl Drop for UsesStore {
        fn drop(&mut self) {
            self.1.upgrade().map(|it| it.retain(|_, _| true)).unwrap_or_default();
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::with_shards(2));
        let new = |n| UsesStore(n, Arc::downgrade(&store));
        (0..20).for_each(|key| ignore(store.insert(new(key), new(key))));
        let copies: [fn(&Users); 3] =
            [|it| ignore(it.snapshot()), |it| ignore(it.keys()), |it| ignore(it.values())];
        for copies in copies {
            // In a snapshot, keys and values are cloned by turns.
            for at in [0, 1, 10, 11] {
                assert!(with_fuse(at, || copies(&store)));
                assert_eq!(store.len(), 20);
            }
        }
    });
}

/// The leader's key, which isn't inserted because another call's is in the store, panics as it is dropped: after the
/// waiters are woken.
#[test]
fn a_key_whose_drop_panics_leaves_no_waiter_behind() {
    /// Whether its drop panics. Keys that differ in this are equal.
    struct Key(u32, bool);
    impl Hash for Key {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            self.0.hash(hasher);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl Drop for Key {
        fn drop(&mut self) {
            if self.1 {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }
    }
    watchdog(|| {
        for _ in 0..50 {
            let store = Store::new();
            let (computing, started) = channel();
            thread::scope(|s| {
                let leader = s.spawn(|| {
                    store.get_or_compute(Key(1, true), |_| {
                        computing.send(()).unwrap();
                        (0..20).for_each(|_| thread::yield_now());
                        store.insert(Key(1, false), 5);
                        7
                    })
                });
                started.recv().unwrap();
                assert_eq!(store.get_or_compute(Key(1, false), |_| 5), 5);
                assert_eq!(leader.join().unwrap_err().downcast_ref(), Some(&"dropped"));
            });
        }
    });
}

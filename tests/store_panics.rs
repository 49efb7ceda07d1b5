//! User code that panics inside a store: the panic reaches the caller, every key is still there, and
//! nothing stays locked.

mod common;

use common::{Counted, ignore, panic_of, watchdog};
use phalanx::Store;
use phalanx::store::Entry;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering::SeqCst;
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
        // Past the panic hook, which has nothing to say.
        std::panic::resume_unwind(Box::new(what.to_owned()));
    }
    FUSE.set(left - 1);
}

/// `f`, with a panic in the user code's call number `at`; whether that came to pass.
fn with_fuse(at: usize, f: impl FnOnce()) -> bool {
    FUSE.set(at);
    let mut burnt = false;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    if let Err(payload) = outcome {
        let message = payload.downcast_ref::<String>().expect("a message").as_str();
        assert!(["hash", "eq", "clone"].contains(&message), "{message}");
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

#[derive(Debug)]
struct Value(u32, Counted);

impl Clone for Value {
    fn clone(&self) -> Self {
        burn("clone");
        Value(self.0, self.1.clone())
    }
}

/// A call, with every user code it runs panicking in turn, on a full store: each key stays.
fn survives(call: impl Fn(&Store<Key, Value>, u32, Counted)) {
    for at in 0.. {
        let (counted, drops) = Counted::new();
        // Full to the brim, so that the next key makes the table grow.
        let store = Store::with_shards(1);
        let mut keys = 0;
        while keys < 20 || store.len() < store.capacity() {
            store.insert(Key(keys), Value(keys, counted.clone()));
            keys += 1;
        }
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

#[test]
fn a_hash_eq_or_clone_that_panics_costs_no_key() {
    survives(|store, new, value| ignore(store.insert(Key(new), Value(0, value))));
    survives(|store, _, value| ignore(store.insert(Key(3), Value(3, value))));
    survives(|store, new, value| store.upsert(Key(new), || Value(0, value), |_| ()));
    survives(|store, new, value| {
        ignore(store.entry(Key(new), |it| it.or_insert(Value(0, value)).0));
    });
    survives(|store, new, value| ignore(store.insert_if_absent(Key(new), Value(0, value))));
    survives(|store, new, value| ignore(store.get_or_compute(Key(new), |_| Value(0, value))));
    survives(|store, _, _| ignore(store.get_or_compute(Key(3), |_| unreachable!("is there"))));
    survives(|store, _, _| ignore(store.get(&Key(3))));
    survives(|store, _, _| ignore(store.update(&Key(3), |_| ())));
    survives(|store, _, _| store.with_many([&Key(1), &Key(2), &Key(3)], |_| ()));
    survives(|store, _, _| {
        store.reserve(1000);
        store.shrink_to_fit();
    });
    survives(|store, _, _| ignore(store.values()));
}

/// A removal that would shrink the table as well: the value is given back, whatever the hasher does.
#[test]
fn a_hash_that_panics_while_a_table_shrinks_is_nobody_s() {
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
fn a_retain_that_panics_keeps_what_it_has_not_let_go() {
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
        // Of 49, every other one was let go.
        assert_eq!((store.len(), drops.load(SeqCst)), (75, 25));
        store.retain(|_, _| true);
        assert_eq!(store.len(), 75);
    });
}

/// A copy that panics half way: what was copied is dropped when the locks are gone.
#[test]
fn a_snapshot_that_panics_drops_its_copies_outside_of_the_locks() {
    struct UsesStore(Weak<Store<u32, UsesStore>>);
    impl Clone for UsesStore {
        fn clone(&self) -> Self {
            burn("clone");
            UsesStore(self.0.clone())
        }
    }
    impl Drop for UsesStore {
        fn drop(&mut self) {
            self.0.upgrade().map(|it| it.retain(|_, _| true)).unwrap_or_default();
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::with_shards(2));
        (0..20).for_each(|key| ignore(store.insert(key, UsesStore(Arc::downgrade(&store)))));
        for copies in [
            |it: &Store<u32, UsesStore>| ignore(it.snapshot()),
            |it: &Store<u32, UsesStore>| ignore(it.values()),
        ] {
            assert!(with_fuse(10, || copies(&store)));
            assert_eq!(store.len(), 20);
        }
    });
}

/// The leader's key panics as it is dropped, because somebody else's is in the store: those who wait are
/// woken first.
#[test]
fn a_key_whose_drop_panics_leaves_no_one_waiting() {
    /// Whether its drop panics makes no difference to the store.
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

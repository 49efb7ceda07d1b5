//! Values that are computed once, by one of the calls that want them.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | guava#1881, greptimedb#7825 | a value computed from before a removal is inserted after it | `a_key_removed_while_it_is_computed_stays_away` |

mod common;

use common::stress::for_about_a_second;
use common::{ignore, panic_of, watchdog};
use phalanx::store::{Entry, EntryRef};
use phalanx::{Store, WaitGroup};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
fn one_computes_and_the_others_wait() {
    watchdog(|| {
        const THREADS: usize = 8;
        for_about_a_second(|key| {
            let store = Store::new();
            let (computed, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
            thread::scope(|s| {
                for _ in 0..THREADS {
                    s.spawn(|| {
                        start.wait();
                        let value = store.get_or_compute(key, |key| {
                            computed.fetch_add(1, SeqCst);
                            thread::yield_now();
                            key * 2
                        });
                        assert_eq!(value, key * 2);
                    });
                }
            });
            assert_eq!(computed.load(SeqCst), 1);
        });
    });
}

/// While a value is computed the store can be called, for other keys and for the same one, also by the function.
#[test]
fn nothing_is_locked_while_a_value_is_computed() {
    watchdog(|| {
        let store = Store::<u32, u32>::with_shards(1);
        let value = store.get_or_compute(1, |_| {
            assert_eq!(store.get(&1), None);
            store.insert(2, 2);
            assert_eq!(store.len(), 1);
            store.get_or_compute(3, |_| store.get(&2).unwrap() + 1)
        });
        assert_eq!((value, store.get(&1), store.get(&3)), (3, Some(3), Some(3)));
    });
}

#[test]
fn a_value_inserted_meanwhile_stays() {
    let store = Store::new();
    let value = store.get_or_compute("key", |key| {
        store.insert(key, "inserted");
        "computed"
    });
    assert_eq!((value, store.get("key")), ("inserted", Some("inserted")));
}

type Removal = (&'static str, fn(&Store<String, u32>));

/// Calls that are removals whether there is a value or not.
const REMOVALS: [Removal; 5] = [
    ("remove", |it| ignore(it.remove("key"))),
    ("remove_entry", |it| ignore(it.remove_entry("key"))),
    ("clear", |it| it.clear()),
    ("drain", |it| ignore(it.drain())),
    ("retain", |it| it.retain(|_, _| false)),
];

/// Calls that are removals if there is a value.
const REMOVALS_OF_A_VALUE: [Removal; 6] = [
    ("remove_if", |it| assert!(it.remove_if("key", |_| true).is_some())),
    ("entry, remove", |it| {
        it.entry("key".to_owned(), |entry| match entry {
            Entry::Occupied(entry) => ignore(entry.remove()),
            Entry::Vacant(_) => unreachable!("was inserted"),
        });
    }),
    ("entry, remove_entry", |it| {
        it.entry("key".to_owned(), |entry| match entry {
            Entry::Occupied(entry) => ignore(entry.remove_entry()),
            Entry::Vacant(_) => unreachable!("was inserted"),
        });
    }),
    ("entry that panics", |it| {
        let removes = || {
            it.entry("key".to_owned(), |entry| {
                if let Entry::Occupied(entry) = entry {
                    entry.remove();
                }
                resume_unwind(Box::new("removed"))
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(removes)).is_err());
    }),
    ("entry_by_ref", |it| {
        it.entry_by_ref("key", |entry| match entry {
            EntryRef::Occupied(entry) => ignore(entry.remove()),
            EntryRef::Vacant(_) => unreachable!("was inserted"),
        });
    }),
    ("try_entry", |it| {
        let removed = it.try_entry("key".to_owned(), |entry| match entry {
            Entry::Occupied(entry) => ignore(entry.remove()),
            Entry::Vacant(_) => unreachable!("was inserted"),
        });
        removed.unwrap();
    }),
];

fn stays_away(name: &str, remove: impl Fn(&Store<String, u32>)) {
    let store = Store::with_shards(1);
    let computed = store.get_or_compute("key".to_owned(), |_| {
        remove(&store);
        1
    });
    assert_eq!((computed, store.get("key"), store.len()), (1, None, 0), "{name}");
    assert_eq!(store.get_or_compute("key".to_owned(), |_| 2), 2, "{name}");
    assert_eq!(store.get("key"), Some(2), "{name}");
    // The function asks for the key again after the removal: no cycle, and the value of that call stays.
    store.clear();
    let computed = store.get_or_compute("key".to_owned(), |_| {
        remove(&store);
        assert_eq!(store.get_or_compute("key".to_owned(), |_| 2), 2, "{name}");
        1
    });
    assert_eq!((computed, store.get("key")), (1, Some(2)), "{name}");
}

#[test]
fn a_key_removed_while_it_is_computed_stays_away() {
    watchdog(|| {
        REMOVALS.iter().for_each(|(name, remove)| stays_away(name, remove));
        for (name, remove) in REMOVALS.iter().chain(&REMOVALS_OF_A_VALUE) {
            stays_away(name, |store| {
                store.insert("key".to_owned(), 5);
                remove(store);
            });
        }
    });
}

#[test]
fn what_removes_nothing_of_a_key_leaves_its_flight_alone() {
    let calls: [Removal; 7] = [
        ("remove of another key", |it| ignore(it.remove("other"))),
        ("remove_if of a value that isn't there yet", |it| ignore(it.remove_if("key", |_| true))),
        ("entry", |it| {
            it.entry("key".to_owned(), |entry| assert!(matches!(entry, Entry::Vacant(_))));
        }),
        ("entry of another key", |it| {
            it.entry("other".to_owned(), |entry| match entry {
                Entry::Occupied(entry) => ignore(entry.remove()),
                Entry::Vacant(_) => unreachable!("is there"),
            });
        }),
        ("get", |it| ignore(it.get("key"))),
        ("shrink_to_fit", |it| it.shrink_to_fit()),
        ("reserve", |it| it.reserve(1000)),
    ];
    watchdog(move || {
        for (name, call) in calls {
            let store = Store::with_shards(1);
            store.insert("other".to_owned(), 1);
            let computed = store.get_or_compute("key".to_owned(), |_| {
                call(&store);
                7
            });
            assert_eq!((computed, store.get("key")), (7, Some(7)), "{name}");
        }
        // A removal whose closure returns `false`, of a value that was inserted in the meantime.
        let store = Store::new();
        let computed = store.get_or_compute("key", |_| {
            store.insert("key", 5);
            assert_eq!(store.remove_if("key", |_| false), None);
            7
        });
        assert_eq!((computed, store.get("key")), (5, Some(5)));
    });
}

#[test]
fn a_value_that_nobody_waits_for_is_cloned_once() {
    #[derive(Debug)]
    struct Value(Arc<AtomicUsize>);
    impl Clone for Value {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, SeqCst);
            Value(self.0.clone())
        }
    }
    let (store, clones) = (Store::new(), Arc::new(AtomicUsize::new(0)));
    ignore(store.get_or_compute(1, |_| Value(clones.clone())));
    assert_eq!(clones.load(SeqCst), 1);
    ignore(store.get_or_compute(1, |_| unreachable!("is there")));
    assert_eq!(clones.load(SeqCst), 2);
}

#[test]
fn after_a_panic_the_next_one_computes() {
    watchdog(|| {
        let store = Store::new();
        let (computing, started) = channel();
        thread::scope(|s| {
            let first = s.spawn(|| {
                store.get_or_compute(1, |_| {
                    computing.send(()).unwrap();
                    // Gives the others time to wait. If they come later they compute at once.
                    (0..100).for_each(|_| thread::yield_now());
                    resume_unwind(Box::new("no value"))
                })
            });
            started.recv().unwrap();
            let store = &store;
            let others = [10, 11, 12].map(|n| s.spawn(move || store.get_or_compute(1, |_| n)));
            let values = others.map(|other| other.join().unwrap());
            assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
            let payload = first.join().unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"no value"));
        });
        assert!(store.get(&1).is_some());
    });
}

#[test]
fn a_failure_goes_to_its_own_caller() {
    let store = Store::new();
    assert_eq!(store.try_get_or_compute(1, |_| Err("none")), Err("none"));
    assert_eq!(store.get(&1), None);
    assert_eq!(store.try_get_or_compute(1, |_| Ok::<_, &str>(7)), Ok(7));
    assert_eq!(store.try_get_or_compute(1, |_| Err("is there")), Ok(7));
}

#[test]
fn a_value_that_needs_itself_is_refused() {
    watchdog(|| {
        let store = Store::<u32, u32>::new();
        let seen = panic_of(|| store.get_or_compute(1, |_| store.get_or_compute(1, |_| 1)));
        assert_eq!(
            seen.message,
            "Store: the function of get_or_compute asks, itself or through other threads, for the value that it \
             computes"
        );
        assert!(seen.file.ends_with("store_single_flight.rs"), "{seen:?}");
        // Through another key.
        let seen = panic_of(|| {
            store.get_or_compute(1, |_| store.get_or_compute(2, |_| store.get_or_compute(1, |_| 1)))
        });
        assert!(seen.message.contains("asks, itself or through"));
        assert!(store.is_empty());
        assert_eq!(store.get_or_compute(1, |_| 1), 1);
    });
}

/// Three threads in a cycle, over two stores: at least one panics, and all end.
#[test]
fn threads_that_wait_for_one_another_in_a_cycle_are_refused() {
    watchdog(|| {
        for_about_a_second(|_| {
            let stores: [Store<usize, usize>; 2] = [Store::new(), Store::new()];
            let all_compute = Barrier::new(3);
            let refused = AtomicUsize::new(0);
            thread::scope(|s| {
                for thread in 0..3_usize {
                    let (stores, all_compute, refused) = (&stores, &all_compute, &refused);
                    let of = |key: usize| &stores[key % 2];
                    s.spawn(move || {
                        let asked = catch_unwind(AssertUnwindSafe(|| {
                            of(thread).get_or_compute(thread, |_| {
                                all_compute.wait();
                                let next = (thread + 1) % 3;
                                of(next).get_or_compute(next, |_| 100)
                            })
                        }));
                        match asked {
                            // Another one panicked, and its key was computed anew.
                            Ok(value) => assert_eq!(value, 100),
                            Err(payload) => {
                                let message = payload.downcast_ref::<&str>().unwrap();
                                assert!(message.contains("asks, itself or through"), "{message}");
                                refused.fetch_add(1, SeqCst);
                            }
                        }
                    });
                }
            });
            assert!(refused.load(SeqCst) >= 1);
        });
    });
}

/// A chain of waits is no cycle, and neither are waits that are over.
#[test]
fn chains_of_waits_are_allowed() {
    watchdog(|| {
        for_about_a_second(|_| {
            let (store, group) = (Arc::new(Store::<usize, usize>::new()), WaitGroup::new());
            for thread in 0..4 {
                let store = store.clone();
                group.go(move || {
                    for key in 0..8 {
                        // Each key needs the next higher one; each thread begins with another key.
                        let value = compute(&store, (key + 2 * thread) % 8);
                        assert_eq!(value, 8 - (key + 2 * thread) % 8);
                    }
                });
            }
            group.wait();
        });
    });

    fn compute(store: &Store<usize, usize>, key: usize) -> usize {
        store.get_or_compute(key, |key| if *key < 8 { 1 + compute(store, key + 1) } else { 0 })
    }
}

/// That is no cycle: the call doesn't find its own computation.
#[test]
fn a_function_that_has_removed_its_key_may_ask_for_it() {
    watchdog(|| {
        let store = Store::new();
        let outer = store.get_or_compute(1, |_| {
            assert_eq!(store.remove(&1), None);
            assert_eq!(store.get_or_compute(1, |_| 5), 5);
            3
        });
        assert_eq!((outer, store.get(&1)), (3, Some(5)));
        let outer = store.get_or_compute(2, |_| {
            store.insert(2, 44);
            store.get_or_compute(2, |_| 5) + 1
        });
        assert_eq!((outer, store.get(&2)), (44, Some(44)));
    });
}

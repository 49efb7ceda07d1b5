//! Values that are computed once, by one of those who want them.

mod common;

use common::{panic_of, watchdog};
use phalanx::{Store, WaitGroup};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
fn one_computes_and_the_others_wait() {
    watchdog(|| {
        const THREADS: usize = 8;
        for key in 0..200 {
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
        }
    });
}

/// While one computes, the store is free: for other keys, for the same one, and for its own function.
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
fn a_value_put_in_meanwhile_stays() {
    let store = Store::new();
    let value = store.get_or_compute("key", |key| {
        store.insert(key, "inserted");
        "computed"
    });
    assert_eq!((value, store.get("key")), ("inserted", Some("inserted")));
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
                    // Once the others are on their way; they may be late, and compute at once.
                    (0..100).for_each(|_| thread::yield_now());
                    std::panic::resume_unwind(Box::new("no value"))
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
            "Store: get_or_compute waits for a value that is computed from its own"
        );
        assert!(seen.file.ends_with("store_compute.rs"), "{seen:?}");
        // By a detour.
        let seen = panic_of(|| {
            store.get_or_compute(1, |_| store.get_or_compute(2, |_| store.get_or_compute(1, |_| 1)))
        });
        assert!(seen.message.contains("from its own"));
        assert!(store.is_empty());
        assert_eq!(store.get_or_compute(1, |_| 1), 1);
    });
}

/// Three threads in a circle, over two stores: one of them at least is refused, and all end.
#[test]
fn threads_that_wait_for_one_another_in_a_circle_are_refused() {
    watchdog(|| {
        for _ in 0..100 {
            let stores: [Store<usize, usize>; 2] = [Store::new(), Store::new()];
            let all_compute = Barrier::new(3);
            let refused = AtomicUsize::new(0);
            thread::scope(|s| {
                for thread in 0..3_usize {
                    let (stores, all_compute, refused) = (&stores, &all_compute, &refused);
                    let of = |key: usize| &stores[key % 2];
                    s.spawn(move || {
                        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                            of(thread).get_or_compute(thread, |_| {
                                all_compute.wait();
                                let next = (thread + 1) % 3;
                                of(next).get_or_compute(next, |_| 100)
                            })
                        }));
                        match asked {
                            // Another was refused, and its key computed anew.
                            Ok(value) => assert_eq!(value, 100),
                            Err(payload) => {
                                let message = payload.downcast_ref::<&str>().unwrap();
                                assert!(message.contains("from its own"), "{message}");
                                refused.fetch_add(1, SeqCst);
                            }
                        }
                    });
                }
            });
            assert!(refused.load(SeqCst) >= 1);
        }
    });
}

/// Waiting for one that in turn waits for a third is no circle, and waits that are over are none either.
#[test]
fn chains_of_waits_are_welcome() {
    watchdog(|| {
        for _ in 0..200 {
            let (store, group) = (Arc::new(Store::<usize, usize>::new()), WaitGroup::new());
            for thread in 0..4 {
                let store = store.clone();
                group.go(move || {
                    for key in 0..8 {
                        // Each needs the next higher one; threads begin at different places.
                        let value = compute(&store, (key + 2 * thread) % 8);
                        assert_eq!(value, 8 - (key + 2 * thread) % 8);
                    }
                });
            }
            group.wait();
        }
    });

    fn compute(store: &Store<usize, usize>, key: usize) -> usize {
        store.get_or_compute(key, |key| if *key < 8 { 1 + compute(store, key + 1) } else { 0 })
    }
}

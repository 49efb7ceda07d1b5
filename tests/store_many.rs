//! Calls on several keys: a key that is given twice, a number of keys that is known at run time, and their order.
//!
//! The models in `models_store_many.rs` show that calls with opposite orders of keys don't deadlock.

mod common;

use common::stress::for_about_a_second;
use common::{Counted, ignore, panic_of, watchdog};
use phalanx::Store;
use std::hash::{Hash, Hasher};
use std::sync::Barrier;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

#[test]
fn a_key_given_twice_is_an_error_that_says_which() {
    let (value, drops) = Counted::new();
    let store: Store<u32, Counted> = (0..10).map(|key| (key, value.clone())).collect();
    drop(value);
    drops.store(0, SeqCst);
    let never = |_: [Option<&mut Counted>; 5]| unreachable!("a key was given twice");
    // Keys that are there, and that are not; the first that is repeated of several.
    for (keys, first, second) in [
        ([1, 2, 3, 2, 4], 1, 3),
        ([99, 1, 2, 3, 99], 0, 4),
        ([5, 4, 5, 4, 5], 0, 2),
        ([9, 9, 9, 9, 9], 0, 1),
        ([7, 8, 8, 7, 1], 1, 2),
    ] {
        let error = store.try_with_many(keys.each_ref(), never).unwrap_err();
        assert_eq!((error.first, error.second), (first, second), "{keys:?}");
        assert_eq!(error.to_string(), format!("key {second} is the same as key {first}"));
        let again = store.try_with_many_slice(&keys.each_ref(), |_| unreachable!("the same"));
        assert_eq!(again, Err::<(), _>(error));
    }
    assert_eq!((store.len(), drops.load(SeqCst)), (10, 0));
    // No shard stays locked.
    assert_eq!(store.drain().len(), 10);
}

#[test]
fn a_key_given_twice_panics_in_calls_that_return_no_error() {
    let store = Store::from([(1, 1)]);
    let seen = panic_of(|| store.with_many([&1, &1], |_| ()));
    assert_eq!(seen.message, "Store: with_many was given the same key twice, at 0 and 1");
    assert!(seen.file.ends_with("store_many.rs"), "{seen:?}");
    let seen = panic_of(|| store.with_many_slice(&[&1, &1], |_| ()));
    assert_eq!(seen.message, "Store: with_many_slice was given the same key twice, at 0 and 1");
    assert!(seen.file.ends_with("store_many.rs"), "{seen:?}");
}

#[test]
fn each_value_stands_where_its_key_does() {
    for shards in [1, 2, 64] {
        let store = Store::with_shards(shards);
        (0..200_u32).for_each(|key| ignore(store.insert(key, key)));
        // Every second key is there.
        let keys: Vec<u32> = (0..150).map(|n| n * 77 % 400).collect();
        let keys: Vec<&u32> = keys.iter().collect();
        let found = store.with_many_slice(&keys, |values| {
            for (key, value) in keys.iter().zip(&mut *values) {
                assert_eq!(value.as_deref(), (**key < 200).then_some(*key));
                if let Some(value) = value {
                    **value += 1000;
                }
            }
            values.iter().flatten().count()
        });
        assert_eq!(found, keys.iter().filter(|key| ***key < 200).count());
        let changed = store.values().into_iter().filter(|value| *value >= 1000).count();
        assert_eq!((changed, store.len()), (found, 200));
    }
}

#[test]
fn no_keys_are_allowed() {
    let store = Store::from([(1, 1)]);
    let none: [&i32; 0] = [];
    assert_eq!(store.with_many(none, |[]| 5), 5);
    assert_eq!(store.with_many_slice(&none, |values| values.len()), 0);
    assert_eq!(store.try_with_many(none, |[]| 5), Ok(5));
}

#[test]
fn keys_are_looked_up_by_what_they_borrow_as() {
    let store = Store::from([(String::from("a"), 1), (String::from("b"), 2)]);
    let names = [String::from("b"), String::from("c"), String::from("a")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let copies = store.with_many_slice(&names, |values| -> Vec<Option<i32>> {
        values.iter().map(|value| value.as_deref().copied()).collect()
    });
    assert_eq!(copies, [Some(2), None, Some(1)]);
}

/// Many keys with one hash, of which two are equal only if they are.
#[test]
fn keys_of_one_hash_are_told_apart() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Same(u32);
    impl Hash for Same {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            0.hash(hasher);
        }
    }
    let store: Store<Same, u32> = (0..20).map(|n| (Same(n), n)).collect();
    let keys: [Same; 21] = std::array::from_fn(|n| Same(n as u32));
    let values = store.with_many(keys.each_ref(), |values| values.map(|it| it.copied_or(99)));
    assert_eq!(values[..20], std::array::from_fn::<u32, 20, _>(|n| n as u32));
    assert_eq!(values[20], 99);
    let error = store.try_with_many([&Same(3), &Same(4), &Same(3)], |_| ()).unwrap_err();
    assert_eq!((error.first, error.second), (0, 2));
}

trait CopiedOr {
    fn copied_or(self, other: u32) -> u32;
}

impl CopiedOr for Option<&mut u32> {
    fn copied_or(self, other: u32) -> u32 {
        self.map_or(other, |it| *it)
    }
}

/// Each thread locks many keys in an order of its own.
#[test]
fn threads_that_lock_many_keys_lose_nothing() {
    watchdog(|| {
        let store: Store<u32, u32> = (0..16).map(|key| (key, 0)).collect();
        let start = Barrier::new(4);
        let rounds: u64 = thread::scope(|s| {
            let threads = [0, 1, 2, 3].map(|thread| {
                let (store, start) = (&store, &start);
                s.spawn(move || {
                    let mut keys: Vec<u32> = (0..16).collect();
                    start.wait();
                    for_about_a_second(|round| {
                        keys.rotate_left(((round + thread) % 5) as usize);
                        if (round + thread) % 3 == 0 {
                            keys.reverse();
                        }
                        let keys: Vec<&u32> = keys.iter().collect();
                        let seen = store.with_many_slice(&keys, |values| {
                            values.iter_mut().flatten().for_each(|it| **it += 1);
                            values[0].as_deref().copied()
                        });
                        let same =
                            store.with_many([&0, &15], |values| values.map(|it| *it.unwrap()));
                        assert!(same[0] == same[1] && Some(same[0]) >= seen);
                    })
                })
            });
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(store.values().iter().all(|value| u64::from(*value) == rounds));
    });
}

#[test]
fn a_call_from_inside_with_the_same_key_twice_panics_all_the_same() {
    let store = Store::from([(1, 1)]);
    let calls: [&dyn Fn(); 2] = [&|| ignore(store.try_with_many([&1, &1], |_| ())), &|| {
        ignore(store.try_with_many_slice(&[&1, &1], |_| ()));
    }];
    for call in calls {
        let seen = panic_of(|| store.with(&1, |_| call()));
        assert!(seen.message.starts_with("Store: called from inside"), "{}", seen.message);
    }
}

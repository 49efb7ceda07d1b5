//! Models of the calls that lock several shards, or two stores. In a plain build each runs once, on real threads;
//! with `--cfg phalanx_loom` loom explores its interleavings.
//!
//! | the bug | model |
//! | --- | --- |
//! | the shards are locked in the order of the keys | `opposite_orders_of_keys_do_not_deadlock` |
//! | a clone of all entries has a part of what was changed at once | `a_clone_has_all_of_a_change_or_nothing` |
//! | two stores are compared as they are at two moments | `a_comparison_is_of_one_moment` |
//! | two stores are locked in the order in which they are compared | `opposite_comparisons_do_not_deadlock` |

#[path = "common/models.rs"]
mod common;

use common::spawn;
use phalanx::{Store, model};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

/// The hasher of a model; here that of the plain build too.
type Hasher = BuildHasherDefault<DefaultHasher>;
type Numbers = Store<u32, u32, Hasher>;

/// The lowest keys of the first and of the second shard, of two.
fn keys() -> [u32; 2] {
    // The shard is chosen by the bits from 40 up.
    let shard = |key: &u32| Hasher::default().hash_one(key) >> 40 & 1;
    [0, 1].map(|wanted| (0..).find(|key| shard(key) == wanted).expect("half of all keys"))
}

/// A store of two shards, with an entry in each.
fn store() -> Numbers {
    let store = Numbers::with_shards_and_hasher(2, Hasher::default());
    keys().into_iter().for_each(|key| assert_eq!(store.insert(key, 10), None));
    store
}

/// Both threads lock both shards, each with the other's first key last.
#[test]
fn opposite_orders_of_keys_do_not_deadlock() {
    model(|| {
        let [low, high] = keys();
        let store = Arc::new(store());
        let other = spawn(&store, move |store| {
            store.with_many([&high, &low], |values| values.map(|it| *it.unwrap() += 1));
        });
        store.with_many([&low, &high], |values| values.map(|it| *it.unwrap() += 10));
        other.join().unwrap();
        assert_eq!([low, high].map(|key| store.get(&key)), [Some(21); 2]);
    });
}

#[test]
fn opposite_orders_of_many_keys_do_not_deadlock() {
    model(|| {
        let [low, high] = keys();
        let store = Arc::new(store());
        let add = |keys: [u32; 2]| {
            move |store: &Numbers| {
                let keys = [&keys[0], &keys[1]];
                store.with_many_slice(&keys, |values| {
                    values.iter_mut().flatten().for_each(|it| **it += 1);
                });
            }
        };
        let other = spawn(&store, add([high, low]));
        add([low, high])(&store);
        other.join().unwrap();
        assert_eq!([low, high].map(|key| store.get(&key)), [Some(12); 2]);
    });
}

#[test]
fn a_clone_has_all_of_a_change_or_nothing() {
    model(|| {
        let [low, high] = keys();
        let store = Arc::new(store());
        let moves = spawn(&store, move |store| {
            store.with_many([&high, &low], |[from, to]| {
                *from.unwrap() -= 1;
                *to.unwrap() += 1;
            });
        });
        let copy = Store::clone(&store);
        assert!([[10, 10], [11, 9]].contains(&[low, high].map(|key| copy.get(&key).unwrap())));
        moves.join().unwrap();
        assert_eq!(store.get(&low), Some(11));
    });
}

/// A writer waits at each store, and readers behind it.
#[test]
fn opposite_comparisons_do_not_deadlock() {
    model(|| {
        let new = || Store::<u32, u32, Hasher>::with_shards_and_hasher(1, Hasher::default());
        let stores = Arc::new([new(), new()]);
        let threads = [
            spawn(&stores, |[one, _]| one.insert(1, 1).is_none()),
            spawn(&stores, |[_, other]| other.insert(1, 1).is_none()),
            spawn(&stores, |[one, other]| {
                let _equal = one == other;
                true
            }),
        ];
        let [one, other] = &*stores;
        let _equal = other == one;
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap()));
        assert!(one == other);
    });
}

/// Each store has, at some moment, the value that the other one has at another moment. At no moment are they equal.
#[test]
fn a_comparison_is_of_one_moment() {
    model(|| {
        let new = |value| {
            let store = Store::<u32, u32, Hasher>::with_shards_and_hasher(1, Hasher::default());
            store.insert(1, value);
            store
        };
        let stores = Arc::new([new(0), new(1)]);
        let writes = spawn(&stores, |[one, other]| {
            one.insert(1, 2);
            other.insert(1, 0);
        });
        let [one, other] = &*stores;
        assert!(one != other);
        assert!(other != one);
        writes.join().unwrap();
    });
}

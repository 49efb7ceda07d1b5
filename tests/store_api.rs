//! The store's calls that return more than a value, and stores as values themselves: cloned, compared, converted.

mod common;

use common::stress::for_about_a_second;
use common::{Counted, ignore, panic_of, watchdog};
use phalanx::store::NotRemoved;
use phalanx::{SafeCounter, Store};
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Weak};
use std::{mem, thread};

/// Keys that are equal and tell each other apart.
#[derive(Clone, Copy, Debug)]
struct Named(u32, &'static str);

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

#[test]
fn a_read_returns_the_key_that_the_store_has() {
    let store = Store::from([(Named(1, "first"), 10)]);
    let asked = Named(1, "second");
    store.insert(asked, 20);
    let (key, value) = store.get_key_value(&asked).unwrap();
    assert_eq!((key.1, value), ("first", 20));
    assert_eq!(store.with_key_value(&asked, |key, value| (key.1, *value)), Some(("first", 20)));
    assert!(store.get_key_value(&Named(2, "")).is_none());
    assert_eq!(
        store.with_key_value(&Named(2, ""), |_, _| unreachable!("is not there")),
        None::<()>
    );
    let borrowed = Store::from([(String::from("a"), 1)]);
    assert_eq!(borrowed.get_key_value("a"), Some((String::from("a"), 1)));
}

#[test]
fn upsert_with_returns_what_update_made() {
    let store = Store::new();
    let count = |key| {
        store.upsert_with(
            key,
            || 1,
            |it| {
                *it += 1;
                *it
            },
        )
    };
    assert_eq!(["a", "a", "b", "a"].map(count), [None, Some(2), None, Some(3)]);
    assert_eq!((store.get("a"), store.get("b")), (Some(3), Some(1)));
}

#[test]
fn a_value_is_inserted_once_and_then_cloned() {
    let store = Store::new();
    assert_eq!(store.get_or_insert_with("a", || vec![1]), [1]);
    assert_eq!(store.get_or_insert_with("a", || unreachable!("is there")), [1]);
    let seen = panic_of(|| store.get_or_insert_with("b", || panic!("no value")));
    assert_eq!((seen.message.as_str(), store.len()), ("no value", 1));
}

#[test]
fn a_removal_that_is_refused_is_told_from_an_absent_key() {
    let store = Store::from([(1, 10)]);
    assert_eq!(store.try_remove_if(&2, |_| unreachable!("is not there")), Err(NotRemoved::Absent));
    assert_eq!(store.try_remove_if(&1, |value| *value > 10), Err(NotRemoved::Kept));
    assert_eq!(store.get(&1), Some(10));
    assert_eq!(store.try_remove_if(&1, |value| *value == 10), Ok(10));
    assert_eq!(store.try_remove_if(&1, |_| true), Err(NotRemoved::Absent));
    let messages = [NotRemoved::Absent, NotRemoved::Kept].map(|it| it.to_string());
    assert_eq!(messages, ["the key is not in the Store", "the closure returned false"]);
}

#[test]
fn a_walk_stops_where_its_closure_says() {
    let store: Store<u32, u32> = (0..1000).map(|key| (key, key)).collect();
    let mut seen = 0;
    let stopped = store.try_for_each(|_, value| {
        seen += 1;
        if seen == 10 { ControlFlow::Break(*value) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, ControlFlow::Break(value) if value < 1000));
    assert_eq!(seen, 10);
    let whole: ControlFlow<()> = store.try_for_each(|key, value| {
        assert_eq!(key, value);
        seen += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((whole, seen), (ControlFlow::Continue(()), 1010));
    // No shard stays locked.
    store.for_each_mut(|key, value| *value = key + 1);
    assert!((0..1000).all(|key| store.get(&key) == Some(key + 1)));
}

#[test]
fn a_clone_has_the_same_entries_and_hashes_and_a_life_of_its_own() {
    let (value, drops) = Counted::new();
    let store = Store::with_shards(4);
    (0..100).for_each(|key| ignore(store.insert(key, value.clone())));
    let copy = store.clone();
    assert_eq!((copy.len(), copy.shards()), (100, 4));
    assert!((0..100).all(|key| copy.contains_key(&key)));
    store.clear();
    assert_eq!((store.len(), copy.len(), drops.swap(0, SeqCst)), (0, 100, 100));
    drop(copy);
    assert_eq!(drops.load(SeqCst), 100);
}

/// Money moves between accounts: a clone has all of it.
#[test]
fn a_clone_is_of_one_moment() {
    watchdog(|| {
        let store: Store<u32, i64> = (0..8).map(|key| (key, 100)).collect();
        let done = AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                while !done.load(SeqCst) {
                    for (from, to) in (0..8).map(|key| (key, (key + 3) % 8)) {
                        store.with_many([&from, &to], |[from, to]| {
                            *from.unwrap() -= 1;
                            *to.unwrap() += 1;
                        });
                    }
                }
            });
            for_about_a_second(|_| {
                assert_eq!(store.clone().values().iter().sum::<i64>(), 800);
            });
            done.store(true, SeqCst);
        });
    });
}

#[test]
fn stores_compare_as_maps_whatever_their_hashers_and_shards() {
    let one: Store<u32, u32> = (0..100).map(|key| (key, key)).collect();
    let other = Store::with_shards(1);
    assert_ne!(one, other);
    (0..100).rev().for_each(|key| ignore(other.insert(key, key)));
    assert_eq!(one, other);
    assert_eq!(other, one);
    other.insert(7, 8);
    assert_ne!(one, other);
    other.insert(7, 7);
    // The entries of the smaller one are all in the larger one.
    other.remove(&8);
    assert_ne!(one, other);
    assert_ne!(other, one);
    // As many, with another key.
    other.insert(1000, 8);
    assert_ne!(one, other);
    assert_ne!(other, one);
    assert_eq!(Store::<u32, u32>::new(), Store::new());
}

/// As with a `HashMap`, a value that isn't equal to itself makes the store so.
#[test]
fn a_store_compares_with_itself() {
    watchdog(|| {
        let store = Store::from([(1, 1.0), (2, 2.0)]);
        let same = &store;
        assert_eq!(store, *same);
        store.insert(3, f64::NAN);
        assert_ne!(store, *same);
        assert_eq!(store.len(), 3);
    });
}

/// Readers wait behind the writers.
#[test]
fn stores_are_compared_in_opposite_orders_beside_writers() {
    watchdog(|| {
        let [one, other] = [(); 2].map(|()| Store::<u32, u32>::with_shards(2));
        let start = Barrier::new(4);
        thread::scope(|s| {
            for (a, b) in [(&one, &other), (&other, &one)] {
                let start = &start;
                s.spawn(move || {
                    start.wait();
                    for_about_a_second(|_| ignore(a == b));
                });
                s.spawn(move || {
                    start.wait();
                    for_about_a_second(|key| ignore(a.insert(key as u32 % 10, 0)));
                });
            }
        });
        assert_eq!(one, other);
    });
}

#[test]
fn a_store_is_made_of_what_a_map_is_made_of() {
    let map: HashMap<u32, char> = [(1, 'a'), (2, 'b')].into();
    let store = Store::from(map.clone());
    assert_eq!(store, Store::from([(2, 'b'), (1, 'a')]));
    let copied: Store<u32, char> = map.iter().collect();
    assert_eq!(copied, store);
    let mut extended = Store::new();
    extended.extend(&map);
    (&mut &extended).extend([(&3, &'c')]);
    assert_eq!((extended.len(), extended.get(&3)), (3, Some('c')));
    let back: HashMap<_, _> = store.into_iter().collect();
    assert_eq!(back, map);
    // References that are keys and values themselves.
    let words = [("one", "uno"), ("two", "due")].into_iter().collect::<Store<_, _>>();
    assert_eq!(words.get("two"), Some("due"));
}

/// Even with a hasher that differs from its own clone no entry is lost.
#[test]
fn a_store_made_of_a_map_has_a_clone_of_its_hasher() {
    #[derive(Clone, Default)]
    struct Seed(u64);
    impl std::hash::BuildHasher for Seed {
        type Hasher = std::hash::DefaultHasher;
        fn build_hasher(&self) -> Self::Hasher {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write_u64(self.0);
            hasher
        }
    }
    let mut map = HashMap::with_hasher(Seed(5));
    map.insert(1, 1);
    let store = Store::from(map);
    assert_eq!((store.hasher().0, store.get(&1)), (5, Some(1)));
    assert_eq!((store.clone().hasher().0, store.clone().get(&1)), (5, Some(1)));
}

#[test]
fn a_store_of_counters_is_read_and_cloned_like_any_other() {
    let views: Store<&str, SafeCounter> = Store::from([("a", 1.into()), ("b", 2.into())]);
    views.with("a", SafeCounter::increment);
    let mut counts: Vec<_> = views.values().iter().map(SafeCounter::get).collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 2]);
    assert_eq!(views.snapshot().len(), 2);
    assert_eq!(views.get("b").map(|count| count.get()), Some(2));
    let copy = views.clone();
    views.with("a", SafeCounter::increment);
    assert_eq!(copy.with("a", SafeCounter::get), Some(2));
}

/// By unbiased and biased reads, and inside another store's closure.
#[test]
fn every_call_of_this_file_is_refused_from_a_closure() {
    type Call = (&'static str, fn(&Store<u32, u32>));
    let calls: &[Call] = &[
        ("get_key_value", |it| ignore(it.get_key_value(&1))),
        ("with_key_value", |it| ignore(it.with_key_value(&1, |_, _| ()))),
        ("upsert_with", |it| ignore(it.upsert_with(1, || 1, |_| ()))),
        ("get_or_insert_with", |it| ignore(it.get_or_insert_with(2, || 1))),
        ("try_remove_if", |it| ignore(it.try_remove_if(&1, |_| true))),
        ("try_for_each", |it| ignore(it.try_for_each::<()>(|_, _| ControlFlow::Continue(())))),
        ("for_each_mut", |it| it.for_each_mut(|_, _| ())),
        ("clone", |it| ignore(it.clone())),
        ("eq", |it| ignore(*it == Store::new())),
        ("eq, the other way round", |it| ignore(Store::new() == *it)),
        ("try_reserve", |it| ignore(it.try_reserve(1))),
        ("try_with_many", |it| ignore(it.try_with_many([&1, &2], |_| ()))),
        ("with_many_slice", |it| it.with_many_slice(&[&1, &2], |_| ())),
        ("try_with_many_slice", |it| ignore(it.try_with_many_slice(&[&1, &2], |_| ()))),
        ("extend by reference", |mut it| it.extend([(&1, &1)])),
    ];
    type Outer = fn(&Store<u32, u32>, &dyn Fn());
    let outers: &[Outer] = &[
        |it, f| ignore(it.with(&1, |_| f())),
        |it, f| ignore(it.upsert_with(1, || 1, |_| f())),
        |it, f| ignore(it.get_or_insert_with(5, || (f(), 5).1)),
        |it, f| ignore(it.with_key_value(&1, |_, _| f())),
        |it, f| ignore(it.try_remove_if(&1, |_| (f(), false).1)),
        |it, f| ignore(it.try_for_each::<()>(|_, _| (f(), ControlFlow::Continue(())).1)),
        |it, f| it.for_each_mut(|_, _| f()),
        |it, f| it.with_many_slice(&[&1, &3], |_| f()),
    ];
    watchdog(move || {
        for reads in [0, 20_000] {
            for (name, call) in calls {
                for outer in outers {
                    let store = Store::from([(1, 1)]);
                    (0..reads).for_each(|_| assert_eq!(store.get(&1), Some(1)));
                    outer(&store, &|| {
                        let seen = panic_of(|| call(&store));
                        let rule = "Store: called from inside the same store";
                        assert!(seen.message.starts_with(rule), "{name}: {seen:?}");
                        assert!(seen.file.ends_with("tests/store_api.rs"), "{name}: {seen:?}");
                    });
                    assert_eq!(store.remove(&1), Some(1), "{name}");
                }
            }
        }
    });
}

thread_local! {
    /// Clones and comparisons of [`Fragile`] until one panics.
    static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// A value whose `Clone` and `PartialEq` panic at times, and whose drops are counted.
#[derive(Debug)]
struct Fragile(Counted);

fn step() {
    LEFT.set(LEFT.get() - 1);
    assert!(LEFT.get() > 0, "fragile");
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        step();
        Fragile(self.0.clone())
    }
}

impl PartialEq for Fragile {
    fn eq(&self, _: &Self) -> bool {
        step();
        true
    }
}

#[test]
fn a_panic_of_a_clone_or_an_eq_leaves_both_stores_as_they_were() {
    watchdog(|| {
        let (value, drops) = Counted::new();
        let fill = || (0..20).map(|key| (key, Fragile(value.clone()))).collect();
        let [one, other]: [Store<u32, Fragile>; 2] = [fill(), fill()];
        for call in [
            (|one, _| ignore(Store::clone(one))) as fn(&Store<u32, Fragile>, &Store<u32, Fragile>),
            |one, other| ignore(one == other),
            |one, other| ignore(other == one),
            |one, _| ignore(one.get_key_value(&1)),
        ] {
            for left in [1, 10] {
                LEFT.set(left);
                let message = panic_of(|| (0..10).for_each(|_| call(&one, &other))).message;
                assert_eq!(message, "fragile");
                LEFT.set(u32::MAX);
            }
            drops.store(0, SeqCst);
            assert_eq!((one.len(), other.len()), (20, 20));
            assert_eq!(one, other);
            one.insert(0, Fragile(value.clone()));
            other.insert(0, Fragile(value.clone()));
            assert_eq!(drops.load(SeqCst), 2);
        }
        // Each value that was cloned before a panic has been dropped once.
        drops.store(0, SeqCst);
        LEFT.set(10);
        panic_of(|| one.clone());
        LEFT.set(u32::MAX);
        assert_eq!(drops.load(SeqCst), 9);
    });
}

#[test]
fn a_panic_of_a_closure_leaves_the_values_as_it_left_them() {
    watchdog(|| {
        let store = Store::from([(1, 1), (2, 2)]);
        let boom = || -> () { panic!("boom") };
        type Call<'a> = &'a dyn Fn();
        let calls: [Call<'_>; 6] = [
            &|| ignore(store.upsert_with(1, || 0, |it| (*it += 10, boom()).1)),
            &|| ignore(store.upsert_with(3, || (boom(), 3).1, |_| ())),
            &|| ignore(store.try_remove_if(&1, |_| (boom(), true).1)),
            &|| ignore(store.with_key_value(&1, |_, _| boom())),
            &|| store.for_each_mut(|_, it| (*it += 100, boom()).1),
            &|| store.with_many_slice(&[&2], |it| (**it[0].as_mut().unwrap() += 1000, boom()).1),
        ];
        for call in calls {
            assert_eq!(panic_of(call).message, "boom");
        }
        assert_eq!(store.len(), 2);
        // Only one of the two values was changed: the walk ended there.
        let sum = store.get(&1).unwrap() + store.get(&2).unwrap();
        assert_eq!(sum, 1 + 2 + 10 + 100 + 1000);
    });
}

/// The `Drop` of what the store itself drops may call the store; that of what a closure drops may not.
#[test]
fn a_value_that_a_closure_returns_is_dropped_without_a_lock() {
    type Entries = Store<u32, UsesStore>;
    struct UsesStore(Arc<Entries>);
    impl Clone for UsesStore {
        fn clone(&self) -> Self {
            UsesStore(self.0.clone())
        }
    }
    impl Drop for UsesStore {
        fn drop(&mut self) {
            // Every shard, for writing.
            self.0.for_each_mut(|_, _| ());
        }
    }
    watchdog(|| {
        let store: Arc<Entries> = Arc::new(Store::with_shards(2));
        let new = || UsesStore(store.clone());
        let fill = || (0..10).for_each(|key| ignore(store.insert(key, new())));
        fill();
        // Replaced by the store, and returned by closures.
        fill();
        drop(store.update(&1, |it| mem::replace(it, new())));
        drop(store.upsert_with(1, || unreachable!("is there"), |it| mem::replace(it, new())));
        let olds = store
            .with_many([&1, &2], |values| values.map(|it| it.map(|it| mem::replace(it, new()))));
        drop(olds);
        let olds: Vec<_> = store.with_many_slice(&[&1, &2], |values| {
            values.iter_mut().flatten().map(|it| mem::replace(*it, new())).collect()
        });
        drop(olds);
        assert!(store.try_remove_if(&3, |_| true).is_ok());
        drop(store.get_or_insert_with(4, || unreachable!("is there")));
        drop(store.get_or_insert_with(11, new));
        drop(store.get_key_value(&4));
        let mut found = None;
        store.for_each(|_, it| ignore(found.get_or_insert_with(|| it.clone())));
        drop(found);
        let stopped = store.try_for_each(|_, it| ControlFlow::Break(it.clone()));
        drop(stopped);
        let copy = Store::clone(&store);
        assert_eq!(copy.len(), store.len());
        drop(copy);
        // Closures that aren't called are dropped with what they own.
        let held = new();
        assert!(store.try_remove_if(&99, move |_| (&held, true).1).is_err());
        let held = new();
        store.upsert_with(98, new, move |_| drop(held));
        let held = new();
        assert!(store.try_with_many([&1, &1], move |_| drop(held)).is_err());
        let held = new();
        assert!(store.try_with_many_slice(&[&1, &1], move |_| drop(held)).is_err());
        let held = new();
        assert!(store.with_key_value(&99, move |_, _| drop(held)).is_none());
        store.retain(|key, _| *key != 4);
        store.clear();
        assert!(store.is_empty());
    });
}

/// The clone of a key whose value can't be cloned is dropped without a lock, during the panic.
#[test]
fn a_key_that_was_cloned_before_a_panic_is_dropped_without_a_lock() {
    struct Key(Weak<Store<Key, Uncopied>>);
    struct Uncopied;
    impl Clone for Key {
        fn clone(&self) -> Self {
            Key(self.0.clone())
        }
    }
    impl Hash for Key {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            0.hash(hasher);
        }
    }
    impl PartialEq for Key {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }
    impl Eq for Key {}
    impl Drop for Key {
        fn drop(&mut self) {
            self.0.upgrade().map(|it| it.for_each_mut(|_, _| ())).unwrap_or_default();
        }
    }
    impl Clone for Uncopied {
        fn clone(&self) -> Self {
            panic!("can't be copied")
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::with_shards(1));
        let key = || Key(Arc::downgrade(&store));
        store.insert(key(), Uncopied);
        type Call = fn(&Store<Key, Uncopied>, &Key);
        let calls: [Call; 3] = [
            |store, key| ignore(store.get_key_value(key)),
            |store, _| ignore(store.clone()),
            |store, key| ignore(store.get_or_insert_with(key.clone(), || Uncopied)),
        ];
        for call in calls {
            assert_eq!(panic_of(|| call(&store, &key())).message, "can't be copied");
        }
        assert_eq!(store.len(), 1);
    });
}

/// The trap that the docs name, and its way out.
#[test]
fn a_value_that_a_closure_drops_may_not_call_the_store() {
    struct UsesStore(Weak<Store<u32, UsesStore>>);
    impl Drop for UsesStore {
        fn drop(&mut self) {
            self.0.upgrade().map(|it| ignore(it.len())).unwrap_or_default();
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::new());
        let new = || UsesStore(Arc::downgrade(&store));
        store.insert(1, new());
        type Call<'a> = &'a dyn Fn();
        let calls: [Call<'_>; 6] = [
            &|| ignore(store.update(&1, |it| *it = new())),
            &|| store.upsert(1, new, |it| *it = new()),
            &|| store.entry(1, |entry| ignore(entry.and_modify(|it| *it = new()))),
            &|| store.with_many([&1], |[it]| *it.unwrap() = new()),
            &|| store.retain(|_, it| (*it = new(), true).1),
            &|| store.for_each_mut(|_, it| *it = new()),
        ];
        for call in calls {
            let seen = panic_of(call);
            assert!(
                seen.message.starts_with("Store: called from inside the same store"),
                "{seen:?}"
            );
        }
        drop(store.update(&1, |it| mem::replace(it, new())));
        assert_eq!(store.len(), 1);
    });
}

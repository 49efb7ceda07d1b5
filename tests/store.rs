//! The store: calls on one key, on several and on all, alone and from several threads.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | RUSTSEC-2022-0002 | references outlive the guard | nothing borrowed gets out: the `compile_fail` example of `Store` |
//! | scc#176 | the lock is gone before the closure has finished | `a_closure_has_the_lock_to_its_end` |
//! | dashmap#304, #74, #369 | calls inside one's own lock deadlock | in `store_reentrancy.rs` |
//! | golang#40999 | deleted keys are never freed | in `store_memory.rs`, and `removed_entries_are_dropped_at_once` |

mod common;

use common::stress::{for_about, for_about_a_second};
use common::{Counted, ignore, panic_of, watchdog};
use phalanx::store::Entry;
use phalanx::{SafeCounter, Store};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Weak};
use std::thread;
use std::time::Duration;

#[test]
fn values_are_inserted_read_changed_and_removed() {
    let store = Store::new();
    assert_eq!(store.insert("one", 1), None);
    assert_eq!(store.insert("one", 10), Some(1));
    assert_eq!(store.get("one"), Some(10));
    assert_eq!(store.get("two"), None);
    assert!(store.contains_key("one") && !store.contains_key("two"));
    assert_eq!(store.with("one", |value| value + 1), Some(11));
    assert_eq!(store.with("two", |value| value + 1), None);
    assert_eq!(store.update("one", |value| std::mem::replace(value, 11)), Some(10));
    assert_eq!(store.update("two", |value| *value = 0), None);
    store.upsert("one", || unreachable!("is there"), |value| *value += 1);
    store.upsert("two", || 2, |_| unreachable!("is not there"));
    assert_eq!((store.get("one"), store.get("two")), (Some(12), Some(2)));
    assert_eq!(store.insert_if_absent("two", 7), Err(7));
    assert_eq!(store.insert_if_absent("three", 3), Ok(()));
    assert_eq!(store.remove_if("three", |value| *value > 3), None);
    assert_eq!(store.remove_if("three", |value| *value == 3), Some(3));
    assert_eq!(store.remove_if("three", |_| unreachable!("is not there")), None);
    assert_eq!((store.remove("one"), store.remove("one")), (Some(12), None));
    assert_eq!(store.remove_entry("two"), Some(("two", 2)));
    assert!(store.is_empty());
}

#[test]
fn keys_are_looked_up_by_what_they_borrow_as() {
    let store: Store<String, u32> = Store::from([("a".to_owned(), 1)]);
    assert_eq!(store.get("a"), Some(1));
    assert!(store.update("a", |value| *value += 1).is_some());
    store.with_many(["a", "b"], |values| assert_eq!(values, [Some(&mut 2), None]));
    assert_eq!(store.remove("a"), Some(2));
}

#[test]
fn an_entry_is_read_and_changed_in_one_step() {
    let store = Store::from([(1, String::from("one"))]);
    let length = store.entry(1, |entry| {
        assert_eq!(entry.key(), &1);
        entry.and_modify(|value| value.push('!')).or_default().len()
    });
    assert_eq!(length, 4);
    assert_eq!(store.entry(2, |entry| entry.or_insert("two".into()).clone()), "two");
    assert_eq!(store.entry(3, |entry| entry.or_insert_with(|| "three".into()).len()), 5);
    store.entry(1, |entry| match entry {
        Entry::Occupied(mut entry) => {
            assert_eq!((entry.key(), entry.get().as_str()), (&1, "one!"));
            assert_eq!(entry.insert("uno".into()), "one!");
            entry.into_mut().push('?');
        }
        Entry::Vacant(_) => unreachable!("is there"),
    });
    assert_eq!(store.get(&1).as_deref(), Some("uno?"));
    let removed = store.entry(1, |entry| match entry {
        Entry::Occupied(entry) => entry.remove_entry(),
        Entry::Vacant(_) => unreachable!("is there"),
    });
    assert_eq!(removed, (1, "uno?".into()));
    store.entry(1, |entry| match entry {
        Entry::Occupied(_) => unreachable!("was removed"),
        Entry::Vacant(entry) => {
            assert_eq!(format!("{entry:?}"), "VacantEntry(1)");
            assert_eq!(entry.into_key(), 1);
        }
    });
    assert_eq!(store.len(), 2);
}

#[test]
fn several_keys_are_changed_as_one() {
    let store: Store<_, _> = (0..100).map(|key| (key, key)).collect();
    let sum = store.with_many([&3, &500, &99, &0], |values| {
        let there = values.map(|value| value.map(std::mem::take));
        assert_eq!(there, [Some(3), None, Some(99), Some(0)]);
        there.into_iter().flatten().sum::<i32>()
    });
    assert_eq!(sum, 102);
    assert_eq!([3, 99, 0, 1].map(|key| store.get(&key)), [Some(0), Some(0), Some(0), Some(1)]);
    store.with_many([&0; 0], |[]| ());
    let seen = panic_of(|| store.with_many([&1, &2, &1], |_| ()));
    assert_eq!(seen.message, "Store: with_many was given the same key twice, at 0 and 2");
    assert!(seen.file.ends_with("store.rs"), "{seen:?}");
    let seen = panic_of(|| store.with_many([&500, &500], |_| ()));
    assert_eq!(seen.message, "Store: with_many was given the same key twice, at 0 and 1");
    // One shard.
    let small = Store::<u32, u32>::with_shards(1);
    (0..10).for_each(|key| assert_eq!(small.insert(key, 0), None));
    small.with_many([&1, &2, &3], |values| values.into_iter().flatten().for_each(|it| *it = 1));
    assert_eq!(small.values().iter().sum::<u32>(), 3);
}

#[test]
fn a_store_is_a_collection() {
    let mut store: Store<u32, u32> = (0..1000).map(|key| (key, key * key)).collect();
    assert_eq!(store.len(), 1000);
    store.extend([(1, 7), (1000, 0)]);
    (&mut &store).extend([(1001, 0)]);
    assert_eq!((store.len(), store.get(&1)), (1002, Some(7)));
    let mut seen = 0;
    store.for_each(|key, value| seen += u32::from(*key != 1 && *value == key * key));
    assert_eq!(seen, 999);
    store.retain(|key, value| {
        *value = 1;
        key % 2 == 0
    });
    assert_eq!((store.keys().len(), store.values()), (501, vec![1; 501]));
    let snapshot: BTreeMap<_, _> = store.snapshot().into_iter().collect();
    assert!(snapshot.len() == 501 && snapshot.keys().all(|key| key % 2 == 0));
    let left = store.into_iter();
    assert_eq!((left.len(), left.size_hint()), (501, (501, Some(501))));
    assert_eq!(left.map(|(_, value)| value).sum::<u32>(), 501);
    let store = Store::from([(1, 'a')]);
    assert_eq!(format!("{store:?}"), "{1: 'a'}");
    assert_eq!((store.drain(), store.len()), (vec![(1, 'a')], 0));
    store.insert(2, 'b');
    store.clear();
    assert!(store.is_empty() && Store::<u8, u8>::default().is_empty());
}

#[test]
fn shards_and_capacity_are_as_asked_for() {
    for (asked, given) in [(1, 1), (2, 2), (3, 4), (64, 64), (1000, 1024), (1 << 20, 1 << 16)] {
        assert_eq!(Store::<u8, u8>::with_shards(asked).shards(), given);
    }
    let seen = panic_of(|| Store::<u8, u8>::with_shards(0));
    assert_eq!(seen.message, "Store: needs at least one shard");
    assert!(seen.file.ends_with("store.rs"), "{seen:?}");
    assert!(Store::<u8, u8>::new().shards().is_power_of_two());
    let store = Store::<u32, u32>::with_capacity(10_000);
    assert!(store.capacity() >= 10_000);
    let before = store.capacity();
    store.reserve(2 * before);
    assert!(store.capacity() >= 2 * before);
    store.shrink_to_fit();
    assert_eq!(store.capacity(), 0);
    let hasher = RandomState::new();
    let hash = hasher.hash_one("key");
    let store = Store::<&str, u32, _>::with_shards_and_hasher(4, hasher);
    assert_eq!(store.hasher().hash_one("key"), hash);
    store.insert("key", 1);
    assert_eq!(store.get("key"), Some(1));
}

#[test]
fn removed_entries_are_dropped_at_once() {
    let (value, drops) = Counted::new();
    let store = Store::new();
    let put = || (0..100).for_each(|key| ignore(store.insert(key, value.clone())));
    let dropped = |n| assert_eq!(drops.swap(0, SeqCst), n);
    put();
    dropped(0);
    put();
    dropped(100);
    store.remove(&1);
    dropped(1);
    store.retain(|key, _| *key > 10);
    dropped(10);
    store.entry(11, |entry| match entry {
        Entry::Occupied(entry) => ignore(entry.remove()),
        Entry::Vacant(_) => unreachable!("is there"),
    });
    dropped(1);
    store.upsert(12, || unreachable!("is there"), |it| *it = value.clone());
    dropped(1);
    assert!(store.insert_if_absent(12, value.clone()).is_err());
    dropped(1);
    drop(store.get(&12));
    dropped(1);
    store.clear();
    dropped(88);
    put();
    drop(store.drain());
    dropped(100);
    put();
    let mut entries = store.into_iter();
    entries.next();
    dropped(1);
    drop(entries);
    dropped(99);
}

/// What is replaced or removed is dropped after the unlock: its `Drop` may use the store.
#[test]
fn old_entries_are_dropped_outside_of_the_lock() {
    type Entries = Store<u32, UsesStore>;
    struct UsesStore(Arc<Entries>);
    impl Drop for UsesStore {
        fn drop(&mut self) {
            // Every shard, for writing.
            self.0.retain(|_, _| true);
        }
    }
    watchdog(|| {
        let store: Arc<Entries> = Arc::new(Store::with_shards(2));
        let new = || UsesStore(store.clone());
        let fill = || (0..10).for_each(|key| ignore(store.insert(key, new())));
        fill();
        fill();
        store.remove(&1);
        store.remove_if(&2, |_| true);
        store.retain(|key, _| *key != 3);
        store.entry(4, |entry| match entry {
            Entry::Occupied(entry) => Some(entry.remove()),
            Entry::Vacant(_) => None,
        });
        assert!(store.insert_if_absent(5, new()).is_err());
        store.clear();
        fill();
        drop(store.drain());
        assert!(store.is_empty());
    });
}

/// The key that was given, the store's own, and that of a computed value.
#[test]
fn keys_are_dropped_outside_of_the_lock() {
    struct Key(u32, Weak<Store<Key, u32>>);
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
            self.1.upgrade().map(|it| it.retain(|_, _| true)).unwrap_or_default();
        }
    }
    watchdog(|| {
        let store = Arc::new(Store::<Key, u32>::with_shards(1));
        let key = |n| Key(n, Arc::downgrade(&store));
        store.insert(key(1), 1);
        assert_eq!(store.insert(key(1), 2), Some(1));
        store.entry(key(1), |_| ());
        store.entry(key(1), |entry| match entry {
            Entry::Occupied(entry) => assert_eq!(entry.remove(), 2),
            Entry::Vacant(_) => unreachable!("is there"),
        });
        let computed = store.get_or_compute(key(2), |_| {
            store.insert(key(2), 5);
            9
        });
        assert_eq!(computed, 5);
        assert_eq!(store.try_get_or_compute(key(3), |_| Err("none")), Err("none"));
        store.remove(&key(2));
        assert!(store.is_empty());
    });
}

/// A closure that isn't called is dropped with what it owns.
#[test]
fn closures_that_find_no_key_are_dropped_outside_of_the_lock() {
    struct UsesStore<'a>(&'a Store<u32, u32>);
    impl Drop for UsesStore<'_> {
        fn drop(&mut self) {
            self.0.insert(9, 9);
        }
    }
    let store = Store::with_shards(1);
    // First with the locks' words, then with biased reads.
    for _ in 0..2 {
        let held = UsesStore(&store);
        assert_eq!(store.with(&1, move |value| (*value, held).0), None);
        let held = UsesStore(&store);
        assert_eq!(store.update(&1, move |value| (*value, held).0), None);
        (0..40_000).for_each(|_| assert_eq!(store.get(&9), Some(9)));
    }
    assert_eq!(store.len(), 1);
}

#[test]
fn what_upsert_does_not_call_is_dropped_outside_of_the_lock() {
    struct UsesStore<'a>(&'a Store<u32, u32>);
    impl Drop for UsesStore<'_> {
        fn drop(&mut self) {
            assert!(self.0.len() <= 1);
        }
    }
    let store = Store::with_shards(1);
    let held = UsesStore(&store);
    store.upsert(1, || 0, move |it| *it = (1, held).0);
    let held = UsesStore(&store);
    store.upsert(1, move || (0, held).0, |it| *it += 1);
    assert_eq!(store.get(&1), Some(1));
}

#[test]
fn reserved_capacity_stays_until_entries_are_removed() {
    let store = Store::<u32, u32>::with_capacity(100_000);
    let capacity = store.capacity();
    for key in 0..1000 {
        store.upsert(key, || 1, |_| ());
        assert_eq!(store.remove(&(key + 1_000_000)), None);
        assert_eq!(store.insert_if_absent(key + 1000, 1), Ok(()));
    }
    store.retain(|_, _| true);
    assert_eq!(store.capacity(), capacity);
    // Fewer entries than shards: no table for each.
    assert_eq!(Store::<u32, [u8; 4096]>::with_capacity(1).capacity(), 0);
}

/// The thread-locals of an ending thread are destroyed one after another; reentrant calls are refused to the last.
#[test]
fn the_destructors_of_thread_locals_may_use_stores() {
    struct AtTheEnd(fn());
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0();
        }
    }
    thread_local! {
        static FIRST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    fn uses_stores() {
        let [one, other]: [Store<u32, u32>; 2] = [[(1, 1)], [(1, 1)]].map(Store::from);
        one.update(&1, |it| *it += 1);
        assert_eq!((one.get(&1), one.len()), (Some(2), 1));
        // Calls on the same store, directly and from inside another store, panic and don't hang.
        let again = || one.update(&1, |_| ());
        let refused = |f: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
        one.update(&1, |_| refused(&|| ignore(again())));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            one.update(&1, |_| other.update(&1, |_| refused(&|| ignore(again()))));
        }));
        refused(&|| ignore(one.get_or_compute(7, |_| one.get_or_compute(7, |_| 7))));
        assert_eq!(one.get_or_compute(7, |_| 8), 8);
    }
    watchdog(|| {
        thread::spawn(|| {
            FIRST.set(Some(AtTheEnd(uses_stores)));
            uses_stores();
            LAST.set(Some(AtTheEnd(uses_stores)));
        })
        .join()
        .unwrap();
    });
}

#[test]
fn a_closure_has_the_lock_to_its_end() {
    watchdog(|| {
        for reads in [0, 20_000] {
            let store = Store::from([(1, 0)]);
            (0..reads).for_each(|_| assert_eq!(store.get(&1), Some(0)));
            let (inside, done) = (Barrier::new(2), AtomicBool::new(false));
            thread::scope(|s| {
                s.spawn(|| {
                    inside.wait();
                    store.insert(1, 1);
                    assert!(done.load(SeqCst), "written while it was read");
                });
                store.with(&1, |value| {
                    inside.wait();
                    for _ in 0..200 {
                        thread::yield_now();
                        assert_eq!(*value, 0);
                    }
                    done.store(true, SeqCst);
                });
            });
            assert_eq!(store.get(&1), Some(1));
        }
    });
}

/// After so many reads that the readers leave the fence to the next writer.
#[test]
fn a_writer_after_many_thousand_reads_is_seen_by_all_and_alone() {
    watchdog(|| {
        const READERS: u64 = 3;
        const KEYS: u64 = 64;
        let store: Store<u64, [u64; 4]> = (0..KEYS).map(|key| (key, [0; 4])).collect();
        for_about_a_second(|round| {
            let round = round + 1;
            let (start, written) = (Barrier::new(READERS as usize + 1), AtomicBool::new(false));
            let check = |key: u64| {
                let value = store.with(&(key % KEYS), |value| *value).expect("is there");
                assert!(value.iter().all(|&word| word == value[0]), "torn: {value:?}");
                value[0]
            };
            thread::scope(|s| {
                for reader in 0..READERS {
                    let (start, written) = (&start, &written);
                    s.spawn(move || {
                        start.wait();
                        (0..40_000).for_each(|key| assert!(check(key + reader) <= round));
                        while !written.load(SeqCst) {
                            (0..KEYS).for_each(|key| assert!(check(key) <= round));
                        }
                        (0..KEYS).for_each(|key| assert_eq!(check(key), round));
                    });
                }
                start.wait();
                for key in 0..40_000 {
                    check(key);
                }
                for key in 0..KEYS {
                    store.update(&key, |value| value.iter_mut().for_each(|word| *word += 1));
                }
                written.store(true, SeqCst);
            });
        });
    });
}

#[test]
fn threads_that_change_the_same_keys_lose_nothing() {
    watchdog(|| {
        const THREADS: usize = 4;
        for shards in [1, 64] {
            let store = Store::with_shards(shards);
            let start = Barrier::new(THREADS);
            let changes = || {
                start.wait();
                for_about(Duration::from_millis(500), |round| {
                    store.upsert(round % 7, || 1, |count| *count += 1);
                    store.entry(round % 5 + 100, |entry| *entry.or_insert(0) += 1);
                    store.with_many([&1000, &(round % 7)], |_| ());
                })
            };
            let rounds: u64 = thread::scope(|s| {
                let threads = [(); THREADS].map(|()| s.spawn(changes));
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            let sum = |keys: std::ops::Range<u64>| -> u64 {
                keys.map(|key| store.get(&key).unwrap_or(0)).sum()
            };
            assert_eq!((sum(0..7), sum(100..105)), (rounds, rounds));
        }
    });
}

/// Entries that stay are found by every call while others come and go, tables grow and shrink, and reads become biased
/// and unbiased.
#[test]
fn what_stays_is_always_found() {
    watchdog(|| {
        let store: Store<u32, u32> = (0..100).map(|key| (key, key)).collect();
        let (done, checks) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|s| {
            for thread in 0..2_u32 {
                let (store, done) = (&store, &done);
                s.spawn(move || {
                    for_about_a_second(|round| {
                        for key in 0..1000 {
                            store.insert(1000 * (thread + 1) + key, round as u32);
                        }
                        store.retain(|key, _| *key < 100 || key / 1000 != thread + 1);
                    });
                    done.store(true, SeqCst);
                });
            }
            for _ in 0..2 {
                s.spawn(|| {
                    while !done.load(SeqCst) || checks.load(SeqCst) < 20 {
                        for key in 0..100 {
                            assert_eq!(store.get(&key), Some(key));
                        }
                        let mut stay = 0;
                        store.for_each(|key, value| stay += u32::from(*key < 100 && key == value));
                        assert_eq!(stay, 100);
                        let snapshot: HashMap<_, _> = store.snapshot().into_iter().collect();
                        assert!((0..100).all(|key| snapshot.get(&key) == Some(&key)));
                        assert!(store.len() >= 100);
                        checks.fetch_add(1, SeqCst);
                    }
                });
            }
        });
        assert_eq!(store.len(), 100);
    });
}

/// Money moves between accounts: every snapshot has all of it.
#[test]
fn a_snapshot_is_of_one_moment() {
    watchdog(|| {
        let store: Store<u32, i64> = (0..32).map(|key| (key, 100)).collect();
        let done = AtomicBool::new(false);
        thread::scope(|s| {
            for thread in 0..3 {
                let (store, done) = (&store, &done);
                s.spawn(move || {
                    for_about_a_second(|round| {
                        let round = (round % 32) as u32;
                        let (from, to) = ((round * 7 + thread) % 32, (round * 5 + 3) % 32);
                        if from != to {
                            store.with_many([&from, &to], |[from, to]| {
                                *from.unwrap() -= 1;
                                *to.unwrap() += 1;
                            });
                        }
                    });
                    done.store(true, SeqCst);
                });
            }
            while !done.load(SeqCst) {
                let sum: i64 = store.snapshot().iter().map(|(_, amount)| amount).sum();
                assert_eq!(sum, 3200);
            }
        });
    });
}

#[test]
fn counters_by_key_count() {
    watchdog(|| {
        const PAGES: [&str; 3] = ["index", "about", "contact"];
        let views: Store<String, SafeCounter> = Store::new();
        let view_all = || {
            for_about_a_second(|_| {
                for page in PAGES {
                    if views.with(page, SafeCounter::increment).is_none() {
                        views.entry(page.to_owned(), |it| it.or_default().increment());
                    }
                }
            })
        };
        let rounds: u64 = thread::scope(|s| {
            let threads = [(); 4].map(|()| s.spawn(view_all));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let counts = PAGES.map(|page| views.with(page, SafeCounter::get));
        assert_eq!(counts, [Some(rounds as i64); 3]);
    });
}

/// Two keys that differ when compared with each other, and are both equal to one entry's: the closure must not get its
/// value twice.
#[test]
fn an_eq_that_lies_gets_no_value_twice() {
    thread_local! {
        static ASKED: Cell<u32> = const { Cell::new(0) };
    }
    struct Liar;
    impl Hash for Liar {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            0.hash(hasher);
        }
    }
    impl PartialEq for Liar {
        fn eq(&self, _: &Self) -> bool {
            ASKED.replace(ASKED.get() + 1) > 0
        }
    }
    impl Eq for Liar {}
    let store = Store::with_shards(1);
    store.insert(Liar, 1);
    ASKED.set(0);
    let seen = panic_of(|| store.with_many([&Liar, &Liar], |_| unreachable!("two of one")));
    assert_eq!(seen.message, "Store: with_many was given the same key twice, at 0 and 1");
    ASKED.set(0);
    let error = store.try_with_many([&Liar, &Liar], |_| unreachable!("two of one")).unwrap_err();
    assert_eq!((error.first, error.second), (0, 1));
    ASKED.set(0);
    let error = store.try_with_many_slice(&[&Liar, &Liar], |_| unreachable!("two of one"));
    assert_eq!(error.map(|()| 0).unwrap_err().second, 1);
    assert_eq!(store.get(&Liar), Some(1));
}

/// A hasher that fills only the lower bits puts all keys in one shard, which is correct.
#[test]
fn a_poor_hasher_is_slow_and_right() {
    #[derive(Clone, Default)]
    struct Lower(u64);
    impl Hasher for Lower {
        fn finish(&self) -> u64 {
            self.0 & 0xff
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.iter().fold(self.0, |sum, byte| sum + u64::from(*byte));
        }
    }
    impl BuildHasher for Lower {
        type Hasher = Lower;
        fn build_hasher(&self) -> Lower {
            Lower(0)
        }
    }
    let store = Store::with_hasher(Lower(0));
    (0..2000_u32).for_each(|key| assert_eq!(store.insert(key, key), None));
    assert!((0..2000).all(|key| store.get(&key) == Some(key)));
    (0..2000).for_each(|key| assert_eq!(store.remove(&key), Some(key)));
    assert!(store.is_empty());
}

#[test]
fn entries_without_a_size_are_kept_too() {
    let store = Store::new();
    assert_eq!((store.insert((), ()), store.insert((), ())), (None, Some(())));
    assert_eq!((store.len(), store.get(&()), store.remove(&())), (1, Some(()), Some(())));
}

#[test]
fn a_store_may_end_with_its_thread() {
    thread_local! {
        static STORE: Store<u32, u32> = Store::new();
    }
    thread::spawn(|| STORE.with(|it| ignore(it.insert(1, 1)))).join().unwrap();
}

//! Calls by a borrowed key: an owned key is made only when it is inserted.
//!
//! A binary of its own, because its allocator counts. It counts for each thread separately, so the numbers are exact
//! whatever the test harness does.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | hashbrown#122, dashmap#22, moka#185 | a look-up by a borrowed key has to allocate | `nothing_is_allocated_for_a_key_that_is_there` |

mod common;

use common::stress::for_about_a_second;
use common::{ignore, panic_of, watchdog};
use phalanx::Store;
use phalanx::store::EntryRef;
use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Borrow;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;

struct Counting;

thread_local! {
    /// Allocations of this thread. Has no destructor, and isn't allocated.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator. What is counted beside it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `alloc` got it from there.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` has allocated.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// Longer than any string type stores inline.
const KEY: &str = "a key that is long enough to be on the heap";

#[test]
fn nothing_is_allocated_for_a_key_that_is_there() {
    type Call = (&'static str, fn(&Store<String, u32>));
    let calls: [Call; 9] = [
        ("get", |it| assert_eq!(it.get(KEY), Some(7))),
        ("get_or_compute_by_ref", |it| assert_eq!(it.get_or_compute_by_ref(KEY, |_| 0), 7)),
        ("try_get_or_compute_by_ref", |it| {
            assert_eq!(it.try_get_or_compute_by_ref(KEY, |_| Err(())), Ok(7));
        }),
        ("entry_by_ref", |it| it.entry_by_ref(KEY, |it| ignore(it.or_default()))),
        ("entry_by_ref of an absent key that is not inserted", |it| {
            it.entry_by_ref("absent", |it| assert!(matches!(it, EntryRef::Vacant(_))));
        }),
        ("upsert_by_ref", |it| it.upsert_by_ref(KEY, || 0, |_| ())),
        ("try_get", |it| assert_eq!(it.try_get(KEY), Ok(Some(7)))),
        ("try_update", |it| assert_eq!(it.try_update(KEY, |it| *it), Ok(Some(7)))),
        ("remove_if", |it| ignore(it.remove_if(KEY, |_| false))),
    ];
    watchdog(move || {
        // By unbiased and biased reads.
        for reads in [0, 20_000] {
            let store = Store::with_shards(1);
            store.insert(KEY.to_owned(), 7);
            (0..reads).for_each(|_| assert!(store.contains_key(KEY)));
            // From here on everything is allocated that a thread, and its first lock, allocates once.
            calls.iter().for_each(|(_, call)| call(&store));
            for (name, call) in calls {
                assert_eq!(allocations(|| call(&store)), 0, "{name} after {reads} reads");
            }
            // And by an owned key, which the caller allocates.
            let key = KEY.to_owned();
            let by_owned = || assert_eq!(store.get_or_compute(key, |_| 0), 7);
            assert_eq!(allocations(by_owned), 0);
        }
    });
}

#[test]
fn an_owned_key_is_made_once_and_only_when_it_is_inserted() {
    thread_local! {
        static MADE: Cell<u32> = const { Cell::new(0) };
    }
    #[derive(PartialEq, Eq, Hash)]
    struct Key(String);
    impl Borrow<str> for Key {
        fn borrow(&self) -> &str {
            &self.0
        }
    }
    impl From<&str> for Key {
        fn from(key: &str) -> Self {
            MADE.set(MADE.get() + 1);
            Key(key.to_owned())
        }
    }
    let store = Store::<Key, u32>::new();
    store.entry_by_ref("one", |entry| {
        assert_eq!(entry.key(), "one");
        assert_eq!(*entry.and_modify(|_| unreachable!("is absent")).or_insert_with(|| 1), 1);
    });
    assert_eq!(MADE.get(), 1);
    store.entry_by_ref("one", |entry| {
        assert_eq!(entry.key(), "one");
        assert_eq!(*entry.and_modify(|it| *it += 1).or_insert(9), 2);
    });
    store.upsert_by_ref("one", || unreachable!("is there"), |it| *it += 1);
    assert_eq!((MADE.get(), store.get("one")), (1, Some(3)));
    store.upsert_by_ref("two", || 2, |_| unreachable!("is absent"));
    assert_eq!((MADE.get(), store.get("two")), (2, Some(2)));
    assert_eq!(store.get_or_compute_by_ref("three", |it| it.len() as u32), 5);
    assert_eq!((MADE.get(), store.get("three")), (3, Some(5)));
    assert_eq!(store.try_get_or_compute_by_ref("four", |_| Err("none")), Err("none"));
    assert_eq!((store.len(), store.get("four")), (3, None));
}

/// Keys of types that implement `From` for a borrowed form.
#[test]
fn keys_that_borrow_are_made_by_from() {
    let store = Store::<Arc<str>, u32>::new();
    assert_eq!(store.get_or_compute_by_ref(KEY, |_| 1), 1);
    let store = Store::<Box<[u8]>, u32>::new();
    store.upsert_by_ref(&[1, 2, 3][..], || 1, |_| ());
    assert_eq!(store.get(&[1, 2, 3][..]), Some(1));
    let store = Store::<PathBuf, u32>::new();
    assert_eq!(store.get_or_compute_by_ref(Path::new("a/b"), |_| 1), 1);
}

/// No call would find such a key, so it is refused before anything changes.
#[test]
fn a_key_that_is_not_what_it_was_made_of_is_refused() {
    const RULE: &str = "Store: the key made of a borrowed one is not equal to it";
    #[derive(Debug, PartialEq, Eq)]
    struct Lower(String);
    impl Borrow<str> for Lower {
        fn borrow(&self) -> &str {
            &self.0
        }
    }
    impl Hash for Lower {
        fn hash<H: Hasher>(&self, hasher: &mut H) {
            self.0.hash(hasher);
        }
    }
    impl From<&str> for Lower {
        fn from(key: &str) -> Self {
            Lower(key.to_lowercase())
        }
    }
    let store = Store::<Lower, u32>::new();
    let calls: [&dyn Fn(); 3] = [
        &|| store.upsert_by_ref("Key", || 1, |_| ()),
        &|| store.entry_by_ref("Key", |it| ignore(it.or_insert(1))),
        &|| ignore(store.get_or_compute_by_ref("Key", |_| 1)),
    ];
    for call in calls {
        let seen = panic_of(call);
        assert_eq!(seen.message, RULE);
        assert!(seen.file.ends_with("store_borrowed.rs"), "{seen:?}");
        assert!(store.is_empty());
    }
    store.upsert_by_ref("key", || 1, |_| ());
    assert_eq!(store.get("key"), Some(1));
}

/// Single-flight across owned and borrowed keys: one computes for all.
#[test]
fn calls_by_owned_and_by_borrowed_keys_share_a_flight() {
    watchdog(|| {
        for_about_a_second(|_| {
            let store = Store::<String, u32>::new();
            let (leads, start) = (Cell::new(false), Barrier::new(3));
            let values = thread::scope(|s| {
                let by_ref = [(); 2].map(|()| {
                    s.spawn(|| {
                        start.wait();
                        store.get_or_compute_by_ref(KEY, |_| 7)
                    })
                });
                start.wait();
                let mine = store.get_or_compute(KEY.to_owned(), |_| {
                    leads.set(true);
                    8
                });
                let theirs = by_ref.map(|it| it.join().unwrap());
                [mine, theirs[0], theirs[1]]
            });
            assert_eq!(values, [if leads.get() { 8 } else { 7 }; 3]);
        });
    });
}

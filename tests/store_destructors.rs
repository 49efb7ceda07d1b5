//! Stores in the destructors of thread-locals, nested in one another. A binary of its own: a panic there aborts the
//! process.
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | thread_local-rs#74, env_logger#145 | two structures nested in a thread-local's destructor abort | `different_stores_nest_in_the_destructors_of_thread_locals` |

mod common;

use common::{ignore, watchdog};
use phalanx::store::Busy;
use phalanx::{SafeCounter, Store, WorkerPool};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

const RULE: &str = "Store: called from inside the same store";

/// The record of nested calls works until the last destructor of a thread-local has run, whether that thread-local is
/// older than the record or not.
#[test]
fn different_stores_nest_in_the_destructors_of_thread_locals() {
    struct AtTheEnd(fn());
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0();
            ENDED.fetch_add(1, SeqCst);
        }
    }
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static FIRST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    fn nests() {
        let stores: Vec<Store<u32, u32>> = (0..9).map(|n| Store::from([(1, n)])).collect();
        assert_eq!(deepest(&stores, &stores), (0..9).sum());
        // Together with a counter, the tasks of a pool, and a value that is computed.
        let [outer, inner]: [Store<u32, SafeCounter>; 2] = Default::default();
        let count = |n: u32| {
            outer.entry(n % 2, |entry| {
                entry.or_default().increment();
                inner.entry(n % 2, |entry| entry.or_default().increment());
                stores[0].get_or_compute(10 + n % 2, |n| stores[1].get(&1).unwrap() + n)
            })
        };
        let pool = WorkerPool::new(2);
        assert!(pool.map(0..100, count).into_iter().eq((0..100).map(|n| 11 + n % 2)));
        let both = outer.with(&0, |it| inner.with(&1, |other| it.get() + other.get()));
        assert_eq!(both, Some(Some(100)));
    }
    /// Enters one store inside another; in the innermost, calls on each of them are refused.
    fn deepest(left: &[Store<u32, u32>], all: &[Store<u32, u32>]) -> u32 {
        let Some((store, left)) = left.split_first() else {
            for store in all {
                let again = || ignore(store.update(&1, |_| ()));
                let payload = catch_unwind(AssertUnwindSafe(again)).unwrap_err();
                assert!(payload.downcast_ref::<&str>().is_some_and(|it| it.starts_with(RULE)));
                assert_eq!(store.try_get(&1), Err(Busy));
            }
            return 0;
        };
        store.update(&1, |own| *own + deepest(left, all)).unwrap()
    }
    watchdog(|| {
        thread::spawn(|| {
            FIRST.set(Some(AtTheEnd(nests)));
            nests();
            LAST.set(Some(AtTheEnd(nests)));
        })
        .join()
        .unwrap();
        assert_eq!(ENDED.load(SeqCst), 2);
    });
}

/// Counts its drops, and panics in some of them.
struct Fussy<'a>(u32, &'a AtomicUsize, fn(u32) -> bool);
impl Drop for Fussy<'_> {
    fn drop(&mut self) {
        self.1.fetch_add(1, SeqCst);
        if self.2(self.0) {
            std::panic::resume_unwind(Box::new("fussy"));
        }
    }
}

/// hashbrown's own tables leak all entries after a `Drop` that panics.
#[test]
fn each_entry_is_dropped_once_where_a_drop_panics() {
    type Fussies<'a> = Store<u32, Fussy<'a>>;
    type Way = (&'static str, fn(Fussies<'_>));
    let ways: [Way; 6] = [
        ("clear", |store| store.clear()),
        ("drop", |store| drop(store)),
        ("into_iter", |store| drop(store.into_iter())),
        ("into_iter, half way", |store| {
            let mut entries = store.into_iter();
            entries.by_ref().take(100).for_each(std::mem::forget);
            drop(entries);
        }),
        ("drain", |store| drop(store.drain())),
        ("retain", |store| store.retain(|_, _| false)),
    ];
    let turns: [fn(u32) -> bool; 3] = [|_| false, |n| n == 37, |n| n % 10 == 7];
    for (way, call) in ways {
        for (turn, panics) in turns.into_iter().enumerate() {
            // More than one panic aborts the process in these, as in a `Vec`.
            if turn == 2 && ["drain", "retain"].contains(&way) {
                continue;
            }
            for shards in [1, 8] {
                // After a panic, `clear` leaves the remaining shards to the drop of the store during the unwinding.
                if (way, turn) == ("clear", 2) && shards > 1 {
                    continue;
                }
                let drops = AtomicUsize::new(0);
                let store = Store::with_shards(shards);
                (0..200).for_each(|n| drop(store.insert(n, Fussy(n, &drops, panics))));
                let outcome = catch_unwind(AssertUnwindSafe(|| call(store)));
                let here = format!("{way}, {turn}, {shards} shards");
                // Of the half that was forgotten it may have been the turn.
                if way != "into_iter, half way" || turn != 1 {
                    assert_eq!(outcome.is_err(), turn > 0, "{here}");
                }
                let forgotten = if way == "into_iter, half way" { 100 } else { 0 };
                assert_eq!(drops.load(SeqCst), 200 - forgotten, "{here}");
            }
        }
    }
}

/// The entries of the remaining shards are still in the store.
#[test]
fn a_clear_whose_drop_panics_loses_nothing() {
    let drops = AtomicUsize::new(0);
    let store = Store::with_shards(8);
    (0..200).for_each(|n| drop(store.insert(n, Fussy(n, &drops, |n| n % 50 == 7))));
    let mut panics = 0;
    while !store.is_empty() {
        let before = store.len() + drops.load(SeqCst);
        panics += usize::from(catch_unwind(AssertUnwindSafe(|| store.clear())).is_err());
        assert_eq!((before, store.len() + drops.load(SeqCst)), (200, 200));
    }
    assert!((1..=4).contains(&panics), "{panics}");
}

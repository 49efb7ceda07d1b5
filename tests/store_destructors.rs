//! Stores in the destructors of thread-locals, nested in one another. A binary of its own: a panic there ends the
//! process.
//!
//! | told in | the bug | test |
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

/// What a store records of nested calls is there until the last destructor of a thread-local has run, whether that
/// thread-local is older than the record or not.
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
        // Others' marks and counters, tasks of a pool, and a value that is computed.
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
    /// Goes into one store after the other, around all those before; in the innermost, each is refused.
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

//! The counter, through its public face.

mod common;

use common::watchdog;
use phalanx::{SafeCounter, WaitGroup};
use std::cell::RefCell;
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
fn a_counter_counts() {
    let count = SafeCounter::new();
    assert_eq!(count.get(), 0);
    count.increment();
    count.add(41);
    count.decrement();
    count.add(-1);
    assert_eq!(count.get(), 40);
    assert_eq!((count.take(), count.get(), count.take()), (40, 0, 0));
    count.decrement();
    assert_eq!((count.get(), count.take(), count.take()), (-1, -1, 0));
}

#[test]
fn a_counter_is_made_from_and_shown_as_a_number() {
    // A counter of the model can't be made before the model runs.
    #[cfg(not(phalanx_loom))]
    {
        static AT_ZERO: SafeCounter = SafeCounter::new();
        AT_ZERO.increment();
        assert_eq!(AT_ZERO.get(), 1);
    }
    assert_eq!(SafeCounter::default().get(), 0);
    assert_eq!(SafeCounter::from(-7).get(), -7);
    let mut count: SafeCounter = [1, 2, 3].into_iter().collect();
    count.extend([10, 20]);
    (&mut &count).extend([100]);
    assert_eq!(format!("{count} {count:?} {count:>5}"), "136 SafeCounter(136)   136");
}

#[test]
fn a_clone_starts_at_the_count_and_counts_for_itself() {
    let count = SafeCounter::from(3);
    // With cells, after takes, of several threads.
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..1000).for_each(|_| count.increment()));
        }
    });
    let copy = count.clone();
    assert_eq!((count.take(), copy.get()), (4003, 4003));
    count.add(5);
    copy.add(-3);
    assert_eq!((count.get(), copy.get(), count.clone().get()), (5, 4000, 5));
}

/// Copied beside threads that add: what a `get` may return.
#[test]
fn clones_beside_additions_never_go_back() {
    watchdog(|| {
        let count = SafeCounter::new();
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| (0..50_000).for_each(|_| count.increment()));
            }
            let mut before = 0;
            while before < 100_000 {
                let now = count.clone().take();
                assert!((before..=100_000).contains(&now), "{now} after {before}");
                before = now;
                thread::yield_now();
            }
        });
    });
}

#[test]
fn a_total_is_modulo_2_to_the_64() {
    let count = SafeCounter::from(i64::MAX);
    count.increment();
    assert_eq!(count.get(), i64::MIN);
    assert_eq!(count.take(), i64::MIN);
    count.add(i64::MIN);
    count.add(i64::MIN);
    assert_eq!(count.get(), 0);
    let beyond: SafeCounter = [i64::MAX, i64::MAX, 2].into_iter().collect();
    assert_eq!(beyond.get(), 0);
}

/// The seed's: two goroutines of a thousand increments each.
#[test]
fn threads_that_count_together_lose_nothing() {
    watchdog(|| {
        for threads in [2, 4, 30] {
            let (count, group) = (Arc::new(SafeCounter::new()), WaitGroup::new());
            let start = Arc::new(Barrier::new(threads));
            for thread in 0..threads {
                let (count, start) = (count.clone(), start.clone());
                group.go(move || {
                    start.wait();
                    for _ in 0..1000 {
                        count.increment();
                        count.add(thread as i64);
                        count.add(-(thread as i64));
                    }
                });
            }
            group.wait();
            assert_eq!(count.get(), 1000 * threads as i64);
        }
    });
}

/// Each thread's number, and with it its cell, goes to the next: ten thousand threads use as few cells as
/// are there at once.
#[test]
fn threads_that_come_and_go_leave_their_counts() {
    watchdog(|| {
        let count = SafeCounter::new();
        for _ in 0..2500 {
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| (0..20).for_each(|_| count.increment()));
                }
            });
        }
        assert_eq!(count.take(), 200_000);
        assert_eq!(count.get(), 0);
    });
}

/// More threads at once than there are numbers for: the last ones share a cell.
#[test]
fn more_threads_than_cells_count_too() {
    const THREADS: usize = 1100;
    watchdog(|| {
        let (count, all_here) = (SafeCounter::new(), Barrier::new(THREADS));
        thread::scope(|s| {
            for _ in 0..THREADS {
                let body = || {
                    count.increment();
                    all_here.wait();
                    (0..100).for_each(|_| count.increment());
                    all_here.wait();
                };
                thread::Builder::new().stack_size(64 << 10).spawn_scoped(s, body).unwrap();
            }
        });
        assert_eq!(count.get(), 101 * THREADS as i64);
        // And those that come afterwards.
        thread::scope(|s| s.spawn(|| count.add(9)).join().unwrap());
        assert_eq!(count.get(), 101 * THREADS as i64 + 9);
    });
}

/// Counting goes on while a thread ends, before and after its number is gone.
#[test]
fn the_destructors_of_thread_locals_may_count() {
    struct AtTheEnd(Arc<SafeCounter>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.increment();
        }
    }
    thread_local! {
        static FIRST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    watchdog(|| {
        let (count, group) = (Arc::new(SafeCounter::new()), WaitGroup::new());
        for _ in 0..100 {
            let count = count.clone();
            // Guards in the thread's locals: the group waits for their end.
            let guard = group.guard();
            thread::spawn(move || {
                FIRST.set(Some(AtTheEnd(count.clone())));
                (0..10).for_each(|_| count.increment());
                LAST.set(Some(AtTheEnd(count)));
                drop(guard);
            })
            .join()
            .unwrap();
        }
        group.wait();
        assert_eq!(count.get(), 1200);
    });
}

/// A thread's destructors go on counting when its number is somebody else's already.
#[test]
fn a_thread_that_has_given_its_number_back_leaves_the_cell_alone() {
    const TIMES: usize = if cfg!(debug_assertions) { 300_000 } else { 3_000_000 };
    struct AtTheEnd(Arc<(SafeCounter, Barrier)>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let (count, both) = &*self.0;
            both.wait();
            // The other one has its number now.
            both.wait();
            (0..TIMES).for_each(|_| count.increment());
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    watchdog(|| {
        // Destructors run in some order: before the number is given back, or after.
        for kept_first in [true, false] {
            let it = Arc::new((SafeCounter::new(), Barrier::new(2)));
            // So that the first word is not the ending thread's.
            thread::scope(|s| s.spawn(|| it.0.increment()).join().unwrap());
            let theirs = it.clone();
            let ending = thread::spawn(move || {
                let keep = AtTheEnd(theirs.clone());
                if kept_first {
                    KEPT.set(Some(keep));
                    theirs.0.increment();
                } else {
                    theirs.0.increment();
                    KEPT.set(Some(keep));
                }
            });
            it.1.wait();
            let next = it.clone();
            let next = thread::spawn(move || {
                next.0.increment();
                next.1.wait();
                (0..TIMES).for_each(|_| next.0.increment());
            });
            next.join().unwrap();
            ending.join().unwrap();
            assert_eq!(it.0.get(), 2 * TIMES as i64 + 3);
        }
    });
}

/// Adders, takers and readers at once: what was taken and what is left is what was added.
#[test]
fn what_takers_get_and_what_is_left_is_the_sum() {
    watchdog(|| {
        let (count, start) = (SafeCounter::new(), Barrier::new(6));
        let taken = thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    start.wait();
                    (0..100_000).for_each(|_| count.increment());
                });
            }
            s.spawn(|| {
                start.wait();
                (0..20_000).for_each(|_| assert!((0..=300_000).contains(&count.get())));
            });
            let takers = [(); 2].map(|()| {
                s.spawn(|| {
                    start.wait();
                    (0..10_000).map(|_| count.take()).inspect(|&n| assert!(n >= 0)).sum::<i64>()
                })
            });
            takers.map(|taker| taker.join().unwrap()).iter().sum::<i64>()
        });
        assert_eq!(taken + count.get(), 300_000);
    });
}

#[test]
fn a_reader_of_additions_never_sees_the_count_go_back() {
    watchdog(|| {
        let (count, start) = (SafeCounter::new(), Barrier::new(4));
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    start.wait();
                    (0..50_000).for_each(|_| count.increment());
                });
            }
            start.wait();
            let mut last = 0;
            while last < 150_000 {
                let now = count.get();
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
    });
}

#[test]
fn a_counter_is_small_until_threads_work_at_it() {
    assert!(size_of::<SafeCounter>() <= 64);
}

#[test]
fn a_panic_may_be_caught_around_a_counter() {
    let count = SafeCounter::new();
    assert!(std::panic::catch_unwind(|| count.increment()).is_ok());
    assert_eq!(count.get(), 1);
}

//! The counter, through its public face.

mod common;

use common::stress::{for_about, for_about_a_second};
use common::watchdog;
use phalanx::{SafeCounter, WaitGroup};
use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

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

/// Calls `read` beside threads that add: no result is below the one before, nor above the count in the end.
fn never_goes_back<const ADDERS: usize>(read: fn(&SafeCounter) -> i64) {
    watchdog(move || {
        let (count, start) = (SafeCounter::new(), Barrier::new(ADDERS + 1));
        thread::scope(|s| {
            let adders = [(); ADDERS].map(|()| {
                s.spawn(|| {
                    start.wait();
                    for_about_a_second(|_| count.increment())
                })
            });
            start.wait();
            let mut last = 0;
            for_about_a_second(|_| {
                let now = read(&count);
                assert!(now >= last, "{now} after {last}");
                last = now;
            });
            let added = adders.map(|it| it.join().unwrap()).iter().sum::<u64>() as i64;
            assert!(last <= added, "{last} of {added}");
            assert_eq!(count.get(), added);
        });
    });
}

/// A clone has what a `get` may return.
#[test]
fn clones_beside_additions_never_go_back() {
    never_goes_back::<2>(|count| count.clone().take());
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

#[test]
fn threads_that_count_together_lose_nothing() {
    watchdog(|| {
        for threads in [2, 4, 30] {
            let (count, group) = (Arc::new(SafeCounter::new()), WaitGroup::new());
            let (start, total) = (Arc::new(Barrier::new(threads)), Arc::new(AtomicI64::new(0)));
            for thread in 0..threads {
                let (count, start, total) = (count.clone(), start.clone(), total.clone());
                group.go(move || {
                    start.wait();
                    let rounds = for_about(Duration::from_millis(400), |_| {
                        count.increment();
                        count.add(thread as i64);
                        count.add(-(thread as i64));
                    });
                    total.fetch_add(rounds as i64, SeqCst);
                });
            }
            group.wait();
            assert_eq!(count.get(), total.load(SeqCst));
        }
    });
}

/// Each thread's index, and with it its cell, goes to a later thread.
#[test]
fn threads_that_come_and_go_leave_their_counts() {
    watchdog(|| {
        let count = SafeCounter::new();
        let rounds = for_about_a_second(|_| {
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| (0..20).for_each(|_| count.increment()));
                }
            });
        });
        assert_eq!(count.take(), 80 * rounds as i64);
        assert_eq!(count.get(), 0);
    });
}

/// There are more threads at once than indices: the last ones share a cell.
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
        // A later thread gets an index again.
        thread::scope(|s| s.spawn(|| count.add(9)).join().unwrap());
        assert_eq!(count.get(), 101 * THREADS as i64 + 9);
    });
}

/// Additions count while a thread ends, before and after it has released its index.
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

/// Its destructors go on counting while another thread has its index, and with it its cell.
#[test]
fn a_thread_that_has_released_its_index_leaves_the_cell_alone() {
    const HALF: Duration = Duration::from_millis(500);
    struct Shared {
        count: SafeCounter,
        both: Barrier,
        added: AtomicI64,
    }
    impl Shared {
        fn add_for_half_a_second(&self) {
            let rounds = for_about(HALF, |_| (0..100).for_each(|_| self.count.increment()));
            self.added.fetch_add(100 * rounds as i64, SeqCst);
        }
    }
    struct AtTheEnd(Arc<Shared>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.both.wait();
            // The other thread has the index now.
            self.0.both.wait();
            self.0.add_for_half_a_second();
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    watchdog(|| {
        // Destructors run in some order: one of the two runs after the index is released.
        for kept_first in [true, false] {
            let shared = Arc::new(Shared {
                count: SafeCounter::new(),
                both: Barrier::new(2),
                added: AtomicI64::new(0),
            });
            // So that the first word is not the ending thread's.
            thread::scope(|s| s.spawn(|| shared.count.increment()).join().unwrap());
            let theirs = shared.clone();
            let ending = thread::spawn(move || {
                let keep = AtTheEnd(theirs.clone());
                if kept_first {
                    KEPT.set(Some(keep));
                    theirs.count.increment();
                } else {
                    theirs.count.increment();
                    KEPT.set(Some(keep));
                }
            });
            shared.both.wait();
            let next = shared.clone();
            let next = thread::spawn(move || {
                next.count.increment();
                next.both.wait();
                next.add_for_half_a_second();
            });
            next.join().unwrap();
            ending.join().unwrap();
            assert_eq!(shared.count.get(), shared.added.load(SeqCst) + 3);
        }
    });
}

/// Adders, takers and readers at once: what was taken and what is left is what was added.
#[test]
fn what_takers_return_and_what_is_left_is_the_sum() {
    watchdog(|| {
        let (count, start) = (SafeCounter::new(), Barrier::new(6));
        let (added, taken) = thread::scope(|s| {
            let adders = [(); 3].map(|()| {
                s.spawn(|| {
                    start.wait();
                    for_about_a_second(|_| count.increment())
                })
            });
            s.spawn(|| {
                start.wait();
                for_about_a_second(|_| assert!(count.get() >= 0));
            });
            let takers = [(); 2].map(|()| {
                s.spawn(|| {
                    start.wait();
                    let mut taken = 0;
                    for_about_a_second(|_| {
                        let n = count.take();
                        assert!(n >= 0, "{n}");
                        taken += n;
                    });
                    taken
                })
            });
            let added = adders.map(|it| it.join().unwrap()).iter().sum::<u64>();
            (added as i64, takers.map(|it| it.join().unwrap()).iter().sum::<i64>())
        });
        assert_eq!(taken + count.get(), added);
    });
}

#[test]
fn a_reader_of_additions_never_sees_the_count_go_back() {
    never_goes_back::<3>(SafeCounter::get);
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

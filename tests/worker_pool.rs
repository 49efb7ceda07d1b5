//! What the worker pool promises, on real threads. Its interleavings are in
//! `models_worker_pool.rs`.

mod common;

use common::stress::for_about_a_second;
use common::{Counted, watchdog};
use phalanx::{WorkerPool, WorkerPoolBuilder};
use std::collections::HashSet;
use std::iter;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

#[test]
fn run_returns_results_in_the_tasks_order() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let expected: Vec<usize> = (0..10_000).map(|n| n * 2).collect();
        for _ in 0..5 {
            assert_eq!(pool.run((0..10_000).map(|n| move || n * 2)), expected);
            assert_eq!(pool.map(0..10_000, |n| n * 2), expected);
        }
    });
}

#[test]
fn thousands_of_tasks_run_on_one_worker() {
    watchdog(|| {
        let pool = WorkerPool::new(1);
        let here = thread::current().id();
        let ran = pool.run((0..5_000).map(|n| move || (n, thread::current().id())));
        assert!(ran.iter().enumerate().all(|(i, &(n, id))| n == i && id == here));
    });
}

#[test]
fn an_empty_batch_returns_nothing() {
    let pool = WorkerPool::new(3);
    assert!(pool.run(iter::empty::<fn()>()).is_empty());
    assert!(pool.map(Vec::<u8>::new(), |n| n).is_empty());
}

#[test]
fn tasks_may_borrow_and_results_of_any_layout_come_back() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let words: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let lengths = pool.map(&words, |word| word.len());
        assert!(words.iter().zip(&lengths).all(|(word, &length)| word.len() == length));
        // Larger, smaller, equal, nothing at all.
        assert_eq!(pool.map(0..100_u8, |n| [u64::from(n); 5])[99], [99; 5]);
        assert_eq!(pool.map((0..100).map(|n| [n; 5]), |n| n[0] as u8)[99], 99);
        assert_eq!(pool.map(words, |word| word + "!")[999], "999!");
        assert_eq!(pool.map(iter::repeat_n((), 100), |()| ()).len(), 100);
        assert_eq!(pool.run([|| (); 100]).len(), 100);
    });
}

#[test]
fn map_slice_returns_what_map_does() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let words: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
        assert_eq!(pool.map_slice(&words, String::len), pool.map(&words, String::len));
        assert!(pool.map_slice(&[] as &[String], String::len).is_empty());
        assert_eq!(pool.map_slice(&[(); 3], |()| ()).len(), 3);
        // A panic drops the results that were there, once each.
        let (counted, drops) = Counted::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.map_slice(&words, |word| {
                if word == "4000" {
                    resume_unwind(Box::new(4_000));
                }
                counted.clone()
            })
        }));
        assert_eq!(*result.unwrap_err().downcast::<i32>().unwrap(), 4_000);
        assert_eq!(Arc::strong_count(&drops), 2);
        assert!(drops.load(SeqCst) >= 1);
    });
}

#[test]
fn never_more_tasks_run_than_the_pool_has_workers() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let task = || {
            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
            thread::yield_now();
            inside.fetch_sub(1, SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for_about_a_second(|_| {
                        pool.run([task; 20]);
                        pool.map(0..200, |_| task());
                    });
                });
            }
        });
        let most = most.load(SeqCst);
        assert!((1..=3).contains(&most), "{most} at once");
    });
}

#[test]
fn nested_calls_make_progress_on_any_pool() {
    watchdog(|| {
        for workers in 1..=3 {
            let pool = WorkerPool::new(workers);
            let sums = pool.map(0..6_u64, |a| {
                let inner = pool.run((0..4).map(|b| {
                    let pool = &pool;
                    move || pool.map(0..3, |c| a * 100 + b * 10 + c).iter().sum::<u64>()
                }));
                inner.iter().sum::<u64>()
            });
            let expected =
                |a: u64| (0..4).flat_map(move |b| (0..3).map(move |c| a * 100 + b * 10 + c));
            assert!(sums.iter().zip(0..).all(|(&sum, a)| sum == expected(a).sum::<u64>()));
        }
    });
}

#[test]
fn pools_nest_in_one_another() {
    watchdog(|| {
        let (outer, inner) = (WorkerPool::new(2), WorkerPool::new(2));
        let sums = outer.map(0..20_u64, |a| inner.map(0..20, |b| a * b).iter().sum::<u64>());
        assert_eq!(sums[2], 380);
    });
}

#[test]
fn callers_wait_for_a_seat_in_turn() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        thread::scope(|scope| {
            for caller in 0..8 {
                let pool = &pool;
                scope.spawn(move || {
                    for_about_a_second(|n| {
                        assert_eq!(pool.run([caller, n].map(|v| move || v)), [caller, n]);
                    });
                });
            }
        });
    });
}

#[test]
fn an_iterator_may_use_the_pool_itself() {
    watchdog(|| {
        let pool = WorkerPool::new(1);
        let results = pool.run((0..3).map(|n| {
            let base = pool.run([|| n * 10])[0];
            move || base + 1
        }));
        assert_eq!(results, [1, 11, 21]);
    });
}

#[test]
fn an_iterator_that_lies_about_its_length_is_taken_as_it_comes() {
    struct Liar(std::ops::Range<usize>);
    impl Iterator for Liar {
        type Item = usize;
        fn next(&mut self) -> Option<usize> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (1, Some(2))
        }
    }
    watchdog(|| assert_eq!(WorkerPool::new(2).map(Liar(0..100), |n| n).len(), 100));
}

#[test]
fn a_pool_whose_owner_drops_it_during_a_batch_ends_after_it() {
    watchdog(|| {
        let pool = Arc::new(WorkerPool::new(3));
        let (started, has_started) = channel();
        let (release, held) = channel::<()>();
        let theirs = pool.clone();
        let caller = thread::spawn(move || {
            let held = Mutex::new(held);
            theirs.run((0..3).map(|n| {
                let (started, held) = (started.clone(), &held);
                move || {
                    started.send(()).unwrap();
                    let _ = held.lock().unwrap().recv();
                    n
                }
            }))
        });
        has_started.recv().unwrap();
        drop(pool);
        drop(release);
        assert_eq!(caller.join().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn pools_come_and_go_in_every_state() {
    watchdog(|| {
        for_about_a_second(|n| {
            let pool = WorkerPool::new(1 + n as usize % 4);
            if n % 3 > 0 {
                pool.run((0..n % 5).map(|_| || ()));
            }
        });
    });
}

#[test]
fn a_built_pool_has_its_threads_named_and_waiting() {
    watchdog(|| {
        let pool = WorkerPool::builder().workers(3).name("resize").build().unwrap();
        let all = Barrier::new(3);
        let names: HashSet<_> = pool
            .run((0..3).map(|_| {
                || {
                    all.wait();
                    thread::current().name().map(str::to_owned)
                }
            }))
            .into_iter()
            .collect();
        assert!(names.contains(&Some("resize".to_owned())));
    });
}

#[test]
fn threads_of_a_pool_without_a_name_are_numbered() {
    watchdog(|| {
        for pool in [WorkerPool::new(3), WorkerPool::builder().workers(3).build().unwrap()] {
            let (all, caller) = (Barrier::new(3), thread::current().id());
            let name = || {
                all.wait();
                let me = thread::current();
                (me.id() != caller).then(|| me.name().unwrap().to_owned())
            };
            let mut names: Vec<_> = pool.run([name; 3]).into_iter().flatten().collect();
            names.sort();
            names.dedup();
            // The caller runs one of the tasks, and any two of the pool's threads the others.
            let all = ["phalanx-pool-1", "phalanx-pool-2", "phalanx-pool-3"];
            assert!(
                names.len() == 2 && names.iter().all(|name| all.contains(&name.as_str())),
                "{names:?}"
            );
        }
    });
}

/// More than any address space has.
fn greedy() -> WorkerPoolBuilder {
    WorkerPool::builder().workers(3).stack_size(1 << 60)
}

#[test]
fn build_reports_that_the_system_gives_no_threads() {
    watchdog(|| {
        let error = greedy().build().unwrap_err();
        assert!(error.to_string().contains("WorkerPool: the system gave 0 of 2 threads"));
        // The caller is a worker: a pool of one needs no thread.
        assert!(greedy().workers(1).build().is_ok());
        assert!(greedy().workers(2).build().is_err());
    });
}

#[test]
fn a_lazy_pool_goes_on_with_the_threads_it_gets() {
    watchdog(|| {
        let pool = greedy().build_lazy();
        for _ in 0..3 {
            assert_eq!(pool.run((0..100).map(|n| move || n)).len(), 100);
        }
    });
}

#[test]
fn a_pool_has_as_many_workers_as_cores_by_default() {
    let pool = WorkerPool::builder().build_lazy();
    assert_eq!(pool.workers(), thread::available_parallelism().map_or(1, usize::from));
    assert!(format!("{pool:?}").starts_with("WorkerPool { workers: "));
}

#[test]
fn a_pool_is_send_sync_and_unwind_safe() {
    fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    check::<WorkerPool>();
}

#[test]
fn map_calls_help_for_long_items() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        // Each item is long enough that the first one proves the batch worth helping.
        let busy = || {
            let start = std::time::Instant::now();
            while start.elapsed().as_micros() < 300 {
                std::hint::spin_loop();
            }
            thread::current().id()
        };
        let mut seen = HashSet::new();
        // The system's scheduler decides which thread claims what: one batch with a helper is enough.
        while seen.len() < 2 {
            seen.extend(pool.map(0..12, |_| busy()));
        }
    });
}

#[test]
fn a_nested_call_goes_on_in_a_helpers_seat() {
    watchdog(|| {
        let (pool, both) = (WorkerPool::new(2), Barrier::new(2));
        pool.run((0..2).map(|_| {
            || {
                both.wait();
                pool.run([|| ()]);
                both.wait();
            }
        }));
    });
}

#[test]
fn a_nested_call_finds_its_pool_behind_a_call_of_another_pool() {
    watchdog(|| {
        let (a, b) = (WorkerPool::new(1), WorkerPool::new(1));
        assert_eq!(a.run([|| b.run([|| a.run([|| 5])[0]])[0]]), [5]);
        let (outer, meet) = (WorkerPool::new(3), Barrier::new(3));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for_about_a_second(|_| {
            outer.run((0..3).map(|_| {
                || {
                    meet.wait();
                    a.run([|| {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        (0..20).for_each(|_| thread::yield_now());
                        inside.fetch_sub(1, SeqCst);
                    }]);
                }
            }));
        });
        assert_eq!(most.into_inner(), 1);
    });
}

#[test]
fn results_of_the_items_layout_reuse_their_buffer_with_its_capacity() {
    let pool = WorkerPool::new(1);
    let mut items = Vec::with_capacity(1_000);
    items.extend([[1_u8; 8]; 10]);
    let address = items.as_ptr().cast::<u8>();
    let same = pool.map(items, |item| item);
    assert_eq!((same.as_ptr().cast::<u8>(), same.capacity()), (address, 1_000));
    // The same size, but another alignment.
    let aligned = pool.map(same, u64::from_ne_bytes);
    assert!(aligned.capacity() < 1_000);
}

#[test]
fn the_threads_of_a_dropped_pool_have_ended() {
    struct Late;
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    impl Drop for Late {
        fn drop(&mut self) {
            (0..1_000).for_each(|_| thread::yield_now());
            ENDED.fetch_add(1, SeqCst);
        }
    }
    thread_local!(static LATE: Late = const { Late });
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let (all, here) = (Barrier::new(3), thread::current().id());
        pool.run((0..3).map(|_| {
            || {
                if thread::current().id() != here {
                    LATE.with(|_| ());
                }
                all.wait();
            }
        }));
        drop(pool);
        assert_eq!(ENDED.load(SeqCst), 2);
    });
}

#[test]
fn any_number_of_tasks_can_wait_for_earlier_ones() {
    watchdog(|| {
        for workers in [1, 2, 3] {
            let (pool, over) = (WorkerPool::new(workers), AtomicUsize::new(0));
            thread::scope(|scope| {
                // Callers that compete for the seats.
                for _ in 0..2 {
                    scope.spawn(|| {
                        while over.load(SeqCst) == 0 {
                            pool.run([|| thread::yield_now()]);
                        }
                    });
                }
                let reached = AtomicUsize::new(0);
                pool.run((0..2_000).map(|n| {
                    let reached = &reached;
                    move || {
                        while reached.load(SeqCst) < n {
                            thread::yield_now();
                        }
                        reached.store(n + 1, SeqCst);
                    }
                }));
                assert_eq!(reached.into_inner(), 2_000);
                over.store(1, SeqCst);
            });
        }
    });
}

/// The iterator says that it has far more items than it has, and than there can be.
#[test]
fn a_size_hint_that_lies_is_not_believed() {
    struct Liar(u32, usize);
    impl Iterator for Liar {
        type Item = u32;
        fn next(&mut self) -> Option<u32> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.1, None)
        }
    }
    let pool = WorkerPool::new(1);
    for said in [usize::MAX, isize::MAX as usize / 4, 1 << 50] {
        assert_eq!(pool.map(Liar(5, said), |n| n + 1), [5, 4, 3, 2, 1]);
        assert_eq!(pool.run(Liar(3, said).map(|n| move || n)), [2, 1, 0]);
    }
}

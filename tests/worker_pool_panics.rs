//! What a worker pool does when a task, a value's drop or an iterator panics, and how it refuses misuse.

mod common;

use common::stress::for_about_a_second;
use common::{Bomb, Counted, panic_of, watchdog};
use phalanx::WorkerPool;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

#[test]
#[should_panic = "WorkerPool: a pool needs at least 1 worker"]
fn a_builder_of_no_workers_panics() {
    let _ = WorkerPool::builder().workers(0);
}

#[test]
fn a_pool_of_no_workers_panics_at_the_callers_line() {
    let line = line!() + 1;
    let seen = panic_of(|| WorkerPool::new(0));
    assert_eq!(seen.message, "WorkerPool: a pool needs at least 1 worker");
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
}

#[test]
fn a_panic_is_resumed_when_the_others_are_out_of_the_borrowed_data() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for_about_a_second(|_| {
            let finished = AtomicUsize::new(0);
            let all = Barrier::new(3);
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run((0..3).map(|n| {
                    let (all, finished) = (&all, &finished);
                    move || {
                        all.wait();
                        if n == 0 {
                            resume_unwind(Box::new(n));
                        }
                        thread::yield_now();
                        finished.fetch_add(1, SeqCst);
                    }
                }))
            }));
            assert_eq!(*result.unwrap_err().downcast::<i32>().unwrap(), 0);
            assert_eq!(finished.load(SeqCst), 2);
        });
        assert_eq!(pool.run([|| 1, || 2]), [1, 2]);
    });
}

#[test]
fn a_panic_skips_what_has_not_started_and_drops_every_value_once() {
    watchdog(|| {
        for workers in [1, 3] {
            let pool = WorkerPool::new(workers);
            for panics_at in [0, 1, 57, 99] {
                let (counted, drops) = Counted::new();
                let items: Vec<_> = (0..100).map(|n| (n, counted.clone())).collect();
                let result = catch_unwind(AssertUnwindSafe(|| {
                    pool.map(items, |(n, counted)| {
                        if n == panics_at {
                            resume_unwind(Box::new(n));
                        }
                        (counted.clone(), n)
                    })
                }));
                assert_eq!(*result.unwrap_err().downcast::<usize>().unwrap(), panics_at);
                // Every item, and every clone that was a result, is dropped: only `counted` is left.
                let alive = Arc::strong_count(&drops) - 1;
                assert_eq!(alive, 1, "a value was leaked");
                drop(counted);
            }
        }
    });
}

#[test]
fn run_drops_tasks_and_results_once_after_a_panic() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let (counted, drops) = Counted::new();
        let started = AtomicUsize::new(0);
        let tasks: Vec<Box<dyn FnOnce() -> Counted + Send>> = (0..500)
            .map(|n| {
                let (counted, started) = (counted.clone(), &started);
                Box::new(move || {
                    started.fetch_add(1, SeqCst);
                    if n % 100 == 50 {
                        resume_unwind(Box::new(n));
                    }
                    counted
                }) as Box<dyn FnOnce() -> Counted + Send>
            })
            .collect();
        assert!(catch_unwind(AssertUnwindSafe(|| pool.run(tasks))).is_err());
        assert!(started.load(SeqCst) < 500);
        assert_eq!(drops.load(SeqCst), 500);
    });
}

#[test]
fn payloads_and_values_whose_drop_panics_hang_nothing() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let (counted, drops) = Counted::new();
        // Each task panics with a bomb, and each task not started holds one.
        let tasks = (0..50).map(|_| {
            let bomb = Bomb(counted.clone());
            move || -> Bomb { resume_unwind(Box::new(bomb)) }
        });
        let payload = catch_unwind(AssertUnwindSafe(|| pool.run(tasks))).unwrap_err();
        assert_eq!(drops.load(SeqCst), 49);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
        assert_eq!(drops.load(SeqCst), 50);
        // Results that are bombs, dropped because another task panicked.
        let (counted, drops) = Counted::new();
        let all = Barrier::new(2);
        let tasks = (0..2).map(|n| {
            let (counted, all) = (counted.clone(), &all);
            move || {
                all.wait();
                if n == 1 {
                    resume_unwind(Box::new("task"));
                }
                Bomb(counted)
            }
        });
        assert!(catch_unwind(AssertUnwindSafe(|| pool.run(tasks))).is_err());
        assert_eq!(drops.load(SeqCst), 2);
        assert_eq!(pool.run([|| 3]), [3]);
    });
}

#[test]
fn an_iterator_that_panics_half_way_starts_no_task() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let (counted, drops) = Counted::new();
        let started = AtomicUsize::new(0);
        let tasks = (0..10).map(|n| {
            if n == 5 {
                resume_unwind(Box::new("iterator"));
            }
            let (counted, started) = (counted.clone(), &started);
            move || {
                started.fetch_add(1, SeqCst);
                counted
            }
        });
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(tasks)));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "iterator");
        assert_eq!((started.load(SeqCst), drops.load(SeqCst)), (0, 5));
        assert_eq!(pool.run([|| 1, || 2, || 3]), [1, 2, 3]);
    });
}

#[test]
fn a_name_with_nul_is_refused_at_once() {
    let seen = panic_of(|| WorkerPool::builder().name("a\0b"));
    assert!(seen.message.contains("NUL"), "{}", seen.message);
    assert_eq!(seen.file, file!());
}

#[test]
fn of_two_panics_one_is_resumed_and_the_drop_of_the_other_may_panic() {
    watchdog(|| {
        let (pool, both) = (WorkerPool::new(2), Barrier::new(2));
        let (counted, drops) = Counted::new();
        let tasks = (0..2).map(|_| {
            let (counted, both) = (counted.clone(), &both);
            move || -> () {
                both.wait();
                resume_unwind(Box::new(Bomb(counted)))
            }
        });
        let payload = catch_unwind(AssertUnwindSafe(|| pool.run(tasks))).unwrap_err();
        assert_eq!(drops.load(SeqCst), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
        assert_eq!(drops.load(SeqCst), 2);
        assert_eq!(pool.run([|| 1, || 2]), [1, 2]);
    });
}

#[test]
fn more_tasks_than_a_batch_can_hold_are_refused_before_any_starts() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        let line = line!() + 1;
        let seen = panic_of(|| pool.map(vec![(); usize::MAX], |()| -> () { unreachable!() }));
        assert!(seen.message.contains("WorkerPool: a batch holds at most"), "{}", seen.message);
        assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
    });
}

#[test]
fn a_function_whose_captures_panic_when_dropped_leaks_no_result() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        let ((bomb, bombs), (counted, drops)) = (Counted::new(), Counted::new());
        let bomb = Bomb(bomb);
        let f = move |n: usize| {
            assert_eq!(bombs_kept(&bomb), 1);
            (n, counted.clone())
        };
        assert!(catch_unwind(AssertUnwindSafe(|| pool.map(0..10, f))).is_err());
        // Ten results, and the function's own.
        assert_eq!((bombs.load(SeqCst), drops.load(SeqCst)), (1, 11));
    });
}

fn bombs_kept(_bomb: &Bomb) -> usize {
    1
}

#[test]
fn a_panic_in_a_large_batch_drops_every_value_once() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for panics_at in [0, 70, 500, 999] {
            let ((task, tasks), (result, results)) = (Counted::new(), Counted::new());
            let started = AtomicUsize::new(0);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                pool.run((0..1_000).map(|n| {
                    let (task, result, started) = (task.clone(), &result, &started);
                    move || {
                        let _task = task;
                        started.fetch_add(1, SeqCst);
                        if n == panics_at {
                            resume_unwind(Box::new(n));
                        }
                        result.clone()
                    }
                }))
            }));
            assert_eq!(*outcome.unwrap_err().downcast::<usize>().unwrap(), panics_at);
            assert_eq!(tasks.load(SeqCst), 1_000);
            // Each task that started returned a result, except the one that panicked.
            assert_eq!(results.load(SeqCst), started.load(SeqCst) - 1);
        }
    });
}

#[test]
fn a_second_panic_does_not_move_the_end_of_what_was_started() {
    watchdog(|| {
        let (pool, both) = (WorkerPool::new(2), Barrier::new(2));
        let (counted, drops) = Counted::new();
        // Two tasks are under way when both panic; the others are dropped, once each.
        let tasks = (0..10).map(|_| {
            let (counted, both) = (counted.clone(), &both);
            move || {
                let _counted = counted;
                both.wait();
                resume_unwind(Box::new("panic"));
            }
        });
        assert!(catch_unwind(AssertUnwindSafe(|| pool.run::<_, _, ()>(tasks))).is_err());
        assert_eq!(drops.load(SeqCst), 10);
    });
}

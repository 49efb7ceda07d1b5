//! What the worker pool promises, on real threads. Its interleavings are in
//! `models_worker_pool.rs`.

mod common;

use common::{Bomb, Counted, panic_of, watchdog};
use phalanx::{WorkerPool, WorkerPoolBuilder};
use std::collections::HashSet;
use std::iter;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

#[test]
fn run_gives_results_in_the_tasks_order() {
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
fn nothing_to_do_is_nothing_done() {
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
fn map_slice_is_map_without_a_list() {
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
                    for _ in 0..50 {
                        pool.run([task; 20]);
                        pool.map(0..200, |_| task());
                    }
                });
            }
        });
        let most = most.load(SeqCst);
        assert!((1..=3).contains(&most), "{most} at once");
    });
}

#[test]
fn as_many_tasks_of_a_run_as_there_are_workers_can_meet() {
    watchdog(|| {
        for workers in [2, 3, 5] {
            let pool = WorkerPool::new(workers);
            for _ in 0..200 {
                let all = Barrier::new(workers);
                let leaders = pool.run((0..workers).map(|_| || all.wait().is_leader()));
                assert_eq!(leaders.iter().filter(|&&leads| leads).count(), 1);
            }
        }
    });
}

#[test]
fn tasks_can_meet_again_and_again_in_one_batch() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        let all = Barrier::new(3);
        pool.run((0..300).map(|_| || all.wait()));
    });
}

#[test]
fn tasks_of_one_caller_meet_while_others_use_the_pool() {
    watchdog(|| {
        let pool = WorkerPool::new(4);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    pool.run([|| (), || ()]);
                }
            });
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let both = Barrier::new(2);
                    pool.run((0..2).map(|_| || both.wait()));
                }
            });
        });
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
fn callers_wait_their_turn_for_a_seat() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        thread::scope(|scope| {
            for caller in 0..8 {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..100 {
                        assert_eq!(pool.run([caller, n].map(|v| move || v)), [caller, n]);
                    }
                });
            }
        });
    });
}

#[test]
fn a_panic_is_resumed_when_the_others_are_out_of_the_borrowed_data() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for _ in 0..100 {
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
        }
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
                // Every item, and every clone that was a result, is gone: only ours is left.
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
        for n in 0..300_usize {
            let pool = WorkerPool::new(1 + n % 4);
            if n % 3 > 0 {
                pool.run((0..n % 5).map(|_| || ()));
            }
        }
    });
}

#[test]
fn a_built_pool_has_its_threads_named_and_waiting() {
    watchdog(|| {
        let pool = WorkerPool::builder().workers(3).name("crew").build().unwrap();
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
        assert!(names.contains(&Some("crew".to_owned())));
    });
}

#[test]
fn a_name_with_nul_is_refused_at_once() {
    let seen = panic_of(|| WorkerPool::builder().name("a\0b"));
    assert!(seen.message.contains("NUL"), "{}", seen.message);
    assert_eq!(seen.file, file!());
}

/// More than any address space has.
fn greedy() -> WorkerPoolBuilder {
    WorkerPool::builder().workers(3).stack_size(1 << 60)
}

#[test]
fn build_says_when_the_system_gives_no_threads() {
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
fn a_pool_without_a_number_has_the_machines() {
    let pool = WorkerPool::builder().build_lazy();
    assert_eq!(pool.workers(), thread::available_parallelism().map_or(1, usize::from));
    assert!(format!("{pool:?}").starts_with("WorkerPool { workers: "));
}

#[test]
fn the_pool_crosses_threads_and_unwinding() {
    fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    check::<WorkerPool>();
}

#[test]
fn map_calls_help_for_long_items() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        // Long enough, item by item, that the first one proves the batch worth helping.
        let busy = || {
            let start = std::time::Instant::now();
            while start.elapsed().as_micros() < 300 {
                std::hint::spin_loop();
            }
            thread::current().id()
        };
        let mut seen = HashSet::new();
        // Which thread claims what is the scheduler's: one batch of many with a helper will do.
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
fn a_seat_of_one_pool_is_none_of_another_and_is_found_behind_it() {
    watchdog(|| {
        let (a, b) = (WorkerPool::new(1), WorkerPool::new(1));
        assert_eq!(a.run([|| b.run([|| a.run([|| 5])[0]])[0]]), [5]);
        let (outer, meet) = (WorkerPool::new(3), Barrier::new(3));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for _ in 0..50 {
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
        }
        assert_eq!(most.into_inner(), 1);
    });
}

#[test]
fn of_two_panics_one_arrives_and_the_bomb_of_the_other_is_defused() {
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
fn the_items_buffer_comes_back_for_one_layout_with_its_capacity() {
    let pool = WorkerPool::new(1);
    let mut items = Vec::with_capacity(1_000);
    items.extend([[1_u8; 8]; 10]);
    let place = items.as_ptr().cast::<u8>();
    let same = pool.map(items, |item| item);
    assert_eq!((same.as_ptr().cast::<u8>(), same.capacity()), (place, 1_000));
    // As large, but not aligned as the results are.
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
fn tasks_meet_however_many_other_callers_crowd_the_pool() {
    watchdog(|| {
        let (pool, done) = (WorkerPool::new(2), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while done.load(SeqCst) == 0 {
                        pool.run([|| (0..10).for_each(|_| thread::yield_now())]);
                    }
                });
            }
            for _ in 0..50 {
                let both = Barrier::new(2);
                pool.run((0..2).map(|_| || both.wait()));
            }
            done.store(1, SeqCst);
        });
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
fn a_function_whose_captures_panic_on_drop_leaks_no_result() {
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
fn tasks_that_wait_for_earlier_ones_get_there_however_many() {
    watchdog(|| {
        for workers in [1, 2, 3] {
            let (pool, over) = (WorkerPool::new(workers), AtomicUsize::new(0));
            thread::scope(|scope| {
                // Callers that take helpers out of the middle of their blocks.
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

#[test]
fn a_task_that_waits_for_an_earlier_one_does_not_take_its_seat() {
    watchdog(|| {
        let (pool, both) = (WorkerPool::new(2), Barrier::new(2));
        for _ in 0..20 {
            let met = AtomicUsize::new(0);
            pool.run((0..1_000).map(|n| {
                let (both, met) = (&both, &met);
                move || match n {
                    // The first two have to be under way at once.
                    0 | 1 => {
                        both.wait();
                        met.store(1, SeqCst);
                    }
                    _ => {
                        while met.load(SeqCst) == 0 {
                            thread::yield_now();
                        }
                    }
                }
            }));
        }
    });
}

#[test]
fn tasks_of_a_large_batch_can_meet_wherever_they_stand() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for places in [[0, 1, 2], [0, 500, 999], [997, 998, 999], [60, 61, 400]] {
            let all = Barrier::new(3);
            pool.run((0..1_000).map(|n| {
                let all = &all;
                move || {
                    if places.contains(&n) {
                        all.wait();
                    }
                }
            }));
        }
    });
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
            // Each task that started gave a result, but for the one that panicked.
            assert_eq!(results.load(SeqCst), started.load(SeqCst) - 1);
        }
    });
}

/// An iterator that says it has far more items than it has, and than there can be.
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

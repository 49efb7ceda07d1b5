//! What a worker pool promises when several callers share it and when tasks wait for one another and calls nest. Most
//! tests here hung, or ran on one thread, when a caller's seat and its helpers' were taken one by one.

mod common;

use common::stress::{for_about, for_about_a_second};
use common::watchdog;
use phalanx::WorkerPool;
use std::collections::HashSet;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// For a stress test of two or three parts.
const THIRD: Duration = Duration::from_millis(333);

/// Tasks that end when all of them are under way.
fn meeting(len: usize) -> Vec<impl FnOnce() + Send> {
    let all = Arc::new(Barrier::new(len));
    (0..len)
        .map(|_| {
            let all = all.clone();
            move || {
                all.wait();
            }
        })
        .collect()
}

#[test]
fn callers_whose_tasks_meet_share_a_pool() {
    watchdog(|| {
        for workers in [2, 3, 4] {
            let pool = WorkerPool::new(workers);
            thread::scope(|scope| {
                for caller in 0..3 {
                    let pool = &pool;
                    scope.spawn(move || {
                        for_about(THIRD, |round| {
                            pool.run(meeting(2 + (caller + round as usize) % (workers - 1)));
                        });
                    });
                }
            });
        }
    });
}

#[test]
fn a_helper_nests_a_meeting_after_its_caller_ran_out_of_tasks() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        let (pool, caller) = (&pool, thread::current().id());
        for_about_a_second(|_| {
            let both = Barrier::new(2);
            pool.run((0..2).map(|_| {
                let both = &both;
                move || {
                    both.wait();
                    // The caller's own task ends, and it releases its seat.
                    if thread::current().id() != caller {
                        pool.run(meeting(2));
                    }
                }
            }));
        });
    });
}

#[test]
fn meetings_nest_in_one_another() {
    watchdog(|| {
        for workers in [2, 3] {
            let pool = WorkerPool::new(workers);
            for_about(THIRD, |_| {
                pool.run([|| {
                    pool.run([|| {
                        pool.run(meeting(workers));
                    }]);
                    pool.run(meeting(workers));
                }]);
            });
        }
    });
}

#[test]
fn callers_nest_meetings_as_far_as_the_seats_suffice() {
    watchdog(|| {
        // Two outer tasks hold a seat each; one is left for either's second task.
        let pool = WorkerPool::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| for_about_a_second(|_| drop(pool.run([|| pool.run(meeting(2))]))));
            }
            // A caller that wants every seat is in no other's way.
            scope.spawn(|| for_about_a_second(|_| drop(pool.run(meeting(3)))));
        });
    });
}

#[test]
fn a_caller_and_its_helper_nest_meetings_at_once() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for_about_a_second(|_| {
            let both = Barrier::new(2);
            pool.run((0..2).map(|_| {
                || {
                    both.wait();
                    pool.run(meeting(2));
                }
            }));
        });
    });
}

#[test]
fn a_nested_call_is_helped_in_a_seat_that_its_caller_released() {
    watchdog(|| {
        let pool = WorkerPool::new(2);
        let caller = thread::current().id();
        let both = Barrier::new(2);
        let nested = pool.run((0..2).map(|_| {
            || {
                both.wait();
                let nests = thread::current().id() != caller;
                // Its first task waits until another thread has taken the second.
                nests.then(|| {
                    let (told, tell) = (Barrier::new(2), thread::current().id());
                    let ran = pool.run((0..2).map(|_| {
                        || {
                            told.wait();
                            thread::current().id()
                        }
                    }));
                    ran.contains(&tell) && ran[0] != ran[1]
                })
            }
        }));
        assert_eq!(nested.into_iter().flatten().collect::<Vec<_>>(), [true]);
    });
}

#[test]
fn a_long_map_yields_its_seats_to_a_call_that_waits() {
    watchdog(|| {
        for (workers, tasks) in [(1, 1), (2, 1), (2, 2), (3, 3)] {
            let pool = &WorkerPool::new(workers);
            let (under_way, is_under_way) = channel();
            let (ran, started) = (AtomicUsize::new(0), AtomicUsize::new(0));
            thread::scope(|scope| {
                let (ran, started) = (&ran, &started);
                scope.spawn(move || {
                    pool.map(0..1_000, |n| {
                        started.fetch_add(1, SeqCst);
                        if n == 0 {
                            under_way.send(()).unwrap();
                        }
                        // Takes long, unless the other caller's tasks have run.
                        for _ in 0..250 {
                            if ran.load(SeqCst) == 1 {
                                return;
                            }
                            thread::yield_now();
                        }
                    });
                });
                is_under_way.recv().unwrap();
                pool.run(meeting(tasks));
                let started = started.load(SeqCst);
                ran.store(1, SeqCst);
                assert!(started < 1_000, "{workers} workers: the call waited for the whole map");
            });
        }
    });
}

#[test]
fn a_run_keeps_its_seats_until_its_last_task_has_started() {
    watchdog(|| {
        let pool = &WorkerPool::new(2);
        for_about_a_second(|_| {
            let (under_way, is_under_way) = channel();
            let started = AtomicUsize::new(0);
            thread::scope(|scope| {
                let started = &started;
                scope.spawn(move || {
                    let both = Barrier::new(2);
                    pool.run((0..200).map(|n| {
                        let (both, under_way) = (&both, under_way.clone());
                        move || {
                            started.fetch_add(1, SeqCst);
                            let _ = under_way.send(());
                            thread::yield_now();
                            // The first and the last task meet, so no other call may have either seat.
                            if n == 0 || n == 199 {
                                both.wait();
                            }
                        }
                    }));
                });
                is_under_way.recv().unwrap();
                pool.run([|| assert_eq!(started.load(SeqCst), 200)]);
            });
        });
    });
}

#[test]
fn callers_of_every_kind_and_depth_return() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        thread::scope(|scope| {
            scope.spawn(|| for_about_a_second(|_| drop(pool.run(meeting(3)))));
            scope.spawn(|| for_about_a_second(|n| drop(pool.map(0..n % 200, |n| n * 2))));
            scope.spawn(|| {
                for_about_a_second(|_| {
                    pool.map(0..20, |_| pool.map(0..20, |_| thread::yield_now()));
                });
            });
            scope.spawn(|| {
                for_about_a_second(|_| {
                    pool.run((0..7).map(|_| || pool.run([thread::yield_now; 3])));
                });
            });
        });
    });
}

/// Blocks threads until enough different ones have arrived.
#[derive(Default)]
struct Meeting {
    threads: Mutex<HashSet<ThreadId>>,
    arrived: Condvar,
}

impl Meeting {
    /// Blocks until so many different threads have arrived.
    fn wait_for(&self, count: usize) {
        let mut threads = self.threads.lock().unwrap();
        threads.insert(thread::current().id());
        self.arrived.notify_all();
        drop(self.arrived.wait_while(threads, |threads| threads.len() < count).unwrap());
    }
}

#[test]
fn the_heavy_items_at_the_end_of_a_map_are_shared() {
    watchdog(|| {
        let (pool, all) = (WorkerPool::new(8), Meeting::default());
        pool.map(0..1_000, |n| {
            // The first heavy ones show that help is worth a wake-up. The caller may claim eight of them before it
            // reads the clock; of the others no thread may have all.
            let start = Instant::now();
            while (940..950).contains(&n) && start.elapsed().as_micros() < 500 {
                spin_loop();
            }
            if n >= 950 {
                all.wait_for(3);
            }
        });
    });
}

#[test]
fn as_many_tasks_of_a_run_as_there_are_workers_can_meet() {
    watchdog(|| {
        for workers in [2, 3, 5] {
            let pool = WorkerPool::new(workers);
            for_about(THIRD, |_| {
                let all = Barrier::new(workers);
                let leaders = pool.run((0..workers).map(|_| || all.wait().is_leader()));
                assert_eq!(leaders.iter().filter(|&&leads| leads).count(), 1);
            });
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
            scope.spawn(|| for_about_a_second(|_| drop(pool.run([|| (), || ()]))));
            scope.spawn(|| {
                for_about_a_second(|_| {
                    let both = Barrier::new(2);
                    pool.run((0..2).map(|_| || both.wait()));
                });
            });
        });
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
            for_about_a_second(|_| {
                let both = Barrier::new(2);
                pool.run((0..2).map(|_| || both.wait()));
            });
            done.store(1, SeqCst);
        });
    });
}

#[test]
fn a_task_that_waits_for_an_earlier_one_does_not_take_its_seat() {
    watchdog(|| {
        let (pool, both) = (WorkerPool::new(2), Barrier::new(2));
        for_about_a_second(|_| {
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
        });
    });
}

#[test]
fn tasks_of_a_large_batch_can_meet_at_any_position() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for positions in [[0, 1, 2], [0, 500, 999], [997, 998, 999], [60, 61, 400]] {
            let all = Barrier::new(3);
            pool.run((0..1_000).map(|n| {
                let all = &all;
                move || {
                    if positions.contains(&n) {
                        all.wait();
                    }
                }
            }));
        }
    });
}

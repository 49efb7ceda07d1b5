//! What a worker pool promises when several callers share it and when calls nest: each test here
//! hung, or ran on one thread, while a caller's seat and its helpers' were taken one by one.

mod common;

use common::{Counted, watchdog};
use phalanx::WorkerPool;
use std::collections::HashSet;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Instant;

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
                        for round in 0..300 {
                            pool.run(meeting(2 + (caller + round) % (workers - 1)));
                        }
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
        for _ in 0..300 {
            let both = Barrier::new(2);
            pool.run((0..2).map(|_| {
                let both = &both;
                move || {
                    both.wait();
                    // The caller's own task ends, and it gives its seat back.
                    if thread::current().id() != caller {
                        pool.run(meeting(2));
                    }
                }
            }));
        }
    });
}

#[test]
fn meetings_nest_in_one_another() {
    watchdog(|| {
        for workers in [2, 3] {
            let pool = WorkerPool::new(workers);
            for _ in 0..100 {
                pool.run([|| {
                    pool.run([|| {
                        pool.run(meeting(workers));
                    }]);
                    pool.run(meeting(workers));
                }]);
            }
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
                scope.spawn(|| {
                    for _ in 0..300 {
                        pool.run([|| pool.run(meeting(2))]);
                    }
                });
            }
            // A caller that wants every seat stands in nobody's way.
            scope.spawn(|| {
                for _ in 0..300 {
                    pool.run(meeting(3));
                }
            });
        });
    });
}

#[test]
fn a_leader_and_its_helper_nest_meetings_at_once() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        for _ in 0..300 {
            let both = Barrier::new(2);
            pool.run((0..2).map(|_| {
                || {
                    both.wait();
                    pool.run(meeting(2));
                }
            }));
        }
    });
}

#[test]
fn a_nested_call_is_helped_in_a_seat_that_its_caller_gave_back() {
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
fn a_long_map_makes_room_for_a_call_that_waits() {
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
                        // Long, unless the other caller's tasks have run.
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
        for _ in 0..20 {
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
                            // Those at both ends meet, so nobody else may have either seat.
                            if n == 0 || n == 199 {
                                both.wait();
                            }
                        }
                    }));
                });
                is_under_way.recv().unwrap();
                pool.run([|| assert_eq!(started.load(SeqCst), 200)]);
            });
        }
    });
}

#[test]
fn callers_of_every_kind_and_depth_come_to_an_end() {
    watchdog(|| {
        let pool = WorkerPool::new(3);
        thread::scope(|scope| {
            scope.spawn(|| (0..200).for_each(|_| drop(pool.run(meeting(3)))));
            scope.spawn(|| (0..200).for_each(|n| drop(pool.map(0..n, |n| n * 2))));
            scope.spawn(|| {
                for _ in 0..100 {
                    pool.map(0..20, |_| pool.map(0..20, |_| thread::yield_now()));
                }
            });
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run((0..7).map(|_| || pool.run([thread::yield_now; 3])));
                }
            });
        });
    });
}

/// Counts the threads that are at a place at once, and holds them there until it is opened.
#[derive(Default)]
struct Gate {
    held: Mutex<HashSet<ThreadId>>,
    came: Condvar,
}

impl Gate {
    /// Holds the calling thread until so many are held.
    fn hold(&self, threads: usize) {
        let mut held = self.held.lock().unwrap();
        held.insert(thread::current().id());
        self.came.notify_all();
        drop(self.came.wait_while(held, |held| held.len() < threads).unwrap());
    }
}

#[test]
fn the_heavy_items_at_the_end_of_a_map_are_shared() {
    watchdog(|| {
        let (pool, gate) = (WorkerPool::new(8), Gate::default());
        pool.map(0..1_000, |n| {
            // The first heavy ones show that help is worth a wake-up. The leader may claim eight of
            // them before it looks at the clock; of the others no thread may have all.
            let start = Instant::now();
            while (940..950).contains(&n) && start.elapsed().as_micros() < 500 {
                spin_loop();
            }
            if n >= 950 {
                gate.hold(3);
            }
        });
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

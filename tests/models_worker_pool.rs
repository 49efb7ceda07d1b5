//! Models of the worker pool. In a plain build each runs once, on real threads; with
//! `--cfg phalanx_loom` loom explores its interleavings.
//!
//! Bugs that other pools had, and the models here or tests in `worker_pool*.rs` that show them:
//!
//! | told in | bug | model or test |
//! | --- | --- | --- |
//! | rayon#992 | a job pushed between "queue empty" and sleep | `two_tasks_of_a_run_can_wait_for_each_other`, `a_pool_is_dropped_while_its_worker_goes_to_sleep` |
//! | rayon#929 | a helper touches the frame of a batch that is over | `a_late_helper_finds_its_batch_closed` |
//! | scoped-threadpool#11 | the first panic unwinds the scope while others still borrow | `a_panic_in_the_middle_of_a_chunk_drops_everything_once`, `a_panic_is_resumed_when_the_others_are_out_of_the_borrowed_data` |
//! | rust#157969 | a second payload whose drop panics ends the scope early | `two_panics_are_one_to_the_caller`, `of_two_panics_one_is_resumed_and_the_drop_of_the_other_may_panic` |
//! | threadpool#89 | a caller trapped by the work of later callers | `callers_of_a_full_pool_wait_for_its_seat`, `a_helper_yields_its_seat_to_a_caller_that_waits`, `callers_whose_tasks_meet_take_turns` |
//! | threadpool#13 | a task that panics leaves its collector waiting | every test of a panic |
//! | rayon#446, rayon#592, rayon#1054 | a waiting worker runs unrelated work, or nests into a deadlock | `a_nested_run_makes_progress_in_its_own_seat`, `a_nested_call_keeps_its_callers_seat`, `a_helper_nests_a_meeting_after_its_caller_ran_out_of_tasks` |

#[path = "common/models.rs"]
mod common;

use common::{Counted, spawn};
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::{WaitGroup, WorkerPool, model, thread};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Counts how many tasks run at once.
#[derive(Clone)]
struct Inside(Arc<[AtomicUsize; 2]>);

impl Inside {
    fn new() -> Self {
        Inside(Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]))
    }

    fn during<R>(&self, f: impl FnOnce() -> R) -> R {
        let now = self.0[0].fetch_add(1, Relaxed) + 1;
        self.0[1].fetch_max(now, Relaxed);
        let result = f();
        self.0[0].fetch_sub(1, Relaxed);
        result
    }

    fn most(&self) -> usize {
        self.0[1].load(Relaxed)
    }
}

/// Two tasks, the first of which ends only when the second is under way. Tasks start in their order, so it takes two
/// threads at once. (Two tasks that each wait for the other show the same, in ten times as many executions.)
fn meeting() -> [Box<dyn FnOnce() + Send>; 2] {
    let arrived = Arc::new(WaitGroup::new());
    arrived.add(1);
    let second = arrived.clone();
    [Box::new(move || arrived.wait()), Box::new(move || second.done())]
}

#[test]
fn run_returns_every_result_in_order() {
    model(|| {
        let pool = WorkerPool::new(2);
        assert_eq!(pool.run((0..2).map(|n| move || n)), [0, 1]);
    });
}

#[test]
fn a_late_helper_finds_its_batch_closed() {
    model(|| {
        let pool = WorkerPool::new(2);
        // The first batch may be over before its helper has started. The second one's frame lies where the first
        // one's was.
        assert_eq!(pool.run((0..2).map(|n| move || n)), [0, 1]);
        assert_eq!(pool.run((2..4).map(|n| move || n)), [2, 3]);
    });
}

#[test]
fn two_tasks_of_a_run_can_wait_for_each_other() {
    model(|| {
        let pool = WorkerPool::new(2);
        pool.run(meeting());
    });
}

#[test]
fn tasks_can_wait_for_each_other_in_a_second_run() {
    model(|| {
        let pool = WorkerPool::new(2);
        pool.run([|| (), || ()]);
        pool.run(meeting());
    });
}

#[test]
fn three_tasks_of_a_run_can_wait_for_each_other() {
    model(|| {
        let pool = WorkerPool::new(3);
        let all = Arc::new(WaitGroup::new());
        all.add(3);
        pool.run((0..3).map(|_| {
            let all = all.clone();
            move || {
                all.done();
                all.wait();
            }
        }));
    });
}

#[test]
fn map_shares_its_items_with_a_helper() {
    model(|| {
        let pool = WorkerPool::new(2);
        assert_eq!(pool.map(0..3_u8, |n| n * 2), [0, 2, 4]);
    });
}

#[test]
fn a_panic_in_the_middle_of_a_chunk_drops_everything_once() {
    model(|| {
        let counted = Counted::default();
        let pool = WorkerPool::new(2);
        let items: Vec<_> = (0..4).map(|n| (n, counted.clone())).collect();
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.map(items, |(n, counted)| {
                if n == 2 {
                    resume_unwind(Box::new(n));
                }
                counted
            })
        }));
        assert_eq!(*result.err().unwrap().downcast::<i32>().unwrap(), 2);
        assert_eq!(counted.drops(), 4);
        assert_eq!(pool.run([|| 1]), [1]);
    });
}

#[test]
fn two_panics_are_one_to_the_caller() {
    model(|| {
        let counted = Counted::default();
        let pool = WorkerPool::new(2);
        let tasks = (0..2).map(|_| {
            let counted = counted.clone();
            move || -> () { resume_unwind(Box::new(counted)) }
        });
        let result = catch_unwind(AssertUnwindSafe(|| pool.run(tasks)));
        drop(result.err().unwrap());
        assert_eq!(counted.drops(), 2);
    });
}

#[test]
fn two_callers_share_the_seats() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let inside = Inside::new();
        let call = |pool: &WorkerPool, inside: &Inside| {
            pool.run((0..2).map(|n| {
                let inside = inside.clone();
                move || inside.during(|| n)
            }))
        };
        let counted = inside.clone();
        let other = spawn(&pool, move |pool| call(pool, &counted));
        assert_eq!(call(&pool, &inside), [0, 1]);
        assert_eq!(other.join().unwrap(), [0, 1]);
        assert!(inside.most() <= 2);
    });
}

#[test]
fn callers_of_a_full_pool_wait_for_its_seat() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(1));
        let inside = Inside::new();
        let callers: Vec<_> = (0..2)
            .map(|n| {
                let inside = inside.clone();
                spawn(&pool, move |pool| pool.run([|| inside.during(|| n)]))
            })
            .collect();
        for (n, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.join().unwrap(), [n]);
        }
        assert_eq!(inside.most(), 1);
    });
}

#[test]
fn a_nested_run_makes_progress_in_its_own_seat() {
    model(|| {
        let pool = WorkerPool::new(2);
        let inside = Inside::new();
        let results = pool.run((0..2).map(|n| {
            let (pool, inside) = (&pool, inside.clone());
            move || pool.run([|| inside.during(|| n * 10)])[0]
        }));
        assert_eq!(results, [0, 10]);
        assert!(inside.most() <= 2);
    });
}

#[test]
fn a_pool_is_dropped_while_its_worker_goes_to_sleep() {
    model(|| {
        let pool = WorkerPool::new(2);
        pool.run([|| (), || ()]);
        drop(pool);
    });
}

#[test]
fn a_built_pool_is_dropped_before_it_was_used() {
    model(|| {
        let pool = WorkerPool::builder().workers(2).build().unwrap();
        drop(pool);
    });
}

#[test]
fn a_helper_yields_its_seat_to_a_caller_that_waits() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let other = spawn(&pool, |pool| pool.run([|| 7]));
        assert_eq!(pool.map(0..3, |n| n), [0, 1, 2]);
        assert_eq!(other.join().unwrap(), [7]);
    });
}

#[test]
fn a_seat_that_a_caller_releases_goes_to_a_batch_that_wants_help() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let other = spawn(&pool, |pool| pool.run([|| 7]));
        pool.run(meeting());
        assert_eq!(other.join().unwrap(), [7]);
    });
}

#[test]
fn the_caller_of_a_map_yields_its_seat_to_a_caller_that_waits() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(1));
        let inside = Inside::new();
        let counted = inside.clone();
        let other = spawn(&pool, move |pool| pool.run([|| counted.during(|| 7)]));
        assert_eq!(pool.map(0..3, |n| inside.during(|| n)), [0, 1, 2]);
        assert_eq!(other.join().unwrap(), [7]);
        assert_eq!(inside.most(), 1);
    });
}

#[test]
fn maps_yield_their_seat_to_each_other() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(1));
        let other = spawn(&pool, |pool| pool.map(0..3, |n| n));
        assert_eq!(pool.map(3..6, |n| n), [3, 4, 5]);
        assert_eq!(other.join().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn a_map_yields_its_seats_to_a_meeting() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let other = spawn(&pool, |pool| pool.map(0..3, |n| n));
        pool.run(meeting());
        assert_eq!(other.join().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn callers_whose_tasks_meet_take_turns() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let other = spawn(&pool, |pool| drop(pool.run(meeting())));
        pool.run(meeting());
        other.join().unwrap();
    });
}

#[test]
fn a_helper_nests_a_meeting_after_its_caller_ran_out_of_tasks() {
    model(|| {
        let pool = WorkerPool::new(2);
        let caller = thread::current().id();
        pool.run(meeting().map(|meet| {
            let pool = &pool;
            move || {
                meet();
                if thread::current().id() != caller {
                    pool.run(meeting());
                }
            }
        }));
    });
}

#[test]
fn a_nested_meeting_goes_before_a_gang_that_waits() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(2));
        let other = spawn(&pool, |pool| pool.run([|| 1, || 2]));
        pool.run([|| pool.run(meeting())]);
        assert_eq!(other.join().unwrap(), [1, 2]);
    });
}

#[test]
fn a_nested_call_keeps_its_callers_seat() {
    model(|| {
        let pool = Arc::new(WorkerPool::new(1));
        let inside = Inside::new();
        let counted = inside.clone();
        let other = spawn(&pool, move |pool| pool.run([|| counted.during(|| ())]));
        pool.run([|| {
            pool.run([|| ()]);
            inside.during(|| ());
        }]);
        other.join().unwrap();
        assert_eq!(inside.most(), 1);
    });
}

#[test]
fn a_nested_call_in_a_helpers_seat_needs_no_other() {
    model(|| {
        let pool = WorkerPool::new(2);
        pool.run(meeting().map(|meet| {
            let pool = &pool;
            move || {
                meet();
                pool.run([|| ()]);
            }
        }));
    });
}

#[test]
fn a_pool_without_threads_reserves_no_seat_for_them() {
    model(|| {
        let pool = Arc::new(WorkerPool::builder().workers(2).stack_size(1 << 62).build_lazy());
        let other = spawn(&pool, |pool| pool.run([|| 1, || 2]));
        assert_eq!(pool.run([|| 3, || 4]), [3, 4]);
        assert_eq!(other.join().unwrap(), [1, 2]);
        assert_eq!(pool.run([|| 5]), [5]);
    });
}

#[test]
fn a_panic_of_one_task_drops_every_task_and_result_once() {
    model(|| {
        let counted = Counted::default();
        let pool = WorkerPool::new(2);
        let tasks = (0..4).map(|n| {
            let counted = counted.clone();
            move || {
                if n == 1 {
                    resume_unwind(Box::new(n));
                }
                counted
            }
        });
        assert!(catch_unwind(AssertUnwindSafe(|| pool.run(tasks))).is_err());
        assert_eq!(counted.drops(), 4);
    });
}

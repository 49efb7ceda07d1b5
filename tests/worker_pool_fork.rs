//! A worker pool in a forked child. One test, so that no other is under way at a fork.

#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use common::forks::{end, fork, in_child, outcome};
use common::watchdog;
use phalanx::WorkerPool;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::thread;

/// Needs `tasks` threads at once.
fn meet(pool: &WorkerPool, tasks: usize) {
    let all = Barrier::new(tasks);
    let leaders = pool.run((0..tasks).map(|_| || all.wait().is_leader()));
    assert_eq!(leaders.into_iter().filter(|&leads| leads).count(), 1);
}

#[test]
fn a_pool_is_usable_in_a_forked_child() {
    watchdog(|| {
        an_idle_pool_has_workers_in_the_child();
        a_pool_is_dropped_in_the_child();
        seats_that_lost_threads_held_are_free_in_the_child();
        threads_of_the_child_share_one_pool();
        the_child_of_a_task_may_use_the_pool();
        a_call_panics_in_the_child_of_its_task();
        the_child_of_a_workers_task_ends_when_it_returns();
        a_call_without_helpers_goes_on_in_the_child_of_its_task();
    });
}

fn an_idle_pool_has_workers_in_the_child() {
    let built = WorkerPool::builder().workers(3).name("forked").build().unwrap();
    for pool in [WorkerPool::new(3), built] {
        meet(&pool, 3);
        in_child(|| {
            meet(&pool, 3);
            assert_eq!(pool.workers(), 3);
            assert_eq!(pool.map(0..10_000, |n| n * 2)[9_999], 19_998);
            // And in the child's child.
            in_child(|| meet(&pool, 3));
            meet(&pool, 3);
        });
        meet(&pool, 3);
    }
}

fn a_pool_is_dropped_in_the_child() {
    let unused_there = WorkerPool::new(2);
    meet(&unused_there, 2);
    in_child(move || drop(unused_there));
    let used_there = WorkerPool::new(2);
    meet(&used_there, 2);
    in_child(move || {
        meet(&used_there, 2);
        drop(used_there);
    });
    let unwinding = WorkerPool::new(2);
    meet(&unwinding, 2);
    in_child(move || {
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _pool = unwinding;
            resume_unwind(Box::new("unwinding"));
        }));
        assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "unwinding");
    });
}

fn seats_that_lost_threads_held_are_free_in_the_child() {
    let pool = WorkerPool::new(2);
    let both = Barrier::new(3);
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    thread::scope(|scope| {
        scope.spawn(|| {
            pool.run((0..2).map(|_| {
                || {
                    both.wait();
                    let _ = held.lock().unwrap().recv();
                }
            }));
        });
        both.wait();
        in_child(|| meet(&pool, 2));
        drop(release);
    });
    meet(&pool, 2);
}

fn threads_of_the_child_share_one_pool() {
    let pool = WorkerPool::new(2);
    meet(&pool, 2);
    in_child(|| {
        let all = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    all.wait();
                    (0..50).for_each(|_| meet(&pool, 2));
                });
            }
        });
    });
}

fn the_child_of_a_task_may_use_the_pool() {
    let pool = WorkerPool::new(2);
    let both = Barrier::new(2);
    pool.run((0..2).map(|_| {
        || {
            both.wait();
            in_child(|| meet(&pool, 2));
        }
    }));
}

/// Runs two tasks of which one forks: the caller's own, or the helper's. Returns the child in the
/// parent; in the child, whatever the call does there.
fn fork_in_a_task(pool: &WorkerPool, callers: bool) -> thread::Result<Option<libc::pid_t>> {
    let (both, caller) = (Barrier::new(2), thread::current().id());
    let children = catch_unwind(AssertUnwindSafe(|| {
        pool.run((0..2).map(|_| {
            || {
                both.wait();
                if (thread::current().id() == caller) == callers { fork() } else { None }
            }
        }))
    }));
    children.map(|children| children.into_iter().flatten().next())
}

fn a_call_panics_in_the_child_of_its_task() {
    let (pool, parent) = (WorkerPool::new(2), process::id());
    let called = fork_in_a_task(&pool, true);
    if process::id() != parent {
        let message = *called.unwrap_err().downcast::<&str>().unwrap();
        // The pool is usable after that.
        meet(&pool, 2);
        end(message.starts_with("WorkerPool: the process was forked inside a task"));
    }
    assert_eq!(outcome(called.unwrap().unwrap()), Ok(0));
    meet(&pool, 2);
}

fn the_child_of_a_workers_task_ends_when_it_returns() {
    let pool = WorkerPool::new(2);
    let called = fork_in_a_task(&pool, false);
    assert_eq!(outcome(called.unwrap().unwrap()), Err(libc::SIGABRT));
    meet(&pool, 2);
}

fn a_call_without_helpers_goes_on_in_the_child_of_its_task() {
    let (pool, parent) = (WorkerPool::new(1), process::id());
    let children = pool.run((0..3).map(|n| move || if n == 1 { fork() } else { None }));
    if process::id() != parent {
        meet(&pool, 1);
        end(children == [None; 3]);
    }
    assert_eq!(outcome(children[1].unwrap()), Ok(0));
    assert_eq!(pool.run([|| 1, || 2]), [1, 2]);
}

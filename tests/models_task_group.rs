//! Models of groups of tasks. In a plain build each runs once, on real threads; with `--cfg phalanx_loom` loom explores
//! their interleavings.

#[path = "common/models.rs"]
mod common;

use common::Counted;
use phalanx::atomic::{AtomicUsize, Ordering::Relaxed};
use phalanx::{TryGoError, model, task_group, task_group_under, thread};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[test]
fn values_come_in_the_order_of_go() {
    model(|| {
        let values = task_group(|group| {
            group.go(|| Ok::<_, ()>(1));
            group.go(|| Ok(2));
        });
        assert_eq!(values, Ok(vec![1, 2]));
    });
}

#[test]
fn an_error_and_a_go_at_the_limit_leave_no_one_asleep() {
    model(|| {
        let outcome = task_group(|group| {
            group.limit(1);
            group.go(|| Err(7));
            // It waits for the seat, and finds it free, or the group failed.
            group.go(|| Ok(()));
        });
        assert_eq!(outcome, Err(7));
    });
}

#[test]
fn a_go_that_starts_nothing_finds_the_token_cancelled() {
    model(|| {
        let drops = Counted::default();
        let outcome = task_group(|group| {
            group.go(|| Err(7));
            let theirs = drops.clone();
            let task = move || {
                drop(theirs);
                Ok(())
            };
            if let Err(TryGoError::Failed(task)) = group.try_go(task) {
                assert!(group.token().is_cancelled());
                drop(task);
            }
        });
        assert_eq!((outcome, drops.drops()), (Err(7), 1));
    });
}

#[test]
fn a_task_that_is_told_to_stop_is_not_the_first_error() {
    model(|| {
        let outcome = task_group(|group| {
            let token = group.token().clone();
            group.go(move || {
                token.wait();
                Err::<(), _>("told to stop")
            });
            group.go(|| Err("first"));
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn a_failure_wakes_the_go_that_waits_while_another_task_runs() {
    model(|| {
        let outcome = task_group(|group| {
            group.limit(2);
            let token = group.token().clone();
            group.go(move || {
                token.wait();
                Ok(())
            });
            group.go(|| Err(7));
            // Neither seat is free before the group is failing.
            group.go(|| unreachable!("started after the first error"));
        });
        assert_eq!(outcome, Err(7));
    });
}

#[test]
fn two_threads_that_wait_for_one_seat_both_get_it() {
    model(|| {
        let running = AtomicUsize::new(0);
        let values = task_group(|group| {
            group.limit(1);
            let task = || {
                assert_eq!(running.fetch_add(1, Relaxed), 0);
                running.fetch_sub(1, Relaxed);
                Ok::<_, ()>(())
            };
            group.go(task);
            thread::scope(|scope| {
                scope.spawn(|| group.go(task));
            });
        });
        assert_eq!(values, Ok(vec![(), ()]));
    });
}

#[test]
fn a_higher_limit_lets_a_thread_go_on_that_waits() {
    model(|| {
        let values = task_group(|group| {
            group.limit(1);
            let inner = group.clone();
            group.go(move || {
                // The seat is this task's until it ends.
                inner.limit(2);
                Ok::<_, ()>(1)
            });
            group.go(|| Ok(2));
        });
        assert_eq!(values, Ok(vec![1, 2]));
    });
}

#[test]
fn a_panic_wakes_the_go_that_waits_and_is_resumed() {
    model(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            task_group(|group| {
                group.limit(1);
                group.go(|| resume_unwind(Box::new("a panic")));
                group.go(|| Ok::<_, ()>(()));
            })
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"a panic"));
    });
}

#[test]
fn an_inner_group_stops_with_the_outer_one() {
    model(|| {
        let outcome = task_group(|outer| {
            let token = outer.token().clone();
            outer.go(move || {
                task_group_under(&token, |inner| {
                    inner.token().wait();
                    inner.go(|| Err::<(), _>("the inner one"));
                })
                .map(|_| ())
            });
            outer.go(|| Err("first"));
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn a_try_go_takes_a_free_seat_or_returns_the_task() {
    model(|| {
        let values = task_group(|group| {
            group.limit(1);
            group.go(|| Ok::<_, ()>(1));
            match group.try_go(|| Ok(2)) {
                Ok(()) => {}
                Err(error) => assert!(matches!(error, TryGoError::AtLimit(_))),
            }
        });
        let values = values.unwrap();
        assert!(values == [1] || values == [1, 2]);
    });
}

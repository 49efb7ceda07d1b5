//! Groups of tasks that may fail, on real threads.

mod common;

use common::{Counted, panic_of, watchdog};
use phalanx::{CancelToken, TaskGroup, TryGoError, task_group, task_group_under};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

/// A panic that prints nothing.
fn panic_silently(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// The message of a task's panic that a group resumes.
fn resumed<R>(f: impl FnOnce() -> R) -> &'static str {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("expected a panic"),
        Err(payload) => *payload.downcast::<&str>().expect("a `&str`"),
    }
}

#[test]
fn values_come_in_the_order_of_go() {
    watchdog(|| {
        let (sender, receiver) = mpsc::channel();
        let receiver = &std::sync::Mutex::new(receiver);
        let values = task_group(|group| {
            // The first task ends after the second.
            group.go(move || {
                receiver.lock().unwrap().recv().unwrap();
                Ok::<_, ()>("first")
            });
            group.go(move || {
                sender.send(()).unwrap();
                Ok("second")
            });
        });
        assert_eq!(values, Ok(vec!["first", "second"]));
    });
}

#[test]
fn an_empty_group_has_no_values() {
    assert_eq!(task_group(|_: &TaskGroup<'_, '_, u8, ()>| ()), Ok(vec![]));
}

#[test]
fn tasks_borrow_from_the_callers_frame() {
    let (words, total) = (["a", "bc"], AtomicUsize::new(0));
    let lengths = task_group(|group| {
        for word in &words {
            let total = &total;
            group.go(move || {
                total.fetch_add(word.len(), SeqCst);
                Ok::<_, ()>(word)
            });
        }
    });
    assert_eq!((lengths, total.into_inner()), (Ok(vec![&"a", &"bc"]), 3));
}

#[test]
fn the_first_error_is_returned_and_tells_the_others_to_stop() {
    watchdog(|| {
        let outcome = task_group(|group| {
            let token = group.token().clone();
            group.go(move || {
                token.wait();
                Err::<(), _>("stopped")
            });
            group.go(|| Err("first"));
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn after_an_error_nothing_is_started() {
    watchdog(|| {
        let (value, drops) = Counted::new();
        let outcome = task_group(|group| {
            group.go(|| Err("first"));
            group.token().wait();
            while !group.has_failed() {
                std::thread::yield_now();
            }
            let value = value.clone();
            group.go(move || {
                drop(value);
                unreachable!("a group that has failed starts nothing")
            });
            assert_eq!(drops.load(SeqCst), 1);
            assert!(matches!(group.try_go(|| Ok(())), Err(TryGoError::Failed(_))));
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn no_more_tasks_run_than_the_limit_allows() {
    watchdog(|| {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let values = task_group(|group| {
            group.limit(3);
            for n in 0..50 {
                let (running, most) = (&running, &most);
                group.go(move || {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, SeqCst);
                    Ok::<_, ()>(n)
                });
            }
        });
        assert_eq!(values, Ok((0..50).collect()));
        assert!((1..=3).contains(&most.into_inner()));
    });
}

#[test]
fn a_go_at_the_limit_waits_for_a_task_to_end() {
    watchdog(|| {
        let ended = AtomicUsize::new(0);
        let outcome = task_group(|group| {
            group.limit(1);
            group.go(|| {
                ended.fetch_add(1, SeqCst);
                Ok::<_, ()>(())
            });
            group.go(|| {
                assert_eq!(ended.load(SeqCst), 1);
                Ok(())
            });
        });
        assert!(outcome.is_ok());
    });
}

#[test]
fn a_go_at_the_limit_ends_when_the_group_fails() {
    watchdog(|| {
        let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
        let outcome = task_group(|group| {
            group.limit(2);
            group.go(|| {
                begun.wait();
                go_on.wait();
                Err("first")
            });
            let token = group.token().clone();
            group.go(move || {
                token.wait();
                Ok(())
            });
            begun.wait();
            std::thread::scope(|scope| {
                scope.spawn(|| go_on.wait());
                group.go(|| unreachable!("both seats are taken until the group fails"));
            });
            assert!(group.has_failed() && group.token().is_cancelled());
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn try_go_returns_the_task_at_the_limit() {
    watchdog(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let values = task_group(|group| {
            group.limit(1);
            group.try_go(move || Ok::<_, ()>(usize::from(receiver.recv().is_ok()))).unwrap();
            let error = group.try_go(|| Ok(2)).unwrap_err();
            assert_eq!(
                format!("{error:?}: {error}"),
                "AtLimit(..): the task group is at its limit"
            );
            drop(sender);
            assert_eq!(error.into_inner()(), Ok(2));
        });
        assert_eq!(values, Ok(vec![0]));
    });
}

#[test]
fn a_higher_limit_lets_a_thread_go_on_that_waits() {
    watchdog(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let values = task_group(|group| {
            group.limit(1);
            group.go(move || Ok::<_, ()>(usize::from(receiver.recv().is_ok())));
            std::thread::scope(|scope| {
                // It ends the first task when it runs, so it must have run beside it.
                let task =
                    scope.spawn(|| group.go(move || sender.send(()).map(|()| 2).map_err(|_| ())));
                group.limit(2);
                task.join().unwrap();
            });
        });
        assert_eq!(values, Ok(vec![1, 2]));
    });
}

#[test]
fn a_limit_of_zero_panics_at_the_callers_line() {
    let line = std::cell::Cell::new(0);
    let seen = panic_of(|| {
        task_group(|group: &TaskGroup<'_, '_, (), ()>| {
            line.set(line!() + 1);
            group.limit(0);
        })
    });
    let message = "TaskGroup::limit: a limit of 0 would let no task run; use at least 1";
    assert_eq!((seen.message.as_str(), seen.file.as_str()), (message, file!()));
    assert_eq!(seen.line, line.get());
}

#[test]
fn a_panic_is_resumed_after_all_have_ended() {
    watchdog(|| {
        let ended = AtomicUsize::new(0);
        let message = resumed(|| {
            task_group(|group| {
                let token = group.token().clone();
                let ended = &ended;
                group.go(move || {
                    token.wait();
                    ended.fetch_add(1, SeqCst);
                    Err::<(), _>("an error that comes later")
                });
                group.go(|| panic_silently("a task's panic"));
            })
        });
        assert_eq!((message, ended.load(SeqCst)), ("a task's panic", 1));
    });
}

#[test]
fn a_panic_is_resumed_in_place_of_an_earlier_error() {
    watchdog(|| {
        let message = resumed(|| {
            task_group(|group| {
                let token = group.token().clone();
                group.go(move || {
                    token.wait();
                    panic_silently("told to stop")
                });
                group.go(|| Err::<(), _>("an error"));
            })
        });
        assert_eq!(message, "told to stop");
    });
}

#[test]
fn a_panic_of_the_closure_cancels_and_is_resumed() {
    watchdog(|| {
        let message = resumed(|| {
            task_group(|group| {
                let token = group.token().clone();
                group.go(move || {
                    token.wait();
                    Ok::<_, ()>(())
                });
                panic_silently("the closure's panic")
            })
        });
        assert_eq!(message, "the closure's panic");
    });
}

#[test]
fn a_callback_that_panics_is_the_groups_panic() {
    watchdog(|| {
        let message = resumed(|| {
            task_group(|group| {
                group.token().on_cancel(|| panic_silently("a callback's panic")).detach();
                group.go(|| Err::<(), _>("an error"));
            })
        });
        assert_eq!(message, "a callback's panic");
    });
}

#[test]
fn a_task_starts_others_in_its_group() {
    watchdog(|| {
        let total = task_group(|group| {
            let inner = group.clone();
            group.go(move || {
                inner.go(|| Ok::<_, ()>(2));
                Ok(1)
            });
        });
        assert_eq!(total, Ok(vec![1, 2]));
    });
}

#[test]
fn a_group_in_a_task_of_another_ends_with_it() {
    watchdog(|| {
        let outcome = task_group(|outer| {
            let token = outer.token().clone();
            outer.go(move || {
                task_group_under(&token, |inner| {
                    let token = inner.token().clone();
                    inner.go(move || {
                        token.wait();
                        Err::<(), _>("the inner one was told to stop")
                    });
                })
            });
            outer.go(|| Err("first"));
        });
        assert_eq!(outcome, Err("first"));
    });
}

#[test]
fn an_inner_groups_error_leaves_the_outer_one_alone() {
    let values = task_group(|outer| {
        let token = outer.token().clone();
        outer.go(move || {
            let inner = task_group_under(&token, |inner| inner.go(|| Err::<(), _>(7)));
            assert!(!token.is_cancelled());
            Ok::<_, ()>(inner.unwrap_err())
        });
    });
    assert_eq!(values, Ok(vec![7]));
}

#[test]
fn cancelling_the_token_is_no_error() {
    let token = CancelToken::new();
    let values = task_group_under(&token, |group| {
        token.cancel();
        assert!(group.token().is_cancelled() && !group.has_failed());
        group.go(|| Ok::<_, ()>(1));
    });
    assert_eq!(values, Ok(vec![1]));
}

#[test]
fn every_value_and_error_is_dropped_once() {
    watchdog(|| {
        let (value, drops) = Counted::new();
        let start = Arc::new(Barrier::new(4));
        let outcome = task_group(|group| {
            for n in 0..4 {
                let (value, start) = (value.clone(), Arc::clone(&start));
                group.go(move || {
                    start.wait();
                    if n % 2 == 0 { Ok(value) } else { Err(value) }
                });
            }
        });
        assert_eq!(drops.load(SeqCst), 3);
        assert!(outcome.is_err());
        drop(outcome);
        assert_eq!(drops.load(SeqCst), 4);
    });
}

#[test]
fn an_error_whose_drop_panics_is_the_groups_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic_silently("dropped a bomb");
            }
        }
    }
    watchdog(|| {
        let start = Barrier::new(2);
        let message = resumed(|| {
            let outcome = task_group(|group| {
                for _ in 0..2 {
                    group.go(|| {
                        start.wait();
                        Err::<(), _>(Bomb)
                    });
                }
            });
            std::mem::forget(outcome);
        });
        assert_eq!(message, "dropped a bomb");
    });
}

#[test]
fn a_task_is_named_for_debuggers() {
    let name = || Ok::<_, ()>(std::thread::current().name().map(str::to_owned));
    let names = task_group(|group| group.go(name));
    assert_eq!(names, Ok(vec![Some("phalanx-task".to_owned())]));
}

#[test]
fn a_payload_of_any_type_is_resumed_as_it_is() {
    let caught = catch_unwind(|| {
        task_group(|group: &TaskGroup<'_, '_, (), ()>| {
            group.go(|| resume_unwind(Box::new(Duration::from_secs(7))));
        })
    });
    let payload = caught.unwrap_err().downcast::<Duration>().map(|payload| *payload);
    assert!(matches!(payload, Ok(payload) if payload.as_secs() == 7));
}

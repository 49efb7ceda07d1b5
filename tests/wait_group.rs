//! The wait group's promises, on real threads. `models_wait_group.rs` explores its interleavings.

mod common;

use common::stress::for_about_a_second;
use common::{Bomb, Counted, panic_of, watchdog};
use phalanx::{WaitGroup, WaitGuard};
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const MAX: usize = 536_870_911;

#[test]
fn wait_returns_at_once_when_nothing_is_counted() {
    watchdog(|| {
        let group = WaitGroup::new();
        group.wait();
        assert_eq!(group.count(), 0);
    });
}

#[test]
fn wait_returns_after_last_done() {
    watchdog(|| {
        let group = Arc::new(WaitGroup::new());
        let finished = Arc::new(AtomicUsize::new(0));
        group.add(8);
        for _ in 0..8 {
            let (group, finished) = (group.clone(), finished.clone());
            thread::spawn(move || {
                finished.fetch_add(1, SeqCst);
                group.done();
            });
        }
        group.wait();
        assert_eq!(finished.load(SeqCst), 8);
    });
}

#[test]
fn a_group_serves_wave_after_wave() {
    watchdog(|| {
        let group = WaitGroup::new();
        let finished = AtomicUsize::new(0);
        for wave in 1..=500 {
            thread::scope(|scope| {
                for _ in 0..3 {
                    let guard = group.guard();
                    let finished = &finished;
                    scope.spawn(move || {
                        finished.fetch_add(1, SeqCst);
                        drop(guard);
                    });
                }
                group.wait();
                assert_eq!(finished.load(SeqCst), wave * 3);
            });
        }
    });
}

#[test]
fn every_waiter_is_woken() {
    watchdog(|| {
        let group = Arc::new(WaitGroup::new());
        let guard = group.guard();
        let (arrived, arrivals) = channel();
        let waiters: Vec<_> = (0..6)
            .map(|_| {
                let (group, arrived) = (group.clone(), arrived.clone());
                thread::spawn(move || {
                    arrived.send(()).unwrap();
                    group.wait();
                })
            })
            .collect();
        for _ in 0..6 {
            arrivals.recv().unwrap();
        }
        drop(guard);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn done_below_zero_panics_at_the_callers_line_and_changes_nothing() {
    let group = WaitGroup::new();
    let line = line!() + 1;
    let seen = panic_of(|| group.done());
    assert!(seen.message.contains("WaitGroup: negative counter"), "{}", seen.message);
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
    assert_eq!(group.count(), 0);
    group.wait();
    group.add(1);
    assert_eq!(group.count(), 1);
    group.done();
}

#[test]
fn a_stray_done_cannot_pay_with_a_guards_count() {
    let group = WaitGroup::new();
    let guard = group.guard();
    assert!(panic_of(|| group.done()).message.contains("negative counter"));
    assert_eq!(group.count(), 1);
    drop(guard);
    group.wait();
}

#[test]
fn add_overflow_panics_at_the_callers_line_and_changes_nothing() {
    let group = WaitGroup::new();
    for too_many in [MAX + 1, 1 << 31, 1 << 40, usize::MAX] {
        let line = line!() + 1;
        let seen = panic_of(|| group.add(too_many));
        assert!(seen.message.contains("WaitGroup: counter overflow"), "{}", seen.message);
        assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
        assert_eq!(group.count(), 0);
    }
    group.add(MAX);
    for more in [1, 1000, MAX] {
        assert!(panic_of(|| group.add(more)).message.contains("counter overflow"));
        assert_eq!(group.count(), MAX);
    }
    let guard = group.guard();
    assert_eq!(group.count(), MAX + 1);
    drop(guard);
}

#[test]
fn add_of_nothing_is_nothing() {
    let group = WaitGroup::default();
    group.add(0);
    assert_eq!(group.count(), 0);
    group.wait();
}

#[test]
fn a_thread_of_a_group_has_a_name() {
    watchdog(|| {
        let group = WaitGroup::new();
        group.go(|| assert_eq!(thread::current().name(), Some("phalanx-go")));
        group.wait();
    });
}

#[test]
fn racing_misuse_leaves_the_count_right() {
    watchdog(|| {
        let group = WaitGroup::new();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for_about_a_second(|_| {
                        // Takes the count of another thread's `add`, or panics.
                        if catch_unwind(|| group.done()).is_ok() {
                            group.add(1);
                        }
                    });
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for_about_a_second(|_| {
                        group.add(1);
                        // Another thread may have taken the count, and is about to add it again.
                        while catch_unwind(|| group.done()).is_err() {
                            thread::yield_now();
                        }
                    });
                });
            }
        });
        assert_eq!(group.count(), 0);
        group.wait();
    });
}

#[test]
fn a_timeout_tells_what_remains_and_loses_nothing() {
    watchdog(|| {
        let group = WaitGroup::new();
        group.add(2);
        let guard = group.guard();
        let timeout = group.wait_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(timeout.remaining, 3);
        assert_eq!(timeout.to_string(), "timed out while the WaitGroup still counted 3");
        assert!(group.wait_timeout(Duration::ZERO).is_err());
        assert!(group.wait_deadline(Instant::now()).is_err());
        drop(guard);
        group.done();
        group.done();
        assert_eq!(group.wait_timeout(Duration::ZERO), Ok(()));
        assert_eq!(group.wait_deadline(Instant::now()), Ok(()));
    });
}

#[test]
fn a_timeout_too_long_to_represent_waits_for_ever() {
    watchdog(|| {
        let group = Arc::new(WaitGroup::new());
        let guard = group.guard();
        let theirs = group.clone();
        let waiter = thread::spawn(move || theirs.wait_timeout(Duration::MAX));
        drop(guard);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_time_out_does_not_take_another_waiters_wake_up() {
    watchdog(|| {
        for_about_a_second(|_| {
            let group = Arc::new(WaitGroup::new());
            let guard = group.guard();
            let (patient, hasty) = (group.clone(), group.clone());
            let patient = thread::spawn(move || patient.wait());
            let hasty = thread::spawn(move || hasty.wait_timeout(Duration::from_micros(20)));
            drop(guard);
            patient.join().unwrap();
            let _ = hasty.join().unwrap();
        });
    });
}

#[test]
fn guards_count_and_outlive_the_group() {
    let group = WaitGroup::new();
    let guard = group.guard();
    let second = guard.clone();
    assert_eq!(group.count(), 2);
    drop(guard);
    assert_eq!(group.count(), 1);
    drop(group);
    let third = second.clone();
    drop(second);
    thread::spawn(move || drop(third)).join().unwrap();
}

#[test]
fn a_panicking_task_still_counts_its_guard_down() {
    watchdog(|| {
        let group = WaitGroup::new();
        let guard = group.guard();
        let task = thread::spawn(move || {
            let _guard = guard;
            resume_unwind(Box::new("task"));
        });
        group.wait();
        assert!(task.join().is_err());
    });
}

#[test]
fn wait_resumes_the_first_panic_of_go_once_all_are_done() {
    watchdog(|| {
        let group = WaitGroup::new();
        let (release, held) = channel::<()>();
        group.go(|| resume_unwind(Box::new(7_u32)));
        group.go(move || {
            let _ = held.recv();
        });
        // The panic alone ends no wait.
        assert!(group.wait_timeout(Duration::from_millis(1)).is_err());
        drop(release);
        let payload = catch_unwind(|| group.wait()).unwrap_err();
        assert_eq!(*payload.downcast::<u32>().unwrap(), 7);
        group.wait();
    });
}

#[test]
fn a_timed_wait_resumes_the_panic_too() {
    watchdog(|| {
        let group = WaitGroup::new();
        group.go(|| resume_unwind(Box::new("gone")));
        assert!(catch_unwind(|| group.wait_timeout(Duration::MAX)).is_err());
    });
}

#[test]
fn of_several_panics_one_arrives_and_the_others_are_dropped() {
    watchdog(|| {
        let group = WaitGroup::new();
        let (counted, drops) = Counted::new();
        for _ in 0..4 {
            let counted = counted.clone();
            // A payload whose drop panics must neither hang nor abort anything.
            group.go(move || resume_unwind(Box::new(Bomb(counted))));
        }
        let payload = catch_unwind(|| group.wait()).unwrap_err();
        assert_eq!(drops.load(SeqCst), 3);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
        assert_eq!(drops.load(SeqCst), 4);
    });
}

#[test]
fn a_panic_that_no_wait_resumes_is_dropped_with_the_group() {
    watchdog(|| {
        let (counted, drops) = Counted::new();
        let group = WaitGroup::new();
        group.go(move || resume_unwind(Box::new(Bomb(counted))));
        while group.count() > 0 {
            thread::yield_now();
        }
        drop(group);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn a_wait_while_unwinding_leaves_the_panic_to_another() {
    struct WaitsOnDrop<'a>(&'a WaitGroup);
    impl Drop for WaitsOnDrop<'_> {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    watchdog(|| {
        let group = WaitGroup::new();
        group.go(|| resume_unwind(Box::new("kept")));
        let outer = catch_unwind(|| {
            let _waits = WaitsOnDrop(&group);
            resume_unwind(Box::new("outer"));
        });
        assert_eq!(*outer.unwrap_err().downcast::<&str>().unwrap(), "outer");
        let kept = catch_unwind(|| group.wait()).unwrap_err();
        assert_eq!(*kept.downcast::<&str>().unwrap(), "kept");
    });
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn a_group_can_be_awaited() {
    watchdog(|| {
        for _ in 0..200 {
            let group = WaitGroup::new();
            for _ in 0..2 {
                group.go(|| ());
            }
            block_on(async { (&group).await });
            assert_eq!(group.count(), 0);
        }
    });
}

#[test]
fn awaiting_resumes_the_panic_of_go() {
    watchdog(|| {
        let group = WaitGroup::new();
        group.go(|| resume_unwind(Box::new("task")));
        assert!(catch_unwind(|| block_on((&group).into_future())).is_err());
    });
}

#[test]
fn a_waker_that_panics_keeps_no_other_waiter_asleep() {
    struct Broken;
    impl Wake for Broken {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("broken waker"));
        }
    }
    watchdog(|| {
        let group = Arc::new(WaitGroup::new());
        let guard = group.guard();
        let waker = Waker::from(Arc::new(Broken));
        let mut broken = pin!((&*group).into_future());
        assert_eq!(broken.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        let (theirs, (arrived, arrival)) = (group.clone(), channel());
        let other = thread::spawn(move || {
            let mut first = true;
            block_on(std::future::poll_fn(|context| {
                let mut future = pin!((&*theirs).into_future());
                let polled = future.as_mut().poll(context);
                if std::mem::take(&mut first) {
                    arrived.send(()).unwrap();
                }
                // The future is dropped here: wake ourselves until the group is done.
                context.waker().wake_by_ref();
                polled
            }));
        });
        arrival.recv().unwrap();
        drop(guard);
        other.join().unwrap();
        assert_eq!(broken.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(()));
    });
}

#[test]
fn a_dropped_future_forgets_its_waker() {
    let group = WaitGroup::new();
    let _guard = group.guard();
    let watched = Arc::new(Unpark(thread::current()));
    let waker = Waker::from(watched.clone());
    {
        let mut future = pin!((&group).into_future());
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&watched), 3);
    }
    assert_eq!(Arc::strong_count(&watched), 2);
}

#[test]
fn the_types_cross_threads_and_unwinding() {
    fn check<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    check::<WaitGroup>();
    check::<WaitGuard>();
    assert_eq!(format!("{:?}", WaitGroup::new()), "WaitGroup { count: 0, .. }");
}

#[test]
fn many_threads_count_through_guards_and_adds() {
    watchdog(|| {
        let group = Arc::new(WaitGroup::new());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (group, guard) = (group.clone(), group.guard());
                thread::spawn(move || {
                    for_about_a_second(|_| {
                        let _other = guard.clone();
                        group.add(1);
                        group.done();
                    });
                })
            })
            .collect();
        group.wait();
        assert_eq!(group.count(), 0);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn the_handle_of_a_spawned_task_returns_its_value() {
    watchdog(|| {
        let group = WaitGroup::new();
        let handle = group.spawn(|| String::from("a value"));
        group.wait();
        assert_eq!(handle.join().unwrap(), "a value");
    });
}

#[test]
fn the_panic_of_a_spawned_task_goes_to_its_handle_alone() {
    watchdog(|| {
        let group = WaitGroup::new();
        let handle = group.spawn(|| resume_unwind(Box::new("for the handle")));
        let () = group.wait();
        let payload = handle.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"for the handle"));
        group.wait();
    });
}

#[test]
fn a_scoped_task_borrows_and_its_panic_goes_to_the_wait() {
    watchdog(|| {
        let (group, word) = (WaitGroup::new(), String::from("borrowed"));
        phalanx::thread::scope(|scope| {
            let word = &word;
            group.go_scoped(scope, move || assert_eq!(word, "borrowed"));
            group.go_scoped(scope, || resume_unwind(Box::new("for the wait")));
            let caught = catch_unwind(AssertUnwindSafe(|| group.wait()));
            assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"for the wait"));
            let length = group.spawn_scoped(scope, move || word.len());
            group.wait();
            assert_eq!(length.join().unwrap(), 8);
            let panicking = group.spawn_scoped(scope, || resume_unwind(Box::new("for the handle")));
            group.wait();
            assert!(panicking.join().is_err());
        });
    });
}

#[test]
fn a_task_has_the_name_that_it_was_given() {
    watchdog(|| {
        let group = WaitGroup::new();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(group.named("reader").spawn(name).join().unwrap().as_deref(), Some("reader"));
        assert_eq!(group.spawn(name).join().unwrap().as_deref(), Some("phalanx-go"));
        phalanx::thread::scope(|scope| {
            let scoped = group.named(String::from("writer")).spawn_scoped(scope, name);
            assert_eq!(scoped.join().unwrap().as_deref(), Some("writer"));
            group.named("counted").go_scoped(scope, || ());
            group.named("detached").go(|| ());
        });
        group.wait();
    });
}

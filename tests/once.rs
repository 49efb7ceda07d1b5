//! `OnceLock` and `LazyLock` on real threads.

mod common;

use common::wakers::{Probe, block_on, poll};
use common::{Counted, panic_of, watchdog};
use phalanx::{LazyLock, OnceLock};
use std::cell::Cell;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

const RULE: &str =
    "an initialiser must not ask for the value that it is making: it would wait for itself";

/// A panic that prints nothing.
fn panic_silently() -> ! {
    resume_unwind(Box::new("an initialiser's panic"))
}

#[test]
fn a_value_is_made_once_for_many_threads() {
    watchdog(|| {
        let (lock, start, made) = (OnceLock::new(), Barrier::new(8), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let value = lock.get_or_init(|| {
                        made.fetch_add(1, SeqCst);
                        String::from("one")
                    });
                    assert_eq!(value, "one");
                });
            }
        });
        assert_eq!(made.load(SeqCst), 1);
    });
}

#[test]
fn get_neither_makes_a_value_nor_waits_for_one() {
    let lock = OnceLock::new();
    assert_eq!(lock.get(), None);
    lock.get_or_init(|| {
        assert_eq!(lock.get(), None);
        5
    });
    assert_eq!(lock.get(), Some(&5));
}

#[test]
fn set_returns_the_value_that_it_cannot_use() {
    let lock = OnceLock::new();
    assert_eq!(lock.set(1), Ok(()));
    assert_eq!(lock.set(2), Err(2));
    assert_eq!(lock.try_insert(3), Err((&1, 3)));
    assert_eq!(OnceLock::new().try_insert(3), Ok(&3));
}

#[test]
fn a_value_can_be_changed_taken_and_made_again() {
    let mut lock = OnceLock::new();
    assert_eq!(lock.get_mut(), None);
    assert_eq!(lock.take(), None);
    assert_eq!(lock.get_mut_or_init(|| 1), &mut 1);
    *lock.get_mut().unwrap() += 1;
    assert_eq!(lock.take(), Some(2));
    assert_eq!(lock.get(), None);
    assert_eq!(lock.get_or_init(|| 3), &3);
    assert_eq!(lock.into_inner(), Some(3));
    assert_eq!(OnceLock::<u8>::new().into_inner(), None);
}

#[test]
fn each_value_is_dropped_once() {
    let (value, drops) = Counted::new();
    let mut lock = OnceLock::from(value.clone());
    assert!(lock.set(value.clone()).is_err());
    assert_eq!(drops.load(SeqCst), 1);
    drop(lock.take());
    assert_eq!(drops.load(SeqCst), 2);
    lock.get_or_init(|| value.clone());
    drop(lock);
    assert_eq!(drops.load(SeqCst), 3);
    drop(OnceLock::<Counted>::new());
    drop(value);
    assert_eq!(drops.load(SeqCst), 4);
}

#[test]
fn an_error_lets_the_next_call_try() {
    let lock = OnceLock::new();
    assert_eq!(lock.get_or_try_init(|| Err::<u8, _>("no")), Err("no"));
    assert_eq!(lock.get(), None);
    assert_eq!(lock.get_or_try_init(|| Ok::<_, &str>(1)), Ok(&1));
    assert_eq!(lock.get_or_try_init(|| Err("not called")), Ok(&1));
}

#[test]
fn a_panic_lets_a_thread_that_waits_try() {
    watchdog(|| {
        let (lock, begun) = (OnceLock::new(), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                lock.get_or_init(|| {
                    begun.wait();
                    panic_silently()
                });
            });
            begun.wait();
            assert_eq!(lock.get_or_init(|| 7), &7);
            assert!(first.join().is_err());
        });
    });
}

#[test]
fn a_set_waits_for_the_initialiser_that_runs() {
    watchdog(|| {
        let (lock, begun) = (OnceLock::new(), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                lock.get_or_init(|| {
                    begun.wait();
                    1
                });
            });
            begun.wait();
            assert_eq!(lock.set(2), Err(2));
        });
    });
}

#[test]
fn an_initialiser_that_asks_for_its_own_value_panics() {
    let lock = OnceLock::new();
    for ask in [
        |lock: &OnceLock<u8>| *lock.get_or_init(|| 1),
        |lock: &OnceLock<u8>| *lock.get_or_try_init(|| Ok::<_, ()>(1)).unwrap(),
        |lock: &OnceLock<u8>| *lock.wait(),
        |lock: &OnceLock<u8>| *lock.wait_timeout(Duration::MAX).unwrap(),
        |lock: &OnceLock<u8>| *lock.try_insert(1).unwrap(),
        |lock: &OnceLock<u8>| *block_on(lock.wait_async()),
        |lock: &OnceLock<u8>| *block_on(lock.get_or_init_async(ready(1))),
    ] {
        let seen = panic_of(|| *lock.get_or_init(|| ask(&lock)));
        assert_eq!(seen.message, format!("OnceLock: {RULE}"));
        assert_eq!(lock.get(), None);
        let seen = panic_of(|| *block_on(lock.get_or_init_async(async { ask(&lock) })));
        assert_eq!(seen.message, format!("OnceLock: {RULE}"));
        assert_eq!(lock.get(), None);
    }
}

#[test]
fn the_panic_of_a_nested_initialiser_is_at_the_callers_line() {
    let lock = OnceLock::new();
    let line = Cell::new(0);
    let seen = panic_of(|| {
        lock.get_or_init(|| {
            line.set(line!() + 1);
            *lock.get_or_init(|| 1)
        });
    });
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line.get()));
}

#[test]
fn an_initialiser_may_use_another_lock_that_is_inside_nothing() {
    let (outer, inner) = (OnceLock::new(), OnceLock::new());
    assert_eq!(outer.get_or_init(|| inner.get_or_init(|| 1) + 1), &2);
    // The list of initialisers is as it was, also after a panic.
    let other = OnceLock::new();
    outer.get_or_init(|| 0);
    let caught = catch_unwind(AssertUnwindSafe(|| other.get_or_init(|| panic_silently())));
    assert!(caught.is_err());
    assert_eq!(other.get_or_init(|| 3), &3);
}

#[test]
fn lazy_initialisers_in_a_circle_panic() {
    static FIRST: LazyLock<u8> = LazyLock::new(|| *SECOND);
    static SECOND: LazyLock<u8> = LazyLock::new(|| *FIRST);
    let (line, seen) = (line!(), panic_of(|| *FIRST));
    assert_eq!(seen.message, format!("LazyLock: {RULE}"));
    // The one that closes the circle is the innermost call.
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line - 1));
}

#[test]
fn wait_returns_after_the_value_is_set() {
    watchdog(|| {
        let lock = OnceLock::new();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| *lock.wait())).collect();
            // A failure in between wakes them, and they go on waiting.
            assert!(lock.get_or_try_init(|| Err::<u8, _>(())).is_err());
            assert!(lock.set(9).is_ok());
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap() == 9));
        });
    });
}

#[test]
fn a_timed_wait_ends_without_a_value() {
    let lock = OnceLock::new();
    assert_eq!(lock.wait_timeout(Duration::from_millis(1)), None);
    assert_eq!(lock.wait_deadline(Instant::now()), None);
    lock.set(1).unwrap();
    assert_eq!(lock.wait_timeout(Duration::ZERO), Some(&1));
    assert_eq!(lock.wait_deadline(Instant::now()), Some(&1));
}

#[test]
fn a_task_waits_until_the_value_is_set() {
    let lock = OnceLock::new();
    let (probe, waker) = Probe::new().waker();
    let mut waiting = pin!(lock.wait_async());
    assert!(poll(&mut waiting, &waker).is_pending());
    assert!(poll(&mut waiting, &waker).is_pending());
    assert_eq!(probe.living(), 2);
    lock.set(4).unwrap();
    assert_eq!(probe.wakes(), 1);
    assert_eq!(poll(&mut waiting, &waker), Poll::Ready(&4));
    assert_eq!(probe.living(), 1);
}

#[test]
fn a_dropped_wait_leaves_no_waker() {
    let lock = OnceLock::<u8>::new();
    let (probe, waker) = Probe::new().waker();
    {
        let mut waiting = pin!(lock.wait_async());
        assert!(poll(&mut waiting, &waker).is_pending());
    }
    assert_eq!(probe.living(), 1);
    lock.set(4).unwrap();
    assert_eq!(probe.wakes(), 0);
}

#[test]
fn one_task_initialises_and_the_others_drop_their_futures() {
    let lock = OnceLock::new();
    let (first_probe, first_waker) = Probe::new().waker();
    let (second_probe, second_waker) = Probe::new().waker();
    let (sender, receiver) = channel();
    let receive = async {
        std::future::poll_fn(|_| receiver.try_recv().map_or(Poll::Pending, Poll::Ready)).await
    };
    let mut first = pin!(lock.get_or_init_async(receive));
    let mut second = pin!(lock.get_or_init_async(async { unreachable!("the first one makes it") }));
    assert!(poll(&mut first, &first_waker).is_pending());
    assert!(poll(&mut second, &second_waker).is_pending());
    sender.send(6).unwrap();
    assert_eq!(poll(&mut first, &first_waker), Poll::Ready(&6));
    assert_eq!((first_probe.wakes(), second_probe.wakes()), (0, 1));
    assert_eq!(poll(&mut second, &second_waker), Poll::Ready(&6));
}

#[test]
fn a_cancelled_initialiser_lets_the_next_task_try() {
    let lock = OnceLock::new();
    let (probe, waker) = Probe::new().waker();
    let mut second = pin!(lock.get_or_init_async(ready(2)));
    {
        let mut first = pin!(lock.get_or_init_async(pending()));
        assert!(poll(&mut first, Waker::noop()).is_pending());
        assert!(poll(&mut second, &waker).is_pending());
    }
    assert_eq!(probe.wakes(), 1);
    assert_eq!(poll(&mut second, &waker), Poll::Ready(&2));
}

#[test]
fn a_cancelled_initialiser_lets_a_thread_try() {
    watchdog(|| {
        let lock = OnceLock::new();
        thread::scope(|scope| {
            let mut first = Box::pin(lock.get_or_init_async(pending()));
            let mut polled = first.as_mut();
            assert!(poll(&mut polled, Waker::noop()).is_pending());
            let thread = scope.spawn(|| *lock.get_or_init(|| 3));
            drop(first);
            assert_eq!(thread.join().unwrap(), 3);
        });
    });
}

#[test]
fn an_async_error_or_panic_lets_the_next_one_try() {
    let lock = OnceLock::new();
    let error = block_on(lock.get_or_try_init_async(ready(Err::<u8, _>("no"))));
    assert_eq!(error, Err("no"));
    let future = lock.get_or_init_async(async { panic_silently() });
    assert!(catch_unwind(AssertUnwindSafe(|| *block_on(future))).is_err());
    assert_eq!(block_on(lock.get_or_try_init_async(ready(Ok::<_, ()>(8)))), Ok(&8));
    assert_eq!(block_on(lock.get_or_init_async(pending())), &8);
}

#[test]
fn a_task_woken_by_a_failure_goes_on_waiting_for_the_value() {
    let lock = OnceLock::new();
    let (probe, waker) = Probe::new().waker();
    let mut waiting = pin!(lock.wait_async());
    assert!(poll(&mut waiting, &waker).is_pending());
    assert!(lock.get_or_try_init(|| Err::<u8, _>(())).is_err());
    assert_eq!(probe.wakes(), 1);
    assert!(poll(&mut waiting, &waker).is_pending());
    lock.set(1).unwrap();
    assert_eq!((probe.wakes(), poll(&mut waiting, &waker)), (2, Poll::Ready(&1)));
}

#[test]
fn a_waker_that_panics_or_calls_back_in_disturbs_no_one() {
    let lock = Arc::new(OnceLock::new());
    let (_bad, bad_waker) = Probe::new().on_wake(common::wakers::panic_silently).waker();
    let theirs = Arc::clone(&lock);
    let back = move || assert_eq!(theirs.get_or_init(|| 0), &5);
    let (good, good_waker) = Probe::new().on_wake(back).waker();
    let (mut bad, mut waiting) = (pin!(lock.wait_async()), pin!(lock.wait_async()));
    assert!(poll(&mut bad, &bad_waker).is_pending());
    assert!(poll(&mut waiting, &good_waker).is_pending());
    assert_eq!(lock.set(5), Ok(()));
    assert_eq!(good.wakes(), 1);
    assert_eq!(poll(&mut bad, &bad_waker), Poll::Ready(&5));
}

#[test]
fn a_lazy_value_is_made_at_its_first_use() {
    let calls = Cell::new(0);
    let mut lazy = LazyLock::new(|| {
        calls.set(calls.get() + 1);
        1
    });
    assert_eq!(LazyLock::get(&lazy), None);
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    assert_eq!((*lazy, LazyLock::force(&lazy), calls.get()), (1, &1, 1));
    *lazy += 1;
    *LazyLock::force_mut(&mut lazy) += 1;
    assert_eq!((LazyLock::get(&lazy), calls.get()), (Some(&3), 1));
    assert!(matches!(LazyLock::into_inner(lazy), Ok(3)));
    let unused = LazyLock::new(|| 9);
    assert!(LazyLock::into_inner(unused).is_err_and(|f| f() == 9));
}

#[test]
fn a_lazy_initialiser_that_panics_poisons() {
    let (value, drops) = Counted::new();
    let lazy = LazyLock::new(move || -> u8 {
        drop(value);
        panic_silently()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
    assert_eq!(drops.load(SeqCst), 1);
    for _ in 0..2 {
        let (line, seen) = (line!(), panic_of(|| *lazy));
        let message =
            "LazyLock: its initialiser has panicked: there is no value, and none will be made";
        assert_eq!((seen.message.as_str(), seen.line), (message, line));
    }
    assert_eq!(format!("{lazy:?}"), "LazyLock(<poisoned>)");
    assert_eq!(LazyLock::get(&lazy), None);
    assert!(panic_of(|| LazyLock::into_inner(lazy)).message.starts_with("LazyLock: "));
}

#[test]
fn a_lazy_value_and_an_unused_initialiser_are_dropped_once() {
    let (value, drops) = Counted::new();
    let kept = value.clone();
    let lazy = LazyLock::new(move || kept);
    drop(lazy);
    assert_eq!(drops.load(SeqCst), 1);
    let lazy = LazyLock::new(move || value);
    LazyLock::force(&lazy);
    assert_eq!(drops.load(SeqCst), 1);
    drop(lazy);
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn both_are_shown_compared_and_cloned_as_stds() {
    let (ours, stds) = (OnceLock::<u8>::new(), std::sync::OnceLock::<u8>::new());
    assert_eq!(format!("{ours:?} {ours:#?}"), format!("{stds:?} {stds:#?}"));
    assert_eq!(ours, ours.clone());
    let (ours, stds) = (OnceLock::from("a"), std::sync::OnceLock::from("a"));
    assert_eq!(format!("{ours:?} {ours:#?}"), format!("{stds:?} {stds:#?}"));
    assert_eq!((&ours, ours.clone().into_inner()), (&ours.clone(), Some("a")));
    assert_ne!(ours, OnceLock::default());
    let (ours, stds) = (LazyLock::new(|| 1), std::sync::LazyLock::new(|| 1));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!((*ours, *stds), (1, 1));
    assert_eq!(format!("{ours:?}"), format!("{stds:?}"));
    assert_eq!(*LazyLock::<u8>::default(), 0);
}

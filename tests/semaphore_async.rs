//! Tasks that wait for permits: polls by hand, cancellation, wakers that panic or call back.
//!
//! Bugs that other semaphores had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang/sync#10, embassy#6964 | a request that is cancelled at the head of the queue leaves those behind it asleep | `a_large_request_that_is_cancelled_lets_the_small_one_behind_it_go` |
//! | python/asyncio#270, shuttle#167 | a task that is cancelled after its wake-up takes the permits with it | `a_task_that_is_cancelled_after_its_wake_up_passes_its_permits_on` |

mod common;

use common::wakers::{Probe, block_on, panic_silently, poll};
use common::{panic_of, watchdog};
use phalanx::{AcquireError, Semaphore};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;

#[test]
fn a_task_gets_free_permits_in_its_first_poll() {
    let semaphore = Arc::new(Semaphore::new(3));
    let mut future = pin!(semaphore.acquire_async(2));
    assert_eq!(semaphore.available(), 3);
    let Poll::Ready(Ok(guard)) = poll(&mut future, Waker::noop()) else { panic!("free") };
    assert_eq!((guard.permits(), semaphore.available()), (2, 1));
    drop(guard);
    let owned = block_on(semaphore.acquire_owned_async(3)).unwrap();
    assert_eq!((owned.permits(), semaphore.available()), (3, 0));
}

#[test]
fn a_task_is_woken_when_it_has_its_permits() {
    let semaphore = Semaphore::new(2);
    let held = [(); 2].map(|()| semaphore.acquire(1).unwrap());
    let (probe, waker) = Probe::new().waker();
    let mut future = pin!(semaphore.acquire_async(2));
    assert!(poll(&mut future, &waker).is_pending());
    let [first, second] = held;
    drop(first);
    assert_eq!((probe.wakes(), semaphore.available()), (0, 1));
    drop(second);
    // They are the task's from now on.
    assert_eq!((probe.wakes(), semaphore.available()), (1, 0));
    let Poll::Ready(Ok(guard)) = poll(&mut future, &waker) else { panic!("granted") };
    drop(guard);
    assert_eq!((semaphore.available(), probe.living()), (2, 1));
}

#[test]
fn a_task_that_is_polled_again_is_woken_by_its_last_waker() {
    let semaphore = Semaphore::new(0);
    let [(old, first), (new, second)] = [(); 2].map(|()| Probe::new().waker());
    let mut future = pin!(semaphore.acquire_async(1));
    for waker in [&first, &first, &second] {
        assert!(poll(&mut future, waker).is_pending());
    }
    assert_eq!((old.living(), new.living()), (1, 2));
    semaphore.add_permits(1);
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert!(poll(&mut future, &first).is_ready());
}

#[test]
fn a_large_request_that_is_cancelled_lets_the_small_one_behind_it_go() {
    let semaphore = Semaphore::new(1);
    let mut large = Box::pin(semaphore.acquire_async(2));
    let mut small = pin!(semaphore.acquire_async(1));
    let (probe, waker) = Probe::new().waker();
    assert!(poll(&mut large.as_mut(), Waker::noop()).is_pending());
    assert!(poll(&mut small, &waker).is_pending());
    drop(large);
    assert_eq!(probe.wakes(), 1);
    assert!(poll(&mut small, &waker).is_ready());
}

#[test]
fn a_task_that_is_cancelled_after_its_wake_up_passes_its_permits_on() {
    let semaphore = Semaphore::new(0);
    let mut first = Box::pin(semaphore.acquire_async(2));
    let mut second = pin!(semaphore.acquire_async(1));
    let (probe, waker) = Probe::new().waker();
    assert!(poll(&mut first.as_mut(), Waker::noop()).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    semaphore.add_permits(2);
    assert_eq!((probe.wakes(), semaphore.available()), (0, 0));
    drop(first);
    assert_eq!((probe.wakes(), semaphore.available()), (1, 1));
    assert!(poll(&mut second, &waker).is_ready());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_task_that_is_cancelled_in_the_middle_is_passed_over() {
    let semaphore = Semaphore::new(0);
    let mut futures = [(); 3].map(|()| Box::pin(semaphore.acquire_async(1)));
    for future in &mut futures {
        assert!(poll(&mut future.as_mut(), Waker::noop()).is_pending());
    }
    let [mut first, middle, mut last] = futures;
    drop(middle);
    semaphore.add_permits(2);
    assert!(poll(&mut first.as_mut(), Waker::noop()).is_ready());
    assert!(poll(&mut last.as_mut(), Waker::noop()).is_ready());
}

#[test]
fn a_close_wakes_tasks_with_an_error() {
    let semaphore = Arc::new(Semaphore::new(0));
    let (probe, waker) = Probe::new().waker();
    let mut future = pin!(semaphore.acquire_async(1));
    let mut owned = pin!(semaphore.acquire_owned_async(1));
    assert!(poll(&mut future, &waker).is_pending());
    assert!(poll(&mut owned, &waker).is_pending());
    semaphore.close();
    assert_eq!(probe.wakes(), 2);
    assert!(matches!(poll(&mut future, &waker), Poll::Ready(Err(AcquireError))));
    assert!(matches!(poll(&mut owned, &waker), Poll::Ready(Err(AcquireError))));
    assert!(block_on(semaphore.acquire_async(0)).is_err());
}

#[test]
fn what_a_task_was_granted_before_a_close_is_its_own() {
    let semaphore = Semaphore::new(0);
    let mut future = pin!(semaphore.acquire_async(1));
    assert!(poll(&mut future, Waker::noop()).is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    assert!(matches!(poll(&mut future, Waker::noop()), Poll::Ready(Ok(_))));
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn threads_and_tasks_wait_in_one_queue() {
    watchdog(|| {
        let semaphore = Semaphore::new(1);
        thread::scope(|scope| {
            let mut task = Box::pin(semaphore.acquire_async(2));
            assert!(poll(&mut task.as_mut(), Waker::noop()).is_pending());
            let thread = scope.spawn(|| semaphore.acquire(1).map(drop));
            let awaiting = scope.spawn(|| block_on(semaphore.acquire_async(1)).map(drop));
            semaphore.add_permits(1);
            let Poll::Ready(Ok(guard)) = poll(&mut task.as_mut(), Waker::noop()) else {
                panic!("it came first")
            };
            drop(guard);
            thread.join().unwrap().unwrap();
            awaiting.join().unwrap().unwrap();
        });
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn a_future_must_not_be_polled_after_it_has_completed() {
    let semaphore = Arc::new(Semaphore::new(2));
    let mut future = pin!(semaphore.acquire_async(1));
    assert!(poll(&mut future, Waker::noop()).is_ready());
    let seen = panic_of(|| poll(&mut future, Waker::noop()).is_ready());
    assert_eq!(seen.message, "an `AcquireFuture` must not be polled after it has completed");
    let mut future = pin!(semaphore.acquire_owned_async(1));
    assert!(poll(&mut future, Waker::noop()).is_ready());
    let seen = panic_of(|| poll(&mut future, Waker::noop()).is_ready());
    assert_eq!(seen.message, "an `OwnedAcquireFuture` must not be polled after it has completed");
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_waker_that_panics_harms_neither_the_release_nor_the_others() {
    let semaphore = Semaphore::new(0);
    let (probe, waker) = Probe::new().on_wake(panic_silently).waker();
    let mut futures = [(); 2].map(|()| Box::pin(semaphore.acquire_async(1)));
    for future in &mut futures {
        assert!(poll(&mut future.as_mut(), &waker).is_pending());
    }
    semaphore.add_permits(2);
    assert_eq!(probe.wakes(), 2);
    for future in &mut futures {
        assert!(poll(&mut future.as_mut(), &waker).is_ready());
    }
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_clone_that_panics_leaves_the_future_as_it_was() {
    let semaphore = Semaphore::new(0);
    let (_probe, waker) = Probe::new().on_clone(panic_silently).waker();
    let mut future = pin!(semaphore.acquire_async(1));
    let panics = |future: &mut std::pin::Pin<&mut _>| {
        catch_unwind(AssertUnwindSafe(|| poll(future, &waker).is_ready())).is_err()
    };
    assert!(panics(&mut future));
    // It hasn't entered the queue.
    semaphore.add_permits(1);
    drop(semaphore.try_acquire(1).unwrap());
    let held = semaphore.acquire(1).unwrap();
    assert!(poll(&mut future, Waker::noop()).is_pending());
    assert!(panics(&mut future));
    // It is still in the queue, with the waker of before.
    drop(held);
    assert_eq!(semaphore.available(), 0);
    assert!(poll(&mut future, &waker).is_ready());
}

#[test]
fn a_waker_whose_drop_panics_harms_no_poll() {
    let semaphore = Semaphore::new(0);
    let (probe, waker) = Probe::new().on_drop(panic_silently).waker();
    let mut future = Box::pin(semaphore.acquire_async(1));
    assert!(poll(&mut future.as_mut(), &waker).is_pending());
    assert!(poll(&mut future.as_mut(), Waker::noop()).is_pending());
    assert!(poll(&mut future.as_mut(), &waker).is_pending());
    drop(future);
    assert_eq!((probe.wakes(), probe.clones(), probe.living()), (0, 2, 1));
    // The last drop is the test's own.
    std::mem::forget(waker);
}

#[test]
fn a_waker_may_call_back() {
    watchdog(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let calls = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (semaphore.clone(), calls.clone());
        let hook = move || {
            // A lock that was held here would not be free.
            drop(theirs.try_acquire(1));
            theirs.add_permits(1);
            drop(block_on(theirs.acquire_async(1)).unwrap());
            count.fetch_add(1, SeqCst);
        };
        let (_probe, waker) = Probe::new().on_wake(hook).waker();
        let mut future = pin!(semaphore.acquire_async(1));
        assert!(poll(&mut future, &waker).is_pending());
        semaphore.add_permits(1);
        assert_eq!((calls.load(SeqCst), semaphore.available()), (1, 1));
        assert!(poll(&mut future, &waker).is_ready());
    });
}

#[test]
fn a_future_that_is_never_polled_wants_nothing() {
    let semaphore = Arc::new(Semaphore::new(1));
    drop(semaphore.acquire_async(1));
    drop(semaphore.acquire_owned_async(1));
    assert_eq!((semaphore.available(), Arc::strong_count(&semaphore)), (1, 1));
}

/// A boxed future that is leaked keeps its waiter's memory, so nothing dangles; but its turn never comes.
#[test]
fn a_future_that_is_leaked_holds_up_those_behind_it() {
    let semaphore = Semaphore::new(1);
    let mut leaked = Box::pin(semaphore.acquire_async(2));
    assert!(leaked.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())).is_pending());
    std::mem::forget(leaked);
    assert!(semaphore.try_acquire(1).is_err());
    semaphore.close();
}

#[test]
fn a_future_may_be_polled_by_several_threads_in_turn() {
    watchdog(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let mut future = Box::pin(semaphore.acquire_owned_async(1));
        for _ in 0..3 {
            future = thread::spawn(move || {
                assert!(poll(&mut future.as_mut(), Waker::noop()).is_pending());
                future
            })
            .join()
            .unwrap();
        }
        let theirs = semaphore.clone();
        let releaser = thread::spawn(move || theirs.add_permits(1));
        assert_eq!(block_on(future).unwrap().permits(), 1);
        releaser.join().unwrap();
    });
}

//! The semaphore on threads: who gets which permits, guards, deadlines, closing, panics.
//!
//! Bugs that other semaphores had, and the tests that would show them here:
//!
//! | reported in | bug | test |
//! | --- | --- | --- |
//! | golang/sync#10, embassy#6964 | a request that gives up at the head of the queue leaves those behind it asleep | `a_large_request_that_times_out_lets_the_small_one_behind_it_go`, and in `semaphore_async.rs` |
//! | tokio#1973, a review | a large request is starved by small ones | `a_large_request_is_overtaken_by_no_small_one`, `a_large_request_is_not_starved_by_hogs` |

mod common;

use common::locks::Dice;
use common::stress::for_about_a_second;
use common::{panic_of, watchdog};
use phalanx::{
    AcquireError, AcquireTimeoutError, OwnedSemaphoreGuard, Semaphore, SemaphoreGuard,
    TryAcquireError,
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(3);
/// Long enough for a thread to be seen waiting.
const A_WHILE: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3_600);

/// Returns once a waiter is in the queue: then not even a single free permit can be acquired.
fn until_one_waits(semaphore: &Semaphore) {
    assert!(semaphore.available() > 0, "told by a free permit that is refused");
    while semaphore.try_acquire(1).is_ok() {
        thread::yield_now();
    }
}

#[test]
fn permits_are_acquired_and_released() {
    let semaphore = Semaphore::new(3);
    let two = semaphore.acquire(2).unwrap();
    let one = semaphore.try_acquire(1).unwrap();
    assert_eq!((two.permits(), one.permits(), semaphore.available()), (2, 1, 0));
    assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    drop(two);
    assert_eq!(semaphore.available(), 2);
    drop(one);
    assert_eq!(semaphore.available(), 3);
}

// A model's semaphore can't be made in a const.
#[cfg(not(phalanx_loom))]
#[test]
fn it_may_be_a_static() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    let held = SEMAPHORE.acquire(1).unwrap();
    assert_eq!(SEMAPHORE.available(), 0);
    drop(held);
}

#[test]
fn no_permits_are_always_there() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.acquire(1).unwrap();
    let none = semaphore.acquire(0).unwrap();
    assert_eq!(none.permits(), 0);
    drop(none);
    assert_eq!(semaphore.available(), 0);
    drop(held);
    semaphore.close();
    assert_eq!(semaphore.acquire(0).unwrap_err(), AcquireError);
}

#[test]
fn no_permits_are_there_while_others_wait() {
    watchdog(|| {
        let semaphore = Semaphore::new(1);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire(2).map(SemaphoreGuard::forget));
            until_one_waits(&semaphore);
            assert_eq!(semaphore.acquire(0).unwrap().permits(), 0);
            semaphore.add_permits(1);
            waiter.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_blocked_thread_gets_what_is_released() {
    watchdog(|| {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire(1).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire(2).unwrap().permits());
            until_one_waits(&semaphore);
            drop(held);
            assert_eq!(waiter.join().unwrap(), 2);
        });
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn a_large_request_is_overtaken_by_no_small_one() {
    watchdog(|| {
        let semaphore = Semaphore::new(3);
        let held = semaphore.acquire(1).unwrap();
        thread::scope(|scope| {
            let large = scope.spawn(|| semaphore.acquire(3).map(SemaphoreGuard::forget));
            until_one_waits(&semaphore);
            assert_eq!(semaphore.available(), 2);
            let timed = semaphore.acquire_timeout(1, MOMENT);
            assert_eq!(timed.unwrap_err(), AcquireTimeoutError::Timeout);
            drop(held);
            large.join().unwrap().unwrap();
        });
        assert_eq!(semaphore.available(), 0);
    });
}

/// Hogs acquire a single permit again and again; at no time need both be free by chance.
#[test]
fn a_large_request_is_not_starved_by_hogs() {
    watchdog(|| {
        let (semaphore, hogs_run) = (Semaphore::new(2), AtomicUsize::new(1));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while hogs_run.load(SeqCst) == 1 {
                        let held = semaphore.acquire(1).unwrap();
                        thread::yield_now();
                        drop(held);
                    }
                });
            }
            for _ in 0..50 {
                drop(semaphore.acquire(2).unwrap());
            }
            hogs_run.store(0, SeqCst);
        });
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn waiters_get_their_permits_in_the_order_in_which_they_came() {
    watchdog(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let (first_waits, mut waiters) = (semaphore.acquire(1).unwrap(), Vec::new());
        let mut futures = Vec::new();
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        // A task enters the queue in its first poll, so the order is known.
        for _ in 0..3 {
            let mut future = Box::pin(semaphore.acquire_owned_async(1));
            assert!(future.as_mut().poll(&mut task).is_pending());
            futures.push(future);
        }
        let behind = (semaphore.clone(), order.clone());
        waiters.push(thread::spawn(move || {
            let held = behind.0.acquire(1).unwrap();
            behind.1.lock().unwrap().push("thread");
            drop(held);
        }));
        drop(first_waits);
        for at in 0..3 {
            // Only the first of them is ready.
            for later in &mut futures[at + 1..] {
                assert!(later.as_mut().poll(&mut task).is_pending());
            }
            let std::task::Poll::Ready(held) = futures[at].as_mut().poll(&mut task) else {
                panic!("number {at} is granted");
            };
            order.lock().unwrap().push("task");
            drop(held);
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*order.lock().unwrap(), ["task", "task", "task", "thread"]);
    });
}

#[test]
fn a_large_request_that_times_out_lets_the_small_one_behind_it_go() {
    watchdog(|| {
        let semaphore = Semaphore::new(2);
        let held = semaphore.acquire(1).unwrap();
        thread::scope(|scope| {
            let large = scope.spawn(|| semaphore.acquire_timeout(2, A_WHILE).map(drop));
            until_one_waits(&semaphore);
            let small = scope.spawn(|| semaphore.acquire_timeout(1, LONG).map(drop));
            assert_eq!(large.join().unwrap().unwrap_err(), AcquireTimeoutError::Timeout);
            small.join().unwrap().unwrap();
        });
        drop(held);
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn a_timed_wait_does_not_end_before_its_time() {
    let semaphore = Semaphore::new(1);
    let start = Instant::now();
    assert!(semaphore.acquire_timeout(2, MOMENT).unwrap_err().is_timeout());
    assert!(start.elapsed() >= MOMENT);
    let deadline = Instant::now() + MOMENT;
    assert!(semaphore.acquire_deadline(2, deadline).unwrap_err().is_timeout());
    assert!(Instant::now() >= deadline);
}

#[test]
fn a_deadline_that_has_passed_still_gets_what_is_free() {
    let (semaphore, past) = (Semaphore::new(1), Instant::now());
    let held = semaphore.acquire_deadline(1, past).unwrap();
    assert_eq!(semaphore.acquire_deadline(1, past).unwrap_err(), AcquireTimeoutError::Timeout);
    assert!(semaphore.acquire_timeout(1, Duration::ZERO).is_err());
    drop(held);
    assert!(semaphore.acquire_timeout(1, Duration::ZERO).is_ok());
}

#[test]
fn a_timeout_too_long_to_represent_never_ends() {
    watchdog(|| {
        let semaphore = Semaphore::new(1);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire_timeout(2, Duration::MAX).map(drop));
            until_one_waits(&semaphore);
            semaphore.add_permits(1);
            waiter.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_request_for_more_than_there_are_waits_for_permits_that_are_added() {
    watchdog(|| {
        let semaphore = Semaphore::new(1);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.acquire(5).unwrap().permits());
            until_one_waits(&semaphore);
            semaphore.add_permits(3);
            assert_eq!(semaphore.available(), 4);
            semaphore.add_permits(1);
            assert_eq!(waiter.join().unwrap(), 5);
        });
    });
}

#[test]
fn one_release_lets_several_waiters_go() {
    watchdog(|| {
        let semaphore = Semaphore::new(4);
        let all = semaphore.acquire(4).unwrap();
        thread::scope(|scope| {
            let waiters = [1, 2, 1].map(|n| {
                let semaphore = &semaphore;
                scope.spawn(move || semaphore.acquire(n).map(SemaphoreGuard::forget).unwrap())
            });
            drop(all);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
        assert_eq!(semaphore.available(), 0);
    });
}

#[test]
fn a_guard_is_split_and_merged() {
    let semaphore = Semaphore::new(5);
    let mut guard = semaphore.acquire(5).unwrap();
    let mut part = guard.split(3).unwrap();
    assert_eq!((guard.permits(), part.permits()), (2, 3));
    assert!(guard.split(3).is_none());
    assert_eq!(guard.permits(), 2);
    let rest = part.split(3).unwrap();
    assert_eq!(part.permits(), 0);
    guard.merge(rest);
    drop(part);
    assert_eq!((guard.permits(), semaphore.available()), (5, 0));
    drop(guard);
    assert_eq!(semaphore.available(), 5);
}

#[test]
fn an_owned_guard_keeps_the_semaphore_alive() {
    let semaphore = Arc::new(Semaphore::new(4));
    let mut guard = semaphore.acquire_owned(3).unwrap();
    let part = guard.split(1).unwrap();
    guard.merge(semaphore.try_acquire_owned(1).unwrap());
    assert!(semaphore.try_acquire_owned(1).is_err());
    assert!(Arc::ptr_eq(guard.semaphore(), &semaphore));
    let alive = Arc::downgrade(&semaphore);
    drop(semaphore);
    assert_eq!((guard.permits(), alive.strong_count()), (3, 2));
    drop(guard);
    assert_eq!(part.semaphore().available(), 3);
    drop(part);
    assert_eq!(alive.strong_count(), 0);
}

#[test]
fn guards_of_two_semaphores_are_not_merged() {
    let (semaphore, other) = (Semaphore::new(1), Semaphore::new(1));
    let mut guard = semaphore.acquire(1).unwrap();
    let line = line!() + 1;
    let seen = panic_of(|| guard.merge(other.acquire(1).unwrap()));
    assert!(seen.message.contains("`merge`: the other guard is of another semaphore"), "{seen:?}");
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
    // The other guard is dropped by the panic.
    assert_eq!((guard.permits(), semaphore.available(), other.available()), (1, 0, 1));

    let [first, second] = [(); 2].map(|()| Arc::new(Semaphore::new(1)));
    let mut guard = first.acquire_owned(1).unwrap();
    panic_of(|| guard.merge(second.acquire_owned(1).unwrap()));
    assert_eq!((first.available(), second.available()), (0, 1));
}

#[test]
fn permits_that_are_forgotten_are_gone() {
    let semaphore = Arc::new(Semaphore::new(3));
    semaphore.acquire(1).unwrap().forget();
    semaphore.acquire_owned(1).unwrap().forget();
    assert_eq!(semaphore.available(), 1);
    assert_eq!(Arc::strong_count(&semaphore), 1);
    semaphore.add_permits(2);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn a_guard_that_is_leaked_keeps_its_permits() {
    let semaphore = Semaphore::new(2);
    std::mem::forget(semaphore.acquire(1).unwrap());
    assert_eq!(semaphore.available(), 1);
    assert!(semaphore.acquire_timeout(2, MOMENT).is_err());
    assert!(semaphore.acquire(1).is_ok());
}

#[test]
fn a_guard_may_be_dropped_by_another_thread() {
    let semaphore = Semaphore::new(1);
    let guard = semaphore.acquire(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_panic_releases_what_is_held() {
    let semaphore = Semaphore::new(2);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _held = semaphore.acquire(2).unwrap();
        resume_unwind(Box::new("while permits are held"));
    }));
    assert!(caught.is_err());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_close_ends_all_waits_with_an_error() {
    watchdog(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let calls: [fn(&Arc<Semaphore>) -> bool; 3] = [
            |semaphore| semaphore.acquire(2).is_err_and(|error| error == AcquireError),
            |semaphore| {
                semaphore.acquire_timeout(2, LONG).unwrap_err() == AcquireTimeoutError::Closed
            },
            |semaphore| semaphore.acquire_owned(2).is_err(),
        ];
        let waiters = calls.map(|call| {
            let semaphore = semaphore.clone();
            thread::spawn(move || call(&semaphore))
        });
        until_one_waits(&semaphore);
        assert!(semaphore.close());
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_closed_semaphore_takes_permits_back_and_gives_none_out() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.acquire(1).unwrap();
    assert!(!semaphore.is_closed());
    assert!(semaphore.close());
    assert!(!semaphore.close());
    assert!(semaphore.is_closed());
    drop(held);
    semaphore.add_permits(1);
    assert_eq!(semaphore.available(), 3);
    assert_eq!(semaphore.acquire(1).unwrap_err(), AcquireError);
    assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::Closed);
    let timed = semaphore.acquire_timeout(1, LONG);
    assert_eq!(timed.unwrap_err(), AcquireTimeoutError::Closed);
}

#[test]
fn more_permits_than_there_can_be_are_refused() {
    const MOST: usize = Semaphore::MAX_PERMITS;
    let seen = panic_of(|| Semaphore::new(MOST + 1));
    assert_eq!(seen.message, "Semaphore::new: more permits than `Semaphore::MAX_PERMITS`");
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line!() - 2));

    let semaphore = Semaphore::new(MOST - 1);
    let seen = panic_of(|| semaphore.add_permits(2));
    let expected = format!("Semaphore::add_permits: 2 more permits would make more than {MOST}");
    assert_eq!(seen.message, expected);
    assert_eq!((seen.file.as_str(), seen.line), (file!(), line!() - 3));
    panic_of(|| semaphore.add_permits(usize::MAX));
    semaphore.add_permits(1);
    assert_eq!(semaphore.available(), MOST);

    // Those that are held count, and those that are forgotten don't.
    let held = semaphore.acquire(MOST).unwrap();
    panic_of(|| semaphore.add_permits(1));
    held.forget();
    assert_eq!(semaphore.available(), 0);
    semaphore.add_permits(MOST);
    assert_eq!(semaphore.available(), MOST);
}

#[test]
fn more_permits_than_there_can_be_are_never_asked_for() {
    type Asking = fn(&Arc<Semaphore>, usize);

    let semaphore = Arc::new(Semaphore::new(1));
    let calls: [(u32, Asking); 7] = [
        (line!(), |semaphore, n| drop(semaphore.acquire(n))),
        (line!(), |semaphore, n| drop(semaphore.try_acquire(n))),
        (line!(), |semaphore, n| drop(semaphore.acquire_timeout(n, MOMENT))),
        (line!(), |semaphore, n| drop(semaphore.acquire_async(n))),
        (line!(), |semaphore, n| drop(semaphore.acquire_owned(n))),
        (line!(), |semaphore, n| drop(semaphore.try_acquire_owned(n))),
        (line!(), |semaphore, n| drop(semaphore.acquire_owned_async(n))),
    ];
    for (line, call) in calls {
        let seen = panic_of(|| call(&semaphore, Semaphore::MAX_PERMITS + 1));
        let rule = format!("there are never more than {}", Semaphore::MAX_PERMITS);
        assert!(seen.message.starts_with("Semaphore: ") && seen.message.ends_with(&rule));
        assert_eq!((seen.file.as_str(), seen.line), (file!(), line));
    }
    assert_eq!(semaphore.available(), 1);
}

/// Threads acquire, time out, split, merge and hand over. No more permits are held than there are, and none is lost.
#[test]
fn permits_are_neither_lost_nor_made_up() {
    const PERMITS: usize = 5;

    fn one(semaphore: &Arc<Semaphore>, dice: &mut Dice, held: &AtomicUsize) {
        let n = 1 + dice.roll(PERMITS as u64) as usize;
        let guard: Option<OwnedSemaphoreGuard> = match dice.roll(4) {
            0 => semaphore.try_acquire_owned(n).ok(),
            1 => semaphore.acquire_owned(n).ok(),
            2 => {
                let timeout = Duration::from_micros(dice.roll(50));
                if let Ok(guard) = semaphore.acquire_timeout(n, timeout) {
                    assert!(held.fetch_add(n, SeqCst) + n <= PERMITS);
                    held.fetch_sub(n, SeqCst);
                    drop(guard);
                }
                None
            }
            _ => {
                let mut future = Box::pin(semaphore.acquire_owned_async(n));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let mut polls = dice.roll(3);
                loop {
                    match future.as_mut().poll(&mut context) {
                        std::task::Poll::Ready(guard) => break guard.ok(),
                        std::task::Poll::Pending if polls == 0 => break None,
                        std::task::Poll::Pending => thread::yield_now(),
                    }
                    polls -= 1;
                }
            }
        };
        let Some(mut guard) = guard else { return };
        assert!(held.fetch_add(n, SeqCst) + n <= PERMITS);
        let part = guard.split(dice.roll(n as u64) as usize);
        held.fetch_sub(n, SeqCst);
        drop((guard, part));
    }

    watchdog(|| {
        let (semaphore, held) = (Arc::new(Semaphore::new(PERMITS)), AtomicUsize::new(0));
        for_about_a_second(|_| {
            thread::scope(|scope| {
                for seed in 0..4 {
                    let (semaphore, held) = (&semaphore, &held);
                    scope.spawn(move || {
                        let mut dice = Dice::new(seed);
                        (0..500).for_each(|_| one(semaphore, &mut dice, held));
                    });
                }
            });
        });
        assert_eq!(semaphore.available(), PERMITS);
        assert!(semaphore.try_acquire(PERMITS).is_ok());
    });
}

#[test]
fn what_they_show_is_short() {
    let semaphore = Arc::new(Semaphore::new(3));
    let guard = semaphore.acquire(1).unwrap();
    assert_eq!(format!("{guard:?}"), "SemaphoreGuard { permits: 1, .. }");
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 2, is_closed: false, .. }");
    let owned = semaphore.acquire_owned(2).unwrap();
    assert_eq!(format!("{owned:?}"), "OwnedSemaphoreGuard { permits: 2, .. }");
    let future = semaphore.acquire_async(2);
    assert_eq!(format!("{future:?}"), "AcquireFuture { permits: 2, .. }");
    assert_eq!(AcquireError.to_string(), "the semaphore is closed");
    assert_eq!(TryAcquireError::Closed.to_string(), "the semaphore is closed");
    assert_eq!(
        AcquireTimeoutError::Timeout.to_string(),
        "timed out while waiting for a semaphore's permits"
    );
}

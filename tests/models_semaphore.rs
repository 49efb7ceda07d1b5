//! Models of the semaphore. In a plain build each runs once, on real threads; with `--cfg phalanx_loom` loom explores
//! its interleavings.
//!
//! Bugs that other semaphores had, and the models that would show them here:
//!
//! | reported in | bug | model |
//! | --- | --- | --- |
//! | golang/sync#10, embassy#6964 | a request that gives up at the head of the queue leaves those behind it asleep | `a_head_that_times_out_lets_the_next_go`, `a_head_that_is_cancelled_lets_the_next_go` |
//! | python/asyncio#270, shuttle#167 | a task that is cancelled after its wake-up takes the permits with it | `a_task_that_is_cancelled_loses_no_permit` |
//! | golang#37852, parking_lot#466 | a waiter that times out takes a wake-up with it | `a_time_out_beside_a_release_loses_no_permit` |

#[path = "common/models.rs"]
mod common;
#[path = "common/history.rs"]
mod history;

use common::spawn;
use history::{Call, Clock, Sequential, is_linearizable};
use phalanx::cell::UnsafeCell;
use phalanx::{AcquireError, Model, Semaphore, SemaphoreGuard, TryAcquireError, model, thread};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

/// A semaphore, and a plain value that only its permits order.
struct Shared {
    semaphore: Semaphore,
    value: UnsafeCell<u32>,
}

// SAFETY: every access should be ordered by the semaphore under test. loom fails the model otherwise.
unsafe impl Sync for Shared {}
// SAFETY: a number.
unsafe impl Send for Shared {}

impl Shared {
    #[track_caller]
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Shared { semaphore: Semaphore::new(permits), value: UnsafeCell::new(0) })
    }

    fn add(&self, n: u32) {
        // SAFETY: as for `Sync`.
        self.value.with_mut(|value| unsafe { *value += n });
    }

    fn get(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.value.with(|value| unsafe { *value })
    }

    /// Checks that so many permits are free, for no waiter. `available` alone doesn't tell whom they are kept for.
    #[track_caller]
    fn assert_free(&self, n: usize) {
        assert_eq!(self.semaphore.available(), n);
        assert!(self.semaphore.try_acquire(n).is_ok(), "kept for a waiter that is gone");
    }

    /// Acquires `n`, adds one to the value, and releases.
    fn add_under(&self, n: usize) {
        let held = self.semaphore.acquire(n).unwrap();
        self.add(1);
        drop(held);
    }
}

/// Wakes a thread of the model.
struct Flag(AtomicUsize, thread::Thread);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(1, SeqCst);
        self.1.unpark();
    }
}

fn flag() -> (Arc<Flag>, Waker) {
    let flag = Arc::new(Flag(AtomicUsize::new(0), thread::current()));
    (flag.clone(), flag.into())
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let (flag, waker) = flag();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll(future.as_mut(), &waker) {
            return output;
        }
        while flag.0.swap(0, SeqCst) == 0 {
            thread::park();
        }
    }
}

#[test]
fn one_permit_excludes() {
    model(|| {
        let shared = Shared::new(1);
        let other = spawn(&shared, |shared| shared.add_under(1));
        shared.add_under(1);
        other.join().unwrap();
        assert_eq!(shared.get(), 2);
        shared.assert_free(1);
    });
}

#[test]
fn all_of_two_permits_exclude_one() {
    model(|| {
        let shared = Shared::new(2);
        let others = [1, 2].map(|n| {
            spawn(&shared, move |shared| {
                let held = shared.semaphore.acquire(n).unwrap();
                if n == 2 {
                    shared.add(1);
                } else {
                    shared.get();
                }
                drop(held);
            })
        });
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.get(), 1);
        shared.assert_free(2);
    });
}

#[test]
fn an_acquisition_sees_what_came_before_the_permits() {
    model(|| {
        let shared = Shared::new(0);
        let other = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.add_permits(1);
        });
        shared.semaphore.acquire(1).unwrap().forget();
        assert_eq!(shared.get(), 1);
        other.join().unwrap();
    });
}

/// Both threads' permits are needed, and what both did before is seen.
#[test]
fn an_acquisition_sees_what_came_before_each_of_two_releases() {
    model(|| {
        let (shared, second) = (Shared::new(0), Shared::new(0));
        let releasers = [&shared, &second].map(|own| {
            let (own, to) = (own.clone(), shared.clone());
            thread::spawn(move || {
                own.add(1);
                to.semaphore.add_permits(1);
            })
        });
        shared.semaphore.acquire(2).unwrap().forget();
        assert_eq!((shared.get(), second.get()), (1, 1));
        for releaser in releasers {
            releaser.join().unwrap();
        }
    });
}

#[test]
fn a_try_sees_what_came_before_the_permits() {
    model(|| {
        let shared = Shared::new(0);
        let other = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.add_permits(1);
        });
        if let Ok(guard) = shared.semaphore.try_acquire(1) {
            assert_eq!(shared.get(), 1);
            drop(guard);
        }
        other.join().unwrap();
        assert!(shared.semaphore.try_acquire(1).is_ok());
    });
}

#[test]
fn one_release_lets_two_waiters_go() {
    model(|| {
        let shared = Shared::new(0);
        let waiters = [(); 2].map(|()| {
            spawn(&shared, |shared| shared.semaphore.acquire(1).map(SemaphoreGuard::forget))
        });
        shared.semaphore.add_permits(2);
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
        assert_eq!(shared.semaphore.available(), 0);
    });
}

#[test]
fn a_timed_waiter_is_woken_before_its_deadline() {
    Model::new().without_deadlines().check(|| {
        let shared = Shared::new(0);
        let other = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.add_permits(1);
        });
        drop(shared.semaphore.acquire_timeout(1, SHORT).unwrap());
        assert_eq!(shared.get(), 1);
        other.join().unwrap();
    });
}

#[test]
fn a_time_out_beside_a_release_loses_no_permit() {
    model(|| {
        let shared = Shared::new(0);
        let hasty = spawn(&shared, |shared| {
            if let Ok(held) = shared.semaphore.acquire_timeout(1, SHORT) {
                shared.add(1);
                drop(held);
            }
        });
        let patient = spawn(&shared, |shared| shared.add_under(1));
        shared.semaphore.add_permits(1);
        patient.join().unwrap();
        hasty.join().unwrap();
        shared.assert_free(1);
        assert!(shared.get() > 0);
    });
}

#[test]
fn a_head_that_times_out_lets_the_next_go() {
    model(|| {
        let shared = Shared::new(1);
        let large = spawn(&shared, |shared| shared.semaphore.acquire_timeout(2, SHORT).map(drop));
        shared.add_under(1);
        assert!(large.join().unwrap().is_err());
        shared.assert_free(1);
    });
}

#[test]
fn a_head_that_is_cancelled_lets_the_next_go() {
    model(|| {
        let shared = Shared::new(1);
        let mut large = Box::pin(shared.semaphore.acquire_async(2));
        assert!(poll(large.as_mut(), Waker::noop()).is_pending());
        let small = spawn(&shared, |shared| shared.add_under(1));
        drop(large);
        small.join().unwrap();
        shared.assert_free(1);
    });
}

#[test]
fn a_task_that_is_cancelled_loses_no_permit() {
    model(|| {
        let shared = Shared::new(0);
        let mut future = Box::pin(shared.semaphore.acquire_async(1));
        assert!(poll(future.as_mut(), Waker::noop()).is_pending());
        let releaser = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.add_permits(1);
        });
        let waiter = spawn(&shared, |shared| shared.add_under(1));
        drop(future);
        waiter.join().unwrap();
        releaser.join().unwrap();
        assert_eq!(shared.get(), 2);
        shared.assert_free(1);
    });
}

#[test]
fn a_task_is_woken_by_a_release() {
    model(|| {
        let shared = Shared::new(0);
        let releaser = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.add_permits(1);
        });
        block_on(shared.semaphore.acquire_async(1)).unwrap().forget();
        assert_eq!(shared.get(), 1);
        releaser.join().unwrap();
    });
}

#[test]
fn a_task_that_is_polled_with_another_waker_is_woken_by_that() {
    model(|| {
        let shared = Shared::new(0);
        let mut future = pin!(shared.semaphore.acquire_async(1));
        assert!(poll(future.as_mut(), Waker::noop()).is_pending());
        let releaser = spawn(&shared, |shared| shared.semaphore.add_permits(1));
        assert_eq!(block_on(future).unwrap().permits(), 1);
        releaser.join().unwrap();
    });
}

/// The task waits for both permits before the thread asks for one of them.
#[test]
fn a_large_request_is_overtaken_by_no_small_one() {
    model(|| {
        let shared = Shared::new(1);
        let mut large = pin!(shared.semaphore.acquire_async(2));
        assert!(poll(large.as_mut(), Waker::noop()).is_pending());
        let small = spawn(&shared, |shared| shared.add_under(1));
        shared.semaphore.add_permits(1);
        let Poll::Ready(Ok(held)) = poll(large.as_mut(), Waker::noop()) else {
            panic!("the small one has overtaken")
        };
        shared.add(1);
        drop(held);
        small.join().unwrap();
        assert_eq!(shared.get(), 2);
    });
}

#[test]
fn a_close_ends_a_wait_that_sees_what_came_before() {
    model(|| {
        let shared = Shared::new(0);
        let closer = spawn(&shared, |shared| {
            shared.add(1);
            assert!(shared.semaphore.close());
        });
        assert_eq!(shared.semaphore.acquire(1).unwrap_err(), AcquireError);
        assert_eq!(shared.get(), 1);
        closer.join().unwrap();
    });
}

#[test]
fn who_finds_it_closed_sees_what_came_before() {
    model(|| {
        let shared = Shared::new(1);
        let closer = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.close();
        });
        if shared.semaphore.try_acquire(1).err() == Some(TryAcquireError::Closed) {
            assert_eq!(shared.get(), 1);
        }
        closer.join().unwrap();
        assert!(shared.semaphore.is_closed());
    });
}

#[test]
fn a_second_close_returns_after_what_came_before_the_first() {
    model(|| {
        let shared = Shared::new(1);
        let closer = spawn(&shared, |shared| {
            shared.add(1);
            shared.semaphore.close()
        });
        let was_open = shared.semaphore.close();
        if !was_open {
            assert_eq!(shared.get(), 1);
        }
        assert_ne!(was_open, closer.join().unwrap());
    });
}

#[test]
fn a_close_beside_a_release_grants_or_refuses() {
    model(|| {
        let shared = Shared::new(0);
        let waiter = spawn(&shared, |shared| {
            shared.semaphore.acquire(1).map(SemaphoreGuard::forget).is_ok()
        });
        let releaser = spawn(&shared, |shared| shared.semaphore.add_permits(1));
        shared.semaphore.close();
        let is_granted = waiter.join().unwrap();
        releaser.join().unwrap();
        assert_eq!(shared.semaphore.available(), usize::from(!is_granted));
    });
}

#[test]
fn a_close_ends_the_waits_of_all() {
    model(|| {
        let shared = Shared::new(0);
        let waiter = spawn(&shared, |shared| shared.semaphore.acquire(1).is_err());
        let closer = spawn(&shared, |shared| shared.semaphore.close());
        assert!(block_on(shared.semaphore.acquire_async(1)).is_err());
        assert!(waiter.join().unwrap());
        assert!(closer.join().unwrap());
    });
}

#[test]
fn permits_added_by_two_threads_stay_within_the_most() {
    model(|| {
        let shared = Shared::new(Semaphore::MAX_PERMITS - 1);
        let held = shared.semaphore.acquire(Semaphore::MAX_PERMITS - 1).unwrap();
        let other = spawn(&shared, |shared| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                shared.semaphore.add_permits(1);
            }))
            .is_ok()
        });
        let mine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            shared.semaphore.add_permits(1);
        }));
        assert_ne!(mine.is_ok(), other.join().unwrap());
        drop(held);
        assert_eq!(shared.semaphore.available(), Semaphore::MAX_PERMITS);
    });
}

/// A call on a semaphore, with its result.
#[derive(Clone, Copy, Debug)]
enum Did {
    Try(u32, Result<(), TryAcquireError>),
    Add(u32),
    Close(bool),
    Available(u32),
    Asked(bool),
}

#[derive(Clone, Copy)]
enum What {
    Try(u32),
    Add(u32),
    Close,
    Available,
    IsClosed,
}

/// A semaphore on one thread, whose permits are forgotten.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Permits {
    free: u32,
    is_closed: bool,
}

impl Sequential for Permits {
    type Op = Did;

    fn allows(&mut self, op: &Did) -> bool {
        match *op {
            Did::Try(_, Err(TryAcquireError::Closed)) => self.is_closed,
            Did::Try(n, Err(TryAcquireError::NoPermits)) => !self.is_closed && self.free < n,
            Did::Try(n, Ok(())) => {
                let is_right = !self.is_closed && self.free >= n;
                self.free = self.free.wrapping_sub(n);
                is_right
            }
            Did::Add(n) => {
                self.free += n;
                true
            }
            Did::Close(was_open) => std::mem::replace(&mut self.is_closed, true) != was_open,
            Did::Available(n) => self.free == n,
            Did::Asked(is_closed) => self.is_closed == is_closed,
        }
    }
}

fn call(semaphore: &Semaphore, clock: &Clock, what: What) -> Call<Did> {
    match what {
        What::Try(n) => clock.record(
            || semaphore.try_acquire(n as usize).map(SemaphoreGuard::forget),
            |result| Did::Try(n, result),
        ),
        What::Add(n) => clock.record(|| semaphore.add_permits(n as usize), |()| Did::Add(n)),
        What::Close => clock.record(|| semaphore.close(), Did::Close),
        What::Available => clock.record(|| semaphore.available() as u32, Did::Available),
        What::IsClosed => clock.record(|| semaphore.is_closed(), Did::Asked),
    }
}

/// Two threads make the calls of a list each.
fn check(permits: u32, first: &'static [What], second: &'static [What]) {
    model(move || {
        let recorded = Arc::new((Semaphore::new(permits as usize), Clock::new()));
        let all = |(semaphore, clock): &(Semaphore, Clock), calls: &[What]| -> Vec<_> {
            calls.iter().map(|&what| call(semaphore, clock, what)).collect()
        };
        let beside = spawn(&recorded, move |recorded| all(recorded, first));
        let mut history = all(&recorded, second);
        history.extend(beside.join().unwrap());
        let start = Permits { free: permits, is_closed: false };
        assert!(is_linearizable(start, &history), "{history:?}");
    });
}

#[test]
fn tries_beside_additions_are_linearizable() {
    check(1, &[What::Try(2), What::Try(1)], &[What::Add(1), What::Try(1)]);
}

#[test]
fn tries_beside_a_close_are_linearizable() {
    check(1, &[What::Try(1), What::IsClosed], &[What::Close, What::Try(1)]);
}

#[test]
fn what_is_available_is_linearizable() {
    check(1, &[What::Available, What::Close], &[What::Add(1), What::Try(2)]);
}

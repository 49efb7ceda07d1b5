//! Awaiting permits, on any executor.
//!
//! A task enters the queue in its first poll, unless it gets its permits at once. It is granted them in the queue, and
//! holds them from then on: a future that is dropped before it is polled again releases them.

use super::core::{Answer, Refused, Request, Semaphore};
use super::error::AcquireError;
use super::guard::{OwnedSemaphoreGuard, SemaphoreGuard};
use crate::support::waiters::TaskWait;
use crate::sys::Arc;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Acquires permits: the future of [`Semaphore::acquire_async`].
///
/// It may be dropped at any time, and passes on what it was granted. Keeping it without polling it again, or leaking it
/// after a poll, with [`mem::forget`](std::mem::forget), holds up those behind it for ever.
///
/// If its waker panics when it is woken or dropped, the panic hook runs and nothing else happens. A panic of the
/// waker's clone unwinds from the poll, which has then done nothing.
///
/// # Panics
/// If it is polled after it has completed.
#[must_use = "a future does nothing unless it is polled"]
pub struct AcquireFuture<'a>(Acquire<&'a Semaphore>);

/// Acquires permits: the future of [`Semaphore::acquire_owned_async`]. It is as [`AcquireFuture`], but borrows nothing.
///
/// # Panics
/// If it is polled after it has completed.
#[must_use = "a future does nothing unless it is polled"]
pub struct OwnedAcquireFuture(Acquire<Arc<Semaphore>>);

/// What both futures are; `S` is how they reach the semaphore.
struct Acquire<S: Deref<Target = Semaphore>> {
    semaphore: S,
    permits: usize,
    is_done: bool,
    wait: TaskWait<Request>,
}

// A panic leaves a future as it was.
impl UnwindSafe for AcquireFuture<'_> {}
impl RefUnwindSafe for AcquireFuture<'_> {}
impl UnwindSafe for OwnedAcquireFuture {}
impl RefUnwindSafe for OwnedAcquireFuture {}

impl<S: Deref<Target = Semaphore>> Acquire<S> {
    fn new(semaphore: S, permits: usize) -> Self {
        Acquire { semaphore, permits, is_done: false, wait: TaskWait::new() }
    }

    /// The parts, of which the wait is pinned: it isn't moved out of the future, and the drop treats it as pinned.
    fn parts(self: Pin<&mut Self>) -> (&Semaphore, u64, &mut bool, Pin<&mut TaskWait<Request>>) {
        // SAFETY: as said above.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let wait = unsafe { Pin::new_unchecked(&mut this.wait) };
        (&this.semaphore, this.permits as u64, &mut this.is_done, wait)
    }

    fn poll(self: Pin<&mut Self>, future: &str, waker: &Waker) -> Poll<Result<(), AcquireError>> {
        let (semaphore, n, is_done, wait) = self.parts();
        assert!(!*is_done, "an `{future}` must not be polled after it has completed");
        let polled = if wait.is_waiting() {
            wait.poll(semaphore.queue(), |queue| queue, waker).map(|request| request.answer)
        } else {
            match semaphore.take(n) {
                Ok(()) => Poll::Ready(Answer::Granted),
                Err(Refused::Closed) => Poll::Ready(Answer::Closed),
                Err(Refused::NoPermits) => enter(semaphore, n, wait, waker),
            }
        };
        polled.map(|answer| {
            *is_done = true;
            if answer == Answer::Granted { Ok(()) } else { Err(AcquireError) }
        })
    }

    /// Ends the wait, if there is one, and releases what it was granted (P4).
    fn cancel(self: Pin<&mut Self>) {
        let (semaphore, n, _, wait) = self.parts();
        let left = wait.leave(|waiter| semaphore.leave(waiter));
        if left.is_some_and(|(request, _)| request.answer == Answer::Granted) {
            semaphore.release(n);
        }
    }
}

fn enter(
    semaphore: &Semaphore,
    n: u64,
    wait: Pin<&mut TaskWait<Request>>,
    waker: &Waker,
) -> Poll<Answer> {
    let mut answer = Answer::Waiting;
    // SAFETY: the future leaves the queue before it is dropped, and keeps the semaphore till then. If it is leaked the
    // semaphore may go, but the waiter's memory stays, and nothing else uses it.
    wait.enter(Request::new(n), waker, |waiter| answer = unsafe { semaphore.enter(waiter, n) });
    if answer == Answer::Waiting { Poll::Pending } else { Poll::Ready(answer) }
}

impl<S: Deref<Target = Semaphore>> Drop for Acquire<S> {
    fn drop(&mut self) {
        // SAFETY: it is dropped, and not moved any more.
        unsafe { Pin::new_unchecked(self) }.cancel();
    }
}

impl<'a> AcquireFuture<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, permits: usize) -> Self {
        AcquireFuture(Acquire::new(semaphore, permits))
    }
}

impl OwnedAcquireFuture {
    pub(super) fn new(semaphore: Arc<Semaphore>, permits: usize) -> Self {
        OwnedAcquireFuture(Acquire::new(semaphore, permits))
    }
}

impl<'a> Future for AcquireFuture<'a> {
    type Output = Result<SemaphoreGuard<'a>, AcquireError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (semaphore, permits) = (self.0.semaphore, self.0.permits);
        // SAFETY: the field is pinned with the future.
        let acquire = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let polled = acquire.poll("AcquireFuture", context.waker());
        polled.map_ok(|()| SemaphoreGuard::new(semaphore, permits))
    }
}

impl Future for OwnedAcquireFuture {
    type Output = Result<OwnedSemaphoreGuard, AcquireError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is pinned with the future.
        let mut acquire = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let polled = acquire.as_mut().poll("OwnedAcquireFuture", context.waker());
        polled.map_ok(|()| OwnedSemaphoreGuard::new(acquire.semaphore.clone(), acquire.permits))
    }
}

impl fmt::Debug for AcquireFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireFuture").field("permits", &self.0.permits).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedAcquireFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OwnedAcquireFuture");
        shown.field("permits", &self.0.permits).finish_non_exhaustive()
    }
}

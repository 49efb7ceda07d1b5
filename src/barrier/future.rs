//! Awaiting the other parties, on any executor.

use super::core::{Answer, Arrived, Barrier};
use super::error::BrokenBarrier;
use super::result::BarrierWaitResult;
use crate::support::waiters::TaskWait;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Waits for the other parties: the future of [`Barrier::wait_async`].
///
/// It comes to the barrier in its first poll. Dropping it after that, and before the others have come, breaks the
/// barrier. Leaking it, with [`mem::forget`](std::mem::forget), leaves the others waiting for a party that won't go on.
///
/// If its waker panics when it is woken or dropped, the panic hook runs and nothing else happens. A panic of the
/// waker's clone unwinds from the poll, which has then done nothing.
///
/// # Panics
/// If it is polled after it has completed.
#[must_use = "a future does nothing unless it is polled"]
pub struct BarrierFuture<'a> {
    barrier: &'a Barrier,
    is_done: bool,
    wait: TaskWait<Answer>,
}

// A panic leaves the future as it was.
impl UnwindSafe for BarrierFuture<'_> {}
impl RefUnwindSafe for BarrierFuture<'_> {}

impl<'a> BarrierFuture<'a> {
    pub(super) fn new(barrier: &'a Barrier) -> Self {
        BarrierFuture { barrier, is_done: false, wait: TaskWait::new() }
    }

    /// The parts, of which the wait is pinned: it isn't moved out of the future, and the drop treats it as pinned.
    fn parts(self: Pin<&mut Self>) -> (&'a Barrier, &mut bool, Pin<&mut TaskWait<Answer>>) {
        // SAFETY: as said above.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let wait = unsafe { Pin::new_unchecked(&mut this.wait) };
        (this.barrier, &mut this.is_done, wait)
    }
}

impl Future for BarrierFuture<'_> {
    type Output = Result<BarrierWaitResult, BrokenBarrier>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (barrier, is_done, wait) = self.parts();
        assert!(!*is_done, "a `BarrierFuture` must not be polled after it has completed");
        let polled = if wait.is_waiting() {
            wait.poll(barrier.state(), |state| state.queue(), context.waker()).map(|answer| {
                match answer {
                    Answer::Passed => Ok(false),
                    Answer::Waiting | Answer::Broken => Err(BrokenBarrier),
                }
            })
        } else {
            match arrive(barrier, wait, context.waker()) {
                Arrived::Waits => Poll::Pending,
                Arrived::Leads => Poll::Ready(Ok(true)),
                Arrived::Broken => Poll::Ready(Err(BrokenBarrier)),
            }
        };
        *is_done = polled.is_ready();
        polled.map_ok(BarrierWaitResult::new)
    }
}

fn arrive(barrier: &Barrier, wait: Pin<&mut TaskWait<Answer>>, waker: &Waker) -> Arrived {
    let mut arrived = Arrived::Waits;
    // SAFETY: the future leaves the queue before it is dropped, and borrows the barrier. If it is leaked the barrier
    // may go, but the waiter's memory stays, and nothing else uses it.
    wait.enter(Answer::Waiting, waker, |waiter| arrived = unsafe { barrier.arrive(waiter) });
    arrived
}

impl Drop for BarrierFuture<'_> {
    fn drop(&mut self) {
        // SAFETY: it is dropped, and not moved any more.
        let (barrier, _, wait) = unsafe { Pin::new_unchecked(self) }.parts();
        wait.leave(|waiter| barrier.leave(waiter));
    }
}

impl fmt::Debug for BarrierFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierFuture").field("is_done", &self.is_done).finish_non_exhaustive()
    }
}
